/* SPDX-License-Identifier: MIT */
#ifndef PH_CLI_SPOOL_H
#define PH_CLI_SPOOL_H
/* What can be read only once, kept where it can be read again. */
#include <sys/types.h>
#include <posthaste/error.h>
#include "base/str.h"

/* An unnamed file that holds `head` and all that can be read from `from`, in $TMPDIR or /var/tmp; it
 * is gone with *ret_fd, which is the caller's to close. PH_ENOINPUT, PH_ESYSTEM. `path` is what errors
 * call the input. */
enum ph_code ph__spool(int *ret_fd, struct ph_str head, int from, const char *path,
                       struct ph_error *err);

/* read() that waits for a pipe that somebody else has made non-blocking. */
ssize_t ph__read_some(int fd, void *buf, size_t n);

#endif
