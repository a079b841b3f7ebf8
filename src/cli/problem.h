/* SPDX-License-Identifier: MIT */
#ifndef PH_CLI_PROBLEM_H
#define PH_CLI_PROBLEM_H
/* Telling a person what went wrong: what happened, what it means for the mail, what to do. */
#include <stdio.h>
#include <posthaste/error.h>

void ph__problem_print(FILE *to, const struct ph_error *err);

/* What is well to know and stops nothing. */
void ph__warn(FILE *to, const char *fmt, ...) PH_PRINTF(2, 3);

#endif
