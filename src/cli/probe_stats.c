/* SPDX-License-Identifier: MIT */
/* Percentiles of many runs. See probe_stats.h. Nearest rank is always a sample that was measured:
 * nothing is interpolated, so the p99 of ten runs is their slowest. */
#include "cli/probe_stats.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "cli/table.h"

void
ph__stats_done(struct ph__stats *s)
{
	for (size_t i = 0; i < s->count; i++)
		ph__free(&ph__libc_memory, s->stages[i].us);
	*s = (struct ph__stats){ .count = 0 };
}

static struct ph__stats_stage *
stage_of(struct ph__stats *s, const char *name)
{
	for (size_t i = 0; i < s->count; i++)
		if (strcmp(s->stages[i].name, name) == 0)
			return &s->stages[i];
	if (s->count == PH__STATS_STAGES)
		return NULL;
	s->stages[s->count].name = name;
	return &s->stages[s->count++];
}

bool
ph__stats_add(struct ph__stats *s, const char *stage, uint64_t us)
{
	struct ph__stats_stage *x = stage_of(s, stage);

	if (x == NULL || x->count == PH__STATS_SAMPLES)
		return false;
	if (x->count == x->cap) {
		size_t cap = x->cap != 0 ? 2 * x->cap : 64;
		uint64_t *p = ph__realloc(&ph__libc_memory, x->us, cap * sizeof *p);

		if (p == NULL)
			return false;
		x->us = p;
		x->cap = cap;
	}
	x->us[x->count++] = us;
	return true;
}

uint64_t
ph__percentile(const uint64_t *sorted, size_t n, unsigned p)
{
	assert(n != 0 && p >= 1 && p <= 100);
	return sorted[(n * p + 99) / 100 - 1];
}

static int
by_size(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/* The figures of a stage, in microseconds. */
struct figures {
	uint64_t min, p50, p90, p99, max, mean;
};

static struct figures
figures_of(struct ph__stats_stage *x)
{
	uint64_t sum = 0;

	qsort(x->us, x->count, sizeof x->us[0], by_size);
	for (size_t i = 0; i < x->count; i++)
		sum += x->us[i];
	return (struct figures){
		.min = x->us[0], .max = x->us[x->count - 1],
		.p50 = ph__percentile(x->us, x->count, 50), .p90 = ph__percentile(x->us, x->count, 90),
		.p99 = ph__percentile(x->us, x->count, 99), .mean = (sum + x->count / 2) / x->count,
	};
}

static void
add_ms(struct ph__table *t, uint64_t us)
{
	ph__table_addf(t, "%llu.%03llu", (unsigned long long)(us / 1000),
	               (unsigned long long)(us % 1000));
}

void
ph__stats_print(struct ph__stats *s, FILE *to)
{
	static const struct ph__table_column columns[] = {
		{ "stage (ms)", 0, false }, { "runs", 0, true }, { "min", 0, true }, { "p50", 0, true },
		{ "p90", 0, true }, { "p99", 0, true }, { "max", 0, true }, { "mean", 0, true },
		{ .heading = NULL },
	};
	struct ph__table t;

	ph__table_init(&t, columns);
	for (size_t i = 0; i < s->count; i++) {
		struct figures f;

		if (s->stages[i].count == 0)
			continue;
		f = figures_of(&s->stages[i]);
		ph__table_addf(&t, "%s", s->stages[i].name);
		ph__table_addf(&t, "%zu", s->stages[i].count);
		add_ms(&t, f.min);
		add_ms(&t, f.p50);
		add_ms(&t, f.p90);
		add_ms(&t, f.p99);
		add_ms(&t, f.max);
		add_ms(&t, f.mean);
	}
	ph__table_print(&t, to, 0);
	ph__table_done(&t);
}

void
ph__stats_json(struct ph__stats *s, struct ph__json *j)
{
	ph__json_array(j, "stages");
	for (size_t i = 0; i < s->count; i++) {
		struct figures f;

		if (s->stages[i].count == 0)
			continue;
		f = figures_of(&s->stages[i]);
		ph__json_object(j, NULL);
		ph__json_cstr(j, "stage", s->stages[i].name);
		ph__json_uint(j, "runs", s->stages[i].count);
		ph__json_uint(j, "min_us", f.min);
		ph__json_uint(j, "p50_us", f.p50);
		ph__json_uint(j, "p90_us", f.p90);
		ph__json_uint(j, "p99_us", f.p99);
		ph__json_uint(j, "max_us", f.max);
		ph__json_uint(j, "mean_us", f.mean);
		ph__json_end_object(j);
	}
	ph__json_end_array(j);
}
