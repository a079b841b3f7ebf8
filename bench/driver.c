/* SPDX-License-Identifier: MIT */
/* posthaste as a peer of the benchmark: sends one ready message many times, on the blocking client.
 *
 *	driver HOST PORT none|starttls|implicit CONNECTIONS MESSAGES SIZE FILE [key=value …]
 *
 * A thread a connection. Keys: rcpts=N recipients each, reconnect=1 a connection each message,
 * resume=0|1 TLS session resumption, verify=1 check the certificate against $PH_CAFILE, stream=1
 * read FILE while sending, window=N BDAT transactions unanswered. Prints one line of JSON. */
#include <fcntl.h>
#include <posthaste.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct run {
	char url[300];
	struct ph_tls_opts tls;
	char *file;
	size_t size;
	const char *path;
	const char **recipients;
	size_t recipient_count;
	bool reconnect, stream;
	unsigned window;
	atomic_long left;
	atomic_long ok, errors;
};

static double
seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static struct ph_client *
connect_to(struct run *r)
{
	struct ph_client_opts o = { PH_CLIENT_OPTS_INIT, .server = r->url, .tls = &r->tls,
	                            .helo = "driver.example.org", .window = r->window };
	struct ph_error err = PH_ERROR_INIT;
	struct ph_client *c = NULL;

	if (ph_client_new(&c, &o, &err) != PH_OK)
		fprintf(stderr, "driver: %s\n", err.text);
	return c;
}

static bool
take(struct run *r)
{
	return atomic_fetch_sub_explicit(&r->left, 1, memory_order_relaxed) > 0;
}

static struct ph_source *
open_source(struct run *r, int *fd)
{
	struct ph_source *s = NULL;

	*fd = -1;
	if (!r->stream)
		return ph_source_new_memory(&s, r->file, r->size, NULL) == PH_OK ? s : NULL;
	*fd = open(r->path, O_RDONLY | O_CLOEXEC);
	return ph_source_new_file(&s, *fd, 0, UINT64_MAX, NULL, NULL) == PH_OK ? s : NULL;
}

static void
count(struct run *r, enum ph_code rc, const struct ph_error *err)
{
	if (rc == PH_OK)
		atomic_fetch_add_explicit(&r->ok, 1, memory_order_relaxed);
	else if (atomic_fetch_add(&r->errors, 1) < 3)
		fprintf(stderr, "driver: %s\n", err->text);
}

static void *
send_all(void *user)
{
	struct run *r = user;
	struct ph_envelope e = { PH_ENVELOPE_INIT, .from = "s@example.org",
	                         .recipients = r->recipients, .recipient_count = r->recipient_count };
	struct ph_error err = PH_ERROR_INIT;
	struct ph_client *c = connect_to(r);
	size_t ahead = r->reconnect || r->stream ? 1 : 2 * (size_t)(r->window != 0 ? r->window : 8);
	int fd;
	struct ph_source *source = open_source(r, &fd);

	while (c != NULL && source != NULL) {
		while (ph_client_pending(c) < ahead && take(r))
			if (ph_client_submit(c, &e, source, NULL, &err) != PH_OK)
				count(r, PH_EUSAGE, &err);
		if (ph_client_pending(c) == 0)
			break;
		count(r, ph_client_next(c, NULL, NULL, &err), &err);
		if (r->reconnect)
			ph_client_quit(c, NULL, NULL);
	}
	if (c != NULL)
		ph_client_quit(c, NULL, NULL);
	ph_client_free(c);
	ph_source_free(source);
	if (fd >= 0)
		close(fd);
	return NULL;
}

static bool
load(struct run *r)
{
	FILE *f = fopen(r->path, "rb");
	bool ok = false;

	if (f == NULL || fseek(f, 0, SEEK_END) != 0)
		goto out;
	r->size = (size_t)ftell(f);
	rewind(f);
	r->file = malloc(r->size + 1);
	ok = r->file != NULL && fread(r->file, 1, r->size, f) == r->size;
out:
	if (f != NULL)
		fclose(f);
	return ok;
}

static bool
name_recipients(struct run *r)
{
	r->recipients = calloc(r->recipient_count, sizeof *r->recipients);
	for (size_t i = 0; r->recipients != NULL && i < r->recipient_count; i++) {
		char *name = malloc(40);

		if (name == NULL)
			return false;
		snprintf(name, 40, "r%zu@example.org", i);
		r->recipients[i] = name;
	}
	return r->recipients != NULL;
}

static unsigned long
number(const char *s)
{
	return strtoul(s, NULL, 10);
}

static void
take_key(struct run *r, const char *word)
{
	const char *eq = strchr(word, '=');
	unsigned long n = eq != NULL ? number(eq + 1) : 0;

	if (strncmp(word, "rcpts=", 6) == 0)
		r->recipient_count = n;
	else if (strncmp(word, "reconnect=", 10) == 0)
		r->reconnect = n != 0;
	else if (strncmp(word, "resume=", 7) == 0)
		r->tls.no_resume = n == 0;
	else if (strncmp(word, "verify=", 7) == 0 && n != 0)
		r->tls.insecure = false;
	else if (strncmp(word, "stream=", 7) == 0)
		r->stream = n != 0;
	else if (strncmp(word, "window=", 7) == 0)
		r->window = (unsigned)n;
}

int
main(int argc, char **argv)
{
	static struct run r;
	unsigned long connections;
	pthread_t *threads;
	double began;

	if (argc < 8) {
		fprintf(stderr, "usage: driver HOST PORT none|starttls|implicit CONNECTIONS MESSAGES "
		                "SIZE FILE [key=value ...]\n");
		return 64;
	}
	snprintf(r.url, sizeof r.url, "%s://%s:%s", strcmp(argv[3], "implicit") == 0 ? "smtps" : "smtp",
	         argv[1], argv[2]);
	r.tls = (struct ph_tls_opts){ PH_TLS_OPTS_INIT, .insecure = true, .server_name = "localhost",
	                              .mode = strcmp(argv[3], "none") == 0 ? PH_TLS_OFF
	                                                                   : PH_TLS_DEFAULT };
	connections = number(argv[4]);
	r.left = (long)number(argv[5]);
	r.path = argv[7];
	r.recipient_count = 1;
	for (int i = 8; i < argc; i++)
		take_key(&r, argv[i]);
	if (!r.tls.insecure)
		r.tls.ca_file = getenv("PH_CAFILE");
	if ((!r.stream && !load(&r)) || !name_recipients(&r) || connections == 0 ||
	    (threads = calloc(connections, sizeof *threads)) == NULL) {
		fprintf(stderr, "driver: cannot read %s, or out of memory\n", r.path);
		return 66;
	}
	began = seconds();
	if (connections == 1)
		send_all(&r);
	for (unsigned long i = 0; i < connections && connections > 1; i++)
		if (pthread_create(&threads[i], NULL, send_all, &r) != 0)
			return 71;
	for (unsigned long i = 0; i < connections && connections > 1; i++)
		pthread_join(threads[i], NULL);
	printf("{\"peer\":\"posthaste\",\"ok\":%ld,\"errors\":%ld,\"wall_s\":%.6f}\n", r.ok, r.errors,
	       seconds() - began);
	return r.errors != 0;
}
