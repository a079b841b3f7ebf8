/* SPDX-License-Identifier: MIT */
#ifndef PH_NET_PROXY_HEADER_H
#define PH_NET_PROXY_HEADER_H
/* The header of the PROXY protocol, version 1 and 2: what a load balancer says first of all, so that
 * the server behind it knows for whom it speaks. Here: what we say when we play the balancer. */
#include <stdbool.h>
#include <sys/socket.h>
#include <posthaste/error.h>

struct ph__proxy_header {
	unsigned version;                        /* 1 or 2; 0: there is none */
	bool     given;                          /* the addresses; else they are the socket's */
	struct sockaddr_storage source, destination;
};

/* "v1", "v2", or either with " SOURCE:PORT DESTINATION:PORT"; IPv6 in brackets. PH_ECONFIG. */
enum ph_code ph__proxy_header_parse(struct ph__proxy_header *ret, const char *text,
                                    struct ph_error *err);
/* The octets for a connected socket, of any family, into out[PH__PROXY_LINE_MAX + 1]; how many.
 * 0, with errno: the socket is not connected. */
size_t ph__proxy_header_write(const struct ph__proxy_header *h, int fd, char *out);

#endif
