/* SPDX-License-Identifier: MIT */
#ifndef PH_MAIL_FIELDS_H
#define PH_MAIL_FIELDS_H
/* Walking through the header block of a finished message. */
#include <posthaste/error.h>
#include "base/str.h"

struct ph__field_line {
	struct ph_str name;  /* empty when the line is no header field */
	struct ph_str value; /* behind the colon, with its folds, without the last line end */
	struct ph_str whole; /* all of it, with its line ends */
};

/* The next field of *rest, which moves behind it. False at the empty line that ends the block,
 * which is then not yet taken, and at the end of the text. A line end is CRLF, LF or CR: what the
 * wire will see as a line is a line here. */
bool ph__fields_next(struct ph_str *rest, struct ph__field_line *ret);

/* PH_EINPUT for a header block with more than one block of resent fields (RFC 5322 §3.6.6). */
enum ph_code ph__fields_check_resent(struct ph_str block, struct ph_error *err);

#endif
