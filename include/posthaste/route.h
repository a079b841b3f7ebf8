/* SPDX-License-Identifier: MIT */
#ifndef POSTHASTE_ROUTE_H
#define POSTHASTE_ROUTE_H
/* Straight to the recipients' own servers, without a server of one's own: which those are (MX, RFC 5321
 * §5.1), and how securely each must be reached (DANE, RFC 7672; MTA-STS, RFC 8461).
 *
 *	struct ph_client_opts o = { PH_CLIENT_OPTS_INIT, .helo = "host.example.org",
 *	        .direct = &(struct ph_direct_opts){ PH_DIRECT_OPTS_INIT } };
 *
 * ph_client_sendmail() then looks up the servers of all recipients' domains at the same time, sends one
 * copy to each group of recipients who have the same servers, and tells in one record what became of
 * each. Link security is what the domain publishes, and TLS without verification where it publishes
 * nothing (RFC 7435); with ph_tls_opts.mode PH_TLS_STARTTLS every server must prove its name.
 *
 * Look-ups are DNSSEC-validated (libunbound) and are in a module that is loaded when first needed:
 * without it there is PH_ECONFIG. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <posthaste/api.h>
#include <posthaste/error.h>

#ifdef __cplusplus
extern "C" {
#endif

enum ph_dane {
	PH_DANE_DEFAULT = 0, /* where it is published */
	PH_DANE_OFF,         /* TLSA records are not asked for */
	PH_DANE_REQUIRED     /* to servers with usable TLSA records of validated MX records only */
};

struct ph_direct_opts {
	size_t       size;            /* PH_DIRECT_OPTS_INIT */
	uint16_t     mx_port;         /* the port of all servers, for test networks; 0: 25. TLSA records
	                                 are those of that port */
	enum ph_dane dane;
	bool         no_mta_sts;      /* MTA-STS policies are not asked for */
	const char  *dns;             /* whom to ask: "ADDRESS[@PORT][,…]" are servers to forward to,
	                                 "recursive" asks the name servers of the Internet themselves.
	                                 NULL: those of /etc/resolv.conf */
	const char  *trust_anchor;    /* file of DS or DNSKEY records (RFC 1035 master format) instead of the
	                                 system's anchor of the root. NULL: the system's */
	const char  *mta_sts_cache;   /* folder that keeps MTA-STS policies as long as they are valid
	                                 (RFC 8461 §10.2); made if it is not there. NULL: they are kept in
	                                 memory, as long as the client */
	const char *const *own_names; /* names that MX records have for this very host: they, and servers
	                                 less preferred, are left out (RFC 5321 §5.1). NULL: none */
	size_t       own_name_count;
	unsigned     addresses;       /* of a domain's servers tried at most; 0: 12 */
};
#define PH_DIRECT_OPTS_INIT .size = sizeof(struct ph_direct_opts)

/* One server of a route, as ph_client_route() has found it. Borrowed until the next call on the client. */
struct ph_route_host {
	size_t             size;          /* of this struct as the library knows it */
	const char        *name;          /* A-labels, or the address of a literal */
	unsigned           preference;    /* of the MX record; 0 for the domain itself */
	const char *const *addresses;     /* numeric, in the order they will be tried */
	size_t             address_count;
	const char        *policy;        /* "dane", "mta-sts", "required", "opportunistic"; as in the record */
	bool               verified_only; /* no message leaves without a verified link */
	const char *const *tlsa;          /* "3 1 1 0d5c…": the records it must match (RFC 6698 §2.2) */
	size_t             tlsa_count;
	const struct ph_error *error;     /* it will not be used, and why; NULL: it will */
};

struct ph_route {
	size_t      size;
	const char *domain;       /* as asked for, A-labels */
	const char *dnssec;       /* of the MX records: "secure"; "insecure": the domain is not signed; "off":
	                             nothing is validated, see why_off */
	const char *why_off;      /* NULL: validated */
	bool        implicit;     /* no MX record: the domain's own address (RFC 5321 §5.1) */
	const char *mta_sts;      /* "enforce", "testing", "none" of a policy; NULL: there is none */
	const char *mta_sts_id;
	const char *mta_sts_problem; /* why one that is announced could not be had (RFC 8460 §4.3.2:
	                                "sts-policy-fetch-error" …); NULL */
	const struct ph_route_host *hosts; /* in the order they will be tried */
	size_t      host_count;
};

#ifdef __cplusplus
}
#endif
#endif
