/* SPDX-License-Identifier: MIT */
/* Many messages through one client, as a program sends them: all are submitted, then each record is
 * printed as a line of JSON in the order of submission. The transcript goes to standard error.
 *
 *	sequence URL [KEY=VALUE ...]
 *
 * Keys: ca, user, password-file, window, proxy-header; xclient and xforward have NAME=VALUE as their
 * value and may come several times.
 *
 * Standard input has a line for each message: sender, file, recipients; between them spaces. A file
 * with < before its name is read as a pipe is: nothing is known of it beforehand. */
#include <fcntl.h>
#include <posthaste.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MESSAGES_MAX = 1000, RECIPIENTS_MAX = 100, ATTRIBUTES_MAX = 8, AHEAD = 32 };

struct message {
	char             *line;
	const char       *from;
	const char       *recipients[RECIPIENTS_MAX];
	size_t            recipient_count;
	char             *octets;
	int               fd; /* of a pipe */
	struct ph_source *source;
};

static void
give_up(const char *what)
{
	fprintf(stderr, "sequence: %s\n", what);
	exit(70);
}

static char *
read_file(const char *path, size_t *len)
{
	FILE *f = fopen(path, "rb");
	char *octets = malloc(1);
	size_t n;

	if (f == NULL || octets == NULL)
		give_up(path);
	for (*len = 0; (octets = realloc(octets, *len + 65537)) != NULL; *len += n)
		if ((n = fread(octets + *len, 1, 65536, f)) == 0)
			break;
	if (octets == NULL)
		give_up("out of memory");
	octets[*len] = '\0';
	fclose(f);
	return octets;
}

static enum ph_code
open_source(struct message *m, const char *path)
{
	size_t len;

	m->fd = -1;
	if (*path == '<') {
		if ((m->fd = open(path + 1, O_RDONLY | O_CLOEXEC)) < 0)
			give_up(path);
		return ph_source_new_pipe(&m->source, m->fd, NULL);
	}
	m->octets = read_file(path, &len);
	return ph_source_new_memory(&m->source, m->octets, len, NULL);
}

static void
take_line(struct message *m, const char *line)
{
	char *rest;

	if ((m->line = strdup(line)) == NULL)
		give_up("out of memory");
	m->from = strtok_r(m->line, " \n", &rest);
	if (open_source(m, strtok_r(NULL, " \n", &rest)) != PH_OK)
		give_up("out of memory");
	while (m->recipient_count < RECIPIENTS_MAX &&
	       (m->recipients[m->recipient_count] = strtok_r(NULL, " \n", &rest)) != NULL)
		m->recipient_count++;
}

static void
submit(struct ph_client *c, struct message *m)
{
	struct ph_error err = PH_ERROR_INIT;
	struct ph_envelope e = { PH_ENVELOPE_INIT, .from = strcmp(m->from, "<>") == 0 ? "" : m->from,
		.recipients = m->recipients, .recipient_count = m->recipient_count };

	if (ph_client_submit(c, &e, m->source, m, &err) != PH_OK)
		give_up(err.text);
}

static void
print_next(struct ph_client *c)
{
	const struct ph_record *record = NULL;
	char *json;

	ph_client_next(c, &record, NULL, NULL);
	if (record == NULL || (json = ph_record_json(record)) == NULL)
		give_up("no record");
	puts(json);
	ph_record_free_json(record, json);
}

struct options {
	struct ph_transcript  transcript;
	struct ph_tls_opts    tls;
	struct ph_credentials login;
	struct ph_client_opts client;
	char                 *password;
	const char           *xclient[ATTRIBUTES_MAX + 1], *xforward[ATTRIBUTES_MAX + 1];
};

static char *
read_line_of(const char *path)
{
	size_t len;
	char *line = read_file(path, &len);

	line[strcspn(line, "\n")] = '\0';
	return line;
}

static void
append(const char **list, const char *value)
{
	size_t n = 0;

	while (list[n] != NULL)
		n++;
	if (n == ATTRIBUTES_MAX)
		give_up(value);
	list[n] = value;
}

static void
take_option(struct options *o, char *word)
{
	char *value = strchr(word, '=');

	if (value == NULL)
		give_up(word);
	*value++ = '\0';
	if (strcmp(word, "ca") == 0) {
		o->tls.ca_file = value;
		o->client.tls = &o->tls;
	} else if (strcmp(word, "user") == 0) {
		o->login.user = value;
		o->client.credentials = &o->login;
	} else if (strcmp(word, "password-file") == 0) {
		o->login.password = o->password = read_line_of(value);
	} else if (strcmp(word, "window") == 0) {
		o->client.window = (unsigned)atol(value);
	} else if (strcmp(word, "proxy-header") == 0) {
		o->client.proxy_header = value;
	} else if (strcmp(word, "xclient") == 0) {
		append(o->xclient, value);
	} else if (strcmp(word, "xforward") == 0) {
		append(o->xforward, value);
	} else {
		give_up(word);
	}
}

static struct ph_client *
make_client(struct options *o)
{
	struct ph_error err = PH_ERROR_INIT;
	struct ph_client *c = NULL;

	o->transcript.file = stderr;
	o->client.transcript = ph_transcript_print;
	o->client.transcript_user = &o->transcript;
	if (ph_client_new(&c, &o->client, &err) != PH_OK)
		give_up(err.text);
	/* Behind XCLIENT the server greets anew, and offers what it offers to the client spoken for. */
	if ((o->xclient[0] != NULL || o->xforward[0] != NULL) &&
	    (ph_client_open(c, &err) != PH_OK ||
	     (o->xclient[0] != NULL && (ph_client_xclient(c, o->xclient, NULL, &err) != PH_OK ||
	                                ph_client_ehlo(c, NULL, NULL, &err) != PH_OK)) ||
	     (o->xforward[0] != NULL && ph_client_xforward(c, o->xforward, NULL, &err) != PH_OK)))
		give_up(err.text);
	return c;
}

int
main(int argc, char **argv)
{
	static struct message messages[MESSAGES_MAX];
	struct options o = {
		.transcript = { PH_TRANSCRIPT_INIT }, .tls = { PH_TLS_OPTS_INIT },
		.login = { PH_CREDENTIALS_INIT }, .client = { PH_CLIENT_OPTS_INIT, .server = argv[1] },
	};
	char line[8192];
	size_t count = 0, submitted = 0;
	struct ph_client *c;

	if (argc < 2)
		give_up("usage: sequence URL [KEY=VALUE ...]");
	for (int i = 2; i < argc; i++)
		take_option(&o, argv[i]);
	while (count < MESSAGES_MAX && fgets(line, sizeof line, stdin) != NULL)
		take_line(&messages[count++], line);
	c = make_client(&o);
	for (size_t done = 0; done < count; done++) {
		while (submitted < count && ph_client_pending(c) < AHEAD)
			submit(c, &messages[submitted++]);
		print_next(c);
	}
	ph_client_quit(c, NULL, NULL);
	ph_client_free(c);
	for (size_t i = 0; i < count; i++) {
		ph_source_free(messages[i].source);
		if (messages[i].fd >= 0)
			close(messages[i].fd);
		free(messages[i].octets);
		free(messages[i].line);
	}
	free(o.password);
	return 0;
}
