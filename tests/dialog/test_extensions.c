/* SPDX-License-Identifier: MIT */
/* What a message asks of extensions: written where they are offered; where they are not, left out
 * if it was preferred, and refused before anything is sent if it was demanded. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "dialog.h"

#define OFFER(keywords) "250-mx.test\r\n250-PIPELINING\r\n250 " keywords "\r\n"
#define ONE(...)  { .name = "one", .to = { "b@x.test" }, .body = HI, .asks = { __VA_ARGS__ } }
#define OKS       "250 ok\r\n250 ok\r\n354 go on\r\n"
#define ACCEPTED  "one: b@x.test accepted ok body reply 250\n"
#define NO(code)  "one: b@x.test refused refused mail " code "\n"

/* MAIL and RCPT are these, and the message goes. */
#define GOES(mail, rcpt) \
	.steps = { submit(0), sent(mail "\r\n" rcpt "\r\nDATA\r\n"), peer(OKS), sent(HI ".\r\n"), \
	           peer("250 ok\r\n") }, \
	.told = ACCEPTED
#define REFUSED(code) .steps = { submit(0) }, .told = NO(code)

#define MAIL "MAIL FROM:<a@x.test>"
#define RCPT "RCPT TO:<b@x.test>"
#define BODY_TRACE "< 250 ok\n< 250 ok\n< 354 go on\n> [22 octets of message]\n> .\n< 250 ok\n"

/* ---- DSN (RFC 3461) -------------------------------------------------------------------------- */

#define REPORTS .notify = PH_NOTIFY_SUCCESS | PH_NOTIFY_FAILURE | PH_NOTIFY_DELAY, \
                .dsn_return = PH_RETURN_HEADERS, .envid = "id+1 x"

DIALOG(reports_are_asked_for,
	.hello = OFFER("DSN"), .messages = { ONE(REPORTS) },
	GOES(MAIL " RET=HDRS ENVID=id+2B1+20x",
	     RCPT " NOTIFY=SUCCESS,FAILURE,DELAY ORCPT=rfc822;b@x.test"))

DIALOG(reports_that_are_not_offered_are_left_out_and_said_so,
	.hello = PIPELINING, .messages = { ONE(REPORTS) }, GOES(MAIL, RCPT),
	.trace = "* The server does not offer DSN: left out is what was asked of delivery reports "
	         "(NOTIFY, RET, ENVID, ORCPT)\n> " MAIL "\n"
	         "> " RCPT "\n> DATA\n" BODY_TRACE)

DIALOG(notify_alone_that_is_not_offered_is_said_too,
	.hello = PIPELINING, .messages = { ONE(.notify = PH_NOTIFY_NEVER) }, GOES(MAIL, RCPT),
	.trace = "* The server does not offer DSN: left out is what was asked of delivery reports "
	         "(NOTIFY, RET, ENVID, ORCPT)\n> " MAIL "\n"
	         "> " RCPT "\n> DATA\n" BODY_TRACE)

/* Who asks for no report has no use for the name in it. */
DIALOG(never_comes_without_a_name,
	.hello = OFFER("DSN"), .messages = { ONE(.notify = PH_NOTIFY_NEVER, .dsn_return = PH_RETURN_FULL) },
	GOES(MAIL " RET=FULL", RCPT " NOTIFY=NEVER"))

DIALOG(nothing_asked_is_nothing_said,
	.hello = OFFER("DSN"), .messages = { ONE(.notify = 0) }, GOES(MAIL, RCPT))

static const unsigned each_notify[] = { 0, PH_NOTIFY_NEVER, PH_NOTIFY_DELAY };
static const char *const each_orcpt[] = { "rfc822;Bob+list=x@y.test", NULL, "x400;/C=DE/S=Bob/" };

DIALOG(each_recipient_has_its_own,
	.hello = OFFER("DSN"),
	.messages = { { .name = "one", .to = { "b@x.test", "c@x.test", "d@x.test" }, .body = HI,
	                .asks = { .notify = PH_NOTIFY_FAILURE, .recipient_notify = each_notify,
	                          .original_recipients = each_orcpt } } },
	.steps = {
		submit(0),
		sent(MAIL "\r\n"
		     RCPT " NOTIFY=FAILURE ORCPT=rfc822;Bob+2Blist+3Dx@y.test\r\n"
		     "RCPT TO:<c@x.test> NOTIFY=NEVER\r\n"
		     "RCPT TO:<d@x.test> NOTIFY=DELAY ORCPT=x400;/C+3DDE/S+3DBob/\r\nDATA\r\n"),
		peer("250 ok\r\n250 ok\r\n550 5.1.1 no\r\n250 ok\r\n354 go on\r\n"),
		sent(HI ".\r\n"), peer("250 ok\r\n"),
	},
	.told = ACCEPTED "one: c@x.test refused refused rcpt reply 550 5.1.1\n"
	        "one: d@x.test accepted ok body reply 250\n")

/* RFC 6533 §3: seven bits of UTF-8. */
static const char *const utf8_orcpt[] = { "utf-8;b\303\266b\\+@\360\237\220\247.test" };

DIALOG(a_name_beyond_ascii_goes_in_seven_bits,
	.hello = OFFER("DSN"),
	.messages = { ONE(.original_recipients = utf8_orcpt) },
	GOES(MAIL, RCPT " ORCPT=utf-8;b\\x{F6}b\\x{5C}\\x{2B}@\\x{1F427}.test"))

DIALOG(an_address_beyond_ascii_is_its_own_name,
	.hello = "250-mx.test\r\n250-PIPELINING\r\n250-SMTPUTF8\r\n250 DSN\r\n",
	.messages = { { .name = "one", .to = { "\303\266@x.test" }, .body = HI,
	                .asks = { .notify = PH_NOTIFY_FAILURE } } },
	.steps = {
		submit(0),
		sent(MAIL " SMTPUTF8\r\nRCPT TO:<\303\266@x.test> NOTIFY=FAILURE "
		     "ORCPT=utf-8;\\x{F6}@x.test\r\nDATA\r\n"),
		peer(OKS), sent(HI ".\r\n"), peer("250 ok\r\n"),
	},
	.told = "one: \303\266@x.test accepted ok body reply 250\n")

/* ---- AUTH= (RFC 4954 §5) --------------------------------------------------------------------- */

DIALOG(the_submitter_is_named_where_auth_is_offered,
	.hello = OFFER("AUTH PLAIN"), .messages = { ONE(.auth = "e=mc2@x.test") },
	GOES(MAIL " AUTH=e+3Dmc2@x.test", RCPT))

DIALOG(nobody_we_vouch_for,
	.hello = OFFER("AUTH PLAIN"), .messages = { ONE(.auth = "") }, GOES(MAIL " AUTH=<>", RCPT))

DIALOG(the_submitter_is_not_named_elsewhere,
	.hello = PIPELINING, .messages = { ONE(.auth = "c@x.test") }, GOES(MAIL, RCPT),
	.trace = "* The server does not offer AUTH: left out is who submitted it (AUTH=)\n> " MAIL "\n"
	         "> " RCPT "\n> DATA\n" BODY_TRACE)

/* ---- DELIVERBY (RFC 2852) -------------------------------------------------------------------- */

DIALOG(a_deadline_with_return,
	.hello = OFFER("DELIVERBY"), .messages = { ONE(.by_mode = PH_BY_RETURN, .by_seconds = 120) },
	GOES(MAIL " BY=120;R", RCPT))

DIALOG(a_deadline_with_return_needs_the_extension,
	.hello = PIPELINING, .messages = { ONE(.by_mode = PH_BY_RETURN, .by_seconds = 120) },
	REFUSED("not-offered 5.3.3"))

DIALOG(a_deadline_below_the_servers_least_is_refused,
	.hello = OFFER("DELIVERBY 240,x"), .messages = { ONE(.by_mode = PH_BY_RETURN, .by_seconds = 239) },
	REFUSED("limit 5.5.4"))

DIALOG(a_deadline_at_the_servers_least_is_not,
	.hello = OFFER("DELIVERBY 240,x"), .messages = { ONE(.by_mode = PH_BY_RETURN, .by_seconds = 240) },
	GOES(MAIL " BY=240;R", RCPT))

/* The least is one for deadlines with return. */
DIALOG(a_deadline_with_notice_may_have_passed,
	.hello = OFFER("DELIVERBY 240"),
	.messages = { ONE(.by_mode = PH_BY_NOTIFY, .by_seconds = -999999999, .by_trace = true) },
	GOES(MAIL " BY=-999999999;NT", RCPT))

DIALOG(a_deadline_with_notice_is_left_out,
	.hello = PIPELINING, .messages = { ONE(.by_mode = PH_BY_NOTIFY, .by_seconds = 60) },
	GOES(MAIL, RCPT),
	.trace = "* The server does not offer DELIVERBY: left out is the time to deliver it by (BY)\n> " MAIL "\n"
	         "> " RCPT "\n> DATA\n" BODY_TRACE)

/* ---- FUTURERELEASE (RFC 4865) ---------------------------------------------------------------- */

#define HOLDS OFFER("FUTURERELEASE 3600 2030-01-01T00:00:00+01:00")

DIALOG(a_message_is_held_for_a_while,
	.hello = HOLDS, .messages = { ONE(.hold_for = 3600) }, GOES(MAIL " HOLDFOR=3600", RCPT))

DIALOG(a_message_is_held_until_a_time,
	.hello = HOLDS, .messages = { ONE(.hold_until = 1893452400) },
	GOES(MAIL " HOLDUNTIL=2029-12-31T23:00:00Z", RCPT))

DIALOG(not_for_longer_than_the_server_holds,
	.hello = HOLDS, .messages = { ONE(.hold_for = 3601) }, REFUSED("limit 5.5.4"))

DIALOG(not_until_later_than_the_server_holds,
	.hello = HOLDS, .messages = { ONE(.hold_until = 1893452401) }, REFUSED("limit 5.5.4"))

DIALOG(a_server_that_states_no_limit_decides_itself,
	.hello = OFFER("FUTURERELEASE"), .messages = { ONE(.hold_for = 999999999) },
	GOES(MAIL " HOLDFOR=999999999", RCPT))

DIALOG(a_server_that_cannot_hold_gets_nothing,
	.hello = PIPELINING, .messages = { ONE(.hold_for = 60) }, REFUSED("not-offered 5.3.3"))

/* ---- MT-PRIORITY (RFC 6710) ------------------------------------------------------------------ */

DIALOG(a_priority,
	.hello = OFFER("MT-PRIORITY MIXER"), .messages = { ONE(.priority = -9) },
	GOES(MAIL " MT-PRIORITY=-9", RCPT))

DIALOG(a_priority_is_left_out,
	.hello = PIPELINING, .messages = { ONE(.priority = 4) }, GOES(MAIL, RCPT),
	.trace = "* The server does not offer MT-PRIORITY: left out is its priority\n> " MAIL "\n"
	         "> " RCPT "\n> DATA\n" BODY_TRACE)

/* ---- REQUIRETLS (RFC 8689) ------------------------------------------------------------------- */

#define TLS_HELLO(keyword) \
	peer("220 mx.test\r\n"), command("EHLO", "me.test"), sent("EHLO me.test\r\n"), \
	peer("250-mx.test\r\n250-PIPELINING\r\n250 " keyword "\r\n")
#define TOLD_HELLO "want_tls\nreply GREETING 220\nreply EHLO 250\n"

DIALOG(over_verified_tls_or_not_at_all,
	.opts = { .implicit_tls = true }, .messages = { ONE(.require_tls = true) },
	.steps = {
		tls_done, TLS_HELLO("REQUIRETLS"), submit(0),
		sent(MAIL " REQUIRETLS\r\n" RCPT "\r\nDATA\r\n"), peer(OKS), sent(HI ".\r\n"),
		peer("250 ok\r\n"),
	},
	.told = TOLD_HELLO ACCEPTED)

DIALOG(tls_that_proves_nothing_is_not_enough,
	.opts = { .implicit_tls = true }, .messages = { ONE(.require_tls = true) },
	.steps = { tls_unverified, TLS_HELLO("REQUIRETLS"), submit(0) },
	.told = TOLD_HELLO NO("certificate 5.7.30"))

DIALOG(a_server_that_does_not_promise_it_gets_nothing,
	.opts = { .implicit_tls = true }, .messages = { ONE(.require_tls = true) },
	.steps = { tls_done, TLS_HELLO("DSN"), submit(0) },
	.told = TOLD_HELLO NO("not-offered 5.7.30"))

DIALOG(in_clear_nothing_goes,
	.hello = OFFER("REQUIRETLS"), .messages = { ONE(.require_tls = true) }, REFUSED("not-offered 5.7.30"))

/* ---- together -------------------------------------------------------------------------------- */

DIALOG(all_of_them_with_chunking,
	.hello = "250-mx.test\r\n250-PIPELINING\r\n250-CHUNKING\r\n250-SIZE 1000\r\n250-DSN\r\n"
	         "250-AUTH LOGIN\r\n250-DELIVERBY\r\n250-FUTURERELEASE 9 2030-01-01T00:00:00Z\r\n"
	         "250 MT-PRIORITY\r\n",
	.messages = { { .name = "one", .to = { "b@x.test" }, .body = HI,
	                .mail_parameters = { "XOWN=1" }, .rcpt_parameters = { "XTOO=2" },
	                .asks = { REPORTS, .auth = "c@x.test", .by_mode = PH_BY_NOTIFY, .by_seconds = 1,
	                          .hold_for = 1, .priority = 9 } } },
	.steps = {
		submit(0),
		sent(MAIL " SIZE=22 RET=HDRS ENVID=id+2B1+20x AUTH=c@x.test BY=1;N HOLDFOR=1 MT-PRIORITY=9"
		     " XOWN=1\r\n"
		     RCPT " NOTIFY=SUCCESS,FAILURE,DELAY ORCPT=rfc822;b@x.test XTOO=2\r\n"
		     "BDAT 22 LAST\r\n" HI),
		peer("250 ok\r\n250 ok\r\n250 ok\r\n"),
	},
	.told = ACCEPTED)

/* HELO offers nothing. */
DIALOG(none_of_them_after_helo,
	.hello = PLAIN, .helo = true,
	.messages = { ONE(REPORTS, .auth = "", .by_mode = PH_BY_NOTIFY, .by_seconds = 1, .priority = 9) },
	.steps = {
		submit(0), sent(MAIL "\r\n"), peer("250 ok\r\n"), sent(RCPT "\r\n"), peer("250 ok\r\n"),
		sent("DATA\r\n"), peer("354 go on\r\n"), sent(HI ".\r\n"), peer("250 ok\r\n"),
	},
	.told = ACCEPTED)

DIALOG(over_lmtp_as_well,
	.opts = { .lmtp = true }, .hello = OFFER("DSN"), .messages = { ONE(REPORTS) },
	GOES(MAIL " RET=HDRS ENVID=id+2B1+20x",
	     RCPT " NOTIFY=SUCCESS,FAILURE,DELAY ORCPT=rfc822;b@x.test"))

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(reports_are_asked_for),
		cmocka_unit_test(reports_that_are_not_offered_are_left_out_and_said_so),
		cmocka_unit_test(notify_alone_that_is_not_offered_is_said_too),
		cmocka_unit_test(never_comes_without_a_name),
		cmocka_unit_test(nothing_asked_is_nothing_said),
		cmocka_unit_test(each_recipient_has_its_own),
		cmocka_unit_test(a_name_beyond_ascii_goes_in_seven_bits),
		cmocka_unit_test(an_address_beyond_ascii_is_its_own_name),
		cmocka_unit_test(the_submitter_is_named_where_auth_is_offered),
		cmocka_unit_test(nobody_we_vouch_for),
		cmocka_unit_test(the_submitter_is_not_named_elsewhere),
		cmocka_unit_test(a_deadline_with_return),
		cmocka_unit_test(a_deadline_with_return_needs_the_extension),
		cmocka_unit_test(a_deadline_below_the_servers_least_is_refused),
		cmocka_unit_test(a_deadline_at_the_servers_least_is_not),
		cmocka_unit_test(a_deadline_with_notice_may_have_passed),
		cmocka_unit_test(a_deadline_with_notice_is_left_out),
		cmocka_unit_test(a_message_is_held_for_a_while),
		cmocka_unit_test(a_message_is_held_until_a_time),
		cmocka_unit_test(not_for_longer_than_the_server_holds),
		cmocka_unit_test(not_until_later_than_the_server_holds),
		cmocka_unit_test(a_server_that_states_no_limit_decides_itself),
		cmocka_unit_test(a_server_that_cannot_hold_gets_nothing),
		cmocka_unit_test(a_priority),
		cmocka_unit_test(a_priority_is_left_out),
		cmocka_unit_test(over_verified_tls_or_not_at_all),
		cmocka_unit_test(tls_that_proves_nothing_is_not_enough),
		cmocka_unit_test(a_server_that_does_not_promise_it_gets_nothing),
		cmocka_unit_test(in_clear_nothing_goes),
		cmocka_unit_test(all_of_them_with_chunking),
		cmocka_unit_test(none_of_them_after_helo),
		cmocka_unit_test(over_lmtp_as_well),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
