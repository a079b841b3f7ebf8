/* SPDX-License-Identifier: MIT */
#ifndef PH_BASE_CALENDAR_H
#define PH_BASE_CALENDAR_H
/* The Gregorian calendar, and the date-time of RFC 3339 §5.6. */
#include "base/buf.h"

struct ph__civil {
	int year, month, day; /* month from 0 */
};

struct ph__civil ph__civil_from_days(int64_t days); /* since 1970-01-01 */

#define PH__DATE_3339_MAX 253402300799 /* the last second of the year 9999 */

/* Adds `2026-11-23T12:17:07Z` for a time from 0 to PH__DATE_3339_MAX; false when out is full. */
bool ph__date_write_3339(struct ph__buf *out, int64_t unix_time);
/* Reads one, with any offset, and a space for the T; fractions of a second are dropped. False when
 * it is none, no day of the calendar, or before 1970. */
bool ph__date_parse_3339(struct ph_str s, int64_t *ret);

#endif
