/* SPDX-License-Identifier: MIT */
/* The server session: phases, events, answers, replies. See server.h.
 *
 *   COMMAND --AUTH--> AUTH --> COMMAND
 *           --DATA 354--> DATA --CRLF.CRLF--> ENDING --> COMMAND
 *           --BDAT n--> CHUNK --n octets--> COMMAND, or with LAST: ENDING
 *           --STARTTLS 220--> TLS --tls_done--> COMMAND
 *   any     --QUIT, 421, end of input, time out--> CLOSING --all sent--> CLOSED
 *
 * advance() does one step of a phase; it is called until an event is there, an answer is waited
 * for, or input is lacking. Replies go out through one writer (ph__server_say), which never passes
 * on a control character. Lack of memory sticks in a buffer and is looked at in one place
 * (advance).
 *
 * While replies are not being read by the client nothing more is taken in, so that memory is
 * bounded however much is pipelined. */
#include "smtp/server_private.h"

#include <assert.h>

#include "base/error.h"

enum ph_code
ph__server_new(struct ph__server **ret, const struct ph__server_opts *opts,
               const struct ph_allocator *mem, uint64_t now, struct ph_error *err)
{
	struct ph__server *s;

	if (mem == NULL)
		mem = &ph__libc_memory;
	if ((s = ph__alloc0(mem, sizeof *s)) == NULL)
		return ph__fail_nomem(err, PH_STAGE_PREPARE);
	s->mem = *mem;
	s->o = *opts;
	s->now = now;
	s->tls = opts->tls;
	if (s->o.recipients_max == 0)
		s->o.recipients_max = PH__SERVER_RECIPIENTS;
	if (s->o.errors_max == 0)
		s->o.errors_max = PH__SERVER_ERRORS;
	if (s->o.idle_ms == 0)
		s->o.idle_ms = PH__MS_COMMAND;
	ph__buf_init(&s->held, &s->mem, 2 * PH__SERVER_FEED_MAX);
	ph__buf_init(&s->out, &s->mem, PH__SERVER_OUT_MAX);
	ph__buf_init(&s->scratch, &s->mem, PH__SERVER_TEXT_MAX);
	ph__buf_init(&s->auth.user, &s->mem, PH__AUTH_LINE_MAX);
	ph__buf_init(&s->auth.secret, &s->mem, PH__AUTH_LINE_MAX);
	s->auth.user.secret = s->auth.secret.secret = true;
	s->auth.offered = "PLAIN LOGIN";
	ph__buf_init(&s->auth.verdict, &s->mem, 2 * PH__SERVER_TEXT_MAX);
	ph__buf_init(&s->domains, &s->mem, (PH__DOMAIN_MAX + 2) * (s->o.limits.domain_max + 1));
	s->name = ph__strdup(&s->mem, opts->name != NULL ? opts->name : "localhost");
	if (s->name == NULL ||
	    !ph__buf_addf(&s->scratch, "%s %s posthaste", s->name, s->o.lmtp ? "LMTP" : "ESMTP")) {
		ph__server_free(&s);
		return ph__fail_nomem(err, PH_STAGE_PREPARE);
	}
	ph__server_ask(s, PH__SERVER_ON_CONNECT, 220, NULL, ph__buf_cstr(&s->scratch));
	*ret = s;
	return PH_OK;
}

void
ph__server_free(struct ph__server **ps)
{
	struct ph__server *s = *ps;
	struct ph_allocator mem;

	if (s == NULL)
		return;
	mem = s->mem;
	ph__buf_done(&s->held);
	ph__buf_done(&s->out);
	ph__buf_done(&s->scratch);
	ph__buf_done(&s->auth.user);
	ph__buf_done(&s->auth.secret);
	ph__buf_done(&s->auth.verdict);
	ph__buf_done(&s->domains);
	ph__free(&mem, s->name);
	ph__free(&mem, s);
	*ps = NULL;
}

static void
touch(struct ph__server *s)
{
	s->deadline = s->now + s->o.idle_ms;
}

/* One line of a reply: "250-2.1.0 text CRLF". RFC 2034 §4: 2yz, 4yz and 5yz only. */
static void
add_line(const struct ph__server *s, const struct ph__server_reply *r, struct ph_str text, bool last,
         struct ph__buf *to)
{
	char code[4] = { (char)('0' + r->code / 100), (char)('0' + r->code / 10 % 10),
		         (char)('0' + r->code % 10), last ? ' ' : '-' };

	ph__buf_add(to, code, sizeof code);
	if (r->enhanced != NULL && ph__server_has(s, PH__SERVER_EXT_ENHANCEDSTATUSCODES)) {
		ph__buf_add_str(to, r->enhanced);
		ph__buf_add_char(to, ' ');
	}
	ph__buf_add(to, text.ptr, text.len);
	ph__buf_add(to, "\r\n", 2);
}

static void
add_reply(const struct ph__server *s, const struct ph__server_reply *r, struct ph__buf *to)
{
	struct ph_str rest = ph__str(r->text);
	const char *nl;

	while ((nl = memchr(rest.ptr, '\n', rest.len)) != NULL) {
		size_t n = (size_t)(nl - rest.ptr);

		add_line(s, r, (struct ph_str){ rest.ptr, n }, false, to);
		rest.ptr += n + 1;
		rest.len -= n + 1;
	}
	add_line(s, r, rest, true, to);
}

void
ph__server_say(struct ph__server *s, const struct ph__server_reply *r)
{
	add_reply(s, r, &s->out);
	touch(s);
}

void
ph__server_close(struct ph__server *s, enum ph__server_close why)
{
	if (s->phase >= PH__PHASE_CLOSING)
		return;
	ph__server_drop(s);
	ph__server_auth_end(s);
	s->asking = PH__SERVER_NOTHING;
	s->ev_ready = false;
	s->phase = PH__PHASE_CLOSING;
	s->why = why;
	touch(s);
}

void
ph__server_drop(struct ph__server *s)
{
	if (s->txn.open)
		s->dropped = true;
	s->txn = (struct ph__server_txn){ .open = false };
}

void
ph__server_error(struct ph__server *s, uint16_t code, const char *enhanced, const char *text)
{
	if (++s->errors < s->o.errors_max) {
		ph__server_say(s, &(struct ph__server_reply){ code, enhanced, text });
		return;
	}
	ph__server_say(s, &(struct ph__server_reply){ 421, "4.7.0", "too many errors, closing" });
	ph__server_close(s, PH__SERVER_CLOSE_ABUSE);
}

struct ph__server_event *
ph__server_ask(struct ph__server *s, enum ph__server_event_type type, uint16_t code,
               const char *enhanced, const char *text)
{
	assert(s->asking == PH__SERVER_NOTHING && !s->ev_ready);
	s->asking = type;
	s->ev = (struct ph__server_event){ .type = type, .asks = true,
		                           .reply = { code, enhanced, text } };
	s->ev_ready = true;
	return &s->ev;
}

/* Octets behind a command that has no answer yet, from a client which was not told PIPELINING. A
 * client that counts on it is in error, and a test that lets it pass hides that error; Postfix,
 * too, cuts such a client off (smtpd_forbid_unauth_pipelining). */
bool
ph__server_is_out_of_step(struct ph__server *s)
{
	if (ph__server_has(s, PH__SERVER_EXT_PIPELINING) || ph__server_unread(s) == 0)
		return false;
	ph__server_say(s, &(struct ph__server_reply){
		554, "5.5.0", "commands sent ahead, but PIPELINING was not offered; closing" });
	ph__server_close(s, PH__SERVER_CLOSE_ABUSE);
	return true;
}

static bool
is_bdat(struct ph_str line)
{
	return ph__str_begins(line, "BDAT ");
}

static bool
line_step(struct ph__server *s)
{
	struct ph_str line;
	bool bare_lf = false;

	switch (ph__server_take_line(s, &line, &bare_lf)) {
	case PH__LINE_NONE:
		return false;
	case PH__LINE_TOO_LONG:
		s->phase = PH__PHASE_COMMAND;
		ph__server_auth_end(s);
		ph__server_error(s, 500, "5.5.6", "the line is too long");
		return true;
	case PH__LINE_TAKEN:
		break;
	}
	if (bare_lf && s->o.strict_line_ends)
		ph__server_error(s, 500, "5.5.2", "a line must end with CRLF, not with LF alone");
	else if (!(is_bdat(line) && ph__server_has(s, PH__SERVER_EXT_CHUNKING)) &&
	         ph__server_is_out_of_step(s))
		return true;
	else if (s->phase == PH__PHASE_AUTH)
		ph__server_auth_line(s, line);
	else
		ph__server_command(s, line);
	return true;
}

static bool
ending_step(struct ph__server *s)
{
	return (s->txn.answered == 0 && ph__server_is_out_of_step(s)) || ph__server_ending_step(s);
}

static bool
tls_step(struct ph__server *s)
{
	if (s->ev.type == PH__SERVER_WANT_TLS || s->sent != s->out.len)
		return false;
	s->ev = (struct ph__server_event){ .type = PH__SERVER_WANT_TLS };
	s->ev_ready = true;
	return true;
}

static bool
closing_step(struct ph__server *s)
{
	ph__server_discard(s);
	if (s->sent != s->out.len)
		return false;
	s->phase = PH__PHASE_CLOSED;
	s->ev = (struct ph__server_event){ .type = PH__SERVER_CLOSED, .why = s->why };
	s->ev_ready = true;
	return true;
}

static bool
closed_step(struct ph__server *s)
{
	ph__server_discard(s);
	return false;
}

static bool (*const steps[])(struct ph__server *) = {
	[PH__PHASE_COMMAND] = line_step,
	[PH__PHASE_AUTH] = line_step,
	[PH__PHASE_DATA] = ph__server_data_step,
	[PH__PHASE_CHUNK] = ph__server_chunk_step,
	[PH__PHASE_ENDING] = ending_step,
	[PH__PHASE_TLS] = tls_step,
	[PH__PHASE_CLOSING] = closing_step,
	[PH__PHASE_CLOSED] = closed_step,
};

/* Nothing can be said any more: what is queued may be torn. */
static void
out_of_memory(struct ph__server *s)
{
	ph__server_close(s, PH__SERVER_CLOSE_MEMORY);
	s->why = PH__SERVER_CLOSE_MEMORY;
	ph__buf_reset(&s->out);
	ph__buf_reset(&s->held);
	ph__buf_reset(&s->domains);
	s->sent = s->off = s->domains_len = 0;
}

static bool
advance(struct ph__server *s)
{
	bool ok = ph__buf_ok(&s->out) && ph__buf_ok(&s->held) && ph__buf_ok(&s->domains);

	if (!ok)
		out_of_memory(s);
	if (s->phase < PH__PHASE_TLS && s->out.len - s->sent > PH__SERVER_OUT_HIGH)
		return false;
	if (steps[s->phase](s))
		return true;
	if (!ph__buf_ok(&s->held))
		return true;
	if (s->eof && s->phase < PH__PHASE_CLOSING) {
		ph__server_close(s, PH__SERVER_CLOSE_EOF);
		return true;
	}
	return false;
}

bool
ph__server_next_event(struct ph__server *s, struct ph__server_event *ev)
{
	ph__server_tidy(s);
	for (;;) {
		if (s->dropped) {
			s->dropped = false;
			*ev = (struct ph__server_event){ .type = PH__SERVER_ON_DROPPED };
			return true;
		}
		if (s->ev_ready) {
			s->ev_ready = false;
			*ev = s->ev;
			return true;
		}
		if (s->asking != PH__SERVER_NOTHING || !advance(s))
			break;
	}
	ph__server_keep(s);
	return false;
}

/* No enhanced code, no text may break out of its line. */
static bool
can_be_said(const struct ph__server_reply *r)
{
	struct ph_str text = ph__str(r->text), enhanced = ph__str(r->enhanced);

	if (r->code < 200 || r->code > 599 || r->text == NULL || text.len > PH__SERVER_TEXT_MAX ||
	    enhanced.len > 11 || ph__str_has_control(enhanced))
		return false;
	for (size_t i = 0; i < text.len; i++)
		if (ph__is_control(text.ptr[i]) && text.ptr[i] != '\n')
			return false;
	return true;
}

/* RFC 3207 §4.2: what stands in clear behind STARTTLS may be an attacker's, to be obeyed as if it
 * had come through TLS (CVE-2011-0411). No honest client sends any. */
static bool
refuse_injection(struct ph__server *s)
{
	if (ph__server_unread(s) == 0)
		return false;
	ph__server_say(s, &(struct ph__server_reply){ 554, "5.5.0",
	               "octets in clear behind STARTTLS; closing" });
	ph__server_close(s, PH__SERVER_CLOSE_ABUSE);
	return true;
}

static enum ph_code
settle(struct ph__server *s, const struct ph__server_reply *r, bool said, uint64_t now)
{
	enum ph__server_event_type type = s->asking;

	s->now = now;
	s->asking = PH__SERVER_NOTHING;
	if (type == PH__SERVER_ON_STARTTLS && r->code == 220 && refuse_injection(s))
		return PH_OK;
	if (said)
		touch(s);
	else if (type == PH__SERVER_ON_AUTH && ph__server_auth_explains(s, r))
		return PH_OK;
	else
		ph__server_say(s, r);
	ph__server_answered(s, type, r->code);
	if (r->code == 421) {
		/* What was answered before for this message stands: it is not told as dropped. */
		s->txn.open = s->txn.open && type != PH__SERVER_ON_MESSAGE;
		ph__server_close(s, PH__SERVER_CLOSE_REFUSED);
	}
	return PH_OK;
}

enum ph_code
ph__server_answer(struct ph__server *s, const struct ph__server_reply *reply, uint64_t now)
{
	struct ph__server_reply r = reply != NULL ? *reply : s->ev.reply;

	if (s->asking == PH__SERVER_NOTHING || s->ev_ready)
		return PH_EUSAGE;
	return can_be_said(&r) ? settle(s, &r, false, now) : PH_EINPUT;
}

enum ph_code
ph__server_answered_as(struct ph__server *s, uint16_t code, uint64_t now)
{
	if (s->asking == PH__SERVER_NOTHING || s->ev_ready)
		return PH_EUSAGE;
	return settle(s, &(struct ph__server_reply){ .code = code }, true, now);
}

bool
ph__server_format(const struct ph__server *s, const struct ph__server_reply *r, struct ph__buf *to)
{
	if (!can_be_said(r))
		return false;
	add_reply(s, r, to);
	return ph__buf_ok(to);
}

enum ph_code
ph__server_feed(struct ph__server *s, const void *in, size_t len, uint64_t now,
                struct ph_error *err)
{
	if (s->phase >= PH__PHASE_CLOSING)
		return PH_OK;
	if (s->phase == PH__PHASE_TLS || s->lent.len != 0 || len > PH__SERVER_FEED_MAX ||
	    len > s->held.max - (s->held.len - s->off))
		return ph__fail(err, PH_EUSAGE, PH_STAGE_PREPARE, PH_CAUSE_STATE,
		                "the server session was fed out of turn");
	s->now = now;
	s->lent = (struct ph_str){ in, len };
	return PH_OK;
}

void
ph__server_feed_eof(struct ph__server *s, uint64_t now)
{
	s->now = now;
	s->eof = true;
}

bool
ph__server_wants_input(const struct ph__server *s)
{
	return s->phase < PH__PHASE_TLS && s->asking == PH__SERVER_NOTHING && !s->eof &&
	       s->out.len - s->sent <= PH__SERVER_OUT_HIGH;
}

bool
ph__server_is_closed(const struct ph__server *s)
{
	return s->phase == PH__PHASE_CLOSED;
}

size_t
ph__server_pull(const struct ph__server *s, struct iovec *iov, size_t max)
{
	if (max == 0 || s->sent == s->out.len || !ph__buf_ok(&s->out))
		return 0;
	iov[0].iov_base = s->out.p + s->sent;
	iov[0].iov_len = s->out.len - s->sent;
	return 1;
}

void
ph__server_sent(struct ph__server *s, size_t n, uint64_t now)
{
	assert(n <= s->out.len - s->sent);
	s->now = now;
	s->sent += n;
	if (s->sent == s->out.len || s->sent > PH__SERVER_OUT_HIGH) {
		ph__buf_drop_front(&s->out, s->sent);
		s->sent = 0;
	}
}

uint64_t
ph__server_deadline(const struct ph__server *s)
{
	return s->phase == PH__PHASE_CLOSED || s->asking != PH__SERVER_NOTHING ? UINT64_MAX
	                                                                       : s->deadline;
}

void
ph__server_tick(struct ph__server *s, uint64_t now)
{
	s->now = now;
	if (now < ph__server_deadline(s))
		return;
	if (s->phase < PH__PHASE_TLS)
		ph__server_say(s, &(struct ph__server_reply){
			421, "4.4.2", "nothing heard, closing" });
	if (s->phase >= PH__PHASE_TLS)
		s->sent = s->out.len; /* it does not read, or cannot: no use in waiting */
	ph__server_close(s, PH__SERVER_CLOSE_TIMEOUT);
}

void
ph__server_tls_done(struct ph__server *s, uint64_t now)
{
	assert(s->phase == PH__PHASE_TLS);
	s->now = now;
	s->tls = true;
	s->hello = PH__HELLO_NONE;
	s->authenticated = false;
	s->transactions = 0;
	s->ev.type = PH__SERVER_NOTHING;
	s->phase = PH__PHASE_COMMAND;
	touch(s);
}

void
ph__server_shutdown(struct ph__server *s, uint64_t now)
{
	s->now = now;
	if (s->phase < PH__PHASE_TLS)
		ph__server_say(s, &(struct ph__server_reply){ 421, "4.3.2", "shutting down" });
	ph__server_close(s, PH__SERVER_CLOSE_REFUSED);
}

void
ph__server_offer_mechanisms(struct ph__server *s, const char *mechanisms)
{
	s->auth.offered = mechanisms;
}

void
ph__server_set_authenticated(struct ph__server *s, bool yes)
{
	s->authenticated = yes;
}

const struct ph__body *
ph__server_body(const struct ph__server *s)
{
	return &s->body;
}

bool
ph__server_is_chunked(const struct ph__server *s)
{
	return s->txn.chunked;
}

const char *
ph__server_protocol(const struct ph__server *s)
{
	static const char *const names[2][2][4] = {
		{ { "ESMTP", "ESMTPS", "ESMTPA", "ESMTPSA" },
		  { "UTF8SMTP", "UTF8SMTPS", "UTF8SMTPA", "UTF8SMTPSA" } },
		{ { "LMTP", "LMTPS", "LMTPA", "LMTPSA" },
		  { "UTF8LMTP", "UTF8LMTPS", "UTF8LMTPA", "UTF8LMTPSA" } },
	};

	if (s->hello == PH__HELLO_HELO)
		return "SMTP";
	return names[s->o.lmtp][s->txn.utf8][(s->tls ? 1 : 0) + (s->authenticated ? 2 : 0)];
}
