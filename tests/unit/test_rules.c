/* SPDX-License-Identifier: MIT */
/* The rules of `posthaste sink`: grammar, every complaint with its place, counts, chance, and what a rule
 * makes of a reply. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "failing_memory.h"
#include "sink/rules.h"

static enum ph_code
add(struct ph__rules *rs, const char *rule, struct ph_error *err)
{
	return ph__rules_add(rs, "--rule", ph__str(rule), err);
}

static struct ph__rules
rules(const char *const *text)
{
	struct ph__rules rs;

	ph__rules_init(&rs, &ph__libc_memory, 1);
	for (; *text != NULL; text++)
		assert_int_equal(add(&rs, *text, NULL), PH_OK);
	return rs;
}
#define RULES(...) rules((const char *const[]){ __VA_ARGS__, NULL })

/* The number of the rule that is met, from 1; 0: none. */
static unsigned
meets(struct ph__rules *rs, struct ph__rule_peer *p, const char *verb, const char *argument)
{
	struct ph__rule_event ev = { .stage = ph__rule_stage_of(verb), .verb = verb,
		                     .argument = ph__str(argument) };
	struct ph__rule *r = ph__rules_match(rs, p, &ev);

	return r != NULL ? (unsigned)(r - rs->rows) + 1 : 0;
}

static void
all_parts_of_a_rule_are_read(void **state)
{
	struct ph__rules rs = RULES(
		"  rcpt:/^b\\/o[b ]@/i 2-3 per message 50% delay 1s-2m 450 4.2.1 \"not\\nnow\" drip 3/100ms "
		"inject \"a\\r\\n\\x00\\\"\" late 20ms bye \\t!  ",
		"body at 12 550", "tls delay 1s badcert wrong-name", "noop 299-300 299 plain 4.2.1 drop",
		"hello cut 4 long 600 wrong-code 451");
	const struct ph__rule *r = rs.rows;

	(void)state;
	assert_int_equal(rs.count, 5);
	assert_int_equal(r->stage, PH__RULE_RCPT);
	assert_true(r->has_regex);
	assert_int_equal(regexec(&r->regex, "B/o @", 0, NULL, 0), 0);
	assert_true(r->first == 2 && r->last == 3 && r->scope == PH__RULE_PER_MESSAGE && r->percent == 50);
	assert_true(r->delay == 1000 && r->delay_max == 120000 && r->piece == 3 && r->pause == 100);
	assert_int_equal(r->reply.code, 450);
	assert_string_equal(r->reply.enhanced, "4.2.1");
	assert_string_equal(r->reply.text, "not\nnow");
	assert_int_equal(r->inject.len, 5);
	assert_memory_equal(r->inject.ptr, "a\r\n\0\"", 5);
	assert_string_equal(r->late.ptr, "bye \t!");
	assert_true(r->late_after == 20 && !ph__rule_is_plain(r));
	r = &rs.rows[1];
	assert_true(r->at == 12 && r->reply.code == 550 && r->reply.enhanced == NULL);
	assert_string_equal(r->reply.text, "");
	r = &rs.rows[2];
	assert_true(r->cert == PH__CERT_NAME && r->delay == 1000);
	/* Words behind a text are text. */
	r = &rs.rows[3];
	assert_true(r->first == 299 && r->last == 300 && r->reply.code == 299 && ph__rule_is_plain(r));
	assert_string_equal(r->reply.text, "plain 4.2.1 drop");
	ph__rules_done(&rs);
}

static void
each_wrong_rule_is_shown_with_its_place(void **state)
{
	static const struct { const char *rule, *what; int column; } rows[] = {
		{ "", "begins with its stage", 0 },
		{ " rctp 450", "begins with its stage", 1 },
		{ "rcpt", "an action is missing", 4 },
		{ "body at 3", "an action is missing", 9 },
		{ "rcptx 450", "begins with its stage", 0 },
		{ "rcpt/x/ 450", "behind a stage", 4 },
		{ "rcpt:x 450", "behind a stage", 4 },
		{ "rcpt:/x 450", "no closing /", 5 },
		{ "rcpt:/x/y 450", "behind a regular expression", 8 },
		{ "rcpt:/x/iy 450", "behind a regular expression", 9 },
		{ "rcpt:/[/ 450", "the regular expression is wrong: ", 6 },
		{ "rcpt 0 450", "a count is", 5 },
		{ "rcpt 3-2 450", "a count is", 5 },
		{ "rcpt 3- 450", "a count is", 5 },
		{ "rcpt 3x 450", "a count is", 5 },
		{ "rcpt 600x", "a count is", 5 },
		{ "rcpt 1 2 450", "a second count", 7 },
		{ "rcpt 1 per day 450", "behind `per`", 11 },
		{ "rcpt 1 per", "behind `per`", 10 },
		{ "rcpt 0% 450", "a chance is", 5 },
		{ "rcpt 101% 450", "a chance is", 5 },
		{ "rcpt 1% 2% 450", "a second chance", 8 },
		{ "rcpt dorp", "no such action", 5 },
		{ "rcpt drop 45", "three digits", 10 },
		{ "rcpt drop 600", "three digits", 10 },
		{ "rcpt 450 \"a\" 451 b", "a second reply", 13 },
		{ "rcpt drop drop", "given twice", 10 },
		{ "rcpt drop reset", "only one of drop", 10 },
		{ "rcpt stall drop", "only one of drop", 11 },
		{ "rcpt garbage stall", "only one of raw", 13 },
		{ "rcpt cut 0", "behind `cut`", 9 },
		{ "rcpt cut", "behind `cut`", 8 },
		{ "rcpt cut 1 drip 1s", "one and the same", 11 },
		{ "rcpt drip 0/1s", "a piece has", 10 },
		{ "rcpt drip 1/1", "that is no time", 12 },
		{ "rcpt delay 1", "that is no time", 11 },
		{ "rcpt delay 61m", "that is no time", 11 },
		{ "rcpt delay 1s-", "that is no time", 14 },
		{ "rcpt delay 2s-1s", "longer time comes last", 11 },
		{ "rcpt long", "behind `long`", 9 },
		{ "rcpt wrong-code 600", "behind `wrong-code`", 16 },
		{ "rcpt inject", "inject what?", 5 },
		{ "rcpt late x y", "that is no time", 10 },
		{ "rcpt late 1s", "late with what?", 5 },
		{ "rcpt 450 \"x", "not closed", 9 },
		{ "rcpt 450 \"x\"y", "a blank is missing", 12 },
		{ "rcpt 450 a\\qb", "behind a backslash", 10 },
		{ "rcpt 450 a\\", "behind a backslash", 10 },
		{ "rcpt 450 a\\x1", "behind a backslash", 10 },
		{ "rcpt 450 a\\rb", "no control character", 10 },
		{ "tls 450", "has no replies", 4 },
		{ "tls cut 1", "has no replies", 4 },
		{ "rcpt at 3 450", "`at` is for `body`", 5 },
		{ "rcpt badcert expired", "`badcert` is for `tls`", 5 },
		{ "rcpt tls-fail", "`tls-fail` is for `tls`", 5 },
		{ "tls badcert", "untrusted, expired or wrong-name", 11 },
		{ "tls badcert expired tls-fail", "shows no certificate", 0 },
		{ "rcpt stall cut 1", "nothing is said", 0 },
		{ "rcpt garbage long 9", "need a reply", 0 },
		{ "rcpt endless drop", "behind an endless reply", 0 },
		{ "body cut 1", "says nothing by itself", 0 },
		{ "rcpt 450 \xc3\xa9\xc3\xa9\\q", "behind a backslash", 11 },
	};
	struct ph__rules rs = RULES(NULL);

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct ph_error err = PH_ERROR_INIT;
		char place[300];

		assert_int_equal(add(&rs, rows[i].rule, &err), PH_EUSAGE);
		snprintf(place, sizeof place, "\n  %s\n  %*s^", rows[i].rule, rows[i].column, "");
		if (strncmp(err.text, "--rule: ", 8) != 0 || strstr(err.text, rows[i].what) == NULL ||
		    strstr(err.text, place) == NULL)
			fail_msg("%s: %s", rows[i].rule, err.text);
		assert_int_equal(strlen(strstr(err.text, place)), strlen(place));
	}
	assert_int_equal(rs.count, 0);
	assert_int_equal(add(&rs, "rcpt 450 a\nb", NULL), PH_EUSAGE);
	ph__rules_done(&rs);
}

static void
a_place_far_along_is_still_shown(void **state)
{
	struct ph_error err = PH_ERROR_INIT;
	struct ph__rules rs = RULES(NULL);
	char rule[700];
	const char *mark;

	(void)state;
	memset(rule, 'x', sizeof rule);
	memcpy(rule, "rcpt 450 \"", 10);
	memcpy(rule + sizeof rule - 12, "\" delay now", 12);
	assert_int_equal(add(&rs, rule, &err), PH_EUSAGE);
	assert_non_null(mark = strrchr(err.text, '\n'));
	assert_int_equal(strspn(mark + 1, " "), strlen(mark + 1) - 1);
	assert_memory_equal(mark - 3, "now", 3);
	ph__rules_done(&rs);
}

/* Of UTF-8's further octets alone there is no place to cut. */
static void
a_rule_that_is_no_text_is_complained_of(void **state)
{
	struct ph__rules rs = RULES(NULL);
	struct ph__rule r;
	char *rule = malloc(301); /* alone, so that what lies before it is nobody's */

	(void)state;
	memset(rule, 0x80, 300);
	rule[300] = '\0';
	assert_int_equal(ph__rule_parse(&rs, "--rule", rule, &r, NULL), PH_EUSAGE);
	free(rule);
	ph__rules_done(&rs);
}

static void
a_file_has_a_rule_a_line(void **state)
{
	struct ph_error err = PH_ERROR_INIT;
	struct ph__rules rs = RULES(NULL);

	(void)state;
	assert_int_equal(ph__rules_add_lines(&rs, "f", ph__str("# no\r\n\n \t\nrcpt 450 x\r\n  noop drop"), &err),
	                 PH_OK);
	assert_int_equal(rs.count, 2);
	assert_string_equal(rs.rows[0].reply.text, "x");
	assert_int_equal(ph__rules_add_lines(&rs, "f", ph__str("\nrcpt\n"), &err), PH_EUSAGE);
	assert_memory_equal(err.text, "f, line 2: ", 11);
	ph__rules_done(&rs);
}

static void
the_first_rule_that_fits_is_met(void **state)
{
	struct ph__rules rs = RULES("hello:/^HELO/ 502", "rcpt:/^a/ 2 450", "rcpt:/^a/ 451", "command:/^RCPT b/ 452",
	                            "body at 5 550", "body 551", "command:/^DATA$/ 554", "data:/^a@b$/ 555");
	struct ph__rule_peer p;

	(void)state;
	assert_true(ph__rule_peer_init(&rs, &p, 1));
	assert_int_equal(meets(&rs, &p, "EHLO", "HELO"), 0);
	assert_int_equal(meets(&rs, &p, "HELO", "x"), 1);
	assert_int_equal(meets(&rs, &p, "RCPT", "a"), 3);
	assert_int_equal(meets(&rs, &p, "RCPT", "a"), 2);
	assert_int_equal(meets(&rs, &p, "RCPT", "a"), 3);
	assert_int_equal(meets(&rs, &p, "RCPT", "b"), 4);
	assert_int_equal(meets(&rs, &p, "RCPT", "c"), 0);
	assert_int_equal(meets(&rs, &p, "DATA", "a@b"), 7);
	assert_int_equal(rs.rows[1].met, 3);
	assert_int_equal(rs.rows[1].fired, 1);
	for (uint64_t from = 0; from < 8; from++) {
		struct ph__rule_event ev = { .stage = PH__RULE_BODY, .argument = { "", 0 }, .from = from,
			                     .to = from + 1 };
		struct ph__rule *r = ph__rules_match(&rs, &p, &ev);

		assert_ptr_equal(r, from == 0 ? &rs.rows[5] : from == 4 ? &rs.rows[4] : NULL);
	}
	ph__rule_peer_done(&rs, &p);
	ph__rules_done(&rs);
}

static void
counts_have_their_scope(void **state)
{
	struct ph__rules rs = RULES("rcpt 2 per connection 450", "vrfy 2 per message 450", "expn 1 per argument 450",
	                            "noop 3+ 450");
	struct ph__rule_peer p, q;

	(void)state;
	assert_true(ph__rule_peer_init(&rs, &p, 1) && ph__rule_peer_init(&rs, &q, 2));
	assert_int_equal(meets(&rs, &p, "RCPT", "") + meets(&rs, &q, "RCPT", ""), 0);
	assert_int_equal(meets(&rs, &p, "RCPT", "") + meets(&rs, &q, "RCPT", ""), 2);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(meets(&rs, &p, "VRFY", ""), 0);
		assert_int_equal(meets(&rs, &p, "VRFY", ""), 2);
		ph__rule_peer_next_message(&rs, &p);
	}
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < 1000; i++) {
			char name[16];

			snprintf(name, sizeof name, "n%d", i);
			assert_int_equal(meets(&rs, i % 2 ? &p : &q, "EXPN", name), round == 0 ? 3 : 0);
		}
	}
	for (int i = 1; i < 6; i++)
		assert_int_equal(meets(&rs, &p, "NOOP", ""), i < 3 ? 0 : 4);
	ph__rule_peer_done(&rs, &p);
	ph__rule_peer_done(&rs, &q);
	ph__rules_done(&rs);
}

static void
chance_comes_from_seed_and_connection(void **state)
{
	char drawn[4][201];

	(void)state;
	for (int run = 0; run < 4; run++) { /* seed, connection: (7,1) (7,1) (7,2) (8,1) */
		struct ph__rules rs = RULES("rcpt 30% 450");
		struct ph__rule_peer p, other;

		rs.seed = run == 3 ? 8 : 7;
		assert_true(ph__rule_peer_init(&rs, &p, run == 2 ? 2 : 1));
		assert_true(ph__rule_peer_init(&rs, &other, 9));
		for (int i = 0; i < 200; i++) {
			if (run == 1)
				meets(&rs, &other, "RCPT", ""); /* changes nothing for us */
			drawn[run][i] = meets(&rs, &p, "RCPT", "") ? 'x' : '.';
		}
		drawn[run][200] = '\0';
		ph__rule_peer_done(&rs, &p);
		ph__rule_peer_done(&rs, &other);
		ph__rules_done(&rs);
	}
	assert_string_equal(drawn[0], drawn[1]);
	assert_string_not_equal(drawn[0], drawn[2]);
	assert_string_not_equal(drawn[0], drawn[3]);
}

static void
replies_are_dressed_as_the_rule_says(void **state)
{
	static const struct { const char *rule, *said, *want; } rows[] = {
		{ "noop cut 1", "250 ok\r\n", "250 ok\r\n" },
		{ "noop inject \"x\\r\\n\"", "250 ok\r\n", "250 ok\r\nx\r\n" },
		{ "noop raw \"x\\0\"", "250 ok\r\n", "x" },
		{ "noop drop", "250 ok\r\n", "" },
		{ "noop stall", "250 ok\r\n", "" },
		{ "noop 250 \"x\" drop", "250 x\r\n", "250 x\r\n" },
		{ "noop long 12", "250-a\r\n250 ok\r\n", "250-a\r\n250 okxxxx\r\n" },
		{ "noop long 3", "250 ok\r\n", "250 ok\r\n" },
		{ "noop wrong-code 451", "250 ok\r\n", "451-ok\r\n250 ok\r\n" },
		{ "noop wrong-code 451", "250-a\r\n250-b\r\n250 c\r\n", "451-a\r\n451-b\r\n250 c\r\n" },
		{ "noop endless", "552 no\r\n", "552-and so on\r\n" },
	};
	struct ph__rule_peer p = { .random = 1 };
	struct ph__buf out;

	(void)state;
	ph__buf_init(&out, &ph__libc_memory, 10000);
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct ph__rules rs = RULES(rows[i].rule);

		ph__buf_reset(&out);
		ph__rule_dress(&rs.rows[0], &p, ph__str(rows[i].said), &out);
		assert_string_equal(ph__buf_cstr(&out), rows[i].want);
		ph__rules_done(&rs);
	}
	ph__buf_done(&out);
}

static void
lack_of_memory_is_an_error_like_any_other(void **state)
{
	struct failing_memory fm;

	(void)state;
	for (size_t n = 1; failing_memory_try(&fm, n); n++) {
		struct ph__rule_peer p = { 0 };
		struct ph__rules rs;
		enum ph_code rc;

		ph__rules_init(&rs, &fm.mem, 1);
		rc = ph__rules_add(&rs, "--rule", ph__str("rcpt:/a/ 1 per argument 450 4.2.1 \"x\" late 1s y"), NULL);
		if (rc == PH_OK && ph__rule_peer_init(&rs, &p, 1))
			meets(&rs, &p, "RCPT", "a");
		else
			assert_true(fm.failed);
		ph__rule_peer_done(&rs, &p);
		ph__rules_done(&rs);
		assert_int_equal(fm.live, 0);
	}
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_parts_of_a_rule_are_read),
		cmocka_unit_test(each_wrong_rule_is_shown_with_its_place),
		cmocka_unit_test(a_place_far_along_is_still_shown),
		cmocka_unit_test(a_rule_that_is_no_text_is_complained_of),
		cmocka_unit_test(a_file_has_a_rule_a_line),
		cmocka_unit_test(the_first_rule_that_fits_is_met),
		cmocka_unit_test(counts_have_their_scope),
		cmocka_unit_test(chance_comes_from_seed_and_connection),
		cmocka_unit_test(replies_are_dressed_as_the_rule_says),
		cmocka_unit_test(lack_of_memory_is_an_error_like_any_other),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
