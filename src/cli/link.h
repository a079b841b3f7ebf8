/* SPDX-License-Identifier: MIT */
#ifndef PH_CLI_LINK_H
#define PH_CLI_LINK_H
/* From the options of a link to a client: secrets are read, and the library's options filled. */
#include "cli/link_options.h"

/* Secrets, read once each; they wipe themselves. */
struct ph__link_secrets {
	struct ph__buf login; /* password or token */
	struct ph__buf proxy;
};
void ph__link_secrets_init(struct ph__link_secrets *s);
void ph__link_secrets_done(struct ph__link_secrets *s);

/* The password or token, from where the options say, or from the terminal. Nothing where no login
 * needs one. */
enum ph_code ph__link_read_login(const struct ph__link_options *o, struct ph__buf *into,
                                 struct ph_error *err);
enum ph_code ph__link_read_proxy(const struct ph__link_options *o, struct ph__buf *into,
                                 struct ph_error *err);

/* All but transcript and TLS mode of the command's own. Borrows from all three; *credentials is
 * what the result points at when there is a login. `secret` NULL: none. */
struct ph_client_opts ph__link_client_opts(const struct ph__link_options *o, const char *secret,
                                           const struct ph__buf *proxy_secret,
                                           struct ph_credentials *credentials);

/* A signal gives up on what the client is doing, and its fate is still told; the second one ends the
 * process. NULL: from now on signals concern no client. */
void ph__link_heed_signals(struct ph_client *client);

/* When the user asked for --insecure: what that means, on standard error. */
void ph__link_warn(const struct ph__link_options *o);
/* Variables of the environment that this command does not heed are warned about. */
void ph__link_warn_of_barred_variables(const struct ph__options *def);

#endif
