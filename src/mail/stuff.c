/* SPDX-License-Identifier: MIT */
/* A whole message as DATA carries it (posthaste/source.h), for those who write the dialogue by hand. */
#include <posthaste/source.h>

#include "base/buf.h"
#include "base/error.h"
#include "mail/lines.h"

static bool
keep_piece(void *user, const char *p, size_t n, bool borrow)
{
	(void)borrow;
	return ph__buf_add(user, p, n);
}

static enum ph_code
not_acceptable(const struct ph__lines *l, enum ph__lines_fault fault, struct ph_error *err)
{
	if (fault == PH__LINES_NOMEM)
		return ph__fail_nomem(err, PH_STAGE_PREPARE);
	ph__fail(err, PH_EINPUT, PH_STAGE_PREPARE, PH_CAUSE_CONTENT,
	         "the message has %s, near its octet %llu", ph__lines_fault_text(fault),
	         (unsigned long long)l->wire_size);
	ph__hint(err, "encode the part as base64 or quoted-printable");
	return PH_EINPUT;
}

enum ph_code
ph_dot_stuff(char **ret, size_t *ret_len, const void *message, size_t n, enum ph_line_ends line_ends,
             const struct ph_allocator *mem, struct ph_error *err)
{
	enum ph__lines_fault fault;
	struct ph__lines lines;
	struct ph__buf out;
	char *text;
	size_t len;

	if (line_ends == PH_LINE_ENDS_BINARY)
		return ph__fail(err, PH_EUSAGE, PH_STAGE_PREPARE, PH_CAUSE_ARGUMENT,
		                "DATA carries lines: a binary message needs BDAT (RFC 3030 §3)");
	ph__lines_init(&lines, line_ends, true);
	ph__buf_init(&out, mem != NULL ? mem : &ph__libc_memory, SIZE_MAX / 8);
	fault = ph__lines_feed(&lines, message, n, keep_piece, &out);
	if (fault == PH__LINES_OK)
		fault = ph__lines_end(&lines, keep_piece, &out);
	len = out.len;
	text = fault == PH__LINES_OK ? ph__buf_take(&out) : NULL;
	ph__buf_done(&out);
	if (text == NULL)
		return not_acceptable(&lines, fault != PH__LINES_OK ? fault : PH__LINES_NOMEM, err);
	*ret = text;
	*ret_len = len;
	return PH_OK;
}
