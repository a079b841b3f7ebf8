/* SPDX-License-Identifier: MIT */
#ifndef PH_NET_DIAL_H
#define PH_NET_DIAL_H
/* From a host name, a numeric address or a Unix socket's path to a connected, non-blocking socket,
 * through a proxy if there is one.
 *
 * A state machine that any loop can drive: step it when one of its descriptors is ready or its
 * deadline has come. Names are resolved by getaddrinfo() in a thread of its own, which is left
 * behind safely when the deadline comes first; numeric hosts need no resolver. Addresses are tried
 * as RFC 8305 says, at the level of TCP only: whoever connects first is the one SMTP session. */
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <posthaste/api.h>
#include <posthaste/error.h>
#include <posthaste/transport.h>
#include "net/proxy.h"
#include "net/proxy_header.h"

struct ph__dial_opts {
	const char *host;       /* name, IPv4, IPv6 (brackets or not); U-labels become A-labels */
	uint16_t    port;
	const char *unix_path;  /* instead of host and port */
	const char *source_ip;  /* NULL: the system chooses */
	int         family;     /* AF_UNSPEC, AF_INET, AF_INET6 */
	const struct ph__proxy *proxy; /* NULL: none. Source and family are then of the way to it */
	const struct ph__proxy_header *header; /* NULL: none; sent first of all that the server reads */
	const char *const *addresses; /* numeric, in the order to be tried: nothing is looked up, `host` is
	                           for words. NULL: those of the host. Not with a proxy */
	size_t      address_count;
	uint64_t    connect_ms; /* an address; what a proxy takes; 0: PH__MS_CONNECT */
	uint64_t    resolve_ms; /* the look-up; 0: PH__MS_CONNECT */
};

/* The connected pair, for the record, the policy and the EHLO name. */
struct ph__peer {
	char     address[108];  /* numeric without brackets, or the path */
	uint16_t port;          /* 0 for a Unix socket */
	bool     loopback;      /* 127/8, ::1, ::ffff:127/104, or a Unix socket */
	bool     is_unix;
	char     local[64];     /* our numeric address; empty for a Unix socket */
	bool     local_is_ipv6;
};

struct ph__dial;
#define PH__DIAL_FDS 8

/* Copies what it needs of the options. PH_EINPUT for a host, path or source that cannot be one,
 * PH_ECONFIG for a proxy that cannot be used so. */
enum ph_code ph__dial_new(struct ph__dial **ret, const struct ph__dial_opts *opts,
                          const struct ph_allocator *mem, uint64_t now_ms, struct ph_error *err);
/* PH_IO_OK: *ret_fd is connected, non-blocking, TCP_NODELAY, close-on-exec, and the caller's.
 * PH_IO_AGAIN: poll ph__dial_fds() until ph__dial_deadline(). PH_IO_ERROR: every address failed;
 * the error names each and why (stage resolve or connect); or the proxy refused (stage proxy). */
enum ph_io ph__dial_step(struct ph__dial *d, uint64_t now_ms, int *ret_fd, struct ph_error *err);
size_t ph__dial_fds(const struct ph__dial *d, struct pollfd fds[PH__DIAL_FDS]);
uint64_t ph__dial_deadline(const struct ph__dial *d); /* UINT64_MAX: none */
/* What became of opts.addresses[i]. One whose turn did not come, or that another was faster than, is
 * untried. */
enum ph__address_fate { PH__ADDRESS_UNTRIED, PH__ADDRESS_FAILED, PH__ADDRESS_CONNECTED };
enum ph__address_fate ph__dial_fate(const struct ph__dial *d, size_t i);
/* How long the look-up took, in microseconds; 0 when none was needed. */
uint64_t ph__dial_resolve_us(const struct ph__dial *d);
void ph__dial_free(struct ph__dial **d);

/* What is known of a connected socket. */
enum ph_code ph__peer_of(int fd, struct ph__peer *ret, struct ph_error *err);
/* Makes an IPv4 address of an IPv4 address in IPv6's clothes (RFC 4291 §2.5.5.2). */
void ph__unmap(struct sockaddr_storage *sa);
/* Of IPv4 or IPv6, not of one in the other's clothes. */
bool ph__is_loopback(const struct sockaddr_storage *sa);

#endif
