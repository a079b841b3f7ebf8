/* SPDX-License-Identifier: MIT */
/* One client: libuv on one side, the server session and TLS on the other.
 *
 *   accept -> (TLS) -> dialogue -> finishing -> closed
 *
 * pump() is the whole of it: settle what the session asks, send what it says, go on until neither
 * gives more. Reading stops while the socket does not take our replies, so a client that only sends
 * costs no memory. When the session has ended, our half is shut down and the client's octets are
 * thrown away for a moment: closing at once would make the kernel reset the connection and our last
 * reply be lost.
 *
 * Every reply that is a matter of choice is chosen in one place, choose().
 *
 * A connection's memory is freed only in libuv's close callback; until then `closing` says that
 * there is nothing more to do. */
#include <assert.h>
#include <stdio.h>

#include "sink/private.h"

static void pump(struct ph__sink_conn *c);

static void
on_closed(uv_handle_t *h)
{
	struct ph__sink_conn *c = h->data;
	struct ph__sink *s = c->sink;

	if (c->prev != NULL)
		c->prev->next = c->next;
	else
		s->conns = c->next;
	if (c->next != NULL)
		c->next->prev = c->prev;
	ph__sink_message_done(s, &c->message);
	ph__server_free(&c->session);
	ph__tls_stream_free(&c->tls);
	ph__buf_done(&c->unsent);
	ph__free(s->mem, c);
	s->conn_count--;
	ph__sink_conn_gone(s);
}

void
ph__sink_conn_close(struct ph__sink_conn *c)
{
	if (c->closing)
		return;
	c->closing = true;
	uv_close(&c->h.handle, on_closed);
}

/* ---- what the session asks */

/* The one place where a reply is chosen; NULL: as the session proposes. */
static const struct ph__server_reply *
choose(struct ph__sink_conn *c, const struct ph__server_event *ev)
{
	static const struct ph__server_reply
		going = { 421, "4.3.2", "shutting down" },
		crowded = { 421, "4.3.2", "too many connections" },
		welcome = { 235, "2.7.0", "authenticated" };
	struct ph__sink *s = c->sink;
	bool enough = s->o->messages != 0 && s->messages >= s->o->messages;

	switch (ev->type) {
	case PH__SERVER_ON_CONNECT:
		return s->conn_count > s->connections_max ? &crowded : NULL;
	case PH__SERVER_ON_AUTH:
		return ph__sink_users_check(&s->users, ev->user, ev->password) ? &welcome : NULL;
	case PH__SERVER_ON_MAIL:
		return s->stopping || enough ? &going : NULL;
	case PH__SERVER_ON_MESSAGE:
		return enough && ev->recipient == 0 ? &going : NULL;
	default:
		return NULL;
	}
}

static bool
keep_text(struct ph__buf *b, struct ph_str s)
{
	ph__buf_reset(b);
	return ph__buf_add(b, s.ptr, s.len);
}

/* What follows from accepting; a reply when it cannot be done after all. */
static const struct ph__server_reply *
carry_out(struct ph__sink_conn *c, const struct ph__server_event *ev)
{
	static const struct ph__server_reply
		no_room = { 452, "4.5.3", "the envelope is too large" },
		no_memory = { 451, "4.3.0", "out of memory" };
	struct ph__sink_message *m = &c->message;

	switch (ev->type) {
	case PH__SERVER_ON_HELLO:
		return keep_text(&m->helo, ev->text) ? NULL : &no_memory;
	case PH__SERVER_ON_AUTH:
		return keep_text(&m->user, ev->user) ? NULL : &no_memory;
	case PH__SERVER_ON_MAIL:
		return ph__sink_message_mail(m, ev) ? NULL : &no_room;
	case PH__SERVER_ON_RCPT:
		return ph__sink_message_rcpt(m, ev) ? NULL : &no_room;
	case PH__SERVER_ON_MESSAGE:
		if (ev->recipient == 0)
			c->verdict = ph__sink_message_end(c);
		return c->verdict;
	default:
		return NULL;
	}
}

static void
settle(struct ph__sink_conn *c, const struct ph__server_event *ev)
{
	const struct ph__server_reply *r = choose(c, ev), *trouble;
	uint16_t code = r != NULL ? r->code : ev->reply.code;
	enum ph_code rc;

	if (code < 400 && (trouble = carry_out(c, ev)) != NULL)
		r = trouble;
	else if (code >= 400 && ev->type == PH__SERVER_ON_MESSAGE && ev->recipient == 0)
		ph__sink_message_drop(c->sink, &c->message);
	rc = ph__server_answer(c->session, r, uv_now(&c->sink->loop));
	assert(rc == PH_OK);
	(void)rc;
	if (c->sink->o->messages != 0 && c->sink->messages >= c->sink->o->messages)
		ph__sink_stop(c->sink, false);
}

static void
complain(const struct ph__sink_conn *c, const struct ph_error *err)
{
	fprintf(stderr, "posthaste sink: %s: %s\n", c->peer, err->text);
}

static void
begin_tls(struct ph__sink_conn *c)
{
	struct ph_error err = PH_ERROR_INIT;

	c->message.helo.len = 0;
	ph__buf_reset(&c->message.helo);
	ph__buf_reset(&c->message.user);
	c->give_up = uv_now(&c->sink->loop) + PH__MS_TLS;
	if (ph__tls_stream_new(&c->tls, c->sink->tls, &err) < 0) {
		complain(c, &err);
		ph__sink_conn_close(c);
	}
}

/* ---- sending */

static void
on_shutdown(uv_shutdown_t *r, int status)
{
	struct ph__sink_conn *c = r->data;

	if (status < 0 || c->eof)
		ph__sink_conn_close(c);
}

/* The session has ended and all it said is on its way. */
static void
finish(struct ph__sink_conn *c)
{
	if (c->closing || c->finishing || c->writing)
		return;
	c->finishing = true;
	c->give_up = uv_now(&c->sink->loop) + PH__SINK_MS_LINGER;
	c->shutdown.data = c;
	if (uv_shutdown(&c->shutdown, &c->h.stream, on_shutdown) < 0)
		ph__sink_conn_close(c);
}

static void
on_written(uv_write_t *w, int status)
{
	struct ph__sink_conn *c = w->data;

	c->writing = false;
	ph__buf_reset(&c->unsent);
	if (status < 0)
		ph__sink_conn_close(c);
	else
		pump(c);
}

/* Takes all of it: what the kernel does not, waits in `unsent`. */
static void
send_octets(struct ph__sink_conn *c, struct ph_str p)
{
	uv_buf_t buf = uv_buf_init((char *)p.ptr, (unsigned)p.len);
	int n = uv_try_write(&c->h.stream, &buf, 1);

	if (n == UV_EAGAIN)
		n = 0;
	if (n < 0) {
		ph__sink_conn_close(c);
		return;
	}
	if ((size_t)n == p.len)
		return;
	if (!ph__buf_add(&c->unsent, p.ptr + n, p.len - (size_t)n)) {
		ph__sink_conn_close(c);
		return;
	}
	buf = uv_buf_init(c->unsent.p, (unsigned)c->unsent.len);
	c->write.data = c;
	c->writing = uv_write(&c->write, &c->h.stream, &buf, 1, on_written) == 0;
	if (!c->writing)
		ph__sink_conn_close(c);
}

static void
send_ciphertext(struct ph__sink_conn *c)
{
	struct ph_str p = ph__tls_stream_pull(c->tls);

	if (p.len == 0 || c->writing || c->closing)
		return;
	send_octets(c, p);
	ph__tls_stream_sent(c->tls, p.len);
}

/* Whether anything the session had to say is gone. Records go first: who reads a 250 may look for
 * the record. */
static bool
flush(struct ph__sink_conn *c)
{
	struct ph_error err = PH_ERROR_INIT;
	struct iovec v;
	bool any = false;

	if (c->closing || c->writing)
		return false;
	if ((c->tls == NULL || c->tls_up) && ph__server_pull(c->session, &v, 1) == 1) {
		ph__sink_records_flush(c->sink);
		if (c->closing)
			return false;
		any = true;
		if (c->tls == NULL) {
			send_octets(c, (struct ph_str){ v.iov_base, v.iov_len });
		} else if (ph__tls_stream_write(c->tls, v.iov_base, v.iov_len, &err) < 0) {
			complain(c, &err);
			ph__sink_conn_close(c);
			return false;
		}
		ph__server_sent(c->session, v.iov_len, uv_now(&c->sink->loop));
	}
	if (c->tls != NULL)
		send_ciphertext(c);
	return any;
}

/* ---- receiving */

static void
feed(struct ph__sink_conn *c, const char *p, size_t n)
{
	struct ph_error err = PH_ERROR_INIT;

	if (ph__server_feed(c->session, p, n, uv_now(&c->sink->loop), &err) < 0) {
		complain(c, &err);
		ph__sink_conn_close(c);
	}
}

static void
drain(struct ph__sink_conn *c)
{
	struct ph__server_event ev;

	while (!c->closing && (c->tls == NULL || c->tls_up) &&
	       ph__server_next_event(c->session, &ev)) {
		if (ev.asks)
			settle(c, &ev);
		else if (ev.type == PH__SERVER_ON_OCTETS)
			ph__sink_message_octets(c->sink, &c->message, ev.text);
		else if (ev.type == PH__SERVER_ON_DROPPED)
			c->sink->dropped++, ph__sink_message_drop(c->sink, &c->message);
		else if (ev.type == PH__SERVER_WANT_TLS)
			begin_tls(c);
		else if (c->tls != NULL)
			ph__tls_stream_close(c->tls);
		if (ev.type == PH__SERVER_CLOSED) {
			flush(c);
			finish(c);
		}
	}
}

static void
handshake(struct ph__sink_conn *c)
{
	struct ph_error err = PH_ERROR_INIT;
	enum ph_io io = ph__tls_stream_handshake(c->tls, &c->facts, &err);

	if (io == PH_IO_OK) {
		c->tls_up = true;
		c->give_up = UINT64_MAX;
		if (c->protocol != PH__SINK_SMTPS)
			ph__server_tls_done(c->session, uv_now(&c->sink->loop));
		return;
	}
	send_ciphertext(c);
	if (io == PH_IO_ERROR) {
		complain(c, &err);
		finish(c); /* an alert may be on its way */
	}
}

/* Whether plaintext was fed. */
static bool
decrypt(struct ph__sink_conn *c)
{
	struct ph_error err = PH_ERROR_INIT;
	size_t n = 0;

	if (c->closing || c->finishing || c->tls == NULL)
		return false;
	if (!c->tls_up) {
		handshake(c);
		return c->tls_up;
	}
	if (!ph__server_wants_input(c->session))
		return false;
	switch (ph__tls_stream_read(c->tls, c->sink->plain, PH__SINK_PLAIN, &n, &err)) {
	case PH_IO_OK:
		feed(c, c->sink->plain, n);
		return true;
	case PH_IO_AGAIN:
		return false;
	case PH_IO_EOF:
		c->eof = true;
		ph__server_feed_eof(c->session, uv_now(&c->sink->loop));
		return true;
	case PH_IO_ERROR:
		complain(c, &err);
		send_ciphertext(c);
		ph__sink_conn_close(c);
	}
	return false;
}

static void
on_alloc(uv_handle_t *h, size_t wanted, uv_buf_t *buf)
{
	struct ph__sink_conn *c = h->data;

	(void)wanted;
	*buf = uv_buf_init(c->sink->in, PH__SINK_READ);
}

static void
on_eof(struct ph__sink_conn *c)
{
	c->eof = true;
	if (c->finishing || (c->tls != NULL && !c->tls_up)) {
		ph__sink_conn_close(c);
		return;
	}
	ph__server_feed_eof(c->session, uv_now(&c->sink->loop));
	pump(c);
}

/* libuv's buffer is shared by all connections: all of it is taken here, before the next read. */
static void
on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
	struct ph__sink_conn *c = stream->data;
	struct ph_error err = PH_ERROR_INIT;

	if (c->closing || n == 0)
		return;
	if (n < 0) { /* a reset is an end like any other */
		on_eof(c);
		return;
	}
	if (c->finishing)
		return;
	if (c->tls == NULL) {
		feed(c, buf->base, (size_t)n);
	} else if (ph__tls_stream_feed(c->tls, buf->base, (size_t)n, &err) < 0) {
		complain(c, &err);
		ph__sink_conn_close(c);
	}
	pump(c);
}

/* While finishing, too: the client's end of the connection is waited for. */
static void
update_reading(struct ph__sink_conn *c)
{
	bool want = c->finishing || (!c->eof && !c->writing && ((c->tls != NULL && !c->tls_up) ||
	                             ph__server_wants_input(c->session)));

	if (c->closing || want == c->reading)
		return;
	if (!want)
		uv_read_stop(&c->h.stream);
	else if (uv_read_start(&c->h.stream, on_alloc, on_read) < 0)
		ph__sink_conn_close(c);
	c->reading = want;
}

static void
pump(struct ph__sink_conn *c)
{
	bool more;

	do {
		drain(c);
		more = flush(c);
		more |= decrypt(c);
	} while (more && !c->closing);
	if (!c->closing && ph__server_is_closed(c->session))
		finish(c);
	update_reading(c);
}

/* ---- coming and going */

static void
name_peer(struct ph__sink_conn *c, bool is_unix)
{
	struct sockaddr_storage a = { 0 };
	int len = sizeof a;

	if (!is_unix && uv_tcp_getpeername(&c->h.tcp, (struct sockaddr *)&a, &len) == 0)
		ph__sink_print_address(&a, c->peer, sizeof c->peer);
	else
		snprintf(c->peer, sizeof c->peer, "%s", is_unix ? "unix" : "unknown");
}

static enum ph_code
make_session(struct ph__sink_conn *c, struct ph_error *err)
{
	const struct ph__sink_opts *o = c->sink->o;

	return ph__server_new(&c->session, &(struct ph__server_opts){
		.lmtp = c->protocol == PH__SINK_LMTP,
		.tls = c->protocol == PH__SINK_SMTPS,
		.strict_line_ends = o->strict_line_ends,
		.clear_auth = o->clear_auth,
		.require_auth = o->require_auth,
		.require_tls = o->require_tls,
		.extensions = c->sink->extensions,
		.name = o->name,
		.size_max = o->size_given ? o->size_max : PH__SINK_SIZE,
		.recipients_max = o->recipients_max,
		.idle_ms = o->idle_ms,
	}, c->sink->mem, uv_now(&c->sink->loop), err);
}

/* The handle's own initialisation cannot fail after this; all else ends in on_closed(). */
static struct ph__sink_conn *
new_conn(struct ph__sink_listener *l)
{
	struct ph__sink *s = l->sink;
	struct ph__sink_conn *c = ph__alloc0(s->mem, sizeof *c);
	int rc;

	if (c == NULL)
		return NULL;
	rc = l->is_unix ? uv_pipe_init(&s->loop, &c->h.pipe, 0) : uv_tcp_init(&s->loop, &c->h.tcp);
	if (rc < 0) {
		ph__free(s->mem, c);
		return NULL;
	}
	c->sink = s;
	c->h.handle.data = c;
	c->protocol = l->protocol;
	c->give_up = UINT64_MAX;
	ph__buf_init(&c->unsent, s->mem, 4 * PH__SERVER_OUT_MAX);
	c->next = s->conns;
	if (s->conns != NULL)
		s->conns->prev = c;
	s->conns = c;
	s->conn_count++;
	s->connections++;
	return c;
}

void
ph__sink_accept(struct ph__sink_listener *l)
{
	struct ph_error err = PH_ERROR_INIT;
	struct ph__sink_conn *c = new_conn(l);
	bool ready;

	if (c == NULL)
		return;
	ready = ph__sink_message_init(c->sink, &c->message);
	if (uv_accept(&l->h.stream, &c->h.stream) < 0 || !ready || make_session(c, &err) < 0) {
		ph__sink_conn_close(c);
		return;
	}
	name_peer(c, l->is_unix);
	if (!l->is_unix)
		uv_tcp_nodelay(&c->h.tcp, 1);
	if (c->protocol == PH__SINK_SMTPS)
		begin_tls(c);
	pump(c);
}

void
ph__sink_conn_shutdown(struct ph__sink_conn *c)
{
	if (c->closing || c->finishing)
		return;
	if (c->tls != NULL && !c->tls_up) {
		ph__sink_conn_close(c);
		return;
	}
	ph__server_shutdown(c->session, uv_now(&c->sink->loop));
	pump(c);
}

void
ph__sink_conn_tick(struct ph__sink_conn *c)
{
	uint64_t now = uv_now(&c->sink->loop);

	if (c->closing)
		return;
	if (now >= c->give_up) {
		ph__sink_conn_close(c);
		return;
	}
	if (c->finishing || now < ph__server_deadline(c->session))
		return;
	ph__server_tick(c->session, now);
	/* A client that takes no replies will not take this one either. */
	if (c->writing)
		c->give_up = now + PH__SINK_MS_LINGER;
	pump(c);
}
