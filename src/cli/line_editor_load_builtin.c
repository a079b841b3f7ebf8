/* SPDX-License-Identifier: MIT */
/* The module "edit" when it is linked in (-Dmodules=builtin). See line_editor_load.c. */
#include "cli/line_editor.h"

const struct ph__edit_module *
ph__edit_module(struct ph_error *err)
{
	(void)err;
	return &ph__module_edit;
}
