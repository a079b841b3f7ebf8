# SPDX-License-Identifier: MIT
"""Proxies that misbehave, at each step of SOCKS5 (RFC 1928, RFC 1929) and of HTTP CONNECT (RFC 9110
§9.3.6). The rules:

1. A proxy that says that it cannot reach the server, that ends the connection or says nothing: deferred.
   The whole conversation has --connect-timeout.
2. One that refuses by its rules: config. One that refuses the login, or wants one: auth.
3. One that does not speak its protocol: protocol.
4. An answer in pieces, or with the server's greeting right behind it, is the answer it is.

In all but the last the server behind it is not reached, nothing of SMTP is said to the proxy, no second
connection is made, and the proxy's password goes nowhere unless the proxy asked for it.
"""
import base64
import socket
import struct
import threading
import time

from harness import cell, equal
from peer import Closed, Peer
from servers import login
from test_send_peer_table import (BOB, BY_NAME, CAROL, SMALL, USER, WAIT, Expected, check_result,
                                  check_secrets, check_time)
from test_send_peer_cases import GOOD, script, unwilling

PROXY_USER, PROXY_PASSWORD = "pia", "Proxy/Secret+77"
HOST = "127.0.0.1"
SOCKS_HELLO, SOCKS_HELLO_LOGIN = b"\5\1\0", b"\5\2\0\2"
SOCKS_LOGIN = b"\1%c%s%c%s" % (len(PROXY_USER), PROXY_USER.encode(), len(PROXY_PASSWORD),
                               PROXY_PASSWORD.encode())


class Proxy:
    """A SOCKS5 or HTTP proxy that is right but at the step `at`, where `act(sock, right)` answers."""

    def __init__(self, kind, with_user, at, act):
        self.kind, self.with_user, self.at, self.act = kind, with_user, at, act
        self.heard, self.connections, self.tunnelled = b"", 0, b""
        self.threads = []

    def __enter__(self):
        self.listener = socket.create_server((HOST, 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.listener.shutdown(socket.SHUT_RDWR)    # wakes accept(); close() does not
        self.listener.close()

    def url(self):
        user = PROXY_USER + "@" if self.with_user else ""
        return "%s://%s%s:%d" % ("http" if self.kind == "HTTP" else "socks5", user, HOST, self.port)

    def accept(self):
        while True:
            try:
                sock = self.listener.accept()[0]
            except OSError:
                return
            self.connections += 1
            thread = threading.Thread(target=self.serve, args=(sock,), daemon=True)
            self.threads.append(thread)
            thread.start()

    def finish(self):
        for thread in self.threads:
            thread.join(10)
            assert not thread.is_alive(), "a connection to the proxy was not closed"

    def serve(self, sock):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            port = self.http(sock) if self.kind == "HTTP" else self.socks(sock)
            self.tunnel(sock, port)
        except (OSError, Closed):
            pass
        try:
            sock.shutdown(socket.SHUT_WR)
            sock.settimeout(2)
            while (more := sock.recv(65536)):
                self.heard += more
        except OSError:
            pass
        sock.close()

    def read(self, sock, n):
        data = b""
        while len(data) < n:
            more = sock.recv(n - len(data))
            if not more:
                raise Closed
            data += more
            self.heard += more
        return data

    def answer(self, sock, step, right):
        if step == self.at:
            self.act(sock, right)
        else:
            sock.sendall(right)

    def socks(self, sock):
        methods = self.read(sock, self.read(sock, 2)[1])
        chosen = 2 if 2 in methods and self.with_user else 0
        self.answer(sock, "METHOD", bytes([5, chosen]))
        if chosen == 2:
            self.read(sock, self.read(sock, 2)[1])
            self.read(sock, self.read(sock, 1)[0])
            self.answer(sock, "LOGIN", b"\1\0")
        kind = self.read(sock, 4)[3]
        self.read(sock, {1: 4, 4: 16}.get(kind) or self.read(sock, 1)[0])
        port, = struct.unpack(">H", self.read(sock, 2))
        self.answer(sock, "REPLY", b"\5\0\0\1\x7f\0\0\1\x12\x34")
        return port

    def http(self, sock):
        header = b""
        while not header.endswith(b"\r\n\r\n"):
            header += self.read(sock, 1)
        self.answer(sock, "HEADER", b"HTTP/1.1 200 Connection established\r\nVia: x\r\n\r\n")
        return int(header.split()[1].rpartition(b":")[2])

    def tunnel(self, sock, port):
        behind = socket.create_connection((HOST, port))

        def back():
            try:
                while (data := behind.recv(65536)):
                    sock.sendall(data)
                sock.shutdown(socket.SHUT_WR)
            except OSError:
                pass
        thread = threading.Thread(target=back, daemon=True)
        thread.start()
        while (data := sock.recv(65536)):
            self.tunnelled += data
            behind.sendall(data)
        behind.shutdown(socket.SHUT_WR)
        thread.join(10)
        behind.close()


def says(octets):
    def act(sock, right):
        sock.sendall(octets)
        hang(sock)
    return act


def hang(sock, right=None):
    while sock.recv(65536):
        pass
    raise Closed


def drop(sock, right):
    raise Closed


def reset(sock, right):
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()
    raise Closed


def half(then):
    def act(sock, right):
        sock.sendall(right[:1])
        then(sock, right)
    return act


def all_but_one(then):
    def act(sock, right):
        sock.sendall(right[:-1])
        then(sock, right)
    return act


def pieces(sock, right):
    for x in right:
        sock.sendall(bytes([x]))
        time.sleep(0.002)


def flood(octets):
    def act(sock, right):
        for _ in range(1000):
            sock.sendall(octets)
        hang(sock)
    return act


def instead(octets):
    """Another right answer."""
    return lambda sock, right: sock.sendall(octets)


LATER, NEVER, LOGIN, WRONG = ("deferred", 75), ("config", 78), ("auth", 77), ("protocol", 76)
ANY = {
    "drop": (drop, LATER, "lost"), "reset": (reset, LATER, "lost"),
    "stall": (hang, LATER, "timeout"),
    "half an answer, then drop": (half(drop), LATER, "lost"),
    "half an answer, then stall": (half(hang), LATER, "timeout"),
    "all but an octet, then drop": (all_but_one(drop), LATER, "lost"),
    "all but an octet, then stall": (all_but_one(hang), LATER, "timeout"),
    "binary": (says(b"\xde\xad\xbe\xef" * 4), WRONG, "garbage"),
    "NULs": (says(b"\0" * 16), WRONG, "garbage"),
    "an SMTP greeting": (says(b"220 mx.test.example ESMTP\r\n"), WRONG, "garbage"),
    "a TLS alert": (says(b"\x15\x03\x01\x00\x02\x02\x46"), WRONG, "garbage"),
    "octet by octet": (pieces, None, None),
}
SOCKS_ANY = {
    "HTTP": (says(b"HTTP/1.1 400 Bad Request\r\n\r\n"), WRONG, "garbage"),
    "SOCKS4": (says(b"\0\x5b\0\0\0\0\0\0"), WRONG, "garbage"),
}
AT = {
    "METHOD": {
        "none will do": (says(b"\5\xff"), LOGIN, None),
        "one not offered": (says(b"\5\1"), WRONG, "garbage"),
    },
    "LOGIN": {
        "refused": (says(b"\1\1"), LOGIN, "reply"),
        "refused and closed": (lambda sock, _: (sock.sendall(b"\1\xff"), drop(sock, _)), LOGIN,
                               "reply"),
    },
    "REPLY": {
        **{"reply %d" % x: (says(b"\5%c\0\1\0\0\0\0\0\0" % x), LATER, None) for x in (1, 3, 4, 5,
                                                                                      6, 99)},
        **{"reply %d" % x: (says(b"\5%c\0\1\0\0\0\0\0\0" % x), NEVER, "reply") for x in (2, 7, 8)},
        "a refusal of two octets": (lambda sock, _: (sock.sendall(b"\5\2"), drop(sock, _)), NEVER,
                                    "reply"),
        "an address of no type": (says(b"\5\0\0\2\0\0\0\0\0\0"), WRONG, "garbage"),
        "an IPv6 address": (instead(b"\5\0\0\4" + b"\0" * 15 + b"\1\0\x19"), None, None),
        "a long name": (instead(b"\5\0\0\3\xff" + b"n" * 255 + b"\0\x19"), None, None),
        "a name of nothing": (instead(b"\5\0\0\3\0\0\x19"), None, None),
    },
    "HEADER": {
        "SOCKS5": (says(b"\5\0"), WRONG, "garbage"),
        "407": (says(b"HTTP/1.1 407 Who?\r\nProxy-Authenticate: Basic realm=x\r\n\r\n"), LOGIN,
                "reply"),
        "407, Digest": (says(b"HTTP/1.1 407 Who?\r\nProxy-Authenticate: Digest realm=x\r\n\r\n"),
                        LOGIN,
                        "mechanism"),
        "403": (says(b"HTTP/1.1 403 Forbidden\r\n\r\n"), NEVER, "reply"),
        "405": (says(b"HTTP/1.1 405 No\r\nContent-Length: 99999\r\n\r\nxxxx"), NEVER, "reply"),
        "301": (says(b"HTTP/1.1 301 There\r\nLocation: http://x/\r\n\r\n"), NEVER, "reply"),
        "500": (says(b"HTTP/1.1 500 Oops\r\n\r\n"), LATER, None),
        "502": (says(b"HTTP/1.1 502 Bad Gateway\r\n\r\n"), LATER, None),
        "503 and closed": (lambda sock, _: (sock.sendall(b"HTTP/1.0 503 No\r\n\r\n"), drop(sock,
                                                                                           _)),
                           LATER, None),
        "504": (says(b"HTTP/1.1 504 Late\r\n\r\n"), LATER, "timeout"),
        "HTTP/2": (says(b"HTTP/2 200 OK\r\n\r\n"), WRONG, "garbage"),
        "no code": (says(b"HTTP/1.1 OK\r\n\r\n"), WRONG, "garbage"),
        "code 99": (says(b"HTTP/1.1 099 OK\r\n\r\n"), WRONG, "garbage"),
        "code 600": (says(b"HTTP/1.1 600 OK\r\n\r\n"), WRONG, "garbage"),
        "code 2000": (says(b"HTTP/1.1 2000 OK\r\n\r\n"), WRONG, "garbage"),
        "a NUL in it": (says(b"HTTP/1.1 200 OK\r\nX: a\0b\r\n\r\n"), WRONG, "garbage"),
        "a lone CR in it": (says(b"HTTP/1.1 200 OK\r\nX: a\rb\r\n\r\n"), WRONG, "garbage"),
        "a line without end": (flood(b"HTTP/1.1 200 OK" + b"x" * 65536), WRONG, "garbage"),
        "lines without end": (flood(b"HTTP/1.1 200 OK\r\n" * 4096), WRONG, "garbage"),
        "100 for ever": (flood(b"HTTP/1.1 100 Continue\r\n\r\n" * 1000), WRONG, "garbage"),
        "100 first": (instead(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n"), None, None),
        "lone LFs": (instead(b"HTTP/1.0 200 OK\nX: y\n\n"), None, None),
        "no reason": (instead(b"HTTP/1.1 200\r\n\r\n"), None, None),
    },
}


def request(kind, with_user, at, port):
    """What the proxy must have heard when the step's answer is due, and no octet more."""
    if kind == "HTTP":
        wanted = b"CONNECT %s:%d HTTP/1.1\r\nHost: %s:%d\r\n" % (HOST.encode(), port,
                                                                 HOST.encode(), port)
        if with_user:
            wanted += b"Proxy-Authorization: Basic %s\r\n" % base64.b64encode(
                ("%s:%s" % (PROXY_USER, PROXY_PASSWORD)).encode())
        return wanted + b"\r\n"
    wanted = SOCKS_HELLO_LOGIN if with_user else SOCKS_HELLO
    if with_user and at != "METHOD":
        wanted += SOCKS_LOGIN
    if at == "REPLY":
        wanted += b"\5\1\0\1" + socket.inet_aton(HOST) + struct.pack(">H", port)
    return wanted


def try_proxy(env, kind, with_user, at, act, status, cause):
    way = BY_NAME["implicit TLS"]
    stalls = cause == "timeout" and act is not AT["HEADER"]["504"][0] and act is not AT["REPLY"]["reply 6"][0]
    options = ["-v", "-v", "--helo", "client.example", "--connect-timeout",
               str(WAIT if stalls else 10)]
    if with_user:
        options += ["--proxy-password-file",
                    env.file("proxy-password", PROXY_PASSWORD.encode() + b"\n")]
    with Peer(script(way), way.keywords, env.certificate.context(), True) as peer, \
            Proxy(kind, with_user, at, act) as proxy:
        began = time.monotonic()
        result = env.send(peer.url("smtps"), "--proxy", proxy.url(), *options, *login(env, USER),
                          message=SMALL, to=[BOB, CAROL])
        seconds = time.monotonic() - began
        proxy.finish()
        peer.finish()
    equal(proxy.connections, 1, "connections to the proxy")
    if status is None:
        check_result(result, GOOD)
        assert proxy.heard.startswith(request(kind, with_user, "REPLY", peer.port)), proxy.heard
        assert proxy.tunnelled[:1] == b"\x16", "not TLS through the proxy: %r" % proxy.tunnelled[:40]
    else:
        check_result(result, unwilling(*status, "proxy", *([cause] if cause else [])))
        equal(peer.connections, 0, "connections to the server")
        equal(proxy.heard, request(kind, with_user, at, peer.port), "what the proxy heard")
    check_secrets(env, peer, result)
    printed = (result.stdout + result.stderr).encode()
    for form in (PROXY_PASSWORD.encode(), base64.b64encode(b"%s:%s" % (
            PROXY_USER.encode(), PROXY_PASSWORD.encode())), base64.b64encode(PROXY_PASSWORD.encode())):
        assert form not in printed, "the proxy's password was printed"
    check_time(seconds, stalls)


for kind, with_user, steps in (("SOCKS5", False, ("METHOD", "REPLY")),
                               ("SOCKS5", True, ("METHOD", "LOGIN", "REPLY")),
                               ("HTTP", False, ("HEADER",)), ("HTTP", True, ("HEADER",))):
    for at in steps:
        for name, (act, status, cause) in {**ANY, **(SOCKS_ANY if kind == "SOCKS5" else {}),
                                           **AT[at]}.items():
            cell("%s proxy%s, %s: %s" % (kind, " with a user" if with_user else "", at, name),
                 lambda env, kind=kind, with_user=with_user, at=at, act=act, status=status, cause=cause:
                 try_proxy(env, kind, with_user, at, act, status, cause))


def greeting_behind(sock, right):
    """The tunnel's first octets come with the answer; then the proxy is the server."""
    sock.sendall(right + b"220 early.example ESMTP\r\n")
    sock.recv(65536)
    sock.sendall(b"250 early.example\r\n")
    raise Closed


def try_greeting(env, kind, at):
    with Proxy(kind, False, at, greeting_behind) as proxy:
        result = env.send("smtp://%s:25" % HOST, "--proxy", proxy.url(), "--tls=off", message=SMALL,
                          to=[BOB, CAROL])
        proxy.finish()
    check_result(result, unwilling("deferred", 75, "mail", "lost"))
    equal(result.session["greeting"], "early.example ESMTP", "greeting")


def try_impostor(env, kind, at):
    """A proxy that plays the server itself has no certificate for it."""
    import ca
    shown = ca.Authority(env.folder + "/authority", "other").issue("server", "IP:127.0.0.1")
    heard = []

    def act(sock, right):
        sock.sendall(right)
        try:
            inside = shown.context().wrap_socket(sock, server_side=True)
            inside.sendall(b"220 impostor\r\n")
            heard.append(inside.recv(65536))
        except OSError:
            pass
        raise Closed
    with Proxy(kind, False, at, act) as proxy:
        result = env.send("smtps://%s:465" % HOST, "--proxy", proxy.url(), *login(env, USER),
                          message=SMALL, to=[BOB, CAROL])
        proxy.finish()
    check_result(result, unwilling("security", 78, "tls", "certificate-untrusted"))
    equal([x for x in heard if x], [], "what the impostor heard")


def try_no_loopback(env, kind, at):
    """Behind a proxy 127.0.0.1 is not this machine: nothing goes there in clear unasked."""
    with Peer() as peer, Proxy(kind, False, None, None) as proxy:
        result = env.send(peer.url(), "--proxy", proxy.url(), message=SMALL, to=[BOB, CAROL])
        proxy.finish()
    check_result(result, unwilling("security", 78, "starttls", "not-offered"))
    assert "MAIL" not in peer.verbs(), peer.lines


for kind, at in (("SOCKS5", "REPLY"), ("HTTP", "HEADER")):
    cell("%s proxy: the greeting comes with the answer" % kind,
         lambda env, kind=kind, at=at: try_greeting(env, kind, at))
    cell("%s proxy: it plays the server" % kind,
         lambda env, kind=kind, at=at: try_impostor(env, kind, at))
    cell("%s proxy: loopback behind it is not this machine" % kind,
         lambda env, kind=kind, at=at: try_no_loopback(env, kind, at))


@lambda function: cell("proxies: nobody listens there", function)
def _(env):
    for kind in ("socks5", "http"):
        with socket.create_server((HOST, 0)) as s:
            port = s.getsockname()[1]
        result = env.send("smtp://mx.test.example", "--proxy", "%s://%s:%d" % (kind, HOST, port),
                          to=[BOB, CAROL])
        check_result(result, unwilling("deferred", 75))
        assert result.record["error"]["stage"] in ("connect", "proxy"), result.record["error"]
