/* SPDX-License-Identifier: MIT */
/* What another language's module stands on: TLS by hand and TLS that is lent, waits that its signal
 * handlers end, and commands put together as smtplib's users put them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>

#include "client_rig.h"

#define HI "Subject: hi\r\n\r\nhello\r\n"
#define BY_HAND &(const struct ph_tls_opts){ PH_TLS_OPTS_INIT, .mode = PH_TLS_BY_HAND }
#define OFFERS_TLS ">220 peer", "<EHLO", ">250-peer", ">250 STARTTLS"
#define TLS_UP OFFERS_TLS, "<STARTTLS", ">220 go", "~"
#define ONE "<MAIL", ">250 ok", "<RCPT", ">250 ok", "<DATA", ">354 go on", ".", ">250 ok"

static uint64_t
now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* Sends one message; what the record says of the link is left in `tls`. */
static enum ph_code
send_one(struct ph_client *c, char *tls, size_t size)
{
	static const char *const to[] = { "b@x.test" };
	struct ph_envelope e = { PH_ENVELOPE_INIT, .from = "a@x.test", .recipients = to,
	                         .recipient_count = 1 };
	const struct ph_record *r = NULL;
	struct ph_source *s = NULL;
	enum ph_code rc;

	assert_int_equal(ph_source_new_memory(&s, HI, strlen(HI), NULL), PH_OK);
	rc = ph_client_sendmail(c, &e, s, &r, NULL);
	if (tls != NULL) {
		char *json = ph_record_json(r), *at = strstr(json, "\"tls\":");

		snprintf(tls, size, "%.*s", (int)(strchr(at, '}') - at), at);
		ph_record_free_json(r, json);
	}
	ph_source_free(s);
	return rc;
}

struct notes {
	char text[8192];
};

static void
note(void *user, const struct ph_trace *line)
{
	struct notes *n = user;
	size_t at = strlen(n->text);

	snprintf(n->text + at, sizeof n->text - at, "%c%s%.*s\n", line->direction, line->tls ? "~" : "",
	         (int)line->len, line->text);
}

/* ---- TLS by hand ----------------------------------------------------------------------------- */

static void
by_hand_all_is_clear_until_starttls_is_said(void **state)
{
	struct peer *p = start(SCRIPT(OFFERS_TLS, ONE, "<STARTTLS", ">220 go", "~", "<EHLO", ">250 peer",
	                              ONE, "$"));
	struct ph_client *c = CLIENT(p, .tls = BY_HAND);
	char tls[1024];

	(void)state;
	OK(ph_client_connect(c, NULL, &err));
	OK(ph_client_ehlo(c, NULL, NULL, &err));
	assert_int_equal(send_one(c, tls, sizeof tls), PH_OK);
	assert_non_null(strstr(tls, "\"mode\":\"none\""));
	assert_non_null(strstr(tls, "\"policy\":null"));
	OK(ph_client_starttls(c, NULL, &err));
	assert_true(ph_client_tls_facts(c)->verified);
	assert_int_equal(send_one(c, tls, sizeof tls), PH_OK);
	assert_non_null(strstr(tls, "\"mode\":\"starttls\""));
	assert_non_null(strstr(tls, "\"policy\":\"required\""));
	ph_client_free(c);
	finish(p);
}

static void
starttls_by_hand_is_had_and_verified_or_fails(void **state)
{
	struct peer *p = start(SCRIPT(TLS_UP, "$", "|", GREET, "$"));
	struct ph_client *c = CLIENT(p, .tls = &(const struct ph_tls_opts){ PH_TLS_OPTS_INIT,
		.mode = PH_TLS_BY_HAND, .server_name = "other.test" });

	(void)state;
	OK(ph_client_connect(c, NULL, &err));
	FAILS(ph_client_starttls(c, NULL, &err), PH_ESECURITY, PH_STAGE_TLS);
	assert_false(ph_client_is_connected(c));
	OK(ph_client_connect(c, NULL, &err));
	FAILS(ph_client_starttls(c, NULL, &err), PH_ESECURITY, PH_STAGE_STARTTLS, PH_CAUSE_NOT_OFFERED);
	assert_true(ph_client_is_connected(c));
	ph_client_free(c);
	finish(p);
}

static void
of_smtps_by_hand_is_implicit(void **state)
{
	struct peer *p = start(SCRIPT("~", GREET, "$"));
	struct ph_client *c = new_client((struct ph_client_opts){ .server = url_of(p, "smtps"),
	                                                          .tls = BY_HAND });

	(void)state;
	OK(ph_client_connect(c, NULL, &err));
	assert_true(ph_client_tls_facts(c)->verified);
	OK(ph_client_ehlo(c, NULL, NULL, &err));
	FAILS(ph_client_starttls(c, NULL, &err), PH_EUSAGE, PH_STAGE_STARTTLS);
	ph_client_free(c);
	finish(p);
}

/* Where to is this machine; a transport that was lent may lead anywhere. */
static void
by_hand_credentials_go_in_clear_only_to_this_machine(void **state)
{
	struct peer *p = start(SCRIPT(">220 peer", "<EHLO", ">250-peer", ">250 AUTH PLAIN", "<AUTH PLAIN",
	                              ">235 in", "$"));
	struct ph_client *c = CLIENT(p, .tls = BY_HAND);
	struct wire *w = new_wire("220 wire\r\n");

	(void)state;
	w->mind.ehlo = "250-wire\r\n250 AUTH PLAIN\r\n";
	OK(ph_client_connect(c, NULL, &err));
	OK(ph_client_login(c, ANN, NULL, &err));
	OK(ph_client_attach_transport(c, &w->t, NULL, NULL, &err));
	FAILS(ph_client_login(c, ANN, NULL, &err), PH_ESECURITY, PH_STAGE_AUTH, PH_CAUSE_CLEAR_AUTH);
	OK(ph_client_noop(c, NULL, &err));
	assert_null(strstr(w->mind.log, "AUTH"));
	ph_client_free(c);
	finish(p);
	c = new_client((struct ph_client_opts){ .server = "smtp://x.test", .tls = BY_HAND,
	                                        .allow_clear_auth = true });
	w->at = w->len = 0;
	wire_say(w, "220 wire\r\n");
	OK(ph_client_attach_transport(c, &w->t, NULL, NULL, &err));
	OK(ph_client_login(c, ANN, NULL, &err));
	ph_client_free(c);
	free(w);
}

/* ---- TLS that is lent ------------------------------------------------------------------------ */

/* Another library's TLS over a socket that this one has. */
struct other_tls {
	struct ph_transport t;
	SSL_CTX *ctx;
	SSL *ssl;
	int fd;
	bool verified, waived, fails;
	unsigned reads, writes, handshakes;
};

static enum ph_io
other_again(struct other_tls *o, int rc, struct ph_error *err)
{
	switch (SSL_get_error(o->ssl, rc)) {
	case SSL_ERROR_WANT_READ:
	case SSL_ERROR_WANT_WRITE:
		return PH_IO_AGAIN;
	case SSL_ERROR_ZERO_RETURN:
		return PH_IO_EOF;
	default:
		err->code = PH_EDEFERRED;
		return PH_IO_ERROR;
	}
}

static enum ph_io
other_read(void *user, void *buf, size_t n, size_t *ret, struct ph_error *err)
{
	struct other_tls *o = user;
	int rc = SSL_read_ex(o->ssl, buf, n, ret);

	o->reads++;
	return rc == 1 ? PH_IO_OK : other_again(o, rc, err);
}

static enum ph_io
other_write(void *user, const struct iovec *iov, size_t count, size_t *ret, struct ph_error *err)
{
	struct other_tls *o = user;

	o->writes++;
	*ret = 0;
	for (size_t i = 0; i < count; i++) {
		size_t n = 0;

		if (SSL_write_ex(o->ssl, iov[i].iov_base, iov[i].iov_len, &n) != 1)
			return *ret != 0 ? PH_IO_OK : other_again(o, 0, err);
		*ret += n;
	}
	return PH_IO_OK;
}

static enum ph_io
other_wait(void *user, bool want_write, int timeout_ms, struct ph_error *err)
{
	struct other_tls *o = user;
	struct pollfd p = { .fd = o->fd, .events = (short)(POLLIN | (want_write ? POLLOUT : 0)) };

	(void)err;
	if (o->ssl != NULL && SSL_pending(o->ssl) > 0)
		return PH_IO_OK;
	return poll(&p, 1, timeout_ms) > 0 ? PH_IO_OK : PH_IO_AGAIN;
}

static enum ph_io
other_start_tls(void *user, struct ph_tls_facts *facts, struct ph_error *err)
{
	struct other_tls *o = user;
	int rc;

	o->handshakes++;
	if (o->fails)
		return PH_IO_ERROR;
	if (o->ssl == NULL) {
		o->ssl = SSL_new(o->ctx);
		SSL_set_fd(o->ssl, o->fd);
	}
	if ((rc = SSL_connect(o->ssl)) != 1)
		return other_again(o, rc, err);
	facts->verified = o->verified;
	facts->waived = o->waived;
	snprintf(facts->version, sizeof facts->version, "%s", SSL_get_version(o->ssl));
	return PH_IO_OK;
}

static struct other_tls
other_tls(struct ph_client *c)
{
	struct other_tls o = { .ctx = SSL_CTX_new(TLS_client_method()), .fd = ph_client_fd(c) };

	o.t = (struct ph_transport){ PH_TRANSPORT_INIT, .read = other_read, .write = other_write,
	                             .wait = other_wait, .start_tls = other_start_tls };
	SSL_CTX_set_mode(o.ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	assert_true(o.fd >= 0);
	fcntl(o.fd, F_SETFL, fcntl(o.fd, F_GETFL) | O_NONBLOCK);
	return o;
}

static void
other_end(struct other_tls *o)
{
	SSL_free(o->ssl);
	SSL_CTX_free(o->ctx);
}

static enum ph_code
lend(struct ph_client *c, struct other_tls *o, struct ph_error *err)
{
	o->t.user = o;
	return ph_client_lend_tls(c, &o->t, err);
}

static void
a_220_to_starttls_begins_the_tls_that_was_lent(void **state)
{
	(void)state;
	for (int how = 0; how < 3; how++) { /* by its function, by docmd, in a delivery */
		struct peer *p = start(SCRIPT(TLS_UP, "<EHLO", ">250 peer", ONE, "<QUIT", ">221 bye", "$"));
		struct ph_client *c = new_client((struct ph_client_opts){
			.server = url_of(p, "submission"), .tls = how == 2 ? NULL : BY_HAND });
		struct other_tls o;
		char tls[1024];

		OK(ph_client_connect(c, NULL, &err));
		o = other_tls(c);
		o.verified = true;
		OK(lend(c, &o, &err));
		assert_null(ph_client_tls_facts(c));
		OK(ph_client_ehlo(c, NULL, NULL, &err));
		assert_int_equal(o.reads + o.writes + o.handshakes, 0);
		if (how == 0)
			OK(ph_client_starttls(c, NULL, &err));
		if (how == 1)
			OK(ph_client_docmd(c, "STARTTLS", NULL, NULL, &err));
		if (how != 2)
			assert_string_equal(ph_client_tls_facts(c)->version, "TLSv1.3");
		assert_int_equal(send_one(c, tls, sizeof tls), PH_OK);
		assert_non_null(strstr(tls, "\"mode\":\"starttls\""));
		assert_true(o.reads >= 4 && o.writes >= 4 && o.handshakes >= 1);
		assert_false(ph_client_certificate(c, 0, &(struct ph_certificate)PH_CERTIFICATE_INIT));
		FAILS(lend(c, &o, &err), PH_EUSAGE, PH_STAGE_STARTTLS, PH_CAUSE_STATE);
		OK(ph_client_quit(c, NULL, &err));
		ph_client_free(c);
		other_end(&o);
		finish(p);
	}
}

static void
lent_tls_must_be_verified_or_waived(void **state)
{
	static const struct { bool verified, waived; enum ph_code rc; } rows[] = {
		{ false, false, PH_ESECURITY }, { true, false, PH_OK }, { false, true, PH_OK },
	};

	(void)state;
	for (size_t i = 0; i < 3; i++)
		for (int by_hand = 0; by_hand < 2; by_hand++) {
			struct peer *p = start(SCRIPT(TLS_UP, "<EHLO", ">250-peer", ">250 AUTH PLAIN",
			                              "<AUTH PLAIN", ">235 in", "$"));
			struct ph_client *c = new_client((struct ph_client_opts){
				.server = url_of(p, "submission"), .credentials = ANN,
				.tls = by_hand ? BY_HAND : NULL });
			struct other_tls o;
			enum ph_code rc;

			OK(ph_client_connect(c, NULL, &err));
			o = other_tls(c);
			o.verified = rows[i].verified;
			o.waived = rows[i].waived;
			OK(lend(c, &o, &err));
			rc = by_hand ? ph_client_starttls(c, NULL, NULL) : ph_client_open(c, NULL);
			assert_int_equal(rc, rows[i].rc);
			assert_int_equal(ph_client_is_connected(c), rc == PH_OK);
			if (rc == PH_OK)
				OK(ph_client_open(c, &err)); /* logs in, if it has not */
			ph_client_free(c);
			other_end(&o);
			finish_early(p);
		}
}

/* Waived is the TLS that was lent, not the next connection's. */
static void
what_was_lent_and_waived_ends_with_its_connection(void **state)
{
	struct peer *p = start(SCRIPT(TLS_UP, "$", "|", TLS_UP, "$"));
	struct ph_client *c = CLIENT(p, .tls = &(const struct ph_tls_opts){ PH_TLS_OPTS_INIT,
		.mode = PH_TLS_BY_HAND, .server_name = "other.test" });
	struct other_tls o;

	(void)state;
	OK(ph_client_connect(c, NULL, &err));
	o = other_tls(c);
	o.waived = true;
	OK(lend(c, &o, &err));
	OK(ph_client_starttls(c, NULL, &err));
	OK(ph_client_connect(c, NULL, &err));
	FAILS(ph_client_starttls(c, NULL, &err), PH_ESECURITY, PH_STAGE_TLS);
	ph_client_free(c);
	other_end(&o);
	finish(p);
}

static void
octets_behind_the_220_end_lent_tls_too(void **state)
{
	struct peer *p = start(SCRIPT(OFFERS_TLS, "<STARTTLS", "=220 go\r\n250 injected\r\n", "$"));
	struct ph_client *c = CLIENT(p, .tls = BY_HAND);
	struct other_tls o;

	(void)state;
	OK(ph_client_connect(c, NULL, &err));
	o = other_tls(c);
	o.waived = true;
	OK(lend(c, &o, &err));
	FAILS(ph_client_starttls(c, NULL, &err), PH_ESECURITY, PH_STAGE_STARTTLS, PH_CAUSE_INJECTION);
	assert_false(ph_client_is_connected(c));
	assert_int_equal(o.handshakes, 0);
	ph_client_free(c);
	other_end(&o);
	finish(p);
}

static void
a_lent_handshake_may_fail_without_a_word(void **state)
{
	struct peer *p = start(SCRIPT(OFFERS_TLS, "<STARTTLS", ">220 go", "$"));
	struct ph_client *c = CLIENT(p, .tls = OFF); /* which is about the library's own */
	struct other_tls o;

	(void)state;
	OK(ph_client_connect(c, NULL, &err));
	o = other_tls(c);
	o.fails = true;
	OK(lend(c, &o, &err));
	FAILS(ph_client_starttls(c, NULL, &err), PH_EDEFERRED, PH_STAGE_TLS, PH_CAUSE_HANDSHAKE);
	assert_false(ph_client_is_connected(c));
	ph_client_free(c);
	other_end(&o);
	finish(p);
}

static void
a_lent_transport_may_be_followed_by_another(void **state)
{
	struct ph_client *c = new_client((struct ph_client_opts){ .server = "smtp://x.test",
	                                                          .tls = BY_HAND });
	struct wire *clear = new_wire("220 wire\r\n"), *tls = new_wire(NULL);

	(void)state;
	clear->mind.ehlo = "250-wire\r\n250 STARTTLS\r\n";
	clear->t.start_tls = NULL;
	tls->verified = true;
	tls->handshake = 2;
	OK(ph_client_attach_transport(c, &clear->t, NULL, NULL, &err));
	FAILS(ph_client_starttls(c, NULL, &err), PH_EUSAGE, PH_STAGE_STARTTLS);
	OK(ph_client_lend_tls(c, &tls->t, &err));
	OK(ph_client_starttls(c, NULL, &err));
	OK(ph_client_noop(c, NULL, &err));
	assert_string_equal(clear->mind.log, "EHLO me.test\nSTARTTLS\n");
	assert_string_equal(tls->mind.log, "NOOP\n");
	ph_client_free(c);
	free(clear);
	free(tls);
}

static void
what_was_lent_is_taken_back(void **state)
{
	struct ph_client *c = new_client((struct ph_client_opts){ .server = "smtp://x.test",
	                                                          .tls = BY_HAND });
	struct wire *clear = new_wire("220 wire\r\n"), *tls = new_wire(NULL);

	(void)state;
	clear->mind.ehlo = "250-wire\r\n250 STARTTLS\r\n";
	clear->t.start_tls = NULL;
	MISUSED(ph_client_lend_tls(c, NULL, &err));
	OK(ph_client_attach_transport(c, &clear->t, NULL, NULL, &err));
	OK(ph_client_lend_tls(c, &tls->t, &err));
	OK(ph_client_lend_tls(c, NULL, &err));
	FAILS(ph_client_starttls(c, NULL, &err), PH_EUSAGE, PH_STAGE_STARTTLS);
	assert_string_equal(clear->mind.log, "EHLO me.test\n");
	ph_client_free(c);
	free(clear);
	free(tls);
}

static void
lend_tls_out_of_order_does_nothing(void **state)
{
	struct ph_client *c = new_client((struct ph_client_opts){ .server = "smtp://x.test",
	                                                          .tls = BY_HAND });
	struct wire *w = new_wire("220 wire\r\n");
	struct ph_transport lacks = w->t;

	(void)state;
	MISUSED(ph_client_lend_tls(c, &w->t, &err));
	OK(ph_client_attach_transport(c, &w->t, NULL, NULL, &err));
	lacks.start_tls = NULL;
	FAILS(ph_client_lend_tls(c, &lacks, &err), PH_EUSAGE, PH_STAGE_PREPARE, PH_CAUSE_ARGUMENT);
	lacks = w->t;
	lacks.read = NULL;
	FAILS(ph_client_lend_tls(c, &lacks, &err), PH_EUSAGE, PH_STAGE_PREPARE, PH_CAUSE_ARGUMENT);
	OK(ph_client_noop(c, NULL, &err));
	ph_client_free(c);
	free(w);
}

static void
tls_that_is_up_already_may_be_waived(void **state)
{
	struct ph_tls_facts facts = PH_TLS_FACTS_INIT;

	(void)state;
	for (int waived = 0; waived < 2; waived++) {
		struct ph_client *c = new_client((struct ph_client_opts){ .server = "smtps://x.test",
			.tls = BY_HAND, .credentials = ANN });
		struct wire *w = new_wire("220 wire\r\n");
		enum ph_code rc;

		facts.waived = waived;
		w->mind.ehlo = "250-wire\r\n250 AUTH PLAIN\r\n";
		rc = ph_client_attach_transport(c, &w->t, &facts, NULL, NULL);
		assert_int_equal(rc, waived ? PH_OK : PH_ESECURITY);
		if (waived)
			OK(ph_client_login(c, NULL, NULL, &err));
		assert_int_equal(strstr(w->mind.log, "AUTH PLAIN") != NULL, waived);
		ph_client_free(c);
		free(w);
	}
}

/* ---- octets ---------------------------------------------------------------------------------- */

/* More than the session would queue. */
static void
octets_are_sent_however_many_they_are(void **state)
{
	struct peer *p = start(SCRIPT(GREET, "<DATA", ">354 go on", "$"));
	struct ph_client *c = CLIENT(p, .tls = OFF);
	const size_t n = (size_t)70 << 20;
	char *octets = malloc(n);

	(void)state;
	assert_non_null(octets);
	memset(octets, 'x', n);
	OK(ph_client_connect(c, NULL, &err));
	OK(ph_client_ehlo(c, NULL, NULL, &err));
	OK(ph_client_docmd(c, "DATA", NULL, NULL, &err));
	OK(ph_client_send(c, octets, n, &err));
	assert_true(ph_client_is_connected(c));
	ph_client_free(c);
	free(octets);
	finish(p);
}

/* ---- the transcript, from now on --------------------------------------------------------------- */

static struct ph_client *noted; /* whose transcript ends itself */

static void
note_once(void *user, const struct ph_trace *line)
{
	ph_client_set_transcript(noted, NULL, NULL);
	note(user, line);
}

static void
the_transcript_is_told_whom_it_was_given_last(void **state)
{
	struct peer *p = start(SCRIPT(GREET, "<NOOP", ">250 one", "<NOOP", ">250 two", "<NOOP",
	                              ">250-three", ">250 3", "<AUTH", ">334 ", "<*", ">501 no", "<NOOP",
	                              ">250 four", "$"));
	struct ph_client *c = CLIENT(p, .tls = OFF);
	struct notes first = { "" }, second = { "" };

	(void)state;
	ph_client_set_transcript(c, note, &first);
	OK(ph_client_connect(c, NULL, &err));
	assert_non_null(strstr(first.text, "<220 "));
	OK(ph_client_ehlo(c, NULL, NULL, &err));
	ph_client_set_transcript(c, NULL, NULL);
	first.text[0] = '\0';
	OK(ph_client_noop(c, NULL, &err));
	OK(ph_client_putcmd(c, "NOOP", NULL, &err));
	ph_client_set_transcript(c, note, &second);
	OK(ph_client_getreply(c, NULL, &err));
	assert_string_equal(first.text, "");
	assert_string_equal(second.text, "<250 two\n");
	noted = c;
	ph_client_set_transcript(c, note_once, &first);
	OK(ph_client_noop(c, NULL, &err));
	assert_string_equal(first.text, ">NOOP\n");
	ph_client_set_transcript(c, note, &second);
	OK(ph_client_docmd(c, "AUTH", "X c2VjcmV0", NULL, &err));
	FAILS(ph_client_docmd(c, "*", NULL, NULL, &err), PH_EREFUSED, PH_STAGE_AUTH);
	assert_string_equal(second.text, "<250 two\n>AUTH X [hidden]\n<334 \n>*\n<501 no\n");
	ph_client_set_transcript(c, NULL, NULL);
	OK(ph_client_noop(c, NULL, &err));
	ph_client_free(c);
	finish(p);
}

/* ---- waiting --------------------------------------------------------------------------------- */

static void
the_timeout_can_be_changed(void **state)
{
	struct peer *p = start(SCRIPT(GREET, "<NOOP", "z200", ">250 ok", "<NOOP", "$", "|", "$"));
	struct ph_client *c = CLIENT(p, .tls = OFF, .timeout_ms = 50);
	uint64_t began;

	(void)state;
	OK(ph_client_connect(c, NULL, &err));
	OK(ph_client_ehlo(c, NULL, NULL, &err));
	ph_client_set_timeout(c, 0);
	OK(ph_client_noop(c, NULL, &err));
	ph_client_set_timeout(c, 100);
	began = now_ms();
	FAILS(ph_client_noop(c, NULL, &err), PH_EDEFERRED, PH_STAGE_HELLO, PH_CAUSE_TIMEOUT);
	assert_in_range(now_ms() - began, 90, 1000);
	began = now_ms();
	FAILS(ph_client_connect(c, NULL, &err), PH_EDEFERRED, PH_STAGE_GREETING, PH_CAUSE_TIMEOUT);
	assert_in_range(now_ms() - began, 90, 1000);
	ph_client_free(c);
	finish(p);
}

/* A program that does something else between putcmd() and getreply() is late, not the server. */
static void
what_came_meanwhile_counts_before_the_clock(void **state)
{
	struct peer *p = start(SCRIPT(GREET, "<NOOP", ">250 done", "<NOOP", ">250-begun", "z150", ">250 done",
	                              "$"));
	struct ph_client *c = CLIENT(p, .tls = OFF);
	struct pollfd fd = { .events = POLLIN };

	(void)state;
	OK(ph_client_connect(c, NULL, &err));
	OK(ph_client_ehlo(c, NULL, NULL, &err));
	fd.fd = ph_client_fd(c);
	ph_client_set_timeout(c, 50);
	OK(ph_client_putcmd(c, "NOOP", NULL, &err));
	assert_int_equal(poll(&fd, 1, PEER_PATIENCE), 1);
	usleep(70000);
	OK(ph_client_getreply(c, NULL, &err));
	OK(ph_client_putcmd(c, "NOOP", NULL, &err));
	assert_int_equal(poll(&fd, 1, PEER_PATIENCE), 1);
	usleep(70000);
	/* but half a reply is none */
	FAILS(ph_client_getreply(c, NULL, &err), PH_EDEFERRED, PH_STAGE_HELLO, PH_CAUSE_TIMEOUT);
	ph_client_free(c);
	finish_early(p);
}

static volatile sig_atomic_t rang;

static void
ring(int signal)
{
	(void)signal;
	rang = 1;
}

struct asked {
	unsigned times, until; /* UINT_MAX: until the bell has rung */
};

static bool
interrupted(void *user)
{
	struct asked *a = user;

	a->times++;
	return a->until == UINT32_MAX ? rang : a->times >= a->until;
}

/* SIGALRM in so many milliseconds. Its handler only sets a flag, and system calls are not begun anew. */
static void
set_alarm(long ms)
{
	struct sigaction sa = { .sa_handler = ring };
	struct itimerval t = { .it_value = { 0, ms * 1000 } };

	rang = 0;
	sigaction(SIGALRM, &sa, NULL);
	setitimer(ITIMER_REAL, &t, NULL);
}

static void
a_signal_can_end_a_wait(void **state)
{
	struct peer *p = start(SCRIPT(GREET, "<NOOP", "$", "|", "$"));

	(void)state;
	for (int greeting = 0; greeting < 2; greeting++) {
		struct asked a = { 0, UINT32_MAX };
		struct ph_client *c = CLIENT(p, .tls = OFF, .interrupted = interrupted,
		                             .interrupted_user = &a);
		uint64_t began;

		if (!greeting) {
			OK(ph_client_connect(c, NULL, &err));
			OK(ph_client_ehlo(c, NULL, NULL, &err));
		}
		set_alarm(50);
		began = now_ms();
		if (greeting)
			FAILS(ph_client_connect(c, NULL, &err), PH_ECANCELLED, PH_STAGE_GREETING);
		else
			FAILS(ph_client_noop(c, NULL, &err), PH_ECANCELLED, PH_STAGE_HELLO);
		assert_true(rang);
		assert_in_range(now_ms() - began, 0, 400);
		FAILS(ph_client_connect(c, NULL, &err), PH_ECANCELLED, PH_STAGE_CONNECT);
		ph_client_free(c);
	}
	finish(p);
}

/* The signal may have come to another thread, or between looking and waiting. */
static void
without_a_signal_it_is_asked_twice_a_second(void **state)
{
	struct peer *p = start(SCRIPT(GREET, "<NOOP", "z700", ">250 ok", "<NOOP", "$"));
	struct asked a = { 0, 2 };
	struct ph_client *c = CLIENT(p, .tls = OFF, .interrupted = interrupted, .interrupted_user = &a);
	uint64_t began;

	(void)state;
	OK(ph_client_connect(c, NULL, &err));
	OK(ph_client_ehlo(c, NULL, NULL, &err));
	OK(ph_client_noop(c, NULL, &err));
	assert_int_equal(a.times, 1);
	began = now_ms();
	FAILS(ph_client_noop(c, NULL, &err), PH_ECANCELLED, PH_STAGE_HELLO);
	assert_in_range(now_ms() - began, 450, 900);
	assert_int_equal(a.times, 2);
	ph_client_free(c);
	finish(p);
}

static void
dialling_can_be_interrupted(void **state)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	char url[sizeof un.sun_path + 16];
	struct asked a = { 0, 3 };
	int listener = socket(AF_UNIX, SOCK_STREAM, 0), crowd[64], n = 0;
	struct ph_client *c;

	(void)state;
	snprintf(un.sun_path, sizeof un.sun_path, "%s/full", rig_dir);
	assert_int_equal(bind(listener, (struct sockaddr *)&un, sizeof un), 0);
	assert_int_equal(listen(listener, 1), 0);
	do {
		assert_true(n < 64);
		crowd[n] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
	} while (connect(crowd[n++], (struct sockaddr *)&un, sizeof un) == 0);
	assert_int_equal(errno, EAGAIN);
	snprintf(url, sizeof url, "lmtp://%s", un.sun_path);
	c = new_client((struct ph_client_opts){ .server = url, .interrupted = interrupted,
	                                        .interrupted_user = &a });
	FAILS(ph_client_connect(c, NULL, &err), PH_ECANCELLED, PH_STAGE_CONNECT);
	assert_int_equal(a.times, 3);
	ph_client_free(c);
	while (n > 0)
		close(crowd[--n]);
	close(listener);
	unlink(un.sun_path);
}

static void
a_message_that_was_handed_over_is_in_doubt_when_interrupted(void **state)
{
	struct peer *p = start(SCRIPT(GREET, "<MAIL", ">250 ok", "<RCPT", ">250 ok", "<DATA", ">354 go on",
	                              ".", "$"));
	struct asked a = { 0, 1 };
	struct ph_client *c = CLIENT(p, .tls = OFF, .interrupted = interrupted, .interrupted_user = &a);

	(void)state;
	assert_int_equal(send_one(c, NULL, 0), PH_EINDOUBT);
	assert_int_equal(a.times, 1);
	ph_client_free(c);
	finish(p);
}

/* ---- names ----------------------------------------------------------------------------------- */

static void
the_name_that_ehlo_says_is_known_while_connected(void **state)
{
	struct peer *p = start(SCRIPT(">220 peer", "<EHLO me.test", ">250 peer", "$", "|", GREET, "$"));
	struct ph_client *c = CLIENT(p, .tls = OFF);
	struct ph_client_opts o = { PH_CLIENT_OPTS_INIT, .server = url_of(p, "smtp"), .tls = OFF };

	(void)state;
	assert_null(ph_client_helo_name(c));
	OK(ph_client_connect(c, NULL, &err));
	assert_string_equal(ph_client_helo_name(c), "me.test");
	OK(ph_client_ehlo(c, NULL, NULL, &err));
	ph_client_close(c);
	assert_null(ph_client_helo_name(c));
	ph_client_free(c);
	OK(ph_client_new(&c, &o, &err));
	OK(ph_client_connect(c, NULL, &err));
	assert_non_null(strpbrk(ph_client_helo_name(c), ".")); /* a qualified name, or [127.0.0.1] */
	OK(ph_client_ehlo(c, NULL, NULL, &err));
	ph_client_free(c);
	finish(p);
}

/* ---- commands, as smtplib's users give them -------------------------------------------------- */

static void
commands_go_out_as_they_were_given(void **state)
{
	static const struct { const char *verb, *arguments, *line; } rows[] = {
		{ "ehlo", "me.test", "ehlo me.test\n" }, { "mail", "FROM:<a@x.test>", "mail FROM:<a@x.test>\n" },
		{ "rcpt", "TO:<b@x.test> NOTIFY=NEVER", "rcpt TO:<b@x.test> NOTIFY=NEVER\n" },
		{ "NOOP", NULL, "NOOP\n" }, { "NOOP", "", "NOOP\n" }, { "NOOP ", NULL, "NOOP \n" },
		{ "NOOP", " ", "NOOP  \n" }, { "noop a", "b", "noop a b\n" }, { "X-MINE", "1  2", "X-MINE 1  2\n" },
		{ "", NULL, "\n" }, { "", "", "\n" }, { NULL, NULL, "\n" }, { "auth", "PLAIN AGFubgBwdw==",
		"auth PLAIN AGFubgBwdw==\n" }, { "AUTH PLAIN", "AGFubgBwdw==", "AUTH PLAIN AGFubgBwdw==\n" },
	};
	struct ph_client *c = new_client((struct ph_client_opts){ .tls = OFF });
	struct wire *w = new_wire("220 wire\r\n");

	(void)state;
	OK(ph_client_attach_transport(c, &w->t, NULL, NULL, &err));
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		w->mind.log_len = 0;
		OK(ph_client_docmd(c, rows[i].verb, rows[i].arguments, NULL, &err));
		assert_string_equal(w->mind.log, rows[i].line);
	}
	assert_true(ph_client_is_esmtp(c));
	ph_client_free(c);
	free(w);
}

static void
a_login_by_hand_is_hidden_however_it_is_put(void **state)
{
	struct peer *p = start(SCRIPT(
		GREET, "<AUTH LOGIN", ">334 VXNlcm5hbWU6", "<c2VjcmV0MQ==", ">334 UGFzc3dvcmQ6",
		"<c2VjcmV0Mg==", ">535 5.7.8 not c2VjcmV0Mg== and not secret2",
		"<auth login", ">334 VXNlcm5hbWU6", "<RSEt", ">334 UGFzc3dvcmQ6", "<c2VjcmV0Mw==", ">235 in",
		"<auth plain c2VjcmV0NA== ", ">535 5.7.8 not c2VjcmV0NA==",
		"<AUTH LOGIN", "<c2VjcmV0NQ==", "<c2VjcmV0Ng==", ">334 a", ">334 b", ">535 not c2VjcmV0Ng==",
		"<AUTH XOAUTH2 c2VjcmV0Nw==", ">334 e30=", "<", ">535 5.7.8 no", "<NOOP", ">250 ok",
		"<AUTH LOGIN", ">334 VXNlcm5hbWU6", "<*", ">501 5.7.0 as you like", "$"));
	struct notes n = { "" };
	struct ph_client *c = CLIENT(p, .tls = OFF, .transcript = note, .transcript_user = &n);
	const struct ph_reply *r = NULL;

	(void)state;
	OK(ph_client_connect(c, NULL, &err));
	OK(ph_client_ehlo(c, NULL, NULL, &err));
	OK(ph_client_docmd(c, "AUTH LOGIN", NULL, &r, &err));
	reply_is(r, 334, "VXNlcm5hbWU6");
	OK(ph_client_docmd(c, "c2VjcmV0MQ==", NULL, &r, &err));
	FAILS(ph_client_docmd(c, "c2VjcmV0Mg==", "", &r, &err), PH_EREFUSED, PH_STAGE_AUTH);
	reply_is(r, 535, "5.7.8 not ************ and not *******");
	OK(ph_client_docmd(c, "auth", "login", NULL, &err));
	OK(ph_client_docmd(c, "RSEt", NULL, NULL, &err)); /* a verb, if one wants to see one */
	OK(ph_client_docmd(c, "c2VjcmV0Mw==", NULL, NULL, &err));
	FAILS(ph_client_docmd(c, "auth plain c2VjcmV0NA== ", NULL, &r, &err), PH_EREFUSED, PH_STAGE_AUTH);
	reply_is(r, 535, "5.7.8 not ************");
	OK(ph_client_putcmd(c, "AUTH LOGIN", NULL, &err)); /* ahead of what it is to answer */
	OK(ph_client_putcmd(c, "c2VjcmV0NQ==", NULL, &err));
	OK(ph_client_putcmd(c, "c2VjcmV0Ng==", NULL, &err));
	OK(ph_client_getreply(c, NULL, &err));
	OK(ph_client_getreply(c, NULL, &err));
	FAILS(ph_client_getreply(c, &r, &err), PH_EREFUSED, PH_STAGE_AUTH);
	reply_is(r, 535, "not ************");
	OK(ph_client_docmd(c, "AUTH", "XOAUTH2 c2VjcmV0Nw==", NULL, &err));
	FAILS(ph_client_docmd(c, "", NULL, &r, &err), PH_EREFUSED, PH_STAGE_AUTH); /* an empty answer */
	OK(ph_client_noop(c, NULL, &err));
	OK(ph_client_docmd(c, "AUTH", "LOGIN", NULL, &err));
	FAILS(ph_client_docmd(c, "*", NULL, &r, &err), PH_EREFUSED, PH_STAGE_AUTH);
	ph_client_free(c);
	finish(p);
	assert_null(strstr(n.text, "c2Vj"));
	assert_null(strstr(n.text, "secret"));
	assert_null(strstr(n.text, "RSEt"));
	assert_non_null(strstr(n.text, ">AUTH LOGIN\n<334 VXNlcm5hbWU6\n>[hidden]\n"));
	assert_non_null(strstr(n.text, ">auth plain [hidden]\n"));
	assert_non_null(strstr(n.text, ">NOOP\n"));
	assert_non_null(strstr(n.text, ">*\n"));
}

/* A server that asks for secrets where none were announced hides a line of ours, no more. */
static void
a_334_out_of_place_does_not_hide_starttls_from_us(void **state)
{
	struct peer *p = start(SCRIPT(OFFERS_TLS, "<NOOP", ">334 what?", "<XYZZY", ">334 what?", "<STARTTLS",
	                              ">220 go", "~", "<NOOP", ">250 ok", "$"));
	struct notes n = { "" };
	struct ph_client *c = CLIENT(p, .tls = BY_HAND, .transcript = note, .transcript_user = &n);

	(void)state;
	OK(ph_client_connect(c, NULL, &err));
	OK(ph_client_ehlo(c, NULL, NULL, &err));
	OK(ph_client_noop(c, NULL, &err));
	OK(ph_client_docmd(c, "XYZZY", NULL, NULL, &err));
	OK(ph_client_starttls(c, NULL, &err));
	assert_non_null(ph_client_tls_facts(c));
	OK(ph_client_noop(c, NULL, &err));
	ph_client_free(c);
	finish(p);
	assert_non_null(strstr(n.text, ">XYZZY\n"));
	assert_non_null(strstr(n.text, ">~NOOP\n"));
}

static void
data_without_an_envelope_is_the_servers_to_refuse(void **state)
{
	struct peer *p = start(SCRIPT(">220 peer", "<DATA", ">503 5.5.1 MAIL first", "<EHLO", ">250 peer",
	                              "<DATA", ">503 5.5.1 MAIL first", "<NOOP", ">250 ok", "$"));
	struct ph_client *c = CLIENT(p, .tls = OFF);
	const struct ph_reply *r = NULL;
	struct ph_source *s = NULL;

	(void)state;
	OK(ph_source_new_memory(&s, HI, strlen(HI), NULL));
	OK(ph_client_connect(c, NULL, &err));
	FAILS(ph_client_data(c, s, PH_LINE_ENDS_NORMALISE, &r, &err), PH_EREFUSED, PH_STAGE_DATA,
	      PH_CAUSE_REPLY);
	reply_is(r, 503, "5.5.1 MAIL first");
	OK(ph_client_ehlo(c, NULL, NULL, &err));
	FAILS(ph_client_data(c, s, PH_LINE_ENDS_NORMALISE, &r, &err), PH_EREFUSED, PH_STAGE_DATA,
	      PH_CAUSE_REPLY);
	OK(ph_client_noop(c, NULL, &err));
	ph_client_free(c);
	ph_source_free(s);
	finish(p);
}

static void
a_message_goes_out_without_ehlo_where_the_server_lets_it(void **state)
{
	struct peer *p = start(SCRIPT(">220 peer", "<mail FROM:<a@x.test>", ">250 ok", "<rcpt TO:<b@x.test>",
	                              ">250 ok", "<DATA", ">354 go on", ".", ">250 taken", "<EHLO",
	                              ">250-peer", ">250 PIPELINING", ONE, "$"));
	struct ph_client *c = CLIENT(p, .tls = OFF);
	const struct ph_reply *r = NULL;
	struct ph_source *s = NULL;

	(void)state;
	OK(ph_source_new_memory(&s, HI, strlen(HI), NULL));
	OK(ph_client_connect(c, NULL, &err));
	OK(ph_client_docmd(c, "mail", "FROM:<a@x.test>", NULL, &err));
	OK(ph_client_docmd(c, "rcpt", "TO:<b@x.test>", NULL, &err));
	OK(ph_client_data(c, s, PH_LINE_ENDS_NORMALISE, &r, &err));
	reply_is(r, 250, "taken");
	assert_int_equal(send_one(c, NULL, 0), PH_OK);
	ph_client_free(c);
	ph_source_free(s);
	finish(p);
}

static void
a_message_sent_as_octets_is_refused_as_one(void **state)
{
	struct peer *p = start(SCRIPT(GREET, "<data", ">354 go on", ".", ">554 5.7.1 spam", "<NOOP",
	                              ">250 ok", "$"));
	struct ph_client *c = CLIENT(p, .tls = OFF);
	const struct ph_reply *r = NULL;

	(void)state;
	OK(ph_client_connect(c, NULL, &err));
	OK(ph_client_ehlo(c, NULL, NULL, &err));
	OK(ph_client_docmd(c, "data", NULL, &r, &err));
	reply_is(r, 354, "go on");
	OK(ph_client_send(c, "hi\xff\r\n", 5, &err));
	OK(ph_client_send(c, ".\r\n", 3, &err));
	FAILS(ph_client_getreply(c, &r, &err), PH_EREFUSED, PH_STAGE_BODY, PH_CAUSE_REPLY);
	reply_is(r, 554, "5.7.1 spam");
	OK(ph_client_noop(c, NULL, &err));
	ph_client_free(c);
	finish(p);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(by_hand_all_is_clear_until_starttls_is_said),
		cmocka_unit_test(starttls_by_hand_is_had_and_verified_or_fails),
		cmocka_unit_test(of_smtps_by_hand_is_implicit),
		cmocka_unit_test(by_hand_credentials_go_in_clear_only_to_this_machine),
		cmocka_unit_test(a_220_to_starttls_begins_the_tls_that_was_lent),
		cmocka_unit_test(lent_tls_must_be_verified_or_waived),
		cmocka_unit_test(what_was_lent_and_waived_ends_with_its_connection),
		cmocka_unit_test(octets_behind_the_220_end_lent_tls_too),
		cmocka_unit_test(a_lent_handshake_may_fail_without_a_word),
		cmocka_unit_test(a_lent_transport_may_be_followed_by_another),
		cmocka_unit_test(what_was_lent_is_taken_back),
		cmocka_unit_test(lend_tls_out_of_order_does_nothing),
		cmocka_unit_test(tls_that_is_up_already_may_be_waived),
		cmocka_unit_test(octets_are_sent_however_many_they_are),
		cmocka_unit_test(the_transcript_is_told_whom_it_was_given_last),
		cmocka_unit_test(the_timeout_can_be_changed),
		cmocka_unit_test(what_came_meanwhile_counts_before_the_clock),
		cmocka_unit_test(a_signal_can_end_a_wait),
		cmocka_unit_test(without_a_signal_it_is_asked_twice_a_second),
		cmocka_unit_test(dialling_can_be_interrupted),
		cmocka_unit_test(a_message_that_was_handed_over_is_in_doubt_when_interrupted),
		cmocka_unit_test(the_name_that_ehlo_says_is_known_while_connected),
		cmocka_unit_test(commands_go_out_as_they_were_given),
		cmocka_unit_test(a_login_by_hand_is_hidden_however_it_is_put),
		cmocka_unit_test(a_334_out_of_place_does_not_hide_starttls_from_us),
		cmocka_unit_test(data_without_an_envelope_is_the_servers_to_refuse),
		cmocka_unit_test(a_message_goes_out_without_ehlo_where_the_server_lets_it),
		cmocka_unit_test(a_message_sent_as_octets_is_refused_as_one),
	};

	return cmocka_run_group_tests(tests, rig_set_up, rig_tear_down);
}
