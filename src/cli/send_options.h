/* SPDX-License-Identifier: MIT */
#ifndef PH_CLI_SEND_OPTIONS_H
#define PH_CLI_SEND_OPTIONS_H
/* What `posthaste send` was asked for. */
#include <posthaste/client.h>
#include "cli/options.h"
#include "cli/send_extensions.h"

#define PH__SEND_USER_MAX 320

struct ph__send_options {
	/* where to */
	const char *server, *connect;
	/* TLS */
	struct ph_tls_opts tls;
	struct ph__option_list pins;
	int tls_mode, tls_min;
	/* authentication */
	const char *user, *password_file, *password_command, *token_file, *mechanisms, *authzid;
	struct ph__option_number password_fd;
	bool allow_clear_auth;
	/* envelope */
	const char *from, *helo;
	struct ph__option_list to, cc, bcc;
	char **operands;
	size_t operand_count;
	bool no_dup;
	struct ph__send_extensions extensions;
	int priority;
	/* message */
	const char *message, *subject, *body, *text, *full_name, *charset;
	struct ph__option_list headers;
	bool from_headers, as_is, dot_is_text;
	int line_ends;
	/* seeing */
	unsigned verbose;
	bool json, dry_run;
	/* limits */
	uint64_t timeout_ms, connect_timeout_ms;
	int family;
	const char *source_ip, *proxy, *proxy_password_file;
};

extern const struct ph__options ph__send_options_def;

/* Fills the zeroed *o from environment and command line. PH_EUSAGE, PH_ECONFIG: what could be read
 * was read nevertheless. ph__send_options_done() in any case. */
enum ph_code ph__send_options_read(struct ph__send_options *o, int argc, char **argv,
                                   bool *ret_help, struct ph_error *err);
void ph__send_options_done(struct ph__send_options *o);

/* A finished message, or one to compose? `-t` alone is sendmail's: it is standard input. */
bool ph__send_options_is_finished(const struct ph__send_options *o);
/* Whether any option speaks about TLS: without one, the library's rule for loopback holds. */
bool ph__send_options_has_tls(const struct ph__send_options *o);
/* The user of --user or of the URL ("user@host"), into buf; NULL when there is none. */
const char *ph__send_options_user(const struct ph__send_options *o, char *buf, size_t size);

#endif
