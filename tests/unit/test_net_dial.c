/* SPDX-License-Identifier: MIT */
/* Connecting, over real loopback sockets. The resolver is replaced: names under .test answer what
 * the test wants, everything else goes to the C library. A listener whose backlog is full drops
 * SYNs, and so plays the host that never answers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/bounds.h"
#include "base/clock.h"
#include "base/mem.h"
#include "net/dial.h"

#define IGNORE(x) do { if (x) {} } while (0)

/* ---- a resolver to order */

static atomic_int slow_begun, slow_ended, lists_alive, handler_runs;
static const char *const *fake_addresses; /* what multi.test has */

static struct addrinfo *
make_list(const char *const *addresses)
{
	struct addrinfo *first = NULL, **end = &first;

	for (; *addresses != NULL; addresses++) {
		struct addrinfo *a = calloc(1, sizeof *a + sizeof(struct sockaddr_in6));
		struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)(a + 1);
		struct sockaddr_in *in = (struct sockaddr_in *)(a + 1);
		bool v6 = strchr(*addresses, ':') != NULL;

		a->ai_family = v6 ? AF_INET6 : AF_INET;
		a->ai_socktype = SOCK_STREAM;
		a->ai_addr = (struct sockaddr *)(a + 1);
		a->ai_addrlen = v6 ? sizeof *in6 : sizeof *in;
		a->ai_addr->sa_family = (sa_family_t)a->ai_family;
		inet_pton(a->ai_family, *addresses, v6 ? (void *)&in6->sin6_addr : (void *)&in->sin_addr);
		*end = a;
		end = &a->ai_next;
	}
	return first;
}

int
getaddrinfo(const char *host, const char *service, const struct addrinfo *want,
            struct addrinfo **ret)
{
	static int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **);

	if (real == NULL)
		*(void **)&real = dlsym(RTLD_NEXT, "getaddrinfo");
	if (strcmp(host, "slow.test") == 0) {
		static const char *const one[] = { "127.0.0.1", NULL };

		atomic_fetch_add(&slow_begun, 1);
		usleep(300000);
		*ret = make_list(one);
		atomic_fetch_add(&lists_alive, 1);
		atomic_fetch_add(&slow_ended, 1);
		return 0;
	}
	if (strcmp(host, "multi.test") == 0) {
		*ret = make_list(fake_addresses);
		atomic_fetch_add(&lists_alive, 1);
		return 0;
	}
	if (strcmp(host, "none.test") == 0 || strcmp(host, "xn--fa-hia.test") == 0)
		return EAI_NONAME;
	if (strcmp(host, "nodata.test") == 0)
		return EAI_NODATA;
	if (strcmp(host, "again.test") == 0)
		return EAI_AGAIN;
	if (strcmp(host, "fail.test") == 0)
		return EAI_FAIL;
	if (strcmp(host, "system.test") == 0) {
		errno = EMFILE;
		return EAI_SYSTEM;
	}
	return real(host, service, want, ret);
}

void
freeaddrinfo(struct addrinfo *list)
{
	static void (*real)(struct addrinfo *);

	if (real == NULL)
		*(void **)&real = dlsym(RTLD_NEXT, "freeaddrinfo");
	if (list->ai_addr != (struct sockaddr *)(list + 1) || list->ai_protocol != 0) {
		real(list);
		return;
	}
	while (list != NULL) {
		struct addrinfo *next = list->ai_next;

		free(list);
		list = next;
	}
	atomic_fetch_sub(&lists_alive, 1);
}

/* ---- helpers */

static int
listen_on(const char *ip, uint16_t *port, int backlog)
{
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_port = htons(*port) };
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(*port) };
	bool v6 = strchr(ip, ':') != NULL;
	struct sockaddr *sa = v6 ? (struct sockaddr *)&in6 : (struct sockaddr *)&in;
	socklen_t len = v6 ? sizeof in6 : sizeof in;
	int fd = socket(v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;

	assert_true(fd >= 0);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	if (v6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
	inet_pton(sa->sa_family, ip, v6 ? (void *)&in6.sin6_addr : (void *)&in.sin_addr);
	assert_int_equal(bind(fd, sa, len), 0);
	assert_int_equal(listen(fd, backlog), 0);
	assert_int_equal(getsockname(fd, sa, &len), 0);
	*port = ntohs(v6 ? in6.sin6_port : in.sin_port);
	return fd;
}

static uint16_t
closed_port(void)
{
	uint16_t port = 0;
	int fd = listen_on("127.0.0.1", &port, 1);

	close(fd);
	return port;
}

/* A listener that answers nobody any more; fds to close afterwards. */
struct mute {
	int fd[4];
};

static struct mute
mute_on(const char *ip, uint16_t *port)
{
	struct mute m;
	struct sockaddr_in in = { .sin_family = AF_INET };
	size_t i;

	m.fd[0] = listen_on(ip, port, 0);
	in.sin_port = htons(*port);
	inet_pton(AF_INET, ip, &in.sin_addr);
	for (i = 1; i < 4; i++) {
		m.fd[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
		IGNORE(connect(m.fd[i], (struct sockaddr *)&in, sizeof in));
	}
	usleep(20000);
	return m;
}

static void
mute_end(struct mute *m)
{
	size_t i;

	for (i = 0; i < 4; i++)
		close(m->fd[i]);
}

static enum ph_io
run(struct ph__dial *d, int *fd, struct ph_error *err)
{
	for (;;) {
		struct pollfd fds[PH__DIAL_FDS];
		uint64_t now = ph__now_ms(), at;
		enum ph_io io = ph__dial_step(d, now, fd, err);
		size_t n;

		if (io != PH_IO_AGAIN)
			return io;
		n = ph__dial_fds(d, fds);
		at = ph__dial_deadline(d);
		assert_true(at != UINT64_MAX);
		IGNORE(poll(fds, n, at > now ? (int)(at - now) : 0));
	}
}

static enum ph_io
dial(struct ph__dial_opts opts, int *fd, struct ph_error *err)
{
	struct ph__dial *d = NULL;
	enum ph_io io;

	*err = (struct ph_error)PH_ERROR_INIT;
	if (ph__dial_new(&d, &opts, &ph__libc_memory, ph__now_ms(), err) < 0)
		return PH_IO_ERROR;
	io = run(d, fd, err);
	ph__dial_free(&d);
	assert_null(d);
	return io;
}

static void
assert_has(const char *text, const char *part)
{
	if (strstr(text, part) == NULL)
		fail_msg("\"%s\" lacks \"%s\"", text, part);
}

#define O(...) ((struct ph__dial_opts){ __VA_ARGS__ })

/* ---- failures */

static void
a_refused_port_is_deferred_and_explained(void **state)
{
	uint16_t port = closed_port();
	struct ph_error err;
	char want[64];
	int fd = -1;

	(void)state;
	assert_int_equal(dial(O(.host = "127.0.0.1", .port = port), &fd, &err), PH_IO_ERROR);
	assert_int_equal(err.code, PH_EDEFERRED);
	assert_int_equal(err.stage, PH_STAGE_CONNECT);
	assert_int_equal(err.cause, PH_CAUSE_UNREACHABLE);
	assert_int_equal(err.sys, ECONNREFUSED);
	snprintf(want, sizeof want, "port %u of 127.0.0.1: Connection refused", port);
	assert_has(err.text, want);
	assert_has(err.hint, "nothing listens");
	assert_int_equal(fd, -1);
}

static void
every_address_and_its_reason_are_named(void **state)
{
	static const char *const addresses[] = { "127.0.0.2", "127.0.0.3", "::1", NULL };
	uint16_t port = closed_port();
	struct ph_error err;
	int fd;

	(void)state;
	fake_addresses = addresses;
	assert_int_equal(dial(O(.host = "multi.test", .port = port), &fd, &err), PH_IO_ERROR);
	assert_has(err.text, "multi.test port ");
	/* the families take turns */
	assert_has(err.text, ": 127.0.0.2: Connection refused; ::1: ");
	assert_has(err.text, "; 127.0.0.3: Connection refused");
}

static void
more_addresses_than_the_limit_are_counted_not_tried(void **state)
{
	static char text[40][16];
	static const char *addresses[41];
	struct ph_error err;
	size_t i;
	int fd;

	(void)state;
	for (i = 0; i < 40; i++) {
		snprintf(text[i], sizeof text[i], "127.0.1.%zu", i + 1);
		addresses[i] = text[i];
	}
	fake_addresses = addresses;
	assert_int_equal(dial(O(.host = "multi.test", .port = closed_port()), &fd, &err), PH_IO_ERROR);
	assert_has(err.text, " more");
	assert_null(strstr(err.text, "127.0.1.33"));
}

static void
names_that_do_not_exist_are_nohost(void **state)
{
	static const char *const names[] = { "none.test", "nodata.test", "fa\xc3\x9f.test" };
	struct ph_error err;
	size_t i;
	int fd;

	(void)state;
	for (i = 0; i < 3; i++) {
		assert_int_equal(dial(O(.host = names[i], .port = 25), &fd, &err), PH_IO_ERROR);
		assert_int_equal(err.code, PH_ENOHOST);
		assert_int_equal(err.cause, PH_CAUSE_NO_SUCH_HOST);
		assert_int_equal(err.stage, PH_STAGE_RESOLVE);
	}
	assert_has(err.text, "xn--fa-hia.test"); /* not fass.test */
}

static void
a_resolver_in_trouble_is_deferred(void **state)
{
	static const char *const names[] = { "again.test", "fail.test", "system.test" };
	struct ph_error err;
	size_t i;
	int fd;

	(void)state;
	for (i = 0; i < 3; i++) {
		assert_int_equal(dial(O(.host = names[i], .port = 25), &fd, &err), PH_IO_ERROR);
		assert_int_equal(err.code, PH_EDEFERRED);
		assert_int_equal(err.cause, PH_CAUSE_RESOLVER);
	}
	assert_int_equal(err.sys, EMFILE);
}

static void
the_real_resolver_does_not_know_invalid(void **state)
{
	struct ph_error err;
	int fd;

	(void)state;
	assert_int_equal(dial(O(.host = "posthaste.invalid", .port = 25), &fd, &err), PH_IO_ERROR);
	assert_true(err.code == PH_ENOHOST || err.code == PH_EDEFERRED);
	assert_int_equal(err.stage, PH_STAGE_RESOLVE);
}

static void
a_slow_resolver_is_left_behind(void **state)
{
	uint64_t began = ph__now_ms();
	struct ph_error err;
	int fd, i;

	(void)state;
	assert_int_equal(dial(O(.host = "slow.test", .port = 25, .resolve_ms = 50), &fd, &err),
	                 PH_IO_ERROR);
	assert_true(ph__now_ms() - began < 250);
	assert_int_equal(err.code, PH_EDEFERRED);
	assert_int_equal(err.cause, PH_CAUSE_TIMEOUT);
	assert_int_equal(err.stage, PH_STAGE_RESOLVE);
	for (i = 0; i < 100 && (slow_ended < slow_begun || lists_alive != 0); i++)
		usleep(20000);
	assert_int_equal(slow_ended, slow_begun);
	assert_int_equal(lists_alive, 0); /* the thread has cleaned up */
}

static void
on_signal(int sig)
{
	(void)sig;
	atomic_fetch_add(&handler_runs, 1);
}

static void
the_resolvers_thread_takes_no_signal(void **state)
{
	struct ph__dial_opts opts = { .host = "slow.test", .port = 25 };
	struct ph__dial *d = NULL;
	sigset_t one, old;
	struct ph_error err = PH_ERROR_INIT;
	int i;

	(void)state;
	signal(SIGUSR1, on_signal);
	assert_int_equal(ph__dial_new(&d, &opts, &ph__libc_memory, ph__now_ms(), &err), PH_OK);
	sigemptyset(&one);
	sigaddset(&one, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, &one, &old);
	kill(getpid(), SIGUSR1);
	usleep(50000);
	assert_int_equal(handler_runs, 0);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	assert_int_equal(handler_runs, 1);
	ph__dial_free(&d);
	for (i = 0; i < 100 && (slow_ended < slow_begun || lists_alive != 0); i++)
		usleep(20000);
	assert_int_equal(lists_alive, 0);
}

static void
no_answer_is_a_timeout(void **state)
{
	uint16_t port = 0;
	struct mute m = mute_on("127.0.0.1", &port);
	struct ph_error err;
	uint64_t began = ph__now_ms();
	int fd;

	(void)state;
	assert_int_equal(dial(O(.host = "127.0.0.1", .port = port, .connect_ms = 100), &fd, &err),
	                 PH_IO_ERROR);
	assert_true(ph__now_ms() - began >= 100 && ph__now_ms() - began < 2000);
	assert_int_equal(err.code, PH_EDEFERRED);
	assert_int_equal(err.cause, PH_CAUSE_TIMEOUT);
	assert_has(err.text, "127.0.0.1: no answer within 100 ms");
	assert_has(err.hint, "firewall");
	mute_end(&m);
}

static void
hosts_and_paths_that_cannot_be_are_refused(void **state)
{
	static const char *const hosts[] = { "", "a b", "a\r\nb", "a..b", ".a", "[mail.test]", "::g",
		"[::1", "a/b", "\xff.test", "mail.test:25", "fe80::1%nosuchdevice" };
	char path[200], label[80];
	struct ph_error err;
	size_t i;
	int fd;

	(void)state;
	for (i = 0; i < sizeof hosts / sizeof hosts[0]; i++) {
		assert_int_equal(dial(O(.host = hosts[i], .port = 25), &fd, &err), PH_IO_ERROR);
		assert_int_equal(err.code, PH_EINPUT);
	}
	memset(label, 'a', sizeof label - 1);
	label[sizeof label - 1] = '\0';
	assert_int_equal(dial(O(.host = label, .port = 25), &fd, &err), PH_IO_ERROR);
	assert_int_equal(err.code, PH_EINPUT);
	memset(path, 'p', sizeof path - 1);
	path[sizeof path - 1] = '\0';
	assert_int_equal(dial(O(.unix_path = path), &fd, &err), PH_IO_ERROR);
	assert_int_equal(err.code, PH_EINPUT);
	assert_int_equal(dial(O(.host = "127.0.0.1", .port = 25, .source_ip = "name.test"), &fd, &err),
	                 PH_IO_ERROR);
	assert_int_equal(err.code, PH_EINPUT);
	assert_int_equal(dial(O(.host = "127.0.0.1", .port = 25, .source_ip = "::1"), &fd, &err),
	                 PH_IO_ERROR);
	assert_int_equal(err.code, PH_EINPUT);
	assert_int_equal(dial(O(.host = "127.0.0.1", .port = 25, .family = AF_INET6), &fd, &err),
	                 PH_IO_ERROR);
	assert_int_equal(err.code, PH_EINPUT);
	assert_int_equal(dial(O(.host = "127.0.0.1"), &fd, &err), PH_IO_ERROR);
	assert_int_equal(err.code, PH_EINPUT);
}

static void
a_source_that_is_not_ours_is_said_so(void **state)
{
	struct ph_error err;
	int fd;

	(void)state;
	assert_int_equal(dial(O(.host = "127.0.0.1", .port = 25, .source_ip = "192.0.2.77"), &fd, &err),
	                 PH_IO_ERROR);
	assert_int_equal(err.code, PH_EDEFERRED);
	assert_has(err.text, "using the source address");
	assert_has(err.hint, "192.0.2.77 is not an address of this machine");
}

static void
a_missing_unix_socket_is_deferred(void **state)
{
	struct ph_error err;
	int fd;

	(void)state;
	assert_int_equal(dial(O(.unix_path = "/nonexistent/lmtp"), &fd, &err), PH_IO_ERROR);
	assert_int_equal(err.code, PH_EDEFERRED);
	assert_int_equal(err.cause, PH_CAUSE_UNREACHABLE);
	assert_has(err.text, "/nonexistent/lmtp: No such file");
}

static void
out_of_descriptors_is_our_own_trouble(void **state)
{
	struct ph__dial_opts opts = { .host = "127.0.0.1", .port = 25 };
	struct ph__dial *d = NULL;
	struct ph_error err = PH_ERROR_INIT;
	struct rlimit old, few;
	int fd;

	(void)state;
	assert_int_equal(ph__dial_new(&d, &opts, &ph__libc_memory, ph__now_ms(), &err), PH_OK);
	getrlimit(RLIMIT_NOFILE, &old);
	few = (struct rlimit){ 0, old.rlim_max };
	setrlimit(RLIMIT_NOFILE, &few);
	assert_int_equal(run(d, &fd, &err), PH_IO_ERROR);
	setrlimit(RLIMIT_NOFILE, &old);
	assert_int_equal(err.code, PH_ESYSTEM);
	assert_int_equal(err.sys, EMFILE);
	ph__dial_free(&d);
}

/* ---- success */

static void
assert_good_socket(int fd)
{
	int on = 0;
	socklen_t len = sizeof on;

	assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	if (getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, &len) == 0)
		assert_true(on);
}

static void
numeric_hosts_connect_without_the_resolver(void **state)
{
	static const char *const hosts[][2] = { { "127.0.0.1", "127.0.0.1" }, { "::1", "::1" },
		{ "[::1]", "::1" }, { "[127.0.0.1]", "127.0.0.1" } };
	struct ph_error err;
	size_t i;

	(void)state;
	for (i = 0; i < 4; i++) {
		uint16_t port = 0;
		int l = listen_on(hosts[i][1], &port, 5), fd = -1;
		struct ph__peer peer;

		assert_int_equal(dial(O(.host = hosts[i][0], .port = port), &fd, &err), PH_IO_OK);
		assert_good_socket(fd);
		assert_int_equal(ph__peer_of(fd, &peer, &err), PH_OK);
		assert_string_equal(peer.address, hosts[i][1]);
		assert_string_equal(peer.local, hosts[i][1]);
		assert_int_equal(peer.local_is_ipv6, hosts[i][1][0] == ':');
		assert_int_equal(peer.port, port);
		assert_true(peer.loopback);
		assert_false(peer.is_unix);
		close(fd);
		close(l);
	}
}

static void
a_zone_id_stays_with_its_address(void **state)
{
	struct ph_error err;
	int fd;

	(void)state;
	assert_int_equal(dial(O(.host = "[fe80::1%lo]", .port = 9, .connect_ms = 50), &fd, &err),
	                 PH_IO_ERROR);
	assert_int_equal(err.code, PH_EDEFERRED);
	assert_has(err.text, "fe80::1%lo");
}

static void
localhost_is_found_on_ipv4_when_ipv6_is_dead(void **state)
{
	uint16_t port = 0;
	int l = listen_on("127.0.0.1", &port, 5), fd;
	struct ph_error err;

	(void)state;
	assert_int_equal(dial(O(.host = "localhost", .port = port), &fd, &err), PH_IO_OK);
	close(fd);
	close(l);
}

static void
after_a_refusal_the_next_is_tried_at_once(void **state)
{
	static const char *const addresses[] = { "127.0.0.7", "127.0.0.8", "127.0.0.1", NULL };
	uint16_t port = 0;
	int l = listen_on("127.0.0.1", &port, 5), fd;
	uint64_t began = ph__now_ms();
	struct ph__dial_opts opts = { .host = "multi.test", .port = port };
	struct ph__dial *d = NULL;
	struct ph_error err = PH_ERROR_INIT;

	(void)state;
	fake_addresses = addresses;
	assert_int_equal(ph__dial_new(&d, &opts, &ph__libc_memory, began, &err), PH_OK);
	assert_int_equal(run(d, &fd, &err), PH_IO_OK);
	assert_true(ph__dial_resolve_us(d) > 0);
	assert_true(ph__now_ms() - began < 200);
	assert_int_equal(ph__dial_step(d, began, &fd, &err), PH_IO_ERROR); /* over */
	ph__dial_free(&d);
	close(fd);
	close(l);
}

static void
a_silent_address_costs_its_head_start_only(void **state)
{
	static const char *const addresses[] = { "127.0.0.9", "127.0.0.1", NULL };
	uint16_t port = 0;
	int l = listen_on("127.0.0.1", &port, 5), fd;
	struct mute m = mute_on("127.0.0.9", &port);
	uint64_t began = ph__now_ms(), took;
	struct ph__peer peer;
	struct ph_error err;

	(void)state;
	fake_addresses = addresses;
	assert_int_equal(dial(O(.host = "multi.test", .port = port), &fd, &err), PH_IO_OK);
	took = ph__now_ms() - began;
	assert_true(took >= PH__MS_HEAD_START && took < 1000);
	assert_int_equal(ph__peer_of(fd, &peer, &err), PH_OK);
	assert_string_equal(peer.address, "127.0.0.1");
	close(fd);
	close(l);
	mute_end(&m);
}

static void
the_source_address_is_bound(void **state)
{
	uint16_t port = 0;
	int l = listen_on("127.0.0.1", &port, 5), fd;
	struct ph__peer peer;
	struct ph_error err;

	(void)state;
	assert_int_equal(dial(O(.host = "127.0.0.1", .port = port, .source_ip = "127.0.0.42"), &fd,
	                      &err), PH_IO_OK);
	assert_int_equal(ph__peer_of(fd, &peer, &err), PH_OK);
	assert_string_equal(peer.local, "127.0.0.42");
	close(fd);
	close(l);
}

static void
an_ipv4_peer_of_an_ipv6_socket_is_an_ipv4_peer(void **state)
{
	uint16_t port = 0;
	int l = listen_on("127.0.0.1", &port, 5), fd;
	struct ph__peer peer;
	struct ph_error err;

	(void)state;
	assert_int_equal(dial(O(.host = "::ffff:127.0.0.1", .port = port), &fd, &err), PH_IO_OK);
	assert_int_equal(ph__peer_of(fd, &peer, &err), PH_OK);
	assert_string_equal(peer.address, "127.0.0.1");
	assert_string_equal(peer.local, "127.0.0.1");
	assert_true(peer.loopback);
	assert_false(peer.local_is_ipv6);
	close(fd);
	close(l);
}

static void
unix_sockets_connect_and_wait_for_a_full_backlog(void **state)
{
	char path[] = "/tmp/ph-dial-XXXXXX";
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	struct ph__peer peer;
	struct ph_error err;
	int l, fd[3], n = 0, dir = mkstemp(path);
	struct ph__dial *d = NULL;
	struct ph__dial_opts opts = { .unix_path = path };

	(void)state;
	close(dir);
	unlink(path);
	l = socket(AF_UNIX, SOCK_STREAM, 0);
	snprintf(un.sun_path, sizeof un.sun_path, "%s", path);
	assert_int_equal(bind(l, (struct sockaddr *)&un, sizeof un), 0);
	assert_int_equal(listen(l, 0), 0);
	assert_int_equal(dial(O(.unix_path = path), &fd[n], &err), PH_IO_OK);
	assert_int_equal(ph__peer_of(fd[n++], &peer, &err), PH_OK);
	assert_true(peer.is_unix && peer.loopback);
	assert_string_equal(peer.address, path);
	assert_string_equal(peer.local, "");

	assert_int_equal(ph__dial_new(&d, &opts, &ph__libc_memory, ph__now_ms(), &err), PH_OK);
	assert_int_equal(ph__dial_step(d, ph__now_ms(), &fd[n], &err), PH_IO_AGAIN);
	close(accept(l, NULL, NULL));
	assert_int_equal(run(d, &fd[n++], &err), PH_IO_OK);
	ph__dial_free(&d);
	while (n > 0)
		close(fd[--n]);
	close(l);
	unlink(path);
}

static void
what_is_not_connected_has_no_peer(void **state)
{
	struct ph_error err = PH_ERROR_INIT;
	struct ph__peer peer;
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	(void)state;
	assert_int_equal(ph__peer_of(fd, &peer, &err), PH_EDEFERRED);
	close(fd);
}

/* ---- addresses that are given */

static void
given_addresses_are_dialled_and_their_fate_is_told(void **state)
{
	uint16_t port = 0;
	int listener = listen_on("127.0.0.2", &port, 8), fd = -1;
	const char *const list[] = { "127.0.0.1", "::1", "127.0.0.2", "127.0.0.3" };
	struct ph__dial_opts o = { .host = "no_host.invalid", .port = port, .addresses = list,
	                           .address_count = 4 };
	struct ph_error err = PH_ERROR_INIT;
	struct ph__dial *d = NULL;

	(void)state;
	assert_int_equal(ph__dial_new(&d, &o, &ph__libc_memory, ph__now_ms(), &err), PH_OK);
	assert_int_equal(run(d, &fd, &err), PH_IO_OK);
	assert_int_equal(ph__dial_fate(d, 0), PH__ADDRESS_FAILED);
	assert_int_equal(ph__dial_fate(d, 1), PH__ADDRESS_FAILED);
	assert_int_equal(ph__dial_fate(d, 2), PH__ADDRESS_CONNECTED);
	assert_int_equal(ph__dial_fate(d, 3), PH__ADDRESS_UNTRIED);
	ph__dial_free(&d);
	close(fd);
	close(listener);
}

static void
given_addresses_of_another_family_are_left_out(void **state)
{
	const char *const list[] = { "::1", "127.0.0.1" };
	struct ph__dial_opts o = { .host = "mx.test", .port = closed_port(), .addresses = list,
	                           .address_count = 2, .family = AF_INET };
	struct ph_error err = PH_ERROR_INIT;
	struct ph__dial *d = NULL;
	int fd = -1;

	(void)state;
	assert_int_equal(ph__dial_new(&d, &o, &ph__libc_memory, ph__now_ms(), &err), PH_OK);
	assert_int_equal(run(d, &fd, &err), PH_IO_ERROR);
	assert_has(err.text, "cannot connect to mx.test port");
	assert_null(strstr(err.text, "::1"));
	assert_int_equal(ph__dial_fate(d, 0), PH__ADDRESS_UNTRIED);
	assert_int_equal(ph__dial_fate(d, 1), PH__ADDRESS_FAILED);
	ph__dial_free(&d);
	o.address_count = 1;
	assert_int_equal(ph__dial_new(&d, &o, &ph__libc_memory, ph__now_ms(), &err), PH_EDEFERRED);
	o.addresses = (const char *const[]){ "mx.test" };
	assert_int_equal(ph__dial_new(&d, &o, &ph__libc_memory, ph__now_ms(), &err), PH_EINPUT);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(given_addresses_are_dialled_and_their_fate_is_told),
		cmocka_unit_test(given_addresses_of_another_family_are_left_out),
		cmocka_unit_test(a_refused_port_is_deferred_and_explained),
		cmocka_unit_test(every_address_and_its_reason_are_named),
		cmocka_unit_test(more_addresses_than_the_limit_are_counted_not_tried),
		cmocka_unit_test(names_that_do_not_exist_are_nohost),
		cmocka_unit_test(a_resolver_in_trouble_is_deferred),
		cmocka_unit_test(the_real_resolver_does_not_know_invalid),
		cmocka_unit_test(a_slow_resolver_is_left_behind),
		cmocka_unit_test(the_resolvers_thread_takes_no_signal),
		cmocka_unit_test(no_answer_is_a_timeout),
		cmocka_unit_test(hosts_and_paths_that_cannot_be_are_refused),
		cmocka_unit_test(a_source_that_is_not_ours_is_said_so),
		cmocka_unit_test(a_missing_unix_socket_is_deferred),
		cmocka_unit_test(out_of_descriptors_is_our_own_trouble),
		cmocka_unit_test(numeric_hosts_connect_without_the_resolver),
		cmocka_unit_test(a_zone_id_stays_with_its_address),
		cmocka_unit_test(localhost_is_found_on_ipv4_when_ipv6_is_dead),
		cmocka_unit_test(after_a_refusal_the_next_is_tried_at_once),
		cmocka_unit_test(a_silent_address_costs_its_head_start_only),
		cmocka_unit_test(the_source_address_is_bound),
		cmocka_unit_test(an_ipv4_peer_of_an_ipv6_socket_is_an_ipv4_peer),
		cmocka_unit_test(unix_sockets_connect_and_wait_for_a_full_backlog),
		cmocka_unit_test(what_is_not_connected_has_no_peer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
