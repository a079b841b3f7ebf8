# SPDX-License-Identifier: MIT
"""posthaste.smtplib against the standard library's, on `posthaste sink`, on Postfix and on Dovecot: what
they answered, what they were told, what they kept. See smtplib_oracle.py."""
import email.message

import postfix
import dovecot
from server import LATER, NOBODY, REFUSED_SENDER, UNICODE, USERS
from smtplib_oracle import (BOB, CAROL, NAME, PASSWORD, TRUSTED, USER, Real, Sink, case, not_ascii, own,
                            telling)
from harness import SENDER, test

DAVE = "dave@test.example"
HEAD = ("From: Sender <sender@sender.example>\r\nTo: bob@test.example\r\nSubject: oracle\r\n"
        "Date: Tue, 1 Oct 2024 12:00:00 +0000\r\nMessage-ID: <oracle@sender.example>\r\n")
MESSAGE = HEAD + "\r\nHello.\r\n.dot\r\n..\r\nend\r\n"


def real(sentence, port=None, **more):
    """A case on a real server: these share mailboxes, and follow each other."""
    boxes = more.pop("boxes", "postfix")
    path = more.pop("path", None)
    return case(sentence, Real(port, path, boxes), registered=test, **more)


# the sink

def logged_in(*options):
    return Sink("--users", "{users}", "--allow-clear-auth", "--no", "STARTTLS,CHUNKING", *options)


@case("sink: messages, and what it has recorded of them",
      Sink("--no", "CHUNKING,STARTTLS,FUTURERELEASE"))
def _(smtplib, at, say):
    with smtplib.SMTP(at.host, at.port, NAME) as s:
        say(s.ehlo(), s.esmtp_features)
        say(s.sendmail(SENDER, [BOB, CAROL], MESSAGE), s.sendmail("<>", BOB, MESSAGE.encode()))
        say(s.sendmail(SENDER, BOB, HEAD + "\r\n" + "x" * 900 + "\r\n", ["RET=HDRS", "ENVID=a"],
                       ["NOTIFY=NEVER"]))
        say(s.verify("bob"), s.expn("list"), s.help()[:3], s.noop(), s.rset())


@case("sink: CHUNKING is offered", Sink("--no", "STARTTLS"))
def _(smtplib, at, say):
    with smtplib.SMTP(at.host, at.port, NAME) as s:
        say(s.sendmail(SENDER, [BOB, CAROL], MESSAGE))


@case("sink: refusals by rule",
      Sink("--no", "CHUNKING,STARTTLS", "--rule", "rcpt:/^bob@/ 550 5.1.1 no bob",
                                    "--rule", "rcpt:/^carol@/ 450 4.2.1 later", "--rule",
                                    "mail:/^evil@/ 550 5.7.1 go away"))
def _(smtplib, at, say):
    with smtplib.SMTP(at.host, at.port, NAME) as s:
        say.of(s.sendmail, SENDER, [BOB, DAVE, CAROL], MESSAGE)
        say.of(s.sendmail, SENDER, [DAVE], MESSAGE)


@case("sink: PLAIN, LOGIN as the program chooses", logged_in(),
      why="AUTH LOGIN has no initial response: not every server takes one",
      default=dict(wire=telling((1, 1, 1, ["AUTH LOGIN", "dGlt"]))))
def _(smtplib, at, say):
    for mechanism in ("PLAIN", "LOGIN"):
        with smtplib.SMTP(at.host, at.port, NAME) as s:
            s.ehlo()
            s.esmtp_features["auth"] = mechanism
            say(s.login(USER, PASSWORD), s.sendmail(SENDER, BOB, MESSAGE))


@case("sink: a wrong password", logged_in("--auth", "PLAIN", "--require-auth"),
      why="commands go ahead of the replies",
      default=dict(wire=telling((0, 3, 1, ["RCPT TO:<%s>" % BOB, "DATA"]))))
def _(smtplib, at, say):
    with smtplib.SMTP(at.host, at.port, NAME) as s:
        say.of(s.login, USER, "wrong")
        say.of(s.sendmail, SENDER, BOB, MESSAGE)


@case("sink: STARTTLS, verified", Sink("--ca-out", "{ca}", "--require-tls"))
def _(smtplib, at, say):
    with smtplib.SMTP("localhost", at.port, NAME) as s:
        say(s.starttls(context=own(at)), s.sendmail(SENDER, [BOB], MESSAGE))


@case("sink: LMTP with two recipients, one after the other",
      Sink("--no", "CHUNKING,STARTTLS", scheme="lmtp"))
def _(smtplib, at, say):
    with smtplib.LMTP(at.host, at.port, NAME) as s:
        say(s.sendmail(SENDER, [BOB], MESSAGE), s.sendmail(SENDER, [CAROL], MESSAGE))


@case("sink: octets of every value", Sink("--no", "CHUNKING,STARTTLS"))
def _(smtplib, at, say):
    body = bytes(x for x in range(1, 256) if x not in (10, 13))
    with smtplib.SMTP(at.host, at.port, NAME) as s:
        say(s.sendmail(SENDER, BOB, HEAD.encode() + b"\r\n" + body + b"\r\n", ["BODY=8BITMIME"]))


# Postfix

@real("Postfix: messages, delivered as they were sent", postfix.DATA_ONLY)
def _(smtplib, at, say):
    with smtplib.SMTP(at.host, at.port, NAME) as s:
        say(s.ehlo(), s.esmtp_features)
        say(s.sendmail(SENDER, [BOB], MESSAGE), s.sendmail(SENDER, [BOB, CAROL], MESSAGE.encode()))
        say(s.sendmail(SENDER, BOB, HEAD.encode() + "\r\nläuft\r\n".encode(), ["BODY=8BITMIME"]))


@real("Postfix: CHUNKING is offered", postfix.SMTP)
def _(smtplib, at, say):
    with smtplib.SMTP(at.host, at.port, NAME) as s:
        say(s.sendmail(SENDER, [BOB], MESSAGE))


@real("Postfix: partial refusal, all refused, the sender refused", postfix.LOCK_STEP,
      why="RSET is said where it is needed",
      default=dict(wire=telling((1, 4, 1, []), (2, 3, 1, []))))
def _(smtplib, at, say):
    with smtplib.SMTP(at.host, at.port, NAME) as s:
        say.of(s.sendmail, SENDER, [BOB, NOBODY, LATER, CAROL], MESSAGE)
    with smtplib.SMTP(at.host, at.port, NAME) as s:
        say.of(s.sendmail, SENDER, [NOBODY, LATER], MESSAGE)
    with smtplib.SMTP(at.host, at.port, NAME) as s:
        say.of(s.sendmail, REFUSED_SENDER, [BOB], MESSAGE)


@real("Postfix: the message refused", postfix.LOCK_STEP,
      why="RSET is said where it is needed",
      default=dict(wire=telling((0, 5, 1, []))))
def _(smtplib, at, say):
    with smtplib.SMTP(at.host, at.port, NAME) as s:
        say.of(s.sendmail, SENDER, [BOB], "X-Interop: refuse\r\n" + MESSAGE)


@real("Postfix: NOOP, RSET, VRFY, EXPN, HELP and nonsense", postfix.CLEAR)
def _(smtplib, at, say):
    with smtplib.SMTP(at.host, at.port, NAME) as s:
        say(s.helo(), s.ehlo(), s.noop(), s.rset(), s.verify(BOB), s.verify(NOBODY), s.expn("list"), s.help())
        say(s.docmd("XFOO", "bar"), s.docmd("MAIL", "FROM:"), s.rcpt(BOB), s.docmd("DATA"))


@real("Postfix: addresses beyond ASCII", postfix.DATA_ONLY)
def _(smtplib, at, say):
    with smtplib.SMTP(at.host, at.port, NAME) as s:
        m = email.message.EmailMessage()
        m["From"], m["To"], m["Subject"] = SENDER, UNICODE + "@test.example", "läuft"
        m.set_content("läuft\n", cte="8bit")
        say(s.send_message(m))


@real("Postfix: send_message without Bcc", postfix.DATA_ONLY)
def _(smtplib, at, say):
    with smtplib.SMTP(at.host, at.port, NAME) as s:
        m = email.message.EmailMessage()
        m["From"], m["To"], m["Bcc"], m["Subject"] = SENDER, BOB, CAROL, "test"
        m.set_content("Hello.\n.\nend\n")
        m.add_attachment(bytes(range(256)), maintype="application", subtype="octet-stream", filename="x")
        m.set_boundary("=bound=")
        say(s.send_message(m))


@real("Postfix: SMTP_SSL and login", postfix.SMTPS, environ=TRUSTED)
def _(smtplib, at, say):
    with smtplib.SMTP_SSL("localhost", at.port, NAME) as s:
        say(s.login("alice", USERS["alice"]), s.sendmail("alice@test.example", [BOB], MESSAGE))


@real("Postfix: SMTP_SSL with a context, and login", postfix.SMTPS)
def _(smtplib, at, say):
    with smtplib.SMTP_SSL("localhost", at.port, NAME, context=own(at)) as s:
        say(s.login("alice", USERS["alice"]), s.sendmail("alice@test.example", [BOB], MESSAGE))


@real("Postfix: STARTTLS and login", postfix.SUBMISSION, environ=TRUSTED)
def _(smtplib, at, say):
    with smtplib.SMTP("localhost", at.port, NAME) as s:
        say(s.ehlo(), s.starttls(), s.ehlo(), s.login("alice", USERS["alice"]))
        say(s.sendmail("alice@test.example", [BOB], MESSAGE))


@real("Postfix: STARTTLS with a context, and a wrong password", postfix.SUBMISSION)
def _(smtplib, at, say):
    with smtplib.SMTP("localhost", at.port, NAME) as s:
        s.starttls(context=own(at))
        s.ehlo()
        s.esmtp_features["auth"] = "PLAIN"
        say.of(s.login, "alice", "wrong")
        say.of(s.login, "alice", USERS["alice"])


@real("Postfix: TLS is demanded and was not begun", postfix.SUBMISSION,
      why="commands go ahead of the replies",
      default=dict(wire=telling((0, 2, 1, ["RCPT TO:<%s>" % BOB, "DATA"]))))
def _(smtplib, at, say):
    with smtplib.SMTP(at.host, at.port, NAME) as s:
        say.of(s.login, "alice", USERS["alice"])
        say.of(s.sendmail, SENDER, [BOB], MESSAGE)


@real("Postfix: login by each mechanism", postfix.EVERY_AUTH)
def _(smtplib, at, say):
    for mechanism in ("PLAIN", "LOGIN", "CRAM-MD5"):
        with smtplib.SMTP("localhost", at.port, NAME) as s:
            s.starttls(context=own(at))
            s.ehlo()
            s.user, s.password = "bob", USERS["bob"]
            say(s.auth(mechanism, getattr(s, "auth_" + mechanism.lower().replace("-", "_"))))


@real("Postfix: a password beyond ASCII", postfix.SUBMISSION,
      why="credentials are UTF-8 (RFC 4616), and stand in no exception",
      default=dict(said=[(235, b"2.7.0 Authentication successful")]), strict=dict(said=[not_ascii(18)]))
def _(smtplib, at, say):
    with smtplib.SMTP("localhost", at.port, NAME) as s:
        s.starttls(context=own(at))
        say.of(s.login, "zoe", USERS["zoe"])


# Dovecot

@real("Dovecot: LMTP over its Unix socket, one recipient",
      path=lambda env: env.dovecot.lmtp, boxes="dovecot")
def _(smtplib, at, say):
    with smtplib.LMTP(at.path, local_hostname=NAME) as s:
        say(s.sendmail(SENDER, [BOB], MESSAGE), s.sendmail(SENDER, [CAROL], MESSAGE))


@real("Dovecot: LMTP, a recipient refused", dovecot.LMTP, boxes="dovecot")
def _(smtplib, at, say):
    with smtplib.LMTP(at.host, at.port, NAME) as s:
        say.of(s.sendmail, SENDER, [BOB, "no/such@nowhere.example"], MESSAGE)


@real("Dovecot: LMTP, three recipients", dovecot.LMTP, boxes="dovecot")
def _(smtplib, at, say):
    s = smtplib.LMTP(at.host, at.port, NAME)
    say(s.sendmail(SENDER, [BOB, CAROL, "alice@test.example"], MESSAGE))
    s.close()


@real("Dovecot: submission, STARTTLS and login", dovecot.SUBMISSION)
def _(smtplib, at, say):
    with smtplib.SMTP("localhost", at.port, NAME) as s:
        s.starttls(context=own(at))
        s.ehlo()
        s.esmtp_features["auth"] = "PLAIN"
        say(s.login("alice", USERS["alice"]), s.sendmail(SENDER, [BOB], MESSAGE))
