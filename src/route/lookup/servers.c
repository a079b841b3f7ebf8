/* SPDX-License-Identifier: MIT */
/* What a libunbound context is made of. See servers.h.
 *
 * Files are read here first, as libunbound would take too much for an answer: it reads a folder that is
 * given as trust anchor for ever, takes a file without anchors for the wish not to validate, and a
 * resolv.conf without servers for the wish to ask the root servers itself.
 *
 * Left out on purpose: search lists (a mail domain is always whole) and /etc/hosts (it knows no MX). */
#include "route/lookup/servers.h"

#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/error.h"

#define RESOLV_CONF "/etc/resolv.conf"

/* Debian's: dns-root-data's first, as it comes with the system's updates. */
static const char *const system_anchors[] = {
	"/usr/share/dns/root.key", "/var/lib/unbound/root.key", "/etc/unbound/root.key",
};

/* ---- servers ---- */

/* Cuts "ADDRESS@PORT", "[ADDRESS]:PORT" or "ADDRESS:PORT" (IPv4) up; false: neither. */
static bool
split_server(struct ph_str text, struct ph_str *address, struct ph_str *port)
{
	const char *sep = memchr(text.ptr, '@', text.len);
	size_t colons = 0;

	*address = text;
	*port = (struct ph_str){ NULL, 0 };
	if (text.len > 0 && *text.ptr == '[') {
		const char *end = memchr(text.ptr, ']', text.len);

		if (end == NULL)
			return false;
		*address = (struct ph_str){ text.ptr + 1, (size_t)(end - text.ptr) - 1 };
		sep = end + 1;
		if (sep == text.ptr + text.len)
			return true;
		if (*sep != '@' && *sep != ':')
			return false;
	} else {
		for (size_t i = 0; i < text.len; i++)
			colons += text.ptr[i] == ':';
		if (sep == NULL && colons == 1)
			sep = memchr(text.ptr, ':', text.len);
		if (sep == NULL)
			return true;
		address->len = (size_t)(sep - text.ptr);
	}
	*port = (struct ph_str){ sep + 1, (size_t)(text.ptr + text.len - sep) - 1 };
	return true;
}

static bool
is_address(struct ph_str text)
{
	char buf[PH__DNS_SERVER_TEXT];
	unsigned char addr[16];
	const char *scope = memchr(text.ptr, '%', text.len);

	if (scope != NULL)
		text.len = (size_t)(scope - text.ptr);
	if (text.len >= sizeof buf)
		return false;
	memcpy(buf, text.ptr, text.len);
	buf[text.len] = '\0';
	return (scope == NULL && inet_pton(AF_INET, buf, addr) == 1) ||
	       inet_pton(AF_INET6, buf, addr) == 1;
}

/* A server beyond the last that we keep is left out. */
static bool
add_server(struct ph__dns_setup *s, struct ph_str text)
{
	struct ph_str address, port;
	uint64_t number = 53;
	int n;

	if (s->count == PH__DNS_SERVERS)
		return true;
	if (!split_server(text, &address, &port) || !is_address(address) ||
	    (port.ptr != NULL && (!ph__str_to_uint(port, 65535, &number) || number == 0)))
		return false;
	n = snprintf(s->servers[s->count], PH__DNS_SERVER_TEXT, "%.*s@%u", (int)address.len,
	             address.ptr, (unsigned)number);
	if (n < 0 || n >= PH__DNS_SERVER_TEXT)
		return false;
	s->count++;
	return true;
}

static enum ph_code
servers_of_option(struct ph__dns_setup *s, const char *option, struct ph_error *err)
{
	struct ph_str rest = ph__str(option);

	while (rest.ptr != NULL) {
		struct ph_str one = ph__str_trim(ph__str_cut(&rest, ','));

		if (!add_server(s, one)) {
			ph__fail(err, PH_ECONFIG, PH_STAGE_PREPARE, PH_CAUSE_ARGUMENT,
			         "'%.*s' is no DNS server", (int)one.len, one.ptr);
			ph__hint(err, "servers are numeric addresses: 192.0.2.1 or 192.0.2.1@5353, "
			         "several with commas between");
			return PH_ECONFIG;
		}
	}
	return PH_OK;
}

/* resolv.conf(5): at most three servers; without the file, or without servers in it, the one on this
 * machine. What cannot be understood is passed over, as the C library does. */
static enum ph_code
servers_of_system(struct ph__dns_setup *s, struct ph_error *err)
{
	FILE *f = fopen(RESOLV_CONF, "re");
	char line[1024];

	if (f == NULL && errno != ENOENT)
		return ph__fail_errno(err, PH_ENOINPUT, PH_STAGE_PREPARE, PH_CAUSE_SYSTEM, errno,
		                      "cannot read %s, which names the DNS servers", RESOLV_CONF);
	while (f != NULL && s->count < 3 && fgets(line, sizeof line, f) != NULL) {
		struct ph_str rest = ph__str(line), word;

		for (char *c = line; *c != '\0'; c++)
			if (*c == '\t' || *c == '\n' || *c == '\r')
				*c = ' ';
		word = ph__str_word(&rest);
		if (ph__str_is(word, "nameserver"))
			add_server(s, ph__str_word(&rest));
	}
	if (f != NULL)
		fclose(f);
	if (s->count == 0)
		add_server(s, ph__str("127.0.0.1"));
	return PH_OK;
}

/* ---- trust anchors ---- */

static bool
is_anchor_type(struct ph_str word)
{
	return ph__str_is(word, "DS") || ph__str_is(word, "DNSKEY");
}

/* Looks for the first record's owner name; false: no line begins a DS or DNSKEY record. Whether the rest
 * is well formed libunbound says. */
static bool
find_owner(FILE *f, char owner[PH__DOMAIN_MAX + 1])
{
	char line[4096], origin[PH__DOMAIN_MAX + 1] = ".";

	while (fgets(line, sizeof line, f) != NULL) {
		struct ph_str rest = { line, strcspn(line, ";\r\n") }, first, word;
		bool named = rest.len > 0 && !ph__is_blank(*rest.ptr);

		for (char *c = line; c < line + rest.len; c++)
			if (*c == '\t')
				*c = ' ';
		first = ph__str_word(&rest);
		if (ph__str_is(first, "$ORIGIN")) {
			word = ph__str_word(&rest);
			if (word.len < sizeof origin)
				snprintf(origin, sizeof origin, "%.*s", (int)word.len, word.ptr);
			continue;
		}
		do
			word = ph__str_word(&rest);
		while (word.len > 0 && !is_anchor_type(word));
		if (word.len == 0 || !named || first.len > PH__DOMAIN_MAX)
			continue;
		if (ph__str_is(first, "@"))
			first = ph__str(origin);
		memcpy(owner, first.ptr, first.len);
		owner[first.len] = '\0';
		return true;
	}
	return false;
}

/* PH_OK, PH_ENOINPUT or PH_ECONFIG. */
static enum ph_code
read_anchor(struct ph__dns_setup *s, const char *path, struct ph_error *err)
{
	FILE *f = fopen(path, "re");
	struct stat st;
	bool found;

	if (f == NULL || fstat(fileno(f), &st) < 0) {
		ph__fail_errno(err, PH_ENOINPUT, PH_STAGE_PREPARE, PH_CAUSE_SYSTEM, errno,
		               "cannot read the trust anchor %s", path);
		if (f != NULL)
			fclose(f);
		return PH_ENOINPUT;
	}
	found = S_ISREG(st.st_mode) && find_owner(f, s->anchor);
	fclose(f);
	if (found)
		return PH_OK;
	ph__fail(err, PH_ECONFIG, PH_STAGE_PREPARE, PH_CAUSE_ARGUMENT, S_ISREG(st.st_mode) ?
	         "there is no DS or DNSKEY record in the trust anchor %s" :
	         "the trust anchor %s is not a file", path);
	ph__hint(err, "a line of it looks like: . IN DS 20326 8 2 E06D44B8…");
	return PH_ECONFIG;
}

/* The one that was named must do; of the system's the first that does. */
static enum ph_code
anchors(struct ph__dns_setup *s, const char *named, const struct ph_allocator *mem,
        struct ph_error *err)
{
	const char *path = named;
	enum ph_code code;

	if (named != NULL) {
		if ((code = read_anchor(s, named, err)) != PH_OK)
			return code;
	} else {
		for (size_t i = 0; i < sizeof system_anchors / sizeof *system_anchors; i++)
			if (read_anchor(s, path = system_anchors[i], NULL) == PH_OK)
				break;
			else
				path = NULL;
	}
	if (path != NULL && (s->anchor_file = ph__strdup(mem, path)) == NULL)
		return ph__fail_nomem(err, PH_STAGE_PREPARE);
	return PH_OK;
}

/* ---- the setup ---- */

enum ph_code
ph__dns_setup_read(struct ph__dns_setup *ret, const struct ph__lookup_opts *opts,
                   const struct ph_allocator *mem, struct ph_error *err)
{
	enum ph_code code = PH_OK;

	*ret = (struct ph__dns_setup){ 0 };
	if (opts->dns == NULL)
		code = servers_of_system(ret, err);
	else if (!ph__cstr_eq_nocase(opts->dns, "recursive"))
		code = servers_of_option(ret, opts->dns, err);
	if (code == PH_OK)
		code = anchors(ret, opts->trust_anchor, mem, err);
	return code;
}

void
ph__dns_setup_done(struct ph__dns_setup *s, const struct ph_allocator *mem)
{
	ph__free(mem, s->anchor_file);
	s->anchor_file = NULL;
}

void
ph__dns_setup_name(char *buf, size_t size, const struct ph__dns_setup *s)
{
	size_t at = 0;

	buf[0] = '\0';
	for (size_t i = 0; i < s->count && at < size; i++) {
		struct ph_str name = ph__str(s->servers[i]);

		if (name.len > 3 && memcmp(name.ptr + name.len - 3, "@53", 3) == 0)
			name.len -= 3;
		at += (size_t)snprintf(buf + at, size - at, "%s%.*s", i > 0 ? ", " : "", (int)name.len,
		                       name.ptr);
	}
}

/* ---- the context ---- */

static const struct { const char *name, *value; } settings[] = {
	/* The resolver of this machine is a resolver like any other, and so is a test's. */
	{ "do-not-query-localhost:", "no" },
	/* Answered here by default, as if nobody had networks of his own that use them. */
	{ "unblock-lan-zones:", "yes" },
	{ "local-zone:", "test. nodefault" },
	{ "local-zone:", "home.arpa. nodefault" },
	/* A server that did not answer is asked again, not given up for a quarter of an hour. */
	{ "infra-keep-probing:", "yes" },
	/* A library's default is 1 MiB for each cache and 16 sockets: what a thousand domains need. */
	{ "msg-cache-size:", "8m" },
	{ "rrset-cache-size:", "16m" },
	{ "outgoing-range:", "64" },
	{ "num-queries-per-thread:", "1024" },
};

static enum ph_code
configure(struct ub_ctx *ub, const struct ph__dns_setup *s, bool validating, struct ph_error *err)
{
	int bad = ub_ctx_debugout(ub, NULL) != 0 || ub_ctx_async(ub, 1) != 0;

	for (size_t i = 0; i < sizeof settings / sizeof *settings && !bad; i++)
		bad = ub_ctx_set_option(ub, settings[i].name, settings[i].value) != 0;
	if (bad)
		return ph__fail(err, PH_ESYSTEM, PH_STAGE_PREPARE, PH_CAUSE_MEMORY,
		                "libunbound cannot be set up");
	for (size_t i = 0; i < s->count; i++)
		if (ub_ctx_set_fwd(ub, s->servers[i]) != 0)
			return ph__fail(err, PH_ECONFIG, PH_STAGE_PREPARE, PH_CAUSE_ARGUMENT,
			                "the DNS server '%s' cannot be used", s->servers[i]);
	if (validating && ub_ctx_add_ta_file(ub, s->anchor_file) != 0)
		return ph__fail_nomem(err, PH_STAGE_PREPARE);
	/* This asks nothing, but makes the context read its files now. */
	if (ub_ctx_zone_remove(ub, "posthaste.invalid.") == 0)
		return PH_OK;
	return ph__fail(err, PH_ECONFIG, PH_STAGE_PREPARE, PH_CAUSE_ARGUMENT,
	                "the trust anchor %s is not well formed: what DNSSEC proves cannot be told",
	                validating ? s->anchor_file : "");
}

/* libunbound keeps variables for the whole process (its log above all), and sets them up without a lock
 * when a context begins or ends: clients of several threads must not do that at the same time. */
static pthread_mutex_t process_wide = PTHREAD_MUTEX_INITIALIZER;

struct ub_ctx *
ph__dns_setup_open(const struct ph__dns_setup *s, bool validating, struct ph_error *err)
{
	enum ph_code code = PH_ESYSTEM;
	struct ub_ctx *ub;

	pthread_mutex_lock(&process_wide);
	ub = ub_ctx_create();
	if (ub == NULL)
		ph__fail_nomem(err, PH_STAGE_PREPARE);
	else
		code = configure(ub, s, validating, err);
	if (code != PH_OK) {
		ub_ctx_delete(ub);
		ub = NULL;
	}
	pthread_mutex_unlock(&process_wide);
	return ub;
}

void
ph__dns_setup_close(struct ub_ctx *ub)
{
	if (ub == NULL)
		return;
	pthread_mutex_lock(&process_wide);
	ub_ctx_delete(ub);
	pthread_mutex_unlock(&process_wide);
}
