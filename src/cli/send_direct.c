/* SPDX-License-Identifier: MIT */
/* --direct. See send_direct.h. The folder is the one of the XDG Base Directory Specification; a user
 * without a home (a service's) has none, and policies are then kept as long as the command runs. */
#include "cli/send_direct.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/error.h"
#include "cli/link_login.h"

const struct ph__option_choice ph__send_dane_modes[] = {
	{ "auto", PH_DANE_DEFAULT }, { "off", PH_DANE_OFF }, { "required", PH_DANE_REQUIRED }, { NULL, 0 },
};
const struct ph__option_choice ph__send_mta_sts_modes[] = {
	{ "auto", false }, { "off", true }, { NULL, 0 },
};

/* ---- contradictions -------------------------------------------------------------------------- */

#define NO_LOGIN "the recipients' own servers take mail for their users from everybody, without a " \
                 "login: leave it out, or send through your provider with --server"
#define NO_PROOF "each server proves itself as its domain has published (DANE, MTA-STS); --ca-file " \
                 "names the authority of a test network, and --server sends to one server only"

static enum ph_code
check_against(const struct ph__link_options *link, struct ph_error *err)
{
	const struct { bool given; const char *option, *hint; } against[] = {
		{ link->server != NULL, "--server", "--direct finds each recipient's own server: leave one of "
		  "the two out" },
		{ link->connect != NULL, "--connect", "to send to one server by its address: --server "
		  "smtp://HOST --connect ADDRESS" },
		{ link->user != NULL, "--user", NO_LOGIN },
		{ link->password_file != NULL, "--password-file", NO_LOGIN },
		{ link->password_fd.given, "--password-fd", NO_LOGIN },
		{ link->password_command != NULL, "--password-command", NO_LOGIN },
		{ link->token_file != NULL, "--oauth-token-file", NO_LOGIN },
		{ link->mechanisms != NULL, "--auth", NO_LOGIN },
		{ link->authzid != NULL, "--authzid", NO_LOGIN },
		{ link->allow_clear_auth, "--allow-clear-auth", NO_LOGIN },
		{ link->proxy != NULL, "--proxy", "--direct looks names up and connects from this computer "
		  "itself; behind a proxy send through your provider: --server and --proxy" },
		{ link->pins.count != 0, "--pin", NO_PROOF },
		{ link->tls.server_name != NULL, "--tls-name", NO_PROOF },
		{ link->tls.insecure, "--insecure", "where a domain publishes nothing, certificates are not "
		  "checked anyway; --dane=off and --mta-sts=off do not ask what it publishes" },
		{ link->tls.mode == PH_TLS_IMPLICIT, "--tls=implicit", "mail exchangers begin in clear text, on "
		  "port 25: --tls=starttls demands TLS and a valid name of each" },
		{ link->tls.mode == PH_TLS_OFF, "--tls=off", "TLS is used where a server has it, and demanded "
		  "where its domain asks for it: leave --tls out" },
	};

	for (size_t i = 0; i < sizeof against / sizeof against[0]; i++) {
		if (!against[i].given)
			continue;
		ph__fail(err, PH_EUSAGE, PH_STAGE_PREPARE, PH_CAUSE_ARGUMENT,
		         "--direct and %s cannot be used together", against[i].option);
		ph__hint(err, "%s", against[i].hint);
		return PH_EUSAGE;
	}
	return PH_OK;
}

static enum ph_code
check_without(const struct ph__send_direct *d, struct ph_error *err)
{
	const struct { bool given; const char *option; } own[] = {
		{ d->mx_port.given, "--mx-port" }, { d->dane != PH_DANE_DEFAULT, "--dane" },
		{ d->no_mta_sts, "--mta-sts" }, { d->dns != NULL, "--dns" },
		{ d->trust_anchor != NULL, "--trust-anchor" },
	};

	for (size_t i = 0; i < sizeof own / sizeof own[0]; i++) {
		if (!own[i].given)
			continue;
		ph__fail(err, PH_EUSAGE, PH_STAGE_PREPARE, PH_CAUSE_ARGUMENT, "%s only goes with --direct",
		         own[i].option);
		ph__hint(err, "%s", i == 0 ? "add --direct, or write the port into the URL: --server "
		                             "smtp://HOST:PORT"
		                           : "add --direct, or leave it out: a server that is named with "
		                             "--server must prove that name");
		return PH_EUSAGE;
	}
	return PH_OK;
}

enum ph_code
ph__send_direct_check(const struct ph__send_direct *d, const struct ph__link_options *link,
                      struct ph_error *err)
{
	if (!d->wanted)
		return check_without(d, err);
	if (d->mx_port.given && d->mx_port.value == 0)
		return ph__contradiction(err, "--mx-port=0: not a port", "mail exchangers listen on port 25, "
		                         "which is the default; others are for test networks");
	return check_against(link, err);
}

/* ---- the folder of MTA-STS policies ---------------------------------------------------------- */

static bool
make_folders(char *path)
{
	for (char *p = path + 1; ; p++) {
		char c = *p;

		if (c != '/' && c != '\0')
			continue;
		*p = '\0';
		if (mkdir(path, 0700) != 0 && errno != EEXIST)
			return false;
		*p = c;
		if (c == '\0')
			return access(path, W_OK | X_OK) == 0;
	}
}

/* A relative $XDG_CACHE_HOME is invalid, and to be ignored (XDG Base Directory Specification). */
static void
choose_cache(struct ph__send_direct *d)
{
	const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
	int n = -1;

	if (cache != NULL && *cache == '/')
		n = snprintf(d->cache, sizeof d->cache, "%s/posthaste/mta-sts", cache);
	else if (home != NULL && *home == '/')
		n = snprintf(d->cache, sizeof d->cache, "%s/.cache/posthaste/mta-sts", home);
	if (n < 0)
		snprintf(d->problem, sizeof d->problem, "neither XDG_CACHE_HOME nor HOME names a folder");
	else if ((size_t)n >= sizeof d->cache)
		snprintf(d->problem, sizeof d->problem, "the folder's name is too long");
	else if (!make_folders(d->cache))
		snprintf(d->problem, sizeof d->problem, "%s: %s", d->cache, strerror(errno));
	if (d->problem[0] != '\0')
		d->cache[0] = '\0';
}

void
ph__send_direct_settle(struct ph__send_direct *d)
{
	if (!d->no_mta_sts)
		choose_cache(d);
	d->opts = (struct ph_direct_opts){
		PH_DIRECT_OPTS_INIT,
		.mx_port = (uint16_t)d->mx_port.value,
		.dane = (enum ph_dane)d->dane,
		.no_mta_sts = d->no_mta_sts,
		.dns = d->dns,
		.trust_anchor = d->trust_anchor,
		.mta_sts_cache = d->cache[0] != '\0' ? d->cache : NULL,
	};
}

/* ---- names ----------------------------------------------------------------------------------- */

const char *
ph__domain_of(const char *address)
{
	const char *at = strrchr(address, '@');

	return at != NULL && at[1] != '\0' ? at + 1 : NULL;
}

bool
ph__send_direct_is_nameless(const struct ph__link_options *link)
{
	char host[256] = "";

	if (link->helo != NULL)
		return strchr(link->helo, '.') == NULL || *link->helo == '[';
	return gethostname(host, sizeof host - 1) != 0 || strchr(host, '.') == NULL;
}
