/* SPDX-License-Identifier: MIT */
/* Sends several messages over one client, as a program does and the command cannot yet: for
 * test_send_peer_many.py. many URL COUNT TIMEOUT_MS no-dup|dup [CA-FILE USER PASSWORD]; prints each
 * message's record on a line. Message i is from the sender to r<i>@test.example. */
#include <posthaste.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MOST 100

struct message {
	char text[128]; /* lent to the source */
	struct ph_source *source;
};

static enum ph_code
submit(struct ph_client *client, unsigned i, bool no_dup, struct message *m, struct ph_error *err)
{
	char to[64];
	const char *recipients[] = { to };
	struct ph_envelope envelope = { PH_ENVELOPE_INIT, .from = "sender@sender.example",
		.recipients = recipients, .recipient_count = 1, .no_dup = no_dup };
	enum ph_code rc;

	snprintf(to, sizeof to, "r%u@test.example", i);
	snprintf(m->text, sizeof m->text, "Subject: message %u\r\n\r\nmessage %u\r\n", i, i);
	if ((rc = ph_source_new_memory(&m->source, m->text, strlen(m->text), NULL)) != PH_OK)
		return rc;
	return ph_client_submit(client, &envelope, m->source, NULL, err);
}

int
main(int argc, char **argv)
{
	struct ph_tls_opts tls = { PH_TLS_OPTS_INIT, .ca_file = argc == 8 ? argv[5] : NULL };
	struct ph_credentials login = { PH_CREDENTIALS_INIT, .user = argc == 8 ? argv[6] : NULL,
		.password = argc == 8 ? argv[7] : NULL };
	struct ph_client_opts opts = { PH_CLIENT_OPTS_INIT, .server = argc > 4 ? argv[1] : NULL,
		.tls = argc == 8 ? &tls : NULL, .credentials = argc == 8 ? &login : NULL,
		.helo = "client.example", .timeout_ms = argc > 4 ? strtoul(argv[3], NULL, 10) : 0 };
	unsigned count = argc > 4 ? (unsigned)strtoul(argv[2], NULL, 10) : 0;
	struct message messages[MOST] = { 0 };
	struct ph_error err = PH_ERROR_INIT;
	struct ph_client *client = NULL;
	enum ph_code rc = ph_client_new(&client, &opts, &err);

	for (unsigned i = 0; i < count && i < MOST && rc == PH_OK; i++)
		rc = submit(client, i, strcmp(argv[4], "no-dup") == 0, &messages[i], &err);
	if (rc != PH_OK)
		fprintf(stderr, "%s\n", err.text);
	while (rc == PH_OK && ph_client_pending(client) != 0) {
		const struct ph_record *record = NULL;
		char *json;

		(void)ph_client_next(client, &record, NULL, &err);
		json = record != NULL ? ph_record_json(record) : NULL;
		puts(json != NULL ? json : "null");
		if (json != NULL)
			ph_record_free_json(record, json);
	}
	if (rc == PH_OK)
		ph_client_leave(client);
	ph_client_free(client);
	for (unsigned i = 0; i < MOST; i++)
		ph_source_free(messages[i].source);
	return rc == PH_OK ? 0 : 1;
}
