/* SPDX-License-Identifier: MIT */
/* Tunnels. See proxy.h.
 *
 *   SOCKS5:  METHOD --2--> LOGIN --0--> REPLY --0--> TYPE (--> NAME) --> ADDRESS --> OPEN
 *               \_____________0__________/
 *   HTTP:    HEADER --2xx--> OPEN
 *            HEADER --1xx--> HEADER
 *
 * One message of ours, then one of the proxy's. What came is looked at in the kernel's buffer
 * (MSG_PEEK), and only the octets that belong to the proxy's message are taken out of it: under
 * CONNECT the end of the header block is found by reading, and the server's greeting may stand in
 * the same segment. A proxy that refuses may close before it has read us, so a failed write leaves
 * the word to reading.
 *
 * The deadline is for the whole conversation, and with the bounds on what is read it is all that a
 * proxy that drips needs. What a refusal means for the mail: the server or the network behind the
 * proxy may recover (deferred); rules and credentials are for the user to mend (config, auth).
 * SOCKS5 has no code for a name that does not exist, and HTTP's 502 and 503 say as little, so no
 * proxy can make an address undeliverable for good. */
#include "net/proxy.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/base64.h"
#include "base/bounds.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/escape.h"
#include "base/mem.h"
#include "net/host.h"

enum phase { METHOD, LOGIN, REPLY, TYPE, NAME, ADDRESS, HEADER, OPEN };

enum { NO_LOGIN = 0, USER_PASSWORD = 2, NO_METHOD = 0xff };          /* RFC 1928 §3 */
enum { TO_IPV4 = 1, TO_NAME = 3, TO_IPV6 = 4 };                      /* §4 */

struct ph__tunnel {
	const struct ph_allocator *mem;
	bool       http, has_user;
	char       proxy[300];            /* "the HTTP proxy P port N" */
	char       target[300];           /* "host:port", the host in brackets if it is IPv6 */
	enum phase phase;
	int        fd;
	uint64_t   timeout_ms, deadline;
	struct ph__buf hello, login, request; /* sent in this order; HTTP has the first alone */
	const struct ph__buf *out;        /* the one being sent, from out_off on */
	size_t     out_off;
	unsigned char in[PH__SOCKS_TEXT_MAX + 2]; /* SOCKS5: the message being read */
	size_t     have, need;
	struct ph__buf header;            /* HTTP: one response's header block */
	size_t     heard, line;           /* octets in all; of the current line, without its end */
	bool       after_cr;
};

/* ---- what is sent ---------------------------------------------------------------------------- */

static enum ph_code
no_login(struct ph_error *err, const char *why)
{
	return ph__fail(err, PH_ECONFIG, PH_STAGE_PREPARE, PH_CAUSE_ARGUMENT,
	                "the proxy's user and password cannot be used: %s", why);
}

/* RFC 1929 §2. */
static enum ph_code
socks_login(struct ph__tunnel *t, const struct ph__proxy *p, struct ph_error *err)
{
	size_t user = strlen(p->user), password = p->password != NULL ? strlen(p->password) : 0;

	if (user == 0 || user > PH__SOCKS_TEXT_MAX || password == 0 || password > PH__SOCKS_TEXT_MAX)
		return no_login(err, "SOCKS5 carries 1 to 255 octets of each");
	ph__buf_add_char(&t->login, 1);
	ph__buf_add_char(&t->login, (char)user);
	ph__buf_add(&t->login, p->user, user);
	ph__buf_add_char(&t->login, (char)password);
	ph__buf_add(&t->login, p->password, password);
	return PH_OK;
}

/* RFC 1928 §3 and §4. The greeting offers going without a login too: the proxy may know us by
 * our address. */
static enum ph_code
write_socks(struct ph__tunnel *t, const struct ph__proxy *p, const struct ph__host *to,
            uint16_t port, struct ph_error *err)
{
	const struct sockaddr_in *in = (const struct sockaddr_in *)&to->addr;
	const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)&to->addr;
	enum ph_code rc;

	if (p->user != NULL) {
		if ((rc = socks_login(t, p, err)) != PH_OK)
			return rc;
		ph__buf_add(&t->hello, (char[]){ 5, 2, NO_LOGIN, USER_PASSWORD }, 4);
	} else {
		ph__buf_add(&t->hello, (char[]){ 5, 1, NO_LOGIN }, 3);
	}
	ph__buf_add(&t->request, (char[]){ 5, 1, 0 }, 3);
	if (to->family == AF_INET) {
		ph__buf_add_char(&t->request, TO_IPV4);
		ph__buf_add(&t->request, &in->sin_addr, 4);
	} else if (to->family == AF_INET6) {
		ph__buf_add_char(&t->request, TO_IPV6);
		ph__buf_add(&t->request, &in6->sin6_addr, 16);
	} else { /* 254 octets at most, see host.c */
		ph__buf_add_char(&t->request, TO_NAME);
		ph__buf_add_char(&t->request, (char)(strlen(to->name) + to->absolute));
		ph__buf_addf(&t->request, "%s%s", to->name, to->absolute ? "." : "");
	}
	ph__buf_add(&t->request, (char[]){ (char)(port >> 8), (char)port }, 2);
	t->phase = METHOD;
	t->need = 2;
	return PH_OK;
}

/* RFC 7617 §2: no control characters, and no colon in the user. */
static enum ph_code
http_login(struct ph__tunnel *t, const struct ph__proxy *p, struct ph_error *err)
{
	const char *password = p->password != NULL ? p->password : "";

	if (strchr(p->user, ':') != NULL)
		return no_login(err, "a user of an HTTP proxy has no colon (RFC 7617)");
	if (ph__str_has_control(ph__str(p->user)) || ph__str_has_control(ph__str(password)))
		return no_login(err, "there is a control character in them");
	if (strlen(p->user) + strlen(password) >= PH__HTTP_LOGIN_MAX)
		return no_login(err, "they are too long");
	ph__buf_addf(&t->login, "%s:%s", p->user, password);
	ph__buf_add_str(&t->hello, "Proxy-Authorization: Basic ");
	ph__base64_encode(&t->hello, t->login.p, t->login.len, false);
	ph__buf_add_str(&t->hello, "\r\n");
	return PH_OK;
}

static enum ph_code
write_http(struct ph__tunnel *t, const struct ph__proxy *p, struct ph_error *err)
{
	enum ph_code rc = PH_OK;

	ph__buf_addf(&t->hello, "CONNECT %s HTTP/1.1\r\nHost: %s\r\n", t->target, t->target);
	if (p->user != NULL)
		rc = http_login(t, p, err);
	ph__buf_add_str(&t->hello, "\r\n");
	t->phase = HEADER;
	return rc;
}

static enum ph_code
prepare(struct ph__tunnel *t, const struct ph__proxy *p, const char *host, uint16_t port,
        struct ph_error *err)
{
	struct ph__host to;
	enum ph_code rc;

	if (!ph__host_parse(&to, host, "host", PH_EINPUT, err))
		return PH_EINPUT;
	if (strchr(to.name, '%') != NULL)
		return ph__fail(err, PH_EINPUT, PH_STAGE_PREPARE, PH_CAUSE_ARGUMENT,
		                "the zone of %s is this machine's; the proxy cannot know it", to.name);
	if (to.family == AF_INET6)
		snprintf(t->target, sizeof t->target, "[%s]:%u", to.name, port);
	else
		snprintf(t->target, sizeof t->target, "%s%s:%u", to.name, to.absolute ? "." : "", port);
	rc = p->http ? write_http(t, p, err) : write_socks(t, p, &to, port, err);
	if (rc == PH_OK &&
	    (!ph__buf_ok(&t->hello) || !ph__buf_ok(&t->login) || !ph__buf_ok(&t->request)))
		rc = ph__fail_nomem(err, PH_STAGE_PROXY);
	return rc;
}

enum ph_code
ph__tunnel_new(struct ph__tunnel **ret, const struct ph__proxy *proxy, const char *host,
               uint16_t port, uint64_t timeout_ms, const struct ph_allocator *mem,
               struct ph_error *err)
{
	struct ph__tunnel *t = ph__alloc0(mem, sizeof *t);
	enum ph_code rc;

	if (t == NULL)
		return ph__fail_nomem(err, PH_STAGE_PROXY);
	t->mem = mem;
	t->http = proxy->http;
	t->has_user = proxy->user != NULL;
	t->fd = -1;
	t->timeout_ms = timeout_ms;
	t->deadline = UINT64_MAX;
	ph__buf_init(&t->hello, mem, 4 * PH__HTTP_LOGIN_MAX);
	ph__buf_init(&t->login, mem, PH__HTTP_LOGIN_MAX);
	ph__buf_init(&t->request, mem, 512);
	ph__buf_init(&t->header, mem, PH__HTTP_HEADER_MAX);
	t->hello.secret = t->login.secret = true;
	snprintf(t->proxy, sizeof t->proxy, "the %s proxy %.260s port %u",
	         proxy->http ? "HTTP" : "SOCKS5", proxy->host, proxy->port);
	if ((rc = prepare(t, proxy, host, port, err)) != PH_OK) {
		ph__tunnel_free(&t);
		return rc;
	}
	*ret = t;
	return PH_OK;
}

void
ph__tunnel_free(struct ph__tunnel **t)
{
	if (*t == NULL)
		return;
	ph__buf_done(&(*t)->hello);
	ph__buf_done(&(*t)->login);
	ph__buf_done(&(*t)->request);
	ph__buf_done(&(*t)->header);
	ph__free((*t)->mem, *t);
	*t = NULL;
}

/* ---- refusals in words ----------------------------------------------------------------------- */

/* What a SOCKS5 reply or an HTTP status means. hint NULL: none. */
struct refusal {
	unsigned code;
	enum ph_code class;
	enum ph_cause cause;
	const char *what, *hint;
};

#define ASK_FOR_PORT \
	"many proxies allow port 443 only: ask the proxy's administrator for this host and port"
#define CHECK_NAME \
	"check the server's name and port; the proxy must be able to look it up and reach it"
#define CHECK_PROXY "check that this is a proxy, and its port"

/* RFC 1928 §6. Code 1 and 4 are also what proxies say of a name that they cannot resolve. */
static const struct refusal socks_refusals[] = {
	{ 1, PH_EDEFERRED, PH_CAUSE_UNREACHABLE, "general failure", CHECK_NAME },
	{ 2, PH_ECONFIG,   PH_CAUSE_REPLY, "its rules do not allow the connection", ASK_FOR_PORT },
	{ 3, PH_EDEFERRED, PH_CAUSE_UNREACHABLE, "it cannot reach that network", NULL },
	{ 4, PH_EDEFERRED, PH_CAUSE_UNREACHABLE, "it cannot reach the host, or does not know its name",
	     CHECK_NAME },
	{ 5, PH_EDEFERRED, PH_CAUSE_UNREACHABLE, "the server refused the connection",
	     "nothing listens on that port there: check that the server runs, and the port" },
	{ 6, PH_EDEFERRED, PH_CAUSE_TIMEOUT, "no answer from the server (TTL expired)", NULL },
	{ 7, PH_ECONFIG,   PH_CAUSE_REPLY, "it does not do connections outwards", "use another proxy" },
	{ 8, PH_ECONFIG,   PH_CAUSE_REPLY, "it does not know this type of address",
	     "name the server by an address of the other IP version, or by its name" },
};

static const struct refusal http_refusals[] = {
	{ 400, PH_ECONFIG,   PH_CAUSE_REPLY, "it did not understand the request", CHECK_PROXY },
	{ 403, PH_ECONFIG,   PH_CAUSE_REPLY, "its rules do not allow the connection", ASK_FOR_PORT },
	{ 404, PH_ECONFIG,   PH_CAUSE_REPLY, "it is a web server, or does not know the host", CHECK_NAME },
	{ 405, PH_ECONFIG,   PH_CAUSE_REPLY, "it does not allow CONNECT", ASK_FOR_PORT },
	{ 408, PH_EDEFERRED, PH_CAUSE_TIMEOUT, "it waited too long for us", NULL },
	{ 429, PH_EDEFERRED, PH_CAUSE_REPLY, "too many connections for the moment", NULL },
	{ 500, PH_EDEFERRED, PH_CAUSE_UNREACHABLE, "it failed, or cannot reach the server", CHECK_NAME },
	{ 501, PH_ECONFIG,   PH_CAUSE_REPLY, "it does not do CONNECT", "use another proxy" },
	{ 502, PH_EDEFERRED, PH_CAUSE_UNREACHABLE, "it cannot reach the server", CHECK_NAME },
	{ 503, PH_EDEFERRED, PH_CAUSE_UNREACHABLE, "it cannot do it now, or cannot reach the server",
	       CHECK_NAME },
	{ 504, PH_EDEFERRED, PH_CAUSE_TIMEOUT, "the server did not answer it in time", CHECK_NAME },
};

static enum ph_io
fail(const struct ph__tunnel *t, struct ph_error *err, enum ph_code code, enum ph_cause cause,
     const char *what)
{
	ph__fail(err, code, PH_STAGE_PROXY, cause, "%s does not connect us to %.200s: %s", t->proxy,
	         t->target, what);
	return PH_IO_ERROR;
}

static enum ph_io
fail_garbage(const struct ph__tunnel *t, struct ph_error *err, const char *what)
{
	ph__fail(err, PH_EPROTOCOL, PH_STAGE_PROXY, PH_CAUSE_GARBAGE, "%s breaks the protocol: %s",
	         t->proxy, what);
	ph__hint(err, "check the proxy's host and port, and its kind: socks5:// or http://");
	return PH_IO_ERROR;
}

static enum ph_io
fail_lost(const struct ph__tunnel *t, struct ph_error *err, int sys)
{
	if (sys == 0)
		ph__fail(err, PH_EDEFERRED, PH_STAGE_PROXY, PH_CAUSE_LOST,
		         "%s closed the connection instead of connecting us to %.200s", t->proxy,
		         t->target);
	else
		ph__fail_errno(err, PH_EDEFERRED, PH_STAGE_PROXY, PH_CAUSE_LOST, sys,
		               "the connection to %s was lost", t->proxy);
	return PH_IO_ERROR;
}

static enum ph_io
fail_login(const struct ph__tunnel *t, struct ph_error *err, const char *detail)
{
	char what[200];

	snprintf(what, sizeof what, t->has_user ? "it refuses the user or the password%s"
	                                        : "it wants a user and a password%s", detail);
	fail(t, err, PH_EAUTH, PH_CAUSE_REPLY, what);
	if (t->has_user)
		ph__hint(err, "check the user in the proxy's URL and the file of --proxy-password-file");
	else
		ph__hint(err, "put the user into the proxy's URL (%s://USER@HOST:PORT), and name a file with "
		              "--proxy-password-file", t->http ? "http" : "socks5");
	return PH_IO_ERROR;
}

static enum ph_io
refused(const struct ph__tunnel *t, struct ph_error *err, const struct refusal *r, const char *said)
{
	char what[240];

	snprintf(what, sizeof what, "%s (%s)", r->what, said);
	fail(t, err, r->class, r->cause, what);
	if (r->hint != NULL)
		ph__hint(err, "%s", r->hint);
	return PH_IO_ERROR;
}

static const struct refusal *
find_refusal(const struct refusal *table, size_t n, unsigned code)
{
	for (size_t i = 0; i < n; i++)
		if (table[i].code == code)
			return &table[i];
	return NULL;
}

#define FIND(table, code) find_refusal(table, sizeof table / sizeof *table, code)

static enum ph_io
socks_refused(const struct ph__tunnel *t, unsigned code, struct ph_error *err)
{
	const struct refusal unknown = { code, PH_EDEFERRED, PH_CAUSE_REPLY, "failure", NULL };
	const struct refusal *r = FIND(socks_refusals, code);
	char said[32];

	snprintf(said, sizeof said, "SOCKS5 reply %u", code);
	return refused(t, err, r != NULL ? r : &unknown, said);
}

/* Whether the header block offers Basic, or says nothing of what it wants. */
static bool
takes_basic(const struct ph__tunnel *t)
{
	static const char field[] = "proxy-authenticate:";
	const char *p = ph__buf_cstr(&t->header);
	bool asked = false;

	for (; (p = strchr(p, '\n')) != NULL; ) {
		p++;
		if (!ph__str_is((struct ph_str){ p, strnlen(p, sizeof field - 1) }, field))
			continue;
		asked = true;
		for (const char *q = p; *q != '\n' && *q != '\0'; q++)
			if (ph__str_is((struct ph_str){ q, strnlen(q, 5) }, "basic"))
				return true;
	}
	return !asked;
}

static enum ph_io
http_refused(const struct ph__tunnel *t, unsigned code, const char *said, struct ph_error *err)
{
	const struct refusal unknown = {
		code, code >= 500 ? PH_EDEFERRED : PH_ECONFIG, PH_CAUSE_REPLY,
		code < 400 ? "it sends us elsewhere; is it a web server?" : "refused", NULL,
	};
	const struct refusal *r = FIND(http_refusals, code);
	char detail[160];

	if (code != 407 && code != 401) /* 401: tinyproxy, of a wrong password */
		return refused(t, err, r != NULL ? r : &unknown, said);
	if (!takes_basic(t)) {
		fail(t, err, PH_EAUTH, PH_CAUSE_MECHANISM,
		     "it wants a login by another scheme than Basic");
		ph__hint(err, "ask the proxy's administrator for Basic, or a way without a login");
		return PH_IO_ERROR;
	}
	snprintf(detail, sizeof detail, " (%s)", said);
	return fail_login(t, err, detail);
}

/* ---- what is read ---------------------------------------------------------------------------- */

static void
await(struct ph__tunnel *t, enum phase phase, size_t need)
{
	t->phase = phase;
	t->have = 0;
	t->need = need;
}

static void
ask(struct ph__tunnel *t, const struct ph__buf *message, enum phase phase)
{
	t->out = message;
	t->out_off = 0;
	await(t, phase, 2);
}

static enum ph_io
on_method(struct ph__tunnel *t, struct ph_error *err)
{
	if (t->in[0] != 5)
		return fail_garbage(t, err, t->in[0] == 'H' ? "it answers like an HTTP proxy"
		                                            : "its answer is not SOCKS5");
	if (t->in[1] == NO_LOGIN)
		ask(t, &t->request, REPLY);
	else if (t->in[1] == USER_PASSWORD && t->has_user)
		ask(t, &t->login, LOGIN);
	else if (t->in[1] == NO_METHOD && t->has_user)
		return fail(t, err, PH_EAUTH, PH_CAUSE_MECHANISM,
		            "it takes neither user and password nor us without them");
	else if (t->in[1] == NO_METHOD)
		return fail_login(t, err, "");
	else
		return fail_garbage(t, err, "it chose a login that was not offered");
	return PH_IO_AGAIN;
}

/* RFC 1929 §2; some proxies write SOCKS's version here instead of the login's. */
static enum ph_io
on_login(struct ph__tunnel *t, struct ph_error *err)
{
	if (t->in[0] != 1 && t->in[0] != 5)
		return fail_garbage(t, err, "its answer to the login is not RFC 1929's");
	if (t->in[1] != 0)
		return fail_login(t, err, "");
	ask(t, &t->request, REPLY);
	return PH_IO_AGAIN;
}

/* RFC 1928 §6. Refusals are judged by two octets: not every proxy sends the rest. */
static enum ph_io
on_reply(struct ph__tunnel *t, struct ph_error *err)
{
	if (t->in[0] != 5)
		return fail_garbage(t, err, "its reply is not SOCKS5");
	if (t->in[1] != 0)
		return socks_refused(t, t->in[1], err);
	await(t, TYPE, 2);
	return PH_IO_AGAIN;
}

/* The address that the proxy connects from serves nothing here, but has to be read. */
static enum ph_io
on_type(struct ph__tunnel *t, struct ph_error *err)
{
	if (t->in[1] == TO_IPV4)
		await(t, ADDRESS, 4 + 2);
	else if (t->in[1] == TO_IPV6)
		await(t, ADDRESS, 16 + 2);
	else if (t->in[1] == TO_NAME)
		await(t, NAME, 1);
	else
		return fail_garbage(t, err, "its reply has an address of unknown type");
	return PH_IO_AGAIN;
}

static enum ph_io
on_message(struct ph__tunnel *t, struct ph_error *err)
{
	switch (t->phase) {
	case METHOD:
		return on_method(t, err);
	case LOGIN:
		return on_login(t, err);
	case REPLY:
		return on_reply(t, err);
	case TYPE:
		return on_type(t, err);
	case NAME:
		await(t, ADDRESS, t->in[0] + 2u);
		return PH_IO_AGAIN;
	default:
		t->phase = OPEN;
		return PH_IO_OK;
	}
}

static enum ph_io
take_socks(struct ph__tunnel *t, const char *p, size_t n, size_t *took, struct ph_error *err)
{
	*took = n < t->need - t->have ? n : t->need - t->have;
	memcpy(t->in + t->have, p, *took);
	t->have += *took;
	return t->have == t->need ? on_message(t, err) : PH_IO_AGAIN;
}

/* "HTTP/1.1 200 Connection established": 200, and from there on to the line's end. 0: it is none. */
static unsigned
status_of(const struct ph__tunnel *t, struct ph_str *said)
{
	const char *p = ph__buf_cstr(&t->header);
	size_t n = strcspn(p, "\r\n");
	uint64_t code;

	if (n < 12 || strncmp(p, "HTTP/1.", 7) != 0 || !ph__is_digit(p[7]) || p[8] != ' ' ||
	    (n > 12 && p[12] != ' ') || !ph__str_to_uint((struct ph_str){ p + 9, 3 }, 599, &code) ||
	    code < 100)
		return 0;
	*said = (struct ph_str){ p + 9, n - 9 };
	return (unsigned)code;
}

/* A whole header block. What it says of a body's length is void after a 2xx (RFC 9110 §9.3.6). */
static enum ph_io
on_header(struct ph__tunnel *t, struct ph_error *err)
{
	struct ph_str said;
	unsigned code = status_of(t, &said);
	char words[100];

	if (code == 0)
		return fail_garbage(t, err, "its status line is not HTTP/1.1's");
	if (code >= 200 && code < 300) {
		t->phase = OPEN;
		return PH_IO_OK;
	}
	if (code < 200 && code != 101) { /* RFC 9110 §15.2: the real answer is still to come */
		ph__buf_reset(&t->header);
		return PH_IO_AGAIN;
	}
	ph__escape_into(words, sizeof words, said, false);
	return http_refused(t, code, words, err);
}

/* Up to the empty line. A line may end with a lone LF (RFC 9112 §2.2). */
static enum ph_io
take_http(struct ph__tunnel *t, const char *p, size_t n, size_t *took, struct ph_error *err)
{
	static const char version[] = "HTTP/";

	for (*took = 0; *took < n; ) {
		char c = p[(*took)++];

		if (t->header.len < sizeof version - 1 && c != version[t->header.len])
			return fail_garbage(t, err, t->header.len == 0 && c == 5
			                    ? "it answers like a SOCKS5 proxy" : "its answer is not HTTP");
		if ((t->after_cr && c != '\n') || (ph__is_control(c) && strchr("\t\r\n", c) == NULL) ||
		    c == '\0')
			return fail_garbage(t, err, "a control character in its header");
		if (++t->heard > PH__HTTP_HEADER_MAX)
			return fail_garbage(t, err, "its header has no end");
		if (!ph__buf_add_char(&t->header, c)) {
			ph__fail_nomem(err, PH_STAGE_PROXY);
			return PH_IO_ERROR;
		}
		t->after_cr = c == '\r';
		if (c == '\n' && t->line == 0)
			return on_header(t, err);
		t->line = c == '\n' ? 0 : t->line + (c != '\r');
	}
	return PH_IO_AGAIN;
}

/* ---- the socket ------------------------------------------------------------------------------ */

void
ph__tunnel_begin(struct ph__tunnel *t, int fd, uint64_t now_ms)
{
	t->fd = fd;
	t->out = &t->hello;
	t->deadline = now_ms + t->timeout_ms;
}

/* PH_IO_OK: all is sent, or the proxy has closed and its last words are to be read. */
static enum ph_io
send_out(struct ph__tunnel *t, struct ph_error *err)
{
	while (t->out_off < t->out->len) {
		ssize_t n = send(t->fd, t->out->p + t->out_off, t->out->len - t->out_off,
		                 MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n >= 0)
			t->out_off += (size_t)n;
		else if (errno == EAGAIN || errno == EWOULDBLOCK)
			return PH_IO_AGAIN;
		else if (errno == EPIPE || errno == ECONNRESET)
			t->out_off = t->out->len;
		else if (errno != EINTR)
			return fail_lost(t, err, errno);
	}
	return PH_IO_OK;
}

/* PH_IO_AGAIN with *more: something was read, and what follows may be there already. */
static enum ph_io
receive(struct ph__tunnel *t, bool *more, struct ph_error *err)
{
	char buf[512];
	size_t took;
	ssize_t n = recv(t->fd, buf, sizeof buf, MSG_PEEK | MSG_DONTWAIT);
	enum ph_io io;

	*more = n > 0;
	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
		return PH_IO_AGAIN;
	if (n <= 0)
		return fail_lost(t, err, n == 0 ? 0 : errno);
	io = t->http ? take_http(t, buf, (size_t)n, &took, err)
	             : take_socks(t, buf, (size_t)n, &took, err);
	if (io != PH_IO_ERROR && recv(t->fd, buf, took, MSG_DONTWAIT) != (ssize_t)took)
		return fail_lost(t, err, EIO); /* they were there */
	return io;
}

static enum ph_io
fail_late(const struct ph__tunnel *t, struct ph_error *err)
{
	ph__fail(err, PH_EDEFERRED, PH_STAGE_PROXY, PH_CAUSE_TIMEOUT,
	         "%s has not connected us to %.200s within %llu ms", t->proxy, t->target,
	         (unsigned long long)t->timeout_ms);
	ph__hint(err, "check the server's host and port, and the proxy's kind: socks5:// or http://");
	return PH_IO_ERROR;
}

enum ph_io
ph__tunnel_step(struct ph__tunnel *t, uint64_t now_ms, struct ph_error *err)
{
	bool more = true;
	enum ph_io io = PH_IO_AGAIN;

	if (now_ms >= t->deadline)
		return fail_late(t, err);
	while (io == PH_IO_AGAIN && more)
		if ((io = send_out(t, err)) == PH_IO_OK)
			io = receive(t, &more, err);
		else
			more = false;
	return io;
}

short
ph__tunnel_events(const struct ph__tunnel *t)
{
	return t->out_off < t->out->len ? POLLOUT : POLLIN;
}

uint64_t
ph__tunnel_deadline(const struct ph__tunnel *t)
{
	return t->deadline;
}
