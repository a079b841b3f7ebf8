/* SPDX-License-Identifier: MIT */
/* Dialogues with the server session, without sockets. Each runs whole (every part of the client's in
 * one piece), cut at each line, byte by byte, and with answers that come late; what is said and what
 * is told must be the same in all of them. Then once more with each allocation failing in turn: no
 * crash, no leak, and an end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/bounds.h"
#include "base/buf.h"
#include "smtp/server.h"

enum cut { WHOLE, LINES, BYTES, LATE, CUTS };

/* The caller's own reply to an event of this type with this text (NULL: any). */
struct rule {
	enum ph__server_event_type type;
	const char *text;
	struct ph__server_reply reply;
};

struct dialog {
	struct ph__server_opts o;
	const char *const *client; /* parts; each is sent when the one before is dealt with */
	const struct rule *rules;
	bool        eof;           /* at the end */
	const char *mechanisms;    /* NULL: those of the beginning */
	const char *said;          /* by the server, all of it, without its greeting */
	const char *told;          /* events; NULL: not looked at */
};

struct run {
	const struct dialog *d;
	struct ph__server *s;
	struct ph__buf said, told;
	bool late, closed;
	int octets; /* in a row */
};

static const char GREETING[] = "220 mx.test ESMTP posthaste\r\n";

static const struct ph__server_reply *
choose(const struct run *r, const struct ph__server_event *ev)
{
	static const struct ph__server_reply good = { 235, "2.7.0", "welcome" };

	for (const struct rule *k = r->d->rules; k != NULL && k->type != 0; k++)
		if (k->type == ev->type && (k->text == NULL || ph__str_eq(ev->text, ph__str(k->text))))
			return &k->reply;
	if (ev->type == PH__SERVER_ON_AUTH && ph__str_eq(ev->user, ph__str("tim")) &&
	    ph__str_eq(ev->password, ph__str("tanstaaf")))
		return &good;
	if (ev->type == PH__SERVER_ON_SASL && ph__str_eq(ev->text, ph__str("yes")))
		return &good;
	return NULL;
}

static void
tell(struct run *r, const struct ph__server_event *ev)
{
	static const char *const names[] = {
		[PH__SERVER_ON_CONNECT] = "connect", [PH__SERVER_ON_HELLO] = "hello",
		[PH__SERVER_ON_STARTTLS] = "starttls", [PH__SERVER_ON_AUTH] = "auth",
		[PH__SERVER_ON_SASL] = "sasl",
		[PH__SERVER_ON_MAIL] = "mail", [PH__SERVER_ON_RCPT] = "rcpt",
		[PH__SERVER_ON_DATA] = "data", [PH__SERVER_ON_MESSAGE] = "message",
		[PH__SERVER_ON_COMMAND] = "command", [PH__SERVER_ON_DROPPED] = "dropped",
		[PH__SERVER_WANT_TLS] = "tls", [PH__SERVER_CLOSED] = "closed",
	};

	if (ev->type == PH__SERVER_ON_OCTETS) {
		ph__buf_addf(&r->told, "%s%.*s", r->octets++ == 0 ? "[" : "", (int)ev->text.len,
		             ev->text.ptr);
		return;
	}
	if (r->octets != 0)
		ph__buf_add_str(&r->told, "]\n");
	r->octets = 0;
	if (ev->type == PH__SERVER_ON_CONNECT)
		return;
	ph__buf_add_str(&r->told, names[ev->type]);
	if (ev->type == PH__SERVER_ON_COMMAND)
		ph__buf_addf(&r->told, " %s", ev->verb);
	if (ev->type == PH__SERVER_ON_AUTH)
		ph__buf_addf(&r->told, " %s %.*s", ev->mechanism, (int)ev->user.len, ev->user.ptr);
	if (ev->type == PH__SERVER_ON_SASL)
		ph__buf_addf(&r->told, " %s%s%s", ev->mechanism, ev->first ? " first" : "",
		             ev->text.ptr == NULL ? " unasked" : "");
	if (ev->text.len != 0)
		ph__buf_addf(&r->told, " %.*s", (int)ev->text.len, ev->text.ptr);
	if (ev->parameters.len != 0)
		ph__buf_addf(&r->told, " (%.*s)", (int)ev->parameters.len, ev->parameters.ptr);
	if (ev->recipient != 0)
		ph__buf_addf(&r->told, " #%zu", ev->recipient);
	if (ev->type == PH__SERVER_CLOSED)
		ph__buf_addf(&r->told, " %d", (int)ev->why);
	ph__buf_add_char(&r->told, '\n');
}

static bool
send_all(struct run *r)
{
	struct iovec v;
	bool any = false;

	while (ph__server_pull(r->s, &v, 1) != 0) {
		size_t n = r->late ? 1 : v.iov_len;

		ph__buf_add(&r->said, v.iov_base, n);
		ph__server_sent(r->s, n, 0);
		any = true;
	}
	return any;
}

/* A mechanism: the server says "who?", the client "me", the server "sure?", the client "yes". Whether
 * the session took a challenge. */
static bool
challenge(struct run *r, const struct ph__server_event *ev)
{
	if (ev->text.ptr == NULL)
		return ph__server_challenge(r->s, "who?", 4, 0) == PH_OK;
	if (ph__str_eq(ev->text, ph__str("me")))
		return ph__server_challenge(r->s, "sure?", 5, 0) == PH_OK;
	return ev->text.len == 0 && ph__server_challenge(r->s, NULL, 0, 0) == PH_OK;
}

static void
deal_with(struct run *r, const struct ph__server_event *ev)
{
	struct ph__server_event other;

	tell(r, ev);
	if (ev->type == PH__SERVER_CLOSED)
		r->closed = true;
	if (ev->type == PH__SERVER_WANT_TLS)
		ph__server_tls_done(r->s, 0);
	if (!ev->asks)
		return;
	if (r->late)
		assert_false(ph__server_next_event(r->s, &other));
	if (ev->type != PH__SERVER_ON_SASL || !challenge(r, ev))
		assert_int_equal(ph__server_answer(r->s, choose(r, ev), 0), PH_OK);
}

static void
pump(struct run *r)
{
	struct ph__server_event ev;
	bool more;

	do {
		for (more = false; ph__server_next_event(r->s, &ev); more = true)
			deal_with(r, &ev);
		more |= send_all(r);
	} while (more);
}

static size_t
next_cut(const char *p, size_t n, enum cut cut)
{
	const char *lf = memchr(p, '\n', n);

	if (cut == BYTES)
		return 1;
	return cut == LINES && lf != NULL ? (size_t)(lf + 1 - p) : n;
}

static void
play(struct run *r, enum cut cut)
{
	pump(r);
	for (const char *const *part = r->d->client; *part != NULL; part++) {
		size_t len = strlen(*part);

		for (size_t at = 0, n; at < len && !r->closed; at += n) {
			n = next_cut(*part + at, len - at, cut);
			assert_int_equal(ph__server_feed(r->s, *part + at, n, 0, NULL), PH_OK);
			pump(r);
		}
	}
	if (r->d->eof && !r->closed) {
		ph__server_feed_eof(r->s, 0);
		pump(r);
	}
}

/* An allocator that gives out `left` pieces. */
static void *
scarce_alloc(void *user, size_t n)
{
	int *left = user;

	return --*left < 0 ? NULL : test_malloc(n);
}

static void *
scarce_realloc(void *user, void *p, size_t n)
{
	int *left = user;

	return --*left < 0 ? NULL : test_realloc(p, n);
}

static void
scarce_free(void *user, void *p)
{
	(void)user;
	test_free(p);
}

static struct run
run(const struct dialog *d, enum cut cut, int *left)
{
	struct ph_allocator mem = { scarce_alloc, scarce_realloc, scarce_free, left };
	struct ph__server_opts o = d->o;
	struct run r = { .d = d, .late = cut == LATE };

	ph__buf_init(&r.said, &ph__libc_memory, 1 << 24);
	ph__buf_init(&r.told, &ph__libc_memory, 1 << 24);
	o.name = "mx.test";
	if (ph__server_new(&r.s, &o, &mem, 0, NULL) == PH_OK) {
		if (d->mechanisms != NULL)
			ph__server_offer_mechanisms(r.s, d->mechanisms);
		play(&r, cut);
	}
	ph__server_free(&r.s);
	return r;
}

static void
run_done(struct run *r)
{
	ph__buf_done(&r->said);
	ph__buf_done(&r->told);
}

static void
check(const struct dialog *d)
{
	int left = INT32_MAX;

	for (int cut = 0; cut < CUTS; cut++) {
		struct run r = run(d, (enum cut)cut, &left);
		const char *said = ph__buf_cstr(&r.said);
		const char *body = strstr(said, "\r\n");

		assert_non_null(body);
		assert_string_equal(body + 2, d->said);
		if (d->told != NULL)
			assert_string_equal(ph__buf_cstr(&r.told), d->told);
		run_done(&r);
	}
	for (int n = 0; left <= INT32_MAX; n++) {
		struct run r;

		left = n;
		r = run(d, WHOLE, &left);
		run_done(&r);
		if (left >= 0)
			break;
	}
}

#define CLIENT(...) (const char *const[]){ __VA_ARGS__, NULL }
#define ALL { .extensions = PH__SERVER_EXT_ALL, .clear_auth = true }
#define TXN "MAIL FROM:<a@x>\r\nRCPT TO:<b@y>\r\n"
#define TXN_SAID "250 2.1.0 ok\r\n250 2.1.5 ok\r\n"
#define EHLO "EHLO me\r\n"
#define EHLO_SAID "250-mx.test\r\n250-PIPELINING\r\n250-SIZE 0\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n" \
	"250-CHUNKING\r\n250-BINARYMIME\r\n250-ENHANCEDSTATUSCODES\r\n250-DSN\r\n250-STARTTLS\r\n" \
	"250-AUTH PLAIN LOGIN\r\n250-DELIVERBY\r\n250-MT-PRIORITY\r\n250-ETRN\r\n" \
	"250-XCLIENT NAME ADDR PORT PROTO HELO LOGIN DESTADDR DESTPORT\r\n" \
	"250 XFORWARD NAME ADDR PORT PROTO HELO IDENT SOURCE\r\n"
#define GO "354 send the message, end it with a dot alone\r\n"

static void
one_flight_of_two_messages_is_taken(void **state)
{
	(void)state;
	check(&(struct dialog){
		ALL, CLIENT(EHLO TXN "DATA\r\none\r\n..\r\n.\r\n" TXN "DATA\r\n.\r\nQUIT\r\n"),
		.said = EHLO_SAID TXN_SAID GO "250 2.0.0 taken\r\n" TXN_SAID GO
		        "250 2.0.0 taken\r\n221 2.0.0 bye\r\n",
		.told = "hello me\nmail a@x\nrcpt b@y\ndata\n[one\r\n.\r\n]\nmessage\n"
		        "mail a@x\nrcpt b@y\ndata\nmessage\ncommand QUIT\nclosed 0\n" });
}

static void
commands_out_of_order_are_answered_503(void **state)
{
	(void)state;
	check(&(struct dialog){
		ALL, CLIENT("MAIL FROM:<a@x>\r\n" "STARTTLS\r\nAUTH PLAIN\r\n" EHLO
		            "RCPT TO:<b@y>\r\nDATA\r\nMAIL FROM:<a@x>\r\nMAIL FROM:<a@x>\r\nDATA\r\n"
		            "STARTTLS\r\nAUTH PLAIN\r\nRSET\r\nRCPT TO:<b@y>\r\nRSET\r\n"),
		.said = "503 5.5.1 EHLO or HELO first\r\n503 5.5.1 EHLO first\r\n503 5.5.1 EHLO first\r\n"
		        EHLO_SAID "503 5.5.1 MAIL first\r\n503 5.5.1 MAIL first\r\n250 2.1.0 ok\r\n"
		        "503 5.5.1 not inside a mail transaction\r\n503 5.5.1 RCPT first\r\n"
		        "503 5.5.1 not inside a mail transaction\r\n"
		        "503 5.5.1 not inside a mail transaction\r\n"
		        "250 2.0.0 reset\r\n503 5.5.1 MAIL first\r\n250 2.0.0 reset\r\n",
		.told = "hello me\nmail a@x\ncommand RSET\ndropped\ncommand RSET\n" });
}

static void
bad_syntax_is_answered_with_its_own_code(void **state)
{
	(void)state;
	check(&(struct dialog){
		ALL, CLIENT("EHLO\r\nGET / HTTP/1.1\r\n\r\n" EHLO "MAIL a@x\r\nMAIL FROM:a@x\r\n"
		            "MAIL FROM:<a@x\r\nMAIL FROM:<a@x>x\r\nMAIL FROM:<a@x> FOO=1\r\n"
		            "MAIL FROM:<a@x> SIZE=x\r\nMAIL FROM:<a@x> BODY=9BIT\r\n"
		            "MAIL FROM:<a@x> SIZE=1 SIZE=1\r\nMAIL FROM:<a\x01@x>\r\nRSET now\r\n"
		            "MAIL FROM:<\xc3\xa9@x>\r\nMAIL FROM:<\xff@x> SMTPUTF8\r\n"),
		.said = "501 5.5.4 an argument is missing\r\n500 5.5.1 no such command\r\n"
		        "500 5.5.1 no such command\r\n" EHLO_SAID
		        "501 5.1.7 not of the form MAIL FROM:<address>\r\n"
		        "501 5.1.7 not of the form MAIL FROM:<address>\r\n"
		        "501 5.1.7 not of the form MAIL FROM:<address>\r\n"
		        "501 5.1.7 not of the form MAIL FROM:<address>\r\n"
		        "555 5.5.4 a parameter that is not known here\r\n"
		        "501 5.5.4 a parameter's value is wrong, or it is given twice\r\n"
		        "501 5.5.4 a parameter's value is wrong, or it is given twice\r\n"
		        "501 5.5.4 a parameter's value is wrong, or it is given twice\r\n"
		        "501 5.5.2 a control character in the line\r\n"
		        "501 5.5.4 this command takes no argument\r\n"
		        "553 5.6.7 a non-ASCII address without SMTPUTF8\r\n"
		        "553 5.6.7 the address is not UTF-8\r\n" });
}

static void
paths_come_without_brackets_and_routes(void **state)
{
	(void)state;
	check(&(struct dialog){
		ALL, CLIENT(EHLO "mail from: <> size=12 body=8bitmime ret=hdrs envid=a+2Bb auth=<> smtputf8\r\n"
		            "rcpt to:<@r1,@r2:b@y> notify=SUCCESS,DELAY orcpt=rfc822;b+40y\r\n"
		            "RCPT TO:<Postmaster>\r\nRCPT TO:<\"a> b\\\"\"@y>\r\nRCPT TO:<\xc3\xa9@y>\r\n"
		            "RCPT TO:<>\r\nRCPT TO:<b@y> NOTIFY=NEVER,DELAY\r\nRCPT TO:<b@y> SIZE=1\r\n"),
		.said = EHLO_SAID "250 2.1.0 ok\r\n250 2.1.5 ok\r\n250 2.1.5 ok\r\n250 2.1.5 ok\r\n"
		        "250 2.1.5 ok\r\n501 5.1.3 not of the form RCPT TO:<address>\r\n"
		        "501 5.5.4 a parameter's value is wrong, or it is given twice\r\n"
		        "555 5.5.4 a parameter that is not known here\r\n",
		.told = "hello me\n"
		        "mail (size=12 body=8bitmime ret=hdrs envid=a+2Bb auth=<> smtputf8)\n"
		        "rcpt b@y (notify=SUCCESS,DELAY orcpt=rfc822;b+40y)\nrcpt Postmaster\n"
		        "rcpt \"a> b\\\"\"@y\nrcpt \xc3\xa9@y\n" });
}

static void
an_extension_that_is_off_is_not_honoured(void **state)
{
	(void)state;
	check(&(struct dialog){
		{ .extensions = PH__SERVER_EXT_PIPELINING },
		CLIENT(EHLO "BDAT 4 LAST\r\nSTARTTLS\r\nAUTH PLAIN\r\nMAIL FROM:<a@x> SIZE=1\r\n"
		       "MAIL FROM:<a@x> BODY=8BITMIME\r\nMAIL FROM:<a@x> SMTPUTF8\r\n"
		       "MAIL FROM:<a@x> RET=FULL\r\nMAIL FROM:<a@x> AUTH=<>\r\n" TXN),
		.said = "250-mx.test\r\n250 PIPELINING\r\n500 no such command\r\n500 no such command\r\n"
		        "500 no such command\r\n555 a parameter that is not known here\r\n"
		        "555 a parameter that is not known here\r\n"
		        "555 a parameter that is not known here\r\n"
		        "555 a parameter that is not known here\r\n"
		        "555 a parameter that is not known here\r\n250 ok\r\n250 ok\r\n" });
}

static void
helo_brings_no_extensions(void **state)
{
	(void)state;
	check(&(struct dialog){
		ALL, CLIENT("HELO me\r\nSTARTTLS\r\nMAIL FROM:<a@x> SIZE=1\r\n" TXN "DATA\r\nx\r\n.\r\n"),
		.said = "250 mx.test\r\n503 5.5.1 EHLO first\r\n555 5.5.4 parameters need EHLO\r\n"
		        TXN_SAID GO "250 2.0.0 taken\r\n" });
}

static void
sending_ahead_without_pipelining_is_cut_off(void **state)
{
	struct ph__server_opts o = { .extensions = PH__SERVER_EXT_ALL & ~PH__SERVER_EXT_PIPELINING };
	struct dialog d = { o, CLIENT("EHLO me\r\n", "MAIL FROM:<a@x>\r\nRCPT TO:<b@y>\r\n") };
	int left = INT32_MAX;
	struct run r = run(&d, WHOLE, &left);

	(void)state;
	assert_non_null(strstr(ph__buf_cstr(&r.said), "\r\n554 5.5.0 commands sent ahead"));
	assert_string_equal(ph__buf_cstr(&r.told), "hello me\nclosed 4\n");
	run_done(&r);

	/* One at a time is well. */
	d.client = CLIENT("EHLO me\r\n", "MAIL FROM:<a@x>\r\n", "RCPT TO:<b@y>\r\n", "DATA\r\n",
	                  "x\r\n.\r\n", "MAIL FROM:<a@x>\r\n", "RCPT TO:<b@y>\r\n",
	                  "BDAT 3\r\na\r\n", "BDAT 0 LAST\r\n");
	r = run(&d, WHOLE, &left);
	assert_string_equal(ph__buf_cstr(&r.told),
	                    "hello me\nmail a@x\nrcpt b@y\ndata\n[x\r\n]\nmessage\n"
	                    "mail a@x\nrcpt b@y\n[a\r\n]\ncommand BDAT\nmessage\n");
	run_done(&r);
}

static void
all_is_forgotten_after_starttls(void **state)
{
	(void)state;
	check(&(struct dialog){
		{ .extensions = PH__SERVER_EXT_STARTTLS | PH__SERVER_EXT_AUTH |
		                PH__SERVER_EXT_PIPELINING },
		CLIENT(EHLO "AUTH PLAIN AHRpbQB0YW5zdGFhZg==\r\nSTARTTLS now\r\nSTARTTLS\r\n",
		       "MAIL FROM:<a@x>\r\n" EHLO "STARTTLS\r\nAUTH PLAIN AHRpbQB0YW5zdGFhZg==\r\n" EHLO),
		.said = "250-mx.test\r\n250-PIPELINING\r\n250 STARTTLS\r\n"
		        "538 not without TLS: the password would be in clear\r\n"
		        "501 this command takes no argument\r\n220 go ahead\r\n"
		        "503 EHLO or HELO first\r\n250-mx.test\r\n250-PIPELINING\r\n250 AUTH PLAIN LOGIN\r\n"
		        "503 TLS is up already\r\n235 welcome\r\n250-mx.test\r\n250 PIPELINING\r\n",
		.told = "hello me\nstarttls\ntls\nhello me\nauth PLAIN tim\nhello me\n" });
}

static void
octets_behind_starttls_end_the_session(void **state)
{
	struct dialog d = { ALL, CLIENT(EHLO, "STARTTLS\r\nMAIL FROM:<evil@x>\r\n") };
	int left = INT32_MAX;
	struct run r = run(&d, WHOLE, &left);

	(void)state;
	assert_non_null(strstr(ph__buf_cstr(&r.said), "\r\n554 5.5.0 octets in clear"));
	assert_string_equal(ph__buf_cstr(&r.told), "hello me\nstarttls\nclosed 4\n");
	run_done(&r);
}

static void
auth_in_all_its_forms(void **state)
{
	(void)state;
	check(&(struct dialog){
		ALL, CLIENT(EHLO "AUTH FOO\r\nAUTH PLAIN\r\n*\r\nAUTH PLAIN !!!!\r\nAUTH PLAIN =\r\n"
		            "AUTH PLAIN dGlt\r\nAUTH LOGIN\r\ndGlt\r\nd3Jvbmc=\r\nAUTH LOGIN dGlt\r\n"
		            "dGFuc3RhYWY=\r\nAUTH PLAIN\r\n" TXN),
		.said = EHLO_SAID "504 5.5.4 no such mechanism here\r\n334 \r\n501 5.7.0 cancelled\r\n"
		        "501 5.5.2 the response is not base64\r\n"
		        "501 5.5.2 the response is not what the mechanism asks for\r\n"
		        "501 5.5.2 the response is not what the mechanism asks for\r\n"
		        "334 VXNlcm5hbWU6\r\n334 UGFzc3dvcmQ6\r\n535 5.7.8 authentication failed\r\n"
		        "334 UGFzc3dvcmQ6\r\n235 2.7.0 welcome\r\n503 5.5.1 authenticated already\r\n"
		        TXN_SAID,
		.told = "hello me\nauth LOGIN tim\nauth LOGIN tim\nmail a@x\nrcpt b@y\n" });
	check(&(struct dialog){
		{ .extensions = PH__SERVER_EXT_AUTH | PH__SERVER_EXT_PIPELINING, .clear_auth = true,
		  .require_auth = true },
		CLIENT(EHLO "MAIL FROM:<a@x>\r\nAUTH PLAIN\r\nAHRpbQB0YW5zdGFhZg==\r\nMAIL FROM:<a@x>\r\n"),
		.said = "250-mx.test\r\n250-PIPELINING\r\n250 AUTH PLAIN LOGIN\r\n530 AUTH first\r\n334 \r\n"
		        "235 welcome\r\n250 ok\r\n" });
}

#define AUTH_ONLY { .extensions = PH__SERVER_EXT_AUTH | PH__SERVER_EXT_PIPELINING, .clear_auth = true }

static void
mechanisms_of_the_caller_go_step_by_step(void **state)
{
	(void)state;
	check(&(struct dialog){
		AUTH_ONLY, .mechanisms = "PLAIN X-ASK",
		.client = CLIENT(EHLO "AUTH LOGIN\r\nAUTH x-ask\r\nbWU=\r\nbm8=\r\nAUTH X-ASK\r\n*\r\n"
		                 "AUTH X-ASK =\r\nbWU=\r\neWVz\r\nNOOP\r\n"),
		.said = "250-mx.test\r\n250-PIPELINING\r\n250 AUTH PLAIN X-ASK\r\n"
		        "504 no such mechanism here\r\n334 d2hvPw==\r\n334 c3VyZT8=\r\n"
		        "535 authentication failed\r\n334 d2hvPw==\r\n501 cancelled\r\n334 \r\n"
		        "334 c3VyZT8=\r\n235 welcome\r\n250 ok\r\n",
		.told = "hello me\nsasl X-ASK first unasked\nsasl X-ASK me\nsasl X-ASK no\n"
		        "sasl X-ASK first unasked\nsasl X-ASK first\nsasl X-ASK me\nsasl X-ASK yes\n"
		        "command NOOP\n" });
}

static void
a_bearer_of_a_wrong_token_gets_the_error_object(void **state)
{
	(void)state;
	check(&(struct dialog){
		AUTH_ONLY, .mechanisms = "OAUTHBEARER XOAUTH2",
		.client = CLIENT(EHLO
			"AUTH XOAUTH2 dXNlcj10aW0BYXV0aD1CZWFyZXIgbm8BAQ==\r\n\r\n"
			"AUTH OAUTHBEARER eSxhPXQ9MkNpPTNEbSwBYXV0aD1CZWFyZXIgbm8BAQ==\r\nAQ==\r\n"
			"AUTH OAUTHBEARER cCwsAWF1dGg9QmVhcmVyIHgBAQ==\r\nAUTH OAUTHBEARER bixhPXQ9MlhpbSwBYXV0aD1CZWFyZXIgeAEB\r\n"
			"AUTH OAUTHBEARER biwsAWhvc3Q9eAEB\r\nAUTH XOAUTH2 bm8=\r\n"
			"AUTH XOAUTH2\r\ndXNlcj10aW0BYXV0aD1CZWFyZXIgdGFuc3RhYWYBAQ==\r\n"),
		.said = "250-mx.test\r\n250-PIPELINING\r\n250 AUTH OAUTHBEARER XOAUTH2\r\n"
		        "334 eyJzdGF0dXMiOiI0MDEiLCJzY2hlbWVzIjoiYmVhcmVyIiwic2NvcGUiOiJtYWlsIn0=\r\n"
		        "535 authentication failed\r\n"
		        "334 eyJzdGF0dXMiOiJpbnZhbGlkX3Rva2VuIiwic2NvcGUiOiJtYWlsIn0=\r\n"
		        "535 authentication failed\r\n"
		        "501 the response is not what the mechanism asks for\r\n"
		        "501 the response is not what the mechanism asks for\r\n"
		        "501 the response is not what the mechanism asks for\r\n"
		        "501 the response is not what the mechanism asks for\r\n334 \r\n235 welcome\r\n",
		.told = "hello me\nauth XOAUTH2 tim\nauth OAUTHBEARER t,i=m\nauth XOAUTH2 tim\n" });
	check(&(struct dialog){
		AUTH_ONLY, .mechanisms = "OAUTHBEARER",
		.client = CLIENT(EHLO "AUTH EXTERNAL =\r\n"
		                 "AUTH OAUTHBEARER bixhPXRpbSwBaG9zdD14AWF1dGg9QmVhcmVyIHRhbnN0YWFmAQE=\r\n"),
		.said = "250-mx.test\r\n250-PIPELINING\r\n250 AUTH OAUTHBEARER\r\n"
		        "504 no such mechanism here\r\n235 welcome\r\n" });
}

static void
parameters_of_extensions_are_checked(void **state)
{
	static const char *const good[] = { "BY=1;R", "BY=+999999999;RT", "BY=-1;N", "HOLDFOR=100",
		"HOLDUNTIL=2026-12-01T00:00:00Z", "HOLDUNTIL=2026-12-01t01:00:00+01:00", "MT-PRIORITY=-9",
		"MT-PRIORITY=0", "REQUIRETLS" };
	static const char *const wrong[] = { "BY", "BY=", "BY=1", "BY=;R", "BY=0;R", "BY=-1;RT", "BY=1;RTT",
		"BY=1000000000;N", "BY=--1;N", "HOLDFOR=0", "HOLDFOR=101", "HOLDFOR=-1", "HOLDFOR=",
		"HOLDUNTIL=2026-12-01T00:00:01Z", "HOLDUNTIL=2026-12-01T00:00:00-00:01",
		"HOLDUNTIL=2026-13-01T00:00:00Z", "HOLDUNTIL=2026-12-01T00:00:00", "HOLDUNTIL=",
		"HOLDFOR=1 HOLDUNTIL=2026-11-01T00:00:00Z", "MT-PRIORITY=", "MT-PRIORITY=10",
		"MT-PRIORITY=+1", "MT-PRIORITY=-", "REQUIRETLS=", "REQUIRETLS REQUIRETLS" };
	struct ph__server_opts o = { .extensions = PH__SERVER_EXT_ALL, .tls = true, .errors_max = 1000,
		                     .future_seconds = 100, .future_until = 1796083200 };
	int left = INT32_MAX;

	(void)state;
	for (size_t i = 0; i < sizeof good / sizeof good[0] + sizeof wrong / sizeof wrong[0]; i++) {
		bool is_good = i < sizeof good / sizeof good[0];
		const char *p = is_good ? good[i] : wrong[i - sizeof good / sizeof good[0]];
		char line[200];
		struct dialog d = { o, CLIENT(EHLO, line) };
		struct run r;

		snprintf(line, sizeof line, "MAIL FROM:<a@x> %s\r\n", p);
		r = run(&d, WHOLE, &left);
		if ((strstr(ph__buf_cstr(&r.said), "\r\n250 2.1.0 ok\r\n") != NULL) != is_good ||
		    (strstr(ph__buf_cstr(&r.said), "\r\n501 5.5.4 ") == NULL) != is_good)
			fail_msg("%s: %s", p, ph__buf_cstr(&r.said));
		run_done(&r);
	}
	/* Not offered: not known. */
	check(&(struct dialog){
		{ .extensions = (PH__SERVER_EXT_STARTTLS - 1) | PH__SERVER_EXT_FUTURERELEASE |
		                PH__SERVER_EXT_REQUIRETLS },
		CLIENT(EHLO "MAIL FROM:<a@x> BY=1;N\r\nMAIL FROM:<a@x> HOLDFOR=1\r\n"
		       "MAIL FROM:<a@x> MT-PRIORITY=1\r\nMAIL FROM:<a@x> REQUIRETLS\r\nETRN x\r\n"
		       "XCLIENT NAME=x\r\nXFORWARD NAME=x\r\n"),
		.said = "250-mx.test\r\n250-PIPELINING\r\n250-SIZE 0\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n"
		        "250-CHUNKING\r\n250-BINARYMIME\r\n250-ENHANCEDSTATUSCODES\r\n250 DSN\r\n"
		        "555 5.5.4 a parameter that is not known here\r\n"
		        "555 5.5.4 a parameter that is not known here\r\n"
		        "555 5.5.4 a parameter that is not known here\r\n"
		        "555 5.5.4 a parameter that is not known here\r\n500 5.5.1 no such command\r\n"
		        "500 5.5.1 no such command\r\n500 5.5.1 no such command\r\n" });
}

static void
limits_of_transactions_and_domains_hold(void **state)
{
	static const struct rule rules[] = {
		{ PH__SERVER_ON_RCPT, "no@z", { 550, "5.1.1", "no" } }, { 0 } };

	(void)state;
	check(&(struct dialog){
		{ .extensions = PH__SERVER_EXT_LIMITS | PH__SERVER_EXT_PIPELINING, .recipients_max = 9,
		  .limits = { true, 2, 2 } },
		CLIENT(EHLO "MAIL FROM:<a@x>\r\nRCPT TO:<no@z>\r\nRCPT TO:<a@x>\r\nRCPT TO:<b@Y>\r\n"
		       "RCPT TO:<c@z>\r\nRCPT TO:<d@y>\r\nRCPT TO:<postmaster>\r\nRSET\r\n"
		       "MAIL FROM:<a@x>\r\nRCPT TO:<c@z>\r\nRSET\r\nMAIL FROM:<a@x>\r\n"),
		.rules = rules,
		.said = "250-mx.test\r\n250-PIPELINING\r\n250 LIMITS MAILMAX=2 RCPTMAX=9 RCPTDOMAINMAX=2\r\n"
		        "250 ok\r\n550 no\r\n250 ok\r\n250 ok\r\n"
		        "452 too many domains on this connection (RCPTDOMAINMAX)\r\n250 ok\r\n"
		        "452 too many domains on this connection (RCPTDOMAINMAX)\r\n250 reset\r\n250 ok\r\n"
		        "452 too many domains on this connection (RCPTDOMAINMAX)\r\n250 reset\r\n452 no more transactions on this connection (MAILMAX)\r\n" });
}

static void
xclient_begins_anew_and_etrn_has_nothing(void **state)
{
	(void)state;
	check(&(struct dialog){
		{ .extensions = PH__SERVER_EXT_XCLIENT | PH__SERVER_EXT_XFORWARD | PH__SERVER_EXT_ETRN |
		                PH__SERVER_EXT_PIPELINING },
		CLIENT("XCLIENT NAME=a+2Bb ADDR=[UNAVAILABLE] PORT=25 PROTO=esmtp\r\nMAIL FROM:<a@x>\r\n" EHLO
		       "XCLIENT NAME\r\nXCLIENT PORT=x\r\nXCLIENT IDENT=x\r\nXFORWARD LOGIN=x\r\n"
		       "XFORWARD SOURCE=LOCAL IDENT=q1\r\nETRN @x.test\r\nETRN #\r\nMAIL FROM:<a@x>\r\n"
		       "XCLIENT NAME=x\r\n"),
		.said = "220 mx.test ESMTP posthaste\r\n503 EHLO or HELO first\r\n250-mx.test\r\n"
		        "250-PIPELINING\r\n250-ETRN\r\n"
		        "250-XCLIENT NAME ADDR PORT PROTO HELO LOGIN DESTADDR DESTPORT\r\n"
		        "250 XFORWARD NAME ADDR PORT PROTO HELO IDENT SOURCE\r\n"
		        "501 not of the form XCLIENT name=value ...\r\n"
		        "501 not of the form XCLIENT name=value ...\r\n"
		        "501 not of the form XCLIENT name=value ...\r\n"
		        "501 not of the form XFORWARD name=value ...\r\n250 ok\r\n251 no messages waiting\r\n"
		        "501 not of the form ETRN node\r\n250 ok\r\n503 not inside a mail transaction\r\n",
		.told = "command XCLIENT NAME=a+2Bb ADDR=[UNAVAILABLE] PORT=25 PROTO=esmtp\nhello me\n"
		        "command XFORWARD SOURCE=LOCAL IDENT=q1\ncommand ETRN @x.test\nmail a@x\n" });
}

/* The caller has put the reply on the wire himself. */
static void
what_was_said_elsewhere_is_not_said_again(void **state)
{
	struct ph__server_opts o = { .name = "mx.test", .extensions = PH__SERVER_EXT_ENHANCEDSTATUSCODES };
	struct ph__server_event ev;
	struct ph__server *s;
	struct ph__buf said;
	struct iovec v;

	(void)state;
	ph__buf_init(&said, &ph__libc_memory, 1000);
	assert_int_equal(ph__server_new(&s, &o, NULL, 0, NULL), PH_OK);
	assert_true(ph__server_next_event(s, &ev));
	assert_true(ph__server_format(s, &ev.reply, &said));
	assert_string_equal(ph__buf_cstr(&said), GREETING);
	assert_int_equal(ph__server_answered_as(s, 220, 0), PH_OK);
	assert_int_equal(ph__server_answered_as(s, 220, 0), PH_EUSAGE);
	assert_int_equal(ph__server_pull(s, &v, 1), 0);
	assert_int_equal(ph__server_feed(s, "HELO me\r\n", 9, 0, NULL), PH_OK);
	assert_true(ph__server_next_event(s, &ev));
	assert_int_equal(ph__server_answered_as(s, 421, 0), PH_OK);
	assert_true(ph__server_next_event(s, &ev));
	assert_int_equal(ev.type, PH__SERVER_CLOSED);
	assert_int_equal(ph__server_pull(s, &v, 1), 0);
	assert_false(ph__server_format(s, &(struct ph__server_reply){ 250, NULL, "a\rb" }, &said));
	ph__buf_done(&said);
	ph__server_free(&s);
}

static void
chunks_make_a_message(void **state)
{
	(void)state;
	check(&(struct dialog){
		ALL, CLIENT(EHLO TXN "BDAT 3\r\na\r\nBDAT 6 last\r\n.\r\nQ\r\n" TXN "BDAT 0 LAST\r\n"
		            "MAIL FROM:<a@x> BODY=BINARYMIME\r\nRCPT TO:<b@y>\r\nDATA\r\n"
		            "BDAT 2 LAST\r\n\n\r"),
		.said = EHLO_SAID TXN_SAID "250 2.0.0 chunk taken\r\n250 2.0.0 taken\r\n" TXN_SAID
		        "250 2.0.0 taken\r\n" TXN_SAID "503 5.5.1 BINARYMIME needs BDAT\r\n"
		        "250 2.0.0 taken\r\n",
		.told = "hello me\nmail a@x\nrcpt b@y\n[a\r\n]\ncommand BDAT\n[.\r\nQ\r\n]\nmessage\n"
		        "mail a@x\nrcpt b@y\nmessage\n"
		        "mail a@x (BODY=BINARYMIME)\nrcpt b@y\n[\n\r]\nmessage\n" });
}

/* Octets of a refused chunk that were read as commands would let a message speak SMTP. */
static void
a_refused_chunk_is_swallowed_whole(void **state)
{
	static const struct rule no_bob[] = {
		{ PH__SERVER_ON_RCPT, "bob@y", { 550, "5.1.1", "no such user" } }, { 0 } };

	(void)state;
	check(&(struct dialog){
		ALL, CLIENT(EHLO "BDAT 6 LAST\r\nQUIT\r\nMAIL FROM:<one@x>\r\nRCPT TO:<bob@y>\r\n"
		            "BDAT 6\r\nQUIT\r\nBDAT 6 LAST\r\nRSET\r\nRSET\r\nMAIL FROM:<two@x>\r\n"
		            "RCPT TO:<c@y>\r\nBDAT 3 LAST\r\nx\r\n"),
		.rules = no_bob,
		.said = EHLO_SAID "503 5.5.1 MAIL first\r\n250 2.1.0 ok\r\n550 5.1.1 no such user\r\n"
		        "554 5.5.1 no valid recipients\r\n554 5.5.1 no valid recipients\r\n"
		        "250 2.0.0 reset\r\n250 2.1.0 ok\r\n250 2.1.5 ok\r\n250 2.0.0 taken\r\n" });
	check(&(struct dialog){
		ALL, CLIENT(EHLO TXN "BDAT what\r\nQUIT\r\n"),
		.said = EHLO_SAID TXN_SAID "501 5.5.4 not of the form BDAT size [LAST]; closing\r\n",
		.told = "hello me\nmail a@x\nrcpt b@y\ndropped\nclosed 4\n" });
}

static void
a_chunk_the_caller_refuses_ends_the_transaction(void **state)
{
	static const struct rule full[] = {
		{ PH__SERVER_ON_COMMAND, NULL, { 452, "4.3.1", "full" } }, { 0 } };

	(void)state;
	check(&(struct dialog){
		ALL, CLIENT(EHLO TXN "BDAT 1\r\nxBDAT 1 LAST\r\ny"), .rules = full,
		.said = EHLO_SAID TXN_SAID "452 4.3.1 full\r\n503 5.5.1 MAIL first\r\n",
		.told = "hello me\nmail a@x\nrcpt b@y\n[x]\ncommand BDAT\ndropped\n" });
}

static void
the_size_limit_holds_for_what_is_declared_and_what_comes(void **state)
{
	struct ph__server_opts o = { .extensions = PH__SERVER_EXT_STARTTLS - 1, .size_max = 4 };

	(void)state;
	check(&(struct dialog){
		o, CLIENT(EHLO "MAIL FROM:<a@x> SIZE=5\r\n" TXN "DATA\r\nabc\r\n.\r\n" TXN
		          "DATA\r\nab\r\n.\r\n" TXN "BDAT 3\r\nabcBDAT 2 LAST\r\nde" TXN
		          "BDAT 99 LAST\r\nx0123456789012345678901234567890123456789"
		          "01234567890123456789012345678901234567890123456789\r\nRSET\r\nNOOP\r\n"),
		.said = "250-mx.test\r\n250-PIPELINING\r\n250-SIZE 4\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n"
		        "250-CHUNKING\r\n250-BINARYMIME\r\n250-ENHANCEDSTATUSCODES\r\n250 DSN\r\n"
		        "552 5.3.4 the message is larger than what is accepted here\r\n" TXN_SAID GO
		        "552 5.3.4 the message is larger than what is accepted here\r\n" TXN_SAID GO
		        "250 2.0.0 taken\r\n" TXN_SAID "250 2.0.0 chunk taken\r\n"
		        "552 5.3.4 the message is larger than what is accepted here\r\n" TXN_SAID
		        "552 5.3.4 the message is larger than what is accepted here\r\n"
		        "250 2.0.0 ok\r\n" });
}

static void
lmtp_answers_each_accepted_recipient(void **state)
{
	static const struct rule rules[] = {
		{ PH__SERVER_ON_RCPT, "b@y", { 550, "5.1.1", "no such user" } }, { 0 } };

	(void)state;
	check(&(struct dialog){
		{ .extensions = PH__SERVER_EXT_CHUNKING | PH__SERVER_EXT_PIPELINING |
		                PH__SERVER_EXT_ENHANCEDSTATUSCODES, .lmtp = true },
		CLIENT(EHLO "HELO me\r\nLHLO me\r\nMAIL FROM:<>\r\nRCPT TO:<a@y>\r\nRCPT TO:<b@y>\r\n"
		       "RCPT TO:<c@y>\r\nDATA\r\nx\r\n.\r\nMAIL FROM:<>\r\nRCPT TO:<b@y>\r\nDATA\r\nRSET\r\n"
		       "MAIL FROM:<>\r\nRCPT TO:<a@y>\r\nRCPT TO:<c@y>\r\nBDAT 1\r\nxBDAT 0 LAST\r\n"),
		.rules = rules,
		.said = "500 5.5.1 no such command\r\n500 5.5.1 no such command\r\n250-mx.test\r\n"
		        "250-PIPELINING\r\n250-CHUNKING\r\n250 ENHANCEDSTATUSCODES\r\n250 2.1.0 ok\r\n"
		        "250 2.1.5 ok\r\n550 5.1.1 no such user\r\n250 2.1.5 ok\r\n" GO
		        "250 2.0.0 taken\r\n250 2.0.0 taken\r\n250 2.1.0 ok\r\n"
		        "550 5.1.1 no such user\r\n554 5.5.1 no valid recipients\r\n250 2.0.0 reset\r\n"
		        "250 2.1.0 ok\r\n250 2.1.5 ok\r\n250 2.1.5 ok\r\n250 2.0.0 chunk taken\r\n"
		        "250 2.0.0 taken\r\n250 2.0.0 taken\r\n",
		.told = "hello me\nmail\nrcpt a@y\nrcpt b@y\nrcpt c@y\ndata\n[x\r\n]\nmessage\nmessage #1\n"
		        "mail\nrcpt b@y\ncommand RSET\ndropped\nmail\nrcpt a@y\nrcpt c@y\n[x]\n"
		        "command BDAT\nmessage\nmessage #1\n" });
}

static void
bare_line_ends_are_refused_in_strict_and_kept_otherwise(void **state)
{
	(void)state;
	check(&(struct dialog){
		{ .extensions = PH__SERVER_EXT_PIPELINING, .strict_line_ends = true },
		CLIENT(EHLO TXN "DATA\r\na\n.\nMAIL FROM:<evil@x>\r\n.\r\nNOOP\n"),
		.said = "250-mx.test\r\n250 PIPELINING\r\n250 ok\r\n250 ok\r\n" GO
		        "550 a bare CR or LF in the message\r\n"
		        "500 a line must end with CRLF, not with LF alone\r\n",
		.told = "hello me\nmail a@x\nrcpt b@y\ndata\n[a\n.\nMAIL FROM:<evil@x>\r\n]\ndropped\n" });
	check(&(struct dialog){
		{ .extensions = PH__SERVER_EXT_PIPELINING },
		CLIENT(EHLO TXN "DATA\r\na\n.\nMAIL FROM:<evil@x>\r\n.\r\nNOOP\n"),
		.said = "250-mx.test\r\n250 PIPELINING\r\n250 ok\r\n250 ok\r\n" GO "250 taken\r\n250 ok\r\n",
		.told = "hello me\nmail a@x\nrcpt b@y\ndata\n[a\n.\nMAIL FROM:<evil@x>\r\n]\nmessage\n"
		        "command NOOP\n" });
}

static void
the_callers_replies_are_what_is_said(void **state)
{
	static const struct rule rules[] = {
		{ PH__SERVER_ON_HELLO, "bad", { 550, "5.7.1", "go\naway" } },
		{ PH__SERVER_ON_MAIL, "no@x", { 451, "4.7.1", "later" } },
		{ PH__SERVER_ON_MESSAGE, NULL, { 554, "5.7.1", "spam" } },
		{ PH__SERVER_ON_RCPT, "end@y", { 421, "4.3.0", "enough" } },
		{ 0 } };

	(void)state;
	check(&(struct dialog){
		{ .extensions = PH__SERVER_EXT_ENHANCEDSTATUSCODES | PH__SERVER_EXT_PIPELINING },
		CLIENT("EHLO bad\r\nMAIL FROM:<a@x>\r\n" EHLO "MAIL FROM:<no@x>\r\nRCPT TO:<b@y>\r\n" TXN
		       "DATA\r\n.\r\n" TXN "RCPT TO:<end@y>\r\nNOOP\r\n"),
		.rules = rules,
		.said = "550-5.7.1 go\r\n550 5.7.1 away\r\n503 5.5.1 EHLO or HELO first\r\n250-mx.test\r\n"
		        "250-PIPELINING\r\n250 ENHANCEDSTATUSCODES\r\n451 4.7.1 later\r\n"
		        "503 5.5.1 MAIL first\r\n" TXN_SAID GO "554 5.7.1 spam\r\n" TXN_SAID
		        "421 4.3.0 enough\r\n",
		.told = "hello bad\nhello me\nmail no@x\nmail a@x\nrcpt b@y\ndata\nmessage\n"
		        "mail a@x\nrcpt b@y\nrcpt end@y\ndropped\nclosed 3\n" });
}

static void
a_greeting_of_5yz_serves_only_quit(void **state)
{
	static const struct rule rules[] = {
		{ PH__SERVER_ON_CONNECT, NULL, { 554, NULL, "no" } }, { 0 } };

	(void)state;
	check(&(struct dialog){ ALL, CLIENT(EHLO "QUIT\r\n"), .rules = rules,
	      .said = "503 5.5.1 no service here, QUIT is all that is left\r\n221 2.0.0 bye\r\n",
	      .told = "command QUIT\nclosed 0\n" });
}

static void
limits_of_lines_recipients_and_errors_hold(void **state)
{
	static char longish[600], huge[PH__AUTH_LINE_MAX + 100];
	char many[200] = "";

	(void)state;
	memset(longish, 'x', sizeof longish - 3);
	memcpy(longish, "NOOP ", 5);
	memcpy(longish + sizeof longish - 3, "\r\n", 3);
	memset(huge, 'y', sizeof huge - 3);
	memcpy(huge + sizeof huge - 3, "\r\n", 3);
	check(&(struct dialog){ ALL, CLIENT(longish, huge, "NOOP\r\n"),
	      .said = "500 5.5.6 the line is too long\r\n500 5.5.6 the line is too long\r\n"
	              "250 2.0.0 ok\r\n" });

	check(&(struct dialog){
		{ .extensions = PH__SERVER_EXT_PIPELINING, .recipients_max = 2 },
		CLIENT(EHLO TXN "RCPT TO:<c@y>\r\nRCPT TO:<d@y>\r\n"),
		.said = "250-mx.test\r\n250 PIPELINING\r\n250 ok\r\n250 ok\r\n250 ok\r\n"
		        "452 too many recipients in one transaction\r\n" });

	for (int i = 0; i < 30; i++)
		memcpy(many + strlen(many), "X\r\n", 4);
	check(&(struct dialog){
		{ .extensions = PH__SERVER_EXT_PIPELINING, .errors_max = 3 }, CLIENT(many),
		.said = "500 no such command\r\n500 no such command\r\n421 too many errors, closing\r\n",
		.told = "closed 4\n" });
}

static void
a_connection_lost_midway_drops_the_message(void **state)
{
	(void)state;
	check(&(struct dialog){
		{ .extensions = PH__SERVER_EXT_PIPELINING }, CLIENT("HELO me\r\n" TXN "DATA\r\nx\r\n."),
		.eof = true, .said = "250 mx.test\r\n250 ok\r\n250 ok\r\n" GO,
		.told = "hello me\nmail a@x\nrcpt b@y\ndata\n[x\r\n]\ndropped\nclosed 1\n" });
}

static void
silence_is_ended_with_421_at_the_deadline(void **state)
{
	struct ph__server_opts o = { .name = "mx.test", .idle_ms = 1000 };
	struct ph__server_event ev;
	struct ph__server *s;
	struct iovec v;

	(void)state;
	assert_int_equal(ph__server_new(&s, &o, NULL, 5000, NULL), PH_OK);
	assert_true(ph__server_next_event(s, &ev));
	assert_true(ph__server_deadline(s) == UINT64_MAX);
	assert_int_equal(ph__server_answer(s, NULL, 5000), PH_OK);
	assert_int_equal(ph__server_pull(s, &v, 1), 1);
	assert_memory_equal(v.iov_base, GREETING, sizeof GREETING - 1);
	ph__server_sent(s, v.iov_len, 5000);
	assert_int_equal(ph__server_deadline(s), 6000);
	/* Half a line does not buy time. */
	assert_int_equal(ph__server_feed(s, "NO", 2, 5999, NULL), PH_OK);
	assert_false(ph__server_next_event(s, &ev));
	ph__server_tick(s, 5999);
	assert_int_equal(ph__server_pull(s, &v, 1), 0);
	ph__server_tick(s, 6000);
	assert_int_equal(ph__server_pull(s, &v, 1), 1);
	assert_memory_equal(v.iov_base, "421 nothing", 11);
	assert_false(ph__server_next_event(s, &ev));
	ph__server_sent(s, v.iov_len, 6000);
	assert_true(ph__server_next_event(s, &ev));
	assert_int_equal(ev.type, PH__SERVER_CLOSED);
	assert_int_equal(ev.why, PH__SERVER_CLOSE_TIMEOUT);
	ph__server_free(&s);
}

/* A client that sends and sends and never reads must not fill our memory. */
static void
unread_replies_stop_the_reading(void **state)
{
	static char flood[6 * 20000];
	struct ph__server_opts o = { .name = "mx.test", .extensions = PH__SERVER_EXT_PIPELINING };
	struct ph__server_event ev;
	struct ph__server *s;
	struct iovec v;
	size_t noops = 0;

	(void)state;
	for (size_t i = 0; i < sizeof flood; i += 6)
		memcpy(flood + i, "NOOP\r\n", 6);
	assert_int_equal(ph__server_new(&s, &o, NULL, 0, NULL), PH_OK);
	assert_true(ph__server_next_event(s, &ev));
	assert_int_equal(ph__server_answer(s, NULL, 0), PH_OK);
	assert_int_equal(ph__server_feed(s, flood, sizeof flood, 0, NULL), PH_OK);
	for (int round = 0; round < 10; round++) {
		while (ph__server_next_event(s, &ev)) {
			noops++;
			assert_int_equal(ph__server_answer(s, NULL, 0), PH_OK);
		}
		if (ph__server_pull(s, &v, 1) == 0)
			break;
		assert_true(v.iov_len <= PH__SERVER_OUT_HIGH + 1024);
		assert_int_equal(ph__server_wants_input(s), v.iov_len <= PH__SERVER_OUT_HIGH);
		ph__server_sent(s, v.iov_len, 0);
	}
	assert_int_equal(noops, 20000);
	ph__server_free(&s);
}

static void
a_reply_that_breaks_out_of_its_line_is_not_sent(void **state)
{
	static const struct ph__server_reply bad[] = {
		{ 250, NULL, "a\r\n250 b" }, { 250, "5\r\n", "a" }, { 199, NULL, "a" },
		{ 600, NULL, "a" }, { 250, NULL, NULL } };
	struct ph__server_event ev;
	struct ph__server *s;
	struct iovec v;

	(void)state;
	assert_int_equal(ph__server_new(&s, &(struct ph__server_opts){ .name = "x" }, NULL, 0, NULL),
	                 PH_OK);
	assert_int_equal(ph__server_answer(s, NULL, 0), PH_EUSAGE);
	assert_true(ph__server_next_event(s, &ev));
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		assert_int_equal(ph__server_answer(s, &bad[i], 0), PH_EINPUT);
	assert_int_equal(ph__server_pull(s, &v, 1), 0);
	assert_int_equal(ph__server_answer(s, NULL, 0), PH_OK);
	assert_int_equal(ph__server_answer(s, NULL, 0), PH_EUSAGE);
	ph__server_free(&s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_flight_of_two_messages_is_taken),
		cmocka_unit_test(commands_out_of_order_are_answered_503),
		cmocka_unit_test(bad_syntax_is_answered_with_its_own_code),
		cmocka_unit_test(paths_come_without_brackets_and_routes),
		cmocka_unit_test(an_extension_that_is_off_is_not_honoured),
		cmocka_unit_test(helo_brings_no_extensions),
		cmocka_unit_test(sending_ahead_without_pipelining_is_cut_off),
		cmocka_unit_test(all_is_forgotten_after_starttls),
		cmocka_unit_test(octets_behind_starttls_end_the_session),
		cmocka_unit_test(auth_in_all_its_forms),
		cmocka_unit_test(mechanisms_of_the_caller_go_step_by_step),
		cmocka_unit_test(a_bearer_of_a_wrong_token_gets_the_error_object),
		cmocka_unit_test(parameters_of_extensions_are_checked),
		cmocka_unit_test(limits_of_transactions_and_domains_hold),
		cmocka_unit_test(xclient_begins_anew_and_etrn_has_nothing),
		cmocka_unit_test(what_was_said_elsewhere_is_not_said_again),
		cmocka_unit_test(chunks_make_a_message),
		cmocka_unit_test(a_refused_chunk_is_swallowed_whole),
		cmocka_unit_test(a_chunk_the_caller_refuses_ends_the_transaction),
		cmocka_unit_test(the_size_limit_holds_for_what_is_declared_and_what_comes),
		cmocka_unit_test(lmtp_answers_each_accepted_recipient),
		cmocka_unit_test(bare_line_ends_are_refused_in_strict_and_kept_otherwise),
		cmocka_unit_test(the_callers_replies_are_what_is_said),
		cmocka_unit_test(a_greeting_of_5yz_serves_only_quit),
		cmocka_unit_test(limits_of_lines_recipients_and_errors_hold),
		cmocka_unit_test(a_connection_lost_midway_drops_the_message),
		cmocka_unit_test(silence_is_ended_with_421_at_the_deadline),
		cmocka_unit_test(unread_replies_stop_the_reading),
		cmocka_unit_test(a_reply_that_breaks_out_of_its_line_is_not_sent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
