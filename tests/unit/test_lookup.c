/* SPDX-License-Identifier: MIT */
/* The look-up module against a name server of our own: what its answers become, in what time, and when
 * validation is given up. Signed zones are in tests/interop/direct*.py. */
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <netinet/in.h>
#include <arpa/inet.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/clock.h"
#include "base/mem.h"
#include "failing_memory.h"
#include "route/lookup.h"

/* ---- the name server ---- */

/* What it says of the root's keys. */
enum keys { NO_KEYS, WRONG_SIGNATURES, KEYS_SERVFAIL, KEYS_SILENCE };

struct name_server {
	int fd;
	pthread_t thread;
	char address[40];
	atomic_int keys, asked;
};

struct message {
	unsigned char p[1024];
	size_t len;
};

static void
add(struct message *m, const void *p, size_t n)
{
	memcpy(m->p + m->len, p, n);
	m->len += n;
}

/* A record of the name at `at` in the message. */
static void
add_record(struct message *m, unsigned at, unsigned type, const void *data, size_t n)
{
	unsigned char head[] = { (unsigned char)(0xc0 | at >> 8), (unsigned char)at,
	                         (unsigned char)(type >> 8), (unsigned char)type, 0, 1, 0, 0, 0, 60,
	                         (unsigned char)(n >> 8), (unsigned char)n };

	add(m, head, sizeof head);
	add(m, data, n);
	m->p[7]++;
}

static bool
begins(const unsigned char *name, const char *label)
{
	return *name == strlen(label) && memcmp(name + 1, label, *name) == 0;
}

/* A signature by a key that nobody has. */
static void
add_signature(struct message *m, unsigned type)
{
	unsigned char rrsig[18 + 1 + 64] = { (unsigned char)(type >> 8), (unsigned char)type, 13, 0,
	                                     0, 0, 0, 60, 0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 1, 0x12, 0x34 };

	add_record(m, 12, 46, rrsig, sizeof rrsig);
}

static void
answer_keys(struct name_server *s, struct message *m)
{
	unsigned char key[4 + 64] = { 1, 1, 3, 13, 7 };

	if (s->keys == KEYS_SERVFAIL)
		m->p[3] |= 2;
	if (s->keys != WRONG_SIGNATURES)
		return;
	add_record(m, 12, 48, key, sizeof key);
	add_signature(m, 48);
}

/* False: nothing is said. */
static bool
answer_question(struct name_server *s, struct message *m, unsigned type)
{
	static const unsigned char here[] = { 192, 0, 2, 1 };
	const unsigned char *name = m->p + 12;

	if (begins(name, "silent") || (type == 48 && s->keys == KEYS_SILENCE))
		return false;
	if (type == 48)
		answer_keys(s, m);
	else if (begins(name, "garbage"))
		m->len = 14;
	else if (begins(name, "servfail"))
		m->p[3] |= 2;
	else if (begins(name, "refused"))
		m->p[3] |= 5;
	else if (begins(name, "mta-sts") && begins(name + 8, "zero")) {
		static const unsigned char nowhere[4];

		if (type == 1)
			add_record(m, 12, 1, nowhere, 4);
	} else if (begins(name, "nx") || begins(name, "mta-sts"))
		m->p[3] |= 3;
	else if (type == 1 && begins(name, "alias")) {
		static const unsigned char to[] = "\2ok\7example";

		add_record(m, 12, 5, to, sizeof to);
		add_record(m, (unsigned)m->len - sizeof to, 1, here, 4);
	} else if (type == 1 && begins(name, "ok"))
		add_record(m, 12, 1, here, 4);
	return true;
}

static void *
serve(void *arg)
{
	struct name_server *s = arg;
	struct sockaddr_in peer;

	for (;;) {
		struct message m = { .len = 0 };
		socklen_t peer_len = sizeof peer;
		ssize_t n = recvfrom(s->fd, m.p, sizeof m.p, 0, (struct sockaddr *)&peer, &peer_len);
		size_t at = 12;
		unsigned type;

		if (n < 17)
			return NULL; /* the test's way to end it */
		s->asked++;
		while (m.p[at] != 0)
			at += 1u + m.p[at];
		type = (unsigned)m.p[at + 1] << 8 | m.p[at + 2];
		m.len = at + 5;
		m.p[2] = 0x81;
		m.p[3] = 0x80;
		memset(m.p + 6, 0, 6);
		if (answer_question(s, &m, type))
			sendto(s->fd, m.p, m.len, 0, (struct sockaddr *)&peer, peer_len);
	}
}

static void
server_begin(struct name_server *s, enum keys keys)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof a;

	s->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(s->fd, (struct sockaddr *)&a, sizeof a), 0);
	assert_int_equal(getsockname(s->fd, (struct sockaddr *)&a, &len), 0);
	snprintf(s->address, sizeof s->address, "127.0.0.1@%u", ntohs(a.sin_port));
	s->keys = keys;
	s->asked = 0;
	assert_int_equal(pthread_create(&s->thread, NULL, serve, s), 0);
}

static void
server_end(struct name_server *s)
{
	struct sockaddr_in a;
	socklen_t len = sizeof a;

	getsockname(s->fd, (struct sockaddr *)&a, &len);
	sendto(s->fd, "end", 3, 0, (struct sockaddr *)&a, len);
	pthread_join(s->thread, NULL);
	close(s->fd);
}

/* ---- asking ---- */

struct told {
	struct ph__asker asker;
	int count;
	unsigned id;
	enum ph__question_kind kind;
	enum ph__dns_status status;
	enum ph__dns_trust trust;
	char canonical[64], why[300], first[16];
	size_t records, first_len;
	bool policy;
	enum ph__sts_failure failure;
};

static const struct ph__lookup_module *module;

static void
keep(char *to, size_t size, const char *from)
{
	snprintf(to, size, "%s", from != NULL ? from : "");
}

static void
on_answer(struct ph__asker *asker, unsigned id, const struct ph__answer *a)
{
	struct told *t = (struct told *)asker;

	t->count++;
	t->id = id;
	t->kind = a->kind;
	if (a->kind == PH__ASK_STS) {
		t->policy = a->sts.policy != NULL;
		t->failure = a->sts.failure;
		keep(t->why, sizeof t->why, a->sts.why);
		return;
	}
	t->status = a->dns.status;
	t->trust = a->dns.trust;
	t->records = a->dns.count;
	keep(t->canonical, sizeof t->canonical, a->dns.canonical);
	keep(t->why, sizeof t->why, a->dns.why);
	if (t->records > 0 && (t->first_len = a->dns.data[0].len) <= sizeof t->first)
		memcpy(t->first, a->dns.data[0].ptr, t->first_len);
}

static char anchor[] = "/tmp/posthaste-anchor-XXXXXX";

static struct ph__lookup *
opened(const struct name_server *s, uint64_t timeout_ms)
{
	struct ph__lookup_opts opts = { .dns = s->address, .trust_anchor = anchor,
	                                .timeout_ms = timeout_ms };
	struct ph_error err = PH_ERROR_INIT;
	struct ph__lookup *l = NULL;

	if (module->open(&l, &opts, &ph__libc_memory, &err) != PH_OK)
		fail_msg("%s", err.text);
	return l;
}

/* Moves on until there are `count` answers, or for so long. */
static void
run(struct ph__lookup *l, const struct told *t, int count, int at_most_ms)
{
	uint64_t end = ph__now_ms() + (uint64_t)at_most_ms, now, due;

	while (t->count < count && (now = ph__now_ms()) < end) {
		struct pollfd p[PH__LOOKUP_FDS];
		int fds[PH__LOOKUP_FDS];
		size_t n = module->fds(l, fds);

		for (size_t i = 0; i < n; i++)
			p[i] = (struct pollfd){ .fd = fds[i], .events = POLLIN };
		due = module->deadline(l) < end ? module->deadline(l) : end;
		poll(p, n, due > now ? (int)(due - now) : 0);
		module->process(l);
	}
}

static struct told
answer_to(struct ph__lookup *l, const char *name, enum ph__dns_type type)
{
	struct told t = { .asker = { on_answer } };
	struct ph__question q = { .id = 7, .kind = PH__ASK_DNS, .type = type, .name = name };

	module->ask(l, &q, &t.asker);
	assert_int_equal(t.count, 0);
	run(l, &t, 1, 20000);
	assert_int_equal(t.count, 1);
	assert_int_equal(t.id, 7);
	return t;
}

/* ---- tests ---- */

static void
kinds_of_answers_are_told_apart(void **state)
{
	struct name_server s;
	struct ph__lookup *l;
	struct told t;

	(void)state;
	server_begin(&s, NO_KEYS);
	l = opened(&s, 5000);
	t = answer_to(l, "ok.example", PH__DNS_A);
	assert_int_equal(t.status, PH__DNS_FOUND);
	assert_int_equal(t.trust, PH__DNS_INSECURE);
	assert_int_equal(t.records, 1);
	assert_int_equal(t.first_len, 4);
	assert_memory_equal(t.first, "\300\0\2\1", 4);
	assert_string_equal(t.canonical, "");
	t = answer_to(l, "ok.example", PH__DNS_MX);
	assert_int_equal(t.status, PH__DNS_NODATA);
	assert_int_equal(t.records, 0);
	t = answer_to(l, "nx.example", PH__DNS_MX);
	assert_int_equal(t.status, PH__DNS_NXDOMAIN);
	t = answer_to(l, "alias.example", PH__DNS_A);
	assert_int_equal(t.status, PH__DNS_FOUND);
	assert_string_equal(t.canonical, "ok.example");
	t = answer_to(l, "servfail.example", PH__DNS_MX);
	assert_int_equal(t.status, PH__DNS_FAILED);
	assert_non_null(strstr(t.why, "SERVFAIL"));
	assert_int_equal(answer_to(l, "refused.example", PH__DNS_MX).status, PH__DNS_FAILED);
	module->close(&l);
	assert_null(l);
	server_end(&s);
}

static void
what_is_no_name_is_answered_as_failed(void **state)
{
	struct name_server s;
	struct ph__lookup *l;
	char name[80];

	(void)state;
	server_begin(&s, NO_KEYS);
	l = opened(&s, 5000);
	memset(name, 'a', sizeof name);
	name[70] = '\0';
	assert_int_equal(answer_to(l, name, PH__DNS_MX).status, PH__DNS_FAILED);
	assert_int_equal(answer_to(l, "a..example", PH__DNS_MX).status, PH__DNS_FAILED);
	module->close(&l);
	server_end(&s);
}

static void
servers_without_signatures_are_not_validated_and_that_is_said(void **state)
{
	struct name_server s;
	struct ph__lookup *l;

	(void)state;
	server_begin(&s, NO_KEYS);
	l = opened(&s, 5000);
	assert_null(module->unvalidated(l));
	assert_int_equal(answer_to(l, "ok.example", PH__DNS_A).trust, PH__DNS_INSECURE);
	assert_non_null(module->unvalidated(l));
	assert_non_null(strstr(module->unvalidated(l), s.address));
	module->close(&l);
	server_end(&s);
}

/* An attack, or a clock that is off: no reason to stop validating. */
static void
wrong_signatures_stay_bogus(void **state)
{
	struct name_server s;
	struct ph__lookup *l;
	struct told t;

	(void)state;
	server_begin(&s, WRONG_SIGNATURES);
	l = opened(&s, 5000);
	for (int i = 0; i < 2; i++) {
		t = answer_to(l, i == 0 ? "ok.example" : "ok.example.net", PH__DNS_A);
		assert_int_equal(t.status, PH__DNS_FAILED);
		assert_int_equal(t.trust, PH__DNS_BOGUS);
		assert_int_equal(t.records, 0);
		assert_non_null(strstr(t.why, "clock"));
	}
	assert_null(module->unvalidated(l));
	module->close(&l);
	server_end(&s);
}

/* Who can suppress answers must not be able to switch validation off. */
static void
no_answer_for_the_keys_is_no_excuse(void **state)
{
	static const enum keys keys[] = { KEYS_SERVFAIL, KEYS_SILENCE };

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct name_server s;
		struct ph__lookup *l;
		struct told t;

		server_begin(&s, keys[i]);
		l = opened(&s, 1500);
		t = answer_to(l, "ok.example", PH__DNS_A);
		assert_true(t.status == PH__DNS_FAILED || t.status == PH__DNS_LATE);
		assert_int_equal(t.records, 0);
		assert_null(module->unvalidated(l));
		module->close(&l);
		server_end(&s);
	}
}

static void
silence_is_late_in_time(void **state)
{
	struct name_server s;
	struct ph__lookup *l;
	uint64_t began;
	struct told t;

	(void)state;
	server_begin(&s, NO_KEYS);
	l = opened(&s, 400);
	began = ph__now_ms();
	t = answer_to(l, "silent.example", PH__DNS_MX);
	assert_int_equal(t.status, PH__DNS_LATE);
	assert_true(ph__now_ms() - began >= 400 && ph__now_ms() - began < 5000);
	t = answer_to(l, "garbage.example", PH__DNS_MX);
	assert_true(t.status == PH__DNS_LATE || t.status == PH__DNS_FAILED);
	module->close(&l);
	server_end(&s);
}

static void
who_is_forgotten_hears_nothing(void **state)
{
	struct told gone = { .asker = { on_answer } }, other = { .asker = { on_answer } };
	struct ph__question q = { .kind = PH__ASK_DNS, .type = PH__DNS_A, .name = "ok.example" };
	struct name_server s;
	struct ph__lookup *l;

	(void)state;
	server_begin(&s, NO_KEYS);
	l = opened(&s, 5000);
	for (unsigned i = 0; i < 20; i++) {
		q.id = i;
		module->ask(l, &q, &gone.asker);
		module->ask(l, &q, &other.asker);
	}
	module->forget(l, &gone.asker);
	run(l, &other, 20, 20000);
	assert_int_equal(other.count, 20);
	assert_int_equal(gone.count, 0);
	assert_int_equal(module->deadline(l), UINT64_MAX);
	module->close(&l);
	server_end(&s);
}

static void
closing_waits_for_nobody(void **state)
{
	struct told t = { .asker = { on_answer } };
	struct ph__question q = { .kind = PH__ASK_DNS, .type = PH__DNS_A, .name = "silent.example" };
	struct name_server s;
	struct ph__lookup *l;
	uint64_t began;

	(void)state;
	server_begin(&s, KEYS_SILENCE);
	l = opened(&s, 0);
	for (unsigned i = 0; i < 50; i++) {
		q.id = i;
		q.name = i % 2 != 0 ? "silent.example" : "ok.example";
		module->ask(l, &q, &t.asker);
	}
	run(l, &t, 1, 200);
	began = ph__now_ms();
	module->close(&l);
	assert_true(ph__now_ms() - began < 2000);
	assert_int_equal(t.count, 0);
	server_end(&s);
}

/* libunbound's thread is the parent's. */
static void
a_child_that_closes_ends_nothing(void **state)
{
	struct ph__question q = { .id = 1, .kind = PH__ASK_DNS, .type = PH__DNS_A, .name = "ok.example.com" };
	struct told open = { .asker = { on_answer } };
	struct name_server s;
	struct ph__lookup *l;
	pid_t child;
	int status;

	(void)state;
	server_begin(&s, NO_KEYS);
	l = opened(&s, 5000);
	assert_int_equal(answer_to(l, "ok.example", PH__DNS_A).status, PH__DNS_FOUND);
	module->ask(l, &q, &open.asker);
	if ((child = fork()) == 0) {
		alarm(10);
		if (answer_to(l, "ok.example.org", PH__DNS_A).status != PH__DNS_FAILED)
			_exit(1);
		module->forget(l, &open.asker);
		module->close(&l);
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	run(l, &open, 1, 5000);
	assert_int_equal(open.count, 1);
	assert_int_equal(answer_to(l, "ok.example.net", PH__DNS_A).status, PH__DNS_FOUND);
	module->close(&l);
	server_end(&s);
}

static void
policies_that_cannot_be_had_are_answered(void **state)
{
	struct ph__question q = { .id = 3, .kind = PH__ASK_STS, .name = "example" };
	struct name_server s;
	struct ph__lookup *l;
	int asked;

	(void)state;
	server_begin(&s, NO_KEYS);
	l = opened(&s, 5000);
	for (int i = 0; i < 3; i++) {
		struct told t = { .asker = { on_answer }, .policy = true };

		q.sts_id = i == 0 ? NULL : "1";
		asked = s.asked;
		module->ask(l, &q, &t.asker);
		assert_int_equal(t.count, 0);
		run(l, &t, 1, 20000);
		assert_int_equal(t.count, 1);
		assert_int_equal(t.kind, PH__ASK_STS);
		assert_false(t.policy);
		/* none is announced; its host is not there; not once more within five minutes */
		assert_int_equal(t.failure, i == 0 ? PH__STS_FINE : PH__STS_FETCH_ERROR);
		assert_int_equal(s.asked > asked, i == 1);
		if (i == 1)
			assert_non_null(strstr(t.why, "mta-sts.example"));
	}
	module->close(&l);
	server_end(&s);
}

/* 0.0.0.0 is this very host to a system. */
static void
policies_are_not_fetched_from_what_is_no_host(void **state)
{
	struct ph__question q = { .id = 3, .kind = PH__ASK_STS, .name = "zero.example", .sts_id = "1" };
	struct told t = { .asker = { on_answer } };
	struct name_server s;
	struct ph__lookup *l;

	(void)state;
	server_begin(&s, NO_KEYS);
	l = opened(&s, 5000);
	module->ask(l, &q, &t.asker);
	run(l, &t, 1, 20000);
	assert_int_equal(t.failure, PH__STS_FETCH_ERROR);
	assert_non_null(strstr(t.why, "no address"));
	module->close(&l);
	server_end(&s);
}

static enum ph_code
opens(const char *dns, const char *trust_anchor, struct ph_error *err)
{
	struct ph__lookup_opts opts = { .dns = dns, .trust_anchor = trust_anchor };
	struct ph__lookup *l = NULL;
	enum ph_code code = module->open(&l, &opts, &ph__libc_memory, err);

	assert_int_equal(code == PH_OK, l != NULL);
	module->close(&l);
	return code;
}

static void
servers_are_written_as_people_write_them(void **state)
{
	static const char *const good[] = {
		"192.0.2.1", "192.0.2.1@5353", "192.0.2.1:53", "2001:db8::1", "2001:db8::1@53",
		"[2001:db8::1]", "[2001:db8::1]:53", "[2001:db8::1]@53", "192.0.2.1, 192.0.2.2",
		"recursive", "fe80::1%lo",
	};
	static const char *const bad[] = {
		"", "ns.example.org", "192.0.2", "192.0.2.1@0", "192.0.2.1@65536", "192.0.2.1@x",
		"192.0.2.1,", "[2001:db8::1", "[2001:db8::1]x", "192.0.2.1@", "127.0.0.1%lo",
	};

	(void)state;
	for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
		struct ph_error err = PH_ERROR_INIT;

		if (opens(good[i], anchor, &err) != PH_OK)
			fail_msg("%s: %s", good[i], err.text);
	}
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct ph_error err = PH_ERROR_INIT;

		if (opens(bad[i], anchor, &err) != PH_ECONFIG)
			fail_msg("'%s' is taken", bad[i]);
		assert_string_not_equal(err.hint, "");
	}
}

static void
a_trust_anchor_that_is_none_is_refused(void **state)
{
	static const struct { const char *text; enum ph_code code; } files[] = {
		{ ". IN DS 20326 8 2 E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D\n",
		  PH_OK },
		{ "$ORIGIN example.\n@ 300 IN DS 20326 8 2 (\n E06D44B80B8F1D39A95C0B0D7C65D084\n"
		  " 58E880409BBC683457104237C7F8EC8D )\n", PH_OK },
		{ "", PH_ECONFIG },
		{ "; nothing\n", PH_ECONFIG },
		{ "www.example. A 192.0.2.1\n", PH_ECONFIG },
		{ ". IN DS garbage\n", PH_ECONFIG },
		{ "\177ELF", PH_ECONFIG },
	};
	struct ph_error err = PH_ERROR_INIT;

	(void)state;
	for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
		char path[] = "/tmp/posthaste-lookup-XXXXXX";
		int fd = mkstemp(path);

		assert_true(write(fd, files[i].text, strlen(files[i].text)) >= 0);
		close(fd);
		if (opens("192.0.2.1", path, &err) != files[i].code)
			fail_msg("%s", files[i].text);
		unlink(path);
	}
	assert_int_equal(opens("192.0.2.1", "/nonexistent/anchor", &err), PH_ENOINPUT);
	assert_int_equal(opens("192.0.2.1", "/tmp", &err), PH_ECONFIG);
}

static void
lack_of_memory_is_an_answer(void **state)
{
	struct ph__question q = { .id = 1, .kind = PH__ASK_DNS, .type = PH__DNS_A,
	                          .name = "ok.example" };
	struct failing_memory fm;
	struct name_server s;

	(void)state;
	server_begin(&s, NO_KEYS);
	for (size_t n = 1; failing_memory_try(&fm, n); n++) {
		struct ph__lookup_opts opts = { .dns = s.address, .trust_anchor = anchor };
		struct ph_error err = PH_ERROR_INIT;
		struct told t = { .asker = { on_answer } };
		struct ph__lookup *l = NULL;

		if (module->open(&l, &opts, &fm.mem, &err) == PH_OK) {
			module->ask(l, &q, &t.asker);
			run(l, &t, 1, 20000);
			assert_int_equal(t.count, 1);
			assert_int_equal(t.status, fm.failed ? PH__DNS_FAILED : PH__DNS_FOUND);
			module->close(&l);
		}
		else
			assert_true(fm.failed && err.code == PH_ESYSTEM);
		assert_null(l);
		assert_int_equal(fm.live, 0);
	}
	server_end(&s);
}

static int
begin(void **state)
{
	static const char text[] = ". IN DS 20326 8 2 "
		"E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D\n";
	int fd = mkstemp(anchor);

	(void)state;
	module = ph__lookup_module(NULL);
	return module == NULL || write(fd, text, sizeof text - 1) < 0 || close(fd) < 0;
}

static int
end(void **state)
{
	(void)state;
	return unlink(anchor);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(kinds_of_answers_are_told_apart),
		cmocka_unit_test(what_is_no_name_is_answered_as_failed),
		cmocka_unit_test(servers_without_signatures_are_not_validated_and_that_is_said),
		cmocka_unit_test(wrong_signatures_stay_bogus),
		cmocka_unit_test(no_answer_for_the_keys_is_no_excuse),
		cmocka_unit_test(silence_is_late_in_time),
		cmocka_unit_test(who_is_forgotten_hears_nothing),
		cmocka_unit_test(closing_waits_for_nobody),
		cmocka_unit_test(a_child_that_closes_ends_nothing),
		cmocka_unit_test(policies_that_cannot_be_had_are_answered),
		cmocka_unit_test(policies_are_not_fetched_from_what_is_no_host),
		cmocka_unit_test(servers_are_written_as_people_write_them),
		cmocka_unit_test(a_trust_anchor_that_is_none_is_refused),
		cmocka_unit_test(lack_of_memory_is_an_answer),
	};

	return cmocka_run_group_tests(tests, begin, end);
}
