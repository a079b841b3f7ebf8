/* SPDX-License-Identifier: MIT */
/* The client session against a server that says anything. The first octets choose options and how
 * the dialogue is cut; the rest is the server's. Whatever it says: nothing crashes, every transaction
 * comes back once, each recipient with an outcome or undecided and to be tried again, or, when limits
 * put it off, with one recipient more decided than before; in doubt only what was handed over,
 * accepted only what was; nothing is sent after the end; no bare CR or LF. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <posthaste/smtp.h>

#define TXNS 6

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
	const uint8_t *p;
	size_t n;
};

struct world {
	struct ph_smtp *s;
	struct ph_txn *txns[TXNS];
	bool     out[TXNS];    /* the session has it */
	bool     done[TXNS];   /* it came back, and is not to be tried again */
	size_t   pending[TXNS]; /* recipients without an outcome, when it was submitted */
	size_t   at[TXNS];     /* octets of it that were given */
	bool     completed[TXNS]; /* all of them, once */
	uint64_t now;
	struct input in;
	bool     closed, facts;
	uint8_t  how;
	char     last;         /* octet sent */
};

static uint8_t
next(struct input *in)
{
	if (in->n == 0)
		return 0;
	in->n--;
	return *in->p++;
}

static size_t
index_of(const struct world *w, const struct ph_txn *t)
{
	size_t i = 0;

	while (i < TXNS && w->txns[i] != t)
		i++;
	assert(i < TXNS);
	return i;
}

static void
take_back(struct world *w, const struct ph_smtp_event *ev)
{
	size_t i = index_of(w, ev->txn), pending = 0;

	assert(w->out[i]);
	w->out[i] = false;
	for (size_t k = 0; k < ph_txn_recipient_count(ev->txn); k++) {
		const struct ph_recipient_outcome *o = ph_txn_recipient(ev->txn, k);

		pending += o->outcome == PH_PENDING;
		assert(o->outcome != PH_PARTIAL);
		if (o->outcome == PH_ACCEPTED || o->outcome == PH_IN_DOUBT)
			assert(w->completed[i]);
		if (o->outcome == PH_ACCEPTED)
			assert(o->code == PH_OK && o->reply.code / 100 == 2);
		else
			assert(o->code != PH_OK || o->outcome == PH_PENDING);
		if (o->outcome == PH_REFUSED)
			assert(o->reply.code == 0 || o->reply.code / 100 == 5);
	}
	assert((pending != 0) == (ev->again || ev->more));
	assert(!ev->more || pending < w->pending[i]);
	w->done[i] = pending == 0;
}

static const char message[] = "Subject: x\r\n\r\n.dot\r\nlast line\r\n";

static void
submit(struct world *w, size_t i)
{
	struct ph_source_facts facts = {
		.size = sizeof facts, .known = true, .header_known = true, .clean = true,
		.wire_size = sizeof message - 1, .longest_line = 10,
	};

	w->at[i] = w->pending[i] = 0;
	for (size_t k = 0; k < ph_txn_recipient_count(w->txns[i]); k++)
		w->pending[i] += ph_txn_recipient(w->txns[i], k)->outcome == PH_PENDING;
	if (ph_smtp_submit(w->s, w->txns[i], w->facts ? &facts : NULL) == PH_OK)
		w->out[i] = true;
}

static void
give_body(struct world *w, struct ph_txn *t)
{
	size_t i = index_of(w, t), at = w->at[i], left = sizeof message - 1 - at;
	size_t n = w->how % 3 == 0 ? left : w->how % 40 + 1u;
	bool last = n >= left;
	enum ph_code rc;

	if (w->how % 32 == 31 && at != 0) {
		ph_smtp_body_failed(w->s, t, NULL);
		return;
	}
	n = last ? left : n;
	w->at[i] = at + n;
	w->completed[i] |= last;
	rc = ph_smtp_body(w->s, t, message + at, n, last, NULL);
	assert(rc == PH_OK);
}

static void
take_event(struct world *w, const struct ph_smtp_event *ev)
{
	struct ph_error err = PH_ERROR_INIT;

	assert(!w->closed);
	switch (ev->type) {
	case PH_EV_REPLY:
		assert(ev->reply.code >= 200 && ev->reply.text[ev->reply.len] == '\0');
		if (ev->verb[0] == 'G')
			ph_smtp_command(w->s, w->how & 4 ? "LHLO" : "EHLO", "me.test", &err);
		else if (strcmp(ev->verb, "EHLO") == 0 && (w->how & 8) != 0 &&
		         ph_smtp_has_extension(w->s, "STARTTLS", NULL))
			ph_smtp_command(w->s, "STARTTLS", NULL, &err);
		else if (strcmp(ev->verb, "EHLO") == 0 && ph_smtp_offers_mechanism(w->s, "PLAIN"))
			ph_smtp_auth(w->s, "PLAIN", "\0u\0p", 4, &err);
		break;
	case PH_EV_WANT_TLS:
		w->how &= (uint8_t)~8;
		ph_smtp_tls_done(w->s, true, w->now);
		ph_smtp_command(w->s, "EHLO", "me.test", &err);
		break;
	case PH_EV_AUTH_CHALLENGE:
		if (ev->challenge == NULL)
			ph_smtp_auth_cancel(w->s);
		else
			ph_smtp_auth_respond(w->s, "x", 1, &err);
		break;
	case PH_EV_WANT_BODY:
		give_body(w, ev->txn);
		break;
	case PH_EV_RCPT_DONE:
		assert(ph_txn_recipient(ev->txn, ev->recipient)->outcome != PH_PENDING);
		break;
	case PH_EV_TXN_DONE:
		take_back(w, ev);
		break;
	case PH_EV_CLOSED:
		w->closed = true;
		break;
	}
}

static void
drain(struct world *w)
{
	struct ph_smtp_event ev = PH_SMTP_EVENT_INIT;
	struct ph_smtp_trace t = PH_SMTP_TRACE_INIT;

	while (ph_smtp_next_event(w->s, &ev))
		take_event(w, &ev);
	while (ph_smtp_next_trace(w->s, &t))
		assert(memchr(t.text, '\n', t.len) == NULL);
}

/* Takes up to n of the octets that wait, and looks at their line ends. */
static void
send_some(struct world *w, size_t n)
{
	struct iovec iov[8];
	size_t pieces = ph_smtp_pull(w->s, iov, 8), sent = 0;

	assert(!w->closed || pieces == 0);
	for (size_t i = 0; i < pieces; i++)
		for (size_t k = 0; k < iov[i].iov_len && sent < n; k++, sent++) {
			char c = ((const char *)iov[i].iov_base)[k];

			assert((c == '\n') == (w->last == '\r'));
			w->last = c;
		}
	ph_smtp_sent(w->s, sent, w->now);
}

static void
listen(struct world *w)
{
	uint8_t how = next(&w->in);
	size_t n = how % 100 < 80 ? 1 + how : 1 + how * 16u;

	n = n < w->in.n ? n : w->in.n;
	ph_smtp_feed(w->s, w->in.p, n, w->now);
	w->in.p += n;
	w->in.n -= n;
}

static void
step(struct world *w)
{
	uint8_t what = next(&w->in);

	w->now += what;
	switch (what % 8) {
	case 0: case 1: case 2:
		listen(w);
		break;
	case 3:
		send_some(w, what);
		break;
	case 4:
		if (ph_smtp_deadline(w->s) < w->now + 400000u && what > 250)
			w->now = ph_smtp_deadline(w->s);
		ph_smtp_tick(w->s, w->now);
		break;
	case 5:
		for (size_t i = 0; i < TXNS; i++)
			if (!w->out[i] && !w->done[i])
				submit(w, i);
		break;
	default:
		send_some(w, SIZE_MAX);
	}
	drain(w);
}

static void
make_txns(struct world *w, uint8_t flags)
{
	static const char *const to[] = { "b@x.test", "c@y.test", "d@x.test" };

	for (size_t i = 0; i < TXNS; i++) {
		struct ph_envelope e = {
			PH_ENVELOPE_INIT, .from = i % 2 != 0 ? "" : "a@x.test", .recipients = to,
			.recipient_count = 1 + (flags + i) % 3, .no_dup = (flags & 1) != 0 && i == 2,
			.notify = (flags & 2) != 0 ? PH_NOTIFY_DELAY : 0, .envid = i == 3 ? "x y" : NULL,
			.auth = (flags & 4) != 0 ? "" : NULL, .require_tls = i == 4 && (flags & 8) != 0,
			.by_mode = (enum ph_by_mode)(i == 5 ? (flags >> 4) % 3 : 0),
			.by_seconds = i == 5 && (flags >> 4) % 3 != 0 ? 60 : 0,
			.hold_for = i == 0 && (flags & 64) != 0 ? 60 : 0, .priority = i == 1 ? 3 : 0,
		};

		if (ph_txn_new(&w->txns[i], &e, NULL, NULL) != PH_OK)
			abort();
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct world w = { .in = { data, size }, .now = 1 };
	uint8_t flags = next(&w.in), more = next(&w.in);
	struct ph_smtp_opts opts = {
		PH_SMTP_OPTS_INIT, .lmtp = (flags & 1) != 0, .no_pipelining = (flags & 14) == 2,
		.no_chunking = (flags & 16) != 0, .trace = (flags & 32) != 0, .window = more % 10,
	};

	w.how = next(&w.in);
	w.how = (uint8_t)((w.how & ~4) | (opts.lmtp ? 4 : 0));
	w.facts = (flags & 64) != 0;
	make_txns(&w, more);
	if (ph_smtp_new(&w.s, &opts, w.now) != PH_OK)
		abort();
	while (w.in.n != 0 && !w.closed)
		step(&w);
	if ((flags & 128) != 0)
		ph_smtp_feed_eof(w.s, NULL, w.now);
	else
		ph_smtp_cancel(w.s, NULL);
	drain(&w);
	assert(w.closed);
	assert(ph_smtp_deadline(w.s) == UINT64_MAX);
	send_some(&w, SIZE_MAX);
	for (size_t i = 0; i < TXNS; i++)
		assert(!w.out[i]);
	ph_smtp_free(w.s);
	for (size_t i = 0; i < TXNS; i++)
		ph_txn_free(w.txns[i]);
	return 0;
}
