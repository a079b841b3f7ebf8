/* SPDX-License-Identifier: MIT */
#ifndef PH_SMTP_TXN_H
#define PH_SMTP_TXN_H
/* A transaction from the inside: the envelope, each recipient's outcome, and how far it has come on
 * the session that has it.
 *
 * A server may take fewer recipients at a time than there are: then the message goes out in rounds,
 * each a submission of its own, to the first recipients without an outcome that the limits let in.
 * What happens to a round is decided for its recipients alone. */
#include <posthaste/transaction.h>
#include "base/mem.h"
#include "mail/lines.h"

enum ph__txn_phase {
	PH__TXN_IDLE,     /* the caller's */
	PH__TXN_QUEUED,   /* nothing of it has been written */
	PH__TXN_ENVELOPE, /* RSET, MAIL, RCPT, DATA */
	PH__TXN_BODY,     /* its octets are being asked for */
	PH__TXN_WAITING,  /* everything is written; replies are awaited */
	PH__TXN_DONE
};

enum ph__answered { PH__ANSWER_NONE, PH__ANSWER_YES, PH__ANSWER_NO };

struct ph__rcpt {
	struct ph_recipient_outcome out;
	size_t len;           /* of the address */
	const char *dsn;      /* " NOTIFY=… ORCPT=…"; NULL: none */
	bool   accepted;      /* its RCPT was answered 2yz, in this round */
	bool   put_off;       /* to another round */
	unsigned round;       /* in which it was decided */
	bool   in_company;    /* somebody was accepted beside it, in that round */
};

struct ph_txn {
	struct ph_allocator mem;
	struct ph__arena arena; /* everything below that is a pointer */
	void *user;
	struct ph_txn *next;

	/* the envelope */
	const char *from;
	size_t from_len;
	struct ph__rcpt *rcpts;
	size_t rcpt_count;
	const char *mail_parameters, *rcpt_parameters; /* each with its leading space; "" for none */
	/* of extensions (parameters.c), in the same form */
	const char *dsn, *auth, *by, *hold, *priority;
	bool asks_dsn;          /* of MAIL or of a RCPT */
	bool require_tls;
	enum ph_by_mode by_mode;
	int32_t by_seconds;
	uint64_t hold_for;
	int64_t hold_until;
	bool told_left_out;     /* what the server does not offer was said in the transcript */
	enum ph_line_ends ends;
	bool no_dup;
	bool utf8;              /* an address needs SMTPUTF8 */
	bool bare;              /* only a body: the envelope was given by hand */

	/* the outcome */
	struct ph_error error;
	uint64_t bytes;
	size_t kept;            /* octets of replies */
	unsigned session;       /* what recipients decided now are marked with */
	unsigned round;         /* submissions so far */
	size_t settled;         /* recipients before it have an outcome */

	/* on a session; all reset by submit */
	struct ph_source_facts facts;
	struct ph__lines lines;
	enum ph__txn_phase phase;
	enum ph__answered mail;
	bool   needs_rset, rset_sent, mail_sent, data_sent;
	bool   rset_refused;
	bool   taken_elsewhere; /* a RCPT was answered 2yz though MAIL or RSET was not */
	bool   chunked;         /* BDAT */
	bool   all_written;     /* the last octet is in the queue; it ends at `end` */
	bool   again;           /* undecided: to be tried alone on a fresh connection */
	bool   behind_surprise; /* a BDAT before it in the flight was refused */
	bool   rides;           /* it began behind another's final dot */
	bool   behind_refusal;  /* its MAIL went out behind a message that was refused by its dot */
	size_t rcpt_next;       /* to be written */
	size_t rcpts_written;
	size_t round_end;       /* recipients from here on are for another round */
	size_t unanswered;      /* commands written and not answered */
	size_t rcpts_unanswered;
	size_t accepted;        /* RCPTs answered 2yz */
	size_t final_next;      /* LMTP: whose final reply is next */
	uint64_t end;           /* place in the stream behind its last octet; UINT64_MAX: not known */
};

/* Judges what the envelope asks of extensions, and makes parameters of it (parameters.c). */
enum ph_code ph__txn_take_parameters(struct ph_txn *t, const struct ph_envelope *e,
                                     struct ph_error *err);
void ph__txn_no_parameters(struct ph_txn *t);

/* A transaction without an envelope, for ph_smtp_submit_body(). */
enum ph_code ph__txn_new_bare(struct ph_txn **ret, const struct ph_allocator *mem);
/* Ready to be submitted (again): recipients without an outcome are those it is for. */
void ph__txn_start(struct ph_txn *t, const struct ph_source_facts *facts);
/* What the message needs of a server, as far as is known: SMTPUTF8 (RFC 6531); BINARYMIME, for content
 * that is not lines of text (RFC 3030 §3). */
bool ph__txn_needs_utf8(const struct ph_txn *t);
bool ph__txn_is_binary(const struct ph_txn *t);
/* The size on the wire was found for mended line ends; what goes out unmended has another. */
bool ph__txn_has_known_size(const struct ph_txn *t);
/* A copy of a reply in the transaction's memory; without its text when memory is out, cut short when
 * very much has been kept already. */
struct ph_reply ph__txn_keep(struct ph_txn *t, const struct ph_reply *reply);
/* Gives recipient i its outcome, if it has none. */
void ph__txn_decide(struct ph_txn *t, size_t i, enum ph_outcome outcome, enum ph_code code,
                    enum ph_stage stage, enum ph_cause cause, const struct ph_reply *kept);
void ph__txn_decide_all(struct ph_txn *t, enum ph_outcome outcome, enum ph_code code,
                        enum ph_stage stage, enum ph_cause cause, const struct ph_reply *kept);
/* Only those of this round: the others were no part of what happened. */
void ph__txn_decide_round(struct ph_txn *t, enum ph_outcome outcome, enum ph_code code,
                          enum ph_stage stage, enum ph_cause cause, const struct ph_reply *kept);
/* The round is over: whom it decided knows whether anybody was accepted in it. */
void ph__txn_end_round(struct ph_txn *t);
bool ph__txn_round_is_decided(const struct ph_txn *t);
bool ph__txn_is_decided(const struct ph_txn *t);

#endif
