/* SPDX-License-Identifier: MIT */
/* Host names and numeric addresses. See host.h.
 *
 * An address is what inet_pton() takes: the older shapes ("127.1", "0x7f000001") are left to the
 * resolver, so that nothing is verified against an address that the user did not write. A zone id
 * needs the interface table and so getaddrinfo(AI_NUMERICHOST), which asks no server.
 * U-labels become A-labels by IDNA2008 without the transitional mappings: "faß.example" is not
 * "fass.example" (RFC 5894 §7.2). ASCII names may hold an underscore, which STD 3 refuses and
 * container networks use. */
#include "net/host.h"

#include <arpa/inet.h>
#include <idn2.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/str.h"

#define LABEL_MAX 63  /* RFC 1035 §2.3.4 */
#define HOST_MAX 253 /* the same, in text and without the final dot */

static bool
parse_ipv4(struct ph__host *ret, const char *text)
{
	struct sockaddr_in *in = (struct sockaddr_in *)&ret->addr;

	if (inet_pton(AF_INET, text, &in->sin_addr) != 1)
		return false;
	in->sin_family = AF_INET;
	ret->family = AF_INET;
	ret->addr_len = sizeof *in;
	return true;
}

static bool
parse_ipv6(struct ph__host *ret, const char *text)
{
	struct addrinfo want = { .ai_family = AF_INET6, .ai_socktype = SOCK_STREAM,
		.ai_flags = AI_NUMERICHOST }, *list;

	if (getaddrinfo(text, NULL, &want, &list) != 0)
		return false;
	memcpy(&ret->addr, list->ai_addr, list->ai_addrlen);
	ret->family = AF_INET6;
	ret->addr_len = list->ai_addrlen;
	freeaddrinfo(list);
	return true;
}

/* Letters, digits, hyphen and underscore in labels of 1 to 63. Lower case afterwards. */
static bool
check_name(char *name)
{
	size_t label = 0;
	char *p;

	for (p = name; *p != '\0'; p++) {
		if (*p == '.') {
			if (label == 0)
				return false;
			label = 0;
			continue;
		}
		if (!ph__is_alnum(*p) && *p != '-' && *p != '_')
			return false;
		if (++label > LABEL_MAX)
			return false;
		*p = ph__lower(*p);
	}
	return label != 0 && p - name <= HOST_MAX;
}

static bool
parse_name(struct ph__host *ret, const char *text, size_t n, const char **why)
{
	char *ascii = NULL;
	int rc = IDN2_OK;

	*why = "a host name is letters, digits and hyphens in labels of 1 to 63, separated by dots";
	memcpy(ret->name, text, n);
	ret->name[n] = '\0';
	if (!ph__str_is_ascii((struct ph_str){ text, n })) {
		rc = idn2_to_ascii_8z(ret->name, &ascii,
		                      IDN2_NONTRANSITIONAL | IDN2_USE_STD3_ASCII_RULES);
		if (rc == IDN2_OK && strlen(ascii) < sizeof ret->name)
			memcpy(ret->name, ascii, strlen(ascii) + 1);
		else if (rc == IDN2_OK)
			ret->name[0] = '\0';
		else
			*why = idn2_strerror(rc);
		idn2_free(ascii);
	}
	return rc == IDN2_OK && check_name(ret->name);
}

bool
ph__host_parse(struct ph__host *ret, const char *text, const char *what, enum ph_code code,
               struct ph_error *err)
{
	size_t n = strlen(text);
	const char *why = "it is too long or empty";
	bool bracketed = n >= 2 && text[0] == '[' && text[n - 1] == ']';

	*ret = (struct ph__host){ .family = AF_UNSPEC };
	if (bracketed) {
		text++;
		n -= 2;
	}
	if (n != 0 && n < sizeof ret->name) {
		memcpy(ret->name, text, n);
		ret->name[n] = '\0';
		if (memchr(text, ':', n) != NULL) {
			why = "it is no IPv6 address, and a port has no place here";
			if (parse_ipv6(ret, ret->name))
				return true;
		} else if (parse_ipv4(ret, ret->name)) {
			return true;
		} else if (bracketed) {
			why = "brackets hold an address, not a name";
		} else {
			ret->absolute = text[n - 1] == '.';
			if (parse_name(ret, text, n - ret->absolute, &why))
				return true;
		}
	}
	ph__fail(err, code, PH_STAGE_PREPARE, PH_CAUSE_ARGUMENT,
	         "\"%.*s\" cannot be the %s: %s", (int)(n < 200 ? n : 200), text, what, why);
	if (n != 0 && memchr(text, ':', n) != NULL)
		ph__hint(err, "a port is written behind the host of the URL: smtp://mail.example.org:2525");
	return false;
}
