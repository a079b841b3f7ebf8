/* SPDX-License-Identifier: MIT */
/* The options of a link. See link_options.h. Pure. */
#include "cli/link_options.h"

#include <string.h>
#include <strings.h>
#include "base/error.h"

const struct ph__option_choice ph__link_tls_modes[] = {
	{ "starttls", PH_TLS_STARTTLS }, { "implicit", PH_TLS_IMPLICIT },
	{ "opportunistic", PH_TLS_OPPORTUNISTIC }, { "off", PH_TLS_OFF }, { NULL, 0 },
};
const struct ph__option_choice ph__link_tls_versions[] = {
	{ "1.2", PH_TLS_1_2 }, { "1.3", PH_TLS_1_3 }, { NULL, 0 },
};
const struct ph__option_choice ph__link_families[] = { { "4", 4 }, { "6", 6 }, { NULL, 0 } };

void
ph__link_options_settle(struct ph__link_options *o)
{
	o->tls.size = sizeof o->tls;
	o->tls.mode = (enum ph_tls_mode)o->tls_mode;
	o->tls.min_version = (enum ph_tls_version)o->tls_min;
	o->tls.pins = o->pins.items;
	o->tls.pin_count = o->pins.count;
}

bool
ph__link_has_tls(const struct ph__link_options *o)
{
	return o->tls.mode != PH_TLS_DEFAULT || o->tls.min_version != PH_TLS_VERSION_DEFAULT
	    || o->tls.insecure || o->tls.server_name != NULL || o->tls.ca_file != NULL
	    || o->tls.ca_dir != NULL || o->tls.cert_file != NULL || o->tls.key_file != NULL
	    || o->pins.count != 0;
}

const char *
ph__link_user(const struct ph__link_options *o, char *buf, size_t size)
{
	const char *scheme, *host, *end, *at;

	if (o->user != NULL || o->server == NULL)
		return o->user;
	scheme = strstr(o->server, "://");
	host = scheme != NULL ? scheme + 3 : o->server;
	end = host + strcspn(host, "/?#");
	at = memrchr(host, '@', (size_t)(end - host));
	if (at == NULL || at == host)
		return NULL;
	snprintf(buf, size, "%.*s", (int)(at - host), host);
	return buf;
}

enum ph_code
ph__contradiction(struct ph_error *err, const char *text, const char *hint)
{
	ph__fail(err, PH_EUSAGE, PH_STAGE_PREPARE, PH_CAUSE_ARGUMENT, "%s", text);
	ph__hint(err, "%s", hint);
	return PH_EUSAGE;
}

/* What says whom to trust must not go unheard. */
static enum ph_code
check_tls(const struct ph__link_options *o, struct ph_error *err)
{
	bool trust = o->tls.ca_file != NULL || o->tls.ca_dir != NULL || o->pins.count != 0;

	if (o->tls.key_file != NULL && o->tls.cert_file == NULL)
		return ph__contradiction(err, "--key is given without --cert",
		                         "a key needs its certificate: --cert FILE");
	if (o->tls.mode == PH_TLS_OFF &&
	    (trust || o->tls.cert_file != NULL || o->tls.server_name != NULL || o->tls_min != 0))
		return ph__contradiction(err, "--tls=off sends in clear text, where --ca-file, --ca-dir, "
		                         "--pin, --cert, --tls-min and --tls-name have no meaning",
		                         "leave them out, or --tls=off");
	if (o->tls.insecure && trust)
		return ph__contradiction(err, "--insecure verifies nothing, so --ca-file, --ca-dir and "
		                         "--pin cannot be used with it", "leave --insecure out: they "
		                         "verify a server with a certificate of its own");
	return PH_OK;
}

static enum ph_code
check_way(const struct ph__link_options *o, struct ph_error *err)
{
	if (o->connect == NULL || o->server == NULL || strncasecmp(o->server, "lmtp:///", 8) != 0)
		return PH_OK;
	return ph__contradiction(err, "--connect is an address to dial, and lmtp:///PATH is a Unix "
	                         "socket", "leave --connect out, or use --server lmtp://HOST:PORT");
}

enum ph_code
ph__link_options_check(const struct ph__link_options *o, struct ph_error *err)
{
	enum ph_code rc = check_way(o, err);

	return rc == PH_OK ? check_tls(o, err) : rc;
}
