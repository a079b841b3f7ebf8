/* SPDX-License-Identifier: MIT */
/* The client's connection: made, opened, lost. A lost one is forgotten whole: nothing learnt from a
 * server is carried over to the next connection. */
#include "client/private.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "net/name.h"
#include "route/verdict.h"
#include "smtp/session.h"

struct ph__wish
ph__client_wish(const struct ph_client *c)
{
	return (struct ph__wish){
		.server = &c->server,
		.tls = &c->wish_tls,
		.has_user = c->has_credentials,
		.allow_clear_auth = c->opts.allow_clear_auth,
		.loopback = c->peer.loopback,
		.tls_up = c->drive != NULL && c->drive->tls_up,
		.route = c->outer != NULL ? &c->demand : NULL,
	};
}

struct ph__proxy
ph__client_proxy(const struct ph_client *c)
{
	return (struct ph__proxy){ .http = c->proxy.http, .host = c->proxy.host, .port = c->proxy.port,
	                           .user = c->proxy.user, .password = c->proxy_password };
}

/* The client that it serves has begun before it. */
static uint64_t
since_us(const struct ph_client *c)
{
	return ph__now_us() - (c->outer != NULL ? c->outer->began_us : c->began_us);
}

static void
pass_trace(void *user, const struct ph_smtp_trace *t)
{
	struct ph_client *c = user;
	struct ph_trace line = {
		.size = sizeof line, .direction = t->direction, .tls = t->tls, .refused = t->refused,
		.since_us = since_us(c), .text = t->text, .len = t->len,
	};

	c->opts.transcript(c->opts.transcript_user, &line);
}

void
ph__client_note(struct ph_client *c, const char *what, const char *subject)
{
	struct ph_trace line = { .size = sizeof line, .direction = '*' };
	struct ph__buf b;

	if (c->opts.transcript == NULL)
		return;
	ph__buf_init(&b, &c->mem, 1024);
	ph__buf_addf(&b, "%s%.700s", what, subject);
	line.since_us = since_us(c);
	line.text = ph__buf_cstr(&b);
	line.len = b.len;
	c->opts.transcript(c->opts.transcript_user, &line);
	ph__buf_done(&b);
}

/* ---- the session's record -------------------------------------------------------------------- */

static enum ph_code
begin_session(struct ph_client *c, struct ph_error *err)
{
	/* it may be in the record of the client that this one serves when this one is gone */
	struct ph__session *s = ph__session_new(c->outer != NULL ? &c->outer->mem : &c->mem);
	const char *host = c->server.host != NULL ? c->server.host : c->server.unix_path;

	if (s == NULL)
		return ph__fail_nomem(err, PH_STAGE_CONNECT);
	ph__session_unref(&c->session);
	c->session = s;
	c->began_us = s->began_us = ph__now_us();
	snprintf(s->host, sizeof s->host, "%s", host != NULL ? host : "");
	s->port = c->server.port;
	return PH_OK;
}

static void
note_peer(struct ph_client *c)
{
	struct ph__session *s = c->session;

	/* behind a proxy only the proxy knows the address */
	snprintf(s->address, sizeof s->address, "%s", c->by_proxy ? "" : c->peer.address);
	if (c->peer.port != 0 && !c->by_proxy)
		s->port = c->peer.port;
	s->connect_us = ph__now_us() - s->began_us - s->resolve_us;
}

void
ph__client_drop(struct ph_client *c, const struct ph_error *why)
{
	if (c->session != NULL) {
		c->session->ended_us = ph__now_us();
		if (why != NULL && why->code != PH_OK)
			ph__error_copy(&c->session->error, why);
	}
	if (c->drive != NULL) {
		c->no_riding |= ph__session_lost_riders(c->drive->smtp);
		ph__opening_end(&c->opening);
	}
	ph__drive_free(&c->drive);
	ph__conn_free(&c->conn);
	ph__client_reclaim(c);
	ph__session_unref(&c->session);
	c->lent_lost = c->attached && why != NULL;
	c->opened = c->logged_in = c->used = c->attached = c->by_proxy = c->awaits_message = false;
	c->active = c->unread = 0;
	c->alone_active = false;
	c->greeting.code = c->ehlo.code = 0;
}

/* ---- dialling -------------------------------------------------------------------------------- */

static int
ms_until(uint64_t deadline)
{
	uint64_t now = ph__now_ms();

	if (deadline == UINT64_MAX)
		return -1;
	return deadline <= now ? 0 : deadline - now < 3600000 ? (int)(deadline - now) : 3600000;
}

static int
least(int a, int b)
{
	return a >= 0 && a < b ? a : b;
}

bool
ph__client_is_cancelled(void *user, bool waiting)
{
	struct ph_client *c = user;

	if (waiting && c->opts.interrupted != NULL && c->opts.interrupted(c->opts.interrupted_user))
		ph_client_cancel(c->outer != NULL ? c->outer : c);
	return atomic_load_explicit(&c->cancelled, memory_order_relaxed) ||
	       (c->outer != NULL && atomic_load_explicit(&c->outer->cancelled, memory_order_relaxed));
}

static enum ph_code
dial(struct ph_client *c, int *fd, struct ph_error *err)
{
	const struct ph__proxy proxy = ph__client_proxy(c);
	struct ph__dial_opts o = {
		.host = c->connect != NULL ? c->connect : c->server.host,
		.port = c->server.port,
		.unix_path = c->connect == NULL ? c->server.unix_path : NULL,
		.source_ip = c->source_ip,
		.proxy = c->proxy.host != NULL ? &proxy : NULL,
		.header = &c->proxy_header,
		.family = c->opts.family == 4 ? AF_INET : c->opts.family == 6 ? AF_INET6 : AF_UNSPEC,
		.connect_ms = c->opts.connect_timeout_ms,
		.resolve_ms = c->opts.connect_timeout_ms,
	};
	struct ph_error why = PH_ERROR_INIT;
	struct ph__dial *d;
	enum ph_code rc;
	enum ph_io io;

	if (c->addresses != NULL) {
		o.addresses = c->addresses->list;
		o.address_count = c->addresses->count;
	}
	if (c->connect != NULL && *c->connect == '/') {
		o.unix_path = c->connect;
		o.host = NULL;
	}
	if ((rc = ph__dial_new(&d, &o, &c->mem, ph__now_ms(), err)) != PH_OK) {
		if (rc == PH_EINPUT) /* it is the server that is chosen badly, not the message */
			rc = err->code = PH_ECONFIG;
		return rc;
	}
	while ((io = ph__dial_step(d, ph__now_ms(), fd, &why)) == PH_IO_AGAIN) {
		struct pollfd fds[PH__DIAL_FDS];
		size_t n = ph__dial_fds(d, fds);
		/* half a second at most: a signal may come between looking for it and waiting */
		bool waiting = poll(fds, n, least(ms_until(ph__dial_deadline(d)), 500)) <= 0;

		if (ph__client_is_cancelled(c, waiting)) {
			ph__client_cancelled(c, PH_STAGE_CONNECT, &why);
			io = PH_IO_ERROR;
			break;
		}
	}
	c->session->resolve_us = ph__dial_resolve_us(d);
	for (size_t i = 0; c->addresses != NULL && i < c->addresses->count; i++)
		c->addresses->fate[i] = ph__dial_fate(d, i);
	ph__dial_free(&d);
	if (io == PH_IO_OK)
		return PH_OK;
	ph__error_copy(err, &why);
	return why.code;
}

/* ---- a session over what was dialled or lent ------------------------------------------------- */

static void
choose_helo(struct ph_client *c)
{
	if (c->helo != NULL)
		snprintf(c->helo_name, sizeof c->helo_name, "%s", c->helo);
	else
		ph__ehlo_name(c->helo_name, sizeof c->helo_name, &c->peer);
}

static void
prepare_opening(struct ph_client *c, bool in_clear)
{
	struct ph__opening *o = &c->opening;

	*o = (struct ph__opening){ .drive = c->drive, .wish = ph__client_wish(c), .helo = c->helo_name,
	                           .client_certificate = c->client_certificate };
	o->policy = ph__policy_of(&o->wish);
	o->credentials = c->has_credentials ? &c->credentials : NULL;
	if (in_clear)
		o->policy.link = PH__LINK_CLEAR;
	c->in_clear = in_clear;
	c->session->policy = o->policy.name;
}

static enum ph_code
begin_drive(struct ph_client *c, const struct ph_transport *io, bool in_clear,
            const struct ph_tls_facts *tls, struct ph_error *err)
{
	struct ph__wish wish = ph__client_wish(c);
	struct ph__policy policy = ph__policy_of(&wish);
	struct ph_smtp_opts so = {
		PH_SMTP_OPTS_INIT,
		.lmtp = c->server.lmtp,
		.implicit_tls = tls != NULL || (policy.link == PH__LINK_IMPLICIT && !in_clear),
		.no_pipelining = c->opts.no_pipelining,
		.no_chunking = c->opts.no_chunking,
		.lenient = c->opts.lenient,
		.trace = c->opts.transcript != NULL,
		.show_secrets = c->opts.show_secrets,
		.window = c->opts.window,
		.timeout_ms = c->opts.timeout_ms,
		.memory = &c->mem,
	};

	if (ph__drive_new(&c->drive, &so, io, &c->mem) != PH_OK)
		return ph__fail_nomem(err, PH_STAGE_CONNECT);
	c->drive->cancelled = ph__client_is_cancelled;
	c->drive->cancelled_user = c;
	if (c->no_riding)
		ph__session_forbid_riding(c->drive->smtp);
	if (c->outer != NULL)
		ph__session_set_unstated(c->drive->smtp, PH__ROUTE_RECIPIENTS);
	if (tls != NULL) {
		memcpy(&c->drive->facts, tls,
		       tls->size < sizeof c->drive->facts ? tls->size : sizeof c->drive->facts);
		c->drive->facts.size = sizeof c->drive->facts;
		c->drive->tls_lent = true;
	}
	c->session->tls_mode = so.implicit_tls ? "implicit" : "starttls";
	c->drive->trace = pass_trace;
	c->drive->trace_user = c;
	choose_helo(c);
	prepare_opening(c, in_clear);
	return PH_OK;
}

/* An owned socket is closed with the connection, and when there will be none. */
static enum ph_code
begin_on_socket(struct ph_client *c, int fd, bool owned, bool in_clear, struct ph_error *err)
{
	struct ph__wish wish;
	struct ph__policy policy;
	enum ph_code rc;

	if ((rc = ph__peer_of(fd, &c->peer, err)) == PH_OK) {
		if (c->by_proxy)
			c->peer.loopback = false; /* the server is not where the proxy is */
		note_peer(c);
		wish = ph__client_wish(c);
		policy = ph__policy_of(&wish);
		rc = ph__conn_new(&c->conn, fd, owned, c->tls, policy.enforce, &c->mem, err);
	}
	if (rc != PH_OK) {
		if (owned)
			close(fd);
		return rc;
	}
	rc = begin_drive(c, ph__conn_transport(c->conn), in_clear, NULL, err);
	if (rc != PH_OK)
		ph__conn_free(&c->conn);
	return rc;
}

static void
describe_target(const struct ph_client *c, char *buf, size_t size)
{
	const char *address = c->connect != NULL ? c->connect : c->session->host;

	if (c->server.host == NULL || *address == '/')
		snprintf(buf, size, "%s", address);
	else if (c->proxy.host == NULL)
		snprintf(buf, size, "%s port %u", address, c->server.port);
	else
		snprintf(buf, size, "%s port %u through the %s proxy %s port %u", address, c->server.port,
		         c->proxy.http ? "HTTP" : "SOCKS5", c->proxy.host, c->proxy.port);
}

static enum ph_code
connect_client(struct ph_client *c, bool in_clear, struct ph_error *err)
{
	struct ph_error why = PH_ERROR_INIT;
	char target[700];
	enum ph_code rc;
	int fd = -1;

	ph__client_drop(c, NULL);
	if (!c->has_server) {
		ph__fail(err, PH_ECONFIG, PH_STAGE_PREPARE, PH_CAUSE_ARGUMENT, "no server was named");
		ph__hint(err, "name one: --server submission://mail.example.org");
		return PH_ECONFIG;
	}
	if ((rc = ph__client_cancelled(c, PH_STAGE_CONNECT, err)) != PH_OK ||
	    (rc = begin_session(c, err)) != PH_OK)
		return rc;
	describe_target(c, target, sizeof target);
	ph__client_note(c, "Connecting to ", target);
	if ((rc = dial(c, &fd, &why)) == PH_OK) {
		ph__client_note(c, "Connected", c->proxy.host != NULL ? " by the proxy" : "");
		if (c->proxy_header.version != 0)
			ph__client_note(c, "Said for whom we speak by the PROXY protocol, version ",
			     c->proxy_header.version == 1 ? "1" : "2");
		c->by_proxy = c->proxy.host != NULL;
		rc = begin_on_socket(c, fd, true, in_clear, &why);
	}
	if (rc == PH_OK)
		return PH_OK;
	ph__client_hint(c, &why);
	c->session->ended_us = ph__now_us();
	ph__error_copy(&c->session->error, &why);
	ph__error_copy(err, &why);
	return rc;
}

/* ---- opening --------------------------------------------------------------------------------- */

static void
note_tls(struct ph_client *c)
{
	const struct ph_tls_facts *f = &c->drive->facts;
	struct ph__wish wish = ph__client_wish(c);
	struct ph_certificate cert = PH_CERTIFICATE_INIT;
	char line[700];

	c->session->policy = ph__policy_of(&wish).name; /* by hand: it has one from now on */
	c->session->tls_up = true;
	c->session->tls = *f;
	c->session->tls_us = c->drive->tls_us;
	if (c->conn != NULL && ph__conn_certificate(c->conn, 0, &cert)) /* of TLS that is lent, nobody knows */
		ph__session_set_certificate(c->session, &cert);
	if (f->verified)
		snprintf(line, sizeof line, "%s %s, verified for %.200s", f->version, f->cipher,
		         f->peer_name);
	else
		snprintf(line, sizeof line, "%s %s, NOT verified: %s", f->version, f->cipher,
		         f->problem);
	ph__client_note(c, "TLS is up: ", line);
}

static void
keep(struct ph__buf *b, struct ph_reply *to, const struct ph_reply *r)
{
	ph__buf_reset(b);
	ph__buf_add(b, r->text, r->len);
	*to = *r;
	to->text = ph__buf_cstr(b);
	to->len = b->len;
}

/* Remembers what the last EHLO offered of channel binding. Offers made in clear are anybody's. */
static void
note_offer(struct ph_client *c)
{
	struct ph__sasl_link link = ph__login_link(c->drive, &c->server);

	if (ph__login_can_bind(c->drive->smtp, &link))
		c->binding_offered[c->attached] = true;
}

void
ph__client_note_event(struct ph_client *c, const struct ph_smtp_event *ev)
{
	if (ev->type == PH_EV_WANT_TLS) {
		note_tls(c);
	} else if (ev->type == PH_EV_REPLY && strcmp(ev->verb, "GREETING") == 0) {
		keep(&c->greeting_text, &c->greeting, &ev->reply);
		ph__session_set_greeting(c->session, &ev->reply);
	} else if (ev->type == PH_EV_REPLY && ph__is_hello(ev->verb)) {
		keep(&c->ehlo_text, &c->ehlo, &ev->reply);
		ph__session_set_extensions(c->session, c->drive->smtp);
		note_offer(c);
	}
}

static enum ph__step
run_opening(struct ph_client *c, struct ph_error *err)
{
	enum ph__step step = ph__opening_begin(&c->opening, c->greeting.code == 0 ? PH__AT_GREETING
	                                                                         : PH__AT_EHLO, err);

	while (step == PH__STEP_GOING) {
		struct ph_smtp_event ev = PH_SMTP_EVENT_INIT;

		if (ph__drive_step(c->drive, &ev) == PH__DRIVE_WAIT) {
			ph__drive_wait(c->drive, UINT64_MAX);
			continue;
		}
		ph__client_note_event(c, &ev);
		if (ev.type == PH_EV_TXN_DONE)
			ph__client_on_txn_done(c, &ev);
		if (ev.type == PH_EV_REPLY)
			ph__client_keep_reply(c, &ev.reply);
		step = ph__opening_event(&c->opening, &ev, err);
	}
	return step;
}

/* The last reply is the one that the error is about if it has its code. What happens on the way to a
 * proxy tells nothing of the server. */
void
ph__client_hint(struct ph_client *c, struct ph_error *err)
{
	bool by_reply = err->reply != 0 && err->reply == c->reply.code;

	if (c->proxy.host != NULL && err->stage < PH_STAGE_GREETING)
		return;
	ph__session_hint(c->session, by_reply ? &c->reply : NULL, err);
}

static enum ph_code
open_once(struct ph_client *c, struct ph_error *err)
{
	c->opening.logged_in = c->logged_in;
	c->opening.binding_was_offered = c->binding_offered[c->attached];
	if (run_opening(c, err) == PH__STEP_DONE) {
		c->opened = true;
		c->logged_in = c->opening.logged_in;
		c->session->auth_us = c->opening.auth_us;
		if (c->opening.logged_in && c->opening.login.name[0] != '\0')
			snprintf(c->session->mechanism, sizeof c->session->mechanism, "%s",
			         c->opening.login.name);
		return PH_OK;
	}
	ph__client_hint(c, err);
	c->session->ended_us = ph__now_us();
	ph__error_copy(&c->session->error, err);
	return err->code;
}

/* QUIT as a courtesy to a server that did us no harm; its reply is not waited for. */
static void
leave(struct ph_client *c)
{
	struct ph_smtp_event ev = PH_SMTP_EVENT_INIT;

	if (c->drive == NULL || ph_smtp_is_closed(c->drive->smtp))
		return;
	if (ph_smtp_command(c->drive->smtp, "QUIT", NULL, NULL) == PH_OK)
		while (ph__drive_step(c->drive, &ev) == PH__DRIVE_EVENT && ev.type != PH_EV_CLOSED)
			;
}

void
ph__client_retire(struct ph_client *c)
{
	ph__client_note(c, "The server's limits for a connection are reached: on to another", "");
	leave(c);
	ph__client_drop(c, NULL);
}

/* On failure the session's record stays with the client until the next connection is tried. */
static void
give_up(struct ph_client *c, const struct ph_error *why)
{
	struct ph__session *s = c->session;

	leave(c);
	c->session = NULL; /* drop() would let go of it */
	ph__client_drop(c, why);
	c->session = s;
}

enum ph_code
ph__client_open(struct ph_client *c, struct ph_error *err)
{
	struct ph_error why = PH_ERROR_INIT;
	struct ph__session *before;
	bool fall_back;
	enum ph_code rc;

	if (c->drive == NULL && c->lent_lost)
		return ph__fail(err, PH_EDEFERRED, PH_STAGE_CONNECT, PH_CAUSE_LOST,
		                "the connection that was lent is lost; only its owner can make another");
	if (c->drive == NULL && (rc = connect_client(c, false, err)) != PH_OK)
		return rc;
	if ((rc = ph__client_check_read(c, err)) != PH_OK)
		return rc;
	if ((rc = open_once(c, &why)) == PH_OK)
		return PH_OK;
	fall_back = c->opening.policy.fall_back && !c->attached && !c->in_clear &&
	            (why.stage == PH_STAGE_TLS || why.stage == PH_STAGE_STARTTLS) &&
	            why.cause != PH_CAUSE_REPLY && why.cause != PH_CAUSE_INJECTION;
	if (fall_back) {
		ph__client_note(c, "TLS failed, once more in clear: ", why.text);
		before = ph__session_ref(c->session);
		rc = connect_client(c, true, err);
		if (c->session != NULL)
			c->session->before = before; /* its handshake is on record, too */
		else
			ph__session_unref(&before);
		if (rc != PH_OK)
			return rc;
		why = (struct ph_error)PH_ERROR_INIT;
		if ((rc = open_once(c, &why)) == PH_OK)
			return PH_OK;
	}
	give_up(c, &why);
	ph__error_copy(err, &why);
	return rc;
}

/* ---- by hand --------------------------------------------------------------------------------- */

/* Up to the greeting, the handshake of implicit TLS included. */
static enum ph_code
await_greeting(struct ph_client *c, const struct ph_reply **ret, struct ph_error *err)
{
	struct ph_error why = PH_ERROR_INIT;
	enum ph_code rc;

	for (;;) {
		struct ph_smtp_event ev = PH_SMTP_EVENT_INIT;

		if (ph__drive_step(c->drive, &ev) == PH__DRIVE_WAIT) {
			ph__drive_wait(c->drive, UINT64_MAX);
			continue;
		}
		ph__client_note_event(c, &ev);
		if (ev.type == PH_EV_CLOSED) {
			ph__error_copy(&why, ev.error);
			break;
		}
		if (ev.type == PH_EV_WANT_TLS &&
		    ph__check_peer(&c->opening.policy, &c->drive->facts, &why) != PH_OK)
			break;
		if (ev.type != PH_EV_REPLY)
			continue;
		ph__client_keep_reply(c, &ev.reply);
		if (ret != NULL)
			*ret = &c->reply;
		if (ev.reply.code == 220)
			return PH_OK;
		ph__verdict_session(PH_STAGE_GREETING, &c->reply, &why);
		break;
	}
	rc = why.code;
	ph__client_hint(c, &why);
	give_up(c, &why);
	ph__error_copy(err, &why);
	return rc;
}

enum ph_code
ph_client_connect(struct ph_client *c, const struct ph_reply **ret, struct ph_error *err)
{
	enum ph_code rc = c->direct != NULL ? ph__direct_misused(err) : connect_client(c, false, err);

	return rc == PH_OK ? await_greeting(c, ret, err) : rc;
}

enum ph_code
ph_client_attach_socket(struct ph_client *c, int fd, bool owned, const struct ph_reply **ret,
                        struct ph_error *err)
{
	enum ph_code rc;

	if (c->direct != NULL) {
		if (owned)
			close(fd);
		return ph__direct_misused(err);
	}
	ph__client_drop(c, NULL);
	if ((rc = begin_session(c, err)) != PH_OK ||
	    (rc = begin_on_socket(c, fd, owned, false, err)) != PH_OK)
		return rc;
	c->attached = true;
	c->binding_offered[1] = false; /* it may be any server */
	return await_greeting(c, ret, err);
}

static enum ph_code
take_table(struct ph_transport *ret, const struct ph_transport *t, struct ph_error *err)
{
	*ret = (struct ph_transport){ PH_TRANSPORT_INIT };
	memcpy(ret, t, t->size < sizeof *ret ? t->size : sizeof *ret);
	if (ret->read != NULL && ret->write != NULL && ret->wait != NULL)
		return PH_OK;
	return ph__fail(err, PH_EUSAGE, PH_STAGE_PREPARE, PH_CAUSE_ARGUMENT,
	                "a transport needs read, write and wait");
}

enum ph_code
ph_client_attach_transport(struct ph_client *c, const struct ph_transport *t,
                           const struct ph_tls_facts *tls, const struct ph_reply **ret,
                           struct ph_error *err)
{
	enum ph_code rc;

	if (c->direct != NULL)
		return ph__direct_misused(err);
	ph__client_drop(c, NULL);
	c->peer = (struct ph__peer){ .loopback = false };
	if ((rc = take_table(&c->lent, t, err)) != PH_OK ||
	    (rc = begin_session(c, err)) != PH_OK ||
	    (rc = begin_drive(c, &c->lent, false, tls, err)) != PH_OK)
		return rc;
	c->attached = true;
	c->binding_offered[1] = false; /* it may be any server */
	return await_greeting(c, ret, err);
}

enum ph_code
ph_client_lend_tls(struct ph_client *c, const struct ph_transport *t, struct ph_error *err)
{
	struct ph_transport table;
	enum ph_code rc;

	if ((rc = ph__client_check_alive(c, err)) != PH_OK)
		return rc;
	if (t == NULL) {
		c->drive->tls_io = NULL;
		return PH_OK;
	}
	if ((rc = take_table(&table, t, err)) != PH_OK)
		return rc;
	if (table.start_tls == NULL)
		return ph__fail(err, PH_EUSAGE, PH_STAGE_PREPARE, PH_CAUSE_ARGUMENT,
		                "a transport for TLS needs start_tls");
	if (c->drive->tls_up)
		return ph__client_under_tls(err);
	c->lent_tls = table;
	c->drive->tls_io = &c->lent_tls;
	return PH_OK;
}

enum ph_code
ph_client_open(struct ph_client *c, struct ph_error *err)
{
	if (c->direct != NULL)
		return ph__direct_misused(err);
	if (c->drive != NULL && c->opened)
		return PH_OK;
	return ph__client_open(c, err);
}

void
ph_client_leave(struct ph_client *c)
{
	ph__direct_leave(c);
	leave(c);
	ph_client_close(c);
}

void
ph_client_close(struct ph_client *c)
{
	ph__direct_close(c);
	ph__client_drop(c, NULL);
}
