/* SPDX-License-Identifier: MIT */
#ifndef PH_ROUTE_LOOKUP_POLICY_CACHE_H
#define PH_ROUTE_LOOKUP_POLICY_CACHE_H
/* MTA-STS policies that are kept as long as they are valid (RFC 8461 §5.1, §10.2): in memory, and in
 * a folder if one is given, which any number of processes may share. One thread at a time.
 *
 *	todo = ph__policy_cache_look(c, domain, id, now, &policy);
 *	if (todo.fetch) ... ph__policy_cache_store(c, domain, id, body, now, &err)
 *	                    or ph__policy_cache_failed(c, domain, id, now);
 *	policy = ph__policy_cache_policy(c, domain, now);      what holds now; NULL: nothing does
 *
 * Domains are A-labels in any case. `now` is ph__wall_s() (base/clock.h). Policies are borrowed until
 * the next call on the cache. */
#include <stdint.h>
#include <posthaste/error.h>
#include "base/mem.h"
#include "route/mta_sts.h"

struct ph__policy_cache;

/* folder NULL: in memory only. A folder that cannot be used is no error: ph__policy_cache_problem().
 * PH_ESYSTEM: memory or descriptors are out. */
enum ph_code ph__policy_cache_new(struct ph__policy_cache **ret, const char *folder,
                                  const struct ph_allocator *mem, struct ph_error *err);
/* What is to be done; *policy (NULL is fine) is the one that holds, NULL where todo.use is false. id as
 * in struct ph__question: NULL, there is no TXT record now. */
struct ph__sts_todo ph__policy_cache_look(struct ph__policy_cache *c, const char *domain,
                                          const char *id, int64_t now,
                                          const struct ph__sts_policy **policy);
/* What was fetched for `id`. PH_OK: it is kept. PH_EPROTOCOL: it is no policy, and why; that is kept as
 * a failure, and an older policy holds on. PH_ESYSTEM: out of memory. */
enum ph_code ph__policy_cache_store(struct ph__policy_cache *c, const char *domain, const char *id,
                                    struct ph_str text, int64_t now, struct ph_error *err);
/* A fetch for `id` has failed: none is tried for the next five minutes (§3.3). */
void ph__policy_cache_failed(struct ph__policy_cache *c, const char *domain, const char *id,
                             int64_t now);
const struct ph__sts_policy *ph__policy_cache_policy(struct ph__policy_cache *c, const char *domain,
                                                     int64_t now);
/* Why the folder is not used, or not written, in words; NULL: nothing is wrong with it. Valid until the
 * next call. */
const char *ph__policy_cache_problem(const struct ph__policy_cache *c);
void ph__policy_cache_free(struct ph__policy_cache **c);

#endif
