/* SPDX-License-Identifier: MIT */
#ifndef PH_SMTP_SERVER_H
#define PH_SMTP_SERVER_H
/* The SMTP and LMTP server protocol without I/O: feed it what the client sent, send what it gives,
 * answer what it asks, tell it the time. RFC 5321, 1870, 1985, 2033, 2034, 2852, 2920,
 * 3030, 3207, 3461, 4865, 4954, 6152, 6531, 6710, 7628, 8689, 9422; Postfix's XCLIENT, XFORWARD.
 *
 * One event at a time. An event that `asks` brings the reply that would be given; the caller
 * settles it with ph__server_answer(), now or later, and until then nothing more is read. Every
 * acceptance and every refusal by choice goes through that one door; only what breaks the protocol
 * (wrong order, bad syntax, over a limit) is answered by the session itself.
 *
 * The session keeps no envelope and no message: the caller has seen both go by. One session, one
 * thread at a time. Any octets, in any cutting, lead to a defined result. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>
#include <posthaste/api.h>
#include <posthaste/error.h>
#include "base/buf.h"
#include "smtp/server_body.h"

struct ph__server;

/* Extensions, to be offered and honoured; one that is off is unknown to the server. */
enum ph__server_ext {
	PH__SERVER_EXT_PIPELINING = 1 << 0, /* off: whoever sends ahead is cut off (554) */
	PH__SERVER_EXT_SIZE = 1 << 1,
	PH__SERVER_EXT_8BITMIME = 1 << 2,
	PH__SERVER_EXT_SMTPUTF8 = 1 << 3,
	PH__SERVER_EXT_CHUNKING = 1 << 4,
	PH__SERVER_EXT_BINARYMIME = 1 << 5, /* nothing without CHUNKING */
	PH__SERVER_EXT_ENHANCEDSTATUSCODES = 1 << 6,
	PH__SERVER_EXT_DSN = 1 << 7,
	PH__SERVER_EXT_STARTTLS = 1 << 8,
	PH__SERVER_EXT_AUTH = 1 << 9,
	PH__SERVER_EXT_DELIVERBY = 1 << 10,
	PH__SERVER_EXT_FUTURERELEASE = 1 << 11, /* nothing without opts.future_until */
	PH__SERVER_EXT_MT_PRIORITY = 1 << 12,
	PH__SERVER_EXT_REQUIRETLS = 1 << 13,    /* under TLS only */
	PH__SERVER_EXT_LIMITS = 1 << 14,        /* offered when there are some; they hold without it */
	PH__SERVER_EXT_ETRN = 1 << 15,
	PH__SERVER_EXT_XCLIENT = 1 << 16,       /* lets a client be anybody: for tests */
	PH__SERVER_EXT_XFORWARD = 1 << 17,
	PH__SERVER_EXT_ALL = (1 << 18) - 1
};
/* By its EHLO keyword, in any case; 0: no such extension. */
uint32_t ph__server_ext_by_name(struct ph_str name);

struct ph__server_opts {
	bool        lmtp;              /* LHLO; one final reply for each accepted recipient */
	bool        tls;               /* TLS is up before the greeting */
	bool        strict_line_ends;  /* refuse messages and commands with a bare CR or LF */
	bool        clear_auth;        /* offer AUTH without TLS */
	bool        require_auth;      /* 530 to MAIL before AUTH */
	bool        require_tls;       /* 530 to MAIL and AUTH before STARTTLS */
	uint32_t    extensions;        /* enum ph__server_ext */
	const char *name;              /* of this host, in greeting and EHLO; copied */
	uint64_t    size_max;          /* octets of a message; 0: no limit */
	size_t      recipients_max;    /* 0: PH__SERVER_RECIPIENTS */
	unsigned    errors_max;        /* 0: PH__SERVER_ERRORS */
	uint64_t    idle_ms;           /* 0: PH__MS_COMMAND */
	struct {                       /* RFC 9422; 0: no limit */
		bool     rcpt;         /* recipients_max is announced, too */
		uint64_t mail_max, domain_max;
	} limits;
	uint64_t    future_seconds;    /* RFC 4865: the furthest HOLDFOR */
	int64_t     future_until;      /* and HOLDUNTIL, in seconds since 1970 */
};

enum ph__server_event_type {
	PH__SERVER_NOTHING,
	/* These ask. */
	PH__SERVER_ON_CONNECT,   /* 220; another 2yz is no greeting, a 5yz serves only QUIT */
	PH__SERVER_ON_HELLO,     /* text: the client's name */
	PH__SERVER_ON_STARTTLS,
	PH__SERVER_ON_AUTH,      /* mechanism, authzid, user, password; default: refused */
	PH__SERVER_ON_SASL,      /* mechanism, text: the response, its ptr NULL when the client waits to
	                          * be asked: ph__server_challenge(), or a verdict as for ON_AUTH */
	PH__SERVER_ON_MAIL,      /* text: reverse-path without brackets; parameters */
	PH__SERVER_ON_RCPT,      /* text: forward-path without brackets; parameters */
	PH__SERVER_ON_DATA,      /* 354 */
	PH__SERVER_ON_MESSAGE,   /* whole; in LMTP once for each accepted `recipient` */
	PH__SERVER_ON_COMMAND,   /* RSET NOOP VRFY EXPN HELP ETRN XCLIENT XFORWARD QUIT, BDAT without
	                          * LAST; text */
	/* These tell. */
	PH__SERVER_ON_OCTETS,    /* text: the next octets of the message */
	PH__SERVER_ON_DROPPED,   /* the transaction is gone, whatever was seen of it is void */
	PH__SERVER_WANT_TLS,     /* the 220 is out: hand over to TLS, then ph__server_tls_done() */
	PH__SERVER_CLOSED        /* close the connection; nothing more will come */
};

struct ph__server_reply {
	uint16_t    code;        /* 200 to 599; 421 closes */
	const char *enhanced;    /* "5.1.1"; NULL: none. Left out when the extension is off */
	const char *text;        /* lines parted by \n; no other control characters */
};

enum ph__server_close {
	PH__SERVER_CLOSE_QUIT, PH__SERVER_CLOSE_EOF, PH__SERVER_CLOSE_TIMEOUT,
	PH__SERVER_CLOSE_REFUSED, /* by an answer of 421, or ph__server_shutdown() */
	PH__SERVER_CLOSE_ABUSE,   /* too many errors, octets sent ahead where they must not be */
	PH__SERVER_CLOSE_MEMORY
};

/* Pointers are borrowed until the next call with this session. */
struct ph__server_event {
	enum ph__server_event_type type;
	bool          asks;
	const char   *verb;        /* the command's name; NULL where there is none */
	struct ph_str text;
	struct ph_str parameters;  /* as they were sent; empty: none */
	const char   *mechanism;
	bool          first;       /* ON_SASL: an exchange begins; one that was under way is void */
	struct ph_str authzid, user, password; /* OAUTHBEARER and XOAUTH2: the token is the password */
	size_t        recipient;   /* ON_MESSAGE: which of the accepted ones, from 0; 0 in SMTP */
	enum ph__server_close why; /* CLOSED */
	struct ph__server_reply reply; /* asks: what will be said unless the caller knows better */
};

enum ph_code ph__server_new(struct ph__server **ret, const struct ph__server_opts *opts,
                            const struct ph_allocator *mem, uint64_t now_ms,
                            struct ph_error *err) PH_MUST_CHECK;
void ph__server_free(struct ph__server **s);

/* Lends octets from the client, at most PH__SERVER_FEED_MAX, until ph__server_next_event() has said
 * that there is nothing more: call it before the next feed. PH_EUSAGE: too much, or not now (see
 * ph__server_wants_input). */
enum ph_code ph__server_feed(struct ph__server *s, const void *in, size_t len, uint64_t now_ms,
                             struct ph_error *err) PH_MUST_CHECK;
void ph__server_feed_eof(struct ph__server *s, uint64_t now_ms);
/* False while an answer, the sending of replies or TLS is waited for: leave octets in the
 * socket. */
bool ph__server_wants_input(const struct ph__server *s);

/* CLOSED has been told. */
bool ph__server_is_closed(const struct ph__server *s);

/* False: nothing now. */
bool ph__server_next_event(struct ph__server *s, struct ph__server_event *ev);
/* Settles what was asked; NULL: as proposed. PH_EUSAGE: nothing was asked. PH_EINPUT: such a reply
 * cannot be sent. */
enum ph_code ph__server_answer(struct ph__server *s, const struct ph__server_reply *reply,
                               uint64_t now_ms);

/* Goes on with the exchange that ON_SASL is about. PH_EINPUT: too long a challenge. */
enum ph_code ph__server_challenge(struct ph__server *s, const void *challenge, size_t len,
                                  uint64_t now_ms);
/* The mechanisms to offer and to take, in order, parted by blanks; borrowed until the next one. PLAIN,
 * LOGIN, XOAUTH2 and OAUTHBEARER come as ON_AUTH, any other as ON_SASL. At first: "PLAIN
 * LOGIN". */
void ph__server_offer_mechanisms(struct ph__server *s, const char *mechanisms);
/* XCLIENT said who is logged in: as if he had been (ON_COMMAND, before the answer). */
void ph__server_set_authenticated(struct ph__server *s, bool yes);

/* Takes the first of MAIL's, RCPT's, XCLIENT's or XFORWARD's parameters apart; value.ptr NULL: it has
 * none. False: there is no more. */
bool ph__server_next_parameter(struct ph_str *rest, struct ph_str *name, struct ph_str *value);

/* A reply as it would be said, for a caller that wants to say it in his own way (in pieces, mangled, not
 * at all) and then settles the question with ph__server_answered_as(): the session goes on as if it had
 * said a reply with that code. False: it cannot be said, or does not fit. */
bool ph__server_format(const struct ph__server *s, const struct ph__server_reply *r,
                       struct ph__buf *to);
enum ph_code ph__server_answered_as(struct ph__server *s, uint16_t code, uint64_t now_ms);
/* Copies what is lent, so that no event need be asked for until the caller likes. */
void ph__server_keep(struct ph__server *s);

/* What to send, at most `max` pieces; how many there are. Borrowed until covered by sent(). */
size_t ph__server_pull(const struct ph__server *s, struct iovec *iov, size_t max);
void ph__server_sent(struct ph__server *s, size_t n, uint64_t now_ms);

uint64_t ph__server_deadline(const struct ph__server *s); /* UINT64_MAX: none */
void ph__server_tick(struct ph__server *s, uint64_t now_ms);

/* After WANT_TLS: octets fed from here on were encrypted. All that was learnt before is forgotten
 * (RFC 3207 §4.2). */
void ph__server_tls_done(struct ph__server *s, uint64_t now_ms);
/* Ends the session from our side: 421, then CLOSED. */
void ph__server_shutdown(struct ph__server *s, uint64_t now_ms);

/* Of the message under way or just ended. */
const struct ph__body *ph__server_body(const struct ph__server *s);
bool ph__server_is_chunked(const struct ph__server *s);
/* RFC 3848 and RFC 6531 §4.3: "ESMTPSA", "LMTP", "UTF8SMTPS". Static. */
const char *ph__server_protocol(const struct ph__server *s);

#endif
