/* SPDX-License-Identifier: MIT */
/* Logging in. See login.h and RFC 4954. A mechanism that the server refuses as such (504, 534, 538)
 * makes room for the next; a refused password ends it: a second guess with the same password tells
 * nothing and may lock the account.
 *
 * Channel binding (RFC 5802 §6). Where the server offers a -PLUS and the connection can be bound,
 * the login is bound or there is none: whoever sits in the middle cannot forge the binding, but he
 * can answer 504 to it. So nothing unbound follows a bound attempt, and a server that offered it
 * and does not any more is refused. A server that never showed it is told "y": we could have; if it
 * did offer it and somebody struck that out, it will notice. Who names an unbound mechanism has his
 * will ("n").
 *
 * A 2yz counts only when the mechanism is content: a SCRAM server that has not shown its signature
 * may be anybody (RFC 5802 §5, "v"). That is `security`, not `auth`: it is the server that
 * failed. */
#include "drive/login.h"

#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/str.h"
#include "route/verdict.h"
#include "smtp/session.h"

/* A caller's mechanism need not say why; the code it returned is what the login returns. */
static void
gave_up(const struct ph__login *l, enum ph_code rc, struct ph_error *why)
{
	if (why->code == PH_OK)
		ph__fail(why, rc, PH_STAGE_AUTH, PH_CAUSE_MECHANISM, "the mechanism %s gave up", l->name);
	why->code = rc;
}

/* ---- the link -------------------------------------------------------------------------------- */

struct ph__sasl_link
ph__login_link(const struct ph__drive *d, const struct ph__server *server)
{
	const struct ph_tls_facts *f = &d->facts;
	const char *host = d->tls_up && f->verified && f->peer_name[0] != '\0' ? f->peer_name
	                                                                       : server->host;
	struct ph__sasl_link link = {
		.service = server->lmtp ? "lmtp" : "smtp",
		.host = host != NULL ? host : "",
		.port = server->port,
	};

	if (d->tls_up && f->exporter_len != 0 && f->exporter_len <= sizeof f->exporter) {
		link.exporter = f->exporter;
		link.exporter_len = f->exporter_len;
	}
	if (d->tls_up && f->unique_len != 0 && f->unique_len <= sizeof f->unique) {
		link.unique = f->unique;
		link.unique_len = f->unique_len;
	}
	return link;
}

static bool
has_binding(const struct ph__sasl_link *link)
{
	return link->exporter_len != 0 || link->unique_len != 0;
}

static bool
offers_plus(const struct ph_smtp *smtp)
{
	return ph_smtp_offers_mechanism(smtp, "SCRAM-SHA-256-PLUS") ||
	       ph_smtp_offers_mechanism(smtp, "SCRAM-SHA-1-PLUS");
}

bool
ph__login_can_bind(const struct ph_smtp *smtp, const struct ph__sasl_link *link)
{
	return has_binding(link) && offers_plus(smtp);
}

/* As the exchange is to see it: without bindings where the server offers -PLUS and it is not
 * used. */
static struct ph__sasl_link
link_for(const struct ph__login *l, const char *mechanism)
{
	struct ph__sasl_link link = l->o.link;

	if (!ph__sasl_is_plus(mechanism) && offers_plus(l->o.smtp)) {
		link.exporter = link.unique = NULL;
		link.exporter_len = link.unique_len = 0;
	}
	return link;
}

static bool
wants_binding(const struct ph__login *l)
{
	const char *name;
	char buf[32];

	for (size_t i = 0; (name = ph__sasl_candidate(l->o.credentials, l->o.client_certificate, i,
	                                              buf)) != NULL; i++)
		if (ph__sasl_is_plus(name) && ph__sasl_lacks(l->o.credentials, name) == NULL)
			return true;
	return false;
}

static enum ph__step
refuse_downgrade(struct ph_error *err)
{
	ph__fail(err, PH_ESECURITY, PH_STAGE_AUTH, PH_CAUSE_DOWNGRADE,
	         "the server offered a login that is bound to the TLS connection before, and does not "
	         "any more: somebody may stand between, so no password is sent");
	ph__hint(err, "if the server was changed, start anew; to do without the binding, name a "
	              "mechanism: --auth SCRAM-SHA-256");
	return PH__STEP_FAILED;
}

/* ---- choosing -------------------------------------------------------------------------------- */

static enum ph__step
start_exchange(struct ph__login *l, struct ph_error *err)
{
	struct ph_error why = PH_ERROR_INIT;
	const void *initial = NULL;
	size_t len = 0;
	enum ph_code rc;

	l->cancelled = false;
	snprintf(l->name, sizeof l->name, "%s", l->mechanism->name);
	rc = l->mechanism->step(l->mechanism->user, NULL, 0, &initial, &len, &why);
	if (rc != PH_OK)
		gave_up(l, rc, &why);
	else
		rc = ph_smtp_auth(l->o.smtp, l->mechanism->name, initial, len, &why);
	if (rc == PH_OK)
		return PH__STEP_GOING;
	ph__error_copy(err, &why);
	return PH__STEP_FAILED;
}

/* Why nothing fits: said in terms of what the server offers and what we were given. */
static enum ph__step
none_fits(struct ph__login *l, struct ph_error *err)
{
	const char *offered = "", *named = l->o.credentials->mechanisms;

	if (l->error.code != PH_OK) { /* one was tried and refused as such, or could not be */
		ph__error_copy(err, &l->error);
		return PH__STEP_FAILED;
	}
	if (!ph_smtp_has_extension(l->o.smtp, "AUTH", &offered)) {
		ph__fail(err, PH_EAUTH, PH_STAGE_AUTH, PH_CAUSE_NOT_OFFERED,
		         "the server does not offer AUTH here, so there is no way to log in");
		ph__hint(err, "most providers offer it on submission:// (587) or smtps:// (465), and "
		              "only under TLS");
		return PH__STEP_FAILED;
	}
	ph__fail(err, PH_EAUTH, PH_STAGE_AUTH, PH_CAUSE_NOT_OFFERED,
	         "no mechanism fits: the server offers \"%.200s\"%s%.100s", offered,
	         named != NULL ? ", we may use only " : "", named != NULL ? named : "");
	ph__hint(err, named != NULL ? "name one that the server offers with --auth"
	                            : "give a password, or name a mechanism with --auth");
	return PH__STEP_FAILED;
}

/* Whether it can be used at all; if not, why, for when nothing else is left. */
static bool
is_usable(struct ph__login *l, const char *name)
{
	const char *lacks = ph__sasl_lacks(l->o.credentials, name);

	if (!ph_smtp_offers_mechanism(l->o.smtp, name))
		return false;
	if (lacks != NULL)
		ph__fail(&l->error, PH_EAUTH, PH_STAGE_AUTH, PH_CAUSE_MECHANISM, "%s %s", name, lacks);
	else if (ph__sasl_is_plus(name) && !has_binding(&l->o.link))
		ph__fail(&l->error, PH_EAUTH, PH_STAGE_AUTH, PH_CAUSE_MECHANISM,
		         "%s binds the login to the connection, and this one has nothing to bind to "
		         "(TLS 1.3, or TLS 1.2 with an extended master secret, has)", name);
	else
		return true;
	return false;
}

/* A mechanism's library may be missing where nobody asked for the mechanism by name: the next
 * does. */
static bool
pass_over(struct ph__login *l, const struct ph_error *why)
{
	char line[sizeof why->text + 32];

	if (l->o.credentials->mechanisms != NULL || why->cause != PH_CAUSE_MODULE)
		return false;
	snprintf(line, sizeof line, "SCRAM is passed over: %s", why->text);
	if (l->error.cause != PH_CAUSE_MODULE) /* once */
		ph__trace(l->o.smtp, '*', false, ph__str(line));
	ph__error_copy(&l->error, why);
	return true;
}

/* GONE_ON: nothing was sent, the next may do. */
enum attempt { UNDER_WAY, GONE_ON, GIVEN_UP };

static enum attempt
attempt(struct ph__login *l, const char *name, struct ph_error *err)
{
	struct ph_error why = PH_ERROR_INIT;

	ph__sasl_end(&l->sasl);
	l->link = link_for(l, name);
	if (ph__sasl_begin(&l->sasl, name, l->o.credentials, &l->link, l->o.mem, &why) == PH_OK) {
		l->mechanism = &l->sasl.table;
		if (start_exchange(l, &why) == PH__STEP_GOING) {
			l->bound |= ph__sasl_is_plus(name);
			return UNDER_WAY;
		}
	} else if (pass_over(l, &why)) {
		return GONE_ON;
	}
	if (why.code == PH_EAUTH) { /* no Kerberos ticket */
		ph__error_copy(&l->error, &why);
		return GONE_ON;
	}
	ph__error_copy(err, &why);
	return GIVEN_UP;
}

/* The server has refused the binding that it offers: what is left would be without one. */
static enum ph__step
refuse_unbound(struct ph__login *l, struct ph_error *err)
{
	ph__error_copy(err, &l->error);
	ph__hint(err, "it offers a login that is bound to the TLS connection and refuses it, as it "
	              "would with somebody in between; to do without the binding: --auth SCRAM-SHA-256");
	return PH__STEP_FAILED;
}

static enum ph__step
try_next(struct ph__login *l, struct ph_error *err)
{
	char buf[32];
	const char *name;

	while ((name = ph__sasl_candidate(l->o.credentials, l->o.client_certificate, l->candidate++,
	                                  buf)) != NULL) {
		if (!is_usable(l, name))
			continue;
		if (l->bound && !ph__sasl_is_plus(name))
			return refuse_unbound(l, err);
		switch (attempt(l, name, err)) {
		case UNDER_WAY:
			return PH__STEP_GOING;
		case GONE_ON:
			continue;
		case GIVEN_UP:
			return PH__STEP_FAILED;
		}
	}
	return none_fits(l, err);
}

enum ph__step
ph__login_begin(struct ph__login *l, const struct ph__login_opts *o, struct ph_error *err)
{
	*l = (struct ph__login){ .o = *o, .error = PH_ERROR_INIT };
	if (o->binding_was_offered && !ph__login_can_bind(o->smtp, &o->link) && wants_binding(l) &&
	    ph__sasl_module(NULL) != NULL)
		return refuse_downgrade(err);
	return try_next(l, err);
}

enum ph__step
ph__login_begin_with(struct ph__login *l, struct ph_smtp *smtp, const struct ph_mechanism *m,
                     const struct ph_allocator *mem, struct ph_error *err)
{
	*l = (struct ph__login){ .o = { .smtp = smtp, .mem = mem }, .mechanism = m,
	                         .error = PH_ERROR_INIT };
	return start_exchange(l, err);
}

/* ---- an exchange ----------------------------------------------------------------------------- */

static enum ph__step
answer_challenge(struct ph__login *l, const struct ph_smtp_event *ev)
{
	struct ph_error why = PH_ERROR_INIT;
	const void *response = NULL;
	size_t len = 0;
	enum ph_code rc;

	if (l->cancelled) { /* it goes on all the same: the mechanism does not */
		(void)ph_smtp_auth_cancel(l->o.smtp);
		return PH__STEP_GOING;
	}
	if (ev->challenge == NULL)
		rc = ph__fail(&why, PH_EPROTOCOL, PH_STAGE_AUTH, PH_CAUSE_MECHANISM,
		              "the server's challenge is not base64");
	else
		rc = l->mechanism->step(l->mechanism->user, ev->challenge, ev->challenge_len, &response,
		                        &len, &why);
	if (rc == PH_OK && response == NULL)
		rc = ph__fail(&why, PH_EUSAGE, PH_STAGE_AUTH, PH_CAUSE_MECHANISM,
		              "the mechanism %s has no answer to the server's challenge", l->name);
	if (rc == PH_OK)
		rc = ph_smtp_auth_respond(l->o.smtp, response, len, &why);
	if (rc != PH_OK) {
		gave_up(l, rc, &why);
		ph__error_copy(&l->error, &why);
		l->cancelled = true;
		(void)ph_smtp_auth_cancel(l->o.smtp);
	}
	return PH__STEP_GOING;
}

static enum ph__step
believe(const struct ph__login *l, const struct ph_reply *r, struct ph_error *err)
{
	if (l->mechanism != &l->sasl.table || l->sasl.content)
		return PH__STEP_DONE;
	ph__fail(err, PH_ESECURITY, PH_STAGE_AUTH, PH_CAUSE_MECHANISM,
	         "the server said %u before the exchange by %s was over, and so has not proved that it "
	         "knows the password: it may not be the one it says it is", r->code, l->name);
	return PH__STEP_FAILED;
}

static void
explain_refusal(struct ph__login *l, const struct ph_reply *r)
{
	ph__verdict_session(PH_STAGE_AUTH, r, &l->error);
	if (l->mechanism == &l->sasl.table && l->sasl.problem[0] != '\0')
		ph__more(&l->error, "; it says %s", l->sasl.problem);
	if (r->code == 535 && l->mechanism == &l->sasl.table && l->sasl.by_token)
		ph__hint(&l->error, "access tokens last an hour or so: get a new one, for this user, with the "
		                    "scope that the provider wants for SMTP");
}

static enum ph__step
take_verdict(struct ph__login *l, const struct ph_reply *r, struct ph_error *err)
{
	if (l->cancelled) { /* whatever it answers to the "*" */
		ph__error_copy(err, &l->error);
		return PH__STEP_FAILED;
	}
	if (r->code >= 200 && r->code < 300)
		return believe(l, r, err);
	explain_refusal(l, r);
	if (l->o.credentials != NULL && ph__sasl_may_try_next(r->code))
		return try_next(l, err);
	ph__error_copy(err, &l->error);
	return PH__STEP_FAILED;
}

enum ph__step
ph__login_event(struct ph__login *l, const struct ph_smtp_event *ev, struct ph_error *err)
{
	if (ev->type == PH_EV_AUTH_CHALLENGE)
		return answer_challenge(l, ev);
	if (ev->type == PH_EV_REPLY)
		return take_verdict(l, &ev->reply, err);
	if (ev->type == PH_EV_CLOSED) {
		ph__error_copy(err, l->cancelled ? &l->error : ev->error);
		return PH__STEP_FAILED;
	}
	return PH__STEP_GOING;
}

void
ph__login_end(struct ph__login *l)
{
	ph__sasl_end(&l->sasl);
}
