/* SPDX-License-Identifier: MIT */
/* --notify, --deliver-by and --hold-until. See send_extensions.h. Their limits are those of RFC
 * 3461 §4.1, RFC 2852 §4 and RFC 4865 §4; times are those of RFC 3339 §5.6. What is plain text, the
 * library judges. */
#include "cli/send_extensions.h"

#include "base/bounds.h"
#include "base/calendar.h"
#include "base/error.h"
#include "base/str.h"

static enum ph_code
usage(struct ph_error *err, const char *option, const char *value, const char *what)
{
	return ph__fail(err, PH_EUSAGE, PH_STAGE_PREPARE, PH_CAUSE_ARGUMENT, "--%s=%s: %s", option,
	                value, what);
}

static enum ph_code
read_notify(struct ph__send_extensions *x, struct ph_error *err)
{
	static const struct { const char *word; unsigned bit; } words[] = {
		{ "never", PH_NOTIFY_NEVER }, { "success", PH_NOTIFY_SUCCESS },
		{ "failure", PH_NOTIFY_FAILURE }, { "delay", PH_NOTIFY_DELAY },
	};
	struct ph_str rest = ph__str(x->notify_words);

	while (rest.ptr != NULL) {
		struct ph_str word = ph__str_cut(&rest, ',');
		unsigned bit = 0;

		for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
			bit |= ph__str_is(word, words[i].word) ? words[i].bit : 0;
		if (bit == 0)
			return usage(err, "notify", x->notify_words,
			             "write never, or some of success, failure and delay with commas between");
		x->notify |= bit;
	}
	if ((x->notify & PH_NOTIFY_NEVER) != 0 && x->notify != PH_NOTIFY_NEVER)
		return usage(err, "notify", x->notify_words, "never stands alone");
	return PH_OK;
}

/* 90, 90s, 30m, 2h, 3d */
static bool
read_seconds(struct ph_str s, uint64_t *ret)
{
	static const struct { char unit; uint32_t seconds; } units[] = {
		{ 's', 1 }, { 'm', 60 }, { 'h', 3600 }, { 'd', 86400 },
	};
	uint32_t each = 1;

	for (size_t i = 0; s.len != 0 && i < sizeof units / sizeof units[0]; i++)
		if (s.ptr[s.len - 1] == units[i].unit) {
			each = units[i].seconds;
			s.len--;
			break;
		}
	if (!ph__str_to_uint(s, PH__SECONDS_MAX / each, ret) || *ret == 0)
		return false;
	*ret *= each;
	return true;
}

static enum ph_code
read_deliver_by(struct ph__send_extensions *x, struct ph_error *err)
{
	struct ph_str rest = ph__str(x->deliver_by_words);
	uint64_t seconds;

	if (!read_seconds(ph__str_cut(&rest, ','), &seconds))
		return usage(err, "deliver-by", x->deliver_by_words,
		             "it begins with a time from now: 90s, 30m, 2h, 3d (999999999 seconds at most)");
	x->by_seconds = (int32_t)seconds;
	while (rest.ptr != NULL) {
		struct ph_str word = ph__str_cut(&rest, ',');
		bool is_return = ph__str_is(word, "return");

		if (ph__str_is(word, "trace") && !x->by_trace)
			x->by_trace = true;
		else if ((is_return || ph__str_is(word, "notify")) && x->by_mode == PH_BY_NONE)
			x->by_mode = is_return ? PH_BY_RETURN : PH_BY_NOTIFY;
		else
			return usage(err, "deliver-by", x->deliver_by_words,
			             "behind the time stands ,return or ,notify, and ,trace");
	}
	if (x->by_mode == PH_BY_NONE)
		x->by_mode = PH_BY_RETURN;
	return PH_OK;
}

static enum ph_code
read_hold(struct ph__send_extensions *x, int64_t now, struct ph_error *err)
{
	if (read_seconds(ph__str(x->hold_words), &x->hold_for))
		return PH_OK;
	if (!ph__date_parse_3339(ph__str(x->hold_words), &x->hold_until))
		return usage(err, "hold-until", x->hold_words,
		             "write a time from now (90s, 30m, 2h, 3d), or a date and time with its offset "
		             "from UTC: 2027-01-31T08:00:00Z, 2027-01-31T08:00:00+01:00");
	if (x->hold_until <= now)
		return usage(err, "hold-until", x->hold_words, "that time is past");
	return PH_OK;
}

enum ph_code
ph__send_extensions_read(struct ph__send_extensions *x, int64_t now, struct ph_error *err)
{
	enum ph_code rc = PH_OK;

	if (x->notify_words != NULL)
		rc = read_notify(x, err);
	if (rc == PH_OK && x->deliver_by_words != NULL)
		rc = read_deliver_by(x, err);
	if (rc == PH_OK && x->hold_words != NULL)
		rc = read_hold(x, now, err);
	return rc;
}
