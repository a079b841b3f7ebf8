# SPDX-License-Identifier: MIT
"""A struct ph_client with a Python face.

What leaves a callback is only ever a value: an exception in one is kept, the library gives up, and
the exception is raised again from the call that was going on.
"""

from __future__ import annotations

import ctypes
import os
import socket
import sys
import threading
import weakref
from ctypes import byref
from functools import partial
from typing import (Any, Callable, List, NamedTuple, Optional, Sequence, Tuple, TypeVar)

from posthaste import _library
from posthaste._library import lib
from posthaste._sockets import Transport, plain_bytes

_T = TypeVar("_T")


class Problem(NamedTuple):
    """What went wrong, as the library tells it."""

    code: str       # the class: "deferred", "security", …
    stage: str      # how far it had come: "rcpt", "tls", …
    cause: str      # the finer reason: "timeout", "certificate-expired", …
    reply: int      # the server's, or 0
    enhanced: str   # "5.7.1", or ""
    errno: int      # of the failed system call, or 0
    text: str       # what happened and what it means
    hint: str       # what to do, or ""

    @classmethod
    def of(cls, error: _library.ph_error) -> Problem:
        enhanced = ".".join(map(str, error.enhanced)) if error.enhanced[0] else ""
        return cls(_library.CODE_NAMES.get(error.code, "unknown"),
                   _library.STAGE_NAMES.get(error.stage, "unknown"),
                   _library.CAUSE_NAMES.get(error.cause, "unknown"),
                   error.reply, enhanced, error.sys,
                   error.text.decode("utf-8", "replace"), error.hint.decode("utf-8", "replace"))


class Reply(NamedTuple):
    """A server's answer: the lines without their codes, joined by LF."""

    code: int
    text: bytes

    @classmethod
    def of(cls, reply: _library.ph_reply) -> Reply:
        return cls(reply.code, ctypes.string_at(reply.text, reply.len) if reply.text else b"")


class Recipient(NamedTuple):
    """What became of a recipient."""

    outcome: str    # "accepted", "deferred", "refused" or "in_doubt"
    stage: str      # where that was decided
    reply: Reply    # by which reply; code 0: none


class Result(NamedTuple):
    """What a call came to. A refusal has both: the reply, and what it means."""

    reply: Optional[Reply]
    problem: Optional[Problem]


class Delivery(NamedTuple):
    """What a whole delivery came to. Without a problem everybody was accepted, and `recipients` is
    left out; with one it is empty if the envelope was not acceptable."""

    recipients: List[Recipient]
    problem: Optional[Problem]


def c_string(text: str, encoding: str = "utf-8", secret: bool = False) -> bytes:
    """The text as the library takes it. ValueError: it would end at a NUL."""
    octets = secret_string(text, encoding) if secret else text.encode(encoding)
    if b"\0" in octets:
        raise ValueError("a NUL character cannot be sent")
    return octets


def secret_string(text: str, encoding: str = "utf-8") -> bytes:
    """The same of a secret, which is not to stand in the exception if it cannot be encoded."""
    try:
        return text.encode(encoding)
    except UnicodeEncodeError as why:
        wrong = UnicodeEncodeError(why.encoding, "*" * why.end, why.start, why.end, why.reason)
    raise wrong


def strings(items: Sequence[bytes], terminated: bool = False) -> Any:
    """An array of char *; `terminated`: with a NULL behind."""
    return (ctypes.c_char_p * (len(items) + terminated))(*items)


# ---- the client ----------------------------------------------------------------------------------

_PIECE = 256 * 1024     # octets given to the library at a time, which copies them

_NOBODY = _library.transcript_line(0)  # is told the transcript


def _free(pointer: ctypes.c_void_p, process: int, _kept: Any) -> None:
    if os.getpid() == process:  # a child's copy would end the parent's TLS
        lib.ph_client_free(pointer)


class Client:
    """One struct ph_client, freed with the object.

    One thread uses it at a time, others wait. A callback of its own that comes back to it gets a
    RuntimeError: the library is in the midst of something. close() alone is always heeded, whoever
    calls it: what is in use is closed when that ends.

    on_line is given every line of the transcript, a ph_trace, in which secrets are hidden.
    """

    def __init__(self, server: Optional[str], tls: _library.ph_tls_opts,
                 on_line: Optional[Callable[[_library.ph_trace], object]], **options: Any) -> None:
        self._raised: Optional[BaseException] = None
        self._cancelled = False
        self._mine = threading.RLock()      # held by the thread that uses it
        self._uses = 0                      # of that thread, one in the other
        self._is_at_work = False            # the library is
        self._behind: Optional[Tuple[Any, ...]] = None  # close() was called while it was in use
        self._process = os.getpid()
        self._transports: List[Any] = []  # tables lent, which the library may still use
        self._error = _library.ph_error()  # for the next call to fill in
        self._timeout: Optional[float] = None
        self._record: Optional[ctypes.c_void_p] = None  # of the last sendmail(), while it stands
        self._json = b""
        itself = weakref.ref(self)
        self._callbacks: List[Any] = [
            _library.is_interrupted(_safe(itself, lambda _user: _has_raised(itself), True))]
        opts = _library.ph_client_opts(
            server=server.encode() if server is not None else None, tls=ctypes.pointer(tls),
            interrupted=self._callbacks[0], **options)
        if on_line is not None:
            self._callbacks.append(_library.transcript_line(
                _safe(itself, partial(_pass_line, on_line), None)))
            opts.transcript = self._callbacks[1]
        self._has_transcript = on_line is not None
        pointer = ctypes.c_void_p()
        error = _library.ph_error()
        self.problem: Optional[Problem] = None  # why there is none
        self._pointer: Optional[int] = None
        if lib.ph_client_new(byref(pointer), byref(opts), byref(error)) != 0:
            self.problem = Problem.of(error)
            return
        self._pointer = pointer.value
        kept = self._callbacks, self._transports
        self._finalizer = weakref.finalize(self, _free, pointer, self._process, kept)
        self._finalizer.atexit = False  # another thread may be at work to the very end

    def close(self, *others: Any) -> None:
        """Frees the client, closing what it owns, then closes the others. Twice is fine.

        While it is in use, by another thread or by this one below a callback, what goes on is given
        up, and all this is done behind it.
        """
        if self._end(others):
            return
        pointer = self._pointer
        if pointer is not None:
            lib.ph_client_cancel(pointer)
        self._cancelled, self._behind = True, others
        self._end(others)  # it has come back meanwhile

    def _end(self, others: Tuple[Any, ...]) -> bool:
        """False: it is in use."""
        if not self._mine.acquire(blocking=False):
            return False
        try:
            if self._uses:
                return False
            if self._pointer is not None:
                self.record_json()
                self._pointer = None
                self._finalizer()
            for other in others:
                other.close()
            return True
        finally:
            self._mine.release()

    def leave(self) -> None:
        """close(), with a QUIT whose reply is not waited for."""
        if self._pointer is not None and self._process == os.getpid():
            self._checked(lib.ph_client_leave)
        self.close()

    # -- calls

    def __enter__(self) -> None:
        """In use: what the library has given is good within."""
        self._mine.acquire()
        self._uses += 1

    def __exit__(self, *_: Any) -> None:
        self._uses -= 1
        try:
            if self._behind is not None:
                self._end(self._behind)
        finally:
            self._mine.release()

    def check_idle(self) -> None:
        """To be called in use."""
        if self._is_at_work:
            raise RuntimeError("the connection is at work: what it calls back cannot use it, only "
                               "close it")

    def _checked(self, function: Callable[..., _T], *arguments: Any) -> _T:
        """Calls the library; what a callback raised meanwhile is raised here."""
        with self:
            self.check_idle()
            if self._pointer is None:
                raise RuntimeError("the connection was closed")
            try:
                if self._record is not None:
                    self.record_json()
                self._is_at_work = True
                value = _rescued(function, self._pointer, *arguments)
            finally:
                self._is_at_work = False
                raised, self._raised = self._raised, None
        try:
            if raised is not None:
                raise raised
        finally:
            del raised  # else it holds the frame that holds it
        return value

    def act(self, function: Callable[..., int], *arguments: Any) -> Optional[Problem]:
        """A function that ends in an error."""
        error = self._error
        if self._checked(function, *arguments, byref(error)) == 0:
            return None
        self._error = _library.ph_error()
        return Problem.of(error)

    def command(self, function: Callable[..., int], *arguments: Any) -> Result:
        """A function that ends in a reply and an error."""
        reply = ctypes.POINTER(_library.ph_reply)()
        with self:
            problem = self.act(function, *arguments, byref(reply))
            return Result(Reply.of(reply.contents) if reply else None, problem)

    def attach(self, sock: socket.socket) -> Result:
        """Over a socket of Python's, which stays its owner's: the library has a descriptor of its own,
        as the number of one that the owner closes soon is another file's. The reply is the greeting."""
        return self.command(lib.ph_client_attach_socket, os.dup(sock.fileno()), True)

    def lend(self, transport: Transport, facts: Optional[_library.ph_tls_facts]) -> Result:
        """Over an object of Python's. `facts`: of TLS that is up. The reply is the greeting."""
        return self.command(lib.ph_client_attach_transport, byref(self._table(transport)),
                            byref(facts) if facts is not None else None)

    def lend_tls(self, transport: Optional[Transport]) -> Optional[Problem]:
        """The transport does the handshake of the next STARTTLS, and carries what follows. None: the
        library does again."""
        return self.act(lib.ph_client_lend_tls,
                        byref(self._table(transport)) if transport is not None else None)

    def safe(self, function: Callable[..., Any], failed: Any) -> Callable[..., Any]:
        """The function as a callback: an exception ends what goes on, which raises it."""
        return _safe(weakref.ref(self), function, failed)

    def _table(self, transport: Transport) -> _library.ph_transport:
        table = transport.table(self.safe)
        self._transports.append(table)
        return table

    def auth(self, mechanism: str, step: Callable[[Optional[bytes]], Optional[bytes]]) -> Result:
        """AUTH by a mechanism of the caller's. What step() raises cancels the exchange."""
        kept: List[Any] = []
        itself = weakref.ref(self)

        def call(_user: Any, challenge: Optional[int], size: int, response: Any, length: Any,
                 _error: Any) -> int:
            given = step(ctypes.string_at(challenge, size) if challenge else None)
            if given is not None:
                kept[:] = [ctypes.create_string_buffer(given, len(given) + 1)]
                response[0] = ctypes.addressof(kept[0])
                length[0] = len(given)
            return 0

        table = _library.ph_mechanism(name=c_string(mechanism), step=_library.mechanism_step(
            _safe(itself, call, _library.CODES["cancelled"], fatal=False)))
        return self.command(lib.ph_client_auth, byref(table))

    def login(self, user: str, password: str, mechanisms: Optional[str]) -> Result:
        """AUTH by the library's own mechanisms."""
        credentials = _library.ph_credentials(
            user=c_string(user), password=c_string(password, secret=True),
            mechanisms=c_string(mechanisms) if mechanisms is not None else None)
        return self.command(lib.ph_client_login, byref(credentials))

    def putcmd(self, line: bytes) -> Optional[Problem]:
        return self.act(lib.ph_client_putcmd, line, None)

    def getreply(self) -> Result:
        return self.command(lib.ph_client_getreply)

    def send(self, octets: bytes) -> Optional[Problem]:
        """Octets as they are."""
        for at in range(0, len(octets), _PIECE):
            piece = octets[at:at + _PIECE]
            problem = self.act(lib.ph_client_send, piece, len(piece))
            if problem is not None:
                return problem
        return None

    def sendmail(self, sender: str, recipients: Sequence[str], message: bytes,
                 mail_parameters: Sequence[str], rcpt_parameters: Sequence[str]) -> Delivery:
        """A whole delivery; the message is borrowed."""
        envelope = _library.ph_envelope(
            from_=c_string(sender),
            recipients=strings([c_string(r) for r in recipients]), recipient_count=len(recipients),
            mail_parameters=strings([c_string(p) for p in mail_parameters], True),
            rcpt_parameters=strings([c_string(p) for p in rcpt_parameters], True))
        record = ctypes.c_void_p()
        with self, Source(message) as source:
            self.forget_record()
            problem = self.act(lib.ph_client_sendmail, byref(envelope), source, byref(record))
        if record:
            self._record = record
        return Delivery(_recipients(record) if record and problem else [], problem)

    # -- the delivery record, which is made into text only if somebody asks, or is about to end it

    def record_json(self) -> bytes:
        """Of the last sendmail(); b"": there is none."""
        with self._mine:
            record, self._record = self._record, None
            if record is not None:
                self._json = json_of(record)
            return self._json

    def forget_record(self) -> None:
        self._record, self._json = None, b""

    # -- what is known

    def set_timeout(self, seconds: Optional[float]) -> None:
        """Each wait for the server at most; None: what RFC 5321 says."""
        if seconds != self._timeout:
            lib.ph_client_set_timeout(self._pointer, max(1, int(seconds * 1000)) if seconds else 0)
            self._timeout = seconds

    def set_transcript(self, wanted: bool) -> None:
        """Whether on_line is called, from now on."""
        if wanted != self._has_transcript and self._pointer is not None:
            lib.ph_client_set_transcript(self._pointer, self._callbacks[1] if wanted else _NOBODY,
                                         None)
            self._has_transcript = wanted

    def is_connected(self) -> bool:
        """Whether it can be used any further."""
        with self:
            return (self._pointer is not None and not self._cancelled and
                    bool(lib.ph_client_is_connected(self._pointer)))

    def extensions(self) -> List[Tuple[str, str]]:
        """What EHLO offered, in the server's order."""
        keyword, parameter = ctypes.c_char_p(), ctypes.c_char_p()
        found: List[Tuple[str, str]] = []
        with self:
            while self._pointer is not None and lib.ph_client_extension(
                    self._pointer, len(found), byref(keyword), byref(parameter)):
                found.append(((keyword.value or b"").decode("latin-1"),
                              (parameter.value or b"").decode("latin-1")))
        return found

    def helo_name(self) -> Optional[str]:
        with self:
            name = lib.ph_client_helo_name(self._pointer) if self._pointer is not None else None
            return name.decode() if name else None

    def tls_facts(self) -> Optional[_library.ph_tls_facts]:
        """Of the connection as it stands."""
        with self:
            facts = lib.ph_client_tls_facts(self._pointer) if self._pointer is not None else None
            if not facts:
                return None
            copy = _library.ph_tls_facts()
            ctypes.memmove(byref(copy), facts, copy.size)
            return copy

    def certificate(self, number: int) -> Optional[_library.ph_certificate]:
        """The number-th that the server has shown; to be read in use."""
        certificate = _library.ph_certificate()
        if self._pointer is None or not lib.ph_client_certificate(self._pointer, number,
                                                                  byref(certificate)):
            return None
        return certificate

    def give_up(self, why: BaseException, fatal: bool) -> None:
        """An exception in a callback: it is kept. `fatal`: whatever goes on ends now."""
        if self._raised is None:
            self._raised = why
        if fatal and self._pointer is not None:
            self._cancelled = True
            lib.ph_client_cancel(self._pointer)

    def has_raised(self) -> bool:
        return self._raised is not None


def _has_raised(client: weakref.ReferenceType[Client]) -> bool:
    """Asked during waits. That Python code runs here lets Python's signal handlers run."""
    itself = client()
    return itself is None or itself.has_raised()


def _pass_line(on_line: Callable[[_library.ph_trace], object], _user: Any, line: Any) -> None:
    on_line(line.contents)


def _safe(client: weakref.ReferenceType[Client], function: Callable[..., Any], failed: Any,
          fatal: bool = True) -> Callable[..., Any]:
    """The function as a callback: an exception is kept for the caller, and `failed` returned.

    One more thing can leave it: a signal's handler runs as soon as Python code is entered, before
    the `try`. What it raises (KeyboardInterrupt) is caught by _rescued().
    """
    def call(*arguments: Any) -> Any:
        try:
            return function(*arguments)
        except BaseException as why:  # pylint: disable=broad-except
            itself = client()
            if itself is not None:
                itself.give_up(why, fatal)
            return failed
    call.client = client  # type: ignore[attr-defined]
    return call


def _rescued(function: Callable[..., _T], *arguments: Any) -> _T:
    """Calls it, and keeps what a signal's handler raised at the very beginning of a callback, which
    ctypes cannot hand on and would only print. Signals are the main thread's affair, so is this."""
    if threading.current_thread() is not threading.main_thread():
        return function(*arguments)
    before = sys.unraisablehook
    rescue = sys.unraisablehook = partial(_keep_lost, before)
    try:
        return function(*arguments)
    finally:
        if sys.unraisablehook is rescue:
            sys.unraisablehook = before


def _keep_lost(otherwise: Callable[[Any], object], lost: Any) -> None:
    client = getattr(lost.object, "client", None)
    itself = client() if isinstance(client, weakref.ref) else None
    if isinstance(itself, Client) and lost.exc_value is not None:
        itself.give_up(lost.exc_value, True)
    else:
        otherwise(lost)


class Source:
    """Octets in memory as a message to send; borrowed while the `with` lasts."""

    def __init__(self, octets: bytes) -> None:
        self._octets = plain_bytes(octets)
        self._pointer = ctypes.c_void_p()

    def __enter__(self) -> ctypes.c_void_p:
        size = len(self._octets)
        if lib.ph_source_new_memory(byref(self._pointer), self._octets, size, None) != 0:
            raise MemoryError
        return self._pointer

    def __exit__(self, *_: Any) -> None:
        lib.ph_source_free(self._pointer)


# ---- the delivery record -------------------------------------------------------------------------

def _recipients(record: ctypes.c_void_p) -> List[Recipient]:
    found = []
    for i in range(lib.ph_record_recipient_count(record)):
        r = lib.ph_record_recipient(record, i).contents
        found.append(Recipient(_library.OUTCOME_NAMES[r.outcome], _library.STAGE_NAMES[r.stage],
                               Reply.of(r.reply)))
    return found


def json_of(record: ctypes.c_void_p) -> bytes:
    text = lib.ph_record_json(record)
    if not text:
        raise MemoryError
    try:
        return ctypes.string_at(text)
    finally:
        lib.ph_record_free_json(record, text)
