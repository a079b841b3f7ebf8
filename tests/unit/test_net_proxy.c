/* SPDX-License-Identifier: MIT */
/* Tunnels through SOCKS5 and HTTP proxies, and the PROXY protocol's header. The proxy is the other end
 * of a socket pair, played step by step and cut as the test wants; dialling and the client go through
 * one in a thread on a loopback port. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <fcntl.h>
#include <posthaste/client.h>

#include "base/bounds.h"
#include "base/clock.h"
#include "base/mem.h"
#include "failing_memory.h"
#include "net/dial.h"
#include "net/proxy.h"
#include "net/proxy_header.h"
#include "smtp_peer.h"

#define COUNT(a) (sizeof(a) / sizeof *(a))
#define GREETING "220 mx.test ESMTP\r\n"

/* What we are to send, and what is answered; literals, so that NULs count. */
struct line {
	const char *want;
	size_t want_len;
	const char *say;
	size_t say_len;
};
#define LINE(want, say) { want, sizeof(want) - 1, say, sizeof(say) - 1 }

#define NAME_REQUEST "\5\1\0\3\7mx.test\0\x19"
#define IPV4_BOUND "\5\0\0\1\x7f\0\0\1\x1f\x90"

static const struct line plain_socks[] = {
	LINE("\5\1\0", "\5\0"),
	LINE(NAME_REQUEST, IPV4_BOUND),
};
static const struct line socks_with_login[] = {
	LINE("\5\2\0\2", "\5\2"),
	LINE("\1\3ann\6secret", "\1\0"),
	LINE(NAME_REQUEST, "\5\0\0\3\4here\0\1"),
};
static const struct line plain_http[] = {
	LINE("CONNECT mx.test:25 HTTP/1.1\r\nHost: mx.test:25\r\n\r\n",
	     "HTTP/1.1 200 Connection established\r\nVia: x\r\nContent-Length: 10\r\n\r\n"),
};

#define SOCKS(...) &(const struct ph__proxy){ .host = "p.test", .port = 1080, __VA_ARGS__ }
#define HTTP(...) &(const struct ph__proxy){ .http = true, .host = "p.test", .port = 8080, __VA_ARGS__ }
#define ANN .user = "ann", .password = "secret"

/* ---- a proxy that is played ------------------------------------------------------------------- */

struct stage {
	int fd[2];                   /* ours, the proxy's */
	struct ph__tunnel *t;
	struct ph_error err;
};

static enum ph_code
stage_set(struct stage *s, const struct ph__proxy *p, const char *host, uint16_t port,
          const struct ph_allocator *mem)
{
	enum ph_code rc;

	*s = (struct stage){ .err = PH_ERROR_INIT };
	if ((rc = ph__tunnel_new(&s->t, p, host, port, 1000, mem, &s->err)) != PH_OK)
		return rc;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, s->fd), 0);
	ph__tunnel_begin(s->t, s->fd[0], 0);
	return PH_OK;
}

static void
stage_strike(struct stage *s)
{
	ph__tunnel_free(&s->t);
	assert_null(s->t);
	close(s->fd[0]);
	if (s->fd[1] >= 0)
		close(s->fd[1]);
}

static void
heard(struct stage *s, const char *want, size_t len)
{
	char buf[16384];
	ssize_t n = read(s->fd[1], buf, sizeof buf);

	if (n != (ssize_t)len || memcmp(buf, want, len) != 0)
		fail_msg("we sent %zd octets \"%.*s\", not \"%.*s\"", n, (int)(n > 0 ? n : 0), buf, (int)len, want);
}

/* Says it in pieces of `cut`, with a step after each. */
static enum ph_io
say(struct stage *s, const char *p, size_t len, size_t cut)
{
	enum ph_io io = PH_IO_AGAIN;

	while (len != 0 && io == PH_IO_AGAIN) {
		size_t n = len < cut ? len : cut;

		assert_int_equal(ph__tunnel_events(s->t), POLLIN);
		assert_int_equal(write(s->fd[1], p, n), n);
		io = ph__tunnel_step(s->t, 1, &s->err);
		p += n;
		len -= n;
	}
	return io;
}

static enum ph_io
play(struct stage *s, const struct line *lines, size_t count, size_t cut)
{
	enum ph_io io = ph__tunnel_step(s->t, 0, &s->err);

	for (size_t i = 0; i < count && io == PH_IO_AGAIN; i++) {
		heard(s, lines[i].want, lines[i].want_len);
		io = say(s, lines[i].say, lines[i].say_len, cut);
	}
	return io;
}

/* The whole scene in every cutting, the server's greeting behind the proxy's last octet. */
static void
opens(const struct ph__proxy *p, const char *host, const struct line *lines, size_t count)
{
	for (size_t cut = 1; cut < 120; cut++) {
		struct stage s;
		char last[512], left[64];
		ssize_t got;
		struct line mine[4];

		memcpy(mine, lines, count * sizeof *lines);
		memcpy(last, mine[count - 1].say, mine[count - 1].say_len);
		memcpy(last + mine[count - 1].say_len, GREETING, sizeof GREETING - 1);
		mine[count - 1].say = last;
		mine[count - 1].say_len += sizeof GREETING - 1;
		assert_int_equal(stage_set(&s, p, host, 25, &ph__libc_memory), PH_OK);
		if (play(&s, mine, count, cut) != PH_IO_OK)
			fail_msg("in pieces of %zu: %s", cut, s.err.text);
		got = read(s.fd[0], left, sizeof left - 1);
		left[got > 0 ? got : 0] = '\0';
		assert_memory_equal(left, GREETING, strlen(left));
		if (cut >= 100) /* all that the proxy said was in the last piece */
			assert_string_equal(left, GREETING);
		stage_strike(&s);
	}
}

static void
fails(const struct ph__proxy *p, const struct line *lines, size_t count, enum ph_code code,
      enum ph_cause cause, const char *text)
{
	struct stage s;

	assert_int_equal(stage_set(&s, p, "mx.test", 25, &ph__libc_memory), PH_OK);
	if (play(&s, lines, count, 1) != PH_IO_ERROR)
		fail_msg("this should have failed: %s", text);
	if (s.err.code != code || s.err.cause != cause || s.err.stage != PH_STAGE_PROXY ||
	    strstr(s.err.text, text) == NULL)
		fail_msg("%s, %s, \"%s\" lacks \"%s\"", ph_code_name(s.err.code),
		         ph_cause_name(s.err.cause), s.err.text, text);
	assert_null(strstr(s.err.text, "secret"));
	stage_strike(&s);
}

#define FAILS(p, code, cause, text, ...) \
	do { \
		const struct line l_[] = { __VA_ARGS__ }; \
		fails(p, l_, COUNT(l_), code, PH_CAUSE_##cause, text); \
	} while (0)

/* ---- what works ------------------------------------------------------------------------------- */

static void
socks5_opens_in_every_cutting_and_leaves_the_greeting(void **state)
{
	static const struct line ipv6[] = {
		LINE("\5\1\0", "\5\0"),
		LINE("\5\1\0\4\x20\1\xd\xb8\0\0\0\0\0\0\0\0\0\0\0\1\0\x19",
		     "\5\0\0\4" "0123456789abcdef" "\0\1"),
	};
	static const struct line ipv4[] = {
		LINE("\5\1\0", "\5\0"),
		LINE("\5\1\0\1\xc0\0\2\1\0\x19", "\5\0\0\3\0\0\1"),
	};
	static const struct line known_by_address[] = {
		LINE("\5\2\0\2", "\5\0"),
		LINE(NAME_REQUEST, IPV4_BOUND),
	};

	(void)state;
	opens(SOCKS(), "mx.test", plain_socks, COUNT(plain_socks));
	opens(SOCKS(ANN), "mx.test", socks_with_login, COUNT(socks_with_login));
	opens(SOCKS(ANN), "MX.test", known_by_address, COUNT(known_by_address));
	opens(SOCKS(), "[2001:db8::1]", ipv6, COUNT(ipv6));
	opens(SOCKS(), "192.0.2.1", ipv4, COUNT(ipv4));
}

static void
a_login_may_be_answered_with_version_5(void **state)
{
	static const struct line lines[] = {
		LINE("\5\2\0\2", "\5\2"),
		LINE("\1\3ann\6secret", "\5\0"),
		LINE(NAME_REQUEST, IPV4_BOUND),
	};

	(void)state;
	opens(SOCKS(ANN), "mx.test", lines, COUNT(lines));
}

static void
names_go_to_the_proxy_as_a_labels_and_keep_their_final_dot(void **state)
{
	static const struct line idn[] = {
		LINE("\5\1\0", "\5\0"),
		LINE("\5\1\0\3\x14xn--mnchen-3ya.test.\0\x19", IPV4_BOUND),
	};
	static const struct line http[] = {
		LINE("CONNECT xn--mnchen-3ya.test.:25 HTTP/1.1\r\nHost: xn--mnchen-3ya.test.:25\r\n\r\n",
		     "HTTP/1.0 200\r\n\r\n"),
	};

	(void)state;
	opens(SOCKS(), "m\xc3\xbcnchen.test.", idn, COUNT(idn));
	opens(HTTP(), "m\xc3\xbcnchen.test.", http, COUNT(http));
}

static void
http_opens_in_every_cutting_and_leaves_the_greeting(void **state)
{
	static const struct line with_login[] = {
		LINE("CONNECT mx.test:25 HTTP/1.1\r\nHost: mx.test:25\r\n"
		     "Proxy-Authorization: Basic YW5uOnNlY3JldA==\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n"),
	};
	static const struct line ipv6[] = {
		LINE("CONNECT [2001:db8::1]:25 HTTP/1.1\r\nHost: [2001:db8::1]:25\r\n\r\n",
		     "HTTP/1.1 201 \r\n\r\n"),
	};
	static const struct line bare_lf[] = {
		LINE("CONNECT mx.test:25 HTTP/1.1\r\nHost: mx.test:25\r\n\r\n",
		     "HTTP/1.0 200 OK\nX: \ty\n\n"),
	};
	static const struct line interim[] = {
		LINE("CONNECT mx.test:25 HTTP/1.1\r\nHost: mx.test:25\r\n\r\n",
		     "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Wait\r\nX: y\r\n\r\nHTTP/1.1 200 OK\r\n\r\n"),
	};

	(void)state;
	opens(HTTP(), "mx.test", plain_http, COUNT(plain_http));
	opens(HTTP(ANN), "mx.test", with_login, COUNT(with_login));
	opens(HTTP(), "2001:db8::1", ipv6, COUNT(ipv6));
	opens(HTTP(), "mx.test", bare_lf, COUNT(bare_lf));
	opens(HTTP(), "mx.test", interim, COUNT(interim));
}

/* ---- what does not ---------------------------------------------------------------------------- */

static void
every_socks5_reply_has_its_class(void **state)
{
	static const struct { unsigned char code; enum ph_code class; const char *text; } rows[] = {
		{ 1, PH_EDEFERRED, "general failure" }, { 2, PH_ECONFIG, "its rules" },
		{ 3, PH_EDEFERRED, "network" }, { 4, PH_EDEFERRED, "host" },
		{ 5, PH_EDEFERRED, "refused the connection" }, { 6, PH_EDEFERRED, "no answer" },
		{ 7, PH_ECONFIG, "outwards" }, { 8, PH_ECONFIG, "type of address" },
		{ 9, PH_EDEFERRED, "reply 9" }, { 0xf4, PH_EDEFERRED, "reply 244" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		const char reply[] = { 5, (char)rows[i].code };
		const struct line lines[] = { LINE("\5\1\0", "\5\0"),
			{ NAME_REQUEST, sizeof NAME_REQUEST - 1, reply, sizeof reply } };
		struct stage s;

		assert_int_equal(stage_set(&s, SOCKS(), "mx.test", 25, &ph__libc_memory), PH_OK);
		assert_int_equal(play(&s, lines, 2, 1), PH_IO_ERROR);
		assert_int_equal(s.err.code, rows[i].class);
		assert_int_equal(s.err.stage, PH_STAGE_PROXY);
		assert_non_null(strstr(s.err.text, rows[i].text));
		assert_non_null(strstr(s.err.text, "the SOCKS5 proxy p.test port 1080"));
		stage_strike(&s);
	}
}

static void
every_http_status_has_its_class(void **state)
{
	static const struct { const char *status; enum ph_code class; const char *text, *hint; } rows[] = {
		{ "400 Bad", PH_ECONFIG, "(400 Bad)", "is a proxy" },
		{ "401 Auth", PH_EAUTH, "wants a user and a password (401 Auth)", "--proxy-password-file" },
		{ "403 No", PH_ECONFIG, "rules do not allow", "443" },
		{ "404 No", PH_ECONFIG, "web server", "name" },
		{ "405 No", PH_ECONFIG, "CONNECT", "443" },
		{ "407 Auth", PH_EAUTH, "wants a user and a password (407 Auth)", "--proxy-password-file" },
		{ "408 Late", PH_EDEFERRED, "waited", "" },
		{ "418 Tea", PH_ECONFIG, "418 Tea", "" },
		{ "429 Slow", PH_EDEFERRED, "too many", "" },
		{ "301 There", PH_ECONFIG, "elsewhere", "" },
		{ "101 Switching", PH_ECONFIG, "elsewhere", "" },
		{ "500 Oops", PH_EDEFERRED, "500 Oops", "name" },
		{ "505 Version", PH_EDEFERRED, "505 Version", "" },
		{ "501 No", PH_ECONFIG, "does not do CONNECT", "another" },
		{ "502 Bad", PH_EDEFERRED, "cannot reach", "name" },
		{ "503 Bad", PH_EDEFERRED, "cannot", "name" },
		{ "504 Late", PH_EDEFERRED, "in time", "name" },
		{ "599", PH_EDEFERRED, "(599)", "" },
		{ "502 N\xc3\xb6 \xff\t!", PH_EDEFERRED, "(502 N\xc3\xb6 \\xFF\\x09!)", "name" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct line l = plain_http[0];
		char reply[128];
		struct stage s;

		l.say_len = (size_t)snprintf(reply, sizeof reply, "HTTP/1.1 %s\r\nX: y\r\n\r\n<html>", rows[i].status);
		l.say = reply;
		assert_int_equal(stage_set(&s, HTTP(), "mx.test", 25, &ph__libc_memory), PH_OK);
		assert_int_equal(play(&s, &l, 1, 7), PH_IO_ERROR);
		if (s.err.code != rows[i].class || strstr(s.err.text, rows[i].text) == NULL ||
		    strstr(s.err.hint, rows[i].hint) == NULL)
			fail_msg("%s: %s: %s (%s)", rows[i].status, ph_code_name(s.err.code), s.err.text, s.err.hint);
		stage_strike(&s);
	}
}

static void
logins_that_fail_are_auth_and_never_show_the_password(void **state)
{
	static const char asked[] = "CONNECT mx.test:25 HTTP/1.1\r\nHost: mx.test:25\r\n"
	                            "Proxy-Authorization: Basic YW5uOnNlY3JldA==\r\n\r\n";

	(void)state;
	FAILS(SOCKS(), PH_EAUTH, REPLY, "wants a user", LINE("\5\1\0", "\5\xff"));
	FAILS(SOCKS(ANN), PH_EAUTH, MECHANISM, "neither", LINE("\5\2\0\2", "\5\xff"));
	FAILS(SOCKS(ANN), PH_EAUTH, REPLY, "refuses the user or the password",
	      LINE("\5\2\0\2", "\5\2"), LINE("\1\3ann\6secret", "\1\1"));
	FAILS(HTTP(ANN), PH_EAUTH, REPLY, "refuses the user or the password",
	      LINE(asked, "HTTP/1.1 407 Proxy Auth\r\nProxy-Authenticate: NTLM, basic realm=x\r\n\r\n"));
	FAILS(HTTP(ANN), PH_EAUTH, MECHANISM, "another scheme than Basic",
	      LINE(asked, "HTTP/1.1 407 Proxy Auth\r\nProxy-authenticate: NTLM\r\n"
	                  "Proxy-Authenticate: Negotiate\r\n\r\n"));
}

static void
garbage_is_a_protocol_error(void **state)
{
	static const char asked[] = "CONNECT mx.test:25 HTTP/1.1\r\nHost: mx.test:25\r\n\r\n";

	(void)state;
	FAILS(SOCKS(), PH_EPROTOCOL, GARBAGE, "like an HTTP proxy", LINE("\5\1\0", "HTTP/1.1 400"));
	FAILS(SOCKS(), PH_EPROTOCOL, GARBAGE, "not SOCKS5", LINE("\5\1\0", "220 mx"));
	FAILS(SOCKS(), PH_EPROTOCOL, GARBAGE, "not offered", LINE("\5\1\0", "\5\2"));
	FAILS(SOCKS(ANN), PH_EPROTOCOL, GARBAGE, "not offered", LINE("\5\2\0\2", "\5\1"));
	FAILS(SOCKS(ANN), PH_EPROTOCOL, GARBAGE, "RFC 1929", LINE("\5\2\0\2", "\5\2"),
	      LINE("\1\3ann\6secret", "\2\0"));
	FAILS(SOCKS(), PH_EPROTOCOL, GARBAGE, "reply is not SOCKS5", LINE("\5\1\0", "\5\0"),
	      LINE(NAME_REQUEST, "\4\0"));
	FAILS(SOCKS(), PH_EPROTOCOL, GARBAGE, "unknown type", LINE("\5\1\0", "\5\0"),
	      LINE(NAME_REQUEST, "\5\0\0\2"));
	FAILS(HTTP(), PH_EPROTOCOL, GARBAGE, "like a SOCKS5 proxy", LINE(asked, "\5\0"));
	FAILS(HTTP(), PH_EPROTOCOL, GARBAGE, "not HTTP", LINE(asked, "220 mx"));
	FAILS(HTTP(), PH_EPROTOCOL, GARBAGE, "not HTTP", LINE(asked, "HTTq"));
	FAILS(HTTP(), PH_EPROTOCOL, GARBAGE, "status line", LINE(asked, "HTTP/2 200 OK\r\n\r\n"));
	FAILS(HTTP(), PH_EPROTOCOL, GARBAGE, "status line", LINE(asked, "HTTP/1.1 99 OK\r\n\r\n"));
	FAILS(HTTP(), PH_EPROTOCOL, GARBAGE, "status line", LINE(asked, "HTTP/1.1 2000\r\n\r\n"));
	FAILS(HTTP(), PH_EPROTOCOL, GARBAGE, "status line", LINE(asked, "HTTP/1.1 600 x\r\n\r\n"));
	FAILS(HTTP(), PH_EPROTOCOL, GARBAGE, "control", LINE(asked, "HTTP/1.1 200 O\0K\r\n\r\n"));
	FAILS(HTTP(), PH_EPROTOCOL, GARBAGE, "control", LINE(asked, "HTTP/1.1 200 O\rK\r\n\r\n"));
}

static void
a_header_without_end_is_cut_off(void **state)
{
	static const char *const lines[] = { "X: y\r\n", "x", "HTTP/1.1 100 Go on\r\n\r\n" };

	(void)state;
	for (size_t i = 0; i < COUNT(lines); i++) {
		struct stage s;
		size_t said = 0;
		enum ph_io io = PH_IO_AGAIN;

		assert_int_equal(stage_set(&s, HTTP(), "mx.test", 25, &ph__libc_memory), PH_OK);
		assert_int_equal(play(&s, plain_http, 0, 1), PH_IO_AGAIN);
		if (i != 2)
			io = say(&s, "HTTP/1.1 200 OK\r\n", 17, 17);
		while (io == PH_IO_AGAIN) {
			io = say(&s, lines[i], strlen(lines[i]), 4096);
			said += strlen(lines[i]);
			assert_true(said < 2 * PH__HTTP_HEADER_MAX);
		}
		assert_int_equal(io, PH_IO_ERROR);
		assert_non_null(strstr(s.err.text, "no end"));
		assert_int_equal(s.err.code, PH_EPROTOCOL);
		stage_strike(&s);
	}
}

/* After every octet of the proxy's. */
static void
closes_after_each(const struct ph__proxy *p, const struct line *lines, size_t count)
{
	for (size_t i = 0; i < count; i++)
		for (size_t n = 0; n < lines[i].say_len; n++) {
			struct line mine[4];
			struct stage s;

			memcpy(mine, lines, (i + 1) * sizeof *lines);
			mine[i].say_len = n;
			assert_int_equal(stage_set(&s, p, "mx.test", 25, &ph__libc_memory), PH_OK);
			assert_int_equal(play(&s, mine, i + 1, 1), PH_IO_AGAIN);
			close(s.fd[1]);
			s.fd[1] = -1;
			assert_int_equal(ph__tunnel_step(s.t, 2, &s.err), PH_IO_ERROR);
			assert_int_equal(s.err.code, PH_EDEFERRED);
			assert_int_equal(s.err.cause, PH_CAUSE_LOST);
			assert_int_equal(s.err.stage, PH_STAGE_PROXY);
			stage_strike(&s);
		}
}

static void
a_proxy_that_closes_at_any_point_is_deferred(void **state)
{
	(void)state;
	closes_after_each(SOCKS(), plain_socks, COUNT(plain_socks));
	closes_after_each(SOCKS(ANN), socks_with_login, COUNT(socks_with_login));
	closes_after_each(HTTP(), plain_http, COUNT(plain_http));
}

static void
the_last_words_of_a_proxy_that_did_not_read_are_heard(void **state)
{
	static const char no[] = "HTTP/1.1 403 Forbidden\r\n\r\n";
	struct stage s;

	(void)state;
	assert_int_equal(stage_set(&s, HTTP(), "mx.test", 25, &ph__libc_memory), PH_OK);
	assert_int_equal(write(s.fd[1], no, sizeof no - 1), sizeof no - 1);
	close(s.fd[1]);
	s.fd[1] = -1;
	assert_int_equal(ph__tunnel_step(s.t, 0, &s.err), PH_IO_ERROR);
	assert_int_equal(s.err.code, PH_ECONFIG);
	assert_non_null(strstr(s.err.text, "403 Forbidden"));
	stage_strike(&s);
}

static void
the_deadline_is_for_the_whole_and_not_restarted(void **state)
{
	struct stage s;

	(void)state;
	assert_int_equal(stage_set(&s, HTTP(), "mx.test", 25, &ph__libc_memory), PH_OK);
	assert_int_equal(ph__tunnel_deadline(s.t), 1000);
	assert_int_equal(play(&s, plain_http, 0, 1), PH_IO_AGAIN);
	for (size_t i = 0; i < 20; i++) {
		assert_int_equal(write(s.fd[1], plain_http[0].say + i, 1), 1);
		assert_int_equal(ph__tunnel_step(s.t, 40 * i, &s.err), PH_IO_AGAIN);
	}
	assert_int_equal(ph__tunnel_deadline(s.t), 1000);
	assert_int_equal(ph__tunnel_step(s.t, 1000, &s.err), PH_IO_ERROR);
	assert_int_equal(s.err.code, PH_EDEFERRED);
	assert_int_equal(s.err.cause, PH_CAUSE_TIMEOUT);
	assert_non_null(strstr(s.err.text, "within 1000 ms"));
	stage_strike(&s);
}

static void
a_full_socket_is_waited_for(void **state)
{
	struct stage s;
	char junk[4096] = { 0 };
	size_t filled = 0;
	ssize_t n;

	(void)state;
	assert_int_equal(stage_set(&s, SOCKS(), "mx.test", 25, &ph__libc_memory), PH_OK);
	while ((n = write(s.fd[0], junk, sizeof junk)) > 0)
		filled += (size_t)n;
	assert_int_equal(ph__tunnel_step(s.t, 0, &s.err), PH_IO_AGAIN);
	assert_int_equal(ph__tunnel_events(s.t), POLLOUT);
	while (filled != 0 && (n = read(s.fd[1], junk, sizeof junk)) > 0)
		filled -= (size_t)n;
	assert_int_equal(play(&s, plain_socks, COUNT(plain_socks), 1), PH_IO_OK);
	stage_strike(&s);
}

static void
what_a_proxy_cannot_carry_is_refused_before_there_is_a_network(void **state)
{
	static char long_text[PH__HTTP_LOGIN_MAX + 1];
	struct stage s;

	(void)state;
	memset(long_text, 'x', sizeof long_text - 1);
#define NEW(p, host, class) assert_int_equal(stage_set(&s, p, host, 25, &ph__libc_memory), class)
	NEW(SOCKS(), "mx.test\r\nX: y", PH_EINPUT);
	NEW(HTTP(), "mx.test HTTP/1.1", PH_EINPUT);
	NEW(HTTP(), "", PH_EINPUT);
	NEW(HTTP(), "fe80::1%1", PH_EINPUT);
	assert_non_null(strstr(s.err.text, "zone"));
	NEW(SOCKS(.user = "ann", .password = ""), "mx.test", PH_ECONFIG);
	NEW(SOCKS(.user = "ann"), "mx.test", PH_ECONFIG);
	NEW(SOCKS(.user = "", .password = "x"), "mx.test", PH_ECONFIG);
	NEW(SOCKS(.user = long_text, .password = "x"), "mx.test", PH_ECONFIG);
	NEW(SOCKS(.user = "ann", .password = long_text), "mx.test", PH_ECONFIG);
	NEW(HTTP(.user = "a:n", .password = "x"), "mx.test", PH_ECONFIG);
	NEW(HTTP(.user = "ann", .password = "x\r\ny"), "mx.test", PH_ECONFIG);
	NEW(HTTP(.user = "ann", .password = long_text), "mx.test", PH_ECONFIG);
	assert_null(strstr(s.err.text, "xxx"));
#undef NEW
}

static void
memory_that_is_out_at_any_point_is_an_error(void **state)
{
	static const struct line http[] = {
		LINE("CONNECT mx.test:25 HTTP/1.1\r\nHost: mx.test:25\r\n"
		     "Proxy-Authorization: Basic YW5uOnNlY3JldA==\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n"),
	};
	struct failing_memory fm;

	(void)state;
	for (int kind = 0; kind < 2; kind++)
		for (size_t n = 1; failing_memory_try(&fm, n); n++) {
			struct stage s;
			enum ph_code rc = stage_set(&s, kind ? HTTP(ANN) : SOCKS(ANN), "mx.test", 25, &fm.mem);
			enum ph_io io;

			if (rc == PH_OK) {
				io = kind ? play(&s, http, 1, 64) : play(&s, socks_with_login, 3, 64);
				assert_int_equal(io, fm.failed ? PH_IO_ERROR : PH_IO_OK);
				if (fm.failed)
					assert_int_equal(s.err.code, PH_ESYSTEM);
				stage_strike(&s);
			} else {
				assert_true(fm.failed);
				assert_int_equal(rc, PH_ESYSTEM);
			}
			assert_int_equal(fm.live, 0);
		}
}

/* ---- the PROXY protocol's header --------------------------------------------------------------- */

static void
header_is(const char *text, int fd, const char *want, size_t len)
{
	struct ph_error err = PH_ERROR_INIT;
	char out[PH__PROXY_LINE_MAX + 1];
	struct ph__proxy_header h;
	size_t n;

	if (ph__proxy_header_parse(&h, text, &err) != PH_OK)
		fail_msg("%s", err.text);
	n = ph__proxy_header_write(&h, fd, out);
	if (n != len || memcmp(out, want, n) != 0)
		fail_msg("%s: %zu octets: %.*s", text, n, (int)n, out);
}
#define HEADER_IS(text, fd, want) header_is(text, fd, want, sizeof(want) - 1)
#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"

static void
headers_with_given_addresses_are_written_in_both_versions(void **state)
{
	(void)state;
	HEADER_IS("v1 192.0.2.1:4711 203.0.113.5:25", -1, "PROXY TCP4 192.0.2.1 203.0.113.5 4711 25\r\n");
	HEADER_IS("V1  [2001:DB8::1]:0  [::1]:65535 ", -1, "PROXY TCP6 2001:db8::1 ::1 0 65535\r\n");
	HEADER_IS("v1 [2001:db8:1111:2222:3333:4444:5555:6666]:65535 [2001:db8:1111:2222:3333:4444:5555:6666]:65535",
	          -1, "PROXY TCP6 2001:db8:1111:2222:3333:4444:5555:6666 "
	          "2001:db8:1111:2222:3333:4444:5555:6666 65535 65535\r\n");
	HEADER_IS("v1 [::ffff:192.0.2.1]:1 203.0.113.5:25", -1, "PROXY TCP4 192.0.2.1 203.0.113.5 1 25\r\n");
	HEADER_IS("v2 192.0.2.1:4711 203.0.113.5:25", -1,
	          SIGNATURE "\x21\x11\0\x0c\xc0\0\2\1\xcb\0\x71\5\x12\x67\0\x19");
	HEADER_IS("v2 [2001:db8::1]:1 [::1]:2", -1,
	          SIGNATURE "\x21\x21\0\x24\x20\1\xd\xb8\0\0\0\0\0\0\0\0\0\0\0\1"
	          "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1\0\1\0\2");
}

static void
headers_without_addresses_take_those_of_the_socket(void **state)
{
	struct sockaddr_in in = { .sin_family = AF_INET }, me;
	socklen_t len = sizeof in;
	char want[128];
	int l = socket(AF_INET, SOCK_STREAM, 0), fd = socket(AF_INET, SOCK_STREAM, 0), pair[2];

	(void)state;
	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(l, (struct sockaddr *)&in, sizeof in), 0);
	assert_int_equal(listen(l, 1), 0);
	assert_int_equal(getsockname(l, (struct sockaddr *)&in, &len), 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&in, sizeof in), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&me, &len), 0);
	snprintf(want, sizeof want, "PROXY TCP4 127.0.0.1 127.0.0.1 %u %u\r\n", ntohs(me.sin_port),
	         ntohs(in.sin_port));
	header_is("v1", fd, want, strlen(want));
	header_is("v1", l, "", 0); /* not connected */
	close(fd);
	close(l);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	HEADER_IS("v1", pair[0], "PROXY UNKNOWN\r\n");
	HEADER_IS("v2", pair[0], SIGNATURE "\x20\0\0\0");
	close(pair[0]);
	close(pair[1]);
}

static void
headers_that_cannot_be_are_config_errors(void **state)
{
	static const char *const bad[] = { "", "v3", "v", "1", "v1 192.0.2.1:1", "v1 192.0.2.1:1 192.0.2.2",
		"v1 192.0.2.1:65536 192.0.2.2:1", "v1 mx.test:1 192.0.2.2:1", "v1 192.0.2.1:1 [::1]:1",
		"v1 ::1:1 ::2:1", "v1 [::1:1 [::2]:1", "v1 [fe80::1%1]:1 [::1]:1", "v2 1.2.3.4:1 1.2.3.4:1 x",
		"v1 192.0.2.1:1 192.0.2.2:1\r\nMAIL", "v1\n", "v1 :1 :2", "v1 []:1 []:2",
		"v2 192.0.2.1: 192.0.2.2:1", "v2 192.0.2.1:-1 192.0.2.2:1" };

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++) {
		struct ph_error err = PH_ERROR_INIT;
		struct ph__proxy_header h;

		if (ph__proxy_header_parse(&h, bad[i], &err) != PH_ECONFIG)
			fail_msg("\"%s\" was taken", bad[i]);
		assert_true(err.hint[0] != '\0');
	}
}

/* ---- dialling and the client through a real socket --------------------------------------------- */

static void
a_proxy_that_does_not_listen_is_named(void **state)
{
	const struct ph__proxy nobody = { .host = "127.0.0.1", .port = 1 };
	const struct ph__dial_opts o = { .host = "mx.test", .port = 25, .proxy = &nobody };
	struct ph_error err = PH_ERROR_INIT;
	struct ph__dial *d;
	enum ph_io io;
	int fd = -1;

	(void)state;
	assert_int_equal(ph__dial_new(&d, &o, &ph__libc_memory, 0, &err), PH_OK);
	while ((io = ph__dial_step(d, 0, &fd, &err)) == PH_IO_AGAIN)
		;
	ph__dial_free(&d);
	assert_int_equal(io, PH_IO_ERROR);
	assert_int_equal(err.stage, PH_STAGE_CONNECT);
	assert_int_equal(err.code, PH_EDEFERRED);
	assert_non_null(strstr(err.text, "the proxy, port 1 of 127.0.0.1"));
	assert_non_null(strstr(err.hint, "proxy runs"));
}

static void
a_dial_given_up_in_the_tunnel_leaves_nothing(void **state)
{
	struct peer *p = calloc(1, sizeof *p);
	struct ph__proxy proxy = { .http = true, .host = "127.0.0.1" };
	struct ph__dial_opts o = { .host = "mx.test", .port = 25, .proxy = &proxy };
	struct ph_error err = PH_ERROR_INIT;
	struct pollfd fds[PH__DIAL_FDS];
	struct ph__dial *d;
	int fd = -1;

	(void)state;
	peer_start_on(p, (const char *const[]){ "<CONNECT mx.test:25", "<Host", "<", "$", NULL }, -1);
	proxy.port = p->port;
	assert_int_equal(ph__dial_new(&d, &o, &ph__libc_memory, ph__now_ms(), &err), PH_OK);
	do
		assert_int_equal(ph__dial_step(d, ph__now_ms(), &fd, &err), PH_IO_AGAIN);
	while (ph__dial_fds(d, fds) != 1 || fds[0].events != POLLIN);
	assert_true(ph__dial_deadline(d) != UINT64_MAX);
	ph__dial_free(&d);
	peer_end(p);
	free(p);
}

static const char *const to[] = { "b@x.test" };
static const struct ph_envelope envelope = { PH_ENVELOPE_INIT, .from = "a@x.test", .recipients = to,
                                             .recipient_count = 1 };

static enum ph_code
send_through(const char *const *script, struct ph_client_opts o, const char *scheme, char **json,
             struct ph_error *err)
{
	struct peer *p = calloc(1, sizeof *p);
	const struct ph_record *r = NULL;
	char *text;
	struct ph_source *hi = NULL;
	struct ph_client *c = NULL;
	char proxy[80];
	enum ph_code rc;

	peer_start_on(p, script, -1);
	snprintf(proxy, sizeof proxy, "%s127.0.0.1:%u", scheme, p->port);
	o.size = sizeof o;
	o.proxy = proxy;
	o.helo = "me.test";
	o.timeout_ms = o.connect_timeout_ms = 4000;
	if (ph_client_new(&c, &o, err) != PH_OK)
		fail_msg("%s", err->text);
	assert_int_equal(ph_source_new_memory(&hi, "Subject: hi\r\n\r\n", 15, NULL), PH_OK);
	rc = ph_client_sendmail(c, &envelope, hi, &r, err);
	text = ph_record_json(r);
	*json = strdup(text);
	ph_record_free_json(r, text);
	ph_client_free(c);
	ph_source_free(hi);
	peer_end(p);
	free(p);
	return rc;
}

static void
a_message_goes_through_a_proxy_with_the_header_in_front(void **state)
{
	static const char *const script[] = {
		"<CONNECT mx.test:2525 HTTP/1.1", "<Host: mx.test:2525",
		"<Proxy-Authorization: Basic YW5uOnNlY3JldA==", "<",
		"=HTTP/1.1 200 OK\r\n\r\n220 mx.test\r\n",
		"<PROXY TCP4 192.0.2.1 203.0.113.5 4711 25", "<EHLO me.test", ">250 mx.test",
		"<MAIL", ">250 ok", "<RCPT", ">250 ok", "<DATA", ">354 go", ".", ">250 taken", NULL };
	const struct ph_tls_opts off = { PH_TLS_OPTS_INIT, .mode = PH_TLS_OFF };
	struct ph_error err = PH_ERROR_INIT;
	char *json;

	(void)state;
	if (send_through(script, (struct ph_client_opts){ .server = "smtp://mx.test:2525", .tls = &off,
	        .proxy_password = "secret", .proxy_header = "v1 192.0.2.1:4711 203.0.113.5:25" },
	        "http://ann@", &json, &err) != PH_OK)
		fail_msg("%s", err.text);
	assert_non_null(strstr(json, "\"host\":\"mx.test\",\"address\":null,\"port\":2525"));
	free(json);
}

static void
a_server_behind_a_proxy_is_not_this_machine(void **state)
{
	static const char *const script[] = {
		"<CONNECT 127.0.0.1:25", "<Host", "<", "=HTTP/1.1 200 OK\r\n\r\n", ">220 mx.test",
		"<EHLO me.test", ">250 mx.test", "$", NULL };
	struct ph_error err = PH_ERROR_INIT;
	char *json;

	(void)state;
	assert_int_equal(send_through(script, (struct ph_client_opts){ .server = "smtp://127.0.0.1" },
	                              "http://", &json, &err), PH_ESECURITY);
	assert_int_equal(err.stage, PH_STAGE_STARTTLS);
	assert_non_null(strstr(json, "\"policy\":\"required\""));
	free(json);
}

static void
a_refusal_by_the_proxy_is_in_the_record(void **state)
{
	static const char *const script[] = { "<CONNECT mx.test:25", "<Host", "<",
		">HTTP/1.1 403 No way", ">", "$", NULL };
	struct ph_error err = PH_ERROR_INIT;
	char *json;

	(void)state;
	assert_int_equal(send_through(script, (struct ph_client_opts){ .server = "smtp://mx.test" },
	                              "http://", &json, &err), PH_ECONFIG);
	assert_int_equal(err.stage, PH_STAGE_PROXY);
	assert_non_null(strstr(json, "\"outcome\":\"deferred\""));
	assert_non_null(strstr(json, "\"stage\":\"proxy\""));
	free(json);
}

static void
proxies_that_cannot_be_are_refused_with_the_options(void **state)
{
	static const struct { const char *proxy, *password, *header, *server, *connect, *text; } rows[] = {
		{ "ftp://p", NULL, NULL, "mx.test", NULL, "none of socks5" },
		{ "p:1080", NULL, NULL, "mx.test", NULL, "no scheme" },
		{ "https://p", NULL, NULL, "mx.test", NULL, "TLS to the proxy" },
		{ "socks4://p", NULL, NULL, "mx.test", NULL, "version 5" },
		{ "socks4a://p", NULL, NULL, "mx.test", NULL, "version 5" },
		{ "socks5://a:secret@p", NULL, NULL, "mx.test", NULL, "password in the proxy's URL" },
		{ "socks5://p/x", NULL, NULL, "mx.test", NULL, "behind host and port" },
		{ "socks5://p:0", NULL, NULL, "mx.test", NULL, "1 to 65535" },
		{ "socks5://", NULL, NULL, "mx.test", NULL, "no host" },
		{ "socks5://a@p", NULL, NULL, "mx.test", NULL, "no password" },
		{ "socks5://p", "secret", NULL, "mx.test", NULL, "no user" },
		{ NULL, "secret", NULL, "mx.test", NULL, "no proxy" },
		{ "socks5://a@p", "", NULL, "mx.test", NULL, "1 to 255" },
		{ "http://p", NULL, NULL, "lmtp:///run/x", NULL, "Unix socket" },
		{ "http://p", NULL, NULL, "mx.test", "/run/x", "Unix socket" },
		{ "http://p", NULL, NULL, "mx.test", "m!x", "cannot be the host" },
		{ NULL, NULL, "v9", "mx.test", NULL, "v1 or v2" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		const struct ph_client_opts o = { PH_CLIENT_OPTS_INIT, .server = rows[i].server,
			.connect = rows[i].connect, .proxy = rows[i].proxy, .proxy_password = rows[i].password,
			.proxy_header = rows[i].header };
		struct ph_error err = PH_ERROR_INIT;
		struct ph_client *c = NULL;

		if (ph_client_new(&c, &o, &err) != PH_ECONFIG || err.code != PH_ECONFIG ||
		    strstr(err.text, rows[i].text) == NULL)
			fail_msg("row %zu: %s: %s", i, ph_code_name(err.code), err.text);
		assert_null(strstr(err.text, "secret"));
	}
}

static void
clients_with_a_proxy_survive_lack_of_memory(void **state)
{
	struct failing_memory fm;

	(void)state;
	for (size_t n = 1; failing_memory_try(&fm, n); n++) {
		const struct ph_client_opts o = { PH_CLIENT_OPTS_INIT, .server = "mx.test",
			.proxy = "http://ann@p.test", .proxy_password = "secret", .proxy_header = "v2",
			.memory = &fm.mem };
		struct ph_client *c = NULL;
		enum ph_code rc = ph_client_new(&c, &o, NULL);

		assert_int_equal(rc, fm.failed ? PH_ESYSTEM : PH_OK);
		if (rc == PH_OK)
			ph_client_free(c);
		assert_int_equal(fm.live, 0);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(socks5_opens_in_every_cutting_and_leaves_the_greeting),
		cmocka_unit_test(a_login_may_be_answered_with_version_5),
		cmocka_unit_test(names_go_to_the_proxy_as_a_labels_and_keep_their_final_dot),
		cmocka_unit_test(http_opens_in_every_cutting_and_leaves_the_greeting),
		cmocka_unit_test(every_socks5_reply_has_its_class),
		cmocka_unit_test(every_http_status_has_its_class),
		cmocka_unit_test(logins_that_fail_are_auth_and_never_show_the_password),
		cmocka_unit_test(garbage_is_a_protocol_error),
		cmocka_unit_test(a_header_without_end_is_cut_off),
		cmocka_unit_test(a_proxy_that_closes_at_any_point_is_deferred),
		cmocka_unit_test(the_last_words_of_a_proxy_that_did_not_read_are_heard),
		cmocka_unit_test(the_deadline_is_for_the_whole_and_not_restarted),
		cmocka_unit_test(a_full_socket_is_waited_for),
		cmocka_unit_test(what_a_proxy_cannot_carry_is_refused_before_there_is_a_network),
		cmocka_unit_test(memory_that_is_out_at_any_point_is_an_error),
		cmocka_unit_test(headers_with_given_addresses_are_written_in_both_versions),
		cmocka_unit_test(headers_without_addresses_take_those_of_the_socket),
		cmocka_unit_test(headers_that_cannot_be_are_config_errors),
		cmocka_unit_test(a_proxy_that_does_not_listen_is_named),
		cmocka_unit_test(a_dial_given_up_in_the_tunnel_leaves_nothing),
		cmocka_unit_test(a_message_goes_through_a_proxy_with_the_header_in_front),
		cmocka_unit_test(a_server_behind_a_proxy_is_not_this_machine),
		cmocka_unit_test(a_refusal_by_the_proxy_is_in_the_record),
		cmocka_unit_test(proxies_that_cannot_be_are_refused_with_the_options),
		cmocka_unit_test(clients_with_a_proxy_survive_lack_of_memory),
	};

	signal(SIGPIPE, SIG_DFL);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
