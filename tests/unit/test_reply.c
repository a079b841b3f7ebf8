/* SPDX-License-Identifier: MIT */
/* The reply parser: every input whole, octet by octet, and cut in two at every place. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/bounds.h"
#include "failing_memory.h"
#include "smtp/reply.h"

/* Parses what is fed in two parts, the first of `cut` octets (0: octet by octet) and notes each
 * reply as "code enhanced text|", the end as "bad", "more" or "". */
static void
parse(const char *octets, size_t n, size_t cut, char *told, size_t size)
{
	struct ph__reply_parser r;
	char *in = test_malloc(n + 1);
	size_t have = 0, at = 0;

	ph__reply_init(&r, &ph__libc_memory);
	told[0] = '\0';
	while (at < n || have != 0) {
		size_t part = cut == 0 ? 1 : at == 0 ? cut : n - at, used;
		struct ph_reply reply = { 0 };
		enum ph__reply_state state;

		if (at < n) {
			memcpy(in + have, octets + at, part);
			at += part;
			have += part;
		}
		state = ph__reply_feed(&r, in, have, &used, &reply);
		if (state == PH__REPLY_DONE) {
			size_t len = strlen(told);

			assert_int_equal(reply.text[reply.len], '\0');
			snprintf(told + len, size - len, "%u %u.%u.%u %.*s|", reply.code, reply.enhanced[0],
			         reply.enhanced[1], reply.enhanced[2], (int)reply.len, reply.text);
		}
		if (state == PH__REPLY_BAD) {
			assert_non_null(r.why);
			strcat(told, "bad");
			break;
		}
		assert_int_not_equal(state, PH__REPLY_NOMEM);
		memmove(in, in + used, have - used);
		have -= used;
		if (state == PH__REPLY_MORE && at == n) {
			if (have != 0 || r.lines != 0)
				strcat(told, "more");
			break;
		}
	}
	ph__reply_done(&r);
	test_free(in);
}

static void
check(const char *octets, size_t n, const char *want)
{
	char told[4096];

	for (size_t cut = 0; cut <= n; cut++) {
		parse(octets, n, cut, told, sizeof told);
		assert_string_equal(told, want);
	}
}
#define CHECK(octets, want) check(octets, sizeof(octets) - 1, want)

static void
replies_of_one_line(void **state)
{
	(void)state;
	CHECK("250 ok\r\n", "250 0.0.0 ok|");
	CHECK("250 2.1.0 ok\r\n", "250 2.1.0 2.1.0 ok|");
	CHECK("250\r\n", "250 0.0.0 |");
	CHECK("250 \r\n", "250 0.0.0 |");
	CHECK("354 \r\n450 x\r\n", "354 0.0.0 |450 0.0.0 x|");
	CHECK("599 odd\r\n", "599 0.0.0 odd|");
	CHECK("250  two blanks\r\n", "250 0.0.0  two blanks|");
}

static void
replies_of_several_lines(void **state)
{
	(void)state;
	CHECK("250-a\r\n250-b\r\n250 c\r\n", "250 0.0.0 a\nb\nc|");
	CHECK("250-a\r\n250\r\n", "250 0.0.0 a\n|");
	CHECK("250-\r\n250 \r\n", "250 0.0.0 \n|");
	CHECK("550-5.1.1 no\r\n550 5.1.1 such\r\n250 x\r\n", "550 5.1.1 5.1.1 no\n5.1.1 such|250 0.0.0 x|");
	CHECK("250-a\r\n250 b\r\n250-c\r\n250 d\r\n", "250 0.0.0 a\nb|250 0.0.0 c\nd|");
	CHECK("250-a\r\n", "more");
	CHECK("250-a\r\n25", "more");
}

static void
a_bare_lf_ends_a_line(void **state)
{
	(void)state;
	CHECK("250-a\n250 b\n", "250 0.0.0 a\nb|");
	CHECK("250 a\n", "250 0.0.0 a|");
	CHECK("250\n", "250 0.0.0 |");
}

static void
octets_are_kept_as_they_are(void **state)
{
	(void)state;
	CHECK("250 \303\251\r\n", "250 0.0.0 \303\251|");
	CHECK("250 a\rb\r\n", "250 0.0.0 a\rb|");
	CHECK("250 \033[2J\r\n", "250 0.0.0 \033[2J|");
}

static void
what_is_no_reply_is_bad(void **state)
{
	(void)state;
	CHECK("hello\r\n", "bad");
	CHECK("\r\n", "bad");
	CHECK("25\r\n", "bad");
	CHECK("25x ok\r\n", "bad");
	CHECK("250ok\r\n", "bad");
	CHECK("250_ok\r\n", "bad");
	CHECK("150 wait\r\n", "bad");
	CHECK("650 hm\r\n", "bad");
	CHECK("050 hm\r\n", "bad");
	CHECK("-250 ok\r\n", "bad");
	CHECK(" 250 ok\r\n", "bad");
	CHECK("250-a\r\n251 b\r\n", "bad");
	CHECK("250-a\r\nb\r\n", "bad");
	CHECK("250 a\r\nSSH-2.0-x\r\n", "250 0.0.0 a|bad");
	CHECK("\0\0\0\n", "bad");
}

static void
enhanced_codes_that_fit_the_class(void **state)
{
	static const struct { uint16_t code; const char *text; uint16_t want[3]; } v[] = {
		{ 250, "2.1.5 ok", { 2, 1, 5 } },       { 550, "5.7.509 spam", { 5, 7, 509 } },
		{ 550, "5.1.1", { 5, 1, 1 } },          { 550, "5.1.1\nmore", { 5, 1, 1 } },
		{ 550, "4.1.1 no", { 0 } },             { 250, "5.1.1 no", { 0 } },
		{ 550, "5.1 no", { 0 } },               { 550, "5.1.1.1 no", { 0 } },
		{ 550, "5.1.1no", { 0 } },              { 550, "5.1.1234 no", { 0 } },
		{ 550, "5..1 no", { 0 } },              { 550, " 5.1.1 no", { 0 } },
		{ 550, "", { 0 } },                     { 550, "5", { 0 } },
		{ 550, "5.", { 0 } },                   { 550, "5.1.", { 0 } },
		{ 450, "4.999.999 x", { 4, 999, 999 } }, { 550, "x", { 0 } },
	};

	(void)state;
	for (size_t i = 0; i < sizeof v / sizeof v[0]; i++) {
		uint16_t got[3] = { 9, 9, 9 };

		ph__reply_enhanced(v[i].code, ph__str(v[i].text), got);
		if (memcmp(got, v[i].want, sizeof got) != 0)
			fail_msg("%u %s: %u.%u.%u", v[i].code, v[i].text, got[0], got[1], got[2]);
	}
}

/* ---- bounds ---------------------------------------------------------------------------------- */

static enum ph__reply_state
feed_all(char *in, size_t n, bool *is_endless)
{
	struct ph__reply_parser r;
	struct ph_reply reply;
	enum ph__reply_state state = PH__REPLY_MORE;

	ph__reply_init(&r, &ph__libc_memory);
	for (size_t at = 0, used; at < n && state == PH__REPLY_MORE; at += used) {
		state = ph__reply_feed(&r, in + at, n - at, &used, &reply);
		if (used == 0 && state == PH__REPLY_MORE)
			break;
	}
	*is_endless = r.endless;
	ph__reply_done(&r);
	return state;
}

static void
a_line_has_a_bound(void **state)
{
	char *in = test_malloc(PH__REPLY_LINE_MAX + 2);
	bool is_endless;

	(void)state;
	memset(in, '2', PH__REPLY_LINE_MAX + 2);
	in[3] = ' ';
	in[PH__REPLY_LINE_MAX] = '\n';
	assert_int_equal(feed_all(in, PH__REPLY_LINE_MAX + 1, &is_endless), PH__REPLY_DONE);
	memset(in, '2', PH__REPLY_LINE_MAX + 2);
	in[3] = ' ';
	assert_int_equal(feed_all(in, PH__REPLY_LINE_MAX, &is_endless), PH__REPLY_MORE);
	assert_int_equal(feed_all(in, PH__REPLY_LINE_MAX + 1, &is_endless), PH__REPLY_BAD);
	assert_true(is_endless);
	in[PH__REPLY_LINE_MAX + 1] = '\n';
	assert_int_equal(feed_all(in, PH__REPLY_LINE_MAX + 2, &is_endless), PH__REPLY_BAD);
	assert_true(is_endless);
	test_free(in);
}

/* `count` lines of `len` octets each, the last one a last one. */
static enum ph__reply_state
lines(size_t count, size_t len)
{
	char *in = test_malloc(count * len);
	enum ph__reply_state state;
	bool is_endless;

	memset(in, 'x', count * len);
	for (size_t i = 0; i < count; i++) {
		memcpy(in + i * len, i + 1 < count ? "250-" : "250 ", 4);
		memcpy(in + (i + 1) * len - 2, "\r\n", 2);
	}
	state = feed_all(in, count * len, &is_endless);
	assert_true(state != PH__REPLY_BAD || is_endless);
	test_free(in);
	return state;
}

static void
a_reply_has_bounds(void **state)
{
	(void)state;
	assert_int_equal(lines(PH__REPLY_LINES_MAX, 6), PH__REPLY_DONE);
	assert_int_equal(lines(PH__REPLY_LINES_MAX + 1, 6), PH__REPLY_BAD);
	assert_int_equal(lines(26, 10000), PH__REPLY_DONE);
	assert_int_equal(lines(27, 10000), PH__REPLY_BAD);
}

static void
lack_of_memory_is_told(void **state)
{
	struct failing_memory fm;

	(void)state;
	for (size_t n = 1; failing_memory_try(&fm, n); n++) {
		char in[] = "250-a\r\n250 b\r\n";
		struct ph__reply_parser r;
		struct ph_reply reply;
		size_t used;
		enum ph__reply_state got;

		ph__reply_init(&r, &fm.mem);
		got = ph__reply_feed(&r, in, sizeof in - 1, &used, &reply);
		assert_int_equal(got, fm.failed ? PH__REPLY_NOMEM : PH__REPLY_DONE);
		ph__reply_done(&r);
		assert_int_equal(fm.live, 0);
	}
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(replies_of_one_line),
		cmocka_unit_test(replies_of_several_lines),
		cmocka_unit_test(a_bare_lf_ends_a_line),
		cmocka_unit_test(octets_are_kept_as_they_are),
		cmocka_unit_test(what_is_no_reply_is_bad),
		cmocka_unit_test(enhanced_codes_that_fit_the_class),
		cmocka_unit_test(a_line_has_a_bound),
		cmocka_unit_test(a_reply_has_bounds),
		cmocka_unit_test(lack_of_memory_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
