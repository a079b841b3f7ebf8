/* SPDX-License-Identifier: MIT */
/* The one writer of a transaction's commands.
 *
 * Addresses and parameters were checked when the transaction was made; nothing here can put a
 * control character on the wire. MAIL's parameters follow from what the message needs and what the
 * server offered: SIZE (RFC 1870) when the size is known, BODY (RFC 6152, 3030) when the content is
 * or may be 8-bit, SMTPUTF8 (RFC 6531) only when an address or the header needs it: asked for
 * without need it makes later hops bounce. What was asked for and is not offered is left out, and
 * the transcript says so; what may not be left out was ruled out before (rule_out.c). */
#include "smtp/session.h"

#include <assert.h>
#include <stddef.h>

/* What a line costs beyond the address and the caller's own parameters. MAIL: verb, brackets and
 * the parameters that are words or numbers (158 octets), ENVID and AUTH. RCPT: verb, brackets and
 * NOTIFY (39), ORCPT. */
#define LINE_EXTRA (192 + PH__ENVID_MAX + PH__AUTH_PARAM_MAX)
_Static_assert(PH__ORCPT_MAX <= PH__ENVID_MAX + PH__AUTH_PARAM_MAX, "RCPT is no longer than MAIL");

struct line {
	char  *p;
	size_t len, max;
};

static inline void
add(struct line *l, const char *p, size_t n)
{
	assert(n <= l->max - l->len);
	memcpy(l->p + l->len, p, n);
	l->len += n;
}

#define ADD_LITERAL(l, s) add(l, s, sizeof(s) - 1)

static void
add_uint(struct line *l, uint64_t n)
{
	char digits[20];
	size_t i = sizeof digits;

	do
		digits[--i] = (char)('0' + n % 10);
	while ((n /= 10) != 0);
	add(l, digits + i, sizeof digits - i);
}

static void
add_text(struct line *l, const char *text)
{
	add(l, text, strlen(text));
}

static bool
put_line(struct ph_smtp *s, struct line *l)
{
	ph__trace(s, '>', false, (struct ph_str){ l->p, l->len });
	ADD_LITERAL(l, "\r\n");
	return ph__outq_copy(&s->out, l->p, l->len);
}

/* What is given with MAIL where the server offers it, and what it is called where it does not. */
static const struct {
	enum ph__ext ext;
	size_t       parameters; /* the member of struct ph_txn */
	const char  *keyword, *what;
} asked[] = {
	{ PH__EXT_DSN,           offsetof(struct ph_txn, dsn),      "DSN",
	  "what was asked of delivery reports (NOTIFY, RET, ENVID, ORCPT)" },
	{ PH__EXT_AUTH,          offsetof(struct ph_txn, auth),     "AUTH",
	  "who submitted it (AUTH=)" },
	{ PH__EXT_DELIVERBY,     offsetof(struct ph_txn, by),       "DELIVERBY",
	  "the time to deliver it by (BY)" },
	{ PH__EXT_FUTURERELEASE, offsetof(struct ph_txn, hold),     "FUTURERELEASE",
	  "the time to hold it for" },
	{ PH__EXT_MT_PRIORITY,   offsetof(struct ph_txn, priority), "MT-PRIORITY",
	  "its priority" },
};
#define ASKED (sizeof asked / sizeof asked[0])

static const char *
parameters_of(const struct ph_txn *t, size_t i)
{
	return *(const char *const *)((const char *)t + asked[i].parameters);
}

static void
add_mail_parameters(const struct ph_smtp *s, const struct ph_txn *t, struct line *l)
{
	if (ph__offers(s, PH__EXT_SIZE) && ph__txn_has_known_size(t)) {
		ADD_LITERAL(l, " SIZE=");
		add_uint(l, t->facts.wire_size);
	}
	if (ph__txn_is_binary(t))
		ADD_LITERAL(l, " BODY=BINARYMIME");
	else if (ph__offers(s, PH__EXT_8BITMIME) && (!t->facts.known || t->facts.eight_bit))
		ADD_LITERAL(l, " BODY=8BITMIME");
	if (ph__txn_needs_utf8(t) && ph__offers(s, PH__EXT_SMTPUTF8)) /* not offered: lenient */
		ADD_LITERAL(l, " SMTPUTF8");
	if (t->require_tls)
		ADD_LITERAL(l, " REQUIRETLS");
	for (size_t i = 0; i < ASKED; i++)
		if (ph__offers(s, asked[i].ext))
			add_text(l, parameters_of(t, i));
	add_text(l, t->mail_parameters);
}

/* Once for a message, not for each of its rounds. */
static void
tell_left_out(struct ph_smtp *s, struct ph_txn *t)
{
	for (size_t i = 0; s->opts.trace && i < ASKED && !t->told_left_out; i++)
		if (!ph__offers(s, asked[i].ext) &&
		    (*parameters_of(t, i) != '\0' || (asked[i].ext == PH__EXT_DSN && t->asks_dsn)))
			ph__tracef(s, '*', "The server does not offer %s: left out is %s", asked[i].keyword,
			           asked[i].what);
	t->told_left_out = true;
}

bool
ph__encode_mail(struct ph_smtp *s, struct ph_txn *t)
{
	char buf[LINE_EXTRA + PH__PATH_LINE_MAX];
	struct line l = { buf, 0, sizeof buf };

	ADD_LITERAL(&l, "MAIL FROM:<");
	add(&l, t->from, t->from_len);
	ADD_LITERAL(&l, ">");
	add_mail_parameters(s, t, &l);
	tell_left_out(s, t);
	t->mail_sent = true;
	s->mails++;
	return put_line(s, &l) && ph__session_push(s, PH__V_MAIL, t, 0, false);
}

bool
ph__encode_rcpt(struct ph_smtp *s, struct ph_txn *t)
{
	char buf[LINE_EXTRA + PH__PATH_LINE_MAX];
	struct line l = { buf, 0, sizeof buf };
	size_t i = t->rcpt_next++;

	ADD_LITERAL(&l, "RCPT TO:<");
	add(&l, t->rcpts[i].out.address, t->rcpts[i].len);
	ADD_LITERAL(&l, ">");
	if (t->rcpts[i].dsn != NULL && ph__offers(s, PH__EXT_DSN))
		add_text(&l, t->rcpts[i].dsn);
	add_text(&l, t->rcpt_parameters);
	t->rcpts_unanswered++;
	t->rcpts_written++;
	return put_line(s, &l) && ph__session_push(s, PH__V_RCPT, t, i, false);
}

static bool
put_word(struct ph_smtp *s, const char *word)
{
	char buf[16];
	struct line l = { buf, 0, sizeof buf };

	add_text(&l, word);
	return put_line(s, &l);
}

bool
ph__encode_data(struct ph_smtp *s, struct ph_txn *t)
{
	t->data_sent = true;
	return put_word(s, "DATA") && ph__session_push(s, PH__V_DATA, t, 0, false);
}

bool
ph__encode_rset(struct ph_smtp *s, struct ph_txn *t)
{
	t->rset_sent = true;
	s->open_at_server = false;
	return put_word(s, "RSET") && ph__session_push(s, PH__V_RSET, t, 0, false);
}
