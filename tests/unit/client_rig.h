/* SPDX-License-Identifier: MIT */
#ifndef TESTS_CLIENT_RIG_H
#define TESTS_CLIENT_RIG_H
/* A client, a server that follows a script (smtp_peer.h), and what calls must return. For files that
 * have included cmocka.h. */
#include <posthaste.h>

#include "net_ca.h"
#include "smtp_peer.h"

#define SCRIPT(...) ((const char *const[]){ __VA_ARGS__, NULL })
#define OFF &(const struct ph_tls_opts){ PH_TLS_OPTS_INIT, .mode = PH_TLS_OFF }
#define ANN &(const struct ph_credentials){ PH_CREDENTIALS_INIT, .user = "ann", .password = "pw" }
#define GREET ">220 peer", "<EHLO", ">250 peer"

static struct ident rig_ca, rig_good;
static char rig_dir[] = "/tmp/ph-rig-XXXXXX", rig_ca_path[64];

static int
rig_set_up(void **state)
{
	(void)state;
	signal(SIGPIPE, SIG_DFL);
	assert_non_null(mkdtemp(rig_dir));
	snprintf(rig_ca_path, sizeof rig_ca_path, "%s/ca.pem", rig_dir);
	rig_ca = ca_make((struct cert_spec){ .cn = "Test CA", .ca = true });
	rig_good = ca_make((struct cert_spec){ .cn = "good", .san = "DNS:mx.test,IP:127.0.0.1",
	                                       .issuer = &rig_ca });
	ca_write_cert(rig_ca_path, &rig_ca);
	setenv("SSL_CERT_FILE", rig_ca_path, 1); /* the system's certificates, for OpenSSL */
	unsetenv("SSL_CERT_DIR");
	return 0;
}

static int
rig_tear_down(void **state)
{
	(void)state;
	ca_free(&rig_ca);
	ca_free(&rig_good);
	unlink(rig_ca_path);
	return rmdir(rig_dir);
}

static inline struct peer *
start(const char *const *script)
{
	struct peer *p = calloc(1, sizeof *p);

	p->ctx = SSL_CTX_new(TLS_server_method());
	assert_int_equal(SSL_CTX_use_certificate(p->ctx, rig_good.cert), 1);
	assert_int_equal(SSL_CTX_use_PrivateKey(p->ctx, rig_good.key), 1);
	peer_start_on(p, script, -1);
	return p;
}

static void
finish(struct peer *p)
{
	peer_end(p);
	free(p);
}

/* The same where the peer may find the client gone before its script has ended. */
static inline void
finish_early(struct peer *p)
{
	pthread_join(p->thread, NULL);
	close(p->listener);
	SSL_CTX_free(p->ctx);
	free(p);
}

static inline const char *
url_of(const struct peer *p, const char *scheme)
{
	static char url[64];

	snprintf(url, sizeof url, "%s://127.0.0.1:%u", scheme, p->port);
	return url;
}

static struct ph_client *
new_client(struct ph_client_opts o)
{
	struct ph_error err = PH_ERROR_INIT;
	struct ph_client *c = NULL;

	o.size = sizeof o;
	if (o.timeout_ms == 0)
		o.timeout_ms = 4000;
	if (o.helo == NULL)
		o.helo = "me.test";
	if (ph_client_new(&c, &o, &err) != PH_OK)
		fail_msg("%s", err.text);
	return c;
}

#define CLIENT(p, ...) \
	new_client((struct ph_client_opts){ .server = url_of(p, "smtp"), __VA_ARGS__ })

#define OK(call) \
	do { \
		struct ph_error err = PH_ERROR_INIT; \
		enum ph_code rc_ = call; \
		if (rc_ != PH_OK) \
			fail_msg("%s: %s: %s", #call, ph_code_name(rc_), err.text); \
	} while (0)

static inline void
failed_as(const char *call, enum ph_code rc, const struct ph_error *err, enum ph_code class_,
          const int at[])
{
	if (rc != class_ || err->code != class_ || (int)err->stage != at[0] ||
	    (at[1] >= 0 && (int)err->cause != at[1]))
		fail_msg("%s: %s %s at %s by %s: %s", call, ph_code_name(rc), ph_code_name(err->code),
		         ph_stage_name(err->stage), ph_cause_name(err->cause), err->text);
	assert_true(err->text[0] != '\0');
}

/* Fails with this class, at this stage, and for this cause if one is given; and says so. */
#define FAILS(call, class_, ...) \
	do { \
		struct ph_error err = PH_ERROR_INIT; \
		enum ph_code rc_ = call; \
		failed_as(#call, rc_, &err, class_, (const int[]){ __VA_ARGS__, -1 }); \
	} while (0)

#define MISUSED(call) FAILS(call, PH_EUSAGE, PH_STAGE_PREPARE, PH_CAUSE_STATE)

static inline void
reply_is(const struct ph_reply *r, unsigned code, const char *text)
{
	assert_non_null(r);
	assert_int_equal(r->code, code);
	assert_string_equal(r->text, text);
	assert_int_equal(r->len, strlen(text));
}

#endif
