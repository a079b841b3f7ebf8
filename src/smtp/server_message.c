/* SPDX-License-Identifier: MIT */
/* DATA and BDAT: RFC 5321 §4.1.1.4, RFC 3030, RFC 1870 §6.3, and the final replies of RFC 2033.
 *
 * Whatever becomes of a message, its octets are taken in to their end: octets of a refused DATA or
 * BDAT that were read as commands would let a message's content speak SMTP. Past the size limit
 * they are no longer handed on.
 *
 * A refused BDAT ends the transaction. Chunks that were already under way behind it are answered
 * 503, and a next message must begin with MAIL, so that it can never go out under this one's
 * envelope. */
#include "smtp/server_private.h"

static const struct ph__server_reply
	too_big = { 552, "5.3.4", "the message is larger than what is accepted here" },
	bare_line_ends = { 550, "5.5.2", "a bare CR or LF in the message" },
	no_mail = { 503, "5.5.1", "MAIL first" },
	no_rcpt = { 503, "5.5.1", "RCPT first" },
	none_valid = { 554, "5.5.1", "no valid recipients" };

/* Why no message can come now; NULL: it can. */
static const struct ph__server_reply *
no_recipients(const struct ph__server *s)
{
	if (!s->txn.open)
		return &no_mail;
	if (s->txn.accepted == 0)
		return s->txn.tried == 0 ? &no_rcpt : &none_valid;
	return NULL;
}

static void
refuse(struct ph__server *s, const struct ph__server_reply *r)
{
	if (r == &none_valid) /* the recipients' refusal was our doing */
		ph__server_say(s, r);
	else
		ph__server_error(s, r->code, r->enhanced, r->text);
}

void
ph__server_data(struct ph__server *s, struct ph_str arg)
{
	const struct ph__server_reply *why = no_recipients(s);

	(void)arg;
	if (why != NULL)
		refuse(s, why);
	else if (s->txn.chunked)
		ph__server_error(s, 503, "5.5.1", "DATA cannot follow BDAT");
	else if (s->txn.body == PH__BODY_BINARY)
		ph__server_error(s, 503, "5.5.1", "BINARYMIME needs BDAT");
	else
		ph__server_ask(s, PH__SERVER_ON_DATA, 354, NULL,
		               "send the message, end it with a dot alone")->verb = "DATA";
}

void
ph__server_data_begins(struct ph__server *s)
{
	s->phase = PH__PHASE_DATA;
	ph__body_begin(&s->body, true);
}

static void
hand_on(struct ph__server *s, struct ph_str piece)
{
	if (s->o.size_max != 0 && s->body.octets > s->o.size_max)
		s->txn.over = true;
	if (piece.len == 0 || s->txn.over)
		return;
	s->ev = (struct ph__server_event){ .type = PH__SERVER_ON_OCTETS, .text = piece };
	s->ev_ready = true;
}

/* The message is whole. */
static void
end_message(struct ph__server *s)
{
	ph__body_finish(&s->body);
	s->phase = PH__PHASE_ENDING;
	if (s->txn.over)
		s->txn.refusal = &too_big;
	else if (s->o.strict_line_ends && s->txn.body != PH__BODY_BINARY &&
	         s->body.bare_cr + s->body.bare_lf != 0)
		s->txn.refusal = &bare_line_ends;
	s->dropped = s->txn.refusal != NULL;
}

/* Each octet of a message pushes the deadline on. */
static void
heard(struct ph__server *s)
{
	s->deadline = s->now + s->o.idle_ms;
}

bool
ph__server_data_step(struct ph__server *s)
{
	struct ph_str in = ph__server_octets(s), piece;

	if (in.len == 0)
		return false;
	heard(s);
	ph__server_consume(s, ph__body_next(&s->body, in.ptr, in.len, &piece));
	hand_on(s, piece);
	if (s->body.state == PH__BODY_END)
		end_message(s);
	return true;
}

/* "BDAT" SP size [SP "LAST"] */
static bool
take_chunk_size(struct ph__server *s, struct ph_str arg)
{
	const char *space = memchr(arg.ptr, ' ', arg.len);
	struct ph_str size = { arg.ptr, space != NULL ? (size_t)(space - arg.ptr) : arg.len };
	struct ph_str last = { arg.ptr + size.len, arg.len - size.len };

	while (last.len != 0 && *last.ptr == ' ')
		last.ptr++, last.len--;
	s->chunk_last = last.len != 0;
	return ph__str_to_uint(size, INT64_MAX, &s->chunk_left) &&
	       (last.len == 0 || ph__str_is(last, "LAST"));
}

void
ph__server_bdat(struct ph__server *s, struct ph_str arg)
{
	/* How many octets of message follow is not known, so nothing behind can be trusted. */
	if (!take_chunk_size(s, arg)) {
		ph__server_say(s, &(struct ph__server_reply){
			501, "5.5.4", "not of the form BDAT size [LAST]; closing" });
		ph__server_close(s, PH__SERVER_CLOSE_ABUSE);
		return;
	}
	s->phase = PH__PHASE_CHUNK;
	if ((s->chunk_refusal = no_recipients(s)) != NULL)
		return;
	if (!s->txn.chunked)
		ph__body_begin(&s->body, false);
	s->txn.chunked = true;
	if (s->o.size_max != 0 && s->chunk_left > s->o.size_max - s->body.octets)
		s->txn.over = true;
}

static void
end_chunk(struct ph__server *s)
{
	s->phase = PH__PHASE_COMMAND;
	if (s->chunk_refusal == NULL && s->chunk_last) {
		end_message(s);
		return;
	}
	if (ph__server_is_out_of_step(s))
		return;
	if (s->chunk_refusal != NULL) {
		refuse(s, s->chunk_refusal);
	} else if (s->txn.over) {
		ph__server_drop(s);
		ph__server_say(s, &too_big);
	} else {
		ph__server_ask(s, PH__SERVER_ON_COMMAND, 250, "2.0.0",
		               "chunk taken")->verb = "BDAT";
	}
}

bool
ph__server_chunk_step(struct ph__server *s)
{
	struct ph_str in = ph__server_octets(s), piece;
	size_t n;

	if (s->chunk_left == 0) {
		end_chunk(s);
		return true;
	}
	if (in.len == 0)
		return false;
	heard(s);
	n = in.len < s->chunk_left ? in.len : (size_t)s->chunk_left;
	if (s->chunk_refusal == NULL && !s->txn.over) {
		n = ph__body_next(&s->body, in.ptr, n, &piece);
		hand_on(s, piece);
	}
	ph__server_consume(s, n);
	s->chunk_left -= n;
	return true;
}

static void
end_transaction(struct ph__server *s)
{
	s->txn = (struct ph__server_txn){ .open = false };
	s->phase = PH__PHASE_COMMAND;
}

/* The final replies: one, or in LMTP one for each recipient that was accepted. */
bool
ph__server_ending_step(struct ph__server *s)
{
	if (s->txn.answered == (s->o.lmtp ? s->txn.accepted : 1)) {
		end_transaction(s);
	} else if (s->txn.refusal != NULL) {
		s->txn.answered++;
		ph__server_say(s, s->txn.refusal);
	} else {
		struct ph__server_event *ev = ph__server_ask(s, PH__SERVER_ON_MESSAGE, 250, "2.0.0",
		                                             "taken");

		ev->verb = s->txn.chunked ? "BDAT" : "DATA";
		ev->recipient = s->txn.answered;
	}
	return true;
}

void
ph__server_message_answered(struct ph__server *s)
{
	s->txn.answered++;
}
