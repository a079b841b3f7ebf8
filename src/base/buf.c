/* SPDX-License-Identifier: MIT */
/* Bounded buffer. See buf.h. Growth doubles, so a byte is copied twice at most on average. */
#include "base/buf.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void
ph__buf_init(struct ph__buf *b, const struct ph_allocator *mem, size_t max)
{
	assert(max != 0 && max < SIZE_MAX / 4);
	*b = (struct ph__buf){ .mem = mem, .max = max };
}

/* A secret may not stay behind in memory that realloc gave up: move by hand and wipe. */
static char *
buf_move(struct ph__buf *b, size_t cap)
{
	char *p;

	if (!b->secret)
		return ph__realloc(b->mem, b->p, cap);
	if ((p = ph__alloc(b->mem, cap)) == NULL)
		return NULL;
	if (b->p != NULL) {
		memcpy(p, b->p, b->len + 1);
		ph__wipe(b->p, b->cap);
		ph__free(b->mem, b->p);
	}
	return p;
}

bool
ph__buf_reserve(struct ph__buf *b, size_t n)
{
	size_t cap;
	char *p;

	if (b->state != PH__BUF_OK)
		return false;
	if (n > b->max - b->len) {
		b->state = PH__BUF_FULL;
		return false;
	}
	if (b->len + n < b->cap)
		return true;
	for (cap = b->cap != 0 ? b->cap : 64; cap <= b->len + n; )
		cap *= 2;
	if ((p = buf_move(b, cap)) == NULL) {
		b->state = PH__BUF_NOMEM;
		return false;
	}
	p[b->len] = '\0';
	b->p = p;
	b->cap = cap;
	return true;
}

bool
ph__buf_add(struct ph__buf *b, const void *p, size_t n)
{
	if (!ph__buf_reserve(b, n))
		return false;
	if (n != 0)
		memcpy(b->p + b->len, p, n); /* @UNSAFE: reserve() made len + n < cap */
	b->len += n;
	b->p[b->len] = '\0';
	return true;
}

bool
ph__buf_add_char(struct ph__buf *b, char c)
{
	return ph__buf_add(b, &c, 1);
}

bool
ph__buf_add_str(struct ph__buf *b, const char *s)
{
	return ph__buf_add(b, s, strlen(s));
}

bool
ph__buf_add_uint(struct ph__buf *b, unsigned long long n)
{
	char digits[24];
	size_t i = sizeof digits;

	do
		digits[--i] = (char)('0' + n % 10);
	while ((n /= 10) != 0);
	return ph__buf_add(b, digits + i, sizeof digits - i);
}

static bool
vaddf(struct ph__buf *b, const char *fmt, va_list ap)
{
	va_list again;
	int n;

	va_copy(again, ap);
	n = vsnprintf(NULL, 0, fmt, again);
	va_end(again);
	if (n < 0 || !ph__buf_reserve(b, (size_t)n)) {
		if (n < 0)
			b->state = PH__BUF_FULL;
		return false;
	}
	vsnprintf(b->p + b->len, (size_t)n + 1, fmt, ap); /* @UNSAFE: reserve() left n + 1 */
	b->len += (size_t)n;
	return true;
}

bool
ph__buf_addf(struct ph__buf *b, const char *fmt, ...)
{
	va_list ap;
	bool ok;

	va_start(ap, fmt);
	ok = vaddf(b, fmt, ap);
	va_end(ap);
	return ok;
}

void
ph__buf_drop_front(struct ph__buf *b, size_t n)
{
	assert(n <= b->len);
	if (n == 0)
		return;
	memmove(b->p, b->p + n, b->len - n);
	if (b->secret)
		ph__wipe(b->p + b->len - n, n);
	b->len -= n;
	b->p[b->len] = '\0';
}

void
ph__buf_cut(struct ph__buf *b, size_t len)
{
	assert(len <= b->len);
	if (len == b->len)
		return;
	if (b->secret)
		ph__wipe(b->p + len, b->len - len);
	b->len = len;
	b->p[len] = '\0';
}

void
ph__buf_reset(struct ph__buf *b)
{
	if (b->secret && b->p != NULL)
		ph__wipe(b->p, b->cap);
	b->len = 0;
	b->state = PH__BUF_OK;
	if (b->p != NULL)
		b->p[0] = '\0';
}

void
ph__buf_done(struct ph__buf *b)
{
	if (b->secret && b->p != NULL)
		ph__wipe(b->p, b->cap);
	ph__free(b->mem, b->p);
	b->p = NULL;
	b->len = b->cap = 0;
}

char *
ph__buf_take(struct ph__buf *b)
{
	char *p;

	if (!ph__buf_reserve(b, 0))
		return NULL;
	p = b->p;
	b->p = NULL;
	b->len = b->cap = 0;
	return p;
}
