/* SPDX-License-Identifier: MIT */
#ifndef PH_SINK_CERT_H
#define PH_SINK_CERT_H
/* A certificate authority of one's own, and a certificate by it, for tests. */
#include <stddef.h>
#include <posthaste/error.h>
#include "base/buf.h"

/* Makes a CA, and a certificate for localhost, 127.0.0.1, ::1 and `names` (DNS names or addresses),
 * both ECDSA P-256, valid from a day ago for a month. PEM texts are added to initialised buffers.
 * The CA's key is thrown away: nothing else can ever be signed with it. PH_EINPUT: a bad name. */
enum ph_code ph__cert_make(const char *const *names, size_t count, struct ph__buf *ca,
                           struct ph__buf *chain, struct ph__buf *key, struct ph_error *err);

#endif
