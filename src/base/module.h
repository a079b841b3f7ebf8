/* SPDX-License-Identifier: MIT */
#ifndef PH_BASE_MODULE_H
#define PH_BASE_MODULE_H
/* Optional parts with heavy libraries, loaded when first needed.
 *
 * A module NAME is the file posthaste-NAME.so, which exports one constant, ph__module_NAME: a table
 * of functions that begins with a struct ph__module. It has its own copy of what it uses of base/,
 * which keeps no state, so it needs no symbol of ours; structs are the same on both sides because
 * the build id is. */
#include <posthaste/error.h>
#include "base/build.h"

struct ph__module {
	const char *build_id; /* PH__BUILD_ID */
};

struct ph__module_wanted {
	const char *name;    /* "sasl" */
	const char *what;    /* it brings: "SCRAM and CRAM-MD5" */
	const char *library; /* Debian's package of the library it stands on */
	const char *headers; /* and the one to build it with */
};

/* The module's table, for good: it is never unloaded. NULL and *err (PH_ECONFIG: the file that was
 * looked for, and what to install) when it cannot be. Any thread, any number of times. */
const struct ph__module *ph__module_load(const struct ph__module_wanted *wanted,
                                         struct ph_error *err);

#endif
