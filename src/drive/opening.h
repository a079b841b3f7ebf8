/* SPDX-License-Identifier: MIT */
#ifndef PH_DRIVE_OPENING_H
#define PH_DRIVE_OPENING_H
/* From a connection to a session that takes messages: greeting, EHLO (or HELO), STARTTLS, EHLO again,
 * AUTH, as the link's policy asks. Driven by the session's events; never blocks. */
#include "drive/drive.h"
#include "drive/login.h"
#include "route/policy.h"

enum ph__opening_at { PH__AT_GREETING, PH__AT_EHLO, PH__AT_HELO, PH__AT_STARTTLS, PH__AT_AUTH,
                      PH__AT_END };

struct ph__opening {
	struct ph__drive *drive;
	struct ph__policy policy;
	struct ph__wish wish;
	const struct ph__credentials *credentials; /* NULL: no login */
	bool client_certificate;
	bool binding_was_offered;  /* see drive/login.h */
	const char *helo;
	enum ph__opening_at at;
	bool secured;              /* the policy's TLS is up, or none is wanted */
	struct ph__login login;
	bool logged_in;
	uint64_t auth_began_us, auth_us;
};

/* Takes up where the session is: `at` GREETING when it has not been read yet, EHLO otherwise. */
enum ph__step ph__opening_begin(struct ph__opening *o, enum ph__opening_at at, struct ph_error *err);
enum ph__step ph__opening_event(struct ph__opening *o, const struct ph_smtp_event *ev,
                                struct ph_error *err);
void ph__opening_end(struct ph__opening *o);

#endif
