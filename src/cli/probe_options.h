/* SPDX-License-Identifier: MIT */
#ifndef PH_CLI_PROBE_OPTIONS_H
#define PH_CLI_PROBE_OPTIONS_H
/* What `posthaste probe` was asked for. */
#include "base/mem.h"
#include "cli/link_options.h"
#include "cli/probe_stage.h"

/* What becomes of TLS. Whether the certificate counts is said by link.tls: record_only. */
enum ph__probe_tls {
	PH__PROBE_TLS_NONE,
	PH__PROBE_TLS_TRY,      /* STARTTLS if offered; a refusal does not matter */
	PH__PROBE_TLS_STRICT,   /* STARTTLS if offered; then it must work */
	PH__PROBE_TLS_DEMANDED, /* STARTTLS */
	PH__PROBE_TLS_IMPLICIT
};

enum ph__probe_auth { PH__PROBE_AUTH_NONE, PH__PROBE_AUTH_TRY, PH__PROBE_AUTH_STRICT,
                      PH__PROBE_AUTH_DEMANDED };

struct ph__probe_options {
	struct ph__link_options link; /* server: a URL, whatever was given */
	/* where to, as given */
	const char *server, *port, *socket, *protocol, *proxy_header;
	const char *dns, *trust_anchor; /* of the look-up without a server */
	/* TLS, as given, and what it comes to */
	int  swaks_tls;
	bool tls_verify;
	enum ph__probe_tls tls;
	bool this_machine;  /* by its words: the server is no other than this */
	bool enforce;       /* with record_only for a report: the verdict comes behind it */
	/* login, as given, and what it comes to */
	const char *auth_demanded, *auth_optional, *auth_strict;
	bool wants_login;   /* by another word than these: set before they are read */
	enum ph__probe_auth auth;
	/* envelope */
	const char *from;
	struct ph__option_list to, cc, bcc, xclient, xforward;
	bool xclient_before_tls, helo_only, lmtp;
	/* message */
	const char *data, *body;
	struct ph__option_list headers, new_headers, parts;
	bool no_fixup, no_strip_from;
	/* how far */
	const char *quit_after, *drop_after, *drop_after_send;
	enum ph__probe_stage quit, drop, drop_sent; /* NOWHERE: not before the end */
	enum ph__probe_stage last;                  /* behind which nothing more is to be said */
	const char *expect;
	bool pipeline;
	struct ph__option_number repeat;
	/* instead of a message */
	bool raw, tls_report, capabilities;
	const char *verify, *expand, *server_help;
	/* seeing */
	bool json, dump_mail, show_secrets, suppress_data;
	bool hide_all, hide_receive, hide_send, hide_info;
	struct ph__option_number silent;

	struct ph__arena arena; /* texts made of what was given */
};

extern const struct ph__options ph__probe_options_def;

/* Fills the zeroed *o. The words have been translated (probe_words.h). PH_EUSAGE: what could be read
 * was read nevertheless. ph__probe_options_done() in any case. */
enum ph_code ph__probe_options_read(struct ph__probe_options *o, int argc, char **argv,
                                    bool *ret_help, struct ph_error *err);
void ph__probe_options_done(struct ph__probe_options *o);

/* Whether the dialogue, if nothing goes wrong, comes to this stage. */
bool ph__probe_comes_to(const struct ph__probe_options *o, enum ph__probe_stage stage);

/* The host that is dialled, or the path of the Unix socket; and the port, 0 where there is none. */
struct ph_str ph__probe_host(const struct ph__probe_options *o);
unsigned ph__probe_port(const struct ph__probe_options *o);

/* "HOST:PORT", "[HOST]:PORT", "HOST/PORT", "[HOST]" or "HOST" taken apart, as swaks does; the port
 * empty when there is none. Exported for tests. */
void ph__probe_split_server(struct ph_str server, struct ph_str *ret_host, struct ph_str *ret_port);

#endif
