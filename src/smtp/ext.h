/* SPDX-License-Identifier: MIT */
#ifndef PH_SMTP_EXT_H
#define PH_SMTP_EXT_H
/* What a server offered in its reply to EHLO (RFC 5321 §4.1.1.1):
 *
 *	ehlo-line    = ehlo-keyword *( SP ehlo-param )
 *	ehlo-keyword = (ALPHA / DIGIT) *(ALPHA / DIGIT / "-")
 *
 * Keywords are matched whole and without regard to case. A new one that the session acts on is a row
 * in the table and its parser. */
#include <stdint.h>
#include "base/mem.h"
#include "base/str.h"

enum ph__ext {
	PH__EXT_PIPELINING          = 1 << 0,
	PH__EXT_SIZE                = 1 << 1,
	PH__EXT_8BITMIME            = 1 << 2,
	PH__EXT_SMTPUTF8            = 1 << 3,
	PH__EXT_STARTTLS            = 1 << 4,
	PH__EXT_AUTH                = 1 << 5,
	PH__EXT_ENHANCEDSTATUSCODES = 1 << 6,
	PH__EXT_CHUNKING            = 1 << 7,
	PH__EXT_BINARYMIME          = 1 << 8,
	PH__EXT_DSN                 = 1 << 9,
	PH__EXT_LIMITS              = 1 << 10,
	PH__EXT_DELIVERBY           = 1 << 11,
	PH__EXT_FUTURERELEASE       = 1 << 12,
	PH__EXT_MT_PRIORITY         = 1 << 13,
	PH__EXT_REQUIRETLS          = 1 << 14
};

struct ph__extensions {
	unsigned bits;
	uint64_t size;             /* SIZE: 0 none stated (RFC 1870 §4) */
	uint64_t mail_max, rcpt_max, rcpt_domain_max; /* LIMITS (RFC 9422); 0: none stated */
	uint64_t by_min;           /* DELIVERBY: seconds at least, of a deadline with return (RFC 2852 §3) */
	uint64_t hold_max;         /* FUTURERELEASE: seconds at most (RFC 4865 §3); 0: none stated */
	int64_t  hold_until_max;   /* and until then at most, seconds since 1970; 0: none stated */
	struct { const char *keyword, *parameter; } *list;
	size_t count;
	struct ph__arena arena;    /* the strings and the list */
};

void ph__ext_init(struct ph__extensions *e, const struct ph_allocator *mem);
void ph__ext_forget(struct ph__extensions *e);
void ph__ext_done(struct ph__extensions *e);
/* The text of a 250 reply to EHLO or LHLO: its first line is a greeting. False: out of memory. */
bool ph__ext_parse(struct ph__extensions *e, struct ph_str text);
bool ph__ext_find(const struct ph__extensions *e, const char *keyword, const char **parameter);
/* In "AUTH PLAIN LOGIN" and the old "AUTH=PLAIN LOGIN" alike. */
bool ph__ext_offers_mechanism(const struct ph__extensions *e, const char *mechanism);

#endif
