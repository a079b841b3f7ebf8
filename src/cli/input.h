/* SPDX-License-Identifier: MIT */
#ifndef PH_CLI_INPUT_H
#define PH_CLI_INPUT_H
/* What a user names to be read: a file, or with "-" (or NULL) standard input. */
#include <stdbool.h>
#include <sys/stat.h>
#include <posthaste/error.h>
#include "base/buf.h"

#define PH__INPUT_MAX (256u * 1024 * 1024) /* to compose with; what is larger can be streamed */

const char *ph__input_name(const char *path);
enum ph_code ph__input_unreadable(const char *path, int sys, struct ph_error *err);

/* Opens it; *ret_st says what it is. *ret_owned: it is to be closed. `noun` is what a person at a
 * terminal is asked to write. PH_ENOINPUT. */
enum ph_code ph__input_open(const char *path, const char *noun, int *ret_fd, bool *ret_owned,
                            struct stat *ret_st, struct ph_error *err);
/* All of it, added to an initialised buffer. PH_ENOINPUT, PH_EINPUT, PH_ESYSTEM. */
enum ph_code ph__input_read(const char *path, struct ph__buf *text, struct ph_error *err);

#endif
