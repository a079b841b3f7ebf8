/* SPDX-License-Identifier: MIT */
/* Sends the message on standard input straight to the recipients' own servers: direct FROM TO... */
#include <posthaste.h>
#include <stdio.h>

int
main(int argc, char **argv)
{
	struct ph_direct_opts direct = { PH_DIRECT_OPTS_INIT };
	struct ph_client_opts opts = { PH_CLIENT_OPTS_INIT, .direct = &direct };
	struct ph_envelope envelope = { PH_ENVELOPE_INIT, .from = argc > 2 ? argv[1] : "",
		.recipients = (const char *const *)argv + 2, .recipient_count = argc > 2 ? (size_t)argc - 2 : 0 };
	struct ph_error err = PH_ERROR_INIT;
	const struct ph_record *record = NULL;
	struct ph_client *client = NULL;
	struct ph_source *message = NULL;
	enum ph_code rc;

	/* a file: read again for each server; a pipe could be read for one only */
	if ((rc = ph_client_new(&client, &opts, &err)) == PH_OK &&
	    (rc = ph_source_new_file(&message, 0, 0, UINT64_MAX, NULL, &err)) == PH_OK)
		rc = ph_client_sendmail(client, &envelope, message, &record, &err);
	for (size_t i = 0; record != NULL && i < ph_record_recipient_count(record); i++) {
		const struct ph_recipient_outcome *to = ph_record_recipient(record, i);
		const char *host = ph_record_host(record, to->session);
		const struct ph_error *why = ph_record_recipient_error(record, i);

		printf("%s: %s by %s at %s: %s\n", to->address, ph_outcome_name(to->outcome),
		       host != NULL ? host : "us", ph_stage_name(to->stage),
		       to->reply.code != 0 ? to->reply.text : why != NULL ? why->text : "");
	}
	if (rc != PH_OK)
		fprintf(stderr, "%s\n%s\n", err.text, err.hint);
	ph_source_free(message);
	ph_client_free(client);
	return ph_code_exit_status(rc);
}
