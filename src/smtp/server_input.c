/* SPDX-License-Identifier: MIT */
/* The server session's input: `held` (copied, from earlier) then `lent` (the caller's, this feed).
 *
 * In the common case lines and message octets are taken straight from what was lent. Only a line
 * cut by the end of a feed, and what arrives while an answer is waited for, is copied. A line in
 * `held` is complete before it is taken, so its pointer stays good until the next append; appends
 * happen in take_line() and keep() only. */
#include <assert.h>

#include "smtp/server_private.h"

static struct ph_str
held(const struct ph__server *s)
{
	return (struct ph_str){ ph__buf_cstr(&s->held) + s->off, s->held.len - s->off };
}

size_t
ph__server_unread(const struct ph__server *s)
{
	return s->held.len - s->off + s->lent.len;
}

static void
skip_lent(struct ph__server *s, size_t n)
{
	s->lent.ptr += n;
	s->lent.len -= n;
}

/* Moves n octets of what is lent behind what is held. Lack of memory sticks in the buffer. */
static void
hold(struct ph__server *s, size_t n)
{
	ph__buf_drop_front(&s->held, s->off);
	s->off = 0;
	ph__buf_add(&s->held, s->lent.ptr, n);
	skip_lent(s, n);
}

/* The octets of the first line with its LF, in one piece; 0: not whole yet. */
static size_t
whole_line(struct ph__server *s, const char **p)
{
	struct ph_str h = held(s);
	const char *lf;

	if (h.len != 0) {
		if ((lf = memchr(h.ptr, '\n', h.len)) == NULL && s->lent.len != 0) {
			lf = memchr(s->lent.ptr, '\n', s->lent.len);
			hold(s, lf != NULL ? (size_t)(lf + 1 - s->lent.ptr) : s->lent.len);
			h = held(s);
			lf = lf != NULL && ph__buf_ok(&s->held) ? h.ptr + h.len - 1 : NULL;
		}
		*p = h.ptr;
		return lf != NULL ? (size_t)(lf + 1 - h.ptr) : 0;
	}
	if (s->lent.len == 0 || (lf = memchr(s->lent.ptr, '\n', s->lent.len)) == NULL)
		return 0;
	*p = s->lent.ptr;
	return (size_t)(lf + 1 - *p);
}

/* A line without its end. A line over the longest that any command may have is passed over to its
 * end without being kept. */
enum ph__line
ph__server_take_line(struct ph__server *s, struct ph_str *line, bool *bare_lf)
{
	const char *p = NULL;
	size_t n = whole_line(s, &p);
	bool skipped = s->skipping;

	if (n == 0) {
		if (skipped || ph__server_unread(s) > PH__AUTH_LINE_MAX) {
			s->skipping = true;
			ph__server_discard(s);
		}
		return PH__LINE_NONE;
	}
	ph__server_consume(s, n);
	s->skipping = false;
	if (skipped || n > PH__AUTH_LINE_MAX)
		return PH__LINE_TOO_LONG;
	*bare_lf = n < 2 || p[n - 2] != '\r';
	*line = (struct ph_str){ p, n - (*bare_lf ? 1 : 2) };
	return PH__LINE_TAKEN;
}

struct ph_str
ph__server_octets(const struct ph__server *s)
{
	return s->held.len > s->off ? held(s) : s->lent;
}

void
ph__server_consume(struct ph__server *s, size_t n)
{
	if (s->held.len > s->off) {
		assert(n <= s->held.len - s->off);
		s->off += n;
	} else {
		assert(n <= s->lent.len);
		skip_lent(s, n);
	}
}

void
ph__server_keep(struct ph__server *s)
{
	if (s->lent.len != 0)
		hold(s, s->lent.len);
}

void
ph__server_tidy(struct ph__server *s)
{
	if (s->off != 0 && s->off == s->held.len) {
		ph__buf_reset(&s->held);
		s->off = 0;
	}
}

void
ph__server_discard(struct ph__server *s)
{
	ph__buf_reset(&s->held);
	s->off = 0;
	s->lent.len = 0;
}

void
ph__server_wipe_held(struct ph__server *s, struct ph_str secret)
{
	uintptr_t at = (uintptr_t)secret.ptr, begin = (uintptr_t)s->held.p;

	if (s->held.p != NULL && at >= begin && at + secret.len <= begin + s->held.len)
		ph__wipe(s->held.p + (at - begin), secret.len);
}
