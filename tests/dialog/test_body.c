/* SPDX-License-Identifier: MIT */
/* Messages: what their octets become on the wire, what is declared of them, and which are not sent. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "dialog.h"

#define TO     .to = { "b@x.test" }
#define ONE    .name = "one", TO
#define MAILED "MAIL FROM:<a@x.test>\r\nRCPT TO:<b@x.test>\r\nDATA\r\n"
#define OPENED submit(0), sent(MAILED), peer("250 ok\r\n250 ok\r\n354 go on\r\n")
#define TAKEN  "one: b@x.test accepted ok body reply 250\n"
#define YES    peer("250 ok\r\n")
#define FULL   "250-mx.test\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-SIZE 1000\r\n250 SMTPUTF8\r\n"

/* A message under DATA, in all pieces. */
#define DATA(test, text, wire) \
	DIALOG(test, \
		.hello = PIPELINING, \
		.messages = { { ONE, .body = text, .body_len = sizeof(text) - 1 } }, \
		.steps = { OPENED, sent(wire), YES }, \
		.told = TAKEN)

DATA(a_dot_at_the_beginning_of_a_line_is_doubled, ".\r\n..\r\n.a\r\na.\r\n", "..\r\n...\r\n..a\r\na.\r\n.\r\n")
DATA(a_lone_lf_becomes_crlf, "a\nb\n", "a\r\nb\r\n.\r\n")
DATA(a_lone_cr_becomes_crlf, "a\rb\r\r\nc\r", "a\r\nb\r\n\r\nc\r\n.\r\n")
DATA(a_missing_last_line_end_is_added, "a", "a\r\n.\r\n")
DATA(an_empty_message_is_a_lone_dot, "", ".\r\n")
DATA(a_dot_behind_a_mended_line_end_is_doubled, "a\n.\nb\r.\rc\r\n.\r\n", "a\r\n..\r\nb\r\n..\r\nc\r\n..\r\n.\r\n")
DATA(no_second_message_is_smuggled, "a\n.\r\nMAIL FROM:<x>\r\n\r.\n.\r.\r\n",
     "a\r\n..\r\nMAIL FROM:<x>\r\n\r\n..\r\n..\r\n..\r\n.\r\n")
DATA(only_line_ends, "\r\r\n\n\r\n", "\r\n\r\n\r\n\r\n.\r\n")

DIALOG(strict_lets_clean_lines_pass,
	.hello = PIPELINING,
	.messages = { { ONE, .body = "a\r\n.\r\nb", .ends = PH_LINE_ENDS_STRICT } },
	.steps = { OPENED, sent("a\r\n..\r\nb\r\n.\r\n"), YES },
	.told = TAKEN)

/* Longer than what is asked for at a time, and pointed at instead of copied. */
DIALOG(a_large_message_is_whole,
	.hello = PIPELINING, .once = true,
	.messages = { { ONE, .body = ".0123456789012345678901234567890123456789012345678901234567890123456789\r\n",
	                .times = 20000 } },
	.steps = {
		OPENED,
		sent_times(20000, "..0123456789012345678901234567890123456789012345678901234567890123456789\r\n"),
		sent(".\r\n"), YES,
	},
	.told = TAKEN)

/* ---- declared -------------------------------------------------------------------------------- */

DIALOG(size_is_declared_as_it_will_be_on_the_wire,
	.hello = FULL,
	.messages = { { ONE, .body = "a\n.\n" } },
	.steps = {
		submit(0), sent("MAIL FROM:<a@x.test> SIZE=6\r\nRCPT TO:<b@x.test>\r\nDATA\r\n"),
		peer("250 ok\r\n250 ok\r\n354 go on\r\n"), sent("a\r\n..\r\n.\r\n"), YES,
	},
	.told = TAKEN)

DIALOG(eight_bit_is_declared_when_it_is_needed,
	.hello = FULL,
	.messages = { { ONE, .body = "S: x\r\n\r\n\303\251\r\n" } },
	.steps = {
		submit(0), sent("MAIL FROM:<a@x.test> SIZE=12 BODY=8BITMIME\r\nRCPT TO:<b@x.test>\r\nDATA\r\n"),
		peer("550 no\r\n503 no\r\n503 no\r\n"),
	},
	.told = "one: b@x.test refused refused mail reply 550\n")

DIALOG(what_is_not_known_is_declared_8bit_and_without_size,
	.hello = FULL,
	.messages = { { ONE, .body = HI, .unknown = true } },
	.steps = {
		submit(0), sent("MAIL FROM:<a@x.test> BODY=8BITMIME\r\nRCPT TO:<b@x.test>\r\nDATA\r\n"),
		peer("550 no\r\n503 no\r\n503 no\r\n"),
	},
	.told = "one: b@x.test refused refused mail reply 550\n")

DIALOG(smtputf8_is_asked_for_by_an_address,
	.hello = FULL,
	.messages = { { .name = "one", .to = { "\303\251@x.test" }, .body = HI } },
	.steps = {
		submit(0), sent("MAIL FROM:<a@x.test> SIZE=22 SMTPUTF8\r\nRCPT TO:<\303\251@x.test>\r\nDATA\r\n"),
		peer("550 no\r\n503 no\r\n503 no\r\n"),
	},
	.told = "one: \303\251@x.test refused refused mail reply 550\n")

DIALOG(smtputf8_is_asked_for_by_the_header,
	.hello = FULL,
	.messages = { { ONE, .body = "S: \303\251\r\n\r\nx\r\n" } },
	.steps = {
		submit(0), sent("MAIL FROM:<a@x.test> SIZE=12 BODY=8BITMIME SMTPUTF8\r\nRCPT TO:<b@x.test>\r\nDATA\r\n"),
		peer("550 no\r\n503 no\r\n503 no\r\n"),
	},
	.told = "one: b@x.test refused refused mail reply 550\n")

DIALOG(parameters_of_the_callers_own,
	.hello = FULL,
	.messages = { { ONE, .from = "", .body = HI, .mail_parameters = { "RET=HDRS", "ENVID=x" },
	                .rcpt_parameters = { "NOTIFY=NEVER" } } },
	.steps = {
		submit(0), sent("MAIL FROM:<> SIZE=22 RET=HDRS ENVID=x\r\nRCPT TO:<b@x.test> NOTIFY=NEVER\r\nDATA\r\n"),
		peer("550 no\r\n503 no\r\n503 no\r\n"),
	},
	.told = "one: b@x.test refused refused mail reply 550\n")

DIALOG(binary_goes_as_it_is,
	.hello = "250-mx.test\r\n250-CHUNKING\r\n250-PIPELINING\r\n250 BINARYMIME\r\n",
	.messages = { { ONE, .body = "\r\na\0\n.\r\n\377", .body_len = 9, .ends = PH_LINE_ENDS_BINARY } },
	.steps = {
		submit(0),
		sent("MAIL FROM:<a@x.test> BODY=BINARYMIME\r\nRCPT TO:<b@x.test>\r\nBDAT 9 LAST\r\n\r\na\0\n.\r\n\377"),
		peer("250 ok\r\n250 ok\r\n250 ok\r\n"),
	},
	.told = TAKEN)

/* ---- refused by us, on what the server stated -------------------------------------------------- */

/* Nothing is sent of it, and the next one goes. */
DIALOG(a_message_over_the_servers_size_is_not_tried,
	.hello = FULL,
	.messages = { { ONE, .body = "0123456789\r\n", .times = 84 }, { .name = "two", TO, .body = HI } },
	.steps = {
		submit(0), submit(1), sent("MAIL FROM:<a@x.test> SIZE=22\r\nRCPT TO:<b@x.test>\r\nDATA\r\n"),
		peer("550 no\r\n503 no\r\n503 no\r\n"),
	},
	.told = "one: b@x.test refused refused mail limit 5.3.4\n"
	        "two: b@x.test refused refused mail reply 550\n")

DIALOG(a_message_of_just_the_servers_size_is_tried,
	.hello = FULL,
	.messages = { { ONE, .body = "01234567\r\n", .times = 100 } },
	.steps = {
		submit(0), sent("MAIL FROM:<a@x.test> SIZE=1000\r\nRCPT TO:<b@x.test>\r\nDATA\r\n"),
		peer("550 no\r\n503 no\r\n503 no\r\n"),
	},
	.told = "one: b@x.test refused refused mail reply 550\n")

DIALOG(size_without_a_number_or_zero_is_no_limit,
	.hello = "250-mx.test\r\n250 SIZE 0\r\n",
	.messages = { { ONE, .body = HI } },
	.steps = { submit(0), sent("MAIL FROM:<a@x.test> SIZE=22\r\n"), peer("550 no\r\n") },
	.told = "one: b@x.test refused refused mail reply 550\n")

DIALOG(eight_bit_is_not_sent_to_a_seven_bit_server,
	.hello = PIPELINING,
	.messages = { { ONE, .body = "S: x\r\n\r\n\303\251\r\n" } },
	.steps = { submit(0) },
	.told = "one: b@x.test refused refused mail not-offered 5.6.3\n")

DIALOG(a_utf8_address_needs_smtputf8,
	.hello = "250-mx.test\r\n250 8BITMIME\r\n",
	.messages = { { .name = "one", .from = "\303\251@x.test", TO, .body = HI } },
	.steps = { submit(0) },
	.told = "one: b@x.test refused refused mail not-offered 5.6.7\n")

DIALOG(a_utf8_header_needs_smtputf8,
	.hello = "250-mx.test\r\n250 8BITMIME\r\n",
	.messages = { { ONE, .body = "S: \303\251\r\n\r\nx\r\n" } },
	.steps = { submit(0) },
	.told = "one: b@x.test refused refused mail not-offered 5.6.7\n")

DIALOG(binary_needs_chunking,
	.hello = "250-mx.test\r\n250 BINARYMIME\r\n",
	.messages = { { ONE, .body = HI, .ends = PH_LINE_ENDS_BINARY } },
	.steps = { submit(0) },
	.told = "one: b@x.test refused refused mail not-offered 5.6.3\n")

DIALOG(binary_content_needs_binarymime,
	.hello = CHUNKING,
	.messages = { { ONE, .body = "a\0b", .body_len = 3, .ends = PH_LINE_ENDS_BINARY } },
	.steps = { submit(0) },
	.told = "one: b@x.test refused refused mail not-offered 5.6.3\n")

/* ---- not acceptable, known before ------------------------------------------------------------ */

DIALOG(a_nul_is_refused,
	.hello = PIPELINING,
	.messages = { { ONE, .body = "a\0b\r\n", .body_len = 5 } },
	.steps = { submit(0) },
	.told = "one: b@x.test refused input mail content 5.6.0\n")

DIALOG(a_bare_lf_is_refused_in_strict,
	.hello = PIPELINING,
	.messages = { { ONE, .body = "a\nb\r\n", .ends = PH_LINE_ENDS_STRICT } },
	.steps = { submit(0) },
	.told = "one: b@x.test refused input mail content 5.6.0\n")

DIALOG(a_line_of_999_octets_is_refused,
	.hello = PIPELINING,
	.messages = { { ONE, .body = "xxx", .times = 333 } },
	.steps = { submit(0) },
	.told = "one: b@x.test refused input mail content 5.6.0\n")

DIALOG(a_line_of_998_octets_is_sent,
	.hello = PIPELINING,
	.messages = { { ONE, .body = "xx", .times = 499 } },
	.steps = { OPENED, sent_times(499, "xx"), sent("\r\n.\r\n"), YES },
	.told = TAKEN)

/* ---- lenient: against the rules, and no harm ---------------------------------------------------- */

DIALOG(a_long_line_goes_when_lenient,
	.opts.lenient = true,
	.hello = PIPELINING,
	.messages = { { ONE, .body = "xx", .times = 3000, .piece = 700 } },
	.steps = { OPENED, sent_times(3000, "xx"), sent("\r\n.\r\n"), YES },
	.told = TAKEN)

DIALOG(a_long_line_of_unknown_length_goes_when_lenient,
	.opts.lenient = true,
	.hello = PIPELINING,
	.messages = { { ONE, .body = "xx", .times = 3000, .piece = 700, .unknown = true } },
	.steps = { OPENED, sent_times(3000, "xx"), sent("\r\n.\r\n"), YES },
	.told = TAKEN)

DIALOG(eight_bit_and_a_utf8_header_go_undeclared_when_lenient,
	.opts.lenient = true,
	.hello = PIPELINING,
	.messages = { { ONE, .body = "S: \303\251\r\n\r\n\303\251\r\n" } },
	.steps = { OPENED, sent("S: \303\251\r\n\r\n\303\251\r\n.\r\n"), YES },
	.told = TAKEN)

DIALOG(eight_bit_found_midway_goes_when_lenient,
	.opts.lenient = true,
	.hello = PIPELINING,
	.messages = { { ONE, .body = "ab\r\n\303\251\r\n", .piece = 4, .unknown = true } },
	.steps = { OPENED, sent("ab\r\n\303\251\r\n.\r\n"), YES },
	.told = TAKEN)

DIALOG(a_utf8_address_needs_smtputf8_when_lenient_too,
	.opts.lenient = true,
	.hello = PIPELINING,
	.messages = { { .name = "one", .to = { "\303\251@x.test" }, .body = HI } },
	.steps = { submit(0) },
	.told = "one: \303\251@x.test refused refused mail not-offered 5.6.7\n")

DIALOG(a_nul_is_refused_when_lenient_too,
	.opts.lenient = true,
	.hello = PIPELINING,
	.messages = { { ONE, .body = "a\0b\r\n", .body_len = 5 } },
	.steps = { submit(0) },
	.told = "one: b@x.test refused input mail content 5.6.0\n")

/* ---- not acceptable, found midway: no dot is sent ---------------------------------------------- */

#define CLOSED "closed deferred body after-surprise\n"
#define INPUT  "one: b@x.test refused input body content\n"

/* How much of it goes before the fault is found depends on the pieces; the dot never does. */
#define MIDWAY(test, to_whom, text, step_size, line_ends, wire, what) \
	DIALOG(test, \
		.hello = to_whom, \
		.messages = { { ONE, .body = text, .body_len = sizeof(text) - 1, .piece = step_size, \
		                .unknown = true, .ends = line_ends } }, \
		.steps = { OPENED, wire }, \
		.told = what CLOSED)
#define NORMALISE PH_LINE_ENDS_NORMALISE
#define STRICT    PH_LINE_ENDS_STRICT
#define NO_STEP   { STEP_NOTHING, NULL, NULL, 0, 0, 0 }

MIDWAY(a_nul_found_midway, PIPELINING, "ab\0c\r\n", 64, NORMALISE, NO_STEP, INPUT)
MIDWAY(a_nul_found_in_a_later_piece, PIPELINING, "ab\0c\r\n", 2, NORMALISE, NO_STEP, INPUT)
MIDWAY(a_bare_lf_found_midway_in_strict, PIPELINING, "ab\nc\r\n", 64, STRICT, NO_STEP, INPUT)
MIDWAY(a_bare_cr_that_ends_a_piece_in_strict, PIPELINING, "ab\rc\r\n", 3, STRICT, NO_STEP, INPUT)
MIDWAY(a_bare_cr_that_ends_the_message_in_strict, PIPELINING, "ab\r", 64, STRICT, NO_STEP, INPUT)
MIDWAY(eight_bit_found_midway, PIPELINING, "ab\r\n\303\251\r\n", 64, NORMALISE, NO_STEP,
       "one: b@x.test refused refused body not-offered 5.6.3\n")
MIDWAY(eight_bit_found_in_a_later_piece, PIPELINING, "ab\r\n\303\251\r\n", 4, NORMALISE, NO_STEP,
       "one: b@x.test refused refused body not-offered 5.6.3\n")

DIALOG(an_over_long_line_found_midway,
	.hello = PIPELINING,
	.messages = { { ONE, .body = "x", .times = 5000, .piece = 100, .unknown = true } },
	.steps = { OPENED },
	.told = INPUT CLOSED)

/* A part had gone before the fault was found. */
DIALOG(a_fault_behind_what_has_gone,
	.hello = PIPELINING,
	.messages = { { ONE, .body = "x", .times = 1000, .piece = 500, .unknown = true, .stalls = true },
	              { .name = "two", TO, .body = HI } },
	.steps = { OPENED, submit(1), sent_times(500, "x"), eof },
	.told = "one: b@x.test deferred deferred body lost\ntwo: b@x.test again\nclosed deferred body lost\n")

#define CHUNKED submit(0), sent("MAIL FROM:<a@x.test>\r\nRCPT TO:<b@x.test>\r\n"), peer("250 ok\r\n250 ok\r\n")

DIALOG(a_nul_in_the_last_chunk,
	.hello = CHUNKING,
	.messages = { { ONE, .body = "ab\0c\r\n", .body_len = 6, .unknown = true } },
	.steps = { CHUNKED },
	.told = INPUT CLOSED)

/* BDAT LAST with all its octets would deliver what we call refused. */
DIALOG(eight_bit_in_the_last_chunk,
	.hello = CHUNKING,
	.messages = { { ONE, .body = "ab\r\n\303\251\r\n", .unknown = true } },
	.steps = { CHUNKED },
	.told = "one: b@x.test refused refused body not-offered 5.6.3\n" CLOSED)

/* Mended, the chunk would be longer than it says: delivered, and its end read as commands. */
DIALOG(a_chunk_that_is_not_as_clean_as_was_said,
	.hello = CHUNKING,
	.messages = { { ONE, .body = "a\nb\nc\n", .said_clean = true } },
	.steps = { submit(0) },
	.may_leave = true,
	.told = INPUT CLOSED)

/* ---- sources that fail ----------------------------------------------------------------------- */

DIALOG(a_source_that_fails_before_the_end,
	.hello = PIPELINING,
	.messages = { { ONE, .body = HI, .fails_at = 22 }, { .name = "two", TO, .body = HI } },
	.steps = {
		submit(0), submit(1), sent(MAILED), peer("250 ok\r\n250 ok\r\n354 go on\r\n"), sent(HI),
	},
	.told = "one: b@x.test deferred noinput body source\n"
	        "two: b@x.test again\n" CLOSED)

DIALOG(a_source_that_fails_between_chunks,
	.hello = CHUNKING,
	.messages = { { ONE, .body = HI, .piece = 11, .fails_at = 11 } },
	.steps = {
		submit(0), sent("MAIL FROM:<a@x.test>\r\nRCPT TO:<b@x.test>\r\nBDAT 11\r\nSubject: hi"),
		peer("250 ok\r\n250 ok\r\n250 ok\r\n"),
	},
	.told = "one: b@x.test deferred noinput body source\n" CLOSED)

/* The size that MAIL declared would be wrong, and so perhaps the message. */
DIALOG(a_source_that_gives_less_than_was_declared,
	.hello = PIPELINING,
	.messages = { { ONE, .body = HI, .said_size = 23 } },
	.steps = { OPENED },
	.may_leave = true,
	.told = "one: b@x.test deferred noinput body source\n" CLOSED)

DIALOG(a_source_that_gives_more_than_was_declared,
	.hello = CHUNKING,
	.messages = { { ONE, .body = HI, .said_size = 21 } },
	.steps = { submit(0) },
	.may_leave = true,
	.told = "one: b@x.test deferred noinput body source\n" CLOSED)

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_dot_at_the_beginning_of_a_line_is_doubled),
		cmocka_unit_test(a_lone_lf_becomes_crlf),
		cmocka_unit_test(a_lone_cr_becomes_crlf),
		cmocka_unit_test(a_missing_last_line_end_is_added),
		cmocka_unit_test(an_empty_message_is_a_lone_dot),
		cmocka_unit_test(a_dot_behind_a_mended_line_end_is_doubled),
		cmocka_unit_test(no_second_message_is_smuggled),
		cmocka_unit_test(only_line_ends),
		cmocka_unit_test(strict_lets_clean_lines_pass),
		cmocka_unit_test(a_large_message_is_whole),
		cmocka_unit_test(size_is_declared_as_it_will_be_on_the_wire),
		cmocka_unit_test(eight_bit_is_declared_when_it_is_needed),
		cmocka_unit_test(what_is_not_known_is_declared_8bit_and_without_size),
		cmocka_unit_test(smtputf8_is_asked_for_by_an_address),
		cmocka_unit_test(smtputf8_is_asked_for_by_the_header),
		cmocka_unit_test(parameters_of_the_callers_own),
		cmocka_unit_test(binary_goes_as_it_is),
		cmocka_unit_test(a_message_over_the_servers_size_is_not_tried),
		cmocka_unit_test(a_message_of_just_the_servers_size_is_tried),
		cmocka_unit_test(size_without_a_number_or_zero_is_no_limit),
		cmocka_unit_test(eight_bit_is_not_sent_to_a_seven_bit_server),
		cmocka_unit_test(a_utf8_address_needs_smtputf8),
		cmocka_unit_test(a_utf8_header_needs_smtputf8),
		cmocka_unit_test(binary_needs_chunking),
		cmocka_unit_test(binary_content_needs_binarymime),
		cmocka_unit_test(a_nul_is_refused),
		cmocka_unit_test(a_bare_lf_is_refused_in_strict),
		cmocka_unit_test(a_line_of_999_octets_is_refused),
		cmocka_unit_test(a_line_of_998_octets_is_sent),
		cmocka_unit_test(a_long_line_goes_when_lenient),
		cmocka_unit_test(a_long_line_of_unknown_length_goes_when_lenient),
		cmocka_unit_test(eight_bit_and_a_utf8_header_go_undeclared_when_lenient),
		cmocka_unit_test(eight_bit_found_midway_goes_when_lenient),
		cmocka_unit_test(a_utf8_address_needs_smtputf8_when_lenient_too),
		cmocka_unit_test(a_nul_is_refused_when_lenient_too),
		cmocka_unit_test(a_nul_found_midway),
		cmocka_unit_test(a_nul_found_in_a_later_piece),
		cmocka_unit_test(a_bare_lf_found_midway_in_strict),
		cmocka_unit_test(a_bare_cr_that_ends_a_piece_in_strict),
		cmocka_unit_test(a_bare_cr_that_ends_the_message_in_strict),
		cmocka_unit_test(eight_bit_found_midway),
		cmocka_unit_test(eight_bit_found_in_a_later_piece),
		cmocka_unit_test(an_over_long_line_found_midway),
		cmocka_unit_test(a_fault_behind_what_has_gone),
		cmocka_unit_test(a_nul_in_the_last_chunk),
		cmocka_unit_test(eight_bit_in_the_last_chunk),
		cmocka_unit_test(a_chunk_that_is_not_as_clean_as_was_said),
		cmocka_unit_test(a_source_that_fails_before_the_end),
		cmocka_unit_test(a_source_that_fails_between_chunks),
		cmocka_unit_test(a_source_that_gives_less_than_was_declared),
		cmocka_unit_test(a_source_that_gives_more_than_was_declared),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
