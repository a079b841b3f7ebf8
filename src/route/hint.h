/* SPDX-License-Identifier: MIT */
#ifndef PH_ROUTE_HINT_H
#define PH_ROUTE_HINT_H
/* What to do about a problem, by what is known of servers and providers: the rows of data/hints,
 * which tools/make-hints turns into a table. Pure. */
#include <stdint.h>
#include <posthaste/error.h>
#include "base/mem.h"
#include "base/str.h"

#define PH__HINT_ANY 0xffff /* a part of an enhanced code */

struct ph__hint_row {
	const char *name;
	uint64_t stages, classes, causes;   /* bits 1 << PH_STAGE_…, -PH_E…, PH_CAUSE_…; 0: any */
	const uint16_t (*codes)[2];         /* from, to; ends with 0; NULL: any */
	const uint16_t (*enhanced)[3];      /* ends with 0 */
	const char *const *hosts;           /* lower case, * is anything; ends with NULL */
	const uint16_t *ports;              /* ends with 0 */
	const char *const *words;           /* lower case, * is anything; ends with NULL */
	const char *hint;
};
extern const struct ph__hint_row ph__hint_rows[];
extern const size_t ph__hint_row_count;

/* The first row that fits an error of a server at host ("" or NULL: unknown) and port; `reply` is the
 * text of the reply that the error is about, octets as they came, empty when there is none. NULL: no
 * row fits. Without memory, words are not found. */
const struct ph__hint_row *ph__hint_find(const struct ph_error *err, const char *host, uint16_t port,
                                         struct ph_str reply, const struct ph_allocator *mem);
/* Gives the error that row's hint; leaves the one it has where there is no row, and where the row goes
 * by a reply's code or host alone: whoever gave it then (a login by token) knew more. Not to be done
 * twice to one error: a row may take up the hint that was there. */
void ph__hint_add(struct ph_error *err, const char *host, uint16_t port, struct ph_str reply,
                  const struct ph_allocator *mem);

#endif
