/* SPDX-License-Identifier: MIT */
#ifndef PH_CLI_PROBE_FLOW_H
#define PH_CLI_PROBE_FLOW_H
/* One dialogue from connecting to the end, stage by stage, over the client's functions by hand. */
#include "cli/probe_capabilities.h"
#include "cli/probe_log.h"
#include "cli/probe_options.h"
#include "cli/probe_raw.h"
#include "cli/probe_tls.h"

struct ph__probe {
	const struct ph__probe_options *o;
	struct ph_client *client;
	struct ph__log log;
	/* the envelope and the message */
	const char  *from;
	const char **recipients;
	size_t       recipient_count;
	struct ph_str message;

	/* what came of it */
	int  status;                     /* 0, or swaks' */
	enum ph__probe_stage reached;    /* the last one that was begun */
	enum ph__probe_stage asked;      /* of the last reply that was asked for; QUIT's does not count */
	struct ph_reply last;            /* ... code and enhanced code of it */
	struct ph_error refusal;         /* ... what it means, if it is one; else code PH_OK */
	bool by_reply;                   /* the status is that of a refusal */
	bool in_flight;                  /* MAIL, RCPT and DATA went together */
	size_t taken;                    /* recipients */
	struct ph_error error;           /* code PH_OK: nothing but replies */
	uint64_t took_us[PH__PROBE_STAGES]; /* 0: nothing was done there */
	uint64_t total_us;
	struct ph__capabilities capabilities;
	struct ph__tls_report tls;
	struct ph__raw_result raw;
};

/* Runs it, whole, with the client, options, envelope and message that p has; the rest of p is filled.
 * Returns p->status, with --expect taken into account. May be called again for another run. */
int ph__probe_run(struct ph__probe *p);

#endif
