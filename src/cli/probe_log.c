/* SPDX-License-Identifier: MIT */
/* The transcript of a probe. See probe_log.h.
 *
 * Replies belong to commands in the order of both (RFC 2920 §3.1), so a queue of what is unanswered tells
 * how long each took, whether or not they went in one flight. */
#include "cli/probe_log.h"

#include <stdarg.h>
#include <stdio.h>
#include "base/clock.h"
#include "cli/terminal.h"

#define REPLY_MAX (1024 * 1024)
#define TEXT_MAX_ 2048

void
ph__log_init(struct ph__log *l)
{
	ph__arena_init(&l->arena, &ph__libc_memory);
	ph__buf_init(&l->reply, &ph__libc_memory, REPLY_MAX);
}

void
ph__log_done(struct ph__log *l)
{
	ph__arena_done(&l->arena);
	ph__buf_done(&l->reply);
	ph__free(&ph__libc_memory, l->exchanges);
	ph__free(&ph__libc_memory, l->problems);
}

void
ph__log_begin(struct ph__log *l, struct ph_client *client)
{
	l->client = client;
	l->stage = PH__PROBE_CONNECT;
	l->hushed = l->typed = l->own_words = l->muted = l->connected = l->tls_told = false;
	l->notes = 0;
	l->count = l->answered = l->problem_count = 0;
	l->connected_us = l->last_note_us = 0;
	l->began_us = ph__now_us();
	ph__buf_reset(&l->reply);
	ph__arena_reset(&l->arena);
}

/* ---- showing --------------------------------------------------------------------------------- */

static bool
is_shown(const struct ph__log *l, const char *mark, bool problem)
{
	const struct ph__log_style *s = &l->style;

	if (s->hide_all || s->silent >= 3 || (s->quiet && !problem))
		return false;
	if (problem)
		return true;
	if (s->silent == 2 || (s->silent == 1 && !l->error_seen))
		return false;
	return *mark == '=' ? !s->hide_info : *mark == '<' ? !s->hide_receive
	                                                : !s->hide_send && !l->typed;
}

static bool
is_refusal(const char *mark)
{
	return strcmp(mark, "<**") == 0 || strcmp(mark, "<~*") == 0;
}

static void
put_line(struct ph__log *l, const char *mark, struct ph_str text)
{
	bool problem = strcmp(mark, "***") == 0;
	FILE *to = problem ? stderr : stdout;

	l->error_seen |= problem || is_refusal(mark);
	if (!is_shown(l, mark, problem) &&
	    !(l->style.silent == 2 && !l->style.quiet && is_refusal(mark)))
		return;
	if (problem)
		fflush(stdout); /* so that both stand in their order on a terminal */
	fprintf(to, "%s ", mark);
	ph__terminal_put(to, text, 4);
	fputc('\n', to);
}

static void
keep_problem(struct ph__log *l, struct ph_str text)
{
	const char **more;

	if (l->problem_count == l->problem_cap) {
		size_t cap = l->problem_cap * 2 + 8;

		more = ph__realloc(&ph__libc_memory, l->problems, cap * sizeof *more);
		if (more == NULL)
			return;
		l->problems = more;
		l->problem_cap = cap;
	}
	l->problems[l->problem_count] = ph__arena_strndup(&l->arena, text.ptr, text.len);
	l->problem_count += l->problems[l->problem_count] != NULL;
}

void
ph__log_info(struct ph__log *l, const char *fmt, ...)
{
	char text[TEXT_MAX_];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	put_line(l, "===", ph__str(text));
}

void
ph__log_problem(struct ph__log *l, const char *fmt, ...)
{
	char text[TEXT_MAX_];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	keep_problem(l, ph__str(text));
	put_line(l, "***", ph__str(text));
}

void
ph__log_error(struct ph__log *l, const char *what, const struct ph_error *err)
{
	ph__log_problem(l, "%s%s", what, err->text);
	if (err->hint[0] != '\0')
		ph__log_problem(l, "Hint: %s", err->hint);
}

static void
tell_tls(struct ph__log *l, const struct ph_tls_facts *f)
{
	struct ph_certificate x = PH_CERTIFICATE_INIT;

	l->tls_told = true;
	ph__log_info(l, "TLS started with cipher %s:%s", f->version, f->cipher);
	if (l->local_certificate != NULL)
		ph__log_info(l, "TLS local certificate %s", l->local_certificate);
	else
		ph__log_info(l, "TLS no local certificate set");
	if (ph_client_certificate(l->client, 0, &x))
		ph__log_info(l, "TLS peer DN=\"%s\"", x.subject);
	if (f->verified)
		ph__log_info(l, "TLS peer verified for %s", f->peer_name);
	else if (!l->unverified_told)
		ph__log_problem(l, "TLS peer NOT verified: %s", f->problem);
	l->unverified_told = l->unverified_told || (!f->verified && l->style.quiet);
}

void
ph__log_connected(struct ph__log *l)
{
	const struct ph_tls_facts *f = l->client != NULL ? ph_client_tls_facts(l->client) : NULL;

	if (!l->connected)
		ph__log_info(l, "Connected to %s.", l->host);
	if (!l->connected && l->proxy_header != NULL)
		ph__log_info(l, "Said by the PROXY protocol: %s", l->proxy_header);
	l->connected = true;
	if (f != NULL && !l->tls_told)
		tell_tls(l, f);
}

/* ---- keeping --------------------------------------------------------------------------------- */

static struct ph__exchange *
add_exchange(struct ph__log *l)
{
	if (l->count == l->cap) {
		size_t cap = l->cap * 2 + 16;
		struct ph__exchange *more = ph__realloc(&ph__libc_memory, l->exchanges, cap * sizeof *more);

		if (more == NULL)
			return NULL;
		l->exchanges = more;
		l->cap = cap;
	}
	l->exchanges[l->count] = (struct ph__exchange){ .stage = l->stage };
	return &l->exchanges[l->count++];
}

static void
keep_sent(struct ph__log *l, struct ph_str text, bool tls, uint64_t now)
{
	struct ph__exchange *x = add_exchange(l);

	if (x == NULL)
		return;
	x->sent = ph__arena_strndup(&l->arena, text.ptr, text.len);
	x->tls = tls;
	x->sent_us = now;
}

/* Since when a reply that nobody asked for was awaited: since the one before, or since there is this
 * connection, whose clock is its own. */
static uint64_t
awaited_since(const struct ph__log *l, uint64_t now)
{
	uint64_t before = l->answered != 0 ? l->exchanges[l->answered - 1].replied_us : 0;

	return before < l->last_note_us || before > now ? l->last_note_us : before;
}

/* The oldest that is unanswered; or, of what came unasked, a new one. */
static struct ph__exchange *
next_unanswered(struct ph__log *l, bool tls, uint64_t now)
{
	struct ph__exchange *x = l->answered < l->count ? &l->exchanges[l->answered] : add_exchange(l);

	if (x == NULL)
		return NULL;
	if (x->sent == NULL) {
		x->tls = tls;
		x->sent_us = awaited_since(l, now);
	}
	l->answered++;
	return x;
}

/* A whole reply has come. */
static void
keep_reply(struct ph__log *l, const struct ph_trace *line)
{
	struct ph__exchange *x = next_unanswered(l, line->tls, line->since_us);
	uint64_t code = 0;

	if (x == NULL)
		return;
	ph__str_to_uint((struct ph_str){ line->text, 3 }, 999, &code);
	x->code = (uint16_t)code;
	x->replied_us = line->since_us;
	x->text.ptr = ph__arena_strndup(&l->arena, ph__buf_cstr(&l->reply), l->reply.len);
	x->text.len = x->text.ptr != NULL ? l->reply.len : 0;
	ph__log_info(l, "response in %.4fs", (double)(x->replied_us - x->sent_us) / 1e6);
}

/* ---- what the library tells ------------------------------------------------------------------ */

static void
take_received(struct ph__log *l, const struct ph_trace *line)
{
	bool last = line->len < 4 || line->text[3] != '-';

	ph__log_connected(l);
	put_line(l, line->refused ? (line->tls ? "<~*" : "<**") : (line->tls ? "<~ " : "<- "),
	             (struct ph_str){ line->text, line->len });
	if (l->reply.len != 0)
		ph__buf_add_char(&l->reply, '\n');
	if (line->len > 4)
		ph__buf_add(&l->reply, line->text + 4, line->len - 4);
	if (!last)
		return;
	keep_reply(l, line);
	ph__buf_reset(&l->reply);
}

/* While it connects the library's words are replaced by ours. */
static void
take_note(struct ph__log *l, const struct ph_trace *line)
{
	l->last_note_us = line->since_us;
	if (++l->notes == 2)
		l->connected_us = line->since_us;
	if (!l->own_words)
		put_line(l, "===", (struct ph_str){ line->text, line->len });
}

void
ph__log_trace(void *log, const struct ph_trace *given)
{
	struct ph__log *l = log;
	struct ph_trace own = *given, *line = &own;
	struct ph_str text = { line->text, line->len };

	if (l->muted)
		return;
	own.since_us = ph__now_us() - l->began_us; /* one clock, also for what raw mode says */
	if (line->direction == '<') {
		take_received(l, line);
	} else if (line->direction == '*') {
		take_note(l, line);
	} else if (!l->hushed) {
		put_line(l, line->tls ? " ~>" : " ->", text);
		keep_sent(l, text, line->tls, line->since_us);
	}
}

void
ph__log_said(struct ph__log *l, const char *mark, struct ph_str text)
{
	uint64_t now = ph__now_us() - l->began_us;

	put_line(l, mark, text);
	if (strcmp(mark, "***") == 0)
		keep_problem(l, text);
	if (*mark != ' ')
		return;
	if (l->answered == l->count)
		keep_sent(l, ph__str("[message]"), mark[1] == '~', now);
	else
		l->exchanges[l->count - 1].sent_us = now; /* its last line */
}

void
ph__log_message(struct ph__log *l, struct ph_str wire)
{
	bool tls = ph_client_tls_facts(l->client) != NULL;
	size_t lines = 0, octets = wire.len;
	char summary[80];

	while (wire.len != 0) {
		struct ph_str line = ph__str_line(&wire);

		lines++;
		if (!l->style.suppress_data)
			put_line(l, tls ? " ~>" : " ->", line);
	}
	snprintf(summary, sizeof summary, "%zu lines sent", lines);
	if (l->style.suppress_data)
		put_line(l, tls ? " ~>" : " ->", ph__str(summary));
	snprintf(summary, sizeof summary, "[message of %zu lines, %zu octets]", lines, octets);
	keep_sent(l, ph__str(summary), tls, ph__now_us() - l->began_us); /* how long showing it took is ours */
}

/* ---- JSON ------------------------------------------------------------------------------------ */

static void
exchange_json(struct ph__json *j, const struct ph__exchange *x)
{
	ph__json_object(j, NULL);
	ph__json_cstr(j, "stage", ph__probe_stage_name(x->stage));
	if (x->sent != NULL)
		ph__json_text(j, "sent", ph__str(x->sent));
	else
		ph__json_null(j, "sent");
	ph__json_bool(j, "tls", x->tls);
	if (x->code != 0) {
		ph__json_uint(j, "code", x->code);
		ph__json_text(j, "text", x->text);
		ph__json_ms(j, "ms", x->replied_us - x->sent_us);
	} else {
		ph__json_null(j, "code");
		ph__json_null(j, "text");
		ph__json_null(j, "ms");
	}
	ph__json_end_object(j);
}

void
ph__log_json(const struct ph__log *l, struct ph__json *j)
{
	ph__json_array(j, "exchanges");
	for (size_t i = 0; i < l->count; i++)
		exchange_json(j, &l->exchanges[i]);
	ph__json_end_array(j);
	ph__json_array(j, "problems");
	for (size_t i = 0; i < l->problem_count; i++)
		ph__json_text(j, NULL, ph__str(l->problems[i]));
	ph__json_end_array(j);
}
