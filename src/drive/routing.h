/* SPDX-License-Identifier: MIT */
#ifndef PH_DRIVE_ROUTING_H
#define PH_DRIVE_ROUTING_H
/* Routes by domain, and whom they ask: carries the questions of route/route.h to the look-up module and
 * its answers back. Never blocks: whoever drives waits for the descriptors, or the deadline, and calls
 * ph__routing_process(). At most PH__ROUTES_MAX routes ask at a time, the others wait for their turn.
 *
 * A route is kept for PH__MS_ROUTE, so that the messages of a run do not ask again; how long an answer
 * holds is DNS's affair, and its cache is in the module. */
#include "route/lookup.h"
#include "route/route.h"

struct ph__routing_opts {
	struct ph__lookup_opts lookup;
	struct ph__route_opts route;  /* of all routes; domain and seed are given for each. Borrowed */
};

/* A domain's route. Held by whoever found it, until let go. */
struct ph__routed {
	struct ph__asker asker;       /* first */
	struct ph__routing *routing;
	struct ph__route *route;
	bool     relaxed;
	bool     has_news;            /* answers have come that may bring further questions */
	enum { PH__ROUTED_WAITING, PH__ROUTED_ASKING, PH__ROUTED_SETTLED } state;
	unsigned held;
	uint64_t found_ms;
	struct ph__routed *same_hash, *younger, *queued;
};

struct ph__routing;

/* `module` NULL: the one that is installed; PH_ECONFIG without it. */
enum ph_code ph__routing_new(struct ph__routing **ret, const struct ph__routing_opts *opts,
                             const struct ph__lookup_module *module, const struct ph_allocator *mem,
                             struct ph_error *err);
void ph__routing_free(struct ph__routing **r); /* nobody holds a route; NULL inside is fine */
/* The route of a domain as an address has it, asked for if it is not known. `relaxed`: no policy that the
 * domain publishes is looked for ("TLS-Required: No", RFC 8689 §5). PH_EINPUT: it can be no domain;
 * PH_ESYSTEM. */
enum ph_code ph__routing_find(struct ph__routing *r, struct ph_str domain, bool relaxed, uint64_t now_ms,
                              struct ph__routed **ret, struct ph_error *err);
void ph__routing_let_go(struct ph__routed *d);
bool ph__routed_is_settled(const struct ph__routed *d);
/* Forgets routes that nobody holds and that are too old or too many. */
void ph__routing_forget(struct ph__routing *r, uint64_t now_ms);

/* As struct ph__lookup_module has them. */
size_t ph__routing_fds(const struct ph__routing *r, int fds[PH__LOOKUP_FDS]);
uint64_t ph__routing_deadline(const struct ph__routing *r);
void ph__routing_process(struct ph__routing *r);
const char *ph__routing_unvalidated(const struct ph__routing *r);
const char *ph__routing_unkept(const struct ph__routing *r);

#endif
