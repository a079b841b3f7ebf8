# SPDX-License-Identifier: MIT
"""`posthaste sink` for one test, and a client that sees each piece as it comes off the wire."""
import json
import os
import re
import signal
import socket
import ssl
import time

import harness


class Sink:
    """Runs until its `with` is over; then .records, .stderr and .status are there."""

    def __init__(self, env, *args, listen=("--smtp", "0")):
        self.folder = os.path.join(env.folder, "sink-%d" % time.monotonic_ns())
        os.mkdir(self.folder)
        ready = os.path.join(self.folder, "ready")
        self.process = env.start("sink", *listen, "--ready-file", ready, *args)
        end = time.monotonic() + harness.PATIENCE
        while not os.path.exists(ready):
            if self.process.poll() is not None or time.monotonic() > end:
                self.process.kill()
                raise AssertionError("the sink did not start: %r" % (self.process.communicate(),))
            time.sleep(0.01)
        self.at = {}
        with open(ready, encoding="utf-8") as f:
            for line in f:
                word, _, rest = line.rstrip("\n").partition(" ")
                self.at[word] = rest

    def url(self, scheme="smtp"):
        return "%s://%s" % (scheme, self.at[scheme])

    def connect(self, scheme="smtp", receive_buffer=None):
        host, _, port = self.at[scheme].rpartition(":")
        return Wire(host, int(port), receive_buffer)

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        out, err = self.process.communicate(timeout=harness.PATIENCE)
        self.records = [json.loads(x) for x in out.decode().splitlines()]
        self.stderr, self.status = err.decode(), self.process.returncode
        harness.check_sanitizers(self.stderr)
        harness.equal(self.status, 0, "the sink's exit status, which said: " + self.stderr)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        if error[0] is not None:
            self.process.kill()
            self.process.communicate()
        else:
            self.stop()


class Wire:
    """A raw client. `pieces` keeps (seconds since the last sending, octets) of each recv()."""

    def __init__(self, host, port, receive_buffer=None):
        self.socket = socket.socket()
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(10)
        self.socket.connect((host, port))
        self.begun, self.held, self.pieces = time.monotonic(), b"", []

    def send(self, octets):
        self.begun, self.pieces = time.monotonic(), []
        self.socket.sendall(octets)

    def receive(self):
        """The next piece; b"" at the end, None after a reset."""
        try:
            piece = self.socket.recv(65536)
        except ConnectionResetError:
            return None
        self.pieces.append((time.monotonic() - self.begun, piece))
        return piece

    def line(self):
        while b"\n" not in self.held:
            piece = self.receive()
            if not piece:
                raise AssertionError("the connection ended, behind %r" % self.held)
            self.held += piece
        line, _, self.held = self.held.partition(b"\n")
        return line.rstrip(b"\r").decode("latin-1")

    def reply(self):
        lines = [self.line()]
        while re.match(r"\d\d\d-", lines[-1]):
            lines.append(self.line())
        return "\n".join(lines)

    def say(self, command):
        self.send(command.encode() + b"\r\n")
        return self.reply()

    def greet(self):
        self.reply()
        return self.say("EHLO wire.test")

    def mail(self, *recipients):
        """Up to the 354; the last reply."""
        last = self.say("MAIL FROM:<ann@test.example>")
        for recipient in recipients or ("bob@test.example",):
            last = self.say("RCPT TO:<%s>" % recipient)
        return last

    def rest(self):
        """All until the end: octets, and how it ended."""
        found = self.held
        while True:
            piece = self.receive()
            if not piece:
                return found, "reset" if piece is None else "end"
            found += piece

    def silent_for(self, seconds):
        self.socket.settimeout(seconds)
        try:
            piece = self.receive()
        except TimeoutError:
            piece = None
        self.socket.settimeout(10)
        return piece is None

    def starttls(self, cafile=None):
        context = ssl.create_default_context(cafile=cafile)
        if cafile is None:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        self.socket = context.wrap_socket(self.socket, server_hostname="localhost")

    def close(self):
        self.socket.close()
