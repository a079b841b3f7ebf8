/* SPDX-License-Identifier: MIT */
/* mail/mailbox.h, and the recipients of a finished message (posthaste/message.h). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>
#include <cmocka.h>

#include <posthaste/message.h>

#include "failing_memory.h"
#include "mail/mailbox.h"

/* Items as `name|address`, groups as `name:` and `;`, parted by a space. */
static void
show(struct ph__buf *out, const struct ph__mailboxes *list)
{
	for (size_t i = 0; i < list->count; i++) {
		const struct ph__mailbox *m = &list->items[i];

		if (i != 0)
			ph__buf_add_char(out, ' ');
		if (m->kind == PH__GROUP_END) {
			ph__buf_add_char(out, ';');
			continue;
		}
		ph__buf_add(out, m->name.ptr, m->name.len);
		if (m->encoded)
			ph__buf_add_char(out, '!');
		ph__buf_add_char(out, m->kind == PH__MAILBOX ? '|' : ':');
		ph__buf_add(out, m->address.ptr, m->address.len);
	}
}

static void
assert_parses(const char *text, const char *want)
{
	struct ph__mailboxes list;
	struct ph__buf out;
	struct ph_error err = PH_ERROR_INIT;

	ph__mailboxes_init(&list, &ph__libc_memory);
	ph__buf_init(&out, &ph__libc_memory, 10000);
	if (ph__mailboxes_parse(&list, ph__str(text), "To", &err) != PH_OK)
		fail_msg("'%s': %s", text, err.text);
	show(&out, &list);
	assert_string_equal(ph__buf_cstr(&out), want);
	ph__buf_done(&out);
	ph__mailboxes_done(&list);
}

static void
lists_of_mailboxes_are_understood(void **state)
{
	(void)state;
	assert_parses("", "");
	assert_parses("a@b", "|a@b");
	assert_parses("root", "|root");
	assert_parses("a@b,c@d", "|a@b |c@d");
	assert_parses(",, a@b , ,c@d ,", "|a@b |c@d");
	assert_parses("<a@b>", "|a@b");
	assert_parses("Joe Q. Public <john.q.public@example.com>",
	              "Joe Q. Public|john.q.public@example.com");
	assert_parses("\"Public, Joe\" <j@p>, x@y", "Public, Joe|j@p |x@y");
	assert_parses("\"Giant; \\\"Big\\\" Box\" <sysservices@example.net>",
	              "Giant; \"Big\" Box|sysservices@example.net");
	assert_parses("\"a\" b \"c d\" <e@f>", "a b c d|e@f");
	assert_parses("a@[192.0.2.1]", "|a@[192.0.2.1]");
}

static void
comments_are_dropped_however_deep(void **state)
{
	(void)state;
	assert_parses("a@b (c)", "|a@b");
	assert_parses("(x)a(y)@(z)b(w)", "|a@b");
	assert_parses("Pete(A nice \\) chap) <pete(his account)@silly.test(his host)>",
	              "Pete|pete@silly.test");
	assert_parses("(a(b(c)d)e) <a@b>", "|a@b");
	assert_parses("(a@b, <c@d>) e@f", "|e@f");
	assert_parses("(only)", "");
}

static void
groups_are_kept_apart(void **state)
{
	(void)state;
	assert_parses("A Group:Ed Jones <joe@where.test>,joe@where.test;",
	              "A Group: Ed Jones|joe@where.test |joe@where.test ;");
	assert_parses("undisclosed-recipients:;", "undisclosed-recipients: ;");
	assert_parses("undisclosed-recipients: ", "undisclosed-recipients: ;");
	assert_parses("g:a@b;,c@d", "g: |a@b ; |c@d");
	assert_parses("g : ; , h:;", "g: ; h: ;");
}

static void
obsolete_forms_are_understood(void **state)
{
	(void)state;
	assert_parses("Mary <@node.test,@relay.test:mary@example.net>", "Mary|mary@example.net");
	assert_parses("<@a , , @b : c@d>", "|c@d");
	assert_parses("john . doe @ example . org", "|john.doe@example.org");
	assert_parses("\"john\".doe@x", "|john.doe@x");
	assert_parses("\"john doe\" . x@y", "|\"john doe.x\"@y");
}

static void
quoting_is_kept_only_where_needed(void **state)
{
	(void)state;
	assert_parses("\"john\"@x", "|john@x");
	assert_parses("\"a..b\"@x", "|\"a..b\"@x");
	assert_parses("a..b.@x", "|a..b.@x");
	assert_parses("\"a@b\"@x", "|\"a@b\"@x");
	assert_parses("\"a\\\"b\\\\\"@x", "|\"a\\\"b\\\\\"@x");
	assert_parses("\"\"@x", "|\"\"@x");
}

static void
folds_are_white_space(void **state)
{
	(void)state;
	assert_parses("a@b,\r\n c@d,\n\te@f", "|a@b |c@d |e@f");
	assert_parses("\"two\r\n lines\" <a@b>", "two lines|a@b");
	assert_parses("x (com\r\n ment) <a@b>", "x|a@b");
}

static void
encoded_words_and_utf8_stay_as_they_are(void **state)
{
	(void)state;
	assert_parses("=?utf-8?Q?M=C3=BCller?= <m@x>", "=?utf-8?Q?M=C3=BCller?=!|m@x");
	assert_parses("\"=?utf-8?Q?M?=\" <m@x>", "=?utf-8?Q?M?=|m@x");
	assert_parses("M\xc3\xbcller <m@x>", "M\xc3\xbcller|m@x");
	assert_parses("M\xfcller <m@x>", "M\xfcller|m@x"); /* Latin-1 in a name hides no address */
	assert_parses("\xc3\xa9@b\xc3\xbc.example", "|\xc3\xa9@b\xc3\xbc.example");
}

static void
what_could_mean_two_things_is_refused(void **state)
{
	static const char *const wrong[] = {
		"John Doe",
		"John Doe, x@y",
		"a@b c@d",
		"a@b <c@d>",
		"a@b; c@d",
		"a@b;",
		"a@",
		"@b",
		"<>",
		"x <>",
		"<a@b",
		"a@b>",
		"<a@b> x",
		"<a@b><c@d>",
		"\"open",
		"\"open\\",
		"(open",
		"(open\\",
		"a@[open",
		"g:a@b",
		"g:h:a@b;;",
		":;",
		"\"\":;",
		"g:a@b; c@d",
		"<a b@c>",
		"<@r a@b>",
		"<@r:>",
		"a@b\r\nBcc: x@y",
		"a@b\n",
		"\"a\r\nb\"@c",
		"\"a\rb\" <c@d>",
		"a@b\x01",
		"a\x7f@b",
		"\\a@b",
		")",
		"]",
		"a@b.",
		"a@.b",
		"a@b c",
		"\"x\x01\"@b",
		"m\xfcller@x",
		"\"a.\"b@c", "a.\"x\"y@z",
	};
	struct ph__mailboxes list;

	(void)state;
	ph__mailboxes_init(&list, &ph__libc_memory);
	assert_int_equal(ph__mailboxes_parse(&list, ph__str("kept@x"), "To", NULL), PH_OK);
	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
		struct ph_error err = PH_ERROR_INIT;

		if (ph__mailboxes_parse(&list, ph__str(wrong[i]), "To", &err) != PH_EINPUT)
			fail_msg("'%s' was accepted", wrong[i]);
		assert_int_equal(err.code, PH_EINPUT);
		assert_int_equal(list.count, 1);
	}
	assert_int_equal(ph__mailboxes_parse(&list, (struct ph_str){ "a@b\0,c@d", 8 }, "To", NULL),
	                 PH_EINPUT);
	assert_int_equal(
	    ph__mailboxes_parse(&list, (struct ph_str){ "\"\0\" <c@d>", 9 }, "To", NULL),
	    PH_EINPUT);
	ph__mailboxes_done(&list);
}

/* A million of anything must neither recurse nor take quadratic time. The bound is loose; quadratic
 * time would be hours. */
static void
huge_inputs_take_linear_time(void **state)
{
	static const char *const pieces[] = { "(",      "\"",   "\\",   "<",      "@",
		                              ",",      "a ",   "a.",   "()",     "\"\"",
		                              "a@b,",   "g:;,", "<@a:", "=?",     "(\\",
		                              "\"\\",   "[",    ";",    " \r\n ", "x <a@b>,",
		                              "<@a,@b," };
	const size_t size = 1 << 20;
	char *text = malloc(size);
	clock_t begin = clock();

	(void)state;
	for (size_t i = 0; i < sizeof pieces / sizeof pieces[0]; i++) {
		struct ph__mailboxes list;
		size_t n = strlen(pieces[i]);

		for (size_t k = 0; k < size; k++)
			text[k] = pieces[i][k % n];
		ph__mailboxes_init(&list, &ph__libc_memory);
		ph__mailboxes_parse(&list, (struct ph_str){ text, size }, "To", NULL);
		ph__mailboxes_done(&list);
	}
	free(text);
	assert_true(clock() - begin < 20 * CLOCKS_PER_SEC);
}

static void
more_recipients_than_the_bound_are_refused(void **state)
{
	struct ph__buf text;
	struct ph_addresses *a;
	struct ph_error err = PH_ERROR_INIT;

	(void)state;
	ph__buf_init(&text, &ph__libc_memory, 1 << 20);
	for (int i = 0; i < 100000; i++)
		ph__buf_add_str(&text, "a@b,");
	assert_int_equal(ph_addresses_parse(&a, ph__buf_cstr(&text), NULL, &err), PH_OK);
	assert_int_equal(ph_addresses_count(a), 100000);
	ph_addresses_free(a);
	ph__buf_add_str(&text, "a@b");
	assert_int_equal(ph_addresses_parse(&a, ph__buf_cstr(&text), NULL, &err), PH_EINPUT);
	assert_int_equal(err.cause, PH_CAUSE_LIMIT);
	ph__buf_done(&text);
}

static void
assert_recipients(const char *header, const char *want)
{
	struct ph_addresses *a = NULL;
	struct ph_error err = PH_ERROR_INIT;
	struct ph__buf got;

	if (ph_addresses_from_header(&a, header, strlen(header), NULL, &err) != PH_OK)
		fail_msg("%s: %s", header, err.text);
	ph__buf_init(&got, &ph__libc_memory, 10000);
	for (size_t i = 0; i < ph_addresses_count(a); i++)
		ph__buf_addf(&got, "%s%s", i != 0 ? " " : "", ph_addresses_get(a, i));
	assert_null(ph_addresses_get(a, ph_addresses_count(a)));
	assert_string_equal(ph__buf_cstr(&got), want);
	ph__buf_done(&got);
	ph_addresses_free(a);
}

static void
recipients_are_those_of_to_cc_and_bcc(void **state)
{
	(void)state;
	assert_recipients(
	    "From: x@y\r\nTo: A <a@b>,\r\n\tc@d\r\ncc: e@f\r\nBCC : g@h\r\n\r\nTo: body@x\r\n",
	    "a@b c@d e@f g@h");
	assert_recipients("To: a@b\nX-To: n@o\n\nCc: body@x\n", "a@b");
	assert_recipients("To: a@b\rCc: c@d\r\rBcc: body@x", "a@b c@d");
	assert_recipients("To: a@b\nTo: c@d", "a@b c@d");
	assert_recipients("To: g: a@b, c@d;\nCc: undisclosed-recipients:;\n", "a@b c@d");
	assert_recipients("From x Mon\nTo: a@b\n", "a@b");
	assert_recipients("To: a@b,\n \n c@d\n", "a@b c@d");
	assert_recipients("", "");
	assert_recipients("\nTo: body@x\n", "");
	assert_recipients("Subject: x\n", "");
}

static void
recipients_of_a_resent_message_are_those_of_the_newest_block(void **state)
{
	(void)state;
	assert_recipients("Resent-From: x@y\nResent-To: new@a\nResent-Cc: new@b\nReceived: z\n"
	                  "Resent-To: old@a\nFrom: x@y\nTo: first@a\n",
	                  "new@a new@b");
	assert_recipients("Resent-From: x@y\nResent-To: new@a\nResent-Bcc: new@b\nResent-From: "
	                  "w@y\nResent-To: old@a\nTo: first@a\n",
	                  "new@a new@b");
	assert_recipients("Received: z\nresent-bcc: new@a\nTo: first@a\n", "new@a");
	assert_recipients("Resent-From: x@y\nTo: first@a\n", "");
}

static void
a_bad_recipient_field_is_named(void **state)
{
	static const char header[] = "To: a@b\nCc: John Doe\n\n";
	struct ph_addresses *a = NULL;
	struct ph_error err = PH_ERROR_INIT;

	(void)state;
	assert_int_equal(ph_addresses_from_header(&a, header, sizeof header - 1, NULL, &err),
	                 PH_EINPUT);
	assert_memory_equal(err.text, "Cc:", 3);
	assert_null(a);
}

static void
assert_without_bcc(const char *message, const char *want, size_t block)
{
	char *got = NULL;
	size_t len = 0, block_len = 0;

	assert_int_equal(
	    ph_header_without_bcc(&got, &len, &block_len, message, strlen(message), NULL, NULL),
	    PH_OK);
	assert_string_equal(got, want);
	assert_int_equal(len, strlen(want));
	assert_int_equal(block_len, block);
	free(got);
}

static void
bcc_is_removed_with_all_its_lines(void **state)
{
	(void)state;
	assert_without_bcc("To: a\r\nBcc: b,\r\n c\r\n\td\r\nX: y\r\n\r\nBcc: body",
	                   "To: a\r\nX: y\r\n\r\n", 32);
	assert_without_bcc("BCC:b\nresent-bcc : c\nTo: a\n\nbody", "To: a\n\n", 28);
	assert_without_bcc("To: a\rBcc: b\r\rbody", "To: a\r\r", 14);
	assert_without_bcc("Bcc: b", "", 6);
	assert_without_bcc("Bcc: b\n \n c\nTo: a\n", "To: a\n", 18);
	assert_without_bcc("From x y\nTo: a\nBcc: b\n\n", "From x y\nTo: a\n\n", 23);
	assert_without_bcc("X-Bcc: b\n Bcc: c\nBccx: d\n\n", "X-Bcc: b\n Bcc: c\nBccx: d\n\n", 26);
	assert_without_bcc("\nBcc: body", "\n", 1);
	assert_without_bcc("", "", 0);
}

static void
removing_bcc_never_moves_the_end_of_the_header(void **state)
{
	(void)state;
	assert_without_bcc("To: a\rBcc: b\n\nBody", "To: a\r\n\n", 14);
}

static void
an_endless_header_block_is_refused(void **state)
{
	const size_t size = (1 << 20) + 2;
	char *text = malloc(size), *got;
	struct ph_addresses *a;
	size_t len, block;

	(void)state;
	memset(text, 'x', size);
	assert_int_equal(ph_header_without_bcc(&got, &len, &block, text, size, NULL, NULL),
	                 PH_EINPUT);
	assert_int_equal(ph_addresses_from_header(&a, text, size, NULL, NULL), PH_EINPUT);
	memcpy(text + (1 << 20) - 1, "\n\n", 2);
	assert_int_equal(ph_header_without_bcc(&got, &len, &block, text, size, NULL, NULL), PH_OK);
	assert_int_equal(block, (1 << 20) + 1);
	free(got);
	free(text);
}

static void
a_header_is_known_by_its_first_line(void **state)
{
	static const char *const yes[] = { "A: b", "A:\n", "Subject : x\r\n", "x-y_z!: 1\n" };
	static const char *const no[] = { "",
		                          "\n",
		                          "hello\n",
		                          "hello world: x\n",
		                          ": x\n",
		                          " A: b\n",
		                          "From x Mon 12:00\n",
		                          "\xef\xbb\xbf"
		                          "A: b\n",
		                          "A",
		                          "A\n: b",
		                          "\xc3\xa9: x" };

	(void)state;
	for (size_t i = 0; i < sizeof yes / sizeof yes[0]; i++)
		assert_true(ph_header_is_present(yes[i], strlen(yes[i])));
	for (size_t i = 0; i < sizeof no / sizeof no[0]; i++)
		assert_false(ph_header_is_present(no[i], strlen(no[i])));
}

static void
lack_of_memory_is_reported_and_nothing_lost(void **state)
{
	static const char header[] =
	    "To: \"A long name, which fills more than one buffer before it ends\" "
	    "<a.long.address@example.org>,\n"
	    " g: x@y, \"q r\"@z, @@@;\nCc: a@b, c@d, e@f, g@h, i@j, k@l\nBcc: m@n\n\n";
	struct failing_memory fm;

	(void)state;
	for (size_t n = 1; failing_memory_try(&fm, n); n++) {
		struct ph_addresses *a = NULL;
		enum ph_code rc = ph_addresses_from_header(&a, header, sizeof header - 1, &fm.mem,
		                                           NULL);

		assert_int_equal(rc, fm.failed ? PH_ESYSTEM : PH_EINPUT);
		assert_null(a);
		assert_int_equal(fm.live, 0);
	}
	for (size_t n = 1; failing_memory_try(&fm, n); n++) {
		struct ph_addresses *a = NULL;
		enum ph_code rc = ph_addresses_parse(
		    &a, "G: \"A B\" <a@b>, c@d;, \"x y\"@z, q@r, s@t, u@v", &fm.mem, NULL);

		assert_int_equal(rc, fm.failed ? PH_ESYSTEM : PH_OK);
		assert_int_equal(a == NULL, fm.failed);
		ph_addresses_free(a);
		assert_int_equal(fm.live, 0);
	}
	for (size_t n = 1; failing_memory_try(&fm, n); n++) {
		char *got = NULL;
		size_t len, block;
		enum ph_code rc = ph_header_without_bcc(&got, &len, &block, header,
		                                        sizeof header - 1, &fm.mem, NULL);

		assert_int_equal(rc, fm.failed ? PH_ESYSTEM : PH_OK);
		if (got != NULL)
			fm.mem.free(fm.mem.user, got);
		assert_int_equal(fm.live, 0);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lists_of_mailboxes_are_understood),
		cmocka_unit_test(comments_are_dropped_however_deep),
		cmocka_unit_test(groups_are_kept_apart),
		cmocka_unit_test(obsolete_forms_are_understood),
		cmocka_unit_test(quoting_is_kept_only_where_needed),
		cmocka_unit_test(folds_are_white_space),
		cmocka_unit_test(encoded_words_and_utf8_stay_as_they_are),
		cmocka_unit_test(what_could_mean_two_things_is_refused),
		cmocka_unit_test(huge_inputs_take_linear_time),
		cmocka_unit_test(more_recipients_than_the_bound_are_refused),
		cmocka_unit_test(recipients_are_those_of_to_cc_and_bcc),
		cmocka_unit_test(recipients_of_a_resent_message_are_those_of_the_newest_block),
		cmocka_unit_test(a_bad_recipient_field_is_named),
		cmocka_unit_test(bcc_is_removed_with_all_its_lines),
		cmocka_unit_test(removing_bcc_never_moves_the_end_of_the_header),
		cmocka_unit_test(an_endless_header_block_is_refused),
		cmocka_unit_test(a_header_is_known_by_its_first_line),
		cmocka_unit_test(lack_of_memory_is_reported_and_nothing_lost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
