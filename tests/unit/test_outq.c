/* SPDX-License-Identifier: MIT */
/* The queue of octets to send, against a plain string. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "failing_memory.h"
#include "smtp/outq.h"

static struct ph__outq q;

static int
set_up(void **state)
{
	(void)state;
	ph__outq_init(&q, &ph__libc_memory);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	ph__outq_done(&q);
	return 0;
}

/* All that waits, as one string. */
static const char *
waiting(void)
{
	static char text[256];
	struct iovec iov[32];
	size_t n = ph__outq_pull(&q, iov, 32), len = 0;

	for (size_t i = 0; i < n; i++) {
		memcpy(text + len, iov[i].iov_base, iov[i].iov_len);
		len += iov[i].iov_len;
	}
	text[len] = '\0';
	assert_int_equal(len, q.total - q.sent);
	return text;
}

static void
copies_that_follow_each_other_are_one_piece(void **state)
{
	struct iovec iov[4];

	(void)state;
	assert_int_equal(ph__outq_pull(&q, iov, 4), 0);
	assert_true(ph__outq_copy(&q, "MAIL", 4));
	assert_true(ph__outq_copy(&q, "", 0));
	assert_true(ph__outq_copy(&q, " FROM", 5));
	assert_int_equal(ph__outq_pull(&q, iov, 4), 1);
	assert_string_equal(waiting(), "MAIL FROM");
}

static void
borrowed_octets_are_pointed_at(void **state)
{
	static const char body[] = "body";
	struct iovec iov[4];

	(void)state;
	ph__outq_copy(&q, "a", 1);
	ph__outq_borrow(&q, body, 4);
	ph__outq_copy(&q, "z", 1);
	assert_int_equal(ph__outq_pull(&q, iov, 4), 3);
	assert_ptr_equal(iov[1].iov_base, body);
	assert_int_equal(q.borrowed, 4);
	assert_int_equal(ph__outq_pull(&q, iov, 2), 2);
	assert_int_equal(ph__outq_pull(&q, iov, 0), 0);
	assert_string_equal(waiting(), "abodyz");
}

/* Inside a piece, at its end, over several. */
static void
what_has_gone_is_gone(void **state)
{
	(void)state;
	ph__outq_copy(&q, "abc", 3);
	ph__outq_borrow(&q, "def", 3);
	ph__outq_copy(&q, "ghi", 3);
	ph__outq_sent(&q, 2);
	assert_string_equal(waiting(), "cdefghi");
	ph__outq_sent(&q, 2);
	assert_string_equal(waiting(), "efghi");
	assert_int_equal(q.borrowed, 2);
	ph__outq_sent(&q, 2);
	assert_int_equal(q.borrowed, 0);
	ph__outq_copy(&q, "j", 1);
	assert_string_equal(waiting(), "ghij");
	ph__outq_sent(&q, 4);
	assert_string_equal(waiting(), "");
	assert_int_equal(q.total, 10);
	assert_int_equal(q.sent, 10);
}

/* A place in the stream stays what it was. */
static void
dropping_forgets_what_has_not_gone(void **state)
{
	(void)state;
	ph__outq_copy(&q, "abcdef", 6);
	ph__outq_borrow(&q, "ghi", 3);
	ph__outq_sent(&q, 4);
	ph__outq_drop(&q);
	assert_string_equal(waiting(), "");
	assert_int_equal(q.total, 4);
	assert_int_equal(q.borrowed, 0);
	ph__outq_copy(&q, "x", 1);
	assert_string_equal(waiting(), "x");
	assert_int_equal(q.total, 5);
}

/* What is pulled stays where it is while it is being sent. */
static void
pieces_are_valid_while_they_are_sent(void **state)
{
	struct iovec iov[2];
	char text[2000];

	(void)state;
	memset(text, 'x', sizeof text);
	text[1999] = 'y';
	ph__outq_copy(&q, text, sizeof text);
	assert_int_equal(ph__outq_pull(&q, iov, 2), 1);
	for (int i = 0; i < 1999; i++)
		ph__outq_sent(&q, 1);
	assert_int_equal(((const char *)iov[0].iov_base)[1999], 'y');
}

/* A slow peer never empties the queue; memory does not grow with what went through it. */
static void
a_queue_that_never_runs_empty_does_not_grow(void **state)
{
	static char block[1000];

	(void)state;
	ph__outq_copy(&q, "x", 1);
	for (int i = 0; i < 200000; i++) {
		assert_true(ph__outq_copy(&q, block, sizeof block));
		if (i % 3 == 0)
			assert_true(ph__outq_borrow(&q, block, 5));
		ph__outq_sent(&q, sizeof block + (i % 3 == 0 ? 5 : 0));
	}
	assert_int_equal(q.total - q.sent, 1);
	assert_in_range(q.copies.cap, 1, 1 << 20);
	assert_in_range(q.cap, 1, 64);
}

static void
any_mixture_comes_out_in_order(void **state)
{
	static char stream[200000];
	size_t made = 0, gone = 0;
	unsigned seed = 7;

	(void)state;
	for (size_t i = 0; i < sizeof stream; i++)
		stream[i] = (char)(i * 31 + i / 251);
	while (made < sizeof stream || gone < made) {
		struct iovec iov[5];
		size_t n, part, left = sizeof stream - made;

		seed = seed * 1103515245 + 12345;
		part = (seed >> 16) % 300;
		part = part < left ? part : left;
		if ((seed >> 8 & 1) != 0)
			assert_true(ph__outq_borrow(&q, stream + made, part));
		else
			assert_true(ph__outq_copy(&q, stream + made, part));
		made += part;
		n = ph__outq_pull(&q, iov, 1 + (seed >> 20) % 5);
		for (size_t i = 0, at = gone; i < n; at += iov[i++].iov_len)
			assert_memory_equal(iov[i].iov_base, stream + at, iov[i].iov_len);
		part = (seed >> 10) % (made - gone + 1);
		ph__outq_sent(&q, part);
		gone += part;
	}
}

static void
lack_of_memory_is_told(void **state)
{
	struct failing_memory fm;

	(void)state;
	for (size_t n = 1; failing_memory_try(&fm, n); n++) {
		struct ph__outq o;
		bool ok = true;

		ph__outq_init(&o, &fm.mem);
		for (int i = 0; i < 40; i++)
			ok = ok && ph__outq_copy_secret(&o, "secret", 6) && ph__outq_borrow(&o, "body", 4);
		assert_true(ok == !fm.failed);
		ph__outq_drop(&o);
		ph__outq_done(&o);
		assert_int_equal(fm.live, 0);
	}
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(copies_that_follow_each_other_are_one_piece, set_up, tear_down),
		cmocka_unit_test_setup_teardown(borrowed_octets_are_pointed_at, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_has_gone_is_gone, set_up, tear_down),
		cmocka_unit_test_setup_teardown(dropping_forgets_what_has_not_gone, set_up, tear_down),
		cmocka_unit_test_setup_teardown(pieces_are_valid_while_they_are_sent, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_queue_that_never_runs_empty_does_not_grow, set_up, tear_down),
		cmocka_unit_test_setup_teardown(any_mixture_comes_out_in_order, set_up, tear_down),
		cmocka_unit_test(lack_of_memory_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
