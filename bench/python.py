# SPDX-License-Identifier: MIT
"""The Python package beside the standard library's smtplib: the same messages, one connection each,
in turns, so that a change of the machine's speed meets all of them alike; and what importing them
costs.

    python.py PORT [MESSAGES [ROUNDS]]      PORT: of a sink on this machine

posthaste is to be found by PYTHONPATH, its library by POSTHASTE_LIBRARY. The medians of the rounds,
and of the ratios to smtplib in the same round: below 1 is less time than smtplib takes.
"""

import multiprocessing
import queue
import resource
import smtplib
import socket
import statistics
import subprocess
import sys
import threading
import time

import posthaste
import posthaste.smtplib

ANN, BOB = "ann@example.org", "bob@example.org"
LINE = b"The quick brown fox jumps over the lazy dog, and then does it again.\r\n"
HEADER = b"From: ann@example.org\r\nTo: bob@example.org\r\nSubject: bench\r\n\r\n"
MESSAGE = (HEADER + 30 * LINE)[:2046] + b"\r\n"
AHEAD = 16          # messages submitted before the first's record is asked for
ROUND_TRIP = 0.010  # seconds


# ---- a line of some length -----------------------------------------------------------------------

def _carry(source: socket.socket, sink: socket.socket, delay: float) -> None:
    """Passes on what comes, each piece `delay` later, whatever else is under way."""
    pieces: "queue.SimpleQueue[tuple[float, bytes]]" = queue.SimpleQueue()

    def deliver() -> None:
        while True:
            due, octets = pieces.get()
            time.sleep(max(0.0, due - time.monotonic()))
            try:
                if not octets:
                    sink.shutdown(socket.SHUT_WR)
                    return
                sink.sendall(octets)
            except OSError:
                return  # it has closed

    threading.Thread(target=deliver, daemon=True).start()
    while True:
        octets = source.recv(65536)
        pieces.put((time.monotonic() + delay, octets))
        if not octets:
            return


def _relay(listener: socket.socket, port: int) -> None:
    while True:
        near, _ = listener.accept()
        far = socket.create_connection(("127.0.0.1", port))
        for sock in (near, far):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for pair in ((near, far), (far, near)):
            threading.Thread(target=_carry, args=(*pair, ROUND_TRIP / 2), daemon=True).start()


def far_away(port: int) -> int:
    """The port of a relay to it, a process of its own that ends with this one."""
    listener = socket.create_server(("127.0.0.1", 0))
    multiprocessing.get_context("fork").Process(target=_relay, args=(listener, port),
                                                daemon=True).start()
    return int(listener.getsockname()[1])


# ---- those who send ------------------------------------------------------------------------------

class Module:
    """smtplib, or what stands in for it."""

    def __init__(self, module, port: int, strict: bool = False) -> None:
        self._strict = strict
        self._smtp = module.SMTP("127.0.0.1", port, local_hostname="bench.example.org")
        self._smtp.ehlo()

    def send(self, count: int) -> None:
        posthaste.smtplib.strict_compat = self._strict
        for _ in range(count):
            if self._smtp.sendmail(ANN, [BOB], MESSAGE):
                sys.exit("a message was refused")

    def close(self) -> None:
        self._smtp.quit()


class Client:
    """posthaste.Client, with messages submitted ahead."""

    def __init__(self, port: int) -> None:
        self._client = posthaste.Client(f"smtp://127.0.0.1:{port}", tls="off",
                                        helo="bench.example.org")

    def send(self, count: int) -> None:
        client, left = self._client, count
        while left or client.pending:
            while left and client.pending < AHEAD:
                client.submit(MESSAGE, sender=ANN, recipients=[BOB])
                left -= 1
            if not client.next().accepted:
                sys.exit("a message was refused")

    def close(self) -> None:
        self._client.close()


PEERS = {
    "smtplib": lambda port: Module(smtplib, port),
    "posthaste.smtplib": lambda port: Module(posthaste.smtplib, port),
    "posthaste.smtplib, strict_compat": lambda port: Module(posthaste.smtplib, port, True),
    "posthaste.Client, %d submitted ahead" % AHEAD: Client,
}


# ---- measuring -----------------------------------------------------------------------------------

def _table(title, unit, rounds):
    """rounds: of each peer, (wall, cpu) of each round, divided by what was done in it."""
    print(title)
    first = next(iter(rounds.values()))
    for name, figures in rounds.items():
        wall, cpu = (statistics.median(x) for x in zip(*figures))
        by_wall, by_cpu = (statistics.median(x / y for x, y in zip(ours, std))
                           for ours, std in zip(zip(*figures), zip(*first)))
        print("  %-38s %9.0f %s  CPU %6.0f us   time x %.2f  CPU x %.2f"
              % (name, 1 / wall if unit == "/s" else wall * 1e6, unit, cpu * 1e6, by_wall, by_cpu))


def messages(title, port, count, rounds) -> None:
    peers = {name: make(port) for name, make in PEERS.items()}
    found = {name: [] for name in peers}
    for peer in peers.values():
        peer.send(max(1, count // 10))
    for _ in range(rounds):
        for name, peer in peers.items():
            wall, cpu = time.perf_counter(), time.process_time()
            peer.send(count)
            found[name].append(((time.perf_counter() - wall) / count,
                                (time.process_time() - cpu) / count))
    for peer in peers.values():
        peer.close()
    _table(title, "/s", found)


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def imports(rounds) -> None:
    found = {"import smtplib": [], "import posthaste.smtplib": [],
             "import posthaste; posthaste.Client": []}
    for program in found:  # so that the compiled modules are there
        subprocess.run([sys.executable, "-c", program], check=True)
    for _ in range(rounds):
        for program, figures in found.items():
            before, began = _children(), time.perf_counter()
            subprocess.run([sys.executable, "-c", program], check=True)
            figures.append((time.perf_counter() - began, _children() - before))
    _table("a program that does no more than", "us", found)


def main() -> None:
    port = int(sys.argv[1])
    count, rounds = (int(x) for x in (*sys.argv[2:4], *("1000", "7")[len(sys.argv) - 2:]))
    messages("2 KiB, one connection", port, count, rounds)
    messages("2 KiB, one connection, a round trip of %.0f ms" % (ROUND_TRIP * 1e3), far_away(port),
             max(1, count // 20), max(1, rounds // 2))
    imports(2 * rounds)


if __name__ == "__main__":
    main()
