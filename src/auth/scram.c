/* SPDX-License-Identifier: MIT */
/* SCRAM as a client. See scram.h. libgsasl has one, but it cannot say "y" (2.2.0 contradicts itself
 * when it has a binding and is not to use it), and by "y" alone a server finds out that somebody
 * struck its -PLUS out (RFC 5802 §6).
 *
 *   client-first  = gs2-header "n=" saslname ",r=" nonce
 *   server-first  = "r=" nonce more ",s=" base64 ",i=" number
 *   client-final  = "c=" base64(gs2-header [binding]) ",r=" nonce more ",p=" base64(proof)
 *   server-final  = "v=" base64(signature) / "e=" reason
 *   gs2-header    = ("n" / "y" / "p=" binding-name) "," ["a=" saslname] ","
 *
 * Extensions behind these are let pass, mandatory ones ("m=") refused. What the server may make us
 * do is bounded: the rounds of hashing, the nonce by the line it comes in. Everything that comes of
 * the password is wiped. */
#include "auth/scram.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <stdint.h>
#include <stdio.h>

#include "auth/saslname.h"
#include "base/base64.h"
#include "base/bounds.h"
#include "base/error.h"

#define NONCE_OCTETS 18

struct ph__scram {
	const struct ph_allocator *mem;
	char name[24];
	const EVP_MD *md;
	enum { FIRST, FINAL, VERIFY, OVER } at;
	char *password;
	struct ph__buf first;   /* what was said first, whole */
	size_t header_len;      /* of it: the gs2-header */
	struct ph__buf bound;   /* gs2-header and binding */
	struct ph__buf nonce;
	struct ph__buf out;
	unsigned char signature[EVP_MAX_MD_SIZE]; /* that the server must show */
};

/* What is derived from the password, on the stack, and wiped there. */
struct keys {
	unsigned char salted[EVP_MAX_MD_SIZE], client[EVP_MAX_MD_SIZE], stored[EVP_MAX_MD_SIZE];
	unsigned char server[EVP_MAX_MD_SIZE], proof[EVP_MAX_MD_SIZE];
};

static enum ph_code
fail(const struct ph__scram *s, struct ph_error *err, enum ph_code code, const char *why)
{
	return ph__fail(err, code, PH_STAGE_AUTH, PH_CAUSE_MECHANISM, "%s: %s", s->name, why);
}

static enum ph_code
garbled(const struct ph__scram *s, struct ph_error *err)
{
	return fail(s, err, PH_EPROTOCOL, "the server's challenge is not well formed");
}

static enum ph_code
crypto_failed(const struct ph__scram *s, struct ph_error *err)
{
	return fail(s, err, PH_ESYSTEM, "OpenSSL does not hash (a policy without SHA-1?)");
}

/* ---- what we say first ----------------------------------------------------------------------- */

static bool
make_nonce(struct ph__scram *s, const char *given)
{
	unsigned char random[NONCE_OCTETS];

	if (given != NULL)
		return ph__buf_add_str(&s->nonce, given);
	return RAND_bytes(random, sizeof random) == 1 &&
	       ph__base64_encode(&s->nonce, random, sizeof random, false);
}

static bool
make_first(struct ph__scram *s, const struct ph__scram_opts *o)
{
	const struct ph__sasl_link *l = o->link;
	bool plus = strstr(o->name, "-PLUS") != NULL, exporter = l->exporter_len != 0;

	if (plus)
		ph__buf_add_str(&s->first, exporter ? "p=tls-exporter," : "p=tls-unique,");
	else
		ph__buf_add_str(&s->first, exporter || l->unique_len != 0 ? "y," : "n,");
	if (o->authzid != NULL) {
		ph__buf_add_str(&s->first, "a=");
		ph__add_saslname(&s->first, o->authzid);
	}
	ph__buf_add_char(&s->first, ',');
	s->header_len = s->first.len;
	ph__buf_add_str(&s->first, "n=");
	ph__add_saslname(&s->first, o->user);
	ph__buf_add_str(&s->first, ",r=");
	ph__buf_add(&s->first, s->nonce.p, s->nonce.len);
	ph__buf_add(&s->bound, ph__buf_cstr(&s->first), s->header_len);
	if (plus && exporter)
		ph__buf_add(&s->bound, l->exporter, l->exporter_len);
	else if (plus)
		ph__buf_add(&s->bound, l->unique, l->unique_len);
	return ph__buf_ok(&s->first) && ph__buf_ok(&s->bound);
}

enum ph_code
ph__scram_new(struct ph__scram **ret, const struct ph__scram_opts *o,
              const struct ph_allocator *mem, struct ph_error *err)
{
	struct ph__scram *s = ph__alloc0(mem, sizeof *s);

	if (s == NULL)
		return ph__fail_nomem(err, PH_STAGE_AUTH);
	s->mem = mem;
	snprintf(s->name, sizeof s->name, "%s", o->name);
	s->md = strstr(o->name, "SHA-256") != NULL ? EVP_sha256() : EVP_sha1();
	ph__buf_init(&s->first, mem, 8 * PH__AUTH_LINE_MAX);
	ph__buf_init(&s->bound, mem, 8 * PH__AUTH_LINE_MAX);
	ph__buf_init(&s->nonce, mem, PH__AUTH_LINE_MAX);
	ph__buf_init(&s->out, mem, 16 * PH__AUTH_LINE_MAX);
	s->out.secret = true;
	s->password = ph__strdup(mem, o->password);
	if (s->password == NULL || !make_nonce(s, o->nonce) || !make_first(s, o)) {
		ph__scram_free(&s);
		return ph__fail_nomem(err, PH_STAGE_AUTH);
	}
	*ret = s;
	return PH_OK;
}

void
ph__scram_free(struct ph__scram **ps)
{
	struct ph__scram *s = *ps;

	if (s == NULL)
		return;
	ph__free_secret(s->mem, s->password);
	ph__buf_done(&s->first);
	ph__buf_done(&s->bound);
	ph__buf_done(&s->nonce);
	ph__buf_done(&s->out);
	ph__wipe(s->signature, sizeof s->signature);
	ph__free(s->mem, s);
	*ps = NULL;
}

/* ---- what the server says first -------------------------------------------------------------- */

/* The value of the attribute that stands next; *rest goes behind it and its comma. */
static bool
take(struct ph_str *rest, const char *head, struct ph_str *value)
{
	const char *comma;

	if (rest->len < 2 || memcmp(rest->ptr, head, 2) != 0)
		return false;
	*value = (struct ph_str){ rest->ptr + 2, rest->len - 2 };
	if ((comma = memchr(value->ptr, ',', value->len)) != NULL)
		value->len = (size_t)(comma - value->ptr);
	rest->len -= value->len + 2 + (comma != NULL);
	rest->ptr += value->len + 2 + (comma != NULL);
	return true;
}

static enum ph_code
check_nonce(const struct ph__scram *s, struct ph_str nonce, struct ph_error *err)
{
	if (nonce.len < s->nonce.len || memcmp(nonce.ptr, s->nonce.p, s->nonce.len) != 0)
		return fail(s, err, PH_ESECURITY, "the server answers another exchange than this");
	if (nonce.len == s->nonce.len)
		return fail(s, err, PH_ESECURITY,
		            "the server adds nothing of its own to the exchange: it may be replaying one");
	for (size_t i = 0; i < nonce.len; i++)
		if (nonce.ptr[i] <= ' ' || nonce.ptr[i] > '~') /* RFC 5802 §7, "printable" */
			return fail(s, err, PH_EPROTOCOL, "the server's nonce has a character that none may have");
	return PH_OK;
}

static enum ph_code
check_rounds(const struct ph__scram *s, struct ph_str text, uint64_t *rounds, struct ph_error *err)
{
	if (ph__str_to_uint(text, PH__SCRAM_ROUNDS_MAX, rounds) && *rounds != 0)
		return PH_OK;
	return ph__fail(err, PH_EPROTOCOL, PH_STAGE_AUTH, PH_CAUSE_LIMIT,
	                "%s: the server asks for \"%.*s\" rounds of hashing: 1 to %d are acceptable",
	                s->name, (int)(text.len < 40 ? text.len : 40), text.ptr, PH__SCRAM_ROUNDS_MAX);
}

/* ---- what comes of the password -------------------------------------------------------------- */

static bool
mac(const struct ph__scram *s, const unsigned char *key, struct ph_str text, unsigned char *out)
{
	return HMAC(s->md, key, EVP_MD_get_size(s->md), (const unsigned char *)text.ptr, text.len, out,
	            NULL) != NULL;
}

/* RFC 5802 §3. */
static bool
derive(struct ph__scram *s, struct keys *k, struct ph_str salt, uint64_t rounds, struct ph_str auth)
{
	int n = EVP_MD_get_size(s->md);

	if (PKCS5_PBKDF2_HMAC(s->password, (int)strlen(s->password), (const unsigned char *)salt.ptr,
	                      (int)salt.len, (int)rounds, s->md, n, k->salted) != 1 ||
	    !mac(s, k->salted, ph__str("Client Key"), k->client) ||
	    EVP_Digest(k->client, (size_t)n, k->stored, NULL, s->md, NULL) != 1 ||
	    !mac(s, k->stored, auth, k->proof) ||
	    !mac(s, k->salted, ph__str("Server Key"), k->server) ||
	    !mac(s, k->server, auth, s->signature))
		return false;
	for (int i = 0; i < n; i++)
		k->proof[i] ^= k->client[i];
	return true;
}

/* AuthMessage = client-first without header "," server-first "," client-final without proof. */
static bool
make_auth_message(const struct ph__scram *s, struct ph__buf *auth, struct ph_str server_first)
{
	ph__buf_add(auth, s->first.p + s->header_len, s->first.len - s->header_len);
	ph__buf_add_char(auth, ',');
	ph__buf_add(auth, server_first.ptr, server_first.len);
	ph__buf_add_char(auth, ',');
	return ph__buf_add(auth, ph__buf_cstr(&s->out), s->out.len);
}

static enum ph_code
answer(struct ph__scram *s, struct ph_str server_first, struct ph_str nonce, struct ph_str salt,
       uint64_t rounds, struct ph_error *err)
{
	struct keys k = { .salted = { 0 } };
	enum ph_code rc = PH_OK;
	struct ph__buf auth;

	ph__buf_init(&auth, s->mem, 16 * PH__AUTH_LINE_MAX);
	ph__buf_add_str(&s->out, "c=");
	ph__base64_encode(&s->out, s->bound.p, s->bound.len, false);
	ph__buf_add_str(&s->out, ",r=");
	ph__buf_add(&s->out, nonce.ptr, nonce.len);
	if (make_auth_message(s, &auth, server_first) &&
	    !derive(s, &k, salt, rounds, ph__buf_str(&auth)))
		rc = crypto_failed(s, err);
	ph__buf_add_str(&s->out, ",p=");
	ph__base64_encode(&s->out, k.proof, (size_t)EVP_MD_get_size(s->md), false);
	if (rc == PH_OK && !(ph__buf_ok(&auth) && ph__buf_ok(&s->out)))
		rc = ph__fail_nomem(err, PH_STAGE_AUTH);
	ph__wipe(&k, sizeof k);
	ph__buf_done(&auth);
	return rc;
}

static enum ph_code
take_first(struct ph__scram *s, struct ph_str in, struct ph_error *err)
{
	struct ph_str rest = in, nonce, salt64, number;
	struct ph__buf salt;
	uint64_t rounds;
	enum ph_code rc;

	if (!take(&rest, "r=", &nonce) || !take(&rest, "s=", &salt64) || !take(&rest, "i=", &number))
		return garbled(s, err);
	if ((rc = check_nonce(s, nonce, err)) != PH_OK ||
	    (rc = check_rounds(s, number, &rounds, err)) != PH_OK)
		return rc;
	ph__buf_init(&salt, s->mem, PH__AUTH_LINE_MAX);
	if (!ph__base64_decode(&salt, salt64) || salt.len == 0)
		rc = salt.state == PH__BUF_NOMEM ? ph__fail_nomem(err, PH_STAGE_AUTH) : garbled(s, err);
	else
		rc = answer(s, in, nonce, ph__buf_str(&salt), rounds, err);
	ph__buf_done(&salt);
	return rc;
}

static enum ph_code
take_final(struct ph__scram *s, struct ph_str in, struct ph_error *err)
{
	struct ph_str rest = in, value;
	struct ph__buf shown;
	size_t n = (size_t)EVP_MD_get_size(s->md);
	enum ph_code rc = PH_OK;

	if (take(&rest, "e=", &value))
		return ph__fail(err, PH_EAUTH, PH_STAGE_AUTH, PH_CAUSE_MECHANISM,
		                "%s: the server refused the login: %.*s", s->name,
		                (int)(value.len < 100 ? value.len : 100), value.ptr);
	if (!take(&rest, "v=", &value))
		return garbled(s, err);
	ph__buf_init(&shown, s->mem, PH__AUTH_LINE_MAX);
	if (!ph__base64_decode(&shown, value) || shown.len == 0)
		rc = shown.state == PH__BUF_NOMEM ? ph__fail_nomem(err, PH_STAGE_AUTH) : garbled(s, err);
	else if (shown.len != n || CRYPTO_memcmp(shown.p, s->signature, n) != 0)
		rc = fail(s, err, PH_ESECURITY, "the server has not proved that it knows the password: "
		          "it may not be the one it says it is");
	ph__buf_done(&shown);
	return rc;
}

/* ---- a step ---------------------------------------------------------------------------------- */

enum ph_code
ph__scram_step(struct ph__scram *s, struct ph_str in, struct ph_str *out, bool *done,
               struct ph_error *err)
{
	enum ph_code rc = PH_OK;

	*out = (struct ph_str){ NULL, 0 };
	*done = false;
	ph__buf_done(&s->out);
	switch (s->at) {
	case FIRST:
		*out = ph__buf_str(&s->first);
		s->at = FINAL;
		return PH_OK;
	case FINAL:
		if ((rc = take_first(s, in, err)) == PH_OK)
			*out = ph__buf_str(&s->out);
		break;
	case VERIFY:
		*done = (rc = take_final(s, in, err)) == PH_OK;
		break;
	case OVER:
		return garbled(s, err);
	}
	s->at = rc == PH_OK && s->at == FINAL ? VERIFY : OVER;
	return rc;
}
