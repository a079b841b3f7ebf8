/* SPDX-License-Identifier: MIT */
#ifndef PH_CLI_SEND_OPTIONS_H
#define PH_CLI_SEND_OPTIONS_H
/* What `posthaste send` was asked for. */
#include <posthaste/client.h>
#include "cli/link_options.h"
#include "cli/send_direct.h"
#include "cli/send_extensions.h"

struct ph__send_options {
	struct ph__link_options link;
	struct ph__send_direct direct; /* instead of a server */
	/* envelope */
	const char *from;
	struct ph__option_list to, cc, bcc;
	char **operands;
	size_t operand_count;
	bool no_dup;
	struct ph__send_extensions extensions;
	int priority;
	/* message */
	const char *message, *subject, *body, *text, *full_name, *charset;
	struct ph__option_list headers;
	bool from_headers, as_is, dot_is_text;
	int line_ends;
	/* seeing */
	unsigned verbose;
	bool json, dry_run;
};

extern const struct ph__options ph__send_options_def;

/* Fills the zeroed *o from environment and command line. PH_EUSAGE, PH_ECONFIG: what could be read
 * was read nevertheless. ph__send_options_done() in any case. */
enum ph_code ph__send_options_read(struct ph__send_options *o, int argc, char **argv,
                                   bool *ret_help, struct ph_error *err);
void ph__send_options_done(struct ph__send_options *o);

/* A finished message, or one to compose? `-t` alone is sendmail's: it is standard input. */
bool ph__send_options_is_finished(const struct ph__send_options *o);

#endif
