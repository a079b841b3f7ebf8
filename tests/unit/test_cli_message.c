/* SPDX-License-Identifier: MIT */
/* cli/send_envelope.h and cli/send_message.h: from a command line to envelope and octets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/bounds.h"
#include <posthaste/transaction.h>
#include "cli/send_message.h"
#include "mail/source.h"

#define BODY_MAX (4 << 20)

static struct ph__send_options o;
static struct ph__send_envelope e;
static struct ph__send_message m;
static struct ph_error err;
static bool help;
static char path[] = "/tmp/posthaste-test-XXXXXX";
static struct ph__buf read_back;

static void
begin(void)
{
	memset(&o, 0, sizeof o);
	err = (struct ph_error)PH_ERROR_INIT;
	ph__send_envelope_init(&e);
	ph__send_message_init(&m);
}

static void
end(void)
{
	ph__send_message_done(&m);
	ph__send_envelope_done(&e);
	ph__send_options_done(&o);
}

static int
setup(void **state)
{
	int fd;

	(void)state;
	unsetenv("EMAIL");
	begin();
	ph__buf_init(&read_back, &ph__libc_memory, BODY_MAX);
	memcpy(path + strlen(path) - 6, "XXXXXX", 6);
	fd = mkstemp(path);
	return fd >= 0 ? close(fd) : -1;
}

static int
teardown(void **state)
{
	(void)state;
	end();
	ph__buf_done(&read_back);
	return unlink(path);
}

/* From the words behind --server, up to NULL, to the source. */
static enum ph_code
open_with(const char *first, ...)
{
	static char *argv[16];
	int argc = 0;
	va_list ap;
	enum ph_code rc;

	end();
	begin();
	argv[argc++] = (char *)"send";
	argv[argc++] = (char *)"--server=smtp://host";
	va_start(ap, first);
	for (const char *s = first; s != NULL; s = va_arg(ap, const char *))
		argv[argc++] = (char *)s;
	va_end(ap);
	argv[argc] = NULL;
	if ((rc = ph__send_options_read(&o, argc, argv, &help, &err)) != PH_OK
	    || (rc = ph__send_envelope_read(&e, &o, &err)) != PH_OK
	    || (rc = ph__send_message_open(&m, &o, &e, &err)) != PH_OK)
		return rc;
	return ph__send_envelope_finish(&e, &err);
}

static void
write_file(const char *text, size_t n)
{
	FILE *f = fopen(path, "wb");

	assert_non_null(f);
	assert_int_equal(fwrite(text, 1, n, f), n);
	assert_int_equal(fclose(f), 0);
}

static int saved_stdin;
static FILE *cat;

/* Standard input becomes a pipe that gives the file. */
static void
stdin_from_pipe(void)
{
	char command[64];

	snprintf(command, sizeof command, "cat %s", path);
	cat = popen(command, "r");
	assert_non_null(cat);
	saved_stdin = dup(0);
	dup2(fileno(cat), 0);
}

static void
stdin_back(void)
{
	dup2(saved_stdin, 0);
	close(saved_stdin);
	pclose(cat);
}

static void
assert_source(const char *want, size_t n)
{
	char buf[5000];
	const void *p;
	size_t got;

	ph__buf_reset(&read_back);
	while (ph__source_read(m.source, buf, sizeof buf, &p, &got, &err) == PH_IO_OK)
		assert_true(ph__buf_add(&read_back, p, got));
	assert_int_equal(read_back.len, n);
	assert_memory_equal(ph__buf_cstr(&read_back), want, n);
}

static void
assert_recipients(size_t n, const char *first, const char *last)
{
	assert_int_equal(e.count, n);
	assert_string_equal(e.recipients[0], first);
	assert_string_equal(e.recipients[n - 1], last);
}

static const char MESSAGE[] = "To: b@y\nBCC: c@z,\n d@z\nSubject: hi\n\nbody\n";
static const char WITHOUT_BCC[] = "To: b@y\nSubject: hi\n\nbody\n";

static void
a_file_is_sent_as_it_is(void **state)
{
	(void)state;
	write_file(MESSAGE, sizeof MESSAGE - 1);
	assert_int_equal(open_with("-fa@x", "--message", path, "Ann <q@q>", NULL), PH_OK);
	assert_recipients(1, "q@q", "q@q");
	assert_string_equal(e.from, "a@x");
	assert_source(MESSAGE, sizeof MESSAGE - 1);
}

static void
t_takes_the_headers_recipients_and_drops_bcc(void **state)
{
	(void)state;
	write_file(MESSAGE, sizeof MESSAGE - 1);
	assert_int_equal(open_with("-fa@x", "-t", "--message", path, "q@q", NULL), PH_OK);
	assert_recipients(4, "q@q", "d@z");
	assert_source(WITHOUT_BCC, sizeof WITHOUT_BCC - 1);
}

static void
t_alone_reads_a_finished_message_from_a_pipe(void **state)
{
	(void)state;
	write_file(MESSAGE, sizeof MESSAGE - 1);
	stdin_from_pipe();
	assert_int_equal(open_with("-fa@x", "-t", NULL), PH_OK);
	assert_recipients(3, "b@y", "d@z");
	assert_source(WITHOUT_BCC, sizeof WITHOUT_BCC - 1);
	stdin_back();
}

static void
a_pipe_gives_what_was_read_ahead_and_the_rest(void **state)
{
	size_t n = 3 << 20;
	char *text = malloc(n);

	(void)state;
	assert_non_null(text);
	memset(text, 'x', n);
	memcpy(text, "Subject: x\r\n\r\n", 14);
	write_file(text, n);
	stdin_from_pipe();
	assert_int_equal(open_with("-fa@x", "--message", "-", "q@q", NULL), PH_OK);
	assert_source(text, n);
	stdin_back();
	free(text);
}

static void
a_header_block_without_end_is_refused_with_t(void **state)
{
	size_t n = 2 * PH__HEADER_BLOCK_MAX;
	char *text = malloc(n);

	(void)state;
	assert_non_null(text);
	memset(text, 'x', n);
	memcpy(text, "To: ", 4);
	write_file(text, n);
	assert_int_equal(open_with("-fa@x", "-t", "--message", path, NULL), PH_EINPUT);
	assert_true(m.head.len <= PH__HEADER_BLOCK_MAX + 65536);
	free(text);
}

static void
what_has_no_header_is_refused_unless_as_is(void **state)
{
	(void)state;
	write_file("just text\n", 10);
	assert_int_equal(open_with("-fa@x", "--message", path, "q@q", NULL), PH_EINPUT);
	assert_non_null(strstr(err.hint, "--as-is"));
	assert_int_equal(open_with("-fa@x", "--as-is", "--message", path, "q@q", NULL), PH_OK);
	assert_source("just text\n", 10);
}

static void
an_empty_message_is_refused(void **state)
{
	(void)state;
	assert_int_equal(open_with("-fa@x", "--message", path, "q@q", NULL), PH_EINPUT);
	assert_non_null(strstr(err.text, "empty"));
}

static void
the_from_line_of_a_mailbox_is_recognised(void **state)
{
	(void)state;
	write_file("From me\nTo: x\n\n", 15);
	assert_int_equal(open_with("-fa@x", "--message", path, "q@q", NULL), PH_EINPUT);
	assert_non_null(strstr(err.text, "mailbox file"));
}

static void
what_is_no_file_is_named(void **state)
{
	(void)state;
	assert_int_equal(open_with("-fa@x", "--message", "/nowhere/at all", "q@q", NULL), PH_ENOINPUT);
	assert_int_equal(err.sys, ENOENT);
	assert_non_null(strstr(err.text, "/nowhere/at all"));
	assert_int_equal(open_with("-fa@x", "--message", "/tmp", "q@q", NULL), PH_ENOINPUT);
	assert_int_equal(err.sys, EISDIR);
}

static void
a_composed_message_has_its_fields_once(void **state)
{
	static const char *const fields[] = {
		"From: Ann <a@x>\r\n", "To: b@y, Bob <c@z>\r\n", "Cc: d@d\r\n", "Subject: hello\r\n",
		"X-Test: yes\r\n", "\r\nDate: ", "\r\nMessage-ID: <", "\r\nMIME-Version: 1.0\r\n",
	};

	(void)state;
	assert_int_equal(open_with("-fAnn <a@x>", "--to=Bob <c@z>", "--cc=d@d", "--bcc=e@e", "-shello",
	                           "--body=text", "--header=X-Test: yes", "b@y", NULL), PH_OK);
	assert_recipients(4, "b@y", "e@e");
	for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
		const char *at = memmem(m.text, m.text_len, fields[i], strlen(fields[i]));

		if (i == 5 && strncmp(m.text, "Date: ", 6) == 0)
			continue;
		assert_non_null(at);
		assert_null(strstr(at + 1, fields[i]));
	}
	assert_null(strstr(m.text, "e@e"));
}

static void
t_takes_recipients_from_header_options_and_bcc_stays_out(void **state)
{
	(void)state;
	assert_int_equal(open_with("-fa@x", "-t", "--header=To: z@z", "--header=Bcc: y@y", "--body=t",
	                           NULL), PH_OK);
	assert_recipients(2, "y@y", "z@z");
	assert_null(strstr(m.text, "y@y"));
}

static void
header_options_cannot_forge(void **state)
{
	(void)state;
	assert_int_equal(open_with("-fa@x", "--body=t", "--header=X: a\nBcc: b@b", "q@q", NULL),
	                 PH_EINPUT);
	assert_int_equal(open_with("-fa@x", "--body=t", "--header=no colon", "q@q", NULL), PH_EUSAGE);
}

static void
control_characters_in_addresses_are_refused_and_shown_escaped(void **state)
{
	static const char *const bad[] = {
		"b@y\r\nRCPT TO:<e@e>", "b@y\n", "b\t@y", "b@y\x1b[31m", "b@y\x7f", "a@a,\r\n b@b",
	};

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		assert_int_equal(open_with("-fa@x", "--body=t", bad[i], NULL), PH_EINPUT);
		assert_non_null(strstr(err.text, "\\x"));
		assert_null(strpbrk(err.text, "\r\n\t\x1b\x7f"));
	}
	assert_int_equal(open_with("-fa\n@x", "--body=t", "q@q", NULL), PH_EINPUT);
}

static void
nobody_gets_it_twice(void **state)
{
	(void)state;
	assert_int_equal(open_with("-fa@x", "--body=t", "--cc=b@y", "b@y", "c@z, b@y", "b@y", NULL),
	                 PH_OK);
	assert_recipients(2, "b@y", "c@z");
}

static void
sender_and_recipients_must_be_there(void **state)
{
	(void)state;
	assert_int_equal(open_with("--body=t", "q@q", NULL), PH_EUSAGE);
	assert_non_null(strstr(err.hint, "--from"));
	assert_int_equal(open_with("-fa@x", "--body=t", NULL), PH_EUSAGE);
	assert_int_equal(open_with("-f", "", "--body=t", "q@q", NULL), PH_EINPUT);
	assert_int_equal(open_with("-fa@x, b@x", "--body=t", "q@q", NULL), PH_EINPUT);
	write_file("Subject: x\n\n", 12);
	assert_int_equal(open_with("-fa@x", "-t", "--message", path, NULL), PH_EINPUT);
}

static void
email_is_the_sender_of_last_resort(void **state)
{
	(void)state;
	setenv("EMAIL", "Me <me@me>", 1);
	assert_int_equal(open_with("--body=t", "q@q", NULL), PH_OK);
	assert_string_equal(e.from, "me@me");
	unsetenv("EMAIL");
}

static void
the_null_sender_needs_an_author_to_compose(void **state)
{
	(void)state;
	assert_int_equal(open_with("-f<>", "--body=t", "q@q", NULL), PH_EUSAGE);
	assert_int_equal(open_with("-f<>", "--body=t", "--header=From: m@m", "q@q", NULL), PH_OK);
	assert_string_equal(e.from, "");
}

static void
composed_with(const char *want)
{
	if (m.text == NULL || strstr(m.text, want) == NULL)
		fail_msg("\"%s\" is not in: %s", want, m.text != NULL ? m.text : err.text);
}

static void
a_full_name_stands_in_from_whatever_it_is_made_of(void **state)
{
	(void)state;
	assert_int_equal(open_with("-fa@x", "-F", "Ann Lee", "--body=t", "q@q", NULL), PH_OK);
	composed_with("\r\nFrom: Ann Lee <a@x>\r\n");
	assert_string_equal(e.from, "a@x");
	assert_int_equal(open_with("-fOld Name <a@x>", "-F", "A \"B\" \\ <c@d>, e@f", "--body=t", "q@q",
	                           NULL), PH_OK);
	composed_with("<a@x>\r\n");
	assert_null(strstr(m.text, "Old"));
	assert_string_equal(e.from, "a@x");
	assert_int_equal(open_with("-fa@x", "--full-name=\xc3\x84nne", "--body=t", "q@q", NULL), PH_OK);
	composed_with("From: =?UTF-8?");
	assert_int_equal(open_with("-fa@x", "-F", "A\r\nBcc: z@z", "--body=t", "q@q", NULL), PH_EINPUT);
	assert_int_equal(open_with("-fa@x", "-F", "", "--body=t", "q@q", NULL), PH_EUSAGE);
	assert_int_equal(open_with("-fa@x", "-F", "A", "--message", path, "q@q", NULL), PH_EUSAGE);
}

static void
a_text_of_another_character_set_is_sent_as_utf8(void **state)
{
	(void)state;
	write_file("gr\xfc\xdf\n", 5);
	assert_int_equal(open_with("-fa@x", "--charset=latin1", "--text", path, "q@q", NULL), PH_OK);
	composed_with("charset=utf-8");
	composed_with("\r\n\r\nZ3LDvMOfDQo=\r\n");
	assert_int_equal(open_with("-fa@x", "--text", path, "q@q", NULL), PH_EINPUT);
	assert_non_null(strstr(err.text, "0xfc at offset 2"));
	assert_int_equal(open_with("-fa@x", "--charset=GBK", "--body=\xc4\xe3", "q@q", NULL), PH_OK);
	composed_with("charset=utf-8");
	assert_int_equal(open_with("-fa@x", "--charset=ascii", "--body=\xc4\xe3", "q@q", NULL), PH_EINPUT);
	assert_non_null(strstr(err.text, "--body"));
	assert_int_equal(open_with("-fa@x", "--charset=GBK", "--message", path, "q@q", NULL), PH_EUSAGE);
}

static void
the_envelope_has_what_the_options_ask_for(void **state)
{
	struct ph_envelope whole;

	(void)state;
	assert_int_equal(open_with("-fa@x", "--body=t", "-Nsuccess,failure", "-Rhdrs", "-Vid",
	                           "--requiretls", "--deliver-by=2h,notify", "--hold-until=30m",
	                           "--priority=-3", "q@q", NULL), PH_OK);
	whole = ph__send_envelope_whole(&e, &o);
	assert_int_equal(whole.notify, PH_NOTIFY_SUCCESS | PH_NOTIFY_FAILURE);
	assert_int_equal(whole.dsn_return, PH_RETURN_HEADERS);
	assert_string_equal(whole.envid, "id");
	assert_true(whole.require_tls);
	assert_int_equal(whole.by_mode, PH_BY_NOTIFY);
	assert_int_equal(whole.by_seconds, 7200);
	assert_int_equal(whole.hold_for, 1800);
	assert_int_equal(whole.hold_until, 0);
	assert_int_equal(whole.priority, -3);
	assert_int_equal(open_with("-fa@x", "--body=t", "--requiretls", "--insecure", "q@q", NULL), PH_EUSAGE);
	assert_int_equal(open_with("-fa@x", "--body=t", "--requiretls", "--tls=off", "q@q", NULL), PH_EUSAGE);
}

static void
options_about_trust_do_not_contradict_each_other(void **state)
{
	static const char *const bad[][2] = {
		{ "--tls=off", "--ca-file=f" }, { "--tls=off", "--pin=aa" }, { "--tls=off", "--tls-min=1.3" },
		{ "--tls=off", "--tls-name=n" }, { "--tls=off", "--cert=f" }, { "--insecure", "--ca-dir=d" },
		{ "--insecure", "--pin=aa" }, { "--insecure", "--key=f" },
		{ "--server=lmtp:///s", "--connect=127.0.0.1" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		assert_int_equal(open_with("-fa@x", "--body=t", bad[i][0], bad[i][1], "q@q", NULL), PH_EUSAGE);
		assert_int_not_equal(err.hint[0], '\0');
	}
	assert_int_equal(open_with("-fa@x", "--body=t", "--insecure", "--tls-min=1.3", "q@q", NULL), PH_OK);
	assert_int_equal(open_with("-fa@x", "--body=t", "--tls=off", "--insecure", "q@q", NULL), PH_OK);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_file_is_sent_as_it_is),
		T(t_takes_the_headers_recipients_and_drops_bcc),
		T(t_alone_reads_a_finished_message_from_a_pipe),
		T(a_pipe_gives_what_was_read_ahead_and_the_rest),
		T(a_header_block_without_end_is_refused_with_t),
		T(what_has_no_header_is_refused_unless_as_is),
		T(an_empty_message_is_refused),
		T(the_from_line_of_a_mailbox_is_recognised),
		T(what_is_no_file_is_named),
		T(a_composed_message_has_its_fields_once),
		T(t_takes_recipients_from_header_options_and_bcc_stays_out),
		T(header_options_cannot_forge),
		T(control_characters_in_addresses_are_refused_and_shown_escaped),
		T(nobody_gets_it_twice),
		T(sender_and_recipients_must_be_there),
		T(email_is_the_sender_of_last_resort),
		T(the_null_sender_needs_an_author_to_compose),
		T(a_full_name_stands_in_from_whatever_it_is_made_of),
		T(a_text_of_another_character_set_is_sent_as_utf8),
		T(the_envelope_has_what_the_options_ask_for),
		T(options_about_trust_do_not_contradict_each_other),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
