/* SPDX-License-Identifier: MIT */
/* The PROXY header as the sink takes it: what comes piece by piece is found where it is found whole
 * and not before, and who connected is an address and a port, or as it was. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "sink/private.h"

#define PEER sizeof ((struct ph__sink_conn *)NULL)->peer

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
judge_peer(const char *peer, size_t size)
{
	size_t n = strnlen(peer, size);

	assert(n != 0 && n < size);
	assert(strspn(peer, "0123456789abcdefghijklmnopqrstuvwxyz.:[]") == n);
	assert(strcmp(peer, "nobody") == 0 || strrchr(peer, ':') != NULL);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct ph_str in = { (const char *)data, size };
	char peer[PEER] = "nobody", early[PEER];
	size_t used = 0;
	enum ph__sink_proxy whole = ph__sink_proxy_parse(in, &used, peer, sizeof peer);
	size_t first = whole == PH__SINK_PROXY_DONE ? used : size;

	if (whole == PH__SINK_PROXY_DONE) {
		assert(used > 0 && used <= size);
		judge_peer(peer, sizeof peer);
	}
	for (size_t n = 0; n < first && n < 300; n++) {
		size_t taken = 0;
		enum ph__sink_proxy part;

		strcpy(early, "nobody");
		part = ph__sink_proxy_parse((struct ph_str){ in.ptr, n }, &taken, early, sizeof early);
		assert(part == PH__SINK_PROXY_MORE || (part == PH__SINK_PROXY_WRONG && whole == part));
		assert(strcmp(early, "nobody") == 0);
	}
	return 0;
}
