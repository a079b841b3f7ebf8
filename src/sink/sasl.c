/* SPDX-License-Identifier: MIT */
/* Mechanisms: which are offered on a link, and the exchanges that the SASL module leads.
 *
 * Offered is only what can work: passwords or tokens are there, the module is there, and for -PLUS the
 * link has bindings. A client that is not offered -PLUS must not be told of bindings either
 * (auth/module.h). A server's last word (SCRAM's v=, DIGEST-MD5's rspauth=) is a challenge; the client's
 * empty answer comes before the verdict (RFC 4954 §4). */
#include "sink/private.h"

enum need { PASSWORD = 1, TOKEN = 2, MODULE = 4, BINDINGS = 8 };

/* In the order of the offer. */
static const struct { const char *name; unsigned needs; } mechanisms[] = {
	{ "PLAIN",              PASSWORD },
	{ "LOGIN",              PASSWORD },
	{ "SCRAM-SHA-256-PLUS", PASSWORD | MODULE | BINDINGS },
	{ "SCRAM-SHA-1-PLUS",   PASSWORD | MODULE | BINDINGS },
	{ "SCRAM-SHA-256",      PASSWORD | MODULE },
	{ "SCRAM-SHA-1",        PASSWORD | MODULE },
	{ "CRAM-MD5",           PASSWORD | MODULE },
	{ "DIGEST-MD5",         PASSWORD | MODULE },
	{ "OAUTHBEARER",        TOKEN },
	{ "XOAUTH2",            TOKEN },
};
#define COUNT (sizeof mechanisms / sizeof mechanisms[0])

static bool
is_allowed(const struct ph__sink *s, size_t i)
{
	struct ph_str list = ph__str(s->o->mechanisms);

	if (list.len == 0)
		return true;
	while (list.len != 0)
		if (ph__str_is(ph__str_cut(&list, ','), mechanisms[i].name))
			return true;
	return false;
}

/* Whether it can work on some link. */
static bool
can_work(const struct ph__sink *s, size_t i)
{
	unsigned needs = mechanisms[i].needs;

	return !((needs & PASSWORD) && s->users.count == 0) && !((needs & TOKEN) && s->tokens.count == 0) &&
	       !((needs & MODULE) && (s->sasl == NULL || !s->sasl->has(mechanisms[i].name, true)));
}

static enum ph_code
refuse(struct ph_error *err, struct ph_str name, const char *why)
{
	return ph__fail(err, PH_EUSAGE, PH_STAGE_PREPARE, PH_CAUSE_ARGUMENT, "--auth: %.*s: %s",
	                (int)name.len, name.ptr, why);
}

static enum ph_code
check_word(const struct ph__sink *s, struct ph_str name, const struct ph_error *module_error,
           struct ph_error *err)
{
	size_t i = 0;

	while (i < COUNT && !ph__str_is(name, mechanisms[i].name))
		i++;
	if (i == COUNT) {
		refuse(err, name, "the sink has no such mechanism");
		ph__hint(err, "there are PLAIN, LOGIN, SCRAM-SHA-256, SCRAM-SHA-1 (each also with -PLUS), "
		         "CRAM-MD5, DIGEST-MD5, OAUTHBEARER and XOAUTH2");
		return PH_EUSAGE;
	}
	if (can_work(s, i))
		return PH_OK;
	if ((mechanisms[i].needs & TOKEN) && s->tokens.count == 0)
		return refuse(err, name, "it needs --token-file");
	if ((mechanisms[i].needs & PASSWORD) && s->users.count == 0)
		return refuse(err, name, "it needs --user and --password-file, or --users");
	if (s->sasl != NULL)
		return refuse(err, name, "the SASL module cannot do it as a server");
	ph__error_copy(err, module_error);
	return PH_ECONFIG;
}

enum ph_code
ph__sink_sasl_set_up(struct ph__sink *s, struct ph_error *err)
{
	struct ph_error module_error = PH_ERROR_INIT;
	struct ph_str list = ph__str(s->o->mechanisms);
	bool wanted = false;
	enum ph_code rc = PH_OK;

	for (size_t i = 0; i < COUNT; i++)
		wanted |= s->users.count != 0 && (mechanisms[i].needs & MODULE) && is_allowed(s, i);
	if (wanted)
		s->sasl = ph__sasl_module(&module_error);
	while (list.len != 0 && rc == PH_OK)
		rc = check_word(s, ph__str_cut(&list, ','), &module_error, err);
	return rc;
}

bool
ph__sink_sasl_offer(struct ph__sink_conn *c)
{
	bool bindings = c->tls_up && c->facts.exporter_len + c->facts.unique_len != 0;
	struct ph__buf *b = &c->sasl.offered;

	ph__buf_reset(b);
	c->sasl.plus = false;
	for (size_t i = 0; i < COUNT; i++) {
		bool plus = (mechanisms[i].needs & BINDINGS) != 0;

		if (!is_allowed(c->sink, i) || !can_work(c->sink, i) || (plus && !bindings))
			continue;
		c->sasl.plus |= plus;
		ph__buf_addf(b, "%s%s", b->len != 0 ? " " : "", mechanisms[i].name);
	}
	ph__server_offer_mechanisms(c->session, ph__buf_cstr(b));
	return ph__buf_ok(b);
}

void
ph__sink_sasl_end(struct ph__sink_conn *c)
{
	if (c->sasl.exchange != NULL)
		c->sink->sasl->end(c->sasl.exchange);
	c->sasl.exchange = NULL;
	c->sasl.proved = c->sasl.last_word = false;
}

static const char *
password(void *user, const char *name)
{
	const struct ph__sink *s = user;

	return ph__sink_users_password(&s->users, ph__str(name));
}

static enum ph_code
begin(struct ph__sink_conn *c, const char *mechanism)
{
	struct ph__sink *s = c->sink;
	const char *host = s->o->name != NULL ? s->o->name : "localhost";
	struct ph__sasl_link *link = &c->sasl.link;

	ph__sink_sasl_end(c);
	c->sasl.users = (struct ph__sasl_directory){ .user = s, .password = password, .realm = host };
	*link = (struct ph__sasl_link){ .service = c->protocol == PH__SINK_LMTP ? "lmtp" : "smtp",
		                        .host = host };
	if (c->sasl.plus && c->facts.exporter_len != 0) {
		link->exporter = c->facts.exporter;
		link->exporter_len = c->facts.exporter_len;
	}
	if (c->sasl.plus && c->facts.unique_len != 0) {
		link->unique = c->facts.unique;
		link->unique_len = c->facts.unique_len;
	}
	return s->sasl->server(&c->sasl.exchange, mechanism, &c->sasl.users, link, s->mem, NULL);
}

/* True: the exchange is over, well if `proved`. */
static bool
step(struct ph__sink_conn *c, struct ph_str in)
{
	const void *out = NULL;
	size_t n = 0;
	bool done = false;

	if (c->sasl.last_word) {
		c->sasl.proved = in.len == 0;
		return true;
	}
	if (c->sink->sasl->step(c->sasl.exchange, in.ptr, in.len, &out, &n, &done, NULL) < 0)
		return true;
	if (done && n == 0) {
		c->sasl.proved = true;
		return true;
	}
	c->sasl.last_word = done;
	return ph__server_challenge(c->session, out, n, uv_now(&c->sink->loop)) < 0;
}

bool
ph__sink_sasl_step(struct ph__sink_conn *c, struct ph__server_event *ev)
{
	if (!(ev->first && begin(c, ev->mechanism) < 0) && !step(c, ev->text))
		return false;
	ev->type = PH__SERVER_ON_AUTH;
	ev->text = (struct ph_str){ NULL, 0 };
	if (c->sasl.proved)
		ev->user = ph__str(c->sink->sasl->user(c->sasl.exchange));
	return true;
}
