/* SPDX-License-Identifier: MIT */
/* Who may log in. Passwords come from files only, and are wiped in the end. */
#include <openssl/crypto.h>

#include "sink/private.h"

static enum ph_code
add(struct ph__sink_users *u, struct ph_str name, struct ph_str password, struct ph_error *err)
{
	char *n, *p;

	if (name.len == 0 || password.len == 0)
		return ph__fail(err, PH_ECONFIG, PH_STAGE_PREPARE, PH_CAUSE_ARGUMENT,
		                "a user needs a name, and a password or token, that are not empty");
	if (u->count == PH__SINK_USERS)
		return ph__fail(err, PH_ECONFIG, PH_STAGE_PREPARE, PH_CAUSE_LIMIT,
		                "more than %d users", PH__SINK_USERS);
	n = ph__strndup(u->mem, name.ptr, name.len);
	p = ph__strndup(u->mem, password.ptr, password.len);
	if (n == NULL || p == NULL) {
		ph__free(u->mem, n);
		ph__free_secret(u->mem, p);
		return ph__fail_nomem(err, PH_STAGE_PREPARE);
	}
	u->rows[u->count].name = n;
	u->rows[u->count++].password = p;
	return PH_OK;
}

static enum ph_code
add_lines(struct ph__sink_users *u, const char *path, struct ph_str rest, struct ph_error *err)
{
	for (unsigned number = 1; rest.len != 0; number++) {
		struct ph_str secret = ph__str_line(&rest), name;
		enum ph_code rc;

		if (secret.len == 0 || *secret.ptr == '#')
			continue;
		name = ph__str_cut(&secret, ':');
		if (secret.ptr == NULL)
			return ph__fail(err, PH_ECONFIG, PH_STAGE_PREPARE, PH_CAUSE_ARGUMENT,
			                "%s, line %u: not of the form NAME:PASSWORD (NAME:TOKEN for "
			                "--token-file)", path, number);
		if ((rc = add(u, name, secret, err)) < 0)
			return rc;
	}
	return PH_OK;
}

static enum ph_code
load_file(struct ph__sink_users *u, const char *path, const char *user, struct ph_error *err)
{
	struct ph__buf text;
	struct ph_str rest;
	enum ph_code rc;

	ph__buf_init(&text, u->mem, PH__SINK_USERS_FILE);
	text.secret = true;
	if ((rc = ph__sink_read_file(path, &text, err)) == PH_OK) {
		rest = ph__buf_str(&text);
		rc = user != NULL ? add(u, ph__str(user), ph__str_line(&rest), err)
		                  : add_lines(u, path, rest, err);
	}
	ph__buf_done(&text);
	return rc;
}

enum ph_code
ph__sink_users_load(struct ph__sink_users *u, const struct ph__sink_user *users, size_t count,
                    const char *file, const struct ph_allocator *mem, struct ph_error *err)
{
	enum ph_code rc = PH_OK;

	*u = (struct ph__sink_users){ .mem = mem };
	if (count == 0 && file == NULL)
		return PH_OK;
	if ((u->rows = ph__alloc_array(mem, PH__SINK_USERS, sizeof *u->rows)) == NULL)
		return ph__fail_nomem(err, PH_STAGE_PREPARE);
	for (size_t i = 0; i < count && rc == PH_OK; i++)
		rc = load_file(u, users[i].password_file, users[i].name, err);
	if (rc == PH_OK && file != NULL)
		rc = load_file(u, file, NULL, err);
	return rc;
}

const char *
ph__sink_users_password(const struct ph__sink_users *u, struct ph_str name)
{
	for (size_t i = 0; i < u->count; i++)
		if (ph__str_eq(name, ph__str(u->rows[i].name)))
			return u->rows[i].password;
	return NULL;
}

/* Takes the same time for a wrong password however much of it is right. Without a name (a token may
 * speak for itself) any row will do. */
const char *
ph__sink_users_check(const struct ph__sink_users *u, struct ph_str name, struct ph_str password)
{
	for (size_t i = 0; i < u->count; i++)
		if ((name.len == 0 || ph__str_eq(name, ph__str(u->rows[i].name))) &&
		    strlen(u->rows[i].password) == password.len &&
		    CRYPTO_memcmp(u->rows[i].password, password.ptr, password.len) == 0)
			return u->rows[i].name;
	return NULL;
}

void
ph__sink_users_done(struct ph__sink_users *u)
{
	for (size_t i = 0; i < u->count; i++) {
		ph__free(u->mem, u->rows[i].name);
		ph__free_secret(u->mem, u->rows[i].password);
	}
	if (u->rows != NULL)
		ph__free(u->mem, u->rows);
	u->rows = NULL;
	u->count = 0;
}
