/* SPDX-License-Identifier: MIT */
/* Logging in. See login.h and RFC 4954. A mechanism that the server
 * refuses as such (504, 534, 538) makes room for the next; a refused password ends it: a second guess
 * with the same password tells nothing and may lock the account. */
#include "drive/login.h"

#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/str.h"
#include "route/verdict.h"

/* A caller's mechanism need not say why; the code it returned is what the login returns. */
static void
gave_up(const struct ph__login *l, enum ph_code rc, struct ph_error *why)
{
	if (why->code == PH_OK)
		ph__fail(why, rc, PH_STAGE_AUTH, PH_CAUSE_MECHANISM, "the mechanism %s gave up", l->name);
	why->code = rc;
}

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
		rc = ph_smtp_auth(l->smtp, l->mechanism->name, initial, len, &why);
	if (rc == PH_OK)
		return PH__STEP_GOING;
	ph__error_copy(err, &why);
	return PH__STEP_FAILED;
}

/* Why nothing fits: said in terms of what the server offers and what we were given. */
static enum ph__step
none_fits(struct ph__login *l, struct ph_error *err)
{
	const char *offered = "", *named = l->credentials->mechanisms;

	if (l->error.code != PH_OK) { /* one was tried, and refused as such */
		ph__error_copy(err, &l->error);
		return PH__STEP_FAILED;
	}
	if (!ph_smtp_has_extension(l->smtp, "AUTH", &offered)) {
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

static enum ph__step
try_next(struct ph__login *l, struct ph_error *err)
{
	char buf[32];
	const char *name;

	while ((name = ph__sasl_candidate(l->credentials, l->client_certificate, l->candidate++,
	                                  buf)) != NULL) {
		if (!ph_smtp_offers_mechanism(l->smtp, name))
			continue;
		ph__sasl_end(&l->sasl);
		if (!ph__sasl_begin(&l->sasl, name, l->credentials, l->mem))
			continue;
		l->mechanism = &l->sasl.table;
		return start_exchange(l, err);
	}
	return none_fits(l, err);
}

enum ph__step
ph__login_begin(struct ph__login *l, struct ph_smtp *smtp, const struct ph__credentials *c,
                bool client_certificate, const struct ph_allocator *mem, struct ph_error *err)
{
	*l = (struct ph__login){ .smtp = smtp, .mem = mem, .credentials = c,
	                         .client_certificate = client_certificate,
	                         .error = PH_ERROR_INIT };
	l->sasl.mem = mem;
	return try_next(l, err);
}

enum ph__step
ph__login_begin_with(struct ph__login *l, struct ph_smtp *smtp, const struct ph_mechanism *m,
                     const struct ph_allocator *mem, struct ph_error *err)
{
	*l = (struct ph__login){ .smtp = smtp, .mem = mem, .mechanism = m, .error = PH_ERROR_INIT };
	l->sasl.mem = mem;
	return start_exchange(l, err);
}

static enum ph__step
answer_challenge(struct ph__login *l, const struct ph_smtp_event *ev)
{
	struct ph_error why = PH_ERROR_INIT;
	const void *response = NULL;
	size_t len = 0;
	enum ph_code rc;

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
		rc = ph_smtp_auth_respond(l->smtp, response, len, &why);
	if (rc != PH_OK) {
		gave_up(l, rc, &why);
		ph__error_copy(&l->error, &why);
		l->cancelled = true;
		(void)ph_smtp_auth_cancel(l->smtp);
	}
	return PH__STEP_GOING;
}

static enum ph__step
take_verdict(struct ph__login *l, const struct ph_reply *r, struct ph_error *err)
{
	if (l->cancelled) { /* whatever it answers to the "*" */
		ph__error_copy(err, &l->error);
		return PH__STEP_FAILED;
	}
	if (r->code >= 200 && r->code < 300)
		return PH__STEP_DONE;
	ph__verdict_session(PH_STAGE_AUTH, r, &l->error);
	if (r->code == 535)
		ph__hint(&l->error, "check user name and password; many providers want an app password "
		                    "or authorization code instead of the one for their web page");
	if (l->credentials != NULL && ph__sasl_may_try_next(r->code))
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
	if (l->sasl.mem != NULL)
		ph__sasl_end(&l->sasl);
}
