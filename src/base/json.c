/* SPDX-License-Identifier: MIT */
/* JSON writer. See json.h. Errors stick in the buffer and are tested by the caller at the end. */
#include "base/json.h"

#include <inttypes.h>

#include "base/base64.h"

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

static void
add_escaped(struct ph__buf *out, struct ph_str s)
{
	size_t plain = 0;

	for (size_t i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)s.ptr[i];

		if (c >= 0x20 && c != '"' && c != '\\' && c != 0x7f)
			continue;
		ph__buf_add(out, s.ptr + plain, i - plain);
		plain = i + 1;
		if (c == '\n')
			ph__buf_add_str(out, "\\n");
		else if (c == '"' || c == '\\')
			ph__buf_addf(out, "\\%c", c);
		else
			ph__buf_addf(out, "\\u%04x", c);
	}
	ph__buf_add(out, s.ptr + plain, s.len - plain);
}

void
ph__json_text(struct ph__json *j, const char *key, struct ph_str s)
{
	if (!ph__str_is_utf8(s)) {
		ph__json_null(j, key);
		if (key == NULL)
			return;
		ph__buf_addf(j->out, ",\"%s_b64\":\"", key);
		ph__base64_encode(j->out, s.ptr, s.len, false);
		ph__buf_add_char(j->out, '"');
		return;
	}
	begin(j, key);
	ph__buf_add_char(j->out, '"');
	add_escaped(j->out, s);
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
	ph__buf_addf(j->out, "%" PRIu64 ".%" PRIu64, us / 1000, us % 1000 / 100);
}
