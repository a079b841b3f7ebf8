/* SPDX-License-Identifier: MIT */
/* Escaping for terminals. See escape.h. */
#include "base/escape.h"

static bool
is_harmful(uint32_t cp)
{
	return cp < 0x20 || (cp >= 0x7f && cp < 0xa0)     /* C0, DEL, C1 */
	    || cp == 0x061c || cp == 0x200e || cp == 0x200f /* marks of direction */
	    || (cp >= 0x202a && cp <= 0x202e) || (cp >= 0x2066 && cp <= 0x2069)
	    || cp == 0x2028 || cp == 0x2029;               /* line and paragraph separators */
}

bool
ph__escape(struct ph__buf *out, struct ph_str s, bool keep_newlines)
{
	while (s.len != 0) {
		uint32_t cp = 0;
		size_t n = ph__utf8_next(s, &cp);
		bool plain = n != 0 && (!is_harmful(cp) || (keep_newlines && cp == '\n'));

		if (n == 0)
			n = 1;
		if (plain)
			ph__buf_add(out, s.ptr, n);
		for (size_t i = 0; !plain && i < n; i++)
			ph__buf_addf(out, "\\x%02X", (unsigned char)s.ptr[i]);
		s.ptr += n;
		s.len -= n;
	}
	return ph__buf_ok(out);
}
