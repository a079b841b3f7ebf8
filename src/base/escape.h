/* SPDX-License-Identifier: MIT */
#ifndef PH_BASE_ESCAPE_H
#define PH_BASE_ESCAPE_H
/* What a peer sent, made readable and safe. UTF-8 stays; Chinese in GB18030 becomes UTF-8
 * (base/gb18030.h, which needs the whole text to tell: do not cut it before); every other octet
 * becomes \xNN. The result is always UTF-8. */
#include "base/bounds.h"
#include "base/buf.h"

/* For a terminal: a reply may not move the cursor, rename the window or reverse the reading order.
 * C0 (but for \n when `keep_newlines`), DEL, C1 and bidirectional controls become \xNN as well. To
 * escape a text once more does nothing. When `out` is full it holds as many whole characters as
 * fit. */
bool ph__escape(struct ph__buf *out, struct ph_str s, bool keep_newlines);

/* Only readable, for what has its own escapes (JSON) or is merely searched. */
bool ph__to_utf8(struct ph__buf *out, struct ph_str s);

/* The first, into memory of the caller's, cut between characters to what fits. Returns buf. */
const char *ph__escape_into(char *buf, size_t size, struct ph_str s, bool keep_newlines);

/* Escaped, lines kept, cut between characters to what fits: a reply in the words of an error.
 * Returns buf. */
const char *ph__quote(char buf[PH__QUOTE_SIZE], struct ph_str s);

/* C0, DEL, C1, and the controls of reading direction and of lines. */
bool ph__is_harmful(uint32_t cp);

#endif
