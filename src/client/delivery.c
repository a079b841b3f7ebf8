/* SPDX-License-Identifier: MIT */
/* Whole deliveries: from submit() to the record.
 *
 * Messages wait in a list, are handed to the session as it can take them, and are told in the order
 * of submission. What a session gives back undecided is tried again, alone, on a fresh connection,
 * a few times at most; so is, once, a message that met a connection which the server had closed while
 * it was idle, provided nothing of it can have been delivered.
 *
 * What the server's limits ask for is no such try: a message goes out in rounds when it has more
 * recipients than the server takes at a time, and a connection that has carried as much as one may is
 * left for a fresh one. */
#include "client/direct.h"

#include <assert.h>
#include <string.h>
#include <time.h>

#include "base/bounds.h"
#include "base/clock.h"
#include "mail/address.h"
#include "mail/source.h"
#include "smtp/session.h"

#define TRIES_MAX 3

/* ---- envelopes ------------------------------------------------------------------------------- */

static bool
is_ascii(const struct ph_envelope *e)
{
	if (e->from != NULL && !ph__str_is_ascii(ph__str(e->from)))
		return false;
	for (size_t i = 0; i < e->recipient_count; i++)
		if (!ph__str_is_ascii(ph__str(e->recipients[i])))
			return false;
	return true;
}

static enum ph_code
to_ascii(struct ph_client *c, struct ph__arena *arena, const char *from, const char **ret,
         struct ph_error *err)
{
	struct ph__buf b;
	enum ph_code rc;

	ph__buf_init(&b, &c->mem, PH__PATH_LINE_MAX);
	rc = ph__address_to_ascii(&b, ph__str(from), err);
	if (rc == PH_OK && (*ret = ph__arena_strndup(arena, ph__buf_cstr(&b), b.len)) == NULL)
		rc = ph__fail_nomem(err, PH_STAGE_PREPARE);
	ph__buf_done(&b);
	return rc;
}

/* Domains beyond ASCII become A-labels where that suffices, so that SMTPUTF8 is not needed. */
static enum ph_code
envelope_to_ascii(struct ph_client *c, struct ph__arena *arena, struct ph_envelope *e,
                  struct ph_error *err)
{
	const char **list = ph__arena_alloc(arena, (e->recipient_count + 1) * sizeof *list);
	enum ph_code rc = PH_OK;

	if (list == NULL)
		return ph__fail_nomem(err, PH_STAGE_PREPARE);
	if (e->from != NULL && *e->from != '\0')
		rc = to_ascii(c, arena, e->from, &e->from, err);
	for (size_t i = 0; i < e->recipient_count && rc == PH_OK; i++)
		rc = to_ascii(c, arena, e->recipients[i], &list[i], err);
	e->recipients = list;
	return rc;
}

static enum ph_code
make_txn(struct ph_client *c, struct ph__delivery *d, const struct ph_envelope *e,
         struct ph_error *err)
{
	if (d->txn != NULL)
		return ph_txn_reuse(d->txn, e, err);
	return ph_txn_new(&d->txn, e, &c->mem, err);
}

static enum ph_code
take_envelope(struct ph_client *c, struct ph__delivery *d, const struct ph_envelope *envelope,
              struct ph_error *err)
{
	struct ph_envelope e = { PH_ENVELOPE_INIT };
	struct ph__arena arena;
	enum ph_code rc;

	if (envelope == NULL)
		return ph__fail(err, PH_EUSAGE, PH_STAGE_PREPARE, PH_CAUSE_ARGUMENT, "no envelope");
	memcpy(&e, envelope, envelope->size < sizeof e ? envelope->size : sizeof e);
	e.size = sizeof e;
	d->no_dup = e.no_dup;
	ph__arena_init(&arena, &c->mem);
	rc = is_ascii(&e) ? PH_OK : envelope_to_ascii(c, &arena, &e, err);
	if (rc == PH_OK)
		rc = make_txn(c, d, &e, err);
	if (rc == PH_OK && c->direct != NULL)
		rc = ph__direct_take(c, d, &e, err);
	ph__arena_done(&arena);
	return rc;
}

/* ---- submitting ------------------------------------------------------------------------------ */

static struct ph__delivery *
new_delivery(struct ph_client *c)
{
	struct ph__delivery *d = c->spare, kept;

	if (d == NULL)
		return ph__alloc0(&c->mem, sizeof *d);
	c->spare = d->next;
	kept = *d;
	*d = (struct ph__delivery){ .txn = kept.txn, .sessions = kept.sessions,
	                            .session_cap = kept.session_cap };
	return d;
}

static void
put_aside(struct ph_client *c, struct ph__delivery *d)
{
	for (size_t i = 0; i < d->session_count; i++)
		ph__session_unref(&d->sessions[i]);
	d->session_count = 0;
	ph__mail_free(c, &d->mail);
	d->next = c->spare;
	c->spare = d;
}

enum ph_code
ph_client_submit(struct ph_client *c, const struct ph_envelope *envelope, struct ph_source *source,
                 void *user, struct ph_error *err)
{
	struct ph__delivery *d;
	enum ph_code rc;

	if (source == NULL)
		return ph__fail(err, PH_EUSAGE, PH_STAGE_PREPARE, PH_CAUSE_ARGUMENT, "no message");
	if ((d = new_delivery(c)) == NULL)
		return ph__fail_nomem(err, PH_STAGE_PREPARE);
	if ((rc = take_envelope(c, d, envelope, err)) != PH_OK) {
		ph_txn_free(d->txn);
		d->txn = NULL;
		put_aside(c, d);
		return rc;
	}
	ph_txn_set_user(d->txn, &d->job);
	d->job.source = source;
	d->user = user;
	if (c->first == NULL)
		c->first = d;
	else
		c->last->next = d;
	c->last = d;
	if (c->waiting == NULL)
		c->waiting = d;
	c->pending++;
	return PH_OK;
}

size_t
ph_client_pending(const struct ph_client *c)
{
	return c->pending;
}

/* ---- outcomes -------------------------------------------------------------------------------- */

/* What became of a delivery that no session could decide; if a reply did (to the greeting, to EHLO,
 * to AUTH), it is the one that was kept. */
void
ph__delivery_fail(struct ph_client *c, struct ph__delivery *d, const struct ph_error *why)
{
	bool never = (why->code == PH_EINPUT && why->stage != PH_STAGE_AUTH) ||
	             why->code == PH_ENOHOST || why->code == PH_EREFUSED;
	bool by_reply = why->reply != 0 && why->reply == c->reply.code;
	struct ph_reply kept = { 0 };

	if (d->txn->error.code == PH_OK)
		ph__error_copy(&d->txn->error, why);
	if (by_reply)
		kept = ph__txn_keep(d->txn, &c->reply);
	ph__txn_decide_all(d->txn, never ? PH_REFUSED : PH_DEFERRED, why->code, why->stage, why->cause,
	                   by_reply ? &kept : NULL);
	d->state = PH__FINISHED;
}

unsigned
ph__delivery_add_session(struct ph_client *c, struct ph__delivery *d, struct ph__session *s)
{
	for (size_t i = d->session_count; i-- > 0; )
		if (d->sessions[i] == s)
			return (unsigned)i;
	if (s->before != NULL)
		ph__delivery_add_session(c, d, s->before);
	if (d->session_count == d->session_cap) {
		size_t cap = d->session_cap != 0 ? 2 * d->session_cap : 4;
		struct ph__session **p = ph__realloc(&c->mem, d->sessions, cap * sizeof *p);

		if (p == NULL)
			return PH__NO_SESSION; /* the record lacks one, the delivery goes on */
		d->sessions = p;
		d->session_cap = cap;
	}
	d->sessions[d->session_count] = ph__session_ref(s);
	return (unsigned)d->session_count++;
}

static void
note_session(struct ph_client *c, struct ph__delivery *d)
{
	if (c->session != NULL)
		d->txn->session = ph__delivery_add_session(c, d, c->session);
}

static void
find_waiting(struct ph_client *c)
{
	c->waiting = c->first;
	while (c->waiting != NULL && c->waiting->state != PH__WAITING)
		c->waiting = c->waiting->next;
}

/* Back to the start for another try; false when the message cannot be read again. */
static bool
rewind_message(struct ph__delivery *d)
{
	d->job.at = 0;
	return ph__source_begin(d->job.source, NULL) == PH_OK;
}

static bool
is_spent(const struct ph_client *c)
{
	return c->drive != NULL && c->opened && ph__session_is_spent(c->drive->smtp);
}

/* A connection that was lent takes no more, and cannot be replaced. */
static void
lent_is_over(const struct ph_client *c, struct ph_error *err)
{
	if (is_spent(c))
		ph__fail(err, PH_EDEFERRED, PH_STAGE_MAIL, PH_CAUSE_LIMIT,
		         "the connection has carried as much as the server takes on one (RFC 9422); it was "
		         "lent, and only its owner can make another");
	else
		ph__fail(err, PH_EDEFERRED, PH_STAGE_MAIL, PH_CAUSE_LOST,
		         "the connection that was lent is lost before all recipients were served; only its "
		         "owner can make another");
	ph__hint(err, "send the rest over a fresh connection");
}

/* The session has done what it could, and recipients are left for another transaction. Nothing went
 * wrong, so it does not count as a try; each such transaction decides about some recipients. */
static void
go_on(struct ph_client *c, struct ph__delivery *d)
{
	struct ph_error why = PH_ERROR_INIT;

	if (c->attached && (c->drive == NULL || !ph_smtp_is_ready(c->drive->smtp))) {
		lent_is_over(c, &why);
	} else if (rewind_message(d)) {
		d->state = PH__WAITING;
		return;
	} else {
		ph__fail(&why, PH_EDEFERRED, PH_STAGE_RCPT, PH_CAUSE_LIMIT,
		         "the server does not take all the recipients at a time, and the message cannot be "
		         "read once more for the others");
		ph__hint(&why, "keep it in a file, or send it to fewer recipients at a time");
	}
	ph__delivery_fail(c, d, &why);
}

static void
try_again(struct ph_client *c, struct ph__delivery *d)
{
	struct ph_error why = PH_ERROR_INIT;

	if (d->txn->mail_sent) {
		d->alone = true;
		d->tries++;
	}
	if (d->tries >= TRIES_MAX || c->attached || !rewind_message(d)) {
		ph__fail(&why, PH_EDEFERRED, PH_STAGE_MAIL, PH_CAUSE_AFTER_SURPRISE,
		         "the connection went wrong before the server had decided about this message");
		ph__delivery_fail(c, d, &why);
		return;
	}
	d->state = PH__WAITING;
}

/* The server had closed the connection before it saw this message: it counts for nothing. */
static bool
met_a_dead_connection(const struct ph_client *c, const struct ph__delivery *d)
{
	const struct ph_txn *t = d->txn;

	if (!c->used || c->attached || d->replaced || t->mail != PH__ANSWER_NONE)
		return false;
	for (size_t i = t->settled; i < t->round_end; i++) {
		const struct ph_recipient_outcome *r = &t->rcpts[i].out;

		if (r->outcome != PH_PENDING && t->rcpts[i].round == t->round &&
		    (r->outcome != PH_DEFERRED || r->reply.code != 0 || r->cause != PH_CAUSE_LOST))
			return false;
	}
	return true;
}

/* Only what the last round had decided. */
static void
undecide(struct ph_txn *t)
{
	if (t->error.code != PH_EINDOUBT)
		t->error.code = PH_OK;
	for (size_t i = t->settled; i < t->round_end; i++)
		if (t->rcpts[i].round == t->round)
			t->rcpts[i].out.outcome = PH_PENDING;
}

void
ph__client_on_txn_done(struct ph_client *c, const struct ph_smtp_event *ev)
{
	struct ph__delivery *d = ph_txn_user(ev->txn);

	if (ev->txn == c->bare) /* a body sent by hand: its reply was told */
		return;
	assert(d->state == PH__ACTIVE);
	c->active--;
	if (d->alone)
		c->alone_active = false;
	d->round_trips += ph_smtp_round_trips(c->drive->smtp) - d->round_trips_before;
	c->session->body_us = ph__now_us() - d->began_us;
	d->state = PH__FINISHED;
	if (ev->again && !(is_spent(c) && !d->txn->mail_sent)) {
		try_again(c, d);
	} else if (ev->again) { /* the limits of this connection were reached before it */
		go_on(c, d);
	} else if (met_a_dead_connection(c, d) && rewind_message(d)) {
		d->replaced = true;
		undecide(d->txn);
		d->state = PH__WAITING;
	} else if (ev->more) {
		go_on(c, d);
	}
	if (d->state == PH__WAITING)
		find_waiting(c);
	c->used |= d->state == PH__FINISHED || ev->more;
}

/* What was under way has the outcome that the end of its session made of it; what had not been
 * begun has none, and may go out on the next. */
void
ph__client_reclaim(struct ph_client *c)
{
	for (struct ph__delivery *d = c->first; d != NULL; d = d->next) {
		if (d->state != PH__ACTIVE)
			continue;
		d->state = PH__FINISHED;
		if (!ph__txn_is_decided(d->txn))
			(d->txn->again ? try_again : go_on)(c, d);
	}
	find_waiting(c);
}

static void
on_event(struct ph_client *c, const struct ph_smtp_event *ev)
{
	if (ev->type == PH_EV_TXN_DONE)
		ph__client_on_txn_done(c, ev);
	else if (ev->type == PH_EV_CLOSED)
		ph__client_drop(c, ev->error);
}

/* ---- handing over ---------------------------------------------------------------------------- */

enum ph_code
ph__delivery_examine(struct ph_client *c, struct ph__delivery *d, struct ph_error *err)
{
	const struct timespec a_while = { 0, 20000000 };
	enum ph_code rc = PH_OK;

	if (ph__source_facts(d->job.source) == NULL)
		while ((rc = ph_source_examine(d->job.source, NULL, err)) == PH_EDEFERRED) {
			/* a callback or pipe that has nothing yet */
			nanosleep(&a_while, NULL);
			if (ph__client_is_cancelled(c, true))
				return ph__client_cancelled(c, PH_STAGE_PREPARE, err);
		}
	return rc;
}

/* True when it is with the session, or finished; false when the session takes no more now. */
static bool
hand_over_one(struct ph_client *c, struct ph__delivery *d)
{
	struct ph_error why = PH_ERROR_INIT;

	if (ph__delivery_examine(c, d, &why) != PH_OK || ph__source_begin(d->job.source, &why) != PH_OK) {
		ph__delivery_fail(c, d, &why);
		return true;
	}
	note_session(c, d);
	d->began_us = ph__now_us();
	d->round_trips_before = c->used ? ph_smtp_round_trips(c->drive->smtp) : 0;
	if (ph_smtp_submit(c->drive->smtp, d->txn, ph__source_facts(d->job.source)) != PH_OK)
		return false;
	d->state = PH__ACTIVE;
	c->active++;
	c->alone_active = d->alone;
	return true;
}

static void
hand_over(struct ph_client *c)
{
	while (c->waiting != NULL && !c->alone_active && ph_smtp_is_ready(c->drive->smtp)) {
		struct ph__delivery *d = c->waiting;

		if (d->alone && c->active != 0)
			return;
		if (!hand_over_one(c, d))
			return;
		do
			c->waiting = c->waiting->next;
		while (c->waiting != NULL && c->waiting->state != PH__WAITING);
	}
}

/* A connection that was idle may be dead: better to hear of it before MAIL than after. */
static void
look_before_use(struct ph_client *c)
{
	struct ph_smtp_event ev = PH_SMTP_EVENT_INIT;

	if (!c->used || c->active != 0 || !ph_smtp_is_idle(c->drive->smtp))
		return;
	ph__drive_look(c->drive);
	while (c->drive != NULL && ph_smtp_next_event(c->drive->smtp, &ev))
		on_event(c, &ev);
}

/* The connection takes no more messages: because it has ended, or after a surprise, or by the
 * server's limits. One that was lent is left to its owner then. */
static void
clear_away(struct ph_client *c)
{
	struct ph_smtp_event ev = PH_SMTP_EVENT_INIT;
	struct ph_error why = PH_ERROR_INIT;

	while (c->drive != NULL && ph_smtp_next_event(c->drive->smtp, &ev))
		on_event(c, &ev);
	if (c->drive == NULL || (c->attached && is_spent(c)))
		return;
	if (is_spent(c)) {
		ph__client_retire(c);
		return;
	}
	ph__fail(&why, PH_EDEFERRED, PH_STAGE_BODY, PH_CAUSE_AFTER_SURPRISE,
	         "the connection was given up because a message on it was refused half-way");
	ph__client_drop(c, &why);
}

static bool
is_usable(const struct ph_client *c)
{
	return c->drive != NULL && c->opened && !c->awaits_message &&
	       (ph_smtp_is_ready(c->drive->smtp) || c->active != 0);
}

/* Sees to an open connection. False: there is none to be had, and d has failed by it. */
static bool
ensure_open(struct ph_client *c, struct ph__delivery *d)
{
	struct ph_error why = PH_ERROR_INIT;

	if (is_usable(c))
		look_before_use(c);
	if (is_usable(c))
		return true;
	if (c->drive != NULL && c->opened)
		clear_away(c);
	if (is_spent(c))
		lent_is_over(c, &why);
	else if (ph__client_open(c, &why) == PH_OK)
		return true;
	note_session(c, d);
	ph__delivery_fail(c, d, &why);
	if (c->waiting == d)
		find_waiting(c);
	return false;
}

static void
run(struct ph_client *c, struct ph__delivery *d)
{
	if (c->direct != NULL)
		ph__direct_run(c, d);
	while (d->state != PH__FINISHED) {
		struct ph_smtp_event ev = PH_SMTP_EVENT_INIT;

		if (!ensure_open(c, d))
			return;
		hand_over(c);
		if (d->state == PH__FINISHED)
			return;
		if (ph__drive_step(c->drive, &ev) == PH__DRIVE_EVENT)
			on_event(c, &ev);
		else
			ph__drive_wait(c->drive, UINT64_MAX);
	}
}

/* ---- telling --------------------------------------------------------------------------------- */

static void
make_record(struct ph_client *c, struct ph__delivery *d)
{
	struct ph_record *r = &c->record;

	r->mem = &c->mem;
	r->txn = d->txn;
	r->session_count = d->session_count;
	r->sessions = d->sessions;
	r->errors = d->mail != NULL ? d->mail->errors : NULL;
	r->round_trips = d->round_trips;
	r->no_dup = d->no_dup;
	if (c->session != NULL)
		c->session->ended_us = ph__now_us();
}

enum ph_code
ph_client_next(struct ph_client *c, const struct ph_record **ret, void **user, struct ph_error *err)
{
	struct ph__delivery *d = c->first;

	if (c->given != NULL)
		put_aside(c, c->given);
	c->given = NULL;
	if (d == NULL)
		return ph__fail(err, PH_EUSAGE, PH_STAGE_PREPARE, PH_CAUSE_STATE, "nothing was submitted");
	run(c, d);
	c->first = d->next;
	c->pending--;
	if (c->waiting == d)
		find_waiting(c);
	c->given = d;
	make_record(c, d);
	if (ph__record_judge(&c->record) != PH_OK)
		return ph__fail_nomem(err, PH_STAGE_BODY);
	if (ret != NULL)
		*ret = &c->record;
	if (user != NULL)
		*user = d->user;
	if (c->record.code != PH_OK)
		ph__error_copy(err, &c->record.error);
	return c->record.code;
}

enum ph_code
ph__client_uncollected(struct ph_error *err)
{
	return ph__fail(err, PH_EUSAGE, PH_STAGE_PREPARE, PH_CAUSE_STATE,
	                "messages submitted before this one have not been collected");
}

enum ph_code
ph_client_sendmail(struct ph_client *c, const struct ph_envelope *envelope,
                   struct ph_source *source, const struct ph_record **ret, struct ph_error *err)
{
	enum ph_code rc;

	if (c->pending != 0)
		return ph__client_uncollected(err);
	if ((rc = ph_client_submit(c, envelope, source, NULL, err)) != PH_OK)
		return rc;
	return ph_client_next(c, ret, NULL, err);
}
