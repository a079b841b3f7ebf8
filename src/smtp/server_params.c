/* SPDX-License-Identifier: MIT */
/* Parameters of MAIL and RCPT: one row each, with the extension that brings it (RFC 1870, 2852, 3461,
 * 4865, 4954 §5, 6152, 6531, 6710, 8689).
 *
 *   parameters = parameter *(SP parameter)
 *   parameter  = keyword ["=" value]; value = 1*(%d33-60 / %d62-126), with SMTPUTF8 any UTF-8 too
 *
 * One that is not offered is answered 555, one whose value is wrong 501 (RFC 5321 §4.1.1.11). What they
 * ask for is the caller's to do. */
#include "smtp/server_private.h"

#include "base/bounds.h"
#include "base/calendar.h"

struct parameter {
	const char *name;
	bool        rcpt;  /* otherwise MAIL's */
	uint32_t    ext;   /* unknown unless offered */
	bool      (*take)(struct ph__server *s, struct ph_str value); /* false: 501 */
};

/* Over the limit is no syntax error: it is answered 552 in ph__server_mail(). */
static bool
take_size(struct ph__server *s, struct ph_str v)
{
	uint64_t n;

	if (v.len > 20 || !ph__str_to_uint(v, UINT64_MAX, &n))
		return false;
	s->txn.over = s->o.size_max != 0 && n > s->o.size_max;
	return true;
}

static bool
take_body(struct ph__server *s, struct ph_str v)
{
	if (ph__str_is(v, "BINARYMIME") &&
	    ph__server_has(s, PH__SERVER_EXT_BINARYMIME | PH__SERVER_EXT_CHUNKING))
		s->txn.body = PH__BODY_BINARY;
	else if (ph__str_is(v, "8BITMIME"))
		s->txn.body = PH__BODY_8BIT;
	else if (!ph__str_is(v, "7BIT"))
		return false;
	return true;
}

static bool
take_smtputf8(struct ph__server *s, struct ph_str v)
{
	s->txn.utf8 = v.ptr == NULL;
	return v.ptr == NULL;
}

static bool
take_ret(struct ph__server *s, struct ph_str v)
{
	(void)s;
	return ph__str_is(v, "FULL") || ph__str_is(v, "HDRS");
}

/* xtext (RFC 3461 §4): printable, but "+" only before two upper-case hexadecimal digits. */
bool
ph__server_is_xtext(struct ph_str v)
{
	for (size_t i = 0; i < v.len; i++) {
		if (v.ptr[i] == '=')
			return false;
		if (v.ptr[i] != '+')
			continue;
		for (size_t k = 1; k <= 2; k++)
			if (i + k >= v.len || !(ph__is_digit(v.ptr[i + k]) ||
			                        (v.ptr[i + k] >= 'A' && v.ptr[i + k] <= 'F')))
				return false;
		i += 2;
	}
	return v.len != 0;
}

static bool
take_envid(struct ph__server *s, struct ph_str v)
{
	(void)s;
	return v.len <= PH__ENVID_MAX && ph__server_is_xtext(v);
}

static bool
take_auth(struct ph__server *s, struct ph_str v)
{
	(void)s;
	return ph__str_is(v, "<>") || ph__server_is_xtext(v);
}

/* NEVER alone, or any of the others. */
static bool
take_notify(struct ph__server *s, struct ph_str v)
{
	(void)s;
	if (ph__str_is(v, "NEVER"))
		return true;
	do {
		struct ph_str word = ph__str_cut(&v, ',');

		if (!ph__str_is(word, "SUCCESS") && !ph__str_is(word, "FAILURE") &&
		    !ph__str_is(word, "DELAY"))
			return false;
	} while (v.ptr != NULL);
	return true;
}

/* addr-type ";" xtext; with utf-8 (RFC 6533 §3) its own encoding, which is left alone. */
static bool
take_orcpt(struct ph__server *s, struct ph_str v)
{
	bool fits = v.len <= PH__ORCPT_MAX;
	struct ph_str type = ph__str_cut(&v, ';');

	(void)s;
	if (type.len == 0 || !fits)
		return false;
	return ph__str_is(type, "utf-8") ? v.len != 0 : ph__server_is_xtext(v);
}

/* [ "-" / "+" ] 1*9DIGIT, the sign only where there may be one */
static bool
take_number(struct ph_str v, bool sign, uint64_t max, int64_t *ret)
{
	bool minus = sign && v.len != 0 && *v.ptr == '-';
	uint64_t n;

	if (sign && v.len != 0 && (*v.ptr == '-' || *v.ptr == '+'))
		v.ptr++, v.len--;
	if (v.len > 9 || !ph__str_to_uint(v, max, &n))
		return false;
	*ret = minus ? -(int64_t)n : (int64_t)n;
	return true;
}

/* by-time ";" ("R" / "N") ["T"] (RFC 2852 §4): what is to be returned when late must have some time. */
static bool
take_by(struct ph__server *s, struct ph_str v)
{
	int64_t n;

	(void)s;
	if (!take_number(ph__str_cut(&v, ';'), true, PH__SECONDS_MAX, &n))
		return false;
	return ph__str_is(v, "N") || ph__str_is(v, "NT") ||
	       ((ph__str_is(v, "R") || ph__str_is(v, "RT")) && n > 0);
}

/* HOLDFOR and HOLDUNTIL exclude each other (RFC 4865 §4.2). */
static bool
take_hold(struct ph__server *s)
{
	bool first = !s->txn.held;

	s->txn.held = true;
	return first;
}

static bool
take_hold_for(struct ph__server *s, struct ph_str v)
{
	int64_t n;

	return take_number(v, false, s->o.future_seconds, &n) && n > 0 && take_hold(s);
}

static bool
take_hold_until(struct ph__server *s, struct ph_str v)
{
	int64_t until;

	return ph__date_parse_3339(v, &until) && until <= s->o.future_until && take_hold(s);
}

/* RFC 6710 §4.1: -9 to 9. */
static bool
take_priority(struct ph__server *s, struct ph_str v)
{
	int64_t n;

	(void)s;
	return v.len <= 2 && v.len != 0 && *v.ptr != '+' && take_number(v, true, PH__PRIORITY_MAX, &n);
}

static bool
take_requiretls(struct ph__server *s, struct ph_str v)
{
	(void)s;
	return v.ptr == NULL;
}

static const struct parameter parameters[] = {
	{ "SIZE", false, PH__SERVER_EXT_SIZE, take_size },
	{ "BODY", false, PH__SERVER_EXT_8BITMIME, take_body },
	{ "SMTPUTF8", false, PH__SERVER_EXT_SMTPUTF8, take_smtputf8 },
	{ "RET", false, PH__SERVER_EXT_DSN, take_ret },
	{ "ENVID", false, PH__SERVER_EXT_DSN, take_envid },
	{ "AUTH", false, PH__SERVER_EXT_AUTH, take_auth },
	{ "BY", false, PH__SERVER_EXT_DELIVERBY, take_by },
	{ "HOLDFOR", false, PH__SERVER_EXT_FUTURERELEASE, take_hold_for },
	{ "HOLDUNTIL", false, PH__SERVER_EXT_FUTURERELEASE, take_hold_until },
	{ "MT-PRIORITY", false, PH__SERVER_EXT_MT_PRIORITY, take_priority },
	{ "REQUIRETLS", false, PH__SERVER_EXT_REQUIRETLS, take_requiretls },
	{ "NOTIFY", true, PH__SERVER_EXT_DSN, take_notify },
	{ "ORCPT", true, PH__SERVER_EXT_DSN, take_orcpt },
};
#define PARAMETER_COUNT (sizeof parameters / sizeof parameters[0])

static size_t
find(const struct ph__server *s, struct ph_str name, bool rcpt)
{
	size_t i = 0;

	while (i < PARAMETER_COUNT &&
	       !(parameters[i].rcpt == rcpt && ph__server_offers(s, parameters[i].ext) &&
	         ph__str_is(name, parameters[i].name)))
		i++;
	return i;
}

/* Takes one parameter; false when it was answered with an error. */
static bool
take_parameter(struct ph__server *s, struct ph_str name, struct ph_str value, bool rcpt, unsigned *seen)
{
	size_t i = find(s, name, rcpt);

	if (i == PARAMETER_COUNT) {
		ph__server_error(s, 555, "5.5.4", "a parameter that is not known here");
		return false;
	}
	if ((*seen & 1u << i) || !parameters[i].take(s, value)) {
		ph__server_error(s, 501, "5.5.4",
		                 "a parameter's value is wrong, or it is given twice");
		return false;
	}
	*seen |= 1u << i;
	return true;
}

bool
ph__server_next_parameter(struct ph_str *rest, struct ph_str *name, struct ph_str *value)
{
	*value = ph__str_word(rest);
	if (value->len == 0)
		return false;
	*name = ph__str_cut(value, '=');
	return true;
}

bool
ph__server_take_parameters(struct ph__server *s, struct ph_str rest, bool rcpt)
{
	struct ph_str name, value;
	unsigned seen = 0;

	while (ph__server_next_parameter(&rest, &name, &value))
		if (!take_parameter(s, name, value, rcpt, &seen))
			return false;
	return true;
}
