/* SPDX-License-Identifier: MIT */
/* The verb table. A row is a verb: how a transaction writes it, what its reply means, how long the
 * server may think, and whether it ends a flight (RFC 2920 §3.1). */
#include "smtp/session.h"

const struct ph__verb_def ph__verbs[PH__V_COUNT] = {
	[PH__V_NONE]      = { "",         NULL,             NULL,            PH_STAGE_PREPARE,  0,              false },
	[PH__V_GREETING]  = { "GREETING", NULL,             ph__on_greeting, PH_STAGE_GREETING, PH__MS_GREETING, true },
	[PH__V_HELO]      = { "HELO",     NULL,             ph__on_hello,    PH_STAGE_HELLO,    PH__MS_COMMAND, true },
	[PH__V_EHLO]      = { "EHLO",     NULL,             ph__on_hello,    PH_STAGE_HELLO,    PH__MS_COMMAND, true },
	[PH__V_LHLO]      = { "LHLO",     NULL,             ph__on_hello,    PH_STAGE_HELLO,    PH__MS_COMMAND, true },
	[PH__V_STARTTLS]  = { "STARTTLS", NULL,             ph__on_starttls, PH_STAGE_STARTTLS, PH__MS_COMMAND, true },
	[PH__V_AUTH]      = { "AUTH",     NULL,             ph__on_auth,     PH_STAGE_AUTH,     PH__MS_COMMAND, true },
	[PH__V_AUTH_STEP] = { "AUTH",     NULL,             ph__on_auth,     PH_STAGE_AUTH,     PH__MS_COMMAND, true },
	[PH__V_MAIL]      = { "MAIL",     ph__encode_mail,  ph__on_mail,     PH_STAGE_MAIL,     PH__MS_COMMAND, false },
	[PH__V_RCPT]      = { "RCPT",     ph__encode_rcpt,  ph__on_rcpt,     PH_STAGE_RCPT,     PH__MS_COMMAND, false },
	[PH__V_DATA]      = { "DATA",     ph__encode_data,  ph__on_data,     PH_STAGE_DATA,     PH__MS_DATA,    true },
	[PH__V_BODY]      = { "BODY",     NULL,             ph__on_body,     PH_STAGE_BODY,     PH__MS_FINAL,   false },
	[PH__V_BDAT]      = { "BDAT",     NULL,             ph__on_bdat,     PH_STAGE_BODY,     PH__MS_FINAL,   false },
	[PH__V_RSET]      = { "RSET",     ph__encode_rset,  ph__on_rset,     PH_STAGE_MAIL,     PH__MS_COMMAND, false },
	[PH__V_NOOP]      = { "NOOP",     NULL,             ph__on_other,    PH_STAGE_HELLO,    PH__MS_COMMAND, true },
	[PH__V_VRFY]      = { "VRFY",     NULL,             ph__on_other,    PH_STAGE_HELLO,    PH__MS_COMMAND, true },
	[PH__V_EXPN]      = { "EXPN",     NULL,             ph__on_other,    PH_STAGE_HELLO,    PH__MS_COMMAND, true },
	[PH__V_HELP]      = { "HELP",     NULL,             ph__on_other,    PH_STAGE_HELLO,    PH__MS_COMMAND, true },
	[PH__V_ETRN]      = { "ETRN",     NULL,             ph__on_other,    PH_STAGE_HELLO,    PH__MS_COMMAND, true },
	[PH__V_XCLIENT]   = { "XCLIENT",  NULL,             ph__on_xclient,  PH_STAGE_HELLO,    PH__MS_COMMAND, true },
	[PH__V_XFORWARD]  = { "XFORWARD", NULL,             ph__on_other,    PH_STAGE_HELLO,    PH__MS_COMMAND, true },
	[PH__V_QUIT]      = { "QUIT",     NULL,             ph__on_quit,     PH_STAGE_QUIT,     PH__MS_QUIT,    true },
	[PH__V_RAW]       = { "",         NULL,             ph__on_other,    PH_STAGE_HELLO,    PH__MS_COMMAND, true },
};

enum ph__verb
ph__verb_of(struct ph_str name)
{
	for (int v = PH__V_HELO; v < PH__V_RAW; v++)
		if (v != PH__V_BODY && v != PH__V_AUTH_STEP &&
		    ph__str_is(name, ph__verbs[v].name))
			return (enum ph__verb)v;
	return PH__V_RAW;
}
