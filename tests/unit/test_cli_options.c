/* SPDX-License-Identifier: MIT */
/* cli/options.h and cli/nearest.h, with a small table, and the table of `send` itself. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "cli/nearest.h"
#include "cli/send_options.h"

struct wanted {
	bool flag, weak, help;
	unsigned count;
	const char *text, *one, *other;
	struct ph__option_list list;
	uint64_t wait;
	struct ph__option_number number;
	int choice;
};

#define AT(member) offsetof(struct wanted, member)

static const struct ph__option_choice choices[] = { { "red", 3 }, { "blue", 4 }, { NULL, 0 } };

static const struct ph__option rows[] = {
	{ PH__OPTION_HEADING, .help = "Things" },
	{ PH__OPTION_FLAG, "json", NULL, NULL, "a flag", AT(flag) },
	{ PH__OPTION_FLAG, "insecure", NULL, NULL, "a weakening", AT(weak), .no_environment = true },
	{ PH__OPTION_COUNT, "verbose", "v", NULL, "a count", AT(count) },
	{ PH__OPTION_TEXT, "from", "fr", "ADDRESS", "a text", AT(text) },
	{ PH__OPTION_TEXT, "one", NULL, "X", "one or the other", AT(one), .group = 1 },
	{ PH__OPTION_TEXT, "other", NULL, "X", "the other or one", AT(other), .group = 1 },
	{ PH__OPTION_LIST, "to", NULL, "ADDRESS", "a list", AT(list) },
	{ PH__OPTION_DURATION, "connect-timeout", NULL, "TIME", "a duration", AT(wait) },
	{ PH__OPTION_NUMBER, "fd", NULL, "N", "a number", AT(number), .max = 99 },
	{ PH__OPTION_CHOICE, "colour", NULL, "C", "a choice", AT(choice), choices },
};

static const struct ph__options def = {
	.command = "test", .synopsis = "", .about = "", .rows = rows,
	.count = sizeof rows / sizeof rows[0], .environment = true,
};

static struct wanted got;
static struct ph_error err;
static int operands;

/* Reads the words up to NULL. */
static enum ph_code
read_words(const char *first, ...)
{
	static char *argv[20];
	int argc = 0;
	va_list ap;

	ph__options_done(&def, &got);
	memset(&got, 0, sizeof got);
	err = (struct ph_error)PH_ERROR_INIT;
	argv[argc++] = (char *)"test";
	va_start(ap, first);
	for (const char *s = first; s != NULL; s = va_arg(ap, const char *))
		argv[argc++] = (char *)s;
	va_end(ap);
	argv[argc] = NULL;
	return ph__options_read(&def, argc, argv, &got, &operands, &got.help, &err);
}

static int
teardown(void **state)
{
	(void)state;
	ph__options_done(&def, &got);
	unsetenv("POSTHASTE_JSON");
	unsetenv("POSTHASTE_TO");
	unsetenv("POSTHASTE_ONE");
	unsetenv("POSTHASTE_CONNECT_TIMEOUT");
	unsetenv("POSTHASTE_INSECURE");
	unsetenv("POSTHASTE_FROM");
	return 0;
}

static void
every_kind_takes_its_value(void **state)
{
	(void)state;
	assert_int_equal(read_words("--json", "-vv", "--from", "a", "--to=b", "--to", "c", "--fd=7",
	                            "--connect-timeout", "2m", "--colour=BLUE", "x", "y", NULL), PH_OK);
	assert_true(got.flag);
	assert_int_equal(got.count, 2);
	assert_string_equal(got.text, "a");
	assert_int_equal(got.list.count, 2);
	assert_string_equal(got.list.items[0], "b");
	assert_string_equal(got.list.items[1], "c");
	assert_true(got.number.given);
	assert_int_equal(got.number.value, 7);
	assert_int_equal(got.wait, 120000);
	assert_int_equal(got.choice, 4);
	assert_int_equal(operands, 12);
}

static void
short_forms_mean_the_same(void **state)
{
	(void)state;
	assert_int_equal(read_words("-f", "a", NULL), PH_OK);
	assert_string_equal(got.text, "a");
	assert_int_equal(read_words("-vrb", NULL), PH_OK);
	assert_string_equal(got.text, "b");
}

static void
operands_may_stand_before_options_and_begin_with_a_dash_after_two(void **state)
{
	(void)state;
	assert_int_equal(read_words("x", "--json", NULL), PH_OK);
	assert_true(got.flag);
	assert_int_equal(operands, 2);
	assert_int_equal(read_words("--", "--json", NULL), PH_OK);
	assert_false(got.flag);
	assert_int_equal(operands, 2);
}

static void
durations_are_exact_or_refused(void **state)
{
	static const struct { const char *text; uint64_t ms; } good[] = {
		{ "30", 30000 }, { "30s", 30000 }, { "500ms", 500 }, { "1h", 3600000 },
		{ "168h", 604800000 },
	};
	static const char *const bad[] = {
		"", "s", "0", "5x", "-1", "1.5", "169h", "30 s", "99999999999999999999", "1m30s",
	};

	(void)state;
	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
		assert_int_equal(read_words("--connect-timeout", good[i].text, NULL), PH_OK);
		assert_int_equal(got.wait, good[i].ms);
	}
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		assert_int_equal(read_words("--connect-timeout", bad[i], NULL), PH_EUSAGE);
		assert_non_null(strstr(err.text, "--connect-timeout="));
	}
}

static void
wrong_values_are_told_with_the_right_ones(void **state)
{
	(void)state;
	assert_int_equal(read_words("--colour", "green", NULL), PH_EUSAGE);
	assert_string_equal(err.text, "--colour=green: no such choice; write red or blue");
	assert_int_equal(read_words("--fd=100", NULL), PH_EUSAGE);
	assert_string_equal(err.text, "--fd=100: not a number from 0 to 99");
	assert_int_equal(read_words("--from", NULL), PH_EUSAGE);
	assert_string_equal(err.text, "--from needs a value: --from ADDRESS");
	assert_int_equal(read_words("--json=1", NULL), PH_EUSAGE);
	assert_string_equal(err.text, "--json takes no value");
}

static void
unknown_options_are_answered_with_the_nearest(void **state)
{
	(void)state;
	assert_int_equal(read_words("--form", "x", NULL), PH_EUSAGE);
	assert_string_equal(err.text, "--form: there is no such option");
	assert_string_equal(err.hint, "did you mean --from?");
	assert_int_equal(read_words("-q", NULL), PH_EUSAGE);
	assert_string_equal(err.text, "-q: there is no such option");
	assert_int_equal(read_words("--zzzzzz", NULL), PH_EUSAGE);
	assert_string_equal(err.hint, "posthaste test --help lists the options");
}

static void
abbreviations_are_no_options(void **state)
{
	(void)state;
	assert_int_equal(read_words("--insec", NULL), PH_EUSAGE);
	assert_false(got.weak);
	assert_string_equal(err.hint, "did you mean --insecure?");
	assert_int_equal(read_words("--fro", "x", NULL), PH_EUSAGE);
	assert_null(got.text);
	assert_int_equal(read_words("--hel", NULL), PH_EUSAGE);
	assert_false(got.help);
}

static void
the_first_fault_is_told_and_the_rest_is_read(void **state)
{
	(void)state;
	assert_int_equal(read_words("--colour=green", "--fd=x", "--json", NULL), PH_EUSAGE);
	assert_non_null(strstr(err.text, "green"));
	assert_true(got.flag);
}

static void
the_environment_stands_in_and_the_command_line_wins(void **state)
{
	(void)state;
	setenv("POSTHASTE_CONNECT_TIMEOUT", "7", 1);
	setenv("POSTHASTE_TO", "env@x", 1);
	setenv("POSTHASTE_JSON", "yes", 1);
	setenv("POSTHASTE_FROM", "", 1);
	assert_int_equal(read_words(NULL, NULL), PH_OK);
	assert_int_equal(got.wait, 7000);
	assert_true(got.flag);
	assert_null(got.text);
	assert_int_equal(read_words("--to", "a", "--to", "b", "--connect-timeout", "8", NULL), PH_OK);
	assert_int_equal(got.list.count, 2);
	assert_string_equal(got.list.items[0], "a");
	assert_int_equal(got.wait, 8000);
	setenv("POSTHASTE_JSON", "perhaps", 1);
	assert_int_equal(read_words(NULL, NULL), PH_EUSAGE);
	assert_string_equal(err.text, "POSTHASTE_JSON=perhaps: write 1 or 0");
}

static void
a_weakening_is_not_taken_from_the_environment(void **state)
{
	(void)state;
	setenv("POSTHASTE_INSECURE", "1", 1);
	assert_int_equal(read_words(NULL, NULL), PH_OK);
	assert_false(got.weak);
}

static void
options_of_a_group_exclude_each_other(void **state)
{
	(void)state;
	assert_int_equal(read_words("--one", "a", "--other", "b", NULL), PH_EUSAGE);
	assert_string_equal(err.text, "--one and --other cannot be used together");
	setenv("POSTHASTE_ONE", "env", 1);
	assert_int_equal(read_words("--other", "b", NULL), PH_OK);
	assert_null(got.one);
	assert_string_equal(got.other, "b");
}

static void
near_words_come_nearest_first(void **state)
{
	struct ph__nearest n = { 0 };
	char text[100];

	(void)state;
	ph__nearest_text(&n, "", text, sizeof text);
	assert_string_equal(text, "");
	ph__nearest_offer(&n, "sned", "seed");
	ph__nearest_offer(&n, "sned", "sent");
	ph__nearest_offer(&n, "sned", "send");
	ph__nearest_offer(&n, "sned", "queue");
	ph__nearest_text(&n, "--", text, sizeof text);
	assert_string_equal(text, "--seed, --send or --sent");
}

static bool
in_environment(const char *name)
{
	for (size_t i = 0; i < ph__send_options_def.count; i++) {
		const struct ph__option *o = &ph__send_options_def.rows[i];

		if (o->name != NULL && strcmp(o->name, name) == 0)
			return !o->no_environment;
	}
	fail_msg("there is no --%s", name);
	return false;
}

static void
send_takes_from_the_environment_what_does_not_weaken(void **state)
{
	static const char *const never[] = {
		"insecure", "tls", "allow-clear-auth", "password-command", "connect", "ca-file",
	};

	(void)state;
	for (size_t i = 0; i < sizeof never / sizeof never[0]; i++)
		assert_false(in_environment(never[i]));
	assert_true(in_environment("server"));
	assert_true(in_environment("password-file"));
}

static void
the_user_of_the_url_is_found(void **state)
{
	static const struct { const char *url, *user; } urls[] = {
		{ "smtps://ann@host", "ann" }, { "ann@host:25", "ann" }, { "smtp://host", NULL },
		{ "smtp://@host", NULL }, { "lmtp:///a@b", NULL },
		{ "smtps://ann@x.org@host", "ann@x.org" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof urls / sizeof urls[0]; i++) {
		struct ph__send_options o = { .server = urls[i].url };
		char buf[40];
		const char *user = ph__send_options_user(&o, buf, sizeof buf);

		if (urls[i].user == NULL)
			assert_null(user);
		else
			assert_string_equal(user, urls[i].user);
	}
}

#define T(name) cmocka_unit_test_teardown(name, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(every_kind_takes_its_value),
		T(short_forms_mean_the_same),
		T(operands_may_stand_before_options_and_begin_with_a_dash_after_two),
		T(durations_are_exact_or_refused),
		T(wrong_values_are_told_with_the_right_ones),
		T(unknown_options_are_answered_with_the_nearest),
		T(abbreviations_are_no_options),
		T(the_first_fault_is_told_and_the_rest_is_read),
		T(the_environment_stands_in_and_the_command_line_wins),
		T(a_weakening_is_not_taken_from_the_environment),
		T(options_of_a_group_exclude_each_other),
		T(near_words_come_nearest_first),
		T(send_takes_from_the_environment_what_does_not_weaken),
		T(the_user_of_the_url_is_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
