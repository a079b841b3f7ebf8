/* SPDX-License-Identifier: MIT */
/* From options to a client. See link.h. */
#include "cli/link.h"

#include <signal.h>
#include <stdlib.h>
#include "base/mem.h"
#include "cli/link_login.h"
#include "cli/problem.h"
#include "cli/secret.h"

void
ph__link_secrets_init(struct ph__link_secrets *s)
{
	ph__buf_init(&s->login, &ph__libc_memory, PH__LINK_SECRET_MAX);
	ph__buf_init(&s->proxy, &ph__libc_memory, PH__LINK_SECRET_MAX);
	s->login.secret = s->proxy.secret = true;
}

void
ph__link_secrets_done(struct ph__link_secrets *s)
{
	ph__buf_done(&s->login);
	ph__buf_done(&s->proxy);
}

enum ph_code
ph__link_read_login(const struct ph__link_options *o, struct ph__buf *into, struct ph_error *err)
{
	char user[PH__LINK_USER_MAX];
	struct ph__secret_source from = {
		.noun = "password",
		.file = o->password_file,
		.fd = o->password_fd.given ? (int)o->password_fd.value : -1,
		.command = o->password_command,
		.user = ph__link_user(o, user, sizeof user),
		.server = o->server,
	};

	if (o->token_file != NULL)
		from = (struct ph__secret_source){ .noun = "token", .file = o->token_file, .fd = -1 };
	else if (!ph__link_login_needs_password(o) || o->has_password)
		return PH_OK;
	ph__secret_shield();
	return ph__secret_read(&from, into, err);
}

enum ph_code
ph__link_read_proxy(const struct ph__link_options *o, struct ph__buf *into, struct ph_error *err)
{
	struct ph__secret_source from = {
		.noun = "proxy's password", .file = o->proxy_password_file, .fd = -1,
	};

	if (from.file == NULL)
		return PH_OK;
	ph__secret_shield();
	return ph__secret_read(&from, into, err);
}

struct ph_client_opts
ph__link_client_opts(const struct ph__link_options *o, const char *secret,
                     const struct ph__buf *proxy_secret, struct ph_credentials *credentials)
{
	*credentials = (struct ph_credentials){
		PH_CREDENTIALS_INIT,
		.user = o->user, /* that of the URL is found by the library */
		.password = o->token_file == NULL ? secret : NULL,
		.token = o->token_file != NULL ? secret : NULL,
		.authzid = o->authzid,
		.mechanisms = o->mechanisms,
	};
	return (struct ph_client_opts){
		PH_CLIENT_OPTS_INIT,
		.server = o->server,
		.connect = o->connect,
		.tls = ph__link_has_tls(o) ? &o->tls : NULL,
		.credentials = ph__link_login_wanted(o) ? credentials : NULL,
		.allow_clear_auth = o->allow_clear_auth,
		.helo = o->helo,
		.source_ip = o->source_ip,
		.proxy = o->proxy,
		.proxy_password = proxy_secret->len != 0 ? ph__buf_cstr(proxy_secret) : NULL,
		.family = o->family,
		.timeout_ms = o->timeout_ms,
		.connect_timeout_ms = o->connect_timeout_ms,
	};
}

/* ---- signals --------------------------------------------------------------------------------- */

static struct ph_client *volatile to_cancel;

static void
on_signal(int sig)
{
	signal(sig, SIG_DFL);
	if (to_cancel != NULL)
		ph_client_cancel(to_cancel);
}

void
ph__link_heed_signals(struct ph_client *client)
{
	static const int signals[] = { SIGINT, SIGTERM, SIGHUP };

	to_cancel = client;
	for (size_t i = 0; client != NULL && i < sizeof signals / sizeof signals[0]; i++) {
		struct sigaction sa = { .sa_handler = on_signal }, old;

		sigemptyset(&sa.sa_mask);
		if (sigaction(signals[i], NULL, &old) == 0 && old.sa_handler != SIG_IGN)
			sigaction(signals[i], &sa, NULL); /* without SA_RESTART: it ends waits */
	}
}

/* ---- warnings -------------------------------------------------------------------------------- */

void
ph__link_warn(const struct ph__link_options *o)
{
	if (o->tls.insecure)
		ph__warn(stderr, "--insecure: nobody verifies that this is the right server; whoever sits "
		                 "in between can read and change the mail, and take the password");
}

void
ph__link_warn_of_barred_variables(const struct ph__options *def)
{
	char name[64];

	for (size_t row = 0; ph__options_next_barred(def, &row, name, sizeof name); row++)
		ph__warn(stderr, "%s is ignored: only the command line may say --%s", name,
		         def->rows[row].name);
	if (getenv("POSTHASTE_PASSWORD") != NULL)
		ph__warn(stderr, "POSTHASTE_PASSWORD is ignored: other processes can read it; use "
		                 "--password-file, --password-fd or --password-command");
}
