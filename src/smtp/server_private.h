/* SPDX-License-Identifier: MIT */
#ifndef PH_SMTP_SERVER_PRIVATE_H
#define PH_SMTP_SERVER_PRIVATE_H
/* What the server session's files share. */
#include "base/bounds.h"
#include "base/buf.h"
#include "smtp/server.h"

/* What the next octet belongs to. */
enum ph__server_phase {
	PH__PHASE_COMMAND,
	PH__PHASE_AUTH,    /* a line of an AUTH exchange */
	PH__PHASE_DATA,
	PH__PHASE_CHUNK,   /* BDAT: chunk_left octets */
	PH__PHASE_ENDING,  /* final replies of a message are being given */
	PH__PHASE_TLS,     /* nothing until ph__server_tls_done() */
	PH__PHASE_CLOSING, /* replies are being sent, then the end */
	PH__PHASE_CLOSED
};

enum ph__server_hello { PH__HELLO_NONE, PH__HELLO_HELO, PH__HELLO_EHLO, PH__HELLO_LHLO };

enum ph__body_type { PH__BODY_7BIT, PH__BODY_8BIT, PH__BODY_BINARY };

struct ph__server_txn {
	bool     open;     /* MAIL was accepted */
	bool     utf8, chunked, held;
	bool     over;     /* the size limit was passed: octets are no longer handed on */
	enum ph__body_type body;
	size_t   tried, accepted; /* recipients */
	size_t   answered;        /* ENDING: final replies given */
	const struct ph__server_reply *refusal; /* ENDING: ours, instead of asking; static */
};

struct ph__server_sasl;
struct ph__server_auth {
	const struct ph__server_sasl *mechanism;
	const char    *offered;      /* names */
	char           name[32];     /* of a mechanism that is the caller's */
	unsigned       round;
	bool           begun;        /* the caller was asked */
	bool           refused;      /* a bearer of a wrong token was told so: his answer, then 535 */
	struct ph__buf user, secret; /* decoded; wiped */
	struct ph__buf verdict;      /* refused: enhanced code, NUL, text */
};

struct ph__server {
	struct ph_allocator mem;
	struct ph__server_opts o;
	char *name;
	uint64_t now, deadline;

	enum ph__server_phase phase;
	enum ph__server_hello hello;
	bool tls, authenticated, refused; /* refused: the greeting was a 5yz */
	bool greeted;
	bool eof;
	unsigned errors;
	enum ph__server_close why;
	struct ph__server_txn txn;
	struct ph__server_auth auth;
	uint64_t transactions;       /* accepted MAILs */
	struct ph__buf domains;      /* of the session's recipients, each with a NUL, for RCPTDOMAINMAX */
	size_t domains_len;          /* of those that were accepted */

	struct ph__body body;
	uint64_t chunk_left;
	bool chunk_last;
	const struct ph__server_reply *chunk_refusal; /* static */

	enum ph__server_event_type asking; /* its answer is waited for */
	struct ph__server_event ev;
	bool ev_ready, dropped;
	struct ph__buf scratch; /* the text of a proposed reply that is not static */

	struct ph__buf held;    /* from earlier feeds; its first `off` octets are done with */
	size_t off;
	struct ph_str lent;     /* from this feed, behind those held */
	bool skipping;          /* inside a line that was too long */

	struct ph__buf out;
	size_t sent;
};

/* server.c */
void ph__server_say(struct ph__server *s, const struct ph__server_reply *r);
/* An error of the client's: counted, and answered 421 when there were too many. */
void ph__server_error(struct ph__server *s, uint16_t code, const char *enhanced, const char *text);
/* Proposes a reply; details of the event are then filled into the result. */
struct ph__server_event *ph__server_ask(struct ph__server *s, enum ph__server_event_type type,
                                        uint16_t code, const char *enhanced, const char *text);
void ph__server_drop(struct ph__server *s); /* the transaction */
void ph__server_close(struct ph__server *s, enum ph__server_close why);
bool ph__server_is_out_of_step(struct ph__server *s);
size_t ph__server_unread(const struct ph__server *s);
static inline bool
ph__server_has(const struct ph__server *s, uint32_t ext)
{
	return (s->o.extensions & ext) == ext;
}

/* server_input.c: octets and lines out of what is held and what is lent. */
enum ph__line { PH__LINE_NONE, PH__LINE_TAKEN, PH__LINE_TOO_LONG };
enum ph__line ph__server_take_line(struct ph__server *s, struct ph_str *line, bool *bare_lf);
struct ph_str ph__server_octets(const struct ph__server *s);
void ph__server_consume(struct ph__server *s, size_t n);
void ph__server_tidy(struct ph__server *s);  /* forgets what is done with */
void ph__server_discard(struct ph__server *s);
/* What is lent is not ours to wipe. */
void ph__server_wipe_held(struct ph__server *s, struct ph_str secret);

/* server_command.c */
void ph__server_command(struct ph__server *s, struct ph_str line);
/* What a 2yz or 3yz, or a refusal, to a command means for the session. */
void ph__server_answered(struct ph__server *s, enum ph__server_event_type type, uint16_t code);

/* server_envelope.c */
void ph__server_mail(struct ph__server *s, struct ph_str arg);
void ph__server_rcpt(struct ph__server *s, struct ph_str arg);
void ph__server_domain_stays(struct ph__server *s); /* the last RCPT's */

/* server_params.c: false when it was answered with an error. */
bool ph__server_take_parameters(struct ph__server *s, struct ph_str rest, bool rcpt);
bool ph__server_is_xtext(struct ph_str v);

/* server_client.c: what a proxy says of its client */
bool ph__server_are_attributes(struct ph_str arg, bool forward);

/* server_message.c: phases DATA, CHUNK, ENDING; false: more input is needed. */
void ph__server_data(struct ph__server *s, struct ph_str arg);
void ph__server_bdat(struct ph__server *s, struct ph_str arg);
void ph__server_data_begins(struct ph__server *s);
bool ph__server_data_step(struct ph__server *s);
bool ph__server_chunk_step(struct ph__server *s);
bool ph__server_ending_step(struct ph__server *s);
void ph__server_message_answered(struct ph__server *s);

/* server_ext.c */
void ph__server_keywords(struct ph__server *s, struct ph__buf *to); /* "\nPIPELINING\nSIZE 1000" */
size_t ph__server_line_max(const struct ph__server *s, bool mail, bool rcpt);
bool ph__server_offers(const struct ph__server *s, uint32_t ext);
bool ph__server_offers_auth(const struct ph__server *s);

/* server_auth.c */
void ph__server_auth(struct ph__server *s, struct ph_str arg);
void ph__server_auth_line(struct ph__server *s, struct ph_str line);
void ph__server_auth_end(struct ph__server *s); /* secrets are wiped */
/* Whether a refusal was turned into a challenge that tells the bearer of a wrong token why. */
bool ph__server_auth_explains(struct ph__server *s, const struct ph__server_reply *refusal);

#endif
