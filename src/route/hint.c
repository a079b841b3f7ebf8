/* SPDX-License-Identifier: MIT */
/* Hints. See hint.h, and data/hints for what the conditions mean. */
#include "route/hint.h"

#include "base/bounds.h"
#include "base/error.h"
#include "base/escape.h"

/* ---- conditions ------------------------------------------------------------------------------ */

static bool
has_bit(uint64_t set, int bit)
{
	return set == 0 || (bit >= 0 && bit < 64 && (set & (uint64_t)1 << bit) != 0);
}

/* A row that names no cause speaks of a reply. */
static bool
is_about(const struct ph__hint_row *row, const struct ph_error *err)
{
	if (row->causes == 0 && err->reply == 0)
		return false;
	return has_bit(row->stages, (int)err->stage) && has_bit(row->classes, -(int)err->code) &&
	       has_bit(row->causes, (int)err->cause);
}

static bool
has_code(const uint16_t (*codes)[2], uint16_t code)
{
	if (codes == NULL)
		return true;
	for (; (*codes)[0] != 0; codes++)
		if (code >= (*codes)[0] && code <= (*codes)[1])
			return true;
	return false;
}

static bool
has_enhanced(const uint16_t (*all)[3], const uint16_t code[3])
{
	if (all == NULL)
		return true;
	for (; code[0] != 0 && (*all)[0] != 0; all++) {
		int i = 0;

		while (i < 3 && ((*all)[i] == PH__HINT_ANY || (*all)[i] == code[i]))
			i++;
		if (i == 3)
			return true;
	}
	return false;
}

static bool
has_port(const uint16_t *ports, uint16_t port)
{
	if (ports == NULL)
		return true;
	for (; *ports != 0; ports++)
		if (*ports == port)
			return true;
	return false;
}

/* The whole of it, * being anything: one star is tried at a time, the last one seen. */
static bool
is_host(const char *pattern, const char *host)
{
	const char *star = NULL, *behind = NULL;

	while (*host != '\0') {
		if (*pattern == '*') {
			star = pattern++;
			behind = host;
		} else if (*pattern == ph__lower(*host)) {
			pattern++;
			host++;
		} else if (star != NULL) {
			pattern = star + 1;
			host = ++behind;
		} else {
			return false;
		}
	}
	while (*pattern == '*')
		pattern++;
	return *pattern == '\0';
}

static bool
has_host(const char *const *hosts, const char *host)
{
	if (hosts == NULL)
		return true;
	for (; *hosts != NULL; hosts++)
		if (is_host(*hosts, host))
			return true;
	return false;
}

/* ---- words ----------------------------------------------------------------------------------- */

static bool
begins_with(struct ph_str text, struct ph_str part)
{
	if (part.len > text.len)
		return false;
	for (size_t i = 0; i < part.len; i++)
		if (ph__lower(text.ptr[i]) != part.ptr[i])
			return false;
	return true;
}

/* Between octets a and b a word ends or begins: not in the middle of an ASCII one. */
static bool
is_edge(char a, char b)
{
	return !ph__is_alnum(a) || !ph__is_alnum(b);
}

/* Where in the text `part` stands, from `at` on; SIZE_MAX: nowhere. */
static size_t
find_part(struct ph_str text, size_t at, struct ph_str part, bool first, bool last)
{
	for (; at + part.len <= text.len; at++) {
		size_t end = at + part.len;

		if (!begins_with((struct ph_str){ text.ptr + at, text.len - at }, part))
			continue;
		if (first && at != 0 && !is_edge(text.ptr[at - 1], text.ptr[at]))
			continue;
		if (last && end < text.len && !is_edge(text.ptr[end - 1], text.ptr[end]))
			continue;
		return at;
	}
	return SIZE_MAX;
}

/* Parts between stars, each as far left as it can stand: if any way fits, that one does. */
static bool
has_phrase(struct ph_str text, const char *phrase)
{
	bool first = true;
	size_t at = 0;

	for (;;) {
		const char *star = strchr(phrase, '*');
		struct ph_str part = { phrase, star != NULL ? (size_t)(star - phrase) : strlen(phrase) };

		if (part.len != 0) {
			at = find_part(text, at, part, first, star == NULL);
			if (at == SIZE_MAX)
				return false;
			at += part.len;
		}
		if (star == NULL)
			return true;
		first = false;
		phrase = star + 1;
	}
}

static bool
has_words(const char *const *words, struct ph_str text)
{
	if (words == NULL)
		return true;
	for (; *words != NULL; words++)
		if (has_phrase(text, *words))
			return true;
	return false;
}

/* ---- rows ------------------------------------------------------------------------------------ */

const struct ph__hint_row *
ph__hint_find(const struct ph_error *err, const char *host, uint16_t port, struct ph_str reply,
              const struct ph_allocator *mem)
{
	char readable[PH__HINT_TEXT];
	struct ph__buf b = { .mem = mem, .p = readable, .cap = sizeof readable,
	                     .max = sizeof readable - 1 }; /* has room for its maximum: never moves */

	readable[0] = '\0';
	ph__to_utf8(&b, reply);
	for (size_t i = 0; i < ph__hint_row_count; i++) {
		const struct ph__hint_row *row = &ph__hint_rows[i];

		if (is_about(row, err) && has_code(row->codes, err->reply) &&
		    has_enhanced(row->enhanced, err->enhanced) && has_port(row->ports, port) &&
		    has_host(row->hosts, host != NULL ? host : "") &&
		    has_words(row->words, ph__buf_str(&b)))
			return row;
	}
	return NULL;
}

/* {host}, {port}, {hint}. */
static void
add_name(struct ph__buf *out, struct ph_str name, const struct ph_error *err, const char *host,
         uint16_t port)
{
	if (ph__str_eq(name, ph__str("host")))
		ph__escape(out, ph__str(host), false);
	else if (ph__str_eq(name, ph__str("port")))
		ph__buf_add_uint(out, port);
	else
		ph__buf_add_str(out, err->hint);
}

void
ph__hint_add(struct ph_error *err, const char *host, uint16_t port, struct ph_str reply,
             const struct ph_allocator *mem)
{
	const struct ph__hint_row *row;
	char text[sizeof err->hint];
	struct ph__buf out = { .mem = mem, .p = text, .cap = sizeof text, .max = sizeof text - 1 };
	const char *p, *open;

	if (err->code == PH_OK || (row = ph__hint_find(err, host, port, reply, mem)) == NULL)
		return;
	if (row->causes == 0 && row->words == NULL && err->hint[0] != '\0')
		return;
	text[0] = '\0';
	for (p = row->hint; (open = strchr(p, '{')) != NULL; ) {
		size_t n = strcspn(open, "}");

		ph__buf_add(&out, p, (size_t)(open - p));
		add_name(&out, (struct ph_str){ open + 1, n - 1 }, err, host != NULL ? host : "", port);
		p = open + n + (open[n] == '}');
	}
	ph__buf_add_str(&out, p);
	ph__hint(err, "%s", text);
}
