/* SPDX-License-Identifier: MIT */
/* Logging in through the whole client: which mechanism is tried, when it stops, what is bound to
 * what, and servers that lie. The server is a lent transport with the SASL module's other side
 * behind it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <posthaste/client.h>

#include "auth/module.h"
#include "base/base64.h"
#include "failing_memory.h"
#include "net_ca.h"
#include "smtp_peer.h"

#define COUNT(a) (sizeof(a) / sizeof *(a))
#define EXPORTER "0123456789abcdef0123456789abcdef"
#define ALL "SCRAM-SHA-256-PLUS SCRAM-SHA-1-PLUS SCRAM-SHA-256 SCRAM-SHA-1 PLAIN LOGIN CRAM-MD5 DIGEST-MD5"
#define UNBOUND "LOGIN PLAIN SCRAM-SHA-1 SCRAM-SHA-256"

/* ---- a server -------------------------------------------------------------------------------- */

enum lie { HONEST, EARLY_235, NO_PROOF, WRONG_PROOF, REFUSES, ENDLESS, NOT_BASE64, EMPTY, TOKEN_ERROR,
           GOES_ON };

struct server {
	struct wire w;            /* first: the transport's user */
	const char *offers;
	const char *refuses;      /* these mechanisms, with 504 */
	enum lie lie;
	struct ph__sasl_link link;
	struct ph__sasl_exchange *exchange;
	bool over;                /* our side is content */
	bool in_exchange;
	char first[400];          /* the client's first message, decoded */
	char line[16384];
	size_t len;
	char log[65536];
};

static const struct ph__sasl_module *module;
static struct ph_source *hi;

static const char *
bobs_password(void *unused, const char *name)
{
	(void)unused;
	return strcmp(name, "bob") == 0 ? "pencil" : NULL;
}

static void
say(struct server *s, const char *text)
{
	wire_say(&s->w, text);
}

static void
challenge(struct server *s, const void *p, size_t n)
{
	struct ph__buf b;

	ph__buf_init(&b, &ph__libc_memory, 65536);
	ph__buf_add_str(&b, "334 ");
	ph__base64_encode(&b, p, n, false);
	ph__buf_add_str(&b, "\r\n");
	say(s, ph__buf_cstr(&b));
	ph__buf_done(&b);
}

static void
end_exchange(struct server *s, const char *reply)
{
	if (s->exchange != NULL)
		module->end(s->exchange);
	s->exchange = NULL;
	s->in_exchange = s->over = false;
	say(s, reply);
}

static void
give(struct server *s, const void *in, size_t n)
{
	struct ph_error err = PH_ERROR_INIT;
	const void *out;
	size_t len;

	if (in != NULL && s->first[0] == '\0')
		snprintf(s->first, sizeof s->first, "%.*s", (int)n, (const char *)in);
	if (module->step(s->exchange, in, n, &out, &len, &s->over, &err) != PH_OK)
		end_exchange(s, "535 5.7.8 wrong\r\n");
	else if (s->over && s->lie == WRONG_PROOF)
		challenge(s, "v=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", 46);
	else if (s->over && (out == NULL || s->lie == NO_PROOF))
		end_exchange(s, "235 2.7.0 in\r\n");
	else
		challenge(s, out != NULL ? out : "", len);
}

static void
give_base64(struct server *s, const char *text)
{
	struct ph__buf b;

	ph__buf_init(&b, &ph__libc_memory, 65536);
	if (s->lie == GOES_ON)
		say(s, "334 PDEyM0BteC50ZXN0Pg==\r\n");
	else if (strcmp(text, "*") == 0)
		end_exchange(s, "501 5.7.0 cancelled\r\n");
	else if (s->lie == ENDLESS)
		say(s, "334 aGVsbG8=\r\n");
	else if (s->lie == TOKEN_ERROR)
		end_exchange(s, "535 5.7.8 not accepted\r\n");
	else if (!ph__base64_decode(&b, ph__str(strcmp(text, "=") == 0 ? "" : text)))
		end_exchange(s, "501 5.5.2 not base64\r\n");
	else if (s->exchange != NULL)
		give(s, ph__buf_cstr(&b), b.len);
	else
		end_exchange(s, "235 2.7.0 in\r\n");
	ph__buf_done(&b);
}

static void
on_auth(struct server *s, const char *args)
{
	static const struct ph__sasl_directory users = { NULL, bobs_password, NULL };
	struct ph_error err = PH_ERROR_INIT;
	char name[64];
	const char *initial = strchr(args, ' ');

	snprintf(name, sizeof name, "%.*s", (int)strcspn(args, " "), args);
	s->in_exchange = true;
	if (s->refuses != NULL && strstr(s->refuses, name) != NULL) {
		end_exchange(s, "504 5.5.4 not that one\r\n");
		return;
	}
	switch (s->lie) {
	case EARLY_235:
		end_exchange(s, "235 2.7.0 in\r\n");
		return;
	case REFUSES:
		end_exchange(s, "535 5.7.8 wrong\r\n");
		return;
	case NOT_BASE64:
	case GOES_ON:
		say(s, "334 %%%\r\n");
		return;
	case EMPTY:
	case ENDLESS:
		say(s, "334 \r\n");
		return;
	case TOKEN_ERROR:
		if (initial == NULL)
			say(s, "334 \r\n");
		else
			challenge(s, "{\"status\":\"invalid_token\",\"scope\":\"mail\"}", 41);
		return;
	default:
		break;
	}
	if (module->has(name, true)) {
		assert_int_equal(module->server(&s->exchange, name, &users, &s->link, &ph__libc_memory, &err),
		                 PH_OK);
		if (initial == NULL)
			give(s, NULL, 0);
		else
			give_base64(s, initial + 1);
	} else {
		end_exchange(s, "235 2.7.0 in\r\n");
	}
}

static void
on_line(struct server *s, const char *line)
{
	char reply[600];

	strncat(s->log, line, sizeof s->log - strlen(s->log) - 2);
	strcat(s->log, "\n");
	if (s->in_exchange) {
		give_base64(s, line);
	} else if (begins_with(line, "AUTH ")) {
		on_auth(s, line + 5);
	} else if (begins_with(line, "EHLO")) {
		snprintf(reply, sizeof reply, "250-peer\r\n250 AUTH %s\r\n", s->offers);
		say(s, reply);
	} else if (begins_with(line, "DATA")) {
		say(s, "354 go on\r\n");
	} else if (*line == '.' || !begins_with(s->log + strlen(s->log) - strlen(line) - 1, "Subject")) {
		if (strcmp(line, "hello") != 0 && *line != '\0')
			say(s, begins_with(line, "QUIT") ? "221 bye\r\n" : "250 2.0.0 ok\r\n");
	}
}

static enum ph_io
server_write(void *user, const struct iovec *iov, size_t count, size_t *ret, struct ph_error *err)
{
	struct server *s = user;

	(void)err;
	*ret = 0;
	for (size_t i = 0; i < count; i++)
		for (size_t k = 0; k < iov[i].iov_len; k++, ++*ret) {
			char c = ((const char *)iov[i].iov_base)[k];

			if (s->len + 1 < sizeof s->line && c != '\r' && c != '\n')
				s->line[s->len++] = c;
			if (c != '\n')
				continue;
			s->line[s->len] = '\0';
			s->len = 0;
			on_line(s, s->line);
		}
	return PH_IO_OK;
}

static struct server *
new_server(const char *offers)
{
	struct server *s = calloc(1, sizeof *s);

	s->w.t = (struct ph_transport){ PH_TRANSPORT_INIT, .user = s, .read = wire_read,
		.write = server_write, .wait = wire_wait };
	s->offers = offers;
	s->link = (struct ph__sasl_link){ .service = "smtp", .host = "mx.test" };
	if (strstr(offers, "-PLUS") != NULL) {
		s->link.exporter = EXPORTER;
		s->link.exporter_len = 32;
	}
	wire_say(&s->w, "220 peer\r\n");
	return s;
}

static void
free_server(struct server *s)
{
	if (s->exchange != NULL)
		module->end(s->exchange);
	free(s);
}

/* ---- a client -------------------------------------------------------------------------------- */

#define CREDENTIALS(...) &(const struct ph_credentials){ PH_CREDENTIALS_INIT, __VA_ARGS__ }
#define BOB .user = "bob", .password = "pencil"

static struct ph_client *
new_client(const struct ph_credentials *credentials, const struct ph_allocator *mem)
{
	struct ph_client_opts o = { PH_CLIENT_OPTS_INIT, .server = "smtps://mx.test", .helo = "me.test",
	                            .credentials = credentials, .timeout_ms = 4000, .memory = mem };
	struct ph_error err = PH_ERROR_INIT;
	struct ph_client *c = NULL;
	enum ph_code rc = ph_client_new(&c, &o, &err);

	if (rc != PH_OK && mem == NULL)
		fail_msg("%s", err.text);
	return c;
}

static enum ph_code
attach(struct ph_client *c, struct server *s, bool with_binding, struct ph_error *err)
{
	struct ph_tls_facts facts = PH_TLS_FACTS_INIT;

	facts.verified = true;
	snprintf(facts.version, sizeof facts.version, "TLSv1.3");
	snprintf(facts.peer_name, sizeof facts.peer_name, "mx.test");
	if (with_binding) {
		memcpy(facts.exporter, EXPORTER, 32);
		facts.exporter_len = 32;
	}
	return ph_client_attach_transport(c, &s->w.t, &facts, NULL, err);
}

struct login {
	enum ph_code code;
	enum ph_cause cause;
	char text[600], hint[400], log[20000], first[400], mechanism[64];
	bool connected, sent;
};

/* A message is sent, or the login is done by hand, and what came of it is kept. */
static struct login
log_in(struct server *s, const struct ph_credentials *credentials, bool with_binding, bool by_hand)
{
	struct ph_client *c = new_client(by_hand ? NULL : credentials, NULL);
	struct ph_error err = PH_ERROR_INIT;
	static const char *const to[] = { "b@x.test" };
	struct ph_envelope e = { PH_ENVELOPE_INIT, .from = "a@x.test", .recipients = to,
	                         .recipient_count = 1 };
	const struct ph_record *r = NULL;
	struct login l = { PH_OK };

	assert_int_equal(attach(c, s, with_binding, &err), PH_OK);
	if (by_hand) {
		l.code = ph_client_login(c, credentials, NULL, &err);
	} else {
		char *json;

		l.code = ph_client_sendmail(c, &e, hi, &r, &err);
		json = ph_record_json(r);
		if (strstr(json, "\"auth\":{\"mechanism\":\"") != NULL)
			snprintf(l.mechanism, sizeof l.mechanism, "%.*s",
			         (int)strcspn(strstr(json, "\"auth\":{\"mechanism\":\"") + 21, "\""),
			         strstr(json, "\"auth\":{\"mechanism\":\"") + 21);
		ph_record_free_json(r, json);
	}
	l.cause = err.cause;
	l.connected = ph_client_is_connected(c);
	ph_client_free(c);
	l.sent = strstr(s->log, "MAIL FROM") != NULL;
	snprintf(l.text, sizeof l.text, "%s", err.text);
	snprintf(l.hint, sizeof l.hint, "%s", err.hint);
	snprintf(l.log, sizeof l.log, "%.19000s", s->log);
	snprintf(l.first, sizeof l.first, "%s", s->first);
	if (s->w.stuck)
		fail_msg("the client waits for ever: %s", l.log);
	free_server(s);
	return l;
}

static void
ends(const struct login *l, enum ph_code code)
{
	if (l->code != code || l->sent != (code == PH_OK))
		fail_msg("%s: %s\n%s", ph_code_name(l->code), l->text, l->log);
}

static void
has(const char *text, const char *words)
{
	if (strstr(text, words) == NULL)
		fail_msg("\"%s\" is not in \"%s\"", words, text);
}

static void
has_not(const char *text, const char *words)
{
	if (strstr(text, words) != NULL)
		fail_msg("\"%s\" is in \"%s\"", words, text);
}

/* ---- which, and when to stop ----------------------------------------------------------------- */

static void
the_strongest_that_is_offered_is_taken(void **state)
{
	static const char *const rows[][3] = {
		{ ALL, "bound", "SCRAM-SHA-256-PLUS" },
		{ "PLAIN SCRAM-SHA-1-PLUS SCRAM-SHA-256", "bound", "SCRAM-SHA-1-PLUS" },
		{ ALL, "", "SCRAM-SHA-256" },
		{ UNBOUND, "bound", "SCRAM-SHA-256" },
		{ "PLAIN SCRAM-SHA-1", "", "SCRAM-SHA-1" },
		{ "LOGIN PLAIN CRAM-MD5 DIGEST-MD5", "", "PLAIN" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct server *s = new_server(rows[i][0]);
		struct login l = log_in(s, CREDENTIALS(BOB), rows[i][1][0] != '\0', false);

		ends(&l, PH_OK);
		assert_string_equal(l.mechanism, rows[i][2]);
	}
}

static void
every_mechanism_that_is_named_logs_in(void **state)
{
	static const char *const names[] = { "SCRAM-SHA-256-PLUS", "SCRAM-SHA-1-PLUS", "SCRAM-SHA-256",
		"SCRAM-SHA-1", "CRAM-MD5", "DIGEST-MD5" };

	(void)state;
	for (size_t i = 0; i < COUNT(names); i++)
		for (int wrong = 0; wrong < 2; wrong++) {
			struct login l = log_in(new_server(ALL), CREDENTIALS(.user = "bob",
				.password = wrong ? "wrong" : "pencil", .mechanisms = names[i]), true, false);

			ends(&l, wrong ? PH_EAUTH : PH_OK);
			if (!wrong)
				assert_string_equal(l.mechanism, names[i]);
			else
				has(l.hint, "password");
		}
}

static void
a_refused_password_is_not_tried_again(void **state)
{
	struct server *s = new_server(UNBOUND);
	struct login l;

	(void)state;
	s->lie = REFUSES;
	l = log_in(s, CREDENTIALS(BOB), false, false);
	ends(&l, PH_EAUTH);
	has(l.log, "AUTH SCRAM-SHA-256 ");
	has_not(l.log, "AUTH SCRAM-SHA-1 ");
	has_not(l.log, "AUTH PLAIN");
}

static void
a_refused_mechanism_makes_room_for_the_next(void **state)
{
	struct server *s = new_server(UNBOUND);
	struct login l;

	(void)state;
	s->refuses = "SCRAM-SHA-256 SCRAM-SHA-1";
	l = log_in(s, CREDENTIALS(BOB), false, false);
	ends(&l, PH_OK);
	assert_string_equal(l.mechanism, "PLAIN");
	has(l.log, "AUTH SCRAM-SHA-1 ");
}

static void
what_cannot_begin_makes_room_for_the_next(void **state)
{
	struct login l;

	(void)state;
	setenv("KRB5CCNAME", "FILE:/nonexistent", 1);
	l = log_in(new_server("GSSAPI PLAIN"), CREDENTIALS(BOB, .mechanisms = "GSSAPI,PLAIN"), false, false);
	ends(&l, PH_OK);
	assert_string_equal(l.mechanism, "PLAIN");
	has_not(l.log, "AUTH GSSAPI");
	l = log_in(new_server("GSSAPI PLAIN"), CREDENTIALS(.mechanisms = "GSSAPI"), false, false);
	ends(&l, PH_EAUTH);
	has(l.hint, "kinit");
	l = log_in(new_server("CRAM-MD5 PLAIN"), CREDENTIALS(BOB, .authzid = "boss",
	                                                     .mechanisms = "CRAM-MD5"), false, true);
	assert_int_equal(l.code, PH_EAUTH);
	has(l.text, "CRAM-MD5 cannot say whom to act for");
}

static void
a_password_that_cannot_be_prepared_is_an_input_error(void **state)
{
	struct login l = log_in(new_server(UNBOUND), CREDENTIALS(.user = "bob", .password = "a\x01" "b"),
	                        false, false);

	(void)state;
	ends(&l, PH_EINPUT);
	has(l.text, "SASLprep");
	has(l.hint, "--auth PLAIN");
	has_not(l.log, "AUTH SCRAM");
}

/* ---- channel binding ------------------------------------------------------------------------- */

static void
the_server_is_told_what_could_have_been_bound(void **state)
{
	static const struct {
		const char *offers, *named, *first;
		bool binding;
	} rows[] = {
		{ ALL, NULL, "p=tls-exporter,,n=bob,", true },
		{ UNBOUND, NULL, "y,,n=bob,", true },            /* or somebody struck it out */
		{ UNBOUND, NULL, "n,,n=bob,", false },
		{ ALL, NULL, "n,,n=bob,", false },
		{ ALL, "SCRAM-SHA-256", "n,,n=bob,", true },     /* the user's will */
		{ "SCRAM-SHA-1-PLUS SCRAM-SHA-256", "SCRAM-SHA-256", "n,,n=bob,", true },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct login l = log_in(new_server(rows[i].offers), CREDENTIALS(BOB,
		                        .mechanisms = rows[i].named), rows[i].binding, i % 2 == 0);

		if (strncmp(l.first, rows[i].first, strlen(rows[i].first)) != 0)
			fail_msg("row %zu: %s", i, l.first);
		assert_int_equal(l.code, PH_OK);
	}
}

static void
nothing_unbound_follows_a_bound_attempt(void **state)
{
	struct server *s = new_server(ALL);
	struct login l;

	(void)state;
	s->refuses = "SCRAM-SHA-256-PLUS SCRAM-SHA-1-PLUS";
	l = log_in(s, CREDENTIALS(BOB), true, false);
	ends(&l, PH_EAUTH);
	has(l.log, "AUTH SCRAM-SHA-256-PLUS");
	has(l.log, "AUTH SCRAM-SHA-1-PLUS");
	has_not(l.log, "AUTH SCRAM-SHA-256 ");
	has_not(l.log, "AUTH PLAIN");
	has(l.hint, "--auth SCRAM-SHA-256");
	s = new_server(ALL);
	s->refuses = "SCRAM-SHA-256-PLUS";
	l = log_in(s, CREDENTIALS(BOB), true, false);
	ends(&l, PH_OK);
	assert_string_equal(l.mechanism, "SCRAM-SHA-1-PLUS");
}

static void
a_bound_login_needs_something_to_bind_to(void **state)
{
	struct login l = log_in(new_server(ALL), CREDENTIALS(BOB, .mechanisms = "SCRAM-SHA-1-PLUS"), false,
	                        false);

	(void)state;
	ends(&l, PH_EAUTH);
	has(l.text, "nothing to bind to");
}

static void
a_man_in_the_middle_is_refused_by_the_server(void **state)
{
	struct server *s = new_server(ALL);
	struct login l;

	(void)state;
	s->link.exporter = "another connection than the one ";
	l = log_in(s, CREDENTIALS(BOB), true, false);
	ends(&l, PH_EAUTH);
	has_not(l.log, "AUTH SCRAM-SHA-256 ");
}

static void
an_offer_that_is_gone_is_a_downgrade(void **state)
{
	struct ph_client *c = new_client(NULL, NULL);
	struct server *s = new_server(ALL);
	struct ph_error err = PH_ERROR_INIT;

	(void)state;
	assert_int_equal(attach(c, s, true, &err), PH_OK);
	assert_int_equal(ph_client_ehlo(c, NULL, NULL, &err), PH_OK);
	s->offers = UNBOUND;
	assert_int_equal(ph_client_ehlo(c, NULL, NULL, &err), PH_OK);
	assert_int_equal(ph_client_login(c, CREDENTIALS(BOB), NULL, &err), PH_ESECURITY);
	assert_int_equal(err.cause, PH_CAUSE_DOWNGRADE);
	assert_int_equal(err.stage, PH_STAGE_AUTH);
	has(err.hint, "--auth SCRAM-SHA-256");
	has_not(s->log, "AUTH");
	/* the user's will */
	assert_int_equal(ph_client_login(c, CREDENTIALS(BOB, .mechanisms = "PLAIN"), NULL, &err), PH_OK);
	free_server(s);
	/* another connection that is lent may be to another server */
	s = new_server(UNBOUND);
	assert_int_equal(attach(c, s, true, &err), PH_OK);
	assert_int_equal(ph_client_login(c, CREDENTIALS(BOB), NULL, &err), PH_OK);
	ph_client_free(c);
	free_server(s);
}

/* ---- lies ------------------------------------------------------------------------------------ */

static void
a_server_that_lies_is_not_believed(void **state)
{
	static const struct {
		const char *mechanism;
		enum lie lie;
		enum ph_code code;
		bool cancelled;
	} rows[] = {
		{ "SCRAM-SHA-256", EARLY_235, PH_ESECURITY, false },
		{ "SCRAM-SHA-256", NO_PROOF, PH_ESECURITY, false },
		{ "SCRAM-SHA-256", WRONG_PROOF, PH_ESECURITY, true },
		{ "SCRAM-SHA-256-PLUS", NO_PROOF, PH_ESECURITY, false },
		{ "DIGEST-MD5", EARLY_235, PH_ESECURITY, false },
		{ "DIGEST-MD5", NO_PROOF, PH_ESECURITY, false },
		{ "CRAM-MD5", EARLY_235, PH_ESECURITY, false },
		{ "SCRAM-SHA-256", ENDLESS, PH_EPROTOCOL, true },
		{ "CRAM-MD5", ENDLESS, PH_EPROTOCOL, true },
		{ "PLAIN", ENDLESS, PH_EPROTOCOL, true },
		{ "SCRAM-SHA-256", NOT_BASE64, PH_EPROTOCOL, true },
		{ "CRAM-MD5", NOT_BASE64, PH_EPROTOCOL, true },
		{ "SCRAM-SHA-256", EMPTY, PH_EPROTOCOL, true },
		{ "CRAM-MD5", EMPTY, PH_EPROTOCOL, true },
		{ "DIGEST-MD5", EMPTY, PH_EPROTOCOL, true },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		for (int by_hand = 0; by_hand < 2; by_hand++) {
			struct server *s = new_server(ALL);
			struct login l;

			s->lie = rows[i].lie;
			l = log_in(s, CREDENTIALS(BOB, .mechanisms = rows[i].mechanism), true, by_hand);
			if (l.code != rows[i].code || l.sent ||
			    (strstr(l.log, "\n*\n") != NULL) != rows[i].cancelled)
				fail_msg("row %zu: %s %s\n%s", i, ph_code_name(l.code), l.text, l.log);
			if (rows[i].code == PH_ESECURITY)
				assert_false(l.connected);
		}
}

/* RFC 4954 §4: the "*" has ended it, whatever the server says. */
static void
what_was_cancelled_is_not_gone_on_with(void **state)
{
	static const char *const names[] = { "LOGIN", "CRAM-MD5", "SCRAM-SHA-256" };

	(void)state;
	for (size_t i = 0; i < COUNT(names); i++) {
		struct server *s = new_server(ALL);
		struct login l;

		s->lie = GOES_ON;
		l = log_in(s, CREDENTIALS(BOB, .mechanisms = names[i]), false, false);
		ends(&l, PH_EPROTOCOL);
		has(l.log, "\n*\n");
		if (strstr(strstr(l.log, "\n*\n"), "Ym9i") != NULL || strstr(l.log, "cGVuY2ls") != NULL)
			fail_msg("%s went on:\n%s", names[i], l.log);
	}
}

/* ---- tokens ---------------------------------------------------------------------------------- */

static void
what_is_wrong_with_a_token_is_said(void **state)
{
	static const char *const names[] = { "OAUTHBEARER", "XOAUTH2" };
	static const char *const answers[] = { "\nAQ==\n", "\n\n" };
	char *token = malloc(4001);

	(void)state;
	memset(token, 't', 4000);
	token[4000] = '\0';
	for (size_t i = 0; i < 2; i++) {
		struct server *s = new_server("PLAIN OAUTHBEARER XOAUTH2");
		struct login l;

		s->lie = TOKEN_ERROR;
		l = log_in(s, CREDENTIALS(.user = "bob", .token = "token", .mechanisms = names[i]), false,
		           false);
		ends(&l, PH_EAUTH);
		has(l.text, "535 5.7.8 not accepted; it says {\"status\":\"invalid_token\",\"scope\":\"mail\"}");
		has(l.hint, "token");
		has(l.log, answers[i]);
		l = log_in(new_server("PLAIN OAUTHBEARER XOAUTH2"), CREDENTIALS(.user = "bob",
		           .token = "token", .mechanisms = names[i]), false, false);
		ends(&l, PH_OK);
		assert_string_equal(l.mechanism, names[i]);
		/* longer than a command line may be: asked for first (RFC 4954 §4) */
		s = new_server("OAUTHBEARER XOAUTH2");
		s->lie = TOKEN_ERROR;
		l = log_in(s, CREDENTIALS(.user = "bob", .token = token, .mechanisms = names[i]), false, false);
		ends(&l, PH_EAUTH);
		has(l.log, i == 0 ? "AUTH OAUTHBEARER\nbixhPWJvYiw" : "AUTH XOAUTH2\ndXNlcj1ib2");
	}
	free(token);
}

static void
a_token_alone_is_not_tried_as_anything_else(void **state)
{
	struct login l = log_in(new_server(ALL " XOAUTH2"), CREDENTIALS(.user = "bob", .token = "t"), true,
	                        false);

	(void)state;
	ends(&l, PH_OK);
	assert_string_equal(l.mechanism, "XOAUTH2");
	l = log_in(new_server(ALL), CREDENTIALS(.user = "bob", .token = "t"), true, false);
	ends(&l, PH_EAUTH);
	has_not(l.log, "AUTH");
}

/* ---- over real TLS --------------------------------------------------------------------------- */

static void
the_next_connection_may_not_offer_less(void **state)
{
	static const char *const script[] = {
		"~", ">220 peer", "<EHLO", ">250-peer", ">250 AUTH SCRAM-SHA-256-PLUS PLAIN", "<QUIT",
		">221 bye", "|",
		"~", ">220 peer", "<EHLO", ">250-peer", ">250 AUTH SCRAM-SHA-256 PLAIN", "$", NULL };
	struct ident id = ca_make((struct cert_spec){ .cn = "good", .san = "IP:127.0.0.1" });
	struct peer *p = calloc(1, sizeof *p);
	struct ph_error err = PH_ERROR_INIT;
	struct ph_client *c = NULL;
	struct ph_client_opts o = { PH_CLIENT_OPTS_INIT, .helo = "me.test", .timeout_ms = 4000,
		.tls = &(const struct ph_tls_opts){ PH_TLS_OPTS_INIT, .insecure = true } };
	char url[64];

	(void)state;
	p->ctx = SSL_CTX_new(TLS_server_method());
	assert_int_equal(SSL_CTX_use_certificate(p->ctx, id.cert), 1);
	assert_int_equal(SSL_CTX_use_PrivateKey(p->ctx, id.key), 1);
	peer_start_on(p, script, -1);
	snprintf(url, sizeof url, "smtps://127.0.0.1:%u", p->port);
	o.server = url;
	assert_int_equal(ph_client_new(&c, &o, &err), PH_OK);
	assert_int_equal(ph_client_connect(c, NULL, &err), PH_OK);
	assert_int_equal(ph_client_ehlo(c, NULL, NULL, &err), PH_OK);
	assert_int_equal(ph_client_quit(c, NULL, &err), PH_OK);
	assert_int_equal(ph_client_connect(c, NULL, &err), PH_OK);
	assert_int_equal(ph_client_login(c, CREDENTIALS(BOB), NULL, &err), PH_ESECURITY);
	assert_int_equal(err.cause, PH_CAUSE_DOWNGRADE);
	ph_client_free(c);
	peer_end(p);
	free(p);
	ca_free(&id);
}

/* ---- options and memory ---------------------------------------------------------------------- */

static void
what_is_missing_for_a_login_is_said_at_once(void **state)
{
	static const struct {
		struct ph_credentials k;
		enum ph_code code;
		const char *words;
	} rows[] = {
		{ { .user = "bob" }, PH_ECONFIG, "neither password, access token nor client certificate" },
		{ { .password = "p" }, PH_ECONFIG, "no user" },
		{ { .user = "bob", .mechanisms = "CRAM-MD5" }, PH_ECONFIG, "CRAM-MD5 needs a password" },
		{ { .user = "bob", .password = "p", .mechanisms = "XOAUTH2" }, PH_ECONFIG,
		  "XOAUTH2 needs an access token" },
		{ { .user = "bob", .password = "p", .mechanisms = "KERBEROS" }, PH_ECONFIG, "\"KERBEROS\"" },
		{ { .user = "bob", .token = "a b" }, PH_EINPUT, "token" },
		{ { .user = "bob", .token = "t" }, PH_OK, "" },
		{ { .token = "t" }, PH_OK, "" },
		{ { .mechanisms = "GSSAPI" }, PH_OK, "" },
		{ { .mechanisms = "EXTERNAL" }, PH_OK, "" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct ph_credentials k = rows[i].k;
		struct ph_client_opts o = { PH_CLIENT_OPTS_INIT, .server = "smtp://h", .credentials = &k };
		struct ph_error err = PH_ERROR_INIT;
		struct ph_client *c = NULL;
		enum ph_code rc;

		k.size = sizeof k;
		rc = ph_client_new(&c, &o, &err);
		if (rc != rows[i].code || strstr(err.text, rows[i].words) == NULL)
			fail_msg("row %zu: %s %s", i, ph_code_name(rc), err.text);
		ph_client_free(c);
	}
}

static void
a_login_survives_a_lack_of_memory(void **state)
{
	static const struct ph_credentials rows[] = {
		{ PH_CREDENTIALS_INIT, BOB },
		{ PH_CREDENTIALS_INIT, BOB, .mechanisms = "DIGEST-MD5" },
		{ PH_CREDENTIALS_INIT, .user = "bob", .token = "t" },
	};
	struct failing_memory fm;

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		for (size_t n = 1; failing_memory_try(&fm, n); n++) {
			struct ph_client *c = new_client(&rows[i], &fm.mem);
			struct server *s = new_server(ALL " OAUTHBEARER");
			enum ph_code rc = PH_ESYSTEM;

			if (c != NULL && attach(c, s, true, NULL) == PH_OK)
				rc = ph_client_open(c, NULL);
			if (!fm.failed)
				assert_int_equal(rc, PH_OK);
			else if (rc != PH_OK)
				assert_int_equal(rc, PH_ESYSTEM);
			ph_client_free(c);
			free_server(s);
			assert_int_equal(fm.live, 0);
		}
}

PH_API const char *__lsan_default_suppressions(void);
const char *
__lsan_default_suppressions(void)
{
	return "leak:libgssapi_krb5\n";
}

static int
set_up(void **state)
{
	struct ph_error err = PH_ERROR_INIT;

	(void)state;
	if ((module = ph__sasl_module(&err)) == NULL)
		fprintf(stderr, "%s\n", err.text);
	return module != NULL ? ph_source_new_memory(&hi, "Subject: hi\r\n\r\nhello\r\n", 22, NULL) : -1;
}

static int
tear_down(void **state)
{
	(void)state;
	ph_source_free(hi);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_strongest_that_is_offered_is_taken),
		cmocka_unit_test(every_mechanism_that_is_named_logs_in),
		cmocka_unit_test(a_refused_password_is_not_tried_again),
		cmocka_unit_test(a_refused_mechanism_makes_room_for_the_next),
		cmocka_unit_test(what_cannot_begin_makes_room_for_the_next),
		cmocka_unit_test(a_password_that_cannot_be_prepared_is_an_input_error),
		cmocka_unit_test(the_server_is_told_what_could_have_been_bound),
		cmocka_unit_test(nothing_unbound_follows_a_bound_attempt),
		cmocka_unit_test(a_bound_login_needs_something_to_bind_to),
		cmocka_unit_test(a_man_in_the_middle_is_refused_by_the_server),
		cmocka_unit_test(an_offer_that_is_gone_is_a_downgrade),
		cmocka_unit_test(a_server_that_lies_is_not_believed),
		cmocka_unit_test(what_was_cancelled_is_not_gone_on_with),
		cmocka_unit_test(what_is_wrong_with_a_token_is_said),
		cmocka_unit_test(a_token_alone_is_not_tried_as_anything_else),
		cmocka_unit_test(the_next_connection_may_not_offer_less),
		cmocka_unit_test(what_is_missing_for_a_login_is_said_at_once),
		cmocka_unit_test(a_login_survives_a_lack_of_memory),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
