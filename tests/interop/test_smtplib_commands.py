# SPDX-License-Identifier: MIT
"""posthaste.smtplib against the standard library's: connecting, each command by hand, replies of every
kind, attributes, what programs override. See smtplib_oracle.py."""
import socket

from peer import HANG, KEYWORDS, LOST, Said
from smtplib_oracle import (ANN, BOB, CAROL, CODELESS, MESSAGE, NAME, NOT_SMTP, PASSWORD,
                            PROHIBITED, USER, Script, by_hand, case, closing, greeted, lost, raised,
                            saying, telling)

METHODS = ("connect send putcmd getreply docmd helo ehlo has_extn help rset noop mail rcpt data verify vrfy"
           " expn ehlo_or_helo_if_needed auth auth_plain auth_login auth_cram_md5 login starttls sendmail"
           " send_message close quit set_debuglevel").split()

EXCEPTIONS = ("SMTPException SMTPNotSupportedError SMTPServerDisconnected SMTPResponseException"
              " SMTPSenderRefused SMTPRecipientsRefused SMTPDataError SMTPConnectError SMTPHeloError"
              " SMTPAuthenticationError").split()


def state(s):
    return (s.helo_resp, s.ehlo_resp, s.does_esmtp, s.esmtp_features)


# the module

@case("the module's names, ports and constants")
def _(smtplib, at, say):
    ours = {"SMTPSecurityError"}
    say(sorted(set(smtplib.__all__) - ours), smtplib.SMTP_PORT, smtplib.SMTP_SSL_PORT,
        smtplib.LMTP_PORT, smtplib.CRLF,
        smtplib.bCRLF, smtplib._MAXLINE, smtplib._MAXCHALLENGE, smtplib.OLDSTYLE_AUTH.pattern,
        smtplib.OLDSTYLE_AUTH.flags)
    for kind in (smtplib.SMTP, smtplib.SMTP_SSL, smtplib.LMTP):
        say([x.__name__ for x in kind.__mro__], kind.default_port, kind.ehlo_msg, kind.debuglevel,
            kind.sock, kind.file, kind.helo_resp, kind.ehlo_resp, kind.does_esmtp)


@case("the tree of exceptions and their fields")
def _(smtplib, at, say):
    for name in EXCEPTIONS:
        kind = getattr(smtplib, name)
        say(name, [x.__name__ for x in kind.__mro__])
    for e in (smtplib.SMTPResponseException(5, b"x"), smtplib.SMTPSenderRefused(5, b"x", "a"),
              smtplib.SMTPRecipientsRefused({"a": (5, b"x")}), smtplib.SMTPException("x"),
              smtplib.SMTPDataError(1, b"")):
        say(sorted(vars(e).items()), e.args, str(e), e.errno)


@case("every method takes what the standard one takes")
def _(smtplib, at, say):
    import inspect
    for kind in (smtplib.SMTP, smtplib.SMTP_SSL, smtplib.LMTP):
        for name in ["__init__"] + METHODS:
            parameters = inspect.signature(getattr(kind, name)).parameters.values()
            say((kind.__name__, name, [
                (x.name, x.kind.name, "the system's" if type(x.default) is object else x.default)
                for x in parameters]))


@case("quoteaddr and quotedata")
def _(smtplib, at, say):
    for address in ("a@b", "<a@b>", "Ann <a@b>", "", "<>", "no address", "<no address", "a b@c", '"a b"@c',
                    "a@b (comment)", "a@[192.0.2.1]", "ü@b", "Ann <a@b>, Bob <c@d>", "a@b\r\nc", "<<a@b>>",
                    "a@b>", "@r:a@b", " a@b "):
        say.of(smtplib.quoteaddr, address)
        say.of(smtplib._addr_only, address)
    for text in ("", ".", "..", ".a\n.b\r.c\r\n.d", "a\n\nb", "\r\r\n", "a.b\n", "ü\n"):
        say.of(smtplib.quotedata, text)
        say.of(smtplib._fix_eols, text)
        say.of(smtplib._quote_periods, text.encode())


# connecting

@case("an object that has not connected")
def _(smtplib, at, say):
    s = smtplib.SMTP(local_hostname=NAME)
    say(state(s), s.sock, s.file, s.local_hostname, s.command_encoding, s.source_address, s._host)
    for call in ((s.ehlo,), (s.helo,), (s.noop,), (s.rset,), (s.help,), (s.docmd, "NOOP"), (s.putcmd, "NOOP"),
                 (s.send, b"x"), (s.mail, ANN), (s.rcpt, BOB), (s.verify, BOB), (s.expn, "list"),
                 (s.data, b"x"), (s.sendmail, ANN, BOB, MESSAGE), (s.login, USER, PASSWORD), (s.starttls,),
                 (s.ehlo_or_helo_if_needed,), (s.quit,), (s.close,)):
        say.of(*call)


@case("getreply without a connection")
def _(smtplib, at, say):
    try:
        smtplib.SMTP(local_hostname=NAME).getreply()
    except (AttributeError, smtplib.SMTPServerDisconnected):
        say("an error")


@case("greeting, EHLO, QUIT, and the attributes at each step")
def _(smtplib, at, say):
    s = greeted(smtplib, at)
    say(state(s), s.sock is not None, s.local_hostname, s.timeout is socket._GLOBAL_DEFAULT_TIMEOUT, s._host)
    say(s.ehlo(), state(s))
    say(s.helo(), state(s))
    say(s.quit(), state(s), s.sock, s.file)


@case("connect gives the greeting, whatever it is",
      Script({"GREETING": ["220-one\r\n220 two", "554 5.7.1 no", "421 busy", "250 what"]}),
      why="a refused greeting is answered by QUIT (RFC 5321, 3.1), and ends the connection",
      both=dict(wire=telling((1, 0, 0, ["QUIT"]), (3, 0, 0, ["QUIT"]))))
def _(smtplib, at, say):
    for _ in range(4):
        s = smtplib.SMTP(local_hostname=NAME)
        say.of(s.connect, at.host, at.port)
        say(s.sock is None)
        s.close()


@case("a greeting of 554 is SMTPConnectError",
      Script({"GREETING": "554-5.7.1 no\r\n554 5.7.1 never"}),
      why="a refused greeting is answered by QUIT (RFC 5321, 3.1), and ends the connection",
      both=dict(wire=telling((0, 0, 0, ["QUIT"]))))
def _(smtplib, at, say):
    greeted(smtplib, at)


@case("a greeting of 421 is SMTPConnectError", Script({"GREETING": closing("421 4.3.2 busy")}))
def _(smtplib, at, say):
    greeted(smtplib, at)


@case("a greeting of 250 is SMTPConnectError", Script({"GREETING": "250 hello"}),
      why="a refused greeting is answered by QUIT (RFC 5321, 3.1), and ends the connection",
      both=dict(wire=telling((0, 0, 0, ["QUIT"]))))
def _(smtplib, at, say):
    greeted(smtplib, at)


@case("no greeting: the server closes", Script({"GREETING": LOST}))
def _(smtplib, at, say):
    greeted(smtplib, at)


@case("no greeting: garbage", Script({"GREETING": b"what?\r\n"}),
      why="what is no reply ends the connection",
      both=dict(raised=raised("SMTPConnectError", -1, b"the server does not speak SMTP: "
                       b'a line that does not begin with a reply code: "what?"')))
def _(smtplib, at, say):
    greeted(smtplib, at)


@case("a greeting that breaks off", Script({"GREETING": closing("220-half")}))
def _(smtplib, at, say):
    greeted(smtplib, at)


@case("host:port in one word",
      why="TLS is for the host that connect() was given",
      both=dict(said=saying({0: "127.0.0.1", 3: "127.0.0.1"})))
def _(smtplib, at, say):
    with smtplib.SMTP("%s:%d" % (at.host, at.port), local_hostname=NAME) as s:
        say(s._host, s.noop())
    s = smtplib.SMTP(local_hostname=NAME)
    say(s.connect("127.0.0.1:%d" % at.port), s._host, s.quit())


@case("a port that is no number, two colons")
def _(smtplib, at, say):
    for host in ("127.0.0.1:http", "127.0.0.1:", "127.0.0.1:2.5"):
        say.of(smtplib.SMTP, host, local_hostname=NAME, timeout=2)


@case("a port in a string, a host that is None")
def _(smtplib, at, say):
    with smtplib.SMTP(at.host, str(at.port), NAME) as s:
        say(s.noop())
    s = smtplib.SMTP(None, local_hostname=NAME)
    say(s.sock, s._host, s.connect(at.host, str(at.port)), s.quit())


@case("a port that refuses")
def _(smtplib, at, say):
    say.of(smtplib.SMTP, at.host, at.closed)
    say.of(smtplib.SMTP_SSL, at.host, at.closed)
    say.of(smtplib.LMTP, at.host, at.closed)
    s = smtplib.SMTP()
    say.of(s.connect, at.host, at.closed)
    say(s.sock)


@case("a host that does not exist")
def _(smtplib, at, say):
    say.of(smtplib.SMTP, "nowhere.invalid", 25)
    say.of(smtplib.SMTP, "a..b", 25)


@case("a port out of range")
def _(smtplib, at, say):
    say.of(smtplib.SMTP, at.host, 65536 + 25)
    say.of(smtplib.SMTP, at.host, -1)


@case("a timeout of zero is a mistake")
def _(smtplib, at, say):
    for kind in (smtplib.SMTP, smtplib.SMTP_SSL, smtplib.LMTP):
        say.of(kind, at.host, at.port, timeout=0)
    say.of(smtplib.LMTP, at.folder + "/unix", timeout=0)


@case("the timeout is the socket's")
def _(smtplib, at, say):
    for timeout in (7.5, None, 3):
        with greeted(smtplib, at, timeout=timeout) as s:
            say(s.timeout, s.sock.gettimeout(), s.noop(), s.sock.gettimeout())
    socket.setdefaulttimeout(11)
    with greeted(smtplib, at) as s:
        say(s.timeout is socket._GLOBAL_DEFAULT_TIMEOUT, s.sock.gettimeout(), s.noop(), s.sock.gettimeout())


@case("a greeting that does not come in time", Script({"GREETING": HANG}))
def _(smtplib, at, say):
    greeted(smtplib, at, timeout=1)


@case("a reply that does not come in time", Script({"NOOP": HANG}))
def _(smtplib, at, say):
    s = greeted(smtplib, at, timeout=1)
    say.of(s.noop)
    say(s.sock, s.file)
    say.of(s.noop)


@case("a timeout set on the socket by the program", Script({"NOOP": [None, HANG]}))
def _(smtplib, at, say):
    s = greeted(smtplib, at)
    s.sock.settimeout(1)
    say(s.noop())
    say.of(s.noop)


@case("a host that does not answer in time")
def _(smtplib, at, say):
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        waiting = [socket.create_connection(full.getsockname())]
        say.of(smtplib.SMTP, "127.0.0.1", full.getsockname()[1], timeout=1)
        del waiting


@case("a source address")
def _(smtplib, at, say):
    with greeted(smtplib, at, source_address=("127.0.0.9", 0)) as s:
        say(s.source_address, s.sock.getsockname()[0])
    s = smtplib.SMTP(local_hostname=NAME)
    s.connect(at.host, at.port, source_address=("127.0.0.8", 0))
    say(s.source_address, s.sock.getsockname()[0])
    s.quit()
    say.of(smtplib.SMTP, at.host, at.port, source_address=("203.0.113.1", 0))


@case("one object, several connections")
def _(smtplib, at, say):
    s = greeted(smtplib, at)
    for _ in range(3):
        say(s.sendmail(ANN, BOB, MESSAGE), s.quit(), state(s), s.connect(at.host, at.port))
    say(s.quit())


@case("close() forgets what EHLO said",
      why="what EHLO said does not outlive its connection",
      default=dict(wire=telling((1, 0, 0, ["EHLO " + NAME]))))
def _(smtplib, at, say):
    s = by_hand(smtplib, at)
    s.close()
    say(s.sock, state(s), s.connect(at.host, at.port)[0])
    say(s.sendmail(ANN, BOB, MESSAGE), s.quit())


@case("the name in EHLO, given at the call")
def _(smtplib, at, say):
    s = greeted(smtplib, at)
    say(s.ehlo("other.example"), s.helo("third.example"), s.ehlo(), s.local_hostname)
    s.local_hostname = "changed.example"
    say(s.ehlo(), s.quit())


@case("the name in EHLO, left to the module",
      why="no DNS query for the own name",
      default=dict(said=["[127.0.0.1]"], wire=[["EHLO [127.0.0.1]", "QUIT"]]))
def _(smtplib, at, say):
    socket.getfqdn = lambda *name: "fqdn.test.example"
    s = smtplib.SMTP(at.host, at.port)
    say(s.local_hostname)
    s.ehlo()
    s.quit()


# with

@case("with: QUIT at the end")
def _(smtplib, at, say):
    with greeted(smtplib, at) as s:
        say(s.noop())
    say(s.sock, s.file)


@case("with: QUIT is refused", Script({"QUIT": "500 no"}))
def _(smtplib, at, say):
    with greeted(smtplib, at) as s:
        pass


@case("with: the server has died", Script({"NOOP": closing("421 bye")}),
      why="nothing is written behind a 421",
      both=dict(wire=telling((0, 1, 1, []))))
def _(smtplib, at, say):
    with greeted(smtplib, at) as s:
        say(s.noop())
    say(s.sock)


@case("with: the server dies at QUIT", Script({"QUIT": LOST}))
def _(smtplib, at, say):
    with greeted(smtplib, at) as s:
        pass
    say(s.sock)


@case("with: an exception within passes, and QUIT is said")
def _(smtplib, at, say):
    with greeted(smtplib, at):
        raise KeyError("ours")


@case("with: the program has closed or quit before")
def _(smtplib, at, say):
    with greeted(smtplib, at) as s:
        s.quit()
    with greeted(smtplib, at) as s:
        s.close()
    say("fine")


@case("quit: another reply than 221, an end, twice",
      Script({"QUIT": ["250 what", LOST, "421 bye"]}))
def _(smtplib, at, say):
    for _ in range(3):
        s = by_hand(smtplib, at)
        say.of(s.quit)
        say(s.sock, state(s))
        say.of(s.quit)


# replies

@case("replies of every good form", Script({"NOOP": [
    "250-one\r\n250-two\r\n250 three", "250", "250 ", "250-\r\n250 ", "250 \t text \t ", "250-a\r\n250",
    b"250-lone\n250 line feeds\n", b"250 \xff\x80 octets\r\n", "250-" + "\r\n250-".join("x" * 300) + "\r\n250 x",
    "350 three", b"250 nul \0 within\r\n", b"250 \x1b[31m\r\n"]}))
def _(smtplib, at, say):
    s = greeted(smtplib, at)
    for _ in range(12):
        say(s.noop())
    say(s.quit())


@case("codes and separators that SMTP does not have",
      Script({"NOOP": ["199 one", "600 six", "250\ttab"]}),
      why="what is no reply ends the connection",
      both=dict(said=[lost(NOT_SMTP + x) for x in (
          'a reply code that SMTP does not have: "199 one"',
          'a reply code that SMTP does not have: "600 six"',
          'a reply code followed by neither space nor hyphen: "250\\x09tab"')]))
def _(smtplib, at, say):
    for _ in range(3):
        s = greeted(smtplib, at)
        say.of(s.noop)


@case("a reply in pieces",
      Script({"NOOP": [Said("250-one\r\n250 two"), Said("250 x", b"2", b"50 x\r", b"\n")]}))
def _(smtplib, at, say):
    with greeted(smtplib, at) as s:
        say(s.noop(), s.noop())


@case("lines of one reply with several codes", Script({"NOOP": "250-one\r\n251-two\r\n550 three"}),
      why="what is no reply ends the connection",
      both=dict(said=[lost(NOT_SMTP + 'different codes in the lines of one reply: "251-two"')]))
def _(smtplib, at, say):
    s = greeted(smtplib, at)
    say.of(s.noop)


@case("a reply that is none", Script({"NOOP": b"what?\r\n"}),
      why="what is no reply ends the connection",
      both=dict(said=[CODELESS]))
def _(smtplib, at, say):
    s = greeted(smtplib, at)
    say.of(s.noop)


@case("a line of 8,192 octets", Script({"NOOP": "250 " + "x" * (8192 - 6)}))
def _(smtplib, at, say):
    with greeted(smtplib, at) as s:
        say(s.noop())


@case("a line of 8,193 octets", Script({"NOOP": "250 " + "x" * (8193 - 6)}))
def _(smtplib, at, say):
    s = greeted(smtplib, at)
    say.of(s.noop)
    say(s.sock)
    say.of(s.noop)


@case("a line too long behind a good one", Script({"NOOP": "250-one\r\n250 " + "x" * 10000}))
def _(smtplib, at, say):
    s = greeted(smtplib, at)
    say.of(s.noop)
    say(s.sock)


@case("a limit for lines that the program sets",
      Script({"NOOP": ["250 " + "x" * 94, "250 " + "x" * 95]}))
def _(smtplib, at, say):
    smtplib._MAXLINE = 100
    s = greeted(smtplib, at)
    say.of(s.noop)
    say.of(s.noop)


@case("an end in the middle of a reply", Script({"NOOP": closing("250-half")}))
def _(smtplib, at, say):
    s = greeted(smtplib, at)
    say.of(s.noop)
    say(s.sock, s.file)
    say.of(s.noop)


@case("an end in the middle of a line",
      Script({"NOOP": lambda c, line: c.send(b"250 ha") or c.close()}),
      why="what is no reply ends the connection",
      both=dict(said=[lost()]))
def _(smtplib, at, say):
    s = greeted(smtplib, at)
    say.of(s.noop)


@case("a connection that is reset", Script({"NOOP": lambda c, line: c.reset()}))
def _(smtplib, at, say):
    s = greeted(smtplib, at)
    try:
        s.noop()
    except smtplib.SMTPServerDisconnected as e:
        say(str(e)[:31], s.sock)


@case("421 to a command, and the server closes", Script({"NOOP": closing("421 4.3.2 going down")}),
      why="nothing is written behind a 421",
      both=dict(wire=telling((0, 1, 1, []))))
def _(smtplib, at, say):
    s = greeted(smtplib, at)
    say.of(s.noop)
    say.of(s.noop)
    say.of(s.noop)


# EHLO

@case("keywords of EHLO", Script(keywords=(
    "SIZE 1000", "size 2000", "8BITMIME", "X-One a b  c", "AUTH PLAIN LOGIN", "AUTH=LOGIN", "AUTH CRAM-MD5",
    "auth=DIGEST-MD5", "Mixed-Case Value", "DSN ", " LEADING", "_ODD x", "A", "9NINE", "KEY\tTAB", "HELP")),
      why="a tab does not end a keyword",
      both=dict(said=lambda said: [x.replace("'key': 'TAB', ", "") for x in said]))
def _(smtplib, at, say):
    with greeted(smtplib, at) as s:
        say(s.ehlo(), s.esmtp_features)
        for name in ("size", "SIZE", "Size", "mixed-case", "nothing", "auth", "x-one", ""):
            say(s.has_extn(name))


@case("EHLO twice forgets the first",
      Script({"EHLO": ["250-x\r\n250-ONE\r\n250 TWO", "250-x\r\n250 THREE", "250 x"]}))
def _(smtplib, at, say):
    with greeted(smtplib, at) as s:
        for _ in range(3):
            say(s.ehlo(), state(s))


@case("EHLO is not known, HELO is", Script({"EHLO": "502 5.5.1 what?", "HELO": "250 hello"}),
      why="options are not dropped without a word for a server that knows HELO alone",
      default=dict(said=[], wire=telling((0, 2, 4, [])), raised=raised(
          "SMTPNotSupportedError", "the server knows HELO only, which has no options")))
def _(smtplib, at, say):
    with greeted(smtplib, at) as s:
        say(s.sendmail(ANN, BOB, MESSAGE, ["BODY=8BITMIME"], ["NOTIFY=NEVER"]), state(s))


@case("EHLO is refused, HELO is not", Script({"EHLO": "550 5.7.1 no", "HELO": "250 hello"}),
      why="HELO only where RFC 5321, 3.2 has it",
      default=dict(said=[], raised=raised("SMTPHeloError", 550, b"5.7.1 no"),
                   wire=telling((0, 1, 5, []))))
def _(smtplib, at, say):
    with greeted(smtplib, at) as s:
        say(s.sendmail(ANN, BOB, MESSAGE), state(s))


@case("neither EHLO nor HELO", Script({"EHLO": "502 5.5.1 what?", "HELO": "504 5.5.1 no"}))
def _(smtplib, at, say):
    with greeted(smtplib, at) as s:
        say.of(s.ehlo_or_helo_if_needed)
        say(state(s))
        say.of(s.ehlo_or_helo_if_needed)


@case("421 to EHLO", Script({"EHLO": closing("421 4.3.2 busy")}))
def _(smtplib, at, say):
    s = greeted(smtplib, at)
    say.of(s.ehlo)
    say(state(s))


@case("451 to EHLO by hand", Script({"EHLO": "451 4.3.0 later"}))
def _(smtplib, at, say):
    s = greeted(smtplib, at)
    say(s.ehlo(), state(s), s.noop())


@case("the server closes at EHLO", Script({"EHLO": LOST}))
def _(smtplib, at, say):
    s = greeted(smtplib, at)
    say.of(s.ehlo)
    say(s.sock)


@case("EHLO is answered by an empty line", Script({"EHLO": b"\r\n"}),
      why="what is no reply ends the connection",
      both=dict(said=saying({0: lost(
          NOT_SMTP + "a line that does not begin with a reply code")})))
def _(smtplib, at, say):
    s = greeted(smtplib, at)
    say.of(s.ehlo)
    say(s.sock)


@case("ehlo_or_helo_if_needed says it once")
def _(smtplib, at, say):
    with greeted(smtplib, at) as s:
        say(s.ehlo_or_helo_if_needed(), s.ehlo_or_helo_if_needed(), state(s))
    with greeted(smtplib, at) as s:
        s.helo()
        say(s.ehlo_or_helo_if_needed(), state(s))


# commands

@case("noop, rset, help, verify, vrfy, expn", Script({
    "HELP": ["214-one\r\n214 two", "214 topic"], "VRFY": ["252 maybe", "550 no", "250 <a@b>"],
    "EXPN": "250-<a@b>\r\n250 <c@d>"}))
def _(smtplib, at, say):
    with greeted(smtplib, at) as s:
        say(s.noop(), s.rset(), s.help(), s.help("MAIL"), s.verify("Ann <a@b>"), s.vrfy("a"),
            s.verify("<a@b>"), s.expn("list"), s.expn("List <list@b>"))


@case("docmd and putcmd write what they are given", Script({"XFOO": "250 foo", "XBAR": "555 bar"}))
def _(smtplib, at, say):
    with greeted(smtplib, at) as s:
        say(s.docmd("XFOO"), s.docmd("XFOO", "a b"), s.docmd("XBAR a", "b"), s.docmd("noop", ""),
            s.docmd("NOOP", "x" * 600))
        s.putcmd("NOOP")
        s.putcmd("XFOO", "c")
        say(s.getreply(), s.getreply())


@case("CR and LF do not pass a command",
      why="a line end in an address is never left out without a word",
      both=dict(said=saying({12 * i + at: raised("ValueError", PROHIBITED + text)
                             for i, text in enumerate(("a\\r\\nNOOP", "a\\n", "a\\r", "\\r\\n"))
                             for at in (3, 4)}),
                wire=telling((0, 1, 2, []), (0, 5, 2, []), (0, 9, 2, []))))
def _(smtplib, at, say):
    with by_hand(smtplib, at) as s:
        for text in ("a\r\nNOOP", "a\n", "a\r", "\r\n"):
            for call in ((s.docmd, text), (s.docmd, "NOOP", text), (s.putcmd, text), (s.mail, text),
                         (s.rcpt, text), (s.verify, text), (s.expn, text), (s.help, text), (s.ehlo, text),
                         (s.helo, text), (s.mail, ANN, ["X=" + text]), (s.rcpt, ANN, [text])):
                say.of(*call)
        say(s.noop())


@case("send writes octets, and text as command_encoding")
def _(smtplib, at, say):
    with greeted(smtplib, at) as s:
        s.send(b"NOOP\r\n")
        say(s.getreply())
        s.send("noop\r\n")
        say(s.getreply())
        s.command_encoding = "utf-8"
        s.send("NOOP ü\r\n")
        say(s.getreply(), s.command_encoding)
        s.rset()
        say(s.command_encoding)


@case("send of text beyond ASCII")
def _(smtplib, at, say):
    s = greeted(smtplib, at)
    say.of(s.send, "NOOP ü\r\n")
    s.close()


@case("a message by hand, command by command")
def _(smtplib, at, say):
    with by_hand(smtplib, at) as s:
        say(s.mail(ANN), s.rcpt(BOB), s.rcpt("Carol <%s>" % CAROL), s.data("Subject: x\n\n.dot\n..\nend"))
        say(s.mail("<>"), s.rcpt(BOB), s.data(b"Subject: y\r\n\r\n.dot\r\n"), s.rset())


@case("commands by hand that are refused", Script({
    "MAIL": ["550 5.7.1 no", None], "RCPT": ["450 4.2.1 later", "251 will forward"],
    "DATA": ["451 4.3.0 later", None, None], "BODY": ["554 5.7.1 spam", None]}))
def _(smtplib, at, say):
    with by_hand(smtplib, at) as s:
        say(s.mail(ANN), s.mail(ANN), s.rcpt(BOB), s.rcpt(CAROL))
        say.of(s.data, "x")
        say.of(s.data, "x")
        say(s.mail(ANN), s.rcpt(BOB))
        say.of(s.data, "x")


@case("data by hand with text beyond ASCII",
      why="text is UTF-8",
      default=dict(said=saying({2: (250, b"2.0.0 Ok: queued as TEST1")}),
                   wire=telling((0, 4, 0, ["l\xc3\xa4uft\r\n.\r\n"]))))
def _(smtplib, at, say):
    s = by_hand(smtplib, at)
    say(s.mail(ANN), s.rcpt(BOB))
    say.of(s.data, "läuft")
    s.close()


@case("a message by docmd and send")
def _(smtplib, at, say):
    with greeted(smtplib, at) as s:
        say(s.docmd("EHLO", NAME), s.docmd("MAIL FROM:<%s>" % ANN), s.docmd("RCPT", "TO:<%s>" % BOB),
            s.docmd("DATA"))
        s.send("Subject: x\r\n\r\n..dot\r\n.\r\n")
        say(s.getreply())


@case("mail and rcpt with options", Script(keywords=KEYWORDS + ("DSN",)))
def _(smtplib, at, say):
    with by_hand(smtplib, at) as s:
        say(s.mail(ANN, ["SIZE=5", "RET=HDRS", "ENVID=x"]), s.rcpt(BOB, ["NOTIFY=NEVER"]),
            s.rcpt(CAROL, ("NOTIFY=SUCCESS,DELAY", "ORCPT=rfc822;c@d")), s.rset(), s.mail(ANN, ()))


@case("options are dropped for a server that knows HELO alone",
      Script({"EHLO": "502 what?", "HELO": "250 hello"}),
      why="options are not dropped without a word for a server that knows HELO alone",
      default=dict(wire=telling((0, 1, 2, [])), said=[raised(
          "SMTPNotSupportedError", "the server knows HELO only, which has no options")] * 2))
def _(smtplib, at, say):
    with greeted(smtplib, at) as s:
        s.helo()
        say.of(s.mail, ANN, ["BODY=8BITMIME"])
        say.of(s.rcpt, BOB, ["NOTIFY=NEVER"])


@case("mail before EHLO",
      why="MAIL says EHLO before, where that is needed",
      default=dict(wire=telling((0, 0, 0, ["EHLO " + NAME])), said=lambda said: said[:2] + [repr(
          (None, b"\n".join([b"peer.test.example", *(x.encode() for x in KEYWORDS)]), True,
           {x.split()[0].lower(): x.partition(" ")[2] for x in KEYWORDS}))]))
def _(smtplib, at, say):
    with greeted(smtplib, at) as s:
        say(s.mail(ANN), s.rcpt(BOB), state(s))
