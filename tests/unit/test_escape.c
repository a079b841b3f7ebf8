/* SPDX-License-Identifier: MIT */
/* What a peer's octets are shown as: UTF-8, Chinese in GB18030, or \xNN. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdlib.h>

#include "base/gb18030.h"
#include "base/error.h"
#include "base/escape.h"
#include "failing_memory.h"

#define COUNT(a) (sizeof(a) / sizeof *(a))

/* "请使用授权码登录。详情请看" */
#define LOG_IN "\xc7\xeb\xca\xb9\xd3\xc3\xca\xda\xc8\xa8\xc2\xeb\xb5\xc7\xc2\xbc\xa1\xa3\xcf\xea\xc7" \
	"\xe9\xc7\xeb\xbf\xb4"

static void
shown_as(const char *octets, size_t n, const char *wanted)
{
	struct ph__buf b;

	ph__buf_init(&b, &ph__libc_memory, 4096);
	assert_true(ph__escape(&b, (struct ph_str){ octets, n }, false));
	assert_string_equal(ph__buf_cstr(&b), wanted);
	ph__escape(&b, (struct ph_str){ NULL, 0 }, false);
	assert_string_equal(ph__buf_cstr(&b), wanted);
	ph__buf_done(&b);
}

#define SHOWN(octets, wanted) shown_as(octets, sizeof(octets) - 1, wanted)

static void
what_qq_says_can_be_read(void **state)
{
	(void)state;
	SHOWN("Error: " LOG_IN ": http://service.mail.qq.com/cgi-bin/help?subtype=1&&id=28&&no=1001256",
	      "Error: 请使用授权码登录。详情请看: http://service.mail.qq.com/cgi-bin/help?subtype=1&&id=28"
	      "&&no=1001256");
	/* "系统繁忙，请稍后再试" and “邮箱” in full-width quotes */
	SHOWN("\xcf\xb5\xcd\xb3\xb7\xb1\xc3\xa6\xa3\xac\xc7\xeb\xc9\xd4\xba\xf3\xd4\xd9\xca\xd4 421",
	      "系统繁忙，请稍后再试 421");
	SHOWN("\xa1\xb0\xd3\xca\xcf\xe4\xa1\xb1", "“邮箱”");
}

static void
utf_8_is_never_taken_for_anything_else(void **state)
{
	(void)state;
	SHOWN("请使用授权码登录。", "请使用授权码登录。");
	SHOWN("Bo\xc3\xaete", "Boîte");
	SHOWN("plain", "plain");
	SHOWN("", "");
}

static void
western_texts_are_not_made_chinese(void **state)
{
	(void)state;
	SHOWN("Bo\xeete pleine", "Bo\\xEEte pleine");
	SHOWN("\xe9t\xe9s", "\\xE9t\\xE9s");                    /* two GBK characters, if one were naive */
	SHOWN("no\xebl \xe0", "no\\xEBl \\xE0");
	SHOWN("\xc4\xd6\xdc", "\\xC4\\xD6\\xDC");                  /* an odd run */
	SHOWN("gr\xf6\xdf" "er", "gr\\xF6\\xDFer");              /* a lone Han character */
}

static void
one_run_that_does_not_fit_spoils_all(void **state)
{
	(void)state;
	SHOWN("\xd3\xca\xcf\xe4 \xee.", "\\xD3\\xCA\\xCF\\xE4 \\xEE.");
	SHOWN("\xd3\xca\xcf\xe4 \xd3\xca", "\\xD3\\xCA\\xCF\\xE4 \\xD3\\xCA"); /* a lone one behind two */
	SHOWN("\xd3\xca\xcf\xe4 \xa3\xac\xa3\xac", "\\xD3\\xCA\\xCF\\xE4 \\xA3\\xAC\\xA3\\xAC");
	SHOWN("\xd3\xca \xcf\xe4", "\\xD3\\xCA \\xCF\\xE4");
	SHOWN("\xd3\xfe\xa3\xac", "\\xD3\\xFE\\xA3\\xAC");
	SHOWN("\xd3\xca\xcf", "\\xD3\\xCA\\xCF");                 /* cut in the middle */
}

static void
what_is_no_han_character_is_not_decoded(void **state)
{
	(void)state;
	SHOWN("\xa4\xa2\xa4\xa4", "\\xA4\\xA2\\xA4\\xA4");          /* hiragana */
	SHOWN("\xa7\xa1\xa7\xa2", "\\xA7\\xA1\\xA7\\xA2");          /* Cyrillic */
	SHOWN("\xaa\xa1\xaa\xa2", "\\xAA\\xA1\\xAA\\xA2");          /* private use */
	SHOWN("\x81\x30\x81\x30", "\\x810\\x810");                /* four octets: U+0080 */
	SHOWN("\x95\x32\x82\x36", "\\x952\\x826");                /* four octets: a Han character */
	SHOWN("\xff\xff\xff\xff", "\\xFF\\xFF\\xFF\\xFF");
	SHOWN("\x80\x80\x80\x80", "\\x80\\x80\\x80\\x80");
}

/* What the decoded text holds is escaped like any other. */
static void
controls_are_escaped_beside_chinese(void **state)
{
	(void)state;
	SHOWN("\xd3\xca\xcf\xe4\x1b[2J\0\x7f\n", "邮箱\\x1B[2J\\x00\\x7F\\x0A");
	SHOWN("\0\xd3\xca\xcf\xe4", "\\x00邮箱");
}

static void
any_two_octets_in_any_company_give_utf_8(void **state)
{
	struct ph__buf b;
	char text[8] = "a\xd3\xca\xcf\xe4" "??";

	(void)state;
	ph__buf_init(&b, &ph__libc_memory, 100);
	for (unsigned i = 0; i < 65536; i++) {
		text[5] = (char)(i >> 8);
		text[6] = (char)i;
		ph__buf_reset(&b);
		assert_true(ph__escape(&b, (struct ph_str){ text, 7 }, false));
		assert_true(ph__str_is_utf8(ph__buf_str(&b)));
		assert_false(ph__str_has_control(ph__buf_str(&b)));
		ph__buf_reset(&b);
		assert_true(ph__to_utf8(&b, (struct ph_str){ text, 7 }));
		assert_true(ph__str_is_utf8(ph__buf_str(&b)));
	}
	ph__buf_done(&b);
}

/* Nothing may be shown as another text because memory was out. */
static void
without_memory_it_fails_and_shows_nothing_else(void **state)
{
	struct ph_str s = { LOG_IN, sizeof LOG_IN - 1 };
	struct failing_memory fm;

	(void)state;
	for (size_t n = 1; failing_memory_try(&fm, n); n++) {
		struct ph__buf b;
		bool ok;

		ph__buf_init(&b, &fm.mem, 4096);
		ok = ph__escape(&b, s, false);
		assert_int_equal(ok, !fm.failed);
		assert_memory_equal(ph__buf_cstr(&b), "请使用授权码登录。详情请看", b.len);
		ph__buf_done(&b);
		assert_int_equal(fm.live, 0);
	}
}

static void
a_quote_is_cut_between_characters(void **state)
{
	char long_text[2000], buf[PH__QUOTE_SIZE];
	const char *const ends[] = { "", "a", "aa" };

	(void)state;
	for (size_t i = 0; i < COUNT(ends); i++) {
		size_t n = strlen(ends[i]);

		memcpy(long_text, ends[i], n);
		while (n + 2 <= sizeof long_text) {
			memcpy(long_text + n, "\xd3\xca", 2); /* 邮 */
			n += 2;
		}
		ph__quote(buf, (struct ph_str){ long_text, n });
		assert_true(ph__str_is_utf8(ph__str(buf)));
		assert_true(strlen(buf) > sizeof buf - 5);
		assert_memory_equal(buf + strlen(buf) - 3, "邮", 3);
	}
	assert_string_equal(ph__quote(buf, (struct ph_str){ "a\nb\0\xee", 5 }), "a\nb\\x00\\xEE");
	assert_string_equal(ph__quote(buf, (struct ph_str){ NULL, 0 }), "");
}

static void
an_errors_text_and_hint_are_cut_between_characters(void **state)
{
	char text[700];

	(void)state;
	for (size_t shift = 0; shift < 4; shift++) {
		struct ph_error err = PH_ERROR_INIT;
		size_t n = shift;

		memset(text, 'x', shift);
		for (; n + 4 <= sizeof text - 4; n += 3)
			memcpy(text + n, "邮", 3);
		text[n] = '\0';
		ph__fail(&err, PH_EREFUSED, PH_STAGE_RCPT, PH_CAUSE_REPLY, "%s", text);
		ph__hint(&err, "%s", text);
		assert_true(ph__str_is_utf8(ph__str(err.text)));
		assert_true(ph__str_is_utf8(ph__str(err.hint)));
		assert_true(strlen(err.text) >= sizeof err.text - 3);
		assert_true(strlen(err.hint) >= sizeof err.hint - 3);
		ph__fail(&err, PH_EREFUSED, PH_STAGE_RCPT, PH_CAUSE_REPLY, "%.*s", (int)shift, text);
		ph__more(&err, "%s", text);
		assert_true(ph__str_is_utf8(ph__str(err.text)));
		assert_true(strlen(err.text) >= sizeof err.text - 3);
		ph__fail_errno(&err, PH_ESYSTEM, PH_STAGE_RCPT, PH_CAUSE_SYSTEM, 2, "%s", text);
		assert_true(ph__str_is_utf8(ph__str(err.text)));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_qq_says_can_be_read),
		cmocka_unit_test(utf_8_is_never_taken_for_anything_else),
		cmocka_unit_test(western_texts_are_not_made_chinese),
		cmocka_unit_test(one_run_that_does_not_fit_spoils_all),
		cmocka_unit_test(what_is_no_han_character_is_not_decoded),
		cmocka_unit_test(controls_are_escaped_beside_chinese),
		cmocka_unit_test(any_two_octets_in_any_company_give_utf_8),
		cmocka_unit_test(without_memory_it_fails_and_shows_nothing_else),
		cmocka_unit_test(a_quote_is_cut_between_characters),
		cmocka_unit_test(an_errors_text_and_hint_are_cut_between_characters),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
