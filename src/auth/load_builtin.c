/* SPDX-License-Identifier: MIT */
/* The SASL module when it is linked in (-Dmodules=builtin). See load.c. */
#include "auth/module.h"

const struct ph__sasl_module *
ph__sasl_module(struct ph_error *err)
{
	(void)err;
	return &ph__module_sasl;
}
