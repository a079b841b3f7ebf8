/* SPDX-License-Identifier: MIT */
#ifndef POSTHASTE_TRANSPORT_H
#define POSTHASTE_TRANSPORT_H
/* A byte stream that a session can run over, and what TLS on it has shown.
 *
 * posthaste brings its own (TCP, Unix sockets, OpenSSL). A caller who owns the connection, or whose
 * TLS is another library's, lends one as a table of functions (ph_client_attach_transport). */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>
#include <posthaste/error.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The ports that URLs without one mean. LMTP has none (RFC 2033 §5). */
#define PH_PORT_SMTP        25  /* smtp:// (RFC 5321 §4.5.4.2) */
#define PH_PORT_SUBMISSION  587 /* submission:// (RFC 6409 §3.1) */
#define PH_PORT_SUBMISSIONS 465 /* smtps://, submissions:// (RFC 8314 §3.3) */

/* A certificate that the peer has shown, taken apart. Texts are UTF-8; controls in them are \xNN; what
 * is too long is cut between characters. */
struct ph_certificate {
	size_t  size;              /* PH_CERTIFICATE_INIT */
	const unsigned char *der;  /* as it came */
	size_t  der_len;
	char    subject[512];      /* RFC 4514: "CN=mx.example.org,O=Example" */
	char    issuer[512];
	char    serial[64];        /* hex digits; "-" before a negative one */
	int64_t not_before, not_after; /* seconds since 1970, UTC; 0: unreadable */
	const char *const *names;  /* DNS names and addresses of subjectAltName: "mx.example.org",
	                              "192.0.2.1" */
	size_t  name_count;
	char    key[64];           /* "RSA 2048", "EC prime256v1", "ED25519"; of a kind that is not known
	                              the algorithm, in dotted numbers at worst */
	char    signature[64];     /* "RSA-SHA256", "ecdsa-with-SHA256", "ED25519" */
	char    sha256[65];        /* of the certificate, hex */
	char    spki_sha256[65];   /* of its public key: the data of a TLSA record "3 1 1" (RFC 6698 §2.1),
	                              and what a pin is */
	bool    self_issued;
};
#define PH_CERTIFICATE_INIT { .size = sizeof(struct ph_certificate) }

/* What a transport function says. */
enum ph_io {
	PH_IO_OK,
	PH_IO_AGAIN, /* nothing now: wait, then call again */
	PH_IO_EOF,   /* read: the peer closed its side in order */
	PH_IO_ERROR  /* *err says why; the transport is dead */
};

/* What a finished handshake has shown. Filled by the transport, kept in the record. */
struct ph_tls_facts {
	size_t size;           /* PH_TLS_FACTS_INIT */
	bool   verified;       /* the peer proved its identity: chain and name, a pin, or a TLSA record */
	bool   resumed;        /* a session was resumed; its identity was proved when it was made */
	char   version[16];    /* "TLSv1.3" */
	char   cipher[64];     /* "TLS_AES_256_GCM_SHA384" */
	char   peer_name[256]; /* the name or address that was asked for and, if verified, matched */
	char   problem[512];   /* why it is not verified, in words; empty when it is */
	/* Channel bindings, for SCRAM-…-PLUS; their lengths 0 where there is none to be had. */
	unsigned char exporter[32]; /* tls-exporter (RFC 9266): TLS 1.3 */
	size_t        exporter_len;
	unsigned char unique[64];   /* tls-unique (RFC 5929 §3): TLS 1.2 with an extended master secret */
	size_t        unique_len;
	char   alpn[64];       /* the application protocol that was agreed on; empty: none */
	char   group[32];      /* key exchange, "X25519"; empty: not known */
	bool   waived;         /* of TLS that is lent, not verified: its owner chose that. It counts as if
	                          the options had said insecure: credentials may cross it */
	enum ph_cause problem_cause; /* of `problem`, for programs; NONE: it was not to be verified */
};
#define PH_TLS_FACTS_INIT { .size = sizeof(struct ph_tls_facts) }

struct ph_transport {
	size_t size; /* PH_TRANSPORT_INIT */
	void  *user; /* handed to every function */

	/* Reads up to n octets into buf, their number to *ret (> 0 with PH_IO_OK). */
	enum ph_io (*read)(void *user, void *buf, size_t n, size_t *ret, struct ph_error *err);

	/* Writes from count pieces; *ret is the number of octets the operating system has taken for
	 * good: the moment after which a message may be in doubt is counted by it. A transport that
	 * encrypts and could not pass everything on returns PH_IO_AGAIN, or PH_IO_OK with fewer; it
	 * is then called with the same octets again (which may have moved) and more behind them. */
	enum ph_io (*write)(void *user, const struct iovec *iov, size_t count, size_t *ret,
	                    struct ph_error *err);

	/* Blocks until reading (or, when want_write, writing) can go on, or timeout_ms is over
	 * (PH_IO_AGAIN). 0 only looks, -1 waits for ever. */
	enum ph_io (*wait)(void *user, bool want_write, int timeout_ms, struct ph_error *err);

	/* Goes on with a client's TLS handshake, from the first octet after what was read so far;
	 * PH_IO_AGAIN: wait() and call again. NULL: this transport has no TLS to offer. */
	enum ph_io (*start_tls)(void *user, struct ph_tls_facts *facts, struct ph_error *err);
};
#define PH_TRANSPORT_INIT .size = sizeof(struct ph_transport)

#ifdef __cplusplus
}
#endif
#endif
