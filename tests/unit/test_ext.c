/* SPDX-License-Identifier: MIT */
/* What a reply to EHLO offers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/bounds.h"
#include "failing_memory.h"
#include "smtp/ext.h"

static struct ph__extensions e;

static int
set_up(void **state)
{
	(void)state;
	ph__ext_init(&e, &ph__libc_memory);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	ph__ext_done(&e);
	return 0;
}

static void
offer(const char *text)
{
	assert_true(ph__ext_parse(&e, ph__str(text)));
}

static void
assert_parameter(const char *keyword, const char *want)
{
	const char *got = NULL;

	assert_true(ph__ext_find(&e, keyword, &got));
	assert_string_equal(got, want);
}

static void
keywords_have_their_bits_and_parameters(void **state)
{
	(void)state;
	offer("mx.test\nPIPELINING\nSIZE 1000\n8BITMIME\nSMTPUTF8\nSTARTTLS\nAUTH PLAIN LOGIN\n"
	      "ENHANCEDSTATUSCODES\nCHUNKING\nBINARYMIME\nDSN\nLIMITS RCPTMAX=10\nX-OURS a  b");
	assert_int_equal(e.bits, (1u << 11) - 1);
	assert_int_equal(e.size, 1000);
	assert_int_equal(e.rcpt_max, 10);
	assert_int_equal(e.count, 12);
	assert_parameter("PIPELINING", "");
	assert_parameter("SIZE", "1000");
	assert_parameter("x-ours", "a  b");
	assert_false(ph__ext_find(&e, "VRFY", NULL));
}

/* The first line is a greeting, whatever it says. */
static void
the_first_line_offers_nothing(void **state)
{
	(void)state;
	offer("PIPELINING");
	assert_int_equal(e.bits, 0);
	offer("STARTTLS\nDSN");
	assert_int_equal(e.bits, PH__EXT_DSN);
	assert_int_equal(e.count, 1);
}

static void
case_does_not_matter_and_the_whole_word_does(void **state)
{
	(void)state;
	offer("x\npipelining\nStartTLS\nSIZES 5\nCHUNKIN\nDSNX\n8BITMIME-X");
	assert_int_equal(e.bits, PH__EXT_PIPELINING | PH__EXT_STARTTLS);
	assert_int_equal(e.size, 0);
	assert_true(ph__ext_find(&e, "STARTTLS", NULL));
	assert_false(ph__ext_find(&e, "STARTTL", NULL));
}

static void
lines_that_are_no_keyword_are_left_out(void **state)
{
	(void)state;
	offer("x\n*** no spam ***\n\n-X\nhello_world\n  \nDSN\nA:B");
	assert_int_equal(e.count, 1);
	assert_parameter("DSN", "");
}

static void
a_size_that_is_no_number_is_no_limit(void **state)
{
	(void)state;
	offer("x\nSIZE");
	assert_int_equal(e.bits, PH__EXT_SIZE);
	assert_int_equal(e.size, 0);
	offer("x\nSIZE lots");
	assert_int_equal(e.size, 0);
	offer("x\nSIZE -1");
	assert_int_equal(e.size, 0);
	offer("x\nSIZE 99999999999999999999999");
	assert_int_equal(e.size, 0);
	offer("x\nSIZE 18446744073709551615");
	assert_true(e.size == UINT64_MAX);
	offer("x\nSIZE  52428800 more");
	assert_int_equal(e.size, 52428800);
}

static void
limits_are_read(void **state)
{
	(void)state;
	offer("x\nLIMITS MAILMAX=5 rcptmax=100 RCPTDOMAINMAX=1 NEWMAX=7 FLAG");
	assert_int_equal(e.mail_max, 5);
	assert_int_equal(e.rcpt_max, 100);
	assert_int_equal(e.rcpt_domain_max, 1);
	offer("x\nLIMITS MAILMAX=0 RCPTMAX=1000000 RCPTDOMAINMAX=x");
	assert_int_equal(e.mail_max, 0);
	assert_int_equal(e.rcpt_max, 0);
	assert_int_equal(e.rcpt_domain_max, 0);
}

static void
what_a_server_can_do_with_time_is_read(void **state)
{
	(void)state;
	offer("x\nDELIVERBY 240\nFUTURERELEASE 86400 2030-01-01T00:00:00Z\nMT-PRIORITY MIXER\nREQUIRETLS");
	assert_int_equal(e.bits, PH__EXT_DELIVERBY | PH__EXT_FUTURERELEASE | PH__EXT_MT_PRIORITY |
	                         PH__EXT_REQUIRETLS);
	assert_int_equal(e.by_min, 240);
	assert_int_equal(e.hold_max, 86400);
	assert_int_equal(e.hold_until_max, 1893456000);
	offer("x\nDELIVERBY 60,token\nFUTURERELEASE  9   2030-01-01t00:00:00.5-00:30 more");
	assert_int_equal(e.by_min, 60);
	assert_int_equal(e.hold_max, 9);
	assert_int_equal(e.hold_until_max, 1893456000 + 1800);
	offer("x\nDELIVERBY soon\nFUTURERELEASE later tomorrow");
	assert_int_equal(e.by_min, 0);
	assert_int_equal(e.hold_max, 0);
	assert_int_equal(e.hold_until_max, 0);
	offer("x\nDELIVERBY 1000000000\nFUTURERELEASE -1 1969-12-31T23:59:59Z");
	assert_int_equal(e.by_min, 0);
	assert_int_equal(e.hold_max, 0);
	assert_int_equal(e.hold_until_max, 0);
}

static void
mechanisms_in_both_spellings(void **state)
{
	(void)state;
	offer("x\nAUTH PLAIN  LOGIN\nAUTH=CRAM-MD5 NTLM");
	assert_int_equal(e.bits, PH__EXT_AUTH);
	assert_true(ph__ext_offers_mechanism(&e, "plain"));
	assert_true(ph__ext_offers_mechanism(&e, "LOGIN"));
	assert_true(ph__ext_offers_mechanism(&e, "CRAM-MD5"));
	assert_true(ph__ext_offers_mechanism(&e, "NTLM"));
	assert_false(ph__ext_offers_mechanism(&e, "PLA"));
	assert_false(ph__ext_offers_mechanism(&e, "EXTERNAL"));
	offer("x\nAUTH=LOGIN");
	assert_int_equal(e.bits, PH__EXT_AUTH);
	assert_true(ph__ext_offers_mechanism(&e, "LOGIN"));
	assert_parameter("AUTH", "LOGIN");
	offer("x\nAUTH");
	assert_false(ph__ext_offers_mechanism(&e, ""));
}

static void
an_offer_forgets_the_one_before(void **state)
{
	(void)state;
	offer("x\nPIPELINING\nSIZE 5\nLIMITS MAILMAX=5\nDELIVERBY 5\nFUTURERELEASE 5 2030-01-01T00:00:00Z");
	offer("x\nDSN");
	assert_int_equal(e.by_min, 0);
	assert_int_equal(e.hold_max, 0);
	assert_int_equal(e.hold_until_max, 0);
	assert_int_equal(e.bits, PH__EXT_DSN);
	assert_int_equal(e.size, 0);
	assert_int_equal(e.mail_max, 0);
	ph__ext_forget(&e);
	assert_int_equal(e.bits, 0);
	assert_false(ph__ext_find(&e, "DSN", NULL));
}

static void
keywords_without_end_are_cut(void **state)
{
	char text[8192] = "x";
	size_t len = 1;

	(void)state;
	for (int i = 0; i < 500; i++)
		len += (size_t)snprintf(text + len, sizeof text - len, "\nX%d", i);
	offer(text);
	assert_int_equal(e.count, PH__EHLO_KEYWORDS_MAX);
}

static void
lack_of_memory_is_told(void **state)
{
	struct failing_memory fm;

	(void)state;
	for (size_t n = 1; failing_memory_try(&fm, n); n++) {
		char text[4200] = "x\nDSN\nX ";
		struct ph__extensions x;
		bool ok;

		memset(text + 8, 'y', 4000);
		ph__ext_init(&x, &fm.mem);
		ok = ph__ext_parse(&x, ph__str(text));
		assert_true(ok == !fm.failed);
		ph__ext_done(&x);
		assert_int_equal(fm.live, 0);
	}
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(keywords_have_their_bits_and_parameters),
		cmocka_unit_test(the_first_line_offers_nothing),
		cmocka_unit_test(case_does_not_matter_and_the_whole_word_does),
		cmocka_unit_test(lines_that_are_no_keyword_are_left_out),
		cmocka_unit_test(a_size_that_is_no_number_is_no_limit),
		cmocka_unit_test(limits_are_read),
		cmocka_unit_test(what_a_server_can_do_with_time_is_read),
		cmocka_unit_test(mechanisms_in_both_spellings),
		cmocka_unit_test(an_offer_forgets_the_one_before),
		cmocka_unit_test(keywords_without_end_are_cut),
		cmocka_unit_test(lack_of_memory_is_told),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
