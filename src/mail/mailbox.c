/* SPDX-License-Identifier: MIT */
/* Parser of mailbox lists. See mailbox.h.
 *
 *   list     = [item] *( "," [item] )
 *   item     = mailbox / group
 *   group    = phrase ":" [mailbox] *( "," [mailbox] ) ";"
 *   mailbox  = addr-spec / [phrase] "<" [route] addr-spec ">"
 *   route    = *( "," / "@" domain ) ":"                   obsolete; dropped (RFC 5321 §4.1.1.3)
 *   addr-spec= words [ "@" domain ]                        words joined by dots
 *   phrase   = *word                                       dots allowed (obs-phrase)
 *   word     = atom / quoted-string
 *
 * Comments and folding white space may stand between any two of these and are dropped. One pass,
 * every octet looked at a fixed number of times; nested comments are counted, not recursed into.
 * What could mean two things is refused: an unquoted @ in a name, a missing comma, a semicolon as
 * separator. A group without its semicolon is accepted when it is empty ("undisclosed-recipients:",
 * seen in the wild). Octets above 127 are atext; addresses must be UTF-8, names are the reader's
 * concern: a header in Latin-1 does not hide its addresses. */
#include "mail/mailbox.h"

#include "base/bounds.h"
#include "base/error.h"
#include "mail/address.h"

struct parser {
	struct ph__mailboxes *list;
	struct ph_str in;
	size_t pos;
	const char *where;
	struct ph_error *err;
	struct ph__buf phrase; /* words joined by a space, unquoted */
	struct ph__buf local;  /* the same words as a local-part: joined, unquoted */
	struct ph__buf domain;
	size_t words;
	bool quoted; /* one of them was a quoted-string */
	bool dot;    /* the last one was an atom with a dot at its end */
	bool apart;  /* two of them stood side by side without a dot: a name, no local-part */
	bool in_group;
};

static enum ph_code
refuse(const struct parser *p, const char *what)
{
	size_t from = p->pos < p->in.len ? p->pos : p->in.len;
	size_t n = p->in.len - from;

	if (n == 0)
		return ph__fail(p->err, PH_EINPUT, PH_STAGE_PREPARE, PH_CAUSE_ARGUMENT,
		                "%s: %s at the end", p->where, what);
	return ph__fail(p->err, PH_EINPUT, PH_STAGE_PREPARE, PH_CAUSE_ARGUMENT,
	                "%s: %s at '%.*s'%s", p->where, what, n < 40 ? (int)n : 40,
	                p->in.ptr + from, n > 40 ? "..." : "");
}

/* The octet at pos; NUL at the end. A NUL in the text fits no rule and so is refused anywhere. */
static char
peek(const struct parser *p)
{
	return p->pos < p->in.len ? p->in.ptr[p->pos] : '\0';
}

static bool
at_end(const struct parser *p)
{
	return p->pos >= p->in.len;
}

/* Length of white space at i: a space, a tab, or a line end that folds (RFC 5322 §2.2.3). */
static size_t
white_at(struct ph_str s, size_t i)
{
	size_t n = 0;

	if (i >= s.len)
		return 0;
	if (s.ptr[i] == ' ' || s.ptr[i] == '\t')
		return 1;
	if (s.ptr[i] == '\r')
		n++;
	if (i + n < s.len && s.ptr[i + n] == '\n')
		n++;
	if (n != 0 && i + n < s.len && (s.ptr[i + n] == ' ' || s.ptr[i + n] == '\t'))
		return n;
	return 0;
}

static enum ph_code
skip_comment(struct parser *p)
{
	size_t depth = 0;

	for (; !at_end(p); p->pos++) {
		char c = peek(p);

		if (c == '\\') {
			p->pos++;
		} else if (c == '(') {
			depth++;
		} else if (c == ')' && --depth == 0) {
			p->pos++;
			return PH_OK;
		}
	}
	p->pos = p->in.len;
	return refuse(p, "a comment does not end");
}

static enum ph_code
skip_blank(struct parser *p)
{
	for (;;) {
		size_t n = white_at(p->in, p->pos);
		enum ph_code rc;

		p->pos += n;
		if (n != 0)
			continue;
		if (peek(p) != '(')
			return PH_OK;
		if ((rc = skip_comment(p)) != PH_OK)
			return rc;
	}
}

static struct ph_str
take_atom(struct parser *p)
{
	size_t from = p->pos;

	while (!at_end(p) && (ph__is_atext(peek(p)) || peek(p) == '.'))
		p->pos++;
	return (struct ph_str){ p->in.ptr + from, p->pos - from };
}

/* Memory first: a text that was not kept whole cannot be judged. */
static enum ph_code
kept(const struct parser *p)
{
	if (ph__buf_ok(&p->phrase) && ph__buf_ok(&p->local) && ph__buf_ok(&p->domain))
		return PH_OK;
	return ph__fail_nomem(p->err, PH_STAGE_PREPARE);
}

/* The content of a quoted-string to both buffers, without quoted-pairs and folds. */
static enum ph_code
take_quoted(struct parser *p)
{
	for (p->pos++; peek(p) != '"'; p->pos++) {
		size_t fold = white_at(p->in, p->pos);
		char c;

		if (fold > 0 && peek(p) != ' ' && peek(p) != '\t')
			p->pos += fold;
		else if (peek(p) == '\\')
			p->pos++;
		if ((c = peek(p)) == '\r' || c == '\n' || c == '\0')
			return refuse(p, "a quoted string does not end");
		ph__buf_add_char(&p->phrase, c);
		ph__buf_add_char(&p->local, c);
	}
	p->pos++;
	return kept(p);
}

static bool
ends_in_dot(struct ph_str s)
{
	return s.len != 0 && s.ptr[s.len - 1] == '.';
}

static enum ph_code
take_word(struct parser *p)
{
	struct ph_str atom;

	p->apart = p->apart || (p->words != 0 && peek(p) != '.' && !p->dot);
	if (p->words++ != 0)
		ph__buf_add_char(&p->phrase, ' ');
	if (peek(p) == '"') {
		p->quoted = true;
		p->dot = false;
		return take_quoted(p);
	}
	atom = take_atom(p);
	p->dot = ends_in_dot(atom);
	ph__buf_add(&p->phrase, atom.ptr, atom.len);
	ph__buf_add(&p->local, atom.ptr, atom.len);
	return kept(p);
}

/* All words that stand here. */
static enum ph_code
take_words(struct parser *p)
{
	enum ph_code rc = PH_OK;

	p->words = 0;
	p->quoted = p->apart = p->dot = false;
	ph__buf_reset(&p->phrase);
	ph__buf_reset(&p->local);
	while (rc == PH_OK && (peek(p) == '"' || peek(p) == '.' || ph__is_atext(peek(p))))
		if ((rc = take_word(p)) == PH_OK)
			rc = skip_blank(p);
	return rc;
}

/* A domain or literal behind an @, to p->domain; white space around its dots is obsolete syntax. */
static enum ph_code
take_domain(struct parser *p)
{
	enum ph_code rc = skip_blank(p);

	ph__buf_reset(&p->domain);
	if (rc == PH_OK && peek(p) == '[') {
		size_t from = p->pos;

		while (!at_end(p) && peek(p) != ']')
			p->pos++;
		if (at_end(p))
			return refuse(p, "an address literal does not end");
		p->pos++;
		ph__buf_add(&p->domain, p->in.ptr + from, p->pos - from);
		return (rc = kept(p)) != PH_OK ? rc : skip_blank(p);
	}
	while (rc == PH_OK) {
		bool joined = p->domain.len == 0 || peek(p) == '.' ||
		              ends_in_dot(ph__buf_str(&p->domain));
		struct ph_str atom = take_atom(p);

		if (atom.len == 0)
			break;
		if (!joined) {
			p->pos -= atom.len;
			return refuse(p, "a comma is missing");
		}
		ph__buf_add(&p->domain, atom.ptr, atom.len);
		if ((rc = kept(p)) == PH_OK)
			rc = skip_blank(p);
	}
	return rc;
}

static struct ph__mailbox *
append(struct parser *p)
{
	struct ph__mailboxes *list = p->list;

	if (list->count == list->cap) {
		size_t cap = list->cap != 0 ? list->cap * 2 : 4;
		struct ph__mailbox *items = ph__realloc(list->arena.mem, list->items,
		                                        cap * sizeof *items);

		if (items == NULL)
			return NULL;
		list->items = items;
		list->cap = cap;
	}
	list->items[list->count] = (struct ph__mailbox){ .kind = PH__MAILBOX };
	return &list->items[list->count++];
}

static bool
keep(struct parser *p, const struct ph__buf *b, struct ph_str *ret)
{
	*ret = (struct ph_str){ ph__arena_strndup(&p->list->arena, ph__buf_cstr(b), b->len),
		                b->len };
	return ret->ptr != NULL;
}

static enum ph_code
add_item(struct parser *p, enum ph__mailbox_kind kind, const struct ph__buf *name, bool encoded,
         const struct ph__buf *address)
{
	struct ph__mailbox *m;

	if (p->list->count >= PH__RECIPIENTS_MAX)
		return ph__fail(p->err, PH_EINPUT, PH_STAGE_PREPARE, PH_CAUSE_LIMIT,
		                "%s: over %d addresses", p->where, PH__RECIPIENTS_MAX);
	if ((m = append(p)) == NULL || (name != NULL && !keep(p, name, &m->name)) ||
	    (address != NULL && !keep(p, address, &m->address)))
		return ph__fail_nomem(p->err, PH_STAGE_PREPARE);
	m->kind = kind;
	m->encoded = encoded;
	return PH_OK;
}

static bool
is_dot_atom(struct ph_str s)
{
	bool dot = true;

	for (size_t i = 0; i < s.len; i++) {
		if (s.ptr[i] == '.' ? dot : !ph__is_atext(s.ptr[i]))
			return false;
		dot = s.ptr[i] == '.';
	}
	return !dot;
}

/* The address of p->local and p->domain, with the least quoting (RFC 5321 §4.1.2). */
static bool
build_address(const struct parser *p, bool has_domain, struct ph__buf *out)
{
	struct ph_str local = ph__buf_str(&p->local);

	if (p->quoted && !is_dot_atom(local)) {
		ph__buf_add_char(out, '"');
		for (size_t i = 0; i < local.len; i++) {
			if (local.ptr[i] == '"' || local.ptr[i] == '\\')
				ph__buf_add_char(out, '\\');
			ph__buf_add_char(out, local.ptr[i]);
		}
		ph__buf_add_char(out, '"');
	} else {
		ph__buf_add(out, local.ptr, local.len);
	}
	if (has_domain) {
		ph__buf_add_char(out, '@');
		ph__buf_add(out, ph__buf_cstr(&p->domain), p->domain.len);
	}
	return ph__buf_ok(out);
}

/* The words were a local-part; what follows is its domain, if any. */
static enum ph_code
take_address(struct parser *p, const struct ph__buf *name, bool encoded)
{
	bool has_domain = peek(p) == '@';
	struct ph__buf address;
	enum ph_code rc;

	if (p->words == 0)
		return refuse(p, "an address is missing");
	if (p->apart)
		return refuse(p, "a name without an address, or a comma is missing");
	if (has_domain) {
		p->pos++;
		if ((rc = take_domain(p)) != PH_OK)
			return rc;
	}
	ph__buf_init(&address, p->list->arena.mem, SIZE_MAX / 8);
	if (!build_address(p, has_domain, &address))
		rc = ph__fail_nomem(p->err, PH_STAGE_PREPARE);
	else if ((rc = ph__address_check(ph__buf_str(&address), NULL, p->err)) == PH_OK)
		rc = add_item(p, PH__MAILBOX, name, encoded, &address);
	ph__buf_done(&address);
	return rc;
}

static enum ph_code
skip_route(struct parser *p)
{
	enum ph_code rc = PH_OK;

	while (rc == PH_OK && (peek(p) == '@' || peek(p) == ',')) {
		bool domain = peek(p) == '@';

		p->pos++;
		rc = domain ? take_domain(p) : skip_blank(p);
	}
	if (rc != PH_OK)
		return rc;
	if (peek(p) != ':')
		return refuse(p, "a source route does not end in a colon");
	p->pos++;
	return skip_blank(p);
}

/* `=?` and `?=` in an unquoted name: somebody has encoded it already. */
static bool
has_encoded_word(const struct parser *p)
{
	const char *open = p->quoted ? NULL
	                             : memmem(ph__buf_cstr(&p->phrase), p->phrase.len, "=?", 2);

	return open != NULL && strstr(open + 2, "?=") != NULL &&
	       ph__str_is_ascii(ph__buf_str(&p->phrase));
}

static enum ph_code
take_angle(struct parser *p)
{
	struct ph__buf name = p->phrase; /* taken away: the address has words as well */
	bool encoded = has_encoded_word(p);
	enum ph_code rc;

	ph__buf_init(&p->phrase, p->list->arena.mem, SIZE_MAX / 8);
	p->pos++;
	rc = skip_blank(p);
	if (rc == PH_OK && (peek(p) == '@' || peek(p) == ','))
		rc = skip_route(p);
	if (rc == PH_OK)
		rc = take_words(p);
	if (rc == PH_OK)
		rc = take_address(p, &name, encoded);
	if (rc == PH_OK && peek(p) != '>')
		rc = refuse(p, "a closing angle bracket is missing");
	ph__buf_done(&name);
	if (rc != PH_OK)
		return rc;
	p->pos++;
	return skip_blank(p);
}

static enum ph_code
open_group(struct parser *p)
{
	if (p->in_group)
		return refuse(p, "a group inside a group");
	if (p->phrase.len == 0)
		return refuse(p, "a group without a name");
	p->pos++;
	p->in_group = true;
	return add_item(p, PH__GROUP_START, &p->phrase, has_encoded_word(p), NULL);
}

static enum ph_code
close_group(struct parser *p)
{
	enum ph_code rc;

	if (!p->in_group) {
		rc = refuse(p, "a semicolon outside a group");
		ph__hint(p->err, "part addresses by commas");
		return rc;
	}
	p->pos += !at_end(p);
	p->in_group = false;
	if ((rc = add_item(p, PH__GROUP_END, NULL, false, NULL)) != PH_OK ||
	    (rc = skip_blank(p)) != PH_OK)
		return rc;
	return at_end(p) || peek(p) == ',' ? PH_OK : refuse(p, "a comma is missing");
}

static enum ph_code
take_item(struct parser *p)
{
	enum ph_code rc = take_words(p);

	if (rc != PH_OK)
		return rc;
	if (peek(p) == ':')
		return open_group(p);
	rc = peek(p) == '<' ? take_angle(p) : take_address(p, NULL, false);
	if (rc != PH_OK)
		return rc;
	return at_end(p) || peek(p) == ',' || peek(p) == ';' ? PH_OK
	                                                     : refuse(p, "a comma is missing");
}

static enum ph_code
take_list(struct parser *p)
{
	enum ph_code rc;

	while ((rc = skip_blank(p)) == PH_OK && !at_end(p)) {
		if (peek(p) == ',')
			p->pos++;
		else if ((rc = peek(p) == ';' ? close_group(p) : take_item(p)) != PH_OK)
			return rc;
	}
	if (rc != PH_OK || !p->in_group)
		return rc;
	if (p->list->items[p->list->count - 1].kind == PH__GROUP_START)
		return close_group(p);
	return refuse(p, "a group does not end in a semicolon");
}

void
ph__mailboxes_init(struct ph__mailboxes *list, const struct ph_allocator *mem)
{
	*list = (struct ph__mailboxes){ .items = NULL };
	ph__arena_init(&list->arena, mem);
}

void
ph__mailboxes_done(struct ph__mailboxes *list)
{
	ph__free(list->arena.mem, list->items);
	list->items = NULL;
	list->count = list->cap = 0;
	ph__arena_done(&list->arena);
}

enum ph_code
ph__mailboxes_parse(struct ph__mailboxes *list, struct ph_str text, const char *where,
                    struct ph_error *err)
{
	struct parser p = { .list = list, .in = text, .where = where, .err = err };
	size_t before = list->count;
	enum ph_code rc;

	ph__buf_init(&p.phrase, list->arena.mem, SIZE_MAX / 8);
	ph__buf_init(&p.local, list->arena.mem, SIZE_MAX / 8);
	ph__buf_init(&p.domain, list->arena.mem, SIZE_MAX / 8);
	rc = take_list(&p);
	ph__buf_done(&p.phrase);
	ph__buf_done(&p.local);
	ph__buf_done(&p.domain);
	if (rc != PH_OK)
		list->count = before;
	return rc;
}
