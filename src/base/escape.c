/* SPDX-License-Identifier: MIT */
/* Escaping for terminals. See escape.h. */
#include "base/escape.h"

#include "base/gb18030.h"

bool
ph__is_harmful(uint32_t cp)
{
	return cp < 0x20 || (cp >= 0x7f && cp < 0xa0)     /* C0, DEL, C1 */
	    || cp == 0x061c || cp == 0x200e || cp == 0x200f /* marks of direction */
	    || (cp >= 0x202a && cp <= 0x202e) || (cp >= 0x2066 && cp <= 0x2069)
	    || cp == 0x2028 || cp == 0x2029;               /* line and paragraph separators */
}

enum controls { KEEP, KEEP_NEWLINES, KEEP_NONE };

static void
add(struct ph__buf *out, struct ph_str s, enum controls controls)
{
	while (s.len != 0) {
		uint32_t cp = 0;
		size_t n = ph__utf8_next(s, &cp);
		bool plain = n != 0 && (controls == KEEP || !ph__is_harmful(cp) ||
		                        (controls == KEEP_NEWLINES && cp == '\n'));

		if (n == 0)
			n = 1;
		if (plain)
			ph__buf_add(out, s.ptr, n);
		for (size_t i = 0; !plain && i < n; i++)
			ph__buf_addf(out, "\\x%02X", (unsigned char)s.ptr[i]);
		s.ptr += n;
		s.len -= n;
	}
}

static bool
decode_and_add(struct ph__buf *out, struct ph_str s, enum controls controls)
{
	struct ph__buf text;

	ph__buf_init(&text, out->mem, s.len / 2 * 3 + 4);
	if (ph__gb18030_decode(&text, s))
		s = ph__buf_str(&text);
	else if (text.state == PH__BUF_NOMEM)
		out->state = PH__BUF_NOMEM; /* \xNN in its place would be another text */
	add(out, s, controls);
	ph__buf_done(&text);
	return ph__buf_ok(out);
}

bool
ph__escape(struct ph__buf *out, struct ph_str s, bool keep_newlines)
{
	return decode_and_add(out, s, keep_newlines ? KEEP_NEWLINES : KEEP_NONE);
}

bool
ph__to_utf8(struct ph__buf *out, struct ph_str s)
{
	return decode_and_add(out, s, KEEP);
}

const char *
ph__escape_into(char *buf, size_t size, struct ph_str s, bool keep_newlines)
{
	/* lives in the caller's memory: it has room for its maximum, so it never moves; `mem` is for
	   what decoding needs meanwhile */
	struct ph__buf out = { .mem = &ph__libc_memory, .p = buf, .cap = size, .max = size - 1 };

	buf[0] = '\0';
	ph__escape(&out, s, keep_newlines);
	return buf;
}

const char *
ph__quote(char buf[PH__QUOTE_SIZE], struct ph_str s)
{
	return ph__escape_into(buf, PH__QUOTE_SIZE, s, true);
}
