# SPDX-License-Identifier: MIT
"""One table of rows against every server we can get. A cell is a test: `Exim: dots`. A row that a
server has nothing for (an extension it does not offer, a refusal it cannot be taught) is no test
and a dash in the table that ends the run."""
import base64
import email
import email.policy
import json
import os
import subprocess
import time

import ca
import harness
from harness import SENDER, Result, equal, same_message
from server import (DEFER, DEFERRED_SENDER, LATER, NOBODY, REFUSE, REFUSED_SENDER, UNICODE, USERS)
from servers import CLASSES, POSTFIX_AND_DOVECOT

HEAD = (b"From: Sender <sender@sender.example>\nTo: bob@test.example\nSubject: table\n"
        b"Date: Tue, 1 Oct 2024 12:00:00 +0000\nMessage-ID: <table@sender.example>\n")
MESSAGE = HEAD + b"\nHello.\n"
BOB, CAROL = "bob@test.example", "carol@test.example"
# In the order that the command prefers; from CRAM-MD5 on only when named.
MECHANISMS = ("SCRAM-SHA-256", "SCRAM-SHA-1", "PLAIN", "LOGIN", "CRAM-MD5", "DIGEST-MD5", "NTLM",
              "OAUTHBEARER", "XOAUTH2", "GSSAPI", "EXTERNAL")

WRONG = "this-is-not-the-secret"

COLUMNS = sorted(CLASSES, key=lambda x: x.name != "Postfix")

table = {}      # (row, server): "ok" or "FAIL"
titles = []


def row(title, has=lambda s: True):
    """Makes a test of each server that has what the row is about."""
    def register(function):
        titles.append(title)
        for kind in COLUMNS:
            if has(kind):
                harness.tests.append(cell(title, kind, function))
        return function
    return register


def cell(title, kind, function):
    def run(env):
        table[title, kind.name] = "FAIL"
        server = env.servers[kind.name]
        for each in {server, boxes(env, server, "submission")}:
            each.empty()
        function(env, server)
        table[title, kind.name] = "ok"
    run.__name__ = "%s: %s" % (kind.name, title)
    run.servers = POSTFIX_AND_DOVECOT if kind in POSTFIX_AND_DOVECOT else (kind,)
    run.lane = run.servers      # they share mailboxes
    return run


def print_table():
    if not table:
        return
    names = [x.name for x in COLUMNS]
    first = max(map(len, titles)) + 2
    print("# | " + " " * first + "  ".join(names))
    for title in titles:
        if any((title, x) in table for x in names):
            print("# | " + title.ljust(first) + "  ".join(
                table.get((title, x), "-").ljust(len(x)) for x in names).rstrip())


# what a way of sending is for a server

def way(s, name):
    """The URL. A server without a port that lacks TLS is spoken to in clear on another."""
    return s.ways.get(name) or s.ways.get("starttls") or s.ways["lmtp"]


def options(env, s, name, user="alice", password=None):
    if name == "clear":
        return ("--tls=off",)
    given = ("--ca-file", env.ca.file)
    if name in ("proxy", "xclient"):
        return ()
    if name in ("submission", "smtps"):
        secret = env.file("password", (password or USERS[user]).encode() + b"\n")
        given += ("--user", s.login(user), "--password-file", secret)
    return given


def boxes(env, s, name):
    """The server whose mailboxes get what is sent this way."""
    return env.servers["Postfix"] if name in s.relays else s


def send(env, s, name, *args, **more):
    return env.send(way(s, name), *options(env, s, name), *args, **{"message": MESSAGE, **more})


def arrived(env, s, name, content, user="bob", change=None):
    """The one message in the mailbox, octet by octet. `change`: what the server makes of it."""
    box = boxes(env, s, name)
    found = box.stored(user)
    equal(len(found), 1, "messages in the mailbox of " + user)
    same_message(found[0], (change or bytes)(content), box.line_end, box.trace)


def nothing(env, s, name, *users):
    for user in users or USERS:
        equal(boxes(env, s, name).stored(user), [], "mailbox of " + user)


def first(s):
    return s.judging or next(iter(s.ways))


def sent(env, s, name, content=MESSAGE, tls=None, auth=None, verified=True):
    """Accepted, seen in the record, and in the mailbox."""
    result = send(env, s, name, message=content).good()
    recipient, session = result.record["recipients"][0], result.session
    equal([recipient[x] for x in ("outcome", "stage", "code")], ["accepted", "body", 250], "reply")
    equal(len(result.record["sessions"]), 1, "sessions")
    shown = session["tls"] or {"mode": "none"}
    equal(shown["mode"], tls, "tls.mode")
    if tls != "none":
        equal(shown["verified"], verified, "verified")
    equal(bool(session["auth"]), bool(auth), "authenticated")
    arrived(env, s, name, content)
    return result


# the ways

@row("in clear")
def _(env, s):
    sent(env, s, "clear", tls="none")


@row("TLS as offered, to loopback", lambda s: "starttls" in s.ways)
def _(env, s):
    result = env.send(way(s, "starttls"), message=MESSAGE).good()
    equal([result.session["tls"][x] for x in ("mode", "policy", "verified")],
          ["starttls", "loopback", False], "tls")
    arrived(env, s, "starttls", MESSAGE)


@row("STARTTLS, verified", lambda s: "starttls" in s.ways)
def _(env, s):
    sent(env, s, "starttls", tls="starttls")


@row("submission: STARTTLS and AUTH")
def _(env, s):
    sent(env, s, "submission", tls="starttls", auth=True)


@row("smtps: implicit TLS and AUTH")
def _(env, s):
    sent(env, s, "smtps", tls="implicit", auth=True)


@row("LMTP, each recipient's reply", lambda s: "lmtp" in s.ways)
def _(env, s):
    result = send(env, s, "lmtp", to=[BOB, NOBODY, CAROL]).expect(69, "partial", "partial")
    equal(result.recipients(), ["accepted", "refused", "accepted"], "recipients")
    for user in ("bob", "carol"):
        arrived(env, s, "lmtp", MESSAGE, user)


@row("another authority's certificate")
def _(env, s):
    other = os.path.join(env.folder, "other")
    if not os.path.exists(other):
        ca.Authority(other)
    name = "submission"
    env.send(way(s, name), *options(env, s, name), "--ca-file", os.path.join(other, "ca.pem"),
             message=MESSAGE).expect(78, "security", "deferred", stage="tls")
    nothing(env, s, name)


@row("no login, no mail")
def _(env, s):
    result = env.send(way(s, "submission"), "--ca-file", env.ca.file, message=MESSAGE)
    assert (result.status, result.record["class"]) in ((69, "refused"), (77, "auth")), result.record
    nothing(env, s, "submission")


# logins

def offered(mechanism):
    return lambda s: mechanism in s.mechanisms


def secret(env, s, mechanism, good):
    """The options of a login with the right secret or a wrong one, and the environment it needs."""
    user, given = s.login("alice"), ("--ca-file", env.ca.file, "--auth", mechanism)
    if mechanism in ("XOAUTH2", "OAUTHBEARER"):
        token = s.token("alice") if good else WRONG
        return given + ("--user", user, "--oauth-token-file",
                        env.file("token", token.encode() + b"\n")), {}
    if mechanism == "GSSAPI":
        cache = env.kerberos.ticket("alice") if good else "FILE:/nonexistent"
        return given + ("--user", user), {**env.kerberos.variables, "KRB5CCNAME": cache,
                                          "LSAN_OPTIONS": "print_suppressions=0:suppressions="
                                          + os.path.join(os.path.dirname(__file__), "gssapi.supp")}
    if mechanism == "EXTERNAL":
        shown = env.client_certificates["alice" if good else "bob"]
        return given + ("--cert", shown.cert, "--key", shown.key,
                        "--authzid", "alice@test.example"), {}
    password = USERS["alice"] if good else WRONG
    return given + ("--user", user, "--password-file",
                    env.file("password", password.encode() + b"\n")), {}


def log_in(env, s, name, mechanism, good, *args):
    given, variables = secret(env, s, mechanism, good)
    address = way(s, name)
    if mechanism == "GSSAPI":       # the service is known by its host's name
        address = address.replace("127.0.0.1", "localhost")
    before = env.environ
    env.environ = {**before, **variables}
    try:
        return env.send(address, *given, *args, message=MESSAGE)
    finally:
        env.environ = before


def mechanism_row(mechanism):
    def works(env, s):
        for name in ("submission", "smtps"):
            result = log_in(env, s, name, mechanism, True).good()
            equal(result.session["auth"]["mechanism"], mechanism, "mechanism")
            arrived(env, s, name, MESSAGE)
            boxes(env, s, name).empty()
            result = log_in(env, s, name, mechanism, False, "-vv")
            result.expect(77, "auth", "deferred", stage="auth")
            for secret in (WRONG, base64.b64encode(WRONG.encode()).decode().rstrip("=")[:-1]):
                assert secret not in result.stdout + result.stderr, "the secret was shown"
            nothing(env, s, name)
    row("AUTH " + mechanism, offered(mechanism))(works)


for _mechanism in MECHANISMS:
    mechanism_row(_mechanism)


@row("the best mechanism unasked")
def _(env, s):
    result = send(env, s, "submission").good()
    best = next(x for x in MECHANISMS if x in s.mechanisms)
    equal(result.session["auth"]["mechanism"], best, "mechanism")
    unnamed = set(result.session["extensions"]["AUTH"].split()) - set(s.mechanisms)
    equal(unnamed - {"EXTERNAL"}, set(), "mechanisms without a row")


@row("a password beyond ASCII", offered("PLAIN"))
def _(env, s):
    env.send(way(s, "smtps"), *options(env, s, "smtps", "zoe"), "--auth", "PLAIN",
             message=MESSAGE).good()
    arrived(env, s, "smtps", MESSAGE)


# refusals

def refusal(kind):
    return lambda s: kind in s.refusals


def decided(result, s, kind):
    stage, code = s.refusals[kind]
    worst = [x for x in result.record["recipients"] if x["outcome"] != "accepted"][0]
    equal((worst["stage"], worst["code"]), (stage, code), "stage and code")
    assert str(code) in result.stderr, "the reply is not quoted"


@row("one recipient of three refused", refusal("nobody"))
def _(env, s):
    name = first(s)
    result = send(env, s, name, to=[BOB, NOBODY, CAROL]).expect(69, "partial", "partial")
    equal(result.recipients(), ["accepted", "refused", "accepted"], "recipients")
    decided(result, s, "nobody")
    for user in ("bob", "carol"):
        arrived(env, s, name, MESSAGE, user)


@row("every recipient refused", refusal("nobody"))
def _(env, s):
    result = send(env, s, first(s), to=[NOBODY, "no.one@test.example"])
    equal(result.recipients(), ["refused", "refused"], "recipients")
    assert (result.status, result.record["class"]) in ((67, "nouser"), (69, "refused")), result.status
    decided(result, s, "nobody")
    nothing(env, s, first(s))


@row("one recipient of two put off", refusal("later"))
def _(env, s):
    name = first(s)
    result = send(env, s, name, to=[BOB, LATER]).expect(75, "partial", "partial")
    equal(result.recipients(), ["accepted", "deferred"], "recipients")
    decided(result, s, "later")
    arrived(env, s, name, MESSAGE)


@row("the sender refused", refusal("sender"))
def _(env, s):
    result = send(env, s, first(s), sender=REFUSED_SENDER).expect(69, "refused", "refused")
    decided(result, s, "sender")
    nothing(env, s, first(s))


@row("the message refused", refusal("message"))
def _(env, s):
    result = send(env, s, first(s), message=REFUSE + MESSAGE).expect(69, "refused", "refused")
    decided(result, s, "message")
    nothing(env, s, first(s))


@row("the message put off", refusal("message later"))
def _(env, s):
    result = send(env, s, first(s), message=DEFER + MESSAGE, sender=DEFERRED_SENDER)
    decided(result.deferred(), s, "message later")
    nothing(env, s, first(s))


# sizes

def limited_send(env, s, kind, **more):
    address, limit = s.limited[kind]
    name = "lmtp" if address.startswith("lmtp") else \
        "submission" if address.startswith("submission") else "starttls"
    big = MESSAGE + b"0123456789abcde\n" * (limit // 16 + 4096)
    more = {key: big if value is None else value for key, value in more.items()}
    result = env.send(address, *options(env, s, name), **more)
    if s.refusals.get(kind, ("", 552))[1] < 500:
        result.deferred()
    else:
        result.expect(69, "refused", "refused")
    nothing(env, s, name)
    return result


@row("over the announced size", lambda s: "announced" in s.limited)
def _(env, s):
    result = limited_send(env, s, "announced", message=None)
    equal(result.record["recipients"][0]["code"], None, "reply")
    equal(result.record["error"]["enhanced"], "5.3.4", "enhanced code")


@row("over the size, from a pipe", lambda s: "announced" in s.limited)
def _(env, s):
    limited_send(env, s, "announced", message="-", stdin=None)


@row("over a size not announced", lambda s: "unannounced" in s.limited)
def _(env, s):
    result = limited_send(env, s, "unannounced", message=None)
    assert not result.session["extensions"].get("SIZE"), "a SIZE was announced"
    equal(result.record["recipients"][0]["code"], s.refusals.get("unannounced", ("", 552))[1],
          "reply")


# octets

def content_ways(s):
    return [x for x in ("lmtp", "starttls", "data", "submission") if x in s.ways
            and (x != "submission" or s.relays)]


def octets_row(title, *messages):
    def arrives(env, s):
        for message in messages:
            for name in content_ways(s):
                result = send(env, s, name, message=message)
                if title in s.refusals:
                    decided(result, s, title)
                    continue
                result.good()
                arrived(env, s, name, message, change=s.changes.get(title))
                boxes(env, s, name).empty()
    row(title)(arrives)


octets_row("dots", HEAD + b"\n.\n..\n.one\n..two\nnot.this\n.\n\n.\n", HEAD + b"\ntext\n.")
octets_row("8-bit", HEAD + "\nGrüße aus Žilina, 你好, привет, 😀\n".encode() * 40)
octets_row("lines of 998 octets", HEAD + b"\n" + b"x" * 998 + b"\n" + b"." * 998 + b"\n")
octets_row("line ends of every kind", HEAD + b"\nlf\ncrlf\r\ncr\rlf\n.\r.\n.\r\n.\rno end",
           (HEAD + b"\none\n.two\n").replace(b"\n", b"\r\n"))
octets_row("an attempt to smuggle", HEAD + b"\na\n.\r\nMAIL FROM:<x@test.example>\r\n.\n"
                                           b"RCPT TO:<carol@test.example>\r.\r\n")
octets_row("blank lines at both ends", HEAD + b"\n\n\n\ntext\n\n\n\n")
octets_row("folded and empty headers", HEAD + b"X-Folded: a\n b\n\tc\nX-Empty:\n\nbody\n")
octets_row("header fields only", HEAD)
octets_row("150 KiB", HEAD + b"\n" + b"".join(b"%06d .............. 8-bit: \xc3\xa9\n" % x
                                             for x in range(5000))[:150 * 1024])


@row("an empty message")
def _(env, s):
    for name in content_ways(s):
        result = send(env, s, name, "--as-is", message=b"")
        equal(result.record["bytes"], 0, "bytes")
        if "an empty message" in s.refusals:
            decided(result, s, "an empty message")
            continue
        result.good()
        found = boxes(env, s, name).stored("bob")
        equal(len(found), 1, "messages")
        # Nothing but what the server put on top.
        same_message(found[0].replace(b"\r\n", b"\n").strip(b"\n") + b"\n", b"",
                     trace=(*boxes(env, s, name).trace, "date", "message-id"))
        boxes(env, s, name).empty()


@row("a line of 999 octets is not sent")
def _(env, s):
    send(env, s, first(s), message=HEAD + b"\n" + b"x" * 999 + b"\n").expect(65, "input", "refused")
    nothing(env, s, first(s))


@row("a recipient beyond ASCII")
def _(env, s):
    result = send(env, s, first(s), to=[UNICODE + "@test.example"])
    if "SMTPUTF8" in s.offers:
        result.good()
        arrived(env, s, first(s), MESSAGE, UNICODE)
    else:
        result.expect(69, "refused", "refused", enhanced="5.6.7", code=(None, 0))


@row("header fields beyond ASCII")
def _(env, s):
    message = "Subject: Grüße\n".encode() + MESSAGE
    result = send(env, s, first(s), message=message)
    if "SMTPUTF8" in s.offers:
        result.good()
        arrived(env, s, first(s), message)
    else:
        result.expect(69, "refused", "refused", enhanced="5.6.7", code=(None, 0))


# envelopes and connections

@row("the null reverse-path")
def _(env, s):
    send(env, s, first(s), sender="<>").good()
    arrived(env, s, first(s), MESSAGE)


@row("extensions as offered")
def _(env, s):
    result = send(env, s, first(s), "-v", to=[BOB, CAROL]).good()
    shown = result.session["extensions"]
    for name in ("PIPELINING", "CHUNKING", "8BITMIME", "SMTPUTF8", "DSN", "SIZE"):
        equal(name in shown, name in s.offers, name + " in the record")
    equal("BDAT " in result.stderr, "CHUNKING" in s.offers, "BDAT was used")
    # One flight where the server takes it: no reply between MAIL and the second RCPT.
    lines = [x.split()[:2] for x in result.stderr.splitlines()]
    begin = next(i for i, x in enumerate(lines) if x[1:] == ["MAIL"])
    equal(lines[begin + 1][1] == "RCPT", "PIPELINING" in s.offers, "MAIL and RCPT in one flight")


class Sequence:
    """Many messages through one client; see sequence.c."""

    def __init__(self, env, s, name, window=0, more=(), address=None):
        self.env, self.s, self.name = env, s, name
        self.address, self.more = address or way(s, name), ("window=%d" % window, *more)
        self.lines, self.contents = [], []

    def add(self, content, to=(BOB,), sender=SENDER):
        content = b"X-Number: <%d>\n" % len(self.contents) + content
        path = self.env.file("message%d" % len(self.contents), content)
        self.contents.append(content)
        self.lines.append(" ".join((sender, path, *to)))

    def run(self):
        words = options(self.env, self.s, self.name)
        keys = {"--ca-file": "ca", "--user": "user", "--password-file": "password-file"}
        given = ["%s=%s" % (keys[x], y) for x, y in zip(words[::2], words[1::2])]
        program = os.path.join(os.path.dirname(self.env.posthaste), "tests/interop/sequence")
        command = (program, self.address, *given, *self.more)
        done = subprocess.run(command, input="\n".join(self.lines).encode() + b"\n",
                              capture_output=True, env=self.env.environ, timeout=harness.PATIENCE)
        result = Result(command, done.returncode, done.stdout, done.stderr)
        self.env.ran.append(result)
        equal(result.status, 0, "exit status")
        self.connections = result.stderr.count("*** Connecting to ")
        self.records = [json.loads(x) for x in result.stdout.splitlines()]
        self.transcript = result.stderr
        equal(len(self.records), len(self.contents), "records")
        return [x["recipients"][0]["outcome"] for x in self.records]

    def each_once(self, outcomes, user="bob"):
        """Accepted means in the mailbox, once; anything else means not there."""
        found = boxes(self.env, self.s, self.name).stored(user)
        for number, outcome in enumerate(outcomes):
            copies = [x for x in found if b"X-Number: <%d>" % number in x]
            equal(len(copies), 1 if outcome == "accepted" else 0,
                  "copies of message %d, which was %s" % (number, outcome))
        equal(len(found), outcomes.count("accepted"), "messages in the mailbox")


def bodies():
    """Some that fit into one flight, some that do not."""
    return [HEAD + b"\n" + b"line of text\n" * x for x in (1, 2, 3000, 10, 1, 20000, 5, 100, 1, 7)]


@row("ten messages on one connection")
def _(env, s):
    for name in content_ways(s):
        many = Sequence(env, s, name)
        for body in bodies():
            many.add(body)
        outcomes = many.run()
        equal(outcomes, ["accepted"] * 10, "outcomes")
        equal(many.connections, 2 if s.loses_riders else 1, "connections")
        many.each_once(outcomes)
        boxes(env, s, name).empty()


@row("refusals among many messages", refusal("message"))
def _(env, s):
    kinds = {3: "refuse", 4: "refuse", 8: "nobody", 11: "defer", 15: "refuse"}
    kinds = dict(list(kinds.items())[:s.patience])
    for name in [x for x in content_ways(s) if x != "lmtp"]:
        for window in (0, 1) if "CHUNKING" in s.offers else (0,):
            many = Sequence(env, s, name, window)
            wanted = []
            for number, body in enumerate(bodies() + bodies()):
                kind = kinds.get(number)
                if kind == "refuse":
                    many.add(REFUSE + body)
                elif kind == "nobody":
                    many.add(body, (NOBODY,))
                elif kind == "defer":
                    many.add(DEFER + body, sender=DEFERRED_SENDER)
                    wanted.append("deferred")
                    continue
                else:
                    many.add(body)
                wanted.append("refused" if kind in ("refuse", "nobody") else "accepted")
            outcomes = many.run()
            equal(outcomes, wanted, "outcomes")
            many.each_once(outcomes)
            boxes(env, s, name).empty()


# extensions that leave a trace at the server

def awaited(s, user, what):
    """The messages in a mailbox, once there are some."""
    end = time.monotonic() + 20
    while time.monotonic() < end:
        found = s.stored(user)
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError("no %s in the mailbox of %s" % (what, user))


@row("DSN: a report of success", lambda s: "DSN" in s.offers)
def _(env, s):
    send(env, s, first(s), "--notify", "success,failure", "--ret", "hdrs", "--envid", "id=of+ours",
         sender="alice@test.example").good()
    arrived(env, s, first(s), MESSAGE)
    report, = awaited(s, "alice", "report")
    parsed = email.message_from_bytes(report, policy=email.policy.default)
    status = next(x for x in parsed.walk() if x.get_content_type() == "message/delivery-status")
    fields = [field for part in status.get_payload() for field in part.items()]
    equal([y for x, y in fields if x.lower() == "original-envelope-id"], s.envid, "ENVID")
    assert ("Action", "delivered") in fields or ("Action", "relayed") in fields, fields
    assert b"Hello." not in report, "RET=HDRS, and the report has the text"


@row("DSN: never", lambda s: "DSN" in s.offers)
def _(env, s):
    result = send(env, s, first(s), "--notify", "never", "-v", sender="alice@test.example").good()
    assert "NOTIFY=NEVER" in result.stderr, "NOTIFY was not sent"
    arrived(env, s, first(s), MESSAGE)
    equal(s.stored("alice"), [], "reports")


@row("no DSN: NOTIFY is left out and said", lambda s: "DSN" not in s.offers)
def _(env, s):
    result = send(env, s, first(s), "--notify", "success", "-v").good()
    assert "NOTIFY=" not in result.stderr, "NOTIFY was sent"
    assert "DSN" in result.stderr, "nothing says that it was left out"


@row("the PROXY header", lambda s: "proxy" in s.ways)
def _(env, s):
    for version in ("v1", "v2"):
        one = Sequence(env, s, "proxy",
                       more=["proxy-header=%s 192.0.2.7:4711 192.0.2.25:25" % version])
        one.add(MESSAGE)
        equal(one.run(), ["accepted"], "outcomes")
        assert b"[192.0.2.7]" in s.stored("bob")[0], "the address is not in Received"
        s.empty()


@row("XCLIENT", lambda s: "xclient" in s.ways)
def _(env, s):
    one = Sequence(env, s, "xclient", more=["xclient=ADDR=192.0.2.8", "xclient=NAME=c.client.example",
                                            "xclient=HELO=h.client.example"])
    one.add(MESSAGE)
    equal(one.run(), ["accepted"], "outcomes")
    found = s.stored("bob")[0]
    assert b"(c.client.example [192.0.2.8])" in found, found


@row("XFORWARD", lambda s: "xclient" in s.ways)
def _(env, s):
    one = Sequence(env, s, "xclient", more=["xforward=ADDR=192.0.2.9", "xforward=NAME=f.client.example"])
    one.add(MESSAGE)
    equal(one.run(), ["accepted"], "outcomes")
    s.settle()
    with open(s.log) as f:
        assert "orig_client=f.client.example[192.0.2.9]" in f.read(), "not in the log"
