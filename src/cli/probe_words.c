/* SPDX-License-Identifier: MIT */
/* swaks' words. See probe_words.h. */
#include "cli/probe_words.h"

#include <stdio.h>
#include <string.h>
#include "base/error.h"
#include "cli/options.h"

#define WORD_MAX  64
#define ASKED_MAX 65536
#define VALUE_MAX (64u * 1024 * 1024) /* the system takes no longer argument */

enum value {
	NONE,   /* takes none */
	NEEDED, /* the next word, whatever it is */
	ASKED,  /* the next word, unless that is an option: then it is asked for */
	MAY     /* the same, and without it the value is empty */
};

/* What becomes of it, beside `into`=value. */
enum deed {
	OPTION,   /* the option `into`; with `fixed`, that is its value */
	TLS,      /* --tls MODE is ours, --tls alone swaks' */
	PASSWORD,
	STAGE,    /* `ehlo` is the last one */
	XCLIENT,  /* attributes in one text */
	XCLIENT_ATTRIBUTE, /* `fixed`=value */
	PART,     /* of the message: `fixed` is the letter of its kind */
	TIMEOUT,  /* 0 is no time-out */
	PROXY,    /* of the PROXY header: `fixed` names the piece */
	NOT_URL,  /* --proxy is ours with a URL */
	IGNORED,  /* so it is anyway */
	REFUSED   /* `fixed` says what to do instead */
};

static const struct word {
	const char *name;
	enum value  value;
	enum deed   deed;
	const char *into, *fixed;
} words[] = {
	{ "s", ASKED, OPTION, "server", NULL }, { "server", ASKED, OPTION, "server", NULL },
	{ "p", ASKED, OPTION, "port", NULL }, { "port", ASKED, OPTION, "port", NULL },
	{ "4", NONE, OPTION, "ip", "4" }, { "6", NONE, OPTION, "ip", "6" },
	{ "li", ASKED, OPTION, "source-ip", NULL },
	{ "local-interface", ASKED, OPTION, "source-ip", NULL },
	{ "socket", ASKED, OPTION, "socket", NULL },
	{ "t", ASKED, OPTION, "to", NULL }, { "to", ASKED, OPTION, "to", NULL },
	{ "f", ASKED, OPTION, "from", NULL }, { "from", ASKED, OPTION, "from", NULL },
	{ "h", ASKED, OPTION, "helo", NULL }, { "helo", ASKED, OPTION, "helo", NULL },
	{ "ehlo", ASKED, OPTION, "helo", NULL }, { "lhlo", ASKED, OPTION, "helo", NULL },
	{ "q", NEEDED, STAGE, "quit-after", NULL }, { "quit", NEEDED, STAGE, "quit-after", NULL },
	{ "da", NEEDED, STAGE, "drop-after", NULL }, { "das", NEEDED, STAGE, "drop-after-send", NULL },
	{ "timeout", ASKED, TIMEOUT, "timeout", NULL },
	{ "tls", MAY, TLS, "lax-tls", "starttls" },
	{ "tlso", NONE, OPTION, "lax-tls", "optional" },
	{ "tls-optional", NONE, OPTION, "lax-tls", "optional" },
	{ "tlsos", NONE, OPTION, "lax-tls", "optional-strict" },
	{ "tls-optional-strict", NONE, OPTION, "lax-tls", "optional-strict" },
	{ "tlsc", NONE, OPTION, "lax-tls", "implicit" },
	{ "tls-on-connect", NONE, OPTION, "lax-tls", "implicit" },
	{ "tls-ca-path", NEEDED, OPTION, "ca-file", NULL },
	{ "tls-cert", NEEDED, OPTION, "cert", NULL }, { "tls-key", NEEDED, OPTION, "key", NULL },
	{ "tls-sni", NEEDED, OPTION, "tls-name", NULL },
	{ "a", MAY, OPTION, "auth", NULL }, { "auth", MAY, OPTION, "auth", NULL },
	{ "ao", MAY, OPTION, "auth-optional", NULL },
	{ "auth-optional", MAY, OPTION, "auth-optional", NULL },
	{ "aos", MAY, OPTION, "auth-optional-strict", NULL },
	{ "auth-optional-strict", MAY, OPTION, "auth-optional-strict", NULL },
	{ "au", ASKED, OPTION, "user", NULL }, { "auth-user", ASKED, OPTION, "user", NULL },
	{ "ap", MAY, PASSWORD, NULL, NULL }, { "auth-password", MAY, PASSWORD, NULL, NULL },
	{ "ahp", MAY, IGNORED, NULL, NULL }, { "auth-hide-password", MAY, IGNORED, NULL, NULL },
	{ "pp", NONE, IGNORED, NULL, NULL }, { "protect-prompt", NONE, IGNORED, NULL, NULL },
	{ "xclient", ASKED, XCLIENT, "xclient", NULL },
	{ "xclient-addr", ASKED, XCLIENT_ATTRIBUTE, "xclient", "ADDR" },
	{ "xclient-name", ASKED, XCLIENT_ATTRIBUTE, "xclient", "NAME" },
	{ "xclient-port", ASKED, XCLIENT_ATTRIBUTE, "xclient", "PORT" },
	{ "xclient-proto", ASKED, XCLIENT_ATTRIBUTE, "xclient", "PROTO" },
	{ "xclient-destaddr", ASKED, XCLIENT_ATTRIBUTE, "xclient", "DESTADDR" },
	{ "xclient-destport", ASKED, XCLIENT_ATTRIBUTE, "xclient", "DESTPORT" },
	{ "xclient-helo", ASKED, XCLIENT_ATTRIBUTE, "xclient", "HELO" },
	{ "xclient-login", ASKED, XCLIENT_ATTRIBUTE, "xclient", "LOGIN" },
	{ "xclient-reverse-name", ASKED, XCLIENT_ATTRIBUTE, "xclient", "REVERSE_NAME" },
	{ "proxy", ASKED, NOT_URL, "proxy", NULL },
	{ "proxy-version", NEEDED, PROXY, NULL, "version" },
	{ "proxy-family", NEEDED, PROXY, NULL, "family" },
	{ "proxy-source", NEEDED, PROXY, NULL, "from" },
	{ "proxy-source-port", NEEDED, PROXY, NULL, "from-port" },
	{ "proxy-dest", NEEDED, PROXY, NULL, "to" },
	{ "proxy-dest-port", NEEDED, PROXY, NULL, "to-port" },
	{ "d", ASKED, OPTION, "data", NULL }, { "data", ASKED, OPTION, "data", NULL },
	{ "g", NONE, OPTION, "data", "-" },
	{ "body", ASKED, OPTION, "body", NULL },
	{ "attach", NEEDED, PART, "attach", "a" }, { "attach-body", NEEDED, PART, "attach", "b" },
	{ "attach-type", NEEDED, PART, "attach", "t" }, { "attach-name", MAY, PART, "attach", "n" },
	{ "ah", NEEDED, OPTION, "add-header", NULL },
	{ "ndf", NONE, OPTION, "no-data-fixup", NULL }, { "nsf", NONE, OPTION, "no-strip-from", NULL },
	{ "n", NONE, OPTION, "suppress-data", NULL },
	{ "stl", MAY, IGNORED, NULL, NULL }, { "show-time-lapse", MAY, IGNORED, NULL, NULL },
	{ "S", MAY, OPTION, "silent", NULL }, { "silent", MAY, OPTION, "silent", NULL },
	{ "hr", NONE, OPTION, "hide-receive", NULL }, { "hs", NONE, OPTION, "hide-send", NULL },
	{ "hi", NONE, OPTION, "hide-informational", NULL }, { "ha", NONE, OPTION, "hide-all", NULL },
	{ "server-help", MAY, OPTION, "server-help", NULL },

	{ "lp", NEEDED, REFUSED, NULL, "the system chooses our own port" },
	{ "local-port", NEEDED, REFUSED, NULL, "the system chooses our own port" },
	{ "pipe", NEEDED, REFUSED, NULL, "servers are spoken to by a socket: -s HOST, --socket PATH" },
	{ "copy-routing", NEEDED, REFUSED, NULL, "name the server: -s HOST" },
	{ "prdr", NONE, REFUSED, NULL, "LMTP has a reply for each recipient: --protocol LMTP" },
	{ "tlsp", NEEDED, REFUSED, NULL, "use --tls-min 1.2 or --tls-min 1.3" },
	{ "tls-protocol", NEEDED, REFUSED, NULL, "use --tls-min 1.2 or --tls-min 1.3" },
	{ "tls-cipher", NEEDED, REFUSED, NULL, "the ciphers are OpenSSL's own choice" },
	{ "tls-get-peer-cert", MAY, REFUSED, NULL, "use --tls-report; with --json the certificates are "
	  "in it" },
	{ "apt", NONE, REFUSED, NULL, "use --show-secrets, which shows AUTH as it is sent" },
	{ "auth-plaintext", NONE, REFUSED, NULL, "use --show-secrets, which shows AUTH as it is sent" },
	{ "am", NEEDED, REFUSED, NULL, "name the mechanism itself: -a MECHANISM" },
	{ "ae", NEEDED, REFUSED, NULL, "user names may have a realm in them: -au user@realm" },
	{ "xclient-delim", NONE, REFUSED, NULL, "all attributes go in one command" },
	{ "output", NEEDED, REFUSED, NULL, "let the shell do it: > FILE" },
	{ "output-file", NEEDED, REFUSED, NULL, "let the shell do it: > FILE" },
	{ "dump", MAY, REFUSED, NULL, "use --dump-mail for the message" },
	{ "support", NONE, REFUSED, NULL, "all of it is built in" },
	{ "version", NONE, REFUSED, NULL, "posthaste --version says it" },
	{ "config", MAY, REFUSED, NULL, "there is no file of options" },
};

static bool
is_option(const char *word)
{
	return word[0] == '-' && word[1] != '\0';
}

static const struct word *
find(struct ph_str name)
{
	for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
		if (ph__str_eq(name, ph__str(words[i].name)))
			return &words[i];
	return NULL;
}

static const struct ph__option *
find_ours(const struct ph__words *w, struct ph_str name)
{
	for (size_t i = 0; i < w->def->count; i++)
		if (w->def->rows[i].name != NULL && ph__str_eq(name, ph__str(w->def->rows[i].name)))
			return &w->def->rows[i];
	return NULL;
}

/* ---- what comes out -------------------------------------------------------------------------- */

static enum ph_code
put_word(struct ph__words *w, char *word, struct ph_error *err)
{
	char **argv = ph__realloc(&ph__libc_memory, w->argv, ((size_t)w->argc + 2) * sizeof *argv);

	if (argv == NULL)
		return ph__fail_nomem(err, PH_STAGE_PREPARE);
	w->argv = argv;
	w->argv[w->argc++] = word;
	w->argv[w->argc] = NULL;
	return PH_OK;
}

static enum ph_code
put(struct ph__words *w, const char *option, const char *value, struct ph_error *err)
{
	struct ph__buf b;
	char *text = NULL;

	ph__buf_init(&b, &ph__libc_memory, VALUE_MAX);
	ph__buf_addf(&b, "--%s", option);
	if (value != NULL) {
		ph__buf_add_char(&b, '=');
		ph__buf_add_str(&b, value);
	}
	if (ph__buf_ok(&b))
		text = ph__arena_strndup(&w->arena, b.p, b.len);
	ph__buf_done(&b);
	return text != NULL ? put_word(w, text, err) : ph__fail_nomem(err, PH_STAGE_PREPARE);
}

static enum ph_code
put_two(struct ph__words *w, const char *option, const char *first, const char *between,
        struct ph_str second, struct ph_error *err)
{
	struct ph__buf b;
	enum ph_code rc;

	ph__buf_init(&b, &ph__libc_memory, VALUE_MAX);
	ph__buf_add_str(&b, first);
	ph__buf_add_str(&b, between);
	ph__buf_add(&b, second.ptr, second.len);
	rc = ph__buf_ok(&b) ? put(w, option, ph__buf_cstr(&b), err)
	                    : ph__fail_nomem(err, PH_STAGE_PREPARE);
	ph__buf_done(&b);
	return rc;
}

/* ---- deeds ----------------------------------------------------------------------------------- */

static enum ph_code
put_tls(struct ph__words *w, const char *value, struct ph_error *err)
{
	if (value != NULL)
		return put(w, "tls", value, err);
	return put(w, "lax-tls", "starttls", err);
}

/* "NAME=a ADDR=b" as one text. A space before what is no attribute belongs to the value. */
static enum ph_code
put_xclient(struct ph__words *w, const char *value, struct ph_error *err)
{
	struct ph_str rest = ph__str(value);
	enum ph_code rc = PH_OK;

	while (rc == PH_OK && rest.len != 0) {
		size_t end = 0, name;
		char *one;

		for (; end < rest.len; end++) {
			for (name = end + 1; rest.ptr[end] == ' ' && name < rest.len &&
			     (ph__is_alpha(rest.ptr[name]) || rest.ptr[name] == '_'); name++)
				;
			if (rest.ptr[end] == ' ' && name > end + 1 && name < rest.len && rest.ptr[name] == '=')
				break;
		}
		one = ph__arena_strndup(&w->arena, rest.ptr, end);
		rc = one != NULL ? put(w, "xclient", one, err) : ph__fail_nomem(err, PH_STAGE_PREPARE);
		end += end < rest.len;
		rest.ptr += end;
		rest.len -= end;
	}
	return rc;
}

static enum ph_code
keep_proxy(struct ph__words *w, const char *piece, const char *value)
{
	static const char *const version[] = { "1", "2" };

	if (strcmp(piece, "version") == 0)
		w->proxy_version = strcmp(value, "2") == 0 ? version[1]
		                 : strcmp(value, "1") == 0 ? version[0] : value;
	else if (strcmp(piece, "from") == 0)
		w->proxy_from = value;
	else if (strcmp(piece, "from-port") == 0)
		w->proxy_from_port = value;
	else if (strcmp(piece, "to") == 0)
		w->proxy_to = value;
	else if (strcmp(piece, "to-port") == 0)
		w->proxy_to_port = value;
	return PH_OK; /* the family is that of the addresses */
}

/* "v1 SOURCE:PORT DESTINATION:PORT" of swaks' options, when there were any. */
static enum ph_code
put_proxy_header(struct ph__words *w, struct ph_error *err)
{
	char text[300];
	const char *v = w->proxy_version != NULL ? w->proxy_version : "1";
	bool six = w->proxy_from != NULL && strchr(w->proxy_from, ':') != NULL;

	if (w->proxy_version == NULL && w->proxy_from == NULL && w->proxy_to == NULL &&
	    w->proxy_from_port == NULL && w->proxy_to_port == NULL)
		return PH_OK;
	if (w->proxy_from == NULL || w->proxy_to == NULL || w->proxy_from_port == NULL ||
	    w->proxy_to_port == NULL || (strcmp(v, "1") != 0 && strcmp(v, "2") != 0)) {
		w->proxy_header_bad = true;
		ph__fail(err, PH_EUSAGE, PH_STAGE_PREPARE, PH_CAUSE_ARGUMENT, "a PROXY header has version 1 "
		         "or 2, --proxy-source, --proxy-source-port, --proxy-dest and --proxy-dest-port");
		ph__hint(err, "or write it whole: --proxy-header 'v1 192.0.2.1:1234 192.0.2.2:25'");
		return PH_EUSAGE;
	}
	snprintf(text, sizeof text, six ? "v%s [%.100s]:%.10s [%.100s]:%.10s" : "v%s %.100s:%.10s %.100s:%.10s",
	         v, w->proxy_from, w->proxy_from_port, w->proxy_to, w->proxy_to_port);
	return put(w, "proxy-header", text, err);
}

static enum ph_code
keep_password(struct ph__words *w, char *value, struct ph__buf *password, struct ph_error *err)
{
	bool ok = true;

	if (value == NULL) {
		w->password_wanted = true;
		return PH_OK;
	}
	w->password_given = true;
	ph__buf_cut(password, 0);
	if (strcmp(value, "<>") != 0) /* swaks' way to say: empty */
		ok = ph__buf_add_str(password, value);
	ph__wipe(value, strlen(value));
	return ok ? PH_OK : ph__fail(err, PH_EUSAGE, PH_STAGE_PREPARE, PH_CAUSE_LIMIT,
	                             "--auth-password: that is too long for a password");
}

static enum ph_code
refuse(const struct word *word, struct ph_error *err)
{
	ph__fail(err, PH_EUSAGE, PH_STAGE_PREPARE, PH_CAUSE_ARGUMENT,
	         "--%s of swaks is not known here", word->name);
	ph__hint(err, "%s", word->fixed);
	return PH_EUSAGE;
}

static enum ph_code
do_deed(struct ph__words *w, const struct word *word, char *value, struct ph__buf *password,
        struct ph_error *err)
{
	switch (word->deed) {
	case OPTION:
		return put(w, word->into, word->fixed != NULL ? word->fixed
		           : word->value == NONE || value != NULL ? value
		           : strcmp(word->into, "silent") == 0 ? "1" : "", err);
	case TLS:
		return put_tls(w, value, err);
	case PASSWORD:
		return keep_password(w, value, password, err);
	case STAGE:
		return put(w, word->into, ph__cstr_eq_nocase(value, "ehlo") ? "helo" : value, err);
	case XCLIENT:
		return put_xclient(w, value, err);
	case XCLIENT_ATTRIBUTE:
		return put_two(w, word->into, word->fixed, "=", ph__str(value), err);
	case PART:
		return put_two(w, word->into, word->fixed, "", ph__str(value != NULL ? value : ""), err);
	case TIMEOUT:
		return put(w, word->into, strcmp(value, "0") == 0 ? "168h" : value, err);
	case PROXY:
		return keep_proxy(w, word->fixed, value);
	case NOT_URL:
		if (strstr(value, "://") != NULL)
			return put(w, word->into, value, err);
		ph__fail(err, PH_EUSAGE, PH_STAGE_PREPARE, PH_CAUSE_ARGUMENT,
		         "--proxy=%s: a proxy is a URL here: socks5://HOST or http://HOST", value);
		ph__hint(err, "the header of the PROXY protocol is --proxy-header 'v1 192.0.2.1:1234 "
		              "192.0.2.2:25'");
		return PH_EUSAGE;
	case IGNORED:
		return PH_OK;
	case REFUSED:
		return refuse(word, err);
	}
	return PH_OK;
}

/* ---- reading --------------------------------------------------------------------------------- */

static enum ph_code
needs_value(const char *name, struct ph_error *err)
{
	return ph__fail(err, PH_EUSAGE, PH_STAGE_PREPARE, PH_CAUSE_ARGUMENT, "--%s needs a value", name);
}

static enum ph_code
ask(struct ph__words *w, const char *name, char **ret, struct ph_error *err)
{
	struct ph__buf answer;
	char question[WORD_MAX + 4];
	enum ph_code rc;

	if (w->ask == NULL)
		return needs_value(name, err);
	ph__buf_init(&answer, &ph__libc_memory, ASKED_MAX);
	snprintf(question, sizeof question, "%c%s: ", ph__upper(*name), name + 1);
	rc = w->ask(question, &answer, err);
	if (rc == PH_ECONFIG)
		rc = needs_value(name, err);
	if (rc == PH_OK && (*ret = ph__arena_strndup(&w->arena, ph__buf_cstr(&answer),
	                                             answer.len)) == NULL)
		rc = ph__fail_nomem(err, PH_STAGE_PREPARE);
	ph__buf_done(&answer);
	return rc;
}

/* Whether the next word is the value of one that may have none. --tls takes none but its own. */
static bool
takes_next(const struct word *word, const char *next)
{
	static const char *const modes[] = { "starttls", "implicit", "opportunistic", "off" };

	if (next == NULL || word->value == NONE)
		return false;
	if (word->value == NEEDED)
		return true;
	if (word->deed != TLS)
		return !is_option(next);
	for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++)
		if (ph__cstr_eq_nocase(next, modes[i]))
			return true;
	return false;
}

/* One of swaks' words, `value` behind its "=" or NULL; *at is the index of the last argument used. */
static enum ph_code
take_swaks(struct ph__words *w, const struct word *word, char *value, char **argv, int *at,
           struct ph__buf *password, struct ph_error *err)
{
	if (word->deed == REFUSED)
		return refuse(word, err);
	if (value != NULL && word->value == NONE)
		return ph__fail(err, PH_EUSAGE, PH_STAGE_PREPARE, PH_CAUSE_ARGUMENT, "--%s takes no value",
		                word->name);
	if (value == NULL && takes_next(word, argv[*at + 1]))
		value = argv[++*at];
	if (value == NULL && word->value == NEEDED)
		return needs_value(word->name, err);
	if (value == NULL && word->value == ASKED) {
		enum ph_code rc = ask(w, word->into != NULL ? word->into : word->name, &value, err);

		if (rc != PH_OK)
			return rc;
	}
	return do_deed(w, word, value, password, err);
}

/* One of our own, or one that nobody knows: that is for ph__options_read() to say. */
static enum ph_code
take_ours(struct ph__words *w, const struct ph__option *row, const char *name, char *value,
          char **argv, int *at, struct ph_error *err)
{
	bool wants = row != NULL && row->kind != PH__OPTION_FLAG && row->kind != PH__OPTION_COUNT;

	if (wants && value == NULL) {
		if (argv[*at + 1] == NULL)
			return needs_value(name, err);
		value = argv[++*at];
	}
	return put(w, name, value, err);
}

/* "h-Subject" and "header-Subject" with their value, as --header has it. */
static enum ph_code
take_header(struct ph__words *w, struct ph_str field, char *value, char **argv, int *at,
            struct ph_error *err)
{
	char name[200];

	if (value == NULL && argv[*at + 1] == NULL)
		return needs_value("header", err);
	if (value == NULL)
		value = argv[++*at];
	if (field.len != 0 && field.ptr[field.len - 1] == ':')
		field.len--;
	snprintf(name, sizeof name, "%.*s", (int)(field.len < 190 ? field.len : 190), field.ptr);
	return put_two(w, "header", name, ": ", ph__str(value), err);
}

static enum ph_code
take(struct ph__words *w, char **argv, int *at, struct ph__buf *password, struct ph_error *err)
{
	char *arg = argv[*at] + 1 + (argv[*at][1] == '-'), *value = strchr(arg, '=');
	struct ph_str name = { arg, value != NULL ? (size_t)(value - arg) : strlen(arg) };
	const struct word *word = find(name);
	char text[WORD_MAX];

	if (value != NULL)
		value++;
	if (word != NULL)
		return take_swaks(w, word, value, argv, at, password, err);
	if (ph__str_begins(name, "h-") || ph__str_begins(name, "header-")) {
		size_t n = *arg == 'h' && arg[1] == '-' ? 2 : 7;

		return take_header(w, (struct ph_str){ name.ptr + n, name.len - n }, value, argv, at, err);
	}
	snprintf(text, sizeof text, "%.*s", (int)(name.len < WORD_MAX ? name.len : WORD_MAX - 1), name.ptr);
	return take_ours(w, find_ours(w, name), text, value, argv, at, err);
}

/* Whatever else is wrong, no password stays on the command line. */
static enum ph_code
wipe_rest(struct ph__words *w, char **argv, int at, struct ph__buf *password, enum ph_code rc)
{
	for (; argv[at] != NULL; at++) {
		const char *arg = argv[at] + strspn(argv[at], "-");
		size_t n = strcspn(arg, "=");
		const struct word *word = is_option(argv[at]) ? find((struct ph_str){ arg, n }) : NULL;
		char *value = word == NULL || word->deed != PASSWORD ? NULL
		            : arg[n] == '=' ? argv[at] + (arg - argv[at]) + n + 1
		            : argv[at + 1] != NULL && !is_option(argv[at + 1]) ? argv[at + 1] : NULL;

		if (value != NULL)
			keep_password(w, value, password, NULL);
	}
	return rc;
}

enum ph_code
ph__words_translate(struct ph__words *w, int argc, char **argv, struct ph__buf *password,
                    struct ph_error *err)
{
	bool operands = false;
	enum ph_code rc;

	ph__arena_init(&w->arena, &ph__libc_memory);
	rc = put_word(w, argv[0], err);
	for (int i = 1; i < argc && rc == PH_OK; i++) {
		operands |= strcmp(argv[i], "--") == 0;
		if (is_option(argv[i]) && !operands)
			rc = take(w, argv, &i, password, err);
		else
			rc = put_word(w, argv[i], err);
		if (rc != PH_OK)
			return wipe_rest(w, argv, i, password, rc);
	}
	return rc == PH_OK ? put_proxy_header(w, err) : rc;
}

void
ph__words_done(struct ph__words *w)
{
	ph__free(&ph__libc_memory, w->argv);
	ph__arena_done(&w->arena);
}
