/* SPDX-License-Identifier: MIT */
/* The reply parser: any octets in any cutting give the same replies as the same octets whole. The
 * first octet chooses the cutting. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "smtp/ext.h"
#include "smtp/reply.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct seen {
	unsigned replies;
	size_t   octets;  /* of texts */
	unsigned sum;
	bool     bad;
};

static void
take(struct seen *s, const struct ph_reply *r)
{
	struct ph__extensions e;

	assert(r->code >= 200 && r->code < 600);
	assert(r->text[r->len] == '\0');
	assert(r->enhanced[0] == 0 || r->enhanced[0] == r->code / 100);
	s->replies++;
	s->octets += r->len;
	for (size_t i = 0; i < r->len; i++)
		s->sum = s->sum * 31 + (unsigned char)r->text[i];
	ph__ext_init(&e, &ph__libc_memory);
	assert(ph__ext_parse(&e, (struct ph_str){ r->text, r->len }));
	ph__ext_offers_mechanism(&e, "PLAIN");
	ph__ext_done(&e);
}

static void
parse(const uint8_t *data, size_t size, size_t step, struct seen *s)
{
	struct ph__reply_parser r;
	struct ph_reply reply;
	size_t have = 0, used;
	char *in = malloc(size + 1);

	memset(s, 0, sizeof *s);
	ph__reply_init(&r, &ph__libc_memory);
	for (size_t at = 0; at < size && !s->bad; ) {
		size_t part = step < size - at ? step : size - at;
		enum ph__reply_state state;

		memcpy(in + have, data + at, part);
		at += part;
		have += part;
		do {
			memset(&reply, 0, sizeof reply);
			state = ph__reply_feed(&r, in, have, &used, &reply);
			assert(used <= have);
			if (state == PH__REPLY_DONE)
				take(s, &reply);
			s->bad = state == PH__REPLY_BAD;
			memmove(in, in + used, have - used);
			have -= used;
		} while (state == PH__REPLY_DONE && have != 0);
	}
	ph__reply_done(&r);
	free(in);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct seen whole, cut;

	if (size == 0)
		return 0;
	parse(data + 1, size - 1, size, &whole);
	parse(data + 1, size - 1, data[0] % 64 + 1, &cut);
	assert(memcmp(&whole, &cut, sizeof whole) == 0);
	return 0;
}
