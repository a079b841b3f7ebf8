/* SPDX-License-Identifier: MIT */
/* mail/address.h: what may stand in an envelope. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "failing_memory.h"
#include "mail/address.h"

static enum ph_code
check(const char *s)
{
	return ph__address_check(ph__str(s), NULL, NULL);
}

static void
ordinary_addresses_are_accepted(void **state)
{
	static const char *const good[] = {
		"a@b",
		"user+tag@example.org",
		"o'hara@example.co.uk",
		"!#$%&'*+-/=?^_`{|}~@example.org",
		"postmaster",
		"root",
		"a@[192.0.2.1]",
		"a@[IPv6:2001:db8::1]",
		"a@[ipv6:::1]",
		"a@[x-tag:any!thing]",
		"\"john doe\"@example.org",
		"\"a@b\"@example.org",
		"\"<>\"@example.org",
		"\"\\\"\\\\\"@example.org",
		"\"\"@example.org",
		"a..b.@docomo.example",
		"a@under_score.example",
		"a@xn--bcher-kva.example",
		"\xc3\xa9@b\xc3\xbc"
		"cher.example",
		"/C=US/O=x/@example.org",
		"a@1.2.3.example",
	};

	(void)state;
	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
		assert_int_equal(check(good[i]), PH_OK);
}

static void
malformed_addresses_are_refused(void **state)
{
	static const char *const wrong[] = {
		"",
		"@",
		"a@",
		"@b",
		"a@b@",
		"a@b@c",
		"a b@c",
		" a@b",
		"a@b ",
		"<a@b>",
		"a@<b",
		"a>@b",
		"a@b>",
		"a@b..c",
		"a@.b",
		"a@b.",
		"a@b c",
		"a,b@c",
		"a;b@c",
		"a:b@c",
		"(x)a@b",
		"a\\b@c",
		"a\"b@c",
		"\"a@b",
		"\"a\"b@c",
		"\"a\\\"@b",
		"a@b/c",
		"a@b:25",
		"a@[",
		"a@[]",
		"a@[192.0.2]",
		"a@[192.0.2.1",
		"a@[192.0.2.1]x",
		"a@[2001:db8::1]x",
		"a@[IPv6:2001:db8::g]",
		"a@[IPv6:]",
		"a@[x:]",
		"a@[:x]",
		"a@[x:y[z]",
		"a@[x:y z]",
		"a@b,c@d",
		"@hop:a@b",
		"a@-\xff",
		"\xe9@b",
		"a\xc0\x80@b",
		"a@b\xed\xa0\x80",
	};

	(void)state;
	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
		struct ph_error err = PH_ERROR_INIT;

		if (ph__address_check(ph__str(wrong[i]), NULL, &err) != PH_EINPUT)
			fail_msg("'%s' was accepted", wrong[i]);
		assert_int_equal(err.code, PH_EINPUT);
		assert_string_not_equal(err.text, "");
	}
}

/* Quoting is no way round: a quoted CRLF ends a command all the same. */
static void
no_control_character_passes_anywhere(void **state)
{
	static const char *const frames[] = { "%@b.c",   "a%@b.c",    "a@%b",    "a@b%",
		                              "\"%\"@b", "\"\\%\"@b", "a@[x:%]", "%" };
	char text[32];

	(void)state;
	for (size_t i = 0; i < sizeof frames / sizeof frames[0]; i++) {
		for (int c = 0; c < 0x21; c++) {
			char octet = c == 0x20 ? 0x7f : (char)c;
			size_t len = strlen(frames[i]);

			memcpy(text, frames[i], len + 1);
			*strchr(text, '%') = octet;
			assert_int_equal(
			    ph__address_check((struct ph_str){ text, len }, NULL, NULL), PH_EINPUT);
			struct ph_str bare;
			if (text[0] != '\t' && text[len - 1] != '\t')
				assert_int_equal(
				    ph__address_bare((struct ph_str){ text, len }, &bare, NULL),
				    PH_EINPUT);
		}
	}
	assert_int_equal(check("a\xc2\x85@b"), PH_EINPUT); /* C1: NEL */
}

static void
lengths_end_where_the_rfc_says(void **state)
{
	char text[400];
	static const char long_label[] =
	    "123456789012345678901234567890123456789012345678901234567890123";

	(void)state;
	memset(text, 'a', sizeof text);
	memcpy(text + 64, "@b", 3);
	assert_int_equal(check(text), PH_OK);
	memset(text, 'a', 65);
	memcpy(text + 65, "@b", 3);
	assert_int_equal(check(text), PH_EINPUT);

	snprintf(text, sizeof text, "a@%s.%s.%s.%.60s", long_label, long_label, long_label,
	         long_label);
	assert_int_equal(strlen(text), 254);
	assert_int_equal(check(text), PH_OK);
	snprintf(text, sizeof text, "ab@%s.%s.%s.%.60s", long_label, long_label, long_label,
	         long_label);
	assert_int_equal(check(text), PH_EINPUT);
	snprintf(text, sizeof text, "a@%s4.example", long_label);
	assert_int_equal(check(text), PH_EINPUT);
}

static void
utf8_is_noticed(void **state)
{
	bool utf8 = false;

	(void)state;
	ph__address_check(ph__str("a@b"), &utf8, NULL);
	assert_false(utf8);
	ph__address_check(ph__str("\xc3\xa9@b"), &utf8, NULL);
	assert_true(utf8);
}

static void
domain_is_behind_the_last_at_outside_quotes(void **state)
{
	static const char *const cases[][2] = {
		{ "a@b.c", "b.c" }, { "\"x@y\"@z", "z" }, { "\"x\\\"@y\"@z", "z" },
		{ "root", "" },     { "", "" },           { "a@[192.0.2.1]", "[192.0.2.1]" },
		{ "\"x@y", "" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
		assert_true(
		    ph__str_eq(ph__address_domain(ph__str(cases[i][0])), ph__str(cases[i][1])));
}

static void
path_arguments_come_out_bare(void **state)
{
	static const char *const cases[][2] = {
		{ "<a@b>", "a@b" },
		{ "a@b", "a@b" },
		{ "Name <a@b>", "a@b" },
		{ " \t<a@b> ", "a@b" },
		{ "<>", "" },
		{ "", "" },
		{ "  ", "" },
		{ "\"N, <x@y>\" <a@b>", "a@b" },
		{ "\"a b\"@c", "\"a b\"@c" },
		{ "<\"a>b\"@c>", "\"a>b\"@c" },
		{ "M\xc3\xbcller <m@x>", "m@x" },
		{ "root", "root" },
	};
	static const char *const wrong[] = {
		"Name <>",         "<a@b",   "a@b>",        "<a@b> x",  "<<a@b>>",
		"a@b <c@d> <e@f>", "< a@b>", "<a@b>,<c@d>", "Name a@b", "<@hop:a@b>",
		"\"open <a@b>",
	};
	struct ph_str bare;

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		assert_int_equal(ph__address_bare(ph__str(cases[i][0]), &bare, NULL), PH_OK);
		assert_true(ph__str_eq(bare, ph__str(cases[i][1])));
	}
	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
		if (ph__address_bare(ph__str(wrong[i]), &bare, NULL) != PH_EINPUT)
			fail_msg("'%s' was accepted", wrong[i]);
}

static void
a_labels_stand_in_for_u_labels_behind_an_ascii_local_part(void **state)
{
	static const char *const cases[][2] = {
		{ "a@b\xc3\xbc"
		  "cher.example",
		  "a@xn--bcher-kva.example" },
		{ "a@B\xc3\x9c"
		  "CHER.Example",
		  "a@xn--bcher-kva.example" },
		{ "a@stra\xc3\x9f"
		  "e.example",
		  "a@xn--strae-oqa.example" }, /* nontransitional: not strasse */
		{ "a@\xe4\xbe\x8b\xe3\x80\x82\xe4\xb8\xad\xe5\x9b\xbd", "a@xn--fsq.xn--fiqs8s" },
		{ "\xc3\xa9@b\xc3\xbc"
		  "cher.example",
		  "\xc3\xa9@b\xc3\xbc"
		  "cher.example" },
		{ "a@Example.ORG", "a@Example.ORG" },
		{ "\xc3\xa9", "\xc3\xa9" },
		{ "root", "root" },
		{ "a@[192.0.2.1]", "a@[192.0.2.1]" },
	};
	struct ph__buf out;

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		ph__buf_init(&out, &ph__libc_memory, 1000);
		assert_int_equal(ph__address_to_ascii(&out, ph__str(cases[i][0]), NULL), PH_OK);
		assert_string_equal(ph__buf_cstr(&out), cases[i][1]);
		ph__buf_done(&out);
	}
}

/* U+FF1C, U+FF20 and U+FF0C become <, @ and the comma under compatibility mapping. */
static void
mapping_cannot_smuggle_ascii_into_a_domain(void **state)
{
	static const char *const wrong[] = {
		"a@x\xef\xbc\x9c\xc3\xbc.example",
		"a@x\xef\xbc\xa0\xc3\xbc.example",
		"a@x\xef\xbc\x8c\xc3\xbc.example",
		"a@\xc3\xbc\xe3\x80\x82\xe3\x80\x82"
		"b",
		"a@\xe2\x80\x8b.example",
		"a@\xc3\xbc-.xn--\xc3\xbc",
	};
	struct ph__buf out;

	(void)state;
	ph__buf_init(&out, &ph__libc_memory, 1000);
	ph__buf_add_str(&out, "kept");
	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
		if (ph__address_to_ascii(&out, ph__str(wrong[i]), NULL) != PH_EINPUT)
			fail_msg("'%s' became %s", wrong[i], ph__buf_cstr(&out));
	assert_string_equal(ph__buf_cstr(&out), "kept");
	ph__buf_done(&out);
}

static void
lack_of_memory_is_reported(void **state)
{
	struct failing_memory fm;

	(void)state;
	for (size_t n = 1; failing_memory_try(&fm, n); n++) {
		struct ph__buf out;
		enum ph_code rc;

		ph__buf_init(&out, &fm.mem, 1000);
		rc = ph__address_to_ascii(
		    &out,
		    ph__str("a.long.local.part.so.that.the.buffer.must.grow.once@b\xc3\xbc"
		            "cher.example"),
		    NULL);
		assert_int_equal(rc, fm.failed ? PH_ESYSTEM : PH_OK);
		ph__buf_done(&out);
		assert_int_equal(fm.live, 0);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ordinary_addresses_are_accepted),
		cmocka_unit_test(malformed_addresses_are_refused),
		cmocka_unit_test(no_control_character_passes_anywhere),
		cmocka_unit_test(lengths_end_where_the_rfc_says),
		cmocka_unit_test(utf8_is_noticed),
		cmocka_unit_test(domain_is_behind_the_last_at_outside_quotes),
		cmocka_unit_test(path_arguments_come_out_bare),
		cmocka_unit_test(a_labels_stand_in_for_u_labels_behind_an_ascii_local_part),
		cmocka_unit_test(mapping_cannot_smuggle_ascii_into_a_domain),
		cmocka_unit_test(lack_of_memory_is_reported),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
