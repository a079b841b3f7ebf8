/* SPDX-License-Identifier: MIT */
#ifndef PH_AUTH_SASL_H
#define PH_AUTH_SASL_H
/* Mechanisms and what they need. Our own: PLAIN (RFC 4616), LOGIN, EXTERNAL (RFC 4422 appendix A),
 * OAUTHBEARER (RFC 7628), XOAUTH2. The others are the module's. */
#include <posthaste/auth.h>
#include "auth/module.h"
#include "base/buf.h"

/* A copy of credentials, wiped when done. Also judges them: PH_EINPUT for text that is not UTF-8,
 * is too long, or is no token; PH_ECONFIG for a named mechanism that nobody knows, or whose module
 * cannot be loaded. */
struct ph__credentials {
	char *user, *password, *authzid, *token, *mechanisms;
};
enum ph_code ph__credentials_copy(struct ph__credentials *ret, const struct ph_credentials *from,
                                  const struct ph_allocator *mem, struct ph_error *err);
void ph__credentials_done(struct ph__credentials *c, const struct ph_allocator *mem);

/* One exchange, as the table that callers' own mechanisms have too. */
struct ph__sasl {
	struct ph_mechanism table;
	const struct ph__credentials *credentials;
	const struct ph__sasl_link *link;
	const struct ph_allocator *mem;
	const struct ph__sasl_module *module; /* NULL: the mechanism is our own */
	struct ph__sasl_exchange *exchange;   /* the module's */
	bool content;             /* all was said, and what can be verified of the server is */
	bool by_token;
	unsigned step;
	struct ph__buf response;  /* of our own mechanisms */
	char problem[240];        /* the server's word beside its refusal (RFC 7628 §3.2.2), escaped */
};

/* The link is borrowed until end(). PH_ECONFIG when the module cannot be loaded; whatever the
 * mechanism finds wrong with credentials or link. After a failure too end() may be called. */
enum ph_code ph__sasl_begin(struct ph__sasl *x, const char *mechanism,
                            const struct ph__credentials *c, const struct ph__sasl_link *link,
                            const struct ph_allocator *mem, struct ph_error *err);
void ph__sasl_end(struct ph__sasl *x);

/* The i-th mechanism to try with these credentials, the strongest first; NULL past the last. Names
 * that the user gave come in his order, whether they fit or not. buf (32 octets) may be used. */
const char *ph__sasl_candidate(const struct ph__credentials *c, bool client_certificate, size_t i,
                               char buf[32]);
/* What keeps the mechanism from being used with these credentials: "needs a password"; NULL:
 * nothing. */
const char *ph__sasl_lacks(const struct ph__credentials *c, const char *mechanism);
/* Whether it binds the login to the TLS connection (RFC 5802 §6). */
bool ph__sasl_is_plus(const char *mechanism);

/* RFC 4954 §6: 504, 534 and 538 speak of the mechanism: the next may do. 535 and the others speak
 * of the credentials: no further guess, or the account may be locked. */
bool ph__sasl_may_try_next(unsigned reply_code);

#endif
