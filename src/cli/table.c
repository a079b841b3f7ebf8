/* SPDX-License-Identifier: MIT */
/* Tables. See table.h. Widths are counted in characters of UTF-8: each is taken for one column wide. */
#include "cli/table.h"

#include <stdarg.h>
#include <string.h>
#include "base/escape.h"

#define GAP 2 /* blanks between columns */

void
ph__table_init(struct ph__table *t, const struct ph__table_column *columns)
{
	*t = (struct ph__table){ .columns = columns };
	while (t->column_count < PH__TABLE_COLUMNS && columns[t->column_count].heading != NULL)
		t->column_count++;
	ph__arena_init(&t->arena, &ph__libc_memory);
}

void
ph__table_done(struct ph__table *t)
{
	ph__free(&ph__libc_memory, t->cells);
	ph__arena_done(&t->arena);
}

static bool
make_room(struct ph__table *t)
{
	size_t cap = t->cap != 0 ? 2 * t->cap : 64;
	const char **p;

	if (t->count < t->cap)
		return true;
	if ((p = ph__realloc(&ph__libc_memory, t->cells, cap * sizeof *p)) == NULL)
		return false;
	t->cells = p;
	t->cap = cap;
	return true;
}

void
ph__table_add(struct ph__table *t, struct ph_str text)
{
	struct ph__buf safe;
	const char *cell = NULL;

	ph__buf_init(&safe, &ph__libc_memory, 4 * text.len + 1);
	if (ph__escape(&safe, text, false) && make_room(t))
		cell = ph__arena_strndup(&t->arena, ph__buf_cstr(&safe), safe.len);
	ph__buf_done(&safe);
	if (cell != NULL)
		t->cells[t->count++] = cell;
	else
		t->failed = true;
}

void
ph__table_addf(struct ph__table *t, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	ph__table_add(t, ph__str(text));
}

static size_t
characters(struct ph_str s)
{
	size_t n = 0;

	for (size_t i = 0; i < s.len; i++)
		n += ((unsigned char)s.ptr[i] & 0xc0) != 0x80;
	return n;
}

/* The octets of the first n characters. */
static size_t
octets_of(struct ph_str s, size_t n)
{
	size_t i = 0;

	while (i < s.len && (n != 0 || ((unsigned char)s.ptr[i] & 0xc0) == 0x80))
		n -= ((unsigned char)s.ptr[i++] & 0xc0) != 0x80;
	return i;
}

/* Cuts what fits into `width` characters off the text: whole words, if there is a blank to cut at. */
static struct ph_str
cut_line(struct ph_str *rest, size_t width)
{
	struct ph_str line = *rest;
	const char *blank;

	if (characters(line) > width) {
		line.len = octets_of(line, width);
		if (line.ptr[line.len] != ' ' && (blank = memrchr(line.ptr, ' ', line.len)) != NULL &&
		    blank != line.ptr)
			line.len = (size_t)(blank - line.ptr);
	}
	rest->ptr += line.len;
	rest->len -= line.len;
	*rest = ph__str_trim(*rest);
	return line;
}

static void
put_row(const struct ph__table *t, const size_t *widths, const char *const *cells, FILE *to,
        int indent)
{
	struct ph_str rest[PH__TABLE_COLUMNS];
	bool more = true;

	for (size_t i = 0; i < t->column_count; i++)
		rest[i] = ph__str(cells[i]);
	while (more) {
		size_t pending = (size_t)indent; /* blanks, written only before something else */

		more = false;
		for (size_t i = 0; i < t->column_count; i++) {
			struct ph_str line = cut_line(&rest[i], widths[i]);
			size_t fill = widths[i] - characters(line);
			bool right = t->columns[i].right;

			if (line.len != 0)
				fprintf(to, "%*s%.*s", (int)(pending + (right ? fill : 0)), "", (int)line.len,
				        line.ptr);
			pending = (line.len != 0 ? (right ? 0 : fill) : pending + widths[i]) + GAP;
			more |= rest[i].len != 0;
		}
		fputc('\n', to);
	}
}

void
ph__table_print(const struct ph__table *t, FILE *to, int indent)
{
	const char *headings[PH__TABLE_COLUMNS];
	size_t widths[PH__TABLE_COLUMNS];

	if (t->failed) {
		fprintf(to, "%*s(there is no memory for this table)\n", indent, "");
		return;
	}
	for (size_t i = 0; i < t->column_count; i++) {
		size_t max = t->columns[i].max;

		headings[i] = t->columns[i].heading;
		widths[i] = characters(ph__str(headings[i]));
		for (size_t k = i; k < t->count; k += t->column_count)
			if (characters(ph__str(t->cells[k])) > widths[i])
				widths[i] = characters(ph__str(t->cells[k]));
		if (max != 0 && widths[i] > max)
			widths[i] = max;
	}
	put_row(t, widths, headings, to, indent);
	for (size_t k = 0; k + t->column_count <= t->count; k += t->column_count)
		put_row(t, widths, t->cells + k, to, indent);
}

void
ph__put_wrapped(FILE *to, struct ph_str text, int indent, size_t width)
{
	struct ph__buf safe;
	struct ph_str rest, line;

	ph__buf_init(&safe, &ph__libc_memory, 4 * text.len + 1);
	ph__escape(&safe, text, false);
	rest = ph__buf_str(&safe);
	line = cut_line(&rest, width);
	fwrite(line.ptr, 1, line.len, to);
	while (rest.len != 0) {
		line = cut_line(&rest, width);
		fprintf(to, "\n%*s%.*s", indent, "", (int)line.len, line.ptr);
	}
	ph__buf_done(&safe);
}
