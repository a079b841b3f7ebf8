/* SPDX-License-Identifier: MIT */
/* Commands given by hand, and AUTH. The one writer of what a caller dictates: a control character is
 * an error, never stripped (ph_smtp_raw() is the door that checks nothing, and says so). What is
 * secret is hidden from the transcript here, and its copies are wiped when they have gone. */
#include "smtp/session.h"

#include <stdio.h>

#include "base/base64.h"

/* ---- commands by hand ------------------------------------------------------------------------ */

static enum ph_code
not_now(const struct ph_smtp *s, struct ph_error *err)
{
	if (s->phase == PH__CLOSED)
		return ph__fail(err, PH_EUSAGE, PH_STAGE_PREPARE, PH_CAUSE_STATE,
		                "the connection is closed");
	return ph__fail(err, PH_EUSAGE, PH_STAGE_PREPARE, PH_CAUSE_STATE,
	                "no command can be given now: %s",
	                s->phase == PH__TLS ? "the TLS handshake is under way"
	                                    : "a message or the greeting is under way");
}

/* Not while a message, the greeting or TLS is under way; nor behind a STARTTLS, where the command
 * would go out in clear. */
static bool
can_command(const struct ph_smtp *s)
{
	const struct ph__flight *f = ph__session_newest(s);

	if (f != NULL && f->verb == PH__V_STARTTLS)
		return false;
	return s->phase != PH__CLOSED && s->phase != PH__TLS && s->phase != PH__GREETING &&
	       s->cur == NULL && !s->winding;
}

/* A line by hand that is no verb, behind a 334 or put ahead of it: a response, whatever it says. Verbs
 * are verbs there, too: none is the base64 of anything readable as we write it, and a STARTTLS that was
 * not seen would leave the link in clear. */
static bool
answers_challenge(const struct ph_smtp *s)
{
	const struct ph__flight *f = ph__session_newest(s);

	return s->hide_next || (f != NULL && (f->verb == PH__V_AUTH || f->verb == PH__V_AUTH_STEP));
}

/* AUTH's arguments but for the mechanism, and whatever answers a challenge, are secret. */
static void
trace_command(struct ph_smtp *s, enum ph__verb v, struct ph_str verb, struct ph_str args, bool spaced)
{
	struct ph_str first = args;
	char line[PH__PATH_LINE_MAX + 64];

	if (!s->opts.trace)
		return;
	if ((s->hide_next || v == PH__V_AUTH_STEP) && !s->opts.show_secrets &&
	    !ph__str_eq(verb, ph__str("*"))) {
		ph__trace(s, '>', false, ph__str("[hidden]"));
		return;
	}
	while (first.len != 0 && v == PH__V_AUTH && !s->opts.show_secrets &&
	       memchr(first.ptr, ' ', first.len) != NULL)
		first.len--;
	snprintf(line, sizeof line, "%.*s%s%.*s%s", (int)verb.len, verb.ptr, spaced ? " " : "",
	         (int)first.len, first.ptr, first.len != args.len ? " [hidden]" : "");
	ph__trace(s, '>', false, ph__str(line));
}

/* To know it again if the server sends it back: what answers a challenge, and AUTH's arguments
 * behind the mechanism. */
static bool
keep_secret(struct ph_smtp *s, enum ph__verb v, struct ph_str verb, struct ph_str args)
{
	const char *space;
	struct ph_str secret = v != PH__V_AUTH ? verb : (struct ph_str){ NULL, 0 };

	while (args.len != 0 && args.ptr[args.len - 1] == ' ')
		args.len--;
	space = args.len != 0 ? memrchr(args.ptr, ' ', args.len) : NULL;
	if (space != NULL)
		secret = (struct ph_str){ space + 1, (size_t)(args.ptr + args.len - space) - 1 };
	if (secret.len < PH__SECRET_MIN)
		return true;
	ph__buf_done(&s->auth_sent);
	s->auth_sent.secret = true;
	return ph__buf_add(&s->auth_sent, secret.ptr, secret.len);
}

static bool
put_command(struct ph_smtp *s, enum ph__verb v, struct ph_str verb, struct ph_str args, bool spaced)
{
	bool secret = v == PH__V_AUTH || v == PH__V_AUTH_STEP || s->hide_next;
	bool ok = !secret || keep_secret(s, v, verb, args);

	if (secret)
		s->out.copies.secret = true;
	ok = ok && ph__outq_copy(&s->out, verb.ptr, verb.len);
	if (spaced)
		ok = ok && ph__outq_copy(&s->out, " ", 1) && ph__outq_copy(&s->out, args.ptr, args.len);
	ok = ok && ph__outq_copy(&s->out, "\r\n", 2) && ph__session_push(s, v, NULL, 0, false);
	s->mails += v == PH__V_MAIL;
	if (!ok)
		ph__end_nomem(s);
	return ok;
}

/* "AUTH PLAIN …" given as one word is AUTH all the same: understood as such, and hidden. True: a space
 * follows the verb, with or without something behind it. */
static bool
split_verb(struct ph_str *name, struct ph_str *args)
{
	const char *space = args->len == 0 && name->len != 0 ? memchr(name->ptr, ' ', name->len) : NULL;

	if (space == NULL)
		return args->len != 0;
	*args = (struct ph_str){ space + 1, (size_t)(name->ptr + name->len - space) - 1 };
	name->len -= args->len + 1;
	return true;
}

/* The verb's words and the arguments as one line, to be taken apart as such. */
static enum ph_code
joined(struct ph_smtp *s, struct ph_str name, struct ph_str args, struct ph_error *err)
{
	struct ph__buf line;
	enum ph_code rc;

	ph__buf_init(&line, &s->mem, PH__AUTH_LINE_MAX);
	line.secret = true;
	ph__buf_add(&line, name.ptr, name.len);
	ph__buf_add_char(&line, ' ');
	ph__buf_add(&line, args.ptr, args.len);
	if (ph__buf_ok(&line))
		rc = ph_smtp_command(s, ph__buf_cstr(&line), NULL, err);
	else if (line.state == PH__BUF_NOMEM)
		rc = ph__fail_nomem(err, PH_STAGE_PREPARE);
	else
		rc = ph__fail(err, PH_EINPUT, PH_STAGE_PREPARE, PH_CAUSE_LIMIT,
		              "the command is over %d octets", PH__AUTH_LINE_MAX);
	ph__buf_done(&line);
	return rc;
}

enum ph_code
ph_smtp_command(struct ph_smtp *s, const char *verb, const char *arguments, struct ph_error *err)
{
	struct ph_str name = ph__str(verb), args = ph__str(arguments);
	enum ph__verb v;
	bool spaced;
	size_t max;

	if (name.len != 0 && args.len != 0 && memchr(name.ptr, ' ', name.len) != NULL)
		return joined(s, name, args, err);

	spaced = split_verb(&name, &args);
	v = ph__verb_of(name);
	if (v == PH__V_RAW && answers_challenge(s))
		v = PH__V_AUTH_STEP;
	max = v == PH__V_AUTH || v == PH__V_AUTH_STEP || v == PH__V_RAW ? PH__AUTH_LINE_MAX
	                                                                : PH__PATH_LINE_MAX;
	if (ph__str_has_control(name) || ph__str_has_control(args))
		return ph__fail(err, PH_EINPUT, PH_STAGE_PREPARE, PH_CAUSE_ARGUMENT,
		                "a command with a control character in it would be two commands");
	if (name.len == 0 ? args.len != 0 : *name.ptr == ' ')
		return ph__fail(err, PH_EINPUT, PH_STAGE_PREPARE, PH_CAUSE_ARGUMENT,
		                "a command begins with its verb, not with a space");
	if (name.len + args.len + 3 > max)
		return ph__fail(err, PH_EINPUT, PH_STAGE_PREPARE, PH_CAUSE_LIMIT,
		                "the command is over %zu octets", max);
	if (!can_command(s))
		return not_now(s, err);
	if (v == PH__V_STARTTLS && s->tls) /* RFC 3207 §4.2: and a server that says 220 all the same? */
		return ph__fail(err, PH_EUSAGE, PH_STAGE_STARTTLS, PH_CAUSE_STATE,
		                "the connection is under TLS already");
	if (v == PH__V_AUTH || v == PH__V_AUTH_STEP)
		s->auth_by_mechanism = false;
	trace_command(s, v, name, args, spaced);
	if (!put_command(s, v, name, args, spaced))
		return ph__fail_nomem(err, PH_STAGE_PREPARE);
	return PH_OK;
}

/* A response, or AUTH with one, that goes out as octets. What is longer than a line of AUTH is none. */
static bool
keep_raw_secret(struct ph_smtp *s, struct ph_str line)
{
	struct ph_str verb;
	enum ph__verb v;

	while (line.len != 0 && (line.ptr[line.len - 1] == '\n' || line.ptr[line.len - 1] == '\r'))
		line.len--;
	if (line.len > PH__AUTH_LINE_MAX)
		return true;
	if (s->hide_next)
		return keep_secret(s, PH__V_AUTH_STEP, line, (struct ph_str){ NULL, 0 });
	verb = ph__str_word(&line);
	v = ph__verb_of(verb);
	return v != PH__V_AUTH || keep_secret(s, v, verb, line);
}

enum ph_code
ph_smtp_raw(struct ph_smtp *s, const void *octets, size_t n)
{
	if (!can_command(s) && s->phase != PH__GREETING)
		return PH_EUSAGE;
	s->raw = true;
	ph__tracef(s, '>', "[%zu octets by hand]", n);
	if (!keep_raw_secret(s, (struct ph_str){ octets, n }) || !ph__outq_copy(&s->out, octets, n)) {
		ph__end_nomem(s);
		return PH_ESYSTEM;
	}
	return PH_OK;
}

enum ph_code
ph_smtp_expect(struct ph_smtp *s)
{
	if (!can_command(s))
		return PH_EUSAGE;
	if (!ph__session_push(s, PH__V_RAW, NULL, 0, false)) {
		ph__end_nomem(s);
		return PH_ESYSTEM;
	}
	return PH_OK;
}

/* ---- AUTH ------------------------------------------------------------------------------------ */

static bool
put_base64(struct ph_smtp *s, const void *p, size_t n)
{
	struct ph__buf b;
	bool ok;

	ph__buf_init(&b, &s->mem, 4 * PH__AUTH_LINE_MAX);
	b.secret = true;
	ok = ph__base64_encode(&b, p, n, false) && ph__outq_copy_secret(&s->out, b.p, b.len);
	if (n >= PH__SECRET_MIN) { /* to know it again if the server sends it back */
		ph__buf_done(&s->auth_sent);
		s->auth_sent = b;
	} else {
		ph__buf_done(&b);
	}
	return ok;
}

/* A line that ends in a secret: it is in the transcript where the options want that. */
static void
trace_secret(struct ph_smtp *s, const char *before, const void *p, size_t n)
{
	struct ph__buf line;

	ph__buf_init(&line, &s->mem, 4 * PH__AUTH_LINE_MAX);
	line.secret = true;
	ph__buf_add_str(&line, before);
	if (!s->opts.show_secrets)
		ph__buf_add_str(&line, "[hidden]");
	else if (n == 0)
		ph__buf_add_str(&line, *before != '\0' ? "=" : "");
	else
		ph__base64_encode(&line, p, n, false);
	ph__trace(s, '>', false, ph__buf_str(&line));
	ph__buf_done(&line);
}

/* "AUTH mechanism" with the initial response, if any: "=" stands for an empty one (RFC 4954 §4). */
static bool
put_auth(struct ph_smtp *s, struct ph_str mechanism, const void *initial, size_t len)
{
	bool ok = ph__outq_copy(&s->out, "AUTH ", 5) &&
	          ph__outq_copy(&s->out, mechanism.ptr, mechanism.len);

	if (initial != NULL)
		ok = ok && ph__outq_copy(&s->out, " ", 1) &&
		     (len == 0 ? ph__outq_copy(&s->out, "=", 1) : put_base64(s, initial, len));
	return ok && ph__outq_copy(&s->out, "\r\n", 2) &&
	       ph__session_push(s, PH__V_AUTH, NULL, 0, false);
}

enum ph_code
ph_smtp_auth(struct ph_smtp *s, const char *mechanism, const void *initial, size_t len,
             struct ph_error *err)
{
	struct ph_str name = ph__str(mechanism);
	size_t line = 5 + name.len + 1 + (len + 2) / 3 * 4 + 2;
	bool keep = initial != NULL && line > PH__COMMAND_LINE_MAX;
	char before[80];

	if (ph__str_has_control(name) || name.len == 0 || name.len > 64 ||
	    memchr(name.ptr, ' ', name.len) != NULL)
		return ph__fail(err, PH_EINPUT, PH_STAGE_AUTH, PH_CAUSE_ARGUMENT,
		                "a mechanism's name is one word");
	if (len > PH__AUTH_RESPONSE_MAX)
		return ph__fail(err, PH_EINPUT, PH_STAGE_AUTH, PH_CAUSE_LIMIT,
		                "the credentials are over %d octets", PH__AUTH_RESPONSE_MAX);
	if (!can_command(s))
		return not_now(s, err);
	s->auth_rounds = 0;
	s->auth_by_mechanism = true;
	s->hide_next = false;
	ph__buf_done(&s->auth_initial);
	if (keep && !ph__buf_add(&s->auth_initial, initial, len))
		return ph__fail_nomem(err, PH_STAGE_AUTH);
	snprintf(before, sizeof before, "AUTH %s ", mechanism);
	if (initial != NULL && !keep)
		trace_secret(s, before, initial, len);
	else
		ph__tracef(s, '>', "AUTH %s", mechanism);
	if (!put_auth(s, name, keep ? NULL : initial, len)) {
		ph__end_nomem(s);
		return ph__fail_nomem(err, PH_STAGE_AUTH);
	}
	return PH_OK;
}

enum ph_code
ph_smtp_auth_respond(struct ph_smtp *s, const void *response, size_t len, struct ph_error *err)
{
	if (!can_command(s))
		return not_now(s, err);
	if (len > PH__AUTH_RESPONSE_MAX)
		return ph__fail(err, PH_EINPUT, PH_STAGE_AUTH, PH_CAUSE_LIMIT,
		                "the response is over %d octets", PH__AUTH_RESPONSE_MAX);
	trace_secret(s, "", response, len);
	if ((len != 0 && !put_base64(s, response, len)) || !ph__outq_copy(&s->out, "\r\n", 2) ||
	    !ph__session_push(s, PH__V_AUTH_STEP, NULL, 0, false)) {
		ph__end_nomem(s);
		return ph__fail_nomem(err, PH_STAGE_AUTH);
	}
	return PH_OK;
}

enum ph_code
ph_smtp_auth_cancel(struct ph_smtp *s)
{
	if (!can_command(s))
		return PH_EUSAGE;
	ph__trace(s, '>', false, ph__str("*"));
	if (!ph__outq_copy(&s->out, "*\r\n", 3) ||
	    !ph__session_push(s, PH__V_AUTH_STEP, NULL, 0, false)) {
		ph__end_nomem(s);
		return PH_ESYSTEM;
	}
	return PH_OK;
}
