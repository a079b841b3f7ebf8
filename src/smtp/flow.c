/* SPDX-License-Identifier: MIT */
/* What is written, and when: the FIFO of verbs in flight, and the transactions that fill it.
 *
 * next_verb() is pure and the only place that chooses; may_send() is all of RFC 2920; window_is_open()
 * is the rule on BDAT transactions beside each other. Pipelining across messages follows by itself:
 * the transaction behind the one whose body is written may already be asked for its MAIL. */
#include "smtp/session.h"

/* ---- verbs in flight ------------------------------------------------------------------------- */

static bool
grow_fifo(struct ph_smtp *s)
{
	size_t cap = s->cap != 0 ? s->cap * 2 : 32;
	struct ph__flight *p = ph__alloc_array(&s->mem, cap, sizeof *p);

	if (p == NULL)
		return false;
	for (size_t i = 0; i < s->count; i++)
		p[i] = s->fifo[(s->head + i) % s->cap];
	ph__free(&s->mem, s->fifo);
	s->fifo = p;
	s->cap = cap;
	s->head = 0;
	return true;
}

/* What was queued last is verb v. */
bool
ph__session_push(struct ph_smtp *s, enum ph__verb v, struct ph_txn *t, size_t rcpt, bool last)
{
	struct ph__flight *f;

	if (s->count == s->cap && !grow_fifo(s))
		return false;
	f = &s->fifo[(s->head + s->count) & (s->cap - 1)];
	*f = (struct ph__flight){ t, s->flight_end, s->out.total, (uint32_t)rcpt, (uint8_t)v, last };
	s->flight_end = s->out.total;
	if (s->count++ == 0)
		s->reply_clock = false; /* starts when it has gone */
	if (t != NULL)
		t->unanswered++;
	return true;
}

const struct ph__flight *
ph__session_newest(const struct ph_smtp *s)
{
	return s->count != 0 ? &s->fifo[(s->head + s->count - 1) & (s->cap - 1)] : NULL;
}

void
ph__session_pop(struct ph_smtp *s)
{
	struct ph__flight *f = &s->fifo[s->head];

	if (f->txn != NULL)
		f->txn->unanswered--;
	s->head = (s->head + 1) & (s->cap - 1);
	s->count--;
}

/* ---- writing --------------------------------------------------------------------------------- */

/* The transaction's next verb; NONE when it waits for a reply or for its body. The order is RFC 5321
 * §3.3's; RSET comes first where an earlier MAIL may still be in force. */
static enum ph__verb
next_verb(const struct ph_txn *t)
{
	if (t->phase != PH__TXN_ENVELOPE)
		return PH__V_NONE;
	if (t->bare)
		return t->data_sent ? PH__V_NONE : PH__V_DATA;
	if (t->needs_rset && !t->rset_sent)
		return PH__V_RSET;
	if (!t->mail_sent)
		return PH__V_MAIL;
	if (t->rcpt_next < t->round_end)
		return PH__V_RCPT;
	if (!t->chunked && !t->data_sent)
		return PH__V_DATA;
	return PH__V_NONE;
}

/* All of RFC 2920: without PIPELINING one verb at a time; nothing behind a verb whose answer changes
 * what comes next. */
static bool
may_send(const struct ph_smtp *s)
{
	const struct ph__flight *f = ph__session_newest(s);

	if (f == NULL)
		return true;
	if (s->no_riding && f->verb == PH__V_BODY)
		return false;
	return ph__pipelines(s) && !ph__verbs[f->verb].barrier && s->count < PH__IN_FLIGHT_MAX;
}

/* Nothing goes behind it before it is answered. One whose size is unknown may turn out too large
 * midway, and Exim then reads the rest of the chunk as commands: what the message says there would be
 * answered in the place of a message behind it. */
static bool
is_exclusive(const struct ph_txn *t)
{
	return t->no_dup || (t->chunked && !t->facts.known);
}

/* Whether a chunked transaction may be begun beside those under way. */
static bool
window_is_open(const struct ph_smtp *s, const struct ph_txn *t)
{
	size_t limit = s->exclusive || t->no_dup ? 1 : s->window;

	return s->chunked_unanswered < limit;
}

/* On to the next recipient of this round. */
static bool
skip_others(struct ph_txn *t)
{
	while (t->rcpt_next < t->round_end &&
	       (t->rcpts[t->rcpt_next].out.outcome != PH_PENDING || t->rcpts[t->rcpt_next].put_off))
		t->rcpt_next++;
	return t->rcpt_next < t->round_end;
}

/* The server's limits let nothing more begin: what waits is tried on the next connection. */
static void
hand_back(struct ph_smtp *s)
{
	while (s->upcoming != NULL) {
		s->upcoming->again = true;
		ph__session_unlink(s, s->upcoming);
	}
}

/* Takes the next queued transaction in hand, if the rules let it begin now. */
static bool
begin_next(struct ph_smtp *s)
{
	struct ph_txn *t = s->upcoming;

	if (t == NULL || !may_send(s))
		return false;
	if (!t->bare && ph__session_is_spent(s)) {
		hand_back(s);
		return false;
	}
	t->chunked = !t->bare && ph__offers(s, PH__EXT_CHUNKING) && !s->opts.no_chunking;
	if ((t->chunked || s->chunked_unanswered != 0) && !window_is_open(s, t))
		return false;
	if (!t->bare && (!skip_others(t) || ph__rule_out(s, t))) {
		ph__session_unlink(s, t);
		return true;
	}
	if (!t->bare && !ph__plan_round(s, t))
		return s->phase != PH__CLOSED;
	s->upcoming = t->next;
	t->needs_rset = !t->bare && (s->open_at_server || s->chunked_unanswered != 0);
	t->rides = s->count != 0 && ph__session_newest(s)->verb == PH__V_BODY;
	t->phase = PH__TXN_ENVELOPE;
	ph__lines_init(&t->lines, t->ends, !t->chunked);
	if (s->opts.lenient)
		t->lines.line_max = PH__LINE_ANY;
	if (t->chunked)
		s->chunked_unanswered++;
	s->exclusive |= is_exclusive(t);
	s->cur = t;
	return true;
}

/* A message is sent before the envelope's replies are in when that costs little if it is refused.
 * Behind a refused RSET it may be delivered and yet not count: no_dup does not risk that. */
static bool
is_eager(const struct ph_smtp *s, const struct ph_txn *t)
{
	return ph__pipelines(s) && t->facts.known && t->facts.wire_size <= PH__EAGER_BODY_MAX &&
	       !(t->no_dup && t->needs_rset);
}

/* The envelope is written: on to the body, or to the end if nobody takes it. */
static void
leave_envelope(struct ph_smtp *s, struct ph_txn *t)
{
	bool answered = t->unanswered == 0;

	if (t->bare || skip_others(t) || !t->mail_sent)
		return;
	if (answered && (t->mail == PH__ANSWER_NO || t->accepted == 0)) {
		s->open_at_server |= t->mail == PH__ANSWER_YES;
		t->phase = PH__TXN_WAITING;
		s->cur = NULL;
		ph__maybe_finish(s, t);
	} else if (t->chunked && (answered || is_eager(s, t))) {
		t->phase = PH__TXN_BODY;
	}
}

/* Messages want EHLO or HELO answered; one by hand is for the server to refuse. */
static bool
may_transact(const struct ph_smtp *s)
{
	const struct ph_txn *t = s->cur != NULL ? s->cur : s->upcoming;

	return s->phase == PH__READY || (s->phase == PH__HELLO && t != NULL && t->bare);
}

/* Writes whatever the rules let out now. */
void
ph__session_send_more(struct ph_smtp *s)
{
	while (may_transact(s) && !s->winding) {
		struct ph_txn *t = s->cur;
		enum ph__verb v;

		if (t == NULL) {
			if (!begin_next(s))
				return;
			continue;
		}
		if (t->phase == PH__TXN_ENVELOPE && !t->data_sent)
			leave_envelope(s, t);
		if (s->cur != t)
			continue;
		if ((v = next_verb(t)) == PH__V_NONE || !may_send(s))
			return;
		if (v == PH__V_RCPT && !skip_others(t))
			continue;
		if (!ph__verbs[v].encode(s, t)) {
			ph__end_nomem(s);
			return;
		}
	}
}

/* ---- transactions ---------------------------------------------------------------------------- */

static void
append(struct ph_txn **first, struct ph_txn **last, struct ph_txn *t)
{
	t->next = NULL;
	if (*first == NULL)
		*first = t;
	else
		(*last)->next = t;
	*last = t;
}

/* Replies come in order, so it is nearly always the first; one that is ruled out may be a later. */
void
ph__session_unlink(struct ph_smtp *s, struct ph_txn *t)
{
	struct ph_txn **p = &s->txns, *before = NULL;

	while (*p != t) {
		before = *p;
		p = &before->next;
	}
	*p = t->next;
	if (s->txns_last == t)
		s->txns_last = before;
	if (s->upcoming == t)
		s->upcoming = t->next;
	if (s->cur == t)
		s->cur = NULL;
	if (t->chunked && t->phase != PH__TXN_QUEUED)
		s->chunked_unanswered--;
	if (is_exclusive(t) && t->phase != PH__TXN_QUEUED)
		s->exclusive = false;
	ph__txn_end_round(t);
	t->phase = PH__TXN_DONE;
	append(&s->finished, &s->finished_last, t);
}

void
ph__session_forbid_riding(struct ph_smtp *s)
{
	s->no_riding = true;
}

bool
ph__session_lost_riders(const struct ph_smtp *s)
{
	return s->lost_riders;
}

static enum ph_code
submit(struct ph_smtp *s, struct ph_txn *t, const struct ph_source_facts *facts)
{
	if ((s->phase != PH__READY && !(t->bare && s->phase == PH__HELLO)) || s->winding ||
	    t->phase != PH__TXN_IDLE ||
	    (!t->bare && ph__session_is_spent(s)))
		return PH_EUSAGE;
	ph__txn_start(t, facts);
	append(&s->txns, &s->txns_last, t);
	if (s->upcoming == NULL)
		s->upcoming = t;
	ph__session_send_more(s);
	return PH_OK;
}

enum ph_code
ph_smtp_submit(struct ph_smtp *s, struct ph_txn *t, const struct ph_source_facts *facts)
{
	if (t->bare)
		return PH_EUSAGE;
	return submit(s, t, facts);
}

enum ph_code
ph_smtp_submit_body(struct ph_smtp *s, struct ph_txn *t, enum ph_line_ends line_ends)
{
	t->bare = true;
	t->ends = line_ends;
	return submit(s, t, NULL);
}

void
ph_smtp_cancel(struct ph_smtp *s, const struct ph_error *cause)
{
	struct ph_error why = PH_ERROR_INIT;

	ph__fail(&why, PH_ECANCELLED, ph__session_stage(s), PH_CAUSE_CANCELLED, "cancelled");
	ph__end(s, cause != NULL ? cause : &why, NULL);
}
