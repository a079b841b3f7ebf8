/* SPDX-License-Identifier: MIT */
/* DANE over loopback sockets (RFC 7672 §3): every kind of TLSA record against what a server shows. The
 * server is a thread with OpenSSL on the socket; its authorities are made here, and the system's are
 * replaced by one that signs everything else: it must never count. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/bounds.h"
#include "base/mem.h"
#include "net/conn.h"
#include "net_ca.h"

#define BASE "mx.example.org"
#define DOMAIN "example.org"

static char dir[] = "/tmp/ph-dane-XXXXXX";
static char ca_path[64];
static struct ident root, middle, leaf, other_root, other_leaf, foreign;

static void
assert_has(const char *text, const char *part)
{
	if (strstr(text, part) == NULL)
		fail_msg("\"%s\" lacks \"%s\"", text, part);
}

static int
make_authorities(void **state)
{
	(void)state;
	signal(SIGPIPE, SIG_IGN);
	assert_non_null(mkdtemp(dir));
	root = ca_make((struct cert_spec){ .cn = "Root", .ca = true });
	middle = ca_make((struct cert_spec){ .cn = "Middle", .ca = true, .issuer = &root });
	leaf = ca_make((struct cert_spec){ .cn = "leaf", .san = "DNS:" BASE, .issuer = &middle });
	other_root = ca_make((struct cert_spec){ .cn = "Other", .ca = true });
	other_leaf = ca_make((struct cert_spec){ .cn = "other", .san = "DNS:" BASE,
	                                         .issuer = &other_root });
	foreign = ca_make((struct cert_spec){ .cn = "foreign", .san = "DNS:elsewhere.example",
	                                      .from = -9 * DAY, .to = -2 * DAY });
	snprintf(ca_path, sizeof ca_path, "%s/ca.pem", dir);
	ca_write_cert(ca_path, &other_root);
	setenv("SSL_CERT_FILE", ca_path, 1);
	setenv("SSL_CERT_DIR", dir, 1);
	return 0;
}

static int
remove_authorities(void **state)
{
	(void)state;
	ca_free(&root);
	ca_free(&middle);
	ca_free(&leaf);
	ca_free(&other_root);
	ca_free(&other_leaf);
	ca_free(&foreign);
	unlink(ca_path);
	return rmdir(dir);
}

/* ---- records */

#define RECORDS 80
static struct ph_tlsa records[RECORDS];
static unsigned char octets[RECORDS][2048];
static size_t record_count;

static struct ph_tlsa *
raw(unsigned usage, unsigned selector, unsigned matching, const void *p, size_t n)
{
	struct ph_tlsa *r = &records[record_count];

	assert_true(record_count < RECORDS && n <= sizeof octets[0]);
	memcpy(octets[record_count], p, n);
	*r = (struct ph_tlsa){ (uint8_t)usage, (uint8_t)selector, (uint8_t)matching,
	                       octets[record_count++], n };
	return r;
}

/* What is to be published of a certificate. */
static struct ph_tlsa *
publish(unsigned usage, unsigned selector, unsigned matching, const struct ident *id)
{
	unsigned char *der = NULL, md[64];
	int n = selector == 1 ? i2d_PUBKEY(id->key, &der) : i2d_X509(id->cert, &der);
	const EVP_MD *type = matching == 1 ? EVP_sha256() : EVP_sha512();
	struct ph_tlsa *r;
	unsigned len;

	assert_true(n > 0);
	if (matching == 0) {
		r = raw(usage, selector, matching, der, (size_t)n);
	} else {
		EVP_Digest(der, (size_t)n, md, &len, type, NULL);
		r = raw(usage, selector, matching, md, len);
	}
	OPENSSL_free(der);
	return r;
}

/* One that nothing matches. */
static void
wrong(unsigned usage, unsigned selector, unsigned matching)
{
	publish(usage, selector, matching, &foreign);
	octets[record_count - 1][7] ^= 1;
}

static void
publish_nothing(void)
{
	record_count = 0;
}

/* ---- the server, and a visit */

struct server {
	int listener, connections;
	uint16_t port;
	SSL_CTX *ctx;
	pthread_t thread;
	char sni[64];
};

static void *
serve(void *arg)
{
	struct server *s = arg;

	for (int i = 0; i < s->connections; i++) {
		int fd = accept(s->listener, NULL, NULL);
		SSL *ssl = SSL_new(s->ctx);
		int on = 1;
		char c;

		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
		SSL_set_fd(ssl, fd);
		if (SSL_accept(ssl) == 1 && SSL_write(ssl, "220\r\n", 5) == 5) {
			const char *sni = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);

			snprintf(s->sni, sizeof s->sni, "%s", sni != NULL ? sni : "");
			while (SSL_read(ssl, &c, 1) > 0)
				;
		}
		SSL_shutdown(ssl);
		SSL_free(ssl);
		close(fd);
		ERR_clear_error();
	}
	return NULL;
}

static void
server_start(struct server *s, int connections, int version, const struct ident *const *shown,
             size_t count)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof in;

	*s = (struct server){ .connections = connections, .ctx = SSL_CTX_new(TLS_server_method()) };
	assert_int_equal(SSL_CTX_use_certificate(s->ctx, shown[0]->cert), 1);
	assert_int_equal(SSL_CTX_use_PrivateKey(s->ctx, shown[0]->key), 1);
	for (size_t i = 1; i < count; i++)
		SSL_CTX_add1_chain_cert(s->ctx, shown[i]->cert);
	SSL_CTX_set_mode(s->ctx, SSL_MODE_NO_AUTO_CHAIN);
	SSL_CTX_set_max_proto_version(s->ctx, version);
	SSL_CTX_set_session_id_context(s->ctx, (const unsigned char *)"t", 1);
	s->listener = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(bind(s->listener, (struct sockaddr *)&in, sizeof in), 0);
	assert_int_equal(listen(s->listener, 64), 0);
	assert_int_equal(getsockname(s->listener, (struct sockaddr *)&in, &len), 0);
	s->port = ntohs(in.sin_port);
	assert_int_equal(pthread_create(&s->thread, NULL, serve, s), 0);
}

static void
server_end(struct server *s)
{
	pthread_join(s->thread, NULL);
	close(s->listener);
	SSL_CTX_free(s->ctx);
}

static struct ph_tls_facts facts;
static struct ph_error err;

static bool
visit(struct server *s, struct ph__tls *tls, bool enforce)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(s->port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;
	const struct ph_transport *t;
	struct ph__conn *c = NULL;
	char buf[5];
	size_t n;
	enum ph_io io;

	facts = (struct ph_tls_facts)PH_TLS_FACTS_INIT;
	err = (struct ph_error)PH_ERROR_INIT;
	assert_int_equal(connect(fd, (struct sockaddr *)&in, sizeof in), 0);
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	assert_int_equal(ph__conn_new(&c, fd, true, tls, enforce, &ph__libc_memory, &err), PH_OK);
	t = ph__conn_transport(c);
	while ((io = t->start_tls(t->user, &facts, &err)) == PH_IO_AGAIN)
		assert_int_equal(t->wait(t->user, false, 5000, &err), PH_IO_OK);
	while (io == PH_IO_OK && (io = t->read(t->user, buf, sizeof buf, &n, &err)) == PH_IO_AGAIN) {
		assert_int_equal(t->wait(t->user, false, 5000, &err), PH_IO_OK);
		io = PH_IO_OK;
	}
	assert_int_equal(ERR_peek_error(), 0);
	ph__conn_free(&c);
	return io == PH_IO_OK;
}

static struct ph__tls *
make(const char *const *names, size_t name_count)
{
	struct ph_tls_opts opts = { PH_TLS_OPTS_INIT, .server_name = BASE, .tlsa = records,
	                            .tlsa_count = record_count, .names = names,
	                            .name_count = name_count };
	struct ph_error why = PH_ERROR_INIT;
	struct ph__tls *tls = NULL;

	if (ph__tls_new(&tls, &opts, "dialled.example", &ph__libc_memory, &why) != PH_OK)
		fail_msg("%s", why.text);
	return tls;
}

static const char *extra_name;
static int versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };

/* A server that shows this chain, against what is published; both versions of TLS, with the same end. */
static bool
meets(const struct ident *const *shown, size_t count, bool enforce)
{
	bool ok[2];

	for (int i = 0; i < 2; i++) {
		struct ph__tls *tls = make(&extra_name, extra_name != NULL);
		struct server s;

		server_start(&s, 1, versions[i], shown, count);
		ok[i] = visit(&s, tls, enforce);
		ph__tls_free(&tls);
		server_end(&s);
		if (ok[i]) {
			assert_string_equal(s.sni, BASE);
			assert_string_equal(facts.version, i == 0 ? "TLSv1.2" : "TLSv1.3");
			assert_string_equal(facts.peer_name, BASE);
		}
	}
	assert_int_equal(ok[0], ok[1]);
	return ok[0];
}

#define SHOWN(...) ((const struct ident *const[]){ __VA_ARGS__ }), \
	sizeof (const struct ident *[]){ __VA_ARGS__ } / sizeof (struct ident *)

static void
passes_(const char *at, const struct ident *const *shown, size_t count)
{
	if (!meets(shown, count, true))
		fail_msg("%s: %s", at, err.text);
	assert_true(facts.verified);
	assert_string_equal(facts.problem, "");
	assert_int_equal(facts.problem_cause, PH_CAUSE_NONE);
}

/* The same, where nothing is enforced, is a fact. */
static void
fails_(const char *at, enum ph_cause cause, const struct ident *const *shown, size_t count)
{
	struct ph_error why;

	if (meets(shown, count, true))
		fail_msg("%s: it passed", at);
	why = err;
	if (why.cause != cause)
		fail_msg("%s: %s: %s", at, ph_cause_name(why.cause), why.text);
	assert_int_equal(why.code, PH_ESECURITY);
	assert_int_equal(why.stage, PH_STAGE_TLS);
	assert_true(why.hint[0] != '\0');
	assert_null(strstr(why.hint, "--")); /* no option of ours helps */
	assert_true(strlen(why.hint) < sizeof why.hint - 1); /* it is whole */
	assert_true(meets(shown, count, false));
	assert_false(facts.verified);
	assert_string_equal(facts.problem, why.text);
	assert_int_equal(facts.problem_cause, cause);
	err = why;
}

#define STR_(x) #x
#define STR(x) STR_(x)
#define AT "line " STR(__LINE__)
#define passes(...) passes_(AT, SHOWN(__VA_ARGS__))
#define fails(cause, ...) fails_(AT, cause, SHOWN(__VA_ARGS__))

/* ---- DANE-EE(3) */

static void
an_end_entity_is_matched_in_each_form(void **state)
{
	(void)state;
	for (unsigned selector = 0; selector <= 1; selector++)
		for (unsigned matching = 0; matching <= 2; matching++) {
			publish_nothing();
			publish(3, selector, matching, &leaf);
			passes(&leaf, &middle, &root);
			passes(&leaf); /* no chain is asked for */
			fails(PH_CAUSE_CERT_TLSA, &other_leaf, &other_root);
		}
}

static void
an_end_entity_needs_no_name_date_or_chain(void **state)
{
	(void)state;
	publish_nothing();
	publish(3, 1, 1, &foreign);
	passes(&foreign);
}

static void
an_end_entity_that_is_not_published_is_explained(void **state)
{
	unsigned char *der = NULL, md[32];
	char seen[80] = "seen: 3 1 1 ";
	int n = i2d_PUBKEY(other_leaf.key, &der);

	(void)state;
	EVP_Digest(der, (size_t)n, md, NULL, EVP_sha256(), NULL);
	OPENSSL_free(der);
	for (int i = 0; i < 32; i++)
		snprintf(seen + strlen(seen), sizeof seen - strlen(seen), "%02x", md[i]);
	publish_nothing();
	raw(3, 1, 1, "\x0d\x5c" "0123456789abcdefghijklmnopqrst", 32);
	publish(2, 0, 0, &root);
	wrong(3, 0, 2);
	fails(PH_CAUSE_CERT_TLSA, &other_leaf, &other_root);
	assert_has(err.text, "the certificate of " BASE " matches no TLSA record; published: ");
	assert_has(err.text, "3 1 1 0d5c3031");
	assert_has(err.text, "…");
	assert_has(err.text, " and 1 more");
	assert_null(strstr(err.text, "3 0 2 "));
	assert_has(err.text, seen);
	assert_has(err.hint, "3 1 1");
}

/* That a public authority has signed it for the right name says nothing here. */
static void
the_systems_authorities_do_not_count(void **state)
{
	(void)state;
	publish_nothing();
	wrong(3, 1, 1);
	fails(PH_CAUSE_CERT_TLSA, &other_leaf, &other_root);
	publish_nothing();
	publish(2, 0, 1, &root);
	fails(PH_CAUSE_CERT_TLSA, &other_leaf, &other_root);
	fails(PH_CAUSE_CERT_TLSA, &other_leaf);
}

static void
one_record_of_several_is_enough(void **state)
{
	(void)state;
	publish_nothing(); /* a key's change: the old and the new (RFC 7671 §8.1) */
	wrong(3, 1, 1);
	publish(3, 1, 1, &leaf);
	wrong(3, 0, 1);
	wrong(2, 1, 1);
	passes(&leaf);
}

/* ---- DANE-TA(2) */

static void
an_authority_is_matched_in_each_form(void **state)
{
	(void)state;
	for (unsigned selector = 0; selector <= 1; selector++)
		for (unsigned matching = 0; matching <= 2; matching++) {
			publish_nothing();
			publish(2, selector, matching, &root);
			passes(&leaf, &middle, &root);
			publish_nothing();
			publish(2, selector, matching, &middle);
			passes(&leaf, &middle);
			passes(&leaf, &middle, &root);
			fails(PH_CAUSE_CERT_TLSA, &other_leaf, &other_root);
		}
}

/* RFC 7672 §3.1.2: a digest of what is not shown cannot be met; the whole of it can. */
static void
an_authority_may_stand_in_the_record_only(void **state)
{
	(void)state;
	for (unsigned selector = 0; selector <= 1; selector++) {
		publish_nothing();
		publish(2, selector, 0, &root);
		passes(&leaf, &middle);
		publish_nothing();
		publish(2, selector, 1, &root);
		fails(PH_CAUSE_CERT_TLSA, &leaf, &middle);
		publish_nothing();
		publish(2, selector, 0, &middle);
		passes(&leaf);
		publish_nothing();
		publish(2, selector, 2, &middle);
		fails(PH_CAUSE_CERT_TLSA, &leaf);
	}
}

/* Shown beside a leaf that it has not signed, an authority proves nothing. */
static void
an_authority_must_have_signed(void **state)
{
	(void)state;
	for (unsigned matching = 0; matching <= 2; matching++)
		for (unsigned selector = 0; selector <= 1; selector++) {
			publish_nothing();
			publish(2, selector, matching, &root);
			fails(PH_CAUSE_CERT_TLSA, &other_leaf, &root);
			fails(PH_CAUSE_CERT_TLSA, &other_leaf, &middle, &root);
		}
}

static void
a_certificate_that_signs_nothing_is_no_authority(void **state)
{
	struct ident by_leaf = ca_make((struct cert_spec){ .cn = "below", .san = "DNS:" BASE,
	                                                   .issuer = &leaf });

	(void)state;
	publish_nothing();
	publish(2, 0, 1, &root);
	assert_false(meets(SHOWN(&by_leaf, &leaf, &middle, &root), true));
	ca_free(&by_leaf);
}

static void
a_leaf_published_as_authority_is_none(void **state)
{
	(void)state;
	publish_nothing();
	publish(2, 0, 1, &foreign);
	fails(PH_CAUSE_CERT_TLSA, &foreign);
}

static void
below_an_authority_the_name_counts(void **state)
{
	struct ident elsewhere = ca_make((struct cert_spec){ .cn = "elsewhere", .issuer = &middle,
	                                                     .san = "DNS:" DOMAIN });

	(void)state;
	for (unsigned selector = 0; selector <= 1; selector++) {
		publish_nothing();
		publish(2, selector, 0, &root);
		fails(PH_CAUSE_CERT_NAME, &elsewhere, &middle, &root);
		assert_has(err.text, "the certificate is not for " BASE "; it is for " DOMAIN);
		assert_has(err.hint, BASE);
		extra_name = "elsewhere.example";
		fails(PH_CAUSE_CERT_NAME, &elsewhere, &middle, &root);
		assert_has(err.text, "is not for " BASE ", nor for elsewhere.example; it is");
		extra_name = "EXAMPLE.org."; /* §3.2: the next-hop domain is one as well */
		passes(&elsewhere, &middle, &root);
		passes(&leaf, &middle, &root); /* and the base domain stays one */
		extra_name = NULL;
	}
	ca_free(&elsewhere);
}

static void
below_an_authority_dates_count(void **state)
{
	struct ident old = ca_make((struct cert_spec){ .cn = "old", .san = "DNS:" BASE,
	                                               .issuer = &middle, .from = -9 * DAY, .to = -DAY });
	struct ident early = ca_make((struct cert_spec){ .cn = "early", .san = "DNS:" BASE,
	                                                 .issuer = &middle, .from = DAY, .to = 9 * DAY });
	struct ident old_middle = ca_make((struct cert_spec){ .cn = "Old", .ca = true, .issuer = &root,
	                                                      .from = -9 * DAY, .to = -DAY });
	struct ident young = ca_make((struct cert_spec){ .cn = "young", .san = "DNS:" BASE,
	                                                 .issuer = &old_middle });

	(void)state;
	for (unsigned selector = 0; selector <= 1; selector++) {
		publish_nothing();
		publish(2, selector, 0, &root);
		fails(PH_CAUSE_CERT_EXPIRED, &old, &middle, &root);
		assert_has(err.hint, "use 2");
		fails(PH_CAUSE_CERT_NOT_YET, &early, &middle, &root);
		fails(PH_CAUSE_CERT_EXPIRED, &young, &old_middle, &root);
		assert_has(err.text, "the authority CN=Old expired");
	}
	publish(3, 1, 1, &old); /* either use is enough */
	passes(&old, &middle, &root);
	ca_free(&old);
	ca_free(&early);
	ca_free(&old_middle);
	ca_free(&young);
}

/* ---- which records are heard */

static void
of_digests_only_the_strongest_is_heard(void **state)
{
	(void)state;
	for (unsigned selector = 0; selector <= 1; selector++) {
		publish_nothing(); /* RFC 7671 §9 */
		publish(3, selector, 1, &leaf);
		wrong(3, selector, 2);
		fails(PH_CAUSE_CERT_TLSA, &leaf, &middle, &root);
		publish_nothing();
		wrong(3, selector, 2);
		publish(3, selector, 1, &leaf);
		fails(PH_CAUSE_CERT_TLSA, &leaf, &middle, &root);
		publish_nothing();
		publish(3, selector, 2, &leaf);
		wrong(3, selector, 1);
		passes(&leaf);
		publish_nothing(); /* what is published whole is no digest */
		publish(3, selector, 0, &leaf);
		wrong(3, selector, 2);
		passes(&leaf);
		publish_nothing(); /* of another use or selector, it does not weigh */
		publish(3, selector, 1, &leaf);
		wrong(3, !selector, 2);
		wrong(2, selector, 2);
		passes(&leaf, &middle, &root);
		publish_nothing();
		publish(2, selector, 1, &root);
		wrong(2, selector, 2);
		fails(PH_CAUSE_CERT_TLSA, &leaf, &middle, &root);
	}
}

/* PKIX-EE and PKIX-TA would ask the system's authorities, who know this server: both are passed over,
 * matching or not (RFC 7672 §3.1.3). */
static void
records_of_no_use_are_passed_over(void **state)
{
	(void)state;
	publish_nothing();
	publish(1, 1, 1, &other_leaf);
	publish(0, 0, 1, &other_root);
	wrong(3, 1, 1);
	fails(PH_CAUSE_CERT_TLSA, &other_leaf, &other_root);
	publish_nothing();
	wrong(0, 0, 1);
	wrong(1, 1, 1);
	raw(3, 1, 1, "short", 5);
	raw(3, 1, 7, "unknown", 7);
	raw(3, 2, 1, "0123456789abcdef0123456789abcdef", 32);
	raw(3, 0, 0, "no certificate", 14);
	raw(3, 1, 0, "no key", 6);
	raw(2, 1, 1, "", 0);
	publish(3, 1, 1, &foreign);
	passes(&foreign);
}

static enum ph_code
refused(struct ph_tls_opts opts, const char *host, const char *words)
{
	struct ph_error why = PH_ERROR_INIT;
	struct ph__tls *tls = NULL;
	enum ph_code rc;

	opts.size = sizeof opts;
	rc = ph__tls_new(&tls, &opts, host, &ph__libc_memory, &why);
	assert_null(tls);
	assert_int_equal(why.code, rc);
	assert_has(why.text, words);
	assert_int_equal(ERR_peek_error(), 0);
	return rc;
}

#define REFUSED(host, words, ...) \
	assert_int_equal(refused((struct ph_tls_opts){ __VA_ARGS__ }, host, words), PH_ECONFIG)
#define TLSA .tlsa = records, .tlsa_count = record_count

/* Not even read. */
static void
a_file_of_authorities_plays_no_part(void **state)
{
	struct ph_tls_opts opts = { PH_TLS_OPTS_INIT, .ca_file = "/nonexistent/ca", .tlsa = records };
	struct ph__tls *tls = NULL;

	(void)state;
	publish_nothing();
	publish(3, 1, 1, &leaf);
	opts.tlsa_count = record_count;
	assert_int_equal(ph__tls_new(&tls, &opts, BASE, &ph__libc_memory, NULL), PH_OK);
	ph__tls_free(&tls);
}

static void
what_cannot_be_is_told_at_once(void **state)
{
	static const char *const pins[] = {
		"0000000000000000000000000000000000000000000000000000000000000000" };
	static const char *const fine[] = { DOMAIN }, *const bad[] = { DOMAIN, "a b" };
	static const char *const none[] = { NULL }, *const address[] = { "192.0.2.1" };
	static const char *many[PH__TLS_NAMES_MAX + 1];
	unsigned char *der = NULL, trailing[2048];
	int n = i2d_X509(leaf.cert, &der);

	(void)state;
	publish_nothing();
	wrong(1, 1, 1);
	raw(3, 1, 1, "short", 5);
	REFUSED(BASE, "none of the 2 TLSA records for " BASE " is usable", TLSA);
	REFUSED(BASE, "none of the 2 TLSA", TLSA, .mode = PH_TLS_BY_HAND);
	REFUSED(BASE, "none of the 2 TLSA", TLSA, .ca_file = ca_path);
	publish_nothing();
	memcpy(trailing, der, (size_t)n);
	trailing[n] = 0;
	raw(3, 0, 0, trailing, (size_t)n + 1);
	raw(3, 1, 0, trailing, (size_t)n); /* a certificate is no key */
	raw(2, 0, 0, trailing, (size_t)n - 1);
	records[record_count++] = (struct ph_tlsa){ 3, 1, 1, NULL, 32 };
	REFUSED(BASE, "none of the 4 TLSA", TLSA);
	OPENSSL_free(der);
	publish(3, 1, 1, &leaf);
	REFUSED(BASE, "only one of them can", TLSA, .pins = pins, .pin_count = 1);
	REFUSED(NULL, "belong to a server's name", TLSA);
	REFUSED(BASE, "65 TLSA records are more than 64", .tlsa = records, .tlsa_count = 65);
	for (size_t i = 0; i < PH__TLS_NAMES_MAX + 1; i++)
		many[i] = DOMAIN;
	REFUSED(BASE, "17 names", .names = many, .name_count = PH__TLS_NAMES_MAX + 1);
	REFUSED(NULL, "not beside none", .names = fine, .name_count = 1);
	REFUSED("127.0.0.1", "not beside an address", .names = fine, .name_count = 1);
	REFUSED(BASE, "name for the certificate", .names = bad, .name_count = 2);
	REFUSED(BASE, "name for the certificate", .names = none, .name_count = 1);
	REFUSED(BASE, "192.0.2.1 among the names", .names = address, .name_count = 1);
}

/* ---- names without DANE, sessions, memory */

static void
further_names_hold_for_authorities_too(void **state)
{
	static const char *const names[] = { "www.example.org", "m\xc3\xbcnchen.example" };
	struct ident id = ca_make((struct cert_spec){ .cn = "x", .issuer = &other_root,
	                                              .san = "DNS:xn--mnchen-3ya.example" });

	(void)state;
	for (size_t count = 1; count <= 2; count++) {
		struct ph_tls_opts opts = { PH_TLS_OPTS_INIT, .ca_file = ca_path, .names = names,
		                            .name_count = count };
		const struct ident *shown[] = { &id };
		struct ph__tls *tls = NULL;
		struct server s;

		assert_int_equal(ph__tls_new(&tls, &opts, BASE, &ph__libc_memory, NULL), PH_OK);
		server_start(&s, 1, TLS1_3_VERSION, shown, 1);
		assert_int_equal(visit(&s, tls, true), count == 2);
		if (count == 1)
			assert_has(err.text, "not for " BASE ", nor for www.example.org; it is");
		else
			assert_string_equal(facts.peer_name, BASE);
		ph__tls_free(&tls);
		server_end(&s);
	}
	ca_free(&id);
}

static void
a_resumed_session_stays_what_it_was(void **state)
{
	const struct ident *shown[] = { &leaf, &middle, &root };

	(void)state;
	for (int i = 0; i < 4; i++) {
		bool good = i < 2;
		struct ph__tls *tls;
		struct server s;

		publish_nothing();
		if (good)
			publish(i == 0 ? 3 : 2, 1, 1, i == 0 ? &leaf : &root);
		else
			wrong(3, 1, 1);
		tls = make(NULL, 0);
		server_start(&s, good ? 3 : 4, versions[i % 2], shown, 3);
		for (int visits = 0; visits < 3; visits++) {
			assert_true(visit(&s, tls, good));
			assert_int_equal(facts.resumed, visits != 0);
			assert_int_equal(facts.verified, good);
			assert_int_equal(facts.problem_cause, good ? PH_CAUSE_NONE : PH_CAUSE_CERT_TLSA);
		}
		if (!good) { /* what was never proved does not stand in for a proof */
			assert_false(visit(&s, tls, true));
			assert_int_equal(err.cause, PH_CAUSE_CERT_TLSA);
		}
		ph__tls_free(&tls);
		server_end(&s);
	}
}

/* Each set of records is a struct ph__tls with sessions of its own. */
static void
a_session_is_not_resumed_under_other_records(void **state)
{
	const struct ident *shown[] = { &leaf };
	struct ph__tls *before, *after;
	struct server s;

	(void)state;
	publish_nothing();
	publish(3, 1, 1, &leaf);
	before = make(NULL, 0);
	publish_nothing(); /* "before" has a copy */
	wrong(3, 1, 1);
	after = make(NULL, 0);
	server_start(&s, 4, TLS1_2_VERSION, shown, 1);
	assert_true(visit(&s, before, true));
	assert_true(visit(&s, before, true));
	assert_true(facts.resumed);
	assert_false(visit(&s, after, true));
	assert_int_equal(err.cause, PH_CAUSE_CERT_TLSA);
	assert_true(visit(&s, before, true));
	ph__tls_free(&before);
	ph__tls_free(&after);
	server_end(&s);
}

static void
not_to_verify_is_to_ask_for_nothing(void **state)
{
	struct ph_tls_opts opts = { PH_TLS_OPTS_INIT, .insecure = true, .tlsa = records };
	const struct ident *shown[] = { &foreign };
	struct ph__tls *tls = NULL;
	struct server s;

	(void)state;
	publish_nothing();
	wrong(3, 1, 1);
	opts.tlsa_count = record_count;
	assert_int_equal(ph__tls_new(&tls, &opts, BASE, &ph__libc_memory, NULL), PH_OK);
	server_start(&s, 1, TLS1_3_VERSION, shown, 1);
	assert_true(visit(&s, tls, true));
	assert_false(facts.verified);
	assert_int_equal(facts.problem_cause, PH_CAUSE_NONE);
	ph__tls_free(&tls);
	server_end(&s);
}

static int left;

static void *
sparse_alloc(void *user, size_t n)
{
	(void)user;
	return left-- > 0 ? malloc(n) : NULL;
}

static void *
sparse_realloc(void *user, void *p, size_t n)
{
	(void)user;
	return left-- > 0 ? realloc(p, n) : NULL;
}

static void
sparse_free(void *user, void *p)
{
	(void)user;
	free(p);
}

static void
each_allocation_may_fail(void **state)
{
	static const struct ph_allocator sparse = { sparse_alloc, sparse_realloc, sparse_free, NULL };
	static const char *const names[] = { DOMAIN };
	struct ph_tls_opts opts = { PH_TLS_OPTS_INIT, .names = names, .name_count = 1, .tlsa = records };
	struct ph__tls *tls = NULL;
	int n;

	(void)state;
	publish_nothing();
	publish(3, 1, 1, &leaf);
	publish(2, 0, 0, &root);
	opts.tlsa_count = record_count;
	for (n = 0; n < 20 && tls == NULL; n++) {
		struct ph_error why = PH_ERROR_INIT;

		left = n;
		if (ph__tls_new(&tls, &opts, BASE, &sparse, &why) != PH_OK)
			assert_int_equal(why.code, PH_ESYSTEM);
	}
	assert_int_equal(n, 4); /* the object, the records, the names */
	ph__tls_free(&tls);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_end_entity_is_matched_in_each_form),
		cmocka_unit_test(an_end_entity_needs_no_name_date_or_chain),
		cmocka_unit_test(an_end_entity_that_is_not_published_is_explained),
		cmocka_unit_test(the_systems_authorities_do_not_count),
		cmocka_unit_test(one_record_of_several_is_enough),
		cmocka_unit_test(an_authority_is_matched_in_each_form),
		cmocka_unit_test(an_authority_may_stand_in_the_record_only),
		cmocka_unit_test(an_authority_must_have_signed),
		cmocka_unit_test(a_certificate_that_signs_nothing_is_no_authority),
		cmocka_unit_test(a_leaf_published_as_authority_is_none),
		cmocka_unit_test(below_an_authority_the_name_counts),
		cmocka_unit_test(below_an_authority_dates_count),
		cmocka_unit_test(of_digests_only_the_strongest_is_heard),
		cmocka_unit_test(records_of_no_use_are_passed_over),
		cmocka_unit_test(a_file_of_authorities_plays_no_part),
		cmocka_unit_test(what_cannot_be_is_told_at_once),
		cmocka_unit_test(further_names_hold_for_authorities_too),
		cmocka_unit_test(a_resumed_session_stays_what_it_was),
		cmocka_unit_test(a_session_is_not_resumed_under_other_records),
		cmocka_unit_test(not_to_verify_is_to_ask_for_nothing),
		cmocka_unit_test(each_allocation_may_fail),
	};

	return cmocka_run_group_tests(tests, make_authorities, remove_authorities);
}
