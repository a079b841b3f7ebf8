# SPDX-License-Identifier: MIT
"""swaks beside `posthaste probe`: the same words on the command line, the same server, the same
exit status and the same octets on the wire. Where they differ, the row says how and why."""
import os

import harness
from harness import equal
from peer import HANG, LOST, Peer
from probe import run, run_swaks, said

ANN, BOB, CAROL = "ann@sender.example", "bob@test.example", "carol@test.example"
AUTH = ("PIPELINING", "AUTH PLAIN LOGIN")
LOGIN = {"AUTH": lambda c, line: login(c, line)}
XCLIENT = ("PIPELINING", "XCLIENT NAME ADDR PROTO HELO")
CLOSING = "a server that has said 421 is leaving: it is not told QUIT"
TO = ("-t", BOB)
TWO = ("-t", BOB + "," + CAROL)


def login(connection, line):
    """The server's side of AUTH LOGIN; the other mechanisms come with their one response."""
    if line.upper() == "AUTH LOGIN":
        for prompt in (b"334 VXNlcm5hbWU6\r\n", b"334 UGFzc3dvcmQ6\r\n"):
            connection.send(prompt)
            connection.line()
    return "235 2.7.0 authenticated"


def row(title, *words, status=0, ours=None, why=None, wire=True, at=("-s", "{at}"), stdin=b"",
        files=(), tls=False, **peer):
    """`words` go to both, with SERVER and PORT filled in; swaks must end with `status`, and so must
    posthaste, unless `ours` is another and `why` says for what reason. `wire` False: `why` tells
    what differs there."""
    assert (ours is None and wire) != bool(why), title

    def compare(env):
        for name, content in files:
            env.file(name, content)
        theirs, their_wire = one(env, run_swaks, at + words, stdin, tls, peer)
        equal(theirs.status, status, "exit status of swaks, which said %s%s"
              % (theirs.stdout, theirs.stderr))
        found, wires = one(env, run, at + words, stdin, tls, peer)
        equal(found.status, status if ours is None else ours, "exit status")
        if wire:
            equal(wires, their_wire, "on the wire")

    compare.servers = ()
    harness.cell("swaks: " + title, compare)


def one(env, program, words, stdin, tls, peer):
    options = {x: list(y) if isinstance(y, list) else y for x, y in peer.items()}
    options["replies"] = {x: list(y) if isinstance(y, list) else y
                          for x, y in peer.get("replies", {}).items()}
    if tls or peer.get("implicit"):
        options["context"] = env.certificate.context()
    if "path" in peer:
        options["path"] = os.path.join(env.folder, "%s-%s" % (peer["path"], program.__name__))
    with Peer(**options) as server:
        port = getattr(server, "port", 0)
        filled = [x.format(at="127.0.0.1:%d" % port, port=port, path=server.path,
                           folder=env.folder) for x in words]
        result = program(env, "-h", "client.example", "-f", ANN, *filled, stdin=stdin)
        server.finish()
    return result, message_trimmed(said(server.wires))


def message_trimmed(wires):
    """swaks puts two empty lines behind its own text."""
    return [[x for i, x in enumerate(lines)
             if x not in ("", "~") or i + 1 < len(lines) and lines[i + 1] not in ("", "~", ".",
                                                                                  "~.")]
            for lines in wires]


# where

row("a message", *TO)
row("-s and -p", *TO, "-p", "{port}", at=("-s", "127.0.0.1"))
row("--server and --port", "--to", BOB, at=("--server", "127.0.0.1", "--port", "{port}"))
row("-s [HOST]:PORT", *TO, at=("-s", "[127.0.0.1]:{port}"))
row("one dash or two", "-to", BOB, "--f", "other@sender.example", "-server", "{at}", at=())
row("from an address of ours", *TO, "-li", "127.0.0.1")
row("nobody listens", *TO, status=2, at=("-s", "127.0.0.1:1"))
row("a Unix socket and LMTP", *TO, "--protocol", "LMTP", at=("--socket", "{path}"), path="socket",
    lmtp=True, replies={"LHLO": "250-peer\r\n250 PIPELINING"})
row("a Unix socket that is not there", *TO, status=2, at=("--socket", "/nonexistent/socket"))
row("SMTP without the E", *TO, "--protocol", "SMTP", replies={"HELO": "250 peer"})
row("a port in -s and -p", *TO, "-p", "1")
row("-4", *TO, "-4")
row("--protocol ESMTPSA", *TO, "--protocol", "ESMTPSA", "-p", "{port}", "-au", "user", "-ap",
    "pass",
    at=("-s", "127.0.0.1"), tls=True, keywords=("AUTH PLAIN",))
row("--protocol SSMTP", *TO, "--protocol", "SSMTP", implicit=True)
row("--protocol SMTPS", *TO, "--protocol", "SMTPS", implicit=True, replies={"HELO": "250 peer"})
row("--protocol nonsense", *TO, "--protocol", "nonsense", status=1)
PROXY = ("--proxy-version", "1", "--proxy-family", "TCP4", "--proxy-source", "192.0.2.7",
         "--proxy-source-port", "4711", "--proxy-dest", "192.0.2.25", "--proxy-dest-port", "25")
row("a PROXY header", *TO, *PROXY, replies={"CONNECT": lambda c: c.line()})
row("a PROXY header with a piece missing", *TO, *PROXY[:-2], status=35)

# stopping

for _stage in ("connect", "banner", "first-helo", "first-ehlo", "helo", "ehlo", "tls", "auth",
               "mail",
               "from", "rcpt", "to"):
    row("-q " + _stage, *TWO, "-q", _stage)
row("-tls --quit-after ehlo", *TO, "-tls", "--quit-after", "ehlo", tls=True, wire=False,
    why="the first EHLO; the last is --quit-after helo, and -q ehlo as swaks has it")
row("-tls --quit-after helo", *TO, "-tls", "--quit-after", "helo", tls=True)
for _stage in ("connect", "first-ehlo", "tls", "ehlo", "auth", "rcpt"):
    row("-tls -q " + _stage, *TO, "-tls", "-q", _stage, tls=True)
row("-q in capitals", *TO, "--quit-after", "RCPT")
row("--quit", *TO, "--quit", "mail")
row("-q rcpt, refused", *TO, "-q", "rcpt", status=24, replies={"RCPT": "550 5.1.1 nobody"})
row("-q of no stage", *TO, "-q", "nonsense", status=1)
row("-q data", *TO, "-q", "data", status=1, ours=0, why="swaks has no such stage; the connection "
    "is dropped behind the 354", wire=False)
for _stage in ("connect", "ehlo", "mail", "rcpt", "data", "dot"):
    row("--da " + _stage, *TO, "--da", _stage)
for _stage in ("ehlo", "mail", "rcpt", "data", "dot"):
    row("--das " + _stage, *TO, "--das", _stage)

# TLS

row("-tls", *TO, "-tls", tls=True)
row("-tls where it is not offered", *TO, "-tls", status=29)
row("-tls where it is refused", *TO, "-tls", status=29, tls=True,
    replies={"STARTTLS": "454 4.7.0 not now"})
row("-tlso where it is offered", *TO, "-tlso", tls=True)
row("-tlso where it is not offered", *TO, "-tlso")
row("-tlso where it is refused", *TO, "-tlso", tls=True, replies={"STARTTLS": "454 4.7.0 not now"})
row("-tlsos where it is offered", *TO, "-tlsos", tls=True)
row("-tlsos where it is not offered", *TO, "-tlsos")
row("-tlsos where it is refused", *TO, "-tlsos", tls=True, status=29,
    replies={"STARTTLS": "454 4.7.0 not now"})
row("-tlsc", *TO, "-tlsc", implicit=True)
row("-tlsc on a server that speaks in clear", *TO, "-tlsc", status=29, wire=False,
    why="what is on the wire is a handshake")
row("-tls and no EHLO behind it", *TO, "-tls", status=32, tls=True,
    replies={"EHLO": [None, "550 no"], "HELO": "550 no"})

# logins

row("-a PLAIN", *TO, "-a", "PLAIN", "-au", "user", "-ap", "pass word", keywords=AUTH, replies=LOGIN)
row("-a LOGIN", *TO, "-a", "LOGIN", "-au", "user", "-ap", "pass", keywords=AUTH, replies=LOGIN)
row("-a LOGIN,PLAIN", *TO, "-a", "LOGIN,PLAIN", "-au", "user", "-ap", "pass", keywords=AUTH,
    replies=LOGIN)
row("-tls and -a", *TO, "-tls", "-a", "PLAIN", "-au", "user", "-ap", "pass", "-q", "auth", tls=True,
    keywords=AUTH, replies=LOGIN)
row("-au and -ap alone", *TO, "-au", "user", "-ap", "pass", keywords=AUTH, replies=LOGIN,
    why="swaks tries LOGIN before PLAIN", wire=False)
row("a login refused", *TO, "-a", "PLAIN", "-au", "user", "-ap", "pass", status=28, keywords=AUTH,
    replies={"AUTH": "535 5.7.8 no"})
row("a login refused, every mechanism", *TO, "-au", "user", "-ap", "pass", status=28, keywords=AUTH,
    replies={"AUTH": "535 5.7.8 no"}, why="535 speaks of the password: no other mechanism is tried "
    "with it", wire=False)
row("-ao where it is not offered", *TO, "-ao", "PLAIN", "-au", "user", "-ap", "pass")
row("-ao where it is refused", *TO, "-ao", "PLAIN", "-au", "user", "-ap", "pass", keywords=AUTH,
    replies={"AUTH": "535 5.7.8 no"})
row("-aos where it is not offered", *TO, "-aos", "PLAIN", "-au", "user", "-ap", "pass")
row("-aos where it is refused", *TO, "-aos", "PLAIN", "-au", "user", "-ap", "pass", status=28,
    keywords=AUTH, replies={"AUTH": "535 5.7.8 no"})
row("an empty password", *TO, "-a", "PLAIN", "-au", "user", "-ap", "<>", keywords=AUTH,
    replies=LOGIN)
row("no AUTH on offer", *TO, "-a", "-au", "user", "-ap", "pass", status=28)
row("not the mechanism on offer", *TO, "-a", "LOGIN", "-au", "user", "-ap", "pass", status=28,
    keywords=("AUTH PLAIN",))
row("-a CRAM-MD5", *TO, "-a", "CRAM-MD5", "-au", "user", "-ap", "pass", "-q", "auth",
    keywords=("AUTH CRAM-MD5",), replies={"AUTH": lambda c, line: (
        c.send(b"334 PDE3LjEyQHBlZXIudGVzdC5leGFtcGxlPg==\r\n"), c.line(), "235 2.7.0 good")[-1]})

# refusals, and servers that fail

row("greeting: refused", *TO, status=21, replies={"GREETING": "554 5.3.2 no service"})
row("greeting: later", *TO, status=21, replies={"GREETING": "421 4.3.2 later"}, wire=False,
    why=CLOSING)
row("greeting: the connection lost", *TO, status=6, replies={"GREETING": LOST})
row("EHLO refused, HELO good", *TO, replies={"EHLO": "500 5.5.1 what?", "HELO": "250 peer"})
row("EHLO and HELO refused", *TO, status=22,
    replies={"EHLO": "500 5.5.1 what?", "HELO": "550 5.7.1 no"})
row("EHLO: the connection lost", *TO, status=6, replies={"EHLO": LOST})
row("MAIL refused", *TO, status=23, replies={"MAIL": "550 5.7.1 no"})
row("MAIL: later", *TO, status=23, replies={"MAIL": "451 4.3.0 later"})
row("MAIL: 421", *TO, status=23, replies={"MAIL": "421 4.3.0 closing"}, wire=False, why=CLOSING)
row("MAIL refused, and gone", *TO, status=23, replies={"MAIL": "550 5.7.1 no", "QUIT": LOST})
row("MAIL: the connection lost", *TO, status=6, replies={"MAIL": LOST})
row("one of two recipients refused", *TWO, replies={"RCPT": ["550 5.1.1 nobody"]})
row("both recipients refused", *TWO, status=24, replies={"RCPT": "550 5.1.1 nobody"})
row("RCPT: the connection lost", *TO, status=6, replies={"RCPT": LOST})
row("DATA refused", *TO, status=25, replies={"DATA": "554 5.7.1 no"})
row("the message refused", *TO, status=26, replies={"BODY": "550 5.7.1 spam"})
row("the message: later", *TO, status=26, replies={"BODY": "451 4.7.1 later"})
row("the message: the connection lost", *TO, status=6, replies={"BODY": LOST})
row("QUIT refused", *TO, status=0, ours=27, replies={"QUIT": "500 5.5.1 stay"},
    why="27 is what swaks' manual says, which its program never ends with")
row("silence", *TO, "--timeout", "1", status=23, replies={"MAIL": HANG}, wire=False,
    why="swaks says QUIT to the silent server, and waits for that too")

# pipelining

row("--pipeline", *TWO, "--pipeline")
row("--pipeline, not offered", *TO, "--pipeline", keywords=())
row("--pipeline, one of two refused", *TWO, "--pipeline", replies={"RCPT": ["550 5.1.1 nobody"]})
row("--pipeline, both refused", *TWO, "--pipeline", status=24,
    replies={"RCPT": "550 5.1.1 nobody"})
row("--pipeline, MAIL refused", *TO, "--pipeline", status=23,
    replies={"MAIL": "550 5.7.1 no", "RCPT": "503 5.5.1 no", "DATA": "503 5.5.1 no"})
row("--pipeline, both refused, and 354", *TWO, "--pipeline", "--timeout", "2", status=24,
    replies={"RCPT": "550 5.1.1 nobody", "DATA": "354 go ahead"}, wire=False,
    why="swaks says QUIT where the server waits for a message")
row("--pipeline, the message refused", *TWO, "--pipeline", status=26,
    replies={"BODY": "550 5.7.1 no"})
row("--pipeline -q rcpt", *TWO, "--pipeline", "-q", "rcpt")
row("--pipeline, the connection lost", *TWO, "--pipeline", status=6, replies={"RCPT": LOST})
LMTP = {"at": ("--socket", "{path}", "--protocol", "LMTP"), "path": "socket", "lmtp": True}
LHLO = {"LHLO": "250-peer\r\n250 PIPELINING"}
row("LMTP, two recipients", *TWO, replies=LHLO, **LMTP)
row("LMTP, one of two deliveries refused", *TWO, replies={**LHLO, "BODY": ["550 5.2.2 full"]},
    **LMTP)
row("LMTP, both deliveries refused", *TWO, status=26, replies={**LHLO, "BODY": "550 5.2.2 full"},
    **LMTP)

# messages

row("the null sender", *TO, "-f", "<>")
row("--body", *TO, "--body", "one line")
row("--body with line ends", *TO, "--body", "one\\n.two\\nthree")
row("--body @FILE", *TO, "--body", "@{folder}/text", files=(("text", b"from\na file\n"),))
row("--header and --h-", *TO, "--header", "X-Test: a b", "--h-Subject", "other", "--body", "x")
row("--add-header", *TO, "-ah", "X-One: 1", "--add-header", "X-Two: 2", "--body", "x")
row("--data", *TO, "--data", "Subject: mine\\n\\n.dots\\n%FROM_ADDRESS% %TO_ADDRESS%\\n.\\nlast")
row("-d @FILE", *TO, "-d", "@{folder}/mail",
    files=(("mail", b"Subject: file\n\nHello.\n.\n..\nBye.\n"),))
row("-d -", *TO, "-d", "-", stdin=b"Subject: stdin\n\nHello.\n")
row("-d with From_ in front", *TO, "-d", "From ann Mon\\nSubject: mbox\\n\\nHello.")
row("-d with From_ in front, -nsf", *TO, "-nsf", "-d", "From ann Mon\\nSubject: mbox\\n\\nHello.")
row("-d as it is", *TO, "-ndf", "-d", "@{folder}/mail",
    files=(("mail", b"Subject: %DATE%\r\n\r\n%BODY%\r\n."),), wire=False,
    why="the end of a message is never the text's to say")
row("-d and a header changed", *TO, "-d", "Subject: a\\nX-A: 1\\n\\nHello.", "--h-Subject:", "b",
    "--header", "X-B: 2", "-ah", "X-C: 3\\nX-D: 4")
row("-d with a final dot", *TO, "-d", "Subject: a\\n\\nHello.\\n.\\n")
row("-d @FILE that is not there", *TO, "-d", "@/nonexistent", status=1)
row("-g", *TO, "-g", stdin=b"Subject: stdin\n\nHello.\n")
for _words in (("-n",), ("-S",), ("-S", "2"), ("-hr",), ("-hs",), ("-hi",), ("-ha",), ("-stl",)):
    row(" ".join(_words), *TO, *_words)
row("--attach @FILE", *TO, "--body", "x", "--attach", "@{folder}/a.bin", "--h-Subject", "parts",
    files=(("a.bin", bytes(range(256))),), why="the MIME structure is our own", wire=False)

# XCLIENT

row("--xclient", *TO, "--xclient", "NAME=c.example ADDR=192.0.2.1", keywords=XCLIENT,
    replies={"XCLIENT": "220 again"})
row("--xclient-addr and -name", *TO, "--xclient-name", "c.example", "--xclient-addr", "192.0.2.1",
    keywords=XCLIENT, replies={"XCLIENT": "220 again"})
row("--xclient and TLS", *TO, "--xclient", "NAME=c.example", "-tls", tls=True, keywords=XCLIENT,
    replies={"XCLIENT": "220 again"})
row("--xclient before TLS", *TO, "--xclient", "NAME=c.example", "-tls", "--xclient-before-starttls",
    tls=True, keywords=XCLIENT, replies={"XCLIENT": "220 again"})
row("--xclient, refused", *TO, "--xclient", "NAME=c.example", status=33, keywords=XCLIENT,
    replies={"XCLIENT": "550 5.7.0 no"})
row("--xclient, not offered", *TO, "--xclient", "NAME=c.example", status=33)
row("--xclient, and no EHLO behind it", *TO, "--xclient", "NAME=c.example", status=34,
    keywords=XCLIENT, replies={"XCLIENT": "220 again", "EHLO": [None, "550 no"], "HELO": "550 no"})

# words

row("an unknown option", *TO, "--nonsense", status=1)
row("a word too many", *TO, "nonsense", status=1)
