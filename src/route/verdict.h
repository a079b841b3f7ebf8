/* SPDX-License-Identifier: MIT */
#ifndef PH_ROUTE_VERDICT_H
#define PH_ROUTE_VERDICT_H
/* What replies and failures mean for a recipient and for a message. Pure; one place decides, the
 * protocol only reports. */
#include <posthaste/record.h>

/* Refines a recipient's outcome and class by its enhanced code and stage: unknown users and domains,
 * full mailboxes, "too many recipients" (RFC 5321 §4.5.3.1.10), which only counts as such when the
 * transaction had an accepted recipient. A 530 asks for a login; in clear, where the server has STARTTLS,
 * for TLS. */
void ph__verdict_recipient(struct ph_recipient_outcome *r, bool any_accepted, bool could_have_tls);

/* A message's outcome and class from its recipients'. `error` is what ended it otherwise. */
enum ph_outcome ph__verdict_outcome(const struct ph_recipient_outcome *const *r, size_t n);
enum ph_code ph__verdict_class(const struct ph_recipient_outcome *const *r, size_t n,
                               enum ph_outcome outcome);
int ph__verdict_exit_status(const struct ph_recipient_outcome *const *r, size_t n,
                            enum ph_code code, bool no_dup);

/* What direct delivery does next for a recipient, after an attempt at one address of one of its
 * domain's servers (RFC 5321 §5.1). On the last address of the last server the outcome stands, but
 * for one thing: what was refused before MAIL (by the greeting or EHLO) is deferred there. */
enum ph__next {
	PH__NEXT_NONE,    /* decided, or in doubt: never again */
	PH__NEXT_ADDRESS, /* the next one of this server, then the next server */
	PH__NEXT_HOST,    /* the next server: this one would say the same at each address */
	PH__NEXT_LATER    /* no server can help now: what failed is on our side */
};
enum ph__next ph__verdict_next(const struct ph_recipient_outcome *o);

/* The class of a reply that ended the opening of a session: greeting, hello, starttls, auth. Fills
 * *err with it, text quoting the reply. */
enum ph_code ph__verdict_session(enum ph_stage stage, const struct ph_reply *reply,
                                 struct ph_error *err);

#endif
