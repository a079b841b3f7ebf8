/* SPDX-License-Identifier: MIT */
/* SASL: the octets of each mechanism, which is tried when, and when to stop. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdlib.h>

#include "auth/sasl.h"
#include "base/error.h"
#include "failing_memory.h"

static struct ph__credentials
take(const char *user, const char *password, const char *authzid, const char *mechanisms)
{
	struct ph_credentials given = { PH_CREDENTIALS_INIT, user, password, authzid,
	                                .mechanisms = mechanisms };
	struct ph__credentials c;

	assert_int_equal(ph__credentials_copy(&c, &given, &ph__libc_memory, NULL), PH_OK);
	return c;
}

static struct ph__credentials
take_token(const char *user, const char *password, const char *authzid, const char *token)
{
	struct ph_credentials given = { PH_CREDENTIALS_INIT, user, password, authzid, token };
	struct ph__credentials c;

	assert_int_equal(ph__credentials_copy(&c, &given, &ph__libc_memory, NULL), PH_OK);
	return c;
}

static const struct ph__sasl_link nowhere = { .service = "smtp", .host = "" };

static void
begin_at(struct ph__sasl *x, const char *mechanism, const struct ph__credentials *c,
         const struct ph__sasl_link *link)
{
	struct ph_error err = PH_ERROR_INIT;

	if (ph__sasl_begin(x, mechanism, c, link, &ph__libc_memory, &err) != PH_OK)
		fail_msg("%s: %s", mechanism, err.text);
}

static void
begin(struct ph__sasl *x, const char *mechanism, const struct ph__credentials *c)
{
	begin_at(x, mechanism, c, &nowhere);
}

static void
answers(struct ph__sasl *x, const char *challenge, const void *wanted, size_t n)
{
	struct ph_error err = PH_ERROR_INIT;
	const void *p = "";
	size_t len = 99;

	assert_int_equal(x->table.step(x->table.user, challenge, challenge != NULL ? strlen(challenge)
	                               : 0, &p, &len, &err), PH_OK);
	if (wanted == NULL) {
		assert_null(p);
		return;
	}
	assert_non_null(p);
	assert_int_equal(len, n);
	assert_memory_equal(p, wanted, n);
}

static void
has_no_more_to_say(struct ph__sasl *x)
{
	struct ph_error err = PH_ERROR_INIT;
	const void *p;
	size_t len;

	assert_int_equal(x->table.step(x->table.user, "", 0, &p, &len, &err), PH_EPROTOCOL);
	assert_int_equal(err.stage, PH_STAGE_AUTH);
	assert_int_equal(err.cause, PH_CAUSE_MECHANISM);
	ph__sasl_end(x);
}

static void
plain_is_authzid_user_and_password_between_nuls(void **state)
{
	struct ph__credentials c = take("tim", "tanstaaf", NULL, NULL);
	struct ph__sasl x;

	(void)state;
	begin(&x, "PLAIN", &c);
	assert_string_equal(x.table.name, "PLAIN");
	answers(&x, NULL, "\0tim\0tanstaaf", 13);
	has_no_more_to_say(&x);
	ph__credentials_done(&c, &ph__libc_memory);

	c = take("Kurt", "xipj3plmq", "Ursel", NULL);
	begin(&x, "plain", &c);
	answers(&x, NULL, "Ursel\0Kurt\0xipj3plmq", 20);
	ph__sasl_end(&x);
	ph__credentials_done(&c, &ph__libc_memory);
}

static void
login_waits_for_two_challenges_whatever_they_say(void **state)
{
	struct ph__credentials c = take("us\xc3\xa9r", "p\xc3\xa4ss", NULL, NULL);
	struct ph__sasl x;

	(void)state;
	begin(&x, "LOGIN", &c);
	answers(&x, NULL, NULL, 0);
	answers(&x, "Password:", "us\xc3\xa9r", 5);
	answers(&x, "", "p\xc3\xa4ss", 5);
	has_no_more_to_say(&x);
	ph__credentials_done(&c, &ph__libc_memory);
}

static void
external_says_whom_to_act_for_or_nothing(void **state)
{
	struct ph__credentials c = take(NULL, NULL, NULL, NULL);
	struct ph__sasl x;

	(void)state;
	begin(&x, "EXTERNAL", &c);
	answers(&x, NULL, "", 0);
	has_no_more_to_say(&x);
	ph__credentials_done(&c, &ph__libc_memory);
	c = take(NULL, NULL, "boss", NULL);
	begin(&x, "EXTERNAL", &c);
	answers(&x, NULL, "boss", 4);
	ph__sasl_end(&x);
	ph__credentials_done(&c, &ph__libc_memory);
}

static void
credentials_are_utf_8_of_bounded_length(void **state)
{
	struct ph_error err = PH_ERROR_INIT;
	struct ph__credentials c;
	char *huge = malloc(8194);
	struct ph_credentials given = { PH_CREDENTIALS_INIT, .user = "u", .password = "caf\xe9" };

	(void)state;
	assert_int_equal(ph__credentials_copy(&c, &given, &ph__libc_memory, &err), PH_EINPUT);
	assert_null(strstr(err.text, "caf"));
	assert_null(c.user);
	given = (struct ph_credentials){ PH_CREDENTIALS_INIT, .user = "\xc0\x80", .password = "p" };
	assert_int_equal(ph__credentials_copy(&c, &given, &ph__libc_memory, &err), PH_EINPUT);
	memset(huge, 'x', 8193);
	huge[8193] = '\0';
	given = (struct ph_credentials){ PH_CREDENTIALS_INIT, .user = "u", .password = huge };
	assert_int_equal(ph__credentials_copy(&c, &given, &ph__libc_memory, &err), PH_EINPUT);
	assert_int_equal(err.cause, PH_CAUSE_LIMIT);
	huge[8192] = '\0';
	assert_int_equal(ph__credentials_copy(&c, &given, &ph__libc_memory, &err), PH_OK);
	assert_int_equal(strlen(c.password), 8192);
	ph__credentials_done(&c, &ph__libc_memory);
	free(huge);
}

static void
an_older_callers_struct_is_read_as_far_as_it_goes(void **state)
{
	struct ph_credentials given = { offsetof(struct ph_credentials, authzid), "u", "p",
	                                (const char *)16, (const char *)16, (const char *)16 };
	struct ph__credentials c;

	(void)state;
	assert_int_equal(ph__credentials_copy(&c, &given, &ph__libc_memory, NULL), PH_OK);
	assert_string_equal(c.password, "p");
	assert_null(c.authzid);
	assert_null(c.token);
	assert_null(c.mechanisms);
	ph__credentials_done(&c, &ph__libc_memory);
}

static void
a_lack_of_memory_ends_the_exchange(void **state)
{
	static const char *const names[] = { "PLAIN", "OAUTHBEARER", "XOAUTH2", "SCRAM-SHA-256",
	                                     "CRAM-MD5", "NTLM" };
	struct ph__credentials c = take_token("u", "hunter2", NULL, "token");
	struct failing_memory fm;
	struct ph__sasl x;

	(void)state;
	for (size_t k = 0; k < sizeof names / sizeof names[0]; k++)
		for (size_t n = 1; failing_memory_try(&fm, n); n++) {
			const void *p;
			size_t len;
			enum ph_code rc;

			rc = ph__sasl_begin(&x, names[k], &c, &nowhere, &fm.mem, NULL);
			if (rc == PH_OK)
				rc = x.table.step(x.table.user, NULL, 0, &p, &len, NULL);
			assert_int_equal(rc, fm.failed ? PH_ESYSTEM : PH_OK);
			ph__sasl_end(&x);
			assert_int_equal(fm.live, 0);
		}
	ph__credentials_done(&c, &ph__libc_memory);
}

/* The allocator's free() looks at what it is given back. */
static size_t unwiped;

static void *
seeing_alloc(void *user, size_t n)
{
	(void)user;
	return calloc(1, n + 32);
}

static void *
seeing_realloc(void *user, void *p, size_t n)
{
	(void)user;
	return realloc(p, n);
}

static void
seeing_free(void *user, void *p)
{
	(void)user;
	unwiped += p != NULL && memmem(p, 32, "hunter2", 7) != NULL;
	free(p);
}

static void
secrets_are_wiped_before_they_are_given_back(void **state)
{
	static const struct ph_allocator seeing = { seeing_alloc, seeing_realloc, seeing_free, NULL };
	struct ph_credentials given = { PH_CREDENTIALS_INIT, .user = "u", .password = "hunter2" };
	struct ph__credentials c;
	struct ph__sasl x;
	const void *p;
	size_t n;

	(void)state;
	unwiped = 0;
	assert_int_equal(ph__credentials_copy(&c, &given, &seeing, NULL), PH_OK);
	assert_int_equal(ph__sasl_begin(&x, "LOGIN", &c, &nowhere, &seeing, NULL), PH_OK);
	assert_int_equal(x.table.step(&x, "", 0, &p, &n, NULL), PH_OK);
	assert_int_equal(x.table.step(&x, "", 0, &p, &n, NULL), PH_OK);
	assert_memory_equal(p, "hunter2", 7);
	ph__sasl_end(&x);
	assert_int_equal(ph__sasl_begin(&x, "PLAIN", &c, &nowhere, &seeing, NULL), PH_OK);
	assert_int_equal(x.table.step(&x, NULL, 0, &p, &n, NULL), PH_OK);
	ph__sasl_end(&x);
	ph__credentials_done(&c, &seeing);
	assert_int_equal(unwiped, 0);
}

static void
candidates_are(const struct ph__credentials *c, bool certificate, const char *wanted)
{
	char all[200] = "", buf[32];
	const char *name;

	for (size_t i = 0; (name = ph__sasl_candidate(c, certificate, i, buf)) != NULL; i++) {
		strcat(all, i != 0 ? " " : "");
		strcat(all, name);
	}
	assert_string_equal(all, wanted);
}

#define STRONG "SCRAM-SHA-256-PLUS SCRAM-SHA-1-PLUS SCRAM-SHA-256 SCRAM-SHA-1 PLAIN LOGIN"

static void
the_strongest_that_fits_comes_first(void **state)
{
	struct ph__credentials c = take("u", "p", NULL, NULL);

	(void)state;
	candidates_are(&c, false, STRONG);
	candidates_are(&c, true, STRONG);
	ph__credentials_done(&c, &ph__libc_memory);
	c = take(NULL, NULL, NULL, NULL);
	candidates_are(&c, true, "EXTERNAL");
	candidates_are(&c, false, "");
	ph__credentials_done(&c, &ph__libc_memory);
	c = take("u", NULL, NULL, NULL);
	candidates_are(&c, false, "");
	candidates_are(&c, true, "EXTERNAL");
	ph__credentials_done(&c, &ph__libc_memory);
	c = take(NULL, "p", NULL, NULL);
	candidates_are(&c, true, "");
	ph__credentials_done(&c, &ph__libc_memory);
}

static void
a_token_is_for_the_two_that_take_one(void **state)
{
	struct ph__credentials c = take_token("u", NULL, NULL, "t");

	(void)state;
	candidates_are(&c, false, "OAUTHBEARER XOAUTH2");
	candidates_are(&c, true, "OAUTHBEARER XOAUTH2");
	ph__credentials_done(&c, &ph__libc_memory);
	c = take_token("u", "p", NULL, "t");
	candidates_are(&c, true, STRONG " OAUTHBEARER XOAUTH2");
	ph__credentials_done(&c, &ph__libc_memory);
	c = take_token(NULL, NULL, NULL, "t"); /* XOAUTH2 cannot do without the name */
	candidates_are(&c, true, "OAUTHBEARER");
	ph__credentials_done(&c, &ph__libc_memory);
}

static void
who_acts_for_another_is_not_logged_in_as_himself(void **state)
{
	struct ph__credentials c = take("u", "p", "boss", NULL);

	(void)state;
	candidates_are(&c, false, "SCRAM-SHA-256-PLUS SCRAM-SHA-1-PLUS SCRAM-SHA-256 SCRAM-SHA-1 PLAIN");
	assert_string_equal(ph__sasl_lacks(&c, "CRAM-MD5"), "cannot say whom to act for");
	ph__credentials_done(&c, &ph__libc_memory);
	c = take_token("u", NULL, "boss", "t");
	candidates_are(&c, false, "OAUTHBEARER");
	ph__credentials_done(&c, &ph__libc_memory);
}

static void
named_mechanisms_come_in_the_users_order(void **state)
{
	struct ph__credentials c = take("u", "p", NULL, "login,, Plain , CRAM-MD5");

	(void)state;
	candidates_are(&c, true, "LOGIN PLAIN CRAM-MD5");
	ph__credentials_done(&c, &ph__libc_memory);
	c = take("u", "p", NULL, "");
	candidates_are(&c, false, "");
	ph__credentials_done(&c, &ph__libc_memory);
}

static void
what_a_mechanism_lacks_is_said(void **state)
{
	struct ph__credentials c = take("u", NULL, NULL, NULL);

	(void)state;
	assert_string_equal(ph__sasl_lacks(&c, "PLAIN"), "needs a password");
	assert_string_equal(ph__sasl_lacks(&c, "XOAUTH2"), "needs an access token");
	assert_null(ph__sasl_lacks(&c, "GSSAPI"));
	assert_null(ph__sasl_lacks(&c, "EXTERNAL"));
	ph__credentials_done(&c, &ph__libc_memory);
	c = take(NULL, "p", NULL, NULL);
	assert_string_equal(ph__sasl_lacks(&c, "SCRAM-SHA-1"), "needs a user name");
	assert_null(ph__sasl_lacks(&c, "GSSAPI"));
	ph__credentials_done(&c, &ph__libc_memory);
}

static void
a_mechanism_that_nobody_knows_is_refused_at_once(void **state)
{
	struct ph_credentials given = { PH_CREDENTIALS_INIT, .user = "u", .password = "p",
	                                .mechanisms = "PLAIN,CRAM-MD4" };
	struct ph_error err = PH_ERROR_INIT;
	struct ph__credentials c;

	(void)state;
	assert_int_equal(ph__credentials_copy(&c, &given, &ph__libc_memory, &err), PH_ECONFIG);
	assert_non_null(strstr(err.text, "\"CRAM-MD4\""));
	assert_non_null(strstr(err.hint, "CRAM-MD5"));
	assert_non_null(strstr(err.hint, "GSSAPI"));
	assert_null(c.user);
}

/* ---- tokens ---------------------------------------------------------------------------------- */

/* RFC 7628 §4.1. */
static void
oauthbearer_is_as_its_rfc_shows_it(void **state)
{
	static const struct ph__sasl_link link = { .service = "smtp", .host = "server.example.com",
	                                           .port = 143 };
	static const char wanted[] = "n,a=user@example.com,\x01host=server.example.com\x01port=143\x01"
		"auth=Bearer vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==\x01\x01";
	struct ph__credentials c = take_token("user@example.com", NULL, NULL,
	                                      "vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==");
	struct ph__sasl x;

	(void)state;
	begin_at(&x, "OAUTHBEARER", &c, &link);
	assert_true(x.by_token);
	answers(&x, NULL, wanted, sizeof wanted - 1);
	/* §4.3: the error is answered with a kvsep, and kept */
	answers(&x, "{\"status\":\"invalid_token\",\x1b\"scope\":\"s\"}", "\x01", 1);
	assert_string_equal(x.problem, "{\"status\":\"invalid_token\",\\x1B\"scope\":\"s\"}");
	has_no_more_to_say(&x);
	ph__credentials_done(&c, &ph__libc_memory);
}

static void
oauthbearer_names_whom_to_act_for_and_leaves_out_what_is_unknown(void **state)
{
	struct ph__credentials c = take_token("user", NULL, "a=b,c", "t");
	struct ph__sasl x;

	(void)state;
	begin(&x, "OAUTHBEARER", &c);
	answers(&x, NULL, "n,a=a=3Db=2Cc,\x01" "auth=Bearer t\x01\x01", 30);
	ph__sasl_end(&x);
	ph__credentials_done(&c, &ph__libc_memory);
	c = take_token(NULL, NULL, NULL, "t");
	begin(&x, "OAUTHBEARER", &c);
	answers(&x, NULL, "n,,\x01" "auth=Bearer t\x01\x01", 19);
	ph__sasl_end(&x);
	ph__credentials_done(&c, &ph__libc_memory);
}

static void
xoauth2_is_as_its_makers_show_it(void **state)
{
	static const char wanted[] = "user=someuser@example.com\x01" "auth=Bearer "
		"ya29.vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg\x01\x01";
	struct ph__credentials c = take_token("someuser@example.com", NULL, NULL,
	                                      "ya29.vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg");
	struct ph__sasl x;

	(void)state;
	begin(&x, "XOAUTH2", &c);
	answers(&x, NULL, wanted, sizeof wanted - 1);
	answers(&x, "{\"status\":\"401\"}", "", 0);
	assert_string_equal(x.problem, "{\"status\":\"401\"}");
	has_no_more_to_say(&x);
	ph__credentials_done(&c, &ph__libc_memory);
}

static void
no_field_can_be_smuggled_in(void **state)
{
	static const char *const tokens[] = { "", "a b", "a\x01" "auth=Bearer b", "a\n", "t\xc3\xa4" };
	struct ph__credentials c;
	struct ph_error err = PH_ERROR_INIT;
	struct ph__sasl x;
	const void *p;
	size_t n;

	(void)state;
	for (size_t i = 0; i < sizeof tokens / sizeof tokens[0]; i++) {
		struct ph_credentials given = { PH_CREDENTIALS_INIT, .user = "u", .token = tokens[i] };

		assert_int_equal(ph__credentials_copy(&c, &given, &ph__libc_memory, &err), PH_EINPUT);
	}
	c = take_token("u\x01" "auth=Bearer x", NULL, NULL, "t");
	for (size_t i = 0; i < 2; i++) {
		begin(&x, i != 0 ? "XOAUTH2" : "OAUTHBEARER", &c);
		assert_int_equal(x.table.step(&x, NULL, 0, &p, &n, &err), PH_EINPUT);
		assert_null(p);
		ph__sasl_end(&x);
	}
	ph__credentials_done(&c, &ph__libc_memory);
}

static void
a_token_may_be_as_long_as_a_line_lets_it(void **state)
{
	struct ph_error err = PH_ERROR_INIT;
	struct ph__credentials c;
	struct ph__sasl x;
	char *token = malloc(9300);
	const void *p;
	size_t n;

	(void)state;
	memset(token, 'x', 9300);
	token[9213 - 20] = '\0'; /* with user=u ^Aauth=Bearer ^A^A it is one octet too many */
	c = take_token("u", NULL, NULL, token);
	begin(&x, "XOAUTH2", &c);
	assert_int_equal(x.table.step(&x, NULL, 0, &p, &n, &err), PH_EINPUT);
	assert_int_equal(err.cause, PH_CAUSE_LIMIT);
	ph__sasl_end(&x);
	ph__credentials_done(&c, &ph__libc_memory);
	token[9213 - 21] = '\0';
	c = take_token("u", NULL, NULL, token);
	begin(&x, "XOAUTH2", &c);
	assert_int_equal(x.table.step(&x, NULL, 0, &p, &n, &err), PH_OK);
	assert_int_equal(n, 9213);
	ph__sasl_end(&x);
	ph__credentials_done(&c, &ph__libc_memory);
	free(token);
}

/* ---- the module, through the same table ------------------------------------------------------ */

/* RFC 2195 §2. */
static void
cram_md5_is_as_its_rfc_shows_it(void **state)
{
	struct ph__credentials c = take("tim", "tanstaaftanstaaf", NULL, NULL);
	struct ph__sasl x;

	(void)state;
	begin(&x, "cram-md5", &c);
	assert_string_equal(x.table.name, "CRAM-MD5");
	answers(&x, NULL, NULL, 0);
	assert_false(x.content);
	answers(&x, "<1896.697170952@postoffice.reston.mci.net>",
	        "tim b913a602c7eda7a495b4e6e7334d3890", 36);
	assert_true(x.content);
	has_no_more_to_say(&x);
	ph__credentials_done(&c, &ph__libc_memory);
}

static void
ours_have_nothing_to_verify(void **state)
{
	struct ph__credentials c = take("u", "p", NULL, NULL);
	struct ph__sasl x;

	(void)state;
	begin(&x, "PLAIN", &c);
	assert_true(x.content);
	ph__sasl_end(&x);
	begin(&x, "SCRAM-SHA-256", &c);
	assert_false(x.content);
	ph__sasl_end(&x);
	ph__sasl_end(&x); /* twice is once */
	ph__credentials_done(&c, &ph__libc_memory);
}

static void
only_a_refused_mechanism_makes_room_for_the_next(void **state)
{
	(void)state;
	assert_true(ph__sasl_may_try_next(504));
	assert_true(ph__sasl_may_try_next(534));
	assert_true(ph__sasl_may_try_next(538));
	assert_false(ph__sasl_may_try_next(535));
	assert_false(ph__sasl_may_try_next(454));
	assert_false(ph__sasl_may_try_next(500));
	assert_false(ph__sasl_may_try_next(501));
	assert_false(ph__sasl_may_try_next(530));
	assert_false(ph__sasl_may_try_next(421));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plain_is_authzid_user_and_password_between_nuls),
		cmocka_unit_test(login_waits_for_two_challenges_whatever_they_say),
		cmocka_unit_test(external_says_whom_to_act_for_or_nothing),
		cmocka_unit_test(credentials_are_utf_8_of_bounded_length),
		cmocka_unit_test(an_older_callers_struct_is_read_as_far_as_it_goes),
		cmocka_unit_test(a_lack_of_memory_ends_the_exchange),
		cmocka_unit_test(secrets_are_wiped_before_they_are_given_back),
		cmocka_unit_test(the_strongest_that_fits_comes_first),
		cmocka_unit_test(a_token_is_for_the_two_that_take_one),
		cmocka_unit_test(who_acts_for_another_is_not_logged_in_as_himself),
		cmocka_unit_test(named_mechanisms_come_in_the_users_order),
		cmocka_unit_test(what_a_mechanism_lacks_is_said),
		cmocka_unit_test(a_mechanism_that_nobody_knows_is_refused_at_once),
		cmocka_unit_test(oauthbearer_is_as_its_rfc_shows_it),
		cmocka_unit_test(oauthbearer_names_whom_to_act_for_and_leaves_out_what_is_unknown),
		cmocka_unit_test(xoauth2_is_as_its_makers_show_it),
		cmocka_unit_test(no_field_can_be_smuggled_in),
		cmocka_unit_test(a_token_may_be_as_long_as_a_line_lets_it),
		cmocka_unit_test(cram_md5_is_as_its_rfc_shows_it),
		cmocka_unit_test(ours_have_nothing_to_verify),
		cmocka_unit_test(only_a_refused_mechanism_makes_room_for_the_next),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
