/* SPDX-License-Identifier: MIT */
/* Commands by hand beyond smtplib's: XCLIENT and XFORWARD, commands whose meaning is understood whoever
 * gives them, and every function out of order: never a crash, always a code and a text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "client_rig.h"
#include "failing_memory.h"

#define COUNT(a) (sizeof(a) / sizeof *(a))
#define HI "Subject: hi\r\n\r\nhello\r\n"
#define LIST(...) ((const char *const[]){ __VA_ARGS__, NULL })
#define OFFERS_X ">220 peer", "<EHLO", ">250-peer", ">250-PIPELINING", ">250-AUTH PLAIN", \
	">250-XCLIENT NAME ADDR PORT PROTO HELO LOGIN DESTADDR DESTPORT", \
	">250 XFORWARD NAME ADDR PROTO HELO SOURCE PORT IDENT"

/* ---- XCLIENT, XFORWARD ----------------------------------------------------------------------- */

static void
xclient_starts_the_session_anew(void **state)
{
	struct peer *p = start(SCRIPT(
		OFFERS_X, "<AUTH PLAIN", ">235 in", "<XCLIENT NAME=spike.test ADDR=IPV6:2001:db8::1 LOGIN=j+C3+BC+20+2B+3D",
		">220 peer", "<EHLO me.test", ">250-peer", ">250 AUTH PLAIN", "<AUTH PLAIN", ">235 in",
		"<MAIL", ">250 ok", "<RCPT", ">250 ok", "<DATA", ">354 go on", ".", ">250 ok", "$"));
	struct ph_client *c = CLIENT(p, .tls = OFF, .credentials = ANN);
	const char *const to[] = { "b@x.test" };
	struct ph_envelope e = { PH_ENVELOPE_INIT, .from = "a@x.test", .recipients = to,
	                         .recipient_count = 1 };
	const struct ph_reply *r = NULL;
	struct ph_source *s = NULL;

	(void)state;
	OK(ph_source_new_memory(&s, HI, strlen(HI), NULL));
	OK(ph_client_open(c, &err));
	OK(ph_client_xclient(c, LIST("NAME=spike.test", "addr=IPV6:2001:db8::1", "LOGIN=j\xc3\xbc +="),
	                     &r, &err));
	reply_is(r, 220, "peer");
	assert_null(ph_client_ehlo_reply(c));
	assert_false(ph_client_has_extn(c, "XCLIENT", NULL));
	assert_false(ph_client_is_esmtp(c));
	/* EHLO and the login again: the server has forgotten them, and so have we */
	OK(ph_client_sendmail(c, &e, s, NULL, &err));
	ph_client_free(c);
	ph_source_free(s);
	finish(p);
}

static void
a_refused_xclient_changes_nothing(void **state)
{
	struct peer *p = start(SCRIPT(OFFERS_X, "<XCLIENT ADDR=192.0.2.1", ">550 5.7.0 not you",
	                              "<XCLIENT NAME=[UNAVAILABLE]", ">250 as of old", "$"));
	struct ph_client *c = CLIENT(p, .tls = OFF);

	(void)state;
	OK(ph_client_connect(c, NULL, &err));
	FAILS(ph_client_xclient(c, LIST("ADDR=192.0.2.1"), NULL, &err), PH_EREFUSED, PH_STAGE_HELLO,
	      PH_CAUSE_REPLY);
	assert_true(ph_client_has_extn(c, "XCLIENT", NULL));
	OK(ph_client_xclient(c, LIST("NAME=[UNAVAILABLE]"), NULL, &err));
	assert_true(ph_client_has_extn(c, "XFORWARD", NULL));
	ph_client_free(c);
	finish(p);
}

static void
xforward_says_whom_the_mail_is_from(void **state)
{
	struct peer *p = start(SCRIPT(OFFERS_X, "<XFORWARD NAME=spike.test ADDR=192.0.2.1 SOURCE=REMOTE",
	                              ">250 2.0.0 Ok", "<MAIL", ">250 ok", "$"));
	struct ph_client *c = CLIENT(p, .tls = OFF);

	(void)state;
	OK(ph_client_connect(c, NULL, &err));
	OK(ph_client_xforward(c, LIST("NAME=spike.test", "ADDR=192.0.2.1", "SOURCE=REMOTE"), NULL, &err));
	OK(ph_client_mail(c, "a@x.test", NULL, NULL, &err));
	ph_client_free(c);
	finish(p);
}

static void
what_is_not_offered_or_not_an_attribute_is_not_sent(void **state)
{
	struct peer *p = start(SCRIPT(OFFERS_X, "$", "|", GREET, "$"));
	struct ph_client *c = CLIENT(p, .tls = OFF);
	char value[300] = "NAME=", full[260] = "NAME=", half[260] = "HELO=";

	(void)state;
	MISUSED(ph_client_xclient(c, LIST("NAME=x"), NULL, &err));
	OK(ph_client_connect(c, NULL, &err));
	OK(ph_client_ehlo(c, NULL, NULL, &err));
	FAILS(ph_client_xclient(c, NULL, NULL, &err), PH_EUSAGE, PH_STAGE_PREPARE, PH_CAUSE_ARGUMENT);
	FAILS(ph_client_xclient(c, LIST(NULL), NULL, &err), PH_EUSAGE, PH_STAGE_PREPARE,
	      PH_CAUSE_ARGUMENT);
	for (size_t i = 0; i < 6; i++) {
		static const char *const bad[] = { "NAME", "=x", "NAME=", "NAME=a\r\nQUIT", "NAME=\x7f",
		                                   "NAME=\xc2\x80" };

		FAILS(ph_client_xclient(c, LIST(bad[i]), NULL, &err), PH_EINPUT, PH_STAGE_PREPARE,
		      PH_CAUSE_ARGUMENT);
	}
	FAILS(ph_client_xclient(c, LIST("NAME=x", "IDENT=y"), NULL, &err), PH_EREFUSED,
	      PH_STAGE_PREPARE, PH_CAUSE_NOT_OFFERED);
	FAILS(ph_client_xclient(c, LIST("NAM=x"), NULL, &err), PH_EREFUSED, PH_STAGE_PREPARE,
	      PH_CAUSE_NOT_OFFERED);
	FAILS(ph_client_xforward(c, LIST("NAME PROTO=x"), NULL, &err), PH_EREFUSED, PH_STAGE_PREPARE,
	      PH_CAUSE_NOT_OFFERED);
	memset(value + 5, 'a', 256);
	memset(full + 5, 'b', 250);
	memset(half + 5, 'c', 250);
	FAILS(ph_client_xclient(c, LIST(value), NULL, &err), PH_EINPUT, PH_STAGE_PREPARE, PH_CAUSE_LIMIT);
	FAILS(ph_client_xclient(c, LIST(full, half), NULL, &err), PH_EINPUT, PH_STAGE_PREPARE,
	      PH_CAUSE_LIMIT);
	OK(ph_client_connect(c, NULL, &err));
	FAILS(ph_client_xclient(c, LIST("NAME=x"), NULL, &err), PH_EREFUSED, PH_STAGE_PREPARE,
	      PH_CAUSE_NOT_OFFERED);
	FAILS(ph_client_xforward(c, LIST("NAME=x"), NULL, &err), PH_EREFUSED, PH_STAGE_PREPARE,
	      PH_CAUSE_NOT_OFFERED);
	ph_client_free(c);
	finish(p);
}

/* ---- understood whoever gives them ----------------------------------------------------------- */

static void
starttls_by_docmd_shakes_hands_too(void **state)
{
	struct peer *p = start(SCRIPT(
		">220 peer", "<EHLO me", ">250-peer", ">250 STARTTLS", "<STARTTLS", ">220 go", "~",
		"<EHLO me", ">250 peer", "$", "|",
		">220 peer", "<EHLO me", ">250-peer", ">250 STARTTLS", "<STARTTLS", ">220 go", "~",
		"<NOOP", ">250 ok", "$"));
	struct ph_client *c = new_client((struct ph_client_opts){ .server = url_of(p, "submission") });

	(void)state;
	OK(ph_client_connect(c, NULL, &err));
	OK(ph_client_docmd(c, "EHLO", "me", NULL, &err));
	reply_is(ph_client_ehlo_reply(c), 250, "peer\nSTARTTLS");
	OK(ph_client_docmd(c, "starttls", NULL, NULL, &err));
	assert_true(ph_client_tls_facts(c)->verified);
	assert_null(ph_client_ehlo_reply(c));
	OK(ph_client_docmd(c, "EHLO", "me", NULL, &err));
	FAILS(ph_client_docmd(c, "STARTTLS", NULL, NULL, &err), PH_EUSAGE, PH_STAGE_STARTTLS,
	      PH_CAUSE_STATE);
	OK(ph_client_connect(c, NULL, &err));
	OK(ph_client_docmd(c, "EHLO", "me", NULL, &err));
	OK(ph_client_putcmd(c, "STARTTLS", NULL, &err));
	OK(ph_client_getreply(c, NULL, &err));
	assert_true(ph_client_tls_facts(c)->verified);
	OK(ph_client_noop(c, NULL, &err));
	ph_client_free(c);
	finish(p);
}

/* RFC 3207 §4.2: the server forgets who we are, too. */
static void
a_login_before_starttls_counts_no_longer(void **state)
{
	struct peer *p = start(SCRIPT(
		">220 peer", "<EHLO", ">250-peer", ">250-AUTH PLAIN", ">250 STARTTLS",
		"<AUTH PLAIN", ">235 in", "<STARTTLS", ">220 go", "~",
		"<EHLO", ">250-peer", ">250 AUTH PLAIN", "<AUTH PLAIN", ">235 in", "$"));
	struct ph_client *c = new_client((struct ph_client_opts){
		.server = url_of(p, "submission"), .credentials = ANN, .allow_clear_auth = true });

	(void)state;
	OK(ph_client_connect(c, NULL, &err));
	OK(ph_client_login(c, NULL, NULL, &err));
	OK(ph_client_starttls(c, NULL, &err));
	OK(ph_client_open(c, &err));
	ph_client_free(c);
	finish(p);
}

static void
starttls_by_docmd_is_refused_where_tls_is_off(void **state)
{
	struct peer *p = start(SCRIPT(GREET, "<STARTTLS", ">220 go", "$"));
	struct ph_client *c = CLIENT(p, .tls = OFF);

	(void)state;
	OK(ph_client_connect(c, NULL, &err));
	OK(ph_client_ehlo(c, NULL, NULL, &err));
	FAILS(ph_client_docmd(c, "STARTTLS", NULL, NULL, &err), PH_ESECURITY, PH_STAGE_TLS,
	      PH_CAUSE_NOT_OFFERED);
	assert_false(ph_client_is_connected(c));
	ph_client_free(c);
	finish(p);
}

static void
a_login_by_docmd_is_not_made_again(void **state)
{
	struct peer *p = start(SCRIPT(">220 peer", "<EHLO", ">250-peer", ">250 AUTH PLAIN", "<AUTH PLAIN",
	                              ">334 ", "<AGFubgBwdw==", ">235 in", "<QUIT", ">221 bye"));
	struct ph_client *c = CLIENT(p, .tls = OFF, .credentials = ANN);

	(void)state;
	OK(ph_client_connect(c, NULL, &err));
	OK(ph_client_ehlo(c, NULL, NULL, &err));
	OK(ph_client_docmd(c, "AUTH", "PLAIN", NULL, &err));
	OK(ph_client_docmd(c, "AGFubgBwdw==", NULL, NULL, &err));
	OK(ph_client_open(c, &err));
	OK(ph_client_quit(c, NULL, &err));
	ph_client_free(c);
	finish(p);
}

static void
unread_replies_are_never_taken_for_others(void **state)
{
	struct peer *p = start(SCRIPT(GREET, "<NOOP", ">250 x", "<QUIT", ">221 bye", "$"));
	struct ph_client *c = CLIENT(p, .tls = OFF);
	struct ph_source *s = NULL;
	const struct ph_reply *r = NULL;

	(void)state;
	OK(ph_source_new_memory(&s, HI, strlen(HI), NULL));
	OK(ph_client_connect(c, NULL, &err));
	OK(ph_client_ehlo(c, NULL, NULL, &err));
	OK(ph_client_putcmd(c, "NOOP", NULL, &err));
	MISUSED(ph_client_ehlo(c, NULL, NULL, &err));
	MISUSED(ph_client_mail(c, "a@x.test", NULL, NULL, &err));
	MISUSED(ph_client_data(c, s, PH_LINE_ENDS_NORMALISE, NULL, &err));
	MISUSED(ph_client_login(c, ANN, NULL, &err)); /* a stale 250 would be a login */
	MISUSED(ph_client_open(c, &err));
	assert_true(ph_client_is_connected(c));
	OK(ph_client_quit(c, &r, &err)); /* QUIT has no use for them */
	reply_is(r, 221, "bye");
	ph_client_free(c);
	ph_source_free(s);
	finish(p);
}

static void
a_command_is_never_a_line_of_the_message(void **state)
{
	struct peer *p = start(SCRIPT(GREET, "<MAIL", ">250 ok", "<RCPT", ">250 ok", "<DATA", ">354 go on",
	                              ".", ">250 taken", "<NOOP", ">250 ok", "<DATA", ">354 go on", "$", "|",
	                              GREET, "<MAIL", ">250 ok", "<RCPT", ">250 ok", "<DATA", ">354 go on",
	                              ".", ">250 ok", "$"));
	struct ph_client *c = CLIENT(p, .tls = OFF);
	const char *const to[] = { "b@x.test" };
	struct ph_envelope e = { PH_ENVELOPE_INIT, .from = "a@x.test", .recipients = to,
	                         .recipient_count = 1 };
	struct ph_source *s = NULL;
	const struct ph_reply *r = NULL;

	(void)state;
	OK(ph_source_new_memory(&s, HI, strlen(HI), NULL));
	OK(ph_client_open(c, &err));
	OK(ph_client_mail(c, "a@x.test", NULL, NULL, &err));
	OK(ph_client_rcpt(c, "b@x.test", NULL, NULL, &err));
	OK(ph_client_docmd(c, "DATA", NULL, &r, &err));
	assert_int_equal(r->code, 354);
	MISUSED(ph_client_noop(c, NULL, &err));
	MISUSED(ph_client_putcmd(c, "NOOP", NULL, &err));
	MISUSED(ph_client_data(c, s, PH_LINE_ENDS_NORMALISE, NULL, &err));
	MISUSED(ph_client_quit(c, NULL, &err));
	OK(ph_client_send(c, HI ".\r\n", strlen(HI) + 3, &err));
	OK(ph_client_getreply(c, &r, &err));
	reply_is(r, 250, "taken");
	OK(ph_client_noop(c, NULL, &err));
	/* nor is a whole message a part of another */
	OK(ph_client_docmd(c, "DATA", NULL, &r, &err));
	OK(ph_client_sendmail(c, &e, s, NULL, &err));
	ph_client_free(c);
	ph_source_free(s);
	finish(p);
}

/* ---- out of order ---------------------------------------------------------------------------- */

enum { CALLS = 30 };

/* Any function in any order. But behind octets of the caller's own no reply of the server's is out of
 * order here, so whatever fails must be our own refusal to do it, or the end of the connection. */
static enum ph_code
call(struct ph_client *c, unsigned which, struct wire *w, struct ph_source *s, struct ph_error *err)
{
	static const char *const to[] = { "b@x.test", "c@x.test" };
	struct ph_envelope e = { PH_ENVELOPE_INIT, .from = "a@x.test", .recipients = to,
	                         .recipient_count = 2 };
	const struct ph_reply *r = NULL;
	const char *keyword, *parameter;

	switch (which) {
	case 0:
	case 1:
		w->at = w->len = 0;
		w->dead = w->stuck = false;
		w->mind = (struct mind){ .ehlo = w->mind.ehlo, .lmtp = w->mind.lmtp };
		wire_say(w, "220 peer\r\n");
		return ph_client_attach_transport(c, &w->t, NULL, &r, err);
	case 2: return ph_client_ehlo(c, NULL, &r, err);
	case 3: return ph_client_helo(c, "me.test", &r, err);
	case 4: return ph_client_ehlo_or_helo_if_needed(c, err);
	case 5: return ph_client_starttls(c, &r, err);
	case 6: return ph_client_login(c, ANN, &r, err);
	case 7: return ph_client_mail(c, "a@x.test", NULL, &r, err);
	case 8: return ph_client_rcpt(c, "b@x.test", NULL, &r, err);
	case 9: return ph_client_data(c, s, PH_LINE_ENDS_NORMALISE, &r, err);
	case 10: return ph_client_rset(c, &r, err);
	case 11: return ph_client_noop(c, &r, err);
	case 12: return ph_client_help(c, NULL, &r, err);
	case 13: return ph_client_vrfy(c, "bob", &r, err);
	case 14: return ph_client_expn(c, "all", &r, err);
	case 15: return ph_client_xclient(c, LIST("NAME=x"), &r, err);
	case 16: return ph_client_putcmd(c, "NOOP", NULL, err);
	case 17: return ph_client_getreply(c, &r, err);
	case 18: return ph_client_docmd(c, "RSET", NULL, &r, err);
	case 19: return ph_client_docmd(c, "STARTTLS", NULL, &r, err);
	case 20: return ph_client_sendmail(c, &e, s, NULL, err);
	case 21: return ph_client_submit(c, &e, s, NULL, err);
	case 22: return ph_client_next(c, NULL, NULL, err);
	case 23: return ph_client_open(c, err);
	case 24: return ph_client_quit(c, &r, err);
	case 25:
		ph_client_close(c);
		return PH_OK;
	case 28: return ph_client_docmd(c, "DATA", NULL, &r, err);
	case 29: return ph_client_send(c, HI ".\r\n", strlen(HI) + 3, err);
	case 26:
		ph_client_extension(c, 0, &keyword, &parameter);
		ph_client_has_extn(c, "AUTH", &parameter);
		ph_client_ehlo_reply(c);
		ph_client_tls_facts(c);
		return PH_OK;
	default: return ph_client_xforward(c, LIST("NAME=x"), &r, err);
	}
}

static unsigned
next_random(uint64_t *seed)
{
	*seed = *seed * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)(*seed >> 33);
}

static void
any_function_in_any_order_has_a_defined_result(void **state)
{
	static const char *const ehlos[] = { "250 peer\r\n", "250-peer\r\n250-PIPELINING\r\n250 CHUNKING\r\n",
		"250-peer\r\n250-AUTH PLAIN\r\n250-STARTTLS\r\n250-XCLIENT NAME\r\n250 XFORWARD NAME\r\n",
		"502 what?\r\n" };
	struct ph_source *s = NULL;

	(void)state;
	assert_int_equal(ph_source_new_memory(&s, HI, strlen(HI), NULL), PH_OK);
	for (uint64_t run = 0; run < 400; run++) {
		uint64_t seed = run * 7919 + 1;
		struct wire *w = new_wire(NULL);
		struct ph_client *c = new_client((struct ph_client_opts){ .timeout_ms = 20,
			.allow_clear_auth = true, .server = run % 8 == 7 ? "lmtp:///nonexistent" : NULL });
		char said[2000] = "";
		bool injected = false; /* then replies come that nobody expects */
		size_t n = 0;

		w->mind.ehlo = ehlos[run % COUNT(ehlos)];
		w->mind.lmtp = run % 8 == 7;
		w->verified = run % 3 != 0;
		for (int i = 0; i < 60; i++) {
			struct ph_error err = PH_ERROR_INIT;
			unsigned which = next_random(&seed) % CALLS;
			enum ph_code rc;

			n += (size_t)snprintf(said + n, sizeof said - n, " %u", which);
			if (next_random(&seed) % 40 == 0)
				w->dead = true;
			injected |= which == 29;
			rc = call(c, which, w, s, &err);
			if (rc == PH_OK)
				continue;
			if (err.code != rc || err.text[0] == '\0' || rc == PH_ESYSTEM ||
			    (rc == PH_EPROTOCOL && !injected && !w->dead))
				fail_msg("run %u:%s: %s: %s", (unsigned)run, said, ph_code_name(rc), err.text);
		}
		ph_client_free(c);
		free(w);
	}
	ph_source_free(s);
}

/* The same with an allocation failing somewhere: PH_ESYSTEM, and nothing left behind. */
static void
memory_may_run_out_in_any_of_them(void **state)
{
	struct ph_source *s = NULL;
	struct failing_memory fm;

	(void)state;
	assert_int_equal(ph_source_new_memory(&s, HI, strlen(HI), NULL), PH_OK);
	for (size_t n = 1; failing_memory_try(&fm, n); n++) {
		static const unsigned order[] = { 0, 4, 15, 27, 2, 6, 7, 8, 9, 13, 16, 17, 20, 15, 23, 24 };
		struct ph_client_opts o = { PH_CLIENT_OPTS_INIT, .tls = OFF, .allow_clear_auth = true,
		                            .memory = &fm.mem };
		struct wire *w = new_wire(NULL);
		struct ph_client *c = NULL;

		w->mind.ehlo = "250-peer\r\n250-AUTH PLAIN\r\n250-XCLIENT NAME\r\n250 XFORWARD NAME\r\n";
		if (ph_client_new(&c, &o, NULL) == PH_OK)
			for (size_t i = 0; i < COUNT(order); i++)
				call(c, order[i], w, s, NULL);
		ph_client_free(c);
		free(w);
		assert_int_equal(fm.live, 0);
	}
	ph_source_free(s);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(xclient_starts_the_session_anew),
		cmocka_unit_test(a_refused_xclient_changes_nothing),
		cmocka_unit_test(xforward_says_whom_the_mail_is_from),
		cmocka_unit_test(what_is_not_offered_or_not_an_attribute_is_not_sent),
		cmocka_unit_test(starttls_by_docmd_shakes_hands_too),
		cmocka_unit_test(a_login_before_starttls_counts_no_longer),
		cmocka_unit_test(starttls_by_docmd_is_refused_where_tls_is_off),
		cmocka_unit_test(a_login_by_docmd_is_not_made_again),
		cmocka_unit_test(unread_replies_are_never_taken_for_others),
		cmocka_unit_test(a_command_is_never_a_line_of_the_message),
		cmocka_unit_test(any_function_in_any_order_has_a_defined_result),
		cmocka_unit_test(memory_may_run_out_in_any_of_them),
	};

	return cmocka_run_group_tests(tests, rig_set_up, rig_tear_down);
}
