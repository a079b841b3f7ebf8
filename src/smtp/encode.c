/* SPDX-License-Identifier: MIT */
/* The one writer of a transaction's commands, and the judge of what may not even be tried.
 *
 * Addresses and parameters were checked when the transaction was made; nothing here can put a
 * control character on the wire. MAIL's parameters follow from what the message needs and what the
 * server offered: SIZE (RFC 1870) when the size is known, BODY (RFC 6152, 3030) when the content is
 * or may be 8-bit, SMTPUTF8 (RFC 6531) only when an address or the header needs it: asked for
 * without need it makes later hops bounce. */
#include "smtp/session.h"

#include <assert.h>
#include <stdio.h>

/* What a line costs beyond addresses and parameters: verb, brackets, SIZE, BODY, SMTPUTF8. */
#define LINE_EXTRA 96

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

static bool
put_line(struct ph_smtp *s, struct line *l)
{
	ph__trace(s, '>', false, (struct ph_str){ l->p, l->len });
	ADD_LITERAL(l, "\r\n");
	return ph__outq_copy(&s->out, l->p, l->len);
}

static bool
needs_utf8(const struct ph_txn *t)
{
	return t->utf8 || (t->facts.header_known && t->facts.header_utf8);
}

/* Content that is not lines of text (RFC 3030 §3), as far as is known. */
static bool
is_binary(const struct ph_txn *t)
{
	return t->ends == PH_LINE_ENDS_BINARY &&
	       (!t->facts.known || t->facts.nul || t->facts.bare ||
	        t->facts.longest_line > PH__LINE_MAX);
}

/* The size on the wire was found for mended line ends; what goes out unmended has another. */
static bool
has_known_size(const struct ph_txn *t)
{
	return t->facts.known && (t->facts.clean || t->ends != PH_LINE_ENDS_BINARY);
}

static void
add_mail_parameters(const struct ph_smtp *s, const struct ph_txn *t, struct line *l)
{
	if (ph__offers(s, PH__EXT_SIZE) && has_known_size(t)) {
		ADD_LITERAL(l, " SIZE=");
		add_uint(l, t->facts.wire_size);
	}
	if (is_binary(t))
		ADD_LITERAL(l, " BODY=BINARYMIME");
	else if (ph__offers(s, PH__EXT_8BITMIME) && (!t->facts.known || t->facts.eight_bit))
		ADD_LITERAL(l, " BODY=8BITMIME");
	if (needs_utf8(t))
		ADD_LITERAL(l, " SMTPUTF8");
	add(l, t->mail_parameters, strlen(t->mail_parameters));
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
	t->mail_sent = true;
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
	add(&l, t->rcpt_parameters, strlen(t->rcpt_parameters));
	t->rcpts_unanswered++;
	return put_line(s, &l) && ph__session_push(s, PH__V_RCPT, t, i, false);
}

static bool
put_word(struct ph_smtp *s, const char *word)
{
	char buf[16];
	struct line l = { buf, 0, sizeof buf };

	add(&l, word, strlen(word));
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

/* ---- what may not be tried ------------------------------------------------------------------- */

/* Refused by us on what the server has stated: reply 0, our enhanced code. */
static void
refuse(struct ph_txn *t, enum ph_code code, enum ph_cause cause, uint16_t detail_1,
       uint16_t detail_2)
{
	struct ph_reply none = { .enhanced = { 5, detail_1, detail_2 }, .text = "" };

	t->error.reply = 0;
	memcpy(t->error.enhanced, none.enhanced, sizeof none.enhanced);
	ph__txn_decide_all(t, PH_REFUSED, code, PH_STAGE_MAIL, cause, &none);
}

static bool
is_too_large(struct ph_smtp *s, struct ph_txn *t)
{
	if (!ph__offers(s, PH__EXT_SIZE) || s->ext.size == 0 || !has_known_size(t) ||
	    t->facts.wire_size <= s->ext.size)
		return false;
	ph__fail(&t->error, PH_EREFUSED, PH_STAGE_MAIL, PH_CAUSE_LIMIT,
	         "the message has %llu octets, the server takes %llu at most",
	         (unsigned long long)t->facts.wire_size, (unsigned long long)s->ext.size);
	ph__hint(&t->error, "send it in parts, or put the attachment where it can be fetched from");
	refuse(t, PH_EREFUSED, PH_CAUSE_LIMIT, 3, 4);
	return true;
}

static bool
has_bad_content(struct ph_txn *t)
{
	const char *what = NULL;

	if (!t->facts.known || t->ends == PH_LINE_ENDS_BINARY)
		return false;
	if (t->facts.nul)
		what = "a NUL octet";
	else if (t->facts.bare && t->ends == PH_LINE_ENDS_STRICT)
		what = "a line end that is not CRLF";
	else if (t->facts.longest_line > PH__LINE_MAX)
		what = "a line of more than 998 octets (RFC 5322 §2.1.1)";
	if (what == NULL)
		return false;
	ph__fail(&t->error, PH_EINPUT, PH_STAGE_PREPARE, PH_CAUSE_CONTENT, "the message has %s", what);
	ph__hint(&t->error, "encode the part as base64 or quoted-printable");
	refuse(t, PH_EINPUT, PH_CAUSE_CONTENT, 6, 0);
	return true;
}

static bool
lacks_utf8(struct ph_smtp *s, struct ph_txn *t)
{
	if (!needs_utf8(t) || ph__offers(s, PH__EXT_SMTPUTF8))
		return false;
	ph__fail(&t->error, PH_EREFUSED, PH_STAGE_MAIL, PH_CAUSE_NOT_OFFERED,
	         "%s has characters beyond ASCII, and the server does not offer SMTPUTF8 (RFC 6531)",
	         t->utf8 ? "an address" : "the message's header");
	ph__hint(&t->error, "use an ASCII address, and encoded-words in the header");
	refuse(t, PH_EREFUSED, PH_CAUSE_NOT_OFFERED, 6, 7);
	return true;
}

static bool
lacks_8bit(struct ph_smtp *s, struct ph_txn *t)
{
	if (is_binary(t) || !t->facts.known || !t->facts.eight_bit ||
	    ph__offers(s, PH__EXT_8BITMIME))
		return false;
	ph__fail(&t->error, PH_EREFUSED, PH_STAGE_MAIL, PH_CAUSE_NOT_OFFERED,
	         "the message is 8-bit, and the server does not offer 8BITMIME (RFC 6152)");
	ph__hint(&t->error, "encode its text as quoted-printable or base64");
	refuse(t, PH_EREFUSED, PH_CAUSE_NOT_OFFERED, 6, 3);
	return true;
}

static bool
lacks_binary(struct ph_smtp *s, struct ph_txn *t)
{
	const char *lacking = NULL;

	if (t->ends != PH_LINE_ENDS_BINARY)
		return false;
	if (!ph__offers(s, PH__EXT_CHUNKING) || s->opts.no_chunking)
		lacking = "CHUNKING";
	else if (is_binary(t) && !ph__offers(s, PH__EXT_BINARYMIME))
		lacking = "BINARYMIME";
	if (lacking == NULL)
		return false;
	ph__fail(&t->error, PH_EREFUSED, PH_STAGE_MAIL, PH_CAUSE_NOT_OFFERED,
	         "the message is to be sent as binary, and the server does not offer %s (RFC 3030)",
	         lacking);
	ph__hint(&t->error, "encode it as base64, or let line ends be normalised");
	refuse(t, PH_EREFUSED, PH_CAUSE_NOT_OFFERED, 6, 3);
	return true;
}

bool
ph__rule_out(struct ph_smtp *s, struct ph_txn *t)
{
	return has_bad_content(t) || lacks_binary(s, t) || lacks_utf8(s, t) || lacks_8bit(s, t) ||
	       is_too_large(s, t);
}
