/* SPDX-License-Identifier: MIT */
#ifndef PH_CLI_SECRET_H
#define PH_CLI_SECRET_H
/* Passwords: from a file, a descriptor, a command or a terminal; never from argv or environment. */
#include <posthaste/error.h>
#include "base/buf.h"

struct ph__secret_source {
	const char *noun;    /* "password": what messages call it */
	const char *file;    /* the first of these that is set is used */
	int         fd;      /* -1: none */
	const char *command; /* run by sh */
	const char *user, *server; /* for the question on a terminal, when nothing else is set */
};

/* Core dumps and other processes' eyes off, for the life of this process: the library holds a copy
 * for as long as the client lives. */
void ph__secret_shield(void);

/* The first line of the source, without its end, into `into`: an initialised buffer that wipes
 * itself. PH_ENOINPUT, PH_ECONFIG, PH_EINPUT (a NUL), PH_ECANCELLED, PH_ESYSTEM. */
enum ph_code ph__secret_read(const struct ph__secret_source *from, struct ph__buf *into,
                             struct ph_error *err);

#endif
