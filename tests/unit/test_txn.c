/* SPDX-License-Identifier: MIT */
/* Transactions: what an envelope may be, and what becomes of recipients. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/bounds.h"
#include "failing_memory.h"
#include "smtp/txn.h"

static const char *const two[] = { "b@x.test", "c@x.test" };

static enum ph_code
make(struct ph_txn **t, const char *from, const char *to, struct ph_error *err)
{
	struct ph_envelope e = {
		PH_ENVELOPE_INIT, .from = from, .recipients = &to, .recipient_count = 1,
	};

	return ph_txn_new(t, &e, NULL, err);
}

static void
the_envelope_is_copied(void **state)
{
	char from[] = "a@x.test", to[] = "b@x.test";
	const char *list[] = { to, "c@x.test" };
	struct ph_envelope e = {
		PH_ENVELOPE_INIT, .from = from, .recipients = list, .recipient_count = 2,
	};
	struct ph_txn *t = NULL;

	(void)state;
	assert_int_equal(ph_txn_new(&t, &e, NULL, NULL), PH_OK);
	memset(from, '#', sizeof from);
	memset(to, '#', sizeof to);
	list[1] = NULL;
	assert_string_equal(ph_txn_from(t), "a@x.test");
	assert_int_equal(ph_txn_recipient_count(t), 2);
	assert_string_equal(ph_txn_recipient(t, 0)->address, "b@x.test");
	assert_string_equal(ph_txn_recipient(t, 1)->address, "c@x.test");
	assert_int_equal(ph_txn_recipient(t, 1)->outcome, PH_PENDING);
	assert_null(ph_txn_recipient(t, 2));
	assert_int_equal(ph_txn_bytes(t), 0);
	assert_int_equal(ph_txn_error(t)->code, PH_OK);
	ph_txn_set_user(t, from);
	assert_ptr_equal(ph_txn_user(t), from);
	ph_txn_free(t);
	ph_txn_free(NULL);
}

static void
the_null_reverse_path(void **state)
{
	struct ph_txn *t = NULL;

	(void)state;
	assert_int_equal(make(&t, "", "b@x.test", NULL), PH_OK);
	assert_string_equal(ph_txn_from(t), "");
	ph_txn_free(t);
	assert_int_equal(make(&t, NULL, "b@x.test", NULL), PH_OK);
	assert_string_equal(ph_txn_from(t), "");
	ph_txn_free(t);
}

/* Whatever could end a command's line, or the path in it, is an error and never mended. */
static void
an_address_that_could_be_a_command_is_refused(void **state)
{
	static const char *const evil[] = {
		"b@x.test\r\nRSET", "b@x.test\n", "b\r@x.test", "b@x.test> SIZE=1 <", "b@x.test>", "<b@x.test>",
		"b @x.test", "b\t@x.test", "b@x.test\177", "\"b\r\n\"@x.test", "b@", "@x.test", "b@x..test",
		"b@[1.2.3.4", "\302\205@x.test", "\377@x.test",
	};

	(void)state;
	for (size_t i = 0; i < sizeof evil / sizeof evil[0]; i++) {
		struct ph_error err = PH_ERROR_INIT;
		struct ph_txn *t = NULL;

		assert_int_equal(make(&t, "a@x.test", evil[i], &err), PH_EINPUT);
		assert_int_equal(err.code, PH_EINPUT);
		assert_null(t);
		assert_int_equal(make(&t, evil[i], "b@x.test", NULL), PH_EINPUT);
		assert_null(t);
	}
}

static void
a_parameter_that_could_be_two_is_refused(void **state)
{
	static const char *const evil[] = { "A B", "A\r\nB", "", "A=\001", "A\t" };

	(void)state;
	for (size_t i = 0; i < sizeof evil / sizeof evil[0]; i++) {
		const char *list[] = { "RET=HDRS", evil[i], NULL };
		struct ph_envelope e = {
			PH_ENVELOPE_INIT, .from = "", .recipients = two, .recipient_count = 2,
			.mail_parameters = list,
		};
		struct ph_txn *t = NULL;

		assert_int_equal(ph_txn_new(&t, &e, NULL, NULL), PH_EINPUT);
		e.mail_parameters = NULL;
		e.rcpt_parameters = list;
		assert_int_equal(ph_txn_new(&t, &e, NULL, NULL), PH_EINPUT);
		assert_null(t);
	}
}

static void
parameters_are_joined(void **state)
{
	const char *const mail[] = { "RET=HDRS", "ENVID=x+2By", NULL }, *const none[] = { NULL };
	struct ph_envelope e = {
		PH_ENVELOPE_INIT, .from = "", .recipients = two, .recipient_count = 2,
		.mail_parameters = mail, .rcpt_parameters = none,
	};
	struct ph_txn *t = NULL;

	(void)state;
	assert_int_equal(ph_txn_new(&t, &e, NULL, NULL), PH_OK);
	assert_string_equal(t->mail_parameters, " RET=HDRS ENVID=x+2By");
	assert_string_equal(t->rcpt_parameters, "");
	ph_txn_free(t);
}

static void
parameters_have_a_bound(void **state)
{
	char *word = test_malloc(PH__PATH_LINE_MAX + 1);
	const char *list[] = { word, NULL };
	struct ph_envelope e = {
		PH_ENVELOPE_INIT, .from = "", .recipients = two, .recipient_count = 2, .mail_parameters = list,
	};
	struct ph_txn *t = NULL;

	(void)state;
	memset(word, 'x', PH__PATH_LINE_MAX);
	word[PH__PATH_LINE_MAX] = '\0';
	assert_int_equal(ph_txn_new(&t, &e, NULL, NULL), PH_EINPUT);
	test_free(word);
}

static const unsigned never_and_more[] = { 0, PH_NOTIFY_NEVER | PH_NOTIFY_DELAY };
static const char *const no_type[] = { NULL, "bob@x.test" }, *const empty_type[] = { ";bob@x.test", NULL },
                  *const no_address[] = { "rfc822;", NULL }, *const odd_type[] = { "rfc 822;b@x.test", NULL },
                  *const two_lines[] = { "rfc822;b@x.test\r\nRSET", NULL },
                  *const not_ascii[] = { "rfc822;\303\266@x.test", NULL },
                  *const not_utf8[] = { "utf-8;\377@x.test", NULL };

static enum ph_code
ask(struct ph_envelope e, struct ph_txn **t, struct ph_error *err)
{
	e.size = sizeof e;
	e.from = "a@x.test";
	e.recipients = two;
	e.recipient_count = 2;
	return ph_txn_new(t, &e, NULL, err);
}

static void
what_no_extension_can_mean_is_refused(void **state)
{
	static const struct {
		struct ph_envelope e;
		enum ph_code code;
	} rows[] = {
		{ { .notify = PH_NOTIFY_NEVER | PH_NOTIFY_FAILURE }, PH_EUSAGE },
		{ { .notify = 16 }, PH_EUSAGE },
		{ { .recipient_notify = never_and_more }, PH_EUSAGE },
		{ { .dsn_return = (enum ph_dsn_return)3 }, PH_EUSAGE },
		{ { .envid = "" }, PH_EINPUT },
		{ { .envid = "a\tb" }, PH_EINPUT },
		{ { .envid = "a\r\nRSET" }, PH_EINPUT },
		{ { .envid = "\303\266" }, PH_EINPUT },
		{ { .original_recipients = no_type }, PH_EINPUT },
		{ { .original_recipients = empty_type }, PH_EINPUT },
		{ { .original_recipients = no_address }, PH_EINPUT },
		{ { .original_recipients = odd_type }, PH_EINPUT },
		{ { .original_recipients = two_lines }, PH_EINPUT },
		{ { .original_recipients = not_ascii }, PH_EINPUT },
		{ { .original_recipients = not_utf8 }, PH_EINPUT },
		{ { .auth = "a b@x.test" }, PH_EINPUT },
		{ { .auth = "a@x.test\r\nRSET" }, PH_EINPUT },
		{ { .by_seconds = 5 }, PH_EUSAGE },
		{ { .by_trace = true }, PH_EUSAGE },
		{ { .by_mode = (enum ph_by_mode)3, .by_seconds = 5 }, PH_EUSAGE },
		{ { .by_mode = PH_BY_RETURN }, PH_EUSAGE },
		{ { .by_mode = PH_BY_RETURN, .by_seconds = -5 }, PH_EUSAGE },
		{ { .by_mode = PH_BY_NOTIFY, .by_seconds = 1000000000 }, PH_EUSAGE },
		{ { .by_mode = PH_BY_NOTIFY, .by_seconds = INT32_MIN }, PH_EUSAGE },
		{ { .hold_for = 1, .hold_until = 1 }, PH_EUSAGE },
		{ { .hold_for = 1000000000 }, PH_EUSAGE },
		{ { .hold_until = -1 }, PH_EUSAGE },
		{ { .hold_until = 253402300800 }, PH_EUSAGE },
		{ { .priority = 10 }, PH_EUSAGE },
		{ { .priority = INT32_MIN }, PH_EUSAGE },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct ph_error err = PH_ERROR_INIT;
		struct ph_txn *t = NULL;

		if (ask(rows[i].e, &t, &err) != rows[i].code)
			fail_msg("row %zu: %s %s", i, ph_code_name(err.code), err.text);
		assert_int_equal(err.code, rows[i].code);
		assert_int_equal(err.stage, PH_STAGE_PREPARE);
		assert_true(err.text[0] != '\0');
		assert_null(t);
	}
}

static void
what_is_asked_has_its_form(void **state)
{
	struct ph_txn *t = NULL;

	(void)state;
	assert_int_equal(ask((struct ph_envelope){ .notify = PH_NOTIFY_DELAY, .envid = "=+ ~",
	                                           .by_mode = PH_BY_NOTIFY, .by_trace = true,
	                                           .hold_until = 253402300799, .priority = -1,
	                                           .auth = "" }, &t, NULL), PH_OK);
	assert_string_equal(t->dsn, " ENVID=+3D+2B+20~");
	assert_string_equal(t->rcpts[1].dsn, " NOTIFY=DELAY ORCPT=rfc822;c@x.test");
	assert_string_equal(t->by, " BY=0;NT");
	assert_string_equal(t->hold, " HOLDUNTIL=9999-12-31T23:59:59Z");
	assert_string_equal(t->priority, " MT-PRIORITY=-1");
	assert_string_equal(t->auth, " AUTH=<>");
	assert_int_equal(ph_txn_reuse(t, &(struct ph_envelope){ PH_ENVELOPE_INIT, .recipients = two,
	                                                        .recipient_count = 2 }, NULL), PH_OK);
	assert_string_equal(t->dsn, "");
	assert_null(t->rcpts[1].dsn);
	assert_string_equal(t->by, "");
	assert_string_equal(t->hold, "");
	assert_string_equal(t->priority, "");
	assert_string_equal(t->auth, "");
	assert_int_equal(t->by_mode, PH_BY_NONE);
	assert_int_equal(t->hold_until, 0);
	assert_false(t->asks_dsn);
	ph_txn_free(t);
}

/* As xtext, the longest that a server has to take (RFC 3461 §4.2, §4.4); a name of ours that would be
 * longer is none. */
static void
names_in_reports_have_bounds(void **state)
{
	static char text[2000], address[300];
	const char *const orcpt[] = { text, NULL }, *long_one[] = { address, "c@x.test" };
	struct ph_envelope e = { PH_ENVELOPE_INIT, .recipients = long_one, .recipient_count = 2,
	                         .notify = PH_NOTIFY_DELAY };
	struct ph_txn *t = NULL;

	(void)state;
	memset(text, 'x', 100);
	assert_int_equal(ask((struct ph_envelope){ .envid = text }, &t, NULL), PH_OK);
	ph_txn_free(t);
	text[99] = '+';
	assert_int_equal(ask((struct ph_envelope){ .envid = text }, &t, NULL), PH_EINPUT);
	memset(text, 'x', sizeof text - 1);
	assert_int_equal(ask((struct ph_envelope){ .envid = text }, &t, NULL), PH_EINPUT);
	assert_int_equal(ask((struct ph_envelope){ .original_recipients = orcpt }, &t, NULL), PH_EINPUT);
	text[1000] = ';';
	assert_int_equal(ask((struct ph_envelope){ .original_recipients = orcpt }, &t, NULL), PH_EINPUT);
	memcpy(text, "rfc822;", 7);
	memset(text + 7, 'x', sizeof text - 8);
	text[500] = '\0';
	assert_int_equal(ask((struct ph_envelope){ .original_recipients = orcpt }, &t, NULL), PH_OK);
	ph_txn_free(t);
	text[499] = '=';
	assert_int_equal(ask((struct ph_envelope){ .original_recipients = orcpt }, &t, NULL), PH_EINPUT);
	memset(address, '=', 64); /* 192 as xtext */
	memcpy(address + 64, "@x.test", 8);
	assert_int_equal(ph_txn_new(&t, &e, NULL, NULL), PH_OK);
	assert_non_null(strstr(t->rcpts[0].dsn, "+3D@x.test"));
	ph_txn_free(t);
}

static void
no_recipient_is_an_error(void **state)
{
	struct ph_envelope e = { PH_ENVELOPE_INIT, .from = "" };
	struct ph_txn *t = NULL;

	(void)state;
	assert_int_equal(ph_txn_new(&t, &e, NULL, NULL), PH_EUSAGE);
	e.recipients = two;
	e.recipient_count = PH__RECIPIENTS_MAX + 1;
	assert_int_equal(ph_txn_new(&t, &e, NULL, NULL), PH_EINPUT);
	assert_int_equal(ph_txn_new(&t, NULL, NULL, NULL), PH_EUSAGE);
	assert_null(t);
}

static void
only_what_needs_utf8_asks_for_it(void **state)
{
	struct ph_txn *t = NULL;

	(void)state;
	assert_int_equal(make(&t, "a@x.test", "b@x.test", NULL), PH_OK);
	assert_false(t->utf8);
	ph_txn_free(t);
	assert_int_equal(make(&t, "\303\251@x.test", "b@x.test", NULL), PH_OK);
	assert_true(t->utf8);
	ph_txn_free(t);
	assert_int_equal(make(&t, "", "b@\303\251.test", NULL), PH_OK);
	assert_true(t->utf8);
	ph_txn_free(t);
}

static void
a_decision_stands(void **state)
{
	struct ph_envelope e = { PH_ENVELOPE_INIT, .from = "", .recipients = two, .recipient_count = 2 };
	char text[] = "5.1.1 no";
	struct ph_reply reply = { .code = 550, .enhanced = { 5, 1, 1 }, .text = text, .len = 8 }, kept;
	struct ph_txn *t = NULL;

	(void)state;
	assert_int_equal(ph_txn_new(&t, &e, NULL, NULL), PH_OK);
	kept = ph__txn_keep(t, &reply);
	memset(text, '#', 8);
	assert_false(ph__txn_is_decided(t));
	ph__txn_decide(t, 0, PH_REFUSED, PH_EREFUSED, PH_STAGE_RCPT, PH_CAUSE_REPLY, &kept);
	assert_false(ph__txn_is_decided(t));
	ph__txn_decide_all(t, PH_DEFERRED, PH_EDEFERRED, PH_STAGE_BODY, PH_CAUSE_LOST, NULL);
	assert_true(ph__txn_is_decided(t));
	assert_int_equal(ph_txn_recipient(t, 0)->outcome, PH_REFUSED);
	assert_int_equal(ph_txn_recipient(t, 0)->reply.code, 550);
	assert_string_equal(ph_txn_recipient(t, 0)->reply.text, "5.1.1 no");
	assert_int_equal(ph_txn_recipient(t, 1)->outcome, PH_DEFERRED);
	assert_int_equal(ph_txn_recipient(t, 1)->cause, PH_CAUSE_LOST);
	assert_int_equal(ph_txn_recipient(t, 1)->reply.code, 0);
	ph_txn_free(t);
}

static void
a_round_is_decided_for_itself(void **state)
{
	struct ph_envelope e = { PH_ENVELOPE_INIT, .recipients = two, .recipient_count = 2 };
	struct ph_txn *t = NULL;

	(void)state;
	assert_int_equal(ph_txn_new(&t, &e, NULL, NULL), PH_OK);
	ph__txn_start(t, NULL);
	t->rcpts[0].put_off = true;
	ph__txn_decide_round(t, PH_IN_DOUBT, PH_EINDOUBT, PH_STAGE_BODY, PH_CAUSE_LOST, NULL);
	assert_true(ph__txn_round_is_decided(t));
	assert_false(ph__txn_is_decided(t));
	assert_int_equal(t->rcpts[0].out.outcome, PH_PENDING);
	ph__txn_start(t, NULL);
	assert_false(ph__txn_round_is_decided(t));
	ph__txn_decide_round(t, PH_ACCEPTED, PH_OK, PH_STAGE_BODY, PH_CAUSE_REPLY, NULL);
	assert_true(ph__txn_is_decided(t));
	assert_int_equal(t->rcpts[0].out.outcome, PH_ACCEPTED);
	assert_int_equal(t->rcpts[1].out.outcome, PH_IN_DOUBT);
	t->phase = PH__TXN_IDLE;
	ph_txn_free(t);
}

static void
a_transaction_is_used_again(void **state)
{
	struct ph_envelope e = { PH_ENVELOPE_INIT, .from = "\303\251@x.test", .recipients = two, .recipient_count = 2,
	                         .no_dup = true };
	struct ph_txn *t = NULL;

	(void)state;
	assert_int_equal(ph_txn_new(&t, &e, NULL, NULL), PH_OK);
	ph__txn_decide_all(t, PH_REFUSED, PH_EREFUSED, PH_STAGE_MAIL, PH_CAUSE_REPLY, NULL);
	e.from = "z@x.test";
	e.recipient_count = 1;
	e.no_dup = false;
	assert_int_equal(ph_txn_reuse(t, &e, NULL), PH_OK);
	assert_string_equal(ph_txn_from(t), "z@x.test");
	assert_int_equal(ph_txn_recipient_count(t), 1);
	assert_int_equal(ph_txn_recipient(t, 0)->outcome, PH_PENDING);
	assert_false(t->utf8);
	assert_false(t->no_dup);
	ph__txn_start(t, NULL);
	assert_int_equal(ph_txn_reuse(t, &e, NULL), PH_EUSAGE);
	t->phase = PH__TXN_IDLE;
	ph_txn_free(t);
}

/* An older caller's struct is shorter: what it does not have is zero. */
/* 256 KiB a reply, and a reply a recipient: a server must not fill our memory by that. */
static void
long_replies_are_kept_to_a_bound(void **state)
{
	size_t n = 2 * PH__KEPT_BYTES_MAX / PH__REPLY_BYTES_MAX, all = 0;
	char *text = malloc(PH__REPLY_BYTES_MAX);
	struct ph_reply r = { .code = 550, .text = text, .len = PH__REPLY_BYTES_MAX };
	struct ph_txn *t = NULL;

	(void)state;
	memset(text, 'x', PH__REPLY_BYTES_MAX);
	assert_int_equal(make(&t, "a@x.test", "b@x.test", NULL), PH_OK);
	for (size_t i = 0; i < n; i++) {
		struct ph_reply kept = ph__txn_keep(t, &r);

		assert_in_range(kept.len, PH__KEPT_LEAST, PH__REPLY_BYTES_MAX);
		assert_int_equal(strlen(kept.text), kept.len);
		all += kept.len;
	}
	assert_in_range(all, PH__KEPT_BYTES_MAX, PH__KEPT_BYTES_MAX + n * PH__KEPT_LEAST);
	ph_txn_free(t);
	free(text);
}

static void
a_shorter_envelope_is_understood(void **state)
{
	struct ph_envelope e = {
		.size = offsetof(struct ph_envelope, line_ends), .from = "", .recipients = two,
		.recipient_count = 1, .line_ends = PH_LINE_ENDS_BINARY, .no_dup = true,
	};
	struct ph_txn *t = NULL;

	(void)state;
	assert_int_equal(ph_txn_new(&t, &e, NULL, NULL), PH_OK);
	assert_int_equal(t->ends, PH_LINE_ENDS_NORMALISE);
	assert_false(t->no_dup);
	ph_txn_free(t);
}

static void
outcomes_have_names(void **state)
{
	(void)state;
	assert_string_equal(ph_outcome_name(PH_ACCEPTED), "accepted");
	assert_string_equal(ph_outcome_name(PH_DEFERRED), "deferred");
	assert_string_equal(ph_outcome_name(PH_REFUSED), "refused");
	assert_string_equal(ph_outcome_name(PH_IN_DOUBT), "in_doubt");
	assert_string_equal(ph_outcome_name(PH_PARTIAL), "partial");
	assert_string_equal(ph_outcome_name((enum ph_outcome)99), "unknown");
}

static void
lack_of_memory_is_told(void **state)
{
	const char *const mail[] = { "RET=HDRS", NULL };
	struct ph_envelope e = {
		PH_ENVELOPE_INIT, .from = "a@x.test", .recipients = two, .recipient_count = 2,
		.mail_parameters = mail, .notify = PH_NOTIFY_FAILURE, .envid = "x", .auth = "",
		.by_mode = PH_BY_NOTIFY, .hold_for = 1, .priority = 1,
	};
	struct failing_memory fm;

	(void)state;
	for (size_t n = 1; failing_memory_try(&fm, n); n++) {
		struct ph_txn *t = NULL;
		enum ph_code rc = ph_txn_new(&t, &e, &fm.mem, NULL);

		assert_int_equal(rc, fm.failed ? PH_ESYSTEM : PH_OK);
		assert_true((t != NULL) == (rc == PH_OK));
		ph_txn_free(t);
		assert_int_equal(fm.live, 0);
	}
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_envelope_is_copied),
		cmocka_unit_test(the_null_reverse_path),
		cmocka_unit_test(an_address_that_could_be_a_command_is_refused),
		cmocka_unit_test(a_parameter_that_could_be_two_is_refused),
		cmocka_unit_test(parameters_are_joined),
		cmocka_unit_test(parameters_have_a_bound),
		cmocka_unit_test(what_no_extension_can_mean_is_refused),
		cmocka_unit_test(what_is_asked_has_its_form),
		cmocka_unit_test(names_in_reports_have_bounds),
		cmocka_unit_test(no_recipient_is_an_error),
		cmocka_unit_test(a_round_is_decided_for_itself),
		cmocka_unit_test(only_what_needs_utf8_asks_for_it),
		cmocka_unit_test(a_decision_stands),
		cmocka_unit_test(a_transaction_is_used_again),
		cmocka_unit_test(long_replies_are_kept_to_a_bound),
		cmocka_unit_test(a_shorter_envelope_is_understood),
		cmocka_unit_test(outcomes_have_names),
		cmocka_unit_test(lack_of_memory_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
