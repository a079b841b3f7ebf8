/* SPDX-License-Identifier: MIT */
/* Addresses, the decoders, and the writer of text fields: an accepted address holds nothing that
 * ends a command, and no text forges a header line. */
#include <assert.h>
#include <string.h>

#include "base/base64.h"
#include "mail/address.h"
#include "mail/encode.h"
#include "mail/header.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
judge_address(struct ph_str s)
{
	struct ph__buf out;
	struct ph_str bare;
	bool utf8 = false;

	if (ph__address_bare(s, &bare, NULL) == PH_OK && bare.len != 0)
		assert(ph__address_check(bare, NULL, NULL) == PH_OK);
	if (ph__address_check(s, &utf8, NULL) != PH_OK)
		return;
	assert(!ph__str_has_control(s) && utf8 == !ph__str_is_ascii(s) && s.len <= 254);
	ph__buf_init(&out, &ph__libc_memory, 1 << 16);
	if (ph__address_to_ascii(&out, s, NULL) == PH_OK)
		assert(ph__address_check(ph__buf_str(&out), NULL, NULL) == PH_OK);
	ph__buf_done(&out);
}

static void
judge_field(struct ph_str s, enum ph__header_text how)
{
	struct ph__buf out;

	ph__buf_init(&out, &ph__libc_memory, 1 << 26);
	if (ph__header_add_text(&out, ph__str("Subject"), s, how, NULL) == PH_OK) {
		struct ph_str rest = ph__buf_str(&out);

		assert(ph__str_is_ascii(rest) && rest.len >= 2);
		for (bool first = true; rest.len != 0; first = false) {
			struct ph_str line = ph__take_line(&rest);

			assert(line.len <= 998 && !ph__str_has_control(line) &&
			       memcmp(rest.ptr - 2, "\r\n", 2) == 0);
			assert(first || line.ptr[0] == ' ');
		}
	} else {
		assert(out.len == 0);
	}
	ph__buf_done(&out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ph_str s = { (const char *)data, size };
	struct ph__buf out;

	judge_address(s);
	judge_field(s, PH__HEADER_LITERAL);
	judge_field(s, PH__HEADER_PREPARED);
	ph__buf_init(&out, &ph__libc_memory, 1 << 26);
	ph__base64_decode(&out, s);
	ph__xtext_decode(&out, s);
	ph__qp_encode_text(&out, s);
	ph__buf_done(&out);
	return 0;
}
