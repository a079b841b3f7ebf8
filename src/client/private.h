/* SPDX-License-Identifier: MIT */
#ifndef PH_CLIENT_PRIVATE_H
#define PH_CLIENT_PRIVATE_H
/* The blocking client from the inside: options, one connection, and the deliveries on it. */
#include <stdatomic.h>
#include <posthaste/client.h>
#include "auth/sasl.h"
#include "base/bounds.h"
#include "base/buf.h"
#include "base/error.h"
#include "drive/drive.h"
#include "drive/opening.h"
#include "drive/record.h"
#include "net/conn.h"
#include "net/dial.h"
#include "route/policy.h"
#include "route/server.h"

enum ph__delivery_state { PH__WAITING, PH__ACTIVE, PH__FINISHED };

/* One message from submit() to next(). */
struct ph__delivery {
	struct ph__job job;       /* first: what the transaction's user pointer points at */
	struct ph_txn *txn;
	void *user;
	enum ph__delivery_state state;
	bool no_dup;
	bool alone;               /* its last try was undecided: nothing beside it on the next */
	bool replaced;            /* has used up its second chance on a fresh connection */
	unsigned tries;
	struct ph__session **sessions; /* all that had a part in it */
	size_t session_count, session_cap;
	uint64_t round_trips, round_trips_before, began_us;
	struct ph__mail *mail;    /* of a direct client (client/direct.h); NULL */
	struct ph__delivery *next;
};

/* Where a route's host is to be dialled, in order, and what became of that. */
struct ph__addresses {
	const char *const *list;  /* numeric */
	size_t count;
	enum ph__address_fate fate[PH__MX_ADDRESSES];
};

struct ph_client {
	struct ph_allocator mem;
	struct ph_client_opts opts;    /* pointers: our copies, below */
	char *connect, *helo, *source_ip;
	struct ph__server server;
	bool has_server;
	struct ph__proxy_url proxy;    /* no host: none */
	char *proxy_password;
	struct ph__proxy_header proxy_header;
	struct ph_tls_opts wish_tls;   /* what was asked for; its pointers only say "given" */
	struct ph__tls *tls;
	bool client_certificate;
	struct ph__direct *direct;     /* NULL: there is a server */
	struct ph_client *outer;       /* the direct client that this one serves; NULL */
	enum ph__host_tls demand;      /* of such a one: what the route asks for */
	struct ph__addresses *addresses; /* of such a one: to be dialled; borrowed while it sends */
	struct ph__credentials credentials;
	bool has_credentials;
	bool binding_offered[2];       /* by the server so far: dialled, or [1] attached (drive/login.h) */

	/* the connection */
	struct ph__conn *conn;         /* NULL: lent */
	struct ph_transport lent;
	struct ph_transport lent_tls;  /* what STARTTLS begins, if not the library's */
	struct ph__drive *drive;       /* NULL: not connected */
	bool attached;                 /* by the caller: cannot be made anew */
	bool by_proxy;                 /* the socket's peer is not the server */
	bool lent_lost;                /* the last one was, and is lost: none is made in its place */
	atomic_bool cancelled;         /* by ph_client_cancel(): for good */
	bool opened;
	bool logged_in;
	bool in_clear;                 /* an opportunistic handshake failed: this one is without */
	bool used;                     /* has carried a message, or waited for one */
	struct ph__peer peer;
	struct ph__opening opening;
	struct ph__session *session;
	char helo_name[300];
	uint64_t began_us;
	struct ph_reply greeting, ehlo;
	struct ph__buf greeting_text, ehlo_text, reply_text;
	struct ph_reply reply;
	size_t unread;                 /* commands put, whose replies were not asked for yet */
	bool awaits_message;           /* the server has said 354 to a DATA by hand */
	struct ph_txn *bare;           /* a body sent by hand */
	struct ph__job bare_job;

	/* deliveries, in order of submission */
	struct ph__delivery *first, *last, *waiting, *given, *spare;
	size_t pending, active;
	bool no_riding;                /* the server loses what comes behind a final dot */
	bool alone_active;
	struct ph_record record;
};

static inline bool
ph__is_hello(const char *verb)
{
	return strcmp(verb, "EHLO") == 0 || strcmp(verb, "HELO") == 0 || strcmp(verb, "LHLO") == 0;
}

/* connect.c */
/* Drives the opening to its end. */
enum ph_code ph__client_open(struct ph_client *c, struct ph_error *err);
/* PH_ECANCELLED if the client was cancelled, with words for it. */
enum ph_code ph__client_cancelled(const struct ph_client *c, enum ph_stage stage, struct ph_error *err);
/* Whether it was. `waiting`: a wait has brought nothing so far; the caller is asked, too. */
bool ph__client_is_cancelled(void *client, bool waiting);
/* Forgets the connection; `why` goes into the session's record. */
void ph__client_drop(struct ph_client *c, const struct ph_error *why);
/* A clean end, because the server's limits let nothing more begin on the connection: QUIT. */
void ph__client_retire(struct ph_client *c);
struct ph__wish ph__client_wish(const struct ph_client *c);
struct ph__proxy ph__client_proxy(const struct ph_client *c); /* borrowed; of c->proxy.host only */
/* What the session's record and the client remember of an event. */
void ph__client_note_event(struct ph_client *c, const struct ph_smtp_event *ev);

/* A line of our own in the transcript. */
void ph__client_note(struct ph_client *c, const char *what, const char *subject);

/* Says what to do about an error of this connection, or about its last reply; once to each. */
void ph__client_hint(struct ph_client *c, struct ph_error *err);

/* by_hand.c */
/* Whether commands can be given; a session that has ended is cleared away first. */
enum ph_code ph__client_check_alive(struct ph_client *c, struct ph_error *err);
enum ph_code ph__client_under_tls(struct ph_error *err); /* already */
/* Copies the reply of an event to where it lives until the next call. */
void ph__client_keep_reply(struct ph_client *c, const struct ph_reply *r);
/* PH_EUSAGE while replies to what was sent by hand wait for getreply(): the next reply would be taken
 * for one to another command. */
enum ph_code ph__client_check_read(const struct ph_client *c, struct ph_error *err);

/* delivery.c */
/* An event that concerns a delivery, whoever runs the session just now. */
void ph__client_on_txn_done(struct ph_client *c, const struct ph_smtp_event *ev);
/* PH_EUSAGE: messages submitted before have not been collected. */
enum ph_code ph__client_uncollected(struct ph_error *err);
/* Puts the session, and the one whose failure it follows, among the delivery's; its number, or
 * PH__NO_SESSION when memory is out. */
unsigned ph__delivery_add_session(struct ph_client *c, struct ph__delivery *d, struct ph__session *s);
/* No session could decide about the delivery: all who have no outcome get this one. */
void ph__delivery_fail(struct ph_client *c, struct ph__delivery *d, const struct ph_error *why);
/* Examines the source if that was not done; waits for one that has nothing now. */
enum ph_code ph__delivery_examine(struct ph_client *c, struct ph__delivery *d, struct ph_error *err);
/* The session is gone: what it had and did not tell of becomes the client's again. */
void ph__client_reclaim(struct ph_client *c);

/* direct.c: of a client with ph_client_opts.direct. See client/direct.h. */
enum ph_code ph__direct_new(struct ph_client *c, struct ph_error *err); /* from c->opts, which are judged */
void ph__direct_free(struct ph_client *c);
enum ph_code ph__direct_take(struct ph_client *c, struct ph__delivery *d, const struct ph_envelope *e,
                             struct ph_error *err);
void ph__mail_free(struct ph_client *c, struct ph__mail **m);
void ph__direct_run(struct ph_client *c, struct ph__delivery *d);
/* Every inner client: the same is done to it. */
void ph__direct_set_timeout(struct ph_client *c);
void ph__direct_set_transcript(struct ph_client *c);
enum ph_code ph__direct_quit(struct ph_client *c, struct ph_error *err);
void ph__direct_leave(struct ph_client *c);
void ph__direct_close(struct ph_client *c);
bool ph__direct_is_connected(const struct ph_client *c);
/* PH_EUSAGE: there is no connection of the caller's on such a client. */
enum ph_code ph__direct_misused(struct ph_error *err);

#endif
