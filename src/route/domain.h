/* SPDX-License-Identifier: MIT */
#ifndef PH_ROUTE_DOMAIN_H
#define PH_ROUTE_DOMAIN_H
/* Names and addresses as the DNS has them on the wire. Pure. */
#include <stdbool.h>
#include <stdint.h>
#include "base/bounds.h"
#include "base/str.h"

#define PH__NAME_SHOWN (4 * PH__DOMAIN_MAX + 1) /* each octet as \DDD */

/* An uncompressed name that fills `wire`, into text without final dot, in lower case; what no host
 * name has becomes \DDD (RFC 1035 §5.1), so that the result is printable ASCII always. False:
 * malformed. The root is the empty text. */
bool ph__name_from_wire(char buf[PH__NAME_SHOWN], struct ph_str wire);
/* Letters, digits, hyphens and underscores, labels of 1 to 63 octets, 253 in all, and no number as
 * the last label (RFC 1123 §2.1): it would be an address. */
bool ph__name_is_host(struct ph_str name);

/* Whether it is one of these; all are in lower case. */
bool ph__name_is_among(const char *name, const char *const *names, size_t count);

/* One host's own: not multicast, not reserved, not "this network" (RFC 6890), which a system may
 * take for itself. Loopback and private ones are. */
bool ph__address4_is_host(const uint8_t octets[4]);
bool ph__address6_is_host(const uint8_t octets[16]);

#endif
