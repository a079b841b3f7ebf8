/* SPDX-License-Identifier: MIT */
#ifndef PH_CLI_PROBE_MX_H
#define PH_CLI_PROBE_MX_H
/* The server of a probe that names none: the first MX host of the first recipient's domain, as swaks has
 * it. */
#include "cli/probe_options.h"

/* Sets o->server, a bare host. PH_EUSAGE: there is no recipient either. PH_ENOHOST, PH_EDEFERRED: its
 * domain has none, or the look-up failed. */
enum ph_code ph__probe_find_server(struct ph__probe_options *o, struct ph_error *err);

/* Where the next address of a list ends: at a comma that is not in quotes. */
struct ph_str ph__probe_cut_address(struct ph_str *rest);

#endif
