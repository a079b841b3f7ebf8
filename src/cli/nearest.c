/* SPDX-License-Identifier: MIT */
/* Nearest names for a word nobody knows.
 *
 * Distance is the number of letters to add, drop, change or swap with their neighbour (restricted
 * Damerau-Levenshtein: a swap of two letters is the commonest slip). A third of the word may be
 * wrong. A word that only begins a known one is near to it: people try abbreviations. */
#include "cli/nearest.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define WORD_MAX 40 /* longer words are nobody's slip */

static size_t
least(size_t a, size_t b, size_t c)
{
	size_t m = a < b ? a : b;

	return m < c ? m : c;
}

static size_t
distance(const char *a, size_t na, const char *b, size_t nb)
{
	size_t d[WORD_MAX + 1][WORD_MAX + 1];

	for (size_t i = 0; i <= na; i++)
		d[i][0] = i;
	for (size_t j = 0; j <= nb; j++)
		d[0][j] = j;
	for (size_t i = 1; i <= na; i++) {
		for (size_t j = 1; j <= nb; j++) {
			bool same = a[i - 1] == b[j - 1];

			d[i][j] = least(d[i - 1][j] + 1, d[i][j - 1] + 1, d[i - 1][j - 1] + !same);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]
			    && d[i - 2][j - 2] + 1 < d[i][j])
				d[i][j] = d[i - 2][j - 2] + 1;
		}
	}
	return d[na][nb];
}

void
ph__nearest_offer(struct ph__nearest *n, const char *word, const char *known)
{
	size_t word_len = strlen(word), known_len = strlen(known), far, at;

	if (word_len < 2 || word_len > WORD_MAX || known_len > WORD_MAX)
		return;
	far = strncmp(word, known, word_len) == 0 ? 1 : distance(word, word_len, known, known_len);
	if (far > (word_len + 2) / 3)
		return;
	for (at = 0; at < n->count && n->distance[at] <= far; )
		at++;
	if (at == PH__NEAREST_MAX)
		return;
	if (n->count < PH__NEAREST_MAX)
		n->count++;
	for (size_t i = n->count - 1; i > at; i--) {
		n->best[i] = n->best[i - 1];
		n->distance[i] = n->distance[i - 1];
	}
	n->best[at] = known;
	n->distance[at] = far;
}

void
ph__nearest_text(const struct ph__nearest *n, const char *prefix, char *buf, size_t size)
{
	size_t used = 0;

	buf[0] = '\0';
	for (size_t i = 0; i < n->count && used < size; i++) {
		const char *between = i == 0 ? "" : i + 1 == n->count ? " or " : ", ";
		int len = snprintf(buf + used, size - used, "%s%s%s", between, prefix, n->best[i]);

		used += len > 0 ? (size_t)len : 0;
	}
}
