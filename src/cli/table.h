/* SPDX-License-Identifier: MIT */
#ifndef PH_CLI_TABLE_H
#define PH_CLI_TABLE_H
/* A table of texts in columns. What a peer sent may be in it: every cell is escaped. A column is as wide
 * as its widest cell, up to its maximum; longer cells go on in further lines, cut between words. */
#include <stdbool.h>
#include <stdio.h>
#include <posthaste/api.h>
#include "base/mem.h"
#include "base/str.h"

#define PH__TABLE_COLUMNS 8
#define PH__TEXT_WIDTH    90 /* of what people read */

struct ph__table_column {
	const char *heading; /* NULL ends the columns */
	size_t      max;     /* characters; 0: any number, so never wrapped */
	bool        right;   /* numbers stand right */
};

/* Errors stick: cells that memory was lacking for make print() say so. */
struct ph__table {
	const struct ph__table_column *columns;
	size_t  column_count;
	const char **cells; /* row by row */
	size_t  count, cap;
	bool    failed;
	struct ph__arena arena;
};

void ph__table_init(struct ph__table *t, const struct ph__table_column *columns);
void ph__table_done(struct ph__table *t);
/* The next cell, left to right, row by row. */
void ph__table_add(struct ph__table *t, struct ph_str text);
void ph__table_addf(struct ph__table *t, const char *fmt, ...) PH_PRINTF(2, 3);
/* Headings and rows, each line with `indent` blanks before it. */
void ph__table_print(const struct ph__table *t, FILE *to, int indent);

/* Running text: escaped, in lines of up to `width` characters, those after the first begun with `indent`
 * blanks, without an end of the last line. */
void ph__put_wrapped(FILE *to, struct ph_str text, int indent, size_t width);

#endif
