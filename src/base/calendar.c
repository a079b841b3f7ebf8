/* SPDX-License-Identifier: MIT */
/* See calendar.h. strftime() would bring the locale in and gmtime() the C library's notion of time;
 * the calendar is a dozen lines. Years are counted from March, so that the leap day is a year's
 * last. */
#include "base/calendar.h"

#define DAY        86400
#define DAYS_400Y  146097 /* the Gregorian calendar repeats after 400 years */
#define MARCH_0000 719468 /* days from 0000-03-01 to 1970-01-01 */

struct ph__civil
ph__civil_from_days(int64_t days)
{
	int64_t n = days + MARCH_0000;
	int era = (int)(n / DAYS_400Y), day = (int)(n % DAYS_400Y);
	int year = (day - day / 1460 + day / 36524 - day / (DAYS_400Y - 1)) / 365;
	int of_year = day - (365 * year + year / 4 - year / 100);
	int march_month = (5 * of_year + 2) / 153;
	int month = (march_month + 2) % 12;

	return (struct ph__civil){
		.year = era * 400 + year + (month < 2),
		.month = month,
		.day = of_year - (153 * march_month + 2) / 5 + 1,
	};
}

bool
ph__date_write_3339(struct ph__buf *out, int64_t unix_time)
{
	struct ph__civil c = ph__civil_from_days(unix_time / DAY);
	int second = (int)(unix_time % DAY);

	return ph__buf_addf(out, "%04d-%02d-%02dT%02d:%02d:%02dZ", c.year, c.month + 1, c.day,
	                    second / 3600, second / 60 % 60, second % 60);
}

/* The inverse of ph__civil_from_days(); month from 1. */
static int64_t
days_from_civil(int64_t year, int64_t month, int64_t day)
{
	year -= month <= 2;
	return 365 * year + year / 4 - year / 100 + year / 400 +
	       (153 * ((month + 9) % 12) + 2) / 5 + day - 1 - MARCH_0000;
}

static int
days_of(int64_t year, int64_t month)
{
	static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

	return days[month - 1] + (month == 2 && leap);
}

/* The number that s has where `form` has digits, all else being the same; -1: it has not that
 * form. */
static int64_t
number_at(struct ph_str *s, const char *form)
{
	int64_t n = 0;

	for (; *form != '\0'; form++, s->ptr++, s->len--) {
		if (s->len == 0 || (*form != '0' && ph__upper(*s->ptr) != *form) ||
		    (*form == '0' && !ph__is_digit(*s->ptr)))
			return -1;
		if (*form == '0')
			n = n * 10 + (*s->ptr - '0');
	}
	return n;
}

/* The offset behind the seconds, in minutes. */
static bool
parse_offset(struct ph_str s, int64_t *ret)
{
	int64_t sign, hours, minutes;

	*ret = 0;
	if (s.len == 1 && ph__upper(*s.ptr) == 'Z')
		return true;
	if (s.len != 6 || (*s.ptr != '+' && *s.ptr != '-'))
		return false;
	sign = *s.ptr == '-' ? -1 : 1;
	s.ptr++, s.len--;
	hours = number_at(&s, "00");
	minutes = number_at(&s, ":00");
	*ret = sign * (hours * 60 + minutes);
	return hours >= 0 && hours < 24 && minutes >= 0 && minutes < 60;
}

bool
ph__date_parse_3339(struct ph_str s, int64_t *ret)
{
	int64_t year = number_at(&s, "0000"), month = number_at(&s, "-00"), day = number_at(&s, "-00");
	int64_t hour = number_at(&s, s.len != 0 && *s.ptr == ' ' ? " 00" : "T00");
	int64_t minute = number_at(&s, ":00"), second = number_at(&s, ":00"), offset;

	if (year < 1970 || month < 1 || month > 12 || day < 1 || day > days_of(year, month) ||
	    hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 60)
		return false;
	if (s.len > 1 && *s.ptr == '.')
		do
			s.ptr++, s.len--;
		while (s.len != 0 && ph__is_digit(*s.ptr));
	if (!parse_offset(s, &offset))
		return false;
	*ret = days_from_civil(year, month, day) * DAY + hour * 3600 + (minute - offset) * 60 + second;
	return *ret >= 0;
}
