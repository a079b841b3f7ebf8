/* SPDX-License-Identifier: MIT */
#ifndef PH_CLI_PROBLEM_H
#define PH_CLI_PROBLEM_H
/* Telling a person what went wrong: what happened, what it means for the mail, what to do. */
#include <stdio.h>
#include <posthaste/error.h>
#include "base/json.h"

void ph__problem_print(FILE *to, const struct ph_error *err);

/* The same of what is no delivery: `means` says what came of it; empty: that needs no words. */
void ph__problem_print_as(FILE *to, const struct ph_error *err, const char *means);

/* As the member "error"; NULL or PH_OK: null. */
void ph__problem_json(struct ph__json *j, const struct ph_error *err);

/* The exit status of what has only written to standard output; a problem there is told. */
int ph__output_status(void);

/* What is well to know and stops nothing. */
void ph__warn(FILE *to, const char *fmt, ...) PH_PRINTF(2, 3);

#endif
