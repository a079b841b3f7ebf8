/* SPDX-License-Identifier: MIT */
/* The look-up module when it is linked in (-Dmodules=builtin). See load.c. */
#include "route/lookup.h"

const struct ph__lookup_module *
ph__lookup_module(struct ph_error *err)
{
	(void)err;
	return &ph__module_lookup;
}
