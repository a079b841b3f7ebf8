#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""What to do is told a Python program in words that it can write: every hint of the library's
sources, in both dialects, and a few as an exception has them. And a library that is missing or not
the right one.
usage: POSTHASTE_LIBRARY=… test_hints.py [WORD]..."""
import glob
import inspect
import os
import re
import subprocess
import sys
import tempfile
import traceback
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.join(HERE, "..", "..")
sys.path[:0] = [os.path.join(ROOT, "bindings", "python"), HERE, os.path.join(HERE, "..", "interop")]

import posthaste  # noqa: E402
import posthaste.smtplib as smtplib  # noqa: E402
import tap  # noqa: E402
from peer import Peer  # noqa: E402
from posthaste import _hints  # noqa: E402


def in_data():
    with open(os.path.join(ROOT, "data", "hints"), encoding="utf-8") as f:
        for hint in re.findall(r"^hint +=(.*(?:\n +.*)*)", f.read(), re.M):
            yield " ".join(hint.split())


def in_sources():
    """Literals of C that name an option."""
    paths = (path for folder in ("auth", "client", "drive", "mail", "net", "route", "smtp")
             for path in glob.glob(os.path.join(ROOT, "src", folder, "*.c")))
    for path in paths:
        with open(path, encoding="utf-8") as f:
            text = re.sub(r"/\*.*?\*/", "", f.read(), flags=re.S)
        for literals in re.findall(r'(?:"(?:[^"\\\n]|\\.)*"\s*)+', text):
            joined = "".join(re.findall(r'"((?:[^"\\\n]|\\.)*)"', literals))
            if " --" in " " + joined:
                yield joined.replace("%s", "mail.example.org")


HINTS = [*in_data(), *in_sources()]


class Hints(unittest.TestCase):
    def test_there_are_hints_with_options_to_translate(self):
        self.assertGreater(sum("--" in hint for hint in HINTS), 50)

    def test_no_hint_of_send_names_an_option_of_the_command(self):
        for hint in HINTS:
            self.assertNotIn(" --", " " + _hints.for_send(hint))

    def test_every_argument_in_a_hint_of_send_is_one(self):
        known = inspect.signature(posthaste.send).parameters
        for hint in filter(lambda hint: "--" in hint, HINTS):
            for name in re.findall(r"\b([a-z_]+)=", _hints.for_send(hint)):
                self.assertIn(name, known, hint)

    def test_no_hint_of_smtplib_names_an_option_or_a_url(self):
        for hint in HINTS:
            self.assertNotRegex(_hints.for_smtplib(hint), r"(^|\W)--[a-z]|\w://(?!www)")

    def test_what_is_no_option_stays_as_it_is(self):
        hint = "try again in some minutes; or ask its operator"
        self.assertEqual(_hints.for_smtplib(hint), hint)
        self.assertEqual(_hints.for_send(hint), hint)


class Exceptions(unittest.TestCase):
    def test_an_exception_and_the_record_speak_python(self):
        with Peer({"RCPT": "550 5.7.1 Relay access denied"}) as peer, \
                smtplib.SMTP("127.0.0.1", peer.port) as s:
            with self.assertRaises(smtplib.SMTPRecipientsRefused) as caught:
                s.sendmail("ann@example.org", "bob@example.net", "Subject: x\n\nx\n")
            self.assertIn("call login()", caught.exception.posthaste.hint)
            self.assertIn("call login()", s.record["error"]["hint"])

    def test_a_refused_greeting_is_explained(self):
        with Peer({"GREETING": "421 4.3.2 too busy"}) as peer:
            with self.assertRaises(smtplib.SMTPConnectError) as caught:
                smtplib.SMTP("127.0.0.1", peer.port)
        self.assertEqual(caught.exception.posthaste.stage, "greeting")

    def test_a_traceback_says_once_what_to_do(self):
        with Peer({"RCPT": "550 5.7.1 Relay access denied"}) as peer, \
                smtplib.SMTP("127.0.0.1", peer.port) as s:
            with self.assertRaises(smtplib.SMTPRecipientsRefused) as caught:
                s.sendmail("ann@example.org", "bob@example.net", "Subject: x\n\nx\n")
        shown = "".join(traceback.format_exception(caught.exception))
        self.assertEqual(shown.count("Hint: "), 1)


def why_not(library):
    """What the import says."""
    env = {"PYTHONPATH": sys.path[0], "POSTHASTE_LIBRARY": library}
    it = subprocess.run([sys.executable, "-c", "import posthaste"], env=env, text=True,
                        capture_output=True)
    return it.stderr.splitlines()[-1]


class Imports(unittest.TestCase):
    def test_a_library_that_is_not_there_is_put_down_to_the_variable(self):
        self.assertRegex(why_not("/nowhere.so"),
                         "^ImportError: .*/nowhere.so.*POSTHASTE_LIBRARY says that it is there")

    def test_another_library_is_said_to_be_none_of_ours(self):
        with tempfile.TemporaryDirectory() as folder:
            other = os.path.join(folder, "other.so")
            subprocess.run(["cc", "-shared", "-fPIC", "-x", "c", "-o", other, "-"], input=b"int x;",
                           check=True)
            self.assertRegex(why_not(other), "^ImportError: .*other.so is not libposthaste")

    def test_an_older_library_is_told_by_its_release(self):
        with tempfile.TemporaryDirectory() as folder:
            old = os.path.join(folder, "old.so")
            subprocess.run(["cc", "-shared", "-fPIC", "-x", "c", "-o", old, "-"], check=True,
                           input=b'const char *ph_version(void) { return "0.0.1"; }')
            self.assertRegex(why_not(old), r"^ImportError: .*another release \(0\.0\.1\)")


if __name__ == "__main__":
    tap.main()
