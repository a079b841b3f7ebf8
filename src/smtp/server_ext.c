/* SPDX-License-Identifier: MIT */
/* What the server offers in EHLO, one row an extension, and what each lets a line grow by.
 * An extension that is off is not offered and not honoured. */
#include "smtp/server_private.h"

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
};
#define EXT_COUNT (sizeof exts / sizeof exts[0])

uint32_t
ph__server_ext_by_name(struct ph_str name)
{
	for (size_t i = 0; i < EXT_COUNT; i++)
		if (ph__str_eq_nocase(name, ph__str(exts[i].keyword)))
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
	       (s->tls || !s->o.require_tls);
}

static bool
is_offered(const struct ph__server *s, uint32_t bit)
{
	switch (bit) {
	case PH__SERVER_EXT_STARTTLS:
		return ph__server_has(s, bit) && !s->tls;
	case PH__SERVER_EXT_AUTH:
		return ph__server_offers_auth(s) && !s->authenticated;
	case PH__SERVER_EXT_BINARYMIME:
		return ph__server_has(s, bit | PH__SERVER_EXT_CHUNKING);
	default:
		return ph__server_has(s, bit);
	}
}

void
ph__server_keywords(struct ph__server *s, struct ph__buf *to)
{
	for (size_t i = 0; i < EXT_COUNT; i++) {
		if (!is_offered(s, exts[i].bit))
			continue;
		ph__buf_addf(to, "\n%s", exts[i].keyword);
		if (exts[i].bit == PH__SERVER_EXT_SIZE) {
			ph__buf_add_char(to, ' ');
			ph__buf_add_uint(to, s->o.size_max);
		} else if (exts[i].bit == PH__SERVER_EXT_AUTH) {
			ph__buf_addf(to, " %s", ph__server_mechanisms());
		}
	}
}
