/* SPDX-License-Identifier: MIT */
/* TLS policy: trust, client certificate, pins, verification, sessions. See conn.h and tls.h.
 *
 * One SSL_CTX a policy. Nothing of OpenSSL's that is shared by the process is changed; its error
 * queue is empty when a function of this folder returns.
 *
 * Verification is one function, judge_peer(), called by OpenSSL in place of its own: chain and name
 * (RFC 5280, 9525), or a pin or a TLSA record instead (tls_dane.c), or nothing when the user said so. It
 * fails the handshake only when the connection enforces; otherwise the reason is kept as a fact.
 * Names: DNS-ID and IP-ID from subjectAltName; wildcards for one whole left-most label only. The
 * subject's CN counts only in a certificate without any DNS-ID, as with Postfix and curl: small
 * private servers still have such certificates, and OpenSSL applies name constraints to it.
 *
 * Sessions are kept here, not in OpenSSL's cache, with what was proved when they were made: a
 * session made without enforcing never stands in for a verified one. A TLS 1.3 ticket is used once
 * (RFC 8446 §C.4).
 *
 * Trust: without a file or directory of the user's, the system's hashed directory, read when a
 * certificate is needed; parsing the whole bundle would cost 25 ms. The bundle is the substitute
 * where no hashed directory exists. SSL_CERT_DIR and SSL_CERT_FILE are honoured as
 * OpenSSL honours them. */
#include "net/tls.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/escape.h"
#include "base/str.h"

static enum ph_code
config_error(struct ph_error *err, const char *what, const char *path)
{
	char why[160];

	ph__tls_reason(why, sizeof why);
	return ph__fail(err, PH_ECONFIG, PH_STAGE_PREPARE, PH_CAUSE_ARGUMENT, "%s %.200s: %s", what,
	                path, why);
}

/* Whether it can be opened, asked first: OpenSSL's answer would mix "absent" with "malformed". */
static enum ph_code
check_readable(const char *path, bool want_dir, const char *what, struct ph_error *err)
{
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), sys = 0;

	if (fd < 0 || fstat(fd, &st) != 0)
		sys = errno;
	else if (want_dir && !S_ISDIR(st.st_mode))
		sys = ENOTDIR;
	else if (!want_dir && S_ISDIR(st.st_mode))
		sys = EISDIR;
	if (fd >= 0)
		close(fd);
	if (sys == 0)
		return PH_OK;
	return ph__fail_errno(err, PH_ENOINPUT, PH_STAGE_PREPARE, PH_CAUSE_SYSTEM, sys,
	                      "cannot read %s %.200s", what, path);
}

/* ---- trust */

/* Eight hex digits, a dot, digits: what openssl-rehash makes. */
static bool
is_hashed_dir(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *e;
	bool found = false;

	while (dir != NULL && !found && (e = readdir(dir)) != NULL)
		found = strspn(e->d_name, "0123456789abcdef") == 8 && e->d_name[8] == '.' &&
			ph__is_digit(e->d_name[9]);
	if (dir != NULL)
		closedir(dir);
	return found;
}

static bool
same_file(const char *a, const char *b)
{
	struct stat sa, sb;

	return stat(a, &sa) == 0 && stat(b, &sb) == 0 && sa.st_dev == sb.st_dev &&
		sa.st_ino == sb.st_ino;
}

/* Many environments set both variables to what is the default anyway: that changes nothing. */
static bool
wants_bundle(void)
{
	const char *dir = secure_getenv(X509_get_default_cert_dir_env());
	const char *file = secure_getenv(X509_get_default_cert_file_env());
	bool own_dir = dir != NULL && !same_file(dir, X509_get_default_cert_dir());
	bool own_file = file != NULL && !same_file(file, X509_get_default_cert_file());

	if (own_dir || own_file)
		return file != NULL;
	return !is_hashed_dir(X509_get_default_cert_dir());
}

static enum ph_code
trust_system(struct ph__tls *tls, struct ph_error *err)
{
	if (SSL_CTX_set_default_verify_dir(tls->ctx) != 1 ||
	    (wants_bundle() && SSL_CTX_set_default_verify_file(tls->ctx) != 1))
		return ph__fail_nomem(err, PH_STAGE_PREPARE);
	return PH_OK;
}

static enum ph_code
trust(struct ph__tls *tls, const struct ph_tls_opts *opts, struct ph_error *err)
{
	enum ph_code rc;

	if (opts->ca_file == NULL && opts->ca_dir == NULL)
		return trust_system(tls, err);
	if (opts->ca_file != NULL) {
		if ((rc = check_readable(opts->ca_file, false, "the CA file", err)) < 0)
			return rc;
		if (SSL_CTX_load_verify_file(tls->ctx, opts->ca_file) != 1)
			return config_error(err, "no certificate in the CA file", opts->ca_file);
	}
	if (opts->ca_dir == NULL)
		return PH_OK;
	if ((rc = check_readable(opts->ca_dir, true, "the CA directory", err)) < 0)
		return rc;
	if (!is_hashed_dir(opts->ca_dir)) {
		ph__fail(err, PH_ECONFIG, PH_STAGE_PREPARE, PH_CAUSE_ARGUMENT,
		         "the CA directory %.200s has no hashed certificates", opts->ca_dir);
		ph__hint(err, "run: openssl rehash %.200s", opts->ca_dir);
		return PH_ECONFIG;
	}
	if (SSL_CTX_load_verify_dir(tls->ctx, opts->ca_dir) != 1)
		return ph__fail_nomem(err, PH_STAGE_PREPARE);
	return PH_OK;
}

/* ---- client certificate */

/* OpenSSL would ask on the terminal. */
static int
no_pass_phrase(char *buf, int size, int writing, void *user)
{
	(void)buf, (void)size, (void)writing;
	*(bool *)user = true;
	return -1;
}

static enum ph_code
load_key(struct ph__tls *tls, const char *path, bool *encrypted, struct ph_error *err)
{
	enum ph_code rc = check_readable(path, false, "the key file", err);

	if (rc < 0 || SSL_CTX_use_PrivateKey_file(tls->ctx, path, SSL_FILETYPE_PEM) == 1)
		return rc;
	if (!*encrypted) {
		config_error(err, "unusable private key in", path);
		ph__hint(err, "the key is PEM, and stands in the certificate's file or in --key FILE");
		return PH_ECONFIG;
	}
	ERR_clear_error();
	ph__fail(err, PH_ECONFIG, PH_STAGE_PREPARE, PH_CAUSE_ARGUMENT,
	         "the private key in %.200s is encrypted, and no pass phrase is asked for", path);
	ph__hint(err, "store it without one, readable by its user only: "
	         "openssl pkey -in OLD -out NEW; chmod 600 NEW");
	return PH_ECONFIG;
}

static enum ph_code
load_identity(struct ph__tls *tls, const struct ph_tls_opts *opts, struct ph_error *err)
{
	const char *key = opts->key_file != NULL ? opts->key_file : opts->cert_file;
	bool encrypted = false;
	enum ph_code rc;

	if (opts->cert_file == NULL && opts->key_file == NULL)
		return PH_OK;
	if (opts->cert_file == NULL)
		return ph__fail(err, PH_ECONFIG, PH_STAGE_PREPARE, PH_CAUSE_ARGUMENT,
		                "the key %.200s has no certificate: both are needed", key);
	if ((rc = check_readable(opts->cert_file, false, "the certificate file", err)) < 0)
		return rc;
	SSL_CTX_set_default_passwd_cb(tls->ctx, no_pass_phrase);
	SSL_CTX_set_default_passwd_cb_userdata(tls->ctx, &encrypted);
	if (SSL_CTX_use_certificate_chain_file(tls->ctx, opts->cert_file) != 1) {
		rc = config_error(err, "unusable client certificate in", opts->cert_file);
		ph__hint(err, "the file holds the certificate, then its chain, in PEM");
	} else if ((rc = load_key(tls, key, &encrypted, err)) == PH_OK &&
	         SSL_CTX_check_private_key(tls->ctx) != 1)
		rc = config_error(err, "the key does not belong to", opts->cert_file);
	SSL_CTX_set_default_passwd_cb(tls->ctx, NULL);
	SSL_CTX_set_default_passwd_cb_userdata(tls->ctx, NULL);
	return rc;
}

/* ---- pins */

/* 64 hex digits, colons between octets allowed. */
static bool
pin_from_hex(unsigned char pin[PH__SHA256], const char *s)
{
	size_t n;

	for (n = 0; n < PH__SHA256; n++, s += 2) {
		if (n != 0 && *s == ':')
			s++;
		if (ph__hex_value(s[0]) < 0 || ph__hex_value(s[1]) < 0)
			return false;
		pin[n] = (unsigned char)(ph__hex_value(s[0]) << 4 | ph__hex_value(s[1]));
	}
	return *s == '\0';
}

static bool
pin_from_base64(unsigned char pin[PH__SHA256], const char *s)
{
	const size_t chars = 43; /* and one '=' */
	unsigned char out[PH__SHA256 + 1];
	size_t i;

	for (i = 0; i < chars; i++)
		if (!ph__is_alnum(s[i]) && s[i] != '+' && s[i] != '/')
			return false;
	if (strcmp(s + chars, "=") != 0 ||
	    EVP_DecodeBlock(out, (const unsigned char *)s, 44) != PH__SHA256 + 1)
		return false;
	memcpy(pin, out, PH__SHA256);
	return true;
}

static bool
parse_pin(unsigned char pin[PH__SHA256], const char *s)
{
	if (strncasecmp(s, "sha256//", 8) == 0)
		s += 8;
	else if (strncasecmp(s, "sha256:", 7) == 0)
		s += 7;
	return pin_from_hex(pin, s) || pin_from_base64(pin, s);
}

static enum ph_code
take_pins(struct ph__tls *tls, const struct ph_tls_opts *opts, struct ph_error *err)
{
	size_t i;

	if (opts->pin_count == 0)
		return PH_OK;
	if (opts->pin_count > PH__PINS_MAX)
		return ph__fail(err, PH_ECONFIG, PH_STAGE_PREPARE, PH_CAUSE_ARGUMENT,
		                "%zu pins are more than %d", opts->pin_count, PH__PINS_MAX);
	tls->pins = ph__alloc_array(tls->mem, opts->pin_count, sizeof tls->pins[0]);
	if (tls->pins == NULL)
		return ph__fail_nomem(err, PH_STAGE_PREPARE);
	for (i = 0; i < opts->pin_count; i++)
		if (opts->pins[i] == NULL || !parse_pin(tls->pins[i], opts->pins[i])) {
			ph__fail(err, PH_ECONFIG, PH_STAGE_PREPARE, PH_CAUSE_ARGUMENT,
			         "the pin \"%.100s\" is no SHA-256",
			         opts->pins[i] != NULL ? opts->pins[i] : "");
			ph__hint(err, "a pin is 64 hex digits (colons allowed) or 44 characters of "
			         "base64, of the certificate or of its public key; \"sha256:\" may "
			         "stand before it");
			return PH_ECONFIG;
		}
	tls->pin_count = opts->pin_count;
	return PH_OK;
}

bool
ph__tls_digests(X509 *cert, unsigned char whole[PH__SHA256], unsigned char key[PH__SHA256])
{
	unsigned char *der = NULL;
	int n = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(cert), &der);
	bool ok = n > 0 && EVP_Digest(der, (size_t)n, key, NULL, EVP_sha256(), NULL) == 1 &&
		X509_digest(cert, EVP_sha256(), whole, NULL) == 1;

	OPENSSL_free(der);
	return ok;
}

static bool
pin_matches(const struct ph__tls *tls, X509 *leaf)
{
	unsigned char whole[PH__SHA256], key[PH__SHA256];
	size_t i;

	if (leaf == NULL || !ph__tls_digests(leaf, whole, key))
		return false;
	for (i = 0; i < tls->pin_count; i++)
		if (memcmp(tls->pins[i], whole, PH__SHA256) == 0 ||
		    memcmp(tls->pins[i], key, PH__SHA256) == 0)
			return true;
	return false;
}

/* ---- application protocols */

/* "a,b" as RFC 7301 §3.1 has it: each name behind its length. */
static enum ph_code
take_alpn(struct ph__tls *tls, const struct ph_tls_opts *opts, struct ph_error *err)
{
	unsigned char wire[PH__ALPN_MAX];
	struct ph_str rest = ph__str(opts->alpn);
	size_t n = 0;

	if (opts->alpn == NULL)
		return PH_OK;
	if (rest.len >= sizeof wire)
		return ph__fail(err, PH_ECONFIG, PH_STAGE_PREPARE, PH_CAUSE_LIMIT,
		                "the application protocols (ALPN) are %zu octets, more than %d", rest.len,
		                PH__ALPN_MAX - 1);
	while (rest.ptr != NULL) {
		struct ph_str name = ph__str_cut(&rest, ',');

		if (name.len == 0 || name.len > PH__ALPN_NAME_MAX) {
			ph__fail(err, PH_ECONFIG, PH_STAGE_PREPARE, PH_CAUSE_ARGUMENT,
			         "a name among the application protocols (ALPN) \"%.100s\" has %zu octets; "
			         "it must have 1 to %d", opts->alpn, name.len, PH__ALPN_NAME_MAX);
			ph__hint(err, "names with commas between: a,b");
			return PH_ECONFIG;
		}
		wire[n++] = (unsigned char)name.len;
		memcpy(wire + n, name.ptr, name.len); /* @UNSAFE: a length takes its comma's place */
		n += name.len;
	}
	if (SSL_CTX_set_alpn_protos(tls->ctx, wire, (unsigned)n) != 0) /* 0 is good */
		return ph__fail_nomem(err, PH_STAGE_PREPARE);
	return PH_OK;
}

/* ---- verification */

static void
set_problem(struct ph__tls_peer *p, enum ph_cause cause, const char *text)
{
	ph__free(p->tls->mem, p->problem);
	p->problem = ph__strdup(p->tls->mem, text);
	p->cause = cause;
}

static bool
peer_is_proved(const struct ph__tls *tls, X509_STORE_CTX *ctx, struct ph_error *why)
{
	X509 *leaf = X509_STORE_CTX_get0_cert(ctx);

	if (tls->pin_count != 0) {
		if (pin_matches(tls, leaf)) {
			X509_STORE_CTX_set_error(ctx, X509_V_OK);
			return true;
		}
		X509_STORE_CTX_set_error(ctx, X509_V_ERR_APPLICATION_VERIFICATION);
		ph__tls_explain_pin(why, tls, leaf);
		return false;
	}
	if (X509_verify_cert(ctx) > 0 && tls->name.name[0] != '\0')
		return true;
	if (X509_STORE_CTX_get_error(ctx) == X509_V_OK)
		X509_STORE_CTX_set_error(ctx, tls->name.name[0] == '\0' ?
		                         X509_V_ERR_HOSTNAME_MISMATCH : X509_V_ERR_UNSPECIFIED);
	ph__tls_explain_cert(why, tls, ctx);
	return false;
}

/* OpenSSL's certificate verification callback: 1 goes on. */
static int
judge_peer(X509_STORE_CTX *ctx, void *unused)
{
	SSL *ssl = X509_STORE_CTX_get_ex_data(ctx, SSL_get_ex_data_X509_STORE_CTX_idx());
	struct ph__tls_peer *p = SSL_get_app_data(ssl);
	struct ph_error why = PH_ERROR_INIT;

	(void)unused;
	if (p->tls->insecure) {
		set_problem(p, PH_CAUSE_NONE, "verification is switched off");
		return 1;
	}
	p->judged = peer_is_proved(p->tls, ctx, &why);
	if (p->judged)
		return 1;
	if (!p->enforce) {
		set_problem(p, why.cause, why.text);
		return 1;
	}
	ph__error_copy(p->err, &why);
	p->explained = true;
	return 0;
}

/* ---- sessions */

static void
session_drop(struct ph__tls *tls, size_t i)
{
	SSL_SESSION_free(tls->sessions[i].s);
	ph__free(tls->mem, tls->sessions[i].problem);
	tls->session_count--;
	memmove(tls->sessions + i, tls->sessions + i + 1,
	        (tls->session_count - i) * sizeof tls->sessions[0]);
}

bool
ph__tls_proved(const struct ph__tls_peer *peer, const SSL *ssl)
{
	return SSL_session_reused(ssl) ? peer->offered : peer->judged;
}

/* Called for each ticket, at any time after the handshake. 1: the session is ours now. */
static int
keep_session(SSL *ssl, SSL_SESSION *s)
{
	struct ph__tls_peer *p = SSL_get_app_data(ssl);
	struct ph__tls *tls = p->tls;
	bool verified = ph__tls_proved(p, ssl);
	char *problem = NULL;

	if (!verified && p->problem != NULL && (problem = ph__strdup(tls->mem, p->problem)) == NULL)
		return 0;
	if (tls->session_count == PH__TLS_SESSIONS)
		session_drop(tls, 0);
	tls->sessions[tls->session_count++] = (struct ph__tls_session){ s, verified, problem, p->cause };
	return 1;
}

/* The newest that may stand in for this connection's own verification. */
static void
offer_session(struct ph__tls_peer *p, SSL *ssl)
{
	struct ph__tls *tls = p->tls;
	size_t i;

	for (i = tls->session_count; i-- > 0; ) {
		struct ph__tls_session *k = &tls->sessions[i];

		if (!SSL_SESSION_is_resumable(k->s)) {
			session_drop(tls, i);
			continue;
		}
		if (p->enforce && !tls->insecure && !k->verified)
			continue;
		if (SSL_set_session(ssl, k->s) != 1)
			return;
		p->offered = k->verified;
		if (k->problem != NULL)
			set_problem(p, k->cause, k->problem);
		if (SSL_SESSION_get_protocol_version(k->s) >= TLS1_3_VERSION)
			session_drop(tls, i);
		return;
	}
}

/* ---- objects */

static enum ph_code
set_versions(struct ph__tls *tls, struct ph_error *err)
{
	SSL_CTX *ctx = tls->ctx;
	int min = tls->min_version == PH_TLS_1_3 ? TLS1_3_VERSION : TLS1_2_VERSION;

	if (SSL_CTX_get_min_proto_version(ctx) > min) /* the system's policy may be stricter */
		min = (int)SSL_CTX_get_min_proto_version(ctx);
	if (SSL_CTX_set_min_proto_version(ctx, min) != 1)
		return config_error(err, "cannot set the least version", "of TLS");
	return PH_OK;
}

/* OpenSSL's two record buffers, 34 KiB, are given back between records: most connections idle. */
static enum ph_code
make_context(struct ph__tls *tls, struct ph_error *err)
{
	X509_VERIFY_PARAM *param;

	ERR_clear_error();
	if ((tls->ctx = SSL_CTX_new(TLS_client_method())) == NULL)
		return config_error(err, "OpenSSL cannot make", "a TLS context");
	SSL_CTX_set_mode(tls->ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
	                 SSL_MODE_AUTO_RETRY);
	SSL_CTX_set_options(tls->ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
	SSL_CTX_set_verify(tls->ctx, SSL_VERIFY_PEER, NULL);
	SSL_CTX_set_cert_verify_callback(tls->ctx, judge_peer, NULL);
	SSL_CTX_set_session_cache_mode(tls->ctx, tls->no_resume ? SSL_SESS_CACHE_OFF :
	                               SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	if (!tls->no_resume)
		SSL_CTX_sess_set_new_cb(tls->ctx, keep_session);
	param = SSL_CTX_get0_param(tls->ctx);
	X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	/* What the user named as trusted is trusted, root or not. */
	X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_PARTIAL_CHAIN);
	return set_versions(tls, err);
}

/* By hand, TLS may never be asked for, and a context costs as much as a few messages. What was named to
 * be read is read at once all the same, for its errors. */
static bool
may_wait(const struct ph_tls_opts *o)
{
	return o->mode == PH_TLS_BY_HAND && o->ca_file == NULL && o->ca_dir == NULL &&
		o->cert_file == NULL && o->key_file == NULL && o->alpn == NULL && o->tlsa_count == 0;
}

static enum ph_code
make_late_context(struct ph__tls *tls, struct ph_error *err)
{
	enum ph_code rc = make_context(tls, err);

	if (rc == PH_OK && !tls->insecure && tls->pin_count == 0)
		rc = trust_system(tls, err);
	if (rc == PH_OK)
		return PH_OK;
	SSL_CTX_free(tls->ctx);
	tls->ctx = NULL;
	return rc;
}

enum ph_code
ph__tls_new(struct ph__tls **ret, const struct ph_tls_opts *opts, const char *host,
            const struct ph_allocator *mem, struct ph_error *err)
{
	struct ph__tls *tls = ph__alloc0(mem, sizeof *tls);
	const char *name = opts->server_name != NULL ? opts->server_name : host;
	bool late = may_wait(opts);
	enum ph_code rc = PH_OK;

	if (tls == NULL)
		return ph__fail_nomem(err, PH_STAGE_PREPARE);
	tls->mem = mem;
	tls->insecure = opts->insecure;
	tls->no_resume = opts->no_resume;
	tls->min_version = opts->min_version;
	if (name != NULL && !ph__host_parse(&tls->name, name, "TLS server name", PH_ECONFIG, err))
		rc = PH_ECONFIG;
	if (rc == PH_OK && !late)
		rc = make_context(tls, err);
	if (rc == PH_OK && !late && !tls->insecure && opts->pin_count == 0 && opts->tlsa_count == 0)
		rc = trust(tls, opts, err);
	if (rc == PH_OK)
		rc = load_identity(tls, opts, err);
	if (rc == PH_OK)
		rc = take_pins(tls, opts, err);
	if (rc == PH_OK)
		rc = ph__tls_take_tlsa(tls, opts, err);
	if (rc == PH_OK)
		rc = ph__tls_take_names(tls, opts, err);
	if (rc == PH_OK)
		rc = take_alpn(tls, opts, err);
	ERR_clear_error();
	if (rc < 0) {
		ph__tls_free(&tls);
		return rc;
	}
	*ret = tls;
	return PH_OK;
}

void
ph__tls_free(struct ph__tls **tls)
{
	struct ph__tls *t = *tls;

	if (t == NULL)
		return;
	while (t->session_count != 0)
		session_drop(t, t->session_count - 1);
	SSL_CTX_free(t->ctx);
	BIO_meth_free(t->bio);
	ph__free(t->mem, t->pins);
	ph__free(t->mem, t->tlsa);
	ph__free(t->mem, t->names);
	ph__free(t->mem, t);
	*tls = NULL;
}

static bool
add_names(X509_VERIFY_PARAM *param, const struct ph__tls *tls)
{
	bool ok = true;

	for (size_t i = 0; i < tls->name_count && ok; i++)
		ok = X509_VERIFY_PARAM_add1_host(param, tls->names[i], 0) == 1;
	return ok;
}

/* RFC 6066 §3: literal addresses are not sent as SNI. */
static bool
set_name(SSL *ssl, const struct ph__host *name)
{
	X509_VERIFY_PARAM *param = SSL_get0_param(ssl);
	const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)&name->addr;
	const struct sockaddr_in *in = (const struct sockaddr_in *)&name->addr;

	if (name->name[0] == '\0')
		return true;
	if (name->family == AF_INET6)
		return X509_VERIFY_PARAM_set1_ip(param, in6->sin6_addr.s6_addr, 16) == 1;
	if (name->family == AF_INET)
		return X509_VERIFY_PARAM_set1_ip(param, (const void *)&in->sin_addr, 4) == 1;
	return X509_VERIFY_PARAM_set1_host(param, name->name, 0) == 1 &&
		SSL_set_tlsext_host_name(ssl, name->name) == 1;
}

SSL *
ph__tls_open(struct ph__tls_peer *peer, struct ph_error *err)
{
	SSL *ssl;

	if (peer->tls->ctx == NULL && make_late_context(peer->tls, err) != PH_OK)
		return NULL;
	ERR_clear_error();
	ssl = SSL_new(peer->tls->ctx);
	if (ssl == NULL || SSL_set_app_data(ssl, peer) != 1 ||
	    (peer->tls->tlsa_count != 0 && !ph__tls_enable_dane(peer->tls, ssl)) ||
	    !set_name(ssl, &peer->tls->name) || !add_names(SSL_get0_param(ssl), peer->tls)) {
		SSL_free(ssl);
		ERR_clear_error();
		ph__fail_nomem(err, PH_STAGE_TLS);
		return NULL;
	}
	SSL_set_connect_state(ssl);
	if (!peer->tls->no_resume)
		offer_session(peer, ssl);
	return ssl;
}

/* TLS 1.3 always has a named group, before it there may be a key of the server's own (DHE), or none
 * (RSA key exchange). */
static void
take_group(SSL *ssl, char *buf, size_t size)
{
	int nid = (int)SSL_get_negotiated_group(ssl);
	const char *name = OBJ_nid2sn(nid);
	EVP_PKEY *key = NULL;

	if (name == NULL) /* a provider's, without a number of OpenSSL's */
		name = SSL_group_to_name(ssl, nid);
	if (nid != NID_undef && name != NULL)
		snprintf(buf, size, "%s", name);
	else if (SSL_get_peer_tmp_key(ssl, &key) == 1)
		ph__tls_key_text(buf, size, key);
	EVP_PKEY_free(key);
	ERR_clear_error();
}

static void
take_protocol(SSL *ssl, char *buf, size_t size)
{
	const unsigned char *name;
	unsigned n;

	SSL_get0_alpn_selected(ssl, &name, &n);
	if (n != 0)
		ph__escape_into(buf, size, (struct ph_str){ (const char *)name, n }, false);
}

/* tls-exporter (RFC 9266 §2) where the exporter is bound to the whole handshake, TLS 1.3. tls-unique
 * (RFC 5929 §3.1): the first Finished of the latest handshake, which is the client's, or when a session
 * was resumed the server's; only where the master secret is bound to the handshake, too (RFC 7627):
 * else a man in the middle can make it the same on both sides (triple handshake). */
void
ph__tls_bindings(SSL *ssl, struct ph_tls_facts *facts)
{
	static const char label[] = "EXPORTER-Channel-Binding";
	bool ours = SSL_is_server(ssl) == SSL_session_reused(ssl);

	facts->exporter_len = facts->unique_len = 0;
	if (SSL_version(ssl) >= TLS1_3_VERSION) {
		if (SSL_export_keying_material(ssl, facts->exporter, sizeof facts->exporter, label,
		                               sizeof label - 1, NULL, 0, 1) == 1)
			facts->exporter_len = sizeof facts->exporter;
	} else if (SSL_version(ssl) == TLS1_2_VERSION && SSL_get_extms_support(ssl) == 1) {
		size_t n = ours ? SSL_get_finished(ssl, facts->unique, sizeof facts->unique)
		                : SSL_get_peer_finished(ssl, facts->unique, sizeof facts->unique);

		facts->unique_len = n <= sizeof facts->unique ? n : 0;
	}
	ERR_clear_error();
}

void
ph__tls_facts(const struct ph__tls_peer *peer, SSL *ssl, struct ph_tls_facts *facts)
{
	struct ph_tls_facts f = PH_TLS_FACTS_INIT;

	f.size = facts->size;
	f.verified = ph__tls_proved(peer, ssl);
	f.resumed = SSL_session_reused(ssl) != 0;
	snprintf(f.version, sizeof f.version, "%s", SSL_get_version(ssl));
	snprintf(f.cipher, sizeof f.cipher, "%s", SSL_get_cipher_name(ssl));
	snprintf(f.peer_name, sizeof f.peer_name, "%s", peer->tls->name.name);
	if (!f.verified)
		f.problem_cause = SSL_get0_peer_certificate(ssl) != NULL ? peer->cause
		                                                         : PH_CAUSE_CERT_OTHER;
	if (!f.verified)
		snprintf(f.problem, sizeof f.problem, "%s", peer->problem != NULL ? peer->problem :
		         SSL_get0_peer_certificate(ssl) == NULL ? "the server showed no certificate" :
		         "out of memory for the reason");
	take_protocol(ssl, f.alpn, sizeof f.alpn);
	take_group(ssl, f.group, sizeof f.group);
	ph__tls_bindings(ssl, &f);
	memcpy(facts, &f, facts->size < sizeof f ? facts->size : sizeof f);
}
