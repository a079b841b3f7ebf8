/* SPDX-License-Identifier: MIT */
#ifndef PH_AUTH_SASL_H
#define PH_AUTH_SASL_H
/* The mechanisms that are our own: PLAIN (RFC 4616), LOGIN, EXTERNAL (RFC 4422 appendix A). */
#include <posthaste/auth.h>
#include "base/mem.h"

/* A copy of credentials, wiped when done. Also judges them: PH_EINPUT for a NUL-free rule broken or
 * text that is not UTF-8. */
struct ph__credentials {
	char *user, *password, *authzid, *mechanisms;
};
enum ph_code ph__credentials_copy(struct ph__credentials *ret, const struct ph_credentials *from,
                                  const struct ph_allocator *mem, struct ph_error *err);
void ph__credentials_done(struct ph__credentials *c, const struct ph_allocator *mem);

/* One exchange by a mechanism of ours, as the table that callers' own mechanisms have too. */
struct ph__sasl {
	struct ph_mechanism table;
	const struct ph__credentials *credentials;
	const struct ph_allocator *mem;
	char  *response;
	size_t response_len;
	unsigned step;
};
bool ph__sasl_begin(struct ph__sasl *x, const char *mechanism, const struct ph__credentials *c,
                    const struct ph_allocator *mem); /* false: no such mechanism of ours */
void ph__sasl_end(struct ph__sasl *x);

/* The i-th mechanism to try with these credentials, the strongest first; NULL past the last. Names
 * that the user gave come in his order, whether we have them or not. buf (32 octets) may be used. */
const char *ph__sasl_candidate(const struct ph__credentials *c, bool client_certificate, size_t i,
                               char buf[32]);
/* Whether it is one of ours. */
bool ph__sasl_is_known(const char *mechanism);

/* RFC 4954 §6: 504, 534 and 538 speak of the mechanism: the next may do. 535 and the others speak of
 * the credentials: no further guess, or the account may be locked. */
bool ph__sasl_may_try_next(unsigned reply_code);

#endif
