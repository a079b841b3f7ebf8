/* SPDX-License-Identifier: MIT */
/* A route whose every question is answered with anything: it settles, asks a bounded number of
 * questions, shows printable ASCII only, and never turns a bogus or failed answer into less security.
 * The first octets are the options, the rest are answers: status, trust, canonical name, records. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/bounds.h"
#include "base/mem.h"
#include "route/route.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
	const uint8_t *p;
	size_t left;
};

static uint8_t
octet(struct input *in)
{
	if (in->left == 0)
		return 0;
	in->left--;
	return *in->p++;
}

static struct ph_str
octets(struct input *in, size_t n)
{
	struct ph_str s = { (const char *)in->p, n < in->left ? n : in->left };

	in->p += s.len;
	in->left -= s.len;
	return s;
}

static void
answer_sts(struct ph__route *r, const struct ph__question *q, struct input *in)
{
	char *mx[] = { (char *)"mx.a.example", (char *)"*.b.example", (char *)"a" };
	unsigned n = octet(in);
	struct ph__sts_policy policy = { .mode = n % 3, .max_age = 1, .id = (char *)"1", .mx = mx,
	                                 .mx_count = 3 };
	struct ph__answer a = { .kind = PH__ASK_STS };

	a.sts.policy = n & 4 ? &policy : NULL;
	a.sts.failure = n >> 3 & 3;
	ph__route_answer(r, q->id, &a);
}

static void
answer_dns(struct ph__route *r, const struct ph__question *q, struct input *in)
{
	static const char *const canonicals[] = { "b.example", "x.y.B.example", "a b\x1b", "." };
	struct ph_str records[128];
	struct ph__answer a = { .kind = PH__ASK_DNS };
	uint8_t how = octet(in);
	size_t count = octet(in) % 129;

	a.dns.status = how % 5;
	a.dns.trust = how / 5 % 3;
	a.dns.canonical = how & 128 ? canonicals[how >> 5 & 3] : NULL;
	a.dns.why = how & 64 ? "\x1b[2J\xff" : NULL;
	for (size_t i = 0; i < count && in->left != 0; i++) {
		size_t len = octet(in);

		records[a.dns.count++] = octets(in, len);
	}
	a.dns.data = records;
	ph__route_answer(r, q->id, &a);
	if (q->type == PH__DNS_MX && (a.dns.trust == PH__DNS_BOGUS || a.dns.status >= PH__DNS_FAILED))
		assert(ph__route_state(r) == PH__ROUTE_FAILED);
}

static void
judge_text(const char *s)
{
	for (; *s != '\0'; s++)
		assert(*s > ' ' && *s < 0x7f);
}

static void
judge_host(const struct ph__route *r, const struct ph__route_host *h, const struct ph__route_opts *o)
{
	judge_text(h->name);
	if (h->state == PH__HOST_UNUSABLE) {
		assert(h->error.code != PH_OK && h->error.text[0] != '\0');
		assert(memchr(h->error.text, '\x1b', sizeof h->error.text) == NULL);
		return;
	}
	assert(h->state == PH__HOST_READY);
	assert(h->address_count != 0 && h->address_count <= PH__MX_ADDRESSES);
	for (size_t i = 0; i < h->address_count; i++)
		judge_text(h->addresses[i]);
	assert((h->tls == PH__HOST_MUST_DANE) == (h->tlsa_count != 0));
	assert(h->tls != PH__HOST_MUST_DANE || (h->base != NULL && h->tlsa != NULL));
	assert(ph__route_sts(r) == NULL || ph__route_sts(r)->mode != PH__STS_ENFORCE ||
	       h->tls == PH__HOST_MUST_DANE || h->tls == PH__HOST_MUST_STS || h->tls == PH__HOST_MUST_NAME);
	assert(!o->verified_only || (h->tls != PH__HOST_MAY && h->tls != PH__HOST_MUST_TLS &&
	                             h->tls != PH__HOST_MAY_STS));
	assert(o->dane != PH_DANE_REQUIRED || (h->tls == PH__HOST_MUST_DANE &&
	                                       ph__route_trust(r) == PH__DNS_SECURE));
	for (size_t i = 0; h->names[i] != NULL; i++)
		judge_text(h->names[i]);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const own[] = { "own.example", "b" };
	static const int families[] = { 0, 4, 6, 0 };
	struct input in = { data, size };
	unsigned how = octet(&in), asked = 0;
	struct ph__route_opts o = { .domain = "a.example", .port = 25, .dane = how % 3,
		.no_mta_sts = how & 4, .verified_only = how & 8, .family = families[how >> 4 & 3],
		.own_names = own, .own_name_count = how & 64 ? 2 : 0, .seed = how };
	struct ph__route *r;
	struct ph__question q;

	if (ph__route_new(&r, &o, &ph__libc_memory, NULL) != PH_OK)
		abort();
	while (ph__route_question(r, &q)) {
		judge_text(q.name);
		assert(strlen(q.name) <= 253 && ++asked <= 3 + 5 * PH__MX_MAX);
		if (q.kind == PH__ASK_STS)
			answer_sts(r, &q, &in);
		else
			answer_dns(r, &q, &in);
	}
	assert(ph__route_is_settled(r));
	assert(ph__route_state(r) == PH__ROUTE_KNOWN || ph__route_error(r)->code != PH_OK);
	if (ph__route_state(r) == PH__ROUTE_KNOWN)
		for (size_t i = 0; i < ph__route_host_count(r); i++)
			judge_host(r, ph__route_host(r, i), &o);
	assert(ph__route_same(r, r));
	ph__route_free(&r);
	return 0;
}
