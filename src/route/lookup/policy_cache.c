/* SPDX-License-Identifier: MIT */
/* MTA-STS policies that are kept. See policy_cache.h.
 *
 * In the folder a domain has a file of its own name:
 *
 *	posthaste MTA-STS policy 1
 *	domain: example.com
 *	fetched: 1700000000
 *	tried: 0
 *	tried_id:
 *	id: 20231114
 *	length: 55
 *
 *	version:STSv1 …
 *
 * written under another name and renamed. Nothing is trusted that does not say exactly this: `domain`
 * keeps a file that was renamed from another domain's, `length` one that was cut off by a crash or a
 * full disk. Nor is a file that is no regular one, or belongs to anybody but us or root, or that others
 * may write; nor a folder of that kind, as who can remove a policy from it can do without TLS. What is
 * not trusted is as if it were not there. One that only cannot be read for the moment is not: it may be
 * the policy that forbids clear text, and is neither passed over nor written over.
 *
 * Processes do not wait for each other. A file is read whenever memory alone would have a policy fetched,
 * and before it is written; what is newer holds. Of two that write in the same moment one is lost, and
 * fetched again. The files' own times are not looked at. */
#include "route/lookup/policy_cache.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bounds.h"
#include "base/buf.h"
#include "base/calendar.h"
#include "base/error.h"
#include "route/domain.h"

#define BUCKETS 1024
#define MAGIC "posthaste MTA-STS policy 1"

struct entry {
	struct entry *next;
	uint64_t asked;              /* the cache's count of questions then */
	struct ph__sts_policy *policy; /* NULL: only a failure is known */
	int64_t  fetched, tried;
	char     tried_id[33];
	char     domain[PH__NAME_TEXT_MAX + 1];
};

struct ph__policy_cache {
	const struct ph_allocator *mem;
	struct entry *buckets[BUCKETS];
	size_t   count;
	uint64_t asked;
	int      folder;             /* -1: none */
	char    *path;               /* its, for words; NULL: none */
	bool     is_bad;
	struct ph_error problem;
};

/* ---- memory */

static void
entry_free(struct entry *e, const struct ph_allocator *mem)
{
	ph__sts_policy_free(&e->policy, mem);
	ph__free(mem, e);
}

/* Lower case, checked: it may be a file's name. False: it is no domain. */
static bool
domain_key(char key[PH__NAME_TEXT_MAX + 1], const char *domain)
{
	struct ph_str name = ph__str(domain);

	if (!ph__name_is_host(name))
		return false;
	memcpy(key, name.ptr, name.len + 1);
	ph__lower_all(key, name.len);
	return true;
}

static struct entry **
bucket(struct ph__policy_cache *c, const char *key)
{
	return &c->buckets[ph__str_hash(ph__str(key)) % BUCKETS];
}

static struct entry *
find(struct ph__policy_cache *c, const char *key)
{
	struct entry *e = *bucket(c, key);

	while (e != NULL && strcmp(e->domain, key) != 0)
		e = e->next;
	if (e != NULL)
		e->asked = ++c->asked;
	return e;
}

static void
drop_oldest(struct ph__policy_cache *c)
{
	struct entry **oldest = NULL, *e;

	for (size_t i = 0; i < BUCKETS; i++)
		for (struct entry **at = &c->buckets[i]; *at != NULL; at = &(*at)->next)
			if (oldest == NULL || (*at)->asked < (*oldest)->asked)
				oldest = at;
	e = *oldest;
	*oldest = e->next;
	entry_free(e, c->mem);
	c->count--;
}

static struct entry *
entry_new(const struct ph__policy_cache *c, const char *key)
{
	struct entry *e = ph__alloc0(c->mem, sizeof *e);

	if (e != NULL)
		memcpy(e->domain, key, strlen(key) + 1);
	return e;
}

static struct entry *
add(struct ph__policy_cache *c, struct entry *e)
{
	struct entry **at = bucket(c, e->domain);

	if (c->count == PH__POLICIES_KEPT) {
		drop_oldest(c);
		at = bucket(c, e->domain);
	}
	e->asked = ++c->asked;
	e->next = *at;
	c->count++;
	return *at = e;
}

static struct ph__sts_todo
decide(const struct entry *e, const char *id, int64_t now)
{
	struct ph__sts_kept kept = { 0 };

	if (e != NULL)
		kept = (struct ph__sts_kept){
			.there = e->policy != NULL, .fetched = e->fetched, .tried = e->tried,
			.max_age = e->policy != NULL ? e->policy->max_age : 0,
			.id = e->policy != NULL ? e->policy->id : NULL, .tried_id = e->tried_id,
		};
	return ph__sts_decide(&kept, id, now);
}

/* Takes over what `from` knows better. A time ahead of now is of a clock that has been set back. */
static void
merge(struct entry *e, struct entry *from, int64_t now)
{
	bool ours = decide(e, NULL, now).use, theirs = decide(from, NULL, now).use;

	if (theirs && (!ours || from->fetched > e->fetched)) {
		struct ph__sts_policy *old = e->policy;

		e->policy = from->policy;
		e->fetched = from->fetched;
		from->policy = old;
	}
	if (from->tried <= now && (from->tried > e->tried || e->tried > now)) {
		e->tried = from->tried;
		memcpy(e->tried_id, from->tried_id, sizeof e->tried_id);
	}
}

/* ---- files */

/* What says nothing of the file or folder that was to be opened. */
static bool
is_shortage(int sys)
{
	return sys == EMFILE || sys == ENFILE || sys == ENOMEM || sys == EIO;
}

static void
set_problem(struct ph__policy_cache *c, int sys, const char *what)
{
	c->is_bad = true;
	c->problem = (struct ph_error)PH_ERROR_INIT;
	ph__fail_errno(&c->problem, is_shortage(sys) ? PH_ESYSTEM : PH_ECONFIG, PH_STAGE_ROUTE, PH_CAUSE_SYSTEM, sys,
	               "MTA-STS policies are not kept in %s: %s", c->path, what);
}

static bool
is_trusted(const struct stat *st)
{
	return (st->st_uid == geteuid() || st->st_uid == 0) && (st->st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

static void
open_folder(struct ph__policy_cache *c)
{
	struct stat st;

	if (mkdir(c->path, 0700) != 0 && errno != EEXIST) {
		set_problem(c, errno, "cannot make the folder");
		return;
	}
	c->folder = open(c->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (c->folder < 0) {
		set_problem(c, errno, "cannot open the folder");
	} else if (fstat(c->folder, &st) != 0 || !is_trusted(&st)) {
		close(c->folder);
		c->folder = -1;
		set_problem(c, EPERM, "the folder belongs to somebody else, or others may write in it");
	}
}

/* Reads a whole file that can be trusted; *buf has room for PH__POLICY_KEPT_MAX. PH_EPROTOCOL: there is
 * none; PH_ESYSTEM: it cannot be told. */
static enum ph_code
read_file(const struct ph__policy_cache *c, const char *name, struct ph__buf *buf)
{
	int fd = openat(c->folder, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	char piece[4096];
	struct stat st;
	ssize_t n = 1;

	if (fd < 0)
		return is_shortage(errno) ? PH_ESYSTEM : PH_EPROTOCOL;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && is_trusted(&st) &&
	    st.st_size <= PH__POLICY_KEPT_MAX)
		while ((n = read(fd, piece, sizeof piece)) > 0 || (n < 0 && errno == EINTR))
			if (n > 0)
				ph__buf_add(buf, piece, (size_t)n);
	close(fd);
	if (n < 0 || buf->state == PH__BUF_NOMEM)
		return PH_ESYSTEM;
	return n == 0 && ph__buf_ok(buf) ? PH_OK : PH_EPROTOCOL;
}

/* The value of the next line, which must be this field. */
static bool
next_field(struct ph_str *text, const char *name, struct ph_str *value)
{
	size_t n = strlen(name);

	*value = ph__str_cut(text, '\n');
	if (text->ptr == NULL || value->len < n || memcmp(value->ptr, name, n) != 0)
		return false;
	*value = (struct ph_str){ value->ptr + n, value->len - n };
	return true;
}

static bool
next_id(struct ph_str *text, const char *name, char id[33])
{
	struct ph_str value;

	if (!next_field(text, name, &value) || value.len > 32)
		return false;
	for (size_t i = 0; i < value.len; i++)
		if (!ph__is_alnum(value.ptr[i]))
			return false;
	memcpy(id, value.ptr, value.len);
	id[value.len] = '\0';
	return true;
}

static bool
next_time(struct ph_str *text, const char *name, int64_t *ret)
{
	struct ph_str value;
	uint64_t n;

	if (!next_field(text, name, &value) || !ph__str_to_uint(value, PH__DATE_3339_MAX, &n))
		return false;
	*ret = (int64_t)n;
	return true;
}

static enum ph_code
parse_file(struct entry *e, struct ph_str text, const struct ph_allocator *mem)
{
	struct ph_str value;
	uint64_t length;
	char id[33];

	if (!next_field(&text, MAGIC, &value) || value.len != 0 ||
	    !next_field(&text, "domain: ", &value) || !ph__str_eq(value, ph__str(e->domain)) ||
	    !next_time(&text, "fetched: ", &e->fetched) || !next_time(&text, "tried: ", &e->tried) ||
	    !next_id(&text, "tried_id: ", e->tried_id) || !next_id(&text, "id: ", id) ||
	    !next_field(&text, "length: ", &value) ||
	    !ph__str_to_uint(value, PH__POLICY_MAX, &length) ||
	    !next_field(&text, "", &value) || value.len != 0 || text.len != length)
		return PH_EPROTOCOL;
	return length == 0 ? PH_OK : ph__sts_policy_parse(&e->policy, text, id, mem, NULL);
}

/* What the folder knows of a domain; NULL: nothing, or (*lost) it cannot be told. */
static struct entry *
load(const struct ph__policy_cache *c, const char *key, bool *lost)
{
	struct entry *e = NULL;
	struct ph__buf buf;
	enum ph_code rc;

	*lost = false;
	if (c->folder < 0)
		return NULL;
	ph__buf_init(&buf, c->mem, PH__POLICY_KEPT_MAX);
	if ((rc = read_file(c, key, &buf)) == PH_OK && (e = entry_new(c, key)) == NULL)
		rc = PH_ESYSTEM;
	if (e != NULL && (rc = parse_file(e, ph__buf_str(&buf), c->mem)) != PH_OK) {
		entry_free(e, c->mem);
		e = NULL;
	}
	ph__buf_done(&buf);
	*lost = rc == PH_ESYSTEM;
	return e;
}

/* No longer than the text it was read from, so it is never too long. */
static void
write_policy(struct ph__buf *out, const struct ph__sts_policy *p)
{
	ph__buf_addf(out, "version:STSv1\nmode:%s\nmax_age:%u", ph__sts_mode_name(p->mode), p->max_age);
	for (size_t i = 0; i < p->mx_count; i++)
		ph__buf_addf(out, "\nmx:%s", p->mx[i]);
}

static bool
write_entry(struct ph__buf *out, const struct entry *e, const struct ph_allocator *mem)
{
	struct ph__buf policy;

	ph__buf_init(&policy, mem, PH__POLICY_MAX);
	if (e->policy != NULL)
		write_policy(&policy, e->policy);
	ph__buf_addf(out, MAGIC "\ndomain: %s\nfetched: %lld\ntried: %lld\ntried_id: %s\nid: %s\n"
	             "length: %zu\n\n", e->domain, (long long)e->fetched, (long long)e->tried,
	             e->tried_id, e->policy != NULL ? e->policy->id : "", policy.len);
	ph__buf_add(out, ph__buf_cstr(&policy), policy.len);
	ph__buf_done(&policy);
	return ph__buf_ok(&policy) && ph__buf_ok(out);
}

/* 0 or an errno. */
static int
write_all(int fd, struct ph_str s)
{
	while (s.len != 0) {
		ssize_t n = write(fd, s.ptr, s.len);

		if (n < 0 && errno != EINTR)
			return errno;
		if (n > 0)
			s = (struct ph_str){ s.ptr + n, s.len - (size_t)n };
	}
	return 0;
}

/* 0 or an errno. */
static int
replace_file(const struct ph__policy_cache *c, const char *name, struct ph_str text)
{
	char fresh[40];
	uint64_t random = 0;
	int fd, sys;

	if (getrandom(&random, sizeof random, 0) != sizeof random)
		return EIO;
	snprintf(fresh, sizeof fresh, ".new-%016llx", (unsigned long long)random);
	fd = openat(c->folder, fresh, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return errno;
	sys = fchmod(fd, 0600) != 0 ? errno : write_all(fd, text); /* whatever the umask is */
	if (close(fd) != 0 && sys == 0)
		sys = errno;
	if (sys == 0 && renameat(c->folder, fresh, c->folder, name) != 0)
		sys = errno;
	if (sys != 0)
		unlinkat(c->folder, fresh, 0);
	return sys;
}

static void
save(struct ph__policy_cache *c, const struct entry *e)
{
	struct ph__buf text;
	int sys;

	if (c->folder < 0)
		return;
	ph__buf_init(&text, c->mem, PH__POLICY_KEPT_MAX);
	sys = write_entry(&text, e, c->mem) ? replace_file(c, e->domain, ph__buf_str(&text)) : ENOMEM;
	ph__buf_done(&text);
	if (sys != 0)
		set_problem(c, sys, "cannot write into the folder");
	else
		c->is_bad = false;
}

/* ---- the cache */

enum ph_code
ph__policy_cache_new(struct ph__policy_cache **ret, const char *folder,
                     const struct ph_allocator *mem, struct ph_error *err)
{
	struct ph__policy_cache *c = ph__alloc0(mem, sizeof *c);

	*ret = c;
	if (c == NULL)
		return ph__fail_nomem(err, PH_STAGE_ROUTE);
	c->mem = mem;
	c->folder = -1;
	if (folder == NULL)
		return PH_OK;
	if ((c->path = ph__strdup(mem, folder)) == NULL) {
		ph__policy_cache_free(ret);
		return ph__fail_nomem(err, PH_STAGE_ROUTE);
	}
	open_folder(c);
	if (c->problem.code == PH_ESYSTEM) {
		ph__error_copy(err, &c->problem);
		ph__policy_cache_free(ret);
		return PH_ESYSTEM;
	}
	return PH_OK;
}

/* What memory and folder know together; NULL: nothing, or (*lost) it cannot be told. */
static struct entry *
refresh(struct ph__policy_cache *c, const char *key, int64_t now, bool *lost)
{
	struct entry *e = find(c, key), *kept = load(c, key, lost);

	if (kept == NULL)
		return e;
	if (e == NULL)
		return add(c, kept);
	merge(e, kept, now);
	entry_free(kept, c->mem);
	return e;
}

/* The same, but made where there is none. */
static struct entry *
have(struct ph__policy_cache *c, const char *key, int64_t now, bool *lost)
{
	struct entry *e = refresh(c, key, now, lost);

	if (e == NULL && (e = entry_new(c, key)) != NULL)
		add(c, e);
	return e;
}

struct ph__sts_todo
ph__policy_cache_look(struct ph__policy_cache *c, const char *domain, const char *id, int64_t now,
                      const struct ph__sts_policy **policy)
{
	char key[PH__NAME_TEXT_MAX + 1];
	struct ph__sts_todo todo = { 0 };
	struct entry *e = NULL;
	bool lost;

	if (domain_key(key, domain)) {
		e = find(c, key);
		todo = decide(e, id, now);
		if (todo.fetch || !todo.use) {
			e = refresh(c, key, now, &lost);
			todo = decide(e, id, now);
			todo.lost = lost && !todo.use;
		}
	}
	if (policy != NULL)
		*policy = todo.use ? e->policy : NULL;
	return todo;
}

enum ph_code
ph__policy_cache_store(struct ph__policy_cache *c, const char *domain, const char *id,
                       struct ph_str text, int64_t now, struct ph_error *err)
{
	char key[PH__NAME_TEXT_MAX + 1];
	struct ph__sts_policy *policy;
	const char *announced = "";
	struct entry *e;
	enum ph_code rc;
	bool lost;

	if (!domain_key(key, domain))
		return ph__fail(err, PH_EINPUT, PH_STAGE_ROUTE, PH_CAUSE_ARGUMENT, "%s is no domain", domain);
	if ((e = have(c, key, now, &lost)) == NULL)
		return ph__fail_nomem(err, PH_STAGE_ROUTE);
	/* without a TXT record it is taken for what the last one announced */
	if (id != NULL)
		announced = id;
	else if (e->policy != NULL)
		announced = e->policy->id;
	if ((rc = ph__sts_policy_parse(&policy, text, announced, c->mem, err)) < 0) {
		if (rc == PH_EPROTOCOL)
			ph__policy_cache_failed(c, domain, id, now);
		return rc;
	}
	ph__sts_policy_free(&e->policy, c->mem);
	e->policy = policy;
	e->fetched = now;
	e->tried = 0;
	e->tried_id[0] = '\0';
	save(c, e);
	return PH_OK;
}

void
ph__policy_cache_failed(struct ph__policy_cache *c, const char *domain, const char *id, int64_t now)
{
	char key[PH__NAME_TEXT_MAX + 1];
	bool lost = false;
	struct entry *e = domain_key(key, domain) ? have(c, key, now, &lost) : NULL;

	if (e == NULL)
		return;
	e->tried = now;
	snprintf(e->tried_id, sizeof e->tried_id, "%s", id != NULL ? id : "");
	if (!lost)
		save(c, e);
}

const struct ph__sts_policy *
ph__policy_cache_policy(struct ph__policy_cache *c, const char *domain, int64_t now)
{
	char key[PH__NAME_TEXT_MAX + 1];
	struct entry *e = domain_key(key, domain) ? find(c, key) : NULL;

	return decide(e, NULL, now).use ? e->policy : NULL;
}

const char *
ph__policy_cache_problem(const struct ph__policy_cache *c)
{
	return c->is_bad ? c->problem.text : NULL;
}

void
ph__policy_cache_free(struct ph__policy_cache **cache)
{
	struct ph__policy_cache *c = *cache;

	if (c == NULL)
		return;
	for (size_t i = 0; i < BUCKETS; i++)
		for (struct entry *e; (e = c->buckets[i]) != NULL;) {
			c->buckets[i] = e->next;
			entry_free(e, c->mem);
		}
	if (c->folder >= 0)
		close(c->folder);
	ph__free(c->mem, c->path);
	ph__free(c->mem, c);
	*cache = NULL;
}
