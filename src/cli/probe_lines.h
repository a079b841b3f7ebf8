/* SPDX-License-Identifier: MIT */
#ifndef PH_CLI_PROBE_LINES_H
#define PH_CLI_PROBE_LINES_H
/* Lines from a person or a pipe, waited for together with a server and with signals. */
#include <stdbool.h>
#include <stdio.h>
#include <posthaste/error.h>
#include "base/buf.h"

struct ph__edit_module;
struct ph__line_editor;

#define PH__LINES_MAX (1024 * 1024)

enum ph__lines_end {
	PH__LINES_LINE,
	PH__LINES_END,      /* of the input */
	PH__LINES_SERVER,   /* it has said something, or closed */
	PH__LINES_SIGNAL,   /* SIGINT, SIGTERM or SIGHUP */
	PH__LINES_TOO_LONG, /* a line over PH__LINES_MAX */
	PH__LINES_ERROR     /* it cannot be read: errno; or memory is out (ENOMEM) */
};

struct ph__lines {
	int   fd;
	FILE *terminal;      /* NULL: no prompt, because nobody sits there */
	struct ph__buf in;   /* read, and taken up to `at` */
	size_t at;
	bool  eof;
	const struct ph__edit_module *module;
	struct ph__line_editor *editor; /* NULL: without editing */
	int   server;        /* its descriptor; -1: none */
	short server_events;
	enum ph__lines_end why;  /* what ended the wait */
};

/* `terminal`: where a prompt may go; there is one if that and fd are terminals. From here on the signals
 * above only end waits; close() gives them back their effect. PH_OK; PH_ECONFIG with *err: lines cannot
 * be edited here, but read. */
enum ph_code ph__lines_open(struct ph__lines *l, int fd, FILE *terminal, struct ph_error *err);
void ph__lines_close(struct ph__lines *l);

/* The server's socket, to be waited for too. `tls`: only for its closing, as what can be read may be
 * TLS's own. */
void ph__lines_watch(struct ph__lines *l, int fd, bool tls);

/* The next line without its CRLF or LF, valid until the next call. `secret`: not shown while typed.
 * A last line without an end counts. */
enum ph__lines_end ph__lines_next(struct ph__lines *l, const char *prompt, bool secret,
                              struct ph_str *ret);
/* Whether a whole line is there without waiting. */
bool ph__lines_ready(const struct ph__lines *l);
/* Into the history. */
void ph__lines_remember(struct ph__lines *l, const char *line);

/* Whether one of the signals has come since open(). */
bool ph__lines_interrupted(void);

#endif
