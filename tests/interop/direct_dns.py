# SPDX-License-Identifier: MIT
"""DNS as a test wants it: a name server whose answers change, a forwarder that tampers with what it
forwards, and a server that never answers. Messages are RFC 1035's, with as much of it as they need."""
import socket
import struct
import threading

A, NS, CNAME, SOA, MX, TXT, AAAA, OPT, DS, RRSIG, NSEC, DNSKEY, NSEC3, TLSA = (
    1, 2, 5, 6, 15, 16, 28, 41, 43, 46, 47, 48, 50, 52)
SIGNATURES = (DS, RRSIG, NSEC, DNSKEY, NSEC3)
NOERROR, SERVFAIL, NXDOMAIN, REFUSED = 0, 2, 3, 5
AA, TC, RD, RA, AD, CD, QR = 0x0400, 0x0200, 0x0100, 0x0080, 0x0020, 0x0010, 0x8000
DO = 0x8000     # in the TTL of OPT


class Record:
    def __init__(self, name, kind, data, ttl=0, klass=1):
        self.name, self.kind, self.data, self.ttl, self.klass = name, kind, data, ttl, klass

    def pack(self):
        return pack_name(self.name) + struct.pack(">HHIH", self.kind, self.klass, self.ttl,
                                                  len(self.data)) + self.data


class Message:
    """One question, and the three sections of records."""

    def __init__(self, octets):
        self.id, self.flags, *counts = struct.unpack(">6H", octets[:12])
        self.name, at = unpack_name(octets, 12)
        self.kind, self.klass = struct.unpack(">HH", octets[at:at + 4])
        at += 4
        self.sections = []
        for count in counts[1:]:
            section = []
            for _ in range(count):
                name, at = unpack_name(octets, at)
                kind, klass, ttl, length = struct.unpack(">HHIH", octets[at:at + 10])
                data = _expanded(octets, kind, at + 10, length)
                section.append(Record(name, kind, data, ttl, klass))
                at += 10 + length
            self.sections.append(section)

    def pack(self):
        head = struct.pack(">6H", self.id, self.flags, 1, *map(len, self.sections))
        return head + pack_name(self.name) + struct.pack(">HH", self.kind, self.klass) + b"".join(
            record.pack() for section in self.sections for record in section)

    def without(self, *kinds):
        """Takes all records of these types away."""
        self.sections = [[x for x in section if x.kind not in kinds] for section in self.sections]

    @property
    def answers(self):
        return self.sections[0]


def pack_name(name):
    return b"".join(bytes([len(x)]) + x.encode() for x in name.split(".") if x) + b"\0"


def unpack_name(octets, at):
    labels, end = [], None
    while octets[at]:
        if octets[at] >= 0xc0:
            end = end or at + 2
            at = (octets[at] & 0x3f) << 8 | octets[at + 1]
            continue
        labels.append(octets[at + 1:at + 1 + octets[at]].decode("latin-1").lower())
        at += 1 + octets[at]
    return ".".join(labels) + ".", end or at + 1


def _expanded(octets, kind, at, length):
    """A record's data, with its names uncompressed: it is about to move."""
    if kind in (NS, CNAME):
        return pack_name(unpack_name(octets, at)[0])
    if kind == MX:
        return octets[at:at + 2] + pack_name(unpack_name(octets, at + 2)[0])
    if kind == SOA:
        first, after = unpack_name(octets, at)
        second, after = unpack_name(octets, after)
        return pack_name(first) + pack_name(second) + octets[after:at + length]
    return octets[at:at + length]


def mx(preference, host):
    return MX, struct.pack(">H", preference) + pack_name(host)


def txt(text):
    return TXT, bytes([len(text)]) + text.encode()


def a(address):
    return A, socket.inet_aton(address)


class _Server:
    """On port 53 of `address`, UDP and TCP; respond(octets, tcp) gives the answer, or None for none."""

    def __init__(self, address, port=53):
        self.asked = []     # (name, type)
        self._udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._udp.bind((address, port))
        self._tcp = socket.create_server((address, port))
        for loop in (self._serve_udp, self._serve_tcp):
            threading.Thread(target=loop, daemon=True).start()

    def _serve_udp(self):
        while True:
            octets, client = self._udp.recvfrom(4096)
            threading.Thread(target=self._answer_udp, args=(octets, client), daemon=True).start()

    def _answer_udp(self, octets, client):
        answer = self._noted(octets, False)
        if answer is not None:
            self._udp.sendto(answer, client)

    def _serve_tcp(self):
        while True:
            sock, _ = self._tcp.accept()
            threading.Thread(target=self._answer_tcp, args=(sock,), daemon=True).start()

    def _answer_tcp(self, sock):
        with sock, sock.makefile("rb") as stream:
            while len(head := stream.read(2)) == 2:
                answer = self._noted(stream.read(*struct.unpack(">H", head)), True)
                if answer is not None:
                    sock.sendall(struct.pack(">H", len(answer)) + answer)

    def _noted(self, octets, tcp):
        question = Message(octets)
        self.asked.append((question.name, question.kind))
        return self.respond(octets, tcp)

    def respond(self, octets, tcp):
        raise NotImplementedError


class Silent(_Server):
    def respond(self, octets, tcp):
        return None


class Scripted(_Server):
    """Authoritative for one unsigned zone. `records` maps a name to [(type, data)…]; a name that is
    not there does not exist. `failing` names are answered with SERVFAIL. Time to live is 0."""

    def __init__(self, address, origin):
        self.records, self.failing, self.origin = {}, set(), origin
        super().__init__(address)

    def respond(self, octets, tcp):
        message = Message(octets)
        known = self.records.get(message.name)
        message.flags = QR | AA | message.flags & RD
        message.sections[2] = []
        if message.name in self.failing or not ("." + message.name).endswith("." + self.origin):
            message.flags |= SERVFAIL if message.name in self.failing else REFUSED
            return message.pack()
        for kind, data in known or ():
            if kind in (message.kind, CNAME):
                message.answers.append(Record(message.name, kind, data))
        if message.name == self.origin and message.kind == NS:
            message.answers.append(Record(self.origin, NS, pack_name("ns." + self.origin)))
        if not message.answers:
            if known is None and not any(x.endswith("." + message.name) for x in self.records) \
                    and message.name != self.origin:
                message.flags |= NXDOMAIN
            message.sections[1] = [Record(self.origin, SOA, pack_name("ns." + self.origin) * 2
                                          + struct.pack(">5I", 1, 60, 60, 60, 0))]
        return message.pack()


class Forwarder(_Server):
    """Asks `upstream`, and gives question and answer to ask(message) and tamper(message), which change
    them; tamper may return None: no answer then."""

    def __init__(self, address, upstream, tamper=None, ask=None):
        self.upstream, self.tamper, self.ask = upstream, tamper, ask
        super().__init__(address)

    def respond(self, octets, tcp):
        question = Message(octets)
        if self.ask:
            self.ask(question)
        with socket.create_connection((self.upstream, 53), 20) as sock, sock.makefile("rb") as stream:
            packed = question.pack()
            sock.sendall(struct.pack(">H", len(packed)) + packed)
            answer = Message(stream.read(*struct.unpack(">H", stream.read(2))))
        if self.tamper and self.tamper(answer) is None:
            return None
        packed = answer.pack()
        if not tcp and len(packed) > 1232:
            answer.flags |= TC
            answer.sections = [[], [], []]
            packed = answer.pack()
        return packed


def no_dnssec(message):
    """What a forwarder does that knows nothing of DNSSEC: it asks without DO, and OPT is not its own."""
    message.without(OPT)
    message.flags &= ~(AD | CD)
    return message


def stripped(message):
    """Signatures and their kin are gone from the answer, and nothing says that it was validated."""
    message.without(*SIGNATURES)
    message.flags &= ~AD
    return message
