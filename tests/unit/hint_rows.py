#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What tools/make-hints says of rows that are wrong. The good ones are tried by test_hint.c."""
import os
import subprocess
import sys
import tempfile

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
GOOD = "[a]\ncode = 535\nhint = do it\nexample = mx.example:25 535 no\n"
WRONG = {   # the claim: rows, a part of the complaint
    "a good row is taken": (GOOD, None),
    "a row without an example": ("[a]\nstage = auth\nhint = do it\n", "d:1: a row needs hint and example"),
    "an unknown key": ("[a]\nstge = auth\n", "d:2: not KEY = VALUE with a known key"),
    "a key given twice": ("[a]\ncode = 535\ncode = 536\n", "d:3: a second code"),
    "an unknown stage": (GOOD + "stage = auht\n", "auht: no such stage"),
    "an unknown cause": (GOOD.replace("code = 535", "cause = loost"), "loost: no such cause"),
    "a code that is none": (GOOD.replace("= 535", "= 635"), "635: not a code"),
    "an enhanced code that is none": (GOOD + "enhanced = 5.7\n", "5.7: not a enhanced"),
    "a date that is none": (GOOD + "as_of = 2026\n", "2026: not a as_of"),
    "an empty phrase": (GOOD + "words = a | | b\n", "an empty words"),
    "a phrase of stars": (GOOD + "words = *\n", "*: not a phrase"),
    "a phrase that another finds": (GOOD + "words = your spam | spam\n", "already: your spam"),
    "a row without conditions": (GOOD.replace("code = 535\n", ""), "a row without conditions"),
    "a cause and a reply": (GOOD + "cause = lost\n", "about a cause or about a reply"),
    "a hint too long": (GOOD.replace("do it", "x" * 320), "a hint of 320 octets, 319 are allowed"),
    "a hint that may grow too long": (GOOD.replace("do it", "x" * 290 + " {host}"), "are allowed"),
    "a name that nothing stands for": (GOOD.replace("do it", "use {user}"), "only {host}, {port}"),
    "a continuation of nothing": (" code = 535\n", "d:1: this line goes on with nothing"),
    "two rows of a name": (GOOD + GOOD, "d:5: a second row of that name"),
    "a row behind a wider one": (GOOD.replace("= 535", "= 5xx") + GOOD.replace("[a]", "[b]"),
                                 "d:5: never found: [a] above"),
    "a row behind one with a part of its words": (
        GOOD + "words = spam\n" + GOOD.replace("[a]", "[b]") + "words = your spam mail\n", "never found"),
    "a row behind one with a part of a word is found": (
        GOOD + "words = spam\n" + GOOD.replace("[a]", "[b]") + "words = spamhaus\n", None),
    "a row behind one of another host is found": (
        GOOD + "host = *.a.example\n" + GOOD.replace("[a]", "[b]") + "host = a.example\n", None),
}
EXAMPLES = {
    "an example without port": (GOOD.replace("mx.example:25", "mx.example"), "not HOST:PORT and a reply"),
    "a reply where there is a cause": (GOOD.replace("code = 535", "cause = lost"),
                                       "not HOST:PORT and a reply"),
}


def complaint(folder, rows, *options):
    """What it says, with the file's name cut to d."""
    source = os.path.join(folder, "d")
    with open(source, "w", encoding="utf-8") as f:
        f.write(rows)
    done = subprocess.run([os.path.join(ROOT, "tools", "make-hints"), *options,
                           os.path.join(ROOT, "include", "posthaste", "error.h"), source,
                           os.path.join(folder, "out.c")], stderr=subprocess.PIPE, text=True)
    assert (done.returncode == 0) == (done.stderr == ""), done
    return done.stderr.replace(folder + "/", "")


def main():
    cases = [(x, y, ()) for x, y in WRONG.items()] + [(x, y, ("--examples",)) for x, y in EXAMPLES.items()]
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        for claim, (rows, wanted), options in cases:
            said = complaint(folder, rows, *options)
            good = wanted in said if wanted else said == ""
            failed += not good
            print("%s - %s%s" % ("ok" if good else "not ok", claim, "" if good else ": it says " + repr(said)))
    print("1..%d" % len(cases))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
