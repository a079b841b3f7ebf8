/* SPDX-License-Identifier: MIT */
/* What the server offers in EHLO, one row an extension, and what each lets a line grow by.
 * An extension that is off is not offered and not honoured. */
#include "smtp/server_private.h"

#include "base/calendar.h"

struct ext {
	uint32_t    bit;
	const char *keyword;
	uint16_t    mail, rcpt; /* octets that MAIL and RCPT may be longer */
};

static const struct ext exts[] = {
	{ PH__SERVER_EXT_PIPELINING,          "PIPELINING",          0,   0 },
	{ PH__SERVER_EXT_SIZE,                "SIZE",                26,  0 },   /* RFC 1870 §3 */
	{ PH__SERVER_EXT_8BITMIME,            "8BITMIME",            17,  0 },   /* RFC 6152 §2 */
	{ PH__SERVER_EXT_SMTPUTF8,            "SMTPUTF8",            212, 202 }, /* RFC 6531 §3.1 */
	{ PH__SERVER_EXT_CHUNKING,            "CHUNKING",            0,   0 },
	{ PH__SERVER_EXT_BINARYMIME,          "BINARYMIME",          0,   0 },
	{ PH__SERVER_EXT_ENHANCEDSTATUSCODES, "ENHANCEDSTATUSCODES", 0,   0 },
	{ PH__SERVER_EXT_DSN,                 "DSN",                 124, 536 }, /* RFC 3461 §4 */
	{ PH__SERVER_EXT_STARTTLS,            "STARTTLS",            0,   0 },
	{ PH__SERVER_EXT_AUTH,                "AUTH",                500, 0 },   /* RFC 4954 §3 */
	{ PH__SERVER_EXT_DELIVERBY,           "DELIVERBY",           17,  0 },   /* RFC 2852 §4 */
	{ PH__SERVER_EXT_FUTURERELEASE,       "FUTURERELEASE",       34,  0 },   /* RFC 4865 §4 */
	{ PH__SERVER_EXT_MT_PRIORITY,         "MT-PRIORITY",         15,  0 },   /* RFC 6710 §4 */
	{ PH__SERVER_EXT_REQUIRETLS,          "REQUIRETLS",          11,  0 },   /* RFC 8689 §3 */
	{ PH__SERVER_EXT_LIMITS,              "LIMITS",              0,   0 },   /* RFC 9422 §3 */
	{ PH__SERVER_EXT_ETRN,                "ETRN",                0,   0 },
	{ PH__SERVER_EXT_XCLIENT,             "XCLIENT",             0,   0 },
	{ PH__SERVER_EXT_XFORWARD,            "XFORWARD",            0,   0 },
};
#define EXT_COUNT (sizeof exts / sizeof exts[0])

uint32_t
ph__server_ext_by_name(struct ph_str name)
{
	for (size_t i = 0; i < EXT_COUNT; i++)
		if (ph__str_is(name, exts[i].keyword))
			return exts[i].bit;
	return 0;
}

size_t
ph__server_line_max(const struct ph__server *s, bool mail, bool rcpt)
{
	size_t max = PH__COMMAND_LINE_MAX;

	for (size_t i = 0; i < EXT_COUNT && (mail || rcpt); i++)
		if (ph__server_has(s, exts[i].bit))
			max += mail ? exts[i].mail : exts[i].rcpt;
	return max;
}

/* PLAIN and LOGIN show the password to whoever listens (RFC 4954 §4: not without TLS). */
bool
ph__server_offers_auth(const struct ph__server *s)
{
	return ph__server_has(s, PH__SERVER_EXT_AUTH) && (s->tls || s->o.clear_auth) &&
	       *s->auth.offered != '\0' &&
	       (s->tls || !s->o.require_tls);
}

static bool
has_limits(const struct ph__server *s)
{
	return s->o.limits.rcpt || s->o.limits.mail_max != 0 || s->o.limits.domain_max != 0;
}

/* What is known here and now, announced or not: AUTH stands in MAIL after it was done, too. */
bool
ph__server_offers(const struct ph__server *s, uint32_t bit)
{
	switch (bit) {
	case PH__SERVER_EXT_FUTURERELEASE:
		return ph__server_has(s, bit) && s->o.future_until != 0;
	case PH__SERVER_EXT_REQUIRETLS:
		return ph__server_has(s, bit) && s->tls;
	case PH__SERVER_EXT_LIMITS:
		return ph__server_has(s, bit) && has_limits(s);
	default:
		return ph__server_has(s, bit);
	}
}

static bool
is_announced(const struct ph__server *s, uint32_t bit)
{
	switch (bit) {
	case PH__SERVER_EXT_STARTTLS:
		return ph__server_has(s, bit) && !s->tls;
	case PH__SERVER_EXT_AUTH:
		return ph__server_offers_auth(s) && !s->authenticated;
	case PH__SERVER_EXT_BINARYMIME:
		return ph__server_has(s, bit | PH__SERVER_EXT_CHUNKING);
	default:
		return ph__server_offers(s, bit);
	}
}

static void
add_limits(const struct ph__server *s, struct ph__buf *to)
{
	if (s->o.limits.mail_max != 0)
		ph__buf_addf(to, " MAILMAX=%llu", (unsigned long long)s->o.limits.mail_max);
	if (s->o.limits.rcpt)
		ph__buf_addf(to, " RCPTMAX=%zu", s->o.recipients_max);
	if (s->o.limits.domain_max != 0)
		ph__buf_addf(to, " RCPTDOMAINMAX=%llu", (unsigned long long)s->o.limits.domain_max);
}

static void
add_value(const struct ph__server *s, uint32_t bit, struct ph__buf *to)
{
	switch (bit) {
	case PH__SERVER_EXT_SIZE:
		ph__buf_addf(to, " %llu", (unsigned long long)s->o.size_max);
		break;
	case PH__SERVER_EXT_AUTH:
		ph__buf_addf(to, " %s", s->auth.offered);
		break;
	case PH__SERVER_EXT_FUTURERELEASE:
		ph__buf_addf(to, " %llu ", (unsigned long long)s->o.future_seconds);
		ph__date_write_3339(to, s->o.future_until);
		break;
	case PH__SERVER_EXT_LIMITS:
		add_limits(s, to);
		break;
	case PH__SERVER_EXT_XCLIENT:
		ph__buf_add_str(to, " NAME ADDR PORT PROTO HELO LOGIN DESTADDR DESTPORT");
		break;
	case PH__SERVER_EXT_XFORWARD:
		ph__buf_add_str(to, " NAME ADDR PORT PROTO HELO IDENT SOURCE");
		break;
	default:
		break;
	}
}

void
ph__server_keywords(struct ph__server *s, struct ph__buf *to)
{
	for (size_t i = 0; i < EXT_COUNT; i++) {
		if (!is_announced(s, exts[i].bit))
			continue;
		ph__buf_addf(to, "\n%s", exts[i].keyword);
		add_value(s, exts[i].bit, to);
	}
}
