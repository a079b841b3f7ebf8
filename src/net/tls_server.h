/* SPDX-License-Identifier: MIT */
#ifndef PH_NET_TLS_SERVER_H
#define PH_NET_TLS_SERVER_H
/* TLS as a server, over memory: ciphertext in, plaintext out, and the other way round. No
 * sockets. */
#include <stdbool.h>
#include <posthaste/tls.h>
#include <posthaste/transport.h>
#include "base/str.h"

/* A certificate and its key, for any number of connections of one thread. */
struct ph__tls_server;
struct ph__tls_server_opts {
	struct ph_str       chain; /* PEM: the certificate, then its issuers */
	struct ph_str       key;   /* PEM */
	enum ph_tls_version min_version;
};
/* PH_ECONFIG: not PEM, or the key does not belong to the certificate. `mem` must outlive it. */
enum ph_code ph__tls_server_new(struct ph__tls_server **ret, const struct ph__tls_server_opts *opts,
                                const struct ph_allocator *mem, struct ph_error *err) PH_MUST_CHECK;
void ph__tls_server_free(struct ph__tls_server **s);

struct ph__tls_stream;
enum ph_code ph__tls_stream_new(struct ph__tls_stream **ret, struct ph__tls_server *server,
                                struct ph_error *err) PH_MUST_CHECK;
void ph__tls_stream_free(struct ph__tls_stream **t);

/* Takes all n octets of ciphertext. */
enum ph_code ph__tls_stream_feed(struct ph__tls_stream *t, const void *in, size_t n,
                                 struct ph_error *err) PH_MUST_CHECK;
/* PH_IO_AGAIN: send what pull() gives, feed more, call again. PH_IO_OK: once, *facts is filled
 * (`verified` speaks of a peer's certificate and is false: none is asked for). After PH_IO_ERROR
 * pull() may still have an alert to send. */
enum ph_io ph__tls_stream_handshake(struct ph__tls_stream *t, struct ph_tls_facts *facts,
                                    struct ph_error *err);
/* Plaintext from the client; PH_IO_EOF after its close_notify. */
enum ph_io ph__tls_stream_read(struct ph__tls_stream *t, void *buf, size_t n, size_t *ret,
                               struct ph_error *err);
/* Encrypts all n octets. */
enum ph_code ph__tls_stream_write(struct ph__tls_stream *t, const void *p, size_t n,
                                  struct ph_error *err) PH_MUST_CHECK;
/* Queues close_notify. */
void ph__tls_stream_close(struct ph__tls_stream *t);

/* Ciphertext to send, borrowed until sent() or the next call that makes more. */
struct ph_str ph__tls_stream_pull(const struct ph__tls_stream *t);
void ph__tls_stream_sent(struct ph__tls_stream *t, size_t n);

#endif
