/* SPDX-License-Identifier: MIT */
#ifndef NET_CA_H
#define NET_CA_H
/* A certificate authority made in memory, for tests. Every function asserts. */
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define DAY 86400L

struct ident {
	EVP_PKEY *key;
	X509 *cert;
};

struct cert_spec {
	const char *cn;
	const char *san;     /* "DNS:a,IP:127.0.0.1"; NULL: none */
	long from, to;       /* seconds from now; both 0: a day to each side */
	bool ca;
	const struct ident *issuer; /* NULL: self-signed */
};

static inline void
ca_add_ext(X509 *cert, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX ctx;
	X509_EXTENSION *ext;

	X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
	ext = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	assert_non_null(ext);
	assert_int_equal(X509_add_ext(cert, ext, -1), 1);
	X509_EXTENSION_free(ext);
}

static inline struct ident
ca_make(struct cert_spec spec)
{
	static long serial = 1000;
	struct ident id = { EVP_EC_gen("P-256"), X509_new() };
	X509 *issuer = spec.issuer != NULL ? spec.issuer->cert : id.cert;
	X509_NAME *name = X509_get_subject_name(id.cert);

	assert_non_null(id.key);
	X509_set_version(id.cert, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(id.cert), ++serial);
	X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (const unsigned char *)spec.cn, -1, -1, 0);
	X509_set_issuer_name(id.cert, X509_get_subject_name(issuer));
	if (spec.from == 0 && spec.to == 0) {
		spec.from = -DAY;
		spec.to = DAY;
	}
	X509_gmtime_adj(X509_getm_notBefore(id.cert), spec.from);
	X509_gmtime_adj(X509_getm_notAfter(id.cert), spec.to);
	X509_set_pubkey(id.cert, id.key);
	ca_add_ext(id.cert, issuer, NID_basic_constraints, spec.ca ? "critical,CA:TRUE" : "CA:FALSE");
	if (spec.san != NULL)
		ca_add_ext(id.cert, issuer, NID_subject_alt_name, spec.san);
	assert_true(X509_sign(id.cert, spec.issuer != NULL ? spec.issuer->key : id.key,
	                      EVP_sha256()) > 0);
	return id;
}

static inline void
ca_free(struct ident *id)
{
	EVP_PKEY_free(id->key);
	X509_free(id->cert);
	*id = (struct ident){ 0 };
}

static inline void
ca_write_cert(const char *path, const struct ident *id)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_int_equal(PEM_write_X509(f, id->cert), 1);
	assert_int_equal(fclose(f), 0);
}

static inline void
ca_write_key(const char *path, const struct ident *id, const char *pass)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_int_equal(PEM_write_PKCS8PrivateKey(f, id->key, pass != NULL ? EVP_aes_128_cbc() : NULL,
	                                           pass, pass != NULL ? (int)strlen(pass) : 0, NULL,
	                                           NULL), 1);
	assert_int_equal(fclose(f), 0);
}

#endif
