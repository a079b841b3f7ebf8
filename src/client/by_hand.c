/* SPDX-License-Identifier: MIT */
/* A command at a time. Each function says one thing to the server, waits for the answer, and judges
 * it: only 2yz and 3yz go on. */
#include "client/private.h"

#include <stdio.h>
#include <string.h>

#include "base/bounds.h"
#include "base/escape.h"
#include "mail/address.h"
#include "mail/encode.h"
#include "mail/source.h"
#include "route/verdict.h"
#include "smtp/session.h"

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
	ph__client_hint(c, &why);
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
	struct ph_error why = PH_ERROR_INIT;
	char quoted[PH__QUOTE_SIZE];
	enum ph_code code;

	if (ret != NULL)
		*ret = r;
	if (r->code >= 200 && r->code < 400)
		return PH_OK;
	code = r->code >= 500 ? PH_EREFUSED : PH_EDEFERRED;
	ph__fail(&why, code, stage_of(verb), PH_CAUSE_REPLY, "the server refused %s: %u %s",
	         *verb == '\0' ? "the command" : strcmp(verb, "BODY") == 0 ? "the message" : verb,
	         r->code, ph__quote(quoted, (struct ph_str){ r->text, r->len }));
	why.reply = r->code;
	memcpy(why.enhanced, r->enhanced, sizeof why.enhanced);
	ph__client_hint(c, &why);
	ph__error_copy(err, &why);
	return code;
}

/* The handshake that a 220 to STARTTLS begins. */
static enum ph_code
shake_hands(struct ph_client *c, struct ph_error *err)
{
	struct ph_smtp_event ev = PH_SMTP_EVENT_INIT;
	struct ph_error why = PH_ERROR_INIT;
	enum ph_code rc = run_until(c, PH_EV_WANT_TLS, &ev, err);

	if (rc != PH_OK)
		return rc;
	ph__client_note_event(c, &ev);
	c->ehlo.code = 0;
	c->opened = c->logged_in = false;
	c->session->mechanism[0] = '\0';
	if ((rc = ph__client_check_peer(c, &why)) != PH_OK) {
		ph__client_drop(c, &why);
		ph__error_copy(err, &why);
	}
	return rc;
}

/* What a reply means for the connection, whichever function its command was given by. */
static enum ph_code
heed(struct ph_client *c, const struct ph_smtp_event *ev, enum ph_code rc, struct ph_error *err)
{
	ph__client_note_event(c, ev);
	if (rc != PH_OK && ph__is_hello(ev->verb))
		c->opened = false;
	if (ev->reply.code == 235)
		c->logged_in = true;
	c->awaits_message = ev->reply.code == 354 && strcmp(ev->verb, "DATA") == 0;
	if (ev->reply.code == 220 && strcmp(ev->verb, "XCLIENT") == 0) {
		c->ehlo.code = 0;
		c->opened = c->logged_in = false;
		c->session->mechanism[0] = '\0';
	}
	if (ev->reply.code == 220 && strcmp(ev->verb, "STARTTLS") == 0)
		return shake_hands(c, err);
	return rc;
}

static enum ph_code
await_reply(struct ph_client *c, const struct ph_reply **ret, struct ph_error *err)
{
	struct ph_smtp_event ev = PH_SMTP_EVENT_INIT;
	enum ph_code rc = run_until(c, PH_EV_REPLY, &ev, err);

	if (rc != PH_OK)
		return rc;
	if (c->unread != 0 && strcmp(ev.verb, "BODY") != 0)
		c->unread--;
	ph__client_keep_reply(c, &ev.reply);
	return heed(c, &ev, judge(c, ev.verb, ret, err), err);
}

/* A command behind a 354 would be a line of the message. */
static enum ph_code
check_no_message(const struct ph_client *c, struct ph_error *err)
{
	if (!c->awaits_message)
		return PH_OK;
	return ph__fail(err, PH_EUSAGE, PH_STAGE_PREPARE, PH_CAUSE_STATE,
	                "the server awaits the message: ph_client_send() it and the final dot, then "
	                "ph_client_getreply()");
}

enum ph_code
ph__client_check_read(const struct ph_client *c, struct ph_error *err)
{
	bool finals = c->bare != NULL && c->bare->phase != PH__TXN_IDLE &&
	              c->bare->phase != PH__TXN_DONE; /* LMTP's */

	if (c->unread == 0 && !finals)
		return check_no_message(c, err);
	return ph__fail(err, PH_EUSAGE, PH_STAGE_PREPARE, PH_CAUSE_STATE,
	                "replies to what was sent before have not been read: ph_client_getreply()");
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

	if ((rc = check_alive(c, err)) != PH_OK || (rc = check_no_message(c, err)) != PH_OK ||
	    (rc = ph_smtp_command(c->drive->smtp, verb, arguments, err)) != PH_OK)
		return rc;
	c->unread++;
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

	if ((rc = check_alive(c, err)) != PH_OK || (rc = ph__client_check_read(c, err)) != PH_OK ||
	    (rc = ph_smtp_command(c->drive->smtp, verb, arguments, err)) != PH_OK)
		return rc;
	return await_reply(c, ret, err);
}

/* Says the command whose arguments are in the line, and frees that. */
static enum ph_code
put_line(struct ph_client *c, const char *verb, struct ph__buf *arguments,
         const struct ph_reply **ret, struct ph_error *err)
{
	enum ph_code rc;

	if (ph__buf_ok(arguments))
		rc = ph_client_docmd(c, verb, ph__buf_cstr(arguments), ret, err);
	else if (arguments->state == PH__BUF_NOMEM)
		rc = ph__fail_nomem(err, PH_STAGE_PREPARE);
	else
		rc = ph__fail(err, PH_EINPUT, PH_STAGE_PREPARE, PH_CAUSE_LIMIT,
		              "the %s command is over %zu octets", verb,
		              arguments->max + strlen(verb) + 3);
	ph__buf_done(arguments);
	return rc;
}

/* ---- hello ----------------------------------------------------------------------------------- */

static enum ph_code
say_hello(struct ph_client *c, const char *verb, const char *name, const struct ph_reply **ret,
          struct ph_error *err)
{
	if (c->drive == NULL)
		return not_connected(err);
	if (name != NULL && (*name == '\0' || strchr(name, ' ') != NULL))
		return ph__fail(err, PH_EINPUT, PH_STAGE_HELLO, PH_CAUSE_ARGUMENT,
		                "the EHLO name is empty or has a space in it");
	return ph_client_docmd(c, verb, name != NULL ? name : c->helo_name, ret, err);
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
	if (c->server.lmtp)
		return ph__fail(err, PH_EUSAGE, PH_STAGE_HELLO, PH_CAUSE_STATE,
		                "LMTP has no HELO (RFC 2033 §4.1): ph_client_ehlo() says LHLO");
	return say_hello(c, "HELO", name, ret, err);
}

enum ph_code
ph_client_ehlo_or_helo_if_needed(struct ph_client *c, struct ph_error *err)
{
	const struct ph_reply *r = NULL;
	enum ph_code rc;

	if ((rc = check_alive(c, err)) != PH_OK || ph__session_is_open(c->drive->smtp))
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
	enum ph_code rc;

	if ((rc = may_start_tls(c, err)) != PH_OK ||
	    (rc = ph_client_docmd(c, "STARTTLS", NULL, ret, err)) != PH_OK)
		return rc;
	if (c->reply.code != 220)
		return ph__verdict_session(PH_STAGE_STARTTLS, &c->reply, err);
	return PH_OK;
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
		if (step == PH__STEP_FAILED)
			ph__client_hint(c, &why);
		if (ev.type == PH_EV_CLOSED)
			ph__client_drop(c, ev.error);
	}
	ph__login_end(l);
	if (step == PH__STEP_DONE) {
		c->logged_in = true;
		snprintf(c->session->mechanism, sizeof c->session->mechanism, "%s", l->name);
		return PH_OK;
	}
	if (why.code == PH_ESECURITY) /* whoever that was, it is not spoken to any further */
		ph__client_drop(c, &why);
	ph__error_copy(err, &why);
	return why.code != PH_OK ? why.code : PH_EAUTH;
}

static enum ph_code
may_log_in(struct ph_client *c, struct ph_error *err)
{
	struct ph__policy policy;
	struct ph__wish wish;
	enum ph_code rc;

	if ((rc = ph_client_ehlo_or_helo_if_needed(c, err)) != PH_OK ||
	    (rc = ph__client_check_read(c, err)) != PH_OK)
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
	struct ph__login_opts o;
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
	o = (struct ph__login_opts){
		.smtp = c->drive->smtp, .credentials = used, .mem = &c->mem,
		.client_certificate = c->client_certificate, .link = ph__login_link(c->drive, &c->server),
		.binding_was_offered = c->binding_offered[c->attached],
	};
	step = ph__login_begin(&l, &o, &why);
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

/* RFC 5321 §3.2, §4.1.1.11: parameters are EHLO's. RFC 6531 §3.2: so are addresses beyond ASCII. */
static enum ph_code
may_say(const struct ph_client *c, const char *verb, bool utf8, const char *parameters,
        struct ph_error *err)
{
	if (parameters != NULL && *parameters != '\0' && !ph_smtp_is_esmtp(c->drive->smtp))
		return ph__fail(err, PH_EREFUSED, PH_STAGE_PREPARE, PH_CAUSE_NOT_OFFERED,
		                "the server knows HELO only, so %s can have no parameters", verb);
	if (utf8 && !ph_client_has_extn(c, "SMTPUTF8", NULL))
		return ph__fail(err, PH_EREFUSED, PH_STAGE_PREPARE, PH_CAUSE_NOT_OFFERED,
		                "the address has characters beyond ASCII, and the server does not offer "
		                "SMTPUTF8 (RFC 6531)");
	return PH_OK;
}

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
	if ((a.len != 0 || *verb == 'R') && (rc = ph__address_check(a, &utf8, err)) != PH_OK) {
		if (a.len != 0 && memchr(a.ptr, '<', a.len) != NULL)
			ph__hint(err, "give the address alone, without name and angle brackets: local@domain");
		return rc;
	}
	if ((rc = ph_client_ehlo_or_helo_if_needed(c, err)) != PH_OK)
		return rc;
	if ((rc = may_say(c, verb, utf8, parameters, err)) != PH_OK)
		return rc;
	ph__buf_init(&line, &c->mem, PH__PATH_LINE_MAX - strlen(verb) - 3);
	ph__buf_addf(&line, "%s:<", keyword);
	ph__buf_add(&line, a.ptr, a.len);
	ph__buf_add_char(&line, '>');
	if (parameters != NULL && *parameters != '\0')
		ph__buf_addf(&line, " %s", parameters);
	return put_line(c, verb, &line, ret, err);
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

/* The message before, whose replies have all been read, has come back from the session. */
static enum ph_code
clear_bare(struct ph_client *c, struct ph_error *err)
{
	struct ph_smtp_event ev = PH_SMTP_EVENT_INIT;
	enum ph_code rc = ph__client_check_read(c, err);

	if (rc != PH_OK)
		return rc;
	while (c->bare != NULL && c->bare->phase != PH__TXN_IDLE &&
	       ph_smtp_next_event(c->drive->smtp, &ev))
		if (ev.type == PH_EV_TXN_DONE)
			ph__client_on_txn_done(c, &ev);
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

/* ---- Postfix's own --------------------------------------------------------------------------- */

static bool
has_word(struct ph_str words, struct ph_str word)
{
	struct ph_str w;

	while ((w = ph__str_word(&words)).len != 0)
		if (ph__str_eq_nocase(w, word))
			return true;
	return false;
}

static enum ph_code
add_attribute(struct ph__buf *line, const char *verb, const char *offered, const char *attribute,
              struct ph_error *err)
{
	struct ph_str value = ph__str(attribute), name = ph__str_cut(&value, '=');

	if (name.len == 0 || value.len == 0 || ph__str_has_control(value))
		return ph__fail(err, PH_EINPUT, PH_STAGE_PREPARE, PH_CAUSE_ARGUMENT,
		                "an attribute of %s is NAME=value, without a control character", verb);
	if (value.len > PH__XTEXT_VALUE_MAX)
		return ph__fail(err, PH_EINPUT, PH_STAGE_PREPARE, PH_CAUSE_LIMIT,
		                "the value of %.*s is over %d octets", (int)name.len, name.ptr,
		                PH__XTEXT_VALUE_MAX);
	if (!has_word(ph__str(offered), name))
		return ph__fail(err, PH_EREFUSED, PH_STAGE_PREPARE, PH_CAUSE_NOT_OFFERED,
		                "the server takes no %.*s in %s: it takes %.200s", (int)name.len, name.ptr,
		                verb, offered);
	if (line->len != 0)
		ph__buf_add_char(line, ' ');
	ph__buf_add(line, name.ptr, name.len + 1);
	ph__xtext_encode(line, value);
	return PH_OK;
}

static enum ph_code
attributes_command(struct ph_client *c, const char *verb, const char *const *attributes,
                   const struct ph_reply **ret, struct ph_error *err)
{
	const char *offered = NULL;
	struct ph__buf line;
	enum ph_code rc;

	if (attributes == NULL || attributes[0] == NULL)
		return ph__fail(err, PH_EUSAGE, PH_STAGE_PREPARE, PH_CAUSE_ARGUMENT,
		                "%s needs an attribute", verb);
	if ((rc = ph_client_ehlo_or_helo_if_needed(c, err)) != PH_OK)
		return rc;
	if (!ph_client_has_extn(c, verb, &offered))
		return ph__fail(err, PH_EREFUSED, PH_STAGE_PREPARE, PH_CAUSE_NOT_OFFERED,
		                "the server does not offer %s to us", verb);
	ph__buf_init(&line, &c->mem, PH__COMMAND_LINE_MAX - strlen(verb) - 3);
	for (size_t i = 0; attributes[i] != NULL && rc == PH_OK; i++)
		rc = add_attribute(&line, verb, offered, attributes[i], err);
	if (rc == PH_OK)
		return put_line(c, verb, &line, ret, err);
	ph__buf_done(&line);
	return rc;
}

enum ph_code
ph_client_xclient(struct ph_client *c, const char *const *attributes, const struct ph_reply **ret,
                  struct ph_error *err)
{
	return attributes_command(c, "XCLIENT", attributes, ret, err);
}

enum ph_code
ph_client_xforward(struct ph_client *c, const char *const *attributes, const struct ph_reply **ret,
                   struct ph_error *err)
{
	return attributes_command(c, "XFORWARD", attributes, ret, err);
}

/* The reply to QUIT; what was to be read before it is of no use to anybody now. */
static enum ph_code
await_last_reply(struct ph_client *c, const struct ph_reply **ret, struct ph_error *err)
{
	struct ph_smtp_event ev = PH_SMTP_EVENT_INIT;
	enum ph_code rc;

	do {
		if ((rc = run_until(c, PH_EV_REPLY, &ev, err)) != PH_OK)
			return rc;
	} while (strcmp(ev.verb, "QUIT") != 0);
	ph__client_keep_reply(c, &ev.reply);
	return judge(c, ev.verb, ret, err);
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
	if ((rc = check_alive(c, err)) != PH_OK || (rc = check_no_message(c, err)) != PH_OK)
		return rc;
	if ((rc = ph_smtp_command(c->drive->smtp, "QUIT", NULL, err)) == PH_OK)
		rc = await_last_reply(c, ret, err);
	ph__client_drop(c, NULL);
	return rc;
}
