/* SPDX-License-Identifier: MIT */
#ifndef PH_CLI_SEND_LOGIN_H
#define PH_CLI_SEND_LOGIN_H
/* Whether to log in, and what that takes. */
#include <stdbool.h>
#include <posthaste/error.h>

struct ph__send_options;

/* Refuses what cannot work: an unknown mechanism, one without what it needs. PH_EUSAGE. */
enum ph_code ph__send_login_check(const struct ph__send_options *o, struct ph_error *err);

bool ph__send_login_wanted(const struct ph__send_options *o);
/* With a password, which may have to be asked for; else a token, a certificate or a ticket do. */
bool ph__send_login_needs_password(const struct ph__send_options *o);

#endif
