/* SPDX-License-Identifier: MIT */
/* Certificates for tests. See cert.h. RFC 5280; names as SANs only (RFC 6125 §6.4.4: the common
 * name is not looked at). Anybody who trusts the CA file trusts exactly one certificate. */
#include "sink/cert.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include "base/error.h"
#include "base/mem.h"

#define DAY 86400L

static bool
add_extension(X509 *cert, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX ctx;
	X509_EXTENSION *ext;
	bool ok;

	X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
	ext = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	ok = ext != NULL && X509_add_ext(cert, ext, -1) == 1;
	X509_EXTENSION_free(ext);
	return ok;
}

static bool
set_serial(X509 *cert)
{
	unsigned char octets[16];
	BIGNUM *n = NULL;
	bool ok = RAND_bytes(octets, sizeof octets) == 1;

	octets[0] = (octets[0] & 0x7f) | 0x40; /* positive, and never short */
	ok = ok && (n = BN_bin2bn(octets, sizeof octets, NULL)) != NULL &&
	     BN_to_ASN1_INTEGER(n, X509_get_serialNumber(cert)) != NULL;
	BN_free(n);
	return ok;
}

static bool
set_name(X509_NAME *name, const char *cn)
{
	static const unsigned char organisation[] = "posthaste sink";

	return X509_NAME_add_entry_by_txt(name, "O", MBSTRING_ASC, organisation, -1, -1, 0) == 1 &&
	       X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)cn, -1,
	                                  -1, 0) == 1;
}

/* Everything but extensions and signature. Valid from a day ago: clocks of test machines jump. An expired
 * one is so by as much. */
static X509 *
begin(const char *cn, EVP_PKEY *key, X509 *issuer, bool expired)
{
	X509 *cert = X509_new();
	X509_NAME *by = cert != NULL ? X509_get_subject_name(issuer != NULL ? issuer : cert) : NULL;

	if (cert != NULL && X509_set_version(cert, X509_VERSION_3) == 1 && set_serial(cert) &&
	    X509_gmtime_adj(X509_getm_notBefore(cert), expired ? -30 * DAY : -DAY) != NULL &&
	    X509_gmtime_adj(X509_getm_notAfter(cert), expired ? -DAY : 30 * DAY) != NULL &&
	    set_name(X509_get_subject_name(cert), cn) &&
	    X509_set_issuer_name(cert, by) == 1 &&
	    X509_set_pubkey(cert, key) == 1)
		return cert;
	X509_free(cert);
	return NULL;
}

static X509 *
make_ca(EVP_PKEY *key)
{
	X509 *ca = begin("test CA", key, NULL, false);

	if (ca != NULL &&
	    add_extension(ca, ca, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") &&
	    add_extension(ca, ca, NID_key_usage, "critical,keyCertSign,cRLSign") &&
	    add_extension(ca, ca, NID_subject_key_identifier, "hash") &&
	    X509_sign(ca, key, EVP_sha256()) > 0)
		return ca;
	X509_free(ca);
	return NULL;
}

static X509 *
make_leaf(EVP_PKEY *key, X509 *ca, EVP_PKEY *ca_key, const char *san, bool expired)
{
	X509 *leaf = begin("localhost", key, ca, expired);

	if (leaf != NULL && add_extension(leaf, ca, NID_basic_constraints, "critical,CA:FALSE") &&
	    add_extension(leaf, ca, NID_key_usage, "critical,digitalSignature") &&
	    add_extension(leaf, ca, NID_ext_key_usage, "serverAuth") &&
	    add_extension(leaf, ca, NID_subject_key_identifier, "hash") &&
	    add_extension(leaf, ca, NID_authority_key_identifier, "keyid:always") &&
	    add_extension(leaf, ca, NID_subject_alt_name, san) &&
	    X509_sign(leaf, ca_key, EVP_sha256()) > 0)
		return leaf;
	X509_free(leaf);
	return NULL;
}

/* A name goes into OpenSSL's own little language, in which commas and colons mean something. */
static bool
add_san(struct ph__buf *san, const char *name)
{
	unsigned char octets[16];
	size_t n = strlen(name);

	if (inet_pton(AF_INET, name, octets) == 1 || inet_pton(AF_INET6, name, octets) == 1)
		return ph__buf_addf(san, ",IP:%s", name);
	for (size_t i = 0; i < n; i++)
		if (!ph__is_alnum(name[i]) && name[i] != '-' && name[i] != '.' && name[i] != '_' &&
		    !(name[i] == '*' && i == 0))
			return false;
	return n != 0 && n <= 253 && ph__buf_addf(san, ",DNS:%s", name);
}

static bool
add_pem(struct ph__buf *to, X509 *cert, EVP_PKEY *key)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *p;
	long n;
	bool ok = false;

	if (bio != NULL && cert != NULL)
		ok = PEM_write_bio_X509(bio, cert) == 1;
	else if (bio != NULL)
		ok = PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) == 1;
	if (ok && (n = BIO_get_mem_data(bio, &p)) > 0)
		ok = ph__buf_add(to, p, (size_t)n);
	BIO_free(bio);
	return ok;
}

struct ph__cert_ca {
	EVP_PKEY *key;
	X509 *cert;
};

static enum ph_code
failed(struct ph_error *err)
{
	ERR_clear_error();
	return ph__fail(err, PH_ESYSTEM, PH_STAGE_PREPARE, PH_CAUSE_SYSTEM,
	                "OpenSSL could not make a certificate");
}

enum ph_code
ph__cert_ca_new(struct ph__cert_ca **ret, struct ph_error *err)
{
	struct ph__cert_ca *ca = ph__alloc0(&ph__libc_memory, sizeof *ca);

	if (ca == NULL)
		return ph__fail_nomem(err, PH_STAGE_PREPARE);
	if ((ca->key = EVP_EC_gen("P-256")) == NULL || (ca->cert = make_ca(ca->key)) == NULL) {
		ph__cert_ca_free(&ca);
		return failed(err);
	}
	*ret = ca;
	return PH_OK;
}

void
ph__cert_ca_free(struct ph__cert_ca **pca)
{
	struct ph__cert_ca *ca = *pca;

	if (ca == NULL)
		return;
	X509_free(ca->cert);
	EVP_PKEY_free(ca->key);
	ph__free(&ph__libc_memory, ca);
	*pca = NULL;
}

enum ph_code
ph__cert_ca_pem(const struct ph__cert_ca *ca, struct ph__buf *to, struct ph_error *err)
{
	return add_pem(to, ca->cert, NULL) ? PH_OK : failed(err);
}

static enum ph_code
list_names(struct ph__buf *san, enum ph__cert_fault fault, const char *const *names, size_t count,
           struct ph_error *err)
{
	if (fault == PH__CERT_NAME) {
		ph__buf_add_str(san, "DNS:another-host.invalid");
		return PH_OK;
	}
	ph__buf_add_str(san, "DNS:localhost,IP:127.0.0.1,IP:::1");
	for (size_t i = 0; i < count; i++)
		if (!add_san(san, names[i]))
			return ph__fail(err, PH_EUSAGE, PH_STAGE_PREPARE, PH_CAUSE_ARGUMENT,
			                "--cert-name: \"%s\" is no host name and no address", names[i]);
	return PH_OK;
}

enum ph_code
ph__cert_make(const struct ph__cert_ca *ca, enum ph__cert_fault fault, const char *const *names,
              size_t count, struct ph__buf *chain, struct ph__buf *key_pem, struct ph_error *err)
{
	struct ph__cert_ca *other = NULL;
	EVP_PKEY *key = NULL;
	X509 *leaf = NULL;
	struct ph__buf san;
	enum ph_code rc;
	bool ok;

	if (fault == PH__CERT_UNTRUSTED) {
		if ((rc = ph__cert_ca_new(&other, err)) < 0)
			return rc;
		ca = other;
	}
	ph__buf_init(&san, chain->mem, 64 * 1024);
	rc = list_names(&san, fault, names, count, err);
	ok = rc == PH_OK && (key = EVP_EC_gen("P-256")) != NULL &&
	     (leaf = make_leaf(key, ca->cert, ca->key, ph__buf_cstr(&san),
	                       fault == PH__CERT_EXPIRED)) != NULL &&
	     add_pem(chain, leaf, NULL) && add_pem(key_pem, NULL, key);
	ph__buf_done(&san);
	X509_free(leaf);
	EVP_PKEY_free(key);
	ph__cert_ca_free(&other);
	return ok || rc < 0 ? rc : failed(err);
}
