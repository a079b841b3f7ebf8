#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""A program that sends for a long time stays as small as it was: the resident set before and after
10,000 messages by send(), by Client, and by posthaste.smtplib. Release build, and the sink of it.
usage: POSTHASTE_LIBRARY=… memory.py POSTHASTE [WORD]..."""
import contextlib
import email
import io
import os
import ssl
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "..", "bindings", "python"), HERE]

import posthaste  # noqa: E402
import tap  # noqa: E402
from posthaste import smtplib  # noqa: E402

WARM_UP, MESSAGES = 1000, 10000
GROWTH = 256    # KiB: 26 octets a message
TEXT = b"From: ann@example.org\r\nTo: bob@example.net\r\nSubject: x\r\n\r\n" + b"A line.\r\n" * 20
LETTER = email.message_from_bytes(TEXT)
ENVELOPE = {"sender": "ann@example.org", "recipients": "bob@example.net"}


@contextlib.contextmanager
def sink(posthaste_command, folder):
    ready = os.path.join(folder, "ready")
    process = subprocess.Popen([posthaste_command, "sink", "--smtp", "0", "--ready-file", ready,
                                "--quiet", "--ca-out", os.path.join(folder, "ca.pem")],
                               stdout=subprocess.DEVNULL)
    try:
        while not os.path.exists(ready):
            assert process.poll() is None, "the sink did not start"
            time.sleep(0.01)
        with open(ready, encoding="ascii") as f:
            yield next(x.split()[1] for x in f if x.startswith("smtp "))
    finally:
        process.terminate()
        process.wait()


def resident():
    """KiB."""
    with open("/proc/self/status", encoding="ascii") as f:
        return int(next(x.split()[1] for x in f if x.startswith("VmRSS")))


def by_send(address, count):
    for _ in range(count):
        record = posthaste.send(LETTER, server="smtp://" + address, tls="off", transcript=str)
        assert record.accepted, record.error


def by_client(address, count):
    with posthaste.Client("smtp://" + address, tls="off") as client:
        for _ in range(count):
            if client.pending == 8:
                assert client.next().accepted
            client.submit(TEXT, **ENVELOPE)
        while client.pending:
            assert client.next().accepted


def by_smtplib(address, count):
    for _ in range(count // 100):
        with smtplib.SMTP(address) as client:
            for _ in range(100):
                assert client.sendmail("ann@example.org", ["bob@example.net"], TEXT) == {}


def by_smtplib_connections(address, count):
    for _ in range(count // 5):
        with smtplib.SMTP(address) as client:
            client.noop()


def by_smtplib_and_a_context(address, count):
    """Python's TLS, lent."""
    context = ssl.create_default_context(cafile=authority)
    for _ in range(count // 10):
        with smtplib.SMTP(address) as client:
            client.starttls(context=context)
            for _ in range(10):
                client.sendmail("ann@example.org", ["bob@example.net"], TEXT)


def by_calls_that_fail(address, count):
    def fail(line):
        raise ZeroDivisionError
    for _ in range(count // 10):
        with contextlib.suppress(posthaste.UsageError):
            posthaste.send(LETTER, server="smtp://" + address, recipients="no address")
        assert not posthaste.send(TEXT, server="smtp://127.0.0.1:1", **ENVELOPE).accepted
        with contextlib.suppress(ZeroDivisionError):
            posthaste.send(io.BytesIO(TEXT), server="smtp://" + address, transcript=fail,
                           **ENVELOPE)
        with contextlib.suppress(ConnectionRefusedError):
            smtplib.SMTP("127.0.0.1", 1)


def grows(work, address):
    work(address, WARM_UP)
    before = resident()
    work(address, MESSAGES)
    return resident() - before


def main(command, *words):
    global authority
    good = []
    with tempfile.TemporaryDirectory() as folder, sink(command, folder) as address:
        authority = os.path.join(folder, "ca.pem")
        for work in (by_send, by_client, by_smtplib, by_smtplib_connections,
                     by_smtplib_and_a_context, by_calls_that_fail):
            if words and not any(x in work.__name__ for x in words):
                continue
            began = time.monotonic()
            growth = grows(work, address)
            good.append(tap.say(growth <= GROWTH, "memory is level %s: %+d KiB, %.1f s" % (
                work.__name__.replace("_", " "), growth, time.monotonic() - began)))
    return 0 if good and all(good) else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
