/* SPDX-License-Identifier: MIT */
/* What came of TLS, in the words of RFC 8460 §4.3. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <string.h>

#include "base/error.h"
#include "route/tls_result.h"

#define COUNT(a) (sizeof(a) / sizeof *(a))

struct row {
	const char *result;  /* NULL: none */
	const char *policy;
	enum ph_stage stage; /* of the error; its cause, its class */
	enum ph_cause cause;
	enum ph_code code;
	enum { CLEAR, UP, PROVED, WAIVED } link;
	enum ph_cause problem;
	bool hello, tested, unusable, given_up;
};

static void
judge(const struct row *r, size_t i)
{
	struct ph_error err = PH_ERROR_INIT;
	struct ph_tls_facts facts = { .size = sizeof facts, .verified = r->link == PROVED,
	                              .waived = r->link == WAIVED, .problem_cause = r->problem };
	struct ph__tls_end end = { .policy = r->policy, .tested = r->tested, .unusable = r->unusable,
	                           .hello = r->hello, .given_up = r->given_up, .error = &err,
	                           .facts = r->link != CLEAR ? &facts : NULL };
	const char *is;

	err.code = r->code;
	err.stage = r->stage;
	err.cause = r->cause;
	is = ph__tls_result(&end);
	if (strcmp(is != NULL ? is : "none", r->result != NULL ? r->result : "none") != 0)
		fail_msg("row %zu: %s is not %s", i, is != NULL ? is : "none",
		         r->result != NULL ? r->result : "none");
}

static void
judge_all(const struct row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++)
		judge(&rows[i], i);
}

#define FAILS(stage, cause) PH_STAGE_##stage, PH_CAUSE_##cause, PH_ESECURITY
#define BREAKS(stage, cause) PH_STAGE_##stage, PH_CAUSE_##cause, PH_EDEFERRED
#define FINE 0, 0, PH_OK

static void
a_proved_link_is_a_success_under_any_policy(void **state)
{
	static const struct row rows[] = {
		{ "success", "dane", FINE, PROVED, 0, 1 },
		{ "success", "mta-sts", FINE, PROVED, 0, 1 },
		{ "success", "required", FINE, PROVED, 0, 1 },
		{ "success", "opportunistic", FINE, PROVED, 0, 1 },
		{ "success", "pin", FINE, PROVED, 0, 1 },
		{ "success", "opportunistic", FINE, PROVED, 0, 1, 1 }, /* tested */
		/* what comes later is not TLS's */
		{ "success", "dane", BREAKS(MAIL, REPLY), PROVED, 0, 1 },
		{ "success", "dane", BREAKS(BODY, LOST), PROVED, 0, 1 },
		{ "success", "dane", BREAKS(BODY, TIMEOUT), PROVED, 0, 1 },
		{ "success", "dane", FAILS(AUTH, CLEAR_AUTH), PROVED, 0, 1 },
	};

	(void)state;
	judge_all(rows, COUNT(rows));
}

static void
nobody_is_asked_for_a_name_by_chance(void **state)
{
	static const struct row rows[] = {
		{ "success", "opportunistic", FINE, UP, PH_CAUSE_CERT_NAME, 1 },
		{ "success", "opportunistic", FINE, UP, PH_CAUSE_CERT_OTHER, 1 },
		{ "success", "loopback", FINE, UP, PH_CAUSE_CERT_SELF_SIGNED, 1 },
		{ "success", "required", FINE, UP, PH_CAUSE_NONE, 1 }, /* insecure */
		{ "success", "required", FINE, WAIVED, PH_CAUSE_NONE, 1 },
	};

	(void)state;
	judge_all(rows, COUNT(rows));
}

/* Accepted all the same: a policy under test, or --record-only. */
static void
a_problem_that_was_accepted_has_its_name(void **state)
{
	static const struct row rows[] = {
		{ "certificate-host-mismatch", "opportunistic", FINE, UP, PH_CAUSE_CERT_NAME, 1, 1 },
		{ "certificate-expired", "opportunistic", FINE, UP, PH_CAUSE_CERT_EXPIRED, 1, 1 },
		{ "certificate-not-trusted", "opportunistic", FINE, UP, PH_CAUSE_CERT_UNTRUSTED, 1, 1 },
		{ "certificate-not-trusted", "opportunistic", FINE, UP, PH_CAUSE_CERT_SELF_SIGNED, 1, 1 },
		{ "certificate-not-trusted", "opportunistic", FINE, UP, PH_CAUSE_CERT_NOT_YET, 1, 1 },
		{ "certificate-not-trusted", "opportunistic", FINE, UP, PH_CAUSE_CERT_OTHER, 1, 1 },
		{ "certificate-not-trusted", "opportunistic", BREAKS(BODY, LOST), UP,
		  PH_CAUSE_CERT_UNTRUSTED, 1, 1 },
		{ "certificate-host-mismatch", "required", FINE, UP, PH_CAUSE_CERT_NAME, 1 },
		{ "tlsa-invalid", "dane", FINE, UP, PH_CAUSE_CERT_TLSA, 1 },
		{ "certificate-expired", "dane", FINE, UP, PH_CAUSE_CERT_EXPIRED, 1 },
		{ "certificate-not-trusted", "pin", FINE, UP, PH_CAUSE_CERT_PIN, 1 },
		/* a lent transport only reports */
		{ "certificate-not-trusted", "required", FAILS(TLS, CERT_OTHER), UP, PH_CAUSE_NONE, 1 },
	};

	(void)state;
	judge_all(rows, COUNT(rows));
}

static void
records_that_are_not_usable_are_reported(void **state)
{
	static const struct row rows[] = {
		{ "tlsa-invalid", "dane", FINE, UP, PH_CAUSE_CERT_UNTRUSTED, 1, 0, 1 },
		{ "tlsa-invalid", "dane", FINE, PROVED, 0, 1, 0, 1 }, /* by chance */
		{ "starttls-not-supported", "dane", FAILS(STARTTLS, NOT_OFFERED), CLEAR, 0, 1, 0, 1 },
		{ "validation-failure", "dane", BREAKS(TLS, HANDSHAKE), CLEAR, 0, 1, 0, 1 },
	};

	(void)state;
	judge_all(rows, COUNT(rows));
}

static void
a_handshake_that_failed_says_why(void **state)
{
	static const struct row rows[] = {
		{ "certificate-expired", "mta-sts", FAILS(TLS, CERT_EXPIRED), CLEAR, 0, 1 },
		{ "certificate-host-mismatch", "mta-sts", FAILS(TLS, CERT_NAME), CLEAR, 0, 1 },
		{ "certificate-not-trusted", "mta-sts", FAILS(TLS, CERT_UNTRUSTED), CLEAR, 0, 1 },
		{ "certificate-not-trusted", "mta-sts", FAILS(TLS, CERT_SELF_SIGNED), CLEAR, 0, 1 },
		{ "certificate-not-trusted", "mta-sts", FAILS(TLS, CERT_OTHER), CLEAR, 0, 1 },
		{ "certificate-not-trusted", "required", FAILS(TLS, CERT_NOT_YET), CLEAR, 0, 1 },
		{ "certificate-not-trusted", "pin", FAILS(TLS, CERT_PIN), CLEAR, 0, 1 },
		{ "tlsa-invalid", "dane", FAILS(TLS, CERT_TLSA), CLEAR, 0, 1 },
		{ "certificate-expired", "dane", FAILS(TLS, CERT_EXPIRED), CLEAR, 0, 1 },
		{ "validation-failure", "dane", FAILS(TLS, TLS_VERSION), CLEAR, 0, 1 },
		{ "validation-failure", "required", BREAKS(TLS, HANDSHAKE), CLEAR, 0, 1 },
		{ "validation-failure", "required", BREAKS(TLS, TIMEOUT), CLEAR, 0, 1 },
		{ "validation-failure", "required", BREAKS(TLS, LOST), CLEAR, 0, 1 },
		{ "validation-failure", "required", FAILS(TLS, TLS_ON_CLEAR), CLEAR, 0, 0 },
		/* the connection before the one in clear */
		{ "validation-failure", "opportunistic", BREAKS(TLS, HANDSHAKE), CLEAR, 0, 1 },
	};

	(void)state;
	judge_all(rows, COUNT(rows));
}

static void
starttls_that_is_not_there_or_refused(void **state)
{
	static const struct row rows[] = {
		{ "starttls-not-supported", "dane", FAILS(STARTTLS, NOT_OFFERED), CLEAR, 0, 1 },
		{ "starttls-not-supported", "mta-sts", BREAKS(STARTTLS, REPLY), CLEAR, 0, 1 },
		{ "starttls-not-supported", "opportunistic", FINE, CLEAR, 0, 1 },
		{ "starttls-not-supported", "opportunistic", FINE, CLEAR, 0, 1, 1 },
		{ "starttls-not-supported", "loopback", FINE, CLEAR, 0, 1 },
		{ "starttls-not-supported", "opportunistic", BREAKS(RCPT, REPLY), CLEAR, 0, 1 },
		{ "validation-failure", "dane", FAILS(STARTTLS, INJECTION), CLEAR, 0, 1 },
		{ "validation-failure", "dane", BREAKS(STARTTLS, LOST), CLEAR, 0, 1 },
		{ "validation-failure", "dane", BREAKS(STARTTLS, TIMEOUT), CLEAR, 0, 1 },
	};

	(void)state;
	judge_all(rows, COUNT(rows));
}

static void
where_tls_played_no_part_there_is_no_result(void **state)
{
	static const struct row rows[] = {
		{ NULL, "dane", BREAKS(CONNECT, UNREACHABLE), CLEAR, 0, 0 },
		{ NULL, "dane", BREAKS(RESOLVE, RESOLVER), CLEAR, 0, 0 },
		{ NULL, "mta-sts", BREAKS(GREETING, REPLY), CLEAR, 0, 0 },
		{ NULL, "mta-sts", BREAKS(HELLO, LOST), CLEAR, 0, 0 },
		{ NULL, "required", FINE, CLEAR, 0, 0 },
		{ NULL, NULL, FINE, CLEAR, 0, 1 }, /* off */
		{ NULL, NULL, BREAKS(RCPT, REPLY), CLEAR, 0, 1 },
		{ NULL, "opportunistic", FINE, CLEAR, 0, 1, 0, 0, 1 }, /* its failure is on record already */
		{ NULL, "opportunistic", BREAKS(MAIL, REPLY), CLEAR, 0, 1, 0, 0, 1 },
		{ NULL, "dane", PH_STAGE_TLS, PH_CAUSE_CANCELLED, PH_ECANCELLED, CLEAR, 0, 1 },
		{ NULL, "dane", PH_STAGE_HELLO, PH_CAUSE_CANCELLED, PH_ECANCELLED, CLEAR, 0, 1 },
	};

	(void)state;
	judge_all(rows, COUNT(rows));
}

static void
a_route_may_have_decided(void **state)
{
	static const struct row rows[] = {
		{ "dnssec-invalid", NULL, BREAKS(ROUTE, DNS_BOGUS), CLEAR, 0, 0 },
		{ "dane-required", "dane", FAILS(ROUTE, NO_DNSSEC), CLEAR, 0, 0 },
		{ "dane-required", "dane", FAILS(ROUTE, NO_DANE), CLEAR, 0, 0 },
		{ "validation-failure", "mta-sts", BREAKS(ROUTE, STS_MX), CLEAR, 0, 0 },
		{ NULL, "dane", BREAKS(ROUTE, RESOLVER), CLEAR, 0, 0 },
		{ NULL, NULL, PH_STAGE_ROUTE, PH_CAUSE_NULL_MX, PH_ENOHOST, CLEAR, 0, 0 },
	};

	(void)state;
	judge_all(rows, COUNT(rows));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_proved_link_is_a_success_under_any_policy),
		cmocka_unit_test(nobody_is_asked_for_a_name_by_chance),
		cmocka_unit_test(a_problem_that_was_accepted_has_its_name),
		cmocka_unit_test(records_that_are_not_usable_are_reported),
		cmocka_unit_test(a_handshake_that_failed_says_why),
		cmocka_unit_test(starttls_that_is_not_there_or_refused),
		cmocka_unit_test(where_tls_played_no_part_there_is_no_result),
		cmocka_unit_test(a_route_may_have_decided),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
