/* SPDX-License-Identifier: MIT */
/* SCRAM's client, octet by octet as the RFCs show it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "auth/scram.h"
#include "base/error.h"

static const struct ph__sasl_link unbound = { .service = "smtp", .host = "" };

static void
says(struct ph__scram *s, const char *in, const char *wanted, bool wanted_done)
{
	struct ph_error err = PH_ERROR_INIT;
	struct ph_str out;
	bool done;

	if (ph__scram_step(s, ph__str(in), &out, &done, &err) != PH_OK)
		fail_msg("%s", err.text);
	assert_int_equal(done, wanted_done);
	assert_int_equal(out.len, strlen(wanted));
	assert_memory_equal(out.ptr != NULL ? out.ptr : "", wanted, out.len);
}

static struct ph__scram *
make(const struct ph__scram_opts *o)
{
	struct ph__scram *s;

	assert_int_equal(ph__scram_new(&s, o, &ph__libc_memory, NULL), PH_OK);
	return s;
}

/* RFC 5802 §5. */
static void
sha_1_is_as_its_rfc_shows_it(void **state)
{
	struct ph__scram *s = make(&(struct ph__scram_opts){ "SCRAM-SHA-1", "user", "pencil", NULL,
	                                                     &unbound, "fyko+d2lbbFgONRv9qkxdawL" });

	(void)state;
	says(s, NULL, "n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL", false);
	says(s, "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096",
	     "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=", false);
	says(s, "v=rmF9pqV8S7suAoZWja4dJRkFsKQ=", "", true);
	ph__scram_free(&s);
	assert_null(s);
}

/* RFC 7677 §3. */
static void
sha_256_is_as_its_rfc_shows_it(void **state)
{
	struct ph__scram *s = make(&(struct ph__scram_opts){ "SCRAM-SHA-256", "user", "pencil", NULL,
	                                                     &unbound, "rOprNGfwEbeRWgbNEkqO" });

	(void)state;
	says(s, NULL, "n,,n=user,r=rOprNGfwEbeRWgbNEkqO", false);
	says(s, "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
	     "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
	     "p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=", false);
	says(s, "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=", "", true);
	ph__scram_free(&s);
}

static void
the_header_says_what_is_bound_and_who_acts_for_whom(void **state)
{
	const struct ph__sasl_link both = { .exporter = "exporter", .exporter_len = 8, .unique = "unique",
	                                    .unique_len = 6, .host = "" };
	const struct ph__sasl_link unique = { .unique = "unique", .unique_len = 6, .host = "" };
	const struct {
		const char *name, *authzid;
		const struct ph__sasl_link *link;
		const char *first, *final; /* as far as the "r=" */
	} rows[] = {
		{ "SCRAM-SHA-1", NULL, &unbound, "n,,n=u,r=N", "c=biws,r=" },
		{ "SCRAM-SHA-1", "b,o=s", &unbound, "n,a=b=2Co=3Ds,n=u,r=N", "c=bixhPWI9MkNvPTNEcyw=,r=" },
		{ "SCRAM-SHA-1", NULL, &both, "y,,n=u,r=N", "c=eSws,r=" },
		{ "SCRAM-SHA-256", NULL, &unique, "y,,n=u,r=N", "c=eSws,r=" },
		{ "SCRAM-SHA-256-PLUS", NULL, &both, "p=tls-exporter,,n=u,r=N",
		  "c=cD10bHMtZXhwb3J0ZXIsLGV4cG9ydGVy,r=" },
		{ "SCRAM-SHA-1-PLUS", NULL, &unique, "p=tls-unique,,n=u,r=N",
		  "c=cD10bHMtdW5pcXVlLCx1bmlxdWU=,r=" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct ph__scram *s = make(&(struct ph__scram_opts){ rows[i].name, "u", "p", rows[i].authzid,
		                                                     rows[i].link, "N" });
		struct ph_str out;
		bool done;

		says(s, NULL, rows[i].first, false);
		assert_int_equal(ph__scram_step(s, ph__str("r=Nn,s=QSXCR+Q6sek8bf92,i=1"), &out, &done, NULL),
		                 PH_OK);
		assert_memory_equal(out.ptr, rows[i].final, strlen(rows[i].final));
		ph__scram_free(&s);
	}
}

static void
a_server_must_speak_as_the_grammar_says(void **state)
{
	static const struct {
		const char *first;
		enum ph_code code;
	} rows[] = {
		{ "r=Nn,s=QSXC,i=1", PH_OK },
		{ "r=Nn,s=QSXC,i=1,x=later", PH_OK },      /* an extension */
		{ "m=must,r=Nn,s=QSXC,i=1", PH_EPROTOCOL }, /* one that we would have to know */
		{ "r=Nn,i=1,s=QSXC", PH_EPROTOCOL },
		{ "r=Nn,s=QSXC", PH_EPROTOCOL },
		{ "r=Nn,s=,i=1", PH_EPROTOCOL },
		{ "r=Nn,s=Q,i=1", PH_EPROTOCOL },
		{ "r=Nn,s=QSXC,i=0", PH_EPROTOCOL },
		{ "r=Nn,s=QSXC,i=2000001", PH_EPROTOCOL },
		{ "r=N,s=QSXC,i=1", PH_ESECURITY },
		{ "r=Mn,s=QSXC,i=1", PH_ESECURITY },
		{ "r=,s=QSXC,i=1", PH_ESECURITY },
		{ "r=N\x01,s=QSXC,i=1", PH_EPROTOCOL },
		{ "r=N\x7f,s=QSXC,i=1", PH_EPROTOCOL },
		{ "", PH_EPROTOCOL },
		{ "r", PH_EPROTOCOL },
		{ "e=no", PH_EPROTOCOL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct ph__scram *s = make(&(struct ph__scram_opts){ "SCRAM-SHA-1", "u", "p", NULL, &unbound,
		                                                     "N" });
		struct ph_error err = PH_ERROR_INIT;
		struct ph_str out;
		bool done;
		enum ph_code rc;

		says(s, NULL, "n,,n=u,r=N", false);
		rc = ph__scram_step(s, ph__str(rows[i].first), &out, &done, &err);
		if (rc != rows[i].code)
			fail_msg("row %zu: %s %s", i, ph_code_name(rc), err.text);
		if (rc != PH_OK) /* and it is over */
			assert_int_equal(ph__scram_step(s, ph__str("v=AAAA"), &out, &done, &err), PH_EPROTOCOL);
		ph__scram_free(&s);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sha_1_is_as_its_rfc_shows_it),
		cmocka_unit_test(sha_256_is_as_its_rfc_shows_it),
		cmocka_unit_test(the_header_says_what_is_bound_and_who_acts_for_whom),
		cmocka_unit_test(a_server_must_speak_as_the_grammar_says),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
