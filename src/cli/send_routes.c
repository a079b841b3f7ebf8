/* SPDX-License-Identifier: MIT */
/* The routes of a dry run. See send_routes.h. Names and TLSA records come out of the DNS, where anybody
 * can put anything: all of it is escaped. */
#include "cli/send_routes.h"

#include <string.h>
#include <strings.h>
#include "cli/problem.h"
#include "cli/send_direct.h"
#include "cli/table.h"
#include "cli/terminal.h"

#define LABEL_WIDTH 12
#define DIGEST_TOLD 16  /* hexadecimal digits of a TLSA record that a person is shown */
#define WHY_WIDTH   60
#define ADDRESS_MAX 39

/* ---- domains --------------------------------------------------------------------------------- */

/* Of those with the same domain. The sender's is not among them, although it is looked at when mail is
 * sent: see sender_is_null(). */
static bool
is_first(const struct ph__send_envelope *e, size_t i)
{
	const char *domain = ph__domain_of(e->recipients[i]);

	for (size_t k = 0; k < i; k++)
		if (strcasecmp(ph__domain_of(e->recipients[k]), domain) == 0)
			return false;
	return true;
}

static const struct ph_error *
first_problem(const struct ph_route *route)
{
	for (size_t i = 0; i < route->host_count; i++)
		if (route->hosts[i].error == NULL)
			return NULL;
	return route->host_count != 0 ? route->hosts[0].error : NULL;
}

/* What becomes of the domain: *ret, or *err; the status so far goes on. */
static int
look_up(struct ph_client *client, const char *domain, const struct ph_route **ret,
        struct ph_error *err, int status)
{
	const struct ph_error *problem = err;

	*err = (struct ph_error)PH_ERROR_INIT;
	*ret = NULL;
	if (ph_client_route(client, domain, ret, err) == PH_OK)
		problem = first_problem(*ret);
	else
		*ret = NULL;
	return status == 0 && problem != NULL ? ph_code_exit_status(problem->code) : status;
}

/* A domain that takes no mail has none to send either (RFC 7505 §4.2): servers refuse what comes from
 * there, and so does the library. Any other trouble with it does not matter. */
static bool
sender_is_null(struct ph_client *client, const struct ph__send_envelope *e)
{
	const char *domain = ph__domain_of(e->from);
	struct ph_error err = PH_ERROR_INIT;
	const struct ph_route *route;

	return domain != NULL && ph_client_route(client, domain, &route, &err) == PH_ENOHOST &&
	       err.cause == PH_CAUSE_NULL_MX;
}

static const char no_sender[] =
    "the sender's domain takes no mail (null MX), so mail from it is refused (5.7.27)";

/* ---- for people ------------------------------------------------------------------------------ */

static void
put_field(const char *name, struct ph_str value)
{
	printf("  %-*s", LABEL_WIDTH, name);
	ph__put_wrapped(stdout, value, 2 + LABEL_WIDTH, PH__TEXT_WIDTH - LABEL_WIDTH);
	putchar('\n');
}

static void
put_problem(const struct ph_error *err)
{
	put_field("Problem", ph__str(err->text[0] != '\0' ? err->text : ph_code_text(err->code)));
	if (err->hint[0] != '\0')
		put_field("Hint", ph__str(err->hint));
}

static bool
is_literal(const struct ph_route *route)
{
	return *route->domain == '[';
}

static void
put_about(const struct ph_route *route)
{
	char text[512];

	if (is_literal(route))
		put_field("MX", ph__str("not asked for: the address names its server"));
	else if (strcmp(route->dnssec, "secure") == 0)
		put_field("DNSSEC", ph__str("signed, and valid"));
	else if (strcmp(route->dnssec, "off") == 0) {
		snprintf(text, sizeof text, "off, so no DANE: %s",
		         route->why_off != NULL ? route->why_off : "nothing is validated");
		put_field("DNSSEC", ph__str(text));
	} else
		put_field("DNSSEC", ph__str("not signed"));
	if (route->mta_sts != NULL) {
		snprintf(text, sizeof text, "%s, policy id %s%s%s", route->mta_sts,
		         route->mta_sts_id != NULL && *route->mta_sts_id != '\0' ? route->mta_sts_id : "unknown",
		         route->mta_sts_problem != NULL ? "; not renewed: " : "",
		         route->mta_sts_problem != NULL ? route->mta_sts_problem : "");
		put_field("MTA-STS", ph__str(text));
	} else if (route->mta_sts_problem != NULL) {
		snprintf(text, sizeof text, "announced, but its policy cannot be had: %s",
		         route->mta_sts_problem);
		put_field("MTA-STS", ph__str(text));
	}
	if (route->implicit)
		put_field("MX", ph__str("none: the domain's own address"));
}

static void
add_addresses(struct ph__table *t, const struct ph_route_host *host)
{
	struct ph__buf text;

	ph__buf_init(&text, &ph__libc_memory, 4096);
	for (size_t i = 0; i < host->address_count; i++)
		ph__buf_addf(&text, "%s%s", i != 0 ? " " : "", host->addresses[i]);
	ph__table_add(t, ph__buf_str(&text));
	ph__buf_done(&text);
}

static void
add_records(struct ph__buf *text, const struct ph_route_host *host)
{
	ph__buf_add_str(text, "DANE, must match ");
	for (size_t i = 0; i < host->tlsa_count; i++) {
		const char *record = host->tlsa[i], *digest = strrchr(record, ' ');
		size_t n = digest != NULL ? (size_t)(digest + 1 - record) + DIGEST_TOLD : strlen(record);
		bool cut = n < strlen(record);

		ph__buf_addf(text, "%s%.*s%s", i != 0 ? " or " : "", (int)(cut ? n : strlen(record)), record,
		             cut ? "..." : "");
	}
}

static void
add_security(struct ph__table *t, const struct ph_route_host *host)
{
	struct ph__buf text;
	bool opportunistic = strcmp(host->policy, "opportunistic") == 0;

	ph__buf_init(&text, &ph__libc_memory, 16384);
	if (host->error != NULL)
		ph__buf_addf(&text, "not used: %s", host->error->text);
	else if (host->tlsa_count != 0)
		add_records(&text, host);
	else if (opportunistic)
		ph__buf_add_str(&text, "TLS if offered, unverified");
	else if (!host->verified_only)
		ph__buf_addf(&text, "TLS, unverified (%s, no usable TLSA record)", host->policy);
	else
		ph__buf_addf(&text, "TLS, must prove its name (%s)",
		             strcmp(host->policy, "mta-sts") == 0 ? "MTA-STS" : host->policy);
	ph__table_add(t, ph__buf_str(&text));
	ph__buf_done(&text);
}

static void
put_hosts(const struct ph_route *route)
{
	static const struct ph__table_column columns[] = {
		{ "Pref", 0, true }, { "Server", 0, false }, { "Addresses", ADDRESS_MAX, false },
		{ "Security", WHY_WIDTH, false }, { NULL, 0, false },
	};
	struct ph__table t;

	ph__table_init(&t, columns);
	for (size_t i = 0; i < route->host_count; i++) {
		const struct ph_route_host *host = &route->hosts[i];

		if (route->implicit || is_literal(route))
			ph__table_add(&t, ph__str("-"));
		else
			ph__table_addf(&t, "%u", host->preference);
		ph__table_add(&t, ph__str(host->name));
		add_addresses(&t, host);
		add_security(&t, host);
	}
	ph__table_print(&t, stdout, 2);
	ph__table_done(&t);
}

int
ph__send_routes_print(struct ph_client *client, const struct ph__send_envelope *e)
{
	int status = sender_is_null(client, e) ? ph_code_exit_status(PH_EREFUSED) : 0;

	if (status != 0) {
		printf("\nSender\n");
		put_field("Problem", ph__str(no_sender));
	}
	for (size_t i = 0; i < e->count; i++) {
		const char *domain = ph__domain_of(e->recipients[i]);
		const struct ph_route *route;
		struct ph_error err;

		if (!is_first(e, i))
			continue;
		status = look_up(client, domain, &route, &err, status);
		putchar('\n');
		ph__terminal_put(stdout, ph__str(domain), 0);
		putchar('\n');
		if (route != NULL)
			put_about(route);
		else
			put_problem(&err);
		if (route != NULL)
			put_hosts(route);
		fflush(stdout);
	}
	return status;
}

/* ---- JSON ------------------------------------------------------------------------------------ */

static void
json_texts(struct ph__json *j, const char *key, const char *const *texts, size_t count)
{
	ph__json_array(j, key);
	for (size_t i = 0; i < count; i++)
		ph__json_text(j, NULL, ph__str(texts[i]));
	ph__json_end_array(j);
}

static void
json_host(struct ph__json *j, const struct ph_route_host *host)
{
	ph__json_object(j, NULL);
	ph__json_text(j, "host", ph__str(host->name));
	ph__json_uint(j, "preference", host->preference);
	json_texts(j, "addresses", host->addresses, host->address_count);
	ph__json_cstr(j, "policy", host->policy);
	ph__json_bool(j, "verified_only", host->verified_only);
	json_texts(j, "tlsa", host->tlsa, host->tlsa_count);
	ph__problem_json(j, host->error);
	ph__json_end_object(j);
}

static void
json_route(struct ph__json *j, const char *domain, const struct ph_route *route,
           const struct ph_error *err)
{
	ph__json_object(j, NULL);
	ph__json_text(j, "domain", ph__str(route != NULL ? route->domain : domain));
	ph__json_cstr(j, "dnssec", route != NULL ? route->dnssec : NULL);
	ph__json_cstr(j, "why_off", route != NULL ? route->why_off : NULL);
	ph__json_bool(j, "implicit", route != NULL && route->implicit);
	ph__json_cstr(j, "mode", route != NULL ? route->mta_sts : NULL);
	ph__json_cstr(j, "policy_id", route != NULL ? route->mta_sts_id : NULL);
	ph__json_cstr(j, "problem", route != NULL ? route->mta_sts_problem : NULL);
	ph__json_array(j, "hosts");
	for (size_t i = 0; route != NULL && i < route->host_count; i++)
		json_host(j, &route->hosts[i]);
	ph__json_end_array(j);
	ph__problem_json(j, route != NULL ? NULL : err);
	ph__json_end_object(j);
}

int
ph__send_routes_json(struct ph_client *client, const struct ph__send_envelope *e,
                     struct ph__json *j)
{
	int status = sender_is_null(client, e) ? ph_code_exit_status(PH_EREFUSED) : 0;

	ph__json_cstr(j, "sender_problem", status != 0 ? no_sender : NULL);
	ph__json_array(j, "routes");
	for (size_t i = 0; i < e->count; i++) {
		const char *domain = ph__domain_of(e->recipients[i]);
		const struct ph_route *route;
		struct ph_error err;

		if (!is_first(e, i))
			continue;
		status = look_up(client, domain, &route, &err, status);
		json_route(j, domain, route, &err);
	}
	ph__json_end_array(j);
	return status;
}
