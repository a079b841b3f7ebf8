/* SPDX-License-Identifier: MIT */
/* The extension table. See ext.h. Of a keyword that comes twice the later SIZE or LIMITS counts, and
 * AUTH lines add up. Lines that are no keyword are left out: banners have been seen there. */
#include "smtp/ext.h"

#include "base/bounds.h"

static struct ph_str
next_word(struct ph_str *s)
{
	struct ph_str word;

	while (s->len != 0 && *s->ptr == ' ')
		s->ptr++, s->len--;
	word.ptr = s->ptr;
	while (s->len != 0 && *s->ptr != ' ')
		s->ptr++, s->len--;
	word.len = (size_t)(s->ptr - word.ptr);
	return word;
}

static void
parse_size(struct ph__extensions *e, struct ph_str parameter)
{
	uint64_t n;

	if (ph__str_to_uint(next_word(&parameter), UINT64_MAX, &n))
		e->size = n;
}

static void
parse_limits(struct ph__extensions *e, struct ph_str parameter)
{
	struct ph_str word;

	while ((word = next_word(&parameter)).len != 0) {
		const char *eq = memchr(word.ptr, '=', word.len);
		struct ph_str name, value;
		uint64_t n;

		if (eq == NULL)
			continue;
		name = (struct ph_str){ word.ptr, (size_t)(eq - word.ptr) };
		value = (struct ph_str){ eq + 1, word.len - name.len - 1 };
		if (!ph__str_to_uint(value, 999999, &n) || n == 0)
			continue; /* RFC 9422 §4: one to six digits, not zero */
		if (ph__str_eq_nocase(name, ph__str("MAILMAX")))
			e->mail_max = n;
		else if (ph__str_eq_nocase(name, ph__str("RCPTMAX")))
			e->rcpt_max = n;
		else if (ph__str_eq_nocase(name, ph__str("RCPTDOMAINMAX")))
			e->rcpt_domain_max = n;
	}
}

static const struct {
	const char *keyword;
	enum ph__ext bit;
	void (*parse)(struct ph__extensions *e, struct ph_str parameter);
} table[] = {
	{ "PIPELINING",          PH__EXT_PIPELINING,          NULL },
	{ "SIZE",                PH__EXT_SIZE,                parse_size },
	{ "8BITMIME",            PH__EXT_8BITMIME,            NULL },
	{ "SMTPUTF8",            PH__EXT_SMTPUTF8,            NULL },
	{ "STARTTLS",            PH__EXT_STARTTLS,            NULL },
	{ "AUTH",                PH__EXT_AUTH,                NULL },
	{ "ENHANCEDSTATUSCODES", PH__EXT_ENHANCEDSTATUSCODES, NULL },
	{ "CHUNKING",            PH__EXT_CHUNKING,            NULL },
	{ "BINARYMIME",          PH__EXT_BINARYMIME,          NULL },
	{ "DSN",                 PH__EXT_DSN,                 NULL },
	{ "LIMITS",              PH__EXT_LIMITS,              parse_limits },
};

void
ph__ext_init(struct ph__extensions *e, const struct ph_allocator *mem)
{
	*e = (struct ph__extensions){ .bits = 0 };
	ph__arena_init(&e->arena, mem);
}

void
ph__ext_forget(struct ph__extensions *e)
{
	e->bits = 0;
	e->size = e->mail_max = e->rcpt_max = e->rcpt_domain_max = 0;
	e->list = NULL;
	e->count = 0;
	ph__arena_reset(&e->arena);
}

void
ph__ext_done(struct ph__extensions *e)
{
	ph__arena_done(&e->arena);
}

static bool
is_keyword(struct ph_str s)
{
	if (s.len == 0 || !ph__is_alnum(s.ptr[0]))
		return false;
	for (size_t i = 0; i < s.len; i++)
		if (!ph__is_alnum(s.ptr[i]) && s.ptr[i] != '-')
			return false;
	return true;
}

/* "AUTH=PLAIN LOGIN" is how servers of the last century spelled it, for clients of that time. */
static void
split_line(struct ph_str line, struct ph_str *keyword, struct ph_str *parameter)
{
	*keyword = next_word(&line);
	while (line.len != 0 && *line.ptr == ' ')
		line.ptr++, line.len--;
	*parameter = line;
	if (keyword->len > 5 && ph__str_eq_nocase((struct ph_str){ keyword->ptr, 5 }, ph__str("AUTH="))) {
		parameter->len += (size_t)(parameter->ptr - (keyword->ptr + 5));
		parameter->ptr = keyword->ptr + 5;
		keyword->len = 4;
	}
}

static bool
add_line(struct ph__extensions *e, struct ph_str line)
{
	struct ph_str keyword, parameter;
	char *k, *p;

	split_line(line, &keyword, &parameter);
	if (!is_keyword(keyword) || e->count == PH__EHLO_KEYWORDS_MAX)
		return true;
	k = ph__arena_strndup(&e->arena, keyword.ptr, keyword.len);
	p = ph__arena_strndup(&e->arena, parameter.ptr, parameter.len);
	if (k == NULL || p == NULL)
		return false;
	e->list[e->count].keyword = k;
	e->list[e->count].parameter = p;
	e->count++;
	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
		if (!ph__str_eq_nocase(keyword, ph__str(table[i].keyword)))
			continue;
		e->bits |= (unsigned)table[i].bit;
		if (table[i].parse != NULL)
			table[i].parse(e, parameter);
	}
	return true;
}

bool
ph__ext_parse(struct ph__extensions *e, struct ph_str text)
{
	const char *end = text.ptr + text.len, *p;

	ph__ext_forget(e);
	p = memchr(text.ptr, '\n', text.len);
	if (p == NULL)
		return true;
	e->list = ph__arena_alloc(&e->arena, PH__EHLO_KEYWORDS_MAX * sizeof *e->list);
	if (e->list == NULL)
		return false;
	while (p != NULL) {
		const char *from = p + 1, *lf = memchr(from, '\n', (size_t)(end - from));

		if (!add_line(e, (struct ph_str){ from, (size_t)((lf != NULL ? lf : end) - from) }))
			return false;
		p = lf;
	}
	return true;
}

bool
ph__ext_find(const struct ph__extensions *e, const char *keyword, const char **parameter)
{
	for (size_t i = 0; i < e->count; i++) {
		if (!ph__cstr_eq_nocase(e->list[i].keyword, keyword))
			continue;
		if (parameter != NULL)
			*parameter = e->list[i].parameter;
		return true;
	}
	return false;
}

bool
ph__ext_offers_mechanism(const struct ph__extensions *e, const char *mechanism)
{
	for (size_t i = 0; i < e->count; i++) {
		struct ph_str words = ph__str(e->list[i].parameter), word;

		if (!ph__cstr_eq_nocase(e->list[i].keyword, "AUTH"))
			continue;
		while ((word = next_word(&words)).len != 0)
			if (ph__str_eq_nocase(word, ph__str(mechanism)))
				return true;
	}
	return false;
}
