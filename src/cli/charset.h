/* SPDX-License-Identifier: MIT */
#ifndef PH_CLI_CHARSET_H
#define PH_CLI_CHARSET_H
/* A text of any character set as UTF-8. */
#include <posthaste/error.h>
#include "base/buf.h"

/* PH_EUSAGE for a name that no character set has. NULL is UTF-8. */
enum ph_code ph__charset_check(const char *name, struct ph_error *err);

/* Makes UTF-8 of *text in place. PH_EINPUT: an octet does not fit; `what` names the text, and its
 * offset is told. PH_EUSAGE as above, PH_ESYSTEM. */
enum ph_code ph__charset_to_utf8(struct ph__buf *text, const char *name, const char *what,
                                 struct ph_error *err);

#endif
