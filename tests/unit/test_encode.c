/* SPDX-License-Identifier: MIT */
/* mail/encode.h. The base64 vectors are those of RFC 4648 §10. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "failing_memory.h"
#include "base/base64.h"
#include "mail/encode.h"

static struct ph__buf out;

static int
setup(void **state)
{
	(void)state;
	ph__buf_init(&out, &ph__libc_memory, 1 << 20);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	ph__buf_done(&out);
	return 0;
}

static void
assert_out(const char *want)
{
	assert_string_equal(ph__buf_cstr(&out), want);
	assert_int_equal(out.len, strlen(want));
	ph__buf_reset(&out);
}

static void
base64_vectors_hold_both_ways(void **state)
{
	static const char *const cases[][2] = {
		{ "", "" },
		{ "f", "Zg==" },
		{ "fo", "Zm8=" },
		{ "foo", "Zm9v" },
		{ "foob", "Zm9vYg==" },
		{ "fooba", "Zm9vYmE=" },
		{ "foobar", "Zm9vYmFy" },
		{ "\xff\xfe\xfd?>", "//79Pz4=" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		assert_true(ph__base64_encode(&out, cases[i][0], strlen(cases[i][0]), false));
		assert_int_equal(out.len, ph__base64_size(strlen(cases[i][0]), false));
		assert_out(cases[i][1]);
		assert_true(ph__base64_decode(&out, ph__str(cases[i][1])));
		assert_out(cases[i][0]);
	}
}

static void
base64_lines_are_76_columns_and_all_end_in_crlf(void **state)
{
	char in[200];

	(void)state;
	memset(in, 'x', sizeof in);
	for (size_t n = 0; n <= sizeof in; n++) {
		const char *p;
		size_t left;

		ph__buf_reset(&out);
		assert_true(ph__base64_encode(&out, in, n, true));
		assert_int_equal(out.len, ph__base64_size(n, true));
		for (p = ph__buf_cstr(&out), left = out.len; left != 0; ) {
			size_t line = left > 78 ? 78 : left;

			assert_memory_equal(p + line - 2, "\r\n", 2);
			assert_null(memchr(p, '\r', line - 2));
			p += line;
			left -= line;
		}
	}
}

static void
every_octet_survives_base64(void **state)
{
	unsigned char all[256];

	(void)state;
	for (int i = 0; i < 256; i++)
		all[i] = (unsigned char)i;
	for (size_t n = 0; n <= sizeof all; n++) {
		struct ph__buf text;

		ph__buf_init(&text, &ph__libc_memory, 1000);
		ph__buf_reset(&out);
		assert_true(ph__base64_encode(&text, all, n, false));
		assert_true(ph__base64_decode(&out, ph__buf_str(&text)));
		assert_int_equal(out.len, n);
		assert_memory_equal(ph__buf_cstr(&out), all, n);
		ph__buf_done(&text);
	}
}

static void
ill_formed_base64_is_refused_and_leaves_nothing(void **state)
{
	static const char *const wrong[] = {
		"Z",     "Zg",   "Zg=",      "=",        "==",
		"====",  "Z===", "Zg==Zg==", "Zm9v\r\n", "Zm 9v",
		"Zm9v=", "Zm9-", "Zm=v",     "Zm9vZm=v", "Zm9vZ\xc3\xa9=",
	};

	(void)state;
	ph__buf_add_str(&out, "kept");
	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
		if (ph__base64_decode(&out, ph__str(wrong[i])))
			fail_msg("'%s' was accepted", wrong[i]);
		assert_string_equal(ph__buf_cstr(&out), "kept");
	}
	assert_false(ph__base64_decode(&out, (struct ph_str){ "Zm\0v", 4 }));
}

static void
quoted_printable_is_that_of_the_rfc(void **state)
{
	static const char *const cases[][2] = {
		{ "", "" },
		{ "plain", "plain\r\n" },
		{ "a=b", "a=3Db\r\n" },
		{ "one\ntwo\r\nthree\rfour", "one\r\ntwo\r\nthree\r\nfour\r\n" },
		{ "\n\n", "\r\n\r\n" },
		{ "trailing \nand tab\t\r\n", "trailing=20\r\nand tab=09\r\n" },
		{ "  lead", "  lead\r\n" },
		{ " ", "=20\r\n" },
		{ "\xc3\xa9\x7f\x01\x0c", "=C3=A9=7F=01=0C\r\n" },
		{ ".\n", ".\r\n" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		assert_true(ph__qp_encode_text(&out, ph__str(cases[i][0])));
		assert_out(cases[i][1]);
	}
}

/* Decodes what the encoder may write; fails on what it may not. */
static void
assert_qp_gives_back(struct ph_str text)
{
	struct ph_str rest = ph__buf_str(&out);
	struct ph__buf back;

	ph__buf_init(&back, &ph__libc_memory, 1 << 20);
	while (rest.len != 0) {
		struct ph_str line = ph__take_line(&rest);
		bool soft = line.len != 0 && line.ptr[line.len - 1] == '=';

		assert_true(line.len <= 76);
		assert_true(line.len == 0 ||
		            (line.ptr[line.len - 1] != ' ' && line.ptr[line.len - 1] != '\t'));
		for (size_t i = 0; i < line.len - soft; i++) {
			char two[3] = "";

			if (line.ptr[i] != '=') {
				ph__buf_add_char(&back, line.ptr[i]);
				continue;
			}
			memcpy(two, line.ptr + i + 1, 2);
			ph__buf_add_char(&back, (char)strtoul(two, NULL, 16));
			i += 2;
		}
		if (!soft)
			ph__buf_add_str(&back, "\r\n");
	}
	assert_int_equal(back.len, text.len + 2);
	assert_memory_equal(back.p, text.ptr, text.len);
	ph__buf_done(&back);
}

static void
long_lines_are_broken_softly_at_every_length(void **state)
{
	char text[250];

	(void)state;
	for (int kind = 0; kind < 4; kind++) {
		for (size_t n = 1; n < sizeof text; n++) {
			for (size_t i = 0; i < n; i++)
				text[i] = kind == 0   ? 'x'
				          : kind == 1 ? '='
				          : kind == 2 ? ' '
				                      : "ab \xc3\xa9"[i % 5];
			ph__buf_reset(&out);
			assert_true(ph__qp_encode_text(&out, (struct ph_str){ text, n }));
			assert_qp_gives_back((struct ph_str){ text, n });
		}
	}
}

static void
xtext_holds_both_ways(void **state)
{
	(void)state;
	assert_true(ph__xtext_encode(&out, ph__str("a+b=c d\xc3\xa9\x7f")));
	assert_out("a+2Bb+3Dc+20d+C3+A9+7F");
	assert_true(ph__xtext_decode(&out, ph__str("a+2Bb+3Dc+20d+c3+a9")));
	assert_out("a+b=c d\xc3\xa9");
	assert_true(ph__xtext_decode(&out, ph__str("")));
}

/* RFC 6533 §3. */
static void
utf8_goes_into_seven_bits(void **state)
{
	(void)state;
	assert_true(ph__utf8_xtext_encode(&out, ph__str("a\\+= \303\266\342\202\254\360\237\220\247~")));
	assert_string_equal(ph__buf_cstr(&out), "a\\x{5C}\\x{2B}\\x{3D}\\x{20}\\x{F6}\\x{20AC}\\x{1F427}~");
}

static void
ill_formed_xtext_is_refused_and_leaves_nothing(void **state)
{
	static const char *const wrong[] = { "a+",  "a+2",      "a+2G", "a b",
		                             "a=b", "\xc3\xa9", "a\r",  "++2B" };

	(void)state;
	ph__buf_add_str(&out, "kept");
	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
		assert_false(ph__xtext_decode(&out, ph__str(wrong[i])));
		assert_string_equal(ph__buf_cstr(&out), "kept");
	}
}

static void
lines_end_in_crlf_lf_or_cr(void **state)
{
	struct ph_str rest = { "a\r\n\r\rb\n\n\r\nc", 11 };
	static const char *const want[] = { "a", "", "", "b", "", "", "c" };

	(void)state;
	for (size_t i = 0; i < sizeof want / sizeof want[0]; i++)
		assert_true(ph__str_eq(ph__take_line(&rest), ph__str(want[i])));
	assert_int_equal(rest.len, 0);
}

static void
a_full_buffer_is_no_overrun(void **state)
{
	struct ph__buf small;

	(void)state;
	ph__buf_init(&small, &ph__libc_memory, 7);
	assert_false(ph__base64_encode(&small, "foobar", 6, false));
	assert_int_equal(small.state, PH__BUF_FULL);
	ph__buf_reset(&small);
	assert_false(ph__base64_encode(&small, "foobar", SIZE_MAX, false));
	ph__buf_reset(&small);
	assert_false(ph__qp_encode_text(&small, ph__str("a long line")));
	ph__buf_reset(&small);
	assert_false(ph__xtext_decode(&small, ph__str("12345678")));
	assert_int_equal(small.len, 0);
	ph__buf_done(&small);
}

static void
lack_of_memory_is_reported(void **state)
{
	struct failing_memory fm;

	(void)state;
	for (size_t n = 1; failing_memory_try(&fm, n); n++) {
		struct ph__buf b;
		bool ok;

		ph__buf_init(&b, &fm.mem, 1 << 20);
		ok = ph__base64_encode(&b, "secret", 6, true) &&
		     ph__qp_encode_text(
			 &b, ph__str("one line\nand another one, which makes the buffer grow")) &&
		     ph__xtext_encode(&b, ph__str("x+x")) && ph__utf8_xtext_encode(&b, ph__str("\303\266")) &&
		     ph__xtext_decode(&b, ph__str("x+2Bx")) &&
		     ph__base64_decode(&b, ph__str("Zm9v"));
		assert_int_equal(ok, !fm.failed);
		assert_int_equal(b.state, fm.failed ? PH__BUF_NOMEM : PH__BUF_OK);
		ph__buf_done(&b);
		assert_int_equal(fm.live, 0);
	}
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(base64_vectors_hold_both_ways),
		T(base64_lines_are_76_columns_and_all_end_in_crlf),
		T(every_octet_survives_base64),
		T(ill_formed_base64_is_refused_and_leaves_nothing),
		T(quoted_printable_is_that_of_the_rfc),
		T(long_lines_are_broken_softly_at_every_length),
		T(xtext_holds_both_ways),
		T(utf8_goes_into_seven_bits),
		T(ill_formed_xtext_is_refused_and_leaves_nothing),
		T(lines_end_in_crlf_lf_or_cr),
		T(a_full_buffer_is_no_overrun),
		T(lack_of_memory_is_reported),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
