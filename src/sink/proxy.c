/* SPDX-License-Identifier: MIT */
/* The PROXY protocol's header, as a server behind a proxy gets it (HAProxy's proxy-protocol.txt).
 *
 *   version 1: "PROXY " ("TCP4" / "TCP6" / "UNKNOWN") [SP source SP target SP port SP port] CRLF, 107
 *              octets at most
 *   version 2: 12 octets of signature, version and command, family and protocol, length (2), addresses,
 *              and further fields, which are passed over
 *
 * Only who connected is looked at. Nothing but a header may come first: who is behind a proxy must never
 * be guessed. */
#include <arpa/inet.h>
#include <stdio.h>

#include "sink/private.h"

#define V2_HEAD 16

static const char signature[12] = "\r\n\r\n\0\r\nQUIT\n";

static bool
print_peer(int family, const void *address, unsigned port, char *peer, size_t size)
{
	char host[INET6_ADDRSTRLEN];

	if (inet_ntop(family, address, host, sizeof host) == NULL)
		return false;
	snprintf(peer, size, family == AF_INET ? "%s:%u" : "[%s]:%u", host, port);
	return true;
}

/* The address in its one true form, whatever was sent. */
static bool
take_v1(struct ph_str line, char *peer, size_t size)
{
	struct ph_str family, source, source_port, target_port;
	unsigned char address[16], target[16];
	char text[INET6_ADDRSTRLEN];
	uint64_t port, other;
	int af;

	ph__str_cut(&line, ' ');
	family = ph__str_cut(&line, ' ');
	if (ph__str_eq(family, ph__str("UNKNOWN")))
		return true;
	af = ph__str_eq(family, ph__str("TCP4")) ? AF_INET : AF_INET6;
	if (af == AF_INET6 && !ph__str_eq(family, ph__str("TCP6")))
		return false;
	source = ph__str_cut(&line, ' ');
	snprintf(text, sizeof text, "%.*s", (int)source.len, source.ptr);
	if (source.len >= sizeof text || inet_pton(af, text, address) != 1)
		return false;
	source = ph__str_cut(&line, ' ');
	snprintf(text, sizeof text, "%.*s", (int)source.len, source.ptr);
	if (source.len >= sizeof text || inet_pton(af, text, target) != 1)
		return false;
	source_port = ph__str_cut(&line, ' ');
	target_port = ph__str_cut(&line, ' ');
	return line.len == 0 && ph__str_to_uint(source_port, 65535, &port) &&
	       ph__str_to_uint(target_port, 65535, &other) &&
	       print_peer(af, address, (unsigned)port, peer, size);
}

static enum ph__sink_proxy
parse_v1(struct ph_str in, size_t *used, char *peer, size_t size)
{
	const char *lf = memchr(in.ptr, '\n', in.len);

	if (lf == NULL)
		return in.len < PH__PROXY_LINE_MAX ? PH__SINK_PROXY_MORE : PH__SINK_PROXY_WRONG;
	*used = (size_t)(lf + 1 - in.ptr);
	if (*used > PH__PROXY_LINE_MAX || lf[-1] != '\r' ||
	    !take_v1((struct ph_str){ in.ptr, *used - 2 }, peer, size))
		return PH__SINK_PROXY_WRONG;
	return PH__SINK_PROXY_DONE;
}

static enum ph__sink_proxy
parse_v2(struct ph_str in, size_t *used, char *peer, size_t size)
{
	const unsigned char *p = (const unsigned char *)in.ptr;
	size_t n;

	if (in.len < V2_HEAD)
		return PH__SINK_PROXY_MORE;
	n = (size_t)p[14] << 8 | p[15];
	if (p[12] != 0x20 && p[12] != 0x21)
		return PH__SINK_PROXY_WRONG;
	if (in.len < V2_HEAD + n)
		return PH__SINK_PROXY_MORE;
	*used = V2_HEAD + n;
	if (p[12] == 0x20) /* LOCAL: the proxy itself, to see whether we are there */
		return PH__SINK_PROXY_DONE;
	if (p[13] == 0x11 && n >= 12)
		print_peer(AF_INET, p + 16, (unsigned)p[24] << 8 | p[25], peer, size);
	else if (p[13] == 0x21 && n >= 36)
		print_peer(AF_INET6, p + 16, (unsigned)p[48] << 8 | p[49], peer, size);
	else if (p[13] == 0x11 || p[13] == 0x21)
		return PH__SINK_PROXY_WRONG;
	return PH__SINK_PROXY_DONE;
}

enum ph__sink_proxy
ph__sink_proxy_parse(struct ph_str in, size_t *used, char *peer, size_t size)
{
	size_t n = in.len < sizeof signature ? in.len : sizeof signature;

	if (in.len == 0)
		return PH__SINK_PROXY_MORE;
	if (memcmp(in.ptr, signature, n) == 0)
		return n < sizeof signature ? PH__SINK_PROXY_MORE : parse_v2(in, used, peer, size);
	if (memcmp(in.ptr, "PROXY ", in.len < 6 ? in.len : 6) == 0)
		return in.len < 6 ? PH__SINK_PROXY_MORE : parse_v1(in, used, peer, size);
	return PH__SINK_PROXY_WRONG;
}
