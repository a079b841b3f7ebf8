/* SPDX-License-Identifier: MIT */
/* The driver. See drive.h.
 *
 * Reading goes on while writing is blocked, so two peers that both wait for the other to read cannot
 * lock each other up (RFC 2920 §3.1); and after every large write, so that a refusal half-way through
 * a message is heard. When writing fails, the reason may lie unread in the socket: a server says 554
 * or 421 and closes. It is read first. */
#include "drive/drive.h"

#include <assert.h>
#include <string.h>

#include "base/bounds.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"
#include "mail/source.h"

#define READ_MAX   (64 * 1024)
#define PIECES_MAX 128
#define LARGE      (64 * 1024)
#define CANCEL_MS  500 /* a signal may come between looking for it and waiting */
#define SOURCE_MS  20 /* how long to leave a source alone that has nothing now */

enum ph_code
ph__drive_new(struct ph__drive **ret, const struct ph_smtp_opts *opts,
              const struct ph_transport *io, const struct ph_allocator *mem)
{
	struct ph__drive *d = ph__alloc0(mem, sizeof *d);

	if (d == NULL)
		return PH_ESYSTEM;
	d->mem = mem;
	d->io = io;
	d->facts.size = sizeof d->facts;
	d->in = ph__alloc(mem, READ_MAX);
	if (d->in == NULL || ph_smtp_new(&d->smtp, opts, ph__now_ms()) != PH_OK) {
		ph__drive_free(&d);
		return PH_ESYSTEM;
	}
	*ret = d;
	return PH_OK;
}

void
ph__drive_free(struct ph__drive **d)
{
	struct ph__drive *x = *d;

	if (x == NULL)
		return;
	ph_smtp_free(x->smtp);
	ph__free(x->mem, x->in);
	ph__free(x->mem, x->chunk);
	ph__free(x->mem, x);
	*d = NULL;
}

static void
drain_trace(struct ph__drive *d)
{
	struct ph_smtp_trace t = PH_SMTP_TRACE_INIT;

	if (d->trace == NULL)
		return;
	while (ph_smtp_next_trace(d->smtp, &t))
		d->trace(d->trace_user, &t);
}

/* ---- reading --------------------------------------------------------------------------------- */

static enum ph_io
read_some(struct ph__drive *d)
{
	struct ph_error err = PH_ERROR_INIT;
	size_t n = 0;
	enum ph_io io = d->io->read(d->io->user, d->in, READ_MAX, &n, &err);

	if (io == PH_IO_OK && (n == 0 || n > READ_MAX)) { /* a lent one that breaks its contract */
		ph__fail(&err, PH_EUSAGE, PH_STAGE_CONNECT, PH_CAUSE_STATE,
		         "the transport says that it has read %zu octets", n);
		io = PH_IO_ERROR;
	}
	if (io == PH_IO_OK) {
		(void)ph_smtp_feed(d->smtp, d->in, n, ph__now_ms());
	} else if (io != PH_IO_AGAIN) {
		d->deaf = true;
		ph_smtp_feed_eof(d->smtp, d->write_failed ? &d->write_error
		                          : io == PH_IO_ERROR ? &err : NULL, ph__now_ms());
	}
	return io;
}

/* Reads what there is and gives it to the session. */
static void
hear(struct ph__drive *d)
{
	if (!d->deaf && !d->handshaking)
		(void)read_some(d);
}

/* ---- bodies ---------------------------------------------------------------------------------- */

static void
give_memory(struct ph__drive *d, const struct ph_smtp_event *ev, struct ph__job *job)
{
	const void *p;
	size_t all, n;

	ph__source_memory(job->source, &p, &all);
	n = all - (size_t)job->at < ev->max ? all - (size_t)job->at : ev->max;
	job->at += n;
	(void)ph_smtp_body(d->smtp, ev->txn, (const char *)p + job->at - n, n, job->at == all, NULL);
}

static void
give_read(struct ph__drive *d, const struct ph_smtp_event *ev, struct ph__job *job)
{
	struct ph_error err = PH_ERROR_INIT;
	uint64_t began = ph__now_ms();
	const void *p = NULL;
	size_t n = 0;
	enum ph_io io;

	if (d->chunk == NULL && (d->chunk = ph__alloc(d->mem, PH__READ_CHUNK)) == NULL) {
		ph__fail_nomem(&err, PH_STAGE_BODY);
		ph_smtp_body_failed(d->smtp, ev->txn, &err);
		return;
	}
	io = ph__source_read(job->source, d->chunk, ev->max < PH__READ_CHUNK ? ev->max : PH__READ_CHUNK,
	                     &p, &n, &err);
	if (ph__now_ms() - began >= SOURCE_MS)
		hear(d); /* it blocked: what the server said meanwhile counts before the clock */
	switch (io) {
	case PH_IO_OK:
		(void)ph_smtp_body(d->smtp, ev->txn, p, n, ph__source_is_spent(job->source), NULL);
		break;
	case PH_IO_EOF:
		(void)ph_smtp_body(d->smtp, ev->txn, "", 0, true, NULL);
		break;
	case PH_IO_AGAIN:
		d->source_waits = true;
		break;
	case PH_IO_ERROR:
		err.stage = PH_STAGE_BODY; /* the source does not know it */
		ph_smtp_body_failed(d->smtp, ev->txn, &err);
		break;
	}
}

static void
give_body(struct ph__drive *d, const struct ph_smtp_event *ev)
{
	struct ph__job *job = ph_txn_user(ev->txn);

	if (ph__source_is_memory(job->source))
		give_memory(d, ev, job);
	else
		give_read(d, ev, job);
}

/* ---- TLS ------------------------------------------------------------------------------------- */

bool
ph__drive_can_tls(const struct ph__drive *d)
{
	return (d->tls_io != NULL ? d->tls_io : d->io)->start_tls != NULL;
}

static void
begin_handshake(struct ph__drive *d)
{
	d->handshaking = true;
	d->tls_began_us = ph__now_us();
	if (d->tls_io != NULL)
		d->io = d->tls_io;
	d->tls_io = NULL;
}

/* True when the handshake is over, one way or the other. */
static bool
shake_hands(struct ph__drive *d)
{
	struct ph_error err = PH_ERROR_INIT;
	enum ph_io io = PH_IO_ERROR;
	uint64_t now;

	if (d->io->start_tls != NULL)
		io = d->io->start_tls(d->io->user, &d->facts, &err);
	else
		ph__fail(&err, PH_ESECURITY, PH_STAGE_TLS, PH_CAUSE_NOT_OFFERED,
		         "TLS is wanted, and the transport in use cannot do it");
	switch (io) {
	case PH_IO_AGAIN:
		ph_smtp_tick(d->smtp, ph__now_ms());
		return ph_smtp_is_closed(d->smtp);
	case PH_IO_OK:
		now = ph__now_us();
		d->tls_us = now - d->tls_began_us;
		d->handshaking = false;
		d->tls_up = true;
		ph_smtp_tls_done(d->smtp, d->facts.verified, now / 1000);
		return true;
	default:
		if (err.code == PH_OK) /* a lent transport need not say */
			ph__fail(&err, PH_EDEFERRED, PH_STAGE_TLS, PH_CAUSE_HANDSHAKE,
			         "the TLS handshake failed");
		d->handshaking = false;
		d->deaf = true;
		ph_smtp_feed_eof(d->smtp, &err, ph__now_ms());
		return true;
	}
}

/* ---- writing --------------------------------------------------------------------------------- */

/* Writes what the session has. True when something went, so that more may follow. */
static bool
flush(struct ph__drive *d)
{
	struct iovec iov[PIECES_MAX];
	size_t count = ph_smtp_pull(d->smtp, iov, PIECES_MAX), n = 0;
	enum ph_io io;

	d->blocked = false;
	if (count == 0 || d->write_failed || d->deaf)
		return false;
	d->write_error = (struct ph_error)PH_ERROR_INIT;
	io = d->io->write(d->io->user, iov, count, &n, &d->write_error);
	switch (io == PH_IO_OK && n == 0 ? PH_IO_AGAIN : io) {
	case PH_IO_OK:
		ph_smtp_sent(d->smtp, n, ph__now_ms());
		if (n >= LARGE)
			hear(d);
		return true;
	case PH_IO_AGAIN:
		ph_smtp_sent(d->smtp, 0, ph__now_ms());
		d->blocked = true;
		return false;
	default:
		d->write_failed = true;
		return false;
	}
}

bool
ph__drive_flush(struct ph__drive *d)
{
	while (flush(d))
		;
	drain_trace(d);
	return d->blocked; /* a failure is told by the next step, behind the server's last words */
}

/* Writing has failed: whatever the server has said before it closed is read, then the end is told. */
static void
hear_last_words(struct ph__drive *d)
{
	if (read_some(d) == PH_IO_AGAIN) {
		d->deaf = true;
		ph_smtp_feed_eof(d->smtp, &d->write_error, ph__now_ms());
	}
}

/* The caller wants no more: what that makes of the messages under way is the session's to say. */
static void
heed_cancelling(struct ph__drive *d, bool waiting)
{
	if (d->cancelled != NULL && d->cancelled(d->cancelled_user, waiting))
		ph_smtp_cancel(d->smtp, NULL);
}

enum ph__drive_state
ph__drive_step(struct ph__drive *d, struct ph_smtp_event *ev)
{
	d->source_waits = false;
	for (;;) {
		heed_cancelling(d, false);
		if (d->handshaking && !shake_hands(d))
			return PH__DRIVE_WAIT;
		if (d->tls_up && !d->tls_told) {
			d->tls_told = true;
			ev->type = PH_EV_WANT_TLS;
			return PH__DRIVE_EVENT;
		}
		while (ph_smtp_next_event(d->smtp, ev)) {
			drain_trace(d);
			if (ev->type == PH_EV_WANT_BODY) {
				give_body(d, ev);
				if (d->source_waits)
					break;
			} else if (ev->type == PH_EV_WANT_TLS && d->tls_lent) {
				d->tls_lent = false;
				d->tls_up = d->tls_told = true;
				ph_smtp_tls_done(d->smtp, d->facts.verified, ph__now_ms());
				return PH__DRIVE_EVENT;
			} else if (ev->type == PH_EV_WANT_TLS) {
				begin_handshake(d);
				break;
			} else {
				return PH__DRIVE_EVENT;
			}
		}
		drain_trace(d);
		if (d->handshaking)
			continue;
		if (flush(d))
			continue;
		if (d->write_failed && !d->deaf) {
			hear_last_words(d);
			continue;
		}
		return PH__DRIVE_WAIT;
	}
}

/* ---- waiting --------------------------------------------------------------------------------- */

static int
timeout_until(uint64_t deadline, uint64_t now)
{
	if (deadline == UINT64_MAX)
		return -1;
	if (deadline <= now)
		return 0;
	return deadline - now < 3600000 ? (int)(deadline - now) : 3600000;
}

/* The deadline is over and we have not looked since: we were held up ourselves. What has come meanwhile
 * counts before the clock. */
static bool
has_news_for_the_late(struct ph__drive *d, uint64_t now)
{
	return now >= ph_smtp_deadline(d->smtp) && ph__drive_look(d);
}

bool
ph__drive_wait(struct ph__drive *d, uint64_t limit_ms)
{
	struct ph_error err = PH_ERROR_INIT;
	uint64_t now = ph__now_ms(), deadline, limit, end;
	enum ph_io io;

	heed_cancelling(d, false);
	if (has_news_for_the_late(d, now))
		return true;
	ph_smtp_tick(d->smtp, now);
	if (ph_smtp_is_closed(d->smtp) || d->deaf)
		return true;
	deadline = ph_smtp_deadline(d->smtp);
	limit = end = limit_ms == UINT64_MAX ? UINT64_MAX : now + limit_ms;
	if (d->cancelled != NULL && now + CANCEL_MS < limit)
		limit = now + CANCEL_MS;
	if (d->source_waits && now + SOURCE_MS < limit)
		limit = now + SOURCE_MS;
	io = d->io->wait(d->io->user, d->blocked, timeout_until(deadline < limit ? deadline : limit, now),
	                 &err);
	if (io == PH_IO_OK) {
		hear(d);
		return true;
	}
	now = ph__now_ms();
	if (io == PH_IO_AGAIN) {
		heed_cancelling(d, true);
		ph_smtp_tick(d->smtp, now);
		return now < end;
	}
	d->deaf = true;
	ph_smtp_feed_eof(d->smtp, &err, now);
	return true;
}

bool
ph__drive_look(struct ph__drive *d)
{
	if (d->deaf || d->handshaking || d->io->wait(d->io->user, false, 0, NULL) != PH_IO_OK)
		return false;
	return read_some(d) != PH_IO_AGAIN;
}
