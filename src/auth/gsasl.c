/* SPDX-License-Identifier: MIT */
/* The SASL module, by libgsasl. See module.h; the one file that knows the library. SCRAM's client
 * is our own (scram.c), with the library's SASLprep.
 *
 * An exchange has a library context of its own, so nothing is shared and any thread may have one.
 * What a client says is given to libgsasl as properties when the exchange begins; a server's
 * directory is asked when the name is known.
 *
 * The library answers whatever comes, so this file stands before it: an exchange that is over gives
 * no further answer (CRAM-MD5 would sign any number of challenges), empty input is no challenge,
 * and an NTLM challenge that points outside itself is not shown to libntlm, which follows the
 * pointer.
 *
 * Secrets: the library's copies in properties are wiped before it frees them, and so is its output.
 * What it has on the stack or in buffers on the way is out of reach.
 *
 * RFC 5802, 7677 (SCRAM), 5929 and 9266 (channel bindings), 2195 (CRAM-MD5), 2831 (DIGEST-MD5),
 * 4752 (GSSAPI), MS-NLMP. */
#include "auth/module.h"

#include <gsasl.h>

#include "auth/scram.h"
#include "base/base64.h"
#include "base/bounds.h"
#include "base/error.h"
#include "base/module.h"
#include "base/str.h"

enum family { SCRAM, CRAM, DIGEST, NTLM, GSSAPI };

static const struct mechanism {
	const char *name;
	enum family family;
	bool plus;
	bool server_first; /* it has a challenge before anything is said */
	bool no_server;    /* a client's only */
} mechanisms[] = {
	{ "SCRAM-SHA-256-PLUS", SCRAM,  .plus = true },
	{ "SCRAM-SHA-1-PLUS",   SCRAM,  .plus = true },
	{ "SCRAM-SHA-256",      SCRAM },
	{ "SCRAM-SHA-1",        SCRAM },
	{ "CRAM-MD5",           CRAM,   .server_first = true },
	{ "DIGEST-MD5",         DIGEST, .server_first = true },
	{ "NTLM",               NTLM,   .no_server = true },
	{ "GSSAPI",             GSSAPI, .no_server = true },
};

struct ph__sasl_exchange {
	const struct ph_allocator *mem;
	const struct mechanism *mechanism;
	const struct ph__sasl_directory *users; /* NULL: a client's exchange; else: */
	struct ph__sasl_directory directory;
	struct ph__scram *scram;                /* a SCRAM client's; then there is nothing of these: */
	Gsasl *ctx;
	Gsasl_session *session;
	bool begun, done;
	char *out;
	size_t out_len;
};

static const struct mechanism *
find(const char *name)
{
	for (size_t i = 0; i < sizeof mechanisms / sizeof mechanisms[0]; i++)
		if (strcmp(mechanisms[i].name, name) == 0)
			return &mechanisms[i];
	return NULL;
}

static bool
has(const char *mechanism, bool server)
{
	const struct mechanism *m = find(mechanism);
	Gsasl *ctx;
	bool yes;

	if (m != NULL && m->family == SCRAM && !server)
		return true;
	if (m == NULL || (server && m->no_server) || gsasl_init(&ctx) != GSASL_OK)
		return false;
	yes = server ? gsasl_server_support_p(ctx, mechanism) : gsasl_client_support_p(ctx, mechanism);
	gsasl_done(ctx);
	return yes;
}

/* ---- what went wrong, in our terms ----------------------------------------------------------- */

static enum ph_code
fail(struct ph_error *err, enum ph_code code, const char *name, const char *why)
{
	return ph__fail(err, code, PH_STAGE_AUTH, PH_CAUSE_MECHANISM, "%s: %s", name, why);
}

static enum ph_code
garbled(const struct ph__sasl_exchange *x, struct ph_error *err)
{
	return fail(err, PH_EPROTOCOL, x->mechanism->name, x->users != NULL
	            ? "the client's response is not well formed"
	            : "the server's challenge is not well formed");
}

static enum ph_code
not_sayable(struct ph_error *err, const char *name)
{
	fail(err, PH_EINPUT, name, "the user name or password has characters that SASLprep forbids "
	     "(RFC 4013: controls, unassigned, mixed directions)");
	ph__hint(err, "another mechanism may take them as they are: --auth PLAIN");
	return PH_EINPUT;
}

static enum ph_code
no_ticket(struct ph_error *err, int rc)
{
	fail(err, PH_EAUTH, "GSSAPI", gsasl_strerror(rc));
	ph__hint(err, "Kerberos needs a ticket (klist shows it, kinit gets one) and the server's full "
	              "name as its realm knows it");
	return PH_EAUTH;
}

/* A library's code as ours. To a server, whatever a client lacks is a login that failed. */
static enum ph_code
failed(const struct ph__sasl_exchange *x, int rc, struct ph_error *err)
{
	const char *name = x->mechanism->name;
	bool server = x->users != NULL;

	switch (rc) {
	case GSASL_MALLOC_ERROR:
		return ph__fail_nomem(err, PH_STAGE_AUTH);
	case GSASL_MECHANISM_PARSE_ERROR:
	case GSASL_BASE64_ERROR:
	case GSASL_MECHANISM_CALLED_TOO_MANY_TIMES:
		return garbled(x, err);
	case GSASL_SASLPREP_ERROR:
		return server ? fail(err, PH_EAUTH, name, "unacceptable name or password")
		              : not_sayable(err, name);
	case GSASL_AUTHENTICATION_ERROR:
		return server ? fail(err, PH_EAUTH, name,
		                     "the client has not proved that it knows the password")
		              : fail(err, PH_ESECURITY, name,
		                     "the server has not proved that it knows the password: "
		                     "it may not be the one it says it is");
	case GSASL_NO_PASSWORD:
		return fail(err, server ? PH_EAUTH : PH_ECONFIG, name,
		            server ? "no such user" : "there is no password");
	case GSASL_NO_AUTHID:
		return fail(err, server ? PH_EAUTH : PH_ECONFIG, name, "there is no user name");
	default:
		return x->mechanism->family == GSSAPI ? no_ticket(err, rc)
		                                      : fail(err, PH_EAUTH, name, gsasl_strerror(rc));
	}
}

/* ---- properties ------------------------------------------------------------------------------ */

static bool
set(struct ph__sasl_exchange *x, Gsasl_property property, const char *value)
{
	return value == NULL || gsasl_property_set(x->session, property, value) == GSASL_OK;
}

/* The library wants it in base64. */
static bool
set_binding(struct ph__sasl_exchange *x, Gsasl_property property, const void *p, size_t n)
{
	struct ph__buf b;
	bool ok = true;

	if (p == NULL || n == 0)
		return true;
	ph__buf_init(&b, x->mem, 1024);
	ok = ph__base64_encode(&b, p, n, false) && set(x, property, ph__buf_cstr(&b));
	ph__buf_done(&b);
	return ok;
}

static bool
set_link(struct ph__sasl_exchange *x, const struct ph__sasl_link *link)
{
	return set(x, GSASL_SERVICE, link->service) && set(x, GSASL_HOSTNAME, link->host) &&
	       set_binding(x, GSASL_CB_TLS_EXPORTER, link->exporter, link->exporter_len) &&
	       set_binding(x, GSASL_CB_TLS_UNIQUE, link->unique, link->unique_len);
}

/* What gsasl_property_fast() gives is the library's own copy. */
static void
wipe_property(struct ph__sasl_exchange *x, Gsasl_property property)
{
	char *p = (char *)gsasl_property_fast(x->session, property);

	if (p != NULL)
		ph__wipe(p, strlen(p));
}

static void
forget_output(struct ph__sasl_exchange *x)
{
	if (x->out != NULL)
		ph__wipe(x->out, x->out_len);
	gsasl_free(x->out);
	x->out = NULL;
	x->out_len = 0;
}

static void
end(struct ph__sasl_exchange *x)
{
	static const Gsasl_property secrets[] = {
		GSASL_PASSWORD, GSASL_SCRAM_SALTED_PASSWORD, GSASL_SCRAM_SERVERKEY, GSASL_SCRAM_STOREDKEY,
	};

	if (x == NULL)
		return;
	forget_output(x);
	ph__scram_free(&x->scram);
	if (x->session != NULL) {
		for (size_t i = 0; i < sizeof secrets / sizeof secrets[0]; i++)
			wipe_property(x, secrets[i]);
		gsasl_finish(x->session);
	}
	if (x->ctx != NULL)
		gsasl_done(x->ctx);
	ph__free(x->mem, x);
}

/* ---- beginning ------------------------------------------------------------------------------- */

static enum ph_code
make(struct ph__sasl_exchange **ret, const struct mechanism *m,
     const struct ph__sasl_directory *users, const struct ph_allocator *mem, struct ph_error *err)
{
	struct ph__sasl_exchange *x = ph__alloc0(mem, sizeof *x);

	if (x == NULL)
		return ph__fail_nomem(err, PH_STAGE_AUTH);
	x->mem = mem;
	x->mechanism = m;
	if (users != NULL) {
		x->directory = *users;
		x->users = &x->directory;
	}
	*ret = x;
	return PH_OK;
}

static enum ph_code
begin(struct ph__sasl_exchange *x, struct ph_error *err)
{
	const char *name = x->mechanism->name;
	int rc = gsasl_init(&x->ctx);

	if (rc == GSASL_OK)
		rc = x->users != NULL ? gsasl_server_start(x->ctx, name, &x->session)
		                      : gsasl_client_start(x->ctx, name, &x->session);
	if (rc != GSASL_OK)
		return failed(x, rc, err);
	gsasl_session_hook_set(x->session, x);
	return PH_OK;
}

/* What could not begin is not given out. */
static enum ph_code
begun(struct ph__sasl_exchange **x, enum ph_code rc)
{
	if (rc != PH_OK) {
		end(*x);
		*x = NULL;
	}
	return rc;
}

static enum ph_code
unknown(struct ph_error *err, const char *name)
{
	return ph__fail(err, PH_ECONFIG, PH_STAGE_AUTH, PH_CAUSE_MODULE,
	                "the SASL module does not have the mechanism %s", name);
}

static enum ph_code
check_binding(const struct mechanism *m, const struct ph__sasl_link *link, struct ph_error *err)
{
	if (!m->plus || link->exporter_len != 0 || link->unique_len != 0)
		return PH_OK;
	return fail(err, PH_EAUTH, m->name, "the connection has nothing to bind the login to "
	            "(TLS 1.3, or TLS 1.2 with an extended master secret, has)");
}

/* libntlm's text is of octets, widened one by one, and cut off where its buffer ends. */
static enum ph_code
check_ntlm(const struct mechanism *m, const struct ph__sasl_identity *who, struct ph_error *err)
{
	const char *const texts[] = { who->user, who->password };

	for (size_t i = 0; m->family == NTLM && i < 2; i++) {
		struct ph_str s = ph__str(texts[i]);

		if (!ph__str_is_ascii(s) || s.len > PH__NTLM_TEXT_MAX)
			return fail(err, PH_EINPUT, "NTLM",
			            "user name and password must be ASCII and not over 256 characters");
	}
	return PH_OK;
}

/* The library's, wiped before it is given back. */
static void
free_prepared(char *s)
{
	if (s != NULL)
		ph__wipe(s, strlen(s));
	gsasl_free(s);
}

/* RFC 5802 §5.1: the name as a query; §2.2: the password as what is stored. */
static enum ph_code
begin_scram(struct ph__sasl_exchange *x, const struct ph__sasl_identity *who,
            const struct ph__sasl_link *link, struct ph_error *err)
{
	struct ph__scram_opts o = { .name = x->mechanism->name, .authzid = who->authzid, .link = link };
	char *user = NULL, *password = NULL;
	enum ph_code code;
	int rc;

	if (who->user == NULL || who->password == NULL)
		return failed(x, who->user == NULL ? GSASL_NO_AUTHID : GSASL_NO_PASSWORD, err);
	if ((rc = gsasl_saslprep(who->user, GSASL_ALLOW_UNASSIGNED, &user, NULL)) != GSASL_OK ||
	    (rc = gsasl_saslprep(who->password, 0, &password, NULL)) != GSASL_OK) {
		code = failed(x, rc, err);
	} else {
		o.user = user;
		o.password = password;
		code = ph__scram_new(&x->scram, &o, x->mem, err);
	}
	free_prepared(user);
	free_prepared(password);
	return code;
}

static enum ph_code
begin_client(struct ph__sasl_exchange *x, const struct ph__sasl_identity *who,
             const struct ph__sasl_link *link, struct ph_error *err)
{
	enum ph_code rc;

	if (x->mechanism->family == SCRAM)
		return begin_scram(x, who, link, err);
	if ((rc = begin(x, err)) != PH_OK)
		return rc;
	return set_link(x, link) && set(x, GSASL_AUTHID, who->user) &&
	       set(x, GSASL_AUTHZID, who->authzid) && set(x, GSASL_PASSWORD, who->password)
	       ? PH_OK : ph__fail_nomem(err, PH_STAGE_AUTH);
}

static enum ph_code
client(struct ph__sasl_exchange **ret, const char *mechanism, const struct ph__sasl_identity *who,
       const struct ph__sasl_link *link, const struct ph_allocator *mem, struct ph_error *err)
{
	const struct mechanism *m = find(mechanism);
	enum ph_code rc;

	if (m == NULL || !has(mechanism, false))
		return unknown(err, mechanism);
	if ((rc = check_binding(m, link, err)) != PH_OK || (rc = check_ntlm(m, who, err)) != PH_OK ||
	    (rc = make(ret, m, NULL, mem, err)) != PH_OK)
		return rc;
	return begun(ret, begin_client(*ret, who, link, err));
}

/* Called by the library for what it has not been given. */
static int
look_up(Gsasl *ctx, Gsasl_session *session, Gsasl_property property)
{
	struct ph__sasl_exchange *x = gsasl_session_hook_get(session);
	const char *name = gsasl_property_fast(session, GSASL_AUTHID);
	const char *password;

	(void)ctx;
	if (property != GSASL_PASSWORD || name == NULL)
		return GSASL_NO_CALLBACK;
	if ((password = x->users->password(x->users->user, name)) == NULL)
		return GSASL_NO_PASSWORD;
	return gsasl_property_set(session, GSASL_PASSWORD, password);
}

static enum ph_code
begin_server(struct ph__sasl_exchange *x, const struct ph__sasl_link *link, struct ph_error *err)
{
	enum ph_code rc = begin(x, err);

	if (rc != PH_OK)
		return rc;
	gsasl_callback_set(x->ctx, look_up);
	return set_link(x, link) &&
	       set(x, GSASL_REALM, x->users->realm != NULL ? x->users->realm : link->host)
	       ? PH_OK : ph__fail_nomem(err, PH_STAGE_AUTH);
}

static enum ph_code
server(struct ph__sasl_exchange **ret, const char *mechanism,
       const struct ph__sasl_directory *users, const struct ph__sasl_link *link,
       const struct ph_allocator *mem, struct ph_error *err)
{
	const struct mechanism *m = find(mechanism);
	enum ph_code rc;

	if (m == NULL || !has(mechanism, true))
		return unknown(err, mechanism);
	if ((rc = check_binding(m, link, err)) != PH_OK ||
	    (rc = make(ret, m, users, mem, err)) != PH_OK)
		return rc;
	return begun(ret, begin_server(*ret, link, err));
}

/* ---- what the peer may ask ------------------------------------------------------------------- */

static uint32_t
little_endian(const char *p, size_t n)
{
	uint32_t v = 0;

	while (n-- != 0)
		v = v << 8 | (unsigned char)p[n];
	return v;
}

/* "NTLMSSP" NUL, type 2, target name {length 2, space 2, offset 4}, flags 4, challenge 8, context 8.
 * Exim gives a name without length, and its offset in the wrong order of octets. */
static enum ph_code
check_ntlm_challenge(const struct ph__sasl_exchange *x, struct ph_str in, struct ph_error *err)
{
	uint32_t length, offset;

	if (in.len < 40 || memcmp(in.ptr, "NTLMSSP", 8) != 0 || little_endian(in.ptr + 8, 4) != 2)
		return garbled(x, err);
	length = little_endian(in.ptr + 12, 2);
	offset = little_endian(in.ptr + 16, 4);
	if (length != 0 && (offset > in.len || length > in.len - offset ||
	                    length > 2 * PH__NTLM_TEXT_MAX))
		return garbled(x, err);
	return PH_OK;
}

static enum ph_code
check_input(const struct ph__sasl_exchange *x, struct ph_str in, struct ph_error *err)
{
	if (in.len == 0 && x->mechanism->family != GSSAPI)
		return fail(err, PH_EPROTOCOL, x->mechanism->name, x->users != NULL
		            ? "the client's response is empty" : "the server's challenge is empty");
	/* a binding that a mechanism without one would not look at */
	if (x->users != NULL && x->mechanism->family == SCRAM && !x->mechanism->plus && !x->begun &&
	    *in.ptr == 'p')
		return garbled(x, err);
	if (x->users == NULL && x->mechanism->family == NTLM)
		return check_ntlm_challenge(x, in, err);
	return PH_OK;
}

/* ---- a step ---------------------------------------------------------------------------------- */

static enum ph_code
after_done(const struct ph__sasl_exchange *x, size_t in_len, struct ph_error *err)
{
	if (x->users != NULL && in_len == 0)
		return PH_OK;
	return fail(err, PH_EPROTOCOL, x->mechanism->name, x->users != NULL
	            ? "the client says more than the mechanism has to say"
	            : "the server asks for more than the mechanism has to say");
}

static enum ph_code
step_library(struct ph__sasl_exchange *x, struct ph_str in, struct ph_str *out,
             struct ph_error *err)
{
	int rc = gsasl_step(x->session, in.ptr, in.len, &x->out, &x->out_len);

	if (rc != GSASL_OK && rc != GSASL_NEEDS_MORE)
		return failed(x, rc, err);
	*out = (struct ph_str){ x->out, x->out_len };
	x->done = rc == GSASL_OK;
	return PH_OK;
}

static enum ph_code
step(struct ph__sasl_exchange *x, const void *in, size_t in_len, const void **out,
     size_t *out_len, bool *done, struct ph_error *err)
{
	struct ph_str input = { in, in_len }, output = { NULL, 0 };
	bool server = x->users != NULL, server_first = x->mechanism->server_first;
	enum ph_code rc;

	forget_output(x);
	*out = NULL;
	*out_len = 0;
	*done = x->done;
	if (x->done)
		return after_done(x, in_len, err);
	if (in == NULL && !x->begun && server_first != server)
		return PH_OK; /* the other side begins */
	if (in == NULL ? x->begun : !x->begun && server && server_first)
		return garbled(x, err);
	if (in != NULL && (rc = check_input(x, input, err)) != PH_OK)
		return rc;
	x->begun = true;
	rc = x->scram != NULL ? ph__scram_step(x->scram, input, &output, &x->done, err)
	                      : step_library(x, input, &output, err);
	*out = output.ptr;
	*out_len = output.len;
	*done = x->done;
	return rc;
}

static const char *
property(struct ph__sasl_exchange *x, Gsasl_property which)
{
	const char *p = x->session != NULL ? gsasl_property_fast(x->session, which) : NULL;

	return p != NULL ? p : "";
}

static const char *
user(struct ph__sasl_exchange *x)
{
	return property(x, GSASL_AUTHID);
}

static const char *
authzid(struct ph__sasl_exchange *x)
{
	return property(x, GSASL_AUTHZID);
}

const struct ph__sasl_module ph__module_sasl = {
	.build_id = PH__BUILD_ID,
	.has = has,
	.client = client,
	.server = server,
	.step = step,
	.user = user,
	.authzid = authzid,
	.end = end,
};
