/* SPDX-License-Identifier: MIT */
/* The route's decisions: what a server URL means, how securely it is spoken to, and what replies
 * mean. Pure functions, told by tables. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "base/error.h"
#include "base/mem.h"
#include "failing_memory.h"
#include "route/policy.h"
#include "route/server.h"
#include "route/verdict.h"

#define COUNT(a) (sizeof(a) / sizeof *(a))

/* ---- server URLs ----------------------------------------------------------------------------- */

static void
same(const char *url, const char *what, const char *got, const char *wanted)
{
	if (got == NULL && wanted == NULL)
		return;
	if (got == NULL || wanted == NULL || strcmp(got, wanted) != 0)
		fail_msg("%s: the %s is %s", url, what, got != NULL ? got : "missing");
}

static void
urls_name_a_server(void **state)
{
	static const struct { const char *url; struct ph__server is; } rows[] = {
		{ "smtp://mx.example.net", { false, false, true, "mx.example.net", 25, NULL, NULL } },
		{ "SMTP://mx.example.net", { false, false, true, "mx.example.net", 25, NULL, NULL } },
		{ "mx.example.net", { false, false, true, "mx.example.net", 25, NULL, NULL } },
		{ "mx.example.net:2525", { false, false, true, "mx.example.net", 2525, NULL, NULL } },
		{ "smtp://mx/", { false, false, true, "mx", 25, NULL, NULL } },
		{ "submission://h", { false, false, false, "h", 587, NULL, NULL } },
		{ "submission://h:25", { false, false, false, "h", 25, NULL, NULL } },
		{ "smtps://h", { false, true, false, "h", 465, NULL, NULL } },
		{ "submissions://h", { false, true, false, "h", 465, NULL, NULL } },
		{ "lmtp://h:24", { true, false, true, "h", 24, NULL, NULL } },
		{ "lmtp:///run/lmtp", { true, false, true, NULL, 0, "/run/lmtp", NULL } },
		{ "lmtp:///run/a:b@c", { true, false, true, NULL, 0, "/run/a:b@c", NULL } },
		{ "smtp://192.0.2.1:1", { false, false, true, "192.0.2.1", 1, NULL, NULL } },
		{ "smtp://[2001:db8::1]", { false, false, true, "2001:db8::1", 25, NULL, NULL } },
		{ "smtp://[::1]:65535", { false, false, true, "::1", 65535, NULL, NULL } },
		{ "[::1]:26", { false, false, true, "::1", 26, NULL, NULL } },
		{ "smtps://bob@h", { false, true, false, "h", 465, NULL, "bob" } },
		{ "smtps://b%40x.test@h:1", { false, true, false, "h", 1, NULL, "b@x.test" } },
		{ "smtps://b@x.test@h", { false, true, false, "h", 465, NULL, "b@x.test" } },
		{ "smtps://a%3Ab%25@h", { false, true, false, "h", 465, NULL, "a:b%" } },
		{ "smtps://b%C3%BC@[::1]", { false, true, false, "::1", 465, NULL, "b\xc3\xbc" } },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		const char *url = rows[i].url;
		const struct ph__server *is = &rows[i].is;
		struct ph_error err = PH_ERROR_INIT;
		struct ph__server s;

		if (ph__server_parse(&s, url, &ph__libc_memory, &err) != PH_OK)
			fail_msg("%s: %s", url, err.text);
		same(url, "host", s.host, is->host);
		same(url, "path", s.unix_path, is->unix_path);
		same(url, "user", s.user, is->user);
		assert_int_equal(s.port, is->port);
		assert_int_equal(s.lmtp, is->lmtp);
		assert_int_equal(s.implicit_tls, is->implicit_tls);
		assert_int_equal(s.relay_port, is->relay_port);
		ph__server_done(&s, &ph__libc_memory);
	}
}

static void
bad_urls_are_refused(void **state)
{
	static const char *const urls[] = {
		"", "smtp://", "smtp:///", "smtp:///path", "http://h", "://h", "smtp://h:0", "smtp://h:",
		"smtp://h:65536", "smtp://h:25x", "smtp://h:-1", "smtp://h:+25", "smtp://h/x",
		"smtp://h?x", "smtp://h//", "smtp://2001:db8::1", "smtp://[::1", "smtp://[::1]x",
		"smtp://[]:25", "smtp://@h", "smtp://a b", "smtp://h\r\nQUIT", "smtp://h\x7f",
		"smtp://%zz@h", "smtp://%4@h", "smtp://a%0d%0ab@h", "smtp://a%00b@h", "smtp://u@",
		"lmtp://h", "lmtp:///", "lmtp://user@/path", "smtp://h/ x", "lmtp:///a b",
	};

	(void)state;
	for (size_t i = 0; i < COUNT(urls); i++) {
		struct ph_error err = PH_ERROR_INIT;
		struct ph__server s;

		if (ph__server_parse(&s, urls[i], &ph__libc_memory, &err) != PH_ECONFIG)
			fail_msg("\"%s\" was accepted", urls[i]);
		assert_int_equal(err.code, PH_ECONFIG);
		assert_true(err.hint[0] != '\0');
		assert_null(s.host);
		assert_null(s.user);
	}
}

static void
a_password_in_a_url_is_refused_and_not_repeated(void **state)
{
	static const char *const urls[] = {
		"smtp://bob:hunter2@h", "smtps://bob:hunter2@[::1]:465", "smtp://:hunter2@h",
		"http://bob:hunter2@h", "smtp://bob:hunter2 @h", "smtp://b%zz:hunter2@h",
		"bob:hunter2@h", "smtp://bob:hunter2@h/x", "smtp://bob:hunter2@h:0",
	};

	(void)state;
	for (size_t i = 0; i < COUNT(urls); i++) {
		struct ph_error err = PH_ERROR_INIT;
		struct ph__server s;

		assert_int_equal(ph__server_parse(&s, urls[i], &ph__libc_memory, &err), PH_ECONFIG);
		assert_null(strstr(err.text, "hunter2"));
		assert_non_null(strstr(err.text, "password"));
		assert_non_null(strstr(err.hint, "--password-file"));
	}
}

static void
urls_survive_a_lack_of_memory(void **state)
{
	struct failing_memory fm;

	(void)state;
	for (size_t n = 1; failing_memory_try(&fm, n); n++) {
		struct ph__server s;
		enum ph_code rc = ph__server_parse(&s, "smtps://bob@h", &fm.mem, NULL);

		assert_int_equal(rc, fm.failed ? PH_ESYSTEM : PH_OK);
		if (rc == PH_OK)
			ph__server_done(&s, &fm.mem);
		assert_int_equal(fm.live, 0);
	}
}

/* ---- policy ---------------------------------------------------------------------------------- */

enum { SMTP, SUBMISSION, SMTPS, LMTP };
static const struct ph__server servers[] = {
	[SMTP] = { .relay_port = true, .port = 25 }, [SUBMISSION] = { .port = 587 },
	[SMTPS] = { .implicit_tls = true, .port = 465 },
	[LMTP] = { .lmtp = true, .relay_port = true, .port = 24 },
};

#define TLS(...) &(const struct ph_tls_opts){ PH_TLS_OPTS_INIT, __VA_ARGS__ }
static const char *const one_pin[] = { "00" };
static const struct ph_tlsa one_tlsa[] = { { 3, 1, 1, "00", 2 } };

struct policy_row {
	int server;
	const struct ph_tls_opts *tls;
	bool loopback, has_user;
	enum ph__link link;
	bool enforce, fall_back, forbids_auth;
	const char *name;
	bool tls_up;
};

static const char *
or_none(const char *s)
{
	return s != NULL ? s : "none";
}

static void
judge_policy(const struct policy_row *r, size_t i)
{
	struct ph__wish w = { .server = &servers[r->server], .tls = r->tls, .has_user = r->has_user,
	                      .loopback = r->loopback, .tls_up = r->tls_up };
	struct ph__policy p = ph__policy_of(&w);

	if (p.link != r->link || p.enforce != r->enforce || p.fall_back != r->fall_back ||
	    p.forbids_auth != r->forbids_auth || strcmp(or_none(p.name), or_none(r->name)) != 0)
		fail_msg("row %zu: link %d enforce %d fall_back %d forbids_auth %d %s", i, p.link,
		         p.enforce, p.fall_back, p.forbids_auth, or_none(p.name));
}

static void
tls_is_required_and_verified_unless_somebody_said_otherwise(void **state)
{
	const struct policy_row rows[] = {
		{ SMTP, NULL, 0, 0, PH__LINK_STARTTLS, 1, 0, 0, "required" },
		{ SMTP, TLS(.mode = PH_TLS_DEFAULT), 0, 0, PH__LINK_STARTTLS, 1, 0, 0, "required" },
		{ SMTP, NULL, 0, 1, PH__LINK_STARTTLS, 1, 0, 0, "required" },
		{ LMTP, NULL, 0, 0, PH__LINK_STARTTLS, 1, 0, 0, "required" },
		{ SUBMISSION, NULL, 0, 0, PH__LINK_STARTTLS, 1, 0, 0, "required" },
		{ SUBMISSION, NULL, 1, 0, PH__LINK_STARTTLS, 1, 0, 0, "required" },
		{ SMTPS, NULL, 0, 0, PH__LINK_IMPLICIT, 1, 0, 0, "required" },
		{ SMTPS, NULL, 1, 0, PH__LINK_IMPLICIT, 1, 0, 0, "required" },
		{ SMTP, TLS(.mode = PH_TLS_IMPLICIT), 0, 0, PH__LINK_IMPLICIT, 1, 0, 0, "required" },
		{ SMTPS, TLS(.mode = PH_TLS_STARTTLS), 0, 0, PH__LINK_STARTTLS, 1, 0, 0, "required" },
		{ SMTP, TLS(.insecure = true), 0, 0, PH__LINK_STARTTLS, 0, 0, 0, "required" },
		{ SMTPS, TLS(.insecure = true), 0, 0, PH__LINK_IMPLICIT, 0, 0, 0, "required" },
		{ SMTP, TLS(.record_only = true), 0, 0, PH__LINK_STARTTLS, 0, 0, 0, "required" },
		{ SMTPS, TLS(.record_only = true), 1, 0, PH__LINK_IMPLICIT, 0, 0, 0, "required" },
		{ SMTP, TLS(.record_only = true, .pins = one_pin, .pin_count = 1), 0, 0, PH__LINK_STARTTLS,
		  0, 0, 0, "pin" },
		{ SMTP, TLS(.mode = PH_TLS_OPPORTUNISTIC, .record_only = true), 0, 0, PH__LINK_IF_OFFERED,
		  0, 1, 1, "opportunistic" },
		{ SMTP, TLS(.pins = one_pin, .pin_count = 1), 0, 0, PH__LINK_STARTTLS, 1, 0, 0, "pin" },
		{ SMTPS, TLS(.pins = one_pin, .pin_count = 1), 0, 0, PH__LINK_IMPLICIT, 1, 0, 0, "pin" },
		{ SMTP, TLS(.tlsa = one_tlsa, .tlsa_count = 1), 0, 0, PH__LINK_STARTTLS, 1, 0, 0, "dane" },
		{ SMTPS, TLS(.tlsa = one_tlsa, .tlsa_count = 1), 1, 0, PH__LINK_IMPLICIT, 1, 0, 0, "dane" },
		{ SMTP, TLS(.tlsa = one_tlsa, .tlsa_count = 1, .record_only = true), 0, 0,
		  PH__LINK_STARTTLS, 0, 0, 0, "dane" },
		{ SMTP, TLS(.names = one_pin, .name_count = 1), 0, 0, PH__LINK_STARTTLS, 1, 0, 0,
		  "required" },
		{ SMTP, TLS(.mode = PH_TLS_OFF), 0, 0, PH__LINK_CLEAR, 0, 0, 0, NULL },
		{ SMTPS, TLS(.mode = PH_TLS_OFF), 0, 0, PH__LINK_CLEAR, 0, 0, 0, NULL },
		{ SMTP, TLS(.mode = PH_TLS_OPPORTUNISTIC), 0, 0, PH__LINK_IF_OFFERED, 0, 1, 1,
		  "opportunistic" },
		{ SUBMISSION, TLS(.mode = PH_TLS_OPPORTUNISTIC), 1, 1, PH__LINK_IF_OFFERED, 0, 1, 1,
		  "opportunistic" },
		{ SMTP, TLS(.mode = PH_TLS_BY_HAND), 0, 0, PH__LINK_CLEAR, 1, 0, 0, NULL, 0 },
		{ SMTP, TLS(.mode = PH_TLS_BY_HAND), 1, 0, PH__LINK_CLEAR, 1, 0, 0, NULL, 0 },
		{ SUBMISSION, TLS(.mode = PH_TLS_BY_HAND), 0, 1, PH__LINK_CLEAR, 1, 0, 0, "required", 1 },
		{ SUBMISSION, TLS(.mode = PH_TLS_BY_HAND, .pins = one_pin, .pin_count = 1), 0, 1,
		  PH__LINK_CLEAR, 1, 0, 0, "pin", 1 },
		{ SMTP, TLS(.mode = PH_TLS_BY_HAND, .insecure = true), 0, 0, PH__LINK_CLEAR, 0, 0, 0, NULL, 0 },
		{ SMTPS, TLS(.mode = PH_TLS_BY_HAND), 0, 0, PH__LINK_IMPLICIT, 1, 0, 0, "required", 0 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		judge_policy(&rows[i], i);
}

static void
a_route_says_what_its_servers_must_prove(void **state)
{
	static const struct { enum ph__host_tls tls; struct ph__policy is; } rows[] = {
		{ PH__HOST_MAY, { PH__LINK_IF_OFFERED, false, true, true, "opportunistic" } },
		{ PH__HOST_MAY_STS, { PH__LINK_IF_OFFERED, false, true, true, "opportunistic" } },
		{ PH__HOST_MUST_TLS, { PH__LINK_STARTTLS, false, false, true, "dane" } },
		{ PH__HOST_MUST_DANE, { PH__LINK_STARTTLS, true, false, true, "dane" } },
		{ PH__HOST_MUST_STS, { PH__LINK_STARTTLS, true, false, true, "mta-sts" } },
		{ PH__HOST_MUST_NAME, { PH__LINK_STARTTLS, true, false, true, "required" } },
	};
	const struct ph__server server = { .relay_port = true, .host = (char *)"mx", .port = 25 };

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		/* a server on this machine is no exception */
		struct ph__wish w = { .server = &server, .loopback = true, .route = &rows[i].tls };
		struct ph__policy p = ph__policy_of(&w);
		struct ph_tls_facts facts = PH_TLS_FACTS_INIT;

		assert_int_equal(p.link, rows[i].is.link);
		assert_int_equal(p.enforce, rows[i].is.enforce);
		assert_int_equal(p.fall_back, rows[i].is.fall_back);
		assert_true(p.forbids_auth);
		assert_string_equal(p.name, rows[i].is.name);
		assert_int_equal(ph__check_link(&p, NULL, NULL), p.fall_back ? PH_OK : PH_ESECURITY);
		assert_int_equal(ph__check_link(&p, &facts, NULL), p.enforce ? PH_ESECURITY : PH_OK);
		facts.verified = true;
		assert_int_equal(ph__check_link(&p, &facts, NULL), PH_OK);
	}
}

static void
requiretls_wants_every_server_proved(void **state)
{
	(void)state;
	assert_int_equal(ph__policy_require_tls(PH__HOST_MUST_DANE), PH__HOST_MUST_DANE);
	assert_int_equal(ph__policy_require_tls(PH__HOST_MUST_STS), PH__HOST_MUST_STS);
	assert_int_equal(ph__policy_require_tls(PH__HOST_MUST_NAME), PH__HOST_MUST_NAME);
	assert_int_equal(ph__policy_require_tls(PH__HOST_MUST_TLS), PH__HOST_MUST_NAME);
	assert_int_equal(ph__policy_require_tls(PH__HOST_MAY), PH__HOST_MUST_NAME);
	assert_int_equal(ph__policy_require_tls(PH__HOST_MAY_STS), PH__HOST_MUST_NAME);
}

static void
the_local_relay_needs_no_certificate_unless_anything_was_asked_for(void **state)
{
	const struct policy_row rows[] = {
		{ SMTP, NULL, 1, 0, PH__LINK_IF_OFFERED, 0, 0, 1, "loopback" },
		{ LMTP, NULL, 1, 0, PH__LINK_IF_OFFERED, 0, 0, 1, "loopback" },
		{ SMTP, TLS(.no_resume = true), 1, 0, PH__LINK_IF_OFFERED, 0, 0, 1, "loopback" },
		{ SMTP, NULL, 1, 1, PH__LINK_STARTTLS, 1, 0, 0, "required" },
		{ SMTP, TLS(.mode = PH_TLS_STARTTLS), 1, 0, PH__LINK_STARTTLS, 1, 0, 0, "required" },
		{ SMTP, TLS(.mode = PH_TLS_OPPORTUNISTIC), 1, 0, PH__LINK_IF_OFFERED, 0, 1, 1,
		  "opportunistic" },
		{ SMTP, TLS(.mode = PH_TLS_OFF), 1, 0, PH__LINK_CLEAR, 0, 0, 0, NULL },
		{ SMTP, TLS(.ca_file = "x"), 1, 0, PH__LINK_STARTTLS, 1, 0, 0, "required" },
		{ SMTP, TLS(.ca_dir = "x"), 1, 0, PH__LINK_STARTTLS, 1, 0, 0, "required" },
		{ SMTP, TLS(.insecure = true), 1, 0, PH__LINK_STARTTLS, 0, 0, 0, "required" },
		{ SMTP, TLS(.server_name = "x"), 1, 0, PH__LINK_STARTTLS, 1, 0, 0, "required" },
		{ SMTP, TLS(.cert_file = "x"), 1, 0, PH__LINK_STARTTLS, 1, 0, 0, "required" },
		{ SMTP, TLS(.record_only = true), 1, 0, PH__LINK_STARTTLS, 0, 0, 0, "required" },
		{ SMTP, TLS(.alpn = "x"), 1, 0, PH__LINK_STARTTLS, 1, 0, 0, "required" },
		{ SMTP, TLS(.min_version = PH_TLS_1_3), 1, 0, PH__LINK_STARTTLS, 1, 0, 0, "required" },
		{ SMTP, TLS(.pins = one_pin, .pin_count = 1), 1, 0, PH__LINK_STARTTLS, 1, 0, 0, "pin" },
		{ SMTP, TLS(.tlsa = one_tlsa, .tlsa_count = 1), 1, 0, PH__LINK_STARTTLS, 1, 0, 0, "dane" },
		{ SMTP, TLS(.names = one_pin, .name_count = 1), 1, 0, PH__LINK_STARTTLS, 1, 0, 0,
		  "required" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		judge_policy(&rows[i], i);
}

static void
credentials_go_out_only_where_design_says(void **state)
{
	const struct ph_tls_opts *off = TLS(.mode = PH_TLS_OFF), *insecure = TLS(.insecure = true),
	      *chance = TLS(.mode = PH_TLS_OPPORTUNISTIC), *by_hand = TLS(.mode = PH_TLS_BY_HAND),
	      *record = TLS(.record_only = true);
	const struct {
		const struct ph_tls_opts *tls;
		bool loopback, allow, up, verified, may, waived;
	} rows[] = {
		{ NULL,     0, 0, 1, 1, 1 }, { NULL,     0, 0, 1, 0, 0 }, { NULL,     0, 0, 0, 0, 0 },
		{ NULL,     1, 0, 0, 0, 0 }, { NULL,     1, 0, 1, 0, 0 }, { NULL,     0, 1, 1, 0, 1 },
		{ NULL,     0, 1, 0, 0, 1 }, { insecure, 0, 0, 1, 0, 1 }, { insecure, 0, 0, 0, 0, 0 },
		{ off,      1, 0, 0, 0, 1 }, { off,      0, 0, 0, 0, 0 }, { off,      0, 1, 0, 0, 1 },
		{ chance,   0, 0, 1, 1, 0 }, { chance,   1, 1, 1, 1, 0 }, { chance,   0, 1, 0, 0, 0 },
		{ record,   0, 0, 1, 1, 1 }, { record,   0, 0, 1, 0, 0 }, { record,   1, 0, 1, 0, 0 },
		{ record,   0, 1, 1, 0, 1 }, { record,   0, 0, 0, 0, 0 },
		{ by_hand,  1, 0, 0, 0, 1 }, { by_hand,  0, 0, 0, 0, 0 }, { by_hand,  0, 1, 0, 0, 1 },
		{ by_hand,  0, 0, 1, 1, 1 }, { by_hand,  1, 0, 1, 0, 0 },
		{ NULL,     0, 0, 1, 0, 1, 1 }, { by_hand, 0, 0, 1, 0, 1, 1 }, { chance, 0, 0, 1, 0, 0, 1 },
		{ record,   0, 0, 1, 0, 1, 1 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct ph__wish w = { .server = &servers[SUBMISSION], .tls = rows[i].tls, .has_user = true,
		                      .loopback = rows[i].loopback, .allow_clear_auth = rows[i].allow };
		struct ph__policy p = ph__policy_of(&w);
		struct ph_tls_facts facts = PH_TLS_FACTS_INIT;
		struct ph_error err = PH_ERROR_INIT;
		enum ph_code rc;

		facts.verified = rows[i].verified;
		facts.waived = rows[i].waived;
		rc = ph__may_authenticate(&p, &w, rows[i].up ? &facts : NULL, &err);

		if (rc != (rows[i].may ? PH_OK : PH_ESECURITY))
			fail_msg("row %zu: %s %s", i, ph_code_name(rc), err.text);
		if (rc == PH_OK)
			continue;
		assert_int_equal(err.cause, PH_CAUSE_CLEAR_AUTH);
		assert_int_equal(err.stage, PH_STAGE_AUTH);
		assert_true(err.hint[0] != '\0');
	}
}

/* ---- verdicts -------------------------------------------------------------------------------- */

static struct ph_recipient_outcome
outcome(enum ph_stage stage, unsigned code, uint16_t a, uint16_t b, uint16_t c)
{
	bool never = code >= 500;

	return (struct ph_recipient_outcome){
		.address = "b@x.test", .stage = stage, .cause = PH_CAUSE_REPLY,
		.outcome = code < 300 ? PH_ACCEPTED : never ? PH_REFUSED : PH_DEFERRED,
		.code = code < 300 ? PH_OK : never ? PH_EREFUSED : PH_EDEFERRED,
		.reply = { .code = (uint16_t)code, .enhanced = { a, b, c }, .text = "" },
	};
}

static void
replies_are_refined_by_stage_and_enhanced_code(void **state)
{
	enum { RCPT = PH_STAGE_RCPT, MAIL = PH_STAGE_MAIL, DATA = PH_STAGE_DATA, BODY = PH_STAGE_BODY };
	static const struct {
		int stage;
		unsigned code;
		uint16_t e[3];
		bool any_accepted, could_have_tls;
		enum ph_outcome outcome;
		enum ph_code class_;
	} rows[] = {
		{ RCPT, 550, { 0, 0, 0 }, 0, 1, PH_REFUSED, PH_EREFUSED },
		{ RCPT, 550, { 5, 7, 1 }, 0, 1, PH_REFUSED, PH_EREFUSED },
		{ RCPT, 550, { 5, 1, 1 }, 0, 1, PH_REFUSED, PH_ENOUSER },
		{ RCPT, 550, { 5, 1, 3 }, 1, 1, PH_REFUSED, PH_ENOUSER },
		{ RCPT, 553, { 5, 1, 6 }, 0, 1, PH_REFUSED, PH_ENOUSER },
		{ MAIL, 550, { 5, 1, 1 }, 0, 1, PH_REFUSED, PH_EREFUSED },
		{ BODY, 550, { 5, 1, 1 }, 1, 1, PH_REFUSED, PH_EREFUSED },
		{ RCPT, 550, { 5, 1, 2 }, 0, 1, PH_REFUSED, PH_ENOHOST },
		{ RCPT, 556, { 5, 1, 10 }, 0, 1, PH_REFUSED, PH_ENOHOST },
		{ RCPT, 550, { 5, 1, 8 }, 0, 1, PH_REFUSED, PH_EREFUSED },
		{ RCPT, 450, { 4, 1, 1 }, 0, 1, PH_DEFERRED, PH_EDEFERRED },
		{ RCPT, 451, { 0, 0, 0 }, 0, 1, PH_DEFERRED, PH_EDEFERRED },
		/* "too many" */
		{ RCPT, 552, { 0, 0, 0 }, 1, 1, PH_DEFERRED, PH_EDEFERRED },
		{ RCPT, 552, { 0, 0, 0 }, 0, 1, PH_REFUSED, PH_EREFUSED },
		{ RCPT, 552, { 5, 5, 3 }, 1, 1, PH_DEFERRED, PH_EDEFERRED },
		{ RCPT, 552, { 5, 5, 3 }, 0, 1, PH_REFUSED, PH_EREFUSED },
		{ RCPT, 552, { 5, 2, 2 }, 1, 1, PH_REFUSED, PH_EREFUSED },
		{ RCPT, 552, { 5, 3, 4 }, 1, 1, PH_REFUSED, PH_EREFUSED },
		{ RCPT, 550, { 5, 5, 3 }, 1, 1, PH_REFUSED, PH_EREFUSED },
		{ RCPT, 452, { 0, 0, 0 }, 1, 1, PH_DEFERRED, PH_EDEFERRED },
		{ RCPT, 452, { 0, 0, 0 }, 0, 1, PH_DEFERRED, PH_EDEFERRED },
		{ RCPT, 452, { 4, 5, 3 }, 1, 1, PH_DEFERRED, PH_EDEFERRED },
		{ RCPT, 452, { 4, 2, 2 }, 1, 1, PH_DEFERRED, PH_EDEFERRED },
		{ BODY, 552, { 0, 0, 0 }, 1, 1, PH_REFUSED, PH_EREFUSED },
		{ BODY, 552, { 5, 5, 3 }, 1, 1, PH_REFUSED, PH_EREFUSED },
		{ MAIL, 552, { 5, 3, 4 }, 0, 1, PH_REFUSED, PH_EREFUSED },
		/* 530 */
		{ MAIL, 530, { 5, 7, 0 }, 0, 0, PH_DEFERRED, PH_EAUTH },
		{ MAIL, 530, { 0, 0, 0 }, 0, 1, PH_DEFERRED, PH_ESECURITY },
		{ RCPT, 530, { 5, 7, 0 }, 0, 0, PH_DEFERRED, PH_EAUTH },
		{ RCPT, 530, { 5, 7, 0 }, 0, 1, PH_DEFERRED, PH_ESECURITY },
		{ DATA, 530, { 5, 7, 0 }, 1, 0, PH_DEFERRED, PH_EAUTH },
		{ BODY, 250, { 2, 0, 0 }, 1, 1, PH_ACCEPTED, PH_OK },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		const uint16_t *e = rows[i].e;
		struct ph_recipient_outcome o = outcome((enum ph_stage)rows[i].stage, rows[i].code, e[0],
		                                        e[1], e[2]);

		ph__verdict_recipient(&o, rows[i].any_accepted, rows[i].could_have_tls);
		if (o.outcome != rows[i].outcome || o.code != rows[i].class_)
			fail_msg("row %zu (%u %u.%u.%u): %s %s", i, rows[i].code, e[0], e[1], e[2],
			         ph_outcome_name(o.outcome), ph_code_name(o.code));
	}
}

static void
what_we_refused_ourselves_stays_as_it_is(void **state)
{
	struct ph_recipient_outcome o = {
		.outcome = PH_REFUSED, .code = PH_EINPUT, .stage = PH_STAGE_MAIL,
		.reply = { .enhanced = { 5, 1, 2 } },
	};

	(void)state;
	ph__verdict_recipient(&o, false, true);
	assert_int_equal(o.code, PH_EINPUT);
	assert_int_equal(o.outcome, PH_REFUSED);
}

#define A { .outcome = PH_ACCEPTED, .code = PH_OK }
#define R { .outcome = PH_REFUSED, .code = PH_EREFUSED }
#define U { .outcome = PH_REFUSED, .code = PH_ENOUSER }
#define H { .outcome = PH_REFUSED, .code = PH_ENOHOST }
#define I { .outcome = PH_REFUSED, .code = PH_EINPUT }
#define D { .outcome = PH_DEFERRED, .code = PH_EDEFERRED }
#define P { .outcome = PH_DEFERRED, .code = PH_EPROTOCOL }
#define S { .outcome = PH_DEFERRED, .code = PH_ESECURITY }
#define Q { .outcome = PH_IN_DOUBT, .code = PH_EINDOUBT }

static void
a_message_is_the_sum_of_its_recipients(void **state)
{
	static const struct {
		struct ph_recipient_outcome r[3];
		size_t n;
		enum ph_outcome outcome;
		enum ph_code class_;
		int exit, exit_no_dup;
	} rows[] = {
		{ { A }, 1, PH_ACCEPTED, PH_OK, 0, 0 },
		{ { A, A, A }, 3, PH_ACCEPTED, PH_OK, 0, 0 },
		{ { R }, 1, PH_REFUSED, PH_EREFUSED, 69, 69 },
		{ { U }, 1, PH_REFUSED, PH_ENOUSER, 67, 67 },
		{ { U, U }, 2, PH_REFUSED, PH_ENOUSER, 67, 67 },
		{ { U, R }, 2, PH_REFUSED, PH_EREFUSED, 69, 69 },
		{ { U, H }, 2, PH_REFUSED, PH_EREFUSED, 69, 69 },
		{ { H, H }, 2, PH_REFUSED, PH_ENOHOST, 68, 68 },
		{ { I }, 1, PH_REFUSED, PH_EINPUT, 65, 65 },
		{ { D }, 1, PH_DEFERRED, PH_EDEFERRED, 75, 75 },
		{ { P, P }, 2, PH_DEFERRED, PH_EPROTOCOL, 76, 76 },
		{ { S }, 1, PH_DEFERRED, PH_ESECURITY, 78, 78 },
		{ { D, P }, 2, PH_DEFERRED, PH_EDEFERRED, 75, 75 },
		{ { R, D }, 2, PH_DEFERRED, PH_EDEFERRED, 75, 75 },
		{ { U, P }, 2, PH_DEFERRED, PH_EPROTOCOL, 76, 76 },
		{ { A, R }, 2, PH_PARTIAL, PH_EPARTIAL, 69, 69 },
		{ { A, U }, 2, PH_PARTIAL, PH_EPARTIAL, 69, 69 },
		{ { A, D }, 2, PH_PARTIAL, PH_EPARTIAL, 75, 75 },
		{ { D, A, R }, 3, PH_PARTIAL, PH_EPARTIAL, 69, 69 },
		{ { Q }, 1, PH_IN_DOUBT, PH_EINDOUBT, 75, 74 },
		{ { A, Q }, 2, PH_IN_DOUBT, PH_EINDOUBT, 75, 74 },
		{ { R, Q, A }, 3, PH_IN_DOUBT, PH_EINDOUBT, 75, 74 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		const struct ph_recipient_outcome *r[3] = { &rows[i].r[0], &rows[i].r[1], &rows[i].r[2] };
		enum ph_outcome o = ph__verdict_outcome(r, rows[i].n);
		enum ph_code c = ph__verdict_class(r, rows[i].n, o);
		int status = ph__verdict_exit_status(r, rows[i].n, c, false);
		int no_dup = ph__verdict_exit_status(r, rows[i].n, c, true);

		if (o != rows[i].outcome || c != rows[i].class_ || status != rows[i].exit ||
		    no_dup != rows[i].exit_no_dup)
			fail_msg("row %zu: %s %s %d %d", i, ph_outcome_name(o), ph_code_name(c), status,
			         no_dup);
	}
}

static void
replies_that_end_the_opening_have_a_class(void **state)
{
	static const struct { enum ph_stage stage; uint16_t code; enum ph_code class_; } rows[] = {
		{ PH_STAGE_GREETING, 554, PH_EREFUSED }, { PH_STAGE_GREETING, 421, PH_EDEFERRED },
		{ PH_STAGE_GREETING, 250, PH_EPROTOCOL }, { PH_STAGE_GREETING, 354, PH_EPROTOCOL },
		{ PH_STAGE_HELLO, 550, PH_EREFUSED }, { PH_STAGE_HELLO, 451, PH_EDEFERRED },
		{ PH_STAGE_STARTTLS, 454, PH_EDEFERRED }, { PH_STAGE_STARTTLS, 502, PH_ESECURITY },
		{ PH_STAGE_STARTTLS, 250, PH_EPROTOCOL },
		{ PH_STAGE_AUTH, 535, PH_EAUTH }, { PH_STAGE_AUTH, 454, PH_EDEFERRED },
		{ PH_STAGE_AUTH, 503, PH_EAUTH }, { PH_STAGE_AUTH, 421, PH_EDEFERRED },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct ph_reply r = { .code = rows[i].code, .enhanced = { rows[i].code / 100u, 7, 8 },
		                      .text = "said so", .len = 7 };
		struct ph_error err = PH_ERROR_INIT;

		assert_int_equal(ph__verdict_session(rows[i].stage, &r, &err), rows[i].class_);
		assert_int_equal(err.code, rows[i].class_);
		assert_int_equal(err.stage, rows[i].stage);
		assert_int_equal(err.reply, rows[i].code);
		assert_int_equal(err.enhanced[2], 8);
		assert_non_null(strstr(err.text, "said so"));
		assert_int_equal(ph__verdict_session(rows[i].stage, &r, NULL), rows[i].class_);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_route_says_what_its_servers_must_prove),
		cmocka_unit_test(requiretls_wants_every_server_proved),
		cmocka_unit_test(urls_name_a_server),
		cmocka_unit_test(bad_urls_are_refused),
		cmocka_unit_test(a_password_in_a_url_is_refused_and_not_repeated),
		cmocka_unit_test(urls_survive_a_lack_of_memory),
		cmocka_unit_test(tls_is_required_and_verified_unless_somebody_said_otherwise),
		cmocka_unit_test(the_local_relay_needs_no_certificate_unless_anything_was_asked_for),
		cmocka_unit_test(credentials_go_out_only_where_design_says),
		cmocka_unit_test(replies_are_refined_by_stage_and_enhanced_code),
		cmocka_unit_test(what_we_refused_ourselves_stays_as_it_is),
		cmocka_unit_test(a_message_is_the_sum_of_its_recipients),
		cmocka_unit_test(replies_that_end_the_opening_have_a_class),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
