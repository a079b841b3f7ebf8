/* SPDX-License-Identifier: MIT */
#ifndef PH_SMTP_SERVER_BODY_H
#define PH_SMTP_SERVER_BODY_H
/* A message as it comes in: where it ends, without its stuffed dots, and what was odd about it. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/str.h"

enum ph__body_state {
	PH__BODY_BOL,    /* behind a CRLF, or at the beginning */
	PH__BODY_MID,
	PH__BODY_CR,     /* behind a CR that was handed on */
	PH__BODY_DOT,    /* behind a dot that began a line and is held back */
	PH__BODY_DOT_CR, /* behind such a dot and a CR, both held back */
	PH__BODY_END     /* CRLF.CRLF was seen */
};

struct ph__body {
	bool     stuffed;    /* DATA. Otherwise BDAT: counted, nothing taken out, no end */
	enum ph__body_state state;
	uint64_t line;       /* octets of the line so far */
	uint64_t octets;     /* handed on */
	uint64_t bare_cr, bare_lf;
	uint64_t long_lines; /* over 998 octets without CRLF (RFC 5322 §2.1.1) */
};

void ph__body_begin(struct ph__body *b, bool stuffed);

/* Looks at the n > 0 octets at `in` and hands on the next piece of the message, which lies in `in`
 * or is static, and may be empty. Returns how many octets are done with. To be called until the
 * input is used up or b->state is PH__BODY_END; each call makes progress. */
size_t ph__body_next(struct ph__body *b, const char *in, size_t n, struct ph_str *piece);

/* Behind the last octet of a BDAT message: a CR or a line left over is counted. */
void ph__body_finish(struct ph__body *b);

#endif
