# SPDX-License-Identifier: MIT
"""One run of `posthaste probe`, or of swaks, against a scripted server: exit status, transcript,
octets on the wire; and what changes from run to run, made the same."""
import json
import re
import shutil
import subprocess

import harness
from harness import Result

SWAKS = shutil.which("swaks")

# What a transcript has of the moment and the machine.
CHANGING = (
    (r"127\.0\.0\.1:\d+", "127.0.0.1:PORT"),
    (r"\bin \d+\.\d+s\b", "in TIMEs"),
    (r"(TLSv1\.3):\S+", r"\1:CIPHER"),
    (r"\b[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d [+-]\d{4}", "DATE"),
    (r"(?i)(Message-Id: )<[^<>@]+@[^<>@]+>", r"\1<ID>"),
    (r"(?m)(<[-~]  334 )[\w+/=]{40,}$", r"\1CHALLENGE"),
    (r"(X-Mailer: )\S.*", r"\1MAILER"),
    (r"=_[-\w.]+|----=_MIME_BOUNDARY[-\w]*", "BOUNDARY"),
)


def unchanging(text):
    for pattern, word in CHANGING:
        text = re.sub(pattern, word, text)
    return text


def run(env, *args, stdin=b""):
    """`posthaste probe`, to its end."""
    return env.run("probe", *args, stdin=stdin)


def run_json(env, *args, stdin=b""):
    """With --json: the one object that it printed, as .record."""
    result = run(env, "--json", *args, stdin=stdin)
    harness.equal(len(result.stdout.splitlines()), 1, "lines on standard output")
    result.record = json.loads(result.stdout)
    return result


def run_swaks(env, *args, stdin=b""):
    assert SWAKS, "swaks is not installed: tools/install-packages.sh test"
    environ = {x: y for x, y in env.environ.items() if x in ("HOME", "PATH", "TZ")}
    process = subprocess.Popen((SWAKS,) + args, env=environ, stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        out, err = process.communicate(stdin, timeout=harness.PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        out, err = process.communicate()
    return Result((SWAKS,) + args, process.returncode, out, err)


def said(wires):
    """What came over each connection, as lines; `~` before those within TLS."""
    return [_lines(x.clear, "") + _lines(x.secure, "~") for x in wires]


def _lines(octets, mark):
    text = unchanging(octets.decode("utf-8", "backslashreplace"))
    return [mark + line for line in text.splitlines()]
