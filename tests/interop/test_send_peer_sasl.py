# SPDX-License-Identifier: MIT
"""Servers that lie in an exchange of SASL: SCRAM (RFC 5802, RFC 7677), OAUTHBEARER and XOAUTH2
(RFC 7628), CRAM-MD5, DIGEST-MD5, NTLM. The rules:

1. Nobody is logged in before the mechanism is content: MAIL is never written then, whatever the server
   says. A server that does not prove that it knows the password, where the mechanism has it do so, is
   `security`.
2. A challenge that cannot be answered is given up with "*", and no other mechanism follows.
3. The password, or the token, is on no wire but where the mechanism shows it, and never printed.
4. However the server goes on asking, there is an end.
"""
import base64
import ssl
import time

from harness import cell, equal
from peer import Peer
from scram import NO, SALT, Scram, b64
from servers import login
from test_send_peer_cases import GOOD, unwilling
from test_send_peer_many import run_many
from test_send_peer_table import (BOB, CAROL, MARGIN, SMALL, USER, check_result, forms_of)

TOKEN = "ya29.Secret-Token_0123456789"


def attempt(env, offered, talk, wanted, *options, auths=1, shown=False, keywords=(), context=None):
    """A delivery with a login; `talk` is the server's AUTH. wanted None: a refusal of any class."""
    with Peer({"AUTH": talk}, ("PIPELINING", "AUTH " + offered) + keywords,
              context or env.certificate.context(), True) as peer:
        began = time.monotonic()
        result = env.send(peer.url("smtps"), "-v", "-v", *(options or login(env, USER)),
                          message=SMALL,
                          to=[BOB, CAROL])
        seconds = time.monotonic() - began
        peer.finish()
    if wanted is not None:
        check_result(result, wanted)
    verbs = peer.verbs()
    equal(peer.connections, 1, "connections")
    equal(verbs.count("AUTH"), auths, "AUTH commands")
    if wanted is not GOOD:
        assert result.status in (75, 76, 77, 78), "exit status %d" % result.status
        equal(result.recipients(), ["deferred"] * 2, "outcomes")
        assert "MAIL" not in verbs, peer.lines
    printed = (result.stdout + result.stderr).encode()
    for secret in (env.users[USER].encode(), TOKEN.encode()):
        for form in forms_of(secret):
            assert form not in printed, "the secret was printed"
            assert all(form not in x.clear for x in peer.wires), "the secret was sent in clear"
            assert shown or all(form not in x.secure for x in peer.wires), "the secret was sent"
    assert seconds < 2 * MARGIN, "it took %.1f s" % seconds
    return peer


UNPROVED = unwilling("security", 78, "auth", "mechanism")


def scram(sentence, wanted, offered="SCRAM-SHA-256", **changes):
    """A cell for a server with these changes."""
    kind = type("Changed", (Scram,), changes)
    cell("SCRAM: " + sentence, lambda env: attempt(
        env, offered, lambda c, line: kind(env.users[USER]).talk(c, line), wanted))


def first_of(form):
    """Server-first made of the client's nonce."""
    def first(self, gs2, bare):
        self.nonce = dict(x.split("=", 1) for x in bare.split(","))["r"]
        return form(self.nonce)
    return first


SALTED = "s=" + b64(SALT)
scram("all is well", GOOD)
scram("all is well with SHA-1", GOOD, "SCRAM-SHA-1", name="SCRAM-SHA-1", hash="sha1")
scram("a wrong signature", None, last=lambda self, m: "v=" + b64(b"\1" * 32))
scram("a signature of other length", None, last=lambda self, m: "v=" + b64(b"\1"))
scram("an empty signature", None, last=lambda self, m: "v=")
scram("no signature", None, last=lambda self, m: "x=y")
scram("e= for a signature", None, last=lambda self, m: "e=other-error")
scram("octets for a signature", None, last=lambda self, m: "\x00\x01\x02")
scram("235 for a signature", UNPROVED, finish=lambda self, c, m: "235 2.7.0 in")
scram("250 for a signature", UNPROVED, finish=lambda self, c, m: "250 2.7.0 in")
scram("the client's own signature", None, last=lambda self, m: m.rpartition(",")[2])
scram("a nonce that is not ours", None, first=first_of(lambda r: "r=other,%s,i=4096" % SALTED))
scram("our nonce alone", None, first=first_of(lambda r: "r=%s,%s,i=4096" % (r, SALTED)),
      finish=lambda self, c, m: "235 2.7.0 in")
scram("no nonce", None, first=first_of(lambda r: "%s,i=4096" % SALTED))
scram("no salt", None, first=first_of(lambda r: "r=%sx,i=4096" % r))
scram("an empty salt", None, first=first_of(lambda r: "r=%sx,s=,i=4096" % r))
scram("a salt that is not base64", None, first=first_of(lambda r: "r=%sx,s=???,i=4096" % r))
scram("no rounds", None, first=first_of(lambda r: "r=%sx,%s" % (r, SALTED)))
for rounds in ("0", "-1", "x", "2147483647", "4294967296", "99999999999999999999", "2000001"):
    scram("i=" + rounds, None, first=first_of(lambda r, n=rounds: "r=%sx,%s,i=%s" % (r, SALTED, n)))
scram("an extension that must be known", None,
      first=first_of(lambda r: "m=what,r=%sx,%s,i=4096" % (r, SALTED)))
scram("a NUL in it", None, first=first_of(lambda r: "r=%sx\0,%s,i=4096" % (r, SALTED)))
scram("an empty challenge", None, first=first_of(lambda r: ""))
scram("a nonce of 8,000", None,
      first=first_of(lambda r: "r=%s%s,%s,i=4096" % (r, "n" * 8000, SALTED)),
      finish=lambda self, c, m: "235 2.7.0 in")


def replies(*words):
    """Says one after the other, whatever it hears; then 501 for "*"."""
    def talk(connection, line):
        for word in words[:-1]:
            connection.send(word.encode("latin-1") + b"\r\n")
            if Scram.hear(connection) == "*":
                return NO
        return words[-1]
    return talk


def simple(sentence, offered, wanted, *words, options=None, auths=1, shown=False):
    cell(sentence, lambda env: attempt(env, offered, replies(*words), wanted,
                                       *(options(env) if options else ()), auths=auths, shown=shown))


simple("SCRAM: 235 at once", "SCRAM-SHA-256", UNPROVED, "235 2.7.0 in")
simple("SCRAM: 535, and PLAIN is offered: the password stays here", "SCRAM-SHA-256 PLAIN LOGIN",
       unwilling("auth", 77, "auth", "reply", code=535), "535 5.7.8 no")
simple("SCRAM: not base64, and PLAIN is offered: the password stays here",
       "SCRAM-SHA-256 PLAIN LOGIN",
       None, "334 ???", "535 5.7.8 no")
simple("SCRAM: 334 for ever", "SCRAM-SHA-256", None, *["334 "] * 50, "235 2.7.0 in")
cell("SCRAM: an unproved 235, and PLAIN is offered: the password stays here", lambda env: attempt(
    env, "SCRAM-SHA-256 PLAIN LOGIN", replies("235 2.7.0 in"), UNPROVED))


def named(mechanism):
    return lambda env: login(env, USER) + ("--auth", mechanism)


CHALLENGES = {
    "not base64": "334 !!!!", "half a group": "334 abc", "empty": "334 ", "one octet": "334 AA==",
    "binary": "334 " + b64(bytes(range(256))), "NULs": "334 " + b64(bytes(64)),
    "8,000 octets": "334 " + b64(b"A" * 8000), "12,000 characters": "334 " + "A" * 12000,
    "CRLF in it": "334 " + b64(b"<x>\r\nMAIL FROM:<>\r\n"),
    "commas": "334 " + b64(b"," * 500), "quotes": "334 " + b64(b'realm="\\"x\\\\",nonce="' * 20),
    "NTLM half": "334 " + b64(b"NTLMSSP\0\2\0\0\0\xff\xff\xff\xff\xff\xff\xff\x7f"),
    "NTLM lengths": "334 " + b64(b"NTLMSSP\0\2\0\0\0" + b"\xff" * 48),
}
for mechanism in ("CRAM-MD5", "DIGEST-MD5", "NTLM"):
    for name, challenge in CHALLENGES.items():
        # whether it can be answered is the library's to say; the server never lets us in
        simple("%s: a challenge, %s" % (mechanism, name), mechanism, None, challenge, challenge,
               challenge,
               "535 5.7.8 no", options=named(mechanism))
    simple("%s: 334 for ever" % mechanism, mechanism, None, *["334 " + b64(b"<1@x>")] * 50,
           "535 5.7.8 no", options=named(mechanism))
simple("DIGEST-MD5: 235 without its proof", "DIGEST-MD5", UNPROVED,
       "334 " + b64(b'realm="x",nonce="abc",qop="auth",algorithm=md5-sess,charset=utf-8'), "235 2.7.0 in",
       options=named("DIGEST-MD5"))


def token(mechanism):
    def options(env):
        return ("--ca-file", env.ca.file, "--user", USER, "--auth", mechanism,
                "--oauth-token-file", env.file("token", TOKEN.encode() + b"\n"))
    return options


ERROR = "334 " + b64(b'{"status":"401","schemes":"bearer","scope":"mail"}')
REFUSED = unwilling("auth", 77, "auth", "reply", code=535)
for mechanism in ("XOAUTH2", "OAUTHBEARER"):
    simple("%s: an error object, then 535" % mechanism, mechanism, REFUSED, ERROR, "535 5.7.8 no",
           options=token(mechanism), shown=True)
    # the mechanism asks no proof of a server: its reply decides
    simple("%s: an error object, then 235" % mechanism, mechanism, GOOD, ERROR, "235 2.7.0 in",
           options=token(mechanism), shown=True)
    simple("%s: errors for ever" % mechanism, mechanism, None, *[ERROR] * 50, "235 2.7.0 in",
           options=token(mechanism), shown=True)
    simple("%s: an error that is not base64" % mechanism, mechanism, None, "334 {}", "535 5.7.8 no",
           options=token(mechanism), shown=True)
    simple("%s: an error that would drive the terminal" % mechanism, mechanism, REFUSED,
           "334 " + b64(b'{"status":"\x1b[2J\x07\xe2\x80\xae"}'), "535 5.7.8 no",
           options=token(mechanism), shown=True)
    simple("%s: PLAIN is offered too and the token goes nowhere else" % mechanism,
           mechanism + " PLAIN LOGIN", REFUSED, "535 5.7.8 no", options=token(mechanism), shown=True)


# ---- a downgrade between two connections ---------------------------------------------------------

def try_downgrade(env, second, wanted):
    """The first connection offers SCRAM-SHA-256-PLUS and is lost behind a message; what is offered on
    the second is all that has changed."""
    context = env.certificate.context()
    offers = [("AUTH SCRAM-SHA-256-PLUS SCRAM-SHA-256 PLAIN",), ("AUTH " + second,)]
    seen = []

    class Two(Peer):
        def __init__(self):
            super().__init__({"AUTH": refuse, "EHLO": hello}, (), context, True)

    def hello(connection, line):
        offered = offers[min(len(seen), 1)]
        seen.append(offered)
        return "250-peer.test.example\r\n250 %s" % offered[0]

    def refuse(connection, line):
        # a temporary failure: the client comes again with the next message
        connection.peer.lines.append("AUTH on connection %d" % len(seen))
        return "454 4.7.0 later"
    with Two() as peer:
        records = run_many(env, peer.url("smtps"), 0, "dup", env.ca.file, USER, env.users[USER],
                           count=2)
        peer.finish()
    equal(len(seen), 2, "connections with EHLO")
    first, then = records
    equal((first["class"], then["class"]), ("deferred", wanted), "classes")
    if wanted == "security":
        equal([x for x in peer.lines if x == "AUTH on connection 2"], [], "AUTH behind a downgrade")
        equal(then["error"]["stage"], "auth", "stage")


cell("SCRAM-PLUS: offered again", lambda env: try_downgrade(env, "SCRAM-SHA-256-PLUS", "deferred"))
for second in ("SCRAM-SHA-256", "PLAIN", "SCRAM-SHA-256 PLAIN LOGIN", "CRAM-MD5"):
    cell("SCRAM-PLUS: offered, and on the next connection %s only" % second,
         lambda env, second=second: try_downgrade(env, second, "security"))


def try_refused_binding(env):
    """504 to the bound login is what somebody in between would say."""
    attempt(env, "SCRAM-SHA-256-PLUS SCRAM-SHA-256 PLAIN", lambda c, line: "504 5.5.4 not this",
            unwilling("auth", 77, "auth", "reply", code=504))


cell("SCRAM-PLUS: 504, and others are offered: nothing unbound follows", try_refused_binding)


def try_gs2_flag(env, offered, flag):
    """What the client says of channel binding (RFC 5802 §6)."""
    heard = []

    class Listening(Scram):
        def first(self, gs2, bare):
            heard.append(gs2)
            return super().first(gs2, bare)
    attempt(env, offered, lambda c, line: Listening(env.users[USER]).talk(c, line), GOOD)
    equal(heard, [flag], "the GS2 flag")


cell("SCRAM: a server without -PLUS is told that we could", lambda env: try_gs2_flag(
    env, "SCRAM-SHA-256", "y"))


# ---- what a login is bound to --------------------------------------------------------------------

def try_binding(env, version, kind, octets):
    """The binding that the client names and proves is this connection's: as Python's own OpenSSL sees
    it from the other side (RFC 5929 §3), or, where Python cannot say, of the right length (RFC 9266)."""
    context = env.certificate.context()
    context.maximum_version = version

    class Bound(Scram):
        def finish(self, connection, message):
            header = dict(x.split("=", 1) for x in message.split(",")[-2:])["c"]
            wanted = b"p=%s,," % kind.encode()
            said = base64.b64decode(header)
            equal(said[:len(wanted)], wanted, "the GS2 header")
            equal(len(said) - len(wanted), octets, "octets of the binding")
            if kind == "tls-unique":
                equal(said[len(wanted):], connection.sock.get_channel_binding(kind), "the binding")
            return super().finish(connection, message)
    attempt(env, "SCRAM-SHA-256-PLUS SCRAM-SHA-256 PLAIN",
            lambda c, line: Bound(env.users[USER]).talk(c, line), GOOD, context=context)


cell("SCRAM-PLUS: bound by tls-unique under TLS 1.2",
     lambda env: try_binding(env, ssl.TLSVersion.TLSv1_2, "tls-unique", 12))
cell("SCRAM-PLUS: bound by tls-exporter under TLS 1.3",
     lambda env: try_binding(env, ssl.TLSVersion.TLSv1_3, "tls-exporter", 32))
