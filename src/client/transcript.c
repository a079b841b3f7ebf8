/* SPDX-License-Identifier: MIT */
/* The transcript as text, with the marks that swaks has taught everybody:
 *
 *	-> sent    <-  received    <** a reply that refuses
 *	~> sent    <~  received    <~* under TLS       *** said by ourselves */
#include <posthaste/client.h>
#include <string.h>

#include "base/escape.h"

#define LINE_MAX_SHOWN (256 * 1024)

static const char *
mark(const struct ph_trace *t)
{
	if (t->direction == '>')
		return t->tls ? " ~>" : " ->";
	if (t->direction == '<')
		return t->refused ? (t->tls ? "<~*" : "<**") : (t->tls ? "<~ " : "<- ");
	return "***";
}

void
ph_transcript_print(void *transcript, const struct ph_trace *line)
{
	const struct ph_transcript *given = transcript;
	struct ph_transcript t = { PH_TRANSCRIPT_INIT };
	struct ph__buf b;

	if (given != NULL)
		memcpy(&t, given, given->size < sizeof t ? given->size : sizeof t);
	ph__buf_init(&b, &ph__libc_memory, 8 * LINE_MAX_SHOWN);
	if (t.times)
		ph__buf_addf(&b, "%6llu.%03llu ", (unsigned long long)(line->since_us / 1000),
		             (unsigned long long)(line->since_us % 1000));
	ph__buf_addf(&b, "%s ", mark(line));
	ph__escape(&b, (struct ph_str){ line->text, line->len < LINE_MAX_SHOWN ? line->len
	                                                                       : LINE_MAX_SHOWN },
	           false);
	ph__buf_add_char(&b, '\n');
	fwrite(ph__buf_cstr(&b), 1, b.len, t.file != NULL ? t.file : stderr);
	ph__buf_done(&b);
}
