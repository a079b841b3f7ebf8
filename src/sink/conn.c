/* SPDX-License-Identifier: MIT */
/* One client: libuv on one side, the server session and TLS on the other.
 *
 *   accept -> (TLS) -> dialogue -> finishing -> closed
 *
 * pump() is the whole of it: settle what the session asks (answer.c), send what it says, go on
 * until neither gives more. Reading stops while the socket does not take our replies, so a client
 * that only sends costs no memory. When the session has ended, our half is shut down and the
 * client's octets are thrown away for a moment: closing at once would make the kernel reset the
 * connection and our last reply be lost.
 *
 * A connection's memory is freed only in libuv's close callback; until then `closing` says that
 * there is nothing more to do. */
#include <stdio.h>

#include "sink/private.h"

static void
on_closed(uv_handle_t *h)
{
	struct ph__sink_conn *c = h->data;
	struct ph__sink *s = c->sink;

	if (--c->handles != 0)
		return;

	if (c->prev != NULL)
		c->prev->next = c->next;
	else
		s->conns = c->next;
	if (c->next != NULL)
		c->next->prev = c->prev;
	ph__sink_message_done(s, &c->message);
	ph__sink_sasl_end(c);
	ph__buf_done(&c->sasl.offered);
	ph__buf_done(&c->proxy);
	ph__server_free(&c->session);
	ph__tls_stream_free(&c->tls);
	ph__buf_done(&c->unsent);
	ph__buf_done(&c->show.octets);
	ph__buf_done(&c->from);
	ph__buf_done(&c->rcpts);
	ph__rule_peer_done(&s->rules, &c->peer_counts);
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
	uv_close((uv_handle_t *)&c->timer, on_closed);
	uv_close((uv_handle_t *)&c->late_timer, on_closed);
}

static void
complain(const struct ph__sink_conn *c, const struct ph_error *err)
{
	fprintf(stderr, "posthaste sink: %s: %s\n", c->peer, err->text);
}

static void
begin_tls(struct ph__sink_conn *c)
{
	ph__buf_reset(&c->message.helo);
	ph__buf_reset(&c->message.user);
	c->message.mechanism[0] = '\0';
	ph__sink_fault_tls(c);
}

/* ---- sending */

static void
on_shutdown(uv_shutdown_t *r, int status)
{
	struct ph__sink_conn *c = r->data;

	if (status < 0 || c->eof)
		ph__sink_conn_close(c);
}

static void send_ciphertext(struct ph__sink_conn *c);

/* The session has ended and all it said is on its way; or a rule broke it off. */
static void
finish(struct ph__sink_conn *c)
{
	if (c->closing || c->finishing || c->writing || (c->late != NULL && !c->over))
		return;
	if (c->tls_up && !c->over && !c->tls_closed) {
		c->tls_closed = true;
		ph__tls_stream_close(c->tls);
		send_ciphertext(c);
		if (c->closing || c->writing)
			return;
	}
	c->finishing = true;
	c->give_up = uv_now(&c->sink->loop) + PH__SINK_MS_LINGER;
	c->shutdown.data = c;
	if (uv_shutdown(&c->shutdown, &c->h.stream, on_shutdown) < 0)
		ph__sink_conn_close(c);
}

/* A client without its end of the connection sees a reset only if TCP is what it has. */
void
ph__sink_conn_cut(struct ph__sink_conn *c, enum ph__rule_end how)
{
	struct linger at_once = { .l_onoff = 1 };
	uv_os_fd_t fd;

	if (c->closing)
		return;
	if (c->message.begun)
		c->sink->dropped++, ph__sink_message_drop(c->sink, &c->message);
	c->over = true;
	if (how != PH__RULE_RESET) {
		finish(c);
		return;
	}
	if (uv_fileno(&c->h.handle, &fd) == 0)
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
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
		ph__sink_conn_pump(c);
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

void
ph__sink_conn_put_clear(struct ph__sink_conn *c, struct ph_str octets)
{
	if (!c->closing && octets.len != 0)
		send_octets(c, octets);
}

void
ph__sink_conn_put(struct ph__sink_conn *c, struct ph_str octets)
{
	struct ph_error err = PH_ERROR_INIT;

	if (c->closing || octets.len == 0)
		return;
	if (c->tls == NULL) {
		send_octets(c, octets);
	} else if (ph__tls_stream_write(c->tls, octets.ptr, octets.len, &err) < 0) {
		complain(c, &err);
		ph__sink_conn_close(c);
	} else {
		send_ciphertext(c);
	}
}

/* Whether anything the session had to say is gone. Records go first: who reads a 250 may look for
 * the record. */
static bool
flush(struct ph__sink_conn *c)
{
	struct iovec v;
	bool any = false;

	if (c->closing || c->writing || c->over || c->tls_wait || c->proxy_wait)
		return false;
	if ((c->tls == NULL || c->tls_up) && ph__server_pull(c->session, &v, 1) == 1) {
		ph__sink_records_flush(c->sink);
		any = !c->closing;
		ph__sink_conn_put(c, (struct ph_str){ v.iov_base, v.iov_len });
		if (c->closing)
			return false;
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

/* Whether the session may be asked: not while TLS is made, a rule is carried out, or all is over. */
static bool
is_free(const struct ph__sink_conn *c)
{
	return !c->closing && !c->over && !c->deaf && !c->tls_wait && !c->proxy_wait &&
	       c->show.rule == NULL && (c->tls == NULL || c->tls_up);
}

static void
drain(struct ph__sink_conn *c)
{
	struct ph__server_event ev;

	while (is_free(c) && ph__server_next_event(c->session, &ev)) {
		if (ev.asks) {
			ph__sink_settle(c, &ev);
		} else if (ev.type == PH__SERVER_ON_OCTETS) {
			ph__sink_message_octets(c->sink, &c->message, ev.text);
			ph__sink_watch_body(c, ev.text.len);
		} else if (ev.type == PH__SERVER_ON_DROPPED) {
			c->sink->dropped++, ph__sink_message_drop(c->sink, &c->message);
		} else if (ev.type == PH__SERVER_WANT_TLS) {
			begin_tls(c);
		} else {
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
		if (!ph__sink_sasl_offer(c)) {
			ph__sink_conn_close(c);
			return;
		}
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

	if (c->closing || c->finishing || c->over || c->tls == NULL || c->stalled ||
	    (c->tls_up && !is_free(c)))
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
	if (c->finishing || c->stalled || c->proxy_wait || (c->tls != NULL && !c->tls_up)) {
		ph__sink_conn_close(c);
		return;
	}
	ph__server_feed_eof(c->session, uv_now(&c->sink->loop));
	ph__sink_conn_pump(c);
}

static void
take_octets(struct ph__sink_conn *c, const char *p, size_t n)
{
	struct ph_error err = PH_ERROR_INIT;

	if (c->tls != NULL && !c->tls_up && ph__sink_fault_tls_meets(c))
		return;
	if (c->tls == NULL) {
		feed(c, p, n);
	} else if (ph__tls_stream_feed(c->tls, p, n, &err) < 0) {
		complain(c, &err);
		ph__sink_conn_close(c);
	}
}

/* The dialogue begins behind the header; what came with it is the client's already. */
static void
take_proxy(struct ph__sink_conn *c, const char *p, size_t n)
{
	char peer[sizeof c->peer];
	size_t used = 0;

	snprintf(peer, sizeof peer, "%s", c->peer);
	if (!ph__buf_add(&c->proxy, p, n)) {
		ph__sink_conn_close(c);
		return;
	}
	switch (ph__sink_proxy_parse(ph__buf_str(&c->proxy), &used, peer, sizeof peer)) {
	case PH__SINK_PROXY_MORE:
		return;
	case PH__SINK_PROXY_WRONG:
		fprintf(stderr, "posthaste sink: %s: no PROXY header came first\n", c->peer);
		ph__sink_conn_close(c);
		return;
	case PH__SINK_PROXY_DONE:
		snprintf(c->proxied_by, sizeof c->proxied_by, "%s", c->peer);
		snprintf(c->peer, sizeof c->peer, "%s", peer);
		c->proxy_wait = false;
		c->give_up = UINT64_MAX;
	}
	if (c->protocol == PH__SINK_SMTPS)
		begin_tls(c);
	else
		drain(c);
	if (!c->closing && used < c->proxy.len)
		take_octets(c, c->proxy.p + used, c->proxy.len - used);
}

/* libuv's buffer is shared by all connections: all of it is taken here, before the next read. */
static void
on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
	struct ph__sink_conn *c = stream->data;

	if (c->closing || n == 0)
		return;
	if (n < 0) { /* a reset is an end like any other */
		on_eof(c);
		return;
	}
	if (c->finishing || c->over || c->stalled)
		return;
	if (c->proxy_wait)
		take_proxy(c, buf->base, (size_t)n);
	else
		take_octets(c, buf->base, (size_t)n);
	ph__sink_conn_pump(c);
}

/* While finishing, too: the client's end of the connection is waited for. A stalled client is read from
 * to no purpose but to see it go. */
static void
update_reading(struct ph__sink_conn *c)
{
	bool handshake_on = c->tls != NULL && !c->tls_up;
	bool want = c->finishing || (c->stalled && !c->deaf && !c->eof) ||
	            (!c->eof && !c->writing && (handshake_on || c->proxy_wait || (is_free(c) &&
	             ph__server_wants_input(c->session))));

	if (c->closing || want == c->reading)
		return;
	if (!want)
		uv_read_stop(&c->h.stream);
	else if (uv_read_start(&c->h.stream, on_alloc, on_read) < 0)
		ph__sink_conn_close(c);
	c->reading = want;
}

void
ph__sink_conn_pump(struct ph__sink_conn *c)
{
	bool more;

	do {
		drain(c);
		more = flush(c);
		more |= ph__sink_fault_perform(c);
		more |= decrypt(c);
	} while (more && !c->closing);
	if (!c->closing && (c->over || ph__server_is_closed(c->session)))
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
		.limits = { o->recipients_max != 0, o->mail_max, o->domain_max },
		.future_seconds = PH__SINK_FUTURE,
		.future_until = c->sink->future_until,
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
	uv_timer_init(&s->loop, &c->timer);
	uv_timer_init(&s->loop, &c->late_timer);
	c->handles = 3;
	c->sink = s;
	c->h.handle.data = c->timer.data = c->late_timer.data = c;
	c->protocol = l->protocol;
	c->give_up = UINT64_MAX;
	ph__buf_init(&c->unsent, s->mem, 2 * PH__SINK_REPLY);
	ph__buf_init(&c->show.octets, s->mem, PH__SINK_REPLY);
	ph__buf_init(&c->from, s->mem, PH__AUTH_LINE_MAX);
	ph__buf_init(&c->sasl.offered, s->mem, PH__COMMAND_LINE_MAX);
	ph__buf_init(&c->proxy, s->mem, PH__SINK_PROXY_MAX + PH__SINK_READ);
	ph__buf_init(&c->rcpts, s->mem, PH__SINK_ENVELOPE);
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
	ready = ph__sink_message_init(c->sink, &c->message) &&
	        ph__rule_peer_init(&c->sink->rules, &c->peer_counts, c->sink->connections);
	if (uv_accept(&l->h.stream, &c->h.stream) < 0 || !ready || make_session(c, &err) < 0 ||
	    !ph__sink_sasl_offer(c)) {
		ph__sink_conn_close(c);
		return;
	}
	name_peer(c, l->is_unix);
	if (!l->is_unix)
		uv_tcp_nodelay(&c->h.tcp, 1);
	c->proxy_wait = c->sink->o->proxy_protocol;
	if (c->proxy_wait)
		c->give_up = uv_now(&c->sink->loop) + PH__SINK_MS_PROXY;
	else if (c->protocol == PH__SINK_SMTPS)
		begin_tls(c);
	ph__sink_conn_pump(c);
}

void
ph__sink_conn_shutdown(struct ph__sink_conn *c)
{
	if (c->closing || c->finishing)
		return;
	if ((c->tls != NULL && !c->tls_up) || c->proxy_wait || c->show.rule != NULL || c->stalled ||
	    c->over) {
		ph__sink_conn_close(c);
		return;
	}
	ph__server_shutdown(c->session, uv_now(&c->sink->loop));
	ph__sink_conn_pump(c);
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
	if (c->finishing || c->over || now < ph__server_deadline(c->session))
		return;
	c->deaf = false;
	ph__server_tick(c->session, now);
	/* A client that takes no replies will not take this one either. */
	if (c->writing)
		c->give_up = now + PH__SINK_MS_LINGER;
	ph__sink_conn_pump(c);
}
