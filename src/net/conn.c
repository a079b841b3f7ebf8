/* SPDX-License-Identifier: MIT */
/* A connected socket as a transport. See conn.h and posthaste/transport.h.
 *
 *   CLEAR --start_tls--> HANDSHAKING --> SECURE
 *                             \____________\___--> DEAD  after a failure of TLS's own
 *
 * Works on blocking sockets too (MSG_DONTWAIT), as a caller may lend one. No call raises SIGPIPE.
 *
 * Sending under TLS. A batch is up to 16 records; pieces of 16 KiB and more are encrypted where
 * they lie, smaller ones joined, so that only a flight's last record is short. The batch is handed
 * to the kernel with one send(). Each record's plaintext length and the ciphertext offset of its end are
 * kept until the kernel has taken that offset: only then is it reported, because a record of which
 * the peer lacks one octet is a record it cannot read. What is sealed and not yet reported is
 * skipped when the caller comes with the same octets again. The next batch begins when the last one
 * is gone. The client's Finished waits for the first write or read, and so travels with EHLO.
 *
 * The last words. When sending fails because the peer closed, it may have said why (421, an alert)
 * before it did: the failure is held back once, as PH_IO_AGAIN, until reading had its turn.
 *
 * The end. EOF without close_notify is PH_IO_EOF: SMTP has its own ends, a reply's last line and
 * the reply to QUIT, so a cut stream cannot pass for a whole one; and many servers omit the alert. */
#include "net/conn.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/bounds.h"
#include "base/error.h"
#include "base/mem.h"
#include "net/tls.h"

struct bytes {
	unsigned char *p;
	size_t off, len, cap; /* p[off..len) is there */
};

struct record {
	uint32_t plain; /* octets of the caller's */
	uint32_t end;   /* its end in `out` */
};

struct ph__conn {
	const struct ph_allocator *mem;
	struct ph_transport transport;
	enum { CLEAR, HANDSHAKING, SECURE, DEAD } state;
	int    fd;
	bool   owned;
	bool   used_clear;   /* something was said before TLS */
	bool   heard;        /* the peer's first TLS octets have been judged */
	bool   nomem;        /* inside an OpenSSL call */
	int    lost;         /* errno of a send() that is held back */
	int    peer_version; /* of the ServerHello, for words only */
	SSL   *ssl;
	struct ph__tls_peer peer;
	struct ph__arena shown; /* of the certificate last asked for */
	struct bytes in, out; /* ciphertext */
	size_t sealed;        /* plaintext in records[] */
	size_t first, count;
	struct record records[PH__TLS_BATCH];
};

/* ---- the socket */

static enum ph_io
fail_lost(struct ph_error *err, int sys, const char *doing)
{
	ph__fail_errno(err, PH_EDEFERRED, PH_STAGE_CONNECT, PH_CAUSE_LOST, sys,
	               "the connection was lost while %s", doing);
	return PH_IO_ERROR;
}

static enum ph_io
fail_dead(struct ph_error *err)
{
	ph__fail(err, PH_EUSAGE, PH_STAGE_CONNECT, PH_CAUSE_STATE,
	         "the connection is not in a state for this");
	return PH_IO_ERROR;
}

/* After send() or sendmsg() returned -1. See "The last words" above. */
static enum ph_io
send_failed(struct ph__conn *c, int sys, struct ph_error *err)
{
	if (sys == EAGAIN || sys == EWOULDBLOCK)
		return PH_IO_AGAIN;
	if (c->lost == 0 && (sys == EPIPE || sys == ECONNRESET)) {
		c->lost = sys;
		return PH_IO_AGAIN;
	}
	return fail_lost(err, c->lost != 0 ? c->lost : sys, "sending");
}

static enum ph_io
receive(struct ph__conn *c, void *buf, size_t n, size_t *ret, struct ph_error *err)
{
	ssize_t got;

	do
		got = recv(c->fd, buf, n, MSG_DONTWAIT);
	while (got < 0 && errno == EINTR);
	if (got > 0) {
		*ret = (size_t)got;
		return PH_IO_OK;
	}
	if (got == 0)
		return PH_IO_EOF;
	if (errno != EAGAIN && errno != EWOULDBLOCK)
		return fail_lost(err, errno, "reading");
	return c->lost != 0 ? fail_lost(err, c->lost, "sending") : PH_IO_AGAIN;
}

/* ---- in clear */

static enum ph_io
clear_read(struct ph__conn *c, void *buf, size_t n, size_t *ret, struct ph_error *err)
{
	c->used_clear = true;
	return receive(c, buf, n, ret, err);
}

static enum ph_io
clear_write(struct ph__conn *c, const struct iovec *iov, size_t count, size_t *ret,
            struct ph_error *err)
{
	struct msghdr msg = { .msg_iov = (struct iovec *)iov,
		.msg_iovlen = count < PH__IOV_MAX ? count : PH__IOV_MAX };
	ssize_t n;

	c->used_clear = true;
	do
		n = sendmsg(c->fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return send_failed(c, errno, err);
	*ret = (size_t)n;
	return PH_IO_OK;
}

/* ---- ciphertext buffers, and OpenSSL's end of them */

static void
bytes_release(struct ph__conn *c, struct bytes *b)
{
	ph__free(c->mem, b->p);
	*b = (struct bytes){ 0 };
}

/* Room for n more. Exact, as whoever asks knows how much the flight takes. */
static bool
bytes_reserve(struct ph__conn *c, struct bytes *b, size_t n)
{
	unsigned char *p;

	if (b->cap - b->len >= n)
		return true;
	if ((p = ph__realloc(c->mem, b->p, b->len + n)) == NULL) {
		c->nomem = true;
		return false;
	}
	b->p = p;
	b->cap = b->len + n;
	return true;
}

static int
bio_read(BIO *bio, char *buf, size_t n, size_t *ret)
{
	struct ph__conn *c = BIO_get_data(bio);
	size_t have = c->in.len - c->in.off;

	BIO_clear_retry_flags(bio);
	if (have == 0) {
		BIO_set_retry_read(bio);
		return 0;
	}
	*ret = n < have ? n : have;
	memcpy(buf, c->in.p + c->in.off, *ret); /* @UNSAFE: off + *ret <= len */
	c->in.off += *ret;
	return 1;
}

static int
bio_write(BIO *bio, const char *buf, size_t n, size_t *ret)
{
	struct ph__conn *c = BIO_get_data(bio);

	BIO_clear_retry_flags(bio);
	if (c->out.len > PH__TLS_UNSENT_MAX || !bytes_reserve(c, &c->out, n))
		return 0;
	memcpy(c->out.p + c->out.len, buf, n); /* @UNSAFE: reserved above */
	c->out.len += n;
	*ret = n;
	return 1;
}

static long
bio_ctrl(BIO *bio, int cmd, long num, void *ptr)
{
	(void)bio, (void)num, (void)ptr;
	return cmd == BIO_CTRL_FLUSH;
}

/* Without a type number of its own: those are the process's, and no more than 127. */
static BIO_METHOD *
bio_method(struct ph__tls *tls)
{
	BIO_METHOD *m = tls->bio;

	if (m != NULL || (m = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "posthaste")) == NULL)
		return m;
	BIO_meth_set_read_ex(m, bio_read);
	BIO_meth_set_write_ex(m, bio_write);
	BIO_meth_set_ctrl(m, bio_ctrl);
	return tls->bio = m;
}

/* ---- TLS: sending */

/* Records that the kernel has taken whole leave the queue; their plaintext is returned. */
static size_t
settle_records(struct ph__conn *c)
{
	size_t done = 0;

	while (c->count != 0 && c->records[c->first].end <= c->out.off) {
		done += c->records[c->first].plain;
		c->first++;
		c->count--;
	}
	c->sealed -= done;
	if (c->count == 0) { /* what is left, if anything, is TLS's own and short */
		memmove(c->out.p, c->out.p + c->out.off, c->out.len - c->out.off);
		c->out.len -= c->out.off;
		c->out.off = c->first = 0;
	}
	return done;
}

/* OK: nothing is left. *taken grows by the plaintext that is out for good. */
static enum ph_io
flush(struct ph__conn *c, size_t *taken, struct ph_error *err)
{
	size_t left = c->out.len - c->out.off;
	ssize_t n;

	if (left == 0)
		return PH_IO_OK;
	do
		n = send(c->fd, c->out.p + c->out.off, left, MSG_NOSIGNAL | MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return send_failed(c, errno, err);
	c->out.off += (size_t)n;
	*taken += settle_records(c);
	return (size_t)n == left ? PH_IO_OK : PH_IO_AGAIN;
}

/* Sends what TLS itself has to say. Records of the caller's stay for write(), which alone may
 * report them: were they sent here, the session would learn too late that its message is out. */
static enum ph_io
flush_own(struct ph__conn *c, struct ph_error *err)
{
	size_t none = 0;

	return c->count == 0 ? flush(c, &none, err) : PH_IO_OK;
}

/* Where we are in the caller's pieces. */
struct place {
	const struct iovec *iov;
	size_t count; /* pieces left, iov[0] among them */
	size_t off;   /* in iov[0] */
};

static void
place_tidy(struct place *at)
{
	while (at->count != 0 && at->off == at->iov->iov_len) {
		at->iov++;
		at->count--;
		at->off = 0;
	}
}

/* False: the pieces end before. */
static bool
place_skip(struct place *at, size_t n)
{
	place_tidy(at);
	while (n != 0 && at->count != 0) {
		size_t left = at->iov->iov_len - at->off;
		size_t step = n < left ? n : left;

		at->off += step;
		n -= step;
		place_tidy(at);
	}
	return n == 0;
}

static size_t
place_left(const struct place *at, size_t max)
{
	size_t i, n = 0;

	for (i = 0; i < at->count && n < max; i++)
		n += at->iov[i].iov_len - (i == 0 ? at->off : 0);
	return n < max ? n : max;
}

/* The next record's plaintext: in place if it fills a record or is the last, else joined. */
static const unsigned char *
place_take(struct place *at, unsigned char joined[PH__TLS_RECORD], size_t *n)
{
	const unsigned char *p = (const unsigned char *)at->iov->iov_base + at->off;
	size_t left = at->iov->iov_len - at->off;

	if (left >= PH__TLS_RECORD || at->count == 1) {
		*n = left < PH__TLS_RECORD ? left : PH__TLS_RECORD;
		at->off += *n;
		place_tidy(at);
		return p;
	}
	for (*n = 0; *n < PH__TLS_RECORD && at->count != 0; place_tidy(at)) {
		size_t room = PH__TLS_RECORD - *n;

		left = at->iov->iov_len - at->off;
		if (left > room)
			left = room;
		memcpy(joined + *n, (const unsigned char *)at->iov->iov_base + at->off, left);
		*n += left; /* @UNSAFE: left <= room */
		at->off += left;
	}
	return joined;
}

static enum ph_io
fail_tls(struct ph__conn *c, struct ph_error *err)
{
	struct ph_error ignored = PH_ERROR_INIT;

	if (c->nomem) {
		ph__fail_nomem(err, PH_STAGE_TLS);
		ERR_clear_error();
	} else if (!c->peer.explained) {
		ph__tls_explain_failure(err, c->peer.tls, c->state == SECURE, c->peer_version);
	}
	ERR_clear_error();
	c->state = DEAD;
	flush_own(c, &ignored); /* the alert that tells the peer why */
	return PH_IO_ERROR;
}

/* Encrypts a batch from `at` on. Joined pieces may hold credentials: wiped. */
static bool
seal(struct ph__conn *c, struct place *at)
{
	unsigned char joined[PH__TLS_RECORD];
	size_t total = place_left(at, PH__TLS_BATCH * PH__TLS_RECORD), used = 0, n, done;
	size_t extra = (total / PH__TLS_RECORD + 1) * PH__TLS_OVERHEAD;
	bool ok = bytes_reserve(c, &c->out, total + extra);

	assert(c->count == 0 && c->first == 0);
	while (ok && c->count < PH__TLS_BATCH && at->count != 0) {
		const unsigned char *p = place_take(at, joined, &n);

		if (p == joined && n > used)
			used = n;
		ERR_clear_error();
		ok = SSL_write_ex(c->ssl, p, n, &done) == 1;
		if (ok) {
			assert(done == n);
			c->records[c->count++] = (struct record){ .plain = (uint32_t)n,
				.end = (uint32_t)c->out.len };
			c->sealed += n;
		}
	}
	ph__wipe(joined, used);
	return ok;
}

/* What was taken before a failure is still reported; the failure comes with the next call. */
static enum ph_io
tls_write(struct ph__conn *c, const struct iovec *iov, size_t count, size_t *ret,
          struct ph_error *err)
{
	struct place at = { iov, count, 0 };
	enum ph_io io;

	if (!place_skip(&at, c->sealed))
		return fail_dead(err); /* not the octets of the call before */
	do {
		if (c->count == 0 && at.count != 0 && !seal(c, &at))
			return *ret != 0 ? PH_IO_OK : fail_tls(c, err);
		io = flush(c, ret, err);
	} while (io == PH_IO_OK && at.count != 0);
	return *ret != 0 ? PH_IO_OK : io;
}

/* ---- TLS: reading */

/* One recv(); the buffer exists only while there is something in it. */
static enum ph_io
fill(struct ph__conn *c, struct ph_error *err)
{
	size_t n = 0;
	enum ph_io io;

	assert(c->in.off == c->in.len);
	c->in.off = c->in.len = 0;
	if (!bytes_reserve(c, &c->in, PH__TLS_READ)) {
		ph__fail_nomem(err, PH_STAGE_TLS);
		return PH_IO_ERROR;
	}
	io = receive(c, c->in.p, c->in.cap, &n, err);
	c->in.len = n;
	if (io != PH_IO_OK)
		bytes_release(c, &c->in);
	return io;
}

static bool
has_input(const struct ph__conn *c)
{
	return c->in.off != c->in.len || (c->ssl != NULL && SSL_pending(c->ssl) > 0);
}

/* The peer has spoken and there is no more of it: whatever comes next is a wait. */
static void
release_idle(struct ph__conn *c)
{
	if (c->in.off == c->in.len)
		bytes_release(c, &c->in);
	if (c->out.len == 0 && c->out.cap > PH__TLS_KEEP)
		bytes_release(c, &c->out);
}

/* What came asks for no answer, but a server with Nagle's algorithm on (Postfix) that has just sent its
 * tickets holds back the reply to EHLO until they are acknowledged: left to TCP, that takes 40 ms. */
static void
acknowledge(const struct ph__conn *c)
{
	int on = 1;

	setsockopt(c->fd, IPPROTO_TCP, TCP_QUICKACK, &on, sizeof on);
}

/* Tickets and key updates are read on the way and yield no data: AGAIN. */
static enum ph_io
tls_read(struct ph__conn *c, void *buf, size_t n, size_t *ret, struct ph_error *err)
{
	bool came = false;
	enum ph_io io;

	for (;;) {
		ERR_clear_error();
		if (SSL_read_ex(c->ssl, buf, n, ret) == 1) {
			if (!has_input(c))
				release_idle(c);
			return PH_IO_OK;
		}
		switch (SSL_get_error(c->ssl, 0)) {
		case SSL_ERROR_WANT_READ:
			break;
		case SSL_ERROR_ZERO_RETURN:
			return PH_IO_EOF;
		default:
			return fail_tls(c, err);
		}
		if (came)
			acknowledge(c);
		if ((io = flush_own(c, err)) == PH_IO_ERROR || (io = fill(c, err)) != PH_IO_OK)
			return io;
		came = true;
	}
}

/* ---- TLS: handshake */

static enum ph_io
cut_off(struct ph__conn *c, int sys, struct ph_error *err)
{
	const char *name = c->peer.tls->name.name;
	const char *what = c->heard ? "in the middle of the TLS handshake" :
		"instead of answering the TLS handshake";

	c->state = DEAD;
	if (name[0] == '\0')
		name = "the server";
	if (sys != 0)
		ph__fail_errno(err, PH_EDEFERRED, PH_STAGE_TLS, PH_CAUSE_HANDSHAKE, sys,
		               "%s broke the connection %s", name, what);
	else
		ph__fail(err, PH_EDEFERRED, PH_STAGE_TLS, PH_CAUSE_HANDSHAKE,
		         "%s closed the connection %s", name, what);
	if (!c->heard && !c->used_clear)
		ph__hint(err, "if this port starts in clear text: --tls=starttls, or a smtp:// or "
		         "submission:// URL; else try again later");
	return PH_IO_ERROR;
}

/* The first octets decide whether this is TLS at all: a record's type is 20 to 23, and no reply
 * begins so. A ServerHello's version is noted, for words (RFC 5246 §7.4.1.3). */
static bool
hear(struct ph__conn *c, struct ph_error *err)
{
	const unsigned char *in = c->in.p;

	if (in[0] < 20 || in[0] > 23) {
		ph__tls_explain_clear(err, c->peer.tls, in, c->in.len, c->used_clear);
		c->state = DEAD;
		return false;
	}
	c->heard = true;
	if (in[0] == 22 && c->in.len > 10 && in[5] == 2)
		c->peer_version = in[9] << 8 | in[10];
	return true;
}

static enum ph_io
handshake_fill(struct ph__conn *c, struct ph_error *err)
{
	struct ph_error e = PH_ERROR_INIT;
	enum ph_io io = flush_own(c, &e);

	if (io != PH_IO_ERROR)
		io = fill(c, &e);
	if (io == PH_IO_EOF)
		return cut_off(c, 0, err);
	if (io == PH_IO_ERROR && e.code == PH_EDEFERRED)
		return cut_off(c, e.sys, err);
	if (io == PH_IO_ERROR)
		ph__error_copy(err, &e);
	if (io == PH_IO_OK && !c->heard && !hear(c, err))
		return PH_IO_ERROR;
	return io;
}

static enum ph_io
handshake_done(struct ph__conn *c, struct ph_tls_facts *facts, struct ph_error *err)
{
	if (c->peer.enforce && !c->peer.tls->insecure && !ph__tls_proved(&c->peer, c->ssl)) {
		ph__fail(err, PH_ESECURITY, PH_STAGE_TLS, PH_CAUSE_CERT_OTHER,
		         "the server showed no certificate");
		return PH_IO_ERROR;
	}
	c->state = SECURE;
	if (facts != NULL)
		ph__tls_facts(&c->peer, c->ssl, facts);
	if (c->in.off == c->in.len)
		bytes_release(c, &c->in);
	return PH_IO_OK;
}

static enum ph_io
handshake(struct ph__conn *c, struct ph_tls_facts *facts, struct ph_error *err)
{
	enum ph_io io;

	for (;;) {
		ERR_clear_error();
		if (SSL_do_handshake(c->ssl) == 1)
			return handshake_done(c, facts, err);
		if (SSL_get_error(c->ssl, -1) != SSL_ERROR_WANT_READ)
			return fail_tls(c, err);
		if ((io = handshake_fill(c, err)) != PH_IO_OK)
			return io;
	}
}

static bool
handshake_begin(struct ph__conn *c, struct ph_error *err)
{
	BIO_METHOD *method = bio_method(c->peer.tls);
	BIO *bio = method != NULL ? BIO_new(method) : NULL;

	if (bio == NULL)
		ph__fail_nomem(err, PH_STAGE_TLS);
	if (bio == NULL || (c->ssl = ph__tls_open(&c->peer, err)) == NULL) {
		BIO_free(bio);
		ERR_clear_error();
		return false;
	}
	BIO_set_data(bio, c);
	BIO_set_init(bio, 1);
	SSL_set_bio(c->ssl, bio, bio);
	c->state = HANDSHAKING;
	return true;
}

/* ---- the table */

static enum ph_io
conn_read(void *user, void *buf, size_t n, size_t *ret, struct ph_error *err)
{
	struct ph__conn *c = user;

	assert(n != 0); /* 0 octets would look like the end */
	*ret = 0;
	if (c->state == CLEAR)
		return clear_read(c, buf, n, ret, err);
	return c->state == SECURE ? tls_read(c, buf, n, ret, err) : fail_dead(err);
}

static enum ph_io
conn_write(void *user, const struct iovec *iov, size_t count, size_t *ret, struct ph_error *err)
{
	struct ph__conn *c = user;

	*ret = 0;
	if (c->state == CLEAR)
		return clear_write(c, iov, count, ret, err);
	return c->state == SECURE ? tls_write(c, iov, count, ret, err) : fail_dead(err);
}

/* A signal ends the wait early, as PH_IO_AGAIN: the caller knows what is left of its time, and
 * whether the signal was meant to cancel. */
static enum ph_io
conn_wait(void *user, bool want_write, int timeout_ms, struct ph_error *err)
{
	struct ph__conn *c = user;
	struct pollfd p = { .fd = c->fd, .events = POLLIN };
	int n;

	if (c->state != CLEAR) {
		if (c->state != DEAD && flush_own(c, err) == PH_IO_ERROR)
			return PH_IO_ERROR;
		if (has_input(c))
			return PH_IO_OK;
	}
	if (want_write || ph__conn_wants_write(c))
		p.events |= POLLOUT;
	n = poll(&p, 1, timeout_ms);
	if (n > 0 && (p.revents & POLLNVAL) == 0)
		return PH_IO_OK;
	if (n == 0 || (n < 0 && errno == EINTR))
		return PH_IO_AGAIN;
	ph__fail_errno(err, PH_ESYSTEM, PH_STAGE_CONNECT, PH_CAUSE_SYSTEM, n < 0 ? errno : EBADF,
	               "cannot wait for the connection");
	return PH_IO_ERROR;
}

static enum ph_io
conn_start_tls(void *user, struct ph_tls_facts *facts, struct ph_error *err)
{
	struct ph__conn *c = user;
	enum ph_io io;

	if (c->state == CLEAR && !handshake_begin(c, err))
		return PH_IO_ERROR;
	if (c->state != HANDSHAKING)
		return fail_dead(err);
	c->peer.err = err;
	io = handshake(c, facts, err);
	c->peer.err = NULL;
	if (io == PH_IO_ERROR)
		c->state = DEAD;
	return io;
}

/* ---- objects */

enum ph_code
ph__conn_new(struct ph__conn **ret, int fd, bool owned, struct ph__tls *tls, bool enforce,
             const struct ph_allocator *mem, struct ph_error *err)
{
	struct ph__conn *c = ph__alloc0(mem, sizeof *c);

	if (c == NULL)
		return ph__fail_nomem(err, PH_STAGE_CONNECT);
	c->mem = mem;
	c->fd = fd;
	c->owned = owned;
	c->peer.tls = tls;
	c->peer.enforce = enforce;
	ph__arena_init(&c->shown, mem);
	c->transport = (struct ph_transport){ PH_TRANSPORT_INIT, .user = c, .read = conn_read,
		.write = conn_write, .wait = conn_wait,
		.start_tls = tls != NULL ? conn_start_tls : NULL };
	*ret = c;
	return PH_OK;
}

const struct ph_transport *
ph__conn_transport(struct ph__conn *c)
{
	return &c->transport;
}

int
ph__conn_fd(const struct ph__conn *c)
{
	return c->fd;
}

bool
ph__conn_wants_write(const struct ph__conn *c)
{
	return c->out.off != c->out.len;
}

bool
ph__conn_certificate(struct ph__conn *c, size_t i, struct ph_certificate *ret)
{
	bool done = c->ssl != NULL && c->state != HANDSHAKING;
	STACK_OF(X509) *chain = done ? SSL_get_peer_cert_chain(c->ssl) : NULL;

	if (chain == NULL || i >= (size_t)sk_X509_num(chain))
		return false;
	ph__arena_reset(&c->shown);
	return ph__tls_describe(ret, sk_X509_value(chain, (int)i), &c->shown);
}

/* A session whose connection was not shut down is marked by OpenSSL as not to be resumed (a guard
 * against truncation, which SMTP does not need), so it is told that both sides have done so. */
static void
tls_end(struct ph__conn *c)
{
	struct ph_error ignored = PH_ERROR_INIT;

	if (c->state == SECURE) {
		ERR_clear_error();
		if (c->count == 0)
			SSL_shutdown(c->ssl);
		flush_own(c, &ignored);
		SSL_set_shutdown(c->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
	}
	SSL_free(c->ssl);
	ERR_clear_error();
	ph__free(c->mem, c->peer.problem);
	ph__arena_done(&c->shown);
	bytes_release(c, &c->in);
	bytes_release(c, &c->out);
}

void
ph__conn_free(struct ph__conn **conn)
{
	struct ph__conn *c = *conn;

	if (c == NULL)
		return;
	if (c->peer.tls != NULL)
		tls_end(c);
	if (c->owned)
		close(c->fd);
	ph__free(c->mem, c);
	*conn = NULL;
}
