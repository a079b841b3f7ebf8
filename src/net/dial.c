/* SPDX-License-Identifier: MIT */
/* Connecting. See dial.h.
 *
 *   LOOKING_UP --answer--> CONNECTING --first to connect--> OVER (descriptor handed out)
 *        |                      |   \--- to a proxy ---> TUNNELLING --open--> OVER (the same)
 *        |                      |                            |
 *        +--- failed, late -----+--- all failed -------------+--------------> OVER (error says why)
 *
 * A numeric host and a Unix socket start in CONNECTING. The order of addresses is that of RFC 8305
 * §4: getaddrinfo()'s, which is RFC 6724's and the machine owner's (gai.conf; IPv6 first where it
 * works), with the families interleaved. Each attempt has a head start of 250 ms before the next
 * begins; an attempt that fails starts the next at once. At most PH__DIAL_FDS are under way.
 * Owns its descriptors until one is handed out; everything else is closed. */
#include "net/dial.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/bounds.h"
#include "base/error.h"
#include "base/mem.h"
#include "net/host.h"
#include "net/resolve.h"

enum phase { LOOKING_UP, CONNECTING, TUNNELLING, OVER };

struct attempt {
	enum { TO_DO, UNDER_WAY, RETRY, FAILED } state;
	int       fd;
	size_t    given;    /* its place among opts.addresses */
	int       sys;      /* why it failed */
	bool      timed_out, local; /* ... by our deadline; for want of our own resources */
	const char *doing;  /* the step that failed, when it was not connecting */
	uint64_t  deadline;
	uint64_t  again_at; /* RETRY */
	socklen_t len;
	struct sockaddr_storage to;
};

struct ph__dial {
	const struct ph_allocator *mem;
	enum phase phase;
	struct ph__host host;
	struct ph__host source; /* family AF_UNSPEC: none */
	struct ph__proxy_header header;
	struct ph__tunnel *tunnel; /* NULL: no proxy */
	int        tunnel_fd;
	bool       is_unix;
	int        family;
	uint16_t   port;
	uint64_t   connect_ms, resolve_ms;
	struct ph__resolve *look_up;
	uint64_t   resolve_deadline, resolve_us;
	uint64_t   next_at;  /* the next attempt's turn, while others are under way */
	size_t     count, next, dropped; /* addresses; the first not tried; those over the limit */
	struct attempt *winner; /* NULL: none has connected */
	struct attempt tries[PH__ADDRESSES_MAX];
};

/* ---- what was asked */

static void
set_port(struct sockaddr_storage *sa, uint16_t port)
{
	if (sa->ss_family == AF_INET6)
		((struct sockaddr_in6 *)sa)->sin6_port = htons(port);
	else
		((struct sockaddr_in *)sa)->sin_port = htons(port);
}

static void
add_address(struct ph__dial *d, const void *sa, socklen_t len)
{
	struct attempt *a;

	if (d->count == PH__ADDRESSES_MAX) {
		d->dropped++;
		return;
	}
	a = &d->tries[d->count++];
	*a = (struct attempt){ .fd = -1, .len = len };
	memcpy(&a->to, sa, len);
	if (!d->is_unix)
		set_port(&a->to, d->port);
}

static enum ph_code
take_unix(struct ph__dial *d, const char *path, struct ph_error *err)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	size_t n = strlen(path);

	if (n == 0 || n >= sizeof un.sun_path)
		return ph__fail(err, PH_EINPUT, PH_STAGE_PREPARE, PH_CAUSE_ARGUMENT,
		                "a Unix socket's path has 1 to %zu octets, this one %zu",
		                sizeof un.sun_path - 1, n);
	memcpy(un.sun_path, path, n);
	d->is_unix = true;
	add_address(d, &un, sizeof un);
	return PH_OK;
}

static enum ph_code
take_source(struct ph__dial *d, const char *ip, struct ph_error *err)
{
	if (!ph__host_parse(&d->source, ip, "source address", PH_EINPUT, err))
		return PH_EINPUT;
	if (d->source.family == AF_UNSPEC) {
		ph__fail(err, PH_EINPUT, PH_STAGE_PREPARE, PH_CAUSE_ARGUMENT,
		         "the source address must be numeric, not \"%.200s\"", ip);
		ph__hint(err, "give --source-ip one of this computer's addresses; ip address lists them");
		return PH_EINPUT;
	}
	if (d->family != AF_UNSPEC && d->family != d->source.family) {
		ph__fail(err, PH_EINPUT, PH_STAGE_PREPARE, PH_CAUSE_ARGUMENT,
		         "the source address \"%.100s\" is not of the IP version wanted", ip);
		ph__hint(err, "leave --ip out, or give --source-ip an address of that version");
		return PH_EINPUT;
	}
	d->family = d->source.family;
	return PH_OK;
}

/* The host's addresses are known to the caller. Those of the family that is not wanted are left out. */
static enum ph_code
take_given(struct ph__dial *d, const struct ph__dial_opts *opts, struct ph_error *err)
{
	struct ph__host a;

	snprintf(d->host.name, sizeof d->host.name, "%s", opts->host);
	if (opts->source_ip != NULL && take_source(d, opts->source_ip, err) < 0)
		return PH_EINPUT;
	for (size_t i = 0; i < opts->address_count; i++) {
		size_t before = d->count;

		if (!ph__host_parse(&a, opts->addresses[i], "address", PH_EINPUT, err))
			return PH_EINPUT;
		if (a.family == AF_UNSPEC)
			return ph__fail(err, PH_EINPUT, PH_STAGE_PREPARE, PH_CAUSE_ARGUMENT,
			                "\"%.200s\" is no numeric address", opts->addresses[i]);
		if (d->family == AF_UNSPEC || d->family == a.family)
			add_address(d, &a.addr, a.addr_len);
		if (d->count != before)
			d->tries[before].given = i;
	}
	if (d->count != 0)
		return PH_OK;
	ph__fail(err, PH_EDEFERRED, PH_STAGE_CONNECT, PH_CAUSE_UNREACHABLE,
	         "%.200s has no address of the IP version wanted (by --ip or --source-ip)", d->host.name);
	return PH_EDEFERRED;
}

static enum ph_code
take_host(struct ph__dial *d, const struct ph__dial_opts *opts, struct ph_error *err)
{
	const struct ph__proxy *proxy = opts->proxy;
	enum ph_code rc;

	if (opts->host == NULL || opts->port == 0)
		return ph__fail(err, PH_EINPUT, PH_STAGE_PREPARE, PH_CAUSE_ARGUMENT,
		                "a %s is needed to connect", opts->host == NULL ? "host" : "port");
	if (opts->addresses != NULL)
		return take_given(d, opts, err);
	if (proxy != NULL) {
		if ((rc = ph__tunnel_new(&d->tunnel, proxy, opts->host, opts->port, d->connect_ms, d->mem,
		                         err)) != PH_OK)
			return rc;
		d->port = proxy->port;
	}
	if (!ph__host_parse(&d->host, proxy != NULL ? proxy->host : opts->host,
	                    proxy != NULL ? "proxy" : "host", PH_EINPUT, err))
		return PH_EINPUT;
	if (opts->source_ip != NULL && take_source(d, opts->source_ip, err) < 0)
		return PH_EINPUT;
	if (d->host.family == AF_UNSPEC)
		return PH_OK;
	if (d->family != AF_UNSPEC && d->family != d->host.family) {
		ph__fail(err, PH_EINPUT, PH_STAGE_PREPARE, PH_CAUSE_ARGUMENT,
		         "%s is an IPv%d address, and IPv%d is wanted (by version or source)", d->host.name,
		         d->host.family == AF_INET ? 4 : 6, d->family == AF_INET ? 4 : 6);
		ph__hint(err, "leave --ip and --source-ip out, or name the server");
		return PH_EINPUT;
	}
	add_address(d, &d->host.addr, d->host.addr_len);
	return PH_OK;
}

static enum ph_code
begin(struct ph__dial *d, uint64_t now, struct ph_error *err)
{
	char name[sizeof d->host.name + 1];

	if (d->count != 0) {
		d->phase = CONNECTING;
		return PH_OK;
	}
	snprintf(name, sizeof name, "%s%s", d->host.name, d->host.absolute ? "." : "");
	d->resolve_deadline = now + d->resolve_ms;
	return ph__resolve_start(&d->look_up, name, d->family, err);
}

enum ph_code
ph__dial_new(struct ph__dial **ret, const struct ph__dial_opts *opts,
             const struct ph_allocator *mem, uint64_t now_ms, struct ph_error *err)
{
	struct ph__dial *d = ph__alloc0(mem, sizeof *d);
	enum ph_code rc;

	if (d == NULL)
		return ph__fail_nomem(err, PH_STAGE_CONNECT);
	d->mem = mem;
	d->family = opts->family;
	d->port = opts->port;
	d->tunnel_fd = -1;
	if (opts->header != NULL)
		d->header = *opts->header;
	d->connect_ms = opts->connect_ms != 0 ? opts->connect_ms : PH__MS_CONNECT;
	d->resolve_ms = opts->resolve_ms != 0 ? opts->resolve_ms : PH__MS_CONNECT;
	if (opts->unix_path != NULL && opts->proxy != NULL)
		rc = ph__fail(err, PH_ECONFIG, PH_STAGE_PREPARE, PH_CAUSE_ARGUMENT,
		              "a Unix socket is not reached through a proxy");
	else
		rc = opts->unix_path != NULL ? take_unix(d, opts->unix_path, err) : take_host(d, opts, err);
	if (rc == PH_OK)
		rc = begin(d, now_ms, err);
	if (rc < 0) {
		ph__dial_free(&d);
		return rc;
	}
	*ret = d;
	return PH_OK;
}

/* ---- names to addresses */

static const struct addrinfo *
next_of(const struct addrinfo *a, int family, bool same)
{
	while (a != NULL && (a->ai_addrlen > sizeof(struct sockaddr_storage) ||
	                     (a->ai_family != AF_INET && a->ai_family != AF_INET6) ||
	                     (a->ai_family == family) != same))
		a = a->ai_next;
	return a;
}

/* One of the first address's family, one of the other, and so on (RFC 8305 §4). */
static void
take_addresses(struct ph__dial *d, const struct addrinfo *list)
{
	int family = list->ai_family;
	const struct addrinfo *a = next_of(list, family, true);
	const struct addrinfo *b = next_of(list, family, false);

	while (a != NULL || b != NULL) {
		if (a != NULL) {
			add_address(d, a->ai_addr, a->ai_addrlen);
			a = next_of(a->ai_next, family, true);
		}
		if (b != NULL) {
			add_address(d, b->ai_addr, b->ai_addrlen);
			b = next_of(b->ai_next, family, false);
		}
	}
}

static void
fail_resolve(const struct ph__dial *d, int rc, int sys, struct ph_error *err)
{
	const char *host = d->host.name;

	switch (rc) {
	case EAI_NONAME:
#ifdef EAI_NODATA
	case EAI_NODATA:
#endif
#ifdef EAI_ADDRFAMILY
	case EAI_ADDRFAMILY:
#endif
		/* a proxy's name says nothing about any recipient */
		ph__fail(err, d->tunnel != NULL ? PH_ECONFIG : PH_ENOHOST, PH_STAGE_RESOLVE,
		         PH_CAUSE_NO_SUCH_HOST, "there is no %s \"%s\"%s",
		         d->tunnel != NULL ? "proxy" : "host", host,
		         d->family == AF_INET6 ? " with an IPv6 address" :
		         d->family == AF_INET ? " with an IPv4 address" : "");
		ph__hint(err, "check the spelling of the %s's name%s", d->tunnel != NULL ? "proxy" : "server",
		         d->family == AF_UNSPEC ? "" : "; if it is right, --ip or --source-ip ask for a family of "
		                                       "addresses that it has none of");
		return;
	case EAI_MEMORY:
		ph__fail_nomem(err, PH_STAGE_RESOLVE);
		return;
	case EAI_SYSTEM:
		ph__fail_errno(err, PH_EDEFERRED, PH_STAGE_RESOLVE, PH_CAUSE_RESOLVER, sys,
		               "the name \"%s\" could not be looked up", host);
		return;
	default:
		ph__fail(err, PH_EDEFERRED, PH_STAGE_RESOLVE, PH_CAUSE_RESOLVER,
		         "the name \"%s\" could not be looked up for the moment: %s", host,
		         gai_strerror(rc));
		ph__hint(err, "check this machine's network and DNS (/etc/resolv.conf); "
		         "a numeric address needs no look-up");
	}
}

static enum ph_io
step_look_up(struct ph__dial *d, uint64_t now, struct ph_error *err)
{
	const struct addrinfo *list;
	int rc, sys;

	if (!ph__resolve_ready(d->look_up)) {
		if (now < d->resolve_deadline)
			return PH_IO_AGAIN;
		ph__fail(err, PH_EDEFERRED, PH_STAGE_RESOLVE, PH_CAUSE_TIMEOUT,
		         "looking up \"%s\" took longer than %llu ms", d->host.name,
		         (unsigned long long)d->resolve_ms);
		ph__hint(err, "check this machine's DNS servers (/etc/resolv.conf)");
		ph__resolve_drop(&d->look_up);
		return PH_IO_ERROR;
	}
	rc = ph__resolve_answer(d->look_up, &sys, &list);
	d->resolve_us = ph__resolve_us(d->look_up);
	if (rc == 0 && list != NULL)
		take_addresses(d, list);
	ph__resolve_drop(&d->look_up);
	if (d->count == 0) {
		fail_resolve(d, rc != 0 ? rc : EAI_NONAME, sys, err);
		return PH_IO_ERROR;
	}
	d->phase = CONNECTING;
	return PH_IO_OK;
}

/* ---- attempts */

static void
attempt_failed(struct attempt *a, int sys, const char *doing)
{
	if (a->fd >= 0)
		close(a->fd);
	a->fd = -1;
	a->state = FAILED;
	a->sys = sys;
	a->doing = doing;
	a->local = sys == EMFILE || sys == ENFILE || sys == ENOBUFS || sys == ENOMEM;
}

/* True: connected. A Unix socket with a full backlog says EAGAIN and gives nothing to wait for. */
static bool
attempt_connect(struct ph__dial *d, struct attempt *a, uint64_t now)
{
	if (connect(a->fd, (struct sockaddr *)&a->to, a->len) == 0)
		return true;
	if (errno == EINPROGRESS || errno == EINTR) {
		a->state = UNDER_WAY;
	} else if (errno == EAGAIN && d->is_unix) {
		a->state = RETRY;
		a->again_at = now + PH__MS_UNIX_RETRY;
	} else {
		attempt_failed(a, errno, NULL);
	}
	return false;
}

/* The port of a bound socket is chosen at connect, when the kernel knows the peer: otherwise a
 * source address could have 28,000 connections only. */
static bool
bind_source(const struct ph__dial *d, int fd)
{
	int on = 1;

	if (d->source.family == AF_UNSPEC)
		return true;
	setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
	return bind(fd, (const struct sockaddr *)&d->source.addr, d->source.addr_len) == 0;
}

static bool
attempt_begin(struct ph__dial *d, struct attempt *a, uint64_t now)
{
	int on = 1;

	a->deadline = now + d->connect_ms;
	a->fd = socket(a->to.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (a->fd < 0) {
		attempt_failed(a, errno, "making a socket");
		return false;
	}
	if (!d->is_unix)
		setsockopt(a->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	if (!bind_source(d, a->fd)) {
		attempt_failed(a, errno, "using the source address");
		return false;
	}
	return attempt_connect(d, a, now);
}

static bool
attempt_step(struct ph__dial *d, struct attempt *a, uint64_t now)
{
	struct pollfd p = { .fd = a->fd, .events = POLLOUT };
	socklen_t len = sizeof(int);
	int sys = 0;

	if (a->state == RETRY && now >= a->again_at && attempt_connect(d, a, now))
		return true;
	if (a->state == UNDER_WAY && poll(&p, 1, 0) > 0) {
		if (getsockopt(a->fd, SOL_SOCKET, SO_ERROR, &sys, &len) != 0)
			sys = errno;
		if (sys == 0)
			return true;
		attempt_failed(a, sys, NULL);
	} else if (a->state != FAILED && now >= a->deadline) {
		attempt_failed(a, ETIMEDOUT, NULL);
		a->timed_out = true;
	}
	return false;
}

static size_t
under_way(const struct ph__dial *d)
{
	size_t i, n = 0;

	for (i = 0; i < d->next; i++)
		n += d->tries[i].state != FAILED;
	return n;
}

static void
close_attempts(struct ph__dial *d)
{
	size_t i;

	for (i = 0; i < d->count; i++) {
		if (d->tries[i].fd >= 0)
			close(d->tries[i].fd);
		d->tries[i].fd = -1;
	}
}

/* A new socket takes so little at once. */
static bool
send_header(const struct ph__dial *d, int fd, struct ph_error *err)
{
	char header[PH__PROXY_LINE_MAX + 1];
	size_t n;
	ssize_t sent;

	if (d->header.version == 0)
		return true;
	n = ph__proxy_header_write(&d->header, fd, header);
	do
		sent = n != 0 ? send(fd, header, n, MSG_NOSIGNAL) : -1;
	while (sent < 0 && errno == EINTR);
	if (sent == (ssize_t)n)
		return true;
	ph__fail_errno(err, PH_EDEFERRED, PH_STAGE_CONNECT, PH_CAUSE_LOST, errno,
	               "the connection was lost before the PROXY protocol's header was sent");
	return false;
}

static enum ph_io
hand_out(struct ph__dial *d, int fd, int *ret_fd, struct ph_error *err)
{
	if (!send_header(d, fd, err)) {
		close(fd);
		return PH_IO_ERROR;
	}
	*ret_fd = fd;
	d->phase = OVER;
	return PH_IO_OK;
}

static enum ph_io
step_tunnel(struct ph__dial *d, uint64_t now, int *ret_fd, struct ph_error *err)
{
	enum ph_io io = ph__tunnel_step(d->tunnel, now, err);
	int fd = d->tunnel_fd;

	if (io != PH_IO_OK)
		return io;
	d->tunnel_fd = -1;
	return hand_out(d, fd, ret_fd, err);
}

static enum ph_io
connected(struct ph__dial *d, struct attempt *a, uint64_t now, int *ret_fd, struct ph_error *err)
{
	int fd = a->fd;

	d->winner = a;
	a->fd = -1;
	close_attempts(d);
	if (d->tunnel == NULL)
		return hand_out(d, fd, ret_fd, err);
	d->phase = TUNNELLING;
	d->tunnel_fd = fd;
	ph__tunnel_begin(d->tunnel, fd, now);
	return step_tunnel(d, now, ret_fd, err);
}

/* ---- all have failed: say so */

static void
address_text(const struct sockaddr_storage *sa, socklen_t len, char *buf, size_t size)
{
	if (sa->ss_family == AF_UNIX)
		snprintf(buf, size, "%.*s", (int)size - 1, ((const struct sockaddr_un *)sa)->sun_path);
	else if (getnameinfo((const struct sockaddr *)sa, len, buf, (socklen_t)size, NULL, 0,
	                     NI_NUMERICHOST) != 0)
		snprintf(buf, size, "?");
}

static void
attempt_text(const struct ph__dial *d, const struct attempt *a, char *buf, size_t size)
{
	char address[108], why[96];

	if (a->timed_out)
		snprintf(why, sizeof why, "no answer within %llu ms",
		         (unsigned long long)d->connect_ms);
	else
		ph__errno_text(a->sys, why, sizeof why);
	address_text(&a->to, a->len, address, sizeof address);
	snprintf(buf, size, "%s: %s%s%s", address, a->doing != NULL ? a->doing : "",
	         a->doing != NULL ? ": " : "", why);
}

/* "A: reason; B: reason; and 3 more". */
static void
list_attempts(const struct ph__dial *d, char *buf, size_t size)
{
	const size_t tail = sizeof "; and 4294967295 more";
	size_t i, n = 0;
	char one[256];

	buf[0] = '\0';
	for (i = 0; i < d->count; i++) {
		size_t len;

		attempt_text(d, &d->tries[i], one, sizeof one);
		len = strlen(one) + 2;
		if (n + len + tail > size)
			break;
		n += (size_t)snprintf(buf + n, size - n, "%s%s", n != 0 ? "; " : "", one);
	}
	if (d->count - i + d->dropped != 0)
		snprintf(buf + n, size - n, "; and %zu more", d->count - i + d->dropped);
}

static void
hint_connect(const struct ph__dial *d, int sys, bool timed_out, struct ph_error *err)
{
	if (d->is_unix && sys == EACCES)
		ph__hint(err, "this user may not write to the socket: check its owner and mode");
	else if (d->is_unix)
		ph__hint(err, "check the path, and that the server is running");
	else if (sys == ECONNREFUSED && d->tunnel != NULL)
		ph__hint(err, "nothing listens on port %u there: check that the proxy runs, and its port",
		         d->port);
	else if (timed_out)
		ph__hint(err, "a firewall may drop the packets: check host and port");
	else if (sys == ECONNREFUSED)
		ph__hint(err, "nothing listens on port %u there: check that the server runs, and the "
		         "port (smtp 25, submission 587, smtps 465)", d->port);
	else if (sys == EADDRNOTAVAIL && d->source.family != AF_UNSPEC)
		ph__hint(err, "%s is not an address of this machine", d->source.name);
	else if (sys == ENETUNREACH || sys == EHOSTUNREACH)
		ph__hint(err, "this machine has no route there: check its network");
}

/* What most attempts say is not what matters: one refusal proves that packets pass. */
static void
fail_connect(const struct ph__dial *d, struct ph_error *err)
{
	const struct attempt *worst = &d->tries[0];
	const char *proxy = d->tunnel != NULL ? "the proxy, " : "";
	char list[400];
	size_t i;

	for (i = 1; i < d->count; i++) {
		const struct attempt *a = &d->tries[i];

		if (a->local || (!worst->local && worst->timed_out && !a->timed_out) ||
		    (!worst->local && worst->sys != ECONNREFUSED && a->sys == ECONNREFUSED))
			worst = a;
	}
	list_attempts(d, list, sizeof list);
	if (d->is_unix)
		ph__fail(err, PH_EDEFERRED, PH_STAGE_CONNECT, PH_CAUSE_UNREACHABLE,
		         "cannot connect to the Unix socket %s", list);
	else if (d->host.family != AF_UNSPEC) /* the list names the address */
		ph__fail(err, PH_EDEFERRED, PH_STAGE_CONNECT, PH_CAUSE_UNREACHABLE,
		         "cannot connect to %sport %u of %s", proxy, d->port, list);
	else
		ph__fail(err, PH_EDEFERRED, PH_STAGE_CONNECT, PH_CAUSE_UNREACHABLE,
		         "cannot connect to %s%.80s port %u: %s", proxy, d->host.name, d->port, list);
	hint_connect(d, worst->sys, worst->timed_out, err);
	if (err == NULL)
		return;
	err->sys = worst->sys;
	if (worst->timed_out)
		err->cause = PH_CAUSE_TIMEOUT;
	if (worst->local) {
		err->code = PH_ESYSTEM;
		err->cause = PH_CAUSE_SYSTEM;
	}
}

static enum ph_io
step_connect(struct ph__dial *d, uint64_t now, int *ret_fd, struct ph_error *err)
{
	size_t i, busy;

	for (i = 0; i < d->next; i++)
		if (attempt_step(d, &d->tries[i], now))
			return connected(d, &d->tries[i], now, ret_fd, err);
	while (d->next < d->count && (busy = under_way(d)) < PH__DIAL_FDS &&
	       (busy == 0 || now >= d->next_at || d->tries[d->next - 1].state == FAILED)) {
		struct attempt *a = &d->tries[d->next++];

		d->next_at = now + PH__MS_HEAD_START;
		if (attempt_begin(d, a, now))
			return connected(d, a, now, ret_fd, err);
	}
	if (under_way(d) != 0)
		return PH_IO_AGAIN;
	fail_connect(d, err);
	return PH_IO_ERROR;
}

enum ph_io
ph__dial_step(struct ph__dial *d, uint64_t now_ms, int *ret_fd, struct ph_error *err)
{
	enum ph_io io = PH_IO_OK;

	if (d->phase == OVER) {
		ph__fail(err, PH_EUSAGE, PH_STAGE_CONNECT, PH_CAUSE_STATE,
		         "connecting has come to its end already");
		return PH_IO_ERROR;
	}
	if (d->phase == LOOKING_UP)
		io = step_look_up(d, now_ms, err);
	if (io == PH_IO_OK && d->phase == TUNNELLING)
		io = step_tunnel(d, now_ms, ret_fd, err);
	else if (io == PH_IO_OK)
		io = step_connect(d, now_ms, ret_fd, err);
	if (io == PH_IO_ERROR)
		d->phase = OVER;
	return io;
}

size_t
ph__dial_fds(const struct ph__dial *d, struct pollfd fds[PH__DIAL_FDS])
{
	size_t i, n = 0;

	if (d->phase == LOOKING_UP)
		fds[n++] = (struct pollfd){ .fd = ph__resolve_fd(d->look_up), .events = POLLIN };
	if (d->phase == TUNNELLING)
		fds[n++] = (struct pollfd){ .fd = d->tunnel_fd, .events = ph__tunnel_events(d->tunnel) };
	for (i = 0; d->phase == CONNECTING && i < d->next; i++)
		if (d->tries[i].state == UNDER_WAY) {
			assert(n < PH__DIAL_FDS);
			fds[n++] = (struct pollfd){ .fd = d->tries[i].fd, .events = POLLOUT };
		}
	return n;
}

uint64_t
ph__dial_deadline(const struct ph__dial *d)
{
	uint64_t at = UINT64_MAX;
	size_t i, busy = 0;

	if (d->phase == LOOKING_UP)
		return d->resolve_deadline;
	if (d->phase == TUNNELLING)
		return ph__tunnel_deadline(d->tunnel);
	if (d->phase == OVER)
		return at;
	for (i = 0; i < d->next; i++) {
		const struct attempt *a = &d->tries[i];

		if (a->state == FAILED)
			continue;
		busy++;
		if (a->deadline < at)
			at = a->deadline;
		if (a->state == RETRY && a->again_at < at)
			at = a->again_at;
	}
	if (busy == 0)
		return 0; /* not begun: step at once */
	if (d->next < d->count && busy < PH__DIAL_FDS && d->next_at < at)
		at = d->next_at;
	return at;
}

enum ph__address_fate
ph__dial_fate(const struct ph__dial *d, size_t given)
{
	for (size_t i = 0; i < d->count; i++)
		if (d->tries[i].given == given)
			return &d->tries[i] == d->winner ? PH__ADDRESS_CONNECTED
			       : d->tries[i].state == FAILED ? PH__ADDRESS_FAILED : PH__ADDRESS_UNTRIED;
	return PH__ADDRESS_UNTRIED;
}

uint64_t
ph__dial_resolve_us(const struct ph__dial *d)
{
	return d->resolve_us;
}

void
ph__dial_free(struct ph__dial **d)
{
	if (*d == NULL)
		return;
	ph__resolve_drop(&(*d)->look_up);
	close_attempts(*d);
	if ((*d)->tunnel_fd >= 0)
		close((*d)->tunnel_fd);
	ph__tunnel_free(&(*d)->tunnel);
	ph__free((*d)->mem, *d);
	*d = NULL;
}

/* ---- what is known of a connected socket */

/* An IPv4 peer of an IPv6 socket is an IPv4 peer: its literal is [192.0.2.1]. */
void
ph__unmap(struct sockaddr_storage *sa)
{
	const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)sa;
	struct sockaddr_in in = { .sin_family = AF_INET };

	if (sa->ss_family != AF_INET6 || !IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr))
		return;
	in.sin_port = in6->sin6_port;
	memcpy(&in.sin_addr, in6->sin6_addr.s6_addr + 12, 4);
	memset(sa, 0, sizeof *sa);
	memcpy(sa, &in, sizeof in);
}

bool
ph__is_loopback(const struct sockaddr_storage *sa)
{
	if (sa->ss_family == AF_INET6)
		return IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)sa)->sin6_addr);
	return ntohl(((const struct sockaddr_in *)sa)->sin_addr.s_addr) >> 24 == 127;
}

enum ph_code
ph__peer_of(int fd, struct ph__peer *ret, struct ph_error *err)
{
	struct sockaddr_storage peer = { 0 }, local = { 0 };
	socklen_t peer_len = sizeof peer, local_len = sizeof local;

	if (getpeername(fd, (struct sockaddr *)&peer, &peer_len) != 0 ||
	    getsockname(fd, (struct sockaddr *)&local, &local_len) != 0)
		return ph__fail_errno(err, PH_EDEFERRED, PH_STAGE_CONNECT, PH_CAUSE_LOST, errno,
		                      "the socket is not connected");
	*ret = (struct ph__peer){ 0 };
	if (peer.ss_family == AF_UNIX) {
		ret->is_unix = ret->loopback = true;
		address_text(&peer, peer_len, ret->address, sizeof ret->address);
		return PH_OK;
	}
	if (peer.ss_family != AF_INET && peer.ss_family != AF_INET6)
		return ph__fail(err, PH_EINPUT, PH_STAGE_CONNECT, PH_CAUSE_ARGUMENT,
		                "the socket is neither TCP nor Unix (address family %d)",
		                peer.ss_family);
	ph__unmap(&peer);
	ph__unmap(&local);
	address_text(&peer, peer_len, ret->address, sizeof ret->address);
	address_text(&local, local_len, ret->local, sizeof ret->local);
	ret->port = ntohs(((struct sockaddr_in *)&peer)->sin_port); /* the same place in IPv6 */
	ret->loopback = ph__is_loopback(&peer);
	ret->local_is_ipv6 = local.ss_family == AF_INET6;
	return PH_OK;
}
