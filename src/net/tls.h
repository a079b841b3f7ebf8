/* SPDX-License-Identifier: MIT */
#ifndef PH_NET_TLS_H
#define PH_NET_TLS_H
/* What conn.c, tls*.c share; nobody else includes it. */
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include "base/bounds.h"
#include "base/buf.h"
#include "net/conn.h"
#include "net/host.h"

#define PH__SHA256 32
#define PH__PIN_TEXT (PH__SHA256 * 2 + 1)

struct ph__tls_session {
	SSL_SESSION *s;
	bool  verified; /* when it was made */
	char *problem;  /* why not, in words and as a cause */
	enum ph_cause cause;
};

struct ph__tls {
	const struct ph_allocator *mem;
	SSL_CTX    *ctx;      /* NULL: made with the first handshake */
	BIO_METHOD *bio;      /* of conn.c; made with the first connection */
	struct ph__host name; /* name[0] == 0: there is none to verify */
	bool        insecure, no_resume;
	enum ph_tls_version min_version;
	unsigned char (*pins)[PH__SHA256];
	size_t      pin_count, session_count;
	struct ph_tlsa *tlsa; /* the usable ones; their data are in the same piece of memory */
	size_t      tlsa_count;
	char      (*names)[256]; /* beside `name`, A-labels */
	size_t      name_count;
	struct ph__tls_session sessions[PH__TLS_SESSIONS]; /* oldest first */
};

/* One connection's verification. Embedded in the connection; the SSL points at it. */
struct ph__tls_peer {
	struct ph__tls *tls;
	bool  enforce;
	bool  judged;          /* this handshake's certificate was seen and proved */
	bool  offered;         /* the session that was offered had been proved when it was made */
	bool  explained;       /* *err has been filled */
	char *problem;         /* why it is not verified; tls->mem */
	enum ph_cause cause;   /* of the problem */
	struct ph_error *err;  /* the caller's, while the handshake is called */
};

/* An SSL ready to connect: name, SNI, a session to resume. NULL and *err when memory is out, or there can
 * be no context. */
SSL *ph__tls_open(struct ph__tls_peer *peer, struct ph_error *err);
/* Whether the peer of a finished handshake is proved: by itself, or by the session it resumed. */
bool ph__tls_proved(const struct ph__tls_peer *peer, const SSL *ssl);
/* Fills what a finished handshake has shown. */
void ph__tls_facts(const struct ph__tls_peer *peer, SSL *ssl, struct ph_tls_facts *facts);
/* Fills in the channel bindings of a finished handshake. */
void ph__tls_bindings(SSL *ssl, struct ph_tls_facts *facts);

/* ---- DANE (tls_dane.c) */

/* What the options say of TLSA records and of further names, judged and copied. */
enum ph_code ph__tls_take_tlsa(struct ph__tls *tls, const struct ph_tls_opts *opts,
                               struct ph_error *err);
enum ph_code ph__tls_take_names(struct ph__tls *tls, const struct ph_tls_opts *opts,
                                struct ph_error *err);
/* Gives them to a connection. False: memory is out. The names verified are set afterwards. */
bool ph__tls_enable_dane(const struct ph__tls *tls, SSL *ssl);

/* ---- words (tls_explain.c) */

/* The chain or the name did not pass; ctx says which and why. */
void ph__tls_explain_cert(struct ph_error *err, const struct ph__tls *tls, X509_STORE_CTX *ctx);
void ph__tls_explain_pin(struct ph_error *err, const struct ph__tls *tls, X509 *leaf);
/* The first octets of the peer are no TLS record. `after_clear`: STARTTLS came before. */
void ph__tls_explain_clear(struct ph_error *err, const struct ph__tls *tls,
                           const unsigned char *in, size_t n, bool after_clear);
/* Any other failure of OpenSSL's, from its error queue, which is emptied. peer_version: of the
 * ServerHello, 0 when unknown. */
void ph__tls_explain_failure(struct ph_error *err, const struct ph__tls *tls, bool established,
                             int peer_version);
/* The reason of OpenSSL's oldest error, in its words; the queue is emptied. */
void ph__tls_reason(char *buf, size_t size);

/* SHA-256 of the certificate and of its public key (SubjectPublicKeyInfo). */
bool ph__tls_digests(X509 *cert, unsigned char whole[PH__SHA256], unsigned char key[PH__SHA256]);

/* ---- certificates (tls_certificate.c) */

/* Fills ret up to its size; what it points at lies in `a`. False: memory is out, *ret untouched. */
bool ph__tls_describe(struct ph_certificate *ret, X509 *cert, struct ph__arena *a);
/* The pieces, for words; escaped, cut between characters. "CN=mail.example.org,O=Example" (RFC 4514);
 * false: memory is out. */
bool ph__tls_name_text(char *buf, size_t size, const X509_NAME *name);
/* Adds a DNS name or an address; false: it is neither. */
bool ph__tls_alt_name(struct ph__buf *w, const GENERAL_NAME *g);
/* "EC prime256v1", "RSA 2048". */
void ph__tls_key_text(char *buf, size_t size, const EVP_PKEY *key);
/* Lower-case hex of as many octets as fit. */
void ph__tls_hex(char *buf, size_t size, const unsigned char *p, size_t n);

#endif
