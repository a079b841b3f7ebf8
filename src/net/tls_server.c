/* SPDX-License-Identifier: MIT */
/* TLS as a server. See tls_server.h. Two memory BIOs a connection; OpenSSL owns both.
 *
 * TLS 1.2 at least (RFC 8996), no renegotiation, session tickets on, so that clients' resumption
 * can be tested. No client certificate is asked for. Keys given as PEM are read here and not
 * kept. */
#include "net/tls_server.h"

#include <assert.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <stdio.h>

#include "base/error.h"
#include "base/mem.h"
#include "net/tls.h"

struct ph__tls_server {
	const struct ph_allocator *mem;
	SSL_CTX *ctx;
};

struct ph__tls_stream {
	const struct ph_allocator *mem;
	SSL *ssl;
	BIO *in, *out; /* the SSL's */
	bool broken;   /* after a fatal error SSL_shutdown() must not be called */
};

static const char *
reason(char *buf, size_t size)
{
	unsigned long e = ERR_peek_error();
	const char *s = e != 0 ? ERR_reason_error_string(e) : NULL;

	snprintf(buf, size, "%s", s != NULL ? s : "no reason given");
	ERR_clear_error();
	return buf;
}

static enum ph_code
bad_config(struct ph_error *err, const char *what)
{
	char buf[128];

	return ph__fail(err, PH_ECONFIG, PH_STAGE_TLS, PH_CAUSE_ARGUMENT, "%s: %s", what,
	                reason(buf, sizeof buf));
}

/* A key with a pass phrase would make OpenSSL ask on the terminal. */
static int
no_passphrase(char *buf, int size, int writing, void *user)
{
	(void)buf, (void)size, (void)writing, (void)user;
	return -1;
}

static bool
use_chain(SSL_CTX *ctx, BIO *bio)
{
	X509 *cert = PEM_read_bio_X509(bio, NULL, no_passphrase, NULL);
	bool ok = cert != NULL && SSL_CTX_use_certificate(ctx, cert) == 1;

	X509_free(cert);
	while (ok && (cert = PEM_read_bio_X509(bio, NULL, no_passphrase, NULL)) != NULL) {
		ok = SSL_CTX_add1_chain_cert(ctx, cert) == 1;
		X509_free(cert);
	}
	if (ok)
		ERR_clear_error(); /* "no start line" is how a chain ends */
	return ok;
}

static bool
use_key(SSL_CTX *ctx, BIO *bio)
{
	EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL);
	bool ok = key != NULL && SSL_CTX_use_PrivateKey(ctx, key) == 1;

	EVP_PKEY_free(key);
	return ok;
}

static enum ph_code
load(SSL_CTX *ctx, const struct ph__tls_server_opts *opts, struct ph_error *err)
{
	BIO *chain = BIO_new_mem_buf(opts->chain.ptr, (int)opts->chain.len);
	BIO *key = BIO_new_mem_buf(opts->key.ptr, (int)opts->key.len);
	enum ph_code rc = PH_OK;

	if (chain == NULL || key == NULL)
		rc = ph__fail_nomem(err, PH_STAGE_TLS);
	else if (!use_chain(ctx, chain))
		rc = bad_config(err, "the certificate cannot be used");
	else if (!use_key(ctx, key))
		rc = bad_config(err, "the certificate's key cannot be used");
	BIO_free(chain);
	BIO_free(key);
	return rc;
}

static void
configure(SSL_CTX *ctx, enum ph_tls_version min)
{
	SSL_CTX_set_min_proto_version(ctx, min == PH_TLS_1_3 ? TLS1_3_VERSION : TLS1_2_VERSION);
	SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
	                         SSL_OP_IGNORE_UNEXPECTED_EOF | SSL_OP_CIPHER_SERVER_PREFERENCE);
	SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_session_id_context(ctx, (const unsigned char *)"posthaste", 9);
}

enum ph_code
ph__tls_server_new(struct ph__tls_server **ret, const struct ph__tls_server_opts *opts,
                   const struct ph_allocator *mem, struct ph_error *err)
{
	struct ph__tls_server *s;
	enum ph_code rc;

	if (opts->chain.len > INT32_MAX || opts->key.len > INT32_MAX)
		return ph__fail(err, PH_ECONFIG, PH_STAGE_TLS, PH_CAUSE_ARGUMENT,
		                "the certificate or its key is far too large");
	if ((s = ph__alloc0(mem, sizeof *s)) == NULL)
		return ph__fail_nomem(err, PH_STAGE_TLS);
	s->mem = mem;
	if ((s->ctx = SSL_CTX_new(TLS_server_method())) == NULL) {
		ph__free(mem, s);
		return ph__fail_nomem(err, PH_STAGE_TLS);
	}
	configure(s->ctx, opts->min_version);
	if ((rc = load(s->ctx, opts, err)) < 0) {
		ph__tls_server_free(&s);
		return rc;
	}
	*ret = s;
	return PH_OK;
}

void
ph__tls_server_free(struct ph__tls_server **ps)
{
	struct ph__tls_server *s = *ps;

	if (s == NULL)
		return;
	SSL_CTX_free(s->ctx);
	ph__free(s->mem, s);
	*ps = NULL;
}

enum ph_code
ph__tls_stream_new(struct ph__tls_stream **ret, struct ph__tls_server *server,
                   struct ph_error *err)
{
	struct ph__tls_stream *t = ph__alloc0(server->mem, sizeof *t);

	if (t == NULL)
		return ph__fail_nomem(err, PH_STAGE_TLS);
	t->mem = server->mem;
	t->ssl = SSL_new(server->ctx);
	t->in = BIO_new(BIO_s_mem());
	t->out = BIO_new(BIO_s_mem());
	if (t->ssl == NULL || t->in == NULL || t->out == NULL) {
		BIO_free(t->in);
		BIO_free(t->out);
		SSL_free(t->ssl);
		ph__free(t->mem, t);
		ERR_clear_error();
		return ph__fail_nomem(err, PH_STAGE_TLS);
	}
	BIO_set_mem_eof_return(t->in, -1);
	SSL_set_bio(t->ssl, t->in, t->out);
	SSL_set_accept_state(t->ssl);
	*ret = t;
	return PH_OK;
}

void
ph__tls_stream_free(struct ph__tls_stream **pt)
{
	struct ph__tls_stream *t = *pt;

	if (t == NULL)
		return;
	SSL_free(t->ssl);
	ph__free(t->mem, t);
	*pt = NULL;
}

enum ph_code
ph__tls_stream_feed(struct ph__tls_stream *t, const void *in, size_t n, struct ph_error *err)
{
	assert(n <= INT32_MAX);
	if (n != 0 && BIO_write(t->in, in, (int)n) != (int)n) {
		ERR_clear_error();
		return ph__fail_nomem(err, PH_STAGE_TLS);
	}
	return PH_OK;
}

static enum ph_io
broken(struct ph__tls_stream *t, const char *what, struct ph_error *err)
{
	char buf[128];

	t->broken = true;
	ph__fail(err, PH_EPROTOCOL, PH_STAGE_TLS, PH_CAUSE_HANDSHAKE, "%s: %s", what,
	         reason(buf, sizeof buf));
	return PH_IO_ERROR;
}

enum ph_io
ph__tls_stream_handshake(struct ph__tls_stream *t, struct ph_tls_facts *facts,
                         struct ph_error *err)
{
	int rc;

	if (t->broken)
		return broken(t, "TLS is broken", err);
	ERR_clear_error();
	if ((rc = SSL_accept(t->ssl)) != 1) {
		if (SSL_get_error(t->ssl, rc) == SSL_ERROR_WANT_READ)
			return PH_IO_AGAIN;
		return broken(t, "the TLS handshake failed", err);
	}
	*facts = (struct ph_tls_facts)PH_TLS_FACTS_INIT;
	facts->resumed = SSL_session_reused(t->ssl) == 1;
	snprintf(facts->version, sizeof facts->version, "%s", SSL_get_version(t->ssl));
	snprintf(facts->cipher, sizeof facts->cipher, "%s", SSL_get_cipher_name(t->ssl));
	ph__tls_bindings(t->ssl, facts);
	return PH_IO_OK;
}

enum ph_io
ph__tls_stream_read(struct ph__tls_stream *t, void *buf, size_t n, size_t *ret,
                    struct ph_error *err)
{
	int rc;

	if (t->broken)
		return broken(t, "TLS is broken", err);
	ERR_clear_error();
	if (SSL_read_ex(t->ssl, buf, n, ret) == 1)
		return PH_IO_OK;
	rc = SSL_get_error(t->ssl, 0);
	if (rc == SSL_ERROR_WANT_READ)
		return PH_IO_AGAIN;
	if (rc == SSL_ERROR_ZERO_RETURN)
		return PH_IO_EOF;
	return broken(t, "the TLS connection broke down", err);
}

enum ph_code
ph__tls_stream_write(struct ph__tls_stream *t, const void *p, size_t n, struct ph_error *err)
{
	size_t done = 0;

	if (n == 0)
		return PH_OK;
	ERR_clear_error();
	/* A memory BIO takes everything: anything but all is lack of memory or a broken stream. */
	if (t->broken || SSL_write_ex(t->ssl, p, n, &done) != 1 || done != n) {
		broken(t, "the TLS connection broke down", err);
		return PH_EPROTOCOL;
	}
	return PH_OK;
}

void
ph__tls_stream_close(struct ph__tls_stream *t)
{
	if (!t->broken && SSL_is_init_finished(t->ssl)) {
		SSL_shutdown(t->ssl);
		ERR_clear_error();
	}
}

struct ph_str
ph__tls_stream_pull(const struct ph__tls_stream *t)
{
	char *p = NULL;
	long n = BIO_get_mem_data(t->out, &p);

	return (struct ph_str){ p, n > 0 ? (size_t)n : 0 };
}

void
ph__tls_stream_sent(struct ph__tls_stream *t, size_t n)
{
	char skipped[4096];

	if (n == ph__tls_stream_pull(t).len) {
		(void)BIO_reset(t->out);
		return;
	}
	while (n != 0) {
		int k = BIO_read(t->out, skipped, (int)(n < sizeof skipped ? n : sizeof skipped));

		assert(k > 0);
		n -= (size_t)k;
	}
}
