/* SPDX-License-Identifier: MIT */
/* Raw mode. See probe_raw.h.
 *
 * The library speaks and understands (a 220 to STARTTLS begins the handshake, an answer to 334 is hidden);
 * what is here is whether a line is a command, a line of a message, a piece of a chunk or an answer. A
 * message that has no end, because the input ended, is never given one: the connection is dropped. */
#include "cli/probe_raw.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include "base/error.h"
#include "cli/probe_lines.h"

#define CHUNK_MAX (16 * 1024 * 1024) /* of BDAT: it is collected before it is sent */
#define BATCH     (64 * 1024)        /* of a message that comes faster than it goes */
#define TOLD_MAX  1200

enum expected { COMMAND, MESSAGE, ANSWER, CHUNK };

struct raw {
	struct ph_client *c;
	const struct ph__raw_opts *opts;
	struct ph__raw_result *ret;
	struct ph_error *err;
	struct ph__lines lines;
	enum expected next;
	bool was_tls;
	bool ended;               /* the loop is over; `code` says how */
	enum ph_code code;
	size_t recipients;        /* accepted since MAIL (LMTP) */
	struct ph__buf out;       /* of a message or chunk, not yet sent */
	uint64_t chunk;           /* octets wanted */
	char chunk_arguments[64]; /* "1000 LAST" */
};

bool
ph__raw_interrupted(void *unused)
{
	(void)unused;
	return ph__lines_interrupted();
}

/* ---- telling --------------------------------------------------------------------------------- */

static void
say_text(const struct raw *r, const char *mark, struct ph_str text)
{
	if (r->opts->say != NULL)
		r->opts->say(r->opts->user, mark, text);
}

static void PH_PRINTF(3, 4)
say(const struct raw *r, const char *mark, const char *fmt, ...)
{
	char text[TOLD_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	say_text(r, mark, ph__str(text));
}

static void
say_error(const struct raw *r, const struct ph_error *err)
{
	say(r, "***", "%s", err->text);
	if (err->hint[0] != '\0')
		say(r, "===", "Hint: %s", err->hint);
}

/* The end, by something that went wrong. */
static void
end_with(struct raw *r, const struct ph_error *err)
{
	say_error(r, err);
	ph__error_copy(r->err, err);
	r->code = err->code;
	r->ended = true;
	ph_client_close(r->c);
}

static void PH_PRINTF(4, 5)
end_because(struct raw *r, enum ph_code code, enum ph_cause cause, const char *fmt, ...)
{
	struct ph_error err = PH_ERROR_INIT;
	char text[TOLD_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	ph__fail(&err, code, r->next == MESSAGE ? PH_STAGE_BODY : PH_STAGE_HELLO, cause, "%s", text);
	end_with(r, &err);
}

static void
tell_tls(struct raw *r)
{
	if (ph_client_tls_facts(r->c) == NULL || r->was_tls)
		return;
	r->was_tls = true;
	if (r->opts->tls_began != NULL)
		r->opts->tls_began(r->opts->user);
	say(r, "===", "say EHLO again: what the server offers may be something else now");
}

/* ---- replies --------------------------------------------------------------------------------- */

static bool
is_positive(const struct ph_reply *reply)
{
	return reply->code >= 200 && reply->code <= 299;
}

static bool
begins_envelope(struct ph_str verb)
{
	static const char *const verbs[] = { "MAIL", "RSET", "LHLO", "EHLO", "HELO", "STARTTLS" };

	for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++)
		if (ph__str_is(verb, verbs[i]))
			return true;
	return false;
}

/* What the reply to `line` makes of the lines that follow. */
static void
heed(struct raw *r, struct ph_str line, const struct ph_reply *reply)
{
	struct ph_str verb = ph__str_word(&line);

	r->next = reply->code == 334 ? ANSWER
	        : reply->code == 354 && ph__str_is(verb, "DATA") ? MESSAGE : COMMAND;
	if (ph__str_is(verb, "RCPT"))
		r->recipients += is_positive(reply);
	else if (begins_envelope(verb))
		r->recipients = 0;
	if (r->next == MESSAGE)
		say(r, "===", "the message: lines as typed, a lone dot ends it");
}

/* Looks at what an exchange has come to: its reply (NULL: none came) and, behind that, the connection. */
static void
settle(struct raw *r, struct ph_str line, const struct ph_reply *reply, enum ph_code rc,
       const struct ph_error *err)
{
	bool quit = ph__str_is(ph__str_word(&(struct ph_str){ line.ptr, line.len }), "QUIT");

	r->code = PH_OK;
	if (reply != NULL && !quit) {
		r->ret->last = *reply;
		r->ret->last.text = NULL;
		r->ret->last.len = 0;
	}
	if (reply != NULL)
		heed(r, line, reply);
	r->ret->quit |= quit;
	if (!ph_client_is_connected(r->c)) {
		r->ended = true;
		if (quit) /* answered or not */
			return;
		if (rc != PH_OK && err->cause != PH_CAUSE_REPLY)
			end_with(r, err);
		else
			end_because(r, PH_EDEFERRED, PH_CAUSE_LOST, "the server has closed the connection");
		return;
	}
	if (reply == NULL && rc != PH_OK) { /* the command could not be given */
		say_error(r, err);
		ph__error_copy(r->err, err);
		r->code = rc;
		r->ended = rc == PH_ECANCELLED || rc == PH_ESYSTEM;
	}
	tell_tls(r);
}

/* The server speaks without having been asked, or has closed. */
static void
hear(struct raw *r)
{
	bool in_message = r->next == MESSAGE;
	const struct ph_reply *reply = NULL;
	struct ph_error err = PH_ERROR_INIT;
	enum ph_code rc = ph_client_getreply(r->c, &reply, &err);

	if (reply != NULL)
		say(r, "***", "the server has said this without having been asked");
	if (reply == NULL && err.cause == PH_CAUSE_LOST)
		end_because(r, rc, err.cause, "the server has closed the connection");
	else
		settle(r, ph__str(""), reply, rc, &err);
	if (!r->ended && in_message)
		end_because(r, PH_EPROTOCOL, PH_CAUSE_EARLY_REPLY, "the server has answered before it had the "
		            "whole message: what follows might be taken for commands");
}

/* ---- lines ----------------------------------------------------------------------------------- */

/* AUTH with an initial response, or what might be one. */
static bool
has_secret(struct ph_str line)
{
	return ph__str_is(ph__str_word(&line), "AUTH") && (ph__str_word(&line), ph__str_trim(line).len != 0);
}

static void
do_command(struct raw *r, struct ph_str line)
{
	const struct ph_reply *reply = NULL;
	struct ph_error err = PH_ERROR_INIT;
	bool answer = r->next == ANSWER;
	struct ph__buf whole;
	enum ph_code rc;

	ph__buf_init(&whole, &ph__libc_memory, PH__LINES_MAX + 1);
	whole.secret = true;
	ph__buf_add(&whole, line.ptr, line.len);
	if (!ph__buf_ok(&whole))
		rc = ph__fail_nomem(&err, PH_STAGE_PREPARE);
	else if (line.len != 0 && memchr(line.ptr, '\0', line.len) != NULL)
		rc = ph__fail(&err, PH_EINPUT, PH_STAGE_PREPARE, PH_CAUSE_ARGUMENT,
		              "a command with a NUL in it cannot be said");
	else
		rc = ph_client_docmd(r->c, ph__buf_cstr(&whole), NULL, &reply, &err);
	r->ret->commands += reply != NULL;
	if (!answer && !has_secret(line))
		ph__lines_remember(&r->lines, ph__buf_cstr(&whole));
	settle(r, answer ? ph__str("AUTH") : line, reply, rc, &err);
	ph__buf_done(&whole);
}

/* Reads the final replies to a message or chunk: under LMTP one for each recipient. */
static void
read_finals(struct raw *r, bool each)
{
	size_t n = r->opts->lmtp && each && r->recipients != 0 ? r->recipients : 1;

	while (n-- != 0 && !r->ended) {
		const struct ph_reply *reply = NULL;
		struct ph_error err = PH_ERROR_INIT;
		enum ph_code rc = ph_client_getreply(r->c, &reply, &err);

		settle(r, ph__str("DATA"), reply, rc, &err);
	}
	r->next = COMMAND;
	if (each)
		r->recipients = 0;
}

/* Sends what is collected. */
static bool
flush(struct raw *r)
{
	struct ph_error err = PH_ERROR_INIT;
	enum ph_code rc = PH_OK;

	if (!ph__buf_ok(&r->out)) {
		end_because(r, PH_ESYSTEM, PH_CAUSE_MEMORY, "there is no memory for what was typed");
		return false;
	}
	if (r->opts->sending != NULL)
		*r->opts->sending = true;
	if (r->out.len != 0)
		rc = ph_client_send(r->c, r->out.p, r->out.len, &err);
	if (r->opts->sending != NULL)
		*r->opts->sending = false;
	ph__buf_reset(&r->out);
	if (rc != PH_OK)
		end_with(r, &err);
	return rc == PH_OK;
}

static void
add_line(struct raw *r, struct ph_str line)
{
	say_text(r, ph_client_tls_facts(r->c) != NULL ? " ~>" : " ->", line);
	ph__buf_add(&r->out, line.ptr, line.len);
	ph__buf_add_str(&r->out, "\r\n");
}

static void
do_message_line(struct raw *r, struct ph_str line)
{
	bool last = line.len == 1 && *line.ptr == '.';

	add_line(r, line);
	if (!last && ph__lines_ready(&r->lines) && r->out.len < BATCH)
		return;
	if (!flush(r) || !last)
		return;
	read_finals(r, true);
}

/* True for "BDAT 86 [LAST]", which waits for its octets. */
static bool
begins_chunk(struct raw *r, struct ph_str line)
{
	struct ph_str rest = line, number;

	if (!ph__str_is(ph__str_word(&rest), "BDAT"))
		return false;
	rest = ph__str_trim(rest);
	snprintf(r->chunk_arguments, sizeof r->chunk_arguments, "%.*s", (int)rest.len, rest.ptr);
	number = ph__str_word(&rest);
	if (!ph__str_to_uint(number, CHUNK_MAX, &r->chunk) || r->chunk == 0)
		return false; /* nothing to wait for; the server will say what it thinks of it */
	return true;
}

static void
send_chunk(struct raw *r)
{
	struct ph_error err = PH_ERROR_INIT;
	struct ph_str arguments = ph__str(r->chunk_arguments);
	enum ph_code rc;

	ph__str_word(&arguments);
	if ((rc = ph_client_putcmd(r->c, "BDAT", r->chunk_arguments, &err)) != PH_OK) {
		ph__buf_reset(&r->out);
		r->next = COMMAND;
		settle(r, ph__str("BDAT"), NULL, rc, &err);
		return;
	}
	if (!flush(r))
		return;
	r->ret->commands++;
	read_finals(r, ph__str_is(ph__str_trim(arguments), "LAST"));
}

static void
do_chunk_line(struct raw *r, struct ph_str line)
{
	add_line(r, line);
	if (r->out.len < r->chunk)
		return;
	if (r->out.len > r->chunk) {
		say(r, "***", "%llu octets more than the chunk was to have: they are left out",
		    (unsigned long long)(r->out.len - r->chunk));
		ph__buf_cut(&r->out, (size_t)r->chunk);
	}
	send_chunk(r);
}

static void
do_line(struct raw *r, struct ph_str line)
{
	if (r->next == MESSAGE) {
		do_message_line(r, line);
	} else if (r->next == CHUNK) {
		do_chunk_line(r, line);
	} else if (r->next == ANSWER) {
		do_command(r, line);
	} else if (begins_chunk(r, line)) {
		r->next = CHUNK;
		say(r, "===", "the chunk: %llu octets, where each line's end counts two",
		    (unsigned long long)r->chunk);
	} else if (line.len != 0) {
		do_command(r, line);
	}
}

/* ---- the loop -------------------------------------------------------------------------------- */

static void
at_end(struct raw *r)
{
	if (r->next == MESSAGE)
		end_because(r, PH_EINPUT, PH_CAUSE_SOURCE, "the input ended before the lone dot: the connection "
		            "is dropped, the message is not delivered");
	else if (r->next == CHUNK)
		end_because(r, PH_EINPUT, PH_CAUSE_SOURCE, "the input ended before the chunk was whole: it was "
		            "not sent");
	r->ended = true;
}

static void
set_typed(const struct raw *r, bool typed)
{
	if (r->opts->typed != NULL)
		*r->opts->typed = typed;
}

static void
step(struct raw *r)
{
	static const char *const prompts[] = {
		[COMMAND] = "smtp> ", [MESSAGE] = "message> ", [ANSWER] = "answer (hidden)> ",
		[CHUNK] = "chunk> ",
	};
	struct ph_str line = { NULL, 0 };

	ph__lines_watch(&r->lines, ph_client_fd(r->c), ph_client_tls_facts(r->c) != NULL);
	switch (ph__lines_next(&r->lines, prompts[r->next], r->next == ANSWER, &line)) {
	case PH__LINES_LINE:
		set_typed(r, r->lines.terminal != NULL && r->next != ANSWER);
		do_line(r, line);
		set_typed(r, false);
		break;
	case PH__LINES_END:
		at_end(r);
		break;
	case PH__LINES_SERVER:
		hear(r);
		break;
	case PH__LINES_SIGNAL:
		end_because(r, PH_ECANCELLED, PH_CAUSE_CANCELLED, "interrupted: the connection is dropped");
		break;
	case PH__LINES_TOO_LONG:
		end_because(r, PH_EINPUT, PH_CAUSE_LIMIT, "a line of over %d octets", PH__LINES_MAX);
		break;
	case PH__LINES_ERROR:
		end_because(r, PH_ENOINPUT, PH_CAUSE_SYSTEM, "the commands cannot be read: %s",
		            strerror(errno));
		break;
	}
}

enum ph_code
ph__raw_run(struct ph_client *c, const struct ph__raw_opts *opts, struct ph__raw_result *ret,
            struct ph_error *err)
{
	struct raw r = { .c = c, .opts = opts, .ret = ret, .err = err,
	                 .was_tls = ph_client_tls_facts(c) != NULL };
	struct ph_error why = PH_ERROR_INIT;

	*ret = (struct ph__raw_result){ .commands = 0 };
	ph__buf_init(&r.out, &ph__libc_memory, CHUNK_MAX + PH__LINES_MAX + 2);
	if (ph__lines_open(&r.lines, opts->fd, opts->terminal, &why) != PH_OK)
		say(&r, "===", "no line editing and no history: %s", why.text);
	while (!r.ended)
		step(&r);
	if (ph_client_is_connected(c)) {
		ph_client_quit(c, NULL, NULL);
		ph_client_close(c);
		ret->quit = true;
	}
	ph__lines_close(&r.lines);
	ph__buf_done(&r.out);
	return r.code;
}
