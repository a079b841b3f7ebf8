/* SPDX-License-Identifier: MIT */
/* Stages of a probe. See probe_stage.h. Pure. */
#include "cli/probe_stage.h"

#include <stdio.h>
#include <string.h>
#include "base/str.h"

static const struct { const char *name; int status; } stages[] = {
	{ "", 0 },
#define PH_X(sym, name, status) { name, status },
	PH__PROBE_STAGE_MAP(PH_X)
#undef PH_X
};

static const struct { const char *word; enum ph__probe_stage stage; } others[] = {
	{ "connect", PH__PROBE_GREETING }, { "banner", PH__PROBE_GREETING },
	{ "first-helo", PH__PROBE_EHLO }, { "first-ehlo", PH__PROBE_EHLO },
	{ "first-lhlo", PH__PROBE_EHLO }, { "lhlo", PH__PROBE_HELO }, { "starttls", PH__PROBE_TLS },
	{ "from", PH__PROBE_MAIL }, { "to", PH__PROBE_RCPT }, { "dot", PH__PROBE_BODY },
};

const char *
ph__probe_stage_name(enum ph__probe_stage s)
{
	return stages[s].name;
}

int
ph__probe_stage_status(enum ph__probe_stage s)
{
	return stages[s].status;
}

static bool
may_stop(enum ph__probe_stage s, bool dropping)
{
	return s >= PH__PROBE_GREETING && s <= (dropping ? PH__PROBE_BODY : PH__PROBE_DATA) &&
	       s != PH__PROBE_QUESTION;
}

enum ph__probe_stage
ph__probe_stage_of(const char *word, bool dropping)
{
	enum ph__probe_stage found = PH__PROBE_NOWHERE;

	for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
		if (ph__cstr_eq_nocase(word, others[i].word))
			found = others[i].stage;
	for (size_t s = 1; s < PH__PROBE_STAGES && found == PH__PROBE_NOWHERE; s++)
		if (ph__cstr_eq_nocase(word, stages[s].name))
			found = (enum ph__probe_stage)s;
	return may_stop(found, dropping) ? found : PH__PROBE_NOWHERE;
}

void
ph__probe_stage_list(char *buf, size_t size, bool dropping)
{
	size_t used = 0;

	*buf = '\0';
	for (size_t s = 1; s < PH__PROBE_STAGES; s++)
		if (may_stop((enum ph__probe_stage)s, dropping) && used < size)
			used += (size_t)snprintf(buf + used, size - used, "%s%s", used != 0 ? ", " : "",
			                         stages[s].name);
}

/* ---- --expect -------------------------------------------------------------------------------- */

static bool
is_code(struct ph_str s)
{
	if (s.len != 3 || s.ptr[0] < '2' || s.ptr[0] > '5')
		return false;
	for (size_t i = 1; i < 3; i++)
		if (!ph__is_digit(s.ptr[i]) && ph__lower(s.ptr[i]) != 'x')
			return false;
	return true;
}

/* One of the three numbers of an enhanced code; "x" is any. */
static bool
is_number(struct ph_str s, uint64_t max)
{
	uint64_t n;

	return ph__str_is(s, "X") || (s.len <= 3 && ph__str_to_uint(s, max, &n));
}

static bool
is_enhanced(struct ph_str s)
{
	struct ph_str rest = s, class = ph__str_cut(&rest, '.');
	struct ph_str subject = rest.ptr != NULL ? ph__str_cut(&rest, '.') : (struct ph_str){ "", 0 };

	return is_number(class, 5) && is_number(subject, 999) && rest.ptr != NULL && is_number(rest, 999);
}

bool
ph__probe_expect_check(const char *list)
{
	struct ph_str rest = ph__str(list);

	while (rest.ptr != NULL) {
		struct ph_str word = ph__str_trim(ph__str_cut(&rest, ','));

		if (!is_code(word) && !is_enhanced(word))
			return false;
	}
	return true;
}

static bool
code_fits(struct ph_str word, unsigned code)
{
	char digits[8];

	snprintf(digits, sizeof digits, "%03u", code);
	for (size_t i = 0; i < 3; i++)
		if (word.ptr[i] != digits[i] && ph__lower(word.ptr[i]) != 'x')
			return false;
	return true;
}

static bool
enhanced_fits(struct ph_str word, const uint16_t enhanced[3])
{
	for (size_t i = 0; i < 3; i++) {
		struct ph_str part = ph__str_cut(&word, '.');
		uint64_t n;

		if (!ph__str_is(part, "X") && (!ph__str_to_uint(part, 999, &n) || n != enhanced[i]))
			return false;
	}
	return enhanced[0] != 0;
}

bool
ph__probe_expect_met(const char *list, const struct ph_reply *reply)
{
	struct ph_str rest = ph__str(list);

	while (reply->code != 0 && rest.ptr != NULL) {
		struct ph_str word = ph__str_trim(ph__str_cut(&rest, ','));

		if (is_code(word) ? code_fits(word, reply->code) : enhanced_fits(word, reply->enhanced))
			return true;
	}
	return false;
}
