/* SPDX-License-Identifier: MIT */
/* The dialogue of a probe. See probe_flow.h, and probe_step.h on what a stage is; those of a message are
 * in probe_mail.c. What a refusal means is swaks': the status of the stage, with QUIT said if there is
 * still somebody to say it to; a lost connection is 6. */
#include "cli/probe_step.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/error.h"

/* ---- how it ends ----------------------------------------------------------------------------- */

static bool
refuse(struct ph__probe *p, int status)
{
	p->status = status;
	return false;
}

bool
ph__step_refuse_by_reply(struct ph__probe *p, int status)
{
	p->by_reply = true;
	return refuse(p, status);
}

bool
ph__step_was_refused(const struct ph__probe *p)
{
	return p->by_reply && p->status != 0;
}

void
ph__step_note_reply(struct ph__probe *p, const struct ph_reply *r, const struct ph_error *err)
{
	p->asked = p->log.stage;
	p->last = *r;
	p->last.text = NULL;
	p->refusal = (struct ph_error)PH_ERROR_INIT;
	if (err != NULL && err->cause == PH_CAUSE_REPLY)
		ph__error_copy(&p->refusal, err);
}

static bool
is_lost(const struct ph_error *err)
{
	return err->cause == PH_CAUSE_LOST || err->cause == PH_CAUSE_STATE;
}

bool
ph__step_fail(struct ph__probe *p, const struct ph_error *err)
{
	ph__error_copy(&p->error, err);
	if (err->code == PH_ECANCELLED) {
		ph__log_problem(&p->log, "Interrupted.");
		return refuse(p, PH__PROBE_CANCELLED);
	}
	if (is_lost(err)) {
		ph__log_problem(&p->log, "Remote host closed connection unexpectedly.");
		return refuse(p, PH__PROBE_LOST);
	}
	ph__log_error(&p->log, "", err);
	if (err->code == PH_EINPUT || err->code == PH_EUSAGE)
		return refuse(p, PH__PROBE_USAGE);
	return refuse(p, ph__probe_stage_status(p->log.stage));
}

/* What a command came to: PH_OK, or a refusal that the transcript shows already, or no reply. */
static bool
judge(struct ph__probe *p, enum ph_code rc, const struct ph_reply *r, const struct ph_error *err)
{
	if (r == NULL)
		return ph__step_fail(p, err);
	ph__step_note_reply(p, r, err);
	return rc == PH_OK || ph__step_refuse_by_reply(p, ph__probe_stage_status(p->log.stage));
}

bool
ph__step_drop(struct ph__probe *p)
{
	ph__log_info(&p->log, "Dropping connection");
	ph_client_close(p->client);
	return refuse(p, 0);
}

bool
ph__step_is_parting(const struct ph__probe *p)
{
	return p->o->drop_sent == p->log.stage;
}

bool
ph__step_say(struct ph__probe *p, const char *verb, const char *arguments)
{
	struct ph_error err = PH_ERROR_INIT;
	const struct ph_reply *r = NULL;
	enum ph_code rc;

	if (ph__step_is_parting(p)) {
		rc = ph_client_putcmd(p->client, verb, arguments, &err);
		return rc == PH_OK ? ph__step_drop(p) : ph__step_fail(p, &err);
	}
	rc = ph_client_docmd(p->client, verb, arguments, &r, &err);
	return judge(p, rc, r, &err);
}

/* ---- connecting ------------------------------------------------------------------------------ */

static bool
connect_failed(struct ph__probe *p, const struct ph_error *err)
{
	char what[300];

	if (err->stage >= PH_STAGE_GREETING)
		ph__log_connected(&p->log);
	if (err->code == PH_ECANCELLED)
		return ph__step_fail(p, err);
	if (err->stage == PH_STAGE_TLS) {
		ph__error_copy(&p->error, err);
		ph__log_error(&p->log, "TLS startup failed: ", err);
		return refuse(p, ph__probe_stage_status(PH__PROBE_TLS));
	}
	if (err->stage >= PH_STAGE_GREETING)
		return ph__step_fail(p, err);
	ph__error_copy(&p->error, err);
	snprintf(what, sizeof what, "Error connecting to %s: ", p->log.peer);
	ph__log_error(&p->log, what, err);
	return refuse(p, ph__probe_stage_status(PH__PROBE_CONNECT));
}

static bool
run_greeting(struct ph__probe *p)
{
	struct ph_error err = PH_ERROR_INIT;
	const struct ph_reply *r = NULL;
	enum ph_code rc;

	ph__log_info(&p->log, "Trying %s...", p->log.peer);
	p->log.own_words = true;
	rc = ph_client_connect(p->client, &r, &err);
	p->log.own_words = false;
	if (r == NULL && rc != PH_OK)
		return connect_failed(p, &err);
	ph__log_connected(&p->log);
	ph__step_note_reply(p, r, &err);
	if (rc == PH_OK && r->code == 220)
		return true;
	return ph__step_refuse_by_reply(p, ph__probe_stage_status(PH__PROBE_GREETING));
}

/* ---- hello ----------------------------------------------------------------------------------- */

static bool
hello(struct ph__probe *p, int status)
{
	const char *name = ph_client_helo_name(p->client);
	const char *verb = p->o->helo_only ? "HELO" : p->o->lmtp ? "LHLO" : "EHLO";
	struct ph_error err = PH_ERROR_INIT;

	enum ph__link link = ph_client_tls_facts(p->client) != NULL ? PH__UNDER_TLS : PH__IN_CLEAR;

	if (ph__step_say(p, verb, name))
		return ph__capabilities_take(&p->capabilities, link, ph_client_ehlo_reply(p->client),
		                             &err) == PH_OK || ph__step_fail(p, &err);
	if (!ph__step_was_refused(p))
		return false;
	if (p->o->helo_only || p->o->lmtp) /* RFC 2033 §4.1: no HELO there */
		return ph__step_refuse_by_reply(p, status);
	p->status = 0;
	if (ph__step_say(p, "HELO", name))
		return true;
	return ph__step_was_refused(p) && ph__step_refuse_by_reply(p, status);
}

static bool
run_ehlo(struct ph__probe *p)
{
	return hello(p, ph__probe_stage_status(PH__PROBE_EHLO));
}

static bool
run_helo(struct ph__probe *p)
{
	if (ph_client_ehlo_reply(p->client) != NULL) /* that of the first is still good */
		return true;
	return hello(p, ph__probe_stage_status(PH__PROBE_HELO));
}

/* ---- TLS ------------------------------------------------------------------------------------- */

static bool
not_offered(struct ph__probe *p, const char *what, bool demanded, int status)
{
	ph__log_problem(&p->log, "Host did not advertise %s", what);
	return demanded ? refuse(p, status) : true;
}

/* A handshake that failed leaves nothing to go on with; a refusal may. */
static bool
tls_failed(struct ph__probe *p, const struct ph_reply *r, const struct ph_error *err)
{
	bool by_reply = r != NULL && r->code != 220;

	if (r == NULL)
		return ph__step_fail(p, err);
	ph__step_note_reply(p, r, err);
	if (err->code == PH_ECANCELLED)
		return ph__step_fail(p, err);
	if (!by_reply) {
		ph__error_copy(&p->error, err);
		ph__log_error(&p->log, "TLS startup failed: ", err);
	}
	ph__log_problem(&p->log, "STARTTLS attempted but failed");
	if (by_reply && p->o->tls == PH__PROBE_TLS_TRY)
		return true;
	p->by_reply = by_reply;
	ph_client_close(p->client); /* as swaks does: what promises TLS and fails is in no known state */
	return refuse(p, ph__probe_stage_status(PH__PROBE_TLS));
}

static bool
start_tls(struct ph__probe *p)
{
	struct ph_error err = PH_ERROR_INIT;
	const struct ph_reply *r = NULL;
	enum ph_code rc;

	if (!ph_client_has_extn(p->client, "STARTTLS", NULL))
		return not_offered(p, "STARTTLS", p->o->tls == PH__PROBE_TLS_DEMANDED,
		                   ph__probe_stage_status(PH__PROBE_TLS));
	if (ph__step_is_parting(p))
		return ph__step_say(p, "STARTTLS", NULL);
	p->log.own_words = true;
	rc = ph_client_starttls(p->client, &r, &err);
	p->log.own_words = false;
	if (rc != PH_OK)
		return tls_failed(p, r, &err);
	ph__step_note_reply(p, r, NULL);
	ph__log_connected(&p->log);
	return true;
}

static bool
run_tls(struct ph__probe *p)
{
	struct ph_error err = PH_ERROR_INIT;

	if (p->o->tls != PH__PROBE_TLS_NONE && p->o->tls != PH__PROBE_TLS_IMPLICIT && !start_tls(p))
		return false;
	return ph__tls_report_take(&p->tls, p->client, &err) == PH_OK || ph__step_fail(p, &err);
}

/* ---- XCLIENT and XFORWARD -------------------------------------------------------------------- */

static bool
attributes(struct ph__probe *p, const char *verb, const struct ph__option_list *list,
           enum ph_code (*command)(struct ph_client *, const char *const *, const struct ph_reply **,
                                   struct ph_error *))
{
	const char **items = ph__arena_alloc(&p->log.arena, (list->count + 1) * sizeof *items);
	struct ph_error err = PH_ERROR_INIT;
	const struct ph_reply *r = NULL;
	enum ph_code rc;

	if (items == NULL) {
		ph__fail_nomem(&err, PH_STAGE_PREPARE);
		return ph__step_fail(p, &err);
	}
	for (size_t i = 0; i < list->count; i++)
		items[i] = list->items[i];
	items[list->count] = NULL;
	if (!ph_client_has_extn(p->client, verb, NULL))
		return not_offered(p, verb, true, ph__probe_stage_status(PH__PROBE_XCLIENT));
	rc = command(p->client, items, &r, &err);
	if (rc == PH_EREFUSED && r == NULL) { /* an attribute that is not offered: nothing was said */
		ph__log_error(&p->log, "", &err);
		return refuse(p, ph__probe_stage_status(PH__PROBE_XCLIENT));
	}
	if (judge(p, rc, r, &err))
		return true;
	if (p->error.code == PH_OK)
		ph__log_problem(&p->log, "%s attempted but failed", verb);
	return false;
}

static bool
run_xclient(struct ph__probe *p)
{
	if (p->o->xclient.count == 0)
		return true;
	return attributes(p, "XCLIENT", &p->o->xclient, ph_client_xclient) &&
	       hello(p, PH__PROBE_XCLIENT_HELO);
}

static bool
run_xforward(struct ph__probe *p)
{
	return p->o->xforward.count == 0 ||
	       attributes(p, "XFORWARD", &p->o->xforward, ph_client_xforward);
}

/* ---- login ----------------------------------------------------------------------------------- */

/* The first mechanism of the list, or of what is offered. */
static bool
part_with_auth(struct ph__probe *p, const char *offered)
{
	struct ph_str list = ph__str(p->o->link.mechanisms != NULL ? p->o->link.mechanisms : offered);
	char name[64];

	for (size_t i = 0; i < list.len; i++)
		if (list.ptr[i] == ',' || list.ptr[i] == ' ')
			list.len = i;
	snprintf(name, sizeof name, "%.*s", (int)(list.len < 63 ? list.len : 63), list.ptr);
	return ph__step_say(p, "AUTH", name);
}

static bool
login_failed(struct ph__probe *p, const struct ph_reply *r, const struct ph_error *err)
{
	bool lost = !ph_client_is_connected(p->client);

	if (err->code == PH_ECANCELLED || (r == NULL && is_lost(err)))
		return ph__step_fail(p, err);
	if (r != NULL)
		ph__step_note_reply(p, r, err);
	if (err->cause == PH_CAUSE_REPLY)
		ph__log_problem(&p->log, "No authentication type succeeded");
	else
		ph__log_error(&p->log, "", err);
	if (!lost && p->o->auth == PH__PROBE_AUTH_TRY)
		return true;
	p->by_reply = err->cause == PH_CAUSE_REPLY;
	if (!p->by_reply)
		ph__error_copy(&p->error, err);
	return refuse(p, ph__probe_stage_status(PH__PROBE_AUTH));
}

static bool
run_auth(struct ph__probe *p)
{
	struct ph_error err = PH_ERROR_INIT;
	const struct ph_reply *r = NULL;
	const char *offered = "";
	enum ph_code rc;

	if (p->o->auth == PH__PROBE_AUTH_NONE)
		return true;
	if (!ph_client_has_extn(p->client, "AUTH", &offered))
		return not_offered(p, "authentication", p->o->auth == PH__PROBE_AUTH_DEMANDED,
		                   ph__probe_stage_status(PH__PROBE_AUTH));
	if (ph__step_is_parting(p))
		return part_with_auth(p, offered);
	rc = ph_client_login(p->client, NULL, &r, &err);
	if (rc != PH_OK)
		return login_failed(p, r, &err);
	if (r != NULL)
		ph__step_note_reply(p, r, NULL);
	return true;
}

/* ---- questions ------------------------------------------------------------------------------- */

static bool
run_question(struct ph__probe *p)
{
	const struct ph__probe_options *o = p->o;

	if (o->verify != NULL)
		return ph__step_say(p, "VRFY", o->verify);
	if (o->expand != NULL)
		return ph__step_say(p, "EXPN", o->expand);
	if (o->server_help != NULL)
		return ph__step_say(p, "HELP", *o->server_help != '\0' ? o->server_help : NULL);
	return true;
}

/* ---- the whole ------------------------------------------------------------------------------- */

struct step {
	enum ph__probe_stage stage;
	bool (*run)(struct ph__probe *p);
};

#define STEPS_MAX 16

/* In which order things are done. */
static size_t
make_plan(const struct ph__probe_options *o, struct step steps[STEPS_MAX])
{
	const struct step xclient = { PH__PROBE_XCLIENT, run_xclient };
	size_t n = 0;

	steps[n++] = (struct step){ PH__PROBE_GREETING, run_greeting };
	steps[n++] = (struct step){ PH__PROBE_EHLO, run_ehlo };
	if (o->xclient_before_tls)
		steps[n++] = xclient;
	steps[n++] = (struct step){ PH__PROBE_TLS, run_tls };
	steps[n++] = (struct step){ PH__PROBE_HELO, run_helo };
	if (!o->xclient_before_tls)
		steps[n++] = xclient;
	steps[n++] = (struct step){ PH__PROBE_AUTH, run_auth };
	steps[n++] = (struct step){ PH__PROBE_XCLIENT, run_xforward };
	steps[n++] = (struct step){ PH__PROBE_QUESTION, run_question };
	steps[n++] = (struct step){ PH__PROBE_MAIL, ph__step_mail };
	steps[n++] = (struct step){ PH__PROBE_RCPT, ph__step_rcpt };
	steps[n++] = (struct step){ PH__PROBE_DATA, ph__step_data };
	steps[n++] = (struct step){ PH__PROBE_BODY, ph__step_body };
	return n;
}

/* Whether to go on behind a stage that went well. */
static bool
goes_on(struct ph__probe *p, enum ph__probe_stage stage)
{
	if (p->o->drop == stage || p->o->drop_sent == stage)
		return ph__step_drop(p);
	return p->o->quit != stage && p->o->last != stage;
}

static void
run_steps(struct ph__probe *p)
{
	struct step steps[STEPS_MAX];
	size_t count = make_plan(p->o, steps);
	bool on = true;

	for (size_t i = 0; i < count && on; i++) {
		enum ph__probe_stage stage = steps[i].stage;
		size_t said = p->log.count;
		uint64_t began = ph__now_us();

		p->log.stage = stage;
		on = steps[i].run(p);
		if (p->log.count != said) {
			p->took_us[stage] += ph__now_us() - began;
			p->reached = stage;
		}
		on = on && goes_on(p, stage);
	}
	if (p->log.connected_us != 0 && p->took_us[PH__PROBE_GREETING] > p->log.connected_us) {
		p->took_us[PH__PROBE_CONNECT] = p->log.connected_us;
		p->took_us[PH__PROBE_GREETING] -= p->log.connected_us;
	}
}

/* ---- raw mode -------------------------------------------------------------------------------- */

static void
raw_said(void *user, const char *mark, struct ph_str text)
{
	ph__log_said(user, mark, text);
}

static void
raw_tls_began(void *user)
{
	ph__log_connected(user);
}

static void
run_raw(struct ph__probe *p)
{
	struct ph__raw_opts opts = {
		.fd = STDIN_FILENO, .terminal = stdout, .lmtp = p->o->lmtp, .say = raw_said, .user = &p->log,
		.sending = &p->log.hushed, .typed = &p->log.typed, .tls_began = raw_tls_began,
	};
	struct ph_error err = PH_ERROR_INIT;
	enum ph_code rc;

	p->log.stage = PH__PROBE_QUESTION;
	p->log.own_words = true;
	rc = ph__raw_run(p->client, &opts, &p->raw, &err);
	p->log.own_words = false;
	if (p->raw.last.code != 0) {
		p->asked = PH__PROBE_QUESTION;
		p->last = p->raw.last;
	}
	if (rc == PH_OK)
		return;
	ph__error_copy(&p->error, &err);
	p->status = rc == PH_ECANCELLED ? PH__PROBE_CANCELLED
	          : rc == PH_EINPUT || rc == PH_ENOINPUT || rc == PH_EUSAGE ? PH__PROBE_USAGE
	          : rc == PH_ESECURITY ? ph__probe_stage_status(PH__PROBE_TLS) : PH__PROBE_LOST;
}

/* ---- the end --------------------------------------------------------------------------------- */

static void
say_quit(struct ph__probe *p)
{
	struct ph_error err = PH_ERROR_INIT;
	const struct ph_reply *r = NULL;
	bool was_good = p->status == 0 && p->o->expect == NULL;
	uint64_t began = ph__now_us();

	p->log.stage = PH__PROBE_QUIT;
	ph_client_quit(p->client, &r, &err);
	p->took_us[PH__PROBE_QUIT] = ph__now_us() - began;
	if (r == NULL && is_lost(&err))
		ph__log_problem(&p->log, "Remote host closed connection unexpectedly.");
	else if (r == NULL)
		ph__log_error(&p->log, "", &err);
	if (was_good && r == NULL)
		p->status = is_lost(&err) ? PH__PROBE_LOST : err.code == PH_ECANCELLED ? PH__PROBE_CANCELLED
		          : ph__probe_stage_status(PH__PROBE_QUIT);
	else if (was_good && r->code != 221)
		p->status = ph__probe_stage_status(PH__PROBE_QUIT);
	if (r != NULL)
		ph__log_info(&p->log, "Connection closed with remote host.");
}

/* A refusal that nobody expected says what to do, as every other problem does. Of many runs no reply is
 * shown. */
static void
advise(struct ph__probe *p)
{
	if (p->o->expect != NULL || !ph__step_was_refused(p) || p->refusal.code == PH_OK)
		return;
	if (p->o->repeat.given)
		ph__log_error(&p->log, "", &p->refusal);
	else if (p->refusal.hint[0] != '\0')
		ph__log_problem(&p->log, "Hint: %s", p->refusal.hint);
}

static void
apply_expect(struct ph__probe *p)
{
	if (p->o->expect == NULL || (p->status != 0 && !p->by_reply))
		return;
	if (ph__probe_expect_met(p->o->expect, &p->last)) {
		p->status = 0;
		return;
	}
	ph__log_problem(&p->log, "Expected was %s, and the reply was %u", p->o->expect, p->last.code);
	p->status = ph__probe_stage_status(p->asked);
}

/* A report of TLS is asked for by people who want to see what is wrong; who demanded that nothing is
 * finds it in the status, too. */
static void
enforce(struct ph__probe *p)
{
	const struct ph_tls_facts *f = &p->tls.facts;

	if (p->o->tls_report && p->o->enforce && p->status == 0 && p->tls.under_tls && !f->verified)
		p->status = ph__probe_stage_status(PH__PROBE_TLS);
}

/* What a second connection says is what the first one said, as far as it goes. */
static void
resume(struct ph__probe *p)
{
	ph__log_info(&p->log, "Trying %s again, to resume the TLS session...", p->log.peer);
	p->log.muted = true;
	ph__tls_report_try_resuming(&p->tls, p->client);
	p->log.muted = false;
}

int
ph__probe_run(struct ph__probe *p)
{
	bool again;

	p->status = 0;
	p->by_reply = p->in_flight = false;
	p->taken = 0;
	p->reached = p->asked = PH__PROBE_CONNECT;
	p->last = (struct ph_reply){ 0 };
	p->error = (struct ph_error)PH_ERROR_INIT;
	memset(p->took_us, 0, sizeof p->took_us);
	ph__log_begin(&p->log, p->client);
	run_steps(p);
	if (p->o->raw && p->status == 0 && ph_client_is_connected(p->client))
		run_raw(p);
	advise(p);
	apply_expect(p);
	enforce(p);
	again = p->o->tls_report && p->tls.under_tls && ph_client_is_connected(p->client);
	if (p->status == PH__PROBE_CANCELLED)
		ph_client_close(p->client);
	else if (ph_client_is_connected(p->client))
		say_quit(p);
	else if (p->by_reply || p->raw.quit) /* QUIT was said, the server said 421, or we gave up */
		ph__log_info(&p->log, "Connection closed with remote host.");
	p->total_us = ph__now_us() - p->log.began_us;
	if (again && p->status != PH__PROBE_CANCELLED)
		resume(p);
	return p->status;
}
