/* SPDX-License-Identifier: MIT */
#ifndef PH_BASE_BUF_H
#define PH_BASE_BUF_H
/* A growing byte string that cannot outgrow its maximum.
 *
 * Errors stick: after the first failed addition every later one fails too and the content stays as
 * it was, so a run of additions is tested once at its end (ph__buf_ok). Always NUL-terminated once
 * anything was added; ph__buf_cstr() never returns NULL. */
#include <stdbool.h>
#include <stddef.h>
#include "base/mem.h"
#include "base/str.h"

enum ph__buf_state { PH__BUF_OK, PH__BUF_FULL, PH__BUF_NOMEM };

struct ph__buf {
	const struct ph_allocator *mem;
	char  *p;
	size_t len, cap, max;
	enum ph__buf_state state;
	bool   secret; /* wiped whenever memory is given up */
};

void ph__buf_init(struct ph__buf *b, const struct ph_allocator *mem, size_t max);
bool ph__buf_reserve(struct ph__buf *b, size_t n); /* room for n more without a move */
bool ph__buf_add(struct ph__buf *b, const void *p, size_t n);
bool ph__buf_add_char(struct ph__buf *b, char c);
bool ph__buf_add_str(struct ph__buf *b, const char *s);
bool ph__buf_add_uint(struct ph__buf *b, unsigned long long n); /* decimal */
bool ph__buf_addf(struct ph__buf *b, const char *fmt, ...) PH_PRINTF(2, 3);
void ph__buf_drop_front(struct ph__buf *b, size_t n);
void ph__buf_cut(struct ph__buf *b, size_t len);   /* back to its first len octets; errors stay */
void ph__buf_reset(struct ph__buf *b);             /* empty again, memory kept, error forgotten */
void ph__buf_done(struct ph__buf *b);

static inline bool
ph__buf_ok(const struct ph__buf *b)
{
	return b->state == PH__BUF_OK;
}

static inline const char *
ph__buf_cstr(const struct ph__buf *b)
{
	return b->p != NULL ? b->p : "";
}

static inline struct ph_str
ph__buf_str(const struct ph__buf *b)
{
	return (struct ph_str){ ph__buf_cstr(b), b->len };
}

/* Hands the string over (NUL-terminated, to be freed with the same allocator); the buffer is empty
 * and usable afterwards. NULL when an addition had failed or memory is out. */
char *ph__buf_take(struct ph__buf *b);

#endif
