# SPDX-License-Identifier: MIT
"""The server's side of SCRAM (RFC 5802, RFC 7677), for the scripted server's AUTH."""
import base64
import hashlib
import hmac

ROUNDS, SALT = 4096, b"sixteen octets!!"
NO = "501 5.7.0 cancelled"


def b64(octets):
    return base64.b64encode(octets).decode()


class Scram:
    """The server's side, right but for what a test's own class changes."""
    name, hash = "SCRAM-SHA-256", "sha256"

    def __init__(self, password):
        self.password = password.encode()

    def first(self, gs2, bare):
        """Server-first for the client's first message."""
        self.nonce = dict(x.split("=", 1) for x in bare.split(","))["r"] + "server"
        return "r=%s,s=%s,i=%d" % (self.nonce, b64(SALT), ROUNDS)

    def signature(self, auth_message):
        salted = hashlib.pbkdf2_hmac(self.hash, self.password, SALT, ROUNDS)
        key = hmac.digest(salted, b"Server Key", self.hash)
        return hmac.digest(key, auth_message.encode(), self.hash)

    def last(self, auth_message):
        return "v=" + b64(self.signature(auth_message))

    def talk(self, connection, line):
        words = line.split()
        initial = base64.b64decode(words[2]).decode()
        gs2, _, bare = initial.partition(",,")
        first = self.first(gs2, bare)
        connection.send(("334 %s\r\n" % (first if isinstance(first, bytes) else
                                         b64(first.encode()))).encode())
        answer = self.hear(connection)
        if answer == "*":
            return NO
        final = base64.b64decode(answer).decode()
        message = "%s,%s,%s" % (bare, first, final.rpartition(",p=")[0])
        return self.finish(connection, message)

    def finish(self, connection, message):
        connection.send(("334 %s\r\n" % b64(self.last(message).encode())).encode())
        return NO if self.hear(connection) == "*" else "235 2.7.0 in"

    @staticmethod
    def hear(connection):
        line = connection.line()
        connection.peer.lines.append(line)
        return line
