/* SPDX-License-Identifier: MIT */
/* MTA-STS (RFC 8461): TXT records, policies, matching, and when to fetch. See mta_sts.h.
 *
 * Both texts are read by their ABNF (§3.1, §3.2): unknown fields are ignored, of a field that is given
 * twice the first counts (but for mx), what is malformed makes the whole invalid. Lenient in one place:
 * empty lines, and blanks around a line, are passed over in a policy, as a policy that is refused for
 * them protects nobody. The order of a policy's fields is free (§3.2 asks for none). Patterns are of
 * A-labels: a U-label is malformed (§3.2). */
#include "route/mta_sts.h"

#include "base/bounds.h"
#include "base/error.h"
#include "base/escape.h"

/* ---- the TXT record (§3.1) */

/* sts-ext-name and sts-policy-ext-name. */
static bool
is_field_name(struct ph_str s)
{
	if (s.len == 0 || s.len > 32 || !ph__is_alnum(s.ptr[0]))
		return false;
	for (size_t i = 1; i < s.len; i++)
		if (!ph__is_alnum(s.ptr[i]) && s.ptr[i] != '_' && s.ptr[i] != '-' && s.ptr[i] != '.')
			return false;
	return true;
}

/* sts-ext-value. */
static bool
is_txt_value(struct ph_str s)
{
	for (size_t i = 0; i < s.len; i++)
		if (s.ptr[i] <= ' ' || s.ptr[i] > '~' || s.ptr[i] == ';' || s.ptr[i] == '=')
			return false;
	return s.len != 0;
}

static bool
is_id(struct ph_str s)
{
	for (size_t i = 0; i < s.len; i++)
		if (!ph__is_alnum(s.ptr[i]))
			return false;
	return s.len != 0 && s.len <= 32;
}

/* Joins a record's character strings (RFC 1035 §3.3.14) as far as they fit. False: that was not all of
 * it, or it is malformed. */
static bool
join(struct ph_str data, char text[PH__STS_RECORD_MAX], size_t *len)
{
	*len = 0;
	while (data.len != 0) {
		size_t n = (unsigned char)data.ptr[0];

		if (n >= data.len || n > PH__STS_RECORD_MAX - *len)
			return false;
		memcpy(text + *len, data.ptr + 1, n);
		*len += n;
		data.ptr += n + 1;
		data.len -= n + 1;
	}
	return true;
}

/* What stands behind "v=STSv1;". */
static bool
read_fields(struct ph_str rest, char id[33])
{
	id[0] = '\0';
	while (rest.ptr != NULL) {
		struct ph_str value = ph__str_trim(ph__str_cut(&rest, ';')), name;

		if (value.len == 0 && rest.ptr == NULL)
			break; /* behind the last semicolon, which may be left out */
		name = ph__str_cut(&value, '=');
		if (!is_field_name(name) || value.ptr == NULL || !is_txt_value(value))
			return false;
		if (!ph__str_eq(name, ph__str("id")) || id[0] != '\0')
			continue;
		if (!is_id(value))
			return false;
		memcpy(id, value.ptr, value.len);
		id[value.len] = '\0';
	}
	return id[0] != '\0';
}

bool
ph__sts_record(const struct ph__dns_answer *txt, char id[33])
{
	static const char version[] = "v=STSv1;";
	size_t seen = 0;
	bool good = false;

	if (txt->status != PH__DNS_FOUND)
		return false;
	for (size_t i = 0; i < txt->count; i++) {
		char text[PH__STS_RECORD_MAX];
		size_t len;
		bool whole = join(txt->data[i], text, &len);

		if (len < sizeof version - 1 || memcmp(text, version, sizeof version - 1) != 0)
			continue;
		seen++;
		good = whole && read_fields((struct ph_str){ text + sizeof version - 1,
		                                             len - (sizeof version - 1) }, id);
	}
	return seen == 1 && good;
}

/* ---- the policy (§3.2) */

/* ["*."] and a Domain of RFC 5321, with the underscores that some hosts have. */
static bool
is_pattern(struct ph_str s)
{
	if (s.len > 2 && memcmp(s.ptr, "*.", 2) == 0)
		s = (struct ph_str){ s.ptr + 2, s.len - 2 };
	if (s.len > PH__NAME_TEXT_MAX)
		return false;
	do {
		struct ph_str label = ph__str_cut(&s, '.');

		if (label.len == 0 || label.len > PH__LABEL_MAX || label.ptr[0] == '-' ||
		    label.ptr[label.len - 1] == '-')
			return false;
		for (size_t i = 0; i < label.len; i++)
			if (!ph__is_alnum(label.ptr[i]) && label.ptr[i] != '-' && label.ptr[i] != '_')
				return false;
	} while (s.ptr != NULL);
	return true;
}

struct fields {
	struct ph_str version, mode, max_age; /* ptr NULL: not given */
	size_t mx_count;
};

static enum ph_code
invalid(struct ph_error *err, const char *what, struct ph_str quoted)
{
	char quote[PH__QUOTE_SIZE];

	return ph__fail(err, PH_EPROTOCOL, PH_STAGE_ROUTE, PH_CAUSE_NONE,
	                "the MTA-STS policy is invalid: %s%s%s", what, quoted.len != 0 ? ": " : "",
	                ph__quote(quote, quoted));
}

static void
set_first(struct ph_str *field, struct ph_str value)
{
	if (field->ptr == NULL)
		*field = value;
}

static enum ph_code
read_line(struct fields *f, struct ph_str line, struct ph_error *err)
{
	struct ph_str value = line, name = ph__str_cut(&value, ':');

	if (value.ptr == NULL || !is_field_name(name))
		return invalid(err, "this line has no field", line);
	value = ph__str_trim(value);
	if (value.len == 0 || ph__str_has_control(value) || !ph__str_is_utf8(value))
		return invalid(err, "this line has no value, or octets that are not text", line);
	if (ph__str_eq(name, ph__str("version")))
		set_first(&f->version, value);
	else if (ph__str_eq(name, ph__str("mode")))
		set_first(&f->mode, value);
	else if (ph__str_eq(name, ph__str("max_age")))
		set_first(&f->max_age, value);
	else if (ph__str_eq(name, ph__str("mx"))) {
		if (!is_pattern(value))
			return invalid(err, "this is no name of a server", value);
		if (++f->mx_count > PH__POLICY_MX_MAX)
			return invalid(err, "there are too many servers", value);
	}
	return PH_OK;
}

static enum ph_code
read_lines(struct fields *f, struct ph_str text, struct ph_error *err)
{
	enum ph_code rc;

	while (text.len != 0) {
		struct ph_str line = ph__str_trim(ph__str_line(&text));

		if (line.len != 0 && (rc = read_line(f, line, err)) < 0)
			return rc;
	}
	return PH_OK;
}

static bool
read_mode(struct ph_str s, enum ph__sts_mode *ret)
{
	for (*ret = PH__STS_NONE; *ret <= PH__STS_ENFORCE; ++*ret)
		if (ph__str_eq(s, ph__str(ph__sts_mode_name(*ret))))
			return true;
	return false;
}

static enum ph_code
judge(const struct fields *f, enum ph__sts_mode *mode, uint64_t *max_age, struct ph_error *err)
{
	if (!ph__str_eq(f->version, ph__str("STSv1")))
		return invalid(err, "its version is not STSv1", f->version);
	if (!read_mode(f->mode, mode))
		return invalid(err, "its mode is not enforce, testing or none", f->mode);
	if (f->max_age.len > 10 || !ph__str_to_uint(f->max_age, UINT64_MAX, max_age))
		return invalid(err, "its max_age is no number of seconds of ten digits at most", f->max_age);
	if (*max_age > PH__POLICY_AGE_MAX) /* too long a time is no reason to go without protection */
		*max_age = PH__POLICY_AGE_MAX;
	if (f->mx_count == 0 && *mode != PH__STS_NONE)
		return invalid(err, "it names no server, in mode", f->mode);
	return PH_OK;
}

/* A policy with room for mx_count patterns, all NULL. */
static struct ph__sts_policy *
new_policy(enum ph__sts_mode mode, uint32_t max_age, const char *id, size_t mx_count,
           const struct ph_allocator *mem)
{
	struct ph__sts_policy *p = ph__alloc0(mem, sizeof *p);

	if (p == NULL)
		return NULL;
	p->mode = mode;
	p->max_age = max_age;
	p->id = ph__strdup(mem, id);
	p->mx = ph__alloc0(mem, (mx_count + 1) * sizeof *p->mx);
	if (p->id == NULL || p->mx == NULL)
		ph__sts_policy_free(&p, mem);
	return p;
}

static bool
add_mx(struct ph__sts_policy *p, struct ph_str name, const struct ph_allocator *mem)
{
	char *mx = ph__strndup(mem, name.ptr, name.len);

	if (mx == NULL)
		return false;
	ph__lower_all(mx, name.len);
	p->mx[p->mx_count++] = mx;
	return true;
}

/* Of a text that has been judged. */
static bool
add_all_mx(struct ph__sts_policy *p, struct ph_str text, const struct ph_allocator *mem)
{
	while (text.len != 0) {
		struct ph_str value = ph__str_trim(ph__str_line(&text));
		struct ph_str name = ph__str_cut(&value, ':');

		if (ph__str_eq(name, ph__str("mx")) && !add_mx(p, ph__str_trim(value), mem))
			return false;
	}
	return true;
}

enum ph_code
ph__sts_policy_parse(struct ph__sts_policy **ret, struct ph_str text, const char *id,
                     const struct ph_allocator *mem, struct ph_error *err)
{
	struct fields f = { 0 };
	enum ph__sts_mode mode = PH__STS_NONE;
	uint64_t max_age = 0;
	enum ph_code rc;

	*ret = NULL;
	if (text.len > PH__POLICY_MAX)
		return invalid(err, "it is larger than 64 KiB", (struct ph_str){ text.ptr, 40 });
	if ((rc = read_lines(&f, text, err)) < 0 || (rc = judge(&f, &mode, &max_age, err)) < 0)
		return rc;
	*ret = new_policy(mode, (uint32_t)max_age, id, f.mx_count, mem);
	if (*ret != NULL && !add_all_mx(*ret, text, mem))
		ph__sts_policy_free(ret, mem);
	return *ret != NULL ? PH_OK : ph__fail_nomem(err, PH_STAGE_ROUTE);
}

struct ph__sts_policy *
ph__sts_policy_copy(const struct ph__sts_policy *p, const struct ph_allocator *mem)
{
	struct ph__sts_policy *copy = new_policy(p->mode, p->max_age, p->id, p->mx_count, mem);

	for (size_t i = 0; copy != NULL && i < p->mx_count; i++)
		if (!add_mx(copy, ph__str(p->mx[i]), mem))
			ph__sts_policy_free(&copy, mem);
	return copy;
}

void
ph__sts_policy_free(struct ph__sts_policy **p, const struct ph_allocator *mem)
{
	if (*p == NULL)
		return;
	for (size_t i = 0; i < (*p)->mx_count; i++)
		ph__free(mem, (*p)->mx[i]);
	ph__free(mem, (*p)->mx);
	ph__free(mem, (*p)->id);
	ph__free(mem, *p);
	*p = NULL;
}

/* ---- what it means */

bool
ph__sts_matches(const struct ph__sts_policy *p, const char *mx)
{
	struct ph_str name = ph__str(mx), parent;

	if (name.len != 0 && name.ptr[name.len - 1] == '.')
		name.len--;
	parent = name;
	if (name.len == 0 || ph__str_cut(&parent, '.').len == 0)
		return false;
	for (size_t i = 0; i < p->mx_count; i++) {
		bool wild = p->mx[i][0] == '*';

		if (ph__str_eq_nocase(wild ? parent : name, ph__str(p->mx[i] + (wild ? 2 : 0))))
			return true;
	}
	return false;
}

const char *
ph__sts_mode_name(enum ph__sts_mode mode)
{
	static const char *const names[] = { "none", "testing", "enforce" };

	return names[mode];
}

const char *
ph__sts_failure_name(enum ph__sts_failure failure)
{
	static const char *const names[] = { NULL, "sts-policy-fetch-error", "sts-webpki-invalid",
	                                     "sts-policy-invalid", NULL };

	return names[failure];
}

/* Whether `then` is at most `span` away. One that lies ahead is of a clock that has been set back since:
 * how long ago it was nobody knows. Times are from 0 to PH__DATE_3339_MAX. */
static bool
is_within(int64_t then, int64_t now, int64_t span)
{
	return then <= now ? now - span <= then : then - span <= now;
}

struct ph__sts_todo
ph__sts_decide(const struct ph__sts_kept *kept, const char *txt_id, int64_t now)
{
	bool use = kept->there && is_within(kept->fetched, now, kept->max_age);
	bool fresh = use && kept->fetched <= now && now - kept->fetched < PH__POLICY_FRESH_S;
	bool changed = txt_id != NULL && use && strcmp(txt_id, kept->id) != 0;
	bool barred = kept->tried != 0 && is_within(kept->tried, now, PH__POLICY_RETRY_S - 1) &&
	              strcmp(kept->tried_id, txt_id != NULL ? txt_id : "") == 0;
	bool wanted = use ? changed || !fresh : txt_id != NULL;

	return (struct ph__sts_todo){ .use = use, .fetch = wanted && !barred };
}
