/* SPDX-License-Identifier: MIT */
/* Opening a session. See opening.h. A row of small steps, each taken when the reply to the one before
 * has come. What a link must be is decided by route/policy.c; here it is only carried out and, before
 * credentials and before the first message, asserted. */
#include "drive/opening.h"

#include "base/clock.h"
#include "base/error.h"
#include "route/verdict.h"
#include "smtp/session.h"

static enum ph__step
command(struct ph__opening *o, enum ph__opening_at at, const char *verb, const char *argument,
        struct ph_error *err)
{
	o->at = at;
	return ph_smtp_command(o->drive->smtp, verb, argument, err) == PH_OK ? PH__STEP_GOING
	                                                                     : PH__STEP_FAILED;
}

static enum ph__step
say_hello(struct ph__opening *o, struct ph_error *err)
{
	return command(o, PH__AT_EHLO, o->wish.server->lmtp ? "LHLO" : "EHLO", o->helo, err);
}

static bool
tls_is_needed(const struct ph__opening *o)
{
	return o->policy.link == PH__LINK_STARTTLS || o->policy.link == PH__LINK_IMPLICIT;
}

static enum ph__step
not_secured(const struct ph__opening *o, struct ph_error *err)
{
	ph__fail(err, PH_ESECURITY, PH_STAGE_STARTTLS, PH_CAUSE_NOT_OFFERED,
	         "the server does not offer STARTTLS, so the connection cannot be encrypted");
	if (o->wish.route != NULL)
		ph__hint(err, "nothing was sent: a server that should have TLS and has none is broken, or "
		              "somebody on the way hides it; try again later, or tell its postmaster");
	else
		ph__hint(err, "use smtps:// if the server has it; --tls=off, if the network between is yours, "
	              "sends in clear");
	return PH__STEP_FAILED;
}

static enum ph__step
log_in(struct ph__opening *o, struct ph_error *err)
{
	struct ph__drive *d = o->drive;
	struct ph__login_opts lo = {
		.smtp = d->smtp, .credentials = o->credentials, .mem = d->mem,
		.client_certificate = o->client_certificate, .link = ph__login_link(d, o->wish.server),
		.binding_was_offered = o->binding_was_offered,
	};

	if (o->credentials == NULL || o->logged_in) {
		if (ph__check_link(&o->policy, d->tls_up ? &d->facts : NULL, err) != PH_OK)
			return PH__STEP_FAILED;
		o->at = PH__AT_END;
		return PH__STEP_DONE;
	}
	if (ph__may_authenticate(&o->policy, &o->wish, d->tls_up ? &d->facts : NULL, err) != PH_OK)
		return PH__STEP_FAILED;
	o->at = PH__AT_AUTH;
	o->auth_began_us = ph__now_us();
	return ph__login_begin(&o->login, &lo, err);
}

/* The server has said what it can. */
static enum ph__step
secure(struct ph__opening *o, struct ph_error *err)
{
	bool offered = ph_smtp_has_extension(o->drive->smtp, "STARTTLS", NULL);

	if (o->drive->tls_up || o->policy.link == PH__LINK_CLEAR)
		return log_in(o, err);
	if (offered)
		return command(o, PH__AT_STARTTLS, "STARTTLS", NULL, err);
	if (tls_is_needed(o))
		return not_secured(o, err);
	return log_in(o, err);
}

/* RFC 5321 §3.2: a server that does not know EHLO is asked with HELO. It cannot offer TLS or AUTH
 * then, so not where either is needed. */
static bool
may_say_helo(const struct ph__opening *o, const struct ph_reply *r)
{
	return r->code >= 500 && r->code <= 504 && !o->wish.server->lmtp && o->credentials == NULL &&
	       (!tls_is_needed(o) || o->drive->tls_up);
}

static enum ph__step
on_hello(struct ph__opening *o, const struct ph_reply *r, struct ph_error *err)
{
	if (r->code >= 200 && r->code < 300)
		return secure(o, err);
	if (o->at == PH__AT_EHLO && may_say_helo(o, r))
		return command(o, PH__AT_HELO, "HELO", o->helo, err);
	ph__verdict_session(PH_STAGE_HELLO, r, err);
	return PH__STEP_FAILED;
}

static enum ph__step
on_starttls(struct ph__opening *o, const struct ph_reply *r, struct ph_error *err)
{
	if (r->code == 220)
		return PH__STEP_GOING; /* the handshake follows, then the session forgets */
	if (!tls_is_needed(o) && !o->policy.enforce && r->code != 421)
		return log_in(o, err); /* nothing was promised; in clear then */
	ph__verdict_session(PH_STAGE_STARTTLS, r, err);
	return PH__STEP_FAILED;
}

static enum ph__step
on_auth(struct ph__opening *o, const struct ph_smtp_event *ev, struct ph_error *err)
{
	enum ph__step step = ph__login_event(&o->login, ev, err);

	if (step == PH__STEP_GOING)
		return step;
	o->auth_us = ph__now_us() - o->auth_began_us;
	ph__login_end(&o->login);
	o->logged_in = step == PH__STEP_DONE;
	o->at = PH__AT_END;
	return step;
}

static enum ph__step
after_handshake(struct ph__opening *o, struct ph_error *err)
{
	if (ph__check_peer(&o->policy, &o->drive->facts, err) != PH_OK)
		return PH__STEP_FAILED;
	return o->at == PH__AT_GREETING ? PH__STEP_GOING : say_hello(o, err);
}

static enum ph__step
on_reply(struct ph__opening *o, const struct ph_smtp_event *ev, struct ph_error *err)
{
	const struct ph_reply *r = &ev->reply;

	switch (o->at) {
	case PH__AT_GREETING:
		if (r->code == 220)
			return say_hello(o, err);
		ph__verdict_session(PH_STAGE_GREETING, r, err);
		return PH__STEP_FAILED;
	case PH__AT_EHLO:
	case PH__AT_HELO:
		return on_hello(o, r, err);
	case PH__AT_STARTTLS:
		return on_starttls(o, r, err);
	case PH__AT_AUTH:
		return on_auth(o, ev, err);
	case PH__AT_END:
		break;
	}
	return PH__STEP_DONE;
}

enum ph__step
ph__opening_begin(struct ph__opening *o, enum ph__opening_at at, struct ph_error *err)
{
	o->at = at;
	if (at == PH__AT_GREETING)
		return PH__STEP_GOING;
	return ph__session_is_open(o->drive->smtp) ? secure(o, err) : say_hello(o, err);
}

enum ph__step
ph__opening_event(struct ph__opening *o, const struct ph_smtp_event *ev, struct ph_error *err)
{
	switch (ev->type) {
	case PH_EV_REPLY:
		return on_reply(o, ev, err);
	case PH_EV_WANT_TLS:
		return after_handshake(o, err);
	case PH_EV_AUTH_CHALLENGE:
		return on_auth(o, ev, err);
	case PH_EV_CLOSED:
		if (o->at == PH__AT_AUTH)
			return on_auth(o, ev, err);
		ph__error_copy(err, ev->error);
		if (ev->error->code == PH_OK) /* only QUIT ends in peace */
			ph__fail(err, PH_EDEFERRED, PH_STAGE_HELLO, PH_CAUSE_LOST,
			         "the server closed the connection");
		return PH__STEP_FAILED;
	default:
		return PH__STEP_GOING;
	}
}

void
ph__opening_end(struct ph__opening *o)
{
	ph__login_end(&o->login);
}
