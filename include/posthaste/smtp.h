/* SPDX-License-Identifier: MIT */
#ifndef POSTHASTE_SMTP_H
#define POSTHASTE_SMTP_H
/* The SMTP and LMTP client protocol without I/O: feed it what the peer sent, send what it gives, tell
 * it the time (RFC 5321, 2033, 2920, 3030, 3207, 4954).
 *
 * The session knows no socket, no file, no clock and calls nobody back. A driver does, in any loop:
 *
 *	while (ph_smtp_next_event(s, &ev)) …act on ev…
 *	n = ph_smtp_pull(s, iov, max);  write them;  ph_smtp_sent(s, octets written, now);
 *	read;  ph_smtp_feed(s, octets, n, now)  or  ph_smtp_feed_eof(s, now);
 *	at ph_smtp_deadline(s):  ph_smtp_tick(s, now);
 *
 * Times are milliseconds of any steadily growing clock. Whatever the peer sends, in whatever cutting,
 * leads to a defined result. Threads: one session, one thread at a time. Memory: from the allocator
 * of the options; a lack of it ends the session, never the program. */
#include <posthaste/transaction.h>
#include <posthaste/transport.h>

#ifdef __cplusplus
extern "C" {
#endif

struct ph_smtp; /* opaque */

struct ph_smtp_opts {
	size_t   size;          /* PH_SMTP_OPTS_INIT */
	bool     lmtp;          /* RFC 2033: LHLO, and a final reply for each accepted recipient */
	bool     implicit_tls;  /* the first event is want_tls; the greeting comes under TLS */
	bool     no_pipelining; /* a command at a time even where PIPELINING is offered */
	bool     no_chunking;   /* DATA even where CHUNKING is offered */
	bool     lenient;       /* as of ph_client_opts */
	bool     trace;         /* keep a transcript for ph_smtp_next_trace() */
	bool     show_secrets;  /* ... with what AUTH sends and hears in it, for debugging a server */
	unsigned window;        /* BDAT transactions unanswered at most; 0: 8; 256 at most */
	uint64_t timeout_ms;    /* shortens each of RFC 5321 §4.5.3.2's; 0: those */
	const struct ph_allocator *memory; /* NULL: the C library's */
};
#define PH_SMTP_OPTS_INIT .size = sizeof(struct ph_smtp_opts)

/* A session that waits for the greeting. */
PH_API enum ph_code ph_smtp_new(struct ph_smtp **ret, const struct ph_smtp_opts *opts,
                                uint64_t now_ms);
/* Transactions it still has become the caller's again, with the outcome they have so far. */
PH_API void ph_smtp_free(struct ph_smtp *s);

/* ---- octets and time ------------------------------------------------------------------------- */

/* n octets from the peer, copied. PH_EPROTOCOL when it sends more than anybody may, PH_ESECURITY for
 * clear text after want_tls; what that means is told by the events. Octets for a closed session are
 * ignored. */
PH_API enum ph_code ph_smtp_feed(struct ph_smtp *s, const void *octets, size_t n, uint64_t now_ms);
/* The peer has closed, or the connection is lost: cause NULL, or what the system said. The next
 * events tell what that means; what was fed before it counts first. */
PH_API void ph_smtp_feed_eof(struct ph_smtp *s, const struct ph_error *cause, uint64_t now_ms);

/* What to send, in at most max pieces; 0: nothing. The pieces are valid until the next call other
 * than sent(). Body octets given by ph_smtp_body() may be pointed at directly. */
PH_API size_t ph_smtp_pull(struct ph_smtp *s, struct iovec *iov, size_t max);
/* The operating system has taken the first n octets of it for good (under TLS: with their whole
 * record); 0 says that it took none and time went by. The instant at which a message's last octet
 * goes is the one it may be in doubt from. */
PH_API void ph_smtp_sent(struct ph_smtp *s, size_t n, uint64_t now_ms);

/* When to call tick() if nothing happens before; UINT64_MAX: never. Clocks are started by sent()
 * and tick(), so a driver calls one of them before it asks. */
PH_API uint64_t ph_smtp_deadline(const struct ph_smtp *s);
PH_API void ph_smtp_tick(struct ph_smtp *s, uint64_t now_ms);

/* ---- events ---------------------------------------------------------------------------------- */

enum ph_smtp_event_type {
	PH_EV_REPLY = 1,      /* to the greeting, or to a command given by hand */
	PH_EV_WANT_TLS,       /* begin the handshake now, then ph_smtp_tls_done() */
	PH_EV_AUTH_CHALLENGE, /* answer with ph_smtp_auth_respond() or _cancel() */
	PH_EV_WANT_BODY,      /* give up to `max` octets of txn's message by ph_smtp_body() */
	PH_EV_RCPT_DONE,      /* a recipient's own reply decided it: recipient number `recipient` */
	PH_EV_TXN_DONE,       /* every recipient has an outcome, or `again` or `more` says why not; the
	                         transaction is the caller's again */
	PH_EV_CLOSED          /* the session is over; `error` says why, code PH_OK after QUIT */
};

struct ph_smtp_event {
	size_t          size;      /* PH_SMTP_EVENT_INIT */
	enum ph_smtp_event_type type;
	const char     *verb;      /* REPLY: "EHLO"; "GREETING" for the greeting, "BODY" for the reply
	                              to a message sent by hand, "AUTH" for what answers a response
	                              given by hand, too, "" for a raw line */
	struct ph_reply reply;     /* REPLY; valid until the next call of next_event() or feed() */
	const void     *challenge; /* AUTH_CHALLENGE: decoded; NULL when it is not base64: cancel */
	size_t          challenge_len;
	struct ph_txn  *txn;       /* WANT_BODY, RCPT_DONE, TXN_DONE */
	size_t          recipient;
	size_t          max;
	bool            again;     /* TXN_DONE: undecided; send it alone, on a fresh connection */
	bool            more;      /* TXN_DONE: recipients without an outcome are left, because of a limit
	                              on recipients: submit it again, here if the session is still ready
	                              (ph_smtp_is_ready), else on a fresh connection */
	const struct ph_error *error; /* CLOSED */
};
#define PH_SMTP_EVENT_INIT { .size = sizeof(struct ph_smtp_event) }

/* The next event to *ev; false when there is none for now. */
PH_API bool ph_smtp_next_event(struct ph_smtp *s, struct ph_smtp_event *ev);

/* ---- commands -------------------------------------------------------------------------------- */

/* Any command by hand: "EHLO" with "me.example", "NOOP" with NULL, "XCLIENT" with "NAME=x". The
 * session understands the replies of those it knows (EHLO, HELO, LHLO, STARTTLS, RSET …); after a 220
 * to XCLIENT it awaits EHLO again. PH_EINPUT for a control character, a space in front or an over-long
 * line, PH_EUSAGE while a message's body is under way, for STARTTLS under TLS, and when the session is
 * closed. */
PH_API enum ph_code ph_smtp_command(struct ph_smtp *s, const char *verb, const char *arguments,
                                    struct ph_error *err);
/* Octets as they are, nothing checked, nothing expected; and a reply to wait for without a command. */
PH_API enum ph_code ph_smtp_raw(struct ph_smtp *s, const void *octets, size_t n);
PH_API enum ph_code ph_smtp_expect(struct ph_smtp *s);

/* AUTH (RFC 4954). initial NULL: none. One that does not fit the command's line is kept and sent
 * after the 334. Copies are wiped. The final reply comes as an event REPLY, verb "AUTH". */
PH_API enum ph_code ph_smtp_auth(struct ph_smtp *s, const char *mechanism, const void *initial,
                                 size_t len, struct ph_error *err);
PH_API enum ph_code ph_smtp_auth_respond(struct ph_smtp *s, const void *response, size_t len,
                                         struct ph_error *err);
PH_API enum ph_code ph_smtp_auth_cancel(struct ph_smtp *s); /* "*" */

/* The handshake that want_tls asked for is done: everything learnt before is forgotten (RFC 3207
 * §4.2). `verified`: the peer has proved who it is, which REQUIRETLS needs. A handshake that failed:
 * ph_smtp_feed_eof() with its error. */
PH_API void ph_smtp_tls_done(struct ph_smtp *s, bool verified, uint64_t now_ms);

/* ---- transactions ---------------------------------------------------------------------------- */

/* Queues a transaction; the session has it until TXN_DONE. facts: what is known of the message, or
 * NULL. Commands of several transactions are pipelined as far as RFC 2920, RFC 3030 and the window
 * allow. PH_EUSAGE when the session is not ready. A message that the server's stated limits rule out,
 * or that demands what it does not offer, is refused by the events, before anything is sent. One with
 * more recipients than the server takes at a time goes to the first of them, and comes back with
 * `more`; submitted again, it goes to those without an outcome, from its first octet. */
PH_API enum ph_code ph_smtp_submit(struct ph_smtp *s, struct ph_txn *t,
                                   const struct ph_source_facts *facts);
/* Only DATA and the message, for an envelope that was given by hand. Its replies come as events
 * REPLY, verbs "DATA" (when refused) and "BODY"; then TXN_DONE. */
PH_API enum ph_code ph_smtp_submit_body(struct ph_smtp *s, struct ph_txn *t,
                                        enum ph_line_ends line_ends);

/* Octets of t's message, in answer to WANT_BODY: at most the event's max; fewer are fine, none too
 * if more come later. `last` with the last of them. They must stay where they are until covered by
 * sent(): the next WANT_BODY or TXN_DONE says so. PH_EINPUT: the message is not acceptable (NUL, a
 * bare CR or LF under `strict`, an over-long line); PH_EREFUSED: it is 8-bit and the server is not;
 * PH_ENOINPUT: it is not as long as the facts said. The session then ends without completing it. */
PH_API enum ph_code ph_smtp_body(struct ph_smtp *s, struct ph_txn *t, const void *octets, size_t n,
                                 bool last, struct ph_error *err);
/* The message cannot be completed: the session ends without the final dot, so that the server
 * throws away what it has. cause NULL: the message could not be read. */
PH_API void ph_smtp_body_failed(struct ph_smtp *s, struct ph_txn *t, const struct ph_error *cause);

/* Everything under way is given up; outcomes are decided as if the connection were lost. */
PH_API void ph_smtp_cancel(struct ph_smtp *s, const struct ph_error *cause);

/* ---- what is known --------------------------------------------------------------------------- */

/* Whether the last EHLO offered a keyword; *parameter its text ("" when none), valid until the next
 * EHLO. ph_smtp_extension() goes through all of them in the server's order; false past the end. */
PH_API bool ph_smtp_has_extension(const struct ph_smtp *s, const char *keyword,
                                  const char **parameter);
PH_API bool ph_smtp_extension(const struct ph_smtp *s, size_t i, const char **keyword,
                              const char **parameter);
/* Whether AUTH offers a mechanism, in the RFC 4954 or the old "AUTH=" form. */
PH_API bool ph_smtp_offers_mechanism(const struct ph_smtp *s, const char *mechanism);
PH_API bool ph_smtp_is_esmtp(const struct ph_smtp *s);  /* the last hello that was accepted was EHLO or
                                                           LHLO, not HELO */
/* Takes transactions: has answered EHLO, HELO or LHLO, is not closed or giving up, and its limits on
 * what one connection may carry (RFC 9422) are not reached. Where only they are: say QUIT, and open
 * another. */
PH_API bool ph_smtp_is_ready(const struct ph_smtp *s);
PH_API bool ph_smtp_is_idle(const struct ph_smtp *s);   /* nothing queued, in flight or to send */
PH_API bool ph_smtp_is_closed(const struct ph_smtp *s);
/* Times the session had to wait for the peer: sent something after everything it had been sent was
 * answered. */
PH_API uint64_t ph_smtp_round_trips(const struct ph_smtp *s);

/* A line of the transcript; valid until the next call on the session. Secrets are hidden. */
struct ph_smtp_trace {
	size_t      size; /* PH_SMTP_TRACE_INIT */
	char        direction; /* '>' '<' '*' */
	bool        tls;
	bool        refused;
	const char *text;
	size_t      len;
};
#define PH_SMTP_TRACE_INIT { .size = sizeof(struct ph_smtp_trace) }
PH_API bool ph_smtp_next_trace(struct ph_smtp *s, struct ph_smtp_trace *t);

#ifdef __cplusplus
}
#endif
#endif
