/* SPDX-License-Identifier: MIT */
/* Character sets. See charset.h. iconv() knows them; but what is labelled GB2312 or GBK is read as
 * GB18030, which holds both: much of it was written with characters of the larger set (WHATWG's
 * Encoding Standard has it so, too). No octet is ever replaced or left out. */
#include "cli/charset.h"

#include <errno.h>
#include <iconv.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"
#include "cli/nearest.h"

#define PIECE 16384

static const char *const common[] = {
	"UTF-8", "US-ASCII", "GB18030", "GBK", "GB2312", "BIG5", "BIG5-HKSCS", "SHIFT_JIS", "EUC-JP",
	"ISO-2022-JP", "EUC-KR", "ISO-8859-1", "ISO-8859-2", "ISO-8859-5", "ISO-8859-7", "ISO-8859-15",
	"WINDOWS-1250", "WINDOWS-1251", "WINDOWS-1252", "KOI8-R", "UTF-16", "UTF-16LE", "UTF-32",
};

static bool
is(const char *name, const char *other)
{
	return ph__cstr_eq_nocase(name, other);
}

static bool
is_utf8(const char *name)
{
	return name == NULL || is(name, "UTF-8") || is(name, "UTF8");
}

/* glibc reads "//IGNORE" behind a name as a wish to lose octets. */
static iconv_t
open_converter(const char *name)
{
	const char *from = is(name, "GB2312") || is(name, "GBK") ? "GB18030" : name;

	for (const char *p = name; *p != '\0'; p++)
		if (!ph__is_alnum(*p) && strchr("-_.:+", *p) == NULL)
			return (iconv_t)-1;
	return *name != '\0' ? iconv_open("UTF-8", from) : (iconv_t)-1;
}

static enum ph_code
unknown(const char *name, struct ph_error *err)
{
	struct ph__nearest near = { 0 };
	char upper[64], best[200];

	snprintf(upper, sizeof upper, "%s", name);
	for (char *p = upper; *p != '\0'; p++)
		*p = ph__upper(*p);
	for (size_t i = 0; i < sizeof common / sizeof common[0]; i++)
		ph__nearest_offer(&near, upper, common[i]);
	ph__nearest_text(&near, "", best, sizeof best);
	ph__fail(err, PH_EUSAGE, PH_STAGE_PREPARE, PH_CAUSE_ARGUMENT,
	         "--charset=%s: no such character set is known here", name);
	if (near.count != 0)
		ph__hint(err, "did you mean %s? iconv -l lists them all", best);
	else
		ph__hint(err, "iconv -l lists them");
	return PH_EUSAGE;
}

enum ph_code
ph__charset_check(const char *name, struct ph_error *err)
{
	iconv_t cd;

	if (is_utf8(name))
		return PH_OK;
	if ((cd = open_converter(name)) == (iconv_t)-1)
		return unknown(name, err);
	iconv_close(cd);
	return PH_OK;
}

static enum ph_code
misfit(const struct ph__buf *text, size_t at, const char *name, const char *what,
       struct ph_error *err)
{
	ph__fail(err, PH_EINPUT, PH_STAGE_PREPARE, PH_CAUSE_CONTENT,
	         "%s: the octet 0x%02x at offset %zu does not fit into %s", what,
	         (unsigned char)text->p[at], at, name != NULL ? name : "UTF-8");
	if (name == NULL)
		ph__hint(err, "if the text is in another character set, name it with --charset");
	else
		ph__hint(err, "check which character set the text is in: --charset names it");
	return PH_EINPUT;
}

static enum ph_code
check_utf8(const struct ph__buf *text, const char *name, const char *what, struct ph_error *err)
{
	struct ph_str rest = ph__buf_str(text);
	uint32_t cp;

	while (rest.len != 0) {
		size_t n = ph__utf8_next(rest, &cp);

		if (n == 0)
			return misfit(text, text->len - rest.len, name, what, err);
		rest.ptr += n;
		rest.len -= n;
	}
	return PH_OK;
}

/* After the last octet iconv() is asked once more, for what it may have kept back. */
static enum ph_code
convert(iconv_t cd, struct ph__buf *text, struct ph__buf *to, const char *name, const char *what,
        struct ph_error *err)
{
	char *in = text->p;
	size_t left = text->len;
	bool last = false;

	while (!last) {
		char piece[PIECE], *out = piece;
		size_t room = sizeof piece, rc;

		last = left == 0;
		rc = iconv(cd, last ? NULL : &in, last ? NULL : &left, &out, &room);
		if (rc == (size_t)-1 && errno != E2BIG)
			return misfit(text, (size_t)(in - text->p), name, what, err);
		if (!ph__buf_add(to, piece, sizeof piece - room))
			return to->state == PH__BUF_NOMEM ? ph__fail_nomem(err, PH_STAGE_PREPARE)
			       : ph__fail(err, PH_EINPUT, PH_STAGE_PREPARE, PH_CAUSE_LIMIT,
			                  "%s: the text is too large to compose a message with", what);
	}
	return PH_OK;
}

enum ph_code
ph__charset_to_utf8(struct ph__buf *text, const char *name, const char *what, struct ph_error *err)
{
	struct ph__buf to;
	enum ph_code rc;
	iconv_t cd;

	if (is_utf8(name) || text->len == 0)
		return check_utf8(text, name, what, err);
	if ((cd = open_converter(name)) == (iconv_t)-1)
		return unknown(name, err);
	ph__buf_init(&to, text->mem, text->max);
	rc = convert(cd, text, &to, name, what, err);
	iconv_close(cd);
	if (rc == PH_OK) {
		ph__buf_done(text);
		*text = to;
	} else {
		ph__buf_done(&to);
	}
	return rc;
}
