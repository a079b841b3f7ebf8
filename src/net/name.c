/* SPDX-License-Identifier: MIT */
/* The name we give in EHLO. See name.h. */
#include "net/name.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/str.h"

static bool
is_qualified(struct ph_str name)
{
	bool dot = false;

	if (name.len == 0 || name.len > 253 || name.ptr[name.len - 1] == '.')
		return false;
	for (size_t i = 0; i < name.len; i++) {
		char c = name.ptr[i];

		if (c == '.' && (i == 0 || name.ptr[i - 1] == '.'))
			return false;
		if (!ph__is_alnum(c) && c != '-' && c != '.')
			return false;
		dot |= c == '.';
	}
	return dot && !ph__str_is(name, "localhost.localdomain");
}

const char *
ph__ehlo_name(char *buf, size_t size, const struct ph__peer *peer)
{
	char host[256] = "";

	if (gethostname(host, sizeof host - 1) == 0 && is_qualified(ph__str(host)))
		snprintf(buf, size, "%s", host);
	else if (peer->local[0] == '\0')
		snprintf(buf, size, "[127.0.0.1]"); /* a Unix socket: it is this machine */
	else
		snprintf(buf, size, "[%s%s]", peer->local_is_ipv6 ? "IPv6:" : "", peer->local);
	return buf;
}
