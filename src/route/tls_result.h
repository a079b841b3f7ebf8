/* SPDX-License-Identifier: MIT */
#ifndef PH_ROUTE_TLS_RESULT_H
#define PH_ROUTE_TLS_RESULT_H
/* What came of TLS with a server, in the terms of TLS reports (RFC 8460 §4.3). Pure. */
#include <stdbool.h>
#include <posthaste/error.h>
#include <posthaste/transport.h>

/* How a session ended, as far as TLS is concerned. */
struct ph__tls_end {
	const char *policy;  /* of the link, as in the record; NULL: TLS was not wanted */
	bool tested;         /* an MTA-STS policy is under test (RFC 8461 §5): who fails it is accepted all
	                        the same, and reported */
	bool unusable;       /* there are TLSA records, and none is usable (RFC 7672 §2.2) */
	bool hello;          /* the server has said what it offers */
	bool given_up;       /* in clear, as the handshake on the connection before had failed */
	const struct ph_tls_facts *facts; /* NULL: TLS did not come up */
	const struct ph_error *error;     /* what ended the session; code PH_OK: nothing did */
};

/* "success", "starttls-not-supported", "certificate-host-mismatch" …; static. NULL: TLS played no part:
 * it was not wanted, or things ended before it could be. */
const char *ph__tls_result(const struct ph__tls_end *end);

#endif
