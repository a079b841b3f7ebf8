/* SPDX-License-Identifier: MIT */
/* MTA-STS: TXT records as a resolver hands them over, and policies as a web server does. What was
 * understood is understood the same after it was written. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/bounds.h"
#include "base/buf.h"
#include "route/mta_sts.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Records of the length that stands before each, modulo what is left. */
static void
scan_records(const uint8_t *p, size_t n)
{
	struct ph_str data[8];
	struct ph__dns_answer a = { .status = PH__DNS_FOUND, .data = data };
	char id[33];

	for (; n != 0 && a.count < 8; a.count++) {
		size_t len = p[0] % n;

		data[a.count] = (struct ph_str){ (const char *)p + 1, len };
		p += len + 1;
		n -= len + 1;
	}
	if (!ph__sts_record(&a, id))
		return;
	assert(id[0] != '\0' && strlen(id) <= 32);
	for (const char *c = id; *c != '\0'; c++)
		assert(ph__is_alnum(*c));
}

static void
check_patterns(const struct ph__sts_policy *p)
{
	for (size_t i = 0; i < p->mx_count; i++) {
		const char *mx = p->mx[i];
		char name[PH__STS_NAME_MAX + 8] = "a";
		bool wild = mx[0] == '*';

		for (const char *c = mx + (wild ? 2 : 0); *c != '\0'; c++)
			assert(ph__is_alnum(*c) ? ph__lower(*c) == *c : strchr("-_.", *c) != NULL);
		strncat(name, mx + 1, sizeof name - 2);
		assert(ph__sts_matches(p, wild ? name : mx));
	}
}

static void
scan_policy(struct ph_str text)
{
	struct ph__sts_policy *p, *again;
	struct ph__buf out;

	if (ph__sts_policy_parse(&p, text, "id", &ph__libc_memory, NULL) != PH_OK) {
		assert(p == NULL);
		return;
	}
	assert(p->max_age <= PH__POLICY_AGE_MAX && p->mx_count <= PH__POLICY_MX_MAX);
	assert(p->mx_count != 0 || p->mode == PH__STS_NONE);
	check_patterns(p);
	ph__buf_init(&out, &ph__libc_memory, PH__POLICY_MAX);
	ph__buf_addf(&out, "version:STSv1\nmode:%s\nmax_age:%u", ph__sts_mode_name(p->mode), p->max_age);
	for (size_t i = 0; i < p->mx_count; i++)
		ph__buf_addf(&out, "\nmx:%s", p->mx[i]);
	assert(ph__buf_ok(&out)); /* it is never longer than what was read: the cache relies on it */
	assert(ph__sts_policy_parse(&again, ph__buf_str(&out), "id", &ph__libc_memory, NULL) == PH_OK);
	assert(again->mode == p->mode && again->max_age == p->max_age &&
	       again->mx_count == p->mx_count);
	for (size_t i = 0; i < p->mx_count; i++)
		assert(strcmp(p->mx[i], again->mx[i]) == 0);
	ph__buf_done(&out);
	ph__sts_policy_free(&again, &ph__libc_memory);
	ph__sts_policy_free(&p, &ph__libc_memory);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	if (data[0] == 'R')
		scan_records(data + 1, size - 1);
	else
		scan_policy((struct ph_str){ (const char *)data, size });
	return 0;
}
