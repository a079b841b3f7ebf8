/* SPDX-License-Identifier: MIT */
#ifndef PH_DRIVE_LOGIN_H
#define PH_DRIVE_LOGIN_H
/* A login: mechanisms tried in order, one exchange at a time, driven by the session's events. */
#include <posthaste/auth.h>
#include <posthaste/smtp.h>
#include "auth/sasl.h"

enum ph__step { PH__STEP_GOING, PH__STEP_DONE, PH__STEP_FAILED };

struct ph__login {
	struct ph_smtp *smtp;
	const struct ph_allocator *mem;
	const struct ph__credentials *credentials; /* NULL: only `mechanism` */
	bool client_certificate;
	const struct ph_mechanism *mechanism;      /* of the exchange under way */
	struct ph__sasl sasl;
	size_t candidate;                          /* the next to try */
	bool cancelled;
	struct ph_error error;                     /* of the last refusal */
	char name[64];                             /* of the mechanism that is tried or did it */
};

/* With credentials: the best mechanism that fits them and is offered. PH_EAUTH when there is none. */
enum ph__step ph__login_begin(struct ph__login *l, struct ph_smtp *smtp,
                              const struct ph__credentials *c, bool client_certificate,
                              const struct ph_allocator *mem, struct ph_error *err);
/* With a mechanism of the caller's. */
enum ph__step ph__login_begin_with(struct ph__login *l, struct ph_smtp *smtp,
                                   const struct ph_mechanism *m, const struct ph_allocator *mem,
                                   struct ph_error *err);
/* Takes a REPLY or AUTH_CHALLENGE event of the exchange. */
enum ph__step ph__login_event(struct ph__login *l, const struct ph_smtp_event *ev,
                              struct ph_error *err);
void ph__login_end(struct ph__login *l);

#endif
