/* SPDX-License-Identifier: MIT */
#ifndef PH_ROUTE_DNS_H
#define PH_ROUTE_DNS_H
/* Questions a route asks, and the answers that are given to it. No I/O: route/lookup/ asks. */
#include <stdbool.h>
#include <stdint.h>
#include "base/str.h"

enum ph__dns_type { PH__DNS_A = 1, PH__DNS_CNAME = 5, PH__DNS_MX = 15,
                    PH__DNS_TXT = 16, PH__DNS_AAAA = 28, PH__DNS_DNSKEY = 48, PH__DNS_TLSA = 52 };

enum ph__dns_status {
	PH__DNS_FOUND,
	PH__DNS_NODATA,   /* the name is there, records of this type are not */
	PH__DNS_NXDOMAIN, /* no such name */
	PH__DNS_FAILED,   /* SERVFAIL, REFUSED, garbage: for the moment */
	PH__DNS_LATE      /* no answer in time */
};

enum ph__dns_trust {
	PH__DNS_INSECURE, /* not signed, or not validated */
	PH__DNS_SECURE,   /* the whole answer, its CNAMEs and its absence included */
	PH__DNS_BOGUS     /* signatures are wrong or missing: an attack, or a broken zone; status FAILED */
};

struct ph__dns_answer {
	enum ph__dns_status status;
	enum ph__dns_trust  trust;
	const char *canonical;      /* where CNAMEs lead, in text without final dot; NULL: there are none */
	const struct ph_str *data;  /* records' data in wire format, names uncompressed */
	size_t      count;
	const char *why;            /* of bogus or failed, in words; NULL: not known */
};

/* Nothing is known by this answer: it is never "there is none". */
static inline bool
ph__dns_is_failure(const struct ph__dns_answer *a)
{
	return a->trust == PH__DNS_BOGUS || a->status == PH__DNS_FAILED || a->status == PH__DNS_LATE;
}

/* What an MTA-STS look-up has brought (mta_sts.h); whose policy it is the module's cache knows. */
struct ph__sts_policy;
enum ph__sts_failure { PH__STS_FINE, PH__STS_FETCH_ERROR, PH__STS_WEBPKI_INVALID,
                       PH__STS_POLICY_INVALID, /* RFC 8460 §4.3.2.2 */
                       PH__STS_UNKNOWN /* we lack memory or descriptors to tell whether one is kept */ };
struct ph__sts_answer {
	const struct ph__sts_policy *policy; /* borrowed; NULL: there is none to be had */
	enum ph__sts_failure failure;        /* of the fetch, also where a policy was kept from before */
	const char *why;                     /* in words; NULL */
};

enum ph__question_kind { PH__ASK_DNS, PH__ASK_STS };
struct ph__question {
	unsigned id;                /* comes back with the answer */
	enum ph__question_kind kind;
	enum ph__dns_type type;     /* of ASK_DNS */
	const char *name;           /* to look up; of ASK_STS the policy domain. Borrowed from the route */
	const char *sts_id;         /* of ASK_STS: what the TXT record says; NULL: there is none now, a policy
	                               that is kept still holds (RFC 8461 §3.1) */
};
struct ph__answer {
	enum ph__question_kind kind;
	union {
		struct ph__dns_answer dns;
		struct ph__sts_answer sts;
	};
};

#endif
