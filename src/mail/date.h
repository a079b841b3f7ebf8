/* SPDX-License-Identifier: MIT */
#ifndef PH_MAIL_DATE_H
#define PH_MAIL_DATE_H
/* The date-time of RFC 5322 §3.3. */
#include <posthaste/error.h>
#include "base/buf.h"

/* Adds `Mon, 23 Nov 2026 12:17:07 +0100` for seconds since 1970 as seen at an offset from UTC in
 * minutes. PH_EINPUT for a year outside 1900 to 9999 (§3.3) or an offset of a day or more;
 * PH_ESYSTEM. */
enum ph_code ph__date_write(struct ph__buf *out, int64_t unix_time, int utc_offset_minutes,
                            struct ph_error *err);

#endif
