/* SPDX-License-Identifier: MIT */
/* Carries a rule out on a connection: says the reply in its own way and at its own pace, or does not.
 *
 *   wait (delay) -> say, piece by piece -> the session goes on as if it had said the reply
 *                                       -> or the connection is stalled, or ends
 *   and later, on its own: the late line
 *
 * It begins when all that the session had said before is on its way, so that replies keep their order.
 * Where the session asks, it waits for us meanwhile; while a message comes (`body`) it does not ask, and
 * conn.c leaves it alone as long as show.rule is set.
 *
 * A late line goes out between other octets of ours, whatever they are about: that is its point. The
 * connection is not closed before it has. */
#include <assert.h>
#include <stdio.h>

#include "base/escape.h"
#include "sink/private.h"

#define ENDLESS_MS    1    /* between blocks of an endless reply: other connections want their turn */
#define ENDLESS_BLOCK 4096

static void
begin_tls(struct ph__sink_conn *c)
{
	struct ph_error err = PH_ERROR_INIT;
	const struct ph__rule *r = c->tls_rule;
	struct ph__tls_server *server = c->sink->tls[r != NULL ? r->cert : PH__CERT_GOOD];

	c->give_up = uv_now(&c->sink->loop) + PH__MS_TLS;
	if (r != NULL && r->end == PH__RULE_STALL) {
		c->stalled = true;
		c->give_up = UINT64_MAX;
	}
	if (ph__tls_stream_new(&c->tls, server, &err) < 0) {
		fprintf(stderr, "posthaste sink: %s: %s\n", c->peer, err.text);
		ph__sink_conn_close(c);
	}
}

static void
on_time(uv_timer_t *t)
{
	struct ph__sink_conn *c = t->data;

	c->show.waiting = false;
	if (c->closing)
		return;
	if (c->tls_wait) {
		c->tls_wait = false;
		begin_tls(c);
	}
	ph__sink_conn_pump(c);
}

static void
say_late(uv_timer_t *t)
{
	struct ph__sink_conn *c = t->data;

	if (c->closing || c->finishing)
		return;
	if (c->writing || (c->tls != NULL && !c->tls_up)) {
		uv_timer_start(t, say_late, PH__SINK_MS_AGAIN, 0);
		return;
	}
	ph__sink_conn_put(c, c->late->late);
	ph__sink_conn_put(c, (struct ph_str){ "\r\n", 2 });
	if (c->late->end != PH__RULE_GO_ON)
		ph__sink_conn_cut(c, c->late->end);
	c->late = NULL;
	ph__sink_conn_pump(c);
}

static void
wait_for(struct ph__sink_conn *c, uint64_t ms)
{
	c->show.waiting = true;
	uv_timer_start(&c->timer, on_time, ms, 0);
}

/* For the person at the terminal: what happened, and by which rule. */
static void
report(const struct ph__sink_conn *c, const struct ph__rule *r, const struct ph__rule_event *ev)
{
	struct ph_str what = ev->argument;
	struct ph__buf text;

	if (c->sink->o->quiet)
		return;
	ph__buf_init(&text, c->sink->mem, 64 * 1024);
	ph__buf_addf(&text, "posthaste sink: %s: ", c->peer);
	if (ph__str_eq(what, ph__str(c->peer)))
		what.len = 0; /* who connects is told already */
	if (ev->verb != NULL)
		ph__buf_addf(&text, "%s%s", ev->verb, what.len != 0 ? " " : ": ");
	ph__escape(&text, what, false);
	ph__buf_addf(&text, "%srule: %s\n", what.len != 0 ? ": " : "", r->text);
	fputs(ph__buf_cstr(&text), stderr);
	ph__buf_done(&text);
}

struct ph__rule *
ph__sink_fault_find(struct ph__sink_conn *c, const struct ph__rule_event *ev)
{
	struct ph__rule *r = ph__rules_match(&c->sink->rules, &c->peer_counts, ev);

	if (r != NULL)
		report(c, r, ev);
	return r;
}

/* ---- replies */

void
ph__sink_fault_begin(struct ph__sink_conn *c, const struct ph__rule *r,
                     const struct ph__server_reply *reply, bool answers)
{
	struct ph__sink_show *w = &c->show;
	struct ph__buf said;
	uint64_t delay = ph__rule_delay(r, &c->peer_counts);

	assert(w->rule == NULL);
	ph__buf_init(&said, c->sink->mem, PH__SINK_REPLY);
	ph__buf_reset(&w->octets);
	if (reply != NULL)
		ph__server_format(c->session, reply, &said);
	ph__rule_dress(r, &c->peer_counts, ph__buf_str(&said), &w->octets);
	while (r->say == PH__RULE_SAY_ENDLESS && w->octets.len != 0 && w->octets.len < ENDLESS_BLOCK &&
	       ph__buf_reserve(&w->octets, w->octets.len))
		ph__buf_add(&w->octets, w->octets.p, w->octets.len);
	ph__buf_done(&said);
	*w = (struct ph__sink_show){ .rule = r, .octets = w->octets, .answers = answers,
		                     .code = reply != NULL ? reply->code : 0 };
	if (!ph__buf_ok(&w->octets))
		ph__sink_conn_close(c);
	else if (delay != 0)
		wait_for(c, delay);
}

static void
end(struct ph__sink_conn *c)
{
	const struct ph__rule *r = c->show.rule;
	enum ph_code rc;

	c->show.rule = NULL;
	if (r->end == PH__RULE_STALL) {
		c->stalled = true;
		c->deaf = !c->show.answers;
		return;
	}
	if (r->late.ptr != NULL) {
		c->late = r;
		uv_timer_start(&c->late_timer, say_late, r->late_after, 0);
	} else if (r->end != PH__RULE_GO_ON) {
		ph__sink_conn_cut(c, r->end);
		return;
	}
	if (c->show.answers) {
		rc = ph__server_answered_as(c->session, c->show.code, uv_now(&c->sink->loop));
		assert(rc == PH_OK);
		(void)rc;
	} else if (c->show.code == 421) {
		ph__sink_conn_cut(c, PH__RULE_DROP);
	}
}

bool
ph__sink_fault_perform(struct ph__sink_conn *c)
{
	struct ph__sink_show *w = &c->show;
	bool endless;
	size_t n;

	if (w->rule == NULL || w->waiting || c->writing || c->closing || c->over)
		return false;
	n = w->octets.len - w->off;
	endless = w->rule->say == PH__RULE_SAY_ENDLESS;
	if (n == 0) {
		end(c);
		return true;
	}
	if (w->rule->piece != 0 && n > w->rule->piece)
		n = w->rule->piece;
	ph__sink_conn_put(c, (struct ph_str){ w->octets.p + w->off, n });
	if (c->closing)
		return false;
	w->off += n;
	if (endless && w->off == w->octets.len)
		w->off = 0;
	if (w->off < w->octets.len)
		wait_for(c, w->rule->piece != 0 ? w->rule->pause : ENDLESS_MS);
	return true;
}

/* ---- TLS */

void
ph__sink_fault_tls(struct ph__sink_conn *c)
{
	struct ph__rule_event ev = { .stage = PH__RULE_TLS,
		.argument = ph__str(c->protocol == PH__SINK_SMTPS ? "implicit" : "starttls") };
	struct ph__rule *r = ph__sink_fault_find(c, &ev);
	uint64_t delay = r != NULL ? ph__rule_delay(r, &c->peer_counts) : 0;

	c->tls_rule = r;
	if (delay == 0) {
		begin_tls(c);
		return;
	}
	c->tls_wait = true;
	wait_for(c, delay);
}

/* The client has begun its handshake. False: no fault was asked for, go on with it. */
bool
ph__sink_fault_tls_meets(struct ph__sink_conn *c)
{
	/* RFC 8446 §6: a record of type alert: fatal, handshake_failure. */
	static const char alert[] = { 21, 3, 3, 0, 2, 2, 40 };
	const struct ph__rule *r = c->tls_rule;
	bool garbage = r != NULL && r->say == PH__RULE_SAY_GARBAGE;

	if (r == NULL || !(r->tls_fail || garbage || r->end != PH__RULE_GO_ON))
		return false;
	if (garbage) {
		ph__buf_reset(&c->show.octets);
		ph__rule_dress(r, &c->peer_counts, (struct ph_str){ NULL, 0 }, &c->show.octets);
		ph__sink_conn_put_clear(c, ph__buf_str(&c->show.octets));
	}
	if (r->tls_fail)
		ph__sink_conn_put_clear(c, (struct ph_str){ alert, sizeof alert });
	ph__sink_conn_cut(c, r->end == PH__RULE_RESET ? PH__RULE_RESET : PH__RULE_DROP);
	return true;
}
