/* SPDX-License-Identifier: MIT */
#ifndef PH_CLI_PROBE_CAPABILITIES_H
#define PH_CLI_PROBE_CAPABILITIES_H
/* What a server offers in EHLO, before TLS and under it, side by side.
 *
 *	struct ph__capabilities k;
 *
 *	ph__capabilities_init(&k);
 *	ph__capabilities_take(&k, PH__IN_CLEAR, ph_client_ehlo_reply(c), &err);  // behind the first EHLO
 *	ph__capabilities_take(&k, PH__UNDER_TLS, ph_client_ehlo_reply(c), &err); // behind the one under TLS
 *	ph__capabilities_print(&k, stdout);                                     // or ph__capabilities_json
 *	ph__capabilities_done(&k);
 */
#include <stdio.h>
#include <posthaste/error.h>
#include <posthaste/transaction.h>
#include "base/json.h"
#include "base/mem.h"

enum ph__link { PH__IN_CLEAR, PH__UNDER_TLS, PH__LINKS };

/* A keyword, as each EHLO had it. Texts are the server's octets. */
struct ph__capability {
	const char *keyword;
	const char *parameters[PH__LINKS]; /* "" or what stood behind the keyword; NULL: not offered */
	const char *before[PH__LINKS];     /* in the EHLO that was replaced: most often the same again */
};

struct ph__capabilities {
	struct ph__arena arena;      /* the texts */
	struct ph__capability *rows; /* in the server's order, those of TLS only behind the others */
	size_t count, cap;
	bool   heard[PH__LINKS];     /* whether that EHLO was taken at all */
};

void ph__capabilities_init(struct ph__capabilities *k);
void ph__capabilities_done(struct ph__capabilities *k);

/* Copies what the reply to EHLO (or LHLO) offers; a HELO's offers nothing. One that was taken for
 * the same link before is replaced. NULL, or a reply that is no 2yz: nothing is done. PH_ESYSTEM. */
enum ph_code ph__capabilities_take(struct ph__capabilities *k, enum ph__link link,
                                   const struct ph_reply *ehlo, struct ph_error *err);

/* The table, with what each keyword means, what TLS changes, and warnings below it (AUTH offered in
 * clear, no STARTTLS …). Escaped. Only one EHLO was taken: one column. */
void ph__capabilities_print(const struct ph__capabilities *k, FILE *to);
/* "capabilities": {"heard_before_tls":true, "heard_under_tls":true, "keywords":[{"keyword":"SIZE",
 * "before_tls":"1000", "under_tls":null, "change":null|"appeared"|"vanished"|"changed"}, …],
 * "warnings":["…"]} in the object that is open. A parameter that is null: not offered. */
void ph__capabilities_json(const struct ph__capabilities *k, struct ph__json *j);

/* A few words on a keyword; "" when it is none we know. */
const char *ph__capability_meaning(const char *keyword);

#endif
