/* SPDX-License-Identifier: MIT */
/* MAIL and RCPT: paths and parameters (RFC 5321 §4.1.2; RFC 1870, 3461, 4954 §5, 6152, 6531).
 *
 *   "MAIL FROM:" Reverse-path [SP parameters]      "RCPT TO:" Forward-path [SP parameters]
 *   Path      = "<" [ A-d-l ":" ] Mailbox ">"
 *   parameter = keyword ["=" value]; value = 1*(%d33-60 / %d62-126), with SMTPUTF8 any UTF-8 too
 *
 * Only the brackets are looked for, quoted strings included; whether the inside is an address is
 * the caller's to judge: a server must be able to take what others call an address. A source route
 * is dropped (RFC 5321 Appendix C). Space behind the colon is common and accepted. */
#include "smtp/server_private.h"

struct parameter {
	const char *name;
	bool        rcpt;  /* otherwise MAIL's */
	uint32_t    ext;   /* unknown unless on */
	bool      (*take)(struct ph__server *s, struct ph_str value); /* false: 501 */
};

static bool
is(struct ph_str s, const char *word)
{
	return ph__str_eq_nocase(s, ph__str(word));
}

/* Over the limit is no syntax error: it is answered 552 in ph__server_mail(). */
static bool
take_size(struct ph__server *s, struct ph_str v)
{
	uint64_t n;

	if (v.len > 20 || !ph__str_to_uint(v, UINT64_MAX, &n))
		return false;
	s->txn.over = s->o.size_max != 0 && n > s->o.size_max;
	return true;
}

static bool
take_body(struct ph__server *s, struct ph_str v)
{
	if (is(v, "BINARYMIME") &&
	    ph__server_has(s, PH__SERVER_EXT_BINARYMIME | PH__SERVER_EXT_CHUNKING))
		s->txn.body = PH__BODY_BINARY;
	else if (is(v, "8BITMIME"))
		s->txn.body = PH__BODY_8BIT;
	else if (!is(v, "7BIT"))
		return false;
	return true;
}

static bool
take_smtputf8(struct ph__server *s, struct ph_str v)
{
	s->txn.utf8 = v.ptr == NULL;
	return v.ptr == NULL;
}

static bool
take_ret(struct ph__server *s, struct ph_str v)
{
	(void)s;
	return is(v, "FULL") || is(v, "HDRS");
}

/* xtext (RFC 3461 §4): printable, but "+" only before two upper-case hexadecimal digits. */
static bool
is_xtext(struct ph_str v)
{
	for (size_t i = 0; i < v.len; i++) {
		if (v.ptr[i] == '=')
			return false;
		if (v.ptr[i] != '+')
			continue;
		for (size_t k = 1; k <= 2; k++)
			if (i + k >= v.len || !(ph__is_digit(v.ptr[i + k]) ||
			                        (v.ptr[i + k] >= 'A' && v.ptr[i + k] <= 'F')))
				return false;
		i += 2;
	}
	return v.len != 0;
}

static bool
take_envid(struct ph__server *s, struct ph_str v)
{
	(void)s;
	return v.len <= 100 && is_xtext(v);
}

static bool
take_auth(struct ph__server *s, struct ph_str v)
{
	(void)s;
	return is(v, "<>") || is_xtext(v);
}

/* NEVER alone, or any of the others. */
static bool
take_notify(struct ph__server *s, struct ph_str v)
{
	(void)s;
	if (is(v, "NEVER"))
		return true;
	for (;;) {
		const char *comma = v.len != 0 ? memchr(v.ptr, ',', v.len) : NULL;
		struct ph_str word = { v.ptr, comma != NULL ? (size_t)(comma - v.ptr) : v.len };

		if (!is(word, "SUCCESS") && !is(word, "FAILURE") && !is(word, "DELAY"))
			return false;
		if (comma == NULL)
			return true;
		v.len -= word.len + 1;
		v.ptr = comma + 1;
	}
}

/* addr-type ";" xtext; with utf-8 (RFC 6533 §3) its own encoding, which is left alone. */
static bool
take_orcpt(struct ph__server *s, struct ph_str v)
{
	const char *semicolon = v.len != 0 ? memchr(v.ptr, ';', v.len) : NULL;
	struct ph_str type = { v.ptr, semicolon != NULL ? (size_t)(semicolon - v.ptr) : 0 };

	(void)s;
	if (type.len == 0 || v.len > 500)
		return false;
	v.len -= type.len + 1;
	v.ptr = semicolon + 1;
	return is(type, "utf-8") ? v.len != 0 : is_xtext(v);
}

static const struct parameter parameters[] = {
	{ "SIZE", false, PH__SERVER_EXT_SIZE, take_size },
	{ "BODY", false, PH__SERVER_EXT_8BITMIME, take_body },
	{ "SMTPUTF8", false, PH__SERVER_EXT_SMTPUTF8, take_smtputf8 },
	{ "RET", false, PH__SERVER_EXT_DSN, take_ret },
	{ "ENVID", false, PH__SERVER_EXT_DSN, take_envid },
	{ "AUTH", false, PH__SERVER_EXT_AUTH, take_auth },
	{ "NOTIFY", true, PH__SERVER_EXT_DSN, take_notify },
	{ "ORCPT", true, PH__SERVER_EXT_DSN, take_orcpt },
};
#define PARAMETER_COUNT (sizeof parameters / sizeof parameters[0])

static size_t
find(const struct ph__server *s, struct ph_str name, bool rcpt)
{
	size_t i = 0;

	while (i < PARAMETER_COUNT &&
	       !(parameters[i].rcpt == rcpt && ph__server_has(s, parameters[i].ext) &&
	         is(name, parameters[i].name)))
		i++;
	return i;
}

/* Takes one parameter; false when it was answered with an error. */
static bool
take_parameter(struct ph__server *s, struct ph_str word, bool rcpt, unsigned *seen)
{
	const char *eq = memchr(word.ptr, '=', word.len);
	struct ph_str name = { word.ptr, eq != NULL ? (size_t)(eq - word.ptr) : word.len };
	struct ph_str value = { NULL, 0 };
	size_t i = find(s, name, rcpt);

	if (eq != NULL)
		value = (struct ph_str){ eq + 1, word.len - name.len - 1 };
	if (i == PARAMETER_COUNT) {
		ph__server_error(s, 555, "5.5.4", "a parameter that is not known here");
		return false;
	}
	if ((*seen & 1u << i) || !parameters[i].take(s, value)) {
		ph__server_error(s, 501, "5.5.4",
		                 "a parameter's value is wrong, or it is given twice");
		return false;
	}
	*seen |= 1u << i;
	return true;
}

static bool
take_parameters(struct ph__server *s, struct ph_str rest, bool rcpt)
{
	unsigned seen = 0;

	while (rest.len != 0) {
		const char *space = memchr(rest.ptr, ' ', rest.len);
		struct ph_str word = { rest.ptr, space != NULL ? (size_t)(space - rest.ptr)
			                                       : rest.len };
		size_t n = word.len + (space != NULL);

		if (word.len != 0 && !take_parameter(s, word, rcpt, &seen))
			return false;
		rest.ptr += n;
		rest.len -= n;
	}
	return true;
}

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

	if (arg.len < n || !is((struct ph_str){ arg.ptr, n }, word))
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
	else if (!take_parameters(s, rest, false) || !is_acceptable_path(s, path))
		return;
	else if (s->txn.over)
		ph__server_say(s, &(struct ph__server_reply){
			552, "5.3.4", "the message is larger than what is accepted here" });
	else
		ask(s, PH__SERVER_ON_MAIL, "MAIL", path, rest, "2.1.0");
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
	else if (!take_parameters(s, rest, true) || !is_acceptable_path(s, path))
		return;
	else if (s->txn.tried >= s->o.recipients_max)
		ph__server_say(s, &(struct ph__server_reply){
			452, "4.5.3", "too many recipients in one transaction" });
	else
		ask(s, PH__SERVER_ON_RCPT, "RCPT", path, rest, "2.1.5");
}
