/* SPDX-License-Identifier: MIT */
#ifndef PH_ROUTE_SERVER_H
#define PH_ROUTE_SERVER_H
/* A server, or a proxy, as its user names it: a URL. */
#include <stdbool.h>
#include <stdint.h>
#include <posthaste/tls.h>
#include <posthaste/error.h>
#include "base/mem.h"

struct ph__server {
	bool     lmtp;
	bool     implicit_tls;  /* smtps, submissions */
	bool     relay_port;    /* smtp or lmtp: may be a local server that knows no certificate */
	char    *host;          /* NULL for a Unix socket */
	uint16_t port;
	char    *unix_path;
	char    *user;          /* NULL: none */
};

/* smtp://[user@]host[:port], submission://, smtps://, submissions://, lmtp://host:port,
 * lmtp:///path; "host[:port]" is smtp. The user is percent-decoded. PH_ECONFIG says what is wrong;
 * a password is refused with a hint. */
enum ph_code ph__server_parse(struct ph__server *ret, const char *url,
                              const struct ph_allocator *mem, struct ph_error *err);
void ph__server_done(struct ph__server *s, const struct ph_allocator *mem);

struct ph__proxy_url {
	bool     http;          /* else SOCKS5 */
	char    *host;          /* NULL: there is none */
	uint16_t port;
	char    *user;          /* NULL: none */
};

/* socks5://[user@]host[:1080], socks5h:// (the same: the proxy looks names up in any case),
 * http://[user@]host[:8080]. As above. */
enum ph_code ph__proxy_parse(struct ph__proxy_url *ret, const char *url,
                             const struct ph_allocator *mem, struct ph_error *err);
void ph__proxy_done(struct ph__proxy_url *p, const struct ph_allocator *mem);

#endif
