/* SPDX-License-Identifier: MIT */
/* The writer of header fields. See header.h.
 *
 * Everything is refused at the door (check) or built from what passed it, so no control character
 * of a caller's can reach a line. Text goes out word by word. Words are parted by one space each,
 * which is where lines fold; further spaces belong to the word behind them, spaces at the very end
 * to the last word. Unfolding (RFC 5322 §2.2.3) therefore gives the text back octet by octet.
 *
 * Encoded-words (RFC 2047): decoders drop white space between two of them and keep it elsewhere. So
 * a run of neighbouring words that need encoding is encoded together with its inner spaces, and cut
 * into encoded-words between characters only. */
#include "mail/header.h"

#include "base/base64.h"
#include "base/bounds.h"
#include "base/error.h"
#include "mail/address.h"

#define WORD_HEAD   10 /* =?UTF-8?B? */
#define WORD_FRAME  12 /* with ?= */
#define CHARACTER_Q 12 /* one character of 4 octets in Q; more than it takes in B */

/* A field being written. */
struct field {
	struct ph__buf *out;
	size_t start;  /* where the field begins in out */
	size_t column; /* of the line under way */
	size_t width;  /* where lines end */
};

static enum ph_code
bad_value(struct ph_error *err, struct ph_str name, const char *what)
{
	return ph__fail(err, PH_EINPUT, PH_STAGE_PREPARE, PH_CAUSE_ARGUMENT,
	                "header field %.*s: %s", (int)name.len, name.ptr, what);
}

enum ph_code
ph__header_check_name(struct ph_str name, struct ph_error *err)
{
	bool good = name.len != 0 && name.len <= PH__HEADER_NAME_MAX;

	for (size_t i = 0; good && i < name.len; i++)
		good = name.ptr[i] > ' ' && name.ptr[i] <= '~' && name.ptr[i] != ':';
	if (good)
		return PH_OK;
	return ph__fail(
	    err, PH_EINPUT, PH_STAGE_PREPARE, PH_CAUSE_ARGUMENT,
	    "'%.*s' cannot be the name of a header field: 1 to %d printable ASCII characters "
	    "without colon and space can",
	    name.len < 80 ? (int)name.len : 80, name.ptr, PH__HEADER_NAME_MAX);
}

static enum ph_code
check_text(struct ph_str name, struct ph_str text, struct ph_error *err)
{
	enum ph_code rc = ph__header_check_name(name, err);

	if (rc != PH_OK)
		return rc;
	if (ph__str_has_control(text)) {
		bad_value(err, name, "a control character (line end, tab, NUL ...) could forge a header");
		ph__hint(err, "write it on one line; long ones are folded by themselves");
		return PH_EINPUT;
	}
	if (!ph__str_is_utf8(text)) {
		bad_value(err, name, "the text is not UTF-8");
		ph__hint(err, "convert it before: iconv -t UTF-8");
		return PH_EINPUT;
	}
	return PH_OK;
}

static struct field
begin(struct ph__buf *out, struct ph_str name, size_t width)
{
	struct field f = { .out = out, .start = out->len, .column = name.len + 1, .width = width };

	ph__buf_add(out, name.ptr, name.len);
	ph__buf_add_char(out, ':');
	return f;
}

static bool
has_long_line(struct ph_str s)
{
	size_t column = 0;

	for (size_t i = 0; i < s.len && column <= PH__LINE_MAX; i++)
		column = s.ptr[i] == '\r' || s.ptr[i] == '\n' ? 0 : column + 1;
	return column > PH__LINE_MAX;
}

/* The field's line end; or the field undone: no memory, a line too long, or what `rc` says. */
static enum ph_code
finish(struct field *f, struct ph_str name, enum ph_code rc, struct ph_error *err)
{
	struct ph__buf *out = f->out;

	ph__buf_add_str(out, "\r\n");
	if (rc == PH_OK && out->state == PH__BUF_NOMEM)
		rc = ph__fail_nomem(err, PH_STAGE_PREPARE);
	else if (rc == PH_OK && out->state == PH__BUF_FULL)
		rc = bad_value(err, name, "the header block is full");
	else if (rc == PH_OK &&
	         has_long_line((struct ph_str){ out->p + f->start, out->len - f->start }))
		rc = bad_value(err, name, "a line of over 998 octets that cannot be folded");
	if (rc != PH_OK)
		ph__buf_cut(out, f->start);
	return rc;
}

static void
put(struct field *f, const char *p, size_t n)
{
	ph__buf_add(f->out, p, n);
	f->column += n;
}

/* The space between two words; a folded one when the next `need` columns do not fit otherwise. */
static void
put_space(struct field *f, size_t need)
{
	if (f->column + 1 + need > f->width) {
		ph__buf_add_str(f->out, "\r\n");
		f->column = 0;
	}
	put(f, " ", 1);
}

/* A word behind its space. Behind the name and its colon no line is broken for the sake of plain
 * text: a first line without anything is legal and confuses readers. */
static void
put_word(struct field *f, struct ph_str word, bool first)
{
	if (first)
		put(f, " ", 1);
	else
		put_space(f, word.len);
	put(f, word.ptr, word.len);
}

/* Takes the next word off *rest, as described above. */
static struct ph_str
next_word(struct ph_str *rest)
{
	struct ph_str word = { rest->ptr, 0 };
	size_t end;

	while (word.len < rest->len && rest->ptr[word.len] == ' ')
		word.len++;
	while (word.len < rest->len && rest->ptr[word.len] != ' ')
		word.len++;
	for (end = word.len; end < rest->len && rest->ptr[end] == ' '; )
		end++;
	if (end == rest->len)
		word.len = end;
	end = word.len + (word.len < rest->len);
	rest->ptr += end;
	rest->len -= end;
	return word;
}

/* Something a reader would take for an encoded-word. */
static bool
looks_encoded(struct ph_str s)
{
	const char *open = memmem(s.ptr, s.len, "=?", 2);

	return open != NULL &&
	       memmem(open + 2, s.len - (size_t)(open + 2 - s.ptr), "?=", 2) != NULL;
}

/* Octets in Q. Only what RFC 2047 §5 (3) allows in a phrase stands for itself: right everywhere. */
static size_t
q_cost(char c)
{
	return ph__is_alnum(c) || c == ' ' || (c != '\0' && strchr("!*+-/", c) != NULL) ? 1 : 3;
}

static size_t
q_size(struct ph_str s)
{
	size_t n = 0;

	for (size_t i = 0; i < s.len; i++)
		n += q_cost(s.ptr[i]);
	return n;
}

static bool
q_is_shorter(struct ph_str s)
{
	return q_size(s) <= ph__base64_size(s.len, false);
}

/* How many octets of s, whole characters, fit in `room` columns. */
static size_t
encoded_fit(struct ph_str s, bool q, size_t room)
{
	size_t n = 0, used = 0;

	while (n < s.len) {
		uint32_t cp;
		struct ph_str rest = { s.ptr + n, s.len - n };
		struct ph_str one = { rest.ptr, ph__utf8_next(rest, &cp) };

		used = q ? used + q_size(one) : ph__base64_size(n + one.len, false);
		if (used > room)
			break;
		n += one.len;
	}
	return n;
}

static void
put_q(struct field *f, struct ph_str s)
{
	static const char hex[] = "0123456789ABCDEF";

	for (size_t i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)s.ptr[i];

		if (q_cost(s.ptr[i]) == 3)
			put(f, (char[3]){ '=', hex[c >> 4], hex[c & 15] }, 3);
		else
			put(f, c == ' ' ? "_" : &s.ptr[i], 1);
	}
}

/* A run as encoded-words, as many as it needs, each behind a space. */
static void
put_encoded(struct field *f, struct ph_str s)
{
	bool q = q_is_shorter(s);

	while (s.len != 0) {
		size_t n, room, before;

		put_space(f, WORD_FRAME + CHARACTER_Q);
		room = f->width - f->column < PH__ENCODED_WORD_MAX ? f->width - f->column
		                                                   : PH__ENCODED_WORD_MAX;
		n = encoded_fit(s, q, room - WORD_FRAME);
		put(f, q ? "=?UTF-8?Q?" : "=?UTF-8?B?", WORD_HEAD);
		before = f->out->len;
		if (q) {
			put_q(f, (struct ph_str){ s.ptr, n });
		} else {
			ph__base64_encode(f->out, s.ptr, n, false);
			f->column += f->out->len - before;
		}
		put(f, "?=", 2);
		s.ptr += n;
		s.len -= n;
	}
}

/* What decides for one text whether a word is encoded. */
struct wording {
	enum ph__header_text how;
	const char *text; /* its begin: a space there would be taken for the one behind the colon */
	size_t plain_max; /* a longer word would break the limit of a line */
};

static bool
needs_encoding(const struct wording *w, struct ph_str word)
{
	return !ph__str_is_ascii(word) || word.len > w->plain_max ||
	       (word.ptr == w->text && word.ptr[0] == ' ') || word.ptr[word.len - 1] == ' ' ||
	       (w->how == PH__HEADER_LITERAL && memmem(word.ptr, word.len, "=?", 2) != NULL);
}

static bool
any_needs_encoding(const struct wording *w, struct ph_str text)
{
	while (text.len != 0) {
		struct ph_str word = next_word(&text);

		if (needs_encoding(w, word) || looks_encoded(word))
			return true;
	}
	return false;
}

/* Puts the run that begins with `word`; *rest moves behind it. The space between it and an
 * encoded-word of the caller's would be dropped by decoders, so it is made part of the run. */
static void
put_run(struct field *f, const struct wording *w, struct ph_str word, bool after_encoded,
        struct ph_str *rest)
{
	struct ph_str run = word;

	while (rest->len != 0) {
		struct ph_str ahead = *rest, next = next_word(&ahead);

		if (!needs_encoding(w, next)) {
			run.len += looks_encoded(next);
			break;
		}
		run.len = (size_t)(next.ptr + next.len - run.ptr);
		*rest = ahead;
	}
	if (after_encoded) {
		run.ptr--; /* @UNSAFE: a word stands before this one */
		run.len++;
	}
	put_encoded(f, run);
}

enum ph_code
ph__header_add_text(struct ph__buf *out, struct ph_str name, struct ph_str text,
                    enum ph__header_text how, struct ph_error *err)
{
	struct wording w = { .how = how,
		             .text = text.ptr,
		             .plain_max = PH__LINE_MAX - 2 - name.len };
	enum ph_code rc = check_text(name, text, err);
	bool first = true, after_encoded = false;
	struct field f;

	if (rc != PH_OK)
		return rc;
	f = begin(out, name,
	          any_needs_encoding(&w, text) ? PH__ENCODED_LINE_MAX : PH__FOLD_COLUMNS);
	while (text.len != 0) {
		struct ph_str word = next_word(&text);

		if (needs_encoding(&w, word)) {
			put_run(&f, &w, word, after_encoded, &text);
			after_encoded = false;
		} else {
			put_word(&f, word, first);
			after_encoded = looks_encoded(word);
		}
		first = false;
	}
	return finish(&f, name, PH_OK, err);
}

enum ph_code
ph__header_add_structured(struct ph__buf *out, struct ph_str name, struct ph_str value,
                          struct ph_error *err)
{
	enum ph_code rc = check_text(name, value, err);
	struct field f;

	if (rc != PH_OK)
		return rc;
	if (!ph__str_is_ascii(value))
		return bad_value(err, name, "the value must be ASCII");
	f = begin(out, name, PH__FOLD_COLUMNS);
	for (bool first = true; value.len != 0; first = false)
		put_word(&f, next_word(&value), first);
	return finish(&f, name, PH_OK, err);
}

enum name_form { NAME_NONE, NAME_ATOMS, NAME_QUOTED, NAME_ENCODED };

/* How a display name must be written (RFC 5322 §3.2.5, RFC 2047 §5 (3)). Readers decode what looks
 * like an encoded-word even inside quotes, so such a name is encoded in earnest. */
static enum name_form
name_form(const struct ph__mailbox *m)
{
	struct ph_str rest = m->name;
	bool atoms = true;

	if (m->name.len == 0)
		return NAME_NONE;
	if (m->encoded)
		return NAME_ATOMS;
	if (!ph__str_is_ascii(m->name) || looks_encoded(m->name))
		return NAME_ENCODED;
	while (rest.len != 0) {
		struct ph_str word = next_word(&rest);

		/* Escaping may double it, and the widest address stands beside it. */
		if (word.len > PH__LINE_MAX / 4)
			return NAME_ENCODED;
		for (size_t i = 0; i < word.len; i++)
			atoms = atoms && ph__is_atext(word.ptr[i]);
	}
	return atoms ? NAME_ATOMS : NAME_QUOTED;
}

static size_t
quoted_size(struct ph_str s)
{
	size_t n = s.len;

	for (size_t i = 0; i < s.len; i++)
		n += s.ptr[i] == '"' || s.ptr[i] == '\\';
	return n;
}

static void
put_quoted(struct field *f, struct ph_str s)
{
	for (size_t i = 0; i < s.len; i++) {
		if (s.ptr[i] == '"' || s.ptr[i] == '\\')
			put(f, "\\", 1);
		put(f, &s.ptr[i], 1);
	}
}

/* A name in atoms or quotes; `more` columns must follow its last word on the same line. */
static void
put_plain_name(struct field *f, struct ph_str name, bool quoted, size_t more)
{
	bool first = true;

	while (name.len != 0) {
		struct ph_str word = next_word(&name);

		if (!first)
			put_space(f, (quoted ? quoted_size(word) : word.len) +
			                 (name.len == 0 ? quoted + more : 0));
		if (first && quoted)
			put(f, "\"", 1);
		if (quoted)
			put_quoted(f, word);
		else
			put(f, word.ptr, word.len);
		first = false;
	}
	if (quoted)
		put(f, "\"", 1);
}

/* Columns that a mailbox takes with its comma; its first piece when it does not fit on a line. */
static size_t
mailbox_columns(const struct field *f, const struct ph__mailbox *m, enum name_form form,
                size_t address)
{
	struct ph_str rest = m->name;
	size_t n = address + 1, name;

	if (form == NAME_NONE)
		return n;
	if (form == NAME_ENCODED)
		name = WORD_FRAME +
		       (q_is_shorter(rest) ? q_size(rest) : ph__base64_size(rest.len, false));
	else
		name = form == NAME_QUOTED ? quoted_size(rest) + 2 : rest.len;
	if (name + 3 + n < f->width)
		return name + 3 + n;
	return form == NAME_ENCODED ? 0 : next_word(&rest).len + 1;
}

/* One mailbox or group name, behind its space. */
static void
put_mailbox(struct field *f, const struct ph__mailbox *m, struct ph_str address, bool first)
{
	enum name_form form = name_form(m);
	size_t columns = mailbox_columns(f, m, form, address.len);

	/* An encoded name brings its own space; a line end before it is chosen here. */
	if (form == NAME_ENCODED) {
		if (!first && f->column + 1 + columns > f->width) {
			ph__buf_add_str(f->out, "\r\n");
			f->column = 0;
		}
		put_encoded(f, m->name);
	} else {
		if (first)
			put(f, " ", 1);
		else
			put_space(f, columns);
		if (form != NAME_NONE)
			put_plain_name(f, m->name, form == NAME_QUOTED, m->kind == PH__GROUP_START);
	}
	if (m->kind == PH__GROUP_START) {
		put(f, ":", 1);
	} else if (form == NAME_NONE) {
		put(f, address.ptr, address.len);
	} else {
		put_space(f, address.len + 3);
		put(f, "<", 1);
		put(f, address.ptr, address.len);
		put(f, ">", 1);
	}
}

static bool
any_encoded(const struct ph__mailboxes *list)
{
	for (size_t i = 0; i < list->count; i++)
		if (list->items[i].encoded || name_form(&list->items[i]) == NAME_ENCODED)
			return true;
	return false;
}

static enum ph_code
put_mailboxes(struct field *f, struct ph_str name, const struct ph__mailboxes *list,
              struct ph_error *err)
{
	struct ph__buf address;
	enum ph_code rc = PH_OK;
	bool comma = false;

	ph__buf_init(&address, f->out->mem, PH__PATH_MAX * 2);
	for (size_t i = 0; i < list->count && rc == PH_OK; i++) {
		const struct ph__mailbox *m = &list->items[i];

		if (m->kind == PH__GROUP_END) {
			put(f, ";", 1);
			comma = true;
			continue;
		}
		ph__buf_reset(&address);
		if ((rc = check_text(name, m->name, err)) != PH_OK ||
		    (m->kind == PH__MAILBOX &&
		     (rc = ph__address_to_ascii(&address, m->address, err)) != PH_OK))
			break;
		if (comma)
			put(f, ",", 1);
		put_mailbox(f, m, ph__buf_str(&address), i == 0);
		comma = m->kind == PH__MAILBOX;
	}
	ph__buf_done(&address);
	return rc;
}

enum ph_code
ph__header_add_mailboxes(struct ph__buf *out, struct ph_str name, const struct ph__mailboxes *list,
                         struct ph_error *err)
{
	enum ph_code rc = ph__header_check_name(name, err);
	struct field f;

	if (rc != PH_OK)
		return rc;
	if (list->count == 0)
		return ph__header_add_structured(out, name, ph__str("undisclosed-recipients:;"),
		                                 err);
	f = begin(out, name, any_encoded(list) ? PH__ENCODED_LINE_MAX : PH__FOLD_COLUMNS);
	rc = put_mailboxes(&f, name, list, err);
	return finish(&f, name, rc, err);
}
