# SPDX-License-Identifier: MIT
"""The domains of the tests of direct delivery: a DNS of its own from the root down, with a domain for
every case, signed or not or wrongly.

    .            signed; its key is the trust anchor
    example.     signed with NSEC3; nearly every case with DANE
    unsigned.    not signed; nearly every case with MTA-STS
    changing.    not signed, answered by a script (direct_dns.Scripted): what a test changes

Records are written relative to their zone. `{at.NAME}` and `{at6.NAME}` are addresses of hosts
(direct_world.py), `{NAME.311}` is a TLSA record of that certificate, `{bad.311}` one of no certificate.
"""
import glob
import os
import re

# Domains below changing. whose policies have a host with a good certificate.
CHANGING = ("kept", "gone", "failing", "unfetched", "unreached", "renewed", "ended", "cacheless")
ROOT_SERVERS = ("198.41.0.4", "170.247.170.2", "192.33.4.12", "199.7.91.13", "192.203.230.10",
                "192.5.5.241", "192.112.36.4", "198.97.190.53", "192.36.148.17", "192.58.128.30",
                "193.0.14.129", "199.7.83.42", "202.12.27.33", "199.9.14.201")
NAMESERVER, SCRIPTED, SILENT = "192.0.2.2", "192.0.2.3", "192.0.2.5"

HEAD = """\
$TTL 300
$ORIGIN {origin}
@ SOA ns.{origin} hostmaster.{origin} 1 3600 600 86400 60
@ NS ns.{origin}
ns.{origin} A {nameserver}
"""

ROOT = """
ns.example.     A    192.0.2.2
example.        NS   ns.example.
ns.unsigned.    A    192.0.2.2
unsigned.       NS   ns.unsigned.
ns.changing.    A    192.0.2.3
changing.       NS   ns.changing.
"""

EXAMPLE = """
; --- DANE that works
dane                        MX 10 mx.dane
mx.dane                     A {at.self}
mx.dane                     AAAA {at6.self}
_25._tcp.mx.dane            TLSA {self.311}
dane-certificate            MX 10 mx.dane-certificate
mx.dane-certificate         A {at.self}
_25._tcp.mx.dane-certificate TLSA {self.301}
dane-sha512                 MX 10 mx.dane-sha512
mx.dane-sha512              A {at.self}
_25._tcp.mx.dane-sha512     TLSA {self.312}
dane-whole                  MX 10 mx.dane-whole
mx.dane-whole               A {at.self}
_25._tcp.mx.dane-whole      TLSA {self.310}
dane-old                    MX 10 mx.dane-old           ; DANE-EE ignores dates and names
mx.dane-old                 A {at.pkix_old}
_25._tcp.mx.dane-old        TLSA {pkix_old.311}
dane-ta                     MX 10 mx.dane-ta
mx.dane-ta                  A {at.ta}
_25._tcp.mx.dane-ta         TLSA {ta_authority.201}
dane-ta-key                 MX 10 mx.dane-ta-key
mx.dane-ta-key              A {at.ta}
_25._tcp.mx.dane-ta-key     TLSA {ta_authority.211}
dane-ta-domain              MX 10 mx.dane-ta-domain     ; the certificate has the domain's name alone
mx.dane-ta-domain           A {at.ta}
_25._tcp.mx.dane-ta-domain  TLSA {ta_authority.211}
dane-rollover               MX 10 mx.dane-rollover
mx.dane-rollover            A {at.self}
_25._tcp.mx.dane-rollover   TLSA {bad.311}
_25._tcp.mx.dane-rollover   TLSA {self.311}
dane-mixed                  MX 10 mx.dane-mixed
mx.dane-mixed               A {at.self}
_25._tcp.mx.dane-mixed      TLSA {bad.111}
_25._tcp.mx.dane-mixed      TLSA {self.311}
dane-agile                  MX 10 mx.dane-agile         ; the strongest digest alone counts
mx.dane-agile               A {at.self}
_25._tcp.mx.dane-agile      TLSA {self.312}
_25._tcp.mx.dane-agile      TLSA {bad.311}
dane-implicit               A {at.self}
_25._tcp.dane-implicit      TLSA {self.311}
dane-six                    MX 10 mx.dane-six
mx.dane-six                 AAAA {at6.self}
_25._tcp.mx.dane-six        TLSA {self.311}
dane-second                 MX 10 mx1.dane-second       ; the first does not match
dane-second                 MX 20 mx2.dane-second
mx1.dane-second             A {at.self}
_25._tcp.mx1.dane-second    TLSA {bad.311}
mx2.dane-second             A {at.self}
_25._tcp.mx2.dane-second    TLSA {self.311}
dane-cname                  CNAME dane
dane-cname-host             MX 10 alias.dane-cname-host
alias.dane-cname-host       CNAME mx.dane
dane-cname-base             MX 10 alias.dane-cname-base ; records at the alias, none at its end
alias.dane-cname-base       CNAME end.dane-cname-base
end.dane-cname-base         A {at.self}
_25._tcp.alias.dane-cname-base TLSA {self.311}
dane-cname-insecure         MX 10 alias.dane-cname-insecure ; a secure alias of an insecure host
alias.dane-cname-insecure   CNAME mx.plain.unsigned.
_25._tcp.alias.dane-cname-insecure TLSA {self.311}
xn--dne-0qa                 MX 10 mx.dane               ; däne
xn--bcher-kva               MX 10 mx.xn--bcher-kva      ; bücher
mx.xn--bcher-kva            A {at.self}
; --- DANE that must not let a message through
dane-mismatch               MX 10 mx.dane-mismatch
mx.dane-mismatch            A {at.self}
_25._tcp.mx.dane-mismatch   TLSA {bad.311}
dane-mixed-bad              MX 10 mx.dane-mixed-bad
mx.dane-mixed-bad           A {at.self}
_25._tcp.mx.dane-mixed-bad  TLSA {self.111}
_25._tcp.mx.dane-mixed-bad  TLSA {bad.311}
dane-agile-bad              MX 10 mx.dane-agile-bad
mx.dane-agile-bad           A {at.self}
_25._tcp.mx.dane-agile-bad  TLSA {bad.312}
_25._tcp.mx.dane-agile-bad  TLSA {self.311}
dane-ta-name                MX 10 mx.dane-ta-name
mx.dane-ta-name             A {at.ta_other}
_25._tcp.mx.dane-ta-name    TLSA {ta_authority.201}
dane-ta-old                 MX 10 mx.dane-ta-old
mx.dane-ta-old              A {at.ta_old}
_25._tcp.mx.dane-ta-old     TLSA {ta_authority.201}
dane-clear                  MX 10 mx.dane-clear         ; STARTTLS stripped
mx.dane-clear               A {at.clear}
_25._tcp.mx.dane-clear      TLSA {self.311}
dane-lame                   MX 10 mx.dane-lame          ; TLSA: SERVFAIL
mx.dane-lame                A {at.self}
_tcp.mx.dane-lame           NS ns.changing.
dane-bogus                  MX 10 mx.dane-bogus
mx.dane-bogus               A {at.self}
_tcp.mx.dane-bogus          NS ns.example.
dane-bogus-second           MX 10 mx.dane-bogus         ; the first is passed over
dane-bogus-second           MX 20 mx.dane
; --- TLSA records that ask for TLS and for no more, or for nothing
dane-unusable               MX 10 mx.dane-unusable
mx.dane-unusable            A {at.self}
_25._tcp.mx.dane-unusable   TLSA {bad.111}
dane-malformed              MX 10 mx.dane-malformed
mx.dane-malformed           A {at.self}
_25._tcp.mx.dane-malformed  TLSA 3 1 1 abcd
dane-unusable-clear         MX 10 mx.dane-unusable-clear
mx.dane-unusable-clear      A {at.clear}
_25._tcp.mx.dane-unusable-clear TLSA {bad.111}
dane-nodata                 MX 10 mx.dane-nodata
mx.dane-nodata              A {at.self}
_25._tcp.mx.dane-nodata     TXT "no TLSA here"
dane-port                   MX 10 mx.dane-port          ; records of another port
mx.dane-port                A {at.self}
_26._tcp.mx.dane-port       TLSA {bad.311}
dane-host-unsigned          MX 10 mx.dane-host.unsigned.
; --- DANE and MTA-STS
dane-and-sts                MX 10 mx.dane-and-sts       ; DANE holds; the policy would not
mx.dane-and-sts             A {at.self}
_25._tcp.mx.dane-and-sts    TLSA {self.311}
_mta-sts.dane-and-sts       TXT "v=STSv1; id=1;"
mta-sts.dane-and-sts        A {at.policies}
sts-and-bad-dane            MX 10 mx.sts-and-bad-dane   ; the policy holds; DANE does not
mx.sts-and-bad-dane         A {at.pkix}
_25._tcp.mx.sts-and-bad-dane TLSA {bad.311}
_mta-sts.sts-and-bad-dane   TXT "v=STSv1; id=1;"
mta-sts.sts-and-bad-dane    A {at.policies}
; --- routing
plain                       MX 10 mx.plain
mx.plain                    A {at.self}
several                     MX 30 mx3.several
several                     MX 10 mx1.several
several                     MX 20 mx2.several
mx1.several                 A {at.dead}
mx2.several                 A {at.second}
mx3.several                 A {at.self}
equal                       MX 10 mx1.equal
equal                       MX 10 mx2.equal
mx1.equal                   A {at.self}
mx2.equal                   A {at.second}
implicit                    A {at.self}
implicit-not                MX 10 none.implicit-not     ; the domain's own address must not be used
implicit-not                A {at.self}
null                        MX 0 .
null-and-more               MX 0 .
null-and-more               MX 10 mx.plain
cname                       CNAME plain
cname-host                  MX 10 alias.cname-host
alias.cname-host            CNAME mx.plain
cname-nothing               CNAME nothing
cname-loop                  CNAME cname-loop2
cname-loop2                 CNAME cname-loop
nowhere                     MX 10 none.nowhere
noaddress                   MX 10 mx.noaddress
mx.noaddress                TXT "no address here"
nothing                     TXT "neither MX nor address"
nowhere-first               MX 10 none.nowhere
nowhere-first               MX 20 mx.plain
dead                        MX 10 mx1.dead
dead                        MX 20 mx2.dead
mx1.dead                    A {at.dead}
mx2.dead                    A {at.dead2}
dead-first                  MX 10 mx.dead-first
mx.dead-first               A {at.self}
mx.dead-first               AAAA {at6.dead}
silent                      MX 10 mx.silent             ; port 25 never answers
mx.silent                   A {at.silent}
unreachable                 MX 10 mx.unreachable        ; no way there
mx.unreachable              A 203.0.113.7
six                         MX 10 mx.six
mx.six                      AAAA {at6.second}
hostile                     MX 10 evil\\027[31m.hostile ; names that a terminal must not see
hostile                     MX 20 a\\013\\010QUIT\\032b.hostile
hostile                     MX 30 -x.hostile
; --- zones that cannot be asked, or must not be believed
lame                        NS ns.changing.          ; knows nothing of it: REFUSED
mute                        NS ns.mute
ns.mute                     A {silent}
bogus                       NS ns
old                         NS ns
stripped                    NS ns
unsigned-child              NS ns
bogus-host                  MX 10 mx.bogus
bogus-host-second           MX 10 mx.bogus
bogus-host-second           MX 20 mx.plain
lame-host                   MX 10 mx.lame
; --- scripted servers
peer                        MX 10 mx1.peer
peer                        MX 20 mx2.peer
mx1.peer                    A {at.peer1}
mx2.peer                    A {at.peer2}
peer-dane                   MX 10 mx1.peer-dane
peer-dane                   MX 20 mx2.peer-dane
mx1.peer-dane               A {at.peer1}
mx2.peer-dane               A {at.peer2}
_25._tcp.mx1.peer-dane      TLSA {peer.311}
_25._tcp.mx2.peer-dane      TLSA {peer.311}
loopback-dane               MX 10 mx.loopback-dane      ; this very machine, and no easier for that
mx.loopback-dane            A 127.0.0.25
_25._tcp.mx.loopback-dane   TLSA {peer.311}
"""

# An answer that UDP does not hold.
EXAMPLE += "many MX 10 mx.many\nmx.many A {at.second}\n" + "".join(
    "many MX %d mx%d.of-many-servers-with-long-names.many\n" % (100 + i, i) for i in range(60))

# Children of example., each wrong or right in its own way.
CHILD = """
@                           MX 10 mx
mx                          A {at.self}
_25._tcp.mx                 TLSA {self.311}
"""
BOGUS_TLSA = """
_25                         TLSA {self.311}
"""

UNSIGNED = """
plain                       MX 10 mx.plain
mx.plain                    A {at.self}
clear                       MX 10 mx.clear
mx.clear                    A {at.clear}
dane-mx-signed              MX 10 mx.dane.example.
mx.dane-host                A {at.self}
_25._tcp.mx.dane-host       TLSA {bad.311}
cname-signed                CNAME dane.example.
literal                     A {at.self}
peer                        MX 10 mx1.peer
peer                        MX 20 mx2.peer
mx1.peer                    A {at.peer1}
mx2.peer                    A {at.peer2}
peer-sts                    MX 10 mx1.peer-sts
peer-sts                    MX 20 mx2.peer-sts
mx1.peer-sts                A {at.peer1}
mx2.peer-sts                A {at.peer2}
loopback-sts                MX 10 mx.loopback-sts
mx.loopback-sts             A 127.0.0.25
sts-mx-second               MX 10 mx1.sts-mx-second
sts-mx-second               MX 20 mx2.sts-mx-second
mx1.sts-mx-second           A {at.second}
mx2.sts-mx-second           A {at.pkix}
_mta-sts.sts-two            TXT "v=STSv1; id=2;"
"""


def mta_sts(name, host=None, record="v=STSv1; id=1;", policies="policies"):
    """The records of a domain of unsigned. with a policy. host: the listener of its MX."""
    lines = ["_mta-sts.%s TXT \"%s\"" % (name, record), "mta-sts.%s A {at.%s}" % (name, policies)]
    if host:
        lines += ["%s MX 10 mx.%s" % (name, name), "mx.%s A {at.%s}" % (name, host)]
    return "\n".join(lines) + "\n"


UNSIGNED += "".join(mta_sts(name, "pkix") for name in (
    "sts", "sts-testing", "sts-none", "sts-wildcard", "sts-mx", "sts-404", "sts-redirect",
    "sts-big", "sts-type", "sts-syntax", "sts-mode", "sts-empty", "sts-two", "sts-cert-name",
    "sts-cert-old", "sts-cert-self", "sts-slow", "sts-unknown-keys"))
UNSIGNED += mta_sts("sts-bad-record", "pkix", record="v=STSv1; id=not/an/id;")
UNSIGNED += mta_sts("sts-unreachable", "pkix", policies="dead")
UNSIGNED += mta_sts("sts-old", "pkix_old") + mta_sts("sts-name", "pkix_other")
UNSIGNED += mta_sts("sts-self", "self") + mta_sts("sts-testing-bad", "pkix_old")
UNSIGNED += mta_sts("sts-testing-mx", "pkix") + mta_sts("sts-testing-clear", "clear")
UNSIGNED += mta_sts("sts-nostarttls", "clear") + mta_sts("sts-mx-second") + mta_sts("peer-sts")
UNSIGNED += mta_sts("loopback-sts")


class Tlsa:
    """For str.format: {NAME.311} is a record of the certificate, made once."""

    def __init__(self, certificate):
        self._certificate, self._made = certificate, {}

    def __getattr__(self, digits):
        if digits not in self._made:
            self._made[digits] = self._certificate.tlsa(*map(int, digits))
        return self._made[digits]


class NoCertificate:
    """Records that nothing matches."""

    @staticmethod
    def tlsa(usage, selector, matching):
        return "%d %d %d %s" % (usage, selector, matching, "5a" * (0, 32, 64)[matching])


def hosts_at(listener):
    """The names of the hosts that have a listener's address: what its certificate is for."""
    found = []
    for origin, text in (("example", EXAMPLE), ("unsigned", UNSIGNED)):
        found += ["%s.%s" % (x, origin)
                  for x in re.findall(r"^(\S+)\s+A \{at\.%s\}" % listener, text, re.M)]
    return found


def policy_hosts():
    return hosts_at("policies")


class Signer:
    """Writes the zones into `folder`, signed by ldns' tools of the overlay."""

    def __init__(self, overlay, folder, values):
        self.overlay, self.folder, self.values = overlay, folder, values
        self.zones = {}     # origin: file
        os.makedirs(folder)

    def make_all(self):
        example = []
        for name, options in (("bogus", ()), ("old", ("-i", "20200101", "-e", "20200201")),
                              ("_tcp.mx.dane-bogus", ())):
            origin = name + ".example."
            text = BOGUS_TLSA if name.startswith("_") else CHILD
            example.append(self.signed(origin, text, *options))
            if not options:
                self._spoil(origin)
        # It has a DS record, and its zone is not signed.
        example.append(self._ds("stripped.example.", self._key("stripped.example.")))
        self.plain("stripped.example.", CHILD)
        self.plain("unsigned-child.example.", CHILD)
        self.plain("unsigned.", UNSIGNED)
        below = self.signed("example.", EXAMPLE + "\n".join(example), "-n", "-s", "00ff")
        self.signed(".", ROOT + below)
        return self.zones

    def plain(self, origin, text):
        self._write(origin, text)
        self.zones[origin] = self._file(origin)

    def signed(self, origin, text, *options):
        """Returns its DS record."""
        key = self._key(origin)
        self._write(origin, text)
        signed = self._file(origin) + ".signed"
        self._tool("ldns-signzone", *options, "-o", origin, "-f", signed, self._file(origin), key)
        self.zones[origin] = signed
        return self._ds(origin, key)

    def anchor(self):
        """The root's key: a trust anchor's file."""
        return glob.glob(os.path.join(self.folder, "K.+*.key"))[0]

    def _spoil(self, origin):
        """Other data under the same signatures."""
        path = self.zones[origin]
        with open(path) as f:
            text = f.read()
        spoilt = text.replace("MX\t10 mx.", "MX\t9 mx.").replace(
            self.values["at"].self, self.values["at"].second)
        spoilt = re.sub(r"(TLSA\t3 1 1 )[0-9a-f]{4}", r"\g<1>0000", spoilt)
        assert spoilt != text
        with open(path, "w") as f:
            f.write(spoilt)

    def _key(self, origin):
        name = self._tool("ldns-keygen", "-r", "/dev/urandom", "-a", "ECDSAP256SHA256", "-k",
                          origin).strip()
        return os.path.join(self.folder, name)

    def _ds(self, origin, key):
        return self._tool("ldns-key2ds", "-n", "-2", key + ".key")

    def _tool(self, name, *args):
        return self.overlay.output("sh", "-c", 'cd "$0" && exec "$@"', self.folder, name, *args)

    def _file(self, origin):
        return os.path.join(self.folder, origin.strip(".") or "root")

    def _write(self, origin, text):
        with open(self._file(origin), "w") as f:
            f.write(HEAD.format(origin=origin, nameserver=NAMESERVER).replace("ns..", "ns.")
                    .replace("hostmaster..", "hostmaster.") + text.format(**self.values))
