/* SPDX-License-Identifier: MIT */
#ifndef PH_ROUTE_POLICY_H
#define PH_ROUTE_POLICY_H
/* How securely a server is spoken to: decided once, here, from what the user asked for and whom we
 * are connected to; asserted before credentials and before MAIL. */
#include <stdbool.h>
#include <posthaste/error.h>
#include <posthaste/tls.h>
#include "route/server.h"

enum ph__link { PH__LINK_CLEAR, PH__LINK_STARTTLS, PH__LINK_IMPLICIT, PH__LINK_IF_OFFERED };

struct ph__policy {
	enum ph__link link;
	bool enforce;           /* an unverified peer ends the connection */
	bool fall_back;         /* a failed handshake: once more in clear, on a new connection */
	bool forbids_auth;      /* no credentials, whatever the link shows */
	const char *name;       /* the record's: required, opportunistic, loopback, pin; static;
	                           NULL where TLS is switched off */
};

/* What was asked for. */
struct ph__wish {
	const struct ph__server *server;
	const struct ph_tls_opts *tls; /* NULL: nothing */
	bool has_user;
	bool allow_clear_auth;
	bool loopback;                 /* the address dialled; false behind a proxy */
};

struct ph__policy ph__policy_of(const struct ph__wish *wish);


/* Credentials need a verified link, or --insecure's word, or --tls=off to this very machine; in clear
 * or unverified elsewhere only if that was asked for. PH_ESECURITY with a hint. */
enum ph_code ph__may_authenticate(const struct ph__policy *policy, const struct ph__wish *wish,
                                  bool tls_up, bool verified, struct ph_error *err);

#endif
