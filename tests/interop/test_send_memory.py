# SPDX-License-Identifier: MIT
"""100 MiB in constant memory. Release build only: a sanitizer's shadow is most of what it measures.

The peak is the kernel's VmHWM, read by the server between the last octet and its final reply: the
whole message has then passed through. It belongs to the program since its exec, unlike wait4()'s
ru_maxrss, which begins with the size of whoever forked it.
"""
import hashlib
import re
import subprocess

from harness import SENDER, equal, parse_record, Result, test
from peer import KEYWORDS, Peer

SIZE = 100 << 20
PEAK = 20 << 10         # KiB
BLOCK = b"Subject: large\r\n\r\n" + b"".join(b"%063d\r\n" % i for i in range(16100))


def large_file(env):
    """The message with CRLF, no dot at a line's start; and its hash."""
    digest, written = hashlib.sha256(), 0
    with open(env.folder + "/large", "wb") as f:
        while written < SIZE:
            block = BLOCK if written == 0 else BLOCK[18:]
            f.write(block)
            digest.update(block)
            written += len(block)
    return f.name, written, digest.hexdigest()


def peak(pid):
    with open("/proc/%d/status" % pid) as f:
        return int(re.search(r"VmHWM:\s+(\d+) kB", f.read())[1])


def stays_small(env, keywords, piped, **tls):
    path, size, digest = large_file(env)
    peaks = []

    def measure(connection, line):
        peaks.append(peak(process.pid))
        return "250 2.0.0 Ok: queued as LARGE"
    with Peer({"BODY": measure}, keywords=keywords, **tls) as peer, open(path, "rb") as file:
        where = (peer.url("smtps"), "--ca-file", env.ca.file) if tls else (peer.url(),)
        args = ("send", "--json", "--server", *where, "--from", SENDER,
                "--message", "-" if piped else path, "bob@test.example")
        cat = subprocess.Popen(["cat"], stdin=file, stdout=subprocess.PIPE) if piped else None
        process = env.start(*args, posthaste=env.release,
                            stdin=cat.stdout if piped else subprocess.DEVNULL)
        out, err = process.communicate(timeout=60)
        if cat is not None:
            cat.stdout.close()
            cat.wait()
        result = Result((env.release,) + args, process.returncode, out, err)
        env.ran.append(result)
        result.record = parse_record(result)
        result.good()
        equal([(x.length, x.sha256) for x in peer.bodies], [(size, digest)], "the message")
        assert max(peaks) < PEAK, "peak of %d KiB" % max(peaks)
        equal("BDAT" in peer.verbs(), "CHUNKING" in keywords, "use of BDAT")


@test
def a_hundred_mib_by_data_from_a_file(env):
    stays_small(env, KEYWORDS, False)


@test
def a_hundred_mib_by_data_from_a_pipe(env):
    stays_small(env, KEYWORDS, True)


@test
def a_hundred_mib_by_bdat_from_a_file(env):
    stays_small(env, KEYWORDS + ("CHUNKING",), False)


@test
def a_hundred_mib_by_bdat_from_a_pipe(env):
    stays_small(env, KEYWORDS + ("CHUNKING",), True)


@test
def a_hundred_mib_over_tls(env):
    stays_small(env, KEYWORDS, False, context=env.certificate.context(), implicit=True)
