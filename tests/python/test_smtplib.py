#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""What posthaste.smtplib has beside smtplib's own, and what it leaves out to be fast, against
interop's scripted server. usage: POSTHASTE_LIBRARY=… test_smtplib.py [WORD]..."""
import base64
import contextlib
import email.utils
import io
import itertools
import os
import subprocess
import sys
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
PACKAGE = os.path.join(HERE, "..", "..", "bindings", "python")
sys.path[:0] = [PACKAGE, HERE, os.path.join(HERE, "..", "interop")]

import tap  # noqa: E402
from peer import KEYWORDS, Peer  # noqa: E402
from posthaste import smtplib  # noqa: E402

ANN, BOB = "ann@example.org", "bob@example.net"
TEXT = b"Subject: x\r\n\r\nA line.\r\n"


def greeted(peer):
    s = smtplib.SMTP(peer.url().partition("//")[2], local_hostname="test.example.org")
    s.ehlo()
    return s


class Records(unittest.TestCase):
    def test_the_record_is_of_the_last_message_whatever_was_said_since(self):
        with Peer() as peer:
            s = greeted(peer)
            self.assertIsNone(s.record)
            for sender in (ANN, BOB):
                s.sendmail(sender, [BOB, ANN], TEXT)
                self.assertEqual(s.record["from"], sender)
            s.sendmail(ANN, [BOB], TEXT)
            s.noop()
            self.assertEqual(len(s.record["recipients"]), 1)
            s.sendmail(BOB, [BOB], TEXT)
            s.quit()
        self.assertEqual((s.record["from"], s.record["outcome"]), (BOB, "accepted"))

    def test_a_message_that_went_out_command_by_command_has_none(self):
        with Peer() as peer, greeted(peer) as s:
            s.sendmail(ANN, [BOB], TEXT)
            s.rcpt = lambda *arguments: smtplib.SMTP.rcpt(s, *arguments)
            s.sendmail(ANN, [BOB], TEXT)
            self.assertIsNone(s.record)

    def test_a_message_that_somebody_refused_has_one(self):
        with Peer({"RCPT": [None, "550 5.1.1 no"]}) as peer, greeted(peer) as s:
            self.assertEqual(s.sendmail(ANN, [ANN, BOB], TEXT), {BOB: (550, b"5.1.1 no")})
            self.assertEqual(s.record["outcome"], "partial")


class Addresses(unittest.TestCase):
    def test_what_is_taken_for_a_bare_address_parseaddr_leaves_as_it_is(self):
        taken = 0
        for length in range(3, 7):
            for characters in itertools.product("a.@-+_", repeat=length):
                address = "".join(characters)
                if smtplib._BARE_ADDRESS.fullmatch(address):
                    taken += 1
                    self.assertEqual(email.utils.parseaddr(address), ("", address))
        self.assertGreater(taken, 1000)


class Hooks(unittest.TestCase):
    heard = []
    refuses = b""

    def setUp(self):
        self.heard.clear()
        Hooks.refuses = b""

    def test_they_hear_of_envelope_and_message(self):
        for debuglevel in (0, 1):
            with contextlib.redirect_stderr(io.StringIO()), Peer() as peer, greeted(peer) as s:
                s.set_debuglevel(debuglevel)
                self.heard.clear()
                s.sendmail(ANN, [BOB, ANN], TEXT)
                heard = b"".join(self.heard).upper()
                for said in (b"MAIL FROM:<ANN@EXAMPLE.ORG>", b"RCPT TO:<BOB@EXAMPLE.NET>\r\n",
                             b"RCPT TO:<ANN@EXAMPLE.ORG>\r\n", TEXT.upper()):
                    self.assertEqual(heard.count(said), 1, heard)

    def test_nothing_is_sent_of_what_one_refuses(self):
        Hooks.refuses = b"bob@"
        with Peer() as peer, greeted(peer) as s:
            for call in (lambda: s.sendmail(ANN, [BOB], TEXT), lambda: s.rcpt(BOB)):
                self.assertRaises(PermissionError, call)
            s.noop()
        self.assertFalse([x for x in peer.lines if x.startswith(("MAIL", "RCPT"))], peer.lines)

    def test_they_hear_no_secret(self):
        secret = base64.b64encode(b"\0ann\0secret").decode()
        with Peer({"AUTH": ["235 ok", "334 ", "235 ok", "235 ok"], secret: "235 ok"},
                  KEYWORDS + ("AUTH PLAIN",)) as peer, greeted(peer) as s:
            s.docmd("AUTH", "PLAIN " + secret)
            s.docmd("auth plain")
            s.docmd(secret)
            s.auth("PLAIN", lambda challenge=None: "\0ann\0secret")
        heard = b"".join(self.heard)
        self.assertIn(b"AUTH PLAIN [hidden]\r\n", heard)
        self.assertNotIn(secret.encode(), heard)


def hook(event, arguments):
    if event == "smtplib.send":
        Hooks.heard.append(arguments[1])
        if Hooks.refuses and Hooks.refuses in arguments[1]:
            raise PermissionError("the hook refuses")


sys.addaudithook(hook)  # for good: it cannot be taken out again


class Debugging(unittest.TestCase):
    def test_it_begins_and_ends_whenever_the_program_wants(self):
        with Peer() as peer, greeted(peer) as s:
            for begin, end in ((lambda: s.set_debuglevel(1), lambda: s.set_debuglevel(0)),
                               (lambda: setattr(s, "debuglevel", 1),
                                lambda: setattr(s, "debuglevel", 0))):
                with contextlib.redirect_stderr(io.StringIO()) as shown:
                    begin()
                    s.sendmail(ANN, [BOB], TEXT)
                    s.noop()
                    end()
                    s.sendmail(ANN, [BOB], TEXT)
                    s.rset()
                self.assertEqual(shown.getvalue().count("send: 'MAIL FROM:<ann@"), 1)
                self.assertIn("reply: retcode (250)", shown.getvalue())
                self.assertTrue("send: 'noop" in shown.getvalue(), shown.getvalue())
                self.assertNotIn("rset", shown.getvalue())


class Importing(unittest.TestCase):
    def test_what_smtplib_does_not_need_is_not_loaded_for_it(self):
        program = ("import sys, smtplib, posthaste.smtplib\n"
                   "assert 'posthaste._send' not in sys.modules\n"
                   "assert 'send' in dir(sys.modules['posthaste'])\n"
                   "from posthaste import Client, Outcome\n"
                   "assert sys.modules['posthaste'].send is sys.modules['posthaste._send'].send")
        subprocess.run([sys.executable, "-c", program], check=True,
                       env=dict(os.environ, PYTHONPATH=PACKAGE))


if __name__ == "__main__":
    tap.main()
