/* SPDX-License-Identifier: MIT */
/* Which TLSA records are of use to SMTP. See dane.h.
 *
 * A record is a stranger's octets, signed or not. One that is malformed or of a kind that we do not
 * know is not of use, and is passed over (RFC 7672 §2.2); where none is left, whoever asks demands TLS
 * without a name. PKIX-TA(0) and PKIX-EE(1) are not of use: SMTP has no authorities that both sides
 * agree on (§3.1.3). Whether what is published whole is a certificate or a key, the handshake finds
 * out; here it has to be one DER value, which tells garbage and records that were cut. */
#include "route/dane.h"

#include <stdio.h>
#include <string.h>

#include "base/bounds.h"

enum { HEAD = 3 }; /* usage, selector, matching (RFC 6698 §2.1) */

bool
ph__tlsa_parse(struct ph_tlsa *ret, struct ph_str data)
{
	const unsigned char *p = (const unsigned char *)data.ptr;

	if (data.len <= HEAD)
		return false;
	*ret = (struct ph_tlsa){ p[0], p[1], p[2], p + HEAD, data.len - HEAD };
	return true;
}

/* A certificate and a key are both a SEQUENCE (X.690 §8.1.3): tag 0x30, a length, and that many octets.
 * Shorter ones than 128 octets do not occur, longer ones than 65,535 are in no DNS answer. */
static bool
is_der_sequence(const unsigned char *p, size_t n)
{
	size_t head, body;

	if (n < 4 || p[0] != 0x30)
		return false;
	if (p[1] < 0x80) {
		head = 2;
		body = p[1];
	} else if (p[1] == 0x81) {
		head = 3;
		body = p[2];
	} else {
		head = 4;
		body = (size_t)p[2] << 8 | p[3];
	}
	return p[1] <= 0x82 && p[1] != 0x80 && n - head == body;
}

bool
ph__tlsa_is_usable(const struct ph_tlsa *r)
{
	if ((r->usage != 2 && r->usage != 3) || r->selector > 1)
		return false;
	switch (r->matching) {
	case 0:
		return is_der_sequence(r->data, r->len);
	case 1:
		return r->len == 32;
	case 2:
		return r->len == 64;
	default:
		return false;
	}
}

/* The records, then their data, in one piece. */
static struct ph_tlsa *
room_for(size_t records, size_t octets, struct ph__arena *arena, unsigned char **data)
{
	struct ph_tlsa *r = ph__arena_alloc(arena, records * sizeof *r + octets);

	if (r != NULL)
		*data = (unsigned char *)(r + records);
	return r;
}

const struct ph_tlsa *
ph__tlsa_usable(const struct ph__dns_answer *answer, size_t *count, struct ph__arena *arena)
{
	struct ph_tlsa found[PH__TLSA_MAX], *ret;
	size_t octets = 0;
	unsigned char *to;

	*count = 0;
	for (size_t i = 0; i < answer->count && *count < PH__TLSA_MAX; i++)
		if (ph__tlsa_parse(&found[*count], answer->data[i]) &&
		    ph__tlsa_is_usable(&found[*count]))
			octets += found[(*count)++].len;
	if (*count == 0 || (ret = room_for(*count, octets, arena, &to)) == NULL)
		return NULL;
	for (size_t i = 0; i < *count; i++) {
		memcpy(to, found[i].data, found[i].len); /* @UNSAFE: octets is the sum */
		ret[i] = found[i];
		ret[i].data = to;
		to += found[i].len;
	}
	return ret;
}

void
ph__tlsa_text(char *buf, size_t size, const struct ph_tlsa *r)
{
	static const char digits[] = "0123456789abcdef", cut[] = "…";
	const unsigned char *p = r->data;
	int n = snprintf(buf, size, "%u %u %u ", r->usage, r->selector, r->matching);
	size_t at = n > 0 ? (size_t)n : 0, shown = r->len;

	if (at >= size)
		return; /* no room for any of it: snprintf has cut it */
	if (r->len * 2 >= size - at)
		shown = size - at < sizeof cut ? 0 : (size - at - sizeof cut) / 2;
	for (size_t i = 0; i < shown; i++) {
		buf[at++] = digits[p[i] >> 4];
		buf[at++] = digits[p[i] & 15];
	}
	if (shown < r->len && size - at >= sizeof cut) {
		memcpy(buf + at, cut, sizeof cut - 1);
		at += sizeof cut - 1;
	}
	buf[at] = '\0';
}
