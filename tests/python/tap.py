# SPDX-License-Identifier: MIT
"""Runs unittest cases one by one and prints a line of TAP for each. A case that was skipped has
failed: a test that cannot run tells nothing."""
import faulthandler
import sys
import unittest

PATIENCE = 60       # seconds; a case still running then ends the run, with every thread's stack


def cases(suite):
    for part in suite:
        if isinstance(part, unittest.TestSuite):
            yield from cases(part)
        else:
            yield part


def outcome(case):
    """None, or why it is no success."""
    result = unittest.TestResult()
    result.addSubTest = lambda case, part, error: error and result.addFailure(case, error)
    faulthandler.dump_traceback_later(PATIENCE, exit=True)
    try:
        case.run(result)
    finally:
        faulthandler.cancel_dump_traceback_later()
    for _, why in result.errors + result.failures:
        return why
    for _, why in result.skipped:
        return "skipped: " + why
    return None


def say(good, sentence, why=None):
    print("%s - %s" % ("ok" if good else "not ok", sentence))
    for line in "" if good or not why else why.splitlines():
        print("#   " + line)
    sys.stdout.flush()
    return good


def main(module="__main__"):
    """Every case of a module, or those that have a word of the command line in their names."""
    chosen = [x for x in cases(unittest.defaultTestLoader.loadTestsFromModule(sys.modules[module]))
              if len(sys.argv) < 2 or any(word in x.id() for word in sys.argv[1:])]
    print("1..%d" % len(chosen), flush=True)
    whys = [(case, outcome(case)) for case in chosen]
    good = [say(why is None, case.id().split(".")[-1].replace("_", " "), why) for case, why in whys]
    sys.exit(0 if good and all(good) else 1)
