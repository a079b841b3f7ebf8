/* SPDX-License-Identifier: MIT */
/* One server of a route: its addresses, its TLSA records, and how securely it must be reached.
 *
 *   1. AAAA and A at the same time. An answer that is bogus is never "insecure", nor "none":
 *      the host is unusable. One that failed is no reason not to use the other family's addresses
 *      (RFC 5321 §5.1).
 *   2. No answer validated: no TLSA records are asked for, as broken name servers do not
 *      survive the question (RFC 7672 §2.2.2); but where the name is an alias, the CNAME itself
 *      may be secure.
 *   3. TLSA at the alias' end, where every step to it is secure, then at the name itself
 *      (§2.2.3). A look-up that fails makes the host unusable: it may hide records (§2.1.1,
 *      §2.1.2).
 *   4. Secure and usable TLSA records of a server that validated MX records name settle it (§2.2).
 *      Else MTA-STS is asked (RFC 8461 §2), and an enforced policy holds beside TLSA records: behind an
 *      unsigned MX record these prove a host that whoever forged the record may have chosen, and
 *      unusable ones prove nobody. */
#include "route/route_inside.h"

#include <arpa/inet.h>
#include <stdio.h>

#include "base/error.h"
#include "route/dane.h"
#include "route/domain.h"

/* The host will not be used; is.error is filled. */
static void
give_up(struct ph__host *h, const char *result)
{
	h->is.state = PH__HOST_UNUSABLE;
	h->is.result = result;
}

static struct ph_error *
error_of(struct ph__host *h)
{
	h->is.error = (struct ph_error)PH_ERROR_INIT;
	return &h->is.error;
}

/* A look-up without which it cannot be known how securely the host must be reached. */
static void
give_up_look_up(struct ph__host *h, const char *what, const struct ph__dns_answer *a,
                const char *result)
{
	bool bogus = a->trust == PH__DNS_BOGUS;
	char buf[PH__QUOTE_SIZE];

	ph__fail(error_of(h), PH_EDEFERRED, PH_STAGE_ROUTE,
	         bogus ? PH_CAUSE_DNS_BOGUS : PH_CAUSE_RESOLVER,
	         "the %s of %.253s %s, so the server is not used: %s", what, h->is.name,
	         bogus ? "fail DNSSEC validation" : "cannot be looked up", ph__route_why(buf, a));
	give_up(h, result);
}

void
ph__host_begin(struct ph__host *h)
{
	struct ph__route *r = h->route;

	if (!ph__name_is_host(ph__str(h->is.name))) {
		ph__fail(error_of(h), PH_EREFUSED, PH_STAGE_ROUTE, PH_CAUSE_MX_UNUSABLE,
		         "the MX record of %s names '%.200s', which is not a host name", r->domain,
		         h->is.name);
		give_up(h, NULL);
		return;
	}
	h->found[PH__IP6].asked = r->opts.family != 4;
	h->found[PH__IP4].asked = r->opts.family != 6;
	if (h->found[PH__IP6].asked)
		ph__route_ask(r, h, PH__DNS_AAAA, h->is.name);
	if (h->found[PH__IP4].asked)
		ph__route_ask(r, h, PH__DNS_A, h->is.name);
}

/* Addresses that can be a host's, in the resolver's order, as many as we try at most. */
static bool
keep_addresses(struct ph__host *h, enum ph__family family, const struct ph__dns_answer *a)
{
	struct ph__found *f = &h->found[family];
	size_t size = family == PH__IP6 ? 16 : 4;

	for (size_t i = 0; i < a->count && f->count < PH__MX_ADDRESSES; i++) {
		const uint8_t *octets = (const uint8_t *)a->data[i].ptr;
		char text[INET6_ADDRSTRLEN];

		if (a->data[i].len != size || !(family == PH__IP6 ? ph__address6_is_host(octets)
		                                                  : ph__address4_is_host(octets)))
			continue;
		inet_ntop(family == PH__IP6 ? AF_INET6 : AF_INET, octets, text, sizeof text);
		if ((f->addresses[f->count] = ph__arena_strndup(&h->route->arena, text,
		                                                strlen(text))) == NULL)
			return false;
		f->count++;
	}
	return true;
}

/* RFC 8305 §4: the families in turn, IPv6 first. */
static void
interleave(struct ph__host *h)
{
	size_t n = 0;

	for (size_t i = 0; i < PH__MX_ADDRESSES; i++)
		for (int k = 0; k < PH__FAMILIES; k++)
			if (i < h->found[k].count && n < PH__MX_ADDRESSES)
				h->addresses[n++] = h->found[k].addresses[i];
	h->is.addresses = h->addresses;
	h->is.address_count = n;
}

/* No address: for good only when every family was asked for, and each answer is certain. */
static void
give_up_unaddressed(struct ph__host *h)
{
	int family = h->route->opts.family;

	for (int k = 0; k < PH__FAMILIES; k++) {
		struct ph__dns_answer a = { .status = h->found[k].status };

		if (h->found[k].asked && ph__dns_is_failure(&a)) {
			give_up_look_up(h, k == PH__IP6 ? "IPv6 addresses" : "IPv4 addresses", &a, NULL);
			return;
		}
	}
	if (family != 0 && h->found[family == 6 ? PH__IP6 : PH__IP4].status != PH__DNS_NXDOMAIN) {
		ph__fail(error_of(h), PH_EDEFERRED, PH_STAGE_ROUTE, PH_CAUSE_NO_SUCH_HOST,
		         "%s has no IPv%d address, and no others are asked for", h->is.name, family);
		ph__hint(&h->is.error, "leave --ip out, and its IPv%d addresses are used", family == 6 ? 4 : 6);
		give_up(h, NULL);
		return;
	}
	ph__fail(error_of(h), PH_ENOHOST, PH_STAGE_ROUTE, PH_CAUSE_NO_SUCH_HOST,
	         h->route->implicit ? "%s has neither a mail server (MX) nor an address"
	                            : "the mail server %s does not exist, or has no address",
	         h->is.name);
	h->is.error.enhanced[0] = 5;
	h->is.error.enhanced[1] = h->route->implicit ? 1 : 4;
	h->is.error.enhanced[2] = h->route->implicit ? 2 : 4;
	give_up(h, NULL);
}

static void
tlsa_is(struct ph__host *h, enum ph__tlsa_found found)
{
	h->tlsa = found;
	ph__host_decide(h);
}

/* The next base domain's TLSA records. A name too long for the DNS has none. */
static void
ask_tlsa(struct ph__host *h)
{
	struct ph__route *r = h->route;

	for (; h->base_at < h->base_count; h->base_at++) {
		char name[PH__NAME_TEXT_MAX + 1];
		int n = snprintf(name, sizeof name, "_%u._tcp.%s", r->opts.port, h->bases[h->base_at]);
		const char *kept;

		if (n < 0 || (size_t)n >= sizeof name)
			continue;
		if ((kept = ph__arena_strndup(&r->arena, name, (size_t)n)) == NULL)
			ph__route_nomem(r);
		else
			ph__route_ask(r, h, PH__DNS_TLSA, kept);
		return;
	}
	tlsa_is(h, PH__TLSA_NONE);
}

static void
add_base(struct ph__host *h, const char *name)
{
	if (h->base_count == 0 || strcmp(h->bases[0], name) != 0)
		h->bases[h->base_count++] = name;
}

static void
judge_addresses(struct ph__host *h)
{
	const char *secure_end = NULL;
	bool secure = false, alias = false;

	for (int k = 0; k < PH__FAMILIES; k++) {
		const struct ph__found *f = &h->found[k];
		struct ph__dns_answer a = { .status = f->status, .trust = f->trust };

		if (f->asked && f->trust == PH__DNS_BOGUS) {
			give_up_look_up(h, "addresses", &a, "dnssec-invalid");
			return;
		}
		alias = alias || f->alias;
		if (!f->asked || ph__dns_is_failure(&a) || f->trust != PH__DNS_SECURE)
			continue;
		secure = true;
		if (f->canonical != NULL && (secure_end == NULL || f->status == PH__DNS_FOUND))
			secure_end = f->canonical;
	}
	interleave(h);
	if (h->is.address_count == 0) {
		give_up_unaddressed(h);
	} else if (h->route->opts.dane == PH_DANE_OFF || (!secure && !alias)) {
		tlsa_is(h, PH__TLSA_NONE);
	} else if (!secure) {
		ph__route_ask(h->route, h, PH__DNS_CNAME, h->is.name);
	} else {
		if (secure_end != NULL)
			add_base(h, secure_end);
		add_base(h, h->is.name);
		ask_tlsa(h);
	}
}

static void
answer_address(struct ph__host *h, enum ph__family family, const struct ph__dns_answer *a)
{
	struct ph__found *f = &h->found[family];

	f->answered = true;
	f->status = a->status;
	f->trust = a->trust;
	f->alias = a->canonical != NULL;
	f->canonical = ph__route_canonical(h->route, a);
	if (a->status == PH__DNS_FOUND && a->trust != PH__DNS_BOGUS && !keep_addresses(h, family, a)) {
		ph__route_nomem(h->route);
		return;
	}
	if (h->found[PH__IP6].answered >= h->found[PH__IP6].asked &&
	    h->found[PH__IP4].answered >= h->found[PH__IP4].asked)
		judge_addresses(h);
}

/* RFC 7672 §2.2.2: an alias out of a signed zone into an unsigned one may have TLSA records
 * itself. */
static void
answer_cname(struct ph__host *h, const struct ph__dns_answer *a)
{
	if (ph__dns_is_failure(a)) {
		give_up_look_up(h, "alias", a, a->trust == PH__DNS_BOGUS ? "dnssec-invalid" : NULL);
	} else if (a->status == PH__DNS_FOUND && a->trust == PH__DNS_SECURE) {
		add_base(h, h->is.name);
		ask_tlsa(h);
	} else {
		tlsa_is(h, PH__TLSA_NONE);
	}
}

static void
add_name(struct ph__route_host *is, const char *name)
{
	size_t n = 0;

	if (name == NULL || strcmp(name, is->base) == 0)
		return;
	for (; is->names[n] != NULL; n++)
		if (strcmp(name, is->names[n]) == 0)
			return;
	is->names[n] = name; /* @UNSAFE: three different ones at most, see take_tlsa() */
}

/* RFC 7672 §3.2.2: the host's own name always; the domain's only where the MX records say securely
 * that this is its server: an unsigned one could lead to any host with TLSA records of its own. */
static void
take_tlsa(struct ph__host *h, const struct ph__dns_answer *a)
{
	struct ph__route *r = h->route;
	size_t count;

	h->is.tlsa = ph__tlsa_usable(a, &count, &r->arena);
	if (h->is.tlsa == NULL && count != 0) {
		ph__route_nomem(r);
		return;
	}
	h->is.tlsa_count = count;
	h->is.base = h->bases[h->base_at];
	add_name(&h->is, h->is.name);
	if (r->trust == PH__DNS_SECURE) {
		add_name(&h->is, r->domain);
		add_name(&h->is, r->canonical);
	}
	tlsa_is(h, count != 0 ? PH__TLSA_USABLE : PH__TLSA_UNUSABLE);
}

static void
answer_tlsa(struct ph__host *h, const struct ph__dns_answer *a)
{
	if (ph__dns_is_failure(a)) {
		give_up_look_up(h, "TLSA records", a, "dnssec-invalid");
	} else if (a->status == PH__DNS_FOUND && a->trust == PH__DNS_SECURE && a->count != 0) {
		take_tlsa(h, a);
	} else {
		h->base_at++;
		ask_tlsa(h);
	}
}

void
ph__host_answer(struct ph__host *h, enum ph__dns_type type, const struct ph__dns_answer *a)
{
	switch (type) {
	case PH__DNS_AAAA:
		answer_address(h, PH__IP6, a);
		break;
	case PH__DNS_A:
		answer_address(h, PH__IP4, a);
		break;
	case PH__DNS_CNAME:
		answer_cname(h, a);
		break;
	default:
		answer_tlsa(h, a);
		break;
	}
}

/* ---- how securely ---------------------------------------------------------------------------- */

/* The user demands DANE; false: it is not to be had here. */
static bool
demand_dane(struct ph__host *h)
{
	if (h->route->opts.dane != PH_DANE_REQUIRED || h->tlsa == PH__TLSA_USABLE)
		return true;
	ph__fail(error_of(h), PH_ESECURITY, PH_STAGE_ROUTE, PH_CAUSE_NO_DANE,
	         "DANE is required, and %s has no usable TLSA records (RFC 7672)", h->is.name);
	give_up(h, "dane-required");
	return false;
}

static enum ph__sts_mode
sts_mode(const struct ph__host *h)
{
	return h->route->sts != NULL ? h->route->sts->mode : PH__STS_NONE;
}

static void
decide_by_dane(struct ph__host *h)
{
	if (h->tlsa == PH__TLSA_USABLE) {
		h->is.tls = PH__HOST_MUST_DANE;
		return;
	}
	h->is.tls = h->route->opts.verified_only ? PH__HOST_MUST_NAME
	            : sts_mode(h) == PH__STS_ENFORCE ? PH__HOST_MUST_STS : PH__HOST_MUST_TLS;
	h->is.result = "tlsa-invalid"; /* RFC 8460 §4.3.2.1: none of the records is valid */
}

/* RFC 8461 §5. */
static void
decide_by_sts(struct ph__host *h, bool matches)
{
	enum ph__sts_mode mode = sts_mode(h);

	h->is.tls = h->route->opts.verified_only ? PH__HOST_MUST_NAME
	            : mode == PH__STS_ENFORCE ? PH__HOST_MUST_STS
	            : mode == PH__STS_TESTING ? PH__HOST_MAY_STS : PH__HOST_MAY;
	if (mode == PH__STS_TESTING && !matches)
		h->is.result = "validation-failure"; /* RFC 8460 §4.3.3: it fits no other type */
}

/* RFC 8461 §4.1: by a policy that is enforced, the host is not the domain's. */
static void
give_up_stranger(struct ph__host *h)
{
	ph__fail(error_of(h), PH_EDEFERRED, PH_STAGE_ROUTE, PH_CAUSE_STS_MX,
	         "%s is not among the mail servers that the MTA-STS policy of %s allows (RFC 8461 "
	         "section 4.1), so the server is not used", h->is.name, h->route->domain);
	give_up(h, "validation-failure");
}

/* A policy that is kept may ask for more than the host would be asked for without. */
static void
give_up_unknown(struct ph__host *h)
{
	ph__fail(error_of(h), PH_EDEFERRED, PH_STAGE_ROUTE, PH_CAUSE_SYSTEM,
	         "this machine lacks memory or descriptors to tell whether %s has an MTA-STS policy, so "
	         "%s is not used", h->route->domain, h->is.name);
	give_up(h, NULL);
}

void
ph__host_decide(struct ph__host *h)
{
	const struct ph__route *r = h->route;
	bool by_dane = h->tlsa == PH__TLSA_USABLE || h->tlsa == PH__TLSA_UNUSABLE;
	bool secure = r->trust == PH__DNS_SECURE, settled = secure && h->tlsa == PH__TLSA_USABLE, matches;

	if (h->is.state != PH__HOST_ASKING || h->tlsa == PH__TLSA_ASKING || !demand_dane(h))
		return;
	if (!r->sts_known && !settled)
		return;
	if (!settled && r->sts_lost) {
		give_up_unknown(h);
		return;
	}
	matches = sts_mode(h) != PH__STS_NONE && ph__sts_matches(r->sts, h->is.name);
	if (!settled && !matches && sts_mode(h) == PH__STS_ENFORCE) {
		give_up_stranger(h);
		return;
	}
	if (by_dane)
		decide_by_dane(h);
	else
		decide_by_sts(h, matches);
	/* RFC 8689 §4.2.1: without MX records the certificate names the domain itself */
	h->is.mx_proved = secure || r->implicit || matches;
	h->is.state = PH__HOST_READY;
}
