/* SPDX-License-Identifier: MIT */
/* Where mail goes, by MX and address records: one test for each rule line of "Routing". */
#include "route_rig.h"

#include "failing_memory.h"
#include "route/domain.h"

#define RUN(g, domain, ...) \
	static const struct rr zone[] = { __VA_ARGS__ __VA_OPT__(,) {0} }; \
	struct rig g = { .zone = zone, .opts.no_mta_sts = true }; \
	(void)state; \
	rig_run(&g, domain)

static void
enhanced_is(const struct rig *g, unsigned subject, unsigned detail)
{
	const struct ph_error *e = ph__route_error(g->route);

	assert_int_equal(e->reply, 0);
	assert_int_equal(e->enhanced[0], 5);
	assert_int_equal(e->enhanced[1], subject);
	assert_int_equal(e->enhanced[2], detail);
}

/* ---- the domain ------------------------------------------------------------------------------ */

static void
a_domain_that_can_be_none_is_refused(void **state)
{
	static const char *const bad[] = {
		"", ".", "a.example.", "a..example", ".a", "a b", "a\nb", "a\x7f", "a/b", "192.0.2.1", "a.12",
		"[192.0.2.1", "[192.0.2]", "[]", "[IPv6:192.0.2.1]", "[2001:db8::1]", "[x:y]", "\xff\xfe.de",
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.example",
	};
	struct rig g = { .zone = NULL };
	char longest[300];

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++) {
		rig_begin(&g, bad[i]);
		if (g.code != PH_EINPUT)
			fail_msg("'%s': %s", bad[i], ph_code_name(g.code));
		assert_null(g.route);
	}
	memset(longest, 'a', sizeof longest);
	for (size_t i = 2; i < 254; i += 2)
		longest[i - 1] = '.';
	longest[254] = '\0'; /* wire form: over 255 octets */
	rig_begin(&g, longest);
	assert_int_equal(g.code, PH_EINPUT);
	longest[253] = '\0';
	rig_begin(&g, longest);
	assert_int_equal(g.code, PH_OK);
	rig_done(&g);
}

/* RFC 5321 §2.3.5 */
static void
a_domain_without_dots_is_fine(void **state)
{
	RUN(g, "localhost", { "localhost", MX, INSECURE, "0 mx" }, { "mx", A, INSECURE, "127.0.0.1" });
	assert_string_equal(rig_hosts(&g), "mx/0/may 127.0.0.1");
	rig_done(&g);
}

/* RFC 5891 §5 */
static void
an_idn_domain_is_looked_up_as_a_labels_in_lower_case(void **state)
{
	RUN(g, "B\xc3\xbc" "cher.Example", { "xn--bcher-kva.example", MX, INSECURE, "5 MX.example" },
	    { "mx.example", A, INSECURE, "192.0.2.1" });
	assert_string_equal(ph__route_domain(g.route), "xn--bcher-kva.example");
	assert_string_equal(rig_hosts(&g), "mx.example/5/may 192.0.2.1");
	rig_done(&g);
}

/* RFC 5321 §4.1.3: only when the user wrote one */
static void
an_address_literal_is_one_host_and_nothing_is_asked(void **state)
{
	static const struct { const char *domain, *hosts; } rows[] = {
		{ "[192.0.2.1]", "192.0.2.1/0/may 192.0.2.1" },
		{ "[IPv6:2001:DB8::1]", "2001:db8::1/0/may 2001:db8::1" },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		RUN(g, rows[i].domain);
		assert_string_equal(rig_hosts(&g), rows[i].hosts);
		assert_string_equal(g.asked, "");
		assert_false(ph__route_host(g.route, 0)->mx_proved);
		rig_done(&g);
		g.opts.verified_only = true;
		rig_run(&g, rows[i].domain);
		assert_int_equal(ph__route_host(g.route, 0)->tls, PH__HOST_MUST_NAME);
		rig_done(&g);
	}
}

/* RFC 5321 §5.1: MX records name hosts; an address in one is none */
static void
an_mx_record_that_names_an_address_is_not_followed(void **state)
{
	RUN(g, "a.example", { "a.example", MX, INSECURE, "1 192.0.2.1" },
	    { "a.example", MX, INSECURE, "2 mx.a.example" }, { "mx.a.example", A, INSECURE, "192.0.2.7" });
	rig_unusable(&g, 0, PH_EREFUSED, PH_CAUSE_MX_UNUSABLE, NULL);
	assert_string_equal(rig_hosts(&g), "192.0.2.1/1/unusable|mx.a.example/2/may 192.0.2.7");
	rig_done(&g);
}

/* ---- MX -------------------------------------------------------------------------------------- */

/* RFC 5321 §5.1 */
static void
the_lowest_preference_is_first(void **state)
{
	RUN(g, "a.example", { "a.example", MX, INSECURE, "30 c" }, { "a.example", MX, INSECURE, "10 a" },
	    { "a.example", MX, INSECURE, "20 b" }, { "a.example", MX, INSECURE, "65535 z" },
	    { "a", A, INSECURE, "192.0.2.1" }, { "b", A, INSECURE, "192.0.2.2" },
	    { "c", A, INSECURE, "192.0.2.3" }, { "z", A, INSECURE, "192.0.2.4" });
	assert_string_equal(rig_hosts(&g), "a/10/may 192.0.2.1|b/20/may 192.0.2.2|c/30/may 192.0.2.3|"
	                    "z/65535/may 192.0.2.4");
	assert_int_equal(strncmp(g.asked, "15:a.example ", 13), 0);
	rig_done(&g);
}

/* RFC 5321 §5.1: "MUST randomize them to spread the load" */
static void
equal_preferences_are_in_random_order_and_never_before_a_better_one(void **state)
{
	static const struct rr zone[] = {
		{ "a.example", MX, INSECURE, "20 c" }, { "a.example", MX, INSECURE, "20 d" },
		{ "a.example", MX, INSECURE, "20 e" }, { "a.example", MX, INSECURE, "10 a" },
		{ "a.example", MX, INSECURE, "10 b" }, { "a", A, INSECURE, "192.0.2.1" }, {0} };
	unsigned first[128] = { 0 }, third[128] = { 0 };

	(void)state;
	for (uint64_t seed = 0; seed < 600; seed++) {
		struct rig g = { .zone = zone, .opts = { .seed = seed, .no_mta_sts = true } };

		rig_run(&g, "a.example");
		assert_int_equal(ph__route_host_count(g.route), 5);
		for (size_t i = 0; i < 5; i++)
			assert_int_equal(ph__route_host(g.route, i)->preference, i < 2 ? 10 : 20);
		first[(unsigned char)ph__route_host(g.route, 0)->name[0]]++;
		third[(unsigned char)ph__route_host(g.route, 2)->name[0]]++;
		rig_done(&g);
	}
	for (const char *p = "ab"; *p != '\0'; p++)
		assert_in_range(first[(unsigned char)*p], 220, 380);
	for (const char *p = "cde"; *p != '\0'; p++)
		assert_in_range(third[(unsigned char)*p], 140, 260);
}

static void
a_host_named_twice_is_tried_once_at_its_best_preference(void **state)
{
	RUN(g, "a.example", { "a.example", MX, INSECURE, "30 MX.a.example" },
	    { "a.example", MX, INSECURE, "10 mx.a.example" }, { "a.example", MX, INSECURE, "20 b" },
	    { "mx.a.example", A, INSECURE, "192.0.2.1" }, { "b", A, INSECURE, "192.0.2.2" });
	assert_string_equal(rig_hosts(&g), "mx.a.example/10/may 192.0.2.1|b/20/may 192.0.2.2");
	rig_done(&g);
}

/* RFC 5321 §5.1: a limit on alternates may be set */
static void
no_more_hosts_than_the_limit_are_kept_the_preferred_ones(void **state)
{
	static char data[100][16];
	static struct rr zone[101];
	struct rig g = { .zone = zone, .opts.no_mta_sts = true };

	(void)state;
	for (size_t i = 0; i < 100; i++) {
		snprintf(data[i], sizeof data[i], "%zu h%zu", 200 - i, i);
		zone[i] = (struct rr){ "a.example", MX, INSECURE, data[i], PH__DNS_FOUND, NULL };
	}
	rig_run(&g, "a.example");
	assert_int_equal(ph__route_host_count(g.route), PH__MX_MAX);
	assert_string_equal(ph__route_host(g.route, 0)->name, "h99");
	assert_string_equal(ph__route_host(g.route, PH__MX_MAX - 1)->name, "h36");
	rig_done(&g);
}

/* RFC 5321 §5.1: the CNAME is followed first */
static void
an_aliased_domain_has_its_targets_mail_servers(void **state)
{
	RUN(g, "alias.example",
	    { "alias.example", MX, INSECURE, "1 mx.b.example", PH__DNS_FOUND, "b.example" },
	    { "mx.b.example", A, INSECURE, "192.0.2.1" });
	assert_string_equal(rig_hosts(&g), "mx.b.example/1/may 192.0.2.1");
	assert_string_equal(ph__route_domain(g.route), "alias.example");
	rig_done(&g);
}

/* RFC 5321 §5.1: a domain that does not exist is an error at once */
static void
a_domain_that_does_not_exist_is_refused_for_good(void **state)
{
	RUN(g, "a.example", { "a.example", MX, INSECURE, .status = PH__DNS_NXDOMAIN });
	rig_failed(&g, PH_ENOHOST, PH_CAUSE_NO_SUCH_HOST);
	enhanced_is(&g, 1, 2);
	rig_done(&g);
}

/* RFC 5321 §5.1: "If a temporary error is returned, the message MUST be queued" */
static void
a_failing_mx_look_up_is_tried_again_later(void **state)
{
	static const enum ph__dns_status rows[] = { PH__DNS_FAILED, PH__DNS_LATE };

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct rr zone[] = { { "a.example", MX, INSECURE, NULL, rows[i], NULL }, {0} };
		struct rig g = { .zone = zone };

		rig_run(&g, "a.example");
		rig_failed(&g, PH_EDEFERRED, PH_CAUSE_RESOLVER);
		assert_null(strchr(ph__route_error(g.route)->text, '\x1b'));
		rig_done(&g);
	}
}

/* RFC 7672 §2.1.1: bogus is never insecure */
static void
a_bogus_mx_answer_is_tried_again_later_whatever_it_says(void **state)
{
	static const enum ph__dns_status rows[] = { PH__DNS_FAILED, PH__DNS_FOUND, PH__DNS_NODATA,
	                                            PH__DNS_NXDOMAIN };

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct rr zone[] = { { "a.example", MX, BOGUS, rows[i] == PH__DNS_FOUND ? "1 mx" : NULL,
		                       rows[i], NULL }, {0} };
		struct rig g = { .zone = zone };

		rig_run(&g, "a.example");
		rig_failed(&g, PH_EDEFERRED, PH_CAUSE_DNS_BOGUS);
		rig_done(&g);
	}
}

/* RFC 5321 §5.1: implicit MX, of preference 0 */
static void
without_mx_records_the_domain_itself_is_the_server(void **state)
{
	RUN(g, "a.example", { "a.example", A, INSECURE, "192.0.2.1" });
	assert_true(ph__route_is_implicit(g.route));
	assert_string_equal(rig_hosts(&g), "a.example/0/may 192.0.2.1");
	rig_done(&g);
}

static void
without_mx_records_and_addresses_there_is_no_such_host(void **state)
{
	RUN(g, "a.example");
	rig_unusable(&g, 0, PH_ENOHOST, PH_CAUSE_NO_SUCH_HOST, NULL);
	assert_int_equal(ph__route_error(g.route)->code, PH_ENOHOST);
	enhanced_is(&g, 1, 2);
	rig_done(&g);
}

/* RFC 5321 §5.1: MX records that are unusable are an error; the domain's own address is not used */
static void
mx_records_that_lead_nowhere_never_fall_back_to_the_domain(void **state)
{
	RUN(g, "a.example", { "a.example", MX, INSECURE, "10 gone" },
	    { "a.example", MX, INSECURE, "20 empty" }, { "gone", A, INSECURE, .status = PH__DNS_NXDOMAIN },
	    { "gone", AAAA, INSECURE, .status = PH__DNS_NXDOMAIN },
	    { "a.example", A, INSECURE, "192.0.2.1" });
	assert_string_equal(rig_hosts(&g), "gone/10/unusable|empty/20/unusable");
	rig_unusable(&g, 0, PH_ENOHOST, PH_CAUSE_NO_SUCH_HOST, NULL);
	rig_unusable(&g, 1, PH_ENOHOST, PH_CAUSE_NO_SUCH_HOST, NULL);
	assert_int_equal(ph__route_error(g.route)->code, PH_ENOHOST);
	assert_int_equal(ph__route_error(g.route)->cause, PH_CAUSE_MX_UNUSABLE);
	enhanced_is(&g, 4, 4);
	assert_null(strstr(g.asked, "1:a.example "));
	rig_done(&g);
}

/* RFC 7505 §3 */
static void
a_null_mx_takes_no_mail(void **state)
{
	RUN(g, "a.example", { "a.example", MX, INSECURE, "0 ." }, { "a.example", A, INSECURE, "192.0.2.1" });
	rig_failed(&g, PH_ENOHOST, PH_CAUSE_NULL_MX);
	enhanced_is(&g, 1, 10);
	rig_done(&g);
}

/* RFC 7505 §3: a null MX stands alone */
static void
the_root_among_other_mx_records_is_passed_over(void **state)
{
	RUN(g, "a.example", { "a.example", MX, INSECURE, "0 ." }, { "a.example", MX, INSECURE, "10 mx" },
	    { "mx", A, INSECURE, "192.0.2.1" });
	assert_string_equal(rig_hosts(&g), "mx/10/may 192.0.2.1");
	rig_done(&g);
}

static void
malformed_mx_records_are_passed_over(void **state)
{
	RUN(g, "a.example",
	    { "a.example", MX, INSECURE, "#" }, { "a.example", MX, INSECURE, "#00" },
	    { "a.example", MX, INSECURE, "#0001" }, /* no name */
	    { "a.example", MX, INSECURE, "#0001026d78" }, /* no end */
	    { "a.example", MX, INSECURE, "#0001026d7800ff" }, /* octets behind */
	    { "a.example", MX, INSECURE, "#0001c00c" }, /* a pointer */
	    { "a.example", MX, INSECURE, "#0001026d78c000" },
	    { "a.example", MX, INSECURE, "#00014061" }, /* a label of 64 */
	    { "a.example", MX, INSECURE, "#000105616200" }, /* a label beyond the end */
	    { "a.example", MX, INSECURE, "10 mx" }, { "mx", A, INSECURE, "192.0.2.1" });
	assert_string_equal(rig_hosts(&g), "mx/10/may 192.0.2.1");
	rig_done(&g);
}

static void
a_name_is_not_read_beyond_its_end(void **state)
{
	static const char whole[] = "\2mx\1a"; /* its NUL is the root */
	char text[PH__NAME_SHOWN];

	(void)state;
	for (size_t n = 1; n <= sizeof whole; n++) {
		char *cut = malloc(n); /* exactly, for the sanitizer to see */

		memcpy(cut, whole, n);
		assert_int_equal(ph__name_from_wire(text, (struct ph_str){ cut, n }), n == sizeof whole);
		free(cut);
	}
	assert_string_equal(text, "mx.a");
}

static void
only_malformed_mx_records_are_an_error(void **state)
{
	RUN(g, "a.example", { "a.example", MX, INSECURE, "#0001c00c" },
	    { "a.example", A, INSECURE, "192.0.2.1" });
	rig_failed(&g, PH_EREFUSED, PH_CAUSE_MX_UNUSABLE);
	enhanced_is(&g, 4, 4);
	rig_done(&g);
}

/* NUL, ESC, a dot within a label, a space, UTF-8: shown by number, never asked for */
static void
a_garbage_mx_name_is_shown_harmless_and_not_looked_up(void **state)
{
	RUN(g, "a.example", { "a.example", MX, INSECURE, "#0001" "06" "61001b2e20c3" "00" });
	assert_string_equal(rig_hosts(&g), "a\\000\\027\\046\\032\\195/1/unusable");
	rig_unusable(&g, 0, PH_EREFUSED, PH_CAUSE_MX_UNUSABLE, NULL);
	assert_string_equal(g.asked, "15:a.example ");
	rig_done(&g);
}

/* RFC 5321 §5.1: a relay that is itself an MX drops its own and all worse ones */
static void
servers_not_better_than_this_host_are_dropped(void **state)
{
	static const char *const own[] = { "Relay.example", "other.example" };
	static const struct rr zone[] = {
		{ "a.example", MX, INSECURE, "5 best" }, { "a.example", MX, INSECURE, "10 relay.example" },
		{ "a.example", MX, INSECURE, "10 equal" }, { "a.example", MX, INSECURE, "20 worse" },
		{ "a.example", MX, INSECURE, "30 other.example" }, { "best", A, INSECURE, "192.0.2.1" }, {0} };
	struct rig g = { .zone = zone, .opts = { .no_mta_sts = true, .own_names = own, .own_name_count = 2 } };

	(void)state;
	rig_run(&g, "a.example");
	assert_string_equal(rig_hosts(&g), "best/5/may 192.0.2.1");
	rig_done(&g);
}

static void
mail_that_would_come_back_to_this_host_is_refused(void **state)
{
	static const char *const own[] = { "relay.example", "b.example" };
	static const struct rr zone[] = {
		{ "a.example", MX, INSECURE, "10 relay.example" }, { "a.example", MX, INSECURE, "20 worse" },
		{0} };
	struct rig g = { .zone = zone, .opts = { .own_names = own, .own_name_count = 2 } };

	(void)state;
	rig_run(&g, "a.example");
	rig_failed(&g, PH_EREFUSED, PH_CAUSE_MX_LOOP);
	enhanced_is(&g, 4, 6);
	rig_done(&g);
	rig_run(&g, "b.example"); /* implicit */
	rig_failed(&g, PH_EREFUSED, PH_CAUSE_MX_LOOP);
	rig_done(&g);
}

/* ---- addresses ------------------------------------------------------------------------------- */

/* RFC 5321 §5.1, §5.2; RFC 8305 §4 */
static void
all_addresses_of_both_families_in_turn_ipv6_first(void **state)
{
	RUN(g, "a.example", { "a.example", MX, INSECURE, "10 mx" }, { "mx", A, INSECURE, "192.0.2.9" },
	    { "mx", A, INSECURE, "192.0.2.1" }, { "mx", A, INSECURE, "192.0.2.5" },
	    { "mx", AAAA, INSECURE, "2001:db8::2" }, { "mx", AAAA, INSECURE, "2001:db8::1" });
	assert_string_equal(rig_hosts(&g), "mx/10/may 2001:db8::2 192.0.2.9 2001:db8::1 192.0.2.1 192.0.2.5");
	rig_done(&g);
}

static void
one_family_alone_is_asked_for_when_the_user_says_so(void **state)
{
	static const struct rr zone[] = { { "a.example", MX, INSECURE, "10 mx" },
		{ "mx", A, INSECURE, "192.0.2.9" }, { "mx", AAAA, INSECURE, "2001:db8::2" },
		{ "b.example", MX, INSECURE, "10 four" }, { "four", A, INSECURE, "192.0.2.9" }, {0} };
	struct rig g = { .zone = zone, .opts = { .no_mta_sts = true, .family = 4 } };

	(void)state;
	rig_run(&g, "a.example");
	assert_string_equal(rig_hosts(&g), "mx/10/may 192.0.2.9");
	assert_string_equal(g.asked, "15:a.example 1:mx ");
	rig_done(&g);
	g.opts.family = 6;
	rig_run(&g, "a.example");
	assert_string_equal(rig_hosts(&g), "mx/10/may 2001:db8::2");
	rig_done(&g);
	rig_run(&g, "b.example"); /* not for good: IPv4 was not asked for */
	rig_unusable(&g, 0, PH_EDEFERRED, PH_CAUSE_NO_SUCH_HOST, NULL);
	rig_done(&g);
	rig_run(&g, "[192.0.2.1]");
	rig_unusable(&g, 0, PH_EDEFERRED, PH_CAUSE_NO_SUCH_HOST, NULL);
	assert_int_equal(ph__route_error(g.route)->code, PH_EDEFERRED);
	rig_done(&g);
}

/* RFC 5321 §5.1 */
static void
a_failing_family_leaves_the_addresses_of_the_other(void **state)
{
	RUN(g, "a.example", { "a.example", MX, INSECURE, "10 mx" }, { "mx", A, INSECURE, "192.0.2.9" },
	    { "mx", AAAA, INSECURE, .status = PH__DNS_FAILED });
	assert_string_equal(rig_hosts(&g), "mx/10/may 192.0.2.9");
	rig_done(&g);
}

static void
a_host_whose_addresses_cannot_be_looked_up_waits_for_later(void **state)
{
	RUN(g, "a.example", { "a.example", MX, INSECURE, "10 gone" }, { "a.example", MX, INSECURE, "20 mx" },
	    { "mx", AAAA, INSECURE, .status = PH__DNS_LATE });
	rig_unusable(&g, 0, PH_ENOHOST, PH_CAUSE_NO_SUCH_HOST, NULL);
	rig_unusable(&g, 1, PH_EDEFERRED, PH_CAUSE_RESOLVER, NULL);
	assert_int_equal(ph__route_state(g.route), PH__ROUTE_KNOWN);
	assert_int_equal(ph__route_error(g.route)->code, PH_EDEFERRED); /* the temporary one decides */
	rig_done(&g);
}

static void
a_bogus_address_answer_makes_the_host_unusable(void **state)
{
	RUN(g, "a.example", { "a.example", MX, INSECURE, "10 mx" }, { "mx", A, INSECURE, "192.0.2.9" },
	    { "mx", AAAA, BOGUS, .status = PH__DNS_FAILED });
	rig_unusable(&g, 0, PH_EDEFERRED, PH_CAUSE_DNS_BOGUS, "dnssec-invalid");
	rig_done(&g);
}

static void
addresses_that_are_no_hosts_and_malformed_ones_are_passed_over(void **state)
{
	RUN(g, "a.example", { "a.example", MX, INSECURE, "10 mx" }, { "mx", A, INSECURE, "0.0.0.0" },
	    { "mx", A, INSECURE, "224.0.0.1" }, { "mx", A, INSECURE, "255.255.255.255" },
	    { "mx", A, INSECURE, "#c0000201ff" }, { "mx", A, INSECURE, "#c00002" },
	    { "mx", A, INSECURE, "127.0.0.1" }, { "mx", AAAA, INSECURE, "::" },
	    { "mx", AAAA, INSECURE, "ff02::1" }, { "mx", AAAA, INSECURE, "::ffff:0.0.0.0" },
	    { "mx", AAAA, INSECURE, "#20010db8" });
	assert_string_equal(rig_hosts(&g), "mx/10/may 127.0.0.1");
	rig_done(&g);
}

static void
no_more_addresses_than_the_limit_are_kept(void **state)
{
	static char data[40][20];
	static struct rr zone[42] = { { "a.example", MX, INSECURE, "10 mx", PH__DNS_FOUND, NULL } };
	struct rig g = { .zone = zone, .opts.no_mta_sts = true };

	(void)state;
	for (size_t i = 0; i < 40; i++) {
		snprintf(data[i], sizeof data[i], i < 20 ? "2001:db8::%zu" : "192.0.2.%zu", i + 1);
		zone[i + 1] = (struct rr){ "mx", i < 20 ? AAAA : A, INSECURE, data[i], PH__DNS_FOUND, NULL };
	}
	rig_run(&g, "a.example");
	assert_int_equal(ph__route_host(g.route, 0)->address_count, PH__MX_ADDRESSES);
	assert_string_equal(ph__route_host(g.route, 0)->addresses[1], "192.0.2.21");
	rig_done(&g);
}

/* RFC 5952 §4, §5; inet_ntop() is the oracle where it agrees with it */
/* ---- one by one ------------------------------------------------------------------------------ */

static void
a_host_is_ready_as_soon_as_its_own_questions_are_answered(void **state)
{
	static const struct rr zone[] = { { "a.example", MX, INSECURE, "10 a" },
		{ "a.example", MX, INSECURE, "20 b" }, { "a", A, INSECURE, "192.0.2.1" },
		{ "b", A, INSECURE, "192.0.2.2" }, {0} };
	struct rig g = { .zone = zone, .opts.no_mta_sts = true };
	struct ph__question q, later[4];
	size_t n = 0;

	(void)state;
	rig_begin(&g, "a.example");
	assert_int_equal(ph__route_state(g.route), PH__ROUTE_ASKING);
	assert_false(ph__route_is_settled(g.route));
	while (ph__route_question(g.route, &q))
		if (strcmp(q.name, "b") == 0)
			later[n++] = q;
		else
			rig_answer(&g, &q);
	assert_int_equal(n, 2);
	assert_string_equal(rig_hosts(&g), "a/10/may 192.0.2.1|b/20/asking");
	assert_false(ph__route_is_settled(g.route));
	rig_answer(&g, &later[0]);
	rig_answer(&g, &later[1]);
	assert_true(ph__route_is_settled(g.route));
	rig_answer(&g, &later[1]); /* twice: ignored */
	later[0].id = 4711;
	rig_answer(&g, &later[0]); /* never asked: ignored */
	assert_string_equal(rig_hosts(&g), "a/10/may 192.0.2.1|b/20/may 192.0.2.2");
	rig_done(&g);
}

static void
an_answer_of_the_wrong_kind_is_a_failed_one(void **state)
{
	static const struct rr zone[] = { {0} };
	struct rig g = { .zone = zone, .opts.no_mta_sts = true };
	struct ph__answer sts = { .kind = PH__ASK_STS };
	struct ph__question q;

	(void)state;
	rig_begin(&g, "a.example");
	assert_true(ph__route_question(g.route, &q));
	ph__route_answer(g.route, q.id, &sts);
	rig_failed(&g, PH_EDEFERRED, PH_CAUSE_RESOLVER);
	assert_false(ph__route_question(g.route, &q));
	rig_done(&g);
}

/* RFC 5321 §4.5.4.1: one copy for all recipients of the same servers */
static void
domains_with_the_same_servers_share_a_transaction(void **state)
{
	static const struct rr zone[] = {
		{ "a.example", MX, INSECURE, "10 m1" }, { "a.example", MX, INSECURE, "10 m2" },
		{ "a.example", MX, INSECURE, "20 m3" }, { "b.example", MX, INSECURE, "7 m3" },
		{ "b.example", MX, INSECURE, "5 m2" }, { "b.example", MX, INSECURE, "5 m1" },
		{ "c.example", MX, INSECURE, "5 m1" }, { "c.example", MX, INSECURE, "6 m2" },
		{ "c.example", MX, INSECURE, "7 m3" }, { "d.example", MX, INSECURE, "5 m1" },
		{ "s.example", MX, SECURE, "10 m1" }, { "s.example", MX, SECURE, "10 m2" },
		{ "s.example", MX, SECURE, "20 m3" }, { "null.example", MX, INSECURE, "0 ." },
		{ "m1", A, INSECURE, "192.0.2.1" }, { "m2", A, INSECURE, "192.0.2.2" },
		{ "m3", A, INSECURE, "192.0.2.3" }, {0} };
	static const struct { const char *a, *b; bool same; } rows[] = {
		{ "a.example", "b.example", true }, { "b.example", "a.example", true },
		{ "a.example", "c.example", false }, { "a.example", "d.example", false },
		{ "d.example", "a.example", false }, { "null.example", "null.example", false },
		{ "a.example", "s.example", false }, /* REQUIRETLS may go to one of them only */
		{ "[192.0.2.1]", "d.example", false }, { "a.example", "null.example", false },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		for (uint64_t seed = 0; seed < 8; seed++) {
			struct rig a = { .zone = zone, .opts.no_mta_sts = true }, b = a;

			b.opts.seed = seed;
			rig_run(&a, rows[i].a);
			rig_run(&b, rows[i].b);
			if (ph__route_same(a.route, b.route) != rows[i].same)
				fail_msg("%s, %s", rows[i].a, rows[i].b);
			rig_done(&a);
			rig_done(&b);
		}
}

static void
a_lack_of_memory_is_an_error_and_nothing_leaks(void **state)
{
	static const char *const own[] = { "own.example" };
	static const struct rr zone[] = { { "a.example", MX, SECURE, "10 a", PH__DNS_FOUND, "b.example" },
		{ "a.example", MX, SECURE, "20 b" }, { "a", A, SECURE, "192.0.2.1", PH__DNS_FOUND, "c" },
		{ "b", A, SECURE, "192.0.2.2" }, { "b", AAAA, SECURE, "2001:db8::1" },
		{ "_25._tcp.a", TLSA, SECURE, "3 1 1 000102030405060708090a0b0c0d0e0f101112131415161718191a1b"
		  "1c1d1e1f" },
		{ "_mta-sts.a.example", TXT, SECURE, "v=STSv1; id=1;" }, {0} };
	char *mx[] = { (char *)"a", (char *)"b" };
	struct ph__sts_policy policy = { .mode = PH__STS_ENFORCE, .max_age = 9, .id = (char *)"1", .mx = mx,
	                                 .mx_count = 2 };
	struct failing_memory fm;
	size_t n;

	(void)state;
	for (n = 1; failing_memory_try(&fm, n); n++) {
		struct rig g = { .zone = zone, .mem = &fm.mem, .sts.policy = &policy,
		                 .opts = { .own_names = own, .own_name_count = 1 } };

		rig_run(&g, "a.example");
		if (g.code != PH_OK)
			assert_int_equal(g.code, PH_ESYSTEM);
		else if (ph__route_state(g.route) == PH__ROUTE_FAILED)
			assert_int_equal(ph__route_error(g.route)->code, PH_ESYSTEM);
		else
			assert_string_equal(rig_hosts(&g), "a/10/dane 192.0.2.1|b/20/sts 2001:db8::1 192.0.2.2");
		rig_done(&g);
		assert_int_equal(fm.live, 0);
	}
	assert_true(n > 5);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_domain_that_can_be_none_is_refused),
		cmocka_unit_test(a_domain_without_dots_is_fine),
		cmocka_unit_test(an_idn_domain_is_looked_up_as_a_labels_in_lower_case),
		cmocka_unit_test(an_address_literal_is_one_host_and_nothing_is_asked),
		cmocka_unit_test(an_mx_record_that_names_an_address_is_not_followed),
		cmocka_unit_test(the_lowest_preference_is_first),
		cmocka_unit_test(equal_preferences_are_in_random_order_and_never_before_a_better_one),
		cmocka_unit_test(a_host_named_twice_is_tried_once_at_its_best_preference),
		cmocka_unit_test(no_more_hosts_than_the_limit_are_kept_the_preferred_ones),
		cmocka_unit_test(an_aliased_domain_has_its_targets_mail_servers),
		cmocka_unit_test(a_domain_that_does_not_exist_is_refused_for_good),
		cmocka_unit_test(a_failing_mx_look_up_is_tried_again_later),
		cmocka_unit_test(a_bogus_mx_answer_is_tried_again_later_whatever_it_says),
		cmocka_unit_test(without_mx_records_the_domain_itself_is_the_server),
		cmocka_unit_test(without_mx_records_and_addresses_there_is_no_such_host),
		cmocka_unit_test(mx_records_that_lead_nowhere_never_fall_back_to_the_domain),
		cmocka_unit_test(a_null_mx_takes_no_mail),
		cmocka_unit_test(the_root_among_other_mx_records_is_passed_over),
		cmocka_unit_test(malformed_mx_records_are_passed_over),
		cmocka_unit_test(a_name_is_not_read_beyond_its_end),
		cmocka_unit_test(only_malformed_mx_records_are_an_error),
		cmocka_unit_test(a_garbage_mx_name_is_shown_harmless_and_not_looked_up),
		cmocka_unit_test(servers_not_better_than_this_host_are_dropped),
		cmocka_unit_test(mail_that_would_come_back_to_this_host_is_refused),
		cmocka_unit_test(all_addresses_of_both_families_in_turn_ipv6_first),
		cmocka_unit_test(one_family_alone_is_asked_for_when_the_user_says_so),
		cmocka_unit_test(a_failing_family_leaves_the_addresses_of_the_other),
		cmocka_unit_test(a_host_whose_addresses_cannot_be_looked_up_waits_for_later),
		cmocka_unit_test(a_bogus_address_answer_makes_the_host_unusable),
		cmocka_unit_test(addresses_that_are_no_hosts_and_malformed_ones_are_passed_over),
		cmocka_unit_test(no_more_addresses_than_the_limit_are_kept),
		cmocka_unit_test(a_host_is_ready_as_soon_as_its_own_questions_are_answered),
		cmocka_unit_test(an_answer_of_the_wrong_kind_is_a_failed_one),
		cmocka_unit_test(domains_with_the_same_servers_share_a_transaction),
		cmocka_unit_test(a_lack_of_memory_is_an_error_and_nothing_leaks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
