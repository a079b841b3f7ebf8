/* SPDX-License-Identifier: MIT */
/* Transactions with DATA: a command at a time, and pipelined (RFC 2920). Failures first. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "dialog.h"

#define TO_B  { .name = "one", .to = { "b@x.test" }, .body = HI }
#define TO_BC { .name = "one", .to = { "b@x.test", "c@x.test" }, .body = HI }
#define TWO   { .name = "two", .from = "z@x.test", .to = { "d@x.test" }, .body = HI }

#define FLIGHT_B   "MAIL FROM:<a@x.test>\r\nRCPT TO:<b@x.test>\r\nDATA\r\n"
#define FLIGHT_BC  "MAIL FROM:<a@x.test>\r\nRCPT TO:<b@x.test>\r\nRCPT TO:<c@x.test>\r\nDATA\r\n"
#define FLIGHT_TWO "MAIL FROM:<z@x.test>\r\nRCPT TO:<d@x.test>\r\nDATA\r\n"

/* ---- a command at a time --------------------------------------------------------------------- */

/* Nobody is told recipients of a message that the server does not want from this sender. */
DIALOG(after_a_refused_mail_no_recipient_is_named,
	.hello = PLAIN,
	.messages = { TO_BC, TWO },
	.steps = {
		submit(0), submit(1),
		sent("MAIL FROM:<a@x.test>\r\n"), peer("550 5.7.1 not you\r\n"),
		sent("MAIL FROM:<z@x.test>\r\n"), peer("250 ok\r\n"),
		sent("RCPT TO:<d@x.test>\r\n"),   peer("250 ok\r\n"),
		sent("DATA\r\n"),                 peer("354 go on\r\n"),
		sent(HI ".\r\n"),                 peer("250 ok\r\n"),
	},
	.told = "one: b@x.test refused refused mail reply 550 5.7.1\n"
	        "one: c@x.test refused refused mail reply 550 5.7.1\n"
	        "two: d@x.test accepted ok body reply 250\n")

DIALOG(a_refused_recipient_does_not_stop_the_rest,
	.hello = PLAIN,
	.messages = { { .name = "one", .to = { "b@x.test", "c@x.test", "d@x.test" }, .body = HI } },
	.tells_recipients = true,
	.steps = {
		submit(0),
		sent("MAIL FROM:<a@x.test>\r\n"), peer("250 ok\r\n"),
		sent("RCPT TO:<b@x.test>\r\n"),   peer("550 5.1.1 no such user\r\n"),
		sent("RCPT TO:<c@x.test>\r\n"),   peer("251 will forward\r\n"),
		sent("RCPT TO:<d@x.test>\r\n"),   peer("450 4.2.1 busy\r\n"),
		sent("DATA\r\n"),                 peer("354 go on\r\n"),
		sent(HI ".\r\n"),                 peer("250 ok\r\n"),
	},
	.told = "rcpt one b@x.test\n"
	        "rcpt one d@x.test\n"
	        "one: b@x.test refused refused rcpt reply 550 5.1.1\n"
	        "one: c@x.test accepted ok body reply 250\n"
	        "one: d@x.test deferred deferred rcpt reply 450 4.2.1\n")

/* The server still has the transaction open: the next needs RSET. */
DIALOG(when_no_recipient_is_left_data_is_not_sent,
	.hello = PLAIN,
	.messages = { TO_B, TWO },
	.steps = {
		submit(0), submit(1),
		sent("MAIL FROM:<a@x.test>\r\n"), peer("250 ok\r\n"),
		sent("RCPT TO:<b@x.test>\r\n"),   peer("550 5.1.1 no such user\r\n"),
		sent("RSET\r\n"),                 peer("250 ok\r\n"),
		sent("MAIL FROM:<z@x.test>\r\n"), peer("250 ok\r\n"),
		sent("RCPT TO:<d@x.test>\r\n"),   peer("250 ok\r\n"),
		sent("DATA\r\n"),                 peer("354 go on\r\n"),
		sent(HI ".\r\n"),                 peer("250 ok\r\n"),
	},
	.told = "one: b@x.test refused refused rcpt reply 550 5.1.1\n"
	        "two: d@x.test accepted ok body reply 250\n")

DIALOG(a_refused_data_decides_those_who_were_accepted,
	.hello = PLAIN,
	.messages = { TO_BC },
	.steps = {
		submit(0),
		sent("MAIL FROM:<a@x.test>\r\n"), peer("250 ok\r\n"),
		sent("RCPT TO:<b@x.test>\r\n"),   peer("250 ok\r\n"),
		sent("RCPT TO:<c@x.test>\r\n"),   peer("550 5.1.1 no\r\n"),
		sent("DATA\r\n"),                 peer("451 4.3.2 full\r\n"),
	},
	.told = "one: b@x.test deferred deferred data reply 451 4.3.2\n"
	        "one: c@x.test refused refused rcpt reply 550 5.1.1\n")

DIALOG(a_refused_rset_sends_the_next_message_to_a_fresh_connection,
	.hello = PLAIN,
	.messages = { TO_B, TWO },
	.steps = {
		submit(0), submit(1),
		sent("MAIL FROM:<a@x.test>\r\n"), peer("250 ok\r\n"),
		sent("RCPT TO:<b@x.test>\r\n"),   peer("550 no such user\r\n"),
		sent("RSET\r\n"),                 peer("502 what?\r\n"),
		new_session,
		submit(1),
		sent("MAIL FROM:<z@x.test>\r\n"), peer("250 ok\r\n"),
		sent("RCPT TO:<d@x.test>\r\n"),   peer("250 ok\r\n"),
		sent("DATA\r\n"),                 peer("354 go on\r\n"),
		sent(HI ".\r\n"),                 peer("250 ok\r\n"),
	},
	.told = "one: b@x.test refused refused rcpt reply 550\n"
	        "two: d@x.test again\n"
	        "closed deferred body after-surprise\n"
	        "two: d@x.test accepted ok body reply 250\n")

/* A refused message ends the transaction at the server (RFC 5321 §4.1.1.4), but not at every server. */
DIALOG(the_next_message_follows_a_refused_one,
	.hello = PLAIN,
	.messages = { TO_B, TWO },
	.steps = {
		submit(0), submit(1),
		sent("MAIL FROM:<a@x.test>\r\n"), peer("250 ok\r\n"),
		sent("RCPT TO:<b@x.test>\r\n"),   peer("250 ok\r\n"),
		sent("DATA\r\n"),                 peer("354 go on\r\n"),
		sent(HI ".\r\n"),                 peer("554 5.7.1 spam\r\n"),
		sent("RSET\r\n"),                 peer("250 ok\r\n"),
		sent("MAIL FROM:<z@x.test>\r\n"), peer("250 ok\r\n"),
		sent("RCPT TO:<d@x.test>\r\n"),   peer("250 ok\r\n"),
		sent("DATA\r\n"),                 peer("354 go on\r\n"),
		sent(HI ".\r\n"),                 peer("250 ok\r\n"),
	},
	.told = "one: b@x.test refused refused body reply 554 5.7.1\n"
	        "two: d@x.test accepted ok body reply 250\n")

DIALOG(a_server_that_answers_data_with_250_does_not_get_the_message,
	.hello = PLAIN,
	.messages = { TO_B },
	.steps = {
		submit(0),
		sent("MAIL FROM:<a@x.test>\r\n"), peer("250 ok\r\n"),
		sent("RCPT TO:<b@x.test>\r\n"),   peer("250 ok\r\n"),
		sent("DATA\r\n"),                 peer("250 ok\r\n"),
	},
	.told = "one: b@x.test deferred protocol data garbage\n"
	        "closed protocol data garbage\n")

DIALOG(a_third_354_is_no_final_reply,
	.hello = PLAIN,
	.messages = { TO_B },
	.steps = {
		submit(0),
		sent("MAIL FROM:<a@x.test>\r\n"), peer("250 ok\r\n"),
		sent("RCPT TO:<b@x.test>\r\n"),   peer("250 ok\r\n"),
		sent("DATA\r\n"),                 peer("354 go on\r\n"),
		sent(HI ".\r\n"),                 peer("354 go on\r\n"),
	},
	.told = "one: b@x.test in_doubt in_doubt body garbage\n"
	        "closed protocol body garbage\n")

DIALOG(helo_alone_is_enough_for_a_message,
	.hello = PLAIN, .helo = true,
	.messages = { TO_B },
	.steps = {
		submit(0),
		sent("MAIL FROM:<a@x.test>\r\n"), peer("250\r\n"),
		sent("RCPT TO:<b@x.test>\r\n"),   peer("250\r\n"),
		sent("DATA\r\n"),                 peer("354\r\n"),
		sent(HI ".\r\n"),                 peer("250\r\n"),
	},
	.told = "one: b@x.test accepted ok body reply 250\n")

DIALOG(keywords_in_a_reply_to_helo_mean_nothing,
	.hello = PIPELINING, .helo = true,
	.messages = { TO_B },
	.may_leave = true,
	.steps = {
		submit(0), sent("MAIL FROM:<a@x.test>\r\n"), peer("250 ok\r\n"),
		sent("RCPT TO:<b@x.test>\r\n"), eof,
	},
	.told = "one: b@x.test deferred deferred rcpt lost\n"
	        "closed deferred rcpt lost\n")

/* ---- in one flight --------------------------------------------------------------------------- */

DIALOG(all_recipients_refused_and_354_gets_a_lone_dot,
	.hello = PIPELINING,
	.messages = { TO_BC, TWO },
	.steps = {
		submit(0), submit(1),
		sent(FLIGHT_BC),
		peer("250 ok\r\n550 no\r\n451 4.7.1 grey\r\n354 go on\r\n"),
		sent(".\r\n" FLIGHT_TWO),
		peer("554 no valid recipients\r\n250 ok\r\n250 ok\r\n354 go on\r\n"),
		sent(HI ".\r\n"),
		peer("250 ok\r\n"),
	},
	.told = "one: b@x.test refused refused rcpt reply 550\n"
	        "one: c@x.test deferred deferred rcpt reply 451 4.7.1\n"
	        "two: d@x.test accepted ok body reply 250\n")

/* An empty message taken for nobody is nothing to be told of. */
DIALOG(a_250_to_the_lone_dot_accepts_nobody,
	.hello = PIPELINING,
	.messages = { TO_B },
	.steps = {
		submit(0), sent(FLIGHT_B), peer("250 ok\r\n550 5.1.1 no\r\n354 go on\r\n"),
		sent(".\r\n"), peer("250 ok\r\n"),
	},
	.told = "one: b@x.test refused refused rcpt reply 550 5.1.1\n")

DIALOG(all_recipients_refused_and_data_too_needs_rset,
	.hello = PIPELINING,
	.messages = { TO_B, TWO },
	.steps = {
		submit(0), submit(1),
		sent(FLIGHT_B),
		peer("250 ok\r\n550 5.1.1 no\r\n503 5.5.1 no recipients\r\n"),
		sent("RSET\r\n" FLIGHT_TWO),
		peer("250 ok\r\n250 ok\r\n250 ok\r\n354 go on\r\n"),
		sent(HI ".\r\n"),
		peer("250 ok\r\n"),
	},
	.told = "one: b@x.test refused refused rcpt reply 550 5.1.1\n"
	        "two: d@x.test accepted ok body reply 250\n")

/* Two's recipient may have been refused as a recipient of one's. */
DIALOG(behind_a_refused_rset_nobody_is_refused,
	.hello = PIPELINING,
	.messages = { TO_B, TWO },
	.steps = {
		submit(0), submit(1),
		sent(FLIGHT_B), peer("250 ok\r\n550 5.1.1 no\r\n503 5.5.1 no recipients\r\n"),
		sent("RSET\r\n" FLIGHT_TWO),
		peer("502 what?\r\n250 ok\r\n550 5.1.1 no\r\n503 5.5.1 no recipients\r\n"),
	},
	.told = "one: b@x.test refused refused rcpt reply 550 5.1.1\n"
	        "two: d@x.test again\n"
	        "closed deferred body after-surprise\n")

DIALOG(a_refused_mail_decides_whatever_follows_it,
	.hello = PIPELINING,
	.messages = { TO_BC, TWO },
	.steps = {
		submit(0), submit(1),
		sent(FLIGHT_BC),
		peer("451 4.7.1 later\r\n503 5.5.1 no\r\n250 ok\r\n503 5.5.1 no\r\n"),
		sent(FLIGHT_TWO),
		peer("250 ok\r\n250 ok\r\n354 go on\r\n"),
		sent(HI ".\r\n"),
		peer("250 ok\r\n"),
	},
	.told = "one: b@x.test deferred deferred mail reply 451 4.7.1\n"
	        "one: c@x.test deferred deferred mail reply 451 4.7.1\n"
	        "two: d@x.test accepted ok body reply 250\n")

DIALOG(a_refused_mail_and_354_get_a_lone_dot,
	.hello = PIPELINING,
	.messages = { TO_B },
	.steps = {
		submit(0), sent(FLIGHT_B), peer("550 5.7.1 no\r\n503 no\r\n354 go on\r\n"),
		sent(".\r\n"), peer("250 ok\r\n"),
	},
	.told = "one: b@x.test refused refused mail reply 550 5.7.1\n")

/* A 250 to RCPT and a 354 to DATA do not mend a refused MAIL: they belong to another envelope, and
 * the dot would send an empty message there. */
DIALOG(no_empty_message_goes_into_another_envelope,
	.hello = PIPELINING,
	.messages = { TO_B },
	.steps = { submit(0), sent(FLIGHT_B), peer("550 5.7.1 no\r\n250 ok\r\n354 go on\r\n") },
	.told = "one: b@x.test refused refused mail reply 550 5.7.1\n"
	        "closed deferred body after-surprise\n")

DIALOG(no_empty_message_goes_behind_a_refused_rset,
	.hello = PIPELINING,
	.messages = { TO_B, TWO },
	.steps = {
		submit(0), submit(1),
		sent(FLIGHT_B), peer("250 ok\r\n550 5.1.1 no\r\n503 5.5.1 no recipients\r\n"),
		sent("RSET\r\n" FLIGHT_TWO), peer("502 what?\r\n503 sender already given\r\n250 ok\r\n354 go on\r\n"),
	},
	.told = "one: b@x.test refused refused rcpt reply 550 5.1.1\n"
	        "two: d@x.test again\n"
	        "closed deferred body after-surprise\n")

DIALOG(some_recipients_refused_and_the_rest_accepted,
	.hello = PIPELINING,
	.messages = { TO_BC },
	.steps = {
		submit(0), sent(FLIGHT_BC), peer("250 ok\r\n550 5.1.1 no\r\n250 ok\r\n354 go on\r\n"),
		sent(HI ".\r\n"), peer("250 2.0.0 ok\r\n"),
	},
	.told = "one: b@x.test refused refused rcpt reply 550 5.1.1\n"
	        "one: c@x.test accepted ok body reply 250 2.0.0\n")

DIALOG(the_next_envelope_rides_behind_the_dot,
	.hello = PIPELINING,
	.messages = { TO_B, TWO, { .name = "three", .to = { "e@x.test" }, .body = HI } },
	.steps = {
		submit(0), submit(1), submit(2),
		sent(FLIGHT_B),
		peer("250 ok\r\n250 ok\r\n354 go on\r\n"),
		sent(HI ".\r\n" FLIGHT_TWO),
		peer("250 one\r\n250 ok\r\n550 5.1.1 no\r\n354 go on\r\n"),
		sent(".\r\nMAIL FROM:<a@x.test>\r\nRCPT TO:<e@x.test>\r\nDATA\r\n"),
		peer("554 no\r\n250 ok\r\n250 ok\r\n354 go on\r\n"),
		sent(HI ".\r\n"),
		peer("250 three\r\n"),
	},
	.told = "one: b@x.test accepted ok body reply 250\n"
	        "two: d@x.test refused refused rcpt reply 550 5.1.1\n"
	        "three: e@x.test accepted ok body reply 250\n")

/* Postfix, when its smtpd_end_of_data_restrictions refuse. Without a refusal before it, 503 would be
 * this message's own; and the dot of an envelope that is not ours is never written. */
DIALOG(behind_a_refused_message_a_refused_mail_is_tried_again,
	.hello = PIPELINING,
	.messages = { TO_B, TWO },
	.steps = {
		submit(0), submit(1),
		sent(FLIGHT_B), peer("250 ok\r\n250 ok\r\n354 go on\r\n"),
		sent(HI ".\r\n" FLIGHT_TWO),
		peer("451 4.7.1 not now\r\n503 5.5.1 nested MAIL\r\n250 ok\r\n354 go on\r\n"),
	},
	.told = "one: b@x.test deferred deferred body reply 451 4.7.1\n"
	        "two: d@x.test again\n"
	        "closed deferred body after-surprise\n")

DIALOG(behind_a_refused_message_a_refused_envelope_is_tried_after_rset,
	.hello = PIPELINING,
	.messages = { TO_B, TWO },
	.steps = {
		submit(0), submit(1),
		sent(FLIGHT_B), peer("250 ok\r\n250 ok\r\n354 go on\r\n"),
		sent(HI ".\r\n" FLIGHT_TWO),
		peer("554 no\r\n503 5.5.1 nested MAIL\r\n503 no\r\n503 no\r\n"),
		submit(1), sent("RSET\r\n" FLIGHT_TWO),
		peer("250 ok\r\n250 ok\r\n250 ok\r\n354 go on\r\n"),
		sent(HI ".\r\n"), peer("250 ok\r\n"),
	},
	.told = "one: b@x.test refused refused body reply 554\n"
	        "two: d@x.test again\n"
	        "two: d@x.test accepted ok body reply 250\n")

/* chasquid 1.11 reads past the dot and forgets what it has read. Nothing of the second message but
 * its envelope has gone, so it may go again. */
DIALOG(a_server_that_loses_what_rides_behind_the_dot,
	.hello = PIPELINING,
	.messages = { TO_B, TWO },
	.steps = {
		submit(0), submit(1),
		sent(FLIGHT_B), peer("250 ok\r\n250 ok\r\n354 go on\r\n"),
		sent(HI ".\r\n" FLIGHT_TWO), peer("250 one\r\n"),
		expires(15000),
	},
	.told = "one: b@x.test accepted ok body reply 250\n"
	        "two: d@x.test again\n"
	        "closed deferred mail after-surprise\n")

/* What does not ride has the five minutes of RFC 5321 §4.5.3.2.2. */
DIALOG(a_server_that_is_slow_at_mail,
	.hello = PIPELINING,
	.messages = { TO_B, TWO },
	.steps = {
		submit(0),
		sent(FLIGHT_B), peer("250 ok\r\n250 ok\r\n354 go on\r\n"),
		sent(HI ".\r\n"), peer("250 one\r\n"),
		submit(1), sent(FLIGHT_TWO), waits(60000), peer("250 ok\r\n250 ok\r\n354 go on\r\n"),
		sent(HI ".\r\n"), peer("250 two\r\n"),
	},
	.told = "one: b@x.test accepted ok body reply 250\n"
	        "two: d@x.test accepted ok body reply 250\n")

/* Found midway: not an octet more than the server takes. */
DIALOG(a_message_that_turns_out_too_large,
	.hello = "250-mx.test\r\n250-SIZE 12\r\n250 PIPELINING\r\n",
	.messages = { { .name = "one", .to = { "b@x.test" }, .body = "0123\r\n", .times = 3,
	                .piece = 6, .unknown = true } },
	.steps = {
		submit(0),
		sent(FLIGHT_B), peer("250 ok\r\n250 ok\r\n354 go on\r\n"),
	},
	.told = "one: b@x.test refused refused body limit 5.3.4\n"
	        "closed deferred body after-surprise\n")

DIALOG(an_option_turns_pipelining_off,
	.opts = { .no_pipelining = true },
	.hello = PIPELINING,
	.messages = { TO_B },
	.steps = {
		submit(0),
		sent("MAIL FROM:<a@x.test>\r\n"), peer("250 ok\r\n"),
		sent("RCPT TO:<b@x.test>\r\n"),   peer("250 ok\r\n"),
		sent("DATA\r\n"),                 peer("354 go on\r\n"),
		sent(HI ".\r\n"),                 peer("250 ok\r\n"),
	},
	.told = "one: b@x.test accepted ok body reply 250\n")

/* ---- the connection is lost ------------------------------------------------------------------ */

DIALOG(lost_before_the_message_is_deferred,
	.hello = PIPELINING,
	.messages = { TO_B, TWO },
	.steps = { submit(0), submit(1), sent(FLIGHT_B), peer("250 ok\r\n250 ok\r\n"), lost },
	.told = "one: b@x.test deferred deferred data system\n"
	        "two: d@x.test again\n"
	        "closed deferred data system\n")

DIALOG(lost_before_the_last_octet_is_deferred,
	.hello = PIPELINING,
	.messages = { TO_B },
	.steps = {
		submit(0), sent(FLIGHT_B), peer("250 ok\r\n250 ok\r\n354 go on\r\n"),
		sent(HI ".\r"), eof,
	},
	.told = "one: b@x.test deferred deferred body lost\n"
	        "closed deferred body lost\n")

DIALOG(lost_after_the_last_octet_is_in_doubt,
	.hello = PIPELINING,
	.messages = { TO_BC },
	.steps = {
		submit(0), sent(FLIGHT_BC), peer("250 ok\r\n550 5.1.1 no\r\n250 ok\r\n354 go on\r\n"),
		sent(HI ".\r\n"), eof,
	},
	.told = "one: b@x.test refused refused rcpt reply 550 5.1.1\n"
	        "one: c@x.test in_doubt in_doubt body lost\n"
	        "closed deferred body lost\n")

DIALOG(a_reply_cut_off_by_the_end_is_none,
	.hello = PIPELINING,
	.messages = { TO_B },
	.steps = {
		submit(0), sent(FLIGHT_B), peer("250 ok\r\n250 ok\r\n354 go on\r\n"),
		sent(HI ".\r\n"), peer("250 queu"), eof,
	},
	.told = "one: b@x.test in_doubt in_doubt body lost\n"
	        "closed deferred body lost\n")

DIALOG(a_final_reply_of_which_a_line_is_missing_is_none,
	.hello = PIPELINING,
	.messages = { TO_B },
	.steps = {
		submit(0), sent(FLIGHT_B), peer("250 ok\r\n250 ok\r\n354 go on\r\n"),
		sent(HI ".\r\n"), peer("250-queued\r\n"), eof,
	},
	.told = "one: b@x.test in_doubt in_doubt body lost\n"
	        "closed deferred body lost\n")

DIALOG(a_reply_before_the_end_counts,
	.hello = PIPELINING,
	.messages = { TO_B },
	.steps = {
		submit(0), sent(FLIGHT_B), peer("250 ok\r\n250 ok\r\n354 go on\r\n"),
		sent(HI ".\r\n"), peer("250 queued\r\n"), eof,
	},
	.told = "one: b@x.test accepted ok body reply 250\n"
	        "closed deferred mail lost\n")

DIALOG(lost_with_the_next_envelope_behind_the_dot,
	.hello = PIPELINING,
	.messages = { TO_B, TWO },
	.steps = {
		submit(0), submit(1), sent(FLIGHT_B), peer("250 ok\r\n250 ok\r\n354 go on\r\n"),
		sent(HI ".\r\nMAIL"), eof,
	},
	.told = "one: b@x.test in_doubt in_doubt body lost\n"
	        "two: d@x.test deferred deferred mail lost\n"
	        "closed deferred body lost\n")

DIALOG(cancelled_before_the_last_octet,
	.hello = PIPELINING,
	.messages = { TO_B },
	.steps = {
		submit(0), sent(FLIGHT_B), peer("250 ok\r\n250 ok\r\n354 go on\r\n"),
		sent(HI), cancel,
	},
	.told = "one: b@x.test deferred cancelled body cancelled\n"
	        "closed cancelled body cancelled\n")

DIALOG(cancelled_after_the_last_octet,
	.hello = PIPELINING,
	.messages = { TO_B },
	.steps = {
		submit(0), sent(FLIGHT_B), peer("250 ok\r\n250 ok\r\n354 go on\r\n"),
		sent(HI ".\r\n"), cancel,
	},
	.told = "one: b@x.test in_doubt in_doubt body cancelled\n"
	        "closed cancelled body cancelled\n")

/* ---- early, late, unasked -------------------------------------------------------------------- */

DIALOG(acceptance_before_the_last_octet_is_a_lie,
	.hello = PIPELINING,
	.messages = { TO_B },
	.steps = {
		submit(0), sent(FLIGHT_B), peer("250 ok\r\n250 ok\r\n354 go on\r\n"),
		sent(HI ".\r"), early("250 queued\r\n"),
	},
	.told = "one: b@x.test deferred protocol body early-reply\n"
	        "closed protocol body early-reply\n")

DIALOG(acceptance_with_the_354_is_a_lie,
	.hello = PIPELINING,
	.messages = { TO_B },
	.steps = {
		submit(0), sent(FLIGHT_B), peer("250 ok\r\n250 ok\r\n354 go on\r\n250 queued\r\n"),
	},
	.told = "one: b@x.test deferred protocol body early-reply\n"
	        "closed protocol body early-reply\n")

DIALOG(refusal_midway_counts_and_ends_the_session,
	.hello = PIPELINING,
	.messages = { TO_B, TWO },
	.steps = {
		submit(0), submit(1), sent(FLIGHT_B), peer("250 ok\r\n250 ok\r\n354 go on\r\n"),
		sent("Subject"), early("552 5.3.4 too much\r\n"),
	},
	.told = "one: b@x.test refused refused body reply 552 5.3.4\n"
	        "two: d@x.test again\n"
	        "closed deferred body after-surprise\n")

DIALOG(a_reply_to_half_a_command_breaks_the_protocol,
	.hello = PIPELINING,
	.messages = { TO_B },
	.steps = { submit(0), sent("MAIL FROM"), early("250 ok\r\n") },
	.told = "one: b@x.test deferred protocol mail early-reply\n"
	        "closed protocol mail early-reply\n")

DIALOG(a_354_before_data_went_out_breaks_the_protocol,
	.hello = PIPELINING,
	.messages = { TO_B },
	.steps = {
		submit(0), sent("MAIL FROM:<a@x.test>\r\nRCPT TO:<b@x.test>\r\nDA"),
		early("250 ok\r\n250 ok\r\n354 go on\r\n"),
	},
	.told = "one: b@x.test deferred protocol data early-reply\n"
	        "closed protocol data early-reply\n")

DIALOG(a_second_final_reply_belongs_to_nothing,
	.hello = PIPELINING,
	.messages = { TO_B },
	.steps = {
		submit(0), sent(FLIGHT_B), peer("250 ok\r\n250 ok\r\n354 go on\r\n"),
		sent(HI ".\r\n"), peer("250 queued\r\n250 queued\r\n"),
	},
	.told = "one: b@x.test accepted ok body reply 250\n"
	        "closed protocol mail unasked-reply\n")

/* With commands in flight one cannot tell; 354's place shows it, and nothing is accepted wrongly. */
DIALOG(a_reply_too_many_never_accepts_the_next_message,
	.hello = PIPELINING,
	.messages = { TO_B, TWO },
	.steps = {
		submit(0), submit(1), sent(FLIGHT_B), peer("250 ok\r\n250 ok\r\n354 go on\r\n"),
		sent(HI ".\r\n" FLIGHT_TWO),
		peer("250 one\r\n250 one again\r\n250 ok\r\n250 ok\r\n354 go on\r\n"),
	},
	.told = "one: b@x.test accepted ok body reply 250\n"
	        "two: d@x.test deferred protocol data garbage\n"
	        "closed protocol data garbage\n")

/* ---- 421 in every position ------------------------------------------------------------------- */

DIALOG(a_421_to_mail,
	.hello = PIPELINING,
	.messages = { TO_BC },
	.steps = { submit(0), sent(FLIGHT_BC), peer("421 4.3.2 bye\r\n") },
	.told = "one: b@x.test deferred deferred mail reply 421 4.3.2\n"
	        "one: c@x.test deferred deferred mail reply 421 4.3.2\n"
	        "closed deferred mail reply 421\n")

DIALOG(a_421_to_rcpt,
	.hello = PIPELINING,
	.messages = { TO_BC },
	.steps = { submit(0), sent(FLIGHT_BC), peer("250 ok\r\n550 no\r\n421 4.3.2 bye\r\n") },
	.told = "one: b@x.test refused refused rcpt reply 550\n"
	        "one: c@x.test deferred deferred rcpt reply 421 4.3.2\n"
	        "closed deferred rcpt reply 421\n")

DIALOG(a_421_to_the_last_rcpt_speaks_for_those_before,
	.hello = PIPELINING,
	.messages = { TO_BC },
	.steps = { submit(0), sent(FLIGHT_BC), peer("250 ok\r\n250 ok\r\n421 4.3.2 bye\r\n") },
	.told = "one: b@x.test deferred deferred rcpt reply 421 4.3.2\n"
	        "one: c@x.test deferred deferred rcpt reply 421 4.3.2\n"
	        "closed deferred rcpt reply 421\n")

DIALOG(a_421_to_data,
	.hello = PIPELINING,
	.messages = { TO_B },
	.steps = { submit(0), sent(FLIGHT_B), peer("250 ok\r\n250 ok\r\n421 4.3.2 bye\r\n") },
	.told = "one: b@x.test deferred deferred data reply 421 4.3.2\n"
	        "closed deferred data reply 421\n")

/* It is a valid final reply: not in doubt; and all queued behind it is deferred. */
DIALOG(a_421_to_the_dot,
	.hello = PIPELINING,
	.messages = { TO_B, TWO },
	.steps = {
		submit(0), submit(1), sent(FLIGHT_B), peer("250 ok\r\n250 ok\r\n354 go on\r\n"),
		sent(HI ".\r\n" FLIGHT_TWO), peer("421 4.3.2 bye\r\n"),
	},
	.told = "one: b@x.test deferred deferred body reply 421 4.3.2\n"
	        "two: d@x.test deferred deferred mail reply 421 4.3.2\n"
	        "closed deferred body reply 421\n")

DIALOG(a_421_inside_the_message,
	.hello = PIPELINING,
	.messages = { TO_B },
	.steps = {
		submit(0), sent(FLIGHT_B), peer("250 ok\r\n250 ok\r\n354 go on\r\n"),
		sent("Subj"), early("421 4.3.2 bye\r\n"),
	},
	.told = "one: b@x.test deferred deferred body reply 421 4.3.2\n"
	        "closed deferred body reply 421\n")

DIALOG(a_421_that_nobody_asked_for,
	.hello = PIPELINING,
	.messages = { TO_B },
	.steps = { peer("421 4.4.2 idle too long\r\n") },
	.told = "closed deferred mail reply 421\n")

DIALOG(a_421_before_the_command_has_gone,
	.hello = PIPELINING,
	.messages = { TO_B },
	.steps = { submit(0), early("421 4.4.2 idle too long\r\n") },
	.told = "one: b@x.test deferred deferred mail reply 421 4.4.2\n"
	        "closed deferred mail reply 421\n")

/* ---- again, on a fresh session --------------------------------------------------------------- */

DIALOG(only_the_undecided_are_tried_again,
	.hello = PIPELINING,
	.messages = { { .name = "one", .to = { "b@x.test", "c@x.test" }, .body = HI }, TWO },
	.steps = {
		submit(1), submit(0),
		sent(FLIGHT_TWO), peer("250 ok\r\n250 ok\r\n354 go on\r\n"),
		sent("Sub"), early("452 4.3.1 full\r\n"),
		new_session,
		submit(0),
		sent(FLIGHT_BC), peer("250 ok\r\n550 no\r\n250 ok\r\n354 go on\r\n"),
		sent(HI ".\r\n"), peer("250 ok\r\n"),
	},
	.told = "two: d@x.test deferred deferred body reply 452 4.3.1\n"
	        "one: b@x.test again\none: c@x.test again\n"
	        "closed deferred body after-surprise\n"
	        "one: b@x.test refused refused rcpt reply 550\n"
	        "one: c@x.test accepted ok body reply 250\n")

/* Nothing is left to do: it comes back at once and nothing is sent. */
DIALOG(a_transaction_that_is_decided_comes_back,
	.hello = PIPELINING,
	.messages = { TO_B },
	.steps = {
		submit(0), sent(FLIGHT_B), peer("550 no\r\n503 no\r\n503 no\r\n"),
		submit(0),
	},
	.told = "one: b@x.test refused refused mail reply 550\n"
	        "one: b@x.test refused refused mail reply 550\n")

/* ---- garbage --------------------------------------------------------------------------------- */

DIALOG(a_bare_lf_ends_a_reply_line_too,
	.hello = "250-mx.test\n250 PIPELINING\n",
	.messages = { TO_B },
	.steps = {
		submit(0), sent(FLIGHT_B), peer("250 ok\n250-ok\r\n250 ok\n354 go on\n"),
		sent(HI ".\r\n"), peer("250 ok\n"),
	},
	.told = "one: b@x.test accepted ok body reply 250\n")

DIALOG(different_codes_in_one_reply_break_the_protocol,
	.hello = PIPELINING,
	.messages = { TO_B },
	.steps = {
		submit(0), sent(FLIGHT_B), peer("250 ok\r\n250 ok\r\n354 go on\r\n"),
		sent(HI ".\r\n"), peer("250-queued\r\n550 or not\r\n"),
	},
	.told = "one: b@x.test in_doubt in_doubt body garbage\n"
	        "closed protocol body garbage\n")

DIALOG(the_octets_after_the_end_are_ignored,
	.hello = PIPELINING,
	.messages = { TO_B },
	.steps = {
		submit(0), sent(FLIGHT_B), peer("250 ok\r\nGET / HTTP/1.1\r\n"),
		peer("250 ok\r\n250 ok\r\n"), eof, waits(9999999), refuses(0),
	},
	.told = "one: b@x.test deferred protocol rcpt garbage\n"
	        "closed protocol rcpt garbage\n")

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(after_a_refused_mail_no_recipient_is_named),
		cmocka_unit_test(a_refused_recipient_does_not_stop_the_rest),
		cmocka_unit_test(when_no_recipient_is_left_data_is_not_sent),
		cmocka_unit_test(a_refused_data_decides_those_who_were_accepted),
		cmocka_unit_test(a_refused_rset_sends_the_next_message_to_a_fresh_connection),
		cmocka_unit_test(the_next_message_follows_a_refused_one),
		cmocka_unit_test(a_server_that_answers_data_with_250_does_not_get_the_message),
		cmocka_unit_test(a_third_354_is_no_final_reply),
		cmocka_unit_test(helo_alone_is_enough_for_a_message),
		cmocka_unit_test(keywords_in_a_reply_to_helo_mean_nothing),
		cmocka_unit_test(all_recipients_refused_and_354_gets_a_lone_dot),
		cmocka_unit_test(a_250_to_the_lone_dot_accepts_nobody),
		cmocka_unit_test(all_recipients_refused_and_data_too_needs_rset),
		cmocka_unit_test(behind_a_refused_rset_nobody_is_refused),
		cmocka_unit_test(a_refused_mail_decides_whatever_follows_it),
		cmocka_unit_test(a_refused_mail_and_354_get_a_lone_dot),
		cmocka_unit_test(no_empty_message_goes_into_another_envelope),
		cmocka_unit_test(no_empty_message_goes_behind_a_refused_rset),
		cmocka_unit_test(some_recipients_refused_and_the_rest_accepted),
		cmocka_unit_test(the_next_envelope_rides_behind_the_dot),
		cmocka_unit_test(behind_a_refused_message_a_refused_mail_is_tried_again),
		cmocka_unit_test(a_server_that_loses_what_rides_behind_the_dot),
		cmocka_unit_test(a_server_that_is_slow_at_mail),
		cmocka_unit_test(a_message_that_turns_out_too_large),
		cmocka_unit_test(behind_a_refused_message_a_refused_envelope_is_tried_after_rset),
		cmocka_unit_test(an_option_turns_pipelining_off),
		cmocka_unit_test(lost_before_the_message_is_deferred),
		cmocka_unit_test(lost_before_the_last_octet_is_deferred),
		cmocka_unit_test(lost_after_the_last_octet_is_in_doubt),
		cmocka_unit_test(a_reply_cut_off_by_the_end_is_none),
		cmocka_unit_test(a_final_reply_of_which_a_line_is_missing_is_none),
		cmocka_unit_test(a_reply_before_the_end_counts),
		cmocka_unit_test(lost_with_the_next_envelope_behind_the_dot),
		cmocka_unit_test(cancelled_before_the_last_octet),
		cmocka_unit_test(cancelled_after_the_last_octet),
		cmocka_unit_test(acceptance_before_the_last_octet_is_a_lie),
		cmocka_unit_test(acceptance_with_the_354_is_a_lie),
		cmocka_unit_test(refusal_midway_counts_and_ends_the_session),
		cmocka_unit_test(a_reply_to_half_a_command_breaks_the_protocol),
		cmocka_unit_test(a_354_before_data_went_out_breaks_the_protocol),
		cmocka_unit_test(a_second_final_reply_belongs_to_nothing),
		cmocka_unit_test(a_reply_too_many_never_accepts_the_next_message),
		cmocka_unit_test(a_421_to_mail),
		cmocka_unit_test(a_421_to_rcpt),
		cmocka_unit_test(a_421_to_the_last_rcpt_speaks_for_those_before),
		cmocka_unit_test(a_421_to_data),
		cmocka_unit_test(a_421_to_the_dot),
		cmocka_unit_test(a_421_inside_the_message),
		cmocka_unit_test(a_421_that_nobody_asked_for),
		cmocka_unit_test(a_421_before_the_command_has_gone),
		cmocka_unit_test(only_the_undecided_are_tried_again),
		cmocka_unit_test(a_transaction_that_is_decided_comes_back),
		cmocka_unit_test(a_bare_lf_ends_a_reply_line_too),
		cmocka_unit_test(different_codes_in_one_reply_break_the_protocol),
		cmocka_unit_test(the_octets_after_the_end_are_ignored),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
