/* SPDX-License-Identifier: MIT */
/* The queue of octets to send. See outq.h. Memory of copies is used again as soon as the queue runs
 * empty, which it does after every flight. */
#include "smtp/outq.h"

#include <assert.h>

#define OUTQ_MAX ((size_t)64 << 20) /* far above what the session queues; a backstop */
#define GONE_MIN ((size_t)64 << 10)

void
ph__outq_init(struct ph__outq *q, const struct ph_allocator *mem)
{
	*q = (struct ph__outq){ .mem = mem };
	ph__buf_init(&q->copies, mem, OUTQ_MAX);
}

void
ph__outq_done(struct ph__outq *q)
{
	ph__buf_done(&q->copies);
	ph__free(q->mem, q->pieces);
	q->pieces = NULL;
}

static struct ph__piece *
add_piece(struct ph__outq *q)
{
	if (q->first + q->count == q->cap) {
		size_t cap = q->cap != 0 ? q->cap * 2 : 16;
		struct ph__piece *p;

		if (q->first > q->cap / 2) {
			memmove(q->pieces, q->pieces + q->first, q->count * sizeof *q->pieces);
			q->first = 0;
		} else {
			if ((p = ph__realloc(q->mem, q->pieces, cap * sizeof *p)) == NULL)
				return NULL;
			q->pieces = p;
			q->cap = cap;
		}
	}
	return &q->pieces[q->first + q->count++];
}

/* A peer that takes less than we make never lets the queue run empty: what has gone is given up here,
 * not in sent(), for pieces stay valid while they are sent. Each octet is moved once on average. */
static void
forget_gone(struct ph__outq *q)
{
	if (q->copies_at < GONE_MIN || q->copies_at < q->copies.len / 2)
		return;
	ph__buf_drop_front(&q->copies, q->copies_at);
	q->copies_at = 0;
}

bool
ph__outq_copy(struct ph__outq *q, const void *p, size_t n)
{
	struct ph__piece *last = q->count != 0 ? &q->pieces[q->first + q->count - 1] : NULL;

	if (n == 0)
		return true;
	forget_gone(q);
	if (!ph__buf_add(&q->copies, p, n))
		return false;
	if (last == NULL || last->p != NULL) {
		if ((last = add_piece(q)) == NULL)
			return false;
		*last = (struct ph__piece){ NULL, 0 };
	}
	last->n += n;
	q->total += n;
	return true;
}

bool
ph__outq_copy_secret(struct ph__outq *q, const void *p, size_t n)
{
	q->copies.secret = true;
	return ph__outq_copy(q, p, n);
}

bool
ph__outq_borrow(struct ph__outq *q, const void *p, size_t n)
{
	struct ph__piece *last;

	if (n == 0)
		return true;
	if ((last = add_piece(q)) == NULL)
		return false;
	*last = (struct ph__piece){ p, n };
	q->borrowed += n;
	q->total += n;
	return true;
}

size_t
ph__outq_pull(const struct ph__outq *q, struct iovec *iov, size_t max)
{
	size_t at = q->copies_at, n = q->count < max ? q->count : max;

	for (size_t i = 0; i < n; i++) {
		const struct ph__piece *p = &q->pieces[q->first + i];

		iov[i].iov_base = (char *)(p->p != NULL ? p->p : q->copies.p + at);
		iov[i].iov_len = p->n;
		if (p->p == NULL)
			at += p->n;
	}
	return n;
}

static void
restart(struct ph__outq *q)
{
	q->first = q->count = 0;
	q->copies_at = 0;
	q->borrowed = 0;
	ph__buf_reset(&q->copies);
	q->copies.secret = false;
}

void
ph__outq_sent(struct ph__outq *q, size_t n)
{
	assert(n <= q->total - q->sent);
	q->sent += n;
	if (q->sent == q->total) {
		restart(q);
		return;
	}
	while (n != 0) {
		struct ph__piece *p = &q->pieces[q->first];
		size_t part = n < p->n ? n : p->n;

		if (p->p != NULL) {
			p->p += part;
			q->borrowed -= part;
		} else {
			q->copies_at += part;
		}
		p->n -= part;
		n -= part;
		if (p->n == 0) {
			q->first++;
			q->count--;
		}
	}
}

void
ph__outq_drop(struct ph__outq *q)
{
	q->total = q->sent;
	restart(q);
}
