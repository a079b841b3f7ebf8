/* SPDX-License-Identifier: MIT */
#ifndef PH_CLI_PROBE_RAW_H
#define PH_CLI_PROBE_RAW_H
/* Commands typed by hand, one a line; smtplib's docmd at the shell.
 *
 * A line is a command and waits for its reply, but
 *  - behind a 354 lines are the message, as they are typed (nothing is added to a dot in front: the
 *    server takes it away, as under telnet), until a lone dot;
 *  - behind a 334 a line is the answer to a challenge, in base64: no echo, no history, hidden;
 *  - behind BDAT N the lines are the chunk until N octets, with CRLF at each line's end;
 *  - STARTTLS does the handshake and tells what came of it;
 *  - an empty line is nothing; `quit`, in any case, ends it, and the end of input says QUIT.
 * On a terminal there is a prompt, with line editing and history if the module for it is there.
 * A server that closes or speaks unasked is told at once, also while the prompt waits (under TLS only
 * that it closes: what waits to be read there may be a session ticket). */
#include <stdio.h>
#include <posthaste/client.h>
#include "base/str.h"

struct ph__raw_opts {
	int   fd;       /* of the lines: STDIN_FILENO */
	FILE *terminal; /* where a prompt goes, if both are terminals; NULL: never */
	bool  lmtp;     /* a message has a reply for each recipient (RFC 2033 §4.2) */
	/* What we say ourselves, and the lines of a message, which the library's transcript calls only
	 * "[N octets by hand]": mark is "===", "***", " ->" or " ~>"; the text is not yet escaped. NULL:
	 * nobody listens. Commands and replies are in the client's transcript. */
	void (*say)(void *user, const char *mark, struct ph_str text);
	void *user;
	bool *sending;  /* true while such a line goes out: the transcript's function drops what it is
	                   told then. NULL is fine */
	bool *typed;    /* true while what goes out stands behind the prompt already. NULL is fine */
	/* A STARTTLS that was typed has come to TLS: to tell what the handshake has shown. NULL: nobody
	 * tells. */
	void (*tls_began)(void *user);
};

struct ph__raw_result {
	struct ph_reply last;  /* of the last reply code and enhanced code; QUIT's does not count.
	                          0: there was none. text is NULL */
	size_t commands;       /* how many lines were commands */
	bool   quit;           /* QUIT was said; otherwise the connection was lost or given up */
};

/* Runs them on a client that is connected, to the end; the client is not connected behind it. SIGINT,
 * SIGTERM and SIGHUP are caught meanwhile: they end it, without QUIT. PH_OK, whatever was answered.
 * PH_EDEFERRED, PH_EPROTOCOL, PH_ESECURITY: how the connection ended; PH_EINPUT: the last line could not
 * be said; PH_ENOINPUT: lines cannot be read; PH_ECANCELLED: by a signal; PH_ESYSTEM. All of these
 * were told through say() already. */
enum ph_code ph__raw_run(struct ph_client *c, const struct ph__raw_opts *opts,
                         struct ph__raw_result *ret, struct ph_error *err);

/* Made to be ph_client_opts.interrupted of that client: true once a signal was caught. */
bool ph__raw_interrupted(void *unused);

#endif
