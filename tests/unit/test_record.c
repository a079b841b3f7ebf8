/* SPDX-License-Identifier: MIT */
/* The delivery record: its JSON, member by member, the message's outcome and error, and the
 * identifiers that servers hide in their final replies. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdlib.h>

#include "base/error.h"
#include "drive/record.h"
#include "failing_memory.h"
#include "smtp/txn.h"

#define COUNT(a) (sizeof(a) / sizeof *(a))

/* ---- JSON that anybody can read -------------------------------------------------------------- */

static const char *
skip_string(const char *p)
{
	for (p++; *p != '"'; p++) {
		assert_true((unsigned char)*p >= 0x20 && *p != 0x7f);
		if (*p != '\\')
			continue;
		p++;
		assert_non_null(strchr("\"\\/bfnrtu", *p));
		if (*p == 'u')
			for (int i = 0; i < 4; i++)
				assert_non_null(strchr("0123456789abcdefABCDEF", *++p));
	}
	return p + 1;
}

static const char *skip_value(const char *p);

static const char *
skip_members(const char *p, bool keys, char end)
{
	if (*++p == end)
		return p + 1;
	for (;; p++) {
		if (keys) {
			assert_int_equal(*p, '"');
			p = skip_string(p);
			assert_int_equal(*p++, ':');
		}
		p = skip_value(p);
		if (*p == end)
			return p + 1;
		assert_int_equal(*p, ',');
	}
}

static const char *
skip_value(const char *p)
{
	static const char *const words[] = { "null", "true", "false" };

	if (*p == '{')
		return skip_members(p, true, '}');
	if (*p == '[')
		return skip_members(p, false, ']');
	if (*p == '"')
		return skip_string(p);
	for (size_t i = 0; i < COUNT(words); i++)
		if (strncmp(p, words[i], strlen(words[i])) == 0)
			return p + strlen(words[i]);
	assert_true(*p >= '0' && *p <= '9');
	return p + strspn(p, "0123456789.");
}

static char *
json_of(const struct ph_record *r)
{
	char *json = ph_record_json(r);

	assert_non_null(json);
	assert_true(ph__str_is_utf8(ph__str(json)));
	assert_int_equal(*skip_value(json), '\0');
	return json;
}

static void
json_has(const struct ph_record *r, const char *part)
{
	char *json = json_of(r);

	if (strstr(json, part) == NULL)
		fail_msg("%s lacks %s", json, part);
	ph_record_free_json(r, json);
}

static void
json_is(const struct ph_record *r, const char *wanted)
{
	char *json = json_of(r);

	assert_string_equal(json, wanted);
	ph_record_free_json(r, json);
}

/* ---- records --------------------------------------------------------------------------------- */

static struct ph_txn *
new_txn(const char *const *to, size_t n)
{
	struct ph_envelope e = { PH_ENVELOPE_INIT, .from = "a@example.org", .recipients = to,
	                         .recipient_count = n };
	struct ph_txn *t;

	assert_int_equal(ph_txn_new(&t, &e, NULL, NULL), PH_OK);
	return t;
}

static struct ph_record
record_of(struct ph_txn *t)
{
	static struct ph__session *sessions[4];

	return (struct ph_record){ .mem = &ph__libc_memory, .txn = t, .sessions = sessions };
}

static void
decide(struct ph_txn *t, size_t i, enum ph_stage stage, unsigned code, uint16_t a, uint16_t b,
       uint16_t c, const char *text)
{
	struct ph_reply r = { .code = (uint16_t)code, .enhanced = { a, b, c }, .text = text,
	                      .len = strlen(text) };
	struct ph_reply kept = ph__txn_keep(t, &r);

	t->rcpts[i].accepted = stage == PH_STAGE_BODY;
	ph__txn_decide(t, i, code < 300 ? PH_ACCEPTED : code < 500 ? PH_DEFERRED : PH_REFUSED,
	               code < 300 ? PH_OK : code < 500 ? PH_EDEFERRED : PH_EREFUSED, stage,
	               PH_CAUSE_REPLY, &kept);
}

static void
set_certificate(struct ph__session *s, int64_t not_after)
{
	char name[] = "mx1.example.net";
	const char *const names[] = { name };
	struct ph_certificate c = { .size = sizeof c, .subject = "CN=mx1.example.net",
	                            .issuer = "CN=CA,O=\"X\"", .not_after = not_after, .sha256 = "ab",
	                            .spki_sha256 = "cd", .names = names, .name_count = 1,
	                            .der = (unsigned char *)name, .der_len = 3 };

	ph__session_set_certificate(s, &c);
	assert_null(s->certificate.der); /* nothing is borrowed */
	assert_null(s->certificate.names);
	assert_int_equal(s->certificate.name_count + s->certificate.der_len, 0);
}

static struct ph__session *
new_session(void)
{
	struct ph__session *s = ph__session_new(&ph__libc_memory);
	struct ph_reply greeting = { .code = 220, .text = "mx ready", .len = 8 };

	assert_non_null(s);
	strcpy(s->host, "mx1.example.net");
	strcpy(s->address, "192.0.2.1");
	s->port = 25;
	s->tls_mode = "starttls";
	s->policy = "required";
	s->tls_up = true;
	s->tls.verified = true;
	strcpy(s->tls.version, "TLSv1.3");
	strcpy(s->tls.cipher, "TLS_AES_256_GCM_SHA384");
	strcpy(s->tls.peer_name, "mx1.example.net");
	strcpy(s->mechanism, "PLAIN");
	ph__session_set_greeting(s, &greeting);
	s->extensions = malloc(64);
	memcpy(s->extensions, "PIPELINING\0\0SIZE\00010240000", 26);
	s->extensions_len = 26;
	set_certificate(s, 1795436227);
	s->resolve_us = 250;
	s->connect_us = 1000;
	s->tls_us = 2049;
	s->auth_us = 99;
	s->body_us = 1234567;
	s->began_us = 10;
	s->ended_us = 2000010;
	return s;
}

static void
a_record_has_every_member_that_design_names(void **state)
{
	const char *const to[] = { "b@example.net" };
	struct ph_txn *t = new_txn(to, 1);
	struct ph_record r = record_of(t);

	(void)state;
	decide(t, 0, PH_STAGE_BODY, 250, 2, 0, 0, "2.0.0 Ok: queued as 4F2");
	t->bytes = 1234;
	r.round_trips = 5;
	r.sessions[r.session_count++] = new_session();
	assert_int_equal(ph__record_judge(&r), PH_OK);
	assert_null(ph_record_error(&r));
	json_is(&r,
	        "{\"outcome\":\"accepted\",\"class\":\"ok\",\"exit\":0,\"queue_id\":null,"
	        "\"from\":\"a@example.org\",\"bytes\":1234,\"round_trips\":5,"
	        "\"recipients\":[{\"address\":\"b@example.net\",\"outcome\":\"accepted\",\"session\":0,"
	        "\"stage\":\"body\",\"code\":250,\"enhanced\":\"2.0.0\","
	        "\"text\":\"2.0.0 Ok: queued as 4F2\",\"remote_id\":\"4F2\"}],"
	        "\"sessions\":[{\"host\":\"mx1.example.net\",\"address\":\"192.0.2.1\",\"port\":25,"
	        "\"greeting\":\"mx ready\",\"route\":null,\"extensions\":{\"PIPELINING\":\"\",\"SIZE\":\"10240000\"},"
	        "\"tls\":{\"mode\":\"starttls\",\"version\":\"TLSv1.3\","
	        "\"cipher\":\"TLS_AES_256_GCM_SHA384\",\"verified\":true,"
	        "\"peer_name\":\"mx1.example.net\",\"policy\":\"required\",\"result\":\"success\","
	        "\"certificate\":{\"subject\":\"CN=mx1.example.net\",\"issuer\":\"CN=CA,O=\\\"X\\\"\","
	        "\"not_after\":\"2026-11-23T12:17:07Z\",\"sha256\":\"ab\",\"spki_sha256\":\"cd\"}},"
	        "\"auth\":{\"mechanism\":\"PLAIN\"},"
	        "\"timings_ms\":{\"resolve\":0.250,\"connect\":1.000,\"tls\":2.049,\"auth\":0.099,"
	        "\"body\":1234.567,\"total\":2000.000},\"error\":null}],\"error\":null}");
	ph__session_unref(&r.sessions[0]);
	ph_txn_free(t);
}

static void
of_a_certificate_only_dates_that_can_be_written_are(void **state)
{
	static const int64_t times[] = { 0, -1, INT64_MAX, 253402300800 };
	const char *const to[] = { "b@example.net" };
	struct ph_txn *t = new_txn(to, 1);
	struct ph_record r = record_of(t);

	(void)state;
	decide(t, 0, PH_STAGE_BODY, 250, 2, 0, 0, "2.0.0 Ok");
	r.sessions[r.session_count++] = new_session();
	assert_int_equal(ph__record_judge(&r), PH_OK);
	for (size_t i = 0; i < COUNT(times); i++) {
		set_certificate(r.sessions[0], times[i]);
		json_has(&r, "\"not_after\":null,");
	}
	set_certificate(r.sessions[0], 253402300799); /* RFC 5280 §4.1.2.5: no end in sight */
	json_has(&r, "\"not_after\":\"9999-12-31T23:59:59Z\",");
	ph__session_unref(&r.sessions[0]);
	ph_txn_free(t);
}

/* Each is what the session shows (test_tls_result.c has the rules). */
static void
a_session_has_the_result_of_its_tls(void **state)
{
	const char *const to[] = { "b@example.net" };
	struct ph_txn *t = new_txn(to, 1);
	struct ph_record r = record_of(t);
	struct ph__session *s = new_session(), *before = new_session();

	(void)state;
	decide(t, 0, PH_STAGE_BODY, 250, 2, 0, 0, "2.0.0 Ok");
	r.sessions[r.session_count++] = s;
	assert_int_equal(ph__record_judge(&r), PH_OK);
	s->tls.verified = false;
	s->tls.problem_cause = PH_CAUSE_CERT_NAME;
	json_has(&r, "\"result\":\"certificate-host-mismatch\",");
	s->policy = "opportunistic";
	json_has(&r, "\"result\":\"success\",");
	s->policy = "dane"; /* of a server that was named, with its records */
	json_has(&r, "\"result\":\"certificate-host-mismatch\",");
	s->policy = "opportunistic";
	strcpy(s->route.domain, "example.net");
	s->route.mode = "testing";
	s->route.policy = "none"; /* the message waives it (RFC 8689 §4.2.2) */
	json_has(&r, "\"result\":\"success\",");
	s->route.policy = "mta-sts";
	json_has(&r, "\"result\":\"certificate-host-mismatch\",");
	s->route.policy = "dane"; /* goes before it */
	s->policy = "dane";
	s->tls.verified = true;
	s->route.tlsa = strdup("3 1 1 ab");
	s->route.tlsa_len = 9;
	json_has(&r, "\"result\":\"success\",");
	free(s->route.tlsa);
	s->route.tlsa = NULL;
	json_has(&r, "\"result\":\"tlsa-invalid\",");
	s->result = "dnssec-invalid";
	json_has(&r, "\"result\":\"dnssec-invalid\",");
	s->result = NULL;
	s->tls_up = false;
	s->policy = "opportunistic";
	json_has(&r, "\"result\":\"starttls-not-supported\",");
	s->before = before; /* the handshake there failed */
	json_has(&r, "\"result\":null,");
	ph__fail(&s->error, PH_ESECURITY, PH_STAGE_STARTTLS, PH_CAUSE_NOT_OFFERED, "none");
	s->before = NULL;
	s->policy = "dane";
	json_has(&r, "\"result\":\"starttls-not-supported\",");
	free(s->extensions);
	s->extensions = NULL;
	ph__fail(&s->error, PH_EDEFERRED, PH_STAGE_GREETING, PH_CAUSE_LOST, "lost");
	json_has(&r, "\"result\":null,");
	ph__session_unref(&before);
	ph__session_unref(&r.sessions[0]);
	ph_txn_free(t);
}

static void
what_there_was_not_is_null(void **state)
{
	const char *const to[] = { "b@example.net" };
	struct ph_txn *t = new_txn(to, 1);
	struct ph_record r = record_of(t);
	struct ph__session *s = ph__session_new(&ph__libc_memory);

	(void)state;
	strcpy(s->host, "/run/lmtp");
	ph__txn_decide_all(t, PH_DEFERRED, PH_EDEFERRED, PH_STAGE_CONNECT, PH_CAUSE_UNREACHABLE, NULL);
	ph__fail(&t->error, PH_EDEFERRED, PH_STAGE_CONNECT, PH_CAUSE_UNREACHABLE, "nobody \"there\"");
	ph__error_copy(&s->error, &t->error);
	r.sessions[r.session_count++] = s;
	assert_int_equal(ph__record_judge(&r), PH_OK);
	json_is(&r,
	        "{\"outcome\":\"deferred\",\"class\":\"deferred\",\"exit\":75,\"queue_id\":null,"
	        "\"from\":\"a@example.org\",\"bytes\":0,\"round_trips\":0,"
	        "\"recipients\":[{\"address\":\"b@example.net\",\"outcome\":\"deferred\",\"session\":0,"
	        "\"stage\":\"connect\",\"code\":null,\"enhanced\":null,\"text\":null,"
	        "\"remote_id\":null}],"
	        "\"sessions\":[{\"host\":\"/run/lmtp\",\"address\":null,\"port\":null,\"greeting\":null,"
	        "\"route\":null,\"extensions\":null,\"tls\":{\"mode\":\"none\",\"version\":null,\"cipher\":null,"
	        "\"verified\":false,\"peer_name\":null,\"policy\":null,\"result\":null,"
	        "\"certificate\":null},\"auth\":null,"
	        "\"timings_ms\":{\"resolve\":0.000,\"connect\":0.000,\"tls\":0.000,\"auth\":0.000,\"body\":0.000,"
	        "\"total\":0.000},\"error\":{\"class\":\"deferred\",\"stage\":\"connect\",\"code\":null,"
	        "\"enhanced\":null,\"text\":\"nobody \\\"there\\\"\",\"cause\":\"unreachable\","
	        "\"hint\":null}}],"
	        "\"error\":{\"class\":\"deferred\",\"stage\":\"connect\",\"code\":null,"
	        "\"enhanced\":null,\"text\":\"nobody \\\"there\\\"\",\"cause\":\"unreachable\","
	        "\"hint\":null}}");
	ph__session_unref(&r.sessions[0]);
	r.session_count = 0;
	json_has(&r, "\"session\":null");
	json_has(&r, "\"sessions\":[]");
	ph_txn_free(t);
}

static void
octets_that_are_not_utf_8_are_kept_as_base64(void **state)
{
	const char *const to[] = { "b@example.net" };
	struct ph_txn *t = new_txn(to, 1);
	struct ph_record r = record_of(t);
	struct ph__session *s = new_session();
	struct ph_reply greeting = { .code = 220, .text = "\xe9t\xe9", .len = 3 };

	(void)state;
	ph__session_set_greeting(s, &greeting);
	r.sessions[r.session_count++] = s;
	decide(t, 0, PH_STAGE_RCPT, 550, 5, 7, 1, "5.7.1 caf\xe9");
	assert_int_equal(ph__record_judge(&r), PH_OK);
	json_has(&r, "\"text\":\"5.7.1 caf\\\\xE9\",\"text_b64\":\"NS43LjEgY2Fm6Q==\",\"remote_id\"");
	json_has(&r, "\"greeting\":\"\\\\xE9t\\\\xE9\",\"greeting_b64\":\"6XTp\"");
	json_has(&r, "\"cause\":\"reply\"");
	ph__session_unref(&r.sessions[0]);
	ph_txn_free(t);
}

static void
a_hostile_reply_is_only_text(void **state)
{
	const char *const to[] = { "b@example.net" };
	struct ph_txn *t = new_txn(to, 1);
	struct ph_record r = record_of(t);

	(void)state;
	decide(t, 0, PH_STAGE_RCPT, 550, 0, 0, 0, "\"},\\\x1b[2J\x07\x7f\x01\ttwo\nlines \xe2\x80\xae");
	assert_int_equal(ph__record_judge(&r), PH_OK);
	json_has(&r, "\"text\":\"\\\"},\\\\\\u001b[2J\\u0007\\u007f\\u0001\\u0009two\\nlines "
	             "\\u202e\"");
	ph_txn_free(t);
}

static void
each_message_has_the_outcome_of_its_recipients(void **state)
{
	const char *const to[] = { "a@example.net", "b@example.net", "c@example.net" };
	struct ph_txn *t = new_txn(to, 3);
	struct ph_record r = record_of(t);

	(void)state;
	decide(t, 0, PH_STAGE_BODY, 250, 2, 0, 0, "2.0.0 ok");
	decide(t, 1, PH_STAGE_RCPT, 452, 0, 0, 0, "too many");
	decide(t, 2, PH_STAGE_RCPT, 552, 0, 0, 0, "too many");
	t->rcpts[2].in_company = true;
	assert_int_equal(ph__record_judge(&r), PH_OK);
	assert_int_equal(ph_record_outcome(&r), PH_PARTIAL);
	assert_int_equal(ph_record_code(&r), PH_EPARTIAL);
	assert_int_equal(ph_record_exit_status(&r), 75); /* the 552 was "too many" too */
	assert_int_equal(ph_record_recipient(&r, 2)->outcome, PH_DEFERRED);
	assert_int_equal(ph_record_recipient_count(&r), 3);
	assert_null(ph_record_recipient(&r, 3));
	assert_int_equal(ph_record_error(&r)->code, PH_EPARTIAL);
	assert_int_equal(ph_record_error(&r)->stage, PH_STAGE_RCPT);
	assert_int_equal(ph_record_error(&r)->reply, 452);
	ph_txn_free(t);

	t = new_txn(to, 2);
	r = record_of(t);
	decide(t, 0, PH_STAGE_RCPT, 550, 5, 1, 1, "5.1.1 who?");
	decide(t, 1, PH_STAGE_RCPT, 552, 0, 0, 0, "too many");
	assert_int_equal(ph__record_judge(&r), PH_OK);
	assert_int_equal(ph_record_outcome(&r), PH_REFUSED); /* nobody was accepted: not "too many" */
	assert_int_equal(ph_record_code(&r), PH_EREFUSED);
	assert_int_equal(ph_record_recipient(&r, 0)->code, PH_ENOUSER);
	ph_txn_free(t);
}

static void
the_error_is_of_the_recipient_that_made_the_outcome(void **state)
{
	const char *const to[] = { "a@example.net", "b@example.net" };
	struct ph_txn *t = new_txn(to, 2);
	struct ph_record r = record_of(t);

	(void)state;
	decide(t, 0, PH_STAGE_RCPT, 550, 5, 1, 1, "5.1.1 who?");
	ph__txn_decide(t, 1, PH_IN_DOUBT, PH_EINDOUBT, PH_STAGE_BODY, PH_CAUSE_LOST, NULL);
	ph__fail(&t->error, PH_EINDOUBT, PH_STAGE_BODY, PH_CAUSE_LOST, "lost");
	r.no_dup = true;
	assert_int_equal(ph__record_judge(&r), PH_OK);
	assert_int_equal(ph_record_outcome(&r), PH_IN_DOUBT);
	assert_int_equal(ph_record_exit_status(&r), 74);
	assert_int_equal(ph_record_error(&r)->code, PH_EINDOUBT);
	assert_int_equal(ph_record_error(&r)->stage, PH_STAGE_BODY);
	assert_int_equal(ph_record_error(&r)->cause, PH_CAUSE_LOST);
	assert_int_equal(ph_record_error(&r)->reply, 0);
	assert_true(ph_record_error(&r)->hint[0] != '\0');
	ph_txn_free(t);

	t = new_txn(to, 2);
	r = record_of(t);
	decide(t, 0, PH_STAGE_RCPT, 550, 5, 1, 1, "5.1.1 who?");
	decide(t, 1, PH_STAGE_RCPT, 450, 4, 2, 0, "4.2.0 later");
	assert_int_equal(ph__record_judge(&r), PH_OK);
	assert_int_equal(ph_record_outcome(&r), PH_DEFERRED);
	assert_int_equal(ph_record_error(&r)->reply, 450);
	ph_txn_free(t);
}

static void
what_ended_the_session_says_more_than_its_reply(void **state)
{
	const char *const to[] = { "a@example.net" };
	struct ph_txn *t = new_txn(to, 1);
	struct ph_record r = record_of(t);

	(void)state;
	decide(t, 0, PH_STAGE_AUTH, 454, 4, 7, 0, "4.7.0 later");
	ph__fail(&t->error, PH_EDEFERRED, PH_STAGE_AUTH, PH_CAUSE_REPLY, "the login: 454 4.7.0 later");
	t->error.reply = 454;
	assert_int_equal(ph__record_judge(&r), PH_OK);
	assert_string_equal(ph_record_error(&r)->text, "the login: 454 4.7.0 later");
	json_has(&r, "\"stage\":\"auth\",\"code\":454,\"enhanced\":\"4.7.0\",\"text\":\"4.7.0 later\"");
	ph_txn_free(t);
}

static void
an_error_always_has_words(void **state)
{
	const char *const to[] = { "a@example.net" };
	struct ph_txn *t = new_txn(to, 1);
	struct ph_record r = record_of(t);

	(void)state;
	ph__txn_decide_all(t, PH_DEFERRED, PH_EPROTOCOL, PH_STAGE_BODY, PH_CAUSE_GARBAGE, NULL);
	assert_int_equal(ph__record_judge(&r), PH_OK);
	assert_true(ph_record_error(&r)->text[0] != '\0');
	assert_int_equal(ph_record_error(&r)->stage, PH_STAGE_BODY);
	assert_int_equal(ph_record_exit_status(&r), 76);
	ph_txn_free(t);
}

/* For TLS only where the server has it and we did not use it: a hint that cannot be followed is none. */
static void
a_530_asks_for_a_login_or_for_tls_that_was_offered(void **state)
{
	static const struct { bool tls_up, offered; enum ph_code code; int status; } rows[] = {
		{ false, true, PH_ESECURITY, 78 },
		{ false, false, PH_EAUTH, 77 },
		{ true, true, PH_EAUTH, 77 },
	};
	static const char offered[] = "SIZE\0\0starttls\0";
	const char *const to[] = { "a@example.net" };

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct ph_txn *t = new_txn(to, 1);
		struct ph_record r = record_of(t);
		struct ph__session *s = new_session();

		r.sessions[r.session_count++] = s;
		s->tls_up = rows[i].tls_up;
		free(s->extensions);
		s->extensions = NULL;
		s->extensions_len = 0;
		if (rows[i].offered) {
			s->extensions = malloc(sizeof offered);
			memcpy(s->extensions, offered, sizeof offered);
			s->extensions_len = sizeof offered;
		}
		decide(t, 0, PH_STAGE_MAIL, 530, 5, 7, 0, "5.7.0 no");
		assert_int_equal(ph__record_judge(&r), PH_OK);
		assert_int_equal(ph_record_outcome(&r), PH_DEFERRED);
		assert_int_equal(ph_record_code(&r), rows[i].code);
		assert_int_equal(ph_record_exit_status(&r), rows[i].status);
		assert_true(ph_record_error(&r)->hint[0] != '\0');
		ph__session_unref(&r.sessions[0]);
		ph_txn_free(t);
	}
}

/* The message's class is `partial`; what to do is said of the one who did not get it. */
static void
a_refused_recipient_brings_a_hint(void **state)
{
	const char *const to[] = { "a@example.net", "b@example.net" };
	struct ph_txn *t = new_txn(to, 2);
	struct ph_record r = record_of(t);
	struct ph__session *s = new_session();

	(void)state;
	strcpy(s->host, "smtp.163.com");
	r.sessions[r.session_count++] = s;
	decide(t, 0, PH_STAGE_BODY, 250, 0, 0, 0, "ok");
	decide(t, 1, PH_STAGE_RCPT, 550, 0, 0, 0, "\xd3\xc3\xbb\xa7\xb2\xbb\xb4\xe6\xd4\xda");
	assert_int_equal(ph__record_judge(&r), PH_OK);
	assert_int_equal(ph_record_error(&r)->code, PH_EPARTIAL);
	assert_non_null(strstr(ph_record_error(&r)->text, ": 550 用户不存在"));
	assert_non_null(strstr(ph_record_error(&r)->hint, "no such mailbox"));
	json_has(&r, "\"text\":\"用户不存在\",\"text_b64\":\"08O7p7K7tObU2g==\"");
	ph__session_unref(&r.sessions[0]);
	ph_txn_free(t);
}

/* What the opening said stays: it may hold what only it knew, such as a certificate's digest. */
static void
a_hint_of_the_opening_is_not_replaced(void **state)
{
	const char *const to[] = { "a@example.net" };
	struct ph_txn *t = new_txn(to, 1);
	struct ph_record r = record_of(t);

	(void)state;
	ph__txn_decide_all(t, PH_DEFERRED, PH_EDEFERRED, PH_STAGE_GREETING, PH_CAUSE_TIMEOUT, NULL);
	ph__fail(&t->error, PH_EDEFERRED, PH_STAGE_GREETING, PH_CAUSE_TIMEOUT, "silent");
	assert_int_equal(ph__record_judge(&r), PH_OK);
	assert_non_null(strstr(ph_record_error(&r)->hint, "smtps://"));
	ph__hint(&t->error, "this and nothing else");
	assert_int_equal(ph__record_judge(&r), PH_OK);
	assert_string_equal(ph_record_error(&r)->hint, "this and nothing else");
	ph_txn_free(t);
}

static void
servers_identifiers_are_found(void **state)
{
	static const struct { unsigned code; const char *text, *id; } rows[] = {
		{ 250, "2.0.0 Ok: queued as 4F2", "4F2" },
		{ 250, "2.0.0 Ok: queued as 4bX9Vq1Zk2z9rxN", "4bX9Vq1Zk2z9rxN" },
		{ 250, "Ok: queued as 9C7E5.", "9C7E5" },
		{ 250, "OK id=1qXyzA-0001Bc-2D", "1qXyzA-0001Bc-2D" },
		{ 250, "2.0.0 38NDkLrp012345 Message accepted for delivery", "38NDkLrp012345" },
		{ 250, "2.0.0 4b6b1f2a Message accepted for delivery", "4b6b1f2a" },
		{ 250, "2.0.0 OK  1692711234 d9443c01a7336-1bf56a3c1sm123.25 - gsmtp",
		  "d9443c01a7336-1bf56a3c1sm123.25" },
		{ 250, "2.0.0 <b@example.net> 4F2aBc+Xyz1AAAA Saved", "4F2aBc+Xyz1AAAA" },
		{ 250, "2.6.0 <x@y> [InternalId=37692459190, Hostname=a.b] Queued mail for delivery",
		  "37692459190" },
		{ 250, "2.0.0 from MTA(smtp:[127.0.0.1]:10025): 250 2.0.0 Ok: queued as 1A2B", "1A2B" },
		{ 250, "2.6.0 message received\nqueued as 77", "77" },
		{ 250, "2.6.0 Queued mail for delivery", NULL },
		{ 250, "2.0.0 Ok", NULL }, { 250, "", NULL }, { 250, "queued as ", NULL },
		{ 250, "2.0.0 Ok: queued as", NULL },
		{ 550, "5.0.0 queued as 4F2", NULL }, { 0, "queued as 4F2", NULL },
	};
	struct ph_reply r = { 0 };
	char id[64], small[4];

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		const char *got;

		r = (struct ph_reply){ .code = (uint16_t)rows[i].code, .text = rows[i].text,
		                       .len = strlen(rows[i].text) };
		got = ph_reply_remote_id(&r, id, sizeof id);
		if ((got == NULL) != (rows[i].id == NULL) || (got != NULL && strcmp(got, rows[i].id) != 0))
			fail_msg("\"%s\": %s", rows[i].text, got != NULL ? got : "none");
	}
	assert_null(ph_reply_remote_id(NULL, id, sizeof id));
	r = (struct ph_reply){ .code = 250, .text = "queued as 4F2", .len = 13 };
	assert_string_equal(ph_reply_remote_id(&r, small, sizeof small), "4F2");
	assert_null(ph_reply_remote_id(&r, small, 3));
}

static void
a_refused_recipient_has_no_remote_id(void **state)
{
	const char *const to[] = { "a@example.net" };
	struct ph_txn *t = new_txn(to, 1);
	struct ph_record r = record_of(t);

	(void)state;
	decide(t, 0, PH_STAGE_BODY, 554, 5, 0, 0, "5.0.0 rejected, queued as 4F2");
	assert_int_equal(ph__record_judge(&r), PH_OK);
	json_has(&r, "\"remote_id\":null");
	ph_txn_free(t);
}

static void
a_lack_of_memory_leaves_no_half_a_record(void **state)
{
	const char *const to[] = { "a@example.net", "b@example.net" };
	struct failing_memory fm;

	(void)state;
	for (size_t n = 1; failing_memory_try(&fm, n); n++) {
		struct ph_txn *t = new_txn(to, 2);
		struct ph_record r = { .mem = &fm.mem, .txn = t };
		char *json = NULL;
		enum ph_code rc;

		decide(t, 0, PH_STAGE_BODY, 250, 2, 0, 0, "2.0.0 ok");
		decide(t, 1, PH_STAGE_BODY, 250, 2, 0, 0, "2.0.0 ok");
		rc = ph__record_judge(&r);
		assert_int_equal(rc, fm.failed ? PH_ESYSTEM : PH_OK);
		if (rc == PH_OK) {
			json = ph_record_json(&r);
			assert_true((json == NULL) == fm.failed);
			ph_record_free_json(&r, json);
		}
		assert_int_equal(fm.live, 0);
		ph_txn_free(t);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_record_has_every_member_that_design_names),
		cmocka_unit_test(of_a_certificate_only_dates_that_can_be_written_are),
		cmocka_unit_test(a_session_has_the_result_of_its_tls),
		cmocka_unit_test(what_there_was_not_is_null),
		cmocka_unit_test(octets_that_are_not_utf_8_are_kept_as_base64),
		cmocka_unit_test(a_hostile_reply_is_only_text),
		cmocka_unit_test(each_message_has_the_outcome_of_its_recipients),
		cmocka_unit_test(the_error_is_of_the_recipient_that_made_the_outcome),
		cmocka_unit_test(what_ended_the_session_says_more_than_its_reply),
		cmocka_unit_test(an_error_always_has_words),
		cmocka_unit_test(a_530_asks_for_a_login_or_for_tls_that_was_offered),
		cmocka_unit_test(a_refused_recipient_brings_a_hint),
		cmocka_unit_test(a_hint_of_the_opening_is_not_replaced),
		cmocka_unit_test(servers_identifiers_are_found),
		cmocka_unit_test(a_refused_recipient_has_no_remote_id),
		cmocka_unit_test(a_lack_of_memory_leaves_no_half_a_record),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
