/* SPDX-License-Identifier: MIT */
/* Messages sent to whom their own header names. What mail/addressed.c reads of the message becomes an
 * envelope; the rest is a delivery like any other. */
#include "client/private.h"

#include <string.h>
#include <time.h>

#include "mail/addressed.h"

static enum ph_code
read_message(struct ph_client *c, struct ph__addressed *a, struct ph_error *err)
{
	const struct timespec a_while = { 0, 20000000 };
	enum ph_code rc;

	while ((rc = ph__addressed_read(a, err)) == PH_EDEFERRED) {
		/* a callback or pipe that has nothing yet */
		if ((rc = ph__client_cancelled(c, PH_STAGE_PREPARE, err)) != PH_OK)
			break;
		nanosleep(&a_while, NULL);
	}
	return rc;
}

/* What the envelope leaves open, the header says. */
static enum ph_code
complete(struct ph__addressed *a, struct ph_envelope *e, struct ph_error *err)
{
	enum ph_code rc = PH_OK;

	if (e->from == NULL)
		rc = ph__addressed_sender(a, &e->from, err);
	if (rc != PH_OK || e->recipient_count != 0)
		return rc;
	if ((rc = ph__addressed_recipients(a, err)) == PH_OK) {
		e->recipients = a->list;
		e->recipient_count = a->count;
	}
	return rc;
}

enum ph_code
ph_client_send_message(struct ph_client *c, struct ph_source *message,
                       const struct ph_envelope *envelope, const struct ph_record **ret,
                       struct ph_error *err)
{
	struct ph_envelope e = { PH_ENVELOPE_INIT };
	struct ph__addressed a;
	enum ph_code rc;

	if (message == NULL)
		return ph__fail(err, PH_EUSAGE, PH_STAGE_PREPARE, PH_CAUSE_ARGUMENT, "no message");
	if (c->pending != 0)
		return ph__client_uncollected(err);
	if (envelope != NULL)
		memcpy(&e, envelope, envelope->size < sizeof e ? envelope->size : sizeof e);
	e.size = sizeof e;
	ph__addressed_init(&a, message, &c->mem);
	if ((rc = read_message(c, &a, err)) == PH_OK && (rc = complete(&a, &e, err)) == PH_OK)
		rc = ph_client_sendmail(c, &e, a.source, ret, err);
	ph__addressed_done(&a);
	return rc;
}
