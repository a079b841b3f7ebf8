/* SPDX-License-Identifier: MIT */
/* A module as another build would have left it. */
#include <posthaste/api.h>

struct ph__module {
	const char *build_id;
};

PH_API extern const struct ph__module ph__module_test;
const struct ph__module ph__module_test = { "of another build" };
