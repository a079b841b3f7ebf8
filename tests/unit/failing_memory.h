/* SPDX-License-Identifier: MIT */
#ifndef TESTS_FAILING_MEMORY_H
#define TESTS_FAILING_MEMORY_H
/* An allocator whose n-th request fails, and which knows what is not given back.
 *
 *     struct failing_memory fm;
 *     for (size_t n = 1; failing_memory_try(&fm, n); n++)
 *             ... use &fm.mem; PH_ESYSTEM is right as long as fm.failed ...
 *
 * The loop ends with the first run that no failure reached. */
#include <stdbool.h>
#include <stdlib.h>
#include <posthaste/api.h>

struct failing_memory {
	struct ph_allocator mem;
	size_t calls, fail_at, live;
	bool failed;
};

static inline bool
failing_memory_hit(struct failing_memory *fm)
{
	if (++fm->calls != fm->fail_at)
		return false;
	return fm->failed = true;
}

static void *
failing_memory_alloc(void *user, size_t n)
{
	struct failing_memory *fm = user;
	void *p = failing_memory_hit(fm) ? NULL : malloc(n);

	fm->live += p != NULL;
	return p;
}

static void *
failing_memory_realloc(void *user, void *old, size_t n)
{
	struct failing_memory *fm = user;
	void *p = failing_memory_hit(fm) ? NULL : realloc(old, n);

	fm->live += p != NULL && old == NULL;
	return p;
}

static void
failing_memory_free(void *user, void *p)
{
	struct failing_memory *fm = user;

	fm->live -= p != NULL;
	free(p);
}

/* Sets up run n, whose n-th request fails. False when the run before met no failure any more. */
static inline bool
failing_memory_try(struct failing_memory *fm, size_t n)
{
	if (n > 1 && !fm->failed)
		return false;
	*fm = (struct failing_memory){
		.mem = { failing_memory_alloc, failing_memory_realloc, failing_memory_free, fm },
		.fail_at = n,
	};
	return true;
}

#endif
