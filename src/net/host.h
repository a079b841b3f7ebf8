/* SPDX-License-Identifier: MIT */
#ifndef PH_NET_HOST_H
#define PH_NET_HOST_H
/* What a user may write for a host: a name (U-labels or A-labels), an IPv4 or an IPv6 address. */
#include <stdbool.h>
#include <sys/socket.h>
#include <posthaste/error.h>

struct ph__host {
	char name[256]; /* A-labels in lower case, no final dot; or the address, no brackets */
	bool absolute;  /* a name that was given with its final dot: no search list */
	int  family;    /* AF_INET or AF_INET6: numeric; AF_UNSPEC: a name */
	struct sockaddr_storage addr; /* when numeric; port 0 */
	socklen_t addr_len;
};

/* False, and *err with `code`, for what can be neither. `what` names the thing in the text. */
bool ph__host_parse(struct ph__host *ret, const char *text, const char *what, enum ph_code code,
                    struct ph_error *err);

#endif
