/* SPDX-License-Identifier: MIT */
/* Receiving message octets: RFC 5321 §4.5.2 (transparency), RFC 3030 (chunks).
 *
 * Only CRLF.CRLF ends DATA. A server that also takes LF.LF or CR.CR can be made to see a second
 * message inside another's ("SMTP smuggling", CVE-2023-51764 and its kin), so a lone CR or LF is an
 * octet like any other: kept and counted. A dot is taken away only behind CRLF.
 *
 * One pass with memchr(): a call for the LF and a call for CRs in each line. Octets are never
 * copied; a piece runs over as many lines as it can and is cut only before a dot that begins one.
 * What must be held back across two inputs (dot, dot CR) is held back as a state. */
#include "smtp/server_body.h"

#include <assert.h>
#include <string.h>

#include "base/bounds.h"

void
ph__body_begin(struct ph__body *b, bool stuffed)
{
	*b = (struct ph__body){ .stuffed = stuffed, .state = PH__BODY_BOL };
}

static void
end_line(struct ph__body *b)
{
	if (b->line > PH__LINE_MAX)
		b->long_lines++;
	b->line = 0;
	b->state = PH__BODY_BOL;
}

/* Counts the CRs in [p, end) that have something other than LF behind them; the last octet's
 * successor is not known here. */
static void
count_bare_cr(struct ph__body *b, const char *p, const char *end)
{
	while ((p = memchr(p, '\r', (size_t)(end - p))) != NULL && ++p < end)
		b->bare_cr++;
}

/* Passes over octets up to the end, or up to a dot that begins a line. The first one is no such
 * dot. */
static const char *
scan(struct ph__body *b, const char *p, const char *end)
{
	if (b->state == PH__BODY_CR && *p != '\n')
		b->bare_cr++;
	while (p < end) {
		const char *lf = memchr(p, '\n', (size_t)(end - p));
		const char *stop = lf != NULL ? lf : end;
		bool cr = stop > p ? stop[-1] == '\r' : b->state == PH__BODY_CR;

		if (stop > p)
			count_bare_cr(b, p, stop);
		b->line += (uint64_t)(stop - p);
		if (lf == NULL) {
			b->state = cr ? PH__BODY_CR : PH__BODY_MID;
			return end;
		}
		p = lf + 1;
		if (!cr) {
			b->bare_lf++;
			b->line++;
			b->state = PH__BODY_MID;
			continue;
		}
		b->line--;
		end_line(b);
		if (b->stuffed && p < end && *p == '.')
			break;
	}
	return p;
}

size_t
ph__body_next(struct ph__body *b, const char *in, size_t n, struct ph_str *piece)
{
	const char *p = in;

	assert(n > 0 && b->state != PH__BODY_END);
	*piece = (struct ph_str){ in, 0 };
	if (b->stuffed && b->state == PH__BODY_BOL && *p == '.') {
		b->state = PH__BODY_DOT;
		if (++p == in + n)
			return 1;
	}
	if (b->state == PH__BODY_DOT && *p == '\r') {
		b->state = PH__BODY_DOT_CR;
		if (++p == in + n)
			return (size_t)(p - in);
	}
	if (b->state == PH__BODY_DOT_CR) {
		if (*p == '\n') {
			b->state = PH__BODY_END;
			return (size_t)(p + 1 - in);
		}
		/* The line is ".\rx": the dot was stuffing, the CR is content. */
		b->state = PH__BODY_CR;
		b->line = 1;
		b->octets++;
		*piece = ph__str("\r");
		return (size_t)(p - in);
	}
	if (b->state == PH__BODY_DOT)
		b->state = PH__BODY_MID;
	piece->ptr = p;
	piece->len = (size_t)(scan(b, p, in + n) - p);
	b->octets += piece->len;
	return (size_t)(piece->ptr + piece->len - in);
}

void
ph__body_finish(struct ph__body *b)
{
	if (b->state == PH__BODY_CR)
		b->bare_cr++;
	if (b->state != PH__BODY_END)
		end_line(b);
}
