#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Validated look-ups beside bare libunbound, over a signed zone of its own on a loopback port.

    lookup.py BUILD [DOMAINS [ROUNDS]]

Needs knotd and keymgr (Debian: knot). See lookup.c for what is measured.
"""
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time

SOA = "$TTL 3600\n@ SOA ns hostmaster %d 7200 3600 86400 300\n@ NS ns\nns A 127.0.0.1\n"

CONFIG = """
server:
    listen: 127.0.0.1@{port}
    rundir: {dir}
    udp-workers: 1
    tcp-workers: 1
    background-workers: 1
database:
    storage: {dir}/db
policy:
  - id: one-key
    algorithm: ecdsap256sha256
    single-type-signing: on
    ksk-lifetime: 0
template:
  - id: default
    storage: {dir}
    file: "%s.zone"
    zonefile-sync: -1
    zonefile-load: difference-no-serial
    journal-content: all
    dnssec-signing: on
    dnssec-policy: one-key
zone:
  - domain: .
    file: root.zone
  - domain: example.
"""


def free_port() -> int:
    """A port that nobody has, for UDP and TCP."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def write(path: str, text: str) -> None:
    with open(path, "w", encoding="ascii") as f:
        f.write(text)


def domain(i: int) -> str:
    """A domain's records: what a route asks for."""
    return ("d%d MX 10 mx.d%d\nmx.d%d A 192.0.2.%d\nmx.d%d AAAA 2001:db8::%x\n"
            "_25._tcp.mx.d%d TLSA 3 1 1 %064x\n" % (i, i, i, i % 250 + 1, i, i + 1, i, i))


def keys(folder: str, zone: str, what: str) -> str:
    """The zone's DS or DNSKEY record."""
    out = subprocess.run(["keymgr", "-c", folder + "/knot.conf", zone, what], check=True,
                         stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout
    return next(x for x in out.splitlines() if what == "dnskey" or " 13 2 " in x)


def start(folder: str, port: int, domains: int) -> "subprocess.Popen[bytes]":
    """The name server, when it has signed its zones."""
    root = "$ORIGIN .\n" + SOA % 1 + "example. NS ns.example.\nns.example. A 127.0.0.1\n"
    write(folder + "/knot.conf", CONFIG.format(dir=folder, port=port))
    write(folder + "/example.zone",
          "$ORIGIN example.\n" + SOA % 1 + "".join(map(domain, range(domains))))
    os.mkdir(folder + "/db")
    for zone in (".", "example."):   # the keys before the zones: the parent needs its child's
        subprocess.run(["keymgr", "-c", folder + "/knot.conf", zone, "generate",
                        "algorithm=ecdsap256sha256", "ksk=yes", "zsk=yes"], check=True,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    write(folder + "/root.zone", root + keys(folder, "example.", "ds") + "\n")
    write(folder + "/anchor", keys(folder, ".", "dnskey") + "\n")
    with open(folder + "/knot.log", "wb") as log:
        server = subprocess.Popen(["knotd", "-c", folder + "/knot.conf"], stdout=log,
                                  stderr=subprocess.STDOUT)
    for _ in range(600):
        with open(folder + "/knot.log", encoding="utf-8") as log:
            text = log.read()
        if all("[%s] loaded, serial" % zone in text for zone in (".", "example.")):
            return server
        if server.poll() is not None:
            break
        time.sleep(0.05)
    server.kill()
    sys.exit("lookup.py: knotd did not start:\n" + text)


def main(build: str, domains: str = "1000", rounds: str = "7") -> int:
    if not shutil.which("knotd") or not shutil.which("keymgr"):
        sys.exit("lookup.py: no knotd (Debian: apt-get install knot)")
    folder = tempfile.mkdtemp(prefix="posthaste-lookup-")
    port = free_port()
    server = start(folder, port, int(domains))
    try:
        print("validated look-ups, %s domains of one signed zone, 128 questions under way" % domains,
              flush=True)
        return subprocess.run(
            [build + "/bench/lookup", "127.0.0.1@%d" % port, folder + "/anchor", "example",
             domains, rounds], env=dict(os.environ, POSTHASTE_MODULES=build)).returncode
    finally:
        server.terminate()
        server.wait()
        shutil.rmtree(folder)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
