/* SPDX-License-Identifier: MIT */
/* base/calendar.h, mail/date.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>
#include <cmocka.h>

#include "base/calendar.h"
#include "failing_memory.h"
#include "mail/date.h"

static void
assert_date(int64_t t, int offset, const char *want)
{
	struct ph__buf out;

	ph__buf_init(&out, &ph__libc_memory, 100);
	assert_int_equal(ph__date_write(&out, t, offset, NULL), PH_OK);
	assert_string_equal(ph__buf_cstr(&out), want);
	ph__buf_done(&out);
}

static void
dates_are_those_of_the_rfc(void **state)
{
	(void)state;
	assert_date(0, 0, "Thu, 1 Jan 1970 00:00:00 +0000");
	assert_date(0, -60, "Wed, 31 Dec 1969 23:00:00 -0100");
	assert_date(1709164800, 0, "Thu, 29 Feb 2024 00:00:00 +0000");
	assert_date(951782400, 345, "Tue, 29 Feb 2000 05:45:00 +0545");
	assert_date(4107542399, 0, "Sun, 28 Feb 2100 23:59:59 +0000");
	assert_date(4107542400, 0, "Mon, 1 Mar 2100 00:00:00 +0000");
	assert_date(1700000000, -210, "Tue, 14 Nov 2023 18:43:20 -0330");
	assert_date(-2208902400, 0, "Tue, 2 Jan 1900 00:00:00 +0000");
	assert_date(253402214399, 1439, "Fri, 31 Dec 9999 23:58:59 +2359");
}

static void
the_calendar_is_that_of_the_c_library(void **state)
{
	(void)state;
	for (int64_t t = -2208902400; t < 253402214400; t += 86400 * 97 + 12345) {
		time_t when = (time_t)t;
		struct tm tm;
		char weekday[8], rest[40], want[64];

		gmtime_r(&when, &tm);
		strftime(weekday, sizeof weekday, "%a", &tm);
		strftime(rest, sizeof rest, "%b %Y %H:%M:%S +0000", &tm);
		snprintf(want, sizeof want, "%s, %d %s", weekday, tm.tm_mday, rest);
		assert_date(t, 0, want);
	}
}

static void
impossible_dates_are_refused(void **state)
{
	static const struct {
		int64_t t;
		int offset;
	} wrong[] = {
		{ 0, 1440 },      { 0, -1440 },     { 0, INT32_MIN },   { 0, INT32_MAX },
		{ INT64_MIN, 0 }, { INT64_MAX, 0 }, { -2208988800, 0 }, { 253402300799, 0 },
	};
	struct ph__buf out;

	(void)state;
	ph__buf_init(&out, &ph__libc_memory, 100);
	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
		assert_int_equal(ph__date_write(&out, wrong[i].t, wrong[i].offset, NULL),
		                 PH_EINPUT);
	assert_int_equal(out.len, 0);
	ph__buf_done(&out);
}

static void
rfc_3339_holds_both_ways(void **state)
{
	struct ph__buf out;

	(void)state;
	ph__buf_init(&out, &ph__libc_memory, 100);
	for (int64_t t = 0; t <= PH__DATE_3339_MAX; t += 86400 * 97 + 3661) {
		int64_t back = -1;

		ph__buf_reset(&out);
		assert_true(ph__date_write_3339(&out, t));
		assert_true(ph__date_parse_3339(ph__buf_str(&out), &back));
		assert_true(back == t);
	}
	ph__buf_reset(&out);
	assert_true(ph__date_write_3339(&out, 951782399));
	assert_string_equal(ph__buf_cstr(&out), "2000-02-28T23:59:59Z");
	ph__buf_reset(&out);
	assert_true(ph__date_write_3339(&out, PH__DATE_3339_MAX));
	assert_string_equal(ph__buf_cstr(&out), "9999-12-31T23:59:59Z");
	ph__buf_done(&out);
}

static void
rfc_3339_is_read_strictly(void **state)
{
	static const struct { const char *text; int64_t t; } rows[] = {
		{ "1970-01-01T00:00:00Z", 0 }, { "1970-01-01t01:30:00.999+01:30", 0 },
		{ "2000-02-29 00:00:00-00:01", 951782460 }, { "1990-12-31T23:59:60z", 662688000 },
	};
	static const char *const wrong[] = {
		"", "2030", "2030-01-01", "2030-01-01T00:00:00", "2030-01-01T00:00:00+0100",
		"2030-13-01T00:00:00Z", "2030-00-01T00:00:00Z", "2030-01-32T00:00:00Z", "2030-01-01T24:00:00Z",
		"2030-01-01T00:60:00Z", "2030-01-01T00:00:61Z", "2030-01-01T00:00:00Zx", "2030-02-29T00:00:00Z",
		"2030-01-01T00:00:00.Z5", "1969-12-31T23:59:59Z", "1970-01-01T00:00:00+00:01",
		"+030-01-01T00:00:00Z", "2030-01-01T00:00:00+24:00",
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		int64_t t = -1;

		assert_true(ph__date_parse_3339(ph__str(rows[i].text), &t));
		assert_true(t == rows[i].t);
	}
	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
		int64_t t;

		if (ph__date_parse_3339(ph__str(wrong[i]), &t))
			fail_msg("%s is taken for a time", wrong[i]);
	}
}

static void
lack_of_memory_is_reported(void **state)
{
	struct failing_memory fm;

	(void)state;
	for (size_t n = 1; failing_memory_try(&fm, n); n++) {
		struct ph__buf out;
		enum ph_code rc;

		ph__buf_init(&out, &fm.mem, 100);
		rc = ph__date_write(&out, 0, 0, NULL);
		assert_int_equal(rc, fm.failed ? PH_ESYSTEM : PH_OK);
		ph__buf_done(&out);
		assert_int_equal(fm.live, 0);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(dates_are_those_of_the_rfc),
		cmocka_unit_test(the_calendar_is_that_of_the_c_library),
		cmocka_unit_test(impossible_dates_are_refused),
		cmocka_unit_test(rfc_3339_holds_both_ways),
		cmocka_unit_test(rfc_3339_is_read_strictly),
		cmocka_unit_test(lack_of_memory_is_reported),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
