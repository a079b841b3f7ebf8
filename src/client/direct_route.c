/* SPDX-License-Identifier: MIT */
/* ph_client_route(): a route as its caller sees it, made of the one that deliveries use. */
#include "client/direct.h"

#include <string.h>

#include "base/clock.h"
#include "route/dane.h"

static const char *const *
tlsa_texts(struct ph__arena *a, const struct ph__route_host *h)
{
	const char **list = ph__arena_alloc(a, (h->tlsa_count + 1) * sizeof *list);
	char text[PH__TLSA_TEXT];

	for (size_t i = 0; list != NULL && i < h->tlsa_count; i++) {
		ph__tlsa_text(text, sizeof text, &h->tlsa[i]);
		if ((list[i] = ph__arena_strndup(a, text, strlen(text))) == NULL)
			return NULL;
	}
	return list;
}

static bool
show_host(struct ph__arena *a, struct ph_route_host *to, const struct ph__route_host *h)
{
	bool dane = h->state == PH__HOST_READY && h->tls == PH__HOST_MUST_DANE;

	*to = (struct ph_route_host){
		.size = sizeof *to, .name = h->name, .preference = h->preference,
		.addresses = h->addresses, .address_count = h->address_count,
		.policy = ph__policy_name(h->tls),
		.verified_only = h->tls == PH__HOST_MUST_DANE || h->tls == PH__HOST_MUST_STS ||
		                 h->tls == PH__HOST_MUST_NAME,
		.error = h->state == PH__HOST_UNUSABLE ? &h->error : NULL,
	};
	if (!dane)
		return true;
	to->tlsa_count = h->tlsa_count;
	return (to->tlsa = tlsa_texts(a, h)) != NULL;
}

static enum ph_code
show(struct ph_client *c, struct ph_error *err)
{
	struct ph__direct *d = c->direct;
	const struct ph__route *r = d->shown->route;
	const struct ph__sts_policy *sts = ph__route_sts(r);
	size_t n = ph__route_host_count(r);
	struct ph_route_host *hosts;

	ph__arena_reset(&d->show);
	if ((hosts = ph__arena_alloc(&d->show, (n + 1) * sizeof *hosts)) == NULL)
		return ph__fail_nomem(err, PH_STAGE_ROUTE);
	for (size_t i = 0; i < n; i++)
		if (!show_host(&d->show, &hosts[i], ph__route_host(r, i)))
			return ph__fail_nomem(err, PH_STAGE_ROUTE);
	d->route = (struct ph_route){
		.size = sizeof d->route, .domain = ph__route_domain(r),
		.dnssec = ph__direct_dnssec(c, r), .why_off = ph__routing_unvalidated(d->routing),
		.implicit = ph__route_is_implicit(r),
		.mta_sts = sts != NULL ? ph__sts_mode_name(sts->mode) : NULL,
		.mta_sts_id = sts != NULL && sts->id != NULL && *sts->id != '\0' ? sts->id : NULL,
		.mta_sts_problem = ph__route_sts_problem(r), .hosts = hosts, .host_count = n,
	};
	return PH_OK;
}

static enum ph_code
not_direct(struct ph_error *err)
{
	ph__fail(err, PH_EUSAGE, PH_STAGE_PREPARE, PH_CAUSE_STATE,
	         "this client has a server, and knows no routes");
	ph__hint(err, "make one with ph_client_opts.direct");
	return PH_EUSAGE;
}

enum ph_code
ph_client_route(struct ph_client *c, const char *domain, const struct ph_route **ret,
                struct ph_error *err)
{
	enum ph_code rc;

	if (c->direct == NULL)
		return not_direct(err);
	if (domain == NULL || *domain == '\0')
		return ph__fail(err, PH_EINPUT, PH_STAGE_PREPARE, PH_CAUSE_ARGUMENT, "no domain was named");
	if ((rc = ph__direct_begin(c, err)) != PH_OK ||
	    (rc = ph__routing_find(c->direct->routing, ph__str(domain), false, ph__now_ms(),
	                           &c->direct->shown, err)) != PH_OK)
		return rc;
	if (!ph__direct_await(c, c->direct->shown, SIZE_MAX))
		return ph__client_cancelled(c, PH_STAGE_RESOLVE, err);
	if (ph__route_state(c->direct->shown->route) == PH__ROUTE_FAILED) {
		struct ph_error why = ph__direct_route_error(c->direct->shown->route);

		ph__session_hint(NULL, NULL, &why);
		ph__error_copy(err, &why);
		return why.code;
	}
	if ((rc = show(c, err)) == PH_OK && ret != NULL)
		*ret = &c->direct->route;
	return rc;
}
