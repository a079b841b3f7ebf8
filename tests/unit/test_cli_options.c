/* SPDX-License-Identifier: MIT */
/* cli/options.h and cli/nearest.h, with a small table, and the table of `send` itself. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/charset.h"
#include "cli/nearest.h"
#include "cli/link_login.h"
#include "cli/send_options.h"

struct wanted {
	bool flag, weak, help;
	unsigned count;
	const char *text, *one, *other;
	struct ph__option_list list;
	uint64_t wait;
	struct ph__option_number number;
	int choice, level;
};

#define AT(member) offsetof(struct wanted, member)

static const struct ph__option_choice choices[] = { { "red", 3 }, { "blue", 4 }, { NULL, 0 } };

static const struct ph__option rows[] = {
	{ PH__OPTION_HEADING, .help = "Things" },
	{ PH__OPTION_FLAG, "json", NULL, NULL, "a flag", AT(flag) },
	{ PH__OPTION_FLAG, "insecure", NULL, NULL, "a weakening", AT(weak), .no_environment = true },
	{ PH__OPTION_COUNT, "verbose", "v", NULL, "a count", AT(count) },
	{ PH__OPTION_TEXT, "from", "fr", "ADDRESS", "a text", AT(text) },
	{ PH__OPTION_TEXT, "one", NULL, "X", "one or the other", AT(one), .group = 1,
	  .may_be_empty = true },
	{ PH__OPTION_TEXT, "other", NULL, "X", "the other or one", AT(other), .group = 1 },
	{ PH__OPTION_LIST, "to", NULL, "ADDRESS", "a list", AT(list) },
	{ PH__OPTION_DURATION, "connect-timeout", NULL, "TIME", "a duration", AT(wait) },
	{ PH__OPTION_NUMBER, "fd", NULL, "N", "a number", AT(number), .max = 99 },
	{ PH__OPTION_CHOICE, "colour", NULL, "C", "a choice", AT(choice), choices },
	{ PH__OPTION_SIGNED, "level", NULL, "N", "a signed number", AT(level), .max = 9 },
};

static const struct ph__option_foreign foreign[] = {
	{ "sender", "use --from" }, { "h-", "use --header" }, { NULL, NULL },
};

static const struct ph__options def = {
	.command = "test", .synopsis = "", .about = "", .rows = rows, .foreign = foreign,
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
an_empty_text_is_a_missing_value_unless_it_may_be_empty(void **state)
{
	(void)state;
	assert_int_equal(read_words("--from", "", NULL), PH_EUSAGE);
	assert_string_equal(err.text, "--from= is empty, and needs a value: --from ADDRESS");
	assert_int_equal(read_words("--one=", NULL), PH_OK);
	assert_string_equal(got.one, "");
}

static void
signed_numbers_have_their_sign_or_none(void **state)
{
	static const struct { const char *text; int n; } good[] = {
		{ "-9", -9 }, { "9", 9 }, { "+3", 3 }, { "0", 0 }, { "-0", 0 },
	};
	static const char *const bad[] = { "", "-", "+", "10", "-10", "--1", "1x", " 1", "1.0" };

	(void)state;
	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
		assert_int_equal(read_words("--level", good[i].text, NULL), PH_OK);
		assert_int_equal(got.level, good[i].n);
	}
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		assert_int_equal(read_words("--level", bad[i], NULL), PH_EUSAGE);
		assert_non_null(strstr(err.text, "not a number from -9 to 9"));
	}
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
names_of_other_programs_are_translated(void **state)
{
	(void)state;
	assert_int_equal(read_words("--sender", "x", NULL), PH_EUSAGE);
	assert_string_equal(err.text, "--sender: there is no such option");
	assert_string_equal(err.hint, "use --from");
	assert_int_equal(read_words("--h-Subject: x", NULL), PH_EUSAGE);
	assert_string_equal(err.hint, "use --header");
	assert_int_equal(read_words("--h", NULL), PH_EUSAGE);
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
	char name[40];
	size_t row = 0;

	(void)state;
	assert_null(ph__options_next_barred(&def, &row, name, sizeof name));
	setenv("POSTHASTE_INSECURE", "1", 1);
	assert_int_equal(read_words(NULL, NULL), PH_OK);
	assert_false(got.weak);
	row = 0;
	assert_string_equal(ph__options_next_barred(&def, &row, name, sizeof name), "POSTHASTE_INSECURE");
	assert_string_equal(def.rows[row++].name, "insecure");
	assert_null(ph__options_next_barred(&def, &row, name, sizeof name));
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
		"proxy", "proxy-password-file", "dane", "mta-sts", "dns", "trust-anchor", "mx-port",
	};

	(void)state;
	for (size_t i = 0; i < sizeof never / sizeof never[0]; i++)
		assert_false(in_environment(never[i]));
	assert_true(in_environment("server"));
	assert_true(in_environment("direct"));
	assert_true(in_environment("password-file"));
}

/* ---- straight to the recipients' servers ------------------------------------------------------- */

static struct ph__send_options sent;

/* Reads the words up to NULL as the command does. */
static enum ph_code
read_send(const char *first, ...)
{
	static char *argv[20];
	int argc = 0;
	bool help = false;
	va_list ap;

	ph__send_options_done(&sent);
	memset(&sent, 0, sizeof sent);
	err = (struct ph_error)PH_ERROR_INIT;
	argv[argc++] = (char *)"send";
	va_start(ap, first);
	for (const char *s = first; s != NULL; s = va_arg(ap, const char *))
		argv[argc++] = (char *)s;
	va_end(ap);
	argv[argc] = NULL;
	return ph__send_options_read(&sent, argc, argv, &help, &err);
}

static int
forget_environment(void **state)
{
	static const char *const names[] = { "POSTHASTE_SERVER", "POSTHASTE_DIRECT", "POSTHASTE_USER",
		"POSTHASTE_PASSWORD_FILE", "XDG_CACHE_HOME" };

	(void)state;
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		unsetenv(names[i]);
	ph__send_options_done(&sent);
	return 0;
}

static void
direct_takes_its_options(void **state)
{
	(void)state;
	assert_int_equal(read_send("--direct", "--dane=required", "--mta-sts=off", "--dns", "192.0.2.1@53",
	                           "--trust-anchor=k", "--mx-port=2525", "--tls=starttls", "--ca-file=c", NULL), PH_OK);
	ph__send_direct_settle(&sent.direct);
	assert_int_equal(sent.direct.opts.dane, PH_DANE_REQUIRED);
	assert_true(sent.direct.opts.no_mta_sts);
	assert_null(sent.direct.opts.mta_sts_cache);
	assert_string_equal(sent.direct.opts.dns, "192.0.2.1@53");
	assert_string_equal(sent.direct.opts.trust_anchor, "k");
	assert_int_equal(sent.direct.opts.mx_port, 2525);
}

static void
direct_excludes_what_speaks_of_one_server(void **state)
{
	static const char *const against[] = {
		"--server=smtp://h", "--connect=192.0.2.1", "--user=u", "--password-file=f", "--password-fd=3",
		"--password-command=c", "--oauth-token-file=f", "--auth=PLAIN", "--authzid=z",
		"--allow-clear-auth", "--proxy=socks5://h", "--pin=00", "--tls-name=n", "--insecure",
		"--tls=implicit", "--tls=off", "--mx-port=0",
	};

	(void)state;
	for (size_t i = 0; i < sizeof against / sizeof against[0]; i++) {
		assert_int_equal(read_send("--direct", against[i], NULL), PH_EUSAGE);
		assert_true(strncmp(err.text, "--direct and ", 13) == 0 || i == 16);
		assert_true(err.hint[0] != '\0');
		assert_null(strstr(err.hint, "--help"));
	}
}

static void
options_of_direct_need_it(void **state)
{
	static const char *const own[] = { "--mx-port=25", "--dane=off", "--mta-sts=off", "--dns=recursive",
		"--trust-anchor=f" };

	(void)state;
	for (size_t i = 0; i < sizeof own / sizeof own[0]; i++) {
		assert_int_equal(read_send("--server=smtp://h", own[i], NULL), PH_EUSAGE);
		assert_non_null(strstr(err.text, "only goes with --direct"));
		assert_non_null(strstr(err.hint, "--direct"));
	}
}

static void
requiretls_goes_with_direct_but_not_with_opportunistic_tls(void **state)
{
	(void)state;
	assert_int_equal(read_send("--direct", "--requiretls", NULL), PH_OK);
	assert_int_equal(read_send("--direct", "--requiretls", "--tls=opportunistic", NULL), PH_EUSAGE);
	assert_string_equal(err.hint, "leave --tls out");
}

static void
direct_on_the_command_line_silences_the_server_and_login_of_the_environment(void **state)
{
	(void)state;
	setenv("POSTHASTE_SERVER", "smtps://mail.example.org", 1);
	setenv("POSTHASTE_USER", "ann", 1);
	setenv("POSTHASTE_PASSWORD_FILE", "f", 1);
	assert_int_equal(read_send("--direct", NULL), PH_OK);
	assert_true(sent.direct.wanted);
	assert_null(sent.link.server);
	assert_null(sent.link.user);
	assert_null(sent.link.password_file);
	assert_int_equal(read_send("--direct", "--user=bob", NULL), PH_EUSAGE);
	setenv("POSTHASTE_DIRECT", "1", 1);
	assert_int_equal(read_send("-s", "x", NULL), PH_EUSAGE);
}

static void
a_server_on_the_command_line_silences_direct_in_the_environment(void **state)
{
	(void)state;
	setenv("POSTHASTE_DIRECT", "1", 1);
	assert_int_equal(read_send("-s", "x", NULL), PH_OK);
	assert_true(sent.direct.wanted);
	assert_int_equal(read_send("-S", "smtp://h", NULL), PH_OK);
	assert_false(sent.direct.wanted);
	assert_string_equal(sent.link.server, "smtp://h");
	setenv("POSTHASTE_DIRECT", "0", 1);
	setenv("POSTHASTE_SERVER", "smtp://k", 1);
	assert_int_equal(read_send("-s", "x", NULL), PH_OK);
}

static void
without_a_server_direct_is_spoken_of(void **state)
{
	(void)state;
	assert_int_equal(read_send("-s", "x", NULL), PH_ECONFIG);
	assert_non_null(strstr(err.hint, "--direct"));
	assert_non_null(strstr(err.hint, "--server"));
}

static void
policies_are_kept_below_the_cache_folder(void **state)
{
	char folder[] = "/tmp/ph-cli-XXXXXX", path[80];
	struct stat st;

	(void)state;
	assert_non_null(mkdtemp(folder));
	setenv("XDG_CACHE_HOME", folder, 1);
	assert_int_equal(read_send("--direct", NULL), PH_OK);
	ph__send_direct_settle(&sent.direct);
	snprintf(path, sizeof path, "%s/posthaste/mta-sts", folder);
	assert_string_equal(sent.direct.opts.mta_sts_cache, path);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
	rmdir(path);
	snprintf(path, sizeof path, "%s/posthaste", folder);
	rmdir(path);
	rmdir(folder);
}

static void
a_cache_folder_that_cannot_be_made_is_done_without(void **state)
{
	(void)state;
	setenv("XDG_CACHE_HOME", "/dev/null/cache", 1);
	assert_int_equal(read_send("--direct", NULL), PH_OK);
	ph__send_direct_settle(&sent.direct);
	assert_null(sent.direct.opts.mta_sts_cache);
	assert_non_null(strstr(sent.direct.problem, "/dev/null/cache"));
	assert_int_equal(read_send("--direct", "--mta-sts=off", NULL), PH_OK);
	ph__send_direct_settle(&sent.direct);
	assert_string_equal(sent.direct.problem, "");
}

static void
a_domain_stands_behind_the_last_at(void **state)
{
	(void)state;
	assert_string_equal(ph__domain_of("\"a@b\"@example.org"), "example.org");
	assert_string_equal(ph__domain_of("a@[192.0.2.1]"), "[192.0.2.1]");
	assert_null(ph__domain_of("postmaster"));
	assert_null(ph__domain_of("a@"));
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
		struct ph__link_options o = { .server = urls[i].url };
		char buf[40];
		const char *user = ph__link_user(&o, buf, sizeof buf);

		if (urls[i].user == NULL)
			assert_null(user);
		else
			assert_string_equal(user, urls[i].user);
	}
}

/* ---- what is asked of a server's extensions ---------------------------------------------------- */

#define NOW 1795446000 /* 2026-11-23T15:00:00Z */

static enum ph_code
read_extensions(struct ph__send_extensions *x)
{
	err = (struct ph_error)PH_ERROR_INIT;
	return ph__send_extensions_read(x, NOW, &err);
}

#define EXTENSIONS(...) (x = (struct ph__send_extensions){ __VA_ARGS__ }, read_extensions(&x))

static void
notify_is_never_or_a_list(void **state)
{
	static const char *const bad[] = { "", ",", "foo", "success,", "success,foo", "never,delay",
		"success delay", "success, delay" };
	struct ph__send_extensions x;

	(void)state;
	assert_int_equal(EXTENSIONS(.notify_words = "never"), PH_OK);
	assert_int_equal(x.notify, PH_NOTIFY_NEVER);
	assert_int_equal(EXTENSIONS(.notify_words = "Delay,SUCCESS,success"), PH_OK);
	assert_int_equal(x.notify, PH_NOTIFY_SUCCESS | PH_NOTIFY_DELAY);
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		assert_int_equal(EXTENSIONS(.notify_words = bad[i]), PH_EUSAGE);
		assert_non_null(strstr(err.text, "--notify="));
	}
}

static void
deliver_by_is_a_time_and_its_mode(void **state)
{
	static const struct { const char *text; int seconds; enum ph_by_mode mode; bool trace; } good[] = {
		{ "90", 90, PH_BY_RETURN, false }, { "90s", 90, PH_BY_RETURN, false },
		{ "30m,return", 1800, PH_BY_RETURN, false }, { "2h,notify", 7200, PH_BY_NOTIFY, false },
		{ "3d,trace,NOTIFY", 259200, PH_BY_NOTIFY, true }, { "1,trace", 1, PH_BY_RETURN, true },
		{ "999999999", 999999999, PH_BY_RETURN, false },
	};
	static const char *const bad[] = { "", "0", "x", "s", "-5", "1000000000", "11575d", "2h,", "2h,foo",
		"2h,return,notify", "2h,trace,trace", ",return", "1.5h", "2h return", "18446744073709551617" };
	struct ph__send_extensions x;

	(void)state;
	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
		assert_int_equal(EXTENSIONS(.deliver_by_words = good[i].text), PH_OK);
		assert_int_equal(x.by_seconds, good[i].seconds);
		assert_int_equal(x.by_mode, good[i].mode);
		assert_int_equal(x.by_trace, good[i].trace);
	}
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		if (EXTENSIONS(.deliver_by_words = bad[i]) != PH_EUSAGE)
			fail_msg("--deliver-by=%s was taken", bad[i]);
}

static void
hold_until_is_a_duration_or_a_point_in_time(void **state)
{
	static const struct { const char *text; uint64_t hold; int64_t until; } good[] = {
		{ "2h", 7200, 0 }, { "90", 90, 0 },
		{ "2026-11-23T15:00:01Z", 0, NOW + 1 }, { "2026-11-23t16:00:01+01:00", 0, NOW + 1 },
		{ "2026-11-23 09:30:01-05:30", 0, NOW + 1 }, { "2028-02-29T00:00:00.123z", 0, 1835395200 },
		{ "2100-03-01T00:00:00Z", 0, 4107542400 }, { "2026-12-31T23:59:60Z", 0, 1798761600 },
		{ "9999-12-31T23:59:59Z", 0, 253402300799 },
	};
	static const char *const bad[] = { "", "tomorrow", "2026-11-23T15:00:00Z", "1970-01-01T00:00:00Z",
		"2027-02-29T00:00:00Z", "2100-02-29T00:00:00Z", "2027-13-01T00:00:00Z", "2027-00-01T00:00:00Z",
		"2027-01-00T00:00:00Z", "2027-01-32T00:00:00Z", "2027-01-01T24:00:00Z", "2027-01-01T00:60:00Z",
		"2027-01-01T00:00:61Z", "2027-01-01T00:00:00", "2027-01-01T00:00Z", "2027-01-01",
		"2027-01-01T00:00:00+1:00", "2027-01-01T00:00:00+0100", "2027-01-01T00:00:00Zx",
		"2027-1-01T00:00:00Z", "02027-01-01T00:00:00Z", "2027-01-01T00:00:00+24:00", "0s" };
	struct ph__send_extensions x;

	(void)state;
	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
		if (EXTENSIONS(.hold_words = good[i].text) != PH_OK)
			fail_msg("%s", err.text);
		assert_int_equal(x.hold_for, good[i].hold);
		assert_int_equal(x.hold_until, good[i].until);
	}
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		if (EXTENSIONS(.hold_words = bad[i]) != PH_EUSAGE)
			fail_msg("--hold-until=%s was taken", bad[i]);
}

/* ---- logins ----------------------------------------------------------------------------------- */

static void
a_login_must_have_what_it_lives_on(void **state)
{
	static const struct { const char *auth, *user, *token, *cert, *file; const char *text, *hint; } cases[] = {
		{ NULL, NULL, NULL, NULL, NULL, NULL, NULL },
		{ NULL, "ann", NULL, NULL, NULL, NULL, NULL },
		{ NULL, NULL, "t", NULL, NULL, NULL, NULL },
		{ "plain,Login", "ann", NULL, NULL, NULL, NULL, NULL },
		{ "GSSAPI", NULL, NULL, NULL, NULL, NULL, NULL },
		{ "EXTERNAL", NULL, NULL, "c", NULL, NULL, NULL },
		{ "OAUTHBEARER", NULL, "t", NULL, NULL, NULL, NULL },
		{ "XOAUTH2", "ann", "t", NULL, NULL, NULL, NULL },
		{ "XOAUTH2,PLAIN", "ann", "t", NULL, NULL, NULL, NULL },
		{ "XOAUTH2,PLAIN", "ann", NULL, NULL, NULL, NULL, NULL },
		{ NULL, NULL, NULL, NULL, "f", "no user", "--user" },
		{ "PLAN", "ann", NULL, NULL, NULL, "\"PLAN\"", "did you mean PLAIN?" },
		{ "scram-sha256", "ann", NULL, NULL, NULL, "\"scram-sha256\"", "SCRAM-SHA-256" },
		{ "PLAIN,", "ann", NULL, NULL, NULL, "\"\"", "there are SCRAM-SHA-256-PLUS" },
		{ "", "ann", NULL, NULL, NULL, "\"\"", "there are" },
		{ "PLAIN LOGIN", "ann", NULL, NULL, NULL, "\"PLAIN LOGIN\"", "there are" },
		{ "PLAIN", NULL, NULL, NULL, NULL, "no user", "--user" },
		{ "EXTERNAL", "ann", NULL, NULL, NULL, "client certificate", "--cert" },
		{ "XOAUTH2", "ann", NULL, NULL, NULL, "by a token", "--oauth-token-file" },
		{ "XOAUTH2", NULL, "t", NULL, NULL, "no user", "--user" },
		{ "PLAIN", "ann", "t", NULL, NULL, "none of the mechanisms", "OAUTHBEARER" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct ph__link_options o = { .server = "smtp://host", .mechanisms = cases[i].auth,
			.user = cases[i].user, .token_file = cases[i].token, .tls.cert_file = cases[i].cert,
			.password_file = cases[i].file };
		enum ph_code rc;

		err = (struct ph_error)PH_ERROR_INIT;
		rc = ph__link_login_check(&o, &err);
		if (rc != (cases[i].text == NULL ? PH_OK : PH_EUSAGE) ||
		    (rc != PH_OK && (strstr(err.text, cases[i].text) == NULL || strstr(err.hint, cases[i].hint) == NULL)))
			fail_msg("row %zu: %s (%s)", i, err.text, err.hint);
	}
}

static void
a_password_is_asked_for_only_where_it_serves(void **state)
{
	static const struct { const char *auth, *server, *token; bool login, password; } cases[] = {
		{ NULL, "host", NULL, false, false }, { NULL, "ann@host", NULL, true, true },
		{ "GSSAPI", "ann@host", NULL, true, false }, { "EXTERNAL", "ann@host", NULL, true, false },
		{ "external,gssapi", "ann@host", NULL, true, false }, { "GSSAPI,PLAIN", "ann@host", NULL, true, true },
		{ "GSSAPI,PLAIN", "host", NULL, true, false }, { NULL, "ann@host", "t", true, false },
		{ NULL, "host", "t", true, false }, { "OAUTHBEARER,PLAIN", "ann@host", "t", true, false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct ph__link_options o = { .server = cases[i].server, .mechanisms = cases[i].auth,
			.token_file = cases[i].token };

		assert_int_equal(ph__link_login_wanted(&o), cases[i].login);
		assert_int_equal(ph__link_login_needs_password(&o), cases[i].password);
	}
}

/* ---- character sets --------------------------------------------------------------------------- */

static enum ph_code
to_utf8(const char *name, const char *text, size_t n, const char *want)
{
	struct ph__buf b;
	enum ph_code rc;

	err = (struct ph_error)PH_ERROR_INIT;
	ph__buf_init(&b, &ph__libc_memory, 1 << 20);
	ph__buf_add(&b, text, n);
	rc = ph__charset_to_utf8(&b, name, "text", &err);
	if (rc == PH_OK && want != NULL)
		assert_string_equal(ph__buf_cstr(&b), want);
	ph__buf_done(&b);
	return rc;
}
#define TO_UTF8(name, text, want) to_utf8(name, text, sizeof(text) - 1, want)

static void
texts_of_other_character_sets_become_utf8(void **state)
{
	static char many[100000];

	(void)state;
	assert_int_equal(TO_UTF8("iso-8859-1", "gr\xfc\xdf", "gr\xc3\xbc\xc3\x9f"), PH_OK);
	assert_int_equal(TO_UTF8("GBK", "\xc4\xe3\xba\xc3", "\xe4\xbd\xa0\xe5\xa5\xbd"), PH_OK);
	/* GBK's part of what is labelled GB2312, and GB18030's four octets in what is labelled GBK */
	assert_int_equal(TO_UTF8("gb2312", "\x81\x40", "\xe4\xb8\x82"), PH_OK);
	assert_int_equal(TO_UTF8("GBK", "\x81\x30\x81\x30", "\xc2\x80"), PH_OK);
	assert_int_equal(TO_UTF8("UTF-16", "\xff\xfe" "a\0b\0", "ab"), PH_OK);
	assert_int_equal(TO_UTF8("ISO-2022-JP", "\x1b$B$\"\x1b(B.", "\xe3\x81\x82."), PH_OK);
	assert_int_equal(TO_UTF8(NULL, "\xc3\xa4", "\xc3\xa4"), PH_OK);
	assert_int_equal(TO_UTF8("utf8", "", ""), PH_OK);
	assert_int_equal(TO_UTF8("GB18030", "", ""), PH_OK);
	memset(many, 0xe4, sizeof many);
	assert_int_equal(to_utf8("ISO-8859-1", many, sizeof many, NULL), PH_OK);
}

static void
an_octet_that_does_not_fit_is_named_with_its_offset(void **state)
{
	(void)state;
	assert_int_equal(TO_UTF8("GBK", "ab\xff", NULL), PH_EINPUT);
	assert_string_equal(err.text, "text: the octet 0xff at offset 2 does not fit into GBK");
	assert_int_equal(TO_UTF8("GB18030", "abc\xc4", NULL), PH_EINPUT);
	assert_non_null(strstr(err.text, "0xc4 at offset 3"));
	assert_int_equal(TO_UTF8("US-ASCII", "\x80", NULL), PH_EINPUT);
	assert_int_equal(TO_UTF8(NULL, "ab\xc3", NULL), PH_EINPUT);
	assert_string_equal(err.text, "text: the octet 0xc3 at offset 2 does not fit into UTF-8");
	assert_non_null(strstr(err.hint, "--charset"));
	assert_int_equal(TO_UTF8("UTF-8", "\xed\xa0\x80", NULL), PH_EINPUT);
	assert_int_equal(TO_UTF8("ISO-2022-JP", "ab\x1b$", NULL), PH_EINPUT);
}

static void
character_sets_that_nobody_knows_are_refused(void **state)
{
	static const char *const bad[] = { "", "FOO", "GBK//IGNORE", "ASCII//TRANSLIT", "UTF-8 ", "//",
		"latin1,utf8" };

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		err = (struct ph_error)PH_ERROR_INIT;
		assert_int_equal(ph__charset_check(bad[i], &err), PH_EUSAGE);
		assert_true(err.hint[0] != '\0');
	}
	assert_int_equal(ph__charset_check("gb2312", NULL), PH_OK);
	assert_int_equal(ph__charset_check("UFT-8", &err), PH_EUSAGE);
	assert_non_null(strstr(err.hint, "UTF-8"));
}

#define T(name) cmocka_unit_test_teardown(name, teardown)
#define S(name) cmocka_unit_test_teardown(name, forget_environment)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(every_kind_takes_its_value),
		T(short_forms_mean_the_same),
		T(operands_may_stand_before_options_and_begin_with_a_dash_after_two),
		T(durations_are_exact_or_refused),
		T(wrong_values_are_told_with_the_right_ones),
		T(an_empty_text_is_a_missing_value_unless_it_may_be_empty),
		T(signed_numbers_have_their_sign_or_none),
		T(unknown_options_are_answered_with_the_nearest),
		T(names_of_other_programs_are_translated),
		T(abbreviations_are_no_options),
		T(the_first_fault_is_told_and_the_rest_is_read),
		T(the_environment_stands_in_and_the_command_line_wins),
		T(a_weakening_is_not_taken_from_the_environment),
		T(options_of_a_group_exclude_each_other),
		T(near_words_come_nearest_first),
		T(send_takes_from_the_environment_what_does_not_weaken),
		S(direct_takes_its_options),
		S(direct_excludes_what_speaks_of_one_server),
		S(options_of_direct_need_it),
		S(requiretls_goes_with_direct_but_not_with_opportunistic_tls),
		S(direct_on_the_command_line_silences_the_server_and_login_of_the_environment),
		S(a_server_on_the_command_line_silences_direct_in_the_environment),
		S(without_a_server_direct_is_spoken_of),
		S(policies_are_kept_below_the_cache_folder),
		S(a_cache_folder_that_cannot_be_made_is_done_without),
		T(a_domain_stands_behind_the_last_at),
		T(the_user_of_the_url_is_found),
		T(notify_is_never_or_a_list),
		T(deliver_by_is_a_time_and_its_mode),
		T(hold_until_is_a_duration_or_a_point_in_time),
		T(a_login_must_have_what_it_lives_on),
		T(a_password_is_asked_for_only_where_it_serves),
		T(texts_of_other_character_sets_become_utf8),
		T(an_octet_that_does_not_fit_is_named_with_its_offset),
		T(character_sets_that_nobody_knows_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
