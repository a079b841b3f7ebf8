/* SPDX-License-Identifier: MIT */
/* Verdicts. See verdict.h, and posthaste/error.h for the classes.
 *
 * The first digit decides between later and never; the enhanced code (RFC 3463) tells what it is
 * about. A 552 to RCPT was "too many recipients" in RFC 821 and still is for some servers. */
#include "route/verdict.h"

#include "base/error.h"
#include "base/escape.h"

static bool
is_enhanced(const struct ph_reply *r, unsigned class_, unsigned subject, unsigned detail)
{
	return r->enhanced[0] == class_ && r->enhanced[1] == subject && r->enhanced[2] == detail;
}

static bool
is_unknown_user(const struct ph_reply *r)
{
	return is_enhanced(r, 5, 1, 1) || is_enhanced(r, 5, 1, 3) || is_enhanced(r, 5, 1, 6);
}

static bool
is_unknown_host(const struct ph_reply *r)
{
	return is_enhanced(r, 5, 1, 2) || is_enhanced(r, 5, 1, 10);
}

static bool
means_too_many(const struct ph_reply *r, bool any_accepted)
{
	bool plain = r->enhanced[0] == 0;
	bool limit = r->enhanced[1] == 5 && r->enhanced[2] == 3;

	return any_accepted && (r->code == 552 || r->code == 452) && (plain || limit);
}

void
ph__verdict_recipient(struct ph_recipient_outcome *r, bool any_accepted, bool could_have_tls)
{
	if (r->outcome != PH_REFUSED || r->reply.code == 0)
		return;
	if (r->stage == PH_STAGE_RCPT && means_too_many(&r->reply, any_accepted)) {
		r->outcome = PH_DEFERRED;
		r->code = PH_EDEFERRED;
	} else if (r->stage == PH_STAGE_RCPT && is_unknown_user(&r->reply)) {
		r->code = PH_ENOUSER;
	} else if (is_unknown_host(&r->reply)) {
		r->code = PH_ENOHOST;
	} else if (r->reply.code == 530 && r->stage != PH_STAGE_BODY) {
		/* RFC 4954 §6, RFC 3207 §4: log in, or use TLS, first; the message is as good as before */
		r->outcome = PH_DEFERRED;
		r->code = could_have_tls ? PH_ESECURITY : PH_EAUTH;
	}
}

static size_t
count(const struct ph_recipient_outcome *const *r, size_t n, enum ph_outcome outcome)
{
	size_t k = 0;

	for (size_t i = 0; i < n; i++)
		k += r[i]->outcome == outcome;
	return k;
}

enum ph_outcome
ph__verdict_outcome(const struct ph_recipient_outcome *const *r, size_t n)
{
	if (count(r, n, PH_ACCEPTED) == n)
		return PH_ACCEPTED;
	if (count(r, n, PH_IN_DOUBT) != 0)
		return PH_IN_DOUBT;
	if (count(r, n, PH_ACCEPTED) != 0)
		return PH_PARTIAL;
	return count(r, n, PH_REFUSED) == n ? PH_REFUSED : PH_DEFERRED;
}

/* The class that all recipients of one outcome share; without one, what is plainest. */
static enum ph_code
common_class(const struct ph_recipient_outcome *const *r, size_t n, enum ph_outcome outcome,
             enum ph_code plain)
{
	enum ph_code code = PH_OK;

	for (size_t i = 0; i < n; i++) {
		if (r[i]->outcome != outcome)
			continue;
		if (code != PH_OK && code != r[i]->code)
			return plain;
		code = r[i]->code;
	}
	return code != PH_OK ? code : plain;
}

enum ph_code
ph__verdict_class(const struct ph_recipient_outcome *const *r, size_t n, enum ph_outcome outcome)
{
	switch (outcome) {
	case PH_ACCEPTED:
		return PH_OK;
	case PH_IN_DOUBT:
		return PH_EINDOUBT;
	case PH_PARTIAL:
		return PH_EPARTIAL;
	case PH_REFUSED:
		return common_class(r, n, PH_REFUSED, PH_EREFUSED);
	default:
		return common_class(r, n, PH_DEFERRED, PH_EDEFERRED);
	}
}

int
ph__verdict_exit_status(const struct ph_recipient_outcome *const *r, size_t n, enum ph_code code,
                        bool no_dup)
{
	if (code == PH_EPARTIAL)
		return ph_code_exit_status(count(r, n, PH_REFUSED) != 0 ? PH_EREFUSED : PH_EDEFERRED);
	if (code == PH_EINDOUBT && no_dup)
		return 74; /* EX_IOERR: do not try again */
	return ph_code_exit_status(code);
}

/* Another server cannot make up for what we lack ourselves, nor would a caller who cancelled want it
 * asked. A system error while connecting is one of that address: a family this machine lacks. */
static bool
is_ours(const struct ph_recipient_outcome *o)
{
	switch (o->code) {
	case PH_ESYSTEM:
		return o->stage != PH_STAGE_CONNECT || o->cause == PH_CAUSE_MEMORY;
	case PH_EUSAGE:
	case PH_EINPUT:
	case PH_ENOINPUT:
	case PH_ECONFIG:
	case PH_ECANCELLED:
		return true;
	default:
		return o->cause == PH_CAUSE_SOURCE || o->cause == PH_CAUSE_CANCELLED;
	}
}

/* A refusal before MAIL is the server's, not the recipient's; one that is ours, without a reply, is
 * about what this server offers (5.3.4, 5.6.3, 5.6.7, 5.7.30). */
static enum ph__next
next_of_refused(const struct ph_recipient_outcome *o)
{
	if (is_ours(o))
		return PH__NEXT_NONE;
	if (o->stage < PH_STAGE_MAIL)
		return PH__NEXT_ADDRESS;
	return o->reply.code == 0 ? PH__NEXT_HOST : PH__NEXT_NONE;
}

enum ph__next
ph__verdict_next(const struct ph_recipient_outcome *o)
{
	switch (o->outcome) {
	case PH_PENDING: /* nobody was asked yet */
		return PH__NEXT_ADDRESS;
	case PH_DEFERRED:
		return is_ours(o) ? PH__NEXT_LATER : PH__NEXT_ADDRESS;
	case PH_REFUSED:
		return next_of_refused(o);
	default:
		return PH__NEXT_NONE;
	}
}

enum ph_code
ph__verdict_session(enum ph_stage stage, const struct ph_reply *reply, struct ph_error *err)
{
	static const char *const what[PH_STAGE_COUNT] = {
		[PH_STAGE_GREETING] = "the server does not want to talk to us",
		[PH_STAGE_HELLO] = "the server refused our EHLO",
		[PH_STAGE_STARTTLS] = "the server refused STARTTLS",
		[PH_STAGE_AUTH] = "the server refused the login",
	};
	static const char *const astray[PH_STAGE_COUNT] = {
		[PH_STAGE_GREETING] = "the server's greeting",
		[PH_STAGE_HELLO] = "the server's answer to EHLO",
		[PH_STAGE_STARTTLS] = "the server's answer to STARTTLS",
		[PH_STAGE_AUTH] = "the server's answer to the login",
	};
	enum ph_code code = reply->code >= 500 ? PH_EREFUSED : PH_EDEFERRED;
	bool is_astray = reply->code >= 200 && reply->code < 400;
	const char *subject = is_astray ? astray[stage] : what[stage];
	char quoted[PH__QUOTE_SIZE];

	if (is_astray)
		code = PH_EPROTOCOL;
	else if (stage == PH_STAGE_AUTH && reply->code >= 500)
		code = PH_EAUTH;
	else if (stage == PH_STAGE_STARTTLS && reply->code >= 500)
		code = PH_ESECURITY;
	ph__fail(err, code, stage, PH_CAUSE_REPLY, "%s%s: %u %s",
	         subject != NULL ? subject : "the server refused",
	         is_astray ? " means nothing there" : "", reply->code,
	         ph__quote(quoted, (struct ph_str){ reply->text, reply->len }));
	if (err != NULL && err->size >= sizeof *err) {
		err->reply = reply->code;
		memcpy(err->enhanced, reply->enhanced, sizeof err->enhanced);
	}
	return code;
}
