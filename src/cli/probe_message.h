/* SPDX-License-Identifier: MIT */
#ifndef PH_CLI_PROBE_MESSAGE_H
#define PH_CLI_PROBE_MESSAGE_H
/* The message of `posthaste probe`, as swaks makes one: a template with tokens, header fields put in
 * place of its own or added, a text, attachments. */
#include <posthaste/error.h>
#include "base/buf.h"
#include "cli/options.h"

struct ph__probe_message {
	const char *data, *body;  /* NULL: the template, the usual text */
	struct ph__option_list headers, new_headers;
	struct ph__option_list parts; /* --attach and its kin in order, a letter of their kind in front */
	bool no_fixup, no_strip_from;
	const char *from, *to, *cc; /* cc NULL or "": no field */
	const char *date, *id, *boundary;
};

/* Makes it: lines with any line end, not dot-stuffed. "-" is standard input, read once. PH_ENOINPUT,
 * PH_EINPUT (a control character where one field or address would become two), PH_ESYSTEM. */
enum ph_code ph__probe_message_make(const struct ph__probe_message *m, struct ph__buf *out,
                                    struct ph_error *err);

#endif
