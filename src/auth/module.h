/* SPDX-License-Identifier: MIT */
#ifndef PH_AUTH_MODULE_H
#define PH_AUTH_MODULE_H
/* The SASL module: mechanisms that are a library's (libgsasl), loaded when first needed, or linked
 * in (base/module.h). Client: SCRAM-SHA-256 and SCRAM-SHA-1, each with -PLUS, CRAM-MD5, DIGEST-MD5,
 * NTLM, GSSAPI. Server: the same without the last two. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <posthaste/error.h>
#include "base/mem.h"

/* The link that the exchange goes over: what GSSAPI and DIGEST-MD5 name the server by, and what
 * -PLUS binds to. A SCRAM client without -PLUS that is given bindings tells the server that it
 * would have used them (RFC 5802 §6, "y"): give them where the server did not offer -PLUS, and only
 * there. A server that is given bindings refuses such a client: give them where -PLUS was offered.
 * Borrowed until end(). */
struct ph__sasl_link {
	const char *service;            /* "smtp", "lmtp" */
	const char *host;               /* as dialled or verified; "" when unknown */
	const void *exporter, *unique;  /* channel bindings; NULL: none */
	size_t      exporter_len, unique_len;
	uint16_t    port;               /* for OAUTHBEARER; 0: not known */
};

/* What a client says of itself. Borrowed until end(). NULL: not given. */
struct ph__sasl_identity {
	const char *user, *password, *authzid;
};

/* What a server knows. Copied; what it points to is borrowed until end(). */
struct ph__sasl_directory {
	void *user;
	/* The password of `name`, valid until the next call; NULL: no such user. */
	const char *(*password)(void *user, const char *name);
	const char *realm;              /* DIGEST-MD5's; NULL: link.host */
};

struct ph__sasl_exchange; /* the module's */

struct ph__sasl_module {
	const char *build_id;
	/* Whether it has the mechanism, upper case, on this side. */
	bool (*has)(const char *mechanism, bool server);
	enum ph_code (*client)(struct ph__sasl_exchange **ret, const char *mechanism,
	                       const struct ph__sasl_identity *who, const struct ph__sasl_link *link,
	                       const struct ph_allocator *mem, struct ph_error *err);
	enum ph_code (*server)(struct ph__sasl_exchange **ret, const char *mechanism,
	                       const struct ph__sasl_directory *users, const struct ph__sasl_link *link,
	                       const struct ph_allocator *mem, struct ph_error *err);
	/* One step: `in` NULL begins without input. *out (wiped by the next call or end(); NULL:
	 * nothing to say) is the exchange's. *done: this side is content; the other may still have a
	 * say. A client that is content has verified what the mechanism lets it verify of the server.
	 * Behind done a server may be given the client's empty answer to its last word, and nothing
	 * else. PH_EAUTH: a client was refused within the exchange, or cannot begin (no Kerberos
	 * ticket); to a server, the client has not proved itself. PH_ESECURITY: the server has not
	 * proved itself to a client. PH_EPROTOCOL: the peer does not speak the mechanism. PH_EINPUT:
	 * name or password cannot be said in it. */
	enum ph_code (*step)(struct ph__sasl_exchange *x, const void *in, size_t in_len,
	                     const void **out, size_t *out_len, bool *done, struct ph_error *err);
	/* Who was authenticated, and for whom he acts; after done. "" when the mechanism does not
	 * say. */
	const char *(*user)(struct ph__sasl_exchange *x);
	const char *(*authzid)(struct ph__sasl_exchange *x);
	void (*end)(struct ph__sasl_exchange *x);
};

/* The table as the module exports it. Others ask for it with ph__sasl_module(). */
PH_API extern const struct ph__sasl_module ph__module_sasl;

/* The module, loaded on first use and never unloaded; NULL and *err (PH_ECONFIG, with what to
 * install) when it cannot be. Any thread. */
const struct ph__sasl_module *ph__sasl_module(struct ph_error *err);

#endif
