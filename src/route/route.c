/* SPDX-License-Identifier: MIT */
/* A domain's servers. See route.h; what is decided about one of them is in host.c.
 *
 * Questions, in order: MX of the domain, and at the same time TXT of its _mta-sts; then, at the
 * same time, the addresses of every host, and the MTA-STS policy; then, host by host, whether an
 * alias is secure, and TLSA records. Every answer is a stranger's: what cannot be read is passed
 * over or makes a host unusable, and "failed" or "bogus" is never "there is none". */
#include "route/route.h"

#include <stdio.h>

#include "base/error.h"
#include "base/escape.h"
#include "mail/address.h"
#include "route/domain.h"
#include "route/mx.h"
#include "route/route_inside.h"

static enum ph_code
fail(struct ph__route *r, enum ph_code code, enum ph_cause cause, const char *text)
{
	r->state = PH__ROUTE_FAILED;
	r->error = (struct ph_error)PH_ERROR_INIT;
	return ph__fail(&r->error, code, PH_STAGE_ROUTE, cause, "%s", text);
}

void
ph__route_nomem(struct ph__route *r)
{
	r->state = PH__ROUTE_FAILED;
	r->error = (struct ph_error)PH_ERROR_INIT;
	ph__fail_nomem(&r->error, PH_STAGE_ROUTE);
}

static void
set_enhanced(struct ph_error *err, unsigned subject, unsigned detail)
{
	err->enhanced[0] = 5;
	err->enhanced[1] = (uint16_t)subject;
	err->enhanced[2] = (uint16_t)detail;
}

/* ---- questions ------------------------------------------------------------------------------- */

static struct ph__route_ask *
add_ask(struct ph__route *r, const char *name)
{
	struct ph__route_ask *ask = ph__arena_alloc(&r->arena, sizeof *ask);

	if (ask == NULL) {
		ph__route_nomem(r);
		return NULL;
	}
	*ask = (struct ph__route_ask){ .q = { .id = ++r->last_id, .name = name } };
	*r->tail = ask;
	r->tail = &ask->next;
	if (r->unasked == NULL)
		r->unasked = ask;
	return ask;
}

void
ph__route_ask(struct ph__route *r, struct ph__host *host, enum ph__dns_type type, const char *name)
{
	struct ph__route_ask *ask = add_ask(r, name);

	if (ask == NULL)
		return;
	ask->host = host;
	ask->q.kind = PH__ASK_DNS;
	ask->q.type = type;
}

bool
ph__route_question(struct ph__route *r, struct ph__question *ret)
{
	if (r->state == PH__ROUTE_FAILED || r->unasked == NULL)
		return false;
	*ret = r->unasked->q;
	r->unasked->asked = true;
	r->unasked = r->unasked->next;
	return true;
}

static struct ph__route_ask *
find_open(struct ph__route *r, unsigned id)
{
	struct ph__route_ask *ask = r->asks;

	while (ask != NULL && ask->q.id != id)
		ask = ask->next;
	return ask != NULL && ask->asked && !ask->answered ? ask : NULL;
}

const char *
ph__route_canonical(struct ph__route *r, const struct ph__dns_answer *a)
{
	struct ph_str s = ph__str(a->canonical);
	char *name;

	if (s.len != 0 && s.ptr[s.len - 1] == '.')
		s.len--;
	if (s.ptr == NULL || !ph__name_is_host(s))
		return NULL;
	if ((name = ph__arena_strndup(&r->arena, s.ptr, s.len)) == NULL) {
		ph__route_nomem(r);
		return NULL;
	}
	ph__lower_all(name, s.len);
	return name;
}

/* ---- the list of servers --------------------------------------------------------------------- */

static bool
is_own(const struct ph__route *r, const char *name)
{
	return ph__name_is_among(name, r->opts.own_names, r->opts.own_name_count);
}

static void
fail_loop(struct ph__route *r)
{
	fail(r, PH_EREFUSED, PH_CAUSE_MX_LOOP,
	     "the domain's best mail server is this very host: the message would come back");
	set_enhanced(&r->error, 4, 6);
}

static bool
make_hosts(struct ph__route *r, const struct ph__mx *mx, size_t count)
{
	if ((r->hosts = ph__arena_alloc(&r->arena, count * sizeof *r->hosts)) == NULL) {
		ph__route_nomem(r);
		return false;
	}
	for (size_t i = 0; i < count; i++)
		r->hosts[i] = (struct ph__host){
			.route = r,
			.is = { .name = mx[i].name, .preference = mx[i].preference,
			        .error = PH_ERROR_INIT },
		};
	r->host_count = count;
	r->state = PH__ROUTE_KNOWN;
	return true;
}

/* DANE protects a domain only if its MX records, or their absence, are validated (RFC 7672
 * §2.2.1). */
static void
list_hosts(struct ph__route *r, const struct ph__mx *mx, size_t count)
{
	if (r->opts.dane == PH_DANE_REQUIRED && r->trust != PH__DNS_SECURE) {
		fail(r, PH_ESECURITY, PH_CAUSE_NO_DNSSEC, "DANE is required, and the domain's mail servers "
		     "are not published with DNSSEC, or our resolver does not validate (RFC 7672)");
		return;
	}
	if (make_hosts(r, mx, count))
		for (size_t i = 0; i < count; i++)
			ph__host_begin(&r->hosts[i]);
}

/* RFC 5321 §5.1: the domain itself, as if by an MX record of preference 0. */
static void
list_domain(struct ph__route *r)
{
	struct ph__mx itself = { 0, r->domain };

	r->implicit = true;
	if (is_own(r, r->domain))
		fail_loop(r);
	else
		list_hosts(r, &itself, 1);
}

static void
list_mx(struct ph__route *r, const struct ph__dns_answer *a)
{
	struct ph__mx_list list;

	if (!ph__mx_read(&list, a, r->opts.own_names, r->opts.own_name_count, r->opts.seed,
	                 &r->arena)) {
		ph__route_nomem(r);
	} else if (list.null) {
		fail(r, PH_ENOHOST, PH_CAUSE_NULL_MX, "the domain takes no mail: it says so by a null MX "
		     "record (RFC 7505)");
		set_enhanced(&r->error, 1, 10);
	} else if (list.loop) {
		fail_loop(r);
	} else if (list.count == 0) {
		fail(r, PH_EREFUSED, PH_CAUSE_MX_UNUSABLE, "the domain has MX records, and not one of them "
		     "names a server (RFC 5321 section 5.1)");
		set_enhanced(&r->error, 4, 4);
	} else {
		list_hosts(r, list.hosts, list.count);
	}
}

const char *
ph__route_why(char buf[PH__QUOTE_SIZE], const struct ph__dns_answer *a)
{
	if (a->why == NULL || a->why[0] == '\0')
		return a->status == PH__DNS_LATE ? "no answer came in time"
		                                 : "the name servers did not say why";
	return ph__escape_into(buf, PH__QUOTE_SIZE, ph__str(a->why), false);
}

static void
fail_look_up(struct ph__route *r, const struct ph__dns_answer *a)
{
	bool bogus = a->trust == PH__DNS_BOGUS;
	char buf[PH__QUOTE_SIZE];

	fail(r, PH_EDEFERRED, bogus ? PH_CAUSE_DNS_BOGUS : PH_CAUSE_RESOLVER, "the mail servers of ");
	ph__more(&r->error, "%s %s: %s", r->domain,
	         bogus ? "fail DNSSEC validation, which an attack or a broken zone does"
	               : "cannot be looked up for the moment",
	         ph__route_why(buf, a));
}

static void
answer_mx(struct ph__route *r, const struct ph__dns_answer *a)
{
	r->trust = a->trust;
	if (a->trust == PH__DNS_SECURE && !ph__dns_is_failure(a))
		r->canonical = ph__route_canonical(r, a);
	if (r->state == PH__ROUTE_FAILED)
		return;
	if (a->trust == PH__DNS_BOGUS) {
		fail_look_up(r, a);
	} else if (a->status == PH__DNS_NXDOMAIN) {
		fail(r, PH_ENOHOST, PH_CAUSE_NO_SUCH_HOST, "there is no such domain");
		set_enhanced(&r->error, 1, 2);
	} else if (a->status == PH__DNS_FOUND && a->count != 0) {
		list_mx(r, a);
	} else if (a->status == PH__DNS_FOUND || a->status == PH__DNS_NODATA) {
		list_domain(r);
	} else {
		fail_look_up(r, a);
	}
}

/* ---- MTA-STS --------------------------------------------------------------------------------- */

/* Without a record that can be had and read, a policy that is kept still holds (RFC 8461 §3.1,
 * §5.1): whoever suppresses the record must not win. */
static void
answer_txt(struct ph__route *r, const struct ph__dns_answer *a)
{
	struct ph__route_ask *ask;
	char id[33];
	bool found = a->status == PH__DNS_FOUND && a->trust != PH__DNS_BOGUS && ph__sts_record(a, id);
	char *kept = found ? ph__arena_strndup(&r->arena, id, strlen(id)) : NULL;

	if (found && kept == NULL) {
		ph__route_nomem(r);
		return;
	}
	if ((ask = add_ask(r, r->domain)) == NULL)
		return;
	ask->q.kind = PH__ASK_STS;
	ask->q.sts_id = kept;
}

static void
answer_sts(struct ph__route *r, const struct ph__sts_answer *a)
{
	r->sts_problem = ph__sts_failure_name(a->failure);
	if (a->policy != NULL && (r->sts = ph__sts_policy_copy(a->policy, &r->mem)) == NULL) {
		ph__route_nomem(r);
		return;
	}
	r->sts_known = true;
	r->sts_lost = a->policy == NULL && a->failure == PH__STS_UNKNOWN;
	for (size_t i = 0; i < r->host_count; i++)
		ph__host_decide(&r->hosts[i]);
}

/* ---- answers --------------------------------------------------------------------------------- */

static bool
is_temporary(enum ph_code code)
{
	return code != PH_ENOHOST && code != PH_EREFUSED;
}

/* Every host is unusable: the reason that decides. */
static void
sum_up(struct ph__route *r)
{
	const struct ph__host *first = NULL;

	if (r->state != PH__ROUTE_KNOWN || r->error.code != PH_OK)
		return;
	for (size_t i = 0; i < r->host_count; i++) {
		const struct ph__host *h = &r->hosts[i];

		if (h->is.state != PH__HOST_UNUSABLE)
			return;
		if (first == NULL || is_temporary(h->is.error.code) > is_temporary(first->is.error.code))
			first = h;
	}
	if (first == NULL)
		return;
	r->error = first->is.error;
	if (!is_temporary(r->error.code) && !r->implicit) {
		ph__fail(&r->error, first->is.error.code, PH_STAGE_ROUTE, PH_CAUSE_MX_UNUSABLE,
		         "none of the mail servers of %s can be used (RFC 5321 section 5.1): %.300s",
		         r->domain, first->is.error.text);
		set_enhanced(&r->error, 4, 4);
	}
}

void
ph__route_answer(struct ph__route *r, unsigned id, const struct ph__answer *a)
{
	static const struct ph__dns_answer none = { .status = PH__DNS_FAILED };
	static const struct ph__sts_answer no_policy = { .policy = NULL };
	struct ph__route_ask *ask = find_open(r, id);
	const struct ph__dns_answer *dns = a->kind == PH__ASK_DNS ? &a->dns : &none;

	if (ask == NULL || r->state == PH__ROUTE_FAILED)
		return;
	ask->answered = true;
	if (ask->q.kind == PH__ASK_STS)
		answer_sts(r, a->kind == PH__ASK_STS ? &a->sts : &no_policy);
	else if (ask->host != NULL)
		ph__host_answer(ask->host, ask->q.type, dns);
	else if (ask->q.type == PH__DNS_TXT)
		answer_txt(r, dns);
	else
		answer_mx(r, dns);
	sum_up(r);
}

/* ---- the object ------------------------------------------------------------------------------ */

/* A-labels in lower case, or a literal as it is. */
static enum ph_code
read_name(struct ph__route *r, const char *text, char **ret, struct ph_error *err)
{
	struct ph__buf b;
	enum ph_code rc;

	ph__buf_init(&b, &r->mem, PH__DOMAIN_MAX);
	rc = ph__domain_canonical(&b, ph__str(text != NULL ? text : ""), err);
	if (rc == PH_OK && (*ret = ph__arena_strndup(&r->arena, ph__buf_cstr(&b), b.len)) == NULL)
		rc = ph__fail_nomem(err, PH_STAGE_ROUTE);
	ph__buf_done(&b);
	return rc;
}

static enum ph_code
copy_own_names(struct ph__route *r, struct ph_error *err)
{
	size_t n = r->opts.own_name_count;
	char **names = ph__arena_alloc(&r->arena, n * sizeof *names);

	if (names == NULL)
		return ph__fail_nomem(err, PH_STAGE_ROUTE);
	for (size_t i = 0; i < n; i++) {
		enum ph_code rc = read_name(r, r->opts.own_names[i], &names[i], err);

		if (rc != PH_OK)
			return rc;
	}
	r->opts.own_names = (const char *const *)names;
	return PH_OK;
}

/* RFC 5321 §4.1.3. ph__domain_canonical() has seen that what is in the brackets is an address, or a
 * tag with something else. It has no MX records, no DANE and no MTA-STS. */
static enum ph_code
begin_literal(struct ph__route *r, struct ph_error *err)
{
	struct ph_str text = { r->domain + 1, strlen(r->domain) - 2 };
	bool six = ph__str_begins(text, "ipv6:");
	struct ph__mx itself = { 0, NULL };
	struct ph__host *h;

	if (six)
		text = (struct ph_str){ text.ptr + 5, text.len - 5 };
	else if (memchr(text.ptr, ':', text.len) != NULL)
		return ph__fail(err, PH_EINPUT, PH_STAGE_ROUTE, PH_CAUSE_ARGUMENT,
		                "%s is not an address that mail can be sent to; [192.0.2.1] and "
		                "[IPv6:2001:db8::1] are", r->domain);
	if ((itself.name = ph__arena_strndup(&r->arena, text.ptr, text.len)) == NULL)
		return ph__fail_nomem(err, PH_STAGE_ROUTE);
	r->sts_known = true;
	if (is_own(r, r->domain)) {
		fail_loop(r);
		return PH_OK;
	}
	if (r->opts.dane == PH_DANE_REQUIRED) {
		fail(r, PH_ESECURITY, PH_CAUSE_NO_DNSSEC,
		     "DANE is required, and there is none for an address");
		return PH_OK;
	}
	if (!make_hosts(r, &itself, 1))
		return ph__fail_nomem(err, PH_STAGE_ROUTE);
	h = &r->hosts[0];
	h->addresses[0] = itself.name;
	h->is.addresses = h->addresses;
	h->is.address_count = 1;
	h->is.tls = r->opts.verified_only ? PH__HOST_MUST_NAME : PH__HOST_MAY;
	h->is.state = PH__HOST_READY;
	if (r->opts.family == (six ? 4 : 6)) {
		ph__fail(&h->is.error, PH_EDEFERRED, PH_STAGE_ROUTE, PH_CAUSE_NO_SUCH_HOST,
		         "%s is not an IPv%d address, and no others are used", itself.name, r->opts.family);
		h->is.state = PH__HOST_UNUSABLE;
		sum_up(r);
	}
	return PH_OK;
}

static enum ph_code
begin_domain(struct ph__route *r, struct ph_error *err)
{
	char name[PH__NAME_TEXT_MAX + 1];
	int n = snprintf(name, sizeof name, "_mta-sts.%s", r->domain);
	char *kept;

	if (!ph__name_is_host(ph__str(r->domain))) {
		ph__fail(err, PH_EINPUT, PH_STAGE_ROUTE, PH_CAUSE_ARGUMENT,
		         "'%s' is not a domain: it is too long, or ends with a number", r->domain);
		ph__hint(err, "an address stands in brackets: [192.0.2.1]");
		return PH_EINPUT;
	}
	ph__route_ask(r, NULL, PH__DNS_MX, r->domain);
	r->sts_known = r->opts.no_mta_sts || (size_t)n >= sizeof name;
	if (!r->sts_known) {
		if ((kept = ph__arena_strndup(&r->arena, name, (size_t)n)) == NULL)
			return ph__fail_nomem(err, PH_STAGE_ROUTE);
		ph__route_ask(r, NULL, PH__DNS_TXT, kept);
	}
	return r->state == PH__ROUTE_FAILED ? ph__fail_nomem(err, PH_STAGE_ROUTE) : PH_OK;
}

enum ph_code
ph__route_new(struct ph__route **ret, const struct ph__route_opts *opts,
              const struct ph_allocator *mem, struct ph_error *err)
{
	struct ph__route *r = ph__alloc0(mem, sizeof *r);
	enum ph_code rc;

	*ret = NULL;
	if (r == NULL)
		return ph__fail_nomem(err, PH_STAGE_ROUTE);
	r->mem = *mem;
	ph__arena_init(&r->arena, &r->mem);
	r->opts = *opts;
	r->error = (struct ph_error)PH_ERROR_INIT;
	r->tail = &r->asks;
	rc = read_name(r, opts->domain, &r->domain, err);
	if (rc == PH_OK && opts->own_name_count != 0)
		rc = copy_own_names(r, err);
	if (rc == PH_OK)
		rc = r->domain[0] == '[' ? begin_literal(r, err) : begin_domain(r, err);
	if (rc != PH_OK) {
		ph__route_free(&r);
		return rc;
	}
	r->opts.domain = r->domain;
	*ret = r;
	return PH_OK;
}

void
ph__route_free(struct ph__route **p)
{
	struct ph__route *r = *p;
	struct ph_allocator mem;

	if (r == NULL)
		return;
	*p = NULL;
	mem = r->mem;
	ph__sts_policy_free(&r->sts, &mem);
	ph__arena_done(&r->arena);
	ph__free(&mem, r);
}

enum ph__route_state
ph__route_state(const struct ph__route *r)
{
	return r->state;
}

const struct ph_error *
ph__route_error(const struct ph__route *r)
{
	return &r->error;
}

size_t
ph__route_host_count(const struct ph__route *r)
{
	return r->host_count;
}

const struct ph__route_host *
ph__route_host(const struct ph__route *r, size_t i)
{
	return i < r->host_count ? &r->hosts[i].is : NULL;
}

const char *
ph__route_domain(const struct ph__route *r)
{
	return r->domain;
}

enum ph__dns_trust
ph__route_trust(const struct ph__route *r)
{
	return r->trust;
}

bool
ph__route_is_implicit(const struct ph__route *r)
{
	return r->implicit;
}

const struct ph__sts_policy *
ph__route_sts(const struct ph__route *r)
{
	return r->sts;
}

const char *
ph__route_sts_problem(const struct ph__route *r)
{
	return r->sts_problem;
}

bool
ph__route_is_settled(const struct ph__route *r)
{
	if (r->state != PH__ROUTE_KNOWN)
		return r->state == PH__ROUTE_FAILED;
	for (size_t i = 0; i < r->host_count; i++)
		if (r->hosts[i].is.state == PH__HOST_ASKING)
			return false;
	return true;
}
