/* SPDX-License-Identifier: MIT */
/* Encodings. See encode.h. The room is reserved once and filled by plain stores: encoding a large
 * attachment costs what reading it costs. */
#include "mail/encode.h"

#include <assert.h>

#define LINE 76 /* RFC 2045 §6.7 (5) */

static const char hex[] = "0123456789ABCDEF";

/* One line of text at p, n octets without its line end. Trailing white space would be lost on the
 * way (RFC 2045 §6.7 (3)) and is encoded. */
static char *
qp_line(char *to, const unsigned char *p, size_t n)
{
	size_t column = 0;

	for (size_t i = 0; i < n; i++) {
		bool space = p[i] == ' ' || p[i] == '\t';
		bool plain = space ? i + 1 < n : p[i] > ' ' && p[i] <= '~' && p[i] != '=';
		size_t width = plain ? 1 : 3;

		if (column + width > LINE - (i + 1 < n)) { /* room for the = of a soft break */
			memcpy(to, "=\r\n", 3);
			to += 3;
			column = 0;
		}
		if (plain) {
			*to++ = (char)p[i];
		} else {
			*to++ = '=';
			*to++ = hex[p[i] >> 4];
			*to++ = hex[p[i] & 15];
		}
		column += width;
	}
	memcpy(to, "\r\n", 2);
	return to + 2;
}

struct ph_str
ph__take_line(struct ph_str *rest)
{
	struct ph_str line = { rest->ptr, 0 };
	size_t end;

	while (line.len < rest->len && line.ptr[line.len] != '\n' && line.ptr[line.len] != '\r')
		line.len++;
	end = line.len;
	if (rest->len - end >= 2 && line.ptr[end] == '\r' && line.ptr[end + 1] == '\n')
		end++;
	end += end < rest->len;
	rest->ptr += end;
	rest->len -= end;
	return line;
}

bool
ph__qp_encode_text(struct ph__buf *out, struct ph_str s)
{
	while (s.len != 0) {
		struct ph_str line = ph__take_line(&s);
		/* Every octet may need 3, and every 73 columns a soft break of 3. */
		size_t most = line.len > SIZE_MAX / 16 ? SIZE_MAX / 4
		                                       : line.len * 3 + (line.len / 24 + 1) * 3 + 2;

		char *to;

		if (!ph__buf_reserve(out, most))
			return false;
		to = qp_line(out->p + out->len, (const unsigned char *)line.ptr, line.len);
		*to = '\0'; /* @UNSAFE: `most` octets and a NUL were reserved */
		out->len = (size_t)(to - out->p);
	}
	return true;
}

bool
ph__xtext_encode(struct ph__buf *out, struct ph_str s)
{
	for (size_t i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)s.ptr[i];

		if (c > ' ' && c <= '~' && c != '+' && c != '=')
			ph__buf_add_char(out, (char)c);
		else
			ph__buf_add(out, (char[3]){ '+', hex[c >> 4], hex[c & 15] }, 3);
	}
	return ph__buf_ok(out);
}

bool
ph__utf8_xtext_encode(struct ph__buf *out, struct ph_str s)
{
	uint32_t c;
	size_t n;

	for (; (n = ph__utf8_next(s, &c)) != 0; s.ptr += n, s.len -= n) {
		if (c > ' ' && c <= '~' && c != '+' && c != '=' && c != '\\')
			ph__buf_add_char(out, (char)c);
		else
			ph__buf_addf(out, "\\x{%02X}", (unsigned)c);
	}
	return ph__buf_ok(out);
}

/* Decodes one character at s, which is not empty; its length, 0 when ill-formed. */
static size_t
xtext_next(struct ph_str s, char *ret)
{
	int high, low;

	if (s.ptr[0] != '+') {
		*ret = s.ptr[0];
		return *ret > ' ' && *ret <= '~' && *ret != '=';
	}
	if (s.len < 3 || (high = ph__hex_value(s.ptr[1])) < 0 || (low = ph__hex_value(s.ptr[2])) < 0)
		return 0;
	*ret = (char)(high << 4 | low);
	return 3;
}

bool
ph__xtext_decode(struct ph__buf *out, struct ph_str s)
{
	size_t start = out->len, n;
	char c;

	while (s.len != 0) {
		if ((n = xtext_next(s, &c)) == 0 || !ph__buf_add_char(out, c)) {
			ph__buf_cut(out, start);
			return false;
		}
		s.ptr += n;
		s.len -= n;
	}
	return true;
}
