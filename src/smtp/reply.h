/* SPDX-License-Identifier: MIT */
#ifndef PH_SMTP_REPLY_H
#define PH_SMTP_REPLY_H
/* One reply, out of lines as they come (RFC 5321 §4.2).
 *
 *	Reply-line = *( Reply-code "-" [ textstring ] CRLF ) Reply-code [ SP textstring ] CRLF
 *	Reply-code = %x32-35 %x30-35 %x30-39
 *
 * A bare LF ends a line as well, and a code alone is a line: servers do both. Everything is bounded,
 * all lines must have the same code. */
#include <posthaste/transaction.h>
#include "base/buf.h"

enum ph__reply_state { PH__REPLY_MORE, PH__REPLY_DONE, PH__REPLY_BAD, PH__REPLY_NOMEM };

struct ph__reply_parser {
	struct ph__buf text;   /* of a reply of several lines */
	uint16_t code;
	unsigned lines;
	size_t   octets;       /* of all its lines */
	size_t   scanned;      /* of the unfinished line, known to hold no LF */
	const char *why;       /* PH__REPLY_BAD: static text; */
	struct ph_str line;    /* and the line that is bad, as far as it came: in the octets fed last */
	bool endless;          /* PH__REPLY_BAD: because of a bound */
};

void ph__reply_init(struct ph__reply_parser *r, const struct ph_allocator *mem);
void ph__reply_done(struct ph__reply_parser *r);

/* Takes lines from `in` until a reply is complete. *used octets are finished with; what follows is
 * the next reply's or, behind a 220 to STARTTLS, an injection. An unfinished line is not taken: it
 * must be at the front of the next call's octets. `in` is written to: a NUL ends each line taken.
 * DONE: *reply is filled, its text in `in` or in the parser, until either is used again. */
enum ph__reply_state ph__reply_feed(struct ph__reply_parser *r, char *in, size_t len, size_t *used,
                                    struct ph_reply *reply);

/* The enhanced status code that a text begins with (RFC 2034 §4), if it fits the reply's class;
 * otherwise {0}. */
void ph__reply_enhanced(uint16_t code, struct ph_str text, uint16_t ret[3]);

#endif
