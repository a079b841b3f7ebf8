/* SPDX-License-Identifier: MIT */
#ifndef PH_CLI_SEND_ENVELOPE_H
#define PH_CLI_SEND_ENVELOPE_H
/* Who it is from and to: from options, operands and header fields to bare addresses. */
#include <posthaste/error.h>
#include "base/mem.h"
#include "cli/send_options.h"

struct ph_addresses;
struct ph_envelope;

struct ph__send_envelope {
	struct ph__arena arena;  /* the addresses' texts */
	const char  *from;       /* bare; "" is the null reverse-path; NULL: not known yet */
	const char  *author;     /* --from or $EMAIL as given, for From, or with --full-name; NULL: the
	                            null path */
	const char **recipients; /* bare, each once */
	size_t       count, cap;
};

void ph__send_envelope_init(struct ph__send_envelope *e);
void ph__send_envelope_done(struct ph__send_envelope *e);

/* Sender and all recipients the command line names; without -t there must be one. PH_EINPUT,
 * PH_EUSAGE, PH_ESYSTEM. */
enum ph_code ph__send_envelope_read(struct ph__send_envelope *e, const struct ph__send_options *o,
                                    struct ph_error *err);
/* More recipients: of a list as people write it, which `what` names in messages; of addresses that
 * were parsed already (freed here). */
enum ph_code ph__send_envelope_add(struct ph__send_envelope *e, const char *list, const char *what,
                                   struct ph_error *err);
enum ph_code ph__send_envelope_take(struct ph__send_envelope *e, struct ph_addresses *list,
                                    struct ph_error *err);
/* When the header has been read too: nobody twice, and at least one. PH_EINPUT, PH_ESYSTEM. */
enum ph_code ph__send_envelope_finish(struct ph__send_envelope *e, struct ph_error *err);
/* With what the options ask for, as the library takes it. Borrows. */
struct ph_envelope ph__send_envelope_whole(const struct ph__send_envelope *e,
                                           const struct ph__send_options *o);

#endif
