/* SPDX-License-Identifier: MIT */
/* Addresses of the envelope. See address.h.
 *
 *   Mailbox     = Local-part [ "@" ( Domain / address-literal ) ]
 *   Local-part  = 1*( atext / "." ) / Quoted-string
 *   Domain      = label *( "." label )            label: letters, digits, "-", "_", UTF-8
 *
 * Looser than RFC 5321 §4.1.2 where mail is really delivered: dots may stand anywhere in a
 * local-part (Japanese carriers gave such addresses out) and an underscore in a domain. Stricter
 * nowhere. What is accepted holds no octet that could end a path or a command line. */
#include "mail/address.h"

#include <arpa/inet.h>
#include <idn2.h>
#include <posthaste/message.h>

#include "base/bounds.h"
#include "base/error.h"

#define NONE SIZE_MAX

static enum ph_code
bad(struct ph_error *err, struct ph_str s, const char *what)
{
	return ph__fail(err, PH_EINPUT, PH_STAGE_PREPARE, PH_CAUSE_ARGUMENT,
	                "the address '%.*s'%s %s", s.len < 80 ? (int)s.len : 80, s.ptr,
	                s.len > 80 ? "..." : "", what);
}

bool
ph__is_atext(char c)
{
	return ph__is_alnum(c) || (unsigned char)c >= 0x80 ||
	       (c != '\0' && strchr("!#$%&'*+-/=?^_`{|}~", c) != NULL);
}

/* Index behind the quoted-string that opens at i; NONE when it does not end. */
static size_t
skip_quoted(struct ph_str s, size_t i)
{
	for (i++; i < s.len; i++) {
		if (s.ptr[i] == '"')
			return i + 1;
		if (s.ptr[i] == '\\')
			i++;
	}
	return NONE;
}

/* The last `c` outside quotes, or the first when `first`. */
static size_t
find_outside_quotes(struct ph_str s, char c, bool first)
{
	size_t at = NONE;

	for (size_t i = 0; i < s.len; ) {
		if (s.ptr[i] == '"') {
			if ((i = skip_quoted(s, i)) == NONE)
				break;
			continue;
		}
		if (s.ptr[i] == c) {
			at = i;
			if (first)
				break;
		}
		i++;
	}
	return at;
}

static const char *
local_fault(struct ph_str s)
{
	if (s.len == 0)
		return "has nothing before the @";
	if (s.len > PH__LOCAL_PART_MAX)
		return "has over 64 octets before the @ (RFC 5321 section 4.5.3.1.1)";
	if (s.ptr[0] == '"')
		return skip_quoted(s, 0) == s.len
		           ? NULL
		           : "has a quoted part that does not end before the @";
	for (size_t i = 0; i < s.len; i++) {
		if (ph__is_atext(s.ptr[i]) || s.ptr[i] == '.')
			continue;
		if (s.ptr[i] == ' ')
			return "has a space outside quotes";
		if (s.ptr[i] == '<' || s.ptr[i] == '>')
			return "has an angle bracket";
		return "has a character before the @ that must stand in quotes";
	}
	return NULL;
}

/* [192.0.2.1], [IPv6:2001:db8::1] or [tag:text] (RFC 5321 §4.1.3), without its brackets here. */
static const char *
literal_fault(struct ph_str s)
{
	static const char fault[] =
	    "has an address literal that is not one; [192.0.2.1] and [IPv6:2001:db8::1] are";
	char text[PH__DOMAIN_MAX + 1];
	unsigned char binary[16];
	const char *colon = memchr(s.ptr, ':', s.len);

	memcpy(text, s.ptr, s.len); /* @UNSAFE: the caller saw s.len <= PH__DOMAIN_MAX */
	text[s.len] = '\0';
	if (colon == NULL)
		return inet_pton(AF_INET, text, binary) == 1 ? NULL : fault;
	if (s.len > 5 && ph__str_begins(s, "IPv6:"))
		return inet_pton(AF_INET6, text + 5, binary) == 1 ? NULL : fault;
	if (colon == s.ptr || colon + 1 == s.ptr + s.len)
		return fault;
	for (const char *p = s.ptr; p < s.ptr + s.len; p++)
		if (p < colon ? !ph__is_alnum(*p) && *p != '-'
		              : *p <= ' ' || *p > '~' || strchr("[\\]<>", *p) != NULL)
			return fault;
	return NULL;
}

static const char *
label_fault(struct ph_str s)
{
	if (s.len == 0)
		return "has an empty part between the dots of its domain";
	if (s.len > PH__LABEL_MAX && ph__str_is_ascii(s))
		return "has over 63 octets between two dots of its domain";
	for (size_t i = 0; i < s.len; i++)
		if (!ph__is_alnum(s.ptr[i]) && s.ptr[i] != '-' && s.ptr[i] != '_' &&
		    (unsigned char)s.ptr[i] < 0x80)
			return "has a character in its domain that no domain has";
	return NULL;
}

static const char *
domain_fault(struct ph_str s)
{
	if (s.len == 0)
		return "has no domain after the @";
	if (s.len > PH__DOMAIN_MAX)
		return "has a domain of over 255 octets (RFC 5321 section 4.5.3.1.2)";
	if (s.ptr[0] == '[') {
		if (s.len < 3 || s.ptr[s.len - 1] != ']')
			return "has an address literal that does not end";
		return literal_fault((struct ph_str){ s.ptr + 1, s.len - 2 });
	}
	for (;;) {
		const char *dot = memchr(s.ptr, '.', s.len);
		struct ph_str label = { s.ptr, dot != NULL ? (size_t)(dot - s.ptr) : s.len };
		const char *fault = label_fault(label);

		if (fault != NULL || dot == NULL)
			return fault;
		s.len -= label.len + 1;
		s.ptr = dot + 1;
	}
}

enum ph_code
ph__address_check(struct ph_str address, bool *utf8, struct ph_error *err)
{
	size_t at = find_outside_quotes(address, '@', false);
	struct ph_str local = { address.ptr, at != NONE ? at : address.len };
	const char *fault;

	if (address.len == 0)
		return bad(err, address, "is empty");
	if (ph__str_has_control(address))
		return bad(err, address, "has a control character, which could forge a command");
	if (!ph__str_is_utf8(address))
		return bad(err, address, "is not UTF-8");
	if ((fault = local_fault(local)) != NULL)
		return bad(err, address, fault);
	if (at != NONE && (fault = domain_fault((struct ph_str){ address.ptr + at + 1,
	                                                         address.len - at - 1 })) != NULL)
		return bad(err, address, fault);
	if (address.len > PH__PATH_MAX)
		return bad(err, address, "is over 254 octets long (RFC 5321 section 4.5.3.1.3)");
	if (!ph__str_is_ascii(address) && utf8 != NULL)
		*utf8 = true;
	return PH_OK;
}

struct ph_str
ph__address_domain(struct ph_str address)
{
	size_t at = find_outside_quotes(address, '@', false);

	if (at == NONE)
		return (struct ph_str){ "", 0 };
	return (struct ph_str){ address.ptr + at + 1, address.len - at - 1 };
}

enum ph_code
ph__address_bare(struct ph_str text, struct ph_str *ret, struct ph_error *err)
{
	struct ph_str s = ph__str_trim(text);
	size_t open = find_outside_quotes(s, '<', true);
	enum ph_code rc;

	if (ph__str_has_control(s))
		return bad(err, text, "has a control character, which could forge a command");
	if (open != NONE) {
		if (s.ptr[s.len - 1] != '>')
			return bad(err, text, "does not end with its angle bracket");
		if (open + 2 == s.len && open != 0)
			return bad(err, text, "is a name without an address");
		s = (struct ph_str){ s.ptr + open + 1, s.len - open - 2 };
	}
	if (s.len == 0) {
		*ret = (struct ph_str){ "", 0 };
		return PH_OK;
	}
	if ((rc = ph__address_check(s, NULL, err)) != PH_OK)
		return rc;
	*ret = s;
	return PH_OK;
}

enum ph_code
ph_address_to_path(char *buf, size_t size, const char *address, struct ph_error *err)
{
	struct ph_str bare;
	enum ph_code rc = ph__address_bare(ph__str(address != NULL ? address : ""), &bare, err);

	if (rc != PH_OK)
		return rc;
	if (bare.len + 3 > size)
		return ph__fail(err, PH_EUSAGE, PH_STAGE_PREPARE, PH_CAUSE_ARGUMENT,
		                "a path of %zu octets does not fit the buffer: give it PH_PATH_SIZE",
		                bare.len + 2);
	buf[0] = '<';
	memcpy(buf + 1, bare.ptr, bare.len); /* @UNSAFE: seen to fit above */
	memcpy(buf + 1 + bare.len, ">", 2);
	return PH_OK;
}

/* libidn2 wants a NUL and has its own memory. */
static enum ph_code
add_a_labels(struct ph__buf *out, struct ph_str domain, struct ph_error *err)
{
	char text[PH__DOMAIN_MAX + 1];
	uint8_t *ascii = NULL;
	const char *fault;
	int rc;

	memcpy(text, domain.ptr, domain.len); /* @UNSAFE: domain_fault() saw its length */
	text[domain.len] = '\0';
	rc = idn2_lookup_u8((const uint8_t *)text, &ascii, IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL);
	if (rc == IDN2_MALLOC)
		return ph__fail_nomem(err, PH_STAGE_PREPARE);
	if (rc != IDN2_OK)
		return bad(err, domain,
		           "has a domain that cannot be an internationalised one (RFC 5891)");
	/* Compatibility mapping can bring forth ASCII that no domain has, as < from U+FF1C. */
	fault = domain_fault(ph__str((const char *)ascii));
	if (fault == NULL)
		ph__buf_add_str(out, (const char *)ascii);
	idn2_free(ascii);
	return fault == NULL ? PH_OK : bad(err, domain, fault);
}

/* What adding came to; out as it was unless it came to something. */
static enum ph_code
added(struct ph__buf *out, size_t start, enum ph_code rc, struct ph_error *err)
{
	if (rc == PH_OK && out->state == PH__BUF_NOMEM)
		rc = ph__fail_nomem(err, PH_STAGE_PREPARE);
	else if (rc == PH_OK && out->state == PH__BUF_FULL)
		rc = ph__fail(err, PH_EINPUT, PH_STAGE_PREPARE, PH_CAUSE_LIMIT,
		              "an address does not fit");
	if (rc != PH_OK)
		ph__buf_cut(out, start);
	return rc;
}

enum ph_code
ph__domain_to_ascii(struct ph__buf *out, struct ph_str domain, struct ph_error *err)
{
	const char *fault = domain_fault(domain);
	size_t start = out->len;
	enum ph_code rc = PH_OK;

	if (fault != NULL || ph__str_has_control(domain) || !ph__str_is_utf8(domain))
		return bad(err, domain,
		           fault != NULL ? fault : "is not UTF-8, or has a control character");
	if (ph__str_is_ascii(domain))
		ph__buf_add(out, domain.ptr, domain.len);
	else
		rc = add_a_labels(out, domain, err);
	return added(out, start, rc, err);
}

enum ph_code
ph__domain_canonical(struct ph__buf *out, struct ph_str domain, struct ph_error *err)
{
	size_t start = out->len;
	enum ph_code rc = ph__domain_to_ascii(out, domain, err);

	if (rc == PH_OK)
		ph__lower_all(out->p + start, out->len - start);
	return rc;
}

enum ph_code
ph__address_to_ascii(struct ph__buf *out, struct ph_str address, struct ph_error *err)
{
	struct ph_str domain = ph__address_domain(address);
	struct ph_str local = { address.ptr, address.len - domain.len }; /* with its @ */
	size_t start = out->len;
	enum ph_code rc = ph__address_check(address, NULL, err);

	if (rc != PH_OK)
		return rc;
	ph__buf_add(out, local.ptr, local.len);
	if (ph__str_is_ascii(local) && domain.len != 0)
		rc = ph__domain_to_ascii(out, domain, err);
	else
		ph__buf_add(out, domain.ptr, domain.len);
	if (rc == PH_OK && out->len - start > PH__PATH_MAX)
		rc = bad(err, address,
		         "is over 254 octets long as ASCII (RFC 5321 section 4.5.3.1.3)");
	return added(out, start, rc, err);
}
