/* SPDX-License-Identifier: MIT */
#ifndef PH_BASE_ESCAPE_H
#define PH_BASE_ESCAPE_H
/* What a peer sent, made safe for a terminal: a reply may not move the cursor, rename the window or
 * reverse the reading order. Well-formed UTF-8 stays; C0 (but for \n when `keep_newlines`), DEL, C1
 * and bidirectional controls, and every octet that is not UTF-8, become \xNN. */
#include "base/buf.h"

bool ph__escape(struct ph__buf *out, struct ph_str s, bool keep_newlines);

#endif
