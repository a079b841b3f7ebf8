/* SPDX-License-Identifier: MIT */
/* DANE for SMTP (RFC 7672): one test for each rule line of "DANE", steps 1 to 4. */
#include "route_rig.h"

#include "route/dane.h"

#define HASH "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
#define EE "3 1 1 " HASH
#define TA "2 0 1 " HASH
#define PKIX "1 0 1 " HASH

#define RUN(g, domain, ...) \
	static const struct rr zone[] = { __VA_ARGS__, {0} }; \
	struct rig g = { .zone = zone, .absent = SECURE }; \
	(void)state; \
	rig_run(&g, domain)
#define MX_OF(trust) { "a.example", MX, trust, "10 mx.a.example" }
#define A_OF(trust) { "mx.a.example", A, trust, "192.0.2.1" }, { "mx.a.example", AAAA, trust, NULL }
#define TLSA_NAME "_25._tcp.mx.a.example"

static const struct ph__route_host *
host(const struct rig *g)
{
	return ph__route_host(g->route, 0);
}

static void
names_are(const struct rig *g, const char *base, const char *a, const char *b, const char *c)
{
	const char *const wanted[] = { a, b, c, NULL };

	assert_int_equal(host(g)->state, PH__HOST_READY);
	assert_string_equal(host(g)->base, base);
	for (size_t i = 0; i < COUNT(wanted); i++) {
		if (wanted[i] == NULL) {
			assert_null(host(g)->names[i]);
			break;
		}
		assert_non_null(host(g)->names[i]);
		assert_string_equal(host(g)->names[i], wanted[i]);
	}
}

/* ---- 1: the MX records ----------------------------------------------------------------------- */

/* §2.2.1, §2.2 */
static void
a_secure_mx_and_a_usable_record_mean_dane(void **state)
{
	char text[100];

	RUN(g, "a.example", MX_OF(SECURE), A_OF(SECURE), { TLSA_NAME, TLSA, SECURE, EE });
	assert_string_equal(rig_hosts(&g), "mx.a.example/10/dane 192.0.2.1");
	assert_int_equal(host(&g)->tlsa_count, 1);
	ph__tlsa_text(text, sizeof text, host(&g)->tlsa);
	assert_string_equal(text, EE);
	assert_true(host(&g)->mx_proved);
	assert_null(host(&g)->result);
	rig_done(&g);
}

/* §2.2.1 */
static void
behind_an_insecure_mx_dane_still_protects_and_proves_nothing(void **state)
{
	RUN(g, "a.example", MX_OF(INSECURE), A_OF(SECURE), { TLSA_NAME, TLSA, SECURE, EE });
	assert_string_equal(rig_hosts(&g), "mx.a.example/10/dane 192.0.2.1");
	assert_false(host(&g)->mx_proved);
	names_are(&g, "mx.a.example", NULL, NULL, NULL);
	rig_done(&g);
}

/* §2.2.1, §6 */
static void
required_dane_fails_behind_an_insecure_mx(void **state)
{
	static const struct rr zone[] = { MX_OF(INSECURE), A_OF(SECURE), { TLSA_NAME, TLSA, SECURE, EE },
	                                  { "b.example", MX, INSECURE, NULL }, {0} };
	static const char *const domains[] = { "a.example", "b.example", "[192.0.2.1]" };
	struct rig g = { .zone = zone, .opts.dane = PH_DANE_REQUIRED };

	(void)state;
	for (size_t i = 0; i < COUNT(domains); i++) {
		rig_run(&g, domains[i]);
		rig_failed(&g, PH_ESECURITY, PH_CAUSE_NO_DNSSEC);
		rig_done(&g);
	}
}

/* §2.1.1 */
static void
a_bogus_mx_is_deferred_under_dane_as_well(void **state)
{
	RUN(g, "a.example", { "a.example", MX, BOGUS, .status = PH__DNS_FAILED });
	rig_failed(&g, PH_EDEFERRED, PH_CAUSE_DNS_BOGUS);
	rig_done(&g);
}

/* §2.2.1: a worse host with TLSA records does not go before a better one without */
static void
dane_does_not_change_the_order_of_preference(void **state)
{
	RUN(g, "a.example", MX_OF(SECURE), { "a.example", MX, SECURE, "5 plain.example" }, A_OF(SECURE),
	    { "plain.example", A, INSECURE, "192.0.2.2" }, { "plain.example", AAAA, INSECURE, NULL },
	    { TLSA_NAME, TLSA, SECURE, EE });
	assert_string_equal(rig_hosts(&g),
	                    "plain.example/5/may 192.0.2.2|mx.a.example/10/dane 192.0.2.1");
	rig_done(&g);
}

/* ---- 2: the addresses ------------------------------------------------------------------------ */

/* §2.2.2 */
static void
insecure_addresses_mean_no_tlsa_question(void **state)
{
	RUN(g, "a.example", MX_OF(SECURE), A_OF(INSECURE), { TLSA_NAME, TLSA, SECURE, EE });
	assert_string_equal(rig_hosts(&g), "mx.a.example/10/may 192.0.2.1");
	assert_null(strstr(g.asked, "52:"));
	assert_null(strstr(g.asked, "5:mx.a.example"));
	assert_true(host(&g)->mx_proved);
	rig_done(&g);
}

/* §2.2.2, conservatively: what is known securely of one family suffices to ask */
static void
one_secure_family_is_enough_for_the_tlsa_question(void **state)
{
	RUN(g, "a.example", MX_OF(SECURE), { "mx.a.example", A, SECURE, "192.0.2.1" },
	    { "mx.a.example", AAAA, INSECURE, .status = PH__DNS_FAILED }, { TLSA_NAME, TLSA, SECURE, EE });
	assert_string_equal(rig_hosts(&g), "mx.a.example/10/dane 192.0.2.1");
	rig_done(&g);
}

/* §2.1.1: the other family's addresses are not used in its stead */
static void
bogus_addresses_make_the_host_unusable_in_either_family(void **state)
{
	RUN(g, "a.example", MX_OF(SECURE), { "mx.a.example", A, BOGUS, .status = PH__DNS_FAILED },
	    { "mx.a.example", AAAA, SECURE, "2001:db8::1" }, { TLSA_NAME, TLSA, SECURE, EE });
	rig_unusable(&g, 0, PH_EDEFERRED, PH_CAUSE_DNS_BOGUS, "dnssec-invalid");
	assert_int_equal(ph__route_error(g.route)->cause, PH_CAUSE_DNS_BOGUS);
	rig_done(&g);
}

/* §2.2.2: a signed alias of an unsigned name */
static void
a_secure_alias_of_an_insecure_name_has_tlsa_records_of_its_own(void **state)
{
	RUN(g, "a.example", MX_OF(SECURE),
	    { "mx.a.example", A, INSECURE, "192.0.2.1", PH__DNS_FOUND, "host.b.example" },
	    { "mx.a.example", AAAA, INSECURE, NULL, PH__DNS_FOUND, "host.b.example" },
	    { "mx.a.example", CNAME, SECURE, "host.b.example" }, { TLSA_NAME, TLSA, SECURE, EE },
	    { "_25._tcp.host.b.example", TLSA, SECURE, TA });
	assert_string_equal(rig_hosts(&g), "mx.a.example/10/dane 192.0.2.1");
	names_are(&g, "mx.a.example", "a.example", NULL, NULL);
	assert_null(strstr(g.asked, "host.b.example"));
	rig_done(&g);
}

/* The unsigned end can be made to lead anywhere: to a name that is none, for one. */
static void
a_secure_alias_keeps_its_dane_wherever_the_insecure_name_leads(void **state)
{
	RUN(g, "a.example", MX_OF(SECURE),
	    { "mx.a.example", A, INSECURE, "192.0.2.1", PH__DNS_FOUND, "a b\x1b[0m.example" },
	    { "mx.a.example", AAAA, INSECURE, NULL, PH__DNS_FOUND, "." },
	    { "mx.a.example", CNAME, SECURE, "host.b.example" }, { TLSA_NAME, TLSA, SECURE, EE });
	assert_string_equal(rig_hosts(&g), "mx.a.example/10/dane 192.0.2.1");
	rig_done(&g);
}

static void
an_insecure_alias_has_no_dane(void **state)
{
	RUN(g, "a.example", MX_OF(SECURE),
	    { "mx.a.example", A, INSECURE, "192.0.2.1", PH__DNS_FOUND, "host.b.example" },
	    { "mx.a.example", AAAA, INSECURE, NULL, PH__DNS_FOUND, "host.b.example" },
	    { "mx.a.example", CNAME, INSECURE, "host.b.example" }, { TLSA_NAME, TLSA, SECURE, EE });
	assert_string_equal(rig_hosts(&g), "mx.a.example/10/may 192.0.2.1");
	assert_null(strstr(g.asked, "52:"));
	rig_done(&g);
}

/* §2.1.2 */
static void
an_alias_that_cannot_be_looked_up_makes_the_host_unusable(void **state)
{
	static const struct { int trust; enum ph__dns_status status; enum ph_cause cause;
	                      const char *result; } rows[] = {
		{ INSECURE, PH__DNS_FAILED, PH_CAUSE_RESOLVER, NULL },
		{ INSECURE, PH__DNS_LATE, PH_CAUSE_RESOLVER, NULL },
		{ BOGUS, PH__DNS_FAILED, PH_CAUSE_DNS_BOGUS, "dnssec-invalid" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct rr zone[] = { MX_OF(SECURE),
			{ "mx.a.example", A, INSECURE, "192.0.2.1", PH__DNS_FOUND, "b" },
			{ "mx.a.example", CNAME, rows[i].trust, NULL, rows[i].status, NULL }, {0} };
		struct rig g = { .zone = zone };

		rig_run(&g, "a.example");
		rig_unusable(&g, 0, PH_EDEFERRED, rows[i].cause, rows[i].result);
		rig_done(&g);
	}
}

/* ---- the base domain ------------------------------------------------------------------------- */

/* §2.2.3 */
static void
the_end_of_a_secure_alias_is_the_base_domain(void **state)
{
	RUN(g, "a.example", MX_OF(SECURE),
	    { "mx.a.example", A, SECURE, "192.0.2.1", PH__DNS_FOUND, "HOST.b.example" },
	    { "mx.a.example", AAAA, SECURE, NULL, PH__DNS_FOUND, "host.b.example" },
	    { TLSA_NAME, TLSA, SECURE, EE }, { "_25._tcp.host.b.example", TLSA, SECURE, TA });
	names_are(&g, "host.b.example", "mx.a.example", "a.example", NULL);
	assert_int_equal(host(&g)->tlsa->usage, 2);
	assert_null(strstr(g.asked, TLSA_NAME));
	rig_done(&g);
}

/* §2.2.3 */
static void
without_records_there_the_alias_itself_is_the_base_domain(void **state)
{
	RUN(g, "a.example", MX_OF(SECURE),
	    { "mx.a.example", A, SECURE, "192.0.2.1", PH__DNS_FOUND, "host.b.example" },
	    { "mx.a.example", AAAA, SECURE, NULL, PH__DNS_FOUND, "host.b.example" },
	    { TLSA_NAME, TLSA, SECURE, EE });
	names_are(&g, "mx.a.example", "a.example", NULL, NULL);
	assert_non_null(strstr(g.asked, "52:_25._tcp.host.b.example 52:" TLSA_NAME));
	rig_done(&g);
}

/* §2.2.3: it may hide records */
static void
failing_at_the_alias_end_does_not_lead_to_the_alias_itself(void **state)
{
	RUN(g, "a.example", MX_OF(SECURE),
	    { "mx.a.example", A, SECURE, "192.0.2.1", PH__DNS_FOUND, "host.b.example" },
	    { "_25._tcp.host.b.example", TLSA, INSECURE, .status = PH__DNS_FAILED },
	    { TLSA_NAME, TLSA, SECURE, EE });
	rig_unusable(&g, 0, PH_EDEFERRED, PH_CAUSE_RESOLVER, "dnssec-invalid");
	rig_done(&g);
}

/* §3.2.2: base domain, MX host, next-hop domain, and that one's alias */
static void
all_names_of_the_way_there_are_reference_names(void **state)
{
	RUN(g, "alias.example",
	    { "alias.example", MX, SECURE, "10 mx.a.example", PH__DNS_FOUND, "a.example" },
	    { "mx.a.example", A, SECURE, "192.0.2.1", PH__DNS_FOUND, "host.b.example" },
	    { "_25._tcp.host.b.example", TLSA, SECURE, TA });
	names_are(&g, "host.b.example", "mx.a.example", "alias.example", "a.example");
	rig_done(&g);
}

/* §2.2.2: a domain without MX records is its own host */
static void
an_implicit_mx_has_dane_at_the_domain(void **state)
{
	RUN(g, "a.example", { "a.example", A, SECURE, "192.0.2.1" }, { "_25._tcp.a.example", TLSA, SECURE, EE });
	assert_string_equal(rig_hosts(&g), "a.example/0/dane 192.0.2.1");
	names_are(&g, "a.example", NULL, NULL, NULL);
	rig_done(&g);
}

static void
a_canonical_name_that_is_no_host_name_is_no_base_domain(void **state)
{
	RUN(g, "a.example", MX_OF(SECURE),
	    { "mx.a.example", A, SECURE, "192.0.2.1", PH__DNS_FOUND, "a b\x1b[0m.example" },
	    { TLSA_NAME, TLSA, SECURE, EE });
	names_are(&g, "mx.a.example", "a.example", NULL, NULL);
	rig_done(&g);
}

/* ---- 3: the TLSA question -------------------------------------------------------------------- */

/* §2.2.3: the port is the server's */
static void
tlsa_records_are_those_of_the_port(void **state)
{
	static const struct rr zone[] = { MX_OF(SECURE), A_OF(SECURE), { TLSA_NAME, TLSA, SECURE, TA },
	                                  { "_2525._tcp.mx.a.example", TLSA, SECURE, EE }, {0} };
	struct rig g = { .zone = zone, .absent = SECURE, .opts.port = 2525 };

	(void)state;
	rig_run(&g, "a.example");
	assert_int_equal(host(&g)->tlsa->usage, 3);
	rig_done(&g);
}

/* §2.1.2, §2.2: this host is skipped, the next one tried */
static void
a_failing_tlsa_look_up_makes_the_host_unusable_and_leaves_the_next(void **state)
{
	static const struct { int trust; enum ph__dns_status status; enum ph_cause cause; } rows[] = {
		{ INSECURE, PH__DNS_FAILED, PH_CAUSE_RESOLVER },
		{ SECURE, PH__DNS_FAILED, PH_CAUSE_RESOLVER },
		{ INSECURE, PH__DNS_LATE, PH_CAUSE_RESOLVER },
		{ BOGUS, PH__DNS_FAILED, PH_CAUSE_DNS_BOGUS },
		{ BOGUS, PH__DNS_FOUND, PH_CAUSE_DNS_BOGUS },
		{ BOGUS, PH__DNS_NXDOMAIN, PH_CAUSE_DNS_BOGUS },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct rr zone[] = { MX_OF(SECURE), A_OF(SECURE),
			{ "a.example", MX, SECURE, "20 b", PH__DNS_FOUND, NULL },
			{ "b", A, SECURE, "192.0.2.2", PH__DNS_FOUND, NULL },
			{ TLSA_NAME, TLSA, rows[i].trust, rows[i].status == PH__DNS_FOUND ? EE : NULL,
			  rows[i].status, NULL }, {0} };
		struct rig g = { .zone = zone, .absent = SECURE };

		rig_run(&g, "a.example");
		rig_unusable(&g, 0, PH_EDEFERRED, rows[i].cause, "dnssec-invalid");
		assert_non_null(strstr(rig_hosts(&g), "|b/20/may 192.0.2.2"));
		assert_int_equal(ph__route_error(g.route)->code, PH_OK);
		rig_done(&g);
	}
}

/* §2.2 */
static void
where_all_tlsa_look_ups_fail_the_mail_is_deferred(void **state)
{
	RUN(g, "a.example", MX_OF(SECURE), A_OF(SECURE),
	    { TLSA_NAME, TLSA, INSECURE, .status = PH__DNS_FAILED });
	assert_int_equal(ph__route_state(g.route), PH__ROUTE_KNOWN);
	assert_int_equal(ph__route_error(g.route)->code, PH_EDEFERRED);
	rig_done(&g);
}

/* §2.2 */
static void
a_secure_absence_of_tlsa_records_means_no_dane(void **state)
{
	static const enum ph__dns_status rows[] = { PH__DNS_NODATA, PH__DNS_NXDOMAIN };

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct rr zone[] = { MX_OF(SECURE), A_OF(SECURE), { TLSA_NAME, TLSA, SECURE, NULL, rows[i],
		                                                    NULL }, {0} };
		struct rig g = { .zone = zone, .absent = SECURE };

		rig_run(&g, "a.example");
		assert_string_equal(rig_hosts(&g), "mx.a.example/10/may 192.0.2.1");
		assert_true(host(&g)->mx_proved);
		rig_done(&g);
	}
}

/* §2.2: only a secure RRset counts */
static void
insecure_tlsa_records_are_as_none(void **state)
{
	RUN(g, "a.example", MX_OF(SECURE), A_OF(SECURE), { TLSA_NAME, TLSA, INSECURE, EE });
	assert_string_equal(rig_hosts(&g), "mx.a.example/10/may 192.0.2.1");
	rig_done(&g);
}

/* ---- 4: what the records demand -------------------------------------------------------------- */

/* §2.2, §3.1.3 */
static void
one_usable_record_among_others_means_dane(void **state)
{
	RUN(g, "a.example", MX_OF(SECURE), A_OF(SECURE), { TLSA_NAME, TLSA, SECURE, PKIX },
	    { TLSA_NAME, TLSA, SECURE, "#ff" }, { TLSA_NAME, TLSA, SECURE, EE },
	    { TLSA_NAME, TLSA, SECURE, TA });
	assert_string_equal(rig_hosts(&g), "mx.a.example/10/dane 192.0.2.1");
	assert_int_equal(host(&g)->tlsa_count, 2);
	rig_done(&g);
}

/* §2.2: encryption is a must, authentication cannot be had; never clear text */
static void
only_unusable_records_mean_tls_without_authentication(void **state)
{
	RUN(g, "a.example", MX_OF(SECURE), A_OF(SECURE), { TLSA_NAME, TLSA, SECURE, PKIX },
	    { TLSA_NAME, TLSA, SECURE, "#0301" });
	assert_string_equal(rig_hosts(&g), "mx.a.example/10/tls 192.0.2.1");
	assert_string_equal(host(&g)->result, "tlsa-invalid");
	assert_int_equal(host(&g)->tlsa_count, 0);
	rig_done(&g);
	g.opts.verified_only = true;
	rig_run(&g, "a.example");
	assert_string_equal(rig_hosts(&g), "mx.a.example/10/name 192.0.2.1");
	rig_done(&g);
}

/* §6 */
static void
required_dane_uses_only_hosts_with_usable_records(void **state)
{
	static const struct rr zone[] = { MX_OF(SECURE), { "a.example", MX, SECURE, "20 none" },
		{ "a.example", MX, SECURE, "30 pkix" }, { "a.example", MX, SECURE, "40 unsigned" },
		{ "a.example", MX, SECURE, "50 failing" }, A_OF(SECURE), { TLSA_NAME, TLSA, SECURE, EE },
		{ "none", A, SECURE, "192.0.2.2" }, { "pkix", A, SECURE, "192.0.2.3" },
		{ "_25._tcp.pkix", TLSA, SECURE, PKIX }, { "unsigned", A, INSECURE, "192.0.2.4" },
		{ "unsigned", AAAA, INSECURE, NULL }, { "failing", A, SECURE, "192.0.2.5" },
		{ "_25._tcp.failing", TLSA, INSECURE, .status = PH__DNS_FAILED }, {0} };
	struct rig g = { .zone = zone, .absent = SECURE, .opts.dane = PH_DANE_REQUIRED };

	(void)state;
	rig_run(&g, "a.example");
	assert_int_equal(host(&g)->tls, PH__HOST_MUST_DANE);
	for (size_t i = 1; i < 4; i++)
		rig_unusable(&g, i, PH_ESECURITY, PH_CAUSE_NO_DANE, "dane-required");
	rig_unusable(&g, 4, PH_EDEFERRED, PH_CAUSE_RESOLVER, "dnssec-invalid");
	rig_done(&g);
}

static void
with_dane_off_tlsa_records_are_not_asked_for(void **state)
{
	static const struct rr zone[] = { MX_OF(SECURE), A_OF(SECURE), { TLSA_NAME, TLSA, SECURE, EE }, {0} };
	struct rig g = { .zone = zone, .absent = SECURE, .opts.dane = PH_DANE_OFF };

	(void)state;
	rig_run(&g, "a.example");
	assert_string_equal(rig_hosts(&g), "mx.a.example/10/may 192.0.2.1");
	assert_null(strstr(g.asked, "52:"));
	assert_true(host(&g)->mx_proved);
	rig_done(&g);
}

static void
verified_only_leaves_dane_as_it_is(void **state)
{
	static const struct rr zone[] = { MX_OF(SECURE), { "a.example", MX, SECURE, "20 b" }, A_OF(SECURE),
		{ "b", A, SECURE, "192.0.2.2" }, { TLSA_NAME, TLSA, SECURE, EE }, {0} };
	struct rig g = { .zone = zone, .absent = SECURE, .opts.verified_only = true };

	(void)state;
	rig_run(&g, "a.example");
	assert_string_equal(rig_hosts(&g), "mx.a.example/10/dane 192.0.2.1|b/20/name 192.0.2.2");
	rig_done(&g);
}

/* §3.2.2: the names of a DANE-TA certificate are the domain's too */
static void
dane_ta_keeps_domains_apart_and_dane_ee_does_not(void **state)
{
	static const struct { const char *tlsa; bool same; } rows[] = { { EE, true }, { TA, false } };

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct rr zone[] = { MX_OF(SECURE), A_OF(SECURE),
			{ "b.example", MX, SECURE, "5 mx.a.example", PH__DNS_FOUND, NULL },
			{ TLSA_NAME, TLSA, SECURE, rows[i].tlsa, PH__DNS_FOUND, NULL }, {0} };
		struct rig a = { .zone = zone, .absent = SECURE }, b = a;

		rig_run(&a, "a.example");
		rig_run(&b, "b.example");
		assert_int_equal(ph__route_same(a.route, b.route), rows[i].same);
		assert_true(ph__route_same(a.route, a.route));
		rig_done(&a);
		rig_done(&b);
	}
}

/* RFC 8689 §4.2.1 */
static void
requiretls_may_go_to_hosts_that_dnssec_proves(void **state)
{
	static const struct { int mx, absent; bool explicit_mx, proved; } rows[] = {
		{ SECURE, SECURE, true, true }, { INSECURE, INSECURE, true, false },
		{ SECURE, INSECURE, false, true }, { INSECURE, INSECURE, false, true }, /* by its own name */
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct rr zone[] = { { "a.example", MX, rows[i].mx, rows[i].explicit_mx ? "1 mx.a.example" : NULL,
		                       PH__DNS_FOUND, NULL }, A_OF(INSECURE),
		                     { "a.example", A, INSECURE, "192.0.2.2", PH__DNS_FOUND, NULL }, {0} };
		struct rig g = { .zone = zone, .absent = rows[i].absent };

		rig_run(&g, "a.example");
		assert_int_equal(host(&g)->state, PH__HOST_READY);
		assert_int_equal(host(&g)->mx_proved, rows[i].proved);
		rig_done(&g);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_secure_mx_and_a_usable_record_mean_dane),
		cmocka_unit_test(behind_an_insecure_mx_dane_still_protects_and_proves_nothing),
		cmocka_unit_test(required_dane_fails_behind_an_insecure_mx),
		cmocka_unit_test(a_bogus_mx_is_deferred_under_dane_as_well),
		cmocka_unit_test(dane_does_not_change_the_order_of_preference),
		cmocka_unit_test(insecure_addresses_mean_no_tlsa_question),
		cmocka_unit_test(one_secure_family_is_enough_for_the_tlsa_question),
		cmocka_unit_test(bogus_addresses_make_the_host_unusable_in_either_family),
		cmocka_unit_test(a_secure_alias_of_an_insecure_name_has_tlsa_records_of_its_own),
		cmocka_unit_test(a_secure_alias_keeps_its_dane_wherever_the_insecure_name_leads),
		cmocka_unit_test(an_insecure_alias_has_no_dane),
		cmocka_unit_test(an_alias_that_cannot_be_looked_up_makes_the_host_unusable),
		cmocka_unit_test(the_end_of_a_secure_alias_is_the_base_domain),
		cmocka_unit_test(without_records_there_the_alias_itself_is_the_base_domain),
		cmocka_unit_test(failing_at_the_alias_end_does_not_lead_to_the_alias_itself),
		cmocka_unit_test(all_names_of_the_way_there_are_reference_names),
		cmocka_unit_test(an_implicit_mx_has_dane_at_the_domain),
		cmocka_unit_test(a_canonical_name_that_is_no_host_name_is_no_base_domain),
		cmocka_unit_test(tlsa_records_are_those_of_the_port),
		cmocka_unit_test(a_failing_tlsa_look_up_makes_the_host_unusable_and_leaves_the_next),
		cmocka_unit_test(where_all_tlsa_look_ups_fail_the_mail_is_deferred),
		cmocka_unit_test(a_secure_absence_of_tlsa_records_means_no_dane),
		cmocka_unit_test(insecure_tlsa_records_are_as_none),
		cmocka_unit_test(one_usable_record_among_others_means_dane),
		cmocka_unit_test(only_unusable_records_mean_tls_without_authentication),
		cmocka_unit_test(required_dane_uses_only_hosts_with_usable_records),
		cmocka_unit_test(with_dane_off_tlsa_records_are_not_asked_for),
		cmocka_unit_test(verified_only_leaves_dane_as_it_is),
		cmocka_unit_test(dane_ta_keeps_domains_apart_and_dane_ee_does_not),
		cmocka_unit_test(requiretls_may_go_to_hosts_that_dnssec_proves),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
