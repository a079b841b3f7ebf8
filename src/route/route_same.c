/* SPDX-License-Identifier: MIT */
/* Whether two domains' mail can go in one transaction (RFC 5321 §4.5.4.1). See route.h. Equal
 * preferences are in random order, so hosts are found by name; a preference counts by its rank:
 * 10, 20 is the same as 5, 7. */
#include "route/route_inside.h"

static size_t
rank_of(const struct ph__route *r, const struct ph__route_host *h)
{
	size_t rank = 0;

	for (size_t i = 0; i < r->host_count; i++)
		rank += r->hosts[i].is.preference < h->preference;
	return rank;
}

static const struct ph__route_host *
find(const struct ph__route *r, const char *name)
{
	for (size_t i = 0; i < r->host_count; i++)
		if (strcmp(r->hosts[i].is.name, name) == 0)
			return &r->hosts[i].is;
	return NULL;
}

static bool
has_address(const struct ph__route_host *h, const char *address)
{
	for (size_t i = 0; i < h->address_count; i++)
		if (strcmp(h->addresses[i], address) == 0)
			return true;
	return false;
}

static bool
same_addresses(const struct ph__route_host *a, const struct ph__route_host *b)
{
	if (a->address_count != b->address_count)
		return false;
	for (size_t i = 0; i < a->address_count; i++)
		if (!has_address(b, a->addresses[i]))
			return false;
	return true;
}

static bool
has_tlsa(const struct ph__route_host *h, const struct ph_tlsa *x)
{
	for (size_t i = 0; i < h->tlsa_count; i++) {
		const struct ph_tlsa *t = &h->tlsa[i];

		if (t->usage == x->usage && t->selector == x->selector && t->matching == x->matching &&
		    t->len == x->len && memcmp(t->data, x->data, x->len) == 0)
			return true;
	}
	return false;
}

/* DANE-TA looks at names, and the domain's is among them (RFC 7672 §3.2.2). */
static bool
same_tlsa(const struct ph__route_host *a, const struct ph__route_host *b)
{
	if (a->tlsa_count != b->tlsa_count)
		return false;
	if (a->tlsa_count != 0 && strcmp(a->base, b->base) != 0)
		return false;
	for (size_t i = 0; i < a->tlsa_count; i++)
		if (a->tlsa[i].usage == 2 || !has_tlsa(b, &a->tlsa[i]))
			return false;
	return true;
}

static bool
same_result(const char *a, const char *b)
{
	return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static bool
same_host(const struct ph__route_host *a, const struct ph__route_host *b)
{
	if (a->state != b->state || !same_result(a->result, b->result))
		return false;
	if (a->state == PH__HOST_UNUSABLE)
		return a->error.code == b->error.code && a->error.cause == b->error.cause;
	return a->tls == b->tls && a->mx_proved == b->mx_proved && same_addresses(a, b) &&
	       same_tlsa(a, b);
}

bool
ph__route_same(const struct ph__route *a, const struct ph__route *b)
{
	if (a == b)
		return true;
	if (a->state != PH__ROUTE_KNOWN || b->state != PH__ROUTE_KNOWN ||
	    !ph__route_is_settled(a) || !ph__route_is_settled(b) || a->host_count != b->host_count)
		return false;
	for (size_t i = 0; i < a->host_count; i++) {
		const struct ph__route_host *x = &a->hosts[i].is, *y = find(b, x->name);

		if (y == NULL || rank_of(a, x) != rank_of(b, y) || !same_host(x, y))
			return false;
	}
	return true;
}
