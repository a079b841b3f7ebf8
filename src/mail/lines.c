/* SPDX-License-Identifier: MIT */
/* Line ends and dots. See lines.h.
 *
 * clean_run() is the common path: how many octets from here on may go out as they are. It works on
 * blocks of 64 octets, each judged by five bit masks (LF, CR, NUL, dot, above 127); only the block in
 * which something needs care is walked octet by octet. A CR that ends the input is never part of a
 * run: what it is depends on the octet behind it. */
#include "mail/lines.h"

#include <assert.h>
#include <string.h>

#include "base/bounds.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

struct masks {
	uint64_t lf, cr, nul, dot, high;
};

#ifdef __SSE2__
static inline uint64_t
match(const __m128i v[4], char c)
{
	const __m128i want = _mm_set1_epi8(c);
	uint64_t m = 0;

	for (int i = 0; i < 4; i++)
		m |= (uint64_t)(unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(v[i], want)) << (16 * i);
	return m;
}

static inline void
classify(const char *p, struct masks *m)
{
	__m128i v[4];

	for (int i = 0; i < 4; i++)
		v[i] = _mm_loadu_si128((const __m128i *)(const void *)(p + 16 * i));
	m->lf = match(v, '\n');
	m->cr = match(v, '\r');
	m->nul = match(v, '\0');
	m->dot = match(v, '.');
	m->high = 0;
	for (int i = 0; i < 4; i++)
		m->high |= (uint64_t)(unsigned)_mm_movemask_epi8(v[i]) << (16 * i);
}
#else
/* The compiler makes vectors of these loops where the machine has them. */
static inline uint64_t
match(const char *p, char c)
{
	uint64_t m = 0;

	for (int i = 0; i < 64; i++)
		m |= (uint64_t)(p[i] == c) << i;
	return m;
}

static inline void
classify(const char *p, struct masks *m)
{
	m->lf = match(p, '\n');
	m->cr = match(p, '\r');
	m->nul = match(p, '\0');
	m->dot = match(p, '.');
	m->high = 0;
	for (int i = 0; i < 64; i++)
		m->high |= (uint64_t)((unsigned char)p[i] >> 7) << i;
}
#endif

void
ph__lines_init(struct ph__lines *l, enum ph_line_ends ends, bool stuff)
{
	*l = (struct ph__lines){ .ends = ends, .stuff = stuff, .line_max = PH__LINE_MAX, .at_start = true };
}

static inline void
note_line(struct ph__lines *l, uint64_t len)
{
	if (len > l->longest)
		l->longest = len;
}

/* Lines that begin and end within one block are shorter than 64: counted only while that matters. */
static void
note_inner_lines(struct ph__lines *l, uint64_t lf)
{
	unsigned from = (unsigned)__builtin_ctzll(lf);

	for (lf &= lf - 1; lf != 0 && l->longest < 62; lf &= lf - 1) {
		unsigned at = (unsigned)__builtin_ctzll(lf);

		note_line(l, at - from - 2); /* without CR and LF */
		from = at;
	}
}

/* Takes the first `len` octets of a block, all clean, into the line's state. False, and nothing
 * taken, when a line is or may become too long: then the octets are counted one by one. */
static inline bool
take_block(struct ph__lines *l, const struct masks *m, unsigned len, uint64_t max)
{
	uint64_t below = len == 64 ? UINT64_MAX : (UINT64_C(1) << len) - 1;
	uint64_t lf = m->lf & below;

	if (lf == 0) {
		if (l->line_len + len > max)
			return false;
		l->line_len += len;
	} else {
		uint64_t line = l->line_len + (unsigned)__builtin_ctzll(lf) - 1; /* without its CR */

		if (line > max)
			return false;
		note_line(l, line);
		if (l->longest < 62)
			note_inner_lines(l, lf);
		l->line_len = len - 1 - (63 - (unsigned)__builtin_clzll(lf));
	}
	l->at_start = l->line_len == 0;
	l->eight_bit |= (m->high & below) != 0;
	return true;
}

/* ---- blocks ---------------------------------------------------------------------------------- */

/* Sixteen octets at a time, in the compiler's own vectors: comparisons give 0 or -1 in each lane. */
typedef signed char lanes __attribute__((vector_size(16)));

static inline lanes
load(const char *p)
{
	lanes v;

	memcpy(&v, p, sizeof v);
	return v;
}

static inline bool
any(lanes v)
{
	uint64_t half[2];

	memcpy(half, &v, sizeof half);
	return (half[0] | half[1]) != 0;
}

/* 64 octets and the one behind them, judged in pairs: a CR and the LF behind it come together or not
 * at all; no NUL; no dot behind an LF where dots are stuffed. */
static inline lanes
faults(const char *p, bool stuff, lanes *lf, lanes *high)
{
	lanes bad = { 0 }, all_lf = { 0 }, all = { 0 };

	for (int i = 0; i < 64; i += 16) {
		lanes v = load(p + i), next = load(p + i + 1), is_lf = v == '\n';

		bad |= ((v == '\r') ^ (next == '\n')) | (v == 0);
		if (stuff)
			bad |= is_lf & (next == '.');
		all_lf |= is_lf;
		all |= v;
	}
	*lf = all_lf;
	*high |= all;
	return bad;
}

/* How many octets make whole blocks without a fault, and without a line that may be too long. This is
 * where a large message spends its time; everything exact is left to the others. */
static size_t
plain_blocks(struct ph__lines *l, const char *p, size_t n)
{
	lanes high = { 0 };
	size_t at = 0, line_from = 0; /* the line under way begins at or before line_from + 64 */
	uint64_t before = l->line_len, max = l->line_max - 64;

	if (l->tolerant || n < 65 || *p == '\n' || (*p == '.' && l->at_start && l->stuff))
		return 0;
	for (; n - at >= 65; at += 64) {
		lanes lf, seen = high;

		if (any(faults(p + at, l->stuff, &lf, &seen)))
			break;
		if (before + (at - line_from) > max)
			break;
		if (any(lf)) {
			line_from = at;
			before = 0;
		}
		high = seen;
	}
	l->eight_bit |= any(high < 0);
	return at;
}

/* After octets that were passed without being counted: where in its line the last one stands. */
static void
find_line_start(struct ph__lines *l, const char *p, size_t n)
{
	const char *lf = memrchr(p, '\n', n);

	l->line_len = lf != NULL ? (uint64_t)(p + n - lf - 1) : l->line_len + n;
	l->at_start = l->line_len == 0;
}

/* Whole blocks that need no care, and the beginning of the first that does. A CR may be left as the
 * last octet, then *ends_in_cr. */
static size_t
clean_blocks(struct ph__lines *l, const char *p, size_t n, bool *ends_in_cr)
{
	uint64_t max = l->tolerant ? PH__LINE_ANY : l->line_max, cr_before = 0;
	size_t at = 0;

	for (; n - at >= 64; at += 64) {
		struct masks m;
		uint64_t after_cr, care;

		classify(p + at, &m);
		after_cr = m.cr << 1 | cr_before;
		care = (m.lf ^ after_cr) | m.nul;
		if (l->stuff)
			care |= m.dot & (m.lf << 1 | (uint64_t)l->at_start);
		if (care != 0) {
			unsigned len = (unsigned)__builtin_ctzll(care);

			/* care behind a CR means that the CR is bare */
			if (len != 0 && (m.cr >> (len - 1) & 1) != 0)
				len--;
			if (len != 0 && take_block(l, &m, len, max)) {
				*ends_in_cr = false;
				return at + len;
			}
			break;
		}
		if (!take_block(l, &m, 64, max))
			break;
		cr_before = m.cr >> 63;
	}
	*ends_in_cr = cr_before != 0;
	return at;
}

/* The same, octet by octet: up to the first one that needs care, a block at most. */
static size_t
clean_octets(struct ph__lines *l, const char *p, size_t n)
{
	size_t at = 0;

	if (n > 128)
		n = 128;
	while (at < n) {
		char c = p[at];

		if (c == '\r') {
			if (at + 1 >= n || p[at + 1] != '\n')
				break;
			note_line(l, l->line_len);
			l->at_start = true;
			l->line_len = 0;
			at += 2;
			continue;
		}
		if (c == '\n' || c == '\0' || (c == '.' && l->at_start && l->stuff))
			break;
		if (l->line_len >= l->line_max && !l->tolerant)
			break;
		l->eight_bit |= (unsigned char)c >= 0x80;
		l->at_start = false;
		l->line_len++;
		at++;
	}
	return at;
}

static size_t
clean_run(struct ph__lines *l, const char *p, size_t n)
{
	size_t run = plain_blocks(l, p, n);
	bool ends_in_cr = run != 0 && p[run - 1] == '\r';

	if (run != 0)
		find_line_start(l, p, run);
	else
		run = clean_blocks(l, p, n, &ends_in_cr);
	if (ends_in_cr) {
		/* give the CR back: the octets behind it decide */
		run--;
		l->line_len--;
		l->at_start = l->line_len == 0;
	}
	return run + clean_octets(l, p + run, n - run);
}

static bool
pass(struct ph__lines *l, const char *p, size_t n, bool borrow, ph__lines_emit *emit, void *user)
{
	l->wire_size += n;
	return emit(user, p, n, borrow);
}

static enum ph__lines_fault
end_line(struct ph__lines *l, ph__lines_emit *emit, void *user)
{
	note_line(l, l->line_len);
	l->at_start = true;
	l->line_len = 0;
	return pass(l, "\r\n", 2, false, emit, user) ? PH__LINES_OK : PH__LINES_NOMEM;
}

static enum ph__lines_fault
bare(struct ph__lines *l, ph__lines_emit *emit, void *user)
{
	l->bare = true;
	if (l->ends == PH_LINE_ENDS_STRICT && !l->tolerant)
		return PH__LINES_BARE;
	return end_line(l, emit, user);
}

/* One octet that clean_run() stopped at; *used tells how many were taken. */
static enum ph__lines_fault
with_care(struct ph__lines *l, const char *p, size_t n, size_t *used, ph__lines_emit *emit,
          void *user)
{
	*used = 1;
	switch (*p) {
	case '\r':
		if (n > 1 && p[1] == '\n') {
			*used = 2;
			return end_line(l, emit, user);
		}
		if (n == 1) {
			l->held_cr = true;
			return PH__LINES_OK;
		}
		return bare(l, emit, user);
	case '\n':
		return bare(l, emit, user);
	case '\0':
		l->nul = true;
		if (!l->tolerant)
			return PH__LINES_NUL;
		l->at_start = false;
		l->line_len++;
		return pass(l, p, 1, false, emit, user) ? PH__LINES_OK : PH__LINES_NOMEM;
	case '.':
		if (l->at_start && l->stuff) {
			/* the first dot is the one that the receiver takes away again */
			*used = 0;
			l->at_start = false;
			return emit(user, ".", 1, false) ? PH__LINES_OK : PH__LINES_NOMEM;
		}
		break;
	}
	return PH__LINES_TOO_LONG;
}

static enum ph__lines_fault
feed_binary(struct ph__lines *l, const char *p, size_t n, ph__lines_emit *emit, void *user)
{
	return pass(l, p, n, true, emit, user) ? PH__LINES_OK : PH__LINES_NOMEM;
}

enum ph__lines_fault
ph__lines_feed(struct ph__lines *l, const char *p, size_t n, ph__lines_emit *emit, void *user)
{
	enum ph__lines_fault fault = PH__LINES_OK;

	if (n == 0)
		return PH__LINES_OK;
	l->any = true;
	if (l->ends == PH_LINE_ENDS_BINARY && !l->tolerant)
		return feed_binary(l, p, n, emit, user);
	if (l->held_cr) {
		l->held_cr = false;
		if (*p == '\n') {
			p++;
			n--;
			fault = end_line(l, emit, user);
		} else {
			fault = bare(l, emit, user);
		}
	}
	while (n != 0 && fault == PH__LINES_OK) {
		size_t run = clean_run(l, p, n), used;

		if (run != 0 && !pass(l, p, run, true, emit, user))
			return PH__LINES_NOMEM;
		p += run;
		n -= run;
		if (run != 0 || n == 0)
			continue; /* most stops of a run are only the end of its step */
		fault = with_care(l, p, n, &used, emit, user);
		p += used;
		n -= used;
	}
	return fault;
}

enum ph__lines_fault
ph__lines_end(struct ph__lines *l, ph__lines_emit *emit, void *user)
{
	if (l->ends == PH_LINE_ENDS_BINARY && !l->tolerant)
		return PH__LINES_OK;
	if (l->held_cr) {
		l->held_cr = false;
		return bare(l, emit, user);
	}
	if (l->at_start)
		return PH__LINES_OK;
	return end_line(l, emit, user);
}

const char *
ph__lines_fault_text(enum ph__lines_fault fault)
{
	static const char *const what[] = {
		[PH__LINES_NUL] = "a NUL octet",
		[PH__LINES_BARE] = "a line end that is not CRLF",
		[PH__LINES_TOO_LONG] = "a line of more than 998 octets (RFC 5322 §2.1.1)",
	};

	return what[fault];
}
