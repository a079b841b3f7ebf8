/* SPDX-License-Identifier: MIT */
/* `posthaste sink`: start, serve, end. See sink.h.
 *
 * One thread, one libuv loop. The end comes in two steps: listeners close and clients are told 421
 * (or, after the last of --messages, may finish what they are saying); when the last has gone, or
 * after a moment, the loop runs dry and everything is freed. A second signal skips the moment.
 *
 * Ready means: every address is bound, the CA file is written. Only then is the ready file
 * there. */
#include "sink/sink.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "sink/cert.h"
#include "sink/private.h"

#define PEM_MAX  (1024 * 1024)
#define SWEEP_MS 250

static const char *
protocol_name(enum ph__sink_protocol p)
{
	return p == PH__SINK_SMTP ? "smtp" : p == PH__SINK_SMTPS ? "smtps" : "lmtp";
}

static enum ph_code
choose_extensions(struct ph__sink *s, struct ph_error *err)
{
	struct ph_str rest = ph__str(s->o->without);

	s->extensions = PH__SERVER_EXT_ALL;
	while (rest.len != 0) {
		const char *comma = memchr(rest.ptr, ',', rest.len);
		struct ph_str word = { rest.ptr, comma != NULL ? (size_t)(comma - rest.ptr)
			                                       : rest.len };
		uint32_t bit = ph__server_ext_by_name(word);

		if (bit == 0) {
			ph__fail(err, PH_EUSAGE, PH_STAGE_PREPARE, PH_CAUSE_ARGUMENT,
			         "--no: \"%.*s\" is no extension of this server", (int)word.len, word.ptr);
			ph__hint(err, "posthaste sink --help lists them");
			return PH_EUSAGE;
		}
		s->extensions &= ~bit;
		rest.ptr += word.len + (comma != NULL);
		rest.len -= word.len + (comma != NULL);
	}
	if (!s->o->xclient)
		s->extensions &= ~(uint32_t)PH__SERVER_EXT_XCLIENT;
	if (!s->o->xforward)
		s->extensions &= ~(uint32_t)PH__SERVER_EXT_XFORWARD;
	if (s->users.count + s->tokens.count == 0)
		s->extensions &= ~(uint32_t)PH__SERVER_EXT_AUTH;
	if (s->o->require_auth && !(s->extensions & PH__SERVER_EXT_AUTH))
		return ph__fail(err, PH_EUSAGE, PH_STAGE_PREPARE, PH_CAUSE_ARGUMENT,
		                "--require-auth: AUTH is off, or there are no users (--user, --users, --token-file)");
	return PH_OK;
}

/* ---- TLS */

static enum ph_code
load_given(struct ph__sink *s, struct ph__buf *chain, struct ph__buf *key, struct ph_error *err)
{
	const char *key_file = s->o->key_file != NULL ? s->o->key_file : s->o->cert_file;
	enum ph_code rc = ph__sink_read_file(s->o->cert_file, chain, err);

	return rc < 0 ? rc : ph__sink_read_file(key_file, key, err);
}

static enum ph_code
use_certificate(struct ph__sink *s, enum ph__cert_fault fault, struct ph__cert_ca *ca,
                struct ph_error *err)
{
	struct ph__buf chain, key;
	enum ph_code rc;

	ph__buf_init(&chain, s->mem, PEM_MAX);
	ph__buf_init(&key, s->mem, PEM_MAX);
	key.secret = true;
	rc = ca == NULL ? load_given(s, &chain, &key, err)
	                : ph__cert_make(ca, fault, s->o->cert_names, s->o->cert_name_count, &chain, &key,
	                                err);
	if (rc == PH_OK)
		rc = ph__tls_server_new(&s->tls[fault], &(struct ph__tls_server_opts){
			.chain = ph__buf_str(&chain), .key = ph__buf_str(&key),
			.min_version = s->o->tls_min }, s->mem, err);
	if (rc == PH_ECONFIG && ca == NULL)
		ph__hint(err, "%s holds a certificate, then its chain, in PEM; its key stands there or in "
		              "--key FILE, without a pass phrase", s->o->cert_file);
	ph__buf_done(&chain);
	ph__buf_done(&key);
	return rc;
}

static bool
wants_certificate(const struct ph__sink *s, unsigned fault)
{
	for (size_t i = 0; i < s->rules.count; i++)
		if (s->rules.rows[i].cert == fault && fault != PH__CERT_GOOD)
			return true;
	return fault == PH__CERT_GOOD;
}

static enum ph_code
write_ca(const struct ph__sink *s, const struct ph__cert_ca *ca, struct ph_error *err)
{
	struct ph__buf pem;
	enum ph_code rc;

	if (s->o->ca_out == NULL)
		return PH_OK;
	ph__buf_init(&pem, s->mem, PEM_MAX);
	if ((rc = ph__cert_ca_pem(ca, &pem, err)) == PH_OK)
		rc = ph__sink_write_file(s->o->ca_out, ph__buf_str(&pem), err);
	ph__buf_done(&pem);
	return rc;
}

static enum ph_code
set_up_given_tls(struct ph__sink *s, struct ph_error *err)
{
	if (s->o->ca_out != NULL)
		return ph__fail(err, PH_EUSAGE, PH_STAGE_PREPARE, PH_CAUSE_ARGUMENT,
		                "with a certificate given there is no CA of ours to write");
	for (unsigned i = 1; i < PH__CERT_FAULTS; i++)
		if (wants_certificate(s, i))
			return ph__fail(err, PH_EUSAGE, PH_STAGE_PREPARE, PH_CAUSE_ARGUMENT,
			                "a rule with `badcert` needs certificates made here, not --cert");
	return use_certificate(s, PH__CERT_GOOD, NULL, err);
}

static enum ph_code
set_up_tls(struct ph__sink *s, struct ph_error *err)
{
	struct ph__cert_ca *ca = NULL;
	enum ph_code rc;

	if (s->o->cert_file != NULL)
		return set_up_given_tls(s, err);
	rc = ph__cert_ca_new(&ca, err);
	for (unsigned i = 0; i < PH__CERT_FAULTS && rc == PH_OK; i++)
		if (wants_certificate(s, i))
			rc = use_certificate(s, (enum ph__cert_fault)i, ca, err);
	if (rc == PH_OK)
		rc = write_ca(s, ca, err);
	ph__cert_ca_free(&ca);
	return rc;
}

/* ---- rules */

static enum ph_code
load_rules_file(struct ph__sink *s, struct ph_error *err)
{
	struct ph__buf text;
	enum ph_code rc;

	ph__buf_init(&text, s->mem, PH__SINK_RULES_FILE);
	if ((rc = ph__sink_read_file(s->o->rules_file, &text, err)) == PH_OK)
		rc = ph__rules_add_lines(&s->rules, s->o->rules_file, ph__buf_str(&text), err);
	ph__buf_done(&text);
	return rc;
}

/* A seed that nobody gave is short enough to be typed again. */
static enum ph_code
load_rules(struct ph__sink *s, struct ph_error *err)
{
	uint32_t made;
	enum ph_code rc = PH_OK;

	if (s->o->seed_given) {
		s->rules.seed = s->o->seed;
	} else {
		if (getrandom(&made, sizeof made, 0) != (ssize_t)sizeof made)
			return ph__fail_errno(err, PH_ESYSTEM, PH_STAGE_PREPARE, PH_CAUSE_SYSTEM, errno,
			                      "no chance to be had for a seed");
		s->rules.seed = made;
	}
	for (size_t i = 0; i < s->o->rule_count && rc == PH_OK; i++)
		rc = ph__rules_add(&s->rules, "--rule", ph__str(s->o->rules[i]), err);
	return rc == PH_OK && s->o->rules_file != NULL ? load_rules_file(s, err) : rc;
}

/* So that a rule which never had its turn is seen. */
static void
say_rules(const struct ph__sink *s)
{
	for (size_t i = 0; i < s->rules.count; i++) {
		const struct ph__rule *r = &s->rules.rows[i];

		fprintf(stderr, "posthaste sink: %" PRIu64 " of %" PRIu64 " times: %s\n", r->fired, r->met,
		        r->text);
	}
}

/* ---- listening */

static enum ph_code
listen_everywhere(struct ph__sink *s, struct ph_error *err)
{
	static const struct ph__sink_listen usual = { PH__SINK_SMTP, "127.0.0.1:2525" };
	enum ph_code rc = PH_OK;

	if (s->o->listen_count == 0)
		return ph__sink_listen(s, &usual, err);
	for (size_t i = 0; i < s->o->listen_count && rc == PH_OK; i++)
		rc = ph__sink_listen(s, &s->o->listen[i], err);
	return rc;
}

/* "smtp 127.0.0.1:2525", a line each; "seed N" if there are rules; at last "ca FILE". */
static enum ph_code
say_ready(struct ph__sink *s, struct ph_error *err)
{
	struct ph__buf text;
	enum ph_code rc = PH_OK;

	ph__buf_init(&text, s->mem, 64 * 1024);
	for (size_t i = 0; i < s->listener_count; i++)
		ph__buf_addf(&text, "%s %s\n", protocol_name(s->listeners[i].protocol),
		             s->listeners[i].where);
	if (s->rules.count != 0)
		ph__buf_addf(&text, "seed %" PRIu64 "\n", s->rules.seed);
	if (s->o->ca_out != NULL)
		ph__buf_addf(&text, "ca %s\n", s->o->ca_out);
	if (!ph__buf_ok(&text))
		rc = ph__fail_nomem(err, PH_STAGE_PREPARE);
	else if (s->o->ready_file != NULL)
		rc = ph__sink_write_file(s->o->ready_file, ph__buf_str(&text), err);
	else
		fprintf(stderr, "posthaste sink: ready\n%s", ph__buf_cstr(&text));
	ph__buf_done(&text);
	return rc;
}

/* ---- the end */

static void
close_handle(uv_handle_t *h)
{
	if (!uv_is_closing(h))
		uv_close(h, NULL);
}

void
ph__sink_conn_gone(struct ph__sink *s)
{
	if (!s->stopping || s->conn_count != 0 || s->ended)
		return;
	s->ended = true;
	close_handle((uv_handle_t *)&s->sweep);
	close_handle((uv_handle_t *)&s->sigint);
	close_handle((uv_handle_t *)&s->sigterm);
}

void
ph__sink_stop(struct ph__sink *s, bool now)
{
	if (!s->stopping) {
		s->stopping = true;
		s->stop_at = uv_now(&s->loop) + PH__SINK_MS_LINGER;
		for (size_t i = 0; i < s->listener_count; i++)
			close_handle(&s->listeners[i].h.handle);
	}
	for (struct ph__sink_conn *c = s->conns; now && c != NULL; c = c->next)
		ph__sink_conn_close(c);
	ph__sink_conn_gone(s);
}

static void
on_signal(uv_signal_t *h, int number)
{
	struct ph__sink *s = h->data;
	bool again = s->stopping;

	(void)number;
	ph__sink_stop(s, again);
	for (struct ph__sink_conn *c = s->conns; !again && c != NULL; c = c->next)
		ph__sink_conn_shutdown(c);
}

static void
on_sweep(uv_timer_t *h)
{
	struct ph__sink *s = h->data;

	for (struct ph__sink_conn *c = s->conns; c != NULL; c = c->next)
		ph__sink_conn_tick(c);
	if (!s->stopping || uv_now(&s->loop) < s->stop_at)
		return;
	/* The moment is over: first a word, the next time none. */
	s->stop_at = uv_now(&s->loop) + PH__SINK_MS_LINGER;
	for (struct ph__sink_conn *c = s->conns; c != NULL; c = c->next) {
		if (c->finishing)
			ph__sink_conn_close(c);
		else
			ph__sink_conn_shutdown(c);
	}
}

static enum ph_code
watch(struct ph__sink *s, struct ph_error *err)
{
	int rc;

	if ((rc = uv_signal_start(&s->sigint, on_signal, SIGINT)) < 0 ||
	    (rc = uv_signal_start(&s->sigterm, on_signal, SIGTERM)) < 0 ||
	    (rc = uv_timer_start(&s->sweep, on_sweep, SWEEP_MS, SWEEP_MS)) < 0)
		return ph__fail_errno(err, PH_ESYSTEM, PH_STAGE_PREPARE, PH_CAUSE_SYSTEM, -rc,
		                      "cannot watch for signals");
	return PH_OK;
}

/* ---- all of it */

static enum ph_code
open_records(struct ph__sink *s, struct ph_error *err)
{
	s->json_fd = STDOUT_FILENO;
	ph__buf_init(&s->records, s->mem, PH__SINK_RECORD);
	if (s->o->json_file != NULL &&
	    (s->json_fd = open(s->o->json_file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC,
	                       0644)) < 0)
		return ph__fail_errno(err, PH_ECONFIG, PH_STAGE_PREPARE, PH_CAUSE_SYSTEM, errno,
		                      "cannot write the records to %s", s->o->json_file);
	return PH_OK;
}

static enum ph_code
set_up(struct ph__sink *s, struct ph_error *err)
{
	enum ph_code rc;

	if ((s->in = ph__alloc(s->mem, PH__SINK_READ)) == NULL ||
	    (s->plain = ph__alloc(s->mem, PH__SINK_PLAIN)) == NULL ||
	    (s->sha256 = EVP_MD_fetch(NULL, "SHA256", NULL)) == NULL)
		return ph__fail_nomem(err, PH_STAGE_PREPARE);
	s->future_until = (int64_t)time(NULL) + PH__SINK_FUTURE;
	if ((rc = ph__sink_users_load(&s->users, s->o->users, s->o->user_count, s->o->users_file, s->mem,
	                              err)) < 0 ||
	    (rc = ph__sink_users_load(&s->tokens, NULL, 0, s->o->token_file, s->mem, err)) < 0 ||
	    (rc = ph__sink_sasl_set_up(s, err)) < 0 ||
	    (rc = choose_extensions(s, err)) < 0 || (rc = load_rules(s, err)) < 0 ||
	    (rc = set_up_tls(s, err)) < 0 ||
	    (rc = ph__sink_store_open(&s->store, s->o->maildir, err)) < 0 ||
	    (rc = open_records(s, err)) < 0 || (rc = watch(s, err)) < 0 ||
	    (rc = listen_everywhere(s, err)) < 0)
		return rc;
	return say_ready(s, err);
}

static void
tear_down(struct ph__sink *s)
{
	ph__sink_stop(s, true);
	uv_run(&s->loop, UV_RUN_DEFAULT);
	ph__sink_records_flush(s);
	if (s->json_fd >= 0 && s->json_fd != STDOUT_FILENO)
		close(s->json_fd);
	ph__buf_done(&s->records);
	ph__sink_store_close(&s->store);
	ph__sink_users_done(&s->users);
	ph__sink_users_done(&s->tokens);
	for (unsigned i = 0; i < PH__CERT_FAULTS; i++)
		ph__tls_server_free(&s->tls[i]);
	ph__rules_done(&s->rules);
	EVP_MD_free(s->sha256);
	/* Passwords may have come through these. */
	if (s->in != NULL)
		ph__wipe(s->in, PH__SINK_READ);
	if (s->plain != NULL)
		ph__wipe(s->plain, PH__SINK_PLAIN);
	ph__free(s->mem, s->in);
	ph__free(s->mem, s->plain);
	uv_loop_close(&s->loop);
}

enum ph_code
ph__sink_run(const struct ph__sink_opts *opts, struct ph_error *err)
{
	const struct ph_allocator *mem = &ph__libc_memory;
	struct ph__sink *s = ph__alloc0(mem, sizeof *s);
	enum ph_code rc;

	if (s == NULL)
		return ph__fail_nomem(err, PH_STAGE_PREPARE);
	s->mem = mem;
	s->o = opts;
	s->err = err;
	s->json_fd = -1;
	s->store.fd = -1;
	ph__rules_init(&s->rules, mem, 0);
	s->connections_max = opts->connections_max != 0 ? opts->connections_max
	                                                : PH__SINK_CONNECTIONS;
	if ((rc = uv_loop_init(&s->loop)) < 0) {
		ph__free(mem, s);
		return ph__fail_errno(err, PH_ESYSTEM, PH_STAGE_PREPARE, PH_CAUSE_SYSTEM, -rc,
		                      "no event loop");
	}
	/* Initialised at once, so that closing them is always right. None fails on Unix. */
	uv_timer_init(&s->loop, &s->sweep);
	uv_signal_init(&s->loop, &s->sigint);
	uv_signal_init(&s->loop, &s->sigterm);
	s->sweep.data = s->sigint.data = s->sigterm.data = s;
	/* A client or a reader of our records that has gone away is an error, not a signal. */
	signal(SIGPIPE, SIG_IGN);
	if ((rc = set_up(s, err)) == PH_OK) {
		uv_run(&s->loop, UV_RUN_DEFAULT);
		fprintf(stderr, "posthaste sink: %" PRIu64 " messages, %" PRIu64 " octets, %" PRIu64
		        " connections, %" PRIu64 " transactions broken off\n", s->messages,
		        s->octets, s->connections, s->dropped);
		say_rules(s);
	}
	tear_down(s);
	if (rc == PH_OK)
		rc = s->failure;
	ph__free(mem, s);
	return rc;
}
