/* SPDX-License-Identifier: MIT */
#ifndef POSTHASTE_ERROR_H
#define POSTHASTE_ERROR_H
/* What can go wrong, as a value.
 *
 * Functions return an enum ph_code: 0 is good, negative is the class of what went wrong. The class
 * alone decides a command's exit status. Where a function takes a struct ph_error, it is the
 * caller's, on the stack, holds no pointer, may be NULL, and says how far the dialogue had come,
 * what the server answered, and in words what happened and what to do.
 *
 * Numbers are never reused. Threads: everything here is pure. */
#include <stddef.h>
#include <stdint.h>
#include <posthaste/api.h>

#ifdef __cplusplus
extern "C" {
#endif

/*      symbol,    value, name,        exit, what it means */
#define PH_CODE_MAP(X) \
	X(OK,          0, "ok",         0, "accepted for all recipients") \
	X(EUSAGE,     -1, "usage",     64, "wrong options or a function called out of order") \
	X(EINPUT,     -2, "input",     65, "the message or an address is not acceptable") \
	X(ENOINPUT,   -3, "noinput",   66, "a file cannot be read") \
	X(ENOUSER,    -4, "nouser",    67, "no recipient is known to the server") \
	X(ENOHOST,    -5, "nohost",    68, "there is no such host or domain") \
	X(EREFUSED,   -6, "refused",   69, "refused for good") \
	X(EPARTIAL,   -7, "partial",   69, "accepted for some recipients only") \
	X(ESYSTEM,    -8, "system",    71, "out of memory, or the operating system failed") \
	X(EDEFERRED,  -9, "deferred",  75, "not now; try again later") \
	X(EINDOUBT,  -10, "in_doubt",  75, "handed over, but no valid final reply came") \
	X(EPROTOCOL, -11, "protocol",  76, "the server broke the protocol") \
	X(EAUTH,     -12, "auth",      77, "authentication failed") \
	X(ESECURITY, -13, "security",  78, "the connection is not as secure as required") \
	X(ECONFIG,   -14, "config",    78, "the configuration is wrong or missing") \
	X(ECANCELLED,-15, "cancelled",130, "cancelled by the caller")

enum ph_code {
#define PH_X(sym, value, name, status, text) PH_##sym = value,
	PH_CODE_MAP(PH_X)
#undef PH_X
};

/* How far a delivery has come, in order. DATA is the wait for 354; BODY runs from the first octet
 * of the message to the final reply, BDAT included. */
#define PH_STAGE_MAP(X) \
	X(PREPARE, "prepare") X(RESOLVE, "resolve") X(ROUTE, "route") X(CONNECT, "connect") \
	X(PROXY, "proxy") X(GREETING, "greeting") X(HELLO, "hello") X(STARTTLS, "starttls") \
	X(TLS, "tls") X(AUTH, "auth") X(MAIL, "mail") X(RCPT, "rcpt") X(DATA, "data") \
	X(BODY, "body") X(QUIT, "quit")

enum ph_stage {
#define PH_X(sym, name) PH_STAGE_##sym,
	PH_STAGE_MAP(PH_X)
#undef PH_X
	PH_STAGE_COUNT
};

/* The finer reason, for programs that act on it. */
#define PH_CAUSE_MAP(X) \
	X(NONE,           "none") \
	X(REPLY,          "reply")            /* the server's reply says it */ \
	X(ARGUMENT,       "argument")         /* a control character, a length, a missing value */ \
	X(CONTENT,        "content")          /* NUL, bare CR or LF, an over-long line, 8-bit */ \
	X(SOURCE,         "source")           /* the message could not be read to its end */ \
	X(LIMIT,          "limit")            /* a limit that the server stated, or one of ours */ \
	X(MEMORY,         "memory") \
	X(SYSTEM,         "system")           /* errno says it */ \
	X(NO_SUCH_HOST,   "no-such-host") \
	X(RESOLVER,       "resolver")         /* name resolution failed for the moment */ \
	X(UNREACHABLE,    "unreachable")      /* connection refused, no route */ \
	X(TIMEOUT,        "timeout") \
	X(TOO_SLOW,       "too-slow")         /* below the minimum rate */ \
	X(LOST,           "lost")             /* the connection was closed or reset */ \
	X(GARBAGE,        "garbage")          /* not an SMTP reply */ \
	X(EARLY_REPLY,    "early-reply")      /* an answer to what was not yet sent */ \
	X(UNASKED_REPLY,  "unasked-reply")    /* an answer to nothing */ \
	X(INJECTION,      "injection")        /* clear-text bytes behind the 220 to STARTTLS */ \
	X(NOT_OFFERED,    "not-offered")      /* an extension or mechanism the server does not have */ \
	X(TLS_ON_CLEAR,   "tls-on-clear-port")/* we spoke TLS, the server answered in clear */ \
	X(CLEAR_ON_TLS,   "clear-on-tls-port")/* we spoke clear text, the server expects TLS */ \
	X(HANDSHAKE,      "handshake") \
	X(CERT_EXPIRED,   "certificate-expired") \
	X(CERT_NOT_YET,   "certificate-not-yet-valid") \
	X(CERT_NAME,      "certificate-name") \
	X(CERT_SELF_SIGNED,"certificate-self-signed") \
	X(CERT_UNTRUSTED, "certificate-untrusted") \
	X(CERT_PIN,       "certificate-pin") \
	X(CERT_OTHER,     "certificate") \
	X(TLS_VERSION,    "tls-version") \
	X(CLEAR_AUTH,     "clear-auth")       /* credentials would cross a clear or unverified link */ \
	X(MECHANISM,      "mechanism")        /* the authentication exchange itself went wrong */ \
	X(AFTER_SURPRISE, "after-surprise")   /* undecided: an earlier message of the same flight went wrong */ \
	X(CANCELLED,      "cancelled") \
	X(STATE,          "state")            /* called out of order */ \
	X(MODULE,         "module")           /* an optional part is not installed, or not of this build */ \
	X(DOWNGRADE,      "downgrade")        /* the server offered something safer before */ \
	X(NULL_MX,        "null-mx")          /* the domain takes no mail (RFC 7505) */ \
	X(MX_UNUSABLE,    "mx-unusable")      /* there are MX records, and none leads anywhere */ \
	X(MX_LOOP,        "mx-loop")          /* this very host is the best server */ \
	X(DNS_BOGUS,      "dns-bogus")        /* DNSSEC signatures are wrong or missing */ \
	X(NO_DNSSEC,      "no-dnssec")        /* DANE is demanded, and the domain or our resolver has none */ \
	X(NO_DANE,        "no-dane")          /* DANE is demanded, and there are no usable TLSA records */ \
	X(CERT_TLSA,      "certificate-tlsa") /* it matches no TLSA record */ \
	X(STS_MX,         "sts-mx")           /* no MX host is in the domain's MTA-STS policy */

enum ph_cause {
#define PH_X(sym, name) PH_CAUSE_##sym,
	PH_CAUSE_MAP(PH_X)
#undef PH_X
	PH_CAUSE_COUNT
};

struct ph_error {
	size_t        size;        /* PH_ERROR_INIT; the library writes at most this much */
	enum ph_code  code;        /* the class */
	enum ph_stage stage;
	enum ph_cause cause;
	uint16_t      reply;       /* 550; 0 when no reply of the server is involved */
	uint16_t      enhanced[3]; /* 5.7.1 (RFC 3463); {0} when the server sent none */
	int           sys;         /* errno of the failed system call, or 0 */
	char          text[512];   /* what happened and what it means; for people, never parsed. A server's
	                              words in it are UTF-8, their controls and other octets \xNN */
	char          hint[320];   /* what to do; empty when we know nothing better than text */
};
#define PH_ERROR_INIT { .size = sizeof(struct ph_error) }

/* Name of a class, stage or cause as the record writes it ("in_doubt", "rcpt", "timeout").
 * Static strings; "unknown" for a value out of range. */
PH_API const char *ph_code_name(enum ph_code code);
PH_API const char *ph_stage_name(enum ph_stage stage);
PH_API const char *ph_cause_name(enum ph_cause cause);

/* One sentence on what a class means. Static. */
PH_API const char *ph_code_text(enum ph_code code);

/* The exit status (sysexits.h) that belongs to a class; 69 for `partial`, whose true status depends
 * on its recipients (ph_record_exit_status). */
PH_API int ph_code_exit_status(enum ph_code code);

#ifdef __cplusplus
}
#endif
#endif
