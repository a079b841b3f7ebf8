# SPDX-License-Identifier: MIT
"""`posthaste probe --raw`: what is typed is what the server gets, and whatever the server does is told at
once; on a terminal, too."""
import os
import pty
import select
import signal
import subprocess
import termios
import threading
import time

from harness import PATIENCE, check_sanitizers, equal, test
from peer import LOST, Peer
from probe import run, run_json

ENVELOPE = b"EHLO raw.example\nMAIL FROM:<ann@sender.example>\nRCPT TO:<bob@test.example>\n"


def raw(env, peer, lines, *args):
    return run(env, "-s", "127.0.0.1:%d" % peer.port, "--raw", *args, stdin=lines)


def alone(function):
    """A test that needs none of the servers."""
    function.servers = ()
    return test(function)


class Terminal:
    """`posthaste probe --raw` as a person has it before him."""

    def __init__(self, env, peer):
        here, there = pty.openpty()
        self.fd, self.shown, self.at = here, b"", 0
        self.before = termios.tcgetattr(there)
        environ = dict(env.environ, TERM="xterm")
        self.process = subprocess.Popen(
            (env.posthaste, "probe", "-s", "127.0.0.1:%d" % peer.port, "--raw"), env=environ, stdin=there,
            stdout=there, stderr=there, start_new_session=True,
            preexec_fn=lambda: __import__("fcntl").ioctl(0, termios.TIOCSCTTY, 0))
        self.there = there

    def until(self, what):
        """Waits for the words; what was shown up to them."""
        end = time.monotonic() + PATIENCE
        while what not in self.shown[self.at:]:
            ready = select.select([self.fd], [], [], max(0, end - time.monotonic()))[0]
            assert ready, "%r was not shown, but %r" % (what, self.shown[self.at:])
            self.shown += os.read(self.fd, 4096)
        begin, self.at = self.at, self.shown.index(what, self.at) + len(what)
        return self.shown[begin:self.at]

    def type(self, keys):
        os.write(self.fd, keys)

    def end(self):
        """The exit status, and what was shown since the last until()."""
        status = self.process.wait(timeout=PATIENCE)
        equal(termios.tcgetattr(self.there), self.before, "the terminal's settings")
        os.close(self.there)
        while True:
            try:
                self.shown += os.read(self.fd, 4096)
            except OSError:
                break
        os.close(self.fd)
        check_sanitizers(self.shown.decode("utf-8", "replace"))
        return status, self.shown[self.at:]


# lines from a pipe

@alone
def lines_of_a_message_go_as_they_are_typed(env):
    with Peer() as peer:
        result = raw(env, peer, ENVELOPE + b"DATA\nSubject: x\r\n\n..two\n.one\n.\nNOOP\n")
        equal(result.status, 0, "exit status")
        equal(peer.bodies[0].kept, b"Subject: x\r\n\r\n..two\r\n.one\r\n", "the message on the wire")
        equal(peer.verbs(), ["EHLO", "MAIL", "RCPT", "DATA", "NOOP", "QUIT"], "commands")
        assert "\n -> ..two\n -> .one\n -> .\n<-  250 2.0.0 Ok: queued" in result.stdout, result.stdout


@alone
def an_input_that_ends_within_a_message_delivers_nothing(env):
    with Peer() as peer:
        result = raw(env, peer, ENVELOPE + b"DATA\nSubject: x\n\nhalf")
        peer.finish()
        equal(result.status, 1, "exit status")
        equal(peer.bodies, [], "messages")
        assert peer.wires[0].clear.endswith(b"half\r\n"), peer.wires[0].clear[-20:]
        assert "ended before the lone dot" in result.stderr, result.stderr


@alone
def a_reply_within_a_message_ends_the_connection(env):
    def early(connection, line):
        connection.send(b"354 go\r\n")
        connection.receive()
        connection.send(b"451 4.3.0 enough\r\n")
        connection.hang()
    with Peer({"DATA": early}) as peer:
        process = env.start("probe", "-s", "127.0.0.1:%d" % peer.port, "--raw", stdin=subprocess.PIPE)
        process.stdin.write(ENVELOPE + b"DATA\nSubject: x\n")
        process.stdin.flush()
        equal(process.wait(timeout=PATIENCE), 6, "exit status")
        out, err = process.communicate()
        assert b"<** 451 4.3.0 enough\n=== response in 0." in out, out
        assert b"before it had the whole message" in err, err


@alone
def a_chunk_has_as_many_octets_as_were_announced(env):
    with Peer() as peer:
        result = raw(env, peer, ENVELOPE + b"BDAT 10\nSubject: x\nBDAT 9 LAST\n\nlonger\nthan that\n")
        equal(result.status, 0, "exit status")
        # "Subject: x" has ten octets: its CRLF is beyond the chunk
        equal(peer.bodies[0].kept, b"Subject: x\r\nlonger\r", "the message")
        assert "2 octets more than the chunk was to have" in result.stderr, result.stderr


@alone
def under_lmtp_each_recipient_has_a_reply(env):
    with Peer({"BODY": ["250 2.0.0 first", "452 4.2.2 second is full"]}, lmtp=True) as peer:
        result = run(env, "--server", peer.url("lmtp"), "--tls", "off", "--raw", stdin=
                     b"LHLO x\nMAIL FROM:<>\nRCPT TO:<a@test.example>\nRCPT TO:<b@test.example>\n"
                     b"DATA\n\nx\n.\nNOOP\n")
        assert "<-  250 2.0.0 first\n" in result.stdout, result.stdout
        assert "<** 452 4.2.2 second is full\n" in result.stdout + result.stderr, result.stdout
        equal(peer.verbs()[-2:], ["NOOP", "QUIT"], "the last commands")


@alone
def what_expect_asks_for_is_the_last_reply_but_that_to_quit(env):
    for quit in (b"", b"QUIT\n", b"quit\n"):
        for code, status in (("550", 0), ("5.1.1", 0), ("250", None)):
            with Peer({"RCPT": "550 5.1.1 nobody"}) as peer:
                result = raw(env, peer, ENVELOPE + quit, "--expect", code)
                if status is None:
                    assert result.status != 0, "an unexpected reply is a failure"
                else:
                    equal(result.status, status, "exit status")


@alone
def a_command_that_would_be_two_is_not_said_and_the_next_is(env):
    with Peer() as peer:
        result = raw(env, peer, b"NOOP a\x01b\nNOOP c\x00d\nNOOP\n")
        equal(peer.lines, ["NOOP", "QUIT"], "commands")
        equal(result.status, 0, "exit status")
        assert "control character" in result.stderr and "NUL" in result.stderr, result.stderr


@alone
def answers_to_challenges_are_in_no_transcript(env):
    replies = {"AUTH": lambda c, line: c.send(b"334 VXNlcg==\r\n") or c.line() and
               c.send(b"334 UGFzcw==\r\n") or c.line() and "235 2.7.0 ok"}
    with Peer(replies) as peer:
        lines = b"EHLO x\nAUTH LOGIN\nYW5uc25hbWU=\nc2VjcmV0c2VjcmV0\nNOOP\n"
        result = raw(env, peer, lines)
        equal(result.status, 0, "exit status")
        for secret in ("YW5uc25hbWU", "c2VjcmV0"):
            assert secret not in result.stdout + result.stderr, result.stdout
        equal(result.stdout.count(" -> [hidden]"), 2, "hidden lines")
        equal(peer.verbs()[-2:], ["NOOP", "QUIT"], "the last commands")


@alone
def a_server_that_closes_is_told_while_no_command_comes(env):
    for last_words in (b"", b"421 4.3.2 going \x1b[2Jdown\r\n"):
        with Peer({"NOOP": lambda c, line: c.send(b"250 ok\r\n" + last_words) or LOST and c.close()}) as peer:
            process = env.start("probe", "-s", "127.0.0.1:%d" % peer.port, "--raw", stdin=subprocess.PIPE)
            process.stdin.write(b"NOOP\n")
            process.stdin.flush()       # and is left open
            equal(process.wait(timeout=PATIENCE), 6, "exit status")
            out, err = process.communicate()
            assert b"\x1b" not in out + err, out + err
            assert b"closed" in err, err


@alone
def what_a_server_says_is_escaped(env):
    with Peer({"NOOP": b"250 \x1b]0;title\x07\xff\xe2\x80\xae\r\n"}) as peer:
        result = raw(env, peer, b"NOOP\n")
        assert r"<-  250 \x1B]0;title\x07\xFF\xE2\x80\xAE" in result.stdout, result.stdout


@alone
def raw_mode_is_told_as_json(env):
    with Peer({"NOOP": "550 5.7.1 no"}) as peer:
        result = run_json(env, "-s", "127.0.0.1:%d" % peer.port, "--raw", stdin=b"NOOP\n")
        said = [(x["sent"], x["code"]) for x in result.record["exchanges"]]
        equal(said, [(None, 220), ("NOOP", 550), ("QUIT", 221)], "exchanges")


@alone
def a_handshake_is_told_once(env):
    made = env.certificate
    with Peer(context=made.context(), keywords=("STARTTLS",)) as peer:
        shown = run(env, "-s", "127.0.0.1:%d" % peer.port, "--raw", stdin=b"EHLO x\nSTARTTLS\n").stdout
    equal(shown.count(":TLS_"), 1, "TLS started")
    assert "TLS is up" not in shown, shown


# on a terminal

@alone
def a_terminal_has_a_prompt_with_editing_and_history(env):
    with Peer() as peer:
        person = Terminal(env, peer)
        person.until(b"smtp> ")
        person.type(b"NOOP ab\x02\x7fc\r")     # left, backspace: "cb"
        person.until(b"250 2.0.0 Ok")
        person.until(b"smtp> ")
        person.type(b"\x1b[A\r")        # arrow up
        person.until(b"250 2.0.0 Ok")
        person.until(b"smtp> ")
        person.type(b"\x04")            # ^D
        status, shown = person.end()
        equal(status, 0, "exit status")
        equal(peer.lines, ["NOOP cb", "NOOP cb", "QUIT"], "commands")
        assert b"221 2.0.0 Bye" in shown, shown
        assert b"-> NOOP" not in shown and b"-> QUIT" in shown, "what was typed is shown once"


@alone
def answers_are_not_shown_and_the_history_has_no_auth_line(env):
    replies = {"AUTH": lambda c, line: (c.send(b"334 \r\n") or c.line() and "535 5.7.8 no")
               if line.upper() == "AUTH PLAIN" else "535 5.7.8 no"}
    with Peer(replies) as peer:
        person = Terminal(env, peer)
        person.until(b"smtp> ")
        person.type(b"NOOP\r")
        person.until(b"smtp> ")
        person.type(b"AUTH PLAIN c2VjcmV0\r")
        person.until(b"smtp> ")
        person.type(b"\x1b[A\r")
        person.until(b"smtp> ")
        person.type(b"AUTH PLAIN\r")
        person.until(b"(hidden)> ")
        person.type(b"bW9yZXNlY3JldA==\r")
        person.until(b"smtp> ")
        person.type(b"quit\r")
        equal(person.end()[0], 0, "exit status")
        assert b"bW9yZX" not in person.shown, person.shown
        equal(peer.verbs(), ["NOOP", "AUTH", "NOOP", "AUTH", "QUIT"], "commands")


@alone
def a_server_that_closes_is_told_while_the_prompt_waits(env):
    for last_words in (b"", b"421 4.3.2 going down\r\n"):
        with Peer({"NOOP": lambda c, line: c.send(b"250 ok\r\n" + last_words) or c.close()}) as peer:
            person = Terminal(env, peer)
            person.until(b"smtp> ")
            person.type(b"NOOP\r")
            person.until(b"250 ok")
            status, shown = person.end()
            equal(status, 6, "exit status")
            assert last_words.rstrip() in shown and b"closed" in shown, shown


@alone
def a_signal_ends_it_and_leaves_the_terminal_as_it_was(env):
    heard = threading.Event()
    with Peer({"HELP": lambda c, line: heard.set() or c.hang()}) as peer:
        person = Terminal(env, peer)
        person.until(b"smtp> ")
        person.type(b"half a li")
        person.until(b"half a li")
        person.type(b"\x03")                    # ^C at the prompt
        equal(person.end()[0], 130, "exit status")
        person = Terminal(env, peer)
        person.until(b"smtp> ")
        person.type(b"HELP\r")
        assert heard.wait(30), person.shown
        person.process.send_signal(signal.SIGTERM)      # while a reply is awaited
        equal(person.end()[0], 130, "exit status")
        equal(peer.verbs(), ["HELP"], "commands")
