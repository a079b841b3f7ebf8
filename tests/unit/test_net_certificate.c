/* SPDX-License-Identifier: MIT */
/* Certificates taken apart: each field against what the openssl command says of the same one, and
 * what a hostile one may hold. Over a connection: test_net_conn.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <ctype.h>
#include <openssl/err.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"
#include "net/tls.h"
#include "net_ca.h"

#define COUNT(a) (sizeof (a) / sizeof (a)[0])

struct part {
	const char *field;
	int type;
	const char *value;
	int len;             /* -1: up to its NUL */
};

static struct ph__arena arena;
static EVP_PKEY *signer;

static int
set_up(void **state)
{
	(void)state;
	ph__arena_init(&arena, &ph__libc_memory);
	signer = EVP_EC_gen("P-256");
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	ph__arena_done(&arena);
	EVP_PKEY_free(signer);
	return 0;
}

/* Not signed yet. Takes the key. */
static X509 *
made(EVP_PKEY *key, const struct part *parts, size_t count)
{
	X509 *cert = X509_new();
	X509_NAME *name = X509_get_subject_name(cert);

	assert_non_null(key);
	X509_set_version(cert, 2);
	ASN1_INTEGER_set_uint64(X509_get_serialNumber(cert), 0x1f2e3d4c5b6a7988);
	for (size_t i = 0; i < count; i++)
		assert_int_equal(X509_NAME_add_entry_by_txt(name, parts[i].field, parts[i].type,
		                                            (const unsigned char *)parts[i].value,
		                                            parts[i].len, -1, 0), 1);
	X509_set_issuer_name(cert, name);
	X509_gmtime_adj(X509_getm_notBefore(cert), -DAY);
	X509_gmtime_adj(X509_getm_notAfter(cert), 400 * DAY);
	X509_set_pubkey(cert, key);
	EVP_PKEY_free(key);
	return cert;
}

static X509 *
named(const struct part *parts, size_t count)
{
	return made(EVP_EC_gen("P-256"), parts, count);
}

static X509 *
plain(void)
{
	return named(&(struct part){ "CN", MBSTRING_ASC, "plain", -1 }, 1);
}

static struct ph_certificate
described(X509 *cert)
{
	struct ph_certificate c = PH_CERTIFICATE_INIT;

	ph__arena_reset(&arena);
	assert_true(ph__tls_describe(&c, cert, &arena));
	assert_int_equal(ERR_peek_error(), 0);
	assert_int_equal(c.size, sizeof c);
	return c;
}

/* One of which every part is set: signed. */
static struct ph_certificate
finished(X509 *cert)
{
	assert_true(X509_sign(cert, signer, EVP_sha256()) > 0);
	return described(cert);
}

/* As the wire would bring it, with `from` replaced by `to` of the same length. */
static X509 *
altered(X509 *cert, const char *from, const char *to, size_t n)
{
	unsigned char *der = NULL, *at;
	const unsigned char *p;
	int len, found = 0;

	if (X509_get_signature_nid(cert) == NID_undef)
		assert_true(X509_sign(cert, signer, EVP_sha256()) > 0);
	len = i2d_X509(cert, &der);
	assert_true(len > 0);
	X509_free(cert);
	for (at = der; (at = memmem(at, (size_t)(der + len - at), from, n)) != NULL; found++)
		memcpy(at, to, n);
	assert_true(found != 0);
	p = der;
	cert = d2i_X509(NULL, &p, len);
	assert_non_null(cert);
	OPENSSL_free(der);
	return cert;
}

/* ---- what openssl says */

static char pem[] = "/tmp/ph-cert-XXXXXX";

static const char *
openssl(const char *words)
{
	static char said[8192];
	char command[512];
	FILE *f;
	size_t n;

	snprintf(command, sizeof command, words, pem);
	f = popen(command, "r");
	assert_non_null(f);
	n = fread(said, 1, sizeof said - 1, f);
	assert_int_equal(pclose(f), 0);
	while (n != 0 && said[n - 1] == '\n')
		n--;
	said[n] = '\0';
	return said;
}

static const char *
option(const char *words)
{
	char command[256];

	snprintf(command, sizeof command, "openssl x509 -in %%s -noout %s", words);
	return openssl(command);
}

static void
same(const char *ours, const char *theirs, const char *before)
{
	char text[1024];
	size_t n = 0;

	assert_int_equal(strncmp(theirs, before, strlen(before)), 0);
	for (theirs += strlen(before); *theirs != '\0'; theirs++)
		if (*theirs != ':')
			text[n++] = (char)tolower((unsigned char)*theirs);
	text[n] = '\0';
	assert_string_equal(ours, text);
}

static void
same_date(int64_t ours, const char *theirs, const char *before)
{
	struct tm tm = { 0 };

	assert_int_equal(strncmp(theirs, before, strlen(before)), 0);
	assert_non_null(strptime(theirs + strlen(before), "%Y-%m-%d %H:%M:%SZ", &tm));
	assert_int_equal(ours, timegm(&tm));
}

/* subject and issuer in their own case */
static void
same_name(const char *ours, const char *theirs, const char *before)
{
	assert_int_equal(strncmp(theirs, before, strlen(before)), 0);
	assert_string_equal(ours, theirs + strlen(before));
}

static void
compare(X509 *cert)
{
	struct ph_certificate c = described(cert);
	int fd = mkstemp(pem);
	FILE *f = fdopen(fd, "w");
	unsigned char *der = NULL;
	int n = i2d_X509(cert, &der);

	assert_int_equal(PEM_write_X509(f, cert), 1);
	fclose(f);
	assert_int_equal(c.der_len, n);
	assert_memory_equal(c.der, der, (size_t)n);
	OPENSSL_free(der);
	same_name(c.subject, option("-subject -nameopt RFC2253,-esc_msb"), "subject=");
	same_name(c.issuer, option("-issuer -nameopt RFC2253,-esc_msb"), "issuer=");
	same(c.serial, option("-serial"), "serial=");
	same_date(c.not_before, option("-startdate -dateopt iso_8601"), "notBefore=");
	same_date(c.not_after, option("-enddate -dateopt iso_8601"), "notAfter=");
	same(c.sha256, option("-fingerprint -sha256"), "sha256 Fingerprint=");
	same(c.spki_sha256, openssl("openssl x509 -in %s -noout -pubkey | openssl pkey -pubin -outform "
	                            "DER | openssl dgst -sha256 -r | cut -c1-64"), "");
	unlink(pem);
	memcpy(pem + sizeof pem - 7, "XXXXXX", 6);
}

static void
each_field_is_what_openssl_says(void **state)
{
	static const struct part parts[] = {
		{ "C", MBSTRING_ASC, "DE", -1 },
		{ "O", MBSTRING_UTF8, "M\xc3\xbcller, S\xc3\xb6hne + Co", -1 },
		{ "OU", MBSTRING_ASC, " #1\\2\"", -1 },
		{ "emailAddress", MBSTRING_ASC, "a@example.org", -1 },
		{ "CN", MBSTRING_ASC, "mx.example.org", -1 },
	};
	const struct {
		EVP_PKEY *key;
		const EVP_MD *md;
		const char *text, *signature;
	} rows[] = {
		{ EVP_RSA_gen(2048), EVP_sha256(), "RSA 2048", "RSA-SHA256" },
		{ EVP_RSA_gen(3072), EVP_sha512(), "RSA 3072", "RSA-SHA512" },
		{ EVP_EC_gen("P-256"), EVP_sha256(), "EC prime256v1", "ecdsa-with-SHA256" },
		{ EVP_EC_gen("P-384"), EVP_sha384(), "EC secp384r1", "ecdsa-with-SHA384" },
		{ EVP_PKEY_Q_keygen(NULL, NULL, "ED25519"), NULL, "ED25519", "ED25519" },
		{ EVP_PKEY_Q_keygen(NULL, NULL, "ED448"), NULL, "ED448", "ED448" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		X509 *cert;
		struct ph_certificate c;

		EVP_PKEY_up_ref(rows[i].key);
		cert = made(rows[i].key, parts, COUNT(parts));
		assert_true(X509_sign(cert, rows[i].key, rows[i].md) > 0);
		compare(cert);
		c = described(cert);
		assert_string_equal(c.subject, "CN=mx.example.org,emailAddress=a@example.org,"
		                    "OU=\\ #1\\\\2\\\",O=M\xc3\xbcller\\, S\xc3\xb6hne \\+ Co,C=DE");
		assert_string_equal(c.key, rows[i].text);
		assert_string_equal(c.signature, rows[i].signature);
		assert_true(c.self_issued);
		assert_int_equal(c.name_count, 0);
		EVP_PKEY_free(rows[i].key);
		X509_free(cert);
	}
}

static void
who_was_signed_by_another_is_not_self_issued(void **state)
{
	struct ident ca = ca_make((struct cert_spec){ .cn = "Test CA", .ca = true });
	struct ident leaf = ca_make((struct cert_spec){ .cn = "leaf", .issuer = &ca });
	struct ph_certificate c;

	(void)state;
	compare(leaf.cert);
	c = described(leaf.cert);
	assert_string_equal(c.subject, "CN=leaf");
	assert_string_equal(c.issuer, "CN=Test CA");
	assert_false(c.self_issued);
	ca_free(&leaf);
	ca_free(&ca);
}

/* ---- names */

static void
names_and_addresses_are_listed_in_order(void **state)
{
	static const char *const names[] = { "mx.example.org", "192.0.2.1", "*.example.org",
	                                     "2001:db8::1", "xn--mnchen-3ya.example" };
	X509 *cert = plain();
	struct ph_certificate c;

	(void)state;
	ca_add_ext(cert, cert, NID_subject_alt_name, "DNS:mx.example.org,IP:192.0.2.1,"
	           "URI:https://x.test/,DNS:*.example.org,email:a@example.org,IP:2001:db8::1,DNS:xn--mnchen-3ya.example");
	c = finished(cert);
	assert_int_equal(c.name_count, COUNT(names));
	for (size_t i = 0; i < COUNT(names); i++)
		assert_string_equal(c.names[i], names[i]);
	X509_free(cert);
}

static void
add_name(GENERAL_NAMES *all, int type, const char *p, int n)
{
	GENERAL_NAME *g = GENERAL_NAME_new();
	ASN1_STRING *s = ASN1_STRING_type_new(type == GEN_DNS ? V_ASN1_IA5STRING : V_ASN1_OCTET_STRING);

	ASN1_STRING_set(s, p, n);
	GENERAL_NAME_set0_value(g, type, s);
	sk_GENERAL_NAME_push(all, g);
}

static void
no_name_can_pass_for_another_by_what_is_not_seen(void **state)
{
	X509 *cert = plain();
	GENERAL_NAMES *all = sk_GENERAL_NAME_new_null();
	struct ph_certificate c;

	(void)state;
	add_name(all, GEN_DNS, "good.test\0.evil.test", 20);
	add_name(all, GEN_DNS, "a\033[2J\r\n\xe2\x80\xae" "b", 11);
	add_name(all, GEN_DNS, "", 0);
	add_name(all, GEN_IPADD, "\x7f\0\0\1\xff\0\0\0", 8); /* a range: an authority's constraint */
	add_name(all, GEN_IPADD, "", 0);
	add_name(all, GEN_IPADD, "\x7f\0\0\1", 4);
	assert_int_equal(X509_add1_ext_i2d(cert, NID_subject_alt_name, all, 0, 0), 1);
	GENERAL_NAMES_free(all);
	c = finished(cert);
	assert_int_equal(c.name_count, 4);
	assert_string_equal(c.names[0], "good.test\\x00.evil.test");
	assert_string_equal(c.names[1], "a\\x1B[2J\\x0D\\x0A\\xE2\\x80\\xAE" "b");
	assert_string_equal(c.names[2], "");
	assert_string_equal(c.names[3], "127.0.0.1");
	X509_free(cert);
}

static void
a_thousand_names_are_a_thousand(void **state)
{
	X509 *cert = plain();
	GENERAL_NAMES *all = sk_GENERAL_NAME_new_null();
	struct ph_certificate c;
	char name[32];

	(void)state;
	for (int i = 0; i < 1000; i++) {
		snprintf(name, sizeof name, "host%d.example.org", i);
		add_name(all, GEN_DNS, name, (int)strlen(name));
	}
	assert_int_equal(X509_add1_ext_i2d(cert, NID_subject_alt_name, all, 0, 0), 1);
	GENERAL_NAMES_free(all);
	c = finished(cert);
	assert_int_equal(c.name_count, 1000);
	assert_string_equal(c.names[0], "host0.example.org");
	assert_string_equal(c.names[999], "host999.example.org");
	X509_free(cert);
}

static void
a_subject_is_readable_in_any_character_set(void **state)
{
	const struct {
		struct part part;
		const char *text;
	} rows[] = {
		{ { "CN", MBSTRING_UTF8, "m\xc3\xbcnchen.example", -1 }, "CN=m\xc3\xbcnchen.example" },
		{ { "CN", V_ASN1_BMPSTRING, "\x00\x6d\x4e\x2d", 4 }, "CN=m\xe4\xb8\xad" },
		{ { "CN", V_ASN1_UNIVERSALSTRING, "\0\1\xf6\0", 4 }, "CN=\xf0\x9f\x98\x80" },
		{ { "CN", V_ASN1_T61STRING, "caf\xe9", -1 }, "CN=caf\xc3\xa9" },
		{ { "CN", V_ASN1_UTF8STRING, "a\0b", 3 }, "CN=a\\x00b" },
		{ { "CN", V_ASN1_UTF8STRING, "a\r\n\033[2J\x7f", -1 }, "CN=a\\x0D\\x0A\\x1B[2J\\x7F" },
		{ { "CN", V_ASN1_UTF8STRING, "\xc2\x9b" "2J\xe2\x80\xae", -1 },
		  "CN=\\xC2\\x9B2J\\xE2\\x80\\xAE" },
		{ { "CN", V_ASN1_UTF8STRING, "\\x0D", -1 }, "CN=\\\\x0D" },
		{ { "CN", V_ASN1_UTF8STRING, "x,O=Bank", -1 }, "CN=x\\,O=Bank" },
		{ { "CN", V_ASN1_BIT_STRING, "a\xff", -1 }, "CN=#03030061FF" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		X509 *cert = named(&rows[i].part, 1);
		struct ph_certificate c = finished(cert);

		assert_string_equal(c.subject, rows[i].text);
		assert_string_equal(c.issuer, rows[i].text);
		X509_free(cert);
	}
}

static void
what_is_too_long_is_cut_between_characters(void **state)
{
	char value[2000];
	struct part part = { "CN", V_ASN1_UTF8STRING, value, sizeof value };
	GENERAL_NAMES *names;
	struct ph_certificate c;
	X509 *cert;

	(void)state;
	for (size_t shift = 0; shift < 2; shift++) { /* once the cut falls into a character */
		value[0] = 'x';
		for (size_t i = shift; i + 1 < sizeof value; i += 2)
			memcpy(value + i, "\xc3\xa9", 2);
		part.len = (int)(shift + (sizeof value - shift) / 2 * 2);
		cert = named(&part, 1);
		c = finished(cert);
		assert_int_equal(strlen(c.subject), shift == 0 ? 511 : 510);
		assert_true(ph__str_is_utf8(ph__str(c.subject)));
		X509_free(cert);
	}
	memset(value, '\033', sizeof value);
	cert = named(&part, 1);
	c = finished(cert);
	assert_int_equal(strlen(c.subject), 3 + 127 * 4);
	X509_free(cert);
	cert = plain();
	names = sk_GENERAL_NAME_new_null();
	add_name(names, GEN_DNS, value, sizeof value);
	add_name(names, GEN_DNS, "mx.example.org", 14);
	assert_int_equal(X509_add1_ext_i2d(cert, NID_subject_alt_name, names, 0, 0), 1);
	GENERAL_NAMES_free(names);
	c = finished(cert);
	assert_int_equal(strlen(c.names[0]), 1024);
	assert_string_equal(c.names[1], "mx.example.org");
	X509_free(cert);
}

static void
a_certificate_may_have_no_names_at_all(void **state)
{
	X509 *cert = named(NULL, 0);
	struct ph_certificate c = finished(cert);

	(void)state;
	assert_string_equal(c.subject, "");
	assert_string_equal(c.issuer, "");
	assert_int_equal(c.name_count, 0);
	X509_free(cert);
}

/* ---- numbers */

static void
serial_numbers_of_every_kind_are_hex(void **state)
{
	static const struct { const char *decimal, *text; } rows[] = {
		{ "0", "00" }, { "1", "01" }, { "255", "ff" }, { "256", "0100" }, { "-1", "-01" },
		{ "-4096", "-1000" },
	};
	unsigned char octets[200];
	struct ph_certificate c;
	X509 *cert;

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		ASN1_INTEGER *n = s2i_ASN1_INTEGER(NULL, rows[i].decimal);

		cert = plain();
		X509_set_serialNumber(cert, n);
		assert_true(finished(cert).serial[0] != '\0');
		c = finished(cert);
		assert_string_equal(c.serial, rows[i].text);
		ASN1_INTEGER_free(n);
		X509_free(cert);
	}
	cert = plain();
	memset(octets, 0x5a, sizeof octets);
	ASN1_STRING_set(X509_get_serialNumber(cert), octets, sizeof octets);
	c = finished(cert);
	assert_int_equal(strlen(c.serial), 62);
	X509_free(cert);
}

static void
dates_reach_beyond_2038_and_before_1970(void **state)
{
	X509 *cert = plain();
	struct ph_certificate c;

	(void)state;
	assert_int_equal(ASN1_TIME_set_string(X509_getm_notBefore(cert), "19500102030405Z"), 1);
	assert_int_equal(ASN1_TIME_set_string(X509_getm_notAfter(cert), "99991231235959Z"), 1);
	c = finished(cert);
	assert_int_equal(c.not_before, -631054555);
	assert_int_equal(c.not_after, 253402300799);
	X509_free(cert);
}

static void
a_date_that_is_none_is_0(void **state)
{
	X509 *cert = plain();

	(void)state;
	assert_int_equal(ASN1_TIME_set_string(X509_getm_notAfter(cert), "490228010203Z"), 1);
	cert = altered(cert, "490228010203Z", "490230010203Z", 13);
	assert_int_equal(described(cert).not_after, 0);
	assert_int_not_equal(described(cert).not_before, 0);
	X509_free(cert);
}

/* ---- kinds that OpenSSL does not know */

static void
an_unknown_key_is_told_by_its_number(void **state)
{
	X509 *cert = altered(plain(), "\x2a\x86\x48\xce\x3d\x02\x01", "\x2a\x86\x48\xce\x3d\x02\x79", 7);

	(void)state;
	assert_string_equal(described(cert).key, "1.2.840.10045.2.121");
	X509_free(cert);
	/* a known kind with parameters that make no key */
	cert = altered(plain(), "\x2a\x86\x48\xce\x3d\x03\x01\x07", "\x2a\x86\x48\xce\x3d\x03\x01\x79", 8);
	assert_string_equal(described(cert).key, "id-ecPublicKey");
	assert_int_equal(strlen(described(cert).spki_sha256), 64);
	X509_free(cert);
}

static void
an_unknown_signature_is_told_by_its_number(void **state)
{
	struct ident id = ca_make((struct cert_spec){ .cn = "x" });
	X509 *cert = altered(X509_dup(id.cert), "\x2a\x86\x48\xce\x3d\x04\x03\x02",
	                     "\x2a\x86\x48\xce\x3d\x04\x03\x79", 8);

	(void)state;
	assert_string_equal(described(cert).signature, "1.2.840.10045.4.3.121");
	X509_free(cert);
	ca_free(&id);
}

/* ---- the caller's side */

static void
a_shorter_struct_of_an_older_caller_is_respected(void **state)
{
	union {
		struct ph_certificate c;
		unsigned char octets[sizeof(struct ph_certificate)];
	} u;
	size_t size = offsetof(struct ph_certificate, serial);
	X509 *cert = plain();

	(void)state;
	memset(&u, 0xa5, sizeof u);
	u.c.size = size;
	ph__arena_reset(&arena);
	assert_true(X509_sign(cert, signer, EVP_sha256()) > 0);
	assert_true(ph__tls_describe(&u.c, cert, &arena));
	assert_int_equal(u.c.size, size);
	assert_string_equal(u.c.issuer, "CN=plain");
	for (size_t i = size; i < sizeof u; i++)
		assert_int_equal(u.octets[i], 0xa5);
	X509_free(cert);
}

static int allocations_left;

static void *
few_alloc(void *user, size_t n)
{
	(void)user;
	return allocations_left-- > 0 ? malloc(n) : NULL;
}

static void *
few_realloc(void *user, void *p, size_t n)
{
	(void)user;
	return allocations_left-- > 0 ? realloc(p, n) : NULL;
}

static void
few_free(void *user, void *p)
{
	(void)user;
	free(p);
}

static void
without_memory_nothing_is_told(void **state)
{
	const struct ph_allocator few = { few_alloc, few_realloc, few_free, NULL };
	X509 *cert = plain();
	bool ok = false;
	int n;

	(void)state;
	ca_add_ext(cert, cert, NID_subject_alt_name, "DNS:mx.example.org,IP:192.0.2.1");
	assert_true(X509_sign(cert, signer, EVP_sha256()) > 0);
	for (n = 0; n < 50 && !ok; n++) {
		struct ph_certificate c = PH_CERTIFICATE_INIT;
		struct ph__arena a;

		allocations_left = n;
		ph__arena_init(&a, &few);
		ok = ph__tls_describe(&c, cert, &a);
		assert_true(ok || (c.der == NULL && c.subject[0] == '\0'));
		assert_int_equal(ERR_peek_error(), 0);
		ph__arena_done(&a);
	}
	assert_true(n > 1 && ok);
	X509_free(cert);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_field_is_what_openssl_says),
		cmocka_unit_test(who_was_signed_by_another_is_not_self_issued),
		cmocka_unit_test(names_and_addresses_are_listed_in_order),
		cmocka_unit_test(no_name_can_pass_for_another_by_what_is_not_seen),
		cmocka_unit_test(a_thousand_names_are_a_thousand),
		cmocka_unit_test(a_subject_is_readable_in_any_character_set),
		cmocka_unit_test(what_is_too_long_is_cut_between_characters),
		cmocka_unit_test(a_certificate_may_have_no_names_at_all),
		cmocka_unit_test(serial_numbers_of_every_kind_are_hex),
		cmocka_unit_test(dates_reach_beyond_2038_and_before_1970),
		cmocka_unit_test(a_date_that_is_none_is_0),
		cmocka_unit_test(an_unknown_key_is_told_by_its_number),
		cmocka_unit_test(an_unknown_signature_is_told_by_its_number),
		cmocka_unit_test(a_shorter_struct_of_an_older_caller_is_respected),
		cmocka_unit_test(without_memory_nothing_is_told),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
