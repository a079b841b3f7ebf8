/* SPDX-License-Identifier: MIT */
#ifndef POSTHASTE_VERSION_H
#define POSTHASTE_VERSION_H
#include <posthaste/api.h>

#ifdef __cplusplus
extern "C" {
#endif

#define PH_VERSION "0.1.0"

/* The version of the library that is running, which may be another than PH_VERSION. Static. */
PH_API const char *ph_version(void);

#ifdef __cplusplus
}
#endif
#endif
