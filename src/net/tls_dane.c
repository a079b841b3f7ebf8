/* SPDX-License-Identifier: MIT */
/* DANE: TLSA records, and names beside the first. See tls.h and RFC 7672 §3.
 *
 * OpenSSL matches and builds chains; what it is given decides whether that is DANE for SMTP:
 * - Records of use 2 and 3 only. With one of use 0 or 1 it would look into the trust store, with none
 *   at all it would verify as if DANE had never been asked for: so there is always one left, and a
 *   connection to which not each could be added does not come about.
 * - DANE-EE(3) asks for no name (§3.1.1), which is a flag of OpenSSL's; dates and chain it leaves out
 *   of itself. DANE-TA(2) asks for both, and the trust store is empty.
 * - Digest agility (RFC 7671 §9) is OpenSSL's: SHA-512 stands above SHA-256.
 * A record is tried out once, on a connection that is never made. */
#include "net/tls.h"

#include <openssl/err.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"

enum { DANE_TA = 2, DANE_EE = 3 };

/* ---- names */

enum ph_code
ph__tls_take_names(struct ph__tls *tls, const struct ph_tls_opts *opts, struct ph_error *err)
{
	if (opts->name_count == 0)
		return PH_OK;
	if (opts->name_count > PH__TLS_NAMES_MAX)
		return ph__fail(err, PH_ECONFIG, PH_STAGE_PREPARE, PH_CAUSE_LIMIT,
		                "%zu names for a certificate are more than %d", opts->name_count,
		                PH__TLS_NAMES_MAX);
	/* OpenSSL wants an address and a name both matched, never one of them */
	if (tls->name.name[0] == '\0' || tls->name.family != AF_UNSPEC)
		return ph__fail(err, PH_ECONFIG, PH_STAGE_PREPARE, PH_CAUSE_ARGUMENT,
		                "further names for the certificate stand beside a server's name, not "
		                "beside %s", tls->name.name[0] == '\0' ? "none" : "an address");
	tls->names = ph__alloc_array(tls->mem, opts->name_count, sizeof tls->names[0]);
	if (tls->names == NULL)
		return ph__fail_nomem(err, PH_STAGE_PREPARE);
	for (size_t i = 0; i < opts->name_count; i++) {
		struct ph__host name;

		if (!ph__host_parse(&name, opts->names[i] != NULL ? opts->names[i] : "",
		                    "name for the certificate", PH_ECONFIG, err))
			return PH_ECONFIG;
		if (name.family != AF_UNSPEC)
			return ph__fail(err, PH_ECONFIG, PH_STAGE_PREPARE, PH_CAUSE_ARGUMENT,
			                "%s among the names for the certificate is an address", name.name);
		memcpy(tls->names[i], name.name, sizeof name.name);
	}
	tls->name_count = opts->name_count;
	return PH_OK;
}

/* ---- records */

/* 1: it is in; 0: it is of no use; -1: memory is out. */
static int
add(SSL *ssl, const struct ph_tlsa *r)
{
	return SSL_dane_tlsa_add(ssl, r->usage, r->selector, r->matching, r->data, r->len);
}

static SSL *
try_out(const struct ph__tls *tls)
{
	SSL *ssl = SSL_CTX_dane_enable(tls->ctx) == 1 ? SSL_new(tls->ctx) : NULL;

	if (ssl != NULL && SSL_dane_enable(ssl, NULL) != 1) {
		SSL_free(ssl);
		ssl = NULL;
	}
	return ssl;
}

static bool
is_for_smtp(const struct ph_tlsa *r)
{
	return r->usage == DANE_TA || r->usage == DANE_EE;
}

/* The usable among them; *octets: of their data. SIZE_MAX: memory is out. */
static size_t
sift(const struct ph__tls *tls, const struct ph_tls_opts *opts,
     const struct ph_tlsa *found[PH__TLSA_MAX], size_t *octets)
{
	SSL *ssl = try_out(tls);
	size_t n = ssl != NULL ? 0 : SIZE_MAX;

	*octets = 0;
	for (size_t i = 0; i < opts->tlsa_count && n != SIZE_MAX; i++) {
		const struct ph_tlsa *r = &opts->tlsa[i];
		int rc = is_for_smtp(r) ? add(ssl, r) : 0;

		if (rc < 0) {
			n = SIZE_MAX;
		} else if (rc > 0) {
			found[n++] = r;
			*octets += r->len;
		}
	}
	SSL_free(ssl);
	ERR_clear_error();
	return n;
}

/* In one piece, their data behind them. */
static bool
copy(struct ph__tls *tls, const struct ph_tlsa *const *from, size_t n, size_t octets)
{
	struct ph_tlsa *r = ph__alloc(tls->mem, n * sizeof *r + octets);
	unsigned char *to = (unsigned char *)(r + n);

	if (r == NULL)
		return false;
	for (size_t i = 0; i < n; i++) {
		r[i] = *from[i];
		r[i].data = memcpy(to, from[i]->data, from[i]->len); /* @UNSAFE: octets is the sum */
		to += from[i]->len;
	}
	tls->tlsa = r;
	tls->tlsa_count = n;
	return true;
}

static enum ph_code
check(const struct ph__tls *tls, const struct ph_tls_opts *opts, struct ph_error *err)
{
	if (opts->pin_count != 0)
		return ph__fail(err, PH_ECONFIG, PH_STAGE_PREPARE, PH_CAUSE_ARGUMENT,
		                "pins and TLSA records both replace the authorities: only one of them "
		                "can");
	if (opts->tlsa_count > PH__TLSA_MAX)
		return ph__fail(err, PH_ECONFIG, PH_STAGE_PREPARE, PH_CAUSE_LIMIT,
		                "%zu TLSA records are more than %d", opts->tlsa_count, PH__TLSA_MAX);
	if (tls->name.name[0] == '\0')
		return ph__fail(err, PH_ECONFIG, PH_STAGE_PREPARE, PH_CAUSE_ARGUMENT,
		                "TLSA records belong to a server's name, and none was given");
	return PH_OK;
}

enum ph_code
ph__tls_take_tlsa(struct ph__tls *tls, const struct ph_tls_opts *opts, struct ph_error *err)
{
	const struct ph_tlsa *found[PH__TLSA_MAX];
	size_t n, octets;
	enum ph_code rc;

	if (opts->tlsa_count == 0)
		return PH_OK;
	if ((rc = check(tls, opts, err)) != PH_OK)
		return rc;
	n = sift(tls, opts, found, &octets);
	if (n == 0) {
		ph__fail(err, PH_ECONFIG, PH_STAGE_PREPARE, PH_CAUSE_ARGUMENT,
		         "none of the %zu TLSA records for %s is usable", opts->tlsa_count,
		         tls->name.name);
		ph__hint(err, "records for SMTP are of use 3 or 2, best \"3 1 1\" with the SHA-256 of "
		         "the public key (RFC 7672 §3.1)");
		return PH_ECONFIG;
	}
	if (n == SIZE_MAX || !copy(tls, found, n, octets))
		return ph__fail_nomem(err, PH_STAGE_PREPARE);
	return PH_OK;
}

bool
ph__tls_enable_dane(const struct ph__tls *tls, SSL *ssl)
{
	bool ok = SSL_dane_enable(ssl, NULL) == 1;

	SSL_dane_set_flags(ssl, DANE_FLAG_NO_DANE_EE_NAMECHECKS);
	for (size_t i = 0; i < tls->tlsa_count && ok; i++)
		ok = add(ssl, &tls->tlsa[i]) == 1;
	return ok;
}
