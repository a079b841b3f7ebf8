/* SPDX-License-Identifier: MIT */
/* Logging in by hand: whether credentials may go out now, and the exchange, driven to its end. What the
 * mechanisms say is auth/'s. A server that should have proved itself and has not is left at once. */
#include "client/private.h"

#include <stdio.h>

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
	rc = ph__may_authenticate(&policy, &wish, ph_client_tls_facts(c), err);
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
