# SPDX-License-Identifier: MIT
"""`posthaste probe` beyond swaks, against a scripted server: --expect, --json, when credentials go,
what the terminal is asked, what is wiped."""
import base64
import json
import os
import pty
import re
import select
import shlex
import signal
import socket
import time

import harness
from harness import equal
from peer import HANG, LOST, Peer, Said
from probe import run, run_json

ANN, BOB, CAROL = "ann@sender.example", "bob@test.example", "carol@test.example"
SECRET = "horse battery 4711"
LOGIN = ("-au", "ann", "-ap", SECRET)
FORMS = (SECRET, base64.b64encode(SECRET.encode()).decode(),
         base64.b64encode(b"\0ann\0" + SECRET.encode()).decode())


def alone(sentence):
    """A test that runs beside others and needs no server but its own."""
    def register(function):
        function.servers = ()
        harness.cell("probe: " + sentence, function)
        return function
    return register


def probe(env, peer, status, *args, **more):
    result = run(env, "-s", "127.0.0.1:%d" % peer.port, "-h", "client.example", "-f", ANN, *args,
                 **more)
    equal(result.status, status, "exit status")
    return result


def without_secrets(text, what):
    for form in FORMS:
        assert form not in text, "a secret in " + what


# --expect

for _words, _reply, _status in (
        ("550", "550 5.1.1 nobody", 0), ("5.1.1", "550 5.1.1 nobody", 0),
        ("55x", "550 5.1.1 nobody", 0),
        ("5xx", "550 5.1.1 nobody", 0), ("250,550", "550 5.1.1 nobody", 0),
        ("551", "550 5.1.1 no", 24),
        ("5.1.2", "550 5.1.1 nobody", 24), ("45x", "550 5.1.1 nobody", 24),
        ("550", "250 2.1.5 Ok", 24),
        ("2xx", "250 2.1.5 Ok", 0), ("250", "550 5.1.1 nobody", 24)):
    def _(env, words=_words, reply=_reply, status=_status):
        with Peer({"RCPT": reply}) as peer:
            probe(env, peer, status, "-t", BOB, "-q", "rcpt", "--expect", words)
    alone("--expect %s and %s is %d" % (_words, _reply, _status))(_)

for _stage, _moment, _status in (("connect", "GREETING", 21), ("ehlo", "EHLO", 22),
                                 ("mail", "MAIL", 23),
                                 ("rcpt", "RCPT", 24), ("data", "DATA", 25)):
    def _(env, stage=_stage, moment=_moment, status=_status):
        for expected, ends in (("554", 0), ("250", status)):
            with Peer({moment: "554 5.7.1 no", "HELO": "554 5.7.1 no"}) as peer:
                probe(env, peer, ends, "-t", BOB, "-q", stage, "--expect", expected)
    alone("--expect at " + _stage)(_)


@alone("--expect of the whole message")
def _(env):
    for reply, expected, status in (("550 5.7.1 spam", "5.7.1", 0), ("250 2.0.0 Ok", "550", 26)):
        with Peer({"BODY": reply}) as peer:
            probe(env, peer, status, "-t", BOB, "--expect", expected)


@alone("--expect is of the last reply, whatever stage it came to")
def _(env):
    for expected, status in (("550", 0), ("250", 23)):
        with Peer({"MAIL": "550 5.7.1 no"}) as peer:
            probe(env, peer, status, "-t", BOB, "-q", "rcpt", "--expect", expected)


@alone("--expect of nonsense is a wrong option")
def _(env):
    with Peer() as peer:
        for words in ("", "99", "abc", "600", "5.1", "250,", "25"):
            probe(env, peer, 1, "-t", BOB, "--expect", words)
    equal(peer.connections, 0, "connections")


# credentials

@alone("credentials go in clear to this machine")
def _(env):
    with Peer(keywords=("AUTH PLAIN",)) as peer:
        for host in ("127.0.0.1", "localhost"):
            result = run(env, "-s", "%s:%d" % (host, peer.port), *LOGIN, "-q", "auth")
            equal(result.status, 0, host)
            without_secrets(result.stdout + result.stderr, "what was printed")


@alone("credentials do not go elsewhere, and the options that let them are named")
def _(env):
    elsewhere = harness.own_address("192.0.2.99")
    context = env.certificate.context()
    for args, options in (((), {}), (("-tls",), {"context": context}),
                          (("-tlso",), {"context": context}),
                          (("-tlsc",), {"context": context, "implicit": True})):
        with Peer(keywords=("AUTH PLAIN",), host=elsewhere, **options) as peer:
            at = ("-s", "%s:%d" % (elsewhere, peer.port))
            result = run(env, *at, *args, *LOGIN, "-q", "auth")
            equal(result.status, 28, "exit status with %s" % (args,))
            words = result.stdout + result.stderr
            assert "--allow-clear-auth" in words or "--insecure" in words, "no option is named"
            for wire in peer.wires:
                for form in FORMS:
                    assert form.encode() not in wire.clear + wire.secure, "a secret on the wire"
            equal(run(env, *at, *args, *LOGIN, "-q", "auth", "--allow-clear-auth").status, 0,
                  "allowed")


# the man page

@alone("the man page's examples are well-formed")
def _(env):
    with open(PAGE, encoding="utf-8") as f:
        page = f.read().partition(".Sh EXAMPLES\n")[2].partition("\n.Sh ")[0].replace("\\e\n", " ")
    examples = [shlex.split(x) for x in page.splitlines() if x.startswith("posthaste probe ")]
    assert len(examples) > 10, examples
    for name in ("ca.pem", "mail.eml", "eicar.com"):
        with open(env.ca.file, "rb") as f:
            env.file(name, f.read())
    for words in examples:      # nobody is there: 2, and not 1
        words = [os.path.join(env.folder, x) if x == "ca.pem" else
                 "@" + os.path.join(env.folder, x[1:]) if x.startswith("@") else x for x in words]
        if "-au" in words or "-a" in words:
            words = [x for x in words if x != "-ap"] + ["--password-file",
                                                        env.file("secret", b"x\n")]
        result = env.run(*words[1:])
        equal(result.status, 2, " ".join(words))


# what must not get through

HOSTILE = "x\r\nRSET\r\nMAIL FROM:<evil@test.example>"
for _args in (("-t", BOB + HOSTILE), ("-t", BOB, "-f", ANN + HOSTILE),
              ("-t", BOB, "-h", "a" + HOSTILE),
              ("--verify", "bob" + HOSTILE), ("--expand", "list" + HOSTILE),
              ("--server-help", "MAIL" + HOSTILE), ("-t", BOB, "--xclient", "NAME=a" + HOSTILE),
              ("-t", BOB, "--xforward", "NAME=a" + HOSTILE), ("-t", BOB + "\x07"),
              ("-t", BOB, "-au", "ann" + HOSTILE, "-ap", "x", "-a", "LOGIN"),
              ("-t", BOB, "--h-Subject", "a\r\nBcc: eve@test.example"),
              ("-t", BOB, "--attach-name", 'a"\r\nX-Evil: 1', "--attach", "text")):
    def _(env, args=_args):
        with Peer(keywords=("AUTH PLAIN LOGIN", "XCLIENT NAME", "XFORWARD NAME")) as peer:
            result = run(env, "-f", ANN, "-s", "127.0.0.1:%d" % peer.port, *args)
            peer.finish()
        said = b"".join(bytes(x.clear) for x in peer.wires)
        for word in (b"RSET\r", b"evil@", b"\nBcc:", b"\nX-Evil", b"\x07"):
            assert word not in said, "%r got through: %r" % (word, said)
        assert "-au" in args or result.status == 1, "exit status %d" % result.status
    alone("no control character gets through: %s" % " ".join(_args[-2:]).partition("\r")[0])(_)


@alone("nothing behind the 220 to STARTTLS is believed")
def _(env):
    with Peer({"STARTTLS": lambda c, line: c.send(b"220 go\r\n250 AUTH PLAIN\r\n")},
              context=env.certificate.context()) as peer:
        result = probe(env, peer, 29, "-tls", "-t", BOB)
    assert "in clear behind its 220" in result.stderr, result.stderr


@alone("standard output is followed line by line")
def _(env):
    with Peer({"MAIL": HANG}) as peer:
        process = env.start("probe", "-s", "127.0.0.1:%d" % peer.port, "-f", ANN, "-t", BOB)
        try:
            seen = b""
            while b"MAIL FROM" not in seen:     # while the server is silent
                assert select.select([process.stdout], [], [], harness.PATIENCE)[0], seen
                seen += os.read(process.stdout.fileno(), 4096)
        finally:
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=harness.PATIENCE)
        equal(process.returncode, 130, "exit status behind SIGINT")


# secrets

@alone("-ap is warned about and wiped from the command line")
def _(env):
    with Peer({"GREETING": HANG}) as peer:
        process = env.start("probe", "-s", "127.0.0.1:%d" % peer.port, *LOGIN, "-q", "auth")
        try:
            while not peer.wires:           # it has connected: its options are read
                time.sleep(0.005)
            with open("/proc/%d/cmdline" % process.pid, "rb") as f:
                words = f.read()
        finally:
            process.terminate()
            out, err = process.communicate(timeout=harness.PATIENCE)
    assert b"-ap" in words and b"ann" in words, words
    assert SECRET.encode() not in words and b"battery" not in words, words
    assert b"-ap" in err or b"command line" in err, err
    without_secrets((out + err).decode(), "what was printed")


@alone("every form of -ap is wiped")
def _(env):
    for form in (("-ap=" + SECRET,), ("--auth-password", SECRET), ("--ap", SECRET),
                 ("-auth-password=" + SECRET,)):
        with Peer({"GREETING": HANG}) as peer:
            process = env.start("probe", "-s", "127.0.0.1:%d" % peer.port, "-q", "auth", "-au",
                                "ann", *form)
            try:
                while not peer.wires and process.poll() is None:
                    time.sleep(0.005)
                assert process.poll() is None, process.communicate()
                with open("/proc/%d/cmdline" % process.pid, "rb") as f:
                    assert b"battery" not in f.read(), form
            finally:
                process.terminate()
                process.communicate(timeout=harness.PATIENCE)


@alone("-au and -ap alone ask the terminal")
def _(env):
    with Peer(keywords=("AUTH PLAIN",)) as peer:
        status, shown = on_terminal(env, ("probe", "-s", "127.0.0.1:%d" % peer.port, "-a", "PLAIN",
                                          "-au",
                                          "-ap", "-q", "auth"), (b"ser: ", b"ann\n"),
                                    (b"assword", SECRET.encode() + b"\n"))
    equal(status, 0, "exit status")
    without_secrets(shown, "what was shown")
    equal([x for x in peer.lines if x.startswith("AUTH")], ["AUTH PLAIN " + FORMS[2]], "login")


@alone("--raw on a terminal has a prompt, a history, and hides answers")
def _(env):
    challenge = {"AUTH": lambda c, line: (c.send(b"334 \r\n"), c.line(), "235 2.7.0 in")[-1]}
    with Peer(challenge, keywords=("AUTH PLAIN",)) as peer:
        smtp = b"smtp> "
        status, shown = on_terminal(
            env, ("probe", "-s", "127.0.0.1:%d" % peer.port, "--raw"),
            (smtp, b"EHLO raw.example\n"),
            (smtp, b"NOOP one\n"), (smtp, b"\x1b[A\n"), (smtp, b"AUTH PLAIN\n"),
            (b"answer", FORMS[2].encode() + b"\n"), (smtp, b"\x1b[A\x1b[A\n"), (smtp, b"quit\n"))
        peer.finish()
    equal(status, 0, "exit status")
    equal(peer.lines,
          ["EHLO raw.example", "NOOP one", "NOOP one", "AUTH PLAIN", "NOOP one", "quit"],
          "commands")
    without_secrets(shown, "what was shown")
    for word in ("smtp>", "<-  250 AUTH PLAIN", "<-  235 2.7.0 in"):
        assert word in shown, shown


def on_terminal(env, args, *answers):
    """Runs it on a terminal, where each (prompt, keys) is typed at its prompt; status and all that
    was shown."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execve(env.posthaste, (env.posthaste,) + args, {**env.environ, "TERM": "xterm"})
    shown, answers, since = b"", list(answers), 0
    try:
        while True:
            if not select.select([terminal], [], [], harness.PATIENCE)[0]:
                os.kill(pid, signal.SIGKILL)
                raise AssertionError("silence behind %r" % shown)
            try:
                octets = os.read(terminal, 65536)
            except OSError:         # the other end is closed
                octets = b""
            if not octets:
                break
            shown += octets
            if answers and answers[0][0] in shown[since:]:
                os.write(terminal, answers.pop(0)[1])
                since = len(shown)
    finally:
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        os.close(terminal)
    return status, shown.decode("utf-8", "backslashreplace").replace("\r\n", "\n")


# --json

NONE = type(None)
NUMBER = (int, float)
OBJECT = {"exit": int, "stage": (str, NONE), "server": str, "from": str, "recipients": list,
          "tls": (dict, NONE), "capabilities": dict, "exchanges": list, "problems": list,
          "timings_ms": dict, "error": (dict, NONE)}
EXCHANGE = {"stage": str, "sent": (str, NONE), "tls": bool, "code": (int, NONE),
            "text": (str, NONE),
            "ms": (*NUMBER, NONE)}
ERROR = {"class": str, "stage": (str, NONE), "cause": (str, NONE), "text": str, "hint": (str, NONE)}
CAPABILITIES = {"heard_before_tls": bool, "heard_under_tls": bool, "keywords": list,
                "warnings": list}
KEYWORD = {"keyword": str, "before_tls": (str, NONE), "under_tls": (str, NONE),
           "change": (str, NONE)}
TLS = {"version": str, "cipher": str, "group": (str, NONE), "alpn_offered": (str, NONE),
       "alpn": (str, NONE), "resumed": bool, "second_connection": (str, NONE),
       "second_problem": (str, NONE), "verified": bool, "peer_name": (str, NONE),
       "problem": (str, NONE), "chain": list, "tlsa_records": list, "warnings": list}
CERTIFICATE = {"subject": str, "issuer": str, "self_issued": bool, "names": list, "not_before": str,
               "not_after": str, "days_left": int, "key": str, "signature": str, "serial": str,
               "sha256": str, "spki_sha256": str, "tlsa": str, "der_b64": str}
STATISTICS = {"exit": int, "runs": int, "failures": int, "stages": list}
STAGE = {"stage": str, "runs": int,
         **{x + "_us": int for x in ("min", "p50", "p90", "p99", "max", "mean")}}
PAGE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "man",
                    "posthaste-probe.1")


def shape(value, wanted, what):
    """Every member of that type, no member more, and each in the man page."""
    with open(PAGE, encoding="utf-8") as f:
        page = set(re.findall(r"\w+", f.read()))
    plain = {x: y for x, y in value.items() if not x.endswith("_b64") or x in wanted}
    equal(list(plain), list(wanted), "members of " + what)
    for name, kind in wanted.items():
        assert isinstance(value[name], kind), "%s.%s is %r" % (what, name, value[name])
        assert name in page, "the man page does not say %s.%s" % (what, name)


def check_object(record):
    if "runs" in record:
        shape(record, STATISTICS, "statistics")
        for stage in record["stages"]:
            shape(stage, STAGE, "stages")
        return
    shape(record, OBJECT, "the object")
    for exchange in record["exchanges"]:
        shape(exchange, EXCHANGE, "exchanges")
    shape(record["capabilities"], CAPABILITIES, "capabilities")
    for keyword in record["capabilities"]["keywords"]:
        shape(keyword, KEYWORD, "keywords")
    if record["error"]:
        shape(record["error"], ERROR, "error")
    if record["tls"]:
        shape(record["tls"], TLS, "tls")
        for certificate in record["tls"]["chain"]:
            shape(certificate, CERTIFICATE, "chain")


SITUATIONS = {
    "good": ({}, (), 0), "greeting": ({"GREETING": "554 no"}, (), 21),
    "hello": ({"EHLO": "550 no", "HELO": "550 no"}, (), 22), "mail": ({"MAIL": "550 no"}, (), 23),
    "one of two": ({"RCPT": ["550 no"]}, (), 0), "rcpt": ({"RCPT": "550 no"}, (), 24),
    "data": ({"DATA": "554 no"}, (), 25), "body": ({"BODY": "550 no"}, (), 26),
    "lost": ({"MAIL": LOST}, (), 6),
    "not octets of UTF-8": ({"MAIL": Said("250", b"250 \xff\x1b[0m\r\n")}, (), 0),
    "auth": ({"AUTH": "535 5.7.8 no"}, LOGIN, 28), "auth, good": ({}, LOGIN, 0),
    "no TLS": ({}, ("-tls",), 29),
    "expected": ({"RCPT": "550 no"}, ("--expect", "550", "-q", "rcpt"), 0),
    "pipelined": ({"RCPT": ["550 no"]}, ("--pipeline",), 0), "stopped": ({}, ("-q", "mail"), 0),
    "dropped": ({}, ("--da", "data"), 0), "repeated": ({}, ("--repeat", "3", "-q", "rcpt"), 0),
}
for _name, _situation in SITUATIONS.items():
    def _(env, situation=_situation):
        replies, args, status = situation
        with Peer({x: list(y) if isinstance(y, list) else y for x, y in replies.items()},
                  keywords=("PIPELINING", "AUTH PLAIN")) as peer:
            result = run_json(env, "-s", "127.0.0.1:%d" % peer.port, "-f", ANN, "-t",
                              BOB + "," + CAROL,
                              *args)
        equal(result.status, status, "exit status")
        equal(result.record["exit"], status, "exit in the object")
        check_object(result.record)
        without_secrets(result.stdout + result.stderr, "the object")
    alone("--json, %s" % _name)(_)


for _args in (("--tls-report",), ("--capabilities",), ("--raw",), ("--verify", "bob")):
    def _(env, args=_args):
        stdin = b"EHLO raw.example\nAUTH PLAIN %s\n" % FORMS[2].encode() if "--raw" in args else b""
        with Peer({"VRFY": "252 2.5.0 perhaps"}, ("AUTH PLAIN",),
                  env.certificate.context()) as peer:
            result = run_json(env, "-s", "localhost:%d" % peer.port, "--ca-file", env.ca.file,
                              "-tls",
                              *args, stdin=stdin)
        equal((result.status, result.record["exit"]), (0, 0), "exit")
        check_object(result.record)
        equal(result.record["tls"]["verified"], True, "verified")
        without_secrets(result.stdout, "the object")
    alone("--json %s" % _args[0])(_)


@alone("--json and --show-secrets")
def _(env):
    with Peer(keywords=("AUTH PLAIN",)) as peer:
        result = run_json(env, "-s", "127.0.0.1:%d" % peer.port, *LOGIN, "-a", "PLAIN", "-q",
                          "auth",
                          "--show-secrets")
    said = [x["sent"] for x in result.record["exchanges"]]
    assert "AUTH PLAIN " + FORMS[2] in said, said


@alone("--json of a wrong option is an object too")
def _(env):
    result = run(env, "--json", "--nonsense")
    equal(result.status, 1, "exit status")
    equal(json.loads(result.stdout)["exit"], 1, "exit in the object")


# contradictions, and what cannot be told

@alone("--dump-mail into a pipe is the message octet for octet")
def _(env):
    text = "Subject: x\n\n\x01 bare \x1b[2J\n"
    result = run(env, "-s", "nowhere.example", "-t", BOB, "-ndf", "--dump-mail", "--data",
                 "@" + env.file("octets", text.encode()))
    equal(result.status, 0, "exit status")
    assert text.rstrip() in result.stdout.replace("\r", ""), result.stdout


@alone("--tls-report and --tls=off contradict each other")
def _(env):
    result = run(env, "-s", "nowhere.example", "--tls-report", "--tls=off")
    equal(result.status, 1, "exit status")
    assert "--tls=off forbids it" in result.stderr, result.stderr


@alone("--tls-report says nothing of a connection that there was not")
def _(env):
    result = run(env, "-s", "127.0.0.1:1", "--tls-report")
    equal(result.status, 2, "exit status")
    assert "not under TLS" not in result.stdout, result.stdout
