/* SPDX-License-Identifier: MIT */
/* The SASL module: its client against its server, and against a server that lies. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "auth/module.h"
#include "base/bounds.h"
#include "base/error.h"
#include "base/module.h"
#include "base/str.h"
#include "failing_memory.h"

/* libgssapi_krb5 leaves 16 octets behind when it has no ticket. */
PH_API const char *__lsan_default_suppressions(void);
const char *
__lsan_default_suppressions(void)
{
	return "leak:libgssapi_krb5\n";
}

static const struct ph__sasl_module *module;

static int
get_module(void **state)
{
	struct ph_error err = PH_ERROR_INIT;

	(void)state;
	module = ph__sasl_module(&err);
	if (module == NULL)
		fprintf(stderr, "%s\n%s\n", err.text, err.hint);
	return module != NULL ? 0 : -1;
}

/* ---- two sides ------------------------------------------------------------------------------- */

static const char *
bobs_password(void *asked, const char *name)
{
	++*(unsigned *)asked;
	return strcmp(name, "bob") == 0 || strcmp(name, "b=o,b") == 0 ? "pencil" : NULL;
}

#define BINDING(field, text) .field = text, .field##_len = sizeof text - 1
#define EXPORTER BINDING(exporter, "0123456789abcdef0123456789abcdef")
#define UNIQUE   BINDING(unique, "0123456789ab")

static const struct ph__sasl_link plain_link = { .service = "smtp", .host = "mx.test" };

struct pair {
	const char *mechanism, *user, *password, *authzid;
	const struct ph__sasl_link *client_link, *server_link; /* NULL: plain_link */
	const struct ph_allocator *mem;
	const char *spoil, *spoiled; /* the server's message that begins so is replaced */
	/* what became of it */
	enum ph_code client_rc, server_rc;
	bool client_done, server_done;
	unsigned messages, asked;
	char first[400];      /* the client's first message */
	char name[100], acts_for[100];
	struct ph_error client_err, server_err;
};

/* A message to the other side; "" stands for none where one is due. */
static bool
pass(struct ph__sasl_exchange *x, const void *in, size_t in_len, const void **out, size_t *out_len,
     bool *done, enum ph_code *rc, struct ph_error *err)
{
	*rc = module->step(x, in, in_len, out, out_len, done, err);
	return *rc == PH_OK;
}

static void
converse(struct pair *p, struct ph__sasl_exchange *client, struct ph__sasl_exchange *server)
{
	const void *c = NULL, *s = NULL;
	size_t c_len = 0, s_len = 0;

	if (!pass(client, NULL, 0, &c, &c_len, &p->client_done, &p->client_rc, &p->client_err))
		return;
	if (c == NULL && !pass(server, NULL, 0, &s, &s_len, &p->server_done, &p->server_rc,
	                       &p->server_err))
		return;
	snprintf(p->first, sizeof p->first, "%.*s", (int)c_len, c != NULL ? (const char *)c : "");
	for (p->messages = 1; p->messages < 20; p->messages++) {
		if (c != NULL || p->messages > 1) {
			if (!pass(server, c != NULL ? c : "", c_len, &s, &s_len, &p->server_done, &p->server_rc,
			          &p->server_err))
				return;
			if (p->server_done && s == NULL)
				return; /* 235 */
		}
		if (p->spoil != NULL && s != NULL && strncmp(s, p->spoil, strlen(p->spoil)) == 0) {
			s = p->spoiled;
			s_len = strlen(p->spoiled);
		}
		if (!pass(client, s != NULL ? s : "", s_len, &c, &c_len, &p->client_done, &p->client_rc,
		          &p->client_err))
			return;
	}
}

static struct pair
run(struct pair p)
{
	const struct ph_allocator *mem = p.mem != NULL ? p.mem : &ph__libc_memory;
	struct ph__sasl_identity who = { p.user, p.password, p.authzid };
	struct ph__sasl_directory users = { &p.asked, bobs_password, NULL };
	struct ph__sasl_exchange *client = NULL, *server = NULL;

	p.client_err = p.server_err = (struct ph_error)PH_ERROR_INIT;
	p.client_rc = module->client(&client, p.mechanism, &who,
	                             p.client_link != NULL ? p.client_link : &plain_link, mem,
	                             &p.client_err);
	p.server_rc = module->server(&server, p.mechanism, &users,
	                             p.server_link != NULL ? p.server_link : &plain_link, mem,
	                             &p.server_err);
	if (p.client_rc == PH_OK && p.server_rc == PH_OK)
		converse(&p, client, server);
	if (server != NULL) {
		snprintf(p.name, sizeof p.name, "%s", module->user(server));
		snprintf(p.acts_for, sizeof p.acts_for, "%s", module->authzid(server));
	}
	module->end(client);
	module->end(server);
	return p;
}

static void
both_are_content(const struct pair *p)
{
	if (p->client_rc != PH_OK || p->server_rc != PH_OK || !p->client_done || !p->server_done)
		fail_msg("%s: client %d %s; server %d %s", p->mechanism, p->client_done, p->client_err.text,
		         p->server_done, p->server_err.text);
}

static const char *const of_passwords[] = { "SCRAM-SHA-256", "SCRAM-SHA-1", "CRAM-MD5", "DIGEST-MD5" };
#define COUNT(a) (sizeof a / sizeof a[0])

static void
client_and_server_agree(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(of_passwords); i++) {
		struct pair p = run((struct pair){ of_passwords[i], "bob", "pencil", NULL });

		both_are_content(&p);
		assert_string_equal(p.name, "bob");
		assert_string_equal(p.acts_for, "");
		assert_int_equal(p.asked, 1);
	}
}

static void
a_client_may_act_for_another(void **state)
{
	static const char *const able[] = { "SCRAM-SHA-256", "SCRAM-SHA-1", "DIGEST-MD5" };

	(void)state;
	for (size_t i = 0; i < COUNT(able); i++) {
		struct pair p = run((struct pair){ able[i], "bob", "pencil", "boss" });

		both_are_content(&p);
		assert_string_equal(p.acts_for, "boss");
	}
}

static void
a_name_may_have_the_characters_that_scram_uses(void **state)
{
	struct pair p = run((struct pair){ "SCRAM-SHA-256", "b=o,b", "pencil", NULL });

	(void)state;
	both_are_content(&p);
	assert_non_null(strstr(p.first, "n=b=3Do=2Cb,"));
	assert_string_equal(p.name, "b=o,b");
}

static void
a_wrong_password_and_an_unknown_user_are_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(of_passwords); i++) {
		struct pair p = run((struct pair){ of_passwords[i], "bob", "Pencil", NULL });

		assert_int_equal(p.server_rc, PH_EAUTH);
		assert_false(p.server_done);
		p = run((struct pair){ of_passwords[i], "eve", "pencil", NULL });
		assert_int_equal(p.server_rc, PH_EAUTH);
		assert_false(p.server_done);
	}
}

/* ---- channel binding ------------------------------------------------------------------------- */

static const struct ph__sasl_link with_exporter = { .service = "smtp", .host = "mx.test", EXPORTER };
static const struct ph__sasl_link with_unique = { .service = "smtp", .host = "mx.test", UNIQUE };
static const struct ph__sasl_link with_both = { .service = "smtp", .host = "mx.test", EXPORTER,
                                                UNIQUE };
static const struct ph__sasl_link in_the_middle = {
	.service = "smtp", .host = "mx.test", BINDING(exporter, "another connection than the other"),
};

static struct pair
bind(const char *mechanism, const struct ph__sasl_link *client, const struct ph__sasl_link *server)
{
	return run((struct pair){ mechanism, "bob", "pencil", .client_link = client,
	                          .server_link = server });
}

static void
a_bound_login_names_its_binding(void **state)
{
	static const char *const names[] = { "SCRAM-SHA-256-PLUS", "SCRAM-SHA-1-PLUS" };

	(void)state;
	for (size_t i = 0; i < COUNT(names); i++) {
		struct pair p = bind(names[i], &with_exporter, &with_exporter);

		both_are_content(&p);
		assert_memory_equal(p.first, "p=tls-exporter,,", 16);
		p = bind(names[i], &with_unique, &with_unique);
		both_are_content(&p);
		assert_memory_equal(p.first, "p=tls-unique,,", 14);
		p = bind(names[i], &with_both, &with_both);
		both_are_content(&p);
		assert_memory_equal(p.first, "p=tls-exporter,,", 16);
	}
}

static void
a_man_in_the_middle_does_not_get_through(void **state)
{
	struct pair p = bind("SCRAM-SHA-256-PLUS", &in_the_middle, &with_exporter);

	(void)state;
	assert_int_equal(p.server_rc, PH_EAUTH);
	assert_false(p.client_done);
	p = bind("SCRAM-SHA-256-PLUS", &with_exporter, &with_unique);
	assert_int_equal(p.server_rc, PH_EAUTH);
}

static void
without_a_binding_there_is_no_bound_login(void **state)
{
	struct pair p = bind("SCRAM-SHA-1-PLUS", NULL, &with_exporter);

	(void)state;
	assert_int_equal(p.client_rc, PH_EAUTH);
	assert_non_null(strstr(p.client_err.text, "nothing to bind"));
	p = bind("SCRAM-SHA-1-PLUS", &with_exporter, NULL);
	assert_int_equal(p.server_rc, PH_EAUTH);
}

/* RFC 5802 §6: "y" is "I could have, and saw no -PLUS". */
static void
who_strikes_out_the_offer_of_a_binding_is_found_out(void **state)
{
	struct pair p = bind("SCRAM-SHA-256", &with_exporter, NULL);

	(void)state;
	both_are_content(&p);
	assert_memory_equal(p.first, "y,,", 3);
	p = bind("SCRAM-SHA-256", &with_exporter, &with_exporter);
	assert_int_equal(p.server_rc, PH_EAUTH);
	p = bind("SCRAM-SHA-256", NULL, &with_exporter);
	both_are_content(&p);
	assert_memory_equal(p.first, "n,,", 3);
}

/* ---- a server that lies ---------------------------------------------------------------------- */

static void
a_server_that_does_not_know_the_password_is_no_server(void **state)
{
	static const struct {
		const char *mechanism, *spoil, *spoiled;
		enum ph_code code;
	} rows[] = {
		{ "SCRAM-SHA-256", "v=", "v=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", PH_ESECURITY },
		{ "SCRAM-SHA-256", "v=", "v=AAAA", PH_ESECURITY },
		{ "SCRAM-SHA-256", "v=", "v=", PH_EPROTOCOL },
		{ "SCRAM-SHA-256", "v=", "ok", PH_EPROTOCOL },
		{ "SCRAM-SHA-256", "v=", "", PH_EPROTOCOL },
		{ "SCRAM-SHA-256", "v=", "e=other-error", PH_EAUTH },
		{ "SCRAM-SHA-1", "v=", "v=AAAAAAAAAAAAAAAAAAAAAAAAAAA=", PH_ESECURITY },
		{ "SCRAM-SHA-256", "r=", "r=anothernonce,s=QSXCR+Q6sek8bf92,i=4096", PH_ESECURITY },
		{ "SCRAM-SHA-256", "r=", "s=QSXCR+Q6sek8bf92,i=4096", PH_EPROTOCOL },
		{ "SCRAM-SHA-256", "r=", "%%%", PH_EPROTOCOL },
		{ "SCRAM-SHA-256", "r=", "", PH_EPROTOCOL },
		{ "DIGEST-MD5", "rspauth=", "rspauth=00000000000000000000000000000000", PH_ESECURITY },
		{ "DIGEST-MD5", "rspauth=", "", PH_EPROTOCOL },
		{ "DIGEST-MD5", "realm=", "", PH_EPROTOCOL },
		{ "DIGEST-MD5", "realm=", "qop=\"auth\"", PH_EPROTOCOL },
		{ "CRAM-MD5", "<", "", PH_EPROTOCOL },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct pair p = run((struct pair){ rows[i].mechanism, "bob", "pencil", NULL,
		                                   .spoil = rows[i].spoil, .spoiled = rows[i].spoiled });

		if (p.client_rc != rows[i].code || p.client_done)
			fail_msg("row %zu: %s %s", i, ph_code_name(p.client_rc), p.client_err.text);
	}
}

/* A client exchange that is given a first challenge made of its own nonce. */
static enum ph_code
first_challenge(const char *behind_nonce, struct ph_error *err)
{
	const struct ph__sasl_identity who = { "bob", "pencil", NULL };
	struct ph__sasl_exchange *x;
	const void *out;
	char challenge[300];
	size_t n;
	bool done;
	enum ph_code rc;

	assert_int_equal(module->client(&x, "SCRAM-SHA-256", &who, &plain_link, &ph__libc_memory, err),
	                 PH_OK);
	assert_int_equal(module->step(x, NULL, 0, &out, &n, &done, err), PH_OK);
	n = (size_t)snprintf(challenge, sizeof challenge, "%s%s", strstr(out, "r="), behind_nonce);
	rc = module->step(x, challenge, n, &out, &n, &done, err);
	assert_false(done);
	module->end(x);
	return rc;
}

static void
a_server_cannot_make_us_hash_for_hours(void **state)
{
	static const char *const rounds[] = { "2000001", "4294967296", "99999999999999999999", "-1", "1e9",
	                                      "", " 4096" };
	struct ph_error err = PH_ERROR_INIT;
	char text[100];

	(void)state;
	for (size_t i = 0; i < COUNT(rounds); i++) {
		snprintf(text, sizeof text, "abc,s=QSXCR+Q6sek8bf92,i=%s", rounds[i]);
		assert_int_equal(first_challenge(text, &err), PH_EPROTOCOL);
		assert_int_equal(err.cause, PH_CAUSE_LIMIT);
	}
	assert_int_equal(first_challenge("abc,s=QSXCR+Q6sek8bf92,i=4096", &err), PH_OK);
	assert_int_equal(first_challenge("abc,s=QSXCR+Q6sek8bf92", &err), PH_EPROTOCOL);
	assert_int_equal(first_challenge("abc,s=QSXCR+Q6sek8bf92,i=0", &err), PH_EPROTOCOL);
}

static void
a_server_adds_to_the_nonce(void **state)
{
	struct ph_error err = PH_ERROR_INIT;

	(void)state;
	assert_int_equal(first_challenge(",s=QSXCR+Q6sek8bf92,i=4096", &err), PH_ESECURITY);
}

/* libntlm follows whatever offset a challenge has. */
static void
an_ntlm_challenge_cannot_point_outside_itself(void **state)
{
	static const struct {
		const char *challenge;
		size_t n;
		enum ph_code code;
	} rows[] = {
#define NTLM_HEAD "NTLMSSP\0\2\0\0\0"
#define NTLM_TAIL "\5\2\0\0" "12345678" "\0\0\0\0\0\0\0\0"
#define ROW(text, code) { text, sizeof text - 1, code }
		ROW(NTLM_HEAD "\4\0\4\0\50\0\0\0" NTLM_TAIL "D\0M\0", PH_OK),
		ROW(NTLM_HEAD "\0\0\0\0\50\0\0\0" NTLM_TAIL, PH_OK),
		ROW(NTLM_HEAD "\0\0\0\0\0\0\0\50" "\0\0\1\202" "12345678" "\0\0\0\0\0\0\0\0" /* Exim 4.96 */
		    "\0\0\0\0\0\0\0\0", PH_OK),
		ROW(NTLM_HEAD "\5\0\4\0\50\0\0\0" NTLM_TAIL "D\0M\0", PH_EPROTOCOL),
		ROW(NTLM_HEAD "\4\0\4\0\51\0\0\0" NTLM_TAIL "D\0M\0", PH_EPROTOCOL),
		ROW(NTLM_HEAD "\4\0\4\0\377\377\377\377" NTLM_TAIL "D\0M\0", PH_EPROTOCOL),
		ROW(NTLM_HEAD "\377\377\4\0\50\0\0\0" NTLM_TAIL "D\0M\0", PH_EPROTOCOL),
		ROW("NTLMSSP\0\3\0\0\0" "\4\0\4\0\50\0\0\0" NTLM_TAIL "D\0M\0", PH_EPROTOCOL),
		ROW("NTLM supported, says the server to you all", PH_EPROTOCOL),
		ROW("NTLMSSP", PH_EPROTOCOL),
		ROW("", PH_EPROTOCOL),
	};
	const struct ph__sasl_identity who = { "bob", "pencil", NULL };
	struct ph_error err = PH_ERROR_INIT;

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct ph__sasl_exchange *x;
		char *exact = malloc(rows[i].n + 1);
		const void *out;
		size_t n;
		bool done;
		enum ph_code rc;

		memcpy(exact, rows[i].challenge, rows[i].n);
		assert_int_equal(module->client(&x, "NTLM", &who, &plain_link, &ph__libc_memory, &err), PH_OK);
		assert_int_equal(module->step(x, NULL, 0, &out, &n, &done, &err), PH_OK);
		assert_memory_equal(out, "NTLMSSP\0\1", 9);
		rc = module->step(x, exact, rows[i].n, &out, &n, &done, &err);
		if (rc != rows[i].code || done != (rc == PH_OK))
			fail_msg("row %zu: %s", i, ph_code_name(rc));
		if (rc == PH_OK)
			assert_memory_equal(out, "NTLMSSP\0\3", 9);
		module->end(x);
		free(exact);
	}
}

static void
kerberos_without_a_ticket_says_how_to_get_one(void **state)
{
	const struct ph__sasl_identity who = { NULL, NULL, NULL };
	struct ph_error err = PH_ERROR_INIT;
	struct ph__sasl_exchange *x;
	const void *out;
	size_t n;
	bool done;

	(void)state;
	setenv("KRB5CCNAME", "FILE:/nonexistent", 1);
	if (!module->has("GSSAPI", false))
		return;
	assert_int_equal(module->client(&x, "GSSAPI", &who, &plain_link, &ph__libc_memory, &err), PH_OK);
	assert_int_equal(module->step(x, NULL, 0, &out, &n, &done, &err), PH_EAUTH);
	assert_non_null(strstr(err.hint, "kinit"));
	module->end(x);
}

/* ---- a client that lies ---------------------------------------------------------------------- */

static void
a_server_takes_no_nonsense(void **state)
{
	static const char *const nonsense[] = { "", "x", "n,,n=bob", "n,,n=bob,r=", "bob 1234", ",,,,,,",
		"bob 00000000000000000000000000000000", "username=\"bob\"", "p=tls-none,,n=bob,r=abc",
		"n,,m=x,n=bob,r=abc" };
	struct ph__sasl_directory users = { &(unsigned){ 0 }, bobs_password, NULL };
	struct ph_error err = PH_ERROR_INIT;

	(void)state;
	for (size_t i = 0; i < COUNT(of_passwords); i++)
		for (size_t k = 0; k < COUNT(nonsense); k++) {
			struct ph__sasl_exchange *x;
			const void *out;
			size_t n;
			bool done;
			enum ph_code rc;

			assert_int_equal(module->server(&x, of_passwords[i], &users, &plain_link,
			                                &ph__libc_memory, &err), PH_OK);
			assert_int_equal(module->step(x, NULL, 0, &out, &n, &done, &err), PH_OK);
			rc = module->step(x, nonsense[k], strlen(nonsense[k]), &out, &n, &done, &err);
			if ((rc != PH_EPROTOCOL && rc != PH_EAUTH) || done)
				fail_msg("%s \"%s\": %s", of_passwords[i], nonsense[k], ph_code_name(rc));
			module->end(x);
		}
}

static void
a_challenge_comes_before_its_response(void **state)
{
	static const char *const names[] = { "CRAM-MD5", "DIGEST-MD5" };
	struct ph__sasl_directory users = { &(unsigned){ 0 }, bobs_password, NULL };
	struct ph_error err = PH_ERROR_INIT;
	struct ph__sasl_exchange *x;
	const void *out;
	size_t n;
	bool done;

	(void)state;
	for (size_t i = 0; i < COUNT(names); i++) {
		assert_int_equal(module->server(&x, names[i], &users, &plain_link, &ph__libc_memory, &err),
		                 PH_OK);
		assert_int_equal(module->step(x, "bob x", 5, &out, &n, &done, &err), PH_EPROTOCOL);
		module->end(x);
	}
}

static void
what_the_mechanism_cannot_say_is_an_input_error(void **state)
{
	static const struct {
		const char *mechanism, *user, *password;
	} rows[] = {
		{ "SCRAM-SHA-256", "bob", "pen\x01" "cil" },
		{ "SCRAM-SHA-256", "b\x7f" "ob", "pencil" },
		{ "SCRAM-SHA-256", "bob", "\xd7\x90" "a" },    /* a Hebrew and a Latin letter */
		{ "CRAM-MD5", "bob", "pen\x01" "cil" },
		{ "NTLM", "bob", "p\xc3\xa4ncil" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		const struct ph__sasl_identity who = { rows[i].user, rows[i].password, NULL };
		struct pair p = { .mechanism = rows[i].mechanism };
		struct ph__sasl_exchange *x;

		if (strcmp(rows[i].mechanism, "NTLM") == 0) {
			p.client_err = (struct ph_error)PH_ERROR_INIT;
			p.client_rc = module->client(&x, "NTLM", &who, &plain_link, &ph__libc_memory, &p.client_err);
		} else {
			p = run((struct pair){ rows[i].mechanism, rows[i].user, rows[i].password, NULL });
		}
		if (p.client_rc != PH_EINPUT)
			fail_msg("row %zu: %s %s", i, ph_code_name(p.client_rc), p.client_err.text);
	}
}

/* ---- life ------------------------------------------------------------------------------------ */

static void
what_is_over_says_nothing_more(void **state)
{
	struct ph__sasl_directory users = { &(unsigned){ 0 }, bobs_password, NULL };
	const struct ph__sasl_identity who = { "bob", "pencil", NULL };
	struct ph_error err = PH_ERROR_INIT;
	struct ph__sasl_exchange *c, *s;
	const void *out;
	size_t n;
	bool done;

	(void)state;
	assert_int_equal(module->client(&c, "CRAM-MD5", &who, &plain_link, &ph__libc_memory, &err), PH_OK);
	assert_int_equal(module->server(&s, "CRAM-MD5", &users, &plain_link, &ph__libc_memory, &err), PH_OK);
	assert_int_equal(module->step(s, NULL, 0, &out, &n, &done, &err), PH_OK);
	assert_int_equal(module->step(c, out, n, &out, &n, &done, &err), PH_OK);
	assert_true(done);
	assert_int_equal(module->step(s, out, n, &out, &n, &done, &err), PH_OK);
	assert_true(done);
	assert_null(out);
	assert_int_equal(module->step(s, "", 0, &out, &n, &done, &err), PH_OK);
	assert_true(done);
	assert_int_equal(module->step(s, "x", 1, &out, &n, &done, &err), PH_EPROTOCOL);
	assert_int_equal(module->step(c, "<sign this too>", 15, &out, &n, &done, &err), PH_EPROTOCOL);
	assert_null(out);
	module->end(c);
	module->end(s);
	module->end(NULL);
}

static void
a_lack_of_memory_is_an_error_like_any_other(void **state)
{
	struct failing_memory fm;

	(void)state;
	for (size_t i = 0; i < COUNT(of_passwords); i++)
		for (size_t n = 1; failing_memory_try(&fm, n); n++) {
			struct pair p = run((struct pair){ i != 0 ? of_passwords[i] : "SCRAM-SHA-256-PLUS", "bob",
				"pencil", .client_link = &with_both, .server_link = &with_both, .mem = &fm.mem });

			if (i == 1 && !fm.failed) /* "y" to one that could */
				assert_int_equal(p.server_rc, PH_EAUTH);
			else if (fm.failed)
				assert_true(p.client_rc == PH_ESYSTEM || p.server_rc == PH_ESYSTEM);
			else
				both_are_content(&p);
			assert_int_equal(fm.live, 0);
		}
}

static void
it_has_what_it_says(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(of_passwords); i++) {
		assert_true(module->has(of_passwords[i], false));
		assert_true(module->has(of_passwords[i], true));
	}
	assert_true(module->has("SCRAM-SHA-256-PLUS", true));
	assert_true(module->has("NTLM", false));
	assert_false(module->has("NTLM", true));
	assert_false(module->has("GSSAPI", true));
	assert_false(module->has("PLAIN", false)); /* the library has it; so have we */
	assert_false(module->has("", false));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(client_and_server_agree),
		cmocka_unit_test(a_client_may_act_for_another),
		cmocka_unit_test(a_name_may_have_the_characters_that_scram_uses),
		cmocka_unit_test(a_wrong_password_and_an_unknown_user_are_refused),
		cmocka_unit_test(a_bound_login_names_its_binding),
		cmocka_unit_test(a_man_in_the_middle_does_not_get_through),
		cmocka_unit_test(without_a_binding_there_is_no_bound_login),
		cmocka_unit_test(who_strikes_out_the_offer_of_a_binding_is_found_out),
		cmocka_unit_test(a_server_that_does_not_know_the_password_is_no_server),
		cmocka_unit_test(a_server_cannot_make_us_hash_for_hours),
		cmocka_unit_test(a_server_adds_to_the_nonce),
		cmocka_unit_test(an_ntlm_challenge_cannot_point_outside_itself),
		cmocka_unit_test(kerberos_without_a_ticket_says_how_to_get_one),
		cmocka_unit_test(a_server_takes_no_nonsense),
		cmocka_unit_test(a_challenge_comes_before_its_response),
		cmocka_unit_test(what_the_mechanism_cannot_say_is_an_input_error),
		cmocka_unit_test(what_is_over_says_nothing_more),
		cmocka_unit_test(a_lack_of_memory_is_an_error_like_any_other),
		cmocka_unit_test(it_has_what_it_says),
	};

	return cmocka_run_group_tests(tests, get_module, NULL);
}
