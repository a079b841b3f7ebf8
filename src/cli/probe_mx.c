/* SPDX-License-Identifier: MIT */
/* A probe's server by MX. See probe_mx.h. The host is then spoken to as if it had been named: what the
 * domain publishes on how securely that is to be done (DANE, MTA-STS) is for posthaste send. */
#include "cli/probe_mx.h"

#include <string.h>
#include "base/error.h"

struct ph_str
ph__probe_cut_address(struct ph_str *rest)
{
	struct ph_str address = *rest;
	bool quoted = false;
	size_t i = 0;

	for (; i < rest->len && (quoted || rest->ptr[i] != ','); i++) {
		quoted ^= rest->ptr[i] == '"';
		i += rest->ptr[i] == '\\' && i + 1 < rest->len;
	}
	address.len = i < rest->len ? i : rest->len;
	i = address.len + (address.len < rest->len);
	rest->ptr += i;
	rest->len -= i;
	return ph__str_trim(address);
}

static enum ph_code
no_server(struct ph_error *err)
{
	ph__fail(err, PH_EUSAGE, PH_STAGE_PREPARE, PH_CAUSE_ARGUMENT, "no server is given");
	ph__hint(err, "name it: --server smtp://mx.example.net, or -s HOST as swaks has it; with --to "
	              "ADDRESS alone, that of the address's domain is looked up");
	return PH_EUSAGE;
}

/* Of the first recipient, in the arena; NULL: there is none, or memory is out. */
static const char *
first_domain(struct ph__probe_options *o)
{
	const struct ph__option_list *lists[] = { &o->to, &o->cc, &o->bcc };

	for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
		struct ph_str rest, address;
		const char *at;

		if (lists[i]->count == 0)
			continue;
		rest = ph__str(lists[i]->items[0]);
		address = ph__probe_cut_address(&rest);
		at = memrchr(address.ptr, '@', address.len);
		if (at == NULL)
			return NULL;
		address.len -= (size_t)(at + 1 - address.ptr);
		if (address.len != 0 && at[address.len] == '>')
			address.len--;
		return address.len != 0 ? ph__arena_strndup(&o->arena, at + 1, address.len) : NULL;
	}
	return NULL;
}

/* The first that can be used, or why there is none. */
static enum ph_code
choose(struct ph__probe_options *o, const struct ph_route *route, struct ph_error *err)
{
	for (size_t i = 0; i < route->host_count; i++) {
		const struct ph_route_host *host = &route->hosts[i];
		size_t n = strlen(host->name);
		char *name;

		if (host->error != NULL)
			continue;
		if ((name = ph__arena_alloc(&o->arena, n + 3)) == NULL)
			return ph__fail_nomem(err, PH_STAGE_PREPARE);
		snprintf(name, n + 3, strchr(host->name, ':') != NULL ? "[%s]" : "%s", host->name);
		o->server = name;
		return PH_OK;
	}
	if (route->host_count == 0)
		return ph__fail(err, PH_ENOHOST, PH_STAGE_ROUTE, PH_CAUSE_NO_SUCH_HOST,
		                "\"%s\" has no mail server", route->domain);
	ph__error_copy(err, route->hosts[0].error);
	return err != NULL ? err->code : PH_ENOHOST;
}

enum ph_code
ph__probe_find_server(struct ph__probe_options *o, struct ph_error *err)
{
	const struct ph_direct_opts direct = { PH_DIRECT_OPTS_INIT, .dane = PH_DANE_OFF, .no_mta_sts = true,
	                                       .dns = o->dns, .trust_anchor = o->trust_anchor };
	const struct ph_client_opts opts = { PH_CLIENT_OPTS_INIT, .direct = &direct,
	                                     .family = o->link.family, .timeout_ms = o->link.timeout_ms };
	const char *domain = o->lmtp || o->link.connect != NULL || o->link.proxy != NULL ? NULL
	                   : first_domain(o);
	const struct ph_route *route;
	struct ph_client *client;
	enum ph_code rc;

	if (domain == NULL)
		return no_server(err);
	if ((rc = ph_client_new(&client, &opts, err)) != PH_OK)
		return rc;
	if ((rc = ph_client_route(client, domain, &route, err)) == PH_OK)
		rc = choose(o, route, err);
	ph_client_free(client);
	return rc;
}
