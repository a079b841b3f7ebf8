/* SPDX-License-Identifier: MIT */
/* Greeting, EHLO, STARTTLS, AUTH, and commands by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "dialog.h"

#define GREETED   peer("220 mx.test\r\n")
#define G_TOLD    "reply GREETING 220\n"
#define EHLO      command("EHLO", "me.test"), sent("EHLO me.test\r\n")
#define ONE       { .name = "one", .to = { "b@x.test" }, .body = HI }

/* ---- greeting and EHLO ----------------------------------------------------------------------- */

DIALOG(a_greeting_of_several_lines_in_any_cutting,
	.steps = { peer("220-mx.test ESMTP\r\n220-no spam\n220 ready\r\n"), eof },
	.told = G_TOLD "closed deferred hello lost\n")

DIALOG(a_server_that_is_not_there_for_us,
	.steps = { peer("554 5.3.2 no service\r\n"), command("QUIT", NULL), sent("QUIT\r\n"), eof },
	.told = "reply GREETING 554 5.3.2\nclosed ok quit none\n")

DIALOG(a_421_for_a_greeting,
	.steps = { peer("421 4.3.2 too busy\r\n") },
	.told = "reply GREETING 421 4.3.2\nclosed deferred greeting reply 421\n")

DIALOG(a_web_server_does_not_speak_smtp,
	.steps = { peer("HTTP/1.1 400 Bad Request\r\n") },
	.told = "closed protocol greeting garbage\n")

DIALOG(an_imap_server_does_not_speak_smtp,
	.steps = { peer("* OK Dovecot ready.\r\n") },
	.told = "closed protocol greeting garbage\n")

DIALOG(a_tls_alert_is_recognised,
	.steps = { peer("\025\003\003\000\002\002\n") },
	.told = "closed security greeting clear-on-tls-port\n")

DIALOG(a_tls_alert_behind_a_greeting_is_garbage,
	.steps = { GREETED, EHLO, peer("\025\003\003\000\002\002\n") },
	.told = G_TOLD "closed protocol hello garbage\n")

DIALOG(no_greeting_but_the_end,
	.steps = { eof },
	.told = "closed deferred greeting lost\n")

DIALOG(commands_wait_for_the_greeting,
	.messages = { ONE },
	.steps = { refuses(0), GREETED, EHLO, refuses(0), peer("250 mx.test\r\n"), eof },
	.told = G_TOLD "reply EHLO 250\nclosed deferred mail lost\n")

DIALOG(helo_follows_a_refused_ehlo,
	.messages = { ONE },
	.steps = {
		GREETED, EHLO, peer("500 what?\r\n"), refuses(0),
		command("HELO", "me.test"), sent("HELO me.test\r\n"), peer("250 hi\r\n"),
		submit(0), sent("MAIL FROM:<a@x.test>\r\n"), peer("550 no\r\n"),
	},
	.told = G_TOLD "reply EHLO 500\nreply HELO 250\none: b@x.test refused refused mail reply 550\n")

DIALOG(a_reply_ahead_of_ehlo_breaks_the_protocol,
	.steps = { peer("220 mx.test\r\n250 hi\r\n") },
	.told = G_TOLD "closed protocol hello unasked-reply\n")

DIALOG(ehlo_forgets_what_an_earlier_one_offered,
	.hello = PIPELINING,
	.messages = { ONE },
	.steps = {
		EHLO, peer("250 mx.test\r\n"),
		submit(0), sent("MAIL FROM:<a@x.test>\r\n"), peer("550 no\r\n"),
	},
	.told = "reply EHLO 250\none: b@x.test refused refused mail reply 550\n")

/* ---- TLS ------------------------------------------------------------------------------------- */

DIALOG(after_tls_all_is_forgotten,
	.hello = "250-mx.test\r\n250-PIPELINING\r\n250 STARTTLS\r\n",
	.messages = { ONE },
	.steps = {
		command("STARTTLS", NULL), sent("STARTTLS\r\n"), peer("220 go\r\n"),
		tls_done, offers_nothing, refuses(0), EHLO, peer("250 mx.test\r\n"),
		submit(0), sent("MAIL FROM:<a@x.test>\r\n"), peer("550 no\r\n"),
	},
	.told = "reply STARTTLS 220\nwant_tls\nreply EHLO 250\n"
	        "one: b@x.test refused refused mail reply 550\n")

DIALOG(octets_behind_the_220_to_starttls_are_an_attack,
	.hello = "250-mx.test\r\n250 STARTTLS\r\n",
	.whole = true,
	.steps = {
		command("STARTTLS", NULL), sent("STARTTLS\r\n"), peer("220 go\r\n250 injected\r\n"),
	},
	.told = "closed security starttls injection\n")

DIALOG(half_a_line_behind_the_220_is_an_attack_too,
	.hello = "250-mx.test\r\n250 STARTTLS\r\n",
	.whole = true,
	.steps = { command("STARTTLS", NULL), sent("STARTTLS\r\n"), peer("220 go\r\n2") },
	.told = "closed security starttls injection\n")

/* A driver must not give them to the session, and the session does not trust it. */
DIALOG(clear_text_instead_of_the_handshake_is_an_attack,
	.hello = "250-mx.test\r\n250 STARTTLS\r\n",
	.steps = {
		command("STARTTLS", NULL), sent("STARTTLS\r\n"), peer("220 go\r\n"), peer("250 injected\r\n"),
		tls_done,
	},
	.told = "reply STARTTLS 220\nwant_tls\nclosed security starttls injection\n")

DIALOG(a_refused_starttls_leaves_the_session_as_it_was,
	.hello = PIPELINING,
	.messages = { ONE },
	.steps = {
		command("STARTTLS", NULL), sent("STARTTLS\r\n"), peer("454 4.7.0 not now\r\n250"), peer(" x\r\n"),
	},
	.told = "reply STARTTLS 454 4.7.0\nclosed protocol mail unasked-reply\n")

DIALOG(a_handshake_that_fails,
	.hello = PIPELINING,
	.steps = { command("STARTTLS", NULL), sent("STARTTLS\r\n"), peer("220 go\r\n"), lost },
	.told = "reply STARTTLS 220\nwant_tls\nclosed deferred tls system\n")

DIALOG(under_implicit_tls_the_greeting_comes_second,
	.opts = { .implicit_tls = true },
	.steps = { tls_done, GREETED, EHLO, peer("250 mx.test\r\n"), eof },
	.told = "want_tls\n" G_TOLD "reply EHLO 250\nclosed deferred mail lost\n")

/* ---- AUTH ------------------------------------------------------------------------------------ */

#define AUTH_PLAIN "250-mx.test\r\n250 AUTH PLAIN LOGIN\r\n"

DIALOG(an_initial_response_goes_with_the_command,
	.hello = AUTH_PLAIN,
	.secret = "AHRpbQB0YW5zdGFhZg",
	.steps = {
		auth("PLAIN", "\0tim\0tanstaaf"),
		sent("AUTH PLAIN AHRpbQB0YW5zdGFhZg==\r\n"), peer("235 2.7.0 welcome\r\n"),
	},
	.told = "reply AUTH 235 2.7.0\n",
	.trace = "> AUTH PLAIN [hidden]\n< 235 2.7.0 welcome\n")

DIALOG(an_empty_initial_response_is_an_equals_sign,
	.hello = AUTH_PLAIN,
	.steps = { auth("EXTERNAL", ""), sent("AUTH EXTERNAL =\r\n"), peer("235 ok\r\n") },
	.told = "reply AUTH 235\n")

/* "AUTH PLAIN " and CRLF leave 499 octets: 372 octets of base64's 496. */
DIALOG(an_initial_response_that_just_fits,
	.hello = AUTH_PLAIN,
	.steps = {
		auth_times("PLAIN", 124, "xyz"), sent("AUTH PLAIN "), sent_times(124, "eHl6"), sent("\r\n"),
		peer("235 ok\r\n"),
	},
	.told = "reply AUTH 235\n")

DIALOG(an_initial_response_that_does_not_fit_waits_for_334,
	.hello = AUTH_PLAIN,
	.secret = "eHl6",
	.steps = {
		auth_times("PLAIN", 125, "xyz"), sent("AUTH PLAIN\r\n"), peer("334 \r\n"),
		sent_times(125, "eHl6"), sent("\r\n"), peer("235 ok\r\n"),
	},
	.told = "reply AUTH 235\n")

DIALOG(an_initial_response_that_waited_is_dropped_when_refused,
	.hello = AUTH_PLAIN,
	.secret = "eHl6",
	.steps = {
		auth_times("PLAIN", 125, "xyz"), sent("AUTH PLAIN\r\n"), peer("504 5.5.4 no such\r\n"),
		auth_bare("LOGIN"), sent("AUTH LOGIN\r\n"), peer("334 VXNlcm5hbWU6\r\n"), auth_cancel,
		sent("*\r\n"), peer("501 5.7.0 as you like\r\n"),
	},
	.told = "reply AUTH 504 5.5.4\nchallenge Username:\nreply AUTH 501 5.7.0\n")

DIALOG(several_challenges_are_answered_in_turn,
	.hello = AUTH_PLAIN,
	.secret = "dGFuc3RhYWY",
	.steps = {
		auth_bare("LOGIN"), sent("AUTH LOGIN\r\n"), peer("334 VXNlcm5hbWU6\r\n"),
		respond("tim"), sent("dGlt\r\n"), peer("334 UGFzc3dvcmQ6\r\n"),
		respond("tanstaaf"), sent("dGFuc3RhYWY=\r\n"), peer("535 5.7.8 no\r\n"),
	},
	.told = "challenge Username:\nchallenge Password:\nreply AUTH 535 5.7.8\n",
	.trace = "> AUTH LOGIN\n< 334 VXNlcm5hbWU6\n> [hidden]\n< 334 [hidden]\n> [hidden]\n"
	         "< 535 5.7.8 no\n")

DIALOG(an_empty_challenge_and_an_empty_response,
	.hello = AUTH_PLAIN,
	.steps = {
		auth_bare("X"), sent("AUTH X\r\n"), peer("334\r\n"), respond(""), sent("\r\n"), peer("235 ok\r\n"),
	},
	.told = "challenge \nreply AUTH 235\n")

DIALOG(a_challenge_that_is_not_base64_is_cancelled,
	.hello = AUTH_PLAIN,
	.steps = {
		auth_bare("LOGIN"), sent("AUTH LOGIN\r\n"), peer("334 Username:\r\n"), auth_cancel, sent("*\r\n"),
		peer("501 ok\r\n"),
	},
	.told = "challenge?\nreply AUTH 501\n")

DIALOG(a_421_to_auth,
	.hello = AUTH_PLAIN,
	.steps = { auth("PLAIN", "x"), sent("AUTH PLAIN eA==\r\n"), peer("421 bye\r\n") },
	.told = "reply AUTH 421\nclosed deferred auth reply 421\n")

DIALOG(a_password_that_comes_back_as_it_is_is_hidden,
	.hello = AUTH_PLAIN,
	.secret = "tanstaaf",
	.steps = {
		auth("PLAIN", "\0tim\0tanstaaf"), sent("AUTH PLAIN AHRpbQB0YW5zdGFhZg==\r\n"),
		peer("535-5.7.8 no\r\n535 5.7.8 tim: \"tanstaaf\" is wrong\r\n"), eof,
	},
	.told = "reply AUTH 535 5.7.8\nclosed deferred mail lost\n")

DIALOG(a_secret_that_comes_back_later_is_hidden,
	.hello = AUTH_PLAIN,
	.messages = { ONE },
	.secret = "AHRpbQB0YW5zdGFhZg",
	.steps = {
		auth("PLAIN", "\0tim\0tanstaaf"), sent("AUTH PLAIN AHRpbQB0YW5zdGFhZg==\r\n"),
		peer("235 ok\r\n"), submit(0), sent("MAIL FROM:<a@x.test>\r\n"),
		peer("550 not after AUTH PLAIN AHRpbQB0YW5zdGFhZg==\r\n"), eof,
	},
	.told = "reply AUTH 235\none: b@x.test refused refused mail reply 550\nclosed deferred mail lost\n")

/* A token is neither alone nor last in what is sent. */
DIALOG(a_token_that_comes_back_is_hidden,
	.hello = AUTH_PLAIN,
	.secret = "ya29.tanstaafl",
	.steps = {
		auth("XOAUTH2", "user=tim\1auth=Bearer ya29.tanstaafl\1\1"),
		sent("AUTH XOAUTH2 dXNlcj10aW0BYXV0aD1CZWFyZXIgeWEyOS50YW5zdGFhZmwBAQ==\r\n"), peer("334 eyJzdGF0dXMiOiI0MDEiLCJ0b2tlbiI6InlhMjkudGFuc3RhYWZsIn0=\r\n"),
		respond(""), sent("\r\n"), peer("535-5.7.8 no\r\n535 5.7.8 tim: ya29.tanstaafl has expired\r\n"), eof,
	},
	.told = "challenge {\"status\":\"401\",\"token\":\"**************\"}\n"
	        "reply AUTH 535 5.7.8\nclosed deferred mail lost\n",
	.trace = "> AUTH XOAUTH2 [hidden]\n"
	         "< 334 eyJzdGF0dXMiOiI0MDEiLCJ0b2tlbiI6IioqKioqKioqKioqKioqIn0=\n> [hidden]\n"
	         "< 535-5.7.8 no\n< 535 5.7.8 tim: ************** has expired\n")

/* The answer to a refusal is not what there is to hide. */
DIALOG(a_token_that_comes_back_whole_is_hidden,
	.hello = AUTH_PLAIN,
	.secret = "bSwBYXV0aD1CZWFyZXIgeWEyOS50YW5z",
	.steps = {
		auth("OAUTHBEARER", "n,a=tim,\1auth=Bearer ya29.tanstaafl\1\1"),
		sent("AUTH OAUTHBEARER bixhPXRpbSwBYXV0aD1CZWFyZXIgeWEyOS50YW5zdGFhZmwBAQ==\r\n"), peer("334 eyJzdGF0dXMiOiI0MDEifQ==\r\n"),
		respond("\1"), sent("AQ==\r\n"), peer("535 5.7.8 no bixhPXRpbSwBYXV0aD1CZWFyZXIgeWEyOS50YW5zdGFhZmwBAQ==\r\n"), eof,
	},
	.told = "challenge {\"status\":\"401\"}\nreply AUTH 535 5.7.8\nclosed deferred mail lost\n")

/* Servers quote the line they do not like. */
DIALOG(a_secret_that_comes_back_is_hidden,
	.hello = AUTH_PLAIN,
	.secret = "AHRpbQB0YW5zdGFhZg",
	.steps = {
		auth("PLAIN", "\0tim\0tanstaaf"), sent("AUTH PLAIN AHRpbQB0YW5zdGFhZg==\r\n"),
		peer("501-5.5.2 cannot decode AHRpbQB0YW5zdGFhZg==\r\n501 5.5.2 in AUTH PLAIN AHRpbQB0YW5zdGFhZg==\r\n"),
	},
	.told = "reply AUTH 501 5.5.2\n")

DIALOG(lost_while_a_challenge_waits,
	.hello = AUTH_PLAIN,
	.steps = { auth_bare("LOGIN"), sent("AUTH LOGIN\r\n"), peer("334 VXNlcm5hbWU6\r\n"), eof },
	.told = "challenge Username:\nclosed deferred mail lost\n")

/* ---- by hand --------------------------------------------------------------------------------- */

DIALOG(any_command_by_hand,
	.hello = PLAIN,
	.steps = {
		command("NOOP", NULL), sent("NOOP\r\n"), peer("250 2.0.0 ok\r\n"),
		command("vrfy", "b"), sent("vrfy b\r\n"), peer("252 2.1.5 perhaps\r\n"),
		command("EXPN", "list"), sent("EXPN list\r\n"), peer("502 no\r\n"),
		command("HELP", NULL), sent("HELP\r\n"), peer("214-a\r\n214 b\r\n"),
		command("ETRN", "x.test"), sent("ETRN x.test\r\n"), peer("250 ok\r\n"),
		command("XYZZY", "NAME=x"), sent("XYZZY NAME=x\r\n"), peer("220 ok\r\n"),
		command("RSET", NULL), sent("RSET\r\n"), peer("250 ok\r\n"),
		command("QUIT", NULL), sent("QUIT\r\n"), peer("221 bye\r\n"),
	},
	.told = "reply NOOP 250 2.0.0\nreply VRFY 252 2.1.5\nreply EXPN 502\nreply HELP 214\nreply ETRN 250\n"
	        "reply  220\nreply RSET 250\nreply QUIT 221\nclosed ok quit none\n")

/* ---- XCLIENT, XFORWARD ----------------------------------------------------------------------- */

DIALOG(a_220_to_xclient_is_a_new_greeting,
	.hello = "250-mx.test\r\n250-PIPELINING\r\n250 XCLIENT NAME ADDR\r\n",
	.messages = { ONE },
	.steps = {
		command("MAIL", "FROM:<>"), sent("MAIL FROM:<>\r\n"), peer("250 ok\r\n"),
		command("XCLIENT", "NAME=x"), sent("XCLIENT NAME=x\r\n"), peer("220 mx.test\r\n"),
		offers_nothing, refuses(0), EHLO, peer("250 mx.test\r\n"),
		submit(0), sent("MAIL FROM:<a@x.test>\r\n"), peer("550 no\r\n"),
	},
	.told = "reply MAIL 250\nreply XCLIENT 220\nreply EHLO 250\n"
	        "one: b@x.test refused refused mail reply 550\n")

DIALOG(a_message_behind_xclient_waits_for_ehlo,
	.hello = "250-mx.test\r\n250-PIPELINING\r\n250 XCLIENT NAME ADDR\r\n",
	.messages = { ONE },
	.steps = {
		command("XCLIENT", "NAME=x"), submit(0), sent("XCLIENT NAME=x\r\n"),
		peer("220 mx.test\r\n"), EHLO, peer("250 mx.test\r\n"),
		sent("MAIL FROM:<a@x.test>\r\n"), peer("550 no\r\n"),
	},
	.told = "reply XCLIENT 220\nreply EHLO 250\none: b@x.test refused refused mail reply 550\n")

/* Postfix before 2.3 answers 250 and goes on. */
DIALOG(any_other_reply_to_xclient_leaves_the_session_as_it_was,
	.hello = "250-mx.test\r\n250-PIPELINING\r\n250 XCLIENT NAME ADDR\r\n",
	.messages = { ONE },
	.steps = {
		command("xclient", "ADDR=x"), sent("xclient ADDR=x\r\n"), peer("501 5.5.4 bad\r\n"),
		command("XCLIENT", "NAME=x"), sent("XCLIENT NAME=x\r\n"), peer("250 ok\r\n"),
		submit(0), sent("MAIL FROM:<a@x.test>\r\nRCPT TO:<b@x.test>\r\nDATA\r\n"),
		peer("550 no\r\n503 no\r\n503 no\r\n"),
	},
	.told = "reply XCLIENT 501 5.5.4\nreply XCLIENT 250\n"
	        "one: b@x.test refused refused mail reply 550\n")

DIALOG(a_421_to_xclient_ends_the_session,
	.hello = "250-mx.test\r\n250 XCLIENT NAME\r\n",
	.steps = { command("XCLIENT", "NAME=x"), sent("XCLIENT NAME=x\r\n"), peer("421 4.3.0 no\r\n") },
	.told = "reply XCLIENT 421 4.3.0\nclosed deferred hello reply 421\n")

DIALOG(xforward_changes_nothing_here,
	.hello = "250-mx.test\r\n250-PIPELINING\r\n250 XFORWARD NAME\r\n",
	.messages = { ONE },
	.steps = {
		command("XFORWARD", "NAME=x"), sent("XFORWARD NAME=x\r\n"), peer("250 2.0.0 Ok\r\n"),
		submit(0), sent("MAIL FROM:<a@x.test>\r\nRCPT TO:<b@x.test>\r\nDATA\r\n"),
		peer("550 no\r\n503 no\r\n503 no\r\n"),
	},
	.told = "reply XFORWARD 250 2.0.0\none: b@x.test refused refused mail reply 550\n")

DIALOG(secrets_by_hand_are_hidden_too,
	.hello = AUTH_PLAIN,
	.secret = "dGFuc3RhYWY",
	.steps = {
		command("AUTH", "LOGIN"), sent("AUTH LOGIN\r\n"), peer("334 VXNlcm5hbWU6\r\n"),
		command("dGlt", NULL), sent("dGlt\r\n"), peer("334 UGFzc3dvcmQ6\r\n"),
		command("dGFuc3RhYWY=", NULL), sent("dGFuc3RhYWY=\r\n"), peer("235 ok\r\n"),
		command("AUTH", "PLAIN AHRpbQB0YW5zdGFhZg=="), sent("AUTH PLAIN AHRpbQB0YW5zdGFhZg==\r\n"),
		peer("503 again?\r\n"),
	},
	.told = "reply AUTH 334\nreply AUTH 334\nreply AUTH 235\nreply AUTH 503\n",
	.trace = "> AUTH LOGIN\n< 334 VXNlcm5hbWU6\n> [hidden]\n< 334 UGFzc3dvcmQ6\n> [hidden]\n< 235 ok\n"
	         "> AUTH PLAIN [hidden]\n< 503 again?\n")

/* Servers quote these, too. */
DIALOG(a_secret_by_hand_that_comes_back_is_hidden,
	.hello = AUTH_PLAIN,
	.secret = "YW5zdGFhZg",
	.steps = {
		command("AUTH", "PLAIN AHRpbQB0YW5zdGFhZg=="), sent("AUTH PLAIN AHRpbQB0YW5zdGFhZg==\r\n"),
		peer("501 5.5.2 in AUTH PLAIN AHRpbQB0YW5zdGFhZg==\r\n"),
	},
	.told = "reply AUTH 501 5.5.2\n")

DIALOG(a_password_by_hand_that_comes_back_is_hidden,
	.hello = AUTH_PLAIN,
	.secret = "tanstaaf",
	.steps = {
		command("AUTH", "LOGIN"), sent("AUTH LOGIN\r\n"), peer("334 VXNlcm5hbWU6\r\n"),
		command("dGlt", NULL), sent("dGlt\r\n"), peer("334 UGFzc3dvcmQ6\r\n"),
		command("dGFuc3RhYWY=", NULL), sent("dGFuc3RhYWY=\r\n"),
		peer("535 5.7.8 tanstaaf (dGFuc3RhYWY=) is wrong\r\n"),
	},
	.told = "reply AUTH 334\nreply AUTH 334\nreply AUTH 535 5.7.8\n")

DIALOG(a_secret_that_went_as_octets_and_comes_back_is_hidden,
	.hello = AUTH_PLAIN,
	.secret = "dGFuc3RhYWY",
	.steps = {
		raw("AUTH PLAIN dGFuc3RhYWY=\r\n"), sent("AUTH PLAIN dGFuc3RhYWY=\r\n"), expect_reply,
		peer("500 what is AUTH PLAIN dGFuc3RhYWY=\r\n"),
		command("AUTH", "LOGIN"), sent("AUTH LOGIN\r\n"), peer("334 VXNlcm5hbWU6\r\n"),
		raw("dGFuc3RhYWY=\r\n"), sent("dGFuc3RhYWY=\r\n"), expect_reply,
		peer("535 5.7.8 dGFuc3RhYWY= is wrong\r\n"),
	},
	.told = "reply  500\nreply AUTH 334\nreply  535 5.7.8\n")

/* docmd("AUTH PLAIN", response): what smtplib's users write. */
DIALOG(a_secret_behind_a_verb_of_two_words_is_hidden,
	.hello = AUTH_PLAIN,
	.secret = "dGFuc3RhYWY",
	.steps = {
		command("AUTH PLAIN", "dGFuc3RhYWY="), sent("AUTH PLAIN dGFuc3RhYWY=\r\n"),
		peer("501 5.5.2 in AUTH PLAIN dGFuc3RhYWY=\r\n"),
		command("MAIL FROM:<a@x.test>", "SIZE=3"), sent("MAIL FROM:<a@x.test> SIZE=3\r\n"),
		peer("250 ok\r\n"),
	},
	.told = "reply AUTH 501 5.5.2\nreply MAIL 250\n")

/* Some secrets look like a verb in base64. */
DIALOG(a_secret_that_looks_like_a_verb_is_hidden,
	.hello = AUTH_PLAIN,
	.secret = "HELP",
	.steps = {
		command("AUTH", "LOGIN"), sent("AUTH LOGIN\r\n"), peer("334 VXNlcm5hbWU6\r\n"),
		command("HELP", NULL), sent("HELP\r\n"), peer("535 no\r\n"),
	},
	.told = "reply AUTH 334\nreply HELP 535\n")

DIALOG(a_message_by_hand,
	.hello = PLAIN,
	.messages = { { .name = "one", .body = "hi\n.\nho" }, { .name = "two", .to = { "b@x.test" }, .body = HI } },
	.steps = {
		command("MAIL", "FROM:<>"), sent("MAIL FROM:<>\r\n"), peer("250 ok\r\n"),
		command("RCPT", "TO:<b@x.test>"), sent("RCPT TO:<b@x.test>\r\n"), peer("250 ok\r\n"),
		submit_body(0), sent("DATA\r\n"), peer("354 go on\r\n"),
		sent("hi\r\n..\r\nho\r\n.\r\n"), peer("250 2.6.0 taken\r\n"),
		/* the message ended the transaction: no RSET */
		submit(1), sent("MAIL FROM:<a@x.test>\r\n"), peer("550 no\r\n"),
	},
	.told = "reply MAIL 250\nreply RCPT 250\nreply BODY 250 2.6.0\none: done ok none\n"
	        "two: b@x.test refused refused mail reply 550\n")

DIALOG(a_message_by_hand_that_is_refused_at_data,
	.hello = PLAIN,
	.messages = { { .name = "one", .body = HI } },
	.steps = {
		submit_body(0), sent("DATA\r\n"), peer("503 5.5.1 MAIL first\r\n"),
		command("NOOP", NULL), sent("NOOP\r\n"), peer("250 ok\r\n"),
	},
	.told = "reply DATA 503 5.5.1\none: done ok none\nreply NOOP 250\n")

DIALOG(a_message_by_hand_lost_before_its_end,
	.hello = PLAIN,
	.messages = { { .name = "one", .body = HI } },
	.steps = { submit_body(0), sent("DATA\r\n"), peer("354 go on\r\n"), sent(HI), eof },
	.told = "one: done deferred lost\nclosed deferred body lost\n")

DIALOG(a_message_by_hand_lost_after_its_end_is_in_doubt,
	.hello = PLAIN,
	.messages = { { .name = "one", .body = HI } },
	.steps = { submit_body(0), sent("DATA\r\n"), peer("354 go on\r\n"), sent(HI ".\r\n"), eof },
	.told = "one: done in_doubt lost\nclosed deferred body lost\n")

DIALOG(an_envelope_begun_by_hand_is_reset_before_a_message,
	.hello = PLAIN,
	.messages = { ONE },
	.steps = {
		command("MAIL", "FROM:<>"), sent("MAIL FROM:<>\r\n"), peer("250 ok\r\n"),
		submit(0), sent("RSET\r\n"), peer("250 ok\r\n"), sent("MAIL FROM:<a@x.test>\r\n"), peer("550 no\r\n"),
	},
	.told = "reply MAIL 250\none: b@x.test refused refused mail reply 550\n")

DIALOG(raw_octets_and_replies_that_nobody_asked_for,
	.hello = PLAIN,
	.steps = {
		raw("NOOP\r\nNOOP\r\n"), sent("NOOP\r\nNOOP\r\n"), peer("250 one\r\n250 two\r\n"),
		expect_reply, expect_reply,
	},
	.told = "reply  250\nreply  250\n")

DIALOG(quit_that_nobody_answers,
	.hello = PLAIN,
	.steps = { command("QUIT", NULL), sent("QUIT\r\n"), eof, peer("221 bye\r\n") },
	.told = "closed ok quit none\n")

DIALOG(the_end_while_idle,
	.hello = PLAIN,
	.steps = { eof },
	.told = "closed deferred mail lost\n")

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_greeting_of_several_lines_in_any_cutting),
		cmocka_unit_test(a_server_that_is_not_there_for_us),
		cmocka_unit_test(a_421_for_a_greeting),
		cmocka_unit_test(a_web_server_does_not_speak_smtp),
		cmocka_unit_test(an_imap_server_does_not_speak_smtp),
		cmocka_unit_test(a_tls_alert_is_recognised),
		cmocka_unit_test(a_tls_alert_behind_a_greeting_is_garbage),
		cmocka_unit_test(no_greeting_but_the_end),
		cmocka_unit_test(commands_wait_for_the_greeting),
		cmocka_unit_test(helo_follows_a_refused_ehlo),
		cmocka_unit_test(a_reply_ahead_of_ehlo_breaks_the_protocol),
		cmocka_unit_test(ehlo_forgets_what_an_earlier_one_offered),
		cmocka_unit_test(after_tls_all_is_forgotten),
		cmocka_unit_test(octets_behind_the_220_to_starttls_are_an_attack),
		cmocka_unit_test(half_a_line_behind_the_220_is_an_attack_too),
		cmocka_unit_test(clear_text_instead_of_the_handshake_is_an_attack),
		cmocka_unit_test(a_refused_starttls_leaves_the_session_as_it_was),
		cmocka_unit_test(a_handshake_that_fails),
		cmocka_unit_test(under_implicit_tls_the_greeting_comes_second),
		cmocka_unit_test(an_initial_response_goes_with_the_command),
		cmocka_unit_test(an_empty_initial_response_is_an_equals_sign),
		cmocka_unit_test(an_initial_response_that_just_fits),
		cmocka_unit_test(an_initial_response_that_does_not_fit_waits_for_334),
		cmocka_unit_test(an_initial_response_that_waited_is_dropped_when_refused),
		cmocka_unit_test(several_challenges_are_answered_in_turn),
		cmocka_unit_test(an_empty_challenge_and_an_empty_response),
		cmocka_unit_test(a_challenge_that_is_not_base64_is_cancelled),
		cmocka_unit_test(a_421_to_auth),
		cmocka_unit_test(a_password_that_comes_back_as_it_is_is_hidden),
		cmocka_unit_test(a_secret_that_comes_back_later_is_hidden),
		cmocka_unit_test(a_secret_that_comes_back_is_hidden),
		cmocka_unit_test(a_token_that_comes_back_is_hidden),
		cmocka_unit_test(a_token_that_comes_back_whole_is_hidden),
		cmocka_unit_test(lost_while_a_challenge_waits),
		cmocka_unit_test(any_command_by_hand),
		cmocka_unit_test(a_220_to_xclient_is_a_new_greeting),
		cmocka_unit_test(a_message_behind_xclient_waits_for_ehlo),
		cmocka_unit_test(any_other_reply_to_xclient_leaves_the_session_as_it_was),
		cmocka_unit_test(a_421_to_xclient_ends_the_session),
		cmocka_unit_test(xforward_changes_nothing_here),
		cmocka_unit_test(secrets_by_hand_are_hidden_too),
		cmocka_unit_test(a_secret_behind_a_verb_of_two_words_is_hidden),
		cmocka_unit_test(a_secret_by_hand_that_comes_back_is_hidden),
		cmocka_unit_test(a_secret_that_went_as_octets_and_comes_back_is_hidden),
		cmocka_unit_test(a_password_by_hand_that_comes_back_is_hidden),
		cmocka_unit_test(a_secret_that_looks_like_a_verb_is_hidden),
		cmocka_unit_test(a_message_by_hand),
		cmocka_unit_test(a_message_by_hand_that_is_refused_at_data),
		cmocka_unit_test(a_message_by_hand_lost_before_its_end),
		cmocka_unit_test(a_message_by_hand_lost_after_its_end_is_in_doubt),
		cmocka_unit_test(an_envelope_begun_by_hand_is_reset_before_a_message),
		cmocka_unit_test(raw_octets_and_replies_that_nobody_asked_for),
		cmocka_unit_test(quit_that_nobody_answers),
		cmocka_unit_test(the_end_while_idle),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
