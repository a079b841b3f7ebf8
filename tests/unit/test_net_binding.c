/* SPDX-License-Identifier: MIT */
/* Channel bindings: our client's and our server's side of one connection must agree, and no two
 * connections may. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <sys/socket.h>
#include <unistd.h>

#include "net/conn.h"
#include "net/tls.h"
#include "net/tls_server.h"
#include "net_ca.h"

static struct ph__tls_server *server;

static char *
pem_of(const struct ident *id, bool key, size_t *n)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *text, *copy;

	assert_int_equal(key ? PEM_write_bio_PrivateKey(bio, id->key, NULL, NULL, 0, NULL, NULL)
	                     : PEM_write_bio_X509(bio, id->cert), 1);
	*n = (size_t)BIO_get_mem_data(bio, &text);
	copy = malloc(*n);
	assert_non_null(copy);
	memcpy(copy, text, *n);
	BIO_free(bio);
	return copy;
}

static int
make_server(void **state)
{
	struct ident id = ca_make((struct cert_spec){ .cn = "mx.test", .san = "DNS:mx.test" });
	struct ph__tls_server_opts o = { .min_version = PH_TLS_1_2 };
	char *chain = pem_of(&id, false, &o.chain.len), *key = pem_of(&id, true, &o.key.len);

	(void)state;
	o.chain.ptr = chain;
	o.key.ptr = key;
	assert_int_equal(ph__tls_server_new(&server, &o, &ph__libc_memory, NULL), PH_OK);
	free(chain);
	free(key);
	ca_free(&id);
	return 0;
}

static int
drop_server(void **state)
{
	(void)state;
	ph__tls_server_free(&server);
	return 0;
}

struct facts {
	struct ph_tls_facts client, server;
};

/* Ciphertext both ways, as much as there is. */
static void
carry(struct ph__tls_stream *stream, int fd)
{
	char buf[32768];
	ssize_t n = recv(fd, buf, sizeof buf, MSG_DONTWAIT);
	struct ph_str out;

	if (n > 0)
		assert_int_equal(ph__tls_stream_feed(stream, buf, (size_t)n, NULL), PH_OK);
	out = ph__tls_stream_pull(stream);
	if (out.len != 0) {
		assert_int_equal(send(fd, out.ptr, out.len, MSG_NOSIGNAL), (ssize_t)out.len);
		ph__tls_stream_sent(stream, out.len);
	}
}

static struct facts
connect_once(struct ph__tls *tls)
{
	struct facts f = { PH_TLS_FACTS_INIT, PH_TLS_FACTS_INIT };
	const struct ph_transport *t;
	struct ph__tls_stream *stream;
	struct ph__conn *conn;
	bool client_done = false, server_done = false;
	char buf[16];
	size_t n;
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	assert_int_equal(ph__conn_new(&conn, fds[0], true, tls, false, &ph__libc_memory, NULL), PH_OK);
	assert_int_equal(ph__tls_stream_new(&stream, server, NULL), PH_OK);
	t = ph__conn_transport(conn);
	for (unsigned turns = 0; !client_done || !server_done; turns++) {
		assert_true(turns < 20);
		if (!client_done)
			client_done = t->start_tls(t->user, &f.client, NULL) == PH_IO_OK;
		if (client_done) /* sends what TLS has left to say */
			assert_int_equal(t->read(t->user, buf, sizeof buf, &n, NULL), PH_IO_AGAIN);
		carry(stream, fds[1]);
		if (!server_done)
			server_done = ph__tls_stream_handshake(stream, &f.server, NULL) == PH_IO_OK;
		carry(stream, fds[1]);
	}
	/* the tickets of TLS 1.3 */
	assert_int_equal(t->read(t->user, buf, sizeof buf, &n, NULL), PH_IO_AGAIN);
	ph__conn_free(&conn);
	ph__tls_stream_free(&stream);
	close(fds[1]);
	return f;
}

static struct ph__tls *
make_client(int version, uint64_t options)
{
	const struct ph_tls_opts o = { PH_TLS_OPTS_INIT, .insecure = true };
	struct ph__tls *tls;

	assert_int_equal(ph__tls_new(&tls, &o, "mx.test", &ph__libc_memory, NULL), PH_OK);
	SSL_CTX_set_max_proto_version(tls->ctx, version);
	SSL_CTX_set_options(tls->ctx, options);
	return tls;
}

static void
both_sides_agree(const struct facts *f, size_t exporter, size_t unique, bool resumed)
{
	assert_int_equal(f->client.resumed, resumed);
	assert_int_equal(f->server.resumed, resumed);
	assert_int_equal(f->client.exporter_len, exporter);
	assert_int_equal(f->server.exporter_len, exporter);
	assert_memory_equal(f->client.exporter, f->server.exporter, exporter);
	assert_int_equal(f->client.unique_len, unique);
	assert_int_equal(f->server.unique_len, unique);
	assert_memory_equal(f->client.unique, f->server.unique, unique);
}

static void
tls_1_3_has_an_exporter(void **state)
{
	struct ph__tls *tls = make_client(TLS1_3_VERSION, 0);
	struct facts first = connect_once(tls), second = connect_once(tls);

	(void)state;
	both_sides_agree(&first, 32, 0, false);
	both_sides_agree(&second, 32, 0, true);
	assert_memory_not_equal(first.client.exporter, second.client.exporter, 32);
	ph__tls_free(&tls);
}

static void
tls_1_2_has_the_first_finished_message(void **state)
{
	struct ph__tls *tls = make_client(TLS1_2_VERSION, 0);
	struct facts first = connect_once(tls), second = connect_once(tls);

	(void)state;
	both_sides_agree(&first, 0, 12, false);
	both_sides_agree(&second, 0, 12, true); /* the server's, this time */
	assert_memory_not_equal(first.client.unique, second.client.unique, 12);
	ph__tls_free(&tls);
}

/* Without it the same master secret can be made on two connections (RFC 7627 §1). */
static void
without_an_extended_master_secret_there_is_no_binding(void **state)
{
	struct ph__tls *tls = make_client(TLS1_2_VERSION, SSL_OP_NO_EXTENDED_MASTER_SECRET);
	struct facts f = connect_once(tls);

	(void)state;
	both_sides_agree(&f, 0, 0, false);
	ph__tls_free(&tls);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tls_1_3_has_an_exporter),
		cmocka_unit_test(tls_1_2_has_the_first_finished_message),
		cmocka_unit_test(without_an_extended_master_secret_there_is_no_binding),
	};

	return cmocka_run_group_tests(tests, make_server, drop_server);
}
