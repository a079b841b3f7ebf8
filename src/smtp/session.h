/* SPDX-License-Identifier: MIT */
#ifndef PH_SMTP_SESSION_H
#define PH_SMTP_SESSION_H
/* The client session from the inside.
 *
 * Three small objects: the session's phase, one ph_txn a message, and a FIFO of verbs in flight.
 *
 *                 220                      EHLO 2yz
 *	GREETING ---------> HELLO -------------------------------> READY --+
 *	   ^                  |  ^                                  |  ^   | AUTH, EHLO, commands,
 *	   |                  |  +---------- tls_done --- TLS <-----+  +---+ transactions
 *	   +-- tls_done --- TLS (implicit)         220 to STARTTLS
 *
 *	any of them --> CLOSED: QUIT answered, 421, lost, timed out, the protocol broken
 *
 * Writing and reading are apart. send_more() writes what the rules let out, a verb at a time; each
 * verb written is an entry in the FIFO, and each reply belongs to the FIFO's head, whose row in the
 * verb table knows what it means. So pipelining within and across messages is not a special case.
 *
 * `winding`: nothing more is written; replies in flight are read, then the session ends. */
#include <posthaste/smtp.h>
#include "base/bounds.h"
#include "base/buf.h"
#include "base/error.h"
#include "smtp/ext.h"
#include "smtp/outq.h"
#include "smtp/reply.h"
#include "smtp/txn.h"

#define PH__SECRET_MIN 4 /* octets; shorter ones are found in any text */

enum ph__phase { PH__GREETING, PH__HELLO, PH__TLS, PH__READY, PH__CLOSED };

enum ph__verb {
	PH__V_NONE, PH__V_GREETING, PH__V_HELO, PH__V_EHLO, PH__V_LHLO, PH__V_STARTTLS, PH__V_AUTH,
	PH__V_AUTH_STEP, PH__V_MAIL, PH__V_RCPT, PH__V_DATA, PH__V_BODY, PH__V_BDAT, PH__V_RSET,
	PH__V_NOOP, PH__V_VRFY, PH__V_EXPN, PH__V_HELP, PH__V_ETRN, PH__V_XCLIENT, PH__V_XFORWARD,
	PH__V_QUIT, PH__V_RAW,
	PH__V_COUNT
};

/* A verb that was written and not answered. */
struct ph__flight {
	struct ph_txn *txn; /* NULL: by hand */
	uint64_t begin;     /* its place in the stream, and the one behind it; */
	uint64_t end;       /* UINT64_MAX: a body not yet complete */
	uint32_t rcpt;      /* RCPT: which */
	uint8_t  verb;
	bool     last;      /* BDAT LAST */
};

struct ph_smtp;
struct ph__verb_def {
	const char *name;
	bool      (*encode)(struct ph_smtp *s, struct ph_txn *t); /* of a transaction; false: no memory */
	void      (*on_reply)(struct ph_smtp *s, const struct ph__flight *f, const struct ph_reply *r);
	enum ph_stage stage;
	uint32_t  timeout_ms; /* RFC 5321 §4.5.3.2 */
	bool      barrier;    /* nothing more is written until it is answered (RFC 2920 §3.1) */
};
extern const struct ph__verb_def ph__verbs[PH__V_COUNT];
enum ph__verb ph__verb_of(struct ph_str name); /* PH__V_RAW: not in the table */

struct ph_smtp {
	struct ph_allocator mem;
	struct ph_smtp_opts opts;
	enum ph__phase phase;
	bool implicit;             /* the TLS under way comes before the greeting */
	bool tls;                  /* it is up */
	bool verified;             /* and the peer has proved who it is */
	uint64_t now;

	struct ph__buf in;         /* octets not yet parsed: in.p[in_at .. in.len) */
	size_t in_at;
	struct ph__reply_parser parser;
	bool raw;                  /* octets were sent by hand: replies wait for someone to expect them */

	struct ph__outq out;
	struct ph__flight *fifo;   /* ring */
	size_t head, count, cap;
	uint64_t flight_end;       /* place in the stream behind the newest */

	struct ph_txn *txns, *txns_last; /* submitted and not done, in order */
	struct ph_txn *cur;        /* being written; NULL: none */
	struct ph_txn *upcoming;   /* the first of which nothing was written */
	struct ph_txn *finished, *finished_last; /* TXN_DONE to be told */
	size_t chunked_unanswered; /* BDAT transactions written or begun, not done */
	unsigned window;           /* of them, now */
	bool exclusive;            /* one of them is marked no_dup */
	bool open_at_server;       /* a MAIL is in force that nothing has ended */
	bool winding;
	bool no_riding;            /* nothing is written behind a final dot before its reply */
	bool lost_riders;          /* the server did not see what was */

	/* limits on what one session may carry (RFC 9422, and as found out) */
	uint64_t mails;            /* MAIL commands written */
	size_t rcpt_limit;         /* RCPTs that the server took before it said "too many"; 0: it has not */
	size_t rcpt_unstated;      /* recipients at a time where the server states no limit; 0: any number */
	char **domains;            /* recipients' domains, while RCPTDOMAINMAX is in force */
	size_t domain_count, domain_cap;
	bool spent;                /* a recipient has no room on it any more */

	struct ph__extensions ext;
	bool esmtp;                /* EHLO or LHLO, not HELO */
	struct ph__buf auth_initial; /* an initial response that waits for its 334 */
	struct ph__buf auth_sent;  /* the last response with a secret, as it went: not to be shown */
	unsigned auth_rounds;
	bool auth_by_mechanism;    /* ph_smtp_auth(), not a command by hand */
	bool hide_next;            /* the next raw line answers a challenge */
	size_t hand_rcpts;         /* RCPTs by hand that were accepted (LMTP) */
	size_t hand_finals;        /* final replies that a body sent by hand waits for */

	/* clocks, in ms; see ph_smtp_deadline() */
	bool reply_clock, write_clock, rate_clock;
	uint64_t reply_since, write_since, rate_since;
	uint64_t write_mark, write_mark_since;
	size_t rate_octets;
	uint64_t round_trips;
	bool turn;                 /* something was sent since the peer last spoke */

	/* events to be told */
	bool ev_reply, ev_rcpt, ev_tls, ev_challenge, ev_closed;
	const char *reply_verb;
	struct ph_reply reply;
	struct ph_txn *rcpt_txn;
	size_t rcpt_index;
	struct ph__buf challenge;
	bool challenge_ok;
	bool eof;                  /* the peer has closed; eof_cause says why, if anything does */
	struct ph_error eof_cause;
	struct ph_error error;     /* why it is closed */

	struct ph__buf trace;      /* records; see trace.c */
	size_t trace_at;
};

/* flow.c */
bool ph__session_push(struct ph_smtp *s, enum ph__verb v, struct ph_txn *t, size_t rcpt, bool last);
void ph__session_pop(struct ph_smtp *s); /* the oldest: it is answered */
const struct ph__flight *ph__session_newest(const struct ph_smtp *s); /* NULL: none */
void ph__session_send_more(struct ph_smtp *s);
void ph__session_tell_reply(struct ph_smtp *s, enum ph__verb v, const struct ph_reply *r);
void ph__session_unlink(struct ph_smtp *s, struct ph_txn *t); /* to the finished ones */

/* encode.c */
bool ph__encode_mail(struct ph_smtp *s, struct ph_txn *t);
bool ph__encode_rcpt(struct ph_smtp *s, struct ph_txn *t);
bool ph__encode_data(struct ph_smtp *s, struct ph_txn *t);
bool ph__encode_rset(struct ph_smtp *s, struct ph_txn *t);

/* rule_out.c */
/* Whether the server's stated limits or the message's own faults rule it out; decides it then. */
bool ph__rule_out(struct ph_smtp *s, struct ph_txn *t);

/* rounds.c */
/* Chooses the recipients of t's next round. False: none of them fits into this session any more, or
 * memory is out, which has ended it. */
bool ph__plan_round(struct ph_smtp *s, struct ph_txn *t);
/* RCPT f was answered "too many recipients": it is put off. False: the reply is its own. */
bool ph__is_too_many(struct ph_smtp *s, const struct ph__flight *f, const struct ph_reply *r);
/* Whether the server's limits let no further transaction begin on this connection. */
bool ph__session_is_spent(const struct ph_smtp *s);
/* Over DATA, the next envelope rides behind the final dot (RFC 2920 §3.1), and servers have been seen
 * that lose it (chasquid 1.11). The session that finds out ends; those after it are told not to. */
void ph__session_forbid_riding(struct ph_smtp *s);
bool ph__session_lost_riders(const struct ph_smtp *s);
/* Recipients at a time for a server that states no limit (RFC 5321 §4.5.3.1.8 has every server take
 * 100); 0: any number. */
void ph__session_set_unstated(struct ph_smtp *s, size_t rcpt_max);
/* ph_smtp_opts.timeout_ms, from now on. */
void ph__session_set_timeout(struct ph_smtp *s, uint64_t timeout_ms);
/* ph_smtp_opts.trace, from now on. Lines that nobody has taken are forgotten when it ends. */
void ph__session_set_trace(struct ph_smtp *s, bool trace);
/* Whether EHLO, HELO or LHLO has been answered, spent or not. */
bool ph__session_is_open(const struct ph_smtp *s);

/* on_reply.c */
void ph__on_hello(struct ph_smtp *s, const struct ph__flight *f, const struct ph_reply *r);
void ph__on_greeting(struct ph_smtp *s, const struct ph__flight *f, const struct ph_reply *r);
void ph__on_starttls(struct ph_smtp *s, const struct ph__flight *f, const struct ph_reply *r);
void ph__end_by_injection(struct ph_smtp *s, size_t octets);
void ph__on_auth(struct ph_smtp *s, const struct ph__flight *f, const struct ph_reply *r);
void ph__on_mail(struct ph_smtp *s, const struct ph__flight *f, const struct ph_reply *r);
void ph__on_rcpt(struct ph_smtp *s, const struct ph__flight *f, const struct ph_reply *r);
void ph__on_data(struct ph_smtp *s, const struct ph__flight *f, const struct ph_reply *r);
void ph__on_body(struct ph_smtp *s, const struct ph__flight *f, const struct ph_reply *r);
void ph__on_bdat(struct ph_smtp *s, const struct ph__flight *f, const struct ph_reply *r);
void ph__on_rset(struct ph_smtp *s, const struct ph__flight *f, const struct ph_reply *r);
void ph__on_xclient(struct ph_smtp *s, const struct ph__flight *f, const struct ph_reply *r);
void ph__on_quit(struct ph_smtp *s, const struct ph__flight *f, const struct ph_reply *r);
void ph__on_other(struct ph_smtp *s, const struct ph__flight *f, const struct ph_reply *r);
/* How many final replies a completed body still brings (one, or LMTP's). */
size_t ph__finals_left(const struct ph_smtp *s, const struct ph__flight *f);
void ph__maybe_finish(struct ph_smtp *s, struct ph_txn *t);

/* ending.c */
/* The session is over: every transaction gets its outcome. `reply`: a 421 that all are deferred by. */
void ph__end(struct ph_smtp *s, const struct ph_error *why, const struct ph_reply *reply);
void ph__end_with(struct ph_smtp *s, enum ph_code code, enum ph_stage stage, enum ph_cause cause,
                  const char *fmt, ...) PH_PRINTF(5, 6);
void ph__end_nomem(struct ph_smtp *s);
/* Nothing more is written; `drop`: nor is what has not gone yet. */
void ph__wind_down(struct ph_smtp *s, bool drop);
void ph__check_winding(struct ph_smtp *s);
enum ph_stage ph__session_stage(const struct ph_smtp *s); /* of what is waited for */
const char *ph__session_silence(const struct ph_smtp *s);

/* trace.c */
void ph__trace(struct ph_smtp *s, char direction, bool refused, struct ph_str text);
void ph__tracef(struct ph_smtp *s, char direction, const char *fmt, ...) PH_PRINTF(3, 4);

static inline bool
ph__is_positive(const struct ph_reply *r)
{
	return r->code >= 200 && r->code < 300;
}

static inline bool
ph__offers(const struct ph_smtp *s, enum ph__ext ext)
{
	return (s->ext.bits & (unsigned)ext) != 0;
}

static inline bool
ph__pipelines(const struct ph_smtp *s)
{
	return ph__offers(s, PH__EXT_PIPELINING) && !s->opts.no_pipelining;
}

static inline size_t
ph__unsent(const struct ph_smtp *s)
{
	return (size_t)(s->out.total - s->out.sent);
}

#endif
