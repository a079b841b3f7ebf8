/* SPDX-License-Identifier: MIT */
#ifndef PH_CLI_NEAREST_H
#define PH_CLI_NEAREST_H
/* Which known word did you mean? */
#include <stddef.h>

#define PH__NEAREST_MAX 3

/* Offers one known word. The best few are kept in `best`, nearest first; words too far away to be a
 * slip of the hand are not. Begin with a zeroed struct. */
struct ph__nearest {
	const char *best[PH__NEAREST_MAX];
	size_t      distance[PH__NEAREST_MAX];
	size_t      count;
};
void ph__nearest_offer(struct ph__nearest *n, const char *word, const char *known);

/* "--from, --to or --cc" with `prefix` before each; empty when nothing is near. */
void ph__nearest_text(const struct ph__nearest *n, const char *prefix, char *buf, size_t size);

#endif
