# SPDX-License-Identifier: MIT
"""Misbehaviour that the table has no column for: while connecting, in the handshake, behind it, in an
exchange of AUTH, within the message, and in more than one reply. Each case says what the contract
(DESIGN.md, section 4) demands of it; the wire is compared whole, as in the table."""
import socket
import ssl
import time

from harness import cell, equal
from peer import Closed, Peer, Said
from servers import credentials, login
from test_send_peer_table import (BOB, BY_NAME, CAROL, MARGIN, SMALL, USER, WAIT, Expected, Way,
                                  check_result, check_secrets, check_time, check_wire, close, log_in,
                                  replies_of, reset)

LARGE = b"Subject: large\r\n\r\n" + (b"x" * 76 + b"\r\n") * 200000
TIMEOUT = ("--timeout", str(WAIT))
BYE = b"QUIT\r\n"


def case(sentence):
    def register(function):
        cell(sentence, function)
        return function
    return register


def unwilling(klass, status, stage=None, *causes, code=None):
    return Expected(["deferred"] * 2, klass, status, None, stage and [stage], list(causes), code)


def both(outcome, klass, status, *args, **more):
    wanted = unwilling(klass, status, *args, **more)
    wanted.outcomes = [outcome] * 2
    return wanted


def attempt(env, way, replies, wanted, *options, wires=None, stalls=False, context=None,
            message=SMALL, connections=1, peer_class=Peer, to=(BOB, CAROL)):
    """One delivery to a peer with these replies; `wires` as in Expected."""
    # a script of its own for each run
    replies = {k: list(v) if isinstance(v, list) else v for k, v in replies.items()}
    context = context or (env.certificate.context() if way.tls else None)
    with peer_class(replies, way.keywords, context, way.tls == "implicit",
                    way.scheme == "lmtp") as peer:
        began = time.monotonic()
        result = env.send(peer.url(way.scheme), "-v", "-v", "--helo", "client.example", *options,
                          *(TIMEOUT if stalls else ()), message=message, to=list(to))
        seconds = time.monotonic() - began
        peer.finish()
    check_result(result, wanted)
    equal(peer.connections, connections, "connections")
    if wires is not None:
        wanted.wires = wires
        check_wire(peer, wanted)
    check_secrets(env, peer, result)
    check_time(seconds, stalls)
    return result, peer


def script(way, **replies):
    """The right replies of a way, but for these."""
    usual = replies_of(way, "QUIT", Right)
    usual.update(replies)
    return usual


class Right:
    act = staticmethod(lambda right: right)


LOCK_STEP, PIPELINED, CHUNKED = (BY_NAME[x] for x in ("lock-step", "pipelined", "chunked"))
CHUNKED_STEP, LMTP, SMTPS, STARTTLS = (BY_NAME[x] for x in (
    "chunked lock-step", "lmtp", "implicit TLS", "STARTTLS"))
GOOD = Expected(["accepted"] * 2, "ok", 0, None)
REFUSED = both("refused", "refused", 69)


# ---- connecting ----------------------------------------------------------------------------------

@case("connect: nobody accepts, and the queue is full")
def _(env):
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen(0)
        address = s.getsockname()
        waiting = []
        for _ in range(4):      # Linux takes one more than listen() says, and then drops SYNs
            waiting.append(socket.socket())
            waiting[-1].setblocking(False)
            waiting[-1].connect_ex(address)
        began = time.monotonic()
        result = env.send("smtp://%s:%d" % address, "--connect-timeout", str(WAIT), to=[BOB, CAROL])
        check_time(time.monotonic() - began, True)
        for x in waiting:
            x.close()
    check_result(result, unwilling("deferred", 75, "connect", "timeout", "unreachable"))


# ---- the handshake -------------------------------------------------------------------------------

def answer_of(connection):
    """The server's first flight, made and not sent."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = connection.peer.context.wrap_bio(incoming, outgoing, server_side=True)
    while True:
        incoming.write(connection.sock.recv(1 << 16))
        try:
            tls.do_handshake()
        except ssl.SSLWantReadError:
            pass
        if outgoing.pending:
            return outgoing.read()


def hear_hello(connection):
    connection.sock.recv(1 << 16)


def sends(octets, then):
    def act(connection):
        hear_hello(connection)
        connection.send(octets)
        then(connection)
    return act


def half_and(then):
    def act(connection):
        flight = answer_of(connection)
        connection.send(flight[:len(flight) // 2])
        then(connection)
    return act


def changed(at):
    def act(connection):
        flight = bytearray(answer_of(connection))
        flight[at] ^= 1
        connection.send(bytes(flight))
        hang(connection)
    return act


def hang(connection):
    while connection.sock.recv(1 << 16):
        pass
    raise Closed


def drop(connection):
    hear_hello(connection)
    raise Closed


def cut(connection):
    hear_hello(connection)
    reset(connection)


SECURITY, CUT_OFF, BROKEN = ("security", 78), ("deferred", 75), ("protocol", 76)
TANGLED = CUT_OFF   # octets that are no TLS, or not what was agreed: a link that broke
# what the server does in the handshake; class and exit status; causes; whether it stalls
HANDSHAKES = {
    "drop": (drop, CUT_OFF, ("handshake", "lost"), False),
    "reset": (cut, CUT_OFF, ("handshake", "lost"), False),
    "stall": (hang, CUT_OFF, ("timeout",), True),
    "half a flight, then drop": (half_and(close), CUT_OFF, ("handshake", "lost"), False),
    "half a flight, then reset": (half_and(reset), CUT_OFF, ("handshake", "lost"), False),
    "half a flight, then stall": (half_and(hang), CUT_OFF, ("timeout",), True),
    "alert handshake_failure": (sends(b"\x15\x03\x03\x00\x02\x02\x28", hang), SECURITY,
                                ("handshake",), False),
    "alert protocol_version": (sends(b"\x15\x03\x03\x00\x02\x02\x46", hang), SECURITY,
                               ("tls-version",), False),
    "alert internal_error": (sends(b"\x15\x03\x03\x00\x02\x02\x50", hang), CUT_OFF, ("handshake",),
                             False),
    "clear text": (sends(b"220 peer.test.example ESMTP\r\n", hang), SECURITY,
                   ("tls-on-clear-port",),
                   False),
    "clear refusal": (sends(b"554 5.7.3 cannot\r\n", hang), SECURITY, ("tls-on-clear-port",),
                      False),
    "binary": (sends(b"\xde\xad\xbe\xef" * 8, hang), BROKEN, ("garbage",), False),
    "HTTP": (sends(b"HTTP/1.1 400 Bad Request\r\n\r\n", hang), BROKEN, ("garbage",), False),
    "a record too long": (sends(b"\x16\x03\x03\xff\xff" + b"x" * 70000, hang), TANGLED, (), False),
    "data before its time": (sends(b"\x17\x03\x03\x00\x05hello", hang), TANGLED, (), False),
    "an octet changed in its hello": (changed(60), TANGLED, (), False),
    "an octet changed at its end": (changed(-9), TANGLED, (), False),
}


def bad_handshake(act):
    class Bad(Peer):
        def handshake(self, connection):
            try:
                act(connection)
            except OSError:
                pass
            raise Closed
    return Bad


for name, (act, status, causes, stalls) in HANDSHAKES.items():
    for way in (SMTPS, STARTTLS):
        @case("%s, TLS: %s" % (way.name, name))
        def _(env, way=way, act=act, status=status, causes=causes, stalls=stalls):
            wanted = unwilling(*status, "tls", *causes)
            until = way.until("TLS")
            attempt(env, way, script(way), wanted, *login(env), stalls=stalls,
                    wires=[way.wire(env, until)], peer_class=bad_handshake(act))

    @case("opportunistic, TLS: %s: once more in clear" % name)
    def _(env, act=act, stalls=stalls):
        with bad_handshake(act)(keywords=("AUTH PLAIN",),
                                context=env.certificate.context()) as peer:
            result = env.send(peer.url(), "--tls=opportunistic", "--helo", "client.example",
                              *(TIMEOUT if stalls else ()), message=SMALL, to=[BOB, CAROL])
            peer.finish()
        check_result(result, GOOD)
        equal([bytes(x.secure) for x in peer.wires], [b"", b""], "under TLS")
        equal(bytes(peer.wires[0].clear), b"EHLO client.example\r\nSTARTTLS\r\n", "the first wire")
        equal(peer.verbs().count("DATA"), 1, "messages")
        equal(result.session["tls"]["mode"], "none", "TLS in the record")

    @case("opportunistic with a user, TLS: %s: never credentials" % name)
    def _(env, act=act, stalls=stalls):
        with bad_handshake(act)(keywords=("AUTH PLAIN",),
                                context=env.certificate.context()) as peer:
            result = env.send(peer.url(), "--tls=opportunistic", *credentials(env),
                              *(TIMEOUT if stalls else ()), message=SMALL, to=[BOB, CAROL])
            peer.finish()
        check_result(result, unwilling("security", 78, "auth", "clear-auth"))
        check_secrets(env, peer, result)
        assert not {"AUTH", "MAIL"} & set(peer.verbs()), peer.lines


for way in (SMTPS, STARTTLS):
    @case("%s, TLS: a wrong certificate gets nothing" % way.name)
    def _(env, way=way):
        import ca
        other = ca.Authority(env.folder + "/authority", "other")
        shown = other.issue("server", "IP:127.0.0.1")
        attempt(env, way, script(way), unwilling("security", 78, "tls", "certificate-untrusted"),
                *login(env), wires=[way.wire(env, way.until("TLS"))], context=shown.context())


@case("STARTTLS: octets behind the 220 end it, whoever asks")
def _(env):
    injected = Said("220 2.0.0 go", b"220 2.0.0 go\r\n250-peer\r\n250 AUTH PLAIN\r\n")
    for options in (login(env), ("--tls=opportunistic",), ("--insecure",) + credentials(env)):
        attempt(env, STARTTLS, script(STARTTLS, STARTTLS=injected),
                unwilling("security", 78, "starttls", "injection"), *options,
                wires=[STARTTLS.wire(env, STARTTLS.until("STARTTLS"))])


@case("opportunistic, STARTTLS refused: in clear, on the same connection")
def _(env):
    for refusal in ("454 4.7.0 not now", "554 5.7.3 no"):
        way = Way("x", "GREETING | EHLO | STARTTLS | MAIL | RCPT1 | RCPT2 | DATA | BODY | QUIT",
                  tls="starttls")
        attempt(env, way, {"STARTTLS": refusal}, GOOD, "--tls=opportunistic",
                wires=[way.wire(env, way.until("QUIT"))])


# ---- behind the handshake ------------------------------------------------------------------------

def two_faces(before, after):
    """EHLO offers this before TLS, and that within it."""
    def hello(words):
        lines = ("peer.test.example",) + words
        return "\r\n".join("250%s%s" % (" -"[i < len(lines) - 1], x) for i, x in enumerate(lines))
    return [hello(before + ("STARTTLS",)), hello(after)]


@case("after TLS: AUTH is gone")
def _(env):
    attempt(env, STARTTLS, script(STARTTLS, EHLO=two_faces(("AUTH LOGIN PLAIN",), ())),
            unwilling("auth", 77, "auth", "not-offered"), *login(env),
            wires=[STARTTLS.wire(env, STARTTLS.until("EHLO2"), BYE)])


@case("after TLS: what was offered in clear is forgotten")
def _(env):
    way = Way("x", "GREETING | EHLO | STARTTLS | TLS | EHLO2 | MAIL | RCPT1 | RCPT2 | DATA | BODY | QUIT",
              tls="starttls")
    offered = ("PIPELINING", "CHUNKING", "SIZE", "8BITMIME", "SMTPUTF8", "BINARYMIME")
    attempt(env, way, {"EHLO": two_faces(offered, ())}, GOOD, "--ca-file", env.ca.file,
            wires=[way.wire(env, way.until("QUIT"))])


@case("after TLS: what is offered now is used, STARTTLS once more is not")
def _(env):
    way = Way("x", "GREETING | EHLO | STARTTLS | TLS | EHLO2 | MAIL RCPT1 RCPT2 BDAT | QUIT",
              ("SIZE",),
              tls="starttls")
    offered = ("PIPELINING", "CHUNKING", "SIZE", "STARTTLS")
    attempt(env, way, {"EHLO": two_faces((), offered)}, GOOD, "--ca-file", env.ca.file,
            wires=[way.wire(env, way.until("QUIT"))])


@case("after TLS: EHLO is refused, and AUTH is needed")
def _(env):
    way = STARTTLS
    attempt(env, way, script(way, EHLO=[None, "502 5.5.1 what?"]),
            both("refused", "refused", 69, "hello", "reply", code=502), *login(env),
            wires=[way.wire(env, way.until("EHLO2"), BYE)])


def under_tls(octets):
    """Octets beside the encryption: what somebody in between could write."""
    def act(connection, line):
        socket.socket.sendall(connection.sock, octets)
        connection.hang()
    return act


CLEAR_WORDS = b"250 2.0.0 Ok\r\n"
for step in ("MAIL", "DATA"):
    @case("under TLS, %s: a reply in clear" % step)
    def _(env, step=step):
        for way in (SMTPS, STARTTLS):
            attempt(env, way, script(way, **{step: under_tls(CLEAR_WORDS)}),
                    unwilling(*TANGLED, step.lower()), *login(env),
                    wires=[way.wire(env, way.until(step))])


@case("under TLS, BODY: a final reply in clear")
def _(env):
    for way in (SMTPS, STARTTLS):
        attempt(env, way, script(way, BODY=under_tls(CLEAR_WORDS)),
                both("in_doubt", "in_doubt", 75, "body"), *login(env),
                wires=[way.wire(env, way.until("BODY"))])


def say_goodbye(connection, line=None):
    """close_notify, properly, and then the end."""
    connection.sock.settimeout(2)
    try:
        connection.sock.unwrap()
    except (OSError, ValueError):
        pass
    raise Closed


@case("under TLS, MAIL: the end of TLS")
def _(env):
    attempt(env, SMTPS, script(SMTPS, MAIL=say_goodbye), unwilling("deferred", 75, "mail", "lost"),
            *login(env), wires=[SMTPS.wire(env, SMTPS.until("MAIL"))])


@case("under TLS, BODY: the end of TLS")
def _(env):
    attempt(env, SMTPS, script(SMTPS, BODY=say_goodbye),
            both("in_doubt", "in_doubt", 75, "body", "lost"), *login(env),
            wires=[SMTPS.wire(env, SMTPS.until("BODY"))])


# ---- AUTH ----------------------------------------------------------------------------------------

def exchange(env, way, words, wanted, *lines, mechanism="LOGIN", options=()):
    """AUTH with the server's words one after the other; `lines`: what is written behind EHLO."""
    def talk(connection, line):
        for i, word in enumerate(words):
            if i:
                connection.peer.lines.append(connection.line())
            said = connection.act("NEXT")
        return None
    before = way.wire(env, way.until("EHLO2" if way is STARTTLS else "EHLO"))
    return attempt(env, way, script(way, AUTH=talk, NEXT=list(words)), wanted, *login(env),
                   "--auth", mechanism, *options,
                   wires=[(before[0], before[1] + b"".join(lines))])


def words_of(env):
    return (STARTTLS.octets(env, "USER"), STARTTLS.octets(env, "PASS"), SMTPS.octets(env, "AUTH"))


def rest(env, way):
    after = way.wire(env, way.until("QUIT"))[1]
    return after[after.index(b"MAIL FROM"):]


ASK_USER, ASK_PASSWORD = "334 VXNlcm5hbWU6", "334 UGFzc3dvcmQ6"
STAR, NO = b"*\r\n", "501 5.7.0 cancelled"
MECHANISM = unwilling("protocol", 76, "auth", "mechanism")


@case("AUTH LOGIN: let in before the user is named")
def _(env):
    exchange(env, STARTTLS, ["235 2.7.0 in"], GOOD, b"AUTH LOGIN\r\n", rest(env, STARTTLS))


@case("AUTH LOGIN: let in before the password")
def _(env):
    exchange(env, STARTTLS, [ASK_USER, "235 2.7.0 in"], GOOD, b"AUTH LOGIN\r\n", words_of(env)[0],
             rest(env, STARTTLS))


@case("AUTH LOGIN: a challenge too many")
def _(env):
    user, password, _ = words_of(env)
    exchange(env, STARTTLS, [ASK_USER, ASK_PASSWORD, "334 T25jZSBtb3Jl", NO], MECHANISM,
             b"AUTH LOGIN\r\n", user, password, STAR, BYE)


@case("AUTH LOGIN: a challenge that is not base64 gets no answer")
def _(env):
    for word in ("334 not base64!", "334 VXNlcm5hbWU6=", "334 \x00"):
        exchange(env, STARTTLS, [word, NO], MECHANISM, b"AUTH LOGIN\r\n", STAR, BYE)
    exchange(env, STARTTLS, [ASK_USER, "334 ???", NO], MECHANISM, b"AUTH LOGIN\r\n",
             words_of(env)[0],
             STAR, BYE)


@case("AUTH PLAIN: a challenge behind the only response")
def _(env):
    exchange(env, SMTPS, ["334 ", NO], MECHANISM, words_of(env)[2], STAR, BYE, mechanism="PLAIN")


@case("AUTH: 235 in answer to giving up does not let us in")
def _(env):
    exchange(env, SMTPS, ["334 ", "235 2.7.0 welcome"], MECHANISM, words_of(env)[2], STAR, BYE,
             mechanism="PLAIN")


@case("AUTH: 334 in answer to giving up")
def _(env):
    exchange(env, SMTPS, ["334 ", "334 VXNlcm5hbWU6", NO], MECHANISM, words_of(env)[2], STAR, STAR,
             BYE,
             mechanism="PLAIN")


@case("AUTH: 334 in answer to giving up, for ever")
def _(env):
    def endless(connection, line):
        while line != "QUIT":
            connection.send(b"334 \r\n")
            line = connection.line()
    result, peer = attempt(env, SMTPS, script(SMTPS, AUTH=endless), unwilling("protocol", 76,
                                                                              "auth"),
                           *login(env), "--auth", "PLAIN")
    assert peer.wires[0].secure.count(STAR) < 50, "it went on and on"


@case("AUTH: 421 in answer to giving up")
def _(env):
    exchange(env, SMTPS, ["334 ", "421 4.7.0 too many errors"], MECHANISM, words_of(env)[2], STAR,
             mechanism="PLAIN")


@case("AUTH: 504, 534 and 538 speak of the mechanism, the next is tried")
def _(env):
    way = Way("x", "TLS | GREETING | EHLO | AUTH", ("AUTH PLAIN LOGIN",), "smtps", "implicit",
              "PLAIN")
    user, password, plain = words_of(env)
    for code in ("504 5.5.4", "534 5.7.9", "538 5.7.11"):
        exchange(env, way, [code + " not so", ASK_USER, ASK_PASSWORD, "535 5.7.8 no"],
                 unwilling("auth", 77, "auth", "reply", code=535), plain, b"AUTH LOGIN\r\n", user,
                 password, BYE, mechanism="PLAIN,LOGIN")


@case("AUTH: 535, 530, 550, 500 and 432 end it with the first mechanism")
def _(env):
    way = Way("x", "TLS | GREETING | EHLO | AUTH", ("AUTH PLAIN LOGIN",), "smtps", "implicit",
              "PLAIN")
    for code in (535, 530, 550, 500, 432):
        klass = ("auth", 77) if code >= 500 else ("deferred", 75)
        exchange(env, way, ["%d no" % code], unwilling(*klass, "auth", "reply", code=code),
                 words_of(env)[2], BYE, mechanism="PLAIN,LOGIN")


@case("AUTH: without a mechanism that fits, the password stays here")
def _(env):
    for offered in ("AUTH", "AUTH NTLM GSSAPI", "AUTH PLAINX", "AUTHENTICATE PLAIN"):
        way = Way("x", "TLS | GREETING | EHLO", (offered,), "smtps", "implicit")
        attempt(env, way, {}, unwilling("auth", 77, "auth", "not-offered"), *login(env),
                wires=[way.wire(env, way.until("EHLO"), BYE)])


@case("AUTH: a refusal that quotes what was sent is not shown")
def _(env):
    def echo(connection, line):
        return "535 5.7.8 you said: " + line
    attempt(env, SMTPS, script(SMTPS, AUTH=echo), unwilling("auth", 77, "auth", "reply", code=535),
            *login(env))


@case("AUTH: a refusal that quotes the password is not shown")
def _(env):
    for way in (SMTPS, STARTTLS):
        refusal = "535 5.7.8 the password '%s' is wrong" % env.users[USER]
        replies = script(way, **{"FIRST" if way is SMTPS else "PASS": refusal})
        attempt(env, way, replies, unwilling("auth", 77, "auth", "reply", code=535), *login(env))


@case("AUTH: a later refusal that quotes what was sent is not shown")
def _(env):
    refusal = "550 5.7.1 not after " + SMTPS.octets(env, "AUTH").decode().strip()
    attempt(env, SMTPS, script(SMTPS, MAIL=refusal), REFUSED, *login(env))


@case("AUTH: garbage that quotes what was sent is not shown")
def _(env):
    for cut in (200, 25, 17):
        def echo(connection, line):
            connection.send(("what? " + line).encode()[:cut])
            raise Closed
        attempt(env, SMTPS, script(SMTPS, AUTH=echo), unwilling("protocol", 76, "auth", "garbage"),
                *login(env))


@case("words: what is no reply is quoted, and the step is named")
def _(env):
    def said(step, *rest, stalls=False):
        result, _ = attempt(env, LOCK_STEP, {step: rest[0]}, rest[1], stalls=stalls)
        return result.stderr
    broken = unwilling("protocol", 76)
    assert 'not speak SMTP: a line that does not begin with a reply code: "SSH-2.0-x"' in \
        said("GREETING", "SSH-2.0-x", broken)
    assert 'not SMTP: different codes in the lines of one reply: "550 two"' in \
        said("MAIL", b"250-one\r\n550 two\r\n", broken)
    assert "\\x1B" in said("MAIL", "\x1b[2J", broken), "not escaped"
    lost, late = unwilling("deferred", 75, None, "lost"), unwilling("deferred", 75, None, "timeout")
    for step, words in (("GREETING", "did not greet us"), ("EHLO", "did not answer EHLO"),
                        ("MAIL", "did not answer MAIL"), ("DATA", "did not answer DATA")):
        assert "closed the connection and " + words in said(step, lambda *_: close(None),
                                                            lost), step
        assert words + " in time (1 s)" in said(step, lambda c, _: c.hang(), late,
                                                stalls=True), step


# ---- all recipients refused, and more in the envelope --------------------------------------------

UNKNOWN = "550 5.1.1 unknown"
NOBODY = both("refused", "nouser", 67, "rcpt", "reply", code=550)


@case("all RCPT refused, lock-step: no DATA")
def _(env):
    for way in (LOCK_STEP, CHUNKED_STEP):
        attempt(env, way, {"RCPT": UNKNOWN}, NOBODY, wires=[way.wire(env, way.until("RCPT2"), BYE)])


@case("all RCPT refused, pipelined: no message")
def _(env):
    way = PIPELINED
    until = way.until("DATA")
    attempt(env, way, {"RCPT": UNKNOWN}, NOBODY, wires=[way.wire(env, until, BYE)])
    for final in ("250 2.0.0 Ok", "554 5.5.1 nothing"):
        attempt(env, way, {"RCPT": UNKNOWN, "DATA": "354 go", "BODY": final}, NOBODY,
                wires=[way.wire(env, until, b".\r\n" + BYE)])
    attempt(env, way, {"RCPT": UNKNOWN, "DATA": "354 go", "BODY": lambda *_: close(None)}, NOBODY,
            wires=[way.wire(env, until, b".\r\n")])


@case("all RCPT refused, chunked: what is said of the message does not count")
def _(env):
    for final in ("250 2.0.0 Ok", "554 5.5.1 nothing", "451 4.3.0 later", lambda *_: close(None),
                  "garbage"):
        attempt(env, CHUNKED, {"RCPT": UNKNOWN, "BODY": final}, NOBODY,
                wires=[CHUNKED.wire(env, CHUNKED.until("BDAT"), x) for x in (b"", BYE)])


@case("MAIL refused, and the rest accepted: no message, no dot")
def _(env):
    replies = {"MAIL": "550 5.7.1 not you", "RCPT": "250 2.1.5 Ok", "DATA": "354 go ahead"}
    attempt(env, PIPELINED, replies, both("refused", "refused", 69, "mail", "reply", code=550),
            wires=[PIPELINED.wire(env, PIPELINED.until("DATA"))])
    attempt(env, CHUNKED, {"MAIL": "550 5.7.1 not you", "RCPT": "250 2.1.5 Ok", "BODY": "250 Ok"},
            both("refused", "refused", 69, "mail", "reply", code=550),
            wires=[CHUNKED.wire(env, CHUNKED.until("BDAT"), x) for x in (b"", BYE)])


@case("one RCPT refused and the connection lost: he stays refused")
def _(env):
    replies = {"RCPT": [UNKNOWN, lambda *_: close(None)]}
    for way, other, klass in ((LOCK_STEP, "deferred", "deferred"), (PIPELINED, "deferred",
                                                                    "deferred"),
                              (CHUNKED, "in_doubt", "in_doubt")):
        attempt(env, way, replies, Expected(["refused", other], klass, 75, None, None, ["lost"]),
                wires=[way.wire(env, way.until("RCPT2"))])


@case("one RCPT refused, then 421: he stays refused")
def _(env):
    for way in (LOCK_STEP, PIPELINED, CHUNKED):
        attempt(env, way, {"RCPT": [UNKNOWN, "421 4.3.2 bye"]},
                Expected(["refused", "deferred"], "deferred", 75, None, ["rcpt"], ["reply"], 421),
                wires=[way.wire(env, way.until("RCPT2"))])


# ---- early, twice, unasked -----------------------------------------------------------------------

def pair(first, second):
    return Said(first, (first + "\r\n" + second + "\r\n").encode())


@case("early: 250 behind the 354 is not a final reply")
def _(env):
    for way in (LOCK_STEP, PIPELINED, LMTP):
        attempt(env, way, {"DATA": pair("354 go", "250 2.0.0 Ok")},
                unwilling("protocol", 76, "body", "early-reply"),
                wires=[way.wire(env, way.until("DATA"))])


@case("early: a refusal behind the 354 counts, and no message is sent")
def _(env):
    for way in (LOCK_STEP, PIPELINED):
        attempt(env, way, {"DATA": pair("354 go", "552 5.3.4 too big")},
                both("refused", "refused", 69, "body", "reply", code=552),
                wires=[way.wire(env, way.until("DATA"))])
        for code in (451, 421):
            attempt(env, way, {"DATA": pair("354 go", "%d 4.3.0 later" % code)},
                    unwilling("deferred", 75, "body", "reply", code=code),
                    wires=[way.wire(env, way.until("DATA"))])


@case("early: the whole dialogue's replies at once")
def _(env):
    for way, hello in ((LOCK_STEP, b"250 peer\r\n"), (CHUNKED, b"250-peer\r\n250-PIPELINING\r\n250 CHUNKING\r\n")):
        greeting = b"220 peer\r\n" + hello + b"250 Ok\r\n" * 3 + b"354 go\r\n250 2.0.0 Ok\r\n"
        attempt(env, way, {"GREETING": greeting}, unwilling("protocol", 76, None, "early-reply"),
                wires=[(b"", b"")])
        attempt(env, way, {"EHLO": Said("250 peer", hello + b"250 2.0.0 Ok\r\n" * 4)},
                unwilling("protocol", 76, None, "early-reply"), wires=[way.wire(env,
                                                                                way.until("EHLO"))])


@case("unasked: 421 behind the greeting, behind EHLO, behind RCPT")
def _(env):
    for step, right in (("GREETING", "220 peer"), ("EHLO", "250 peer"), ("RCPT2", "250 2.1.5 Ok")):
        name = "RCPT" if step == "RCPT2" else step
        reply = pair(right, "421 4.3.2 going down")
        attempt(env, LOCK_STEP, {name: [None, reply] if name == "RCPT" else reply},
                unwilling("deferred", 75, None, "reply", code=421),
                wires=[LOCK_STEP.wire(env, LOCK_STEP.until(step))])


@case("unasked: more words behind the final reply do not undo it")
def _(env):
    for more in (b"550 5.0.0 no\r\n", b"421 4.3.2 bye\r\n", b"what?\r\n", b"\0" * 100,
                 b"x" * 20000):
        for way in (LOCK_STEP, PIPELINED, CHUNKED):
            attempt(env, way, {"BODY": Said("250 Ok", b"250 2.0.0 Ok\r\n" + more)}, GOOD,
                    wires=[way.wire(env, way.until("QUIT")),
                           way.wire(env, way.until("BDAT" if way is CHUNKED else "BODY"))])


@case("unasked: the end right behind the final reply")
def _(env):
    def end(connection, line):
        connection.send(b"250 2.0.0 Ok\r\n")
        raise Closed
    for way in (LOCK_STEP, PIPELINED, CHUNKED):
        attempt(env, way, {"BODY": end}, GOOD)


@case("lmtp: one reply too many, and both at once")
def _(env):
    for octets in (b"250 2.0.0 Ok\r\n" * 3, b"250 2.0.0 Ok\r\n" * 2):
        attempt(env, LMTP, {"BODY": [Said("250 Ok", octets), lambda *_: None]}, GOOD)


@case("lmtp: 250 for the one, 550 for the other, in one piece")
def _(env):
    both_at_once = Said("250 Ok", b"250 2.0.0 Ok\r\n550 5.2.1 closed\r\n")
    attempt(env, LMTP, {"BODY": [both_at_once, lambda *_: None]},
            Expected(["accepted", "refused"], "partial", 69, None, ["body"], ["reply"], 550),
            wires=[LMTP.wire(env, LMTP.until("QUIT"))])


# ---- time ----------------------------------------------------------------------------------------

def late(text, seconds):
    def act(connection, line):
        time.sleep(seconds)
        return text
    return act


@case("time: each reply has the whole timeout, all together have more")
def _(env):
    replies = {x: late(LOCK_STEP.right(x), 0.4) for x in ("GREETING", "EHLO", "MAIL", "DATA",
                                                          "BODY")}
    attempt(env, LOCK_STEP, replies, GOOD, *TIMEOUT)


@case("time: a reply that drips does not prolong it")
def _(env):
    def drip(connection, line):
        for _ in range(40):
            connection.send(b"250-x\r\n")
            time.sleep(0.1)
    for step, stage in (("EHLO", "hello"), ("MAIL", "mail")):
        attempt(env, LOCK_STEP, {step: drip}, unwilling("deferred", 75, stage, "timeout",
                                                        "too-slow"),
                stalls=True)
    attempt(env, LOCK_STEP, {"BODY": drip}, both("in_doubt", "in_doubt", 75, "body", "timeout",
                                                 "too-slow"), stalls=True)


# ---- within the message --------------------------------------------------------------------------

def says_midway(octets, then=None):
    def act(connection):
        connection.send(octets)
        if then:
            then(connection)
        connection.hang()
    return act


def stop_reading(connection):
    time.sleep(WAIT + MARGIN)
    raise Closed


def pieces(octets):
    def act(connection):
        for x in octets:
            connection.send(bytes([x]))
            time.sleep(0.001)
        connection.hang()
    return act


LATER, NEVER = ("deferred", "deferred", 75), ("refused", "refused", 69)
GARBLED = ("deferred", "protocol", 76)
# what the server does after the message's first octets; outcome, class, exit; cause; reply
MIDWAY = {
    "4yz": (says_midway(b"451 4.3.0 disk full\r\n"), LATER, "reply", 451),
    "5yz": (says_midway(b"552 5.3.4 too big\r\n"), NEVER, "reply", 552),
    "5yz, then drop": (says_midway(b"552 5.3.4 too big\r\n", close), NEVER, "reply", 552),
    "5yz octet by octet": (pieces(b"552-5.3.4 too\r\n552 5.3.4 big\r\n"), NEVER, "reply", 552),
    "421": (says_midway(b"421 4.3.2 bye\r\n"), LATER, "reply", 421),
    "421, then drop": (says_midway(b"421 4.3.2 bye\r\n", close), LATER, "reply", 421),
    "drop": (close, LATER, "lost", None),
    "reset": (reset, LATER, "lost", None),
    "stall": (stop_reading, LATER, "timeout", None),
    "250": (says_midway(b"250 2.0.0 Ok\r\n"), GARBLED, "early-reply", None),
    "354": (says_midway(b"354 go ahead\r\n"), GARBLED, "garbage", None),
    "words": (says_midway(b"what?\r\n"), GARBLED, "garbage", None),
    "binary": (says_midway(b"\x80\xff\0\r\n"), GARBLED, "garbage", None),
    "TLS alert": (says_midway(b"\x15\x03\x01\x00\x02\x02\x46"), GARBLED, "garbage", None),
    "two codes": (says_midway(b"250-one\r\n550 two\r\n"), GARBLED, "garbage", None),
    "line too long": (says_midway(b"250 " + b"x" * 12300), GARBLED, "limit", None),
    "too many lines": (says_midway(b"550-x\r\n" * 1001), GARBLED, "limit", None),
}


def midway(env, way, replies, outcome, cause, code, stalls, peer_class=Peer):
    kind, klass, status = outcome
    context = env.certificate.context() if way.tls else None
    options = ("--ca-file", env.ca.file) if way.tls else ()
    with peer_class(replies, way.keywords, context, way.tls == "implicit") as peer:
        began = time.monotonic()
        result = env.send(peer.url(way.scheme), *options, *(TIMEOUT if stalls else ()),
                          message=LARGE, to=[BOB, CAROL])
        seconds = time.monotonic() - began
        if not stalls:
            peer.finish()
    check_result(result, both(kind, klass, status, "body", cause, code=code))
    check_time(seconds, stalls)
    equal(peer.connections, 1, "connections")
    equal(peer.bodies, [], "whole messages")
    assert peer.wires[0].length < len(LARGE), "the whole message was sent"
    return peer


MIDWAY_DATA = (LOCK_STEP, PIPELINED,
               Way("implicit TLS", "", ("PIPELINING",), "smtps", "implicit"))
for name, (act, outcome, cause, code) in MIDWAY.items():
    for way in MIDWAY_DATA:
        @case("%s, within the message: %s" % (way.name, name))
        def _(env, way=way, act=act, outcome=outcome, cause=cause, code=code, name=name):
            def begin(connection, line):
                connection.send(b"354 go ahead\r\n")
                connection.receive()
                act(connection)
            midway(env, way, {"DATA": begin}, outcome, cause, code, name == "stall")

    for way in (CHUNKED, CHUNKED_STEP):
        for before in (0, 1):
            if name == "250":
                continue        # the right reply
            @case("%s, many chunks, behind number %d: %s" % (way.name, before + 1, name))
            def _(env, way=way, act=act, outcome=outcome, cause=cause, code=code, name=name,
                  before=before):
                replies = {"CHUNK": [None] * before + [lambda connection, _: act(connection)]}
                peer = midway(env, way, replies, outcome, cause, code, name == "stall")
                if way is CHUNKED_STEP:
                    equal(peer.verbs().count("BDAT"), before + 1, "chunks")

        if name == "250":
            continue            # the kernel may have taken all of the chunk
        @case("%s, many chunks, within the first: %s" % (way.name, name))
        def _(env, way=way, act=act, outcome=outcome, cause=cause, code=code, name=name):
            class Hasty(Peer):
                def chunk(self, connection, line):
                    act(connection)
            midway(env, way, {}, outcome, cause, code, name == "stall", Hasty)
