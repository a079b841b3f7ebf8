/* SPDX-License-Identifier: MIT */
/* A command at a time. Each function says one thing to the server, waits for the answer, and judges
 * it: only 2yz and 3yz go on. */
#include "client/private.h"

#include <stdio.h>
#include <string.h>

#include "base/bounds.h"
#include "mail/address.h"
#include "mail/source.h"
#include "route/verdict.h"
#include "smtp/txn.h"

void
ph__client_keep_reply(struct ph_client *c, const struct ph_reply *r)
{
	ph__buf_reset(&c->reply_text);
	ph__buf_add(&c->reply_text, r->text, r->len);
	c->reply = *r;
	c->reply.text = ph__buf_cstr(&c->reply_text);
	c->reply.len = c->reply_text.len;
}

static enum ph_code
not_connected(struct ph_error *err)
{
	return ph__fail(err, PH_EUSAGE, PH_STAGE_PREPARE, PH_CAUSE_STATE,
	                "there is no connection: connect first");
}

static enum ph_code
lost(struct ph_client *c, const struct ph_smtp_event *ev, struct ph_error *err)
{
	struct ph_error why = PH_ERROR_INIT;

	ph__error_copy(&why, ev->error);
	if (why.code == PH_OK) /* behind QUIT */
		ph__fail(&why, PH_EDEFERRED, PH_STAGE_QUIT, PH_CAUSE_LOST, "the connection is closed");
	ph__client_drop(c, &why);
	ph__error_copy(err, &why);
	return why.code;
}

static enum ph_code
nothing_to_come(struct ph_error *err)
{
	return ph__fail(err, PH_EUSAGE, PH_STAGE_PREPARE, PH_CAUSE_STATE,
	                "no reply is to be expected now");
}

/* Whether commands can be given; a session that has ended is cleared away first. */
static enum ph_code
check_alive(struct ph_client *c, struct ph_error *err)
{
	struct ph_smtp_event ev = PH_SMTP_EVENT_INIT;

	if (c->drive == NULL)
		return not_connected(err);
	if (!ph_smtp_is_closed(c->drive->smtp))
		return PH_OK;
	while (ph_smtp_next_event(c->drive->smtp, &ev)) {
		if (ev.type == PH_EV_TXN_DONE)
			ph__client_on_txn_done(c, &ev);
		if (ev.type == PH_EV_CLOSED)
			return lost(c, &ev, err);
	}
	ph__client_drop(c, NULL);
	return not_connected(err);
}

/* Runs until an event of this type, which is left in *ev; PH_OK, or how the connection ended. */
static enum ph_code
run_until(struct ph_client *c, enum ph_smtp_event_type type, struct ph_smtp_event *ev,
          struct ph_error *err)
{
	c->used = true;
	for (;;) {
		if (ph__drive_step(c->drive, ev) == PH__DRIVE_WAIT) {
			if (type == PH_EV_REPLY && ph_smtp_is_idle(c->drive->smtp))
				return nothing_to_come(err);
			ph__drive_wait(c->drive, UINT64_MAX);
			continue;
		}
		if (ev->type == type)
			return PH_OK;
		if (ev->type == PH_EV_TXN_DONE)
			ph__client_on_txn_done(c, ev);
		if (ev->type == PH_EV_CLOSED)
			return lost(c, ev, err);
	}
}

static enum ph_stage
stage_of(const char *verb)
{
	static const struct { const char *verb; enum ph_stage stage; } stages[] = {
		{ "GREETING", PH_STAGE_GREETING }, { "STARTTLS", PH_STAGE_STARTTLS },
		{ "AUTH", PH_STAGE_AUTH }, { "MAIL", PH_STAGE_MAIL }, { "RCPT", PH_STAGE_RCPT },
		{ "DATA", PH_STAGE_DATA }, { "BODY", PH_STAGE_BODY }, { "BDAT", PH_STAGE_BODY },
		{ "QUIT", PH_STAGE_QUIT },
	};

	for (size_t i = 0; i < sizeof stages / sizeof stages[0]; i++)
		if (strcmp(stages[i].verb, verb) == 0)
			return stages[i].stage;
	return PH_STAGE_HELLO;
}

static enum ph_code
judge(struct ph_client *c, const char *verb, const struct ph_reply **ret, struct ph_error *err)
{
	const struct ph_reply *r = &c->reply;
	enum ph_code code;

	if (ret != NULL)
		*ret = r;
	if (r->code >= 200 && r->code < 400)
		return PH_OK;
	code = r->code >= 500 ? PH_EREFUSED : PH_EDEFERRED;
	ph__fail(err, code, stage_of(verb), PH_CAUSE_REPLY, "the server refused %s: %u %.380s",
	         *verb == '\0' ? "the command" : strcmp(verb, "BODY") == 0 ? "the message" : verb,
	         r->code, r->text);
	if (err != NULL && err->size >= sizeof *err) {
		err->reply = r->code;
		memcpy(err->enhanced, r->enhanced, sizeof err->enhanced);
	}
	return code;
}

static enum ph_code
await_reply(struct ph_client *c, const struct ph_reply **ret, struct ph_error *err)
{
	struct ph_smtp_event ev = PH_SMTP_EVENT_INIT;
	enum ph_code rc = run_until(c, PH_EV_REPLY, &ev, err);

	if (rc != PH_OK)
		return rc;
	ph__client_keep_reply(c, &ev.reply);
	return judge(c, ev.verb, ret, err);
}

/* Writes what is queued. Events are left to getreply(): next_event() is not asked for any. */
static enum ph_code
push_out(struct ph_client *c, struct ph_error *err)
{
	while (ph__drive_flush(c->drive) && !c->drive->deaf && !ph_smtp_is_closed(c->drive->smtp))
		ph__drive_wait(c->drive, UINT64_MAX);
	return check_alive(c, err);
}

enum ph_code
ph_client_putcmd(struct ph_client *c, const char *verb, const char *arguments, struct ph_error *err)
{
	enum ph_code rc;

	if ((rc = check_alive(c, err)) != PH_OK ||
	    (rc = ph_smtp_command(c->drive->smtp, verb, arguments, err)) != PH_OK)
		return rc;
	return push_out(c, err);
}

enum ph_code
ph_client_getreply(struct ph_client *c, const struct ph_reply **ret, struct ph_error *err)
{
	enum ph_code rc = check_alive(c, err);

	if (rc != PH_OK)
		return rc;
	if (ph_smtp_is_idle(c->drive->smtp) && ph_smtp_expect(c->drive->smtp) != PH_OK)
		return nothing_to_come(err);
	return await_reply(c, ret, err);
}

enum ph_code
ph_client_send(struct ph_client *c, const void *octets, size_t n, struct ph_error *err)
{
	enum ph_code rc = check_alive(c, err);

	if (rc != PH_OK)
		return rc;
	if (ph_smtp_raw(c->drive->smtp, octets, n) != PH_OK)
		return ph__fail(err, PH_EUSAGE, PH_STAGE_PREPARE, PH_CAUSE_STATE,
		                "nothing can be sent by hand now");
	return push_out(c, err);
}

enum ph_code
ph_client_docmd(struct ph_client *c, const char *verb, const char *arguments,
                const struct ph_reply **ret, struct ph_error *err)
{
	enum ph_code rc;

	if ((rc = check_alive(c, err)) != PH_OK ||
	    (rc = ph_smtp_command(c->drive->smtp, verb, arguments, err)) != PH_OK)
		return rc;
	return await_reply(c, ret, err);
}

/* ---- hello ----------------------------------------------------------------------------------- */

static enum ph_code
say_hello(struct ph_client *c, const char *verb, const char *name, const struct ph_reply **ret,
          struct ph_error *err)
{
	const struct ph_reply *r = NULL;
	enum ph_code rc;

	if (c->drive == NULL)
		return not_connected(err);
	if (name != NULL && (*name == '\0' || strchr(name, ' ') != NULL))
		return ph__fail(err, PH_EINPUT, PH_STAGE_HELLO, PH_CAUSE_ARGUMENT,
		                "the EHLO name is empty or has a space in it");
	rc = ph_client_docmd(c, verb, name != NULL ? name : c->helo_name, &r, err);
	if (r == NULL)
		return rc;
	if (ret != NULL)
		*ret = r;
	ph__buf_reset(&c->ehlo_text);
	ph__buf_add(&c->ehlo_text, r->text, r->len);
	c->ehlo = *r;
	c->ehlo.text = ph__buf_cstr(&c->ehlo_text);
	c->ehlo.len = c->ehlo_text.len;
	c->opened &= rc == PH_OK;
	ph__session_set_extensions(c->session, c->drive->smtp);
	return rc;
}

enum ph_code
ph_client_ehlo(struct ph_client *c, const char *name, const struct ph_reply **ret,
               struct ph_error *err)
{
	return say_hello(c, c->server.lmtp ? "LHLO" : "EHLO", name, ret, err);
}

enum ph_code
ph_client_helo(struct ph_client *c, const char *name, const struct ph_reply **ret,
               struct ph_error *err)
{
	return say_hello(c, "HELO", name, ret, err);
}

enum ph_code
ph_client_ehlo_or_helo_if_needed(struct ph_client *c, struct ph_error *err)
{
	const struct ph_reply *r = NULL;
	enum ph_code rc;

	if ((rc = check_alive(c, err)) != PH_OK || ph_smtp_is_ready(c->drive->smtp))
		return rc;
	rc = ph_client_ehlo(c, NULL, &r, err);
	if (rc != PH_OK && c->drive != NULL && r != NULL && r->code >= 500 && r->code <= 504 &&
	    !c->server.lmtp)
		rc = ph_client_helo(c, NULL, NULL, err);
	return rc;
}

static enum ph_code
may_start_tls(struct ph_client *c, struct ph_error *err)
{
	enum ph_code rc = ph_client_ehlo_or_helo_if_needed(c, err);

	if (rc != PH_OK)
		return rc;
	if (c->drive->tls_up)
		return ph__fail(err, PH_EUSAGE, PH_STAGE_STARTTLS, PH_CAUSE_STATE,
		                "the connection is under TLS already");
	if (c->drive->io->start_tls == NULL)
		return ph__fail(err, PH_EUSAGE, PH_STAGE_STARTTLS, PH_CAUSE_STATE,
		                "TLS is switched off, or the transport in use cannot do it");
	if (!ph_smtp_has_extension(c->drive->smtp, "STARTTLS", NULL))
		return ph__fail(err, PH_ESECURITY, PH_STAGE_STARTTLS, PH_CAUSE_NOT_OFFERED,
		                "the server does not offer STARTTLS, so the connection cannot be encrypted");
	return PH_OK;
}

enum ph_code
ph_client_starttls(struct ph_client *c, const struct ph_reply **ret, struct ph_error *err)
{
	struct ph_smtp_event ev = PH_SMTP_EVENT_INIT;
	struct ph_error why = PH_ERROR_INIT;
	enum ph_code rc;

	if ((rc = may_start_tls(c, err)) != PH_OK ||
	    (rc = ph_client_docmd(c, "STARTTLS", NULL, ret, err)) != PH_OK)
		return rc;
	if (c->reply.code != 220)
		return ph__verdict_session(PH_STAGE_STARTTLS, &c->reply, err);
	if ((rc = run_until(c, PH_EV_WANT_TLS, &ev, err)) != PH_OK)
		return rc;
	ph__client_note_event(c, &ev);
	c->ehlo.code = 0;
	c->opened = false;
	if ((rc = ph__client_check_peer(c, &why)) != PH_OK) {
		ph__client_drop(c, &why);
		ph__error_copy(err, &why);
	}
	return rc;
}

/* ---- login ----------------------------------------------------------------------------------- */

static enum ph_code
run_login(struct ph_client *c, struct ph__login *l, enum ph__step step, const struct ph_reply **ret,
          struct ph_error *err)
{
	struct ph_error why = PH_ERROR_INIT;

	while (step == PH__STEP_GOING) {
		struct ph_smtp_event ev = PH_SMTP_EVENT_INIT;

		if (ph__drive_step(c->drive, &ev) == PH__DRIVE_WAIT) {
			ph__drive_wait(c->drive, UINT64_MAX);
			continue;
		}
		if (ev.type == PH_EV_REPLY) {
			ph__client_keep_reply(c, &ev.reply);
			if (ret != NULL)
				*ret = &c->reply;
		}
		if (ev.type == PH_EV_TXN_DONE)
			ph__client_on_txn_done(c, &ev);
		step = ph__login_event(l, &ev, &why);
		if (ev.type == PH_EV_CLOSED)
			ph__client_drop(c, ev.error);
	}
	ph__login_end(l);
	if (step == PH__STEP_DONE) {
		c->logged_in = true;
		snprintf(c->session->mechanism, sizeof c->session->mechanism, "%s", l->name);
		return PH_OK;
	}
	ph__error_copy(err, &why);
	return why.code != PH_OK ? why.code : PH_EAUTH;
}

static enum ph_code
may_log_in(struct ph_client *c, struct ph_error *err)
{
	struct ph__policy policy;
	struct ph__wish wish;
	enum ph_code rc;

	if ((rc = ph_client_ehlo_or_helo_if_needed(c, err)) != PH_OK)
		return rc;
	wish = ph__client_wish(c);
	wish.has_user = true;
	policy = ph__policy_of(&wish);
	rc = ph__may_authenticate(&policy, &wish, c->drive->tls_up, c->drive->facts.verified, err);
	if (rc != PH_OK)
		return rc;
	c->opening.policy = policy;
	c->session->policy = policy.name;
	return PH_OK;
}

enum ph_code
ph_client_login(struct ph_client *c, const struct ph_credentials *credentials,
                const struct ph_reply **ret, struct ph_error *err)
{
	struct ph__credentials copy = { .user = NULL };
	const struct ph__credentials *used = &c->credentials;
	struct ph_error why = PH_ERROR_INIT;
	struct ph__login l;
	enum ph__step step;
	enum ph_code rc;

	if (credentials == NULL && !c->has_credentials)
		return ph__fail(err, PH_EUSAGE, PH_STAGE_AUTH, PH_CAUSE_ARGUMENT,
		                "there are no credentials to log in with");
	if ((rc = may_log_in(c, err)) != PH_OK)
		return rc;
	if (credentials != NULL) {
		if ((rc = ph__credentials_copy(&copy, credentials, &c->mem, err)) != PH_OK)
			return rc;
		used = &copy;
	}
	step = ph__login_begin(&l, c->drive->smtp, used, c->client_certificate, &c->mem, &why);
	if (step == PH__STEP_FAILED) {
		ph__login_end(&l);
		ph__error_copy(err, &why);
		rc = why.code != PH_OK ? why.code : PH_EAUTH;
	} else {
		rc = run_login(c, &l, step, ret, err);
	}
	ph__credentials_done(&copy, &c->mem);
	return rc;
}

enum ph_code
ph_client_auth(struct ph_client *c, const struct ph_mechanism *mechanism,
               const struct ph_reply **ret, struct ph_error *err)
{
	struct ph_error why = PH_ERROR_INIT;
	struct ph__login l;
	enum ph__step step;
	enum ph_code rc;

	if ((rc = may_log_in(c, err)) != PH_OK)
		return rc;
	step = ph__login_begin_with(&l, c->drive->smtp, mechanism, &c->mem, &why);
	if (step != PH__STEP_FAILED)
		return run_login(c, &l, step, ret, err);
	ph__login_end(&l);
	ph__error_copy(err, &why);
	return why.code != PH_OK ? why.code : PH_EAUTH;
}

/* ---- a message, step by step ----------------------------------------------------------------- */

static enum ph_code
path_command(struct ph_client *c, const char *verb, const char *keyword, const char *address,
             const char *parameters, const struct ph_reply **ret, struct ph_error *err)
{
	struct ph_str a = ph__str(address);
	struct ph__buf line;
	bool utf8 = false;
	enum ph_code rc = PH_OK;

	if (c->drive == NULL)
		return not_connected(err);
	if ((a.len != 0 || *verb == 'R') && (rc = ph__address_check(a, &utf8, err)) != PH_OK)
		return rc;
	if ((rc = ph_client_ehlo_or_helo_if_needed(c, err)) != PH_OK)
		return rc;
	ph__buf_init(&line, &c->mem, PH__PATH_LINE_MAX);
	ph__buf_addf(&line, "%s:<", keyword);
	ph__buf_add(&line, a.ptr, a.len);
	ph__buf_add_char(&line, '>');
	if (parameters != NULL && *parameters != '\0')
		ph__buf_addf(&line, " %s", parameters);
	if (ph__buf_ok(&line))
		rc = ph_client_docmd(c, verb, ph__buf_cstr(&line), ret, err);
	else if (line.state == PH__BUF_NOMEM)
		rc = ph__fail_nomem(err, PH_STAGE_PREPARE);
	else
		rc = ph__fail(err, PH_EINPUT, PH_STAGE_PREPARE, PH_CAUSE_LIMIT,
		              "the %s command is over %d octets", verb, PH__PATH_LINE_MAX);
	ph__buf_done(&line);
	return rc;
}

enum ph_code
ph_client_mail(struct ph_client *c, const char *reverse_path, const char *parameters,
               const struct ph_reply **ret, struct ph_error *err)
{
	return path_command(c, "MAIL", "FROM", reverse_path, parameters, ret, err);
}

enum ph_code
ph_client_rcpt(struct ph_client *c, const char *forward_path, const char *parameters,
               const struct ph_reply **ret, struct ph_error *err)
{
	return path_command(c, "RCPT", "TO", forward_path, parameters, ret, err);
}

/* The message before has come back from the session, unless replies to it are still to be read. */
static enum ph_code
clear_bare(struct ph_client *c, struct ph_error *err)
{
	struct ph_smtp_event ev = PH_SMTP_EVENT_INIT;

	while (c->bare != NULL && c->bare->phase != PH__TXN_IDLE) {
		if (c->bare->phase != PH__TXN_DONE || !ph_smtp_next_event(c->drive->smtp, &ev))
			return ph__fail(err, PH_EUSAGE, PH_STAGE_DATA, PH_CAUSE_STATE,
			                "replies to the message before have not been read");
		if (ev.type == PH_EV_TXN_DONE)
			ph__client_on_txn_done(c, &ev);
	}
	ph_txn_free(c->bare);
	c->bare = NULL;
	return PH_OK;
}

enum ph_code
ph_client_data(struct ph_client *c, struct ph_source *source, enum ph_line_ends line_ends,
               const struct ph_reply **ret, struct ph_error *err)
{
	struct ph_smtp_event ev = PH_SMTP_EVENT_INIT;
	struct ph_error why = PH_ERROR_INIT;
	enum ph_code rc;

	if (source == NULL)
		return ph__fail(err, PH_EUSAGE, PH_STAGE_PREPARE, PH_CAUSE_ARGUMENT, "no message");
	if ((rc = check_alive(c, err)) != PH_OK || (rc = clear_bare(c, err)) != PH_OK ||
	    (rc = ph__source_begin(source, err)) != PH_OK)
		return rc;
	if (ph__txn_new_bare(&c->bare, &c->mem) != PH_OK)
		return ph__fail_nomem(err, PH_STAGE_DATA);
	c->bare_job = (struct ph__job){ source, 0 };
	ph_txn_set_user(c->bare, &c->bare_job);
	if (ph_smtp_submit_body(c->drive->smtp, c->bare, line_ends) != PH_OK)
		return ph__fail(err, PH_EUSAGE, PH_STAGE_DATA, PH_CAUSE_STATE,
		                "no message can be given now: say MAIL and RCPT first");
	rc = run_until(c, PH_EV_REPLY, &ev, &why);
	if (rc == PH_OK) {
		ph__client_keep_reply(c, &ev.reply);
		return judge(c, ev.verb, ret, err);
	}
	/* what went wrong with the message says more than how the connection ended */
	ph__error_copy(err, c->bare->error.code != PH_OK && c->bare->error.code != PH_EDEFERRED
	                    ? &c->bare->error : &why);
	return c->bare->error.code != PH_OK && c->bare->error.code != PH_EDEFERRED
	       ? c->bare->error.code : rc;
}

/* ---- the small ones -------------------------------------------------------------------------- */

enum ph_code
ph_client_rset(struct ph_client *c, const struct ph_reply **ret, struct ph_error *err)
{
	return ph_client_docmd(c, "RSET", NULL, ret, err);
}

enum ph_code
ph_client_noop(struct ph_client *c, const struct ph_reply **ret, struct ph_error *err)
{
	return ph_client_docmd(c, "NOOP", NULL, ret, err);
}

enum ph_code
ph_client_help(struct ph_client *c, const char *topic, const struct ph_reply **ret,
               struct ph_error *err)
{
	return ph_client_docmd(c, "HELP", topic, ret, err);
}

enum ph_code
ph_client_vrfy(struct ph_client *c, const char *who, const struct ph_reply **ret,
               struct ph_error *err)
{
	return ph_client_docmd(c, "VRFY", who, ret, err);
}

enum ph_code
ph_client_expn(struct ph_client *c, const char *list, const struct ph_reply **ret,
               struct ph_error *err)
{
	return ph_client_docmd(c, "EXPN", list, ret, err);
}

enum ph_code
ph_client_etrn(struct ph_client *c, const char *domain, const struct ph_reply **ret,
               struct ph_error *err)
{
	return ph_client_docmd(c, "ETRN", domain, ret, err);
}

enum ph_code
ph_client_quit(struct ph_client *c, const struct ph_reply **ret, struct ph_error *err)
{
	enum ph_code rc;

	if (c->drive == NULL)
		return not_connected(err);
	if (c->active != 0)
		return ph__fail(err, PH_EUSAGE, PH_STAGE_QUIT, PH_CAUSE_STATE,
		                "messages are under way: collect them with ph_client_next() first");
	rc = ph_client_docmd(c, "QUIT", NULL, ret, err);
	ph__client_drop(c, NULL);
	return rc;
}
