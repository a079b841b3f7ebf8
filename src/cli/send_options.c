/* SPDX-License-Identifier: MIT */
/* The options of `posthaste send`. See send_options.h.
 *
 * The table is the contract of the command line. What weakens a connection or
 * runs a program is never taken from the environment, which a caller may not control: insecure,
 * tls, allow-clear-auth, password-command, connect, proxy, ca-file; of --direct whose word is taken for
 * where the servers are and how they prove themselves: dns, trust-anchor, dane, mta-sts, and mx-port,
 * since TLSA records are those of a port. */
#include "cli/send_options.h"

#include <string.h>
#include <strings.h>
#include <time.h>
#include "base/bounds.h"
#include "base/error.h"
#include "cli/charset.h"
#include "cli/link_login.h"

#define AT(member) offsetof(struct ph__send_options, member)

enum group { NO_GROUP, PASSWORD, CONTENT };

static const struct ph__option_choice line_ends[] = {
	{ "normalise", PH_LINE_ENDS_NORMALISE }, { "strict", PH_LINE_ENDS_STRICT },
	{ "binary", PH_LINE_ENDS_BINARY }, { NULL, 0 },
};
static const struct ph__option_choice returns[] = {
	{ "full", PH_RETURN_FULL }, { "hdrs", PH_RETURN_HEADERS }, { NULL, 0 },
};

#define HEADING(text) { PH__OPTION_HEADING, .help = text }

/* A server of the command line takes the place of --direct in the environment, and the other way. */
static const char *const of_direct[] = { "direct", NULL };
static const char *const of_a_server[] = {
	"server", "user", "auth", "password-file", "password-fd", "oauth-token-file", "authzid", NULL,
};

static const struct ph__option rows[] = {
	HEADING("Where to: one server, or each recipient's own"),
	{ PH__OPTION_TEXT, "server", "S", "URL", "smtp://HOST (port 25), submission://HOST (587), "
	  "smtps://HOST (465), lmtp://HOST:PORT or lmtp:///SOCKET; USER@ may stand before HOST",
	  AT(link.server), .silences = of_direct },
	PH__LINK_CONNECT_ROW(struct ph__send_options),
	{ PH__OPTION_FLAG, "direct", NULL, NULL, "straight to the mail servers of the recipients' domains, "
	  "as securely as each domain asks for", AT(direct.wanted), .silences = of_a_server },
	{ PH__OPTION_CHOICE, "dane", NULL, "MODE", "... auto: servers must match their TLSA records, where "
	  "there are any (default); required: servers without are not used; off", AT(direct.dane),
	  ph__send_dane_modes, .no_environment = true },
	{ PH__OPTION_CHOICE, "mta-sts", NULL, "MODE", "... auto: domains' MTA-STS policies are followed "
	  "(default); off", AT(direct.no_mta_sts), ph__send_mta_sts_modes, .no_environment = true },
	{ PH__OPTION_TEXT, "dns", NULL, "SERVER", "... ask this DNS server, ADDRESS or ADDRESS@PORT, several "
	  "with commas; recursive: the name servers of the Internet", AT(direct.dns),
	  .no_environment = true },
	{ PH__OPTION_TEXT, "trust-anchor", NULL, "FILE", "... DNSSEC begins at these DS or DNSKEY records, "
	  "not at the system's", AT(direct.trust_anchor), .no_environment = true },
	{ PH__OPTION_NUMBER, "mx-port", NULL, "N", "... their port, if not 25: for test networks",
	  AT(direct.mx_port), .max = 65535, .no_environment = true },

	HEADING("TLS (verified unless you say otherwise)"),
	{ PH__OPTION_CHOICE, "tls", NULL, "MODE", "starttls (default of smtp, submission, lmtp), "
	  "implicit (of smtps), opportunistic (of --direct), off", AT(link.tls_mode), ph__link_tls_modes,
	  .no_environment = true },
	PH__LINK_TLS_ROWS(struct ph__send_options),

	HEADING("Authentication"),
	{ PH__OPTION_TEXT, "user", NULL, "NAME", "log in; the password is asked for on the terminal "
	  "unless one of the next four is given", AT(link.user) },
	{ PH__OPTION_TEXT, "auth", NULL, "MECH[,MECH]", "only these mechanisms, in this order",
	  AT(link.mechanisms) },
	PH__LINK_SECRET_ROWS(struct ph__send_options, PASSWORD),

	HEADING("Envelope"),
	{ PH__OPTION_TEXT, "from", "fr", "ADDRESS", "sender; '<>' is the null one; default: $EMAIL",
	  AT(from), .may_be_empty = true },
	{ PH__OPTION_LIST, "to", NULL, "ADDRESS", "recipient, like an operand; in the To field",
	  AT(to) },
	{ PH__OPTION_LIST, "cc", NULL, "ADDRESS", "recipient; in the Cc field", AT(cc) },
	{ PH__OPTION_LIST, "bcc", NULL, "ADDRESS", "recipient; in no field", AT(bcc) },
	{ PH__OPTION_TEXT, "helo", NULL, "NAME", "what to call ourselves in EHLO", AT(link.helo) },
	{ PH__OPTION_FLAG, "no-dup", NULL, NULL, "a copy too many would be worse than none (payment "
	  "orders); exit 74 when in doubt", AT(no_dup) },
	{ PH__OPTION_TEXT, "notify", "N", "WHEN", "reports to the sender: never, or some of "
	  "success,failure,delay", AT(extensions.notify_words) },
	{ PH__OPTION_CHOICE, "ret", "R", "full|hdrs", "what a report of failure brings back",
	  AT(extensions.dsn_return), returns },
	{ PH__OPTION_TEXT, "envid", "V", "ID", "comes back in reports", AT(extensions.envid) },
	{ PH__OPTION_FLAG, "requiretls", NULL, NULL, "over verified TLS on the whole way, or not at all",
	  AT(extensions.require_tls) },
	{ PH__OPTION_TEXT, "deliver-by", NULL, "TIME[,return|,notify][,trace]", "if it is not delivered "
	  "within TIME (90s, 30m, 2h, 3d), return it (default), or go on and notify the sender; trace: "
	  "each server reports", AT(extensions.deliver_by_words) },
	{ PH__OPTION_TEXT, "hold-until", NULL, "TIME", "the server keeps it: until "
	  "2027-01-31T08:00:00+01:00, or 2h from now", AT(extensions.hold_words) },
	{ PH__OPTION_SIGNED, "priority", NULL, "N", "-9 (whenever) to 9 (at once)", AT(priority),
	  .max = PH__PRIORITY_MAX },

	HEADING("Message"),
	{ PH__OPTION_TEXT, "message", NULL, "FILE|-", "send this finished message (RFC 5322)",
	  AT(message), .group = CONTENT },
	{ PH__OPTION_TEXT, "subject", "s", "TEXT", "compose one with this subject", AT(subject),
	  .may_be_empty = true },
	{ PH__OPTION_TEXT, "body", NULL, "TEXT", "... and this text", AT(body), .group = CONTENT,
	  .may_be_empty = true },
	{ PH__OPTION_TEXT, "text", NULL, "FILE|-", "... and the text of FILE; default: standard input",
	  AT(text), .group = CONTENT },
	{ PH__OPTION_TEXT, "charset", NULL, "NAME", "... the text is in this character set; default: "
	  "UTF-8", AT(charset) },
	{ PH__OPTION_TEXT, "full-name", "F", "NAME", "... and this name of the sender in From",
	  AT(full_name) },
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
	{ PH__OPTION_FLAG, "dry-run", NULL, NULL, "show what would be sent, and with --direct where to; "
	  "connect to no mail server",
	  AT(dry_run) },

	HEADING("Limits and ways (times: 30, 30s, 2m, 1h)"),
	{ PH__OPTION_DURATION, "timeout", NULL, "TIME", "wait so long for each answer at most",
	  AT(link.timeout_ms) },
	PH__LINK_WAY_ROWS(struct ph__send_options),
};

/* What msmtp, swaks and curl call it. */
#define PASSWORDS "a password on the command line can be read by every process; use " \
                  "--password-file, --password-fd or --password-command"
#define SERVER    "it stands in the URL: --server smtp://HOST:PORT (or submission://, smtps://, lmtp://)"

static const struct ph__option_foreign foreign[] = {
	{ "password", PASSWORDS }, { "pass", PASSWORDS }, { "auth-password", PASSWORDS },
	{ "passwordeval", "use --password-command COMMAND" },
	{ "auth-user", "use --user NAME" },
	{ "oauth2-bearer", "use --oauth-token-file FILE" },
	{ "host", SERVER }, { "port", SERVER }, { "protocol", SERVER }, { "url", SERVER },
	{ "socket", "use --server lmtp:///PATH" },
	{ "tls-starttls", "use --tls=starttls or --tls=implicit, or a smtps:// URL" },
	{ "tls-on-connect", "use --tls=implicit, or a smtps:// URL" },
	{ "tlsc", "use --tls=implicit, or a smtps:// URL" },
	{ "tls-optional", "use --tls=opportunistic" },
	{ "tls-certcheck", "the certificate is checked, but with --insecure; see --ca-file and --pin" },
	{ "tls-trust-file", "use --ca-file FILE" }, { "tls-ca-path", "use --ca-file or --ca-dir" },
	{ "cacert", "use --ca-file FILE" }, { "tls-fingerprint", "use --pin SHA256" },
	{ "tls-cert-file", "use --cert FILE" }, { "tls-cert", "use --cert FILE" },
	{ "tls-key-file", "use --key FILE" }, { "tls-key", "use --key FILE" },
	{ "tls-host-override", "use --tls-name NAME" }, { "tls-sni", "use --tls-name NAME" },
	{ "domain", "use --helo NAME" }, { "ehlo", "use --helo NAME" },
	{ "local-interface", "use --source-ip ADDRESS" }, { "interface", "use --source-ip ADDRESS" },
	{ "proxy-host", "use --proxy socks5://HOST:PORT" },
	{ "mail-from", "use --from ADDRESS" }, { "mail-rcpt", "use --to ADDRESS" },
	{ "dsn-notify", "use --notify WHEN" }, { "dsn-return", "use --ret full or --ret hdrs" },
	{ "data", "use --message FILE for a finished message" },
	{ "upload-file", "use --message FILE for a finished message" },
	{ "add-header", "use --header 'NAME: VALUE'" }, { "header-", "use --header 'NAME: VALUE'" },
	{ "h-", "use --header 'NAME: VALUE'" },
	{ "debug", "use -v" },
	{ "mx", "use --direct, or --server smtp://HOST for one server" },
	{ "resolver", "use --dns ADDRESS with --direct" }, { "dns-servers", "use --dns ADDRESS with --direct" },
	{ NULL, NULL },
};

const struct ph__options ph__send_options_def = {
	.command = "send",
	.synopsis = "--server URL|--direct [OPTION]... [RECIPIENT]...",
	.about = "Sends one message and says by its exit status what became of it.",
	.more =
	    "Each long option can be set as POSTHASTE_NAME (POSTHASTE_SERVER, POSTHASTE_USER ...),\n"
	    "but for those that decide whom to trust: --tls, --tls-name, --ca-file, --ca-dir, --pin,\n"
	    "--insecure, --allow-clear-auth, --connect, --proxy, --proxy-password-file,\n"
	    "--password-command, --dane, --mta-sts, --dns, --trust-anchor and --mx-port.\n"
	    "\n"
	    "Exit status: 0 accepted for all; 69 refused; 67 no such user; 75 try again later;\n"
	    "64 usage, 65 bad message or address, 66 no such file, 68 no such host, 71 system,\n"
	    "76 protocol, 77 authentication, 78 configuration or security, 130 cancelled.\n"
	    "\n"
	    "Examples:\n"
	    "  echo Hello | posthaste send -S submission://ann@mail.example.org \\\n"
	    "      --from ann@example.org -s Greetings bob@example.net\n"
	    "  posthaste send --direct --from ann@example.org --message mail.eml bob@example.net",
	.rows = rows,
	.count = sizeof rows / sizeof rows[0],
	.environment = true,
	.foreign = foreign,
};

bool
ph__send_options_is_finished(const struct ph__send_options *o)
{
	return o->message != NULL
	    || (o->from_headers && o->subject == NULL && o->body == NULL && o->text == NULL
	        && o->headers.count == 0 && o->full_name == NULL && o->charset == NULL);
}

static enum ph_code
check_message(const struct ph__send_options *o, struct ph_error *err)
{
	if (o->message != NULL && (o->subject != NULL || o->headers.count != 0 || o->full_name != NULL ||
	                           o->charset != NULL))
		return ph__contradiction(err, "--message names a finished message; --subject, --header, "
		                         "--full-name and --charset only go with one that is composed here",
		                         "leave them out, or give the text with --text or --body");
	if (o->as_is && !ph__send_options_is_finished(o))
		return ph__contradiction(err, "--as-is only goes with a finished message",
		                         "give it with --message FILE, or leave --as-is out");
	return PH_OK;
}

/* What asks for verified TLS at each hop cannot begin without it (RFC 8689 §4.1). */
static enum ph_code
check_requiretls(const struct ph__send_options *o, struct ph_error *err)
{
	if (!o->extensions.require_tls)
		return PH_OK;
	if (o->link.tls.insecure)
		return ph__contradiction(err, "--requiretls and --insecure cannot be used together",
		                         "--ca-file or --pin verify a server with a certificate of its own");
	if (o->link.tls.mode == PH_TLS_OFF || o->link.tls.mode == PH_TLS_OPPORTUNISTIC)
		return ph__contradiction(err, "--requiretls asks for verified TLS, and --tls does without",
		                         o->direct.wanted ? "leave --tls out" : "use --tls=starttls or "
		                         "--tls=implicit");
	return PH_OK;
}

static enum ph_code
check(const struct ph__send_options *o, struct ph_error *err)
{
	enum ph_code rc;

	if ((rc = ph__link_options_check(&o->link, err)) != PH_OK ||
	    (rc = ph__send_direct_check(&o->direct, &o->link, err)) != PH_OK ||
	    (rc = ph__link_login_check(&o->link, err)) != PH_OK || (rc = check_message(o, err)) != PH_OK ||
	    (rc = check_requiretls(o, err)) != PH_OK || (rc = ph__charset_check(o->charset, err)) != PH_OK)
		return rc;
	if (o->link.server != NULL || o->direct.wanted)
		return PH_OK;
	ph__fail(err, PH_ECONFIG, PH_STAGE_PREPARE, PH_CAUSE_ARGUMENT,
	         "no server is given, so there is nobody to hand the message to");
	ph__hint(err, "name your provider's server, --server submission://mail.example.org (POSTHASTE_SERVER "
	              "does too), or send straight to the recipients' own servers with --direct");
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
	ph__link_options_settle(&o->link);
	if (rc != PH_OK || *ret_help)
		return rc;
	rc = ph__send_extensions_read(&o->extensions, (int64_t)time(NULL), err);
	return rc == PH_OK ? check(o, err) : rc;
}

void
ph__send_options_done(struct ph__send_options *o)
{
	ph__options_done(&ph__send_options_def, o);
}
