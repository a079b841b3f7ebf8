/* SPDX-License-Identifier: MIT */
/* How a session ends, and what that makes of the messages on it.
 *
 * The rule on doubt: the instant is when the operating system took the last octet. Whatever
 * ends the session before it, nothing was delivered; after it, and without a valid final reply, the
 * recipients that were not refused before are in doubt. A 421 is a valid reply: all behind it is
 * deferred. A transaction of which nothing was written, or that was cut short because an earlier one
 * of its flight went wrong, is undecided and comes back `again`. All this is about the recipients of
 * the round under way; those put off to another were no part of it, and stay as they are. */
#include "smtp/session.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

enum ph_stage
ph__session_stage(const struct ph_smtp *s)
{
	if (s->phase == PH__TLS)
		return PH_STAGE_TLS;
	if (s->count != 0)
		return ph__verbs[s->fifo[s->head].verb].stage;
	if (s->cur != NULL && s->cur->phase == PH__TXN_BODY)
		return PH_STAGE_BODY;
	if (s->phase == PH__GREETING)
		return PH_STAGE_GREETING;
	return s->phase == PH__READY ? PH_STAGE_MAIL : PH_STAGE_HELLO;
}

/* What a server that says nothing leaves undone; NULL: nobody waits for it. */
const char *
ph__session_silence(const struct ph_smtp *s)
{
	static const char *const what[PH_STAGE_COUNT] = {
		[PH_STAGE_GREETING] = "did not greet us",
		[PH_STAGE_HELLO] = "did not answer EHLO",
		[PH_STAGE_STARTTLS] = "did not answer STARTTLS",
		[PH_STAGE_TLS] = "did not answer the TLS handshake",
		[PH_STAGE_AUTH] = "did not answer the login",
		[PH_STAGE_MAIL] = "did not answer MAIL",
		[PH_STAGE_RCPT] = "did not answer RCPT",
		[PH_STAGE_DATA] = "did not answer DATA",
		[PH_STAGE_BODY] = "did not answer the message",
		[PH_STAGE_QUIT] = "did not answer QUIT",
	};
	const struct ph__flight *f = s->count != 0 ? &s->fifo[s->head] : NULL;

	if (f == NULL && s->phase != PH__TLS)
		return NULL;
	if (f != NULL && f->end > s->out.sent && ph__verbs[f->verb].stage == PH_STAGE_BODY)
		return "did not take the whole message";
	if (f != NULL && ph__verbs[f->verb].on_reply == ph__on_other)
		return "did not answer";
	return what[ph__session_stage(s)];
}

static bool
was_handed_over(const struct ph_smtp *s, const struct ph_txn *t)
{
	return t->all_written && t->end <= s->out.sent;
}

/* The stage at which a transaction stands, for the record. */
static enum ph_stage
stage_of(const struct ph_txn *t)
{
	if (t->phase == PH__TXN_BODY || t->all_written)
		return PH_STAGE_BODY;
	if (t->mail != PH__ANSWER_YES)
		return PH_STAGE_MAIL;
	return t->rcpts_unanswered != 0 || t->rcpt_next < t->round_end ? PH_STAGE_RCPT : PH_STAGE_DATA;
}

static void
settle(struct ph_smtp *s, struct ph_txn *t, const struct ph_error *why, const struct ph_reply *reply)
{
	bool doubt = reply == NULL && t->phase != PH__TXN_QUEUED && was_handed_over(s, t);
	enum ph_code code = why->code != PH_OK && why->code != PH_EREFUSED ? why->code : PH_EDEFERRED;

	if (t->again && !(doubt && t->accepted != 0))
		return;
	t->again = false; /* the message has gone, to somebody the server had taken: it may have arrived */
	if (t->phase == PH__TXN_QUEUED) {
		t->again = true;
	} else if (reply != NULL) {
		struct ph_reply kept = ph__txn_keep(t, reply);

		ph__txn_decide_round(t, PH_DEFERRED, PH_EDEFERRED, stage_of(t), PH_CAUSE_REPLY, &kept);
	} else if (doubt) {
		ph__txn_decide_round(t, PH_IN_DOUBT, PH_EINDOUBT, PH_STAGE_BODY, why->cause, NULL);
	} else if (t->behind_surprise || why->cause == PH_CAUSE_AFTER_SURPRISE) {
		t->again = t->bare || !ph__txn_round_is_decided(t);
	} else {
		ph__txn_decide_round(t, PH_DEFERRED, code, stage_of(t), why->cause, NULL);
	}
	if ((t->error.code != PH_OK && !doubt) || t->again)
		return;
	ph__error_copy(&t->error, why);
	if (doubt)
		t->error.code = PH_EINDOUBT, t->error.stage = PH_STAGE_BODY;
}

void
ph__end(struct ph_smtp *s, const struct ph_error *why, const struct ph_reply *reply)
{
	if (s->phase == PH__CLOSED)
		return;
	s->phase = PH__CLOSED;
	s->error.size = sizeof s->error;
	ph__error_copy(&s->error, why);
	while (s->txns != NULL) {
		struct ph_txn *t = s->txns;

		settle(s, t, why, reply);
		ph__session_unlink(s, t);
	}
	s->cur = s->upcoming = NULL;
	s->count = 0;
	ph__outq_drop(&s->out);
	s->ev_tls = s->ev_challenge = false;
	s->ev_closed = true;
}

void
ph__end_with(struct ph_smtp *s, enum ph_code code, enum ph_stage stage, enum ph_cause cause,
             const char *fmt, ...)
{
	struct ph_error why = PH_ERROR_INIT;
	char text[sizeof why.text];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	ph__fail(&why, code, stage, cause, "%s", text);
	ph__end(s, &why, NULL);
}

void
ph__end_nomem(struct ph_smtp *s)
{
	ph__end_with(s, PH_ESYSTEM, ph__session_stage(s), PH_CAUSE_MEMORY, "out of memory");
}

void
ph__wind_down(struct ph_smtp *s, bool drop)
{
	if (s->phase == PH__CLOSED)
		return;
	s->winding = true;
	s->window = 1;
	if (drop)
		ph__outq_drop(&s->out);
}

/* What the replies still due could change: a transaction in flight that is not decided. */
static bool
is_anything_open(const struct ph_smtp *s)
{
	const struct ph__flight *f = s->count != 0 ? &s->fifo[s->head] : NULL;

	if (f == NULL || f->end > s->out.sent)
		return false;
	for (const struct ph_txn *t = s->txns; t != NULL; t = t->next)
		if (t->bare || (t->phase != PH__TXN_QUEUED && !ph__txn_round_is_decided(t)))
			return true;
	return false;
}

/* Winding is over when nothing that has gone out waits for an answer, or no answer matters: a server
 * that refuses and then falls silent must not hold us. */
void
ph__check_winding(struct ph_smtp *s)
{
	if (!s->winding || s->phase == PH__CLOSED || ph__unsent(s) != 0 || is_anything_open(s))
		return;
	ph__end_with(s, PH_EDEFERRED, PH_STAGE_BODY, PH_CAUSE_AFTER_SURPRISE,
	             "the connection was given up because a message on it was refused half-way");
}
