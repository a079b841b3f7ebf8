/* SPDX-License-Identifier: MIT */
/* XCLIENT and XFORWARD: a proxy says for whom it speaks (Postfix's XCLIENT_README, XFORWARD_README).
 *
 *   arguments = name "=" value *(SP name "=" value)
 *   value     = xtext / "[UNAVAILABLE]" / "[TEMPUNAVAIL]" */
#include "smtp/server_private.h"

#define XCLIENT  1
#define XFORWARD 2

static bool
is_port(struct ph_str v)
{
	uint64_t n;

	return ph__str_to_uint(v, 65535, &n);
}

static bool
is_proto(struct ph_str v)
{
	return ph__str_is(v, "SMTP") || ph__str_is(v, "ESMTP");
}

static bool
is_source(struct ph_str v)
{
	return ph__str_is(v, "LOCAL") || ph__str_is(v, "REMOTE");
}

static const struct {
	const char *name;
	unsigned    in;
	bool      (*is)(struct ph_str value);
} attributes[] = {
	{ "NAME",     XCLIENT | XFORWARD, ph__server_is_xtext },
	{ "ADDR",     XCLIENT | XFORWARD, ph__server_is_xtext },
	{ "PORT",     XCLIENT | XFORWARD, is_port },
	{ "PROTO",    XCLIENT | XFORWARD, is_proto },
	{ "HELO",     XCLIENT | XFORWARD, ph__server_is_xtext },
	{ "LOGIN",    XCLIENT,            ph__server_is_xtext },
	{ "DESTADDR", XCLIENT,            ph__server_is_xtext },
	{ "DESTPORT", XCLIENT,            is_port },
	{ "IDENT",    XFORWARD,           ph__server_is_xtext },
	{ "SOURCE",   XFORWARD,           is_source },
};

static bool
is_attribute(struct ph_str name, struct ph_str value, unsigned in)
{
	for (size_t i = 0; i < sizeof attributes / sizeof attributes[0]; i++)
		if ((attributes[i].in & in) && ph__str_is(name, attributes[i].name))
			return ph__str_is(value, "[UNAVAILABLE]") ||
			       ph__str_is(value, "[TEMPUNAVAIL]") ||
			       attributes[i].is(value);
	return false;
}

bool
ph__server_are_attributes(struct ph_str arg, bool forward)
{
	struct ph_str name, value;

	while (ph__server_next_parameter(&arg, &name, &value))
		if (!is_attribute(name, value, forward ? XFORWARD : XCLIENT))
			return false;
	return true;
}
