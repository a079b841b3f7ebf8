/* SPDX-License-Identifier: MIT */
#ifndef PH_NET_PROXY_H
#define PH_NET_PROXY_H
/* From a socket that is connected to a proxy to one that is connected to a server behind it: SOCKS5
 * (RFC 1928, RFC 1929) and HTTP CONNECT (RFC 9110 §9.3.6).
 *
 * A state machine like net/dial.h, which is its only user. The server's name goes to the proxy,
 * which looks it up. Not an octet behind the proxy's last one is read: it would be the server's
 * greeting. */
#include <stdbool.h>
#include <stdint.h>
#include <posthaste/api.h>
#include <posthaste/error.h>
#include <posthaste/transport.h>

struct ph__proxy {
	bool        http;     /* CONNECT; else SOCKS5 */
	const char *host;     /* of the proxy */
	uint16_t    port;
	const char *user;     /* NULL: none */
	const char *password; /* with a user only */
};

struct ph__tunnel;

/* Through `proxy` to host and port; no I/O. Everything is copied, secrets are wiped after use.
 * PH_EINPUT for a host that cannot be one, PH_ECONFIG for a user or password the proxy's protocol
 * cannot carry. timeout_ms is for the whole conversation. */
enum ph_code ph__tunnel_new(struct ph__tunnel **ret, const struct ph__proxy *proxy, const char *host,
                            uint16_t port, uint64_t timeout_ms, const struct ph_allocator *mem,
                            struct ph_error *err);
/* The socket, borrowed and non-blocking, is connected now. */
void ph__tunnel_begin(struct ph__tunnel *t, int fd, uint64_t now_ms);
/* PH_IO_OK: the next octet on the socket is the server's. PH_IO_AGAIN: poll for ph__tunnel_events()
 * until ph__tunnel_deadline(). PH_IO_ERROR: stage proxy, class and words by what the proxy said. */
enum ph_io ph__tunnel_step(struct ph__tunnel *t, uint64_t now_ms, struct ph_error *err);
short ph__tunnel_events(const struct ph__tunnel *t);
uint64_t ph__tunnel_deadline(const struct ph__tunnel *t);
void ph__tunnel_free(struct ph__tunnel **t);

#endif
