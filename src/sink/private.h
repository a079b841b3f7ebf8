/* SPDX-License-Identifier: MIT */
#ifndef PH_SINK_PRIVATE_H
#define PH_SINK_PRIVATE_H
/* What the sink's files share. */
#include <openssl/evp.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <uv.h>

#include "base/bounds.h"
#include "base/buf.h"
#include "base/error.h"
#include "net/tls_server.h"
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
enum ph_code ph__sink_users_load(struct ph__sink_users *u, const struct ph__sink_opts *o,
                                 const struct ph_allocator *mem, struct ph_error *err);
bool ph__sink_users_check(const struct ph__sink_users *u, struct ph_str name,
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

/* ---- conn.c */

struct ph__sink_conn {
	struct ph__sink *sink;
	struct ph__sink_conn *prev, *next;
	union { uv_handle_t handle; uv_stream_t stream; uv_tcp_t tcp; uv_pipe_t pipe; } h;
	enum ph__sink_protocol protocol;
	char peer[72];
	struct ph__server *session;
	struct ph__tls_stream *tls;
	struct ph_tls_facts facts;
	bool tls_up, reading, writing, eof, finishing, closing;
	uint64_t give_up;               /* on a handshake, or on a peer that does not read */
	const struct ph__server_reply *verdict; /* on the message, for LMTP's further recipients */
	struct ph__sink_message message;
	uv_write_t write;
	uv_shutdown_t shutdown;
	struct ph__buf unsent;          /* under `write` */
};
void ph__sink_accept(struct ph__sink_listener *l);
void ph__sink_conn_tick(struct ph__sink_conn *c);
void ph__sink_conn_shutdown(struct ph__sink_conn *c); /* 421, then the end */
void ph__sink_conn_close(struct ph__sink_conn *c);    /* at once */

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
	struct ph__tls_server *tls;
	struct ph__sink_users users;
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
