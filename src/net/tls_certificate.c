/* SPDX-License-Identifier: MIT */
/* A certificate taken apart. See tls.h, posthaste/transport.h and RFC 5280.
 *
 * It need not have been verified: every text in it is the peer's, may hold NUL, controls and octets
 * that are no character, and may be of any length up to what OpenSSL takes of a chain (100 KiB).
 * All is escaped, then cut between characters to its field's size. What cannot be read is told as
 * what it is where that is possible (the number of an algorithm), and is 0 otherwise; only a lack
 * of memory is a failure. A name with a value that is not of the character set it claims does not
 * get here: OpenSSL refuses such a certificate whole. */
#include "net/tls.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <time.h>

#include "base/escape.h"

/* RFC 4514, but for the characters that it would not escape: those are \xNN like everywhere. */
#define DN_FLAGS (XN_FLAG_RFC2253 & ~(ASN1_STRFLGS_ESC_CTRL | ASN1_STRFLGS_ESC_MSB))

void
ph__tls_hex(char *buf, size_t size, const unsigned char *p, size_t n)
{
	static const char digits[] = "0123456789abcdef";
	size_t i;

	for (i = 0; i < n && i * 2 + 2 < size; i++) {
		buf[i * 2] = digits[p[i] >> 4];
		buf[i * 2 + 1] = digits[p[i] & 15];
	}
	buf[i * 2] = '\0';
}

bool
ph__tls_name_text(char *buf, size_t size, const X509_NAME *name)
{
	BIO *out = BIO_new(BIO_s_mem());
	bool ok = out != NULL && X509_NAME_print_ex(out, name, 0, DN_FLAGS) >= 0;
	char *p = NULL;
	long n;

	buf[0] = '\0';
	if (ok && (n = BIO_get_mem_data(out, &p)) > 0)
		ph__escape_into(buf, size, (struct ph_str){ p, (size_t)n }, false);
	BIO_free(out);
	return ok;
}

bool
ph__tls_alt_name(struct ph__buf *w, const GENERAL_NAME *g)
{
	char ip[INET6_ADDRSTRLEN];
	const ASN1_STRING *s = g->d.ia5; /* the same place for d.ip */
	size_t n;

	if (g->type != GEN_DNS && g->type != GEN_IPADD)
		return false;
	n = (size_t)ASN1_STRING_length(s);
	if (g->type == GEN_DNS)
		ph__escape(w, (struct ph_str){ (const char *)ASN1_STRING_get0_data(s), n }, false);
	else if (n == 4 || n == 16)
		ph__buf_add_str(w, inet_ntop(n == 4 ? AF_INET : AF_INET6, ASN1_STRING_get0_data(s), ip,
		                             sizeof ip));
	else
		return false;
	return true;
}

/* ---- the fields */

static bool
take_der(struct ph_certificate *c, X509 *cert, struct ph__arena *a)
{
	int n = i2d_X509(cert, NULL);
	unsigned char *der = n > 0 ? ph__arena_alloc(a, (size_t)n) : NULL, *end = der;

	if (der == NULL || i2d_X509(cert, &end) != n)
		return false;
	c->der = der;
	c->der_len = (size_t)n;
	return true;
}

static bool
take_names(struct ph_certificate *c, X509 *cert, struct ph__arena *a)
{
	GENERAL_NAMES *all = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
	int i, count = all != NULL ? sk_GENERAL_NAME_num(all) : 0;
	const char **names = ph__arena_alloc(a, (size_t)count * sizeof *names);
	bool ok = names != NULL;
	struct ph__buf w;

	ph__buf_init(&w, a->mem, PH__CERT_NAME_MAX);
	for (i = 0; ok && i < count; i++) {
		ph__buf_reset(&w);
		if (!ph__tls_alt_name(&w, sk_GENERAL_NAME_value(all, i)))
			continue;
		names[c->name_count] = ph__arena_strndup(a, ph__buf_cstr(&w), w.len);
		ok = w.state != PH__BUF_NOMEM && names[c->name_count++] != NULL;
	}
	c->names = names;
	ph__buf_done(&w);
	GENERAL_NAMES_free(all);
	return ok;
}

/* RFC 5280 §4.1.2.2 wants it positive; it need not be. */
static void
serial_text(char *buf, size_t size, const ASN1_INTEGER *n)
{
	size_t sign = ASN1_STRING_type(n) == V_ASN1_NEG_INTEGER;

	buf[0] = '-';
	ph__tls_hex(buf + sign, size - sign, ASN1_STRING_get0_data(n), (size_t)ASN1_STRING_length(n));
}

static int64_t
seconds_of(const ASN1_TIME *t)
{
	struct tm tm;

	return t != NULL && ASN1_TIME_to_tm(t, &tm) == 1 ? (int64_t)timegm(&tm) : 0;
}

static void
algorithm_text(char *buf, size_t size, const ASN1_OBJECT *algorithm)
{
	int nid = OBJ_obj2nid(algorithm);

	if (nid != NID_undef)
		snprintf(buf, size, "%s", OBJ_nid2sn(nid));
	else
		OBJ_obj2txt(buf, (int)size, algorithm, 1);
}

void
ph__tls_key_text(char *buf, size_t size, const EVP_PKEY *key)
{
	const char *type = EVP_PKEY_get0_type_name(key);
	bool one_size = EVP_PKEY_is_a(key, "ED25519") || EVP_PKEY_is_a(key, "ED448") ||
		EVP_PKEY_is_a(key, "X25519") || EVP_PKEY_is_a(key, "X448");
	char group[64];

	if (one_size)
		snprintf(buf, size, "%s", type);
	else if (EVP_PKEY_get_group_name(key, group, sizeof group, NULL) == 1)
		snprintf(buf, size, "%s %s", type, group);
	else
		snprintf(buf, size, "%s %d", type != NULL ? type : "?", EVP_PKEY_get_bits(key));
}

/* A key that OpenSSL cannot read still has an algorithm. */
static void
take_key(struct ph_certificate *c, X509 *cert)
{
	const EVP_PKEY *key = X509_get0_pubkey(cert);
	ASN1_OBJECT *algorithm = NULL;

	if (key != NULL)
		ph__tls_key_text(c->key, sizeof c->key, key);
	else if (X509_PUBKEY_get0_param(&algorithm, NULL, NULL, NULL, X509_get_X509_PUBKEY(cert)) == 1)
		algorithm_text(c->key, sizeof c->key, algorithm);
}

static bool
take_digests(struct ph_certificate *c, X509 *cert)
{
	unsigned char whole[PH__SHA256], key[PH__SHA256];

	if (!ph__tls_digests(cert, whole, key))
		return false;
	ph__tls_hex(c->sha256, sizeof c->sha256, whole, sizeof whole);
	ph__tls_hex(c->spki_sha256, sizeof c->spki_sha256, key, sizeof key);
	return true;
}

bool
ph__tls_describe(struct ph_certificate *ret, X509 *cert, struct ph__arena *a)
{
	const X509_NAME *subject = X509_get_subject_name(cert), *issuer = X509_get_issuer_name(cert);
	struct ph_certificate c = PH_CERTIFICATE_INIT;
	const X509_ALGOR *signature;
	bool ok;

	ok = take_der(&c, cert, a) && take_names(&c, cert, a) && take_digests(&c, cert) &&
		ph__tls_name_text(c.subject, sizeof c.subject, subject) &&
		ph__tls_name_text(c.issuer, sizeof c.issuer, issuer);
	serial_text(c.serial, sizeof c.serial, X509_get0_serialNumber(cert));
	c.not_before = seconds_of(X509_get0_notBefore(cert));
	c.not_after = seconds_of(X509_get0_notAfter(cert));
	take_key(&c, cert);
	X509_get0_signature(NULL, &signature, cert);
	algorithm_text(c.signature, sizeof c.signature, signature->algorithm);
	c.self_issued = X509_NAME_cmp(subject, issuer) == 0;
	ERR_clear_error();
	c.size = ret->size;
	if (ok)
		memcpy(ret, &c, ret->size < sizeof c ? ret->size : sizeof c);
	return ok;
}
