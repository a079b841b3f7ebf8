/* SPDX-License-Identifier: MIT */
/* Fetching MTA-STS policies (RFC 8461 §3.3) from real HTTPS servers on loopback, most of them hostile.
 * A server is a script: a certificate, octets to send, and an end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/bounds.h"
#include "base/clock.h"
#include "net_ca.h"
#include "route/lookup/fetch.h"

#define COUNT(a) (sizeof(a) / sizeof *(a))
#define DOMAIN "example.com"
#define HOST "mta-sts." DOMAIN
#define POLICY "version: STSv1\r\nmode: enforce\r\nmx: *.example.com\r\nmax_age: 86400\r\n"
#define POLICY_LENGTH "66"
#define OK "HTTP/1.1 200 OK\r\n"
#define PLAIN "Content-Type: text/plain\r\n"

/* ---- certificates ---------------------------------------------------------------------------- */

enum cert { GOOD, WILDCARD, WRONG_NAME, WRONG_WILDCARD, CN_ONLY, EXPIRED, NOT_YET, SELF_SIGNED, STRANGER,
            CERTS };

static struct ident ca, stranger, certs[CERTS];
static char folder[] = "/tmp/sts-fetch-XXXXXX", ca_file[64];

static int
make_certificates(void **state)
{
	static const struct { const char *cn, *san; long from, to; const struct ident *issuer; } specs[] = {
		[GOOD] = { "x", "DNS:" HOST, 0, 0, &ca },
		[WILDCARD] = { "x", "DNS:*." DOMAIN, 0, 0, &ca },
		[WRONG_NAME] = { HOST, "DNS:" DOMAIN ",DNS:www." DOMAIN, 0, 0, &ca },
		[WRONG_WILDCARD] = { HOST, "DNS:mta-*." DOMAIN ",DNS:*.com", 0, 0, &ca },
		[CN_ONLY] = { HOST, NULL, 0, 0, &ca },
		[EXPIRED] = { "x", "DNS:" HOST, -2 * DAY, -DAY, &ca },
		[NOT_YET] = { "x", "DNS:" HOST, DAY, 2 * DAY, &ca },
		[SELF_SIGNED] = { HOST, "DNS:" HOST, 0, 0, NULL },
		[STRANGER] = { "x", "DNS:" HOST, 0, 0, &stranger },
	};

	(void)state;
	ca = ca_make((struct cert_spec){ .cn = "Test CA", .ca = true });
	stranger = ca_make((struct cert_spec){ .cn = "Another CA", .ca = true });
	for (size_t i = 0; i < CERTS; i++)
		certs[i] = ca_make((struct cert_spec){ .cn = specs[i].cn, .san = specs[i].san,
		                   .from = specs[i].from, .to = specs[i].to, .issuer = specs[i].issuer });
	assert_non_null(mkdtemp(folder));
	snprintf(ca_file, sizeof ca_file, "%s/ca.pem", folder);
	ca_write_cert(ca_file, &ca);
	return 0;
}

static int
drop_certificates(void **state)
{
	(void)state;
	for (size_t i = 0; i < CERTS; i++)
		ca_free(&certs[i]);
	ca_free(&ca);
	ca_free(&stranger);
	unlink(ca_file);
	return rmdir(folder);
}

/* ---- servers --------------------------------------------------------------------------------- */

enum end {
	NOTIFY,     /* TLS's own end, then TCP's */
	CUT,        /* TCP's only */
	RESET,
	HANG,       /* until the client goes */
	DRIP,       /* an octet of `more` after the other, until the client goes */
	FLOOD       /* `more` again and again, until the client goes */
};

struct script {
	enum cert cert;
	const char *say;
	size_t      len;       /* 0: strlen(say) */
	enum end    end;
	const char *more;
	int         tls_max;   /* 0: what there is */
	bool        in_clear;  /* no TLS */
	bool        no_accept; /* connections are made by the kernel, and nobody answers */
};

struct server {
	struct script script;
	SSL_CTX *ctx;
	int      listener;
	uint16_t port;
	pthread_t thread;
	atomic_int now, most, all; /* connections */
	pthread_mutex_t lock;
	char     request[4096], sni[256];
};

struct visit {
	struct server *server;
	int fd;
};

static void
send_all(SSL *ssl, int fd, const char *p, size_t n)
{
	if (ssl != NULL)
		SSL_write(ssl, p, (int)n);
	else
		send(fd, p, n, MSG_NOSIGNAL);
}

/* Reads up to the end of the header block; false: the client has gone. */
static bool
read_request(struct server *s, SSL *ssl, int fd)
{
	char text[sizeof s->request];
	size_t len = 0;

	do {
		int n = ssl != NULL ? SSL_read(ssl, text + len, (int)(sizeof text - 1 - len))
		                    : (int)recv(fd, text + len, sizeof text - 1 - len, 0);

		if (n <= 0)
			return false;
		text[len += (size_t)n] = '\0';
	} while (strstr(text, "\r\n\r\n") == NULL && len < sizeof text - 1);
	pthread_mutex_lock(&s->lock);
	memcpy(s->request, text, len + 1);
	if (ssl != NULL && SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name) != NULL)
		snprintf(s->sni, sizeof s->sni, "%s", SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name));
	pthread_mutex_unlock(&s->lock);
	return true;
}

static bool
is_there(int fd, int ms)
{
	struct pollfd p = { .fd = fd, .events = POLLRDHUP };

	return poll(&p, 1, ms) == 0;
}

static void
end(const struct script *x, SSL *ssl, int fd)
{
	static const struct linger none = { .l_onoff = 1 };
	size_t n = x->more != NULL ? strlen(x->more) : 0;

	if (x->end == NOTIFY && ssl != NULL)
		SSL_shutdown(ssl);
	else if (x->end == RESET)
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof none);
	else if (x->end == HANG)
		is_there(fd, 30000);
	for (size_t i = 0; x->end == DRIP && is_there(fd, 20); i++)
		send_all(ssl, fd, x->more + i % n, 1);
	while (x->end == FLOOD && is_there(fd, 0))
		send_all(ssl, fd, x->more, n);
}

static void *
serve_one(void *arg)
{
	struct visit v = *(struct visit *)arg;
	struct server *s = v.server;
	const struct script *x = &s->script;
	SSL *ssl = x->in_clear ? NULL : SSL_new(s->ctx);

	free(arg);
	if (ssl != NULL)
		SSL_set_fd(ssl, v.fd);
	if ((ssl == NULL || SSL_accept(ssl) == 1) && (x->in_clear || read_request(s, ssl, v.fd))) {
		send_all(ssl, v.fd, x->say, x->len != 0 ? x->len : strlen(x->say));
		end(x, ssl, v.fd);
	}
	SSL_free(ssl);
	atomic_fetch_sub(&s->now, 1);
	close(v.fd);
	return NULL;
}

static void *
serve(void *arg)
{
	struct server *s = arg;
	sigset_t broken_pipe; /* is deadly, but for the servers' threads */
	int fd;

	sigemptyset(&broken_pipe);
	sigaddset(&broken_pipe, SIGPIPE);
	pthread_sigmask(SIG_BLOCK, &broken_pipe, NULL);
	while ((fd = accept(s->listener, NULL, NULL)) >= 0) {
		struct visit *v = malloc(sizeof *v);
		pthread_t t;
		int now = atomic_fetch_add(&s->now, 1) + 1;

		if (now > atomic_load(&s->most))
			atomic_store(&s->most, now);
		atomic_fetch_add(&s->all, 1);
		*v = (struct visit){ s, fd };
		if (pthread_create(&t, NULL, serve_one, v) != 0)
			abort();
		pthread_detach(t);
	}
	return NULL;
}

static SSL_CTX *
server_ctx(const struct script *x)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());

	assert_int_equal(SSL_CTX_use_certificate(ctx, certs[x->cert].cert), 1);
	assert_int_equal(SSL_CTX_use_PrivateKey(ctx, certs[x->cert].key), 1);
	if (x->tls_max != 0) {
		SSL_CTX_set_security_level(ctx, 0);
		SSL_CTX_set_min_proto_version(ctx, TLS1_VERSION);
		SSL_CTX_set_max_proto_version(ctx, x->tls_max);
	}
	return ctx;
}

static struct server *
server_start_on(const struct script *x, int family)
{
	struct server *s = calloc(1, sizeof *s);
	struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_addr = in6addr_loopback };
	struct sockaddr *a = family == AF_INET ? (struct sockaddr *)&v4 : (struct sockaddr *)&v6;
	socklen_t n = family == AF_INET ? sizeof v4 : sizeof v6;

	s->script = *x;
	s->ctx = server_ctx(x);
	pthread_mutex_init(&s->lock, NULL);
	s->listener = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(s->listener, a, n), 0);
	assert_int_equal(listen(s->listener, 512), 0);
	assert_int_equal(getsockname(s->listener, a, &n), 0);
	s->port = ntohs(family == AF_INET ? v4.sin_port : v6.sin6_port);
	if (!x->no_accept)
		assert_int_equal(pthread_create(&s->thread, NULL, serve, s), 0);
	return s;
}

static struct server *
server_start(const struct script *x)
{
	return server_start_on(x, AF_INET);
}

static void
server_stop(struct server *s)
{
	shutdown(s->listener, SHUT_RDWR);
	if (!s->script.no_accept)
		pthread_join(s->thread, NULL);
	while (atomic_load(&s->now) != 0)
		poll(NULL, 0, 1); /* clients have gone; their threads see it */
	close(s->listener);
	SSL_CTX_free(s->ctx);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

/* ---- fetching -------------------------------------------------------------------------------- */

#define TIMEOUT_MS 10000 /* of what is not about time */

static struct ph__fetch *
fetch_new(uint16_t port, uint64_t timeout_ms)
{
	struct ph__fetch_opts o = { .ca_file = ca_file, .port = port, .timeout_ms = timeout_ms };
	struct ph__fetch *f = NULL;

	assert_int_equal(ph__fetch_new(&f, &o, NULL), PH_OK);
	assert_true(ph__fetch_fd(f) >= 0);
	return f;
}

static void
begin(struct ph__fetch *f, void *user)
{
	static const char *const loopback[] = { "127.0.0.1" };

	assert_int_equal(ph__fetch_begin(f, DOMAIN, loopback, 1, user, NULL), PH_OK);
}

static bool
is_readable(const struct ph__fetch *f, int ms)
{
	struct pollfd p = { .fd = ph__fetch_fd(f), .events = POLLIN };

	return poll(&p, 1, ms) == 1;
}

static struct ph__fetched *
await(struct ph__fetch *f)
{
	struct ph__fetched *r;

	assert_true(is_readable(f, 30000));
	assert_non_null(r = ph__fetch_next(f));
	return r;
}

static void
check_good(struct ph__fetched *r)
{
	if (r->failure != PH__STS_FINE)
		fail_msg("%s", r->why);
	assert_null(r->why);
	assert_int_equal(r->body.len, strlen(POLICY));
	assert_memory_equal(r->body.ptr, POLICY, r->body.len);
}

/* Fetches once, from one server. Milliseconds it took. */
static uint64_t
try_once(const struct script *x, enum ph__sts_failure wanted, const char *words, uint64_t timeout_ms)
{
	struct server *s = server_start(x);
	struct ph__fetch *f = fetch_new(s->port, timeout_ms);
	uint64_t began = ph__now_ms(), took;
	struct ph__fetched *r;
	int me;

	begin(f, &me);
	r = await(f);
	took = ph__now_ms() - began;
	assert_ptr_equal(r->user, &me);
	if (r->failure != wanted)
		fail_msg("%.60s: failure %d: %s", x->say, r->failure, r->why != NULL ? r->why : "none");
	if (wanted == PH__STS_FINE)
		check_good(r);
	else if (strstr(r->why, words) == NULL || strstr(r->why, HOST) == NULL)
		fail_msg("%s: no \"%s\"", r->why, words);
	if (wanted != PH__STS_FINE)
		assert_int_equal(r->body.len, 0);
	assert_null(ph__fetch_next(f));
	assert_false(is_readable(f, 0));
	ph__fetched_free(&r);
	assert_null(r);
	ph__fetch_free(&f);
	assert_null(f);
	server_stop(s);
	return took;
}

static void
a_policy_is_fetched(void **state)
{
	static const struct script good[] = {
		{ .say = OK PLAIN "Content-Length: " POLICY_LENGTH "\r\n\r\n" POLICY },
		{ .say = OK PLAIN "Content-Length: " POLICY_LENGTH "\r\n\r\n" POLICY, .end = HANG },
		{ .say = OK PLAIN "\r\n" POLICY },
		{ .say = "HTTP/1.0 200 OK\r\n" PLAIN "\r\n" POLICY },
		{ .say = OK "content-type: Text/Plain; charset=utf-8\r\n\r\n" POLICY },
		{ .say = OK "Content-Type: text/plain ;charset=\"utf-8\";x=y\r\n\r\n" POLICY },
		{ .say = OK PLAIN "Transfer-Encoding: chunked\r\n\r\n10\r\nversion: STSv1\r\n\r\n32\r\n"
		         "mode: enforce\r\nmx: *.example.com\r\nmax_age: 86400\r\n\r\n0\r\n\r\n", .end = HANG },
		{ .say = "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" OK PLAIN "\r\n" POLICY },
		{ .say = OK PLAIN "\r\n" POLICY, .cert = WILDCARD },
		{ .say = OK PLAIN "\r\n" POLICY, .tls_max = TLS1_2_VERSION },
		{ .say = OK PLAIN "Set-Cookie: a=b\r\nStrict-Transport-Security: max-age=1\r\n"
		         "Alt-Svc: h2=\"127.0.0.1:1\"\r\nLocation: https://evil.example/\r\n\r\n" POLICY },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(good); i++)
		try_once(&good[i], PH__STS_FINE, NULL, TIMEOUT_MS);
}

static void
certificates_are_verified(void **state)
{
	static const struct { enum cert cert; const char *words; } rows[] = {
		{ WRONG_NAME, "ostname mismatch" }, { WRONG_WILDCARD, "ostname mismatch" },
		{ CN_ONLY, "ostname mismatch" }, { EXPIRED, "expired" }, { NOT_YET, "not yet valid" },
		{ SELF_SIGNED, "self" }, { STRANGER, "unable to get local issuer" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct script x = { .cert = rows[i].cert, .say = OK PLAIN "\r\n" POLICY };

		try_once(&x, PH__STS_WEBPKI_INVALID, rows[i].words, TIMEOUT_MS);
	}
}

static void
what_is_no_policy_response_is_a_failure(void **state)
{
	static const struct { struct script x; const char *words; } rows[] = {
		{ { .say = "HTTP/1.1 301 Moved\r\nLocation: https://" HOST "/x\r\n" PLAIN "\r\n" POLICY },
		  "HTTP status 301, and a policy may not be redirected" },
		{ { .say = "HTTP/1.1 302 Found\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n", .end = HANG }, "302" },
		{ { .say = "HTTP/1.1 307 Temporary\r\nLocation: /x\r\n" PLAIN "\r\n" POLICY }, "307" },
		{ { .say = "HTTP/1.1 308 Permanent\r\nLocation: /x\r\n" PLAIN "\r\n" POLICY }, "308" },
		{ { .say = "HTTP/1.1 304 Not Modified\r\n\r\n" }, "304" },
		{ { .say = "HTTP/1.1 404 Not Found\r\n" PLAIN "\r\n" POLICY }, "HTTP status 404" },
		{ { .say = "HTTP/1.1 500 Oh\r\n" PLAIN "\r\n" POLICY }, "500" },
		{ { .say = "HTTP/1.1 201 Created\r\n" PLAIN "\r\n" POLICY }, "201" },
		{ { .say = "HTTP/1.1 203 Not Quite\r\n" PLAIN "\r\n" POLICY }, "203" },
		{ { .say = "HTTP/1.1 206 Partial\r\n" PLAIN "\r\n" POLICY }, "206" },
		{ { .say = "HTTP/1.1 401 No\r\nWWW-Authenticate: Basic realm=x\r\n\r\n" }, "401" },
		{ { .say = OK "\r\n" POLICY }, "no content type" },
		{ { .say = OK "Content-Type: text/html\r\n\r\n" POLICY }, "text/html" },
		{ { .say = OK "Content-Type: text/plainer\r\n\r\n" POLICY }, "text/plainer" },
		{ { .say = OK "Content-Type: \r\n\r\n" POLICY }, "content type" },
		{ { .say = OK "Content-Type: image/\x1b[2J\r\n\r\n" POLICY }, "image/\\x1B[2J" },
		/* cut off */
		{ { .say = OK PLAIN "Content-Length: 99\r\n\r\n" POLICY }, "" },
		{ { .say = OK PLAIN "Content-Length: 99\r\n\r\n" POLICY, .end = CUT }, "" },
		{ { .say = OK PLAIN "Content-Length: 99\r\n\r\n" POLICY, .end = RESET }, "" },
		{ { .say = OK PLAIN "\r\n" POLICY, .end = CUT }, "cut off within the policy" },
		{ { .say = OK PLAIN "Transfer-Encoding: identity\r\n\r\n" POLICY, .end = CUT }, "cut off" },
		{ { .say = OK PLAIN "\r\n" POLICY, .end = RESET }, "" },
		{ { .say = OK PLAIN "Transfer-Encoding: chunked\r\n\r\n10\r\nversion: STSv1\r\n\r\n" }, "" },
		{ { .say = OK PLAIN "Transfer-Encoding: chunked\r\n\r\nxyz\r\n" }, "" },
		{ { .say = OK PLAIN }, "the response is empty" },
		{ { .say = OK PLAIN "Content-Length: 0\r\n\r\n" }, "the response is empty" },
		{ { .say = "\r\n" }, "" },
		{ { .say = "", .end = RESET }, "" },
		{ { .say = "" }, "" },
		/* no HTTP that we speak */
		{ { .say = POLICY }, "HTTP/0.9" },
		{ { .say = "220 mail.example.com ESMTP\r\n", .end = HANG }, "HTTP/0.9" },
		{ { .say = "HTTP/9.9 200 OK\r\n" PLAIN "\r\n" POLICY }, "" },
		{ { .say = "HTTP/1.1 2000 OK\r\n" PLAIN "\r\n" POLICY }, "" },
		{ { .say = "220 mail.example.com ESMTP\r\n", .in_clear = true }, "" },
		{ { .say = OK PLAIN "\r\n" POLICY, .in_clear = true }, "" },
		{ { .say = "", .in_clear = true }, "" },
		{ { .say = OK PLAIN "\r\n" POLICY, .tls_max = TLS1_1_VERSION }, "" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		try_once(&rows[i].x, PH__STS_FETCH_ERROR, rows[i].words, TIMEOUT_MS);
}

/* It was not asked for: what comes is taken as it is, and is for the parser to refuse. */
static void
a_compressed_body_is_not_unpacked(void **state)
{
	static const char say[] = OK PLAIN "Content-Encoding: gzip\r\nContent-Length: 4\r\n\r\n\x1f\x8b\x08\0";
	struct script x = { .say = say, .len = sizeof say - 1 };
	struct server *s = server_start(&x);
	struct ph__fetch *f = fetch_new(s->port, TIMEOUT_MS);
	struct ph__fetched *r;

	(void)state;
	begin(f, NULL);
	r = await(f);
	assert_int_equal(r->failure, PH__STS_FINE);
	assert_int_equal(r->body.len, 4);
	assert_memory_equal(r->body.ptr, "\x1f\x8b\x08\0", 4);
	assert_null(strcasestr(s->request, "Accept-Encoding"));
	ph__fetched_free(&r);
	ph__fetch_free(&f);
	server_stop(s);
}

static void
size_is_bounded(void **state)
{
	static const char line[] = "x-unknown-field: and this is its value, 64 octets with its end..\r\n";
	static char big[200000];
	struct script x = { .say = big, .end = NOTIFY };
	size_t n;

	(void)state;
	n = (size_t)snprintf(big, sizeof big, OK PLAIN "Content-Length: 65537\r\n\r\n");
	try_once(&x, PH__STS_FETCH_ERROR, "larger than 64 KiB", TIMEOUT_MS);
	n = (size_t)snprintf(big, sizeof big, OK PLAIN "Content-Length: 99999999999999999999\r\n\r\n");
	try_once(&x, PH__STS_FETCH_ERROR, "", TIMEOUT_MS);
	n = (size_t)snprintf(big, sizeof big, OK PLAIN "\r\n");
	memset(big + n, 'a', PH__POLICY_MAX + 1);
	big[n + PH__POLICY_MAX + 1] = '\0';
	try_once(&x, PH__STS_FETCH_ERROR, "larger than 64 KiB", TIMEOUT_MS);
	/* a small length, and a flood all the same: what is behind its end is not the policy's */
	x = (struct script){ .say = OK PLAIN "Content-Length: " POLICY_LENGTH "\r\n\r\n" POLICY,
	                     .end = FLOOD, .more = line };
	try_once(&x, PH__STS_FINE, NULL, TIMEOUT_MS);
	x = (struct script){ .say = OK PLAIN "\r\n", .end = FLOOD, .more = line };
	try_once(&x, PH__STS_FETCH_ERROR, "larger than 64 KiB", TIMEOUT_MS);
	x = (struct script){ .say = OK PLAIN "Transfer-Encoding: chunked\r\n\r\n", .end = FLOOD,
	                     .more = "5\r\naaaa\n\r\n" };
	try_once(&x, PH__STS_FETCH_ERROR, "larger than 64 KiB", TIMEOUT_MS);
	x = (struct script){ .say = "HTTP/1.1 404 No\r\n\r\n", .end = FLOOD, .more = line };
	try_once(&x, PH__STS_FETCH_ERROR, "404", TIMEOUT_MS);
	/* endless headers: lines, one line, responses before the response, trailers */
	x = (struct script){ .say = OK PLAIN, .end = FLOOD, .more = line };
	try_once(&x, PH__STS_FETCH_ERROR, "headers are larger", TIMEOUT_MS);
	x = (struct script){ .say = OK PLAIN "X: ", .end = FLOOD, .more = "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx" };
	try_once(&x, PH__STS_FETCH_ERROR, "", TIMEOUT_MS);
	x = (struct script){ .say = "HTTP/1.1 100 Continue\r\n\r\n", .end = FLOOD,
	                     .more = "HTTP/1.1 100 Continue\r\n\r\n" };
	try_once(&x, PH__STS_FETCH_ERROR, "headers are larger", TIMEOUT_MS);
	x = (struct script){ .say = OK PLAIN "Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n",
	                     .end = FLOOD, .more = "Trailer-Field: 12345678901234567890\r\n" };
	try_once(&x, PH__STS_FETCH_ERROR, "", TIMEOUT_MS);
}

static void
the_whole_is_there_in_time_or_not_at_all(void **state)
{
	static const struct script rows[] = {
		{ .say = OK PLAIN "Content-Length: 60000\r\n\r\n", .end = DRIP, .more = "a" },
		{ .say = OK PLAIN "Transfer-Encoding: chunked\r\n\r\n", .end = DRIP, .more = "1\r\na\r\n" },
		{ .say = OK, .end = DRIP, .more = "X-Y: z\r\n" },
		{ .say = OK PLAIN, .end = HANG },
		{ .say = OK PLAIN "\r\n" POLICY, .end = HANG },
		{ .say = "", .end = HANG },
		{ .say = "", .end = HANG, .in_clear = true }, /* not even TLS */
		{ .say = "", .no_accept = true },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		uint64_t took = try_once(&rows[i], PH__STS_FETCH_ERROR, "", 400);

		if (took < 390 || took > 5000)
			fail_msg("row %zu took %llu ms", i, (unsigned long long)took);
	}
}

static void
nothing_but_the_request_is_said(void **state)
{
	struct script x = { .say = OK PLAIN "\r\n" POLICY };
	struct server *s = server_start(&x);
	struct ph__fetch *f;
	struct ph__fetched *r;
	char netrc[80], host[80];
	FILE *file;

	(void)state;
	snprintf(netrc, sizeof netrc, "%s/.netrc", folder);
	assert_non_null(file = fopen(netrc, "w"));
	fputs("machine " HOST " login u password secret\ndefault login u password secret\n", file);
	fclose(file);
	setenv("HOME", folder, 1);
	setenv("NETRC", netrc, 1);
	setenv("https_proxy", "http://127.0.0.1:1", 1);
	setenv("HTTPS_PROXY", "http://127.0.0.1:1", 1);
	setenv("ALL_PROXY", "socks5://127.0.0.1:1", 1);
	f = fetch_new(s->port, TIMEOUT_MS);
	for (int i = 0; i < 2; i++) { /* and nothing is remembered of the first */
		begin(f, NULL);
		check_good(r = await(f));
		ph__fetched_free(&r);
		assert_int_equal(memcmp(s->request, "GET /.well-known/mta-sts.txt HTTP/1.1\r\n", 39), 0);
		snprintf(host, sizeof host, "\r\nHost: " HOST ":%u\r\n", s->port);
		assert_non_null(strstr(s->request, host));
		assert_null(strcasestr(s->request, "Authorization"));
		assert_null(strcasestr(s->request, "Cookie"));
		assert_null(strcasestr(s->request, "If-"));
		assert_string_equal(s->sni, HOST);
	}
	assert_int_equal(atomic_load(&s->all), 2); /* no connection is used again */
	ph__fetch_free(&f);
	server_stop(s);
	unlink(netrc);
	for (size_t i = 0; i < 3; i++)
		unsetenv((const char *[]){ "https_proxy", "HTTPS_PROXY", "ALL_PROXY" }[i]);
}

/* The thread is the parent's: a child that waited for it would wait for ever. */
static void
a_child_can_end_its_copy(void **state)
{
	struct script x = { .say = "", .end = HANG };
	struct server *s = server_start(&x);
	struct ph__fetch *f = fetch_new(s->port, 60000);
	int user = 0, status;
	pid_t child;

	(void)state;
	begin(f, &user);
	while (atomic_load(&s->all) == 0)
		sched_yield();
	if ((child = fork()) == 0) {
		alarm(10);
		if (ph__fetch_begin(f, DOMAIN, (const char *[]){ "127.0.0.1" }, 1, NULL, NULL) != PH_EUSAGE)
			_exit(1);
		ph__fetch_forget(f, &user);
		ph__fetch_free(&f);
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	ph__fetch_free(&f);
	server_stop(s);
}

static void
every_address_is_tried(void **state)
{
	static const char *const lists[][4] = {
		{ "127.0.0.9", "127.0.0.8", "127.0.0.1" }, { "::1", "127.0.0.1" }, { "127.0.0.1", "::1" },
	};
	struct script x = { .say = OK PLAIN "\r\n" POLICY };
	struct server *s = server_start(&x), *s6 = server_start_on(&x, AF_INET6);
	struct ph__fetch *f = fetch_new(s->port, TIMEOUT_MS);
	struct ph__fetched *r;

	(void)state;
	for (size_t i = 0; i < COUNT(lists); i++) {
		assert_int_equal(ph__fetch_begin(f, DOMAIN, lists[i], i == 0 ? 3 : 2, NULL, NULL), PH_OK);
		check_good(r = await(f));
		ph__fetched_free(&r);
	}
	ph__fetch_free(&f);
	f = fetch_new(s6->port, TIMEOUT_MS);
	assert_int_equal(ph__fetch_begin(f, DOMAIN, lists[1], 1, NULL, NULL), PH_OK);
	check_good(r = await(f));
	ph__fetched_free(&r);
	/* this host's addresses of before are forgotten: here nobody listens */
	assert_int_equal(ph__fetch_begin(f, DOMAIN, lists[0], 1, NULL, NULL), PH_OK);
	r = await(f);
	assert_int_equal(r->failure, PH__STS_FETCH_ERROR);
	assert_non_null(strstr(r->why, "connect"));
	ph__fetched_free(&r);
	ph__fetch_free(&f);
	server_stop(s);
	server_stop(s6);
}

static void
what_cannot_be_asked_is_said_at_once(void **state)
{
	static const char *const domains[] = {
		"", ".", "a.", ".a", "a..b", "a b", "a/b", "a:1", "a@b", "a?b", "a#b", "a%2fb", "a\r\nb", "\xc3\xa4",
		"[::1]", "a\\b",
	};
	static const char *const addresses[] = { "127.0.0.1", "localhost", "1.2.3", "::1%lo", "[::1]",
	                                         "127.0.0.1,10.0.0.1", "" };
	struct ph__fetch *f = fetch_new(1, TIMEOUT_MS);
	char longest[300];

	(void)state;
	memset(longest, 'a', sizeof longest - 1);
	longest[sizeof longest - 1] = '\0';
	assert_int_equal(ph__fetch_begin(f, longest, addresses, 1, NULL, NULL), PH_EINPUT);
	for (size_t i = 0; i < COUNT(domains); i++)
		assert_int_equal(ph__fetch_begin(f, domains[i], addresses, 1, NULL, NULL), PH_EINPUT);
	for (size_t i = 1; i < COUNT(addresses); i++)
		assert_int_equal(ph__fetch_begin(f, DOMAIN, &addresses[i], 1, NULL, NULL), PH_EINPUT);
	assert_int_equal(ph__fetch_begin(f, DOMAIN, NULL, 0, NULL, NULL), PH_EINPUT);
	assert_null(ph__fetch_next(f));
	assert_false(is_readable(f, 0));
	ph__fetch_free(&f);
	ph__fetch_free(&f);
}

static void
a_file_of_authorities_that_cannot_be_read_verifies_nobody(void **state)
{
	struct ph__fetch_opts o = { .ca_file = "/nonexistent/ca.pem", .timeout_ms = TIMEOUT_MS };
	struct script x = { .say = OK PLAIN "\r\n" POLICY };
	struct server *s = server_start(&x);
	struct ph__fetch *f;
	struct ph__fetched *r;

	(void)state;
	for (int system = 0; system < 2; system++) { /* the system's do not know our CA either */
		o.port = s->port;
		assert_int_equal(ph__fetch_new(&f, &o, NULL), PH_OK);
		begin(f, NULL);
		r = await(f);
		assert_int_equal(r->failure, system ? PH__STS_WEBPKI_INVALID : PH__STS_FETCH_ERROR);
		ph__fetched_free(&r);
		ph__fetch_free(&f);
		o.ca_file = NULL;
	}
	/* but where the environment names it, as for SMTP's servers */
	setenv("SSL_CERT_FILE", ca_file, 1);
	assert_int_equal(ph__fetch_new(&f, &o, NULL), PH_OK);
	begin(f, NULL);
	check_good(r = await(f));
	ph__fetched_free(&r);
	ph__fetch_free(&f);
	unsetenv("SSL_CERT_FILE");
	server_stop(s);
}

static void
many_are_fetched_at_once_and_the_rest_waits(void **state)
{
	enum { MANY = 3 * PH__FETCHES };
	struct script x = { .say = OK PLAIN "Content-Length: 99\r\n\r\n", .end = HANG };
	struct server *s = server_start(&x), *good;
	struct ph__fetch *f = fetch_new(s->port, 1500), *g;
	static bool seen[MANY];

	(void)state;
	for (size_t i = 0; i < MANY; i++)
		begin(f, &seen[i]);
	/* those that hang have their full time each, one after the other */
	for (size_t i = 0; i < MANY; i++) {
		struct ph__fetched *r = await(f);

		assert_int_equal(r->failure, PH__STS_FETCH_ERROR);
		assert_false(*(bool *)r->user);
		*(bool *)r->user = true;
		ph__fetched_free(&r);
	}
	assert_int_equal(atomic_load(&s->all), MANY);
	assert_true(atomic_load(&s->most) > PH__FETCHES / 2);
	ph__fetch_free(&f);
	server_stop(s);

	x = (struct script){ .say = OK PLAIN "\r\n" POLICY };
	good = server_start(&x);
	g = fetch_new(good->port, TIMEOUT_MS);
	for (size_t i = 0; i < MANY; i++)
		begin(g, &seen[i]);
	for (size_t i = 0; i < MANY; i++) {
		struct ph__fetched *r = await(g);

		check_good(r);
		assert_true(*(bool *)r->user);
		*(bool *)r->user = false;
		ph__fetched_free(&r);
	}
	assert_null(ph__fetch_next(g));
	ph__fetch_free(&g);
	server_stop(good);
}

static void
the_forgotten_get_no_result(void **state)
{
	struct script hang = { .say = OK PLAIN, .end = HANG }, x = { .say = OK PLAIN "\r\n" POLICY };
	struct server *s = server_start(&hang), *good = server_start(&x);
	struct ph__fetch *f = fetch_new(s->port, 30000), *g = fetch_new(good->port, TIMEOUT_MS);
	struct ph__fetched *r;
	int me, other;

	(void)state;
	for (size_t i = 0; i < PH__FETCHES + 3; i++) /* some run, some wait */
		begin(f, i % 2 != 0 ? &me : &other);
	while (atomic_load(&s->now) < PH__FETCHES)
		poll(NULL, 0, 1);
	ph__fetch_forget(f, &me);
	ph__fetch_forget(f, &other);
	while (atomic_load(&s->now) != 0) /* their connections are closed: a leak would hang here */
		poll(NULL, 0, 1);
	assert_null(ph__fetch_next(f));
	ph__fetch_free(&f);

	begin(g, &me); /* done, not yet taken */
	assert_true(is_readable(g, 30000));
	ph__fetch_forget(g, &me);
	assert_false(is_readable(g, 0));
	assert_null(ph__fetch_next(g));
	begin(g, &other);
	ph__fetch_forget(g, &me);
	check_good(r = await(g));
	assert_ptr_equal(r->user, &other);
	ph__fetched_free(&r);
	ph__fetch_free(&g);
	server_stop(s);
	server_stop(good);
}

static void
closing_waits_for_nobody(void **state)
{
	static const struct script rows[] = {
		{ .say = OK PLAIN, .end = HANG }, { .say = "", .end = HANG, .in_clear = true },
		{ .say = "", .no_accept = true }, { .say = OK PLAIN, .end = DRIP, .more = "X-Y: z\r\n" },
		{ .say = OK PLAIN "\r\n" POLICY },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		for (int wait = 0; wait < 2; wait++) {
			struct server *s = server_start(&rows[i]);
			struct ph__fetch *f = fetch_new(s->port, 60000);
			uint64_t began;

			for (size_t n = 0; n < PH__FETCHES * 2; n++)
				begin(f, NULL);
			while (wait && !rows[i].no_accept && atomic_load(&s->all) < PH__FETCHES)
				poll(NULL, 0, 1);
			began = ph__now_ms();
			ph__fetch_free(&f);
			assert_true(ph__now_ms() - began < 3000);
			server_stop(s);
		}
}

static struct ph__fetch *shared;

static void *
use_shared(void *arg)
{
	for (int i = 0; i < 20; i++) {
		struct ph__fetched *r;

		begin(shared, arg);
		is_readable(shared, 50);
		if (i % 3 == 0)
			ph__fetch_forget(shared, arg);
		if ((r = ph__fetch_next(shared)) != NULL)
			ph__fetched_free(&r);
	}
	return NULL;
}

static void
any_thread_may_use_it(void **state)
{
	struct script x = { .say = OK PLAIN "\r\n" POLICY };
	struct server *s = server_start(&x);
	pthread_t t[4];
	char who[4];

	(void)state;
	shared = fetch_new(s->port, TIMEOUT_MS);
	for (size_t i = 0; i < COUNT(t); i++)
		assert_int_equal(pthread_create(&t[i], NULL, use_shared, &who[i]), 0);
	for (size_t i = 0; i < COUNT(t); i++)
		pthread_join(t[i], NULL);
	ph__fetch_free(&shared);
	server_stop(s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_policy_is_fetched),
		cmocka_unit_test(certificates_are_verified),
		cmocka_unit_test(what_is_no_policy_response_is_a_failure),
		cmocka_unit_test(a_compressed_body_is_not_unpacked),
		cmocka_unit_test(size_is_bounded),
		cmocka_unit_test(the_whole_is_there_in_time_or_not_at_all),
		cmocka_unit_test(nothing_but_the_request_is_said),
		cmocka_unit_test(a_child_can_end_its_copy),
		cmocka_unit_test(every_address_is_tried),
		cmocka_unit_test(what_cannot_be_asked_is_said_at_once),
		cmocka_unit_test(a_file_of_authorities_that_cannot_be_read_verifies_nobody),
		cmocka_unit_test(many_are_fetched_at_once_and_the_rest_waits),
		cmocka_unit_test(the_forgotten_get_no_result),
		cmocka_unit_test(closing_waits_for_nobody),
		cmocka_unit_test(any_thread_may_use_it),
	};

	return cmocka_run_group_tests(tests, make_certificates, drop_certificates);
}
