/* SPDX-License-Identifier: MIT */
/* `posthaste send`: one message, one answer.
 *
 * What can be judged without the server is judged first, and a person is asked for a password only
 * when nothing else can go wrong on this side: options, envelope, server and TLS files, passwords
 * from files, message, envelope again, password from the terminal. A password that shares a
 * descriptor with the message is read before it. */
#include "cli/commands.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <posthaste/client.h>
#include "base/error.h"
#include "base/mem.h"
#include "cli/problem.h"
#include "cli/secret.h"
#include "cli/send_envelope.h"
#include "cli/send_login.h"
#include "cli/send_message.h"
#include "cli/send_options.h"
#include "cli/send_report.h"

#define SECRET_BUF_MAX 16384

struct send {
	struct ph__send_options  options;
	struct ph__send_envelope envelope;
	struct ph__send_message  message;
	struct ph__buf           secret;       /* password or token */
	struct ph__buf           proxy_secret;
	struct ph_transcript     transcript;
	struct ph_client        *client;
};

/* ---- login ----------------------------------------------------------------------------------- */

/* Whether a person must be asked for the password. */
static bool
must_ask(const struct ph__send_options *o)
{
	return ph__send_login_needs_password(o) && o->password_file == NULL && !o->password_fd.given
	    && o->password_command == NULL;
}

static enum ph_code
read_secret(struct send *s, struct ph_error *err)
{
	const struct ph__send_options *o = &s->options;
	char user[PH__SEND_USER_MAX];
	struct ph__secret_source from = {
		.noun = "password",
		.file = o->password_file,
		.fd = o->password_fd.given ? (int)o->password_fd.value : -1,
		.command = o->password_command,
		.user = ph__send_options_user(o, user, sizeof user),
		.server = o->server,
	};

	if (o->token_file != NULL)
		from = (struct ph__secret_source){ .noun = "token", .file = o->token_file, .fd = -1 };
	else if (!ph__send_login_needs_password(o))
		return PH_OK;
	ph__secret_shield();
	return ph__secret_read(&from, &s->secret, err);
}

static enum ph_code
read_proxy_secret(struct send *s, struct ph_error *err)
{
	struct ph__secret_source from = {
		.noun = "proxy's password", .file = s->options.proxy_password_file, .fd = -1,
	};

	if (from.file == NULL)
		return PH_OK;
	ph__secret_shield();
	return ph__secret_read(&from, &s->proxy_secret, err);
}

/* ---- sending --------------------------------------------------------------------------------- */

static enum ph_code
make_client(struct send *s, const char *secret, struct ph_error *err)
{
	const struct ph__send_options *o = &s->options;
	struct ph_credentials credentials = {
		PH_CREDENTIALS_INIT,
		.user = o->user, /* that of the URL is found by the library */
		.password = o->token_file == NULL ? secret : NULL,
		.token = o->token_file != NULL ? secret : NULL,
		.authzid = o->authzid,
		.mechanisms = o->mechanisms,
	};
	struct ph_client_opts opts = {
		PH_CLIENT_OPTS_INIT,
		.server = o->server,
		.connect = o->connect,
		.tls = ph__send_options_has_tls(o) ? &o->tls : NULL,
		.credentials = ph__send_login_wanted(o) ? &credentials : NULL,
		.allow_clear_auth = o->allow_clear_auth,
		.helo = o->helo,
		.source_ip = o->source_ip,
		.proxy = o->proxy,
		.proxy_password = s->proxy_secret.len != 0 ? ph__buf_cstr(&s->proxy_secret) : NULL,
		.family = o->family,
		.timeout_ms = o->timeout_ms,
		.connect_timeout_ms = o->connect_timeout_ms,
	};

	s->transcript = (struct ph_transcript){
		PH_TRANSCRIPT_INIT, .file = stderr, .times = o->verbose > 1,
	};
	if (o->verbose != 0) {
		opts.transcript = ph_transcript_print;
		opts.transcript_user = &s->transcript;
	}
	return ph_client_new(&s->client, &opts, err);
}

static enum ph_code
log_in(struct send *s, struct ph_error *err)
{
	enum ph_code rc = read_secret(s, err);

	if (rc == PH_OK)
		rc = make_client(s, s->secret.len != 0 ? ph__buf_cstr(&s->secret) : NULL, err);
	ph__buf_done(&s->secret);
	return rc;
}

/* Only to see whether all but the password is as it should be, before a person is asked for it. */
static enum ph_code
try_client(struct send *s, struct ph_error *err)
{
	enum ph_code rc = make_client(s, "", err);

	if (rc == PH_OK)
		ph_client_free(s->client);
	s->client = NULL;
	return rc;
}

/* Before a question is asked and a server is troubled. */
static enum ph_code
check_envelope(const struct send *s, struct ph_error *err)
{
	struct ph_envelope envelope = ph__send_envelope_whole(&s->envelope, &s->options);
	struct ph_txn *txn;
	enum ph_code rc = ph_txn_new(&txn, &envelope, NULL, err);

	if (rc == PH_OK)
		ph_txn_free(txn);
	return rc;
}

static enum ph_code
prepare(struct send *s, struct ph_error *err)
{
	const struct ph__send_options *o = &s->options;
	enum ph_code rc;

	if ((rc = ph__send_envelope_read(&s->envelope, o, err)) != PH_OK
	    || (rc = read_proxy_secret(s, err)) != PH_OK
	    || (rc = must_ask(o) ? try_client(s, err) : log_in(s, err)) != PH_OK
	    || (rc = ph__send_message_open(&s->message, o, &s->envelope, err)) != PH_OK
	    || (rc = ph__send_envelope_finish(&s->envelope, err)) != PH_OK)
		return rc;
	return check_envelope(s, err);
}

/* A signal gives up on the message, and its fate is still told; the second ends the process. */
static struct ph_client *volatile to_cancel;

static void
on_signal(int sig)
{
	signal(sig, SIG_DFL);
	if (to_cancel != NULL)
		ph_client_cancel(to_cancel);
}

static void
heed_signals(struct ph_client *client)
{
	static const int signals[] = { SIGINT, SIGTERM, SIGHUP };

	to_cancel = client;
	for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++) {
		struct sigaction sa = { .sa_handler = on_signal }, old;

		sigemptyset(&sa.sa_mask);
		if (sigaction(signals[i], NULL, &old) == 0 && old.sa_handler != SIG_IGN)
			sigaction(signals[i], &sa, NULL); /* without SA_RESTART: it ends waits */
	}
}

/* The mail's fate is known, and the answer to QUIT is nobody's business but of who watches. */
static void
say_goodbye(struct send *s)
{
	to_cancel = NULL;
	if (s->options.verbose != 0 && ph_client_is_connected(s->client))
		ph_client_quit(s->client, NULL, NULL);
	else
		ph_client_leave(s->client);
}

static int
send_it(struct send *s)
{
	struct ph_envelope envelope = ph__send_envelope_whole(&s->envelope, &s->options);
	struct ph_error err = PH_ERROR_INIT;
	const struct ph_record *record = NULL;
	int status;

	if (s->client == NULL && log_in(s, &err) != PH_OK)
		return ph__send_report_failure(&s->options, &s->envelope, &err);
	heed_signals(s->client);
	ph_client_sendmail(s->client, &envelope, s->message.source, &record, &err);
	if (record == NULL)
		return ph__send_report_failure(&s->options, &s->envelope, &err);
	status = ph__send_report_record(&s->options, record);
	say_goodbye(s);
	return status;
}

/* Nobody shall believe that a variable was heeded. */
static void
warn_of_barred_variables(void)
{
	char name[64];

	for (size_t row = 0; ph__options_next_barred(&ph__send_options_def, &row, name, sizeof name); row++)
		ph__warn(stderr, "%s is ignored: only the command line may say --%s", name,
		         ph__send_options_def.rows[row].name);
	if (getenv("POSTHASTE_PASSWORD") != NULL)
		ph__warn(stderr, "POSTHASTE_PASSWORD is ignored: other processes can read it; use "
		                 "--password-file, --password-fd or --password-command");
}

/* Where nobody knew better. */
static void
give_hint(struct ph_error *err)
{
	if (err->hint[0] != '\0')
		return;
	if (err->code == PH_ENOINPUT)
		ph__hint(err, "check the name, and that you may read it");
	else if (err->code == PH_ECONFIG)
		ph__hint(err, "man posthaste-send tells what each option takes");
}

static int
run(struct send *s, int argc, char **argv)
{
	struct ph_error err = PH_ERROR_INIT;
	bool help = false;
	enum ph_code rc = ph__send_options_read(&s->options, argc, argv, &help, &err);

	if (help) {
		ph__options_help(&ph__send_options_def, stdout);
		return ph__output_status();
	}
	warn_of_barred_variables();
	if (rc == PH_OK && s->options.tls.insecure)
		ph__warn(stderr, "--insecure: nobody verifies that this is the right server; whoever sits "
		                 "in between can read and change the mail, and take the password");
	if (rc == PH_OK)
		rc = prepare(s, &err);
	if (rc != PH_OK) {
		give_hint(&err);
		return ph__send_report_failure(&s->options, &s->envelope, &err);
	}
	return s->options.dry_run ? ph__send_report_plan(&s->options, &s->envelope, &s->message)
	                          : send_it(s);
}

int
ph__cmd_send(int argc, char **argv)
{
	struct send s = { .client = NULL };
	int status;

	ph__send_envelope_init(&s.envelope);
	ph__send_message_init(&s.message);
	ph__buf_init(&s.secret, &ph__libc_memory, SECRET_BUF_MAX);
	ph__buf_init(&s.proxy_secret, &ph__libc_memory, SECRET_BUF_MAX);
	s.secret.secret = s.proxy_secret.secret = true;
	status = run(&s, argc, argv);
	ph_client_free(s.client);
	ph__buf_done(&s.secret);
	ph__buf_done(&s.proxy_secret);
	ph__send_message_done(&s.message);
	ph__send_envelope_done(&s.envelope);
	ph__send_options_done(&s.options);
	return status;
}
