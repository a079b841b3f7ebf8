/* SPDX-License-Identifier: MIT */
#ifndef PH_BASE_STR_H
#define PH_BASE_STR_H
/* Text as pointer and length, and the ASCII-only character tests that protocols need: the locale
 * must never decide what a keyword is. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <posthaste/api.h>

struct ph_str {
	const char *ptr;
	size_t      len;
};

static inline struct ph_str
ph__str(const char *s)
{
	return (struct ph_str){ s, s != NULL ? strlen(s) : 0 };
}

static inline char
ph__lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

/* In place. */
static inline void
ph__lower_all(char *s, size_t len)
{
	for (size_t i = 0; i < len; i++)
		s[i] = ph__lower(s[i]);
}

static inline char
ph__upper(char c)
{
	return c >= 'a' && c <= 'z' ? (char)(c - 32) : c;
}

static inline bool
ph__is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static inline bool
ph__is_alpha(char c)
{
	return ph__lower(c) >= 'a' && ph__lower(c) <= 'z';
}

static inline bool
ph__is_alnum(char c)
{
	return ph__is_digit(c) || ph__is_alpha(c);
}

/* Of one hexadecimal digit; -1: it is none. */
static inline int
ph__hex_value(char c)
{
	if (ph__is_digit(c))
		return c - '0';
	c = ph__lower(c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static inline bool
ph__is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* C0 and DEL; what no command and no header may carry from a caller. */
static inline bool
ph__is_control(char c)
{
	return (unsigned char)c < 0x20 || c == 0x7f;
}

bool ph__str_eq(struct ph_str a, struct ph_str b);
bool ph__str_eq_nocase(struct ph_str a, struct ph_str b);
bool ph__cstr_eq_nocase(const char *a, const char *b);
bool ph__str_is(struct ph_str s, const char *word);      /* in upper or lower case */
bool ph__str_begins(struct ph_str s, const char *with);  /* the same */
struct ph_str ph__str_trim(struct ph_str s);             /* without blanks and tabs at its ends */
/* Cuts the next word off a text with spaces between; empty: there is none. */
struct ph_str ph__str_word(struct ph_str *rest);
/* Cuts off what stands before the next `sep`, and drops that. Without one it is all the rest, and
 * rest->ptr becomes NULL. */
struct ph_str ph__str_cut(struct ph_str *rest, char sep);
/* Cuts the first line off, and gives it without its CRLF or LF. */
struct ph_str ph__str_line(struct ph_str *rest);
/* Sets to NULL each text that stands further in front as well. False: out of memory. */
bool ph__drop_doubles(const char **texts, size_t count, const struct ph_allocator *mem);
bool ph__str_has_control(struct ph_str s);     /* C0, DEL; UTF-8 encoded C1 as well */
bool ph__str_is_ascii(struct ph_str s);
bool ph__str_is_utf8(struct ph_str s);         /* well formed, no surrogates (RFC 3629) */
/* Octets of the UTF-8 character at s.ptr, its code point in *cp; 0 when ill-formed or empty. */
size_t ph__utf8_next(struct ph_str s, uint32_t *cp);
/* For tables of what we look up ourselves (FNV-1a, 64 bits). */
uint64_t ph__str_hash(struct ph_str s);
/* A decimal number that fills all of s; false when empty, not a number, or over max. */
bool ph__str_to_uint(struct ph_str s, uint64_t max, uint64_t *ret);

#endif
