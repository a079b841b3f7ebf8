/* SPDX-License-Identifier: MIT */
/* The options of `posthaste send`. See send_options.h.
 *
 * The table is the contract of the command line. What weakens a connection or
 * runs a program is never taken from the environment, which a caller may not control: insecure,
 * tls, allow-clear-auth, password-command, connect, ca-file. */
#include "cli/send_options.h"

#include <string.h>
#include "base/error.h"

#define AT(member) offsetof(struct ph__send_options, member)
#define FD_MAX     1048576

enum group { NO_GROUP, PASSWORD, CONTENT };

static const struct ph__option_choice tls_modes[] = {
	{ "starttls", PH_TLS_STARTTLS }, { "implicit", PH_TLS_IMPLICIT },
	{ "opportunistic", PH_TLS_OPPORTUNISTIC }, { "off", PH_TLS_OFF }, { NULL, 0 },
};
static const struct ph__option_choice tls_versions[] = {
	{ "1.2", PH_TLS_1_2 }, { "1.3", PH_TLS_1_3 }, { NULL, 0 },
};
static const struct ph__option_choice families[] = { { "4", 4 }, { "6", 6 }, { NULL, 0 } };
static const struct ph__option_choice line_ends[] = {
	{ "normalise", PH_LINE_ENDS_NORMALISE }, { "strict", PH_LINE_ENDS_STRICT },
	{ "binary", PH_LINE_ENDS_BINARY }, { NULL, 0 },
};

#define HEADING(text) { PH__OPTION_HEADING, .help = text }

static const struct ph__option rows[] = {
	HEADING("Where to"),
	{ PH__OPTION_TEXT, "server", "S", "URL", "smtp://HOST (port 25), submission://HOST (587), "
	  "smtps://HOST (465), lmtp://HOST:PORT or lmtp:///SOCKET; USER@ may stand before HOST",
	  AT(server) },
	{ PH__OPTION_TEXT, "connect", NULL, "ADDRESS", "dial this address; HOST stays the name that is "
	  "verified", AT(connect), .no_environment = true },

	HEADING("TLS (verified unless you say otherwise)"),
	{ PH__OPTION_CHOICE, "tls", NULL, "MODE", "starttls (default of smtp, submission, lmtp), "
	  "implicit (of smtps), opportunistic, off", AT(tls_mode), tls_modes, .no_environment = true },
	{ PH__OPTION_TEXT, "ca-file", NULL, "FILE", "trust these certificates (PEM), not the system's",
	  AT(tls.ca_file), .no_environment = true },
	{ PH__OPTION_TEXT, "ca-dir", NULL, "DIR", "the same, a directory made by openssl rehash",
	  AT(tls.ca_dir), .no_environment = true },
	{ PH__OPTION_LIST, "pin", NULL, "SHA256", "accept just this certificate or key; again for more",
	  AT(pins), .no_environment = true },
	{ PH__OPTION_TEXT, "cert", NULL, "FILE", "client certificate with its chain (PEM)",
	  AT(tls.cert_file) },
	{ PH__OPTION_TEXT, "key", NULL, "FILE", "its key, if it is not in the same file",
	  AT(tls.key_file) },
	{ PH__OPTION_CHOICE, "tls-min", NULL, "VERSION", "1.2 (default) or 1.3", AT(tls_min),
	  tls_versions },
	{ PH__OPTION_TEXT, "tls-name", NULL, "NAME", "name the certificate must have, if not HOST",
	  AT(tls.server_name), .no_environment = true },
	{ PH__OPTION_FLAG, "insecure", NULL, NULL, "verify nothing: whoever sits between can read and "
	  "change all", AT(tls.insecure), .no_environment = true },

	HEADING("Authentication"),
	{ PH__OPTION_TEXT, "user", NULL, "NAME", "log in; the password is asked for on the terminal "
	  "unless one of the next three is given", AT(user) },
	{ PH__OPTION_TEXT, "password-file", NULL, "FILE", "password is the first line of FILE",
	  AT(password_file), .group = PASSWORD },
	{ PH__OPTION_NUMBER, "password-fd", NULL, "N", "... of what descriptor N gives",
	  AT(password_fd), .max = FD_MAX, .group = PASSWORD },
	{ PH__OPTION_TEXT, "password-command", NULL, "COMMAND", "... of what COMMAND prints",
	  AT(password_command), .group = PASSWORD, .no_environment = true },
	{ PH__OPTION_TEXT, "auth", NULL, "MECH[,MECH]", "only these mechanisms, in this order",
	  AT(mechanisms) },
	{ PH__OPTION_TEXT, "authzid", NULL, "NAME", "act for this user", AT(authzid) },
	{ PH__OPTION_FLAG, "allow-clear-auth", NULL, NULL, "let the password cross a link that is not "
	  "secure", AT(allow_clear_auth), .no_environment = true },

	HEADING("Envelope"),
	{ PH__OPTION_TEXT, "from", "fr", "ADDRESS", "sender; '<>' is the null one; default: $EMAIL",
	  AT(from) },
	{ PH__OPTION_LIST, "to", NULL, "ADDRESS", "recipient, like an operand; in the To field",
	  AT(to) },
	{ PH__OPTION_LIST, "cc", NULL, "ADDRESS", "recipient; in the Cc field", AT(cc) },
	{ PH__OPTION_LIST, "bcc", NULL, "ADDRESS", "recipient; in no field", AT(bcc) },
	{ PH__OPTION_TEXT, "helo", NULL, "NAME", "what to call ourselves in EHLO", AT(helo) },
	{ PH__OPTION_FLAG, "no-dup", NULL, NULL, "a copy too many would be worse than none (payment "
	  "orders); exit 74 when in doubt", AT(no_dup) },

	HEADING("Message"),
	{ PH__OPTION_TEXT, "message", NULL, "FILE|-", "send this finished message (RFC 5322)",
	  AT(message), .group = CONTENT },
	{ PH__OPTION_TEXT, "subject", "s", "TEXT", "compose one with this subject", AT(subject) },
	{ PH__OPTION_TEXT, "body", NULL, "TEXT", "... and this text", AT(body), .group = CONTENT },
	{ PH__OPTION_TEXT, "text", NULL, "FILE|-", "... and the text of FILE; default: standard input",
	  AT(text), .group = CONTENT },
	{ PH__OPTION_LIST, "header", NULL, "'NAME: VALUE'", "... and this header field; again for more",
	  AT(headers) },
	{ PH__OPTION_FLAG, "read-recipients", "t", NULL, "take recipients from To, Cc and Bcc (of the "
	  "Resent fields, if there are any), and drop Bcc; alone: of the finished message on "
	  "standard input", AT(from_headers) },
	{ PH__OPTION_CHOICE, "line-ends", NULL, "KIND", "normalise (default: each line end becomes "
	  "CRLF), strict (refuse bare CR and LF), binary", AT(line_ends), line_ends },
	{ PH__OPTION_FLAG, "as-is", NULL, NULL, "do not check that a finished message has a header",
	  AT(as_is) },
	{ PH__OPTION_FLAG, "ignore-dots", "i", NULL, "no effect: a lone dot never ends the text",
	  AT(dot_is_text) },

	HEADING("Seeing"),
	{ PH__OPTION_COUNT, "verbose", "v", NULL, "show the dialogue on standard error, secrets "
	  "hidden; -vv with times", AT(verbose) },
	{ PH__OPTION_FLAG, "json", NULL, NULL, "print the delivery record on standard output",
	  AT(json) },
	{ PH__OPTION_FLAG, "dry-run", NULL, NULL, "show what would be sent; connect to nobody",
	  AT(dry_run) },

	HEADING("Limits (30, 30s, 2m, 1h)"),
	{ PH__OPTION_DURATION, "timeout", NULL, "TIME", "wait so long for each answer at most",
	  AT(timeout_ms) },
	{ PH__OPTION_DURATION, "connect-timeout", NULL, "TIME", "... for each address to connect; "
	  "default 30s", AT(connect_timeout_ms) },
	{ PH__OPTION_CHOICE, "ip", NULL, "4|6", "only this family of addresses", AT(family), families },
	{ PH__OPTION_TEXT, "source-ip", NULL, "ADDRESS", "our own address to connect from",
	  AT(source_ip) },
};

const struct ph__options ph__send_options_def = {
	.command = "send",
	.synopsis = "--server URL [OPTION]... [RECIPIENT]...",
	.about = "Sends one message and says by its exit status what became of it.",
	.more =
	    "Each long option can be set as POSTHASTE_NAME (POSTHASTE_SERVER, POSTHASTE_USER ...),\n"
	    "but for those that decide whom to trust: --tls, --tls-name, --ca-file, --ca-dir, --pin,\n"
	    "--insecure, --allow-clear-auth, --connect and --password-command.\n"
	    "\n"
	    "Exit status: 0 accepted for all; 69 refused; 67 no such user; 75 try again later;\n"
	    "64 usage, 65 bad message or address, 66 no such file, 68 no such host, 71 system,\n"
	    "76 protocol, 77 authentication, 78 configuration or security, 130 cancelled.\n"
	    "\n"
	    "Examples:\n"
	    "  echo Hello | posthaste send -S submission://ann@mail.example.org \\\n"
	    "      --from ann@example.org -s Greetings bob@example.net\n"
	    "  posthaste send -S smtp://mx.example.net --from ann@example.org --message mail.eml \\\n"
	    "      bob@example.net",
	.rows = rows,
	.count = sizeof rows / sizeof rows[0],
	.environment = true,
};

bool
ph__send_options_is_finished(const struct ph__send_options *o)
{
	return o->message != NULL
	    || (o->from_headers && o->subject == NULL && o->body == NULL && o->text == NULL
	        && o->headers.count == 0);
}

bool
ph__send_options_has_tls(const struct ph__send_options *o)
{
	return o->tls.mode != PH_TLS_DEFAULT || o->tls.min_version != PH_TLS_VERSION_DEFAULT
	    || o->tls.insecure || o->tls.server_name != NULL || o->tls.ca_file != NULL
	    || o->tls.ca_dir != NULL || o->tls.cert_file != NULL || o->tls.key_file != NULL
	    || o->pins.count != 0;
}

const char *
ph__send_options_user(const struct ph__send_options *o, char *buf, size_t size)
{
	const char *scheme, *host, *end, *at;

	if (o->user != NULL || o->server == NULL)
		return o->user;
	scheme = strstr(o->server, "://");
	host = scheme != NULL ? scheme + 3 : o->server;
	end = host + strcspn(host, "/?#");
	at = memrchr(host, '@', (size_t)(end - host));
	if (at == NULL || at == host)
		return NULL;
	snprintf(buf, size, "%.*s", (int)(at - host), host);
	return buf;
}

static enum ph_code
contradiction(struct ph_error *err, const char *text, const char *hint)
{
	ph__fail(err, PH_EUSAGE, PH_STAGE_PREPARE, PH_CAUSE_ARGUMENT, "%s", text);
	ph__hint(err, "%s", hint);
	return PH_EUSAGE;
}

static enum ph_code
check_login(const struct ph__send_options *o, struct ph_error *err)
{
	char user[320];

	if (ph__send_options_user(o, user, sizeof user) != NULL)
		return PH_OK;
	if (o->password_file != NULL || o->password_fd.given || o->password_command != NULL)
		return contradiction(err, "a password is given, but no user",
		                     "add --user NAME, or write the user into the URL: smtps://NAME@host");
	if (o->mechanisms != NULL && o->tls.cert_file == NULL)
		return contradiction(err, "--auth is given, but no user",
		                     "add --user NAME; only EXTERNAL does without, and needs --cert");
	if (o->authzid != NULL && o->mechanisms == NULL)
		return contradiction(err, "--authzid is given, but no user", "add --user NAME");
	return PH_OK;
}

static enum ph_code
check_message(const struct ph__send_options *o, struct ph_error *err)
{
	if (o->message != NULL && (o->subject != NULL || o->headers.count != 0))
		return contradiction(err, "--message names a finished message; --subject and --header only "
		                     "go with one that is composed here",
		                     "leave them out, or give the text with --text or --body");
	if (o->as_is && !ph__send_options_is_finished(o))
		return contradiction(err, "--as-is only goes with a finished message",
		                     "give it with --message FILE, or leave --as-is out");
	return PH_OK;
}

static enum ph_code
check(const struct ph__send_options *o, struct ph_error *err)
{
	enum ph_code rc;

	if (o->tls.key_file != NULL && o->tls.cert_file == NULL)
		return contradiction(err, "--key is given without --cert",
		                     "a key needs its certificate: --cert FILE");
	if ((rc = check_login(o, err)) != PH_OK || (rc = check_message(o, err)) != PH_OK)
		return rc;
	if (o->server != NULL)
		return PH_OK;
	ph__fail(err, PH_ECONFIG, PH_STAGE_PREPARE, PH_CAUSE_ARGUMENT,
	         "no server is given, so there is nobody to hand the message to");
	ph__hint(err, "name your provider's server, --server submission://mail.example.org, or the "
	              "recipient's, --server smtp://mx.example.net; POSTHASTE_SERVER does too");
	return PH_ECONFIG;
}

enum ph_code
ph__send_options_read(struct ph__send_options *o, int argc, char **argv, bool *ret_help,
                      struct ph_error *err)
{
	int first = argc;
	enum ph_code rc = ph__options_read(&ph__send_options_def, argc, argv, o, &first, ret_help, err);

	o->operands = argv + first;
	o->operand_count = (size_t)(argc - first);
	o->tls.size = sizeof o->tls;
	o->tls.mode = (enum ph_tls_mode)o->tls_mode;
	o->tls.min_version = (enum ph_tls_version)o->tls_min;
	o->tls.pins = o->pins.items;
	o->tls.pin_count = o->pins.count;
	return rc != PH_OK || *ret_help ? rc : check(o, err);
}

void
ph__send_options_done(struct ph__send_options *o)
{
	ph__options_done(&ph__send_options_def, o);
}
