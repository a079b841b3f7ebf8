# SPDX-License-Identifier: MIT
"""The register of tests, one run of `posthaste send`, its record's shape, and the
mailbox held against the file that was sent."""
import concurrent.futures
import copy
import fcntl
import itertools
import json
import os
import re
import signal
import socket
import struct
import subprocess
import tempfile
import time
import traceback

import overlay
from server import USERS

OUTCOMES = ("accepted", "deferred", "refused", "in_doubt")
EXITS = {"ok": (0,), "usage": (64,), "input": (65,), "noinput": (66,), "nouser": (67,),
         "nohost": (68,), "refused": (69,), "partial": (69, 75), "system": (71,),
         "deferred": (75,), "in_doubt": (75, 74), "protocol": (76,), "auth": (77,),
         "security": (78,), "config": (78,), "cancelled": (130,)}
STAGES = ("prepare", "resolve", "route", "connect", "proxy", "greeting", "hello", "starttls", "tls",
          "auth", "mail", "rcpt", "data", "body", "quit")

# the record's members and their types; a tuple with NONE: may be null
NONE = type(None)
RECORD = {"outcome": str, "class": str, "exit": int, "queue_id": (str, NONE), "from": (str, NONE),
          "bytes": (int, NONE), "round_trips": (int, NONE), "recipients": list, "sessions": list,
          "error": (dict, NONE)}
RECIPIENT = {"address": str, "outcome": str, "session": (int, NONE), "stage": (str, NONE),
             "code": (int, NONE), "enhanced": (str, NONE), "text": (str, NONE),
             "remote_id": (str, NONE)}
SESSION = {"host": str, "address": (str, NONE), "port": (int, NONE), "greeting": (str, NONE),
           "route": (dict, NONE), "extensions": (dict, NONE), "tls": (dict, NONE), "auth": (dict, NONE),
           "timings_ms": (dict, NONE), "error": (dict, NONE)}
ERROR = {"class": str, "stage": (str, NONE), "code": (int, NONE), "enhanced": (str, NONE),
         "text": str, "cause": (str, NONE), "hint": (str, NONE)}
TLS = {"mode": str, "version": (str, NONE), "cipher": (str, NONE), "verified": (bool, NONE),
       "peer_name": (str, NONE), "policy": (str, NONE), "result": (str, NONE),
       "certificate": (dict, NONE)}
CERTIFICATE = {"subject": str, "issuer": str, "not_after": (str, NONE), "sha256": str,
               "spki_sha256": str}
TRACE = {"return-path", "x-original-to", "delivered-to", "received"}

SENDER = "sender@sender.example"
SENDER_IN_WORLD = "sender@plain.example"
PATIENCE = 60       # seconds; a command still running then is a failed test
TOGETHER = 24       # cells of a table that run at a time; most of them wait
SIOCSIFADDR, SIOCSIFNETMASK = 0x8916, 0x891c
LANES = 4           # lanes that run at a time: tests of one lane follow each other

tests = []


def test(function):
    """Registers a test; its name, read as a sentence, is what the run prints."""
    tests.append(function)
    return function


def in_world(function):
    """A test or cell that runs in the small Internet of direct_world.py, which is env.world."""
    function.in_world, function.servers = True, ()
    return function


def cell(sentence, function):
    """Registers a cell of a table: a test that waits more than it works, needs nothing but the
    command, and runs beside the other cells."""
    function.__name__ = sentence
    function.is_cell = True
    tests.append(function)


def equal(got, want, what):
    if got != want:
        raise AssertionError("%s: got %r, want %r" % (what, got, want))


def run_all(env, chosen):
    failed = 0
    print("1..%d" % len(chosen), flush=True)
    for number, (function, run, error) in enumerate(_each_run(env, chosen), 1):
        sentence = function.__name__.replace("_", " ")
        if error is not None:
            failed += 1
            print("not ok %d - %s" % (number, sentence))
            _explain(run, error)
        else:
            print("ok %d - %s" % (number, sentence))
        print(end="", flush=True)
    print("%d passed, %d failed" % (len(chosen) - failed, failed))
    return 1 if failed else 0


def _each_run(env, chosen):
    """(test, its Env, what it raised or None) for each, in order; cells that follow each other run
    together, and so do the lanes of tests that follow each other."""
    def one_run(function, own=None):
        own = own or (env.alone() if is_cell(function) else env)
        own.ran = []
        try:
            function(own)
        except Exception as e:
            return function, copy.copy(own), e
        return function, own, None

    def is_cell(function):
        return getattr(function, "is_cell", False)

    def lane_run(functions):
        own = env.alone()
        return [one_run(x, own) for x in functions]

    def is_elsewhere(function):
        return env.world is None and getattr(function, "in_world", False)

    for (together, lanes, elsewhere), group in itertools.groupby(
            chosen, lambda x: (is_cell(x), hasattr(x, "lane"), is_elsewhere(x))):
        if elsewhere:
            yield from _run_in_world(env, list(group))
            continue
        if lanes:
            yield from _run_lanes(list(group), lane_run)
            continue
        if not together:
            yield from map(one_run, group)
            continue
        with concurrent.futures.ThreadPoolExecutor(TOGETHER) as pool:
            yield from pool.map(one_run, group)


def _run_in_world(env, tests):
    """By a thread that lives in it, as all do that it starts. The world is made once."""
    if env.thread is None:
        env.thread = concurrent.futures.ThreadPoolExecutor(1)
        env.inside = env.thread.submit(env.alone().enter_world).result()
    yield from env.thread.submit(lambda: list(_each_run(env.inside, tests))).result()


def _run_lanes(tests, lane_run):
    lanes = {}
    for function in tests:
        lanes.setdefault(function.lane, []).append(function)
    with concurrent.futures.ThreadPoolExecutor(LANES) as pool:
        found = {run[0]: run for runs in pool.map(lane_run, lanes.values()) for run in runs}
    return [found[x] for x in tests]


def _explain(env, error):
    if isinstance(error, AssertionError):
        lines = ["%s: %s" % (_where(error), error)]
    else:
        lines = traceback.format_exception(error)
    for result in env.ran[-1:]:
        lines += [" ".join(result.command), "exit %s" % result.status, result.stdout, result.stderr]
    for line in "\n".join(lines).splitlines():
        print("#   " + ascii(line[:1000])[1:-1])


def _where(error):
    """The lines that led to it, from the test's own inwards."""
    found = []
    while error is not None:
        found += ["%s:%d" % (os.path.basename(x.filename), x.lineno)
                  for x in traceback.extract_tb(error.__traceback__) if x.name != "one_run"]
        error = error.__cause__
    return " > ".join(found)


def check_sanitizers(stderr):
    """Anything that one says is a failure, whatever the exit status."""
    for word in ("AddressSanitizer", "LeakSanitizer", "runtime error:"):
        assert word not in stderr, "%s spoke:\n%s" % (word, stderr)


class Result:
    def __init__(self, command, status, stdout, stderr):
        self.command, self.status = command, status
        self.stdout = stdout.decode("utf-8", "backslashreplace")
        self.stderr = stderr.decode("utf-8", "backslashreplace")
        self.record = None

    def recipients(self):
        return [x["outcome"] for x in self.record["recipients"]]

    def expect(self, status, klass, outcome, **error):
        """Status, class, outcome, and the named fields of the record's error."""
        equal(self.status, status, "exit status")
        equal(self.record["class"], klass, "class")
        equal(self.record["outcome"], outcome, "outcome")
        if klass == "ok":
            equal(self.record["error"], None, "error")
            return self
        equal(self.record["error"]["class"], klass, "error.class")
        for name, want in error.items():
            got = self.record["error"][name]
            if got != want and not (isinstance(want, tuple) and got in want):
                raise AssertionError("error.%s: got %r, want %r" % (name, got, want))
        return self

    def good(self):
        return self.expect(0, "ok", "accepted")

    def deferred(self, **error):
        return self.expect(75, "deferred", "deferred", **error)

    @property
    def session(self):
        """The last session, which must have been opened."""
        assert self.record["sessions"], "the record has no session"
        return self.record["sessions"][-1]


class Env:
    """What a test works with: the command, the servers, and a folder of its own."""

    def __init__(self, posthaste, folder):
        self.posthaste, self.folder = posthaste, folder
        self.ran = []
        self.ca = self.postfix = self.dovecot = self.kerberos = None
        self.servers, self.users = {}, USERS
        self.make_world = self.world = self.thread = None
        os.makedirs(os.path.join(folder, "home"))
        self.environ = {"HOME": os.path.join(folder, "home"), "PATH": os.environ["PATH"],
                        "LC_ALL": "C.UTF-8", "TZ": "UTC",
                        "LSAN_OPTIONS": "print_suppressions=0:suppressions="
                                        + os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                                       "resolver.supp"),
                        "POSTHASTE_MODULES": os.path.dirname(posthaste)}
        for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS", "POSTHASTE_MODULES"):
            if name in os.environ:
                self.environ[name] = os.environ[name]

    def alone(self):
        """The same with a folder of its own, for a test that runs beside others."""
        own = copy.copy(self)
        own.folder = tempfile.mkdtemp(dir=self.folder)
        return own

    def enter_world(self):
        """Takes the calling thread there for good."""
        self.world = self.make_world()
        return self

    def file(self, name, content):
        path = os.path.join(self.folder, name)
        with open(path, "wb", opener=lambda *args: os.open(*args, 0o600)) as f:
            f.write(content)
        return path

    def start(self, *args, posthaste=None, environ=(), **options):
        return subprocess.Popen((posthaste or self.posthaste,) + args,
                                env=dict(self.environ, **dict(environ)),
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)

    def run(self, *args, stdin=b"", environ=()):
        """One run of posthaste to its end. environ: variables besides its own."""
        process = self.start(*args, stdin=subprocess.PIPE, environ=environ)
        try:
            out, err = process.communicate(stdin, timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            out, err = process.communicate()
        result = Result((self.posthaste,) + args, process.returncode, out, err)
        self.ran.append(result)
        check_sanitizers(result.stderr)
        assert result.status >= 0, "ended by signal %d (9: it hung)" % -result.status
        return result

    def send(self, server, *args, message=None, sender=SENDER, stdin=b"", to=None):
        """`posthaste send --json`; the record it printed is checked and kept."""
        if message is None:
            message = b"Subject: test\n\nA test.\n"
        if isinstance(message, bytes):
            message = self.file("message", message)
        recipients = ["bob@test.example"] if to is None else to
        result = self.run("send", "--json", "--server", server, "--from", sender,
                          "--message", message, *args, "--", *recipients, stdin=stdin)
        result.record = parse_record(result)
        equal([x["address"] for x in result.record["recipients"]], recipients, "addresses")
        return result

    def direct(self, *args, to, message=None, sender=SENDER_IN_WORLD, cache=None):
        """`posthaste send --direct --json` in the world, with an MTA-STS cache of its own."""
        if message is None:
            message = b"Subject: test\n\nA test.\n"
        if isinstance(message, bytes):
            message = self.file("message", message)
        cache = cache or tempfile.mkdtemp(dir=self.folder)
        result = self.run("send", "--json", "--direct", "--trust-anchor", self.world.anchor,
                          "--ca-file", self.world.ca.file, "--from", sender, "--message", message,
                          *args, "--", *to, environ={"XDG_CACHE_HOME": cache})
        result.record = parse_record(result)
        equal([x["address"] for x in result.record["recipients"]],
              [x if x.isascii() else as_a_label(x) for x in to], "addresses")
        return result

    # mailboxes

    def empty_mailboxes(self):
        for server in (self.postfix, self.dovecot):
            server.empty()

    def mailbox(self, server, user):
        """What lies in a user's mailbox once Postfix and the server have finished."""
        self.postfix.settle()
        return server.stored(user)

    def delivered(self, server, user, content):
        """The one message in the mailbox, which must be `content` below trace headers."""
        found = self.mailbox(server, user)
        equal(len(found), 1, "messages in the mailbox of " + user)
        return same_message(found[0], content)


def parse_record(result):
    lines = result.stdout.splitlines()
    equal(len(lines), 1, "lines on standard output")
    record = json.loads(lines[0])
    _shape(record, RECORD, "record")
    for recipient in record["recipients"]:
        _shape(recipient, RECIPIENT, "recipient")
        assert recipient["outcome"] in OUTCOMES, recipient["outcome"]
        assert recipient["stage"] is None or recipient["stage"] in STAGES, recipient["stage"]
        assert recipient["session"] is None or recipient["session"] < len(record["sessions"])
    for session in record["sessions"]:
        _shape(session, SESSION, "session")
        if session["tls"] is not None:
            _shape(session["tls"], TLS, "tls")
            if session["tls"]["certificate"] is not None:
                _shape(session["tls"]["certificate"], CERTIFICATE, "certificate")
        if session["error"] is not None:
            _shape(session["error"], ERROR, "session error")
    assert record["class"] in EXITS, record["class"]
    assert record["exit"] in EXITS[record["class"]], (record["exit"], record["class"])
    equal(result.status, record["exit"], "exit status against the record's")
    outcomes = [x["outcome"] for x in record["recipients"]]
    equal(record["outcome"], message_outcome(outcomes), "outcome")
    equal(record["class"] == "ok", record["error"] is None, "class ok against error null")
    if record["error"] is not None:
        _shape(record["error"], ERROR, "error")
        assert record["error"]["stage"] is None or record["error"]["stage"] in STAGES
        assert record["error"]["text"], "an error without text"
        assert result.stderr, "an error and nothing on standard error"
    return record


def _shape(value, wanted, what):
    for name, kind in wanted.items():
        assert name in value, "%s without %s" % (what, name)
        assert isinstance(value[name], kind), "%s.%s is %r" % (what, name, value[name])


def message_outcome(outcomes):
    """The message's outcome from its recipients'."""
    if all(x == "accepted" for x in outcomes):
        return "accepted"
    if "in_doubt" in outcomes:
        return "in_doubt"
    if "accepted" in outcomes:
        return "partial"
    return "refused" if all(x == "refused" for x in outcomes) else "deferred"


def as_a_label(address):
    local, _, domain = address.rpartition("@")
    return "%s@%s" % (local, domain.encode("idna").decode())


def as_stored(content):
    """Every line end as LF, the last one included: what a Maildir holds of a message sent with
    --line-ends=normalise."""
    lines = re.sub(rb"\r\n|\r|\n", b"\n", content)
    return lines if lines.endswith(b"\n") else lines + b"\n"


def same_message(stored, content, line_end=b"\n", trace=()):
    """Returns the trace headers above `content`; raises where anything else differs. `trace` names
    further header fields that may stand there."""
    wanted = as_stored(content).replace(b"\n", line_end)
    if not stored.endswith(wanted):
        at = next((i for i, (a, b) in enumerate(zip(reversed(stored), reversed(wanted))) if a != b),
                  min(len(stored), len(wanted)))
        raise AssertionError("mailbox differs from the file %d octets before the end: %r, want %r"
                             % (at, stored[-at - 30:][:60], wanted[-at - 30:][:60]))
    added = stored[:len(stored) - len(wanted)].decode("utf-8", "replace")
    for line in added.splitlines():
        if not line.startswith((" ", "\t")) \
                and line.partition(":")[0].lower() not in TRACE.union(trace):
            raise AssertionError("a line above the message: %r" % line)
    return added


def own_address(address):
    """Makes an IPv4 address, and no other, this machine's: on loopback, in the tests' own network."""
    name = b"lo:%d" % (socket.inet_aton(address)[3])
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        for number, value in ((SIOCSIFADDR, address), (SIOCSIFNETMASK, "255.255.255.255")):
            fcntl.ioctl(s, number, struct.pack("16sHH4s8x", name, socket.AF_INET, 0,
                                               socket.inet_aton(value)))
    return address


def wait_for_port(port, server, seconds=20):
    """A server that does not come up is a failure of the run: nothing is left out quietly."""
    end = time.monotonic() + seconds
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            if time.monotonic() > end or server.process.poll() is not None:
                raise overlay.Unavailable("%s does not listen on port %d; see %s"
                                          % (server, port, " ".join(server.logs())))
            time.sleep(0.02)
