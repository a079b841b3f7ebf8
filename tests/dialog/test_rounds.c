/* SPDX-License-Identifier: MIT */
/* More recipients than the server takes at a time, more messages than a connection may carry: LIMITS
 * (RFC 9422) and "too many recipients" (RFC 5321 §4.5.3.1.10). No recipient is ever asked for twice
 * once it has an outcome, and each has its own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "dialog.h"

#define LIMITS(limits)  "250-mx.test\r\n250-PIPELINING\r\n250 LIMITS " limits "\r\n"
#define CHUNKS(limits)  "250-mx.test\r\n250-PIPELINING\r\n250-CHUNKING\r\n250 LIMITS " limits "\r\n"
#define FIVE { .name = "five", .body = HI, \
               .to = { "b@x.test", "c@x.test", "d@x.test", "e@x.test", "f@x.test" } }
#define THREE(name_) { .name = name_, .body = HI, .to = { "b@x.test", "c@x.test", "d@x.test" } }
#define ONE(name_)   { .name = name_, .body = HI, .to = { "g@x.test" } }
#define MAIL    "MAIL FROM:<a@x.test>\r\n"
#define TO(who) "RCPT TO:<" who "@x.test>\r\n"
#define BDAT    "BDAT 22 LAST\r\n" HI
#define OK      "250 ok\r\n"
#define DONE(name, who) name ": " who "@x.test accepted ok body reply 250\n"
#define MORE(name, who) name ": " who "@x.test more\n"

/* ---- RCPTMAX --------------------------------------------------------------------------------- */

DIALOG(recipients_go_out_in_rounds,
	.hello = LIMITS("RCPTMAX=2"), .messages = { FIVE },
	.steps = {
		submit(0), sent(MAIL TO("b") TO("c") "DATA\r\n"), peer(OK OK OK "354 go\r\n"),
		sent(HI ".\r\n"), peer(OK),
		submit(0), sent(MAIL TO("d") TO("e") "DATA\r\n"), peer(OK OK OK "354 go\r\n"),
		sent(HI ".\r\n"), peer(OK),
		submit(0), sent(MAIL TO("f") "DATA\r\n"), peer(OK OK "354 go\r\n"), sent(HI ".\r\n"), peer(OK),
	},
	.told = DONE("five", "b") DONE("five", "c") MORE("five", "d") MORE("five", "e") MORE("five", "f")
	        DONE("five", "b") DONE("five", "c") DONE("five", "d") DONE("five", "e") MORE("five", "f")
	        DONE("five", "b") DONE("five", "c") DONE("five", "d") DONE("five", "e") DONE("five", "f"),
	.trace =
	"* The server takes 2 recipients at a time: the others follow in another transaction\n"
	"> MAIL FROM:<a@x.test>\n> RCPT TO:<b@x.test>\n> RCPT TO:<c@x.test>\n> DATA\n"
	"< 250 ok\n< 250 ok\n< 250 ok\n< 354 go\n> [22 octets of message]\n> .\n< 250 ok\n"
	"* The server takes 2 recipients at a time: the others follow in another transaction\n"
	"> MAIL FROM:<a@x.test>\n> RCPT TO:<d@x.test>\n> RCPT TO:<e@x.test>\n> DATA\n"
	"< 250 ok\n< 250 ok\n< 250 ok\n< 354 go\n> [22 octets of message]\n> .\n< 250 ok\n"
	"> MAIL FROM:<a@x.test>\n> RCPT TO:<f@x.test>\n> DATA\n"
	"< 250 ok\n< 250 ok\n< 354 go\n> [22 octets of message]\n> .\n< 250 ok\n")

DIALOG(as_many_as_the_server_takes_is_one_round,
	.hello = LIMITS("RCPTMAX=3"), .messages = { THREE("three") },
	.steps = {
		submit(0), sent(MAIL TO("b") TO("c") TO("d") "DATA\r\n"), peer(OK OK OK OK "354 go\r\n"),
		sent(HI ".\r\n"), peer(OK),
	},
	.told = DONE("three", "b") DONE("three", "c") DONE("three", "d"))

DIALOG(rounds_without_pipelining,
	.hello = "250-mx.test\r\n250 LIMITS RCPTMAX=1\r\n", .messages = { THREE("three") },
	.steps = {
		submit(0), sent(MAIL), peer(OK), sent(TO("b")), peer("550 5.1.1 no\r\n"),
		submit(0), sent("RSET\r\n"), peer(OK), sent(MAIL), peer(OK), sent(TO("c")), peer(OK),
		sent("DATA\r\n"), peer("354 go\r\n"), sent(HI ".\r\n"), peer(OK),
	},
	.told = "three: b@x.test refused refused rcpt reply 550 5.1.1\n" MORE("three", "c")
	        MORE("three", "d")
	        "three: b@x.test refused refused rcpt reply 550 5.1.1\n" DONE("three", "c")
	        MORE("three", "d"))

DIALOG(each_round_has_its_own_outcome,
	.hello = LIMITS("RCPTMAX=1"), .messages = { THREE("three") },
	.steps = {
		submit(0), sent(MAIL TO("b") "DATA\r\n"), peer(OK OK "354 go\r\n"), sent(HI ".\r\n"),
		peer("554 5.7.1 spam\r\n"),
		submit(0), sent("RSET\r\n" MAIL TO("c") "DATA\r\n"), peer(OK OK OK "451 4.3.0 later\r\n"),
		submit(0), sent("RSET\r\n" MAIL TO("d") "DATA\r\n"), peer(OK OK OK "354 go\r\n"),
		sent(HI ".\r\n"), peer(OK),
	},
	.told = "three: b@x.test refused refused body reply 554 5.7.1\n" MORE("three", "c")
	        MORE("three", "d")
	        "three: b@x.test refused refused body reply 554 5.7.1\n"
	        "three: c@x.test deferred deferred data reply 451 4.3.0\n" MORE("three", "d")
	        "three: b@x.test refused refused body reply 554 5.7.1\n"
	        "three: c@x.test deferred deferred data reply 451 4.3.0\n" DONE("three", "d"))

/* It speaks of the sender, and so of all. */
DIALOG(a_refused_sender_is_refused_for_all_rounds,
	.hello = LIMITS("RCPTMAX=1"), .messages = { THREE("three") },
	.steps = {
		submit(0), sent(MAIL TO("b") "DATA\r\n"),
		peer("550 5.7.1 not you\r\n503 5.5.1 no\r\n503 5.5.1 no\r\n"),
	},
	.told = "three: b@x.test refused refused mail reply 550 5.7.1\n"
	        "three: c@x.test refused refused mail reply 550 5.7.1\n"
	        "three: d@x.test refused refused mail reply 550 5.7.1\n")

DIALOG(a_round_in_doubt_leaves_the_others_as_they_are,
	.hello = LIMITS("RCPTMAX=1"), .messages = { THREE("three") },
	.steps = {
		submit(0), sent(MAIL TO("b") "DATA\r\n"), peer(OK OK "354 go\r\n"), sent(HI ".\r\n"), eof,
		new_session,
		submit(0), sent(MAIL TO("c") "DATA\r\n"), peer(OK OK "354 go\r\n"), sent(HI ".\r\n"), peer(OK),
	},
	.told = "three: b@x.test in_doubt in_doubt body lost\n" MORE("three", "c") MORE("three", "d")
	        "closed deferred body lost\n"
	        "three: b@x.test in_doubt in_doubt body lost\n" DONE("three", "c") MORE("three", "d"))

DIALOG(a_round_cut_short_leaves_the_others_as_they_are,
	.hello = LIMITS("RCPTMAX=2"), .messages = { THREE("three") },
	.steps = {
		submit(0), sent(MAIL TO("b") TO("c") "DATA\r\n"), peer(OK "421 4.3.2 going down\r\n"),
	},
	.told = "three: b@x.test deferred deferred rcpt reply 421 4.3.2\n"
	        "three: c@x.test deferred deferred rcpt reply 421 4.3.2\n" MORE("three", "d")
	        "closed deferred rcpt reply 421\n", .may_leave = true)

/* The rounds of a message and the messages behind it share the window. */
DIALOG(rounds_in_a_window_of_chunks,
	.hello = CHUNKS("RCPTMAX=2"), .messages = { THREE("three"), ONE("next") },
	.steps = {
		submit(0), submit(1), sent(MAIL TO("b") TO("c") BDAT), peer(OK OK OK OK),
		sent(MAIL TO("g") BDAT), submit(0), sent("RSET\r\n" MAIL TO("d") BDAT),
		peer(OK OK OK), peer(OK OK OK OK),
	},
	.told = DONE("three", "b") DONE("three", "c") MORE("three", "d") DONE("next", "g")
	        DONE("three", "b") DONE("three", "c") DONE("three", "d"))

/* A refused BDAT ends the connection; who was not in that round was not refused by it. */
DIALOG(a_refused_chunk_is_the_rounds_own,
	.hello = CHUNKS("RCPTMAX=2"), .messages = { THREE("three") },
	.steps = {
		submit(0), sent(MAIL TO("b") TO("c") BDAT), peer(OK OK OK "554 5.7.1 spam\r\n"),
	},
	.told = "three: b@x.test refused refused body reply 554 5.7.1\n"
	        "three: c@x.test refused refused body reply 554 5.7.1\n" MORE("three", "d")
	        "closed deferred body after-surprise\n")

DIALOG(a_message_behind_a_refused_chunk_is_tried_again_whole,
	.hello = CHUNKS("RCPTMAX=2"), .messages = { ONE("first"), ONE("second"), THREE("three") },
	.steps = {
		submit(0), sent(MAIL TO("g") BDAT), peer(OK OK OK),
		submit(1), submit(2),
		sent(MAIL TO("g") BDAT "RSET\r\n" MAIL TO("b") TO("c") BDAT),
		peer(OK OK "554 5.7.1 spam\r\n" OK OK OK OK "554 5.5.1 eh\r\n"),
	},
	.told = DONE("first", "g") "second: g@x.test refused refused body reply 554 5.7.1\n"
	        "three: b@x.test again\nthree: c@x.test again\nthree: d@x.test again\n"
	        "closed deferred body after-surprise\n")

DIALOG(rounds_over_lmtp,
	.opts = { .lmtp = true }, .hello = LIMITS("RCPTMAX=2"), .messages = { THREE("three") },
	.steps = {
		submit(0), sent(MAIL TO("b") TO("c") "DATA\r\n"), peer(OK OK OK "354 go\r\n"),
		sent(HI ".\r\n"), peer(OK "452 4.2.2 full\r\n"),
		submit(0), sent(MAIL TO("d") "DATA\r\n"), peer(OK OK "354 go\r\n"), sent(HI ".\r\n"), peer(OK),
	},
	.told = DONE("three", "b") "three: c@x.test deferred deferred body reply 452 4.2.2\n"
	        MORE("three", "d")
	        DONE("three", "b") "three: c@x.test deferred deferred body reply 452 4.2.2\n"
	        DONE("three", "d"))

/* ---- too many, as found out ------------------------------------------------------------------ */

DIALOG(too_many_is_put_off_and_learnt,
	.hello = PIPELINING, .messages = { FIVE },
	.steps = {
		submit(0), sent(MAIL TO("b") TO("c") TO("d") TO("e") TO("f") "DATA\r\n"),
		peer(OK OK OK "452 4.5.3 too many\r\n452 4.5.3 too many\r\n452 4.5.3 too many\r\n354 go\r\n"),
		sent(HI ".\r\n"), peer(OK),
		submit(0), sent(MAIL TO("d") TO("e") "DATA\r\n"), peer(OK OK OK "354 go\r\n"),
		sent(HI ".\r\n"), peer(OK),
		submit(0), sent(MAIL TO("f") "DATA\r\n"), peer(OK OK "354 go\r\n"), sent(HI ".\r\n"), peer(OK),
	},
	.told = DONE("five", "b") DONE("five", "c") MORE("five", "d") MORE("five", "e") MORE("five", "f")
	        DONE("five", "b") DONE("five", "c") DONE("five", "d") DONE("five", "e") MORE("five", "f")
	        DONE("five", "b") DONE("five", "c") DONE("five", "d") DONE("five", "e") DONE("five", "f"))

/* RFC 821's 552, without an enhanced code; a command at a time the rest is not even asked for. */
DIALOG(too_many_stops_the_asking,
	.hello = PLAIN, .messages = { FIVE },
	.steps = {
		submit(0), sent(MAIL), peer(OK), sent(TO("b")), peer(OK),
		sent(TO("c")), peer("552 too many recipients\r\n"),
		sent("DATA\r\n"), peer("354 go\r\n"), sent(HI ".\r\n"), peer(OK),
		submit(0), sent(MAIL), peer(OK), sent(TO("c")), peer(OK),
		sent("DATA\r\n"), peer("354 go\r\n"), sent(HI ".\r\n"), peer(OK),
	},
	.told = DONE("five", "b") MORE("five", "c") MORE("five", "d") MORE("five", "e") MORE("five", "f")
	        DONE("five", "b") DONE("five", "c") MORE("five", "d") MORE("five", "e") MORE("five", "f"))

/* Nobody was taken before it: it is about this one. And so it is with another enhanced code. */
DIALOG(a_full_mailbox_is_not_too_many,
	.hello = PIPELINING, .messages = { FIVE },
	.steps = {
		submit(0), sent(MAIL TO("b") TO("c") TO("d") TO("e") TO("f") "DATA\r\n"),
		peer(OK "452 full\r\n" OK "452 4.2.2 full\r\n552 5.2.2 full\r\n450 4.5.3 x\r\n354 go\r\n"),
		sent(HI ".\r\n"), peer(OK),
	},
	.told = "five: b@x.test deferred deferred rcpt reply 452\n" DONE("five", "c")
	        "five: d@x.test deferred deferred rcpt reply 452 4.2.2\n"
	        "five: e@x.test refused refused rcpt reply 552 5.2.2\n"
	        "five: f@x.test deferred deferred rcpt reply 450 4.5.3\n")

/* A server that takes one and never another: each round decides one, and asks for no more. */
DIALOG(a_server_that_takes_one_at_a_time_and_then_none,
	.hello = PIPELINING, .messages = { THREE("three") },
	.steps = {
		submit(0), sent(MAIL TO("b") TO("c") TO("d") "DATA\r\n"),
		peer(OK OK "452 no\r\n452 no\r\n354 go\r\n"), sent(HI ".\r\n"), peer(OK),
		submit(0), sent(MAIL TO("c") "DATA\r\n"), peer(OK "452 no\r\n503 no\r\n"),
		submit(0), sent("RSET\r\n" MAIL TO("d") "DATA\r\n"), peer(OK OK "452 no\r\n503 no\r\n"),
	},
	.told = DONE("three", "b") MORE("three", "c") MORE("three", "d")
	        DONE("three", "b") "three: c@x.test deferred deferred rcpt reply 452\n" MORE("three", "d")
	        DONE("three", "b") "three: c@x.test deferred deferred rcpt reply 452\n"
	        "three: d@x.test deferred deferred rcpt reply 452\n")

DIALOG(too_many_behind_a_chunk_that_is_on_its_way,
	.hello = CHUNKING, .messages = { THREE("three") },
	.steps = {
		submit(0), sent(MAIL TO("b") TO("c") TO("d") BDAT),
		peer(OK OK "452 4.5.3 no\r\n" "550 5.1.1 no\r\n" OK),
		submit(0), sent(MAIL TO("c") BDAT), peer(OK OK OK),
	},
	.told = DONE("three", "b") MORE("three", "c") "three: d@x.test refused refused rcpt reply 550 5.1.1\n"
	        DONE("three", "b") DONE("three", "c") "three: d@x.test refused refused rcpt reply 550 5.1.1\n")

/* What was put off was no part of what is in doubt. */
DIALOG(too_many_and_then_in_doubt,
	.hello = CHUNKING, .messages = { THREE("three") },
	.steps = {
		submit(0), sent(MAIL TO("b") TO("c") TO("d") BDAT), peer(OK OK "452 4.5.3 no\r\n"), eof,
	},
	.told = "three: b@x.test in_doubt in_doubt body lost\n" MORE("three", "c")
	        "three: d@x.test in_doubt in_doubt body lost\n" "closed deferred rcpt lost\n")

DIALOG(too_many_over_lmtp,
	.opts = { .lmtp = true }, .hello = PIPELINING, .messages = { THREE("three") },
	.steps = {
		submit(0), sent(MAIL TO("b") TO("c") TO("d") "DATA\r\n"),
		peer(OK OK "452 4.5.3 no\r\n" OK "354 go\r\n"), sent(HI ".\r\n"), peer(OK "550 5.2.1 gone\r\n"),
		submit(0), sent(MAIL TO("c") "DATA\r\n"), peer(OK OK "354 go\r\n"), sent(HI ".\r\n"), peer(OK),
	},
	.told = DONE("three", "b") MORE("three", "c") "three: d@x.test refused refused body reply 550 5.2.1\n"
	        DONE("three", "b") DONE("three", "c") "three: d@x.test refused refused body reply 550 5.2.1\n")

/* ---- MAILMAX --------------------------------------------------------------------------------- */

DIALOG(a_session_takes_so_many_messages,
	.hello = LIMITS("MAILMAX=2"), .messages = { ONE("first"), ONE("second"), ONE("third") },
	.steps = {
		submit(0), submit(1), submit(2),
		sent(MAIL TO("g") "DATA\r\n"), peer(OK OK "354 go\r\n"),
		sent(HI ".\r\n" MAIL TO("g") "DATA\r\n"), peer(OK OK OK "354 go\r\n"),
		refuses(0),
		sent(HI ".\r\n"), peer(OK), refuses(0),
		command("QUIT", NULL), sent("QUIT\r\n"), peer("221 bye\r\n"),
	},
	.told = DONE("first", "g") "third: g@x.test again\n" DONE("second", "g")
	        "reply QUIT 221\nclosed ok quit none\n")

DIALOG(mailmax_counts_refused_messages_and_rounds,
	.hello = LIMITS("MAILMAX=2 RCPTMAX=1"), .messages = { THREE("three"), ONE("next") },
	.steps = {
		submit(0), sent(MAIL TO("b") "DATA\r\n"), peer(OK "550 5.1.1 no\r\n503 no\r\n"),
		submit(0), sent("RSET\r\n" MAIL TO("c") "DATA\r\n"), peer(OK OK OK "354 go\r\n"),
		sent(HI ".\r\n"), peer(OK), refuses(0), refuses(1),
		new_session,
		submit(0), sent(MAIL TO("d") "DATA\r\n"), peer(OK OK "354 go\r\n"), sent(HI ".\r\n"), peer(OK),
	},
	.told = "three: b@x.test refused refused rcpt reply 550 5.1.1\n" MORE("three", "c")
	        MORE("three", "d")
	        "three: b@x.test refused refused rcpt reply 550 5.1.1\n" DONE("three", "c")
	        MORE("three", "d")
	        "three: b@x.test refused refused rcpt reply 550 5.1.1\n" DONE("three", "c")
	        DONE("three", "d"))

DIALOG(mailmax_in_a_window_of_chunks,
	.hello = CHUNKS("MAILMAX=2"), .messages = { ONE("first"), ONE("second"), ONE("third") },
	.steps = {
		submit(0), submit(1), submit(2), sent(MAIL TO("g") BDAT), peer(OK OK OK),
		sent(MAIL TO("g") BDAT), peer(OK OK OK),
	},
	.told = DONE("first", "g") "third: g@x.test again\n" DONE("second", "g"))

/* ---- RCPTDOMAINMAX --------------------------------------------------------------------------- */

#define DOMAINS { .name = "one", .body = HI, \
                  .to = { "b@x.test", "c@y.test", "d@X.test", "e@z.test", "f@y.test" } }

DIALOG(domains_beyond_the_limit_wait_for_the_next_connection,
	.hello = LIMITS("RCPTDOMAINMAX=2"), .messages = { DOMAINS, ONE("next") },
	.steps = {
		submit(0),
		sent(MAIL TO("b") "RCPT TO:<c@y.test>\r\nRCPT TO:<d@X.test>\r\nRCPT TO:<f@y.test>\r\nDATA\r\n"),
		peer(OK OK OK OK OK "354 go\r\n"), sent(HI ".\r\n"), peer(OK), refuses(0),
		new_session,
		submit(0), sent(MAIL "RCPT TO:<e@z.test>\r\nDATA\r\n"), peer(OK OK "354 go\r\n"),
		sent(HI ".\r\n"), peer(OK),
		submit(1), sent(MAIL TO("g") "DATA\r\n"), peer(OK OK "354 go\r\n"), sent(HI ".\r\n"), peer(OK),
	},
	.told = DONE("one", "b") "one: c@y.test accepted ok body reply 250\n"
	        "one: d@X.test accepted ok body reply 250\none: e@z.test more\n"
	        "one: f@y.test accepted ok body reply 250\n"
	        DONE("one", "b") "one: c@y.test accepted ok body reply 250\n"
	        "one: d@X.test accepted ok body reply 250\none: e@z.test accepted ok body reply 250\n"
	        "one: f@y.test accepted ok body reply 250\n"
	        DONE("next", "g"))

DIALOG(domains_add_up_over_a_session,
	.hello = LIMITS("RCPTDOMAINMAX=1"),
	.messages = { ONE("first"), { .name = "other", .body = HI, .to = { "b@y.test" } } },
	.steps = {
		submit(0), sent(MAIL TO("g") "DATA\r\n"), peer(OK OK "354 go\r\n"), sent(HI ".\r\n"), peer(OK),
		submit(1), refuses(1),
	},
	.told = DONE("first", "g") "other: b@y.test again\n")

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(recipients_go_out_in_rounds),
		cmocka_unit_test(as_many_as_the_server_takes_is_one_round),
		cmocka_unit_test(rounds_without_pipelining),
		cmocka_unit_test(each_round_has_its_own_outcome),
		cmocka_unit_test(a_refused_sender_is_refused_for_all_rounds),
		cmocka_unit_test(a_round_in_doubt_leaves_the_others_as_they_are),
		cmocka_unit_test(a_round_cut_short_leaves_the_others_as_they_are),
		cmocka_unit_test(rounds_in_a_window_of_chunks),
		cmocka_unit_test(a_refused_chunk_is_the_rounds_own),
		cmocka_unit_test(a_message_behind_a_refused_chunk_is_tried_again_whole),
		cmocka_unit_test(rounds_over_lmtp),
		cmocka_unit_test(too_many_is_put_off_and_learnt),
		cmocka_unit_test(too_many_stops_the_asking),
		cmocka_unit_test(a_full_mailbox_is_not_too_many),
		cmocka_unit_test(a_server_that_takes_one_at_a_time_and_then_none),
		cmocka_unit_test(too_many_behind_a_chunk_that_is_on_its_way),
		cmocka_unit_test(too_many_and_then_in_doubt),
		cmocka_unit_test(too_many_over_lmtp),
		cmocka_unit_test(a_session_takes_so_many_messages),
		cmocka_unit_test(mailmax_counts_refused_messages_and_rounds),
		cmocka_unit_test(mailmax_in_a_window_of_chunks),
		cmocka_unit_test(domains_beyond_the_limit_wait_for_the_next_connection),
		cmocka_unit_test(domains_add_up_over_a_session),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
