/* SPDX-License-Identifier: MIT */
/* `posthaste send`: one message, one answer.
 *
 * What can be judged without the server is judged first, and a person is asked for a password only
 * when nothing else can go wrong on this side: options, envelope, server and TLS files, passwords
 * from files, message, envelope again, password from the terminal. A password that shares a
 * descriptor with the message is read before it. */
#include "cli/commands.h"

#include <signal.h>
#include <string.h>
#include <posthaste/client.h>
#include "base/error.h"
#include "base/mem.h"
#include "cli/problem.h"
#include "cli/secret.h"
#include "cli/send_envelope.h"
#include "cli/send_message.h"
#include "cli/send_options.h"
#include "cli/send_report.h"

#define SECRET_BUF_MAX 16384
#define USER_MAX       320

struct send {
	struct ph__send_options  options;
	struct ph__send_envelope envelope;
	struct ph__send_message  message;
	struct ph__buf           secret;
	char                     user_buf[USER_MAX];
	const char              *user; /* NULL: no login, or EXTERNAL */
	struct ph_transcript     transcript;
	struct ph_client        *client;
};

/* ---- login ----------------------------------------------------------------------------------- */

static bool
wants_login(const struct send *s)
{
	return s->user != NULL || s->options.mechanisms != NULL;
}

/* EXTERNAL proves who we are by the client certificate (RFC 4422 appendix A). */
static bool
wants_secret(const struct send *s)
{
	const char *mechanisms = s->options.mechanisms;

	return s->user != NULL && (mechanisms == NULL || !ph__cstr_eq_nocase(mechanisms, "EXTERNAL"));
}

/* Whether a person must be asked for the password. */
static bool
must_ask(const struct send *s)
{
	const struct ph__send_options *o = &s->options;

	return wants_secret(s) && o->password_file == NULL && !o->password_fd.given
	    && o->password_command == NULL;
}

static enum ph_code
read_secret(struct send *s, struct ph_error *err)
{
	const struct ph__send_options *o = &s->options;
	struct ph__secret_source from = {
		.file = o->password_file,
		.fd = o->password_fd.given ? (int)o->password_fd.value : -1,
		.command = o->password_command,
		.user = s->user,
		.server = o->server,
	};

	if (!wants_secret(s))
		return PH_OK;
	ph__secret_shield();
	return ph__secret_read(&from, &s->secret, err);
}

/* ---- sending --------------------------------------------------------------------------------- */

static enum ph_code
make_client(struct send *s, const char *password, struct ph_error *err)
{
	const struct ph__send_options *o = &s->options;
	struct ph_credentials credentials = {
		PH_CREDENTIALS_INIT,
		.user = o->user, /* that of the URL is found by the library */
		.password = password,
		.authzid = o->authzid,
		.mechanisms = o->mechanisms,
	};
	struct ph_client_opts opts = {
		PH_CLIENT_OPTS_INIT,
		.server = o->server,
		.connect = o->connect,
		.tls = ph__send_options_has_tls(o) ? &o->tls : NULL,
		.credentials = wants_login(s) ? &credentials : NULL,
		.allow_clear_auth = o->allow_clear_auth,
		.helo = o->helo,
		.source_ip = o->source_ip,
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

static struct ph_envelope
envelope_of(const struct send *s)
{
	return (struct ph_envelope){
		PH_ENVELOPE_INIT,
		.from = s->envelope.from,
		.recipients = s->envelope.recipients,
		.recipient_count = s->envelope.count,
		.line_ends = (enum ph_line_ends)s->options.line_ends,
		.no_dup = s->options.no_dup,
	};
}

/* Before a question is asked and a server is troubled. */
static enum ph_code
check_envelope(const struct send *s, struct ph_error *err)
{
	struct ph_envelope envelope = envelope_of(s);
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

	s->user = ph__send_options_user(o, s->user_buf, sizeof s->user_buf);
	if ((rc = ph__send_envelope_read(&s->envelope, o, err)) != PH_OK
	    || (rc = must_ask(s) ? try_client(s, err) : log_in(s, err)) != PH_OK
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
	struct ph_envelope envelope = envelope_of(s);
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

static int
run(struct send *s, int argc, char **argv)
{
	struct ph_error err = PH_ERROR_INIT;
	bool help = false;
	enum ph_code rc = ph__send_options_read(&s->options, argc, argv, &help, &err);

	if (help) {
		ph__options_help(&ph__send_options_def, stdout);
		return 0;
	}
	if (rc == PH_OK && s->options.tls.insecure)
		ph__warn(stderr, "--insecure: nobody verifies that this is the right server; whoever sits "
		                 "in between can read and change the mail, and take the password");
	if (rc == PH_OK)
		rc = prepare(s, &err);
	if (rc != PH_OK)
		return ph__send_report_failure(&s->options, &s->envelope, &err);
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
	s.secret.secret = true;
	status = run(&s, argc, argv);
	ph_client_free(s.client);
	ph__buf_done(&s.secret);
	ph__send_message_done(&s.message);
	ph__send_envelope_done(&s.envelope);
	ph__send_options_done(&s.options);
	return status;
}
