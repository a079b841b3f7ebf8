/* SPDX-License-Identifier: MIT */
/* Server URLs. See server.h. A password does not belong into a URL: it would be seen in the process
 * list, in history files and in logs. */
#include "route/server.h"

#include "base/error.h"
#include "base/str.h"

static const struct scheme {
	const char *name;
	uint16_t port;
	bool lmtp, implicit_tls, relay_port;
} schemes[] = {
	{ "smtp",        25,  false, false, true },
	{ "submission",  587, false, false, false },
	{ "smtps",       465, false, true,  false },
	{ "submissions", 465, false, true,  false },
	{ "lmtp",        0,   true,  false, true },
};

static enum ph_code
bad(struct ph_error *err, const char *url, const char *why)
{
	ph__fail(err, PH_ECONFIG, PH_STAGE_PREPARE, PH_CAUSE_ARGUMENT, "\"%s\" is no server: %s", url,
	         why);
	ph__hint(err, "write smtp://host, submission://host, smtps://host, lmtp://host:port or "
	              "lmtp:///path/to/socket");
	return PH_ECONFIG;
}

static const struct scheme *
find_scheme(struct ph_str name)
{
	for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++)
		if (ph__str_eq_nocase(name, ph__str(schemes[i].name)))
			return &schemes[i];
	return NULL;
}

/* In place: what is left is never longer. */
static bool
percent_decode(char *s)
{
	char *to = s;

	for (; *s != '\0'; s++) {
		if (*s != '%') {
			*to++ = *s;
			continue;
		}
		if (ph__hex_value(s[1]) < 0 || ph__hex_value(s[2]) < 0 || (s[1] == '0' && s[2] == '0'))
			return false; /* a NUL would hide what stands behind it */
		*to++ = (char)(ph__hex_value(s[1]) * 16 + ph__hex_value(s[2]));
		s += 2;
	}
	*to = '\0';
	return true;
}

/* Found first, because every other complaint quotes the URL. */
static enum ph_code
refuse_password(struct ph_str rest, struct ph_error *err)
{
	const char *at = memrchr(rest.ptr, '@', rest.len);

	if (at == NULL || memchr(rest.ptr, ':', (size_t)(at - rest.ptr)) == NULL)
		return PH_OK;
	ph__fail(err, PH_ECONFIG, PH_STAGE_PREPARE, PH_CAUSE_ARGUMENT,
	         "a password in the server's URL can be read by everybody on this machine");
	ph__hint(err, "take it out, and use --password-file, --password-fd or --password-command");
	return PH_ECONFIG;
}

static enum ph_code
parse_user(struct ph__server *ret, struct ph_str *rest, const char *url,
           const struct ph_allocator *mem, struct ph_error *err)
{
	const char *at = memrchr(rest->ptr, '@', rest->len);
	size_t n;

	if (at == NULL)
		return PH_OK;
	n = (size_t)(at - rest->ptr);
	if (n == 0)
		return bad(err, url, "the user before the @ is empty");
	if ((ret->user = ph__strndup(mem, rest->ptr, n)) == NULL)
		return ph__fail_nomem(err, PH_STAGE_PREPARE);
	if (!percent_decode(ret->user) || ph__str_has_control(ph__str(ret->user)))
		return bad(err, url, "the user has a broken % sequence or a control character");
	rest->ptr += n + 1;
	rest->len -= n + 1;
	return PH_OK;
}

/* host, host:port, [v6], [v6]:port */
static enum ph_code
parse_host(struct ph__server *ret, struct ph_str rest, const char *url,
           const struct ph_allocator *mem, struct ph_error *err)
{
	const char *end = rest.len != 0 && *rest.ptr == '[' ? memchr(rest.ptr, ']', rest.len) : NULL;
	struct ph_str host = rest, port = { NULL, 0 };
	const char *colon;
	uint64_t n;

	if (end != NULL) {
		host = (struct ph_str){ rest.ptr + 1, (size_t)(end - rest.ptr) - 1 };
		rest.len -= host.len + 2;
		rest.ptr = end + 1;
		if (rest.len != 0 && *rest.ptr != ':')
			return bad(err, url, "something stands behind the bracket");
		colon = rest.len != 0 ? rest.ptr : NULL;
	} else {
		colon = memchr(rest.ptr, ':', rest.len);
		if (colon != NULL && memchr(colon + 1, ':', rest.len - (size_t)(colon - rest.ptr) - 1))
			return bad(err, url, "an IPv6 address stands in brackets: [2001:db8::1]:25");
		if (colon != NULL)
			host.len = (size_t)(colon - host.ptr);
	}
	if (colon != NULL) {
		port = (struct ph_str){ colon + 1, (size_t)(rest.ptr + rest.len - colon) - 1 };
		if (!ph__str_to_uint(port, 65535, &n) || n == 0)
			return bad(err, url, "the port is a number from 1 to 65535");
		ret->port = (uint16_t)n;
	}
	if (host.len == 0)
		return bad(err, url, "there is no host");
	if (ret->port == 0)
		return bad(err, url, "LMTP has no port of its own: name one");
	if ((ret->host = ph__strndup(mem, host.ptr, host.len)) == NULL)
		return ph__fail_nomem(err, PH_STAGE_PREPARE);
	return PH_OK;
}

static enum ph_code
parse(struct ph__server *ret, const char *url, const struct ph_allocator *mem,
      struct ph_error *err)
{
	const char *sep = strstr(url, "://");
	struct ph_str rest = ph__str(sep != NULL ? sep + 3 : url);
	const struct scheme *scheme = &schemes[0];
	const char *slash;
	enum ph_code rc;

	if (*rest.ptr != '/' && (rc = refuse_password(rest, err)) != PH_OK)
		return rc;
	if (ph__str_has_control(rest) || memchr(rest.ptr, ' ', rest.len) != NULL)
		return bad(err, url, "it has a space or a control character");
	if (sep != NULL && (scheme = find_scheme((struct ph_str){ url, (size_t)(sep - url) })) == NULL)
		return bad(err, url, "the scheme is none of smtp, submission, smtps, submissions, lmtp");
	ret->lmtp = scheme->lmtp;
	ret->implicit_tls = scheme->implicit_tls;
	ret->relay_port = scheme->relay_port;
	ret->port = scheme->port;
	if (scheme->lmtp && rest.len > 1 && *rest.ptr == '/') {
		ret->port = 0;
		ret->unix_path = ph__strdup(mem, rest.ptr);
		return ret->unix_path != NULL ? PH_OK : ph__fail_nomem(err, PH_STAGE_PREPARE);
	}
	if (rest.len != 0 && rest.ptr[rest.len - 1] == '/')
		rest.len--;
	if ((rc = parse_user(ret, &rest, url, mem, err)) != PH_OK)
		return rc;
	slash = memchr(rest.ptr, '/', rest.len);
	if (slash != NULL || memchr(rest.ptr, '?', rest.len) != NULL)
		return bad(err, url, "nothing may stand behind host and port");
	return parse_host(ret, rest, url, mem, err);
}

enum ph_code
ph__server_parse(struct ph__server *ret, const char *url, const struct ph_allocator *mem,
                 struct ph_error *err)
{
	enum ph_code rc;

	*ret = (struct ph__server){ .lmtp = false };
	if ((rc = parse(ret, url, mem, err)) != PH_OK)
		ph__server_done(ret, mem);
	return rc;
}

void
ph__server_done(struct ph__server *s, const struct ph_allocator *mem)
{
	ph__free(mem, s->host);
	ph__free(mem, s->unix_path);
	ph__free(mem, s->user);
	*s = (struct ph__server){ .lmtp = false };
}
