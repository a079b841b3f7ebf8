/* SPDX-License-Identifier: MIT */
#ifndef TESTS_DIALOG_H
#define TESTS_DIALOG_H
/* A dialogue between the client session and a server, as data, without sockets.
 *
 *	static const struct dialog d = {
 *		.hello = "250 mx.test\r\n",
 *		.messages = { { .name = "one", .to = { "b@x.test" }, .body = "hi\r\n" } },
 *		.steps = {
 *			submit(0),
 *			sent("MAIL FROM:<a@x.test>\r\n"),
 *			peer("451 4.3.0 later\r\n"),
 *		},
 *		.told = "one: b@x.test deferred deferred mail reply 451 4.3.0\n",
 *	};
 *	replay(&d);
 *
 * replay() runs it with what the server says given whole, octet by octet and cut behind each CRLF,
 * each with what we say taken whole, octet by octet and line by line; octets sent and things told
 * must be the same in all of them. Then once more with each allocation failing in turn: whatever
 * happens, every transaction comes back once for each time it was submitted, every recipient of it
 * with an outcome or to be tried again, nothing is called accepted or refused that was not before,
 * and no memory stays behind. */
#include <posthaste/smtp.h>

/* ---- steps ----------------------------------------------------------------------------------- */

enum step_kind {
	STEP_END, STEP_PEER, STEP_EARLY, STEP_SENT, STEP_SUBMIT, STEP_SUBMIT_BODY, STEP_COMMAND,
	STEP_RAW, STEP_EXPECT, STEP_AUTH, STEP_RESPOND, STEP_AUTH_CANCEL, STEP_TLS_DONE, STEP_TLS_UNVERIFIED, STEP_EOF,
	STEP_LOST, STEP_CANCEL, STEP_WAIT, STEP_EXPIRES, STEP_NEVER_EXPIRES, STEP_NEW_SESSION,
	STEP_REFUSES, STEP_OFFERS_NOTHING, STEP_NOTHING
};

struct step {
	enum step_kind kind;
	const char *text, *more; /* text's octets, or a command and its arguments */
	size_t      len;         /* of text */
	size_t      times;       /* text that often; 0: once */
	uint64_t    n;
};

/* The server says it; nothing of ours may be left unsent. */
#define peer(s)            { STEP_PEER, s, NULL, sizeof(s) - 1, 0, 0 }
#define peer_times(k, s)   { STEP_PEER, s, NULL, sizeof(s) - 1, k, 0 }
/* The same while something is unsent. */
#define early(s)           { STEP_EARLY, s, NULL, sizeof(s) - 1, 0, 0 }
/* These are the next octets we send, and they are taken. */
#define sent(s)            { STEP_SENT, s, NULL, sizeof(s) - 1, 0, 0 }
#define sent_times(k, s)   { STEP_SENT, s, NULL, sizeof(s) - 1, k, 0 }
#define submit(i)          { STEP_SUBMIT, NULL, NULL, 0, 0, i }
#define submit_body(i)     { STEP_SUBMIT_BODY, NULL, NULL, 0, 0, i }
#define command(v, a)      { STEP_COMMAND, v, a, 0, 0, 0 }
#define raw(s)             { STEP_RAW, s, NULL, sizeof(s) - 1, 0, 0 }
#define expect_reply       { STEP_EXPECT, NULL, NULL, 0, 0, 0 }
/* AUTH with an initial response; auth_bare: without one. */
#define auth(m, s)         { STEP_AUTH, s, m, sizeof(s) - 1, 0, 0 }
#define auth_times(m, k, s) { STEP_AUTH, s, m, sizeof(s) - 1, k, 0 }
#define auth_bare(m)       { STEP_AUTH, NULL, m, 0, 0, 0 }
#define respond(s)         { STEP_RESPOND, s, NULL, sizeof(s) - 1, 0, 0 }
#define auth_cancel        { STEP_AUTH_CANCEL, NULL, NULL, 0, 0, 0 }
#define tls_done           { STEP_TLS_DONE, NULL, NULL, 0, 0, 0 }
/* The peer has not proved who it is. */
#define tls_unverified     { STEP_TLS_UNVERIFIED, NULL, NULL, 0, 0, 0 }
#define eof                { STEP_EOF, NULL, NULL, 0, 0, 0 }
#define lost               { STEP_LOST, NULL, NULL, 0, 0, 0 }
#define cancel             { STEP_CANCEL, NULL, NULL, 0, 0, 0 }
/* ms go by, and nothing expires. */
#define waits(ms)          { STEP_WAIT, NULL, NULL, 0, 0, ms }
/* The deadline is exactly ms away; it is let pass. */
#define expires(ms)        { STEP_EXPIRES, NULL, NULL, 0, 0, ms }
#define never_expires      { STEP_NEVER_EXPIRES, NULL, NULL, 0, 0, 0 }
/* The session is freed; a fresh one has its hello behind it. */
#define new_session        { STEP_NEW_SESSION, NULL, NULL, 0, 0, 0 }
/* No extension is known. */
#define offers_nothing     { STEP_OFFERS_NOTHING, NULL, NULL, 0, 0, 0 }
/* The session takes no transaction now: PH_EUSAGE, and it is not ready. */
#define refuses(i)         { STEP_REFUSES, NULL, NULL, 0, 0, i }

/* ---- messages -------------------------------------------------------------------------------- */

struct message {
	const char *name;
	const char *from;             /* NULL: a@x.test */
	const char *to[8];
	const char *body;
	size_t body_len;              /* 0: up to its NUL */
	size_t times;                 /* the body that often; 0: once */
	size_t piece;                 /* octets given at a time; 0: as many as are wanted, and under DATA
	                                 in other cuttings as well */
	size_t fails_at;              /* after so many octets the source fails; 0: never */
	bool   stalls;                /* nothing is given but the first piece */
	bool   unknown;               /* no facts */
	bool   last_apart;            /* `last` comes with no octets */
	uint64_t said_size;           /* facts say so instead; 0: the truth */
	bool   said_clean;            /* facts say so whatever is true */
	enum ph_line_ends ends;
	bool   no_dup;
	const char *mail_parameters[4], *rcpt_parameters[4];
	struct ph_envelope asks;      /* what it asks of extensions; nothing else of it counts */
};

/* ---- dialogues ------------------------------------------------------------------------------- */

struct dialog {
	struct ph_smtp_opts opts;     /* size and memory are set by replay() */
	const char *hello;            /* the reply to EHLO or LHLO; NULL: begins before the greeting */
	bool        helo;             /* HELO instead */
	struct message messages[10];
	struct step steps[110];
	/* One line an event, in order:
	 *	reply VERB 250
	 *	challenge TEXT      (or "challenge?" when it was not base64)
	 *	want_tls
	 *	NAME: RECIPIENT OUTCOME CLASS STAGE CAUSE [CODE] [ENHANCED]   when its transaction is done,
	 *	NAME: RECIPIENT again (or more)                             in order of recipients
	 *	NAME: done CLASS CAUSE                                      of a body alone
	 *	closed CLASS STAGE CAUSE [CODE]  */
	const char *told;
	const char *note;             /* said when the test fails; NULL: nothing */
	const char *secret;           /* is in no line of the transcript */
	const char *trace;            /* the transcript, each line with its mark; NULL: not looked at */
	bool        tells_recipients; /* "rcpt NAME RECIPIENT" as well */
	bool        may_leave;        /* octets may be left unsent at the end */
	bool        whole;            /* what the server says is not cut, for it would mean something else */
	bool        once;             /* too large for all cuttings and failures: lines and whole only */
};

void replay(const struct dialog *d);

/* A test that is one dialogue. */
#define DIALOG(test, ...) \
	static void \
	test(void **state) \
	{ \
		static const struct dialog d = { __VA_ARGS__ }; \
	\
		(void)state; \
		replay(&d); \
	}

/* What servers offer, and a message. */
#define PLAIN      "250 mx.test\r\n"
#define PIPELINING "250-mx.test\r\n250 PIPELINING\r\n"
#define CHUNKING   "250-mx.test\r\n250-PIPELINING\r\n250 CHUNKING\r\n"
#define HI         "Subject: hi\r\n\r\nhello\r\n" /* 22 octets */

#endif
