/* SPDX-License-Identifier: MIT */
/* The delivery record. See posthaste/record.h. */
#include "drive/record.h"

#include <stdio.h>

#include "base/bounds.h"
#include "base/calendar.h"
#include "base/error.h"
#include "base/escape.h"
#include "base/json.h"
#include "route/hint.h"
#include "route/tls_result.h"
#include "route/verdict.h"
#include "smtp/txn.h"

/* ---- sessions -------------------------------------------------------------------------------- */

struct ph__session *
ph__session_new(const struct ph_allocator *mem)
{
	struct ph__session *s = ph__alloc0(mem, sizeof *s);

	if (s == NULL)
		return NULL;
	s->mem = mem;
	s->references = 1;
	s->tls_mode = "none";
	s->error.size = sizeof s->error;
	return s;
}

struct ph__session *
ph__session_ref(struct ph__session *s)
{
	s->references++;
	return s;
}

void
ph__session_unref(struct ph__session **s)
{
	struct ph__session *x = *s;

	*s = NULL;
	if (x == NULL || --x->references != 0)
		return;
	if (x->before != NULL)
		ph__session_unref(&x->before);
	ph__free(x->mem, x->route.tlsa);
	ph__free(x->mem, x->greeting);
	ph__free(x->mem, x->extensions);
	ph__free(x->mem, x);
}

void
ph__session_set_greeting(struct ph__session *s, const struct ph_reply *r)
{
	ph__free(s->mem, s->greeting);
	s->greeting = ph__strndup(s->mem, r->text, r->len);
	s->greeting_len = s->greeting != NULL ? r->len : 0;
}

void
ph__session_set_extensions(struct ph__session *s, const struct ph_smtp *smtp)
{
	const char *keyword, *parameter;
	struct ph__buf b;

	ph__buf_init(&b, s->mem, PH__REPLY_BYTES_MAX * 2);
	for (size_t i = 0; ph_smtp_extension(smtp, i, &keyword, &parameter); i++) {
		ph__buf_add(&b, keyword, strlen(keyword) + 1);
		ph__buf_add(&b, parameter, strlen(parameter) + 1);
	}
	ph__free(s->mem, s->extensions);
	s->extensions_len = b.len;
	if ((s->extensions = ph__buf_take(&b)) == NULL)
		s->extensions_len = 0;
	ph__buf_done(&b);
}

void
ph__session_set_certificate(struct ph__session *s, const struct ph_certificate *cert)
{
	s->certificate = *cert;
	s->certificate.der = NULL; /* they are lent only */
	s->certificate.der_len = s->certificate.name_count = 0;
	s->certificate.names = NULL;
}

void
ph__session_hint(const struct ph__session *s, const struct ph_reply *reply, struct ph_error *err)
{
	struct ph_str text = { "", 0 };

	if (reply != NULL && reply->code != 0)
		text = (struct ph_str){ reply->text, reply->len };
	if (s != NULL)
		ph__hint_add(err, s->host, s->port, text, s->mem);
	else
		ph__hint_add(err, NULL, 0, text, &ph__libc_memory);
}

/* ---- judging --------------------------------------------------------------------------------- */

/* In words; a 4yz is a refusal for the moment. */
static const char *
what_happened(const struct ph_recipient_outcome *o)
{
	bool never = o->reply.code >= 500;

	if (o->reply.code == 421)
		return "the server closed the connection before it took the message";
	switch (o->stage) {
	case PH_STAGE_MAIL:
		return never ? "the server does not take mail from this sender"
		             : "the server does not take mail from this sender now";
	case PH_STAGE_RCPT:
		return never ? "the server does not take mail for this recipient"
		             : "the server does not take mail for this recipient now";
	default:
		return never ? "the server did not take the message"
		             : "the server did not take the message now";
	}
}

static const struct ph__session *
session_of(const struct ph_record *r, const struct ph_recipient_outcome *o)
{
	return o->session < r->session_count ? r->sessions[o->session] : NULL;
}

/* A reply as a problem: what the recipient's server said. */
static void
error_from_reply(struct ph_record *r, const struct ph_recipient_outcome *o)
{
	const struct ph_reply *reply = &o->reply;
	const struct ph__session *s = session_of(r, o);
	bool one_of_many = s != NULL && s->route.domain[0] != '\0';
	char quoted[PH__QUOTE_SIZE];

	ph__fail(&r->error, o->code, o->stage, PH_CAUSE_REPLY, "%.120s%s%s: %u %s",
	         one_of_many ? s->host : "", one_of_many ? ": " : "", what_happened(o), reply->code,
	         ph__quote(quoted, (struct ph_str){ reply->text, reply->len }));
	r->error.reply = reply->code;
	memcpy(r->error.enhanced, reply->enhanced, sizeof r->error.enhanced);
	ph__session_hint(session_of(r, o), reply, &r->error);
	r->error.code = r->code; /* the message's; the hint is about this recipient */
}

/* The first recipient who made the message's outcome what it is. */
static size_t
find_cause(const struct ph_record *r)
{
	const struct ph_txn *t = r->txn;
	size_t i = 0;

	while (i + 1 < t->rcpt_count &&
	       (r->outcome == PH_PARTIAL ? t->rcpts[i].out.outcome == PH_ACCEPTED
	                                 : t->rcpts[i].out.outcome != r->outcome))
		i++;
	return i;
}

/* What went wrong: a recipient's own reply, or what ended the transaction; where the session never
 * came to it, that. */
static void
find_error(struct ph_record *r)
{
	size_t i = find_cause(r);
	const struct ph_recipient_outcome *o = &r->txn->rcpts[i].out;
	const struct ph_error *own = r->errors != NULL ? r->errors[i] : NULL;
	const struct ph_error *why = own != NULL ? own : &r->txn->error;
	bool known = why->code != PH_OK;

	r->error = (struct ph_error)PH_ERROR_INIT;
	if (o->reply.code != 0 && (o->stage >= PH_STAGE_MAIL || !known)) {
		error_from_reply(r, o);
		return;
	}
	if (known)
		r->error = *why;
	else
		ph__fail(&r->error, r->code, o->stage, o->cause, "%s", ph_code_text(r->code));
	if (r->error.hint[0] == '\0') /* else the opening has given it one */
		ph__session_hint(session_of(r, o), &o->reply, &r->error);
	r->error.code = r->code;
	if (r->outcome != PH_IN_DOUBT)
		return;
	ph__hint(&r->error, r->no_dup ? "do not send it again before you have asked the recipient, or "
	                                "looked in the server's log"
	                              : "ask the recipient, or look in the server's log");
}

/* In clear, although the server has TLS: its 530 may ask for that rather than for a login. */
static bool
could_have_tls(const struct ph__session *s)
{
	const char *p = s->extensions, *end = p != NULL ? p + s->extensions_len : NULL;

	while (!s->tls_up && p < end) {
		if (ph__cstr_eq_nocase(p, "STARTTLS"))
			return true;
		p += strlen(p) + 1; /* the keyword */
		p += strlen(p) + 1; /* its parameter */
	}
	return false;
}

enum ph_code
ph__record_judge(struct ph_record *r)
{
	struct ph_txn *t = r->txn;
	const struct ph_recipient_outcome *one = NULL, **all = &one;
	bool wants_tls = r->session_count != 0 && could_have_tls(r->sessions[r->session_count - 1]);

	if (t->rcpt_count > 1 &&
	    (all = ph__alloc_array(r->mem, t->rcpt_count, sizeof *all)) == NULL)
		return PH_ESYSTEM;
	for (size_t i = 0; i < t->rcpt_count; i++) {
		ph__verdict_recipient(&t->rcpts[i].out, t->rcpts[i].in_company, wants_tls);
		all[i] = &t->rcpts[i].out;
	}
	r->outcome = ph__verdict_outcome(all, t->rcpt_count);
	r->code = ph__verdict_class(all, t->rcpt_count, r->outcome);
	r->exit_status = ph__verdict_exit_status(all, t->rcpt_count, r->code, r->no_dup);
	if (all != &one)
		ph__free(r->mem, all);
	if (r->outcome != PH_ACCEPTED)
		find_error(r);
	else
		r->error.code = PH_OK;
	return PH_OK;
}

/* ---- what is known --------------------------------------------------------------------------- */

enum ph_outcome
ph_record_outcome(const struct ph_record *r)
{
	return r->outcome;
}

enum ph_code
ph_record_code(const struct ph_record *r)
{
	return r->code;
}

int
ph_record_exit_status(const struct ph_record *r)
{
	return r->exit_status;
}

const char *
ph_record_from(const struct ph_record *r)
{
	return r->txn->from;
}

uint64_t
ph_record_bytes(const struct ph_record *r)
{
	return r->txn->bytes;
}

size_t
ph_record_recipient_count(const struct ph_record *r)
{
	return r->txn->rcpt_count;
}

const struct ph_recipient_outcome *
ph_record_recipient(const struct ph_record *r, size_t i)
{
	return ph_txn_recipient(r->txn, i);
}

const char *
ph_record_host(const struct ph_record *r, size_t session)
{
	return session < r->session_count ? r->sessions[session]->host : NULL;
}

const struct ph_error *
ph_record_session_error(const struct ph_record *r, size_t session)
{
	return session < r->session_count && r->sessions[session]->error.code != PH_OK
	     ? &r->sessions[session]->error : NULL;
}

const struct ph_error *
ph_record_recipient_error(const struct ph_record *r, size_t i)
{
	const struct ph_recipient_outcome *o;
	const struct ph_error *why;

	if (i >= r->txn->rcpt_count)
		return NULL;
	o = &r->txn->rcpts[i].out;
	if (o->outcome == PH_ACCEPTED || (o->reply.code != 0 && o->stage >= PH_STAGE_MAIL))
		return NULL;
	why = r->errors != NULL && r->errors[i] != NULL ? r->errors[i] : &r->txn->error;
	return why->code != PH_OK ? why : NULL;
}

const struct ph_error *
ph_record_error(const struct ph_record *r)
{
	return r->outcome == PH_ACCEPTED ? NULL : &r->error;
}

/* ---- the server's identifier ----------------------------------------------------------------- */

static bool
is_id_char(char c)
{
	return ph__is_alnum(c) || (c != '\0' && strchr("-_.+/=", c) != NULL);
}

/* An identifier has a digit in it; "Queued mail for delivery" names none. */
static struct ph_str
only_id(const char *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (ph__is_digit(p[i]))
			return (struct ph_str){ p, n };
	return (struct ph_str){ "", 0 };
}

/* The word behind `mark`, if it looks like an identifier. */
static struct ph_str
word_after(const char *text, const char *mark)
{
	const char *p = strcasestr(text, mark), *end;

	if (p == NULL)
		return (struct ph_str){ "", 0 };
	p += strlen(mark);
	while (*p == ' ' || *p == '<')
		p++;
	for (end = p; is_id_char(*end); end++)
		;
	while (end > p && end[-1] == '.')
		end--;
	return only_id(p, (size_t)(end - p));
}

/* "2.0.0 <id> Message accepted for delivery": the word before the mark. */
static struct ph_str
word_before(const char *text, const char *mark)
{
	const char *p = strcasestr(text, mark), *end;

	if (p == NULL)
		return (struct ph_str){ "", 0 };
	for (end = p; end > text && end[-1] == ' '; end--)
		;
	for (p = end; p > text && is_id_char(p[-1]); p--)
		;
	return only_id(p, (size_t)(end - p));
}

const char *
ph_reply_remote_id(const struct ph_reply *reply, char *buf, size_t size)
{
	/* Postfix, Exim, Exchange; then sendmail and OpenSMTPD, Gmail, Dovecot's LMTP */
	static const char *const before[] = { "queued as ", " id=", "InternalId=", "queue id ",
	                                      "queued-as ", "queued " };
	static const char *const behind[] = { "message accepted for delivery", "- gsmtp", "saved" };
	struct ph_str w = { "", 0 };

	if (reply == NULL || reply->text == NULL || reply->code < 200 || reply->code > 299)
		return NULL;
	for (size_t i = 0; i < sizeof before / sizeof before[0] && w.len == 0; i++)
		w = word_after(reply->text, before[i]);
	for (size_t i = 0; i < sizeof behind / sizeof behind[0] && w.len == 0; i++)
		w = word_before(reply->text, behind[i]);
	if (w.len == 0 || w.len >= size)
		return NULL;
	memcpy(buf, w.ptr, w.len);
	buf[w.len] = '\0';
	return buf;
}

/* ---- JSON ------------------------------------------------------------------------------------ */

static void
json_enhanced(struct ph__json *j, const uint16_t c[3])
{
	char text[24];

	snprintf(text, sizeof text, "%u.%u.%u", c[0], c[1], c[2]);
	ph__json_cstr(j, "enhanced", c[0] != 0 ? text : NULL);
}

static void
json_code(struct ph__json *j, unsigned code)
{
	if (code != 0)
		ph__json_uint(j, "code", code);
	else
		ph__json_null(j, "code");
}

static void
json_recipient(struct ph__json *j, const struct ph_record *r, const struct ph_recipient_outcome *o)
{
	char id[128];

	ph__json_object(j, NULL);
	ph__json_cstr(j, "address", o->address);
	ph__json_cstr(j, "outcome", ph_outcome_name(o->outcome));
	if (o->session < r->session_count)
		ph__json_uint(j, "session", o->session);
	else
		ph__json_null(j, "session");
	ph__json_cstr(j, "stage", ph_stage_name(o->stage));
	json_code(j, o->reply.code);
	json_enhanced(j, o->reply.enhanced);
	if (o->reply.code != 0)
		ph__json_text(j, "text", (struct ph_str){ o->reply.text, o->reply.len });
	else
		ph__json_null(j, "text");
	ph__json_cstr(j, "remote_id", o->outcome == PH_ACCEPTED
	                              ? ph_reply_remote_id(&o->reply, id, sizeof id) : NULL);
	ph__json_end_object(j);
}

static void
json_error(struct ph__json *j, const struct ph_error *e)
{
	struct ph__buf text;

	if (e == NULL || e->code == PH_OK) {
		ph__json_null(j, "error");
		return;
	}
	/* our words, quoting the server's octets: shown as a terminal would be */
	ph__buf_init(&text, &ph__libc_memory, 8 * sizeof e->text);
	ph__escape(&text, ph__str(e->text), true);
	ph__json_object(j, "error");
	ph__json_cstr(j, "class", ph_code_name(e->code));
	ph__json_cstr(j, "stage", ph_stage_name(e->stage));
	json_code(j, e->reply);
	json_enhanced(j, e->enhanced);
	ph__json_text(j, "text", ph__buf_str(&text));
	ph__buf_done(&text);
	ph__json_cstr(j, "cause", ph_cause_name(e->cause));
	ph__json_cstr(j, "hint", e->hint[0] != '\0' ? e->hint : NULL);
	ph__json_end_object(j);
}

static void
json_extensions(struct ph__json *j, const struct ph__session *s)
{
	const char *p = s->extensions, *end = p != NULL ? p + s->extensions_len : NULL;

	if (p == NULL) {
		ph__json_null(j, "extensions");
		return;
	}
	ph__json_object(j, "extensions");
	while (p < end) {
		const char *keyword = p, *parameter = p + strlen(p) + 1;

		ph__json_text(j, keyword, ph__str(parameter));
		p = parameter + strlen(parameter) + 1;
	}
	ph__json_end_object(j);
}

static const char *
result_of(const struct ph__session *s)
{
	bool testing = s->route.mode != NULL && strcmp(s->route.mode, "testing") == 0;
	bool dane = s->policy != NULL && strcmp(s->policy, "dane") == 0;
	struct ph__tls_end end = {
		.policy = s->policy,
		.tested = testing && s->route.policy != NULL && strcmp(s->route.policy, "mta-sts") == 0,
		.unusable = dane && s->route.domain[0] != '\0' && s->route.tlsa == NULL,
		.hello = s->extensions != NULL,
		.given_up = s->before != NULL,
		.facts = s->tls_up ? &s->tls : NULL,
		.error = &s->error,
	};

	return s->result != NULL ? s->result : ph__tls_result(&end);
}

static void
json_certificate(struct ph__json *j, const struct ph_certificate *c)
{
	struct ph__buf date;

	if (c->size == 0) {
		ph__json_null(j, "certificate");
		return;
	}
	ph__buf_init(&date, &ph__libc_memory, 64);
	ph__json_object(j, "certificate");
	ph__json_cstr(j, "subject", c->subject);
	ph__json_cstr(j, "issuer", c->issuer);
	/* RFC 5280 §4.1.2.5 ends with the year 9999; 0 is a date that cannot be read */
	ph__json_cstr(j, "not_after", c->not_after > 0 && c->not_after <= PH__DATE_3339_MAX &&
	                              ph__date_write_3339(&date, c->not_after)
	                              ? ph__buf_cstr(&date) : NULL);
	ph__json_cstr(j, "sha256", c->sha256);
	ph__json_cstr(j, "spki_sha256", c->spki_sha256);
	ph__json_end_object(j);
	ph__buf_done(&date);
}

static void
json_tls(struct ph__json *j, const struct ph__session *s)
{
	ph__json_object(j, "tls");
	ph__json_cstr(j, "mode", s->tls_up ? s->tls_mode : "none");
	ph__json_cstr(j, "version", s->tls_up ? s->tls.version : NULL);
	ph__json_cstr(j, "cipher", s->tls_up ? s->tls.cipher : NULL);
	ph__json_bool(j, "verified", s->tls_up && s->tls.verified);
	ph__json_cstr(j, "peer_name", s->tls_up && s->tls.peer_name[0] != '\0' ? s->tls.peer_name : NULL);
	ph__json_cstr(j, "policy", s->policy);
	ph__json_cstr(j, "result", result_of(s));
	json_certificate(j, &s->certificate);
	ph__json_end_object(j);
}

static void
json_tlsa(struct ph__json *j, const struct ph__session_route *r)
{
	if (r->tlsa == NULL) {
		ph__json_null(j, "tlsa");
		return;
	}
	ph__json_array(j, "tlsa");
	for (const char *p = r->tlsa; p < r->tlsa + r->tlsa_len; p += strlen(p) + 1)
		ph__json_cstr(j, NULL, p);
	ph__json_end_array(j);
}

static void
json_route(struct ph__json *j, const struct ph__session_route *r)
{
	if (r->domain[0] == '\0') {
		ph__json_null(j, "route");
		return;
	}
	ph__json_object(j, "route");
	ph__json_cstr(j, "domain", r->domain);
	ph__json_uint(j, "preference", r->preference);
	ph__json_cstr(j, "dnssec", r->dnssec);
	ph__json_cstr(j, "policy", r->policy);
	ph__json_cstr(j, "mode", r->mode);
	ph__json_cstr(j, "policy_id", r->policy_id[0] != '\0' ? r->policy_id : NULL);
	ph__json_cstr(j, "problem", r->problem);
	ph__json_bool(j, "relaxed", r->relaxed);
	json_tlsa(j, r);
	ph__json_end_object(j);
}

static void
json_timings(struct ph__json *j, const struct ph__session *s)
{
	ph__json_object(j, "timings_ms");
	ph__json_ms(j, "resolve", s->resolve_us);
	ph__json_ms(j, "connect", s->connect_us);
	ph__json_ms(j, "tls", s->tls_us);
	ph__json_ms(j, "auth", s->auth_us);
	ph__json_ms(j, "body", s->body_us);
	ph__json_ms(j, "total", s->ended_us > s->began_us ? s->ended_us - s->began_us : 0);
	ph__json_end_object(j);
}

static void
json_session(struct ph__json *j, const struct ph__session *s)
{
	ph__json_object(j, NULL);
	ph__json_cstr(j, "host", s->host);
	ph__json_cstr(j, "address", s->address[0] != '\0' ? s->address : NULL);
	if (s->port != 0)
		ph__json_uint(j, "port", s->port);
	else
		ph__json_null(j, "port");
	if (s->greeting != NULL)
		ph__json_text(j, "greeting", (struct ph_str){ s->greeting, s->greeting_len });
	else
		ph__json_null(j, "greeting");
	json_route(j, &s->route);
	json_extensions(j, s);
	json_tls(j, s);
	if (s->mechanism[0] != '\0') {
		ph__json_object(j, "auth");
		ph__json_cstr(j, "mechanism", s->mechanism);
		ph__json_end_object(j);
	} else {
		ph__json_null(j, "auth");
	}
	json_timings(j, s);
	json_error(j, &s->error);
	ph__json_end_object(j);
}

char *
ph_record_json(const struct ph_record *r)
{
	struct ph__buf b;
	struct ph__json j = { &b, false };
	char *text;

	ph__buf_init(&b, r->mem, (size_t)1 << 30);
	ph__json_object(&j, NULL);
	ph__json_cstr(&j, "outcome", ph_outcome_name(r->outcome));
	ph__json_cstr(&j, "class", ph_code_name(r->code));
	ph__json_uint(&j, "exit", (uint64_t)r->exit_status);
	ph__json_null(&j, "queue_id");
	ph__json_cstr(&j, "from", r->txn->from);
	ph__json_uint(&j, "bytes", r->txn->bytes);
	ph__json_uint(&j, "round_trips", r->round_trips);
	ph__json_array(&j, "recipients");
	for (size_t i = 0; i < r->txn->rcpt_count; i++)
		json_recipient(&j, r, &r->txn->rcpts[i].out);
	ph__json_end_array(&j);
	ph__json_array(&j, "sessions");
	for (size_t i = 0; i < r->session_count; i++)
		json_session(&j, r->sessions[i]);
	ph__json_end_array(&j);
	json_error(&j, ph_record_error(r));
	ph__json_end_object(&j);
	text = ph__buf_take(&b);
	ph__buf_done(&b);
	return text;
}

void
ph_record_free_json(const struct ph_record *r, char *json)
{
	ph__free(r->mem, json);
}
