/* SPDX-License-Identifier: MIT */
/* Hints: a test for each row of data/hints, whose examples must find that very row, and the rules by
 * which rows are found. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/error.h"
#include "failing_memory.h"
#include "route/hint.h"

#define COUNT(a) (sizeof(a) / sizeof *(a))

struct example {
	const char *row;
	enum ph_code code;
	enum ph_stage stage;
	enum ph_cause cause;
	const char *host;
	uint16_t port, enhanced[3], reply;
	const char *text;
};
#include "hint_examples.h"

static struct ph_error
error_of(const struct example *e)
{
	struct ph_error err = PH_ERROR_INIT;

	ph__fail(&err, e->code, e->stage, e->cause, "what happened");
	err.reply = e->reply;
	memcpy(err.enhanced, e->enhanced, sizeof err.enhanced);
	return err;
}

static const struct ph__hint_row *
row_of(const struct example *e, struct ph_str reply)
{
	struct ph_error err = error_of(e);

	return ph__hint_find(&err, e->host, e->port, reply, &ph__libc_memory);
}

/* GB2312 of what is Chinese in the examples, by the table of their characters. */
static struct ph_str
as_gbk(const char *text, struct ph__buf *b)
{
	static const struct { const char *utf8, *gbk; } known[] = {
		{ "请使用授权码登录", "\xc7\xeb\xca\xb9\xd3\xc3\xca\xda\xc8\xa8\xc2\xeb\xb5\xc7\xc2\xbc" },
		{ "。详情请看", "\xa1\xa3\xcf\xea\xc7\xe9\xc7\xeb\xbf\xb4" },
		{ "用户无权登陆", "\xd3\xc3\xbb\xa7\xce\xde\xc8\xa8\xb5\xc7\xc2\xbd" },
		{ "用户被锁定", "\xd3\xc3\xbb\xa7\xb1\xbb\xcb\xf8\xb6\xa8" },
		{ "用户不存在", "\xd3\xc3\xbb\xa7\xb2\xbb\xb4\xe6\xd4\xda" },
	};

	while (*text != '\0') {
		size_t i = 0;

		while (i < COUNT(known) && strncmp(text, known[i].utf8, strlen(known[i].utf8)) != 0)
			i++;
		if (i < COUNT(known)) {
			ph__buf_add_str(b, known[i].gbk);
			text += strlen(known[i].utf8);
		} else {
			assert_true((unsigned char)*text < 0x80); /* else: to be added above */
			ph__buf_add_char(b, *text++);
		}
	}
	return ph__buf_str(b);
}

static void
found(const struct example *e, struct ph_str reply)
{
	const struct ph__hint_row *row = row_of(e, reply);

	if (row == NULL || strcmp(row->name, e->row) != 0)
		fail_msg("%s port %u, %s: %u %.*s: finds [%s], not [%s]", e->host, e->port,
		         ph_stage_name(e->stage), e->reply, (int)reply.len, reply.ptr,
		         row != NULL ? row->name : "", e->row);
}

/* One row's examples. */
static void
a_row_is_found_by_its_examples(void **state)
{
	const struct ph__hint_row *row = *state;
	bool any = false;

	for (size_t i = 0; i < COUNT(examples); i++) {
		const struct example *e = &examples[i];
		struct ph_error err = error_of(e);
		struct ph__buf gbk;

		if (strcmp(e->row, row->name) != 0)
			continue;
		any = true;
		found(e, ph__str(e->text));
		ph__buf_init(&gbk, &ph__libc_memory, 4096);
		found(e, as_gbk(e->text, &gbk));
		ph__buf_done(&gbk);
		if (row->causes != 0)
			ph__hint(&err, "WHAT WAS THERE");
		ph__hint_add(&err, e->host, e->port, ph__str(e->text), &ph__libc_memory);
		assert_true(err.hint[0] != '\0');
		assert_null(strpbrk(err.hint, "{}"));
		assert_int_equal(strstr(err.hint, "WHAT WAS THERE") != NULL,
		                 strstr(row->hint, "{hint}") != NULL);
	}
	assert_true(any);
}

/* ---- rules ----------------------------------------------------------------------------------- */

static const char *
hint_row(enum ph_stage stage, unsigned code, const char *host, uint16_t port, const char *text)
{
	const struct example e = { "", code >= 500 ? PH_EREFUSED : PH_EDEFERRED, stage, PH_CAUSE_REPLY, host,
	                           port, { 0 }, (uint16_t)code, text };
	const struct ph__hint_row *row = row_of(&e, ph__str(text));

	return row != NULL ? row->name : "";
}

static void
hosts_are_matched_whole_and_in_any_case(void **state)
{
	(void)state;
	assert_string_equal(hint_row(PH_STAGE_AUTH, 535, "SMTP.QQ.com", 465, "x"), "qq-authorization-code");
	assert_string_equal(hint_row(PH_STAGE_AUTH, 535, "email-smtp.eu-west-1.amazonaws.com", 587, "x"),
	                    "ses-smtp-credentials");
	assert_string_equal(hint_row(PH_STAGE_AUTH, 535, "smtp.qq.com.example", 465, "x"), "login-refused");
	assert_string_equal(hint_row(PH_STAGE_AUTH, 535, "qq.com", 465, "x"), "login-refused");
	assert_string_equal(hint_row(PH_STAGE_AUTH, 535, "email-smtp.amazonaws.com", 587, "x"),
	                    "login-refused");
	assert_string_equal(hint_row(PH_STAGE_AUTH, 535, "", 0, ""), "login-refused");
	assert_string_equal(hint_row(PH_STAGE_AUTH, 535, NULL, 0, ""), "login-refused");
}

static void
words_are_whole_words_in_any_case(void **state)
{
	(void)state;
	assert_string_equal(hint_row(PH_STAGE_RCPT, 550, "mx", 25, "no PTR record"), "no-reverse-name");
	assert_string_equal(hint_row(PH_STAGE_RCPT, 550, "mx", 25, "id aPTRb"), "");
	assert_string_equal(hint_row(PH_STAGE_RCPT, 550, "mx", 25, "id PTR1 x-ptr"), "no-reverse-name");
	assert_string_equal(hint_row(PH_STAGE_RCPT, 550, "mx", 25, "GREYLISTED"), "");
	assert_string_equal(hint_row(PH_STAGE_RCPT, 450, "mx", 25, "You are GREYLISTED"), "greylisting");
	assert_string_equal(hint_row(PH_STAGE_RCPT, 450, "mx", 25, "ungreylisted"), "");
	assert_string_equal(hint_row(PH_STAGE_AUTH, 535, "mx", 25, "too many bad, bad attempts"),
	                    "login-too-often");
	assert_string_equal(hint_row(PH_STAGE_AUTH, 535, "mx", 25, "attempts too many"), "login-refused");
}

static void
a_reply_that_says_nothing_known_gets_no_hint(void **state)
{
	(void)state;
	assert_string_equal(hint_row(PH_STAGE_BODY, 554, "mx", 25, "no"), "");
	assert_string_equal(hint_row(PH_STAGE_RCPT, 451, "mx", 25, ""), "");
	assert_string_equal(hint_row(PH_STAGE_QUIT, 500, "mx", 25, "what?"), "");
}

static void
an_error_without_row_keeps_its_hint(void **state)
{
	struct ph_error err = PH_ERROR_INIT, good = PH_ERROR_INIT;

	(void)state;
	ph__fail(&err, PH_ENOHOST, PH_STAGE_RESOLVE, PH_CAUSE_NO_SUCH_HOST, "no host");
	ph__hint(&err, "check the spelling");
	ph__hint_add(&err, "mx.example", 25, ph__str(""), &ph__libc_memory);
	assert_string_equal(err.hint, "check the spelling");
	ph__hint_add(&good, "smtp.qq.com", 465, ph__str(""), &ph__libc_memory);
	assert_string_equal(good.hint, "");
}

/* A login by token knows that no password was refused; but the server's own words tell more. */
static void
a_hint_that_was_given_before_gives_way_to_words_only(void **state)
{
	struct ph_error err = PH_ERROR_INIT;

	(void)state;
	ph__fail(&err, PH_EAUTH, PH_STAGE_AUTH, PH_CAUSE_REPLY, "no");
	err.reply = 535;
	ph__hint(&err, "get a new token");
	ph__hint_add(&err, "smtp.gmail.com", 465, ph__str("5.7.8 no BadCredentials"), &ph__libc_memory);
	assert_string_equal(err.hint, "get a new token");
	ph__hint_add(&err, "smtp.office365.com", 587,
	             ph__str("5.7.139 SmtpClientAuthentication is disabled for the Tenant."),
	             &ph__libc_memory);
	assert_non_null(strstr(err.hint, "switched off"));
}

/* A caller's error may be of an older library, without room for a hint. */
static void
a_short_error_is_left_alone(void **state)
{
	struct ph_error err = PH_ERROR_INIT;

	(void)state;
	ph__fail(&err, PH_EAUTH, PH_STAGE_AUTH, PH_CAUSE_REPLY, "no");
	err.reply = 535;
	err.size = offsetof(struct ph_error, hint);
	memset(err.hint, 0x5a, sizeof err.hint);
	ph__hint_add(&err, "mx.example", 25, ph__str(""), &ph__libc_memory);
	assert_int_equal((unsigned char)err.hint[0], 0x5a);
}

static void
what_a_user_named_is_escaped_and_fits(void **state)
{
	struct ph_error err = PH_ERROR_INIT;
	char host[300];

	(void)state;
	ph__fail(&err, PH_EDEFERRED, PH_STAGE_GREETING, PH_CAUSE_TIMEOUT, "no");
	memset(host, '\x1b', sizeof host);
	host[sizeof host - 1] = '\0';
	ph__hint_add(&err, host, 465, ph__str(""), &ph__libc_memory);
	assert_null(strchr(err.hint, '\x1b'));
	assert_true(strlen(err.hint) >= sizeof err.hint - 4);
}

static void
long_and_hostile_replies_are_searched_within_bounds(void **state)
{
	char *text = malloc(300000);

	(void)state;
	assert_non_null(text);
	memset(text, 't', 300000);
	text[299999] = '\0';
	assert_string_equal(hint_row(PH_STAGE_RCPT, 450, "mx", 25, text), "");
	memset(text, '\xd3', 300000);
	text[299999] = '\0';
	assert_string_equal(hint_row(PH_STAGE_RCPT, 450, "mx", 25, text), "");
	for (size_t i = 0; i + 10 < 300000; i += 10)
		memcpy(text + i, "too many s", 10);
	assert_string_equal(hint_row(PH_STAGE_AUTH, 535, "mx", 25, text), "login-refused");
	free(text);
}

static void
without_memory_there_is_another_hint_and_no_harm(void **state)
{
	struct failing_memory fm;

	(void)state;
	for (size_t n = 1; failing_memory_try(&fm, n); n++) {
		struct ph_error err = PH_ERROR_INIT;

		ph__fail(&err, PH_EAUTH, PH_STAGE_AUTH, PH_CAUSE_REPLY, "no");
		err.reply = 535;
		ph__hint_add(&err, "mail.example.cn", 465, ph__str("\xca\xda\xc8\xa8\xc2\xeb"), &fm.mem);
		assert_non_null(strstr(err.hint, fm.failed ? "user name" : "授权码"));
		assert_int_equal(fm.live, 0);
	}
}

int
main(void)
{
	const struct CMUnitTest rules[] = {
		cmocka_unit_test(hosts_are_matched_whole_and_in_any_case),
		cmocka_unit_test(words_are_whole_words_in_any_case),
		cmocka_unit_test(a_reply_that_says_nothing_known_gets_no_hint),
		cmocka_unit_test(an_error_without_row_keeps_its_hint),
		cmocka_unit_test(a_hint_that_was_given_before_gives_way_to_words_only),
		cmocka_unit_test(a_short_error_is_left_alone),
		cmocka_unit_test(what_a_user_named_is_escaped_and_fits),
		cmocka_unit_test(long_and_hostile_replies_are_searched_within_bounds),
		cmocka_unit_test(without_memory_there_is_another_hint_and_no_harm),
	};
	size_t n = ph__hint_row_count + COUNT(rules);
	struct CMUnitTest *tests = calloc(n, sizeof *tests);
	int failed;

	if (tests == NULL)
		return 1;
	for (size_t i = 0; i < ph__hint_row_count; i++)
		tests[i] = (struct CMUnitTest){ .name = ph__hint_rows[i].name,
		                                .test_func = a_row_is_found_by_its_examples,
		                                .initial_state = (void *)&ph__hint_rows[i] };
	memcpy(tests + ph__hint_row_count, rules, sizeof rules);
	failed = _cmocka_run_group_tests("hints", tests, n, NULL, NULL);
	free(tests);
	return failed;
}
