/* SPDX-License-Identifier: MIT */
#ifndef TESTS_SMTP_PEER_H
#define TESTS_SMTP_PEER_H
/* Servers for the client's tests.
 *
 * A `mind` answers as a well-behaved server does. A `wire` is a lent transport with a mind behind it,
 * without sockets or threads. A `peer` is a thread on a loopback socket that follows a script, a step
 * a string:
 *
 *	">220 hi"   sends the line              "=220"   sends the octets as they are
 *	"<MAIL"     the next line begins so     "?RSET"  takes the next line if it begins so: 250
 *	"."         reads up to the lone dot    "#"      reads the octets that the last BDAT announced
 *	"~"         TLS                         "@"      the mind takes over, until QUIT or the end;
 *	"!"         closes                      "@3"     until it has taken three messages
 *	"x"         resets                      "$"      waits for the client to close
 *	"z100"      sleeps so many ms           "|"      closes, and awaits the next connection
 *
 * What does not go as written is kept in `fault`, and fails the test in peer_end(). */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <posthaste/transport.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#define PEER_PATIENCE 5000 /* ms */

static inline bool
begins_with(const char *line, const char *with)
{
	return strncasecmp(line, with, strlen(with)) == 0;
}

/* ---- a mind ---------------------------------------------------------------------------------- */

struct mind {
	const char *ehlo;     /* NULL: "250 peer" */
	const char *rcpt;     /* its answers; NULL: 250 */
	unsigned rcpt_max;    /* recipients it takes at a time; 0: any number */
	bool lmtp;
	char line[4096];
	size_t len;
	bool in_data, bdat_last, quit, wants_tls;
	size_t bdat_left;
	unsigned rcpts, messages;
	char log[65536];      /* lines, each with its LF */
	size_t log_len;
	char body[65536];     /* of all messages */
	size_t body_len;
};

typedef void (*mind_say)(void *user, const char *text);

static inline void
mind_accept(struct mind *m, mind_say say, void *user)
{
	m->messages++;
	for (unsigned i = 0; i < (m->lmtp ? m->rcpts : 1); i++) {
		char text[64];

		snprintf(text, sizeof text, "250 2.0.0 Ok: queued as M%u\r\n", m->messages);
		say(user, text);
	}
	m->rcpts = 0;
}

static inline void
mind_keep(struct mind *m, const char *p, size_t n)
{
	if (m->body_len + n < sizeof m->body) {
		memcpy(m->body + m->body_len, p, n);
		m->body_len += n;
	}
}

static inline void
mind_line(struct mind *m, mind_say say, void *user)
{
	if (m->in_data) {
		if (strcmp(m->line, ".\r\n") == 0) {
			m->in_data = false;
			mind_accept(m, say, user);
		} else {
			mind_keep(m, m->line, strlen(m->line));
		}
		return;
	}
	m->line[strcspn(m->line, "\r\n")] = '\0';
	m->log_len += (size_t)snprintf(m->log + m->log_len, sizeof m->log - m->log_len, "%s\n", m->line);
	if (begins_with(m->line, "EHLO") || begins_with(m->line, "LHLO")) {
		say(user, m->ehlo != NULL ? m->ehlo : "250 peer\r\n");
	} else if (begins_with(m->line, "RCPT")) {
		bool full = m->rcpt_max != 0 && m->rcpts >= m->rcpt_max;
		bool good = !full && (m->rcpt == NULL || *m->rcpt == '2');

		say(user, full ? "452 4.5.3 too many recipients\r\n"
		          : m->rcpt != NULL ? m->rcpt : "250 2.1.5 ok\r\n");
		m->rcpts += good;
	} else if (begins_with(m->line, "DATA")) {
		m->in_data = m->rcpts != 0;
		say(user, m->in_data ? "354 go on\r\n" : "503 5.5.1 no recipients\r\n");
	} else if (begins_with(m->line, "BDAT")) {
		m->bdat_left = strtoul(m->line + 5, NULL, 10);
		m->bdat_last = strstr(m->line, "LAST") != NULL;
		if (m->bdat_left == 0 && m->bdat_last)
			mind_accept(m, say, user);
	} else if (begins_with(m->line, "STARTTLS")) {
		m->wants_tls = true;
		say(user, "220 go\r\n");
	} else if (begins_with(m->line, "AUTH")) {
		say(user, "235 2.7.0 in\r\n");
	} else if (begins_with(m->line, "QUIT")) {
		m->quit = true;
		say(user, "221 bye\r\n");
	} else {
		if (begins_with(m->line, "RSET") || begins_with(m->line, "MAIL"))
			m->rcpts = 0;
		say(user, "250 2.0.0 ok\r\n");
	}
}

static inline void
mind_feed(struct mind *m, const char *p, size_t n, mind_say say, void *user)
{
	while (n != 0) {
		if (m->bdat_left != 0) {
			size_t k = n < m->bdat_left ? n : m->bdat_left;

			mind_keep(m, p, k);
			m->bdat_left -= k;
			p += k;
			n -= k;
			if (m->bdat_left == 0 && m->bdat_last)
				mind_accept(m, say, user);
			else if (m->bdat_left == 0)
				say(user, "250 2.0.0 more\r\n");
			continue;
		}
		m->line[m->len++] = *p++;
		n--;
		if (m->line[m->len - 1] != '\n' && m->len + 1 < sizeof m->line)
			continue;
		m->line[m->len] = '\0';
		m->len = 0;
		mind_line(m, say, user);
	}
}

/* ---- a wire ---------------------------------------------------------------------------------- */

struct wire {
	struct ph_transport t;
	struct mind mind;
	char out[65536];      /* the server's replies */
	size_t at, len;
	size_t write_max, read_max; /* octets a call; 0: any */
	bool stutters;        /* says AGAIN before each octet that passes */
	bool stuttered;
	bool dead;            /* the server is gone */
	size_t dies_behind;   /* octets it takes before; 0: it does not */
	size_t taken;
	bool verified;        /* what start_tls says */
	unsigned handshake;   /* times it says AGAIN first */
	bool ready;           /* the next wait() comes back at once; */
	bool eager;           /* so does every one */
	bool stuck;           /* the client waited for what can never come */
};

static inline void
wire_say(void *user, const char *text)
{
	struct wire *w = user;
	size_t n = strlen(text);

	if (w->len + n <= sizeof w->out) {
		memcpy(w->out + w->len, text, n);
		w->len += n;
	}
}

static inline bool
wire_again(struct wire *w)
{
	return w->stutters && (w->stuttered = !w->stuttered);
}

static inline enum ph_io
wire_read(void *user, void *buf, size_t n, size_t *ret, struct ph_error *err)
{
	struct wire *w = user;
	size_t left = w->len - w->at;

	(void)err;
	if (left == 0 && w->dead)
		return PH_IO_EOF;
	if (left == 0 || wire_again(w))
		return PH_IO_AGAIN;
	if (w->read_max != 0 && n > w->read_max)
		n = w->read_max;
	*ret = n < left ? n : left;
	memcpy(buf, w->out + w->at, *ret);
	w->at += *ret;
	return PH_IO_OK;
}

static inline enum ph_io
wire_write(void *user, const struct iovec *iov, size_t count, size_t *ret, struct ph_error *err)
{
	struct wire *w = user;
	size_t max = w->write_max != 0 ? w->write_max : SIZE_MAX;

	*ret = 0;
	if (w->dead) {
		err->code = PH_EDEFERRED;
		err->cause = PH_CAUSE_LOST;
		return PH_IO_ERROR;
	}
	if (wire_again(w))
		return PH_IO_AGAIN;
	if (w->dies_behind != 0 && max > w->dies_behind - w->taken)
		max = w->dies_behind - w->taken;
	for (size_t i = 0; i < count && *ret < max; i++) {
		size_t n = iov[i].iov_len < max - *ret ? iov[i].iov_len : max - *ret;

		if (w->dies_behind == 0 || w->taken + n < w->dies_behind)
			mind_feed(&w->mind, iov[i].iov_base, n, wire_say, w);
		*ret += n;
		w->taken += n;
	}
	w->dead = w->dies_behind != 0 && w->taken >= w->dies_behind;
	return PH_IO_OK;
}

static inline enum ph_io
wire_wait(void *user, bool want_write, int timeout_ms, struct ph_error *err)
{
	struct wire *w = user;

	(void)err;
	if (want_write || w->at != w->len || w->dead || w->ready) {
		w->ready = w->eager;
		return PH_IO_OK;
	}
	if (timeout_ms >= 0 && timeout_ms < 1000) {
		usleep((useconds_t)timeout_ms * 1000);
		return PH_IO_AGAIN;
	}
	w->stuck = true;
	w->dead = true;
	return PH_IO_OK;
}

static inline enum ph_io
wire_start_tls(void *user, struct ph_tls_facts *facts, struct ph_error *err)
{
	struct wire *w = user;

	(void)err;
	if (w->handshake != 0) {
		w->handshake--;
		w->ready = true;
		return PH_IO_AGAIN;
	}
	w->mind.ehlo = "250 peer under TLS\r\n";
	facts->verified = w->verified;
	snprintf(facts->version, sizeof facts->version, "TLSv1.3");
	if (!w->verified)
		snprintf(facts->problem, sizeof facts->problem, "nobody signed it");
	return PH_IO_OK;
}

static inline struct wire *
new_wire(const char *greeting)
{
	struct wire *w = calloc(1, sizeof *w);

	w->t = (struct ph_transport){ PH_TRANSPORT_INIT, .user = w, .read = wire_read,
		.write = wire_write, .wait = wire_wait, .start_tls = wire_start_tls };
	if (greeting != NULL)
		wire_say(w, greeting);
	return w;
}

/* ---- a peer ---------------------------------------------------------------------------------- */

struct peer {
	const char *const *script;
	int listener, fd;
	uint16_t port;
	pthread_t thread;
	SSL_CTX *ctx;         /* for "~" */
	SSL *ssl;
	struct mind mind;
	size_t bdat;
	atomic_int connections;
	atomic_bool over;
	char line[8192];
	char fault[9000];
};

static inline void
peer_fault(struct peer *p, const char *what, const char *more)
{
	if (p->fault[0] == '\0')
		snprintf(p->fault, sizeof p->fault, "connection %d: %s \"%s\"", p->connections, what, more);
}

/* Octets read; 0 at the end, -1 when the client says nothing. */
static inline ssize_t
peer_read(struct peer *p, void *buf, size_t n)
{
	struct pollfd fd = { .fd = p->fd, .events = POLLIN };

	if (p->ssl != NULL && SSL_pending(p->ssl) > 0)
		return SSL_read(p->ssl, buf, (int)n);
	if (poll(&fd, 1, PEER_PATIENCE) != 1)
		return -1;
	if (p->ssl != NULL) {
		int got = SSL_read(p->ssl, buf, (int)n);

		return got > 0 ? got : 0;
	}
	n = (size_t)recv(p->fd, buf, n, 0);
	return (ssize_t)n > 0 ? (ssize_t)n : 0;
}

static inline void
peer_write(struct peer *p, const char *text, size_t n)
{
	if (p->ssl != NULL)
		SSL_write(p->ssl, text, (int)n);
	else if (send(p->fd, text, n, MSG_NOSIGNAL) < 0)
		peer_fault(p, "the client had gone before", text);
}

static inline void
peer_say(void *user, const char *text)
{
	peer_write(user, text, strlen(text));
}

static inline bool
peer_line(struct peer *p)
{
	size_t n = 0;

	while (n + 1 < sizeof p->line) {
		ssize_t got = peer_read(p, p->line + n, 1);

		if (got <= 0)
			break;
		if (p->line[n++] == '\n')
			break;
	}
	p->line[n] = '\0';
	if (n == 0 || p->line[n - 1] != '\n')
		return false;
	p->line[strcspn(p->line, "\r\n")] = '\0';
	if (begins_with(p->line, "BDAT "))
		p->bdat = strtoul(p->line + 5, NULL, 10);
	return true;
}

/* Octets left unread would turn the end into a reset, and what was said last would be lost. */
static inline void
peer_linger(struct peer *p)
{
	struct pollfd fd = { .fd = p->fd, .events = POLLIN };
	char buf[4096];

	shutdown(p->fd, SHUT_WR);
	while (poll(&fd, 1, 1000) == 1 && recv(p->fd, buf, sizeof buf, 0) > 0)
		;
}

static inline void
peer_close(struct peer *p, bool hard)
{
	struct linger linger = { 1, 0 };

	if (p->fd < 0)
		return;
	if (p->ssl != NULL) {
		SSL_shutdown(p->ssl);
		SSL_free(p->ssl);
		p->ssl = NULL;
	}
	if (hard)
		setsockopt(p->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
	else
		peer_linger(p);
	close(p->fd);
	p->fd = -1;
}

static inline void
peer_accept(struct peer *p)
{
	struct pollfd fd = { .fd = p->listener, .events = POLLIN };
	int on = 1;

	peer_close(p, false);
	p->mind.len = 0;
	p->mind.rcpts = 0;
	p->mind.in_data = p->mind.quit = false;
	if (poll(&fd, 1, PEER_PATIENCE) != 1 || (p->fd = accept(p->listener, NULL, NULL)) < 0)
		peer_fault(p, "nobody has connected", "");
	else if (setsockopt(p->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) == 0)
		p->connections++;
}

static inline void
peer_start_tls(struct peer *p)
{
	p->ssl = SSL_new(p->ctx);
	SSL_set_fd(p->ssl, p->fd);
	SSL_set_num_tickets(p->ssl, 0);
	if (SSL_accept(p->ssl) != 1) {
		SSL_free(p->ssl);
		p->ssl = NULL;
	}
}

static inline void
peer_mind(struct peer *p, unsigned long messages)
{
	unsigned until = p->mind.messages + (unsigned)messages;

	while (!p->mind.quit && (messages == 0 || p->mind.messages < until)) {
		char c;

		if (peer_read(p, &c, 1) <= 0)
			return;
		mind_feed(&p->mind, &c, 1, peer_say, p);
		if (p->mind.wants_tls) {
			p->mind.wants_tls = false;
			peer_start_tls(p);
		}
	}
}

static inline void
peer_skip(struct peer *p)
{
	char buf[4096];

	for (; p->bdat != 0; ) {
		ssize_t n = peer_read(p, buf, p->bdat < sizeof buf ? p->bdat : sizeof buf);

		if (n <= 0) {
			peer_fault(p, "the message ended early", "");
			return;
		}
		p->bdat -= (size_t)n;
	}
}

static inline void
peer_step(struct peer *p, const char *step)
{
	char buf[4096];

	switch (*step) {
	case '>':
		peer_write(p, buf, (size_t)snprintf(buf, sizeof buf, "%s\r\n", step + 1));
		break;
	case '=':
		peer_write(p, step + 1, strlen(step + 1));
		break;
	case '<':
		if (!peer_line(p))
			peer_fault(p, "nothing came instead of", step + 1);
		else if (!begins_with(p->line, step + 1))
			peer_fault(p, step, p->line);
		break;
	case '?': {
		size_t n = strlen(step + 1);

		if (recv(p->fd, buf, n, MSG_PEEK | MSG_WAITALL) == (ssize_t)n &&
		    strncasecmp(buf, step + 1, n) == 0 && peer_line(p))
			peer_say(p, "250 2.0.0 ok\r\n");
		break;
	}
	case '.':
		while (peer_line(p) && strcmp(p->line, ".") != 0)
			;
		if (strcmp(p->line, ".") != 0)
			peer_fault(p, "the message has no end", p->line);
		break;
	case '#':
		peer_skip(p);
		break;
	case '~':
		peer_start_tls(p);
		break;
	case '!':
	case 'x':
		peer_close(p, *step == 'x');
		break;
	case '$':
		while (peer_read(p, buf, sizeof buf) > 0)
			;
		break;
	case 'z':
		usleep((useconds_t)strtoul(step + 1, NULL, 10) * 1000);
		break;
	case '@':
		peer_mind(p, strtoul(step + 1, NULL, 10));
		break;
	case '|':
		peer_accept(p);
		break;
	default:
		peer_fault(p, "no such step", step);
	}
}

static inline void *
peer_main(void *user)
{
	struct peer *p = user;
	sigset_t pipe;

	/* the server's OpenSSL may raise it; the client may not */
	sigemptyset(&pipe);
	sigaddset(&pipe, SIGPIPE);
	pthread_sigmask(SIG_BLOCK, &pipe, NULL);
	if (p->listener >= 0)
		peer_accept(p);
	for (size_t i = 0; p->script[i] != NULL && p->fault[0] == '\0'; i++)
		peer_step(p, p->script[i]);
	peer_close(p, false);
	p->over = true;
	return NULL;
}

/* Listens, or (fd >= 0) serves that socket. */
static inline void
peer_start_on(struct peer *p, const char *const *script, int fd)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof in;

	p->script = script;
	p->fd = fd;
	p->listener = -1;
	if (fd < 0) {
		p->listener = socket(AF_INET, SOCK_STREAM, 0);
		assert_int_equal(bind(p->listener, (struct sockaddr *)&in, sizeof in), 0);
		assert_int_equal(listen(p->listener, 64), 0);
		assert_int_equal(getsockname(p->listener, (struct sockaddr *)&in, &len), 0);
		p->port = ntohs(in.sin_port);
	}
	assert_int_equal(pthread_create(&p->thread, NULL, peer_main, p), 0);
}

static inline void
peer_end(struct peer *p)
{
	pthread_join(p->thread, NULL);
	if (p->listener >= 0)
		close(p->listener);
	SSL_CTX_free(p->ctx);
	if (p->fault[0] != '\0')
		fail_msg("%s", p->fault);
}

#endif
