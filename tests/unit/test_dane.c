/* SPDX-License-Identifier: MIT */
/* TLSA records: which are of use, and how they are written. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <string.h>

#include "base/bounds.h"
#include "route/dane.h"

static struct ph_str
octets(char *buf, unsigned usage, unsigned selector, unsigned matching, size_t n)
{
	buf[0] = (char)usage;
	buf[1] = (char)selector;
	buf[2] = (char)matching;
	memset(buf + 3, 0xab, n);
	return (struct ph_str){ buf, n + 3 };
}

static bool
usable(unsigned usage, unsigned selector, unsigned matching, size_t n)
{
	char buf[300];
	struct ph_tlsa r;

	assert_true(ph__tlsa_parse(&r, octets(buf, usage, selector, matching, n)));
	assert_int_equal(r.usage, usage);
	assert_int_equal(r.selector, selector);
	assert_int_equal(r.matching, matching);
	assert_int_equal(r.len, n);
	return ph__tlsa_is_usable(&r);
}

static void
a_record_has_three_octets_and_data(void **state)
{
	struct ph_tlsa r = { .usage = 9 };

	(void)state;
	assert_false(ph__tlsa_parse(&r, (struct ph_str){ "", 0 }));
	assert_false(ph__tlsa_parse(&r, (struct ph_str){ "\3\1", 2 }));
	assert_false(ph__tlsa_parse(&r, (struct ph_str){ "\3\1\1", 3 }));
	assert_int_equal(r.usage, 9);
	assert_true(ph__tlsa_parse(&r, (struct ph_str){ "\3\1\2x", 4 }));
	assert_int_equal(r.usage, 3);
	assert_int_equal(r.selector, 1);
	assert_int_equal(r.matching, 2);
	assert_memory_equal(r.data, "x", 1);
}

static void
digests_of_the_right_length_are_usable(void **state)
{
	(void)state;
	for (unsigned usage = 2; usage <= 3; usage++)
		for (unsigned selector = 0; selector <= 1; selector++) {
			assert_true(usable(usage, selector, 1, 32));
			assert_true(usable(usage, selector, 2, 64));
			assert_false(usable(usage, selector, 1, 31));
			assert_false(usable(usage, selector, 1, 33));
			assert_false(usable(usage, selector, 1, 64));
			assert_false(usable(usage, selector, 2, 32));
			assert_false(usable(usage, selector, 2, 63));
		}
}

static void
other_kinds_are_not_usable(void **state)
{
	(void)state;
	assert_false(usable(0, 1, 1, 32)); /* PKIX-TA */
	assert_false(usable(1, 1, 1, 32)); /* PKIX-EE */
	assert_false(usable(4, 1, 1, 32));
	assert_false(usable(255, 1, 1, 32)); /* PrivCert */
	assert_false(usable(3, 2, 1, 32));
	assert_false(usable(3, 255, 1, 32));
	assert_false(usable(3, 1, 3, 32));
	assert_false(usable(3, 1, 255, 32));
}

static bool
whole_is_usable(const void *p, size_t n)
{
	return ph__tlsa_is_usable(&(struct ph_tlsa){ 2, 0, 0, p, n });
}

static void
what_is_published_whole_is_one_der_sequence(void **state)
{
	unsigned char big[4 + 0x1234] = { 0x30, 0x82, 0x12, 0x34 };
	unsigned char middle[3 + 200] = { 0x30, 0x81, 200 };
	unsigned char small[2 + 44] = { 0x30, 44 };
	unsigned char open_end[4 + 44] = { 0x30, 0x80, 0, 44 }, longer[5 + 44] = { 0x30, 0x83, 0, 44 };

	(void)state;
	assert_true(whole_is_usable(big, sizeof big));
	assert_true(whole_is_usable(middle, sizeof middle));
	assert_true(whole_is_usable(small, sizeof small));
	assert_false(whole_is_usable(big, sizeof big - 1)); /* cut */
	assert_false(whole_is_usable(middle, sizeof middle - 1));
	assert_false(whole_is_usable(small, sizeof small - 1));
	for (size_t n = 0; n < 4; n++)
		assert_false(whole_is_usable(big, n));
	small[0] = 0x31;
	assert_false(whole_is_usable(small, sizeof small));
	small[0] = 0x30;
	small[1] = 43; /* something behind it */
	assert_false(whole_is_usable(small, sizeof small));
	assert_false(whole_is_usable(open_end, sizeof open_end)); /* BER's */
	assert_false(whole_is_usable(longer, sizeof longer - 1));
	big[1] = 0x83;
	assert_false(whole_is_usable(big, sizeof big));
	assert_false(usable(3, 0, 0, 200)); /* no DER at all */
}

static const struct ph_tlsa *
usable_of(struct ph_str *data, size_t n, size_t *count, struct ph__arena *arena)
{
	struct ph__dns_answer a = { .status = PH__DNS_FOUND, .trust = PH__DNS_SECURE, .data = data,
	                            .count = n };

	return ph__tlsa_usable(&a, count, arena);
}

static void
the_usable_ones_are_copied_in_their_order(void **state)
{
	char one[80], two[80], three[80], four[80];
	struct ph_str data[] = { octets(one, 1, 1, 1, 32), octets(two, 3, 1, 1, 32), { "\3", 1 },
	                         octets(three, 3, 1, 1, 5), octets(four, 2, 0, 2, 64) };
	const struct ph_tlsa *r;
	struct ph__arena arena;
	size_t count = 99;

	(void)state;
	ph__arena_init(&arena, &ph__libc_memory);
	two[3] = 'x';
	r = usable_of(data, 5, &count, &arena);
	assert_int_equal(count, 2);
	memset(two, 0, sizeof two);
	memset(four, 0, sizeof four);
	assert_int_equal(r[0].usage, 3);
	assert_int_equal(r[0].len, 32);
	assert_int_equal(*(const char *)r[0].data, 'x');
	assert_int_equal(r[1].usage, 2);
	assert_int_equal(r[1].selector, 0);
	assert_int_equal(r[1].len, 64);
	assert_int_equal(((const unsigned char *)r[1].data)[63], 0xab);
	ph__arena_done(&arena);
}

static void
without_a_usable_one_there_is_none(void **state)
{
	char one[80];
	struct ph_str data[] = { octets(one, 0, 0, 1, 32), { NULL, 0 } };
	struct ph__arena arena;
	size_t count = 99;

	(void)state;
	ph__arena_init(&arena, &ph__libc_memory);
	assert_null(usable_of(data, 2, &count, &arena));
	assert_int_equal(count, 0);
	count = 99;
	assert_null(usable_of(data, 0, &count, &arena));
	assert_int_equal(count, 0);
	ph__arena_done(&arena);
}

static void *
no_alloc(void *user, size_t n)
{
	(void)user, (void)n;
	return NULL;
}

static void *
no_realloc(void *user, void *p, size_t n)
{
	(void)user, (void)p, (void)n;
	return NULL;
}

static void
no_free(void *user, void *p)
{
	(void)user, (void)p;
}

static void
lack_of_memory_is_not_lack_of_records(void **state)
{
	struct ph_allocator none = { no_alloc, no_realloc, no_free, NULL };
	char one[80];
	struct ph_str data[] = { octets(one, 3, 1, 1, 32) };
	struct ph__arena arena;
	size_t count = 99;

	(void)state;
	ph__arena_init(&arena, &none);
	assert_null(usable_of(data, 1, &count, &arena));
	assert_int_equal(count, 1);
	ph__arena_done(&arena);
}

static void
of_very_many_records_the_first_are_taken(void **state)
{
	struct ph_str data[PH__TLSA_MAX + 5];
	struct ph__arena arena;
	size_t count, i;
	char one[80];

	(void)state;
	for (i = 0; i < PH__TLSA_MAX + 5; i++)
		data[i] = octets(one, 3, 1, 1, 32);
	data[0].len = 2; /* is not counted */
	ph__arena_init(&arena, &ph__libc_memory);
	assert_non_null(usable_of(data, PH__TLSA_MAX + 5, &count, &arena));
	assert_int_equal(count, PH__TLSA_MAX);
	ph__arena_done(&arena);
}

static void
written_as_masters_files_have_it(void **state)
{
	static const unsigned char data[] = { 0x0d, 0x5c, 0xff, 0x00 };
	struct ph_tlsa r = { 3, 1, 1, data, sizeof data };
	char buf[64];

	(void)state;
	ph__tlsa_text(buf, sizeof buf, &r);
	assert_string_equal(buf, "3 1 1 0d5cff00");
	ph__tlsa_text(buf, 15, &r); /* it just fits */
	assert_string_equal(buf, "3 1 1 0d5cff00");
	ph__tlsa_text(buf, 14, &r);
	assert_string_equal(buf, "3 1 1 0d5c…");
	ph__tlsa_text(buf, 12, &r);
	assert_string_equal(buf, "3 1 1 0d…");
	ph__tlsa_text(buf, 10, &r);
	assert_string_equal(buf, "3 1 1 …");
	ph__tlsa_text(buf, 9, &r); /* no room for the mark */
	assert_string_equal(buf, "3 1 1 ");
	ph__tlsa_text(buf, 4, &r);
	assert_string_equal(buf, "3 1");
	ph__tlsa_text(buf, 1, &r);
	assert_string_equal(buf, "");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_record_has_three_octets_and_data),
		cmocka_unit_test(digests_of_the_right_length_are_usable),
		cmocka_unit_test(other_kinds_are_not_usable),
		cmocka_unit_test(what_is_published_whole_is_one_der_sequence),
		cmocka_unit_test(the_usable_ones_are_copied_in_their_order),
		cmocka_unit_test(without_a_usable_one_there_is_none),
		cmocka_unit_test(lack_of_memory_is_not_lack_of_records),
		cmocka_unit_test(of_very_many_records_the_first_are_taken),
		cmocka_unit_test(written_as_masters_files_have_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
