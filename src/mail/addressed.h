/* SPDX-License-Identifier: MIT */
#ifndef PH_MAIL_ADDRESSED_H
#define PH_MAIL_ADDRESSED_H
/* A finished message that says itself whom it is from and to: its envelope, and the message as it is
 * sent, without Bcc and Resent-Bcc (RFC 5322 §3.6.3). */
#include <posthaste/message.h>
#include <posthaste/source.h>
#include "base/buf.h"

struct ph__addressed {
	const struct ph_allocator *mem;
	struct ph_source *message;       /* the caller's, borrowed */
	struct ph__buf head;             /* what was read of it */
	bool begun;
	struct ph_addresses *sender, *recipients;
	const char **list;               /* the recipients */
	size_t count;
	struct ph_source *source;        /* what to send; stands on `message` */
};

void ph__addressed_init(struct ph__addressed *a, struct ph_source *message,
                        const struct ph_allocator *mem);
void ph__addressed_done(struct ph__addressed *a);

/* Reads the header block, and makes the source. PH_EDEFERRED: the message has nothing to read now,
 * call again; PH_ENOINPUT; PH_EINPUT: the block is over 1 MiB. */
enum ph_code ph__addressed_read(struct ph__addressed *a, struct ph_error *err);
/* Then who it is from and to. PH_EINPUT: not said, or not clearly. */
enum ph_code ph__addressed_sender(struct ph__addressed *a, const char **ret, struct ph_error *err);
enum ph_code ph__addressed_recipients(struct ph__addressed *a, struct ph_error *err);

#endif
