/* SPDX-License-Identifier: MIT */
/* mail/header.h. What is written is read back by a small decoder of RFC 2047 here, so that the
 * space rule and the cutting of characters are judged from the reader's side. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>
#include <cmocka.h>

#include "failing_memory.h"
#include "base/base64.h"
#include "mail/encode.h"
#include "mail/header.h"

static struct ph__buf out, back;

static int
setup(void **state)
{
	(void)state;
	ph__buf_init(&out, &ph__libc_memory, 1 << 22);
	ph__buf_init(&back, &ph__libc_memory, 1 << 22);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	ph__buf_done(&out);
	ph__buf_done(&back);
	return 0;
}

static enum ph_code
text(const char *name, const char *value)
{
	ph__buf_reset(&out);
	return ph__header_add_text(&out, ph__str(name), ph__str(value), PH__HEADER_LITERAL, NULL);
}

static enum ph_code
prepared(const char *value)
{
	ph__buf_reset(&out);
	return ph__header_add_text(&out, ph__str("X"), ph__str(value), PH__HEADER_PREPARED, NULL);
}

static enum ph_code
mailboxes(const char *value)
{
	struct ph__mailboxes list;
	enum ph_code rc;

	ph__buf_reset(&out);
	ph__mailboxes_init(&list, &ph__libc_memory);
	rc = ph__mailboxes_parse(&list, ph__str(value), "To", NULL);
	assert_int_equal(rc, PH_OK);
	rc = ph__header_add_mailboxes(&out, ph__str("To"), &list, NULL);
	ph__mailboxes_done(&list);
	return rc;
}

static void
assert_out(const char *want)
{
	assert_string_equal(ph__buf_cstr(&out), want);
}

/* Length of the encoded-word at s, whose text goes to `to`; 0 when there is none. */
static size_t
decode_word(struct ph_str s, struct ph__buf *to)
{
	const char *end;
	size_t from = to->len;

	if (s.len < 12 || memcmp(s.ptr, "=?UTF-8?", 8) != 0 ||
	    (end = memmem(s.ptr + 10, s.len - 10, "?=", 2)) == NULL)
		return 0;
	if (s.ptr[8] == 'B') {
		assert_true(ph__base64_decode(
		    to, (struct ph_str){ s.ptr + 10, (size_t)(end - s.ptr) - 10 }));
	} else {
		for (const char *p = s.ptr + 10; p < end; p++) {
			char two[3] = "";

			if (*p == '=') {
				memcpy(two, p + 1, 2);
				p += 2;
				ph__buf_add_char(to, (char)strtoul(two, NULL, 16));
			} else {
				assert_true(ph__is_alnum(*p) || strchr("_!*+-/", *p) != NULL);
				ph__buf_add_char(to, *p == '_' ? ' ' : *p);
			}
		}
	}
	assert_true(end + 2 - s.ptr <= 75);
	assert_true(to->len > from);
	assert_true(ph__str_is_utf8(
	    (struct ph_str){ to->p + from, to->len - from })); /* no character cut */
	return (size_t)(end + 2 - s.ptr);
}

/* Judges the field's lines; its value, unfolded, to `flat`. */
static void
unfold(size_t name_len, struct ph__buf *flat)
{
	struct ph_str rest = ph__buf_str(&out);
	size_t skip = name_len + 2;

	assert_true(ph__str_is_ascii(rest));
	while (rest.len != 0) {
		const char *begin = rest.ptr;
		struct ph_str line = ph__take_line(&rest);

		assert_int_equal(rest.ptr - begin, line.len + 2);
		assert_memory_equal(rest.ptr - 2, "\r\n", 2);
		assert_true(line.len <= 998);
		if (memmem(line.ptr, line.len, "=?UTF-8?", 8) != NULL)
			assert_true(line.len <= 76);
		else if (line.len > 78) /* only a single word may be so long */
			assert_null(memchr(line.ptr + skip, ' ', line.len - skip));
		assert_true(begin == out.p || line.ptr[0] == ' ');
		ph__buf_add(flat, line.ptr, line.len);
		skip = 1;
	}
	ph__buf_drop_front(flat, flat->len > name_len + 1 ? name_len + 2 : flat->len);
}

/* Unfolds and decodes the value into `back` as a reader does (RFC 2047 §6.2). */
static void
read_back(size_t name_len)
{
	struct ph__buf flat, word;
	struct ph_str s;
	bool was_word = false;

	ph__buf_init(&flat, &ph__libc_memory, 1 << 22);
	ph__buf_init(&word, &ph__libc_memory, 1000);
	unfold(name_len, &flat);
	ph__buf_reset(&back);
	for (s = ph__buf_str(&flat); s.len != 0; ) {
		size_t gap = strspn(s.ptr, " "), n;

		ph__buf_reset(&word);
		n = decode_word((struct ph_str){ s.ptr + gap, s.len - gap }, &word);
		if (n == 0 || !was_word)
			ph__buf_add(&back, s.ptr, gap);
		was_word = n != 0;
		if (n == 0) {
			n = strcspn(s.ptr + gap, " ");
			ph__buf_add(&word, s.ptr + gap, n);
		}
		ph__buf_add(&back, word.p, word.len);
		s.ptr += gap + n;
		s.len -= gap + n;
	}
	ph__buf_done(&flat);
	ph__buf_done(&word);
}

static void
assert_text_survives(const char *name, const char *value)
{
	assert_int_equal(text(name, value), PH_OK);
	read_back(strlen(name));
	assert_string_equal(ph__buf_cstr(&back), value);
}

static void
ascii_text_goes_out_as_it_is(void **state)
{
	(void)state;
	assert_int_equal(text("Subject", "Hello, world"), PH_OK);
	assert_out("Subject: Hello, world\r\n");
	assert_int_equal(text("Subject", ""), PH_OK);
	assert_out("Subject:\r\n");
	assert_int_equal(text("X", "a  b = ? \"c\" (d) <e>"), PH_OK);
	assert_out("X: a  b = ? \"c\" (d) <e>\r\n");
}

static void
no_control_character_passes_anywhere(void **state)
{
	static const char *const values[] = { "%", "a%", "%a", "a % b", "\xc3\xa9%" };
	char value[16];

	(void)state;
	ph__buf_add_str(&out, "kept");
	for (int c = 0; c < 0x21; c++) {
		char octet = c == 0x20 ? 0x7f : (char)c;
		char name[] = { 'X', octet, 'Y' };
		struct ph_error err = PH_ERROR_INIT;

		for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
			struct ph_str s = { value, strlen(values[i]) };

			memcpy(value, values[i], s.len + 1);
			*strchr(value, '%') = octet;
			assert_int_equal(
			    ph__header_add_text(&out, ph__str("X"), s, PH__HEADER_LITERAL, &err),
			    PH_EINPUT);
			assert_int_equal(
			    ph__header_add_text(&out, ph__str("X"), s, PH__HEADER_PREPARED, &err),
			    PH_EINPUT);
			assert_int_equal(ph__header_add_structured(&out, ph__str("X"), s, &err),
			                 PH_EINPUT);
			assert_int_equal(err.code, PH_EINPUT);
		}
		assert_int_equal(ph__header_add_text(&out, (struct ph_str){ name, 3 }, ph__str("x"),
		                                     PH__HEADER_LITERAL, NULL),
		                 PH_EINPUT);
	}
	assert_int_equal(ph__header_add_text(&out, ph__str("X"),
	                                     ph__str("a\xc2\x85"
	                                             "b"),
	                                     PH__HEADER_LITERAL, NULL),
	                 PH_EINPUT);
	assert_out("kept");
}

static void
names_are_printable_ascii_without_colon(void **state)
{
	static const char *const wrong[] = {
		"",
		" ",
		"a b",
		"a:",
		":",
		"\xc3\xa9",
		"a\t",
		"A-Name-Of-Seventy-Seven-Octets-0123456789012345678901234567890123456789012345"
	};

	(void)state;
	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
		assert_int_equal(text(wrong[i], "x"), PH_EINPUT);
	assert_text_survives(
	    "A-Name-Of-Seventy-Six-Octets-01234567890123456789012345678901234567890123456",
	    "ab c\xc3\xa9 d");
}

static void
mailbox_names_cannot_carry_control_characters(void **state)
{
	struct ph__mailbox m = { .kind = PH__MAILBOX,
		                 .name = ph__str("a\r\nBcc: x"),
		                 .address = ph__str("a@b") };
	struct ph__mailboxes list = { .items = &m, .count = 1 };

	(void)state;
	assert_int_equal(ph__header_add_mailboxes(&out, ph__str("To"), &list, NULL), PH_EINPUT);
	m.encoded = true;
	assert_int_equal(ph__header_add_mailboxes(&out, ph__str("To"), &list, NULL), PH_EINPUT);
	m.name = ph__str("");
	m.address = ph__str("a@b\r\nBcc: x");
	assert_int_equal(ph__header_add_mailboxes(&out, ph__str("To"), &list, NULL), PH_EINPUT);
	m.address = ph__str("a@b");
	m.name = ph__str("caf\xe9");
	assert_int_equal(ph__header_add_mailboxes(&out, ph__str("To"), &list, NULL), PH_EINPUT);
	assert_int_equal(out.len, 0);
}

static void
lines_fold_at_78_columns(void **state)
{
	(void)state;
	assert_int_equal(
	    text("Subject",
	         "123456789 123456789 123456789 123456789 123456789 123456789 123456789 end"),
	    PH_OK);
	assert_out("Subject: 123456789 123456789 123456789 123456789 123456789 123456789 "
	           "123456789\r\n end\r\n");
	assert_int_equal(
	    text("Subject",
	         "123456789 123456789 123456789 123456789 123456789 123456789 12345 end"),
	    PH_OK);
	assert_out(
	    "Subject: 123456789 123456789 123456789 123456789 123456789 123456789 12345 end\r\n");
}

static void
non_ascii_words_become_encoded_words(void **state)
{
	(void)state;
	assert_int_equal(text("Subject", "caf\xc3\xa9teria, open"), PH_OK);
	assert_out("Subject: =?UTF-8?B?Y2Fmw6l0ZXJpYSw=?= open\r\n");
	assert_int_equal(text("Subject", "caf\xc3\xa9teria open"), PH_OK);
	assert_out("Subject: =?UTF-8?Q?caf=C3=A9teria?= open\r\n");
	assert_int_equal(text("Subject", "\xe4\xbd\xa0\xe5\xa5\xbd"), PH_OK);
	assert_out("Subject: =?UTF-8?B?5L2g5aW9?=\r\n");
	/* the space between neighbours is inside, the one to plain words outside */
	assert_int_equal(text("Subject", "a \xc3\xa9 \xc3\xa8 b"), PH_OK);
	assert_out("Subject: a =?UTF-8?B?w6kgw6g=?= b\r\n");
	assert_int_equal(text("Subject", "=?utf-8?q?x?="), PH_OK);
	assert_null(memmem(out.p, out.len, "=?utf-8", 7));
}

static void
texts_survive_the_reader(void **state)
{
	static const char *const values[] = {
		"a",
		"\xc3\xa9",
		" a",
		"a ",
		" ",
		"   ",
		"a  b",
		"\xc3\xa9  \xc3\xa8",
		"a  \xc3\xa9",
		"\xc3\xa9  a",
		" \xc3\xa9 ",
		"a \xc3\xa9 b \xc3\xa8 c",
		"=?utf-8?q?x?=",
		"a =?utf-8?q?x y?= b",
		"=? ?=",
		"x=?y",
		"=?UTF-8?B?w6k=?= \xc3\xa9",
		"\xf0\x9f\x98\x80\xf0\x9f\x98\x80\xf0\x9f\x98\x80",
		"a_b=c?d\xc3\xa9_=?",
	};

	(void)state;
	for (size_t i = 0; i < sizeof values / sizeof values[0]; i++)
		assert_text_survives("Subject", values[i]);
}

/* Every mixture of words and lengths, pseudo-random but always the same. */
static void
arbitrary_texts_survive_the_reader(void **state)
{
	static const char *const bits[] = {
		"a",          "bc", " ", " ",        "  ",           "=?",
		"?=",         "_",  "=", "\xc3\xa9", "\xe4\xbd\xa0", "\xf0\x9f\x98\x80",
		"longerword", "\"", ","
	};
	uint32_t seed = 1;
	char value[2000];

	(void)state;
	for (int round = 0; round < 3000; round++) {
		size_t len = 0, count = (size_t)round % 150;

		for (size_t i = 0; i < count; i++) {
			const char *bit =
			    bits[(seed = seed * 1664525 + 1013904223) >> 16 & 15 ? (seed >> 16) % 15
			                                                         : 0];

			memcpy(value + len, bit, strlen(bit));
			len += strlen(bit);
		}
		value[len] = '\0';
		assert_text_survives("Subject", value);
	}
}

static void
long_texts_are_cut_between_characters(void **state)
{
	static const char *const units[] = { "\xc3\xa9", "\xe4\xbd\xa0", "\xf0\x9f\x98\x80",
		                             "a\xc3\xa9", "abcdefghijkl\xc3\xa9 " };
	char value[4000];

	(void)state;
	for (size_t u = 0; u < sizeof units / sizeof units[0]; u++) {
		for (size_t lead = 0; lead < 80; lead++) {
			size_t len = lead;

			memset(value, 'x', lead);
			for (int i = 0; i < 60; i++) {
				memcpy(value + len, units[u], strlen(units[u]));
				len += strlen(units[u]);
			}
			value[len] = '\0';
			assert_text_survives("Subject", value);
		}
	}
}

static void
a_word_over_the_line_limit_is_encoded(void **state)
{
	char value[3000];

	(void)state;
	for (size_t n = 980; n < 1000; n++) {
		memset(value, 'x', n);
		memcpy(value + n, " y", 3);
		assert_text_survives("Subject", value);
	}
	memset(value, 'x', 2999);
	value[2999] = '\0';
	assert_text_survives("Subject", value);
	assert_int_equal(
	    ph__header_add_structured(&out, ph__str("References"), ph__str(value), NULL),
	    PH_EINPUT);
}

static void
prepared_encoded_words_stay(void **state)
{
	(void)state;
	assert_int_equal(prepared("=?utf-8?q?x?= y"), PH_OK);
	assert_out("X: =?utf-8?q?x?= y\r\n");
	/* the space between ours and theirs must not be lost */
	assert_int_equal(prepared("=?UTF-8?Q?x?= \xc3\xa9\xc3\xa9\xc3\xa9 =?UTF-8?Q?y?="), PH_OK);
	read_back(1);
	assert_string_equal(ph__buf_cstr(&back), "x \xc3\xa9\xc3\xa9\xc3\xa9 y");
}

static void
structured_values_are_ascii(void **state)
{
	(void)state;
	assert_int_equal(
	    ph__header_add_structured(&out, ph__str("Message-ID"), ph__str("<a@b>"), NULL), PH_OK);
	assert_out("Message-ID: <a@b>\r\n");
	assert_int_equal(ph__header_add_structured(&out, ph__str("X"), ph__str("\xc3\xa9"), NULL),
	                 PH_EINPUT);
	assert_out("Message-ID: <a@b>\r\n");
}

static void
display_names_are_quoted_or_encoded_as_needed(void **state)
{
	static const char *const cases[][2] = {
		{ "a@b", "To: a@b\r\n" },
		{ "<a@b>", "To: a@b\r\n" },
		{ "Joe Public <a@b>", "To: Joe Public <a@b>\r\n" },
		{ "Joe Q. Public <a@b>", "To: \"Joe Q. Public\" <a@b>\r\n" },
		{ "\"Public, \\\"Joe\\\" \\\\\" <a@b>",
		  "To: \"Public, \\\"Joe\\\" \\\\\" <a@b>\r\n" },
		{ "M\xc3\xbcller <a@b>", "To: =?UTF-8?Q?M=C3=BCller?= <a@b>\r\n" },
		{ "\"M\xc3\xbcller, J.\" <a@b>", "To: =?UTF-8?B?TcO8bGxlciwgSi4=?= <a@b>\r\n" },
		{ "=?utf-8?Q?M=C3=BCller?= <a@b>", "To: =?utf-8?Q?M=C3=BCller?= <a@b>\r\n" },
		{ "\"=?utf-8?Q?M?=\" <a@b>", "To: =?UTF-8?B?PT91dGYtOD9RP00/PQ==?= <a@b>\r\n" },
		{ "a@b\xc3\xbc"
		  "cher.example",
		  "To: a@xn--bcher-kva.example\r\n" },
		{ "\xc3\xa9@b", "To: \xc3\xa9@b\r\n" },
		{ "g: a@b, x <c@d>; , e@f", "To: g: a@b, x <c@d>;, e@f\r\n" },
		{ "undisclosed-recipients:;", "To: undisclosed-recipients:;\r\n" },
		{ "M\xc3\xbc: a@b;", "To: =?UTF-8?B?TcO8?=: a@b;\r\n" },
		{ "", "To: undisclosed-recipients:;\r\n" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		assert_int_equal(mailboxes(cases[i][0]), PH_OK);
		assert_out(cases[i][1]);
	}
}

static void
lists_fold_between_mailboxes(void **state)
{
	(void)state;
	assert_int_equal(mailboxes("First Person <first.person@example.org>, Second Person "
	                           "<second.person@example.org>, c@d"),
	                 PH_OK);
	assert_out("To: First Person <first.person@example.org>,\r\n Second Person "
	           "<second.person@example.org>, c@d\r\n");
}

/* Lists of all shapes read back to what went in. */
static void
lists_survive_the_reader(void **state)
{
	static const char *const names[] = {
		"",
		"Joe",
		"Joe Q. Public",
		"\"a  b\"",
		"\" x \"",
		"M\xc3\xbcller",
		"\"\\\"\\\\\"",
		"\"A rather long name, which does not fit on one line together with the address "
		"that follows it\"",
		"\xe4\xbd\xa0\xe5\xa5\xbd\xe4\xbd\xa0\xe5\xa5\xbd\xe4\xbd\xa0\xe5\xa5\xbd\xe4\xbd"
		"\xa0\xe5\xa5\xbd\xe4\xbd\xa0\xe5\xa5\xbd\xe4\xbd\xa0\xe5\xa5\xbd"
	};
	static const char address[] =
	    "someone.with.a.long.local.part@a-long-domain-name.example.org";

	(void)state;
	for (size_t n = 0; n < 9 * 9 * 60; n++) {
		struct ph__mailboxes in, again;
		struct ph__buf list;
		struct ph_str value;

		ph__buf_init(&list, &ph__libc_memory, 10000);
		ph__buf_addf(&list, "%s <%s>, %s <%s>, z@y", names[n % 9], address + n / 81 % 29,
		             names[n / 9 % 9], address + n / 162);
		ph__mailboxes_init(&in, &ph__libc_memory);
		ph__mailboxes_init(&again, &ph__libc_memory);
		assert_int_equal(ph__mailboxes_parse(&in, ph__buf_str(&list), "To", NULL), PH_OK);
		ph__buf_reset(&out);
		assert_int_equal(ph__header_add_mailboxes(&out, ph__str("To"), &in, NULL), PH_OK);
		value = (struct ph_str){ out.p + 3, out.len - 5 };
		assert_int_equal(ph__mailboxes_parse(&again, value, "To", NULL), PH_OK);
		assert_int_equal(again.count, in.count);
		for (size_t i = 0; i < in.count; i++) {
			assert_true(ph__str_eq(in.items[i].address, again.items[i].address));
			if (!again.items[i].encoded)
				assert_true(ph__str_eq(in.items[i].name, again.items[i].name));
		}
		for (struct ph_str rest = ph__buf_str(&out); rest.len != 0; )
			assert_true(ph__take_line(&rest).len <= 78);
		ph__mailboxes_done(&in);
		ph__mailboxes_done(&again);
		ph__buf_done(&list);
	}
}

static void
huge_texts_take_linear_time(void **state)
{
	static const char *const units[] = { " ",         "x ",  "x",  "\xc3\xa9",
		                             "\xc3\xa9 ", "x  ", "=?", "=? ?= " };
	const size_t size = 1 << 20;
	char *value = malloc(size + 1);
	clock_t begin = clock();

	(void)state;
	for (size_t u = 0; u < sizeof units / sizeof units[0]; u++) {
		size_t n = strlen(units[u]);

		for (size_t i = 0; i < size; i++)
			value[i] = units[u][i % n];
		value[size / n * n] = '\0';
		text("Subject", value);
		prepared(value);
	}
	free(value);
	assert_true(clock() - begin < 20 * CLOCKS_PER_SEC);
}

static void
lack_of_memory_is_reported_and_the_field_undone(void **state)
{
	struct failing_memory fm;
	struct ph__mailboxes list;

	(void)state;
	ph__mailboxes_init(&list, &ph__libc_memory);
	ph__mailboxes_parse(&list,
	                    ph__str("\"A, b\" <a@b>, M\xc3\xbcller <m@b\xc3\xbc.example>, g: x@y;"),
	                    "To", NULL);
	for (size_t n = 1; failing_memory_try(&fm, n); n++) {
		struct ph__buf b;
		enum ph_code rc;

		ph__buf_init(&b, &fm.mem, 10000);
		rc = ph__header_add_text(
		    &b, ph__str("Subject"),
		    ph__str("t\xc3\xa9xt of some length, "
		            "\xe4\xbd\xa0\xe5\xa5\xbd\xe4\xbd\xa0\xe5\xa5\xbd"),
		    PH__HEADER_LITERAL, NULL);
		if (rc == PH_OK)
			rc = ph__header_add_mailboxes(&b, ph__str("To"), &list, NULL);
		if (rc == PH_OK)
			rc = ph__header_add_structured(&b, ph__str("Message-ID"), ph__str("<x@y>"),
			                               NULL);
		assert_int_equal(rc, fm.failed ? PH_ESYSTEM : PH_OK);
		assert_true(b.len == 0 || b.p[b.len - 1] == '\n');
		ph__buf_done(&b);
		assert_int_equal(fm.live, 0);
	}
	ph__mailboxes_done(&list);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(ascii_text_goes_out_as_it_is),
		T(no_control_character_passes_anywhere),
		T(names_are_printable_ascii_without_colon),
		T(mailbox_names_cannot_carry_control_characters),
		T(lines_fold_at_78_columns),
		T(non_ascii_words_become_encoded_words),
		T(texts_survive_the_reader),
		T(arbitrary_texts_survive_the_reader),
		T(long_texts_are_cut_between_characters),
		T(a_word_over_the_line_limit_is_encoded),
		T(prepared_encoded_words_stay),
		T(structured_values_are_ascii),
		T(display_names_are_quoted_or_encoded_as_needed),
		T(lists_fold_between_mailboxes),
		T(lists_survive_the_reader),
		T(huge_texts_take_linear_time),
		T(lack_of_memory_is_reported_and_the_field_undone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
