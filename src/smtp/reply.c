/* SPDX-License-Identifier: MIT */
/* The reply parser. See reply.h. It works on lines: memchr() finds the LF, judge_line() looks at one
 * complete line. A reply of one line, by far the most frequent, is never copied. */
#include "smtp/reply.h"

#include <assert.h>

#include "base/bounds.h"

void
ph__reply_init(struct ph__reply_parser *r, const struct ph_allocator *mem)
{
	*r = (struct ph__reply_parser){ .code = 0 };
	ph__buf_init(&r->text, mem, PH__REPLY_BYTES_MAX);
}

void
ph__reply_done(struct ph__reply_parser *r)
{
	ph__buf_done(&r->text);
}

static enum ph__reply_state
bad(struct ph__reply_parser *r, const char *why)
{
	r->why = why;
	return PH__REPLY_BAD;
}

static enum ph__reply_state
endless(struct ph__reply_parser *r, const char *why)
{
	r->endless = true;
	return bad(r, why);
}

/* Up to three digits at s, followed by one of `ends` or the text's end. 0: no. */
static size_t
subcode(struct ph_str s, char end, uint16_t *ret)
{
	size_t i = 0;
	unsigned n = 0;

	while (i < s.len && i < 3 && ph__is_digit(s.ptr[i]))
		n = n * 10 + (unsigned)(s.ptr[i++] - '0');
	if (i == 0 || (i < s.len ? s.ptr[i] != end && !(end == ' ' && s.ptr[i] == '\n') : end == '.'))
		return 0;
	*ret = (uint16_t)n;
	return i + 1;
}

void
ph__reply_enhanced(uint16_t code, struct ph_str text, uint16_t ret[3])
{
	uint16_t c[3] = { 0 };
	size_t n, at = 0;

	ret[0] = ret[1] = ret[2] = 0;
	for (int i = 0; i < 3; i++) {
		struct ph_str rest = { text.ptr + (at < text.len ? at : text.len),
		                       at < text.len ? text.len - at : 0 };

		if ((n = subcode(rest, i < 2 ? '.' : ' ', &c[i])) == 0)
			return;
		at += n;
	}
	/* RFC 2034 §4: its class is the reply's; some servers answer 2yz with 5.y.z in their texts */
	if (c[0] != code / 100)
		return;
	memcpy(ret, c, sizeof c);
}

/* A line without its end. */
static enum ph__reply_state
judge_line(struct ph__reply_parser *r, struct ph_str line, bool *is_last, struct ph_str *text)
{
	uint16_t code;

	if (line.len < 3 || !ph__is_digit(line.ptr[0]) || !ph__is_digit(line.ptr[1]) ||
	    !ph__is_digit(line.ptr[2]))
		return bad(r, "a line that does not begin with a reply code");
	if (line.ptr[0] < '2' || line.ptr[0] > '5')
		return bad(r, "a reply code that SMTP does not have");
	if (line.len > 3 && line.ptr[3] != ' ' && line.ptr[3] != '-')
		return bad(r, "a reply code followed by neither space nor hyphen");
	code = (uint16_t)((line.ptr[0] - '0') * 100 + (line.ptr[1] - '0') * 10 + line.ptr[2] - '0');
	if (r->lines != 0 && code != r->code)
		return bad(r, "different codes in the lines of one reply");
	r->code = code;
	*is_last = line.len == 3 || line.ptr[3] == ' ';
	*text = (struct ph_str){ line.ptr + (line.len > 4 ? 4 : line.len),
		                 line.len > 4 ? line.len - 4 : 0 };
	return PH__REPLY_MORE;
}

static enum ph__reply_state
take_line(struct ph__reply_parser *r, char *p, size_t n, struct ph_reply *reply)
{
	struct ph_str text;
	bool is_last;
	enum ph__reply_state state;

	if (n != 0 && p[n - 1] == '\r')
		n--;
	p[n] = '\0'; /* @UNSAFE: where the CR or LF was */
	r->line.len = n;
	if ((state = judge_line(r, r->line, &is_last, &text)) == PH__REPLY_BAD)
		return state;
	r->octets += n;
	if (++r->lines > PH__REPLY_LINES_MAX || r->octets > PH__REPLY_BYTES_MAX)
		return endless(r, "a reply without end");
	if (r->lines > 1 || !is_last) {
		if (r->lines > 1)
			ph__buf_add_char(&r->text, '\n');
		if (!ph__buf_add(&r->text, text.ptr, text.len))
			return r->text.state == PH__BUF_FULL ? endless(r, "a reply without end")
			                                     : PH__REPLY_NOMEM;
		text = ph__buf_str(&r->text);
	}
	if (!is_last)
		return PH__REPLY_MORE;
	reply->code = r->code;
	reply->text = text.ptr;
	reply->len = text.len;
	ph__reply_enhanced(r->code, text, reply->enhanced);
	return PH__REPLY_DONE;
}

enum ph__reply_state
ph__reply_feed(struct ph__reply_parser *r, char *in, size_t len, size_t *used,
               struct ph_reply *reply)
{
	enum ph__reply_state state = PH__REPLY_MORE;

	if (r->lines == 0)
		ph__buf_reset(&r->text);
	for (*used = 0; *used < len && state == PH__REPLY_MORE; ) {
		char *from = in + *used, *lf;
		size_t n;

		assert(r->scanned <= len - *used);
		lf = memchr(from + r->scanned, '\n', len - *used - r->scanned);
		n = lf != NULL ? (size_t)(lf - from) : len - *used;
		r->line = (struct ph_str){ from, n };
		if (n > PH__REPLY_LINE_MAX)
			return endless(r, "a reply line without end");
		if (lf == NULL) {
			/* what can no longer become a reply is not waited for */
			for (size_t i = 0; i < n && i < 3; i++)
				if (!ph__is_digit(from[i]))
					return bad(r, "a line that does not begin with a reply code");
			r->scanned = n;
			return PH__REPLY_MORE;
		}
		r->scanned = 0;
		*used += n + 1;
		state = take_line(r, from, n, reply);
	}
	if (state == PH__REPLY_DONE)
		r->lines = 0, r->octets = 0;
	return state;
}
