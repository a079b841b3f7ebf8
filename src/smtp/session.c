/* SPDX-License-Identifier: MIT */
/* The client session: octets in, octets out, events, time. See session.h for its shape.
 *
 * feed() only keeps octets; they are parsed by next_event(), one reply at a time, so that there is
 * never more than one reply to remember and the texts need not be copied. */
#include "smtp/session.h"

#include "base/base64.h"
#include "base/escape.h"

#define QUOTED_MAX 80              /* octets of what is no reply */
#define TOKEN_MIN 12               /* octets: an access token cannot be guessed; shorter are words */
#define FEED_MAX ((size_t)1 << 20) /* octets kept for next_event(): many flights' replies */

/* ---- life ------------------------------------------------------------------------------------ */

static void
take_opts(struct ph_smtp *s, const struct ph_smtp_opts *opts)
{
	size_t n = opts->size < sizeof s->opts ? opts->size : sizeof s->opts;

	memcpy(&s->opts, opts, n);
	if (s->opts.window == 0)
		s->opts.window = PH__WINDOW_DEFAULT;
	if (s->opts.window > PH__WINDOW_MAX)
		s->opts.window = PH__WINDOW_MAX;
	s->opts.memory = &s->mem;
}

static void
await_greeting(struct ph_smtp *s)
{
	s->phase = PH__GREETING;
	if (!ph__session_push(s, PH__V_GREETING, NULL, 0, false))
		ph__end_nomem(s);
	s->reply_clock = true;
	s->reply_since = s->now;
}

enum ph_code
ph_smtp_new(struct ph_smtp **ret, const struct ph_smtp_opts *opts, uint64_t now_ms)
{
	static const struct ph_smtp_opts defaults = { PH_SMTP_OPTS_INIT };
	const struct ph_allocator *mem;
	struct ph_smtp *s;

	if (opts == NULL)
		opts = &defaults;
	mem = opts->memory != NULL ? opts->memory : &ph__libc_memory;
	if ((s = ph__alloc0(mem, sizeof *s)) == NULL)
		return PH_ESYSTEM;
	s->mem = *mem;
	take_opts(s, opts);
	s->now = now_ms;
	s->window = 1;
	s->error.size = sizeof s->error;
	ph__buf_init(&s->in, &s->mem, FEED_MAX);
	ph__buf_init(&s->auth_initial, &s->mem, PH__AUTH_LINE_MAX);
	s->auth_initial.secret = true;
	ph__buf_init(&s->auth_sent, &s->mem, PH__AUTH_LINE_MAX);
	ph__buf_init(&s->challenge, &s->mem, PH__REPLY_BYTES_MAX);
	ph__buf_init(&s->trace, &s->mem, (size_t)2 << 20);
	ph__reply_init(&s->parser, &s->mem);
	ph__outq_init(&s->out, &s->mem);
	ph__ext_init(&s->ext, &s->mem);
	if (s->opts.implicit_tls) {
		s->phase = PH__TLS;
		s->implicit = s->ev_tls = true;
	} else {
		await_greeting(s);
	}
	if (s->phase == PH__CLOSED) {
		ph_smtp_free(s);
		return PH_ESYSTEM;
	}
	*ret = s;
	return PH_OK;
}

void
ph_smtp_free(struct ph_smtp *s)
{
	struct ph_error why = PH_ERROR_INIT;
	struct ph_allocator mem;

	if (s == NULL)
		return;
	ph__fail(&why, PH_ECANCELLED, ph__session_stage(s), PH_CAUSE_CANCELLED,
	         "the session was given up");
	ph__end(s, &why, NULL);
	for (struct ph_txn *t = s->finished; t != NULL; t = t->next)
		t->phase = PH__TXN_IDLE;
	ph__buf_done(&s->in);
	ph__buf_done(&s->auth_initial);
	ph__buf_done(&s->auth_sent);
	ph__buf_done(&s->challenge);
	ph__buf_done(&s->trace);
	ph__reply_done(&s->parser);
	ph__outq_done(&s->out);
	ph__ext_done(&s->ext);
	ph__free(&s->mem, s->fifo);
	for (size_t i = 0; i < s->domain_count; i++)
		ph__free(&s->mem, s->domains[i]);
	ph__free(&s->mem, s->domains);
	mem = s->mem;
	ph__free(&mem, s);
}

void
ph_smtp_tls_done(struct ph_smtp *s, bool verified, uint64_t now_ms)
{
	s->now = now_ms;
	if (s->phase != PH__TLS)
		return;
	/* RFC 3207 §4.2: nothing learnt before the handshake may be used after it */
	ph__ext_forget(&s->ext);
	s->rcpt_limit = 0;
	s->esmtp = false;
	s->tls = true;
	s->verified = verified;
	if (s->implicit) {
		s->implicit = false;
		await_greeting(s);
	} else {
		s->phase = PH__HELLO;
	}
}

/* ---- replies --------------------------------------------------------------------------------- */

void
ph__session_tell_reply(struct ph_smtp *s, enum ph__verb v, const struct ph_reply *r)
{
	s->ev_reply = true;
	s->reply_verb = ph__verbs[v].name;
	s->reply = *r;
}

/* A 421 that belongs to no command: the server goes away by itself (RFC 5321 §3.8). Anything else
 * unasked means that replies and commands are out of step. */
static void
take_unasked(struct ph_smtp *s, const struct ph_reply *r)
{
	struct ph_error why = PH_ERROR_INIT;
	char quoted[PH__QUOTE_SIZE];

	ph__quote(quoted, (struct ph_str){ r->text, r->len });
	if (r->code != 421) {
		ph__end_with(s, PH_EPROTOCOL, ph__session_stage(s), PH_CAUSE_UNASKED_REPLY,
		             "the server sent a reply that belongs to no command: %u %s", r->code, quoted);
		return;
	}
	ph__fail(&why, PH_EDEFERRED, ph__session_stage(s), PH_CAUSE_REPLY,
	         "the server closes the connection: 421 %s", quoted);
	why.reply = r->code;
	ph__end(s, &why, r);
}

static void
end_by_421(struct ph_smtp *s, enum ph_stage stage, const struct ph_reply *r)
{
	struct ph_error why = PH_ERROR_INIT;
	char quoted[PH__QUOTE_SIZE];

	ph__fail(&why, PH_EDEFERRED, stage, PH_CAUSE_REPLY, "the server closes the connection: 421 %s",
	         ph__quote(quoted, (struct ph_str){ r->text, r->len }));
	why.reply = r->code;
	memcpy(why.enhanced, r->enhanced, sizeof why.enhanced);
	ph__end(s, &why, r);
}

/* What a server says behind our response may be made of the password: with SCRAM's signature or
 * DIGEST-MD5's rspauth, guesses can be tried at leisure by whoever is given the transcript. */
static bool
answers_a_response(const struct ph_smtp *s, const struct ph_reply *r)
{
	return r->code == 334 && s->auth_by_mechanism && s->count != 0 &&
	       s->fifo[s->head].verb == PH__V_AUTH_STEP;
}

static void
trace_reply(struct ph_smtp *s, const struct ph_reply *r)
{
	struct ph_str rest = { r->text, r->len };
	bool refused = r->code >= 400;

	if (answers_a_response(s, r) && !s->opts.show_secrets)
		rest = ph__str("[hidden]");

	while (s->opts.trace) {
		const char *lf = memchr(rest.ptr, '\n', rest.len);
		size_t n = lf != NULL ? (size_t)(lf - rest.ptr) : rest.len;
		struct ph__buf line;

		ph__buf_init(&line, &s->mem, PH__REPLY_LINE_MAX + 8);
		ph__buf_addf(&line, "%u%c", r->code, lf != NULL ? '-' : ' ');
		ph__buf_add(&line, rest.ptr, n);
		ph__trace(s, '<', refused, ph__buf_str(&line));
		ph__buf_done(&line);
		if (lf == NULL)
			return;
		rest.ptr += n + 1;
		rest.len -= n + 1;
	}
}

/* False: it is not in the text. */
static bool
hide(char *text, size_t n, struct ph_str secret)
{
	char *at = text, *hit;

	for (; secret.len >= PH__SECRET_MIN &&
	     (hit = memmem(at, (size_t)(text + n - at), secret.ptr, secret.len)) != NULL;
	     at = hit + secret.len)
		memset(hit, '*', secret.len);
	return at != text;
}

/* What is secret in a response: the token of OAUTHBEARER and XOAUTH2, what stands last in PLAIN's,
 * all of LOGIN's. */
static struct ph_str
innermost(struct ph_str response, bool *is_token)
{
	static const char bearer[] = "auth=Bearer ";
	const char *end = response.ptr + response.len;
	const char *p = memmem(response.ptr, response.len, bearer, sizeof bearer - 1), *behind;

	*is_token = p != NULL;
	if (p != NULL) {
		p += sizeof bearer - 1;
		behind = memchr(p, '\1', (size_t)(end - p));
		return (struct ph_str){ p, (size_t)((behind != NULL ? behind : end) - p) };
	}
	p = memrchr(response.ptr, '\0', response.len);
	return p != NULL ? (struct ph_str){ p + 1, (size_t)(end - p) - 1 } : response;
}

/* A challenge behind a token is the refusal in words, and may quote it. False: out of memory. */
static bool
hide_in_challenge(struct ph_smtp *s, char *text, size_t n, struct ph_str token)
{
	struct ph__buf said, shown;

	ph__buf_init(&said, &s->mem, PH__REPLY_BYTES_MAX);
	ph__buf_init(&shown, &s->mem, PH__REPLY_BYTES_MAX);
	said.secret = true;
	if (ph__base64_decode(&said, (struct ph_str){ text, n }) && said.len != 0 &&
	    hide(said.p, said.len, token) && ph__base64_encode(&shown, said.p, said.len, false))
		memcpy(text, shown.p, n); /* strict base64: as long as it was */
	ph__buf_done(&said);
	ph__buf_done(&shown);
	return said.state != PH__BUF_NOMEM && shown.state != PH__BUF_NOMEM;
}

/* Servers have been seen that quote the line they do not like: ours, with the password in it. What
 * we sent is made unreadable before anybody sees the reply, to the session's end; in the answer to AUTH
 * the password or token as it is, too. False: out of memory. */
static bool
hide_echo(struct ph_smtp *s, const struct ph_reply *r)
{
	struct ph_str sent = ph__buf_str(&s->auth_sent), secret;
	char *text = (char *)r->text; /* it is in our own buffers */
	struct ph__buf raw;
	bool is_token, ok = true;

	(void)hide(text, r->len, sent);
	if (sent.len == 0 || (!s->hide_next && ph__session_stage(s) != PH_STAGE_AUTH))
		return true;
	ph__buf_init(&raw, &s->mem, PH__AUTH_LINE_MAX);
	raw.secret = true;
	if (ph__base64_decode(&raw, sent)) {
		secret = innermost(ph__buf_str(&raw), &is_token);
		if (is_token && secret.len < TOKEN_MIN)
			ok = true;
		else if (r->code != 334)
			(void)hide(text, r->len, secret);
		else if (is_token)
			ok = hide_in_challenge(s, text, r->len, secret);
	}
	ok = ok && raw.state != PH__BUF_NOMEM;
	ph__buf_done(&raw);
	return ok;
}

/* AUTH spoken by hand, as a command or as octets: what answers its 334 is secret. */
static bool
asks_by_hand(const struct ph_smtp *s, const struct ph__flight *f)
{
	bool is_auth = f->verb == PH__V_AUTH || f->verb == PH__V_AUTH_STEP;

	return s->hide_next || f->verb == PH__V_RAW || (is_auth && !s->auth_by_mechanism);
}

static void
take_reply(struct ph_smtp *s, const struct ph_reply *r)
{
	struct ph__flight f;
	bool midway; /* a message may be refused before its end, once it has begun */

	if (!hide_echo(s, r)) {
		ph__end_nomem(s);
		return;
	}
	trace_reply(s, r);
	s->rate_clock = false;
	if (s->count == 0) {
		take_unasked(s, r);
		return;
	}
	f = s->fifo[s->head];
	midway = f.end > s->out.sent &&
	         (f.verb == PH__V_BODY || (f.verb == PH__V_BDAT && f.begin < s->out.sent));
	if (f.end > s->out.sent && !midway && r->code != 421) {
		ph__end_with(s, PH_EPROTOCOL, ph__verbs[f.verb].stage, PH_CAUSE_EARLY_REPLY,
		             "the server answered %u before it had the command", r->code);
		return;
	}
	if (ph__finals_left(s, &f) == 1 || midway)
		ph__session_pop(s);
	s->reply_since = s->now;
	s->reply_clock = s->count != 0 && s->fifo[s->head].end <= s->out.sent;
	s->hide_next = r->code == 334 && asks_by_hand(s, &f);
	ph__verbs[f.verb].on_reply(s, &f, r);
	if (r->code == 421)
		end_by_421(s, ph__verbs[f.verb].stage, r);
	if (s->phase == PH__CLOSED)
		return;
	ph__maybe_finish(s, f.txn);
	ph__check_winding(s);
	ph__session_send_more(s);
}

/* What looks like TLS in place of a greeting: an alert or a handshake record. Later it is garbage: a
 * server that has spoken in clear does not speak TLS from the first octet. */
static bool
is_tls_record(const struct ph_smtp *s)
{
	const unsigned char *p = (const unsigned char *)s->in.p + s->in_at;

	return (p[0] == 0x15 || p[0] == 0x16) && (s->in.len - s->in_at < 2 || p[1] == 3);
}

static void
end_by_garbage(struct ph_smtp *s, size_t from)
{
	struct ph_str line = s->parser.line;
	char quoted[PH__QUOTE_SIZE];

	s->in_at = from;
	if (s->phase == PH__GREETING && !s->tls && is_tls_record(s)) {
		ph__end_with(s, PH_ESECURITY, ph__session_stage(s), PH_CAUSE_CLEAR_ON_TLS,
		             "the server speaks TLS from the first octet, and we spoke clear text");
		ph__hint(&s->error, "use --tls=implicit, or an smtps:// URL");
		return;
	}
	if (s->auth_sent.len != 0) /* it may quote that, in part */
		line.len = 0;
	if (line.len > QUOTED_MAX)
		line.len = QUOTED_MAX;
	ph__end_with(s, PH_EPROTOCOL, ph__session_stage(s),
	             s->parser.endless ? PH_CAUSE_LIMIT : PH_CAUSE_GARBAGE, "%s: %s%s%s%s",
	             s->phase == PH__GREETING ? "the server does not speak SMTP"
	                                      : "the server's answer is not SMTP",
	             s->parser.why, line.len != 0 ? ": \"" : "", ph__quote(quoted, line),
	             line.len != 0 ? "\"" : "");
}

/* Octets wait to be parsed, and somebody waits for a reply. */
static bool
may_parse(const struct ph_smtp *s)
{
	if (s->in_at == s->in.len || s->phase == PH__CLOSED || s->phase == PH__TLS)
		return false;
	return s->count != 0 || !s->raw;
}

/* Parses one reply; false when there is none. */
static bool
parse_one(struct ph_smtp *s)
{
	struct ph_reply r = { 0 };
	size_t used, from = s->in_at;

	if (!may_parse(s))
		return false;
	switch (ph__reply_feed(&s->parser, s->in.p + s->in_at, s->in.len - s->in_at, &used, &r)) {
	case PH__REPLY_MORE:
		s->in_at += used;
		return false;
	case PH__REPLY_NOMEM:
		ph__end_nomem(s);
		return true;
	case PH__REPLY_BAD:
		end_by_garbage(s, from);
		return true;
	case PH__REPLY_DONE:
		break;
	}
	s->in_at += used;
	take_reply(s, &r);
	return true;
}

/* ---- octets ---------------------------------------------------------------------------------- */

enum ph_code
ph_smtp_feed(struct ph_smtp *s, const void *octets, size_t n, uint64_t now_ms)
{
	s->now = now_ms;
	if (s->phase == PH__CLOSED || n == 0)
		return PH_OK;
	if (s->phase == PH__TLS) { /* only the handshake may have what comes now */
		ph__end_by_injection(s, n);
		return PH_ESECURITY;
	}
	s->turn = false;
	ph__buf_drop_front(&s->in, s->in_at);
	s->in_at = 0;
	if (s->in.len == 0)
		s->in.state = PH__BUF_OK;
	if (!ph__buf_add(&s->in, octets, n)) {
		if (s->in.state == PH__BUF_NOMEM) {
			ph__end_nomem(s);
			return PH_ESYSTEM;
		}
		ph__end_with(s, PH_EPROTOCOL, ph__session_stage(s), PH_CAUSE_LIMIT,
		             "the server sends without end");
		return PH_EPROTOCOL;
	}
	if (!s->rate_clock) {
		s->rate_clock = true;
		s->rate_since = now_ms;
		s->rate_octets = 0;
	}
	s->rate_octets += n;
	return PH_OK;
}

/* What the peer had sent before it closed is still parsed; then next_event() ends the session. */
void
ph_smtp_feed_eof(struct ph_smtp *s, const struct ph_error *cause, uint64_t now_ms)
{
	s->now = now_ms;
	if (s->phase == PH__CLOSED || s->eof)
		return;
	s->eof = true;
	s->eof_cause.size = sizeof s->eof_cause;
	s->eof_cause.code = PH_OK;
	if (cause != NULL)
		ph__error_copy(&s->eof_cause, cause);
}

static bool
end_by_eof(struct ph_smtp *s)
{
	struct ph_error why = PH_ERROR_INIT;
	const char *silence;

	if (!s->eof || s->phase == PH__CLOSED)
		return false;
	silence = ph__session_silence(s);
	if (s->count != 0 && s->fifo[s->head].verb == PH__V_QUIT)
		why.stage = PH_STAGE_QUIT;
	else if (s->eof_cause.code != PH_OK)
		why = s->eof_cause;
	else
		ph__fail(&why, PH_EDEFERRED, PH_STAGE_PREPARE, PH_CAUSE_LOST,
		         "the server closed the connection%s%s", silence != NULL ? " and " : "",
		         silence != NULL ? silence : "");
	if (why.code != PH_OK && why.text[0] == '\0') /* a lent transport need not say */
		ph__fail(&why, why.code, why.stage, why.cause, "the connection failed");
	if (why.code != PH_OK)
		why.stage = ph__session_stage(s); /* the transport does not know it */
	ph__end(s, &why, NULL);
	return true;
}

size_t
ph_smtp_pull(struct ph_smtp *s, struct iovec *iov, size_t max)
{
	if (s->phase == PH__TLS && !s->implicit)
		return 0;
	return ph__outq_pull(&s->out, iov, max);
}

void
ph_smtp_sent(struct ph_smtp *s, size_t n, uint64_t now_ms)
{
	s->now = now_ms;
	if (n > ph__unsent(s))
		n = ph__unsent(s); /* it was dropped meanwhile */
	if (n != 0) {
		if (s->out.sent == s->write_mark)
			s->write_mark_since = now_ms; /* a pause counts as one, not as slowness */
		ph__outq_sent(&s->out, n);
		if (!s->turn)
			s->round_trips++;
		s->turn = true;
		s->write_since = now_ms;
	}
	ph_smtp_tick(s, now_ms);
	ph__check_winding(s);
}

/* ---- events ---------------------------------------------------------------------------------- */

static bool
wants_body(const struct ph_smtp *s)
{
	return s->cur != NULL && s->cur->phase == PH__TXN_BODY && !s->winding &&
	       s->out.borrowed == 0 && ph__unsent(s) < PH__QUEUED_MAX &&
	       (ph__pipelines(s) || s->count == 0 || !s->cur->chunked);
}

/* Tells what is pending; true if something was. */
static bool
tell(struct ph_smtp *s, struct ph_smtp_event *ev)
{
	if (s->ev_reply) {
		s->ev_reply = false;
		ev->type = PH_EV_REPLY;
		ev->verb = s->reply_verb;
		ev->reply = s->reply;
	} else if (s->ev_rcpt) {
		s->ev_rcpt = false;
		ev->type = PH_EV_RCPT_DONE;
		ev->txn = s->rcpt_txn;
		ev->recipient = s->rcpt_index;
	} else if (s->finished != NULL) {
		struct ph_txn *t = s->finished;

		s->finished = t->next;
		t->phase = PH__TXN_IDLE;
		ev->type = PH_EV_TXN_DONE;
		ev->txn = t;
		if (!ph__txn_is_decided(t)) {
			ev->again = t->again;
			ev->more = !t->again;
		}
	} else if (s->ev_tls) {
		s->ev_tls = false;
		ev->type = PH_EV_WANT_TLS;
	} else if (s->ev_challenge) {
		s->ev_challenge = false;
		ev->type = PH_EV_AUTH_CHALLENGE;
		ev->challenge = s->challenge_ok ? ph__buf_cstr(&s->challenge) : NULL;
		ev->challenge_len = s->challenge.len;
	} else if (s->ev_closed) {
		s->ev_closed = false;
		ev->type = PH_EV_CLOSED;
		ev->error = &s->error;
	} else {
		return false;
	}
	return true;
}

bool
ph_smtp_next_event(struct ph_smtp *s, struct ph_smtp_event *ev)
{
	struct ph_smtp_event e = PH_SMTP_EVENT_INIT;
	size_t size = ev->size, n = size < sizeof e ? size : sizeof e;
	bool told = tell(s, &e);

	while (!told && (parse_one(s) || end_by_eof(s)))
		told = tell(s, &e);
	if (!told && wants_body(s)) {
		told = true;
		e.type = PH_EV_WANT_BODY;
		e.txn = s->cur;
		e.max = PH__BODY_CHUNK;
	}
	if (!told)
		return false;
	memcpy(ev, &e, n);
	ev->size = size;
	return true;
}

/* ---- what is known --------------------------------------------------------------------------- */

bool
ph_smtp_has_extension(const struct ph_smtp *s, const char *keyword, const char **parameter)
{
	return ph__ext_find(&s->ext, keyword, parameter);
}

bool
ph_smtp_extension(const struct ph_smtp *s, size_t i, const char **keyword, const char **parameter)
{
	if (i >= s->ext.count)
		return false;
	*keyword = s->ext.list[i].keyword;
	*parameter = s->ext.list[i].parameter;
	return true;
}

bool
ph_smtp_offers_mechanism(const struct ph_smtp *s, const char *mechanism)
{
	return ph__ext_offers_mechanism(&s->ext, mechanism);
}

bool
ph_smtp_is_esmtp(const struct ph_smtp *s)
{
	return s->esmtp;
}

bool
ph_smtp_is_ready(const struct ph_smtp *s)
{
	return s->phase == PH__READY && !s->winding && !ph__session_is_spent(s);
}

bool
ph_smtp_is_idle(const struct ph_smtp *s)
{
	return s->count == 0 && s->txns == NULL && ph__unsent(s) == 0;
}

bool
ph_smtp_is_closed(const struct ph_smtp *s)
{
	return s->phase == PH__CLOSED;
}

uint64_t
ph_smtp_round_trips(const struct ph_smtp *s)
{
	return s->round_trips;
}
