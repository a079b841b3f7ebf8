/* SPDX-License-Identifier: MIT */
/* The catalogue: whatever a server may do instead of the right answer, at every verb, in every way of
 * sending. What must come of it follows from the rules, which are written here once more. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "dialog.h"

enum how { REPLIES, SAYS, CLOSES, EXPIRES, EXPIRES_SOON };

/* What the server does. */
struct misdeed {
	const char *name;
	const char *says;          /* NULL: nothing */
	size_t      times;
	enum how    how;           /* and then */
	const char *outcome, *class, *cause; /* of a message not yet handed over */
	const char *shown;         /* of the reply; "": none */
};

static char flood[64 * 1024 + 1], endless[64 * 1024 + 1];

static const struct misdeed misdeeds[] = {
	{ "4yz",            "450 4.1.8 not now\r\n", 1, REPLIES, "deferred", "deferred", "reply", " 450 4.1.8" },
	{ "5yz",            "550 5.7.1 never\r\n",   1, REPLIES, "refused", "refused", "reply", " 550 5.7.1" },
	{ "5yz of lines",   "550-5.7.1 never\n550 5.7.1 ever\n", 1, REPLIES, "refused", "refused", "reply", " 550 5.7.1" },
	{ "5yz unadorned",  "550\r\n",               1, REPLIES, "refused", "refused", "reply", " 550" },
	{ "421",            "421 4.3.2 bye\r\n",     1, SAYS, "deferred", "deferred", "reply", " 421 4.3.2" },
	{ "garbage",        "hello?\r\n",            1, SAYS, "deferred", "protocol", "garbage", "" },
	{ "an empty line",  "\r\n",                  1, SAYS, "deferred", "protocol", "garbage", "" },
	{ "a 1yz",          "150 wait\r\n",          1, SAYS, "deferred", "protocol", "garbage", "" },
	{ "a 6yz",          "650 hm\r\n",            1, SAYS, "deferred", "protocol", "garbage", "" },
	{ "a code glued",   "250ok\r\n",             1, SAYS, "deferred", "protocol", "garbage", "" },
	{ "codes that differ", "250-a\r\n251 b\r\n", 1, SAYS, "deferred", "protocol", "garbage", "" },
	{ "9 MB of lines",  flood,                 144, SAYS, "deferred", "protocol", "limit", "" },
	{ "9 MB of a line", endless,               144, SAYS, "deferred", "protocol", "limit", "" },
	{ "nothing",        NULL,                    0, EXPIRES, "deferred", "deferred", "timeout", "" },
	{ "half a line",    "25",                    1, EXPIRES_SOON, "deferred", "deferred", "too-slow", "" },
	{ "half a reply",   "250-\r\n",              1, EXPIRES_SOON, "deferred", "deferred", "too-slow", "" },
	{ "the end",        NULL,                    0, CLOSES, "deferred", "deferred", "lost", "" },
	{ "the end in a line", "250 o",              1, CLOSES, "deferred", "deferred", "lost", "" },
	{ "the end in a reply", "250-ok\r\n",        1, CLOSES, "deferred", "deferred", "lost", "" },
	{ "the end in CRLF", "450 4.1.8 no\r",       1, CLOSES, "deferred", "deferred", "lost", "" },
};
#define MISDEEDS (sizeof misdeeds / sizeof misdeeds[0])

static void
add(struct dialog *d, struct step s)
{
	size_t n = 0;

	while (d->steps[n].kind != STEP_END)
		n++;
	assert_true(n + 1 < sizeof d->steps / sizeof d->steps[0]);
	d->steps[n] = s;
}

static void
add_text(struct dialog *d, enum step_kind kind, const char *text, size_t times)
{
	add(d, (struct step){ kind, text, NULL, strlen(text), times, 0 });
}

static void
add_misdeed(struct dialog *d, const struct misdeed *m, uint64_t timeout)
{
	if (m->says != NULL)
		add_text(d, STEP_PEER, m->says, m->times);
	if (m->how == EXPIRES)
		add(d, (struct step)expires(timeout));
	else if (m->how == EXPIRES_SOON)
		add(d, (struct step)expires(timeout < 30000 ? timeout : 30000));
	else if (m->how == CLOSES)
		add(d, (struct step)eof);
}

/* ---- messages -------------------------------------------------------------------------------- */

/* One exchange of a dialogue that goes well. */
struct exchange {
	const char *sends;         /* NULL: sent before, in the same flight */
	const char *stage;
	const char *good;
	bool        handed_over;   /* all of the message has gone when the answer is awaited */
	uint64_t    timeout;
};

struct way {
	const char *name, *hello;
	bool lmtp, chunked;
	struct exchange exchanges[5];
};

#define M "MAIL FROM:<a@x.test>\r\n"
#define R "RCPT TO:<b@x.test>\r\n"
#define D "DATA\r\n"
#define B "BDAT 22 LAST\r\n" HI
#define MIN 60000

static const struct way ways[] = {
	{ "SMTP", PLAIN, false, false, {
		{ M, "mail", "250 ok\r\n", false, 5 * MIN }, { R, "rcpt", "250 ok\r\n", false, 5 * MIN },
		{ D, "data", "354 ok\r\n", false, 2 * MIN }, { HI ".\r\n", "body", "250 ok\r\n", true, 10 * MIN } } },
	{ "SMTP pipelined", PIPELINING, false, false, {
		{ M R D, "mail", "250 ok\r\n", false, 5 * MIN }, { NULL, "rcpt", "250 ok\r\n", false, 5 * MIN },
		{ NULL, "data", "354 ok\r\n", false, 2 * MIN }, { HI ".\r\n", "body", "250 ok\r\n", true, 10 * MIN } } },
	{ "LMTP", PIPELINING, true, false, {
		{ M R D, "mail", "250 ok\r\n", false, 5 * MIN }, { NULL, "rcpt", "250 ok\r\n", false, 5 * MIN },
		{ NULL, "data", "354 ok\r\n", false, 2 * MIN }, { HI ".\r\n", "body", "250 ok\r\n", true, 10 * MIN } } },
	{ "SMTP chunked", "250-mx.test\r\n250 CHUNKING\r\n", false, true, {
		{ M, "mail", "250 ok\r\n", false, 5 * MIN }, { R, "rcpt", "250 ok\r\n", false, 5 * MIN },
		{ B, "body", "250 ok\r\n", true, 10 * MIN } } },
	{ "SMTP chunked and pipelined", CHUNKING, false, true, {
		{ M R B, "mail", "250 ok\r\n", true, 5 * MIN }, { NULL, "rcpt", "250 ok\r\n", true, 5 * MIN },
		{ NULL, "body", "250 ok\r\n", true, 10 * MIN } } },
	{ "LMTP chunked", CHUNKING, true, true, {
		{ M R B, "mail", "250 ok\r\n", true, 5 * MIN }, { NULL, "rcpt", "250 ok\r\n", true, 5 * MIN },
		{ NULL, "body", "250 ok\r\n", true, 10 * MIN } } },
};

static void
expect_message(char *told, size_t size, const struct way *w, const struct exchange *x,
               const struct misdeed *m)
{
	bool is_reply = strcmp(m->cause, "reply") == 0;
	bool doubt = x->handed_over && !is_reply;
	int n = snprintf(told, size, "one: b@x.test %s %s %s %s%s\n", doubt ? "in_doubt" : m->outcome,
	                 doubt ? "in_doubt" : m->class, doubt ? "body" : x->stage, m->cause, m->shown);

	if (m->how != REPLIES)
		snprintf(told + n, size - (size_t)n, "closed %s %s %s%s\n", m->class, x->stage, m->cause,
		         is_reply ? " 421" : "");
	else if (w->chunked && (x->handed_over || strcmp(x->stage, "body") == 0))
		snprintf(told + n, size - (size_t)n, "closed deferred body after-surprise\n");
}

static void
try_message(const struct way *w, size_t at, const struct misdeed *m)
{
	struct dialog d = {
		.opts = { .lmtp = w->lmtp }, .hello = w->hello,
		.messages = { { .name = "one", .to = { "b@x.test" }, .body = HI } },
		.steps = { submit(0) },
	};
	const struct exchange *x = w->exchanges;
	char told[512], note[128];

	for (size_t i = 0; i <= at; i++) {
		if (x[i].sends != NULL)
			add_text(&d, STEP_SENT, x[i].sends, 1);
		if (i < at)
			add_text(&d, STEP_PEER, x[i].good, 1);
	}
	add_misdeed(&d, m, x[at].timeout);
	/* the rest of the flight is refused for want of what was */
	for (size_t i = at + 1; m->how == REPLIES && x[i].stage != NULL && x[i].sends == NULL; i++)
		add_text(&d, STEP_PEER, "503 5.5.1 what?\r\n", 1);
	expect_message(told, sizeof told, w, &x[at], m);
	snprintf(note, sizeof note, "%s, %s: %s", w->name, x[at].stage, m->name);
	d.told = told;
	d.note = note;
	d.once = m->times > 1 && w != ways;
	replay(&d);
}

static void
a_message_has_its_outcome_whatever_the_server_does(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++)
		for (size_t at = 0; ways[i].exchanges[at].stage != NULL; at++)
			for (size_t m = 0; m < MISDEEDS; m++)
				try_message(&ways[i], at, &misdeeds[m]);
}

/* ---- commands -------------------------------------------------------------------------------- */

struct by_hand {
	const char *verb, *arguments, *line, *stage, *shown;
	uint64_t timeout;
};

static const struct by_hand commands[] = {
	{ NULL,       NULL,            NULL,                   "greeting", "GREETING", 5 * MIN },
	{ "EHLO",     "me.test",       "EHLO me.test\r\n",     "hello",    "EHLO",     5 * MIN },
	{ "HELO",     "me.test",       "HELO me.test\r\n",     "hello",    "HELO",     5 * MIN },
	{ "LHLO",     "me.test",       "LHLO me.test\r\n",     "hello",    "LHLO",     5 * MIN },
	{ "STARTTLS", NULL,            "STARTTLS\r\n",         "starttls", "STARTTLS", 5 * MIN },
	{ "AUTH",     "PLAIN eA==",    "AUTH PLAIN eA==\r\n",  "auth",     "AUTH",     5 * MIN },
	{ "MAIL",     "FROM:<>",       "MAIL FROM:<>\r\n",     "mail",     "MAIL",     5 * MIN },
	{ "RCPT",     "TO:<b@x.test>", "RCPT TO:<b@x.test>\r\n", "rcpt",   "RCPT",     5 * MIN },
	{ "DATA",     NULL,            "DATA\r\n",             "data",     "DATA",     2 * MIN },
	{ "BDAT",     "0 LAST",        "BDAT 0 LAST\r\n",      "body",     "BDAT",    10 * MIN },
	{ "RSET",     NULL,            "RSET\r\n",             "mail",     "RSET",     5 * MIN },
	{ "NOOP",     NULL,            "NOOP\r\n",             "hello",    "NOOP",     5 * MIN },
	{ "VRFY",     "b",             "VRFY b\r\n",           "hello",    "VRFY",     5 * MIN },
	{ "EXPN",     "b",             "EXPN b\r\n",           "hello",    "EXPN",     5 * MIN },
	{ "HELP",     NULL,            "HELP\r\n",             "hello",    "HELP",     5 * MIN },
	{ "ETRN",     "b",             "ETRN b\r\n",           "hello",    "ETRN",     5 * MIN },
	{ "XCLIENT",  "NAME=x",        "XCLIENT NAME=x\r\n",  "hello",    "XCLIENT",  5 * MIN },
	{ "XFORWARD", "NAME=x",        "XFORWARD NAME=x\r\n", "hello",    "XFORWARD", 5 * MIN },
	{ "XYZZY",    NULL,            "XYZZY\r\n",            "hello",    "",         5 * MIN },
	{ "QUIT",     NULL,            "QUIT\r\n",             "quit",     "QUIT",     5000 },
};

static void
expect_command(char *told, size_t size, const struct by_hand *c, const struct misdeed *m)
{
	bool quit = strcmp(c->stage, "quit") == 0, is_reply = m->shown[0] != '\0';
	const char *cause = m->how == EXPIRES_SOON && quit ? "timeout" : m->cause;
	int n = is_reply ? snprintf(told, size, "reply %s%s\n", c->shown, m->shown) : 0;

	told[n] = '\0';
	if (quit && (is_reply || m->how == CLOSES))
		snprintf(told + n, size - (size_t)n, "closed ok quit none\n");
	else if (m->how != REPLIES)
		snprintf(told + n, size - (size_t)n, "closed %s %s %s%s\n", m->class, c->stage, cause,
		         is_reply ? " 421" : "");
}

static void
try_command(const struct by_hand *c, const struct misdeed *m)
{
	struct dialog d = { .hello = c->verb != NULL ? PLAIN : NULL };
	char told[512], note[128];

	if (c->verb != NULL) {
		add(&d, (struct step){ STEP_COMMAND, c->verb, c->arguments, 0, 0, 0 });
		add_text(&d, STEP_SENT, c->line, 1);
	}
	add_misdeed(&d, m, c->timeout);
	expect_command(told, sizeof told, c, m);
	snprintf(note, sizeof note, "%s: %s", c->line != NULL ? c->line : "greeting", m->name);
	d.told = told;
	d.note = note;
	d.once = m->times > 1 && c != commands;
	replay(&d);
}

static void
a_command_has_its_end_whatever_the_server_does(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
		for (size_t m = 0; m < MISDEEDS; m++)
			try_command(&commands[i], &misdeeds[m]);
}

static void
challenges_without_end_end_the_session(void **state)
{
	struct dialog d = { .hello = PLAIN };

	(void)state;
	add(&d, (struct step)auth_bare("LOGIN"));
	add_text(&d, STEP_SENT, "AUTH LOGIN\r\n", 1);
	for (int i = 0; i < 32; i++) {
		add_text(&d, STEP_PEER, "334 YWdhaW4=\r\n", 1);
		add(&d, (struct step)respond("x"));
		add_text(&d, STEP_SENT, "eA==\r\n", 1);
	}
	add_text(&d, STEP_PEER, "334 YWdhaW4=\r\n", 1);
	d.told = "challenge again\nchallenge again\nchallenge again\nchallenge again\n"
	         "challenge again\nchallenge again\nchallenge again\nchallenge again\n"
	         "challenge again\nchallenge again\nchallenge again\nchallenge again\n"
	         "challenge again\nchallenge again\nchallenge again\nchallenge again\n"
	         "challenge again\nchallenge again\nchallenge again\nchallenge again\n"
	         "challenge again\nchallenge again\nchallenge again\nchallenge again\n"
	         "challenge again\nchallenge again\nchallenge again\nchallenge again\n"
	         "challenge again\nchallenge again\nchallenge again\nchallenge again\n"
	         "closed protocol auth limit\n";
	replay(&d);
}

static int
fill(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof flood - 1; i++)
		flood[i] = "250-all is well\r"[i % 16];
	for (size_t i = 15; i < sizeof flood - 1; i += 16)
		flood[i] = '\n';
	memset(endless, '2', sizeof endless - 1);
	return 0;
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_message_has_its_outcome_whatever_the_server_does),
		cmocka_unit_test(a_command_has_its_end_whatever_the_server_does),
		cmocka_unit_test(challenges_without_end_end_the_session),
	};

	return cmocka_run_group_tests(tests, fill, NULL);
}
