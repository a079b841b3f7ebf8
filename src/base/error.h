/* SPDX-License-Identifier: MIT */
#ifndef PH_BASE_ERROR_H
#define PH_BASE_ERROR_H
/* Filling a struct ph_error. */
#include <posthaste/error.h>
#include "base/str.h"

/* Sets *err (NULL is fine) and returns `code`, so that a caller can `return ph__fail(...)`. The text
 * says what happened and what it means. A peer's octets are quoted with ph__quote() (base/escape.h);
 * what a caller named is passed through, so whoever shows the text escapes it. Too long a text is cut
 * between characters. */
enum ph_code ph__fail(struct ph_error *err, enum ph_code code, enum ph_stage stage,
                      enum ph_cause cause, const char *fmt, ...) PH_PRINTF(5, 6);

/* The same for a failed system call: appends the error's text, keeps it in ->sys. */
enum ph_code ph__fail_errno(struct ph_error *err, enum ph_code code, enum ph_stage stage,
                            enum ph_cause cause, int sys, const char *fmt, ...) PH_PRINTF(6, 7);

/* PH_ESYSTEM, out of memory. */
enum ph_code ph__fail_nomem(struct ph_error *err, enum ph_stage stage);

/* Adds to the text. */
void ph__more(struct ph_error *err, const char *fmt, ...) PH_PRINTF(2, 3);

/* Says what to do; replaces what was said. */
void ph__hint(struct ph_error *err, const char *fmt, ...) PH_PRINTF(2, 3);

/* A system error's text in the caller's memory, as strerror() would say it. */
void ph__errno_text(int sys, char *buf, size_t size);

/* Copies as much as both sides' sizes allow; `to` may be NULL. */
void ph__error_copy(struct ph_error *to, const struct ph_error *from);

#endif
