/* SPDX-License-Identifier: MIT */
/* Guessing GB18030. See gb18030.h.
 *
 * Servers of Chinese providers answer in it without saying so, and the user for whom the sentence was
 * written must be able to read it. A wrong guess shows nonsense in place of honest \xNN, so the rule
 * is narrow: first the octets must have the shape, then every character they stand for must be one of
 * Chinese prose. All of GB 2312 has both octets with the high bit set; what GB18030 adds to it with
 * an ASCII second octet is given up, because "\xE9t\xE9s" would pass for two characters of it. */
#include "base/gb18030.h"

#include <iconv.h>

static bool
is_high(char c)
{
	return (unsigned char)c >= 0x80;
}

/* Pairs only, two or more of them in each run, and one run at least. */
static bool
has_the_shape(struct ph_str s)
{
	size_t run = 0;
	bool any = false;

	for (size_t i = 0; i <= s.len; i++) {
		if (i < s.len && is_high(s.ptr[i])) {
			run++;
			continue;
		}
		if (run % 2 != 0 || run == 2)
			return false;
		any |= run != 0;
		run = 0;
	}
	return any;
}

static bool
is_han(uint32_t cp)
{
	return (cp >= 0x3400 && cp <= 0x4dbf) || (cp >= 0x4e00 && cp <= 0x9fff)
	    || (cp >= 0xf900 && cp <= 0xfaff);
}

/* The marks that stand in Chinese prose, full-width forms included. */
static bool
is_punctuation(uint32_t cp)
{
	return (cp >= 0x3000 && cp <= 0x301f) || (cp >= 0xff01 && cp <= 0xff5e) || cp == 0xb7
	    || cp == 0x2014 || cp == 0x2018 || cp == 0x2019 || cp == 0x201c || cp == 0x201d
	    || cp == 0x2026;
}

/* Whether every run of the decoded text has two Han characters and nothing foreign. */
static bool
is_chinese(struct ph_str s)
{
	size_t han = 0;
	bool in_run = false;

	while (s.len != 0) {
		uint32_t cp = 0;
		size_t n = ph__utf8_next(s, &cp);

		if (n == 0 || (cp >= 0x80 && !is_han(cp) && !is_punctuation(cp)))
			return false;
		if (cp < 0x80 && in_run && han < 2)
			return false;
		in_run = cp >= 0x80;
		han = in_run ? han + is_han(cp) : 0;
		s.ptr += n;
		s.len -= n;
	}
	return !in_run || han >= 2;
}

/* Two octets become three at most. */
static bool
convert(struct ph__buf *out, struct ph_str s)
{
	size_t room = s.len / 2 * 3 + 3, left = room, len = s.len;
	char *in = (char *)s.ptr, *to; /* iconv()'s parameter is not const; it does not write */
	iconv_t cd;
	bool ok;

	if (!ph__buf_reserve(out, room) || (cd = iconv_open("UTF-8", "GB18030")) == (iconv_t)-1)
		return false;
	to = out->p + out->len; /* @UNSAFE: reserve() left room + 1 octets */
	ok = iconv(cd, &in, &len, &to, &left) == 0 && len == 0;
	iconv_close(cd);
	out->len += ok ? room - left : 0;
	out->p[out->len] = '\0';
	return ok;
}

bool
ph__gb18030_decode(struct ph__buf *out, struct ph_str s)
{
	size_t before = out->len;

	if (ph__str_is_utf8(s) || !has_the_shape(s) || !convert(out, s))
		return false;
	if (is_chinese((struct ph_str){ out->p + before, out->len - before }))
		return true;
	ph__buf_cut(out, before);
	return false;
}
