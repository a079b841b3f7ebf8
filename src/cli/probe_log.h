/* SPDX-License-Identifier: MIT */
#ifndef PH_CLI_PROBE_LOG_H
#define PH_CLI_PROBE_LOG_H
/* What was said on both sides: shown as it happens, with swaks' marks, and kept for --json.
 *
 *	===  said by us        *** a problem, on standard error
 *	 ->  ~>  sent          <-  <~  received          <**  <~*  a refusal
 *
 * The library's transcript comes in by ph__log_trace(). Whatever a peer sent is escaped. */
#include <posthaste/client.h>
#include "base/json.h"
#include "base/mem.h"
#include "cli/probe_stage.h"

struct ph__log_style {
	bool     quiet;         /* nothing on standard output: --json, --repeat */
	bool     hide_send, hide_receive, hide_info, hide_all;
	unsigned silent;        /* swaks' -S */
	bool     suppress_data;
};

/* A command and its reply. Texts are the octets as they came. */
struct ph__exchange {
	enum ph__probe_stage stage;
	const char *sent;       /* NULL: the greeting, which nobody asked for */
	bool     tls;
	uint64_t sent_us, replied_us; /* since the client began to connect */
	uint16_t code;          /* 0: no reply came */
	struct ph_str text;     /* the lines without their codes, joined by \n */
};

struct ph__log {
	struct ph__log_style style;
	struct ph_client *client;       /* borrowed; NULL before there is one */
	const char *peer;               /* "127.0.0.1:25", as messages call it; borrowed */
	const char *host;
	const char *local_certificate;  /* NULL: none */
	const char *proxy_header;       /* what goes before all else; NULL: nothing */
	enum ph__probe_stage stage;     /* what is going on */
	bool     hushed;                /* what is sent is not shown: somebody else does that */
	bool     typed;                 /* nor is it, as it stands behind a prompt */
	bool     own_words;             /* nor what the library says of itself */
	bool     muted;                 /* nothing at all is shown or kept */
	bool     unverified_told;       /* --repeat: once will do */
	bool     connected, tls_told, error_seen;
	unsigned notes;                 /* of the library's while it connects */
	uint64_t began_us, connected_us, last_note_us;

	struct ph__arena arena;
	struct ph__exchange *exchanges;
	size_t count, cap, answered;
	struct ph__buf reply;           /* of one that is coming in */
	const char **problems;
	size_t problem_count, problem_cap;
};

void ph__log_init(struct ph__log *l);
void ph__log_done(struct ph__log *l);
/* A run begins, with connecting: what was kept of another is forgotten. */
void ph__log_begin(struct ph__log *l, struct ph_client *client);

/* Made to be ph_client_opts.transcript, with the log as its user. */
void ph__log_trace(void *log, const struct ph_trace *line);

/* "=== ..." and "*** ..."; the text is escaped. */
void ph__log_info(struct ph__log *l, const char *fmt, ...) PH_PRINTF(2, 3);
void ph__log_problem(struct ph__log *l, const char *fmt, ...) PH_PRINTF(2, 3);
/* An error's text, and what to do about it. */
void ph__log_error(struct ph__log *l, const char *what, const struct ph_error *err);
/* A line with another's mark ("===", "***", " ->" or " ~>" for a line of a message): what raw mode
 * says. */
void ph__log_said(struct ph__log *l, const char *mark, struct ph_str text);
/* The message as it goes out, dots and all, and that a reply to it is awaited. */
void ph__log_message(struct ph__log *l, struct ph_str wire);

/* That there is a connection, and TLS on it, once each. */
void ph__log_connected(struct ph__log *l);

/* "exchanges": [...], "problems": [...] in the object that is open. */
void ph__log_json(const struct ph__log *l, struct ph__json *j);

#endif
