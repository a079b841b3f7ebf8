/* SPDX-License-Identifier: MIT */
/* The sink's rules: any file of them is taken or complained of, and what is taken can be carried
 * out: a reply that is left alone stays as it is. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/bounds.h"
#include "sink/rules.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The C library's expressions are its own: some take a minute. */
static bool
is_costly(struct ph_str s)
{
	size_t special = 0;

	for (size_t i = 0; i < s.len; i++)
		special += strchr("{*+?(|", s.ptr[i]) != NULL;
	return special > 6 || memchr(s.ptr, '{', s.len) != NULL || memchr(s.ptr, '\\', s.len) != NULL;
}

static void
judge_rule(const struct ph__rule *r)
{
	assert(r->stage < PH__RULE_STAGES && r->percent <= 100 && r->first <= r->last);
	assert(r->reply.code == 0 || (r->reply.code >= 200 && r->reply.code < 600));
	assert(r->delay <= r->delay_max && r->delay_max <= PH__SINK_MS_PAUSE);
	assert(r->late_after <= PH__SINK_MS_PAUSE && r->pause <= PH__SINK_MS_PAUSE);
	assert(r->say != PH__RULE_SAY_RAW || r->raw.ptr != NULL);
	assert(r->reply.text == NULL || strlen(r->reply.text) <= PH__SERVER_TEXT_MAX);
}

static void
carry_out(struct ph__rules *rs)
{
	static const char said[] = "250-first\r\n250 last\r\n";
	struct ph__rule_peer p;
	struct ph__buf out;
	bool ok = ph__rule_peer_init(rs, &p, 1);

	assert(ok);
	ph__buf_init(&out, &ph__libc_memory, PH__SINK_REPLY + 1024);
	for (unsigned stage = 0; stage < PH__RULE_COMMAND; stage++) {
		const struct ph__rule_event ev = { .stage = (enum ph__rule_stage)stage, .verb = "MAIL",
		                                   .argument = { "FROM:<a@b>", 10 }, .to = 10 };
		const struct ph__rule *r = ph__rules_match(rs, &p, &ev);

		if (r == NULL)
			continue;
		assert(r->stage == stage || r->stage == PH__RULE_COMMAND);
		assert(ph__rule_delay(r, &p) <= PH__SINK_MS_PAUSE);
		ph__buf_reset(&out);
		if (r->length > 65536)
			continue;
		ph__rule_dress(r, &p, (struct ph_str){ said, sizeof said - 1 }, &out);
		assert(ph__buf_ok(&out));
		if (ph__rule_is_plain(r))
			assert(out.len == sizeof said - 1 && memcmp(out.p, said, out.len) == 0);
		if (r->say == PH__RULE_SAY_REPLY && r->length != 0 && r->inject.len == 0)
			assert(out.len >= r->length && memcmp(out.p + out.len - 2, "\r\n", 2) == 0);
	}
	ph__buf_done(&out);
	ph__rule_peer_done(rs, &p);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct ph_str text = { (const char *)data, size };
	struct ph_error err = PH_ERROR_INIT;
	struct ph__rules rs;

	if (memmem(data, size, ":/", 2) != NULL && is_costly(text))
		return 0;
	ph__rules_init(&rs, &ph__libc_memory, 1);
	if (ph__rules_add_lines(&rs, "rules", text, &err) == PH_OK)
		carry_out(&rs);
	else
		assert(err.code == PH_EUSAGE && err.text[0] != '\0' &&
		       (!ph__str_is_utf8(text) || ph__str_is_utf8(ph__str(err.text))));
	for (size_t i = 0; i < rs.count; i++)
		judge_rule(&rs.rows[i]);
	ph__rules_done(&rs);
	return 0;
}
