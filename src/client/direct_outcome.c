/* SPDX-License-Identifier: MIT */
/* What attempts at servers make of recipients and of the message's record. Who is decided is decided for
 * good (route/verdict.h says so); for the others the last server that got furthest is remembered, and
 * speaks for them when there is no server left. */
#include "client/direct.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "route/dane.h"
#include "route/verdict.h"
#include "smtp/txn.h"

/* A copy that lives as long as the message; NULL: memory is out. */
static struct ph_error *
keep_error(struct ph__delivery *d, const struct ph_error *why)
{
	struct ph_error *kept = ph__arena_alloc(&d->mail->arena, sizeof *kept);

	if (kept != NULL)
		*kept = *why;
	return kept;
}

static void
decide(struct ph__delivery *d, size_t i, const struct ph_recipient_outcome *o,
       const struct ph_error *why)
{
	d->txn->session = o->session;
	ph__txn_decide(d->txn, i, o->outcome, o->code, o->stage, o->cause, &o->reply);
	d->mail->errors[i] = why;
}

/* What an error of ours makes of a recipient. */
static struct ph_recipient_outcome
outcome_of(const struct ph_error *why, unsigned session)
{
	bool never = why->code == PH_EINPUT || why->code == PH_ENOHOST || why->code == PH_EREFUSED;
	struct ph_recipient_outcome o = {
		.outcome = never ? PH_REFUSED : PH_DEFERRED, .code = why->code, .stage = why->stage,
		.cause = why->cause, .reply = { .text = "" }, .session = session,
	};

	memcpy(o.reply.enhanced, why->enhanced, sizeof o.reply.enhanced);
	return o;
}

void
ph__direct_decide(struct ph__delivery *d, size_t i, const struct ph_error *why)
{
	struct ph_recipient_outcome o = outcome_of(why, PH__NO_SESSION);

	if (d->txn->rcpts[i].out.outcome == PH_PENDING)
		decide(d, i, &o, keep_error(d, why));
}

struct ph_error
ph__direct_route_error(const struct ph__route *r)
{
	const struct ph_error *why = ph__route_error(r);
	struct ph_error e = *why;

	if (strstr(why->text, ph__route_domain(r)) == NULL) {
		e.text[0] = '\0';
		ph__more(&e, "%.255s: %s", ph__route_domain(r), why->text);
	}
	return e;
}

const char *
ph__direct_dnssec(const struct ph_client *c, const struct ph__route *r)
{
	if (ph__routing_unvalidated(c->direct->routing) != NULL)
		return "off";
	return ph__route_trust(r) == PH__DNS_SECURE ? "secure" : "insecure";
}

/* ---- sessions -------------------------------------------------------------------------------- */

static void
set_tlsa(struct ph__session *s, const struct ph__route_host *h)
{
	char text[PH__TLSA_TEXT];
	struct ph__buf b;

	ph__buf_init(&b, s->mem, PH__TLSA_MAX * sizeof text);
	for (size_t i = 0; i < h->tlsa_count; i++) {
		ph__tlsa_text(text, sizeof text, &h->tlsa[i]);
		ph__buf_add(&b, text, strlen(text) + 1);
	}
	s->route.tlsa_len = b.len;
	if ((s->route.tlsa = ph__buf_take(&b)) == NULL)
		s->route.tlsa_len = 0;
	ph__buf_done(&b);
}

static const char *
policy_of(enum ph__host_tls tls)
{
	switch (tls) {
	case PH__HOST_MUST_DANE:
	case PH__HOST_MUST_TLS:
		return "dane";
	case PH__HOST_MUST_STS:
	case PH__HOST_MAY_STS:
		return "mta-sts";
	default:
		return "none";
	}
}

static void
set_route(struct ph_client *c, struct ph__session *s, const struct ph__routed *routed,
          const struct ph__route_host *h)
{
	const struct ph__route *r = routed->route;
	const struct ph__sts_policy *sts = ph__route_sts(r);

	ph__free(s->mem, s->route.tlsa);
	s->route = (struct ph__session_route){
		.preference = h->preference,
		.dnssec = ph__direct_dnssec(c, r),
		.policy = policy_of(h->tls),
		.mode = sts != NULL ? ph__sts_mode_name(sts->mode) : NULL,
		.problem = ph__route_sts_problem(r),
		.relaxed = routed->relaxed,
	};
	snprintf(s->route.domain, sizeof s->route.domain, "%s", ph__route_domain(r));
	if (sts != NULL && sts->id != NULL)
		snprintf(s->route.policy_id, sizeof s->route.policy_id, "%s", sts->id);
	if (h->tls == PH__HOST_MUST_DANE && h->tlsa_count != 0)
		set_tlsa(s, h);
}

/* ---- what failed ----------------------------------------------------------------------------- */

/* What to do is said for a server of the caller's choice, and this one is its domain's: nothing that the
 * caller could set would make it answer, or prove itself. */
static const char *
hint_there(const struct ph_error *e)
{
	switch (e->cause) {
	case PH_CAUSE_UNREACHABLE:
		return e->sys != ECONNREFUSED ? NULL :
		       "the domain's servers are down, or this network lets nobody out to their port: try again "
		       "later; if other domains fail too, send through your provider's submission server";
	case PH_CAUSE_TIMEOUT:
	case PH_CAUSE_LOST:
		return e->stage != PH_STAGE_GREETING ? NULL :
		       "the server is too busy, makes strangers wait, or wants nothing from this IP address: try "
		       "again later; if that does not help, send through your provider's submission server";
	case PH_CAUSE_CERT_EXPIRED:
	case PH_CAUSE_CERT_NOT_YET:
	case PH_CAUSE_CERT_NAME:
	case PH_CAUSE_CERT_SELF_SIGNED:
	case PH_CAUSE_CERT_UNTRUSTED:
	case PH_CAUSE_CERT_OTHER:
		return "its operator must mend it, or somebody stands in between: try again in some hours, and "
		       "tell the domain's postmaster by another way; --direct --dry-run shows what is demanded";
	case PH_CAUSE_NOT_OFFERED:
		return e->stage != PH_STAGE_MAIL || e->enhanced[2] != 30 ? NULL :
		       "send it without --requiretls if it may go on from there in clear, or tell the recipient "
		       "by another way";
	default:
		return NULL;
	}
}

static void
set_hint(struct ph_error *to, const struct ph_error *why)
{
	const char *there = hint_there(why);

	if (there != NULL)
		ph__hint(to, "%s", there);
	else
		memmove(to->hint, why->hint, sizeof to->hint);
}

/* Which server of which domain it is about, where the words do not say so. */
static struct ph_error *
name_server(struct ph__delivery *d, const struct ph__group *g, const char *host,
            const struct ph_error *why)
{
	const char *domain = ph__route_domain(g->routed->route);
	bool has_host = strstr(why->text, host) != NULL;
	bool has_domain = strstr(why->text, domain) != NULL || (!has_host && strstr(host, domain) != NULL);
	struct ph_error e = *why;

	e.text[0] = '\0';
	if (!has_domain)
		ph__more(&e, "mail for %.120s: ", domain);
	if (!has_host)
		ph__more(&e, "%.120s: ", host);
	ph__more(&e, "%s", why->text);
	set_hint(&e, why);
	return keep_error(d, &e);
}

/* RFC 8689 §4.2.1: this host cannot be trusted with the message now or later, for want of a proof or of
 * the extension. */
static bool
lacks_requiretls(const struct ph_recipient_outcome *o)
{
	if (o->outcome == PH_REFUSED && o->reply.code == 0 && o->reply.enhanced[1] == 7)
		return true;
	return o->code == PH_ESECURITY && (o->stage == PH_STAGE_TLS || o->stage == PH_STAGE_STARTTLS);
}

/* TLSA records that only OpenSSL found to be of no use are the domain's fault: the host has failed, as
 * with a certificate that matches none. */
static bool
has_bad_tlsa(const struct ph__route_host *h, enum ph_code code)
{
	return h->tls == PH__HOST_MUST_DANE && code == PH_ECONFIG;
}

/* Who got further at an earlier server keeps what that one said. */
static void
remember(struct ph__group *g, size_t k, const struct ph_recipient_outcome *o,
         const struct ph_error *why)
{
	if (g->last[k].outcome != PH_PENDING && o->stage < g->last[k].stage)
		return;
	g->last[k] = *o;
	g->why[k] = why;
}

void
ph__direct_pass_over(struct ph_client *c, struct ph__delivery *d, struct ph__group *g,
                     const struct ph__route_host *host, const struct ph_error *why)
{
	struct ph__session *s = ph__session_new(&c->mem);
	bool bad_tlsa = has_bad_tlsa(host, why->code);
	struct ph_recipient_outcome o = outcome_of(why, PH__NO_SESSION);
	struct ph_error *named = name_server(d, g, host->name, why);

	if (bad_tlsa)
		o.code = PH_ESECURITY;
	if (s != NULL) {
		snprintf(s->host, sizeof s->host, "%s", host->name);
		s->port = c->direct->opts.mx_port;
		s->began_us = s->ended_us = ph__now_us();
		s->error = *why;
		s->result = bad_tlsa ? "tlsa-invalid" : host->result;
		set_route(c, s, g->routed, host);
		o.session = ph__delivery_add_session(c, d, s);
		ph__session_unref(&s);
	}
	g->for_good &= why->code == PH_EREFUSED;
	ph__client_note(c, "Passing over a server: ", named != NULL ? named->text : why->text);
	for (size_t k = 0; k < g->count; k++)
		remember(g, k, &o, named);
}

/* ---- a record -------------------------------------------------------------------------------- */

/* A server outside of a policy in testing takes the message all the same, and is reported (RFC 8461
 * §5): once for a server that was asked for TLS, not again for the connection in clear after it. */
static void
set_result(struct ph__session *s, const struct ph__route_host *h)
{
	if (h->tls == PH__HOST_MAY_STS && s->extensions != NULL && s->before == NULL)
		s->result = h->result;
}

/* Sessions of an inner client's record to those of the delivery. */
static void
take_sessions(struct ph_client *c, struct ph__delivery *d, struct ph__group *g,
              const struct ph__route_host *host, const struct ph_record *r)
{
	for (size_t i = 0; i < r->session_count; i++) {
		struct ph__session *s = r->sessions[i];
		size_t before = d->session_count;

		ph__delivery_add_session(c, d, s);
		if (d->session_count == before)
			continue;
		set_route(c, s, g->routed, host);
		set_hint(&s->error, &s->error);
		set_result(s, host);
	}
}

static unsigned
session_of(struct ph_client *c, struct ph__delivery *d, const struct ph_record *r, unsigned session)
{
	return session < r->session_count ? ph__delivery_add_session(c, d, r->sessions[session])
	                                  : PH__NO_SESSION;
}

/* One recipient's outcome at this server. */
static void
take_outcome(struct ph__delivery *d, struct ph__group *g, size_t k, const struct ph__rcpt *from,
             struct ph_recipient_outcome *o, struct ph_error *why)
{
	enum ph__next next = ph__verdict_next(o);
	size_t i = g->who[k];

	o->reply = ph__txn_keep(d->txn, &(struct ph_reply){ o->reply.code,
		{ o->reply.enhanced[0], o->reply.enhanced[1], o->reply.enhanced[2] },
		o->reply.text != NULL ? o->reply.text : "", o->reply.text != NULL ? o->reply.len : 0 });
	if (next == PH__NEXT_NONE || next == PH__NEXT_LATER) {
		decide(d, i, o, why);
		d->txn->rcpts[i].in_company = from->in_company;
		return;
	}
	g->for_good &= lacks_requiretls(o);
	g->done_here[k] = next == PH__NEXT_HOST;
	remember(g, k, o, why);
}

static void
leave_out_decided(const struct ph__delivery *d, struct ph__group *g)
{
	size_t n = 0;

	for (size_t k = 0; k < g->count; k++)
		if (d->txn->rcpts[g->who[k]].out.outcome == PH_PENDING) {
			g->who[n] = g->who[k];
			g->last[n] = g->last[k];
			g->why[n] = g->why[k];
			g->done_here[n++] = g->done_here[k];
		}
	g->count = n;
}

void
ph__direct_take_record(struct ph_client *c, struct ph__delivery *d, struct ph__group *g,
                       const struct ph__route_host *host, const struct ph_record *r,
                       const size_t *sent, size_t sent_count)
{
	const struct ph_error *inner = &r->txn->error;
	struct ph_error *why = inner->code != PH_OK ? name_server(d, g, host->name, inner) : NULL;

	take_sessions(c, d, g, host, r);
	d->round_trips += r->round_trips;
	if (r->txn->bytes > d->txn->bytes)
		d->txn->bytes = r->txn->bytes;
	for (size_t n = 0; n < sent_count; n++) {
		const struct ph__rcpt *from = &r->txn->rcpts[n];
		struct ph_recipient_outcome o = from->out;

		o.session = session_of(c, d, r, o.session);
		if (has_bad_tlsa(host, o.code))
			o.code = PH_ESECURITY;
		take_outcome(d, g, sent[n], from, &o, why);
	}
	leave_out_decided(d, g);
}

/* ---- the end --------------------------------------------------------------------------------- */

/* RFC 8689 §4.2.1: no server of the domain can be had that the message may go to. Verified TLS that
 * was not to be had is 5.7.10, anything else 5.7.30. */
static void
refuse_for_requiretls(struct ph__delivery *d, struct ph__group *g)
{
	struct ph_error why = PH_ERROR_INIT;

	if (g->why[0] != NULL)
		why = *g->why[0];
	memcpy(why.enhanced, (uint16_t[3]){ 5, 7, why.code == PH_ESECURITY ? 10 : 30 },
	       sizeof why.enhanced);
	why.code = PH_EREFUSED;
	why.reply = 0;
	for (size_t k = 0; k < g->count; k++)
		ph__direct_decide(d, g->who[k], &why);
}

/* No host of the route could be used: what that means for the domain's mail, its route says. */
static void
settle_without_hosts(struct ph__delivery *d, struct ph__group *g, const struct ph_error *why)
{
	for (size_t k = 0; k < g->count; k++) {
		struct ph_recipient_outcome o = outcome_of(why, g->last[k].session);

		decide(d, g->who[k], &o, keep_error(d, why));
	}
}

void
ph__direct_settle(struct ph__delivery *d, struct ph__group *g)
{
	const struct ph_error hopeless = ph__direct_route_error(g->routed->route);
	struct ph_error none = PH_ERROR_INIT;

	if (g->count == 0)
		return;
	if (g->for_good && g->last[0].outcome != PH_PENDING) {
		refuse_for_requiretls(d, g);
		return;
	}
	if (hopeless.code != PH_OK) {
		settle_without_hosts(d, g, &hopeless);
		return;
	}
	ph__fail(&none, PH_EDEFERRED, PH_STAGE_ROUTE, PH_CAUSE_MX_UNUSABLE,
	         "no server of %.200s can be used now", ph__route_domain(g->routed->route));
	for (size_t k = 0; k < g->count; k++) {
		struct ph_recipient_outcome o = g->last[k];

		if (o.outcome == PH_PENDING) {
			ph__direct_decide(d, g->who[k], &none);
			continue;
		}
		if (o.outcome == PH_REFUSED && o.stage < PH_STAGE_MAIL) {
			o.outcome = PH_DEFERRED;
			o.code = PH_EDEFERRED;
		}
		decide(d, g->who[k], &o, g->why[k]);
	}
}
