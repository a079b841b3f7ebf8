/* SPDX-License-Identifier: MIT */
/* The loader of modules: what it refuses, and what it says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/module.h"

static const struct ph__module_wanted wanted = { .name = "test", .what = "testing",
                                                 .library = "libtest1", .headers = "libtest-dev" };
static char dir[] = "/tmp/posthaste-modules-XXXXXX";
static char file[sizeof dir + 32];

static int
make_dir(void **state)
{
	(void)state;
	if (mkdtemp(dir) == NULL)
		return -1;
	snprintf(file, sizeof file, "%s/posthaste-test.so", dir);
	return setenv("POSTHASTE_MODULES", dir, 1);
}

static int
remove_dir(void **state)
{
	(void)state;
	unlink(file);
	return rmdir(dir);
}

static struct ph_error
refusal(void)
{
	struct ph_error err = PH_ERROR_INIT;

	assert_null(ph__module_load(&wanted, &err));
	assert_int_equal(err.code, PH_ECONFIG);
	assert_int_equal(err.cause, PH_CAUSE_MODULE);
	assert_null(ph__module_load(&wanted, NULL));
	return err;
}

static void
says(const char *text, const char *words)
{
	if (strstr(text, words) == NULL)
		fail_msg("\"%s\" is not in \"%s\"", words, text);
}

static void
a_missing_module_is_named_with_its_path_and_what_to_install(void **state)
{
	struct ph_error err = refusal();

	(void)state;
	says(err.text, file);
	says(err.text, "testing");
	says(err.hint, "libtest-dev");
	says(err.hint, "POSTHASTE_MODULES");
}

static void
without_the_variable_it_is_looked_for_where_it_is_installed(void **state)
{
	struct ph_error err;

	(void)state;
	unsetenv("POSTHASTE_MODULES");
	err = refusal();
	says(err.text, PH__MODULE_DIR "/posthaste-test.so");
	setenv("POSTHASTE_MODULES", "", 1);
	err = refusal();
	says(err.text, PH__MODULE_DIR "/posthaste-test.so");
	setenv("POSTHASTE_MODULES", dir, 1);
}

static void
what_is_no_library_is_refused_in_the_linkers_words(void **state)
{
	FILE *f = fopen(file, "w");
	struct ph_error err;

	(void)state;
	assert_non_null(f);
	fputs("not a library\n", f);
	fclose(f);
	err = refusal();
	says(err.text, "posthaste-test.so");
	says(err.hint, "libtest1");
	unlink(file);
}

/* Another library under the module's name: it has no table. */
static void
a_library_that_is_no_module_of_this_build_is_refused(void **state)
{
	struct ph_error err;

	(void)state;
	assert_int_equal(symlink(OTHER_MODULE, file), 0);
	err = refusal();
	says(err.text, "another build");
	says(err.hint, "make install");
	unlink(file);
}

static void
a_path_that_is_too_long_is_no_path(void **state)
{
	char *path = malloc(5000);
	struct ph_error err;

	(void)state;
	memset(path, '/', 4999);
	path[4999] = '\0';
	setenv("POSTHASTE_MODULES", path, 1);
	err = refusal();
	says(err.text, "too long");
	setenv("POSTHASTE_MODULES", dir, 1);
	free(path);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_missing_module_is_named_with_its_path_and_what_to_install),
		cmocka_unit_test(without_the_variable_it_is_looked_for_where_it_is_installed),
		cmocka_unit_test(what_is_no_library_is_refused_in_the_linkers_words),
		cmocka_unit_test(a_library_that_is_no_module_of_this_build_is_refused),
		cmocka_unit_test(a_path_that_is_too_long_is_no_path),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
