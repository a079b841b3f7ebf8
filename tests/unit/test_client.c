/* SPDX-License-Identifier: MIT */
/* The blocking client, against servers that do what a script says: every command by hand, whole
 * deliveries, and what happens when the server, the transport, the message or memory fails. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <fcntl.h>

#include "client_rig.h"
#include "failing_memory.h"

#define COUNT(a) (sizeof(a) / sizeof *(a))
#define HI "Subject: hi\r\n\r\nhello\r\n"

#define BOB &(const struct ph_credentials){ PH_CREDENTIALS_INIT, .user = "bob", .password = "pw" }

#define HEAD "<MAIL FROM:<a@x.test>", ">250 2.1.0 ok", "<RCPT TO:<b@x.test>", ">250 2.1.5 ok"
#define TAIL "<DATA", ">354 go on", "."
#define ONE HEAD, TAIL, ">250 2.0.0 ok"

static struct ph_source *hi;

static int
set_up(void **state)
{
	rig_set_up(state);
	unsetenv("SSL_CERT_FILE"); /* here the rig's CA is trusted only where a test says so */
	return ph_source_new_memory(&hi, HI, strlen(HI), NULL);
}

static int
tear_down(void **state)
{
	ph_source_free(hi);
	return rig_tear_down(state);
}

static struct ph_envelope
envelope(void)
{
	static const char *const to[] = { "b@x.test" };

	return (struct ph_envelope){ PH_ENVELOPE_INIT, .from = "a@x.test", .recipients = to,
	                             .recipient_count = 1 };
}

static enum ph_code
send_one(struct ph_client *c, const struct ph_record **r)
{
	struct ph_envelope e = envelope();

	return ph_client_sendmail(c, &e, hi, r, NULL);
}

static void
submit(struct ph_client *c, struct ph_source *s, void *user)
{
	struct ph_envelope e = envelope();

	assert_int_equal(ph_client_submit(c, &e, s, user, NULL), PH_OK);
}

/* Until the server's end of an idle connection has come. */
static void
await_end(struct ph_client *c)
{
	struct pollfd p = { .fd = ph_client_fd(c), .events = POLLIN };

	assert_int_equal(poll(&p, 1, PEER_PATIENCE), 1);
}

/* ---- by hand --------------------------------------------------------------------------------- */

static void
every_command_can_be_given_by_hand(void **state)
{
	struct peer *p = start(SCRIPT(
		">220 peer ready", "<EHLO me.test", ">250-peer", ">250-SIZE 100", ">250 AUTH=LOGIN PLAIN",
		"<HELO you.test", ">250 peer", "<EHLO me.test", ">250-peer", ">250 8BITMIME",
		"<NOOP", ">250 ok", "<VRFY bob", ">252 2.1.5 maybe", "<EXPN all", ">502 5.5.1 no",
		"<HELP MAIL", ">214-one", ">214 two", "<ETRN x.test", ">250 queued",
		"<MAIL FROM:<a@x.test> SIZE=22", ">250 ok", "<RCPT TO:<b@x.test>", ">450 4.2.0 later",
		"<RCPT TO:<c@x.test> NOTIFY=NEVER", ">250 ok", "<RSET", ">250 flushed",
		"<MAIL FROM:<>", ">250 ok", "<RCPT TO:<b@x.test>", ">250 ok", TAIL, ">250 2.0.0 taken",
		"<QUIT", ">221 bye", "$"));
	struct ph_client *c = CLIENT(p, .tls = OFF);
	const struct ph_reply *r = NULL;
	const char *parameter = NULL;

	(void)state;
	assert_false(ph_client_is_connected(c));
	assert_int_equal(ph_client_fd(c), -1);
	assert_null(ph_client_greeting(c));
	OK(ph_client_connect(c, &r, &err));
	reply_is(r, 220, "peer ready");
	assert_true(ph_client_is_connected(c));
	assert_true(ph_client_fd(c) >= 0);
	assert_null(ph_client_ehlo_reply(c));
	OK(ph_client_ehlo(c, NULL, &r, &err));
	reply_is(r, 250, "peer\nSIZE 100\nAUTH=LOGIN PLAIN");
	assert_true(ph_client_has_extn(c, "size", &parameter));
	assert_string_equal(parameter, "100");
	assert_true(ph_client_has_extn(c, "AUTH", NULL));
	assert_false(ph_client_has_extn(c, "STARTTLS", NULL));
	OK(ph_client_helo(c, "you.test", &r, &err));
	assert_false(ph_client_has_extn(c, "SIZE", NULL));
	OK(ph_client_ehlo(c, "me.test", NULL, &err));
	reply_is(ph_client_greeting(c), 220, "peer ready");
	reply_is(ph_client_ehlo_reply(c), 250, "peer\n8BITMIME");
	OK(ph_client_ehlo_or_helo_if_needed(c, &err));
	OK(ph_client_noop(c, NULL, &err));
	OK(ph_client_vrfy(c, "bob", &r, &err));
	assert_int_equal(r->enhanced[1], 1);
	FAILS(ph_client_expn(c, "all", &r, &err), PH_EREFUSED, PH_STAGE_HELLO);
	reply_is(r, 502, "5.5.1 no");
	OK(ph_client_help(c, "MAIL", &r, &err));
	reply_is(r, 214, "one\ntwo");
	OK(ph_client_etrn(c, "x.test", NULL, &err));
	OK(ph_client_mail(c, "a@x.test", "SIZE=22", NULL, &err));
	FAILS(ph_client_rcpt(c, "b@x.test", NULL, NULL, &err), PH_EDEFERRED, PH_STAGE_RCPT);
	OK(ph_client_rcpt(c, "c@x.test", "NOTIFY=NEVER", NULL, &err));
	OK(ph_client_rset(c, &r, &err));
	reply_is(r, 250, "flushed");
	OK(ph_client_mail(c, "", NULL, NULL, &err));
	OK(ph_client_rcpt(c, "b@x.test", NULL, NULL, &err));
	OK(ph_client_data(c, hi, PH_LINE_ENDS_NORMALISE, &r, &err));
	reply_is(r, 250, "2.0.0 taken");
	OK(ph_client_quit(c, &r, &err));
	reply_is(r, 221, "bye");
	assert_false(ph_client_is_connected(c));
	ph_client_free(c);
	finish(p);
}

static void
nothing_goes_without_a_connection(void **state)
{
	struct ph_client *c = new_client((struct ph_client_opts){ .tls = OFF });
	struct ph_envelope e = envelope();
	const struct ph_record *r = NULL;

	(void)state;
	FAILS(ph_client_noop(c, NULL, &err), PH_EUSAGE, PH_STAGE_PREPARE);
	FAILS(ph_client_ehlo(c, NULL, NULL, &err), PH_EUSAGE, PH_STAGE_PREPARE);
	FAILS(ph_client_mail(c, "a@x.test", NULL, NULL, &err), PH_EUSAGE, PH_STAGE_PREPARE);
	FAILS(ph_client_data(c, hi, PH_LINE_ENDS_STRICT, NULL, &err), PH_EUSAGE, PH_STAGE_PREPARE);
	FAILS(ph_client_starttls(c, NULL, &err), PH_EUSAGE, PH_STAGE_PREPARE);
	FAILS(ph_client_login(c, BOB, NULL, &err), PH_EUSAGE, PH_STAGE_PREPARE);
	FAILS(ph_client_putcmd(c, "NOOP", NULL, &err), PH_EUSAGE, PH_STAGE_PREPARE);
	FAILS(ph_client_getreply(c, NULL, &err), PH_EUSAGE, PH_STAGE_PREPARE);
	FAILS(ph_client_send(c, "x", 1, &err), PH_EUSAGE, PH_STAGE_PREPARE);
	FAILS(ph_client_quit(c, NULL, &err), PH_EUSAGE, PH_STAGE_PREPARE);
	FAILS(ph_client_connect(c, NULL, &err), PH_ECONFIG, PH_STAGE_PREPARE);
	FAILS(ph_client_open(c, &err), PH_ECONFIG, PH_STAGE_PREPARE);
	FAILS(ph_client_next(c, &r, NULL, &err), PH_EUSAGE, PH_STAGE_PREPARE);
	FAILS(ph_client_sendmail(c, &e, NULL, &r, &err), PH_EUSAGE, PH_STAGE_PREPARE);
	FAILS(ph_client_sendmail(c, NULL, hi, &r, &err), PH_EUSAGE, PH_STAGE_PREPARE);
	assert_null(r);
	FAILS(ph_client_sendmail(c, &e, hi, &r, &err), PH_ECONFIG, PH_STAGE_PREPARE);
	assert_non_null(r);
	assert_int_equal(ph_record_recipient(r, 0)->outcome, PH_DEFERRED);
	ph_client_close(c);
	ph_client_free(c);
	ph_client_free(NULL);
}

static void
a_caller_cannot_inject_a_second_command(void **state)
{
	struct peer *p = start(SCRIPT(GREET, "<NOOP", ">250 ok", "$"));
	struct ph_client *c = CLIENT(p, .tls = OFF);
	struct ph_envelope e = envelope();
	const char *const bad[] = { "b@x.test>\r\nRSET" };

	(void)state;
	OK(ph_client_connect(c, NULL, &err));
	OK(ph_client_ehlo(c, NULL, NULL, &err));
	FAILS(ph_client_ehlo(c, "me\r\nRSET", NULL, &err), PH_EINPUT, PH_STAGE_PREPARE);
	reply_is(ph_client_ehlo_reply(c), 250, "peer");
	FAILS(ph_client_ehlo(c, "me you", NULL, &err), PH_EINPUT, PH_STAGE_HELLO);
	FAILS(ph_client_mail(c, "a@x.test>\r\nRSET", NULL, NULL, &err), PH_EINPUT, PH_STAGE_PREPARE);
	FAILS(ph_client_mail(c, "a@x.test", "SIZE=1\r\nRSET", NULL, &err), PH_EINPUT,
	      PH_STAGE_PREPARE);
	FAILS(ph_client_rcpt(c, "", NULL, NULL, &err), PH_EINPUT, PH_STAGE_PREPARE);
	FAILS(ph_client_vrfy(c, "x\nRSET", NULL, &err), PH_EINPUT, PH_STAGE_PREPARE);
	FAILS(ph_client_docmd(c, "NOOP\r", NULL, NULL, &err), PH_EINPUT, PH_STAGE_PREPARE);
	/* servers look over the space, and we would not know what it is: a secret, or TLS */
	FAILS(ph_client_docmd(c, " AUTH", "PLAIN c2VjcmV0", NULL, &err), PH_EINPUT, PH_STAGE_PREPARE);
	FAILS(ph_client_docmd(c, " STARTTLS", NULL, NULL, &err), PH_EINPUT, PH_STAGE_PREPARE);
	FAILS(ph_client_docmd(c, "", "STARTTLS", NULL, &err), PH_EINPUT, PH_STAGE_PREPARE);
	FAILS(ph_client_putcmd(c, "NOOP", "\x01", &err), PH_EINPUT, PH_STAGE_PREPARE);
	e.recipients = bad;
	FAILS(ph_client_sendmail(c, &e, hi, NULL, &err), PH_EINPUT, PH_STAGE_PREPARE);
	assert_int_equal(ph_client_pending(c), 0);
	OK(ph_client_noop(c, NULL, &err));
	ph_client_free(c);
	finish(p);
}

static void
helo_is_tried_only_when_ehlo_is_not_known(void **state)
{
	struct peer *p = start(SCRIPT(
		">220 peer", "<EHLO", ">502 5.5.1 what?", "<HELO me.test", ">250 peer", "$", "|",
		">220 peer", "<EHLO", ">550 5.7.1 go away", "$", "|",
		">220 peer", "<EHLO", ">451 4.3.0 later", "$"));
	struct ph_client *c = CLIENT(p, .tls = OFF);

	(void)state;
	OK(ph_client_connect(c, NULL, &err));
	OK(ph_client_ehlo_or_helo_if_needed(c, &err));
	OK(ph_client_ehlo_or_helo_if_needed(c, &err));
	reply_is(ph_client_ehlo_reply(c), 250, "peer");
	OK(ph_client_connect(c, NULL, &err));
	FAILS(ph_client_mail(c, "a@x.test", NULL, NULL, &err), PH_EREFUSED, PH_STAGE_HELLO);
	OK(ph_client_connect(c, NULL, &err));
	FAILS(ph_client_ehlo_or_helo_if_needed(c, &err), PH_EDEFERRED, PH_STAGE_HELLO);
	ph_client_free(c);
	finish(p);
}

static void
commands_can_be_put_ahead_of_their_replies(void **state)
{
	struct peer *p = start(SCRIPT(GREET, "<MAIL FROM:<a@x.test>", "<RCPT TO:<b@x.test>", "<DATA",
	                              ">250 one", ">550 5.1.1 two", ">503 three", "<NOOP", ">250 four",
	                              "$"));
	struct ph_client *c = CLIENT(p, .tls = OFF);
	const struct ph_reply *r = NULL;

	(void)state;
	OK(ph_client_connect(c, NULL, &err));
	OK(ph_client_ehlo(c, NULL, NULL, &err));
	OK(ph_client_putcmd(c, "MAIL", "FROM:<a@x.test>", &err));
	OK(ph_client_putcmd(c, "RCPT", "TO:<b@x.test>", &err));
	OK(ph_client_putcmd(c, "DATA", NULL, &err));
	OK(ph_client_getreply(c, &r, &err));
	reply_is(r, 250, "one");
	FAILS(ph_client_getreply(c, &r, &err), PH_EREFUSED, PH_STAGE_RCPT);
	reply_is(r, 550, "5.1.1 two");
	FAILS(ph_client_getreply(c, &r, &err), PH_EREFUSED, PH_STAGE_DATA);
	OK(ph_client_docmd(c, "NOOP", NULL, &r, &err));
	reply_is(r, 250, "four");
	ph_client_free(c);
	finish(p);
}

static void
octets_can_be_sent_as_they_are(void **state)
{
	struct peer *p = start(SCRIPT(GREET, "<XONE two", "<NOOP", ">250 a", ">250 b", "$"));
	struct ph_client *c = CLIENT(p, .tls = OFF);
	const struct ph_reply *r = NULL;

	(void)state;
	OK(ph_client_connect(c, NULL, &err));
	OK(ph_client_ehlo(c, NULL, NULL, &err));
	OK(ph_client_send(c, "XONE two\r\nNOOP\n", 15, &err));
	OK(ph_client_getreply(c, &r, &err));
	reply_is(r, 250, "a");
	OK(ph_client_getreply(c, &r, &err));
	reply_is(r, 250, "b");
	ph_client_free(c);
	finish(p);
}

static void
lmtp_has_a_reply_for_each_recipient(void **state)
{
	struct peer *p = start(SCRIPT(
		">220 peer", "<LHLO", ">250 peer", "<MAIL", ">250 ok", "<RCPT", ">250 ok", "<RCPT",
		">550 5.1.1 no", "<RCPT", ">250 ok", TAIL, ">250 2.0.0 first", ">452 4.2.2 third",
		"<MAIL", ">250 ok", "<RCPT", ">250 ok", TAIL, ">250 again", "$"));
	struct ph_client *c = new_client((struct ph_client_opts){ .server = url_of(p, "lmtp"),
	                                                          .tls = OFF });
	const struct ph_reply *r = NULL;

	(void)state;
	OK(ph_client_connect(c, NULL, &err));
	OK(ph_client_mail(c, "a@x.test", NULL, NULL, &err));
	OK(ph_client_rcpt(c, "b@x.test", NULL, NULL, &err));
	FAILS(ph_client_rcpt(c, "c@x.test", NULL, NULL, &err), PH_EREFUSED, PH_STAGE_RCPT);
	OK(ph_client_rcpt(c, "d@x.test", NULL, NULL, &err));
	OK(ph_client_data(c, hi, PH_LINE_ENDS_NORMALISE, &r, &err));
	reply_is(r, 250, "2.0.0 first");
	FAILS(ph_client_data(c, hi, PH_LINE_ENDS_NORMALISE, &r, &err), PH_EUSAGE, PH_STAGE_PREPARE);
	FAILS(ph_client_noop(c, &r, &err), PH_EUSAGE, PH_STAGE_PREPARE);
	FAILS(ph_client_getreply(c, &r, &err), PH_EDEFERRED, PH_STAGE_BODY);
	reply_is(r, 452, "4.2.2 third");
	OK(ph_client_mail(c, "a@x.test", NULL, NULL, &err));
	OK(ph_client_rcpt(c, "b@x.test", NULL, NULL, &err));
	OK(ph_client_data(c, hi, PH_LINE_ENDS_NORMALISE, &r, &err));
	ph_client_free(c);
	finish(p);
}

static void
messages_by_hand_and_whole_ones_share_a_connection(void **state)
{
	struct peer *p = start(SCRIPT(
		GREET, HEAD, "<DATA", ">451 4.3.0 later", "<DATA", ">354 go on", ".", ">250 by hand",
		"<DATA", ">503 5.5.1 nothing to send", ONE, "<NOOP", ">250 ok",
		HEAD, TAIL, ">250 by hand", "<QUIT", ">221 bye"));
	struct ph_client *c = CLIENT(p, .tls = OFF);
	const struct ph_reply *r = NULL;

	(void)state;
	OK(ph_client_connect(c, NULL, &err));
	OK(ph_client_mail(c, "a@x.test", NULL, NULL, &err));
	OK(ph_client_rcpt(c, "b@x.test", NULL, NULL, &err));
	FAILS(ph_client_data(c, hi, PH_LINE_ENDS_NORMALISE, &r, &err), PH_EDEFERRED, PH_STAGE_DATA);
	OK(ph_client_data(c, hi, PH_LINE_ENDS_NORMALISE, &r, &err));
	FAILS(ph_client_data(c, hi, PH_LINE_ENDS_NORMALISE, &r, &err), PH_EREFUSED, PH_STAGE_DATA);
	assert_int_equal(send_one(c, NULL), PH_OK);
	OK(ph_client_noop(c, NULL, &err));
	OK(ph_client_mail(c, "a@x.test", NULL, NULL, &err));
	OK(ph_client_rcpt(c, "b@x.test", NULL, NULL, &err));
	OK(ph_client_data(c, hi, PH_LINE_ENDS_NORMALISE, &r, &err));
	OK(ph_client_quit(c, NULL, &err));
	ph_client_free(c);
	finish(p);
}

static void
an_envelope_by_hand_is_reset_before_a_whole_message(void **state)
{
	struct peer *p = start(SCRIPT(GREET, "<MAIL FROM:<z@x.test>", ">250 ok", "<RSET", ">250 ok",
	                              ONE, "$"));
	struct ph_client *c = CLIENT(p, .tls = OFF);

	(void)state;
	OK(ph_client_connect(c, NULL, &err));
	OK(ph_client_mail(c, "z@x.test", NULL, NULL, &err));
	assert_int_equal(send_one(c, NULL), PH_OK);
	ph_client_free(c);
	finish(p);
}

static void
a_message_by_hand_that_dies_says_whether_it_is_in_doubt(void **state)
{
	struct peer *p = start(SCRIPT(GREET, HEAD, TAIL, "!", "|", GREET, HEAD, "<DATA", "!", "|",
	                              GREET, HEAD, "<DATA", ">354 go on", "$"));
	struct ph_client *c = CLIENT(p, .tls = OFF);
	struct ph_source *bad;

	(void)state;
	for (int i = 0; i < 3; i++) {
		OK(ph_client_connect(c, NULL, &err));
		OK(ph_client_mail(c, "a@x.test", NULL, NULL, &err));
		OK(ph_client_rcpt(c, "b@x.test", NULL, NULL, &err));
		if (i == 0)
			FAILS(ph_client_data(c, hi, PH_LINE_ENDS_NORMALISE, NULL, &err), PH_EINDOUBT,
			      PH_STAGE_BODY);
		if (i == 1)
			FAILS(ph_client_data(c, hi, PH_LINE_ENDS_NORMALISE, NULL, &err), PH_EDEFERRED,
			      PH_STAGE_DATA);
		if (i == 2) {
			assert_int_equal(ph_source_new_memory(&bad, "a\nb", 3, NULL), PH_OK);
			FAILS(ph_client_data(c, bad, PH_LINE_ENDS_STRICT, NULL, &err), PH_EINPUT,
			      PH_STAGE_BODY);
			ph_source_free(bad);
		}
		assert_false(ph_client_is_connected(c));
		FAILS(ph_client_noop(c, NULL, &err), PH_EUSAGE, PH_STAGE_PREPARE);
	}
	ph_client_free(c);
	finish(p);
}

static void
a_421_ends_the_connection_and_is_told(void **state)
{
	struct peer *p = start(SCRIPT(GREET, "<NOOP", ">421 4.3.2 going down", "!", "|",
	                              GREET, HEAD, "<DATA", ">421 4.3.2 going down", "!", "|",
	                              ">421 4.3.2 not now", "$"));
	struct ph_client *c = CLIENT(p, .tls = OFF);
	const struct ph_reply *r = NULL;

	(void)state;
	OK(ph_client_connect(c, NULL, &err));
	OK(ph_client_ehlo(c, NULL, NULL, &err));
	FAILS(ph_client_noop(c, &r, &err), PH_EDEFERRED, PH_STAGE_HELLO);
	reply_is(r, 421, "4.3.2 going down");
	assert_false(ph_client_is_connected(c));
	FAILS(ph_client_noop(c, &r, &err), PH_EDEFERRED, PH_STAGE_HELLO);
	FAILS(ph_client_noop(c, &r, &err), PH_EUSAGE, PH_STAGE_PREPARE);
	OK(ph_client_connect(c, NULL, &err));
	OK(ph_client_mail(c, "a@x.test", NULL, NULL, &err));
	OK(ph_client_rcpt(c, "b@x.test", NULL, NULL, &err));
	FAILS(ph_client_data(c, hi, PH_LINE_ENDS_NORMALISE, &r, &err), PH_EDEFERRED, PH_STAGE_DATA);
	FAILS(ph_client_connect(c, &r, &err), PH_EDEFERRED, PH_STAGE_GREETING);
	reply_is(r, 421, "4.3.2 not now");
	ph_client_free(c);
	finish(p);
}

static void
a_refused_greeting_is_given_and_closes(void **state)
{
	struct peer *p = start(SCRIPT(">554 5.3.2 no mail here", "<QUIT", "$"));
	struct ph_client *c = CLIENT(p, .tls = OFF);
	const struct ph_reply *r = NULL;

	(void)state;
	FAILS(ph_client_connect(c, &r, &err), PH_EREFUSED, PH_STAGE_GREETING);
	reply_is(r, 554, "5.3.2 no mail here");
	assert_false(ph_client_is_connected(c));
	ph_client_free(c);
	finish(p);
}

static void
a_silent_server_is_given_up_in_time(void **state)
{
	struct peer *p = start(SCRIPT(GREET, "<NOOP", "$", "|", "$"));
	struct ph_client *c = CLIENT(p, .tls = OFF, .timeout_ms = 150);

	(void)state;
	OK(ph_client_connect(c, NULL, &err));
	OK(ph_client_ehlo(c, NULL, NULL, &err));
	FAILS(ph_client_noop(c, NULL, &err), PH_EDEFERRED, PH_STAGE_HELLO);
	assert_false(ph_client_is_connected(c));
	{
		struct ph_error err = PH_ERROR_INIT;

		assert_int_equal(ph_client_connect(c, NULL, &err), PH_EDEFERRED);
		assert_int_equal(err.cause, PH_CAUSE_TIMEOUT);
		assert_int_equal(err.stage, PH_STAGE_GREETING);
		assert_non_null(strstr(err.hint, "smtps://"));
	}
	ph_client_free(c);
	finish(p);
}

/* By hand and whole: the hint comes with the error, whoever spoke the command. */
static void
refusals_bring_a_hint(void **state)
{
	struct peer *p = start(SCRIPT(GREET, "<MAIL", ">553 Mail from must equal authorized user",
	                              "<EXPN", ">550 5.7.1 no", "<QUIT",
	                              "$", "|", ">220 peer", "<EHLO", ">501 5.5.4 Invalid domain name",
	                              "<HELO", ">501 5.5.4 Invalid domain name", "<QUIT", "$", "|",
	                              GREET, "<MAIL", ">250 ok", "<RCPT", ">550 5.1.1 who?", "<QUIT", "$"));
	struct ph_client *c = CLIENT(p, .tls = OFF, .no_pipelining = true);
	struct ph_error why = PH_ERROR_INIT;
	const struct ph_record *r = NULL;
	struct ph_envelope e = envelope();

	(void)state;
	OK(ph_client_connect(c, NULL, &err));
	assert_int_equal(ph_client_mail(c, "a@x.test", NULL, NULL, &why), PH_EREFUSED);
	assert_non_null(strstr(why.hint, "the account that logged in"));
	assert_int_equal(ph_client_expn(c, "all", NULL, &why), PH_EREFUSED);
	assert_string_equal(why.hint, ""); /* of EHLO there was no talk */
	ph_client_leave(c);
	assert_int_equal(ph_client_open(c, &why), PH_EREFUSED);
	assert_non_null(strstr(why.hint, "--helo"));
	assert_int_equal(ph_client_sendmail(c, &e, hi, &r, &why), PH_ENOUSER);
	assert_non_null(strstr(why.hint, "no such mailbox"));
	assert_string_equal(ph_record_error(r)->hint, why.hint);
	ph_client_leave(c);
	ph_client_free(c);
	finish(p);
}

/* ---- TLS ------------------------------------------------------------------------------------- */

static void
starttls_forgets_and_verifies(void **state)
{
	struct peer *p = start(SCRIPT(
		">220 peer", "<EHLO", ">250-peer", ">250-SIZE 7", ">250 STARTTLS", "<STARTTLS", ">220 go",
		"~", "<EHLO", ">250-peer", ">250 STARTTLS", "<NOOP", ">250 ok", "<QUIT", ">221 bye"));
	struct ph_client *c = CLIENT(p, .tls = &(const struct ph_tls_opts){ PH_TLS_OPTS_INIT,
	                                         .ca_file = rig_ca_path });

	(void)state;
	OK(ph_client_connect(c, NULL, &err));
	assert_null(ph_client_tls_facts(c));
	OK(ph_client_starttls(c, NULL, &err));
	assert_true(ph_client_tls_facts(c)->verified);
	assert_false(ph_client_has_extn(c, "SIZE", NULL));
	assert_null(ph_client_ehlo_reply(c));
	OK(ph_client_ehlo(c, NULL, NULL, &err));
	FAILS(ph_client_starttls(c, NULL, &err), PH_EUSAGE, PH_STAGE_STARTTLS);
	OK(ph_client_noop(c, NULL, &err));
	OK(ph_client_quit(c, NULL, &err));
	ph_client_free(c);
	finish(p);
}

static void
starttls_is_refused_where_it_cannot_be(void **state)
{
	struct peer *p = start(SCRIPT(
		GREET, "$", "|",
		">220 peer", "<EHLO", ">250-peer", ">250 STARTTLS", "<STARTTLS", ">454 4.7.0 later",
		"<STARTTLS", ">250 what?", "<NOOP", ">250 ok", "$", "|",
		">220 peer", "<EHLO", ">250-peer", ">250 STARTTLS", "<STARTTLS", ">220 go", "~", "|",
		">220 peer", "<EHLO", ">250-peer", ">250 STARTTLS", "<STARTTLS",
		"=220 go\r\n250 injected\r\n", "$"));
	struct ph_client *c = new_client((struct ph_client_opts){ .server = url_of(p, "submission") });

	(void)state;
	OK(ph_client_connect(c, NULL, &err));
	FAILS(ph_client_starttls(c, NULL, &err), PH_ESECURITY, PH_STAGE_STARTTLS);
	OK(ph_client_connect(c, NULL, &err));
	FAILS(ph_client_starttls(c, NULL, &err), PH_EDEFERRED, PH_STAGE_STARTTLS);
	FAILS(ph_client_starttls(c, NULL, &err), PH_EPROTOCOL, PH_STAGE_STARTTLS);
	OK(ph_client_noop(c, NULL, &err));
	OK(ph_client_connect(c, NULL, &err)); /* an authority that nobody here knows */
	FAILS(ph_client_starttls(c, NULL, &err), PH_ESECURITY, PH_STAGE_TLS);
	assert_false(ph_client_is_connected(c));
	OK(ph_client_connect(c, NULL, &err));
	FAILS(ph_client_starttls(c, NULL, &err), PH_ESECURITY, PH_STAGE_STARTTLS);
	assert_false(ph_client_is_connected(c));
	ph_client_free(c);
	finish(p);
}

static void
a_delivery_takes_tls_and_a_login_as_the_options_ask(void **state)
{
	struct peer *p = start(SCRIPT("~", ">220 peer", "@"));
	struct ph_client *c = new_client((struct ph_client_opts){ .server = url_of(p, "smtps"),
		.credentials = BOB, .tls = &(const struct ph_tls_opts){ PH_TLS_OPTS_INIT,
		                                                        .ca_file = rig_ca_path } });
	const struct ph_record *r = NULL;
	char *json;

	(void)state;
	p->mind.ehlo = "250-peer\r\n250 AUTH PLAIN LOGIN\r\n";
	assert_int_equal(send_one(c, &r), PH_OK);
	json = ph_record_json(r);
	assert_non_null(strstr(json, "\"mode\":\"implicit\""));
	assert_non_null(strstr(json, "\"verified\":true"));
	assert_non_null(strstr(json, "\"auth\":{\"mechanism\":\"PLAIN\"}"));
	assert_non_null(strstr(json, "\"extensions\":{\"AUTH\":\"PLAIN LOGIN\"}"));
	ph_record_free_json(r, json);
	OK(ph_client_quit(c, NULL, &err));
	ph_client_free(c);
	assert_non_null(strstr(p->mind.log, "AUTH PLAIN AGJvYgBwdw==\n"));
	assert_string_equal(p->mind.body, HI);
	finish(p);
}

#define RECORD(...) (&(const struct ph_tls_opts){ PH_TLS_OPTS_INIT, .record_only = true, __VA_ARGS__ })
#define OFFER ">250-peer", ">250-STARTTLS", ">250 AUTH PLAIN"

static void
what_is_only_recorded_goes_on_without_credentials(void **state)
{
	struct peer *p = start(SCRIPT(
		">220 peer", "<EHLO", OFFER, "<STARTTLS", ">220 go", "~", "<EHLO", OFFER, "<NOOP", ">250 ok",
		"$", "|",
		">220 peer", "<EHLO", OFFER, "<STARTTLS", ">220 go", "~", "<EHLO", OFFER, "<QUIT", "$", "|",
		">220 peer", "<EHLO", OFFER, "<STARTTLS", ">220 go", "~", "<EHLO", OFFER,
		"<AUTH", ">235 in", "$"));
	struct ph_client *c = CLIENT(p, .tls = RECORD(0));
	struct ph_certificate cert = PH_CERTIFICATE_INIT;

	(void)state;
	OK(ph_client_connect(c, NULL, &err));
	assert_false(ph_client_certificate(c, 0, &cert));
	OK(ph_client_starttls(c, NULL, &err));
	assert_false(ph_client_tls_facts(c)->verified);
	assert_non_null(strstr(ph_client_tls_facts(c)->problem, "not signed by a trusted authority"));
	assert_true(ph_client_tls_facts(c)->group[0] != '\0');
	assert_true(ph_client_certificate(c, 0, &cert));
	assert_string_equal(cert.subject, "CN=good");
	assert_int_equal(cert.name_count, 2);
	assert_string_equal(cert.names[0], "mx.test");
	assert_string_equal(cert.names[1], "127.0.0.1");
	assert_false(ph_client_certificate(c, 1, &cert));
	OK(ph_client_ehlo(c, NULL, NULL, &err));
	FAILS(ph_client_login(c, BOB, NULL, &err), PH_ESECURITY, PH_STAGE_AUTH);
	OK(ph_client_noop(c, NULL, &err));
	ph_client_close(c);
	assert_false(ph_client_certificate(c, 0, &cert));
	ph_client_free(c);
	c = CLIENT(p, .tls = RECORD(0), .credentials = BOB);
	assert_int_equal(send_one(c, NULL), PH_ESECURITY);
	ph_client_free(c);
	c = CLIENT(p, .tls = RECORD(.ca_file = rig_ca_path));
	OK(ph_client_connect(c, NULL, &err));
	OK(ph_client_starttls(c, NULL, &err));
	assert_true(ph_client_tls_facts(c)->verified);
	assert_string_equal(ph_client_tls_facts(c)->problem, "");
	OK(ph_client_ehlo(c, NULL, NULL, &err));
	OK(ph_client_login(c, BOB, NULL, &err));
	ph_client_free(c);
	finish(p);
}

static void
application_protocols_are_judged_before_there_is_a_network(void **state)
{
	const struct ph_tls_opts tls = { PH_TLS_OPTS_INIT, .alpn = "smtp,,x" };
	const struct ph_client_opts o = { PH_CLIENT_OPTS_INIT, .server = "smtp://mx.test", .tls = &tls };
	struct ph_client *c = NULL;

	(void)state;
	FAILS(ph_client_new(&c, &o, &err), PH_ECONFIG, PH_STAGE_PREPARE);
	assert_null(c);
}

static void
opportunistic_tls_falls_back_once_on_a_new_connection(void **state)
{
	struct peer *p = start(SCRIPT(
		">220 peer", "<EHLO", ">250-peer", ">250 STARTTLS", "<STARTTLS", ">220 go", "z100", "=garbage", "$",
		"|", ">220 peer", "<EHLO", ">250-peer", ">250 STARTTLS", ONE, "$"));
	struct ph_client *c = CLIENT(p, .tls = &(const struct ph_tls_opts){ PH_TLS_OPTS_INIT,
	                                         .mode = PH_TLS_OPPORTUNISTIC });
	const struct ph_record *r = NULL;
	char *json;

	(void)state;
	assert_int_equal(send_one(c, &r), PH_OK);
	json = ph_record_json(r);
	assert_non_null(strstr(json, "\"mode\":\"none\""));
	assert_non_null(strstr(json, "\"policy\":\"opportunistic\""));
	ph_record_free_json(r, json);
	ph_client_free(c);
	finish(p);
}

static void
opportunistic_tls_does_not_fall_back_from_an_attack_or_a_421(void **state)
{
	struct peer *p = start(SCRIPT(
		">220 peer", "<EHLO", ">250-peer", ">250 STARTTLS", "<STARTTLS",
		"=220 go\r\n250 injected\r\n", "$", "|",
		">220 peer", "<EHLO", ">250-peer", ">250 STARTTLS", "<STARTTLS", ">421 4.3.2 down", "!", "|",
		">220 peer", "<EHLO", ">250-peer", ">250 STARTTLS", "<STARTTLS", ">454 4.7.0 no", ONE, "$"));
	struct ph_client *c = CLIENT(p, .tls = &(const struct ph_tls_opts){ PH_TLS_OPTS_INIT,
	                                         .mode = PH_TLS_OPPORTUNISTIC });

	(void)state;
	assert_int_equal(send_one(c, NULL), PH_ESECURITY);
	assert_int_equal(send_one(c, NULL), PH_EDEFERRED);
	assert_int_equal(send_one(c, NULL), PH_OK);
	ph_client_free(c);
	finish(p);
}

static void
the_local_relay_is_believed_without_a_certificate(void **state)
{
	struct peer *p = start(SCRIPT(">220 peer", "@", "|", ">220 peer", "<EHLO", ">250-peer",
	                              ">250 STARTTLS", "<STARTTLS", ">421 4.3.2 down", "!"));
	struct ph_client *c = CLIENT(p, .tls = NULL);

	(void)state;
	p->mind.ehlo = "250-peer\r\n250 STARTTLS\r\n";
	assert_int_equal(send_one(c, NULL), PH_OK);
	assert_false(ph_client_tls_facts(c)->verified);
	FAILS(ph_client_login(c, BOB, NULL, &err), PH_ESECURITY, PH_STAGE_AUTH);
	assert_int_equal(send_one(c, NULL), PH_OK); /* the refusal has changed nothing */
	OK(ph_client_quit(c, NULL, &err));
	assert_int_equal(send_one(c, NULL), PH_EDEFERRED);
	ph_client_free(c);
	finish(p);
}

static void
a_link_that_is_not_secured_carries_no_message(void **state)
{
	struct peer *p = start(SCRIPT(GREET, "<QUIT", "$", "|", ">220 peer", "<EHLO", ">250-peer",
	                              ">250 STARTTLS", "<STARTTLS", ">220 go", "~", "$", "|",
	                              ">220 peer", "<EHLO", ">502 what?", "<QUIT", "$"));
	struct ph_client *c = new_client((struct ph_client_opts){ .server = url_of(p, "submission") });
	const struct ph_record *r = NULL;

	(void)state;
	assert_int_equal(send_one(c, &r), PH_ESECURITY);
	assert_int_equal(ph_record_exit_status(r), 78);
	assert_int_equal(ph_record_recipient(r, 0)->outcome, PH_DEFERRED);
	assert_int_equal(ph_record_error(r)->stage, PH_STAGE_STARTTLS);
	assert_int_equal(send_one(c, &r), PH_ESECURITY);
	assert_int_equal(ph_record_error(r)->stage, PH_STAGE_TLS);
	assert_int_equal(send_one(c, &r), PH_EREFUSED);
	ph_client_free(c);
	finish(p);
}

/* ---- login ----------------------------------------------------------------------------------- */

static void
a_login_tries_the_next_mechanism_but_not_the_next_password(void **state)
{
	struct peer *p = start(SCRIPT(
		">220 peer", "<EHLO", ">250-peer", ">250 AUTH PLAIN LOGIN", "<AUTH PLAIN AGJvYgBwdw==",
		">504 5.5.4 not this", "<AUTH LOGIN", ">334 VXNlcm5hbWU6", "<Ym9i", ">334 UGFzc3dvcmQ6",
		"<cHc=", ">235 2.7.0 in", "$", "|",
		">220 peer", "<EHLO", ">250-peer", ">250 AUTH PLAIN LOGIN", "<AUTH PLAIN",
		">535 5.7.8 wrong", "<NOOP", ">250 ok", "$", "|",
		">220 peer", "<EHLO", ">250-peer", ">250 AUTH GSSAPI", "$", "|",
		">220 peer", "<EHLO", ">250-peer", ">250 AUTH PLAIN", "<AUTH PLAIN", ">504 5.5.4 no", "$"));
	struct ph_client *c = CLIENT(p, .tls = OFF);
	const struct ph_reply *r = NULL;

	(void)state;
	OK(ph_client_connect(c, NULL, &err));
	FAILS(ph_client_login(c, NULL, NULL, &err), PH_EUSAGE, PH_STAGE_AUTH);
	OK(ph_client_login(c, BOB, &r, &err));
	reply_is(r, 235, "2.7.0 in");
	OK(ph_client_connect(c, NULL, &err));
	FAILS(ph_client_login(c, BOB, &r, &err), PH_EAUTH, PH_STAGE_AUTH);
	reply_is(r, 535, "5.7.8 wrong");
	OK(ph_client_noop(c, NULL, &err));
	OK(ph_client_connect(c, NULL, &err));
	FAILS(ph_client_login(c, BOB, &r, &err), PH_EAUTH, PH_STAGE_AUTH);
	OK(ph_client_connect(c, NULL, &err));
	FAILS(ph_client_login(c, BOB, &r, &err), PH_EAUTH, PH_STAGE_AUTH);
	ph_client_free(c);
	finish(p);
}

/* A mechanism that answers two challenges and then fails, if told to. */
struct custom {
	unsigned step, fails_at;
	enum ph_code code;
};

static enum ph_code
custom_step(void *user, const void *challenge, size_t n, const void **response, size_t *len,
            struct ph_error *err)
{
	struct custom *m = user;

	(void)err;
	if (++m->step == m->fails_at)
		return m->code;
	if (challenge == NULL) {
		assert_int_equal(m->step, 1);
		return PH_OK;
	}
	if (m->step == 2)
		assert_int_equal(n, 0);
	else
		assert_memory_equal(challenge, "more", 4);
	*response = m->step == 2 ? "hello" : "";
	*len = m->step == 2 ? 5 : 0;
	return PH_OK;
}

static void
a_callers_mechanism_may_speak_and_may_give_up(void **state)
{
	struct peer *p = start(SCRIPT(
		GREET, "<AUTH X-MINE", ">334", "<aGVsbG8=", ">334 bW9yZQ==", "<", ">235 in",
		"<AUTH X-MINE", ">334", "<aGVsbG8=", ">334 bW9yZQ==", "<*", ">501 cancelled",
		"<NOOP", ">250 ok", "<AUTH X-MINE", ">334 %%%", "<*", ">501 cancelled",
		"<AUTH X-MINE", ">334", "<*", "!"));
	struct ph_client *c = CLIENT(p, .tls = OFF);
	struct custom mine = { 0, 0, PH_OK };
	struct ph_mechanism m = { PH_MECHANISM_INIT, "X-MINE", custom_step, &mine };
	const struct ph_reply *r = NULL;

	(void)state;
	OK(ph_client_connect(c, NULL, &err));
	OK(ph_client_auth(c, &m, &r, &err));
	reply_is(r, 235, "in");
	mine = (struct custom){ 0, 3, PH_ECANCELLED };
	FAILS(ph_client_auth(c, &m, &r, &err), PH_ECANCELLED, PH_STAGE_AUTH);
	OK(ph_client_noop(c, NULL, &err));
	mine = (struct custom){ 0, 1, PH_ENOINPUT };
	FAILS(ph_client_auth(c, &m, &r, &err), PH_ENOINPUT, PH_STAGE_AUTH);
	mine = (struct custom){ 0, 0, PH_OK };
	FAILS(ph_client_auth(c, &m, &r, &err), PH_EPROTOCOL, PH_STAGE_AUTH);
	mine = (struct custom){ 0, 2, PH_ECANCELLED };
	FAILS(ph_client_auth(c, &m, &r, &err), PH_ECANCELLED, PH_STAGE_AUTH);
	assert_false(ph_client_is_connected(c));
	ph_client_free(c);
	finish(p);
}

static void
credentials_do_not_cross_a_link_that_may_be_read(void **state)
{
	struct peer *p = start(SCRIPT(">220 peer", "<EHLO", ">250-peer", ">250 AUTH PLAIN", "<NOOP",
	                              ">250 ok", "$", "|", ">220 peer", "<EHLO", ">250-peer",
	                              ">250 AUTH PLAIN", "<AUTH PLAIN", ">235 in", "$"));
	struct ph_client *c = new_client((struct ph_client_opts){ .server = url_of(p, "submission") });

	(void)state;
	OK(ph_client_connect(c, NULL, &err));
	FAILS(ph_client_login(c, BOB, NULL, &err), PH_ESECURITY, PH_STAGE_AUTH);
	OK(ph_client_noop(c, NULL, &err));
	ph_client_free(c);
	c = new_client((struct ph_client_opts){ .server = url_of(p, "submission"),
	                                        .allow_clear_auth = true });
	OK(ph_client_connect(c, NULL, &err));
	OK(ph_client_login(c, BOB, NULL, &err));
	ph_client_free(c);
	finish(p);
}

/* ---- transcripts ----------------------------------------------------------------------------- */

struct notes {
	char text[8192];
};

static void
note(void *user, const struct ph_trace *line)
{
	struct notes *n = user;
	size_t at = strlen(n->text);

	snprintf(n->text + at, sizeof n->text - at, "%c%s%.*s\n", line->direction,
	         line->refused ? "!" : "", (int)line->len, line->text);
}

static void
the_transcript_hides_a_login_by_hand(void **state)
{
	struct peer *p = start(SCRIPT(
		GREET, "<AUTH LOGIN", ">334 VXNlcm5hbWU6", "<c2VjcmV0MQ==", ">334 UGFzc3dvcmQ6",
		"<c2VjcmV0Mg==", ">235 in", "<AUTH PLAIN c2VjcmV0Mw==", ">535 no",
		"<auth plain c2VjcmV0NA==", ">535 no", "$"));
	struct notes notes = { "" };
	struct ph_client *c = CLIENT(p, .tls = OFF, .transcript = note, .transcript_user = &notes);
	const struct ph_reply *r = NULL;

	(void)state;
	OK(ph_client_connect(c, NULL, &err));
	OK(ph_client_ehlo(c, NULL, NULL, &err));
	OK(ph_client_docmd(c, "AUTH", "LOGIN", &r, &err));
	reply_is(r, 334, "VXNlcm5hbWU6");
	OK(ph_client_docmd(c, "c2VjcmV0MQ==", NULL, &r, &err));
	OK(ph_client_docmd(c, "c2VjcmV0Mg==", NULL, &r, &err));
	reply_is(r, 235, "in");
	FAILS(ph_client_docmd(c, "AUTH", "PLAIN c2VjcmV0Mw==", NULL, &err), PH_EREFUSED, PH_STAGE_AUTH);
	FAILS(ph_client_docmd(c, "auth plain c2VjcmV0NA==", NULL, NULL, &err), PH_EREFUSED,
	      PH_STAGE_AUTH);
	ph_client_free(c);
	assert_null(strstr(notes.text, "c2Vj"));
	assert_non_null(strstr(notes.text, ">AUTH LOGIN\n<334 VXNlcm5hbWU6\n>[hidden]\n"));
	assert_non_null(strstr(notes.text, ">AUTH PLAIN [hidden]\n<!535 no\n"));
	assert_non_null(strstr(notes.text, "*Connect"));
	finish(p);
}

static void
the_transcript_can_be_printed(void **state)
{
	struct peer *p = start(SCRIPT(">220 \x1b[2J", "<EHLO", ">250 peer", "<NOOP", ">500 no", "$"));
	char *text = NULL;
	size_t n = 0;
	struct ph_transcript to = { PH_TRANSCRIPT_INIT, .file = open_memstream(&text, &n) };
	struct ph_client *c = CLIENT(p, .tls = OFF, .transcript = ph_transcript_print,
	                             .transcript_user = &to);

	(void)state;
	OK(ph_client_connect(c, NULL, &err));
	OK(ph_client_ehlo(c, NULL, NULL, &err));
	FAILS(ph_client_noop(c, NULL, &err), PH_EREFUSED, PH_STAGE_HELLO);
	ph_client_free(c);
	fclose(to.file);
	assert_null(memchr(text, 0x1b, n));
	assert_non_null(strstr(text, "<-  220 \\x1B[2J\n -> EHLO me.test\n<-  250 peer\n"));
	assert_non_null(strstr(text, " -> NOOP\n<** 500 no\n"));
	free(text);
	finish(p);
}

/* ---- deliveries ------------------------------------------------------------------------------ */

static void
each_recipient_has_its_own_result(void **state)
{
	struct peer *p = start(SCRIPT(
		GREET, "<MAIL", ">250 ok", "<RCPT TO:<b@x.test>", ">250 2.1.5 ok", "<RCPT TO:<c@x.test>",
		">550 5.1.1 who?", "<RCPT TO:<d@x.test>", ">452 4.5.3 too many", TAIL,
		">250 2.0.0 Ok: queued as 4F2", "<MAIL", ">250 ok", "<RCPT TO:<d@x.test>",
		">452 4.5.3 too many", "$"));
	struct ph_client *c = CLIENT(p, .tls = OFF);
	const char *const to[] = { "b@x.test", "c@x.test", "d@x.test" };
	struct ph_envelope e = { PH_ENVELOPE_INIT, .from = "a@x.test", .recipients = to,
	                         .recipient_count = 3 };
	const struct ph_record *r = NULL;
	struct ph_error err = PH_ERROR_INIT;
	char id[16];

	(void)state;
	assert_int_equal(ph_client_sendmail(c, &e, hi, &r, &err), PH_EPARTIAL);
	assert_int_equal(ph_record_outcome(r), PH_PARTIAL);
	assert_int_equal(ph_record_exit_status(r), 69);
	assert_int_equal(ph_record_recipient(r, 0)->outcome, PH_ACCEPTED);
	assert_string_equal(ph_reply_remote_id(&ph_record_recipient(r, 0)->reply, id, sizeof id), "4F2");
	assert_int_equal(ph_record_recipient(r, 1)->code, PH_ENOUSER);
	assert_int_equal(ph_record_recipient(r, 2)->outcome, PH_DEFERRED);
	assert_int_equal(err.reply, 550);
	assert_int_equal(ph_record_bytes(r), 22);
	assert_string_equal(ph_record_from(r), "a@x.test");
	ph_client_free(c);
	finish(p);
}

static void
many_messages_go_over_one_connection_in_order(void **state)
{
	static const char *const offers[] = {
		"250 peer\r\n", "250-peer\r\n250 PIPELINING\r\n", "250-peer\r\n250 CHUNKING\r\n",
		"250-peer\r\n250-PIPELINING\r\n250 CHUNKING\r\n",
	};

	(void)state;
	for (size_t k = 0; k < COUNT(offers); k++) {
		struct peer *p = start(SCRIPT(">220 peer", "@"));
		struct ph_client *c = CLIENT(p, .tls = OFF);
		int numbers[40];

		p->mind.ehlo = offers[k];
		for (size_t i = 0; i < 40; i++) {
			submit(c, hi, &numbers[i]);
			assert_int_equal(ph_client_pending(c), i + 1);
		}
		for (size_t i = 0; i < 40; i++) {
			const struct ph_record *r = NULL;
			void *user = NULL;
			char id[16], wanted[16];

			OK(ph_client_next(c, &r, &user, &err));
			assert_ptr_equal(user, &numbers[i]);
			snprintf(wanted, sizeof wanted, "M%zu", i + 1);
			assert_string_equal(ph_reply_remote_id(&ph_record_recipient(r, 0)->reply, id,
			                                       sizeof id), wanted);
		}
		assert_int_equal(ph_client_pending(c), 0);
		FAILS(ph_client_next(c, NULL, NULL, &err), PH_EUSAGE, PH_STAGE_PREPARE);
		OK(ph_client_quit(c, NULL, &err));
		ph_client_free(c);
		assert_int_equal(p->mind.messages, 40);
		assert_int_equal(p->mind.body_len, 40 * strlen(HI));
		finish(p);
	}
}

static void
a_message_that_fails_leaves_the_others_alone(void **state)
{
	struct peer *p = start(SCRIPT(GREET, ONE, ONE, "$"));
	struct ph_client *c = CLIENT(p, .tls = OFF);
	struct ph_source *nul, *shut;
	int fd = open("/", O_RDONLY); /* a folder cannot be read */

	(void)state;
	assert_int_equal(ph_source_new_memory(&nul, "a\0b\r\n", 5, NULL), PH_OK);
	assert_int_equal(ph_source_new_pipe(&shut, fd, NULL), PH_OK);
	submit(c, hi, NULL);
	submit(c, nul, NULL);
	submit(c, shut, NULL);
	submit(c, hi, NULL);
	assert_int_equal(ph_client_next(c, NULL, NULL, NULL), PH_OK);
	FAILS(ph_client_next(c, NULL, NULL, &err), PH_EINPUT, PH_STAGE_PREPARE);
	FAILS(ph_client_next(c, NULL, NULL, &err), PH_ENOINPUT, PH_STAGE_PREPARE);
	assert_int_equal(ph_client_next(c, NULL, NULL, NULL), PH_OK);
	ph_client_free(c);
	ph_source_free(nul);
	ph_source_free(shut);
	close(fd);
	finish(p);
}

static void
sendmail_does_not_overtake_what_was_submitted(void **state)
{
	struct peer *p = start(SCRIPT(GREET, ONE, "$"));
	struct ph_client *c = CLIENT(p, .tls = OFF);
	struct ph_envelope e = envelope();

	(void)state;
	submit(c, hi, NULL);
	FAILS(ph_client_sendmail(c, &e, hi, NULL, &err), PH_EUSAGE, PH_STAGE_PREPARE);
	OK(ph_client_next(c, NULL, NULL, &err));
	ph_client_free(c);
	finish(p);
}

static void
commands_between_deliveries_do_not_lose_one(void **state)
{
	struct peer *p = start(SCRIPT(">220 peer", "<EHLO", ">250-peer", ">250 PIPELINING", HEAD, TAIL,
	                              ">250 one", HEAD, TAIL, ">250 two", "<NOOP", ">250 ok", "$"));
	struct ph_client *c = CLIENT(p, .tls = OFF);

	(void)state;
	submit(c, hi, NULL);
	submit(c, hi, NULL);
	OK(ph_client_next(c, NULL, NULL, &err));
	/* the second is under way; until it is over, no command fits in */
	while (ph_client_noop(c, NULL, NULL) == PH_EUSAGE)
		OK(ph_client_next(c, NULL, NULL, &err));
	if (ph_client_pending(c) != 0)
		OK(ph_client_next(c, NULL, NULL, &err));
	FAILS(ph_client_next(c, NULL, NULL, &err), PH_EUSAGE, PH_STAGE_PREPARE);
	ph_client_free(c);
	finish(p);
}

/* ---- connections that end -------------------------------------------------------------------- */

static void
a_connection_closed_while_idle_is_replaced(void **state)
{
	struct peer *p = start(SCRIPT(GREET, ONE, ">421 4.4.2 idle for too long", "!", "|", GREET, ONE,
	                              "!", "|", GREET, ONE, "$"));
	struct ph_client *c = CLIENT(p, .tls = OFF);
	const struct ph_record *r = NULL;

	(void)state;
	assert_int_equal(send_one(c, NULL), PH_OK);
	await_end(c);
	assert_int_equal(send_one(c, &r), PH_OK);
	await_end(c);
	assert_int_equal(send_one(c, &r), PH_OK);
	ph_client_free(c);
	assert_int_equal(p->connections, 3);
	finish(p);
}

static void
a_connection_that_dies_at_mail_is_replaced_once(void **state)
{
	struct peer *p = start(SCRIPT(GREET, ONE, "<MAIL", "!", "|", GREET, ONE, "<MAIL", "!", "|",
	                              GREET, "<MAIL", "!", "|", GREET, ONE, "$"));
	struct ph_client *c = CLIENT(p, .tls = OFF);
	const struct ph_record *r = NULL;
	char *json;

	(void)state;
	assert_int_equal(send_one(c, NULL), PH_OK);
	assert_int_equal(send_one(c, &r), PH_OK);
	json = ph_record_json(r);
	assert_non_null(strstr(json, "\"session\":1,"));
	assert_non_null(strstr(json, "\"cause\":\"lost\"")); /* the first session's */
	ph_record_free_json(r, json);
	assert_int_equal(send_one(c, &r), PH_EDEFERRED); /* on a fresh one it counts */
	assert_int_equal(ph_record_error(r)->stage, PH_STAGE_MAIL);
	assert_int_equal(ph_record_error(r)->cause, PH_CAUSE_LOST);
	assert_int_equal(send_one(c, &r), PH_OK);
	ph_client_free(c);
	finish(p);
}

static void
after_mail_was_answered_nothing_is_sent_twice(void **state)
{
	static const struct {
		const char *const script[24];
		enum ph_code code;
		enum ph_stage stage;
	} rows[] = {
		{ { GREET, ONE, "<MAIL", ">250 ok", "!" }, PH_EDEFERRED, PH_STAGE_RCPT },
		{ { GREET, ONE, HEAD, "<DATA", "!" }, PH_EDEFERRED, PH_STAGE_DATA },
		{ { GREET, ONE, HEAD, TAIL, "!" }, PH_EINDOUBT, PH_STAGE_BODY },
		{ { GREET, ONE, HEAD, TAIL, "x" }, PH_EINDOUBT, PH_STAGE_BODY },
		{ { GREET, ONE, HEAD, TAIL, ">354 what?", "$" }, PH_EINDOUBT, PH_STAGE_BODY },
		{ { GREET, ONE, HEAD, TAIL, ">garbage", "$" }, PH_EINDOUBT, PH_STAGE_BODY },
		{ { GREET, ONE, HEAD, TAIL, ">421 4.3.2 down", "!" }, PH_EDEFERRED, PH_STAGE_BODY },
		{ { GREET, ONE, "<MAIL", ">421 4.3.2 down", "!" }, PH_EDEFERRED, PH_STAGE_MAIL },
		{ { GREET, ONE, "<MAIL", ">garbage", "$" }, PH_EPROTOCOL, PH_STAGE_MAIL },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct peer *p = start(rows[i].script);
		struct ph_client *c = CLIENT(p, .tls = OFF);
		const struct ph_record *r = NULL;
		enum ph_code rc;

		assert_int_equal(send_one(c, NULL), PH_OK);
		rc = send_one(c, &r);
		if (rc != rows[i].code || ph_record_error(r)->stage != rows[i].stage)
			fail_msg("row %zu: %s at %s: %s", i, ph_code_name(rc),
			         ph_stage_name(ph_record_error(r)->stage), ph_record_error(r)->text);
		ph_client_free(c);
		assert_int_equal(p->connections, 1);
		finish(p);
	}
}

static void
messages_behind_a_lost_one_go_out_on_the_next_connection(void **state)
{
	struct peer *p = start(SCRIPT(GREET, "<MAIL", ">250 ok", "!", "|", GREET, ONE, ONE, "$"));
	struct ph_client *c = CLIENT(p, .tls = OFF);

	(void)state;
	for (int i = 0; i < 3; i++)
		submit(c, hi, NULL);
	FAILS(ph_client_next(c, NULL, NULL, &err), PH_EDEFERRED, PH_STAGE_RCPT);
	OK(ph_client_next(c, NULL, NULL, &err));
	OK(ph_client_next(c, NULL, NULL, &err));
	ph_client_free(c);
	finish(p);
}

static void
a_server_of_one_message_a_connection_gets_them_all(void **state)
{
	struct peer *p = start(SCRIPT(
		">220 peer", "<EHLO", ">250-peer", ">250 PIPELINING", ONE, "!", "|",
		">220 peer", "<EHLO", ">250-peer", ">250 PIPELINING", ONE, "!", "|",
		">220 peer", "<EHLO", ">250-peer", ">250 PIPELINING", ONE, "!", "|",
		">220 peer", "<EHLO", ">250-peer", ">250 PIPELINING", ONE, "!"));
	struct ph_client *c = CLIENT(p, .tls = OFF);

	(void)state;
	for (int i = 0; i < 4; i++)
		submit(c, hi, NULL);
	for (int i = 0; i < 4; i++)
		OK(ph_client_next(c, NULL, NULL, &err));
	ph_client_free(c);
	finish(p);
}

#define CHUNKS ">220 peer", "<EHLO", ">250-peer", ">250-PIPELINING", ">250 CHUNKING"
#define CHUNK "<MAIL", "<RCPT", "<BDAT", "#"

static void
what_stands_behind_a_refused_bdat_is_tried_alone(void **state)
{
	/* the window opens with the first message; then two are in flight, and the first of them is
	 * refused: the server reads the second's chunk as commands */
	struct peer *p = start(SCRIPT(
		CHUNKS, CHUNK, ">250 ok", ">250 ok", ">250 2.0.0 first",
		CHUNK, "<RSET", CHUNK, ">250 ok", ">250 ok", ">552 5.3.4 too big", ">250 reset", ">250 ok",
		">550 5.1.1 out of step", ">503 5.5.1 out of step", "$", "|",
		CHUNKS, CHUNK, ">250 ok", ">250 ok", ">250 2.0.0 third",
		CHUNK, ">250 ok", ">250 ok", ">250 2.0.0 fourth", "$"));
	struct ph_client *c = CLIENT(p, .tls = OFF);
	const struct ph_record *r = NULL;

	(void)state;
	submit(c, hi, NULL);
	OK(ph_client_next(c, NULL, NULL, &err));
	for (int i = 0; i < 3; i++)
		submit(c, hi, NULL);
	FAILS(ph_client_next(c, &r, NULL, &err), PH_EREFUSED, PH_STAGE_BODY);
	assert_int_equal(ph_record_recipient(r, 0)->reply.code, 552);
	OK(ph_client_next(c, &r, NULL, &err));
	assert_string_equal(ph_record_recipient(r, 0)->reply.text, "2.0.0 third");
	assert_int_equal(ph_record_recipient(r, 0)->session, 1);
	OK(ph_client_next(c, &r, NULL, &err));
	ph_client_free(c);
	finish(p);
}

/* ---- the server's limits --------------------------------------------------------------------- */

static const char *const six[] = { "b@x.test", "c@x.test", "d@x.test", "e@x.test", "f@x.test",
                                   "g@y.test" };

/* All of the first n accepted, each over the session and by the message that the digits say. */
static void
send_to(struct ph_client *c, size_t n, const char *sessions, const char *messages)
{
	struct ph_envelope e = { PH_ENVELOPE_INIT, .from = "a@x.test", .recipients = six,
	                         .recipient_count = n };
	const struct ph_record *r = NULL;

	OK(ph_client_sendmail(c, &e, hi, &r, &err));
	assert_int_equal(ph_record_outcome(r), PH_ACCEPTED);
	for (size_t i = 0; i < n; i++) {
		const struct ph_recipient_outcome *o = ph_record_recipient(r, i);
		char id[16], want[16];

		snprintf(want, sizeof want, "M%c", messages[i]);
		assert_string_equal(ph_reply_remote_id(&o->reply, id, sizeof id), want);
		assert_int_equal(o->session, sessions[i] - '0');
	}
}

static size_t
count_lines(const struct peer *p, const char *begin)
{
	size_t n = 0;

	for (const char *at = p->mind.log; *at != '\0'; at = strchr(at, '\n') + 1)
		n += begins_with(at, begin);
	return n;
}

static void
more_recipients_than_the_server_takes_go_in_rounds(void **state)
{
	static const char *const offers[] = {
		"250-peer\r\n250 LIMITS RCPTMAX=2\r\n",
		"250-peer\r\n250-PIPELINING\r\n250 LIMITS RCPTMAX=2\r\n",
		"250-peer\r\n250-CHUNKING\r\n250 LIMITS RCPTMAX=2\r\n",
		"250-peer\r\n250-PIPELINING\r\n250-CHUNKING\r\n250 LIMITS RCPTMAX=2\r\n",
	};

	(void)state;
	for (size_t k = 0; k < COUNT(offers); k++) {
		struct peer *p = start(SCRIPT(">220 peer", "@"));
		struct ph_client *c = CLIENT(p, .tls = OFF);

		p->mind.ehlo = offers[k];
		p->mind.rcpt_max = 2;
		send_to(c, 5, "00000", "11223");
		OK(ph_client_quit(c, NULL, &err));
		ph_client_free(c);
		assert_int_equal(p->mind.messages, 3);
		assert_string_equal(p->mind.body, HI HI HI);
		assert_int_equal(count_lines(p, "RCPT"), 5);
		finish(p);
	}
}

/* Who is taken in another transaction does not make "too many" of it (RFC 5321 §4.5.3.1.10). */
static void
a_552_to_one_alone_is_about_that_one(void **state)
{
	struct peer *p = start(SCRIPT(
		">220 peer", "<EHLO", ">250-peer", ">250 LIMITS RCPTMAX=1", ONE,
		"<MAIL", ">250 ok", "<RCPT TO:<c@x.test>", ">552 mailbox full", "<RSET", ">250 ok",
		"<MAIL", ">250 ok", "<RCPT TO:<d@x.test>", ">250 ok", TAIL, ">250 ok", "$"));
	struct ph_client *c = CLIENT(p, .tls = OFF);
	struct ph_envelope e = { PH_ENVELOPE_INIT, .from = "a@x.test", .recipients = six,
	                         .recipient_count = 3 };
	const struct ph_record *r = NULL;

	(void)state;
	FAILS(ph_client_sendmail(c, &e, hi, &r, &err), PH_EPARTIAL, PH_STAGE_RCPT);
	assert_int_equal(ph_record_recipient(r, 0)->outcome, PH_ACCEPTED);
	assert_int_equal(ph_record_recipient(r, 1)->outcome, PH_REFUSED);
	assert_int_equal(ph_record_recipient(r, 2)->outcome, PH_ACCEPTED);
	ph_client_free(c);
	finish(p);
}

static void
a_server_that_says_too_many_is_asked_for_no_more_than_it_took(void **state)
{
	static const char *const offers[] = {
		"250 peer\r\n", "250-peer\r\n250 PIPELINING\r\n",
		"250-peer\r\n250-PIPELINING\r\n250 CHUNKING\r\n",
	};
	static const size_t asked[] = { 6, 8, 8 }; /* ahead of the answers, all five at first */

	(void)state;
	for (size_t k = 0; k < COUNT(offers); k++) {
		struct peer *p = start(SCRIPT(">220 peer", "@"));
		struct ph_client *c = CLIENT(p, .tls = OFF);

		p->mind.ehlo = offers[k];
		p->mind.rcpt_max = 2;
		send_to(c, 5, "00000", "11223");
		OK(ph_client_quit(c, NULL, &err));
		ph_client_free(c);
		assert_int_equal(p->mind.messages, 3);
		assert_int_equal(count_lines(p, "RCPT"), asked[k]);
		finish(p);
	}
}

#define AGAIN "|", ">220 peer", "@"

static void
a_connection_of_one_message_is_left_for_a_fresh_one(void **state)
{
	static const char *const offers[] = {
		"250-peer\r\n250 LIMITS MAILMAX=1\r\n",
		"250-peer\r\n250-PIPELINING\r\n250-CHUNKING\r\n250 LIMITS MAILMAX=1\r\n",
	};

	(void)state;
	for (size_t k = 0; k < COUNT(offers); k++) {
		struct peer *p = start(SCRIPT(">220 peer", "@", AGAIN, AGAIN, AGAIN, AGAIN, AGAIN));
		struct ph_client *c = CLIENT(p, .tls = OFF);

		p->mind.ehlo = offers[k];
		for (int i = 0; i < 5; i++)
			submit(c, hi, NULL);
		for (int i = 0; i < 5; i++) {
			const struct ph_record *r = NULL;
			char *json;

			OK(ph_client_next(c, &r, NULL, &err));
			json = ph_record_json(r);
			assert_non_null(strstr(json, "\"error\":null}],\"error\":null}"));
			ph_record_free_json(r, json);
			assert_int_equal(ph_record_recipient(r, 0)->session, 0);
		}
		assert_int_equal(send_one(c, NULL), PH_OK);
		ph_client_leave(c);
		ph_client_free(c);
		peer_end(p);
		assert_int_equal(count_lines(p, "QUIT"), 6);
		free(p);
	}
}

static void
limits_of_both_kinds_take_rounds_and_connections(void **state)
{
	struct peer *p = start(SCRIPT(">220 peer", "@", AGAIN, AGAIN));
	struct ph_client *c = CLIENT(p, .tls = OFF);

	(void)state;
	p->mind.ehlo = "250-peer\r\n250-PIPELINING\r\n250 LIMITS MAILMAX=2 RCPTMAX=1\r\n";
	send_to(c, 5, "00112", "12345");
	ph_client_leave(c);
	ph_client_free(c);
	peer_end(p);
	assert_int_equal(count_lines(p, "QUIT"), 3);
	assert_int_equal(count_lines(p, "RCPT"), 5);
	free(p);
}

static void
each_domain_may_take_a_connection(void **state)
{
	struct peer *p = start(SCRIPT(">220 peer", "@", AGAIN, AGAIN, AGAIN, AGAIN, AGAIN, AGAIN));
	struct ph_client *c = CLIENT(p, .tls = OFF);
	const char *const to[] = { "b@a.test", "b@b.test", "b@c.test", "b@d.test", "b@e.test", "b@f.test" };
	struct ph_envelope e = { PH_ENVELOPE_INIT, .from = "a@x.test", .recipients = to,
	                         .recipient_count = 6 };
	const struct ph_record *r = NULL;

	(void)state;
	p->mind.ehlo = "250-peer\r\n250-PIPELINING\r\n250 LIMITS RCPTDOMAINMAX=1\r\n";
	OK(ph_client_sendmail(c, &e, hi, &r, &err));
	for (unsigned i = 0; i < 6; i++)
		assert_int_equal(ph_record_recipient(r, i)->session, i);
	assert_int_equal(send_one(c, NULL), PH_OK); /* to yet another */
	ph_client_leave(c);
	ph_client_free(c);
	peer_end(p);
	assert_int_equal(count_lines(p, "QUIT"), 7);
	free(p);
}

static void
a_lent_connection_serves_as_far_as_its_limits_go(void **state)
{
	struct ph_client *c = new_client((struct ph_client_opts){ .tls = OFF,
	                                                          .server = "smtp://127.0.0.1:1" });
	struct ph_envelope e = { PH_ENVELOPE_INIT, .from = "a@x.test", .recipients = six,
	                         .recipient_count = 5 };
	struct wire *w = new_wire("220 wire\r\n");
	const struct ph_record *r = NULL;

	(void)state;
	w->mind.ehlo = "250-peer\r\n250-PIPELINING\r\n250 LIMITS MAILMAX=2 RCPTMAX=2\r\n";
	OK(ph_client_attach_transport(c, &w->t, NULL, NULL, &err));
	assert_int_equal(ph_client_sendmail(c, &e, hi, &r, NULL), PH_EPARTIAL);
	assert_int_equal(ph_record_recipient(r, 3)->outcome, PH_ACCEPTED);
	assert_int_equal(ph_record_recipient(r, 4)->outcome, PH_DEFERRED);
	assert_int_equal(ph_record_error(r)->cause, PH_CAUSE_LIMIT);
	assert_non_null(strstr(ph_record_error(r)->text, "lent"));
	assert_int_equal(send_one(c, &r), PH_EDEFERRED);
	assert_int_equal(ph_record_error(r)->cause, PH_CAUSE_LIMIT);
	OK(ph_client_quit(c, NULL, &err));
	ph_client_free(c);
	assert_string_equal(w->mind.body, HI HI);
	free(w);
}

static void
a_pipe_goes_out_once_whatever_the_limits(void **state)
{
	struct peer *p = start(SCRIPT(">220 peer", "@"));
	struct ph_client *c = CLIENT(p, .tls = OFF);
	struct ph_envelope e = { PH_ENVELOPE_INIT, .from = "a@x.test", .recipients = six,
	                         .recipient_count = 3 };
	const struct ph_record *r = NULL;
	struct ph_source *s;
	int fds[2];

	(void)state;
	p->mind.ehlo = "250-peer\r\n250 LIMITS RCPTMAX=2\r\n";
	assert_int_equal(pipe(fds), 0);
	assert_int_equal(write(fds[1], HI, strlen(HI)), strlen(HI));
	close(fds[1]);
	assert_int_equal(ph_source_new_pipe(&s, fds[0], NULL), PH_OK);
	assert_int_equal(ph_client_sendmail(c, &e, s, &r, NULL), PH_EPARTIAL);
	assert_int_equal(ph_record_recipient(r, 1)->outcome, PH_ACCEPTED);
	assert_int_equal(ph_record_recipient(r, 2)->outcome, PH_DEFERRED);
	assert_int_equal(ph_record_recipient(r, 2)->cause, PH_CAUSE_LIMIT);
	assert_int_equal(send_one(c, NULL), PH_OK);
	OK(ph_client_quit(c, NULL, &err));
	ph_client_free(c);
	ph_source_free(s);
	close(fds[0]);
	assert_string_equal(p->mind.body, HI HI);
	finish(p);
}

#define ROUNDS ">220 peer", "<EHLO", ">250-peer", ">250 LIMITS RCPTMAX=1"
#define ROUND(who) "<MAIL", ">250 ok", "<RCPT TO:<" who "@x.test>", ">250 ok", TAIL

static void
a_round_in_doubt_does_not_stop_the_others(void **state)
{
	struct peer *p = start(SCRIPT(ROUNDS, ROUND("b"), ">250 ok", ROUND("c"), "!", "|",
	                              ROUNDS, ROUND("d"), ">250 ok", "$"));
	struct ph_client *c = CLIENT(p, .tls = OFF);
	struct ph_envelope e = { PH_ENVELOPE_INIT, .from = "a@x.test", .recipients = six,
	                         .recipient_count = 3 };
	const struct ph_record *r = NULL;

	(void)state;
	assert_int_equal(ph_client_sendmail(c, &e, hi, &r, NULL), PH_EINDOUBT);
	assert_int_equal(ph_record_recipient(r, 0)->outcome, PH_ACCEPTED);
	assert_int_equal(ph_record_recipient(r, 1)->outcome, PH_IN_DOUBT);
	assert_int_equal(ph_record_recipient(r, 2)->outcome, PH_ACCEPTED);
	assert_int_equal(ph_record_recipient(r, 2)->session, 1);
	assert_int_equal(ph_record_error(r)->stage, PH_STAGE_BODY);
	ph_client_free(c);
	finish(p);
}

/* It keeps a limit of which it says nothing. */
static void
a_server_that_closes_behind_a_round_gets_the_next_on_a_fresh_connection(void **state)
{
	struct peer *p = start(SCRIPT(ROUNDS, ROUND("b"), ">250 ok", "<MAIL", "!", "|",
	                              ROUNDS, ROUND("c"), ">250 ok", "$"));
	struct ph_client *c = CLIENT(p, .tls = OFF);
	struct ph_envelope e = { PH_ENVELOPE_INIT, .from = "a@x.test", .recipients = six,
	                         .recipient_count = 2 };

	(void)state;
	OK(ph_client_sendmail(c, &e, hi, NULL, &err));
	ph_client_free(c);
	finish(p);
}

/* EHLO is not said anew between MAIL and RCPT, though the session takes no whole message any more. */
static void
by_hand_the_limits_are_the_callers(void **state)
{
	struct peer *p = start(SCRIPT(">220 peer", "<EHLO", ">250-peer", ">250 LIMITS MAILMAX=1", ONE, "$"));
	struct ph_client *c = CLIENT(p, .tls = OFF);

	(void)state;
	OK(ph_client_connect(c, NULL, &err));
	OK(ph_client_mail(c, "a@x.test", NULL, NULL, &err));
	OK(ph_client_rcpt(c, "b@x.test", NULL, NULL, &err));
	OK(ph_client_data(c, hi, PH_LINE_ENDS_NORMALISE, NULL, &err));
	ph_client_free(c);
	finish(p);
}

static void
closing_decides_what_is_under_way(void **state)
{
	struct peer *p = start(SCRIPT(
		CHUNKS, CHUNK, ">250 ok", ">250 ok", ">250 2.0.0 first",
		CHUNK, "<RSET", CHUNK, ">250 ok", ">250 ok", ">250 2.0.0 second", "$", "|",
		CHUNKS, CHUNK, ">250 ok", ">250 ok", ">250 2.0.0 fourth", "$"));
	struct ph_client *c = CLIENT(p, .tls = OFF, .window = 2);

	(void)state;
	submit(c, hi, NULL);
	OK(ph_client_next(c, NULL, NULL, &err));
	submit(c, hi, NULL);
	submit(c, hi, NULL);
	OK(ph_client_next(c, NULL, NULL, &err));
	ph_client_close(c);
	FAILS(ph_client_next(c, NULL, NULL, &err), PH_EINDOUBT, PH_STAGE_BODY);
	submit(c, hi, NULL);
	OK(ph_client_next(c, NULL, NULL, &err));
	ph_client_free(c);
	finish(p);
}

static void
a_client_can_be_freed_in_the_middle(void **state)
{
	struct peer *p = start(SCRIPT(CHUNKS, CHUNK, ">250 ok", ">250 ok", ">250 2.0.0 first", "$"));
	struct ph_client *c = CLIENT(p, .tls = OFF);

	(void)state;
	for (int i = 0; i < 6; i++)
		submit(c, hi, NULL);
	OK(ph_client_next(c, NULL, NULL, &err));
	ph_client_free(c);
	finish(p);
	c = new_client((struct ph_client_opts){ .tls = OFF, .server = "smtp://127.0.0.1:1" });
	submit(c, hi, NULL);
	ph_client_free(c);
}

static void
a_server_that_cannot_be_reached_defers(void **state)
{
	struct peer *p = start(SCRIPT("!"));
	struct ph_client *c = CLIENT(p, .tls = OFF);
	const struct ph_record *r = NULL;

	(void)state;
	assert_int_equal(send_one(c, &r), PH_EDEFERRED); /* closed before the greeting */
	assert_int_equal(ph_record_error(r)->stage, PH_STAGE_GREETING);
	finish(p); /* and now nobody listens */
	submit(c, hi, NULL);
	submit(c, hi, NULL);
	for (int i = 0; i < 2; i++) {
		char *json;

		assert_int_equal(ph_client_next(c, &r, NULL, NULL), PH_EDEFERRED);
		assert_int_equal(ph_record_error(r)->stage, PH_STAGE_CONNECT);
		assert_int_equal(ph_record_error(r)->cause, PH_CAUSE_UNREACHABLE);
		assert_int_equal(ph_record_exit_status(r), 75);
		json = ph_record_json(r);
		assert_non_null(strstr(json, "\"host\":\"127.0.0.1\""));
		assert_non_null(strstr(json, "\"code\":null"));
		ph_record_free_json(r, json);
	}
	ph_client_free(c);
	c = new_client((struct ph_client_opts){ .tls = OFF, .server = "smtp://127.0.0.1:25",
	                                        .source_ip = "nonsense" });
	assert_int_equal(send_one(c, &r), PH_ECONFIG);
	assert_int_equal(ph_record_recipient(r, 0)->outcome, PH_DEFERRED);
	ph_client_free(c);
}

static void
a_refusal_before_mail_is_every_recipients_reply(void **state)
{
	struct peer *p = start(SCRIPT(
		">554 5.3.2 no mail here", "$", "|", ">220 peer", "<EHLO", ">250-peer", ">250 AUTH PLAIN",
		"<AUTH PLAIN", ">535 5.7.8 wrong", "<QUIT", "$"));
	struct ph_client *c = CLIENT(p, .tls = OFF, .credentials = BOB);
	const struct ph_record *r = NULL;

	(void)state;
	assert_int_equal(send_one(c, &r), PH_EREFUSED);
	assert_int_equal(ph_record_outcome(r), PH_REFUSED);
	reply_is(&ph_record_recipient(r, 0)->reply, 554, "5.3.2 no mail here");
	assert_int_equal(ph_record_recipient(r, 0)->stage, PH_STAGE_GREETING);
	assert_int_equal(send_one(c, &r), PH_EAUTH);
	assert_int_equal(ph_record_outcome(r), PH_DEFERRED);
	reply_is(&ph_record_recipient(r, 0)->reply, 535, "5.7.8 wrong");
	assert_int_equal(ph_record_error(r)->reply, 535);
	assert_int_equal(ph_record_exit_status(r), 77);
	ph_client_free(c);
	finish(p);
}

/* ---- sources --------------------------------------------------------------------------------- */

static void
a_pipe_goes_out_once_and_never_empty(void **state)
{
	struct peer *p = start(SCRIPT(GREET, ONE, "<NOOP", ">250 ok", HEAD, TAIL, ">250 ok", HEAD, "$"));
	struct ph_client *c = CLIENT(p, .tls = OFF);
	struct ph_source *s;
	int fds[2];
	char big[30000];

	(void)state;
	assert_int_equal(pipe(fds), 0);
	memset(big, 'x', sizeof big);
	for (size_t i = 70; i < sizeof big; i += 70)
		big[i] = '\n';
	big[0] = '\n';
	assert_int_equal(write(fds[1], big, sizeof big), sizeof big);
	close(fds[1]);
	assert_int_equal(ph_source_new_pipe(&s, fds[0], NULL), PH_OK);
	submit(c, s, NULL);
	OK(ph_client_next(c, NULL, NULL, &err));
	submit(c, s, NULL);
	FAILS(ph_client_next(c, NULL, NULL, &err), PH_ENOINPUT, PH_STAGE_PREPARE);
	OK(ph_client_noop(c, NULL, &err));
	OK(ph_client_mail(c, "a@x.test", NULL, NULL, &err));
	OK(ph_client_rcpt(c, "b@x.test", NULL, NULL, &err));
	FAILS(ph_client_data(c, s, PH_LINE_ENDS_NORMALISE, NULL, &err), PH_ENOINPUT, PH_STAGE_PREPARE);
	OK(ph_client_data(c, hi, PH_LINE_ENDS_NORMALISE, NULL, &err));
	OK(ph_client_mail(c, "a@x.test", NULL, NULL, &err));
	OK(ph_client_rcpt(c, "b@x.test", NULL, NULL, &err));
	ph_client_free(c);
	ph_source_free(s);
	close(fds[0]);
	finish(p);
}

static void
a_pipe_of_which_nothing_was_read_is_tried_again(void **state)
{
	struct peer *p = start(SCRIPT(
		CHUNKS, CHUNK, ">250 ok", ">250 ok", ">250 2.0.0 first",
		CHUNK, "<RSET", "<MAIL", "<RCPT", ">250 ok", ">250 ok", ">552 5.3.4 too big", ">250 reset",
		">250 ok", ">250 ok", "$", "|",
		CHUNKS, HEAD, "<BDAT 22", "#", ">250 more", "<BDAT 0 LAST", ">250 2.0.0 third", "$"));
	struct ph_client *c = CLIENT(p, .tls = OFF);
	struct ph_source *s;
	int fds[2];

	(void)state;
	assert_int_equal(pipe(fds), 0);
	assert_int_equal(write(fds[1], HI, strlen(HI)), strlen(HI));
	close(fds[1]);
	assert_int_equal(ph_source_new_pipe(&s, fds[0], NULL), PH_OK);
	submit(c, hi, NULL);
	OK(ph_client_next(c, NULL, NULL, &err));
	submit(c, hi, NULL);
	submit(c, s, NULL);
	FAILS(ph_client_next(c, NULL, NULL, &err), PH_EREFUSED, PH_STAGE_BODY);
	OK(ph_client_next(c, NULL, NULL, &err)); /* of a pipe nothing is read before RCPT's answer */
	ph_client_free(c);
	ph_source_free(s);
	close(fds[0]);
	finish(p);
}

struct drip {
	size_t at, rewinds;
	int agains;
	bool fails;
};

static int
drip_read(void *user, void *buf, size_t n, size_t *ret, struct ph_error *err)
{
	struct drip *d = user;

	(void)err;
	if (d->agains-- > 0)
		return PH_IO_AGAIN;
	d->agains = 1;
	if (d->at == strlen(HI))
		return PH_IO_EOF;
	if (d->fails && d->at > 15)
		return PH_IO_ERROR;
	*ret = n < 3 ? n : 3;
	if (*ret > strlen(HI) - d->at)
		*ret = strlen(HI) - d->at;
	memcpy(buf, HI + d->at, *ret);
	d->at += *ret;
	return PH_IO_OK;
}

static int
drip_rewind(void *user)
{
	struct drip *d = user;

	d->at = 0;
	return d->rewinds++ < 2 ? 0 : -1;
}

static void
a_source_may_say_again(void **state)
{
	struct peer *p = start(SCRIPT(">220 peer", "@"));
	struct ph_client *c = CLIENT(p, .tls = OFF);
	struct drip d = { .agains = 1 };
	struct ph_source_callbacks cb = { PH_SOURCE_CALLBACKS_INIT, .read = drip_read, .user = &d };
	struct ph_source *s;

	(void)state;
	assert_int_equal(ph_source_new_callbacks(&s, &cb, NULL), PH_OK);
	submit(c, s, NULL);
	OK(ph_client_next(c, NULL, NULL, &err));
	OK(ph_client_quit(c, NULL, &err));
	ph_client_free(c);
	ph_source_free(s);
	assert_string_equal(p->mind.body, HI);
	finish(p);
}

static void
quit_does_not_lose_messages_under_way(void **state)
{
	struct peer *p = start(SCRIPT(">220 peer", "@"));
	struct ph_client *c = CLIENT(p, .tls = OFF);

	(void)state;
	for (int i = 0; i < 3; i++)
		submit(c, hi, NULL);
	OK(ph_client_next(c, NULL, NULL, &err));
	FAILS(ph_client_quit(c, NULL, &err), PH_EUSAGE, PH_STAGE_QUIT);
	for (int i = 0; i < 2; i++)
		OK(ph_client_next(c, NULL, NULL, &err));
	OK(ph_client_quit(c, NULL, &err));
	ph_client_free(c);
	assert_string_equal(p->mind.body, HI HI HI);
	finish(p);
}

static void
a_cancelled_client_sends_nothing_more(void **state)
{
	struct peer *p = start(SCRIPT(">220 peer", "@"));
	struct ph_client *c = CLIENT(p, .tls = OFF);
	const struct ph_record *r;

	(void)state;
	OK(send_one(c, &r));
	submit(c, hi, NULL);
	submit(c, hi, NULL);
	ph_client_cancel(c);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(ph_client_next(c, &r, NULL, NULL), PH_ECANCELLED);
		assert_int_equal(ph_record_outcome(r), PH_DEFERRED);
		assert_int_equal(ph_record_exit_status(r), 130);
	}
	assert_int_equal(ph_client_open(c, NULL), PH_ECANCELLED);
	ph_client_free(c);
	assert_string_equal(p->mind.body, HI);
	finish(p);
}

static int
steady_read(void *user, void *buf, size_t n, size_t *ret, struct ph_error *err)
{
	((struct drip *)user)->agains = 0;
	return drip_read(user, buf, n, ret, err);
}

static void
a_source_that_cannot_go_back_is_no_empty_message(void **state)
{
	struct peer *p = start(SCRIPT(">220 peer", "@"));
	struct ph_client *c = CLIENT(p, .tls = OFF);
	struct drip d = { 0 };
	struct ph_source_callbacks cb = { PH_SOURCE_CALLBACKS_INIT, .read = steady_read,
	                                  .rewind = drip_rewind, .user = &d };
	struct ph_source *s;

	(void)state;
	assert_int_equal(ph_source_new_callbacks(&s, &cb, NULL), PH_OK);
	for (int i = 0; i < 2; i++) { /* the first rewind is of the examination */
		submit(c, s, NULL);
		OK(ph_client_next(c, NULL, NULL, &err));
	}
	submit(c, s, NULL);
	FAILS(ph_client_next(c, NULL, NULL, &err), PH_ENOINPUT, PH_STAGE_PREPARE);
	OK(ph_client_quit(c, NULL, &err));
	ph_client_free(c);
	ph_source_free(s);
	assert_string_equal(p->mind.body, HI HI);
	finish(p);
}

static void
a_source_that_fails_midway_leaves_no_dot(void **state)
{
	struct peer *p = start(SCRIPT(GREET, HEAD, "<DATA", ">354 go on", "<Subject", "$", "|", GREET,
	                              ONE, "$"));
	struct ph_client *c = CLIENT(p, .tls = OFF);
	struct drip d = { .fails = true };
	struct ph_source_callbacks cb = { PH_SOURCE_CALLBACKS_INIT, .read = drip_read, .user = &d };
	struct ph_source *s;

	(void)state;
	assert_int_equal(ph_source_new_callbacks(&s, &cb, NULL), PH_OK);
	submit(c, s, NULL);
	submit(c, hi, NULL);
	FAILS(ph_client_next(c, NULL, NULL, &err), PH_ENOINPUT, PH_STAGE_BODY);
	OK(ph_client_next(c, NULL, NULL, &err));
	ph_client_free(c);
	ph_source_free(s);
	finish(p);
}

/* ---- lent connections ------------------------------------------------------------------------ */

static void
a_lent_socket_is_closed_only_when_it_is_given(void **state)
{
	(void)state;
	for (int owned = 0; owned < 2; owned++) {
		struct peer *p = calloc(1, sizeof *p);
		struct ph_client *c = new_client((struct ph_client_opts){ .tls = OFF });
		const struct ph_reply *r = NULL;
		int fds[2];

		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
		peer_start_on(p, SCRIPT(GREET, ONE, "<QUIT", ">221 bye"), fds[1]);
		OK(ph_client_attach_socket(c, fds[0], owned, &r, &err));
		reply_is(r, 220, "peer");
		assert_int_equal(ph_client_fd(c), fds[0]);
		assert_int_equal(send_one(c, NULL), PH_OK);
		OK(ph_client_quit(c, NULL, &err));
		assert_int_equal(fcntl(fds[0], F_GETFD) >= 0, !owned);
		if (!owned)
			close(fds[0]);
		ph_client_free(c);
		finish(p);
	}
}

static void
a_socket_that_will_not_do_is_closed_when_it_is_given(void **state)
{
	struct ph_client *c = new_client((struct ph_client_opts){ .tls = OFF });
	int fd = socket(AF_INET, SOCK_STREAM, 0), pipes[2];

	(void)state;
	FAILS(ph_client_attach_socket(c, fd, false, NULL, &err), PH_EDEFERRED, PH_STAGE_CONNECT);
	assert_true(fcntl(fd, F_GETFD) >= 0);
	FAILS(ph_client_attach_socket(c, fd, true, NULL, &err), PH_EDEFERRED, PH_STAGE_CONNECT);
	assert_true(fcntl(fd, F_GETFD) < 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pipes), 0);
	close(pipes[1]);
	FAILS(ph_client_attach_socket(c, pipes[0], true, NULL, &err), PH_EDEFERRED, PH_STAGE_GREETING);
	assert_true(fcntl(pipes[0], F_GETFD) < 0);
	ph_client_free(c);
}

static void
a_lent_connection_is_not_replaced(void **state)
{
	struct peer *p = calloc(1, sizeof *p);
	struct ph_client *c = new_client((struct ph_client_opts){ .tls = OFF,
	                                                          .server = "smtp://127.0.0.1:1" });
	const struct ph_record *r = NULL;
	int fds[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	peer_start_on(p, SCRIPT(GREET, ONE, "!"), fds[1]);
	OK(ph_client_attach_socket(c, fds[0], true, NULL, &err));
	assert_int_equal(send_one(c, NULL), PH_OK);
	await_end(c);
	submit(c, hi, NULL);
	submit(c, hi, NULL);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(ph_client_next(c, &r, NULL, NULL), PH_EDEFERRED);
		assert_int_equal(ph_record_error(r)->cause, PH_CAUSE_LOST);
	}
	finish(p);
	ph_client_close(c); /* now it may dial by itself */
	assert_int_equal(send_one(c, &r), PH_EDEFERRED);
	assert_int_equal(ph_record_error(r)->cause, PH_CAUSE_UNREACHABLE);
	ph_client_free(c);
}

static enum ph_code
attach(struct ph_client *c, struct wire *w, const struct ph_tls_facts *tls, struct ph_error *err)
{
	return ph_client_attach_transport(c, &w->t, tls, NULL, err);
}

static void
a_lent_transport_may_be_slow(void **state)
{
	static const char *const offers[] = { NULL, "250-peer\r\n250-PIPELINING\r\n250 CHUNKING\r\n" };

	(void)state;
	for (int i = 0; i < 8; i++) {
		struct ph_client *c = new_client((struct ph_client_opts){ .tls = OFF });
		struct wire *w = new_wire("220 wire\r\n");

		w->write_max = i & 1;
		w->read_max = i & 1;
		w->stutters = i & 2;
		w->mind.ehlo = offers[i >> 2];
		OK(attach(c, w, NULL, &err));
		assert_int_equal(ph_client_fd(c), -1);
		for (int k = 0; k < 3; k++)
			submit(c, hi, NULL);
		for (int k = 0; k < 3; k++)
			OK(ph_client_next(c, NULL, NULL, &err));
		OK(ph_client_putcmd(c, "NOOP", NULL, &err));
		OK(ph_client_getreply(c, NULL, &err));
		OK(ph_client_quit(c, NULL, &err));
		ph_client_free(c);
		assert_string_equal(w->mind.body, HI HI HI);
		assert_false(w->stuck);
		free(w);
	}
}

static void
a_lent_transport_does_its_own_tls(void **state)
{
	(void)state;
	for (int verified = 0; verified < 2; verified++)
		for (int how = 0; how < 3; how++) { /* STARTTLS by hand, in a delivery, implicit */
			struct ph_client *c = new_client((struct ph_client_opts){
				.server = how == 2 ? "smtps://mx.test" : "submission://mx.test" });
			struct wire *w = new_wire("220 wire\r\n");
			enum ph_code wanted = verified ? PH_OK : PH_ESECURITY, rc;

			w->verified = verified;
			w->handshake = 2;
			w->mind.ehlo = "250-peer\r\n250 STARTTLS\r\n";
			rc = attach(c, w, NULL, NULL);
			assert_int_equal(rc, how == 2 ? wanted : PH_OK);
			if (how == 0)
				assert_int_equal(ph_client_starttls(c, NULL, NULL), wanted);
			if (how == 1)
				assert_int_equal(send_one(c, NULL), wanted);
			assert_int_equal(ph_client_is_connected(c), verified);
			if (verified)
				assert_int_equal(send_one(c, NULL), PH_OK);
			else
				assert_int_equal(w->mind.messages, 0);
			assert_false(w->stuck);
			ph_client_free(c);
			free(w);
		}
}

static void
tls_that_is_up_already_is_believed_as_far_as_its_facts_go(void **state)
{
	(void)state;
	for (int i = 0; i < 3; i++) { /* not verified; verified; not verified, and that is asked for */
		const struct ph_tls_opts insecure = { PH_TLS_OPTS_INIT, .insecure = true };
		struct ph_client *c = new_client((struct ph_client_opts){
			.server = "smtps://mx.test", .credentials = BOB, .tls = i == 2 ? &insecure : NULL });
		struct ph_tls_facts facts = PH_TLS_FACTS_INIT;
		struct wire *w = new_wire("220 wire\r\n");
		enum ph_code wanted = i == 0 ? PH_ESECURITY : PH_OK;

		facts.verified = i == 1;
		w->mind.ehlo = "250-peer\r\n250 AUTH PLAIN\r\n";
		w->t.start_tls = NULL;
		assert_int_equal(attach(c, w, &facts, NULL), wanted);
		if (wanted == PH_OK) {
			assert_int_equal(ph_client_tls_facts(c)->verified, i == 1);
			assert_int_equal(send_one(c, NULL), PH_OK);
			assert_non_null(strstr(w->mind.log, "AUTH PLAIN"));
		} else {
			assert_null(strstr(w->mind.log, "EHLO"));
		}
		ph_client_free(c);
		free(w);
	}
}

static void
a_lent_transport_without_tls_says_so(void **state)
{
	struct ph_client *c = new_client((struct ph_client_opts){ .server = "submission://mx.test" });
	struct wire *w = new_wire("220 wire\r\n");

	(void)state;
	w->mind.ehlo = "250-peer\r\n250 STARTTLS\r\n";
	w->t.start_tls = NULL;
	OK(attach(c, w, NULL, &err));
	FAILS(ph_client_starttls(c, NULL, &err), PH_EUSAGE, PH_STAGE_STARTTLS);
	assert_int_equal(send_one(c, NULL), PH_ESECURITY);
	assert_int_equal(w->mind.messages, 0);
	w->t.wait = NULL;
	FAILS(attach(c, w, NULL, &err), PH_EUSAGE, PH_STAGE_PREPARE);
	ph_client_free(c);
	free(w);
}

static enum ph_io
reads_nothing(void *user, void *buf, size_t n, size_t *ret, struct ph_error *err)
{
	(void)user, (void)buf, (void)n, (void)err;
	*ret = 0;
	return PH_IO_OK;
}

static void
a_transport_that_breaks_its_contract_ends_the_connection(void **state)
{
	struct ph_client *c = new_client((struct ph_client_opts){ .tls = OFF });
	struct wire *w = new_wire(NULL);

	(void)state;
	w->t.read = reads_nothing;
	w->ready = w->eager = true;
	FAILS(attach(c, w, NULL, &err), PH_EUSAGE, PH_STAGE_GREETING);
	ph_client_free(c);
	free(w);
}

/* Wherever the connection dies, the answer is the right one. */
static void
a_transport_may_die_behind_any_octet(void **state)
{
	static const char *const offers[] = { NULL, "250-peer\r\n250-PIPELINING\r\n250 CHUNKING\r\n" };

	(void)state;
	for (size_t k = 0; k < COUNT(offers); k++) {
		enum ph_code rc = PH_EDEFERRED;
		size_t doubts = 0;

		for (size_t n = 1; rc != PH_OK; n++) {
			struct ph_client *c = new_client((struct ph_client_opts){ .tls = OFF });
			struct wire *w = new_wire("220 wire\r\n");
			const struct ph_record *r = NULL;

			w->mind.ehlo = offers[k];
			w->dies_behind = n;
			OK(attach(c, w, NULL, &err));
			rc = send_one(c, &r);
			assert_true(rc == PH_OK || rc == PH_EDEFERRED || rc == PH_EINDOUBT);
			assert_true(rc == PH_OK ? w->mind.messages == 1 : w->mind.messages == 0);
			doubts += rc == PH_EINDOUBT;
			assert_false(w->stuck);
			ph_client_free(c);
			free(w);
			assert_true(n < 400);
		}
		assert_int_equal(doubts, 1); /* when the last octet was the last that went */
	}
}

/* ---- memory ---------------------------------------------------------------------------------- */

static void
options_survive_a_lack_of_memory(void **state)
{
	const struct ph_tls_opts tls = { PH_TLS_OPTS_INIT, .ca_file = rig_ca_path, .server_name = "x.test" };
	struct failing_memory fm;

	(void)state;
	for (size_t n = 1; failing_memory_try(&fm, n); n++) {
		struct ph_client_opts o = { PH_CLIENT_OPTS_INIT, .server = "smtps://bob@mx.test",
			.connect = "192.0.2.1", .tls = &tls, .credentials = BOB, .helo = "me.test",
			.source_ip = "127.0.0.1", .memory = &fm.mem };
		struct ph_client *c = NULL;
		enum ph_code rc = ph_client_new(&c, &o, NULL);

		assert_int_equal(rc, fm.failed ? PH_ESYSTEM : PH_OK);
		ph_client_free(c);
		assert_int_equal(fm.live, 0);
	}
}

static void
deliveries_survive_a_lack_of_memory(void **state)
{
	static const char *const offers[] = {
		"250-peer\r\n250-PIPELINING\r\n250-SIZE 1000\r\n250 AUTH PLAIN LOGIN\r\n",
		"250-peer\r\n250-PIPELINING\r\n250-CHUNKING\r\n250 AUTH PLAIN LOGIN\r\n",
		"250-peer\r\n250-DSN\r\n250-LIMITS RCPTMAX=1 RCPTDOMAINMAX=9\r\n250 AUTH PLAIN LOGIN\r\n",
	};
	const char *const to[] = { "b@x.test", "c@b\xc3\xbc" "cher.test" };
	struct ph_envelope e = { PH_ENVELOPE_INIT, .from = "a@x.test", .recipients = to,
	                         .recipient_count = 2, .notify = PH_NOTIFY_FAILURE, .envid = "x" };
	struct ph_tls_facts facts = PH_TLS_FACTS_INIT;
	struct notes *notes = calloc(1, sizeof *notes);
	struct failing_memory fm;

	(void)state;
	facts.verified = true;
	for (size_t k = 0; k < COUNT(offers); k++)
		for (size_t n = 1; failing_memory_try(&fm, n); n++) {
			struct ph_client_opts o = { PH_CLIENT_OPTS_INIT, .server = "smtps://mx.test",
				.credentials = BOB, .tls = OFF, .allow_clear_auth = true, .memory = &fm.mem,
				.transcript = note, .transcript_user = notes };
			struct wire *w = new_wire("220 wire\r\n");
			struct ph_client *c = NULL;
			unsigned accepted = 0;
			bool all = false;

			notes->text[0] = '\0';
			w->mind.ehlo = offers[k];
			if (ph_client_new(&c, &o, NULL) == PH_OK && attach(c, w, &facts, NULL) == PH_OK) {
				const struct ph_record *r = NULL;

				for (int i = 0; i < 3; i++)
					(void)ph_client_submit(c, &e, hi, NULL, NULL);
				all = ph_client_pending(c) == 3;
				while (ph_client_pending(c) != 0) {
					enum ph_code rc = ph_client_next(c, &r, NULL, NULL);

					accepted += rc == PH_OK;
					if (r != NULL)
						ph_record_free_json(r, ph_record_json(r));
				}
				(void)ph_client_noop(c, NULL, NULL);
				(void)ph_client_quit(c, NULL, NULL);
			}
			assert_true(accepted <= w->mind.messages);
			if (!fm.failed)
				assert_true(all && accepted == 3);
			assert_false(w->stuck);
			ph_client_free(c);
			assert_int_equal(fm.live, 0);
			free(w);
			assert_null(strstr(notes->text, "AGJvYgBwdw"));
		}
	free(notes);
}

static void
commands_by_hand_survive_a_lack_of_memory(void **state)
{
	struct failing_memory fm;

	(void)state;
	for (size_t n = 1; failing_memory_try(&fm, n); n++) {
		struct ph_client_opts o = { PH_CLIENT_OPTS_INIT, .server = "submission://mx.test",
		                            .memory = &fm.mem };
		struct wire *w = new_wire("220 wire\r\n");
		struct ph_client *c = NULL;
		bool good_run = false;

		w->verified = true;
		w->mind.ehlo = "250-peer\r\n250 STARTTLS\r\n";
		if (ph_client_new(&c, &o, NULL) == PH_OK && attach(c, w, NULL, NULL) == PH_OK) {
			bool ok = ph_client_starttls(c, NULL, NULL) == PH_OK;

			w->mind.ehlo = "250-peer\r\n250 AUTH PLAIN\r\n";
			ok &= ph_client_login(c, BOB, NULL, NULL) == PH_OK;
			ok &= ph_client_mail(c, "a@x.test", "BODY=8BITMIME", NULL, NULL) == PH_OK;
			ok &= ph_client_rcpt(c, "b@x.test", NULL, NULL, NULL) == PH_OK;
			ok &= ph_client_data(c, hi, PH_LINE_ENDS_NORMALISE, NULL, NULL) == PH_OK;
			ok &= ph_client_send(c, "NOOP\r\n", 6, NULL) == PH_OK;
			ok &= ph_client_getreply(c, NULL, NULL) == PH_OK;
			ok &= ph_client_quit(c, NULL, NULL) == PH_OK;
			good_run = ok;
		}
		assert_true(good_run || fm.failed);
		assert_false(w->stuck);
		ph_client_free(c);
		assert_int_equal(fm.live, 0);
		free(w);
	}
}

/* ---- options --------------------------------------------------------------------------------- */

static void
options_are_judged_at_once(void **state)
{
	const struct ph_credentials no_password = { PH_CREDENTIALS_INIT, .user = "bob" };
	const struct {
		struct ph_client_opts o;
		enum ph_code code;
	} rows[] = {
		{ { .server = "http://h" }, PH_ECONFIG },
		{ { .server = "smtp://bob:pw@h" }, PH_ECONFIG },
		{ { .server = "smtp://bob@h" }, PH_ECONFIG },
		{ { .server = "smtp://h", .credentials = &no_password }, PH_ECONFIG },
		{ { .server = "smtp://h", .helo = "me\r\n" }, PH_ECONFIG },
		{ { .server = "smtp://h", .helo = "" }, PH_ECONFIG },
		{ { .server = "smtp://h", .connect = "a b" }, PH_ECONFIG },
		{ { .server = "smtp://h", .family = 5 }, PH_EUSAGE },
		{ { .server = "smtp://h", .tls = &(const struct ph_tls_opts){ PH_TLS_OPTS_INIT,
		    .ca_file = "/nonexistent" } }, PH_ENOINPUT },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct ph_client_opts o = rows[i].o;
		struct ph_error err = PH_ERROR_INIT;
		struct ph_client *c = NULL;
		enum ph_code rc;

		o.size = sizeof o;
		rc = ph_client_new(&c, &o, &err);
		if (rc != rows[i].code || err.code != rc)
			fail_msg("row %zu: %s %s", i, ph_code_name(rc), err.text);
		assert_null(c);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_command_can_be_given_by_hand),
		cmocka_unit_test(nothing_goes_without_a_connection),
		cmocka_unit_test(a_caller_cannot_inject_a_second_command),
		cmocka_unit_test(helo_is_tried_only_when_ehlo_is_not_known),
		cmocka_unit_test(commands_can_be_put_ahead_of_their_replies),
		cmocka_unit_test(octets_can_be_sent_as_they_are),
		cmocka_unit_test(lmtp_has_a_reply_for_each_recipient),
		cmocka_unit_test(messages_by_hand_and_whole_ones_share_a_connection),
		cmocka_unit_test(an_envelope_by_hand_is_reset_before_a_whole_message),
		cmocka_unit_test(a_message_by_hand_that_dies_says_whether_it_is_in_doubt),
		cmocka_unit_test(a_421_ends_the_connection_and_is_told),
		cmocka_unit_test(a_refused_greeting_is_given_and_closes),
		cmocka_unit_test(a_silent_server_is_given_up_in_time),
		cmocka_unit_test(refusals_bring_a_hint),
		cmocka_unit_test(starttls_forgets_and_verifies),
		cmocka_unit_test(starttls_is_refused_where_it_cannot_be),
		cmocka_unit_test(a_delivery_takes_tls_and_a_login_as_the_options_ask),
		cmocka_unit_test(what_is_only_recorded_goes_on_without_credentials),
		cmocka_unit_test(application_protocols_are_judged_before_there_is_a_network),
		cmocka_unit_test(opportunistic_tls_falls_back_once_on_a_new_connection),
		cmocka_unit_test(opportunistic_tls_does_not_fall_back_from_an_attack_or_a_421),
		cmocka_unit_test(the_local_relay_is_believed_without_a_certificate),
		cmocka_unit_test(a_link_that_is_not_secured_carries_no_message),
		cmocka_unit_test(a_login_tries_the_next_mechanism_but_not_the_next_password),
		cmocka_unit_test(a_callers_mechanism_may_speak_and_may_give_up),
		cmocka_unit_test(credentials_do_not_cross_a_link_that_may_be_read),
		cmocka_unit_test(the_transcript_hides_a_login_by_hand),
		cmocka_unit_test(the_transcript_can_be_printed),
		cmocka_unit_test(each_recipient_has_its_own_result),
		cmocka_unit_test(many_messages_go_over_one_connection_in_order),
		cmocka_unit_test(a_message_that_fails_leaves_the_others_alone),
		cmocka_unit_test(sendmail_does_not_overtake_what_was_submitted),
		cmocka_unit_test(commands_between_deliveries_do_not_lose_one),
		cmocka_unit_test(a_connection_closed_while_idle_is_replaced),
		cmocka_unit_test(a_connection_that_dies_at_mail_is_replaced_once),
		cmocka_unit_test(after_mail_was_answered_nothing_is_sent_twice),
		cmocka_unit_test(messages_behind_a_lost_one_go_out_on_the_next_connection),
		cmocka_unit_test(a_server_of_one_message_a_connection_gets_them_all),
		cmocka_unit_test(what_stands_behind_a_refused_bdat_is_tried_alone),
		cmocka_unit_test(more_recipients_than_the_server_takes_go_in_rounds),
		cmocka_unit_test(a_server_that_says_too_many_is_asked_for_no_more_than_it_took),
		cmocka_unit_test(a_552_to_one_alone_is_about_that_one),
		cmocka_unit_test(a_connection_of_one_message_is_left_for_a_fresh_one),
		cmocka_unit_test(limits_of_both_kinds_take_rounds_and_connections),
		cmocka_unit_test(each_domain_may_take_a_connection),
		cmocka_unit_test(a_lent_connection_serves_as_far_as_its_limits_go),
		cmocka_unit_test(a_pipe_goes_out_once_whatever_the_limits),
		cmocka_unit_test(a_round_in_doubt_does_not_stop_the_others),
		cmocka_unit_test(a_server_that_closes_behind_a_round_gets_the_next_on_a_fresh_connection),
		cmocka_unit_test(by_hand_the_limits_are_the_callers),
		cmocka_unit_test(closing_decides_what_is_under_way),
		cmocka_unit_test(a_client_can_be_freed_in_the_middle),
		cmocka_unit_test(a_server_that_cannot_be_reached_defers),
		cmocka_unit_test(a_refusal_before_mail_is_every_recipients_reply),
		cmocka_unit_test(a_pipe_goes_out_once_and_never_empty),
		cmocka_unit_test(a_pipe_of_which_nothing_was_read_is_tried_again),
		cmocka_unit_test(a_source_may_say_again),
		cmocka_unit_test(quit_does_not_lose_messages_under_way),
		cmocka_unit_test(a_cancelled_client_sends_nothing_more),
		cmocka_unit_test(a_source_that_cannot_go_back_is_no_empty_message),
		cmocka_unit_test(a_source_that_fails_midway_leaves_no_dot),
		cmocka_unit_test(a_lent_socket_is_closed_only_when_it_is_given),
		cmocka_unit_test(a_socket_that_will_not_do_is_closed_when_it_is_given),
		cmocka_unit_test(a_lent_connection_is_not_replaced),
		cmocka_unit_test(a_lent_transport_may_be_slow),
		cmocka_unit_test(a_lent_transport_does_its_own_tls),
		cmocka_unit_test(tls_that_is_up_already_is_believed_as_far_as_its_facts_go),
		cmocka_unit_test(a_lent_transport_without_tls_says_so),
		cmocka_unit_test(a_transport_that_breaks_its_contract_ends_the_connection),
		cmocka_unit_test(a_transport_may_die_behind_any_octet),
		cmocka_unit_test(options_survive_a_lack_of_memory),
		cmocka_unit_test(deliveries_survive_a_lack_of_memory),
		cmocka_unit_test(commands_by_hand_survive_a_lack_of_memory),
		cmocka_unit_test(options_are_judged_at_once),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
