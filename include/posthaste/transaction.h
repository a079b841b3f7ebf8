/* SPDX-License-Identifier: MIT */
#ifndef POSTHASTE_TRANSACTION_H
#define POSTHASTE_TRANSACTION_H
/* One message on its way: its envelope, and for each recipient what became of it. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <posthaste/error.h>
#include <posthaste/source.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What a server answered (RFC 5321 §4.2). Owned by what it was obtained from. */
struct ph_reply {
	uint16_t    code;        /* 250; 0: none */
	uint16_t    enhanced[3]; /* 2.1.5 (RFC 2034); {0}: none */
	const char *text;        /* the lines without their codes, joined by \n; octets as they came,
	                            NUL-terminated, enhanced code included */
	size_t      len;
};

/* What became of a recipient; of the whole message PARTIAL too. */
enum ph_outcome {
	PH_PENDING = 0,
	PH_ACCEPTED, /* a valid 2yz final reply */
	PH_DEFERRED, /* not now: try later */
	PH_REFUSED,  /* never will be */
	PH_IN_DOUBT, /* the whole message was handed over and no valid final reply came */
	PH_PARTIAL   /* of a message: some accepted, others not, none in doubt */
};
PH_API const char *ph_outcome_name(enum ph_outcome o); /* "accepted" …; static */

struct ph_recipient_outcome {
	const char     *address;  /* as it was given */
	enum ph_outcome outcome;
	enum ph_code    code;     /* PH_OK, or the class of what went wrong */
	enum ph_stage   stage;    /* where it was decided */
	enum ph_cause   cause;
	struct ph_reply reply;    /* the reply that decided it; code 0: none did */
	unsigned        session;  /* which session of the delivery record; UINT_MAX: none was begun */
};

/* When a recipient's server shall report (RFC 3461 §4.1); NEVER stands alone. */
#define PH_NOTIFY_NEVER   1u
#define PH_NOTIFY_SUCCESS 2u
#define PH_NOTIFY_FAILURE 4u
#define PH_NOTIFY_DELAY   8u

/* How much of the message a report of failure brings back (RFC 3461 §4.3). */
enum ph_dsn_return { PH_RETURN_DEFAULT = 0, PH_RETURN_FULL, PH_RETURN_HEADERS };

/* What happens to a message that cannot be delivered in time (RFC 2852 §4). */
enum ph_by_mode {
	PH_BY_NONE = 0,
	PH_BY_RETURN, /* it is returned: demanded, a server without DELIVERBY refuses it */
	PH_BY_NOTIFY  /* the sender is told and delivery goes on: preferred */
};

/* Who it is from and to, and how it shall be sent. Zero is the safe default.
 *
 * What is *demanded* and not offered by the server refuses the message before anything of it is sent
 * (reply 0, an enhanced code of ours). What is *preferred* is left out then, and the transcript says
 * so. */
struct ph_envelope {
	size_t             size;             /* PH_ENVELOPE_INIT */
	const char        *from;             /* reverse-path without brackets; "" is the null one */
	const char *const *recipients;       /* forward-paths without brackets */
	size_t             recipient_count;
	enum ph_line_ends  line_ends;
	bool               no_dup;           /* never more than this message unanswered: an end without
	                                        a reply leaves no other in doubt */
	const char *const *mail_parameters;  /* NULL-terminated "KEYWORD=value" for MAIL, beyond those
	                                        the library finds out itself; NULL: none */
	const char *const *rcpt_parameters;  /* the same for every RCPT */

	/* Delivery status notifications (RFC 3461); preferred. */
	unsigned           notify;           /* PH_NOTIFY_…, ORed, for every recipient; 0: not said */
	enum ph_dsn_return dsn_return;
	const char        *envid;            /* comes back in reports: printable ASCII, at most 100 characters
	                                        as xtext ("+", "=" and a space are three). NULL: none */
	const unsigned    *recipient_notify; /* one for each recipient; where not 0 it counts instead of
	                                        `notify`. NULL: none */
	const char *const *original_recipients; /* ORCPT, one for each recipient: "rfc822;bob@example.org"
	                                           as it is meant (it is encoded here), non-ASCII as
	                                           "utf-8;…" (RFC 6533); at most 500 characters as xtext.
	                                           NULL, or a NULL: the recipient's address where a report
	                                           is asked for, so that it names whom you wrote to */

	const char        *auth;             /* AUTH= (RFC 4954 §5): who submitted it to us; "": nobody we
	                                        vouch for. Preferred. NULL: not said */
	bool               require_tls;      /* REQUIRETLS (RFC 8689): over verified TLS at each hop or not
	                                        at all. Demanded; refused as 5.7.30, or 5.7.10 where a
	                                        domain's servers have no verified TLS */
	enum ph_by_mode    by_mode;          /* DELIVERBY (RFC 2852); */
	bool               by_trace;         /* its "T": each relay reports; */
	int32_t            by_seconds;       /* within so many: ±999,999,999; RETURN: more than 0 */
	uint64_t           hold_for;         /* FUTURERELEASE (RFC 4865): keep it so many seconds, 1 to
	                                        999,999,999, or */
	int64_t            hold_until;       /* until this time (seconds since 1970, UTC); demanded.
	                                        Both 0: deliver at once. Both given is an error */
	int                priority;         /* MT-PRIORITY (RFC 6710): -9 to 9; preferred. 0: not said */
};
#define PH_ENVELOPE_INIT .size = sizeof(struct ph_envelope)

struct ph_txn;

/* A transaction with a copy of the envelope. Refused with PH_EINPUT, *err naming the address: a
 * control character, a space or bracket outside quotes, a part too long; the same for what is asked
 * of extensions. PH_EUSAGE: no recipient at all, or a number out of its range.
 * `mem` NULL: the C library's. */
PH_API enum ph_code ph_txn_new(struct ph_txn **ret, const struct ph_envelope *envelope,
                               const struct ph_allocator *mem, struct ph_error *err);
/* The same object for another message; its memory is used again. On failure it can only be freed. */
PH_API enum ph_code ph_txn_reuse(struct ph_txn *t, const struct ph_envelope *envelope,
                                 struct ph_error *err);
/* NULL is fine. Not while a session has it. */
PH_API void ph_txn_free(struct ph_txn *t);

/* A pointer of the caller's own to find his things by. */
PH_API void ph_txn_set_user(struct ph_txn *t, void *user);
PH_API void *ph_txn_user(const struct ph_txn *t);

PH_API const char *ph_txn_from(const struct ph_txn *t);
PH_API size_t ph_txn_recipient_count(const struct ph_txn *t);
/* Valid until the transaction is reused or freed. i out of range: NULL. */
PH_API const struct ph_recipient_outcome *ph_txn_recipient(const struct ph_txn *t, size_t i);
/* Octets of the message given so far, after line ends were mended, without dot-stuffing. */
PH_API uint64_t ph_txn_bytes(const struct ph_txn *t);
/* What ended it when that was no recipient's own reply: a refused MAIL, a lost connection, a
 * message that is not acceptable. code PH_OK when nothing of that kind did. */
PH_API const struct ph_error *ph_txn_error(const struct ph_txn *t);

#ifdef __cplusplus
}
#endif
#endif
