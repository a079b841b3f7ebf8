/* SPDX-License-Identifier: MIT */
/* One rule, from its text to a row. See rules.h for the grammar.
 *
 * The parser looks at one word at a time and keeps where it stands, so that each complaint can show the
 * rule with a mark under the place. What contradicts itself (two replies, an end behind a stall, a
 * certificate at RCPT) is refused here, so that whoever carries a rule out need not ask. */
#include <stdio.h>

#include "base/bounds.h"
#include "base/error.h"
#include "sink/rules.h"

#define CUT_PAUSE_MS 10  /* pieces without it would be joined on the way */
#define MARK_COLUMNS 100 /* of a rule that is quoted */

struct parser {
	struct ph__rules *rs;
	struct ph__rule  *r;
	const char *where;
	const char *text, *p;
	bool        counted;   /* a count was given */
	unsigned    given;     /* actions, by their row */
	struct ph_error *err;
};

/* ---- complaints */

/* UTF-8's further octets take no column. */
static size_t
columns(const char *p, const char *end)
{
	size_t n = 0;

	for (; p < end; p++)
		n += ((unsigned char)*p & 0xc0) != 0x80;
	return n;
}

/* The rule, and under it a mark at `at`. Of a long rule only what is near is shown. */
static enum ph_code
wrong(struct parser *q, const char *at, const char *what)
{
	const char *from = q->text, *dots = "";
	size_t n;

	if ((size_t)(at - from) > MARK_COLUMNS / 2) {
		for (from = at - MARK_COLUMNS / 2; ((unsigned char)*from & 0xc0) == 0x80; )
			from++;
		dots = "...";
	}
	n = strlen(from);
	for (n = n < MARK_COLUMNS ? n : MARK_COLUMNS; n != 0 && ((unsigned char)from[n] & 0xc0) == 0x80; )
		n--;
	return ph__fail(q->err, PH_EUSAGE, PH_STAGE_PREPARE, PH_CAUSE_ARGUMENT, "%s: %s\n  %s%.*s\n  %*s^",
	                q->where, what, dots, (int)n, from,
	                (int)(columns(from, at) + (*dots != '\0' ? 3 : 0)), "");
}

/* ---- words */

static void
skip_blanks(struct parser *q)
{
	while (ph__is_blank(*q->p))
		q->p++;
}

/* The next word, not yet taken; empty at the end. */
static struct ph_str
word(struct parser *q)
{
	size_t n = 0;

	skip_blanks(q);
	while (q->p[n] != '\0' && !ph__is_blank(q->p[n]))
		n++;
	return (struct ph_str){ q->p, n };
}

static bool
is(struct ph_str s, const char *text)
{
	return ph__str_eq(s, ph__str(text));
}

static size_t
digits(struct ph_str s)
{
	size_t n = 0;

	while (n < s.len && ph__is_digit(s.ptr[n]))
		n++;
	return n;
}

static struct ph_str
tail(struct ph_str s, size_t n)
{
	n = n < s.len ? n : s.len;
	return (struct ph_str){ s.ptr + n, s.len - n };
}

static bool
to_time(struct ph_str s, uint64_t *ms)
{
	static const struct { const char *unit; uint64_t ms; } units[] = {
		{ "ms", 1 }, { "s", 1000 }, { "m", 60000 } };
	size_t n = digits(s);

	for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
		if (!is(tail(s, n), units[i].unit))
			continue;
		if (!ph__str_to_uint((struct ph_str){ s.ptr, n }, PH__SINK_MS_PAUSE / units[i].ms, ms))
			return false;
		*ms *= units[i].ms;
		return true;
	}
	return false;
}

static bool
to_code(struct ph_str s, uint16_t *code)
{
	uint64_t n;

	if (s.len != 3 || !ph__str_to_uint(s, 599, &n) || n < 200)
		return false;
	*code = (uint16_t)n;
	return true;
}

static const char NOT_A_TIME[] = "that is no time; write 100ms, 2s or 1m (an hour at most)";

/* ---- texts */

static const char *
unescape(const char *p, char *c)
{
	static const char from[] = "rnt0\\\"", to[] = "\r\n\t\0\\\"";
	const char *at;
	int high, low;

	if (*p != '\\') {
		*c = *p;
		return p + 1;
	}
	if (p[1] == 'x' && (high = ph__hex_value(p[2])) >= 0 && (low = ph__hex_value(p[3])) >= 0) {
		*c = (char)(16 * high + low);
		return p + 4;
	}
	if (p[1] == '\0' || (at = strchr(from, p[1])) == NULL)
		return NULL;
	*c = to[at - from];
	return p + 2;
}

static const char *
text_end(const char *p)
{
	const char *end = p + strlen(p);

	while (end > p && ph__is_blank(end[-1]))
		end--;
	return end;
}

/* "in quotes", or all that is left. `reply`: only \n of all control characters. */
static enum ph_code
take_text(struct parser *q, bool reply, struct ph_str *ret)
{
	const char *p, *open, *end;
	size_t n = 0;
	bool quoted;
	char *to;

	skip_blanks(q);
	open = p = q->p;
	quoted = *p == '"';
	p += quoted;
	end = text_end(p);
	if ((to = ph__arena_alloc(&q->rs->arena, (size_t)(end - p) + 1)) == NULL)
		return ph__fail_nomem(q->err, PH_STAGE_PREPARE);
	while (p < end && !(quoted && *p == '"')) {
		const char *next = unescape(p, &to[n]);

		if (next == NULL)
			return wrong(q, p, "behind a backslash stands r, n, t, 0, \\, \" or xNN");
		if (reply && to[n] != '\n' && ph__is_control(to[n]))
			return wrong(q, p, "a reply holds no control character but \\n; `raw` can send one");
		n++;
		p = next;
	}
	if (quoted && *p++ != '"')
		return wrong(q, open, "this quotation mark is not closed");
	if (quoted && *p != '\0' && !ph__is_blank(*p))
		return wrong(q, p, "a blank is missing behind the quotation mark");
	q->p = p;
	to[n] = '\0';
	*ret = (struct ph_str){ to, n };
	return PH_OK;
}

/* ---- stage, expression, conditions */

#define MASK(stage) (1u << PH__RULE_##stage)
#define ANYWHERE (~0u)
#define REPLIES (ANYWHERE & ~MASK(TLS))

static const char *const stages[PH__RULE_STAGES] = {
	"connect", "hello", "starttls", "tls", "auth", "mail", "rcpt", "data", "bdat", "body", "message",
	"rset", "noop", "vrfy", "expn", "help", "etrn", "xclient", "xforward", "quit", "command",
};

enum ph__rule_stage
ph__rule_stage_of(const char *verb)
{
	unsigned i = 0;

	if (ph__cstr_eq_nocase(verb, "EHLO") || ph__cstr_eq_nocase(verb, "HELO") ||
	    ph__cstr_eq_nocase(verb, "LHLO"))
		return PH__RULE_HELLO;
	while (i < PH__RULE_STAGES && !ph__cstr_eq_nocase(verb, stages[i]))
		i++;
	return (enum ph__rule_stage)i;
}

static enum ph_code
take_stage(struct parser *q)
{
	size_t n = 0;
	unsigned i = 0;

	skip_blanks(q);
	while (ph__is_alpha(q->p[n]))
		n++;
	while (i < PH__RULE_STAGES && !is((struct ph_str){ q->p, n }, stages[i]))
		i++;
	if (i == PH__RULE_STAGES)
		return wrong(q, q->p, "a rule begins with its stage: connect hello starttls tls auth mail "
		             "rcpt data bdat body message rset noop vrfy expn help etrn xclient xforward "
		             "quit command");
	q->r->stage = (enum ph__rule_stage)i;
	q->p += n;
	return PH_OK;
}

static enum ph_code
compile(struct parser *q, const char *begin, const char *end, bool nocase)
{
	char *p = ph__arena_strndup(&q->rs->arena, begin, (size_t)(end - begin)), why[200], text[240];
	size_t n = 0;
	int rc;

	if (p == NULL)
		return ph__fail_nomem(q->err, PH_STAGE_PREPARE);
	for (const char *from = p; *from != '\0'; from++)
		if (from[0] != '\\' || from[1] != '/')
			p[n++] = *from;
	p[n] = '\0';
	rc = regcomp(&q->r->regex, p, REG_EXTENDED | REG_NOSUB | (nocase ? REG_ICASE : 0));
	if (rc == 0) {
		q->r->has_regex = true;
		return PH_OK;
	}
	if (rc == REG_ESPACE)
		return ph__fail_nomem(q->err, PH_STAGE_PREPARE);
	regerror(rc, &q->r->regex, why, sizeof why);
	snprintf(text, sizeof text, "the regular expression is wrong: %s", why);
	return wrong(q, begin, text);
}

/* ":/" regex "/" ["i"], at once behind the stage; "\/" is a slash. */
static enum ph_code
take_regex(struct parser *q)
{
	const char *begin, *end;
	bool nocase;

	if (*q->p == '\0' || ph__is_blank(*q->p))
		return PH_OK;
	if (q->p[0] != ':' || q->p[1] != '/')
		return wrong(q, q->p, "behind a stage comes a blank, or :/REGEX/");
	begin = end = q->p + 2;
	while (*end != '\0' && *end != '/')
		end += end[0] == '\\' && end[1] != '\0' ? 2 : 1;
	if (*end == '\0')
		return wrong(q, q->p + 1, "the regular expression has no closing /");
	nocase = end[1] == 'i';
	q->p = end + 1 + nocase;
	if (*q->p != '\0' && !ph__is_blank(*q->p))
		return wrong(q, q->p, "behind a regular expression comes a blank (a / in it is written \\/)");
	return compile(q, begin, end, nocase);
}

static enum ph_code
take_scope(struct parser *q)
{
	static const struct { const char *name; enum ph__rule_scope scope; } rows[] = {
		{ "connection", PH__RULE_PER_CONNECTION }, { "message", PH__RULE_PER_MESSAGE },
		{ "argument", PH__RULE_PER_ARGUMENT },
	};
	struct ph_str w = word(q);

	if (!is(w, "per"))
		return PH_OK;
	q->p += w.len;
	w = word(q);
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		if (is(w, rows[i].name)) {
			q->r->scope = rows[i].scope;
			q->p += w.len;
			return PH_OK;
		}
	}
	return wrong(q, w.ptr, "behind `per` comes connection, message or argument");
}

/* N, N-M, N+ */
static enum ph_code
take_count(struct parser *q, struct ph_str w)
{
	size_t n = digits(w);
	struct ph_str rest = tail(w, n);
	struct ph__rule *r = q->r;
	bool ok = ph__str_to_uint((struct ph_str){ w.ptr, n }, INT64_MAX, &r->first) && r->first != 0;

	if (q->counted)
		return wrong(q, w.ptr, "a second count");
	q->counted = true;
	r->last = r->first;
	if (is(rest, "+"))
		r->last = UINT64_MAX;
	else if (rest.len != 0)
		ok = ok && *rest.ptr == '-' && ph__str_to_uint(tail(rest, 1), INT64_MAX, &r->last) &&
		     r->last >= r->first;
	if (!ok)
		return wrong(q, w.ptr, "a count is N, N-M or N+, from 1; a reply's code is from 200 to 599");
	q->p += w.len;
	return take_scope(q);
}

static enum ph_code
take_chance(struct parser *q, struct ph_str w)
{
	uint64_t n;

	if (q->r->percent != 0)
		return wrong(q, w.ptr, "a second chance");
	if (!ph__str_to_uint((struct ph_str){ w.ptr, w.len - 1 }, 100, &n) || n == 0)
		return wrong(q, w.ptr, "a chance is from 1% to 100%");
	q->r->percent = (unsigned)n;
	q->p += w.len;
	return PH_OK;
}

static enum ph_code
take_conditions(struct parser *q)
{
	for (;;) {
		struct ph_str w = word(q);
		enum ph_code rc;
		uint16_t code;

		if (w.len == 0 || !ph__is_digit(*w.ptr) || to_code(w, &code))
			return PH_OK;
		rc = w.ptr[w.len - 1] == '%' ? take_chance(q, w) : take_count(q, w);
		if (rc < 0)
			return rc;
	}
}

/* ---- actions */

static enum ph_code
set_say(struct parser *q, const char *at, enum ph__rule_say say)
{
	if (q->r->say != PH__RULE_SAY_REPLY)
		return wrong(q, at, "only one of raw, garbage, endless and stall can be the answer");
	q->r->say = say;
	return PH_OK;
}

static enum ph_code
take_raw(struct parser *q, const char *at)
{
	enum ph_code rc = set_say(q, at, PH__RULE_SAY_RAW);

	return rc < 0 ? rc : take_text(q, false, &q->r->raw);
}

static enum ph_code
take_garbage(struct parser *q, const char *at)
{
	return set_say(q, at, PH__RULE_SAY_GARBAGE);
}

static enum ph_code
take_endless(struct parser *q, const char *at)
{
	return set_say(q, at, PH__RULE_SAY_ENDLESS);
}

static enum ph_code
set_end(struct parser *q, const char *at, enum ph__rule_end end)
{
	if (q->r->end != PH__RULE_GO_ON)
		return wrong(q, at, "only one of drop, reset and stall can be the end");
	q->r->end = end;
	return PH_OK;
}

static enum ph_code
take_drop(struct parser *q, const char *at)
{
	return set_end(q, at, PH__RULE_DROP);
}

static enum ph_code
take_reset(struct parser *q, const char *at)
{
	return set_end(q, at, PH__RULE_RESET);
}

static enum ph_code
take_stall(struct parser *q, const char *at)
{
	enum ph_code rc = set_say(q, at, PH__RULE_SAY_NOTHING);

	return rc < 0 ? rc : set_end(q, at, PH__RULE_STALL);
}

static enum ph_code
take_number(struct parser *q, uint64_t min, uint64_t max, const char *what, uint64_t *ret)
{
	struct ph_str w = word(q);

	if (!ph__str_to_uint(w, max, ret) || *ret < min)
		return wrong(q, w.ptr, what);
	q->p += w.len;
	return PH_OK;
}

static enum ph_code
take_cut(struct parser *q, const char *at)
{
	uint64_t n;
	enum ph_code rc;

	if (q->r->piece != 0)
		return wrong(q, at, "cut and drip are one and the same, but for the pause");
	if ((rc = take_number(q, 1, PH__SINK_REPLY, "behind `cut` comes the number of octets in a piece",
	                      &n)) < 0)
		return rc;
	q->r->piece = (size_t)n;
	q->r->pause = CUT_PAUSE_MS;
	return PH_OK;
}

/* [N "/"] time */
static enum ph_code
take_drip(struct parser *q, const char *at)
{
	struct ph_str w = word(q);
	size_t n = digits(w);
	uint64_t piece = 1;

	if (q->r->piece != 0)
		return wrong(q, at, "cut and drip are one and the same, but for the pause");
	if (n < w.len && w.ptr[n] == '/') {
		if (!ph__str_to_uint((struct ph_str){ w.ptr, n }, PH__SINK_REPLY, &piece) || piece == 0)
			return wrong(q, w.ptr, "a piece has one octet at least");
		w = tail(w, n + 1);
	}
	if (!to_time(w, &q->r->pause))
		return wrong(q, w.ptr, NOT_A_TIME);
	q->r->piece = (size_t)piece;
	q->p = w.ptr + w.len;
	return PH_OK;
}

/* time ["-" time] */
static enum ph_code
take_delay(struct parser *q, const char *at)
{
	struct ph_str w = word(q);
	const char *dash = w.len != 0 ? memchr(w.ptr, '-', w.len) : NULL;
	struct ph_str low = { w.ptr, dash != NULL ? (size_t)(dash - w.ptr) : w.len };

	(void)at;
	if (!to_time(low, &q->r->delay))
		return wrong(q, w.ptr, NOT_A_TIME);
	q->r->delay_max = q->r->delay;
	if (dash != NULL && !to_time(tail(w, low.len + 1), &q->r->delay_max))
		return wrong(q, dash + 1, NOT_A_TIME);
	if (q->r->delay_max < q->r->delay)
		return wrong(q, w.ptr, "the longer time comes last");
	q->p += w.len;
	return PH_OK;
}

static enum ph_code
take_long(struct parser *q, const char *at)
{
	uint64_t n;
	enum ph_code rc = take_number(q, 1, PH__SINK_REPLY / 2,
	                              "behind `long` comes the length of the line in octets", &n);

	(void)at;
	q->r->length = rc < 0 ? 0 : (size_t)n;
	return rc;
}

static enum ph_code
take_wrong_code(struct parser *q, const char *at)
{
	struct ph_str w = word(q);

	(void)at;
	if (!to_code(w, &q->r->wrong_code))
		return wrong(q, w.ptr, "behind `wrong-code` comes a code, from 200 to 599");
	q->p += w.len;
	return PH_OK;
}

static enum ph_code
take_at(struct parser *q, const char *at)
{
	(void)at;
	return take_number(q, 0, INT64_MAX, "behind `at` comes a number of octets", &q->r->at);
}

static enum ph_code
take_inject(struct parser *q, const char *at)
{
	enum ph_code rc = take_text(q, false, &q->r->inject);

	return rc == PH_OK && q->r->inject.len == 0 ? wrong(q, at, "inject what?") : rc;
}

static enum ph_code
take_late(struct parser *q, const char *at)
{
	struct ph_str w = word(q);
	enum ph_code rc;

	if (!to_time(w, &q->r->late_after))
		return wrong(q, w.ptr, NOT_A_TIME);
	q->p += w.len;
	rc = take_text(q, false, &q->r->late);
	return rc == PH_OK && q->r->late.len == 0 ? wrong(q, at, "late with what?") : rc;
}

static enum ph_code
take_badcert(struct parser *q, const char *at)
{
	static const char *const kinds[PH__CERT_FAULTS] = { "", "untrusted", "expired", "wrong-name" };
	struct ph_str w = word(q);

	(void)at;
	for (unsigned i = 1; i < PH__CERT_FAULTS; i++) {
		if (is(w, kinds[i])) {
			q->r->cert = (enum ph__cert_fault)i;
			q->p += w.len;
			return PH_OK;
		}
	}
	return wrong(q, w.ptr, "behind `badcert` comes untrusted, expired or wrong-name");
}

static enum ph_code
take_tls_fail(struct parser *q, const char *at)
{
	(void)at;
	q->r->tls_fail = true;
	return PH_OK;
}

/* D "." 1*3D "." 1*3D */
static bool
is_enhanced(struct ph_str w)
{
	size_t class_ = digits(w), subject = digits(tail(w, class_ + 1));
	size_t detail = digits(tail(w, class_ + subject + 2));

	return class_ == 1 && subject >= 1 && subject <= 3 && detail >= 1 && detail <= 3 &&
	       class_ + subject + detail + 2 == w.len && w.ptr[1] == '.' && w.ptr[subject + 2] == '.';
}

/* code [enhanced] [text] */
static enum ph_code
take_reply(struct parser *q, const char *at)
{
	struct ph_str w = word(q), text = { "", 0 };
	enum ph_code rc;

	if (is_enhanced(w)) {
		q->r->reply.enhanced = ph__arena_strndup(&q->rs->arena, w.ptr, w.len);
		if (q->r->reply.enhanced == NULL)
			return ph__fail_nomem(q->err, PH_STAGE_PREPARE);
		q->p += w.len;
	}
	if ((rc = take_text(q, true, &text)) < 0)
		return rc;
	if (text.len > PH__SERVER_TEXT_MAX)
		return wrong(q, at, "this reply is too long; `long N` makes one of any length");
	q->r->reply.text = text.ptr;
	return PH_OK;
}

struct action {
	const char   *name;
	unsigned      stages;
	enum ph_code (*take)(struct parser *q, const char *at);
	const char   *where; /* it has no place elsewhere */
};

static const char NO_REPLY[] = "a TLS handshake has no replies: delay, drop, reset, stall, garbage, "
                               "badcert and tls-fail are for `tls`";

static const struct action actions[] = {
	{ "", REPLIES, take_reply, NO_REPLY }, /* any code */
	{ "raw", REPLIES, take_raw, NO_REPLY },
	{ "garbage", ANYWHERE, take_garbage, NULL },
	{ "endless", REPLIES, take_endless, NO_REPLY },
	{ "cut", REPLIES, take_cut, NO_REPLY },
	{ "drip", REPLIES, take_drip, NO_REPLY },
	{ "delay", ANYWHERE, take_delay, NULL },
	{ "long", REPLIES, take_long, NO_REPLY },
	{ "wrong-code", REPLIES, take_wrong_code, NO_REPLY },
	{ "inject", REPLIES, take_inject, NO_REPLY },
	{ "late", REPLIES, take_late, NO_REPLY },
	{ "drop", ANYWHERE, take_drop, NULL },
	{ "reset", ANYWHERE, take_reset, NULL },
	{ "stall", ANYWHERE, take_stall, NULL },
	{ "at", MASK(BODY), take_at, "`at` is for `body`: no other stage has octets to count" },
	{ "badcert", MASK(TLS), take_badcert, "`badcert` is for `tls`" },
	{ "tls-fail", MASK(TLS), take_tls_fail, "`tls-fail` is for `tls`" },
};
#define ACTIONS (sizeof actions / sizeof actions[0])

static size_t
find_action(struct ph_str w)
{
	uint16_t code;
	size_t i = 1;

	if (to_code(w, &code))
		return 0;
	while (i < ACTIONS && !is(w, actions[i].name))
		i++;
	return i;
}

static enum ph_code
take_action(struct parser *q)
{
	struct ph_str w = word(q);
	size_t i = find_action(w);

	if (i == ACTIONS && ph__is_digit(*w.ptr))
		return wrong(q, w.ptr, "a reply's code is three digits, from 200 to 599");
	if (i == ACTIONS)
		return wrong(q, w.ptr, "no such action. There are: a reply (450 4.2.1 text), raw garbage "
		             "endless cut drip delay long wrong-code inject late drop reset stall at badcert "
		             "tls-fail");
	if (!(actions[i].stages & 1u << q->r->stage))
		return wrong(q, w.ptr, actions[i].where);
	if (q->given & 1u << i)
		return wrong(q, w.ptr, i == 0 ? "a second reply (a text that is followed by an action must "
		             "stand in quotation marks)" : "this action is given twice");
	q->given |= 1u << i;
	q->p += w.len;
	if (i == 0)
		to_code(w, &q->r->reply.code);
	return actions[i].take(q, w.ptr);
}

/* What single words cannot show. */
static enum ph_code
check(struct parser *q)
{
	struct ph__rule *r = q->r;
	bool touched = r->length != 0 || r->wrong_code != 0;
	bool behind = r->inject.len != 0 || r->late.ptr != NULL;
	unsigned only_at = 0;

	for (size_t i = 0; i < ACTIONS; i++)
		if (is(ph__str(actions[i].name), "at"))
			only_at = 1u << i;
	if ((q->given & ~only_at) == 0)
		return wrong(q, q->p, "an action is missing: what shall happen?");
	if (r->say == PH__RULE_SAY_NOTHING && (touched || behind || r->piece != 0))
		return wrong(q, q->text, "with `stall` nothing is said, so nothing can be done to it");
	if (r->say != PH__RULE_SAY_REPLY && touched)
		return wrong(q, q->text, "`long` and `wrong-code` need a reply, not raw, garbage or endless");
	if (r->say == PH__RULE_SAY_ENDLESS && (behind || r->end != PH__RULE_GO_ON))
		return wrong(q, q->text, "nothing can come behind an endless reply");
	if (r->stage == PH__RULE_BODY && r->reply.code == 0 && (touched || r->piece != 0) &&
	    r->say == PH__RULE_SAY_REPLY)
		return wrong(q, q->text, "while a message comes the server says nothing by itself: give the "
		             "reply that is to come early");
	if (r->tls_fail && r->cert != PH__CERT_GOOD)
		return wrong(q, q->text, "a handshake that fails shows no certificate");
	/* An end alone comes in the reply's stead. */
	if (r->end != PH__RULE_GO_ON && r->say == PH__RULE_SAY_REPLY && r->reply.code == 0 && !touched &&
	    !behind && r->piece == 0)
		r->say = PH__RULE_SAY_NOTHING;
	return PH_OK;
}

enum ph_code
ph__rule_parse(struct ph__rules *rs, const char *where, const char *text, struct ph__rule *r,
               struct ph_error *err)
{
	struct parser q = { .rs = rs, .r = r, .where = where, .text = text, .p = text, .err = err };
	enum ph_code rc;

	*r = (struct ph__rule){ .text = text };
	if ((rc = take_stage(&q)) < 0 || (rc = take_regex(&q)) < 0 || (rc = take_conditions(&q)) < 0)
		return rc;
	while (word(&q).len != 0)
		if ((rc = take_action(&q)) < 0)
			return rc;
	return check(&q);
}
