/* SPDX-License-Identifier: MIT */
#ifndef PH_CLI_PROBE_STATS_H
#define PH_CLI_PROBE_STATS_H
/* How long the stages of many runs took: exact percentiles, from all samples. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include "base/json.h"

#define PH__STATS_STAGES  32      /* "connect", "ehlo", … "total": more than there are */
#define PH__STATS_SAMPLES 1000000 /* of a stage: 8 MB each; --repeat takes no more */

struct ph__stats_stage {
	const char *name;   /* borrowed: a literal */
	uint64_t   *us;     /* microseconds; in the order of the runs until they are looked at */
	size_t      count, cap;
};

/* Begin with a zeroed struct. Stages stand in the order in which they were first named. */
struct ph__stats {
	struct ph__stats_stage stages[PH__STATS_STAGES];
	size_t count;
};
void ph__stats_done(struct ph__stats *s);

/* One more sample of a stage; not every run needs to come to every stage. False: out of memory, or over
 * the bounds above. */
bool ph__stats_add(struct ph__stats *s, const char *stage, uint64_t us);

/* The smallest sample that at least p per cent (1 to 100) of all do not exceed: nearest rank. `n` > 0
 * samples, ascending. */
uint64_t ph__percentile(const uint64_t *sorted, size_t n, unsigned p);

/* A table: stage, runs, min, p50, p90, p99, max, mean; milliseconds. Both sort the samples. */
void ph__stats_print(struct ph__stats *s, FILE *to);
/* An array "stages" in the object that is open: {"stage":"connect","runs":100,"min_us":…,"p50_us":…,
 * "p90_us":…,"p99_us":…,"max_us":…,"mean_us":…}; microseconds. */
void ph__stats_json(struct ph__stats *s, struct ph__json *j);

#endif
