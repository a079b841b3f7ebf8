/* SPDX-License-Identifier: MIT */
#ifndef PH_CLI_LINK_LOGIN_H
#define PH_CLI_LINK_LOGIN_H
/* Whether to log in, and what that takes. */
#include <stdbool.h>
#include <posthaste/error.h>

struct ph__link_options;

/* Refuses what cannot work: an unknown mechanism, one without what it needs. PH_EUSAGE. */
enum ph_code ph__link_login_check(const struct ph__link_options *o, struct ph_error *err);

bool ph__link_login_wanted(const struct ph__link_options *o);
/* With a password, which may have to be asked for; else a token, a certificate or a ticket do. */
bool ph__link_login_needs_password(const struct ph__link_options *o);

#endif
