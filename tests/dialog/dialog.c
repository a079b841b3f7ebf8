/* SPDX-License-Identifier: MIT */
/* Replaying dialogues. See dialog.h. */
#include "dialog.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "../unit/failing_memory.h"
#include "smtp/txn.h"

#define MESSAGES (sizeof ((struct dialog *)0)->messages / sizeof (struct message))
#define STEPS    (sizeof ((struct dialog *)0)->steps / sizeof (struct step))
#define TEXT_MAX 16384

enum cut { WHOLE, BYTES, LINES, CUTS };
static const char *const cut_names[] = { "whole", "byte by byte", "line by line" };

/* What became of a message. */
struct fate {
	struct ph_txn *txn;
	unsigned submitted, came_back;
	size_t given;              /* octets of its body */
	enum ph_outcome outcome[8];
	unsigned told[8];          /* RCPT_DONE since it was submitted */
};

struct run {
	const struct dialog *d;
	enum cut in, out;
	struct failing_memory fm;
	bool strict;               /* no allocation fails: everything must be as the dialogue says */
	struct ph_smtp *s;
	uint64_t now;
	bool opening, closed;
	bool over;                 /* a failed allocation was the caller's: the dialogue has no sense */
	struct fate fates[MESSAGES];
	char *held;                /* body octets that the session may still point at */
	char told[TEXT_MAX], trace[TEXT_MAX];
	size_t step;
};

static void
say(struct run *r, const char *fmt, ...)
{
	size_t len = strlen(r->told);
	va_list ap;

	if (r->opening)
		return;
	va_start(ap, fmt);
	vsnprintf(r->told + len, sizeof r->told - len, fmt, ap);
	va_end(ap);
}

static void __attribute__((noreturn))
wrong(const struct run *r, const char *what, const char *expected, const char *got)
{
	print_error("%s: step %zu, peer %s, sent %s%s: %s\n--- expected\n%s\n--- got\n%s\n--- told so far\n%s\n",
	            r->d->note != NULL ? r->d->note : "", r->step, cut_names[r->in], cut_names[r->out],
	            r->strict ? "" : ", an allocation failing", what, expected, got, r->told);
	fail();
	abort();
}

/* ---- messages -------------------------------------------------------------------------------- */

static size_t
message_len(const struct message *m)
{
	size_t one = m->body_len != 0 || m->body == NULL ? m->body_len : strlen(m->body);

	return one * (m->times != 0 ? m->times : 1);
}

/* Octets [at, at + n) of a body in memory of their own, so that a use after its time is seen. */
static char *
body_piece(const struct message *m, size_t at, size_t n)
{
	size_t one = m->body_len != 0 || m->body == NULL ? m->body_len : strlen(m->body);
	char *p = malloc(n + 1);

	assert_non_null(p);
	for (size_t i = 0; i < n; i++)
		p[i] = m->body[(at + i) % one];
	return p;
}

static void
find_facts(const struct message *m, struct ph_source_facts *facts)
{
	struct ph_source *source = NULL;
	char *all = body_piece(m, 0, message_len(m));

	assert_int_equal(ph_source_new_memory(&source, all, message_len(m), NULL), PH_OK);
	assert_int_equal(ph_source_examine(source, facts, NULL), PH_OK);
	ph_source_free(source);
	free(all);
	if (m->said_size != 0)
		facts->wire_size = m->said_size;
	if (m->said_clean)
		facts->clean = true;
}

static const struct message *
message_of(struct run *r, const struct ph_txn *t, struct fate **fate)
{
	for (size_t i = 0; i < MESSAGES; i++)
		if (r->fates[i].txn == t) {
			*fate = &r->fates[i];
			return &r->d->messages[i];
		}
	fail_msg("an event names a transaction that nobody gave");
	abort();
}

static size_t
piece_size(const struct run *r, const struct message *m, size_t max)
{
	size_t n = m->piece;

	if (n == 0 && m->fails_at == 0 && message_len(m) < 100000 &&
	    (r->d->hello == NULL || strstr(r->d->hello, "CHUNKING") == NULL || r->d->opts.no_chunking))
		n = r->in == BYTES ? 1 : r->in == LINES ? 7 : 0;
	return n == 0 || n > max ? max : n;
}

/* Answers WANT_BODY; false when nothing more will be given. */
static bool
give_body(struct run *r, struct ph_txn *t, size_t max)
{
	struct fate *f;
	const struct message *m = message_of(r, t, &f);
	size_t left = message_len(m) - f->given, n = piece_size(r, m, max);
	struct ph_error err = PH_ERROR_INIT;
	bool last;

	if (m->fails_at != 0 && f->given >= m->fails_at) {
		ph_smtp_body_failed(r->s, t, NULL);
		return true;
	}
	if (m->stalls && f->given != 0)
		return false;
	if (n > left)
		n = left;
	if (m->fails_at != 0 && n > m->fails_at - f->given)
		n = m->fails_at - f->given;
	last = n == left && m->fails_at == 0 && !m->stalls && !(m->last_apart && n != 0);
	free(r->held);
	r->held = body_piece(m, f->given, n);
	f->given += n;
	ph_smtp_body(r->s, t, r->held, n, last, &err);
	return true;
}

/* ---- events ---------------------------------------------------------------------------------- */

static void
say_reply(struct run *r, const struct ph_reply *reply)
{
	if (reply->code != 0)
		say(r, " %u", reply->code);
	if (reply->enhanced[0] != 0)
		say(r, " %u.%u.%u", reply->enhanced[0], reply->enhanced[1], reply->enhanced[2]);
}

static void
take_back(struct run *r, const struct ph_smtp_event *ev)
{
	struct fate *f;
	const struct message *m = message_of(r, ev->txn, &f);
	bool pending = false;

	f->came_back++;
	assert_int_equal(f->came_back, f->submitted);
	for (size_t i = 0; i < ph_txn_recipient_count(ev->txn); i++) {
		const struct ph_recipient_outcome *o = ph_txn_recipient(ev->txn, i);

		say(r, "%s: %s ", m->name, o->address);
		f->outcome[i] = o->outcome;
		pending |= o->outcome == PH_PENDING;
		assert_true(o->outcome != PH_PARTIAL);
		if (o->outcome == PH_PENDING) {
			assert_true(ev->again != ev->more);
			say(r, ev->again ? "again" : "more");
		} else {
			say(r, "%s %s %s %s", ph_outcome_name(o->outcome), ph_code_name(o->code),
			    ph_stage_name(o->stage), ph_cause_name(o->cause));
			say_reply(r, &o->reply);
		}
		say(r, "\n");
	}
	if (ph_txn_recipient_count(ev->txn) == 0)
		say(r, "%s: done %s %s\n", m->name, ph_code_name(ph_txn_error(ev->txn)->code),
		    ph_cause_name(ph_txn_error(ev->txn)->cause));
	else
		assert_true(pending == (ev->again || ev->more));
}

static void
say_recipient(struct run *r, const struct ph_smtp_event *ev)
{
	struct fate *f;
	const struct message *m = message_of(r, ev->txn, &f);
	const struct ph_recipient_outcome *o = ph_txn_recipient(ev->txn, ev->recipient);

	assert_non_null(o);
	assert_true(o->outcome != PH_PENDING);
	assert_int_equal(++f->told[ev->recipient], 1);
	if (r->d->tells_recipients)
		say(r, "rcpt %s %s\n", m->name, o->address);
}

static void
say_closed(struct run *r, const struct ph_error *e)
{
	assert_false(r->closed);
	r->closed = true;
	say(r, "closed %s %s %s", ph_code_name(e->code), ph_stage_name(e->stage),
	    ph_cause_name(e->cause));
	if (e->reply != 0)
		say(r, " %u", e->reply);
	say(r, "\n");
}

static void
take_event(struct run *r, const struct ph_smtp_event *ev)
{
	switch (ev->type) {
	case PH_EV_REPLY:
		say(r, "reply %s", ev->verb);
		assert_non_null(ev->reply.text);
		assert_int_equal(ev->reply.text[ev->reply.len], '\0');
		say_reply(r, &ev->reply);
		say(r, "\n");
		break;
	case PH_EV_WANT_TLS:
		say(r, "want_tls\n");
		break;
	case PH_EV_AUTH_CHALLENGE:
		if (ev->challenge == NULL)
			say(r, "challenge?\n");
		else
			say(r, "challenge %.*s\n", (int)ev->challenge_len, (const char *)ev->challenge);
		break;
	case PH_EV_RCPT_DONE:
		say_recipient(r, ev);
		break;
	case PH_EV_TXN_DONE:
		take_back(r, ev);
		break;
	case PH_EV_CLOSED:
		say_closed(r, ev->error);
		break;
	case PH_EV_WANT_BODY:
		break;
	}
}

static void
drain(struct run *r)
{
	struct ph_smtp_event ev = PH_SMTP_EVENT_INIT;

	while (ph_smtp_next_event(r->s, &ev)) {
		assert_false(r->closed);
		take_event(r, &ev);
		if (ev.type == PH_EV_WANT_BODY && !give_body(r, ev.txn, ev.max))
			return;
	}
	assert_true(!r->closed || ph_smtp_is_closed(r->s));
}

static void
keep_trace(struct run *r)
{
	struct ph_smtp_trace t = PH_SMTP_TRACE_INIT;
	char line[TEXT_MAX];

	while (ph_smtp_next_trace(r->s, &t)) {
		size_t len = strlen(r->trace);

		snprintf(line, sizeof line, "%.*s", (int)t.len, t.text);
		if (r->d->secret != NULL && strstr(line, r->d->secret) != NULL)
			wrong(r, "a secret is in the transcript", "", line);
		assert_null(memchr(t.text, '\n', t.len));
		snprintf(r->trace + len, sizeof r->trace - len, "%c %s\n", t.direction, line);
	}
}

/* ---- octets ---------------------------------------------------------------------------------- */

/* How many octets the next part of `left` octets at p has. */
static size_t
part_size(enum cut cut, const char *p, size_t left)
{
	const char *lf;

	if (cut == BYTES)
		return 1;
	if (cut == LINES && (lf = memchr(p, '\n', left)) != NULL)
		return (size_t)(lf - p) + 1;
	return left;
}

static size_t
step_len(const struct step *t)
{
	return t->len * (t->times != 0 ? t->times : 1);
}

static char *
step_octets(const struct step *t)
{
	size_t n = step_len(t);
	char *p = malloc(n + 1);

	assert_non_null(p);
	for (size_t i = 0; i < n; i += t->len)
		memcpy(p + i, t->text, t->len);
	p[n] = '\0';
	return p;
}

/* The same, kept for the next run of the dialogue: megabytes take time. */
static const char *
peer_octets(const struct step *t)
{
	static const char *of;
	static size_t times;
	static char *kept;

	if (of != t->text || times != t->times) {
		free(kept);
		kept = step_octets(t);
		of = t->text;
		times = t->times;
	}
	return kept;
}

/* What waits to be sent, at most n octets of it. */
static size_t
pull_octets(struct run *r, char *to, size_t n)
{
	struct iovec iov[16];
	size_t pieces = ph_smtp_pull(r->s, iov, r->out == BYTES ? 1 : 16), len = 0;

	for (size_t i = 0; i < pieces && len < n; i++) {
		size_t part = iov[i].iov_len < n - len ? iov[i].iov_len : n - len;

		assert_int_not_equal(iov[i].iov_len, 0);
		memcpy(to + len, iov[i].iov_base, part);
		len += part;
	}
	return len;
}

static bool
has_unsent(struct run *r)
{
	struct iovec iov[1];

	return ph_smtp_pull(r->s, iov, 1) != 0;
}

static void
do_sent(struct run *r, const struct step *t)
{
	size_t n = step_len(t), got, part;
	char *want = step_octets(t), *have = malloc(n + 1);

	assert_non_null(have);
	for (size_t at = 0; at < n; at += part) {
		drain(r);
		got = pull_octets(r, have, n - at);
		have[got] = '\0';
		if (got == 0 || memcmp(have, want + at, got) != 0) {
			if (r->strict)
				wrong(r, "other octets were sent", want + at, have);
			r->over = true;
			break;
		}
		part = part_size(r->out, have, got);
		ph_smtp_sent(r->s, part, r->now);
	}
	drain(r);
	free(want);
	free(have);
}

static void
do_peer(struct run *r, const struct step *t)
{
	size_t n = step_len(t), part;
	const char *octets = peer_octets(t);

	drain(r);
	if (r->strict && t->kind == STEP_PEER && has_unsent(r)) {
		char have[512];

		have[pull_octets(r, have, sizeof have - 1)] = '\0';
		wrong(r, "octets were sent that nobody expects", "", have);
	}
	for (size_t at = 0; at < n && !r->closed; at += part) {
		char block[4096], *copy = block;

		part = part_size(r->in, octets + at, n - at);
		if (part <= sizeof block)
			memcpy(block, octets + at, part);
		else
			copy = (char *)octets + at;
		ph_smtp_feed(r->s, copy, part, r->now);
		/* what the session remembers of it must be a copy */
		memset(block, '#', sizeof block);
		drain(r);
	}
}

/* ---- steps ----------------------------------------------------------------------------------- */

static void
check_code(struct run *r, enum ph_code rc)
{
	if (r->strict && rc != PH_OK)
		wrong(r, "a call failed", "ok", ph_code_name(rc));
	r->over |= rc != PH_OK;
}

static void
do_submit(struct run *r, size_t i)
{
	const struct message *m = &r->d->messages[i];
	struct fate *f = &r->fates[i];
	struct ph_source_facts facts = PH_SOURCE_FACTS_INIT;
	enum ph_code rc;

	if (f->txn == NULL) {
		struct ph_envelope e = m->asks;

		e.size = sizeof e;
		e.from = m->from != NULL ? m->from : "a@x.test";
		e.recipients = m->to;
		e.line_ends = m->ends;
		e.no_dup = m->no_dup;
		e.mail_parameters = m->mail_parameters;
		e.rcpt_parameters = m->rcpt_parameters;
		while (e.recipient_count < 8 && m->to[e.recipient_count] != NULL)
			e.recipient_count++;
		rc = ph_txn_new(&f->txn, &e, &r->fm.mem, NULL);
		check_code(r, rc);
		if (rc != PH_OK)
			return;
	}
	find_facts(m, &facts);
	memset(f->told, 0, sizeof f->told);
	f->given = 0;
	rc = ph_smtp_submit(r->s, f->txn, m->unknown ? NULL : &facts);
	check_code(r, rc);
	f->submitted += rc == PH_OK;
}

static void
do_submit_body(struct run *r, size_t i)
{
	struct fate *f = &r->fates[i];
	enum ph_code rc = ph__txn_new_bare(&f->txn, &r->fm.mem);

	check_code(r, rc);
	if (rc != PH_OK)
		return;
	rc = ph_smtp_submit_body(r->s, f->txn, r->d->messages[i].ends);
	check_code(r, rc);
	f->submitted += rc == PH_OK;
}

static void
do_auth(struct run *r, const struct step *t)
{
	char *initial = t->text != NULL ? step_octets(t) : NULL;

	check_code(r, ph_smtp_auth(r->s, t->more, initial, step_len(t), NULL));
	free(initial);
}

static void
do_expires(struct run *r, uint64_t ms)
{
	char have[32], want[32];
	uint64_t at;

	ph_smtp_tick(r->s, r->now);
	at = ph_smtp_deadline(r->s);
	snprintf(want, sizeof want, "in %llu ms", (unsigned long long)ms);
	snprintf(have, sizeof have, "in %lld ms", at == UINT64_MAX ? -1 : (long long)(at - r->now));
	if (r->strict && at != r->now + ms)
		wrong(r, "another deadline", want, have);
	ph_smtp_tick(r->s, r->now + ms - 1);
	drain(r);
	if (r->strict && r->closed)
		wrong(r, "expired too soon", "", "");
	r->now += ms;
	ph_smtp_tick(r->s, r->now);
}

static void
do_wait(struct run *r, uint64_t ms)
{
	ph_smtp_tick(r->s, r->now);
	r->now += ms;
	ph_smtp_tick(r->s, r->now);
}

static void
do_lost(struct run *r, const struct ph_error *cause)
{
	ph_smtp_feed_eof(r->s, cause, r->now);
}

static void end_session(struct run *r);
static void begin_session(struct run *r);

static void
do_step(struct run *r, const struct step *t)
{
	struct ph_error reset = PH_ERROR_INIT;
	const char *keyword;

	reset.code = PH_EDEFERRED;
	reset.stage = PH_STAGE_BODY;
	reset.cause = PH_CAUSE_SYSTEM;
	switch (t->kind) {
	case STEP_PEER:
	case STEP_EARLY:         do_peer(r, t); break;
	case STEP_SENT:          do_sent(r, t); break;
	case STEP_SUBMIT:        do_submit(r, t->n); break;
	case STEP_SUBMIT_BODY:   do_submit_body(r, t->n); break;
	case STEP_COMMAND:       check_code(r, ph_smtp_command(r->s, t->text, t->more, NULL)); break;
	case STEP_RAW:           check_code(r, ph_smtp_raw(r->s, t->text, t->len)); break;
	case STEP_EXPECT:        check_code(r, ph_smtp_expect(r->s)); break;
	case STEP_AUTH:          do_auth(r, t); break;
	case STEP_RESPOND:       check_code(r, ph_smtp_auth_respond(r->s, t->text, t->len, NULL)); break;
	case STEP_AUTH_CANCEL:   check_code(r, ph_smtp_auth_cancel(r->s)); break;
	case STEP_TLS_DONE:      ph_smtp_tls_done(r->s, true, r->now); break;
	case STEP_TLS_UNVERIFIED: ph_smtp_tls_done(r->s, false, r->now); break;
	case STEP_EOF:           do_lost(r, NULL); break;
	case STEP_LOST:          do_lost(r, &reset); break;
	case STEP_CANCEL:        ph_smtp_cancel(r->s, NULL); break;
	case STEP_WAIT:          do_wait(r, t->n); break;
	case STEP_EXPIRES:       do_expires(r, t->n); break;
	case STEP_NEVER_EXPIRES: check_code(r, ph_smtp_deadline(r->s) == UINT64_MAX ? PH_OK : PH_EUSAGE); break;
	case STEP_NEW_SESSION:   end_session(r); begin_session(r); break;
	case STEP_REFUSES:
		if (r->fates[t->n].txn != NULL)
			assert_int_equal(ph_smtp_submit(r->s, r->fates[t->n].txn, NULL), PH_EUSAGE);
		assert_false(ph_smtp_is_ready(r->s));
		break;
	case STEP_OFFERS_NOTHING:
		check_code(r, ph_smtp_extension(r->s, 0, &keyword, &keyword) ? PH_EUSAGE : PH_OK);
		break;
	case STEP_NOTHING:
	case STEP_END:           break;
	}
	if (r->s != NULL)
		drain(r);
}

/* ---- runs ------------------------------------------------------------------------------------ */

static void
begin_session(struct run *r)
{
	struct ph_smtp_opts opts = r->d->opts;
	char hello[1024];
	enum ph_code rc;

	opts.size = sizeof opts;
	opts.memory = &r->fm.mem;
	opts.trace = true;
	r->closed = r->over = false;
	rc = ph_smtp_new(&r->s, &opts, r->now);
	check_code(r, rc);
	if (rc != PH_OK) {
		r->s = NULL;
		return;
	}
	if (r->d->hello == NULL)
		return;
	r->opening = true;
	do_step(r, &(struct step)peer("220 mx.test\r\n"));
	do_step(r, &(struct step)command(opts.lmtp ? "LHLO" : r->d->helo ? "HELO" : "EHLO", "me.test"));
	snprintf(hello, sizeof hello, "%s me.test\r\n", opts.lmtp ? "LHLO" : r->d->helo ? "HELO" : "EHLO");
	do_step(r, &(struct step){ STEP_SENT, hello, NULL, strlen(hello), 0, 0 });
	do_step(r, &(struct step){ STEP_PEER, r->d->hello, NULL, strlen(r->d->hello), 0, 0 });
	while (r->s != NULL && ph_smtp_next_trace(r->s, &(struct ph_smtp_trace)PH_SMTP_TRACE_INIT))
		;
	r->opening = false;
}

/* The session gives back what it still has. Its opening's events are nobody's. */
static void
end_session(struct run *r)
{
	if (r->s == NULL)
		return;
	keep_trace(r);
	if (r->strict && !r->d->may_leave && has_unsent(r)) {
		char have[512];

		have[pull_octets(r, have, sizeof have - 1)] = '\0';
		wrong(r, "octets are left unsent", "", have);
	}
	if (!r->strict && !r->closed) {
		r->opening = false;
		ph_smtp_cancel(r->s, NULL);
		drain(r);
		assert_true(r->closed);
	}
	ph_smtp_free(r->s);
	r->s = NULL;
}

/* usual NULL: the octets and events have been compared, they need not be compared with others. */
static void
check_fates(const struct run *r, const struct fate *usual)
{
	for (size_t i = 0; i < MESSAGES; i++) {
		const struct fate *f = &r->fates[i];

		assert_int_equal(f->came_back, f->submitted);
		for (size_t k = 0; usual != NULL && k < 8; k++) {
			enum ph_outcome o = f->outcome[k];

			if ((o == PH_ACCEPTED || o == PH_REFUSED) && o != usual[i].outcome[k])
				wrong(r, "lack of memory changed an outcome",
				      ph_outcome_name(usual[i].outcome[k]), ph_outcome_name(o));
		}
	}
}

static void
run_once(struct run *r)
{
	r->now = 1000000;
	begin_session(r);
	for (r->step = 0; r->s != NULL && !r->over && r->step < STEPS; r->step++) {
		if (r->d->steps[r->step].kind == STEP_END)
			break;
		do_step(r, &r->d->steps[r->step]);
	}
	end_session(r);
	for (size_t i = 0; i < MESSAGES; i++)
		ph_txn_free(r->fates[i].txn);
	free(r->held);
	assert_int_equal(r->fm.live, 0);
}

static void
run_strictly(const struct dialog *d, enum cut in, enum cut out, struct fate *usual)
{
	static struct run run;
	struct run *r = &run;

	memset(r, 0, sizeof *r);
	r->d = d;
	r->in = in;
	r->out = out;
	r->strict = true;
	failing_memory_try(&r->fm, 1);
	r->fm.fail_at = SIZE_MAX;
	run_once(r);
	if (strcmp(r->told, d->told) != 0)
		wrong(r, "other things were told", d->told, "(see below)");
	if (d->trace != NULL && in == WHOLE && out == WHOLE && strcmp(r->trace, d->trace) != 0)
		wrong(r, "another transcript", d->trace, r->trace);
	check_fates(r, NULL);
	memcpy(usual, r->fates, sizeof r->fates);
}

/* The memory's fate lives inside the run, which is therefore made anew in place. */
static void
run_failing(const struct dialog *d, enum cut cut, const struct fate *usual)
{
	static struct run run;
	struct run *r = &run;

	memset(r, 0, sizeof *r);
	for (size_t n = 1; failing_memory_try(&r->fm, n); n++) {
		struct failing_memory fm = r->fm;

		memset(r, 0, sizeof *r);
		r->fm = fm;
		r->d = d;
		r->in = r->out = cut;
		run_once(r);
		check_fates(r, usual);
	}
}

void
replay(const struct dialog *d)
{
	struct fate usual[MESSAGES];

	if (d->once) {
		run_strictly(d, LINES, WHOLE, usual);
		run_strictly(d, WHOLE, WHOLE, usual);
		return;
	}
	for (int in = 0; in < (d->whole ? 1 : CUTS); in++)
		for (int out = 0; out < CUTS; out++)
			run_strictly(d, (enum cut)in, (enum cut)out, usual);
	run_failing(d, WHOLE, usual);
	if (!d->whole)
		run_failing(d, LINES, usual);
}
