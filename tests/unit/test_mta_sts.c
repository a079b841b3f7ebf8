/* SPDX-License-Identifier: MIT */
/* MTA-STS (RFC 8461): what TXT records and policies say, which server they allow, when to fetch. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <cmocka.h>

#include "base/bounds.h"
#include "base/error.h"
#include "failing_memory.h"
#include "route/mta_sts.h"

#define COUNT(a) (sizeof(a) / sizeof *(a))

/* ---- TXT records ----------------------------------------------------------------------------- */

/* Texts to wire format: "|" begins the next string of a record. */
static size_t
wire(char *out, const char *text)
{
	char *start = out;

	do {
		size_t n = strcspn(text, "|");

		assert_true(n < 256);
		*out++ = (char)n;
		memcpy(out, text, n);
		out += n;
		text += n;
	} while (*text++ == '|');
	return (size_t)(out - start);
}

static bool
record(const char *const texts[3], char id[33])
{
	static char space[3][8192];
	struct ph_str data[3];
	struct ph__dns_answer a = { .status = PH__DNS_FOUND, .data = data };

	for (; a.count < 3 && texts[a.count] != NULL; a.count++)
		data[a.count] = (struct ph_str){ space[a.count], wire(space[a.count], texts[a.count]) };
	return ph__sts_record(&a, id);
}

static void
one_record_gives_its_id(void **state)
{
	static const struct { const char *texts[3]; const char *id; } rows[] = {
		{ { "v=STSv1; id=20160831085700Z;" }, "20160831085700Z" },
		{ { "v=STSv1; id=20160831085700Z" }, "20160831085700Z" },
		{ { "v=STSv1;id=a" }, "a" },
		{ { "v=STSv1; \t id=a \t ; \t " }, "a" },
		{ { "v=STSv1; id=12345678901234567890123456789012;" }, "12345678901234567890123456789012" },
		/* several strings are one text, without a space between (§3.1) */
		{ { "v=STS|v1; i|d=20|16;" }, "2016" },
		{ { "|v=STSv1; id=a||;" }, "a" },
		/* others are discarded */
		{ { "v=spf1 -all", "v=STSv1; id=a", "v=STSv2; id=b" }, "a" },
		{ { "v=STSv1", "v=STSv1; id=a" }, "a" },
		{ { "v=STSv1 ; id=b", "v=STSv1; id=a" }, "a" },
		{ { "V=STSV1; id=b", "v=STSv1; id=a", " v=STSv1; id=b" }, "a" },
		/* unknown fields are ignored; of two the first counts; the order is free */
		{ { "v=STSv1; x=y; id=a; foo.bar-1_2=!:~" }, "a" },
		{ { "v=STSv1; id=a; id=b" }, "a" },
		{ { "v=STSv1; id=a; id=not-an-id" }, "a" },
		{ { "v=STSv1; ID=b; id=a" }, "a" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		char id[33] = "";

		if (!record(rows[i].texts, id) || strcmp(id, rows[i].id) != 0)
			fail_msg("%s: \"%s\"", rows[i].texts[0], id);
	}
}

static void
none_or_two_or_a_malformed_record_is_no_policy(void **state)
{
	static const char *const rows[][3] = {
		{ NULL },
		{ "" },
		{ "v=spf1 -all" },
		{ "v=STSv1; id=a", "v=STSv1; id=a" },
		{ "v=STSv1; id=a", "v=STSv1;" },       /* two, even if one of them is none (§3.1) */
		{ "v=STSv1;", "v=STSv1; id=a" },
		{ "v=STSv1" }, { "v=STSv1;" }, { "v=STSv1; " }, { "v=STSv1; ;" }, { "v=STSv1; x=y" },
		{ "v=STSv1; id=" }, { "v=STSv1; id" }, { "v=STSv1; id=a;;" }, { "v=STSv1;; id=a" },
		{ "v=STSv1; id=123456789012345678901234567890123" },
		{ "v=STSv1; id=a b" }, { "v=STSv1; id=a-b" }, { "v=STSv1; id= a" }, { "v=STSv1; id =a" },
		{ "v=STSv1; id=\xc3\xa4" }, { "v=STSv1; id=a\r\n" }, { "v=STSv1; id=\"a\"" },
		{ "v=STSv1; id=a; x=" }, { "v=STSv1; id=a; =x" }, { "v=STSv1; id=a; x=y=z" },
		{ "v=STSv1; id=a; -x=y" }, { "v=STSv1; id=a; x=\x01" }, { "v=STSv1; id=a; x=\x7f" },
		{ "v=STSv1; id=a; abcdefghijklmnopqrstuvwxyz0123456=1" },
		{ "v=STSv2; id=a" }, { "v=STSv10; id=a" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		char id[33];

		if (record(rows[i], id))
			fail_msg("%s", rows[i][0]);
	}
}

static void
hostile_record_data_is_no_record(void **state)
{
	static char big[65000];
	struct ph_str data[2] = { { "\x20v=STSv1; id=a", 14 }, { "\x0dv=STSv1; id=a", 14 } };
	struct ph__dns_answer a = { .status = PH__DNS_FOUND, .data = data, .count = 2 };
	char id[33];
	size_t n = 0;

	(void)state;
	assert_true(ph__sts_record(&a, id)); /* a string that goes on behind the end is none */
	a.status = PH__DNS_NODATA;
	assert_false(ph__sts_record(&a, id));
	a.status = PH__DNS_FOUND;
	data[0] = (struct ph_str){ "\x0dv=STSv1; id=a\x01", 15 };
	assert_false(ph__sts_record(&a, id)); /* but one that was read half counts, and is malformed */
	n += wire(big, "v=STSv1; id=a; x=y");
	while (n < sizeof big - 256)
		n += wire(big + n, "; aaaaaaaaaaaaaaaaaaaa=bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb");
	data[0] = (struct ph_str){ big, n };
	a.count = 1;
	assert_false(ph__sts_record(&a, id));
	data[0] = (struct ph_str){ NULL, 0 };
	assert_false(ph__sts_record(&a, id));
}

/* ---- policies -------------------------------------------------------------------------------- */

static struct ph__sts_policy *
parse(const char *text)
{
	struct ph__sts_policy *p = NULL;
	struct ph_error err = PH_ERROR_INIT;
	enum ph_code rc = ph__sts_policy_parse(&p, ph__str(text), "id1", &ph__libc_memory, &err);

	if (rc != PH_OK) {
		assert_null(p);
		assert_int_equal(rc, PH_EPROTOCOL);
		assert_int_equal(err.code, PH_EPROTOCOL);
		assert_non_null(strstr(err.text, "the MTA-STS policy is invalid"));
	}
	return p;
}

#define HEAD "version: STSv1\n"
#define TAIL "\nmx: a.example\nmax_age: 604800\n"

static void
a_policy_is_read(void **state)
{
	static const struct {
		const char *text;
		enum ph__sts_mode mode;
		uint32_t max_age;
		const char *mx[4];
	} rows[] = {
		{ "version: STSv1\r\nmode: enforce\r\nmx: mail.example.com\r\nmx: *.example.net\r\n"
		  "mx: backupmx.example.com\r\nmax_age: 604800\r\n", PH__STS_ENFORCE, 604800,
		  { "mail.example.com", "*.example.net", "backupmx.example.com" } },
		{ "version: STSv1\nmode: testing\nmx: mail.example.com\nmax_age: 0", PH__STS_TESTING, 0,
		  { "mail.example.com" } },
		{ "version: STSv1\nmode: none\nmax_age: 31557600", PH__STS_NONE, 31557600, { NULL } },
		/* more than the RFC's most counts as that */
		{ "version: STSv1\nmode: none\nmax_age: 31557601", PH__STS_NONE, 31557600, { NULL } },
		{ "version: STSv1\nmode: none\nmax_age: 4294967297", PH__STS_NONE, 31557600, { NULL } },
		{ "version: STSv1\nmode: none\nmax_age: 9999999999", PH__STS_NONE, 31557600, { NULL } },
		{ "version: STSv1\nmode: none\nmax_age: 0000086400\nmx: a.example", PH__STS_NONE, 86400,
		  { "a.example" } },
		/* the order is free, blanks too; LF and CRLF may be mixed */
		{ "max_age:86400\r\nmx:  \t a.example \t \nmode:enforce\nversion:STSv1", PH__STS_ENFORCE,
		  86400, { "a.example" } },
		/* unknown keys are ignored, whatever they say; of two the first counts */
		{ HEAD "mode: enforce" TAIL "mode: none\nmax_age: -1\nversion: STSv2\n", PH__STS_ENFORCE,
		  604800, { "a.example" } },
		{ HEAD "x-y.z_0: a b c: d \xe4\xb8\xad\nMode: none\nmode: enforce" TAIL, PH__STS_ENFORCE,
		  604800, { "a.example" } },
		/* empty lines, and blanks around a line */
		{ "\n" HEAD "\r\n \t \n  mode: enforce" TAIL "\n\n", PH__STS_ENFORCE, 604800,
		  { "a.example" } },
		/* names in lower case, A-labels as they are */
		{ HEAD "mode: enforce\nmx: MAIL.Example.COM\nmx: *.xn--fsqu00a.xn--0zwm56d\nmx: a_b.c\n"
		  "max_age: 1", PH__STS_ENFORCE, 1,
		  { "mail.example.com", "*.xn--fsqu00a.xn--0zwm56d", "a_b.c" } },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct ph__sts_policy *p = parse(rows[i].text);

		if (p == NULL)
			fail_msg("%s", rows[i].text);
		assert_int_equal(p->mode, rows[i].mode);
		assert_int_equal(p->max_age, rows[i].max_age);
		assert_string_equal(p->id, "id1");
		for (size_t k = 0; k < p->mx_count; k++)
			assert_string_equal(p->mx[k], rows[i].mx[k]);
		assert_null(rows[i].mx[p->mx_count]);
		ph__sts_policy_free(&p, &ph__libc_memory);
		assert_null(p);
	}
}

static void
what_is_no_policy_is_refused_whole(void **state)
{
	static const char *const rows[] = {
		"", "\n\n", "<html>\n", "not found\n",
		/* version */
		"mode: enforce" TAIL, "version: STSv2\nmode: enforce" TAIL, "version: stsv1\nmode: enforce" TAIL,
		"version: STSv2\nversion: STSv1\nmode: enforce" TAIL, "Version: STSv1\nmode: enforce" TAIL,
		/* mode */
		HEAD "mx: a.example\nmax_age: 1", HEAD "mode: Enforce" TAIL, HEAD "mode: report" TAIL,
		HEAD "mode:" TAIL, HEAD "mode: bogus\nmode: enforce" TAIL, HEAD "mode : enforce" TAIL,
		/* max_age: a number of at most ten digits */
		HEAD "mode: enforce\nmx: a.example", HEAD "mode: enforce\nmx: a.example\nmax_age: -1",
		HEAD "mode: enforce\nmx: a.example\nmax_age: 18446744073709551617",
		HEAD "mode: enforce\nmx: a.example\nmax_age: 00000086400",
		HEAD "mode: enforce\nmx: a.example\nmax_age: 1e3", HEAD "mode: enforce\nmx: a.example\nmax_age: 1 2",
		HEAD "mode: enforce\nmx: a.example\nmax_age:",
		/* mx: at least one, but for none */
		HEAD "mode: enforce\nmax_age: 1", HEAD "mode: testing\nmax_age: 1",
		HEAD "mode: none\nmx: *\nmax_age: 1",
		HEAD "mode: enforce\nmx: *" TAIL, HEAD "mode: enforce\nmx: *." TAIL,
		HEAD "mode: enforce\nmx: .example.com" TAIL, HEAD "mode: enforce\nmx: example.com." TAIL,
		HEAD "mode: enforce\nmx: a..example" TAIL, HEAD "mode: enforce\nmx: *.*.example" TAIL,
		HEAD "mode: enforce\nmx: a.*.example" TAIL, HEAD "mode: enforce\nmx: mail*.example" TAIL,
		HEAD "mode: enforce\nmx: *mail.example" TAIL, HEAD "mode: enforce\nmx: a.example,b.example" TAIL,
		HEAD "mode: enforce\nmx: a.example b.example" TAIL, HEAD "mode: enforce\nmx: -a.example" TAIL,
		HEAD "mode: enforce\nmx: a-.example" TAIL, HEAD "mode: enforce\nmx: [192.0.2.1]" TAIL,
		HEAD "mode: enforce\nmx: a/b" TAIL, HEAD "mode: enforce\nmx: b\xc3\xbc.example" TAIL,
		HEAD "mode: enforce\nmx:" TAIL,
		HEAD "mode: enforce\nmx: "
		"a23456789012345678901234567890123456789012345678901234567890abcd.example" TAIL,
		/* lines that are no fields */
		HEAD "mode: enforce\njust words" TAIL, HEAD "mode: enforce\n: x" TAIL,
		HEAD "mode: enforce\nx y: z" TAIL, HEAD "mode: enforce\nx:" TAIL,
		HEAD "mode: enforce\nx: a\x01" TAIL, HEAD "mode: enforce\nx: a\rb" TAIL,
		HEAD "mode: enforce\nx: \xff" TAIL, "\xef\xbb\xbf" HEAD "mode: enforce" TAIL,
		HEAD "mode: enforce\n\x1b[2Jx: y" TAIL,
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		if (parse(rows[i]) != NULL)
			fail_msg("row %zu: %s", i, rows[i]);
}

static void
a_nul_is_no_text(void **state)
{
	static const char text[] = HEAD "mode: enforce\nx: a\0b" TAIL;
	struct ph__sts_policy *p;

	(void)state;
	assert_int_equal(ph__sts_policy_parse(&p, (struct ph_str){ text, sizeof text - 1 }, "",
	                                      &ph__libc_memory, NULL), PH_EPROTOCOL);
}

static void
size_and_servers_are_bounded(void **state)
{
	static char text[PH__POLICY_MAX + 2];
	static const char head[] = HEAD "mode: enforce\nmax_age: 1\n";
	struct ph__sts_policy *p;
	size_t n = sizeof head - 1;

	(void)state;
	memcpy(text, head, n);
	for (size_t i = 0; i < PH__POLICY_MX_MAX; i++, n += 8)
		memcpy(text + n, "mx: a.b\n", 8);
	assert_non_null(p = parse(text));
	assert_int_equal(p->mx_count, PH__POLICY_MX_MAX);
	ph__sts_policy_free(&p, &ph__libc_memory);
	memcpy(text + n, "mx: a.b\n", 8);
	assert_null(parse(text));
	memset(text + n, '\n', PH__POLICY_MAX - n);
	assert_non_null(p = parse(text));
	ph__sts_policy_free(&p, &ph__libc_memory);
	text[PH__POLICY_MAX] = '\n';
	assert_null(parse(text));
}

static void
a_lack_of_memory_leaves_nothing_behind(void **state)
{
	static const char text[] = HEAD "mode: enforce\nmx: a.example\nmx: b.example\nmax_age: 1\n";
	struct failing_memory fm;

	(void)state;
	for (size_t n = 1; failing_memory_try(&fm, n); n++) {
		struct ph__sts_policy *p, *copy = NULL;

		if (ph__sts_policy_parse(&p, ph__str(text), "x", &fm.mem, NULL) == PH_OK)
			copy = ph__sts_policy_copy(p, &fm.mem);
		else
			assert_true(fm.failed);
		assert_true((copy == NULL) == fm.failed);
		if (copy != NULL) {
			assert_int_equal(copy->mx_count, 2);
			assert_string_equal(copy->mx[1], "b.example");
			assert_string_equal(copy->id, "x");
		}
		ph__sts_policy_free(&copy, &fm.mem);
		ph__sts_policy_free(&p, &fm.mem);
		assert_int_equal(fm.live, 0);
	}
}

/* ---- matching -------------------------------------------------------------------------------- */

static void
a_wildcard_is_one_whole_left_most_label(void **state)
{
	static const struct { const char *pattern, *mx; bool yes; } rows[] = {
		{ "mail.example.com", "mail.example.com", true },
		{ "mail.example.com", "MAIL.Example.COM", true },
		{ "MAIL.example.com", "mail.example.com.", true },
		{ "mail.example.com", "mail.example.com.evil.example", false },
		{ "mail.example.com", "example.com", false },
		{ "mail.example.com", "a.mail.example.com", false },
		{ "*.example.com", "mail.example.com", true },
		{ "*.example.com", "MX1.EXAMPLE.com", true },
		{ "*.example.com", "example.com", false },
		{ "*.example.com", "a.mail.example.com", false },
		{ "*.example.com", ".example.com", false },
		{ "*.example.com", "mail.example.com.evil", false },
		{ "*.example.com", "mailexample.com", false },
		{ "*.example.com", "*.example.com", true },
		{ "*.com", "example.com", true },
		{ "*.example.com", "", false }, { "*.example.com", ".", false }, { "*.a", "a", false },
		{ "a", "a", true },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		char text[200];
		struct ph__sts_policy *p;

		snprintf(text, sizeof text, HEAD "mode: enforce\nmax_age: 1\nmx: first.test\nmx: %s",
		         rows[i].pattern);
		assert_non_null(p = parse(text));
		if (ph__sts_matches(p, rows[i].mx) != rows[i].yes)
			fail_msg("%s %s", rows[i].pattern, rows[i].mx);
		assert_true(ph__sts_matches(p, "first.test"));
		ph__sts_policy_free(&p, &ph__libc_memory);
	}
}

static void
names_are_those_of_the_standards(void **state)
{
	(void)state;
	assert_string_equal(ph__sts_mode_name(PH__STS_NONE), "none");
	assert_string_equal(ph__sts_mode_name(PH__STS_TESTING), "testing");
	assert_string_equal(ph__sts_mode_name(PH__STS_ENFORCE), "enforce");
	assert_null(ph__sts_failure_name(PH__STS_FINE));
	assert_string_equal(ph__sts_failure_name(PH__STS_FETCH_ERROR), "sts-policy-fetch-error");
	assert_string_equal(ph__sts_failure_name(PH__STS_WEBPKI_INVALID), "sts-webpki-invalid");
	assert_string_equal(ph__sts_failure_name(PH__STS_POLICY_INVALID), "sts-policy-invalid");
}

/* ---- what is to be done ---------------------------------------------------------------------- */

#define NOW 1000000000
#define DAY 86400
#define WEEK 604800

/* Every combination of what is kept (nothing, fresh, a day old, in its last second, expired, of a clock
 * that was set back a little, a lot), of the TXT record (none, the same id, another), and of the last
 * failure (none, for this id less than five minutes ago, five minutes ago, for another id, without TXT
 * record, in the future). */
static void
a_policy_is_used_while_valid_and_fetched_when_needed(void **state)
{
	static const struct { const char *what; bool there; int64_t fetched; bool use, stale; } kept[] = {
		{ "nothing", false, 0, false, false },
		{ "just fetched", true, NOW, true, false },
		{ "fresh", true, NOW - DAY + 1, true, false },
		{ "a day old", true, NOW - DAY, true, true },
		{ "in its last second", true, NOW - WEEK, true, true },
		{ "expired", true, NOW - WEEK - 1, false, false },
		{ "of a clock set back", true, NOW + 3600, true, true },
		{ "of a clock set back far", true, NOW + WEEK + 1, false, false },
		{ "of the year 9999", true, 253402300799, false, false },
	};
	static const struct { const char *what; int64_t tried; const char *id; bool fresh; } failures[] = {
		{ "no failure", 0, "", false },
		{ "a failure now", NOW, NULL, true },
		{ "299 s ago", NOW - 299, NULL, true },
		{ "300 s ago", NOW - 300, NULL, false },
		{ "for another id", NOW - 10, "other", false },
		{ "in the future", NOW + 299, NULL, true },
		{ "in the far future", NOW + 300, NULL, false },
	};
	static const char *const ids[] = { NULL, "same", "new" };

	(void)state;
	for (size_t k = 0; k < COUNT(kept); k++)
		for (size_t t = 0; t < COUNT(ids); t++)
			for (size_t f = 0; f < COUNT(failures); f++) {
				const char *id = ids[t] != NULL ? ids[t] : "";
				struct ph__sts_kept x = {
					.there = kept[k].there, .fetched = kept[k].fetched, .max_age = WEEK,
					.id = kept[k].there ? "same" : NULL, .tried = failures[f].tried,
					.tried_id = failures[f].id != NULL ? failures[f].id : id,
				};
				bool wanted = kept[k].use ? kept[k].stale || t == 2 : t != 0;
				struct ph__sts_todo todo = ph__sts_decide(&x, ids[t], NOW);

				if (todo.use != kept[k].use || todo.fetch != (wanted && !failures[f].fresh))
					fail_msg("%s, TXT id %s, %s: use %d, fetch %d", kept[k].what, id,
					         failures[f].what, todo.use, todo.fetch);
			}
}

static void
a_policy_of_no_age_is_used_at_once_and_never_again(void **state)
{
	struct ph__sts_kept x = { .there = true, .fetched = NOW, .max_age = 0, .id = "same" };

	(void)state;
	assert_true(ph__sts_decide(&x, "same", NOW).use);
	assert_false(ph__sts_decide(&x, "same", NOW + 1).use);
	assert_true(ph__sts_decide(&x, "same", NOW + 1).fetch);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_record_gives_its_id),
		cmocka_unit_test(none_or_two_or_a_malformed_record_is_no_policy),
		cmocka_unit_test(hostile_record_data_is_no_record),
		cmocka_unit_test(a_policy_is_read),
		cmocka_unit_test(what_is_no_policy_is_refused_whole),
		cmocka_unit_test(a_nul_is_no_text),
		cmocka_unit_test(size_and_servers_are_bounded),
		cmocka_unit_test(a_lack_of_memory_leaves_nothing_behind),
		cmocka_unit_test(a_wildcard_is_one_whole_left_most_label),
		cmocka_unit_test(names_are_those_of_the_standards),
		cmocka_unit_test(a_policy_is_used_while_valid_and_fetched_when_needed),
		cmocka_unit_test(a_policy_of_no_age_is_used_at_once_and_never_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
