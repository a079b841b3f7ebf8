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
 * fine). Those that speak one command return PH_OK only for a 2yz or 3yz reply, PH_EDEFERRED for a
 * 4yz and PH_EREFUSED for a 5yz. The reply itself is given in each of these cases, through `ret` (NULL
 * is fine), and stays valid until the next call on the client (those that only tell, and the setters,
 * leave it alone); where none came, because the command could not be given or the connection ended, *ret
 * is untouched. A function called out of order returns PH_EUSAGE and does nothing. Coming from Python's
 * smtplib: docs/smtplib.md. Threads: a client belongs to one at a time. Signals: none is raised, none is
 * caught. */
#include <stdio.h>
#include <posthaste/auth.h>
#include <posthaste/record.h>
#include <posthaste/route.h>
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
	const struct ph_direct_opts *direct; /* no server: each recipient's own (posthaste/route.h). NULL: the
	                                    server. Not with server, connect, credentials or proxy, nor with
	                                    TLS modes but DEFAULT, OPPORTUNISTIC and STARTTLS (PH_ECONFIG) */
	const char  *connect;            /* dial this address instead; the server's name stays the one
	                                    that is verified */
	const struct ph_tls_opts *tls;   /* NULL: the scheme's default, verified */
	const struct ph_credentials *credentials; /* NULL: no login. The user of the URL is used when
	                                    it has none */
	bool         allow_clear_auth;   /* let credentials cross a clear or unverified link */
	const char  *helo;               /* EHLO name; NULL: the host's name if qualified, else the
	                                    address literal of the connected socket (RFC 5321 §4.1.4) */
	const char  *source_ip;          /* NULL: the system chooses */
	const char  *proxy;              /* socks5://[user@]host[:1080] (RFC 1928; the proxy resolves the
	                                    server's name) or http://[user@]host[:8080] (CONNECT, RFC 9110
	                                    §9.3.6). NULL: none. A password may not stand in it. family,
	                                    source_ip and connect_timeout_ms are then for the way to the
	                                    proxy; it has connect_timeout_ms for its part, too. A server
	                                    behind a proxy is never this machine, and its address in the
	                                    record is null. Not for Unix sockets (PH_ECONFIG), nor for
	                                    what ph_client_attach_… is given */
	const char  *proxy_password;     /* of the proxy's user: RFC 1929, or HTTP Basic. Wiped after use */
	const char  *proxy_header;       /* say first, to a server that expects the PROXY protocol, whom we
	                                    speak for: "v1" or "v2" (our own socket's addresses), or
	                                    "v1 SOURCE:PORT DESTINATION:PORT" and the same with v2. NULL: none */
	int          family;             /* 0 any, 4 or 6 */
	uint64_t     timeout_ms;         /* each wait for the server at most; 0: RFC 5321 §4.5.3.2. Of a direct
	                                    client each DNS answer as well, if it is under 30 s when the first
	                                    is asked for; an MTA-STS policy has its minute in any case */
	uint64_t     connect_timeout_ms; /* each address; 0: 30 s */
	unsigned     window;             /* BDAT transactions unanswered at most; 0: 8 */
	bool         no_pipelining;      /* a command at a time, for debugging a server */
	bool         no_chunking;        /* DATA even where BDAT is offered */
	bool         lenient;            /* let content go out as it is where it is against the rules and does
	                                    no harm: lines over 998 octets, an 8-bit message without
	                                    8BITMIME, UTF-8 in the header without SMTPUTF8. A NUL and bare CR
	                                    or LF never pass */
	void       (*transcript)(void *user, const struct ph_trace *line); /* NULL: none. To standard
	                                    error: ph_transcript_print, without a user */
	void        *transcript_user;
	bool         show_secrets;       /* the transcript tells what AUTH sends: passwords, to whoever reads
	                                    it. For debugging a server */
	bool       (*interrupted)(void *user); /* asked when a signal has interrupted a wait, and twice a
	                                    second while one lasts: true gives up, as ph_client_cancel()
	                                    does. For callers whose signal handlers only set a flag.
	                                    NULL: none */
	void        *interrupted_user;
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
 * be reached. Returns ph_record_code().
 *
 * A server may take fewer recipients at a time, or messages on a connection, than there are: it says so
 * in EHLO (LIMITS, RFC 9422), or answers "too many". Then the message goes out more than once, each
 * recipient in one of these times, over as many connections as it takes; a source that can be read
 * only once leaves those deferred who did not come in at the first. */
PH_API enum ph_code ph_client_sendmail(struct ph_client *c, const struct ph_envelope *envelope,
                                       struct ph_source *source, const struct ph_record **ret,
                                       struct ph_error *err);

/* The same for a message that says itself whom it is from and to, which is what `sendmail -t` and
 * smtplib's send_message do. What the envelope (NULL: an empty one) leaves out comes from the header:
 * with `from` NULL the address of Sender, else of From; without recipients those of To, Cc and Bcc, each
 * once; in a message that was resent, all of it from the Resent- fields. Bcc and Resent-Bcc are left out
 * of what is sent. The source is left as it is, and can be sent again if it can be read again. PH_EINPUT
 * and no record, before a server is bothered: a From of several addresses without a Sender, more than
 * one block of Resent- fields (RFC 5322 §3.6.2, §3.6.6), no sender, no recipient, an address that is
 * none, a header block of over 1 MiB. */
PH_API enum ph_code ph_client_send_message(struct ph_client *c, struct ph_source *message,
                                           const struct ph_envelope *envelope,
                                           const struct ph_record **ret, struct ph_error *err);

/* Where the mail for a domain goes (the part of an address behind the @; U-labels or not), of a client
 * with ph_client_opts.direct: looked up now, or known from before. Nobody is connected to. *ret is valid
 * until the next call on the client. PH_OK also when no host of it can be used, each saying why.
 * PH_ENOHOST: there is no such domain, or it takes no mail (RFC 7505); PH_EDEFERRED: look-ups failed;
 * PH_ESECURITY: not as secure as was demanded; PH_ENOINPUT, PH_ECONFIG: the trust anchor or a DNS server
 * that cannot be used, or no look-up module; PH_EINPUT, PH_EUSAGE, PH_ECANCELLED, PH_ESYSTEM. */
PH_API enum ph_code ph_client_route(struct ph_client *c, const char *domain,
                                    const struct ph_route **ret, struct ph_error *err);

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

/* Connects, does the handshake of implicit TLS, reads the greeting, which must be 220. A connection
 * there was is closed first. Nothing else is done unasked: EHLO, STARTTLS and login are for the caller
 * to say, or for ph_client_open(), which goes on from wherever the caller has come to. */
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

/* From the next 220 to STARTTLS on the connection that stands now goes over this transport instead of
 * the library's TLS: its start_tls() does the handshake, over the socket of ph_client_fd() or the
 * transport that was lent; read, write and wait are from then on its own. The table is copied, its user
 * must outlive the connection. NULL takes back what was lent for a STARTTLS that has not come. A peer
 * that its facts call neither verified nor waived ends the connection where the options demand
 * verification. PH_EUSAGE: not connected, under TLS, or no start_tls. */
PH_API enum ph_code ph_client_lend_tls(struct ph_client *c, const struct ph_transport *t,
                                       struct ph_error *err);

/* name NULL: the one of the options. EHLO on an LMTP client says LHLO, and HELO is PH_EUSAGE there
 * (RFC 2033 §4.1). */
PH_API enum ph_code ph_client_ehlo(struct ph_client *c, const char *name,
                                   const struct ph_reply **ret, struct ph_error *err);
PH_API enum ph_code ph_client_helo(struct ph_client *c, const char *name,
                                   const struct ph_reply **ret, struct ph_error *err);
/* Nothing if either was answered with 2yz; else EHLO, and HELO where RFC 5321 §3.2 allows it. */
PH_API enum ph_code ph_client_ehlo_or_helo_if_needed(struct ph_client *c, struct ph_error *err);
/* Whether the last EHLO offered it; *parameter ("" or its text) valid until the next EHLO. Of a keyword
 * that came twice the first. */
PH_API bool ph_client_has_extn(const struct ph_client *c, const char *keyword,
                               const char **parameter);
/* All it offered, one by one, in the server's order; false past the end:
 *
 *	for (size_t i = 0; ph_client_extension(c, i, &keyword, &parameter); i++) … */
PH_API bool ph_client_extension(const struct ph_client *c, size_t i, const char **keyword,
                                const char **parameter);
/* Whether EHLO (or LHLO) was accepted last; false after HELO, and before either. */
PH_API bool ph_client_is_esmtp(const struct ph_client *c);
/* STARTTLS, the handshake and its verification (EHLO first, if needed): then nothing is known of the
 * server any more: say EHLO again. PH_ESECURITY when it is not offered, or the server cannot prove who
 * it is; PH_EUSAGE under TLS. */
PH_API enum ph_code ph_client_starttls(struct ph_client *c, const struct ph_reply **ret,
                                       struct ph_error *err);
/* Credentials NULL: those of the options. The rules on when they may go out hold here too: PH_ESECURITY
 * over a link that is in clear or unverified. Where the server offers a login that is bound to the TLS
 * connection (SCRAM-…-PLUS) nothing unbound is tried; a server that offered it before and does not any
 * more is PH_ESECURITY (cause downgrade). So is one that says 235 and has not proved itself as the
 * mechanism demands: then the connection is closed. */
PH_API enum ph_code ph_client_login(struct ph_client *c, const struct ph_credentials *credentials,
                                    const struct ph_reply **ret, struct ph_error *err);
/* A mechanism of the caller's. */
PH_API enum ph_code ph_client_auth(struct ph_client *c, const struct ph_mechanism *mechanism,
                                   const struct ph_reply **ret, struct ph_error *err);

/* Parameters: "SIZE=100 BODY=8BITMIME", or NULL. Addresses without brackets. Both say EHLO or HELO
 * before, where that is needed. PH_EREFUSED (cause not-offered), and nothing sent: parameters for a
 * server that knows HELO only; an address beyond ASCII where SMTPUTF8 is not offered (where it is, MAIL
 * needs the parameter SMTPUTF8 for it: what is sent by hand is not added to). */
PH_API enum ph_code ph_client_mail(struct ph_client *c, const char *reverse_path,
                                   const char *parameters, const struct ph_reply **ret,
                                   struct ph_error *err);
PH_API enum ph_code ph_client_rcpt(struct ph_client *c, const char *forward_path,
                                   const char *parameters, const struct ph_reply **ret,
                                   struct ph_error *err);
/* DATA, the message, the final dot, the final reply. Whether there is an envelope is for the server to
 * say. When DATA or the message is refused, the envelope may still stand at the server: say RSET before
 * another. Under LMTP the first recipient's reply is returned and the others are read with
 * ph_client_getreply(), one for each accepted RCPT. */
PH_API enum ph_code ph_client_data(struct ph_client *c, struct ph_source *source,
                                   enum ph_line_ends line_ends, const struct ph_reply **ret,
                                   struct ph_error *err);
PH_API enum ph_code ph_client_rset(struct ph_client *c, const struct ph_reply **ret,
                                   struct ph_error *err);
PH_API enum ph_code ph_client_noop(struct ph_client *c, const struct ph_reply **ret,
                                   struct ph_error *err);
PH_API enum ph_code ph_client_help(struct ph_client *c, const char *topic,
                                   const struct ph_reply **ret, struct ph_error *err);
PH_API enum ph_code ph_client_vrfy(struct ph_client *c, const char *who,
                                   const struct ph_reply **ret, struct ph_error *err);
PH_API enum ph_code ph_client_expn(struct ph_client *c, const char *list,
                                   const struct ph_reply **ret, struct ph_error *err);
PH_API enum ph_code ph_client_etrn(struct ph_client *c, const char *domain,
                                   const struct ph_reply **ret, struct ph_error *err);
/* Postfix's XCLIENT and XFORWARD (its XCLIENT_README, XFORWARD_README), which make it take us for
 * another client: attributes "NAME=value", NULL-terminated, values as they are meant; they are encoded
 * here as xtext (RFC 3461 §4). PH_EREFUSED (cause not-offered), and nothing sent, when EHLO did not offer
 * the command or the attribute. PH_EINPUT for a control character, a value over 255 octets or a command
 * over 512: give the attributes in several calls. A 220 to XCLIENT is a new greeting: what EHLO said and
 * that we are logged in is forgotten; say EHLO again. */
PH_API enum ph_code ph_client_xclient(struct ph_client *c, const char *const *attributes,
                                      const struct ph_reply **ret, struct ph_error *err);
PH_API enum ph_code ph_client_xforward(struct ph_client *c, const char *const *attributes,
                                       const struct ph_reply **ret, struct ph_error *err);

/* Any command: "RCPT", "TO:<b@example.org>", which go out as they are; "RCPT TO:<b@example.org>" is the
 * same. Control characters and a space in front are PH_EINPUT; nothing else is checked, nor are
 * credentials kept from a clear link. Behind a 334, or put ahead of it behind an AUTH, a line that is
 * no verb is a response, and secret: "" is an empty one. putcmd() only sends; several may be put ahead
 * before getreply() is called for each, in order, where the server has PIPELINING. docmd is putcmd and
 * getreply; it judges the reply as the others do. Replies are understood whoever gave the command: an
 * EHLO by docmd tells what is offered, a 220 to STARTTLS begins the handshake. After a 354 to DATA only
 * ph_client_send() and ph_client_getreply() are left, until the message has its reply. getreply:
 * PH_EPROTOCOL, and the connection is closed, for what is no reply. With no command unanswered it waits
 * for one all the same, which is for what ph_client_send() has sent. */
PH_API enum ph_code ph_client_putcmd(struct ph_client *c, const char *verb, const char *arguments,
                                     struct ph_error *err);
PH_API enum ph_code ph_client_getreply(struct ph_client *c, const struct ph_reply **ret,
                                       struct ph_error *err);
PH_API enum ph_code ph_client_docmd(struct ph_client *c, const char *verb, const char *arguments,
                                    const struct ph_reply **ret, struct ph_error *err);
/* Octets as they are, nothing checked, nothing expected: the one door that injects. In the transcript
 * stands only how many they are: "[86 octets by hand]". */
PH_API enum ph_code ph_client_send(struct ph_client *c, const void *octets, size_t n,
                                   struct ph_error *err);

/* QUIT; waits 5 s at most for its reply; then the connection is closed, whatever was answered.
 * PH_EUSAGE, and nothing done, while submitted messages are under way or without a connection. */
PH_API enum ph_code ph_client_quit(struct ph_client *c, const struct ph_reply **ret,
                                   struct ph_error *err);
/* QUIT as a courtesy, without waiting for its reply: closes at once. What is under way is lost. */
PH_API void ph_client_leave(struct ph_client *c);
/* Closes without a word. The client may connect again; nothing learnt of the server is kept. Messages
 * submitted before are decided by this end, those of which nothing was sent go out on the next
 * connection. */
PH_API void ph_client_close(struct ph_client *c);

/* ---- what is known --------------------------------------------------------------------------- */

/* Each wait for the server at most, from now on; 0: RFC 5321 §4.5.3.2. */
PH_API void ph_client_set_timeout(struct ph_client *c, uint64_t timeout_ms);
/* Who is told the lines of the transcript from now on, instead of the options' transcript; NULL: nobody,
 * and none is made. `user` is handed to it, and is to outlive its last call. show_secrets stays what it
 * was in the options. May be called from the transcript itself. */
PH_API void ph_client_set_transcript(struct ph_client *c,
                                     void (*transcript)(void *user, const struct ph_trace *line),
                                     void *user);

PH_API bool ph_client_is_connected(const struct ph_client *c);
PH_API int ph_client_fd(const struct ph_client *c); /* -1: none, or a lent transport */
/* NULL while there is no TLS. */
PH_API const struct ph_tls_facts *ph_client_tls_facts(const struct ph_client *c);
/* The i-th certificate the server has shown on this connection, its own first, then those it sent with
 * it, in its order; false past the end, without TLS, under TLS that was lent, and when memory is out. A
 * resumed session has those of the handshake that made it. *ret borrows from the client until the next
 * call of this function or the connection's end. */
PH_API bool ph_client_certificate(struct ph_client *c, size_t i, struct ph_certificate *ret);
/* The name EHLO says by itself on this connection, valid until it ends; NULL without a connection. */
PH_API const char *ph_client_helo_name(const struct ph_client *c);
PH_API const struct ph_reply *ph_client_greeting(const struct ph_client *c); /* NULL before it */
PH_API const struct ph_reply *ph_client_ehlo_reply(const struct ph_client *c); /* or HELO's; NULL */

/* Writes a transcript line as swaks does (-> <- ~> <~ <** ***), escaped for a terminal; times in
 * front when `times`. Made to be ph_client_opts.transcript; transcript_user is then NULL (standard
 * error, without times) or a struct ph_transcript. */
struct ph_transcript {
	size_t size; /* PH_TRANSCRIPT_INIT */
	FILE  *file; /* not closed; NULL: standard error */
	bool   times;
};
#define PH_TRANSCRIPT_INIT .size = sizeof(struct ph_transcript)
PH_API void ph_transcript_print(void *transcript, const struct ph_trace *line);

#ifdef __cplusplus
}
#endif
#endif
