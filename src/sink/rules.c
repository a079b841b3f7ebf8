/* SPDX-License-Identifier: MIT */
/* Faults by rule: the list, which rule an event meets, and what it makes of a reply. See rules.h.
 *
 * Rules are tried in order. One that does not fit in stage or expression is not met; one that is met is
 * counted, and then its count and its chance decide. So `rcpt 1 450` and, behind it, `rcpt 550` mean: the
 * first is deferred, all others are refused.
 *
 * Chance is splitmix64, one state a connection, begun from the seed and the connection's number: what
 * happens on other connections meanwhile changes nothing. */
#include "sink/rules.h"

#include <stdio.h>

#include "base/bounds.h"
#include "base/error.h"

#define GARBAGE 64

/* ---- the list */

void
ph__rules_init(struct ph__rules *rs, const struct ph_allocator *mem, uint64_t seed)
{
	*rs = (struct ph__rules){ .mem = mem, .seed = seed };
	ph__arena_init(&rs->arena, mem);
	ph__buf_init(&rs->argument, mem, 2 * PH__AUTH_LINE_MAX);
}

static void
forget(struct ph__rule *r)
{
	if (r->has_regex)
		regfree(&r->regex);
	r->has_regex = false;
}

void
ph__rules_done(struct ph__rules *rs)
{
	for (size_t i = 0; i < rs->count; i++)
		forget(&rs->rows[i]);
	ph__free(rs->mem, rs->rows);
	ph__free(rs->mem, rs->counted);
	ph__buf_done(&rs->argument);
	ph__arena_done(&rs->arena);
	rs->rows = NULL;
	rs->counted = NULL;
	rs->count = rs->cap = rs->counted_len = rs->counted_cap = 0;
}

static bool
grow(struct ph__rules *rs)
{
	size_t cap = rs->cap != 0 ? 2 * rs->cap : 8;
	struct ph__rule *rows;

	if (rs->count < rs->cap)
		return true;
	if ((rows = ph__realloc(rs->mem, rs->rows, cap * sizeof *rows)) == NULL)
		return false;
	rs->rows = rows;
	rs->cap = cap;
	return true;
}

enum ph_code
ph__rules_add(struct ph__rules *rs, const char *where, struct ph_str rule, struct ph_error *err)
{
	struct ph__rule *r;
	char *text;
	enum ph_code rc;

	if (rs->count == PH__SINK_RULES)
		return ph__fail(err, PH_EUSAGE, PH_STAGE_PREPARE, PH_CAUSE_LIMIT, "%s: more than %d rules",
		                where, PH__SINK_RULES);
	for (size_t i = 0; i < rule.len; i++)
		if (ph__is_control(rule.ptr[i]) && rule.ptr[i] != '\t')
			return ph__fail(err, PH_EUSAGE, PH_STAGE_PREPARE, PH_CAUSE_ARGUMENT,
		                        "%s: a control character in the rule; write \\r, \\n or \\xNN", where);
	text = ph__arena_strndup(&rs->arena, rule.ptr, rule.len);
	if (text == NULL || !grow(rs))
		return ph__fail_nomem(err, PH_STAGE_PREPARE);
	r = &rs->rows[rs->count];
	if ((rc = ph__rule_parse(rs, where, text, r, err)) < 0)
		forget(r);
	else
		rs->count++;
	return rc;
}

enum ph_code
ph__rules_add_lines(struct ph__rules *rs, const char *file, struct ph_str text, struct ph_error *err)
{
	char where[300];
	enum ph_code rc = PH_OK;

	for (unsigned number = 1; text.len != 0 && rc == PH_OK; number++) {
		struct ph_str line = ph__str_trim(ph__str_line(&text));

		if (line.len == 0 || *line.ptr == '#')
			continue;
		snprintf(where, sizeof where, "%s, line %u", file, number);
		rc = ph__rules_add(rs, where, line, err);
	}
	return rc;
}

bool
ph__rule_is_plain(const struct ph__rule *r)
{
	return r->say == PH__RULE_SAY_REPLY && r->end == PH__RULE_GO_ON && r->delay_max == 0 &&
	       r->piece == 0 && r->length == 0 && r->wrong_code == 0 && r->inject.len == 0 &&
	       r->late.ptr == NULL;
}

/* ---- chance */

static uint64_t
mix(uint64_t z)
{
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

static uint64_t
draw(struct ph__rule_peer *p)
{
	return mix(p->random += 0x9e3779b97f4a7c15u);
}

bool
ph__rule_peer_init(const struct ph__rules *rs, struct ph__rule_peer *p, uint64_t number)
{
	*p = (struct ph__rule_peer){ .random = mix(mix(rs->seed + 1) + number) };
	if (rs->count == 0)
		return true;
	p->connection = ph__alloc0(rs->mem, 2 * rs->count * sizeof *p->connection);
	p->message = p->connection != NULL ? p->connection + rs->count : NULL;
	return p->connection != NULL;
}

void
ph__rule_peer_done(const struct ph__rules *rs, struct ph__rule_peer *p)
{
	ph__free(rs->mem, p->connection);
	p->connection = p->message = NULL;
}

void
ph__rule_peer_next_message(const struct ph__rules *rs, struct ph__rule_peer *p)
{
	if (rs->count != 0)
		memset(p->message, 0, rs->count * sizeof *p->message);
}

/* ---- counting */

/* FNV-1a, spread; never 0. */
static uint64_t
hash(size_t rule, struct ph_str s)
{
	uint64_t h = 0xcbf29ce484222325u;

	for (size_t i = 0; i < s.len; i++)
		h = (h ^ (unsigned char)s.ptr[i]) * 0x100000001b3u;
	h = mix(h ^ mix(rule + 1));
	return h != 0 ? h : 1;
}

static struct ph__rule_counted *
slot(struct ph__rule_counted *table, size_t cap, uint64_t key)
{
	size_t i = key & (cap - 1);

	while (table[i].key != 0 && table[i].key != key)
		i = (i + 1) & (cap - 1);
	return &table[i];
}

static bool
grow_counted(struct ph__rules *rs)
{
	size_t cap = rs->counted_cap != 0 ? 2 * rs->counted_cap : 64;
	struct ph__rule_counted *table;

	if (2 * rs->counted_len < rs->counted_cap)
		return true;
	if (rs->counted_len >= PH__SINK_COUNTED ||
	    (table = ph__alloc0(rs->mem, cap * sizeof *table)) == NULL)
		return false;
	for (size_t i = 0; i < rs->counted_cap; i++)
		if (rs->counted[i].key != 0)
			*slot(table, cap, rs->counted[i].key) = rs->counted[i];
	ph__free(rs->mem, rs->counted);
	rs->counted = table;
	rs->counted_cap = cap;
	return true;
}

/* An argument for which there is no room counts as met often before. */
static uint64_t
count_argument(struct ph__rules *rs, size_t rule, struct ph_str argument)
{
	uint64_t key = hash(rule, argument);
	struct ph__rule_counted *c;

	if (!grow_counted(rs))
		return UINT64_MAX;
	c = slot(rs->counted, rs->counted_cap, key);
	rs->counted_len += c->key == 0;
	c->key = key;
	return ++c->n;
}

static bool
is_turn(struct ph__rules *rs, struct ph__rule_peer *p, size_t i, struct ph_str argument)
{
	struct ph__rule *r = &rs->rows[i];
	uint64_t n = ++r->met, c = ++p->connection[i], m = ++p->message[i];

	if (r->scope == PH__RULE_PER_CONNECTION)
		n = c;
	else if (r->scope == PH__RULE_PER_MESSAGE)
		n = m;
	else if (r->scope == PH__RULE_PER_ARGUMENT)
		n = count_argument(rs, i, argument);
	if (r->first != 0 && (n < r->first || n > r->last))
		return false;
	return r->percent == 0 || draw(p) % 100 < r->percent;
}

/* ---- matching */

static bool
is_command(enum ph__rule_stage s)
{
	return s != PH__RULE_CONNECT && s != PH__RULE_TLS && s != PH__RULE_BODY && s != PH__RULE_MESSAGE;
}

static bool
has_place(const struct ph__rule *r, const struct ph__rule_event *ev)
{
	if (r->stage == PH__RULE_BODY)
		return ev->stage == PH__RULE_BODY &&
		       (r->at == 0 ? ev->from == 0 : r->at > ev->from && r->at <= ev->to);
	return r->stage == ev->stage || (r->stage == PH__RULE_COMMAND && is_command(ev->stage));
}

/* What the expression is held against: the argument; for `hello` and `command` with its verb. DATA has no
 * argument of its own. */
static bool
fill_argument(struct ph__rules *rs, const struct ph__rule *r, const struct ph__rule_event *ev)
{
	bool with_verb = ev->verb != NULL && (r->stage == PH__RULE_HELLO || r->stage == PH__RULE_COMMAND);
	struct ph_str argument = ev->argument;

	ph__buf_reset(&rs->argument);
	if (with_verb) {
		ph__buf_add_str(&rs->argument, ev->verb);
		if (ev->stage == PH__RULE_DATA)
			argument.len = 0;
		if (argument.len != 0)
			ph__buf_add_char(&rs->argument, ' ');
	}
	return ph__buf_add(&rs->argument, argument.ptr, argument.len);
}

struct ph__rule *
ph__rules_match(struct ph__rules *rs, struct ph__rule_peer *p, const struct ph__rule_event *ev)
{
	for (size_t i = 0; i < rs->count; i++) {
		struct ph__rule *r = &rs->rows[i];

		if (!has_place(r, ev) || !fill_argument(rs, r, ev))
			continue;
		if (r->has_regex && regexec(&r->regex, ph__buf_cstr(&rs->argument), 0, NULL, 0) != 0)
			continue;
		if (!is_turn(rs, p, i, ph__buf_str(&rs->argument)))
			continue;
		r->fired++;
		return r;
	}
	return NULL;
}

uint64_t
ph__rule_delay(const struct ph__rule *r, struct ph__rule_peer *p)
{
	uint64_t span = r->delay_max - r->delay;

	return span == 0 ? r->delay : r->delay + draw(p) % (span + 1);
}

/* ---- what a rule makes of a reply */

/* A line that is no reply, in whatever way it is looked at: no digit, no line end inside. */
static void
add_garbage(struct ph__rule_peer *p, struct ph__buf *out)
{
	for (unsigned i = 0; i < GARBAGE; i++)
		ph__buf_add_char(out, (char)(0x80 | draw(p) >> 32));
	ph__buf_add(out, "\r\n", 2);
}

static void
add_code(struct ph__buf *out, uint16_t code, char behind)
{
	char s[4] = { (char)('0' + code / 100), (char)('0' + code / 10 % 10), (char)('0' + code % 10),
		      behind };

	ph__buf_add(out, s, sizeof s);
}

/* Continuation lines get the wrong code; one is put in front where there is none. */
static void
add_reply(const struct ph__rule *r, struct ph_str said, struct ph__buf *out)
{
	struct ph_str rest = said;
	size_t begun = out->len;

	while (rest.len > 4) {
		const char *lf = memchr(rest.ptr, '\n', rest.len);
		size_t n = lf != NULL ? (size_t)(lf + 1 - rest.ptr) : rest.len;
		bool last = n == rest.len;

		if (r->wrong_code != 0 && (!last || out->len == begun)) {
			add_code(out, r->wrong_code, '-');
			ph__buf_add(out, rest.ptr + 4, n - 4);
		}
		if (r->wrong_code == 0 || last)
			ph__buf_add(out, rest.ptr, n);
		rest = (struct ph_str){ rest.ptr + n, rest.len - n };
	}
}

/* The last line grows to `length` octets, line end included. */
static void
lengthen(const struct ph__rule *r, struct ph__buf *out)
{
	size_t end = out->len >= 2 ? out->len - 2 : 0, begin = end;

	while (begin > 0 && out->p[begin - 1] != '\n')
		begin--;
	ph__buf_cut(out, end);
	while (out->len - begin + 2 < r->length && ph__buf_add_char(out, 'x'))
		;
	ph__buf_add(out, "\r\n", 2);
}

void
ph__rule_dress(const struct ph__rule *r, struct ph__rule_peer *p, struct ph_str said,
               struct ph__buf *out)
{
	switch (r->say) {
	case PH__RULE_SAY_NOTHING:
		return;
	case PH__RULE_SAY_RAW:
		ph__buf_add(out, r->raw.ptr, r->raw.len);
		break;
	case PH__RULE_SAY_GARBAGE:
		add_garbage(p, out);
		break;
	case PH__RULE_SAY_ENDLESS:
		ph__buf_add(out, said.len >= 3 ? said.ptr : "250", 3);
		ph__buf_add_str(out, "-and so on\r\n");
		return;
	case PH__RULE_SAY_REPLY:
		add_reply(r, said, out);
		if (r->length != 0)
			lengthen(r, out);
	}
	ph__buf_add(out, r->inject.ptr, r->inject.len);
}
