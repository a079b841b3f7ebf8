/* SPDX-License-Identifier: MIT */
/* Where the sink listens: loopback addresses and Unix sockets, never anything that another machine
 * could reach. A server that accepts everything and has known passwords must not be found. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "net/dial.h"
#include "sink/private.h"

static enum ph_code
refuse(struct ph_error *err, const char *address, const char *why)
{
	return ph__fail(err, PH_EUSAGE, PH_STAGE_PREPARE, PH_CAUSE_ARGUMENT,
	                "cannot listen on \"%s\": %s", address, why);
}

/* "2525", "127.0.0.1:2525", "localhost:2525", "[::1]:2525" */
static enum ph_code
parse(const char *text, struct sockaddr_storage *a, struct ph_error *err)
{
	const char *colon = strrchr(text, ':'), *digits = colon != NULL ? colon + 1 : text;
	size_t n = colon != NULL ? (size_t)(colon - text) : 0;
	char host[64] = "127.0.0.1";
	uint64_t port;

	*a = (struct sockaddr_storage){ 0 };
	if (!ph__str_to_uint(ph__str(digits), 65535, &port))
		return refuse(err, text, "the port is not a number up to 65535");
	if (n >= sizeof host || (colon != NULL && n == 0))
		return refuse(err, text, "that is not ADDRESS:PORT");
	if (n != 0 && !ph__str_is((struct ph_str){ text, n }, "localhost")) {
		bool brackets = text[0] == '[' && text[n - 1] == ']';

		snprintf(host, sizeof host, "%.*s", (int)(brackets ? n - 2 : n), text + brackets);
	}
	if (uv_ip4_addr(host, (int)port, (struct sockaddr_in *)a) != 0 &&
	    uv_ip6_addr(host, (int)port, (struct sockaddr_in6 *)a) != 0)
		return refuse(err, text, "the address is not numeric");
	if (ph__is_loopback(a))
		return PH_OK;
	refuse(err, text, "the sink accepts mail from anybody, so it listens on this machine only");
	ph__hint(err, "use an address of 127.0.0.0/8, [::1], or the path of a Unix socket");
	return PH_EUSAGE;
}

void
ph__sink_print_address(const struct sockaddr_storage *a, char *to, size_t size)
{
	char host[INET6_ADDRSTRLEN] = "?";

	if (a->ss_family == AF_INET) {
		const struct sockaddr_in *in = (const struct sockaddr_in *)a;

		inet_ntop(AF_INET, &in->sin_addr, host, sizeof host);
		snprintf(to, size, "%s:%u", host, ntohs(in->sin_port));
	} else {
		const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)a;

		inet_ntop(AF_INET6, &in6->sin6_addr, host, sizeof host);
		snprintf(to, size, "[%s]:%u", host, ntohs(in6->sin6_port));
	}
}

/* A socket file that nobody listens on any more is in the way of a new one. */
static void
remove_stale(const char *path)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	struct stat st;
	int fd;

	if (lstat(path, &st) < 0 || !S_ISSOCK(st.st_mode) ||
	    (fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) < 0)
		return;
	memcpy(a.sun_path, path, strlen(path) + 1);
	if (connect(fd, (struct sockaddr *)&a, sizeof a) < 0 && errno == ECONNREFUSED)
		unlink(path);
	close(fd);
}

static void
on_connection(uv_stream_t *stream, int status)
{
	struct ph__sink_listener *l = stream->data;

	if (status == 0 && !l->sink->stopping)
		ph__sink_accept(l);
}

static enum ph_code
failed(struct ph_error *err, const char *address, int uv)
{
	ph__fail_errno(err, PH_ECONFIG, PH_STAGE_PREPARE, PH_CAUSE_SYSTEM, -uv, "cannot listen on %s",
	               address);
	if (uv == UV_EADDRINUSE && strchr(address, '/') != NULL)
		ph__hint(err, "another program listens there, or it is another kind of file: use another path");
	else if (uv == UV_EADDRINUSE)
		ph__hint(err, "another program listens there: use another port; 0 takes a free one");
	else if (uv == UV_EACCES && strchr(address, '/') != NULL)
		ph__hint(err, "the folder must be there, and you must be allowed to write into it");
	else if (uv == UV_EACCES)
		ph__hint(err, "ports below 1024 are for root: use a higher one");
	return PH_ECONFIG;
}

static bool
has_folder(const char *path)
{
	char folder[sizeof ((struct sockaddr_un *)0)->sun_path];

	snprintf(folder, sizeof folder, "%.*s", (int)(strrchr(path, '/') - path + 1), path);
	return access(folder, F_OK) == 0;
}

static enum ph_code
bind_unix(struct ph__sink_listener *l, const char *path, struct ph_error *err)
{
	int rc;

	if (l->protocol != PH__SINK_LMTP)
		return refuse(err, path, "a Unix socket is for LMTP");
	if (strlen(path) >= sizeof ((struct sockaddr_un *)0)->sun_path)
		return refuse(err, path, "the path is too long for a Unix socket");
	remove_stale(path);
	l->is_unix = true;
	snprintf(l->where, sizeof l->where, "%s", path);
	if ((rc = uv_pipe_init(&l->sink->loop, &l->h.pipe, 0)) < 0)
		return failed(err, path, rc);
	l->sink->listener_count++;
	rc = uv_pipe_bind(&l->h.pipe, path);
	if (rc == UV_EACCES && !has_folder(path))
		rc = UV_ENOENT; /* which libuv calls EACCES */
	return rc < 0 ? failed(err, path, rc) : PH_OK;
}

static enum ph_code
bind_tcp(struct ph__sink_listener *l, const char *address, struct ph_error *err)
{
	struct sockaddr_storage a;
	int rc, len = sizeof a;

	if (parse(address, &a, err) < 0)
		return PH_EUSAGE;
	if ((rc = uv_tcp_init(&l->sink->loop, &l->h.tcp)) < 0)
		return failed(err, address, rc);
	l->sink->listener_count++;
	if ((rc = uv_tcp_bind(&l->h.tcp, (struct sockaddr *)&a, 0)) < 0 ||
	    (rc = uv_tcp_getsockname(&l->h.tcp, (struct sockaddr *)&a, &len)) < 0)
		return failed(err, address, rc);
	ph__sink_print_address(&a, l->where, sizeof l->where);
	return PH_OK;
}

enum ph_code
ph__sink_listen(struct ph__sink *s, const struct ph__sink_listen *at, struct ph_error *err)
{
	struct ph__sink_listener *l;
	enum ph_code code;
	int rc;

	if (s->listener_count == PH__SINK_LISTENERS)
		return ph__fail(err, PH_EUSAGE, PH_STAGE_PREPARE, PH_CAUSE_LIMIT,
		                "more than %d addresses to listen on", PH__SINK_LISTENERS);
	l = &s->listeners[s->listener_count];
	*l = (struct ph__sink_listener){ .sink = s, .protocol = at->protocol };
	code = strchr(at->address, '/') != NULL ? bind_unix(l, at->address, err)
	                                        : bind_tcp(l, at->address, err);
	if (code < 0)
		return code;
	l->h.handle.data = l;
	rc = uv_listen(&l->h.stream, 511, on_connection);
	return rc < 0 ? failed(err, l->where, rc) : PH_OK;
}
