/* SPDX-License-Identifier: MIT */
/* One host of a route: an inner client that holds to what the route demands of it, tried over the host's
 * addresses in order. Happy eyeballs are at the level of TCP only (net/dial.h); whoever connects has the
 * one session, and only when that has failed the addresses that are left have their turn (RFC 5321 §5.1).
 *
 * What a host must prove is made part of the inner client when that is made, and of the key by which it
 * is found again: nothing that fails can lead to a client that asks for less. */
#include "client/direct.h"

#include <arpa/inet.h>
#include <string.h>

#include "base/clock.h"
#include "mail/source.h"

/* ---- inner clients --------------------------------------------------------------------------- */

/* NULL: memory is out. */
static char *
make_key(struct ph_client *c, const struct ph__route_host *h, enum ph__host_tls demand)
{
	struct ph__buf b;
	char *key;

	ph__buf_init(&b, &c->mem, (size_t)1 << 20);
	ph__buf_addf(&b, "%s %d", h->name, (int)demand);
	if (demand == PH__HOST_MUST_DANE) {
		ph__buf_addf(&b, " %s", h->base);
		for (size_t i = 0; h->names[i] != NULL; i++)
			ph__buf_addf(&b, " %s", h->names[i]);
		for (size_t i = 0; i < h->tlsa_count; i++) {
			ph__buf_addf(&b, " %u %u %u ", h->tlsa[i].usage, h->tlsa[i].selector,
			             h->tlsa[i].matching);
			for (size_t k = 0; k < h->tlsa[i].len; k++)
				ph__buf_addf(&b, "%02x", ((const unsigned char *)h->tlsa[i].data)[k]);
		}
	}
	key = ph__buf_take(&b);
	ph__buf_done(&b);
	return key;
}

static struct ph_client_opts
options_of(const struct ph_client *c, const struct ph_tls_opts *tls)
{
	struct ph_client_opts o = c->opts;

	o.tls = tls;
	o.helo = c->helo;
	o.source_ip = c->source_ip;
	o.memory = &c->mem;
	return o;
}

static enum ph_code
make_client(struct ph_client *c, const struct ph__route_host *h, enum ph__host_tls demand,
            struct ph_client **ret, struct ph_error *err)
{
	struct ph_tls_opts tls = c->direct->tls;
	bool may = demand == PH__HOST_MAY || demand == PH__HOST_MAY_STS;
	size_t names = 0;
	struct ph_client_opts o = options_of(c, &tls);
	struct ph_client *inner;
	enum ph_code rc;

	tls.mode = may ? PH_TLS_OPPORTUNISTIC : PH_TLS_STARTTLS;
	tls.server_name = h->name;
	if (demand == PH__HOST_MUST_DANE) {
		while (h->names[names] != NULL)
			names++;
		tls.server_name = h->base;
		tls.tlsa = h->tlsa;
		tls.tlsa_count = h->tlsa_count;
		tls.names = h->names;
		tls.name_count = names;
	}
	if ((rc = ph_client_new(&inner, &o, err)) != PH_OK)
		return rc;
	inner->outer = c;
	inner->demand = demand;
	inner->has_server = true;
	inner->server = (struct ph__server){ .relay_port = true, .port = c->direct->opts.mx_port };
	if ((inner->server.host = ph__strdup(&inner->mem, h->name)) == NULL) {
		ph_client_free(inner);
		return ph__fail_nomem(err, PH_STAGE_CONNECT);
	}
	*ret = inner;
	return PH_OK;
}

static struct ph__inner *
take_out(struct ph__direct *d, const char *key)
{
	struct ph__inner **at = &d->inners, *found;

	while (*at != NULL && strcmp((*at)->key, key) != 0)
		at = &(*at)->next;
	if ((found = *at) != NULL)
		*at = found->next;
	return found;
}

static void
put_first(struct ph__direct *d, struct ph__inner *i)
{
	i->next = d->inners;
	d->inners = i;
}

static void
dispose(struct ph_client *c, struct ph__inner *i)
{
	ph_client_leave(i->client);
	ph_client_free(i->client);
	ph__free(&c->mem, i->key);
	ph__free(&c->mem, i);
	c->direct->inner_count--;
}

/* Of those kept idle the one that was used last is closed last. */
static void
drop_oldest(struct ph_client *c)
{
	struct ph__inner **at = &c->direct->inners, *oldest;

	while ((*at)->next != NULL)
		at = &(*at)->next;
	oldest = *at;
	*at = NULL;
	dispose(c, oldest);
}

static enum ph_code
make_inner(struct ph_client *c, const struct ph__route_host *h, enum ph__host_tls demand, char *key,
           struct ph__inner **ret, struct ph_error *err)
{
	struct ph__inner *i = ph__alloc0(&c->mem, sizeof *i);
	enum ph_code rc = i != NULL ? make_client(c, h, demand, &i->client, err)
	                            : ph__fail_nomem(err, PH_STAGE_CONNECT);

	if (rc != PH_OK) {
		ph__free(&c->mem, i);
		return rc;
	}
	i->key = key;
	c->direct->inner_count++;
	*ret = i;
	return PH_OK;
}

/* The one for a host, taken from those that are open, or made. */
static enum ph_code
find_inner(struct ph_client *c, const struct ph__route_host *h, enum ph__host_tls demand,
           struct ph__inner **ret, struct ph_error *err)
{
	char *key = make_key(c, h, demand);
	enum ph_code rc = PH_OK;

	if (key == NULL)
		return ph__fail_nomem(err, PH_STAGE_CONNECT);
	if ((*ret = take_out(c->direct, key)) == NULL) {
		while (c->direct->inner_count >= PH__DIRECT_IDLE)
			drop_oldest(c);
		if ((rc = make_inner(c, h, demand, key, ret, err)) == PH_OK)
			key = NULL;
	}
	ph__free(&c->mem, key);
	if (rc == PH_OK)
		put_first(c->direct, *ret);
	return rc;
}

/* ---- addresses ------------------------------------------------------------------------------- */

static bool
network_of(const char *address, unsigned char prefix[8])
{
	struct in6_addr in6;

	if (inet_pton(AF_INET6, address, &in6) != 1)
		return false;
	memcpy(prefix, &in6, 8);
	return true;
}

static bool
is_in_bad_network(const struct ph__direct *d, const char *address)
{
	unsigned char prefix[8];
	uint64_t now = ph__now_ms();

	if (!network_of(address, prefix))
		return false;
	for (size_t i = 0; i < PH__BAD_NETWORKS; i++)
		if (d->bad[i].until_ms > now && memcmp(d->bad[i].prefix, prefix, 8) == 0)
			return true;
	return false;
}

static void
note_network(struct ph__direct *d, const char *address, bool answers)
{
	struct ph__bad_network *b = NULL;
	unsigned char prefix[8];

	if (!network_of(address, prefix))
		return;
	for (size_t i = 0; i < PH__BAD_NETWORKS && b == NULL; i++)
		if (d->bad[i].until_ms != 0 && memcmp(d->bad[i].prefix, prefix, 8) == 0)
			b = &d->bad[i];
	if (answers && b != NULL)
		b->until_ms = 0;
	if (answers)
		return;
	if (b == NULL) {
		b = &d->bad[d->bad_next];
		d->bad_next = (d->bad_next + 1) % PH__BAD_NETWORKS;
	}
	b->until_ms = ph__now_ms() + PH__MS_BAD_NETWORK;
	memcpy(b->prefix, prefix, 8);
}

/* Of a host: which have been tried, by their place in the route. */
struct visit {
	const struct ph__route_host *host;
	bool   tried[PH__MX_ADDRESSES];
	size_t place[PH__MX_ADDRESSES];          /* of those listed, */
	const char *list[PH__MX_ADDRESSES];
	struct ph__addresses to_dial;
};

static size_t
address_count(const struct ph__route_host *h)
{
	return h->address_count < PH__MX_ADDRESSES ? h->address_count : PH__MX_ADDRESSES;
}

/* Those not tried yet, in order, as many as the route may still have; networks that did not answer
 * lately go last. */
static void
list_addresses(const struct ph__direct *d, struct visit *v, unsigned at_most)
{
	size_t n = 0;

	for (int bad = 0; bad <= 1; bad++)
		for (size_t i = 0; i < address_count(v->host) && n < at_most; i++)
			if (!v->tried[i] && is_in_bad_network(d, v->host->addresses[i]) == (bad != 0)) {
				v->place[n] = i;
				v->list[n++] = v->host->addresses[i];
			}
	v->to_dial = (struct ph__addresses){ .list = v->list, .count = n };
}

/* What an attempt has shown of them. An idle connection was used without dialling: its address is the
 * session's. So that each attempt comes further, one is marked in any case. */
static void
mark_tried(struct ph__direct *d, struct visit *v, struct ph__group *g, const char *used)
{
	unsigned before = g->tries;

	for (size_t i = 0; i < v->to_dial.count; i++) {
		enum ph__address_fate fate = v->to_dial.fate[i];

		if (fate != PH__ADDRESS_UNTRIED)
			note_network(d, v->list[i], fate == PH__ADDRESS_CONNECTED);
		if (fate == PH__ADDRESS_UNTRIED && strcmp(v->list[i], used) != 0)
			continue;
		v->tried[v->place[i]] = true;
		g->tries++;
	}
	if (g->tries != before)
		return;
	v->tried[v->place[0]] = true;
	g->tries++;
}

/* ---- an attempt ------------------------------------------------------------------------------ */

/* The time that has gone is off the deadline (RFC 2852 §4.1). False: nothing is left of it. */
static bool
adjust_deadline(const struct ph__mail *m, struct ph_envelope *e)
{
	uint64_t gone = (ph__now_us() - m->submitted_us) / 1000000;

	if (e->by_mode == PH_BY_NONE)
		return true;
	if (e->by_mode == PH_BY_RETURN && gone >= (uint64_t)e->by_seconds)
		return false;
	e->by_seconds = gone < (uint64_t)(e->by_seconds + (int64_t)PH__SECONDS_MAX)
	                ? e->by_seconds - (int32_t)gone : -PH__SECONDS_MAX;
	return true;
}

/* The message's envelope for those of the group whom this host has not decided about. *sent: their places
 * in the group. */
static bool
make_envelope(struct ph__delivery *d, const struct ph__group *g, struct ph_envelope *e, size_t *sent)
{
	const struct ph_envelope *whole = &d->mail->envelope;
	struct ph__arena *a = &d->mail->arena;
	const char **to = ph__arena_alloc(a, g->count * sizeof *to);
	const char **original = ph__arena_alloc(a, g->count * sizeof *original);
	unsigned *notify = ph__arena_alloc(a, g->count * sizeof *notify);
	size_t n = 0;

	if (to == NULL || original == NULL || notify == NULL)
		return false;
	*e = *whole;
	for (size_t k = 0; k < g->count; k++) {
		size_t i = g->who[k];

		if (g->done_here[k])
			continue;
		to[n] = whole->recipients[i];
		original[n] = whole->original_recipients != NULL ? whole->original_recipients[i] : NULL;
		notify[n] = whole->recipient_notify != NULL ? whole->recipient_notify[i] : 0;
		sent[n++] = k;
	}
	e->recipients = to;
	e->recipient_count = n;
	e->original_recipients = whole->original_recipients != NULL ? original : NULL;
	e->recipient_notify = whole->recipient_notify != NULL ? notify : NULL;
	return true;
}

/* All who are left in the group end with this. */
static void
end_group(struct ph__delivery *d, struct ph__group *g, const struct ph_error *why)
{
	for (size_t k = 0; k < g->count; k++)
		ph__direct_decide(d, g->who[k], why);
	g->count = 0;
}

/* Whether the message can go out now. */
static bool
is_ready(struct ph__delivery *d, struct ph__group *g, struct ph_envelope *e)
{
	struct ph_error why = PH_ERROR_INIT;

	if (ph__source_begin(d->job.source, NULL) != PH_OK) {
		ph__fail(&why, PH_EDEFERRED, PH_STAGE_ROUTE, PH_CAUSE_SOURCE,
		         "the message has been read for another server already, and can be read only once");
		ph__hint(&why, "keep it in a file, or send it to the recipients of one domain at a time");
		end_group(d, g, &why);
		return false;
	}
	if (adjust_deadline(d->mail, e))
		return true;
	ph__fail(&why, PH_EREFUSED, PH_STAGE_ROUTE, PH_CAUSE_TIMEOUT,
	         "the message was to be delivered within %d s, and the time is over (RFC 2852)",
	         (int)d->mail->envelope.by_seconds);
	memcpy(why.enhanced, (uint16_t[3]){ 5, 4, 7 }, sizeof why.enhanced);
	end_group(d, g, &why);
	return false;
}

/* One session's worth. False: nothing more is to be tried. */
static bool
attempt(struct ph_client *c, struct ph__delivery *d, struct ph__group *g, struct ph_client *inner,
        struct visit *v)
{
	struct ph_error why = PH_ERROR_INIT;
	const struct ph_record *r = NULL;
	struct ph_envelope e;
	size_t *sent = ph__arena_alloc(&d->mail->arena, g->count * sizeof *sent);
	const char *used = "";

	if (sent == NULL || !make_envelope(d, g, &e, sent)) {
		ph__fail_nomem(&why, PH_STAGE_ROUTE);
		end_group(d, g, &why);
		return false;
	}
	if (e.recipient_count == 0 || !is_ready(d, g, &e))
		return false;
	inner->addresses = &v->to_dial;
	ph_client_sendmail(inner, &e, d->job.source, &r, &why);
	inner->addresses = NULL;
	if (r == NULL) {
		end_group(d, g, &why);
		return false;
	}
	if (r->session_count != 0)
		used = r->sessions[r->session_count - 1]->address;
	mark_tried(c->direct, v, g, used);
	ph__direct_take_record(c, d, g, v->host, r, sent, e.recipient_count);
	return g->count != 0 && !ph__client_is_cancelled(c, false);
}

/* RFC 8689 §4.2.1: somebody else may have said that it is the domain's server. */
static bool
is_unproved(const struct ph__delivery *d, const struct ph__route_host *h, struct ph_error *why)
{
	if (!d->mail->envelope.require_tls || h->mx_proved)
		return false;
	ph__fail(why, PH_EREFUSED, PH_STAGE_ROUTE, PH_CAUSE_NO_DNSSEC,
	         "the message may go over verified TLS only, all the way (REQUIRETLS, RFC 8689), and neither "
	         "DNSSEC nor MTA-STS says that %.200s is the domain's server", h->name);
	ph__hint(why, "send it without --requiretls; the recipient's domain would have to be signed, or to "
	              "publish an MTA-STS policy");
	memcpy(why->enhanced, (uint16_t[3]){ 5, 7, 30 }, sizeof why->enhanced);
	return true;
}

static void
visit_host(struct ph_client *c, struct ph__delivery *d, struct ph__group *g, struct visit *v,
           struct ph__inner *inner)
{
	bool more = true;

	while (more && g->tries < c->direct->opts.addresses) {
		list_addresses(c->direct, v, c->direct->opts.addresses - g->tries);
		if (v->to_dial.count == 0)
			break;
		more = attempt(c, d, g, inner->client, v);
		if (more)
			ph_client_leave(inner->client); /* the next address is another connection */
	}
	if (!ph_client_is_connected(inner->client)) {
		take_out(c->direct, inner->key);
		dispose(c, inner);
	}
}

void
ph__direct_try_host(struct ph_client *c, struct ph__delivery *d, struct ph__group *g, size_t host)
{
	const struct ph__route_host *h = ph__route_host(g->routed->route, host);
	struct visit v = { .host = h };
	struct ph_error why = PH_ERROR_INIT;
	struct ph__inner *inner = NULL;
	enum ph__host_tls demand = h->tls;

	if (h->state == PH__HOST_UNUSABLE) {
		ph__direct_pass_over(c, d, g, h, &h->error);
		return;
	}
	if (is_unproved(d, h, &why)) {
		ph__direct_pass_over(c, d, g, h, &why);
		return;
	}
	if (d->mail->envelope.require_tls)
		demand = ph__policy_require_tls(demand);
	if (find_inner(c, h, demand, &inner, &why) == PH_OK)
		visit_host(c, d, g, &v, inner);
	else
		ph__direct_pass_over(c, d, g, h, &why);
}
