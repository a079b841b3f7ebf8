/* SPDX-License-Identifier: MIT */
#ifndef PH_MAIL_LINES_H
#define PH_MAIL_LINES_H
/* A message's octets to the lines of the wire: line ends (RFC 5321 §2.3.8), dot-stuffing (§4.5.2),
 * and the checks that keep a message from smuggling a second one. The result is the same wherever
 * the octets are cut. What needs no change is found a block at a time and passed on as one piece. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <posthaste/source.h>

enum ph__lines_fault {
	PH__LINES_OK,
	PH__LINES_NUL,
	PH__LINES_BARE,     /* a bare CR or LF under `strict` */
	PH__LINES_TOO_LONG, /* a line over line_max */
	PH__LINES_NOMEM     /* emit() said false */
};

/* "a NUL octet": what the message has; of a fault of the message. Static. */
const char *ph__lines_fault_text(enum ph__lines_fault fault);

/* Takes a piece; `borrow` is false for octets that are gone after the call. */
typedef bool ph__lines_emit(void *user, const char *p, size_t n, bool borrow);

/* As line_max: lines of any length. Room for a block is left, so that sums do not wrap. */
#define PH__LINE_ANY (UINT64_MAX / 2)

struct ph__lines {
	enum ph_line_ends ends;
	bool     stuff;       /* double a dot at the beginning of a line */
	bool     tolerant;    /* note faults in the fields below and go on: for examining */
	uint64_t line_max;    /* octets of a line, as init() has it PH__LINE_MAX */
	/* state */
	bool     at_start;    /* of a line */
	bool     held_cr;     /* the last octet was a CR; what it was is not known yet */
	bool     any;         /* there was an octet */
	uint64_t line_len;    /* of the line so far */
	/* what was seen */
	bool     eight_bit, nul, bare;
	uint64_t longest;     /* without its CRLF; counted when tolerant */
	uint64_t wire_size;   /* without stuffing */
};

void ph__lines_init(struct ph__lines *l, enum ph_line_ends ends, bool stuff);
enum ph__lines_fault ph__lines_feed(struct ph__lines *l, const char *p, size_t n,
                                    ph__lines_emit *emit, void *user);
/* The message is complete: a missing last CRLF is added. */
enum ph__lines_fault ph__lines_end(struct ph__lines *l, ph__lines_emit *emit, void *user);

#endif
