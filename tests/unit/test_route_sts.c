/* SPDX-License-Identifier: MIT */
/* MTA-STS (RFC 8461) in a route: one test for each rule line of "MTA-STS" that is a route's: steps 1, 2
 * and 5. */
#include "route_rig.h"

#define HASH "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
#define RECORD { "_mta-sts.a.example", TXT, INSECURE, "v=STSv1; id=20261123;" }
#define TWO_HOSTS { "a.example", MX, INSECURE, "10 mx.a.example" }, \
	{ "a.example", MX, INSECURE, "20 other.example" }, { "mx.a.example", A, INSECURE, "192.0.2.1" }, \
	{ "other.example", A, INSECURE, "192.0.2.2" }

static char *const patterns[] = { (char *)"*.a.example" };

static struct ph__sts_policy
policy(enum ph__sts_mode mode)
{
	return (struct ph__sts_policy){ .mode = mode, .max_age = 86400, .id = (char *)"20261123",
	                                .mx = (char **)patterns, .mx_count = 1 };
}

/* §4.1, §4.2, §5 */
static void
an_enforced_policy_excludes_hosts_and_demands_a_name_of_the_others(void **state)
{
	static const struct rr zone[] = { RECORD, TWO_HOSTS, {0} };
	struct ph__sts_policy p = policy(PH__STS_ENFORCE);
	struct rig g = { .zone = zone, .sts.policy = &p };

	(void)state;
	rig_run(&g, "a.example");
	assert_string_equal(rig_hosts(&g), "mx.a.example/10/sts 192.0.2.1|other.example/20/unusable");
	rig_unusable(&g, 1, PH_EDEFERRED, PH_CAUSE_STS_MX, "validation-failure");
	assert_true(ph__route_host(g.route, 0)->mx_proved); /* RFC 8689 §4.2.1 */
	assert_int_equal(ph__route_sts(g.route)->mode, PH__STS_ENFORCE);
	assert_ptr_not_equal(ph__route_sts(g.route), &p);
	assert_non_null(strstr(g.asked, "sts:a.example:20261123 "));
	rig_done(&g);
}

/* §5: none left: later, as the policy or the MX records may change */
static void
where_no_host_is_in_an_enforced_policy_the_mail_is_deferred(void **state)
{
	static const struct rr zone[] = { RECORD, { "a.example", MX, INSECURE, "20 other.example" },
		{ "other.example", A, INSECURE, "192.0.2.2" }, {0} };
	struct ph__sts_policy p = policy(PH__STS_ENFORCE);
	struct rig g = { .zone = zone, .sts.policy = &p };

	(void)state;
	rig_run(&g, "a.example");
	assert_int_equal(ph__route_error(g.route)->code, PH_EDEFERRED);
	assert_int_equal(ph__route_error(g.route)->cause, PH_CAUSE_STS_MX);
	rig_done(&g);
}

/* §5: delivered as if there were none, and reported */
static void
a_policy_in_testing_excludes_nobody_and_notes_who_does_not_match(void **state)
{
	static const struct rr zone[] = { RECORD, TWO_HOSTS, {0} };
	struct ph__sts_policy p = policy(PH__STS_TESTING);
	struct rig g = { .zone = zone, .sts.policy = &p };

	(void)state;
	rig_run(&g, "a.example");
	assert_string_equal(rig_hosts(&g), "mx.a.example/10/may-sts 192.0.2.1|"
	                    "other.example/20/may-sts 192.0.2.2");
	assert_null(ph__route_host(g.route, 0)->result);
	assert_string_equal(ph__route_host(g.route, 1)->result, "validation-failure");
	assert_true(ph__route_host(g.route, 0)->mx_proved);
	assert_false(ph__route_host(g.route, 1)->mx_proved);
	rig_done(&g);
}

/* §8.3 */
static void
a_policy_of_mode_none_asks_for_nothing_and_proves_nothing(void **state)
{
	static const struct rr zone[] = { RECORD, TWO_HOSTS, {0} };
	struct ph__sts_policy p = policy(PH__STS_NONE);
	struct rig g = { .zone = zone, .sts.policy = &p };

	(void)state;
	rig_run(&g, "a.example");
	assert_string_equal(rig_hosts(&g), "mx.a.example/10/may 192.0.2.1|other.example/20/may 192.0.2.2");
	assert_false(ph__route_host(g.route, 0)->mx_proved);
	rig_done(&g);
}

/* §3.1, §5.1: without a record a policy that is kept holds */
static void
without_a_valid_record_the_kept_policy_is_asked_for(void **state)
{
	static const struct rr zones[][8] = {
		{ TWO_HOSTS, {0} },
		{ TWO_HOSTS, { "_mta-sts.a.example", TXT, INSECURE, .status = PH__DNS_NXDOMAIN }, {0} },
		{ TWO_HOSTS, { "_mta-sts.a.example", TXT, INSECURE, .status = PH__DNS_FAILED }, {0} },
		{ TWO_HOSTS, { "_mta-sts.a.example", TXT, INSECURE, .status = PH__DNS_LATE }, {0} },
		{ TWO_HOSTS, { "_mta-sts.a.example", TXT, BOGUS, .status = PH__DNS_FAILED }, {0} },
		{ TWO_HOSTS, { "_mta-sts.a.example", TXT, BOGUS, "v=STSv1; id=evil;" }, {0} },
		{ TWO_HOSTS, RECORD, RECORD, {0} }, /* more than one */
		{ TWO_HOSTS, { "_mta-sts.a.example", TXT, INSECURE, "v=STSv2; id=1;" }, {0} },
	};
	struct ph__sts_policy p = policy(PH__STS_ENFORCE);

	(void)state;
	for (size_t i = 0; i < COUNT(zones); i++) {
		struct rig g = { .zone = zones[i], .sts.policy = &p };

		rig_run(&g, "a.example");
		if (strstr(g.asked, "sts:a.example:- ") == NULL)
			fail_msg("zone %zu: %s", i, g.asked);
		assert_int_equal(ph__route_host(g.route, 0)->tls, PH__HOST_MUST_STS);
		rig_done(&g);
		g.sts.policy = NULL;
		rig_run(&g, "a.example");
		assert_int_equal(ph__route_host(g.route, 0)->tls, PH__HOST_MAY);
		assert_null(ph__route_sts_problem(g.route));
		rig_done(&g);
	}
}

/* RFC 8460 §4.3.2.2 */
static void
a_policy_that_cannot_be_had_is_named_and_asks_for_nothing(void **state)
{
	static const struct rr zone[] = { RECORD, TWO_HOSTS, {0} };
	static const struct { enum ph__sts_failure failure; const char *name; } rows[] = {
		{ PH__STS_FETCH_ERROR, "sts-policy-fetch-error" },
		{ PH__STS_WEBPKI_INVALID, "sts-webpki-invalid" },
		{ PH__STS_POLICY_INVALID, "sts-policy-invalid" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct rig g = { .zone = zone, .sts.failure = rows[i].failure };

		rig_run(&g, "a.example");
		assert_string_equal(ph__route_sts_problem(g.route), rows[i].name);
		assert_int_equal(ph__route_host(g.route, 0)->tls, PH__HOST_MAY);
		rig_done(&g);
	}
}

/* §5.1 */
static void
a_kept_policy_holds_when_fetching_a_newer_one_fails(void **state)
{
	static const struct rr zone[] = { RECORD, TWO_HOSTS, {0} };
	struct ph__sts_policy p = policy(PH__STS_ENFORCE);
	struct rig g = { .zone = zone, .sts = { &p, PH__STS_FETCH_ERROR, NULL } };

	(void)state;
	rig_run(&g, "a.example");
	assert_int_equal(ph__route_host(g.route, 0)->tls, PH__HOST_MUST_STS);
	assert_string_equal(ph__route_sts_problem(g.route), "sts-policy-fetch-error");
	rig_done(&g);
}

/* What a policy that is kept forbids is not done because it cannot be read for the moment. */
static void
where_no_one_can_tell_what_is_kept_the_mail_waits(void **state)
{
	static const struct rr zone[] = { RECORD, TWO_HOSTS, { "a.example", MX, INSECURE, "30 d" },
		{ "d", A, SECURE, "192.0.2.3" }, { "_25._tcp.d", TLSA, SECURE, "3 1 1 " HASH }, {0} };
	struct ph__sts_policy p = policy(PH__STS_ENFORCE);
	struct rig g = { .zone = zone, .sts.failure = PH__STS_UNKNOWN };

	(void)state;
	rig_run(&g, "a.example");
	assert_string_equal(rig_hosts(&g), "mx.a.example/10/unusable|other.example/20/unusable|d/30/unusable");
	rig_unusable(&g, 0, PH_EDEFERRED, PH_CAUSE_SYSTEM, NULL);
	assert_int_equal(ph__route_error(g.route)->code, PH_EDEFERRED);
	rig_done(&g);
	g.sts.policy = &p;
	rig_run(&g, "a.example");
	assert_int_equal(ph__route_host(g.route, 0)->tls, PH__HOST_MUST_STS);
	rig_done(&g);
}

/* §2, RFC 7672 §1.3.3: a server that DANE proves is not judged by MTA-STS; records that prove nobody
 * (pkix) do not take the policy's place */
static void
dane_goes_before_mta_sts(void **state)
{
	static const struct rr zone[] = { RECORD, { "a.example", MX, SECURE, "10 other.example" },
		{ "a.example", MX, SECURE, "20 pkix.example" }, { "a.example", MX, SECURE, "30 mx.a.example" },
		{ "other.example", A, SECURE, "192.0.2.2" },
		{ "_25._tcp.other.example", TLSA, SECURE, "3 1 1 " HASH },
		{ "pkix.example", A, SECURE, "192.0.2.3" },
		{ "_25._tcp.pkix.example", TLSA, SECURE, "1 1 1 " HASH },
		{ "mx.a.example", A, SECURE, "192.0.2.1" }, {0} };
	struct ph__sts_policy p = policy(PH__STS_ENFORCE);
	struct rig g = { .zone = zone, .absent = SECURE, .sts.policy = &p };

	(void)state;
	rig_run(&g, "a.example");
	assert_string_equal(rig_hosts(&g), "other.example/10/dane 192.0.2.2|pkix.example/20/unusable|"
	                    "mx.a.example/30/sts 192.0.2.1");
	rig_unusable(&g, 1, PH_EDEFERRED, PH_CAUSE_STS_MX, "validation-failure");
	rig_done(&g);
}

/* RFC 7672 §2.2.1: who forges an unsigned MX record may well have a signed server of his own. */
static void
tlsa_records_behind_a_forged_mx_do_not_get_round_an_enforced_policy(void **state)
{
	static const struct rr zone[] = { RECORD, { "a.example", MX, INSECURE, "10 mx.evil.example" },
		{ "a.example", MX, INSECURE, "20 pkix.evil.example" },
		{ "mx.evil.example", A, SECURE, "192.0.2.66" },
		{ "_25._tcp.mx.evil.example", TLSA, SECURE, "3 1 1 " HASH },
		{ "pkix.evil.example", A, SECURE, "192.0.2.66" },
		{ "_25._tcp.pkix.evil.example", TLSA, SECURE, "1 1 1 " HASH }, {0} };
	struct ph__sts_policy p = policy(PH__STS_ENFORCE);
	struct rig g = { .zone = zone, .sts.policy = &p };

	(void)state;
	rig_run(&g, "a.example");
	assert_string_equal(rig_hosts(&g), "mx.evil.example/10/unusable|pkix.evil.example/20/unusable");
	rig_unusable(&g, 0, PH_EDEFERRED, PH_CAUSE_STS_MX, "validation-failure");
	assert_int_equal(ph__route_error(g.route)->code, PH_EDEFERRED);
	rig_done(&g);
	p.mode = PH__STS_TESTING;
	rig_run(&g, "a.example");
	assert_string_equal(rig_hosts(&g), "mx.evil.example/10/dane 192.0.2.66|"
	                    "pkix.evil.example/20/tls 192.0.2.66");
	rig_done(&g);
}

/* RFC 7672 §2.2: TLS without a name is the least they ask for; the policy asks for more */
static void
an_enforced_policy_wants_the_name_where_tlsa_records_are_unusable(void **state)
{
	static const struct rr zone[] = { RECORD, { "a.example", MX, SECURE, "10 mx.a.example" },
		{ "mx.a.example", A, SECURE, "192.0.2.1" },
		{ "_25._tcp.mx.a.example", TLSA, SECURE, "1 1 1 " HASH }, {0} };
	struct ph__sts_policy p = policy(PH__STS_ENFORCE);
	struct rig g = { .zone = zone, .absent = SECURE, .sts.policy = &p };

	(void)state;
	rig_run(&g, "a.example");
	assert_string_equal(rig_hosts(&g), "mx.a.example/10/sts 192.0.2.1");
	assert_string_equal(ph__route_host(g.route, 0)->result, "tlsa-invalid");
	rig_done(&g);
}

/* §2: MTA-STS does not override failing DANE */
static void
a_matching_policy_does_not_save_a_host_whose_dane_fails(void **state)
{
	static const struct rr zone[] = { RECORD, { "a.example", MX, SECURE, "10 mx.a.example" },
		{ "mx.a.example", A, SECURE, "192.0.2.1" },
		{ "_25._tcp.mx.a.example", TLSA, BOGUS, .status = PH__DNS_FAILED }, {0} };
	struct ph__sts_policy p = policy(PH__STS_ENFORCE);
	struct rig g = { .zone = zone, .absent = SECURE, .sts.policy = &p };

	(void)state;
	rig_run(&g, "a.example");
	rig_unusable(&g, 0, PH_EDEFERRED, PH_CAUSE_DNS_BOGUS, "dnssec-invalid");
	rig_done(&g);
}

/* A host that DANE settles does not wait for the policy; any other does. */
static void
only_hosts_without_dane_wait_for_the_policy(void **state)
{
	static const struct rr zone[] = { RECORD, { "a.example", MX, SECURE, "10 d" },
		{ "a.example", MX, SECURE, "20 mx.a.example" }, { "d", A, SECURE, "192.0.2.2" },
		{ "_25._tcp.d", TLSA, SECURE, "3 1 1 " HASH }, { "mx.a.example", A, SECURE, "192.0.2.1" },
		{ "b.example", MX, INSECURE, "10 d" }, { "_mta-sts.b.example", TXT, INSECURE, "v=STSv1; id=1;" },
		{0} };
	static const struct { const char *domain, *before, *after; bool proved; } rows[] = {
		{ "a.example", "d/10/dane 192.0.2.2|mx.a.example/20/asking",
		  "d/10/dane 192.0.2.2|mx.a.example/20/sts 192.0.2.1", true },
		/* unsigned MX records: only the policy can prove that the host is the domain's */
		{ "b.example", "d/10/asking", "d/10/dane 192.0.2.2", true },
	};
	char *mx[] = { (char *)"d", (char *)"mx.a.example" };
	struct ph__sts_policy p = { .mode = PH__STS_ENFORCE, .id = (char *)"1", .mx = mx, .mx_count = 2 };

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct rig g = { .zone = zone, .absent = SECURE, .sts.policy = &p };
		struct ph__question q, sts = { 0 };

		rig_begin(&g, rows[i].domain);
		while (ph__route_question(g.route, &q))
			if (q.kind == PH__ASK_STS)
				sts = q;
			else
				rig_answer(&g, &q);
		assert_string_equal(rig_hosts(&g), rows[i].before);
		assert_false(ph__route_is_settled(g.route));
		rig_answer(&g, &sts);
		assert_string_equal(rig_hosts(&g), rows[i].after);
		assert_int_equal(ph__route_host(g.route, 0)->mx_proved, rows[i].proved);
		rig_done(&g);
	}
}

/* §2: the policy domain is the recipients', not where an alias leads */
static void
the_policy_domain_is_the_recipients_domain(void **state)
{
	static const struct rr zone[] = {
		{ "alias.example", MX, INSECURE, "10 mx.a.example", PH__DNS_FOUND, "a.example" },
		{ "mx.a.example", A, INSECURE, "192.0.2.1" }, {0} };
	struct rig g = { .zone = zone };

	(void)state;
	rig_run(&g, "alias.example");
	assert_non_null(strstr(g.asked, "16:_mta-sts.alias.example "));
	assert_non_null(strstr(g.asked, "sts:alias.example:- "));
	assert_null(strstr(g.asked, "_mta-sts.a.example"));
	rig_done(&g);
}

static void
an_implicit_mx_is_judged_by_the_domain(void **state)
{
	static const struct rr zone[] = { RECORD, { "a.example", A, INSECURE, "192.0.2.1" }, {0} };
	char *mx[] = { (char *)"a.example" };
	struct ph__sts_policy p = { .mode = PH__STS_ENFORCE, .id = (char *)"1", .mx = mx, .mx_count = 1 };
	struct rig g = { .zone = zone, .sts.policy = &p };

	(void)state;
	rig_run(&g, "a.example");
	assert_string_equal(rig_hosts(&g), "a.example/0/sts 192.0.2.1");
	rig_done(&g);
	mx[0] = (char *)"mx.a.example";
	rig_run(&g, "a.example");
	rig_unusable(&g, 0, PH_EDEFERRED, PH_CAUSE_STS_MX, "validation-failure");
	rig_done(&g);
}

static void
switched_off_it_is_not_asked_for(void **state)
{
	static const struct rr zone[] = { RECORD, TWO_HOSTS, {0} };
	struct ph__sts_policy p = policy(PH__STS_ENFORCE);
	struct rig g = { .zone = zone, .sts.policy = &p, .opts.no_mta_sts = true };

	(void)state;
	rig_run(&g, "a.example");
	assert_null(strstr(g.asked, "sts"));
	assert_int_equal(ph__route_host(g.route, 1)->tls, PH__HOST_MAY);
	rig_done(&g);
}

static void
verified_only_demands_the_name_of_every_host(void **state)
{
	static const struct rr zone[] = { RECORD, TWO_HOSTS, {0} };
	struct ph__sts_policy p = policy(PH__STS_TESTING);
	struct rig g = { .zone = zone, .sts.policy = &p, .opts.verified_only = true };

	(void)state;
	rig_run(&g, "a.example");
	assert_string_equal(rig_hosts(&g), "mx.a.example/10/name 192.0.2.1|other.example/20/name 192.0.2.2");
	rig_done(&g);
	p.mode = PH__STS_ENFORCE; /* still excludes */
	rig_run(&g, "a.example");
	rig_unusable(&g, 1, PH_EDEFERRED, PH_CAUSE_STS_MX, "validation-failure");
	rig_done(&g);
}

static void
domains_of_different_policies_do_not_share_a_transaction(void **state)
{
	static const struct rr zone[] = { RECORD, TWO_HOSTS, { "b.example", MX, INSECURE, "10 mx.a.example" },
		{ "b.example", MX, INSECURE, "20 other.example" }, {0} };
	static char *both[] = { (char *)"mx.a.example", (char *)"other.example" };
	struct ph__sts_policy p = policy(PH__STS_TESTING);
	struct rig a = { .zone = zone, .sts.policy = &p }, b = { .zone = zone };

	(void)state;
	rig_run(&a, "a.example");
	rig_run(&b, "b.example");
	assert_false(ph__route_same(a.route, b.route));
	rig_done(&b);
	b.sts.policy = &p;
	rig_run(&b, "b.example");
	assert_true(ph__route_same(a.route, b.route));
	rig_done(&a);
	rig_done(&b);
	/* both hosts are in both, and only one of them is enforced */
	p = policy(PH__STS_ENFORCE);
	p.mx = both;
	p.mx_count = 2;
	rig_run(&a, "a.example");
	p.mode = PH__STS_TESTING;
	rig_run(&b, "b.example");
	assert_false(ph__route_same(a.route, b.route));
	rig_done(&a);
	rig_done(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_enforced_policy_excludes_hosts_and_demands_a_name_of_the_others),
		cmocka_unit_test(where_no_host_is_in_an_enforced_policy_the_mail_is_deferred),
		cmocka_unit_test(a_policy_in_testing_excludes_nobody_and_notes_who_does_not_match),
		cmocka_unit_test(a_policy_of_mode_none_asks_for_nothing_and_proves_nothing),
		cmocka_unit_test(without_a_valid_record_the_kept_policy_is_asked_for),
		cmocka_unit_test(a_policy_that_cannot_be_had_is_named_and_asks_for_nothing),
		cmocka_unit_test(a_kept_policy_holds_when_fetching_a_newer_one_fails),
		cmocka_unit_test(where_no_one_can_tell_what_is_kept_the_mail_waits),
		cmocka_unit_test(dane_goes_before_mta_sts),
		cmocka_unit_test(tlsa_records_behind_a_forged_mx_do_not_get_round_an_enforced_policy),
		cmocka_unit_test(an_enforced_policy_wants_the_name_where_tlsa_records_are_unusable),
		cmocka_unit_test(a_matching_policy_does_not_save_a_host_whose_dane_fails),
		cmocka_unit_test(only_hosts_without_dane_wait_for_the_policy),
		cmocka_unit_test(the_policy_domain_is_the_recipients_domain),
		cmocka_unit_test(an_implicit_mx_is_judged_by_the_domain),
		cmocka_unit_test(switched_off_it_is_not_asked_for),
		cmocka_unit_test(verified_only_demands_the_name_of_every_host),
		cmocka_unit_test(domains_of_different_policies_do_not_share_a_transaction),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
