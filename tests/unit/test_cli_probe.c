/* SPDX-License-Identifier: MIT */
/* What `posthaste probe` tells: percentiles, tables, capabilities, and its judgement of certificates. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "cli/probe_capabilities.h"
#include "cli/probe_stats.h"
#include "cli/probe_tls.h"
#include "cli/table.h"

/* What a function writes to a file, as a string. */
static char *text;
static size_t text_len;

static FILE *
begin_text(void)
{
	FILE *f = open_memstream(&text, &text_len);

	assert_non_null(f);
	return f;
}

#define assert_text(f, expected) \
	do { \
		fclose(f); \
		assert_string_equal(text, expected); \
		free(text); \
	} while (0)

/* Whether the text has it; for outputs of many lines. */
static bool
has(const char *what)
{
	return strstr(text, what) != NULL;
}

/* ---- percentiles ----------------------------------------------------------------------------- */

static void
a_percentile_is_a_sample_that_so_many_do_not_exceed(void **state)
{
	static const uint64_t five[] = { 15, 20, 35, 40, 50 }, one[] = { 7 };
	static const struct { unsigned p; uint64_t is; } rows[] = {
		{ 1, 15 }, { 5, 15 }, { 20, 15 }, { 21, 20 }, { 30, 20 }, { 40, 20 }, { 50, 35 }, { 60, 35 },
		{ 61, 40 }, { 80, 40 }, { 81, 50 }, { 90, 50 }, { 99, 50 }, { 100, 50 },
	};
	uint64_t hundred[100];

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		assert_int_equal(ph__percentile(five, 5, rows[i].p), rows[i].is);
	assert_int_equal(ph__percentile(one, 1, 1), 7);
	assert_int_equal(ph__percentile(one, 1, 100), 7);
	for (uint64_t i = 0; i < 100; i++)
		hundred[i] = i + 1;
	for (unsigned p = 1; p <= 100; p++)
		assert_int_equal(ph__percentile(hundred, 100, p), p);
}

/* The definition, counted out, over many sizes. */
static void
a_percentile_is_the_smallest_such_sample(void **state)
{
	uint64_t x[40];

	(void)state;
	for (size_t n = 1; n <= 40; n++) {
		for (size_t i = 0; i < n; i++)
			x[i] = 10 * (i + 1);
		for (unsigned p = 1; p <= 100; p++) {
			size_t rank = 1;

			while (rank * 100 < n * p)
				rank++;
			assert_int_equal(ph__percentile(x, n, p), 10 * rank);
		}
	}
}

static void
stages_stand_in_the_order_in_which_they_came(void **state)
{
	struct ph__stats s = { .count = 0 };
	FILE *f = begin_text();

	(void)state;
	for (uint64_t i = 100; i >= 1; i--) {
		assert_true(ph__stats_add(&s, "connect", i * 1000));
		if (i <= 2)
			assert_true(ph__stats_add(&s, "ehlo", 123456 * i));
	}
	ph__stats_print(&s, f);
	assert_text(f, "stage (ms)  runs      min      p50      p90      p99      max     mean\n"
	               "connect      100    1.000   50.000   90.000   99.000  100.000   50.500\n"
	               "ehlo           2  123.456  123.456  246.912  246.912  246.912  185.184\n");
	ph__stats_done(&s);
}

static void
percentiles_are_told_as_json(void **state)
{
	struct ph__stats s = { .count = 0 };
	struct ph__buf b;
	struct ph__json j = { .out = &b };

	(void)state;
	ph__buf_init(&b, &ph__libc_memory, 1000);
	ph__stats_add(&s, "total", 3);
	ph__stats_add(&s, "total", 1);
	ph__json_object(&j, NULL);
	ph__stats_json(&s, &j);
	ph__json_end_object(&j);
	assert_string_equal(ph__buf_cstr(&b),
	                    "{\"stages\":[{\"stage\":\"total\",\"runs\":2,\"min_us\":1,\"p50_us\":1,\"p90_us\":3,"
	                    "\"p99_us\":3,\"max_us\":3,\"mean_us\":2}]}");
	ph__buf_done(&b);
	ph__stats_done(&s);
}

static void
there_is_a_bound_to_stages(void **state)
{
	struct ph__stats s = { .count = 0 };
	char own[PH__STATS_STAGES + 1][8];

	(void)state;
	for (size_t i = 0; i <= PH__STATS_STAGES; i++) {
		snprintf(own[i], sizeof own[i], "s%zu", i);
		assert_int_equal(ph__stats_add(&s, own[i], 1), i < PH__STATS_STAGES);
	}
	ph__stats_done(&s);
}

/* ---- tables ---------------------------------------------------------------------------------- */

static const struct ph__table_column three[] = {
	{ "Name", 10, false }, { "N", 0, true }, { "Words", 12, false }, { .heading = NULL },
};

static void
columns_are_as_wide_as_their_widest_cell(void **state)
{
	struct ph__table t;
	FILE *f = begin_text();

	(void)state;
	ph__table_init(&t, three);
	ph__table_add(&t, ph__str("a"));
	ph__table_addf(&t, "%d", 5);
	ph__table_add(&t, ph__str("x"));
	ph__table_add(&t, ph__str("bcd"));
	ph__table_addf(&t, "%d", 1234);
	ph__table_add(&t, ph__str(""));
	ph__table_print(&t, f, 2);
	assert_text(f, "  Name     N  Words\n"
	               "  a        5  x\n"
	               "  bcd   1234\n");
	ph__table_done(&t);
}

static void
long_cells_go_on_in_further_lines(void **state)
{
	struct ph__table t;
	FILE *f = begin_text();

	(void)state;
	ph__table_init(&t, three);
	ph__table_add(&t, ph__str("two words here"));
	ph__table_add(&t, ph__str("1"));
	ph__table_add(&t, ph__str("one-word-that-is-far-too-long yes"));
	ph__table_print(&t, f, 0);
	assert_text(f, "Name        N  Words\n"
	               "two words   1  one-word-tha\n"
	               "here           t-is-far-too\n"
	               "               -long yes\n");
	ph__table_done(&t);
}

static void
what_could_harm_a_terminal_is_escaped_in_tables(void **state)
{
	struct ph__table t;
	FILE *f = begin_text();

	(void)state;
	ph__table_init(&t, three);
	ph__table_add(&t, ph__str("\033[2J"));
	ph__table_add(&t, ph__str("\xc3\xbc\xc3\xbc"));
	ph__table_add(&t, ph__str("a\nb\xff"));
	ph__table_print(&t, f, 0);
	assert_text(f, "Name      N  Words\n"
	               "\\x1B[2J  \xc3\xbc\xc3\xbc  a\\x0Ab\\xFF\n");
	ph__table_done(&t);
}

/* ---- capabilities ---------------------------------------------------------------------------- */

static struct ph_reply
reply(uint16_t code, const char *lines)
{
	return (struct ph_reply){ .code = code, .text = lines, .len = strlen(lines) };
}

static struct ph__capabilities k;

static void
take(enum ph__link link, const char *lines)
{
	struct ph_reply r = reply(250, lines);

	assert_int_equal(ph__capabilities_take(&k, link, &r, NULL), PH_OK);
}

static void
tls_makes_keywords_come_and_go(void **state)
{
	FILE *f = begin_text();

	(void)state;
	ph__capabilities_init(&k);
	take(PH__IN_CLEAR, "mx.example.org at your service\nSIZE 1000\nSTARTTLS\nX-OWN thing");
	take(PH__UNDER_TLS, "mx.example.org\nsize 2000\nAUTH PLAIN LOGIN\nX-OWN thing");
	ph__capabilities_print(&k, f);
	assert_text(f, "   Keyword   Before TLS  Under TLS    What it is\n"
	               "~  SIZE      1000        2000         octets that a message may have (RFC 1870)\n"
	               "-  STARTTLS  yes         -            goes on under TLS (RFC 3207)\n"
	               "   X-OWN     thing       thing\n"
	               "+  AUTH      -           PLAIN LOGIN  log in, by these mechanisms (RFC 4954)\n"
	               "(+ only under TLS, - only before it, ~ otherwise under TLS)\n");
	ph__capabilities_done(&k);
}

static void
capabilities_are_told_as_json(void **state)
{
	struct ph__buf b;
	struct ph__json j = { .out = &b };

	(void)state;
	ph__buf_init(&b, &ph__libc_memory, 2000);
	ph__capabilities_init(&k);
	take(PH__IN_CLEAR, "x\nSTARTTLS\nX\"\\\033 \"");
	take(PH__UNDER_TLS, "x\nAUTH PLAIN");
	ph__json_object(&j, NULL);
	ph__capabilities_json(&k, &j);
	ph__json_end_object(&j);
	assert_string_equal(ph__buf_cstr(&b),
	                    "{\"capabilities\":{\"heard_before_tls\":true,\"heard_under_tls\":true,\"keywords\":["
	                    "{\"keyword\":\"STARTTLS\",\"before_tls\":\"\",\"under_tls\":null,\"change\":\"vanished\"},"
	                    "{\"keyword\":\"X\\\"\\\\\\u001b\",\"before_tls\":\"\\\"\",\"under_tls\":null,"
	                    "\"change\":\"vanished\"},"
	                    "{\"keyword\":\"AUTH\",\"before_tls\":null,\"under_tls\":\"PLAIN\",\"change\":\"appeared\"}],"
	                    "\"warnings\":[]}}");
	ph__buf_done(&b);
	ph__capabilities_done(&k);
}

static void
print_capabilities(void)
{
	FILE *f = begin_text();

	ph__capabilities_print(&k, f);
	fclose(f);
}

static void
passwords_in_clear_are_warned_about(void **state)
{
	(void)state;
	ph__capabilities_init(&k);
	take(PH__IN_CLEAR, "x\nAUTH CRAM-MD5 LOGIN\nAUTH=PLAIN\nSTARTTLS");
	take(PH__UNDER_TLS, "x\nAUTH PLAIN");
	print_capabilities();
	assert_true(has("Warning: AUTH is offered in clear, with mechanisms that send the password"));
	assert_true(has("AUTH=     PLAIN"));
	free(text);
	take(PH__IN_CLEAR, "x\nAUTH CRAM-MD5\nSTARTTLS"); /* replaces the first */
	print_capabilities();
	assert_true(has("Warning: AUTH is offered in clear: the login is not readable"));
	assert_false(has("AUTH="));
	free(text);
	take(PH__IN_CLEAR, "x\nAUTH XOAUTH2\nAUTH CRAM-MD5");
	take(PH__UNDER_TLS, "x\nSTARTTLS\nBINARYMIME");
	print_capabilities();
	assert_true(has("send the password"));
	assert_true(has("XOAUTH2 CRAM-MD5"));
	assert_true(has("STARTTLS is not offered"));
	assert_true(has("STARTTLS is still offered under TLS"));
	assert_true(has("AUTH is offered in clear and not under TLS"));
	assert_true(has("BINARYMIME is offered without CHUNKING"));
	free(text);
	ph__capabilities_done(&k);
}

static void
a_good_server_is_not_warned_about(void **state)
{
	(void)state;
	ph__capabilities_init(&k);
	take(PH__IN_CLEAR, "x\nSTARTTLS\nCHUNKING\nBINARYMIME");
	take(PH__UNDER_TLS, "x\nAUTH PLAIN\nCHUNKING\nBINARYMIME");
	print_capabilities();
	assert_false(has("Warning"));
	free(text);
	ph__capabilities_done(&k);
}

static void
one_ehlo_is_one_column(void **state)
{
	struct ph_reply refused = reply(502, "no\nSIZE"), hello = reply(250, "x");

	(void)state;
	ph__capabilities_init(&k);
	assert_int_equal(ph__capabilities_take(&k, PH__IN_CLEAR, &refused, NULL), PH_OK);
	assert_int_equal(ph__capabilities_take(&k, PH__IN_CLEAR, NULL, NULL), PH_OK);
	print_capabilities();
	assert_string_equal(text, "The server has answered no EHLO: nothing is known of what it offers.\n");
	free(text);
	assert_int_equal(ph__capabilities_take(&k, PH__IN_CLEAR, &hello, NULL), PH_OK);
	print_capabilities();
	assert_true(has("The server offers no extensions.\n"));
	free(text);
	ph__capabilities_done(&k);
	ph__capabilities_init(&k);
	take(PH__UNDER_TLS, "x\nDSN");
	print_capabilities();
	assert_string_equal(text, "Keyword  Under TLS  What it is\n"
	                          "DSN      yes        delivery reports on request (RFC 3461)\n");
	free(text);
	ph__capabilities_done(&k);
}

/* ---- certificates ---------------------------------------------------------------------------- */

static void
a_star_stands_for_one_label(void **state)
{
	static const char *const names[] = { "mx.example.org", "*.example.net.", "192.0.2.1" };
	static const struct ph_certificate x = { .names = names, .name_count = 3 };

	(void)state;
	assert_true(ph__certificate_has_name(&x, "MX.example.ORG"));
	assert_true(ph__certificate_has_name(&x, "mx.example.org."));
	assert_true(ph__certificate_has_name(&x, "a.example.net"));
	assert_true(ph__certificate_has_name(&x, "192.0.2.1"));
	assert_false(ph__certificate_has_name(&x, "a.b.example.net"));
	assert_false(ph__certificate_has_name(&x, "example.net"));
	assert_false(ph__certificate_has_name(&x, ".example.net"));
	assert_false(ph__certificate_has_name(&x, "example.org"));
	assert_false(ph__certificate_has_name(&x, ""));
}

static void
weak_keys_and_signatures_are_known(void **state)
{
	static const char *const weak[] = { "RSA 1024", "RSA 512", "RSA-PSS 2047", "DSA 3072",
	                                    "EC prime192v1", "EC secp112r1", "EC sect163k1" };
	static const char *const good[] = { "RSA 2048", "RSA 4096", "RSA-PSS 2048", "EC prime256v1",
	                                    "EC secp384r1", "EC brainpoolP256r1", "ED25519", "ED448",
	                                    "1.2.3.4", "" };
	static const char *const forged[] = { "RSA-SHA1", "RSA-MD5", "ecdsa-with-SHA1", "RSA-SHA1-2",
	                                      "dsaWithSHA" };
	static const char *const sound[] = { "RSA-SHA256", "ecdsa-with-SHA256", "RSASSA-PSS",
	                                     "RSA-SHA3-256", "RSA-SHA512", "ED25519", "" };

	(void)state;
	for (size_t i = 0; i < sizeof weak / sizeof weak[0]; i++)
		assert_non_null(ph__weak_key(weak[i]));
	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
		assert_null(ph__weak_key(good[i]));
	for (size_t i = 0; i < sizeof forged / sizeof forged[0]; i++)
		assert_non_null(ph__weak_signature(forged[i]));
	for (size_t i = 0; i < sizeof sound / sizeof sound[0]; i++)
		assert_null(ph__weak_signature(sound[i]));
}

#define DAY 86400
#define NOW (20000 * (int64_t)DAY)

static const char *const mx_name[] = { "mx.example.org" };
static struct ph_certificate chain[2];

/* A report on a server without fault, whose chain is `chain`. */
static struct ph__tls_report
good_report(void)
{
	struct ph__tls_report r;

	ph__tls_report_init(&r, "mx.example.org", 25, NULL);
	chain[0] = (struct ph_certificate){
		.der = (const unsigned char *)"", .subject = "CN=mx.example.org", .issuer = "CN=CA",
		.serial = "01", .not_before = NOW - DAY, .not_after = NOW + 60 * DAY, .names = mx_name,
		.name_count = 1, .key = "EC prime256v1", .signature = "ecdsa-with-SHA256",
		.sha256 = "aa", .spki_sha256 = "bb",
	};
	chain[1] = (struct ph_certificate){
		.der = (const unsigned char *)"", .subject = "CN=CA", .issuer = "CN=Root",
		.serial = "02", .not_before = NOW - DAY, .not_after = NOW + 900 * DAY,
		.key = "RSA 4096", .signature = "RSA-SHA256", .sha256 = "cc", .spki_sha256 = "dd",
	};
	r.under_tls = true;
	r.facts = (struct ph_tls_facts){ .verified = true, .version = "TLSv1.3",
		.cipher = "TLS_AES_256_GCM_SHA384", .peer_name = "mx.example.org", .group = "X25519" };
	r.chain = chain;
	r.count = 2;
	return r;
}

static void
print_report(const struct ph__tls_report *r)
{
	FILE *f = begin_text();

	ph__tls_report_print(r, f, NOW);
	fclose(f);
}

#define assert_told(r, what) \
	do { \
		print_report(r); \
		assert_true(has(what)); \
		free(text); \
	} while (0)

static void
tlsa_records_are_ready_to_be_pasted(void **state)
{
	struct ph__tls_report r = good_report();

	(void)state;
	print_report(&r);
	assert_true(has("\n  _25._tcp.mx.example.org. IN TLSA 3 1 1 bb\n"
	                "  _25._tcp.mx.example.org. IN TLSA 2 1 1 dd\n"));
	assert_true(has("(60 days left)"));
	assert_false(has("Warning"));
	free(text);
	r.host = "192.0.2.1"; /* what it was verified as is a name */
	assert_told(&r, "_25._tcp.mx.example.org. IN TLSA");
	strcpy(r.facts.peer_name, "192.0.2.1");
	assert_told(&r, "No TLSA records");
	r.facts.peer_name[0] = '\0'; /* nothing was verified */
	r.host = "mx.example.org.";
	r.port = 465;
	assert_told(&r, "_465._tcp.mx.example.org. IN TLSA");
	r.host = "mx.example.org. IN A 192.0.2.1 ; "; /* nothing that is no name gets into a zone file */
	assert_told(&r, "No TLSA records");
	r.host = "/run/lmtp";
	r.port = 0;
	assert_told(&r, "No TLSA records");
	ph__tls_report_done(&r);
}

static void
certificates_are_warned_about_before_they_expire(void **state)
{
	struct ph__tls_report r = good_report();

	(void)state;
	chain[0].not_after = NOW + 14 * DAY;
	print_report(&r);
	assert_false(has("Warning"));
	free(text);
	chain[0].not_after = NOW + 14 * DAY - 1;
	assert_told(&r, "Warning: certificate 1 expires in 13 days\n");
	chain[0].not_after = NOW + DAY;
	assert_told(&r, "Warning: certificate 1 expires in 1 day\n");
	chain[0].not_after = NOW - 1;
	assert_told(&r, "Warning: certificate 1 has expired, 1 day ago\n");
	chain[0].not_after = NOW - DAY - 1;
	assert_told(&r, "Warning: certificate 1 has expired, 2 days ago\n");
	chain[0].not_after = 0;
	assert_told(&r, "Warning: certificate 1 has an unreadable date\n");
	chain[0].not_after = NOW + 60 * DAY;
	chain[0].not_before = NOW + 1;
	assert_told(&r, "Warning: certificate 1 is not valid yet\n");
	ph__tls_report_done(&r);
}

static void
what_is_wrong_is_told_with_what_to_do(void **state)
{
	struct ph__tls_report r = good_report();

	(void)state;
	strcpy(chain[1].subject, "CN=Another");
	assert_told(&r, "Warning: certificate 1 was not issued by certificate 2\n  To do: put the chain in");
	strcpy(chain[0].key, "RSA 1024");
	assert_told(&r, "the key of certificate 1 is weak (RSA 1024)");
	chain[0].name_count = 0;
	assert_told(&r, "has no subjectAltName");
	r.facts.verified = false;
	assert_told(&r, "not verified: nothing was asked for (--insecure)");
	strcpy(r.facts.problem, "it is \033[31mbad");
	print_report(&r);
	assert_true(has("not verified: it is \\x1B[31mbad"));
	assert_true(has("the certificate has other names"));
	assert_null(strchr(text, '\033'));
	free(text);
	chain[0].self_issued = true;
	assert_told(&r, "get a certificate from an authority that is trusted");
	strcpy(r.facts.version, "TLSv1.2");
	strcpy(r.facts.cipher, "AES256-GCM-SHA384");
	assert_told(&r, "no forward secrecy");
	strcpy(r.facts.cipher, "ECDHE-RSA-AES256-GCM-SHA384");
	print_report(&r);
	assert_false(has("forward secrecy"));
	free(text);
	ph__tls_report_done(&r);
}

static void
without_tls_there_is_nothing_to_report(void **state)
{
	struct ph__tls_report r;
	struct ph__buf b;
	struct ph__json j = { .out = &b };

	(void)state;
	ph__buf_init(&b, &ph__libc_memory, 100);
	ph__tls_report_init(&r, "mx.example.org", 25, NULL);
	assert_told(&r, "not under TLS");
	ph__json_object(&j, NULL);
	ph__tls_report_json(&r, &j, NOW);
	ph__json_end_object(&j);
	assert_string_equal(ph__buf_cstr(&b), "{\"tls\":null}");
	ph__buf_done(&b);
	ph__tls_report_done(&r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_percentile_is_a_sample_that_so_many_do_not_exceed),
		cmocka_unit_test(a_percentile_is_the_smallest_such_sample),
		cmocka_unit_test(stages_stand_in_the_order_in_which_they_came),
		cmocka_unit_test(percentiles_are_told_as_json),
		cmocka_unit_test(there_is_a_bound_to_stages),
		cmocka_unit_test(columns_are_as_wide_as_their_widest_cell),
		cmocka_unit_test(long_cells_go_on_in_further_lines),
		cmocka_unit_test(what_could_harm_a_terminal_is_escaped_in_tables),
		cmocka_unit_test(tls_makes_keywords_come_and_go),
		cmocka_unit_test(capabilities_are_told_as_json),
		cmocka_unit_test(passwords_in_clear_are_warned_about),
		cmocka_unit_test(a_good_server_is_not_warned_about),
		cmocka_unit_test(one_ehlo_is_one_column),
		cmocka_unit_test(a_star_stands_for_one_label),
		cmocka_unit_test(weak_keys_and_signatures_are_known),
		cmocka_unit_test(tlsa_records_are_ready_to_be_pasted),
		cmocka_unit_test(certificates_are_warned_about_before_they_expire),
		cmocka_unit_test(what_is_wrong_is_told_with_what_to_do),
		cmocka_unit_test(without_tls_there_is_nothing_to_report),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
