/* SPDX-License-Identifier: MIT */
/* `posthaste sink`: from the command line to struct ph__sink_opts. All else is src/sink. */
#include "cli/commands.h"

#include <string.h>
#include "base/bounds.h"
#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"
#include "cli/options.h"
#include "cli/problem.h"
#include "cli/secret.h"
#include "sink/sink.h"

struct options {
	struct ph__option_list smtp, smtps, lmtp, users, password_files, cert_names, rules, limits;
	struct ph__option_number size, recipients, connections, messages, seed;
	int tls_min;
	struct ph__sink_opts o;
};
#define AT(member) offsetof(struct options, member)

static const struct ph__option_choice tls_versions[] = {
	{ "1.2", PH_TLS_1_2 }, { "1.3", PH_TLS_1_3 }, { NULL, 0 },
};

#define HEADING(text) { PH__OPTION_HEADING, .help = text }

static const struct ph__option rows[] = {
	HEADING("Where to listen (this computer only; port 0: any; each may be given again)"),
	{ PH__OPTION_LIST, "smtp", NULL, "[ADDRESS:]PORT", "SMTP; the default, on 127.0.0.1:2525",
	  AT(smtp) },
	{ PH__OPTION_LIST, "smtps", NULL, "[ADDRESS:]PORT", "SMTP inside TLS from the first octet",
	  AT(smtps) },
	{ PH__OPTION_LIST, "lmtp", NULL, "[ADDRESS:]PORT|PATH", "LMTP; PATH is that of a Unix "
	  "socket and has a slash in it", AT(lmtp) },
	{ PH__OPTION_TEXT, "ready-file", NULL, "FILE", "written once everything is ready: lines "
	  "\"smtp 127.0.0.1:2525\", at last \"ca FILE\"", AT(o.ready_file) },

	HEADING("TLS"),
	{ PH__OPTION_TEXT, "ca-out", NULL, "FILE", "write the certificate that clients are to "
	  "trust here", AT(o.ca_out) },
	{ PH__OPTION_LIST, "cert-name", NULL, "NAME", "make the certificate for this name or "
	  "address too, besides localhost, 127.0.0.1 and ::1", AT(cert_names) },
	{ PH__OPTION_TEXT, "cert", NULL, "FILE", "use this certificate with its chain (PEM)",
	  AT(o.cert_file) },
	{ PH__OPTION_TEXT, "key", NULL, "FILE", "its key, if it is not in the same file",
	  AT(o.key_file) },
	{ PH__OPTION_CHOICE, "tls-min", NULL, "VERSION", "1.2 (default) or 1.3", AT(tls_min),
	  tls_versions },
	{ PH__OPTION_FLAG, "require-tls", NULL, NULL, "refuse AUTH and MAIL before STARTTLS",
	  AT(o.require_tls) },

	HEADING("Authentication"),
	{ PH__OPTION_LIST, "user", NULL, "NAME", "may log in, with the password of the "
	  "--password-file that belongs to it", AT(users) },
	{ PH__OPTION_LIST, "password-file", NULL, "FILE", "password is the first line of FILE; "
	  "one for each --user, in the same order", AT(password_files) },
	{ PH__OPTION_TEXT, "users", NULL, "FILE", "more users: lines NAME:PASSWORD",
	  AT(o.users_file) },
	{ PH__OPTION_TEXT, "token-file", NULL, "FILE", "who may log in with which token (OAUTHBEARER, "
	  "XOAUTH2): lines NAME:TOKEN", AT(o.token_file) },
	{ PH__OPTION_TEXT, "auth", NULL, "MECHANISM[,...]", "offer these only: PLAIN LOGIN CRAM-MD5 "
	  "DIGEST-MD5 SCRAM-SHA-1 SCRAM-SHA-256 (both also with -PLUS) OAUTHBEARER XOAUTH2; default: all "
	  "that can work", AT(o.mechanisms) },
	{ PH__OPTION_FLAG, "allow-clear-auth", NULL, NULL, "offer AUTH without TLS",
	  AT(o.clear_auth) },
	{ PH__OPTION_FLAG, "require-auth", NULL, NULL, "refuse MAIL before AUTH",
	  AT(o.require_auth) },

	HEADING("Protocol"),
	{ PH__OPTION_TEXT, "name", NULL, "NAME", "in greeting and EHLO; default localhost",
	  AT(o.name) },
	{ PH__OPTION_TEXT, "no", NULL, "KEYWORD[,...]", "be a server without these: PIPELINING "
	  "SIZE 8BITMIME SMTPUTF8 CHUNKING BINARYMIME ENHANCEDSTATUSCODES DSN STARTTLS AUTH DELIVERBY "
	  "FUTURERELEASE MT-PRIORITY REQUIRETLS LIMITS ETRN",
	  AT(o.without) },
	{ PH__OPTION_NUMBER, "size", NULL, "N", "largest message in octets; 0: no limit; default "
	  "256 MiB", AT(size), .max = INT64_MAX },
	{ PH__OPTION_NUMBER, "max-recipients", NULL, "N", "of one transaction, announced as RCPTMAX; default "
	  "1000, not announced",
	  AT(recipients), .max = PH__RECIPIENTS_MAX },
	{ PH__OPTION_LIST, "limit", NULL, "NAME=N", "announce (LIMITS) and enforce MAILMAX, messages on a "
	  "connection, or RCPTDOMAINMAX, recipients' domains on it; may be given again", AT(limits) },
	{ PH__OPTION_NUMBER, "max-connections", NULL, "N", "at a time; default 1000",
	  AT(connections), .max = 100000 },
	{ PH__OPTION_DURATION, "idle", NULL, "TIME", "break off (421) after such a silence; "
	  "default 5m", AT(o.idle_ms) },
	{ PH__OPTION_FLAG, "strict", NULL, NULL, "refuse messages and commands with a bare CR or "
	  "LF; otherwise they are kept and counted", AT(o.strict_line_ends) },

	{ PH__OPTION_FLAG, "xclient", NULL, NULL, "offer XCLIENT: a client may say who else it is",
	  AT(o.xclient) },
	{ PH__OPTION_FLAG, "xforward", NULL, NULL, "offer XFORWARD", AT(o.xforward) },
	{ PH__OPTION_FLAG, "proxy-protocol", NULL, NULL, "each connection begins with a PROXY header, "
	  "version 1 or 2", AT(o.proxy_protocol) },

	HEADING("Faults (posthaste-sink(1) has the grammar and examples)"),
	{ PH__OPTION_LIST, "rule", NULL, "RULE", "do something else, for example "
	  "'rcpt:/^bob@/ 450 4.2.1 later'; may be given again, the first rule that fits is taken",
	  AT(rules) },
	{ PH__OPTION_TEXT, "rules", NULL, "FILE", "more rules, one a line", AT(o.rules_file) },
	{ PH__OPTION_NUMBER, "seed", NULL, "N", "where chance begins, so that a run repeats; otherwise "
	  "one is made and told with the addresses", AT(seed), .max = INT64_MAX },

	HEADING("What becomes of the mail"),
	{ PH__OPTION_TEXT, "maildir", NULL, "DIR", "store each message here, octet by octet as it "
	  "came; otherwise they are only counted", AT(o.maildir) },
	{ PH__OPTION_TEXT, "json", NULL, "FILE", "write the records, a line each, to FILE instead "
	  "of standard output", AT(o.json_file), .group = 1 },
	{ PH__OPTION_FLAG, "quiet", NULL, NULL, "no records", AT(o.quiet), .group = 1 },
	{ PH__OPTION_NUMBER, "messages", NULL, "N", "end after N messages", AT(messages),
	  .max = INT64_MAX },
};

static const struct ph__options def = {
	.command = "sink",
	.synopsis = "[OPTION]...",
	.about = "Receives mail on this computer, for tests: SMTP, SMTP inside TLS, and LMTP. "
	         "Prints a line of JSON for each message. Sends nothing on, and listens to nobody "
	         "outside.",
	.more = "SIGINT and SIGTERM end it.",
	.rows = rows,
	.count = sizeof rows / sizeof rows[0],
};

static void
add_listeners(struct ph__sink_listen *to, size_t *n, const struct ph__option_list *from,
              enum ph__sink_protocol protocol)
{
	for (size_t i = 0; i < from->count; i++)
		to[(*n)++] = (struct ph__sink_listen){ protocol, from->items[i] };
}

static enum ph_code
complain(struct ph_error *err, const char *text)
{
	return ph__fail(err, PH_EUSAGE, PH_STAGE_PREPARE, PH_CAUSE_ARGUMENT, "%s", text);
}

/* What the table of options cannot say. */
static enum ph_code
check(const struct options *p, struct ph_error *err)
{
	if (p->users.count != p->password_files.count)
		return complain(err, "as many --password-file as --user are needed");
	if (p->o.key_file != NULL && p->o.cert_file == NULL)
		return complain(err, "--key without --cert");
	if (p->cert_names.count != 0 && p->o.cert_file != NULL)
		return complain(err, "--cert-name is for a certificate made here, not with --cert");
	if (p->o.name != NULL && strcspn(p->o.name, " \t\r\n") != strlen(p->o.name))
		return complain(err, "--name is one word: clients take the first of the greeting for the name");
	if (p->recipients.given && p->recipients.value == 0)
		return complain(err, "--max-recipients=0: 1 at least");
	if (p->connections.given && p->connections.value == 0)
		return complain(err, "--max-connections=0: 1 at least");
	if (p->messages.given && p->messages.value == 0)
		return complain(err, "--messages=0: 1 at least; without it, the sink goes on until a signal");
	return PH_OK;
}

/* "MAILMAX=1" */
static enum ph_code
take_limits(struct options *p, struct ph_error *err)
{
	for (size_t i = 0; i < p->limits.count; i++) {
		struct ph_str value = ph__str(p->limits.items[i]), name = ph__str_cut(&value, '=');
		uint64_t *to = ph__str_is(name, "MAILMAX") ? &p->o.mail_max
		               : ph__str_is(name, "RCPTDOMAINMAX") ? &p->o.domain_max : NULL;

		if (to == NULL || !ph__str_to_uint(value, 999999, to) || *to == 0) {
			ph__fail(err, PH_EUSAGE, PH_STAGE_PREPARE, PH_CAUSE_ARGUMENT,
			         "--limit=%s: write MAILMAX=N or RCPTDOMAINMAX=N, N from 1 to 999999",
			         p->limits.items[i]);
			if (ph__str_is(name, "RCPTMAX"))
				ph__hint(err, "RCPTMAX is --max-recipients N");
			return PH_EUSAGE;
		}
	}
	return PH_OK;
}

static enum ph_code
serve(struct options *p, struct ph_error *err)
{
	size_t listeners = p->smtp.count + p->smtps.count + p->lmtp.count, n = 0;
	struct ph__sink_listen *listen =
	    ph__alloc_array(&ph__libc_memory, listeners, sizeof *listen);
	struct ph__sink_user *users =
	    ph__alloc_array(&ph__libc_memory, p->users.count, sizeof *users);
	enum ph_code rc;

	if (listen == NULL || users == NULL) {
		rc = ph__fail_nomem(err, PH_STAGE_PREPARE);
		goto out;
	}
	add_listeners(listen, &n, &p->smtp, PH__SINK_SMTP);
	add_listeners(listen, &n, &p->smtps, PH__SINK_SMTPS);
	add_listeners(listen, &n, &p->lmtp, PH__SINK_LMTP);
	for (size_t i = 0; i < p->users.count; i++)
		users[i] = (struct ph__sink_user){ p->users.items[i], p->password_files.items[i] };
	if (p->users.count != 0 || p->o.users_file != NULL || p->o.token_file != NULL)
		ph__secret_shield();
	p->o.listen = listen;
	p->o.listen_count = n;
	p->o.users = users;
	p->o.user_count = p->users.count;
	p->o.cert_names = p->cert_names.items;
	p->o.cert_name_count = p->cert_names.count;
	p->o.tls_min = (enum ph_tls_version)p->tls_min;
	p->o.size_given = p->size.given;
	p->o.size_max = p->size.value;
	p->o.recipients_max = (size_t)p->recipients.value;
	p->o.connections_max = (size_t)p->connections.value;
	p->o.messages = p->messages.value;
	p->o.rules = p->rules.items;
	p->o.rule_count = p->rules.count;
	p->o.seed_given = p->seed.given;
	p->o.seed = p->seed.value;
	rc = ph__sink_run(&p->o, err);
out:
	ph__free(&ph__libc_memory, listen);
	ph__free(&ph__libc_memory, users);
	return rc;
}

int
ph__cmd_sink(int argc, char **argv)
{
	struct options p = { .tls_min = 0 };
	struct ph_error err = PH_ERROR_INIT;
	bool help = false;
	int operand = 0;
	enum ph_code rc = ph__options_read(&def, argc, argv, &p, &operand, &help, &err);

	if (help) {
		ph__options_help(&def, stdout);
		ph__options_done(&def, &p);
		return ph__output_status();
	} else {
		if (rc == PH_OK && operand < argc)
			rc = ph__fail(&err, PH_EUSAGE, PH_STAGE_PREPARE, PH_CAUSE_ARGUMENT,
			              "%s: sink takes options only", argv[operand]);
		if (rc == PH_OK)
			rc = check(&p, &err);
		if (rc == PH_OK)
			rc = take_limits(&p, &err);
		if (rc == PH_OK)
			rc = serve(&p, &err);
		if (rc < 0)
			ph__problem_print_as(stderr, &err, rc == PH_EUSAGE ? "" : "The sink has ended.");
	}
	ph__options_done(&def, &p);
	return ph_code_exit_status(rc);
}
