/* SPDX-License-Identifier: MIT */
/* The PROXY protocol's header. See proxy_header.h, and "The PROXY protocol, versions 1 & 2"
 * (haproxy), §2.1 and §2.2. An IPv4 address in IPv6's clothes is written as IPv4. What is neither (a
 * Unix socket) is UNKNOWN in version 1 and LOCAL in version 2: the server takes the connection for
 * what it is. */
#include "net/proxy_header.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "base/bounds.h"
#include "base/error.h"
#include "base/str.h"
#include "net/dial.h"

/* ---- what was asked for */

static enum ph_code
bad(struct ph_error *err, const char *text, const char *why)
{
	ph__fail(err, PH_ECONFIG, PH_STAGE_PREPARE, PH_CAUSE_ARGUMENT,
	         "\"%.200s\" is no PROXY protocol header: %s", text, why);
	ph__hint(err, "write v1 or v2, or both addresses behind it: v2 192.0.2.1:4711 203.0.113.5:25");
	return PH_ECONFIG;
}

static bool
parse_endpoint(struct sockaddr_storage *ret, struct ph_str w)
{
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)ret;
	struct sockaddr_in *in = (struct sockaddr_in *)ret;
	const char *colon = w.len != 0 ? memrchr(w.ptr, ':', w.len) : NULL;
	char host[INET6_ADDRSTRLEN];
	size_t n = colon != NULL ? (size_t)(colon - w.ptr) : 0;
	bool v6 = n >= 2 && w.ptr[0] == '[' && w.ptr[n - 1] == ']';
	uint64_t port;

	if (n == 0 || n >= sizeof host ||
	    !ph__str_to_uint((struct ph_str){ colon + 1, w.len - n - 1 }, 65535, &port))
		return false;
	memcpy(host, w.ptr + v6, n - 2 * v6);
	host[n - 2 * v6] = '\0';
	ret->ss_family = v6 ? AF_INET6 : AF_INET;
	in->sin_port = htons((uint16_t)port); /* the same place in IPv6 */
	return inet_pton(ret->ss_family, host, v6 ? (void *)&in6->sin6_addr : (void *)&in->sin_addr) == 1;
}

enum ph_code
ph__proxy_header_parse(struct ph__proxy_header *ret, const char *text, struct ph_error *err)
{
	struct ph_str rest = ph__str(text), version, source, destination;
	static const char both[] = "a source and a destination are ADDRESS:PORT each, numeric, "
	                           "IPv6 as [2001:db8::1]:25";

	*ret = (struct ph__proxy_header){ 0 };
	if (ph__str_has_control(rest))
		return bad(err, "", "there is a control character in it");
	version = ph__str_word(&rest);
	source = ph__str_word(&rest);
	destination = ph__str_word(&rest);
	if (!ph__str_is(version, "v1") && !ph__str_is(version, "v2"))
		return bad(err, text, "it begins with v1 or v2");
	ret->version = (unsigned)(version.ptr[1] - '0');
	if (source.len == 0)
		return PH_OK;
	if (ph__str_word(&rest).len != 0 || !parse_endpoint(&ret->source, source) ||
	    !parse_endpoint(&ret->destination, destination))
		return bad(err, text, both);
	ph__unmap(&ret->source);
	ph__unmap(&ret->destination);
	if (ret->source.ss_family != ret->destination.ss_family)
		return bad(err, text, "its addresses are of different IP versions");
	ret->given = true;
	return PH_OK;
}

/* ---- what is sent */

static const void *
address_of(const struct sockaddr_storage *sa)
{
	return sa->ss_family == AF_INET6 ? (const void *)&((const struct sockaddr_in6 *)sa)->sin6_addr
	                                 : (const void *)&((const struct sockaddr_in *)sa)->sin_addr;
}

static const in_port_t *
port_of(const struct sockaddr_storage *sa)
{
	return &((const struct sockaddr_in *)sa)->sin_port; /* the same place in IPv6 */
}

/* Of one family, both. */
static size_t
write_line(const struct sockaddr_storage *source, const struct sockaddr_storage *destination,
           char *out)
{
	char from[INET6_ADDRSTRLEN], to[INET6_ADDRSTRLEN];

	inet_ntop(source->ss_family, address_of(source), from, sizeof from);
	inet_ntop(source->ss_family, address_of(destination), to, sizeof to);
	return (size_t)snprintf(out, PH__PROXY_LINE_MAX + 1, "PROXY TCP%d %s %s %u %u\r\n",
	                        source->ss_family == AF_INET6 ? 6 : 4, from, to,
	                        ntohs(*port_of(source)), ntohs(*port_of(destination)));
}

#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"

enum { V2_PROXY = 0x21, V2_TCP4 = 0x11, V2_TCP6 = 0x21 };

static size_t
write_binary(const struct sockaddr_storage *source, const struct sockaddr_storage *destination,
             char *out)
{
	const struct sockaddr_storage *both[] = { source, destination };
	bool v6 = source->ss_family == AF_INET6;
	size_t address = v6 ? 16 : 4, n = sizeof SIGNATURE - 1;

	memcpy(out, SIGNATURE, n);
	out[n++] = V2_PROXY;
	out[n++] = v6 ? V2_TCP6 : V2_TCP4;
	out[n++] = 0;
	out[n++] = (char)(2 * address + 4);
	for (size_t i = 0; i < 2; i++, n += address)
		memcpy(out + n, address_of(both[i]), address);
	for (size_t i = 0; i < 2; i++, n += 2)
		memcpy(out + n, port_of(both[i]), 2);
	return n;
}

static size_t
write_unknown(unsigned version, char *out)
{
	static const char line[] = "PROXY UNKNOWN\r\n", local[] = SIGNATURE "\x20\0\0\0";
	size_t n = (version == 1 ? sizeof line : sizeof local) - 1;

	memcpy(out, version == 1 ? line : local, n);
	return n;
}

size_t
ph__proxy_header_write(const struct ph__proxy_header *h, int fd, char *out)
{
	struct sockaddr_storage source = h->source, destination = h->destination;

	if (!h->given) {
		socklen_t sl = sizeof source, dl = sizeof destination;

		if (getsockname(fd, (struct sockaddr *)&source, &sl) != 0 ||
		    getpeername(fd, (struct sockaddr *)&destination, &dl) != 0)
			return 0;
		ph__unmap(&source);
		ph__unmap(&destination);
	}
	if (source.ss_family != destination.ss_family ||
	    (source.ss_family != AF_INET && source.ss_family != AF_INET6))
		return write_unknown(h->version, out);
	return (h->version == 1 ? write_line : write_binary)(&source, &destination, out);
}
