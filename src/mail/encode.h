/* SPDX-License-Identifier: MIT */
#ifndef PH_MAIL_ENCODE_H
#define PH_MAIL_ENCODE_H
/* Quoted-printable (RFC 2045 §6.7), xtext (RFC 3461 §4, RFC 6533 §3), lines.
 *
 * All add to out. An encoder is false when out is full or memory is out (out->state says which), a
 * decoder also when the input is ill-formed; then out is as it was. */
#include "base/buf.h"

/* Text lines (any line ends) to quoted-printable lines of at most 76 columns with CRLF; a last line
 * without one gets it. */
bool ph__qp_encode_text(struct ph__buf *out, struct ph_str s);
/* What is not printable ASCII, and + and =, becomes +XX. */
bool ph__xtext_encode(struct ph__buf *out, struct ph_str s);
bool ph__xtext_decode(struct ph__buf *out, struct ph_str s);
/* utf-8-addr-xtext (RFC 6533 §3): the same in 7 bits for UTF-8, each character beyond it as \\x{HEX}.
 * s is UTF-8. */
bool ph__utf8_xtext_encode(struct ph__buf *out, struct ph_str s);

/* Takes the next line off *rest and returns it without its end: CRLF, a lone LF or a lone CR. */
struct ph_str ph__take_line(struct ph_str *rest);

#endif
