/* SPDX-License-Identifier: MIT */
/* A command at a time, whichever it is: what goes out is the caller's, what comes back is waited for, judged
 * (only 2yz and 3yz go on) and heeded, as a hello, a handshake or a 354 has its effect whoever said the
 * command. The commands by their names: commands.c. Logging in: login.c. */
#include "client/private.h"

#include <string.h>

#include "base/escape.h"
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
not_connected(const struct ph_client *c, struct ph_error *err)
{
	if (c->direct != NULL)
		return ph__direct_misused(err);
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

enum ph_code
ph__client_check_alive(struct ph_client *c, struct ph_error *err)
{
	struct ph_smtp_event ev = PH_SMTP_EVENT_INIT;

	if (c->drive == NULL)
		return not_connected(c, err);
	if (!ph_smtp_is_closed(c->drive->smtp))
		return PH_OK;
	while (ph_smtp_next_event(c->drive->smtp, &ev)) {
		if (ev.type == PH_EV_TXN_DONE)
			ph__client_on_txn_done(c, &ev);
		if (ev.type == PH_EV_CLOSED)
			return lost(c, &ev, err);
	}
	ph__client_drop(c, NULL);
	return not_connected(c, err);
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

/* NOOP, VRFY, EXPN, HELP … have no stage of their own, and what is known of refused EHLO is not about
 * them. */
static bool
has_stage(const char *verb)
{
	return stage_of(verb) != PH_STAGE_HELLO || strcmp(verb, "EHLO") == 0 ||
	       strcmp(verb, "HELO") == 0 || strcmp(verb, "LHLO") == 0;
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
	if (has_stage(verb))
		ph__client_hint(c, &why);
	ph__error_copy(err, &why);
	return code;
}

/* What EHLO said and that we are logged in counts no more (RFC 3207 §4.2; a 220 to XCLIENT). */
static void
begin_anew(struct ph_client *c)
{
	c->ehlo.code = 0;
	c->opened = c->logged_in = false;
	c->session->mechanism[0] = '\0';
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
	begin_anew(c);
	if ((rc = ph__check_peer(&c->opening.policy, &c->drive->facts, &why)) != PH_OK) {
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
	if (ev->reply.code == 220 && strcmp(ev->verb, "XCLIENT") == 0)
		begin_anew(c);
	if (ev->reply.code == 220 && strcmp(ev->verb, "STARTTLS") == 0)
		return shake_hands(c, err);
	return rc;
}

static enum ph_code
await_reply(struct ph_client *c, const struct ph_reply **ret, struct ph_error *err)
{
	struct ph_smtp_event ev = PH_SMTP_EVENT_INIT;
	enum ph_code rc = run_until(c, PH_EV_REPLY, &ev, err);
	const char *verb;

	if (rc != PH_OK)
		return rc;
	if (c->unread != 0 && strcmp(ev.verb, "BODY") != 0)
		c->unread--;
	ph__client_keep_reply(c, &ev.reply);
	verb = c->awaits_message && *ev.verb == '\0' ? "BODY" : ev.verb; /* as octets */
	return heed(c, &ev, judge(c, verb, ret, err), err);
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
	return ph__client_check_alive(c, err);
}

enum ph_code
ph_client_putcmd(struct ph_client *c, const char *verb, const char *arguments, struct ph_error *err)
{
	enum ph_code rc;

	if ((rc = ph__client_check_alive(c, err)) != PH_OK ||
	    (rc = check_no_message(c, err)) != PH_OK ||
	    (rc = ph_smtp_command(c->drive->smtp, verb, arguments, err)) != PH_OK)
		return rc;
	c->unread++;
	return push_out(c, err);
}

enum ph_code
ph_client_getreply(struct ph_client *c, const struct ph_reply **ret, struct ph_error *err)
{
	enum ph_code rc = ph__client_check_alive(c, err);

	if (rc != PH_OK)
		return rc;
	if (ph_smtp_is_idle(c->drive->smtp) && ph_smtp_expect(c->drive->smtp) != PH_OK)
		return nothing_to_come(err);
	return await_reply(c, ret, err);
}

enum ph_code
ph_client_send(struct ph_client *c, const void *octets, size_t n, struct ph_error *err)
{
	enum ph_code rc = ph__client_check_alive(c, err);
	const char *p = octets;

	if (rc != PH_OK)
		return rc;
	do { /* in pieces, as the session copies them */
		size_t piece = n < PH__SEND_PIECE ? n : PH__SEND_PIECE;

		rc = ph_smtp_raw(c->drive->smtp, p, piece);
		if (rc == PH_ESYSTEM)
			return ph__fail_nomem(err, PH_STAGE_PREPARE);
		if (rc != PH_OK)
			return ph__fail(err, PH_EUSAGE, PH_STAGE_PREPARE, PH_CAUSE_STATE,
			                "nothing can be sent by hand now");
		rc = push_out(c, err);
		p += piece;
		n -= piece;
	} while (rc == PH_OK && n != 0);
	return rc;
}

enum ph_code
ph_client_docmd(struct ph_client *c, const char *verb, const char *arguments,
                const struct ph_reply **ret, struct ph_error *err)
{
	enum ph_code rc;

	if ((rc = ph__client_check_alive(c, err)) != PH_OK ||
	    (rc = ph__client_check_read(c, err)) != PH_OK ||
	    (rc = ph_smtp_command(c->drive->smtp, verb, arguments, err)) != PH_OK)
		return rc;
	return await_reply(c, ret, err);
}

/* ---- STARTTLS -------------------------------------------------------------------------------- */

enum ph_code
ph__client_under_tls(struct ph_error *err)
{
	return ph__fail(err, PH_EUSAGE, PH_STAGE_STARTTLS, PH_CAUSE_STATE,
	                "the connection is under TLS already");
}

static enum ph_code
may_start_tls(struct ph_client *c, struct ph_error *err)
{
	enum ph_code rc = ph_client_ehlo_or_helo_if_needed(c, err);

	if (rc != PH_OK)
		return rc;
	if (c->drive->tls_up)
		return ph__client_under_tls(err);
	if (!ph__drive_can_tls(c->drive))
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

/* ---- a message ------------------------------------------------------------------------------- */

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
	if ((rc = ph__client_check_alive(c, err)) != PH_OK || (rc = clear_bare(c, err)) != PH_OK ||
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
	if (c->bare->error.code != PH_OK && c->bare->error.code != PH_EDEFERRED)
		why = c->bare->error; /* says more than how the connection ended */
	ph__error_copy(err, &why);
	return why.code;
}

/* ---- the end --------------------------------------------------------------------------------- */

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

	if (c->direct != NULL)
		return ph__direct_quit(c, err);
	if (c->drive == NULL)
		return not_connected(c, err);
	if (c->active != 0)
		return ph__fail(err, PH_EUSAGE, PH_STAGE_QUIT, PH_CAUSE_STATE,
		                "messages are under way: collect them with ph_client_next() first");
	if ((rc = ph__client_check_alive(c, err)) != PH_OK || (rc = check_no_message(c, err)) != PH_OK)
		return rc;
	if ((rc = ph_smtp_command(c->drive->smtp, "QUIT", NULL, err)) == PH_OK)
		rc = await_last_reply(c, ret, err);
	ph__client_drop(c, NULL);
	return rc;
}
