/* SPDX-License-Identifier: MIT */
#ifndef PH_ROUTE_MX_H
#define PH_ROUTE_MX_H
/* MX records, put in the order in which their hosts are tried. Pure. */
#include <stdbool.h>
#include <stdint.h>
#include "base/mem.h"
#include "route/dns.h"

struct ph__mx {
	uint16_t preference;
	char    *name;          /* as ph__name_from_wire() has it; it may be no host's */
};

struct ph__mx_list {
	struct ph__mx *hosts;   /* PH__MX_MAX at most */
	size_t count;
	bool   null;            /* RFC 7505: the only record is the root */
	bool   loop;            /* this very host was among them, and none is better */
};

/* Lowest preference first, equal ones in an order that `seed` decides, each host once; without
 * malformed records, the root, our own names (lower case) and whatever is not preferred to them
 * (RFC 5321 §5.1). False: memory is out. */
bool ph__mx_read(struct ph__mx_list *ret, const struct ph__dns_answer *answer,
                 const char *const *own_names, size_t own_name_count, uint64_t seed,
                 struct ph__arena *arena);

#endif
