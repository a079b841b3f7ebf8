/* SPDX-License-Identifier: MIT */
/* The blocking client: its life and options. See posthaste/client.h. Options are judged here, once;
 * nothing of the caller's is kept but the transcript's function. */
#include "client/private.h"

#include <string.h>

#include "base/bounds.h"
#include "smtp/session.h"

static enum ph_code
copy_string(struct ph_client *c, char **ret, const char *from, const char *what,
            struct ph_error *err)
{
	if (from == NULL)
		return PH_OK;
	if (*from == '\0' || ph__str_has_control(ph__str(from)) || strchr(from, ' ') != NULL)
		return ph__fail(err, PH_ECONFIG, PH_STAGE_PREPARE, PH_CAUSE_ARGUMENT,
		                "the %s is empty, or has a space or a control character in it", what);
	if (strlen(from) > PH__DOMAIN_MAX)
		return ph__fail(err, PH_ECONFIG, PH_STAGE_PREPARE, PH_CAUSE_LIMIT,
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
	t->alpn = t->alpn != NULL ? given : NULL;
	t->pins = NULL;
	t->tlsa = NULL;
	t->names = NULL;
	return rc;
}

/* Not one mechanism can be tried with what was given: said here, before a server is bothered. */
static enum ph_code
cannot_log_in(const struct ph_client *c, struct ph_error *err)
{
	const struct ph__credentials *k = &c->credentials;
	const char *name, *lacks = NULL;
	char buf[32];

	if (k->mechanisms != NULL && (name = ph__sasl_candidate(k, false, 0, buf)) != NULL &&
	    (lacks = ph__sasl_lacks(k, name)) != NULL)
		ph__fail(err, PH_ECONFIG, PH_STAGE_PREPARE, PH_CAUSE_ARGUMENT,
		         "there is a login to do, and %s %s", name, lacks);
	else if (k->user == NULL && k->password != NULL)
		ph__fail(err, PH_ECONFIG, PH_STAGE_PREPARE, PH_CAUSE_ARGUMENT,
		         "there is a password, and no user whose it is");
	else
		ph__fail(err, PH_ECONFIG, PH_STAGE_PREPARE, PH_CAUSE_ARGUMENT,
		         "there is %s, and neither password, access token nor client certificate",
		         k->user != NULL ? "a user to log in" : "a login to do");
	if (k->authzid != NULL && lacks != NULL && k->user != NULL)
		ph__hint(err, "leave --authzid out, or name a mechanism that can with --auth: SCRAM-SHA-256, "
		              "PLAIN");
	else
		ph__hint(err, "--user says who logs in; --password-file, --password-fd, --password-command or "
	              "--oauth-token-file with what");
	return PH_ECONFIG;
}

static bool
can_log_in(const struct ph_client *c)
{
	const struct ph__credentials *k = &c->credentials;
	const char *name;
	char buf[32];

	for (size_t i = 0; (name = ph__sasl_candidate(k, c->client_certificate, i, buf)) != NULL; i++)
		if (ph__sasl_lacks(k, name) == NULL)
			return true;
	return false;
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
	if ((rc = ph__credentials_copy(&c->credentials, &given, &c->mem, err)) != PH_OK)
		return rc;
	c->has_credentials = true;
	return can_log_in(c) ? PH_OK : cannot_log_in(c, err);
}

/* What cannot work through this proxy is found before there is a network. */
static enum ph_code
try_proxy(struct ph_client *c, struct ph_error *err)
{
	const struct ph__proxy proxy = ph__client_proxy(c);
	const char *host = c->connect != NULL ? c->connect : c->server.host;
	struct ph__tunnel *t = NULL;
	enum ph_code rc;

	if (!c->has_server)
		return PH_OK;
	if (host == NULL || *host == '/')
		return ph__fail(err, PH_ECONFIG, PH_STAGE_PREPARE, PH_CAUSE_ARGUMENT,
		                "a Unix socket is not reached through a proxy");
	rc = ph__tunnel_new(&t, &proxy, host, c->server.port, 0, &c->mem, err);
	if (rc == PH_OK)
		ph__tunnel_free(&t);
	else if (rc == PH_EINPUT && err != NULL)
		err->code = PH_ECONFIG;
	return rc == PH_EINPUT ? PH_ECONFIG : rc;
}

static enum ph_code
take_proxy(struct ph_client *c, struct ph_error *err)
{
	const struct ph_client_opts *o = &c->opts;
	enum ph_code rc;

	if (o->proxy_header != NULL &&
	    (rc = ph__proxy_header_parse(&c->proxy_header, o->proxy_header, err)) != PH_OK)
		return rc;
	if (o->proxy != NULL && (rc = ph__proxy_parse(&c->proxy, o->proxy, &c->mem, err)) != PH_OK)
		return rc;
	if ((c->proxy.user != NULL) != (o->proxy_password != NULL)) {
		ph__fail(err, PH_ECONFIG, PH_STAGE_PREPARE, PH_CAUSE_ARGUMENT,
		         c->proxy.user != NULL ? "there is a user for the proxy, and no password"
		         : c->proxy.host != NULL ? "there is a password for the proxy, and no user"
		         : "there is a password for a proxy, and no proxy");
		ph__hint(err, "the user stands in --proxy URL, socks5://USER@HOST:PORT; the password in the "
		              "file of --proxy-password-file");
		return PH_ECONFIG;
	}
	if (o->proxy_password != NULL &&
	    (c->proxy_password = ph__strdup(&c->mem, o->proxy_password)) == NULL)
		return ph__fail_nomem(err, PH_STAGE_PREPARE);
	return c->proxy.host != NULL ? try_proxy(c, err) : PH_OK;
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
	if (o->direct != NULL && (rc = ph__direct_new(c, err)) != PH_OK)
		return rc;
	if ((rc = take_tls(c, err)) != PH_OK ||
	    (rc = copy_string(c, &c->connect, o->connect, "address to connect to", err)) != PH_OK ||
	    (rc = copy_string(c, &c->helo, o->helo, "EHLO name", err)) != PH_OK ||
	    (rc = copy_string(c, &c->source_ip, o->source_ip, "source address", err)) != PH_OK ||
	    (rc = take_proxy(c, err)) != PH_OK ||
	    (rc = take_credentials(c, err)) != PH_OK)
		return rc;
	c->opts.tls = NULL;
	c->opts.direct = NULL;
	c->opts.credentials = NULL;
	c->opts.server = c->opts.connect = c->opts.helo = c->opts.source_ip = NULL;
	c->opts.proxy = c->opts.proxy_password = c->opts.proxy_header = NULL;
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
	ph__free(&c->mem, d->sessions);
	ph__mail_free(c, &d->mail);
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
	ph__direct_free(c);
	deliveries_free(c, pending);
	deliveries_free(c, c->spare);
	delivery_free(c, c->given);
	ph_txn_free(c->bare);
	ph__tls_free(&c->tls);
	ph__credentials_done(&c->credentials, &c->mem);
	ph__server_done(&c->server, &c->mem);
	ph__proxy_done(&c->proxy, &c->mem);
	ph__free_secret(&c->mem, c->proxy_password);
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
	if (!atomic_load(&c->cancelled) && (c->outer == NULL || !atomic_load(&c->outer->cancelled)))
		return PH_OK;
	return ph__fail(err, PH_ECANCELLED, stage, PH_CAUSE_CANCELLED, "cancelled before it was sent");
}

void
ph_client_set_timeout(struct ph_client *c, uint64_t timeout_ms)
{
	c->opts.timeout_ms = timeout_ms;
	if (c->drive != NULL)
		ph__session_set_timeout(c->drive->smtp, timeout_ms);
	ph__direct_set_timeout(c);
}

void
ph_client_set_transcript(struct ph_client *c,
                         void (*transcript)(void *user, const struct ph_trace *line), void *user)
{
	c->opts.transcript = transcript;
	c->opts.transcript_user = user;
	if (c->drive != NULL)
		ph__session_set_trace(c->drive->smtp, transcript != NULL);
	ph__direct_set_transcript(c);
}

bool
ph_client_is_connected(const struct ph_client *c)
{
	return (c->drive != NULL && !ph_smtp_is_closed(c->drive->smtp)) || ph__direct_is_connected(c);
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

bool
ph_client_certificate(struct ph_client *c, size_t i, struct ph_certificate *ret)
{
	return c->conn != NULL && ph__conn_certificate(c->conn, i, ret);
}

const char *
ph_client_helo_name(const struct ph_client *c)
{
	return c->drive != NULL ? c->helo_name : NULL;
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
ph_client_extension(const struct ph_client *c, size_t i, const char **keyword,
                    const char **parameter)
{
	return c->drive != NULL && ph_smtp_extension(c->drive->smtp, i, keyword, parameter);
}

bool
ph_client_is_esmtp(const struct ph_client *c)
{
	return c->drive != NULL && ph_smtp_is_esmtp(c->drive->smtp);
}

bool
ph_client_has_extn(const struct ph_client *c, const char *keyword, const char **parameter)
{
	return c->drive != NULL && ph_smtp_has_extension(c->drive->smtp, keyword, parameter);
}
