/* SPDX-License-Identifier: MIT */
/* The socket transport, in clear and under TLS, over loopback sockets. The server is a thread with
 * OpenSSL on the socket; its authority is made here. send() is replaced by one that counts, and can
 * be told to fail: the library sends ciphertext with it, the server's OpenSSL does not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/rand.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bounds.h"
#include "base/clock.h"
#include "base/mem.h"
#include "net/conn.h"
#include "net_ca.h"

#define NAME "mail.example.org"
#define ZERO_PIN "0000000000000000000000000000000000000000000000000000000000000000"
#define IGNORE(x) do { if (x) {} } while (0)

static atomic_int sends;
static bool swallow; /* as if the kernel had endless room */

ssize_t
send(int fd, const void *p, size_t n, int flags)
{
	atomic_fetch_add(&sends, 1);
	if (swallow)
		return (ssize_t)n;
	return sendto(fd, p, n, flags, NULL, 0);
}

static void
assert_has(const char *text, const char *part)
{
	if (strstr(text, part) == NULL)
		fail_msg("\"%s\" lacks \"%s\"", text, part);
}

/* ---- the authority */

static struct ident ca, other_ca, good, client_id;
static char dir[] = "/tmp/ph-conn-XXXXXX";
static char ca_path[64], junk_path[64], cert_path[64], key_path[64], locked_path[64], hashed[64];

static void
in_dir(char *path, const char *name)
{
	snprintf(path, 64, "%s/%s", dir, name);
}

static int
make_authority(void **state)
{
	char path[64], name[32];
	FILE *f;

	(void)state;
	signal(SIGPIPE, SIG_DFL);
	unsetenv("SSL_CERT_FILE");
	unsetenv("SSL_CERT_DIR");
	assert_non_null(mkdtemp(dir));
	ca = ca_make((struct cert_spec){ .cn = "Test CA", .ca = true });
	other_ca = ca_make((struct cert_spec){ .cn = "Other CA", .ca = true });
	good = ca_make((struct cert_spec){ .cn = "good", .san = "DNS:" NAME ",IP:127.0.0.1",
	                                   .issuer = &ca });
	client_id = ca_make((struct cert_spec){ .cn = "client", .issuer = &ca });
	in_dir(ca_path, "ca.pem");
	in_dir(junk_path, "junk.pem");
	in_dir(cert_path, "cert.pem");
	in_dir(key_path, "key.pem");
	in_dir(locked_path, "locked.pem");
	in_dir(hashed, "hashed");
	ca_write_cert(ca_path, &ca);
	ca_write_cert(cert_path, &client_id);
	ca_write_key(key_path, &client_id, NULL);
	ca_write_key(locked_path, &client_id, "secret");
	f = fopen(junk_path, "w");
	fputs("no certificate\n", f);
	fclose(f);
	mkdir(hashed, 0700);
	snprintf(name, sizeof name, "hashed/%08lx.0", X509_subject_name_hash(ca.cert));
	in_dir(path, name);
	ca_write_cert(path, &ca);
	return 0;
}

static int
remove_authority(void **state)
{
	char command[96];

	(void)state;
	ca_free(&ca);
	ca_free(&other_ca);
	ca_free(&good);
	ca_free(&client_id);
	snprintf(command, sizeof command, "rm -rf %s", dir);
	return system(command);
}

/* ---- the server */

struct server {
	int listener;
	uint16_t port;
	SSL_CTX *ctx;
	pthread_t thread;
	int connections;
	void (*serve)(struct server *s, int fd);
	/* for serve() */
	const char *say;
	size_t say_len, got;
	bool reset, flip;
	int told[2]; /* a pipe */
	unsigned char *keep; /* what was received */
	char greeting[64];
};

static void *
server_main(void *arg)
{
	struct server *s = arg;
	sigset_t pipe;
	int i;

	/* the server's OpenSSL may raise it; the client may not */
	sigemptyset(&pipe);
	sigaddset(&pipe, SIGPIPE);
	pthread_sigmask(SIG_BLOCK, &pipe, NULL);
	for (i = 0; i < s->connections; i++) {
		int fd = accept(s->listener, NULL, NULL);

		if (fd < 0)
			break;
		s->serve(s, fd);
		close(fd);
		ERR_clear_error();
	}
	return NULL;
}

static SSL_CTX *
server_ctx(const struct ident *id)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());

	assert_non_null(ctx);
	assert_int_equal(SSL_CTX_use_certificate(ctx, id->cert), 1);
	assert_int_equal(SSL_CTX_use_PrivateKey(ctx, id->key), 1);
	SSL_CTX_set_session_id_context(ctx, (const unsigned char *)"t", 1);
	return ctx;
}

static void
server_start(struct server *s, int connections, void (*serve)(struct server *, int))
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof in;

	s->listener = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(bind(s->listener, (struct sockaddr *)&in, sizeof in), 0);
	assert_int_equal(listen(s->listener, 64), 0);
	assert_int_equal(getsockname(s->listener, (struct sockaddr *)&in, &len), 0);
	s->port = ntohs(in.sin_port);
	s->connections = connections;
	s->serve = serve;
	assert_int_equal(pthread_create(&s->thread, NULL, server_main, s), 0);
}

static void
server_end(struct server *s)
{
	shutdown(s->listener, SHUT_RDWR);
	pthread_join(s->thread, NULL);
	close(s->listener);
	SSL_CTX_free(s->ctx);
	free(s->keep);
}

/* Handshake, "220", then what comes is echoed in lower case until the end. */
static void
serve_echo(struct server *s, int fd)
{
	SSL *ssl = SSL_new(s->ctx);
	char buf[16384];
	int n, i;

	SSL_set_fd(ssl, fd);
	if (SSL_accept(ssl) == 1 && SSL_write(ssl, "220\r\n", 5) == 5)
		while ((n = SSL_read(ssl, buf, sizeof buf)) > 0) {
			for (i = 0; i < n; i++)
				buf[i] = (char)(buf[i] | 32);
			SSL_write(ssl, buf, n);
		}
	SSL_shutdown(ssl);
	SSL_free(ssl);
}

/* Keeps everything until the end. */
static void
serve_sink(struct server *s, int fd)
{
	SSL *ssl = SSL_new(s->ctx);
	size_t n;

	s->keep = malloc(16 << 20);
	SSL_set_num_tickets(ssl, 0); /* unread, they would turn the client's close into a reset */
	SSL_set_fd(ssl, fd);
	if (SSL_accept(ssl) == 1)
		while (SSL_read_ex(ssl, s->keep + s->got, (16 << 20) - s->got, &n) == 1) {
			s->got += n;
			if (s->got > 100000 && s->got < 200000)
				usleep(1000);
		}
	SSL_free(ssl);
}

static void
end_hard(const struct server *s, int fd)
{
	struct linger linger = { 1, 0 };

	if (s->reset)
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
}

static void
serve_text(struct server *s, int fd)
{
	char buf[2048];

	IGNORE(write(fd, s->say, s->say_len));
	IGNORE(read(fd, buf, sizeof buf)); /* the ClientHello */
	end_hard(s, fd);
}

/* ---- the client */

struct client {
	struct ph__tls *tls;
	struct ph__conn *conn;
	const struct ph_transport *t;
	struct ph_tls_facts facts;
	struct ph_error err;
	bool clear_first;
};

static int
connect_to(uint16_t port)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;

	assert_int_equal(connect(fd, (struct sockaddr *)&in, sizeof in), 0);
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	return fd; /* left blocking: a transport must not care */
}

static void
client_open(struct client *c, struct ph__tls *tls, uint16_t port, bool enforce)
{
	*c = (struct client){ .tls = tls, .facts = PH_TLS_FACTS_INIT, .err = PH_ERROR_INIT };
	assert_int_equal(ph__conn_new(&c->conn, connect_to(port), true, tls, enforce, &ph__libc_memory,
	                              &c->err), PH_OK);
	c->t = ph__conn_transport(c->conn);
}

static enum ph_io
client_handshake(struct client *c)
{
	enum ph_io io;

	while ((io = c->t->start_tls(c->t->user, &c->facts, &c->err)) == PH_IO_AGAIN)
		assert_int_equal(c->t->wait(c->t->user, false, 5000, &c->err), PH_IO_OK);
	assert_int_equal(ERR_peek_error(), 0);
	return io;
}

static enum ph_io
client_read(struct client *c, void *buf, size_t n, size_t *ret)
{
	enum ph_io io;

	while ((io = c->t->read(c->t->user, buf, n, ret, &c->err)) == PH_IO_AGAIN)
		if (c->t->wait(c->t->user, false, 5000, &c->err) != PH_IO_OK)
			return PH_IO_AGAIN;
	assert_int_equal(ERR_peek_error(), 0);
	return io;
}

static void
client_expect(struct client *c, const char *text)
{
	char buf[256];
	size_t n, have = 0;

	while (have < strlen(text)) {
		assert_int_equal(client_read(c, buf + have, strlen(text) - have, &n), PH_IO_OK);
		have += n;
	}
	assert_memory_equal(buf, text, have);
}

static void
client_write(struct client *c, const void *p, size_t n)
{
	size_t done;

	while (n != 0) {
		struct iovec iov = { (void *)p, n };
		enum ph_io io = c->t->write(c->t->user, &iov, 1, &done, &c->err);

		if (io == PH_IO_AGAIN) {
			assert_int_equal(c->t->wait(c->t->user, true, 5000, &c->err), PH_IO_OK);
			continue;
		}
		assert_int_equal(io, PH_IO_OK);
		p = (const char *)p + done;
		n -= done;
	}
}

static struct ph__tls *
tls_make(struct ph_tls_opts opts, const char *host)
{
	struct ph_error err = PH_ERROR_INIT;
	struct ph__tls *tls = NULL;

	opts.size = sizeof opts;
	if (ph__tls_new(&tls, &opts, host, &ph__libc_memory, &err) != PH_OK)
		fail_msg("%s", err.text);
	return tls;
}

#define OPTS(...) ((struct ph_tls_opts){ __VA_ARGS__ })

/* One handshake with a server that shows `id`. */
static enum ph_io
meet(const struct ident *id, struct ph_tls_opts opts, const char *host, bool enforce,
     struct ph_tls_facts *facts, struct ph_error *err)
{
	struct server s = { .ctx = server_ctx(id) };
	struct ph__tls *tls = tls_make(opts, host);
	struct client c;
	enum ph_io io;

	server_start(&s, 1, serve_echo);
	client_open(&c, tls, s.port, enforce);
	io = client_handshake(&c);
	if (io == PH_IO_OK) {
		client_expect(&c, "220\r\n");
		client_write(&c, "HELLO", 5);
		client_expect(&c, "hello");
	}
	*facts = c.facts;
	*err = c.err;
	ph__conn_free(&c.conn);
	ph__tls_free(&tls);
	server_end(&s);
	return io;
}

static void
refused(struct cert_spec spec, const char *host, enum ph_cause cause, const char *words,
        const char *hint)
{
	struct ident id = ca_make(spec);
	struct ph_tls_facts facts;
	struct ph_error err, none;

	assert_int_equal(meet(&id, OPTS(.ca_file = ca_path), host, true, &facts, &err), PH_IO_ERROR);
	if (err.cause != cause)
		fail_msg("%s: %s", ph_cause_name(err.cause), err.text);
	assert_int_equal(err.code, PH_ESECURITY);
	assert_int_equal(err.stage, PH_STAGE_TLS);
	assert_has(err.text, words);
	assert_has(err.hint, hint);
	/* the same, when nothing is enforced, is a fact */
	assert_int_equal(meet(&id, OPTS(.ca_file = ca_path), host, false, &facts, &none), PH_IO_OK);
	assert_false(facts.verified);
	assert_string_equal(facts.problem, err.text);
	ca_free(&id);
}

static void
accepted(struct cert_spec spec, const char *host)
{
	struct ident id = ca_make(spec);
	struct ph_tls_facts facts;
	struct ph_error err;

	if (meet(&id, OPTS(.ca_file = ca_path), host, true, &facts, &err) != PH_IO_OK)
		fail_msg("%s", err.text);
	assert_true(facts.verified);
	assert_string_equal(facts.problem, "");
	ca_free(&id);
}

#define BARE(...) ((struct cert_spec){ __VA_ARGS__ })
#define SPEC(...) ((struct cert_spec){ .cn = "leaf", .issuer = &ca, __VA_ARGS__ })

/* ---- certificates refused */

static void
an_expired_certificate_is_refused(void **state)
{
	(void)state;
	refused(SPEC(.san = "DNS:" NAME, .from = -9 * DAY, .to = -2 * DAY), NAME,
	        PH_CAUSE_CERT_EXPIRED, "the certificate of " NAME " expired on 20", "--pin sha256:");
}

static void
a_certificate_of_the_future_is_refused(void **state)
{
	(void)state;
	refused(SPEC(.san = "DNS:" NAME, .from = 2 * DAY, .to = 9 * DAY), NAME,
	        PH_CAUSE_CERT_NOT_YET, "is not valid before 20", "clock");
}

static void
an_expired_authority_is_named(void **state)
{
	struct ident old = ca_make((struct cert_spec){ .cn = "Old CA", .ca = true, .issuer = &ca,
	                                               .from = -9 * DAY, .to = -DAY });
	struct ident leaf = ca_make((struct cert_spec){ .cn = "leaf", .san = "DNS:" NAME,
	                                                .issuer = &old });
	struct server s = { .ctx = server_ctx(&leaf) };
	struct ph__tls *tls = tls_make(OPTS(.ca_file = ca_path), NAME);
	struct client c;

	(void)state;
	SSL_CTX_add1_chain_cert(s.ctx, old.cert);
	server_start(&s, 1, serve_echo);
	client_open(&c, tls, s.port, true);
	assert_int_equal(client_handshake(&c), PH_IO_ERROR);
	assert_int_equal(c.err.cause, PH_CAUSE_CERT_EXPIRED);
	assert_has(c.err.text, "the certificate of the authority CN=Old CA expired");
	assert_has(c.err.text, "chain: CN=leaf <- CN=Old CA <- CN=Test CA <- itself");
	ph__conn_free(&c.conn);
	ph__tls_free(&tls);
	server_end(&s);
	ca_free(&leaf);
	ca_free(&old);
}

static void
a_certificate_for_another_name_is_refused(void **state)
{
	(void)state;
	refused(SPEC(.san = "DNS:www.example.org,IP:192.0.2.1"), NAME, PH_CAUSE_CERT_NAME,
	        "not for " NAME "; it is for www.example.org, 192.0.2.1; valid 20",
	        "--tls-name www.example.org");
	refused(SPEC(.san = "DNS:" NAME), "127.0.0.1", PH_CAUSE_CERT_NAME, "not for 127.0.0.1", NAME);
	refused(SPEC(.san = "DNS:127.0.0.1"), "127.0.0.1", PH_CAUSE_CERT_NAME, "not for", "--tls-name");
	refused(SPEC(.san = "IP:127.0.0.2"), "127.0.0.1", PH_CAUSE_CERT_NAME, "not for", "--tls-name");
	refused(BARE(.cn = NAME, .issuer = &ca, .san = "DNS:other.example"), NAME, PH_CAUSE_CERT_NAME, "not for",
	        "--tls-name");
	refused(SPEC(.san = "DNS:" NAME), NULL, PH_CAUSE_CERT_NAME, "there is no name", "--tls-name");
}

static void
wildcards_stand_for_one_whole_label(void **state)
{
	(void)state;
	refused(SPEC(.san = "DNS:*.example.org"), "a.b.example.org", PH_CAUSE_CERT_NAME, "*.example.org",
	        "--tls-name");
	refused(SPEC(.san = "DNS:*.example.org"), "example.org", PH_CAUSE_CERT_NAME, "not for", "");
	refused(SPEC(.san = "DNS:ma*.example.org"), NAME, PH_CAUSE_CERT_NAME, "not for", "");
	refused(SPEC(.san = "DNS:*l.example.org"), NAME, PH_CAUSE_CERT_NAME, "not for", "");
	accepted(SPEC(.san = "DNS:*.example.org"), NAME);
}

static void
a_self_signed_certificate_is_refused(void **state)
{
	(void)state;
	refused((struct cert_spec){ .cn = NAME, .san = "DNS:" NAME }, NAME, PH_CAUSE_CERT_SELF_SIGNED,
	        "is self-signed", "--ca-file");
}

static void
an_unknown_authority_is_refused(void **state)
{
	(void)state;
	refused(BARE(.cn = "leaf", .san = "DNS:" NAME, .issuer = &other_ca), NAME, PH_CAUSE_CERT_UNTRUSTED,
	        "not signed by a trusted authority; it is for " NAME, "--ca-file");
}

static void
names_with_control_characters_are_escaped(void **state)
{
	(void)state;
	refused(BARE(.cn = "evil\033[2J\r\nname", .issuer = &other_ca), NAME, PH_CAUSE_CERT_UNTRUSTED,
	        "evil", "--pin");
	{
		struct ident id = ca_make(BARE(.cn = "evil\033[2J\r\nname", .issuer = &other_ca));
		struct ph_tls_facts facts;
		struct ph_error err;
		const char *p;

		meet(&id, OPTS(.ca_file = ca_path), NAME, true, &facts, &err);
		for (p = err.text; *p != '\0'; p++)
			assert_true((unsigned char)*p >= 32);
		ca_free(&id);
	}
}

/* ---- certificates accepted */

static void
a_good_certificate_is_verified_and_the_facts_are_told(void **state)
{
	struct ph_tls_facts facts;
	struct ph_error err;

	(void)state;
	assert_int_equal(meet(&good, OPTS(.ca_file = ca_path), NAME, true, &facts, &err), PH_IO_OK);
	assert_true(facts.verified);
	assert_false(facts.resumed);
	assert_string_equal(facts.version, "TLSv1.3");
	assert_has(facts.cipher, "TLS_");
	assert_string_equal(facts.peer_name, NAME);
	assert_int_equal(meet(&good, OPTS(.ca_dir = hashed), "MAIL.Example.ORG.", true, &facts, &err),
	                 PH_IO_OK);
	assert_string_equal(facts.peer_name, NAME);
	assert_int_equal(meet(&good, OPTS(.ca_file = ca_path, .server_name = NAME), "elsewhere.test",
	                      true, &facts, &err), PH_IO_OK);
	assert_int_equal(meet(&good, OPTS(.ca_file = ca_path), "[127.0.0.1]", true, &facts, &err),
	                 PH_IO_OK);
	assert_string_equal(facts.peer_name, "127.0.0.1");
}

static void
other_good_certificates_are_verified(void **state)
{
	(void)state;
	accepted(SPEC(.san = "IP:::1,IP:127.0.0.1"), "::1");
	accepted(SPEC(.san = "DNS:xn--mnchen-3ya.example"), "m\xc3\xbcnchen.example");
	accepted(BARE(.cn = NAME, .issuer = &ca), NAME); /* no DNS-ID at all */
}

static void
a_leaf_named_as_trusted_is_trusted(void **state)
{
	struct ph_tls_facts facts;
	struct ph_error err;
	char path[64];

	(void)state;
	in_dir(path, "leaf.pem");
	ca_write_cert(path, &good);
	assert_int_equal(meet(&good, OPTS(.ca_file = path), NAME, true, &facts, &err), PH_IO_OK);
	assert_true(facts.verified);
}

static void
the_systems_directory_is_the_default_and_replaceable(void **state)
{
	struct ph_tls_facts facts;
	struct ph_error err;

	(void)state;
	assert_int_equal(meet(&good, OPTS(0), NAME, true, &facts, &err), PH_IO_ERROR);
	assert_int_equal(err.cause, PH_CAUSE_CERT_UNTRUSTED);
	setenv("SSL_CERT_DIR", hashed, 1);
	assert_int_equal(meet(&good, OPTS(0), NAME, true, &facts, &err), PH_IO_OK);
	unsetenv("SSL_CERT_DIR");
	setenv("SSL_CERT_FILE", ca_path, 1);
	assert_int_equal(meet(&good, OPTS(0), NAME, true, &facts, &err), PH_IO_OK);
	/* a file of the user's replaces all that */
	assert_int_equal(meet(&good, OPTS(.ca_file = cert_path), NAME, true, &facts, &err), PH_IO_ERROR);
	unsetenv("SSL_CERT_FILE");
}

static void
insecure_is_told_as_such(void **state)
{
	struct ident id = ca_make((struct cert_spec){ .cn = "x" });
	struct ph_tls_facts facts;
	struct ph_error err;

	(void)state;
	assert_int_equal(meet(&id, OPTS(.insecure = true), NAME, true, &facts, &err), PH_IO_OK);
	assert_false(facts.verified);
	assert_string_equal(facts.problem, "verification is switched off");
	ca_free(&id);
}

static void
sni_is_sent_for_names_only(void **state)
{
	static const char *const hosts[] = { NAME, "127.0.0.1" };
	size_t i;

	(void)state;
	for (i = 0; i < 2; i++) {
		struct ph__tls *tls = tls_make(OPTS(.insecure = true), hosts[i]);
		struct server s = { .say = "", .say_len = 0 };
		unsigned char hello[2048];
		struct client c;
		ssize_t n;
		int pair[2];

		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
		c = (struct client){ .err = PH_ERROR_INIT, .facts = PH_TLS_FACTS_INIT };
		assert_int_equal(ph__conn_new(&c.conn, pair[0], true, tls, true, &ph__libc_memory, &c.err),
		                 PH_OK);
		c.t = ph__conn_transport(c.conn);
		assert_int_equal(c.t->start_tls(c.t->user, &c.facts, &c.err), PH_IO_AGAIN);
		n = read(pair[1], hello, sizeof hello);
		assert_true(n > 100);
		assert_int_equal(memmem(hello, (size_t)n, hosts[i], strlen(hosts[i])) != NULL, i == 0);
		ph__conn_free(&c.conn);
		close(pair[1]);
		ph__tls_free(&tls);
		(void)s;
	}
}

/* ---- pins */

static void
pin_of(const struct ident *id, bool key, bool colons, char text[128])
{
	unsigned char md[32], *der = NULL;
	int i, n = key ? i2d_PUBKEY(id->key, &der) : i2d_X509(id->cert, &der);

	EVP_Digest(der, (size_t)n, md, NULL, EVP_sha256(), NULL);
	OPENSSL_free(der);
	for (text[0] = '\0', i = 0; i < 32; i++)
		snprintf(text + strlen(text), 128 - strlen(text), "%s%02X", i != 0 && colons ? ":" : "",
		         md[i]);
}

static void
pins_replace_chain_and_name(void **state)
{
	struct ident id = ca_make((struct cert_spec){ .cn = "x", .from = -9 * DAY, .to = -DAY });
	char pin[6][150], hex[128];
	unsigned char md[32], *der = NULL;
	struct ph_tls_facts facts;
	struct ph_error err;
	size_t i;
	int n;

	(void)state;
	pin_of(&id, true, false, pin[0]);
	pin_of(&id, false, true, pin[1]);
	snprintf(pin[2], sizeof pin[2], "SHA256:%.64s", pin[0]);
	n = i2d_PUBKEY(id.key, &der);
	EVP_Digest(der, (size_t)n, md, NULL, EVP_sha256(), NULL);
	OPENSSL_free(der);
	EVP_EncodeBlock((unsigned char *)pin[3], md, 32);
	snprintf(pin[4], sizeof pin[4], "sha256//%.44s", pin[3]);
	pin_of(&id, false, false, pin[5]);
	for (i = 0; i < 6; i++) {
		const char *const pins[] = {
			"0000000000000000000000000000000000000000000000000000000000000000", pin[i] };

		assert_int_equal(meet(&id, OPTS(.pins = pins, .pin_count = 2), NAME, true, &facts, &err),
		                 PH_IO_OK);
		assert_true(facts.verified);
	}
	pin_of(&good, true, false, hex);
	{
		const char *const pins[] = { pin[0] };
		char lower[128];

		for (i = 0; i <= strlen(hex); i++)
			lower[i] = (char)(hex[i] >= 'A' && hex[i] <= 'F' ? hex[i] + 32 : hex[i]);
		assert_int_equal(meet(&good, OPTS(.ca_file = ca_path, .pins = pins, .pin_count = 1), NAME,
		                      true, &facts, &err), PH_IO_ERROR);
		assert_int_equal(err.code, PH_ESECURITY);
		assert_int_equal(err.cause, PH_CAUSE_CERT_PIN);
		assert_has(err.text, lower);
		assert_int_equal(meet(&good, OPTS(.pins = pins, .pin_count = 1), NAME, false, &facts, &err),
		                 PH_IO_OK);
		assert_false(facts.verified);
	}
	ca_free(&id);
}

/* ---- configuration that cannot be */

static void
bad_configuration_is_told_when_it_is_given(void **state)
{
	static char long_alpn[2 + 256 + 1] = "a,", endless_alpn[2049];
	static const char *const bad_pins[] = { "", "sha256:", "abc", "sha1:00", NULL,
		"000000000000000000000000000000000000000000000000000000000000000g",
		"00000000000000000000000000000000000000000000000000000000000000000",
		"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "A AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=" };
	const struct { struct ph_tls_opts opts; enum ph_code code; const char *text; } cases[] = {
		{ OPTS(.ca_file = "/nonexistent/ca"), PH_ENOINPUT, "No such file" },
		{ OPTS(.ca_file = dir), PH_ENOINPUT, "Is a directory" },
		{ OPTS(.ca_file = junk_path), PH_ECONFIG, "no certificate in the CA file" },
		{ OPTS(.ca_dir = "/nonexistent/d"), PH_ENOINPUT, "No such file" },
		{ OPTS(.ca_dir = ca_path), PH_ENOINPUT, "Not a directory" },
		{ OPTS(.ca_dir = dir), PH_ECONFIG, "no hashed certificates" },
		{ OPTS(.cert_file = "/nonexistent/c"), PH_ENOINPUT, "No such file" },
		{ OPTS(.cert_file = junk_path), PH_ECONFIG, "unusable client certificate" },
		{ OPTS(.cert_file = cert_path), PH_ECONFIG, "unusable private key" },
		{ OPTS(.cert_file = cert_path, .key_file = "/nonexistent/k"), PH_ENOINPUT, "key file" },
		{ OPTS(.cert_file = cert_path, .key_file = locked_path), PH_ECONFIG, "is encrypted" },
		{ OPTS(.cert_file = ca_path, .key_file = key_path), PH_ECONFIG, "mismatch" },
		{ OPTS(.key_file = key_path), PH_ECONFIG, "both are needed" },
		{ OPTS(.server_name = "a b"), PH_ECONFIG, "TLS server name" },
		{ OPTS(.alpn = ""), PH_ECONFIG, "has 0 octets" },
		{ OPTS(.alpn = ","), PH_ECONFIG, "has 0 octets" },
		{ OPTS(.alpn = "smtp,"), PH_ECONFIG, "\"smtp,\" has 0 octets" },
		{ OPTS(.alpn = ",smtp"), PH_ECONFIG, "has 0 octets" },
		{ OPTS(.alpn = "a,,b"), PH_ECONFIG, "has 0 octets" },
		{ OPTS(.alpn = long_alpn), PH_ECONFIG, "has 256 octets; it must have 1 to 255" },
		{ OPTS(.alpn = endless_alpn), PH_ECONFIG, "are 2048 octets, more than 2047" },
	};
	struct ph__tls *tls = NULL;
	size_t i;

	(void)state;
	memset(long_alpn + 2, 'x', 256);
	for (i = 0; i < 1024; i++)
		memcpy(endless_alpn + 2 * i, "x,", 2);
	for (i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct ph_error err = PH_ERROR_INIT;

		assert_int_equal(ph__tls_new(&tls, &cases[i].opts, NAME, &ph__libc_memory, &err),
		                 cases[i].code);
		assert_has(err.text, cases[i].text);
		assert_int_equal(ERR_peek_error(), 0);
		assert_null(tls);
	}
	for (i = 0; i < sizeof bad_pins / sizeof bad_pins[0]; i++) {
		struct ph_tls_opts opts = { .pins = &bad_pins[i], .pin_count = 1 };

		assert_int_equal(ph__tls_new(&tls, &opts, NAME, &ph__libc_memory, NULL), PH_ECONFIG);
	}
}

/* ---- what was agreed on, and who showed what */

static int
choose_protocol(SSL *ssl, const unsigned char **out, unsigned char *n, const unsigned char *in,
                unsigned len, void *want)
{
	unsigned char *chosen;

	(void)ssl;
	if (SSL_select_next_proto(&chosen, n, want, (unsigned)strlen(want), in, len) !=
	    OPENSSL_NPN_NEGOTIATED)
		return SSL_TLSEXT_ERR_ALERT_FATAL;
	*out = chosen;
	return SSL_TLSEXT_ERR_OK;
}

static void
the_application_protocol_is_agreed_on_or_the_want_of_one_explained(void **state)
{
	static char much[255 + 1], wire[256 + 1];
	const struct { const char *offer; const char *want, *got; } rows[] = {
		{ "smtp", "\4smtp", "smtp" }, { "acme-tls/1,lmtp,smtp", "\4smtp", "smtp" },
		{ "a\033b", "\3a\033b", "a\\x1Bb" }, { "smtp", NULL, "" }, { NULL, "\4smtp", "" },
		{ much, wire, "mmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmm" },
		{ "smtp,lmtp", "\2h2", NULL },
	};

	(void)state;
	memset(much, 'm', 255);
	snprintf(wire, sizeof wire, "\377%s", much);
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
			struct server s = { .ctx = server_ctx(&good) };
			struct ph__tls *tls = tls_make(OPTS(.ca_file = ca_path, .alpn = rows[i].offer), NAME);
			struct client c;

			SSL_CTX_set_max_proto_version(s.ctx, version);
			if (rows[i].want != NULL)
				SSL_CTX_set_alpn_select_cb(s.ctx, choose_protocol, (void *)rows[i].want);
			server_start(&s, 1, serve_echo);
			client_open(&c, tls, s.port, true);
			if (rows[i].got != NULL) {
				assert_int_equal(client_handshake(&c), PH_IO_OK);
				assert_string_equal(c.facts.alpn, rows[i].got);
			} else {
				assert_int_equal(client_handshake(&c), PH_IO_ERROR);
				assert_int_equal(c.err.code, PH_ECONFIG);
				assert_has(c.err.text, "none of the application protocols");
			}
			ph__conn_free(&c.conn);
			ph__tls_free(&tls);
			server_end(&s);
		}
}

static void
the_key_exchange_is_named(void **state)
{
	static const struct { int version; const char *groups, *ciphers, *name; } rows[] = {
		{ TLS1_3_VERSION, "X25519", NULL, "X25519" },
		{ TLS1_3_VERSION, "P-256", NULL, "prime256v1" },
		{ TLS1_3_VERSION, "ffdhe2048", NULL, "ffdhe2048" },
		{ TLS1_2_VERSION, "X25519", NULL, "X25519" },
		{ TLS1_2_VERSION, "P-384", NULL, "secp384r1" },
		{ TLS1_2_VERSION, NULL, "DHE-RSA-AES128-GCM-SHA256", "DH modp_2048" },
		{ TLS1_2_VERSION, NULL, "AES128-GCM-SHA256", "" },
	};
	struct ident rsa = { EVP_RSA_gen(2048), X509_dup(good.cert) };

	(void)state;
	X509_set_pubkey(rsa.cert, rsa.key);
	assert_true(X509_sign(rsa.cert, ca.key, EVP_sha256()) > 0);
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct server s = { .ctx = server_ctx(&rsa) };
		struct ph__tls *tls = tls_make(OPTS(.ca_file = ca_path), NAME);
		struct client c;

		SSL_CTX_set_max_proto_version(s.ctx, rows[i].version);
		if (rows[i].groups != NULL)
			assert_int_equal(SSL_CTX_set1_groups_list(s.ctx, rows[i].groups), 1);
		if (rows[i].ciphers != NULL)
			assert_int_equal(SSL_CTX_set_cipher_list(s.ctx, rows[i].ciphers), 1);
		SSL_CTX_set_dh_auto(s.ctx, 1);
		server_start(&s, 1, serve_echo);
		client_open(&c, tls, s.port, true);
		if (client_handshake(&c) != PH_IO_OK)
			fail_msg("row %zu: %s", i, c.err.text);
		assert_string_equal(c.facts.group, rows[i].name);
		ph__conn_free(&c.conn);
		ph__tls_free(&tls);
		server_end(&s);
	}
	ca_free(&rsa);
}

static void
assert_shows(struct client *c, const struct ident *const *ids, size_t count)
{
	struct ph_certificate cert = PH_CERTIFICATE_INIT;

	for (size_t i = 0; i < count; i++) {
		unsigned char *der = NULL;
		int n = i2d_X509(ids[i]->cert, &der);

		assert_true(ph__conn_certificate(c->conn, i, &cert));
		assert_int_equal(cert.der_len, n);
		assert_memory_equal(cert.der, der, (size_t)n);
		OPENSSL_free(der);
	}
	assert_false(ph__conn_certificate(c->conn, count, &cert));
	assert_false(ph__conn_certificate(c->conn, SIZE_MAX, &cert));
	assert_int_equal(ERR_peek_error(), 0);
}

static void
the_chain_is_told_as_the_server_sent_it(void **state)
{
	struct ident middle = ca_make((struct cert_spec){ .cn = "Middle", .ca = true, .issuer = &ca });
	struct ident leaf = ca_make((struct cert_spec){ .cn = "leaf", .san = "DNS:" NAME,
	                                                .issuer = &middle });
	/* what does not belong to it, and the wrong order: told all the same */
	const struct ident *const shown[] = { &leaf, &ca, &other_ca, &middle };

	(void)state;
	for (int i = 0; i < 8; i++) { /* TLS 1.2 or 1.3, enforced or not, then resumed */
		struct server s = { .ctx = server_ctx(&leaf) };
		struct ph__tls *tls = tls_make(OPTS(.ca_file = i & 4 ? cert_path : ca_path), NAME);
		struct ph_certificate cert = PH_CERTIFICATE_INIT;
		struct client c;

		SSL_CTX_set_max_proto_version(s.ctx, i & 1 ? TLS1_3_VERSION : TLS1_2_VERSION);
		for (size_t k = 1; k < 4; k++)
			SSL_CTX_add1_chain_cert(s.ctx, shown[k]->cert);
		server_start(&s, 3, serve_echo);
		for (int visits = 0; visits < 3; visits++) {
			client_open(&c, tls, s.port, i & 2 && !(i & 4));
			assert_false(ph__conn_certificate(c.conn, 0, &cert));
			assert_int_equal(client_handshake(&c), PH_IO_OK);
			assert_int_equal(c.facts.resumed, visits != 0);
			assert_int_equal(c.facts.verified, !(i & 4));
			assert_shows(&c, shown, 4);
			client_expect(&c, "220\r\n");
			assert_shows(&c, shown, 4);
			assert_true(ph__conn_certificate(c.conn, 0, &cert));
			assert_string_equal(cert.subject, "CN=leaf");
			assert_string_equal(cert.issuer, "CN=Middle");
			assert_int_equal(cert.name_count, 1);
			assert_string_equal(cert.names[0], NAME);
			ph__conn_free(&c.conn);
		}
		ph__tls_free(&tls);
		server_end(&s);
	}
	ca_free(&leaf);
	ca_free(&middle);
}

/* A key that this machine's policy finds too weak is a matter of verification; a version that it
 * does not have is not. */
static void
what_cannot_be_gone_past_stays_an_error(void **state)
{
	struct ident weak = { EVP_RSA_gen(1024), X509_dup(good.cert) };
	const char *const pin = ZERO_PIN;
	const struct ph_tls_opts pinned = { .pins = &pin, .pin_count = 1 };
	struct ph_tls_facts facts;
	struct ph_error err, none;

	(void)state;
	X509_set_pubkey(weak.cert, weak.key);
	assert_true(X509_sign(weak.cert, ca.key, EVP_sha256()) > 0);
	for (int enforce = 1; enforce >= 0; enforce--) {
		struct server s = { .ctx = SSL_CTX_new(TLS_server_method()) };
		struct ph__tls *tls = tls_make(OPTS(.ca_file = ca_path, .min_version = PH_TLS_1_3), NAME);
		struct client c;

		SSL_CTX_set_security_level(s.ctx, 0);
		assert_int_equal(SSL_CTX_use_certificate(s.ctx, weak.cert), 1);
		assert_int_equal(SSL_CTX_use_PrivateKey(s.ctx, weak.key), 1);
		server_start(&s, 2, serve_echo);
		client_open(&c, tls, s.port, enforce);
		assert_int_equal(client_handshake(&c), enforce ? PH_IO_ERROR : PH_IO_OK);
		if (enforce) {
			err = c.err;
			assert_has(err.text, "key too weak");
		} else {
			assert_false(c.facts.verified);
			assert_string_equal(c.facts.problem, err.text);
		}
		ph__conn_free(&c.conn);
		SSL_CTX_set_max_proto_version(s.ctx, TLS1_2_VERSION);
		client_open(&c, tls, s.port, enforce);
		assert_int_equal(client_handshake(&c), PH_IO_ERROR);
		assert_int_equal(c.err.cause, PH_CAUSE_TLS_VERSION);
		ph__conn_free(&c.conn);
		ph__tls_free(&tls);
		server_end(&s);
	}
	ca_free(&weak);
	/* a pin is verification too */
	assert_int_equal(meet(&good, pinned, NAME, true, &facts, &err), PH_IO_ERROR);
	assert_int_equal(meet(&good, pinned, NAME, false, &facts, &none), PH_IO_OK);
	assert_false(facts.verified);
	assert_string_equal(facts.problem, err.text);
}

/* ---- handshakes that fail */

static void
an_old_version_is_refused_in_words(void **state)
{
	static const struct { int max; enum ph_tls_version min; const char *words; } cases[] = {
		{ TLS1_VERSION, PH_TLS_VERSION_DEFAULT, "TLS 1.2 or better is required" },
		{ TLS1_1_VERSION, PH_TLS_1_2, "an older one at best" },
		{ TLS1_2_VERSION, PH_TLS_1_3, "TLS 1.3 or better is required" },
	};
	size_t i;

	(void)state;
	for (i = 0; i < 3; i++) {
		struct server s = { .ctx = server_ctx(&good) };
		struct ph__tls *tls = tls_make(OPTS(.ca_file = ca_path, .min_version = cases[i].min), NAME);
		struct client c;

		SSL_CTX_set_security_level(s.ctx, 0);
		SSL_CTX_set_cipher_list(s.ctx, "ALL:@SECLEVEL=0");
		SSL_CTX_set_min_proto_version(s.ctx, TLS1_VERSION);
		SSL_CTX_set_max_proto_version(s.ctx, cases[i].max);
		server_start(&s, 1, serve_echo);
		client_open(&c, tls, s.port, false);
		assert_int_equal(client_handshake(&c), PH_IO_ERROR);
		assert_int_equal(c.err.code, PH_ESECURITY);
		assert_int_equal(c.err.cause, PH_CAUSE_TLS_VERSION);
		assert_has(c.err.text, cases[i].words);
		ph__conn_free(&c.conn);
		ph__tls_free(&tls);
		server_end(&s);
	}
}

/* A server that knows nothing of supported_versions answers with its own best. */
static void
a_server_hello_of_an_old_version_is_named(void **state)
{
	static char hello[] = "\x16\x03\x02\x00\x2a\x02\x00\x00\x26\x03\x02"
		"0123456789abcdef0123456789abcdef" "\x00\xc0\x0a\x00";
	struct server s = { .say = hello, .say_len = sizeof hello - 1 };
	struct ph__tls *tls = tls_make(OPTS(.ca_file = ca_path), NAME);
	struct client c;

	(void)state;
	server_start(&s, 1, serve_text);
	client_open(&c, tls, s.port, true);
	assert_int_equal(client_handshake(&c), PH_IO_ERROR);
	assert_int_equal(c.err.cause, PH_CAUSE_TLS_VERSION);
	assert_has(c.err.text, "offers TLS 1.1 at best");
	ph__conn_free(&c.conn);
	ph__tls_free(&tls);
	server_end(&s);
}

static void
clear_text_instead_of_tls_is_recognised(void **state)
{
	static const struct { const char *say; enum ph_code code; enum ph_cause cause; const char *text; }
	cases[] = {
		{ "220 mx.example ESMTP \033]0;x\007\r\n250 more\r\n", PH_ESECURITY, PH_CAUSE_TLS_ON_CLEAR,
		  "in clear text: \"220 mx.example ESMTP \\x1B]0;x\\x07\"" },
		{ "554 no\r\n", PH_ESECURITY, PH_CAUSE_TLS_ON_CLEAR, "\"554 no\"" },
		{ "2", PH_ESECURITY, PH_CAUSE_TLS_ON_CLEAR, "\"2\"" },
		{ "* OK IMAP4\r\n", PH_EPROTOCOL, PH_CAUSE_GARBAGE, "neither TLS nor SMTP" },
	};
	size_t i;

	(void)state;
	for (i = 0; i < 4; i++) {
		struct server s = { .say = cases[i].say, .say_len = strlen(cases[i].say) };
		struct ph__tls *tls = tls_make(OPTS(.ca_file = ca_path), NAME);
		struct client c;

		server_start(&s, 1, serve_text);
		client_open(&c, tls, s.port, true);
		assert_int_equal(client_handshake(&c), PH_IO_ERROR);
		assert_int_equal(c.err.code, cases[i].code);
		assert_int_equal(c.err.cause, cases[i].cause);
		assert_has(c.err.text, cases[i].text);
		if (cases[i].cause == PH_CAUSE_TLS_ON_CLEAR)
			assert_has(c.err.hint, "--tls=starttls");
		ph__conn_free(&c.conn);
		ph__tls_free(&tls);
		server_end(&s);
	}
}

static void
clear_text_after_starttls_is_another_matter(void **state)
{
	struct server s = { .say = "220 go\r\n454 sorry\r\n", .say_len = 19 };
	struct ph__tls *tls = tls_make(OPTS(.ca_file = ca_path), NAME);
	struct client c;

	(void)state;
	server_start(&s, 1, serve_text);
	client_open(&c, tls, s.port, true);
	client_expect(&c, "220 go\r\n");
	assert_int_equal(client_handshake(&c), PH_IO_ERROR);
	assert_int_equal(c.err.cause, PH_CAUSE_TLS_ON_CLEAR);
	assert_has(c.err.text, "agreed to STARTTLS and then went on in clear text: \"454 sorry\"");
	assert_int_equal(c.t->start_tls(c.t->user, &c.facts, &c.err), PH_IO_ERROR); /* dead */
	ph__conn_free(&c.conn);
	ph__tls_free(&tls);
	server_end(&s);
}

/* The first flight of a server, cut after say_len octets; all of it when say_len is 0. */
static void
serve_cut(struct server *s, int fd)
{
	SSL *ssl = SSL_new(s->ctx);
	BIO *in = BIO_new(BIO_s_mem()), *out = BIO_new(BIO_s_mem());
	char buf[4096], *p;
	ssize_t n = read(fd, buf, sizeof buf);
	long len;

	SSL_set_bio(ssl, in, out);
	if (n > 0) {
		BIO_write(in, buf, (int)n);
		SSL_accept(ssl);
		len = BIO_get_mem_data(out, &p);
		s->got = (size_t)len;
		if (s->flip)
			p[s->say_len % (size_t)len] ^= 1 << s->say_len % 8;
		IGNORE(write(fd, p, !s->flip && s->say_len < (size_t)len ? s->say_len : (size_t)len));
		s->say_len++;
	}
	s->reset = !s->reset;
	end_hard(s, fd);
	SSL_free(ssl);
}

static void
a_handshake_cut_anywhere_is_deferred(void **state)
{
	struct server s = { .ctx = server_ctx(&good) };
	struct ph__tls *tls = tls_make(OPTS(.ca_file = ca_path), NAME);
	size_t cut;

	(void)state;
	SSL_CTX_set_num_tickets(s.ctx, 0);
	server_start(&s, 100000, serve_cut);
	/* a signature's length varies by a few octets: the whole of a shorter flight is not cut */
	for (cut = 0; cut == 0 || cut + 8 < s.got; cut++) {
		struct client c;

		client_open(&c, tls, s.port, true);
		assert_int_equal(client_handshake(&c), PH_IO_ERROR);
		if (c.err.code != PH_EDEFERRED || c.err.cause != PH_CAUSE_HANDSHAKE)
			fail_msg("cut at %zu: %s", cut, c.err.text);
		ph__conn_free(&c.conn);
	}
	assert_true(cut > 500);
	ph__tls_free(&tls);
	server_end(&s);
}

/* A few bits of the outer record headers mean nothing; all others are covered by the handshake. */
static void
a_flipped_bit_anywhere_never_passes_unproved(void **state)
{
	struct server s = { .ctx = server_ctx(&good), .flip = true };
	struct ph__tls *tls = tls_make(OPTS(.ca_file = ca_path), NAME);
	size_t at, passed = 0;

	(void)state;
	SSL_CTX_set_num_tickets(s.ctx, 0);
	server_start(&s, 100000, serve_cut);
	for (at = 0; at == 0 || at < s.got; at++) {
		struct client c;

		client_open(&c, tls, s.port, true);
		if (client_handshake(&c) == PH_IO_OK) {
			assert_true(c.facts.verified);
			passed++;
		} else {
			assert_true(c.err.code < 0 && c.err.text[0] != '\0');
		}
		ph__conn_free(&c.conn);
	}
	assert_true(at > 500 && passed < 8);
	ph__tls_free(&tls);
	server_end(&s);
}

static void
handshake_octets_may_come_one_by_one(void **state)
{
	int pair[2], i, done = 0;
	struct ph__tls *tls = tls_make(OPTS(.ca_file = ca_path), NAME);
	SSL_CTX *ctx = server_ctx(&good);
	SSL *ssl = SSL_new(ctx);
	BIO *in = BIO_new(BIO_s_mem()), *out = BIO_new(BIO_s_mem());
	struct client c = { .err = PH_ERROR_INIT, .facts = PH_TLS_FACTS_INIT };
	char buf[4096];
	size_t n;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	fcntl(pair[1], F_SETFL, O_NONBLOCK);
	SSL_set_bio(ssl, in, out);
	assert_int_equal(ph__conn_new(&c.conn, pair[0], true, tls, true, &ph__libc_memory, &c.err), PH_OK);
	c.t = ph__conn_transport(c.conn);
	for (i = 0; i < 20000 && !done; i++) {
		enum ph_io io = c.t->start_tls(c.t->user, &c.facts, &c.err);
		ssize_t got;

		assert_int_not_equal(io, PH_IO_ERROR);
		done = io == PH_IO_OK;
		while ((got = read(pair[1], buf, sizeof buf)) > 0)
			BIO_write(in, buf, (int)got);
		SSL_accept(ssl);
		if (BIO_read(out, buf, 1) == 1)
			IGNORE(write(pair[1], buf, 1));
	}
	assert_true(done);
	assert_true(c.facts.verified);
	/* Finished has waited for the first write */
	assert_true(ph__conn_wants_write(c.conn));
	atomic_store(&sends, 0);
	client_write(&c, "EHLO", 4);
	assert_int_equal(sends, 1);
	assert_false(ph__conn_wants_write(c.conn));
	BIO_write(in, buf, (int)read(pair[1], buf, sizeof buf));
	assert_int_equal(SSL_read_ex(ssl, buf, sizeof buf, &n), 1);
	assert_int_equal(n, 4);
	ph__conn_free(&c.conn);
	close(pair[1]);
	SSL_free(ssl);
	SSL_CTX_free(ctx);
	ph__tls_free(&tls);
}

/* ---- client certificates */

static void
a_client_certificate_is_shown_or_its_want_explained(void **state)
{
	static const int versions[] = { TLS1_3_VERSION, TLS1_2_VERSION };
	size_t i;

	(void)state;
	for (i = 0; i < 4; i++) {
		struct server s = { .ctx = server_ctx(&good) };
		bool with = i >= 2;
		struct ph__tls *tls = tls_make(OPTS(.ca_file = ca_path, .cert_file = with ? cert_path : NULL,
		                                    .key_file = with ? key_path : NULL), NAME);
		struct client c;
		char buf[16];
		size_t n;

		SSL_CTX_set_max_proto_version(s.ctx, versions[i % 2]);
		SSL_CTX_set_verify(s.ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
		SSL_CTX_load_verify_file(s.ctx, ca_path);
		server_start(&s, 1, serve_echo);
		client_open(&c, tls, s.port, true);
		if (with) {
			assert_int_equal(client_handshake(&c), PH_IO_OK);
			client_expect(&c, "220\r\n");
		} else if (client_handshake(&c) == PH_IO_OK) { /* TLS 1.3: the refusal comes later */
			assert_int_equal(i, 0);
			assert_int_equal(client_read(&c, buf, sizeof buf, &n), PH_IO_ERROR);
		}
		if (!with) {
			assert_has(c.err.text, "client certificate");
			assert_has(c.err.hint, "--cert");
			assert_int_equal(c.err.stage, PH_STAGE_TLS);
		}
		if (i == 0) {
			assert_int_equal(c.err.code, PH_ECONFIG);
			assert_has(c.err.text, "demands a client certificate");
		}
		ph__conn_free(&c.conn);
		ph__tls_free(&tls);
		server_end(&s);
	}
}

/* ---- sessions */

static bool
visit(struct server *s, struct ph__tls *tls, bool enforce, bool *verified)
{
	struct client c;
	bool resumed;

	client_open(&c, tls, s->port, enforce);
	assert_int_equal(client_handshake(&c), PH_IO_OK);
	client_expect(&c, "220\r\n");
	resumed = c.facts.resumed;
	*verified = c.facts.verified;
	if (!*verified)
		assert_true(c.facts.problem[0] != '\0');
	ph__conn_free(&c.conn);
	return resumed;
}

static void
sessions_are_resumed_with_what_was_proved(void **state)
{
	static const int versions[] = { TLS1_3_VERSION, TLS1_2_VERSION };
	size_t i;

	(void)state;
	for (i = 0; i < 2; i++) {
		struct server s = { .ctx = server_ctx(&good) };
		struct ph__tls *tls = tls_make(OPTS(.ca_file = ca_path), NAME);
		bool verified;
		int n;

		SSL_CTX_set_max_proto_version(s.ctx, versions[i]);
		server_start(&s, 20, serve_echo);
		assert_false(visit(&s, tls, true, &verified));
		for (n = 0; n < 12; n++) {
			assert_true(visit(&s, tls, n % 2 == 0, &verified));
			assert_true(verified);
		}
		ph__tls_free(&tls);
		server_end(&s);
	}
}

static void
an_unproved_session_is_never_resumed_where_proof_is_wanted(void **state)
{
	static const int versions[] = { TLS1_3_VERSION, TLS1_2_VERSION };
	size_t i;

	(void)state;
	for (i = 0; i < 2; i++) {
		struct ident bad = ca_make(SPEC(.san = "DNS:other.example"));
		struct server s = { .ctx = server_ctx(&bad) };
		struct ph__tls *tls = tls_make(OPTS(.ca_file = ca_path), NAME);
		struct client c;
		bool verified;

		SSL_CTX_set_max_proto_version(s.ctx, versions[i]);
		server_start(&s, 20, serve_echo);
		assert_false(visit(&s, tls, false, &verified));
		assert_false(verified);
		assert_true(visit(&s, tls, false, &verified));
		assert_false(verified); /* resumed, and still not */
		client_open(&c, tls, s.port, true);
		assert_int_equal(client_handshake(&c), PH_IO_ERROR);
		assert_int_equal(c.err.cause, PH_CAUSE_CERT_NAME);
		ph__conn_free(&c.conn);
		ph__tls_free(&tls);
		server_end(&s);
		ca_free(&bad);
	}
}

static void
no_resume_means_a_full_handshake_each_time(void **state)
{
	struct server s = { .ctx = server_ctx(&good) };
	struct ph__tls *tls = tls_make(OPTS(.ca_file = ca_path, .no_resume = true), NAME);
	bool verified;

	(void)state;
	server_start(&s, 2, serve_echo);
	assert_false(visit(&s, tls, true, &verified));
	assert_false(visit(&s, tls, true, &verified));
	ph__tls_free(&tls);
	server_end(&s);
}

/* ---- data */

static unsigned char *
random_body(size_t n)
{
	unsigned char *p = malloc(n);

	RAND_bytes(p, (int)n);
	return p;
}

/* Splits n octets into pieces of odd sizes, some empty. */
static size_t
cut_up(struct iovec *iov, size_t max, unsigned char *p, size_t n)
{
	static const size_t sizes[] = { 1, 0, 70, 4096, 16384, 3, 40000, 16383, 16385, 0, 2000, 200000 };
	size_t i;

	for (i = 0; i < max && n != 0; i++) {
		size_t len = sizes[i % 12] < n ? sizes[i % 12] : n;

		iov[i] = (struct iovec){ p, len };
		p += len;
		n -= len;
	}
	return i;
}

static void
a_body_in_any_pieces_arrives_whole(void **state)
{
	const size_t size = 3 << 20;
	unsigned char *body = random_body(size);
	struct server s = { .ctx = server_ctx(&good) };
	struct ph__tls *tls = tls_make(OPTS(.ca_file = ca_path), NAME);
	struct client c;
	size_t at = 0, n;

	(void)state;
	server_start(&s, 1, serve_sink);
	client_open(&c, tls, s.port, true);
	assert_int_equal(client_handshake(&c), PH_IO_OK);
	while (at < size) {
		struct iovec iov[64];
		size_t count = cut_up(iov, 64, body + at, size - at);
		enum ph_io io = c.t->write(c.t->user, iov, count, &n, &c.err);

		if (io == PH_IO_AGAIN)
			assert_int_equal(c.t->wait(c.t->user, true, 5000, &c.err), PH_IO_OK);
		else
			assert_int_equal(io, PH_IO_OK);
		at += n;
	}
	assert_false(ph__conn_wants_write(c.conn));
	ph__conn_free(&c.conn);
	pthread_join(s.thread, NULL);
	assert_int_equal(s.got, size);
	assert_memory_equal(s.keep, body, size);
	s.connections = 0;
	close(s.listener);
	SSL_CTX_free(s.ctx);
	free(s.keep);
	ph__tls_free(&tls);
	free(body);
}

/* Cuts the connection at every possible state of a tiny socket buffer. */
static void
octets_reported_are_those_the_peer_can_read(void **state)
{
	const size_t size = 400000;
	unsigned char *body = random_body(size);
	struct ph__tls *tls = tls_make(OPTS(.ca_file = ca_path), NAME);
	int round, partial = 0;

	(void)state;
	for (round = 1; round < 40; round++) {
		struct server s = { .ctx = server_ctx(&good) };
		struct client c;
		size_t at = 0, n;
		int calls, small = 4608;

		server_start(&s, 1, serve_sink);
		client_open(&c, tls, s.port, true);
		setsockopt(ph__conn_fd(c.conn), SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
		assert_int_equal(client_handshake(&c), PH_IO_OK);
		for (calls = 0; calls < round && at < size; calls++) {
			struct iovec iov[64];
			size_t count = cut_up(iov, 64, body + at, size - at);
			enum ph_io io = c.t->write(c.t->user, iov, count, &n, &c.err);

			at += n;
			if (io == PH_IO_AGAIN || n < size - at)
				IGNORE(c.t->wait(c.t->user, true, 5, &c.err));
			assert_int_not_equal(io, PH_IO_ERROR);
		}
		partial += at != 0 && at != size && ph__conn_wants_write(c.conn);
		ph__conn_free(&c.conn); /* in the middle of a record, mostly */
		pthread_join(s.thread, NULL);
		if (s.got != at)
			fail_msg("round %d: told %zu, the peer has %zu", round, at, s.got);
		assert_memory_equal(s.keep, body, at);
		close(s.listener);
		SSL_CTX_free(s.ctx);
		free(s.keep);
	}
	assert_true(partial > 5);
	ph__tls_free(&tls);
	free(body);
}

static void
sends_are_few_and_large(void **state)
{
	const size_t size = 512 * 1024;
	unsigned char *body = random_body(size);
	struct server s = { .ctx = server_ctx(&good) };
	struct ph__tls *tls = tls_make(OPTS(.ca_file = ca_path), NAME);
	struct iovec many[500], whole = { body, size };
	struct client c;
	size_t i, n;

	(void)state;
	server_start(&s, 1, serve_sink);
	client_open(&c, tls, s.port, true);
	assert_int_equal(client_handshake(&c), PH_IO_OK);
	for (i = 0; i < 500; i++) /* small pieces share a record and a send */
		many[i] = (struct iovec){ body + i * 10, 10 };
	atomic_store(&sends, 0);
	assert_int_equal(c.t->write(c.t->user, many, 500, &n, &c.err), PH_IO_OK);
	assert_int_equal(n, 5000);
	assert_int_equal(sends, 1);
	swallow = true;
	atomic_store(&sends, 0);
	assert_int_equal(c.t->write(c.t->user, &whole, 1, &n, &c.err), PH_IO_OK);
	assert_int_equal(n, size);
	assert_int_equal(sends, 2);
	ph__conn_free(&c.conn);
	swallow = false;
	pthread_join(s.thread, NULL);
	assert_int_equal(s.got, 5000);
	assert_memory_equal(s.keep, body, 5000);
	close(s.listener);
	SSL_CTX_free(s.ctx);
	free(s.keep);
	ph__tls_free(&tls);
	free(body);
}

/* Tickets and a key update in the middle, then an end without close_notify. */
static void
serve_noise(struct server *s, int fd)
{
	SSL *ssl = SSL_new(s->ctx);
	char buf[8];

	SSL_set_fd(ssl, fd);
	if (SSL_accept(ssl) == 1) {
		SSL_new_session_ticket(ssl);
		SSL_key_update(ssl, SSL_KEY_UPDATE_REQUESTED);
		SSL_do_handshake(ssl);
		usleep(50000);
		SSL_write(ssl, "220\r\n", 5);
		SSL_read(ssl, buf, 4);
		SSL_write(ssl, buf, 4);
	}
	SSL_free(ssl);
}

static void
tickets_and_key_updates_are_not_data(void **state)
{
	struct server s = { .ctx = server_ctx(&good) };
	struct ph__tls *tls = tls_make(OPTS(.ca_file = ca_path), NAME);
	struct client c;
	char buf[8];
	size_t n;

	(void)state;
	server_start(&s, 1, serve_noise);
	client_open(&c, tls, s.port, true);
	assert_int_equal(client_handshake(&c), PH_IO_OK);
	assert_int_equal(c.t->wait(c.t->user, false, 5000, &c.err), PH_IO_OK);
	assert_int_equal(c.t->read(c.t->user, buf, sizeof buf, &n, &c.err), PH_IO_AGAIN);
	assert_int_equal(n, 0);
	client_expect(&c, "220\r\n");
	client_write(&c, "QUIT", 4);
	client_expect(&c, "QUIT");
	assert_int_equal(client_read(&c, buf, sizeof buf, &n), PH_IO_EOF);
	ph__conn_free(&c.conn);
	ph__tls_free(&tls);
	server_end(&s);
}

/* A ticket once EHLO is there, then nothing until the client has looked at what is not acknowledged. */
static void
serve_ticket(struct server *s, int fd)
{
	SSL *ssl = SSL_new(s->ctx);
	char buf[8];

	SSL_set_num_tickets(ssl, 1);
	SSL_set_fd(ssl, fd);
	if (SSL_accept(ssl) == 1 && SSL_read(ssl, buf, 4) == 4) {
		s->got = (size_t)fd;
		IGNORE(write(s->told[1], "", 1));
		SSL_read(ssl, buf, 4);
	}
	SSL_free(ssl);
}

/* Or a server with Nagle's algorithm does not answer before 40 ms are over. */
static void
tickets_are_acknowledged_at_once(void **state)
{
	struct server s = { .ctx = server_ctx(&good) };
	struct ph__tls *tls = tls_make(OPTS(.ca_file = ca_path), NAME);
	struct client c;
	int unacknowledged = -1;
	char buf[8];
	size_t n;

	(void)state;
	assert_int_equal(pipe(s.told), 0);
	server_start(&s, 1, serve_ticket);
	client_open(&c, tls, s.port, true);
	assert_int_equal(client_handshake(&c), PH_IO_OK);
	client_write(&c, "EHLO", 4);
	assert_int_equal(read(s.told[0], buf, 1), 1);
	assert_int_equal(c.t->read(c.t->user, buf, sizeof buf, &n, &c.err), PH_IO_AGAIN);
	assert_int_equal(ioctl((int)s.got, SIOCOUTQ, &unacknowledged), 0);
	assert_int_equal(unacknowledged, 0);
	client_write(&c, "QUIT", 4);
	ph__conn_free(&c.conn);
	ph__tls_free(&tls);
	server_end(&s);
	close(s.told[0]);
	close(s.told[1]);
}

static void
a_corrupted_record_ends_the_connection(void **state)
{
	struct server s = { .ctx = server_ctx(&good) };
	struct ph__tls *tls = tls_make(OPTS(.ca_file = ca_path), NAME);
	struct client c;
	char buf[64];
	size_t n;

	(void)state;
	server_start(&s, 1, serve_echo);
	client_open(&c, tls, s.port, true);
	assert_int_equal(client_handshake(&c), PH_IO_OK);
	client_expect(&c, "220\r\n");
	/* a plaintext octet from our side breaks the server; its alert comes back */
	IGNORE(write(ph__conn_fd(c.conn), "\x17\x03\x03\x00\x20" "0123456789abcdef0123456789abcdef", 37));
	assert_int_equal(client_read(&c, buf, sizeof buf, &n), PH_IO_ERROR);
	assert_int_equal(c.err.code, PH_EDEFERRED);
	assert_has(c.err.text, "bad record mac");
	assert_int_equal(c.t->read(c.t->user, buf, sizeof buf, &n, &c.err), PH_IO_ERROR);
	ph__conn_free(&c.conn);
	ph__tls_free(&tls);
	server_end(&s);
}

/* ---- in clear */

static void
clear_pair(struct client *c, int *peer)
{
	int pair[2];

	*c = (struct client){ .err = PH_ERROR_INIT };
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	assert_int_equal(ph__conn_new(&c->conn, pair[0], true, NULL, false, &ph__libc_memory, &c->err),
	                 PH_OK);
	c->t = ph__conn_transport(c->conn);
	*peer = pair[1];
}

static void
clear_text_goes_both_ways(void **state)
{
	struct iovec iov[1500];
	struct client c;
	char buf[2000];
	size_t n, i;
	int peer;

	(void)state;
	clear_pair(&c, &peer);
	assert_null(c.t->start_tls);
	assert_int_equal(c.t->read(c.t->user, buf, sizeof buf, &n, &c.err), PH_IO_AGAIN);
	assert_int_equal(c.t->wait(c.t->user, false, 0, &c.err), PH_IO_AGAIN);
	assert_int_equal(c.t->wait(c.t->user, true, 0, &c.err), PH_IO_OK);
	for (i = 0; i < 1500; i++)
		iov[i] = (struct iovec){ (void *)"x", 1 };
	assert_int_equal(c.t->write(c.t->user, iov, 1500, &n, &c.err), PH_IO_OK);
	assert_int_equal(n, PH__IOV_MAX);
	assert_int_equal(read(peer, buf, sizeof buf), PH__IOV_MAX);
	IGNORE(write(peer, "250\r\n", 5));
	assert_int_equal(c.t->wait(c.t->user, false, 0, &c.err), PH_IO_OK);
	client_expect(&c, "250\r\n");
	close(peer);
	assert_int_equal(c.t->read(c.t->user, buf, sizeof buf, &n, &c.err), PH_IO_EOF);
	ph__conn_free(&c.conn);
}

static void
the_peers_last_words_are_heard(void **state)
{
	struct client c;
	char buf[64];
	size_t n;
	int peer;
	struct iovec iov = { (void *)"MAIL", 4 };

	(void)state;
	clear_pair(&c, &peer);
	IGNORE(write(peer, "421 bye\r\n", 9));
	close(peer);
	assert_int_equal(c.t->write(c.t->user, &iov, 1, &n, &c.err), PH_IO_AGAIN); /* and no SIGPIPE */
	client_expect(&c, "421 bye\r\n");
	assert_int_equal(c.t->write(c.t->user, &iov, 1, &n, &c.err), PH_IO_ERROR);
	assert_int_equal(c.err.code, PH_EDEFERRED);
	assert_int_equal(c.err.cause, PH_CAUSE_LOST);
	assert_int_equal(c.t->read(c.t->user, buf, sizeof buf, &n, &c.err), PH_IO_EOF);
	ph__conn_free(&c.conn);
}

static void
a_reset_is_an_error_not_an_end(void **state)
{
	struct server s = { .say = "220 x\r\n", .say_len = 7, .reset = true };
	struct client c;
	char buf[64];
	size_t n;

	(void)state;
	server_start(&s, 1, serve_text);
	client_open(&c, NULL, s.port, false);
	client_expect(&c, "220 x\r\n");
	client_write(&c, "EHLO\r\n", 6);
	assert_int_equal(client_read(&c, buf, sizeof buf, &n), PH_IO_ERROR);
	assert_int_equal(c.err.cause, PH_CAUSE_LOST);
	assert_int_equal(c.err.sys, ECONNRESET);
	ph__conn_free(&c.conn);
	server_end(&s);
}

static void
a_borrowed_socket_is_left_open(void **state)
{
	struct ph_error err = PH_ERROR_INIT;
	struct ph__conn *conn = NULL;
	int pair[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	assert_int_equal(ph__conn_new(&conn, pair[0], false, NULL, false, &ph__libc_memory, &err), PH_OK);
	ph__conn_free(&conn);
	assert_int_equal(write(pair[0], "x", 1), 1);
	close(pair[0]);
	close(pair[1]);
}

/* ---- memory */

static int allocations_left;
static size_t bytes_held;

static void *
counting_alloc(void *user, size_t n)
{
	size_t *p;

	(void)user;
	if (allocations_left-- <= 0 || (p = malloc(n + 16)) == NULL)
		return NULL;
	*p = n;
	bytes_held += n;
	return (char *)p + 16;
}

static void
counting_free(void *user, void *p)
{
	(void)user;
	if (p == NULL)
		return;
	bytes_held -= *(size_t *)((char *)p - 16);
	free((char *)p - 16);
}

static void *
counting_realloc(void *user, void *p, size_t n)
{
	void *q = counting_alloc(user, n);

	if (q != NULL && p != NULL) {
		size_t old = *(size_t *)((char *)p - 16);

		memcpy(q, p, old < n ? old : n);
		counting_free(user, p);
	}
	return q;
}

static const struct ph_allocator counting = { counting_alloc, counting_realloc, counting_free, NULL };

/* True when it came through. Everything must be an error value, nothing a crash or a leak. */
static bool
one_visit(uint16_t port, unsigned char *body, size_t *idle)
{
	struct ph_tls_opts opts = { PH_TLS_OPTS_INIT, .ca_file = ca_path };
	struct client c = { .err = PH_ERROR_INIT, .facts = PH_TLS_FACTS_INIT };
	struct ph__tls *tls = NULL;
	char buf[64];
	size_t n, at = 0;
	bool ok = false;
	enum ph_io io = PH_IO_OK;
	int fd;

	if (ph__tls_new(&tls, &opts, NAME, &counting, &c.err) != PH_OK)
		return false;
	fd = connect_to(port);
	if (ph__conn_new(&c.conn, fd, true, tls, true, &counting, &c.err) != PH_OK) {
		close(fd);
		ph__tls_free(&tls);
		return false;
	}
	c.t = ph__conn_transport(c.conn);
	if (client_handshake(&c) == PH_IO_OK && client_read(&c, buf, 5, &n) == PH_IO_OK) {
		while (at < 100000 && io != PH_IO_ERROR) {
			struct iovec iov = { body + at, 100000 - at };

			io = c.t->write(c.t->user, &iov, 1, &n, &c.err);
			at += n;
			if (io == PH_IO_AGAIN)
				io = c.t->wait(c.t->user, true, 5000, &c.err);
		}
		for (n = 0, at = 0; io != PH_IO_ERROR && at < 100000; at += n) {
			char echo[16384];

			if ((io = client_read(&c, echo, sizeof echo, &n)) != PH_IO_OK)
				break;
		}
		ok = io == PH_IO_OK;
	}
	*idle = bytes_held;
	if (!ok)
		assert_int_equal(c.err.code, PH_ESYSTEM);
	ph__conn_free(&c.conn);
	ph__tls_free(&tls);
	return ok;
}

static void
each_allocation_may_fail(void **state)
{
	struct server s = { .ctx = server_ctx(&good) };
	unsigned char *body = random_body(100000);
	size_t idle = 0;
	int n;

	(void)state;
	server_start(&s, 1000, serve_echo);
	for (n = 0; n < 200; n++) {
		bool ok;

		allocations_left = n;
		ok = one_visit(s.port, body, &idle);
		assert_int_equal(bytes_held, 0);
		if (ok)
			break;
	}
	assert_true(n > 4 && n < 200);
	assert_true(idle < 16384); /* the buffers of a connection at rest have been given back */
	free(body);
	server_end(&s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_expired_certificate_is_refused),
		cmocka_unit_test(a_certificate_of_the_future_is_refused),
		cmocka_unit_test(an_expired_authority_is_named),
		cmocka_unit_test(a_certificate_for_another_name_is_refused),
		cmocka_unit_test(wildcards_stand_for_one_whole_label),
		cmocka_unit_test(a_self_signed_certificate_is_refused),
		cmocka_unit_test(an_unknown_authority_is_refused),
		cmocka_unit_test(names_with_control_characters_are_escaped),
		cmocka_unit_test(a_good_certificate_is_verified_and_the_facts_are_told),
		cmocka_unit_test(other_good_certificates_are_verified),
		cmocka_unit_test(a_leaf_named_as_trusted_is_trusted),
		cmocka_unit_test(the_systems_directory_is_the_default_and_replaceable),
		cmocka_unit_test(insecure_is_told_as_such),
		cmocka_unit_test(sni_is_sent_for_names_only),
		cmocka_unit_test(pins_replace_chain_and_name),
		cmocka_unit_test(bad_configuration_is_told_when_it_is_given),
		cmocka_unit_test(the_application_protocol_is_agreed_on_or_the_want_of_one_explained),
		cmocka_unit_test(the_key_exchange_is_named),
		cmocka_unit_test(the_chain_is_told_as_the_server_sent_it),
		cmocka_unit_test(what_cannot_be_gone_past_stays_an_error),
		cmocka_unit_test(an_old_version_is_refused_in_words),
		cmocka_unit_test(a_server_hello_of_an_old_version_is_named),
		cmocka_unit_test(clear_text_instead_of_tls_is_recognised),
		cmocka_unit_test(clear_text_after_starttls_is_another_matter),
		cmocka_unit_test(a_handshake_cut_anywhere_is_deferred),
		cmocka_unit_test(a_flipped_bit_anywhere_never_passes_unproved),
		cmocka_unit_test(handshake_octets_may_come_one_by_one),
		cmocka_unit_test(a_client_certificate_is_shown_or_its_want_explained),
		cmocka_unit_test(sessions_are_resumed_with_what_was_proved),
		cmocka_unit_test(an_unproved_session_is_never_resumed_where_proof_is_wanted),
		cmocka_unit_test(no_resume_means_a_full_handshake_each_time),
		cmocka_unit_test(a_body_in_any_pieces_arrives_whole),
		cmocka_unit_test(octets_reported_are_those_the_peer_can_read),
		cmocka_unit_test(sends_are_few_and_large),
		cmocka_unit_test(tickets_and_key_updates_are_not_data),
		cmocka_unit_test(tickets_are_acknowledged_at_once),
		cmocka_unit_test(a_corrupted_record_ends_the_connection),
		cmocka_unit_test(clear_text_goes_both_ways),
		cmocka_unit_test(the_peers_last_words_are_heard),
		cmocka_unit_test(a_reset_is_an_error_not_an_end),
		cmocka_unit_test(a_borrowed_socket_is_left_open),
		cmocka_unit_test(each_allocation_may_fail),
	};

	return cmocka_run_group_tests(tests, make_authority, remove_authority);
}
