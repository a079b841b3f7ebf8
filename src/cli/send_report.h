/* SPDX-License-Identifier: MIT */
#ifndef PH_CLI_SEND_REPORT_H
#define PH_CLI_SEND_REPORT_H
/* What `posthaste send` says at the end: problems on standard error, the record on standard output.
 * Each returns the exit status. */
#include <posthaste/error.h>
#include <posthaste/record.h>
#include "cli/send_envelope.h"
#include "cli/send_message.h"
#include "cli/send_options.h"

int ph__send_report_record(const struct ph__send_options *o, const struct ph_record *record);

/* Of what failed before there was a record. The envelope may be unfinished. */
int ph__send_report_failure(const struct ph__send_options *o, const struct ph__send_envelope *e,
                            const struct ph_error *err);

/* For --dry-run. With --direct the client looks the servers up. */
int ph__send_report_plan(const struct ph__send_options *o, const struct ph__send_envelope *e,
                         const struct ph__send_message *m, struct ph_client *client);

#endif
