/* SPDX-License-Identifier: MIT */
#ifndef PH_ROUTE_LOOKUP_FETCH_H
#define PH_ROUTE_LOOKUP_FETCH_H
/* MTA-STS policies over HTTPS (RFC 8461 §3.3), by libcurl in one thread of its own.
 *
 * Any thread may call: what is shared is behind a mutex. Memory is the C library's, as the fetching
 * thread has no right to a caller's allocator. */
#include <stddef.h>
#include <stdint.h>
#include <posthaste/error.h>
#include "route/dns.h"

struct ph__fetch_opts {
	const char *ca_file, *ca_dir; /* both NULL: the system's */
	uint16_t    port;             /* 0: 443 */
	uint64_t    timeout_ms;       /* of one fetch, from its connecting on; 0: PH__MS_POLICY */
};

struct ph__fetched {
	void       *user;             /* as begun with */
	enum ph__sts_failure failure; /* FINE, FETCH_ERROR, WEBPKI_INVALID */
	struct ph_str body;           /* of FINE: the policy's text, not parsed */
	const char *why;              /* else, in words, escaped */
};

struct ph__fetch;

/* No thread and no network yet. PH_ESYSTEM. */
enum ph_code ph__fetch_new(struct ph__fetch **ret, const struct ph__fetch_opts *opts,
                           struct ph_error *err);
/* Fetches https://mta-sts.DOMAIN/.well-known/mta-sts.txt from numeric addresses of mta-sts.DOMAIN
 * (which nobody looks up here), each family's in the order given, PH__FETCH_ADDRESSES at most. All is
 * copied. PH__FETCHES run at the same time, the others wait. Exactly one result comes, unless it is
 * forgotten; but for a failure here (PH_EINPUT: no domain, no address; PH_ECONFIG: a libcurl that will
 * not do; PH_ESYSTEM), which brings none. */
enum ph_code ph__fetch_begin(struct ph__fetch *f, const char *domain, const char *const *addresses,
                             size_t count, void *user, struct ph_error *err);
/* Readable while there are results. */
int ph__fetch_fd(const struct ph__fetch *f);
/* The next result, to be freed; NULL: none now. */
struct ph__fetched *ph__fetch_next(struct ph__fetch *f);
void ph__fetched_free(struct ph__fetched **r);
/* Gives up all fetches of `user`: no result of theirs is given any more. */
void ph__fetch_forget(struct ph__fetch *f, const void *user);
/* Gives up everything and waits for the thread, which waits for nobody. NULL inside is fine. */
void ph__fetch_free(struct ph__fetch **f);

#endif
