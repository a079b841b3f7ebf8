# SPDX-License-Identifier: MIT
"""CPython's smtplib as the oracle of posthaste.smtplib.

A case is a program, which is given the module to use, and a server of its own for it:

    @case("a refused recipient stands in the dictionary", Script({"RCPT": [None, "550 no"]}))
    def _(smtplib, at, say):
        with greeted(smtplib, at) as s:
            say(s.sendmail(ANN, [BOB, CAROL], MESSAGE))

It is run three times, each in a process of its own: on the standard library's module, on
posthaste.smtplib, and on that with strict_compat. What came of it must be the same: everything said, the
exception it ended with (type, arguments, fields), standard error, every octet on every connection as the
server saw them, and what a real server then kept. `default`, `strict` and `both` say where a mode is to
differ: by name (said, raised, stderr, wire, kept) the value expected there, or a function that makes it
of CPython's; `why` is the deviation's reason. A deviation that is none fails too.

Three things are made alike before anything is compared, and no more (alike() is all of it): the letter
case of verbs and keywords; in the default mode the parameters SIZE and BODY of MAIL, which posthaste
adds where the server wants them; and what is new in every run: ports, folders, times, identifiers.

POSTHASTE_ORACLE=smtplib puts CPython's module on both sides: then all must be equal, and what is not is
this harness's fault.
"""
import base64
import contextlib
import importlib
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import traceback

import sink
from harness import cell, check_sanitizers, own_address, test
from peer import KEYWORDS, Closed, Peer
from server import UNICODE, USERS

HERE = os.path.dirname(os.path.abspath(__file__))
BINDING = os.path.join(HERE, "..", "..", "bindings", "python")
PYTHON = "/usr/bin/python3"
PATIENCE = 60       # seconds that a program may run
MODES = ("default", "strict")
ITSELF = os.environ.get("POSTHASTE_ORACLE") == "smtplib"
VERBS = ("HELO EHLO LHLO STARTTLS AUTH MAIL RCPT DATA BDAT RSET NOOP QUIT HELP VRFY EXPN").split()
FIELDS = ("said", "raised", "stderr", "wire", "kept")

NAME = "client.example"
ANN, BOB, CAROL, DAVE = ("%s@test.example" % x for x in ("ann", "bob", "carol", "dave"))
MESSAGE = "Subject: test\r\n\r\nA test.\r\n"
USER, PASSWORD = "tim", "tanstaaftanstaaf"
TRUSTED = {"SSL_CERT_FILE": "{ca}"}     # the environment of a system that trusts the test CA

cases = {}


# ---- what a case is made of ----------------------------------------------------------------------

def case(sentence, server=None, environ=None, why=None, default=None, strict=None, both=None,
         registered=cell):
    """Registers a case. `environ`: variables of the child's; {ca} in one is the test CA's file."""
    default, strict = dict(both or {}, **default or {}), dict(both or {}, **strict or {})
    assert bool(why) == bool(default or strict), sentence

    def register(program):
        it = Case(sentence, program, server or Script(), environ or {},
                  {"default": default, "strict": strict})
        assert sentence not in cases, sentence
        cases[sentence] = it
        run = it.run
        if registered is cell:
            cell("smtplib: " + sentence, lambda env: run(env))
        else:
            def one(env):
                run(env)
            one.__name__ = "smtplib: " + sentence
            test(one)
        return program
    return register


class Case:
    def __init__(self, sentence, program, server, environ, deviations):
        self.sentence, self.program, self.server = sentence, program, server
        self.environ, self.deviations = environ, deviations

    def run(self, env):
        oracle = self.observe(env, "smtplib")
        wrong = []
        for mode in MODES:
            got = self.observe(env, "smtplib" if ITSELF else mode)
            wrong += compare(mode, alike(oracle, mode), alike(got, mode),
                             {} if ITSELF else self.deviations[mode])
        assert not wrong, "\n".join(wrong)

    def observe(self, env, mode):
        """One run: what the program said and how it ended, and what the server saw."""
        with self.server.start(env) as running:
            at = {"ca": env.ca.file, "folder": env.folder, **running.at}
            environ = {k: v.format(ca=env.ca.file) for k, v in self.environ.items()}
            if mode == "strict":
                environ["POSTHASTE_SMTPLIB_COMPAT"] = "1"
            seen = ask(env, "smtplib" if mode == "smtplib" else "posthaste.smtplib",
                       [self.sentence, environ, at])
            check_sanitizers(seen["stderr"])
            seen.update(wire=running.wire(), kept=running.kept())
        places = [(str(at.get(x, "")), x.upper()) for x in ("port", "closed", "folder")]
        return neutral(seen, places)


def compare(mode, oracle, got, deviations):
    """Sentences on what is not as it should be."""
    assert set(deviations) <= set(FIELDS), deviations
    wrong = []
    for field in FIELDS:
        want = oracle[field]
        if field in deviations:
            want = deviations[field]
            want = want(oracle[field]) if callable(want) else as_seen(field, want)
            if want == oracle[field]:
                wrong.append("%s: the deviation of %s is none" % (mode, field))
        if got[field] != want:
            wrong.append("%s: %s%s" % (mode, field, difference(got[field], want)))
    return wrong


def as_seen(field, value):
    """A deviation's value in the form of an observation."""
    if field == "said":
        return [as_said(x) for x in value]
    return value


def difference(got, want):
    """The first place where they differ, and a little around it."""
    path = ""
    while isinstance(got, list) and isinstance(want, list):
        at = next((i for i, (a, b) in enumerate(zip(got, want)) if a != b), min(len(got), len(want)))
        path += "[%d]" % at
        got, want = (x[at] if at < len(x) else None for x in (got, want))
    if isinstance(got, str) and isinstance(want, str):
        at = max(0, len(os.path.commonprefix([got, want])) - 40) if len(got + want) > 600 else 0
        got, want = got[at:][:400], want[at:][:400]
    return "%s\n  got  %r\n  want %r" % (path, got, want)


class Raised(str):
    """An exception as describe() shows it, where a deviation states one."""


def raised(name, *args):
    """The Raised of an exception of smtplib's: its fields follow from its arguments."""
    fields = zip(("smtp_code", "smtp_error", "sender"), args) if len(args) > 1 else ()
    if name == "SMTPRecipientsRefused":
        fields = [("recipients", args[0])]
    return Raised(" ".join(["%s(%s)" % (name, ", ".join(map(repr, args)))]
                           + ["%s=%r" % x for x in fields]))


def not_ascii(start):
    """The UnicodeEncodeError of a secret, which stands masked in it, whose first octet beyond ASCII is
    the start-th."""
    return Raised("UnicodeEncodeError('ascii', '%s', %d, %d, 'ordinal not in range(128)')"
                  % ("*" * (start + 1), start, start + 1))


def lost(why=""):
    return raised("SMTPServerDisconnected", "Connection unexpectedly closed" + (why and ": " + why))


NOWHERE = raised("SMTPServerDisconnected", "please run connect() first")
NOT_SMTP = "the server's answer is not SMTP: "
CODELESS = lost(NOT_SMTP + 'a line that does not begin with a reply code: "what?"')
PROHIBITED = "command and arguments contain prohibited newline characters: "
CERTIFICATE = "; it is for localhost, mx.test.example, 127.0.0.1; valid 2020-01-01 00:00 UTC to " \
              "2049-12-31 23:59 UTC; chain: CN=server <- CN=Test authority ca"
UNTRUSTED = Raised("SSLCertVerificationError(1, 'the certificate of localhost was not signed by a trusted "
                   "authority%s')" % CERTIFICATE)
MISNAMED = Raised("SSLCertVerificationError(1, 'the certificate is not for 127.0.0.2%s <- itself')"
                  % CERTIFICATE)


def showing(*changes):
    """A deviation of standard error: CPython's with these replacements, each of which must be one."""
    def change(text):
        for old, new in changes:
            assert old in text, (old, text)
            text = text.replace(old, new)
        return text
    return change


def saying(changes):
    """A deviation of what is said: CPython's, but for these places."""
    def change(said):
        return [as_said(changes[i]) if i in changes else x for i, x in enumerate(said)]
    return change


def as_said(value):
    return str(value) if isinstance(value, Raised) else repr(value)


def telling(*changes):
    """A deviation of the wire: CPython's, but in the connection with this number, from this place on,
    so many commands are others: (connection, place, count, [others…])."""
    def change(wire):
        found = [list(x) for x in wire]
        for connection, place, count, others in sorted(changes, reverse=True, key=lambda x: x[:2]):
            found[connection][place:place + count] = others
        return found
    return change


# ---- making alike --------------------------------------------------------------------------------

def neutral(seen, places):
    """Without what differs from run to run."""
    def clean(text):
        for value, name in places:
            if value:
                text = re.sub(r"(?<![0-9])%s(?![0-9])" % re.escape(value), name, text)
        return text
    for field in ("said", "kept"):
        seen[field] = [without_identifiers(clean(x)) for x in seen[field]]
    seen["kept"].sort()     # Postfix has no order
    seen["raised"] = seen["raised"] and clean(seen["raised"])
    seen["stderr"] = re.sub(r"(?m)^\d\d:\d\d:\d\d(\.\d+)? ", "TIME ", clean(seen["stderr"]))
    return seen


def without_identifiers(text):
    """Postfix's queue identifiers (6 digits and more), Dovecot's sessions, and the times in Received."""
    text = re.sub(r"(queued as|SMTPS?A? id|\\tid) [0-9A-Za-z+/]{6,}", r"\1 ID", text)
    text = re.sub(r"> \S{16,} Saved", "> ID Saved", text)
    return re.sub(r";(\s|\\n|\\t)*\w{3}, +\d+ \w{3} \d{4} [\d:]+ [+-]\d{4}( \(\w+\))?", "; DATE", text)


def alike(seen, mode):
    """What may differ on the wire and does not count."""
    kept = seen["kept"]
    if mode == "default":
        kept = [re.sub(r"'(SIZE|BODY)': '[^']*'(, )?", "", x) for x in kept]
    return dict(seen, kept=kept,
                wire=[[_alike(x, mode) for x in connection] for connection in seen["wire"]])


def _alike(line, mode):
    if "\n" in line:        # a message, or something injected
        return line
    verb, space, rest = line.partition(" ")
    if verb.upper() not in VERBS:
        return line         # a response within AUTH
    verb = verb.upper()
    match = re.fullmatch(r"(from|to):(<.*>)(.*)", rest, re.I)
    if verb in ("MAIL", "RCPT") and match:
        keyword, path, parameters = match.groups()
        parameters = [re.sub("^[^=]+", lambda x: x[0].upper(), x) for x in parameters.split(" ")]
        if mode == "default":
            parameters = [x for x in parameters if not x.startswith(("SIZE=", "BODY="))]
        rest = "%s:%s%s" % (keyword.upper(), path, " ".join(parameters))
    elif verb == "AUTH":
        mechanism, gap, response = rest.partition(" ")
        rest = mechanism.upper() + gap + response
    return verb + space + rest


def shape(octets, bodies):
    """A direction of a connection as its commands, without line ends, and its messages, with them.
    `bodies` are the messages, if they are known."""
    found, rest = [], octets
    while rest:
        if rest.startswith(b"\x16\x03"):
            found.append(b"<TLS>\n")       # a handshake that the server took no part in
            break
        line, end, rest = rest.partition(b"\r\n")
        found.append(line if end else line + b" <and no line end>\n")
        if line.upper() == b"DATA" and is_message(rest, bodies):
            length = len(bodies.pop(0)) + 3 if bodies else rest.index(b"\r\n.\r\n") + 5
            found.append(rest[:length] + b"\n" * (length == 3))
            rest = rest[length:]
        elif line.upper().startswith(b"BDAT "):
            length = int(line.split()[1])
            found.append(b"chunk\n" + rest[:length])
            rest = rest[length:]
    return [x.decode("latin-1") for x in found]


def is_message(rest, bodies):
    """Whether a message stands here, or the next command behind a DATA that was refused."""
    if bodies is not None:
        return bool(bodies) and rest.startswith(bodies[0] + b".\r\n")
    return b"\r\n.\r\n" in rest and rest[:4].upper() not in (b"RSET", b"QUIT", b"MAIL")


# ---- servers -------------------------------------------------------------------------------------

class Script:
    """A peer.Peer, made anew for each run: its replies are lists that it uses up."""

    def __init__(self, replies=None, keywords=KEYWORDS, tls=None, lmtp=False, unix=False,
                 address="127.0.0.1"):
        self.replies, self.keywords, self.tls, self.lmtp = replies or {}, keywords, tls, lmtp
        self.unix, self.address = unix, address

    @contextlib.contextmanager
    def start(self, env):
        replies = {k: list(v) if isinstance(v, list) else v for k, v in self.replies.items()}
        context = env.certificate.context() if self.tls else None
        if not self.address.startswith("127."):
            own_address(self.address)
        with Peer(replies, self.keywords, context, self.tls == "implicit", self.lmtp,
                  host=self.address) as peer, closed_port() as closed, contextlib.ExitStack() as stack:
            at = dict(host=self.address, port=peer.port, closed=closed)
            if self.unix:
                door = stack.enter_context(relayed(("127.0.0.1", peer.port), env.folder))
                at["path"] = door.at["path"]
            yield Running(peer, at)


class Running:
    """A server during one run. `at` is what the program learns of it."""

    def __init__(self, peer, at):
        self.peer, self.at = peer, at

    def kept(self):
        return []

    def wire(self):
        """What came over each connection, in the order they were made; those of threads that raced
        are sorted by the test that made them race."""
        self.peer.finish()
        bodies = [x.kept for x in self.peer.bodies]
        return [shape(bytes(x.clear), bodies)
                + (["<TLS>\n"] + shape(bytes(x.secure), bodies) if x.secure else [])
                for x in self.peer.wires]


@contextlib.contextmanager
def closed_port():
    """A port of ours on which nobody listens."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


class Relay:
    """Carries connections to another address, and keeps what clients said, each in `wires`."""

    def __init__(self, listener, target):
        self.listener, self.target, self.wires, self.threads = listener, target, [], []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                client = self.listener.accept()[0]
            except OSError:
                return
            server = socket.socket(socket.AF_UNIX if isinstance(self.target, str) else socket.AF_INET)
            server.connect(self.target)
            kept = bytearray()
            self.wires.append(kept)
            for pair in ((client, server, kept), (server, client, None)):
                thread = threading.Thread(target=self._carry, args=pair, daemon=True)
                self.threads.append(thread)
                thread.start()

    def _carry(self, source, target, kept):
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 16):
                if kept is not None:
                    kept += data
                target.sendall(data)
        with contextlib.suppress(OSError):
            target.shutdown(socket.SHUT_WR)

    def stop(self):
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)

    def finish(self):
        for thread in self.threads:
            thread.join(10)
            assert not thread.is_alive(), "a connection was not closed"


class Sink:
    """`posthaste sink`, behind a relay that sees what it is told; it keeps records."""

    def __init__(self, *options, scheme="smtp"):
        self.options, self.scheme = options, scheme

    @contextlib.contextmanager
    def start(self, env):
        options = [x.format(users=env.file("users", b"tim:tanstaaftanstaaf\n"), ca=env.folder + "/sink-ca")
                   for x in self.options]
        with sink.Sink(env, *options, listen=("--" + self.scheme, "0")) as running:
            host, _, port = running.at[self.scheme].rpartition(":")
            with relayed((host, int(port))) as behind:
                behind.sink = running
                behind.at["ca"] = env.folder + "/sink-ca"
                yield behind


class Real:
    """One of the real servers behind a relay, and the mailboxes it fills."""

    def __init__(self, port=None, path=None, boxes="postfix"):
        self.port, self.path, self.boxes = port, path, boxes

    @contextlib.contextmanager
    def start(self, env):
        env.empty_mailboxes()
        target = ("127.0.0.1", self.port) if self.port else self.path(env)
        with relayed(target, env.folder if self.path else None) as behind:
            behind.env, behind.boxes = env, getattr(env, self.boxes)
            yield behind


@contextlib.contextmanager
def relayed(target, folder=None):
    """A Relay to `target`: on a port, or on a Unix socket in `folder`."""
    with socket.socket(socket.AF_UNIX if folder else socket.AF_INET) as door:
        path = folder and os.path.join(folder, "relay")
        if folder:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
        door.bind(path or ("127.0.0.1", 0))
        door.listen()
        relay = Relay(door, target)
        yield Relayed(relay, dict(host="127.0.0.1", path=path,
                                  port=None if folder else door.getsockname()[1]))
        relay.stop()


class Relayed:
    sink = boxes = None

    def __init__(self, relay, at):
        self.relay, self.at = relay, at

    def wire(self):
        self.relay.finish()
        return [shape(bytes(x), None) for x in self.relay.wires]

    def kept(self):
        """The sink's records, or what lies in each mailbox."""
        if self.sink is not None:
            self.sink.stop()
            return [repr({k: v for k, v in x.items() if k not in ("peer", "file")})
                    for x in self.sink.records]
        return ["%s: %r" % (user, x) for user in (*USERS, UNICODE)
                for x in self.env.mailbox(self.boxes, user)]


GOOD, BAD = "235 2.7.0 welcome", "535 5.7.8 not so"
USERNAME, PASSWORD_ = "334 VXNlcm5hbWU6", "334 UGFzc3dvcmQ6"
CHALLENGE = "334 " + base64.b64encode(b"<1896.697170952@postoffice.example>").decode()
CHALLENGES = {"PLAIN": ("334 ",), "LOGIN": (USERNAME, PASSWORD_), "CRAM-MD5": (CHALLENGE,)}


def exchange(*replies):
    """What the scripted server does on AUTH: these replies, each after a line of the client's; none to
    a client that gives up."""
    def act(connection, line):
        for reply in replies:
            connection.send(reply.encode() + b"\r\n")
            if not reply.startswith("334"):
                return
            answer = connection.line()
            connection.peer.lines.append(answer)
            if answer == "*":
                connection.send(b"501 5.7.0 cancelled\r\n")
                return
    return act


def judging(final):
    """The exchange of a known mechanism, with or without an initial response, and its verdict."""
    def act(connection, line):
        _, mechanism, *initial = line.split()
        exchange(*CHALLENGES[mechanism.upper()][len(initial):], final)(connection, line)
    return act


def offering(mechanisms, *finals, **more):
    """A server with AUTH: how it ends each time that it is asked. A tuple is an exchange as it stands."""
    return Script({"AUTH": [exchange(*x) if isinstance(x, tuple) else judging(x) for x in finals]},
                  KEYWORDS + ("AUTH " + mechanisms,), **more)


def own(at, verify=True):
    """An SSLContext of the program's own."""
    if verify:
        return ssl.create_default_context(cafile=at.ca)
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def closing(reply):
    """A reply behind which the server closes."""
    def act(connection, line):
        connection.send(reply.encode() + b"\r\n")
        raise Closed
    return act


# ---- the children --------------------------------------------------------------------------------
# Each run is a process of its own, forked off one that has imported everything: one for the standard
# library's module, one for ours. Its connection to us ends with it.

_nurseries, _lock = {}, threading.Lock()


def ask(env, module, request):
    """Has a child run a program: what was said and raised, and its standard error."""
    errors = os.path.join(env.folder, "stderr")
    with socket.socket(socket.AF_UNIX) as child:
        child.settimeout(PATIENCE)
        child.connect(nursery(env, module))
        child.sendall(json.dumps(request).encode() + b"\n")
        answer = child.makefile("rb").read()
    with open(errors, encoding="utf-8", errors="backslashreplace") as f:
        stderr = f.read()
    assert answer, "the child ended without an answer: " + stderr
    return dict(json.loads(answer), stderr=stderr)


def nursery(env, module):
    """The path of the socket behind which children with this module come from."""
    with _lock:
        if module not in _nurseries:
            path = os.path.join(tempfile.mkdtemp(), module)
            process = subprocess.Popen([PYTHON, os.path.join(HERE, "smtplib_oracle.py"), module, path],
                                       env=child_environment(env), stdout=subprocess.PIPE)
            assert process.stdout.readline() == b"ready\n", "%s cannot be imported" % module
            _nurseries[module] = path
        return _nurseries[module]


def nurse(module, path):
    """In the process that forks; returns in each of its children, once it has run its program."""
    smtplib = importlib.import_module(module)
    for name in sorted(os.listdir(HERE)):
        if name.startswith("test_smtplib_"):
            importlib.import_module(name[:-3])
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(path)
        door.listen(64)
        print("ready", flush=True)
        while True:
            parent = door.accept()[0]
            if os.fork() == 0:
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                break
            parent.close()
    sentence, environ, at = json.loads(parent.makefile("rb").readline())
    os.environ.update(environ)
    os.chdir(at["folder"])
    os.dup2(os.open("stderr", os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600), sys.stderr.fileno())
    os.dup(parent.fileno())     # closed by the kernel, so that our end is seen when it has come
    parent.sendall(json.dumps(run_program(cases[sentence], smtplib, at)).encode())


def library(env):
    """The release build's library, or else the one beside the command."""
    return os.path.join(os.path.dirname(env.release or env.posthaste), "libposthaste.so.0")


def child_environment(env, **more):
    found = dict(env.environ, PYTHONPATH=BINDING, POSTHASTE_LIBRARY=library(env),
                 POSTHASTE_MODULES=os.path.dirname(library(env)), PYTHONDONTWRITEBYTECODE="1",
                 PYTHONFAULTHANDLER="1", **{"SSL_CERT_FILE": "/dev/null", **more})
    with open(library(env), "rb") as f:
        if b"libasan.so" in f.read():
            found.update(LD_PRELOAD=sanitizer(), ASAN_OPTIONS="detect_leaks=0")
    return found


def sanitizer():
    return subprocess.run(["gcc", "-print-file-name=libasan.so"], check=True, capture_output=True,
                          text=True).stdout.strip()


class At:
    """Where the server is: host, port, ca, folder, closed, path, and what the case's server adds."""

    def __init__(self, values):
        vars(self).update(values)


class Say:
    def __init__(self):
        self.said = []

    def __call__(self, *values):
        self.said += [repr(x) for x in values]

    def of(self, function, *args, **kwargs):
        """Says what the call gives, or raises."""
        try:
            self(function(*args, **kwargs))
        except Exception as e:
            self.said.append(describe(e))


def describe(error):
    """Type, arguments, fields; the traceback is for whoever looks at a failure."""
    fields = ["%s=%r" % (x, getattr(error, x)) for x in
              ("smtp_code", "smtp_error", "sender", "recipients") if hasattr(error, x)]
    name = "%s(%s)" % (type(error).__name__, ", ".join(map(repr, error.args)))
    return " ".join([name] + fields)


def greeted(smtplib, at, **more):
    """A connection, as most programs begin."""
    return smtplib.SMTP(at.host, at.port, NAME, **more)


def by_hand(smtplib, at, **more):
    """One that has said EHLO."""
    s = greeted(smtplib, at, **more)
    s.ehlo()
    return s


def run_program(case, smtplib, at):
    say, raised = Say(), None
    try:
        case.program(smtplib, At(at), say)
    except Exception as e:
        raised = describe(e)
        with open("traceback", "w") as f:       # for whoever looks at a failure
            traceback.print_exc(file=f)
    return {"said": say.said, "raised": raised}


if __name__ == "__main__":
    import smtplib_oracle
    smtplib_oracle.nurse(*sys.argv[1:])
