/* SPDX-License-Identifier: MIT */
/* Dates of mail. See date.h. */
#include "mail/date.h"

#include "base/calendar.h"
#include "base/error.h"

#define DAY        86400
#define YEAR_1900  (-2208988800) /* first second of 1900 and of 10000, UTC */
#define YEAR_10000 253402300800

enum ph_code
ph__date_write(struct ph__buf *out, int64_t unix_time, int utc_offset_minutes, struct ph_error *err)
{
	static const char weekdays[7][4] = { "Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed" };
	static const char months[12][4] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun",
		                            "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };
	int64_t local, days;
	struct ph__civil c;
	int second, offset;

	if (utc_offset_minutes <= -1440 || utc_offset_minutes >= 1440 ||
	    unix_time < YEAR_1900 + DAY || unix_time >= YEAR_10000 - DAY)
		return ph__fail(
		    err, PH_EINPUT, PH_STAGE_PREPARE, PH_CAUSE_ARGUMENT,
		    "the date lies outside the years 1900 to 9999, or its offset is a day or more");
	offset = utc_offset_minutes < 0 ? -utc_offset_minutes : utc_offset_minutes;
	local = unix_time + utc_offset_minutes * 60;
	days = (local - YEAR_1900) / DAY - 25567; /* so that no negative number is divided */
	second = (int)(local - days * DAY);
	c = ph__civil_from_days(days);
	if (!ph__buf_addf(out, "%s, %d %s %d %02d:%02d:%02d %c%02d%02d",
	                  weekdays[(days + 25571) % 7], c.day, months[c.month], c.year,
	                  second / 3600, second / 60 % 60, second % 60,
	                  utc_offset_minutes < 0 ? '-' : '+', offset / 60, offset % 60))
		return ph__fail_nomem(err, PH_STAGE_PREPARE);
	return PH_OK;
}
