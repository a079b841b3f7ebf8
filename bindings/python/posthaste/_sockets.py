# SPDX-License-Identifier: MIT
"""Sockets and TLS of both sides: what Python's tell and do when the library works through them,
and what the library's TLS looks like to a program.

A callback that fails fills the library's error and returns a value; what it raises, Client keeps.
"""

from __future__ import annotations

import ctypes
import ipaddress
import re
import select
import socket
import time
from ctypes import byref
from typing import TYPE_CHECKING, Any, Callable, Dict, NoReturn, Optional, Tuple, Union

from posthaste import _library

try:
    import ssl
except ImportError:
    have_ssl = False
else:
    have_ssl = True

if TYPE_CHECKING:
    from posthaste._client import Client


def set_error(error: Any, code: str, stage: str, cause: str, text: str, number: int = 0) -> None:
    """Fills the struct that a callback has been given to say what went wrong."""
    if not error:
        return
    target = error.contents
    target.code = _library.CODES[code]
    target.stage = _library.STAGES[stage]
    target.cause = _library.CAUSES[cause]
    target.sys = number
    target.text = text.encode("utf-8", "replace")[:_library.ph_error.text.size - 1]


def plain_bytes(octets: Any) -> bytes:
    """Octets as nothing but octets: what is derived from bytes may say anything of itself."""
    return octets if type(octets) is bytes else memoryview(octets).tobytes()


# ---- what sockets tell ---------------------------------------------------------------------------

def is_plain(sock: Any) -> bool:
    """Whether the library can use its descriptor: it is the standard socket, nothing made of it."""
    kind = type(sock)
    return kind.__module__ == "socket" and kind.__qualname__ == "socket"


def is_local_name(host: str) -> bool:
    """Whether a name, address or socket path is this machine's, without asking anybody."""
    try:
        return host == "localhost" or host.startswith("/") or \
            ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return False


def is_peer_local(sock: socket.socket) -> bool:
    """Whether the other end is on this machine: a server, or a tunnel to one."""
    try:
        peer = sock.getpeername()
    except OSError:
        return False
    return not isinstance(peer, tuple) or is_local_name(peer[0].replace("::ffff:", ""))


def timeout_of(sock: Any) -> Optional[float]:
    timeout = getattr(sock, "gettimeout", None)
    return timeout() if callable(timeout) else None


def set_timeout(sock: Any, timeout: Optional[float]) -> None:
    setter = getattr(sock, "settimeout", None)
    if callable(setter) and hasattr(sock, "recv"):
        setter(timeout)


def is_tls(sock: Any) -> bool:
    return callable(getattr(sock, "cipher", None)) and callable(getattr(sock, "version", None))


def _octets(value: Any) -> bytes:
    return str(value).encode("ascii", "replace") if value else b""


def facts_of_socket(sock: Any, host: str) -> Optional[_library.ph_tls_facts]:
    """Of a socket whose TLS is up; None: it is in clear."""
    if not is_tls(sock) or sock.version() is None:
        return None
    name = getattr(sock, "server_hostname", None) or host
    return facts_of(sock, getattr(sock, "context", None), name)


def facts_of(sock: Any, context: Any, host: str) -> _library.ph_tls_facts:
    """What Python's TLS has shown. An owner who verifies nothing has chosen that."""
    facts = _library.ph_tls_facts()
    facts.verified = (have_ssl and getattr(context, "verify_mode", None) == ssl.CERT_REQUIRED and
                      bool(getattr(context, "check_hostname", False)))
    facts.waived = not facts.verified
    facts.peer_name = _octets(host)[:255]
    if is_tls(sock):
        facts.version = _octets(sock.version())[:15]
        facts.cipher = _octets((sock.cipher() or ("",))[0])[:63]
    if facts.waived:
        facts.problem = b"the SSLContext in use does not verify it"
    return facts


# ---- byte streams lent ---------------------------------------------------------------------------

class Transport:
    """A connected object that behaves as a socket, as the library's transport.

    While the library is at work the object is non-blocking. One without a descriptor (made for a
    test, or living in memory) is read as it is. Of one that is no socket at all sendall() and
    makefile() are enough.
    """

    RECORD = 65536  # octets given to the object at a time

    def __init__(self, sock: Any) -> None:
        self.sock = sock
        self.timeout: Optional[float] = None  # the object's own, while the library is at work
        self.why: Optional[OSError] = None  # what the object last failed with
        self._wants_read = False            # TLS has to read before it can write
        self._file: Any = None              # of an object without recv()
        # Does the handshake, and puts what came of it at `sock`.
        self.start_tls: Optional[Callable[[], _library.ph_tls_facts]] = None

    def table(self, keep: Callable[..., Any]) -> _library.ph_transport:
        """The functions for the library, made safe by `keep`, which see in Client."""
        failed = _library.IO_ERROR
        return _library.ph_transport(
            read=_library.transport_read(keep(self._read, failed)),
            write=_library.transport_write(keep(self._write, failed)),
            wait=_library.transport_wait(keep(self._wait, failed)),
            start_tls=_library.transport_start_tls(keep(self._shake_hands, failed)))

    def _failed(self, why: OSError, error: Any, doing: str) -> int:
        self.why = why
        number = why.errno if not have_ssl or not isinstance(why, ssl.SSLError) else None
        set_error(error, "deferred", "connect", "lost",
                  f"the connection was lost while {doing}: {why}", number or 0)
        return _library.IO_ERROR

    def _read(self, _user: Any, buffer: int, size: int, ret: Any, error: Any) -> int:
        try:
            octets = self._receive(min(size, 65536))
        except OSError as why:
            return _library.IO_AGAIN if is_again(why) else self._failed(why, error, "reading")
        if not octets:
            return _library.IO_EOF
        if len(octets) > size:
            raise ValueError(f"the socket was asked for {size} octets and gave {len(octets)}")
        ctypes.memmove(buffer, octets, len(octets))
        ret[0] = len(octets)
        return _library.IO_OK

    def _receive(self, size: int) -> bytes:
        if hasattr(self.sock, "recv"):
            return plain_bytes(self.sock.recv(size))
        if self._file is None:
            self._file = self.sock.makefile("rb")
        return plain_bytes(self._file.readline(size))

    def _write(self, _user: Any, pieces: Any, count: int, ret: Any, error: Any) -> int:
        self._wants_read = False
        try:
            ret[0] = self._send(self._gather(pieces, count))
        except OSError as why:
            if not is_again(why):
                return self._failed(why, error, "sending")
            self._wants_read = type(why).__name__ == "SSLWantReadError"
            return _library.IO_AGAIN
        return _library.IO_OK

    def _gather(self, pieces: Any, count: int) -> bytes:
        """The first octets of the pieces: a copy, which the object may keep."""
        copies, room = [], self.RECORD
        for i in range(count):
            copies.append(ctypes.string_at(pieces[i].iov_base, min(pieces[i].iov_len, room)))
            room -= len(copies[-1])
            if room == 0:
                break
        return b"".join(copies)

    def _send(self, octets: bytes) -> int:
        if not hasattr(self.sock, "send"):
            self.sock.sendall(octets)
            return len(octets)
        sent = int(self.sock.send(octets))
        if not 0 <= sent <= len(octets):
            raise ValueError(f"the socket was given {len(octets)} octets and says it sent {sent}")
        return sent

    def replace(self, sock: Any) -> None:
        """Another object goes on, a TLS socket: what the one below would still give is not heard."""
        self.sock = sock
        self._file = None

    def _wait(self, _user: Any, want_write: bool, timeout_ms: int, error: Any) -> int:
        number = descriptor_of(self.sock)
        if not want_write and has_pending(self.sock):
            return _library.IO_OK
        if number < 0 or self._file is not None:  # reading will wait
            return _library.IO_OK if timeout_ms != 0 else _library.IO_AGAIN
        poll = select.poll()
        poll.register(number, select.POLLIN | (select.POLLOUT if want_write and not self._wants_read
                                               else 0))
        try:
            ready = poll.poll(None if timeout_ms < 0 else timeout_ms)
        except OSError as why:
            return self._failed(why, error, "waiting")
        return _library.IO_OK if ready else _library.IO_AGAIN

    def _shake_hands(self, _user: Any, facts: Any, error: Any) -> int:
        if self.start_tls is None:
            set_error(error, "security", "tls", "not-offered",
                      "TLS is wanted, and nothing here can do it")
            return _library.IO_ERROR
        found = self.start_tls()
        ctypes.memmove(facts, byref(found), min(facts.contents.size, found.size))
        return _library.IO_OK


class NoSocket:
    """In the place of one that the program has yet to make."""

    def _none(self, *_: Any) -> NoReturn:
        raise OSError("STARTTLS was given by hand: do the handshake, and put the socket it makes "
                      "at .sock")

    recv = send = _none


def is_again(why: OSError) -> bool:
    """Whether a non-blocking operation only has to be tried again."""
    return isinstance(why, BlockingIOError) or type(why).__name__ in ("SSLWantReadError",
                                                                      "SSLWantWriteError")


def has_pending(sock: Any) -> bool:
    """Whether TLS holds octets that have left the descriptor already."""
    pending = getattr(sock, "pending", None)
    return callable(pending) and bool(pending())


def descriptor_of(sock: Any) -> int:
    """The object's descriptor; -1 if it has none."""
    try:
        number = sock.fileno()
    except (AttributeError, OSError, ValueError):
        return -1
    return number if isinstance(number, int) else -1


# ---- the library's TLS as seen from Python -------------------------------------------------------

_LONG_NAMES = {"C": "countryName", "CN": "commonName", "DC": "domainComponent",
               "L": "localityName", "O": "organizationName", "OU": "organizationalUnitName",
               "ST": "stateOrProvinceName", "STREET": "streetAddress", "UID": "userId"}


def _names(text: bytes) -> Tuple[Tuple[Tuple[str, str], ...], ...]:
    """A name of RFC 4514 as ssl gives it: the most significant part first."""
    parts = [part.partition("=") for part in re.split(r"(?<!\\),", text.decode()) if part]
    return tuple(((_LONG_NAMES.get(key, key), re.sub(r"\\(.)", r"\1", value)),)
                 for key, _, value in reversed(parts))


def _date(seconds: int) -> str:
    """As ssl writes it, in English everywhere: "Jan  5 09:34:43 2018 GMT"."""
    return time.asctime(time.gmtime(seconds))[4:] + " GMT"


class TlsSocket:
    """What .sock is under the library's TLS: it answers as an SSLSocket does and otherwise is the
    socket below. Octets go through the SMTP object only."""

    def __init__(self, sock: Any, client: Client) -> None:
        self._sock = sock
        self._client = client

    @property  # type: ignore[misc]
    def __class__(self) -> Any:  # so that isinstance(smtp.sock, ssl.SSLSocket) tells the truth
        return ssl.SSLSocket if have_ssl else TlsSocket

    def _fact(self, name: str) -> Optional[str]:
        facts = self._client.tls_facts()
        return getattr(facts, name).decode() or None if facts is not None else None

    def version(self) -> Optional[str]:
        return self._fact("version")

    def cipher(self) -> Optional[Tuple[Optional[str], Optional[str], None]]:
        """Name and protocol; how many secret bits there are is not known."""
        name = self._fact("cipher")
        return (name, self.version(), None) if name is not None else None

    def selected_alpn_protocol(self) -> Optional[str]:
        return self._fact("alpn")

    @property
    def server_hostname(self) -> Optional[str]:
        return self._fact("peer_name")

    def getpeercert(self, binary_form: bool = False) -> Union[None, bytes, Dict[str, Any]]:
        """The server's certificate, which has been verified: DER, or its main fields."""
        with self._client:  # until all is copied
            return self._peer_certificate(binary_form)

    def _peer_certificate(self, binary_form: bool) -> Union[None, bytes, Dict[str, Any]]:
        found = self._client.certificate(0)
        if found is None:
            return None
        if binary_form:
            return ctypes.string_at(found.der, found.der_len)
        names = [found.names[i].decode() for i in range(found.name_count)]
        kinds = ["IP Address" if re.fullmatch(r"[0-9.]+|.*:.*", name) else "DNS" for name in names]
        return {
            "subject": _names(found.subject), "issuer": _names(found.issuer),
            "serialNumber": found.serial.decode().upper(),
            "notBefore": _date(found.not_before), "notAfter": _date(found.not_after),
            "subjectAltName": tuple(zip(kinds, names)),
        }

    def _not_here(self, *_: Any, **__: Any) -> NoReturn:
        raise OSError("the connection is under TLS of libposthaste: use send() and getreply() of "
                      "the SMTP object, or give starttls() or SMTP_SSL an SSLContext of your own")

    recv = recv_into = read = write = send = sendall = sendfile = makefile = unwrap = _not_here

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)
