# SPDX-License-Identifier: MIT
"""What ends a delivery from our own side: signals, pauses of the input, closed descriptors; and
what need not be waited for."""
import os
import signal
import subprocess
import threading
import time

from harness import PATIENCE, Result, equal, parse_record, test
from peer import HANG, Peer

BDAT = ("PIPELINING", "CHUNKING", "8BITMIME")


def interrupted(env, replies, signals, *args):
    """Runs `send` against a peer that hangs at the moment `replies` names, and sends signals."""
    reached = threading.Event()

    def hang(connection, line):
        reached.set()
        connection.hang()
    with Peer({moment: hang for moment in replies}) as peer:
        process = env.start("send", "--json", "--server", peer.url(), "--tls=off", "--from",
                            "ann@test.example", "--message", env.file("m", b"Subject: x\n\nx\n"),
                            *args, "bob@test.example", stdin=subprocess.DEVNULL)
        assert reached.wait(PATIENCE), "the peer never came to its moment"
        time.sleep(0.2)
        for number in signals:
            process.send_signal(number)
        out, err = process.communicate(timeout=PATIENCE)
    return Result(("send",), process.returncode, out, err)


@test
def a_signal_before_the_last_octet_cancels_and_is_told(env):
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        result = interrupted(env, ["MAIL"], [number])
        equal(result.status, 130, "exit status")
        record = parse_record(result)
        equal((record["class"], record["outcome"]), ("cancelled", "deferred"), "class, outcome")


@test
def a_signal_behind_the_last_octet_leaves_it_in_doubt(env):
    result = interrupted(env, ["BODY"], [signal.SIGINT])
    equal(result.status, 75, "exit status")
    record = parse_record(result)
    equal((record["class"], record["outcome"]), ("in_doubt", "in_doubt"), "class, outcome")
    equal(interrupted(env, ["BODY"], [signal.SIGINT], "--no-dup").status, 74, "with --no-dup")


@test
def an_input_that_pauses_longer_than_the_timeout_is_not_the_servers_fault(env):
    for keywords in (BDAT, BDAT[:1]):
        with Peer({}, keywords=keywords) as peer:
            process = env.start("send", "--json", "--server", peer.url(), "--tls=off",
                                "--timeout", "1", "--from", "ann@test.example", "--message", "-",
                                "bob@test.example", stdin=subprocess.PIPE)
            half = b"Subject: x\n\n" + (b"x" * 70 + b"\n") * 5000
            process.stdin.write(half)
            process.stdin.flush()
            time.sleep(2.5)
            out, err = process.communicate(half[12:], timeout=PATIENCE)
        equal((process.returncode, err), (0, b""), "status and errors")


@test
def the_answer_to_quit_is_not_waited_for(env):
    with Peer({"QUIT": HANG}) as peer:
        began = time.monotonic()
        env.send(peer.url(), "--tls=off").expect(0, "ok", "accepted")
        assert time.monotonic() - began < 3, "it waited"


@test
def a_closed_standard_input_is_no_empty_message(env):
    with Peer({}) as peer:
        for args in (["--message", "-"], ["-s", "hi"]):
            process = env.start("send", "--server", peer.url(), "--tls=off", "--from",
                                "ann@test.example", *args, "bob@test.example",
                                stdin=subprocess.DEVNULL, preexec_fn=lambda: os.close(0))
            out, err = process.communicate(timeout=PATIENCE)
            equal(process.returncode, 66, "exit status of " + args[0])


@test
def the_environment_cannot_say_whom_to_trust(env):
    for name, value in (("CA_DIR", "/"), ("TLS_NAME", "x.example"), ("PIN", "00" * 32)):
        with Peer({}) as peer:
            env.environ["POSTHASTE_" + name] = value
            try:
                env.send(peer.url()).expect(0, "ok", "accepted")   # the loopback policy holds
            finally:
                del env.environ["POSTHASTE_" + name]
