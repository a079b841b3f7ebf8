/* SPDX-License-Identifier: MIT */
/* Routes and the look-up module. See routing.h.
 *
 *	WAITING --its turn--> ASKING --no question open--> SETTLED
 *
 * What an answer leads to is asked after the module has given all it had, never from inside its call.
 * Routes are found by a hash of their domain, and stand in a list by age for forgetting. */
#include "drive/routing.h"

#include <assert.h>

#include "base/bounds.h"
#include "base/error.h"
#include "mail/address.h"

#define BUCKETS 1024

struct ph__routing {
	const struct ph_allocator *mem;
	const struct ph__lookup_module *module;
	struct ph__lookup *lookup;
	struct ph__route_opts route;
	struct ph__routed *buckets[BUCKETS];
	struct ph__routed *oldest, *youngest;
	struct ph__routed *waiting, *waiting_last; /* for their turn */
	struct ph__routed *news;
	size_t count, asking;
	uint64_t made;
};

enum ph_code
ph__routing_new(struct ph__routing **ret, const struct ph__routing_opts *opts,
                const struct ph__lookup_module *module, const struct ph_allocator *mem,
                struct ph_error *err)
{
	struct ph__routing *r;
	enum ph_code rc;

	if (module == NULL && (module = ph__lookup_module(err)) == NULL)
		return PH_ECONFIG;
	if ((r = ph__alloc0(mem, sizeof *r)) == NULL)
		return ph__fail_nomem(err, PH_STAGE_RESOLVE);
	r->mem = mem;
	r->module = module;
	r->route = opts->route;
	if ((rc = module->open(&r->lookup, &opts->lookup, mem, err)) != PH_OK) {
		ph__free(mem, r);
		return rc;
	}
	*ret = r;
	return PH_OK;
}

static size_t
bucket_of(const char *domain, bool relaxed)
{
	return (size_t)((ph__str_hash(ph__str(domain)) + relaxed) % BUCKETS);
}

/* ---- asking ---------------------------------------------------------------------------------- */

static void
answered(struct ph__asker *asker, unsigned id, const struct ph__answer *a)
{
	struct ph__routed *d = (struct ph__routed *)asker;

	ph__route_answer(d->route, id, a);
	if (d->has_news)
		return;
	d->has_news = true;
	d->queued = d->routing->news;
	d->routing->news = d;
}

static void
ask(struct ph__routing *r, struct ph__routed *d)
{
	struct ph__question q;

	while (ph__route_question(d->route, &q))
		r->module->ask(r->lookup, &q, &d->asker);
	if (!ph__route_is_settled(d->route))
		return;
	d->state = PH__ROUTED_SETTLED;
	r->asking--;
}

static void
begin_those_waiting(struct ph__routing *r)
{
	while (r->waiting != NULL && r->asking < PH__ROUTES_MAX) {
		struct ph__routed *d = r->waiting;

		r->waiting = d->queued;
		d->queued = NULL;
		d->state = PH__ROUTED_ASKING;
		r->asking++;
		ask(r, d);
	}
}

void
ph__routing_process(struct ph__routing *r)
{
	r->module->process(r->lookup);
	while (r->news != NULL) {
		struct ph__routed *d = r->news;

		r->news = d->queued;
		d->queued = NULL;
		d->has_news = false;
		if (d->state == PH__ROUTED_ASKING)
			ask(r, d);
	}
	begin_those_waiting(r);
}

/* ---- finding --------------------------------------------------------------------------------- */

static struct ph__routed *
known(const struct ph__routing *r, const char *domain, bool relaxed, uint64_t now_ms)
{
	struct ph__routed *d = r->buckets[bucket_of(domain, relaxed)];

	while (d != NULL && (d->relaxed != relaxed || strcmp(ph__route_domain(d->route), domain) != 0 ||
	                     (now_ms - d->found_ms > PH__MS_ROUTE && d->held == 0)))
		d = d->same_hash;
	return d;
}

static void
dispose(struct ph__routing *r, struct ph__routed *d)
{
	ph__route_free(&d->route);
	ph__free(r->mem, d);
}

static enum ph_code
make(struct ph__routing *r, const char *domain, bool relaxed, struct ph__routed **ret,
     struct ph_error *err)
{
	struct ph__routed *d = ph__alloc0(r->mem, sizeof *d);
	struct ph__route_opts o = r->route;
	enum ph_code rc;

	if (d == NULL)
		return ph__fail_nomem(err, PH_STAGE_RESOLVE);
	o.domain = domain;
	o.seed += r->made++ * 0x9e3779b97f4a7c15u;
	if (relaxed) {
		o.dane = PH_DANE_OFF;
		o.no_mta_sts = true;
	}
	if ((rc = ph__route_new(&d->route, &o, r->mem, err)) != PH_OK) {
		ph__free(r->mem, d);
		return rc;
	}
	d->asker.answered = answered;
	d->routing = r;
	d->relaxed = relaxed;
	*ret = d;
	return PH_OK;
}

static void
enlist(struct ph__routing *r, struct ph__routed *d, uint64_t now_ms)
{
	size_t b = bucket_of(ph__route_domain(d->route), d->relaxed);

	d->found_ms = now_ms;
	d->same_hash = r->buckets[b];
	r->buckets[b] = d;
	if (r->youngest != NULL)
		r->youngest->younger = d;
	else
		r->oldest = d;
	r->youngest = d;
	if (r->waiting == NULL)
		r->waiting = d;
	else
		r->waiting_last->queued = d;
	r->waiting_last = d;
	r->count++;
}

enum ph_code
ph__routing_find(struct ph__routing *r, struct ph_str domain, bool relaxed, uint64_t now_ms,
                 struct ph__routed **ret, struct ph_error *err)
{
	struct ph__routed *d = NULL;
	struct ph__buf name;
	enum ph_code rc;

	ph__buf_init(&name, r->mem, PH__DOMAIN_MAX + 2);
	rc = ph__domain_canonical(&name, domain, err);
	if (rc == PH_OK && (d = known(r, ph__buf_cstr(&name), relaxed, now_ms)) == NULL &&
	    (rc = make(r, ph__buf_cstr(&name), relaxed, &d, err)) == PH_OK) {
		enlist(r, d, now_ms);
		begin_those_waiting(r);
	}
	ph__buf_done(&name);
	if (rc != PH_OK)
		return rc;
	d->held++;
	*ret = d;
	return PH_OK;
}

void
ph__routing_let_go(struct ph__routed *d)
{
	assert(d->held != 0);
	d->held--;
}

bool
ph__routed_is_settled(const struct ph__routed *d)
{
	return d->state == PH__ROUTED_SETTLED;
}

/* ---- forgetting ------------------------------------------------------------------------------ */

static void
take_out(struct ph__routed **list, const struct ph__routed *d)
{
	while (*list != NULL && *list != d)
		list = &(*list)->queued;
	if (*list == d)
		*list = d->queued;
}

static void
forget(struct ph__routing *r, struct ph__routed *d)
{
	struct ph__routed **at = &r->buckets[bucket_of(ph__route_domain(d->route), d->relaxed)];

	while (*at != d)
		at = &(*at)->same_hash;
	*at = d->same_hash;
	if (d->state == PH__ROUTED_WAITING) {
		take_out(&r->waiting, d);
		for (r->waiting_last = r->waiting;
		     r->waiting_last != NULL && r->waiting_last->queued != NULL;
		     r->waiting_last = r->waiting_last->queued)
			;
	} else if (d->state == PH__ROUTED_ASKING) {
		r->module->forget(r->lookup, &d->asker);
		r->asking--;
	}
	if (d->has_news)
		take_out(&r->news, d);
	r->count--;
	dispose(r, d);
}

void
ph__routing_forget(struct ph__routing *r, uint64_t now_ms)
{
	struct ph__routed *d = r->oldest, *next, *last = NULL;

	r->oldest = NULL;
	for (; d != NULL; d = next) {
		next = d->younger;
		if (d->held == 0 && (r->count > PH__ROUTES_MAX || now_ms - d->found_ms > PH__MS_ROUTE)) {
			forget(r, d);
			continue;
		}
		if (last != NULL)
			last->younger = d;
		else
			r->oldest = d;
		last = d;
	}
	if (last != NULL)
		last->younger = NULL;
	r->youngest = last;
	begin_those_waiting(r);
}

void
ph__routing_free(struct ph__routing **r)
{
	struct ph__routing *x = *r;

	if (x == NULL)
		return;
	x->module->close(&x->lookup);
	for (struct ph__routed *d = x->oldest, *next; d != NULL; d = next) {
		next = d->younger;
		dispose(x, d);
	}
	ph__free(x->mem, x);
	*r = NULL;
}

/* ---- waiting --------------------------------------------------------------------------------- */

size_t
ph__routing_fds(const struct ph__routing *r, int fds[PH__LOOKUP_FDS])
{
	return r->module->fds(r->lookup, fds);
}

uint64_t
ph__routing_deadline(const struct ph__routing *r)
{
	return r->module->deadline(r->lookup);
}

const char *
ph__routing_unvalidated(const struct ph__routing *r)
{
	return r->module->unvalidated(r->lookup);
}

const char *
ph__routing_unkept(const struct ph__routing *r)
{
	return r->module->unkept(r->lookup);
}
