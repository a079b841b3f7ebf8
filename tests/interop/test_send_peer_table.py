# SPDX-License-Identifier: MIT
"""Every misbehaviour at every step of every way to send: outcome of each recipient, class, exit
status, stage, cause, every octet the peer received, and the time.

A way is a dialogue: flights of steps, a flight being what the client writes without waiting. A
misbehaviour is what the server does in place of the right reply to one step, and what that means. The
rules that make an expectation of both are in judge(); they are those of the contract (DESIGN.md,
section 4):

1. A 4yz means later and a 5yz never: to the greeting, EHLO, MAIL, DATA or the message for all, to RCPT
   for the one recipient, over LMTP to the message for the one recipient too. 5yz to STARTTLS is
   `security` where TLS is required, 5yz to AUTH is `auth`; the message is as good as before.
2. A 421 is the reply to its command wherever it comes; all that is undecided is deferred, and nothing
   more is written.
3. What is no reply (garbage, a reply without end, one out of place or too early) is `protocol`; an end
   without one (lost, timeout) is `deferred`. Nothing more is written, no second connection is made.
4. But once the last octet of the message is handed over, 3 leaves in doubt whoever was not refused
   before.
5. A reply in pieces, or with a lone LF or odd text, is the reply it is.
6. After the final reply nothing changes the outcome.

What is on the wire follows: all flights up to the one that holds the step, and no octet more, except
QUIT after a refusal that leaves the session whole (after a refused BDAT it does not, and 421 ends it),
"*" where an exchange of AUTH is given up, and a lone dot where nobody took the 354's offer.
"""
import base64
import time

from harness import SENDER, cell, equal
from peer import HANG, LOST, Closed, Peer, Said
from servers import login

BOB, CAROL = "bob@test.example", "carol@test.example"
BOTH = (BOB, CAROL)
USER = "alice"
WAIT = 1            # seconds: --timeout of the cells that stall
MARGIN = 10         # more than that over it is a hang; the machine may be busy
SMALL = b"Subject: test\r\n\r\nA test.\r\n"
LARGE = b"Subject: large\r\n\r\n" + (b"x" * 76 + b"\r\n") * 200000
STAGE = {"GREETING": "greeting", "EHLO": "hello", "EHLO2": "hello", "LHLO": "hello",
         "HELO": "hello",
         "STARTTLS": "starttls", "TLS": "tls", "AUTH": "auth", "USER": "auth", "PASS": "auth",
         "MAIL": "mail", "RCPT1": "rcpt", "RCPT2": "rcpt", "DATA": "data", "BODY": "body",
         "BODY1": "body", "BODY2": "body", "BDAT": "body", "CHUNK": "body", "QUIT": "quit"}


# ---- the ways ------------------------------------------------------------------------------------

RIGHT = {"GREETING": "220 peer.test.example ESMTP", "HELO": "250 peer.test.example",
         "STARTTLS": "220 2.0.0 go ahead", "USER": "334 UGFzc3dvcmQ6", "PASS": "235 2.7.0 welcome",
         "MAIL": "250 2.1.0 Ok", "RCPT1": "250 2.1.5 Ok", "RCPT2": "250 2.1.5 Ok",
         "DATA": "354 go ahead", "BODY": "250 2.0.0 Ok", "BODY1": "250 2.0.0 Ok",
         "BODY2": "250 2.0.0 Ok", "BDAT": "250 2.0.0 Ok", "QUIT": "221 2.0.0 Bye"}
# the peer's word for a step where it is another, and which time it is
MOMENT = {"EHLO2": ("EHLO", 1), "RCPT1": ("RCPT", 0), "RCPT2": ("RCPT", 1), "BODY1": ("BODY", 0),
          "BODY2": ("BODY", 1), "BDAT": ("BODY", 0)}


class Way:
    """`flights`: steps, each what the client writes and the server's reply to it; a bar is where the
    client waits. TLS is the handshake."""

    def __init__(self, name, flights, keywords=(), scheme="smtp", tls=None, mechanism=None,
                 replies=None):
        self.name, self.keywords, self.scheme, self.tls = name, keywords, scheme, tls
        self.mechanism, self.replies = mechanism, replies or {}
        self.flights = [x.split() for x in flights.split("|")]

    def flight_of(self, step):
        return next(i for i, x in enumerate(self.flights) if step in x)

    def until(self, step):
        """All steps up to the end of this one's flight."""
        return [x for flight in self.flights[:self.flight_of(step) + 1] for x in flight]

    def is_handed_over(self, step):
        """Whether the message's last octet has gone when the reply to `step` is due."""
        return bool({"BODY", "BODY1", "BDAT"} & set(self.until(step)))

    def is_secure(self, step):
        return "TLS" in self.until(step)

    def right(self, step):
        """The right reply."""
        if step == "AUTH":
            return "334 VXNlcm5hbWU6" if self.mechanism == "LOGIN" else RIGHT["PASS"]
        if step not in ("EHLO", "EHLO2", "LHLO"):
            return RIGHT[step]
        words = self.keywords + ("STARTTLS",) * (self.tls == "starttls" and step == "EHLO")
        lines = ("peer.test.example",) + words
        return "\r\n".join("250-" + x for x in lines[:-1]) + "\r\n" * bool(words) + "250 " + lines[-1]

    def octets(self, env, step):
        """What the client writes, to which the step's reply is the answer."""
        user, password = USER.encode(), env.users[USER].encode()
        size = b" SIZE=%d" % len(SMALL) if "SIZE" in self.keywords else b""
        if step == "AUTH" and self.mechanism == "PLAIN":
            return b"AUTH PLAIN %s\r\n" % base64.b64encode(b"\0%s\0%s" % (user, password))
        return {"GREETING": b"", "TLS": b"", "BODY2": b"", "EHLO": b"EHLO client.example\r\n",
                "EHLO2": b"EHLO client.example\r\n", "LHLO": b"LHLO client.example\r\n",
                "HELO": b"HELO client.example\r\n", "STARTTLS": b"STARTTLS\r\n",
                "AUTH": b"AUTH LOGIN\r\n", "USER": base64.b64encode(user) + b"\r\n",
                "PASS": base64.b64encode(password) + b"\r\n",
                "MAIL": b"MAIL FROM:<%s>%s\r\n" % (SENDER.encode(), size),
                "RCPT1": b"RCPT TO:<%s>\r\n" % BOB.encode(),
                "RCPT2": b"RCPT TO:<%s>\r\n" % CAROL.encode(), "DATA": b"DATA\r\n",
                "BODY": SMALL + b".\r\n", "BODY1": SMALL + b".\r\n",
                "BDAT": b"BDAT %d LAST\r\n" % len(SMALL) + SMALL, "QUIT": b"QUIT\r\n"}[step]

    def wire(self, env, steps, tail=b""):
        """The octets of these steps: in clear, and under TLS."""
        wire = [b"", b""]
        is_secure = False
        for step in steps:
            wire[is_secure] += self.octets(env, step)
            is_secure |= step == "TLS"
        wire[is_secure] += tail
        return tuple(wire)


WAYS = (
    Way("lock-step", "GREETING | EHLO | MAIL | RCPT1 | RCPT2 | DATA | BODY | QUIT", ("SIZE",)),
    Way("pipelined", "GREETING | EHLO | MAIL RCPT1 RCPT2 DATA | BODY | QUIT", ("PIPELINING",)),
    Way("chunked", "GREETING | EHLO | MAIL RCPT1 RCPT2 BDAT | QUIT", ("PIPELINING", "CHUNKING",
                                                                      "SIZE")),
    Way("chunked lock-step", "GREETING | EHLO | MAIL | RCPT1 | RCPT2 | BDAT | QUIT", ("CHUNKING",)),
    Way("lmtp", "GREETING | LHLO | MAIL RCPT1 RCPT2 DATA | BODY1 BODY2 | QUIT", ("PIPELINING",),
        "lmtp"),
    Way("old", "GREETING | EHLO | HELO | MAIL | RCPT1 | RCPT2 | DATA | BODY | QUIT",
        replies={"EHLO": "502 5.5.1 what?"}),
    Way("implicit TLS", "TLS | GREETING | EHLO | AUTH | MAIL RCPT1 RCPT2 DATA | BODY | QUIT",
        ("PIPELINING", "AUTH PLAIN"), "smtps", "implicit", "PLAIN"),
    Way("STARTTLS",
        "GREETING | EHLO | STARTTLS | TLS | EHLO2 | AUTH | USER | PASS | MAIL | RCPT1 | RCPT2"
        " | DATA | BODY | QUIT", ("AUTH LOGIN",), "submission", "starttls", "LOGIN"),
)


# ---- the misbehaviours ---------------------------------------------------------------------------

class Evil:
    """`act` makes of the right reply what the peer does; `meaning` is REPLY (with its code), WHOLE, TWICE,
    or the cause by which it ends the session."""

    def __init__(self, name, act, meaning, code=0):
        self.name, self.act, self.meaning, self.code = name, act, meaning, code


REPLY, WHOLE, TWICE = "reply", "whole", "twice"


def says(octets):
    return lambda right: Said("599", octets)


def whole(change):
    """The right reply in other octets."""
    return lambda right: Said(right, change(right.encode()))


def begins(change, then):
    """The beginning of a reply, and then what?"""
    def act(right):
        def begin(connection, line):
            connection.send(change(right.encode()))
            then(connection)
        return begin
    return act


def close(connection, line=None):
    raise Closed


def reset(connection, line=None):
    connection.reset()


def hang(connection):
    connection.hang()


def closing(connection, line):
    connection.send(b"421 4.3.2 going down\r\n")
    raise Closed


def flood(connection, line):
    for _ in range(64):
        connection.send(b"x" * 65536)
    connection.hang()


def half(right):
    return right[:2]


def first_line(right):
    return right[:3] + b"-one\r\n"


EVILS = (
    Evil("4yz", lambda _: "451 4.3.0 later", REPLY, 451),
    Evil("5yz", lambda _: "554 5.7.1 never", REPLY, 554),
    Evil("421", lambda _: "421 4.3.2 going down", REPLY, 421),
    Evil("421 and closing", lambda _: closing, REPLY, 421),
    Evil("3yz", lambda _: "354 go ahead", REPLY, 354),
    Evil("2yz", lambda _: "250 2.0.0 Ok", REPLY, 250),
    Evil("drop", lambda _: close, "lost"),
    Evil("reset", lambda _: reset, "lost"),
    Evil("half a code, then drop", begins(half, close), "lost"),
    Evil("one line of two, then drop", begins(first_line, close), "lost"),
    Evil("stall", lambda _: HANG, "timeout"),
    Evil("half a code, then stall", begins(half, hang), "timeout"),
    Evil("one line of two, then stall", begins(first_line, hang), "timeout"),
    Evil("a lone CR, then stall", begins(lambda x: x.split(b"\r")[0] + b"\r", hang), "timeout"),
    Evil("words", says(b"what?\r\n"), "garbage"),
    Evil("binary", says(b"\x80\xff\x1b[31m\x9b\x01\r\n"), "garbage"),
    Evil("HTTP", says(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n"), "garbage"),
    Evil("TLS alert", says(b"\x15\x03\x01\x00\x02\x02\x46"), "garbage"),
    Evil("NULs", says(b"\0\0\0\0\r\n"), "garbage"),
    Evil("empty line", says(b"\r\n"), "garbage"),
    Evil("code 199", says(b"199 2.0.0 Ok\r\n"), "garbage"),
    Evil("code 600", says(b"600 2.0.0 Ok\r\n"), "garbage"),
    Evil("code 2500", says(b"2500 Ok\r\n"), "garbage"),
    Evil("two codes", says(b"250-one\r\n550 two\r\n"), "garbage"),
    Evil("421 behind another code", says(b"250-one\r\n421 two\r\n"), "garbage"),
    Evil("line too long", says(b"250 " + b"x" * 12300 + b"\r\n"), "limit"),
    Evil("too many lines", says(b"250-x\r\n" * 1000 + b"250 x\r\n"), "limit"),
    Evil("too many octets", says((b"250-" + b"x" * 12000 + b"\r\n") * 22 + b"250 x\r\n"), "limit"),
    Evil("endless", lambda _: flood, "limit"),
    Evil("twice", whole(lambda x: (x + b"\r\n") * 2), TWICE),
    Evil("octet by octet", lambda right: Said(right), WHOLE),
    Evil("4yz octet by octet", lambda _: Said("451 4.3.0 later"), REPLY, 451),
    Evil("5yz octet by octet", lambda _: Said("554 5.7.1 never"), REPLY, 554),
    Evil("lone LFs", whole(lambda x: x.replace(b"\r\n", b"\n") + b"\n"), WHOLE),
    Evil("NUL in the text", whole(lambda x: x[:4] + b"a\0b\r\n"), WHOLE),
    Evil("line of 12,288 octets", whole(lambda x: x[:4] + b"x" * 12282 + b"\r\n"), WHOLE),
    Evil("1,000 lines", whole(lambda x: (x[:3] + b"-x\r\n") * 999 + x[:3] + b" x\r\n"), WHOLE),
)
CORE = ("4yz", "5yz", "421", "421 and closing", "3yz", "2yz", "drop", "reset",
        "half a code, then drop",
        "stall", "one line of two, then stall", "words", "binary", "TLS alert", "two codes",
        "line too long", "too many lines", "twice", "octet by octet", "5yz octet by octet")
OTHER_TEXT = ("NUL in the text", "line of 12,288 octets", "1,000 lines")


# ---- the rules -----------------------------------------------------------------------------------

class Expected:
    """`wires`: each an allowed pair of octets, in clear and under TLS. Lists are alternatives."""

    def __init__(self, outcomes, klass, status, wires, stages=None, causes=None, code=None):
        self.outcomes, self.klass, self.status, self.wires = outcomes, klass, status, wires
        self.stages, self.causes, self.code = stages, causes, code


def judge(env, way, step, evil):
    """None where the reply is right there, or text that matters would be another."""
    if step == "QUIT":                                                              # rule 6
        return accepted(env, way)
    if evil.meaning == WHOLE:                                                       # rule 5
        text_matters = STAGE[step] == "hello" or way.right(step).startswith("334")
        return None if text_matters and evil.name in OTHER_TEXT else accepted(env, way)
    if evil.meaning == TWICE:
        return judge_twice(env, way, step)
    if evil.meaning != REPLY:
        if evil.name == "TLS alert" and step == "GREETING" and way.tls != "implicit":
            return unwilling(env, way, step, "security", 78, "clear-on-tls-port")
        return judge_broken(env, way, step, [evil.meaning])
    if evil.code == 421:                                                            # rule 2
        return judge_421(env, way, step)
    if evil.code < 400:
        return judge_out_of_place(env, way, step, evil.code)
    return judge_refusal(env, way, step, evil.code)


def accepted(env, way, *other_wires):
    return Expected(["accepted"] * 2, "ok", 0, [way.wire(env, way.until("QUIT")), *other_wires])


def unwilling(env, way, step, klass, status, *causes):
    return Expected(["deferred"] * 2, klass, status, [way.wire(env, way.until(step))],
                    [STAGE[step]],
                    list(causes))


def judge_broken(env, way, step, causes):
    """Rules 3 and 4."""
    if way.is_handed_over(step):
        before = ["accepted"] * (step == "BODY2")       # BODY1 was answered
        return Expected(before + ["in_doubt"] * (2 - len(before)), "in_doubt", 75,
                        [way.wire(env, way.until(step))], [STAGE[step], "body"], causes)
    if causes in (["lost"], ["timeout"]):
        wanted = unwilling(env, way, step, "deferred", 75, *causes)
        if step == "GREETING" and causes == ["lost"]:   # a reset may be there before we are
            wanted.stages.append("connect")
            wanted.causes.append("unreachable")
        return wanted
    return unwilling(env, way, step, "protocol", 76, *causes)


def judge_twice(env, way, step):
    """The second comes before the next command, or in place of the next reply, which then is out of
    place."""
    until = way.wire(env, way.until(step))
    if step == "STARTTLS":
        return unwilling(env, way, step, "security", 78, "injection")
    if step in ("BODY", "BODY1", "BODY2") or way.name == "chunked lock-step" and step == "BDAT":
        return accepted(env, way, until)
    if way.name == "chunked":
        return None     # all commands have gone, and each has its 2yz
    wanted = judge_broken(env, way, step, ["early-reply", "unasked-reply", "garbage"])
    wanted.stages = None
    return wanted


def judge_421(env, way, step):
    before = ["accepted"] * (step == "BODY2")
    return Expected(before + ["deferred"] * (2 - len(before)), "partial" if before else "deferred",
                    75,
                    [way.wire(env, way.until(step))], [STAGE[step]], ["reply"], 421)


def judge_out_of_place(env, way, step, code):
    """2yz and 3yz where they mean nothing."""
    if way.right(step)[0] == str(code)[0] and step not in ("GREETING", "STARTTLS", "AUTH", "USER"):
        return None
    if STAGE[step] == "auth" and code == 250:
        return None     # it lets us in without the password
    wanted = judge_broken(env, way, step, ["garbage", "reply"])
    wanted.wires.append(way.wire(env, way.until(step),
                                 b"QUIT\r\n" * (not way.is_handed_over(step))))
    return wanted


def judge_refusal(env, way, step, code):
    """Rule 1."""
    later = code < 500
    outcome, klass, status = ("deferred", "deferred", 75) if later else ("refused", "refused", 69)
    bye = b"" if "BDAT" in way.until(step) else b"QUIT\r\n"
    wires = [way.wire(env, way.until(step), bye)]
    if step in ("RCPT1", "RCPT2", "BODY1", "BODY2"):
        outcomes = ["accepted", "accepted"]
        outcomes[step.endswith("2")] = outcome
        return Expected(outcomes, "partial", status, [way.wire(env, way.until("QUIT"))],
                        [STAGE[step]],
                        ["reply"], code)
    if STAGE[step] in ("starttls", "auth") and not later:
        outcome = "deferred"
        klass, status = ("auth", 77) if STAGE[step] == "auth" else ("security", 78)
    return Expected([outcome] * 2, klass, status, wires, [STAGE[step]], ["reply"], code)


# ---- one cell ------------------------------------------------------------------------------------

def log_in(connection, line):
    """AUTH PLAIN in one step, AUTH LOGIN in three."""
    said = connection.act("FIRST")
    for step in ("USER", "PASS"):
        if not str(said).startswith("334"):
            return
        connection.peer.lines.append(connection.line())
        said = connection.act(step)


def replies_of(way, step, evil):
    replies = {x: way.right(x) for x in ("USER", "PASS", "HELO")}
    replies.update(way.replies, AUTH=log_in)
    if way.mechanism:
        replies["FIRST"] = way.right("AUTH")
    name, times = ("FIRST", 0) if step == "AUTH" else MOMENT.get(step, (step, 0))
    replies[name] = [None] * times + [evil.act(way.right(step))]
    return replies


def forms_of(secret):
    """The secret, and what base64 makes of it whatever stands before and behind."""
    yield secret
    yield secret.hex().encode()
    for skip in range(3):
        whole_groups = secret[skip:][:(len(secret) - skip) // 3 * 3]
        yield base64.b64encode(whole_groups)


def check_secrets(env, peer, result):
    printed = (result.stdout + result.stderr).encode()
    for form in forms_of(env.users[USER].encode()):
        assert form not in printed, "the password was printed"
        assert all(form not in x.clear for x in peer.wires), "the password crossed the link in clear"


def check_wire(peer, wanted):
    equal(peer.connections, 1, "connections")
    got = tuple(bytes(x) for x in (peer.wires[0].clear, peer.wires[0].secure))
    if got not in wanted.wires:
        raise AssertionError("wire: got %r,\nwant %s" % (
            got, "\n  or ".join(repr(x) for x in wanted.wires)))


def check_result(result, wanted):
    error = result.record["error"] or {}
    pairs = [("outcomes", result.recipients(), [wanted.outcomes]),
             ("class", result.record["class"], [wanted.klass]), ("exit", result.status,
                                                                 [wanted.status]),
             ("stage", error.get("stage"), wanted.stages), ("cause", error.get("cause"),
                                                            wanted.causes),
             ("code", error.get("code"), wanted.code and [wanted.code])]
    wrong = ["%s: got %r, want %s" % (name, got, " or ".join(map(repr, want)))
             for name, got, want in pairs if want and got not in want]
    assert not wrong, "; ".join(wrong)


def check_time(seconds, stalls):
    least, most = (WAIT, WAIT + MARGIN) if stalls else (0, 2 * MARGIN)
    assert least <= seconds <= most, "it took %.1f s, %d to %d were expected" % (seconds, least,
                                                                                 most)


def try_cell(env, way, step, evil):
    wanted = judge(env, way, step, evil)
    options = ["-v", "-v", "--helo", "client.example"]
    if way.mechanism:
        options += login(env, USER)
    stalls = evil.meaning == "timeout"
    if stalls:
        options += ["--timeout", str(WAIT)]
    with Peer(replies_of(way, step, evil), way.keywords, way.tls and env.certificate.context(),
              way.tls == "implicit", way.scheme == "lmtp") as peer:
        began = time.monotonic()
        result = env.send(peer.url(way.scheme), *options, message=SMALL, to=[BOB, CAROL])
        seconds = time.monotonic() - began
        peer.finish()
    check_result(result, wanted)
    check_wire(peer, wanted)
    check_secrets(env, peer, result)
    check_time(seconds, stalls and step != "QUIT")


def register(way, steps, evils):
    for step in steps.split():
        for evil in EVILS:
            # which cells say something does not depend on the environment
            if evil.name in evils and judge(Nobody, way, step, evil):
                cell("%s, %s: %s" % (way.name, step, evil.name),
                     lambda env, way=way, step=step, evil=evil: try_cell(env, way, step, evil))


class Nobody:
    users = {USER: ""}


BY_NAME = {x.name: x for x in WAYS}
register(BY_NAME["lock-step"], "GREETING EHLO MAIL RCPT1 RCPT2 DATA BODY QUIT",
         [x.name for x in EVILS])
register(BY_NAME["pipelined"], "MAIL RCPT1 RCPT2 DATA BODY QUIT", CORE)
register(BY_NAME["chunked"], "MAIL RCPT1 RCPT2 BDAT QUIT", CORE)
register(BY_NAME["chunked lock-step"], "MAIL RCPT2 BDAT QUIT", CORE)
register(BY_NAME["lmtp"], "LHLO MAIL RCPT1 DATA BODY1 BODY2 QUIT", CORE)
register(BY_NAME["old"], "HELO MAIL", CORE)
register(BY_NAME["implicit TLS"], "GREETING EHLO AUTH MAIL DATA BODY QUIT", CORE)
register(BY_NAME["STARTTLS"], "GREETING EHLO STARTTLS EHLO2 AUTH USER PASS MAIL RCPT2 BODY QUIT",
         CORE)
