/* SPDX-License-Identifier: MIT */
/* Deadlines (RFC 5321 §4.5.3.2). A reply's runs from handing over its command to its last line; octets
 * do not start it anew. While octets of ours wait, a block has three minutes. A peer that drips, in
 * either direction, is held to a minimum rate. */
#include "smtp/session.h"

/* ---- time ------------------------------------------------------------------------------------ */

static uint64_t
capped(const struct ph_smtp *s, uint64_t ms)
{
	return s->opts.timeout_ms != 0 && s->opts.timeout_ms < ms ? s->opts.timeout_ms : ms;
}

void
ph__session_set_timeout(struct ph_smtp *s, uint64_t timeout_ms)
{
	s->opts.timeout_ms = timeout_ms;
}

/* Clocks start here, with the time the driver tells: a session may have been idle for long. */
static void
wind_clocks(struct ph_smtp *s)
{
	bool unsent = ph__unsent(s) != 0;

	if (s->count != 0 && !s->reply_clock && s->fifo[s->head].end <= s->out.sent) {
		s->reply_clock = true;
		s->reply_since = s->now;
	}
	if (s->phase == PH__TLS && !s->reply_clock) {
		s->reply_clock = true;
		s->reply_since = s->now;
	}
	if (unsent && !s->write_clock) {
		s->write_since = s->write_mark_since = s->now;
		s->write_mark = s->out.sent;
	}
	s->write_clock = unsent;
}

/* The first reply to a transaction that rode behind a final dot is waited for. */
static bool
is_rider(const struct ph_smtp *s)
{
	const struct ph__flight *f = s->count != 0 ? &s->fifo[s->head] : NULL;

	return f != NULL && f->txn != NULL && f->txn->rides && f->txn->mail == PH__ANSWER_NONE &&
	       (f->verb == PH__V_MAIL || f->verb == PH__V_RSET) &&
	       capped(s, PH__MS_COMMAND) > PH__MS_RIDE;
}

static uint64_t
reply_deadline(const struct ph_smtp *s)
{
	if (!s->reply_clock)
		return UINT64_MAX;
	if (s->phase == PH__TLS)
		return s->reply_since + capped(s, PH__MS_TLS);
	if (s->count == 0 || s->fifo[s->head].end > s->out.sent)
		return UINT64_MAX;
	return s->reply_since + (is_rider(s) ? PH__MS_RIDE
	                         : capped(s, ph__verbs[s->fifo[s->head].verb].timeout_ms));
}

#define RATE_LEAST (PH__RATE_MIN * (PH__MS_RATE_SPAN / 1000))

/* A reply has begun and drips: a peer may not hold us by an octet now and then. */
static uint64_t
reply_rate_deadline(const struct ph_smtp *s)
{
	bool begun = s->parser.lines != 0 || s->in_at < s->in.len;

	if (!s->rate_clock || !begun || s->count == 0)
		return UINT64_MAX;
	return s->rate_since + PH__MS_RATE_SPAN;
}

static uint64_t
write_deadline(const struct ph_smtp *s)
{
	uint64_t block, rate = UINT64_MAX;

	if (!s->write_clock)
		return UINT64_MAX;
	block = s->write_since + capped(s, PH__MS_BLOCK);
	/* it took something, but too little; one that takes nothing at all has its three minutes */
	if (s->out.sent != s->write_mark && s->out.sent - s->write_mark < RATE_LEAST)
		rate = s->write_mark_since + PH__MS_RATE_SPAN;
	return block < rate ? block : rate;
}

static uint64_t
least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

uint64_t
ph_smtp_deadline(const struct ph_smtp *s)
{
	if (s->phase == PH__CLOSED)
		return UINT64_MAX;
	return least(reply_deadline(s), least(reply_rate_deadline(s), write_deadline(s)));
}

/* Nothing of these messages has gone but their envelopes: they are tried again. */
static void
lose_riders(struct ph_smtp *s)
{
	s->lost_riders = true;
	ph__end_with(s, PH_EDEFERRED, PH_STAGE_MAIL, PH_CAUSE_AFTER_SURPRISE,
	             "the server offers PIPELINING and yet did not answer what came behind a message");
}

static void
time_out(struct ph_smtp *s)
{
	enum ph_stage stage = ph__session_stage(s);

	if (s->write_clock && s->now >= s->write_since + capped(s, PH__MS_BLOCK))
		ph__end_with(s, PH_EDEFERRED, stage, PH_CAUSE_TIMEOUT,
		             "the server takes nothing of what we send (for %llu s)",
		             (unsigned long long)((s->now - s->write_since + 500) / 1000));
	else if (s->now >= write_deadline(s))
		ph__end_with(s, PH_EDEFERRED, stage, PH_CAUSE_TOO_SLOW,
		             "the server takes what we send too slowly");
	else if (s->now < reply_deadline(s))
		ph__end_with(s, PH_EDEFERRED, stage, PH_CAUSE_TOO_SLOW,
		             "the server sends its reply too slowly");
	else if (is_rider(s))
		lose_riders(s);
	else
		ph__end_with(s, PH_EDEFERRED, stage, PH_CAUSE_TIMEOUT,
		             "the server %s in time (%llu s)", ph__session_silence(s),
		             (unsigned long long)((s->now - s->reply_since + 500) / 1000));
}

/* A span in which enough was taken or came is followed by the next. */
static void
next_spans(struct ph_smtp *s)
{
	if (s->write_clock && s->now - s->write_mark_since >= PH__MS_RATE_SPAN &&
	    s->out.sent - s->write_mark >= RATE_LEAST) {
		s->write_mark = s->out.sent;
		s->write_mark_since = s->now;
	}
	if (s->rate_clock && s->now - s->rate_since >= PH__MS_RATE_SPAN &&
	    s->rate_octets >= RATE_LEAST) {
		s->rate_octets = 0;
		s->rate_since = s->now;
	}
}

void
ph_smtp_tick(struct ph_smtp *s, uint64_t now_ms)
{
	s->now = now_ms;
	if (s->phase == PH__CLOSED)
		return;
	wind_clocks(s);
	next_spans(s);
	if (now_ms >= ph_smtp_deadline(s))
		time_out(s);
}
