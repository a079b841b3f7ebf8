/* SPDX-License-Identifier: MIT */
/* The counterparts of Python's smtplib, row by row of docs/smtplib.md, and the programs quoted there.
 * tools/check-docs sees to it that every function the page names is called here or in those programs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "client_rig.h"

int smtplib_main(int argc, char **argv);
#define main smtplib_main
#include "../../examples/smtplib.c"
#undef main

#define COUNT(a) (sizeof(a) / sizeof *(a))
#define HI "Subject: hi\r\n\r\nhello\r\n"
#define MAIL "<MAIL FROM:<ann@example.org>", ">250 2.1.0 ok"
#define RCPT "<RCPT TO:<bob@example.net>", ">250 2.1.5 ok"
#define DATA "<DATA", ">354 go on", "."
#define BYE "<QUIT", ">221 bye", "$"

static struct ph_source *hi;

static int
set_up(void **state)
{
	setenv("PASSWORD", "pw", 1);
	setenv("CA_FILE", "", 1);
	return rig_set_up(state) != 0 || ph_source_new_memory(&hi, HI, strlen(HI), NULL) != PH_OK;
}

static int
tear_down(void **state)
{
	ph_source_free(hi);
	return rig_tear_down(state);
}

static struct ph_envelope
ann_to_bob(void)
{
	static const char *const to[] = { "bob@example.net" };

	return (struct ph_envelope){ PH_ENVELOPE_INIT, .from = "ann@example.org", .recipients = to,
	                             .recipient_count = 1 };
}

static struct ph_source *
source_of(const char *octets)
{
	struct ph_source *s = NULL;

	assert_int_equal(ph_source_new_memory(&s, octets, strlen(octets), NULL), PH_OK);
	return s;
}

/* ---- module-level names ---------------------------------------------------------------------- */

static void
smtp_port_smtp_ssl_port_and_587_have_names(void **state)
{
	static const struct { const char *server; unsigned port; } cases[] = {
		{ "smtp://mx.test", PH_PORT_SMTP }, { "mx.test", 25 },
		{ "submission://mx.test", PH_PORT_SUBMISSION },
		{ "smtps://mx.test", PH_PORT_SUBMISSIONS }, { "submissions://mx.test", 465 },
		{ "smtp://mx.test:2525", 2525 }, { "mx.test:2525", 2525 },
	};

	(void)state;
	assert_int_equal(PH_PORT_SUBMISSION, 587);
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct ph_client *c = new_client((struct ph_client_opts){ .server = cases[i].server,
			.connect = "/nonexistent" });
		struct ph_envelope e = ann_to_bob();
		const struct ph_record *r = NULL;
		char expected[100], *json;

		FAILS(ph_client_sendmail(c, &e, hi, &r, &err), PH_EDEFERRED, PH_STAGE_CONNECT,
		      PH_CAUSE_UNREACHABLE);
		snprintf(expected, sizeof expected, "\"host\":\"mx.test\",\"address\":null,\"port\":%u,",
		         cases[i].port);
		json = ph_record_json(r);
		if (strstr(json, expected) == NULL)
			fail_msg("no %s in %s", expected, json);
		ph_record_free_json(r, json);
		ph_client_free(c);
	}
}

static void
lmtp_has_no_port_and_a_bad_port_is_refused(void **state)
{
	static const char *const bad[] = { "lmtp://mx.test", "mx.test:smtp", "mx.test:0",
		"mx.test:70000", "smtp://bob:pw@mx.test", "http://mx.test", "" };

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++) {
		struct ph_client_opts o = { PH_CLIENT_OPTS_INIT, .server = bad[i] };
		struct ph_client *c = NULL;

		FAILS(ph_client_new(&c, &o, &err), PH_ECONFIG, PH_STAGE_PREPARE, PH_CAUSE_ARGUMENT);
		assert_null(c);
	}
}

static void
a_reply_without_end_is_bounded(void **state)
{
	char *line = calloc(1, 13001), *lines = calloc(1001, 8);
	struct peer *p;
	struct ph_client *c;

	(void)state;
	memset(line, 'x', 13000);
	memcpy(line, "=250 ", 5);
	for (int i = 0; i < 1001; i++)
		memcpy(lines + 1 + 7 * i, "250-a\r\n", 7);
	*lines = '=';
	p = start(SCRIPT(GREET, "<NOOP", line, "$", "|", GREET, "<NOOP", lines, "$"));
	c = CLIENT(p, .tls = OFF);
	for (int i = 0; i < 2; i++) {
		OK(ph_client_connect(c, NULL, &err));
		OK(ph_client_ehlo(c, NULL, NULL, &err));
		FAILS(ph_client_noop(c, NULL, &err), PH_EPROTOCOL, PH_STAGE_HELLO, PH_CAUSE_LIMIT);
		assert_false(ph_client_is_connected(c));
	}
	ph_client_free(c);
	finish(p);
	free(line);
	free(lines);
}

static void
more_challenges_than_an_exchange_can_have_end_it(void **state)
{
	const char *script[3 + 2 * 33 + 2] = { ">220 peer", "<EHLO", "=250-peer\r\n250 AUTH LOGIN\r\n" };
	size_t n = 3;
	struct peer *p;
	struct ph_client *c;

	(void)state;
	for (int i = 0; i < 33; i++) {
		script[n++] = "<";
		script[n++] = ">334 YWdhaW4=";
	}
	script[n++] = "$";
	p = start(script);
	c = CLIENT(p, .tls = OFF);
	OK(ph_client_connect(c, NULL, &err));
	{
		struct ph_error err = PH_ERROR_INIT;

		assert_int_not_equal(ph_client_login(c, ANN, NULL, &err), PH_OK);
		assert_int_equal(err.stage, PH_STAGE_AUTH);
	}
	ph_client_free(c);
	finish_early(p);
}

static void
the_old_auth_line_counts(void **state)
{
	struct peer *p = start(SCRIPT(">220 peer", "<EHLO", ">250-peer", ">250 AUTH=LOGIN PLAIN",
	                              "<AUTH PLAIN", ">235 in", "$"));
	struct ph_client *c = CLIENT(p, .tls = OFF);

	(void)state;
	OK(ph_client_connect(c, NULL, &err));
	OK(ph_client_login(c, ANN, NULL, &err));
	ph_client_free(c);
	finish(p);
}

static void
quoteaddr_is_address_to_path(void **state)
{
	static const struct { const char *address, *path; } cases[] = {
		{ "a@b.test", "<a@b.test>" }, { "<a@b.test>", "<a@b.test>" },
		{ "Ann <a@b.test>", "<a@b.test>" }, { "\"Ann, A.\" <a@b.test>", "<a@b.test>" },
		{ " a@b.test ", "<a@b.test>" }, { "", "<>" }, { "<>", "<>" }, { NULL, "<>" },
		{ "postmaster", "<postmaster>" }, { "a@b.test>\r\nRCPT TO:<c@d.test", NULL },
		{ "<a@b.test", NULL }, { "a@b.test, c@d.test", NULL }, { "a b@c.test", NULL },
		{ "a@b.test\x01", NULL },
	};
	char path[PH_PATH_SIZE], longest[300];

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		if (cases[i].path == NULL) {
			FAILS(ph_address_to_path(path, sizeof path, cases[i].address, &err), PH_EINPUT,
			      PH_STAGE_PREPARE, PH_CAUSE_ARGUMENT);
			continue;
		}
		OK(ph_address_to_path(path, sizeof path, cases[i].address, &err));
		assert_string_equal(path, cases[i].path);
	}
	OK(ph_address_to_path(path, 6, "a@bc", NULL) == PH_EUSAGE ? PH_OK : PH_EUSAGE);
	OK(ph_address_to_path(path, 7, "a@bc", &err));
	/* the longest there is: 254 octets */
	snprintf(longest, sizeof longest, "%064d@%062d.%062d.%063d", 1, 2, 3, 4);
	assert_int_equal(strlen(longest), 254);
	OK(ph_address_to_path(path, sizeof path, longest, &err));
	assert_int_equal(strlen(path), PH_PATH_SIZE - 1);
}

static void
quotedata_is_dot_stuff(void **state)
{
	static const struct { const char *message, *stuffed; } cases[] = {
		{ "a\n.b\r..c\r\n.", "a\r\n..b\r\n...c\r\n..\r\n" }, { "", "" }, { "a", "a\r\n" },
		{ ".\r\n", "..\r\n" }, { "a\r\n.\r\nQUIT\r\n", "a\r\n..\r\nQUIT\r\n" },
		{ "a\n.\n", "a\r\n..\r\n" },
	};
	char *out = NULL, line[1002];
	size_t n = 0;

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		OK(ph_dot_stuff(&out, &n, cases[i].message, strlen(cases[i].message),
		                PH_LINE_ENDS_NORMALISE, NULL, &err));
		assert_string_equal(out, cases[i].stuffed);
		assert_int_equal(n, strlen(cases[i].stuffed));
		free(out);
		out = NULL;
	}
	FAILS(ph_dot_stuff(&out, &n, "a\nb", 3, PH_LINE_ENDS_STRICT, NULL, &err), PH_EINPUT,
	      PH_STAGE_PREPARE, PH_CAUSE_CONTENT);
	FAILS(ph_dot_stuff(&out, &n, "a\0b", 3, PH_LINE_ENDS_NORMALISE, NULL, &err), PH_EINPUT,
	      PH_STAGE_PREPARE, PH_CAUSE_CONTENT);
	memset(line, 'a', sizeof line);
	FAILS(ph_dot_stuff(&out, &n, line, sizeof line, PH_LINE_ENDS_NORMALISE, NULL, &err), PH_EINPUT,
	      PH_STAGE_PREPARE, PH_CAUSE_CONTENT);
	FAILS(ph_dot_stuff(&out, &n, "a", 1, PH_LINE_ENDS_BINARY, NULL, &err), PH_EUSAGE,
	      PH_STAGE_PREPARE, PH_CAUSE_ARGUMENT);
	assert_null(out);
}

/* ---- exceptions ------------------------------------------------------------------------------ */

/* A whole delivery against a server's misdeed: what the error says. */
static void
each_exception_has_its_error(void **state)
{
	static const struct {
		const char *exception;
		const char *script[12];
		enum ph_code code;
		enum ph_stage stage;
		enum ph_cause cause;
		unsigned reply;
	} cases[] = {
		{ "SMTPConnectError", { ">554 5.3.2 no", "<QUIT", "$" },
		  PH_EREFUSED, PH_STAGE_GREETING, PH_CAUSE_REPLY, 554 },
		{ "SMTPHeloError", { ">220 peer", "<EHLO", ">550 5.7.1 no", "<QUIT", "$" },
		  PH_EREFUSED, PH_STAGE_HELLO, PH_CAUSE_REPLY, 550 },
		{ "SMTPSenderRefused", { GREET, "<MAIL", ">553 5.1.8 who?", "$" },
		  PH_EREFUSED, PH_STAGE_MAIL, PH_CAUSE_REPLY, 553 },
		{ "SMTPRecipientsRefused", { GREET, "<MAIL", ">250 ok", "<RCPT", ">550 5.7.1 no", "$" },
		  PH_EREFUSED, PH_STAGE_RCPT, PH_CAUSE_REPLY, 550 },
		{ "SMTPRecipientsRefused", { GREET, "<MAIL", ">250 ok", "<RCPT", ">550 5.1.1 who?", "$" },
		  PH_ENOUSER, PH_STAGE_RCPT, PH_CAUSE_REPLY, 550 },
		{ "SMTPDataError", { GREET, "<MAIL", ">250 ok", "<RCPT", ">250 ok", "<DATA", ">451 4.3.0 no",
		    "$" }, PH_EDEFERRED, PH_STAGE_DATA, PH_CAUSE_REPLY, 451 },
		{ "SMTPDataError", { GREET, "<MAIL", ">250 ok", "<RCPT", ">250 ok", DATA, ">554 5.6.0 no" },
		  PH_EREFUSED, PH_STAGE_BODY, PH_CAUSE_REPLY, 554 },
		{ "SMTPServerDisconnected", { GREET, "<MAIL", "!" },
		  PH_EDEFERRED, PH_STAGE_MAIL, PH_CAUSE_LOST, 0 },
		{ "SMTPServerDisconnected behind the last octet",
		  { GREET, "<MAIL", ">250 ok", "<RCPT", ">250 ok", DATA, "!" },
		  PH_EINDOUBT, PH_STAGE_BODY, PH_CAUSE_LOST, 0 },
		{ "SMTPRecipientsRefused by 421",
		  { GREET, "<MAIL", ">250 ok", "<RCPT", ">421 4.3.2 bye", "!" },
		  PH_EDEFERRED, PH_STAGE_RCPT, PH_CAUSE_REPLY, 421 },
		{ "SMTPResponseException(421)", { GREET, "<MAIL", ">421 4.3.2 bye", "!" },
		  PH_EDEFERRED, PH_STAGE_MAIL, PH_CAUSE_REPLY, 421 },
		{ "SMTPResponseException(-1)", { GREET, "<MAIL", "=hello\r\n", "$" },
		  PH_EPROTOCOL, PH_STAGE_MAIL, PH_CAUSE_GARBAGE, 0 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct peer *p = start(cases[i].script);
		struct ph_client *c = CLIENT(p, .tls = OFF);
		struct ph_envelope e = ann_to_bob();
		struct ph_error err = PH_ERROR_INIT;
		const struct ph_record *r = NULL;
		enum ph_code rc = ph_client_sendmail(c, &e, hi, &r, &err);

		if (rc != cases[i].code || err.code != rc || err.stage != cases[i].stage ||
		    err.cause != cases[i].cause || err.reply != cases[i].reply)
			fail_msg("%s: %s at %s by %s, reply %u: %s", cases[i].exception, ph_code_name(rc),
			         ph_stage_name(err.stage), ph_cause_name(err.cause), err.reply, err.text);
		assert_non_null(r); /* the exception's attributes */
		assert_string_equal(ph_record_from(r), "ann@example.org");
		assert_string_equal(ph_record_recipient(r, 0)->address, "bob@example.net");
		assert_int_equal(ph_record_recipient(r, 0)->reply.code, cases[i].reply);
		assert_int_equal(ph_record_error(r)->code, rc);
		assert_int_equal(ph_record_code(r), rc);
		assert_int_equal(ph_record_exit_status(r), ph_code_exit_status(rc));
		ph_client_free(c);
		finish(p);
	}
}

static void
smtp_authentication_error_is_eauth(void **state)
{
	struct peer *p = start(SCRIPT(">220 peer", "<EHLO", ">250-peer", ">250 AUTH PLAIN LOGIN",
	                              "<AUTH PLAIN", ">535 5.7.8 no", "$"));
	struct ph_client *c = CLIENT(p, .tls = OFF);
	const struct ph_reply *r = NULL;

	(void)state;
	OK(ph_client_connect(c, NULL, &err));
	/* and no second guess with the same password */
	FAILS(ph_client_login(c, ANN, &r, &err), PH_EAUTH, PH_STAGE_AUTH, PH_CAUSE_REPLY);
	reply_is(r, 535, "5.7.8 no");
	ph_client_free(c);
	finish(p);
}

static void
smtp_not_supported_error_is_not_offered(void **state)
{
	static const char *const umlaut[] = { "j\xc3\xbcrgen@example.net" };
	struct peer *p = start(SCRIPT(GREET, "$"));
	struct ph_client *c = CLIENT(p, .tls = &(const struct ph_tls_opts){ PH_TLS_OPTS_INIT,
		.mode = PH_TLS_STARTTLS }, .allow_clear_auth = true);
	struct ph_envelope e = ann_to_bob();

	(void)state;
	OK(ph_client_connect(c, NULL, &err));
	FAILS(ph_client_starttls(c, NULL, &err), PH_ESECURITY, PH_STAGE_STARTTLS, PH_CAUSE_NOT_OFFERED);
	FAILS(ph_client_login(c, ANN, NULL, &err), PH_EAUTH, PH_STAGE_AUTH, PH_CAUSE_NOT_OFFERED);
	FAILS(ph_client_mail(c, "\xc3\xbc@example.org", "SMTPUTF8", NULL, &err), PH_EREFUSED,
	      PH_STAGE_PREPARE, PH_CAUSE_NOT_OFFERED);
	FAILS(ph_client_rcpt(c, umlaut[0], NULL, NULL, &err), PH_EREFUSED, PH_STAGE_PREPARE,
	      PH_CAUSE_NOT_OFFERED);
	ph_client_free(c);
	finish(p);
	p = start(SCRIPT(GREET, "$"));
	c = CLIENT(p, .tls = OFF);
	e.recipients = umlaut;
	FAILS(ph_client_sendmail(c, &e, hi, NULL, &err), PH_EREFUSED, PH_STAGE_MAIL,
	      PH_CAUSE_NOT_OFFERED);
	ph_client_free(c);
	finish(p);
}

static void
value_error_is_einput(void **state)
{
	struct peer *p = start(SCRIPT(GREET, "$"));
	struct ph_client *c = CLIENT(p, .tls = OFF);

	(void)state;
	OK(ph_client_connect(c, NULL, &err));
	OK(ph_client_ehlo(c, NULL, NULL, &err));
	FAILS(ph_client_putcmd(c, "NOOP\r\nRSET", NULL, &err), PH_EINPUT, PH_STAGE_PREPARE,
	      PH_CAUSE_ARGUMENT);
	FAILS(ph_client_docmd(c, "VRFY", "a\nb", NULL, &err), PH_EINPUT, PH_STAGE_PREPARE,
	      PH_CAUSE_ARGUMENT);
	FAILS(ph_client_mail(c, "ann@example.org>\r\nRCPT TO:<x@y.test", NULL, NULL, &err), PH_EINPUT,
	      PH_STAGE_PREPARE, PH_CAUSE_ARGUMENT);
	ph_client_free(c);
	finish(p);
}

/* ---- class SMTP ------------------------------------------------------------------------------ */

static void
the_constructor_does_not_connect(void **state)
{
	struct peer *p = start(SCRIPT(">220 peer ready", "<EHLO me.test", ">250 peer", BYE));
	struct ph_client *c = CLIENT(p, .tls = OFF, .source_ip = "127.0.0.1");
	const struct ph_reply *r = NULL;

	(void)state;
	assert_false(ph_client_is_connected(c));
	MISUSED(ph_client_noop(c, NULL, &err)); /* "please run connect() first" */
	OK(ph_client_connect(c, &r, &err));
	reply_is(r, 220, "peer ready");
	reply_is(ph_client_greeting(c), 220, "peer ready");
	assert_true(ph_client_fd(c) >= 0);
	OK(ph_client_open(c, &err)); /* goes on from here */
	OK(ph_client_quit(c, NULL, &err));
	ph_client_free(c);
	finish(p);
}

static void
local_hostname_is_the_address_literal_unless_given(void **state)
{
	char host[256] = "";
	struct peer *p = start(SCRIPT(">220 peer", "<EHLO ", ">250 peer", "$"));
	struct ph_client_opts o = { PH_CLIENT_OPTS_INIT, .server = url_of(p, "smtp"), .tls = OFF };
	struct ph_client *c = NULL;

	(void)state;
	OK(ph_client_new(&c, &o, &err));
	OK(ph_client_connect(c, NULL, &err));
	OK(ph_client_ehlo(c, NULL, NULL, &err));
	ph_client_free(c);
	pthread_join(p->thread, NULL);
	gethostname(host, sizeof host - 1);
	if (strchr(host, '.') == NULL)
		assert_string_equal(p->line, "EHLO [127.0.0.1]");
	else
		assert_non_null(strstr(p->line, host));
	close(p->listener);
	SSL_CTX_free(p->ctx);
	assert_string_equal(p->fault, "");
	free(p);
}

static void
the_timeout_is_a_deadline_for_each_reply(void **state)
{
	/* an octet now and then does not wind it up again */
	struct peer *p = start(SCRIPT(GREET, "<NOOP", "=2", "z100", "=5", "z100", "=0", "z100", "= o", "$"));
	struct ph_client *c = CLIENT(p, .tls = OFF, .timeout_ms = 250);

	(void)state;
	OK(ph_client_connect(c, NULL, &err));
	OK(ph_client_ehlo(c, NULL, NULL, &err));
	FAILS(ph_client_noop(c, NULL, &err), PH_EDEFERRED, PH_STAGE_HELLO, PH_CAUSE_TIMEOUT);
	ph_client_free(c);
	finish_early(p);
}

static void
what_the_server_said_to_hello_is_known(void **state)
{
	static const char *const expected[] = { "SIZE=1000", "8BITMIME=", "AUTH=PLAIN LOGIN", "X-OWN=a b" };
	struct peer *p = start(SCRIPT(
		">220 peer", "<EHLO me.test", ">250-peer greets", ">250-SIZE 1000", ">250-8bitmime",
		">250-AUTH PLAIN LOGIN", ">250-!not a keyword", ">250 X-OWN a b",
		"<HELO other.test", ">250 peer old", "<EHLO", ">550 5.7.1 no", "$"));
	struct ph_client *c = CLIENT(p, .tls = OFF);
	const char *keyword = NULL, *parameter = NULL;
	const struct ph_reply *r = NULL;
	char line[100];

	(void)state;
	OK(ph_client_connect(c, NULL, &err));
	assert_null(ph_client_ehlo_reply(c));
	assert_false(ph_client_is_esmtp(c));
	assert_false(ph_client_extension(c, 0, &keyword, &parameter));
	OK(ph_client_ehlo(c, NULL, NULL, &err));
	assert_true(ph_client_is_esmtp(c));
	assert_int_equal(ph_client_ehlo_reply(c)->code, 250);
	for (size_t i = 0; i < COUNT(expected); i++) {
		assert_true(ph_client_extension(c, i, &keyword, &parameter));
		snprintf(line, sizeof line, "%s=%s", keyword, parameter);
		assert_true(strcasecmp(line, expected[i]) == 0);
	}
	assert_false(ph_client_extension(c, COUNT(expected), &keyword, &parameter));
	assert_true(ph_client_has_extn(c, "size", &parameter));
	assert_string_equal(parameter, "1000");
	assert_false(ph_client_has_extn(c, "SIZ", NULL));
	OK(ph_client_helo(c, "other.test", &r, &err));
	assert_false(ph_client_is_esmtp(c));
	assert_false(ph_client_has_extn(c, "SIZE", NULL));
	assert_false(ph_client_extension(c, 0, &keyword, &parameter));
	reply_is(ph_client_ehlo_reply(c), 250, "peer old");
	FAILS(ph_client_ehlo(c, NULL, &r, &err), PH_EREFUSED, PH_STAGE_HELLO, PH_CAUSE_REPLY);
	assert_false(ph_client_is_esmtp(c));
	ph_client_free(c);
	finish(p);
}

static void
ehlo_or_helo_if_needed_is_what_it_says(void **state)
{
	struct peer *p = start(SCRIPT(">220 peer", "<EHLO", ">502 5.5.1 what?", "<HELO", ">250 peer",
	                              "<MAIL FROM:<ann@example.org>", ">250 ok", "$"));
	struct ph_client *c = CLIENT(p, .tls = OFF);

	(void)state;
	OK(ph_client_connect(c, NULL, &err));
	OK(ph_client_ehlo_or_helo_if_needed(c, &err));
	OK(ph_client_ehlo_or_helo_if_needed(c, &err));
	/* smtplib drops the options then, and says nothing */
	FAILS(ph_client_mail(c, "ann@example.org", "SIZE=100", NULL, &err), PH_EREFUSED,
	      PH_STAGE_PREPARE, PH_CAUSE_NOT_OFFERED);
	OK(ph_client_mail(c, "ann@example.org", NULL, NULL, &err));
	ph_client_free(c);
	finish(p);
}

static void
set_debuglevel_is_one_line(void **state)
{
	struct peer *p = start(SCRIPT(">220 peer", "<EHLO", ">250-peer", ">250 AUTH PLAIN",
	                              "<AUTH PLAIN", ">235 in", "$"));
	struct ph_client *c = CLIENT(p, .tls = OFF, .transcript = ph_transcript_print);
	FILE *file = tmpfile();
	int saved = dup(2);
	char said[1000] = "";

	(void)state;
	fflush(stderr);
	dup2(fileno(file), 2);
	ph_client_connect(c, NULL, NULL);
	ph_client_login(c, ANN, NULL, NULL);
	fflush(stderr);
	dup2(saved, 2);
	close(saved);
	rewind(file);
	assert_true(fread(said, 1, sizeof said - 1, file) > 0);
	fclose(file);
	assert_non_null(strstr(said, "<-  220 peer\n -> EHLO me.test\n<-  250-peer\n<-  250 AUTH PLAIN\n"
	                             " -> AUTH PLAIN [hidden]\n<-  235 in\n"));
	ph_client_free(c);
	finish(p);
}

static void
debuglevel_2_adds_times_and_a_short_struct_is_respected(void **state)
{
	struct ph_trace line = { .size = sizeof line, .direction = '>', .since_us = 1234567,
	                         .text = "NOOP", .len = 4 };
	char *out = NULL;
	size_t n = 0;
	struct ph_transcript t = { PH_TRANSCRIPT_INIT, .file = open_memstream(&out, &n), .times = true };

	(void)state;
	ph_transcript_print(&t, &line);
	t.size = offsetof(struct ph_transcript, times); /* of a caller who knows no times */
	ph_transcript_print(&t, &line);
	fclose(t.file);
	assert_string_equal(out, "  1234.567  -> NOOP\n -> NOOP\n");
	free(out);
}

static void
send_putcmd_getreply_and_docmd(void **state)
{
	struct peer *p = start(SCRIPT(GREET, "<NOOP", "<XYZZY a b", ">250 one", ">500-two", ">500 three",
	                              "<HELP", ">214 help", "<raw", ">250 four", "<GARBAGE", "=abc\r\n",
	                              "$"));
	struct ph_client *c = CLIENT(p, .tls = OFF);
	const struct ph_reply *r = NULL;

	(void)state;
	OK(ph_client_connect(c, NULL, &err));
	OK(ph_client_ehlo(c, NULL, NULL, &err));
	OK(ph_client_putcmd(c, "NOOP", NULL, &err));
	OK(ph_client_putcmd(c, "XYZZY", "a b", &err));
	MISUSED(ph_client_docmd(c, "NOOP", NULL, &r, &err)); /* it would get NOOP's reply */
	OK(ph_client_getreply(c, &r, &err));
	reply_is(r, 250, "one");
	FAILS(ph_client_getreply(c, &r, &err), PH_EREFUSED, PH_STAGE_HELLO, PH_CAUSE_REPLY);
	reply_is(r, 500, "two\nthree");
	OK(ph_client_docmd(c, "HELP", NULL, &r, &err));
	reply_is(r, 214, "help");
	OK(ph_client_send(c, "raw\r\n", 5, &err));
	OK(ph_client_getreply(c, &r, &err));
	reply_is(r, 250, "four");
	/* smtplib: (-1, ...) */
	FAILS(ph_client_docmd(c, "GARBAGE", NULL, &r, &err), PH_EPROTOCOL, PH_STAGE_HELLO,
	      PH_CAUSE_GARBAGE);
	assert_false(ph_client_is_connected(c));
	ph_client_free(c);
	finish(p);
}

static void
the_small_commands(void **state)
{
	struct peer *p = start(SCRIPT(GREET, "<NOOP", ">250 a", "<RSET", ">250 b", "<HELP", ">214 c",
	                              "<HELP MAIL", ">504 d", "<VRFY bob", ">252 e", "<EXPN all",
	                              ">250-bob", ">250 carol", "<ETRN example.net", ">253 f", "$"));
	struct ph_client *c = CLIENT(p, .tls = OFF);
	const struct ph_reply *r = NULL;

	(void)state;
	OK(ph_client_connect(c, NULL, &err));
	OK(ph_client_ehlo(c, NULL, NULL, &err));
	OK(ph_client_noop(c, NULL, &err));
	OK(ph_client_rset(c, NULL, &err));
	OK(ph_client_help(c, NULL, &r, &err));
	reply_is(r, 214, "c");
	FAILS(ph_client_help(c, "MAIL", &r, &err), PH_EREFUSED, PH_STAGE_HELLO, PH_CAUSE_REPLY);
	OK(ph_client_vrfy(c, "bob", &r, &err));
	reply_is(r, 252, "e");
	OK(ph_client_expn(c, "all", &r, &err));
	reply_is(r, 250, "bob\ncarol");
	OK(ph_client_etrn(c, "example.net", &r, &err));
	ph_client_free(c);
	finish(p);
}

static void
mail_rcpt_and_data_by_hand(void **state)
{
	struct peer *p = start(SCRIPT(
		">220 peer", "<EHLO", ">250-peer", ">250 SMTPUTF8",
		"<MAIL FROM:<j\xc3\xbcrgen@example.org> SMTPUTF8", ">250 ok", "<RCPT TO:<nobody@example.net>",
		">550 5.1.1 who?", "<RCPT TO:<bob@example.net> NOTIFY=NEVER", ">251 will forward", DATA,
		">250 2.0.0 Ok: queued as 4F2", "$"));
	struct ph_client *c = CLIENT(p, .tls = OFF);
	const struct ph_reply *r = NULL;
	char id[20];

	(void)state;
	OK(ph_client_connect(c, NULL, &err));
	OK(ph_client_mail(c, "j\xc3\xbcrgen@example.org", "SMTPUTF8", NULL, &err));
	FAILS(ph_client_rcpt(c, "nobody@example.net", NULL, &r, &err), PH_EREFUSED, PH_STAGE_RCPT,
	      PH_CAUSE_REPLY);
	OK(ph_client_rcpt(c, "bob@example.net", "NOTIFY=NEVER", &r, &err));
	assert_int_equal(r->code, 251);
	OK(ph_client_data(c, hi, PH_LINE_ENDS_NORMALISE, &r, &err));
	assert_string_equal(ph_reply_remote_id(r, id, sizeof id), "4F2"); /* not thrown away */
	ph_client_free(c);
	finish(p);
}

static void
a_body_with_bare_line_ends_cannot_smuggle(void **state)
{
	struct ph_source *s = source_of("a: b\n\n.\nQUIT\r.\rRSET\n");
	struct peer *p = start(SCRIPT(">220 peer", "@"));
	struct ph_client *c = CLIENT(p, .tls = OFF);

	(void)state;
	OK(ph_client_connect(c, NULL, &err));
	OK(ph_client_mail(c, "ann@example.org", NULL, NULL, &err));
	OK(ph_client_rcpt(c, "bob@example.net", NULL, NULL, &err));
	OK(ph_client_data(c, s, PH_LINE_ENDS_NORMALISE, NULL, &err));
	OK(ph_client_quit(c, NULL, &err));
	ph_client_free(c);
	pthread_join(p->thread, NULL);
	assert_string_equal(p->mind.body, "a: b\r\n\r\n..\r\nQUIT\r\n..\r\nRSET\r\n");
	ph_source_free(s);
	close(p->listener);
	SSL_CTX_free(p->ctx);
	free(p);
}

static enum ph_code
own_step(void *user, const void *challenge, size_t n, const void **response, size_t *len,
         struct ph_error *err)
{
	(void)user;
	(void)err;
	if (challenge == NULL)
		return PH_OK; /* initial_response_ok=False: the server begins */
	assert_int_equal(n, 5);
	assert_memory_equal(challenge, "who? ", 5);
	*response = "me";
	*len = 2;
	return PH_OK;
}

static void
auth_takes_a_mechanism_of_the_callers(void **state)
{
	struct peer *p = start(SCRIPT(">220 peer", "<EHLO", ">250-peer", ">250 AUTH X-OWN", "<AUTH X-OWN",
	                              ">334 d2hvPyA=", "<bWU=", ">235 in", "$", "|",
	                              ">220 peer", "<EHLO", ">250-peer", ">250 AUTH X-OWN", "<AUTH X-OWN",
	                              ">503 5.5.1 bad sequence", "$"));
	struct ph_client *c = CLIENT(p, .tls = OFF);
	struct ph_mechanism own = { PH_MECHANISM_INIT, .name = "X-OWN", .step = own_step };

	(void)state;
	OK(ph_client_connect(c, NULL, &err));
	OK(ph_client_auth(c, &own, NULL, &err));
	OK(ph_client_connect(c, NULL, &err));
	{
		struct ph_error err = PH_ERROR_INIT;

		/* smtplib calls a 503 success */
		assert_int_not_equal(ph_client_auth(c, &own, NULL, &err), PH_OK);
		assert_int_equal(err.reply, 503);
	}
	ph_client_free(c);
	finish(p);
}

static void
auth_plain_and_auth_login_are_names_of_mechanisms(void **state)
{
	static const struct { const char *mechanism, *script[12]; } cases[] = {
		{ "PLAIN", { ">220 peer", "<EHLO", ">250-peer", ">250 AUTH LOGIN PLAIN",
		             "<AUTH PLAIN AGFubgBww7xzcw==", ">235 in", "$" } },
		{ "LOGIN", { ">220 peer", "<EHLO", ">250-peer", ">250 AUTH PLAIN LOGIN", "<AUTH LOGIN",
		             ">334 VXNlcm5hbWU6", "<YW5u", ">334 UGFzc3dvcmQ6", "<cMO8c3M=", ">235 in", "$" } },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct peer *p = start(cases[i].script);
		struct ph_client *c = CLIENT(p, .tls = OFF);
		struct ph_credentials login = { PH_CREDENTIALS_INIT, .user = "ann",
			.password = "p\xc3\xbcss", .mechanisms = cases[i].mechanism }; /* not ASCII only */

		OK(ph_client_connect(c, NULL, &err));
		OK(ph_client_login(c, &login, NULL, &err));
		ph_client_free(c);
		finish(p);
	}
}

static void
login_does_not_cross_a_clear_link(void **state)
{
	struct peer *p = start(SCRIPT(">220 peer", "<EHLO", ">250-peer", ">250 AUTH PLAIN", "$"));
	struct ph_client *c = new_client((struct ph_client_opts){ .server = url_of(p, "submission") });

	(void)state;
	OK(ph_client_connect(c, NULL, &err));
	FAILS(ph_client_login(c, ANN, NULL, &err), PH_ESECURITY, PH_STAGE_AUTH, PH_CAUSE_CLEAR_AUTH);
	ph_client_free(c);
	finish(p);
}

static void
starttls_verifies_and_forgets(void **state)
{
	struct peer *p = start(SCRIPT(
		">220 peer", "<EHLO", ">250-peer", ">250-SIZE 7", ">250 STARTTLS", "<STARTTLS", ">220 go", "~",
		"<EHLO", ">250 peer", BYE, "|",
		">220 peer", "<EHLO", ">250-peer", ">250 STARTTLS", "<STARTTLS", ">220 go", "~", "|",
		">220 peer", "<EHLO", ">250-peer", ">250 STARTTLS", "<STARTTLS",
		"=220 go\r\n250-injected\r\n", "$"));
	struct ph_client *c = new_client((struct ph_client_opts){ .server = url_of(p, "submission") });
	struct ph_client *wrong = new_client((struct ph_client_opts){ .server = url_of(p, "submission"),
		.tls = &(const struct ph_tls_opts){ PH_TLS_OPTS_INIT, .server_name = "other.test" } });

	(void)state;
	OK(ph_client_connect(c, NULL, &err));
	OK(ph_client_starttls(c, NULL, &err));
	assert_true(ph_client_tls_facts(c)->verified);
	assert_null(ph_client_ehlo_reply(c));
	assert_false(ph_client_has_extn(c, "SIZE", NULL));
	OK(ph_client_ehlo(c, NULL, NULL, &err));
	FAILS(ph_client_starttls(c, NULL, &err), PH_EUSAGE, PH_STAGE_STARTTLS, PH_CAUSE_STATE);
	OK(ph_client_quit(c, NULL, &err));
	OK(ph_client_connect(wrong, NULL, &err));
	FAILS(ph_client_starttls(wrong, NULL, &err), PH_ESECURITY, PH_STAGE_TLS, PH_CAUSE_CERT_NAME);
	OK(ph_client_connect(c, NULL, &err));
	FAILS(ph_client_starttls(c, NULL, &err), PH_ESECURITY, PH_STAGE_STARTTLS, PH_CAUSE_INJECTION);
	ph_client_free(c);
	ph_client_free(wrong);
	finish(p);
}

static void
with_ends_in_quit_or_leave(void **state)
{
	struct peer *p = start(SCRIPT(GREET, "<QUIT", ">500 what?", "$", "|", GREET, "<QUIT", "$", "|",
	                              GREET, "$"));
	struct ph_client *c = CLIENT(p, .tls = OFF);
	const struct ph_reply *r = NULL;

	(void)state;
	for (int i = 0; i < 3; i++) {
		OK(ph_client_connect(c, NULL, &err));
		OK(ph_client_ehlo(c, NULL, NULL, &err));
		if (i == 0) {
			FAILS(ph_client_quit(c, &r, &err), PH_EREFUSED, PH_STAGE_QUIT, PH_CAUSE_REPLY);
			reply_is(r, 500, "what?");
		}
		if (i == 1)
			ph_client_leave(c);
		if (i == 2)
			ph_client_close(c);
		assert_false(ph_client_is_connected(c));
		assert_int_equal(ph_client_fd(c), -1);
		MISUSED(ph_client_noop(c, NULL, &err));
		MISUSED(ph_client_quit(c, NULL, &err));
	}
	ph_client_free(c);
	finish(p);
}

static void
a_reconnected_client_knows_nothing_of_before(void **state)
{
	struct peer *p = start(SCRIPT(
		">220 one", "<EHLO", ">250-peer", ">250-AUTH PLAIN", ">250 SIZE 7", "<AUTH", ">235 in", "$", "|",
		">220 two", "<EHLO", ">250 peer", "<MAIL FROM:<ann@example.org>", ">250 ok", "$"));
	struct ph_client *c = CLIENT(p, .tls = OFF);

	(void)state;
	OK(ph_client_connect(c, NULL, &err));
	OK(ph_client_login(c, ANN, NULL, &err));
	ph_client_close(c);
	assert_null(ph_client_greeting(c));
	assert_null(ph_client_ehlo_reply(c));
	assert_false(ph_client_has_extn(c, "SIZE", NULL));
	OK(ph_client_connect(c, NULL, &err));
	assert_false(ph_client_is_esmtp(c));
	OK(ph_client_mail(c, "ann@example.org", NULL, NULL, &err)); /* says EHLO before */
	ph_client_free(c);
	finish(p);
}

static void
sockets_and_transports_can_be_lent(void **state)
{
	struct peer *p = calloc(1, sizeof *p);
	struct wire *w = new_wire("220 wire\r\n");
	struct ph_client *c = new_client((struct ph_client_opts){ .tls = OFF });
	const struct ph_reply *r = NULL;
	int pair[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	peer_start_on(p, SCRIPT(">220 pair", "<EHLO", ">250 peer", BYE), pair[1]);
	OK(ph_client_attach_socket(c, pair[0], true, &r, &err));
	reply_is(r, 220, "pair");
	OK(ph_client_open(c, &err));
	OK(ph_client_quit(c, NULL, &err));
	finish(p);
	OK(ph_client_attach_transport(c, &w->t, NULL, &r, &err));
	reply_is(r, 220, "wire");
	assert_int_equal(ph_client_fd(c), -1);
	OK(ph_client_noop(c, NULL, &err));
	ph_client_free(c);
	free(w);
}

/* ---- sendmail -------------------------------------------------------------------------------- */

static void
sendmail_reports_each_recipient_in_order(void **state)
{
	static const char *const to[] = { "bob@example.net", "nobody@example.net", "bob@example.net",
	                                  "carol@example.net" };
	static const enum ph_outcome outcomes[] = { PH_ACCEPTED, PH_REFUSED, PH_ACCEPTED, PH_DEFERRED };
	static const char *const mail[] = { "X-M=1", NULL }, *const rcpt[] = { "X-R=2", NULL };
	struct peer *p = start(SCRIPT(
		">220 peer", "<EHLO", ">250-peer", ">250 SIZE 1000",
		"<MAIL FROM:<ann@example.org> SIZE=22 X-M=1", ">250 ok",
		"<RCPT TO:<bob@example.net> X-R=2", ">252 perhaps", "<RCPT TO:<nobody", ">550 5.1.1 who?",
		"<RCPT TO:<bob", ">250 ok", "<RCPT TO:<carol", ">450 4.2.0 later", DATA,
		">250 2.0.0 Ok: queued as 77", "$"));
	struct ph_client *c = CLIENT(p, .tls = OFF);
	struct ph_envelope e = { PH_ENVELOPE_INIT, .from = "ann@example.org", .recipients = to,
		.recipient_count = 4, .mail_parameters = mail, .rcpt_parameters = rcpt };
	const struct ph_record *r = NULL;
	char *json;

	(void)state;
	FAILS(ph_client_sendmail(c, &e, hi, &r, &err), PH_EPARTIAL, PH_STAGE_RCPT, PH_CAUSE_REPLY);
	assert_int_equal(ph_record_outcome(r), PH_PARTIAL);
	assert_int_equal(ph_record_recipient_count(r), 4); /* one each, doubles too */
	for (size_t i = 0; i < 4; i++) {
		assert_string_equal(ph_record_recipient(r, i)->address, to[i]);
		assert_int_equal(ph_record_recipient(r, i)->outcome, outcomes[i]);
	}
	reply_is(&ph_record_recipient(r, 0)->reply, 250, "2.0.0 Ok: queued as 77");
	assert_int_equal(ph_record_bytes(r), strlen(HI));
	json = ph_record_json(r);
	assert_non_null(strstr(json, "\"remote_id\":\"77\""));
	ph_record_free_json(r, json);
	ph_client_free(c);
	finish(p);
}

static void
a_refused_data_is_reset_before_the_next(void **state)
{
	struct peer *p = start(SCRIPT(GREET, MAIL, RCPT, "<DATA", ">451 4.3.0 later", "<RSET", ">250 ok",
	                              MAIL, RCPT, DATA, ">250 ok", "$"));
	struct ph_client *c = CLIENT(p, .tls = OFF);
	struct ph_envelope e = ann_to_bob();

	(void)state;
	FAILS(ph_client_sendmail(c, &e, hi, NULL, &err), PH_EDEFERRED, PH_STAGE_DATA, PH_CAUSE_REPLY);
	OK(ph_client_sendmail(c, &e, hi, NULL, &err));
	ph_client_free(c);
	finish(p);
}

static void
what_a_message_needs_is_found_by_looking(void **state)
{
	static const struct { const char *message, *ehlo; unsigned detail[2]; } cases[] = {
		{ "a: b\n\n\xc3\xbc\n", ">250 peer", { 6, 3 } },
		{ "a: \xc3\xbc\n\nb\n", ">250 8BITMIME", { 6, 7 } },
		{ "a: b\n\nlong enough\n", ">250 SIZE 10", { 3, 4 } },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct peer *p = start(SCRIPT(">220 peer", "<EHLO", ">250-peer", cases[i].ehlo, "$"));
		struct ph_client *c = CLIENT(p, .tls = OFF);
		struct ph_source *s = source_of(cases[i].message);
		struct ph_envelope e = ann_to_bob();
		struct ph_error err = PH_ERROR_INIT;

		assert_int_equal(ph_client_sendmail(c, &e, s, NULL, &err), PH_EREFUSED);
		assert_int_equal(err.reply, 0); /* our own refusal: nothing was sent */
		assert_int_equal(err.enhanced[1], cases[i].detail[0]);
		assert_int_equal(err.enhanced[2], cases[i].detail[1]);
		ph_client_free(c);
		ph_source_free(s);
		finish(p);
	}
}

static void
messages_can_be_submitted_ahead(void **state)
{
	struct wire *w = new_wire("220 peer\r\n");
	struct ph_client *c = new_client((struct ph_client_opts){ .tls = OFF });
	struct ph_envelope e = ann_to_bob();
	const struct ph_record *r = NULL;
	void *user = NULL;
	int which[2];

	(void)state;
	w->mind.ehlo = "250-peer\r\n250-PIPELINING\r\n250 CHUNKING\r\n";
	OK(ph_client_attach_transport(c, &w->t, NULL, NULL, &err));
	for (int i = 0; i < 2; i++)
		OK(ph_client_submit(c, &e, hi, &which[i], &err));
	assert_int_equal(ph_client_pending(c), 2);
	MISUSED(ph_client_sendmail(c, &e, hi, NULL, &err));
	MISUSED(ph_client_send_message(c, hi, &e, NULL, &err));
	for (int i = 0; i < 2; i++) {
		OK(ph_client_next(c, &r, &user, &err));
		assert_ptr_equal(user, &which[i]);
	}
	OK(ph_client_quit(c, NULL, &err));
	assert_non_null(strstr(w->mind.log, "BDAT 22 LAST\n"));
	ph_client_free(c);
	free(w);
}

/* ---- send_message ---------------------------------------------------------------------------- */

/* What the server saw: its commands, and the message. */
static enum ph_code
send_text(const char *message, const struct ph_envelope *e, const char *ehlo, char *log, char *body,
          struct ph_error *err)
{
	struct wire *w = new_wire("220 peer\r\n");
	struct ph_client *c = new_client((struct ph_client_opts){ .tls = OFF });
	struct ph_source *s = source_of(message);
	enum ph_code rc;

	w->mind.ehlo = ehlo;
	assert_int_equal(ph_client_attach_transport(c, &w->t, NULL, NULL, err), PH_OK);
	rc = ph_client_send_message(c, s, e, NULL, err);
	if (rc == PH_OK) /* the source is as it was */
		assert_int_equal(ph_client_send_message(c, s, e, NULL, err), PH_OK);
	snprintf(log, 2000, "%.1999s", w->mind.log);
	snprintf(body, 2000, "%.1999s", w->mind.body);
	body[strlen(body) / 2] = '\0';
	ph_source_free(s);
	ph_client_free(c);
	free(w);
	return rc;
}

static void
send_message_takes_the_envelope_out_of_the_header(void **state)
{
	static const struct { const char *message, *ehlo, *log, *body; } cases[] = {
		{ "From: Ann <ann@a.test>\nTo: b@b.test, Carol <c@c.test>\nCc: b@b.test, d@d.test\n"
		  "Bcc: e@e.test,\n f@f.test\nSubject: x\n\nhi\n", NULL,
		  "MAIL FROM:<ann@a.test>\nRCPT TO:<b@b.test>\nRCPT TO:<c@c.test>\nRCPT TO:<d@d.test>\n"
		  "RCPT TO:<e@e.test>\nRCPT TO:<f@f.test>\nDATA\n",
		  "From: Ann <ann@a.test>\r\nTo: b@b.test, Carol <c@c.test>\r\nCc: b@b.test, d@d.test\r\n"
		  "Subject: x\r\n\r\nhi\r\n" },
		{ "From: ann@a.test, ben@a.test\r\nSender: ben@a.test\r\nTo: b@b.test\r\n\r\nhi\r\n", NULL,
		  "MAIL FROM:<ben@a.test>\nRCPT TO:<b@b.test>\nDATA\n",
		  "From: ann@a.test, ben@a.test\r\nSender: ben@a.test\r\nTo: b@b.test\r\n\r\nhi\r\n" },
		{ "Resent-From: r@r.test\nResent-To: s@s.test\nResent-Bcc: t@t.test\n"
		  "Resent-Date: Mon, 1 Jan 2024 00:00:00 +0000\nFrom: ann@a.test\nTo: b@b.test\n\nhi\n", NULL,
		  "MAIL FROM:<r@r.test>\nRCPT TO:<s@s.test>\nRCPT TO:<t@t.test>\nDATA\n",
		  "Resent-From: r@r.test\r\nResent-To: s@s.test\r\n"
		  "Resent-Date: Mon, 1 Jan 2024 00:00:00 +0000\r\nFrom: ann@a.test\r\nTo: b@b.test\r\n\r\n"
		  "hi\r\n" },
		{ "From: ann@a.test\nTo: j\xc3\xbcrgen@b.test\n\nhi\n", "250-peer\r\n250-8BITMIME\r\n250 SMTPUTF8\r\n",
		  "MAIL FROM:<ann@a.test> BODY=8BITMIME SMTPUTF8\nRCPT TO:<j\xc3\xbcrgen@b.test>\nDATA\n",
		  "From: ann@a.test\r\nTo: j\xc3\xbcrgen@b.test\r\n\r\nhi\r\n" },
		{ "To: b@b.test\nBcc: c@c.test\nFrom: <a@a.test>", NULL,
		  "MAIL FROM:<a@a.test>\nRCPT TO:<b@b.test>\nRCPT TO:<c@c.test>\nDATA\n",
		  "To: b@b.test\r\nFrom: <a@a.test>\r\n" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		char log[2000], body[2000], *at;

		OK(send_text(cases[i].message, NULL, cases[i].ehlo, log, body, &err));
		at = strchr(log, '\n') + 1;
		at[strlen(at) / 2] = '\0';
		assert_string_equal(at, cases[i].log);
		assert_string_equal(body, cases[i].body);
	}
}

static void
send_message_lets_the_envelope_say_otherwise(void **state)
{
	static const char resent_twice[] = "Resent-From: r@r.test\nResent-To: s@s.test\n"
		"Resent-From: q@r.test\nResent-To: t@s.test\nTo: b@b.test\nBcc: x@x.test\n\nhi\n";
	char log[2000], body[2000];
	struct ph_envelope e = ann_to_bob();

	(void)state;
	OK(send_text(resent_twice, &e, NULL, log, body, &err));
	assert_non_null(strstr(log, "MAIL FROM:<ann@example.org>\nRCPT TO:<bob@example.net>\nDATA\n"));
	assert_null(strstr(body, "Bcc"));
	e = (struct ph_envelope){ PH_ENVELOPE_INIT, .from = "" };
	OK(send_text("From: a@a.test, b@a.test\nTo: c@c.test\n\nhi\n", &e, NULL, log, body, &err));
	assert_non_null(strstr(log, "MAIL FROM:<>\nRCPT TO:<c@c.test>\nDATA\n"));
	e = ann_to_bob();
	e.from = NULL;
	OK(send_text("From: a@a.test\nTo: c@c.test\n\nhi\n", &e, NULL, log, body, &err));
	assert_non_null(strstr(log, "MAIL FROM:<a@a.test>\nRCPT TO:<bob@example.net>\nDATA\n"));
}

static void
send_message_refuses_what_is_not_clear(void **state)
{
	static const char *const bad[] = {
		"From: a@a.test, b@a.test\nTo: c@c.test\n\nhi\n", "From: a@a.test\n\nTo: c@c.test\n",
		"To: c@c.test\n\nhi\n", "", "\n\nhi\n", "From: a@a.test\nTo: c@@c.test\n\nhi\n",
		"Resent-From: r@r.test\nResent-To: s@s.test\nResent-From: q@r.test\nFrom: a@a.test\n"
		"To: b@b.test\n\nhi\n",
		"Resent-To: s@s.test\nFrom: a@a.test\nTo: b@b.test\n\nhi\n",
		"Resent-From: r@r.test\nTo: s@s.test\nFrom: a@a.test\n\nhi\n",
		"Resent-From: r@r.test\nResent-To: s@s.test\nX: y\nResent-Cc: t@t.test\n\nhi\n",
	};

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++) {
		char log[2000], body[2000];
		struct ph_error err = PH_ERROR_INIT;

		if (send_text(bad[i], NULL, NULL, log, body, &err) != PH_EINPUT)
			fail_msg("\"%s\" gave %s: %s", bad[i], ph_code_name(err.code), err.text);
		assert_int_equal(err.stage, PH_STAGE_PREPARE);
		assert_true(err.text[0] != '\0');
		assert_string_equal(log, ""); /* nobody was bothered */
	}
}

static void
send_message_reads_any_source(void **state)
{
	static const char head[] = "From: a@a.test\nTo: b@b.test\nBcc: c@c.test\nSubject: j\xc3\xbc\n\n";
	struct wire *w = new_wire("220 peer\r\n");
	struct ph_client *c = new_client((struct ph_client_opts){ .tls = OFF });
	struct ph_source *parts[2] = { source_of("hi\n"), source_of("") }, *list = NULL, *pipe_ = NULL;
	const struct ph_record *r = NULL;
	char body[200000] = "";
	int ends[2];

	(void)state;
	w->mind.ehlo = "250-peer\r\n250-8BITMIME\r\n250 SMTPUTF8\r\n";
	OK(ph_client_attach_transport(c, &w->t, NULL, NULL, &err));
	/* a pipe: once */
	assert_int_equal(pipe(ends), 0);
	assert_int_equal(write(ends[1], head, strlen(head)), strlen(head));
	assert_int_equal(write(ends[1], "one\n", 4), 4);
	close(ends[1]);
	OK(ph_source_new_pipe(&pipe_, ends[0], NULL));
	OK(ph_client_send_message(c, pipe_, NULL, &r, &err));
	assert_int_equal(ph_record_recipient_count(r), 2);
	FAILS(ph_client_send_message(c, pipe_, NULL, &r, &err), PH_ENOINPUT, PH_STAGE_PREPARE,
	      PH_CAUSE_SOURCE);
	/* a list whose header block is larger than a read, and a Bcc at its end */
	ph_source_free(parts[1]);
	memset(body, 'x', 60000);
	for (int i = 0; i < 60000; i += 500)
		memcpy(body + i, i == 0 ? "From: a@a.test\nTo: b@b.test\nX: " : "\nX-Y: ", i == 0 ? 31 : 6);
	strcpy(body + 60000, "\nBcc: c@c.test\n\n");
	parts[1] = parts[0];
	parts[0] = source_of(body);
	OK(ph_source_new_list(&list, parts, 2, NULL));
	OK(ph_client_send_message(c, list, NULL, &r, &err));
	OK(ph_client_send_message(c, list, NULL, &r, &err));
	assert_int_equal(ph_record_recipient_count(r), 2);
	assert_null(strstr(w->mind.body, "Bcc"));
	assert_non_null(strstr(w->mind.log, "MAIL FROM:<a@a.test> BODY=8BITMIME SMTPUTF8\n"));
	ph_source_free(pipe_);
	ph_source_free(list);
	close(ends[0]);
	ph_client_free(c);
	free(w);
}

static void
a_header_block_without_end_is_refused(void **state)
{
	size_t n = 1200000;
	char *big = malloc(n);
	struct ph_client *c = new_client((struct ph_client_opts){ .tls = OFF });
	struct ph_source *s = NULL;

	(void)state;
	memset(big, 'x', n);
	memcpy(big, "From: a@a.test\nTo: b@b.test\nX: ", 31);
	for (size_t i = 900; i + 900 < n; i += 900)
		memcpy(big + i, "\nX: ", 4);
	OK(ph_source_new_memory(&s, big, n, NULL));
	FAILS(ph_client_send_message(c, s, NULL, NULL, &err), PH_EINPUT, PH_STAGE_PREPARE,
	      PH_CAUSE_LIMIT);
	ph_source_free(s);
	ph_client_free(c);
	free(big);
}

static void
the_pieces_of_send_message_are_to_be_had(void **state)
{
	static const char head[] = "From: a@a.test\nTo: b@b.test, b@b.test\nBcc: c@c.test\n\n";
	struct ph_addresses *a = NULL;
	size_t len = 0, block_len = 0;
	char *out = NULL;

	(void)state;
	OK(ph_addresses_sender_from_header(&a, head, strlen(head), NULL, &err));
	assert_int_equal(ph_addresses_count(a), 1);
	assert_string_equal(ph_addresses_get(a, 0), "a@a.test");
	ph_addresses_free(a);
	OK(ph_addresses_from_header(&a, head, strlen(head), NULL, &err));
	assert_int_equal(ph_addresses_count(a), 2);
	assert_string_equal(ph_addresses_get(a, 1), "c@c.test");
	ph_addresses_free(a);
	OK(ph_addresses_parse(&a, "Bob <b@b.test>, c@c.test", NULL, &err));
	assert_int_equal(ph_addresses_count(a), 2);
	ph_addresses_free(a);
	OK(ph_addresses_sender_from_header(&a, "To: b@b.test\n\n", 14, NULL, &err));
	assert_int_equal(ph_addresses_count(a), 0);
	ph_addresses_free(a);
	OK(ph_header_without_bcc(&out, &len, &block_len, head, strlen(head), NULL, &err));
	assert_string_equal(out, "From: a@a.test\nTo: b@b.test, b@b.test\n\n");
	assert_int_equal(block_len, strlen(head));
	free(out);
}

/* ---- SMTP_SSL, LMTP -------------------------------------------------------------------------- */

static void
smtp_ssl_is_the_scheme_smtps(void **state)
{
	struct peer *p = start(SCRIPT("~", ">220 peer", "<EHLO", ">250 peer", BYE, "|", "~"));
	struct ph_client *c = new_client((struct ph_client_opts){ .server = url_of(p, "smtps") });
	struct ph_client *stranger = new_client((struct ph_client_opts){ .server = url_of(p, "smtps"),
		.tls = &(const struct ph_tls_opts){ PH_TLS_OPTS_INIT, .server_name = "other.test" } });

	(void)state;
	OK(ph_client_connect(c, NULL, &err));
	assert_true(ph_client_tls_facts(c)->verified);
	OK(ph_client_ehlo(c, NULL, NULL, &err));
	OK(ph_client_quit(c, NULL, &err));
	FAILS(ph_client_connect(stranger, NULL, &err), PH_ESECURITY, PH_STAGE_TLS,
	      PH_CAUSE_CERT_NAME);
	ph_client_free(c);
	ph_client_free(stranger);
	finish(p);
}

static void
lmtp_has_a_reply_for_each(void **state)
{
	struct peer *p = start(SCRIPT(">220 peer", "<LHLO", ">250 peer", "<MAIL", ">250 ok", "<RCPT",
	                              ">250 ok", "<RCPT", ">250 ok", DATA, ">250 first", ">452 4.2.2 full",
	                              "$"));
	struct ph_client *c = new_client((struct ph_client_opts){ .server = url_of(p, "lmtp"),
	                                                          .tls = OFF });
	const struct ph_reply *r = NULL;

	(void)state;
	OK(ph_client_connect(c, NULL, &err));
	FAILS(ph_client_helo(c, NULL, NULL, &err), PH_EUSAGE, PH_STAGE_HELLO, PH_CAUSE_STATE);
	OK(ph_client_ehlo(c, NULL, NULL, &err));
	OK(ph_client_mail(c, "ann@example.org", NULL, NULL, &err));
	OK(ph_client_rcpt(c, "bob", NULL, NULL, &err));
	OK(ph_client_rcpt(c, "carol", NULL, NULL, &err));
	OK(ph_client_data(c, hi, PH_LINE_ENDS_NORMALISE, &r, &err));
	reply_is(r, 250, "first");
	MISUSED(ph_client_noop(c, NULL, &err)); /* smtplib takes carol's reply for this one's */
	FAILS(ph_client_getreply(c, &r, &err), PH_EDEFERRED, PH_STAGE_BODY, PH_CAUSE_REPLY);
	reply_is(r, 452, "4.2.2 full");
	ph_client_free(c);
	finish(p);
}

/* ---- the programs of the page ---------------------------------------------------------------- */

static const struct program {
	const char *name, *scheme, *script[40];
	enum ph_code expected;
} programs[] = {
	{ "send_one", "smtp", { GREET, MAIL, RCPT, DATA, ">250 ok", BYE }, PH_OK },
	{ "log_in", "submission", { ">220 peer", "<EHLO", ">250-peer", ">250 STARTTLS", "<STARTTLS",
	  ">220 go", "~", "<EHLO", ">250-peer", ">250 AUTH PLAIN", "<AUTH PLAIN", ">235 in", BYE }, PH_OK },
	{ "log_in_by_hand", "submission", { ">220 peer", "<EHLO", ">250-peer", ">250 STARTTLS",
	  "<STARTTLS", ">220 go", "~", "<EHLO", ">250-peer", ">250 AUTH PLAIN", "<AUTH PLAIN", ">235 in",
	  BYE }, PH_OK },
	{ "with_tls_from_the_start", "smtps", { "~", ">220 peer", BYE }, PH_OK },
	{ "who_was_refused", "smtp", { GREET, MAIL, RCPT, "<RCPT TO:<nobody@example.net>",
	  ">550 5.1.1 who?", DATA, ">250 ok", "$" }, PH_EPARTIAL },
	{ "send_message", "smtp", { GREET, MAIL, RCPT, "<RCPT TO:<eve@example.net>", ">250 ok", DATA,
	  ">250 ok", BYE }, PH_OK },
	{ "send_composed", "smtp", { GREET, MAIL, RCPT, DATA, ">250 ok", "$" }, PH_OK },
	{ "by_hand", "smtp", { GREET, MAIL, RCPT, "<RCPT TO:<nobody@example.net>", ">550 5.1.1 who?", DATA,
	  ">250 ok", BYE }, PH_OK },
	{ "raw_commands", "smtp", { ">220 peer", "<EHLO client.example.org", ">250 peer", MAIL, RCPT, DATA,
	  ">250 ok", BYE }, PH_OK },
	{ "verify", "smtp", { GREET, "<VRFY bob@example.net", ">252 2.5.2 perhaps", BYE }, PH_OK },
	{ "lmtp", "lmtp", { ">220 peer", "<LHLO", ">250 peer", MAIL, "<RCPT TO:<bob>", ">250 ok",
	  "<RCPT TO:<carol>", ">250 ok", DATA, ">250 ok", ">452 4.2.2 full", "$" }, PH_EPARTIAL },
	{ "see_the_dialogue", "smtp", { GREET, BYE }, PH_OK },
	{ "many_messages", "smtp", { GREET, MAIL, RCPT, DATA, ">250 ok", MAIL,
	  "<RCPT TO:<carol@example.net>", ">250 ok", DATA, ">250 ok", MAIL, "<RCPT TO:<dan@example.net>",
	  ">250 ok", DATA, ">250 ok", "$" }, PH_OK },
};

static void
the_programs_of_the_page_do_what_it_says(void **state)
{
	int out = dup(1), err_ = dup(2);
	FILE *nowhere = tmpfile();

	(void)state;
	setenv("CA_FILE", rig_ca_path, 1);
	assert_int_equal(COUNT(programs), COUNT(tasks));
	for (size_t i = 0; i < COUNT(programs); i++) {
		struct ph_error err = PH_ERROR_INIT;
		struct peer *p = start(programs[i].script);
		enum ph_code rc;

		assert_string_equal(programs[i].name, tasks[i].name);
		fflush(stdout);
		dup2(fileno(nowhere), 1);
		dup2(fileno(nowhere), 2);
		rc = tasks[i].run(url_of(p, programs[i].scheme), &err);
		fflush(stdout);
		dup2(out, 1);
		dup2(err_, 2);
		if (rc != programs[i].expected)
			fail_msg("%s: %s: %s", programs[i].name, ph_code_name(rc), err.text);
		finish(p);
	}
	fclose(nowhere);
	close(out);
	close(err_);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(smtp_port_smtp_ssl_port_and_587_have_names),
		cmocka_unit_test(lmtp_has_no_port_and_a_bad_port_is_refused),
		cmocka_unit_test(a_reply_without_end_is_bounded),
		cmocka_unit_test(more_challenges_than_an_exchange_can_have_end_it),
		cmocka_unit_test(the_old_auth_line_counts),
		cmocka_unit_test(quoteaddr_is_address_to_path),
		cmocka_unit_test(quotedata_is_dot_stuff),
		cmocka_unit_test(each_exception_has_its_error),
		cmocka_unit_test(smtp_authentication_error_is_eauth),
		cmocka_unit_test(smtp_not_supported_error_is_not_offered),
		cmocka_unit_test(value_error_is_einput),
		cmocka_unit_test(the_constructor_does_not_connect),
		cmocka_unit_test(local_hostname_is_the_address_literal_unless_given),
		cmocka_unit_test(the_timeout_is_a_deadline_for_each_reply),
		cmocka_unit_test(what_the_server_said_to_hello_is_known),
		cmocka_unit_test(ehlo_or_helo_if_needed_is_what_it_says),
		cmocka_unit_test(set_debuglevel_is_one_line),
		cmocka_unit_test(debuglevel_2_adds_times_and_a_short_struct_is_respected),
		cmocka_unit_test(send_putcmd_getreply_and_docmd),
		cmocka_unit_test(the_small_commands),
		cmocka_unit_test(mail_rcpt_and_data_by_hand),
		cmocka_unit_test(a_body_with_bare_line_ends_cannot_smuggle),
		cmocka_unit_test(auth_takes_a_mechanism_of_the_callers),
		cmocka_unit_test(auth_plain_and_auth_login_are_names_of_mechanisms),
		cmocka_unit_test(login_does_not_cross_a_clear_link),
		cmocka_unit_test(starttls_verifies_and_forgets),
		cmocka_unit_test(with_ends_in_quit_or_leave),
		cmocka_unit_test(a_reconnected_client_knows_nothing_of_before),
		cmocka_unit_test(sockets_and_transports_can_be_lent),
		cmocka_unit_test(sendmail_reports_each_recipient_in_order),
		cmocka_unit_test(a_refused_data_is_reset_before_the_next),
		cmocka_unit_test(what_a_message_needs_is_found_by_looking),
		cmocka_unit_test(messages_can_be_submitted_ahead),
		cmocka_unit_test(send_message_takes_the_envelope_out_of_the_header),
		cmocka_unit_test(send_message_lets_the_envelope_say_otherwise),
		cmocka_unit_test(send_message_refuses_what_is_not_clear),
		cmocka_unit_test(send_message_reads_any_source),
		cmocka_unit_test(a_header_block_without_end_is_refused),
		cmocka_unit_test(the_pieces_of_send_message_are_to_be_had),
		cmocka_unit_test(smtp_ssl_is_the_scheme_smtps),
		cmocka_unit_test(lmtp_has_a_reply_for_each),
		cmocka_unit_test(the_programs_of_the_page_do_what_it_says),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
