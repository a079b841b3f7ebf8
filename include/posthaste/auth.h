/* SPDX-License-Identifier: MIT */
#ifndef POSTHASTE_AUTH_H
#define POSTHASTE_AUTH_H
/* Who we are, and how we prove it (RFC 4954, RFC 4422). */
#include <stdbool.h>
#include <stddef.h>
#include <posthaste/error.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Credentials. Strings are UTF-8, copied, and wiped after use. */
struct ph_credentials {
	size_t      size;       /* PH_CREDENTIALS_INIT */
	const char *user;       /* authentication identity; NULL only with EXTERNAL, GSSAPI, OAUTHBEARER */
	const char *password;   /* NULL: none */
	const char *authzid;    /* whom to act for; NULL: oneself */
	const char *token;      /* OAuth 2.0 access token, for OAUTHBEARER (RFC 7628) and XOAUTH2; these
	                           two are tried only with one. NULL: none */
	const char *mechanisms; /* "PLAIN,LOGIN": only these, in this order; NULL: what fits, the
	                           strongest first: SCRAM (with channel binding before without), PLAIN,
	                           LOGIN; with a token OAUTHBEARER, XOAUTH2; EXTERNAL where a client
	                           certificate is all there is. CRAM-MD5, DIGEST-MD5, NTLM and GSSAPI
	                           (which needs no password) only when named */
};
#define PH_CREDENTIALS_INIT .size = sizeof(struct ph_credentials)

/* A mechanism. The library has its own; a caller brings another by filling this in.
 *
 * step() is called with challenge NULL for the initial response: it sets *response, or leaves it
 * NULL when the mechanism lets the server begin. Then once for each challenge (decoded; may be
 * empty): it must set *response (may be of length 0). Response octets remain the mechanism's,
 * valid until the next call. Anything but PH_OK cancels the exchange with "*" (RFC 4954 §4) and is
 * what the login returns. */
struct ph_mechanism {
	size_t      size; /* PH_MECHANISM_INIT */
	const char *name; /* as the server advertises it, upper case */
	enum ph_code (*step)(void *user, const void *challenge, size_t challenge_len,
	                     const void **response, size_t *response_len, struct ph_error *err);
	void       *user;
};
#define PH_MECHANISM_INIT .size = sizeof(struct ph_mechanism)

#ifdef __cplusplus
}
#endif
#endif
