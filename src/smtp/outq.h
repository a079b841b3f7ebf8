/* SPDX-License-Identifier: MIT */
#ifndef PH_SMTP_OUTQ_H
#define PH_SMTP_OUTQ_H
/* What is to be sent, in order: commands and short runs copied, long runs of a body pointed at.
 * Counts every octet, so that a place in the stream can be named and compared with what has gone. */
#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>
#include "base/buf.h"

struct ph__piece {
	const char *p; /* NULL: the next n octets of `copies` */
	size_t n;
};

struct ph__outq {
	const struct ph_allocator *mem;
	struct ph__buf copies;
	size_t copies_at;          /* octets of copies that have gone */
	struct ph__piece *pieces;
	size_t first, count, cap;  /* pieces[first .. first + count) */
	size_t borrowed;           /* octets pointed at that have not gone */
	uint64_t total, sent;      /* octets ever added, ever gone */
};

void ph__outq_init(struct ph__outq *q, const struct ph_allocator *mem);
void ph__outq_done(struct ph__outq *q);
/* False: out of memory. */
bool ph__outq_copy(struct ph__outq *q, const void *p, size_t n);
bool ph__outq_copy_secret(struct ph__outq *q, const void *p, size_t n); /* wiped when it has gone */
bool ph__outq_borrow(struct ph__outq *q, const void *p, size_t n);
size_t ph__outq_pull(const struct ph__outq *q, struct iovec *iov, size_t max);
void ph__outq_sent(struct ph__outq *q, size_t n);
/* Throws away what has not gone. */
void ph__outq_drop(struct ph__outq *q);

#endif
