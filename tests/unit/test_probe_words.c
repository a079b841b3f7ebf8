/* SPDX-License-Identifier: MIT */
/* cli/probe_words.h: a swaks user's command lines, and what they become; then cli/probe_options.h: what
 * it comes to. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "cli/probe_options.h"
#include "cli/probe_words.h"

#define WORDS_MAX 24
#define LINE_MAX_ 600

static struct ph__words words;
static struct ph__probe_options o;
static struct ph__buf password;
static struct ph_error err;
static char store[LINE_MAX_];
static char *argv[WORDS_MAX];

static enum ph_code
answer(const char *question, struct ph__buf *into, struct ph_error *e)
{
	(void)e;
	ph__buf_addf(into, "answer to %s", question);
	return PH_OK;
}

static void
forget(void)
{
	ph__words_done(&words);
	ph__probe_options_done(&o);
	ph__buf_done(&password);
}

static int
setup(void **state)
{
	(void)state;
	ph__buf_init(&password, &ph__libc_memory, 4096);
	ph__arena_init(&words.arena, &ph__libc_memory);
	ph__arena_init(&o.arena, &ph__libc_memory);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	forget();
	return 0;
}

/* Translates a line of words with single spaces between; "\1" in a word is a space, "\2" an empty one. */
static enum ph_code
translate(const char *line)
{
	int argc = 0;

	forget();
	words = (struct ph__words){ .def = &ph__probe_options_def, .ask = answer };
	o = (struct ph__probe_options){ .server = NULL };
	ph__arena_init(&o.arena, &ph__libc_memory);
	ph__buf_init(&password, &ph__libc_memory, 4096);
	err = (struct ph_error)PH_ERROR_INIT;
	snprintf(store, sizeof store, "probe %s", line);
	for (char *p = store; p != NULL && argc < WORDS_MAX - 1; ) {
		char *space = strchr(p, ' ');

		argv[argc++] = p;
		if (space != NULL)
			*space++ = '\0';
		for (char *c = p; *c != '\0'; c++)
			*c = *c == '\1' ? ' ' : *c == '\2' ? '\0' : *c;
		p = space;
	}
	argv[argc] = NULL;
	return ph__words_translate(&words, argc, argv, &password, &err);
}

/* The same, and their meaning. */
static enum ph_code
read_line(const char *line)
{
	bool help = false;
	enum ph_code rc = translate(line);

	o.link.has_password = words.password_given;
	o.wants_login = words.password_wanted;
	return rc == PH_OK ? ph__probe_options_read(&o, words.argc, words.argv, &help, &err) : rc;
}

static void
joined(char *buf, size_t size)
{
	size_t used = 0;

	*buf = '\0';
	for (int i = 1; i < words.argc; i++)
		used += (size_t)snprintf(buf + used, size - used, "%s%s", i > 1 ? " | " : "", words.argv[i]);
}

static void
swaks_words_become_our_options(void **state)
{
	static const struct { const char *line, *becomes; } cases[] = {
		{ "-s mx -p 26 -t a@b -f c@d -h me", "--server=mx | --port=26 | --to=a@b | --from=c@d | --helo=me" },
		{ "--s mx", "--server=mx" }, { "-server mx", "--server=mx" }, { "--server=mx", "--server=mx" },
		{ "-tls", "--lax-tls=starttls" }, { "--tls -q rcpt", "--lax-tls=starttls | --quit-after=rcpt" },
		{ "--tls starttls", "--tls=starttls" }, { "--tls=off", "--tls=off" },
		{ "-tlsc", "--lax-tls=implicit" }, { "--tls-on-connect", "--lax-tls=implicit" },
		{ "-tlso", "--lax-tls=optional" }, { "-tlsos", "--lax-tls=optional-strict" },
		{ "-a", "--auth=" }, { "-a PLAIN,LOGIN", "--auth=PLAIN,LOGIN" }, { "-a -n", "--auth= | --suppress-data" },
		{ "-ao LOGIN", "--auth-optional=LOGIN" }, { "-aos", "--auth-optional-strict=" },
		{ "-au ann", "--user=ann" }, { "--auth-user ann", "--user=ann" },
		{ "-q ehlo", "--quit-after=helo" }, { "--quit EHLO", "--quit-after=helo" },
		{ "--quit-after ehlo", "--quit-after=ehlo" }, { "-q first-ehlo", "--quit-after=first-ehlo" },
		{ "--da dot", "--drop-after=dot" }, { "-das mail", "--drop-after-send=mail" },
		{ "-4", "--ip=4" }, { "-6", "--ip=6" }, { "-li 127.0.0.2", "--source-ip=127.0.0.2" },
		{ "--ehlo x", "--helo=x" }, { "--lhlo x", "--helo=x" },
		{ "-d -", "--data=-" }, { "-g", "--data=-" }, { "--body @f", "--body=@f" }, { "-n", "--suppress-data" },
		{ "--h-Subject a\1b", "--header=Subject: a b" }, { "--h-Subject: x", "--header=Subject: x" },
		{ "--header-X-A=1", "--header=X-A: 1" }, { "-ah X:\1y", "--add-header=X: y" },
		{ "--attach-type text/x --attach-name n --attach @f", "--attach=ttext/x | --attach=nn | --attach=a@f" },
		{ "--attach-body x --attach-name", "--attach=bx | --attach=n" },
		{ "-S", "--silent=1" }, { "-S 2", "--silent=2" }, { "-S -n", "--silent=1 | --suppress-data" },
		{ "--timeout 0", "--timeout=168h" }, { "--timeout 5s", "--timeout=5s" },
		{ "--xclient NAME=a\1ADDR=b\1c", "--xclient=NAME=a | --xclient=ADDR=b c" },
		{ "--xclient-helo a\1b", "--xclient=HELO=a b" },
		{ "--xclient-reverse-name x", "--xclient=REVERSE_NAME=x" },
		{ "--proxy-source 192.0.2.1 --proxy-source-port 1 --proxy-dest 192.0.2.2 --proxy-dest-port 25",
		  "--proxy-header=v1 192.0.2.1:1 192.0.2.2:25" },
		{ "--proxy-version 2 --proxy-source ::1 --proxy-source-port 1 --proxy-dest ::2 --proxy-dest-port 2",
		  "--proxy-header=v2 [::1]:1 [::2]:2" },
		{ "--proxy socks5://h", "--proxy=socks5://h" },
		{ "-stl -pp -ahp", "" }, { "-stl i", "" },
		{ "--quit-after rcpt --json", "--quit-after=rcpt | --json" }, { "-json", "--json" },
		{ "--server-help", "--server-help=" }, { "--server-help MAIL", "--server-help=MAIL" },
		{ "word -- -x", "word | -- | -x" }, { "--nonsense", "--nonsense" },
		{ "--verify -x", "--verify=-x" }, { "-f <>", "--from=<>" }, { "-f \2", "--from=" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		char got[LINE_MAX_];

		if (translate(cases[i].line) != PH_OK)
			fail_msg("%s: %s", cases[i].line, err.text);
		joined(got, sizeof got);
		if (strcmp(got, cases[i].becomes) != 0)
			fail_msg("%s: became \"%s\", not \"%s\"", cases[i].line, got, cases[i].becomes);
	}
}

static void
a_value_left_out_is_asked_for(void **state)
{
	static const char *const lines[] = { "-s", "-t -n", "-f --json", "-h", "-p", "-d", "--body", "-au" };

	(void)state;
	for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
		assert_int_equal(translate(lines[i]), PH_OK);
		assert_non_null(strstr(words.argv[1], "=answer to "));
	}
	words.ask = NULL;
	assert_int_equal(translate("-s"), PH_OK);
}

static void
what_is_not_known_here_says_what_to_do(void **state)
{
	static const struct { const char *line, *text, *hint; } cases[] = {
		{ "--pipe x", "--pipe of swaks", "socket" }, { "-tlsp x", "--tlsp", "--tls-min" },
		{ "-apt", "--apt", "--show-secrets" }, { "--proxy TCP4", "a URL", "--proxy-header" },
		{ "-q", "needs a value", "" }, { "--verify", "needs a value", "" }, { "-tlsc=x", "takes no value", "" },
		{ "--h-Subject", "needs a value", "" }, { "--proxy-source 1.2.3.4", "PROXY header", "--proxy-header" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		assert_int_equal(translate(cases[i].line), PH_EUSAGE);
		if (strstr(err.text, cases[i].text) == NULL || strstr(err.hint, cases[i].hint) == NULL)
			fail_msg("%s: %s (%s)", cases[i].line, err.text, err.hint);
	}
	assert_true(words.proxy_header_bad);
}

/* In whatever form it comes, and also when something else is wrong with the line. */
static void
a_password_is_taken_off_the_command_line(void **state)
{
	static const struct { const char *line, *password; enum ph_code rc; } cases[] = {
		{ "-ap secret", "secret", PH_OK }, { "--ap=secret", "secret", PH_OK },
		{ "--auth-password secret -n", "secret", PH_OK }, { "-ap <>", "", PH_OK },
		{ "--pipe x -ap secret", "secret", PH_EUSAGE },
		{ "-tlsc=x --auth-password=secret", "secret", PH_EUSAGE }, { "-ap one -ap secret", "secret", PH_OK },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		assert_int_equal(translate(cases[i].line), cases[i].rc);
		assert_true(words.password_given);
		assert_string_equal(ph__buf_cstr(&password), cases[i].password);
		assert_null(memmem(store, sizeof store, "secret", 6));
		for (int k = 0; k < words.argc; k++)
			assert_null(strstr(words.argv[k], "secret"));
	}
	assert_int_equal(translate("-ap -n"), PH_OK);
	assert_false(words.password_given);
	assert_true(words.password_wanted);
}

/* ---- what it comes to -------------------------------------------------------------------------- */

static void
servers_are_taken_apart_as_swaks_does(void **state)
{
	static const struct { const char *line, *url; } cases[] = {
		{ "-s mx", "smtp://mx:25" }, { "-s mx:26", "smtp://mx:26" }, { "-s mx/26", "smtp://mx:26" },
		{ "-s [mx]:26", "smtp://mx:26" }, { "-s [mx]", "smtp://mx:25" }, { "-s ::1", "smtp://[::1]:25" },
		{ "-s ::1/26", "smtp://[::1]:26" }, { "-s [::1]:26", "smtp://[::1]:26" },
		{ "-s mx -p 587", "smtp://mx:587" }, { "-s mx -p submission", "smtp://mx:587" },
		{ "-s mx:smtp", "smtp://mx:25" }, { "-s mx -tlsc", "smtp://mx:465" },
		{ "-s mx --protocol SSMTP", "smtp://mx:465" }, { "-s mx --protocol LMTP", "lmtp://mx:24" },
		{ "-s mx --protocol LMTP -p 2003", "lmtp://mx:2003" }, { "--socket /a/b", "smtp://localhost" },
		{ "--socket /a/b --protocol LMTP", "lmtp:///a/b" }, { "-s smtps://u@mx", "smtps://u@mx" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		if (read_line(cases[i].line) != PH_OK)
			fail_msg("%s: %s", cases[i].line, err.text);
		assert_string_equal(o.link.server, cases[i].url);
	}
	assert_int_equal(read_line("-s mx:none"), PH_EUSAGE);
	assert_int_equal(read_line("-s mx:0"), PH_EUSAGE);
	assert_int_equal(read_line("-n"), PH_EUSAGE);
	assert_int_equal(read_line("-s smtp://mx -p 25"), PH_EUSAGE);
	assert_int_equal(read_line("-s mx word"), PH_EUSAGE);
}

static void
tls_is_demanded_by_urls_and_told_of_by_words(void **state)
{
	static const struct { const char *line; enum ph__probe_tls tls; bool record, implicit; } cases[] = {
		{ "-s mx", PH__PROBE_TLS_NONE, false, false }, { "-s smtp://mx", PH__PROBE_TLS_DEMANDED, false, false },
		{ "-s smtps://mx", PH__PROBE_TLS_IMPLICIT, false, true },
		{ "-s submission://mx", PH__PROBE_TLS_DEMANDED, false, false },
		{ "-s smtp://localhost", PH__PROBE_TLS_TRY, true, false },
		{ "-s smtp://127.0.0.2:2525", PH__PROBE_TLS_TRY, true, false },
		{ "-s smtp://127.example.org", PH__PROBE_TLS_DEMANDED, false, false },
		{ "-s smtp://mx --connect 127.0.0.1", PH__PROBE_TLS_TRY, true, false },
		{ "-s smtp://ann@localhost", PH__PROBE_TLS_DEMANDED, false, false },
		{ "-s smtp://localhost --ca-file f", PH__PROBE_TLS_DEMANDED, false, false },
		{ "-s submission://localhost", PH__PROBE_TLS_DEMANDED, false, false },
		{ "-s mx -tls", PH__PROBE_TLS_DEMANDED, true, false }, { "-s mx -tlso", PH__PROBE_TLS_TRY, true, false },
		{ "-s mx -tlsos", PH__PROBE_TLS_STRICT, true, false }, { "-s mx -tlsc", PH__PROBE_TLS_IMPLICIT, true, true },
		{ "-s mx -tls --tls-verify", PH__PROBE_TLS_DEMANDED, false, false },
		{ "-s mx --tls starttls", PH__PROBE_TLS_DEMANDED, false, false },
		{ "-s mx --tls implicit", PH__PROBE_TLS_IMPLICIT, false, true },
		{ "-s mx --tls opportunistic", PH__PROBE_TLS_TRY, true, false },
		{ "-s smtp://mx --tls off", PH__PROBE_TLS_NONE, false, false },
		{ "-s smtp://mx -tls", PH__PROBE_TLS_DEMANDED, true, false },
		{ "-s mx --tls-report", PH__PROBE_TLS_TRY, true, false },
		{ "-s smtp://mx --tls-report", PH__PROBE_TLS_DEMANDED, true, false },
		{ "-s mx --capabilities", PH__PROBE_TLS_TRY, true, false },
		{ "-s mx --protocol ESMTPS", PH__PROBE_TLS_DEMANDED, true, false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		if (read_line(cases[i].line) != PH_OK)
			fail_msg("%s: %s", cases[i].line, err.text);
		if (o.tls != cases[i].tls || o.link.tls.record_only != cases[i].record ||
		    (o.link.tls.mode == PH_TLS_IMPLICIT) != cases[i].implicit)
			fail_msg("%s: %d, record only %d, mode %d", cases[i].line, (int)o.tls,
			         (int)o.link.tls.record_only, (int)o.link.tls.mode);
	}
	assert_int_equal(read_line("-s smtp://mx --tls-report"), PH_OK);
	assert_true(o.enforce);
	assert_int_equal(read_line("-s mx -tls --tls-report"), PH_OK);
	assert_false(o.enforce);
}

static void
a_login_is_wanted_by_any_word_of_it(void **state)
{
	static const struct { const char *line; enum ph__probe_auth auth; } cases[] = {
		{ "-s mx", PH__PROBE_AUTH_NONE }, { "-s mx -a", PH__PROBE_AUTH_DEMANDED },
		{ "-s mx -au ann", PH__PROBE_AUTH_DEMANDED }, { "-s mx -ap x", PH__PROBE_AUTH_DEMANDED },
		{ "-s mx -ap", PH__PROBE_AUTH_DEMANDED }, { "-s smtp://ann@mx", PH__PROBE_AUTH_DEMANDED },
		{ "-s mx -ao -au ann", PH__PROBE_AUTH_TRY }, { "-s mx -aos PLAIN -au ann", PH__PROBE_AUTH_STRICT },
		{ "-s mx --user a --password-file f", PH__PROBE_AUTH_DEMANDED },
		{ "-s mx --protocol ESMTPA", PH__PROBE_AUTH_DEMANDED },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		if (read_line(cases[i].line) != PH_OK)
			fail_msg("%s: %s", cases[i].line, err.text);
		assert_int_equal(o.auth, cases[i].auth);
	}
	assert_int_equal(read_line("-s mx -a PLIAN -au ann"), PH_EUSAGE);
}

static void
the_end_decides_what_the_dialogue_comes_to(void **state)
{
	static const struct { const char *line; enum ph__probe_stage last; bool auth, rcpt, body; } cases[] = {
		{ "-s mx", PH__PROBE_BODY, true, true, true },
		{ "-s mx -q rcpt", PH__PROBE_BODY, true, true, false },
		{ "-s mx -q mail", PH__PROBE_BODY, true, false, false },
		{ "-s mx -q ehlo", PH__PROBE_BODY, false, false, false },
		{ "-s mx -q data", PH__PROBE_BODY, true, true, false },
		{ "-s mx --da body", PH__PROBE_BODY, true, true, true },
		{ "-s mx --das mail", PH__PROBE_BODY, true, false, false },
		{ "-s mx --verify x", PH__PROBE_QUESTION, true, false, false },
		{ "-s mx --tls-report", PH__PROBE_HELO, false, false, false },
		{ "-s mx --capabilities -a -au u", PH__PROBE_AUTH, true, false, false },
		{ "-s mx --raw", PH__PROBE_GREETING, false, false, false },
		{ "-s mx -tls --raw", PH__PROBE_HELO, false, false, false },
		{ "-s smtp://localhost --raw", PH__PROBE_GREETING, false, false, false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		if (read_line(cases[i].line) != PH_OK)
			fail_msg("%s: %s", cases[i].line, err.text);
		if (o.last != cases[i].last || ph__probe_comes_to(&o, PH__PROBE_AUTH) != cases[i].auth ||
		    ph__probe_comes_to(&o, PH__PROBE_RCPT) != cases[i].rcpt ||
		    ph__probe_comes_to(&o, PH__PROBE_BODY) != cases[i].body)
			fail_msg("%s: last %s", cases[i].line, ph__probe_stage_name(o.last));
	}
	assert_int_equal(read_line("-s mx -q nowhere"), PH_EUSAGE);
	assert_int_equal(read_line("-s mx -q body"), PH_EUSAGE);
	assert_int_equal(read_line("-s mx --raw --repeat 2"), PH_EUSAGE);
	assert_int_equal(read_line("-s mx --repeat 0"), PH_EUSAGE);
	assert_int_equal(read_line("-s mx --das connect"), PH_EUSAGE);
	assert_int_equal(read_line("-s mx --verify a --expand b"), PH_EUSAGE);
}

/* ---- stages ------------------------------------------------------------------------------------ */

static void
statuses_are_swaks(void **state)
{
	static const struct { enum ph__probe_stage stage; int status; } cases[] = {
		{ PH__PROBE_CONNECT, 2 }, { PH__PROBE_GREETING, 21 }, { PH__PROBE_EHLO, 22 }, { PH__PROBE_MAIL, 23 },
		{ PH__PROBE_RCPT, 24 }, { PH__PROBE_DATA, 25 }, { PH__PROBE_BODY, 26 }, { PH__PROBE_QUIT, 27 },
		{ PH__PROBE_AUTH, 28 }, { PH__PROBE_TLS, 29 }, { PH__PROBE_HELO, 32 }, { PH__PROBE_XCLIENT, 33 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
		assert_int_equal(ph__probe_stage_status(cases[i].stage), cases[i].status);
}

static void
stages_have_swaks_names_too(void **state)
{
	static const struct { const char *word; enum ph__probe_stage stage; } cases[] = {
		{ "connect", PH__PROBE_GREETING }, { "BANNER", PH__PROBE_GREETING }, { "first-helo", PH__PROBE_EHLO },
		{ "helo", PH__PROBE_HELO }, { "ehlo", PH__PROBE_EHLO }, { "starttls", PH__PROBE_TLS },
		{ "tls", PH__PROBE_TLS }, { "from", PH__PROBE_MAIL }, { "To", PH__PROBE_RCPT },
		{ "data", PH__PROBE_DATA }, { "quit", PH__PROBE_NOWHERE }, { "", PH__PROBE_NOWHERE },
		{ "question", PH__PROBE_NOWHERE },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
		assert_int_equal(ph__probe_stage_of(cases[i].word, false), cases[i].stage);
	assert_int_equal(ph__probe_stage_of("dot", true), PH__PROBE_BODY);
	assert_int_equal(ph__probe_stage_of("dot", false), PH__PROBE_NOWHERE);
}

static void
expected_codes_are_patterns(void **state)
{
	static const struct { const char *list; uint16_t code, a, b, c; bool met; } cases[] = {
		{ "550", 550, 0, 0, 0, true }, { "550", 551, 0, 0, 0, false }, { "55x", 551, 0, 0, 0, true },
		{ "5XX", 421, 0, 0, 0, false }, { "250,550", 550, 0, 0, 0, true }, { "5.1.1", 550, 5, 1, 1, true },
		{ "5.1.1", 550, 5, 1, 10, false }, { "5.1.x", 550, 5, 1, 10, true }, { "5.x.x", 550, 0, 0, 0, false },
		{ "5.1.1", 550, 0, 0, 0, false }, { "250, 4.2.2", 450, 4, 2, 2, true }, { "xxx", 0, 0, 0, 0, false },
	};
	static const char *const bad[] = { "", "25", "2500", "abc", "650", "5.1", "5.1.1.1", "550,", "5..1", "x50" };

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct ph_reply r = { cases[i].code, { cases[i].a, cases[i].b, cases[i].c }, NULL, 0 };

		if (ph__probe_expect_met(cases[i].list, &r) != cases[i].met)
			fail_msg("%s and %u", cases[i].list, cases[i].code);
	}
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		if (ph__probe_expect_check(bad[i]))
			fail_msg("\"%s\" is no list of codes", bad[i]);
	assert_true(ph__probe_expect_check("250, 25x,5.1.1 ,x.7.x"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(swaks_words_become_our_options),
		cmocka_unit_test(a_value_left_out_is_asked_for),
		cmocka_unit_test(what_is_not_known_here_says_what_to_do),
		cmocka_unit_test(a_password_is_taken_off_the_command_line),
		cmocka_unit_test(servers_are_taken_apart_as_swaks_does),
		cmocka_unit_test(tls_is_demanded_by_urls_and_told_of_by_words),
		cmocka_unit_test(a_login_is_wanted_by_any_word_of_it),
		cmocka_unit_test(the_end_decides_what_the_dialogue_comes_to),
		cmocka_unit_test(statuses_are_swaks),
		cmocka_unit_test(stages_have_swaks_names_too),
		cmocka_unit_test(expected_codes_are_patterns),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
