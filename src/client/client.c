/* SPDX-License-Identifier: MIT */
/* The blocking client: its life and options. See posthaste/client.h. Options are judged here, once;
 * nothing of the caller's is kept but the transcript's function. */
#include "client/private.h"

#include <string.h>

#include "base/bounds.h"

static enum ph_code
copy_string(struct ph_client *c, char **ret, const char *from, const char *what,
            struct ph_error *err)
{
	if (from == NULL)
		return PH_OK;
	if (*from == '\0' || ph__str_has_control(ph__str(from)) || strchr(from, ' ') != NULL)
		return ph__fail(err, PH_EINPUT, PH_STAGE_PREPARE, PH_CAUSE_ARGUMENT,
		                "the %s is empty, or has a space or a control character in it", what);
	if (strlen(from) > PH__DOMAIN_MAX)
		return ph__fail(err, PH_EINPUT, PH_STAGE_PREPARE, PH_CAUSE_LIMIT,
		                "the %s is over %d octets", what, PH__DOMAIN_MAX);
	if ((*ret = ph__strdup(&c->mem, from)) == NULL)
		return ph__fail_nomem(err, PH_STAGE_PREPARE);
	return PH_OK;
}

/* Makes the TLS context, and remembers what was asked for: the policy only wants to know whether a
 * thing was given, so no pointer of the caller's is kept. */
static enum ph_code
take_tls(struct ph_client *c, struct ph_error *err)
{
	static const char given[] = "";
	struct ph_tls_opts *t = &c->wish_tls;
	const struct ph_tls_opts *from = c->opts.tls;
	enum ph_code rc = PH_OK;

	*t = (struct ph_tls_opts){ PH_TLS_OPTS_INIT };
	if (from != NULL)
		memcpy(t, from, from->size < sizeof *t ? from->size : sizeof *t);
	t->size = sizeof *t;
	if (t->mode != PH_TLS_OFF)
		rc = ph__tls_new(&c->tls, t, c->server.host, &c->mem, err);
	c->client_certificate = t->cert_file != NULL;
	t->server_name = t->server_name != NULL ? given : NULL;
	t->ca_file = t->ca_file != NULL ? given : NULL;
	t->ca_dir = t->ca_dir != NULL ? given : NULL;
	t->cert_file = t->cert_file != NULL ? given : NULL;
	t->key_file = t->key_file != NULL ? given : NULL;
	t->pins = NULL;
	return rc;
}

static enum ph_code
take_credentials(struct ph_client *c, struct ph_error *err)
{
	struct ph_credentials given = { PH_CREDENTIALS_INIT };
	const struct ph_credentials *from = c->opts.credentials;
	enum ph_code rc;

	if (from == NULL && c->server.user == NULL)
		return PH_OK;
	if (from != NULL)
		memcpy(&given, from, from->size < sizeof given ? from->size : sizeof given);
	given.size = sizeof given;
	if (given.user == NULL)
		given.user = c->server.user;
	if (given.password == NULL && !c->client_certificate) {
		ph__fail(err, PH_ECONFIG, PH_STAGE_PREPARE, PH_CAUSE_ARGUMENT,
		         "there is %s, and neither password nor client certificate",
		         given.user != NULL ? "a user to log in" : "a login to do");
		ph__hint(err, "give one with --password-file, --password-fd or --password-command");
		return PH_ECONFIG;
	}
	if ((rc = ph__credentials_copy(&c->credentials, &given, &c->mem, err)) == PH_OK)
		c->has_credentials = true;
	return rc;
}

static enum ph_code
take_options(struct ph_client *c, struct ph_error *err)
{
	const struct ph_client_opts *o = &c->opts;
	enum ph_code rc;

	if (o->family != 0 && o->family != 4 && o->family != 6)
		return ph__fail(err, PH_EUSAGE, PH_STAGE_PREPARE, PH_CAUSE_ARGUMENT,
		                "the address family is 0 (any), 4 or 6");
	if (o->server != NULL) {
		if ((rc = ph__server_parse(&c->server, o->server, &c->mem, err)) != PH_OK)
			return rc;
		c->has_server = true;
	}
	if ((rc = take_tls(c, err)) != PH_OK ||
	    (rc = copy_string(c, &c->connect, o->connect, "address to connect to", err)) != PH_OK ||
	    (rc = copy_string(c, &c->helo, o->helo, "EHLO name", err)) != PH_OK ||
	    (rc = copy_string(c, &c->source_ip, o->source_ip, "source address", err)) != PH_OK ||
	    (rc = take_credentials(c, err)) != PH_OK)
		return rc;
	c->opts.tls = NULL;
	c->opts.credentials = NULL;
	c->opts.server = c->opts.connect = c->opts.helo = c->opts.source_ip = NULL;
	return PH_OK;
}

enum ph_code
ph_client_new(struct ph_client **ret, const struct ph_client_opts *opts, struct ph_error *err)
{
	static const struct ph_client_opts defaults = { PH_CLIENT_OPTS_INIT };
	struct ph_client_opts o = defaults;
	const struct ph_allocator *mem;
	struct ph_client *c;
	enum ph_code rc;

	if (opts == NULL)
		opts = &defaults;
	memcpy(&o, opts, opts->size < sizeof o ? opts->size : sizeof o);
	mem = o.memory != NULL ? o.memory : &ph__libc_memory;
	if ((c = ph__alloc0(mem, sizeof *c)) == NULL)
		return ph__fail_nomem(err, PH_STAGE_PREPARE);
	c->mem = *mem;
	c->opts = o;
	c->opts.memory = &c->mem;
	ph__buf_init(&c->reply_text, &c->mem, PH__REPLY_BYTES_MAX);
	ph__buf_init(&c->greeting_text, &c->mem, PH__REPLY_BYTES_MAX);
	ph__buf_init(&c->ehlo_text, &c->mem, PH__REPLY_BYTES_MAX);
	if ((rc = take_options(c, err)) != PH_OK) {
		ph_client_free(c);
		return rc;
	}
	*ret = c;
	return PH_OK;
}

static void
delivery_free(struct ph_client *c, struct ph__delivery *d)
{
	if (d == NULL)
		return;
	for (size_t i = 0; i < d->session_count; i++)
		ph__session_unref(&d->sessions[i]);
	ph_txn_free(d->txn);
	ph__free(&c->mem, d);
}

static void
deliveries_free(struct ph_client *c, struct ph__delivery *d)
{
	while (d != NULL) {
		struct ph__delivery *next = d->next;

		delivery_free(c, d);
		d = next;
	}
}

void
ph_client_free(struct ph_client *c)
{
	struct ph__delivery *pending;
	struct ph_allocator mem;

	if (c == NULL)
		return;
	pending = c->first;
	c->first = NULL; /* nothing is tried again */
	ph__client_drop(c, NULL);
	deliveries_free(c, pending);
	deliveries_free(c, c->spare);
	delivery_free(c, c->given);
	ph_txn_free(c->bare);
	ph__tls_free(&c->tls);
	ph__credentials_done(&c->credentials, &c->mem);
	ph__server_done(&c->server, &c->mem);
	ph__free(&c->mem, c->connect);
	ph__free(&c->mem, c->helo);
	ph__free(&c->mem, c->source_ip);
	ph__buf_done(&c->reply_text);
	ph__buf_done(&c->greeting_text);
	ph__buf_done(&c->ehlo_text);
	mem = c->mem;
	ph__free(&mem, c);
}

void
ph_client_cancel(struct ph_client *c)
{
	atomic_store(&c->cancelled, true);
}

enum ph_code
ph__client_cancelled(const struct ph_client *c, enum ph_stage stage, struct ph_error *err)
{
	if (!atomic_load(&c->cancelled))
		return PH_OK;
	return ph__fail(err, PH_ECANCELLED, stage, PH_CAUSE_CANCELLED, "cancelled before it was sent");
}

bool
ph_client_is_connected(const struct ph_client *c)
{
	return c->drive != NULL && !ph_smtp_is_closed(c->drive->smtp);
}

int
ph_client_fd(const struct ph_client *c)
{
	return c->conn != NULL ? ph__conn_fd(c->conn) : -1;
}

const struct ph_tls_facts *
ph_client_tls_facts(const struct ph_client *c)
{
	return c->drive != NULL && c->drive->tls_up ? &c->drive->facts : NULL;
}

const struct ph_reply *
ph_client_greeting(const struct ph_client *c)
{
	return c->greeting.code != 0 ? &c->greeting : NULL;
}

const struct ph_reply *
ph_client_ehlo_reply(const struct ph_client *c)
{
	return c->ehlo.code != 0 ? &c->ehlo : NULL;
}

bool
ph_client_has_extn(const struct ph_client *c, const char *keyword, const char **parameter)
{
	return c->drive != NULL && ph_smtp_has_extension(c->drive->smtp, keyword, parameter);
}
