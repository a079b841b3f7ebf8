/* SPDX-License-Identifier: MIT */
#ifndef PH_CLI_PROBE_TLS_H
#define PH_CLI_PROBE_TLS_H
/* What a connection's TLS is made of, for people: protocol, certificates, what is wrong with them, and
 * the TLSA records that would pin them.
 *
 *	struct ph__tls_report r;
 *
 *	ph__tls_report_init(&r, "mx.example.org", 25, "smtp");      // port and ALPN as asked for
 *	ph__tls_report_take(&r, c, &err);                           // under TLS, EHLO said again or not
 *	ph__tls_report_try_resuming(&r, c);                         // says QUIT on c, and connects anew
 *	ph__tls_report_print(&r, stdout, time(NULL));               // or ph__tls_report_json
 *	ph__tls_report_done(&r);
 *
 * The client wants tls->record_only (or insecure), or a server that cannot be verified shows nothing. */
#include <stdio.h>
#include <posthaste/client.h>
#include "base/json.h"
#include "base/mem.h"

#define PH__TLS_REPORT_CHAIN 32 /* certificates; a server may send hundreds */

enum ph__resuming {
	PH__RESUMING_UNTRIED,
	PH__RESUMING_YES,
	PH__RESUMING_NO,
	PH__RESUMING_FAILED /* no second connection came to be; `second_problem` says why */
};

struct ph__tls_report {
	/* as given; borrowed */
	const char *host;         /* that was dialled */
	uint16_t    port;         /* 0: none (a Unix socket), and so no records */
	const char *alpn_offered; /* "a,b"; NULL: none */

	bool under_tls;           /* otherwise nothing below is known */
	struct ph_tls_facts facts;
	struct ph_certificate *chain; /* copies, the server's own first */
	size_t count;
	bool   chain_is_cut;      /* it had more than PH__TLS_REPORT_CHAIN */
	enum ph__resuming second;
	char   second_problem[512];
	struct ph__arena arena;
};

void ph__tls_report_init(struct ph__tls_report *r, const char *host, uint16_t port,
                         const char *alpn_offered);
void ph__tls_report_done(struct ph__tls_report *r);

/* Copies what the client knows of the TLS that is up, in place of what was taken before; without TLS
 * under_tls is false, and PH_OK. PH_ESYSTEM. */
enum ph_code ph__tls_report_take(struct ph__tls_report *r, struct ph_client *c,
                                 struct ph_error *err);

/* Whether a second connection resumes the session of the first: QUIT (whose reply brings the last of the
 * tickets), connect, STARTTLS where TLS is not implicit, QUIT. All of it is in the transcript. The client
 * is not connected behind it. Nothing is done without TLS. */
void ph__tls_report_try_resuming(struct ph__tls_report *r, struct ph_client *c);

/* For people: what is, then warnings with what to do. `now`: seconds since 1970. Escaped. */
void ph__tls_report_print(const struct ph__tls_report *r, FILE *to, int64_t now);
/* "tls": {…} in the object that is open; null without TLS. The warnings are the same words. */
void ph__tls_report_json(const struct ph__tls_report *r, struct ph__json *j, int64_t now);

/* Exported for tests. Whether one of the names, "*." counting for one label, is `host`. */
bool ph__certificate_has_name(const struct ph_certificate *x, const char *host);
/* Why a key ("RSA 1024") or signature algorithm ("RSA-SHA1") is weak; NULL: it is not. */
const char *ph__weak_key(const char *key);
const char *ph__weak_signature(const char *signature);

#endif
