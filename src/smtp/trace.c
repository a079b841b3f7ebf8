/* SPDX-License-Identifier: MIT */
/* The transcript: lines kept until the driver takes them. Secrets never get here; the callers pass
 * "[hidden]" in their place. A record is a header and the text; memory is used again once all have
 * been taken. A transcript that nobody takes is cut, not grown. */
#include "smtp/session.h"

#include <stdarg.h>
#include <stdio.h>


#define TRACE_MAX ((size_t)1 << 20)

struct record {
	uint32_t len;
	char direction;
	bool tls, refused;
};

void
ph__trace(struct ph_smtp *s, char direction, bool refused, struct ph_str text)
{
	struct record r = { (uint32_t)text.len, direction, s->tls, refused };

	if (!s->opts.trace || s->trace.len + sizeof r + text.len > TRACE_MAX)
		return;
	if (ph__buf_reserve(&s->trace, sizeof r + text.len)) {
		ph__buf_add(&s->trace, &r, sizeof r);
		ph__buf_add(&s->trace, text.ptr, text.len);
	}
}

void
ph__session_set_trace(struct ph_smtp *s, bool trace)
{
	s->opts.trace = trace;
	if (!trace)
		s->trace_at = s->trace.len;
}

void
ph__tracef(struct ph_smtp *s, char direction, const char *fmt, ...)
{
	char line[160];
	va_list ap;
	int n;

	if (!s->opts.trace)
		return;
	va_start(ap, fmt);
	n = vsnprintf(line, sizeof line, fmt, ap);
	va_end(ap);
	if (n > 0)
		ph__trace(s, direction, false, ph__str(line));
}

bool
ph_smtp_next_trace(struct ph_smtp *s, struct ph_smtp_trace *t)
{
	struct record r;

	if (s->trace_at == s->trace.len) {
		ph__buf_reset(&s->trace);
		s->trace_at = 0;
		return false;
	}
	memcpy(&r, s->trace.p + s->trace_at, sizeof r);
	s->trace_at += sizeof r;
	t->direction = r.direction;
	t->tls = r.tls;
	t->refused = r.refused;
	t->text = s->trace.p + s->trace_at;
	t->len = r.len;
	s->trace_at += r.len;
	return true;
}
