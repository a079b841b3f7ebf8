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
		                "a user needs a name and a password that are not empty");
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

/* Cuts off the first line. */
static struct ph_str
line(struct ph_str *rest)
{
	const char *lf = rest->len != 0 ? memchr(rest->ptr, '\n', rest->len) : NULL;
	struct ph_str s = { rest->ptr, lf != NULL ? (size_t)(lf - rest->ptr) : rest->len };
	size_t n = s.len + (lf != NULL);

	rest->ptr += n;
	rest->len -= n;
	if (s.len != 0 && s.ptr[s.len - 1] == '\r')
		s.len--;
	return s;
}

static enum ph_code
add_lines(struct ph__sink_users *u, const char *path, struct ph_str rest, struct ph_error *err)
{
	for (unsigned number = 1; rest.len != 0; number++) {
		struct ph_str s = line(&rest);
		const char *colon = s.len != 0 ? memchr(s.ptr, ':', s.len) : NULL;
		enum ph_code rc;

		if (s.len == 0 || *s.ptr == '#')
			continue;
		if (colon == NULL)
			return ph__fail(err, PH_ECONFIG, PH_STAGE_PREPARE, PH_CAUSE_ARGUMENT,
			                "%s, line %u: not of the form name:password", path, number);
		rc = add(u, (struct ph_str){ s.ptr, (size_t)(colon - s.ptr) },
		         (struct ph_str){ colon + 1, s.len - (size_t)(colon + 1 - s.ptr) }, err);
		if (rc < 0)
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
		rc = user != NULL ? add(u, ph__str(user), line(&rest), err)
		                  : add_lines(u, path, rest, err);
	}
	ph__buf_done(&text);
	return rc;
}

enum ph_code
ph__sink_users_load(struct ph__sink_users *u, const struct ph__sink_opts *o,
                    const struct ph_allocator *mem, struct ph_error *err)
{
	enum ph_code rc = PH_OK;

	u->mem = mem;
	u->count = 0;
	u->rows = NULL;
	if (o->user_count == 0 && o->users_file == NULL)
		return PH_OK;
	if ((u->rows = ph__alloc_array(mem, PH__SINK_USERS, sizeof *u->rows)) == NULL)
		return ph__fail_nomem(err, PH_STAGE_PREPARE);
	for (size_t i = 0; i < o->user_count && rc == PH_OK; i++)
		rc = load_file(u, o->users[i].password_file, o->users[i].name, err);
	if (rc == PH_OK && o->users_file != NULL)
		rc = load_file(u, o->users_file, NULL, err);
	return rc;
}

/* Takes the same time for a wrong password however much of it is right. */
bool
ph__sink_users_check(const struct ph__sink_users *u, struct ph_str name, struct ph_str password)
{
	for (size_t i = 0; i < u->count; i++)
		if (ph__str_eq(name, ph__str(u->rows[i].name)))
			return strlen(u->rows[i].password) == password.len &&
			       CRYPTO_memcmp(u->rows[i].password, password.ptr, password.len) == 0;
	return false;
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
