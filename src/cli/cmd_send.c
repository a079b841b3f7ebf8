/* SPDX-License-Identifier: MIT */
/* `posthaste send`: one message, one answer.
 *
 * What can be judged without the server is judged first, and a person is asked for a password only
 * when nothing else can go wrong on this side: options, envelope, server and TLS files, passwords
 * from files, message, envelope again, password from the terminal. A password that shares a
 * descriptor with the message is read before it. */
#include "cli/commands.h"

#include <posthaste/client.h>
#include "base/error.h"
#include "base/mem.h"
#include "cli/link.h"
#include "cli/link_login.h"
#include "cli/problem.h"
#include "cli/send_envelope.h"
#include "cli/send_message.h"
#include "cli/send_options.h"
#include "cli/send_report.h"

struct send {
	struct ph__send_options  options;
	struct ph__send_envelope envelope;
	struct ph__send_message  message;
	struct ph__link_secrets  secrets;
	struct ph_transcript     transcript;
	struct ph_client        *client;
};

/* ---- sending --------------------------------------------------------------------------------- */

/* Whether a person must be asked for the password. */
static bool
must_ask(const struct ph__link_options *o)
{
	return ph__link_login_needs_password(o) && o->password_file == NULL && !o->password_fd.given
	    && o->password_command == NULL;
}

static enum ph_code
make_client(struct send *s, const char *secret, struct ph_error *err)
{
	struct ph_credentials credentials;
	struct ph_client_opts opts = ph__link_client_opts(&s->options.link, secret, &s->secrets.proxy,
	                                                  &credentials);

	s->transcript = (struct ph_transcript){
		PH_TRANSCRIPT_INIT, .file = stderr, .times = s->options.verbose > 1,
	};
	if (s->options.direct.wanted)
		opts.direct = &s->options.direct.opts;
	if (s->options.verbose != 0) {
		opts.transcript = ph_transcript_print;
		opts.transcript_user = &s->transcript;
	}
	return ph_client_new(&s->client, &opts, err);
}

static enum ph_code
log_in(struct send *s, struct ph_error *err)
{
	enum ph_code rc = ph__link_read_login(&s->options.link, &s->secrets.login, err);

	if (rc == PH_OK)
		rc = make_client(s, s->secrets.login.len != 0 ? ph__buf_cstr(&s->secrets.login) : NULL, err);
	ph__buf_done(&s->secrets.login);
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

/* Where mail goes is said by what stands behind the @. */
static enum ph_code
check_domains(const struct ph__send_envelope *e, struct ph_error *err)
{
	for (size_t i = 0; i < e->count; i++) {
		if (ph__domain_of(e->recipients[i]) != NULL)
			continue;
		ph__fail(err, PH_EINPUT, PH_STAGE_PREPARE, PH_CAUSE_ARGUMENT,
		         "the recipient '%.200s' has no domain, which --direct finds the server by",
		         e->recipients[i]);
		ph__hint(err, "write local@domain; mailboxes of this computer take --server smtp://localhost");
		return PH_EINPUT;
	}
	return PH_OK;
}

/* Before a question is asked and a server is troubled. */
static enum ph_code
check_envelope(const struct send *s, struct ph_error *err)
{
	struct ph_envelope envelope = ph__send_envelope_whole(&s->envelope, &s->options);
	struct ph_txn *txn;
	enum ph_code rc = s->options.direct.wanted ? check_domains(&s->envelope, err) : PH_OK;

	if (rc != PH_OK)
		return rc;
	rc = ph_txn_new(&txn, &envelope, NULL, err);
	if (rc == PH_OK)
		ph_txn_free(txn);
	return rc;
}

/* That policies are forgotten at the end weakens them, and is worth a word to who looks; a service's
 * user has no home, and nothing to be warned of each time. */
static void
settle_direct(struct send *s)
{
	struct ph__send_direct *d = &s->options.direct;

	ph__send_direct_settle(d);
	if (d->problem[0] != '\0' && (s->options.verbose != 0 || s->options.dry_run))
		ph__warn(stderr, "MTA-STS policies are not kept until the next time: %s", d->problem);
}

static enum ph_code
prepare(struct send *s, struct ph_error *err)
{
	const struct ph__send_options *o = &s->options;
	enum ph_code rc;

	if (o->direct.wanted)
		settle_direct(s);
	if ((rc = ph__send_envelope_read(&s->envelope, o, err)) != PH_OK
	    || (rc = ph__link_read_proxy(&o->link, &s->secrets.proxy, err)) != PH_OK
	    || (rc = must_ask(&o->link) ? try_client(s, err) : log_in(s, err)) != PH_OK
	    || (rc = ph__send_message_open(&s->message, o, &s->envelope, err)) != PH_OK
	    || (rc = ph__send_envelope_finish(&s->envelope, err)) != PH_OK)
		return rc;
	return check_envelope(s, err);
}

/* The mail's fate is known, and the answer to QUIT is nobody's business but of who watches. */
static void
say_goodbye(struct send *s)
{
	ph__link_heed_signals(NULL);
	if (s->options.verbose != 0 && ph_client_is_connected(s->client))
		ph_client_quit(s->client, NULL, NULL);
	else
		ph_client_leave(s->client);
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
send_it(struct send *s)
{
	struct ph_envelope envelope = ph__send_envelope_whole(&s->envelope, &s->options);
	struct ph_error err = PH_ERROR_INIT;
	const struct ph_record *record = NULL;
	int status;

	if (s->client == NULL && log_in(s, &err) != PH_OK)
		return ph__send_report_failure(&s->options, &s->envelope, &err);
	ph__link_heed_signals(s->client);
	ph_client_sendmail(s->client, &envelope, s->message.source, &record, &err);
	if (record == NULL) {
		give_hint(&err);
		return ph__send_report_failure(&s->options, &s->envelope, &err);
	}
	status = ph__send_report_record(&s->options, record);
	say_goodbye(s);
	return status;
}

static int
show_plan(struct send *s)
{
	int status;

	ph__link_heed_signals(s->client);
	status = ph__send_report_plan(&s->options, &s->envelope, &s->message, s->client);
	ph__link_heed_signals(NULL);
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
		return ph__output_status();
	}
	ph__link_warn_of_barred_variables(&ph__send_options_def);
	if (rc == PH_OK)
		ph__link_warn(&s->options.link);
	if (rc == PH_OK)
		rc = prepare(s, &err);
	if (rc != PH_OK) {
		give_hint(&err);
		return ph__send_report_failure(&s->options, &s->envelope, &err);
	}
	return s->options.dry_run ? show_plan(s) : send_it(s);
}

int
ph__cmd_send(int argc, char **argv)
{
	struct send s = { .client = NULL };
	int status;

	ph__send_envelope_init(&s.envelope);
	ph__send_message_init(&s.message);
	ph__link_secrets_init(&s.secrets);
	status = run(&s, argc, argv);
	ph_client_free(s.client);
	ph__link_secrets_done(&s.secrets);
	ph__send_message_done(&s.message);
	ph__send_envelope_done(&s.envelope);
	ph__send_options_done(&s.options);
	return status;
}
