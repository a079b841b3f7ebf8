/* SPDX-License-Identifier: MIT */
/* TLS failures in words. See tls.h.
 *
 * Each text says what happened, then what the certificate shows (names, dates, chain, as far as the
 * room goes), and the hint names the option that mends it. Names come from a certificate that was
 * not verified: control characters and NUL are escaped here, the rest by whoever shows the text.
 * What belongs to whom: a certificate that does not pass is `security`; one that we should show and
 * do not is `config`; a handshake that merely ended is `deferred`. */
#include "net/tls.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/escape.h"

#define WORDS_MAX  2048
#define NAMES_MAX  6   /* of a certificate; some have hundreds */
#define NAME_ROOM  160 /* of one name */
#define TLSA_MAX   2   /* of the records published */
#define TLSA_ROOM  40  /* hex digits of one that is published whole */

static void
add_hex(struct ph__buf *w, const unsigned char digest[PH__SHA256])
{
	char text[PH__PIN_TEXT];

	ph__tls_hex(text, sizeof text, digest, PH__SHA256);
	ph__buf_add_str(w, text);
}

static void
add_date(struct ph__buf *w, const ASN1_TIME *t)
{
	struct tm tm;

	if (t == NULL || ASN1_TIME_to_tm(t, &tm) != 1)
		ph__buf_add_str(w, "an unreadable date");
	else
		ph__buf_addf(w, "%04d-%02d-%02d %02d:%02d UTC", tm.tm_year + 1900, tm.tm_mon + 1,
		             tm.tm_mday, tm.tm_hour, tm.tm_min);
}

static void
add_dn(struct ph__buf *w, const X509_NAME *name)
{
	char text[NAME_ROOM];

	ph__tls_name_text(text, sizeof text, name);
	ph__buf_add_str(w, text[0] != '\0' ? text : "(no name)");
}

static bool
add_general_name(struct ph__buf *w, const GENERAL_NAME *g, bool first)
{
	struct ph__buf one;
	bool known;

	ph__buf_init(&one, w->mem, NAME_ROOM);
	known = ph__tls_alt_name(&one, g);
	if (known)
		ph__buf_addf(w, "%s%s", first ? "" : ", ", ph__buf_cstr(&one));
	ph__buf_done(&one);
	return known;
}

static void
add_names(struct ph__buf *w, X509 *cert)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
	int i, shown = 0, more = 0;

	for (i = 0; i < sk_GENERAL_NAME_num(names); i++) {
		if (shown == NAMES_MAX)
			more++;
		else
			shown += add_general_name(w, sk_GENERAL_NAME_value(names, i), shown == 0);
	}
	if (shown == 0)
		add_dn(w, X509_get_subject_name(cert));
	if (more != 0)
		ph__buf_addf(w, " and %d more", more);
	GENERAL_NAMES_free(names);
}

/* The leaf, then who signed whom. */
static void
add_chain(struct ph__buf *w, STACK_OF(X509) *chain, X509 *leaf)
{
	int i, n = chain != NULL ? sk_X509_num(chain) : 0;
	X509 *last = leaf;

	add_dn(w, X509_get_subject_name(leaf));
	for (i = 1; i < n; i++) {
		last = sk_X509_value(chain, i);
		ph__buf_add_str(w, " <- ");
		add_dn(w, X509_get_subject_name(last));
	}
	ph__buf_add_str(w, " <- ");
	if (X509_NAME_cmp(X509_get_subject_name(last), X509_get_issuer_name(last)) == 0)
		ph__buf_add_str(w, "itself");
	else
		add_dn(w, X509_get_issuer_name(last));
}

static const char *
peer_of(const struct ph__tls *tls)
{
	return tls->name.name[0] != '\0' ? tls->name.name : "the server";
}

/* ---- verification */

static enum ph_cause
cause_of(int verify_error)
{
	switch (verify_error) {
	case X509_V_ERR_CERT_HAS_EXPIRED:
		return PH_CAUSE_CERT_EXPIRED;
	case X509_V_ERR_CERT_NOT_YET_VALID:
		return PH_CAUSE_CERT_NOT_YET;
	case X509_V_ERR_HOSTNAME_MISMATCH:
	case X509_V_ERR_IP_ADDRESS_MISMATCH:
		return PH_CAUSE_CERT_NAME;
	case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
		return PH_CAUSE_CERT_SELF_SIGNED;
	case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
	case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
	case X509_V_ERR_CERT_UNTRUSTED:
		return PH_CAUSE_CERT_UNTRUSTED;
	case X509_V_ERR_DANE_NO_MATCH:
		return PH_CAUSE_CERT_TLSA;
	default:
		return PH_CAUSE_CERT_OTHER;
	}
}

/* Dates may fail at any place of the chain. */
static void
add_date_fault(struct ph__buf *w, const struct ph__tls *tls, X509_STORE_CTX *ctx, X509 *leaf,
               bool expired)
{
	X509 *at = X509_STORE_CTX_get_current_cert(ctx);

	if (at == NULL)
		at = leaf;
	ph__buf_addf(w, "the certificate of %s", at == leaf ? peer_of(tls) : "the authority ");
	if (at != leaf)
		add_dn(w, X509_get_subject_name(at));
	ph__buf_add_str(w, expired ? " expired on " : " is not valid before ");
	add_date(w, expired ? X509_get0_notAfter(at) : X509_get0_notBefore(at));
}

static void
add_tlsa(struct ph__buf *w, const struct ph_tlsa *r)
{
	size_t room = r->matching == 0 ? TLSA_ROOM : r->len * 2;
	char hex[2 * EVP_MAX_MD_SIZE + 1];

	ph__tls_hex(hex, sizeof hex < room + 1 ? sizeof hex : room + 1, r->data, r->len);
	ph__buf_addf(w, "%u %u %u %s%s", r->usage, r->selector, r->matching, hex,
	             strlen(hex) < r->len * 2 ? "…" : "");
}

/* What was published, and what the certificate would have needed. */
static void
add_tlsa_fault(struct ph__buf *w, const struct ph__tls *tls, X509 *leaf)
{
	unsigned char whole[PH__SHA256], key[PH__SHA256];

	ph__buf_addf(w, "the certificate of %s matches no TLSA record; published: ", peer_of(tls));
	for (size_t i = 0; i < tls->tlsa_count && i < TLSA_MAX; i++) {
		ph__buf_add_str(w, i != 0 ? ", " : "");
		add_tlsa(w, &tls->tlsa[i]);
	}
	if (tls->tlsa_count > TLSA_MAX)
		ph__buf_addf(w, " and %zu more", tls->tlsa_count - TLSA_MAX);
	if (!ph__tls_digests(leaf, whole, key))
		return;
	ph__buf_add_str(w, "; seen: 3 1 1 ");
	add_hex(w, key);
}

static void
add_name_fault(struct ph__buf *w, const struct ph__tls *tls)
{
	ph__buf_addf(w, "the certificate is not for %s", tls->name.name);
	for (size_t i = 0; i < tls->name_count; i++)
		ph__buf_addf(w, ", nor for %s", tls->names[i]);
}

static void
add_fault(struct ph__buf *w, const struct ph__tls *tls, X509_STORE_CTX *ctx, X509 *leaf)
{
	int error = X509_STORE_CTX_get_error(ctx);
	enum ph_cause cause = cause_of(error);

	if (cause == PH_CAUSE_CERT_EXPIRED || cause == PH_CAUSE_CERT_NOT_YET)
		add_date_fault(w, tls, ctx, leaf, cause == PH_CAUSE_CERT_EXPIRED);
	else if (cause == PH_CAUSE_CERT_NAME && tls->name.name[0] == '\0')
		ph__buf_add_str(w, "there is no name to verify the certificate against");
	else if (cause == PH_CAUSE_CERT_NAME)
		add_name_fault(w, tls);
	else if (cause == PH_CAUSE_CERT_TLSA)
		add_tlsa_fault(w, tls, leaf);
	else if (cause == PH_CAUSE_CERT_SELF_SIGNED)
		ph__buf_addf(w, "the certificate of %s is self-signed and not among the trusted",
		             peer_of(tls));
	else if (cause == PH_CAUSE_CERT_UNTRUSTED)
		ph__buf_addf(w, "the certificate of %s was not signed by a trusted authority",
		             peer_of(tls));
	else
		ph__buf_addf(w, "the certificate of %s was not accepted: %s", peer_of(tls),
		             X509_verify_cert_error_string(error));
}

static bool
is_plain_name(const ASN1_STRING *name, size_t max)
{
	const unsigned char *s = ASN1_STRING_get0_data(name);
	size_t i, n = (size_t)ASN1_STRING_length(name);

	for (i = 0; i < n; i++)
		if (!ph__is_alnum((char)s[i]) && s[i] != '-' && s[i] != '.' && s[i] != '_')
			return false;
	return n != 0 && n < max;
}

/* The first name that could be asked for, to be quoted in a hint. */
static void
usable_name(X509 *cert, char *buf, size_t size)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
	int i;

	snprintf(buf, size, "NAME");
	for (i = 0; i < sk_GENERAL_NAME_num(names); i++) {
		const GENERAL_NAME *g = sk_GENERAL_NAME_value(names, i);

		if (g->type == GEN_DNS && is_plain_name(g->d.ia5, size)) {
			snprintf(buf, size, "%.*s", ASN1_STRING_length(g->d.ia5),
			         (const char *)ASN1_STRING_get0_data(g->d.ia5));
			break;
		}
	}
	GENERAL_NAMES_free(names);
}

static void
hint_cert(struct ph_error *err, const struct ph__tls *tls, enum ph_cause cause, X509 *leaf)
{
	unsigned char whole[PH__SHA256], key[PH__SHA256];
	struct ph__buf pin;
	char name[128];

	ph__buf_init(&pin, tls->mem, PH__PIN_TEXT);
	if (ph__tls_digests(leaf, whole, key))
		add_hex(&pin, key);
	usable_name(leaf, name, sizeof name);
	switch (cause) {
	case PH_CAUSE_CERT_EXPIRED:
		ph__hint(err, "the server's operator must renew it (or check this machine's clock); "
		         "meanwhile, to trust exactly this key: --pin sha256:%s", ph__buf_cstr(&pin));
		break;
	case PH_CAUSE_CERT_NOT_YET:
		ph__hint(err, "check this machine's clock; to trust exactly this key: --pin sha256:%s",
		         ph__buf_cstr(&pin));
		break;
	case PH_CAUSE_CERT_NAME:
		ph__hint(err, "if this is the server you mean, say which name it has: --tls-name %s; "
		         "or trust exactly its key: --pin sha256:%s", name, ph__buf_cstr(&pin));
		break;
	case PH_CAUSE_CERT_SELF_SIGNED:
		ph__hint(err, "if the server is yours, trust its certificate: --ca-file FILE, or "
		         "--pin sha256:%s", ph__buf_cstr(&pin));
		break;
	default:
		ph__hint(err, "if the authority is your own, name it: --ca-file FILE; the server may "
		         "also fail to send its intermediate certificates; or trust exactly this key: "
		         "--pin sha256:%s", ph__buf_cstr(&pin));
	}
	ph__buf_done(&pin);
}

/* No option of ours helps: what is published is the domain's word. */
static void
hint_dane(struct ph_error *err, const struct ph__tls *tls, enum ph_cause cause)
{
	switch (cause) {
	case PH_CAUSE_CERT_EXPIRED:
	case PH_CAUSE_CERT_NOT_YET:
		ph__hint(err, "the server's operator must renew it: the domain's TLSA records name an "
		         "authority (use 2), and then dates count (RFC 7672 §3.1.2); or check this "
		         "machine's clock");
		break;
	case PH_CAUSE_CERT_NAME:
		ph__hint(err, "the server's operator must have a certificate made for %s: the domain's "
		         "TLSA records name an authority (use 2), and then names count (RFC 7672 §3.2)",
		         tls->name.name);
		break;
	case PH_CAUSE_CERT_TLSA:
		ph__hint(err, "either this is not the server, or its key was changed before the record "
		         "was: its operator has to publish \"3 1 1\" with the new key's digest, and to "
		         "wait until the old one has left all caches (RFC 7671 §8.1); try again later");
		break;
	default:
		ph__hint(err, "the chain must be valid up to the authority that the domain's TLSA "
		         "records name (RFC 7672 §3.1.2); tell the server's operator");
	}
}

void
ph__tls_explain_cert(struct ph_error *err, const struct ph__tls *tls, X509_STORE_CTX *ctx)
{
	enum ph_cause cause = cause_of(X509_STORE_CTX_get_error(ctx));
	X509 *leaf = X509_STORE_CTX_get0_cert(ctx);
	struct ph__buf w;

	ph__buf_init(&w, tls->mem, WORDS_MAX);
	if (leaf != NULL) {
		add_fault(&w, tls, ctx, leaf);
		ph__buf_add_str(&w, "; it is for ");
		add_names(&w, leaf);
		ph__buf_add_str(&w, "; valid ");
		add_date(&w, X509_get0_notBefore(leaf));
		ph__buf_add_str(&w, " to ");
		add_date(&w, X509_get0_notAfter(leaf));
		ph__buf_add_str(&w, "; chain: ");
		add_chain(&w, X509_STORE_CTX_get0_chain(ctx), leaf);
	}
	ph__fail(err, PH_ESECURITY, PH_STAGE_TLS, cause, "%s",
	         w.len != 0 ? ph__buf_cstr(&w) : "the certificate was not accepted");
	if (tls->tlsa_count != 0)
		hint_dane(err, tls, cause);
	else if (leaf != NULL)
		hint_cert(err, tls, cause, leaf);
	ph__buf_done(&w);
}

void
ph__tls_explain_pin(struct ph_error *err, const struct ph__tls *tls, X509 *leaf)
{
	unsigned char whole[PH__SHA256], key[PH__SHA256];
	struct ph__buf w;

	ph__buf_init(&w, tls->mem, WORDS_MAX);
	ph__buf_addf(&w, "the certificate of %s matches no pin", peer_of(tls));
	if (leaf != NULL && ph__tls_digests(leaf, whole, key)) {
		ph__buf_add_str(&w, "; seen: key sha256:");
		add_hex(&w, key);
		ph__buf_add_str(&w, ", certificate sha256:");
		add_hex(&w, whole);
		ph__buf_add_str(&w, "; it is for ");
		add_names(&w, leaf);
	}
	ph__fail(err, PH_ESECURITY, PH_STAGE_TLS, PH_CAUSE_CERT_PIN, "%s",
	         w.len != 0 ? ph__buf_cstr(&w) : "the certificate matches no pin");
	ph__hint(err, "if the server's key was changed on purpose, ask its operator for the new pin "
	         "before replacing --pin");
	ph__buf_done(&w);
}

/* ---- not TLS at all */

void
ph__tls_explain_clear(struct ph_error *err, const struct ph__tls *tls, const unsigned char *in,
                      size_t n, bool after_clear)
{
	const unsigned char *eol = memchr(in, '\n', n);
	bool reply = n != 0 && in[0] >= '2' && in[0] <= '5';
	struct ph__buf w;

	if (eol != NULL)
		n = (size_t)(eol - in);
	if (n != 0 && in[n - 1] == '\r')
		n--;
	ph__buf_init(&w, tls->mem, WORDS_MAX);
	ph__escape(&w, (struct ph_str){ (const char *)in, n < NAME_ROOM ? n : NAME_ROOM }, false);
	if (reply && after_clear) {
		ph__fail(err, PH_ESECURITY, PH_STAGE_TLS, PH_CAUSE_TLS_ON_CLEAR,
		         "the server agreed to STARTTLS and then went on in clear text: \"%s\"",
		         ph__buf_cstr(&w));
		ph__hint(err, "its TLS is broken; if it has a port for TLS from the start, use "
		         "smtps://HOST");
	} else if (reply) {
		ph__fail(err, PH_ESECURITY, PH_STAGE_TLS, PH_CAUSE_TLS_ON_CLEAR,
		         "TLS was begun, and the server answered in clear text: \"%s\"; this port "
		         "starts in clear text", ph__buf_cstr(&w));
		ph__hint(err, "use --tls=starttls, or a smtp:// or submission:// URL");
	} else {
		ph__fail(err, PH_EPROTOCOL, PH_STAGE_TLS, PH_CAUSE_GARBAGE,
		         "TLS was begun, and the answer is neither TLS nor SMTP: \"%s\"",
		         ph__buf_cstr(&w));
		if (!after_clear)
			ph__hint(err, "check host and port (smtp 25, submission 587, smtps 465)");
	}
	ph__buf_done(&w);
}

/* ---- alerts and OpenSSL's own complaints */

void
ph__tls_reason(char *buf, size_t size)
{
	unsigned long e = ERR_get_error();
	const char *s = e != 0 ? ERR_reason_error_string(e) : NULL;

	if (e != 0 && ERR_SYSTEM_ERROR(e))
		ph__errno_text(ERR_GET_REASON(e), buf, size);
	else
		snprintf(buf, size, "%s", s != NULL ? s : "no reason given");
	ERR_clear_error();
}

static const char *
version_name(int version)
{
	switch (version) {
	case SSL3_VERSION:
		return "SSL 3.0";
	case TLS1_VERSION:
		return "TLS 1.0";
	case TLS1_1_VERSION:
		return "TLS 1.1";
	case TLS1_2_VERSION:
		return "TLS 1.2";
	default:
		return "an older one"; /* it said so by an alert, which names none */
	}
}

static void
explain_version(struct ph_error *err, const struct ph__tls *tls, int peer_version)
{
	bool only_13 = tls->min_version == PH_TLS_1_3;

	ph__fail(err, PH_ESECURITY, PH_STAGE_TLS, PH_CAUSE_TLS_VERSION,
	         "%s or better is required, and %s offers %s at best%s", only_13 ? "TLS 1.3" : "TLS 1.2",
	         peer_of(tls), version_name(peer_version),
	         only_13 ? "" : " (TLS 1.0 and 1.1 are broken, RFC 8996)");
	ph__hint(err, only_13 ? "--tls-min=1.2 would accept TLS 1.2" :
	         "the server's software must be renewed; there is no option for less");
}

static const struct alert {
	int number;
	enum ph_code code;
	enum ph_cause cause;
	const char *text, *hint;
} alerts[] = {
	{ SSL3_AD_HANDSHAKE_FAILURE, PH_ESECURITY, PH_CAUSE_HANDSHAKE,
	  "it found no cipher, curve or signature in common, or wants a client certificate",
	  "see what the server supports; if it wants a client certificate: --cert FILE --key FILE" },
	{ SSL3_AD_BAD_CERTIFICATE, PH_ECONFIG, PH_CAUSE_HANDSHAKE,
	  "it does not accept our client certificate", "check --cert and --key" },
	{ SSL3_AD_UNSUPPORTED_CERTIFICATE, PH_ECONFIG, PH_CAUSE_HANDSHAKE,
	  "it does not support our kind of client certificate", "check --cert and --key" },
	{ SSL3_AD_CERTIFICATE_REVOKED, PH_ECONFIG, PH_CAUSE_HANDSHAKE,
	  "our client certificate is revoked", "get a new one for --cert" },
	{ SSL3_AD_CERTIFICATE_EXPIRED, PH_ECONFIG, PH_CAUSE_HANDSHAKE,
	  "our client certificate has expired", "get a new one for --cert" },
	{ SSL3_AD_CERTIFICATE_UNKNOWN, PH_ECONFIG, PH_CAUSE_HANDSHAKE,
	  "it does not accept our client certificate", "check --cert and --key" },
	{ TLS1_AD_UNKNOWN_CA, PH_ECONFIG, PH_CAUSE_HANDSHAKE,
	  "it does not know the authority of our client certificate",
	  "the file of --cert should hold the intermediate certificates too" },
	{ TLS1_AD_ACCESS_DENIED, PH_ECONFIG, PH_CAUSE_HANDSHAKE,
	  "it grants no access with our client certificate", "check --cert" },
	{ TLS13_AD_CERTIFICATE_REQUIRED, PH_ECONFIG, PH_CAUSE_HANDSHAKE,
	  "it demands a client certificate", "give one: --cert FILE --key FILE" },
	{ TLS1_AD_INSUFFICIENT_SECURITY, PH_ESECURITY, PH_CAUSE_HANDSHAKE,
	  "it demands stronger ciphers than we have", "" },
	{ TLS1_AD_UNRECOGNIZED_NAME, PH_ESECURITY, PH_CAUSE_CERT_NAME,
	  "it has no certificate for that name", "say which name it has: --tls-name NAME" },
	{ TLS1_AD_NO_APPLICATION_PROTOCOL, PH_ECONFIG, PH_CAUSE_HANDSHAKE,
	  "it speaks none of the application protocols that were offered (ALPN)",
	  "offer none, which is what SMTP does" },
	{ TLS1_AD_INTERNAL_ERROR, PH_EDEFERRED, PH_CAUSE_HANDSHAKE,
	  "it has an error of its own", "its operator's log says more; try again later" },
};

static void
explain_alert(struct ph_error *err, const struct ph__tls *tls, int number)
{
	const struct alert *a = NULL;
	size_t i;

	for (i = 0; i < sizeof alerts / sizeof alerts[0]; i++)
		if (alerts[i].number == number)
			a = &alerts[i];
	ph__fail(err, a != NULL ? a->code : PH_EDEFERRED, PH_STAGE_TLS,
	         a != NULL ? a->cause : PH_CAUSE_HANDSHAKE,
	         "%s ended TLS%s%s (alert %d, %s)", peer_of(tls), a != NULL ? ": " : "",
	         a != NULL ? a->text : "", number, SSL_alert_desc_string_long(number));
	if (a != NULL)
		ph__hint(err, "%s", a->hint);
}

static bool
is_weak(int reason)
{
	return reason == SSL_R_DH_KEY_TOO_SMALL || reason == SSL_R_EE_KEY_TOO_SMALL ||
		reason == SSL_R_CA_KEY_TOO_SMALL || reason == SSL_R_CA_MD_TOO_WEAK ||
		reason == SSL_R_WRONG_SIGNATURE_TYPE || reason == SSL_R_NO_SHARED_CIPHER ||
		reason == SSL_R_UNSAFE_LEGACY_RENEGOTIATION_DISABLED;
}

void
ph__tls_explain_failure(struct ph_error *err, const struct ph__tls *tls, bool established,
                        int peer_version)
{
	unsigned long e = ERR_peek_error();
	int reason = ERR_GET_REASON(e);
	bool ours = e != 0 && ERR_GET_LIB(e) == ERR_LIB_SSL;
	char text[160];

	ph__tls_reason(text, sizeof text);
	if (e != 0 && reason == ERR_R_MALLOC_FAILURE)
		ph__fail_nomem(err, PH_STAGE_TLS);
	else if (ours && (reason == SSL_R_UNSUPPORTED_PROTOCOL || reason == SSL_R_WRONG_SSL_VERSION ||
	                  reason == SSL_AD_REASON_OFFSET + TLS1_AD_PROTOCOL_VERSION))
		explain_version(err, tls, peer_version);
	else if (ours && reason > SSL_AD_REASON_OFFSET)
		explain_alert(err, tls, reason - SSL_AD_REASON_OFFSET);
	else if (established)
		ph__fail(err, PH_EDEFERRED, PH_STAGE_TLS, PH_CAUSE_LOST,
		         "the TLS connection to %s broke down: %s", peer_of(tls), text);
	else if (ours && reason == SSL_R_NO_PROTOCOLS_AVAILABLE)
		ph__fail(err, PH_ECONFIG, PH_STAGE_TLS, PH_CAUSE_TLS_VERSION,
		         "this machine's OpenSSL configuration leaves no TLS version to use");
	else if (ours && reason == SSL_R_CERTIFICATE_VERIFY_FAILED)
		ph__fail(err, PH_ESECURITY, PH_STAGE_TLS, PH_CAUSE_CERT_OTHER,
		         "the certificate of %s could not be verified", peer_of(tls));
	else if (ours && is_weak(reason))
		ph__fail(err, PH_ESECURITY, PH_STAGE_TLS, PH_CAUSE_HANDSHAKE,
		         "the TLS of %s is weaker than this machine allows: %s", peer_of(tls), text);
	else
		ph__fail(err, PH_EDEFERRED, PH_STAGE_TLS, PH_CAUSE_HANDSHAKE,
		         "the TLS handshake with %s failed: %s", peer_of(tls), text);
}
