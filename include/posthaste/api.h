/* SPDX-License-Identifier: MIT */
#ifndef POSTHASTE_API_H
#define POSTHASTE_API_H
/* What every public header needs: visibility, and the allocator that a caller may lend. */
#include <stddef.h>

#if defined(__GNUC__)
#define PH_API __attribute__((visibility("default")))
#define PH_MUST_CHECK __attribute__((warn_unused_result))
#define PH_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#else
#define PH_API
#define PH_MUST_CHECK
#define PH_PRINTF(fmt, args)
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* Where an object takes its memory from. The struct is copied; `user` must outlive the object.
 * The three functions behave as malloc, realloc and free; alloc and realloc may return NULL, which
 * the library reports as PH_ESYSTEM and survives. NULL in place of the struct means the C library's. */
struct ph_allocator {
	void *(*alloc)(void *user, size_t n);
	void *(*realloc)(void *user, void *p, size_t n);
	void (*free)(void *user, void *p);
	void *user;
};

#ifdef __cplusplus
}
#endif
#endif
