/* SPDX-License-Identifier: MIT */
#ifndef PH_ROUTE_POLICY_H
#define PH_ROUTE_POLICY_H
/* How securely a server is spoken to: decided once, here, from what the user asked for and whom we
 * are connected to; asserted before credentials and before MAIL. */
#include <stdbool.h>
#include <posthaste/error.h>
#include <posthaste/tls.h>
#include <posthaste/transport.h>
#include "route/route.h"
#include "route/server.h"

enum ph__link { PH__LINK_CLEAR, PH__LINK_STARTTLS, PH__LINK_IMPLICIT, PH__LINK_IF_OFFERED };

struct ph__policy {
	enum ph__link link;
	bool enforce;           /* an unverified peer ends the connection */
	bool fall_back;         /* a failed handshake: once more in clear, on a new connection */
	bool forbids_auth;      /* no credentials, whatever the link shows */
	const char *name;       /* the record's: required, opportunistic, loopback, pin, dane, mta-sts;
	                           static; NULL where TLS is switched off, or is by hand and not up */
};

/* What was asked for. */
struct ph__wish {
	const struct ph__server *server;
	const struct ph_tls_opts *tls; /* NULL: nothing */
	bool has_user;
	bool allow_clear_auth;
	bool loopback;                 /* the address dialled; false behind a proxy */
	bool tls_up;                   /* by now */
	const enum ph__host_tls *route;/* what the server's route demands, instead of all the above; NULL:
	                                  the user has named the server */
};

struct ph__policy ph__policy_of(const struct ph__wish *wish);
/* What a message with REQUIRETLS demands of a host (RFC 8689 §4.2.1), which must be proved to be the
 * domain's besides: whatever proof of its identity the route asks for, and its name where it asks none. */
enum ph__host_tls ph__policy_require_tls(enum ph__host_tls route);
/* "dane", "mta-sts", "required", "opportunistic": policies of routes by their name in the record. */
const char *ph__policy_name(enum ph__host_tls route);

/* PH_ESECURITY when the peer has not proved what the policy asks for. A transport of ours refuses in
 * the handshake already; a lent one only reports. */
enum ph_code ph__check_peer(const struct ph__policy *policy, const struct ph_tls_facts *facts,
                            struct ph_error *err);
/* The same for a link that is about to carry a message, which may be in clear: facts NULL. PH_ESECURITY
 * when the policy asks for TLS and there is none. */
enum ph_code ph__check_link(const struct ph__policy *policy, const struct ph_tls_facts *facts,
                            struct ph_error *err);
/* Credentials need a verified link, or the word of --insecure or of who lent the TLS, or no TLS by
 * choice to this very machine; in clear or unverified elsewhere only if that was asked for. facts NULL:
 * the link is in clear. PH_ESECURITY with a hint. */
enum ph_code ph__may_authenticate(const struct ph__policy *policy, const struct ph__wish *wish,
                                  const struct ph_tls_facts *facts, struct ph_error *err);

#endif
