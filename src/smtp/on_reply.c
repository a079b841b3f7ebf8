/* SPDX-License-Identifier: MIT */
/* What each verb's reply means. The only place where a reply changes the session's phase or a
 * transaction's course.
 *
 * A transaction's recipients are decided as soon as a reply settles them: by MAIL's refusal, by their
 * own RCPT's, by DATA's, or by the final reply. Behind a refused BDAT nothing negative is believed
 * (a server that did not take the refused octets reads them as commands, and its replies slip out of
 * step): such recipients stay undecided, and the transaction is to be tried again, alone. */
#include "smtp/session.h"

#include <assert.h>

#include "base/base64.h"

static enum ph_outcome
outcome_of(const struct ph_reply *r)
{
	return r->code >= 500 ? PH_REFUSED : PH_DEFERRED;
}

static enum ph_code
code_of(const struct ph_reply *r)
{
	return r->code >= 500 ? PH_EREFUSED : PH_EDEFERRED;
}

/* ---- the session's own verbs ----------------------------------------------------------------- */

void
ph__on_greeting(struct ph_smtp *s, const struct ph__flight *f, const struct ph_reply *r)
{
	s->phase = PH__HELLO;
	ph__session_tell_reply(s, f->verb, r);
}

/* What EHLO taught, and the envelope, hold no longer. */
static void
start_anew(struct ph_smtp *s)
{
	ph__ext_forget(&s->ext);
	s->esmtp = false;
	s->open_at_server = false;
	s->hand_rcpts = 0;
	s->phase = PH__HELLO;
}

void
ph__on_hello(struct ph_smtp *s, const struct ph__flight *f, const struct ph_reply *r)
{
	start_anew(s);
	if (ph__is_positive(r))
		s->phase = PH__READY;
	if (ph__is_positive(r) && f->verb != PH__V_HELO) {
		s->esmtp = true;
		if (!ph__ext_parse(&s->ext, (struct ph_str){ r->text, r->len })) {
			ph__end_nomem(s);
			return;
		}
	}
	ph__session_tell_reply(s, f->verb, r);
}

/* Octets behind the 220, sent in clear, would be read as the server's answers inside TLS: an attack
 * that many clients have fallen for (CVE-2011-0411 and its kin). */
void
ph__end_by_injection(struct ph_smtp *s, size_t n)
{
	ph__end_with(s, PH_ESECURITY, PH_STAGE_STARTTLS, PH_CAUSE_INJECTION,
	             "the server, or somebody in between, sent %zu octets in clear behind "
	             "its 220 to STARTTLS: this is how commands are smuggled into TLS", n);
	ph__hint(&s->error, "do not use this connection or network; tell the server's operator");
}

void
ph__on_starttls(struct ph_smtp *s, const struct ph__flight *f, const struct ph_reply *r)
{
	if (r->code == 220 && s->in_at < s->in.len) {
		ph__end_by_injection(s, s->in.len - s->in_at);
		return;
	}
	ph__session_tell_reply(s, f->verb, r);
	if (r->code != 220)
		return;
	s->phase = PH__TLS;
	s->ev_tls = true;
}

static void
tell_challenge(struct ph_smtp *s, const struct ph_reply *r)
{
	ph__buf_reset(&s->challenge);
	s->challenge.secret = true;
	s->challenge_ok = ph__base64_decode(&s->challenge, (struct ph_str){ r->text, r->len });
	if (s->challenge.state == PH__BUF_NOMEM)
		ph__end_nomem(s);
	else
		s->ev_challenge = true;
}

void
ph__on_auth(struct ph_smtp *s, const struct ph__flight *f, const struct ph_reply *r)
{
	if (!s->auth_by_mechanism) {
		ph__on_other(s, f, r);
		return;
	}
	if (r->code != 334) {
		ph__buf_done(&s->auth_initial);
		ph__session_tell_reply(s, PH__V_AUTH, r);
		return;
	}
	if (++s->auth_rounds > PH__AUTH_ROUNDS_MAX) {
		ph__end_with(s, PH_EPROTOCOL, PH_STAGE_AUTH, PH_CAUSE_LIMIT,
		             "the server asks for more and more responses to AUTH");
		return;
	}
	if (f->verb == PH__V_AUTH && s->auth_initial.len != 0) {
		enum ph_code rc = ph_smtp_auth_respond(s, s->auth_initial.p, s->auth_initial.len, NULL);

		ph__buf_done(&s->auth_initial);
		if (rc != PH_OK)
			ph__end_nomem(s);
		return;
	}
	tell_challenge(s, r);
}

/* The 220 is a greeting: the server takes us for the client that was described, who has not said EHLO
 * yet. (Postfix before 2.3 answers 250 and goes on as before.) */
void
ph__on_xclient(struct ph_smtp *s, const struct ph__flight *f, const struct ph_reply *r)
{
	if (r->code == 220)
		start_anew(s);
	ph__session_tell_reply(s, f->verb, r);
}

void
ph__on_quit(struct ph_smtp *s, const struct ph__flight *f, const struct ph_reply *r)
{
	struct ph_error none = PH_ERROR_INIT;

	none.stage = PH_STAGE_QUIT;
	ph__session_tell_reply(s, f->verb, r);
	ph__end(s, &none, NULL);
}

void
ph__on_other(struct ph_smtp *s, const struct ph__flight *f, const struct ph_reply *r)
{
	ph__session_tell_reply(s, f->verb, r);
}

/* ---- envelopes ------------------------------------------------------------------------------- */

/* A 3yz asks for more, and these verbs have no more to give. */
static bool
is_out_of_place(struct ph_smtp *s, const struct ph__flight *f, const struct ph_reply *r)
{
	if (f->txn == NULL || r->code < 300 || r->code >= 400)
		return false;
	ph__end_with(s, PH_EPROTOCOL, ph__verbs[f->verb].stage, PH_CAUSE_GARBAGE,
	             "the server answered %s with %u, which means nothing there",
	             ph__verbs[f->verb].name, r->code);
	return true;
}

void
ph__on_rset(struct ph_smtp *s, const struct ph__flight *f, const struct ph_reply *r)
{
	struct ph_txn *t = f->txn;

	if (t == NULL) {
		s->hand_rcpts = 0;
		s->open_at_server = false;
		ph__session_tell_reply(s, f->verb, r);
		return;
	}
	if (ph__is_positive(r) || r->code == 421)
		return;
	/* Whatever is answered from here on may belong to an older envelope. Nobody refuses a RSET: it
	 * shows that replies and commands are out of step, and that goes for all behind it. */
	for (; t != NULL; t = t->next)
		t->rset_refused = t->again = true;
	ph__wind_down(s, true);
}

void
ph__on_mail(struct ph_smtp *s, const struct ph__flight *f, const struct ph_reply *r)
{
	struct ph_txn *t = f->txn;

	if (t == NULL) {
		s->hand_rcpts = 0;
		s->open_at_server |= ph__is_positive(r);
		ph__session_tell_reply(s, f->verb, r);
		return;
	}
	if (is_out_of_place(s, f, r))
		return;
	if (ph__is_positive(r)) {
		t->mail = PH__ANSWER_YES;
		return;
	}
	t->mail = PH__ANSWER_NO;
	if (t->behind_surprise || t->behind_refusal || t->rset_refused) {
		t->again = true;
	} else {
		struct ph_reply kept = ph__txn_keep(t, r);

		ph__txn_decide_all(t, outcome_of(r), code_of(r), PH_STAGE_MAIL, PH_CAUSE_REPLY, &kept);
	}
}

void
ph__on_rcpt(struct ph_smtp *s, const struct ph__flight *f, const struct ph_reply *r)
{
	struct ph_txn *t = f->txn;
	struct ph_reply kept;

	if (t == NULL) {
		s->hand_rcpts += ph__is_positive(r);
		ph__session_tell_reply(s, f->verb, r);
		return;
	}
	t->rcpts_unanswered--;
	if (is_out_of_place(s, f, r))
		return;
	if (t->mail != PH__ANSWER_YES || t->rset_refused) {
		/* MAIL's reply decides; a 250 here belongs to another envelope */
		t->taken_elsewhere |= ph__is_positive(r);
		return;
	}
	if (ph__is_positive(r)) {
		t->rcpts[f->rcpt].accepted = true;
		t->accepted++;
		return;
	}
	if (t->behind_surprise) {
		t->again = true;
		return;
	}
	if (ph__is_too_many(s, f, r))
		return;
	kept = ph__txn_keep(t, r);
	if (r->code == 421) /* those before it, too, are deferred by the reply to this RCPT */
		ph__txn_decide_round(t, PH_DEFERRED, PH_EDEFERRED, PH_STAGE_RCPT, PH_CAUSE_REPLY, &kept);
	ph__txn_decide(t, f->rcpt, outcome_of(r), code_of(r), PH_STAGE_RCPT, PH_CAUSE_REPLY, &kept);
	s->ev_rcpt = true;
	s->rcpt_txn = t;
	s->rcpt_index = f->rcpt;
}

/* ---- bodies ---------------------------------------------------------------------------------- */

static void
begin_data(struct ph_smtp *s, struct ph_txn *t)
{
	if (t->bare || t->accepted != 0) {
		t->phase = PH__TXN_BODY;
		s->hand_finals = t->bare ? (s->opts.lmtp ? s->hand_rcpts : 1) : 0;
		if (!ph__session_push(s, PH__V_BODY, t, 0, true))
			ph__end_nomem(s);
		else
			s->fifo[(s->head + s->count - 1) % s->cap].end = UINT64_MAX;
		return;
	}
	if (s->opts.lmtp || s->winding || t->taken_elsewhere) {
		/* RFC 2033 §4.2: this DATA had to be refused; how many replies come is anybody's guess.
		 * In an envelope that is not ours the dot would deliver an empty message. */
		ph__wind_down(s, true);
		return;
	}
	/* RFC 2920 §3.1: no recipient, and yet 354: nothing but the dot */
	t->all_written = true;
	t->phase = PH__TXN_WAITING;
	s->cur = NULL;
	ph__trace(s, '>', false, ph__str("."));
	if (!ph__outq_copy(&s->out, ".\r\n", 3) || !ph__session_push(s, PH__V_BODY, t, 0, true))
		ph__end_nomem(s);
	t->end = s->out.total;
}

void
ph__on_data(struct ph_smtp *s, const struct ph__flight *f, const struct ph_reply *r)
{
	struct ph_txn *t = f->txn;
	struct ph_reply kept;

	if (t == NULL) { /* by hand, and the message too: the caller's to mind */
		ph__session_tell_reply(s, f->verb, r);
		return;
	}
	if (r->code >= 300 && r->code < 400) {
		begin_data(s, t);
		return;
	}
	if (ph__is_positive(r)) {
		ph__end_with(s, PH_EPROTOCOL, PH_STAGE_DATA, PH_CAUSE_GARBAGE,
		             "the server answered DATA with %u instead of 354", r->code);
		return;
	}
	if (t->bare) {
		ph__session_tell_reply(s, f->verb, r);
	} else if (!t->again) { /* else it may speak of an older envelope */
		kept = ph__txn_keep(t, r);
		ph__txn_decide_round(t, outcome_of(r), code_of(r), PH_STAGE_DATA, PH_CAUSE_REPLY, &kept);
	}
	if (!t->bare)
		s->open_at_server |= t->mail == PH__ANSWER_YES;
	t->phase = PH__TXN_WAITING;
	s->cur = NULL;
}

size_t
ph__finals_left(const struct ph_smtp *s, const struct ph__flight *f)
{
	size_t all;

	if (f->txn == NULL || !f->last || !s->opts.lmtp)
		return 1;
	all = f->txn->bare ? s->hand_finals : f->txn->accepted;
	return all > f->txn->final_next ? all - f->txn->final_next : 1;
}

/* The accepted recipient whose final reply is the n-th (LMTP). */
static size_t
taker(const struct ph_txn *t, size_t n)
{
	size_t i = t->settled;

	for (; i < t->round_end; i++)
		if (t->rcpts[i].accepted && n-- == 0)
			break;
	return i;
}

/* `each`: it is the reply for one recipient only, the next (LMTP). A chunk before the last has one
 * reply for all, there too. */
static void
decide_final(struct ph_smtp *s, struct ph_txn *t, const struct ph_reply *r, bool each)
{
	bool good = ph__is_positive(r);
	struct ph_reply kept;
	enum ph_outcome outcome = good ? PH_ACCEPTED : outcome_of(r);
	enum ph_code code = good ? PH_OK : code_of(r);

	if (t->bare) {
		t->final_next++;
		s->open_at_server = false;
		s->hand_rcpts = 0;
		ph__session_tell_reply(s, PH__V_BODY, r);
		return;
	}
	if (t->mail != PH__ANSWER_YES || t->rset_refused || t->accepted == 0)
		return;
	if (!good && t->behind_surprise) {
		t->again = true;
		t->final_next += each;
		return;
	}
	kept = ph__txn_keep(t, r);
	if (!each) {
		for (size_t i = t->settled; i < t->round_end; i++)
			if (t->rcpts[i].accepted)
				ph__txn_decide(t, i, outcome, code, PH_STAGE_BODY, PH_CAUSE_REPLY, &kept);
		return;
	}
	s->rcpt_index = taker(t, t->final_next++);
	s->rcpt_txn = t;
	s->ev_rcpt = true;
	ph__txn_decide(t, s->rcpt_index, outcome, code, PH_STAGE_BODY, PH_CAUSE_REPLY, &kept);
}

/* True when the reply cannot be a final one: the session is over then. */
static bool
is_no_final_reply(struct ph_smtp *s, const struct ph__flight *f, const struct ph_reply *r)
{
	bool early = f->end > s->out.sent;

	if (r->code >= 300 && r->code < 400) {
		ph__end_with(s, PH_EPROTOCOL, PH_STAGE_BODY, PH_CAUSE_GARBAGE,
		             "the server answered the message with %u, which is no final reply", r->code);
		return true;
	}
	if (early && ph__is_positive(r)) {
		ph__end_with(s, PH_EPROTOCOL, PH_STAGE_BODY, PH_CAUSE_EARLY_REPLY,
		             "the server answered %u before it had the whole message", r->code);
		return true;
	}
	return false;
}

/* A refusal that came before the end of the message: the rest need not be sent, and without it this
 * connection has no more use. */
static void
stop_early(struct ph_smtp *s, struct ph_txn *t)
{
	if (!t->all_written || t->end > s->out.sent)
		ph__wind_down(s, true);
}

/* After a refused message the envelope may still be in force: Postfix keeps it when its
 * smtpd_end_of_data_restrictions refuse, and answers the next MAIL with 503. RSET ends it; a MAIL that
 * is on its way already may be refused for the old envelope's sake. */
static void
distrust_envelope(struct ph_smtp *s, const struct ph_txn *refused)
{
	s->open_at_server = true;
	for (struct ph_txn *t = refused->next; t != NULL && t->mail_sent; t = t->next)
		t->behind_refusal = !t->rset_sent;
}

void
ph__on_body(struct ph_smtp *s, const struct ph__flight *f, const struct ph_reply *r)
{
	if (is_no_final_reply(s, f, r))
		return;
	decide_final(s, f->txn, r, s->opts.lmtp);
	if (ph__is_positive(r))
		return;
	if (!s->opts.lmtp) /* there it is one recipient's reply of several */
		distrust_envelope(s, f->txn);
	stop_early(s, f->txn);
}

/* After a refused BDAT real servers differ: some keep the transaction open, some read the refused
 * octets as commands. Nothing more is written here; what is in flight is read with suspicion. */
static void
surprise(struct ph_smtp *s, struct ph_txn *refused)
{
	for (struct ph_txn *t = refused->next; t != NULL; t = t->next)
		t->behind_surprise = true;
	ph__wind_down(s, true);
}

void
ph__on_bdat(struct ph_smtp *s, const struct ph__flight *f, const struct ph_reply *r)
{
	struct ph_txn *t = f->txn;

	if (t == NULL) {
		ph__session_tell_reply(s, f->verb, r);
		return;
	}
	if (is_no_final_reply(s, f, r))
		return;
	if (f->last || !ph__is_positive(r))
		decide_final(s, t, r, f->last && s->opts.lmtp);
	if (!ph__is_positive(r))
		surprise(s, t);
}

/* ---- done? ----------------------------------------------------------------------------------- */

/* All it wrote is answered, and nothing more of it will be written. */
void
ph__maybe_finish(struct ph_smtp *s, struct ph_txn *t)
{
	bool all_good;

	if (t == NULL || t->phase != PH__TXN_WAITING || t->unanswered != 0)
		return;
	all_good = t->accepted == t->rcpts_written;
	for (size_t i = t->settled; i < t->round_end && all_good; i++)
		all_good = !t->rcpts[i].accepted || t->rcpts[i].out.outcome == PH_ACCEPTED;
	if (!all_good)
		s->window = 1;
	else if (s->window < s->opts.window)
		s->window++; /* one for each accepted: it doubles with every round trip */
	if (!t->again)
		ph__txn_decide_round(t, PH_DEFERRED, PH_EPROTOCOL, PH_STAGE_BODY, PH_CAUSE_GARBAGE, NULL);
	ph__session_unlink(s, t);
}
