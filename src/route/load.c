/* SPDX-License-Identifier: MIT */
/* Where the look-up module comes from: a file, when first needed. load_builtin.c stands in its place
 * when it is linked in. */
#include "route/lookup.h"

#include <stddef.h>

#include "base/module.h"

_Static_assert(offsetof(struct ph__lookup_module, build_id) == offsetof(struct ph__module, build_id),
               "a module's table begins as struct ph__module does");

const struct ph__lookup_module *
ph__lookup_module(struct ph_error *err)
{
	static const struct ph__module_wanted wanted = {
		.name = "lookup",
		.what = "direct delivery (looking up recipients' servers)",
		.library = "libunbound8, libcurl4",
		.headers = "libunbound-dev libevent-dev libcurl4-openssl-dev",
	};

	return (const void *)ph__module_load(&wanted, err);
}
