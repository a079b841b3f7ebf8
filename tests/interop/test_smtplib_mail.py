# SPDX-License-Identifier: MIT
"""posthaste.smtplib against the standard library's: sendmail and send_message, what servers refuse at
each step, and every kind of message. See smtplib_oracle.py."""
import email.message
import email.mime.multipart
import email.mime.text
import email.policy

from peer import HANG, KEYWORDS, LOST
from smtplib_oracle import (ANN, BOB, CAROL, CODELESS, DAVE, MESSAGE, NAME, NOWHERE, PROHIBITED,
                            Script, by_hand, case, closing, greeted, lost, raised, saying, telling)

LONG = "Subject: long\r\n\r\n"
PLAIN = tuple(x for x in KEYWORDS if x not in ("PIPELINING", "8BITMIME"))
LOCK_STEP = tuple(x for x in KEYWORDS if x != "PIPELINING")
UTF8 = KEYWORDS + ("SMTPUTF8",)
UNICODE = "почта@test.example"
OCTETS = UNICODE.encode().decode("latin-1")     # as the wire is shown
LINE_ENDS = {0: raised("ValueError", PROHIBITED + "a@b\\r\\nRCPT TO:<x@y>"),
             1: raised("ValueError", PROHIBITED + "<a@b>\\r\\nDATA")}
MENDED = "Subject: x\r\n\r\na\r\nb\r\nc\r\nd\r\n..e\r\n\r\n.\r\n"
SMUGGLED = "Subject: x\r\n\r\na\r\n..\r\nMAIL FROM:<evil@x>\r\nRCPT TO:<victim@y>\r\nDATA\r\nevil\r\n.\r\n"


def sent(say, s, message=MESSAGE, to=(BOB,), **options):
    say.of(s.sendmail, ANN, list(to), message, **options)


def afterwards(say, s):
    """Whether the object is of use, and what it knows."""
    say(s.sock is None, s.does_esmtp)
    say.of(s.sendmail, ANN, [BOB], MESSAGE)


# the good way

@case("a message, as text and as octets")
def _(smtplib, at, say):
    with greeted(smtplib, at) as s:
        sent(say, s)
        sent(say, s, MESSAGE.encode())
        sent(say, s, bytearray(MESSAGE.encode()))


@case("recipients in a list, a tuple, a string, a set of one, keys")
def _(smtplib, at, say):
    with greeted(smtplib, at) as s:
        for to in ([BOB, CAROL], (BOB, CAROL, DAVE), BOB, {BOB}, {BOB: 1, CAROL: 2}, {BOB: 1}.keys()):
            say.of(s.sendmail, ANN, to, MESSAGE)


@case("no recipients",
      why="nothing is said for nobody",
      default=dict(wire=telling((0, 1, 2, []))))
def _(smtplib, at, say):
    s = greeted(smtplib, at)
    say.of(s.sendmail, ANN, [], MESSAGE)


@case("recipients that are no list",
      why="a mistake is found before anything is said",
      both=dict(wire=telling((0, 1, 1, []), (1, 1, 1, []))))
def _(smtplib, at, say):
    s = greeted(smtplib, at)
    say.of(s.sendmail, ANN, None, MESSAGE)
    s = greeted(smtplib, at)
    say.of(s.sendmail, ANN, 5, MESSAGE)


@case("a message that is none",
      why="other words, and before anything is said",
      both=dict(wire=telling((2, 1, 3, [])), said=[
          raised("TypeError", "memoryview: a bytes-like object is required, not %r" % x)
          for x in ("NoneType", "int", "list")]))
def _(smtplib, at, say):
    for message in (None, 5, ["x"]):
        s = greeted(smtplib, at)
        say.of(s.sendmail, ANN, BOB, message)


@case("addresses with names, brackets, comments")
def _(smtplib, at, say):
    with greeted(smtplib, at) as s:
        for address in ("Bob <%s>" % BOB, "<%s>" % BOB, '"b, o" <%s>' % BOB, "%s (Bob)" % BOB,
                        '"b o b"@test.example',
                        "bob@[192.0.2.1]", "b+o/b=@test.example", "%s " % BOB, "bob"):
            say.of(s.sendmail, address, [address], MESSAGE)


@case("the empty sender")
def _(smtplib, at, say):
    with greeted(smtplib, at) as s:
        say.of(s.sendmail, "<>", BOB, MESSAGE)
        say.of(s.sendmail, "", BOB, MESSAGE)


@case("addresses that are none", Script({"MAIL": "501 5.1.7 bad", "RCPT": "501 5.1.3 bad"}))
def _(smtplib, at, say):
    with by_hand(smtplib, at) as s:
        for address in ("a b@c", "@", "a@b@c", "<a@b", "a@b>", "a" * 300 + "@b"):
            say.of(s.mail, address)
            say.of(s.rcpt, address)


@case("an address that is none among others",
      Script({"RCPT": [None, "501 5.1.3 bad", None, "501 5.1.3 bad"]}, LOCK_STEP))
def _(smtplib, at, say):
    with greeted(smtplib, at) as s:
        sent(say, s, to=(BOB, "a b@c", CAROL))
        sent(say, s, to=("a@b@c",))


@case("a sender that is none", Script({"MAIL": "501 5.1.7 bad"}, LOCK_STEP))
def _(smtplib, at, say):
    with greeted(smtplib, at) as s:
        say.of(s.sendmail, "a b@c", [BOB], MESSAGE)


@case("line ends and control characters in addresses of sendmail",
      why="all addresses are looked at before anything is said",
      default=dict(said=saying(LINE_ENDS), wire=telling((1, 1, 1, []))),
      strict=dict(said=saying(LINE_ENDS)))
def _(smtplib, at, say):
    s = greeted(smtplib, at)
    say.of(s.sendmail, "a@b\r\nRCPT TO:<x@y>", BOB, MESSAGE)
    s = greeted(smtplib, at)
    say.of(s.sendmail, ANN, ["<a@b>\r\nDATA"], MESSAGE)
    s = greeted(smtplib, at)
    say.of(s.sendmail, ANN, BOB, MESSAGE, ["BODY=7BIT\r\nRSET"])
    s = greeted(smtplib, at)
    say.of(s.sendmail, ANN, BOB, MESSAGE, (), ["NOTIFY=NEVER\nRSET"])


@case("other control characters in commands",
      why="no control character passes a command",
      both=dict(said=[raised("ValueError", x) for x in
                      ["a NUL character cannot be sent"] * 2
                      + ["a command with a control character in it would be two commands"] * 6],
                wire=telling((0, 1, 8, []))))
def _(smtplib, at, say):
    s = by_hand(smtplib, at)
    for text in ("a\0b", "a\x1bb", "a\x7fb", "a\tb"):
        say.of(s.docmd, "NOOP", text)
        say.of(s.mail, "%s@test.example" % text)


@case("options of MAIL and RCPT", Script(keywords=KEYWORDS + ("DSN", "SMTPUTF8")),
      why="the library finds out itself what a message needs",
      default=dict(wire=telling((0, 10, 1, ["MAIL FROM:<%s>" % ANN]))))
def _(smtplib, at, say):
    with greeted(smtplib, at) as s:
        sent(say, s, mail_options=["RET=HDRS", "ENVID=x+2By"], rcpt_options=["NOTIFY=SUCCESS,FAILURE"],
             to=(BOB, CAROL))
        sent(say, s, mail_options=("body=8bitmime",), rcpt_options=("NOTIFY=NEVER",))
        sent(say, s, mail_options=["smtputf8", "BODY=8BITMIME"])
        sent(say, s)


@case("options that the server did not offer", Script(keywords=()))
def _(smtplib, at, say):
    with greeted(smtplib, at) as s:
        say.of(s.sendmail, ANN, BOB, MESSAGE, ["BODY=8BITMIME", "RET=HDRS"], ["NOTIFY=NEVER"])


@case("options on a server that knows HELO alone",
      Script({"EHLO": "500 what?", "HELO": "250 hello"}),
      why="options are not dropped without a word for a server that knows HELO alone",
      default=dict(wire=telling((0, 2, 4, [])), said=[
          raised("SMTPNotSupportedError", "the server knows HELO only, which has no options")]))
def _(smtplib, at, say):
    with greeted(smtplib, at) as s:
        say.of(s.sendmail, ANN, BOB, MESSAGE, ["BODY=8BITMIME"], ["NOTIFY=NEVER"])


@case("SIZE is said where it is offered", Script(keywords=("SIZE 100000",)))
def _(smtplib, at, say):
    with greeted(smtplib, at) as s:
        sent(say, s, "a\nb\n")
        sent(say, s, b"..\r\n.\r\n")
        sent(say, s, b"no end")


@case("a message above the announced size",
      Script({"MAIL": "552 5.3.4 too big"}, keywords=("SIZE 100",)),
      why="the library finds out itself what a message needs",
      default=dict(wire=telling((0, 1, 2, [])), said=[raised(
          "SMTPSenderRefused", 552, b"5.3.4 the message has 228 octets, the server takes 100 at most", ANN)]))
def _(smtplib, at, say):
    s = greeted(smtplib, at)
    sent(say, s, MESSAGE + "x" * 200)


@case("keywords that the program edits", Script(keywords=KEYWORDS + ("DSN",)))
def _(smtplib, at, say):
    with by_hand(smtplib, at) as s:
        del s.esmtp_features["size"]
        sent(say, s)
        s.esmtp_features = {"size": "5"}
        sent(say, s, "x" * 3)
        s.does_esmtp = False
        sent(say, s, mail_options=["RET=HDRS"], rcpt_options=["NOTIFY=NEVER"])


@case("PIPELINING: what the server sees is the same", Script(keywords=KEYWORDS + ("DSN",)))
def _(smtplib, at, say):
    with greeted(smtplib, at) as s:
        for _ in range(3):
            sent(say, s, to=(BOB, CAROL, DAVE), rcpt_options=["NOTIFY=NEVER"])


@case("CHUNKING is not used", Script(keywords=KEYWORDS + ("CHUNKING",)))
def _(smtplib, at, say):
    with greeted(smtplib, at) as s:
        sent(say, s, b"Subject: x\r\n\r\n.dot\r\n..\r\nend\r\n")


# what is in the message

@case("dots")
def _(smtplib, at, say):
    with greeted(smtplib, at) as s:
        for text in (".", "..", ".\r\n.\r\n", "a\r\n.\r\nb\r\n", "a\r\n..\r\n.b\r\nc.\r\n",
                     ".a\n.b\n", "a\r\n.", "a."):
            sent(say, s, "Subject: x\r\n\r\n" + text)
            sent(say, s, ("." + text).encode().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"))


@case("an empty message",
      why="an empty message has no line",
      default=dict(wire=telling((0, 4, 1, [".\r\n\n"]), (0, 8, 1, [".\r\n\n"]))))
def _(smtplib, at, say):
    with greeted(smtplib, at) as s:
        sent(say, s, "")
        sent(say, s, b"")
        sent(say, s, "\n")
        sent(say, s, b"\r\n")


@case("no line end at the end",
      why="a bare CR or LF in a body is mended: smuggling",
      default=dict(wire=telling((0, 12, 1, ["Subject: x\r\n\r\nend\r\n.\r\n"]))),
      strict=dict(wire=telling((0, 9, 1, ["MAIL FROM:<%s> SIZE=19" % ANN]),
                               (0, 12, 1, ["Subject: x\r\n\r\nend\r\n.\r\n"]))))
def _(smtplib, at, say):
    with greeted(smtplib, at) as s:
        sent(say, s, "Subject: x\r\n\r\nend")
        sent(say, s, b"Subject: x\r\n\r\nend")
        sent(say, s, b"Subject: x\r\n\r\nend\r")


@case("bare CR and LF in text")
def _(smtplib, at, say):
    with greeted(smtplib, at) as s:
        sent(say, s, "Subject: x\n\na\rb\nc\r\nd\r\re\n\nf\n\rg\r\r\n")


@case("bare CR and LF in octets",
      why="a bare CR or LF in a body is mended: smuggling",
      default=dict(wire=telling((0, 4, 1, [MENDED]))),
      strict=dict(wire=telling((0, 1, 1, ["MAIL FROM:<%s> SIZE=32" % ANN]), (0, 4, 1, [MENDED]))))
def _(smtplib, at, say):
    with greeted(smtplib, at) as s:
        sent(say, s, b"Subject: x\n\na\rb\nc\r\nd\n.e\r\r\n")


@case("smuggling: a second message behind a bare LF",
      why="a bare CR or LF in a body is mended: smuggling",
      default=dict(wire=telling((0, 4, 1, [SMUGGLED]))),
      strict=dict(wire=telling((0, 1, 1, ["MAIL FROM:<%s> SIZE=72" % ANN]), (0, 4, 1, [SMUGGLED]))))
def _(smtplib, at, say):
    with greeted(smtplib, at) as s:
        sent(say, s, b"Subject: x\r\n\r\na\n.\r\nMAIL FROM:<evil@x>\r\nRCPT TO:<victim@y>\r\nDATA\r\nevil\r\n")


@case("octets beyond ASCII, 8BITMIME offered")
def _(smtplib, at, say):
    with greeted(smtplib, at) as s:
        sent(say, s, "Subject: x\r\n\r\nläuft\r\n".encode())
        sent(say, s, b"Subject: x\r\n\r\n\x80\xfe\xff\r\n", mail_options=["BODY=8BITMIME"])
        sent(say, s, b"Subject: x\r\n\r\n" + bytes(x for x in range(1, 256) if x not in (10, 13)) + b"\r\n")


@case("octets beyond ASCII, 8BITMIME not offered", Script(keywords=PLAIN))
def _(smtplib, at, say):
    with greeted(smtplib, at) as s:
        sent(say, s, "Subject: x\r\n\r\nläuft\r\n".encode())


@case("text beyond ASCII",
      why="text is UTF-8",
      default=dict(said=saying({0: {}}), wire=telling((0, 1, 0, [
          "MAIL FROM:<%s>" % ANN, "RCPT TO:<%s>" % BOB, "DATA", "Subject: x\r\n\r\nl\xc3\xa4uft\r\n.\r\n"]))))
def _(smtplib, at, say):
    with greeted(smtplib, at) as s:
        sent(say, s, "Subject: x\r\n\r\nläuft\r\n")
        sent(say, s)


@case("NUL in a message")
def _(smtplib, at, say):
    with greeted(smtplib, at) as s:
        sent(say, s, b"Subject: x\r\n\r\na\0b\r\n")


@case("lines of 998, 999, 2,000 and 20,000 octets")
def _(smtplib, at, say):
    for n in (998, 999, 2000, 20000):
        with greeted(smtplib, at) as s:
            sent(say, s, LONG + "x" * n + "\r\nend\r\n")


@case("a mebibyte")
def _(smtplib, at, say):
    with greeted(smtplib, at) as s:
        sent(say, s, LONG + ("x" * 70 + "\r\n.\r\n") * 13000)


# what the server refuses

@case("a refused recipient stands in the dictionary",
      Script({"RCPT": [None, "550 5.1.1 no", "450-4.2.1 not\r\n450 4.2.1 now"]}))
def _(smtplib, at, say):
    with greeted(smtplib, at) as s:
        sent(say, s, to=(BOB, CAROL, DAVE))


@case("a refused recipient, lock-step", Script({"RCPT": ["550 5.1.1 no", None]}, LOCK_STEP))
def _(smtplib, at, say):
    with greeted(smtplib, at) as s:
        sent(say, s, to=(BOB, CAROL))


@case("all recipients refused, lock-step",
      Script({"RCPT": ["550 5.1.1 no", "451 4.1.1 later"]}, LOCK_STEP))
def _(smtplib, at, say):
    with greeted(smtplib, at) as s:
        sent(say, s, to=(BOB, CAROL))
        afterwards(say, s)


@case("all recipients refused, pipelined", Script({"RCPT": ["550 5.1.1 no", "451 4.1.1 later"]}),
      why="commands go ahead of the replies",
      default=dict(wire=telling((0, 4, 0, ["DATA"]))))
def _(smtplib, at, say):
    with greeted(smtplib, at) as s:
        sent(say, s, to=(BOB, CAROL))
        afterwards(say, s)


@case("a recipient named twice",
      Script({"RCPT": [None, "550 no", None, "550 first", "551 second"]}, LOCK_STEP),
      why="that one is named twice does not hide that all were refused",
      default=dict(said=saying({1: raised("SMTPRecipientsRefused", {BOB: (551, b"second")})}),
                   wire=telling((0, 10, 1, []))),
      strict=dict(said=saying({1: raised("SMTPRecipientsRefused", {BOB: (551, b"second")})}),
                  wire=telling((0, 10, 1, ["RSET"]))))
def _(smtplib, at, say):
    with greeted(smtplib, at) as s:
        sent(say, s, to=(BOB, CAROL, BOB))
        sent(say, s, to=(BOB, BOB))
        s.rset()


@case("251 and 252 to RCPT", Script({"RCPT": ["251 will forward", "252 maybe"]}, LOCK_STEP),
      why="any 2yz is a yes (RFC 5321, 4.2)",
      default=dict(said=[{}]))
def _(smtplib, at, say):
    with greeted(smtplib, at) as s:
        sent(say, s, to=(BOB, CAROL))


@case("the sender refused, lock-step",
      Script({"MAIL": ["550-5.7.1 no\r\n550 5.7.1 never", "451 later"]}, LOCK_STEP),
      why="RSET is said where it is needed",
      default=dict(wire=telling((0, 2, 1, []), (0, 4, 1, []))))
def _(smtplib, at, say):
    with greeted(smtplib, at) as s:
        sent(say, s, to=(BOB, CAROL))
        sent(say, s, to=(BOB, CAROL))
        afterwards(say, s)


@case("the sender refused, pipelined", Script({"MAIL": ["550 5.7.1 no"]}),
      why="commands go ahead of the replies",
      default=dict(wire=telling(
          (0, 2, 1, ["RCPT TO:<%s>" % BOB, "RCPT TO:<%s>" % CAROL, "DATA"]))))
def _(smtplib, at, say):
    with greeted(smtplib, at) as s:
        sent(say, s, to=(BOB, CAROL))
        afterwards(say, s)


@case("251 to MAIL", Script({"MAIL": "251 what"}, LOCK_STEP),
      why="any 2yz is a yes (RFC 5321, 4.2)",
      default=dict(said=[{}], wire=telling(
          (0, 2, 1, ["RCPT TO:<%s>" % BOB, "DATA", MESSAGE + ".\r\n"]))))
def _(smtplib, at, say):
    with greeted(smtplib, at) as s:
        sent(say, s)


@case("DATA refused, lock-step", Script({"DATA": ["554 5.7.1 no", "451 4.3.0 later"]}, LOCK_STEP))
def _(smtplib, at, say):
    with greeted(smtplib, at) as s:
        sent(say, s)
        s.rset()
        sent(say, s)
        s.rset()
        afterwards(say, s)


@case("DATA refused, and another message", Script({"DATA": ["554 5.7.1 no"]}, LOCK_STEP),
      why="RSET is said where it is needed",
      default=dict(wire=telling((0, 4, 0, ["RSET"]))))
def _(smtplib, at, say):
    with greeted(smtplib, at) as s:
        sent(say, s)
        afterwards(say, s)


@case("250 to DATA", Script({"DATA": "250 what"}, LOCK_STEP),
      why="a reply out of place ends the connection",
      default=dict(said=[lost("the server answered DATA with 250 instead of 354")]))
def _(smtplib, at, say):
    s = greeted(smtplib, at)
    sent(say, s)


@case("the message refused, lock-step",
      Script({"BODY": ["554-5.7.1 spam\r\n554 5.7.1 yes", "451 4.3.0 later"]}, LOCK_STEP))
def _(smtplib, at, say):
    with greeted(smtplib, at) as s:
        sent(say, s)
        sent(say, s)
        afterwards(say, s)


@case("the message refused, pipelined", Script({"BODY": ["554 5.7.1 spam"]}))
def _(smtplib, at, say):
    with greeted(smtplib, at) as s:
        sent(say, s, to=(BOB, CAROL))
        afterwards(say, s)


@case("251 to the message", Script({"BODY": "251 what"}, LOCK_STEP),
      why="any 2yz is a yes (RFC 5321, 4.2)",
      default=dict(said=[{}], wire=telling((0, 5, 1, []))))
def _(smtplib, at, say):
    s = greeted(smtplib, at)
    sent(say, s)


def ends(stage, action, keywords=LOCK_STEP, to=(BOB, CAROL)):
    """A case for what the server does at a stage, and the next message."""
    def program(smtplib, at, say):
        s = greeted(smtplib, at)
        sent(say, s, to=to)
        say(s.sock is None, s.file is None)
        sent(say, s, to=to)
    return Script({stage: action}, keywords), program


GONE = closing("421 4.3.2 going down")
STAGES = (("EHLO", "EHLO"), ("MAIL", "MAIL"), ("the first RCPT", "RCPT"), ("the second RCPT", "RCPT"),
          ("DATA", "DATA"), ("the final dot", "BODY"))
DEVIATING = {}      # of a case below: its deviations


def deviating(what, name, why, **more):
    DEVIATING[what, name] = dict(why=why, **more)


for _name, _place, _count in (("EHLO", 1, 6), ("MAIL", 2, 6), ("the first RCPT", 3, 8),
                              ("the second RCPT", 4, 7), ("DATA", 5, 5), ("the final dot", 6, 6)):
    deviating("garbage", _name, "what is no reply ends the connection",
              both=dict(said=[CODELESS, True, True, NOWHERE], wire=telling((0, _place, _count, []))))
for _what, _text in (("421 and an end", b"4.3.2 going down"), ("421", b"4.3.2 busy")):
    _all = raised("SMTPRecipientsRefused", {BOB: (421, _text), CAROL: (421, _text)})
    for _name in ("the first RCPT", "the second RCPT"):
        deviating(_what, _name, "a 421 defers all recipients", default=dict(said=saying({0: _all})))
deviating("421 and an end", "EHLO", "nothing is written behind a 421",
          default=dict(said=[raised("SMTPHeloError", 421, b"4.3.2 going down"), True, True, NOWHERE],
                       wire=telling((0, 1, 1, []))),
          strict=dict(wire=telling((0, 1, 1, []))))
deviating("421", "EHLO", "nothing is written behind a 421",
          default=dict(said=[raised("SMTPHeloError", 421, b"4.3.2 busy"), True, True, NOWHERE],
                       wire=telling((0, 1, 6, []))),
          strict=dict(said=[lost(), True, True, NOWHERE], wire=telling((0, 1, 6, []))))
deviating("421 and an end", "DATA", "nothing is written behind a 421",
          default=dict(said=saying({1: True, 2: True, 3: NOWHERE}), wire=telling((0, 5, 1, []))),
          strict=dict(wire=telling((0, 5, 1, []))))
deviating("421", "DATA", "nothing is written behind a 421",
          default=dict(said=saying({1: True, 2: True, 3: NOWHERE}), wire=telling((0, 5, 5, []))),
          strict=dict(said=saying({3: lost()}), wire=telling((0, 5, 5, []))))

for title, act in (("421 and an end", GONE), ("421", "421 4.3.2 busy"), ("no reply but an end", LOST),
                   ("garbage", b"what?\r\n"), ("half a reply and an end", closing("250-half"))):
    for name, stage in STAGES:
        action = [None, act] if name.startswith("the second") else [act]
        server, program = ends(stage, action)
        program.__module__ = __name__
        case("%s at %s" % (title, name), server, **DEVIATING.get((title, name), {}))(program)


@case("silence at the final dot", Script({"BODY": HANG}))
def _(smtplib, at, say):
    s = greeted(smtplib, at, timeout=1)
    sent(say, s)
    say(s.sock)


@case("silence at MAIL", Script({"MAIL": HANG}),
      why="commands go ahead of the replies",
      default=dict(wire=telling((0, 2, 0, ["RCPT TO:<%s>" % BOB, "DATA"]))))
def _(smtplib, at, say):
    s = greeted(smtplib, at, timeout=1)
    sent(say, s)
    say(s.sock)


# beyond ASCII

@case("an address beyond ASCII, SMTPUTF8 asked for", Script(keywords=UTF8),
      why="command_encoding is for what is said by hand",
      default=dict(said=saying({1: "ascii"})))
def _(smtplib, at, say):
    with greeted(smtplib, at) as s:
        say.of(s.sendmail, UNICODE, [UNICODE], MESSAGE, ["SMTPUTF8", "BODY=8BITMIME"])
        say(s.command_encoding)
        sent(say, s)


@case("an address beyond ASCII, SMTPUTF8 offered and not asked for", Script(keywords=UTF8),
      why="the library finds out itself what a message needs",
      default=dict(said=[{}, {}], wire=telling(
          (0, 1, 0, ["MAIL FROM:<%s> SMTPUTF8" % OCTETS, "RCPT TO:<%s>" % BOB, "DATA", MESSAGE + ".\r\n"]),
          (1, 1, 1, ["MAIL FROM:<%s> SMTPUTF8" % ANN]),
          (1, 3, 0, ["RCPT TO:<%s>" % OCTETS, "DATA", MESSAGE + ".\r\n"]))))
def _(smtplib, at, say):
    s = greeted(smtplib, at)
    say.of(s.sendmail, UNICODE, [BOB], MESSAGE)
    s = greeted(smtplib, at)
    say.of(s.sendmail, ANN, [BOB, UNICODE], MESSAGE)


@case("an address beyond ASCII, SMTPUTF8 not offered",
      why="it is said what is missing, and nothing else",
      default=dict(wire=telling((1, 1, 2, [])), said=[raised(
          "SMTPNotSupportedError", "an address has characters beyond ASCII, and the server does not "
          "offer SMTPUTF8 (RFC 6531)")] * 2))
def _(smtplib, at, say):
    s = greeted(smtplib, at)
    say.of(s.sendmail, UNICODE, [BOB], MESSAGE)
    s = greeted(smtplib, at)
    say.of(s.sendmail, ANN, [BOB, UNICODE], MESSAGE)


@case("SMTPUTF8 asked for and not offered")
def _(smtplib, at, say):
    with greeted(smtplib, at) as s:
        say.of(s.sendmail, ANN, [BOB], MESSAGE, ["SMTPUTF8"])
        say.of(s.mail, ANN, ["smtputf8"])
        sent(say, s)


@case("commands by hand beyond ASCII", Script(keywords=UTF8))
def _(smtplib, at, say):
    with by_hand(smtplib, at) as s:
        say.of(s.mail, UNICODE)
        say.of(s.mail, UNICODE, ["SMTPUTF8"])
        say(s.command_encoding)
        say.of(s.rcpt, UNICODE)
        say.of(s.rset)
        say.of(s.rcpt, UNICODE)
        say.of(s.verify, UNICODE)
        say.of(s.docmd, "NOOP", "ü")


# send_message

def letter(**fields):
    m = email.message.EmailMessage()
    for name, value in dict({"From": "Ann <%s>" % ANN, "To": BOB, "Subject": "test"}, **fields).items():
        if value is not None:
            m[name.replace("_", "-")] = value
    m.set_content("A test.\n.dot\n")
    return m


def legacy(**fields):
    m = email.mime.text.MIMEText("A test.\n.dot\n")
    for name, value in dict({"From": "Ann <%s>" % ANN, "To": BOB, "Subject": "test"}, **fields).items():
        if value is not None:
            m[name.replace("_", "-")] = value
    return m


@case("send_message: To, Cc, Bcc; Bcc is not sent")
def _(smtplib, at, say):
    with greeted(smtplib, at) as s:
        for kind in (letter, legacy):
            m = kind(Cc="Carol <%s>, Dave <%s>" % (CAROL, DAVE), Bcc="eve@test.example, frank@test.example")
            say(s.send_message(m), m["Bcc"])
            say(s.send_message(kind(To=None, Bcc=BOB)))


@case("send_message: Sender before From, several From")
def _(smtplib, at, say):
    with greeted(smtplib, at) as s:
        say(s.send_message(letter(Sender=CAROL)))
        say(s.send_message(letter(Sender=CAROL, From="%s, %s" % (ANN, DAVE))))
        say(s.send_message(legacy(Sender=CAROL, From="%s, %s" % (ANN, DAVE))))


@case("send_message: several From and no Sender")
def _(smtplib, at, say):
    with greeted(smtplib, at) as s:
        say.of(s.send_message, letter(From="%s, %s" % (ANN, DAVE)))


@case("send_message: nobody to send it from or to",
      why="nothing is said for nobody, and an empty address is nobody",
      default=dict(said=saying(dict.fromkeys((2, 3), raised("SMTPRecipientsRefused", {}))),
                   wire=telling((1, 1, 2, []), (2, 1, 4, []), (3, 1, 4, []))))
def _(smtplib, at, say):
    for fields in ({"From": None}, {"To": None}, {"To": ""}, {"To": "undisclosed-recipients:;"}, {"From": ""}):
        s = greeted(smtplib, at)
        say.of(s.send_message, legacy(**fields))


@case("send_message: one block of Resent fields")
def _(smtplib, at, say):
    with greeted(smtplib, at) as s:
        resent = dict(Resent_Date="Tue, 1 Oct 2024 12:00:00 +0000", Resent_From=CAROL, Resent_To=DAVE)
        say(s.send_message(letter(**resent)))
        say(s.send_message(legacy(**resent, Resent_Sender="eve@test.example", Resent_Cc="f@test.example",
                                  Resent_Bcc="g@test.example", Bcc="h@test.example")))


@case("send_message: two blocks of Resent fields")
def _(smtplib, at, say):
    m = legacy()
    for _ in range(2):
        m["Resent-Date"] = "Tue, 1 Oct 2024 12:00:00 +0000"
        m["Resent-From"] = m["Resent-To"] = CAROL
    with greeted(smtplib, at) as s:
        say.of(s.send_message, m)


@case("send_message: addresses given beside it")
def _(smtplib, at, say):
    with greeted(smtplib, at) as s:
        m = letter(Cc=CAROL, Bcc=DAVE)
        say(s.send_message(m, from_addr="bounce@test.example"))
        say(s.send_message(m, to_addrs=[DAVE]))
        say(s.send_message(m, "<>", DAVE))
        say(s.send_message(m, "Ann <%s>" % ANN, ["Dave <%s>" % DAVE]))


@case("send_message: groups, comments, quoted names, doubles")
def _(smtplib, at, say):
    with greeted(smtplib, at) as s:
        say(s.send_message(legacy(To="friends: %s, Carol <%s>;, \"x, y\" <%s> (note)" % (BOB, CAROL, DAVE),
                                  Cc="%s, %s" % (BOB, BOB))))
        say(s.send_message(legacy(To='"b o b"@test.example')))


@case("send_message: options", Script(keywords=KEYWORDS + ("DSN",)))
def _(smtplib, at, say):
    with greeted(smtplib, at) as s:
        say(s.send_message(letter(), mail_options=["RET=HDRS"], rcpt_options=["NOTIFY=NEVER"]))
        say(s.send_message(letter(), mail_options=("RET=FULL",), rcpt_options=("NOTIFY=DELAY",)))


@case("send_message: parts, 8-bit octets, encoded words, long lines")
def _(smtplib, at, say):
    with greeted(smtplib, at) as s:
        m = email.mime.multipart.MIMEMultipart(boundary="=bound=")
        m["From"], m["To"], m["Subject"] = ANN, BOB, "läuft " * 30
        m.attach(email.mime.text.MIMEText("text\n.\n", "plain", "us-ascii"))
        m.attach(email.mime.text.MIMEText("läuft\n", "plain", "utf-8"))
        say(s.send_message(m))
        n = letter(Subject="läuft " * 30)
        n.set_content("läuft\n" + "x" * 1500, cte="quoted-printable")
        say(s.send_message(n))
        n = email.message.EmailMessage(policy=email.policy.SMTP.clone(cte_type="8bit"))
        n["From"], n["To"] = ANN, BOB
        n.set_content("läuft\n", cte="8bit")
        say(s.send_message(n))


@case("send_message: parsed from octets, with bare line ends")
def _(smtplib, at, say):
    with greeted(smtplib, at) as s:
        m = email.message_from_bytes(b"From: %s\nTo: %s\nX-Odd: a\n\tb\n\nbody\n.\nend"
                                     % (ANN.encode(), BOB.encode()))
        say(s.send_message(m))
        m = email.message_from_bytes(b"From: %s\r\nTo: %s\r\n\r\nl\xe4uft\r\n" % (ANN.encode(), BOB.encode()))
        say(s.send_message(m))


@case("send_message: addresses beyond ASCII, SMTPUTF8 offered", Script(keywords=UTF8),
      why="the library finds out itself what a message needs",
      default=dict(said=saying({3: "ascii"}),
                   wire=telling((0, 9, 1, ["MAIL FROM:<%s> SMTPUTF8 RET=HDRS" % ANN]))))
def _(smtplib, at, say):
    with greeted(smtplib, at) as s:
        say.of(s.send_message, letter(To=UNICODE, Subject="läuft"))
        say.of(s.send_message, letter(From=UNICODE))
        say.of(s.send_message, letter(), to_addrs=[UNICODE], mail_options=["RET=HDRS"])
        say(s.command_encoding)
        say.of(s.send_message, letter(Subject="läuft"))


@case("send_message: addresses beyond ASCII, SMTPUTF8 not offered")
def _(smtplib, at, say):
    with greeted(smtplib, at) as s:
        say.of(s.send_message, letter(To=UNICODE))
        say.of(s.send_message, letter(From=UNICODE))
        say.of(s.send_message, letter())


@case("send_message: refused recipients", Script({"RCPT": [None, "550 5.1.1 no"]}))
def _(smtplib, at, say):
    with greeted(smtplib, at) as s:
        say(s.send_message(letter(To="%s, %s" % (BOB, CAROL))))


@case("send_message: what is no message")
def _(smtplib, at, say):
    s = greeted(smtplib, at)
    say.of(s.send_message, MESSAGE)


# LMTP

@case("LMTP over TCP, one recipient", Script(lmtp=True))
def _(smtplib, at, say):
    with smtplib.LMTP(at.host, at.port, NAME) as s:
        sent(say, s)
        say(s.ehlo_resp, s.does_esmtp)


@case("LMTP over a Unix socket", Script(lmtp=True, unix=True))
def _(smtplib, at, say):
    with smtplib.LMTP(at.path, local_hostname=NAME) as s:
        sent(say, s)
        say(s.sock.family.name)
    with smtplib.LMTP(local_hostname=NAME) as s:
        say(s.connect(at.path))
        sent(say, s)


@case("LMTP: a Unix socket that is not there")
def _(smtplib, at, say):
    say.of(smtplib.LMTP, at.folder + "/nothing")


@case("LMTP: a recipient refused at RCPT", Script({"RCPT": ["550 5.1.1 no", None]}, lmtp=True))
def _(smtplib, at, say):
    with smtplib.LMTP(at.host, at.port, NAME) as s:
        sent(say, s, to=(BOB, CAROL))


@case("LMTP: the message refused", Script({"BODY": ["552 5.2.2 full"]}, LOCK_STEP, lmtp=True),
      why="RSET is said where it is needed",
      default=dict(wire=telling((0, 5, 1, []))))
def _(smtplib, at, say):
    with smtplib.LMTP(at.host, at.port, NAME) as s:
        sent(say, s)


@case("LMTP: several recipients, all accepted", Script(lmtp=True),
      why="LMTP has a final reply for each recipient",
      both=dict(said=saying({1: (250, b"2.0.0 Ok"), 2: (221, b"2.0.0 Bye")})))
def _(smtplib, at, say):
    s = smtplib.LMTP(at.host, at.port, NAME)
    sent(say, s, to=(BOB, CAROL, DAVE))
    say.of(s.noop)
    say.of(s.quit)


@case("LMTP: several recipients, the message refused for one",
      Script({"BODY": [None, "552 5.2.2 full"]}, lmtp=True),
      why="LMTP has a final reply for each recipient",
      both=dict(said=[{CAROL: (552, b"5.2.2 full")}, (221, b"2.0.0 Bye")]))
def _(smtplib, at, say):
    s = smtplib.LMTP(at.host, at.port, NAME)
    sent(say, s, to=(BOB, CAROL, DAVE))
    say.of(s.quit)


@case("LMTP: LHLO refused", Script({"LHLO": "500 what?"}, lmtp=True),
      why="LMTP has no HELO (RFC 2033, 4.1)",
      default=dict(said=[raised("SMTPHeloError", 500, b"what?")], wire=telling((0, 1, 1, []))))
def _(smtplib, at, say):
    s = smtplib.LMTP(at.host, at.port, NAME)
    sent(say, s)
