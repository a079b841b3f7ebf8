/* SPDX-License-Identifier: MIT */
/* Names and addresses from DNS data. See domain.h. Every octet here is a stranger's: a name may
 * hold NUL, controls, dots within labels, pointers that lead nowhere. */
#include "route/domain.h"

#include <string.h>

static bool
is_host_char(char c)
{
	return ph__is_alnum(c) || c == '-' || c == '_';
}

/* Appends one octet at p; four octets at most. */
static char *
show(char *p, char c)
{
	unsigned n = (unsigned char)c;

	if (is_host_char(c)) {
		*p++ = ph__lower(c);
		return p;
	}
	*p++ = '\\';
	*p++ = (char)('0' + n / 100);
	*p++ = (char)('0' + n / 10 % 10);
	*p++ = (char)('0' + n % 10);
	return p;
}

bool
ph__name_from_wire(char buf[PH__NAME_SHOWN], struct ph_str wire)
{
	char *p = buf;
	size_t i = 0;

	if (wire.len == 0 || wire.len > PH__DOMAIN_MAX)
		return false;
	while (wire.ptr[i] != 0) {
		size_t label = (unsigned char)wire.ptr[i++];

		if (label > PH__LABEL_MAX || label >= wire.len - i) /* room for the root's octet */
			return false;
		if (p != buf)
			*p++ = '.';
		for (; label > 0; label--)
			p = show(p, wire.ptr[i++]);
	}
	*p = '\0';
	return i + 1 == wire.len;
}

bool
ph__name_is_host(struct ph_str name)
{
	struct ph_str rest = name, label = { "", 0 };
	bool number = true;

	if (name.len == 0 || name.len > PH__NAME_TEXT_MAX)
		return false;
	while (rest.ptr != NULL) {
		label = ph__str_cut(&rest, '.');
		if (label.len == 0 || label.len > PH__LABEL_MAX)
			return false;
		number = true;
		for (size_t i = 0; i < label.len; i++) {
			if (!is_host_char(label.ptr[i]))
				return false;
			number = number && ph__is_digit(label.ptr[i]);
		}
	}
	return !number;
}

bool
ph__name_is_among(const char *name, const char *const *names, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(name, names[i]) == 0)
			return true;
	return false;
}

bool
ph__address4_is_host(const uint8_t o[4])
{
	return o[0] != 0 && o[0] < 224;
}

bool
ph__address6_is_host(const uint8_t o[16])
{
	static const uint8_t unspecified[16];
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };

	if (memcmp(o, mapped, sizeof mapped) == 0)
		return ph__address4_is_host(o + 12);
	return o[0] != 0xff && memcmp(o, unspecified, sizeof unspecified) != 0;
}
