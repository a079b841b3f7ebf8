/* SPDX-License-Identifier: MIT */
#ifndef PH_ROUTE_LOOKUP_RESOLVER_H
#define PH_ROUTE_LOOKUP_RESOLVER_H
/* DNS questions, and validated answers in time. See resolver.c. */
#include <stdbool.h>
#include <unbound.h>
#include "route/lookup.h"

/* One question, in the asker's own struct. The fields are the resolver's. */
struct ph__ask {
	/* Exactly once, in ph__resolver_process(), unless it is forgotten. The answer is borrowed. */
	void (*answered)(struct ph__ask *a, const struct ph__dns_answer *answer);
	struct ph__resolver *resolver;
	struct ph__ask *prev, *next; /* of those that wait, by `due` */
	const char *name;            /* the asker's: as long as the question is open */
	enum ph__dns_type type;
	uint64_t due;                /* 0: it could not be asked */
	int id;                      /* libunbound's */
	bool under_way;              /* there */
	struct ub_result *held;      /* bogus, until the probe says what to make of it */
};

struct ph__resolver;

/* No thread and no network yet. PH_ENOINPUT, PH_ECONFIG, PH_ESYSTEM. */
enum ph_code ph__resolver_new(struct ph__resolver **ret, const struct ph__lookup_opts *opts,
                              const struct ph_allocator *mem, struct ph_error *err);
/* `a` is the asker's with its `answered` set. */
void ph__resolver_ask(struct ph__resolver *r, struct ph__ask *a, const char *name,
                      enum ph__dns_type type, uint64_t due);
void ph__resolver_forget(struct ph__ask *a);
int ph__resolver_fd(const struct ph__resolver *r);
uint64_t ph__resolver_deadline(const struct ph__resolver *r);
void ph__resolver_process(struct ph__resolver *r);
const char *ph__resolver_unvalidated(const struct ph__resolver *r);
void ph__resolver_free(struct ph__resolver **r);

#endif
