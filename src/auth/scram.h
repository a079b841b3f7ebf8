/* SPDX-License-Identifier: MIT */
#ifndef PH_AUTH_SCRAM_H
#define PH_AUTH_SCRAM_H
/* SCRAM as a client (RFC 5802, RFC 7677), with SHA-1 or SHA-256, bound to the TLS connection or
 * not. */
#include "auth/module.h"
#include "base/str.h"

struct ph__scram;

struct ph__scram_opts {
	const char *name;                 /* "SCRAM-SHA-256-PLUS" */
	const char *user, *password;      /* SASLprep was applied; copied */
	const char *authzid;              /* NULL: oneself */
	const struct ph__sasl_link *link; /* its bindings: with -PLUS they are used, without it the
	                                     server is told that they could have been ("y") */
	const char *nonce;                /* NULL: a random one; others are for tests */
};

enum ph_code ph__scram_new(struct ph__scram **ret, const struct ph__scram_opts *o,
                           const struct ph_allocator *mem, struct ph_error *err);
/* The first step has no input. *out is valid until the next. *done: the server has proved that it
 * knows the password. Errors are those of struct ph__sasl_module's step(). */
enum ph_code ph__scram_step(struct ph__scram *s, struct ph_str in, struct ph_str *out, bool *done,
                            struct ph_error *err);
void ph__scram_free(struct ph__scram **s);

#endif
