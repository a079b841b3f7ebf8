/* SPDX-License-Identifier: MIT */
/* Receiving octets: every vector whole, byte by byte and cut in two at every place. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "smtp/server_body.h"

struct want {
	const char *in, *out;
	bool     ends;
	size_t   left;  /* octets behind the end */
	uint64_t bare_cr, bare_lf, long_lines;
};

/* Feeds in[0, n) and gives what came out; returns octets used. */
static size_t
feed(struct ph__body *b, const char *in, size_t n, char *out, size_t *len)
{
	size_t used = 0;

	while (used < n && b->state != PH__BODY_END) {
		struct ph_str piece;

		used += ph__body_next(b, in + used, n - used, &piece);
		memcpy(out + *len, piece.ptr, piece.len);
		*len += piece.len;
	}
	return used;
}

static void
check(const struct want *w, bool stuffed, size_t first, size_t step)
{
	size_t n = strlen(w->in), used = 0, len = 0;
	char *out = test_malloc(n + 1);
	struct ph__body b;

	ph__body_begin(&b, stuffed);
	for (size_t at = 0, k = first; at < n && b.state != PH__BODY_END; at += k, k = step) {
		if (k > n - at)
			k = n - at;
		used += feed(&b, w->in + at, k, out, &len);
	}
	ph__body_finish(&b);
	out[len] = '\0';
	assert_string_equal(out, w->out);
	assert_int_equal(b.state == PH__BODY_END, w->ends);
	assert_int_equal(n - used, w->left);
	assert_int_equal(b.octets, len);
	assert_int_equal(b.bare_cr, w->bare_cr);
	assert_int_equal(b.bare_lf, w->bare_lf);
	assert_int_equal(b.long_lines, w->long_lines);
	test_free(out);
}

static void
check_all(const struct want *w, size_t count, bool stuffed)
{
	for (size_t i = 0; i < count; i++) {
		size_t n = strlen(w[i].in);

		check(&w[i], stuffed, 1, 1);
		for (size_t cut = 1; cut <= n && cut < 40; cut++)
			check(&w[i], stuffed, cut, n);
	}
}

static void
crlf_dot_crlf_ends_and_nothing_else_does(void **state)
{
	static const struct want w[] = {
		{ ".\r\n", "", true, 0, 0, 0, 0 },
		{ "a\r\n.\r\n", "a\r\n", true, 0, 0, 0, 0 },
		{ "a\r\n.\r\nMAIL", "a\r\n", true, 4, 0, 0, 0 },
		{ "\r\n.\r\n", "\r\n", true, 0, 0, 0, 0 },
		{ "a\n.\nb\r\n.\r\n", "a\n.\nb\r\n", true, 0, 0, 2, 0 },
		{ "a\n.\r\nb\r\n.\r\n", "a\n.\r\nb\r\n", true, 0, 0, 1, 0 },
		{ "a\r\n.\nb\r\n.\r\n", "a\r\n\nb\r\n", true, 0, 0, 1, 0 },
		{ "a\r.\rb\r\n.\r\n", "a\r.\rb\r\n", true, 0, 2, 0, 0 },
		{ "a\r\n.\rb\r\n.\r\n", "a\r\n\rb\r\n", true, 0, 1, 0, 0 },
		{ "a\r\n.\r\rb\r\n.\r\n", "a\r\n\r\rb\r\n", true, 0, 2, 0, 0 },
		{ "a\r\r\n.\r\n", "a\r\r\n", true, 0, 1, 0, 0 },
		{ "a\r\n\r.\r\n\r\n.\r\n", "a\r\n\r.\r\n\r\n", true, 0, 1, 0, 0 },
		{ "a\r\n.", "a\r\n", false, 0, 0, 0, 0 },
		{ "a.\r\n.b", "a.\r\nb", false, 0, 0, 0, 0 },
	};

	(void)state;
	check_all(w, sizeof w / sizeof w[0], true);
}

static void
one_dot_is_taken_from_a_line_that_begins_with_it(void **state)
{
	static const struct want w[] = {
		{ "..\r\n.\r\n", ".\r\n", true, 0, 0, 0, 0 },
		{ "...\r\n..\r\na.b\r\n.c\r\n.\r\n", "..\r\n.\r\na.b\r\nc\r\n", true, 0, 0, 0, 0 },
		{ "..\r\n..\r\n..\r\n.\r\n", ".\r\n.\r\n.\r\n", true, 0, 0, 0, 0 },
	};

	(void)state;
	check_all(w, sizeof w / sizeof w[0], true);
}

static void
chunks_are_passed_on_as_they_are_and_counted(void **state)
{
	static const struct want w[] = {
		{ ".\r\n..\r\n", ".\r\n..\r\n", false, 0, 0, 0, 0 },
		{ "a\r\n.\r\nb", "a\r\n.\r\nb", false, 0, 0, 0, 0 },
		{ "a\nb\rc\r", "a\nb\rc\r", false, 0, 2, 1, 0 },
	};

	(void)state;
	check_all(w, sizeof w / sizeof w[0], false);
}

static void
lines_over_998_octets_are_counted(void **state)
{
	static char in[5000];
	struct want w = { in, in, false, 0, 0, 0, 0 };

	(void)state;
	for (size_t n = 996; n < 1002; n++) {
		memset(in, 'x', n);
		memcpy(in + n, "\r\n", 3);
		w.long_lines = n > 998;
		check(&w, false, 1, 1);
		for (size_t cut = 900; cut < n + 2; cut++)
			check(&w, false, cut, n);
		memcpy(in + n, "", 1); /* without its end */
		check(&w, false, 1, 1);
		check(&w, false, n, n);
	}
	/* A lone LF does not end a line. */
	memset(in, 'x', 1200);
	memcpy(in + 600, "\n", 1);
	memcpy(in + 1200, "\r\n", 3);
	w.long_lines = 1;
	w.bare_lf = 1;
	check(&w, false, 1, 1);
	check(&w, false, 600, 7);
}

/* Against a plain automaton, octet by octet, over random mixtures of the four octets that matter. */
static void
random_input_comes_out_as_an_octet_automaton_says(void **state)
{
	uint32_t seed = 12345;

	(void)state;
	for (int round = 0; round < 20000; round++) {
		char in[64], want[64], got[64];
		size_t n = 1 + (seed >> 8) % 40, w = 0, g = 0, used = 0, ref_used = 0;
		int st = 0; /* 0 bol, 1 mid, 2 cr, 3 dot, 4 dot cr, 5 end */
		struct ph__body b;

		for (size_t i = 0; i < n; i++) {
			seed = seed * 1664525u + 1013904223u;
			in[i] = "\r\n.a"[seed >> 24 & 3];
		}
		for (; ref_used < n && st != 5; ref_used++) {
			char c = in[ref_used];

			if (st == 4 && c == '\n') {
				st = 5;
				continue;
			}
			if (st == 4)
				want[w++] = '\r', st = 2;
			if (st == 0 && c == '.') {
				st = 3;
				continue;
			}
			if (st == 3 && c == '\r') {
				st = 4;
				continue;
			}
			want[w++] = c;
			st = c == '\r' ? 2 : c == '\n' && st == 2 ? 0 : 1;
		}
		ph__body_begin(&b, true);
		for (size_t at = 0; at < n && b.state != PH__BODY_END; ) {
			size_t k = 1 + (seed >> 16) % 9;

			seed = seed * 1664525u + 1013904223u;
			if (k > n - at)
				k = n - at;
			used += feed(&b, in + at, k, got, &g);
			at += k;
		}
		assert_int_equal(g, w);
		assert_memory_equal(got, want, g);
		assert_int_equal(b.state == PH__BODY_END, st == 5);
		assert_int_equal(used, ref_used);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(crlf_dot_crlf_ends_and_nothing_else_does),
		cmocka_unit_test(one_dot_is_taken_from_a_line_that_begins_with_it),
		cmocka_unit_test(chunks_are_passed_on_as_they_are_and_counted),
		cmocka_unit_test(lines_over_998_octets_are_counted),
		cmocka_unit_test(random_input_comes_out_as_an_octet_automaton_says),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
