/* SPDX-License-Identifier: MIT */
#ifndef PH_CLI_PROBE_STAGE_H
#define PH_CLI_PROBE_STAGE_H
/* The stages of a probe, what they are called, and the exit status of a failure in each: swaks'. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <posthaste/transaction.h>

/* In the order of a dialogue, but that XCLIENT comes before or behind TLS. */
#define PH__PROBE_STAGE_MAP(X) \
	/* symbol, name, exit status */ \
	X(CONNECT,  "connect",  2) \
	X(GREETING, "greeting", 21) \
	X(EHLO,     "ehlo",     22) \
	X(XCLIENT,  "xclient",  33) /* or XFORWARD */ \
	X(TLS,      "tls",      29) \
	X(HELO,     "helo",     32) /* EHLO once more, behind TLS or XCLIENT */ \
	X(AUTH,     "auth",     28) \
	X(QUESTION, "question", 31) /* VRFY, EXPN, HELP */ \
	X(MAIL,     "mail",     23) \
	X(RCPT,     "rcpt",     24) \
	X(DATA,     "data",     25) \
	X(BODY,     "body",     26) \
	X(QUIT,     "quit",     27)

enum ph__probe_stage {
	PH__PROBE_NOWHERE = 0, /* nothing is to happen there */
#define PH_X(sym, name, status) PH__PROBE_##sym,
	PH__PROBE_STAGE_MAP(PH_X)
#undef PH_X
	PH__PROBE_STAGES
};

#define PH__PROBE_USAGE     1
#define PH__PROBE_NO_SERVER 2  /* none was found, or reached */
#define PH__PROBE_LOST      6  /* the connection, unexpectedly */
#define PH__PROBE_XCLIENT_HELO 34 /* EHLO behind XCLIENT */
#define PH__PROBE_NO_HEADER 35 /* the PROXY header's options */
#define PH__PROBE_CANCELLED 130

const char *ph__probe_stage_name(enum ph__probe_stage s);
int ph__probe_stage_status(enum ph__probe_stage s);

/* Where --quit-after, --drop-after and --drop-after-send may stop. NOWHERE: no such stage. In any case;
 * swaks' other names are taken too. `dropping`: BODY ("dot") is one. */
enum ph__probe_stage ph__probe_stage_of(const char *word, bool dropping);
/* "connect, greeting, …" for messages. */
void ph__probe_stage_list(char *buf, size_t size, bool dropping);

/* --expect: "550", "25x", "5.1.1", "5.7.x", with commas between. True: well-formed. */
bool ph__probe_expect_check(const char *list);
/* Whether the reply is one of the list. code 0: there was none, and it is not. */
bool ph__probe_expect_met(const char *list, const struct ph_reply *reply);

#endif
