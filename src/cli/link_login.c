/* SPDX-License-Identifier: MIT */
/* The login of a link. See link_login.h. Which mechanism is used is the library's choice;
 * here it is only known what each of them lives on. */
#include "cli/link_login.h"

#include <string.h>
#include "base/error.h"
#include "base/str.h"
#include "cli/nearest.h"
#include "cli/link_options.h"

#define NAME_MAX_ 40

/* A Kerberos ticket is nothing that we are given. */
enum need { TICKET = 1, CERTIFICATE = 2, TOKEN = 4, TOKEN_AND_USER = 8, PASSWORD = 16 };

static const struct mechanism {
	const char *name;
	enum need   need;
} mechanisms[] = {
	{ "SCRAM-SHA-256-PLUS", PASSWORD }, { "SCRAM-SHA-1-PLUS", PASSWORD },
	{ "SCRAM-SHA-256", PASSWORD }, { "SCRAM-SHA-1", PASSWORD }, { "PLAIN", PASSWORD },
	{ "LOGIN", PASSWORD }, { "CRAM-MD5", PASSWORD }, { "DIGEST-MD5", PASSWORD },
	{ "NTLM", PASSWORD }, { "OAUTHBEARER", TOKEN }, { "XOAUTH2", TOKEN_AND_USER },
	{ "EXTERNAL", CERTIFICATE }, { "GSSAPI", TICKET },
};
#define MECHANISMS (sizeof mechanisms / sizeof mechanisms[0])

static const struct mechanism *
find(struct ph_str name)
{
	for (size_t i = 0; i < MECHANISMS; i++)
		if (ph__str_is(name, mechanisms[i].name))
			return &mechanisms[i];
	return NULL;
}

static enum ph_code
unknown(struct ph_str word, struct ph_error *err)
{
	char name[NAME_MAX_], known[300] = "", best[200];
	struct ph__nearest near = { 0 };
	size_t used = 0;

	snprintf(name, sizeof name, "%.*s", (int)(word.len < NAME_MAX_ ? word.len : NAME_MAX_ - 1),
	         word.ptr);
	ph__fail(err, PH_EUSAGE, PH_STAGE_PREPARE, PH_CAUSE_ARGUMENT,
	         "--auth: \"%s\" is no mechanism that is known here", name);
	for (char *p = name; *p != '\0'; p++)
		*p = ph__upper(*p);
	for (size_t i = 0; i < MECHANISMS; i++) {
		ph__nearest_offer(&near, name, mechanisms[i].name);
		used += (size_t)snprintf(known + used, sizeof known - used, "%s%s", i != 0 ? ", " : "",
		                         mechanisms[i].name);
	}
	ph__nearest_text(&near, "", best, sizeof best);
	if (near.count != 0)
		ph__hint(err, "did you mean %s?", best);
	else
		ph__hint(err, "there are %s", known);
	return PH_EUSAGE;
}

/* Of all mechanisms in the list; 0: one is unknown, and *err says so. */
static unsigned
needs_of(const char *list, struct ph_error *err)
{
	struct ph_str rest = ph__str(list);
	unsigned needs = 0;

	while (rest.ptr != NULL) {
		struct ph_str word = ph__str_cut(&rest, ',');
		const struct mechanism *m = find(word);

		if (m == NULL) {
			unknown(word, err);
			return 0;
		}
		needs |= m->need;
	}
	return needs;
}

/* What the login may live on, whatever the server offers. */
static unsigned
needs(const struct ph__link_options *o)
{
	if (o->mechanisms != NULL)
		return needs_of(o->mechanisms, NULL);
	return o->token_file != NULL ? TOKEN | TOKEN_AND_USER : PASSWORD;
}

static bool
has_password(const struct ph__link_options *o)
{
	return o->has_password || o->password_file != NULL || o->password_fd.given || o->password_command != NULL;
}

bool
ph__link_login_wanted(const struct ph__link_options *o)
{
	char user[PH__LINK_USER_MAX];

	return o->mechanisms != NULL || o->token_file != NULL ||
	       ph__link_user(o, user, sizeof user) != NULL;
}

bool
ph__link_login_needs_password(const struct ph__link_options *o)
{
	char user[PH__LINK_USER_MAX];

	return o->token_file == NULL && (needs(o) & PASSWORD) != 0 &&
	       ph__link_user(o, user, sizeof user) != NULL;
}

static enum ph_code
lacks(struct ph_error *err, const char *text, const char *hint)
{
	ph__fail(err, PH_EUSAGE, PH_STAGE_PREPARE, PH_CAUSE_ARGUMENT, "%s", text);
	ph__hint(err, "%s", hint);
	return PH_EUSAGE;
}

/* Of the mechanisms of --auth, one at least must have all it lives on. */
static enum ph_code
check_mechanisms(const struct ph__link_options *o, bool has_user, struct ph_error *err)
{
	unsigned need = needs_of(o->mechanisms, err);
	bool token = o->token_file != NULL;

	if (need == 0)
		return PH_EUSAGE;
	if ((need & TICKET) != 0 || ((need & CERTIFICATE) != 0 && o->tls.cert_file != NULL) ||
	    ((need & TOKEN) != 0 && token) || ((need & TOKEN_AND_USER) != 0 && token && has_user) ||
	    ((need & PASSWORD) != 0 && !token && has_user))
		return PH_OK;
	if ((need & (TOKEN | TOKEN_AND_USER)) != 0 && !token)
		return lacks(err, "the mechanism of --auth logs in by a token, and none is given",
		             "add --oauth-token-file FILE");
	if ((need & ~CERTIFICATE) == 0)
		return lacks(err, "EXTERNAL logs in by a client certificate, and none is given",
		             "add --cert FILE");
	if ((need & ~(PASSWORD | CERTIFICATE)) == 0 && token)
		return lacks(err, "a token is given, and none of the mechanisms of --auth takes one",
		             "those that do are OAUTHBEARER and XOAUTH2; they are tried without --auth");
	return lacks(err, "--auth is given, but no user",
	             "add --user NAME; without one go EXTERNAL (with --cert), GSSAPI, and OAUTHBEARER (with "
	             "--oauth-token-file)");
}

enum ph_code
ph__link_login_check(const struct ph__link_options *o, struct ph_error *err)
{
	char user[PH__LINK_USER_MAX];
	bool has_user = ph__link_user(o, user, sizeof user) != NULL;

	if (has_password(o) && !has_user)
		return lacks(err, "a password is given, but no user",
		             "add --user NAME, or write the user into the URL: smtps://NAME@host");
	if (o->mechanisms != NULL)
		return check_mechanisms(o, has_user, err);
	if (o->authzid != NULL && !ph__link_login_wanted(o))
		return lacks(err, "--authzid is given, but no user", "add --user NAME");
	return PH_OK;
}
