/* SPDX-License-Identifier: MIT */
/* URLs of servers and proxies. See server.h. A password does not belong into a URL: it would be seen
 * in the process list, in history files and in logs. */
#include "route/server.h"

#include <posthaste/transport.h>

#include "base/error.h"
#include "base/str.h"

static const struct scheme {
	const char *name;
	uint16_t port;
	bool lmtp, implicit_tls, relay_port;
} schemes[] = {
	{ "smtp",        PH_PORT_SMTP,        false, false, true },
	{ "submission",  PH_PORT_SUBMISSION,  false, false, false },
	{ "smtps",       PH_PORT_SUBMISSIONS, false, true,  false },
	{ "submissions", PH_PORT_SUBMISSIONS, false, true,  false },
	{ "lmtp",        0,                   true,  false, true },
};

static const struct proxy_scheme {
	const char *name;
	uint16_t port;
	bool http;
} proxy_schemes[] = {
	{ "socks5",  1080, false },
	{ "socks5h", 1080, false },
	{ "http",    8080, true },
};

/* What to say of each kind of URL. */
static const struct kind {
	const char *name, *shapes, *password;
} a_server = { "server", "write smtp://host, submission://host, smtps://host, lmtp://host:port or "
	                     "lmtp:///path/to/socket",
               "--password-file, --password-fd or --password-command" },
  a_proxy = { "proxy", "write socks5://host:1080 or http://host:8080", "--proxy-password-file" };

/* A URL being taken to pieces. */
struct url {
	const struct kind *kind;
	const char *text;
	char    *user, *host;
	uint16_t port;       /* the scheme's, until the URL's is found */
};

static enum ph_code
bad(struct ph_error *err, const struct url *u, const char *why)
{
	ph__fail(err, PH_ECONFIG, PH_STAGE_PREPARE, PH_CAUSE_ARGUMENT, "\"%s\" is no %s: %s", u->text,
	         u->kind->name, why);
	ph__hint(err, "%s", u->kind->shapes);
	return PH_ECONFIG;
}

static const struct scheme *
find_scheme(struct ph_str name)
{
	for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++)
		if (ph__str_is(name, schemes[i].name))
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
refuse_password(const struct url *u, struct ph_str rest, struct ph_error *err)
{
	const char *at = memrchr(rest.ptr, '@', rest.len);

	if (at == NULL || memchr(rest.ptr, ':', (size_t)(at - rest.ptr)) == NULL)
		return PH_OK;
	ph__fail(err, PH_ECONFIG, PH_STAGE_PREPARE, PH_CAUSE_ARGUMENT,
	         "a password in the %s's URL can be read by everybody on this machine", u->kind->name);
	ph__hint(err, "take it out, and use %s", u->kind->password);
	return PH_ECONFIG;
}

static enum ph_code
parse_user(struct url *u, struct ph_str *rest, const struct ph_allocator *mem, struct ph_error *err)
{
	const char *at = memrchr(rest->ptr, '@', rest->len);
	size_t n;

	if (at == NULL)
		return PH_OK;
	n = (size_t)(at - rest->ptr);
	if (n == 0)
		return bad(err, u, "the user before the @ is empty");
	if ((u->user = ph__strndup(mem, rest->ptr, n)) == NULL)
		return ph__fail_nomem(err, PH_STAGE_PREPARE);
	if (!percent_decode(u->user) || ph__str_has_control(ph__str(u->user)))
		return bad(err, u, "the user has a broken % sequence or a control character");
	rest->ptr += n + 1;
	rest->len -= n + 1;
	return PH_OK;
}

/* host, host:port, [v6], [v6]:port */
static enum ph_code
parse_host(struct url *u, struct ph_str rest, const struct ph_allocator *mem, struct ph_error *err)
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
			return bad(err, u, "something stands behind the bracket");
		colon = rest.len != 0 ? rest.ptr : NULL;
	} else {
		colon = memchr(rest.ptr, ':', rest.len);
		if (colon != NULL && memchr(colon + 1, ':', rest.len - (size_t)(colon - rest.ptr) - 1))
			return bad(err, u, "an IPv6 address stands in brackets: [2001:db8::1]:25");
		if (colon != NULL)
			host.len = (size_t)(colon - host.ptr);
	}
	if (colon != NULL) {
		port = (struct ph_str){ colon + 1, (size_t)(rest.ptr + rest.len - colon) - 1 };
		if (!ph__str_to_uint(port, 65535, &n) || n == 0)
			return bad(err, u, "the port is a number from 1 to 65535");
		u->port = (uint16_t)n;
	}
	if (host.len == 0)
		return bad(err, u, "there is no host");
	if (u->port == 0)
		return bad(err, u, "LMTP has no port of its own: name one");
	if ((u->host = ph__strndup(mem, host.ptr, host.len)) == NULL)
		return ph__fail_nomem(err, PH_STAGE_PREPARE);
	return PH_OK;
}

/* [user@]host[:port], and an empty path. */
static enum ph_code
parse_authority(struct url *u, struct ph_str rest, const struct ph_allocator *mem,
                struct ph_error *err)
{
	enum ph_code rc;

	if (rest.len != 0 && rest.ptr[rest.len - 1] == '/')
		rest.len--;
	if ((rc = parse_user(u, &rest, mem, err)) != PH_OK)
		return rc;
	if (memchr(rest.ptr, '/', rest.len) != NULL || memchr(rest.ptr, '?', rest.len) != NULL)
		return bad(err, u, "nothing may stand behind host and port");
	return parse_host(u, rest, mem, err);
}

static enum ph_code
check_text(const struct url *u, struct ph_str rest, struct ph_error *err)
{
	enum ph_code rc = *rest.ptr != '/' ? refuse_password(u, rest, err) : PH_OK;

	if (rc == PH_OK && (ph__str_has_control(rest) || memchr(rest.ptr, ' ', rest.len) != NULL))
		rc = bad(err, u, "it has a space or a control character");
	return rc;
}

static enum ph_code
parse(struct ph__server *ret, struct url *u, const struct ph_allocator *mem, struct ph_error *err)
{
	const char *sep = strstr(u->text, "://");
	struct ph_str rest = ph__str(sep != NULL ? sep + 3 : u->text);
	const struct scheme *scheme = &schemes[0];
	enum ph_code rc;

	if ((rc = check_text(u, rest, err)) != PH_OK)
		return rc;
	if (sep != NULL &&
	    (scheme = find_scheme((struct ph_str){ u->text, (size_t)(sep - u->text) })) == NULL)
		return bad(err, u, "the scheme is none of smtp, submission, smtps, submissions, lmtp");
	ret->lmtp = scheme->lmtp;
	ret->implicit_tls = scheme->implicit_tls;
	ret->relay_port = scheme->relay_port;
	u->port = scheme->port;
	if (scheme->lmtp && rest.len > 1 && *rest.ptr == '/') {
		ret->unix_path = ph__strdup(mem, rest.ptr);
		return ret->unix_path != NULL ? PH_OK : ph__fail_nomem(err, PH_STAGE_PREPARE);
	}
	return parse_authority(u, rest, mem, err);
}

enum ph_code
ph__server_parse(struct ph__server *ret, const char *url, const struct ph_allocator *mem,
                 struct ph_error *err)
{
	struct url u = { .kind = &a_server, .text = url };
	enum ph_code rc;

	*ret = (struct ph__server){ .lmtp = false };
	rc = parse(ret, &u, mem, err);
	ret->host = u.host;
	ret->port = u.port;
	ret->user = u.user;
	if (rc != PH_OK)
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

/* ---- proxies --------------------------------------------------------------------------------- */

static enum ph_code
refuse_scheme(const struct url *u, struct ph_str scheme, struct ph_error *err)
{
	if (ph__str_is(scheme, "https"))
		return bad(err, u, "TLS to the proxy itself is not supported; http:// is (CONNECT), and what "
		                   "goes through it is under the server's TLS");
	if (ph__str_is(scheme, "socks4") || ph__str_is(scheme, "socks4a") ||
	    ph__str_is(scheme, "socks"))
		return bad(err, u, "of SOCKS, version 5 is supported: socks5://");
	return bad(err, u, "the scheme is none of socks5, socks5h, http");
}

static enum ph_code
parse_proxy(struct ph__proxy_url *ret, struct url *u, const struct ph_allocator *mem,
            struct ph_error *err)
{
	const char *sep = strstr(u->text, "://");
	struct ph_str rest = ph__str(sep != NULL ? sep + 3 : u->text), name = ph__str(u->text);
	enum ph_code rc;

	if ((rc = check_text(u, rest, err)) != PH_OK)
		return rc;
	if (sep == NULL)
		return bad(err, u, "it has no scheme");
	name.len = (size_t)(sep - u->text);
	for (size_t i = 0; i < sizeof proxy_schemes / sizeof proxy_schemes[0]; i++) {
		if (!ph__str_is(name, proxy_schemes[i].name))
			continue;
		ret->http = proxy_schemes[i].http;
		u->port = proxy_schemes[i].port;
		return parse_authority(u, rest, mem, err);
	}
	return refuse_scheme(u, name, err);
}

enum ph_code
ph__proxy_parse(struct ph__proxy_url *ret, const char *url, const struct ph_allocator *mem,
                struct ph_error *err)
{
	struct url u = { .kind = &a_proxy, .text = url };
	enum ph_code rc;

	*ret = (struct ph__proxy_url){ .http = false };
	rc = parse_proxy(ret, &u, mem, err);
	ret->host = u.host;
	ret->port = u.port;
	ret->user = u.user;
	if (rc != PH_OK)
		ph__proxy_done(ret, mem);
	return rc;
}

void
ph__proxy_done(struct ph__proxy_url *p, const struct ph_allocator *mem)
{
	ph__free(mem, p->host);
	ph__free(mem, p->user);
	*p = (struct ph__proxy_url){ .http = false };
}
