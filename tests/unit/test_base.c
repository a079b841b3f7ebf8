/* SPDX-License-Identifier: MIT */
/* The base: errors, memory, buffers, text, escaping, JSON. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <errno.h>
#include <malloc.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <posthaste/error.h>
#include <posthaste/version.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/escape.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"

#define PIECE "0123456789abcdef"

/* ---- errors ---------------------------------------------------------------------------------- */

/* The table of posthaste/error.h, written down a second time. */
static void
each_class_has_its_name_and_exit_status(void **state)
{
	static const struct { enum ph_code code; const char *name; int status; } rows[] = {
		{ PH_OK, "ok", 0 }, { PH_EUSAGE, "usage", 64 }, { PH_EINPUT, "input", 65 },
		{ PH_ENOINPUT, "noinput", 66 }, { PH_ENOUSER, "nouser", 67 }, { PH_ENOHOST, "nohost", 68 },
		{ PH_EREFUSED, "refused", 69 }, { PH_EPARTIAL, "partial", 69 }, { PH_ESYSTEM, "system", 71 },
		{ PH_EDEFERRED, "deferred", 75 }, { PH_EINDOUBT, "in_doubt", 75 },
		{ PH_EPROTOCOL, "protocol", 76 }, { PH_EAUTH, "auth", 77 }, { PH_ESECURITY, "security", 78 },
		{ PH_ECONFIG, "config", 78 }, { PH_ECANCELLED, "cancelled", 130 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		assert_string_equal(ph_code_name(rows[i].code), rows[i].name);
		assert_int_equal(ph_code_exit_status(rows[i].code), rows[i].status);
		assert_true(ph_code_text(rows[i].code)[0] != '\0');
	}
}

static void
values_out_of_range_have_a_name_too(void **state)
{
	(void)state;
	assert_string_equal(ph_code_name((enum ph_code)1), "unknown");
	assert_string_equal(ph_code_name((enum ph_code)-99), "unknown");
	assert_int_equal(ph_code_exit_status((enum ph_code)-99), 70);
	assert_string_equal(ph_stage_name((enum ph_stage)99), "unknown");
	assert_string_equal(ph_cause_name((enum ph_cause)999), "unknown");
	assert_string_equal(ph_stage_name(PH_STAGE_STARTTLS), "starttls");
	assert_string_equal(ph_cause_name(PH_CAUSE_EARLY_REPLY), "early-reply");
}

static void
an_error_names_the_failed_system_call(void **state)
{
	struct ph_error err = PH_ERROR_INIT;

	(void)state;
	assert_int_equal(ph__fail_errno(&err, PH_ENOINPUT, PH_STAGE_PREPARE, PH_CAUSE_SYSTEM, ENOENT,
	                                "cannot open %s", "x.eml"), PH_ENOINPUT);
	assert_string_equal(err.text, "cannot open x.eml: No such file or directory");
	assert_int_equal(err.sys, ENOENT);
	assert_int_equal(err.stage, PH_STAGE_PREPARE);
	assert_int_equal(err.size, sizeof err);
}

/* A caller built against an older header has a shorter struct. */
static void
no_more_is_written_than_the_caller_has_room_for(void **state)
{
	struct ph_error err;

	(void)state;
	memset(&err, 0x5a, sizeof err);
	err.size = offsetof(struct ph_error, text);
	ph__fail(&err, PH_EAUTH, PH_STAGE_AUTH, PH_CAUSE_REPLY, "long enough to be seen");
	assert_int_equal(err.code, PH_EAUTH);
	assert_int_equal(err.size, offsetof(struct ph_error, text));
	assert_int_equal((unsigned char)err.text[0], 0x5a);
	ph__hint(&err, "nor this");
	assert_int_equal((unsigned char)err.hint[0], 0x5a);
	assert_int_equal(ph__fail(NULL, PH_EAUTH, PH_STAGE_AUTH, PH_CAUSE_REPLY, "nobody"), PH_EAUTH);
}

static void
the_header_and_the_library_agree_on_the_version(void **state)
{
	(void)state;
	assert_string_equal(ph_version(), PH_VERSION);
}

/* ---- memory ---------------------------------------------------------------------------------- */

static void
sizes_that_overflow_are_refused(void **state)
{
	(void)state;
	assert_null(ph__alloc_array(&ph__libc_memory, SIZE_MAX / 2, 3));
	assert_null(ph__strndup(&ph__libc_memory, "x", SIZE_MAX));
}

static void
an_arena_gives_aligned_pieces_and_keeps_its_first_block(void **state)
{
	struct ph__arena a;
	void *first;

	(void)state;
	ph__arena_init(&a, &ph__libc_memory);
	first = ph__arena_alloc(&a, 1);
	for (size_t i = 1; i < 5000; i += 37) {
		char *p = ph__arena_alloc(&a, i);

		assert_non_null(p);
		assert_int_equal((uintptr_t)p % _Alignof(max_align_t), 0);
		memset(p, 0xff, i);
	}
	assert_null(ph__arena_alloc(&a, SIZE_MAX - 8));
	assert_string_equal(ph__arena_strndup(&a, "abcdef", 3), "abc");
	ph__arena_reset(&a);
	assert_ptr_equal(ph__arena_alloc(&a, 1), first);
	ph__arena_done(&a);
}

/* ---- buffers --------------------------------------------------------------------------------- */

static void
a_buffer_cannot_outgrow_its_maximum_and_remembers_it(void **state)
{
	struct ph__buf b;

	(void)state;
	ph__buf_init(&b, &ph__libc_memory, 20);
	assert_string_equal(ph__buf_cstr(&b), "");
	assert_true(ph__buf_add_str(&b, PIECE));
	assert_false(ph__buf_add_str(&b, "12345"));
	assert_false(ph__buf_add_char(&b, 'x'));
	assert_int_equal(b.state, PH__BUF_FULL);
	assert_string_equal(ph__buf_cstr(&b), PIECE);
	ph__buf_reset(&b);
	assert_true(ph__buf_addf(&b, "%d-%s", 42, "x"));
	assert_false(ph__buf_addf(&b, "%s%s", PIECE, PIECE));
	assert_string_equal(ph__buf_cstr(&b), "42-x");
	ph__buf_done(&b);
}

static void
numbers_and_front_cuts_are_exact(void **state)
{
	struct ph__buf b;

	(void)state;
	ph__buf_init(&b, &ph__libc_memory, 1000);
	ph__buf_add_uint(&b, 0);
	ph__buf_add_uint(&b, UINT64_MAX);
	assert_string_equal(ph__buf_cstr(&b), "018446744073709551615");
	ph__buf_drop_front(&b, 1);
	assert_string_equal(ph__buf_cstr(&b), "18446744073709551615");
	ph__buf_drop_front(&b, b.len);
	assert_string_equal(ph__buf_cstr(&b), "");
	ph__buf_done(&b);
}

/* An allocator that looks at what it is given back. */
static bool clean;

static void
inspecting_free(void *user, void *p)
{
	size_t n = malloc_usable_size(p);

	(void)user;
	clean = clean && memmem(p, n, "hunter2", 7) == NULL;
	free(p);
}

static void *
plain_alloc(void *user, size_t n)
{
	(void)user;
	return malloc(n);
}

static void *
plain_realloc(void *user, void *p, size_t n)
{
	(void)user;
	return realloc(p, n);
}

static void
a_secret_leaves_no_copy_behind(void **state)
{
	const struct ph_allocator mem = { plain_alloc, plain_realloc, inspecting_free, NULL };
	struct ph__buf b;

	(void)state;
	clean = true;
	ph__buf_init(&b, &mem, 1 << 20);
	b.secret = true;
	ph__buf_add_str(&b, "hunter2");
	for (int i = 0; i < 1000; i++)
		ph__buf_add_str(&b, PIECE);
	ph__buf_done(&b);
	ph__free_secret(&mem, ph__strdup(&mem, "hunter2"));
	assert_true(clean);
}

/* ---- text ------------------------------------------------------------------------------------ */

static void
only_well_formed_utf8_is_taken_for_it(void **state)
{
	static const char *const good[] = { "", "a", "\xc3\xa9", "\xe4\xb8\xad", "\xf0\x9f\x93\xac" };
	static const char *const bad[] = { "\x80", "\xc3", "\xc0\xaf", "\xe0\x80\x80", "\xed\xa0\x80",
	                                   "\xf4\x90\x80\x80", "\xff", "a\xc3(" };

	(void)state;
	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
		assert_true(ph__str_is_utf8(ph__str(good[i])));
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		assert_false(ph__str_is_utf8(ph__str(bad[i])));
}

static void
controls_are_found_c1_in_utf8_included(void **state)
{
	(void)state;
	assert_true(ph__str_has_control(ph__str("a\rb")));
	assert_true(ph__str_has_control(ph__str("a\x7f")));
	assert_true(ph__str_has_control((struct ph_str){ "a\0b", 3 }));
	assert_true(ph__str_has_control(ph__str("\xc2\x85")));
	assert_false(ph__str_has_control(ph__str("\xc2\xa0\xc3\x85")));
}

static void
assert_str(struct ph_str s, const char *want)
{
	assert_true(ph__str_eq(s, ph__str(want)));
}

static void
texts_are_cut_into_their_parts(void **state)
{
	struct ph_str rest = ph__str("a,,b");

	(void)state;
	assert_str(ph__str_cut(&rest, ','), "a");
	assert_str(ph__str_cut(&rest, ','), "");
	assert_str(ph__str_cut(&rest, ','), "b");
	assert_null(rest.ptr);
	assert_str(ph__str_cut(&rest, ','), "");
	rest = ph__str("a,");
	assert_str(ph__str_cut(&rest, ','), "a");
	assert_non_null(rest.ptr); /* an empty part is still to come */
	rest = ph__str("  one two  ");
	assert_str(ph__str_word(&rest), "one");
	assert_str(ph__str_word(&rest), "two");
	assert_str(ph__str_word(&rest), "");
	rest = ph__str("one\r\ntwo\n\nlast");
	assert_str(ph__str_line(&rest), "one");
	assert_str(ph__str_line(&rest), "two");
	assert_str(ph__str_line(&rest), "");
	assert_str(ph__str_line(&rest), "last");
	assert_str(ph__str_trim(ph__str(" \t a b\t")), "a b");
	assert_str(ph__str_trim(ph__str(" \t")), "");
	assert_true(ph__str_begins(ph__str("Auth=PLAIN"), "AUTH="));
	assert_false(ph__str_begins(ph__str("AUTH"), "AUTH="));
	assert_true(ph__str_is(ph__str("never"), "NEVER"));
	assert_false(ph__str_is(ph__str("nevermore"), "NEVER"));
}

static void
numbers_fill_the_whole_text_or_are_none(void **state)
{
	uint64_t n = 7;

	(void)state;
	assert_true(ph__str_to_uint(ph__str("18446744073709551615"), UINT64_MAX, &n));
	assert_true(n == UINT64_MAX);
	assert_false(ph__str_to_uint(ph__str("18446744073709551616"), UINT64_MAX, &n));
	assert_false(ph__str_to_uint(ph__str(""), 10, &n));
	assert_false(ph__str_to_uint(ph__str("11"), 10, &n));
	assert_false(ph__str_to_uint(ph__str("1x"), 10, &n));
	assert_false(ph__str_to_uint(ph__str("-1"), 10, &n));
	assert_true(n == UINT64_MAX);
}

/* ---- escaping and JSON ----------------------------------------------------------------------- */

static void
a_peer_cannot_steer_the_terminal(void **state)
{
	struct ph__buf b;

	(void)state;
	ph__buf_init(&b, &ph__libc_memory, 1000);
	assert_true(ph__escape(&b, ph__str("ok \xc3\xa9\x1b[2J\x7f\xc2\x9b\xe2\x80\xae\xff\n"), false));
	assert_string_equal(ph__buf_cstr(&b),
	                    "ok \xc3\xa9\\x1B[2J\\x7F\\xC2\\x9B\\xE2\\x80\\xAE\\xFF\\x0A");
	ph__buf_reset(&b);
	ph__escape(&b, ph__str("a\nb\r"), true);
	assert_string_equal(ph__buf_cstr(&b), "a\nb\\x0D");
	ph__buf_done(&b);
}

static void
json_is_one_valid_line_whatever_the_text(void **state)
{
	struct ph__buf b;
	struct ph__json j = { &b, false };

	(void)state;
	ph__buf_init(&b, &ph__libc_memory, 1000);
	ph__json_object(&j, NULL);
	ph__json_cstr(&j, "a", "q\"\\\n\x01\x7f");
	ph__json_text(&j, "raw", ph__str("\xc7\xeb!"));
	ph__json_array(&j, "l");
	ph__json_uint(&j, NULL, 1);
	ph__json_int(&j, NULL, -1);
	ph__json_bool(&j, NULL, true);
	ph__json_end_array(&j);
	ph__json_cstr(&j, "n", NULL);
	ph__json_ms(&j, "t", 1250);
	ph__json_end_object(&j);
	assert_string_equal(ph__buf_cstr(&b), "{\"a\":\"q\\\"\\\\\\n\\u0001\\u007f\",\"raw\":"
	                    "\"\\\\xC7\\\\xEB!\",\"raw_b64\":\"x+sh\",\"l\":[1,-1,true],\"n\":null,\"t\":1.250}");
	ph__buf_done(&b);
}

static void
the_clock_does_not_go_back(void **state)
{
	uint64_t before = ph__now_us();

	(void)state;
	assert_true(ph__now_us() >= before);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_class_has_its_name_and_exit_status),
		cmocka_unit_test(values_out_of_range_have_a_name_too),
		cmocka_unit_test(an_error_names_the_failed_system_call),
		cmocka_unit_test(no_more_is_written_than_the_caller_has_room_for),
		cmocka_unit_test(the_header_and_the_library_agree_on_the_version),
		cmocka_unit_test(sizes_that_overflow_are_refused),
		cmocka_unit_test(an_arena_gives_aligned_pieces_and_keeps_its_first_block),
		cmocka_unit_test(a_buffer_cannot_outgrow_its_maximum_and_remembers_it),
		cmocka_unit_test(numbers_and_front_cuts_are_exact),
		cmocka_unit_test(a_secret_leaves_no_copy_behind),
		cmocka_unit_test(only_well_formed_utf8_is_taken_for_it),
		cmocka_unit_test(controls_are_found_c1_in_utf8_included),
		cmocka_unit_test(texts_are_cut_into_their_parts),
		cmocka_unit_test(numbers_fill_the_whole_text_or_are_none),
		cmocka_unit_test(a_peer_cannot_steer_the_terminal),
		cmocka_unit_test(json_is_one_valid_line_whatever_the_text),
		cmocka_unit_test(the_clock_does_not_go_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
