/* SPDX-License-Identifier: MIT */
/* The extension table. See ext.h. Of a keyword that comes twice the later SIZE or LIMITS counts, and
 * AUTH lines add up. Lines that are no keyword are left out: banners have been seen there. */
#include "smtp/ext.h"

#include "base/bounds.h"
#include "base/calendar.h"

static void
parse_size(struct ph__extensions *e, struct ph_str parameter)
{
	uint64_t n;

	if (ph__str_to_uint(ph__str_word(&parameter), UINT64_MAX, &n))
		e->size = n;
}

static void
parse_limits(struct ph__extensions *e, struct ph_str parameter)
{
	struct ph_str word;

	while ((word = ph__str_word(&parameter)).len != 0) {
		struct ph_str name = ph__str_cut(&word, '=');
		uint64_t n;

		if (!ph__str_to_uint(word, 999999, &n) || n == 0)
			continue; /* RFC 9422 §4: one to six digits, not zero */
		if (ph__str_is(name, "MAILMAX"))
			e->mail_max = n;
		else if (ph__str_is(name, "RCPTMAX"))
			e->rcpt_max = n;
		else if (ph__str_is(name, "RCPTDOMAINMAX"))
			e->rcpt_domain_max = n;
	}
}

/* deliverby-param = min-by-time *( "," extension-token ) (RFC 2852 §3) */
static void
parse_deliverby(struct ph__extensions *e, struct ph_str parameter)
{
	struct ph_str word = ph__str_word(&parameter);
	uint64_t n;

	if (ph__str_to_uint(ph__str_cut(&word, ','), PH__SECONDS_MAX, &n))
		e->by_min = n;
}

/* max-future-release-interval SP max-future-release-date-time (RFC 4865 §3) */
static void
parse_futurerelease(struct ph__extensions *e, struct ph_str parameter)
{
	int64_t until;
	uint64_t n;

	if (ph__str_to_uint(ph__str_word(&parameter), PH__SECONDS_MAX, &n))
		e->hold_max = n;
	if (ph__date_parse_3339(ph__str_word(&parameter), &until))
		e->hold_until_max = until;
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
	{ "DELIVERBY",           PH__EXT_DELIVERBY,           parse_deliverby },
	{ "FUTURERELEASE",       PH__EXT_FUTURERELEASE,       parse_futurerelease },
	{ "MT-PRIORITY",         PH__EXT_MT_PRIORITY,         NULL },
	{ "REQUIRETLS",          PH__EXT_REQUIRETLS,          NULL },
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
	e->by_min = e->hold_max = 0;
	e->hold_until_max = 0;
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
	*keyword = ph__str_word(&line);
	while (line.len != 0 && *line.ptr == ' ')
		line.ptr++, line.len--;
	*parameter = line;
	if (keyword->len > 5 && ph__str_begins(*keyword, "AUTH=")) {
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
		if (!ph__str_is(keyword, table[i].keyword))
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
		while ((word = ph__str_word(&words)).len != 0)
			if (ph__str_is(word, mechanism))
				return true;
	}
	return false;
}
