/* SPDX-License-Identifier: MIT */
/* Results of TLS for reports. See tls_result.h.
 *
 * RFC 8460 has no word of its own for a certificate that no TLSA record matches. It is "tlsa-invalid"
 * here (§4.3.2.1): of the records none is valid for this server, and it is in the records that its
 * operator has to look; as is what cannot be used of them. A certificate that is wrong under a record
 * naming an authority is what it would be anywhere: expired, for another host. */
#include "route/tls_result.h"

#include "base/str.h"

static const char *
of_certificate(enum ph_cause cause)
{
	switch (cause) {
	case PH_CAUSE_CERT_EXPIRED:
		return "certificate-expired";
	case PH_CAUSE_CERT_NAME:
		return "certificate-host-mismatch";
	case PH_CAUSE_CERT_TLSA:
		return "tlsa-invalid";
	case PH_CAUSE_CERT_NOT_YET:
	case PH_CAUSE_CERT_SELF_SIGNED:
	case PH_CAUSE_CERT_UNTRUSTED:
	case PH_CAUSE_CERT_PIN:
	case PH_CAUSE_CERT_OTHER:
		return "certificate-not-trusted";
	default:
		return "validation-failure";
	}
}

/* Decided before there was a connection. */
static const char *
of_route(enum ph_cause cause)
{
	switch (cause) {
	case PH_CAUSE_DNS_BOGUS:
		return "dnssec-invalid";
	case PH_CAUSE_NO_DNSSEC:
	case PH_CAUSE_NO_DANE:
		return "dane-required";
	case PH_CAUSE_STS_MX:
		return "validation-failure";
	default:
		return NULL;
	}
}

static bool
is_left_to_chance(const char *policy)
{
	return policy == NULL || strcmp(policy, "opportunistic") == 0 ||
	       strcmp(policy, "loopback") == 0;
}

/* TLS came up, and was good enough or not. */
static const char *
of_link(const struct ph__tls_end *e)
{
	const struct ph_tls_facts *f = e->facts;

	if (e->unusable)
		return "tlsa-invalid";
	if (f->verified)
		return "success";
	if (e->error->stage == PH_STAGE_TLS && e->error->code == PH_ESECURITY)
		return of_certificate(e->error->cause);
	if (f->problem_cause == PH_CAUSE_NONE || (is_left_to_chance(e->policy) && !e->tested))
		return "success"; /* nobody asked who the server is */
	return of_certificate(f->problem_cause);
}

static const char *
of_starttls(enum ph_cause cause)
{
	return cause == PH_CAUSE_NOT_OFFERED || cause == PH_CAUSE_REPLY ? "starttls-not-supported"
	                                                                : "validation-failure";
}

const char *
ph__tls_result(const struct ph__tls_end *e)
{
	bool failed = e->error->code != PH_OK;

	if (failed && e->error->stage == PH_STAGE_ROUTE)
		return of_route(e->error->cause);
	if (e->facts != NULL)
		return of_link(e);
	if (e->policy == NULL || e->given_up)
		return NULL;
	if (failed && e->error->cause == PH_CAUSE_CANCELLED)
		return NULL;
	if (failed && e->error->stage == PH_STAGE_STARTTLS)
		return of_starttls(e->error->cause);
	if (failed && e->error->stage == PH_STAGE_TLS)
		return of_certificate(e->error->cause);
	return e->hello ? "starttls-not-supported" : NULL;
}
