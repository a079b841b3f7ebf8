/* SPDX-License-Identifier: MIT */
/* LMTP (RFC 2033): a final reply for each recipient that was accepted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "dialog.h"

#define LMTP  .opts = { .lmtp = true }, .hello = PIPELINING
#define THREE { .name = "one", .to = { "b@x.test", "c@x.test", "d@x.test" }, .body = HI }
#define TWO   { .name = "two", .to = { "e@x.test" }, .body = HI }
#define ENVELOPE \
	"MAIL FROM:<a@x.test>\r\nRCPT TO:<b@x.test>\r\nRCPT TO:<c@x.test>\r\nRCPT TO:<d@x.test>\r\n"
#define FLIGHT     ENVELOPE "DATA\r\n"
#define FLIGHT_TWO "MAIL FROM:<a@x.test>\r\nRCPT TO:<e@x.test>\r\nDATA\r\n"
#define ENVELOPE_TWO "MAIL FROM:<a@x.test>\r\nRCPT TO:<e@x.test>\r\n"

DIALOG(each_recipient_has_a_reply_of_its_own,
	LMTP, .messages = { THREE }, .tells_recipients = true,
	.steps = {
		submit(0), sent(FLIGHT), peer("250 ok\r\n250 ok\r\n250 ok\r\n250 ok\r\n354 go on\r\n"),
		sent(HI ".\r\n"), peer("250 2.1.5 stored\r\n452 4.2.2 full\r\n550 5.2.1 gone\r\n"),
	},
	.told = "rcpt one b@x.test\nrcpt one c@x.test\nrcpt one d@x.test\n"
	        "one: b@x.test accepted ok body reply 250 2.1.5\n"
	        "one: c@x.test deferred deferred body reply 452 4.2.2\n"
	        "one: d@x.test refused refused body reply 550 5.2.1\n")

DIALOG(a_recipient_refused_at_rcpt_has_no_final_reply,
	LMTP, .messages = { THREE, TWO },
	.steps = {
		submit(0), submit(1),
		sent(FLIGHT), peer("250 ok\r\n250 ok\r\n550 5.1.1 no\r\n250 ok\r\n354 go on\r\n"),
		sent(HI ".\r\n" FLIGHT_TWO),
		peer("452 4.2.2 full\r\n250 stored\r\n" "250 ok\r\n250 ok\r\n354 go on\r\n"),
		sent(HI ".\r\n"), peer("250 stored\r\n"),
	},
	.told = "one: b@x.test deferred deferred body reply 452 4.2.2\n"
	        "one: c@x.test refused refused rcpt reply 550 5.1.1\n"
	        "one: d@x.test accepted ok body reply 250\n"
	        "two: e@x.test accepted ok body reply 250\n")

DIALOG(too_few_replies_leave_the_rest_in_doubt,
	LMTP, .messages = { THREE },
	.steps = {
		submit(0), sent(FLIGHT), peer("250 ok\r\n250 ok\r\n250 ok\r\n250 ok\r\n354 go on\r\n"),
		sent(HI ".\r\n"), peer("250 stored\r\n550 no\r\n"), eof,
	},
	.told = "one: b@x.test accepted ok body reply 250\n"
	        "one: c@x.test refused refused body reply 550\n"
	        "one: d@x.test in_doubt in_doubt body lost\n"
	        "closed deferred body lost\n")

DIALOG(a_reply_that_never_comes_is_waited_for,
	LMTP, .messages = { THREE },
	.steps = {
		submit(0), sent(FLIGHT), peer("250 ok\r\n250 ok\r\n250 ok\r\n250 ok\r\n354 go on\r\n"),
		sent(HI ".\r\n"), peer("250 stored\r\n250 stored\r\n"), expires(600000),
	},
	.told = "one: b@x.test accepted ok body reply 250\n"
	        "one: c@x.test accepted ok body reply 250\n"
	        "one: d@x.test in_doubt in_doubt body timeout\n"
	        "closed deferred body timeout\n")

DIALOG(a_reply_too_many_belongs_to_nothing,
	LMTP, .messages = { TWO },
	.steps = {
		submit(0), sent(FLIGHT_TWO), peer("250 ok\r\n250 ok\r\n354 go on\r\n"),
		sent(HI ".\r\n"), peer("250 stored\r\n250 stored\r\n"),
	},
	.told = "two: e@x.test accepted ok body reply 250\n"
	        "closed protocol mail unasked-reply\n")

DIALOG(no_recipient_left_and_354_ends_the_session,
	LMTP, .messages = { THREE, TWO },
	.steps = {
		submit(0), submit(1),
		sent(FLIGHT), peer("250 ok\r\n550 no\r\n550 no\r\n451 no\r\n354 go on\r\n"),
	},
	.told = "one: b@x.test refused refused rcpt reply 550\n"
	        "one: c@x.test refused refused rcpt reply 550\n"
	        "one: d@x.test deferred deferred rcpt reply 451\n"
	        "two: e@x.test again\n"
	        "closed deferred body after-surprise\n")

DIALOG(no_recipient_left_and_503_goes_on,
	LMTP, .messages = { TWO, THREE },
	.steps = {
		submit(0), submit(1), sent(FLIGHT_TWO), peer("250 ok\r\n550 no\r\n503 no\r\n"),
		sent("RSET\r\n" FLIGHT), peer("250 ok\r\n250 ok\r\n250 ok\r\n250 ok\r\n250 ok\r\n451 no\r\n"),
	},
	.told = "two: e@x.test refused refused rcpt reply 550\n"
	        "one: b@x.test deferred deferred data reply 451\n"
	        "one: c@x.test deferred deferred data reply 451\n"
	        "one: d@x.test deferred deferred data reply 451\n")

DIALOG(a_421_among_the_final_replies_defers_the_rest,
	LMTP, .messages = { THREE },
	.steps = {
		submit(0), sent(FLIGHT), peer("250 ok\r\n250 ok\r\n250 ok\r\n250 ok\r\n354 go on\r\n"),
		sent(HI ".\r\n"), peer("250 stored\r\n421 4.3.2 bye\r\n"),
	},
	.told = "one: b@x.test accepted ok body reply 250\n"
	        "one: c@x.test deferred deferred body reply 421 4.3.2\n"
	        "one: d@x.test deferred deferred body reply 421 4.3.2\n"
	        "closed deferred body reply 421\n")

DIALOG(a_354_among_the_final_replies_is_none,
	LMTP, .messages = { THREE },
	.steps = {
		submit(0), sent(FLIGHT), peer("250 ok\r\n250 ok\r\n250 ok\r\n250 ok\r\n354 go on\r\n"),
		sent(HI ".\r\n"), peer("250 stored\r\n354 what\r\n250 stored\r\n"),
	},
	.told = "one: b@x.test accepted ok body reply 250\n"
	        "one: c@x.test in_doubt in_doubt body garbage\n"
	        "one: d@x.test in_doubt in_doubt body garbage\n"
	        "closed protocol body garbage\n")

DIALOG(lost_before_the_dot_is_deferred_for_all,
	LMTP, .messages = { THREE },
	.steps = {
		submit(0), sent(FLIGHT), peer("250 ok\r\n550 no\r\n250 ok\r\n250 ok\r\n354 go on\r\n"),
		sent(HI "."), eof,
	},
	.told = "one: b@x.test refused refused rcpt reply 550\n"
	        "one: c@x.test deferred deferred body lost\n"
	        "one: d@x.test deferred deferred body lost\n"
	        "closed deferred body lost\n")

/* ---- BDAT ------------------------------------------------------------------------------------ */

#define LMTP_BDAT .opts = { .lmtp = true }, .hello = CHUNKING

DIALOG(the_last_chunk_has_a_reply_for_each_recipient,
	LMTP_BDAT, .messages = { THREE, TWO },
	.steps = {
		submit(0), submit(1), sent(ENVELOPE "BDAT 22 LAST\r\n" HI),
		peer("250 ok\r\n250 ok\r\n550 no\r\n250 ok\r\n250 stored\r\n250 stored\r\n"),
		sent(ENVELOPE_TWO "BDAT 22 LAST\r\n" HI), peer("250 ok\r\n250 ok\r\n250 stored\r\n"),
	},
	.told = "one: b@x.test accepted ok body reply 250\n"
	        "one: c@x.test refused refused rcpt reply 550\n"
	        "one: d@x.test accepted ok body reply 250\n"
	        "two: e@x.test accepted ok body reply 250\n")

DIALOG(a_chunk_before_the_last_has_one_reply,
	LMTP_BDAT,
	.messages = { { .name = "one", .to = { "b@x.test", "c@x.test" }, .body = HI, .piece = 11 } },
	.steps = {
		submit(0),
		sent("MAIL FROM:<a@x.test>\r\nRCPT TO:<b@x.test>\r\nRCPT TO:<c@x.test>\r\nBDAT 11\r\nSubject: hi"
		     "BDAT 11 LAST\r\n\r\n\r\nhello\r\n"),
		peer("250 ok\r\n250 ok\r\n250 ok\r\n250 11\r\n250 stored\r\n452 4.2.2 full\r\n"),
	},
	.told = "one: b@x.test accepted ok body reply 250\n"
	        "one: c@x.test deferred deferred body reply 452 4.2.2\n"
	        "closed deferred body after-surprise\n")

DIALOG(a_chunk_refused_before_the_last_decides_all,
	LMTP_BDAT,
	.messages = { { .name = "one", .to = { "b@x.test", "c@x.test" }, .body = HI, .piece = 11 } },
	.steps = {
		submit(0),
		sent("MAIL FROM:<a@x.test>\r\nRCPT TO:<b@x.test>\r\nRCPT TO:<c@x.test>\r\nBDAT 11\r\nSubject: hi"
		     "BDAT 11 LAST\r\n\r\n\r\nhello\r\n"),
		peer("250 ok\r\n250 ok\r\n250 ok\r\n552 5.3.4 too big\r\n503 no\r\n503 no\r\n"),
	},
	.told = "one: b@x.test refused refused body reply 552 5.3.4\n"
	        "one: c@x.test refused refused body reply 552 5.3.4\n"
	        "closed deferred body after-surprise\n")

DIALOG(more_chunks_refused_than_there_are_recipients,
	LMTP_BDAT,
	.messages = { { .name = "one", .to = { "b@x.test" }, .body = "ab\r\n", .times = 4, .piece = 4 } },
	.steps = {
		submit(0),
		sent("MAIL FROM:<a@x.test>\r\nRCPT TO:<b@x.test>\r\nBDAT 4\r\nab\r\nBDAT 4\r\nab\r\n"
		     "BDAT 4\r\nab\r\nBDAT 4 LAST\r\nab\r\n"),
		peer("250 ok\r\n250 ok\r\n552 too big\r\n503 no\r\n503 no\r\n503 no\r\n"),
	},
	.told = "one: b@x.test refused refused body reply 552\n"
	        "closed deferred body after-surprise\n")

/* The second reply must not be taken for the first recipient's. */
DIALOG(replies_behind_a_surprise_stay_with_their_recipients,
	LMTP_BDAT,
	.messages = { { .name = "warm", .to = { "w@x.test" }, .body = HI }, TWO,
	              { .name = "one", .to = { "b@x.test", "c@x.test" }, .body = HI } },
	.steps = {
		submit(0), sent("MAIL FROM:<a@x.test>\r\nRCPT TO:<w@x.test>\r\nBDAT 22 LAST\r\n" HI),
		peer("250 ok\r\n250 ok\r\n250 stored\r\n"),
		submit(1), submit(2),
		sent(ENVELOPE_TWO "BDAT 22 LAST\r\n" HI
		     "RSET\r\nMAIL FROM:<a@x.test>\r\nRCPT TO:<b@x.test>\r\nRCPT TO:<c@x.test>\r\nBDAT 22 LAST\r\n" HI),
		peer("250 ok\r\n250 ok\r\n452 4.2.2 full\r\n"
		     "250 reset\r\n250 ok\r\n250 ok\r\n250 ok\r\n550 5.2.1 gone\r\n250 stored\r\n"),
	},
	.told = "warm: w@x.test accepted ok body reply 250\n"
	        "two: e@x.test deferred deferred body reply 452 4.2.2\n"
	        "one: b@x.test again\n"
	        "one: c@x.test accepted ok body reply 250\n"
	        "closed deferred body after-surprise\n")

/* ---- by hand --------------------------------------------------------------------------------- */

DIALOG(a_message_by_hand_has_as_many_replies_as_recipients,
	LMTP, .messages = { { .name = "one", .body = HI } },
	.steps = {
		command("MAIL", "FROM:<>"), sent("MAIL FROM:<>\r\n"), peer("250 ok\r\n"),
		command("RCPT", "TO:<b@x.test>"), sent("RCPT TO:<b@x.test>\r\n"), peer("250 ok\r\n"),
		command("RCPT", "TO:<c@x.test>"), sent("RCPT TO:<c@x.test>\r\n"), peer("550 no\r\n"),
		command("RCPT", "TO:<d@x.test>"), sent("RCPT TO:<d@x.test>\r\n"), peer("250 ok\r\n"),
		submit_body(0), sent("DATA\r\n"), peer("354 go on\r\n"),
		sent(HI ".\r\n"), peer("250 stored\r\n452 full\r\n"),
	},
	.told = "reply MAIL 250\nreply RCPT 250\nreply RCPT 550\nreply RCPT 250\n"
	        "reply BODY 250\nreply BODY 452\none: done ok none\n")

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_recipient_has_a_reply_of_its_own),
		cmocka_unit_test(a_recipient_refused_at_rcpt_has_no_final_reply),
		cmocka_unit_test(too_few_replies_leave_the_rest_in_doubt),
		cmocka_unit_test(a_reply_that_never_comes_is_waited_for),
		cmocka_unit_test(a_reply_too_many_belongs_to_nothing),
		cmocka_unit_test(no_recipient_left_and_354_ends_the_session),
		cmocka_unit_test(no_recipient_left_and_503_goes_on),
		cmocka_unit_test(a_421_among_the_final_replies_defers_the_rest),
		cmocka_unit_test(a_354_among_the_final_replies_is_none),
		cmocka_unit_test(lost_before_the_dot_is_deferred_for_all),
		cmocka_unit_test(the_last_chunk_has_a_reply_for_each_recipient),
		cmocka_unit_test(a_chunk_before_the_last_has_one_reply),
		cmocka_unit_test(a_chunk_refused_before_the_last_decides_all),
		cmocka_unit_test(more_chunks_refused_than_there_are_recipients),
		cmocka_unit_test(replies_behind_a_surprise_stay_with_their_recipients),
		cmocka_unit_test(a_message_by_hand_has_as_many_replies_as_recipients),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
