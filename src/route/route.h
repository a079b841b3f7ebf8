/* SPDX-License-Identifier: MIT */
#ifndef PH_ROUTE_ROUTE_H
#define PH_ROUTE_ROUTE_H
/* Where one domain's mail goes: its servers in order, their addresses, and how securely each must be
 * reached. Made by asking: a route says what it wants to know next, and is told; it does no I/O. The
 * first server can be tried while the others are still being looked up.
 *
 *	while (ph__route_question(r, &q)) ask(q);          every question once
 *	ph__route_answer(r, id, answer);                   may bring further questions
 *	ph__route_state(r), ph__route_host(r, i)
 *
 * Rules: RFC 5321 §5.1, RFC 7505 (null MX), RFC 7672 §2 (DANE), RFC 8461 §5 (MTA-STS), RFC 8689
 * (REQUIRETLS). See route.c for the order in which questions are asked. */
#include <posthaste/route.h>
#include <posthaste/tls.h>
#include "base/mem.h"
#include "route/dns.h"
#include "route/mta_sts.h"

struct ph__route_opts {
	const char  *domain;       /* what stands behind the @, A-labels or literal "[192.0.2.1]" */
	uint16_t     port;         /* of all servers, and of their TLSA records */
	enum ph_dane dane;
	bool         no_mta_sts;
	bool         verified_only;/* --tls=starttls: by DANE or by name, whatever is published */
	int          family;       /* 0, 4, 6 */
	const char *const *own_names;
	size_t       own_name_count;
	uint64_t     seed;         /* for the order of equal preferences (§5.1) */
};

enum ph__route_state {
	PH__ROUTE_ASKING,   /* the list of servers is not there yet */
	PH__ROUTE_KNOWN,    /* it is, each host in its own state */
	PH__ROUTE_FAILED    /* there will be none: ph__route_error() */
};

enum ph__host_state { PH__HOST_ASKING, PH__HOST_READY, PH__HOST_UNUSABLE };

enum ph__host_tls {
	PH__HOST_MAY,       /* opportunistic (RFC 7435) */
	PH__HOST_MUST_DANE, /* TLS, and a certificate that fits the TLSA records */
	PH__HOST_MUST_TLS,  /* TLS, unverified: TLSA records are there, none is usable (RFC 7672 §2.2) */
	PH__HOST_MUST_STS,  /* TLS, and a certificate with the host's name, by an enforced policy */
	PH__HOST_MUST_NAME, /* the same, by the user's wish */
	PH__HOST_MAY_STS    /* opportunistic; what a policy in testing would have said goes on record */
};

struct ph__route_host {
	const char *name;           /* of the MX record, A-labels, lower case; of a literal its address */
	uint16_t    preference;
	enum ph__host_state state;
	enum ph__host_tls tls;      /* the rest is for READY … */
	const char *const *addresses; /* numeric; AAAA and A in turn (RFC 8305 §4) */
	size_t      address_count;
	const struct ph_tlsa *tlsa; /* of MUST_DANE */
	size_t      tlsa_count;
	const char *base;           /* TLSA base domain: SNI and reference name (RFC 7672 §2.2.3, §3.2) */
	const char *names[4];       /* further reference names: the host's, and the domain's and its alias'
	                               where §3.2.2 has them; NULL-terminated */
	bool        mx_proved;      /* the host is the domain's by DNSSEC or MTA-STS (RFC 8689 §4.2.1) */
	struct ph_error error;      /* … and this is for UNUSABLE */
	const char *result;         /* RFC 8460 §4.3: "tlsa-invalid", "dnssec-invalid", "sts-policy-invalid"
	                               …; NULL: none */
};

struct ph__route;

/* The options are copied. PH_EINPUT: a domain that cannot be one. */
enum ph_code ph__route_new(struct ph__route **ret, const struct ph__route_opts *opts,
                           const struct ph_allocator *mem, struct ph_error *err);
void ph__route_free(struct ph__route **r);
/* The next thing it wants to know; false: nothing more now. */
bool ph__route_question(struct ph__route *r, struct ph__question *ret);
/* An answer of an id that is not open is ignored. */
void ph__route_answer(struct ph__route *r, unsigned id, const struct ph__answer *a);
enum ph__route_state ph__route_state(const struct ph__route *r);
/* Why the mail for this domain goes nowhere; code PH_OK as long as there is hope. FAILED: ENOHOST (no
 * such domain, null MX: enhanced code 5.1.10), EDEFERRED (look-ups), EREFUSED …; REQUIRED DANE on an
 * unsigned domain is ESECURITY. KNOWN, and every host UNUSABLE: the first temporary reason of theirs;
 * else ENOHOST or EREFUSED (RFC 5321 §5.1). */
const struct ph_error *ph__route_error(const struct ph__route *r);
size_t ph__route_host_count(const struct ph__route *r);
const struct ph__route_host *ph__route_host(const struct ph__route *r, size_t i);
/* For the record: the domain, trust of its MX records, what MTA-STS said. */
const char *ph__route_domain(const struct ph__route *r);
enum ph__dns_trust ph__route_trust(const struct ph__route *r);
bool ph__route_is_implicit(const struct ph__route *r);
const struct ph__sts_policy *ph__route_sts(const struct ph__route *r); /* NULL: none */
const char *ph__route_sts_problem(const struct ph__route *r);          /* RFC 8460's word; NULL */
/* Whether recipients of both may go in one transaction: the same servers in the same order of
 * preference, reached by the same rules. Only when both are settled (no host is ASKING). A host with
 * DANE-TA records keeps domains apart: the domain is among the names its certificate may have. */
bool ph__route_same(const struct ph__route *a, const struct ph__route *b);
bool ph__route_is_settled(const struct ph__route *r);

#endif
