/* SPDX-License-Identifier: MIT */
/* Sources: memory, files, pipes, callbacks, lists; what is known of them; and how they fail. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/bounds.h"
#include "failing_memory.h"
#include "mail/source.h"

/* Reads `size` octets at a time to the end; "!" behind what came when it ends otherwise. */
static const char *
read_all(struct ph_source *s, size_t size)
{
	static char text[512];
	struct ph_error err = PH_ERROR_INIT;
	size_t len = 0, n = 0;
	const void *p = NULL;
	char buf[64];
	enum ph_io io;

	while ((io = ph__source_read(s, buf, size, &p, &n, &err)) == PH_IO_OK) {
		assert_in_range(n, 1, size);
		memcpy(text + len, p, n);
		len += n;
	}
	text[len] = '\0';
	if (io != PH_IO_EOF)
		strcat(text, "!");
	if (io == PH_IO_ERROR) {
		assert_int_equal(err.code, PH_ENOINPUT);
		assert_int_equal(err.cause, PH_CAUSE_SOURCE);
		assert_true(err.text[0] != '\0');
	} else if (io == PH_IO_EOF) {
		assert_true(ph__source_is_spent(s));
	}
	return text;
}

static int
temporary_file(const char *content)
{
	FILE *f = tmpfile();
	int fd;

	assert_non_null(f);
	fd = dup(fileno(f));
	fclose(f);
	assert_int_equal(write(fd, content, strlen(content)), strlen(content));
	return fd;
}

/* The reading end of a pipe that holds the content and then ends. */
static int
filled_pipe(const char *content)
{
	int fds[2];

	assert_int_equal(pipe(fds), 0);
	assert_int_equal(write(fds[1], content, strlen(content)), strlen(content));
	close(fds[1]);
	return fds[0];
}

static struct ph_source_facts
examine(struct ph_source *s)
{
	struct ph_source_facts f = PH_SOURCE_FACTS_INIT;

	assert_int_equal(ph_source_examine(s, &f, NULL), PH_OK);
	return f;
}

/* ---- memory ---------------------------------------------------------------------------------- */

static void
memory_gives_pointers_into_itself(void **state)
{
	static const char text[] = "0123456789";
	struct ph_source *s = NULL;
	const void *p;
	size_t n;

	(void)state;
	assert_int_equal(ph_source_new_memory(&s, text, 10, NULL), PH_OK);
	assert_true(ph__source_is_memory(s));
	ph__source_memory(s, &p, &n);
	assert_ptr_equal(p, text);
	assert_int_equal(n, 10);
	assert_int_equal(ph__source_read(s, NULL, 4, &p, &n, NULL), PH_IO_OK);
	assert_ptr_equal(p, text);
	assert_int_equal(n, 4);
	assert_string_equal(read_all(s, 4), "456789");
	assert_int_equal(ph_source_rewind(s, NULL), PH_OK);
	assert_string_equal(read_all(s, 64), "0123456789");
	ph_source_free(s);
	ph_source_free(NULL);
}

static void
an_empty_source(void **state)
{
	struct ph_source *s = NULL;
	struct ph_source_facts f;

	(void)state;
	assert_int_equal(ph_source_new_memory(&s, NULL, 0, NULL), PH_OK);
	assert_true(ph__source_is_spent(s));
	f = examine(s);
	assert_true(f.known && f.clean && f.header_known);
	assert_int_equal(f.wire_size, 0);
	assert_string_equal(read_all(s, 8), "");
	ph_source_free(s);
}

/* ---- facts ----------------------------------------------------------------------------------- */

static void
facts_are_those_of_the_wire(void **state)
{
	static const struct {
		const char *text;
		size_t len;
		uint64_t wire_size, longest;
		bool eight_bit, clean, nul, bare, header_utf8;
	} v[] = {
		{ "a: b\r\n\r\nx\r\n",    11, 11, 4, false, true,  false, false, false },
		{ "a: b\r\n\r\nx",         9, 11, 4, false, false, false, false, false },
		{ "a: b\n\nxyzzy\n",      12, 15, 5, false, false, false, true,  false },
		{ "a: b\r\rx\303\251\r",  10, 13, 4, true,  false, false, true,  false },
		{ "a: \303\251\r\n\r\nx\r\n", 12, 12, 5, true, true, false, false, true },
		{ "a\r\n\r\n\303\251\r\n", 9,  9, 2, true,  true,  false, false, false },
		{ "\r\n\303\251\r\n",      6,  6, 2, true,  true,  false, false, false },
		{ "\n\303\251\n",          4,  6, 2, true,  false, false, true,  false },
		{ "a\0\r\n\303\251",       6,  8, 2, true,  false, true,  false, true },
		{ "\303\251",              2,  4, 2, true,  false, false, false, true },
		{ "a\r\n.\r\n",            6,  6, 1, false, true,  false, false, false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof v / sizeof v[0]; i++) {
		struct ph_source *s = NULL;
		struct ph_source_facts f;

		assert_int_equal(ph_source_new_memory(&s, v[i].text, v[i].len, NULL), PH_OK);
		f = examine(s);
		if (!f.known || f.wire_size != v[i].wire_size || f.longest_line != v[i].longest ||
		    f.eight_bit != v[i].eight_bit || f.clean != v[i].clean || f.nul != v[i].nul ||
		    f.bare != v[i].bare || f.header_utf8 != v[i].header_utf8)
			fail_msg("vector %zu: size %d, longest %d, 8-bit %d, clean %d, nul %d, bare %d, utf8 %d", i,
			         (int)f.wire_size, (int)f.longest_line, f.eight_bit, f.clean, f.nul, f.bare,
			         f.header_utf8);
		ph_source_free(s);
	}
}

static void
a_shorter_struct_of_facts_is_filled_as_far_as_it_goes(void **state)
{
	struct ph_source_facts f = { .size = offsetof(struct ph_source_facts, wire_size), .wire_size = 77 };
	struct ph_source *s = NULL;

	(void)state;
	assert_int_equal(ph_source_new_memory(&s, "x\r\n", 3, NULL), PH_OK);
	assert_int_equal(ph_source_examine(s, &f, NULL), PH_OK);
	assert_true(f.known);
	assert_int_equal(f.size, offsetof(struct ph_source_facts, wire_size));
	assert_int_equal(f.wire_size, 77);
	assert_int_equal(ph_source_examine(s, NULL, NULL), PH_OK);
	assert_non_null(ph__source_facts(s));
	ph_source_free(s);
}

/* ---- files ----------------------------------------------------------------------------------- */

static void
a_part_of_a_file(void **state)
{
	int fd = temporary_file("0123456789");
	struct ph_source *s = NULL;

	(void)state;
	assert_int_equal(ph_source_new_file(&s, fd, 2, 5, NULL, NULL), PH_OK);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	assert_string_equal(read_all(s, 3), "23456");
	assert_int_equal(lseek(fd, 0, SEEK_CUR), 0);
	assert_int_equal(ph_source_rewind(s, NULL), PH_OK);
	assert_string_equal(read_all(s, 64), "23456");
	ph_source_free(s);
	assert_int_equal(ph_source_new_file(&s, fd, 7, UINT64_MAX, NULL, NULL), PH_OK);
	assert_string_equal(read_all(s, 64), "789");
	ph_source_free(s);
	assert_int_equal(ph_source_new_file(&s, fd, 70, UINT64_MAX, NULL, NULL), PH_OK);
	assert_string_equal(read_all(s, 64), "");
	ph_source_free(s);
	close(fd);
}

static void
a_file_is_examined_and_then_sent(void **state)
{
	int fd = temporary_file("a: b\n\nx");
	struct ph_source *s = NULL;
	struct ph_source_facts f;

	(void)state;
	assert_int_equal(ph_source_new_file(&s, fd, 0, UINT64_MAX, NULL, NULL), PH_OK);
	f = examine(s);
	assert_true(f.known && f.bare && !f.clean);
	assert_int_equal(f.wire_size, 11);
	assert_string_equal(read_all(s, 64), "a: b\n\nx");
	ph_source_free(s);
	close(fd);
}

static void
a_file_that_grows_is_sent_as_it_was(void **state)
{
	int fd = temporary_file("0123");
	struct ph_source *s = NULL;

	(void)state;
	assert_int_equal(ph_source_new_file(&s, fd, 0, UINT64_MAX, NULL, NULL), PH_OK);
	assert_int_equal(write(fd, "456", 3), 3);
	assert_string_equal(read_all(s, 64), "0123");
	ph_source_free(s);
	close(fd);
}

static void
a_file_truncated_midway_is_an_error(void **state)
{
	int fd = temporary_file("0123456789");
	struct ph_source *s = NULL;
	const void *p;
	char buf[8];
	size_t n;

	(void)state;
	assert_int_equal(ph_source_new_file(&s, fd, 0, UINT64_MAX, NULL, NULL), PH_OK);
	assert_int_equal(ph__source_read(s, buf, 4, &p, &n, NULL), PH_IO_OK);
	assert_int_equal(ftruncate(fd, 6), 0);
	assert_string_equal(read_all(s, 64), "45!");
	assert_false(ph__source_is_spent(s));
	ph_source_free(s);
	close(fd);
}

static void
a_file_shorter_than_was_said_is_an_error(void **state)
{
	int fd = temporary_file("0123");
	struct ph_source *s = NULL;
	struct ph_error err = PH_ERROR_INIT;

	(void)state;
	assert_int_equal(ph_source_new_file(&s, fd, 0, 9, NULL, NULL), PH_OK);
	assert_int_equal(ph_source_examine(s, NULL, &err), PH_ENOINPUT);
	assert_int_equal(err.code, PH_ENOINPUT);
	ph_source_free(s);
	close(fd);
}

static void
what_is_no_file_is_refused(void **state)
{
	struct ph_source *s = NULL;
	int fd = filled_pipe("x"), dir = open("/", O_RDONLY), file = temporary_file("x");

	(void)state;
	assert_int_equal(ph_source_new_file(&s, fd, 0, UINT64_MAX, NULL, NULL), PH_ENOINPUT);
	assert_int_equal(ph_source_new_file(&s, dir, 0, UINT64_MAX, NULL, NULL), PH_ENOINPUT);
	assert_int_equal(ph_source_new_file(&s, -1, 0, UINT64_MAX, NULL, NULL), PH_ENOINPUT);
	assert_int_equal(ph_source_new_file(&s, file, UINT64_MAX, 1, NULL, NULL), PH_EUSAGE);
	assert_int_equal(ph_source_new_file(&s, file, 1, (uint64_t)INT64_MAX, NULL, NULL), PH_EUSAGE);
	assert_null(s);
	close(fd);
	close(dir);
	close(file);
}

static void
a_file_that_cannot_be_read(void **state)
{
	int fd = temporary_file("0123");
	struct ph_source *s = NULL;

	(void)state;
	assert_int_equal(ph_source_new_file(&s, fd, 0, UINT64_MAX, NULL, NULL), PH_OK);
	close(fd);
	assert_string_equal(read_all(s, 64), "!");
	ph_source_free(s);
}

/* ---- pipes ----------------------------------------------------------------------------------- */

static void
of_a_pipe_only_the_header_is_known(void **state)
{
	int fd = filled_pipe("a: \303\251\n\n\377body\n");
	struct ph_source *s = NULL;
	struct ph_source_facts f;

	(void)state;
	assert_int_equal(ph_source_new_pipe(&s, fd, NULL), PH_OK);
	assert_false(ph_source_is_rewindable(s));
	f = examine(s);
	assert_true(!f.known && f.header_known && f.header_utf8);
	assert_string_equal(read_all(s, 4), "a: \303\251\n\n\377body\n");
	assert_int_equal(ph_source_rewind(s, NULL), PH_EUSAGE);
	ph_source_free(s);
	close(fd);
}

static void
a_pipe_that_was_read_is_not_examined_any_more(void **state)
{
	int fd = filled_pipe("a: b\n\nx");
	struct ph_source *s = NULL;
	struct ph_source_facts f;
	const void *p;
	char buf[8];
	size_t n;

	(void)state;
	assert_int_equal(ph_source_new_pipe(&s, fd, NULL), PH_OK);
	assert_int_equal(ph__source_read(s, buf, 2, &p, &n, NULL), PH_IO_OK);
	f = examine(s);
	assert_true(!f.known && !f.header_known);
	assert_string_equal(read_all(s, 8), " b\n\nx");
	ph_source_free(s);
	close(fd);
}

static void
a_pipe_without_octets_says_again(void **state)
{
	struct ph_source *s = NULL;
	const void *p;
	char buf[8];
	size_t n;
	int fds[2];

	(void)state;
	assert_int_equal(pipe2(fds, O_NONBLOCK), 0);
	assert_int_equal(ph_source_new_pipe(&s, fds[0], NULL), PH_OK);
	assert_int_equal(ph__source_read(s, buf, 8, &p, &n, NULL), PH_IO_AGAIN);
	assert_int_equal(write(fds[1], "ab", 2), 2);
	close(fds[1]);
	assert_string_equal(read_all(s, 8), "ab");
	ph_source_free(s);
	close(fds[0]);
}

/* ---- callbacks ------------------------------------------------------------------------------- */

struct giver {
	const char *text;     /* an octet at a time; '~' says again once, '!' fails */
	size_t at;
	bool   said_again;
	bool   endless;       /* the text over and over */
};

static int
give(void *user, void *buf, size_t n, size_t *ret_n, struct ph_error *err)
{
	struct giver *g = user;
	char c = g->text[g->at];

	(void)n;
	if (c == '~' && !g->said_again) {
		g->said_again = true;
		return PH_IO_AGAIN;
	}
	if (c == '!') {
		snprintf(err->text, sizeof err->text, "no more ink");
		return PH_IO_ERROR;
	}
	if (c == '\0' && !g->endless)
		return PH_IO_EOF;
	if (c == '\0')
		c = g->text[g->at = 0];
	g->at++;
	*(char *)buf = c;
	*ret_n = 1;
	return PH_IO_OK;
}

static int
start_over(void *user)
{
	((struct giver *)user)->at = 0;
	return 0;
}

static struct ph_source *
from_callbacks(struct giver *g, bool rewindable)
{
	struct ph_source_callbacks c = {
		PH_SOURCE_CALLBACKS_INIT, .read = give, .rewind = rewindable ? start_over : NULL, .user = g,
	};
	struct ph_source *s = NULL;

	assert_int_equal(ph_source_new_callbacks(&s, &c, NULL), PH_OK);
	return s;
}

static void
callbacks_that_can_start_over_are_examined_whole(void **state)
{
	struct giver g = { .text = "a: b\n\nx" };
	struct ph_source *s = from_callbacks(&g, true);
	struct ph_source_facts f = examine(s);

	(void)state;
	assert_true(f.known);
	assert_int_equal(f.wire_size, 11);
	assert_string_equal(read_all(s, 8), "a: b\n\nx");
	assert_int_equal(ph_source_rewind(s, NULL), PH_OK);
	assert_string_equal(read_all(s, 8), "a: b\n\nx");
	ph_source_free(s);
}

static void
callbacks_that_say_again_are_examined_later(void **state)
{
	for (int rewindable = 0; rewindable < 2; rewindable++) {
		struct giver g = { .text = "a: b\n~\n\nxy" };
		struct ph_source *s = from_callbacks(&g, rewindable != 0);
		struct ph_source_facts f = PH_SOURCE_FACTS_INIT;

		(void)state;
		assert_int_equal(ph_source_examine(s, &f, NULL), PH_EDEFERRED);
		f = examine(s);
		assert_true(f.header_known);
		assert_true(f.known == (rewindable != 0));
		if (rewindable)
			assert_int_equal(f.wire_size, 6 + 3 + 2 + 4);
		assert_string_equal(read_all(s, 8), "a: b\n~\n\nxy");
		ph_source_free(s);
	}
}

static void
callbacks_that_fail_say_why(void **state)
{
	struct giver g = { .text = "ab!" };
	struct ph_source *s = from_callbacks(&g, false);
	struct ph_error err = PH_ERROR_INIT;

	(void)state;
	assert_int_equal(ph_source_examine(s, NULL, &err), PH_ENOINPUT);
	assert_non_null(strstr(err.text, "no more ink"));
	ph_source_free(s);
	g.at = 0;
	s = from_callbacks(&g, true);
	assert_int_equal(ph_source_examine(s, NULL, &err), PH_ENOINPUT);
	assert_string_equal(read_all(s, 8), "ab!");
	ph_source_free(s);
}

static int
boast(void *user, void *buf, size_t n, size_t *ret_n, struct ph_error *err)
{
	(void)buf;
	(void)err;
	*ret_n = *(int *)user == 0 ? 0 : n + 1;
	return PH_IO_OK;
}

static void
callbacks_that_give_more_than_was_asked_or_nothing_have_failed(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		struct ph_source_callbacks c = { PH_SOURCE_CALLBACKS_INIT, .read = boast, .user = &i };
		struct ph_source *s = NULL;

		assert_int_equal(ph_source_new_callbacks(&s, &c, NULL), PH_OK);
		assert_string_equal(read_all(s, 8), "!");
		ph_source_free(s);
	}
	assert_int_equal(ph_source_new_callbacks(NULL, &(struct ph_source_callbacks){ PH_SOURCE_CALLBACKS_INIT }, NULL),
	                 PH_EUSAGE);
}

static void
a_header_block_without_end_is_refused(void **state)
{
	struct giver g = { .text = "X: y\r\n", .endless = true };
	struct ph_source *s = from_callbacks(&g, false);
	struct ph_error err = PH_ERROR_INIT;

	(void)state;
	assert_int_equal(ph_source_examine(s, NULL, &err), PH_EINPUT);
	assert_int_equal(err.cause, PH_CAUSE_LIMIT);
	assert_in_range(g.at, 0, 6);
	ph_source_free(s);
}

/* ---- lists ----------------------------------------------------------------------------------- */

static void
a_list_is_its_parts_one_after_the_other(void **state)
{
	int fd = temporary_file("cd");
	struct ph_source *parts[4], *s = NULL;
	struct ph_source_facts f;

	(void)state;
	assert_int_equal(ph_source_new_memory(&parts[0], "a\r", 2, NULL), PH_OK);
	assert_int_equal(ph_source_new_memory(&parts[1], "", 0, NULL), PH_OK);
	assert_int_equal(ph_source_new_memory(&parts[2], "\nb\r\n", 4, NULL), PH_OK);
	assert_int_equal(ph_source_new_file(&parts[3], fd, 0, UINT64_MAX, NULL, NULL), PH_OK);
	assert_int_equal(ph_source_new_list(&s, parts, 4, NULL), PH_OK);
	assert_true(ph_source_is_rewindable(s));
	f = examine(s);
	assert_true(f.known && !f.bare && !f.clean);
	assert_int_equal(f.wire_size, 10);
	assert_string_equal(read_all(s, 1), "a\r\nb\r\ncd");
	assert_int_equal(ph_source_rewind(s, NULL), PH_OK);
	assert_string_equal(read_all(s, 64), "a\r\nb\r\ncd");
	ph_source_free(s);
	close(fd);
}

static void
a_list_with_a_pipe_can_be_sent_once(void **state)
{
	int fd = filled_pipe("b");
	struct ph_source *parts[2], *s = NULL;
	struct ph_source_facts f;

	(void)state;
	assert_int_equal(ph_source_new_memory(&parts[0], "a", 1, NULL), PH_OK);
	assert_int_equal(ph_source_new_pipe(&parts[1], fd, NULL), PH_OK);
	assert_int_equal(ph_source_new_list(&s, parts, 2, NULL), PH_OK);
	assert_false(ph_source_is_rewindable(s));
	f = examine(s);
	assert_false(f.known);
	assert_string_equal(read_all(s, 64), "ab");
	assert_int_equal(ph_source_rewind(s, NULL), PH_EUSAGE);
	ph_source_free(s);
	close(fd);
}

/* `send -t` reads the header block of a pipe ahead. */
static void
a_header_in_front_of_a_pipe_is_known(void **state)
{
	static const char *const heads[] = { "a: \xc3\xbc\n\n", "a: b\n\n\xc3\xbc", "a: \xc3\xbc\n" };
	static const bool known[] = { true, true, false }, utf8[] = { true, false, false };
	struct ph_source_facts facts = PH_SOURCE_FACTS_INIT;
	int ends[2];

	(void)state;
	assert_int_equal(pipe(ends), 0);
	for (size_t i = 0; i < 3; i++) {
		struct ph_source *parts[2] = { NULL, NULL }, *s = NULL;

		assert_int_equal(ph_source_new_memory(&parts[0], heads[i], strlen(heads[i]), NULL), PH_OK);
		assert_int_equal(ph_source_new_pipe(&parts[1], ends[0], NULL), PH_OK);
		assert_int_equal(ph_source_new_list(&s, parts, 2, NULL), PH_OK);
		assert_int_equal(ph_source_examine(s, &facts, NULL), PH_OK);
		assert_false(facts.known);
		assert_int_equal(facts.header_known, known[i]);
		assert_int_equal(facts.header_utf8, utf8[i]);
		ph_source_free(s);
	}
	close(ends[0]);
	close(ends[1]);
}

static void
an_empty_list(void **state)
{
	struct ph_source *s = NULL;

	(void)state;
	assert_int_equal(ph_source_new_list(&s, NULL, 0, NULL), PH_OK);
	assert_string_equal(read_all(s, 8), "");
	ph_source_free(s);
}

static void
lack_of_memory_is_told(void **state)
{
	struct failing_memory fm;

	(void)state;
	for (size_t n = 1; failing_memory_try(&fm, n); n++) {
		struct giver g = { .text = "a: b\n\nx" };
		struct ph_source_callbacks c = { PH_SOURCE_CALLBACKS_INIT, .read = give, .user = &g };
		struct ph_source *part = NULL, *s = NULL;
		int fd = temporary_file("x\r\n");

		if (ph_source_new_callbacks(&part, &c, &fm.mem) == PH_OK) {
			enum ph_code rc = ph_source_examine(part, NULL, NULL);

			assert_int_equal(rc, fm.failed ? PH_ESYSTEM : PH_OK);
		}
		ph_source_free(part);
		part = NULL;
		if (ph_source_new_file(&part, fd, 0, UINT64_MAX, &fm.mem, NULL) == PH_OK) {
			if (ph_source_new_list(&s, &part, 1, &fm.mem) == PH_OK)
				ph_source_examine(s, NULL, NULL);
			else
				ph_source_free(part);
		}
		ph_source_free(s);
		assert_int_equal(fm.live, 0);
		close(fd);
	}
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(memory_gives_pointers_into_itself),
		cmocka_unit_test(an_empty_source),
		cmocka_unit_test(facts_are_those_of_the_wire),
		cmocka_unit_test(a_shorter_struct_of_facts_is_filled_as_far_as_it_goes),
		cmocka_unit_test(a_part_of_a_file),
		cmocka_unit_test(a_file_is_examined_and_then_sent),
		cmocka_unit_test(a_file_that_grows_is_sent_as_it_was),
		cmocka_unit_test(a_file_truncated_midway_is_an_error),
		cmocka_unit_test(a_file_shorter_than_was_said_is_an_error),
		cmocka_unit_test(what_is_no_file_is_refused),
		cmocka_unit_test(a_file_that_cannot_be_read),
		cmocka_unit_test(of_a_pipe_only_the_header_is_known),
		cmocka_unit_test(a_pipe_that_was_read_is_not_examined_any_more),
		cmocka_unit_test(a_pipe_without_octets_says_again),
		cmocka_unit_test(callbacks_that_can_start_over_are_examined_whole),
		cmocka_unit_test(callbacks_that_say_again_are_examined_later),
		cmocka_unit_test(callbacks_that_fail_say_why),
		cmocka_unit_test(callbacks_that_give_more_than_was_asked_or_nothing_have_failed),
		cmocka_unit_test(a_header_block_without_end_is_refused),
		cmocka_unit_test(a_list_is_its_parts_one_after_the_other),
		cmocka_unit_test(a_list_with_a_pipe_can_be_sent_once),
		cmocka_unit_test(a_header_in_front_of_a_pipe_is_known),
		cmocka_unit_test(an_empty_list),
		cmocka_unit_test(lack_of_memory_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
