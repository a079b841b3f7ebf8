/* SPDX-License-Identifier: MIT */
/* Base64. See base64.h. The room is reserved once and filled by plain stores: encoding a large
 * attachment costs what reading it costs. */
#include "base/base64.h"

#define LINE    76 /* RFC 2045 §6.8 */
#define LINE_IN (LINE / 4 * 3)

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

size_t
ph__base64_size(size_t n, bool with_breaks)
{
	return (n + 2) / 3 * 4 + (with_breaks ? (n + LINE_IN - 1) / LINE_IN * 2 : 0);
}

/* Writes the quanta of n octets; returns the place behind them. */
static char *
encode_run(char *to, const unsigned char *p, size_t n)
{
	for (; n >= 3; n -= 3, p += 3, to += 4) {
		uint32_t v = (uint32_t)p[0] << 16 | (uint32_t)p[1] << 8 | p[2];

		to[0] = alphabet[v >> 18];
		to[1] = alphabet[v >> 12 & 63];
		to[2] = alphabet[v >> 6 & 63];
		to[3] = alphabet[v & 63];
	}
	if (n == 0)
		return to;
	to[0] = alphabet[p[0] >> 2];
	to[1] = alphabet[(p[0] & 3) << 4 | (n == 2 ? p[1] >> 4 : 0)];
	to[2] = n == 2 ? alphabet[(p[1] & 15) << 2] : '=';
	to[3] = '=';
	return to + 4;
}

bool
ph__base64_encode(struct ph__buf *out, const void *p, size_t n, bool with_breaks)
{
	const unsigned char *from = p;
	size_t step = with_breaks ? LINE_IN : n;
	char *to;

	/* Sizes beyond any buffer's maximum, whose sum could wrap. */
	if (n > SIZE_MAX / 4 || !ph__buf_reserve(out, ph__base64_size(n, with_breaks))) {
		out->state = out->state == PH__BUF_OK ? PH__BUF_FULL : out->state;
		return false;
	}
	to = out->p + out->len; /* @UNSAFE: ph__base64_size() octets and a NUL were reserved */
	while (n != 0) {
		size_t take = n < step ? n : step;

		to = encode_run(to, from, take);
		from += take;
		n -= take;
		if (with_breaks) {
			*to++ = '\r';
			*to++ = '\n';
		}
	}
	*to = '\0';
	out->len = (size_t)(to - out->p);
	return true;
}

/* Arithmetic, not a table: these strings are short, and may be secret. */
static int
base64_value(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (ph__is_digit(c))
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

bool
ph__base64_decode(struct ph__buf *out, struct ph_str s)
{
	size_t pad = 0, start = out->len;

	if (s.len % 4 != 0 || !ph__buf_reserve(out, s.len / 4 * 3))
		return false;
	while (pad < 2 && pad < s.len && s.ptr[s.len - 1 - pad] == '=')
		pad++;
	for (size_t i = 0; i < s.len; i += 4) {
		bool last = i + 4 == s.len;
		uint32_t v = 0;

		for (size_t k = 0; k < 4; k++) {
			int d = last && k >= 4 - pad ? 0 : base64_value(s.ptr[i + k]);

			if (d < 0) {
				ph__buf_cut(out, start);
				return false;
			}
			v = v << 6 | (uint32_t)d;
		}
		ph__buf_add(out, (char[3]){ (char)(v >> 16), (char)(v >> 8), (char)v },
		            last ? 3 - pad : 3);
	}
	return ph__buf_ok(out);
}
