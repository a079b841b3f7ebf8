# SPDX-License-Identifier: MIT
"""Sending whole messages: send() for one, Client for many over one connection.

What is asked is handed on to libposthaste as it is; a refusal of it is UsageError. What a callback
of the caller's raises, and what a signal handler raises meanwhile (KeyboardInterrupt), gives up the
delivery, is kept until the library has come back, and is then raised, the record being its cause.
"""

from __future__ import annotations

import collections
import ctypes
import datetime
import email.generator
import email.message
import email.policy
import email.utils
import functools
import inspect
import io
import os
import stat
from ctypes import byref, c_void_p, pointer
from dataclasses import dataclass
from types import TracebackType
from typing import (Any, Callable, Deque, Dict, Iterable, List, NoReturn,
                    Optional, Protocol, Sequence, Type, Union)

from posthaste import _client as _core
from posthaste import _hints
from posthaste import _library as _c
from posthaste import _sockets
from posthaste._client import Problem
from posthaste._library import lib as _lib
from posthaste._record import DeliveryError, Error, ErrorClass, Record, SendError, Stage, UsageError

# A finished message: an object of the email package, its text (sent as UTF-8), its octets, the path
# of a file or a file that is open for reading in binary mode, which is read from where it stands.
Message = Union[email.message.Message, str, bytes, bytearray, memoryview, "os.PathLike[str]",
                "os.PathLike[bytes]", "_Readable"]
Path = Union[str, bytes, "os.PathLike[str]", "os.PathLike[bytes]"]
Secret = Union[str, Callable[[], str]]      # or what gives it, called once, before anything is sent


class _Readable(Protocol):
    def read(self, __size: int) -> Optional[bytes]: ...


_TLS_MODES = {"starttls": _c.TLS_STARTTLS, "implicit": _c.TLS_IMPLICIT,
              "opportunistic": _c.TLS_OPPORTUNISTIC, "off": _c.TLS_OFF}
_TLS_VERSIONS = {"1.2": 1, "1.3": 2}
_LINE_ENDS = {"normalise": _c.LINE_ENDS_NORMALISE, "strict": _c.LINE_ENDS_STRICT,
              "binary": _c.LINE_ENDS_BINARY}
_DANE = {"auto": 0, "off": 1, "required": 2}
_MTA_STS = {"auto": 0, "off": 1}
_NOTIFY = {"never": 1, "success": 2, "failure": 4, "delay": 8}
_RETURN = {"full": 1, "hdrs": 2}
_BY = {"return": 1, "notify": 2}
_WHOLE_FILE = 2 ** 64 - 1
_ADDRESS_FIELDS = ("From", "Sender", "Reply-To", "To", "Cc", "Bcc", "Resent-From", "Resent-Sender",
                   "Resent-To", "Resent-Cc", "Resent-Bcc")
_NOT_ACCEPTABLE = {ErrorClass.USAGE, ErrorClass.INPUT, ErrorClass.NOINPUT, ErrorClass.CONFIG}


# ---- what is wrong -------------------------------------------------------------------------------

def _usage(text: str, hint: Optional[str] = None) -> UsageError:
    return UsageError(Error(class_=ErrorClass.USAGE, stage=Stage.PREPARE, cause="argument",
                            code=None, enhanced=None, text=text, hint=hint))


def _raise(problem: Problem) -> NoReturn:
    """Something has gone wrong that left no record."""
    error = Error(class_=ErrorClass(problem.code), stage=Stage(problem.stage), cause=problem.cause,
                  code=problem.reply or None, enhanced=problem.enhanced or None, text=problem.text,
                  hint=_hints.for_send(problem.hint) or None)
    raise UsageError(error) if error.class_ in _NOT_ACCEPTABLE else SendError(error)


def _check(function: Callable[..., int], *arguments: Any) -> None:
    error = _c.ph_error()
    if function(*arguments, byref(error)):
        _raise(Problem.of(error))


# ---- from Python's types to C's ------------------------------------------------------------------

def _text(value: Optional[str], what: str, secret: bool = False) -> Optional[bytes]:
    if value is None:
        return None
    if not isinstance(value, str):
        raise TypeError("%s must be str, not %s" % (what, type(value).__name__))
    if "\0" in value:
        raise _usage("%s has a NUL in it" % what)
    return _core.secret_string(value) if secret else value.encode()


def _path(value: Optional[Path], what: str) -> Optional[bytes]:
    octets = None if value is None else os.fsencode(value)
    if octets is not None and b"\0" in octets:
        raise _usage("%s has a NUL in it" % what)
    return octets


def _secret(value: Optional[Secret], what: str) -> Optional[bytes]:
    return _text(value() if callable(value) else value, what, secret=True)


def _choice(value: Optional[str], choices: Dict[str, int], what: str) -> int:
    if value is None:
        return 0
    if value not in choices:
        raise _usage("%s %r is none of %s" % (what, value, ", ".join(choices)))
    return choices[value]


def _words(value: Union[str, Iterable[str], None]) -> Sequence[str]:
    return () if value is None else value.split(",") if isinstance(value, str) else tuple(value)


def _milliseconds(seconds: Optional[float], what: str) -> int:
    if seconds is None:
        return 0
    if not 0 < seconds < 2 ** 40:
        raise _usage("%s is %r seconds" % (what, seconds), "leave it out to wait as long as the "
                     "standard allows")
    return max(1, round(seconds * 1000))


def _number(value: Optional[int], what: str) -> int:
    """ctypes would cut it to what fits."""
    if value is not None and not -2 ** 31 <= value < 2 ** 31:
        raise _usage("%s is %r" % (what, value))
    return value or 0


def _addresses(values: Union[str, Iterable[str]], what: str) -> List[bytes]:
    """The bare addresses out of what people write: `Ann Lee <ann@example.org>, bob@example.net`."""
    found: List[bytes] = []
    for value in [values] if isinstance(values, str) else values:
        octets = _text(value, what)
        if any(x < " " or x == "\x7f" for x in value):
            raise _usage("%s %r: a control character in it could forge a command" % (what, value))
        list_ = c_void_p()
        _check(_lib.ph_addresses_parse, byref(list_), octets, None)
        found += _taken(list_)
    return found


def _taken(list_: c_void_p) -> List[bytes]:
    try:
        return [_lib.ph_addresses_get(list_, i) for i in range(_lib.ph_addresses_count(list_))]
    finally:
        _lib.ph_addresses_free(list_)


def _from_header(octets: bytes, function: Any) -> List[bytes]:
    list_ = c_void_p()
    _check(function, byref(list_), octets, len(octets), None)
    return _taken(list_)


def _sender(asked: Dict[str, Any], header: Optional[bytes]) -> Optional[bytes]:
    """None: the library will find it in the header itself."""
    if asked["sender"] in ("", "<>"):
        return b""
    if asked["sender"] is not None:
        found = _addresses(asked["sender"], "sender")
    elif header is None:
        return None
    else:
        found = _from_header(header, _lib.ph_addresses_sender_from_header)
    if len(found) != 1:
        raise _usage("there is no sender, or more than one", 'sender="<>" is the null one')
    return found[0]


def _envelope(asked: Dict[str, Any], header: Optional[bytes] = None) -> _c.ph_envelope:
    """`header`: of the message, for what is not asked; None: the library will see to it."""
    recipients: List[bytes] = []
    if asked["recipients"] is not None:
        recipients = _addresses(asked["recipients"], "recipients")
        if not recipients:
            raise _usage("there is no recipient")
    elif header is not None:
        recipients = _from_header(header, _lib.ph_addresses_from_header)
    until = asked["hold_until"]
    return _c.ph_envelope(
        from_=_sender(asked, header),
        recipients=_core.strings(recipients), recipient_count=len(recipients),
        no_dup=asked["no_dup"], line_ends=_choice(asked["line_ends"], _LINE_ENDS, "line_ends"),
        notify=sum({_choice(x, _NOTIFY, "notify") for x in _words(asked["notify"])}),
        dsn_return=_choice(asked["ret"], _RETURN, "ret"), envid=_text(asked["envid"], "envid"),
        require_tls=asked["require_tls"],
        by_seconds=_number(asked["deliver_by"], "deliver_by"),
        by_mode=_choice(asked["by_mode"], _BY, "by_mode") or (asked["deliver_by"] is not None),
        by_trace=asked["by_trace"],
        hold_for=_number(asked["hold_for"], "hold_for"),
        hold_until=int(until.timestamp()) if until else 0,
        priority=_number(asked["priority"], "priority"))


# ---- messages ------------------------------------------------------------------------------------

def _flatten(message: email.message.Message) -> bytes:
    """As it goes out: CRLF; an address that is not ASCII stays one (RFC 6532)."""
    fields = [str(value) for name in _ADDRESS_FIELDS for value in message.get_all(name, [])]
    policy = message.policy
    if not all(address.isascii() for _, address in email.utils.getaddresses(fields)):
        policy = policy.clone(utf8=True) if isinstance(policy, email.policy.EmailPolicy) \
            else email.policy.SMTPUTF8
    out = io.BytesIO()
    email.generator.BytesGenerator(out, mangle_from_=False, policy=policy).flatten(message,
                                                                                   linesep="\r\n")
    return out.getvalue()


def _in_memory(message: Any) -> Optional[bytes]:
    """The octets of what is not to be read from somewhere."""
    if isinstance(message, email.message.Message):
        return _flatten(message)
    if isinstance(message, str):
        return message.encode()
    return _sockets.plain_bytes(message) if isinstance(message, (bytes, bytearray, memoryview)) else None


def _without_bcc(octets: bytes) -> bytes:
    text, size, behind = c_void_p(), ctypes.c_size_t(), ctypes.c_size_t()
    _check(_lib.ph_header_without_bcc, byref(text), byref(size), byref(behind), octets, len(octets),
           None)
    block = ctypes.string_at(text, size.value)
    _lib.free(text)
    return block + octets[behind.value:]


class _Source:
    """A message as the library reads it, with what it stands on."""

    def __init__(self, message: Any, core: _core.Client) -> None:
        self.handle = c_void_p()
        self._core = core
        self._fd = -1
        octets = _in_memory(message)
        if octets is not None:
            self._open(_lib.ph_source_new_memory, octets, len(octets), None)
        elif isinstance(message, os.PathLike):
            self._fd = os.open(message, os.O_RDONLY | os.O_CLOEXEC)
            self._open_descriptor()
        elif callable(getattr(message, "read", None)):
            self._open_file(message)
        else:
            raise TypeError("a message cannot be of type %s" % type(message).__name__)

    def _open(self, function: Callable[..., int], *arguments: Any) -> None:
        self._held = arguments
        if function(byref(self.handle), *arguments):
            self.close()
            raise MemoryError

    def _open_descriptor(self) -> None:
        if stat.S_ISREG(os.fstat(self._fd).st_mode):
            self._open(_lib.ph_source_new_file, self._fd, 0, _WHOLE_FILE, None, None)
        else:
            self._open(_lib.ph_source_new_pipe, self._fd, None)

    def _open_file(self, file: Any) -> None:
        seekable = getattr(file, "seekable", lambda: False)()
        begin = file.tell() if seekable else 0
        read = self._core.safe(functools.partial(_read, file), _c.IO_ERROR)
        calls = _c.ph_source_callbacks(read=_c.source_read(read))
        if seekable:
            rewind = self._core.safe(functools.partial(_rewind, file, begin), -1)
            calls.rewind = _c.source_rewind(rewind)
        self._open(_lib.ph_source_new_callbacks, byref(calls), None)
        self._held = (calls,)

    def close(self) -> None:
        _lib.ph_source_free(self.handle)
        self.handle = c_void_p()
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def _read(file: Any, _user: Any, buffer: int, size: int, count: Any, error: Any) -> int:
    try:
        piece = file.read(size)
        if piece is None:
            return _c.IO_AGAIN
        if not isinstance(piece, bytes) or len(piece := _sockets.plain_bytes(piece)) > size:
            raise TypeError("a message is read in binary mode, and at most as much as asked")
    except BaseException as why:
        _sockets.set_error(error, "noinput", "prepare", "source",
                        "the message cannot be read: %s" % why)
        raise
    ctypes.memmove(buffer, piece, len(piece))
    count[0] = len(piece)
    return _c.IO_OK if piece else _c.IO_EOF


def _rewind(file: Any, begin: int, _user: Any) -> int:
    file.seek(begin)
    return 0


# ---- the transcript ------------------------------------------------------------------------------

@dataclass(frozen=True)
class Trace:
    """A line of the conversation, secrets replaced. str() of it is as swaks would print it."""

    direction: str      #: ">" sent, "<" received, "*" said by the library
    tls: bool           #: it went under TLS
    refused: bool       #: a reply that is not 2yz or 3yz
    seconds: float      #: since the client began to connect
    octets: bytes       #: without line end; what a peer wrote is not escaped

    @classmethod
    def of(cls, line: _c.ph_trace) -> Trace:
        return cls(direction=line.direction.decode(), tls=line.tls, refused=line.refused,
                   seconds=line.since_us / 1e6, octets=ctypes.string_at(line.text, line.len))

    def __str__(self) -> str:
        way = "~" if self.tls else "-"
        mark = "***"
        if self.direction == ">":
            mark = " %s>" % way
        elif self.direction == "<":
            mark = "<" + way + "*" if self.refused and self.tls else "<**" if self.refused \
                else "<%s " % way
        return mark + " " + "".join(map(_shown, self.octets.decode("utf-8", "surrogateescape")))


def _trace(transcript: Callable[[Trace], object], line: _c.ph_trace) -> None:
    transcript(Trace.of(line))


def _shown(character: str) -> str:
    """As the command shows it: what could steer a terminal, and what is no UTF-8, is \\xNN."""
    if character.isprintable():
        return character
    return "".join("\\x%02X" % x for x in character.encode("utf-8", "surrogateescape"))


# ---- straight to the recipients' servers ---------------------------------------------------------

def _direct(wanted: bool, **asked: Any) -> Any:
    """A pointer to struct ph_direct_opts; None: a server was named."""
    given = [name for name, value in asked.items() if value is not None]
    if not wanted:
        if given:
            raise _usage("%s= only goes with direct=True" % given[0])
        return None
    port = asked["mx_port"]
    if port is not None and not 0 < port < 2 ** 16:
        raise _usage("mx_port is %r" % port)
    mta_sts = _choice(asked["mta_sts"], _MTA_STS, "mta_sts")
    return pointer(_c.ph_direct_opts(
        mx_port=port or 0, dane=_choice(asked["dane"], _DANE, "dane"), no_mta_sts=bool(mta_sts),
        dns=_text(",".join(_words(asked["dns"])), "dns") or None,
        trust_anchor=_path(asked["trust_anchor"], "trust_anchor"),
        mta_sts_cache=_path(asked["mta_sts_cache"], "mta_sts_cache")))


# ---- sending -------------------------------------------------------------------------------------

class Client:
    """Sends messages over one connection, which is made when the first one is sent.

        with posthaste.Client("submission://ann@mail.example.org", password=secret) as client:
            for message in messages:
                print(client.send(message).outcome)

    `server` is smtp://host (port 25), submission://host (587), smtps://host (465),
    lmtp://host:port or lmtp:///path/to/socket; "user@" may stand before the host. TLS is required
    and verified unless an argument says otherwise: they mean what the options of `posthaste send`
    mean, whose names they have. Instead of a server, `direct=True` sends to the mail servers of each
    recipient's domain, as securely as the domain asks for; with it go mx_port, dane ("auto", "off",
    "required"), mta_sts ("auto", "off"), dns, trust_anchor, and mta_sts_cache, a folder that keeps
    policies (without it they last as long as the client). Times are in seconds. `transcript` is
    called with each line of the conversation: `transcript=print` shows it. A client belongs to one
    thread at a time.
    """

    def __init__(
        self, server: Optional[str] = None, *,
        direct: bool = False,
        mx_port: Optional[int] = None,
        dane: Optional[str] = None,
        mta_sts: Optional[str] = None,
        mta_sts_cache: Optional[Path] = None,
        dns: Union[str, Iterable[str], None] = None,
        trust_anchor: Optional[Path] = None,
        user: Optional[str] = None,
        password: Optional[Secret] = None,
        token: Optional[Secret] = None,
        authzid: Optional[str] = None,
        mechanisms: Union[str, Iterable[str], None] = None,
        allow_clear_auth: bool = False,
        tls: Optional[str] = None,
        tls_min: Optional[str] = None,
        tls_name: Optional[str] = None,
        ca_file: Optional[Path] = None,
        ca_dir: Optional[Path] = None,
        pins: Union[str, Iterable[str], None] = None,
        cert: Optional[Path] = None,
        key: Optional[Path] = None,
        insecure: bool = False,
        connect: Optional[str] = None,
        helo: Optional[str] = None,
        ip: Optional[int] = None,
        source_ip: Optional[str] = None,
        proxy: Optional[str] = None,
        proxy_password: Optional[Secret] = None,
        proxy_header: Optional[str] = None,
        timeout: Optional[float] = None,
        connect_timeout: Optional[float] = None,
        pipelining: bool = True,
        chunking: bool = True,
        transcript: Optional[Callable[[Trace], object]] = None,
    ) -> None:
        self._core: Optional[_core.Client] = None
        self._sources: Deque[_Source] = collections.deque()
        pin_list = [_text(pin, "pins") or b"" for pin in _words(pins)]
        tls_opts = _c.ph_tls_opts(
            mode=_choice(tls, _TLS_MODES, "tls"),
            min_version=_choice(tls_min, _TLS_VERSIONS, "tls_min"),
            insecure=insecure, server_name=_text(tls_name, "tls_name"),
            ca_file=_path(ca_file, "ca_file"), ca_dir=_path(ca_dir, "ca_dir"),
            cert_file=_path(cert, "cert"), key_file=_path(key, "key"),
            pins=_core.strings(pin_list), pin_count=len(pin_list))
        credentials = None
        if any(x is not None for x in (user, password, token, authzid, mechanisms)):
            credentials = pointer(_c.ph_credentials(
                user=_text(user, "user"), password=_secret(password, "password"),
                token=_secret(token, "token"), authzid=_text(authzid, "authzid"),
                mechanisms=_text(",".join(_words(mechanisms)), "mechanisms") or None))
        _text(server, "server")
        if server is None and not direct:
            raise _usage("there is no server", 'server="submission://mail.example.org" names your '
                         "provider's; direct=True sends to each recipient's own")
        asked_direct = _direct(direct, mx_port=mx_port, dane=dane, mta_sts=mta_sts,
                               mta_sts_cache=mta_sts_cache, dns=dns, trust_anchor=trust_anchor)
        core = _core.Client(
            server, tls_opts, transcript and functools.partial(_trace, transcript),
            direct=asked_direct, connect=_text(connect, "connect"), credentials=credentials,
            allow_clear_auth=allow_clear_auth, helo=_text(helo, "helo"),
            source_ip=_text(source_ip, "source_ip"), proxy=_text(proxy, "proxy"),
            proxy_password=_secret(proxy_password, "proxy_password"),
            proxy_header=_text(proxy_header, "proxy_header"), family=_number(ip, "ip"),
            timeout_ms=_milliseconds(timeout, "timeout"),
            connect_timeout_ms=_milliseconds(connect_timeout, "connect_timeout"),
            no_pipelining=not pipelining, no_chunking=not chunking)
        if core.problem is not None:
            _raise(core.problem)
        self._core = core

    def send(
        self, message: Message, *,
        sender: Optional[str] = None,
        recipients: Union[str, Iterable[str], None] = None,
        no_dup: bool = False,
        line_ends: Optional[str] = None,
        notify: Union[str, Iterable[str], None] = None,
        ret: Optional[str] = None,
        envid: Optional[str] = None,
        require_tls: bool = False,
        deliver_by: Optional[int] = None,
        by_mode: Optional[str] = None,
        by_trace: bool = False,
        hold_for: Optional[int] = None,
        hold_until: Optional[datetime.datetime] = None,
        priority: int = 0,
    ) -> Record:
        """Sends a message and waits for what becomes of it. See send()."""
        asked = dict(locals())
        source = _Source(message, self._open())
        try:
            envelope, record = _envelope(asked), c_void_p()
            return self._record(record, _lib.ph_client_send_message, source.handle, byref(envelope),
                                byref(record))
        finally:
            source.close()

    def submit(
        self, message: Union[email.message.Message, str, bytes, bytearray, memoryview], *,
        sender: Optional[str] = None,
        recipients: Union[str, Iterable[str], None] = None,
        no_dup: bool = False,
        line_ends: Optional[str] = None,
        notify: Union[str, Iterable[str], None] = None,
        ret: Optional[str] = None,
        envid: Optional[str] = None,
        require_tls: bool = False,
        deliver_by: Optional[int] = None,
        by_mode: Optional[str] = None,
        by_trace: bool = False,
        hold_for: Optional[int] = None,
        hold_until: Optional[datetime.datetime] = None,
        priority: int = 0,
    ) -> None:
        """Keeps a message for sending, and returns at once; next() gives its record, in the order
        of submission. With a few submitted ahead of next(), each takes a round trip or less:

            for message in messages:
                client.submit(message)
                if client.pending == 16:
                    print(client.next().outcome)
            while client.pending:
                print(client.next().outcome)
        """
        asked = dict(locals())
        octets = _in_memory(message)
        if octets is None:
            raise TypeError("a message cannot be submitted as a %s" % type(message).__name__)
        core, envelope = self._open(), _envelope(asked, octets)
        source = _Source(_without_bcc(octets), core)
        problem = core.act(_lib.ph_client_submit, byref(envelope), source.handle, None)
        if problem is not None:
            source.close()
            _raise(problem)
        self._sources.append(source)

    @property
    def pending(self) -> int:
        """How many messages were submitted whose records were not taken."""
        return len(self._sources)

    def next(self) -> Record:
        """The record of the oldest message that was submitted; waits for it."""
        record = c_void_p()
        try:
            return self._record(record, _lib.ph_client_next, byref(record), None)
        finally:
            if record:
                self._sources.popleft().close()

    def close(self) -> None:
        """Says QUIT if there is a connection, and ends it. Messages that were submitted and have no
        record yet are lost to the caller: some may have been delivered."""
        if self._core is not None:
            self._core.leave()
        self._core = None
        while self._sources:
            self._sources.popleft().close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, kind: Optional[Type[BaseException]], error: Optional[BaseException],
                 trace: Optional[TracebackType]) -> None:
        forgotten = self.pending
        self.close()
        if forgotten and kind is None:
            raise _usage("%d messages were submitted whose records were not taken" % forgotten,
                         "call next() while there are any pending")

    def __del__(self) -> None:
        if hasattr(self, "_sources"):
            self.close()

    def _open(self) -> _core.Client:
        if self._core is None:
            raise _usage("the client was closed")
        return self._core

    def _record(self, record: c_void_p, function: Callable[..., int], *arguments: Any) -> Record:
        """Of a call that leaves its record at `record`."""
        core = self._open()
        with core:
            try:
                problem = core.act(function, *arguments)
            except BaseException as why:
                if record:
                    raise why from DeliveryError(Record.from_json(_core.json_of(record).decode()))
                raise
            if not record:
                _raise(problem or Problem("system", "prepare", "none", 0, "", 0, "no record", ""))
            return Record.from_json(_core.json_of(record).decode())


@functools.lru_cache(maxsize=None)
def _parameters(function: Callable[..., Any]) -> Sequence[str]:
    return [name for name in inspect.signature(function).parameters
            if name not in ("self", "message")]


def send(
    message: Message, *,
    server: Optional[str] = None,
    direct: bool = False,
    mx_port: Optional[int] = None,
    dane: Optional[str] = None,
    mta_sts: Optional[str] = None,
    mta_sts_cache: Optional[Path] = None,
    dns: Union[str, Iterable[str], None] = None,
    trust_anchor: Optional[Path] = None,
    sender: Optional[str] = None,
    recipients: Union[str, Iterable[str], None] = None,
    user: Optional[str] = None,
    password: Optional[Secret] = None,
    token: Optional[Secret] = None,
    authzid: Optional[str] = None,
    mechanisms: Union[str, Iterable[str], None] = None,
    allow_clear_auth: bool = False,
    tls: Optional[str] = None,
    tls_min: Optional[str] = None,
    tls_name: Optional[str] = None,
    ca_file: Optional[Path] = None,
    ca_dir: Optional[Path] = None,
    pins: Union[str, Iterable[str], None] = None,
    cert: Optional[Path] = None,
    key: Optional[Path] = None,
    insecure: bool = False,
    connect: Optional[str] = None,
    helo: Optional[str] = None,
    ip: Optional[int] = None,
    source_ip: Optional[str] = None,
    proxy: Optional[str] = None,
    proxy_password: Optional[Secret] = None,
    proxy_header: Optional[str] = None,
    timeout: Optional[float] = None,
    connect_timeout: Optional[float] = None,
    pipelining: bool = True,
    chunking: bool = True,
    transcript: Optional[Callable[[Trace], object]] = None,
    no_dup: bool = False,
    line_ends: Optional[str] = None,
    notify: Union[str, Iterable[str], None] = None,
    ret: Optional[str] = None,
    envid: Optional[str] = None,
    require_tls: bool = False,
    deliver_by: Optional[int] = None,
    by_mode: Optional[str] = None,
    by_trace: bool = False,
    hold_for: Optional[int] = None,
    hold_until: Optional[datetime.datetime] = None,
    priority: int = 0,
) -> Record:
    """Sends one message and says what became of it, for each recipient.

        record = posthaste.send(message, server="submission://ann@mail.example.org",
                                password=lambda: keyring.get_password("mail", "ann"))
        if not record.accepted:
            print(record.error)

    What goes wrong on the way is in the record, never an exception: call raise_for_outcome() on it
    for one. UsageError is raised for what cannot be sent at all, and nothing was.

    message: of the email package; its text (str, sent as UTF-8) or octets; the path of a file
    (pathlib, not str), or a file open in binary mode. A Bcc field is left out of what is sent.
    sender, recipients: addresses, "Ann Lee <ann@example.org>" too; else the message's own: Sender
    or From; To, Cc and Bcc (or its Resent- fields). "<>" is the null sender.
    server, or direct=True, and all that has to do with the connection: see Client.
    no_dup: rather lost than twice; nothing else is under way with it.
    line_ends: "normalise" (each becomes CRLF), "strict" (bare CR and LF are refused), "binary".
    notify ("never", or some of "success", "failure", "delay"), ret ("full" or "hdrs"), envid:
    delivery status notifications. require_tls: verified TLS at each hop, or not at all. deliver_by:
    within so many seconds, by_mode says what becomes of it then ("return", "notify"). hold_for
    (seconds), hold_until: the server keeps it. priority: -9 to 9.
    """
    asked = dict(locals())
    with Client(**{name: asked[name] for name in _parameters(Client)}) as client:
        return client.send(message, **{name: asked[name] for name in _parameters(Client.send)})
