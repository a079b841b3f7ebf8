/* SPDX-License-Identifier: MIT */
#ifndef PH_ROUTE_LOOKUP_H
#define PH_ROUTE_LOOKUP_H
/* The look-up module: DNS with DNSSEC (libunbound) and MTA-STS policies (libcurl), loaded when first
 * needed, or linked in (base/module.h). It asks; what answers mean is decided in route/. */
#include <stddef.h>
#include <stdint.h>
#include <posthaste/error.h>
#include "base/mem.h"
#include "route/dns.h"

struct ph__lookup_opts {
	const char *dns;           /* as ph_direct_opts has them */
	const char *trust_anchor;
	const char *sts_cache;
	const char *ca_file, *ca_dir; /* for the policies' HTTPS; both NULL: the system's */
	int         family;        /* 0, 4, 6: of HTTPS connections */
	uint64_t    timeout_ms;    /* an answer at most; 0: PH__MS_LOOKUP. A policy: PH__MS_POLICY */
};

/* Who wants to be told. Embedded in the asker's own struct. */
struct ph__asker {
	void (*answered)(struct ph__asker *asker, unsigned id, const struct ph__answer *answer);
};

#define PH__LOOKUP_FDS 2
struct ph__lookup; /* one context with its caches: for all routes of a client or an engine */

struct ph__lookup_module {
	const char *build_id;
	/* No network yet. PH_ENOINPUT, PH_ECONFIG: a file or server that cannot be used. */
	enum ph_code (*open)(struct ph__lookup **ret, const struct ph__lookup_opts *opts,
	                     const struct ph_allocator *mem, struct ph_error *err);
	/* The answer is given by process(), and only when memory is out from in here: exactly one for each
	 * question, in time, unless the asker is forgotten before. What cannot even be asked is answered as
	 * FAILED. The question is copied. */
	void (*ask)(struct ph__lookup *l, const struct ph__question *q, struct ph__asker *asker);
	/* No answer is given to it any more. */
	void (*forget)(struct ph__lookup *l, struct ph__asker *asker);
	/* Readable: call process(). How many there are. */
	size_t (*fds)(const struct ph__lookup *l, int fds[PH__LOOKUP_FDS]);
	/* When to call it in any case, by ph__now_ms(); UINT64_MAX: never. */
	uint64_t (*deadline)(const struct ph__lookup *l);
	void (*process)(struct ph__lookup *l);
	/* NULL: DNSSEC validates (or nothing was answered yet); else why not, for people. Valid until
	 * close(). */
	const char *(*unvalidated)(const struct ph__lookup *l);
	/* NULL: policies are kept in the folder that was named, or none was; else why not, for people. Valid
	 * until process(). */
	const char *(*unkept)(const struct ph__lookup *l);
	void (*close)(struct ph__lookup **l); /* gives up what is under way; NULL inside is fine */
};

/* The table as the module exports it. Others ask for it with ph__lookup_module(). */
PH_API extern const struct ph__lookup_module ph__module_lookup;

/* The module, loaded on first use and never unloaded; NULL and *err (PH_ECONFIG, with what to install)
 * when it cannot be. Any thread. */
const struct ph__lookup_module *ph__lookup_module(struct ph_error *err);

#endif
