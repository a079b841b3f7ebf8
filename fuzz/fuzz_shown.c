/* SPDX-License-Identifier: MIT */
/* What a peer's octets are shown as: always UTF-8 without a control, whatever they are, and the same
 * when shown again; what is searched for a hint stays in bounds. The first two octets choose the
 * reply's code. */
#include <assert.h>
#include <string.h>

#include "base/error.h"
#include "base/escape.h"
#include "base/json.h"
#include "route/hint.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
judge_escaped(struct ph_str s)
{
	struct ph__buf once, twice;

	ph__buf_init(&once, &ph__libc_memory, 1 << 26);
	ph__buf_init(&twice, &ph__libc_memory, 1 << 26);
	ph__escape(&once, s, false);
	ph__escape(&twice, ph__buf_str(&once), false);
	assert(ph__str_is_utf8(ph__buf_str(&once)) && !ph__str_has_control(ph__buf_str(&once)));
	assert(ph__str_eq(ph__buf_str(&once), ph__buf_str(&twice)));
	ph__buf_done(&once);
	ph__buf_done(&twice);
}

static void
judge_json(struct ph_str s)
{
	struct ph__buf out;
	struct ph__json j = { .out = &out };

	ph__buf_init(&out, &ph__libc_memory, 1 << 26);
	ph__json_object(&j, NULL);
	ph__json_text(&j, "text", s);
	ph__json_end_object(&j);
	assert(ph__str_is_utf8(ph__buf_str(&out)) && !ph__str_has_control(ph__buf_str(&out)));
	ph__buf_done(&out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ph_error err = PH_ERROR_INIT;
	char quoted[PH__QUOTE_SIZE];
	struct ph_str s;

	if (size < 2)
		return 0;
	s = (struct ph_str){ (const char *)data + 2, size - 2 };
	judge_escaped(s);
	judge_json(s);
	ph__fail(&err, PH_EREFUSED, (enum ph_stage)(data[0] % PH_STAGE_COUNT), PH_CAUSE_REPLY, "%s",
	         ph__quote(quoted, s));
	assert(ph__str_is_utf8(ph__str(err.text)) && strlen(err.text) == strlen(quoted));
	err.reply = (uint16_t)(200 + data[1] * 2);
	ph__hint_add(&err, "smtp.qq.com", 465, s, &ph__libc_memory);
	assert(ph__str_is_utf8(ph__str(err.hint)));
	return 0;
}
