/* SPDX-License-Identifier: MIT */
#ifndef PH_CLIENT_DIRECT_H
#define PH_CLIENT_DIRECT_H
/* The direct client from the inside (ph_client_opts.direct): one client that has no server of its own
 * and, for each that a route brings, an inner client that is like any other. */
#include "client/private.h"
#include "drive/routing.h"

/* A connection, or what is left of one, for the next message of the same route. */
struct ph__inner {
	struct ph_client *client;
	char *key;               /* all that the route asks of it: only the same may use it again */
	struct ph__inner *next;  /* older */
};

/* An IPv6 network that did not answer: its addresses go last for a while. */
struct ph__bad_network {
	unsigned char prefix[8];
	uint64_t until_ms;       /* 0: none */
};

struct ph__direct {
	struct ph__arena options;           /* what these point at */
	struct ph_direct_opts opts;
	struct ph_tls_opts tls;             /* of every inner client, but for what its host demands */
	const struct ph__lookup_module *module; /* NULL: the one that is installed */
	struct ph__routing *routing;        /* NULL: nothing was looked up yet */
	struct ph__inner *inners;           /* the one used last first */
	size_t inner_count;
	struct ph__bad_network bad[PH__BAD_NETWORKS];
	size_t bad_next;
	bool told_unvalidated, told_unkept; /* in the transcript */
	struct ph__routed *shown;           /* by ph_client_route(); NULL: none */
	struct ph__arena show;
	struct ph_route route;
};

/* What a message brings along beyond a delivery. */
struct ph__mail {
	struct ph__arena arena;
	struct ph_envelope envelope;        /* a copy */
	uint64_t submitted_us;
	bool relaxed;                       /* it says "TLS-Required: No" */
	const struct ph_error **errors;     /* for the record: of each recipient; NULL: his reply says it */
};

/* Recipients who have the same servers, and no outcome yet. */
struct ph__group {
	struct ph__routed *routed;          /* of the first of them: the others' are the same */
	size_t *who;                        /* recipients of the message by their number */
	struct ph_recipient_outcome *last;  /* what became of each at the last server that knew him;
	                                       PH_PENDING: nothing yet */
	const struct ph_error **why;        /* the same, in words; NULL: his reply says it */
	bool   *done_here;                  /* this host would say the same at its other addresses */
	size_t  count;
	unsigned tries;                     /* addresses */
	bool    for_good;                   /* REQUIRETLS: every host so far lacks it, and not for the moment */
};

/* direct.c */
/* Before look-ups: there is something to ask, and routes that are too old are forgotten, the one that
 * ph_client_route() has shown among them. PH_ECONFIG: no look-up module; PH_ENOINPUT, PH_ECANCELLED … */
enum ph_code ph__direct_begin(struct ph_client *c, struct ph_error *err);
/* Looks up what a name of `routed` brings until it is settled (`host` SIZE_MAX), or until that host of it
 * is known. False: cancelled. */
bool ph__direct_await(struct ph_client *c, const struct ph__routed *routed, size_t host);

/* direct_host.c */
/* Tries the group's recipients at one host of their route, address by address. */
void ph__direct_try_host(struct ph_client *c, struct ph__delivery *d, struct ph__group *g, size_t host);

/* direct_outcome.c */
/* A session for a host that was passed over without a connection, and why. */
void ph__direct_pass_over(struct ph_client *c, struct ph__delivery *d, struct ph__group *g,
                          const struct ph__route_host *host, const struct ph_error *why);
/* What an inner client's record says goes into the outer one; who is still undecided stays in the group. */
void ph__direct_take_record(struct ph_client *c, struct ph__delivery *d, struct ph__group *g,
                            const struct ph__route_host *host, const struct ph_record *r,
                            const size_t *sent, size_t sent_count);
/* There is no server left for those who are still in the group. */
void ph__direct_settle(struct ph__delivery *d, struct ph__group *g);
/* Why mail for the route's domain goes nowhere, with the domain in its words. */
struct ph_error ph__direct_route_error(const struct ph__route *r);
/* How far the route's MX records are validated, in the record's words. */
const char *ph__direct_dnssec(const struct ph_client *c, const struct ph__route *r);
/* Decides a recipient by an error of ours, if nothing has: refused by EINPUT, ENOHOST and EREFUSED,
 * deferred by all others. */
void ph__direct_decide(struct ph__delivery *d, size_t i, const struct ph_error *why);

#endif
