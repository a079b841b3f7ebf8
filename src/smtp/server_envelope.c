/* SPDX-License-Identifier: MIT */
/* MAIL and RCPT (RFC 5321 §4.1.2); their parameters are server_params.c's.
 *
 *   "MAIL FROM:" Reverse-path [SP parameters]      "RCPT TO:" Forward-path [SP parameters]
 *   Path = "<" [ A-d-l ":" ] Mailbox ">"
 *
 * Only the brackets are looked for, quoted strings included; whether the inside is an address is
 * the caller's to judge: a server must be able to take what others call an address. A source route
 * is dropped (RFC 5321 Appendix C). Space behind the colon is common and accepted. */
#include "smtp/server_private.h"

/* Where the path's ">" is; 0: nowhere. */
static size_t
closing_bracket(struct ph_str s)
{
	bool quoted = false;

	for (size_t i = 1; i < s.len; i++) {
		char c = s.ptr[i];

		if (quoted && c == '\\')
			i++;
		else if (c == '"')
			quoted = !quoted;
		else if (!quoted && c == '>')
			return i;
		else if (!quoted && (c == '<' || c == ' ' || c == '\t'))
			return 0;
	}
	return 0;
}

static struct ph_str
without_route(struct ph_str path)
{
	const char *colon;

	if (path.len != 0 && *path.ptr == '@' &&
	    (colon = memchr(path.ptr, ':', path.len)) != NULL) {
		path.len -= (size_t)(colon + 1 - path.ptr);
		path.ptr = colon + 1;
	}
	return path;
}

/* Cuts "FROM:<path> rest" into its parts. */
static bool
take_path(struct ph_str arg, const char *word, struct ph_str *path, struct ph_str *rest)
{
	size_t n = strlen(word), end;

	if (!ph__str_begins(arg, word))
		return false;
	for (arg.ptr += n, arg.len -= n; arg.len != 0 && *arg.ptr == ' '; arg.len--)
		arg.ptr++;
	if (arg.len == 0 || *arg.ptr != '<' || (end = closing_bracket(arg)) == 0)
		return false;
	*path = without_route((struct ph_str){ arg.ptr + 1, end - 1 });
	*rest = (struct ph_str){ arg.ptr + end + 1, arg.len - end - 1 };
	if (rest->len == 0)
		return true;
	if (*rest->ptr != ' ')
		return false;
	rest->ptr++;
	rest->len--;
	return true;
}

/* RFC 6531 §3.5: 553 for MAIL and RCPT; the parameters may already say that this is allowed. */
static bool
is_acceptable_path(struct ph__server *s, struct ph_str path)
{
	if (ph__str_is_ascii(path))
		return true;
	if (!s->txn.utf8) {
		ph__server_error(s, 553, "5.6.7", "a non-ASCII address without SMTPUTF8");
		return false;
	}
	if (!ph__str_is_utf8(path)) {
		ph__server_error(s, 553, "5.6.7", "the address is not UTF-8");
		return false;
	}
	return true;
}

static void
ask(struct ph__server *s, enum ph__server_event_type type, const char *verb, struct ph_str path,
    struct ph_str params, const char *enhanced)
{
	struct ph__server_event *ev = ph__server_ask(s, type, 250, enhanced, "ok");

	ev->verb = verb;
	ev->text = path;
	ev->parameters = params;
}

void
ph__server_mail(struct ph__server *s, struct ph_str arg)
{
	struct ph_str path, rest;

	s->txn = (struct ph__server_txn){ .open = false };
	if (s->o.require_tls && !s->tls)
		ph__server_error(s, 530, "5.7.0", "STARTTLS first");
	else if (s->o.require_auth && !s->authenticated)
		ph__server_error(s, 530, "5.7.0", "AUTH first");
	else if (!take_path(arg, "FROM:", &path, &rest))
		ph__server_error(s, 501, "5.1.7", "not of the form MAIL FROM:<address>");
	else if (s->hello == PH__HELLO_HELO && rest.len != 0)
		ph__server_error(s, 555, "5.5.4", "parameters need EHLO");
	else if (!ph__server_take_parameters(s, rest, false) || !is_acceptable_path(s, path))
		return;
	else if (s->o.limits.mail_max != 0 && s->transactions >= s->o.limits.mail_max)
		ph__server_say(s, &(struct ph__server_reply){
			452, "4.5.3", "no more transactions on this connection (MAILMAX)" });
	else if (s->txn.over)
		ph__server_say(s, &(struct ph__server_reply){
			552, "5.3.4", "the message is larger than what is accepted here" });
	else
		ask(s, PH__SERVER_ON_MAIL, "MAIL", path, rest, "2.1.0");
}

/* Remembers the path's domain, for good once the recipient is accepted (ph__server_domain_stays). False:
 * it is one more than RCPTDOMAINMAX (RFC 9422 §4.3) allows in a session. */
static bool
take_domain(struct ph__server *s, struct ph_str path)
{
	size_t at = path.len, count = 0;
	struct ph_str domain;

	if (s->o.limits.domain_max == 0)
		return true;
	while (at > 0 && path.ptr[at - 1] != '@')
		at--;
	domain = at > 0 ? (struct ph_str){ path.ptr + at, path.len - at } : (struct ph_str){ "", 0 };
	ph__buf_cut(&s->domains, s->domains_len);
	for (const char *p = ph__buf_cstr(&s->domains), *end = p + s->domains_len; p < end; count++) {
		if (ph__str_is(domain, p))
			return true;
		p += strlen(p) + 1;
	}
	if (count >= s->o.limits.domain_max)
		return false;
	/* Lack of memory sticks, and is looked at where it always is. */
	ph__buf_add(&s->domains, domain.ptr, domain.len);
	ph__buf_add_char(&s->domains, '\0');
	return true;
}

void
ph__server_domain_stays(struct ph__server *s)
{
	s->domains_len = s->domains.len;
}

void
ph__server_rcpt(struct ph__server *s, struct ph_str arg)
{
	struct ph_str path, rest;

	if (s->txn.chunked)
		ph__server_error(s, 503, "5.5.1", "the message has begun");
	else if (!take_path(arg, "TO:", &path, &rest) || path.len == 0)
		ph__server_error(s, 501, "5.1.3", "not of the form RCPT TO:<address>");
	else if (s->hello == PH__HELLO_HELO && rest.len != 0)
		ph__server_error(s, 555, "5.5.4", "parameters need EHLO");
	else if (!ph__server_take_parameters(s, rest, true) || !is_acceptable_path(s, path))
		return;
	else if (s->txn.tried >= s->o.recipients_max)
		ph__server_say(s, &(struct ph__server_reply){
			452, "4.5.3", "too many recipients in one transaction" });
	else if (!take_domain(s, path))
		ph__server_say(s, &(struct ph__server_reply){
			452, "4.5.3", "too many domains on this connection (RCPTDOMAINMAX)" });
	else
		ask(s, PH__SERVER_ON_RCPT, "RCPT", path, rest, "2.1.5");
}
