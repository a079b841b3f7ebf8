/* SPDX-License-Identifier: MIT */
#ifndef PH_BASE_JSON_H
#define PH_BASE_JSON_H
/* Writes JSON (RFC 8259) into a buffer, on one line. Keys are ours and need no escaping; a NULL key
 * is for array members and for the outermost value. A text that is not UTF-8 is written as a person
 * would be shown it (base/escape.h), and its octets as base64 beside it under KEY_b64, so that nothing
 * is lost and the line is always valid. Controls, also those of reading direction, are \uNNNN. */
#include <stdbool.h>
#include <stdint.h>
#include "base/buf.h"

struct ph__json {
	struct ph__buf *out;
	bool need_comma;
};

void ph__json_object(struct ph__json *j, const char *key);
void ph__json_end_object(struct ph__json *j);
void ph__json_array(struct ph__json *j, const char *key);
void ph__json_end_array(struct ph__json *j);
void ph__json_text(struct ph__json *j, const char *key, struct ph_str s);
void ph__json_cstr(struct ph__json *j, const char *key, const char *s); /* NULL: null */
void ph__json_uint(struct ph__json *j, const char *key, uint64_t n);
void ph__json_int(struct ph__json *j, const char *key, int64_t n);
void ph__json_bool(struct ph__json *j, const char *key, bool b);
void ph__json_null(struct ph__json *j, const char *key);
void ph__json_ms(struct ph__json *j, const char *key, uint64_t us);     /* microseconds as ms */

#endif
