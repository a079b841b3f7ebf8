/* SPDX-License-Identifier: MIT */
#ifndef PH_CLI_TERMINAL_H
#define PH_CLI_TERMINAL_H
/* What depends on a person sitting there: colour, safe output, questions. */
#include <stdbool.h>
#include <stdio.h>
#include <posthaste/error.h>
#include "base/buf.h"

/* A terminal that can, and no NO_COLOR. */
bool ph__terminal_has_colour(FILE *to);

/* Writes text with what could harm a terminal as \xNN; lines after the first begin with `indent`
 * blanks. */
void ph__terminal_put(FILE *to, struct ph_str text, int indent);

/* Asks on the controlling terminal, which is also there when standard input is the message, and
 * reads one line without echo into `into`. The echo is restored however it ends; SIGINT, SIGTERM,
 * SIGHUP and SIGQUIT take effect afterwards. PH_ECONFIG: there is no terminal. PH_ECANCELLED. */
enum ph_code ph__terminal_ask_secret(const char *question, struct ph__buf *into,
                                     struct ph_error *err);
/* The same with echo. */
enum ph_code ph__terminal_ask(const char *question, struct ph__buf *into, struct ph_error *err);

#endif
