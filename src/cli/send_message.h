/* SPDX-License-Identifier: MIT */
#ifndef PH_CLI_SEND_MESSAGE_H
#define PH_CLI_SEND_MESSAGE_H
/* The message of `posthaste send`: a finished one from a file or pipe, or one composed here. */
#include <posthaste/error.h>
#include <posthaste/source.h>
#include "base/buf.h"
#include "cli/send_envelope.h"
#include "cli/send_options.h"

struct ph_message;

struct ph__send_message {
	struct ph_source  *source;
	struct ph_message *composed; /* or NULL */
	char  *text;                 /* the composed message as it is sent */
	size_t text_len;
	int    fd;                   /* of a finished message; -1: none */
	bool   fd_owned;
	struct ph__buf head;         /* what was read of it beforehand: its header block at least */
	char  *block;                /* that block without Bcc; NULL: not rewritten */
};

void ph__send_message_init(struct ph__send_message *m);
void ph__send_message_done(struct ph__send_message *m);

/* Makes the source and, with -t, adds the header's recipients to the envelope. PH_ENOINPUT,
 * PH_EINPUT, PH_EUSAGE, PH_ESYSTEM. */
enum ph_code ph__send_message_open(struct ph__send_message *m, const struct ph__send_options *o,
                                   struct ph__send_envelope *e, struct ph_error *err);

#endif
