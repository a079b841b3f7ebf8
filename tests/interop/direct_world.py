#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""A small Internet for the tests of direct delivery: its DNS from a root of its own (direct_zones.py),
a validating resolver in /etc/resolv.conf, Postfix as the mail server of all domains, and the web server
of the MTA-STS policies. Everything is on the ports it has in the world, in network and mount namespaces
of its own: a thread enters them, and what that thread starts lives there.

    tests/interop/direct_world.py [--build DIR] shell            # a shell in it
    tests/interop/direct_world.py [--build DIR] run COMMAND…     # one command in it
"""
import sys
sys.dont_write_bytecode = True

import argparse
import concurrent.futures
import fcntl
import os
import re
import shutil
import socket
import struct
import subprocess
import textwrap
import threading
import time

import ca
import direct_dns
import direct_zones
import overlay
import postfix
from direct_policies import Answer, Policies, policy
from server import files_in

HERE = os.path.dirname(os.path.abspath(__file__))
BUILD = os.path.join(HERE, "..", "..", "build")
PACKAGES = ("postfix", "nsd", "unbound", "ldnsutils", "openssl")
LOGS = ("log", "nsd.log", "unbound.log")
RESOLVER = "127.0.0.53"
CLONE_FS = 0x00000200
SIOCSIFADDR, SIOCSIFNETMASK = 0x8916, 0x891c
EXPIRED = {"start": "20200101000000Z", "end": "20210101000000Z"}

# The hosts: the last octet of 192.0.2.0/24, and of 2001:db8::/64. Those with a certificate run Postfix.
HOSTS = {"self": 10, "ta": 11, "ta_other": 12, "ta_old": 13, "pkix": 14, "pkix_old": 15,
         "pkix_other": 16, "clear": 17, "second": 19, "policies": 80, "peer1": 101, "peer2": 102,
         "dead": 250, "dead2": 251, "silent": 252}
MAIL = ("self", "ta", "ta_other", "ta_old", "pkix", "pkix_old", "pkix_other", "clear", "second")


class Addresses:
    def __init__(self, form):
        for name, number in HOSTS.items():
            setattr(self, name, form % number)


AT, AT6 = Addresses("192.0.2.%d"), Addresses("2001:db8::%x")

MAIN = """
compatibility_level = 3.6
queue_directory = {folder}/spool
data_directory = {folder}/data
maillog_file = {folder}/log
maillog_file_prefixes = {folder}
myhostname = world.example
mydestination =
mynetworks =
inet_interfaces = all
inet_protocols = all
smtpd_peername_lookup = no
default_transport = error:outside mail is not sent
relay_transport = error:outside mail is not sent
alias_maps =
virtual_mailbox_domains = static:all
virtual_mailbox_base = {folder}/mail
virtual_mailbox_maps = static:all/
virtual_minimum_uid = 1
virtual_uid_maps = static:8
virtual_gid_maps = static:8
local_header_rewrite_clients =
smtputf8_enable = yes
smtpd_error_sleep_time = 0
smtpd_client_connection_count_limit = 0
smtpd_relay_restrictions = reject_unauth_destination
smtpd_recipient_restrictions = check_recipient_access regexp:{folder}/recipients
smtpd_tls_security_level = may
smtpd_tls_loglevel = 1
"""
RECIPIENTS = "/^refused@/ 550 5.1.1 no such mailbox\n/^later@/ 450 4.2.1 come back later\n"


def system(folder):
    return overlay.Overlay(folder, "direct", packages=PACKAGES)


def enter(system, folder):
    """Takes the calling thread, and what it starts from now on, into a new world; returns that."""
    _isolate()
    return World(system, folder)


def _isolate():
    overlay._unshare(CLONE_FS | overlay.CLONE_NEWNS | overlay.CLONE_NEWNET)
    overlay.mount("--make-rprivate", "/")
    overlay._raise_loopback()
    _own_network("lo:1", "192.0.2.1", "255.255.255.0")
    for number, address in enumerate(direct_zones.ROOT_SERVERS):
        _own_network("lo:r%d" % number, address, "255.255.255.255")
    try:
        with open("/proc/sys/net/ipv6/conf/lo/disable_ipv6", "w") as f:
            f.write("0")
        for number in HOSTS.values():
            _own_address6("2001:db8::%x" % number)
    except OSError as e:
        raise overlay.Unavailable("cannot give loopback IPv6 addresses: %s" % e.strerror)


def _own_network(label, address, mask):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        for number, value in ((SIOCSIFADDR, address), (SIOCSIFNETMASK, mask)):
            fcntl.ioctl(s, number, struct.pack("16sHH4s8x", label.encode(), socket.AF_INET, 0,
                                               socket.inet_aton(value)))


def _own_address6(address):
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as s:
        fcntl.ioctl(s, SIOCSIFADDR, struct.pack("16sII", socket.inet_pton(socket.AF_INET6, address),
                                                128, socket.if_nametoindex("lo")))


def policies():
    """The policies of direct_zones' domains, by domain."""
    def of(name, mode="enforce", *mx, **options):
        domain = name + ".unsigned"
        return domain, Answer(policy(mode, *(mx or ("mx." + domain,)), **options))

    good = policy("enforce", "mx.plain.unsigned")
    own = dict([
        of("sts"), of("sts-testing", "testing"), of("sts-none", "none"),
        of("sts-wildcard", "enforce", "*.sts-wildcard.unsigned"),
        of("sts-mx", "enforce", "mx.other.unsigned"), of("sts-nostarttls"), of("sts-old"),
        of("sts-name"), of("sts-self"), of("sts-testing-bad", "testing"),
        of("sts-testing-mx", "testing", "mx.other.unsigned"), of("sts-testing-clear", "testing"),
        of("sts-mx-second", "enforce", "mx2.sts-mx-second.unsigned"), of("sts-two"),
        of("loopback-sts"), of("sts-bad-record"), of("sts-unreachable"),
        of("peer-sts", "enforce", "*.peer-sts.unsigned")])
    own.update({x + ".unsigned": y for x, y in {
        "sts-404": Answer("gone", 404),
        "sts-redirect": Answer("", 301, headers=[
            ("Location", "https://mta-sts.sts.unsigned/.well-known/mta-sts.txt")]),
        "sts-big": Answer(good + "x: " + "y" * 70000 + "\r\n"),
        "sts-type": Answer(good, type="text/html"),
        "sts-syntax": Answer("this is no policy\r\n"),
        "sts-mode": Answer(policy("fancy", "mx.sts-mode.unsigned")),
        "sts-empty": Answer(""),
        "sts-cert-name": Answer(policy("enforce", "mx.sts-cert-name.unsigned"), certificate="other"),
        "sts-cert-old": Answer(policy("enforce", "mx.sts-cert-old.unsigned"), certificate="old"),
        "sts-cert-self": Answer(policy("enforce", "mx.sts-cert-self.unsigned"), certificate="self"),
        "sts-slow": Answer(policy("enforce", "mx.sts-slow.unsigned"), wait=65),
        "sts-unknown-keys": Answer("future: yes\n" + policy("enforce", "mx.sts-unknown-keys.unsigned")
                                   .replace("\r\n", "\n") + "other: 1\n"),
    }.items()})
    own["dane-and-sts.example"] = Answer(policy("enforce", "mx.other.example"))
    own["sts-and-bad-dane.example"] = Answer(policy("enforce", "mx.sts-and-bad-dane.example"))
    return own


class Stored:
    """One message as Postfix has put it down: for whom, by which host, and its octets."""

    def __init__(self, octets):
        self.octets = octets
        head = octets.partition(b"\n\n")[0].decode("utf-8", "replace")
        self.recipient = re.search(r"^Delivered-To: (.*)$", head, re.M)[1]
        self.host = re.search(r"^\tby (\S+)", head, re.M)[1]


class World:
    """To be made by a thread that has entered. `folder` is on the same path in the overlay."""

    def __init__(self, system, folder):
        self.system, self.folder = system, folder
        self.mail = os.path.join(folder, "mail", "all")
        self.log = os.path.join(folder, "log")
        os.makedirs(folder)
        os.chmod(folder, 0o755)
        self._bind_resolver()
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            self._make_certificates(pool)
        values = {"at": AT, "at6": AT6, "silent": direct_zones.SILENT,
                  "bad": direct_zones.Tlsa(direct_zones.NoCertificate)}
        values.update({x: direct_zones.Tlsa(y) for x, y in self.certificates.items()})
        self.zones = direct_zones.Signer(system, os.path.join(folder, "zones"), values)
        self.zones.make_all()
        self.anchor = self.zones.anchor()
        self.tlsa = values
        self._start_dns()
        self._start_mail()
        self.policies = Policies(AT.policies, {"policies": self.certificates["policies"],
                                               "old": self.certificates["policies_old"],
                                               "other": self.certificates["pkix_other"],
                                               "self": self.certificates["self"]}, policies())
        self._wait()

    # certificates

    def _make_certificates(self, pool):
        self.ca = ca.Authority(os.path.join(self.folder, "ca"))
        self.ta = ca.Authority(os.path.join(self.folder, "ta"), "ta")
        ta_names = ["DNS:" + x for x in direct_zones.hosts_at("ta") if x != "mx.dane-ta-domain.example"]
        other = "DNS:other.example"
        # An authority's configuration is one file: those of one are made one after the other.
        by_ta = pool.submit(lambda: {
            "ta": self.ta.issue("ta-leaf", ",".join(ta_names + ["DNS:dane-ta-domain.example"])),
            "ta_other": self.ta.issue("ta-other", other),
            "ta_old": self.ta.issue("ta-old", self._names("ta_old"), **EXPIRED)})
        self.certificates = {
            "self": self.ca.self_signed("self", "DNS:unrelated.invalid"),
            "pkix": self.ca.issue("pkix", self._names("pkix")),
            "pkix_old": self.ca.issue("pkix-old", self._names("pkix_old"), **EXPIRED),
            "pkix_other": self.ca.issue("pkix-other", other),
            "peer": self.ca.issue("peer", self._names("peer1") + "," + self._names("peer2")),
            "policies": self.ca.issue("policies", ",".join([self._names("policies")] + [
                "DNS:mta-sts.%s.changing" % x for x in direct_zones.CHANGING])),
            "policies_old": self.ca.issue("policies-old", self._names("policies"), **EXPIRED),
            "ta_authority": self.ta.own}
        self.certificates.update(by_ta.result())
        self.certificates["second"] = self.certificates["self"]
        self.certificates["clear"] = None
        for name in ("ta", "ta_other", "ta_old"):   # a DANE-TA server sends its anchor too
            with open(self.certificates[name].cert, "a") as chain, open(self.ta.file) as anchor:
                chain.write(anchor.read())

    @staticmethod
    def _names(host):
        return ",".join("DNS:" + x for x in direct_zones.hosts_at(host))

    # DNS

    def _bind_resolver(self):
        path = self._write("resolv.conf", "nameserver %s\n" % RESOLVER)
        for there in (os.path.realpath("/etc/resolv.conf"), self.system.root + "/etc/resolv.conf"):
            if there.startswith("/run/"):       # a link into what is a file system of our own by now
                os.makedirs(os.path.dirname(there), exist_ok=True)
                open(there, "a").close()
            if not os.path.exists(there):
                raise overlay.Unavailable("there is no /etc/resolv.conf to put the tests' own over")
            overlay.mount("--bind", path, there)

    def _start_dns(self):
        zones = "".join('zone:\n name: "%s"\n zonefile: "%s"\n' % x for x in self.zones.zones.items())
        listen = "".join(" ip-address: %s\n" % x
                         for x in (direct_zones.NAMESERVER, *direct_zones.ROOT_SERVERS))
        config = self._write("nsd.conf", textwrap.dedent("""\
            server:
             server-count: 1
             username: ""
             database: ""
             pidfile: ""
             zonesdir: "{0}"
             zonelistfile: "{0}/nsd.list"
             xfrdfile: ""
             xfrdir: "{0}"
             logfile: "{0}/nsd.log"
             rrl-ratelimit: 0
             do-ip6: no
            {1}remote-control:
             control-enable: no
            {2}""").format(self.folder, listen, zones))
        self.nsd = self.system.run("nsd", "-d", "-c", config)
        hints = self._write("hints", ". 3600 NS ns.root.\nns.root. 3600 A %s\n"
                            % direct_zones.NAMESERVER)
        config = self._write("unbound.conf", textwrap.dedent("""\
            server:
             interface: {1}
             access-control: 0.0.0.0/0 allow
             chroot: ""
             username: ""
             pidfile: ""
             directory: "{0}"
             use-syslog: no
             logfile: "{0}/unbound.log"
             root-hints: "{2}"
             trust-anchor-file: "{3}"
             do-not-query-localhost: no
             do-ip6: no
             val-log-level: 2
             module-config: "validator iterator"
            remote-control:
             control-enable: no
            """).format(self.folder, RESOLVER, hints, self.anchor))
        self.unbound = self.system.run("unbound", "-d", "-c", config)
        self.scripted = direct_dns.Scripted(direct_zones.SCRIPTED, "changing.")
        self.silent = direct_dns.Silent(direct_zones.SILENT)

    def forwarder(self, address, tamper=None, ask=None):
        """A forwarder to our resolver, at an address like 127.0.0.60."""
        return direct_dns.Forwarder(address, RESOLVER, tamper, ask)

    # mail

    def _start_mail(self):
        config = os.path.join(self.folder, "etc")
        for name in ("etc", "spool", "data", "mail"):
            os.makedirs(os.path.join(self.folder, name))
        os.chown(os.path.join(self.folder, "mail"), 8, 8)
        self.system.output("chown", "postfix", os.path.join(self.folder, "data"))
        self._write("etc/main.cf", MAIN.format(folder=self.folder))
        self._write("recipients", RECIPIENTS)
        services = "".join("%s:25 inet n - n - - smtpd %s\n" % (address, self._options(name))
                           for name in MAIL
                           for address in (getattr(AT, name), "[%s]" % getattr(AT6, name)))
        self._write("etc/master.cf", services + textwrap.dedent(postfix.MASTER))
        self.postfix = self.system.run("/usr/sbin/postfix", "-c", config, "start-fg")

    def _options(self, name):
        certificate = self.certificates[name]
        own = "-o myhostname=%s -o syslog_name=%s" % (name.replace("_", "-"), name)
        if certificate is None:
            return own + " -o smtpd_tls_security_level=none"
        return own + " -o smtpd_tls_cert_file=%s -o smtpd_tls_key_file=%s" \
            % (certificate.cert, certificate.key)

    def queued(self):
        spool = os.path.join(self.folder, "spool")
        return files_in(*(os.path.join(spool, x) for x in ("incoming", "active", "maildrop")))

    def stored(self):
        """The messages that have arrived, once Postfix has finished."""
        end = time.monotonic() + 10
        while self.queued():
            assert time.monotonic() < end, "Postfix does not finish its deliveries; see " + self.log
            time.sleep(0.01)
        found = []
        for name in files_in_new(self.mail):
            with open(name, "rb") as f:
                found.append(Stored(f.read()))
        return sorted(found, key=lambda x: (x.recipient, x.host))

    def received(self, recipient):
        return [x for x in self.stored() if x.recipient == recipient]

    def mark(self):
        """A place in Postfix's log, for said_since()."""
        return os.path.getsize(self.log)

    def said_since(self, mark):
        with open(self.log, "rb") as f:
            f.seek(mark)
            return f.read().decode("utf-8", "replace")

    def finger(self, *args):
        """posttls-finger's exit status and what it said, from within the overlay."""
        done = subprocess.run(["chroot", self.system.root, "/usr/sbin/posttls-finger",
                               "-T", "15", "-t", "10", *args],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True)
        return done.returncode, done.stdout + done.stderr

    def _write(self, name, content):
        path = os.path.join(self.folder, name)
        with open(path, "w") as f:
            f.write(content)
        return path

    def _wait(self):
        for process, name, address, port in (
                (self.nsd, "nsd", direct_zones.NAMESERVER, 53),
                (self.unbound, "unbound", RESOLVER, 53),
                *((self.postfix, "Postfix", getattr(AT, x), 25) for x in MAIL)):
            end = time.monotonic() + 20
            while True:
                try:
                    socket.create_connection((address, port), 1).close()
                    break
                except OSError:
                    if time.monotonic() > end or process.poll() is not None:
                        raise overlay.Unavailable("%s does not listen on %s; see %s"
                                                  % (name, address, ", ".join(LOGS)))
                    time.sleep(0.02)


def files_in_new(maildir):
    folder = os.path.join(maildir, "new")
    return sorted(os.path.join(folder, x) for x in os.listdir(folder)) \
        if os.path.isdir(folder) else []


def keep_logs(world_folder, folder):
    for name in LOGS:
        path = os.path.join(world_folder, name)
        if os.path.exists(path):
            shutil.copy(path, os.path.join(folder, "direct-" + name))


def main(args, folder):
    place = system(folder)
    place.install()
    overlay.mount("-t", "tmpfs", "-o", "mode=0755", "tmpfs", "/run")
    place.open()
    begun = time.monotonic()
    world = enter(place, "/run/direct")
    took = time.monotonic() - begun
    environ = dict(os.environ, ANCHOR=world.anchor, CA=world.ca.file, WORLD=world.folder)
    try:
        if args.what == "run":
            return subprocess.call(args.command, env=environ)
        print("The world is up (%.1f s). $ANCHOR is its trust anchor, $CA its authority; mail arrives in\n"
              "%s/new, Postfix's log is %s.\n"
              "  posthaste send --direct --trust-anchor $ANCHOR --ca-file $CA … bob@dane.example\n"
              "  chroot %s posttls-finger -c -l dane dane.example"
              % (took, world.mail, world.log, place.root), flush=True)
        return subprocess.call([os.environ.get("SHELL", "/bin/sh")], env=environ)
    finally:
        keep_logs(world.folder, folder)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default=BUILD, metavar="DIR", help="where the servers are kept")
    parser.add_argument("what", choices=("shell", "run"))
    parser.add_argument("command", nargs=argparse.REMAINDER)
    args = parser.parse_args()
    folder = os.path.join(os.path.abspath(args.build), "interop")
    os.makedirs(folder, exist_ok=True)
    sys.exit(overlay.in_namespaces(lambda: main(args, folder)))
