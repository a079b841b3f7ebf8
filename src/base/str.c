/* SPDX-License-Identifier: MIT */
/* Text helpers. See str.h. */
#include "base/str.h"

#include <stdlib.h>

#include "base/mem.h"

bool
ph__str_eq(struct ph_str a, struct ph_str b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

bool
ph__str_eq_nocase(struct ph_str a, struct ph_str b)
{
	if (a.len != b.len)
		return false;
	for (size_t i = 0; i < a.len; i++)
		if (ph__lower(a.ptr[i]) != ph__lower(b.ptr[i]))
			return false;
	return true;
}

bool
ph__cstr_eq_nocase(const char *a, const char *b)
{
	return ph__str_eq_nocase(ph__str(a), ph__str(b));
}

bool
ph__str_is(struct ph_str s, const char *word)
{
	return ph__str_eq_nocase(s, ph__str(word));
}

bool
ph__str_begins(struct ph_str s, const char *with)
{
	size_t n = strlen(with);

	return s.len >= n && ph__str_eq_nocase((struct ph_str){ s.ptr, n }, (struct ph_str){ with, n });
}

struct ph_str
ph__str_trim(struct ph_str s)
{
	while (s.len != 0 && ph__is_blank(*s.ptr))
		s.ptr++, s.len--;
	while (s.len != 0 && ph__is_blank(s.ptr[s.len - 1]))
		s.len--;
	return s;
}

struct ph_str
ph__str_word(struct ph_str *rest)
{
	struct ph_str w;

	while (rest->len != 0 && *rest->ptr == ' ')
		rest->ptr++, rest->len--;
	w = (struct ph_str){ rest->ptr, 0 };
	while (rest->len != 0 && *rest->ptr != ' ')
		rest->ptr++, rest->len--, w.len++;
	return w;
}

struct ph_str
ph__str_cut(struct ph_str *rest, char sep)
{
	const char *end = rest->len != 0 ? memchr(rest->ptr, sep, rest->len) : NULL;
	struct ph_str w = { rest->ptr, end != NULL ? (size_t)(end - rest->ptr) : rest->len };

	*rest = end != NULL ? (struct ph_str){ end + 1, rest->len - w.len - 1 }
	                    : (struct ph_str){ NULL, 0 };
	return w;
}

bool
ph__str_has_control(struct ph_str s)
{
	for (size_t i = 0; i < s.len; i++) {
		if (ph__is_control(s.ptr[i]))
			return true;
		/* U+0080..U+009F is C2 80..C2 9F */
		if ((unsigned char)s.ptr[i] == 0xc2 && i + 1 < s.len &&
		    (unsigned char)s.ptr[i + 1] >= 0x80 && (unsigned char)s.ptr[i + 1] < 0xa0)
			return true;
	}
	return false;
}

bool
ph__str_is_ascii(struct ph_str s)
{
	unsigned char seen = 0;

	for (size_t i = 0; i < s.len; i++)
		seen |= (unsigned char)s.ptr[i];
	return seen < 0x80;
}

size_t
ph__utf8_next(struct ph_str s, uint32_t *cp)
{
	const unsigned char *p = (const unsigned char *)s.ptr;
	size_t n;
	uint32_t c, least;

	if (s.len == 0)
		return 0;
	if (p[0] < 0x80) {
		*cp = p[0];
		return 1;
	}
	if (p[0] >= 0xc2 && p[0] < 0xe0)
		n = 2, c = p[0] & 0x1f, least = 0x80;
	else if (p[0] >= 0xe0 && p[0] < 0xf0)
		n = 3, c = p[0] & 0x0f, least = 0x800;
	else if (p[0] >= 0xf0 && p[0] < 0xf5)
		n = 4, c = p[0] & 0x07, least = 0x10000;
	else
		return 0;
	if (s.len < n)
		return 0;
	for (size_t i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (p[i] & 0x3f);
	}
	if (c < least || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
		return 0;
	*cp = c;
	return n;
}

bool
ph__str_is_utf8(struct ph_str s)
{
	uint32_t cp;

	while (s.len != 0) {
		size_t n = ph__utf8_next(s, &cp);

		if (n == 0)
			return false;
		s.ptr += n;
		s.len -= n;
	}
	return true;
}

uint64_t
ph__str_hash(struct ph_str s)
{
	uint64_t h = 14695981039346656037u;

	for (size_t i = 0; i < s.len; i++)
		h = (h ^ (unsigned char)s.ptr[i]) * 1099511628211u;
	return h;
}

bool
ph__str_to_uint(struct ph_str s, uint64_t max, uint64_t *ret)
{
	uint64_t n = 0;

	if (s.len == 0)
		return false;
	for (size_t i = 0; i < s.len; i++) {
		uint64_t d = (uint64_t)(s.ptr[i] - '0');

		if (!ph__is_digit(s.ptr[i]) || d > max || n > (max - d) / 10)
			return false;
		n = n * 10 + d;
	}
	*ret = n;
	return true;
}

struct ph_str
ph__str_line(struct ph_str *rest)
{
	struct ph_str line = ph__str_cut(rest, '\n');

	line.len -= line.len != 0 && line.ptr[line.len - 1] == '\r';
	return line;
}

struct place {
	const char *text;
	size_t      at;
};

static int
by_text(const void *a, const void *b)
{
	const struct place *x = a, *y = b;
	int c = strcmp(x->text, y->text);

	return c != 0 ? c : (x->at > y->at) - (x->at < y->at);
}

/* Sorted, equal ones lie side by side, the first first. */
bool
ph__drop_doubles(const char **texts, size_t count, const struct ph_allocator *mem)
{
	struct place *places = ph__alloc_array(mem, count, sizeof *places);

	if (places == NULL)
		return false;
	for (size_t i = 0; i < count; i++)
		places[i] = (struct place){ texts[i], i };
	qsort(places, count, sizeof *places, by_text);
	for (size_t i = 1; i < count; i++)
		if (strcmp(places[i - 1].text, places[i].text) == 0)
			texts[places[i].at] = NULL;
	ph__free(mem, places);
	return true;
}
