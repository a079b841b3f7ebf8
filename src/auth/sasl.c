/* SPDX-License-Identifier: MIT */
/* SASL: which mechanism fits which credentials, and those that need no library. See sasl.h.
 * Credentials are octets of UTF-8, not of ASCII. Every response of ours is in one buffer that wipes
 * itself. */
#include "auth/sasl.h"

#include <stdio.h>

#include "auth/saslname.h"
#include "base/bounds.h"
#include "base/error.h"
#include "base/escape.h"
#include "base/str.h"

#define SECRET_MAX 8192 /* longer than any password seen; the session says what fits an AUTH line */

static enum ph_code
copy_secret(char **ret, const char *from, const char *what, size_t max,
            const struct ph_allocator *mem, struct ph_error *err)
{
	struct ph_str s = ph__str(from);

	*ret = NULL;
	if (from == NULL)
		return PH_OK;
	if (s.len > max)
		return ph__fail(err, PH_EINPUT, PH_STAGE_AUTH, PH_CAUSE_LIMIT,
		                "the %s is over %zu octets", what, max);
	if (!ph__str_is_utf8(s)) {
		ph__fail(err, PH_EINPUT, PH_STAGE_AUTH, PH_CAUSE_ARGUMENT, "the %s is not UTF-8 (RFC 4616)",
		         what);
		ph__hint(err, "give it in UTF-8; iconv converts what is in another character set");
		return PH_EINPUT;
	}
	if ((*ret = ph__strndup(mem, s.ptr, s.len)) == NULL)
		return ph__fail_nomem(err, PH_STAGE_AUTH);
	return PH_OK;
}

/* RFC 6750 §2.1: a token is of letters, digits and -._~+/=. Printable ASCII is let pass; a space, a
 * line end or a control character would make something else of the header that it stands in. */
static enum ph_code
check_token(const char *token, struct ph_error *err)
{
	for (size_t i = 0; token != NULL && token[i] != '\0'; i++)
		if (token[i] <= ' ' || token[i] > '~')
			return ph__fail(err, PH_EINPUT, PH_STAGE_AUTH, PH_CAUSE_ARGUMENT,
			                "the access token has a character in it that no token has (at %zu)", i);
	if (token != NULL && *token == '\0')
		return ph__fail(err, PH_EINPUT, PH_STAGE_AUTH, PH_CAUSE_ARGUMENT,
		                "the access token is empty");
	return PH_OK;
}

static enum ph_code check_names(const struct ph__credentials *c, struct ph_error *err);

enum ph_code
ph__credentials_copy(struct ph__credentials *ret, const struct ph_credentials *from,
                     const struct ph_allocator *mem, struct ph_error *err)
{
	struct ph_credentials f = { PH_CREDENTIALS_INIT };
	enum ph_code rc;

	memcpy(&f, from, from->size < sizeof f ? from->size : sizeof f);
	*ret = (struct ph__credentials){ .user = NULL };
	if ((rc = copy_secret(&ret->user, f.user, "user name", SECRET_MAX, mem, err)) != PH_OK ||
	    (rc = copy_secret(&ret->password, f.password, "password", SECRET_MAX, mem, err)) != PH_OK ||
	    (rc = copy_secret(&ret->authzid, f.authzid, "authorization identity", SECRET_MAX, mem,
	                      err)) != PH_OK ||
	    (rc = copy_secret(&ret->token, f.token, "access token", PH__AUTH_RESPONSE_MAX, mem,
	                      err)) != PH_OK ||
	    (rc = copy_secret(&ret->mechanisms, f.mechanisms, "list of mechanisms", SECRET_MAX, mem,
	                      err)) != PH_OK ||
	    (rc = check_token(ret->token, err)) != PH_OK || (rc = check_names(ret, err)) != PH_OK)
		ph__credentials_done(ret, mem);
	return rc;
}

void
ph__credentials_done(struct ph__credentials *c, const struct ph_allocator *mem)
{
	ph__free_secret(mem, c->user);
	ph__free_secret(mem, c->password);
	ph__free_secret(mem, c->authzid);
	ph__free_secret(mem, c->token);
	ph__free(mem, c->mechanisms);
	*c = (struct ph__credentials){ .user = NULL };
}

/* ---- our own mechanisms ---------------------------------------------------------------------- */

static enum ph_code
say(struct ph__sasl *x, struct ph_error *err)
{
	if (x->response.state == PH__BUF_FULL)
		return ph__fail(err, PH_EINPUT, PH_STAGE_AUTH, PH_CAUSE_LIMIT,
		                "the credentials are over %d octets together", PH__AUTH_RESPONSE_MAX);
	return ph__buf_ok(&x->response) ? PH_OK : ph__fail_nomem(err, PH_STAGE_AUTH);
}

static const char *
or_empty(const char *s)
{
	return s != NULL ? s : "";
}

static enum ph_code
say_text(struct ph__sasl *x, const char *s, struct ph_error *err)
{
	ph__buf_add_str(&x->response, or_empty(s));
	return say(x, err);
}

static enum ph_code
out_of_step(struct ph__sasl *x, struct ph_error *err)
{
	return ph__fail(err, PH_EPROTOCOL, PH_STAGE_AUTH, PH_CAUSE_MECHANISM,
	                "the server asks for more than the mechanism %s has to say", x->table.name);
}

/* message = [authzid] NUL authcid NUL passwd */
static enum ph_code
plain_step(struct ph__sasl *x, struct ph_str challenge, struct ph_error *err)
{
	const struct ph__credentials *c = x->credentials;

	(void)challenge;
	if (x->step != 1)
		return out_of_step(x, err);
	ph__buf_add_str(&x->response, or_empty(c->authzid));
	ph__buf_add_char(&x->response, '\0');
	ph__buf_add_str(&x->response, or_empty(c->user));
	ph__buf_add_char(&x->response, '\0');
	return say_text(x, c->password, err);
}

/* Never standardised: the challenges' texts differ, so only their order counts. As an initial
 * response servers want the user name, or nothing; nothing works everywhere. */
static enum ph_code
login_step(struct ph__sasl *x, struct ph_str challenge, struct ph_error *err)
{
	(void)challenge;
	if (x->step > 2)
		return out_of_step(x, err);
	return say_text(x, x->step == 1 ? x->credentials->user : x->credentials->password, err);
}

static enum ph_code
external_step(struct ph__sasl *x, struct ph_str challenge, struct ph_error *err)
{
	(void)challenge;
	return x->step == 1 ? say_text(x, x->credentials->authzid, err) : out_of_step(x, err);
}

/* A challenge behind the token is the server's refusal in JSON: it is kept, for the reply that
 * follows once it is answered has less to say. */
static void
keep_problem(struct ph__sasl *x, struct ph_str challenge)
{
	struct ph__buf b;

	ph__buf_init(&b, x->mem, sizeof x->problem - 1); /* what fits, in whole characters */
	ph__escape(&b, challenge, false);
	if (b.len != 0)
		snprintf(x->problem, sizeof x->problem, "%s", ph__buf_cstr(&b));
	ph__buf_done(&b);
}

#define KVSEP "\x01" /* parts these mechanisms' fields */

static enum ph_code
check_identity(const char *who, struct ph_error *err)
{
	if (who == NULL || !ph__str_has_control(ph__str(who)))
		return PH_OK;
	return ph__fail(err, PH_EINPUT, PH_STAGE_AUTH, PH_CAUSE_ARGUMENT,
	                "the user name has a control character in it");
}

/* RFC 7628 §3.1: gs2-header kvsep *kvpair kvsep, kvpair = key "=" value kvsep; §3.2.3: an error is
 * answered with a kvsep. */
static enum ph_code
oauthbearer_step(struct ph__sasl *x, struct ph_str challenge, struct ph_error *err)
{
	const struct ph__credentials *c = x->credentials;
	const char *who = c->authzid != NULL ? c->authzid : c->user;
	struct ph__buf *b = &x->response;
	enum ph_code rc;

	if (x->step > 2)
		return out_of_step(x, err);
	if (x->step == 2) {
		keep_problem(x, challenge);
		return say_text(x, KVSEP, err);
	}
	if ((rc = check_identity(who, err)) != PH_OK)
		return rc;
	ph__buf_add_str(b, "n,");
	if (who != NULL) {
		ph__buf_add_str(b, "a=");
		ph__add_saslname(b, who);
	}
	ph__buf_add_str(b, "," KVSEP);
	if (*x->link->host != '\0')
		ph__buf_addf(b, "host=%s" KVSEP, x->link->host);
	if (x->link->port != 0)
		ph__buf_addf(b, "port=%u" KVSEP, x->link->port);
	ph__buf_add_str(b, "auth=Bearer ");
	ph__buf_add_str(b, c->token);
	return say_text(x, KVSEP KVSEP, err);
}

/* Google's and Microsoft's forerunner of it; an error is answered with nothing. */
static enum ph_code
xoauth2_step(struct ph__sasl *x, struct ph_str challenge, struct ph_error *err)
{
	const struct ph__credentials *c = x->credentials;
	enum ph_code rc;

	if (x->step > 2)
		return out_of_step(x, err);
	if (x->step == 2) {
		keep_problem(x, challenge);
		return say_text(x, "", err);
	}
	if ((rc = check_identity(c->user, err)) != PH_OK)
		return rc;
	ph__buf_add_str(&x->response, "user=");
	ph__buf_add_str(&x->response, c->user);
	ph__buf_add_str(&x->response, KVSEP "auth=Bearer ");
	ph__buf_add_str(&x->response, c->token);
	return say_text(x, KVSEP KVSEP, err);
}

/* ---- the table ------------------------------------------------------------------------------- */

enum need { NOTHING, PASSWORD, TOKEN, CERTIFICATE };

static const struct mechanism {
	const char *name;
	enum ph_code (*step)(struct ph__sasl *x, struct ph_str challenge, struct ph_error *err);
	                       /* NULL: the module's */
	enum need needs;
	bool named_only;       /* not tried unless the user names it */
	bool server_first;     /* ours that begin with a challenge; the module knows about its own */
	bool no_authzid;       /* it cannot say whom to act for */
} mechanisms[] = {
	/* in order of preference */
	{ "SCRAM-SHA-256-PLUS", NULL,             PASSWORD },
	{ "SCRAM-SHA-1-PLUS",   NULL,             PASSWORD },
	{ "SCRAM-SHA-256",      NULL,             PASSWORD },
	{ "SCRAM-SHA-1",        NULL,             PASSWORD },
	{ "PLAIN",              plain_step,       PASSWORD },
	{ "LOGIN",              login_step,       PASSWORD, .server_first = true, .no_authzid = true },
	{ "OAUTHBEARER",        oauthbearer_step, TOKEN },
	{ "XOAUTH2",            xoauth2_step,     TOKEN, .no_authzid = true },
	{ "EXTERNAL",           external_step,    CERTIFICATE },
	{ "CRAM-MD5",           NULL,             PASSWORD, .named_only = true, .no_authzid = true },
	{ "DIGEST-MD5",         NULL,             PASSWORD, .named_only = true },
	{ "NTLM",               NULL,             PASSWORD, .named_only = true, .no_authzid = true },
	{ "GSSAPI",             NULL,             NOTHING,  .named_only = true },
};

#define MECHANISMS (sizeof mechanisms / sizeof mechanisms[0])

static const struct mechanism *
find(const char *name)
{
	for (size_t i = 0; i < MECHANISMS; i++)
		if (ph__cstr_eq_nocase(mechanisms[i].name, name))
			return &mechanisms[i];
	return NULL;
}

static enum ph_code
unknown(const char *name, struct ph_error *err)
{
	char text[256];

	ph__fail(err, PH_ECONFIG, PH_STAGE_PREPARE, PH_CAUSE_ARGUMENT,
	         "there is no authentication mechanism \"%.32s\"", name);
	text[0] = '\0';
	for (size_t i = 0, at = 0; i < MECHANISMS && at < sizeof text; i++)
		at += (size_t)snprintf(text + at, sizeof text - at, "%s%s", i != 0 ? ", " : "",
		                       mechanisms[i].name);
	ph__hint(err, "there are: %s", text);
	return PH_ECONFIG;
}

bool
ph__sasl_is_plus(const char *mechanism)
{
	size_t n = strlen(mechanism);

	return n > 5 && strcmp(mechanism + n - 5, "-PLUS") == 0;
}

/* ---- an exchange ----------------------------------------------------------------------------- */

static enum ph_code
module_step(struct ph__sasl *x, struct ph_str challenge, const void **response,
            size_t *response_len, struct ph_error *err)
{
	enum ph_code rc = x->module->step(x->exchange, challenge.ptr, challenge.len, response,
	                                  response_len, &x->content, err);

	if (rc == PH_OK && challenge.ptr != NULL && *response == NULL)
		*response = ""; /* a challenge must be answered (RFC 4954 §4) */
	return rc;
}

/* The table's step(). */
static enum ph_code
step(void *user, const void *challenge, size_t challenge_len, const void **response,
     size_t *response_len, struct ph_error *err)
{
	struct ph__sasl *x = user;
	const struct mechanism *m = find(x->table.name);
	struct ph_str c = { challenge, challenge_len };
	enum ph_code rc;

	*response = NULL;
	*response_len = 0;
	if (x->module != NULL)
		return module_step(x, c, response, response_len, err);
	if (challenge == NULL && m->server_first)
		return PH_OK;
	x->step++;
	ph__buf_done(&x->response);
	if ((rc = m->step(x, c, err)) != PH_OK)
		return rc;
	*response = ph__buf_cstr(&x->response);
	*response_len = x->response.len;
	return PH_OK;
}

static enum ph_code
begin_in_module(struct ph__sasl *x, struct ph_error *err)
{
	const struct ph__credentials *c = x->credentials;
	const struct ph__sasl_identity who = { c->user, c->password, c->authzid };

	if ((x->module = ph__sasl_module(err)) == NULL)
		return PH_ECONFIG;
	return x->module->client(&x->exchange, x->table.name, &who, x->link, x->mem, err);
}

enum ph_code
ph__sasl_begin(struct ph__sasl *x, const char *mechanism, const struct ph__credentials *c,
               const struct ph__sasl_link *link, const struct ph_allocator *mem,
               struct ph_error *err)
{
	const struct mechanism *m = find(mechanism);

	*x = (struct ph__sasl){ .credentials = c, .link = link, .mem = mem };
	ph__buf_init(&x->response, mem, PH__AUTH_RESPONSE_MAX);
	x->response.secret = true;
	if (m == NULL)
		return unknown(mechanism, err);
	x->table = (struct ph_mechanism){ PH_MECHANISM_INIT, .name = m->name, .step = step,
	                                  .user = x };
	x->by_token = m->needs == TOKEN;
	if (m->step == NULL)
		return begin_in_module(x, err);
	x->content = true;
	return PH_OK;
}

void
ph__sasl_end(struct ph__sasl *x)
{
	if (x->exchange != NULL)
		x->module->end(x->exchange);
	x->exchange = NULL;
	if (x->mem != NULL)
		ph__buf_done(&x->response);
}

/* ---- what fits ------------------------------------------------------------------------------- */

static const char *
named_candidate(const char *list, size_t i, char buf[32])
{
	struct ph_str rest = ph__str(list);

	for (;;) {
		const char *comma = memchr(rest.ptr, ',', rest.len);
		size_t n = comma != NULL ? (size_t)(comma - rest.ptr) : rest.len;

		for (; n != 0 && *rest.ptr == ' '; n--)
			rest.ptr++, rest.len--;
		while (n != 0 && rest.ptr[n - 1] == ' ')
			n--;
		if (n != 0 && i-- == 0) {
			if (n > 31)
				n = 31;
			for (size_t k = 0; k < n; k++)
				buf[k] = ph__upper(rest.ptr[k]);
			buf[n] = '\0';
			return buf;
		}
		if (comma == NULL)
			return NULL;
		rest.len -= (size_t)(comma + 1 - rest.ptr);
		rest.ptr = comma + 1;
	}
}

const char *
ph__sasl_lacks(const struct ph__credentials *c, const char *mechanism)
{
	const struct mechanism *m = find(mechanism);

	if (m == NULL)
		return "is not known";
	if (m->needs == PASSWORD && c->password == NULL)
		return "needs a password";
	if (m->needs == TOKEN && c->token == NULL)
		return "needs an access token";
	if (c->user == NULL && (m->needs == PASSWORD || m->step == xoauth2_step))
		return "needs a user name";
	if (c->authzid != NULL && m->no_authzid)
		return "cannot say whom to act for";
	return NULL;
}

/* Without the user's word: a token alone is meant for the two that take one, and a certificate is a
 * login only where nothing else is given. */
static bool
fits(const struct mechanism *m, const struct ph__credentials *c, bool client_certificate)
{
	if (m->named_only || ph__sasl_lacks(c, m->name) != NULL)
		return false;
	return m->needs != CERTIFICATE ||
	       (client_certificate && c->password == NULL && c->token == NULL);
}

const char *
ph__sasl_candidate(const struct ph__credentials *c, bool client_certificate, size_t i,
                   char buf[32])
{
	if (c->mechanisms != NULL)
		return named_candidate(c->mechanisms, i, buf);
	for (size_t k = 0; k < MECHANISMS; k++)
		if (fits(&mechanisms[k], c, client_certificate) && i-- == 0)
			return mechanisms[k].name;
	return NULL;
}

static enum ph_code
check_name(const char *name, struct ph_error *err)
{
	const struct ph__sasl_module *module;
	const struct mechanism *m = find(name);

	if (m == NULL)
		return unknown(name, err);
	if (m->step != NULL)
		return PH_OK;
	if ((module = ph__sasl_module(err)) == NULL)
		return PH_ECONFIG;
	return module->has(m->name, false) ? PH_OK
	       : ph__fail(err, PH_ECONFIG, PH_STAGE_PREPARE, PH_CAUSE_MODULE,
	                  "the library libgsasl of this machine is built without %s", m->name);
}

/* What the user names must be there: he would not be served by another in its place. */
static enum ph_code
check_names(const struct ph__credentials *c, struct ph_error *err)
{
	enum ph_code rc = PH_OK;
	const char *name;
	char buf[32];

	if (c->mechanisms == NULL)
		return PH_OK;
	for (size_t i = 0; rc == PH_OK && (name = named_candidate(c->mechanisms, i, buf)) != NULL; i++)
		rc = check_name(name, err);
	return rc;
}

bool
ph__sasl_may_try_next(unsigned reply_code)
{
	return reply_code == 504 || reply_code == 534 || reply_code == 538;
}
