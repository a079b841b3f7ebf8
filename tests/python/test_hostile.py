#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""posthaste.smtplib against programs, sockets and servers that do what they should not: callbacks that
come back, threads, children, lies about lengths, secrets in the wrong place. What they must never do is
damage memory, so this runs with a sanitized library, too.
usage: POSTHASTE_LIBRARY=… test_hostile.py [WORD]..."""
import atexit
import base64
import contextlib
import gc
import io
import os
import signal
import socket
import ssl
import sys
import tempfile
import threading
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "..", "bindings", "python"), HERE,
                os.path.join(HERE, "..", "interop")]

import ca  # noqa: E402
import posthaste  # noqa: E402
import tap  # noqa: E402
from peer import HANG, KEYWORDS, Peer  # noqa: E402
from posthaste import smtplib  # noqa: E402

WITH_AUTH = KEYWORDS + ("AUTH PLAIN LOGIN",)
SECRET = "tanstaaftanstaaf"
CODED = base64.b64encode(b"\0tim\0" + SECRET.encode()).decode()
ENVELOPE = "ann@example.org", ["bob@example.net"]


def to(peer, kind=smtplib.SMTP, **more):
    return kind("127.0.0.1", peer.port, timeout=10, **more)


def over(kind, base=smtplib.SMTP):
    """An SMTP whose socket is a `kind`."""
    class Over(base):
        def _get_socket(self, host, port, timeout):
            sock = kind()
            sock.settimeout(timeout)
            sock.connect((host, port))
            return sock
    return Over


def challenging(*replies):
    """AUTH, answered with these, each but the last of which is answered."""
    def act(connection, line):
        for reply in replies[:-1]:
            connection.send(reply)
            connection.peer.lines.append(connection.line())
        return replies[-1]
    return act


class Reentry(unittest.TestCase):
    def test_a_callback_that_uses_its_connection_is_refused_and_the_connection_lives(self):
        with Peer({"AUTH": challenging(b"334 \r\n", "501 5.7.0 as you like")}, WITH_AUTH) as peer:
            s = to(peer)
            with self.assertRaisesRegex(RuntimeError, "at work"):
                s.auth("PLAIN", lambda challenge=None: s.noop())
            self.assertEqual(s.noop()[0], 250)

    def test_a_callback_may_close(self):
        with Peer({"AUTH": challenging(b"334 \r\n", "501 5.7.0 as you like")}, WITH_AUTH) as peer:
            s = to(peer)

            def answer(challenge=None):
                s.close()
                return "x"
            with self.assertRaises(smtplib.SMTPServerDisconnected):
                s.auth("PLAIN", answer)
            self.assertIsNone(s.sock)
            peer.finish()

    def test_the_debug_output_may_close(self):
        class Closing(smtplib.SMTP):
            def _print_debug(self, *args):
                self.close()
        for call in (lambda s: s.noop(), lambda s: s.ehlo(), lambda s: s.sendmail(*ENVELOPE, "x")):
            with Peer() as peer:
                s = to(peer, Closing)
                s.set_debuglevel(1)
                with contextlib.suppress(smtplib.SMTPServerDisconnected):
                    call(s)
                self.assertIsNone(s.sock)
                peer.finish()

    def test_a_socket_may_close_the_connection_that_reads_from_it(self):
        class Closing(socket.socket):
            owner = None

            def recv(self, size):
                if self.owner is not None:
                    self.owner.close()
                return super().recv(size)
        with Peer() as peer:
            s = to(peer, over(Closing))
            s.sock.owner = s
            with self.assertRaises(smtplib.SMTPServerDisconnected):
                s.noop()
            peer.finish()

    def test_a_transcript_that_closes_its_client_is_refused(self):
        def line(_):
            client.close()
        with Peer() as peer:
            client = posthaste.Client(peer.url(), tls="off", transcript=line)
            with self.assertRaisesRegex(RuntimeError, "at work"):
                client.send(b"Subject: x\r\n\r\nx\r\n", sender=ENVELOPE[0], recipients=ENVELOPE[1])
            client.close()
            peer.finish()

    def test_what_a_callback_raises_leaves_the_call_whatever_it_is(self):
        class Raising(smtplib.SMTP):
            error = None

            def _print_debug(self, *args):
                raise self.error
        for kind in (SystemExit, KeyboardInterrupt, GeneratorExit, StopIteration, MemoryError):
            with self.subTest(kind), Peer() as peer:
                s = to(peer, Raising)
                s.error = kind("x")
                s.set_debuglevel(1)
                with self.assertRaises(kind):
                    s.noop()
                s.set_debuglevel(0)
                s.close()
                peer.finish()


class Threads(unittest.TestCase):
    def test_close_by_another_thread_ends_what_goes_on(self):
        with Peer({"NOOP": HANG}) as peer:
            s = to(peer)
            threading.Timer(0.1, s.close).start()
            with self.assertRaises(smtplib.SMTPServerDisconnected):
                s.noop()
            peer.finish()

    def test_close_by_a_signal_handler_ends_what_goes_on(self):
        with Peer({"NOOP": HANG}) as peer:
            s = to(peer)
            before = signal.signal(signal.SIGALRM, lambda *_: s.close())
            signal.setitimer(signal.ITIMER_REAL, 0.1)
            try:
                with self.assertRaises(smtplib.SMTPServerDisconnected):
                    s.noop()
            finally:
                signal.signal(signal.SIGALRM, before)
            peer.finish()

    def test_threads_that_share_a_connection_take_turns(self):
        with Peer() as peer:
            s = to(peer)
            s.ehlo()
            replies = []

            def send():
                replies.extend(s.sendmail(*ENVELOPE, "x") == {} for _ in range(20))
            threads = [threading.Thread(target=send) for _ in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            self.assertEqual(replies, [True] * 80)
            s.close()
            peer.finish()

    def test_an_interpreter_that_ends_leaves_a_thread_in_a_call_alone(self):
        with Peer({"NOOP": HANG}) as peer:
            child = os.fork()
            if child == 0:
                s = to(peer)
                threading.Thread(target=s.noop, daemon=True).start()
                atexit._run_exitfuncs()
                os._exit(0)
            self.assertEqual(os.waitpid(child, 0)[1], 0)
            peer.finish()


class Descriptors(unittest.TestCase):
    server = None

    def setUp(self):
        if Descriptors.server is None:
            folder = tempfile.TemporaryDirectory()
            atexit.register(folder.cleanup)
            authority = ca.Authority(os.path.join(folder.name, "ca"))
            Descriptors.server = authority.issue("localhost", "DNS:localhost").context()
            os.environ["SSL_CERT_FILE"] = authority.file

    def secured(self, peer):
        s = smtplib.SMTP("localhost", peer.port, timeout=10)
        s.starttls()
        return s

    def test_a_child_that_ends_leaves_the_parents_connection_alone(self):
        with Peer(context=self.server) as peer:
            s = self.secured(peer)
            child = os.fork()
            if child == 0:
                s.close()
                del s
                gc.collect()
                os._exit(0)
            os.waitpid(child, 0)
            self.assertEqual(s.noop()[0], 250)
            s.quit()
            peer.finish()

    def test_nothing_is_written_to_a_descriptor_that_is_another_file_by_now(self):
        with Peer(context=self.server) as peer:
            s = self.secured(peer)
            s.sock.close()
            pairs = [socket.socketpair() for _ in range(4)]
            s.close()
            ends = [end for pair in pairs for end in pair]
            for end in ends:
                end.setblocking(False)
                self.assertRaises(BlockingIOError, end.recv, 1)
            for end in ends:
                end.close()
            peer.finish()

    def test_tls_that_was_lent_to_a_refused_starttls_is_not_the_next_ones(self):
        unverified = ssl.create_default_context()
        unverified.check_hostname, unverified.verify_mode = False, ssl.CERT_NONE
        for first in (lambda s: s.starttls(context=unverified), lambda s: s.docmd("STARTTLS")):
            with Peer({"STARTTLS": ["454 4.7.0 later", None]}, context=self.server) as peer:
                s = smtplib.SMTP("localhost", peer.port, timeout=10)
                s.ehlo()
                with contextlib.suppress(smtplib.SMTPResponseException):
                    first(s)
                s.starttls()
                self.assertIs(type(s.sock), posthaste._sockets.TlsSocket)
                s.quit()
                peer.finish()


class Lies(unittest.TestCase):
    def test_a_socket_that_gives_more_than_it_was_asked_for(self):
        class Generous(socket.socket):
            def recv(self, size):
                return super().recv(size) + b"x" * 200000
        with Peer() as peer:
            self.assertRaisesRegex(ValueError, "asked for", to, peer, over(Generous))

    def test_a_socket_that_says_it_sent_more_than_it_was_given(self):
        for lie in (-1, 1000000):
            class Liar(socket.socket):
                def send(self, octets):
                    return lie
            with Peer() as peer:
                self.assertRaisesRegex(ValueError, "says it sent", to(peer, over(Liar)).noop)

    def test_a_socket_may_keep_what_it_is_given(self):
        kept = []

        class Keeping(socket.socket):
            def send(self, octets):
                kept.append(octets)
                return super().send(octets)
        with Peer() as peer:
            s = to(peer, over(Keeping))
            s.sendmail(*ENVELOPE, "x" * 100000)
            s.close()
            self.assertIn(b"x" * 1000, b"".join(map(bytes, kept)))

    def test_octets_that_lie_about_themselves_are_taken_for_what_they_are(self):
        class Lying(bytes):
            def __len__(self):
                return 10 ** 8

            def count(self, *_):
                return 0
        for send in (lambda s, m: s.sendmail(*ENVELOPE, m),
                     lambda s, m: (s.mail(ENVELOPE[0]), s.rcpt(*ENVELOPE[1]), s.data(m))):
            with Peer() as peer:
                s = to(peer)
                send(s, Lying(b"a\n.\rb"))
                self.assertEqual(peer.bodies[0].kept, b"a\r\n..\r\nb\r\n")
                s.close()

    def test_a_reply_without_end_is_no_refusal_of_the_sender(self):
        with Peer({"MAIL": b"250-" + b"x" * 3000000 + b"\r\n250 ok\r\n"}) as peer:
            with self.assertRaises(smtplib.SMTPResponseException) as caught:
                to(peer).sendmail(*ENVELOPE, "x")
            self.assertEqual(caught.exception.args, (500, "Line too long."))


class Secrets(unittest.TestCase):
    def hidden(self, replies, call):
        err = io.StringIO()
        with Peer(replies, WITH_AUTH) as peer, contextlib.redirect_stderr(err):
            s = to(peer)
            s.set_debuglevel(1)
            try:
                told = repr(call(s))
            except Exception as error:
                told = repr((error, error.args, error.__context__, error.__cause__, vars(error)))
            s.close()
        for form in (SECRET, CODED, CODED[8:20]):
            self.assertNotIn(form, told + err.getvalue())

    def test_octets_that_log_in_are_hidden_and_hidden_where_they_come_back(self):
        def first(s):
            s.send("AUTH PLAIN %s\r\n" % CODED)
            return s.getreply()

        def answer(s):
            s.putcmd("AUTH PLAIN")
            s.getreply()
            s.send(CODED.encode() + b"\r\n")
            return s.getreply()
        self.hidden({"AUTH": lambda _, line: "500 what is " + line}, first)
        self.hidden({"AUTH": challenging(b"334 \r\n", "535 5.7.8 no: " + CODED)}, answer)

    def test_a_secret_that_is_no_line_is_not_in_the_exception(self):
        self.hidden({}, lambda s: s.docmd("AUTH", "PLAIN %s\n" % CODED))
        self.hidden({"AUTH": b"334 \r\n"}, lambda s: (s.docmd("AUTH LOGIN"), s.docmd(CODED + "\n")))

    def test_a_secret_that_cannot_be_encoded_is_not_in_the_exception(self):
        self.hidden({}, lambda s: s.login("tim", SECRET + "\udc80"))
        self.hidden({}, lambda s: s.auth("PLAIN", lambda c=None: SECRET + "\udc80"))
        self.hidden({}, lambda s: posthaste.Client("smtp://x.test", user="tim",
                                                   password=SECRET + "\udc80"))

    def test_a_tunnel_that_begins_here_is_not_taken_for_this_machine(self):
        with Peer(keywords=WITH_AUTH) as peer:
            class Tunnel(smtplib.SMTP):
                def _get_socket(self, host, port, timeout):
                    return socket.create_connection(("127.0.0.1", peer.port), timeout)
            for call in (lambda s: s.login("tim", SECRET), lambda s: s.auth("PLAIN", lambda c=None: "x")):
                s = Tunnel("mail.example.org", 25, timeout=10)
                self.assertRaises(smtplib.SMTPSecurityError, call, s)
                s.close()
            s = Tunnel("localhost", timeout=10)
            self.assertEqual(s.login("tim", SECRET)[0], 235)
            s.close()
            self.assertEqual(peer.verbs().count("AUTH"), 1)


class Commands(unittest.TestCase):
    def test_an_address_brings_no_parameters(self):
        addresses = ("<bob@example.net> NOTIFY=NEVER ORCPT=rfc822;z", "bob@example.net> NOTIFY=NEVER",
                     '"x> NOTIFY=NEVER <@y')
        with Peer() as peer:
            s = to(peer)
            for strict in (False, True):
                smtplib.strict_compat = strict
                for address in addresses:
                    self.assertRaises(ValueError, s.rcpt, address)
                    self.assertRaises(ValueError, s.mail, address)
            smtplib.strict_compat = False
            self.assertEqual(s.mail('<"a> b"@example.net>')[0], 250)
            self.assertFalse([line for line in peer.lines if "NOTIFY" in line])
            s.close()


if __name__ == "__main__":
    tap.main()
