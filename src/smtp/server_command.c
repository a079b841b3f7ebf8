/* SPDX-License-Identifier: MIT */
/* The server's commands: one row each, with what must be true before it (RFC 5321 §4.1.4). A
 * command that may be given is asked about (ph__server_ask); what it does to the session happens
 * when the answer is known (ph__server_answered). A new command is a row and a function. */
#include "smtp/server_private.h"

enum when {
	WHEN_HELLO = 1,   /* after HELO, EHLO, LHLO */
	WHEN_EHLO = 2,    /* after EHLO or LHLO */
	WHEN_NO_MAIL = 4, /* not inside a transaction */
	WHEN_MAIL = 8,    /* inside a transaction */
	WHEN_SMTP = 16,   /* unknown in LMTP (RFC 2033 §4.1) */
	WHEN_LMTP = 32,   /* unknown in SMTP */
	WHEN_REFUSED = 64 /* after a greeting of 5yz too (RFC 5321 §3.1) */
};

enum argument { ARG_NONE, ARG_MAY, ARG_MUST };

struct command {
	const char   *name;
	uint32_t      ext;  /* unknown unless on */
	unsigned      when;
	enum argument argument;
	void        (*run)(struct ph__server *s, struct ph_str arg);
};

static const struct command *find(const struct ph__server *s, struct ph_str name);

static struct ph__server_event *
ask_about(struct ph__server *s, const char *verb, struct ph_str arg, uint16_t code,
          const char *enhanced, const char *text)
{
	struct ph__server_event *ev =
	    ph__server_ask(s, PH__SERVER_ON_COMMAND, code, enhanced, text);

	ev->verb = verb;
	ev->text = arg;
	return ev;
}

static void
hello(struct ph__server *s, const char *verb, bool extended, struct ph_str name)
{
	struct ph__server_event *ev;

	ph__buf_reset(&s->scratch);
	ph__buf_add_str(&s->scratch, s->name);
	if (extended)
		ph__server_keywords(s, &s->scratch);
	if (!ph__buf_ok(&s->scratch)) {
		ph__server_say(s, &(struct ph__server_reply){ 421, NULL, "out of memory" });
		ph__server_close(s, PH__SERVER_CLOSE_MEMORY);
		return;
	}
	ev = ph__server_ask(s, PH__SERVER_ON_HELLO, 250, NULL, ph__buf_cstr(&s->scratch));
	ev->verb = verb;
	ev->text = name;
}

static void
run_helo(struct ph__server *s, struct ph_str arg)
{
	hello(s, "HELO", false, arg);
}

static void
run_ehlo(struct ph__server *s, struct ph_str arg)
{
	hello(s, "EHLO", true, arg);
}

static void
run_lhlo(struct ph__server *s, struct ph_str arg)
{
	hello(s, "LHLO", true, arg);
}

static void
run_starttls(struct ph__server *s, struct ph_str arg)
{
	(void)arg;
	if (s->tls)
		ph__server_error(s, 503, "5.5.1", "TLS is up already");
	else
		ph__server_ask(s, PH__SERVER_ON_STARTTLS, 220, "2.0.0", "go ahead")->verb =
		    "STARTTLS";
}

static void
run_rset(struct ph__server *s, struct ph_str arg)
{
	ask_about(s, "RSET", arg, 250, "2.0.0", "reset");
}

static void
run_noop(struct ph__server *s, struct ph_str arg)
{
	ask_about(s, "NOOP", arg, 250, "2.0.0", "ok");
}

static void
run_vrfy(struct ph__server *s, struct ph_str arg)
{
	ask_about(s, "VRFY", arg, 252, "2.5.0", "not verified, but mail to it may be accepted");
}

static void
run_expn(struct ph__server *s, struct ph_str arg)
{
	ask_about(s, "EXPN", arg, 252, "2.5.0", "not expanded, but mail to it may be accepted");
}

/* RFC 1985 §5.1, §5.3: "@domain" is a domain with all below it, "#name" a queue. */
static void
run_etrn(struct ph__server *s, struct ph_str arg)
{
	size_t first = *arg.ptr == '@' || *arg.ptr == '#', i = first;

	while (i < arg.len && (unsigned char)arg.ptr[i] > ' ')
		i++;
	if (i < arg.len || i == first)
		ph__server_error(s, 501, "5.5.4", "not of the form ETRN node");
	else
		ask_about(s, "ETRN", arg, 251, "2.0.0", "no messages waiting");
}

/* A new greeting: the client, another one by now, begins with EHLO. */
static void
run_xclient(struct ph__server *s, struct ph_str arg)
{
	ph__buf_reset(&s->scratch);
	ph__buf_addf(&s->scratch, "%s %s posthaste", s->name, s->o.lmtp ? "LMTP" : "ESMTP");
	if (ph__server_are_attributes(arg, false))
		ask_about(s, "XCLIENT", arg, 220, NULL, ph__buf_cstr(&s->scratch));
	else
		ph__server_error(s, 501, "5.5.4", "not of the form XCLIENT name=value ...");
}

static void
run_xforward(struct ph__server *s, struct ph_str arg)
{
	if (ph__server_are_attributes(arg, true))
		ask_about(s, "XFORWARD", arg, 250, "2.0.0", "ok");
	else
		ph__server_error(s, 501, "5.5.4", "not of the form XFORWARD name=value ...");
}

static void
run_help(struct ph__server *s, struct ph_str arg)
{
	ask_about(s, "HELP", arg, 214, "2.0.0",
	          "HELO EHLO LHLO STARTTLS AUTH MAIL RCPT DATA BDAT RSET\n"
	          "NOOP VRFY EXPN HELP ETRN QUIT");
}

static void
run_quit(struct ph__server *s, struct ph_str arg)
{
	ask_about(s, "QUIT", arg, 221, "2.0.0", "bye");
}

/* The commonest first. */
static const struct command commands[] = {
	{ "RCPT", 0, WHEN_MAIL, ARG_MUST, ph__server_rcpt },
	{ "MAIL", 0, WHEN_HELLO | WHEN_NO_MAIL, ARG_MUST, ph__server_mail },
	{ "DATA", 0, WHEN_MAIL, ARG_NONE, ph__server_data },
	/* Out of order, too, its octets must be taken in: its own function sees to that. */
	{ "BDAT", PH__SERVER_EXT_CHUNKING, 0, ARG_MUST, ph__server_bdat },
	{ "RSET", 0, 0, ARG_NONE, run_rset },
	{ "EHLO", 0, WHEN_SMTP, ARG_MUST, run_ehlo },
	{ "QUIT", 0, WHEN_REFUSED, ARG_NONE, run_quit },
	{ "LHLO", 0, WHEN_LMTP, ARG_MUST, run_lhlo },
	{ "HELO", 0, WHEN_SMTP, ARG_MUST, run_helo },
	{ "STARTTLS", PH__SERVER_EXT_STARTTLS, WHEN_EHLO | WHEN_NO_MAIL, ARG_NONE, run_starttls },
	{ "AUTH", PH__SERVER_EXT_AUTH, WHEN_EHLO | WHEN_NO_MAIL, ARG_MUST, ph__server_auth },
	{ "NOOP", 0, 0, ARG_MAY, run_noop },
	{ "VRFY", 0, 0, ARG_MUST, run_vrfy },
	{ "EXPN", 0, 0, ARG_MUST, run_expn },
	{ "HELP", 0, 0, ARG_MAY, run_help },
	{ "ETRN", PH__SERVER_EXT_ETRN, WHEN_HELLO | WHEN_NO_MAIL, ARG_MUST, run_etrn },
	{ "XCLIENT", PH__SERVER_EXT_XCLIENT, WHEN_NO_MAIL, ARG_MUST, run_xclient },
	{ "XFORWARD", PH__SERVER_EXT_XFORWARD, WHEN_HELLO | WHEN_NO_MAIL, ARG_MUST, run_xforward },
};

static const struct command *
find(const struct ph__server *s, struct ph_str name)
{
	for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
		const struct command *c = &commands[i];

		if (!ph__str_is(name, c->name))
			continue;
		if (!ph__server_has(s, c->ext) || (c->when & (s->o.lmtp ? WHEN_SMTP : WHEN_LMTP)))
			return NULL;
		return c;
	}
	return NULL;
}

/* Why a command may not be given now; NULL: it may. */
static const char *
out_of_order(const struct ph__server *s, const struct command *c)
{
	if (s->refused && !(c->when & WHEN_REFUSED))
		return "no service here, QUIT is all that is left";
	if ((c->when & WHEN_HELLO) && s->hello == PH__HELLO_NONE)
		return s->o.lmtp ? "LHLO first" : "EHLO or HELO first";
	if ((c->when & WHEN_EHLO) && s->hello < PH__HELLO_EHLO)
		return s->o.lmtp ? "LHLO first" : "EHLO first";
	if ((c->when & WHEN_MAIL) && !s->txn.open)
		return "MAIL first";
	if ((c->when & WHEN_NO_MAIL) && s->txn.open)
		return "not inside a mail transaction";
	return NULL;
}

static bool
has_control(struct ph_str s)
{
	for (size_t i = 0; i < s.len; i++)
		if (ph__is_control(s.ptr[i]) && s.ptr[i] != '\t')
			return true;
	return false;
}

/* The extensions only add to what RFC 5321 allows: most lines need no look at them. */
static bool
is_too_long(const struct ph__server *s, const struct command *c, struct ph_str line)
{
	size_t len = line.len + 2;

	if (len <= PH__COMMAND_LINE_MAX)
		return false;
	if (c->run == ph__server_auth)
		return len > PH__AUTH_LINE_MAX;
	return len > ph__server_line_max(s, c->run == ph__server_mail, c->run == ph__server_rcpt);
}

void
ph__server_command(struct ph__server *s, struct ph_str line)
{
	const struct command *c;
	struct ph_str name = line, arg;
	const char *why;

	for (name.len = 0; name.len < line.len && ph__is_alnum(line.ptr[name.len]); )
		name.len++;
	arg = ph__str_trim((struct ph_str){ line.ptr + name.len, line.len - name.len });
	if ((c = find(s, name)) == NULL ||
	    (line.len > name.len && line.ptr[name.len] != ' ' && line.ptr[name.len] != '\t'))
		ph__server_error(s, 500, "5.5.1", "no such command");
	else if (is_too_long(s, c, line))
		ph__server_error(s, 500, "5.5.6", "the line is too long");
	else if (has_control(line))
		ph__server_error(s, 501, "5.5.2", "a control character in the line");
	else if ((why = out_of_order(s, c)) != NULL)
		ph__server_error(s, 503, "5.5.1", why);
	else if (c->argument == ARG_NONE && arg.len != 0)
		ph__server_error(s, 501, "5.5.4", "this command takes no argument");
	else if (c->argument == ARG_MUST && arg.len == 0)
		ph__server_error(s, 501, "5.5.4", "an argument is missing");
	else
		c->run(s, arg);
}

static void
answered_connect(struct ph__server *s, bool good)
{
	s->refused = !good;
}

static void
answered_hello(struct ph__server *s, bool good)
{
	if (!good)
		return;
	ph__server_drop(s);
	s->hello = s->ev.verb[0] == 'H' ? PH__HELLO_HELO
	           : s->ev.verb[0] == 'E' ? PH__HELLO_EHLO : PH__HELLO_LHLO;
}

static void
answered_starttls(struct ph__server *s, bool good)
{
	if (good)
		s->phase = PH__PHASE_TLS;
}

static void
answered_auth(struct ph__server *s, bool good)
{
	s->authenticated = good;
	ph__server_auth_end(s);
	/* Guessing is bounded like any other error; the reply stays the caller's. */
	if (!good && ++s->errors >= s->o.errors_max)
		ph__server_close(s, PH__SERVER_CLOSE_ABUSE);
}

static void
answered_mail(struct ph__server *s, bool good)
{
	if (good)
		s->txn.open = true, s->transactions++;
	else
		s->txn = (struct ph__server_txn){ .open = false };
}

static void
answered_rcpt(struct ph__server *s, bool good)
{
	s->txn.tried++;
	if (!good)
		return;
	s->txn.accepted++;
	ph__server_domain_stays(s);
}

static void
answered_data(struct ph__server *s, bool good)
{
	if (good)
		ph__server_data_begins(s);
}

static void
answered_message(struct ph__server *s, bool good)
{
	(void)good;
	ph__server_message_answered(s);
}

static void
answered_command(struct ph__server *s, bool good)
{
	switch (s->ev.verb[0]) {
	case 'Q':
		ph__server_close(s, PH__SERVER_CLOSE_QUIT);
		break;
	case 'R':
		if (good)
			ph__server_drop(s);
		break;
	case 'B':
		if (!good)
			ph__server_drop(s);
		break;
	case 'X':
		if (good && s->ev.verb[1] == 'C')
			s->hello = PH__HELLO_NONE;
		break;
	default:
		break;
	}
}

void
ph__server_answered(struct ph__server *s, enum ph__server_event_type type, uint16_t code)
{
	static const struct {
		int  good; /* the first digit, or the code, that lets the session go on */
		void (*then)(struct ph__server *s, bool good);
	} rows[] = {
		[PH__SERVER_ON_CONNECT] = { 220, answered_connect },
		[PH__SERVER_ON_HELLO] = { 2, answered_hello },
		[PH__SERVER_ON_STARTTLS] = { 220, answered_starttls },
		[PH__SERVER_ON_AUTH] = { 235, answered_auth },
		[PH__SERVER_ON_SASL] = { 235, answered_auth },
		[PH__SERVER_ON_MAIL] = { 2, answered_mail },
		[PH__SERVER_ON_RCPT] = { 2, answered_rcpt },
		[PH__SERVER_ON_DATA] = { 354, answered_data },
		[PH__SERVER_ON_MESSAGE] = { 2, answered_message },
		[PH__SERVER_ON_COMMAND] = { 2, answered_command },
	};

	rows[type].then(s, rows[type].good > 9 ? code == rows[type].good
	                                       : code / 100 == rows[type].good);
}
