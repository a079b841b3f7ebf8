# SPDX-License-Identifier: MIT
"""What lies in the mailbox is what was sent: each message by BDAT and by DATA into Postfix, by LMTP
into Dovecot, and through Dovecot's submission service."""
import random

from harness import equal, test
from servers import CLEAR, DATA_ONLY, DOVECOT, LMTP, SMTP, SMTPS, login

HEAD = b"From: sender@sender.example\nTo: bob@test.example\nSubject: bytes\n\n"


def messages():
    utf8 = ("Grüße aus Žilina, 你好, привет, 😀\n" * 40).encode()
    yield "plain", HEAD + b"Plain ASCII.\n"
    yield "dots at line starts", HEAD + b".\n..\n...\n.one\n..two\nnot.this\n.\n\n.\n"
    yield "a dot as last line", HEAD + b"text\n.\n"
    yield "a dot without line end", HEAD + b"text\n."
    yield "a dot as first line", HEAD + b".\ntext\n"
    yield "8-bit UTF-8", HEAD + utf8
    yield "long lines", HEAD + b"".join(b"x" * n + b"\n" for n in (996, 997, 998))
    yield "a long line of dots", HEAD + b"." * 998 + b"\n"
    yield "empty body", HEAD
    yield "CRLF", (HEAD + b"one\n.two\n\nthree\n").replace(b"\n", b"\r\n")
    yield "mixed line ends", HEAD + b"lf\ncrlf\r\ncr\rlf\n.\r.\n.\r\n.\rend\n"
    yield "no final line end", HEAD + b"the end"
    yield "no final line end, CRLF", (HEAD + b"one\nthe end").replace(b"\n", b"\r\n")
    yield "blank lines at both ends", HEAD + b"\n\n\ntext\n\n\n\n"
    yield "folded headers", b"Subject: a\n b\n\tc\nX-Empty:\n" + HEAD + b"body\n"
    yield "smuggling", HEAD + (b"a\n.\r\nMAIL FROM:<x@test.example>\r\n.\n"
                               b"RCPT TO:<carol@test.example>\n")
    # lengths around the powers of two where buffers end
    for size in (4096, 16384, 65536):
        for more in (-2, -1, 0, 1):
            fill = (b"." * 63 + b"\n") * (size // 64 + 1)
            yield "%d octets" % (size + more), HEAD + fill[:size + more - len(HEAD)]
    lines = random.Random(7)
    yield "150 KiB", HEAD + b"".join(
        bytes(lines.choice(b".abc \xc3\xa9") for _ in range(lines.randrange(0, 120))) + b"\n"
        for _ in range(2600))[:150 * 1024]


def all_arrive(env, server, url, *args):
    for name, message in messages():
        env.empty_mailboxes()
        try:
            env.send(url, *args, message=message).good()
            env.delivered(server, "bob", message)
            equal(env.mailbox(server, "carol"), [], "mail smuggled to carol")
        except AssertionError as e:
            raise AssertionError("%s: %s" % (name, e))


@test
def every_octet_arrives_by_bdat_in_postfix(env):
    all_arrive(env, env.postfix, SMTP)


@test
def every_octet_arrives_by_data_in_postfix(env):
    all_arrive(env, env.postfix, DATA_ONLY)


@test
def every_octet_arrives_in_clear_in_postfix(env):
    all_arrive(env, env.postfix, CLEAR)


@test
def every_octet_arrives_by_implicit_tls_in_postfix(env):
    all_arrive(env, env.postfix, SMTPS, *login(env))


@test
def every_octet_arrives_through_dovecot_submission(env):
    all_arrive(env, env.postfix, DOVECOT, *login(env))


@test
def every_octet_arrives_by_lmtp_in_dovecot(env):
    all_arrive(env, env.dovecot, LMTP)


@test
def every_octet_arrives_from_a_pipe(env):
    for name, message in messages():
        for server in (SMTP, DATA_ONLY):
            env.empty_mailboxes()
            env.send(server, message="-", stdin=message).good()
            env.delivered(env.postfix, "bob", message)


@test
def the_record_counts_the_octets_on_the_wire(env):
    message = HEAD + b"one\n.two\n"
    result = env.send(SMTP, message=message)
    equal(result.record["bytes"], len(message) + message.count(b"\n"), "bytes")
