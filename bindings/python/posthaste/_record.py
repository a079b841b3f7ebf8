# SPDX-License-Identifier: MIT
"""The delivery record: what became of a message, for each recipient, and what went wrong.

The names are those of the JSON that `posthaste send --json` prints, one record a line; `class` and
`from`, which Python keeps for itself, are `class_` and `sender`.
"""

from __future__ import annotations

import base64
import enum
import json
from dataclasses import dataclass, field
from typing import Any, Dict, List, Mapping, Optional, Tuple

from posthaste import _hints


class _Word(str, enum.Enum):
    """A word of the library's. One that a newer library has is a word all the same."""

    @classmethod
    def _missing_(cls, value: object) -> Any:
        if not isinstance(value, str):
            return None
        word = str.__new__(cls, value)
        word._name_, word._value_ = value.upper(), value
        return word


class Outcome(_Word):
    """What became of a recipient; of the whole message PARTIAL, too."""

    ACCEPTED = "accepted"
    DEFERRED = "deferred"    #: not now: try later
    REFUSED = "refused"      #: never will be
    IN_DOUBT = "in_doubt"    #: handed over whole, and no valid final reply came
    PARTIAL = "partial"      #: accepted for some, not for others, for none in doubt


class ErrorClass(_Word):
    """What kind of thing went wrong."""

    OK = "ok"
    USAGE = "usage"
    INPUT = "input"
    NOINPUT = "noinput"
    NOUSER = "nouser"
    NOHOST = "nohost"
    REFUSED = "refused"
    PARTIAL = "partial"
    SYSTEM = "system"
    DEFERRED = "deferred"
    IN_DOUBT = "in_doubt"
    PROTOCOL = "protocol"
    AUTH = "auth"
    SECURITY = "security"
    CONFIG = "config"
    CANCELLED = "cancelled"


class Stage(_Word):
    """How far a delivery had come."""

    PREPARE = "prepare"
    RESOLVE = "resolve"
    ROUTE = "route"
    CONNECT = "connect"
    PROXY = "proxy"
    GREETING = "greeting"
    HELLO = "hello"
    STARTTLS = "starttls"
    TLS = "tls"
    AUTH = "auth"
    MAIL = "mail"
    RCPT = "rcpt"
    DATA = "data"
    BODY = "body"
    QUIT = "quit"


@dataclass(frozen=True)
class Error:
    """What went wrong: for programs class, stage and cause, for people text and hint."""

    class_: ErrorClass
    stage: Stage
    cause: str                  #: the finer reason: "reply", "timeout", "certificate-name" …
    code: Optional[int]         #: the server's reply; None: none did it
    enhanced: Optional[str]     #: "5.7.1"
    text: str                   #: what happened and what it means
    hint: Optional[str]         #: what to do

    def __str__(self) -> str:
        return self.text if self.hint is None else "%s (%s)" % (self.text, self.hint)


@dataclass(frozen=True)
class Recipient:
    """What became of one recipient, and the reply that decided it."""

    address: str
    outcome: Outcome
    stage: Stage
    session: Optional[int]      #: which of Record.sessions
    code: Optional[int]
    enhanced: Optional[str]
    text: Optional[str]         #: the reply's lines, joined by newlines, as a person is shown them
    octets: Optional[bytes]     #: the same as they came
    remote_id: Optional[str]    #: the server's queue identifier


@dataclass(frozen=True)
class Tls:
    """How a connection was protected. Not at all: mode "none"."""

    mode: str                   #: "implicit", "starttls", "none"
    version: Optional[str]
    cipher: Optional[str]
    verified: bool
    peer_name: Optional[str]
    policy: Optional[str]       #: why it was so: "required", "opportunistic", "loopback", "pin",
                                #: "dane", "mta-sts"
    result: Optional[str] = None        #: of a direct delivery, RFC 8460 §4.3: "success",
                                        #: "starttls-not-supported" …; None: none was tried
    certificate: Optional[Mapping[str, str]] = None     #: subject, issuer, not_after, sha256,
                                                        #: spki_sha256


@dataclass(frozen=True)
class Route:
    """How a server of a direct delivery was found, and what its domain asks for."""

    domain: str
    preference: int
    dnssec: str                 #: "secure", "insecure", "off"
    policy: str                 #: "dane", "mta-sts", "none"
    mode: Optional[str]         #: of MTA-STS: "enforce", "testing", "none"
    policy_id: Optional[str]
    problem: Optional[str]      #: why a policy could not be had, in RFC 8460's words
    tlsa: Optional[Tuple[str, ...]]     #: "3 1 1 ab12…": what the certificate must match
    relaxed: bool = False       #: the message said TLS-Required: No


@dataclass(frozen=True)
class Session:
    """One connection that the delivery took."""

    host: str
    address: Optional[str]      #: None: none was reached, or a proxy knows it
    port: Optional[int]
    greeting: Optional[str]
    extensions: Optional[Mapping[str, str]]     #: what EHLO offered
    tls: Tls
    mechanism: Optional[str]    #: of the login; None: there was none
    timings_ms: Mapping[str, float]
    error: Optional[Error]
    route: Optional[Route] = None   #: None: the server was named


@dataclass(frozen=True)
class Record:
    """What became of a message."""

    outcome: Outcome
    class_: ErrorClass
    exit: int                   #: the status a command would exit with (sysexits.h)
    queue_id: Optional[str]     #: ours; None: it was not queued
    sender: str                 #: "": the null reverse-path
    bytes: int                  #: of the message as it stood on the wire
    round_trips: int
    recipients: Tuple[Recipient, ...]   #: in the order they were given in
    sessions: Tuple[Session, ...]
    error: Optional[Error]      #: the first thing that went wrong
    json: str = field(repr=False)

    @property
    def accepted(self) -> bool:
        """Whether it was accepted for all of its recipients."""
        return self.outcome is Outcome.ACCEPTED

    def raise_for_outcome(self) -> Record:
        """Itself if all recipients were accepted; else DeliveryError."""
        if not self.accepted:
            raise DeliveryError(self)
        return self

    @classmethod
    def from_json(cls, text: str) -> Record:
        """A record as `posthaste send --json` prints it."""
        it = json.loads(text, object_pairs_hook=_first_of_each)
        return cls(outcome=Outcome(it["outcome"]), class_=ErrorClass(it["class"]), exit=it["exit"],
                   queue_id=it["queue_id"], sender=it["from"], bytes=it["bytes"],
                   round_trips=it["round_trips"],
                   recipients=tuple(map(_recipient, it["recipients"])),
                   sessions=tuple(map(_session, it["sessions"])),
                   error=_error(it["error"]), json=text)


def _first_of_each(pairs: List[Tuple[str, Any]]) -> Dict[str, Any]:
    """Of a keyword that a server offers twice, the first counts."""
    first: Dict[str, Any] = {}
    for key, value in pairs:
        first.setdefault(key, value)
    return first


def _error(it: Optional[Dict[str, Any]]) -> Optional[Error]:
    if it is None:
        return None
    return Error(class_=ErrorClass(it["class"]), stage=Stage(it["stage"]), cause=it["cause"],
                 code=it["code"], enhanced=it["enhanced"], text=it["text"],
                 hint=_hints.for_send(it["hint"] or "") or None)


def _recipient(it: Dict[str, Any]) -> Recipient:
    text = it["text"]
    octets = base64.b64decode(it["text_b64"]) if "text_b64" in it else text and text.encode()
    return Recipient(address=it["address"], outcome=Outcome(it["outcome"]),
                     stage=Stage(it["stage"]), session=it["session"], code=it["code"],
                     enhanced=it["enhanced"], text=text, octets=octets, remote_id=it["remote_id"])


def _route(it: Optional[Dict[str, Any]]) -> Optional[Route]:
    if it is None:
        return None
    return Route(domain=it["domain"], preference=it["preference"], dnssec=it["dnssec"],
                 policy=it["policy"], mode=it["mode"], policy_id=it["policy_id"],
                 problem=it["problem"], tlsa=None if it["tlsa"] is None else tuple(it["tlsa"]),
                 relaxed=it.get("relaxed", False))


def _session(it: Dict[str, Any]) -> Session:
    offered = it["extensions"]
    if offered is not None:     # no keyword of EHLO has an underscore: X_b64 are the octets of X
        offered = {key: value for key, value in offered.items() if "_" not in key}
    tls = it["tls"]
    return Session(host=it["host"], address=it["address"], port=it["port"], greeting=it["greeting"],
                   extensions=offered,
                   tls=Tls(mode=tls["mode"], version=tls["version"], cipher=tls["cipher"],
                           verified=tls["verified"], peer_name=tls["peer_name"],
                           policy=tls["policy"], result=tls.get("result"),
                           certificate=tls.get("certificate")),
                   route=_route(it.get("route")),
                   mechanism=it["auth"] and it["auth"]["mechanism"], timings_ms=it["timings_ms"],
                   error=_error(it["error"]))


class SendError(Exception):
    """Base of what send() and Client raise of their own."""


class UsageError(SendError, ValueError):
    """An option, an address or the message is not acceptable: nothing was sent."""

    def __init__(self, error: Error) -> None:
        super().__init__(error)
        self.error = error


class DeliveryError(SendError):
    """A message that was not accepted for all of its recipients; `record` says more.

    It is also the cause (`__cause__`) of what interrupts a delivery, KeyboardInterrupt for one:
    what has become of the message by then.
    """

    def __init__(self, record: Record) -> None:
        super().__init__(record)
        self.record = record

    def __str__(self) -> str:
        if self.record.error is None:
            return "accepted for all recipients"
        return "%s: %s" % (self.record.outcome.value, self.record.error)
