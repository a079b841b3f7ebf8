/* SPDX-License-Identifier: MIT */
/* The options of `posthaste probe`. See probe_options.h.
 *
 * Two kinds of people write --server. A URL is spoken to by posthaste's own rules: TLS as its scheme
 * demands, verified. A bare host is spoken to as swaks does: port 25, no TLS unless asked for, and then a
 * certificate that is checked and told of, but not enforced (-tls, -tlso, -tlsc); --tls=MODE enforces
 * everywhere. Nothing is taken from the environment: a probe says what its command line says. */
#include "cli/probe_options.h"

#include <string.h>
#include <strings.h>
#include "base/error.h"
#include "cli/link_login.h"
#include "cli/probe_mx.h"
#include "cli/probe_stats.h"

#define AT(member)  offsetof(struct ph__probe_options, member)
#define HEADING(text) { PH__OPTION_HEADING, .help = text }
#define PORT_LMTP   24 /* as swaks has it; RFC 2033 §5 only says what it must not be */
#define TIMEOUT_MS  30000
#define OPTIONAL_STRICT 99 /* of -tlsos, which is no mode of the library's */

enum group { NO_GROUP, PASSWORD, TLS_WAY, AUTH_WAY, TARGET, INSTEAD, CONTENT };

static const struct ph__option_choice swaks_tls[] = {
	{ "starttls", PH_TLS_STARTTLS }, { "implicit", PH_TLS_IMPLICIT },
	{ "optional", PH_TLS_OPPORTUNISTIC }, { "optional-strict", OPTIONAL_STRICT }, { NULL, 0 },
};

static const struct ph__option rows[] = {
	HEADING("Where to"),
	{ PH__OPTION_TEXT, "server", "s", "URL|HOST[:PORT]", "smtp://HOST, submission://HOST, "
	  "smtps://HOST, lmtp://HOST:PORT, lmtp:///SOCKET: with TLS as posthaste send has it. A bare "
	  "HOST: in clear on port 25, as swaks does; so, without it, the first MX host of the first "
	  "recipient's domain", AT(server), .group = TARGET },
	{ PH__OPTION_TEXT, "dns", NULL, "SERVER", "... asked of this DNS server, ADDRESS or ADDRESS@PORT, "
	  "several with commas; recursive: the name servers of the Internet", AT(dns),
	  .no_environment = true },
	{ PH__OPTION_TEXT, "trust-anchor", NULL, "FILE", "... where DNSSEC begins at these DS or DNSKEY "
	  "records, not at the system's", AT(trust_anchor), .no_environment = true },
	{ PH__OPTION_TEXT, "port", "p", "PORT", "the port of a bare HOST", AT(port) },
	{ PH__OPTION_TEXT, "socket", NULL, "PATH", "a Unix socket", AT(socket), .group = TARGET },
	{ PH__OPTION_TEXT, "protocol", NULL, "NAME", "of a bare HOST: SMTP (HELO only), ESMTP (default), "
	  "LMTP; with S for TLS and A for a login behind it as swaks has it: ESMTPSA, SSMTP ...",
	  AT(protocol) },
	PH__LINK_CONNECT_ROW(struct ph__probe_options),
	{ PH__OPTION_TEXT, "proxy-header", NULL, "v1|v2 [FROM TO]", "begin with a PROXY header: of "
	  "ADDRESS:PORT FROM and TO, or of our own socket", AT(proxy_header) },
	PH__LINK_WAY_ROWS(struct ph__probe_options),
	{ PH__OPTION_DURATION, "timeout", NULL, "TIME", "wait so long for each reply; default 30s",
	  AT(link.timeout_ms) },

	HEADING("TLS"),
	{ PH__OPTION_CHOICE, "tls", NULL, "MODE", "starttls, implicit, opportunistic, off; enforced",
	  AT(link.tls_mode), ph__link_tls_modes, .group = TLS_WAY },
	{ PH__OPTION_CHOICE, "lax-tls", NULL, "MODE", "starttls (-tls), implicit (-tlsc), optional "
	  "(-tlso), optional-strict (-tlsos): what is wrong with the certificate is told, no more",
	  AT(swaks_tls), swaks_tls, .group = TLS_WAY },
	{ PH__OPTION_FLAG, "tls-verify", NULL, NULL, "enforce it there, too", AT(tls_verify) },
	PH__LINK_TLS_ROWS(struct ph__probe_options),
	{ PH__OPTION_TEXT, "alpn", NULL, "NAME[,NAME]", "offer these application protocols",
	  AT(link.tls.alpn) },

	HEADING("Authentication (not over a clear or unverified link, but to this machine)"),
	{ PH__OPTION_TEXT, "auth", "a", "[MECH[,MECH]]", "log in, by these mechanisms, or by what fits",
	  AT(auth_demanded), .group = AUTH_WAY, .may_be_empty = true },
	{ PH__OPTION_TEXT, "auth-optional", NULL, "[MECH...]", "... if it can be (-ao)",
	  AT(auth_optional), .group = AUTH_WAY, .may_be_empty = true },
	{ PH__OPTION_TEXT, "auth-optional-strict", NULL, "[MECH...]", "... if it is offered (-aos)",
	  AT(auth_strict), .group = AUTH_WAY, .may_be_empty = true },
	{ PH__OPTION_TEXT, "user", NULL, "NAME", "the user (-au); asked for, like the password, if it "
	  "is not given", AT(link.user) },
	PH__LINK_SECRET_ROWS(struct ph__probe_options, PASSWORD),

	HEADING("Envelope"),
	{ PH__OPTION_TEXT, "helo", "h", "NAME", "what to call ourselves in EHLO", AT(link.helo) },
	{ PH__OPTION_TEXT, "from", "f", "ADDRESS", "sender; '<>' is the null one; default: you at this "
	  "computer", AT(from), .may_be_empty = true },
	{ PH__OPTION_LIST, "to", "t", "ADDRESS[,...]", "recipient; in the To field", AT(to) },
	{ PH__OPTION_LIST, "cc", NULL, "ADDRESS[,...]", "recipient; in the Cc field", AT(cc) },
	{ PH__OPTION_LIST, "bcc", NULL, "ADDRESS[,...]", "recipient; in no field", AT(bcc) },
	{ PH__OPTION_LIST, "xclient", NULL, "NAME=VALUE", "be taken for another client; again for more",
	  AT(xclient) },
	{ PH__OPTION_FLAG, "xclient-before-starttls", NULL, NULL, "... before STARTTLS, not behind it",
	  AT(xclient_before_tls) },
	{ PH__OPTION_LIST, "xforward", NULL, "NAME=VALUE", "tell of another client; again for more",
	  AT(xforward) },

	HEADING("Message"),
	{ PH__OPTION_TEXT, "data", "d", "@FILE|-|TEXT", "all of it; \\n is a line end, and there are "
	  "%FROM_ADDRESS% %TO_ADDRESS% %DATE% %MESSAGEID% %NEW_HEADERS% %BODY% %NEWLINE%", AT(data),
	  .may_be_empty = true },
	{ PH__OPTION_TEXT, "body", NULL, "@FILE|-|TEXT", "its text", AT(body), .may_be_empty = true },
	{ PH__OPTION_LIST, "header", NULL, "'NAME: VALUE'", "in place of that field, or one more; "
	  "--h-NAME VALUE does too", AT(headers) },
	{ PH__OPTION_LIST, "add-header", NULL, "'NAME: VALUE'", "one more field (-ah)",
	  AT(new_headers) },
	{ PH__OPTION_LIST, "attach", NULL, "@FILE|-|TEXT", "an attachment; before it may stand "
	  "--attach-type TYPE and --attach-name NAME; --attach-body is a text that comes first",
	  AT(parts) },
	{ PH__OPTION_FLAG, "no-data-fixup", NULL, NULL, "take --data as it is, without tokens (-ndf)",
	  AT(no_fixup) },
	{ PH__OPTION_FLAG, "no-strip-from", NULL, NULL, "leave a first line 'From ...' in (-nsf)",
	  AT(no_strip_from) },
	{ PH__OPTION_FLAG, "dump-mail", NULL, NULL, "print the message; connect to nobody",
	  AT(dump_mail) },

	HEADING("How far (stages: greeting ehlo tls helo xclient auth mail rcpt data)"),
	{ PH__OPTION_TEXT, "quit-after", "q", "STAGE", "QUIT behind it; behind data: drop the "
	  "connection, so that nothing is delivered", AT(quit_after) },
	{ PH__OPTION_TEXT, "drop-after", NULL, "STAGE", "end without QUIT; body (dot) is one more stage",
	  AT(drop_after), .group = 21 },
	{ PH__OPTION_TEXT, "drop-after-send", NULL, "STAGE", "end when its command is sent, without its "
	  "reply (--das)", AT(drop_after_send) },
	{ PH__OPTION_TEXT, "expect", NULL, "CODE[,CODE]", "the last reply must be this (550, 25x, 5.1.1): "
	  "then exit with 0, else with the status of its stage", AT(expect) },
	{ PH__OPTION_FLAG, "pipeline", NULL, NULL, "MAIL, RCPT and DATA in one flight, if offered",
	  AT(pipeline) },
	{ PH__OPTION_NUMBER, "repeat", NULL, "N", "N times, and how long each stage took",
	  AT(repeat), .max = PH__STATS_SAMPLES },

	HEADING("Instead of a message"),
	{ PH__OPTION_FLAG, "tls-report", NULL, NULL, "what the TLS is made of, to the certificates' "
	  "digests", AT(tls_report) },
	{ PH__OPTION_FLAG, "capabilities", NULL, NULL, "what EHLO offers, before and under TLS",
	  AT(capabilities) },
	{ PH__OPTION_FLAG, "raw", NULL, NULL, "commands from standard input, one a line", AT(raw),
	  .group = INSTEAD },
	{ PH__OPTION_TEXT, "verify", NULL, "ADDRESS", "ask by VRFY whether it exists", AT(verify),
	  .group = INSTEAD },
	{ PH__OPTION_TEXT, "expand", NULL, "LIST", "ask by EXPN who is on it", AT(expand),
	  .group = INSTEAD },
	{ PH__OPTION_TEXT, "server-help", NULL, "[TOPIC]", "ask by HELP", AT(server_help),
	  .group = INSTEAD, .may_be_empty = true },

	HEADING("Seeing"),
	{ PH__OPTION_FLAG, "json", NULL, NULL, "one object on standard output, instead of the "
	  "transcript", AT(json) },
	{ PH__OPTION_FLAG, "show-secrets", NULL, NULL, "show what AUTH sends", AT(show_secrets) },
	{ PH__OPTION_FLAG, "suppress-data", "n", NULL, "only the number of the message's lines",
	  AT(suppress_data) },
	{ PH__OPTION_NUMBER, "silent", "S", "[1|2|3]", "1: nothing before the first error; 2: errors "
	  "only; 3: nothing", AT(silent), .max = 3 },
	{ PH__OPTION_FLAG, "hide-receive", NULL, NULL, "no replies (-hr)", AT(hide_receive) },
	{ PH__OPTION_FLAG, "hide-send", NULL, NULL, "no commands (-hs)", AT(hide_send) },
	{ PH__OPTION_FLAG, "hide-informational", NULL, NULL, "no words of our own but errors (-hi)",
	  AT(hide_info) },
	{ PH__OPTION_FLAG, "hide-all", NULL, NULL, "nothing at all (-ha)", AT(hide_all) },
};

static const struct ph__option_foreign foreign[] = {
	{ "password", "a password on the command line can be read by every process; use "
	  "--password-file, --password-fd or --password-command" },
	{ "message", "use --data @FILE" }, { "subject", "use --h-Subject TEXT" },
	{ "verbose", "the transcript is always shown" },
	{ NULL, NULL },
};

const struct ph__options ph__probe_options_def = {
	.command = "probe",
	.synopsis = "[--server URL|HOST] [OPTION]...",
	.about = "Speaks to a mail server a command at a time, and shows both sides. swaks' "
	    "options are understood as swaks means them, with one dash or two.",
	.more =
	    "With --raw each line of standard input is a command; an AUTH challenge's answer\n"
	    "is hidden. Behind a 354 lines are the message, sent as they are typed until a\n"
	    "lone dot: one that begins with a dot loses it at the server, as under telnet, so\n"
	    "type two. Behind 'BDAT N' they are the chunk until N octets, where a line's end\n"
	    "counts two. STARTTLS makes the handshake. 'quit' or the end of input ends it.\n"
	    "\n"
	    "Exit status, as of swaks: 0 as it should be; 1 usage; 2 no connection; 6 it was\n"
	    "lost; refused was 21 the greeting, 22 EHLO, 23 MAIL, 24 every RCPT, 25 DATA,\n"
	    "26 the message, 27 QUIT, 28 AUTH, 29 TLS, 31 VRFY, EXPN or HELP, 32 EHLO behind\n"
	    "TLS, 33 XCLIENT, 34 EHLO behind that; 35 bad --proxy-header; 130 interrupted.\n"
	    "\n"
	    "Examples:\n"
	    "  posthaste probe --server smtp://mx.example.net --quit-after rcpt \\\n"
	    "      --from ann@example.org --to bob@example.net\n"
	    "  posthaste probe -s mx.example.net -tls -q ehlo\n"
	    "  posthaste probe --server submission://mail.example.org --tls-report\n"
	    "  posthaste probe -s mx.example.net --raw",
	.rows = rows,
	.count = sizeof rows / sizeof rows[0],
	.foreign = foreign,
};

static enum ph_code
usage(struct ph_error *err, const char *option, const char *value, const char *what)
{
	return ph__fail(err, PH_EUSAGE, PH_STAGE_PREPARE, PH_CAUSE_ARGUMENT, "--%s=%s: %s", option,
	                value, what);
}

/* ---- the server ------------------------------------------------------------------------------ */

void
ph__probe_split_server(struct ph_str server, struct ph_str *ret_host, struct ph_str *ret_port)
{
	const char *end = server.ptr + server.len, *slash = memchr(server.ptr, '/', server.len);
	const char *colon = memrchr(server.ptr, ':', server.len);
	const char *close = server.len != 0 && *server.ptr == '[' ? memchr(server.ptr, ']', server.len)
	                                                          : NULL;
	const char *sep = slash;

	if (slash == NULL && close != NULL)
		sep = close + 1 < end && close[1] == ':' ? close + 1 : end;
	else if (slash == NULL) /* two colons: an IPv6 address */
		sep = colon != NULL && memchr(server.ptr, ':', (size_t)(colon - server.ptr)) == NULL ? colon
		                                                                                    : end;
	*ret_host = (struct ph_str){ server.ptr, (size_t)(sep - server.ptr) };
	*ret_port = sep < end ? (struct ph_str){ sep + 1, (size_t)(end - sep - 1) }
	                      : (struct ph_str){ "", 0 };
	if (ret_host->len >= 2 && *ret_host->ptr == '[' && ret_host->ptr[ret_host->len - 1] == ']')
		*ret_host = (struct ph_str){ ret_host->ptr + 1, ret_host->len - 2 };
}

static bool
port_of(struct ph_str text, uint64_t *ret)
{
	static const struct { const char *name; unsigned port; } services[] = {
		{ "smtp", PH_PORT_SMTP }, { "submission", PH_PORT_SUBMISSION },
		{ "smtps", PH_PORT_SUBMISSIONS }, { "submissions", PH_PORT_SUBMISSIONS },
		{ "lmtp", PORT_LMTP },
	};

	for (size_t i = 0; i < sizeof services / sizeof services[0]; i++)
		if (ph__str_is(text, services[i].name)) {
			*ret = services[i].port;
			return true;
		}
	return ph__str_to_uint(text, 65535, ret) && *ret != 0;
}

/* What swaks' names of protocols stand for: "E" EHLO, then "S" STARTTLS, "A" a login; "SSMTP" and
 * "SMTPS" are under TLS from the first octet. */
static enum ph_code
read_protocol(struct ph__probe_options *o, struct ph_error *err)
{
	static const struct { const char *name; bool helo_only, lmtp, auth; int tls; } protocols[] = {
		{ "SMTP", true, false, false, 0 }, { "SMTPS", true, false, false, PH_TLS_IMPLICIT },
		{ "SSMTP", false, false, false, PH_TLS_IMPLICIT },
		{ "SSMTPA", false, false, true, PH_TLS_IMPLICIT },
		{ "ESMTP", false, false, false, 0 }, { "ESMTPA", false, false, true, 0 },
		{ "ESMTPS", false, false, false, PH_TLS_STARTTLS },
		{ "ESMTPSA", false, false, true, PH_TLS_STARTTLS },
		{ "LMTP", false, true, false, 0 }, { "LMTPA", false, true, true, 0 },
		{ "LMTPS", false, true, false, PH_TLS_STARTTLS },
		{ "LMTPSA", false, true, true, PH_TLS_STARTTLS },
	};

	if (o->protocol == NULL)
		return PH_OK;
	for (size_t i = 0; i < sizeof protocols / sizeof protocols[0]; i++) {
		if (!ph__cstr_eq_nocase(o->protocol, protocols[i].name))
			continue;
		o->helo_only = protocols[i].helo_only;
		o->lmtp = protocols[i].lmtp;
		if (protocols[i].tls != 0 && o->swaks_tls == 0 && o->link.tls_mode == 0)
			o->swaks_tls = protocols[i].tls;
		if (protocols[i].auth && o->auth_optional == NULL && o->auth_strict == NULL &&
		    o->auth_demanded == NULL)
			o->auth_demanded = "";
		return PH_OK;
	}
	return usage(err, "protocol", o->protocol, "no such protocol; write SMTP, ESMTP, ESMTPS, "
	             "ESMTPSA, SSMTP, LMTP ...");
}

static enum ph_code
keep_url(struct ph__probe_options *o, const char *url, size_t n, struct ph_error *err)
{
	o->link.server = ph__arena_strndup(&o->arena, url, n);
	return o->link.server != NULL ? PH_OK : ph__fail_nomem(err, PH_STAGE_PREPARE);
}

static enum ph_code
read_bare_host(struct ph__probe_options *o, struct ph_error *err)
{
	bool implicit = o->swaks_tls == PH_TLS_IMPLICIT || o->link.tls_mode == PH_TLS_IMPLICIT;
	uint64_t port = o->lmtp ? PORT_LMTP : implicit ? PH_PORT_SUBMISSIONS : PH_PORT_SMTP;
	struct ph_str host, word;
	char url[1100];
	int n;

	ph__probe_split_server(ph__str(o->server), &host, &word);
	if (word.len == 0 && o->port != NULL)
		word = ph__str(o->port);
	if (word.len != 0 && !port_of(word, &port))
		return usage(err, "server", o->server, "the port is a number up to 65535, or smtp, "
		             "submission, smtps, lmtp");
	n = snprintf(url, sizeof url, memchr(host.ptr, ':', host.len) != NULL ? "%s://[%.*s]:%u"
	             : "%s://%.*s:%u", o->lmtp ? "lmtp" : "smtp", (int)host.len, host.ptr,
	             (unsigned)port);
	if (n < 0 || (size_t)n >= sizeof url)
		return usage(err, "server", "...", "the name is too long");
	return keep_url(o, url, (size_t)n, err);
}

/* A Unix socket has no name: what its certificate is for is --tls-name. */
static enum ph_code
read_socket(struct ph__probe_options *o, struct ph_error *err)
{
	char url[1100];
	int n = snprintf(url, sizeof url, "lmtp://%s%s", *o->socket == '/' ? "" : "/", o->socket);

	if (!o->lmtp) {
		o->link.connect = o->socket;
		return keep_url(o, "smtp://localhost", 16, err);
	}
	if (*o->socket != '/' || n < 0 || (size_t)n >= sizeof url)
		return usage(err, "socket", o->socket, "write its whole path, from / on");
	return keep_url(o, url, (size_t)n, err);
}

static bool
is_url(const char *server)
{
	return server != NULL && strstr(server, "://") != NULL;
}

static enum ph_code
read_server(struct ph__probe_options *o, struct ph_error *err)
{
	enum ph_code rc = read_protocol(o, err);

	if (rc != PH_OK)
		return rc;
	if (o->socket != NULL)
		return read_socket(o, err);
	if (o->server == NULL && (rc = ph__probe_find_server(o, err)) != PH_OK)
		return rc;
	if (!is_url(o->server))
		return read_bare_host(o, err);
	if (o->port != NULL || o->protocol != NULL)
		return ph__contradiction(err, "the URL of --server says port and protocol itself",
		                         "write smtp://HOST:PORT, smtps://HOST or lmtp://HOST:PORT, and "
		                         "leave --port and --protocol out");
	o->lmtp = strncasecmp(o->server, "lmtp:", 5) == 0;
	return keep_url(o, o->server, strlen(o->server), err);
}

/* What stands behind the scheme and the user. */
static const char *
authority_of(const char *url)
{
	const char *scheme = strstr(url, "://"), *authority = scheme != NULL ? scheme + 3 : url;
	const char *at = *authority != '/' ? strrchr(authority, '@') : NULL;

	return at != NULL ? at + 1 : authority;
}

static bool
is_implicit_scheme(const char *url)
{
	return strncasecmp(url, "smtps:", 6) == 0 || strncasecmp(url, "submissions:", 12) == 0;
}

struct ph_str
ph__probe_host(const struct ph__probe_options *o)
{
	const char *to = o->link.connect != NULL ? o->link.connect : authority_of(o->link.server);
	struct ph_str host, port;

	if (*to == '/')
		return ph__str(to);
	ph__probe_split_server((struct ph_str){ to, strcspn(to, "/?#") }, &host, &port);
	return host;
}

unsigned
ph__probe_port(const struct ph__probe_options *o)
{
	const char *authority = authority_of(o->link.server);
	struct ph_str host, port;
	uint64_t n;

	if (*authority == '/' || (o->link.connect != NULL && *o->link.connect == '/'))
		return 0;
	ph__probe_split_server((struct ph_str){ authority, strcspn(authority, "/?#") }, &host, &port);
	if (ph__str_to_uint(port, 65535, &n))
		return (unsigned)n;
	return is_implicit_scheme(o->link.server) ? PH_PORT_SUBMISSIONS
	     : strncasecmp(o->link.server, "submission:", 11) == 0 ? PH_PORT_SUBMISSION : PH_PORT_SMTP;
}

/* ---- TLS ------------------------------------------------------------------------------------- */

/* 127.0.0.0/8: "127.example.org" is not. */
static bool
is_127(struct ph_str host)
{
	for (size_t i = 0; i < host.len; i++)
		if (!ph__is_digit(host.ptr[i]) && host.ptr[i] != '.')
			return false;
	return ph__str_begins(host, "127.");
}

static bool
is_this_machine(const struct ph__probe_options *o)
{
	struct ph_str host = ph__probe_host(o);

	if (*host.ptr == '/')
		return true;
	return o->link.proxy == NULL &&
	       (ph__str_is(host, "localhost") || ph__str_is(host, "::1") || is_127(host));
}

/* What a URL demands by itself: what posthaste send does. */
static enum ph__probe_tls
tls_of_url(struct ph__probe_options *o)
{
	char user[PH__LINK_USER_MAX];

	if (is_implicit_scheme(o->link.server))
		return PH__PROBE_TLS_IMPLICIT;
	if (o->this_machine && !ph__link_has_tls(&o->link) &&
	    ph__link_user(&o->link, user, sizeof user) == NULL && o->auth == PH__PROBE_AUTH_NONE &&
	    strncasecmp(o->link.server, "submission:", 11) != 0) {
		o->link.tls.record_only = true;
		return PH__PROBE_TLS_TRY;
	}
	return PH__PROBE_TLS_DEMANDED;
}

static enum ph__probe_tls
tls_of_words(struct ph__probe_options *o)
{
	bool record = o->swaks_tls != 0 && !o->tls_verify;

	o->link.tls.record_only = record || o->link.tls_mode == PH_TLS_OPPORTUNISTIC;
	switch (o->swaks_tls != 0 ? o->swaks_tls : o->link.tls_mode) {
	case PH_TLS_STARTTLS:      return PH__PROBE_TLS_DEMANDED;
	case PH_TLS_IMPLICIT:      return PH__PROBE_TLS_IMPLICIT;
	case PH_TLS_OPPORTUNISTIC: return PH__PROBE_TLS_TRY;
	case OPTIONAL_STRICT:      return PH__PROBE_TLS_STRICT;
	default:                   return PH__PROBE_TLS_NONE;
	}
}

static void
settle_tls(struct ph__probe_options *o)
{
	struct ph_tls_opts *t = &o->link.tls;

	o->this_machine = is_this_machine(o);
	if (o->swaks_tls != 0 || o->link.tls_mode != 0)
		o->tls = tls_of_words(o);
	else if (is_url(o->server))
		o->tls = tls_of_url(o);
	if (o->tls == PH__PROBE_TLS_NONE && o->link.tls_mode == 0 && (o->tls_report || o->capabilities)) {
		t->record_only = true; /* what is asked about is looked at */
		o->tls = PH__PROBE_TLS_TRY;
	}
	if (o->raw && o->tls == PH__PROBE_TLS_NONE && o->link.tls_mode == 0 && !o->tls_verify)
		t->record_only = true; /* a STARTTLS that is typed, too */
	o->enforce = !t->record_only && !t->insecure;
	if (o->tls_report)
		t->record_only = true; /* what is wrong is what the report is for */
	t->mode = o->tls == PH__PROBE_TLS_IMPLICIT ? PH_TLS_IMPLICIT : PH_TLS_BY_HAND;
}

/* ---- login ----------------------------------------------------------------------------------- */

static void
settle_login(struct ph__probe_options *o)
{
	const char *list = o->auth_demanded != NULL ? o->auth_demanded
	                 : o->auth_optional != NULL ? o->auth_optional : o->auth_strict;
	char user[PH__LINK_USER_MAX];

	o->link.mechanisms = list != NULL && *list != '\0' ? list : NULL;
	if (o->auth_optional != NULL)
		o->auth = PH__PROBE_AUTH_TRY;
	else if (o->auth_strict != NULL)
		o->auth = PH__PROBE_AUTH_STRICT;
	else if (o->auth_demanded != NULL || o->wants_login || o->link.has_password || o->link.password_file != NULL ||
	         o->link.password_fd.given || o->link.password_command != NULL ||
	         o->link.token_file != NULL || ph__link_user(&o->link, user, sizeof user) != NULL)
		o->auth = PH__PROBE_AUTH_DEMANDED;
}

/* ---- how far --------------------------------------------------------------------------------- */

static enum ph_code
read_stage(enum ph__probe_stage *ret, const char *option, const char *word, bool dropping,
           struct ph_error *err)
{
	char list[160];

	if (word == NULL)
		return PH_OK;
	*ret = ph__probe_stage_of(word, dropping);
	if (*ret != PH__PROBE_NOWHERE)
		return PH_OK;
	ph__probe_stage_list(list, sizeof list, dropping);
	return ph__fail(err, PH_EUSAGE, PH_STAGE_PREPARE, PH_CAUSE_ARGUMENT,
	                "--%s=%s: no such stage; write %s", option, word, list);
}

/* Typed commands begin where the asked-for TLS and login end. */
static enum ph__probe_stage
begin_of_raw(const struct ph__probe_options *o)
{
	if (o->auth != PH__PROBE_AUTH_NONE)
		return PH__PROBE_AUTH;
	return o->tls == PH__PROBE_TLS_DEMANDED || o->swaks_tls != 0 || o->link.tls_mode != 0
	       ? PH__PROBE_HELO : PH__PROBE_GREETING;
}

static enum ph__probe_stage
natural_end(const struct ph__probe_options *o)
{
	if (o->raw)
		return begin_of_raw(o);
	if (o->verify != NULL || o->expand != NULL || o->server_help != NULL)
		return PH__PROBE_QUESTION;
	if (o->tls_report || o->capabilities)
		return o->auth != PH__PROBE_AUTH_NONE ? PH__PROBE_AUTH : PH__PROBE_HELO;
	return PH__PROBE_BODY;
}

static enum ph_code
read_stops(struct ph__probe_options *o, struct ph_error *err)
{
	enum ph_code rc;

	if ((rc = read_stage(&o->quit, "quit-after", o->quit_after, false, err)) != PH_OK ||
	    (rc = read_stage(&o->drop, "drop-after", o->drop_after, true, err)) != PH_OK ||
	    (rc = read_stage(&o->drop_sent, "drop-after-send", o->drop_after_send, true, err)) != PH_OK)
		return rc;
	o->last = natural_end(o);
	if (o->quit == PH__PROBE_DATA) { /* no QUIT is possible there */
		o->drop = o->drop == PH__PROBE_NOWHERE || o->drop > PH__PROBE_DATA ? PH__PROBE_DATA : o->drop;
		o->quit = PH__PROBE_NOWHERE;
	}
	if (o->expect != NULL && !ph__probe_expect_check(o->expect))
		return usage(err, "expect", o->expect, "write reply codes: 550, 25x, 5.1.1, or several "
		             "with commas");
	return PH_OK;
}

bool
ph__probe_comes_to(const struct ph__probe_options *o, enum ph__probe_stage stage)
{
	const enum ph__probe_stage ends[] = { o->quit, o->drop, o->drop_sent, o->last };

	for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++)
		if (ends[i] != PH__PROBE_NOWHERE && ends[i] < stage)
			return false;
	return true;
}

/* ---- all ------------------------------------------------------------------------------------- */

static enum ph_code
check(const struct ph__probe_options *o, int operands, char **operand, struct ph_error *err)
{
	enum ph_code rc = ph__link_options_check(&o->link, err);

	if (rc != PH_OK)
		return rc;
	if (operands > 0) {
		ph__fail(err, PH_EUSAGE, PH_STAGE_PREPARE, PH_CAUSE_ARGUMENT,
		         "%s: there are only options here", *operand);
		ph__hint(err, "recipients go behind --to; what a word means is said by the option before "
		              "it");
		return PH_EUSAGE;
	}
	if (o->raw && (o->repeat.given || o->quit != PH__PROBE_NOWHERE))
		return ph__contradiction(err, "--raw goes on as long as there are commands; --repeat and "
		                         "--quit-after do not go with it", "leave them out");
	if (o->tls_report && o->link.tls_mode == PH_TLS_OFF)
		return ph__contradiction(err, "--tls-report needs TLS, and --tls=off forbids it",
		                         "leave one of them out");
	if (o->repeat.given && (o->tls_report || o->capabilities))
		return ph__contradiction(err, "--repeat does not go with --tls-report and --capabilities",
		                         "ask for them apart");
	if (o->drop_sent == PH__PROBE_GREETING || o->drop_sent == PH__PROBE_XCLIENT)
		return usage(err, "drop-after-send", o->drop_after_send, "this stage has no command that "
		             "can be left unanswered");
	if (o->repeat.given && o->repeat.value == 0)
		return usage(err, "repeat", "0", "that is never");
	return o->auth != PH__PROBE_AUTH_NONE && o->link.user != NULL
	       ? ph__link_login_check(&o->link, err) : PH_OK; /* else the user is asked for first */
}

enum ph_code
ph__probe_options_read(struct ph__probe_options *o, int argc, char **argv, bool *ret_help,
                       struct ph_error *err)
{
	int first = argc;
	enum ph_code rc;

	ph__arena_init(&o->arena, &ph__libc_memory);
	rc = ph__options_read(&ph__probe_options_def, argc, argv, o, &first, ret_help, err);
	ph__link_options_settle(&o->link);
	if (o->link.timeout_ms == 0)
		o->link.timeout_ms = TIMEOUT_MS;
	if (rc != PH_OK || *ret_help)
		return rc;
	if (!o->dump_mail && (rc = read_server(o, err)) != PH_OK)
		return rc;
	settle_login(o);
	if (!o->dump_mail)
		settle_tls(o);
	if ((rc = read_stops(o, err)) != PH_OK)
		return rc;
	return check(o, argc - first, argv + first, err);
}

void
ph__probe_options_done(struct ph__probe_options *o)
{
	ph__options_done(&ph__probe_options_def, o);
	ph__arena_done(&o->arena);
}
