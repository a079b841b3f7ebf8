/* SPDX-License-Identifier: MIT */
/* The look-up module's table (route/lookup.h): questions to the resolver, policies from the cache or
 * fetched.
 *
 * A lookup belongs to one thread, and so do its askers: a client's, or the one that asks for all
 * threads of an engine. What libunbound and libcurl do in threads of their own comes back through
 * process().
 *
 * A policy is fetched from addresses that the resolver gives, so that one place decides who is asked for
 * names. Where it cannot be had, one that is kept from before holds (RFC 8461 §5.1). The resolver
 * and each fetch have their deadlines; together they have none from the question on, or many hosts that
 * never answer would make other domains' policies fail. */
#include "route/lookup.h"

#include <arpa/inet.h>
#include <stdio.h>

#include "base/bounds.h"
#include "base/build.h"
#include "base/clock.h"
#include "base/error.h"
#include "route/domain.h"
#include "route/lookup/fetch.h"
#include "route/lookup/policy_cache.h"
#include "route/lookup/resolver.h"

#define STS_HOST "mta-sts."

/* The addresses of a policy's host, as text. */
struct addresses {
	char text[2 * PH__MX_ADDRESSES][INET6_ADDRSTRLEN];
	size_t count;
	unsigned open;                /* questions for them */
	char why[256];                /* there are none */
	char host[];                  /* mta-sts.DOMAIN */
};

/* One question that is open. */
struct asked {
	struct ph__lookup *l;
	struct asked *prev, *next;
	struct ph__asker *asker;
	unsigned id;
	enum ph__question_kind kind;
	struct ph__ask dns[2];        /* the question; of a policy: A and AAAA of its host */
	struct addresses *addresses;  /* of a policy that is to be fetched; NULL: the cache answers */
	bool lost;                    /* whether a policy is kept cannot be told */
	const char *sts_id;           /* behind the name; NULL */
	char name[];
};

/* What can be answered at once is in front. */
struct list {
	struct asked *first, *last;
};

struct ph__lookup {
	const struct ph_allocator *mem;
	struct ph__resolver *resolver;
	struct ph__policy_cache *policies;
	struct ph__fetch *fetch;
	struct list open[PH__ASK_STS + 1];
	uint64_t timeout_ms;
	int family;
};

/* ---- open questions ---- */

static void
insert(struct asked *a, bool in_front)
{
	struct list *list = &a->l->open[a->kind];

	a->prev = in_front ? NULL : list->last;
	a->next = in_front ? list->first : NULL;
	*(a->prev != NULL ? &a->prev->next : &list->first) = a;
	*(a->next != NULL ? &a->next->prev : &list->last) = a;
}

static void
drop(struct asked *a)
{
	struct ph__lookup *l = a->l;
	struct list *list = &l->open[a->kind];

	for (size_t i = 0; i < 2; i++)
		ph__resolver_forget(&a->dns[i]);
	if (a->kind == PH__ASK_STS && a->addresses != NULL)
		ph__fetch_forget(l->fetch, a);
	*(a->prev != NULL ? &a->prev->next : &list->first) = a->next;
	*(a->next != NULL ? &a->next->prev : &list->last) = a->prev;
	ph__free(l->mem, a->addresses);
	ph__free(l->mem, a);
}

static void
tell(struct asked *a, const struct ph__answer *answer)
{
	struct ph__asker *asker = a->asker;
	unsigned id = a->id;

	drop(a);
	asker->answered(asker, id, answer);
}

/* ---- DNS ---- */

static void
on_dns(struct ph__ask *dns, const struct ph__dns_answer *answer)
{
	struct asked *a = (struct asked *)((char *)dns - offsetof(struct asked, dns[0]));

	tell(a, &(struct ph__answer){ .kind = PH__ASK_DNS, .dns = *answer });
}

/* ---- policies ---- */

/* Whatever came of a fetch, the policy that holds now is the cache's. */
static void
tell_policy(struct asked *a, enum ph__sts_failure failure, const char *why)
{
	const struct ph__sts_policy *policy = ph__policy_cache_policy(a->l->policies, a->name,
	                                                              ph__wall_s());

	tell(a, &(struct ph__answer){ .kind = PH__ASK_STS,
	                              .sts = { .policy = policy, .failure = failure, .why = why } });
}

static void
tell_failed(struct asked *a, enum ph__sts_failure failure, const char *why)
{
	char kept[512];

	snprintf(kept, sizeof kept, "%s", why != NULL ? why : "no reason given");
	ph__policy_cache_failed(a->l->policies, a->name, a->sts_id, ph__wall_s());
	tell_policy(a, failure, kept);
}

/* Without a fetch: it is fresh, or none is announced, or a fetch failed a short while ago. */
static void
tell_kept(struct asked *a)
{
	const struct ph__sts_policy *p = ph__policy_cache_policy(a->l->policies, a->name,
	                                                         ph__wall_s());

	if (a->lost)
		tell_policy(a, PH__STS_UNKNOWN, "it cannot be told whether a policy is kept");
	else if (a->sts_id == NULL || (p != NULL && strcmp(p->id, a->sts_id) == 0))
		tell_policy(a, PH__STS_FINE, NULL);
	else
		tell_policy(a, PH__STS_FETCH_ERROR, "it could not be had less than five minutes ago");
}

static bool
is_host(struct ph_str data, enum ph__dns_type type)
{
	const uint8_t *octets = (const uint8_t *)data.ptr;

	return type == PH__DNS_A ? data.len == 4 && ph__address4_is_host(octets)
	                         : data.len == 16 && ph__address6_is_host(octets);
}

static void
add_addresses(struct addresses *to, const struct ph__dns_answer *answer, enum ph__dns_type type)
{
	size_t room = to->count + PH__MX_ADDRESSES;

	for (size_t i = 0; i < answer->count && to->count < room; i++)
		if (is_host(answer->data[i], type) &&
		    inet_ntop(type == PH__DNS_A ? AF_INET : AF_INET6, answer->data[i].ptr,
		              to->text[to->count], INET6_ADDRSTRLEN) != NULL)
			to->count++;
}

static void
fetch(struct asked *a)
{
	const char *addresses[2 * PH__MX_ADDRESSES];
	struct ph_error err = PH_ERROR_INIT;

	for (size_t i = 0; i < a->addresses->count; i++)
		addresses[i] = a->addresses->text[i];
	if (ph__fetch_begin(a->l->fetch, a->name, addresses, a->addresses->count, a, &err) != PH_OK) {
		if (err.code == PH_ESYSTEM)
			tell_policy(a, PH__STS_UNKNOWN, err.text);
		else
			tell_failed(a, PH__STS_FETCH_ERROR, err.text);
	}
}

static void
on_address(struct asked *a, enum ph__dns_type type, const struct ph__dns_answer *answer)
{
	struct addresses *to = a->addresses;

	if (answer->status == PH__DNS_FOUND)
		add_addresses(to, answer, type);
	else if (answer->status >= PH__DNS_FAILED || *to->why == '\0')
		snprintf(to->why, sizeof to->why, "%s: %s", to->host,
		         answer->status == PH__DNS_NXDOMAIN ? "there is no such name" :
		         answer->status == PH__DNS_NODATA ? "it has no address" :
		         answer->why != NULL ? answer->why : "no answer of the DNS");
	if (--to->open > 0)
		return;
	if (to->count > 0)
		fetch(a);
	else
		tell_failed(a, PH__STS_FETCH_ERROR, *to->why != '\0' ? to->why :
		            "its host has no address that can be used");
}

static void
on_a(struct ph__ask *dns, const struct ph__dns_answer *answer)
{
	on_address((struct asked *)((char *)dns - offsetof(struct asked, dns[0])), PH__DNS_A, answer);
}

static void
on_aaaa(struct ph__ask *dns, const struct ph__dns_answer *answer)
{
	on_address((struct asked *)((char *)dns - offsetof(struct asked, dns[1])), PH__DNS_AAAA,
	           answer);
}

static bool
prepare_fetch(struct asked *a)
{
	size_t size = sizeof STS_HOST + strlen(a->name);

	a->addresses = ph__alloc0(a->l->mem, sizeof *a->addresses + size);
	if (a->addresses == NULL)
		return false;
	snprintf(a->addresses->host, size, STS_HOST "%s", a->name);
	return true;
}

static void
ask_policy(struct asked *a)
{
	struct ph__lookup *l = a->l;
	struct ph__sts_todo todo = ph__policy_cache_look(l->policies, a->name, a->sts_id, ph__wall_s(),
	                                                 NULL);
	uint64_t due = ph__now_ms() + l->timeout_ms;

	a->lost = todo.lost;
	if (todo.fetch && !todo.lost && !prepare_fetch(a))
		a->lost = true;
	if (a->addresses == NULL) {
		insert(a, true);
		return;
	}
	insert(a, false);
	a->addresses->open = (l->family != 6) + (l->family != 4);
	a->dns[0].answered = on_a;
	a->dns[1].answered = on_aaaa;
	if (l->family != 6)
		ph__resolver_ask(l->resolver, &a->dns[0], a->addresses->host, PH__DNS_A, due);
	if (l->family != 4)
		ph__resolver_ask(l->resolver, &a->dns[1], a->addresses->host, PH__DNS_AAAA, due);
}

/* ---- the table ---- */

static void
ask(struct ph__lookup *l, const struct ph__question *q, struct ph__asker *asker)
{
	size_t size = strlen(q->name) + 1, id_size = q->sts_id != NULL ? strlen(q->sts_id) + 1 : 0;
	struct asked *a = ph__alloc0(l->mem, sizeof *a + size + id_size);

	if (a == NULL) {
		struct ph__answer answer = { .kind = q->kind };

		if (q->kind == PH__ASK_DNS)
			answer.dns = (struct ph__dns_answer){ .status = PH__DNS_FAILED,
			                                      .why = "out of memory" };
		else
			answer.sts = (struct ph__sts_answer){ .failure = PH__STS_UNKNOWN,
			                                      .why = "out of memory" };
		asker->answered(asker, q->id, &answer);
		return;
	}
	a->l = l;
	a->asker = asker;
	a->id = q->id;
	a->kind = q->kind;
	memcpy(a->name, q->name, size);
	if (q->sts_id != NULL)
		a->sts_id = memcpy(a->name + size, q->sts_id, id_size);
	if (q->kind == PH__ASK_STS) {
		ask_policy(a);
		return;
	}
	a->dns[0].answered = on_dns;
	insert(a, false);
	ph__resolver_ask(l->resolver, &a->dns[0], a->name, q->type, ph__now_ms() + l->timeout_ms);
}

static void
forget(struct ph__lookup *l, struct ph__asker *asker)
{
	for (size_t kind = 0; kind <= PH__ASK_STS; kind++)
		for (struct asked *a = l->open[kind].first, *next; a != NULL; a = next) {
			next = a->next;
			if (a->asker == asker)
				drop(a);
		}
}

static size_t
fds(const struct ph__lookup *l, int to[PH__LOOKUP_FDS])
{
	to[0] = ph__resolver_fd(l->resolver);
	to[1] = ph__fetch_fd(l->fetch);
	return 2;
}

static uint64_t
deadline(const struct ph__lookup *l)
{
	const struct asked *a = l->open[PH__ASK_STS].first;

	return a != NULL && a->addresses == NULL ? 0 : ph__resolver_deadline(l->resolver);
}

static void
take_fetched(struct ph__lookup *l, const struct ph__fetched *r)
{
	struct asked *a = r->user;
	struct ph_error err = PH_ERROR_INIT;
	enum ph_code code;

	if (r->failure != PH__STS_FINE) {
		tell_failed(a, r->failure, r->why);
		return;
	}
	code = ph__policy_cache_store(l->policies, a->name, a->sts_id, r->body, ph__wall_s(), &err);
	if (code == PH_OK)
		tell_policy(a, PH__STS_FINE, NULL);
	else
		tell_policy(a, code == PH_EPROTOCOL ? PH__STS_POLICY_INVALID : PH__STS_UNKNOWN, err.text);
}

static void
process(struct ph__lookup *l)
{
	struct ph__fetched *r;
	struct asked *a;

	ph__resolver_process(l->resolver);
	while ((r = ph__fetch_next(l->fetch)) != NULL) {
		take_fetched(l, r);
		ph__fetched_free(&r);
	}
	while ((a = l->open[PH__ASK_STS].first) != NULL && a->addresses == NULL)
		tell_kept(a);
}

static const char *
unvalidated(const struct ph__lookup *l)
{
	return ph__resolver_unvalidated(l->resolver);
}

static const char *
unkept(const struct ph__lookup *l)
{
	return ph__policy_cache_problem(l->policies);
}

static void
close_lookup(struct ph__lookup **l)
{
	struct ph__lookup *it = *l;

	*l = NULL;
	if (it == NULL)
		return;
	for (size_t kind = 0; kind <= PH__ASK_STS; kind++)
		while (it->open[kind].first != NULL)
			drop(it->open[kind].first);
	ph__fetch_free(&it->fetch);
	ph__resolver_free(&it->resolver);
	ph__policy_cache_free(&it->policies);
	ph__free(it->mem, it);
}

static enum ph_code
open_lookup(struct ph__lookup **ret, const struct ph__lookup_opts *opts,
            const struct ph_allocator *mem, struct ph_error *err)
{
	struct ph__fetch_opts fetch_opts = { .ca_file = opts->ca_file, .ca_dir = opts->ca_dir };
	struct ph__lookup *l = ph__alloc0(mem, sizeof *l);
	enum ph_code code;

	*ret = l;
	if (l == NULL)
		return ph__fail_nomem(err, PH_STAGE_PREPARE);
	l->mem = mem;
	l->family = opts->family;
	l->timeout_ms = opts->timeout_ms != 0 ? opts->timeout_ms : PH__MS_LOOKUP;
	if ((code = ph__resolver_new(&l->resolver, opts, mem, err)) != PH_OK ||
	    (code = ph__policy_cache_new(&l->policies, opts->sts_cache, mem, err)) != PH_OK ||
	    (code = ph__fetch_new(&l->fetch, &fetch_opts, err)) != PH_OK)
		close_lookup(ret);
	return code;
}

const struct ph__lookup_module ph__module_lookup = {
	.build_id = PH__BUILD_ID,
	.open = open_lookup,
	.ask = ask,
	.forget = forget,
	.fds = fds,
	.deadline = deadline,
	.process = process,
	.unvalidated = unvalidated,
	.unkept = unkept,
	.close = close_lookup,
};
