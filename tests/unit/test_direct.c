/* SPDX-License-Identifier: MIT */
/* Direct delivery: a client that finds the recipients' own servers. Look-ups are answered from a table;
 * the servers are peers on loopback addresses, all on one port. */
#include <errno.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "client/direct.h"
#include "client_rig.h"
#include "failing_memory.h"

#define COUNT(a) (sizeof(a) / sizeof *(a))
#define MESSAGE "From: a@me.test\r\nSubject: hi\r\n\r\nhello\r\n"

/* ---- a resolver that knows a table ----------------------------------------------------------- */

struct known {
	const char *name;
	enum ph__dns_type type;
	const char *data;            /* "10 mx.test", "127.0.0.1", "v=STSv1; …", "3 1 1 hex"; a word in capitals
	                                is what comes instead: NXDOMAIN, FAILED, BOGUS */
	bool secure;
	const char *canonical;       /* where its CNAME leads; NULL: it has none */
};

struct open_question {
	struct ph__asker *asker;
	struct ph__question q;
	char name[256];
	struct open_question *next;
};

struct ph__lookup {
	int silent;
};

static const struct known *zone;
static size_t zone_len;
static struct ph__sts_policy *zone_policy;
static const char *zone_off;
static bool zone_silent;
static const char *zone_unkept;
static sem_t told; /* that a question was asked, or MAIL sent */
static unsigned asked;
static struct ph__lookup the_lookup;
static struct open_question *open_questions;

static enum ph_code
fake_open(struct ph__lookup **ret, const struct ph__lookup_opts *opts, const struct ph_allocator *mem,
          struct ph_error *err)
{
	(void)opts;
	(void)mem;
	(void)err;
	*ret = &the_lookup;
	return PH_OK;
}

static void
fake_ask(struct ph__lookup *l, const struct ph__question *q, struct ph__asker *asker)
{
	struct open_question *o = calloc(1, sizeof *o);

	(void)l;
	asked++;
	o->asker = asker;
	o->q = *q;
	snprintf(o->name, sizeof o->name, "%s", q->name);
	o->next = open_questions;
	open_questions = o;
	if (zone_silent)
		sem_post(&told);
}

static void
fake_forget(struct ph__lookup *l, struct ph__asker *asker)
{
	(void)l;
	for (struct open_question *o = open_questions; o != NULL; o = o->next)
		if (o->asker == asker)
			o->asker = NULL;
}

static size_t
fake_fds(const struct ph__lookup *l, int fds[PH__LOOKUP_FDS])
{
	(void)l;
	(void)fds;
	return 0;
}

static uint64_t
fake_deadline(const struct ph__lookup *l)
{
	(void)l;
	return open_questions == NULL || zone_silent ? UINT64_MAX : 0;
}

static size_t
wire_name(unsigned char *to, const char *name)
{
	unsigned char *p = to;

	while (*name != '\0' && strcmp(name, ".") != 0) {
		size_t n = strcspn(name, ".");

		*p++ = (unsigned char)n;
		memcpy(p, name, n);
		p += n;
		name += n + (name[n] == '.');
	}
	*p++ = 0;
	return (size_t)(p - to);
}

static size_t
wire_data(unsigned char *to, enum ph__dns_type type, const char *text)
{
	unsigned a, b, c, n = 0;

	switch (type) {
	case PH__DNS_A:
		inet_pton(AF_INET, text, to);
		return 4;
	case PH__DNS_AAAA:
		inet_pton(AF_INET6, text, to);
		return 16;
	case PH__DNS_MX:
		a = (unsigned)strtoul(text, NULL, 10);
		to[0] = (unsigned char)(a >> 8);
		to[1] = (unsigned char)a;
		return 2 + wire_name(to + 2, strchr(text, ' ') + 1);
	case PH__DNS_TXT:
		to[0] = (unsigned char)strlen(text);
		memcpy(to + 1, text, to[0]);
		return 1u + to[0];
	case PH__DNS_TLSA:
		assert_int_equal(sscanf(text, "%u %u %u ", &a, &b, &c), 3);
		to[n++] = (unsigned char)a;
		to[n++] = (unsigned char)b;
		to[n++] = (unsigned char)c;
		for (text += 6; *text != '\0'; text += 2) {
			sscanf(text, "%2x", &a);
			to[n++] = (unsigned char)a;
		}
		return n;
	default:
		return 0;
	}
}

static void
answer_dns(const struct open_question *o)
{
	struct ph__answer a = { .kind = PH__ASK_DNS };
	unsigned char octets[16][512];
	struct ph_str data[16];

	a.dns.status = PH__DNS_NXDOMAIN;
	a.dns.data = data;
	for (size_t i = 0; i < zone_len; i++) {
		const struct known *k = &zone[i];

		if (strcmp(k->name, o->name) != 0)
			continue;
		if (a.dns.status == PH__DNS_NXDOMAIN)
			a.dns.status = PH__DNS_NODATA;
		if (k->secure)
			a.dns.trust = PH__DNS_SECURE;
		if (k->type != o->q.type)
			continue;
		a.dns.canonical = k->canonical;
		a.dns.status = strcmp(k->data, "NXDOMAIN") == 0 ? PH__DNS_NXDOMAIN
		               : *k->data == 'F' || *k->data == 'B' ? PH__DNS_FAILED : PH__DNS_FOUND;
		if (*k->data == 'B')
			a.dns.trust = PH__DNS_BOGUS;
		if (a.dns.status == PH__DNS_FOUND) {
			data[a.dns.count].ptr = (const char *)octets[a.dns.count];
			data[a.dns.count].len = wire_data(octets[a.dns.count], k->type, k->data);
			a.dns.count++;
		}
	}
	o->asker->answered(o->asker, o->q.id, &a);
}

static void
fake_process(struct ph__lookup *l)
{
	struct open_question *all = open_questions, *next;

	(void)l;
	if (zone_silent)
		return;
	open_questions = NULL;
	for (; all != NULL; all = next) {
		struct ph__answer sts = { .kind = PH__ASK_STS, .sts = { .policy = zone_policy } };

		next = all->next;
		if (all->asker != NULL && all->q.kind == PH__ASK_STS)
			all->asker->answered(all->asker, all->q.id, &sts);
		else if (all->asker != NULL)
			answer_dns(all);
		free(all);
	}
}

static const char *
fake_unvalidated(const struct ph__lookup *l)
{
	(void)l;
	return zone_off;
}

static const char *
fake_unkept(const struct ph__lookup *l)
{
	(void)l;
	return zone_unkept;
}

static void
fake_close(struct ph__lookup **l)
{
	for (struct open_question *next; open_questions != NULL; open_questions = next) {
		next = open_questions->next;
		free(open_questions);
	}
	*l = NULL;
}

static const struct ph__lookup_module fake = {
	.build_id = "", .open = fake_open, .ask = fake_ask, .forget = fake_forget, .fds = fake_fds,
	.deadline = fake_deadline, .process = fake_process, .unvalidated = fake_unvalidated,
	.unkept = fake_unkept, .close = fake_close,
};

/* ---- servers and a client -------------------------------------------------------------------- */

static uint16_t port; /* of all servers of a test */

static int
listen_at(const char *ip)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(port) };
	socklen_t len = sizeof in;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;

	inet_pton(AF_INET, ip, &in.sin_addr);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	if (bind(fd, (struct sockaddr *)&in, sizeof in) != 0)
		fail_msg("%s port %u: %s", ip, port, strerror(errno));
	assert_int_equal(listen(fd, 16), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&in, &len), 0);
	port = ntohs(in.sin_port);
	return fd;
}

static struct peer *
serve_as(const char *ip, const struct ident *who, const char *const *script)
{
	struct peer *p = calloc(1, sizeof *p);

	p->ctx = SSL_CTX_new(TLS_server_method());
	assert_int_equal(SSL_CTX_use_certificate(p->ctx, who->cert), 1);
	assert_int_equal(SSL_CTX_use_PrivateKey(p->ctx, who->key), 1);
	p->listener = listen_at(ip);
	p->port = port;
	p->fd = -1;
	p->script = script;
	assert_int_equal(pthread_create(&p->thread, NULL, peer_main, p), 0);
	return p;
}

#define SERVE(ip, ...) serve_as(ip, &rig_good, SCRIPT(__VA_ARGS__))

/* One port that is free at all addresses that tests use, as far as can be known. */
static int
new_test(void **state)
{
	(void)state;
	port = 0;
	close(listen_at("127.0.0.1"));
	zone = NULL;
	zone_len = 0;
	zone_off = NULL;
	zone_silent = false;
	zone_unkept = NULL;
	sem_init(&told, 0, 0);
	zone_policy = NULL;
	asked = 0;
	return 0;
}

static struct ph_client *
direct_with(const struct known *table, size_t n, struct ph_client_opts o)
{
	struct ph_direct_opts d = { PH_DIRECT_OPTS_INIT, .mx_port = port };
	struct ph_client *c;

	zone = table;
	zone_len = n;
	if (o.direct == NULL)
		o.direct = &d;
	c = new_client(o);
	c->direct->module = &fake;
	return c;
}

#define DIRECT(table, ...) \
	direct_with(table, COUNT(table), (struct ph_client_opts){ PH_CLIENT_OPTS_INIT, __VA_ARGS__ })

static struct ph_source *
source_of(const char *text)
{
	struct ph_source *s = NULL;

	assert_int_equal(ph_source_new_memory(&s, text, strlen(text), NULL), PH_OK);
	return s;
}

#define TO(...) \
	(struct ph_envelope){ PH_ENVELOPE_INIT, .from = "a@me.test", .recipients = SCRIPT(__VA_ARGS__), \
		.recipient_count = COUNT(SCRIPT(__VA_ARGS__)) - 1 }

static const struct ph_record *
send_to(struct ph_client *c, struct ph_envelope e)
{
	struct ph_source *s = source_of(MESSAGE);
	const struct ph_record *r = NULL;
	struct ph_error err = PH_ERROR_INIT;

	ph_client_sendmail(c, &e, s, &r, &err);
	ph_source_free(s);
	if (r == NULL)
		fail_msg("no record: %s", err.text);
	return r;
}

/* A recipient's outcome, its class, stage and reply. */
static void
became(const struct ph_record *r, size_t i, enum ph_outcome outcome, enum ph_code code,
       enum ph_stage stage, unsigned reply)
{
	const struct ph_recipient_outcome *o = ph_record_recipient(r, i);

	assert_non_null(o);
	if (o->outcome != outcome || o->code != code || o->stage != stage || o->reply.code != reply)
		fail_msg("%s: %s, %s at %s, %u %s (%s)", o->address, ph_outcome_name(o->outcome),
		         ph_code_name(o->code), ph_stage_name(o->stage), o->reply.code, o->reply.text,
		         ph_record_error(r) != NULL ? ph_record_error(r)->text : "no error");
}

static void
accepted(const struct ph_record *r, size_t i, const char *host)
{
	const struct ph_recipient_outcome *o = ph_record_recipient(r, i);

	became(r, i, PH_ACCEPTED, PH_OK, PH_STAGE_BODY, 250);
	assert_in_range(o->session, 0, r->session_count - 1);
	assert_string_equal(r->sessions[o->session]->host, host);
}

static void
has_enhanced(const struct ph_record *r, size_t i, unsigned a, unsigned b, unsigned c)
{
	const uint16_t *e = ph_record_recipient(r, i)->reply.enhanced;

	if (e[0] != a || e[1] != b || e[2] != c)
		fail_msg("enhanced code %u.%u.%u", e[0], e[1], e[2]);
}

static void
json_has(const struct ph_record *r, const char *part)
{
	char *json = ph_record_json(r);

	assert_non_null(json);
	if (strstr(json, part) == NULL)
		fail_msg("%s lacks %s", json, part);
	ph_record_free_json(r, json);
}

static void
error_has(const struct ph_record *r, const char *part)
{
	assert_non_null(ph_record_error(r));
	if (strstr(ph_record_error(r)->text, part) == NULL)
		fail_msg("\"%s\" lacks \"%s\"", ph_record_error(r)->text, part);
}

static bool
holds(const char *text, const char *part)
{
	return strstr(text, part) != NULL;
}

/* ---- who goes where -------------------------------------------------------------------------- */

static void
each_domain_is_delivered_to_its_own_server(void **state)
{
	static const struct known table[] = {
		{ "a.test", PH__DNS_MX, "10 mx.a.test", false }, { "mx.a.test", PH__DNS_A, "127.0.0.1", false },
		{ "b.test", PH__DNS_MX, "20 mx.b.test", false }, { "mx.b.test", PH__DNS_A, "127.0.0.2", false },
		{ "me.test", PH__DNS_MX, "10 mx.me.test", false },
	};
	struct peer *a = SERVE("127.0.0.1", ">220 a", "@", "$"), *b = SERVE("127.0.0.2", ">220 b", "@", "$");
	struct ph_client *c = DIRECT(table);
	const struct ph_record *r;

	(void)state;
	r = send_to(c, TO("x@b.test", "y@a.test", "z@b.test"));
	assert_int_equal(ph_record_code(r), PH_OK);
	accepted(r, 0, "mx.b.test");
	accepted(r, 1, "mx.a.test");
	accepted(r, 2, "mx.b.test");
	assert_int_equal(r->session_count, 2);
	assert_int_equal(ph_record_bytes(r), strlen(MESSAGE));
	json_has(r, "\"route\":{\"domain\":\"b.test\",\"preference\":20,\"dnssec\":\"insecure\","
	            "\"policy\":\"none\",\"mode\":null,\"policy_id\":null,\"problem\":null,"
	            "\"relaxed\":false,\"tlsa\":null}");
	ph_client_free(c);
	finish(a);
	finish(b);
}

static void
domains_with_the_same_servers_share_a_transaction(void **state)
{
	static const struct known table[] = {
		{ "a.test", PH__DNS_MX, "10 mx.test", false }, { "b.test", PH__DNS_MX, "10 mx.test", false },
		{ "mx.test", PH__DNS_A, "127.0.0.1", false },
	};
	struct peer *p = SERVE("127.0.0.1", ">220 a", "@", "$");
	struct ph_client *c = DIRECT(table);
	const struct ph_record *r;

	(void)state;
	r = send_to(c, TO("x@b.test", "y@a.test"));
	accepted(r, 0, "mx.test");
	accepted(r, 1, "mx.test");
	assert_int_equal(r->session_count, 1);
	assert_int_equal(p->mind.messages, 1);
	OK(ph_client_quit(c, NULL, NULL));
	ph_client_free(c);
	finish_early(p);
}

static void
a_connection_serves_the_next_message_too(void **state)
{
	static const struct known table[] = {
		{ "a.test", PH__DNS_MX, "10 mx.test", false }, { "mx.test", PH__DNS_A, "127.0.0.1", false },
	};
	struct peer *p = SERVE("127.0.0.1", ">220 a", "@", "$");
	struct ph_client *c = DIRECT(table);

	(void)state;
	for (int i = 0; i < 3; i++)
		accepted(send_to(c, TO("x@a.test")), 0, "mx.test");
	assert_true(ph_client_is_connected(c));
	assert_int_equal(p->connections, 1);
	ph_client_leave(c);
	assert_false(ph_client_is_connected(c));
	ph_client_free(c);
	finish(p);
}

static void
an_idle_connection_that_died_is_made_anew(void **state)
{
	static const struct known table[] = {
		{ "a.test", PH__DNS_MX, "10 mx.test", false }, { "mx.test", PH__DNS_A, "127.0.0.1", false },
	};
	struct peer *p = SERVE("127.0.0.1", ">220 a", "@1", "|", ">220 a", "@", "$");
	struct ph_client *c = DIRECT(table);

	(void)state;
	accepted(send_to(c, TO("x@a.test")), 0, "mx.test");
	accepted(send_to(c, TO("x@a.test")), 0, "mx.test");
	assert_int_equal(p->connections, 2);
	ph_client_free(c);
	finish(p);
}

static void
a_hundred_recipients_go_at_a_time(void **state)
{
	static const struct known table[] = {
		{ "a.test", PH__DNS_MX, "10 mx.test", false }, { "mx.test", PH__DNS_A, "127.0.0.1", false },
	};
	static char addresses[150][24];
	static const char *list[150];
	struct peer *p = SERVE("127.0.0.1", ">220 a", "@", "$");
	struct ph_client *c = DIRECT(table);
	const struct ph_record *r;

	(void)state;
	for (size_t i = 0; i < 150; i++) {
		snprintf(addresses[i], sizeof addresses[i], "u%zu@a.test", i);
		list[i] = addresses[i];
	}
	r = send_to(c, (struct ph_envelope){ PH_ENVELOPE_INIT, .from = "", .recipients = list,
	                                     .recipient_count = 150 });
	assert_int_equal(ph_record_code(r), PH_OK);
	ph_client_free(c);
	assert_int_equal(p->mind.messages, 2);
	finish(p);
}

static void
each_recipient_keeps_his_own_parameters(void **state)
{
	static const struct known table[] = {
		{ "a.test", PH__DNS_MX, "10 mx.a.test", false }, { "mx.a.test", PH__DNS_A, "127.0.0.1", false },
		{ "b.test", PH__DNS_MX, "10 mx.b.test", false }, { "mx.b.test", PH__DNS_A, "127.0.0.2", false },
	};
	struct peer *a = SERVE("127.0.0.1", ">220 a", "<EHLO", ">250-a", ">250 DSN", "<MAIL", ">250 ok",
	                       "<RCPT TO:<y@a.test> NOTIFY=DELAY ORCPT=rfc822;y+2Borig@a.test", ">250 ok", "<DATA", ">354 go",
	                       ".", ">250 ok", "$");
	struct peer *b = SERVE("127.0.0.2", ">220 b", "<EHLO", ">250-b", ">250 DSN", "<MAIL", ">250 ok",
	                       "<RCPT TO:<x@b.test> NOTIFY=NEVER", ">250 ok", "<DATA", ">354 go", ".",
	                       ">250 ok", "$");
	struct ph_client *c = DIRECT(table);
	struct ph_envelope e = TO("x@b.test", "y@a.test");
	const struct ph_record *r;

	(void)state;
	e.recipient_notify = (unsigned[]){ PH_NOTIFY_NEVER, PH_NOTIFY_DELAY };
	e.original_recipients = (const char *const[]){ NULL, "rfc822;y+orig@a.test" };
	r = send_to(c, e);
	accepted(r, 0, "mx.b.test");
	accepted(r, 1, "mx.a.test");
	ph_client_free(c);
	finish(a);
	finish(b);
}

static void
the_time_that_has_gone_is_off_the_deadline(void **state)
{
	static const struct known table[] = {
		{ "a.test", PH__DNS_MX, "10 mx.test", false }, { "mx.test", PH__DNS_A, "127.0.0.1", false },
	};
	struct peer *p = SERVE("127.0.0.1", ">220 a", "<EHLO", ">250-a", ">250 DELIVERBY", "<MAIL FROM:<a@me.test> BY=50;N",
	                       ">250 ok", "<RCPT", ">250 ok", "<DATA", ">354 go", ".", ">250 ok", "$");
	struct ph_client *c = DIRECT(table);
	struct ph_envelope e = TO("x@a.test");
	struct ph_source *s = source_of(MESSAGE);
	const struct ph_record *r = NULL;

	(void)state;
	e.by_mode = PH_BY_NOTIFY;
	e.by_seconds = 60;
	OK(ph_client_submit(c, &e, s, NULL, &err));
	c->first->mail->submitted_us -= 10000000;
	OK(ph_client_next(c, &r, NULL, &err));
	e.by_mode = PH_BY_RETURN;
	OK(ph_client_submit(c, &e, s, NULL, &err));
	c->first->mail->submitted_us -= 60000000;
	FAILS(ph_client_next(c, &r, NULL, &err), PH_EREFUSED, PH_STAGE_ROUTE, PH_CAUSE_TIMEOUT);
	has_enhanced(r, 0, 5, 4, 7);
	ph_source_free(s);
	ph_client_free(c);
	finish(p);
}

/* ---- the next address, the next server ------------------------------------------------------- */

static const struct known two_addresses[] = {
	{ "a.test", PH__DNS_MX, "10 mx.test", false }, { "mx.test", PH__DNS_A, "127.0.0.1", false },
	{ "mx.test", PH__DNS_A, "127.0.0.2", false },
};
static const struct known two_hosts[] = {
	{ "a.test", PH__DNS_MX, "10 mx1.test", false }, { "a.test", PH__DNS_MX, "20 mx2.test", false },
	{ "mx1.test", PH__DNS_A, "127.0.0.1", false }, { "mx2.test", PH__DNS_A, "127.0.0.2", false },
};

static void
a_dead_address_is_followed_by_the_next(void **state)
{
	struct peer *p = SERVE("127.0.0.2", ">220 a", "@", "$");
	struct ph_client *c = DIRECT(two_addresses);
	const struct ph_record *r;

	(void)state;
	r = send_to(c, TO("x@a.test"));
	accepted(r, 0, "mx.test");
	assert_string_equal(r->sessions[0]->address, "127.0.0.2");
	ph_client_free(c);
	finish(p);
}

static void
a_busy_address_is_followed_by_the_next(void **state)
{
	struct peer *a = SERVE("127.0.0.1", ">421 4.3.2 busy", "$"), *b = SERVE("127.0.0.2", ">220 b", "@", "$");
	struct ph_client *c = DIRECT(two_addresses);
	const struct ph_record *r;

	(void)state;
	r = send_to(c, TO("x@a.test"));
	accepted(r, 0, "mx.test");
	assert_int_equal(ph_record_recipient(r, 0)->session, r->session_count - 1);
	ph_client_free(c);
	finish(a);
	finish(b);
}

static void
a_deferring_server_is_followed_by_the_next(void **state)
{
	struct peer *a = SERVE("127.0.0.1", GREET, "<MAIL", ">250 ok", "<RCPT", ">450 4.2.0 greylisted",
	                       "<QUIT", ">221 bye", "$");
	struct peer *b = SERVE("127.0.0.2", ">220 b", "@", "$");
	struct ph_client *c = DIRECT(two_hosts);
	const struct ph_record *r;

	(void)state;
	r = send_to(c, TO("x@a.test"));
	accepted(r, 0, "mx2.test");
	assert_int_equal(r->session_count, 2);
	ph_client_free(c);
	finish_early(a);
	finish(b);
}

static void
only_the_undecided_go_on_to_the_next(void **state)
{
	struct peer *a = SERVE("127.0.0.1", GREET, "<MAIL", ">250 ok", "<RCPT TO:<x@", ">250 ok",
	                       "<RCPT TO:<y@", ">450 4.2.0 later", "<RCPT TO:<z@", ">550 5.1.1 nobody",
	                       "<DATA", ">354 go", ".", ">250 2.0.0 ok", "$");
	struct peer *b = SERVE("127.0.0.2", GREET, "<MAIL", ">250 ok", "<RCPT TO:<y@a.test>", ">250 ok",
	                       "<DATA", ">354 go", ".", ">250 2.0.0 ok", "$");
	struct ph_client *c = DIRECT(two_hosts);
	const struct ph_record *r;

	(void)state;
	r = send_to(c, TO("x@a.test", "y@a.test", "z@a.test"));
	accepted(r, 0, "mx1.test");
	accepted(r, 1, "mx2.test");
	became(r, 2, PH_REFUSED, PH_ENOUSER, PH_STAGE_RCPT, 550);
	assert_int_equal(ph_record_recipient(r, 2)->session, 0);
	error_has(r, "mx1.test: the server does not take mail for this recipient: 550 5.1.1 nobody");
	ph_client_free(c);
	finish(a);
	finish(b);
}

static void
a_refused_recipient_is_refused_for_good(void **state)
{
	struct peer *a = SERVE("127.0.0.1", ">220 a", "@", "$");
	struct ph_client *c = DIRECT(two_hosts);
	const struct ph_record *r;

	(void)state;
	a->mind.rcpt = "550 5.1.1 nobody\r\n";
	r = send_to(c, TO("x@a.test"));
	became(r, 0, PH_REFUSED, PH_ENOUSER, PH_STAGE_RCPT, 550);
	assert_int_equal(r->session_count, 1);
	ph_client_free(c);
	finish(a);
}

static void
a_server_that_wants_no_mail_is_followed_by_the_next_and_the_last_defers(void **state)
{
	struct peer *a = SERVE("127.0.0.1", ">554 5.7.1 no mail from you", "$", "|", ">554 5.7.1 no mail", "$");
	struct peer *b = SERVE("127.0.0.2", ">220 b", "@1", "|", ">554 5.7.1 nor here", "$");
	struct ph_client *c = DIRECT(two_hosts);
	const struct ph_record *r;

	(void)state;
	r = send_to(c, TO("x@a.test"));
	accepted(r, 0, "mx2.test");
	ph_client_close(c);
	r = send_to(c, TO("x@a.test"));
	became(r, 0, PH_DEFERRED, PH_EDEFERRED, PH_STAGE_GREETING, 554);
	assert_int_equal(ph_record_exit_status(r), 75);
	error_has(r, "mx2.test");
	error_has(r, "a.test");
	ph_client_free(c);
	finish(a);
	finish(b);
}

static void
what_is_in_doubt_is_never_sent_again(void **state)
{
	struct peer *a = SERVE("127.0.0.1", GREET, "<MAIL", ">250 ok", "<RCPT", ">250 ok", "<DATA", ">354 go",
	                       ".", "!");
	struct ph_client *c = DIRECT(two_hosts);
	const struct ph_record *r;

	(void)state;
	r = send_to(c, TO("x@a.test"));
	became(r, 0, PH_IN_DOUBT, PH_EINDOUBT, PH_STAGE_BODY, 0);
	assert_int_equal(r->session_count, 1);
	ph_client_free(c);
	finish(a);
}

static void
a_server_lost_half_way_is_followed_by_the_next(void **state)
{
	struct peer *a = SERVE("127.0.0.1", GREET, "<MAIL", ">250 ok", "<RCPT", "x");
	struct peer *b = SERVE("127.0.0.2", ">220 b", "@", "$");
	struct ph_client *c = DIRECT(two_hosts);

	(void)state;
	accepted(send_to(c, TO("x@a.test")), 0, "mx2.test");
	ph_client_free(c);
	finish(a);
	assert_string_equal(b->mind.body, MESSAGE); /* from its beginning */
	finish(b);
}

static void
no_more_addresses_are_tried_than_allowed(void **state)
{
	struct peer *a = SERVE("127.0.0.1", ">421 busy", "$");
	struct ph_client *c = DIRECT(two_hosts, .direct = &(struct ph_direct_opts){ PH_DIRECT_OPTS_INIT,
	                             .mx_port = port, .addresses = 1 });
	const struct ph_record *r;

	(void)state;
	r = send_to(c, TO("x@a.test"));
	became(r, 0, PH_DEFERRED, PH_EDEFERRED, PH_STAGE_GREETING, 421);
	assert_int_equal(r->session_count, 1);
	ph_client_free(c);
	finish(a);
}

static void
a_network_that_does_not_answer_goes_last_for_a_while(void **state)
{
	static const struct known table[] = {
		{ "a.test", PH__DNS_MX, "10 mx.test", false }, { "mx.test", PH__DNS_A, "127.0.0.1", false },
		{ "mx.test", PH__DNS_AAAA, "::1", false },
	};
	struct peer *p = SERVE("127.0.0.1", ">220 a", "@1", "|", ">220 a", "@", "$");
	struct ph_client *c = DIRECT(table);
	const struct ph_record *r;
	uint64_t until;

	(void)state;
	r = send_to(c, TO("x@a.test"));
	accepted(r, 0, "mx.test");
	assert_int_not_equal(c->direct->bad[0].until_ms, 0);
	ph_client_close(c);
	until = --c->direct->bad[0].until_ms;
	accepted(send_to(c, TO("x@a.test")), 0, "mx.test");
	assert_int_equal(c->direct->bad[0].until_ms, until); /* it was not dialled again */
	ph_client_free(c);
	finish(p);
}

static void
nobody_who_listens_is_deferred_and_named(void **state)
{
	struct ph_client *c = DIRECT(two_hosts);
	const struct ph_record *r;

	(void)state;
	r = send_to(c, TO("x@a.test"));
	became(r, 0, PH_DEFERRED, PH_EDEFERRED, PH_STAGE_CONNECT, 0);
	error_has(r, "mx2.test");
	error_has(r, "a.test");
	assert_int_equal(r->session_count, 2);
	ph_client_free(c);
}

/* ---- no server at all ------------------------------------------------------------------------ */

static void
who_cannot_be_routed_has_no_session(void **state)
{
	static const struct known table[] = {
		{ "a.test", PH__DNS_MX, "10 mx.test", false }, { "mx.test", PH__DNS_A, "127.0.0.1", false },
		{ "null.test", PH__DNS_MX, "0 .", false }, { "late.test", PH__DNS_MX, "FAILED", false },
	};
	struct peer *p = SERVE("127.0.0.1", ">220 a", "@", "$");
	struct ph_client *c = DIRECT(table);
	const struct ph_record *r;

	(void)state;
	r = send_to(c, TO("x@a.test", "x@null.test", "x@none.test", "x@late.test", "postmaster"));
	accepted(r, 0, "mx.test");
	assert_int_equal(ph_record_recipient(r, 1)->outcome, PH_REFUSED);
	assert_int_equal(ph_record_recipient(r, 1)->code, PH_ENOHOST);
	assert_int_equal(ph_record_recipient(r, 1)->cause, PH_CAUSE_NULL_MX);
	has_enhanced(r, 1, 5, 1, 10);
	assert_int_equal(ph_record_recipient(r, 2)->outcome, PH_REFUSED);
	assert_int_equal(ph_record_recipient(r, 2)->code, PH_ENOHOST);
	assert_int_equal(ph_record_recipient(r, 3)->outcome, PH_DEFERRED);
	assert_int_equal(ph_record_recipient(r, 3)->code, PH_EDEFERRED);
	became(r, 4, PH_REFUSED, PH_EINPUT, PH_STAGE_ROUTE, 0);
	for (size_t i = 1; i < 5; i++)
		assert_int_equal(ph_record_recipient(r, i)->session, UINT_MAX);
	error_has(r, "null.test");
	assert_null(ph_record_recipient_error(r, 0));
	assert_true(holds(ph_record_recipient_error(r, 2)->text, "none.test"));
	assert_null(ph_record_recipient_error(r, 5));
	json_has(r, "{\"address\":\"x@null.test\",\"outcome\":\"refused\",\"session\":null");
	ph_client_free(c);
	finish(p);
}

static void
a_sender_who_takes_no_mail_is_refused_before_anything_is_sent(void **state)
{
	static const struct known table[] = {
		{ "a.test", PH__DNS_MX, "10 mx.test", false }, { "mx.test", PH__DNS_A, "127.0.0.1", false },
		{ "me.test", PH__DNS_MX, "0 .", false },
	};
	struct ph_client *c = DIRECT(table);
	const struct ph_record *r;

	(void)state;
	r = send_to(c, TO("x@a.test"));
	became(r, 0, PH_REFUSED, PH_EREFUSED, PH_STAGE_ROUTE, 0);
	has_enhanced(r, 0, 5, 7, 27);
	assert_int_equal(r->session_count, 0);
	error_has(r, "me.test");
	ph_client_free(c);
}

/* ---- how securely ---------------------------------------------------------------------------- */

static char good_tlsa[80];

static const struct known dane[] = {
	{ "a.test", PH__DNS_MX, "10 mx.test", true }, { "mx.test", PH__DNS_A, "127.0.0.1", true },
	{ NULL, PH__DNS_TLSA, good_tlsa, true },
};
static struct known dane_now[3];

/* The TLSA record's name has the port in it. */
static struct ph_client *
dane_client(const char *tlsa)
{
	static char name[64];

	snprintf(name, sizeof name, "_%u._tcp.mx.test", port);
	memcpy(dane_now, dane, sizeof dane);
	dane_now[2].name = name;
	if (tlsa != NULL)
		dane_now[2].data = tlsa;
	return direct_with(dane_now, 3, (struct ph_client_opts){ .size = 0 });
}

static void
make_tlsa(void)
{
	unsigned char *der = NULL, digest[32];
	int n = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(rig_good.cert), &der);
	size_t at = (size_t)snprintf(good_tlsa, sizeof good_tlsa, "3 1 1 ");

	assert_int_equal(EVP_Digest(der, (size_t)n, digest, NULL, EVP_sha256(), NULL), 1);
	for (size_t i = 0; i < 32; i++)
		at += (size_t)snprintf(good_tlsa + at, sizeof good_tlsa - at, "%02x", digest[i]);
	OPENSSL_free(der);
}

static void
dane_is_followed(void **state)
{
	struct peer *p;
	struct ph_client *c;
	const struct ph_record *r;

	(void)state;
	make_tlsa();
	p = SERVE("127.0.0.1", ">220 a", "<EHLO", ">250-a", ">250 STARTTLS", "<STARTTLS", ">220 go", "~", "@", "$");
	c = dane_client(NULL);
	r = send_to(c, TO("x@a.test"));
	accepted(r, 0, "mx.test");
	assert_true(r->sessions[0]->tls.verified);
	assert_string_equal(r->sessions[0]->policy, "dane");
	json_has(r, "\"dnssec\":\"secure\",\"policy\":\"dane\"");
	json_has(r, good_tlsa);
	ph_client_free(c);
	finish(p);
}

static void
a_certificate_that_matches_no_tlsa_record_gets_nothing(void **state)
{
	struct peer *p = SERVE("127.0.0.1", ">220 a", "<EHLO", ">250-a", ">250 STARTTLS", "<STARTTLS",
	                       ">220 go", "~", "$");
	struct ph_client *c = dane_client(
		"3 1 1 00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff");
	const struct ph_record *r;

	(void)state;
	r = send_to(c, TO("x@a.test"));
	became(r, 0, PH_DEFERRED, PH_ESECURITY, PH_STAGE_TLS, 0);
	assert_int_equal(r->session_count, 1); /* no second one in clear */
	ph_client_free(c);
	assert_int_equal(p->connections, 1);
	finish(p);
}

#define STRIPPED ">220 a", "<EHLO", ">250-a", ">250 8BITMIME", "<QUIT", ">221 bye", "$"

static void
starttls_stripped_under_dane_sends_nothing(void **state)
{
	struct peer *p;
	struct ph_client *c;
	const struct ph_record *r;

	(void)state;
	make_tlsa();
	p = SERVE("127.0.0.1", STRIPPED);
	c = dane_client(NULL);
	r = send_to(c, TO("x@a.test"));
	became(r, 0, PH_DEFERRED, PH_ESECURITY, PH_STAGE_STARTTLS, 0);
	assert_int_equal(ph_record_exit_status(r), 78);
	error_has(r, "mx.test");
	ph_client_free(c);
	finish_early(p);
}

static void
tlsa_records_that_are_of_no_use_demand_tls_all_the_same(void **state)
{
	struct peer *p = SERVE("127.0.0.1", STRIPPED);
	struct ph_client *c = dane_client(
		"1 1 1 00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff");

	(void)state;
	became(send_to(c, TO("x@a.test")), 0, PH_DEFERRED, PH_ESECURITY, PH_STAGE_STARTTLS, 0);
	ph_client_free(c);
	finish_early(p);
}

static const struct known sts[] = {
	{ "a.test", PH__DNS_MX, "10 mx.test", false }, { "mx.test", PH__DNS_A, "127.0.0.1", false },
	{ "_mta-sts.a.test", PH__DNS_TXT, "v=STSv1; id=7;", false },
};
static char *sts_patterns[] = { "mx.test" };
static struct ph__sts_policy sts_policy = { PH__STS_ENFORCE, 86400, "7", sts_patterns, 1 };

static void
an_enforced_policy_is_followed(void **state)
{
	struct peer *p = SERVE("127.0.0.1", ">220 a", "<EHLO", ">250-a", ">250 STARTTLS", "<STARTTLS",
	                       ">220 go", "~", "@", "$");
	struct ph_client *c = DIRECT(sts);
	const struct ph_record *r;

	(void)state;
	zone_policy = &sts_policy;
	sts_policy.mode = PH__STS_ENFORCE;
	r = send_to(c, TO("x@a.test"));
	accepted(r, 0, "mx.test");
	assert_true(r->sessions[0]->tls.verified);
	json_has(r, "\"policy\":\"mta-sts\",\"mode\":\"enforce\",\"policy_id\":\"7\"");
	ph_client_free(c);
	finish(p);
}

static void
starttls_stripped_under_an_enforced_policy_sends_nothing(void **state)
{
	struct peer *p = SERVE("127.0.0.1", STRIPPED);
	struct ph_client *c = DIRECT(sts);

	(void)state;
	zone_policy = &sts_policy;
	sts_policy.mode = PH__STS_ENFORCE;
	became(send_to(c, TO("x@a.test")), 0, PH_DEFERRED, PH_ESECURITY, PH_STAGE_STARTTLS, 0);
	ph_client_free(c);
	finish_early(p);
}

static void
a_policy_in_testing_lets_the_message_go(void **state)
{
	struct peer *p = SERVE("127.0.0.1", ">220 a", "@", "$");
	struct ph_client *c = DIRECT(sts);
	const struct ph_record *r;

	(void)state;
	zone_policy = &sts_policy;
	sts_policy.mode = PH__STS_TESTING;
	r = send_to(c, TO("x@a.test"));
	accepted(r, 0, "mx.test");
	json_has(r, "\"policy\":\"mta-sts\",\"mode\":\"testing\"");
	ph_client_free(c);
	finish(p);
}

static void
tls_required_no_relaxes_what_domains_demand(void **state)
{
	struct peer *p = SERVE("127.0.0.1", ">220 a", "@", "$");
	struct ph_client *c = DIRECT(sts);
	struct ph_source *s = source_of("TLS-Required: No\r\n" MESSAGE);
	struct ph_envelope e = TO("x@a.test");
	const struct ph_record *r = NULL;

	(void)state;
	zone_policy = &sts_policy;
	sts_policy.mode = PH__STS_ENFORCE;
	OK(ph_client_sendmail(c, &e, s, &r, &err));
	accepted(r, 0, "mx.test");
	json_has(r, "\"policy\":\"none\",\"mode\":null,\"policy_id\":null,\"problem\":null,\"relaxed\":true");
	ph_source_free(s);
	ph_client_free(c);
	finish(p);
}

static void
tls_required_says_nothing_twice_or_to_requiretls(void **state)
{
	struct peer *p = SERVE("127.0.0.1", STRIPPED, "|", STRIPPED);
	struct ph_client *c = DIRECT(sts);
	struct ph_source *twice = source_of("TLS-Required: No\r\nTLS-Required: No\r\n" MESSAGE);
	struct ph_source *once = source_of("TLS-Required: No\r\n" MESSAGE);
	struct ph_envelope e = TO("x@a.test");
	const struct ph_record *r = NULL;

	(void)state;
	zone_policy = &sts_policy;
	sts_policy.mode = PH__STS_ENFORCE;
	ph_client_sendmail(c, &e, twice, &r, NULL);
	became(r, 0, PH_DEFERRED, PH_ESECURITY, PH_STAGE_STARTTLS, 0);
	e.require_tls = true;
	ph_client_sendmail(c, &e, once, &r, NULL);
	became(r, 0, PH_REFUSED, PH_EREFUSED, PH_STAGE_STARTTLS, 0);
	has_enhanced(r, 0, 5, 7, 10);
	ph_source_free(once);
	ph_source_free(twice);
	ph_client_free(c);
	finish_early(p);
}

static void
requiretls_does_not_go_to_servers_that_nobody_vouches_for(void **state)
{
	struct ph_client *c = DIRECT(two_hosts);
	struct ph_envelope e = TO("x@a.test");
	const struct ph_record *r;

	(void)state;
	e.require_tls = true;
	r = send_to(c, e);
	assert_int_equal(ph_record_recipient(r, 0)->outcome, PH_REFUSED);
	assert_int_equal(ph_record_recipient(r, 0)->code, PH_EREFUSED);
	has_enhanced(r, 0, 5, 7, 30);
	assert_int_equal(r->session_count, 2);
	ph_client_free(c);
}

static void
requiretls_is_deferred_while_a_server_may_come_back(void **state)
{
	static const struct known table[] = {
		{ "a.test", PH__DNS_MX, "10 mx.test", true }, { "mx.test", PH__DNS_A, "127.0.0.1", true },
	};
	struct ph_client *c = DIRECT(table);
	struct ph_envelope e = TO("x@a.test");

	(void)state;
	e.require_tls = true;
	became(send_to(c, e), 0, PH_DEFERRED, PH_EDEFERRED, PH_STAGE_CONNECT, 0);
	ph_client_free(c);
}

/* ---- what one message may do, and the next may not -------------------------------------------- */

#define STARTTLS ">220 a", "<EHLO", ">250-a", ">250 STARTTLS", "<STARTTLS", ">220 go", "~"

static const struct known two_domains[] = {
	{ "a.test", PH__DNS_MX, "10 mx.test", false }, { "b.test", PH__DNS_MX, "10 mx.test", false },
	{ "mx.test", PH__DNS_A, "127.0.0.1", false },
};

static void
a_connection_is_not_used_again_where_more_is_demanded(void **state)
{
	struct peer *p = SERVE("127.0.0.1", ">220 a", "@1", "|", STRIPPED);
	struct ph_client *c = DIRECT(two_domains);

	(void)state;
	accepted(send_to(c, TO("x@a.test")), 0, "mx.test");
	zone_policy = &sts_policy;
	sts_policy.mode = PH__STS_ENFORCE;
	became(send_to(c, TO("x@b.test")), 0, PH_DEFERRED, PH_ESECURITY, PH_STAGE_STARTTLS, 0);
	assert_int_equal(p->connections, 2);
	ph_client_free(c);
	finish_early(p);
}

static void
a_connection_is_not_used_again_under_other_tlsa_records(void **state)
{
	static const char other[] = "3 1 1 00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
	struct known table[4];
	struct peer *p;
	struct ph_client *c;

	(void)state;
	make_tlsa();
	p = SERVE("127.0.0.1", STARTTLS, "@1", "|", STARTTLS, "$");
	c = dane_client(NULL);
	memcpy(table, dane_now, sizeof dane_now);
	zone = table;
	zone_len = 4;
	table[0].secure = false; /* else the domain's name keeps them apart already */
	table[3] = (struct known){ "b.test", PH__DNS_MX, "10 mx.test", false };
	accepted(send_to(c, TO("x@a.test")), 0, "mx.test");
	table[2].data = other;
	became(send_to(c, TO("x@b.test")), 0, PH_DEFERRED, PH_ESECURITY, PH_STAGE_TLS, 0);
	ph_client_free(c);
	finish_early(p);
}

/* The authority's key, whole. */
static void
write_authority(char *tlsa, size_t size)
{
	unsigned char *der = NULL;
	int n = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(rig_ca.cert), &der);
	size_t at = (size_t)snprintf(tlsa, size, "2 1 0 ");

	for (int i = 0; i < n; i++)
		at += (size_t)snprintf(tlsa + at, size - at, "%02x", der[i]);
	OPENSSL_free(der);
}

/* RFC 7672 §3.2.2: the certificate has the name of one domain, not of the other with the same server */
static void
below_an_authority_each_domain_goes_by_its_own_name(void **state)
{
	struct ident who = ca_make((struct cert_spec){ .cn = "a", .san = "DNS:a.test", .issuer = &rig_ca });
	static char name[64], tlsa[2048];
	struct known table[] = {
		{ "a.test", PH__DNS_MX, "10 mx.test", true }, { "b.test", PH__DNS_MX, "10 mx.test", true },
		{ "mx.test", PH__DNS_A, "127.0.0.1", true }, { name, PH__DNS_TLSA, tlsa, true },
	};
	struct peer *p = serve_as("127.0.0.1", &who, SCRIPT(STARTTLS, "@1", "|", STARTTLS, "$"));
	struct ph_client *c = DIRECT(table);

	(void)state;
	write_authority(tlsa, sizeof tlsa);
	snprintf(name, sizeof name, "_%u._tcp.mx.test", port);
	accepted(send_to(c, TO("x@a.test")), 0, "mx.test");
	became(send_to(c, TO("x@b.test")), 0, PH_DEFERRED, PH_ESECURITY, PH_STAGE_TLS, 0);
	ph_client_free(c);
	finish_early(p);
	ca_free(&who);
}

/* RFC 7672 §2.2.3, §3.2.1: the certificate has the name of where the alias leads */
static void
below_an_authority_the_end_of_an_alias_is_the_name(void **state)
{
	struct ident who = ca_make((struct cert_spec){ .cn = "a", .san = "DNS:host.test", .issuer = &rig_ca });
	static char name[64], tlsa[2048];
	struct known table[] = {
		{ "a.test", PH__DNS_MX, "10 mx.test", true },
		{ "mx.test", PH__DNS_A, "127.0.0.1", true, "host.test" }, { name, PH__DNS_TLSA, tlsa, true },
	};
	struct peer *p = serve_as("127.0.0.1", &who, SCRIPT(STARTTLS, "@", "$"));
	struct ph_client *c = DIRECT(table);

	(void)state;
	write_authority(tlsa, sizeof tlsa);
	snprintf(name, sizeof name, "_%u._tcp.host.test", port);
	accepted(send_to(c, TO("x@a.test")), 0, "mx.test");
	ph_client_free(c);
	finish_early(p);
	ca_free(&who);
}

static void
tls_required_no_is_for_one_message(void **state)
{
	struct peer *p = SERVE("127.0.0.1", ">220 a", "@1", "|", STRIPPED);
	struct ph_client *c = DIRECT(sts);
	struct ph_source *s = source_of("TLS-Required:\r\n no \r\n" MESSAGE);
	struct ph_envelope e = TO("x@a.test");

	(void)state;
	zone_policy = &sts_policy;
	sts_policy.mode = PH__STS_ENFORCE;
	OK(ph_client_sendmail(c, &e, s, NULL, &err));
	became(send_to(c, e), 0, PH_DEFERRED, PH_ESECURITY, PH_STAGE_STARTTLS, 0);
	ph_source_free(s);
	ph_client_free(c);
	finish_early(p);
}

static void
tls_required_no_relaxes_dane_too(void **state)
{
	struct peer *p;
	struct ph_client *c;
	struct ph_source *s = source_of("TLS-Required: No\r\n" MESSAGE);
	struct ph_envelope e = TO("x@a.test");

	(void)state;
	make_tlsa();
	p = SERVE("127.0.0.1", ">220 a", "@", "$");
	c = dane_client(NULL);
	OK(ph_client_sendmail(c, &e, s, NULL, &err));
	ph_source_free(s);
	ph_client_free(c);
	finish(p);
}

/* It waives what domains demand, not what the user does. */
static void
tls_required_no_does_not_overrule_the_user(void **state)
{
	static const char *const heads[] = { MESSAGE, "TLS-Required: No\r\n" MESSAGE };
	const struct ph_direct_opts d = { PH_DIRECT_OPTS_INIT, .mx_port = port, .dane = PH_DANE_REQUIRED };
	const struct ph_tls_opts verified = { PH_TLS_OPTS_INIT, .mode = PH_TLS_STARTTLS };
	struct ph_envelope e = TO("x@a.test");
	const struct ph_record *r = NULL;

	(void)state;
	for (size_t i = 0; i < COUNT(heads); i++) {
		struct ph_source *s = source_of(heads[i]);
		struct ph_client *c = DIRECT(two_domains, .direct = &d);
		struct peer *p;

		ph_client_sendmail(c, &e, s, &r, NULL);
		became(r, 0, PH_DEFERRED, PH_ESECURITY, PH_STAGE_ROUTE, 0);
		ph_client_free(c);
		p = SERVE("127.0.0.1", STRIPPED);
		c = DIRECT(two_domains, .tls = &verified);
		ph_client_sendmail(c, &e, s, &r, NULL);
		became(r, 0, PH_DEFERRED, PH_ESECURITY, PH_STAGE_STARTTLS, 0);
		ph_client_free(c);
		finish_early(p);
		ph_source_free(s);
	}
}

/* ---- servers that are passed over -------------------------------------------------------------- */

/* RFC 8461 §5: not tried, deferred, and reported */
static void
a_server_outside_of_an_enforced_policy_is_not_dialled(void **state)
{
	static char *others[] = { "other.test" };
	struct ph__sts_policy p = { PH__STS_ENFORCE, 86400, "7", others, 1 };
	struct ph_direct_opts d = { PH_DIRECT_OPTS_INIT, .mx_port = port };
	struct ph_client *c = DIRECT(sts, .direct = &d);
	const struct ph_record *r;

	(void)state;
	zone_policy = &p;
	r = send_to(c, TO("x@a.test"));
	became(r, 0, PH_DEFERRED, PH_EDEFERRED, PH_STAGE_ROUTE, 0);
	json_has(r, "\"result\":\"validation-failure\"");
	ph_client_free(c);
	d.no_mta_sts = true;
	c = DIRECT(sts, .direct = &d);
	became(send_to(c, TO("x@a.test")), 0, PH_DEFERRED, PH_EDEFERRED, PH_STAGE_CONNECT, 0);
	ph_client_free(c);
}

/* RFC 8461 §5, RFC 8460 §4.3 */
static void
a_server_outside_of_a_policy_in_testing_is_reported(void **state)
{
	static char *others[] = { "other.test" };
	struct ph__sts_policy policy = { PH__STS_TESTING, 86400, "7", others, 1 };
	struct peer *p = SERVE("127.0.0.1", STARTTLS, "@", "$");
	struct ph_client *c = DIRECT(sts);
	const struct ph_record *r;

	(void)state;
	zone_policy = &policy;
	r = send_to(c, TO("x@a.test"));
	accepted(r, 0, "mx.test");
	json_has(r, "\"result\":\"validation-failure\"");
	ph_client_free(c);
	finish(p);
}

/* RFC 7672 §2.1.2, RFC 8460 §4.3.2.1 */
static void
tlsa_records_that_cannot_be_looked_up_defer_and_are_reported(void **state)
{
	struct ph_client *c = dane_client("FAILED");
	const struct ph_record *r;

	(void)state;
	r = send_to(c, TO("x@a.test"));
	became(r, 0, PH_DEFERRED, PH_EDEFERRED, PH_STAGE_ROUTE, 0);
	json_has(r, "\"result\":\"dnssec-invalid\"");
	ph_client_free(c);
}

/* A whole certificate that is none: the domain's fault, as if it matched no server. */
static void
tlsa_records_that_only_the_handshake_finds_wrong_send_nothing(void **state)
{
	struct peer *p = SERVE("127.0.0.1", STARTTLS, "$");
	struct ph_client *c = dane_client("3 0 0 30020500");
	const struct ph_recipient_outcome *o;

	(void)state;
	o = ph_record_recipient(send_to(c, TO("x@a.test")), 0);
	assert_int_equal(o->outcome, PH_DEFERRED);
	assert_int_equal(o->code, PH_ESECURITY);
	ph_client_free(c);
	finish_early(p);
}

static void
what_has_no_server_at_all_is_refused(void **state)
{
	static const struct known table[] = {
		{ "a.test", PH__DNS_MX, "10 none.test", false }, { "a.test", PH__DNS_A, "127.0.0.1", false },
		{ "b.test", PH__DNS_MX, "10 here.test", false }, { "b.test", PH__DNS_MX, "20 b.test", false },
	};
	const char *const own[] = { "here.test" };
	struct ph_client *c = DIRECT(table, .direct = &(struct ph_direct_opts){ PH_DIRECT_OPTS_INIT,
	                             .mx_port = port, .own_names = own, .own_name_count = 1 });
	const struct ph_record *r;

	(void)state;
	r = send_to(c, TO("x@a.test", "x@b.test"));
	became(r, 0, PH_REFUSED, PH_ENOHOST, PH_STAGE_ROUTE, 0);
	has_enhanced(r, 0, 5, 4, 4);
	became(r, 1, PH_REFUSED, PH_EREFUSED, PH_STAGE_ROUTE, 0);
	has_enhanced(r, 1, 5, 4, 6);
	ph_client_free(c);
}

static void
what_a_server_does_not_offer_is_not_asked_for_at_its_other_addresses(void **state)
{
	static const struct known table[] = {
		{ "a.test", PH__DNS_MX, "10 mx1.test", false }, { "a.test", PH__DNS_MX, "20 mx2.test", false },
		{ "mx1.test", PH__DNS_A, "127.0.0.1", false }, { "mx1.test", PH__DNS_A, "127.0.0.3", false },
		{ "mx2.test", PH__DNS_A, "127.0.0.2", false },
	};
	struct peer *a = SERVE("127.0.0.1", ">220 a", "<EHLO", ">250-a", ">250 SIZE 10", "$");
	struct peer *b = SERVE("127.0.0.2", ">220 b", "@", "$");
	struct ph_client *c = DIRECT(table);
	const struct ph_record *r;

	(void)state;
	r = send_to(c, TO("x@a.test"));
	accepted(r, 0, "mx2.test");
	assert_int_equal(r->session_count, 2);
	ph_client_free(c);
	finish_early(a);
	finish(b);
}

/* ---- REQUIRETLS (RFC 8689 §4.2.1) -------------------------------------------------------------- */

static void
requiretls_is_met_by_a_proved_server_that_offers_it(void **state)
{
	static const struct known table[] = {
		{ "a.test", PH__DNS_MX, "10 mx.test", true }, { "mx.test", PH__DNS_A, "127.0.0.1", false },
	};
	struct peer *p = SERVE("127.0.0.1", STARTTLS, "<EHLO", ">250-a", ">250 REQUIRETLS",
	                       "<MAIL FROM:<a@me.test> REQUIRETLS", ">250 ok", "<RCPT", ">250 ok", "<DATA",
	                       ">354 go", ".", ">250 2.0.0 ok", "$");
	struct ph_client *c = DIRECT(table);
	struct ph_envelope e = TO("x@a.test");

	(void)state;
	e.require_tls = true;
	accepted(send_to(c, e), 0, "mx.test");
	ph_client_free(c);
	finish(p);
}

static void
requiretls_wants_the_servers_name_where_nothing_else_does(void **state)
{
	struct ident who = ca_make((struct cert_spec){ .cn = "a", .san = "DNS:a.test", .issuer = &rig_ca });
	static const struct known table[] = {
		{ "a.test", PH__DNS_MX, "10 mx.test", true }, { "mx.test", PH__DNS_A, "127.0.0.1", false },
	};
	struct peer *p = serve_as("127.0.0.1", &who, SCRIPT(STARTTLS, "$"));
	struct ph_client *c = DIRECT(table);
	struct ph_envelope e = TO("x@a.test");
	const struct ph_record *r;

	(void)state;
	e.require_tls = true;
	r = send_to(c, e);
	became(r, 0, PH_REFUSED, PH_EREFUSED, PH_STAGE_TLS, 0);
	has_enhanced(r, 0, 5, 7, 10);
	ph_client_free(c);
	finish_early(p);
	ca_free(&who);
}

static void
requiretls_judges_each_domain_by_its_own_records(void **state)
{
	static const struct known table[] = {
		{ "a.test", PH__DNS_MX, "10 mx.test", true }, { "b.test", PH__DNS_MX, "10 mx.test", false },
		{ "mx.test", PH__DNS_A, "127.0.0.1", false },
	};
	struct ph_client *c = DIRECT(table);
	struct ph_envelope e = TO("x@a.test", "y@b.test");
	const struct ph_record *r;

	(void)state;
	e.require_tls = true;
	r = send_to(c, e);
	became(r, 0, PH_DEFERRED, PH_EDEFERRED, PH_STAGE_CONNECT, 0); /* nobody is there now */
	became(r, 1, PH_REFUSED, PH_EREFUSED, PH_STAGE_ROUTE, 0);
	has_enhanced(r, 1, 5, 7, 30);
	ph_client_free(c);
}

static void
requiretls_is_deferred_while_another_server_may_do_it(void **state)
{
	static const struct known table[] = {
		{ "a.test", PH__DNS_MX, "10 mx1.test", true }, { "a.test", PH__DNS_MX, "20 mx2.test", true },
		{ "mx1.test", PH__DNS_A, "127.0.0.1", true }, { "mx2.test", PH__DNS_A, "BOGUS", true },
	};
	struct ph_direct_opts d = { PH_DIRECT_OPTS_INIT, .mx_port = port };
	struct ph_envelope e = TO("x@a.test");

	(void)state;
	e.require_tls = true;
	for (d.addresses = 0; d.addresses < 2; d.addresses++) { /* bogus; not asked any more */
		struct peer *p = SERVE("127.0.0.1", STRIPPED);
		struct ph_client *c = DIRECT(table, .direct = &d);

		assert_int_equal(ph_record_recipient(send_to(c, e), 0)->outcome, PH_DEFERRED);
		ph_client_free(c);
		finish_early(p);
	}
}

static void
a_failed_handshake_stays_on_record_when_the_message_goes_in_clear(void **state)
{
	static const struct known table[] = {
		{ "a.test", PH__DNS_MX, "10 mx.test", false }, { "mx.test", PH__DNS_A, "127.0.0.1", false },
	};
	struct peer *p = SERVE("127.0.0.1", ">220 a", "<EHLO", ">250-a", ">250 STARTTLS", "<STARTTLS",
	                       ">220 go", "!", "|", ">220 a", "@", "$");
	struct ph_client *c = DIRECT(table);
	const struct ph_record *r;

	(void)state;
	r = send_to(c, TO("x@a.test"));
	accepted(r, 0, "mx.test");
	assert_int_equal(r->session_count, 2);
	assert_int_equal(r->sessions[0]->error.stage, PH_STAGE_TLS);
	assert_int_equal(ph_record_recipient(r, 0)->session, 1);
	ph_client_free(c);
	finish(p);
}

/* ---- the source, the caller ------------------------------------------------------------------ */

static void
a_message_that_can_be_read_once_goes_to_the_first_servers_only(void **state)
{
	static const struct known table[] = {
		{ "a.test", PH__DNS_MX, "10 mx.a.test", false }, { "mx.a.test", PH__DNS_A, "127.0.0.1", false },
		{ "b.test", PH__DNS_MX, "10 mx.b.test", false }, { "mx.b.test", PH__DNS_A, "127.0.0.2", false },
	};
	struct peer *p = SERVE("127.0.0.1", ">220 a", "@", "$");
	struct ph_client *c = DIRECT(table);
	struct ph_envelope e = TO("x@a.test", "x@b.test");
	const struct ph_record *r = NULL;
	struct ph_source *s = NULL;
	int fds[2];

	(void)state;
	assert_int_equal(pipe(fds), 0);
	assert_int_equal(write(fds[1], MESSAGE, strlen(MESSAGE)), strlen(MESSAGE));
	close(fds[1]);
	assert_int_equal(ph_source_new_pipe(&s, fds[0], NULL), PH_OK);
	assert_int_equal(ph_client_sendmail(c, &e, s, &r, NULL), PH_EPARTIAL);
	accepted(r, 0, "mx.a.test");
	became(r, 1, PH_DEFERRED, PH_EDEFERRED, PH_STAGE_ROUTE, 0);
	error_has(r, "read only once");
	assert_true(holds(ph_record_error(r)->hint, "file"));
	ph_source_free(s);
	close(fds[0]);
	ph_client_free(c);
	finish(p);
}

static void *
cancel_when_told(void *c)
{
	sem_wait(&told);
	ph_client_cancel(c);
	return NULL;
}

static void
tell_of_mail(void *user, const struct ph_trace *t)
{
	(void)user;
	if (t->direction == '>' && ph__str_begins((struct ph_str){ t->text, t->len }, "MAIL"))
		sem_post(&told);
}

static void
looking_up_can_be_cancelled(void **state)
{
	struct ph_client *c = DIRECT(two_hosts);
	const struct ph_record *r;
	pthread_t t;

	(void)state;
	zone_silent = true;
	pthread_create(&t, NULL, cancel_when_told, c);
	r = send_to(c, TO("x@a.test"));
	pthread_join(t, NULL);
	became(r, 0, PH_DEFERRED, PH_ECANCELLED, PH_STAGE_RESOLVE, 0);
	ph_client_free(c);
}

static void
sending_can_be_cancelled(void **state)
{
	struct peer *p = SERVE("127.0.0.1", GREET, "<MAIL", "$");
	struct ph_client *c = DIRECT(two_hosts);
	const struct ph_record *r;
	pthread_t t;

	(void)state;
	ph_client_set_transcript(c, tell_of_mail, NULL);
	pthread_create(&t, NULL, cancel_when_told, c);
	r = send_to(c, TO("x@a.test"));
	pthread_join(t, NULL);
	assert_int_equal(ph_record_recipient(r, 0)->outcome, PH_DEFERRED);
	assert_int_equal(ph_record_recipient(r, 0)->code, PH_ECANCELLED);
	assert_int_equal(r->session_count, 1);
	ph_client_free(c);
	finish(p);
}

static void
there_is_nothing_to_say_by_hand(void **state)
{
	struct ph_client *c = DIRECT(two_hosts);
	const struct ph_route *route;

	(void)state;
	MISUSED(ph_client_open(c, &err));
	MISUSED(ph_client_connect(c, NULL, &err));
	MISUSED(ph_client_attach_socket(c, 0, false, NULL, &err));
	MISUSED(ph_client_ehlo(c, NULL, NULL, &err));
	MISUSED(ph_client_mail(c, "a@me.test", NULL, NULL, &err));
	MISUSED(ph_client_noop(c, NULL, &err));
	MISUSED(ph_client_starttls(c, NULL, &err));
	MISUSED(ph_client_login(c, ANN, NULL, &err));
	MISUSED(ph_client_docmd(c, "NOOP", NULL, NULL, &err));
	MISUSED(ph_client_getreply(c, NULL, &err));
	MISUSED(ph_client_quit(c, NULL, &err));
	ph_client_free(c);
	c = new_client((struct ph_client_opts){ .server = "smtp://127.0.0.1" });
	MISUSED(ph_client_route(c, "a.test", &route, &err));
	ph_client_free(c);
}

static void
options_that_contradict_it_are_told(void **state)
{
	static const struct ph_direct_opts direct = { PH_DIRECT_OPTS_INIT };
	const struct ph_client_opts bad[] = {
		{ .server = "smtp://127.0.0.1" }, { .connect = "127.0.0.1" }, { .credentials = ANN },
		{ .proxy = "socks5://127.0.0.1" }, { .tls = OFF }, { .proxy_header = "v1" },
		{ .tls = &(struct ph_tls_opts){ PH_TLS_OPTS_INIT, .mode = PH_TLS_IMPLICIT } },
		{ .tls = &(struct ph_tls_opts){ PH_TLS_OPTS_INIT, .mode = PH_TLS_BY_HAND } },
		{ .tls = &(struct ph_tls_opts){ PH_TLS_OPTS_INIT, .insecure = true } },
		{ .tls = &(struct ph_tls_opts){ PH_TLS_OPTS_INIT, .server_name = "mx.test" } },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++) {
		struct ph_client_opts o = bad[i];
		struct ph_error err = PH_ERROR_INIT;
		struct ph_client *c = NULL;

		o.size = sizeof o;
		o.direct = &direct;
		assert_int_equal(ph_client_new(&c, &o, &err), PH_ECONFIG);
		assert_true(err.text[0] != '\0' && err.hint[0] != '\0');
	}
}

static void
routes_can_be_looked_at(void **state)
{
	struct ph_client *c = DIRECT(two_hosts);
	const struct ph_route *r = NULL;
	unsigned before;

	(void)state;
	OK(ph_client_route(c, "A.TEST", &r, &err));
	assert_string_equal(r->domain, "a.test");
	assert_string_equal(r->dnssec, "insecure");
	assert_int_equal(r->host_count, 2);
	assert_string_equal(r->hosts[0].name, "mx1.test");
	assert_string_equal(r->hosts[1].name, "mx2.test");
	assert_int_equal(r->hosts[1].preference, 20);
	assert_string_equal(r->hosts[1].addresses[0], "127.0.0.2");
	assert_string_equal(r->hosts[0].policy, "opportunistic");
	assert_false(r->implicit);
	before = asked;
	OK(ph_client_route(c, "a.test", &r, &err));
	assert_int_equal(asked, before); /* known */
	FAILS(ph_client_route(c, "none.test", &r, &err), PH_ENOHOST, PH_STAGE_ROUTE);
	ph_client_free(c);
}

static void
that_dns_is_not_validated_is_on_record(void **state)
{
	struct peer *p = SERVE("127.0.0.1", ">220 a", "@", "$");
	struct ph_client *c = DIRECT(two_hosts);
	const struct ph_record *r;

	(void)state;
	zone_off = "the forwarder strips signatures";
	r = send_to(c, TO("x@a.test"));
	accepted(r, 0, "mx1.test");
	json_has(r, "\"dnssec\":\"off\"");
	ph_client_free(c);
	finish(p);
}

static void
count_troubles(void *user, const struct ph_trace *t)
{
	struct ph_str text = { t->text, t->len };

	if (t->direction == '*' && (ph__str_begins(text, "DNS is not validated") ||
	                            ph__str_begins(text, "MTA-STS policies are not kept")))
		++*(unsigned *)user;
}

static void
what_look_ups_lack_is_told_once_in_the_transcript(void **state)
{
	struct peer *p = SERVE("127.0.0.1", ">220 a", "@", "$");
	struct ph_client *c = DIRECT(two_hosts);
	unsigned troubles = 0;

	(void)state;
	zone_off = "the forwarder strips signatures";
	zone_unkept = "MTA-STS policies are not kept in /x: cannot open the folder";
	ph_client_set_transcript(c, count_troubles, &troubles);
	for (int i = 0; i < 2; i++)
		accepted(send_to(c, TO("x@a.test")), 0, "mx1.test");
	assert_int_equal(troubles, 2);
	ph_client_free(c);
	finish(p);
}

static void
without_memory_everybody_has_an_outcome_or_there_is_no_record(void **state)
{
	struct failing_memory fm;

	(void)state;
	for (size_t n = 1; failing_memory_try(&fm, n); n++) {
		struct ph_client_opts o = { PH_CLIENT_OPTS_INIT, .memory = &fm.mem, .helo = "me.test",
			.direct = &(struct ph_direct_opts){ PH_DIRECT_OPTS_INIT, .mx_port = port } };
		struct ph_envelope e = TO("x@a.test", "y@none.test", "z@a.test");
		struct ph_source *s = source_of(MESSAGE);
		const struct ph_record *r = NULL;
		struct ph_client *c = NULL;

		zone = two_hosts;
		zone_len = COUNT(two_hosts);
		if (ph_client_new(&c, &o, NULL) == PH_OK) {
			c->direct->module = &fake;
			assert_int_not_equal(ph_client_sendmail(c, &e, s, &r, NULL), PH_OK);
		}
		for (size_t i = 0; r != NULL && i < 3; i++) {
			assert_int_not_equal(ph_record_recipient(r, i)->outcome, PH_PENDING);
			assert_int_not_equal(ph_record_recipient(r, i)->outcome, PH_ACCEPTED);
		}
		ph_client_free(c);
		ph_source_free(s);
		assert_int_equal(fm.live, 0);
	}
}

/* A server that takes everything in clear, and offers nothing else. */
struct gullible {
	pthread_t thread;
	int listener;
	unsigned messages;
};

static void *
take_everything(void *arg)
{
	struct gullible *g = arg;
	int fd;

	while ((fd = accept(g->listener, NULL, NULL)) >= 0) {
		char line[2048];
		bool in_data = false;
		FILE *f = fdopen(fd, "r");

		dprintf(fd, "220 mx\r\n");
		while (fgets(line, sizeof line, f) != NULL) {
			if (in_data && strcmp(line, ".\r\n") != 0)
				continue;
			g->messages += in_data;
			in_data = !in_data && strncmp(line, "DATA", 4) == 0;
			dprintf(fd, in_data ? "354 go\r\n" : strncmp(line, "QUIT", 4) == 0 ? "221 bye\r\n" : "250 ok\r\n");
		}
		fclose(f);
	}
	return NULL;
}

/* Hosts become known one by one: what has failed by the second must not make it less secure. */
static void
without_memory_no_server_is_trusted_more(void **state)
{
	enum { HOSTS = 6, RECORDS = 16 };
	static char names[HOSTS][2][32], mx[HOSTS][32], data[6 + 128 + 1];
	static struct known table[2 + HOSTS * (2 + RECORDS)];
	struct gullible server = { .listener = listen_at("127.0.0.2") };
	struct failing_memory fm;
	size_t k = 0;

	(void)state;
	snprintf(data, sizeof data, "3 1 2 %0128d", 7);
	table[k++] = (struct known){ "a.test", PH__DNS_MX, "1 dead.test", true };
	table[k++] = (struct known){ "dead.test", PH__DNS_A, "127.0.0.1", false };
	for (size_t i = 0; i < HOSTS; i++) {
		snprintf(names[i][0], sizeof names[i][0], "mx%zu.test", i);
		snprintf(names[i][1], sizeof names[i][1], "_%u._tcp.mx%zu.test", port, i);
		snprintf(mx[i], sizeof mx[i], "10 mx%zu.test", i);
		table[k++] = (struct known){ "a.test", PH__DNS_MX, mx[i], true };
		table[k++] = (struct known){ names[i][0], PH__DNS_A, "127.0.0.2", true };
		for (size_t n = 0; n < RECORDS; n++)
			table[k++] = (struct known){ names[i][1], PH__DNS_TLSA, data, true };
	}
	zone = table;
	zone_len = k;
	assert_int_equal(pthread_create(&server.thread, NULL, take_everything, &server), 0);
	for (size_t n = 1; failing_memory_try(&fm, n); n++) {
		struct ph_client_opts o = { PH_CLIENT_OPTS_INIT, .memory = &fm.mem, .helo = "me.test",
			.direct = &(struct ph_direct_opts){ PH_DIRECT_OPTS_INIT, .mx_port = port } };
		struct ph_envelope e = TO("x@a.test");
		struct ph_source *s = source_of(MESSAGE);
		const struct ph_record *r = NULL;
		struct ph_client *c = NULL;

		if (ph_client_new(&c, &o, NULL) == PH_OK) {
			c->direct->module = &fake;
			assert_int_not_equal(ph_client_sendmail(c, &e, s, &r, NULL), PH_OK);
		}
		assert_true(r == NULL || ph_record_outcome(r) == PH_DEFERRED);
		ph_client_free(c);
		ph_source_free(s);
		assert_int_equal(fm.live, 0);
	}
	shutdown(server.listener, SHUT_RDWR);
	assert_int_equal(pthread_join(server.thread, NULL), 0);
	close(server.listener);
	assert_int_equal(server.messages, 0);
}

static void
domains_beyond_number_are_asked_about_in_turn(void **state)
{
	static const struct known table[] = { { "a.test", PH__DNS_MX, "0 .", false } };
	enum { MANY = 2 * PH__ROUTES_MAX + 100 };
	static char addresses[MANY][24];
	static const char *list[MANY];
	struct ph_client *c = DIRECT(table);
	const struct ph_record *r;

	(void)state;
	for (size_t i = 0; i < MANY; i++) {
		snprintf(addresses[i], sizeof addresses[i], "u@d%zu.test", i);
		list[i] = addresses[i];
	}
	for (int again = 0; again < 2; again++) {
		r = send_to(c, (struct ph_envelope){ PH_ENVELOPE_INIT, .from = "", .recipients = list,
		                                     .recipient_count = MANY });
		assert_int_equal(ph_record_code(r), PH_ENOHOST);
		assert_int_equal(ph_record_outcome(r), PH_REFUSED);
	}
	ph_client_free(c);
}

#define T(f) cmocka_unit_test_setup(f, new_test)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(each_domain_is_delivered_to_its_own_server),
		T(domains_with_the_same_servers_share_a_transaction),
		T(a_connection_serves_the_next_message_too),
		T(an_idle_connection_that_died_is_made_anew),
		T(a_hundred_recipients_go_at_a_time),
		T(each_recipient_keeps_his_own_parameters),
		T(the_time_that_has_gone_is_off_the_deadline),
		T(a_dead_address_is_followed_by_the_next),
		T(a_busy_address_is_followed_by_the_next),
		T(a_deferring_server_is_followed_by_the_next),
		T(only_the_undecided_go_on_to_the_next),
		T(a_refused_recipient_is_refused_for_good),
		T(a_server_that_wants_no_mail_is_followed_by_the_next_and_the_last_defers),
		T(what_is_in_doubt_is_never_sent_again),
		T(a_server_lost_half_way_is_followed_by_the_next),
		T(no_more_addresses_are_tried_than_allowed),
		T(a_network_that_does_not_answer_goes_last_for_a_while),
		T(nobody_who_listens_is_deferred_and_named),
		T(who_cannot_be_routed_has_no_session),
		T(a_sender_who_takes_no_mail_is_refused_before_anything_is_sent),
		T(dane_is_followed),
		T(a_certificate_that_matches_no_tlsa_record_gets_nothing),
		T(starttls_stripped_under_dane_sends_nothing),
		T(tlsa_records_that_are_of_no_use_demand_tls_all_the_same),
		T(an_enforced_policy_is_followed),
		T(starttls_stripped_under_an_enforced_policy_sends_nothing),
		T(a_policy_in_testing_lets_the_message_go),
		T(tls_required_no_relaxes_what_domains_demand),
		T(tls_required_says_nothing_twice_or_to_requiretls),
		T(requiretls_does_not_go_to_servers_that_nobody_vouches_for),
		T(requiretls_is_deferred_while_a_server_may_come_back),
		T(a_connection_is_not_used_again_where_more_is_demanded),
		T(a_connection_is_not_used_again_under_other_tlsa_records),
		T(below_an_authority_each_domain_goes_by_its_own_name),
		T(below_an_authority_the_end_of_an_alias_is_the_name),
		T(tls_required_no_is_for_one_message),
		T(tls_required_no_relaxes_dane_too),
		T(tls_required_no_does_not_overrule_the_user),
		T(a_server_outside_of_an_enforced_policy_is_not_dialled),
		T(a_server_outside_of_a_policy_in_testing_is_reported),
		T(tlsa_records_that_cannot_be_looked_up_defer_and_are_reported),
		T(tlsa_records_that_only_the_handshake_finds_wrong_send_nothing),
		T(what_has_no_server_at_all_is_refused),
		T(what_a_server_does_not_offer_is_not_asked_for_at_its_other_addresses),
		T(requiretls_is_met_by_a_proved_server_that_offers_it),
		T(requiretls_wants_the_servers_name_where_nothing_else_does),
		T(requiretls_judges_each_domain_by_its_own_records),
		T(requiretls_is_deferred_while_another_server_may_do_it),
		T(a_failed_handshake_stays_on_record_when_the_message_goes_in_clear),
		T(a_message_that_can_be_read_once_goes_to_the_first_servers_only),
		T(looking_up_can_be_cancelled),
		T(sending_can_be_cancelled),
		T(there_is_nothing_to_say_by_hand),
		T(options_that_contradict_it_are_told),
		T(routes_can_be_looked_at),
		T(that_dns_is_not_validated_is_on_record),
		T(what_look_ups_lack_is_told_once_in_the_transcript),
		T(without_memory_everybody_has_an_outcome_or_there_is_no_record),
		T(without_memory_no_server_is_trusted_more),
		T(domains_beyond_number_are_asked_about_in_turn),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, rig_set_up, rig_tear_down);
}
