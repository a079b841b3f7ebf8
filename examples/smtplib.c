/* SPDX-License-Identifier: MIT */
/* What one does with Python's smtplib, done in C: the programs of docs/smtplib.md.
 * usage: smtplib TASK SERVER, for instance: smtplib send_one smtp://localhost */
#include <posthaste.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

static const char text[] = "From: Ann <ann@example.org>\nTo: bob@example.net\n"
                           "Subject: lunch\n\nAt noon?\n";

static enum ph_code
send_one(const char *server, struct ph_error *err)
{
	static const char *const to[] = { "bob@example.net" };
	struct ph_client_opts opts = { PH_CLIENT_OPTS_INIT, .server = server };
	struct ph_envelope envelope = { PH_ENVELOPE_INIT, .from = "ann@example.org",
	                                .recipients = to, .recipient_count = 1 };
	struct ph_client *c = NULL;
	struct ph_source *message = NULL;
	enum ph_code rc;

	if ((rc = ph_client_new(&c, &opts, err)) == PH_OK &&
	    (rc = ph_source_new_memory(&message, text, strlen(text), NULL)) == PH_OK &&
	    (rc = ph_client_sendmail(c, &envelope, message, NULL, err)) == PH_OK)
		ph_client_quit(c, NULL, NULL);
	ph_source_free(message);
	ph_client_free(c);
	return rc;
}

static enum ph_code
log_in(const char *server, struct ph_error *err)
{
	struct ph_credentials ann = { PH_CREDENTIALS_INIT, .user = "ann",
	                              .password = getenv("PASSWORD") };
	struct ph_client_opts opts = { PH_CLIENT_OPTS_INIT, .server = server, .credentials = &ann };
	struct ph_client *c = NULL;
	enum ph_code rc;

	if ((rc = ph_client_new(&c, &opts, err)) == PH_OK &&
	    (rc = ph_client_open(c, err)) == PH_OK) /* EHLO, STARTTLS, EHLO, AUTH */
		ph_client_quit(c, NULL, NULL);
	ph_client_free(c);
	return rc;
}

static enum ph_code
log_in_by_hand(const char *server, struct ph_error *err)
{
	struct ph_credentials ann = { PH_CREDENTIALS_INIT, .user = "ann",
	                              .password = getenv("PASSWORD") };
	struct ph_client_opts opts = { PH_CLIENT_OPTS_INIT, .server = server };
	struct ph_client *c = NULL;
	enum ph_code rc;

	if ((rc = ph_client_new(&c, &opts, err)) == PH_OK &&
	    (rc = ph_client_connect(c, NULL, err)) == PH_OK &&
	    (rc = ph_client_ehlo(c, NULL, NULL, err)) == PH_OK &&
	    (rc = ph_client_starttls(c, NULL, err)) == PH_OK &&
	    (rc = ph_client_ehlo(c, NULL, NULL, err)) == PH_OK &&
	    (rc = ph_client_login(c, &ann, NULL, err)) == PH_OK)
		ph_client_quit(c, NULL, NULL);
	ph_client_free(c);
	return rc;
}

static enum ph_code
with_tls_from_the_start(const char *server, struct ph_error *err)
{
	struct ph_tls_opts tls = { PH_TLS_OPTS_INIT, .ca_file = getenv("CA_FILE"),
	                           .min_version = PH_TLS_1_3 };
	struct ph_client_opts opts = { PH_CLIENT_OPTS_INIT, .server = server, .tls = &tls };
	struct ph_client *c = NULL;
	enum ph_code rc;

	if ((rc = ph_client_new(&c, &opts, err)) == PH_OK &&
	    (rc = ph_client_connect(c, NULL, err)) == PH_OK) {
		const struct ph_tls_facts *facts = ph_client_tls_facts(c);

		printf("%s\n", facts != NULL ? facts->version : "in clear");
		ph_client_quit(c, NULL, NULL);
	}
	ph_client_free(c);
	return rc;
}

static enum ph_code
who_was_refused(const char *server, struct ph_error *err)
{
	static const char *const to[] = { "bob@example.net", "nobody@example.net" };
	struct ph_client_opts opts = { PH_CLIENT_OPTS_INIT, .server = server };
	struct ph_envelope envelope = { PH_ENVELOPE_INIT, .from = "ann@example.org",
	                                .recipients = to, .recipient_count = 2 };
	const struct ph_record *record = NULL;
	struct ph_client *c = NULL;
	struct ph_source *message = NULL;
	enum ph_code rc;

	if ((rc = ph_client_new(&c, &opts, err)) == PH_OK &&
	    (rc = ph_source_new_memory(&message, text, strlen(text), NULL)) == PH_OK)
		rc = ph_client_sendmail(c, &envelope, message, &record, err);
	for (size_t i = 0; record != NULL && i < ph_record_recipient_count(record); i++) {
		const struct ph_recipient_outcome *r = ph_record_recipient(record, i);

		if (r->outcome != PH_ACCEPTED)
			printf("%s: %s: %u %s\n", r->address, ph_outcome_name(r->outcome), r->reply.code,
			       r->reply.code != 0 ? r->reply.text : "");
	}
	ph_source_free(message);
	ph_client_free(c);
	return rc;
}

static enum ph_code
send_message(const char *server, struct ph_error *err)
{
	static const char finished[] = "From: Ann <ann@example.org>\nTo: Bob <bob@example.net>\n"
	                               "Bcc: eve@example.net\nSubject: lunch\n\nAt noon?\n";
	struct ph_client_opts opts = { PH_CLIENT_OPTS_INIT, .server = server };
	struct ph_client *c = NULL;
	struct ph_source *message = NULL;
	enum ph_code rc;

	if ((rc = ph_client_new(&c, &opts, err)) == PH_OK &&
	    (rc = ph_source_new_memory(&message, finished, strlen(finished), NULL)) == PH_OK &&
	    (rc = ph_client_send_message(c, message, NULL, NULL, err)) == PH_OK)
		ph_client_quit(c, NULL, NULL);
	ph_source_free(message);
	ph_client_free(c);
	return rc;
}

static enum ph_code
compose(char **ret, size_t *ret_len, struct ph_message **ret_message, struct ph_error *err)
{
	struct ph_message *m = NULL;
	unsigned char seed[16];
	enum ph_code rc;

	if (getrandom(seed, sizeof seed, 0) != sizeof seed)
		return PH_ESYSTEM;
	if ((rc = ph_message_new(&m, NULL)) != PH_OK)
		return rc;
	*ret_message = m; /* *ret is freed by ph_message_free_text(m, …) */
	ph_message_set_date(m, time(NULL), 0);
	if ((rc = ph_message_set_id_seed(m, seed, sizeof seed, err)) == PH_OK &&
	    (rc = ph_message_set_from(m, "Ann <ann@example.org>", err)) == PH_OK &&
	    (rc = ph_message_add_to(m, "Jürgen <bob@example.net>", err)) == PH_OK &&
	    (rc = ph_message_set_subject(m, "Größe", err)) == PH_OK &&
	    (rc = ph_message_set_text(m, "At noon?\n", 9, err)) == PH_OK)
		rc = ph_message_write(m, ret, ret_len, err);
	return rc;
}

static enum ph_code
send_composed(const char *server, struct ph_error *err)
{
	struct ph_client_opts opts = { PH_CLIENT_OPTS_INIT, .server = server };
	struct ph_client *c = NULL;
	struct ph_message *m = NULL;
	struct ph_source *message = NULL;
	char *composed = NULL;
	size_t len = 0;
	enum ph_code rc;

	if ((rc = compose(&composed, &len, &m, err)) == PH_OK &&
	    (rc = ph_client_new(&c, &opts, err)) == PH_OK &&
	    (rc = ph_source_new_memory(&message, composed, len, NULL)) == PH_OK)
		rc = ph_client_send_message(c, message, NULL, NULL, err);
	ph_source_free(message);
	ph_client_free(c);
	if (m != NULL)
		ph_message_free_text(m, composed);
	ph_message_free(m);
	return rc;
}

static enum ph_code
by_hand(const char *server, struct ph_error *err)
{
	static const char *const to[] = { "bob@example.net", "nobody@example.net" };
	struct ph_client_opts opts = { PH_CLIENT_OPTS_INIT, .server = server };
	const struct ph_reply *reply = NULL;
	struct ph_client *c = NULL;
	struct ph_source *message = NULL;
	size_t accepted = 0;
	enum ph_code rc;

	if ((rc = ph_client_new(&c, &opts, err)) != PH_OK ||
	    (rc = ph_source_new_memory(&message, text, strlen(text), NULL)) != PH_OK ||
	    (rc = ph_client_connect(c, NULL, err)) != PH_OK ||
	    (rc = ph_client_mail(c, "ann@example.org", NULL, NULL, err)) != PH_OK)
		goto out;
	for (size_t i = 0; i < 2; i++) {
		rc = ph_client_rcpt(c, to[i], NULL, &reply, err);
		accepted += rc == PH_OK;
		if (rc == PH_EREFUSED || rc == PH_EDEFERRED)
			printf("%s: %s\n", to[i], err->text);
	}
	if (accepted != 0 && ph_client_is_connected(c) &&
	    (rc = ph_client_data(c, message, PH_LINE_ENDS_NORMALISE, &reply, err)) == PH_OK)
		printf("taken: %u %s\n", reply->code, reply->text);
	ph_client_quit(c, NULL, NULL);
out:
	ph_source_free(message);
	ph_client_free(c);
	return rc;
}

static enum ph_code
raw_commands(const char *server, struct ph_error *err)
{
	struct ph_client_opts opts = { PH_CLIENT_OPTS_INIT, .server = server };
	struct ph_client *c = NULL;
	char path[PH_PATH_SIZE], from[PH_PATH_SIZE + 5], to[PH_PATH_SIZE + 3], *stuffed = NULL;
	size_t len;
	enum ph_code rc;

	if ((rc = ph_address_to_path(path, sizeof path, "Ann <ann@example.org>", err)) != PH_OK)
		return rc;
	snprintf(from, sizeof from, "FROM:%s", path);
	if ((rc = ph_address_to_path(path, sizeof path, "bob@example.net", err)) != PH_OK)
		return rc;
	snprintf(to, sizeof to, "TO:%s", path);
	if ((rc = ph_dot_stuff(&stuffed, &len, text, strlen(text), PH_LINE_ENDS_NORMALISE, NULL,
	                       err)) == PH_OK &&
	    (rc = ph_client_new(&c, &opts, err)) == PH_OK &&
	    (rc = ph_client_connect(c, NULL, err)) == PH_OK &&
	    (rc = ph_client_docmd(c, "EHLO", "client.example.org", NULL, err)) == PH_OK &&
	    (rc = ph_client_docmd(c, "MAIL", from, NULL, err)) == PH_OK &&
	    (rc = ph_client_docmd(c, "RCPT", to, NULL, err)) == PH_OK &&
	    (rc = ph_client_docmd(c, "DATA", NULL, NULL, err)) == PH_OK &&
	    (rc = ph_client_send(c, stuffed, len, err)) == PH_OK &&
	    (rc = ph_client_send(c, ".\r\n", 3, err)) == PH_OK &&
	    (rc = ph_client_getreply(c, NULL, err)) == PH_OK)
		ph_client_quit(c, NULL, NULL);
	ph_client_free(c);
	free(stuffed);
	return rc;
}

static enum ph_code
verify(const char *server, struct ph_error *err)
{
	struct ph_client_opts opts = { PH_CLIENT_OPTS_INIT, .server = server };
	const struct ph_reply *reply = NULL;
	struct ph_client *c = NULL;
	enum ph_code rc;

	if ((rc = ph_client_new(&c, &opts, err)) == PH_OK &&
	    (rc = ph_client_connect(c, NULL, err)) == PH_OK &&
	    (rc = ph_client_ehlo_or_helo_if_needed(c, err)) == PH_OK) {
		rc = ph_client_vrfy(c, "bob@example.net", &reply, err);
		if (reply != NULL) /* 250, 251, 252 "cannot say", 550 … */
			printf("%u %s\n", reply->code, reply->text);
		ph_client_quit(c, NULL, NULL);
	}
	ph_client_free(c);
	return rc;
}

static enum ph_code
lmtp(const char *server, struct ph_error *err)
{
	static const char *const to[] = { "bob", "carol" };
	struct ph_client_opts opts = { PH_CLIENT_OPTS_INIT, .server = server };
	struct ph_envelope envelope = { PH_ENVELOPE_INIT, .from = "ann@example.org",
	                                .recipients = to, .recipient_count = 2 };
	const struct ph_record *record = NULL;
	struct ph_client *c = NULL;
	struct ph_source *message = NULL;
	enum ph_code rc;

	if ((rc = ph_client_new(&c, &opts, err)) == PH_OK &&
	    (rc = ph_source_new_memory(&message, text, strlen(text), NULL)) == PH_OK)
		rc = ph_client_sendmail(c, &envelope, message, &record, err);
	for (size_t i = 0; record != NULL && i < ph_record_recipient_count(record); i++)
		printf("%s: %s\n", to[i], ph_outcome_name(ph_record_recipient(record, i)->outcome));
	ph_source_free(message);
	ph_client_free(c);
	return rc;
}

static enum ph_code
see_the_dialogue(const char *server, struct ph_error *err)
{
	struct ph_client_opts opts = { PH_CLIENT_OPTS_INIT, .server = server,
	                               .transcript = ph_transcript_print };
	struct ph_client *c = NULL;
	enum ph_code rc;

	if ((rc = ph_client_new(&c, &opts, err)) == PH_OK &&
	    (rc = ph_client_open(c, err)) == PH_OK)
		ph_client_quit(c, NULL, NULL);
	ph_client_free(c);
	return rc;
}

static enum ph_code
many_messages(const char *server, struct ph_error *err)
{
	static const char *const to[] = { "bob@example.net", "carol@example.net", "dan@example.net" };
	struct ph_client_opts opts = { PH_CLIENT_OPTS_INIT, .server = server };
	struct ph_client *c = NULL;
	struct ph_source *message = NULL;
	enum ph_code rc;

	if ((rc = ph_client_new(&c, &opts, err)) == PH_OK)
		rc = ph_source_new_memory(&message, text, strlen(text), NULL);
	for (size_t i = 0; rc == PH_OK && i < 3; i++) {
		struct ph_envelope envelope = { PH_ENVELOPE_INIT, .from = "ann@example.org",
		                                .recipients = &to[i], .recipient_count = 1 };

		rc = ph_client_sendmail(c, &envelope, message, NULL, err); /* one connection for all */
	}
	if (c != NULL)
		ph_client_leave(c);
	ph_source_free(message);
	ph_client_free(c);
	return rc;
}

#define TASK(f) { #f, f }
static const struct task {
	const char *name;
	enum ph_code (*run)(const char *server, struct ph_error *err);
} tasks[] = {
	TASK(send_one), TASK(log_in), TASK(log_in_by_hand), TASK(with_tls_from_the_start),
	TASK(who_was_refused), TASK(send_message), TASK(send_composed), TASK(by_hand), TASK(raw_commands),
	TASK(verify), TASK(lmtp), TASK(see_the_dialogue), TASK(many_messages),
};

int
main(int argc, char **argv)
{
	struct ph_error err = PH_ERROR_INIT;
	enum ph_code rc;

	for (size_t i = 0; argc == 3 && i < sizeof tasks / sizeof *tasks; i++) {
		if (strcmp(argv[1], tasks[i].name) != 0)
			continue;
		if ((rc = tasks[i].run(argv[2], &err)) != PH_OK)
			fprintf(stderr, "%s\n%s\n", err.text[0] != '\0' ? err.text : ph_code_text(rc), err.hint);
		return ph_code_exit_status(rc);
	}
	fprintf(stderr, "usage: smtplib TASK SERVER\ntasks:");
	for (size_t i = 0; i < sizeof tasks / sizeof *tasks; i++)
		fprintf(stderr, " %s", tasks[i].name);
	fputc('\n', stderr);
	return 64;
}
