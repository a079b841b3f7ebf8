# SPDX-License-Identifier: MIT
"""The command lines of people who know swaks, and what swaks has not, on Postfix, Exim and the
sink."""
import base64
import contextlib
import email
import email.policy
import json
import os
import re
import subprocess

import exim
import harness
from harness import equal
from probe import run, run_json
from server import LATER, NOBODY, REFUSED_SENDER, USERS
from servers import POSTFIX_AND_DOVECOT
from sink import Sink

ANN, BOB = "ann@sender.example", "bob@test.example"
ALICE = USERS["alice"]
MAIL = b"From: ann@sender.example\nTo: bob@test.example\nSubject: file\n\nHello.\n.\n..dots\nBye.\n"


class Server:
    """Addresses by way, and what lies in a mailbox."""

    def __init__(self, env, server):
        self.server, self.name, self.login = server, server.name, server.login("alice")
        self.empty, self.stored = server.empty, server.stored
        self.line_end = b"\n"

    def at(self, way):
        return self.server.ways[way].partition("://")[2]


class SinkServer:
    name, login, line_end = "sink", "alice", b"\r\n"

    def __init__(self, env, sink, mail):
        self.sink, self.mail = sink, mail

    def at(self, way):
        return self.sink.at["smtps" if way == "smtps" else "smtp"]

    def empty(self):
        for name in self._names():
            os.unlink(os.path.join(self.mail, "new", name))

    def _names(self):
        folder = os.path.join(self.mail, "new")
        return sorted(os.listdir(folder)) if os.path.isdir(folder) else []

    def stored(self, user):
        found = []
        for name in self._names():
            with open(os.path.join(self.mail, "new", name), "rb") as f:
                found.append(f.read())
        return found


@contextlib.contextmanager
def a_sink(env, *args):
    users = env.file("users", "".join("%s:%s\n" % x for x in USERS.items()).encode())
    mail = os.path.join(env.folder, "sink-mail")
    socket = os.path.join(env.folder, "sink.lmtp")
    with Sink(env, "--users", users, "--maildir", mail, "--ca-out",
              os.path.join(env.folder, "sink-ca"),
              *args, listen=("--smtp", "0", "--smtps", "0", "--lmtp", socket)) as sink:
        yield SinkServer(env, sink, mail)


def each(sentence, only=("Postfix", "Exim", "sink")):
    """A test of each of the three."""
    def register(function):
        for name, kinds in (("Postfix", POSTFIX_AND_DOVECOT), ("Exim", (exim.Exim,)), ("sink", ())):
            if name in only:
                harness.tests.append(one(sentence, function, name, kinds))
        return function
    return register


def one(sentence, function, name, kinds):
    def on_server(env):
        with contextlib.ExitStack() as stack:
            if name == "sink":
                server = stack.enter_context(a_sink(env))
            else:
                server = Server(env, env.servers[name])
            server.empty()
            function(env, server)
    on_server.__name__ = "probe, %s: %s" % (name, sentence)
    on_server.servers = kinds
    on_server.lane = (name, kinds)
    return on_server


def probe(env, status, *args, stdin=b""):
    result = run(env, "-h", "client.example", "-f", ANN, *args, stdin=stdin)
    equal(result.status, status, "exit status")
    return result


def as_json(env, status, *args, stdin=b""):
    result = run_json(env, "-h", "client.example", "-f", ANN, *args, stdin=stdin)
    equal(result.status, status, "exit status")
    return result.record


def credentials(s):
    return ("-au", s.login, "-ap", ALICE)


def shown(result, *patterns):
    """Each matches a line, in this order."""
    lines = iter(result.stdout.splitlines())
    for pattern in patterns:
        for line in lines:
            if re.search(pattern, line):
                break
        else:
            raise AssertionError("no line (here) like %r" % pattern)


def hidden(result, secret=ALICE):
    printed = result.stdout + result.stderr
    for form in (secret, base64.b64encode(secret.encode()).decode(),
                 base64.b64encode(b"\0alice\0" + secret.encode()).decode()):
        assert form.rstrip("=")[-10:] not in printed, "a secret was shown"


# command lines that a swaks user types

@each("-s host -tls -a -q rcpt --to x")
def _(env, s):
    result = probe(env, 0, "-s", s.at("submission"), "-tls", "-a", *credentials(s), "-q", "rcpt",
                   "--to", BOB)
    shown(result, "^=== Trying ", "^<-  220 ", "^ -> EHLO client.example$", "^ -> STARTTLS$",
          "^=== TLS started", "^ ~> EHLO client.example$", "^ ~> AUTH ", "^<~  235 ",
          "^ ~> MAIL FROM:<ann@sender.example>$", "^<~  250 ", "^ ~> RCPT TO:<bob@test.example>$",
          "^<~  250 ", "^ ~> QUIT$", "^<~  221 ", "^=== Connection closed")
    assert re.search(r"(?m)^\*\*\* .*certificate",
                     result.stdout + result.stderr), "not a word of it"
    hidden(result)
    equal(s.stored("bob"), [], "mailbox")


@each("-tlsc -p port -au u -ap p")
def _(env, s):
    port = s.at("smtps").rpartition(":")[2]
    result = probe(env, 0, "-s", "127.0.0.1", "-tlsc", "-p", port, *credentials(s), "--to", BOB)
    shown(result, "^=== TLS started", "^<~  220 ", "^ ~> AUTH ", "^ ~> DATA$", "^<~  354 ",
          "^<~  250 ")
    hidden(result)
    found, = s.stored("bob")
    for line in (b"To: bob@test.example", b"From: ann@sender.example", b"This is a test mailing"):
        assert line in found, found


@each("--data @file")
def _(env, s):
    path = env.file("mail.eml", MAIL)
    probe(env, 0, "-s", s.at("clear"), "-t", BOB, "--data", "@" + path)
    found, = s.stored("bob")
    harness.same_message(found, MAIL, s.line_end, getattr(s, "server", exim.Exim).trace)


@each("--attach @f")
def _(env, s):
    octets = bytes(range(256)) * 40
    path = env.file("a name.bin", octets)
    probe(env, 0, "-s", s.at("clear"), "-t", BOB, "--h-Subject", "with a part", "--body",
          "See there.",
          "--attach", "@" + path)
    found, = s.stored("bob")
    mail = email.message_from_bytes(found, policy=email.policy.default)
    equal(mail["Subject"], "with a part", "Subject")
    text, part = mail.iter_parts()
    equal(text.get_content().strip(), "See there.", "text")
    equal((part.get_content(), part.get_filename()), (octets, "a name.bin"), "attachment")


@each("-q ehlo")
def _(env, s):
    shown(probe(env, 0, "-s", s.at("clear"), "-q", "ehlo"), "^ -> EHLO ", "^<-  250[ -]PIPELINING",
          "^ -> QUIT$")


@each("--pipeline")
def _(env, s):
    result = probe(env, 0, "-s", s.at("clear"), "-t", BOB + ",alice@test.example", "--pipeline")
    shown(result, "^ -> MAIL ", "^ -> RCPT ", "^ -> RCPT ", "^ -> DATA", "^<-  250 ", "^<-  250 ",
          "^<-  250 ", "^<-  354 ")
    equal(len(s.stored("bob")), 1, "messages")


@each("--pipeline and a recipient refused", ("Postfix", "Exim"))
def _(env, s):
    probe(env, 0, "-s", s.at("clear"), "-t", NOBODY + "," + BOB, "--pipeline")
    equal(len(s.stored("bob")), 1, "messages")
    probe(env, 24, "-s", s.at("clear"), "-t", NOBODY, "--pipeline")


@each("refusals")
def _(env, s):
    if s.name == "sink":
        return sink_refuses(env)
    for status, args in ((24, ("-t", NOBODY)), (24, ("-t", LATER)),
                         (23 if s.name == "Exim" else 24, ("-f", REFUSED_SENDER, "-t", BOB)),
                         (26, ("-t", BOB, "--header", "X-Interop: refuse")),
                         (28, ("-t", BOB, "-tls", "-au", "alice", "-ap", "wrong"))):
        at = s.at("submission" if "-tls" in args else "clear")
        shown(probe(env, status, "-s", at, *args), r"^<(\*\*|~\*) [45]\d\d ", "^ [-~]> QUIT$")


def sink_refuses(env):
    for stage, status in (("connect", 21), ("hello", 22), ("mail", 23), ("rcpt", 24), ("data", 25),
                          ("message", 26)):
        with Sink(env, "--rule", stage + " 554 5.7.1 no") as sink:
            probe(env, status, "-s", sink.at["smtp"], "-t", BOB)


@each("-li")
def _(env, s):
    probe(env, 0, "-s", s.at("clear"), "-li", "127.0.0.1", "-t", BOB)
    equal(len(s.stored("bob")), 1, "messages")


@each("--xclient and --xforward", ("Postfix",))
def _(env, s):
    result = probe(env, 0, "-s", s.at("xclient"), "--xclient",
                   "ADDR=192.0.2.8 NAME=c.client.example", "-t", BOB)
    shown(result, "^ -> XCLIENT ADDR=192.0.2.8 NAME=c.client.example$", "^<-  220 ", "^ -> EHLO ")
    found, = s.stored("bob")
    assert b"(c.client.example [192.0.2.8])" in found, found
    probe(env, 0, "-s", s.at("xclient"), "--xforward", "ADDR=192.0.2.9", "--xforward",
          "NAME=f.client.example", "-t", BOB)


@each("--proxy-header", ("Postfix", "Exim"))
def _(env, s):
    probe(env, 0, "-s", s.at("proxy"), "--proxy-header", "v1 192.0.2.7:4711 192.0.2.25:25", "-t",
          BOB)
    assert b"[192.0.2.7]" in s.stored("bob")[0], "the address is not in Received"


@each("--socket and LMTP", ("Postfix", "sink"))
def _(env, s):
    path = env.dovecot.lmtp if s.name == "Postfix" else s.sink.at["lmtp"]
    box = env.dovecot if s.name == "Postfix" else s
    box.empty()
    result = probe(env, 0, "--socket", path, "--protocol", "LMTP", "-t", BOB)
    shown(result, "^ -> LHLO client.example$")
    equal(len(box.stored("bob")), 1, "messages")
    shown(probe(env, 0, "-s", "lmtp://" + path, "-t", BOB), "LHLO client.example$")


# a URL: our own rules

@each("a URL is verified")
def _(env, s):
    at = s.at("smtps").replace("127.0.0.1", "localhost")
    result = probe(env, 29, "-s", "smtps://" + at, "-q", "ehlo")
    assert "not signed by a trusted authority" in result.stderr, "not told why"
    ca = os.path.join(env.folder, "sink-ca") if s.name == "sink" else env.ca.file
    result = probe(env, 0, "-s", "smtps://" + at, "--ca-file", ca, *credentials(s), "-q", "auth")
    shown(result, "^=== TLS started", "^<~  235 ")
    hidden(result)
    result = probe(env, 29, "-s", at, "--tls", "implicit", "-q", "ehlo")
    result = probe(env, 0, "-s", at, "-tlsc", "-q", "ehlo")
    assert re.search(r"(?m)^\*\*\* ", result.stdout + result.stderr), "nothing is said"


# what swaks has not

@each("--tls-report")
def _(env, s):
    at = s.at("starttls").replace("127.0.0.1", "localhost")
    ca = os.path.join(env.folder, "sink-ca") if s.name == "sink" else env.ca.file
    result = probe(env, 0, "-s", at, "-tls", "--tls-report", "--ca-file", ca)
    assert "TLSv1.3" in result.stdout, "no protocol"
    tls = as_json(env, 0, "-s", at, "-tls", "--tls-report", "--ca-file", ca)["tls"]
    equal((tls["version"], tls["verified"]), ("TLSv1.3", True), "version and verified")
    if s.name != "sink":
        for digest in (env.certificate.pin(), env.certificate.pin("key")):
            assert digest in result.stdout.lower(), "no " + digest
            assert digest in json.dumps(tls).lower(), "no %s in JSON" % digest
        for name in ("localhost", "mx.test.example"):
            assert name in result.stdout, "no " + name
    assert re.search(r"3 1 1 [0-9a-fA-F]{64}", result.stdout), "no TLSA record"


@each("--capabilities")
def _(env, s):
    result = probe(env, 0, "-s", s.at("submission"), "-tls", "--capabilities")
    for word in ("STARTTLS", "PIPELINING", "8BITMIME"):
        assert word in result.stdout, word
    found = as_json(env, 0, "-s", s.at("submission"), "-tls", "--capabilities")["capabilities"]
    rows = {x["keyword"]: x for x in found["keywords"]}
    equal((found["heard_before_tls"], found["heard_under_tls"]), (True, True), "heard")
    for word, before, under, change in (("STARTTLS", True, False, "vanished"),
                                        ("AUTH", False, True, "appeared"),
                                        ("8BITMIME", True, True, None)):
        row = rows[word]
        equal((row["before_tls"] is not None, row["under_tls"] is not None, row["change"]),
              (before, under, change), word)


@each("--raw")
def _(env, s):
    result = probe(env, 0, "-s", s.at("clear"), "--raw",
                   stdin=b"EHLO raw.example\nMAIL FROM:<a@b.example>\n"
                   b"RCPT TO:<bob@test.example>\nDATA\nSubject: raw\n\nBy hand.\n.\nQUIT\n")
    shown(result, "^<-  220 ", "EHLO raw.example$", "^<-  250[ -]", "MAIL FROM:", "^<-  250 ",
          "RCPT TO:",
          "^<-  250 ", "DATA$", "^<-  354 ", "^<-  250 ", "QUIT$", "^<-  221 ")
    found, = s.stored("bob")
    assert b"Subject: raw" in found and b"By hand." in found, found


@each("--expect")
def _(env, s):
    at = ("-s", s.at("clear"))
    probe(env, 0, *at, "-t", BOB, "-q", "rcpt", "--expect", "250")
    if s.name == "sink":
        return
    code = s.server.refusals["nobody"][1]
    for words in (str(code), "55x", "5.1.1", "250,%d" % code) if s.name != "Exim" else ("550",
                                                                                        "55x"):
        probe(env, 0, *at, "-t", NOBODY, "-q", "rcpt", "--expect", words)
    probe(env, 24, *at, "-t", NOBODY, "-q", "rcpt", "--expect", "450")
    assert run(env, *at, "-f", ANN, "-t", BOB, "-q", "rcpt", "--expect", "550").status != 0


@each("--repeat")
def _(env, s):
    result = probe(env, 0, "-s", s.at("clear"), "-t", BOB, "-q", "rcpt", "--repeat", "5")
    assert "p50" in result.stdout and "p99" in result.stdout, "no table"
    found = as_json(env, 0, "-s", s.at("clear"), "-t", BOB, "-q", "rcpt", "--repeat", "5")
    stages = {x["stage"]: x for x in found["stages"]}
    for name in ("connect", "ehlo", "mail", "rcpt", "quit", "total"):
        equal(stages[name]["runs"], 5, name)
        times = [stages[name][x + "_us"] for x in ("min", "p50", "p90", "p99", "max")]
        equal(times, sorted(times), name)


@each("--verify, --expand and --server-help")
def _(env, s):
    at = ("-s", s.at("clear"))
    for args, command in ((("--verify", BOB), "VRFY bob@test.example"),
                          (("--expand", "list"), "EXPN list"),
                          (("--server-help",), "HELP"), (("--server-help", "MAIL"), "HELP MAIL")):
        result = run(env, *at, *args)
        shown(result, "^ -> EHLO ", "^ -> %s$" % re.escape(command), r"^<(-|\*\*) +\d\d\d ",
              "^ -> QUIT$")


@each("--json")
def _(env, s):
    result = run_json(env, "-s", s.at("submission"), "-tls", "-f", ANN, *credentials(s), "-t", BOB)
    equal(result.status, 0, "exit status")
    hidden(result)
    equal(result.record["exit"], 0, "exit in the object")
    equal(result.record["tls"]["version"], "TLSv1.3", "tls.version")
    result = run_json(env, "-s", s.at("submission"), "-tls", "-f", ANN, "-au", s.login, "-ap",
                      "wrong",
                      "-t", BOB)
    equal(result.status, 28, "exit status")
    equal(result.record["exit"], 28, "exit in the object")


@each("--dump-mail")
def _(env, s):
    result = probe(env, 0, "-s", s.at("clear"), "-t", BOB, "--dump-mail", "--body", "Here.")
    for line in ("To: bob@test.example", "From: ann@sender.example", "Here."):
        assert line in result.stdout.splitlines(), line
    assert "220 " not in result.stdout, "it connected"
    equal(s.stored("bob"), [], "mailbox")


@each("a password on the command line is wiped from it")
def _(env, s):
    secret = "not-for-everyone-4711"
    process = env.start("probe", "-s", s.at("submission"), "-tls", "-au", s.login, "-ap", secret,
                        "--raw", stdin=subprocess.PIPE)
    try:
        line = process.stdout.readline()        # it has begun to connect: its options are read
        with open("/proc/%d/cmdline" % process.pid, "rb") as f:
            words = f.read()
        assert line and b"probe" in words and s.login.encode() in words, words
        assert secret.encode() not in words, words
    finally:
        process.stdin.close()
        process.stdin = None
        out, err = process.communicate(timeout=harness.PATIENCE)
    assert secret.encode() not in out + err, "printed"
    assert b"command line" in err + out, "no warning"
