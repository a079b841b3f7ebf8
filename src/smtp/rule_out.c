/* SPDX-License-Identifier: MIT */
/* The judge of what may not even be tried: the message's own faults, what it needs or demands of a
 * server that does not offer it, and the server's stated limits. Refused by us: reply 0, and an
 * enhanced code that says what the server would have (RFC 3463). Nothing of the message is sent. */
#include "smtp/session.h"

#include "base/calendar.h"

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
	if (!ph__offers(s, PH__EXT_SIZE) || s->ext.size == 0 || !ph__txn_has_known_size(t) ||
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
has_bad_content(const struct ph_smtp *s, struct ph_txn *t)
{
	const char *what = NULL;

	if (!t->facts.known || t->ends == PH_LINE_ENDS_BINARY)
		return false;
	if (t->facts.nul)
		what = "a NUL octet";
	else if (t->facts.bare && t->ends == PH_LINE_ENDS_STRICT)
		what = "a line end that is not CRLF";
	else if (t->facts.longest_line > PH__LINE_MAX && !s->opts.lenient)
		what = "a line of more than 998 octets (RFC 5322 §2.1.1)";
	if (what == NULL)
		return false;
	ph__fail(&t->error, PH_EINPUT, PH_STAGE_PREPARE, PH_CAUSE_CONTENT, "the message has %s", what);
	if (t->facts.nul || !t->facts.bare || t->ends != PH_LINE_ENDS_STRICT)
		ph__hint(&t->error, "encode the part as base64 or quoted-printable");
	else
		ph__hint(&t->error, "give every line CRLF, or let it be mended: --line-ends=normalise");
	refuse(t, PH_EINPUT, PH_CAUSE_CONTENT, 6, 0);
	return true;
}

static bool
lacks_utf8(struct ph_smtp *s, struct ph_txn *t)
{
	if (!ph__txn_needs_utf8(t) || ph__offers(s, PH__EXT_SMTPUTF8) || (s->opts.lenient && !t->utf8))
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
	if (ph__txn_is_binary(t) || !t->facts.known || !t->facts.eight_bit ||
	    ph__offers(s, PH__EXT_8BITMIME) || s->opts.lenient)
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
	else if (ph__txn_is_binary(t) && !ph__offers(s, PH__EXT_BINARYMIME))
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

/* RFC 8689 §4.2.1: over TLS, to a server that has proved who it is and promises the same onward */
static bool
lacks_require_tls(struct ph_smtp *s, struct ph_txn *t)
{
	bool offered = ph__offers(s, PH__EXT_REQUIRETLS);
	const char *why = !s->tls ? "the connection is not under TLS"
	                  : !s->verified ? "the server has not proved who it is"
	                  : !offered ? "the server does not offer it" : NULL;

	if (!t->require_tls || why == NULL)
		return false;
	ph__fail(&t->error, PH_EREFUSED, PH_STAGE_MAIL,
	         s->tls && !s->verified ? PH_CAUSE_CERT_OTHER : PH_CAUSE_NOT_OFFERED,
	         "the message may go over verified TLS only, all the way (REQUIRETLS, RFC 8689), "
	         "and %s", why);
	ph__hint(&t->error, s->tls && s->verified
	                    ? "send it through a server that offers REQUIRETLS, or without --requiretls"
	                    : "use a server with TLS and a certificate that can be verified");
	refuse(t, PH_EREFUSED, t->error.cause, 7, 30);
	return true;
}

static bool
lacks_selected(struct ph_smtp *s, struct ph_txn *t, enum ph__ext ext, const char *what,
               const char *keyword)
{
	if (ph__offers(s, ext))
		return false;
	ph__fail(&t->error, PH_EREFUSED, PH_STAGE_MAIL, PH_CAUSE_NOT_OFFERED,
	         "the message is to be %s, and the server does not offer %s", what, keyword);
	refuse(t, PH_EREFUSED, PH_CAUSE_NOT_OFFERED, 3, 3);
	return true;
}

/* The server holds for less time than is wanted, or delivers in more. The error is filled. */
static bool
exceeds(struct ph_txn *t, const char *hint)
{
	ph__hint(&t->error, "%s", hint);
	refuse(t, PH_EREFUSED, PH_CAUSE_LIMIT, 5, 4);
	return true;
}

/* The server's minimum is one for deadlines with return (RFC 2852 §3). */
static bool
misses_deadline(struct ph_smtp *s, struct ph_txn *t)
{
	if (t->by_mode != PH_BY_RETURN)
		return false;
	if (lacks_selected(s, t, PH__EXT_DELIVERBY, "returned if it is late", "DELIVERBY (RFC 2852)"))
		return true;
	if ((uint64_t)t->by_seconds >= s->ext.by_min)
		return false;
	ph__fail(&t->error, PH_EREFUSED, PH_STAGE_MAIL, PH_CAUSE_LIMIT,
	         "the message is to be delivered within %d s, and the server wants %llu s at least",
	         (int)t->by_seconds, (unsigned long long)s->ext.by_min);
	return exceeds(t, "give it more time, or ask to be notified instead");
}

static void
say_held_until(struct ph_smtp *s, struct ph_txn *t)
{
	struct ph__buf wanted, most;

	ph__buf_init(&wanted, &s->mem, 32);
	ph__buf_init(&most, &s->mem, 32);
	ph__date_write_3339(&wanted, t->hold_until);
	ph__date_write_3339(&most, s->ext.hold_until_max);
	ph__fail(&t->error, PH_EREFUSED, PH_STAGE_MAIL, PH_CAUSE_LIMIT,
	         "the message is to be held until %s, and the server holds none beyond %s",
	         ph__buf_cstr(&wanted), ph__buf_cstr(&most));
	ph__buf_done(&wanted);
	ph__buf_done(&most);
}

static bool
cannot_be_held(struct ph_smtp *s, struct ph_txn *t)
{
	if (t->hold_for == 0 && t->hold_until == 0)
		return false;
	if (lacks_selected(s, t, PH__EXT_FUTURERELEASE, "held for later", "FUTURERELEASE (RFC 4865)"))
		return true;
	if (s->ext.hold_max != 0 && t->hold_for > s->ext.hold_max)
		ph__fail(&t->error, PH_EREFUSED, PH_STAGE_MAIL, PH_CAUSE_LIMIT,
		         "the message is to be held for %llu s, and the server holds for %llu s at most",
		         (unsigned long long)t->hold_for, (unsigned long long)s->ext.hold_max);
	else if (s->ext.hold_until_max != 0 && t->hold_until > s->ext.hold_until_max)
		say_held_until(s, t);
	else
		return false;
	return exceeds(t, "send it nearer to the time");
}

bool
ph__rule_out(struct ph_smtp *s, struct ph_txn *t)
{
	return has_bad_content(s, t) || lacks_require_tls(s, t) || lacks_binary(s, t) ||
	       lacks_utf8(s, t) || lacks_8bit(s, t) || is_too_large(s, t) || misses_deadline(s, t) ||
	       cannot_be_held(s, t);
}
