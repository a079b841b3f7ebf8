# SPDX-License-Identifier: MIT
"""A SOCKS5 and an HTTP proxy, right by themselves, wrong where a test says so.

`names` is what the proxy's own resolver knows. `answer`, when given, is sent in the place of the
reply to the request for a connection; None as answer says nothing at all, and b"" closes."""
import base64
import socket
import threading

CONNECT = object()      # the answer of a proxy that does its work


class Proxy:
    def __init__(self, user=None, password=None, names=None, answer=CONNECT):
        self.user, self.password, self.names, self.answer = user, password, names or {}, answer
        self.targets = []       # "host:port" as asked for

    def __enter__(self):
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *exception):
        self._socket.shutdown(socket.SHUT_RDWR)     # wakes accept(); close() does not
        self._socket.close()

    def url(self):
        user = self.user + "@" if self.user else ""
        return "%s://%s127.0.0.1:%d" % (self.scheme, user, self.port)

    def _accept(self):
        while True:
            try:
                client = self._socket.accept()[0]
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client):
        try:
            with client, client.makefile("rwb", buffering=0) as stream:
                target = self._handshake(stream)
                if target is None:
                    return
                self.targets.append("%s:%d" % target)
                if self.answer is None:
                    client.recv(1)
                elif self.answer is not CONNECT:
                    stream.write(self.answer)
                else:
                    host = self.names.get(target[0], target[0])
                    with socket.create_connection((host, target[1])) as server:
                        # in one segment with the first octets of the server
                        stream.write(self.good + server.recv(4096))
                        relay(client, server)
        except (OSError, EOFError):
            pass


def relay(a, b):
    def pump(source, to):
        try:
            while data := source.recv(1 << 16):
                to.sendall(data)
        except OSError:
            pass
        for s in (source, to):
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
    thread = threading.Thread(target=pump, args=(a, b), daemon=True)
    thread.start()
    pump(b, a)
    thread.join()


def exactly(stream, n):
    data = b""
    while len(data) < n:
        more = stream.read(n - len(data))
        if not more:
            raise EOFError
        data += more
    return data


class Socks(Proxy):
    scheme, good = "socks5", b"\5\0\0\1\x7f\0\0\1\0\1"

    def _handshake(self, stream):
        methods = exactly(stream, exactly(stream, 2)[1])
        method = 2 if self.user else 0
        if method not in methods:
            stream.write(b"\5\xff")
            return None
        stream.write(bytes((5, method)))
        if method == 2:
            user = exactly(stream, exactly(stream, 2)[1]).decode()
            password = exactly(stream, exactly(stream, 1)[0]).decode()
            good = (user, password) == (self.user, self.password)
            stream.write(b"\1\0" if good else b"\1\1")
            if not good:
                return None
        kind = exactly(stream, 4)[3]
        if kind == 3:
            host = exactly(stream, exactly(stream, 1)[0]).decode()
        else:
            family, n = (socket.AF_INET, 4) if kind == 1 else (socket.AF_INET6, 16)
            host = socket.inet_ntop(family, exactly(stream, n))
        return host, int.from_bytes(exactly(stream, 2), "big")


class Http(Proxy):
    scheme, good = "http", b"HTTP/1.1 200 Connection established\r\nVia: test\r\n\r\n"

    def _handshake(self, stream):
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += exactly(stream, 1)
        lines = head.decode().split("\r\n")
        method, target, _ = lines[0].split(" ")
        assert method == "CONNECT" and lines[1] == "Host: " + target, head
        login = base64.b64encode(("%s:%s" % (self.user, self.password)).encode()).decode()
        if self.user and "Proxy-Authorization: Basic " + login not in lines:
            stream.write(b"HTTP/1.1 407 Proxy Authentication Required\r\n"
                         b"Proxy-Authenticate: Basic realm=\"test\"\r\n\r\n")
            return None
        host, _, port = target.rpartition(":")
        return host.strip("[]"), int(port)
