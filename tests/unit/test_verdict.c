/* SPDX-License-Identifier: MIT */
/* Next address, next server, later, or never: what an attempt's outcome means for direct delivery. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "route/verdict.h"

struct row {
	enum ph_outcome outcome;
	enum ph_code code;
	enum ph_stage stage;
	enum ph_cause cause;
	unsigned reply;
	enum ph__next next;
};

static const char *const next_names[] = { "none", "address", "host", "later" };

static void
hold(const struct row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const struct row *r = &rows[i];
		struct ph_recipient_outcome o = { .outcome = r->outcome, .code = r->code,
		        .stage = r->stage, .cause = r->cause, .reply.code = (uint16_t)r->reply };

		if (ph__verdict_next(&o) != r->next)
			fail_msg("row %zu (%s, %s, %s, %u): %s", i, ph_outcome_name(r->outcome),
			         ph_stage_name(r->stage), ph_cause_name(r->cause), r->reply,
			         next_names[ph__verdict_next(&o)]);
	}
}
#define HOLD(rows) hold(rows, sizeof (rows) / sizeof *(rows))
#define DEFERRED(code, stage, cause, reply, next) \
	{ PH_DEFERRED, PH_##code, PH_STAGE_##stage, PH_CAUSE_##cause, reply, PH__NEXT_##next }
#define REFUSED(code, stage, cause, reply, next) \
	{ PH_REFUSED, PH_##code, PH_STAGE_##stage, PH_CAUSE_##cause, reply, PH__NEXT_##next }

/* RFC 5321 §4.2.1 (4yz), §5.1 */
static void
a_temporary_failure_at_any_stage_means_the_next_address(void **state)
{
	static const struct row rows[] = {
		DEFERRED(EDEFERRED, CONNECT, UNREACHABLE, 0, ADDRESS),
		DEFERRED(EDEFERRED, CONNECT, TIMEOUT, 0, ADDRESS),
		DEFERRED(EDEFERRED, GREETING, REPLY, 421, ADDRESS),
		DEFERRED(EDEFERRED, GREETING, TIMEOUT, 0, ADDRESS),
		DEFERRED(EDEFERRED, HELLO, REPLY, 451, ADDRESS),
		DEFERRED(EDEFERRED, STARTTLS, REPLY, 454, ADDRESS),
		DEFERRED(EDEFERRED, MAIL, REPLY, 451, ADDRESS),
		DEFERRED(EDEFERRED, RCPT, REPLY, 450, ADDRESS),
		DEFERRED(EDEFERRED, RCPT, REPLY, 452, ADDRESS),
		DEFERRED(EDEFERRED, RCPT, REPLY, 421, ADDRESS),
		DEFERRED(EDEFERRED, DATA, REPLY, 451, ADDRESS),
		DEFERRED(EDEFERRED, BODY, REPLY, 452, ADDRESS),
		DEFERRED(EDEFERRED, BODY, REPLY, 421, ADDRESS),
		DEFERRED(EDEFERRED, BODY, LOST, 0, ADDRESS),
		DEFERRED(EDEFERRED, DATA, TIMEOUT, 0, ADDRESS),
		DEFERRED(EDEFERRED, BODY, TOO_SLOW, 0, ADDRESS),
		DEFERRED(EDEFERRED, BODY, AFTER_SURPRISE, 0, ADDRESS),
		DEFERRED(EPROTOCOL, GREETING, GARBAGE, 0, ADDRESS),
		DEFERRED(EPROTOCOL, RCPT, EARLY_REPLY, 0, ADDRESS),
		DEFERRED(EAUTH, MAIL, REPLY, 530, ADDRESS),
		{ .outcome = PH_PENDING, .next = PH__NEXT_ADDRESS },
	};

	(void)state;
	HOLD(rows);
}

/* RFC 7672 §2.2, RFC 8461 §5: the server failed, another may be as it should */
static void
failing_tls_means_the_next_address(void **state)
{
	static const struct row rows[] = {
		DEFERRED(ESECURITY, STARTTLS, NOT_OFFERED, 0, ADDRESS),
		DEFERRED(ESECURITY, STARTTLS, REPLY, 502, ADDRESS),
		DEFERRED(ESECURITY, STARTTLS, INJECTION, 0, ADDRESS),
		DEFERRED(ESECURITY, TLS, CERT_TLSA, 0, ADDRESS),
		DEFERRED(ESECURITY, TLS, CERT_NAME, 0, ADDRESS),
		DEFERRED(ESECURITY, TLS, CERT_EXPIRED, 0, ADDRESS),
		DEFERRED(EDEFERRED, TLS, HANDSHAKE, 0, ADDRESS),
		DEFERRED(ESECURITY, MAIL, REPLY, 530, ADDRESS),
	};

	(void)state;
	HOLD(rows);
}

/* RFC 5321 §5.1, §3.1: a 554 greeting speaks for this server, not for the recipient */
static void
a_refusing_greeting_or_hello_means_the_next_address(void **state)
{
	static const struct row rows[] = {
		REFUSED(EREFUSED, GREETING, REPLY, 554, ADDRESS),
		REFUSED(EREFUSED, HELLO, REPLY, 550, ADDRESS),
		REFUSED(EREFUSED, HELLO, REPLY, 521, ADDRESS),
	};

	(void)state;
	HOLD(rows);
}

/* RFC 5321 §4.2.1 (5yz) */
static void
a_refusal_of_mail_rcpt_data_or_body_is_final(void **state)
{
	static const struct row rows[] = {
		REFUSED(EREFUSED, MAIL, REPLY, 550, NONE),
		REFUSED(EREFUSED, RCPT, REPLY, 550, NONE),
		REFUSED(ENOUSER, RCPT, REPLY, 550, NONE),
		REFUSED(ENOHOST, RCPT, REPLY, 556, NONE),
		REFUSED(EREFUSED, RCPT, REPLY, 552, NONE),
		REFUSED(EREFUSED, DATA, REPLY, 554, NONE),
		REFUSED(EREFUSED, BODY, REPLY, 550, NONE),
	};

	(void)state;
	HOLD(rows);
}

/* RFC 1870 §6, RFC 6152 §3, RFC 6531 §3.2, RFC 8689 §4.2.1 */
static void
what_one_server_does_not_offer_the_next_may(void **state)
{
	static const struct row rows[] = {
		REFUSED(EREFUSED, MAIL, LIMIT, 0, HOST),
		REFUSED(EREFUSED, MAIL, NOT_OFFERED, 0, HOST),
		REFUSED(EREFUSED, BODY, NOT_OFFERED, 0, HOST),
		REFUSED(EREFUSED, MAIL, CERT_OTHER, 0, HOST),
	};

	(void)state;
	HOLD(rows);
}

/* DESIGN: in doubt is never sent again on our own */
static void
accepted_and_in_doubt_are_never_tried_again(void **state)
{
	static const struct row rows[] = {
		{ PH_ACCEPTED, PH_OK, PH_STAGE_BODY, PH_CAUSE_NONE, 250, PH__NEXT_NONE },
		{ PH_IN_DOUBT, PH_EINDOUBT, PH_STAGE_BODY, PH_CAUSE_LOST, 0, PH__NEXT_NONE },
		{ PH_IN_DOUBT, PH_EINDOUBT, PH_STAGE_BODY, PH_CAUSE_TIMEOUT, 0, PH__NEXT_NONE },
		{ PH_IN_DOUBT, PH_EINDOUBT, PH_STAGE_BODY, PH_CAUSE_CANCELLED, 0, PH__NEXT_NONE },
		{ PH_PARTIAL, PH_EPARTIAL, PH_STAGE_BODY, PH_CAUSE_NONE, 0, PH__NEXT_NONE },
	};

	(void)state;
	HOLD(rows);
}

static void
what_failed_on_our_side_no_other_server_mends(void **state)
{
	static const struct row rows[] = {
		DEFERRED(ECANCELLED, RCPT, CANCELLED, 0, LATER),
		DEFERRED(ECANCELLED, CONNECT, CANCELLED, 0, LATER),
		DEFERRED(ENOINPUT, BODY, SOURCE, 0, LATER),
		DEFERRED(ESYSTEM, BODY, SOURCE, 0, LATER),
		DEFERRED(ESYSTEM, RCPT, MEMORY, 0, LATER),
		DEFERRED(ESYSTEM, CONNECT, MEMORY, 0, LATER),
		DEFERRED(ECONFIG, TLS, ARGUMENT, 0, LATER),
		DEFERRED(ESYSTEM, CONNECT, SYSTEM, 0, ADDRESS),
		REFUSED(EINPUT, PREPARE, ARGUMENT, 0, NONE),
		REFUSED(EINPUT, BODY, CONTENT, 0, NONE),
	};

	(void)state;
	HOLD(rows);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_temporary_failure_at_any_stage_means_the_next_address),
		cmocka_unit_test(failing_tls_means_the_next_address),
		cmocka_unit_test(a_refusing_greeting_or_hello_means_the_next_address),
		cmocka_unit_test(a_refusal_of_mail_rcpt_data_or_body_is_final),
		cmocka_unit_test(what_one_server_does_not_offer_the_next_may),
		cmocka_unit_test(accepted_and_in_doubt_are_never_tried_again),
		cmocka_unit_test(what_failed_on_our_side_no_other_server_mends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
