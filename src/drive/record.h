/* SPDX-License-Identifier: MIT */
#ifndef PH_DRIVE_RECORD_H
#define PH_DRIVE_RECORD_H
/* The delivery record's parts: what a session was like, and the record itself. */
#include <limits.h>
#include <posthaste/record.h>
#include <posthaste/smtp.h>
#include "base/mem.h"

/* Of a server that a domain's route has brought, what the route said. Names are static. */
struct ph__session_route {
	char     domain[256];     /* empty: the user has named the server */
	unsigned preference;
	const char *dnssec;       /* of the MX records: secure, insecure, off */
	const char *policy;       /* dane, mta-sts, none */
	const char *mode;         /* enforce, testing, none; NULL: there is no MTA-STS policy */
	char     policy_id[33];
	const char *problem;      /* RFC 8460 §4.3; NULL */
	bool     relaxed;         /* by the message's "TLS-Required: No" (RFC 8689 §5) */
	char    *tlsa;            /* "3 1 1 ab12…" NUL …; NULL: none */
	size_t   tlsa_len;
};

/* Shared by the messages that used the session; counted. */
struct ph__session {
	const struct ph_allocator *mem;
	unsigned references;
	char     host[256];       /* as the user named it; the path of a Unix socket */
	char     address[108];
	uint16_t port;
	const char *tls_mode;     /* implicit, starttls, none */
	const char *policy;       /* NULL: not known yet */
	bool     tls_up;
	struct ph_tls_facts tls;
	struct ph_certificate certificate; /* that the server has shown, without its der and names; size 0:
	                             none was seen */
	const char *result;       /* RFC 8460 §4.3, where its route alone decided; NULL: by what came of TLS
	                             (route/tls_result.h) */
	char     mechanism[64];   /* of a login that succeeded */
	char    *greeting;
	size_t   greeting_len;
	char    *extensions;      /* keyword NUL parameter NUL …, as last offered */
	size_t   extensions_len;
	uint64_t resolve_us, connect_us, tls_us, auth_us, body_us, began_us, ended_us;
	struct ph_error error;
	struct ph__session_route route;
	struct ph__session *before; /* whose handshake failed, so that this one is in clear; NULL */
};

struct ph__session *ph__session_new(const struct ph_allocator *mem);
struct ph__session *ph__session_ref(struct ph__session *s);
void ph__session_unref(struct ph__session **s);
/* Copies; a lack of memory leaves the part out. */
void ph__session_set_greeting(struct ph__session *s, const struct ph_reply *r);
void ph__session_set_extensions(struct ph__session *s, const struct ph_smtp *smtp);

/* Of the certificate, what the record tells. */
void ph__session_set_certificate(struct ph__session *s, const struct ph_certificate *cert);

/* Hints by what this server is and replied (route/hint.h). s NULL: no server was reached. */
void ph__session_hint(const struct ph__session *s, const struct ph_reply *reply,
                      struct ph_error *err);

struct ph_record {
	const struct ph_allocator *mem;
	struct ph_txn *txn;       /* borrowed */
	struct ph__session **sessions; /* borrowed */
	size_t session_count;
	const struct ph_error *const *errors; /* of each recipient: what came between him and his server, or
	                             NULL; NULL: the transaction's is everybody's */
	uint64_t round_trips;
	bool no_dup;
	enum ph_outcome outcome;
	enum ph_code code;
	int exit_status;
	struct ph_error error;
};

/* The `session` of a recipient for whom none was begun. */
#define PH__NO_SESSION UINT_MAX

/* Judges the transaction's outcomes (route/verdict.c) and fills outcome, code, status and error. */
enum ph_code ph__record_judge(struct ph_record *r);

#endif
