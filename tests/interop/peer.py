# SPDX-License-Identifier: MIT
"""A scripted SMTP or LMTP server: correct by itself, wrong exactly where a test says so.

`replies` maps a moment (CONNECT, GREETING, a verb, CHUNK for a BDAT before the last, or BODY for the
answer to the final dot or BDAT LAST) to what happens then: a str is sent as lines, a Said in its own
way, bytes are sent as they are, LOST closes the connection, HANG says nothing until the client leaves,
a function is called with the connection and the command line, None is the right thing, and a list
gives one of these for each time, the right thing after its end. Over LMTP, BODY is asked once for each
accepted recipient.

With `path` it listens there, on a Unix socket; `host` is the address otherwise.

`wires` has what came over each connection, octet by octet, also behind what the test did to it.
"""
import hashlib
import socket
import ssl
import struct
import threading
import time

KEYWORDS = ("PIPELINING", "SIZE 1073741824", "8BITMIME", "ENHANCEDSTATUSCODES")
LOST, HANG = object(), object()
NORMAL = {"GREETING": "220 peer.test.example ESMTP", "STARTTLS": "220 2.0.0 go ahead",
          "AUTH": "235 2.7.0 authenticated", "MAIL": "250 2.1.0 Ok", "RCPT": "250 2.1.5 Ok",
          "DATA": "354 go ahead", "BODY": "250 2.0.0 Ok: queued as TEST1",
          "CHUNK": "250 2.0.0 chunk", "RSET": "250 2.0.0 Ok",
          "NOOP": "250 2.0.0 Ok", "QUIT": "221 2.0.0 Bye"}
KEPT = 1 << 20      # octets of a message that are kept for a test to look at


class Closed(Exception):
    pass


class Said(str):
    """Counts as this reply, and goes out as `pieces`, with a moment between them."""

    def __new__(cls, reply, *pieces):
        self = super().__new__(cls, reply)
        self.pieces = pieces or [bytes([x]) for x in reply.encode() + b"\r\n"]
        return self


class Wire:
    """The octets of one connection, before TLS and within it."""

    def __init__(self):
        self.clear, self.secure, self.length = bytearray(), bytearray(), 0

    def add(self, data, is_secure):
        half = self.secure if is_secure else self.clear
        half += data[:max(0, KEPT - len(half))]
        self.length += len(data)


class Connection:
    def __init__(self, peer, sock):
        self.peer, self.sock, self.buffer = peer, sock, b""
        self.wire = Wire()
        peer.wires.append(self.wire)
        self.mail, self.accepted = False, 0     # the transaction: begun, and its recipients

    def send(self, data):
        try:
            self.sock.sendall(data)
        except OSError:
            raise Closed

    def receive(self):
        try:
            data = self.sock.recv(1 << 18)
        except OSError:
            raise Closed
        if not data:
            raise Closed
        self.wire.add(data, isinstance(self.sock, ssl.SSLSocket))
        return data

    def line(self):
        while b"\n" not in self.buffer:
            self.buffer += self.receive()
        line, _, self.buffer = self.buffer.partition(b"\n")
        return line.rstrip(b"\r").decode("utf-8", "backslashreplace")

    def hang(self):
        while True:
            self.receive()

    def reset(self):
        """Ends the connection as a crash does: nothing more is read."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()
        raise Closed

    def close(self):
        """Ends it so that what was sent arrives, whatever the client is still writing."""
        try:
            socket.socket.shutdown(self.sock, socket.SHUT_WR)
            self.sock.settimeout(1)
            self.hang()
        except (OSError, Closed):
            pass
        self.sock.close()

    def start_tls(self):
        try:
            self.peer.handshake(self)
            self.sock = self.peer.context.wrap_socket(self.sock, server_side=True)
        except OSError:
            raise Closed

    def act(self, moment, line=""):
        what = self.peer.replies.get(moment)
        if isinstance(what, list):
            what = what.pop(0) if what else None
        if what is None:
            what = self._normal(moment)
        if what is LOST:
            raise Closed
        if what is HANG:
            self.hang()
        if callable(what):
            what = what(self, line)
        if isinstance(what, Said):
            for i, piece in enumerate(what.pieces):
                time.sleep(0.001 if i else 0)
                self.send(piece)
        elif isinstance(what, str):
            self.send(what.encode() + b"\r\n")
        elif what is not None:
            self.send(what)
        return what

    def _normal(self, moment):
        if moment in ("EHLO", "LHLO"):
            return self._hello()
        if moment == "RCPT" and not self.mail:
            return "503 5.5.1 MAIL first"
        if moment in ("DATA", "BODY") and self.accepted == 0:
            return "554 5.5.1 no valid recipients"
        return NORMAL.get(moment, "500 5.5.1 what?")

    def serve(self):
        if self.peer.implicit:
            self.start_tls()
        self.peer.replies.get("CONNECT", lambda _: None)(self)
        self.act("GREETING")
        while True:
            line = self.line()
            self.peer.lines.append(line)
            verb = line.partition(" ")[0].upper()
            if verb == "BDAT":
                self.peer.chunk(self, line)
            else:
                self._command(verb, line)

    def _hello(self):
        words = self.peer.keywords
        if self.peer.context is not None and not hasattr(self.sock, "context"):
            words += ("STARTTLS",)
        lines = ("peer.test.example",) + tuple(words)
        return "\r\n".join("250%s%s" % (" -"[i < len(lines) - 1], x)
                           for i, x in enumerate(lines))

    def _command(self, verb, line):
        said = self.act(verb, line)
        good = isinstance(said, str) and said.startswith(("2", "354"))
        if verb == "STARTTLS" and good:
            self.start_tls()
        elif verb in ("MAIL", "RSET"):
            self.mail, self.accepted = good and verb == "MAIL", 0
        elif verb == "RCPT" and good:
            self.accepted += 1
        elif verb == "DATA" and good:
            self._data()
        elif verb == "QUIT":
            raise Closed

    def _data(self):
        """Up to the final dot, which a tail of five octets finds in any cutting."""
        body, tail, data = Body(), b"\r\n", self.buffer
        while True:
            body.add(data)
            at = (tail + data).find(b"\r\n.\r\n")
            if at >= 0:
                break
            tail = (tail + data)[-4:]
            data = self.receive()
        self.buffer = (tail + data)[at + 5:]
        assert not self.buffer or self.buffer[:4].isalpha(), "octets behind the final dot"
        self._finish(body, 3 + len(self.buffer))

    def chunk(self, line):
        words = line.split()
        left = int(words[1])
        if self.peer.chunks is None:
            self.peer.chunks = Body()
        while left > 0:
            data = self.buffer or self.receive()
            self.peer.chunks.add(data[:left])
            self.buffer, left = data[left:], left - len(data[:left])
        if words[2:] != ["LAST"]:
            self.act("CHUNK")
            return
        body, self.peer.chunks = self.peer.chunks, None
        self._finish(body, 0)

    def _finish(self, body, extra):
        self.peer.bodies.append(body.done(extra))
        for _ in range(self.accepted if self.peer.lmtp and self.accepted else 1):
            self.act("BODY")
        self.mail, self.accepted = False, 0


class Body:
    """What came as a message: its length, its hash, its first octets."""

    def __init__(self):
        self.length, self.kept, self._hash, self._last = 0, b"", hashlib.sha256(), b""

    def add(self, data):
        self.length += len(data)
        self.kept += data[:max(0, KEPT - len(self.kept))]
        self._last += data
        if len(self._last) > 1 << 16:
            self._hash.update(self._last[:-4096])
            self._last = self._last[-4096:]

    def done(self, extra):
        """Takes back the `extra` last octets: the final dot and what came behind it."""
        if extra:
            self._last = self._last[:-extra]
            self.length -= extra
            self.kept = self.kept[:self.length]
        self._hash.update(self._last)
        self.sha256 = self._hash.hexdigest()
        return self


class Peer:
    def __init__(self, replies=None, keywords=KEYWORDS, context=None, implicit=False, lmtp=False,
                 path=None, host="127.0.0.1", port=0):
        self.replies, self.keywords, self.context = dict(replies or {}), tuple(keywords), context
        self.implicit, self.lmtp, self.path, self.host = implicit, lmtp, path, host
        self.port = port    # 0: any that is free
        self.lines, self.bodies, self.chunks, self.connections = [], [], None, 0
        self.wires, self.failure, self._threads = [], None, []
        self._last, self._drained = None, threading.Event()

    def __enter__(self):
        if self.path is None:
            self._socket = socket.create_server((self.host, self.port))
            self.port = self._socket.getsockname()[1]
        else:
            self._socket = socket.create_server(self.path, family=socket.AF_UNIX)
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *exception):
        self._socket.shutdown(socket.SHUT_RDWR)     # wakes accept(); close() does not
        self._socket.close()
        if self.failure is not None and exception[0] is None:
            raise self.failure

    def handshake(self, connection):
        """Before the server's side of it. A test's own class may do otherwise."""

    def chunk(self, connection, line):
        """BDAT. A test's own class may do otherwise."""
        connection.chunk(line)

    def url(self, scheme="smtp", host="127.0.0.1"):
        return "%s://%s:%d" % (scheme, host, self.port)

    def verbs(self):
        return [x.partition(" ")[0].upper() for x in self.lines]

    def _accept(self):
        while True:
            try:
                sock, client = self._socket.accept()
            except OSError:
                return
            if client == self._last:
                sock.close()
                self._drained.set()
                continue
            self.connections += 1
            if self.path is None:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            thread = threading.Thread(target=self._serve, args=(Connection(self, sock),), daemon=True)
            thread.start()
            self._threads.append(thread)

    def finish(self):
        """Waits until the client has left every connection; then `wires` has all. A connection of our
        own shows that those before it were accepted."""
        with socket.socket(self._socket.family) as last:
            last.bind((self.host, 0) if self.path is None else "")
            self._last = last.getsockname()
            last.connect(self._socket.getsockname())
            assert self._drained.wait(10), "connections are not accepted"
        for thread in self._threads:
            thread.join(10)
            assert not thread.is_alive(), "a connection was not closed"

    def _serve(self, connection):
        try:
            connection.serve()
        except Closed:
            pass
        except Exception as e:
            self.failure = e
        finally:
            connection.close()
