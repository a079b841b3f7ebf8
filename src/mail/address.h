/* SPDX-License-Identifier: MIT */
#ifndef PH_MAIL_ADDRESS_H
#define PH_MAIL_ADDRESS_H
/* Addresses of the envelope (RFC 5321 §4.1.2, RFC 6531 §3.3). */
#include <stdbool.h>
#include <posthaste/error.h>
#include "base/buf.h"

/* Judges `local@domain`, `local@[literal]`, and a bare `postmaster` or local user name (LMTP and
 * sendmail use them), without angle brackets. Refused, never mended: control characters, space
 * outside a quoted local-part, angle brackets outside it, a missing or over-long part, an empty
 * label. Non-ASCII must be UTF-8 and sets *utf8: the transaction then needs SMTPUTF8. */
enum ph_code ph__address_check(struct ph_str address, bool *utf8, struct ph_error *err);

/* The part behind the last @ outside quotes; empty when there is none. */
struct ph_str ph__address_domain(struct ph_str address);

/* What a command takes as path argument: `<a@b>`, `a@b` or `Name <a@b>`, to the bare address. `<>`
 * and the empty string give the null reverse-path (empty). PH_EINPUT. */
enum ph_code ph__address_bare(struct ph_str text, struct ph_str *ret, struct ph_error *err);

/* Adds the address to out in the form that the fewest servers refuse: a non-ASCII domain behind an
 * ASCII local-part becomes A-labels (RFC 5891), so that no SMTPUTF8 is needed. Behind a non-ASCII
 * local-part nothing is gained: the address stays as it is, like one without domain. Judges address
 * and result by ph__address_check(). Used for envelope and header alike, so that they agree. On
 * failure out is as it was. PH_EINPUT, PH_ESYSTEM. */
enum ph_code ph__address_to_ascii(struct ph__buf *out, struct ph_str address, struct ph_error *err);

/* The same for a domain alone, U-labels or not; a literal or ASCII domain is added as it is. */
enum ph_code ph__domain_to_ascii(struct ph__buf *out, struct ph_str domain, struct ph_error *err);

/* The form by which domains are compared and looked up: the same in lower case. */
enum ph_code ph__domain_canonical(struct ph__buf *out, struct ph_str domain, struct ph_error *err);

/* atext of RFC 5322 §3.2.3; any octet above 127 counts (RFC 6532 §3.2). */
bool ph__is_atext(char c);

#endif
