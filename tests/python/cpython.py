#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""CPython's own tests of smtplib (Debian: libpython3.11-testsuite) against posthaste.smtplib, as
they are, over real sockets and over CPython's mock of them: with strict_compat and without.

Every case must pass but those listed here, and those must fail: a difference that is gone is struck
from the list. usage: POSTHASTE_LIBRARY=… cpython.py [WORD]...: the cases with one of these in their
names"""
import os
import sys
import unittest
import warnings

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.join(HERE, "..", "..")
sys.path[:0] = [os.path.join(ROOT, "bindings", "python"), HERE]

import tap  # noqa: E402
import posthaste.smtplib  # noqa: E402

# The case: why it fails.
DIFFERS = {
    "strict": {},
    "default": {
        "SMTPSimTests.test_421_from_rcpt_cmd":
            "behind a 421 nobody is accepted: every recipient is told so, not the one alone",
        "SMTPSimTests.test__rest_from_mail_cmd":
            "no RSET follows a refused MAIL, so the lost connection shows at the next command",
        "SMTPSimTests.test_send_unicode_without_SMTPUTF8":
            "SMTPNotSupportedError says what is missing, no UnicodeEncodeError",
    },
}


def check(name, case, mode):
    posthaste.smtplib.strict_compat = mode == "strict"
    why, reason = tap.outcome(case), DIFFERS[mode].get(name)
    if reason is None:
        return tap.say(why is None, "%s, %s" % (name, mode), why)
    return tap.say(why is not None, "%s, %s, differs: %s" % (name, mode, reason),
                   "it passes: strike it from the list")


def main(words):
    warnings.simplefilter("ignore")
    sys.modules["smtplib"] = posthaste.smtplib
    from test import test_smtplib
    cases = {case.id().replace("test.test_smtplib.", ""): case for case in
             tap.cases(unittest.defaultTestLoader.loadTestsFromModule(test_smtplib))}
    good = [check(name, case, mode) for mode in DIFFERS for name, case in cases.items()
            if not words or any(word in name for word in words)]
    for name in sorted(set().union(*DIFFERS.values()) - set(cases)):
        good.append(tap.say(False, name, "there is no such case"))
    return 0 if good and all(good) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
