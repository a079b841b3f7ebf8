/* SPDX-License-Identifier: MIT */
#ifndef PH_DRIVE_LOGIN_H
#define PH_DRIVE_LOGIN_H
/* A login: mechanisms tried in order, one exchange at a time, driven by the session's events. */
#include <posthaste/auth.h>
#include <posthaste/smtp.h>
#include "auth/sasl.h"
#include "drive/drive.h"
#include "route/server.h"

enum ph__step { PH__STEP_GOING, PH__STEP_DONE, PH__STEP_FAILED };

struct ph__login_opts {
	struct ph_smtp *smtp;
	const struct ph__credentials *credentials;
	bool client_certificate;
	struct ph__sasl_link link;                 /* ph__login_link() */
	bool binding_was_offered;                  /* by this server before: ph__login_can_bind() */
	const struct ph_allocator *mem;
};

struct ph__login {
	struct ph__login_opts o;
	const struct ph_mechanism *mechanism;      /* of the exchange under way */
	struct ph__sasl sasl;
	struct ph__sasl_link link;                 /* as this exchange sees it */
	size_t candidate;                          /* the next to try */
	bool bound;                                /* one with channel binding was tried */
	bool cancelled;
	struct ph_error error;                     /* of the last refusal, or why one was passed over */
	char name[64];                             /* of the mechanism that is tried or did it */
};

/* What mechanisms are to know of the link. Points into both. */
struct ph__sasl_link ph__login_link(const struct ph__drive *d, const struct ph__server *server);
/* Whether the server offers, now, to bind a login to the connection, and this is one that it can be
 * bound to. Who did so once and does not any more may have a man in the middle before him. */
bool ph__login_can_bind(const struct ph_smtp *smtp, const struct ph__sasl_link *link);

/* The best mechanism that fits the credentials and is offered. PH_EAUTH when there is none. */
enum ph__step ph__login_begin(struct ph__login *l, const struct ph__login_opts *o,
                              struct ph_error *err);
/* With a mechanism of the caller's. */
enum ph__step ph__login_begin_with(struct ph__login *l, struct ph_smtp *smtp,
                                   const struct ph_mechanism *m, const struct ph_allocator *mem,
                                   struct ph_error *err);
/* Takes a REPLY or AUTH_CHALLENGE event of the exchange. */
enum ph__step ph__login_event(struct ph__login *l, const struct ph_smtp_event *ev,
                              struct ph_error *err);
void ph__login_end(struct ph__login *l);

#endif
