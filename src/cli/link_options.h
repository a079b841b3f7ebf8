/* SPDX-License-Identifier: MIT */
#ifndef PH_CLI_LINK_OPTIONS_H
#define PH_CLI_LINK_OPTIONS_H
/* Which server, how to reach it, whom to trust and who we are: the options that every command has
 * that talks to a server, and what the library is told by them. */
#include <posthaste/client.h>
#include "base/buf.h"
#include "cli/options.h"

#define PH__LINK_USER_MAX   320
#define PH__LINK_SECRET_MAX 16384

struct ph__link_options {
	const char *server, *connect;
	/* TLS */
	struct ph_tls_opts tls;
	struct ph__option_list pins;
	int tls_mode, tls_min;
	/* authentication */
	const char *user, *password_file, *password_command, *token_file, *mechanisms, *authzid;
	struct ph__option_number password_fd;
	bool has_password; /* it has come another way */
	bool allow_clear_auth;
	/* limits and ways */
	const char *helo;
	uint64_t timeout_ms, connect_timeout_ms;
	int family;
	const char *source_ip, *proxy, *proxy_password_file;
};

/* Rows of an option table. S is the command's struct, of which `link` is a struct ph__link_options;
 * PASSWORD is the number of their group there. What weakens a connection or runs a program is
 * never taken from the environment. */
#define PH__LINK_AT(S, member) offsetof(S, link.member)
#define PH__LINK_CONNECT_ROW(S) \
	{ PH__OPTION_TEXT, "connect", NULL, "ADDRESS", "dial this address; HOST stays the name that " \
	  "is verified", PH__LINK_AT(S, connect), .no_environment = true }
#define PH__LINK_TLS_ROWS(S) \
	{ PH__OPTION_TEXT, "ca-file", NULL, "FILE", "trust these certificates (PEM), not the " \
	  "system's", PH__LINK_AT(S, tls.ca_file), .no_environment = true }, \
	{ PH__OPTION_TEXT, "ca-dir", NULL, "DIR", "the same, a directory made by openssl rehash", \
	  PH__LINK_AT(S, tls.ca_dir), .no_environment = true }, \
	{ PH__OPTION_LIST, "pin", NULL, "SHA256", "accept just this certificate or key; again for " \
	  "more", PH__LINK_AT(S, pins), .no_environment = true }, \
	{ PH__OPTION_TEXT, "cert", NULL, "FILE", "client certificate with its chain (PEM)", \
	  PH__LINK_AT(S, tls.cert_file) }, \
	{ PH__OPTION_TEXT, "key", NULL, "FILE", "its key, if it is not in the same file", \
	  PH__LINK_AT(S, tls.key_file) }, \
	{ PH__OPTION_CHOICE, "tls-min", NULL, "VERSION", "1.2 (default) or 1.3", \
	  PH__LINK_AT(S, tls_min), ph__link_tls_versions }, \
	{ PH__OPTION_TEXT, "tls-name", NULL, "NAME", "name the certificate must have, if not HOST", \
	  PH__LINK_AT(S, tls.server_name), .no_environment = true }, \
	{ PH__OPTION_FLAG, "insecure", NULL, NULL, "verify nothing: whoever sits between can read " \
	  "and change all", PH__LINK_AT(S, tls.insecure), .no_environment = true }
#define PH__LINK_SECRET_ROWS(S, PASSWORD) \
	{ PH__OPTION_TEXT, "password-file", NULL, "FILE", "password is the first line of FILE", \
	  PH__LINK_AT(S, password_file), .group = PASSWORD }, \
	{ PH__OPTION_NUMBER, "password-fd", NULL, "N", "... of what descriptor N gives", \
	  PH__LINK_AT(S, password_fd), .max = 1048576, .group = PASSWORD }, \
	{ PH__OPTION_TEXT, "password-command", NULL, "COMMAND", "... of what COMMAND prints", \
	  PH__LINK_AT(S, password_command), .group = PASSWORD, .no_environment = true }, \
	{ PH__OPTION_TEXT, "oauth-token-file", NULL, "FILE", "instead of a password: the first line " \
	  "of FILE is an access token", PH__LINK_AT(S, token_file), .group = PASSWORD }, \
	{ PH__OPTION_TEXT, "authzid", NULL, "NAME", "act for this user", PH__LINK_AT(S, authzid) }, \
	{ PH__OPTION_FLAG, "allow-clear-auth", NULL, NULL, "let the password cross a link that is " \
	  "not secure", PH__LINK_AT(S, allow_clear_auth), .no_environment = true }
#define PH__LINK_WAY_ROWS(S) \
	{ PH__OPTION_DURATION, "connect-timeout", NULL, "TIME", "... for each address to connect; " \
	  "default 30s", PH__LINK_AT(S, connect_timeout_ms) }, \
	{ PH__OPTION_CHOICE, "ip", NULL, "4|6", "only this family of addresses", \
	  PH__LINK_AT(S, family), ph__link_families }, \
	{ PH__OPTION_TEXT, "source-ip", NULL, "ADDRESS", "our own address to connect from", \
	  PH__LINK_AT(S, source_ip) }, \
	{ PH__OPTION_TEXT, "proxy", NULL, "URL", "socks5://[USER@]HOST[:1080] or " \
	  "http://[USER@]HOST[:8080]: connect through this proxy, which looks the server's name up", \
	  PH__LINK_AT(S, proxy), .no_environment = true }, \
	{ PH__OPTION_TEXT, "proxy-password-file", NULL, "FILE", "password of the proxy's USER is the " \
	  "first line of FILE", PH__LINK_AT(S, proxy_password_file), .no_environment = true }

extern const struct ph__option_choice ph__link_tls_modes[], ph__link_tls_versions[], ph__link_families[];

/* What was read, as ph_tls_opts has it; behind ph__options_read(). */
void ph__link_options_settle(struct ph__link_options *o);
/* Refuses what contradicts itself. PH_EUSAGE. */
enum ph_code ph__link_options_check(const struct ph__link_options *o, struct ph_error *err);

/* Whether any option speaks about TLS: without one, the library's rule for loopback holds. */
bool ph__link_has_tls(const struct ph__link_options *o);
/* The user of --user or of the URL ("user@host"), into buf; NULL when there is none. */
const char *ph__link_user(const struct ph__link_options *o, char *buf, size_t size);
/* Refuses, and says what to do. PH_EUSAGE. */
enum ph_code ph__contradiction(struct ph_error *err, const char *text, const char *hint);

#endif
