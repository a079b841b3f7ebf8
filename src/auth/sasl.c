/* SPDX-License-Identifier: MIT */
/* SASL without a library. See sasl.h. Credentials are octets of UTF-8, not of ASCII. Every response
 * is a copy that is wiped when the next one is made or the exchange ends. */
#include "auth/sasl.h"

#include "base/bounds.h"
#include "base/error.h"
#include "base/str.h"

#define SECRET_MAX 8192 /* longer than any token seen; the session says what fits an AUTH line */

static enum ph_code
copy_secret(char **ret, const char *from, const char *what, const struct ph_allocator *mem,
            struct ph_error *err)
{
	struct ph_str s = ph__str(from);

	*ret = NULL;
	if (from == NULL)
		return PH_OK;
	if (s.len > SECRET_MAX)
		return ph__fail(err, PH_EINPUT, PH_STAGE_AUTH, PH_CAUSE_LIMIT,
		                "the %s is over %d octets", what, SECRET_MAX);
	if (!ph__str_is_utf8(s))
		return ph__fail(err, PH_EINPUT, PH_STAGE_AUTH, PH_CAUSE_ARGUMENT,
		                "the %s is not UTF-8 (RFC 4616)", what);
	if ((*ret = ph__strndup(mem, s.ptr, s.len)) == NULL)
		return ph__fail_nomem(err, PH_STAGE_AUTH);
	return PH_OK;
}

enum ph_code
ph__credentials_copy(struct ph__credentials *ret, const struct ph_credentials *from,
                     const struct ph_allocator *mem, struct ph_error *err)
{
	struct ph_credentials f = { PH_CREDENTIALS_INIT };
	enum ph_code rc;

	memcpy(&f, from, from->size < sizeof f ? from->size : sizeof f);
	*ret = (struct ph__credentials){ .user = NULL };
	if ((rc = copy_secret(&ret->user, f.user, "user name", mem, err)) != PH_OK ||
	    (rc = copy_secret(&ret->password, f.password, "password", mem, err)) != PH_OK ||
	    (rc = copy_secret(&ret->authzid, f.authzid, "authorization identity", mem, err)) != PH_OK ||
	    (rc = copy_secret(&ret->mechanisms, f.mechanisms, "list of mechanisms", mem, err)) != PH_OK)
		ph__credentials_done(ret, mem);
	return rc;
}

void
ph__credentials_done(struct ph__credentials *c, const struct ph_allocator *mem)
{
	ph__free_secret(mem, c->user);
	ph__free_secret(mem, c->password);
	ph__free_secret(mem, c->authzid);
	ph__free(mem, c->mechanisms);
	*c = (struct ph__credentials){ .user = NULL };
}

/* ---- mechanisms ------------------------------------------------------------------------------ */

static void
forget_response(struct ph__sasl *x)
{
	if (x->response != NULL)
		ph__wipe(x->response, x->response_len);
	ph__free(x->mem, x->response);
	x->response = NULL;
	x->response_len = 0;
}

/* Joins up to three texts, `separated` by NULs. */
static enum ph_code
respond(struct ph__sasl *x, const char *const *parts, size_t n, struct ph_error *err)
{
	size_t len = n - 1, at = 0;

	for (size_t i = 0; i < n; i++)
		len += strlen(parts[i]);
	forget_response(x);
	if ((x->response = ph__alloc(x->mem, len + 1)) == NULL)
		return ph__fail_nomem(err, PH_STAGE_AUTH);
	for (size_t i = 0; i < n; i++) {
		size_t k = strlen(parts[i]);

		memcpy(x->response + at, parts[i], k + 1);
		at += k + 1;
	}
	x->response_len = len;
	return PH_OK;
}

static const char *
or_empty(const char *s)
{
	return s != NULL ? s : "";
}

static enum ph_code
out_of_step(struct ph_error *err, const char *mechanism)
{
	return ph__fail(err, PH_EPROTOCOL, PH_STAGE_AUTH, PH_CAUSE_MECHANISM,
	                "the server asks for more than the mechanism %s has to say", mechanism);
}

/* message = [authzid] NUL authcid NUL passwd */
static enum ph_code
plain_step(struct ph__sasl *x, struct ph_error *err)
{
	const struct ph__credentials *c = x->credentials;
	const char *parts[] = { or_empty(c->authzid), or_empty(c->user), or_empty(c->password) };

	return x->step == 1 ? respond(x, parts, 3, err) : out_of_step(err, "PLAIN");
}

/* Never standardised: the challenges' texts differ, so only their order counts. As an initial
 * response servers want the user name, or nothing; nothing works everywhere. */
static enum ph_code
login_step(struct ph__sasl *x, struct ph_error *err)
{
	const struct ph__credentials *c = x->credentials;
	const char *part;

	if (x->step > 2)
		return out_of_step(err, "LOGIN");
	part = or_empty(x->step == 1 ? c->user : c->password);
	return respond(x, &part, 1, err);
}

static enum ph_code
external_step(struct ph__sasl *x, struct ph_error *err)
{
	const char *part = or_empty(x->credentials->authzid);

	return x->step == 1 ? respond(x, &part, 1, err) : out_of_step(err, "EXTERNAL");
}

static const struct mechanism {
	const char *name;
	enum ph_code (*step)(struct ph__sasl *x, struct ph_error *err);
	bool client_first;
	bool needs_password;
} mechanisms[] = {
	/* in order of preference */
	{ "EXTERNAL", external_step, true,  false },
	{ "PLAIN",    plain_step,    true,  true },
	{ "LOGIN",    login_step,    false, true },
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

/* The table's step(): challenges of these mechanisms carry nothing that is needed. */
static enum ph_code
step(void *user, const void *challenge, size_t challenge_len, const void **response,
     size_t *response_len, struct ph_error *err)
{
	struct ph__sasl *x = user;
	const struct mechanism *m = find(x->table.name);
	enum ph_code rc;

	(void)challenge_len;
	*response = NULL;
	*response_len = 0;
	if (challenge == NULL && !m->client_first)
		return PH_OK;
	x->step++;
	if ((rc = m->step(x, err)) != PH_OK)
		return rc;
	*response = x->response;
	*response_len = x->response_len;
	return PH_OK;
}

bool
ph__sasl_begin(struct ph__sasl *x, const char *mechanism, const struct ph__credentials *c,
               const struct ph_allocator *mem)
{
	const struct mechanism *m = find(mechanism);

	if (m == NULL)
		return false;
	*x = (struct ph__sasl){ .credentials = c, .mem = mem };
	x->table = (struct ph_mechanism){ PH_MECHANISM_INIT, .name = m->name, .step = step,
	                                  .user = x };
	return true;
}

void
ph__sasl_end(struct ph__sasl *x)
{
	forget_response(x);
}

bool
ph__sasl_is_known(const char *mechanism)
{
	return find(mechanism) != NULL;
}

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
ph__sasl_candidate(const struct ph__credentials *c, bool client_certificate, size_t i,
                   char buf[32])
{
	if (c->mechanisms != NULL)
		return named_candidate(c->mechanisms, i, buf);
	for (size_t k = 0; k < MECHANISMS; k++) {
		bool fits = mechanisms[k].needs_password ? c->user != NULL && c->password != NULL
		                                         : client_certificate && c->password == NULL;

		if (fits && i-- == 0)
			return mechanisms[k].name;
	}
	return NULL;
}

bool
ph__sasl_may_try_next(unsigned reply_code)
{
	return reply_code == 504 || reply_code == 534 || reply_code == 538;
}
