/* SPDX-License-Identifier: MIT */
#ifndef PH_AUTH_SASLNAME_H
#define PH_AUTH_SASLNAME_H
/* What GS2's header says of a name, in SCRAM (the module) and OAUTHBEARER (ours). */
#include "base/buf.h"

/* saslname: "," and "=" are written =2C and =3D (RFC 5801 §4). */
static inline void
ph__add_saslname(struct ph__buf *b, const char *name)
{
	for (; *name != '\0'; name++)
		if (*name == ',' || *name == '=')
			ph__buf_add_str(b, *name == ',' ? "=2C" : "=3D");
		else
			ph__buf_add_char(b, *name);
}

#endif
