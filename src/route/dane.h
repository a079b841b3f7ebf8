/* SPDX-License-Identifier: MIT */
#ifndef PH_ROUTE_DANE_H
#define PH_ROUTE_DANE_H
/* DANE for SMTP (RFC 7672): which TLSA records are of use. Pure; the handshake itself is net/tls's. */
#include <stdbool.h>
#include <stdint.h>
#include <posthaste/tls.h>
#include "base/mem.h"
#include "route/dns.h"

/* Reads one record's data (RFC 6698 §2.1), borrowed; false: it is malformed. */
bool ph__tlsa_parse(struct ph_tlsa *ret, struct ph_str data);
/* DANE-TA(2) or DANE-EE(3), a selector and a matching type we know, and a digest of the right length
 * (RFC 7672 §3.1, RFC 7671 §4). */
bool ph__tlsa_is_usable(const struct ph_tlsa *r);
/* The usable ones among an answer's records, copied into the arena; *count. NULL with *count 0: none;
 * NULL with *count other than 0: memory is out. */
const struct ph_tlsa *ph__tlsa_usable(const struct ph__dns_answer *answer, size_t *count,
                                      struct ph__arena *arena);
/* "3 1 1 0d5c…", cut with "…" where buf ends; hex in lower case. In PH__TLSA_TEXT a SHA-512 has room. */
#define PH__TLSA_TEXT (2 * 64 + 16)
void ph__tlsa_text(char *buf, size_t size, const struct ph_tlsa *r);

#endif
