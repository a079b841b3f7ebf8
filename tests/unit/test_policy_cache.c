/* SPDX-License-Identifier: MIT */
/* MTA-STS policies that are kept (RFC 8461 §5.1, §10.2): in memory, in a folder, by several processes,
 * and against files that somebody else has put there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/bounds.h"
#include "base/error.h"
#include "failing_memory.h"
#include "route/lookup/policy_cache.h"

#define COUNT(a) (sizeof(a) / sizeof *(a))
#define NOW 1700000000
#define DOMAIN "example.com"
#define POLICY "version: STSv1\nmode: enforce\nmx: *.example.com\nmax_age: 604800\n"
#define OTHER "version: STSv1\nmode: testing\nmx: other.example.com\nmax_age: 86400\n"
#define NOBODY 65534

static char folder[64], file[128];

static int
fresh_folder(void **state)
{
	(void)state;
	snprintf(folder, sizeof folder, "/tmp/sts-cache-XXXXXX");
	assert_non_null(mkdtemp(folder));
	snprintf(file, sizeof file, "%s/" DOMAIN, folder);
	return 0;
}

static int
drop_folder(void **state)
{
	char command[100];

	(void)state;
	snprintf(command, sizeof command, "rm -rf %s", folder);
	return system(command);
}

static struct ph__policy_cache *
open_cache(const char *path)
{
	struct ph__policy_cache *c = NULL;

	assert_int_equal(ph__policy_cache_new(&c, path, &ph__libc_memory, NULL), PH_OK);
	return c;
}

static void
store(struct ph__policy_cache *c, const char *id, const char *text, int64_t now)
{
	assert_int_equal(ph__policy_cache_store(c, DOMAIN, id, ph__str(text), now, NULL), PH_OK);
}

/* What a look-up says: NULL no policy, else its id; and whether to fetch. */
static void
check(struct ph__policy_cache *c, const char *txt_id, int64_t now, const char *id, bool fetch)
{
	const struct ph__sts_policy *p;
	struct ph__sts_todo todo = ph__policy_cache_look(c, DOMAIN, txt_id, now, &p);

	assert_int_equal(todo.use, id != NULL);
	assert_int_equal(todo.use, p != NULL);
	if (id != NULL)
		assert_string_equal(p->id, id);
	assert_int_equal(todo.fetch, fetch);
	assert_ptr_equal(ph__policy_cache_policy(c, DOMAIN, now), p);
}

/* A process that begins now. */
static void
check_fresh(const char *txt_id, int64_t now, const char *id, bool fetch)
{
	struct ph__policy_cache *c = open_cache(folder);

	check(c, txt_id, now, id, fetch);
	ph__policy_cache_free(&c);
}

static void
write_file(const char *path, const char *text, size_t n)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, n), n);
	close(fd);
}

static size_t
read_file(const char *path, char *text, size_t size)
{
	int fd = open(path, O_RDONLY);
	ssize_t n;

	assert_true(fd >= 0);
	assert_true((n = read(fd, text, size - 1)) >= 0);
	close(fd);
	text[n] = '\0';
	return (size_t)n;
}

/* The file as the cache writes it. */
static size_t
kept(char *text, size_t size)
{
	struct ph__policy_cache *c = open_cache(folder);

	store(c, "id1", POLICY, NOW);
	ph__policy_cache_free(&c);
	return read_file(file, text, size);
}

static int
files(void)
{
	DIR *d = opendir(folder);
	int n = 0;

	while (readdir(d) != NULL)
		n++;
	closedir(d);
	return n - 2;
}

/* ---- memory ---------------------------------------------------------------------------------- */

static void
a_policy_holds_until_its_age_has_passed(void **state)
{
	struct ph__policy_cache *c = open_cache(NULL);

	(void)state;
	check(c, NULL, NOW, NULL, false);
	check(c, "id1", NOW, NULL, true);
	store(c, "id1", POLICY, NOW);
	check(c, "id1", NOW, "id1", false);
	check(c, NULL, NOW + 86399, "id1", false);
	check(c, NULL, NOW + 86400, "id1", true);      /* a day old (§10.2) */
	check(c, "id2", NOW + 1, "id1", true);         /* it holds until the new one is there (§5.1) */
	check(c, "id1", NOW + 604800, "id1", true);
	check(c, "id1", NOW + 604801, NULL, true);
	check(c, NULL, NOW + 604801, NULL, false);
	check(c, "id1", NOW - 3600, "id1", true);      /* the clock was set back */
	check(c, "id1", NOW - 604801, NULL, true);
	store(c, NULL, OTHER, NOW + 86400);            /* without TXT record: it stays id1's */
	check(c, "id1", NOW + 86401, "id1", false);
	assert_int_equal(ph__policy_cache_policy(c, "EXAMPLE.com", NOW + 86401)->mode, PH__STS_TESTING);
	assert_null(ph__policy_cache_policy(c, "other.example", NOW));
	ph__policy_cache_free(&c);
	assert_null(c);
	ph__policy_cache_free(&c);
}

static void
a_failing_fetch_keeps_the_policy_and_waits_five_minutes(void **state)
{
	struct ph__policy_cache *c = open_cache(NULL);
	struct ph_error err = PH_ERROR_INIT;

	(void)state;
	ph__policy_cache_failed(c, DOMAIN, "id1", NOW);
	check(c, "id1", NOW + 299, NULL, false);
	check(c, "id2", NOW + 299, NULL, true);
	check(c, "id1", NOW + 300, NULL, true);
	store(c, "id1", POLICY, NOW);
	assert_int_equal(ph__policy_cache_store(c, DOMAIN, "id2", ph__str("<html>"), NOW + 10, &err),
	                 PH_EPROTOCOL);
	assert_non_null(strstr(err.text, "invalid"));
	check(c, "id2", NOW + 20, "id1", false);
	check(c, "id2", NOW + 310, "id1", true);
	ph__policy_cache_failed(c, DOMAIN, NULL, NOW + 86400);
	check(c, NULL, NOW + 86401, "id1", false);
	check(c, "id1", NOW + 86401, "id1", true);
	assert_int_equal(ph__policy_cache_store(c, DOMAIN, NULL, ph__str("x"), NOW + 90000, NULL),
	                 PH_EPROTOCOL);
	check(c, NULL, NOW + 90001, "id1", false);
	ph__policy_cache_free(&c);
}

static void
memory_is_bounded(void **state)
{
	struct ph__policy_cache *c = open_cache(NULL);
	char name[40];

	(void)state;
	for (int i = 0; i < PH__POLICIES_KEPT + 100; i++) {
		snprintf(name, sizeof name, "d%d.example", i);
		assert_int_equal(ph__policy_cache_store(c, name, "a", ph__str(POLICY), NOW, NULL), PH_OK);
		assert_non_null(ph__policy_cache_policy(c, "d0.example", NOW)); /* asked for all the time */
	}
	assert_null(ph__policy_cache_policy(c, "d1.example", NOW));
	assert_null(ph__policy_cache_policy(c, "d100.example", NOW));
	assert_non_null(ph__policy_cache_policy(c, "d101.example", NOW));
	assert_non_null(ph__policy_cache_policy(c, name, NOW));
	ph__policy_cache_free(&c);
}

static void
a_lack_of_memory_leaves_nothing_behind(void **state)
{
	struct failing_memory fm;

	(void)state;
	for (size_t n = 1; failing_memory_try(&fm, n); n++) {
		struct ph__policy_cache *c;
		enum ph_code rc = ph__policy_cache_new(&c, folder, &fm.mem, NULL);

		if (rc == PH_OK) {
			ph__policy_cache_failed(c, "failed.example", "a", NOW);
			rc = ph__policy_cache_store(c, DOMAIN, "a", ph__str(POLICY), NOW, NULL);
			if (rc == PH_OK)
				assert_non_null(ph__policy_cache_policy(c, DOMAIN, NOW));
			ph__policy_cache_look(c, DOMAIN, "b", NOW, NULL);
			assert_true(rc == PH_OK || fm.failed);
			assert_true(ph__policy_cache_problem(c) == NULL || fm.failed);
		}
		ph__policy_cache_free(&c);
		assert_int_equal(fm.live, 0);
	}
}

/* ---- the folder ------------------------------------------------------------------------------ */

static void
a_policy_outlives_the_process(void **state)
{
	char text[1024];
	struct stat st;
	mode_t old = umask(0);

	(void)state;
	assert_int_equal(rmdir(folder), 0); /* it is made when needed */
	assert_true(kept(text, sizeof text) > 0);
	umask(old);
	assert_string_equal(text, "posthaste MTA-STS policy 1\ndomain: example.com\nfetched: 1700000000\n"
	                          "tried: 0\ntried_id: \nid: id1\nlength: 58\n\n"
	                          "version:STSv1\nmode:enforce\nmax_age:604800\nmx:*.example.com");
	assert_int_equal(stat(folder, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	assert_int_equal(stat(file, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	check_fresh("id1", NOW + 10, "id1", false);
	check_fresh(NULL, NOW + 10, "id1", false);
	check_fresh("id2", NOW + 10, "id1", true);
	check_fresh("id1", NOW + 604801, NULL, true);
	assert_int_equal(files(), 1);
}

static void
failures_outlive_the_process(void **state)
{
	struct ph__policy_cache *c = open_cache(folder);

	(void)state;
	ph__policy_cache_failed(c, DOMAIN, "id1", NOW);
	check_fresh("id1", NOW + 299, NULL, false);
	check_fresh("id2", NOW + 299, NULL, true);
	check_fresh("id1", NOW + 300, NULL, true);
	check_fresh(NULL, NOW, NULL, false);
	ph__policy_cache_free(&c);
}

static void
processes_see_what_others_have_found_out(void **state)
{
	struct ph__policy_cache *a = open_cache(folder), *b = open_cache(folder);

	(void)state;
	store(a, "id1", POLICY, NOW);
	check(b, "id1", NOW, "id1", false);
	store(b, "id2", OTHER, NOW + 100);
	check(a, "id2", NOW + 101, "id2", false);      /* no second fetch */
	ph__policy_cache_failed(a, DOMAIN, "id3", NOW + 200);
	check(b, "id3", NOW + 201, "id2", false);
	check(b, "id4", NOW + 201, "id2", true);
	/* a failure does not overwrite what another has fetched meanwhile */
	store(b, "id3", POLICY, NOW + 300);
	ph__policy_cache_failed(a, DOMAIN, "id4", NOW + 301);
	check_fresh("id3", NOW + 302, "id3", false);
	ph__policy_cache_free(&a);
	ph__policy_cache_free(&b);
}

static void
many_processes_write_at_once(void **state)
{
	enum { PROCESSES = 4, TIMES = 300 };
	struct ph__policy_cache *c = open_cache(folder);

	(void)state;
	store(c, "a", POLICY, NOW);
	for (int i = 0; i < PROCESSES; i++)
		if (fork() == 0) {
			struct ph__policy_cache *mine = open_cache(folder);

			for (int k = 0; k < TIMES; k++) {
				const struct ph__sts_policy *p;
				char id[20];

				snprintf(id, sizeof id, "p%dk%d", i, k);
				if (ph__policy_cache_store(mine, DOMAIN, id, ph__str(i % 2 ? POLICY : OTHER),
				                           NOW + k, NULL) != PH_OK)
					_exit(1);
				ph__policy_cache_failed(mine, DOMAIN, "x", NOW + k);
				ph__policy_cache_free(&mine);
				mine = open_cache(folder);
				/* one of them is always there, whole */
				if (!ph__policy_cache_look(mine, DOMAIN, "y", NOW + k, &p).use ||
				    p->mx_count != 1)
					_exit(2);
			}
			_exit(ph__policy_cache_problem(mine) != NULL ? 3 : 0);
		}
	for (int i = 0; i < PROCESSES; i++) {
		int status;

		assert_true(wait(&status) > 0);
		assert_int_equal(status, 0);
	}
	assert_int_equal(files(), 1);
	ph__policy_cache_free(&c);
}

static void
the_largest_policy_is_kept(void **state)
{
	static char text[PH__POLICY_MAX + 1];
	struct ph__policy_cache *c = open_cache(folder);
	size_t n = (size_t)sprintf(text, "version:STSv1\nmode:enforce\nmax_age:1\nmx:");
	const struct ph__sts_policy *p;

	(void)state;
	for (size_t i = 0; n + 100 < PH__POLICY_MAX; i++)
		n += (size_t)sprintf(text + n, "a%zu.bcdefghijklmnopqrstuvwxyz.ABCDEFGHIJKLMNOPQRSTUVWXYZ."
		                     "abcdefg.example.test\nmx:", i);
	memset(text + n, 'z', 63);
	text[n + 63] = '.';
	memset(text + n + 64, 'y', PH__POLICY_MAX - n - 64);
	assert_int_equal(strlen(text), PH__POLICY_MAX);
	store(c, "id1", text, NOW);
	assert_null(ph__policy_cache_problem(c));
	ph__policy_cache_free(&c);
	c = open_cache(folder);
	assert_true(ph__policy_cache_look(c, DOMAIN, "id1", NOW, &p).use);
	assert_true(p->mx_count > 600);
	assert_true(ph__sts_matches(p, "a600.bcdefghijklmnopqrstuvwxyz.abcdefghijklmnopqrstuvwxyz.abcdefg."
	                               "example.test"));
	ph__policy_cache_free(&c);
}

/* ---- hostile files --------------------------------------------------------------------------- */

static void
a_file_that_was_cut_off_is_none(void **state)
{
	char text[1024];
	size_t n = kept(text, sizeof text);

	(void)state;
	for (size_t i = 0; i < n; i++) {
		write_file(file, text, i);
		check_fresh("id1", NOW, NULL, true);
	}
	text[n] = '\n';
	write_file(file, text, n + 1);
	check_fresh("id1", NOW, NULL, true);
	write_file(file, text, n);
	check_fresh("id1", NOW, "id1", false);
}

static void
a_file_that_says_anything_else_is_none(void **state)
{
	static const struct { const char *from, *to; } rows[] = {
		{ "policy 1", "policy 2" }, { "posthaste", "Posthaste" }, { "example.com\nf", "example.org\nf" },
		{ "fetched: 1700000000", "fetched: -170000000" }, { "fetched: 1700000000", "fetched: x700000000" },
		{ "tried: 0", "tried: " }, { "tried: 0", "tried: 999999999999999999999" },
		{ "id: id1", "id: i/1" }, { "id: id1", "id: 123456789012345678901234567890123" },
		{ "tried_id: ", "tried_id: a b" }, { "tried_id: \n", "" }, { "length: 58", "length: 57" },
		{ "length: 58", "length: 59" }, { "length: 58", "length: 99999999999" }, { "length: 58\n\n", "length: 58\n" },
		{ "mode:enforce", "mode:ENFORCE" }, { "max_age:604800", "max_age:60480x" }, { "STSv1", "STSv9" },
		{ "mx:*.example", "mx:*.\xffxample" }, { "mx:*.example", "mx *.example" },
	};
	char text[1024], changed[1200];

	(void)state;
	kept(text, sizeof text);
	for (size_t i = 0; i < COUNT(rows); i++) {
		const char *at = strstr(text, rows[i].from);

		assert_non_null(at);
		snprintf(changed, sizeof changed, "%.*s%s%s", (int)(at - text), text, rows[i].to,
		         at + strlen(rows[i].from));
		write_file(file, changed, strlen(changed));
		check_fresh("id1", NOW, NULL, true);
	}
	for (size_t i = 0; i < strlen(text); i++) { /* any octet: never a crash, never another's policy */
		struct ph__policy_cache *c = open_cache(folder);
		const struct ph__sts_policy *p;

		memcpy(changed, text, sizeof text);
		changed[i] = '\0';
		write_file(file, changed, strlen(text));
		assert_false(ph__policy_cache_look(c, DOMAIN, "id1", NOW, &p).use);
		ph__policy_cache_free(&c);
	}
}

static void
a_file_that_is_not_ours_alone_is_none(void **state)
{
	char text[1024], real[160], zeros[4096] = { 0 };
	size_t n = kept(text, sizeof text);

	(void)state;
	assert_int_equal(chmod(file, 0620), 0);
	check_fresh("id1", NOW, NULL, true);
	assert_int_equal(chmod(file, 0602), 0);
	check_fresh("id1", NOW, NULL, true);
	assert_int_equal(chmod(file, 0644), 0);
	check_fresh("id1", NOW, "id1", false);
	if (geteuid() == 0) {
		assert_int_equal(chown(file, NOBODY, (gid_t)-1), 0);
		check_fresh("id1", NOW, NULL, true);
	}
	/* a symlink, even to a good file; a named pipe; a folder */
	snprintf(real, sizeof real, "%s/real", folder);
	write_file(real, text, n);
	unlink(file);
	assert_int_equal(symlink(real, file), 0);
	check_fresh("id1", NOW, NULL, true);
	unlink(file);
	assert_int_equal(symlink("/etc/passwd", file), 0);
	check_fresh("id1", NOW, NULL, true);
	unlink(file);
	assert_int_equal(mkfifo(file, 0600), 0);
	check_fresh("id1", NOW, NULL, true);
	unlink(file);
	assert_int_equal(mkdir(file, 0700), 0);
	check_fresh("id1", NOW, NULL, true);
	rmdir(file);
	/* a hole of a gigabyte, and a file of another domain under this one's name */
	write_file(file, zeros, sizeof zeros);
	assert_int_equal(truncate(file, 1 << 30), 0);
	check_fresh("id1", NOW, NULL, true);
	unlink(file);
	assert_int_equal(link(real, file), 0);
	check_fresh("id1", NOW, "id1", false);
	snprintf(file, sizeof file, "%s/other.example", folder);
	write_file(file, text, n);
	struct ph__policy_cache *c = open_cache(folder);
	assert_false(ph__policy_cache_look(c, "other.example", "id1", NOW, NULL).use);
	ph__policy_cache_free(&c);
}

static void
what_is_in_the_way_is_replaced(void **state)
{
	struct ph__policy_cache *c = open_cache(folder);
	char real[160], text[1024];

	(void)state;
	snprintf(real, sizeof real, "%s/real", folder);
	write_file(real, "precious", 8);
	assert_int_equal(symlink(real, file), 0);
	store(c, "id1", POLICY, NOW);
	assert_null(ph__policy_cache_problem(c));
	check_fresh("id1", NOW, "id1", false);
	read_file(real, text, sizeof text);
	assert_string_equal(text, "precious");
	unlink(file);
	assert_int_equal(mkdir(file, 0700), 0);
	store(c, "id1", POLICY, NOW);
	assert_non_null(strstr(ph__policy_cache_problem(c), "directory"));
	assert_non_null(strstr(ph__policy_cache_problem(c), folder));
	assert_int_equal(files(), 2); /* nothing is left over */
	rmdir(file);
	store(c, "id1", POLICY, NOW);
	assert_null(ph__policy_cache_problem(c));
	ph__policy_cache_free(&c);
}

static void
no_domain_leads_out_of_the_folder(void **state)
{
	static const char *const domains[] = { "", ".", "..", "../x", "a/b", "/etc/passwd", ".hidden", "a..b", "a.",
	                                       "a b", "a\nb", "\xc3\xa4.example", "a\\b", ".new-1" };
	struct ph__policy_cache *c = open_cache(folder);
	char longest[300];

	(void)state;
	memset(longest, 'a', 254);
	longest[63] = longest[127] = longest[191] = '.';
	longest[254] = '\0';
	for (size_t i = 0; i <= COUNT(domains); i++) {
		const char *d = i < COUNT(domains) ? domains[i] : longest;
		struct ph__sts_todo todo = ph__policy_cache_look(c, d, "a", NOW, NULL);

		assert_false(todo.use || todo.fetch);
		assert_int_equal(ph__policy_cache_store(c, d, "a", ph__str(POLICY), NOW, NULL), PH_EINPUT);
		ph__policy_cache_failed(c, d, "a", NOW);
		assert_null(ph__policy_cache_policy(c, d, NOW));
	}
	assert_int_equal(files(), 0);
	longest[253] = '\0';
	assert_int_equal(ph__policy_cache_store(c, longest, "a", ph__str(POLICY), NOW, NULL), PH_OK);
	assert_int_equal(files(), 1);
	assert_null(ph__policy_cache_problem(c));
	ph__policy_cache_free(&c);
}

/* ---- folders that cannot be used ------------------------------------------------------------- */

static void
check_works_in_memory(const char *path, const char *why)
{
	struct ph__policy_cache *c = open_cache(path);

	store(c, "id1", POLICY, NOW);
	check(c, "id1", NOW, "id1", false);
	assert_non_null(ph__policy_cache_problem(c));
	if (strstr(ph__policy_cache_problem(c), why) == NULL)
		fail_msg("%s", ph__policy_cache_problem(c));
	ph__policy_cache_free(&c);
}

static void
a_folder_that_cannot_be_used_is_said_and_memory_serves(void **state)
{
	char path[200];

	(void)state;
	snprintf(path, sizeof path, "%s/no/such", folder);
	check_works_in_memory(path, "cannot make the folder");
	write_file(file, "x", 1);
	check_works_in_memory(file, "cannot open the folder");
	unlink(file);
	assert_int_equal(chmod(folder, 0770), 0);
	check_works_in_memory(folder, "others may write in it");
	assert_int_equal(chmod(folder, 01777), 0);
	check_works_in_memory(folder, "others may write in it");
	assert_int_equal(chmod(folder, 0755), 0);
	if (geteuid() == 0) {
		assert_int_equal(chown(folder, NOBODY, (gid_t)-1), 0);
		check_works_in_memory(folder, "belongs to somebody else");
		assert_int_equal(chown(folder, 0, (gid_t)-1), 0);
		assert_int_equal(seteuid(NOBODY), 0);
		check_works_in_memory(folder, "cannot write into the folder");
		assert_int_equal(seteuid(0), 0);
	} else {
		assert_int_equal(chmod(folder, 0500), 0);
		check_works_in_memory(folder, "cannot write into the folder");
		assert_int_equal(chmod(folder, 0700), 0);
	}
	assert_int_equal(files(), 0);
	assert_int_equal(rmdir(folder), 0); /* taken away while it is open */
	fresh_folder(NULL);
	struct ph__policy_cache *c = open_cache(folder);
	assert_int_equal(rmdir(folder), 0);
	store(c, "id1", POLICY, NOW);
	check(c, "id1", NOW, "id1", false);
	assert_non_null(ph__policy_cache_problem(c));
	ph__policy_cache_free(&c);
}

static void
roots_files_are_trusted_by_everybody(void **state)
{
	char text[1024];

	(void)state;
	kept(text, sizeof text);
	assert_int_equal(chmod(folder, 0755), 0);
	assert_int_equal(chmod(file, 0644), 0);
	if (geteuid() == 0)
		assert_int_equal(seteuid(NOBODY), 0);
	check_fresh("id1", NOW, "id1", false);
	if (getuid() == 0)
		assert_int_equal(seteuid(0), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fresh_folder, drop_folder)

/* No policy is forgotten for a shortage that passes: without it the mail might go in clear. */
static void
a_policy_that_cannot_be_read_now_is_not_as_if_there_were_none(void **state)
{
	struct ph__policy_cache *c = open_cache(folder), *fresh;
	struct rlimit all, none;
	struct failing_memory fm;
	const struct ph__sts_policy *p;
	struct ph__sts_todo todo;

	(void)state;
	store(c, "1", POLICY, NOW);
	ph__policy_cache_free(&c);
	c = open_cache(folder);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &all), 0);
	none = (struct rlimit){ .rlim_cur = 3, .rlim_max = all.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	todo = ph__policy_cache_look(c, DOMAIN, NULL, NOW, NULL);
	ph__policy_cache_failed(c, DOMAIN, "2", NOW);
	assert_int_equal(ph__policy_cache_new(&fresh, folder, &ph__libc_memory, NULL), PH_ESYSTEM);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &all), 0);
	assert_true(todo.lost);
	assert_null(fresh);
	ph__policy_cache_free(&c);
	check_fresh("1", NOW, "1", false);
	for (size_t n = 1; failing_memory_try(&fm, n); n++) {
		if (ph__policy_cache_new(&c, folder, &fm.mem, NULL) != PH_OK)
			continue;
		todo = ph__policy_cache_look(c, DOMAIN, "1", NOW, &p);
		assert_true(todo.use != todo.lost);
		ph__policy_cache_free(&c);
		assert_int_equal(fm.live, 0);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_policy_holds_until_its_age_has_passed),
		TEST(a_failing_fetch_keeps_the_policy_and_waits_five_minutes),
		TEST(a_policy_that_cannot_be_read_now_is_not_as_if_there_were_none),
		TEST(memory_is_bounded),
		TEST(a_lack_of_memory_leaves_nothing_behind),
		TEST(a_policy_outlives_the_process),
		TEST(failures_outlive_the_process),
		TEST(processes_see_what_others_have_found_out),
		TEST(many_processes_write_at_once),
		TEST(the_largest_policy_is_kept),
		TEST(a_file_that_was_cut_off_is_none),
		TEST(a_file_that_says_anything_else_is_none),
		TEST(a_file_that_is_not_ours_alone_is_none),
		TEST(what_is_in_the_way_is_replaced),
		TEST(no_domain_leads_out_of_the_folder),
		TEST(a_folder_that_cannot_be_used_is_said_and_memory_serves),
		TEST(roots_files_are_trusted_by_everybody),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
