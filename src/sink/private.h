/* SPDX-License-Identifier: MIT */
#ifndef PH_SINK_PRIVATE_H
#define PH_SINK_PRIVATE_H
/* What the sink's files share. */
#include <openssl/evp.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <uv.h>

#include "auth/module.h"
#include "base/bounds.h"
#include "base/buf.h"
#include "base/error.h"
#include "net/tls_server.h"
#include "sink/rules.h"
#include "sink/sink.h"
#include "smtp/server.h"

#define PH__SINK_READ  (256 * 1024) /* octets read from a socket at a time */
#define PH__SINK_PLAIN (64 * 1024)  /* octets decrypted at a time */

struct ph__sink;
struct ph__sink_conn;

/* ---- files.c */

/* Adds the whole file to an initialised buffer; its maximum bounds the file. */
enum ph_code ph__sink_read_file(const char *path, struct ph__buf *into, struct ph_error *err);
/* Replaces the file as a whole: a reader sees the old one or the new one. */
enum ph_code ph__sink_write_file(const char *path, struct ph_str text, struct ph_error *err);
/* All of it; false with errno. */
bool ph__sink_write_all(int fd, const void *p, size_t n);

/* ---- users.c */

struct ph__sink_users {
	const struct ph_allocator *mem;
	struct { char *name, *password; } *rows;
	size_t count;
};
enum ph_code ph__sink_users_load(struct ph__sink_users *u, const struct ph__sink_user *users,
                                 size_t count, const char *file, const struct ph_allocator *mem,
                                 struct ph_error *err);
const char *ph__sink_users_password(const struct ph__sink_users *u, struct ph_str name);
/* The name whose password or token that is; NULL: nobody's. An empty name asks for any. */
const char *ph__sink_users_check(const struct ph__sink_users *u, struct ph_str name,
                                 struct ph_str password);
void ph__sink_users_done(struct ph__sink_users *u);

/* ---- store.c: a Maildir, or nothing */

struct ph__sink_store {
	const char *dir; /* NULL: nothing is stored */
	int      fd;
	unsigned count;
};
struct ph__sink_file {
	int  fd;         /* -1: none open */
	int  error;      /* errno of what went wrong */
	char name[96];   /* under tmp/, later under new/ */
	struct ph__buf pending;
};
enum ph_code ph__sink_store_open(struct ph__sink_store *s, const char *dir, struct ph_error *err);
void ph__sink_store_close(struct ph__sink_store *s);
void ph__sink_file_begin(struct ph__sink_store *s, struct ph__sink_file *f);
void ph__sink_file_add(struct ph__sink_file *f, struct ph_str octets);
/* The file is in new/. Otherwise f->error says why not, and nothing is left of it. */
bool ph__sink_file_end(struct ph__sink_store *s, struct ph__sink_file *f);
void ph__sink_file_drop(struct ph__sink_store *s, struct ph__sink_file *f);

/* ---- message.c: what is kept of one connection's messages, and their records */

struct ph__sink_message {
	struct ph__buf helo, user;    /* as last given */
	struct ph__buf xclient, xforward; /* the same, as they came */
	char mechanism[32];           /* of the user */
	struct ph__buf envelope;      /* its part of the record, ready made */
	bool need_comma;              /* in its list of recipients */
	bool begun;
	EVP_MD_CTX *hash;             /* NULL: no records are wanted */
	struct ph__sink_file file;
};
bool ph__sink_message_init(struct ph__sink *s, struct ph__sink_message *m);
void ph__sink_message_done(struct ph__sink *s, struct ph__sink_message *m);
bool ph__sink_message_mail(struct ph__sink_message *m, const struct ph__server_event *ev);
bool ph__sink_message_rcpt(struct ph__sink_message *m, const struct ph__server_event *ev);
void ph__sink_message_octets(struct ph__sink *s, struct ph__sink_message *m, struct ph_str octets);
void ph__sink_message_drop(struct ph__sink *s, struct ph__sink_message *m);
/* Stored, counted, recorded; NULL. Or a refusal: static. */
const struct ph__server_reply *ph__sink_message_end(struct ph__sink_conn *c);
/* Writes the records that wait, before the replies that tell of them. */
void ph__sink_records_flush(struct ph__sink *s);

/* ---- listen.c */

struct ph__sink_listener {
	struct ph__sink *sink;
	enum ph__sink_protocol protocol;
	union { uv_handle_t handle; uv_stream_t stream; uv_tcp_t tcp; uv_pipe_t pipe; } h;
	bool is_unix;
	char where[sizeof ((struct sockaddr_un *)0)->sun_path + 8]; /* as bound */
};
enum ph_code ph__sink_listen(struct ph__sink *s, const struct ph__sink_listen *l,
                             struct ph_error *err);
/* "127.0.0.1:25", "[::1]:25" */
void ph__sink_print_address(const struct sockaddr_storage *a, char *to, size_t size);

/* ---- sasl.c */

struct ph__sink_sasl {
	struct ph__sasl_exchange *exchange; /* NULL: none */
	struct ph__sasl_directory users;    /* it borrows them */
	struct ph__sasl_link link;
	bool proved;               /* it has come to a good end */
	bool last_word;            /* ours was said: an empty answer is due */
	bool plus;                 /* -PLUS is offered */
	struct ph__buf offered;
};
/* The module, if --auth or users make it worth while, and --auth is about mechanisms that can work. */
enum ph_code ph__sink_sasl_set_up(struct ph__sink *s, struct ph_error *err);
/* Tells the session what can be offered on this link. */
bool ph__sink_sasl_offer(struct ph__sink_conn *c);
/* One step. True: it is over, *ev has become an ON_AUTH to be settled. */
bool ph__sink_sasl_step(struct ph__sink_conn *c, struct ph__server_event *ev);
void ph__sink_sasl_end(struct ph__sink_conn *c);

/* ---- proxy.c */

enum ph__sink_proxy { PH__SINK_PROXY_MORE, PH__SINK_PROXY_DONE, PH__SINK_PROXY_WRONG };
/* Looks for a PROXY header, version 1 or 2, at the beginning of the octets. DONE: its length; `peer` is
 * overwritten unless the header says that nobody is behind it (UNKNOWN, LOCAL). */
enum ph__sink_proxy ph__sink_proxy_parse(struct ph_str in, size_t *used, char *peer, size_t size);

/* ---- conn.c */

/* A reply that is being said by a rule's ways. */
struct ph__sink_show {
	const struct ph__rule *rule;    /* NULL: none */
	struct ph__buf octets;
	size_t   off;
	uint16_t code;                  /* what the session takes as said */
	bool     answers;               /* the session asks for it */
	bool     waiting;               /* for the timer */
};

struct ph__sink_conn {
	struct ph__sink *sink;
	struct ph__sink_conn *prev, *next;
	union { uv_handle_t handle; uv_stream_t stream; uv_tcp_t tcp; uv_pipe_t pipe; } h;
	enum ph__sink_protocol protocol;
	char peer[72];
	struct ph__server *session;
	struct ph__tls_stream *tls;
	struct ph_tls_facts facts;
	bool tls_up, tls_closed, reading, writing, eof, finishing, closing;
	bool over;                      /* nothing more is said or heard: a rule broke it off */
	bool stalled, deaf;             /* by a rule: never answers; does not even read */
	uint64_t give_up;               /* on a handshake, or on a peer that does not read */
	const struct ph__server_reply *verdict; /* on the message, for LMTP's further recipients */
	struct ph__sink_message message;
	uv_write_t write;
	uv_shutdown_t shutdown;
	struct ph__buf unsent;          /* under `write` */
	uv_timer_t timer, late_timer;
	int handles;                    /* not yet closed */
	struct ph__sink_sasl sasl;
	bool proxy_wait;                /* for a PROXY header */
	struct ph__buf proxy;           /* what came of it */
	char proxied_by[72];
	struct ph__rule_peer peer_counts;
	struct ph__sink_show show;
	const struct ph__rule *late;    /* whose late line is still to come */
	const struct ph__rule *tls_rule;
	bool tls_wait;
	struct ph__buf from, rcpts;     /* for rules: the reverse-path; LMTP: recipients, a line each */
	size_t rcpt_off;
	uint64_t body_octets;           /* of the message under way, as rules count them */
	uint16_t early;                 /* the code of a final reply that a rule has given already */
};
void ph__sink_accept(struct ph__sink_listener *l);
void ph__sink_conn_tick(struct ph__sink_conn *c);
void ph__sink_conn_shutdown(struct ph__sink_conn *c); /* 421, then the end */
void ph__sink_conn_close(struct ph__sink_conn *c);    /* at once */
void ph__sink_conn_pump(struct ph__sink_conn *c);
/* Sends octets, through TLS if it is up; not while `writing`. */
void ph__sink_conn_put(struct ph__sink_conn *c, struct ph_str octets);
void ph__sink_conn_put_clear(struct ph__sink_conn *c, struct ph_str octets);
/* Breaks it off: DROP with what was sent before, RESET without. */
void ph__sink_conn_cut(struct ph__sink_conn *c, enum ph__rule_end how);

/* ---- answer.c: what the session asks */

void ph__sink_settle(struct ph__sink_conn *c, struct ph__server_event *ev);
/* Octets of a message have come: perhaps a rule is for now. */
void ph__sink_watch_body(struct ph__sink_conn *c, size_t n);

/* ---- faults.c: rules, carried out */

/* The rule for an event, and a line about it on standard error; NULL: none. */
struct ph__rule *ph__sink_fault_find(struct ph__sink_conn *c, const struct ph__rule_event *ev);
/* `reply`: the one that is to be said; NULL: none. `answers`: the session has asked for it. */
void ph__sink_fault_begin(struct ph__sink_conn *c, const struct ph__rule *r,
                          const struct ph__server_reply *reply, bool answers);
/* Goes on with it; whether anything changed. */
bool ph__sink_fault_perform(struct ph__sink_conn *c);
/* Instead of making c->tls: now, or when a delay is over. */
void ph__sink_fault_tls(struct ph__sink_conn *c);
bool ph__sink_fault_tls_meets(struct ph__sink_conn *c);

/* ---- sink.c */

struct ph__sink {
	const struct ph_allocator *mem;
	const struct ph__sink_opts *o;
	uv_loop_t loop;
	uv_signal_t sigint, sigterm;
	uv_timer_t sweep;
	struct ph__sink_listener listeners[PH__SINK_LISTENERS];
	size_t listener_count;
	uint32_t extensions;
	size_t connections_max;
	struct ph__tls_server *tls[PH__CERT_FAULTS]; /* the bad ones only where a rule wants them */
	struct ph__rules rules;
	struct ph__sink_users users, tokens;
	const struct ph__sasl_module *sasl; /* NULL: not there, or not wanted */
	int64_t future_until; /* how far FUTURERELEASE reaches, seconds since 1970 */
	struct ph__sink_store store;
	struct ph__sink_conn *conns;
	size_t conn_count;
	bool stopping, ended;
	uint64_t stop_at;
	char *in, *plain;               /* for every connection in turn */
	EVP_MD *sha256;
	int json_fd;
	struct ph__buf records;
	struct ph_error *err;           /* of what ends the service */
	enum ph_code failure;
	uint64_t messages, octets, connections, dropped;
};
/* Lets connections end, then ends the loop. */
void ph__sink_stop(struct ph__sink *s, bool now);
void ph__sink_conn_gone(struct ph__sink *s);

#endif
