/* SPDX-License-Identifier: MIT */
#ifndef PH_ROUTE_MTA_STS_H
#define PH_ROUTE_MTA_STS_H
/* MTA-STS (RFC 8461): what TXT records and policies say. Pure. */
#include <stdbool.h>
#include <posthaste/error.h>
#include "base/mem.h"
#include "route/dns.h"

enum ph__sts_mode { PH__STS_NONE, PH__STS_TESTING, PH__STS_ENFORCE };

struct ph__sts_policy {
	enum ph__sts_mode mode;
	uint32_t max_age;      /* seconds, at most 31557600 (§3.2) */
	char    *id;           /* of the TXT record it was fetched for; may be empty */
	char   **mx;           /* patterns, lower case A-labels: "mail.example.com", "*.example.net" */
	size_t   mx_count;
};

/* §3.1: exactly one record that begins with "v=STSv1;". True: *id (1 to 32 letters and digits,
 * NUL-terminated) is its id. False: there is none, or more than one, or it is malformed. `data` are TXT
 * records in wire format. */
bool ph__sts_record(const struct ph__dns_answer *txt, char id[33]);
/* §3.2, §4.1. PH_EPROTOCOL: it is no policy, and why. *ret is owned: ph__sts_policy_free(). */
enum ph_code ph__sts_policy_parse(struct ph__sts_policy **ret, struct ph_str text, const char *id,
                                  const struct ph_allocator *mem, struct ph_error *err);
struct ph__sts_policy *ph__sts_policy_copy(const struct ph__sts_policy *p, const struct ph_allocator *mem);
void ph__sts_policy_free(struct ph__sts_policy **p, const struct ph_allocator *mem);
/* §4.1: a wildcard stands for one whole left-most label. */
bool ph__sts_matches(const struct ph__sts_policy *p, const char *mx);
const char *ph__sts_mode_name(enum ph__sts_mode mode);              /* "enforce" … */
const char *ph__sts_failure_name(enum ph__sts_failure failure);     /* RFC 8460's; NULL for FINE, UNKNOWN */

/* What is to be done about a policy in the cache: times in seconds since 1970. */
struct ph__sts_kept {
	bool        there;
	int64_t     fetched, tried; /* when it was fetched; when a fetch failed last (0: never) */
	uint32_t    max_age;
	const char *id;             /* it was fetched for */
	const char *tried_id;       /* the id of the fetch that failed last */
};
struct ph__sts_todo {
	bool use;    /* the one that is kept holds, whatever becomes of a fetch (§5.1) */
	bool fetch;  /* now: there is none, the id has changed, or it is a day old (§10.2); not within five
	                minutes of a failure for the same id (§3.3) */
	bool lost;   /* of the cache: whether one is kept cannot be told for the moment */
};
struct ph__sts_todo ph__sts_decide(const struct ph__sts_kept *kept, const char *txt_id, int64_t now);

#endif
