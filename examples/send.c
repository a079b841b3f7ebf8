/* SPDX-License-Identifier: MIT */
/* Sends the message on standard input: send SERVER FROM TO... */
#include <posthaste.h>
#include <stdio.h>
#include <stdlib.h>

int
main(int argc, char **argv)
{
	struct ph_credentials login = { PH_CREDENTIALS_INIT, .password = getenv("PASSWORD") };
	struct ph_client_opts opts = { PH_CLIENT_OPTS_INIT, .server = argc > 3 ? argv[1] : "",
		.credentials = login.password != NULL ? &login : NULL };
	struct ph_envelope envelope = { PH_ENVELOPE_INIT, .from = argv[2],
		.recipients = (const char *const *)argv + 3, .recipient_count = (size_t)argc - 3 };
	struct ph_error err = PH_ERROR_INIT;
	const struct ph_record *record = NULL;
	struct ph_client *client = NULL;
	struct ph_source *message = NULL;
	enum ph_code rc;

	if ((rc = ph_client_new(&client, &opts, &err)) == PH_OK &&
	    (rc = ph_source_new_pipe(&message, 0, NULL)) == PH_OK)
		rc = ph_client_sendmail(client, &envelope, message, &record, &err);
	for (size_t i = 0; record != NULL && i < ph_record_recipient_count(record); i++) {
		const struct ph_recipient_outcome *to = ph_record_recipient(record, i);

		printf("%s: %s (%u)\n", to->address, ph_outcome_name(to->outcome), to->reply.code);
	}
	if (rc != PH_OK)
		fprintf(stderr, "%s\n%s\n", err.text, err.hint);
	else
		ph_client_quit(client, NULL, NULL);
	ph_source_free(message);
	ph_client_free(client);
	return ph_code_exit_status(rc);
}
