/* SPDX-License-Identifier: MIT */
/* Where the SASL module comes from: a file, when first needed. load_builtin.c stands in its place
 * when it is linked in. */
#include "auth/module.h"

#include <stddef.h>

#include "base/module.h"

_Static_assert(offsetof(struct ph__sasl_module, build_id) == offsetof(struct ph__module, build_id),
               "a module's table begins as struct ph__module does");

const struct ph__sasl_module *
ph__sasl_module(struct ph_error *err)
{
	static const struct ph__module_wanted wanted = {
		.name = "sasl",
		.what = "authentication by SCRAM, CRAM-MD5, DIGEST-MD5, NTLM or GSSAPI",
		.library = "libgsasl18",
		.headers = "libgsasl-dev",
	};

	return (const void *)ph__module_load(&wanted, err);
}
