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
	struct ph_credentials given = { PH_CREDENTIALS_INIT, user, password, authzid, mechanisms };
	struct ph__credentials c;

	assert_int_equal(ph__credentials_copy(&c, &given, &ph__libc_memory, NULL), PH_OK);
	return c;
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
	assert_true(ph__sasl_begin(&x, "PLAIN", &c, &ph__libc_memory));
	assert_string_equal(x.table.name, "PLAIN");
	answers(&x, NULL, "\0tim\0tanstaaf", 13);
	has_no_more_to_say(&x);
	ph__credentials_done(&c, &ph__libc_memory);

	c = take("Kurt", "xipj3plmq", "Ursel", NULL);
	assert_true(ph__sasl_begin(&x, "plain", &c, &ph__libc_memory));
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
	assert_true(ph__sasl_begin(&x, "LOGIN", &c, &ph__libc_memory));
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
	assert_true(ph__sasl_begin(&x, "EXTERNAL", &c, &ph__libc_memory));
	answers(&x, NULL, "", 0);
	has_no_more_to_say(&x);
	ph__credentials_done(&c, &ph__libc_memory);
	c = take(NULL, NULL, "boss", NULL);
	assert_true(ph__sasl_begin(&x, "EXTERNAL", &c, &ph__libc_memory));
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
	                                (const char *)16, (const char *)16 };
	struct ph__credentials c;

	(void)state;
	assert_int_equal(ph__credentials_copy(&c, &given, &ph__libc_memory, NULL), PH_OK);
	assert_string_equal(c.password, "p");
	assert_null(c.authzid);
	assert_null(c.mechanisms);
	ph__credentials_done(&c, &ph__libc_memory);
}

static void
a_lack_of_memory_ends_the_exchange(void **state)
{
	struct ph__credentials c = take("u", "hunter2", NULL, NULL);
	struct failing_memory fm;
	struct ph__sasl x;

	(void)state;
	for (size_t n = 1; failing_memory_try(&fm, n); n++) {
		const void *p;
		size_t len;
		enum ph_code rc;

		assert_true(ph__sasl_begin(&x, "PLAIN", &c, &fm.mem));
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
	assert_true(ph__sasl_begin(&x, "LOGIN", &c, &seeing));
	assert_int_equal(x.table.step(&x, "", 0, &p, &n, NULL), PH_OK);
	assert_int_equal(x.table.step(&x, "", 0, &p, &n, NULL), PH_OK);
	assert_memory_equal(p, "hunter2", 7);
	ph__sasl_end(&x);
	assert_true(ph__sasl_begin(&x, "PLAIN", &c, &seeing));
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

static void
the_strongest_that_fits_comes_first(void **state)
{
	struct ph__credentials c = take("u", "p", NULL, NULL);

	(void)state;
	candidates_are(&c, false, "PLAIN LOGIN");
	candidates_are(&c, true, "PLAIN LOGIN");
	ph__credentials_done(&c, &ph__libc_memory);
	c = take(NULL, NULL, NULL, NULL);
	candidates_are(&c, true, "EXTERNAL");
	candidates_are(&c, false, "");
	ph__credentials_done(&c, &ph__libc_memory);
	c = take("u", NULL, NULL, NULL);
	candidates_are(&c, false, "");
	candidates_are(&c, true, "EXTERNAL");
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
	assert_true(ph__sasl_is_known("login"));
	assert_false(ph__sasl_is_known("CRAM-MD5"));
	assert_false(ph__sasl_begin(&(struct ph__sasl){ 0 }, "CRAM-MD5", NULL, &ph__libc_memory));
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
		cmocka_unit_test(named_mechanisms_come_in_the_users_order),
		cmocka_unit_test(only_a_refused_mechanism_makes_room_for_the_next),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
