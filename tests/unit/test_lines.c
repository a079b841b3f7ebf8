/* SPDX-License-Identifier: MIT */
/* Line ends and dots, against a naive reference that looks at one octet after the other: fixed
 * vectors, then random octets of several kinds in random cuttings. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/bounds.h"
#include "mail/lines.h"

#define IN_MAX 8192

struct result {
	char     octets[3 * IN_MAX];
	size_t   n;
	enum ph__lines_fault fault;
	uint64_t longest, wire_size;
	bool     eight_bit, nul, bare;
};

/* ---- the reference --------------------------------------------------------------------------- */

static void
reference_end(struct result *r, uint64_t *line)
{
	r->octets[r->n++] = '\r';
	r->octets[r->n++] = '\n';
	r->wire_size += 2;
	if (*line > r->longest)
		r->longest = *line;
	*line = 0;
}

static void
reference(const char *p, size_t n, enum ph_line_ends ends, bool stuff, bool tolerant, struct result *r)
{
	bool start = true;
	uint64_t line = 0;

	memset(r, 0, sizeof *r);
	for (size_t i = 0; i < n; i++) {
		bool crlf = p[i] == '\r' && i + 1 < n && p[i + 1] == '\n';

		if (p[i] == '\r' || p[i] == '\n') {
			r->bare |= !crlf;
			if (!crlf && ends == PH_LINE_ENDS_STRICT && !tolerant) {
				r->fault = PH__LINES_BARE;
				return;
			}
			i += crlf;
			reference_end(r, &line);
			start = true;
			continue;
		}
		if (p[i] == '\0') {
			r->nul = true;
			if (!tolerant) {
				r->fault = PH__LINES_NUL;
				return;
			}
		}
		if (p[i] == '.' && start && stuff)
			r->octets[r->n++] = '.';
		if (line == PH__LINE_MAX && !tolerant) {
			r->fault = PH__LINES_TOO_LONG;
			return;
		}
		r->eight_bit |= (unsigned char)p[i] >= 0x80;
		r->octets[r->n++] = p[i];
		r->wire_size++;
		line++;
		start = false;
	}
	if (!start)
		reference_end(r, &line);
}

/* ---- ours ------------------------------------------------------------------------------------ */

static unsigned seed = 1;

static unsigned
rnd(unsigned below)
{
	seed = seed * 1103515245 + 12345;
	return (seed >> 8) % below;
}

static bool
take(void *user, const char *p, size_t n, bool borrow)
{
	struct result *r = user;

	(void)borrow;
	memcpy(r->octets + r->n, p, n);
	r->n += n;
	return true;
}

/* most: octets of a piece at most; 0: all in one. */
static void
ours(const char *p, size_t n, enum ph_line_ends ends, bool stuff, bool tolerant, size_t most,
     struct result *r)
{
	struct ph__lines l;
	enum ph__lines_fault fault = PH__LINES_OK;

	memset(r, 0, sizeof *r);
	ph__lines_init(&l, ends, stuff);
	l.tolerant = tolerant;
	for (size_t at = 0, part; at < n && fault == PH__LINES_OK; at += part) {
		char *copy;

		part = most == 0 ? n : 1 + rnd((unsigned)most);
		part = part < n - at ? part : n - at;
		copy = malloc(part); /* a block of its own: a read beyond it is seen */
		assert_non_null(copy);
		memcpy(copy, p + at, part);
		fault = ph__lines_feed(&l, copy, part, take, r);
		free(copy);
	}
	if (fault == PH__LINES_OK)
		fault = ph__lines_end(&l, take, r);
	r->fault = fault;
	r->longest = l.longest;
	r->wire_size = l.wire_size;
	r->eight_bit = l.eight_bit;
	r->nul = l.nul;
	r->bare = l.bare;
}

/* The octets of a message with a fault are not sent to their end: how many went before does not
 * matter, but that the fault is found does. */
static void
compare(const char *p, size_t n, enum ph_line_ends ends, bool stuff, bool tolerant, size_t most)
{
	static struct result want, have;

	reference(p, n, ends, stuff, tolerant, &want);
	ours(p, n, ends, stuff, tolerant, most, &have);
	assert_int_equal(have.fault, want.fault);
	if (want.fault != PH__LINES_OK)
		return;
	assert_int_equal(have.n, want.n);
	assert_memory_equal(have.octets, want.octets, want.n);
	if (tolerant)
		assert_int_equal(have.longest, want.longest);
	assert_int_equal(have.wire_size, want.wire_size);
	assert_int_equal(have.eight_bit, want.eight_bit);
	assert_int_equal(have.nul, want.nul);
	assert_int_equal(have.bare, want.bare);
}

/* ---- vectors --------------------------------------------------------------------------------- */

static void
expect(const char *in, const char *out)
{
	static struct result r;

	for (size_t most = 0; most <= strlen(in); most++) {
		ours(in, strlen(in), PH_LINE_ENDS_NORMALISE, true, false, most, &r);
		assert_int_equal(r.fault, PH__LINES_OK);
		r.octets[r.n] = '\0';
		assert_string_equal(r.octets, out);
	}
}

static void
line_ends_are_mended_and_dots_doubled(void **state)
{
	(void)state;
	expect("", "");
	expect("a", "a\r\n");
	expect("a\r\nb\nc\rd", "a\r\nb\r\nc\r\nd\r\n");
	expect("\r\r\n\n", "\r\n\r\n\r\n");
	expect("\n\r", "\r\n\r\n");
	expect(".", "..\r\n");
	expect("..\r\n.a\n.\r.", "...\r\n..a\r\n..\r\n..\r\n");
	expect("a.\r\n", "a.\r\n");
}

/* "\n.\n", "\r\n.\n", "\n.\r\n", "\r.\r" and their kin, behind and before blocks of each length. */
static void
no_end_of_data_is_smuggled_at_any_place(void **state)
{
	static const char *const ends[] = { "\n.\n", "\r\n.\n", "\n.\r\n", "\r.\r", "\r\n.\r\n", "\r\n.\r", "\r.\n" };
	char in[400];
	static struct result r;

	(void)state;
	for (size_t e = 0; e < sizeof ends / sizeof ends[0]; e++)
		for (size_t at = 0; at < 200; at++) {
			size_t len = strlen(ends[e]);

			memset(in, 'x', sizeof in);
			memcpy(in + at, ends[e], len);
			ours(in, at + len + 130, PH_LINE_ENDS_NORMALISE, true, false, at % 3 * 50, &r);
			assert_null(memmem(r.octets, r.n, "\r\n.\r\n", 5));
			assert_int_not_equal(r.octets[0], '.');
			compare(in, at + len + 130, PH_LINE_ENDS_NORMALISE, true, false, 70);
		}
}

static void
lines_of_998_octets_and_no_more(void **state)
{
	static char in[1100];

	(void)state;
	for (size_t len = 990; len < 1010; len++) {
		memset(in, 'x', sizeof in);
		memcpy(in + len, "\r\n", 2);
		for (size_t most = 0; most < 130; most += 13) {
			compare(in, len + 2, PH_LINE_ENDS_NORMALISE, true, false, most);
			compare(in, len, PH_LINE_ENDS_NORMALISE, true, false, most);
			compare(in, sizeof in, PH_LINE_ENDS_NORMALISE, true, true, most);
		}
	}
}

static void
binary_passes_as_it_is(void **state)
{
	static const char in[] = "\n.\r\0\377.\n";
	static struct result r;

	(void)state;
	ours(in, sizeof in, PH_LINE_ENDS_BINARY, false, false, 2, &r);
	assert_int_equal(r.fault, PH__LINES_OK);
	assert_int_equal(r.n, sizeof in);
	assert_memory_equal(r.octets, in, sizeof in);
	assert_int_equal(r.wire_size, sizeof in);
}

static bool
refuse(void *user, const char *p, size_t n, bool borrow)
{
	(void)p;
	(void)n;
	(void)borrow;
	return (*(int *)user)-- > 0;
}

static void
an_emit_that_fails_is_told(void **state)
{
	(void)state;
	for (int ok = 0; ok < 4; ok++) {
		struct ph__lines l;
		int left = ok;
		enum ph__lines_fault fault;

		ph__lines_init(&l, PH_LINE_ENDS_NORMALISE, true);
		fault = ph__lines_feed(&l, "a\n.\r", 4, refuse, &left);
		if (fault == PH__LINES_OK)
			fault = ph__lines_end(&l, refuse, &left);
		assert_int_equal(fault, PH__LINES_NOMEM);
	}
}

/* ---- random ---------------------------------------------------------------------------------- */

static void
random_octets(char *p, size_t n, unsigned kind)
{
	for (size_t i = 0; i < n; i++) {
		unsigned r = rnd(1000);

		switch (kind) {
		case 0: /* nothing but what needs care */
			p[i] = "\r\n.a\200"[r % 5];
			break;
		case 1: /* now and then */
			p[i] = r < 20 ? '\r' : r < 40 ? '\n' : r < 60 ? '.' : r < 62 ? '\377' : 'x';
			break;
		case 2: /* clean lines, dots at the beginning of some */
			p[i] = 'y';
			if (r < 30 && i + 1 < n) {
				p[i] = '\r';
				p[++i] = '\n';
				if (r < 10 && i + 1 < n)
					p[++i] = '.';
			}
			break;
		case 3: /* long lines, and some too long; a NUL */
			p[i] = 'z';
			if (r == 0 && i + 1 < n) {
				p[i] = '\r';
				p[++i] = '\n';
			} else if (r == 1 && rnd(4) == 0) {
				p[i] = '\0';
			}
			break;
		default:
			p[i] = (char)rnd(256);
		}
	}
}

static void
random_octets_in_random_cuttings(void **state)
{
	static const size_t cuttings[] = { 0, 1, 3, 10, 64, 65, 300 };
	static char in[IN_MAX];

	(void)state;
	for (unsigned i = 0; i < 40000; i++) {
		size_t n = rnd(i % 10 == 0 ? 4000 : 400);

		random_octets(in, n, i % 5);
		compare(in, n, (enum ph_line_ends)rnd(2), rnd(2) != 0, rnd(3) == 0, cuttings[rnd(7)]);
	}
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(line_ends_are_mended_and_dots_doubled),
		cmocka_unit_test(no_end_of_data_is_smuggled_at_any_place),
		cmocka_unit_test(lines_of_998_octets_and_no_more),
		cmocka_unit_test(binary_passes_as_it_is),
		cmocka_unit_test(an_emit_that_fails_is_told),
		cmocka_unit_test(random_octets_in_random_cuttings),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
