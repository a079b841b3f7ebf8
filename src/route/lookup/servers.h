/* SPDX-License-Identifier: MIT */
#ifndef PH_ROUTE_LOOKUP_SERVERS_H
#define PH_ROUTE_LOOKUP_SERVERS_H
/* Whom a resolver asks, and what it trusts: from options and the system's files to a libunbound
 * context. */
#include <stdbool.h>
#include <unbound.h>
#include "base/bounds.h"
#include "route/lookup.h"

struct ph__dns_setup {
	char servers[PH__DNS_SERVERS][PH__DNS_SERVER_TEXT]; /* as libunbound wants them */
	size_t count;             /* 0: the name servers of the Internet themselves */
	char *anchor_file;        /* NULL: there is none, and nothing validates */
	char anchor[PH__DOMAIN_MAX + 1]; /* the name whose keys it has: "." */
};

enum ph_code ph__dns_setup_read(struct ph__dns_setup *ret, const struct ph__lookup_opts *opts,
                                const struct ph_allocator *mem, struct ph_error *err);
void ph__dns_setup_done(struct ph__dns_setup *s, const struct ph_allocator *mem);
/* A context that is ready to be asked; its thread begins with the first question. NULL: *err. */
struct ub_ctx *ph__dns_setup_open(const struct ph__dns_setup *s, bool validating,
                                  struct ph_error *err);
/* Ends its thread; NULL is fine. */
void ph__dns_setup_close(struct ub_ctx *ub);
/* "192.0.2.1, 192.0.2.2@5353", cut where buf ends. */
void ph__dns_setup_name(char *buf, size_t size, const struct ph__dns_setup *s);

#endif
