/* SPDX-License-Identifier: MIT */
/* TLSA records as a resolver hands them over: what counts as usable is whole, and its text fits. */
#include <assert.h>
#include <string.h>

#include "base/bounds.h"
#include "route/dane.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_text(const struct ph_tlsa *r)
{
	char text[64];

	for (size_t size = 1; size <= sizeof text; size++) {
		memset(text, 'x', sizeof text);
		ph__tlsa_text(text, size, r);
		assert(memchr(text, '\0', size) != NULL);
		assert(size == sizeof text || text[size] == 'x');
	}
}

static void
check_one(struct ph_str data)
{
	struct ph_tlsa r;

	if (!ph__tlsa_parse(&r, data))
		return;
	assert(r.len + 3 == data.len && (const char *)r.data == data.ptr + 3);
	check_text(&r);
	if (!ph__tlsa_is_usable(&r))
		return;
	assert((r.usage == 2 || r.usage == 3) && r.selector <= 1 && r.matching <= 2);
	assert(r.matching == 0 || r.len == (r.matching == 1 ? 32u : 64u));
	assert(r.len != 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ph_str records[2 * PH__TLSA_MAX];
	struct ph__dns_answer a = { .status = PH__DNS_FOUND, .trust = PH__DNS_SECURE, .data = records };
	const struct ph_tlsa *usable;
	struct ph__arena arena;
	size_t count;

	for (; size != 0 && a.count < 2 * PH__TLSA_MAX; a.count++) {
		size_t len = data[0] % size;

		records[a.count] = (struct ph_str){ (const char *)data + 1, len };
		check_one(records[a.count]);
		data += len + 1;
		size -= len + 1;
	}
	ph__arena_init(&arena, &ph__libc_memory);
	usable = ph__tlsa_usable(&a, &count, &arena);
	assert(count <= PH__TLSA_MAX && count <= a.count && (usable == NULL) == (count == 0));
	for (size_t i = 0; i < count; i++)
		assert(ph__tlsa_is_usable(&usable[i]));
	ph__arena_done(&arena);
	return 0;
}
