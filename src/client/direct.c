/* SPDX-License-Identifier: MIT */
/* Direct delivery: a message to its recipients' own servers. See posthaste/route.h.
 *
 * The routes of all recipients' domains are looked up at the same time. Recipients who have the same
 * servers are a group; each group is tried at one host after the other (direct_host.c) until everybody in
 * it has an outcome or there is no host left (direct_outcome.c). Groups go one after the other: a message
 * is with one server at a time, so a source is read by one at a time.
 *
 * A message to a single domain does not wait for hosts it may never need. */
#include "client/direct.h"

#include <poll.h>
#include <string.h>
#include <sys/random.h>

#include "base/clock.h"
#include "mail/address.h"
#include "mail/fields.h"
#include "mail/source.h"
#include "smtp/txn.h"

/* ---- options --------------------------------------------------------------------------------- */

static enum ph_code
contradiction(struct ph_error *err, const char *what, const char *hint)
{
	ph__fail(err, PH_ECONFIG, PH_STAGE_PREPARE, PH_CAUSE_ARGUMENT,
	         "direct delivery finds the servers by itself, and there is %s", what);
	ph__hint(err, "%s", hint);
	return PH_ECONFIG;
}

static enum ph_code
judge_options(const struct ph_client_opts *o, const struct ph_tls_opts *t, struct ph_error *err)
{
	if (o->server != NULL)
		return contradiction(err, "a server named", "leave --server out, or --direct");
	if (o->connect != NULL)
		return contradiction(err, "an address to connect to",
		                     "leave --connect out; --dns names the servers to ask for routes");
	if (o->credentials != NULL)
		return contradiction(err, "a login to do",
		                     "strangers' servers know no user of yours: leave the login out, or --direct");
	if (o->proxy != NULL || o->proxy_header != NULL)
		return contradiction(err, "a proxy", "leave the proxy out, or --direct");
	if (t->mode != PH_TLS_DEFAULT && t->mode != PH_TLS_OPPORTUNISTIC && t->mode != PH_TLS_STARTTLS)
		return contradiction(err, "a way of TLS that servers on port 25 do not have, or none at all",
		                     "use --tls=starttls, which demands verified TLS, or leave --tls out");
	if (t->server_name != NULL || t->pin_count != 0 || t->tlsa_count != 0 || t->name_count != 0)
		return contradiction(err, "a name, pin or TLSA record for all of them",
		                     "leave it out: what a server must prove is in its domain's DNS");
	if (t->insecure || t->record_only)
		return contradiction(err, "no verification wanted",
		                     "leave --insecure out: where a domain publishes nothing, servers need not prove "
		                     "anything; where it does, nobody should get round it");
	return PH_OK;
}

static bool
keep(struct ph__arena *a, const char **s)
{
	return *s == NULL || (*s = ph__arena_strndup(a, *s, strlen(*s))) != NULL;
}

static bool
keep_list(struct ph__arena *a, const char *const **list, size_t count)
{
	const char **copy = ph__arena_alloc(a, (count + 1) * sizeof *copy);

	if (copy == NULL)
		return false;
	for (size_t i = 0; i < count; i++) {
		copy[i] = (*list)[i];
		if (!keep(a, &copy[i]))
			return false;
	}
	copy[count] = NULL;
	*list = copy;
	return true;
}

static bool
keep_options(struct ph__direct *d)
{
	struct ph__arena *a = &d->options;

	return keep(a, &d->opts.dns) && keep(a, &d->opts.trust_anchor) && keep(a, &d->opts.mta_sts_cache) &&
	       keep_list(a, &d->opts.own_names, d->opts.own_names != NULL ? d->opts.own_name_count : 0) &&
	       keep(a, &d->tls.alpn) && keep(a, &d->tls.ca_file) && keep(a, &d->tls.ca_dir) &&
	       keep(a, &d->tls.cert_file) && keep(a, &d->tls.key_file);
}

enum ph_code
ph__direct_new(struct ph_client *c, struct ph_error *err)
{
	const struct ph_client_opts *o = &c->opts;
	struct ph__direct *d = ph__alloc0(&c->mem, sizeof *d);
	enum ph_code rc;

	if (d == NULL)
		return ph__fail_nomem(err, PH_STAGE_PREPARE);
	c->direct = d;
	ph__arena_init(&d->options, &c->mem);
	ph__arena_init(&d->show, &c->mem);
	d->opts = (struct ph_direct_opts){ PH_DIRECT_OPTS_INIT };
	memcpy(&d->opts, o->direct, o->direct->size < sizeof d->opts ? o->direct->size : sizeof d->opts);
	d->tls = (struct ph_tls_opts){ PH_TLS_OPTS_INIT };
	if (o->tls != NULL)
		memcpy(&d->tls, o->tls, o->tls->size < sizeof d->tls ? o->tls->size : sizeof d->tls);
	d->tls.size = sizeof d->tls;
	if ((rc = judge_options(o, &d->tls, err)) != PH_OK)
		return rc;
	if (d->opts.mx_port == 0)
		d->opts.mx_port = PH_PORT_SMTP;
	if (d->opts.addresses == 0)
		d->opts.addresses = PH__ROUTE_TRIES;
	return keep_options(d) ? PH_OK : ph__fail_nomem(err, PH_STAGE_PREPARE);
}

void
ph__direct_free(struct ph_client *c)
{
	struct ph__direct *d = c->direct;

	if (d == NULL)
		return;
	ph__direct_close(c);
	if (d->shown != NULL)
		ph__routing_let_go(d->shown);
	ph__routing_free(&d->routing);
	ph__arena_done(&d->show);
	ph__arena_done(&d->options);
	ph__free(&c->mem, d);
	c->direct = NULL;
}

enum ph_code
ph__direct_misused(struct ph_error *err)
{
	ph__fail(err, PH_EUSAGE, PH_STAGE_PREPARE, PH_CAUSE_STATE,
	         "this client delivers to the recipients' own servers: it sends whole messages, and has no "
	         "connection for commands");
	ph__hint(err, "make one with a server for what is to be said by hand");
	return PH_EUSAGE;
}

/* ---- the inner clients ----------------------------------------------------------------------- */

void
ph__direct_set_timeout(struct ph_client *c)
{
	for (struct ph__inner *i = c->direct != NULL ? c->direct->inners : NULL; i != NULL; i = i->next)
		ph_client_set_timeout(i->client, c->opts.timeout_ms);
}

void
ph__direct_set_transcript(struct ph_client *c)
{
	for (struct ph__inner *i = c->direct != NULL ? c->direct->inners : NULL; i != NULL; i = i->next)
		ph_client_set_transcript(i->client, c->opts.transcript, c->opts.transcript_user);
}

bool
ph__direct_is_connected(const struct ph_client *c)
{
	for (struct ph__inner *i = c->direct != NULL ? c->direct->inners : NULL; i != NULL; i = i->next)
		if (ph_client_is_connected(i->client))
			return true;
	return false;
}

/* The first that does not part in peace is told of. */
enum ph_code
ph__direct_quit(struct ph_client *c, struct ph_error *err)
{
	enum ph_code rc = PH_OK, one;

	if (!ph__direct_is_connected(c))
		return ph__fail(err, PH_EUSAGE, PH_STAGE_PREPARE, PH_CAUSE_STATE, "there is no connection");
	for (struct ph__inner *i = c->direct->inners; i != NULL; i = i->next) {
		struct ph_error why = PH_ERROR_INIT;

		one = ph_client_is_connected(i->client) ? ph_client_quit(i->client, NULL, &why) : PH_OK;
		if (rc == PH_OK && one != PH_OK)
			ph__error_copy(err, &why);
		rc = rc != PH_OK ? rc : one;
	}
	ph__direct_close(c);
	return rc;
}

void
ph__direct_leave(struct ph_client *c)
{
	for (struct ph__inner *i = c->direct != NULL ? c->direct->inners : NULL; i != NULL; i = i->next)
		ph_client_leave(i->client);
}

void
ph__direct_close(struct ph_client *c)
{
	struct ph__inner *i, *next;

	if (c->direct == NULL)
		return;
	for (i = c->direct->inners; i != NULL; i = next) {
		next = i->next;
		ph_client_free(i->client);
		ph__free(&c->mem, i->key);
		ph__free(&c->mem, i);
	}
	c->direct->inners = NULL;
	c->direct->inner_count = 0;
}

/* ---- a message's own ------------------------------------------------------------------------- */

static bool
keep_envelope(struct ph__arena *a, struct ph_envelope *e)
{
	size_t n = e->recipient_count;
	unsigned *notify = ph__arena_alloc(a, (n + 1) * sizeof *notify);
	size_t m = 0, r = 0;

	while (e->mail_parameters != NULL && e->mail_parameters[m] != NULL)
		m++;
	while (e->rcpt_parameters != NULL && e->rcpt_parameters[r] != NULL)
		r++;
	if (e->recipient_notify != NULL && notify != NULL)
		e->recipient_notify = memcpy(notify, e->recipient_notify, n * sizeof *notify);
	return notify != NULL && keep(a, &e->from) && keep(a, &e->envid) && keep(a, &e->auth) &&
	       keep_list(a, &e->recipients, n) && keep_list(a, &e->mail_parameters, m) &&
	       keep_list(a, &e->rcpt_parameters, r) &&
	       (e->original_recipients == NULL || keep_list(a, &e->original_recipients, n));
}

enum ph_code
ph__direct_take(struct ph_client *c, struct ph__delivery *d, const struct ph_envelope *e,
                struct ph_error *err)
{
	struct ph__mail *m = ph__alloc0(&c->mem, sizeof *m);

	if (m == NULL)
		return ph__fail_nomem(err, PH_STAGE_PREPARE);
	d->mail = m;
	ph__arena_init(&m->arena, &c->mem);
	m->envelope = *e;
	m->submitted_us = ph__now_us();
	m->errors = ph__arena_alloc(&m->arena, e->recipient_count * sizeof(struct ph_error *));
	if (m->errors == NULL || !keep_envelope(&m->arena, &m->envelope)) {
		ph__mail_free(c, &d->mail);
		return ph__fail_nomem(err, PH_STAGE_PREPARE);
	}
	memset(m->errors, 0, e->recipient_count * sizeof(struct ph_error *));
	return PH_OK;
}

void
ph__mail_free(struct ph_client *c, struct ph__mail **m)
{
	if (*m == NULL)
		return;
	ph__arena_done(&(*m)->arena);
	ph__free(&c->mem, *m);
	*m = NULL;
}

/* ---- looking up ------------------------------------------------------------------------------ */

static uint64_t
random_seed(void)
{
	uint64_t seed;

	return getrandom(&seed, sizeof seed, GRND_NONBLOCK) == sizeof seed ? seed : ph__now_us();
}

enum ph_code
ph__direct_begin(struct ph_client *c, struct ph_error *err)
{
	struct ph__direct *d = c->direct;
	struct ph__routing_opts o = {
		.lookup = { .dns = d->opts.dns, .trust_anchor = d->opts.trust_anchor,
		            .sts_cache = d->opts.mta_sts_cache, .ca_file = d->tls.ca_file,
		            .ca_dir = d->tls.ca_dir, .family = c->opts.family,
		            .timeout_ms = c->opts.timeout_ms < PH__MS_LOOKUP ? c->opts.timeout_ms : 0 },
		.route = { .port = d->opts.mx_port, .dane = d->opts.dane, .no_mta_sts = d->opts.no_mta_sts,
		           .verified_only = d->tls.mode == PH_TLS_STARTTLS, .family = c->opts.family,
		           .own_names = d->opts.own_names, .own_name_count = d->opts.own_name_count },
	};
	enum ph_code rc;

	if (c->began_us == 0)
		c->began_us = ph__now_us();
	if (d->shown != NULL)
		ph__routing_let_go(d->shown);
	d->shown = NULL;
	if ((rc = ph__client_cancelled(c, PH_STAGE_RESOLVE, err)) != PH_OK)
		return rc;
	if (d->routing != NULL) {
		ph__routing_forget(d->routing, ph__now_ms());
		return PH_OK;
	}
	o.route.seed = random_seed();
	return ph__routing_new(&d->routing, &o, d->module, &c->mem, err);
}

/* Once around: waits for the look-ups, half a second at most, as a signal may come between looking for it
 * and waiting. False: cancelled. */
static bool
look_up_some(struct ph_client *c, uint64_t until_ms)
{
	struct ph__routing *r = c->direct->routing;
	uint64_t deadline = ph__routing_deadline(r), now = ph__now_ms();
	struct pollfd polled[PH__LOOKUP_FDS];
	int fds[PH__LOOKUP_FDS], wait;
	size_t n = ph__routing_fds(r, fds);

	if (until_ms < deadline)
		deadline = until_ms;
	for (size_t i = 0; i < n; i++)
		polled[i] = (struct pollfd){ .fd = fds[i], .events = POLLIN };
	wait = deadline <= now ? 0 : deadline - now < 500 ? (int)(deadline - now) : 500;
	wait = poll(polled, n, wait);
	ph__routing_process(r);
	return !ph__client_is_cancelled(c, wait <= 0);
}

static bool
is_known(const struct ph__routed *routed, size_t host)
{
	const struct ph__route *r = routed->route;

	if (ph__routed_is_settled(routed) || ph__route_state(r) == PH__ROUTE_FAILED)
		return true;
	return host != SIZE_MAX && ph__route_state(r) == PH__ROUTE_KNOWN &&
	       (host >= ph__route_host_count(r) || ph__route_host(r, host)->state != PH__HOST_ASKING);
}

bool
ph__direct_await(struct ph_client *c, const struct ph__routed *routed, size_t host)
{
	while (!is_known(routed, host))
		if (!look_up_some(c, UINT64_MAX))
			return false;
	return true;
}

/* Once in a client's life. */
static void
tell_troubles(struct ph_client *c)
{
	struct ph__direct *d = c->direct;
	const char *why = ph__routing_unvalidated(d->routing);

	if (why != NULL && !d->told_unvalidated) {
		d->told_unvalidated = true;
		ph__client_note(c, "DNS is not validated, so there is no DANE: ", why);
	}
	why = ph__routing_unkept(d->routing);
	if (why != NULL && !d->told_unkept) {
		d->told_unkept = true;
		ph__client_note(c, why, "");
	}
}

/* ---- who goes where -------------------------------------------------------------------------- */

static enum ph_code
find_route(struct ph_client *c, const char *address, bool relaxed, struct ph__routed **ret,
           struct ph_error *err)
{
	struct ph_str domain = ph__address_domain(ph__str(address));
	enum ph_code rc;

	if (domain.len == 0)
		return ph__fail(err, PH_EINPUT, PH_STAGE_ROUTE, PH_CAUSE_ARGUMENT,
		                "the recipient \"%.200s\" has no domain, so nobody knows his server", address);
	rc = ph__routing_find(c->direct->routing, domain, relaxed, ph__now_ms(), ret, err);
	if (rc == PH_EINPUT && err->stage < PH_STAGE_ROUTE)
		err->stage = PH_STAGE_ROUTE;
	return rc;
}

/* All domains' questions go out before the first answer is waited for. */
static void
find_routes(struct ph_client *c, struct ph__delivery *d, struct ph__routed **routes)
{
	for (size_t i = 0; i < d->txn->rcpt_count; i++) {
		struct ph_error why = PH_ERROR_INIT;

		if (find_route(c, d->txn->rcpts[i].out.address, d->mail->relaxed, &routes[i], &why) != PH_OK)
			ph__direct_decide(d, i, &why);
	}
}

static bool
is_of_one_domain(const struct ph__delivery *d, struct ph__routed *const *routes)
{
	for (size_t i = 1; i < d->txn->rcpt_count; i++)
		if (routes[i] != routes[0])
			return false;
	return true;
}

/* It may take a while, and nothing else is to be seen meanwhile. */
static void
tell_looking(struct ph_client *c, const struct ph__delivery *d, struct ph__routed *const *routes,
             bool one)
{
	size_t i = 0;

	while (i < d->txn->rcpt_count && (routes[i] == NULL || is_known(routes[i], 0)))
		i++;
	if (i < d->txn->rcpt_count)
		ph__client_note(c, "Looking up the mail servers of ",
		                one ? ph__route_domain(routes[i]->route) : "the recipients' domains");
}

static bool
await_routes(struct ph_client *c, struct ph__delivery *d, struct ph__routed *const *routes)
{
	bool one = is_of_one_domain(d, routes);
	size_t host = one ? 0 : SIZE_MAX;

	tell_looking(c, d, routes, one);
	for (size_t i = 0; i < d->txn->rcpt_count; i++)
		if (routes[i] != NULL && !ph__direct_await(c, routes[i], host))
			return false;
	tell_troubles(c);
	return true;
}

/* RFC 7505 §4.1: nobody could answer this sender. Only what is known for certain counts; a domain whose
 * servers cannot be looked up may have them. */
static bool
sender_takes_no_mail(struct ph_client *c, struct ph__routed *sender, struct ph_error *why)
{
	uint64_t until = ph__now_ms() + PH__MS_SENDER;
	const struct ph__route *r;

	if (sender == NULL)
		return false;
	r = sender->route;
	while (ph__route_state(r) == PH__ROUTE_ASKING && ph__now_ms() < until)
		if (!look_up_some(c, until))
			return false;
	if (ph__route_state(r) != PH__ROUTE_FAILED || ph__route_error(r)->cause != PH_CAUSE_NULL_MX)
		return false;
	ph__fail(why, PH_EREFUSED, PH_STAGE_ROUTE, PH_CAUSE_NULL_MX,
	         "the sender's domain %.200s takes no mail (RFC 7505), so nobody could answer, and servers "
	         "refuse such senders", ph__route_domain(r));
	memcpy(why->enhanced, (uint16_t[3]){ 5, 7, 27 }, sizeof why->enhanced);
	return true;
}

/* Who cannot be delivered to at all. */
static void
decide_unroutable(struct ph__delivery *d, struct ph__routed *const *routes)
{
	for (size_t i = 0; i < d->txn->rcpt_count; i++) {
		struct ph_error why;

		if (routes[i] == NULL || ph__route_state(routes[i]->route) != PH__ROUTE_FAILED)
			continue;
		why = ph__direct_route_error(routes[i]->route);
		ph__direct_decide(d, i, &why);
	}
}

/* ---- groups ---------------------------------------------------------------------------------- */

/* Equal for the same set of hosts, in any order. */
static uint64_t
digest(const struct ph__route *r)
{
	uint64_t sum = ph__route_host_count(r);

	for (size_t i = 0; i < ph__route_host_count(r); i++)
		sum += ph__str_hash(ph__str(ph__route_host(r, i)->name));
	return sum;
}

static bool
is_same(const struct ph__routed *a, const struct ph__routed *b, uint64_t digest_a, uint64_t digest_b)
{
	return a == b || (digest_a == digest_b && ph__routed_is_settled(a) && ph__routed_is_settled(b) &&
	                  ph__route_same(a->route, b->route));
}

/* Moves all who go the way of recipient `first` into the group. */
static void
gather(struct ph__delivery *d, struct ph__routed *const *routes, const uint64_t *digests, size_t first,
       struct ph__group *g)
{
	g->routed = routes[first];
	g->count = 0;
	for (size_t i = first; i < d->txn->rcpt_count; i++)
		if (routes[i] != NULL && d->txn->rcpts[i].out.outcome == PH_PENDING &&
		    is_same(routes[first], routes[i], digests[first], digests[i])) {
			g->why[g->count] = NULL;
			g->last[g->count] = (struct ph_recipient_outcome){ .session = PH__NO_SESSION };
			g->who[g->count++] = i;
		}
}

static void
tell_route(struct ph_client *c, const struct ph__group *g)
{
	const struct ph__route *r = g->routed->route;
	struct ph__buf b;

	if (c->opts.transcript == NULL)
		return;
	ph__buf_init(&b, &c->mem, 1024);
	ph__buf_addf(&b, "Mail for %.255s goes to", ph__route_domain(r));
	for (size_t i = 0; i < ph__route_host_count(r) && i < 4; i++) {
		const struct ph__route_host *h = ph__route_host(r, i);

		ph__buf_addf(&b, "%s %.120s (%u%s%s)", i != 0 ? "," : "", h->name, h->preference,
		             h->state == PH__HOST_READY ? ", " : "",
		             h->state == PH__HOST_READY ? ph__policy_name(h->tls) : "");
	}
	if (ph__route_host_count(r) > 4)
		ph__buf_addf(&b, " and %zu more", ph__route_host_count(r) - 4);
	ph__client_note(c, ph__buf_cstr(&b), "");
	ph__buf_done(&b);
}

/* The hosts in order, as they become known. */
static void
try_hosts(struct ph_client *c, struct ph__delivery *d, struct ph__group *g)
{
	for (size_t host = 0; g->count != 0; host++) {
		if (!ph__direct_await(c, g->routed, host) || host >= ph__route_host_count(g->routed->route))
			break;
		if (ph__route_state(g->routed->route) == PH__ROUTE_FAILED) {
			g->for_good = false; /* memory is out: what this host must prove nobody knows */
			break;
		}
		if (g->tries >= c->direct->opts.addresses) {
			g->for_good = false; /* others were not asked */
			break;
		}
		memset(g->done_here, 0, g->count * sizeof *g->done_here);
		ph__direct_try_host(c, d, g, host);
		if (ph__client_is_cancelled(c, false))
			break;
	}
}

static void
deliver(struct ph_client *c, struct ph__delivery *d, struct ph__group *g)
{
	g->tries = 0;
	g->for_good = d->mail->envelope.require_tls;
	tell_route(c, g);
	try_hosts(c, d, g);
	if (ph__client_is_cancelled(c, false)) {
		struct ph_error why = PH_ERROR_INIT;

		ph__client_cancelled(c, PH_STAGE_ROUTE, &why);
		for (size_t k = 0; k < g->count; k++)
			ph__direct_decide(d, g->who[k], &why);
		return;
	}
	ph__direct_settle(d, g);
}

static void
deliver_groups(struct ph_client *c, struct ph__delivery *d, struct ph__routed *const *routes)
{
	size_t n = d->txn->rcpt_count;
	struct ph__arena *a = &d->mail->arena;
	struct ph__group g = {
		.who = ph__arena_alloc(a, n * sizeof *g.who),
		.last = ph__arena_alloc(a, n * sizeof *g.last),
		.why = ph__arena_alloc(a, n * sizeof(struct ph_error *)),
		.done_here = ph__arena_alloc(a, n * sizeof *g.done_here),
	};
	uint64_t *digests = ph__arena_alloc(a, n * sizeof *digests);
	struct ph_error why = PH_ERROR_INIT;

	if (g.who == NULL || g.last == NULL || g.why == NULL || g.done_here == NULL || digests == NULL) {
		ph__fail_nomem(&why, PH_STAGE_ROUTE);
		ph__delivery_fail(c, d, &why);
		return;
	}
	for (size_t i = 0; i < n; i++)
		digests[i] = routes[i] == NULL ? 0
		             : i != 0 && routes[i] == routes[i - 1] ? digests[i - 1]
		             : ph__route_state(routes[i]->route) == PH__ROUTE_KNOWN ? digest(routes[i]->route) : 0;
	for (size_t i = 0; i < n; i++)
		if (d->txn->rcpts[i].out.outcome == PH_PENDING && routes[i] != NULL) {
			gather(d, routes, digests, i, &g);
			deliver(c, d, &g);
		}
}

/* ---- "TLS-Required: No" ---------------------------------------------------------------------- */

/* RFC 8689 §3: [FWS] "No". */
static bool
is_no(struct ph_str value)
{
	struct ph_str word = ph__str_trim(ph__str_line(&value));

	if (word.len == 0)
		word = ph__str_trim(ph__str_line(&value));
	return value.len == 0 && ph__str_is(word, "No");
}

/* RFC 8689 §3, §4.1: exactly one such field; of a message that demands TLS it says nothing. */
static bool
waives_tls(struct ph_client *c, const struct ph__delivery *d)
{
	struct ph__field_line f;
	struct ph__buf head;
	struct ph_str rest;
	size_t fields = 0, no = 0;

	if (d->mail->envelope.require_tls)
		return false;
	ph__buf_init(&head, &c->mem, 2 * PH__HEADER_BLOCK_MAX);
	rest = ph__source_peek(d->job.source, &head) ? ph__buf_str(&head) : ph__str("");
	while (ph__fields_next(&rest, &f))
		if (ph__str_is(f.name, "TLS-Required")) {
			fields++;
			no += is_no(f.value);
		}
	ph__buf_done(&head);
	return fields == 1 && no == 1;
}

/* What the user of this client demands is not the message's to waive. */
static void
heed_tls_required(struct ph_client *c, struct ph__delivery *d)
{
	const struct ph__direct *direct = c->direct;

	if (direct->opts.dane == PH_DANE_REQUIRED || direct->tls.mode == PH_TLS_STARTTLS ||
	    !waives_tls(c, d))
		return;
	d->mail->relaxed = true;
	ph__client_note(c, "The message says \"TLS-Required: No\": what its recipients' domains demand of TLS "
	                   "is not enforced (RFC 8689)", "");
}

/* ---- a message from beginning to end --------------------------------------------------------- */

static void
run_routes(struct ph_client *c, struct ph__delivery *d, struct ph__routed **routes,
           struct ph__routed **sender)
{
	struct ph_error why = PH_ERROR_INIT;
	const char *from = d->txn->from;

	find_routes(c, d, routes);
	if (*from != '\0' && ph__address_domain(ph__str(from)).len != 0 &&
	    find_route(c, from, true, sender, &why) != PH_OK)
		*sender = NULL;
	if (await_routes(c, d, routes) && !sender_takes_no_mail(c, *sender, &why)) {
		decide_unroutable(d, routes);
		deliver_groups(c, d, routes);
		return;
	}
	if (ph__client_is_cancelled(c, false))
		ph__client_cancelled(c, PH_STAGE_RESOLVE, &why);
	for (size_t i = 0; i < d->txn->rcpt_count; i++)
		ph__direct_decide(d, i, &why);
}

void
ph__direct_run(struct ph_client *c, struct ph__delivery *d)
{
	struct ph__routed *sender = NULL, **routes;
	struct ph_error why = PH_ERROR_INIT;
	size_t n = d->txn->rcpt_count;

	d->txn->session = PH__NO_SESSION;
	d->state = PH__FINISHED;
	if (ph__direct_begin(c, &why) != PH_OK || ph__delivery_examine(c, d, &why) != PH_OK) {
		ph__delivery_fail(c, d, &why);
		return;
	}
	if ((routes = ph__arena_alloc(&d->mail->arena, n * sizeof(struct ph__routed *))) == NULL) {
		ph__fail_nomem(&why, PH_STAGE_ROUTE);
		ph__delivery_fail(c, d, &why);
		return;
	}
	memset(routes, 0, n * sizeof(struct ph__routed *));
	heed_tls_required(c, d);
	run_routes(c, d, routes, &sender);
	for (size_t i = 0; i < n; i++)
		if (routes[i] != NULL)
			ph__routing_let_go(routes[i]);
	if (sender != NULL)
		ph__routing_let_go(sender);
}
