/* SPDX-License-Identifier: MIT */
#ifndef TESTS_ROUTE_RIG_H
#define TESTS_ROUTE_RIG_H
/* Answers a route's questions from a table of records.
 *
 *     static const struct rr zone[] = {
 *             { "a.example", MX, SECURE, "10 mx.a.example" },
 *             { "mx.a.example", A, SECURE, "192.0.2.1" },
 *             { "_25._tcp.mx.a.example", TLSA, BOGUS, .status = PH__DNS_FAILED },
 *             {0} };
 *     struct rig g = { .zone = zone };
 *     rig_run(&g, "a.example");   ... g.route ...
 *     rig_done(&g);
 *
 * Rows of one name and type are one answer, the first says trust, status and canonical name. What is not
 * in the table is NODATA, insecure, or as `absent` has it. Data that begins with # is in hexadecimal. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>
#include <arpa/inet.h>

#include "base/error.h"
#include "base/mem.h"
#include "route/route.h"

#define COUNT(a) (sizeof(a) / sizeof *(a))

enum { A = PH__DNS_A, AAAA = PH__DNS_AAAA, MX = PH__DNS_MX, TXT = PH__DNS_TXT, TLSA = PH__DNS_TLSA,
       CNAME = PH__DNS_CNAME };
enum { INSECURE = PH__DNS_INSECURE, SECURE = PH__DNS_SECURE, BOGUS = PH__DNS_BOGUS };

struct rr {
	const char *name;
	int type, trust;
	const char *data;            /* NULL: none */
	enum ph__dns_status status;
	const char *canonical;
};

struct rig {
	const struct rr *zone;
	int absent;                  /* trust of what is not there */
	struct ph__route_opts opts;  /* port 0: 25 */
	struct ph__sts_answer sts;
	const struct ph_allocator *mem;
	/* seen */
	struct ph__route *route;
	struct ph_error err;
	char asked[16384];           /* "type:name " each, "sts:domain:id " */
	enum ph_code code;
};

#define RIG_RECORDS 128

static inline size_t
rig_hex(unsigned char *out, const char *s)
{
	size_t n = 0;

	for (; s[0] != '\0' && s[1] != '\0'; s += 2)
		out[n++] = (unsigned char)(ph__hex_value(s[0]) << 4 | ph__hex_value(s[1]));
	return n;
}

static inline size_t
rig_name(unsigned char *out, const char *s)
{
	size_t n = 0;

	while (*s != '\0' && strcmp(s, ".") != 0) {
		const char *dot = strchr(s, '.');
		size_t len = dot != NULL ? (size_t)(dot - s) : strlen(s);

		out[n++] = (unsigned char)len;
		memcpy(out + n, s, len);
		n += len;
		s += len + (dot != NULL);
	}
	out[n++] = 0;
	return n;
}

static inline size_t
rig_wire(unsigned char *out, int type, const char *s)
{
	char *end;
	unsigned long a;

	if (*s == '#')
		return rig_hex(out, s + 1);
	switch (type) {
	case A:
		assert_int_equal(inet_pton(AF_INET, s, out), 1);
		return 4;
	case AAAA:
		assert_int_equal(inet_pton(AF_INET6, s, out), 1);
		return 16;
	case MX:
		a = strtoul(s, &end, 10);
		out[0] = (unsigned char)(a >> 8);
		out[1] = (unsigned char)a;
		return 2 + rig_name(out + 2, end + 1);
	case TXT:
		out[0] = (unsigned char)strlen(s);
		memcpy(out + 1, s, strlen(s));
		return 1 + strlen(s);
	case TLSA: /* "3 1 1 hex" */
		out[0] = (unsigned char)(s[0] - '0');
		out[1] = (unsigned char)(s[2] - '0');
		out[2] = (unsigned char)(s[4] - '0');
		return 3 + rig_hex(out + 3, s + 6);
	default:
		return rig_name(out, s);
	}
}

static inline void
rig_answer(struct rig *g, const struct ph__question *q)
{
	static unsigned char wire[RIG_RECORDS][600];
	struct ph_str data[RIG_RECORDS];
	struct ph__answer a = { .kind = q->kind };
	const struct rr *first = NULL;
	size_t n = 0, at = strlen(g->asked);

	if (q->kind == PH__ASK_STS) {
		snprintf(g->asked + at, sizeof g->asked - at, "sts:%s:%s ", q->name,
		         q->sts_id != NULL ? q->sts_id : "-");
		a.sts = g->sts;
		ph__route_answer(g->route, q->id, &a);
		return;
	}
	snprintf(g->asked + at, sizeof g->asked - at, "%d:%s ", (int)q->type, q->name);
	for (const struct rr *r = g->zone; r->name != NULL; r++) {
		if (r->type != (int)q->type || strcmp(r->name, q->name) != 0)
			continue;
		if (first == NULL)
			first = r;
		if (r->data != NULL && n < RIG_RECORDS) {
			data[n] = (struct ph_str){ (char *)wire[n], rig_wire(wire[n], r->type, r->data) };
			n++;
		}
	}
	a.dns = (struct ph__dns_answer){
		.status = first == NULL || (n == 0 && first->status == PH__DNS_FOUND) ? PH__DNS_NODATA
		                                                                      : first->status,
		.trust = (enum ph__dns_trust)(first != NULL ? first->trust : g->absent),
		.canonical = first != NULL ? first->canonical : NULL,
		.data = data, .count = n, .why = "the \x1b[31mresolver's words",
	};
	ph__route_answer(g->route, q->id, &a);
}

static inline void
rig_begin(struct rig *g, const char *domain)
{
	g->opts.domain = domain;
	if (g->opts.port == 0)
		g->opts.port = 25;
	g->err = (struct ph_error)PH_ERROR_INIT;
	g->asked[0] = '\0';
	g->code = ph__route_new(&g->route, &g->opts, g->mem != NULL ? g->mem : &ph__libc_memory, &g->err);
}

/* Answers what is asked until nothing is. */
static inline void
rig_run(struct rig *g, const char *domain)
{
	struct ph__question q;

	rig_begin(g, domain);
	while (g->code == PH_OK && ph__route_question(g->route, &q))
		rig_answer(g, &q);
	if (g->code == PH_OK)
		assert_true(ph__route_is_settled(g->route));
}

static inline void
rig_done(struct rig *g)
{
	ph__route_free(&g->route);
}

/* "name/preference/state/tls addresses|…" of all hosts. */
static inline const char *
rig_hosts(const struct rig *g)
{
	static const char *const states[] = { "asking", "ready", "unusable" };
	static const char *const tls[] = { "may", "dane", "tls", "sts", "name", "may-sts" };
	static char buf[8192];
	size_t n = 0;

	buf[0] = '\0';
	for (size_t i = 0; i < ph__route_host_count(g->route); i++) {
		const struct ph__route_host *h = ph__route_host(g->route, i);

		n += (size_t)snprintf(buf + n, sizeof buf - n, "%s%s/%u/", i != 0 ? "|" : "", h->name,
		                      h->preference);
		if (h->state != PH__HOST_READY) {
			n += (size_t)snprintf(buf + n, sizeof buf - n, "%s", states[h->state]);
			continue;
		}
		n += (size_t)snprintf(buf + n, sizeof buf - n, "%s", tls[h->tls]);
		for (size_t k = 0; k < h->address_count; k++)
			n += (size_t)snprintf(buf + n, sizeof buf - n, " %s", h->addresses[k]);
	}
	return buf;
}

static inline void
rig_failed(const struct rig *g, enum ph_code code, enum ph_cause cause)
{
	const struct ph_error *e = ph__route_error(g->route);

	if (ph__route_state(g->route) != PH__ROUTE_FAILED || e->code != code || e->cause != cause)
		fail_msg("state %d, %s, %s: %s", (int)ph__route_state(g->route), ph_code_name(e->code),
		         ph_cause_name(e->cause), e->text);
}

static inline void
rig_unusable(const struct rig *g, size_t i, enum ph_code code, enum ph_cause cause, const char *result)
{
	const struct ph__route_host *h = ph__route_host(g->route, i);

	assert_non_null(h);
	if (h->state != PH__HOST_UNUSABLE || h->error.code != code || h->error.cause != cause)
		fail_msg("host %zu: state %d, %s, %s: %s", i, (int)h->state, ph_code_name(h->error.code),
		         ph_cause_name(h->error.cause), h->error.text);
	assert_null(strchr(h->error.text, '\x1b'));
	if (result == NULL)
		assert_null(h->result);
	else
		assert_string_equal(h->result, result);
}

#endif
