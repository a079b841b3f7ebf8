/* SPDX-License-Identifier: MIT */
/* Transactions with BDAT (RFC 3030): windows, and what a refused chunk does to those behind it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "dialog.h"

#define ONE   { .name = "one", .to = { "b@x.test" }, .body = HI }
#define TWO   { .name = "two", .to = { "c@x.test" }, .body = HI }
#define THREE { .name = "three", .to = { "d@x.test" }, .body = HI }
#define FOUR  { .name = "four", .to = { "e@x.test" }, .body = HI }

/* A transaction as it goes out. */
#define MAIL(to) "MAIL FROM:<a@x.test>\r\nRCPT TO:<" to "@x.test>\r\nBDAT 22 LAST\r\n" HI
#define NEXT(to) "RSET\r\n" MAIL(to)
#define YES  "250 ok\r\n250 ok\r\n250 2.0.0 taken\r\n" /* to MAIL, RCPT, BDAT */
#define RYES "250 ok\r\n" YES

/* Brings the window to 2: one message answered 2yz. */
#define WARM { .name = "warm", .to = { "w@x.test" }, .body = HI }
#define WARM_STEPS(i) submit(i), sent(MAIL("w")), peer(YES)
#define WARM_TOLD "warm: w@x.test accepted ok body reply 250 2.0.0\n"

/* ---- windows --------------------------------------------------------------------------------- */

DIALOG(envelope_and_message_go_in_one_flight,
	.hello = CHUNKING,
	.messages = { ONE },
	.steps = { submit(0), sent(MAIL("b")), peer(YES) },
	.told = "one: b@x.test accepted ok body reply 250 2.0.0\n",
	.trace = "> MAIL FROM:<a@x.test>\n> RCPT TO:<b@x.test>\n> BDAT 22 LAST\n> [22 octets of message]\n"
	         "< 250 ok\n< 250 ok\n< 250 2.0.0 taken\n")

DIALOG(without_pipelining_each_step_waits,
	.hello = "250-mx.test\r\n250 CHUNKING\r\n",
	.messages = { ONE, TWO },
	.steps = {
		submit(0), submit(1),
		sent("MAIL FROM:<a@x.test>\r\n"), peer("250 ok\r\n"),
		sent("RCPT TO:<b@x.test>\r\n"),   peer("250 ok\r\n"),
		sent("BDAT 22 LAST\r\n" HI),      peer("250 ok\r\n"),
		sent("MAIL FROM:<a@x.test>\r\n"), peer("250 ok\r\n"),
		sent("RCPT TO:<c@x.test>\r\n"),   peer("250 ok\r\n"),
		sent("BDAT 22 LAST\r\n" HI),      peer("250 ok\r\n"),
	},
	.told = "one: b@x.test accepted ok body reply 250\n"
	        "two: c@x.test accepted ok body reply 250\n")

DIALOG(the_window_begins_at_one_and_doubles,
	.hello = CHUNKING,
	.messages = { ONE, TWO, THREE, FOUR, ONE, TWO, THREE, FOUR },
	.steps = {
		submit(0), submit(1), submit(2), submit(3), submit(4), submit(5), submit(6), submit(7),
		sent(MAIL("b")), peer(YES),
		sent(MAIL("c") NEXT("d")), peer(YES RYES),
		/* one of the two is still unanswered when the next ones begin: RSET */
		sent(NEXT("e") NEXT("b") NEXT("c") NEXT("d")), peer(RYES),
		sent(NEXT("e")), peer(RYES RYES RYES RYES),
	},
	.told = "one: b@x.test accepted ok body reply 250 2.0.0\n"
	        "two: c@x.test accepted ok body reply 250 2.0.0\n"
	        "three: d@x.test accepted ok body reply 250 2.0.0\n"
	        "four: e@x.test accepted ok body reply 250 2.0.0\n"
	        "one: b@x.test accepted ok body reply 250 2.0.0\n"
	        "two: c@x.test accepted ok body reply 250 2.0.0\n"
	        "three: d@x.test accepted ok body reply 250 2.0.0\n"
	        "four: e@x.test accepted ok body reply 250 2.0.0\n")

DIALOG(the_window_grows_no_further_than_its_limit,
	.opts = { .window = 2 },
	.hello = CHUNKING,
	.messages = { ONE, TWO, THREE, FOUR, ONE },
	.steps = {
		submit(0), submit(1), submit(2), submit(3), submit(4),
		sent(MAIL("b")), peer(YES),
		sent(MAIL("c") NEXT("d")), peer(YES RYES),
		sent(NEXT("e") NEXT("b")), peer(RYES RYES),
	},
	.told = "one: b@x.test accepted ok body reply 250 2.0.0\n"
	        "two: c@x.test accepted ok body reply 250 2.0.0\n"
	        "three: d@x.test accepted ok body reply 250 2.0.0\n"
	        "four: e@x.test accepted ok body reply 250 2.0.0\n"
	        "one: b@x.test accepted ok body reply 250 2.0.0\n")

DIALOG(a_window_of_one_stays_one,
	.opts = { .window = 1 },
	.hello = CHUNKING,
	.messages = { ONE, TWO, THREE },
	.steps = {
		submit(0), submit(1), submit(2),
		sent(MAIL("b")), peer(YES), sent(MAIL("c")), peer(YES), sent(MAIL("d")), peer(YES),
	},
	.told = "one: b@x.test accepted ok body reply 250 2.0.0\n"
	        "two: c@x.test accepted ok body reply 250 2.0.0\n"
	        "three: d@x.test accepted ok body reply 250 2.0.0\n")

/* A refused recipient is a surprise, though the connection can be used on. */
DIALOG(the_window_falls_back_to_one,
	.hello = CHUNKING,
	.messages = { WARM, { .name = "one", .to = { "b@x.test", "z@x.test" }, .body = HI }, TWO, THREE, FOUR },
	.steps = {
		WARM_STEPS(0), submit(1),
		sent("MAIL FROM:<a@x.test>\r\nRCPT TO:<b@x.test>\r\nRCPT TO:<z@x.test>\r\nBDAT 22 LAST\r\n" HI),
		peer("250 ok\r\n250 ok\r\n550 5.1.1 no\r\n250 taken\r\n"),
		submit(2), submit(3), submit(4),
		sent(MAIL("c")), peer(YES),
		sent(MAIL("d") NEXT("e")), peer(YES RYES),
	},
	.told = WARM_TOLD
	        "one: b@x.test accepted ok body reply 250\n"
	        "one: z@x.test refused refused rcpt reply 550 5.1.1\n"
	        "two: c@x.test accepted ok body reply 250 2.0.0\n"
	        "three: d@x.test accepted ok body reply 250 2.0.0\n"
	        "four: e@x.test accepted ok body reply 250 2.0.0\n")

DIALOG(no_dup_means_a_window_of_one,
	.hello = CHUNKING,
	.messages = { WARM, ONE, { .name = "two", .to = { "c@x.test" }, .body = HI, .no_dup = true }, THREE },
	.steps = {
		WARM_STEPS(0), submit(1), submit(2), submit(3),
		sent(MAIL("b")), peer(YES), sent(MAIL("c")), peer(YES), sent(MAIL("d")), peer(YES),
	},
	.told = WARM_TOLD
	        "one: b@x.test accepted ok body reply 250 2.0.0\n"
	        "two: c@x.test accepted ok body reply 250 2.0.0\n"
	        "three: d@x.test accepted ok body reply 250 2.0.0\n")

/* It may turn out too large, and Exim then reads the rest of it as commands. */
DIALOG(nothing_rides_behind_a_message_of_unknown_size,
	.hello = CHUNKING,
	.messages = { WARM, { .name = "one", .to = { "b@x.test" }, .body = HI, .unknown = true }, TWO },
	.steps = {
		WARM_STEPS(0), submit(1), submit(2),
		sent("MAIL FROM:<a@x.test>\r\nRCPT TO:<b@x.test>\r\n"), peer("250 ok\r\n250 ok\r\n"),
		sent("BDAT 22 LAST\r\n" HI), peer("250 2.0.0 taken\r\n"),
		sent(MAIL("c")), peer(YES),
	},
	.told = WARM_TOLD
	        "one: b@x.test accepted ok body reply 250 2.0.0\n"
	        "two: c@x.test accepted ok body reply 250 2.0.0\n")

/* Behind a refused RSET the server may deliver what does not count: it gets the envelope first. */
DIALOG(no_dup_is_not_sent_before_rset_is_answered,
	.hello = CHUNKING,
	.messages = { { .name = "one", .to = { "b@x.test" }, .body = HI, .unknown = true },
	              { .name = "two", .to = { "c@x.test" }, .body = HI, .no_dup = true } },
	.steps = {
		submit(0), submit(1),
		sent("MAIL FROM:<a@x.test>\r\nRCPT TO:<b@x.test>\r\n"), peer("250 ok\r\n550 5.1.1 no\r\n"),
		sent("RSET\r\nMAIL FROM:<a@x.test>\r\nRCPT TO:<c@x.test>\r\n"),
		peer("502 what?\r\n250 ok\r\n250 ok\r\n"),
	},
	.told = "one: b@x.test refused refused rcpt reply 550 5.1.1\n"
	        "two: c@x.test again\n"
	        "closed deferred body after-surprise\n")

/* ---- sizes and chunks ------------------------------------------------------------------------ */

DIALOG(an_empty_message_is_an_empty_chunk,
	.hello = CHUNKING,
	.messages = { { .name = "one", .to = { "b@x.test" }, .body = "" } },
	.steps = {
		submit(0), sent("MAIL FROM:<a@x.test>\r\nRCPT TO:<b@x.test>\r\nBDAT 0 LAST\r\n"), peer(YES),
	},
	.told = "one: b@x.test accepted ok body reply 250 2.0.0\n")

/* Nothing is stuffed; line ends are mended, across chunks too. */
DIALOG(chunks_of_mended_lines_have_their_true_size,
	.hello = CHUNKING,
	.messages = { { .name = "one", .to = { "b@x.test" }, .body = "a\r\n.\rb\n\n.c", .piece = 3,
	                .unknown = true } },
	.steps = {
		submit(0), sent("MAIL FROM:<a@x.test>\r\nRCPT TO:<b@x.test>\r\n"), peer("250 ok\r\n250 ok\r\n"),
		sent("BDAT 3\r\na\r\nBDAT 4\r\n.\r\nb" "BDAT 5\r\n\r\n\r\n." "BDAT 3 LAST\r\nc\r\n"),
		peer("250 ok\r\n250 ok\r\n250 ok\r\n250 2.0.0 taken\r\n"),
	},
	.told = "one: b@x.test accepted ok body reply 250 2.0.0\n")

DIALOG(clean_chunks_cut_inside_a_line_end,
	.hello = CHUNKING,
	.messages = { { .name = "one", .to = { "b@x.test" }, .body = "ab\r\ncd\r\n", .piece = 3 } },
	.steps = {
		submit(0),
		sent("MAIL FROM:<a@x.test>\r\nRCPT TO:<b@x.test>\r\nBDAT 2\r\nab" "BDAT 4\r\n\r\ncd" "BDAT 2 LAST\r\n\r\n"),
		peer("250 ok\r\n250 ok\r\n250 2 octets\r\n250 6 octets\r\n250 2.0.0 taken\r\n"),
	},
	.told = "one: b@x.test accepted ok body reply 250 2.0.0\n")

DIALOG(the_last_chunk_may_be_empty,
	.hello = CHUNKING,
	.messages = { { .name = "one", .to = { "b@x.test" }, .body = HI, .last_apart = true } },
	.steps = {
		submit(0),
		sent("MAIL FROM:<a@x.test>\r\nRCPT TO:<b@x.test>\r\nBDAT 22\r\n" HI "BDAT 0 LAST\r\n"),
		peer("250 ok\r\n250 ok\r\n250 22 octets\r\n250 2.0.0 taken\r\n"),
	},
	.told = "one: b@x.test accepted ok body reply 250 2.0.0\n")

/* ---- refusals -------------------------------------------------------------------------------- */

DIALOG(a_refused_message_closes_the_connection,
	.hello = CHUNKING,
	.messages = { ONE, TWO },
	.steps = {
		submit(0), submit(1), sent(MAIL("b")), peer("250 ok\r\n250 ok\r\n554 5.7.1 spam\r\n"),
	},
	.told = "one: b@x.test refused refused body reply 554 5.7.1\n"
	        "two: c@x.test again\n"
	        "closed deferred body after-surprise\n")

DIALOG(a_later_message_is_accepted_by_its_own_full_set,
	.hello = CHUNKING,
	.messages = { WARM, ONE, TWO },
	.steps = {
		WARM_STEPS(0), submit(1), submit(2), sent(MAIL("b") NEXT("c")),
		peer("250 ok\r\n250 ok\r\n452 4.3.1 full\r\n" RYES),
	},
	.told = WARM_TOLD
	        "one: b@x.test deferred deferred body reply 452 4.3.1\n"
	        "two: c@x.test accepted ok body reply 250 2.0.0\n"
	        "closed deferred body after-surprise\n")

DIALOG(a_later_message_answered_negatively_is_tried_again_alone,
	.hello = CHUNKING,
	.messages = { WARM, ONE, TWO },
	.steps = {
		WARM_STEPS(0), submit(1), submit(2), sent(MAIL("b") NEXT("c")),
		peer("250 ok\r\n250 ok\r\n452 4.3.1 full\r\n250 ok\r\n250 ok\r\n550 5.1.1 no\r\n503 5.5.1 no\r\n"),
		new_session,
		submit(2), sent(MAIL("c")), peer("250 ok\r\n550 5.1.1 no\r\n503 5.5.1 no\r\n"),
	},
	.told = WARM_TOLD
	        "one: b@x.test deferred deferred body reply 452 4.3.1\n"
	        "two: c@x.test again\n"
	        "closed deferred body after-surprise\n"
	        "two: c@x.test refused refused rcpt reply 550 5.1.1\n"
	        "closed deferred body after-surprise\n")

DIALOG(a_refused_mail_with_everything_in_flight,
	.hello = CHUNKING,
	.messages = { WARM, ONE, TWO },
	.steps = {
		WARM_STEPS(0), submit(1), submit(2), sent(MAIL("b") NEXT("c")),
		peer("550 5.7.1 not you\r\n503 5.5.1 no\r\n503 5.5.1 no\r\n" RYES),
	},
	.told = WARM_TOLD
	        "one: b@x.test refused refused mail reply 550 5.7.1\n"
	        "two: c@x.test accepted ok body reply 250 2.0.0\n"
	        "closed deferred body after-surprise\n")

DIALOG(one_of_two_recipients_refused_behind_a_surprise_is_tried_again,
	.hello = CHUNKING,
	.messages = { WARM, ONE, { .name = "two", .to = { "c@x.test", "d@x.test" }, .body = HI } },
	.steps = {
		WARM_STEPS(0), submit(1), submit(2),
		sent(MAIL("b") "RSET\r\nMAIL FROM:<a@x.test>\r\nRCPT TO:<c@x.test>\r\nRCPT TO:<d@x.test>\r\nBDAT 22 LAST\r\n" HI),
		peer("250 ok\r\n250 ok\r\n452 full\r\n250 ok\r\n250 ok\r\n550 no\r\n250 ok\r\n250 taken\r\n"),
		new_session,
		submit(2), sent(MAIL("c")), peer(YES),
	},
	.told = WARM_TOLD
	        "one: b@x.test deferred deferred body reply 452\n"
	        "two: c@x.test again\n"
	        "two: d@x.test accepted ok body reply 250\n"
	        "closed deferred body after-surprise\n"
	        "two: c@x.test accepted ok body reply 250 2.0.0\n"
	        "two: d@x.test accepted ok body reply 250\n")

/* The refusal is not believed; but the message has gone, and the other recipient had been taken. */
DIALOG(a_message_lost_behind_a_surprise_is_in_doubt_if_anybody_was_taken,
	.hello = CHUNKING,
	.messages = { WARM, ONE, { .name = "two", .to = { "c@x.test", "d@x.test" }, .body = HI } },
	.steps = {
		WARM_STEPS(0), submit(1), submit(2),
		sent(MAIL("b") "RSET\r\nMAIL FROM:<a@x.test>\r\nRCPT TO:<c@x.test>\r\nRCPT TO:<d@x.test>\r\nBDAT 22 LAST\r\n" HI),
		peer("250 ok\r\n250 ok\r\n452 full\r\n250 ok\r\n250 ok\r\n550 no\r\n250 ok\r\n"), eof,
	},
	.told = WARM_TOLD
	        "one: b@x.test deferred deferred body reply 452\n"
	        "two: c@x.test in_doubt in_doubt body lost\n"
	        "two: d@x.test in_doubt in_doubt body lost\n"
	        "closed deferred body lost\n")

/* What has not gone yet stays here. */
DIALOG(nothing_more_is_written_behind_a_refused_chunk,
	.hello = CHUNKING,
	.messages = { WARM, ONE, TWO },
	.steps = {
		WARM_STEPS(0), submit(1), submit(2), sent(MAIL("b") "RSET\r\nMAIL FROM"),
		early("250 ok\r\n250 ok\r\n452 full\r\n"), peer("250 ok\r\n"),
	},
	.told = WARM_TOLD
	        "one: b@x.test deferred deferred body reply 452\n"
	        "two: c@x.test again\n"
	        "closed deferred body after-surprise\n")

DIALOG(a_chunk_refused_midway_decides_the_message,
	.hello = CHUNKING,
	.messages = { { .name = "one", .to = { "b@x.test" }, .body = HI, .piece = 11 }, TWO },
	.steps = {
		submit(0), submit(1),
		sent("MAIL FROM:<a@x.test>\r\nRCPT TO:<b@x.test>\r\nBDAT 11\r\nSubject: hi" "BDAT 11 LAST\r\n\r\n\r\nhello\r\n"),
		peer("250 ok\r\n250 ok\r\n552 5.3.4 too much\r\n503 5.5.1 no\r\n"),
	},
	.told = "one: b@x.test refused refused body reply 552 5.3.4\n"
	        "two: c@x.test again\n"
	        "closed deferred body after-surprise\n")

/* The other chunk's reply could change nothing: a server that never sends it does not hold us. */
DIALOG(behind_a_refused_chunk_nothing_is_waited_for_that_decides_nothing,
	.hello = CHUNKING,
	.messages = { { .name = "one", .to = { "b@x.test" }, .body = HI, .piece = 11 } },
	.steps = {
		submit(0),
		sent("MAIL FROM:<a@x.test>\r\nRCPT TO:<b@x.test>\r\nBDAT 11\r\nSubject: hi" "BDAT 11 LAST\r\n\r\n\r\nhello\r\n"),
		peer("250 ok\r\n250 ok\r\n552 5.3.4 too much\r\n"), never_expires,
	},
	.told = "one: b@x.test refused refused body reply 552 5.3.4\n"
	        "closed deferred body after-surprise\n")

/* The refusal comes before all of the chunk is sent: the rest stays here. */
DIALOG(a_refusal_inside_a_chunk,
	.hello = CHUNKING,
	.messages = { ONE, TWO },
	.steps = {
		submit(0), submit(1), sent("MAIL FROM:<a@x.test>\r\nRCPT TO:<b@x.test>\r\nBDAT 22 LAST\r\nSub"),
		early("250 ok\r\n250 ok\r\n552 5.3.4 too much\r\n"),
	},
	.told = "one: b@x.test refused refused body reply 552 5.3.4\n"
	        "two: c@x.test again\n"
	        "closed deferred body after-surprise\n")

DIALOG(acceptance_inside_a_chunk_is_a_lie,
	.hello = CHUNKING,
	.messages = { ONE },
	.steps = {
		submit(0), sent("MAIL FROM:<a@x.test>\r\nRCPT TO:<b@x.test>\r\nBDAT 22 LAST\r\nSub"),
		early("250 ok\r\n250 ok\r\n250 taken\r\n"),
	},
	.told = "one: b@x.test deferred protocol body early-reply\n"
	        "closed protocol body early-reply\n")

/* A refusal of what it has seen nothing of is no answer to it. */
DIALOG(a_refusal_before_the_chunk_began_breaks_the_protocol,
	.hello = CHUNKING,
	.messages = { ONE },
	.steps = {
		submit(0), sent("MAIL FROM:<a@x.test>\r\nRCPT TO:<b@x.test>\r\n"),
		early("250 ok\r\n250 ok\r\n550 5.7.1 no\r\n"),
	},
	.told = "one: b@x.test deferred protocol body early-reply\n"
	        "closed protocol body early-reply\n")

DIALOG(a_354_to_a_chunk_is_no_final_reply,
	.hello = CHUNKING,
	.messages = { ONE },
	.steps = { submit(0), sent(MAIL("b")), peer("250 ok\r\n250 ok\r\n354 go on\r\n") },
	.told = "one: b@x.test in_doubt in_doubt body garbage\n"
	        "closed protocol body garbage\n")

/* ---- the connection is lost ------------------------------------------------------------------ */

DIALOG(lost_before_the_last_octet_of_the_last_chunk,
	.hello = CHUNKING,
	.messages = { ONE },
	.steps = {
		submit(0), sent("MAIL FROM:<a@x.test>\r\nRCPT TO:<b@x.test>\r\nBDAT 22 LAST\r\nSubject: hi\r\n\r\nhello\r"),
		eof,
	},
	.told = "one: b@x.test deferred deferred body lost\n"
	        "closed deferred mail lost\n")

/* MAIL and RCPT are not even answered, and yet the server may deliver it. */
DIALOG(all_that_was_handed_over_is_in_doubt,
	.hello = CHUNKING,
	.messages = { WARM, ONE, TWO, THREE },
	.steps = {
		WARM_STEPS(0), submit(1), submit(2), submit(3), sent(MAIL("b") NEXT("c")), eof,
	},
	.told = WARM_TOLD
	        "one: b@x.test in_doubt in_doubt body lost\n"
	        "two: c@x.test in_doubt in_doubt body lost\n"
	        "three: d@x.test again\n"
	        "closed deferred mail lost\n")

DIALOG(lost_between_two_chunks_is_not_in_doubt,
	.hello = CHUNKING,
	.messages = { { .name = "one", .to = { "b@x.test" }, .body = HI, .piece = 11, .stalls = true } },
	.steps = {
		submit(0), sent("MAIL FROM:<a@x.test>\r\nRCPT TO:<b@x.test>\r\nBDAT 11\r\nSubject: hi"),
		peer("250 ok\r\n250 ok\r\n250 ok\r\n"), eof,
	},
	.told = "one: b@x.test deferred deferred body lost\n"
	        "closed deferred body lost\n")

DIALOG(refusals_before_the_end_decide,
	.hello = CHUNKING,
	.messages = { WARM, { .name = "one", .to = { "b@x.test", "c@x.test" }, .body = HI }, TWO },
	.steps = {
		WARM_STEPS(0), submit(1), submit(2),
		sent("MAIL FROM:<a@x.test>\r\nRCPT TO:<b@x.test>\r\nRCPT TO:<c@x.test>\r\nBDAT 22 LAST\r\n" HI NEXT("c")),
		peer("250 ok\r\n550 5.1.1 no\r\n"), eof,
	},
	.told = WARM_TOLD
	        "one: b@x.test refused refused rcpt reply 550 5.1.1\n"
	        "one: c@x.test in_doubt in_doubt body lost\n"
	        "two: c@x.test in_doubt in_doubt body lost\n"
	        "closed deferred rcpt lost\n")

DIALOG(a_421_defers_all_that_is_in_flight,
	.hello = CHUNKING,
	.messages = { WARM, ONE, TWO },
	.steps = {
		WARM_STEPS(0), submit(1), submit(2), sent(MAIL("b") NEXT("c")), peer("250 ok\r\n250 ok\r\n421 4.3.2 bye\r\n"),
	},
	.told = WARM_TOLD
	        "one: b@x.test deferred deferred body reply 421 4.3.2\n"
	        "two: c@x.test deferred deferred body reply 421 4.3.2\n"
	        "closed deferred body reply 421\n")

DIALOG(a_421_to_rset,
	.hello = CHUNKING,
	.messages = { WARM, ONE, TWO },
	.steps = {
		WARM_STEPS(0), submit(1), submit(2), sent(MAIL("b") NEXT("c")), peer(YES "421 4.3.2 bye\r\n"),
	},
	.told = WARM_TOLD
	        "one: b@x.test accepted ok body reply 250 2.0.0\n"
	        "two: c@x.test deferred deferred body reply 421 4.3.2\n"
	        "closed deferred mail reply 421\n")

DIALOG(garbage_in_the_middle_of_a_flight,
	.hello = CHUNKING,
	.messages = { WARM, ONE, TWO },
	.steps = {
		WARM_STEPS(0), submit(1), submit(2), sent(MAIL("b") NEXT("c")), peer(YES "what?\r\n" RYES),
	},
	.told = WARM_TOLD
	        "one: b@x.test accepted ok body reply 250 2.0.0\n"
	        "two: c@x.test in_doubt in_doubt body garbage\n"
	        "closed protocol mail garbage\n")

/* ---- as seen on a real server: (a) the transaction stays open behind a refused BDAT ------------ */

#define NOUSER { .name = "one", .to = { "nouser@x.test" }, .body = HI }
#define BOB    { .name = "two", .from = "second@x.test", .to = { "bob@x.test" }, .body = HI }
#define SECOND "RSET\r\nMAIL FROM:<second@x.test>\r\nRCPT TO:<bob@x.test>\r\nBDAT 22 LAST\r\n" HI
#define BOTH   MAIL("nouser") SECOND
#define NOUSER_TOLD "one: nouser@x.test refused refused rcpt reply 550 5.1.1\n"

DIALOG(rset_makes_way_for_the_next_envelope,
	.hello = CHUNKING,
	.messages = { WARM, NOUSER, BOB },
	.steps = {
		WARM_STEPS(0), submit(1), submit(2), sent(BOTH),
		peer("250 ok\r\n550 5.1.1 no such user\r\n503 5.5.1 valid RCPT first\r\n"
		     "250 reset\r\n250 ok\r\n250 ok\r\n250 2.0.0 taken\r\n"),
	},
	.told = WARM_TOLD NOUSER_TOLD
	        "two: bob@x.test accepted ok body reply 250 2.0.0\n"
	        "closed deferred body after-surprise\n")

/* The old envelope is in force: bob gets it under the wrong reverse-path, which does not count. */
DIALOG(bob_is_not_accepted_when_rset_is_refused,
	.hello = CHUNKING,
	.messages = { WARM, NOUSER, BOB },
	.steps = {
		WARM_STEPS(0), submit(1), submit(2), sent(BOTH),
		peer("250 ok\r\n550 5.1.1 no such user\r\n503 5.5.1 valid RCPT first\r\n"
		     "502 what?\r\n503 5.5.1 sender already given\r\n250 ok\r\n250 2.0.0 taken\r\n"),
		new_session, submit(2),
		sent("MAIL FROM:<second@x.test>\r\nRCPT TO:<bob@x.test>\r\nBDAT 22 LAST\r\n" HI), peer(YES),
	},
	.told = WARM_TOLD NOUSER_TOLD
	        "two: bob@x.test again\n"
	        "closed deferred body after-surprise\n"
	        "two: bob@x.test accepted ok body reply 250 2.0.0\n")

DIALOG(bob_is_not_accepted_when_rset_is_refused_and_all_else_taken,
	.hello = CHUNKING,
	.messages = { WARM, NOUSER, BOB },
	.steps = {
		WARM_STEPS(0), submit(1), submit(2), sent(BOTH),
		peer("250 ok\r\n550 5.1.1 no such user\r\n503 5.5.1 valid RCPT first\r\n"
		     "502 what?\r\n250 ok\r\n250 ok\r\n250 2.0.0 taken\r\n"),
	},
	.told = WARM_TOLD NOUSER_TOLD
	        "two: bob@x.test again\n"
	        "closed deferred body after-surprise\n")

DIALOG(bob_is_not_accepted_when_rset_is_taken_and_mail_is_not,
	.hello = CHUNKING,
	.messages = { WARM, NOUSER, BOB },
	.steps = {
		WARM_STEPS(0), submit(1), submit(2), sent(BOTH),
		peer("250 ok\r\n550 5.1.1 no such user\r\n503 5.5.1 valid RCPT first\r\n"
		     "250 reset\r\n503 5.5.1 sender already given\r\n250 ok\r\n250 2.0.0 taken\r\n"),
	},
	.told = WARM_TOLD NOUSER_TOLD
	        "two: bob@x.test again\n"
	        "closed deferred body after-surprise\n")

/* ---- (b) a server that reads the octets of a refused chunk as commands ------------------------- */

DIALOG(no_later_message_is_refused_for_an_over_size_chunk,
	.hello = CHUNKING,
	.messages = { WARM, ONE, TWO },
	.steps = {
		WARM_STEPS(0), submit(1), submit(2), sent(MAIL("b") NEXT("c")),
		peer("250 ok\r\n250 ok\r\n552 5.3.4 too big\r\n"
		     "500 5.5.1 Subject?\r\n500 5.5.1 what?\r\n554 5.5.0 too many errors\r\n"
		     "250 reset\r\n250 ok\r\n250 ok\r\n250 2.0.0 taken\r\n"),
	},
	.told = WARM_TOLD
	        "one: b@x.test refused refused body reply 552 5.3.4\n"
	        "two: c@x.test again\n"
	        "closed deferred body after-surprise\n")

/* By as many replies as the octets made, each reply seems to answer a later command: what looks
 * like three's full set of 2yz is two's, and the reply to its own RSET. */
DIALOG(replies_out_of_step_accept_nobody,
	.hello = CHUNKING,
	.messages = { WARM, { .name = "warm", .to = { "w@x.test" }, .body = HI }, ONE, TWO, THREE },
	.steps = {
		WARM_STEPS(0), WARM_STEPS(1), submit(2), submit(3), submit(4),
		sent(MAIL("b") NEXT("c") NEXT("d")),
		peer("250 ok\r\n250 ok\r\n552 5.3.4 too big\r\n"
		     "500 5.5.1 Subject?\r\n500 5.5.1 what?\r\n554 5.5.1 hello?\r\n"
		     "250 reset\r\n250 ok\r\n250 ok\r\n250 2.0.0 taken two\r\n"
		     "250 reset\r\n550 5.7.1 three's MAIL\r\n503 no\r\n503 no\r\n"),
	},
	.told = WARM_TOLD WARM_TOLD
	        "one: b@x.test refused refused body reply 552 5.3.4\n"
	        "two: c@x.test again\n"
	        "three: d@x.test again\n"
	        "closed deferred body after-surprise\n")

DIALOG(closed_behind_an_over_size_chunk,
	.hello = CHUNKING,
	.messages = { WARM, ONE, TWO },
	.steps = {
		WARM_STEPS(0), submit(1), submit(2), sent(MAIL("b") NEXT("c")),
		peer("250 ok\r\n250 ok\r\n552 5.3.4 too big\r\n"), eof,
	},
	.told = WARM_TOLD
	        "one: b@x.test refused refused body reply 552 5.3.4\n"
	        "two: c@x.test in_doubt in_doubt body lost\n"
	        "closed deferred mail lost\n")

DIALOG(a_421_behind_an_over_size_chunk,
	.hello = CHUNKING,
	.messages = { WARM, ONE, TWO },
	.steps = {
		WARM_STEPS(0), submit(1), submit(2), sent(MAIL("b") NEXT("c")),
		peer("250 ok\r\n250 ok\r\n552 5.3.4 too big\r\n500 what?\r\n421 too many errors\r\n"),
	},
	.told = WARM_TOLD
	        "one: b@x.test refused refused body reply 552 5.3.4\n"
	        "two: c@x.test again\n"
	        "closed deferred mail reply 421\n")

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(envelope_and_message_go_in_one_flight),
		cmocka_unit_test(without_pipelining_each_step_waits),
		cmocka_unit_test(the_window_begins_at_one_and_doubles),
		cmocka_unit_test(the_window_grows_no_further_than_its_limit),
		cmocka_unit_test(a_window_of_one_stays_one),
		cmocka_unit_test(the_window_falls_back_to_one),
		cmocka_unit_test(no_dup_means_a_window_of_one),
		cmocka_unit_test(no_dup_is_not_sent_before_rset_is_answered),
		cmocka_unit_test(nothing_rides_behind_a_message_of_unknown_size),
		cmocka_unit_test(an_empty_message_is_an_empty_chunk),
		cmocka_unit_test(chunks_of_mended_lines_have_their_true_size),
		cmocka_unit_test(clean_chunks_cut_inside_a_line_end),
		cmocka_unit_test(the_last_chunk_may_be_empty),
		cmocka_unit_test(a_refused_message_closes_the_connection),
		cmocka_unit_test(a_later_message_is_accepted_by_its_own_full_set),
		cmocka_unit_test(a_later_message_answered_negatively_is_tried_again_alone),
		cmocka_unit_test(a_refused_mail_with_everything_in_flight),
		cmocka_unit_test(one_of_two_recipients_refused_behind_a_surprise_is_tried_again),
		cmocka_unit_test(a_message_lost_behind_a_surprise_is_in_doubt_if_anybody_was_taken),
		cmocka_unit_test(nothing_more_is_written_behind_a_refused_chunk),
		cmocka_unit_test(a_chunk_refused_midway_decides_the_message),
		cmocka_unit_test(behind_a_refused_chunk_nothing_is_waited_for_that_decides_nothing),
		cmocka_unit_test(a_refusal_inside_a_chunk),
		cmocka_unit_test(acceptance_inside_a_chunk_is_a_lie),
		cmocka_unit_test(a_refusal_before_the_chunk_began_breaks_the_protocol),
		cmocka_unit_test(a_354_to_a_chunk_is_no_final_reply),
		cmocka_unit_test(lost_before_the_last_octet_of_the_last_chunk),
		cmocka_unit_test(all_that_was_handed_over_is_in_doubt),
		cmocka_unit_test(lost_between_two_chunks_is_not_in_doubt),
		cmocka_unit_test(refusals_before_the_end_decide),
		cmocka_unit_test(a_421_defers_all_that_is_in_flight),
		cmocka_unit_test(a_421_to_rset),
		cmocka_unit_test(garbage_in_the_middle_of_a_flight),
		cmocka_unit_test(rset_makes_way_for_the_next_envelope),
		cmocka_unit_test(bob_is_not_accepted_when_rset_is_refused),
		cmocka_unit_test(bob_is_not_accepted_when_rset_is_refused_and_all_else_taken),
		cmocka_unit_test(bob_is_not_accepted_when_rset_is_taken_and_mail_is_not),
		cmocka_unit_test(no_later_message_is_refused_for_an_over_size_chunk),
		cmocka_unit_test(replies_out_of_step_accept_nobody),
		cmocka_unit_test(closed_behind_an_over_size_chunk),
		cmocka_unit_test(a_421_behind_an_over_size_chunk),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
