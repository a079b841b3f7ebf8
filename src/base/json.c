/* SPDX-License-Identifier: MIT */
/* JSON writer. See json.h. Errors stick in the buffer and are tested by the caller at the end. */
#include "base/json.h"

#include <assert.h>
#include <inttypes.h>

#include "base/base64.h"
#include "base/escape.h"

static void
begin(struct ph__json *j, const char *key)
{
	if (j->need_comma)
		ph__buf_add_char(j->out, ',');
	if (key != NULL)
		ph__buf_addf(j->out, "\"%s\":", key);
	j->need_comma = true;
}

static void
open_with(struct ph__json *j, const char *key, char c)
{
	begin(j, key);
	ph__buf_add_char(j->out, c);
	j->need_comma = false;
}

static void
close_with(struct ph__json *j, char c)
{
	ph__buf_add_char(j->out, c);
	j->need_comma = true;
}

void
ph__json_object(struct ph__json *j, const char *key)
{
	open_with(j, key, '{');
}

void
ph__json_end_object(struct ph__json *j)
{
	close_with(j, '}');
}

void
ph__json_array(struct ph__json *j, const char *key)
{
	open_with(j, key, '[');
}

void
ph__json_end_array(struct ph__json *j)
{
	close_with(j, ']');
}

/* UTF-8. What could harm a terminal is escaped, and stays the same text to a program. */
static void
add_escaped(struct ph__buf *out, struct ph_str s)
{
	const char *plain = s.ptr;

	while (s.len != 0) {
		uint32_t cp = 0;
		size_t n = ph__utf8_next(s, &cp);
		bool special = cp == '"' || cp == '\\' || ph__is_harmful(cp);

		assert(n != 0);
		if (special)
			ph__buf_add(out, plain, (size_t)(s.ptr - plain));
		s.ptr += n;
		s.len -= n;
		if (!special)
			continue;
		plain = s.ptr;
		if (cp == '\n')
			ph__buf_add_str(out, "\\n");
		else if (cp == '"' || cp == '\\')
			ph__buf_addf(out, "\\%c", (char)cp);
		else
			ph__buf_addf(out, "\\u%04x", (unsigned)cp); /* all are in the first plane */
	}
	ph__buf_add(out, plain, (size_t)(s.ptr - plain));
}

static void
add_text(struct ph__json *j, const char *key, struct ph_str s)
{
	begin(j, key);
	ph__buf_add_char(j->out, '"');
	add_escaped(j->out, s);
	ph__buf_add_char(j->out, '"');
}

void
ph__json_text(struct ph__json *j, const char *key, struct ph_str s)
{
	struct ph__buf shown;

	if (ph__str_is_utf8(s)) {
		add_text(j, key, s);
		return;
	}
	ph__buf_init(&shown, j->out->mem, 4 * s.len + 1);
	if (!ph__to_utf8(&shown, s))
		j->out->state = PH__BUF_NOMEM;
	add_text(j, key, ph__buf_str(&shown));
	ph__buf_done(&shown);
	if (key == NULL)
		return;
	ph__buf_addf(j->out, ",\"%s_b64\":\"", key);
	ph__base64_encode(j->out, s.ptr, s.len, false);
	ph__buf_add_char(j->out, '"');
}

void
ph__json_cstr(struct ph__json *j, const char *key, const char *s)
{
	if (s == NULL)
		ph__json_null(j, key);
	else
		ph__json_text(j, key, ph__str(s));
}

void
ph__json_uint(struct ph__json *j, const char *key, uint64_t n)
{
	begin(j, key);
	ph__buf_addf(j->out, "%" PRIu64, n);
}

void
ph__json_int(struct ph__json *j, const char *key, int64_t n)
{
	begin(j, key);
	ph__buf_addf(j->out, "%" PRId64, n);
}

void
ph__json_bool(struct ph__json *j, const char *key, bool b)
{
	begin(j, key);
	ph__buf_add_str(j->out, b ? "true" : "false");
}

void
ph__json_null(struct ph__json *j, const char *key)
{
	begin(j, key);
	ph__buf_add_str(j->out, "null");
}

void
ph__json_ms(struct ph__json *j, const char *key, uint64_t us)
{
	begin(j, key);
	ph__buf_addf(j->out, "%" PRIu64 ".%03" PRIu64, us / 1000, us % 1000);
}
