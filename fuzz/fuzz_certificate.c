/* SPDX-License-Identifier: MIT */
/* Certificates that nobody has verified: whatever DER says, its texts are UTF-8 without controls,
 * and end within their fields. The first octet says whether the rest is a certificate, or what stands
 * in one that is well formed around it. */
#include <assert.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/escape.h"
#include "net/tls.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
judge_text(struct ph_str s)
{
	while (s.len != 0) {
		uint32_t cp = 0;
		size_t n = ph__utf8_next(s, &cp);

		assert(n != 0 && !ph__is_harmful(cp));
		s.ptr += n;
		s.len -= n;
	}
}

static void
judge_field(const char *s, size_t size)
{
	assert(memchr(s, '\0', size) != NULL);
	judge_text(ph__str(s));
}

static void
judge_words(X509 *cert)
{
	struct ph__tls tls = { .mem = &ph__libc_memory };
	struct ph_error err = PH_ERROR_INIT;

	ph__tls_explain_pin(&err, &tls, cert);
	judge_field(err.text, sizeof err.text);
	judge_field(err.hint, sizeof err.hint);
}

static void
judge_certificate(const uint8_t *data, size_t size)
{
	struct ph_certificate c = PH_CERTIFICATE_INIT;
	X509 *cert = d2i_X509(NULL, &data, (long)size);
	struct ph__arena a;
	bool ok;

	if (cert == NULL)
		return;
	ERR_clear_error();
	ph__arena_init(&a, &ph__libc_memory);
	ok = ph__tls_describe(&c, cert, &a);
	assert(ok && ERR_peek_error() == 0);
	judge_field(c.subject, sizeof c.subject);
	judge_field(c.issuer, sizeof c.issuer);
	judge_field(c.key, sizeof c.key);
	judge_field(c.signature, sizeof c.signature);
	assert(c.key[0] != '\0' && c.signature[0] != '\0' && c.serial[0] != '\0');
	assert(strspn(c.serial, "-0123456789abcdef") == strlen(c.serial));
	assert(strlen(c.sha256) == 64 && strlen(c.spki_sha256) == 64 && c.der_len != 0);
	for (size_t i = 0; i < c.name_count; i++)
		judge_text(ph__str(c.names[i]));
	judge_words(cert);
	ph__arena_done(&a);
	X509_free(cert);
}

/* ---- a certificate around what the input says ------------------------------------------------ */

struct input {
	const uint8_t *p;
	size_t n;
};

static uint8_t
next(struct input *in)
{
	if (in->n == 0)
		return 0;
	in->n--;
	return *in->p++;
}

static size_t
open_tag(struct ph__buf *b, uint8_t tag)
{
	ph__buf_add(b, (char[]){ (char)tag, (char)0x82, 0, 0 }, 4);
	return b->len;
}

static void
close_tag(struct ph__buf *b, size_t at)
{
	b->p[at - 2] = (char)((b->len - at) >> 8);
	b->p[at - 1] = (char)(b->len - at);
}

/* As long as its first octet says. */
static void
add_octets(struct ph__buf *b, struct input *in)
{
	size_t n = next(in);

	n = n < in->n ? n : in->n;
	ph__buf_add(b, in->p, n);
	in->p += n;
	in->n -= n;
}

static void
add_value(struct ph__buf *b, uint8_t tag, struct input *in)
{
	size_t at = open_tag(b, tag);

	add_octets(b, in);
	close_tag(b, at);
}

/* With an octet of its own in front, as nothing is no number. */
static void
add_number(struct ph__buf *b, uint8_t tag, uint8_t first, struct input *in)
{
	size_t at = open_tag(b, tag);

	ph__buf_add_char(b, (char)first);
	add_octets(b, in);
	close_tag(b, at);
}

/* One that OpenSSL knows, or another; and parameters. */
static void
add_algorithm(struct ph__buf *b, struct input *in)
{
	static const struct ph_str known[] = {
		{ "\x2a\x86\x48\xce\x3d\x02\x01", 7 },         /* EC */
		{ "\x2a\x86\x48\xce\x3d\x04\x03\x02", 8 },     /* ecdsa-with-SHA256 */
		{ "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01", 9 }, /* RSA */
		{ "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0a", 9 }, /* RSA-PSS */
		{ "\x2a\x86\x48\x86\xf7\x0d\x01\x03\x01", 9 }, /* DH */
		{ "\x2a\x86\x48\xce\x38\x04\x01", 7 },         /* DSA */
		{ "\x2b\x65\x70", 3 },                         /* Ed25519 */
		{ "\x2b\x65\x6e", 3 },                         /* X25519 */
	};
	static const char null[] = { V_ASN1_NULL, 0 };
	static const char p256[] = "\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07";
	size_t at = open_tag(b, V_ASN1_SEQUENCE | 0x20), which = next(in) % 12, number;

	if (which < sizeof known / sizeof known[0]) {
		number = open_tag(b, V_ASN1_OBJECT);
		ph__buf_add(b, known[which].ptr, known[which].len);
		close_tag(b, number);
	} else {
		add_number(b, V_ASN1_OBJECT, 0x2a, in);
	}
	switch (next(in) % 4) {
	case 0:
		ph__buf_add(b, null, sizeof null);
		break;
	case 1:
		ph__buf_add(b, p256, sizeof p256 - 1);
		break;
	case 2:
		add_octets(b, in);
		break;
	default:
		break;
	}
	close_tag(b, at);
}

static void
add_name(struct ph__buf *b, struct input *in)
{
	static const uint8_t kinds[] = {
		V_ASN1_UTF8STRING, V_ASN1_PRINTABLESTRING, V_ASN1_T61STRING, V_ASN1_IA5STRING,
		V_ASN1_BMPSTRING, V_ASN1_UNIVERSALSTRING, V_ASN1_NUMERICSTRING, V_ASN1_BIT_STRING,
	};
	size_t all = open_tag(b, V_ASN1_SEQUENCE | 0x20);

	for (unsigned n = next(in) % 4; n != 0; n--) {
		size_t set = open_tag(b, V_ASN1_SET | 0x20), pair = open_tag(b, V_ASN1_SEQUENCE | 0x20);

		ph__buf_add(b, (char[]){ V_ASN1_OBJECT, 3, 0x55, 4, (char)(next(in) % 127) }, 5);
		add_value(b, kinds[next(in) % sizeof kinds], in);
		close_tag(b, pair);
		close_tag(b, set);
	}
	close_tag(b, all);
}

/* Algorithm, and as many octets of key as there shall be. */
static void
add_key(struct ph__buf *b, struct input *in)
{
	static const char point[] = /* P-256's generator */
		"\x03\x6b\x17\xd1\xf2\xe1\x2c\x42\x47\xf8\xbc\xe6\xe5\x63\xa4\x40\xf2"
		"\x77\x03\x7d\x81\x2d\xeb\x33\xa0\xf4\xa1\x39\x45\xd8\x98\xc2\x96";
	static const char ec[] = "\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01"
	                         "\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07";
	static const char rsa[] = "\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00";
	static const char exponent[] = "\x02\x03\x01\x00\x01";
	size_t key = open_tag(b, V_ASN1_SEQUENCE | 0x20), bits, pair;
	uint8_t how = next(in) % 4;

	if (how == 0)
		ph__buf_add(b, ec, sizeof ec - 1);
	else if (how == 1)
		ph__buf_add(b, rsa, sizeof rsa - 1);
	else
		add_algorithm(b, in);
	bits = open_tag(b, V_ASN1_BIT_STRING);
	ph__buf_add_char(b, 0);
	if (how == 1) {
		pair = open_tag(b, V_ASN1_SEQUENCE | 0x20);
		add_number(b, V_ASN1_INTEGER, 1, in);
		ph__buf_add(b, exponent, sizeof exponent - 1);
		close_tag(b, pair);
	} else if (how == 2) {
		add_octets(b, in);
	} else {
		ph__buf_add(b, point, how == 3 ? 32 : 33); /* 32 do for Ed25519, X25519 */
	}
	close_tag(b, bits);
	close_tag(b, key);
}

static void
add_other_names(struct ph__buf *b, struct input *in)
{
	static const uint8_t kinds[] = { 0x82, 0x82, 0x87, 0x87, 0x81, 0x86, 0x88, 0xa0 };
	size_t all = open_tag(b, 0xa3), list = open_tag(b, V_ASN1_SEQUENCE | 0x20);
	size_t one = open_tag(b, V_ASN1_SEQUENCE | 0x20), value, names;

	ph__buf_add(b, (char[]){ V_ASN1_OBJECT, 3, 0x55, 0x1d, 17 }, 5);
	value = open_tag(b, V_ASN1_OCTET_STRING);
	names = open_tag(b, V_ASN1_SEQUENCE | 0x20);
	for (unsigned n = next(in) % 8; n != 0; n--)
		add_value(b, kinds[next(in) % sizeof kinds], in);
	close_tag(b, names);
	close_tag(b, value);
	close_tag(b, one);
	close_tag(b, list);
	close_tag(b, all);
}

static void
judge_built(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	size_t all, signed_, times, bits;
	struct ph__buf b;

	ph__buf_init(&b, &ph__libc_memory, 60000);
	all = open_tag(&b, V_ASN1_SEQUENCE | 0x20);
	signed_ = open_tag(&b, V_ASN1_SEQUENCE | 0x20);
	ph__buf_add(&b, (char[]){ (char)0xa0, 3, V_ASN1_INTEGER, 1, 2 }, 5);
	add_number(&b, V_ASN1_INTEGER, next(&in), &in);
	add_algorithm(&b, &in);
	add_name(&b, &in);
	times = open_tag(&b, V_ASN1_SEQUENCE | 0x20);
	add_value(&b, next(&in) % 2 ? V_ASN1_UTCTIME : V_ASN1_GENERALIZEDTIME, &in);
	add_value(&b, next(&in) % 2 ? V_ASN1_UTCTIME : V_ASN1_GENERALIZEDTIME, &in);
	close_tag(&b, times);
	add_name(&b, &in);
	add_key(&b, &in);
	add_other_names(&b, &in);
	close_tag(&b, signed_);
	add_algorithm(&b, &in);
	bits = open_tag(&b, V_ASN1_BIT_STRING);
	ph__buf_add_char(&b, 0);
	close_tag(&b, bits);
	close_tag(&b, all);
	assert(ph__buf_ok(&b));
	judge_certificate((const uint8_t *)b.p, b.len);
	ph__buf_done(&b);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size != 0 && data[0] % 4 == 0)
		judge_certificate(data + 1, size - 1);
	else if (size != 0)
		judge_built(data + 1, size - 1);
	ERR_clear_error();
	return 0;
}
