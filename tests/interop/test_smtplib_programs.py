# SPDX-License-Identifier: MIT
"""posthaste.smtplib against the standard library's: what programs do with the objects beyond calling
them: subclasses, sockets of their own, debug output, audit hooks, threads. See smtplib_oracle.py."""
import io
import pickle
import socket
import sys
import threading

from smtplib_oracle import (ANN, BOB, CAROL, GOOD, MESSAGE, NAME, PASSWORD, TRUSTED, USER, Script,
                            by_hand, case, closing, greeted, lost, offering, own, saying, showing)


# sockets of the program's own

@case("sock is a connected socket, file is made when it is needed")
def _(smtplib, at, say):
    s = greeted(smtplib, at)
    say(isinstance(s.sock, socket.socket), s.sock.getpeername() == (at.host, at.port), s.sock.fileno() >= 0,
        s.sock.type.name, s.sock.gettimeout(), s.file is None)
    s.sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    s.noop()
    say(s.sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE), s.file is None)
    s.close()
    say(s.sock, s.file)


@case("a subclass that makes the socket")
def _(smtplib, at, say):
    class Own(smtplib.SMTP):
        def _get_socket(self, host, port, timeout):
            say((host, port == at.port, timeout))
            return socket.create_connection((host, port), timeout)
    with Own(at.host, at.port, NAME, timeout=9) as s:
        say(s.sendmail(ANN, BOB, MESSAGE), type(s.sock).__name__)


@case("a subclass whose socket is of a class of its own")
def _(smtplib, at, say):
    calls = set()

    class Wrapped(socket.socket):
        def send(self, *args):
            calls.add("send")
            return super().send(*args)

        def sendall(self, *args):
            calls.add("send")
            return super().sendall(*args)

        def recv(self, *args):
            calls.add("recv")
            return super().recv(*args)

        def recv_into(self, *args):
            calls.add("recv")
            return super().recv_into(*args)

    class Own(smtplib.SMTP):
        def _get_socket(self, host, port, timeout):
            wrapped = Wrapped()
            wrapped.connect((host, port))
            return wrapped
    with Own(at.host, at.port, NAME) as s:
        say(s.sendmail(ANN, BOB, MESSAGE), type(s.sock).__name__, sorted(calls))


@case("a subclass whose socket is no socket at all")
def _(smtplib, at, say):
    class Tunnel:
        """The least that smtplib asks of one."""

        def __init__(self, sock):
            self.inner = sock

        def sendall(self, data):
            self.inner.sendall(data)

        def makefile(self, mode):
            return self.inner.makefile(mode)

        def close(self):
            self.inner.close()

    class Own(smtplib.SMTP):
        def _get_socket(self, host, port, timeout):
            return Tunnel(socket.create_connection((host, port), timeout))
    with Own(at.host, at.port, NAME) as s:
        say(s.sendmail(ANN, BOB, MESSAGE), type(s.sock).__name__)


@case("a subclass that wraps the socket in TLS", Script(tls="implicit"))
def _(smtplib, at, say):
    class Own(smtplib.SMTP):
        def _get_socket(self, host, port, timeout):
            plain = super()._get_socket(host, port, timeout)
            return own(at).wrap_socket(plain, server_hostname="localhost")
    with Own(at.host, at.port, NAME) as s:
        say(s.sendmail(ANN, BOB, MESSAGE), s.sock.version())


@case("a subclass of SMTP_SSL that makes the socket", Script(tls="implicit"), TRUSTED)
def _(smtplib, at, say):
    class Own(smtplib.SMTP_SSL):
        def _get_socket(self, host, port, timeout):
            say(host, timeout)
            return super()._get_socket(host, port, timeout)
    with Own("localhost", at.port, NAME, timeout=9) as s:
        say(s.sendmail(ANN, BOB, MESSAGE))


@case("a subclass that connects in its own way")
def _(smtplib, at, say):
    class Own(smtplib.SMTP):
        def connect(self, host="localhost", port=0, source_address=None):
            say(host, source_address)
            self.sock = socket.create_connection((host, port))
            self.file = None
            return self.getreply()
    with Own(at.host, at.port, NAME) as s:
        say(s.ehlo()[0], s.sendmail(ANN, BOB, MESSAGE))


@case("a socket put into an object")
def _(smtplib, at, say):
    s = smtplib.SMTP(local_hostname=NAME)
    s.sock = socket.create_connection((at.host, at.port))
    say(s.getreply(), s.ehlo()[0], s.sendmail(ANN, BOB, MESSAGE), s.quit())


@case("one end of a socketpair put into an object")
def _(smtplib, at, say):
    ours, theirs = socket.socketpair()

    def serve():
        file = theirs.makefile("rwb")
        file.write(b"220 hello\r\n")
        file.flush()
        while line := file.readline():
            file.write(b"250 you said " + line.strip() + b"\r\n")
            file.flush()
    threading.Thread(target=serve, daemon=True).start()
    s = smtplib.SMTP(local_hostname=NAME)
    s.sock = ours
    say(s.getreply(), s.docmd("X", "y"))
    s.close()


@case("a program that reads and writes beside the object")
def _(smtplib, at, say):
    s = greeted(smtplib, at)
    s.sock.sendall(b"NOOP\r\n")
    say(s.getreply())
    s.putcmd("NOOP")
    s.sock.shutdown(socket.SHUT_WR)
    say(s.getreply())
    say.of(s.getreply)


@case("a socket that the program shuts down, or closes with its file",
      why="other words",
      both=dict(said=saying({0: lost(), 2: lost("[Errno 9] Bad file descriptor")})))
def _(smtplib, at, say):
    s = greeted(smtplib, at)
    s.sock.shutdown(socket.SHUT_RDWR)
    say.of(s.noop)
    say(s.sock)
    s = greeted(smtplib, at)
    s.file.close()
    s.sock.close()
    say.of(s.noop)
    say(s.sock)


# overriding

@case("a subclass that watches docmd, putcmd, getreply and send",
      why="commands do not pass through send()",
      both=dict(said=lambda said: [x for x in said if not x.startswith("('send', '")]))
def _(smtplib, at, say):
    class Own(smtplib.SMTP):
        def docmd(self, cmd, args=""):
            say(("docmd", cmd.upper(), args))
            return super().docmd(cmd, args)

        def putcmd(self, cmd, args=""):
            say(("putcmd", cmd.upper(), args))
            return super().putcmd(cmd, args)

        def getreply(self):
            reply = super().getreply()
            say(("getreply", reply))
            return reply

        def send(self, s):
            say(("send", s.upper() if isinstance(s, str) else s))
            return super().send(s)
    with Own(at.host, at.port, NAME) as s:
        say(s.sendmail(ANN, [BOB, CAROL], MESSAGE), s.noop(), s.rset(), s.help())


@case("a subclass that watches mail, rcpt, data and rset",
      Script({"RCPT": [None, "550 no", "550 no"]}))
def _(smtplib, at, say):
    class Own(smtplib.SMTP):
        def mail(self, sender, options=()):
            say(("mail", sender, list(options)))
            return super().mail(sender, options)

        def rcpt(self, recip, options=()):
            say(("rcpt", recip, options))
            return super().rcpt(recip, options)

        def data(self, msg):
            say(("data", msg))
            return super().data(msg)

        def rset(self):
            say("rset")
            return super().rset()
    with Own(at.host, at.port, NAME) as s:
        say.of(s.sendmail, ANN, [BOB, CAROL], MESSAGE, ["BODY=8BITMIME"], ["NOTIFY=NEVER"])
        say.of(s.sendmail, ANN, [BOB], MESSAGE)


@case("a subclass that answers for the server")
def _(smtplib, at, say):
    class Own(smtplib.SMTP):
        def rcpt(self, recip, options=()):
            return (550, b"not here") if recip == BOB else super().rcpt(recip, options)
    with Own(at.host, at.port, NAME) as s:
        say.of(s.sendmail, ANN, [BOB, CAROL], MESSAGE)
        say.of(s.sendmail, ANN, [BOB], MESSAGE)


@case("a method replaced on one object")
def _(smtplib, at, say):
    s = greeted(smtplib, at)
    real = s.rcpt
    s.rcpt = lambda recip, options=(): say(recip) or real(recip, options)
    say(s.sendmail(ANN, [BOB, CAROL], MESSAGE), s.quit())


@case("a subclass that watches ehlo, login and auth", offering("PLAIN", GOOD))
def _(smtplib, at, say):
    class Own(smtplib.SMTP):
        def ehlo(self, name=""):
            say(("ehlo", name))
            return super().ehlo(name)

        def auth(self, mechanism, authobject, *, initial_response_ok=True):
            say(("auth", mechanism, initial_response_ok))
            return super().auth(mechanism, authobject, initial_response_ok=initial_response_ok)

        def auth_plain(self, challenge=None):
            say(("auth_plain", challenge))
            return "\0other\0secret"
    with Own(at.host, at.port, NAME) as s:
        say(s.login(USER, PASSWORD))


@case("a subclass with a default port and a verb of its own", Script(lmtp=True))
def _(smtplib, at, say):
    class Own(smtplib.SMTP):
        ehlo_msg = "lhlo"
        default_port = at.port
    with Own(at.host, local_hostname=NAME) as s:
        say(s.ehlo()[0], s.sendmail(ANN, BOB, MESSAGE))


@case("a subclass that keeps attributes of its own")
def _(smtplib, at, say):
    class Own(smtplib.SMTP):
        def __init__(self, *args, tag, **kwargs):
            self.tag = tag
            super().__init__(*args, **kwargs)

        def close(self):
            say("close %s" % self.tag)
            super().close()
    with Own(at.host, at.port, NAME, tag="x") as s:
        s.extra = 5
        say(s.extra, s.tag, s.quit())


# debug output

@case("debug output of a whole session, level 1")
def _(smtplib, at, say):
    s = smtplib.SMTP(local_hostname=NAME)
    s.set_debuglevel(1)
    s.connect(at.host, at.port)
    s.ehlo()
    s.mail(ANN)
    s.rcpt(BOB)
    s.data("Subject: x\n\n.dot\n")
    s.quit()
    say(s.debuglevel)


@case("debug output of sendmail, level 1", Script({"RCPT": [None, "550 5.1.1 no"]}, ("SIZE 1000",)),
      why="verbs are in upper case, and the message is not shown",
      default=dict(stderr=showing(
          ("send: 'mail", "send: 'MAIL"), ("send: 'rcpt", "send: 'RCPT"), ("send: 'data", "send: 'DATA"),
          ("size=", "SIZE="), ("data: (354, b'go ahead')\n", ""),
          ("send: b'Subject: test\\r\\n\\r\\nA test.\\r\\n.\\r\\n'",
           "send: '[26 octets of message]\\r\\n'\nsend: '.\\r\\n'"),
          ("data: (250, b'2.0.0 Ok: queued as TEST1')\n", ""))))
def _(smtplib, at, say):
    s = greeted(smtplib, at)
    s.set_debuglevel(1)
    say(s.sendmail(ANN, [BOB, CAROL], MESSAGE))
    s.quit()


@case("debug output, level 2")
def _(smtplib, at, say):
    s = smtplib.SMTP(local_hostname=NAME)
    s.set_debuglevel(2)
    s.connect(at.host, at.port)
    s.ehlo()
    s.quit()


@case("debug output goes where the program says")
def _(smtplib, at, say):
    class Own(smtplib.SMTP):
        debuglevel = 1

        def _print_debug(self, *args):
            say(args)
    with Own(at.host, at.port, NAME) as s:
        s.ehlo()


@case("debug output follows sys.stderr")
def _(smtplib, at, say):
    s = greeted(smtplib, at)
    s.set_debuglevel(True)
    real, sys.stderr = sys.stderr, io.StringIO()
    s.docmd("NOOP")
    s.set_debuglevel(0)
    s.docmd("NOOP")
    say(sys.stderr.getvalue())
    sys.stderr = real
    s.quit()


@case("debug output of a login", offering("PLAIN", GOOD),
      why="secrets do not show in the debug output",
      both=dict(stderr=showing(("AHRpbQB0YW5zdGFhZnRhbnN0YWFm", "[hidden]"))))
def _(smtplib, at, say):
    s = by_hand(smtplib, at)
    s.set_debuglevel(1)
    say(s.login(USER, PASSWORD))
    s.close()


@case("debug output of AUTH LOGIN by docmd", offering("LOGIN", GOOD),
      why="secrets do not show in the debug output",
      both=dict(stderr=showing(("'dGlt", "'[hidden]"), ("'c2VjcmV0c2VjcmV0", "'[hidden]"))))
def _(smtplib, at, say):
    s = by_hand(smtplib, at)
    s.set_debuglevel(1)
    say(s.docmd("AUTH", "LOGIN"), s.docmd("dGlt"), s.docmd("c2VjcmV0c2VjcmV0"))
    s.close()


@case("debug output of auth", offering("X-ANY", ("334 Y2hhbGxlbmdl", GOOD)),
      why="secrets do not show in the debug output",
      both=dict(stderr=showing(("'c2VjcmV0c2VjcmV0", "'[hidden]"))))
def _(smtplib, at, say):
    s = by_hand(smtplib, at)
    s.set_debuglevel(1)
    say(s.auth("X-ANY", lambda challenge=None: None if challenge is None else "secretsecret"))
    s.close()


@case("debug output of replies in odd octets",
      Script({"NOOP": [b"250-\x1b[31m\xff\n250 two\r\n", closing("250-half")]}),
      why="whole lines are shown, with CRLF",
      both=dict(stderr=showing(("\\xff\\n'", "\\xff\\r\\n'"), ("reply: b'250-half\\r\\n'\n", ""))))
def _(smtplib, at, say):
    s = greeted(smtplib, at)
    s.set_debuglevel(1)
    say.of(s.noop)
    say.of(s.noop)


@case("debug output of STARTTLS and what follows", Script(tls="starttls"), TRUSTED,
      why="it is shown what TLS came to",
      both=dict(stderr=showing(
          ("Msg: b'2.0.0 go ahead'\n", "Msg: b'2.0.0 go ahead'\nposthaste: TLS is up: TLSv1.3 "
           "TLS_AES_256_GCM_SHA384, verified for localhost\n"))))
def _(smtplib, at, say):
    s = smtplib.SMTP("localhost", at.port, NAME)
    s.set_debuglevel(1)
    s.starttls()
    s.ehlo()
    s.quit()


@case("debug output of SMTP_SSL", Script(tls="implicit"), TRUSTED,
      why="it is shown what TLS came to",
      both=dict(stderr=showing(
          ("PORT) None\n", "PORT) None\nposthaste: TLS is up: TLSv1.3 TLS_AES_256_GCM_SHA384, NOT "
           "verified: the SSLContext in use does not verify it\n"))))
def _(smtplib, at, say):
    s = smtplib.SMTP_SSL(local_hostname=NAME, context=own(at, verify=False))
    s.set_debuglevel(1)
    s._host = "localhost"
    s.connect("localhost", at.port)
    s.quit()


@case("debug output of LMTP", Script(lmtp=True, unix=True))
def _(smtplib, at, say):
    s = smtplib.LMTP(local_hostname=NAME)
    s.set_debuglevel(1)
    s.connect(at.path)
    s.ehlo()
    s.quit()


# audit events, threads, the interpreter

@case("audit events")
def _(smtplib, at, say):
    def hook(event, args):
        if event.startswith("smtplib."):
            say((event, [x.upper() if isinstance(x, bytes) else x for x in args[1:]]))
    sys.addaudithook(hook)
    with greeted(smtplib, at) as s:
        s.docmd("NOOP")
        s.send("NOOP\r\n")
        s.getreply()


@case("an audit hook that refuses")
def _(smtplib, at, say):
    def hook(event, args):
        if event == "smtplib.connect":
            raise RuntimeError("not here")
    sys.addaudithook(hook)
    say.of(smtplib.SMTP, at.host, at.port, NAME)


@case("objects in several threads")
def _(smtplib, at, say):
    found = [None] * 6

    def work(i):
        with greeted(smtplib, at) as s:
            found[i] = [s.sendmail(ANN, [BOB, CAROL], MESSAGE) for _ in range(5)]
    threads = [threading.Thread(target=work, args=(i,)) for i in range(len(found))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    say(found)


@case("one object handed from thread to thread")
def _(smtplib, at, say):
    s = greeted(smtplib, at)

    def work():
        say(s.sendmail(ANN, BOB, MESSAGE))
    for _ in range(3):
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    s.quit()


@case("objects that are thrown away")
def _(smtplib, at, say):
    import gc
    import warnings
    warnings.simplefilter("ignore", ResourceWarning)
    for _ in range(5):
        s = by_hand(smtplib, at)
        del s
        gc.collect()
    say("fine")


@case("an object that is copied, compared, shown")
def _(smtplib, at, say):
    s = smtplib.SMTP(local_hostname=NAME)
    say(s == s, bool(s), type(s).__name__, callable(smtplib.SMTP.sendmail), "sock" in dir(s))


@case("a signal's exception ends a wait", Script({"NOOP": lambda c, line: c.hang()}))
def _(smtplib, at, say):
    import signal

    def interrupt(*_):
        raise KeyError("interrupted")
    signal.signal(signal.SIGALRM, interrupt)
    s = greeted(smtplib, at)
    signal.setitimer(signal.ITIMER_REAL, 1)
    say.of(s.noop)


@case("a signal's exception during the message", Script({"BODY": lambda c, line: c.hang()}))
def _(smtplib, at, say):
    import signal

    def interrupt(*_):
        raise KeyError("interrupted")
    signal.signal(signal.SIGALRM, interrupt)
    s = greeted(smtplib, at)
    signal.setitimer(signal.ITIMER_REAL, 3)
    say.of(s.sendmail, ANN, BOB, MESSAGE)


@case("a signal that raises nothing does not disturb",
      Script({"NOOP": lambda c, line: __import__("time").sleep(0.4) or "250 late"}))
def _(smtplib, at, say):
    import signal
    seen = []
    signal.signal(signal.SIGALRM, lambda *_: seen.append(1))
    s = greeted(smtplib, at, timeout=5)
    signal.setitimer(signal.ITIMER_REAL, 0.1, 0.1)
    say(s.noop(), len(seen) > 1)
    signal.setitimer(signal.ITIMER_REAL, 0)
    s.quit()


@case("exceptions go through pickle, and are those of the module")
def _(smtplib, at, say):
    for error in (smtplib.SMTPException("x"), smtplib.SMTPServerDisconnected("x"),
                  smtplib.SMTPDataError(554, b"no"), smtplib.SMTPSenderRefused(550, b"no", ANN),
                  smtplib.SMTPRecipientsRefused({BOB: (550, b"no")})):
        again = pickle.loads(pickle.dumps(error))
        say(type(again) is type(error), vars(again), again.args,
            type(again).__module__ == smtplib.__name__)
