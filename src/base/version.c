/* SPDX-License-Identifier: MIT */
#include <posthaste/version.h>

const char *
ph_version(void)
{
	return PH_VERSION;
}
