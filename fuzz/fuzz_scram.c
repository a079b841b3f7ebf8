/* SPDX-License-Identifier: MIT */
/* SCRAM's client against any server: lines are its messages, "\\r" in one stands for our nonce. It is
 * never content with a server that does not know the password, and stops at the first message that is
 * wrong. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "auth/scram.h"
#include "base/buf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct ph__sasl_link link = { .service = "smtp", .host = "h", .unique = "u",
                                           .unique_len = 1 };

/* Rounds cost time and teach nothing. */
static bool
is_cheap(struct ph_str s)
{
	const char *at = memmem(s.ptr, s.len, "i=", 2);

	return at == NULL || (size_t)(s.ptr + s.len - at) < 6;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct ph__scram_opts o = {
		.name = size % 2 ? "SCRAM-SHA-1" : "SCRAM-SHA-256-PLUS", .user = "u", .password = "p",
		.link = &link, .nonce = "NONCE",
	};
	struct ph_str rest = { (const char *)data, size }, out;
	struct ph__scram *s;
	bool done = false;
	int rc;

	if (ph__scram_new(&s, &o, &ph__libc_memory, NULL) != PH_OK)
		return 0;
	rc = ph__scram_step(s, (struct ph_str){ NULL, 0 }, &out, &done, NULL);
	assert(rc == PH_OK && !done);
	while (rest.len != 0 && rc == PH_OK) {
		const char *lf = memchr(rest.ptr, '\n', rest.len);
		struct ph_str line = { rest.ptr, lf != NULL ? (size_t)(lf - rest.ptr) : rest.len };
		struct ph__buf b;

		ph__buf_init(&b, &ph__libc_memory, 1 << 20);
		for (size_t i = 0; i < line.len; i++)
			if (line.ptr[i] == '\r')
				ph__buf_add_str(&b, "NONCE");
			else
				ph__buf_add_char(&b, line.ptr[i]);
		if (!is_cheap(line))
			rc = PH_EPROTOCOL;
		else
			rc = ph__scram_step(s, ph__buf_str(&b), &out, &done, NULL);
		assert(!done);
		assert(rc == PH_OK || out.len == 0 || !is_cheap(line));
		ph__buf_done(&b);
		rest.ptr += line.len + (lf != NULL);
		rest.len -= line.len + (lf != NULL);
	}
	ph__scram_free(&s);
	return 0;
}
