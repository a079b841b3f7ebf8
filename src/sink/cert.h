/* SPDX-License-Identifier: MIT */
#ifndef PH_SINK_CERT_H
#define PH_SINK_CERT_H
/* A certificate authority of one's own, and a certificate by it, for tests. */
#include <stddef.h>
#include <posthaste/error.h>
#include "base/buf.h"

enum ph__cert_fault { PH__CERT_GOOD, PH__CERT_UNTRUSTED, PH__CERT_EXPIRED, PH__CERT_NAME,
	              PH__CERT_FAULTS };

/* A CA that can sign until it is freed; its key is never written anywhere. */
struct ph__cert_ca;
enum ph_code ph__cert_ca_new(struct ph__cert_ca **ret, struct ph_error *err);
void ph__cert_ca_free(struct ph__cert_ca **ca);
/* Its certificate, PEM. */
enum ph_code ph__cert_ca_pem(const struct ph__cert_ca *ca, struct ph__buf *to, struct ph_error *err);

/* Makes a certificate for localhost, 127.0.0.1, ::1 and `names` (DNS names or addresses), ECDSA P-256,
 * valid from a day ago for a month; or one with a fault: by another CA, expired, for another name. PEM
 * texts are added to initialised buffers. PH_EINPUT: a bad name. */
enum ph_code ph__cert_make(const struct ph__cert_ca *ca, enum ph__cert_fault fault,
                           const char *const *names, size_t count, struct ph__buf *chain,
                           struct ph__buf *key, struct ph_error *err);

#endif
