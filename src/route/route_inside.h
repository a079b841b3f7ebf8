/* SPDX-License-Identifier: MIT */
#ifndef PH_ROUTE_ROUTE_INSIDE_H
#define PH_ROUTE_ROUTE_INSIDE_H
/* What route.c and host.c share. All memory is the arena's and lives as long as the route. */
#include "base/bounds.h"
#include "route/route.h"

struct ph__route_ask {
	struct ph__route_ask *next;
	struct ph__question q;
	struct ph__host *host;   /* who wants to know; NULL: the route */
	bool asked, answered;
};

enum ph__family { PH__IP6, PH__IP4, PH__FAMILIES }; /* in the order of RFC 8305 §4 */

/* What one family's question for addresses has brought. */
struct ph__found {
	bool asked, answered;
	enum ph__dns_status status;
	enum ph__dns_trust trust;
	bool alias;              /* whatever its end is called: an unsigned end may call itself anything */
	const char *canonical;   /* checked; NULL: none */
	const char *addresses[PH__MX_ADDRESSES];
	size_t count;
};

enum ph__tlsa_found { PH__TLSA_ASKING, PH__TLSA_NONE, PH__TLSA_UNUSABLE, PH__TLSA_USABLE };

struct ph__host {
	struct ph__route_host is;
	struct ph__route *route;
	struct ph__found found[PH__FAMILIES];
	const char *addresses[PH__MX_ADDRESSES];
	enum ph__tlsa_found tlsa;
	const char *bases[2];    /* TLSA base domains to try (RFC 7672 §2.2.3) */
	size_t base_count, base_at;
};

struct ph__route {
	struct ph_allocator mem;
	struct ph__arena arena;
	struct ph__route_opts opts; /* own_names is the arena's, lower case */
	char *domain;
	bool implicit;
	enum ph__route_state state;
	struct ph_error error;
	enum ph__dns_trust trust;   /* of the MX records, or of their absence */
	const char *canonical;      /* where the domain's CNAMEs lead, securely; NULL */
	bool sts_known;             /* whatever it is */
	bool sts_lost;              /* … whether there is a policy cannot be told for the moment */
	struct ph__sts_policy *sts;
	const char *sts_problem;
	struct ph__host *hosts;
	size_t host_count;
	struct ph__route_ask *asks, **tail, *unasked;
	unsigned last_id;
};

/* A further question; `name` is the arena's. */
void ph__route_ask(struct ph__route *r, struct ph__host *host, enum ph__dns_type type,
                   const char *name);
/* There is no memory: the route has failed. */
void ph__route_nomem(struct ph__route *r);
/* Why a look-up failed, in words and safe to show. */
const char *ph__route_why(char buf[PH__QUOTE_SIZE], const struct ph__dns_answer *a);
/* An alias' target that can be a host, in lower case and in the arena; NULL: none. */
const char *ph__route_canonical(struct ph__route *r, const struct ph__dns_answer *a);

/* A host whose name and preference are set. */
void ph__host_begin(struct ph__host *h);
void ph__host_answer(struct ph__host *h, enum ph__dns_type type, const struct ph__dns_answer *a);
/* Decides, as soon as DANE and MTA-STS have had their say. */
void ph__host_decide(struct ph__host *h);

#endif
