/* SPDX-License-Identifier: MIT */
#ifndef PH_CLI_SEND_DIRECT_H
#define PH_CLI_SEND_DIRECT_H
/* `--direct` and what goes with it: from options to struct ph_direct_opts. */
#include <limits.h>
#include <posthaste/route.h>
#include "cli/link_options.h"

struct ph__send_direct {
	/* as given */
	bool wanted;
	struct ph__option_number mx_port;
	int dane;       /* enum ph_dane */
	int no_mta_sts;
	const char *dns, *trust_anchor;
	/* as understood */
	struct ph_direct_opts opts;
	char cache[PATH_MAX];  /* folder of MTA-STS policies; "": none */
	char problem[PATH_MAX + 100]; /* why there is none; "": nobody wants one, or there is */
};

extern const struct ph__option_choice ph__send_dane_modes[], ph__send_mta_sts_modes[];

/* Refuses what contradicts itself, and what is only for --direct without it. Pure. PH_EUSAGE. */
enum ph_code ph__send_direct_check(const struct ph__send_direct *d,
                                   const struct ph__link_options *link, struct ph_error *err);
/* Fills opts; makes the folder of MTA-STS policies, if it can: without one, mail goes out all the same. */
void ph__send_direct_settle(struct ph__send_direct *d);

/* What stands behind the @ of an address; NULL: nothing does. */
const char *ph__domain_of(const char *address);
/* Whether EHLO says an address, because this computer has no full name and none was given. */
bool ph__send_direct_is_nameless(const struct ph__link_options *link);

#endif
