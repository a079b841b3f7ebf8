/* SPDX-License-Identifier: MIT */
/* Where the module "edit" comes from: a file, when first needed. line_editor_load_builtin.c stands in
 * its place when it is linked in. */
#include "cli/line_editor.h"

#include <stddef.h>

#include "base/module.h"

_Static_assert(offsetof(struct ph__edit_module, build_id) == offsetof(struct ph__module, build_id),
               "a module's table begins as struct ph__module does");

const struct ph__edit_module *
ph__edit_module(struct ph_error *err)
{
	static const struct ph__module_wanted wanted = {
		.name = "edit",
		.what = "line editing with history",
		.library = "libedit2",
		.headers = "libedit-dev",
	};

	return (const void *)ph__module_load(&wanted, err);
}
