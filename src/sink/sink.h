/* SPDX-License-Identifier: MIT */
#ifndef PH_SINK_SINK_H
#define PH_SINK_SINK_H
/* `posthaste sink`: a receiving server for tests. Loopback only; what it takes stays here. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <posthaste/error.h>
#include <posthaste/tls.h>

enum ph__sink_protocol { PH__SINK_SMTP, PH__SINK_SMTPS, PH__SINK_LMTP };

struct ph__sink_listen {
	enum ph__sink_protocol protocol;
	const char *address; /* "PORT", "ADDRESS:PORT", "[::1]:PORT"; LMTP: "/path". Port 0: any */
};

struct ph__sink_user {
	const char *name, *password_file; /* its first line */
};

/* Everything is borrowed until ph__sink_run() returns. NULL and 0: not asked for. */
struct ph__sink_opts {
	const struct ph__sink_listen *listen; /* none: SMTP on 127.0.0.1:2525 */
	size_t      listen_count;

	const char *name;                  /* in greeting and EHLO; NULL: localhost */
	const char *without;               /* EHLO keywords, parted by commas: off */
	uint64_t    size_max;              /* octets of a message */
	bool        size_given;            /* otherwise PH__SINK_SIZE */
	size_t      recipients_max, connections_max;
	uint64_t    mail_max, domain_max;  /* MAILMAX, RCPTDOMAINMAX (RFC 9422); 0: no limit */
	bool        xclient, xforward;     /* offered */
	bool        proxy_protocol;        /* each connection begins with a PROXY header */
	uint64_t    idle_ms;
	bool        strict_line_ends;

	const char *cert_file, *key_file;  /* PEM; otherwise a CA and a certificate are made */
	const char *const *cert_names;     /* besides localhost, 127.0.0.1, ::1 */
	size_t      cert_name_count;
	const char *ca_out;                /* where the CA's certificate is written */
	enum ph_tls_version tls_min;
	bool        require_tls;

	const struct ph__sink_user *users;
	size_t      user_count;
	const char *users_file;            /* lines "name:password" */
	const char *token_file;            /* lines "name:token", for OAUTHBEARER and XOAUTH2 */
	const char *mechanisms;            /* parted by commas: no others are offered */
	bool        clear_auth, require_auth;

	const char *const *rules;          /* src/sink/rules.h has the grammar */
	size_t      rule_count;
	const char *rules_file;            /* behind them */
	uint64_t    seed;                  /* of all chance */
	bool        seed_given;            /* otherwise one is made, and told when ready */

	const char *maildir;               /* otherwise messages are only counted */
	const char *json_file;             /* otherwise standard output */
	bool        quiet;                 /* no records */
	const char *ready_file;
	uint64_t    messages;              /* end after so many */
};

/* Serves until told to stop: by SIGINT, SIGTERM or opts->messages. */
enum ph_code ph__sink_run(const struct ph__sink_opts *opts, struct ph_error *err);

#endif
