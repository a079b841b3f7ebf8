/* SPDX-License-Identifier: MIT */
/* The policy of a link. See policy.h, and posthaste-send(1), "TLS". Pure. */
#include "route/policy.h"

#include "base/error.h"

/* smtp:// or lmtp:// to this machine, and nothing said about TLS or a user: the local relay, whose
 * certificate nobody signed. */
static bool
is_local_relay(const struct ph__wish *w)
{
	const struct ph_tls_opts *t = w->tls;

	if (!w->loopback || !w->server->relay_port || w->has_user)
		return false;
	return t == NULL ||
	       (t->mode == PH_TLS_DEFAULT && !t->insecure && t->ca_file == NULL && t->ca_dir == NULL &&
	        t->pin_count == 0 && t->server_name == NULL && t->cert_file == NULL &&
	        t->min_version == PH_TLS_VERSION_DEFAULT && !t->record_only && t->alpn == NULL &&
	        t->tlsa_count == 0 && t->name_count == 0);
}

static enum ph_tls_mode
mode_of(const struct ph__wish *w)
{
	enum ph_tls_mode mode = w->tls != NULL ? w->tls->mode : PH_TLS_DEFAULT;

	if (w->server->implicit_tls && (mode == PH_TLS_DEFAULT || mode == PH_TLS_BY_HAND))
		return PH_TLS_IMPLICIT;
	return mode != PH_TLS_DEFAULT ? mode : PH_TLS_STARTTLS;
}

const char *
ph__policy_name(enum ph__host_tls route)
{
	switch (route) {
	case PH__HOST_MUST_DANE:
	case PH__HOST_MUST_TLS:
		return "dane";
	case PH__HOST_MUST_STS:
		return "mta-sts";
	case PH__HOST_MUST_NAME:
		return "required";
	default:
		return "opportunistic";
	}
}

enum ph__host_tls
ph__policy_require_tls(enum ph__host_tls route)
{
	return route == PH__HOST_MUST_DANE || route == PH__HOST_MUST_STS ? route : PH__HOST_MUST_NAME;
}

/* Credentials are for servers that the user has named. Only where nothing is demanded may a failed
 * handshake lead to clear text. */
static struct ph__policy
policy_of_route(enum ph__host_tls route)
{
	bool may = route == PH__HOST_MAY || route == PH__HOST_MAY_STS;

	return (struct ph__policy){
		.link = may ? PH__LINK_IF_OFFERED : PH__LINK_STARTTLS,
		.enforce = !may && route != PH__HOST_MUST_TLS,
		.fall_back = may,
		.forbids_auth = true,
		.name = ph__policy_name(route),
	};
}

struct ph__policy
ph__policy_of(const struct ph__wish *w)
{
	bool pinned = w->tls != NULL && w->tls->pin_count != 0;
	bool dane = w->tls != NULL && w->tls->tlsa_count != 0;
	bool insecure = w->tls != NULL && w->tls->insecure;
	bool recorded = w->tls != NULL && w->tls->record_only;
	struct ph__policy p = {
		.enforce = !insecure && !recorded, .name = dane ? "dane" : pinned ? "pin" : "required",
	};

	if (w->route != NULL)
		return policy_of_route(*w->route);
	if (is_local_relay(w))
		return (struct ph__policy){ PH__LINK_IF_OFFERED, false, false, true, "loopback" };
	switch (mode_of(w)) {
	case PH_TLS_OPPORTUNISTIC:
		return (struct ph__policy){ PH__LINK_IF_OFFERED, false, true, true, "opportunistic" };
	case PH_TLS_OFF:
		p.link = PH__LINK_CLEAR;
		p.enforce = false;
		p.name = NULL; /* the record says: mode none, no policy */
		break;
	case PH_TLS_BY_HAND:
		p.link = PH__LINK_CLEAR;
		if (!w->tls_up)
			p.name = NULL;
		break;
	case PH_TLS_IMPLICIT:
		p.link = PH__LINK_IMPLICIT;
		break;
	default:
		p.link = PH__LINK_STARTTLS;
		break;
	}
	return p;
}

enum ph_code
ph__check_peer(const struct ph__policy *policy, const struct ph_tls_facts *facts,
               struct ph_error *err)
{
	if (!policy->enforce || facts->verified || facts->waived)
		return PH_OK;
	return ph__fail(err, PH_ESECURITY, PH_STAGE_TLS, PH_CAUSE_CERT_OTHER,
	                "the server has not proved who it is%s%.200s",
	                facts->problem[0] != '\0' ? ": " : "", facts->problem);
}

enum ph_code
ph__check_link(const struct ph__policy *policy, const struct ph_tls_facts *facts,
               struct ph_error *err)
{
	if (facts != NULL)
		return ph__check_peer(policy, facts, err);
	if (policy->link != PH__LINK_STARTTLS && policy->link != PH__LINK_IMPLICIT)
		return PH_OK;
	return ph__fail(err, PH_ESECURITY, PH_STAGE_STARTTLS, PH_CAUSE_NOT_OFFERED,
	                "the connection is in clear, and the message may go over TLS only");
}

static bool
is_good_for_credentials(const struct ph__wish *w, const struct ph_tls_facts *facts)
{
	enum ph_tls_mode mode = w->tls != NULL ? w->tls->mode : PH_TLS_DEFAULT;

	if (facts != NULL)
		return facts->verified || facts->waived || (w->tls != NULL && w->tls->insecure);
	return w->loopback && (mode == PH_TLS_OFF || mode == PH_TLS_BY_HAND);
}

enum ph_code
ph__may_authenticate(const struct ph__policy *policy, const struct ph__wish *w,
                     const struct ph_tls_facts *facts, struct ph_error *err)
{
	if (policy->forbids_auth) {
		ph__fail(err, PH_ESECURITY, PH_STAGE_AUTH, PH_CAUSE_CLEAR_AUTH,
		         "credentials are not sent over a link whose security is left to chance "
		         "(TLS policy %s)", policy->name);
		ph__hint(err, "use --tls=starttls or --tls=implicit");
		return PH_ESECURITY;
	}
	if (is_good_for_credentials(w, facts) || w->allow_clear_auth)
		return PH_OK;
	if (facts != NULL)
		ph__fail(err, PH_ESECURITY, PH_STAGE_AUTH, PH_CAUSE_CLEAR_AUTH,
		         "the server has not proved who it is; credentials are not sent to it");
	else
		ph__fail(err, PH_ESECURITY, PH_STAGE_AUTH, PH_CAUSE_CLEAR_AUTH,
		         "the connection is not encrypted; credentials would cross it in clear");
	ph__hint(err, "use --tls=starttls or --tls=implicit, or --allow-clear-auth if this network is "
	              "yours");
	return PH_ESECURITY;
}
