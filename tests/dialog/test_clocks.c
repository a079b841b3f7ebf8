/* SPDX-License-Identifier: MIT */
/* Deadlines (RFC 5321 §4.5.3.2), the minimum rate, and clocks that must not run. Milliseconds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "dialog.h"

#define ONE    { .name = "one", .to = { "b@x.test" }, .body = HI }
#define FLIGHT "MAIL FROM:<a@x.test>\r\nRCPT TO:<b@x.test>\r\nDATA\r\n"
#define HOUR   3600000
#define MIN    60000
#define DEFERRED(stage) "one: b@x.test deferred deferred " stage " timeout\nclosed deferred " stage " timeout\n"

/* ---- each reply's own ------------------------------------------------------------------------ */

DIALOG(the_greeting_has_five_minutes,
	.steps = { waits(4 * MIN), expires(1 * MIN) },
	.told = "closed deferred greeting timeout\n")

DIALOG(ehlo_has_five_minutes,
	.steps = { peer("220 hi\r\n"), command("EHLO", "me.test"), sent("EHLO me.test\r\n"), expires(5 * MIN) },
	.told = "reply GREETING 220\nclosed deferred hello timeout\n")

DIALOG(mail_has_five_minutes,
	.hello = PLAIN, .messages = { ONE },
	.steps = { submit(0), sent("MAIL FROM:<a@x.test>\r\n"), expires(5 * MIN) },
	.told = DEFERRED("mail"))

DIALOG(rcpt_has_five_minutes_of_its_own,
	.hello = PLAIN, .messages = { ONE },
	.steps = {
		submit(0), sent("MAIL FROM:<a@x.test>\r\n"), waits(4 * MIN), peer("250 ok\r\n"),
		sent("RCPT TO:<b@x.test>\r\n"), expires(5 * MIN),
	},
	.told = DEFERRED("rcpt"))

DIALOG(data_has_two_minutes,
	.hello = PIPELINING, .messages = { ONE },
	.steps = { submit(0), sent(FLIGHT), peer("250 ok\r\n250 ok\r\n"), expires(2 * MIN) },
	.told = DEFERRED("data"))

DIALOG(the_final_dot_has_ten_minutes_and_then_is_in_doubt,
	.hello = PIPELINING, .messages = { ONE },
	.steps = {
		submit(0), sent(FLIGHT), peer("250 ok\r\n250 ok\r\n354 go on\r\n"), sent(HI ".\r\n"), expires(10 * MIN),
	},
	.told = "one: b@x.test in_doubt in_doubt body timeout\nclosed deferred body timeout\n")

DIALOG(the_last_chunk_has_ten_minutes,
	.hello = CHUNKING, .messages = { ONE },
	.steps = {
		submit(0), sent("MAIL FROM:<a@x.test>\r\nRCPT TO:<b@x.test>\r\nBDAT 22 LAST\r\n" HI),
		peer("250 ok\r\n250 ok\r\n"), expires(10 * MIN),
	},
	.told = "one: b@x.test in_doubt in_doubt body timeout\nclosed deferred body timeout\n")

DIALOG(starttls_and_the_handshake_have_five_minutes_each,
	.hello = PLAIN,
	.steps = {
		command("STARTTLS", NULL), sent("STARTTLS\r\n"), waits(4 * MIN), peer("220 go\r\n"), expires(5 * MIN),
	},
	.told = "reply STARTTLS 220\nwant_tls\nclosed deferred tls timeout\n")

DIALOG(a_response_to_a_challenge_has_five_minutes,
	.hello = PLAIN,
	.steps = {
		auth_bare("LOGIN"), sent("AUTH LOGIN\r\n"), peer("334 \r\n"), never_expires, respond("x"), sent("eA==\r\n"),
		expires(5 * MIN),
	},
	.told = "challenge \nclosed deferred auth timeout\n")

DIALOG(quit_has_five_seconds,
	.hello = PLAIN,
	.steps = { command("QUIT", NULL), sent("QUIT\r\n"), expires(5000) },
	.told = "closed deferred quit timeout\n")

DIALOG(a_block_that_is_not_taken_has_three_minutes,
	.hello = PIPELINING, .messages = { ONE },
	.steps = {
		submit(0), sent(FLIGHT), peer("250 ok\r\n250 ok\r\n354 go on\r\n"), expires(3 * MIN),
	},
	.may_leave = true,
	.told = DEFERRED("body"))

DIALOG(an_option_shortens_them_all,
	.opts = { .timeout_ms = 7000 },
	.hello = PIPELINING, .messages = { ONE },
	.steps = {
		submit(0), sent(FLIGHT), peer("250 ok\r\n250 ok\r\n354 go on\r\n"), sent(HI ".\r\n"), expires(7000),
	},
	.told = "one: b@x.test in_doubt in_doubt body timeout\nclosed deferred body timeout\n")

/* ---- not restarted by octets, not running while idle ------------------------------------------- */

/* Fast enough at first, then too slow. */
#define LINE "250-0123456789012345678901234567890123456789012\r\n"

DIALOG(lines_do_not_restart_the_clock,
	.hello = PLAIN,
	.steps = {
		command("NOOP", NULL), sent("NOOP\r\n"),
		waits(2 * MIN), peer_times(400, LINE), waits(30000), peer_times(20, LINE), expires(30000),
	},
	.told = "closed deferred hello too-slow\n")

DIALOG(half_a_line_has_half_a_minute,
	.hello = PIPELINING, .messages = { ONE },
	.steps = { submit(0), sent(FLIGHT), waits(MIN), peer("25"), expires(30000) },
	.told = "one: b@x.test deferred deferred mail too-slow\nclosed deferred mail too-slow\n")

DIALOG(a_reply_that_drips_after_the_dot_is_in_doubt,
	.hello = PIPELINING, .messages = { ONE },
	.steps = {
		submit(0), sent(FLIGHT), peer("250 ok\r\n250 ok\r\n354 go on\r\n"), sent(HI ".\r\n"),
		peer("250-thinking\r\n"), waits(20000), peer("250-thinking\r\n"), expires(10000),
	},
	.told = "one: b@x.test in_doubt in_doubt body too-slow\nclosed deferred body too-slow\n")

DIALOG(the_deadline_stands_though_octets_come,
	.hello = PIPELINING, .messages = { ONE },
	.steps = {
		submit(0), sent(FLIGHT), waits(290000), peer("250-ok\r\n"), expires(10000),
	},
	.told = DEFERRED("mail"))

/* The first of a flight is answered late: the next has its time from there. */
DIALOG(each_reply_of_a_flight_has_its_time,
	.hello = PIPELINING, .messages = { ONE },
	.steps = {
		submit(0), sent(FLIGHT), waits(4 * MIN), peer("250 ok\r\n"), waits(4 * MIN), peer("250 ok\r\n"),
		expires(2 * MIN),
	},
	.told = DEFERRED("data"))

DIALOG(an_idle_session_never_expires,
	.hello = PIPELINING, .messages = { ONE },
	.steps = {
		never_expires, waits(10 * HOUR), never_expires,
		submit(0), waits(0), sent(FLIGHT), waits(4 * MIN), peer("250 ok\r\n250 ok\r\n354 go on\r\n"),
		sent(HI ".\r\n"), waits(9 * MIN), peer("250 ok\r\n"), never_expires, waits(10 * HOUR),
		command("NOOP", NULL), sent("NOOP\r\n"), expires(5 * MIN),
	},
	.told = "one: b@x.test accepted ok body reply 250\nclosed deferred hello timeout\n")

DIALOG(a_source_that_is_slow_is_not_the_servers_fault,
	.hello = PIPELINING,
	.messages = { { .name = "one", .to = { "b@x.test" }, .body = HI, .piece = 11, .stalls = true } },
	.steps = {
		submit(0), sent(FLIGHT), peer("250 ok\r\n250 ok\r\n354 go on\r\n"), sent("Subject: hi"),
		never_expires, waits(HOUR), eof,
	},
	.told = "one: b@x.test deferred deferred body lost\nclosed deferred body lost\n")

DIALOG(a_closed_session_never_expires,
	.hello = PLAIN,
	.steps = { eof, never_expires, waits(HOUR) },
	.told = "closed deferred mail lost\n")

/* ---- the rate at which the server takes --------------------------------------------------------- */

#define LARGE { .name = "one", .to = { "b@x.test" }, .body = "0123456\r\n", .times = 10000, .piece = 90000 }
#define OPENED submit(0), sent(FLIGHT), peer("250 ok\r\n250 ok\r\n354 go on\r\n"), waits(0)

DIALOG(a_server_that_takes_too_little,
	.hello = PIPELINING, .messages = { LARGE }, .may_leave = true,
	.steps = { OPENED, sent("0123456\r\n"), waits(20000), sent("0123456\r\n"), expires(10000) },
	.told = "one: b@x.test deferred deferred body too-slow\nclosed deferred body too-slow\n")

DIALOG(a_server_that_takes_enough,
	.hello = PIPELINING, .messages = { LARGE }, .may_leave = true,
	.steps = {
		OPENED, sent_times(2000, "0123456\r\n"), waits(29000), sent_times(2000, "0123456\r\n"), waits(29000),
		sent_times(2000, "0123456\r\n"), waits(29000), cancel,
	},
	.told = "one: b@x.test deferred cancelled body cancelled\nclosed cancelled body cancelled\n")

/* It paused for two minutes, which it may; what counts is what it takes from then on. */
DIALOG(a_server_that_pauses_and_goes_on,
	.hello = PIPELINING, .messages = { LARGE }, .may_leave = true,
	.steps = {
		OPENED, sent_times(2000, "0123456\r\n"), waits(31000), waits(120000), sent("0123456\r\n"), waits(20000),
		sent_times(2000, "0123456\r\n"), waits(20000), cancel,
	},
	.told = "one: b@x.test deferred cancelled body cancelled\nclosed cancelled body cancelled\n")

DIALOG(a_server_that_takes_much_and_then_nothing,
	.hello = PIPELINING, .messages = { LARGE }, .may_leave = true,
	.steps = { OPENED, sent_times(2000, "0123456\r\n"), expires(3 * MIN) },
	.told = DEFERRED("body"))

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_greeting_has_five_minutes),
		cmocka_unit_test(ehlo_has_five_minutes),
		cmocka_unit_test(mail_has_five_minutes),
		cmocka_unit_test(rcpt_has_five_minutes_of_its_own),
		cmocka_unit_test(data_has_two_minutes),
		cmocka_unit_test(the_final_dot_has_ten_minutes_and_then_is_in_doubt),
		cmocka_unit_test(the_last_chunk_has_ten_minutes),
		cmocka_unit_test(starttls_and_the_handshake_have_five_minutes_each),
		cmocka_unit_test(a_response_to_a_challenge_has_five_minutes),
		cmocka_unit_test(quit_has_five_seconds),
		cmocka_unit_test(a_block_that_is_not_taken_has_three_minutes),
		cmocka_unit_test(an_option_shortens_them_all),
		cmocka_unit_test(lines_do_not_restart_the_clock),
		cmocka_unit_test(half_a_line_has_half_a_minute),
		cmocka_unit_test(a_reply_that_drips_after_the_dot_is_in_doubt),
		cmocka_unit_test(the_deadline_stands_though_octets_come),
		cmocka_unit_test(each_reply_of_a_flight_has_its_time),
		cmocka_unit_test(an_idle_session_never_expires),
		cmocka_unit_test(a_source_that_is_slow_is_not_the_servers_fault),
		cmocka_unit_test(a_closed_session_never_expires),
		cmocka_unit_test(a_server_that_takes_too_little),
		cmocka_unit_test(a_server_that_takes_enough),
		cmocka_unit_test(a_server_that_pauses_and_goes_on),
		cmocka_unit_test(a_server_that_takes_much_and_then_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
