/* SPDX-License-Identifier: MIT */
/* A message's octets on their way out: through ph__lines, and framed as DATA or BDAT want it.
 *
 * Under DATA the octets are queued as they pass. A BDAT chunk is preceded by its size: that of clean
 * octets is known at once; others are mended into a buffer first. */
#include "smtp/session.h"

#include <assert.h>
#include <stdio.h>

static bool
queue_piece(void *user, const char *p, size_t n, bool borrow)
{
	struct ph_smtp *s = user;

	if (borrow && n >= PH__BORROW_MIN)
		return ph__outq_borrow(&s->out, p, n);
	return ph__outq_copy(&s->out, p, n);
}

static bool
buffer_piece(void *user, const char *p, size_t n, bool borrow)
{
	(void)borrow;
	return ph__buf_add(user, p, n);
}

/* The message will not be completed: the session winds down. `drop`: not even what is queued goes. */
static void
give_up(struct ph_smtp *s, struct ph_txn *t, const struct ph_error *why, bool drop)
{
	bool is_input = why->code == PH_EINPUT || why->code == PH_EREFUSED;

	ph__txn_decide_all(t, is_input ? PH_REFUSED : PH_DEFERRED, why->code, PH_STAGE_BODY, why->cause,
	                   NULL);
	if (t->error.code == PH_OK)
		ph__error_copy(&t->error, why);
	t->phase = PH__TXN_WAITING;
	s->cur = NULL;
	ph__wind_down(s, drop);
	ph__check_winding(s);
}

/* An error of the message or of memory: the transaction is decided by it. What the call queued may
 * hold the end of the message already, so it is dropped: else the server would deliver it. */
static enum ph_code
lines_failed(struct ph_smtp *s, struct ph_txn *t, enum ph__lines_fault fault, struct ph_error *err)
{
	if (fault == PH__LINES_NOMEM) {
		ph__end_nomem(s);
		return ph__fail_nomem(err, PH_STAGE_BODY);
	}
	ph__fail(&t->error, PH_EINPUT, PH_STAGE_BODY, PH_CAUSE_CONTENT,
	         "the message has %s, near its octet %llu", ph__lines_fault_text(fault),
	         (unsigned long long)t->lines.wire_size);
	ph__hint(&t->error, "%s", fault == PH__LINES_BARE
	         ? "give every line CRLF, or let it be mended: --line-ends=normalise"
	         : "encode the part as base64 or quoted-printable");
	give_up(s, t, &t->error, true);
	ph__error_copy(err, &t->error);
	return PH_EINPUT;
}

/* 8-bit found midway in what a 7-bit server was to get (RFC 6152 §3). */
static bool
is_8bit_midway(const struct ph_smtp *s, const struct ph_txn *t)
{
	return t->lines.eight_bit && !ph__offers(s, PH__EXT_8BITMIME) &&
	       !s->opts.lenient && t->ends != PH_LINE_ENDS_BINARY && !t->bare;
}

static enum ph_code
refuse_8bit(struct ph_smtp *s, struct ph_txn *t, struct ph_error *err)
{
	struct ph_reply none = { .enhanced = { 5, 6, 3 }, .text = "" };

	ph__fail(&t->error, PH_EREFUSED, PH_STAGE_BODY, PH_CAUSE_NOT_OFFERED,
	         "the message is 8-bit, and the server does not offer 8BITMIME (RFC 6152)");
	ph__hint(&t->error, "encode its text as quoted-printable or base64");
	memcpy(t->error.enhanced, none.enhanced, sizeof none.enhanced);
	ph__txn_decide_all(t, PH_REFUSED, PH_EREFUSED, PH_STAGE_BODY, PH_CAUSE_NOT_OFFERED, &none);
	give_up(s, t, &t->error, true);
	ph__error_copy(err, &t->error);
	return PH_EREFUSED;
}

/* Larger than the server has said it takes, found midway. Exim has been seen to read what is over its
 * limit as commands: no octet of it goes out. */
static bool
is_too_large_midway(const struct ph_smtp *s, const struct ph_txn *t)
{
	return ph__offers(s, PH__EXT_SIZE) && s->ext.size != 0 && t->lines.wire_size > s->ext.size &&
	       !t->bare;
}

static enum ph_code
refuse_size(struct ph_smtp *s, struct ph_txn *t, struct ph_error *err)
{
	struct ph_reply none = { .enhanced = { 5, 3, 4 }, .text = "" };

	ph__fail(&t->error, PH_EREFUSED, PH_STAGE_BODY, PH_CAUSE_LIMIT,
	         "the message has more than the %llu octets that the server takes",
	         (unsigned long long)s->ext.size);
	ph__hint(&t->error, "send it in parts, or put the attachment where it can be fetched from");
	memcpy(t->error.enhanced, none.enhanced, sizeof none.enhanced);
	ph__txn_decide_all(t, PH_REFUSED, PH_EREFUSED, PH_STAGE_BODY, PH_CAUSE_LIMIT, &none);
	give_up(s, t, &t->error, true);
	ph__error_copy(err, &t->error);
	return PH_EREFUSED;
}

/* What was examined is not what came: SIZE was declared wrongly, and perhaps a part is missing. */
static bool
has_changed_length(const struct ph_txn *t)
{
	return t->facts.known && t->ends != PH_LINE_ENDS_BINARY &&
	       t->lines.wire_size != t->facts.wire_size;
}

static enum ph_code
refuse_length(struct ph_smtp *s, struct ph_txn *t, struct ph_error *err)
{
	ph__fail(&t->error, PH_ENOINPUT, PH_STAGE_BODY, PH_CAUSE_SOURCE,
	         "the message has %llu octets, and had %llu when it was examined",
	         (unsigned long long)t->lines.wire_size, (unsigned long long)t->facts.wire_size);
	give_up(s, t, &t->error, true);
	ph__error_copy(err, &t->error);
	return PH_ENOINPUT;
}

static enum ph__lines_fault
write_data(struct ph_smtp *s, struct ph_txn *t, const char *p, size_t n, bool last)
{
	enum ph__lines_fault fault = ph__lines_feed(&t->lines, p, n, queue_piece, s);

	if (fault == PH__LINES_OK && last)
		fault = ph__lines_end(&t->lines, queue_piece, s);
	if (fault == PH__LINES_OK && last && !ph__outq_copy(&s->out, ".\r\n", 3))
		fault = PH__LINES_NOMEM;
	return fault;
}

static bool
chunk_header(struct ph_smtp *s, uint64_t size, bool last)
{
	char line[48];
	int n = snprintf(line, sizeof line, "BDAT %llu%s\r\n", (unsigned long long)size,
	                 last ? " LAST" : "");

	ph__trace(s, '>', false, (struct ph_str){ line, (size_t)n - 2 });
	return ph__outq_copy(&s->out, line, (size_t)n);
}

/* Octets that go out as they are: a CR that ends them waits for the next chunk, one that waited
 * joins them. */
static uint64_t
clean_size(const struct ph_txn *t, const char *p, size_t n, bool last)
{
	if (t->ends == PH_LINE_ENDS_BINARY || n == 0)
		return n;
	return n + t->lines.held_cr - (p[n - 1] == '\r' && !last);
}

static enum ph__lines_fault
write_clean_chunk(struct ph_smtp *s, struct ph_txn *t, const char *p, size_t n, bool last)
{
	uint64_t size = clean_size(t, p, n, last), before = t->lines.wire_size;
	enum ph__lines_fault fault;

	if (size == 0 && !last)
		return ph__lines_feed(&t->lines, p, n, queue_piece, s);
	if (!chunk_header(s, size, last))
		return PH__LINES_NOMEM;
	fault = ph__lines_feed(&t->lines, p, n, queue_piece, s);
	if (fault == PH__LINES_OK && last)
		fault = ph__lines_end(&t->lines, queue_piece, s);
	/* not what it was when it was examined: the promised size is wrong */
	if (fault == PH__LINES_OK && t->lines.wire_size - before != size)
		fault = PH__LINES_BARE;
	if (fault == PH__LINES_OK && !ph__session_push(s, PH__V_BDAT, t, 0, last))
		fault = PH__LINES_NOMEM;
	return fault;
}

static enum ph__lines_fault
write_mended_chunk(struct ph_smtp *s, struct ph_txn *t, const char *p, size_t n, bool last)
{
	struct ph__buf mended;
	enum ph__lines_fault fault;

	ph__buf_init(&mended, &s->mem, 2 * PH__BODY_CHUNK + 64);
	fault = ph__lines_feed(&t->lines, p, n, buffer_piece, &mended);
	if (fault == PH__LINES_OK && last)
		fault = ph__lines_end(&t->lines, buffer_piece, &mended);
	if (fault == PH__LINES_OK && (mended.len != 0 || last)) {
		if (!chunk_header(s, mended.len, last) ||
		    !ph__outq_copy(&s->out, ph__buf_cstr(&mended), mended.len) ||
		    !ph__session_push(s, PH__V_BDAT, t, 0, last))
			fault = PH__LINES_NOMEM;
	}
	ph__buf_done(&mended);
	return fault;
}

static bool
is_known_clean(const struct ph_txn *t)
{
	return t->ends == PH_LINE_ENDS_BINARY || (t->facts.known && t->facts.clean);
}

/* The last octet is queued: what comes next may ride behind it (RFC 2920 §3.1). */
static void
complete(struct ph_smtp *s, struct ph_txn *t)
{
	t->all_written = true;
	t->phase = PH__TXN_WAITING;
	t->end = s->out.total;
	if (!t->chunked)
		s->fifo[(s->head + s->count - 1) % s->cap].end = t->end;
	ph__tracef(s, '>', "[%llu octets of message]", (unsigned long long)t->lines.wire_size);
	if (!t->chunked)
		ph__trace(s, '>', false, ph__str("."));
	s->cur = NULL;
}

enum ph_code
ph_smtp_body(struct ph_smtp *s, struct ph_txn *t, const void *octets, size_t n, bool last,
             struct ph_error *err)
{
	enum ph__lines_fault fault;

	if (t == NULL || t != s->cur || t->phase != PH__TXN_BODY || n > PH__BODY_CHUNK)
		return ph__fail(err, PH_EUSAGE, PH_STAGE_BODY, PH_CAUSE_STATE,
		                "octets of a message that nobody asked for");
	if (n == 0 && !last)
		return PH_OK;
	t->lines.eight_bit = false;
	if (!t->chunked)
		fault = write_data(s, t, octets, n, last);
	else if (is_known_clean(t))
		fault = write_clean_chunk(s, t, octets, n, last);
	else
		fault = write_mended_chunk(s, t, octets, n, last);
	if (fault != PH__LINES_OK)
		return lines_failed(s, t, fault, err);
	if (is_8bit_midway(s, t))
		return refuse_8bit(s, t, err);
	if (is_too_large_midway(s, t))
		return refuse_size(s, t, err);
	if (last && has_changed_length(t))
		return refuse_length(s, t, err);
	if (t->lines.wire_size > t->bytes) /* less only when it goes out once more */
		t->bytes = t->lines.wire_size;
	if (last)
		complete(s, t);
	ph__session_send_more(s);
	return PH_OK;
}

/* What was queued of it stays unfinished: under DATA no dot follows, under BDAT no LAST. */
void
ph_smtp_body_failed(struct ph_smtp *s, struct ph_txn *t, const struct ph_error *cause)
{
	struct ph_error why = PH_ERROR_INIT;

	if (t == NULL || t != s->cur || t->phase != PH__TXN_BODY)
		return;
	if (cause != NULL)
		ph__error_copy(&why, cause);
	if (why.code == PH_OK)
		ph__fail(&why, PH_ENOINPUT, PH_STAGE_BODY, PH_CAUSE_SOURCE,
		         "the message could not be read to its end");
	give_up(s, t, &why, false);
}
