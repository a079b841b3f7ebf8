/* SPDX-License-Identifier: MIT */
#ifndef PH_BASE_GB18030_H
#define PH_BASE_GB18030_H
/* Which character set a peer's octets are in, when it is not UTF-8. */
#include "base/buf.h"

/* If s is not UTF-8 and can be taken for Chinese in GB18030, adds it to *out as UTF-8 and says true;
 * otherwise, and when memory is out or the system has no such conversion, *out keeps its content.
 *
 * It can when every run of octets with the high bit set is made of double-byte characters, all of
 * them Han or Chinese punctuation and two at least Han. A lone Han character, an odd octet, a
 * character whose second octet is ASCII or a four-byte one is not enough: that is what the accented
 * letters of an 8-bit Western text look like ("Bo\xEEte pleine", "\xE9t\xE9s"). */
bool ph__gb18030_decode(struct ph__buf *out, struct ph_str s);

#endif
