# SPDX-License-Identifier: MIT
"""What `posthaste probe` prints, whole, against a scripted server; with what changes from run to
run made the same (`probe.CHANGING`)."""
import re

import harness
from harness import equal
from peer import LOST, Peer
from probe import run, unchanging
from scram import Scram

ANN, BOB, CAROL = "ann@sender.example", "bob@test.example", "carol@test.example"
PASSWORD = "correct horse"
WARNING = r"posthaste: warning: a password on the command line [^\n]*\n"
LOGIN = ("-au", "ann", "-ap", PASSWORD)

BEGIN = """\
=== Trying 127.0.0.1:PORT...
=== Connected to 127.0.0.1.
<-  220 peer.test.example ESMTP
=== response in TIMEs
"""
HELLO = """\
 -> EHLO client.example
<-  250-peer.test.example
<-  250-PIPELINING
<-  250-SIZE 1073741824
<-  250-8BITMIME
<-  250 ENHANCEDSTATUSCODES
=== response in TIMEs
"""
ENVELOPE = """\
 -> MAIL FROM:<ann@sender.example>
<-  250 2.1.0 Ok
=== response in TIMEs
 -> RCPT TO:<bob@test.example>
<-  250 2.1.5 Ok
=== response in TIMEs
"""
DATA = """\
 -> DATA
<-  354 go ahead
=== response in TIMEs
"""
MESSAGE = """\
 -> Date: DATE
 -> To: bob@test.example
 -> From: ann@sender.example
 -> Subject: test DATE
 -> Message-Id: <ID>
 -> X-Mailer: MAILER
 ->\x20
 -> This is a test mailing
 -> .
"""
TAKEN = """\
<-  250 2.0.0 Ok: queued as TEST1
=== response in TIMEs
"""
CLOSED = "=== Connection closed with remote host.\n"
END = """\
 -> QUIT
<-  221 2.0.0 Bye
=== response in TIMEs
""" + CLOSED


TIME = "=== response in TIMEs\n"


def secure(text):
    """The same under TLS."""
    return re.sub(r"(?m)^( |<)-", r"\1~", re.sub(r"(?m)^<\*\*", "<~*", text))


def problem(text):
    """The expression for a line on standard error that begins with it."""
    return re.escape("*** " + text) + "[^\n]*\n"


def dialogue(title, *words, expected, status=0, to=(BOB,), stderr="", hides=(), tls=False,
             stdin=b"",
             **peer):
    """What is printed must be `expected`, which is a text or a function of the test's Env; `stderr`
    is an expression for what stands there."""
    def compare(env):
        context = env.certificate.context() if tls or peer.get("implicit") else None
        with Peer(context=context, **peer) as server:
            recipients = ("-t", ",".join(to)) if to else ()
            given = [env.ca.file if x == "CA" else x for x in words]
            result = run(env, "-s", "127.0.0.1:%d" % server.port, "-h", "client.example", "-f", ANN,
                         *recipients, *given, stdin=stdin)
        same(unchanging(result.stdout), expected(env) if callable(expected) else expected)
        equal(result.status, status, "exit status")
        warning = WARNING if "-ap" in words else ""
        assert re.fullmatch(warning + stderr, result.stderr), "standard error: " + result.stderr
        for secret in hides:
            assert secret not in result.stdout + result.stderr, "a secret was shown"

    compare.servers = ()
    harness.cell("probe prints: " + title, compare)


def same(got, want):
    got, want = got.splitlines(), want.splitlines()
    for number, (a, b) in enumerate(zip(got + [None] * len(want), want + [None] * len(got)), 1):
        if a != b:
            raise AssertionError("line %d: got %r, want %r" % (number, a, b))
        if a is None:
            return



def hello(*keywords):
    lines = ("peer.test.example",) + keywords
    return " -> EHLO client.example\n" + "".join(
        "<-  250%s%s\n" % (" -"[i + 1 < len(lines)], x) for i, x in enumerate(lines)) + TIME


def answer(command, *reply):
    """A command and its reply, with the marks for a refusal where it is one."""
    mark = "<- " if reply[-1][0] in "23" else "<**"
    return " -> %s\n" % command + "".join("%s %s\n" % (mark, x) for x in reply) + TIME


def greeted(reply):
    return BEGIN.replace("220 peer.test.example ESMTP", reply)


# what goes well

dialogue("a delivery", expected=BEGIN + HELLO + ENVELOPE + DATA + MESSAGE + TAKEN + END)

dialogue("replies of several lines", "-q", "rcpt",
         replies={"GREETING": "220-peer.test.example\r\n220-is\r\n220 here",
                  "MAIL": "250-2.1.0 Ok\r\n250-2.1.0 and\r\n250 2.1.0 more"},
         expected=BEGIN.replace("<-  220 peer.test.example ESMTP\n", "<-  220-peer.test.example\n"
                                "<-  220-is\n<-  220 here\n")
         + HELLO + answer("MAIL FROM:<ann@sender.example>", "250-2.1.0 Ok", "250-2.1.0 and",
                          "250 2.1.0 more")
         + answer("RCPT TO:<bob@test.example>", "250 2.1.5 Ok") + END)

dialogue("EHLO refused, and HELO", "-q", "helo",
         replies={"EHLO": "502 5.5.1 what?", "HELO": "250 peer"},
         expected=BEGIN + answer("EHLO client.example", "502 5.5.1 what?")
         + answer("HELO client.example", "250 peer") + END)

for _stage, _expected in (("connect", ""), ("ehlo", HELLO), ("auth", HELLO),
                          ("mail",
                           HELLO + answer("MAIL FROM:<ann@sender.example>", "250 2.1.0 Ok")),
                          ("rcpt", HELLO + ENVELOPE)):
    dialogue("--quit-after " + _stage, "--quit-after", _stage, expected=BEGIN + _expected + END)

DROPPED = "=== Dropping connection\n"
dialogue("--quit-after data", "--quit-after", "data",
         expected=BEGIN + HELLO + ENVELOPE + DATA + DROPPED)
dialogue("--drop-after mail", "--drop-after", "mail", expected=BEGIN + HELLO
         + answer("MAIL FROM:<ann@sender.example>", "250 2.1.0 Ok") + DROPPED)
dialogue("--drop-after body", "--drop-after", "body",
         expected=BEGIN + HELLO + ENVELOPE + DATA + MESSAGE + TAKEN + DROPPED)
dialogue("--drop-after-send rcpt", "--drop-after-send", "rcpt",
         expected=BEGIN + HELLO + answer("MAIL FROM:<ann@sender.example>", "250 2.1.0 Ok")
         + " -> RCPT TO:<bob@test.example>\n" + DROPPED)

# TLS

KEYWORDS = ("PIPELINING", "SIZE 1073741824", "8BITMIME", "ENHANCEDSTATUSCODES")
STARTED = """\
=== TLS started with cipher TLSv1.3:CIPHER
=== TLS no local certificate set
=== TLS peer DN="CN=server"
"""
UNVERIFIED = problem("TLS peer NOT verified: the certificate of 127.0.0.1 was not signed by") + ".*"
dialogue("STARTTLS", "-tls", "-q", "ehlo", tls=True, stderr=UNVERIFIED,
         expected=BEGIN + hello(*KEYWORDS, "STARTTLS")
         + answer("STARTTLS", "220 2.0.0 go ahead") + STARTED + secure(HELLO + END))
dialogue("STARTTLS, verified", "--tls", "starttls", "--ca-file", "CA", "-q", "tls", tls=True,
         expected=BEGIN + hello(*KEYWORDS, "STARTTLS")
         + answer("STARTTLS", "220 2.0.0 go ahead") + STARTED
         + "=== TLS peer verified for 127.0.0.1\n" + secure(END))
dialogue("STARTTLS demanded and not offered", "-tls", status=29,
         stderr=problem("Host did not advertise STARTTLS"),
         expected=BEGIN + HELLO + END)
dialogue("STARTTLS refused", "-tls", status=29, tls=True,
         stderr=problem("STARTTLS attempted but failed")
         + problem("Hint: the server offers TLS and cannot do it"),
         replies={"STARTTLS": "454 4.7.0 not now"},
         expected=BEGIN + hello(*KEYWORDS, "STARTTLS")
         + answer("STARTTLS", "454 4.7.0 not now") + CLOSED)
dialogue("TLS from the first octet", "-tlsc", "-q", "ehlo", implicit=True, stderr=UNVERIFIED,
         expected=BEGIN.replace("<-  220", STARTED + "<~  220") + secure(HELLO + END))

# logins

HIDDEN = "235 2.7.0 authenticated"
dialogue("AUTH PLAIN", *LOGIN, "-a", "PLAIN", "-q", "auth", keywords=("AUTH PLAIN",),
         hides=(PASSWORD,),
         expected=BEGIN + hello("AUTH PLAIN") + answer("AUTH PLAIN [hidden]", HIDDEN) + END)
dialogue("AUTH PLAIN, shown", *LOGIN, "-a", "PLAIN", "-q", "auth", "--show-secrets",
         keywords=("AUTH PLAIN",),
         expected=BEGIN + hello("AUTH PLAIN")
         + answer("AUTH PLAIN AGFubgBjb3JyZWN0IGhvcnNl", HIDDEN) + END)


def auth_login(connection, line):
    for prompt in (b"334 VXNlcm5hbWU6\r\n", b"334 UGFzc3dvcmQ6\r\n"):
        connection.send(prompt)
        connection.line()
    return HIDDEN


def login_said(user, prompt, password):
    """Behind the first secret a challenge is hidden, too: the server might repeat it there."""
    return (BEGIN + hello("AUTH LOGIN") + answer("AUTH LOGIN", "334 VXNlcm5hbWU6")
            + answer(user, "334 " + prompt) + answer(password, HIDDEN) + END)


dialogue("AUTH LOGIN", *LOGIN, "-a", "LOGIN", "-q", "auth", keywords=("AUTH LOGIN",),
         replies={"AUTH": auth_login}, hides=(PASSWORD,),
         expected=login_said("[hidden]", "[hidden]", "[hidden]"))
dialogue("AUTH LOGIN, shown", *LOGIN, "-a", "LOGIN", "-q", "auth", "--show-secrets",
         keywords=("AUTH LOGIN",), replies={"AUTH": auth_login},
         expected=login_said("YW5u", "UGFzc3dvcmQ6", "Y29ycmVjdCBob3JzZQ=="))
dialogue("AUTH SCRAM-SHA-256", *LOGIN, "-a", "SCRAM-SHA-256", "-q", "auth",
         keywords=("AUTH SCRAM-SHA-256",), hides=(PASSWORD,),
         replies={"AUTH": lambda c, line: Scram(PASSWORD).talk(c, line)},
         expected=BEGIN + hello("AUTH SCRAM-SHA-256")
         + answer("AUTH SCRAM-SHA-256 [hidden]", "334 CHALLENGE")
         + answer("[hidden]", "334 [hidden]") + answer("[hidden]", "235 2.7.0 in") + END)
dialogue("a login refused", *LOGIN, "-a", "PLAIN", status=28,
         stderr=problem("No authentication type succeeded") + problem("Hint: check user name"),
         keywords=("AUTH PLAIN LOGIN",),
         replies={"AUTH": "535 5.7.8 wrong"}, hides=(PASSWORD,),
         expected=BEGIN + hello("AUTH PLAIN LOGIN") + answer("AUTH PLAIN [hidden]",
                                                             "535 5.7.8 wrong")
         + END)

# refusals

dialogue("no service", status=21, replies={"GREETING": "554 5.3.2 no service"},
         stderr=problem("Hint: the server takes no mail from this IP address"),
         expected=greeted("554 5.3.2 no service").replace("<-  554", "<** 554")
         + " -> QUIT\n" + CLOSED)     # which the library says, and does not wait
dialogue("MAIL refused", status=23, replies={"MAIL": "550 5.7.1 not you"},
         expected=BEGIN + HELLO + answer("MAIL FROM:<ann@sender.example>",
                                         "550 5.7.1 not you") + END)
dialogue("421 at MAIL", status=23, replies={"MAIL": "421 4.3.0 closing"},
         expected=BEGIN + HELLO + answer("MAIL FROM:<ann@sender.example>", "421 4.3.0 closing")
         + CLOSED)
REFUSED, GOOD = "550 5.1.1 nobody", "250 2.1.5 Ok"
TO_BOTH = MESSAGE.replace("To: bob@test.example", "To: bob@test.example,carol@test.example")


def two_recipients(first, second):
    return (answer("MAIL FROM:<ann@sender.example>", "250 2.1.0 Ok")
            + answer("RCPT TO:<bob@test.example>", first)
            + answer("RCPT TO:<carol@test.example>", second))


dialogue("one of two recipients refused", to=(BOB, CAROL), replies={"RCPT": [REFUSED]},
         expected=BEGIN + HELLO + two_recipients(REFUSED, GOOD) + DATA + TO_BOTH + TAKEN + END)
dialogue("both recipients refused", to=(BOB, CAROL), status=24, replies={"RCPT": REFUSED},
         stderr=problem("Hint: the server knows no such mailbox"),
         expected=BEGIN + HELLO + two_recipients(REFUSED, REFUSED) + END)
dialogue("DATA refused", status=25, replies={"DATA": "554 5.7.1 no"},
         expected=BEGIN + HELLO + ENVELOPE + answer("DATA", "554 5.7.1 no") + END)
dialogue("a refusal that was expected needs no hint", "-q", "rcpt", "--expect", "5.1.1",
         replies={"RCPT": REFUSED},
         expected=BEGIN + HELLO + answer("MAIL FROM:<ann@sender.example>", "250 2.1.0 Ok")
         + answer("RCPT TO:<bob@test.example>", REFUSED) + END)
dialogue("of many runs the first failure, once", "-q", "rcpt", "--repeat", "3", status=24,
         replies={"RCPT": REFUSED}, expected="3 of 3 runs failed; their times are not counted.\n",
         stderr=problem("the server refused RCPT: 550 5.1.1 nobody")
         + problem("Hint: the server knows no such mailbox"))
dialogue("the message refused", status=26, replies={"BODY": "550 5.7.1 spam"},
         stderr=problem("Hint: the receiver takes the message for spam"),
         expected=BEGIN + HELLO + ENVELOPE + DATA + MESSAGE + "<** 550 5.7.1 spam\n" + TIME + END)

# servers that fail

GONE = problem("Remote host closed connection unexpectedly.")
dialogue("the connection lost at MAIL", status=6, stderr=GONE, replies={"MAIL": LOST},
         expected=BEGIN + HELLO + " -> MAIL FROM:<ann@sender.example>\n")
dialogue("the connection lost behind the message", status=6, stderr=GONE, replies={"BODY": LOST},
         expected=BEGIN + HELLO + ENVELOPE + DATA + MESSAGE)
dialogue("garbage", status=23, replies={"MAIL": "what \x1b[31mis this"},
         stderr=problem("the server's answer is not SMTP: a line that does not begin with a reply "
                        "code: "
                        "\"what \\x1B[31mis this\""),
         expected=BEGIN + HELLO + " -> MAIL FROM:<ann@sender.example>\n")
dialogue("control characters", "-q", "mail", replies={
    "MAIL": b"250 2.1.0 \x1b[31mred\x07 \xc2\x9b31m \xe2\x80\xaeback \xff\r\n"},
         expected=BEGIN + HELLO + " -> MAIL FROM:<ann@sender.example>\n"
         "<-  250 2.1.0 \\x1B[31mred\\x07 \\xC2\\x9B31m \\xE2\\x80\\xAEback \\xFF\n" + TIME + END)

# pipelining

def flight(recipients, *replies):
    """Each reply with its own time."""
    sent = ["MAIL FROM:<ann@sender.example>", *("RCPT TO:<%s>" % x for x in recipients), "DATA"]
    return "".join(" -> %s\n" % x for x in sent) + "".join(
        "%s %s\n" % ("<- " if x[0] in "23" else "<**", x) + TIME for x in replies)


dialogue("--pipeline", "--pipeline", expected=BEGIN + HELLO
         + flight([BOB], "250 2.1.0 Ok", GOOD, "354 go ahead") + MESSAGE + TAKEN + END)
dialogue("--pipeline, one of two recipients refused", "--pipeline", to=(BOB, CAROL),
         replies={"RCPT": [REFUSED]}, expected=BEGIN + HELLO
         + flight([BOB, CAROL], "250 2.1.0 Ok", REFUSED, GOOD,
                  "354 go ahead") + TO_BOTH + TAKEN + END)
dialogue("--pipeline, not offered", "--pipeline", keywords=("SIZE 1000",),
         expected=BEGIN + hello("SIZE 1000")
         + "=== PIPELINING is not offered: a command at a time\n"
         + ENVELOPE + DATA + MESSAGE + TAKEN + END)

# instead of a transaction

dialogue("--verify", "--verify", "bob", to=(), replies={"VRFY": "252 2.5.0 perhaps"},
         expected=BEGIN + HELLO + answer("VRFY bob", "252 2.5.0 perhaps") + END)
dialogue("--expand", "--expand", "list", to=(), status=31, replies={"EXPN": "550 5.7.1 no"},
         expected=BEGIN + HELLO + answer("EXPN list", "550 5.7.1 no") + END)
dialogue("--server-help", "--server-help", "MAIL", to=(),
         replies={"HELP": "214-2.0.0 a\r\n214 2.0.0 b"},
         expected=BEGIN + HELLO + answer("HELP MAIL", "214-2.0.0 a", "214 2.0.0 b") + END)
dialogue("--raw", "--raw", to=(), stdin=b"EHLO me\nNOOP\nVRFY x\nQUIT\n",
         replies={"VRFY": "550 no"},
         expected=BEGIN + HELLO.replace("client.example", "me") + answer("NOOP", "250 2.0.0 Ok")
         + answer("VRFY x", "550 no") + END)

# reports

dialogue("--capabilities", "-tls", "--capabilities", to=(), tls=True,
         keywords=("AUTH PLAIN", "SIZE 1000"),
         stderr=UNVERIFIED, expected=BEGIN + hello("AUTH PLAIN", "SIZE 1000", "STARTTLS")
         + answer("STARTTLS", "220 2.0.0 go ahead") + STARTED
         + secure(hello("AUTH PLAIN", "SIZE 1000") + END) + """
   Keyword   Before TLS  Under TLS  What it is
   AUTH      PLAIN       PLAIN      log in, by these mechanisms (RFC 4954)
   SIZE      1000        1000       octets that a message may have (RFC 1870)
-  STARTTLS  yes         -          goes on under TLS (RFC 3207)
(+ only under TLS, - only before it, ~ otherwise under TLS)
Warning: AUTH is offered in clear, with mechanisms that send the password itself: who listens can
         read it. Offer AUTH only under TLS (Postfix: smtpd_tls_auth_only = yes; Exim:
         auth_advertise_hosts = ${if eq{$tls_in_cipher}{}{}{*}})
""")
