/* SPDX-License-Identifier: MIT */
#ifndef POSTHASTE_CLIENT_H
#define POSTHASTE_CLIENT_H
/* The blocking client: every SMTP command in the programmer's hand, and whole deliveries.
 *
 *	struct ph_client *c;
 *	const struct ph_record *r;
 *	struct ph_error err = PH_ERROR_INIT;
 *	struct ph_client_opts o = { PH_CLIENT_OPTS_INIT, .server = "submission://mail.example.org",
 *	        .credentials = &(struct ph_credentials){ PH_CREDENTIALS_INIT, .user = …, .password = … } };
 *
 *	ph_client_new(&c, &o, &err);
 *	ph_client_sendmail(c, &envelope, source, &r, &err);
 *	ph_client_quit(c, NULL, NULL);
 *	ph_client_free(c);
 *
 * Every function returns PH_OK or the class of what went wrong, with the story in *err (NULL is
 * fine). Those that speak one command return PH_OK only for a 2yz or 3yz reply; the reply itself is
 * given in any case, through `ret` (NULL is fine), and stays valid until the next call on the
 * client. Threads: a client belongs to one at a time. Signals: none is raised, none is caught. */
#include <stdio.h>
#include <posthaste/auth.h>
#include <posthaste/record.h>
#include <posthaste/source.h>
#include <posthaste/tls.h>
#include <posthaste/transaction.h>
#include <posthaste/transport.h>

#ifdef __cplusplus
extern "C" {
#endif

struct ph_client;

/* A line of the transcript. Secrets are replaced before it is made. */
struct ph_trace {
	size_t      size;      /* of this struct as the library knows it */
	char        direction; /* '>' sent, '<' received, '*' said by the library */
	bool        tls;       /* it went under TLS */
	bool        refused;   /* a reply that is not 2yz or 3yz */
	uint64_t    since_us;  /* since the client began to connect */
	const char *text;      /* without line end; a peer's octets are not yet escaped */
	size_t      len;
};

struct ph_client_opts {
	size_t       size;               /* PH_CLIENT_OPTS_INIT */
	const char  *server;             /* smtp://host[:25], submission://host[:587],
	                                    smtps://host[:465] (submissions:// too), lmtp://host:port,
	                                    lmtp:///path/to/socket; "host[:port]" is smtp. "user@" may
	                                    stand before the host; a password may not. NULL: only with
	                                    ph_client_attach_… */
	const char  *connect;            /* dial this address instead; the server's name stays the one
	                                    that is verified */
	const struct ph_tls_opts *tls;   /* NULL: the scheme's default, verified */
	const struct ph_credentials *credentials; /* NULL: no login. The user of the URL is used when
	                                    it has none */
	bool         allow_clear_auth;   /* let credentials cross a clear or unverified link */
	const char  *helo;               /* EHLO name; NULL: the host's name if qualified, else the
	                                    address literal of the connected socket (RFC 5321 §4.1.4) */
	const char  *source_ip;          /* NULL: the system chooses */
	int          family;             /* 0 any, 4 or 6 */
	uint64_t     timeout_ms;         /* each wait for the server at most; 0: RFC 5321 §4.5.3.2 */
	uint64_t     connect_timeout_ms; /* each address; 0: 30 s */
	unsigned     window;             /* BDAT transactions unanswered at most; 0: 8 */
	bool         no_pipelining;      /* a command at a time, for debugging a server */
	bool         no_chunking;        /* DATA even where BDAT is offered */
	void       (*transcript)(void *user, const struct ph_trace *line); /* NULL: none */
	void        *transcript_user;
	const struct ph_allocator *memory; /* NULL: the C library's */
};
#define PH_CLIENT_OPTS_INIT .size = sizeof(struct ph_client_opts)

/* Checks and copies the options, reads the TLS files; no network. PH_EINPUT, PH_ECONFIG,
 * PH_ENOINPUT, PH_ESYSTEM. */
PH_API enum ph_code ph_client_new(struct ph_client **ret, const struct ph_client_opts *opts,
                                  struct ph_error *err);
/* Closes at once, without QUIT. Transactions unanswered are lost to the caller. NULL is fine. */
PH_API void ph_client_free(struct ph_client *c);

/* ---- whole deliveries ------------------------------------------------------------------------ */

/* Connects, says EHLO, secures the link as the options ask, logs in: whatever of that has not been
 * done. The functions below do it by themselves. PH_ENOHOST, PH_EDEFERRED, PH_EREFUSED, PH_EAUTH,
 * PH_ESECURITY, PH_EPROTOCOL. */
PH_API enum ph_code ph_client_open(struct ph_client *c, struct ph_error *err);

/* Sends one message and waits for its outcome. *ret (NULL is fine) is the record, valid until the
 * next call on the client; there is one whenever the envelope was acceptable, also when nobody could
 * be reached. Returns ph_record_code(). */
PH_API enum ph_code ph_client_sendmail(struct ph_client *c, const struct ph_envelope *envelope,
                                       struct ph_source *source, const struct ph_record **ret,
                                       struct ph_error *err);

/* Many messages, at one round trip each or less: submit() keeps a message for sending and returns at
 * once, next() gives the records in the order of submission. Keep a window's worth submitted and the
 * line never idles:
 *
 *	while (ph_client_pending(c) < ahead && more) ph_client_submit(c, …);
 *	ph_client_next(c, &record, &err);
 *
 * The envelope is copied, the source borrowed until its record is given. A source may be used for
 * several messages at once only if it is memory. `user` comes back with the record. */
PH_API enum ph_code ph_client_submit(struct ph_client *c, const struct ph_envelope *envelope,
                                     struct ph_source *source, void *user, struct ph_error *err);
PH_API size_t ph_client_pending(const struct ph_client *c);
/* The oldest message's record, valid until the next call on the client. PH_EUSAGE when nothing is
 * pending; otherwise ph_record_code(). */
PH_API enum ph_code ph_client_next(struct ph_client *c, const struct ph_record **ret, void **user,
                                   struct ph_error *err);

/* Gives up whatever the client is doing, from a signal handler or another thread: the call that waits
 * returns soon, and so does every later one. A message that was not handed over whole ends as
 * PH_ECANCELLED, deferred; one that was, and has no answer yet, is in doubt. The client is of no more
 * use but for ph_client_next() and ph_client_free(). */
PH_API void ph_client_cancel(struct ph_client *c);

/* ---- by hand --------------------------------------------------------------------------------- */

/* Connects, does the handshake of implicit TLS, reads the greeting. */
PH_API enum ph_code ph_client_connect(struct ph_client *c, const struct ph_reply **ret,
                                      struct ph_error *err);
/* Uses a connected stream socket, blocking or not; `owned`: it is the library's to close, also when
 * this fails. A connection that was lent and is lost is not replaced: attach another. */
PH_API enum ph_code ph_client_attach_socket(struct ph_client *c, int fd, bool owned,
                                            const struct ph_reply **ret, struct ph_error *err);
/* Uses the caller's transport; the table is copied, its user must outlive the connection. `tls`:
 * facts of TLS that is up already, or NULL. */
PH_API enum ph_code ph_client_attach_transport(struct ph_client *c, const struct ph_transport *t,
                                               const struct ph_tls_facts *tls,
                                               const struct ph_reply **ret, struct ph_error *err);

/* name NULL: the one of the options. EHLO on an LMTP client says LHLO. */
PH_API enum ph_code ph_client_ehlo(struct ph_client *c, const char *name,
                                   const struct ph_reply **ret, struct ph_error *err);
PH_API enum ph_code ph_client_helo(struct ph_client *c, const char *name,
                                   const struct ph_reply **ret, struct ph_error *err);
/* Nothing if either was answered with 2yz; else EHLO, and HELO where RFC 5321 §3.2 allows it. */
PH_API enum ph_code ph_client_ehlo_or_helo_if_needed(struct ph_client *c, struct ph_error *err);
/* Whether the last EHLO offered it; *parameter ("" or its text) valid until the next EHLO. */
PH_API bool ph_client_has_extn(const struct ph_client *c, const char *keyword,
                               const char **parameter);
PH_API enum ph_code ph_client_starttls(struct ph_client *c, const struct ph_reply **ret,
                                       struct ph_error *err);
/* Credentials NULL: those of the options. The rules on when they may go out hold here too. */
PH_API enum ph_code ph_client_login(struct ph_client *c, const struct ph_credentials *credentials,
                                    const struct ph_reply **ret, struct ph_error *err);
/* A mechanism of the caller's. */
PH_API enum ph_code ph_client_auth(struct ph_client *c, const struct ph_mechanism *mechanism,
                                   const struct ph_reply **ret, struct ph_error *err);

/* Parameters: "SIZE=100 BODY=8BITMIME", or NULL. Addresses without brackets. */
PH_API enum ph_code ph_client_mail(struct ph_client *c, const char *reverse_path,
                                   const char *parameters, const struct ph_reply **ret,
                                   struct ph_error *err);
PH_API enum ph_code ph_client_rcpt(struct ph_client *c, const char *forward_path,
                                   const char *parameters, const struct ph_reply **ret,
                                   struct ph_error *err);
/* DATA, the message, the final dot, the final reply. Under LMTP the first recipient's reply is
 * returned and the others are read with ph_client_getreply(), one for each accepted RCPT. */
PH_API enum ph_code ph_client_data(struct ph_client *c, struct ph_source *source,
                                   enum ph_line_ends line_ends, const struct ph_reply **ret,
                                   struct ph_error *err);
PH_API enum ph_code ph_client_rset(struct ph_client *c, const struct ph_reply **ret, struct ph_error *err);
PH_API enum ph_code ph_client_noop(struct ph_client *c, const struct ph_reply **ret, struct ph_error *err);
PH_API enum ph_code ph_client_help(struct ph_client *c, const char *topic, const struct ph_reply **ret, struct ph_error *err);
PH_API enum ph_code ph_client_vrfy(struct ph_client *c, const char *who, const struct ph_reply **ret, struct ph_error *err);
PH_API enum ph_code ph_client_expn(struct ph_client *c, const char *list, const struct ph_reply **ret, struct ph_error *err);
PH_API enum ph_code ph_client_etrn(struct ph_client *c, const char *domain, const struct ph_reply **ret, struct ph_error *err);

/* Any command: "XCLIENT", "NAME=x". Control characters are PH_EINPUT. docmd is putcmd and getreply;
 * it judges the reply as the others do. */
PH_API enum ph_code ph_client_putcmd(struct ph_client *c, const char *verb, const char *arguments,
                                     struct ph_error *err);
PH_API enum ph_code ph_client_getreply(struct ph_client *c, const struct ph_reply **ret,
                                       struct ph_error *err);
PH_API enum ph_code ph_client_docmd(struct ph_client *c, const char *verb, const char *arguments,
                                    const struct ph_reply **ret, struct ph_error *err);
/* Octets as they are, nothing checked, nothing expected: the one door that injects. */
PH_API enum ph_code ph_client_send(struct ph_client *c, const void *octets, size_t n,
                                   struct ph_error *err);

/* QUIT; waits 5 s at most for its reply; then the connection is closed, whatever was answered.
 * PH_EUSAGE, and nothing done, while submitted messages are under way. */
PH_API enum ph_code ph_client_quit(struct ph_client *c, const struct ph_reply **ret,
                                   struct ph_error *err);
/* QUIT as a courtesy, without waiting for its reply: closes at once. What is under way is lost. */
PH_API void ph_client_leave(struct ph_client *c);
/* Closes without a word. The client may connect again; nothing learnt of the server is kept. Messages
 * submitted before are decided by this end, those of which nothing was sent go out on the next
 * connection. */
PH_API void ph_client_close(struct ph_client *c);

/* ---- what is known --------------------------------------------------------------------------- */

PH_API bool ph_client_is_connected(const struct ph_client *c);
PH_API int ph_client_fd(const struct ph_client *c); /* -1: none, or a lent transport */
/* NULL while there is no TLS. */
PH_API const struct ph_tls_facts *ph_client_tls_facts(const struct ph_client *c);
PH_API const struct ph_reply *ph_client_greeting(const struct ph_client *c); /* NULL before it */
PH_API const struct ph_reply *ph_client_ehlo_reply(const struct ph_client *c); /* or HELO's; NULL */

/* Writes a transcript line as swaks does (-> <- ~> <~ <** ***), escaped for a terminal; times in
 * front when `times`. `user` of ph_client_opts.transcript can be a struct ph_transcript. */
struct ph_transcript {
	size_t size; /* PH_TRANSCRIPT_INIT */
	FILE  *file; /* not closed */
	bool   times;
};
#define PH_TRANSCRIPT_INIT .size = sizeof(struct ph_transcript)
PH_API void ph_transcript_print(void *transcript, const struct ph_trace *line);

#ifdef __cplusplus
}
#endif
#endif
