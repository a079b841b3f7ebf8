/* SPDX-License-Identifier: MIT */
#ifndef PH_SINK_RULES_H
#define PH_SINK_RULES_H
/* Faults by rule: what `posthaste sink --rule` takes, and which rule an event meets. Pure: no I/O, no
 * clock; chance comes from a seed, so a run repeats.
 *
 *   rule       = stage [":/" regex "/" ["i"]] *condition 1*action
 *   condition  = count ["per" ("connection" / "message" / "argument")] / 1*3DIGIT "%"
 *   count      = N / N "-" N / N "+"       ; which of the events that match so far
 *   action     = reply / "raw" text / "garbage" / "endless"
 *              / "cut" N / "drip" [N "/"] time / "long" N / "wrong-code" code
 *              / "delay" time ["-" time] / "at" N / "inject" text / "late" time text
 *              / "drop" / "reset" / "stall" / "badcert" kind / "tls-fail"
 *   reply      = code [enhanced] [text]    ; 200 to 599
 *   text       = DQUOTE *char DQUOTE / *char to the end of the rule
 *   time       = 1*DIGIT ("ms" / "s" / "m")
 *
 * A number of three digits from 200 to 599 begins a reply and is no count. */
#include <regex.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <posthaste/error.h>
#include "base/buf.h"
#include "base/mem.h"
#include "sink/cert.h"
#include "smtp/server.h"

enum ph__rule_stage {
	PH__RULE_CONNECT, PH__RULE_HELLO, PH__RULE_STARTTLS, PH__RULE_TLS, PH__RULE_AUTH, PH__RULE_MAIL,
	PH__RULE_RCPT, PH__RULE_DATA, PH__RULE_BDAT, PH__RULE_BODY, PH__RULE_MESSAGE, PH__RULE_RSET,
	PH__RULE_NOOP, PH__RULE_VRFY, PH__RULE_EXPN, PH__RULE_HELP, PH__RULE_ETRN, PH__RULE_XCLIENT,
	PH__RULE_XFORWARD, PH__RULE_QUIT,
	PH__RULE_COMMAND, /* any of them that a client can say */
	PH__RULE_STAGES
};
/* By a command's verb; PH__RULE_STAGES: none. */
enum ph__rule_stage ph__rule_stage_of(const char *verb);

enum ph__rule_scope { PH__RULE_PER_RUN, PH__RULE_PER_CONNECTION, PH__RULE_PER_MESSAGE,
	              PH__RULE_PER_ARGUMENT };

/* What goes out. */
enum ph__rule_say {
	PH__RULE_SAY_REPLY, /* the reply, the rule's or the server's own */
	PH__RULE_SAY_RAW, PH__RULE_SAY_GARBAGE, PH__RULE_SAY_ENDLESS, PH__RULE_SAY_NOTHING
};
enum ph__rule_end { PH__RULE_GO_ON, PH__RULE_DROP, PH__RULE_RESET, PH__RULE_STALL };

struct ph__rule {
	const char *text;              /* as it was written */
	enum ph__rule_stage stage;
	bool        has_regex;
	regex_t     regex;
	uint64_t    first, last;       /* which occurrences; first 0: all */
	enum ph__rule_scope scope;
	unsigned    percent;           /* 0: always */
	uint64_t    at;                /* BODY: behind so many octets */

	struct ph__server_reply reply; /* code 0: the server's own */
	enum ph__rule_say say;
	struct ph_str raw;
	size_t      length;            /* of an over-long line; 0: as it is */
	uint16_t    wrong_code;        /* of continuation lines; 0: the right one */
	uint64_t    delay, delay_max;  /* ms before the first octet */
	size_t      piece;             /* octets at a time; 0: all */
	uint64_t    pause;             /* ms between pieces */
	struct ph_str inject;          /* in one piece with the reply */
	struct ph_str late;            /* a line of its own, ptr NULL: none */
	uint64_t    late_after;        /* ms */
	enum ph__rule_end end;
	enum ph__cert_fault cert;  /* of TLS */
	bool        tls_fail;

	uint64_t    met;               /* how often it matched, counts and chance aside */
	uint64_t    fired;
};

/* Whether a reply that it touches goes out by other ways than the server session's. */
bool ph__rule_is_plain(const struct ph__rule *r);

struct ph__rules {
	const struct ph_allocator *mem;
	struct ph__arena arena;
	struct ph__rule *rows;
	size_t   count, cap;
	struct ph__buf argument;       /* regexec() wants a NUL */
	struct ph__rule_counted { uint64_t key, n; } *counted; /* PER_ARGUMENT, by hash; key 0: free */
	size_t   counted_len, counted_cap;
	uint64_t seed;
};

void ph__rules_init(struct ph__rules *rs, const struct ph_allocator *mem, uint64_t seed);
void ph__rules_done(struct ph__rules *rs);
/* PH_EUSAGE: *err quotes the rule and points at the place; `where` stands before it ("--rule",
 * "FILE, line 3"). */
enum ph_code ph__rules_add(struct ph__rules *rs, const char *where, struct ph_str rule,
                           struct ph_error *err);
/* Parses into *r; what belongs to it comes from rs->arena, but for the expression. */
enum ph_code ph__rule_parse(struct ph__rules *rs, const char *where, const char *text,
                            struct ph__rule *r, struct ph_error *err);
/* A rule a line; empty lines and those that begin with # are skipped. */
enum ph_code ph__rules_add_lines(struct ph__rules *rs, const char *file, struct ph_str text,
                                 struct ph_error *err);

/* What one connection counts and draws. All zero: no rules. */
struct ph__rule_peer {
	uint64_t *connection, *message; /* how often each rule was met */
	uint64_t  random;
};
/* False: out of memory. `number`: which connection of the run it is; with the seed it determines every
 * chance of this connection, whatever others do meanwhile. */
bool ph__rule_peer_init(const struct ph__rules *rs, struct ph__rule_peer *p, uint64_t number);
void ph__rule_peer_done(const struct ph__rules *rs, struct ph__rule_peer *p);
void ph__rule_peer_next_message(const struct ph__rules *rs, struct ph__rule_peer *p);

struct ph__rule_event {
	enum ph__rule_stage stage;
	const char   *verb;            /* NULL: no command */
	struct ph_str argument;
	uint64_t      from, to;        /* BODY: octets of the message before and behind these */
};
/* The first rule that matches; NULL: none. It is counted. */
struct ph__rule *ph__rules_match(struct ph__rules *rs, struct ph__rule_peer *p,
                                 const struct ph__rule_event *ev);

/* Adds what the rule makes of the reply to `out` (whole; pieces and pauses are the sender's). `said` is
 * the reply as the server would have written it. Of an ENDLESS one, the line that is repeated. */
void ph__rule_dress(const struct ph__rule *r, struct ph__rule_peer *p, struct ph_str said,
                    struct ph__buf *out);
uint64_t ph__rule_delay(const struct ph__rule *r, struct ph__rule_peer *p); /* ms */

#endif
