/* SPDX-License-Identifier: MIT */
/* posthaste/message.h: whole messages. message_oracle.py reads such messages back with another
 * parser. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

#include <posthaste/message.h>

#include "failing_memory.h"

static struct ph_message *m;
static char *written;
static size_t written_len;

static int
setup(void **state)
{
	(void)state;
	assert_int_equal(ph_message_new(&m, NULL), PH_OK);
	ph_message_set_date(m, 1700000000, 60);
	assert_int_equal(ph_message_set_id_seed(m, "0123456789abcdef", 16, NULL), PH_OK);
	assert_int_equal(ph_message_set_from(m, "Ann <ann@example.org>", NULL), PH_OK);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	ph_message_free_text(m, written);
	written = NULL;
	ph_message_free(m);
	return 0;
}

static const char *
write_message(void)
{
	struct ph_error err = PH_ERROR_INIT;

	ph_message_free_text(m, written);
	written = NULL;
	if (ph_message_write(m, &written, &written_len, &err) != PH_OK)
		fail_msg("%s", err.text);
	assert_int_equal(strlen(written), written_len);
	return written;
}

static void
assert_has(const char *what)
{
	if (strstr(written, what) == NULL)
		fail_msg("not there: %s\nin: %s", what, written);
}

static void
assert_has_not(const char *what)
{
	if (strstr(written, what) != NULL)
		fail_msg("there: %s\nin: %s", what, written);
}

static const char *
body(void)
{
	return strstr(written, "\r\n\r\n") + 4;
}

static void
set_text(const char *s)
{
	assert_int_equal(ph_message_set_text(m, s, strlen(s), NULL), PH_OK);
	write_message();
}

static void
fields_stand_in_the_usual_order(void **state)
{
	(void)state;
	assert_int_equal(ph_message_add_header(m, "X-Own", "1", NULL), PH_OK);
	assert_int_equal(ph_message_set_subject(m, "Hello", NULL), PH_OK);
	assert_int_equal(ph_message_add_cc(m, "c@d", NULL), PH_OK);
	assert_int_equal(ph_message_add_to(m, "a@b", NULL), PH_OK);
	assert_int_equal(ph_message_add_to(m, "\"B, c\" <b@c>, d@e", NULL), PH_OK);
	assert_int_equal(ph_message_add_header(m, "X-Own", "2", NULL), PH_OK);
	assert_int_equal(ph_message_set_text(m, "Hi\n", 3, NULL), PH_OK);
	assert_string_equal(write_message(),
	                    "Date: Tue, 14 Nov 2023 23:13:20 +0100\r\n"
	                    "From: Ann <ann@example.org>\r\n"
	                    "To: a@b, \"B, c\" <b@c>, d@e\r\n"
	                    "Cc: c@d\r\n"
	                    "Subject: Hello\r\n"
	                    "Message-ID: <gaytemzugu3doobzmfrggzdfmy@example.org>\r\n"
	                    "X-Own: 1\r\n"
	                    "X-Own: 2\r\n"
	                    "MIME-Version: 1.0\r\n"
	                    "Content-Type: text/plain; charset=us-ascii\r\n"
	                    "Content-Transfer-Encoding: 7bit\r\n"
	                    "\r\n"
	                    "Hi\r\n");
}

static void
the_same_settings_give_the_same_bytes(void **state)
{
	char *again;
	size_t len;

	(void)state;
	write_message();
	assert_int_equal(ph_message_write(m, &again, &len, NULL), PH_OK);
	assert_string_equal(again, written);
	ph_message_free_text(m, again);
}

static void
a_message_without_to_and_cc_says_so(void **state)
{
	(void)state;
	write_message();
	assert_has("\r\nTo: undisclosed-recipients:;\r\n");
	assert_int_equal(ph_message_add_cc(m, "c@d", NULL), PH_OK);
	write_message();
	assert_has_not("\r\nTo:");
}

static void
what_is_missing_is_named(void **state)
{
	struct ph_message *bare;
	struct ph_error err = PH_ERROR_INIT;
	char *text;
	size_t len;

	(void)state;
	assert_int_equal(ph_message_new(&bare, NULL), PH_OK);
	assert_int_equal(ph_message_write(bare, &text, &len, &err), PH_EINPUT);
	assert_non_null(strstr(err.text, "From"));
	ph_message_set_from(bare, "a@b", NULL);
	assert_int_equal(ph_message_write(bare, &text, &len, &err), PH_EINPUT);
	assert_non_null(strstr(err.text, "date"));
	ph_message_set_date(bare, 0, 0);
	assert_int_equal(ph_message_write(bare, &text, &len, &err), PH_EINPUT);
	assert_non_null(strstr(err.text, "Message-ID"));
	ph_message_free(bare);
	ph_message_free(NULL);
}

static void
no_control_character_passes_any_setter(void **state)
{
	static const char *const frames[] = { "%a@b",    "a@b%",      "a%b <c@d>", "\"a%b\" <c@d>",
		                              "\"%\"@b", "a@b,% c@d", "(%) a@b" };
	char value[32];

	(void)state;
	for (int c = 1; c < 0x21; c++) {
		char octet = c == 0x20 ? 0x7f : (char)c;
		char name[] = { 'X', octet, 'Y', '\0' };

		for (size_t i = 0; i < sizeof frames / sizeof frames[0]; i++) {
			memcpy(value, frames[i], strlen(frames[i]) + 1);
			*strchr(value, '%') = octet;
			assert_int_equal(ph_message_set_from(m, value, NULL), PH_EINPUT);
			assert_int_equal(ph_message_add_to(m, value, NULL), PH_EINPUT);
			assert_int_equal(ph_message_add_cc(m, value, NULL), PH_EINPUT);
			assert_int_equal(ph_message_set_subject(m, value, NULL), PH_EINPUT);
			assert_int_equal(ph_message_add_header(m, "X", value, NULL), PH_EINPUT);
			assert_int_equal(ph_message_add_header(m, "Reply-To", value, NULL),
			                 PH_EINPUT);
			assert_int_equal(ph_message_add_header(m, "Date", value, NULL), PH_EINPUT);
		}
		assert_int_equal(ph_message_add_header(m, name, "x", NULL), PH_EINPUT);
	}
	write_message();
	assert_has(
	    "\r\nFrom: Ann <ann@example.org>\r\nTo: undisclosed-recipients:;\r\nMessage-ID:");
}

static void
own_fields_take_the_place_of_ours(void **state)
{
	static const char want[] = "Date: Mon, 1 Jan 2024 00:00:00 +0000\r\n"
				   "From: Bob <bob@example.net>\r\n"
				   "To: x@y, z@y\r\n"
				   "Subject: =?UTF-8?B?w6k=?=\r\n"
				   "Message-ID: <own@id>\r\n"
				   "Content-Type: text/html; charset=utf-8\r\n"
				   "Reply-To: t@u\r\n"
				   "MIME-Version: 1.0\r\n"
				   "Content-Transfer-Encoding: 7bit\r\n\r\n";

	(void)state;
	assert_int_equal(ph_message_add_to(m, "a@b", NULL), PH_OK);
	assert_int_equal(ph_message_add_header(m, "to", "x@y", NULL), PH_OK);
	assert_int_equal(ph_message_add_to(m, "z@y", NULL), PH_OK);
	assert_int_equal(ph_message_add_header(m, "FROM", "Bob <bob@example.net>", NULL), PH_OK);
	assert_int_equal(ph_message_add_header(m, "subject", "\xc3\xa9", NULL), PH_OK);
	assert_int_equal(ph_message_add_header(m, "date", "Mon, 1 Jan 2024 00:00:00 +0000", NULL),
	                 PH_OK);
	assert_int_equal(ph_message_add_header(m, "message-id", "<own@id>", NULL), PH_OK);
	assert_int_equal(ph_message_add_header(m, "content-type", "text/html; charset=utf-8", NULL),
	                 PH_OK);
	assert_int_equal(ph_message_add_header(m, "Reply-To", "r@s", NULL), PH_OK);
	assert_int_equal(ph_message_add_header(m, "Reply-To", "t@u", NULL), PH_OK);
	write_message();
	assert_string_equal(written, want);
}

static void
fields_that_would_lie_are_refused(void **state)
{
	static const char *const names[] = { "Bcc", "BCC", "Resent-Bcc", "Return-Path",
		                             "Content-Transfer-Encoding" };

	(void)state;
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		struct ph_error err = PH_ERROR_INIT;

		assert_int_equal(ph_message_add_header(m, names[i], "a@b", &err), PH_EINPUT);
		assert_non_null(strstr(err.text, "cannot be set"));
	}
	assert_int_equal(ph_message_add_header(m, "", "a", NULL), PH_EINPUT);
	assert_int_equal(ph_message_add_header(m, NULL, "a", NULL), PH_EINPUT);
	assert_int_equal(ph_message_add_header(m, "A:", "a", NULL), PH_EINPUT);
	assert_int_equal(ph_message_add_header(m, "X", "\xff", NULL), PH_EINPUT);
}

static void
from_is_one_mailbox(void **state)
{
	static const char *const wrong[] = { "",     "a@b, c@d", "g: a@b;", "g:;",
		                             "Name", "Na me",    "<>",      "a@" };

	(void)state;
	assert_int_equal(ph_message_set_from(m, NULL, NULL), PH_EINPUT);
	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
		if (i != 4) /* a local user */
			assert_int_equal(ph_message_set_from(m, wrong[i], NULL), PH_EINPUT);
	assert_int_equal(ph_message_add_to(m, "", NULL), PH_EINPUT);
	assert_int_equal(ph_message_add_to(m, " , ", NULL), PH_EINPUT);
	assert_int_equal(ph_message_set_from(m, "root", NULL), PH_OK);
	write_message();
	assert_has("From: root\r\n");
	assert_has("@localhost>\r\n");
}

static void
a_bad_addition_leaves_the_list_as_it_was(void **state)
{
	(void)state;
	assert_int_equal(ph_message_add_to(m, "a@b", NULL), PH_OK);
	assert_int_equal(ph_message_add_to(m, "c@d, e f", NULL), PH_EINPUT);
	assert_int_equal(ph_message_add_to(m, "caf\xe9 <c@d>", NULL), PH_EINPUT);
	write_message();
	assert_has("To: a@b\r\n");
}

static void
international_domains_keep_the_message_7_bit(void **state)
{
	(void)state;
	assert_int_equal(ph_message_set_from(m,
	                                     "M\xc3\xbcller <m@b\xc3\xbc"
	                                     "cher.example>",
	                                     NULL),
	                 PH_OK);
	write_message();
	assert_has("From: =?UTF-8?Q?M=C3=BCller?= <m@xn--bcher-kva.example>\r\n");
	assert_has("@xn--bcher-kva.example>\r\nMIME");
	assert_int_equal(ph_message_set_from(m,
	                                     "m\xc3\xbc@b\xc3\xbc"
	                                     "cher.example",
	                                     NULL),
	                 PH_OK);
	write_message();
	assert_has("From: m\xc3\xbc@b\xc3\xbc"
	           "cher.example\r\n");
	assert_has("@xn--bcher-kva.example>\r\nMIME");
}

static void
ascii_text_is_7bit_with_crlf(void **state)
{
	(void)state;
	set_text("one\ntwo\r\nthree\rfour\t.\n.\nFrom x\n\n");
	assert_has("charset=us-ascii\r\nContent-Transfer-Encoding: 7bit\r\n\r\n");
	assert_string_equal(body(), "one\r\ntwo\r\nthree\r\nfour\t.\r\n.\r\nFrom x\r\n\r\n");
	set_text("");
	assert_string_equal(body(), "");
	set_text("no end");
	assert_string_equal(body(), "no end\r\n");
}

static void
other_text_is_encoded_the_shorter_way(void **state)
{
	char line[1001];

	(void)state;
	set_text("caf\xc3\xa9, s'il vous plait");
	assert_has("charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n");
	assert_string_equal(body(), "caf=C3=A9, s'il vous plait\r\n");
	set_text("\xe4\xbd\xa0\xe5\xa5\xbd\xe4\xbd\xa0\xe5\xa5\xbd");
	assert_has("charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n");
	assert_string_equal(body(), "5L2g5aW95L2g5aW9DQo=\r\n");
	set_text("bell\x07 and escape\x1b[1m");
	assert_has("charset=us-ascii\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n");
	assert_string_equal(body(), "bell=07 and escape=1B[1m\r\n");
	memset(line, 'x', 1000);
	line[998] = '\0';
	set_text(line);
	assert_has("7bit");
	line[998] = 'x';
	line[999] = '\0';
	set_text(line);
	assert_has("quoted-printable");
}

static void
text_that_mail_cannot_carry_is_refused(void **state)
{
	struct ph_error err = PH_ERROR_INIT;

	(void)state;
	set_text("kept");
	assert_int_equal(ph_message_set_text(m, "a\0b", 3, &err), PH_EINPUT);
	assert_int_equal(err.cause, PH_CAUSE_CONTENT);
	assert_int_equal(ph_message_set_text(m, "caf\xe9", 4, &err), PH_EINPUT);
	assert_string_not_equal(err.hint, "");
	write_message();
	assert_string_equal(body(), "kept\r\n");
	assert_int_equal(ph_message_set_text(m, NULL, 0, &err), PH_OK);
	write_message();
	assert_string_equal(body(), "");
}

static void
a_composite_text_is_not_encoded(void **state)
{
	char *text;
	size_t len;

	(void)state;
	assert_int_equal(
	    ph_message_add_header(m, "Content-Type", "Multipart/mixed; boundary=x", NULL), PH_OK);
	set_text("--x\n\nhello\n--x--\n");
	assert_has("7bit");
	assert_int_equal(ph_message_set_text(m, "\xc3\xa9", 2, NULL), PH_OK);
	assert_int_equal(ph_message_write(m, &text, &len, NULL), PH_EINPUT);
}

static void
a_seed_has_enough_octets(void **state)
{
	char seed[65] = "";

	(void)state;
	assert_int_equal(ph_message_set_id_seed(m, seed, 15, NULL), PH_EINPUT);
	assert_int_equal(ph_message_set_id_seed(m, seed, 65, NULL), PH_EINPUT);
	assert_int_equal(ph_message_set_id_seed(m, seed, 64, NULL), PH_OK);
	write_message();
}

static void
an_impossible_date_is_refused(void **state)
{
	char *text;
	size_t len;

	(void)state;
	ph_message_set_date(m, INT64_MAX, 0);
	assert_int_equal(ph_message_write(m, &text, &len, NULL), PH_EINPUT);
	ph_message_set_date(m, 0, -2000000000);
	assert_int_equal(ph_message_write(m, &text, &len, NULL), PH_EINPUT);
}

static void
many_recipients_take_linear_time(void **state)
{
	clock_t begin = clock();

	(void)state;
	for (int i = 0; i < 50000; i++)
		assert_int_equal(ph_message_add_to(m, "Some Body <some.body@example.org>", NULL),
		                 PH_OK);
	write_message();
	assert_true(clock() - begin < 10 * CLOCKS_PER_SEC);
}

static enum ph_code
compose(struct ph_message *c, char **text, size_t *len)
{
	static const char seed[16] = "0123456789abcdef";
	enum ph_code rc;

	ph_message_set_date(c, 0, 0);
	if ((rc = ph_message_set_id_seed(c, seed, sizeof seed, NULL)) != PH_OK ||
	    (rc = ph_message_set_from(c, "M\xc3\xbcller <m@b\xc3\xbc.example>", NULL)) != PH_OK ||
	    (rc = ph_message_add_to(c, "a@b, \"C, d\" <c@d>", NULL)) != PH_OK ||
	    (rc = ph_message_add_to(c, "g: e@f, h@i;, j@k", NULL)) != PH_OK ||
	    (rc = ph_message_set_subject(c, "\xe4\xbd\xa0\xe5\xa5\xbd", NULL)) != PH_OK ||
	    (rc = ph_message_set_subject(c, "again", NULL)) != PH_OK ||
	    (rc = ph_message_add_header(c, "X-Own", "own", NULL)) != PH_OK ||
	    (rc = ph_message_set_text(c, "t\xc3\xa9xt\n", 6, NULL)) != PH_OK)
		return rc;
	return ph_message_write(c, text, len, NULL);
}

static void
lack_of_memory_is_reported_and_nothing_lost(void **state)
{
	struct failing_memory fm;

	(void)state;
	for (size_t n = 1; failing_memory_try(&fm, n); n++) {
		struct ph_message *c = NULL;
		char *text = NULL;
		size_t len;
		enum ph_code rc = ph_message_new(&c, &fm.mem);

		if (rc == PH_OK)
			rc = compose(c, &text, &len);
		assert_int_equal(rc, fm.failed ? PH_ESYSTEM : PH_OK);
		if (c != NULL && fm.failed) { /* the message is still good for use */
			assert_null(text);
			assert_int_equal(compose(c, &text, &len), PH_OK);
		}
		if (c != NULL)
			ph_message_free_text(c, text);
		ph_message_free(c);
		assert_int_equal(fm.live, 0);
	}
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(fields_stand_in_the_usual_order),
		T(the_same_settings_give_the_same_bytes),
		T(a_message_without_to_and_cc_says_so),
		T(what_is_missing_is_named),
		T(no_control_character_passes_any_setter),
		T(own_fields_take_the_place_of_ours),
		T(fields_that_would_lie_are_refused),
		T(from_is_one_mailbox),
		T(a_bad_addition_leaves_the_list_as_it_was),
		T(international_domains_keep_the_message_7_bit),
		T(ascii_text_is_7bit_with_crlf),
		T(other_text_is_encoded_the_shorter_way),
		T(text_that_mail_cannot_carry_is_refused),
		T(a_composite_text_is_not_encoded),
		T(a_seed_has_enough_octets),
		T(an_impossible_date_is_refused),
		T(many_recipients_take_linear_time),
		T(lack_of_memory_is_reported_and_nothing_lost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
