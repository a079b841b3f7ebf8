/* SPDX-License-Identifier: MIT */
#ifndef PH_BASE_BASE64_H
#define PH_BASE_BASE64_H
/* Base64 (RFC 4648 §4). Both add to out; out->state says whether it was full or memory was out. */
#include "base/buf.h"

/* Without line breaks; with_breaks: lines of 76 columns, each with CRLF (RFC 2045 §6.8). */
bool ph__base64_encode(struct ph__buf *out, const void *p, size_t n, bool with_breaks);
/* Strict: whole quanta, padding only at the end, nothing else. False when ill-formed, and out is as
 * it was. */
bool ph__base64_decode(struct ph__buf *out, struct ph_str s);
size_t ph__base64_size(size_t n, bool with_breaks); /* octets that n become */

#endif
