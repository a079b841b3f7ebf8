/* SPDX-License-Identifier: MIT */
#ifndef POSTHASTE_TLS_H
#define POSTHASTE_TLS_H
/* What is asked of TLS. Zero everywhere is the safe default: TLS 1.2 or better, the peer's chain
 * verified against the system's certificates and its name against the one that was dialled. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <posthaste/api.h>

#ifdef __cplusplus
extern "C" {
#endif

enum ph_tls_mode {
	PH_TLS_DEFAULT = 0,   /* the scheme's: implicit for smtps, else starttls */
	PH_TLS_STARTTLS,      /* STARTTLS or nothing (RFC 3207) */
	PH_TLS_IMPLICIT,      /* TLS from the first octet (RFC 8314 §3) */
	PH_TLS_OPPORTUNISTIC, /* TLS if offered, verification recorded, not enforced; no credentials */
	PH_TLS_OFF,           /* clear text */
	PH_TLS_BY_HAND        /* clear text until ph_client_starttls() is called, which then demands and
	                         verifies as STARTTLS does. Credentials may go in clear to this very
	                         machine, as under OFF. Of an implicit-TLS scheme (smtps): IMPLICIT */
};

enum ph_tls_version {
	PH_TLS_VERSION_DEFAULT = 0, /* 1.2, the least there is (RFC 8996) */
	PH_TLS_1_2,
	PH_TLS_1_3
};

/* A TLSA record (RFC 6698 §2.1): what a certificate must match. */
struct ph_tlsa {
	uint8_t     usage;    /* 2 DANE-TA, 3 DANE-EE */
	uint8_t     selector; /* 0 certificate, 1 public key */
	uint8_t     matching; /* 0 the whole, 1 SHA-256, 2 SHA-512 */
	const void *data;
	size_t      len;
};

struct ph_tls_opts {
	size_t              size;        /* PH_TLS_OPTS_INIT */
	enum ph_tls_mode    mode;
	enum ph_tls_version min_version;
	bool                insecure;    /* encrypt, verify nothing; recorded as such */
	bool                record_only; /* verify, and go on whatever comes of it: the facts say why not;
	                                    credentials stay home unless the peer is verified. For
	                                    probing */
	bool                no_resume;   /* a full handshake each time */
	const char         *alpn;        /* application protocols to offer (RFC 7301), "a,b", the favourite
	                                    first; NULL: none, as SMTP has none registered */
	const char         *server_name; /* name to verify and to send as SNI; NULL: the host dialled.
	                                    A-label, U-label or IP address */
	const char         *ca_file;     /* PEM; with ca_dir it replaces the system's. NULL: neither */
	const char         *ca_dir;      /* hashed directory (openssl-rehash) */
	const char         *cert_file;   /* client certificate with its chain, PEM */
	const char         *key_file;    /* its key, PEM; NULL: in cert_file */
	const char *const  *pins;        /* SHA-256 of certificate or public key (SPKI): 64 hex digits,
	                                    colons allowed, or base64; replace chain and name checks */
	size_t              pin_count;
	const struct ph_tlsa *tlsa;      /* DANE (RFC 7672 §3.1): the certificate must match one of these
	                                    records, validated by the caller; the system's authorities do not
	                                    count. DANE-EE asks for no name, date or chain. Records of use
	                                    1 and 0, or malformed, are passed over; PH_ECONFIG: none is left */
	size_t              tlsa_count;
	const char *const  *names;       /* beside server_name, names that the certificate may have as well
	                                    (RFC 7672 §3.2.2), with TLSA records or without; no addresses */
	size_t              name_count;
};
#define PH_TLS_OPTS_INIT .size = sizeof(struct ph_tls_opts)

#ifdef __cplusplus
}
#endif
#endif
