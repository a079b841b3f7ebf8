# SPDX-License-Identifier: MIT
"""SMTP and LMTP with the interface of the standard library's smtplib, spoken by libposthaste.

    import posthaste.smtplib as smtplib

and a program that was written for the standard module runs as it is, only that certificates are
verified, passwords do not cross the network in clear, secrets do not show in the debug output, and
no line end or control character of the caller's becomes a command. What differs, and why, stands in
docs/smtplib.md. The standard module's own behaviour, wherever that is no hole, is had by

    posthaste.smtplib.strict_compat = True

or POSTHASTE_SMTPLIB_COMPAT=1 in the environment; it is asked for at each call.

An exception that the library had a part in has an attribute `posthaste`: class, stage, cause, what
happened and what to do about it. SMTP.record is the delivery record of the last sendmail().
"""

from __future__ import annotations

import base64
import copy
import ctypes
import datetime
import email.generator
import email.message
import email.utils
import hmac
import io
import json
import os
import re
import socket
import sys
import warnings
import weakref
from email.base64mime import body_encode as encode_base64
from typing import (Any, Callable, Dict, List, NoReturn, Optional, Protocol, Sequence, Tuple,
                    TypeVar, Union, cast)

from posthaste import _client as _core
from posthaste import _hints, _library, _sockets
from posthaste import _smtp_errors as _errors
from posthaste._client import Delivery, Problem, Result
from posthaste._smtp_errors import Code as _Code
from posthaste._smtp_errors import Refused as _Refused
from posthaste._smtp_errors import (
    SMTPAuthenticationError, SMTPConnectError, SMTPDataError, SMTPException, SMTPHeloError,
    SMTPNotSupportedError, SMTPRecipientsRefused, SMTPResponseException, SMTPSecurityError,
    SMTPSenderRefused, SMTPServerDisconnected)

try:
    import ssl
except ImportError:
    _have_ssl = False
else:
    _have_ssl = True

__all__ = ["SMTPException", "SMTPNotSupportedError", "SMTPSecurityError", "SMTPServerDisconnected",
           "SMTPResponseException", "SMTPSenderRefused", "SMTPRecipientsRefused", "SMTPDataError",
           "SMTPConnectError", "SMTPHeloError", "SMTPAuthenticationError", "quoteaddr", "quotedata",
           "SMTP"]

SMTP_PORT = 25
SMTP_SSL_PORT = 465
LMTP_PORT = 2003
SUBMISSION_PORT = 587
CRLF = "\r\n"
bCRLF = b"\r\n"
_MAXLINE = 8192     # octets of a reply's line, its end included
_MAXCHALLENGE = 5   # challenges answered in one AUTH

_DEFAULT_TIMEOUT: Any = socket._GLOBAL_DEFAULT_TIMEOUT  # type: ignore[attr-defined]

OLDSTYLE_AUTH = re.compile(r"auth=(.*)", re.I)

strict_compat = False

_T = TypeVar("_T")


def _is_strict() -> bool:
    return strict_compat or os.environ.get("POSTHASTE_SMTPLIB_COMPAT", "") not in ("", "0")


# ---- texts ---------------------------------------------------------------------------------------

# What parseaddr() leaves as it is, told in a fraction of the time.
_BARE_ADDRESS = re.compile(r"[A-Za-z0-9_+-]+(?:\.[A-Za-z0-9_+-]+)*"
                           r"@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*")


def _addr_only(addrstring: str) -> str:
    """The address in "Name <address>"; what cannot be read as such as it is."""
    if isinstance(addrstring, str) and _BARE_ADDRESS.fullmatch(addrstring):
        return addrstring
    mailbox = email.utils.parseaddr(addrstring)
    return mailbox[1] if mailbox != ("", "") else addrstring


def quoteaddr(addrstring: str) -> str:
    """The address in angle brackets, as MAIL and RCPT want it."""
    address = _addr_only(addrstring)
    return address if address is addrstring and address.strip().startswith("<") else f"<{address}>"


_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"')
_BRACKETS = re.compile(r"\s*<(.*)>\s*")


def _path(addrstring: str) -> str:
    """The address without brackets."""
    _check_line(addrstring)
    address = _addr_only(addrstring)
    bracketed = _BRACKETS.fullmatch(address)
    return bracketed[1] if bracketed else address


# What logs in, though it is said as any other command, or as octets.
_AUTH = re.compile(r"(?:^|\n)auth\s", re.I)


def _check_line(line: str, secret: bool = False) -> None:
    if "\r" in line or "\n" in line:
        if secret or _AUTH.search(line):
            raise ValueError("command and arguments contain prohibited newline characters: [hidden]")
        line = line.replace("\r", "\\r").replace("\n", "\\n")
        raise ValueError(f"command and arguments contain prohibited newline characters: {line}")


def _fix_eols(data: str) -> str:
    """With CRLF for every line end, lone CR and lone LF too."""
    return re.sub(r"\r\n|\r|\n", CRLF, data)


def _quote_periods(bindata: bytes) -> bytes:
    """With the dot doubled where a line begins with one."""
    quoted = bindata.replace(b"\n.", b"\n..")
    return b"." + quoted if bindata.startswith(b".") else quoted


def quotedata(data: str) -> str:
    """The text as it stands on the wire behind DATA: line ends mended, dots doubled."""
    return re.sub(r"(?m)^\.", "..", _fix_eols(data))


def _octets(msg: Union[str, bytes]) -> bytes:
    """A message to send. As text it is UTF-8; ASCII for the standard module."""
    if isinstance(msg, str):
        return msg.encode("ascii" if _is_strict() else "utf-8")
    return _sockets.plain_bytes(msg)


def _mended(octets: bytes) -> bytes:
    """With CRLF for every line end."""
    if octets.count(b"\r\n") == octets.count(b"\r") == octets.count(b"\n"):
        return octets
    if b"\r" not in octets:
        return octets.replace(b"\n", bCRLF)
    return re.sub(rb"\r\n|\r|\n", bCRLF, octets)


def _on_the_wire(octets: bytes) -> bytes:
    """A message as it stands behind DATA, the final dot included."""
    octets = _quote_periods(_mended(octets))
    return octets + (b".\r\n" if octets.endswith(bCRLF) else b"\r\n.\r\n")


# ---- the classes ---------------------------------------------------------------------------------

class _AuthObject(Protocol):
    """What answers challenges; without one it gives the initial response, or None."""

    def __call__(self, challenge: Optional[bytes] = None) -> Optional[str]: ...


# A program that has put its own in the place of one of these wants them to be called.
_SENDMAIL_CALLS = ("putcmd", "getreply", "docmd", "send", "mail", "rcpt", "data", "rset", "_rset")
_LOGIN_CALLS = ("auth", "auth_cram_md5", "auth_plain", "auth_login")

# Commands that have nothing to hide. Of all others an audit hook is told what the transcript tells.
_NOT_SECRET = frozenset(("EHLO", "HELO", "LHLO", "MAIL", "RCPT", "DATA", "RSET", "NOOP", "VRFY",
                         "EXPN", "HELP", "QUIT"))

# What the library says with MAIL by itself, where it is needed.
_OWN_PARAMETER = re.compile(r"smtputf8|size=.*|body=(7bit|8bitmime)", re.I)

_HANDSHAKE_SECONDS = 300.0  # in Python's TLS, if the program has set no timeout


class SMTP:
    """A connection to an SMTP server.

    helo_resp and ehlo_resp are what the server said to the last HELO and EHLO, or None; does_esmtp
    says whether EHLO was accepted; esmtp_features maps what it offered, in lower case, to the
    parameters. record is the delivery record of the last sendmail() that was one call into the
    library, as it is by default.
    """

    debuglevel = 0
    sock: Any = None
    file: Any = None
    helo_resp: Optional[bytes] = None
    ehlo_msg = "ehlo"
    ehlo_resp: Optional[bytes] = None
    does_esmtp: Any = False
    default_port = SMTP_PORT

    _scheme = "smtp"
    _tls_mode = _library.TLS_BY_HAND
    _client: Optional[_core.Client] = None
    _attached: Any = None               # the .sock that the client works on
    _transport: Optional[_sockets.Transport] = None  # by which it does; None: by its descriptor
    _verified_name: Optional[str] = None  # what the library's TLS would verify
    _host = ""                          # what TLS is to verify
    _dialled = ""                       # what connect() was given last
    _dialled_socket: Any = None         # ... and what was made of it, as it is
    _helo_name: Optional[str] = None    # what the program wants to be called
    _offered: Dict[str, str] = {}       # esmtp_features, as it was made
    _in_starttls = False
    _awaits_message = False             # DATA was answered with 354
    _awaits_response = False            # AUTH was, with 334
    _awaits_tls = False                 # STARTTLS was, with 220, and the program does the handshake
    _reply_lines: Tuple[bytes, ...] = ()  # for the debug output
    _problem: Optional[Problem] = None  # what the last reply means, if it was a refusal
    _recorder: Optional[_core.Client] = None  # whose the last sendmail() was

    def __init__(self, host: str = "", port: int = 0, local_hostname: Optional[str] = None,
                 timeout: Any = _DEFAULT_TIMEOUT,
                 source_address: Optional[Tuple[Any, int]] = None) -> None:
        """With a host it connects, and raises SMTPConnectError if the server's greeting is no 220.

        local_hostname is said with EHLO: by default this host's name if it is a qualified one, else
        its address. source_address is (host, port) to connect from. timeout: seconds that each wait
        may take at most; without one, those of RFC 5321.
        """
        self._host = self._dialled = host
        self.timeout = timeout
        self.esmtp_features: Dict[str, str] = {}
        self.command_encoding = "ascii"
        self.source_address = source_address
        self._auth_challenge_count = 0
        self._helo_name = local_hostname
        if host:
            code, msg = self.connect(host, port)
            if code != 220:
                self.close()
                raise self._refused(SMTPConnectError(code, msg))
        if local_hostname is None and _is_strict():
            self._helo_name = _resolved_name()

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *args: Any) -> None:
        if self._awaits_message:  # QUIT would be a line of it
            self.close()
            return
        try:
            code, message = self.docmd("QUIT")
            if code != 221:
                raise SMTPResponseException(code, message)
        except SMTPServerDisconnected:
            pass
        finally:
            self.close()

    @property
    def local_hostname(self) -> str:
        """The name said with EHLO."""
        if self._helo_name is not None:
            return self._helo_name
        return self._client and self._client.helo_name() or _own_name()

    @local_hostname.setter
    def local_hostname(self, name: str) -> None:
        self._helo_name = name

    @property
    def record(self) -> Optional[Dict[str, Any]]:
        """The delivery record of the last sendmail(), as `posthaste send --json` prints it."""
        text = self._recorder.record_json() if self._recorder is not None else b""
        translated = _hints.in_record(_hints.for_smtplib)
        return json.loads(text, object_hook=translated) if text else None

    # -- debug output

    def set_debuglevel(self, debuglevel: int) -> None:
        """1 shows the dialogue on standard error, without secrets; 2 with times; 0 is silence."""
        self.debuglevel = debuglevel

    def _print_debug(self, *args: Any) -> None:
        if self.debuglevel > 1:
            print(datetime.datetime.now().time(), *args, file=sys.stderr)
        else:
            print(*args, file=sys.stderr)

    def _debug(self, *args: Any) -> None:
        if self.debuglevel > 0:
            self._print_debug(*args)

    def _on_line(self, direction: bytes, text: bytes) -> None:
        """A line of the transcript. Octets sent by send() it has told of itself; of a message the
        transcript has the size only."""
        if direction == b"<":
            self._on_reply_line(text)
        elif direction == b"*":
            self._debug("posthaste:", text.decode("utf-8", "replace"))
        elif not text.endswith(b" octets by hand]"):
            if self.debuglevel > 0:
                self._print_debug("send:", repr(text.decode("utf-8", "replace") + CRLF))
            if not text.endswith(b" octets of message]"):
                sys.audit("smtplib.send", self, text + bCRLF)

    def _on_reply_line(self, line: bytes) -> None:
        if self.debuglevel <= 0:
            return
        self._print_debug("reply:", repr(line + bCRLF))
        self._reply_lines += (line[4:].strip(b" \t\r\n"),)
        if line[3:4] != b"-":
            self._print_debug("reply: retcode (%s); Msg: %a"
                              % (line[:3].decode("latin-1"), b"\n".join(self._reply_lines)))
            self._reply_lines = ()

    # -- connecting

    def _get_socket(self, host: str, port: int, timeout: Any) -> Any:
        """A connected socket; to be overridden by those who know another way to the server."""
        if timeout is not None and not timeout:
            raise ValueError("Non-blocking socket (timeout=0) is not supported")
        self._debug("connect: to", (host, port), self.source_address)
        sock = socket.create_connection((host, port), timeout, self.source_address)
        self._dialled_socket = sock if host == self._dialled else None
        return sock

    def connect(self, host: str = "localhost", port: int = 0,
                source_address: Optional[Tuple[Any, int]] = None) -> _Code:
        """Connects, and gives the greeting. A host may end in ":port"."""
        if source_address:
            self.source_address = source_address
        if not port and host.count(":") == 1:
            host, _, digits = host.partition(":")
            try:
                port = int(digits)
            except ValueError:
                raise OSError("nonnumeric port") from None
        port = port or self.default_port
        sys.audit("smtplib.connect", self, host, port)
        self._is_to(host)
        self.sock = self._get_socket(host, port, self.timeout)
        self.file = None
        code, msg = self.getreply()
        self._debug("connect:", repr(msg))
        return code, msg

    def _is_to(self, host: str) -> None:
        """A name that the program has set itself stays the one to be verified."""
        if self._host in ("", self._dialled):
            self._host = host
        self._dialled = host

    def _ready(self) -> _core.Client:
        """The client, on the socket that there is now; its greeting is passed over."""
        if not self.sock:
            raise SMTPServerDisconnected("please run connect() first")
        if self.sock is not self._attached and not self._adopt():
            self._attach()
        assert self._client is not None
        return self._client

    def _attach(self) -> _Code:
        """Takes up a connection; gives the greeting."""
        sock, self._attached = self.sock, self.sock
        if self._client is not None:
            self._client.close()
        self._transport = None
        self._awaits_message = self._awaits_response = self._awaits_tls = False
        self._client = client = self._new_client()
        if not _is_strict():
            self._forget()
        if _sockets.is_plain(sock) and not self._may_be_tunnel(sock):
            self.file = sock.makefile("rb")
            result = self._run(client.attach, sock)
        else:
            self._transport = _sockets.Transport(sock)
            self._transport.start_tls = self._starter(self._transport, None)
            facts = _sockets.facts_of_socket(sock, self._host)
            result = self._run(client.lend, self._transport, facts)
        self._show_tls()
        return self._code(result)

    def _may_be_tunnel(self, sock: socket.socket) -> bool:
        """The program made the socket, and its other end is on this machine, which the server is not
        known to be: what crosses it in clear may go on to anywhere."""
        return (sock is not self._dialled_socket and _sockets.is_peer_local(sock) and
                not _sockets.is_local_name(self._host))

    def _new_client(self) -> _core.Client:
        itself = weakref.ref(self)

        def on_line(line: _library.ph_trace) -> None:
            smtp = itself()
            if smtp is not None:
                smtp._on_line(line.direction, ctypes.string_at(line.text, line.len))

        def make() -> _core.Client:
            # Programs go on after a refused message; after a refused BDAT the library cannot.
            return _core.Client(self._url(), tls, on_line, no_chunking=True, lenient=True)

        name = _core.c_string(self._host) or None
        tls = _library.ph_tls_opts(mode=self._tls_mode, server_name=name)
        self._verified_name = self._host
        client = make()
        if client.problem is not None and self._tls_mode == _library.TLS_BY_HAND:
            # "/path/to/socket" is no name that TLS could verify; it may never be asked to
            self._verified_name = tls.server_name = None
            client = make()
        if client.problem is not None:
            self.close()
            raise _errors.of(client.problem)
        return client

    def _url(self) -> str:
        """The server as the library knows it, by name only: the connection is there already."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        if not re.fullmatch(r"\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+", host):
            host = "localhost"
        return f"{self._scheme}://{host}:{self.default_port}"

    def _forget(self) -> None:
        """Nothing is known of a server that was not said over this connection, or this TLS."""
        self.helo_resp = self.ehlo_resp = None
        self.esmtp_features = {}
        self.does_esmtp = False

    def close(self) -> None:
        """Closes the connection at once."""
        file, self.file = self.file, None
        sock, self.sock = self.sock, None
        client, self._client = self._client, None
        self._attached = self._transport = self._dialled_socket = None
        others = [other for other in (file, sock) if other]
        if client is not None:
            client.close(*others)
            return
        for other in others:
            other.close()

    # -- calls of the library

    def _run(self, call: Callable[..., _T], *arguments: Any, quiet: bool = False) -> _T:
        """Calls into the library, under the socket's timeout. `quiet`: for audit hooks there is
        nothing in the transcript, which need not be made unless somebody looks at it."""
        client = self._client
        if client is None:  # closed by another thread, or a signal's handler
            raise SMTPServerDisconnected("please run connect() first")
        with client:
            client.check_idle()
            if self._transport is None and _sockets.descriptor_of(self.sock) < 0:
                # the program closed it; the library's descriptor is its own
                self.close()
                raise SMTPServerDisconnected("Connection unexpectedly closed: "
                                             "[Errno 9] Bad file descriptor")
            timeout = _sockets.timeout_of(self.sock)
            client.set_timeout(timeout)
            client.set_transcript(not quiet or self.debuglevel > 0)
            if self._transport is not None:
                self._transport.timeout = timeout
                _sockets.set_timeout(self._transport.sock, 0.0)
            try:
                return call(*arguments)
            except BaseException:
                if not client.is_connected():
                    self.close()
                raise
            finally:
                if self._transport is not None:
                    _sockets.set_timeout(self._transport.sock, timeout)

    def _code(self, result: Result) -> _Code:
        """The reply, a refusal too, or the exception that stands for what there is instead."""
        self._problem = problem = result.problem
        if result.reply is None or (problem is not None and problem.cause != "reply"):
            assert problem is not None
            self._fail(problem)
        longest = _MAXLINE - len(b"250 \r\n")
        text = result.reply.text
        if len(text) > longest and max(map(len, text.split(b"\n"))) > longest:
            self.close()
            raise SMTPResponseException(500, "Line too long.")
        return _errors.stripped(result.reply)

    def _refused(self, error: Exception) -> Exception:
        """An exception made of the last reply."""
        return _errors.explained(error, self._problem)

    def _fail(self, problem: Problem) -> NoReturn:
        why = self._transport.why if self._transport is not None else None
        if self._client is not None and not self._client.is_connected():
            self.close()
            if problem.code == "usage":
                raise SMTPServerDisconnected("please run connect() first")
        error = _errors.of(problem)
        if isinstance(error, SMTPServerDisconnected) and why is not None:
            error.args = (f"Connection unexpectedly closed: {why}",)
        raise error from why

    # -- commands

    def send(self, s: Union[str, bytes]) -> None:
        """Sends octets, or the octets of a text, as they are."""
        if self.debuglevel > 0:
            self._print_debug("send:", "[hidden]" if self._is_secret(s) else repr(s))
        client = self._ready()
        octets = s.encode(self.command_encoding) if isinstance(s, str) else bytes(s)
        sys.audit("smtplib.send", self, octets)
        self._sent(self._run(client.send, octets, quiet=True))

    def _is_secret(self, s: Union[str, bytes]) -> bool:
        text = s if isinstance(s, str) else bytes(s).decode("latin-1")
        return self._awaits_response or (not self._awaits_message and bool(_AUTH.search(text)))

    def putcmd(self, cmd: str, args: str = "") -> None:
        """Sends a command. ValueError: it has a control character, and would be two."""
        line = f"{cmd} {args}" if args != "" else cmd
        _check_line(line, self._awaits_response)
        if self._awaits_message:  # it is a line of the message
            self.send(line + CRLF)
            return
        octets = _core.c_string(line + CRLF, self.command_encoding)[:-2]
        client = self._ready()
        if line.upper() == "STARTTLS" and not self._in_starttls:
            self._leave_tls_to_program(client)
        quiet = self.debuglevel <= 0 and line.partition(" ")[0].upper() in _NOT_SECRET
        if quiet:
            sys.audit("smtplib.send", self, octets + bCRLF)
        self._sent(self._run(client.putcmd, octets, quiet=quiet))

    def _sent(self, problem: Optional[Problem]) -> None:
        if problem is not None:
            self._fail(problem)

    def getreply(self) -> _Code:
        """The server's answer: the code, and the text of its lines joined by LF."""
        if self.sock and self.sock is not self._attached and not self._adopt():
            return self._attach()
        client = self._ready()
        code, text = self._code(self._run(client.getreply, quiet=True))
        self._awaits_message = code == 354
        self._awaits_response = code == 334
        self._show_tls()
        return code, text

    def docmd(self, cmd: str, args: str = "") -> _Code:
        """Sends a command, and gives the answer."""
        self.putcmd(cmd, args)
        return self.getreply()

    def helo(self, name: str = "") -> _Code:
        """HELO."""
        self.putcmd("helo", name or self._ehlo_name())
        code, msg = self.getreply()
        self.helo_resp = msg
        return code, msg

    def ehlo(self, name: str = "") -> _Code:
        """EHLO; what the server offers is in esmtp_features."""
        self.esmtp_features = {}
        self.putcmd(self.ehlo_msg, name or self._ehlo_name())
        code, msg = self.getreply()
        self.ehlo_resp = msg
        if code == 250:
            self.does_esmtp = True
            self._learn()
        return code, msg

    def _ehlo_name(self) -> str:
        if self.sock:
            self._ready()  # it may be the connection's address
        return self.local_hostname

    def _learn(self) -> None:
        features: Dict[str, str] = {}
        for keyword, parameter in self._client.extensions() if self._client is not None else ():
            keyword = keyword.lower()
            before = features.get(keyword, "") + " " if keyword == "auth" else ""
            features[keyword] = before + parameter.strip()
        self.esmtp_features = features
        self._offered = dict(features)

    def has_extn(self, opt: str) -> bool:
        """Whether the server offers the extension."""
        return opt.lower() in self.esmtp_features

    def ehlo_or_helo_if_needed(self) -> None:
        """EHLO, and HELO if the server does not know EHLO; nothing if either was said."""
        if self.helo_resp is not None or self.ehlo_resp is not None:
            return
        code, msg = self.ehlo()
        if not 200 <= code <= 299 and self._may_say_helo(code):
            code, msg = self.helo()
        if code == 421:
            self.close()
        if not 200 <= code <= 299:
            raise self._refused(SMTPHeloError(code, msg))

    def _may_say_helo(self, code: int) -> bool:
        """A server that does not know EHLO says so (RFC 5321, 3.2); the old module did not mind."""
        return _is_strict() or 500 <= code <= 504

    def help(self, args: str = "") -> bytes:
        """The text of HELP."""
        self.putcmd("help", args)
        return self.getreply()[1]

    def rset(self) -> _Code:
        """RSET: the server forgets the message that was begun."""
        self.command_encoding = "ascii"
        return self.docmd("rset")

    def _rset(self) -> None:
        """RSET before an exception; that the connection is gone shows at the next command."""
        try:
            self.rset()
        except SMTPServerDisconnected:
            pass

    def noop(self) -> _Code:
        """NOOP."""
        return self.docmd("noop")

    def verify(self, address: str) -> _Code:
        """VRFY."""
        self.putcmd("vrfy", _addr_only(address))
        return self.getreply()

    vrfy = verify

    def expn(self, address: str) -> _Code:
        """EXPN."""
        self.putcmd("expn", _addr_only(address))
        return self.getreply()

    # -- a message, step by step

    def mail(self, sender: str, options: Sequence[str] = ()) -> _Code:
        """MAIL FROM; EHLO is said before if it was not."""
        if not _is_strict():
            self.ehlo_or_helo_if_needed()
        if any(option.lower() == "smtputf8" for option in options) and self.does_esmtp:
            if not self.has_extn("smtputf8"):
                raise SMTPNotSupportedError("SMTPUTF8 not supported by server")
            self.command_encoding = "utf-8"
        return self._path_command("mail", "FROM:", sender, options)

    def rcpt(self, recip: str, options: Sequence[str] = ()) -> _Code:
        """RCPT TO, for one recipient; EHLO is said before if it was not."""
        if not _is_strict():
            self.ehlo_or_helo_if_needed()
        return self._path_command("rcpt", "TO:", recip, options)

    def _path_command(self, verb: str, keyword: str, address: str,
                      options: Sequence[str]) -> _Code:
        parameters = " " + " ".join(options) if options else ""
        if parameters and not self.does_esmtp:
            self._refuse_options()
            parameters = ""
        _check_line(address)  # quoteaddr() might leave out what does not belong there
        path = quoteaddr(address)
        if "> " in _QUOTED.sub("", path):
            raise ValueError(f"the address ends before its end, and parameters follow: {path}")
        self.putcmd(verb, f"{keyword}{path}{parameters}")
        return self.getreply()

    def _refuse_options(self) -> None:
        """The standard module leaves them out without a word; so is it done if the program has said
        that the server is no ESMTP server, though it is."""
        if not _is_strict() and self.helo_resp is not None:
            raise SMTPNotSupportedError("the server knows HELO only, which has no options")

    def data(self, msg: Union[str, bytes]) -> _Code:
        """DATA and the message; gives the final reply. SMTPDataError: there was no 354 to DATA.

        Line ends become CRLF, dots at the beginning of a line are doubled. A text is sent as UTF-8.
        """
        self.putcmd("data")
        code, text = self.getreply()
        self._debug("data:", (code, text))
        if code != 354:
            raise self._refused(SMTPDataError(code, text))
        self.send(_on_the_wire(_octets(msg)))
        code, text = self.getreply()
        self._debug("data:", (code, text))
        return code, text

    # -- logging in

    def auth(self, mechanism: str, authobject: _AuthObject, *,
             initial_response_ok: bool = True) -> _Code:
        """AUTH by a mechanism of the caller's: authobject(challenge) answers a challenge.

        Without one it gives the initial response, or None. What it raises cancels the login.
        SMTPSecurityError: the connection is not secure, and nothing was sent.
        """
        mechanism = mechanism.upper()
        _check_line(mechanism)
        self.ehlo_or_helo_if_needed()

        def step(challenge: Optional[bytes]) -> Optional[bytes]:
            if challenge is not None:
                return self._answer(authobject, challenge)
            initial = authobject() if initial_response_ok else None
            self._auth_challenge_count = 0 if initial is None else 1
            return _credential(initial) if initial is not None else None

        client = self._ready()
        return self._logged_in(self._run(client.auth, mechanism, step))

    def _answer(self, authobject: _AuthObject, challenge: bytes) -> bytes:
        self._auth_challenge_count += 1
        if self._auth_challenge_count > _MAXCHALLENGE + 1:
            last = 334, base64.b64encode(challenge)
            raise SMTPException(f"Server AUTH mechanism infinite loop. Last response: {last!r}")
        return _credential(cast(str, authobject(challenge)))

    def _logged_in(self, result: Result) -> _Code:
        reply, problem = result
        if reply is not None and problem is not None and problem.cause == "mechanism" and \
                problem.code != "security":  # the exchange went wrong, and this is how it ended
            raise _errors.explained(SMTPAuthenticationError(*_errors.stripped(reply)), problem)
        code, text = self._code(result)
        if code == 235 or (code == 503 and _is_strict()):
            return code, text
        raise _errors.explained(SMTPAuthenticationError(code, text), problem)

    def auth_cram_md5(self, challenge: Optional[bytes] = None) -> Optional[str]:
        """For auth(): CRAM-MD5, with self.user and self.password."""
        if challenge is None:
            return None
        digest = hmac.new(_credential(self.password), challenge, "md5").hexdigest()
        return f"{self.user} {digest}"

    def auth_plain(self, challenge: Optional[bytes] = None) -> Optional[str]:
        """For auth(): PLAIN, with self.user and self.password."""
        return f"\0{self.user}\0{self.password}"

    def auth_login(self, challenge: Optional[bytes] = None) -> Optional[str]:
        """For auth(): LOGIN, with self.user and self.password."""
        if challenge is None or self._auth_challenge_count < 2:
            return self.user
        return self.password

    def login(self, user: str, password: str, *, initial_response_ok: bool = True) -> _Code:
        """Logs in, by the strongest mechanism that the server offers. A refused password ends it.

        If the program has changed esmtp_features["auth"], by those named there only.
        SMTPSecurityError: the connection is not secure, and nothing was sent.
        """
        self.ehlo_or_helo_if_needed()
        if not self.has_extn("auth"):
            raise SMTPNotSupportedError("SMTP AUTH extension not supported by server.")
        self.user, self.password = user, password
        named, offered = (features.get("auth", "").split()
                          for features in (self.esmtp_features, self._offered))
        if (_is_strict() or not initial_response_ok or not set(named) <= set(offered) or
                self._overrides(_LOGIN_CALLS)):
            return self._login_in_turn(named, initial_response_ok)
        client = self._ready()
        result = self._run(client.login, user, password,
                           ",".join(named) if named != offered else None)
        if result.problem is not None and result.problem.cause == "not-offered":
            return self._login_in_turn(named, initial_response_ok)  # CRAM-MD5 is all there is
        return self._logged_in(result)

    def _login_in_turn(self, offered: Sequence[str], initial_response_ok: bool) -> _Code:
        """One mechanism after the other; not after a 535, which is about the password."""
        last = None
        for mechanism in ("CRAM-MD5", "PLAIN", "LOGIN"):
            if mechanism not in offered:
                continue
            answer = getattr(self, "auth_" + mechanism.lower().replace("-", "_"))
            try:
                return self.auth(mechanism, answer, initial_response_ok=initial_response_ok)
            except SMTPAuthenticationError as error:
                last = error
                if error.smtp_code == 535 and not _is_strict():
                    break
        raise last or SMTPException("No suitable authentication method found.")

    # -- TLS

    def starttls(self, keyfile: Optional[str] = None, certfile: Optional[str] = None,
                 context: Any = None) -> _Code:
        """STARTTLS. Without a context the library verifies the server's certificate and name; with
        one TLS is Python's, and what is verified is for the context to say.
        """
        context = _context_of(context, keyfile, certfile)
        self.ehlo_or_helo_if_needed()
        if not self.has_extn("starttls"):
            raise SMTPNotSupportedError("STARTTLS extension not supported by server.")
        self._lend_tls(self._ready(), context)
        self._in_starttls = True
        try:
            code, reply = self.docmd("STARTTLS")
        finally:
            self._in_starttls = False
        if code != 220:
            raise self._refused(SMTPResponseException(code, reply))
        self._forget()
        return code, reply

    def _lend_tls(self, client: _core.Client, context: Any) -> None:
        """Unless the library's own TLS will do. What was lent to a STARTTLS that was refused is not for
        this one."""
        self._sent(self._run(client.lend_tls, None))
        if context is None and self._transport is None and self._host == self._verified_name:
            return
        if self._transport is not None:
            self._transport.start_tls = self._starter(self._transport, context)
            return
        transport = _sockets.Transport(self.sock)
        transport.start_tls = self._starter(transport, context)
        self._sent(self._run(client.lend_tls, transport))

    def _starter(self, transport: _sockets.Transport,
                 context: Any) -> Callable[[], _library.ph_tls_facts]:
        """What does the handshake: it puts Python's TLS in the place of the transport's socket."""
        itself = weakref.ref(self)

        def start_tls() -> _library.ph_tls_facts:
            smtp = itself()
            assert smtp is not None  # it is its call that is under way
            return smtp._shake_hands(transport, context)
        return start_tls

    def _shake_hands(self, transport: _sockets.Transport, context: Any) -> _library.ph_tls_facts:
        if context is None:
            context = ssl.create_default_context()
        timeout = (transport.timeout if self._transport is not None else
                   _sockets.timeout_of(self.sock))
        _sockets.set_timeout(transport.sock, timeout if timeout is not None else _HANDSHAKE_SECONDS)
        sock = context.wrap_socket(transport.sock, server_hostname=self._host)
        transport.replace(sock)
        self.sock = self._attached = sock
        self.file = None
        transport.timeout = timeout
        self._transport = transport
        _sockets.set_timeout(sock, 0.0)
        return _sockets.facts_of(sock, context, self._host)

    def _show_tls(self) -> None:
        """Under the library's TLS .sock is a view of it."""
        if (self._client is not None and self._transport is None and self._client.tls_facts() and
                type(self.sock) is not _sockets.TlsSocket):
            self.sock = self._attached = _sockets.TlsSocket(self.sock, self._client)
            self.file = None

    def _leave_tls_to_program(self, client: _core.Client) -> None:
        """STARTTLS given as any command: the program does the handshake, and puts the socket that
        it made at .sock. Until then nothing crosses the connection."""
        itself = weakref.ref(self)
        transport = _sockets.Transport(_sockets.NoSocket())

        def start_tls() -> _library.ph_tls_facts:
            smtp = itself()
            assert smtp is not None
            smtp._transport = transport
            smtp._awaits_tls = True
            return _library.ph_tls_facts(waived=True, problem=b"the program does the handshake")

        transport.start_tls = start_tls
        self._sent(self._run(client.lend_tls, transport))

    def _adopt(self) -> bool:
        """Whether the new .sock is the awaited TLS on the connection that there is."""
        if not self._awaits_tls or self._transport is None or not _sockets.is_tls(self.sock):
            return False
        self._transport.replace(self.sock)
        self._attached = self.sock
        self._awaits_tls = False
        self.file = None
        return True

    # -- whole messages

    def _overrides(self, names: Sequence[str]) -> bool:
        """Whether the program has put something of its own in the place of one of these methods."""
        kind = type(self)
        return not self.__dict__.keys().isdisjoint(names) or any(
            getattr(getattr(kind, name), "__module__", None) != __name__ for name in names)

    def _goes_by_hand(self) -> bool:
        """Command by command, as the standard module: where the program wants to see each of them,
        or says itself what the server offers."""
        return (_is_strict() or self._says_what_is_offered() or
                self._overrides(_SENDMAIL_CALLS) or self._client is None)

    def _says_what_is_offered(self) -> bool:
        """Whether the program does, in the server's place; of AUTH it may: that is for login()."""
        if self.esmtp_features == self._offered:
            return False
        said, offered = ({k: v for k, v in features.items() if k != "auth"}
                         for features in (self.esmtp_features, self._offered))
        return said != offered

    def sendmail(self, from_addr: str, to_addrs: Union[str, Sequence[str]], msg: Union[str, bytes],
                 mail_options: Sequence[str] = (), rcpt_options: Sequence[str] = ()) -> _Refused:
        """Sends a message; gives the replies for those of the recipients who were refused.

        It returns if anybody was accepted. Otherwise SMTPSenderRefused, SMTPRecipientsRefused or
        SMTPDataError say who or what was refused, SMTPNotSupportedError what the server lacks;
        SMTPServerDisconnected: the connection is lost, and the exception's posthaste.code is
        "in_doubt" if the message may have been delivered all the same. A recipient for whom no
        reply came has the code -1.
        """
        self.ehlo_or_helo_if_needed()
        octets = _octets(msg)
        recipients = [to_addrs] if isinstance(to_addrs, str) else list(to_addrs)
        self._recorder = None
        if self._goes_by_hand():
            return self._send_by_hand(from_addr, recipients, octets, mail_options, rcpt_options)
        if not recipients:
            raise SMTPRecipientsRefused({})
        mail_parameters, rcpt_parameters = self._parameters(mail_options, rcpt_options)
        client = self._ready()
        sender, paths = _path(from_addr), [_path(recipient) for recipient in recipients]
        if self.debuglevel <= 0:  # else the transcript has them
            sys.audit("smtplib.send", self, f"MAIL FROM:<{sender}>\r\n".encode())
            for path in paths:
                sys.audit("smtplib.send", self, f"RCPT TO:<{path}>\r\n".encode())
        sys.audit("smtplib.send", self, octets)
        delivery = self._run(client.sendmail, sender, paths, octets, mail_parameters,
                             rcpt_parameters, quiet=True)
        if _is_for_server_to_say(delivery):
            return self._send_by_hand(from_addr, recipients, octets, mail_options, rcpt_options)
        self._recorder = client
        return self._verdict(from_addr, recipients, delivery)

    def _parameters(self, mail_options: Sequence[str],
                    rcpt_options: Sequence[str]) -> Tuple[Sequence[str], Sequence[str]]:
        """For MAIL and RCPT, without those that the library finds out itself."""
        if not self.has_extn("smtputf8") and any(o.lower() == "smtputf8" for o in mail_options):
            raise SMTPNotSupportedError("SMTPUTF8 not supported by server")
        mail = [option for option in mail_options if not _OWN_PARAMETER.fullmatch(option)]
        if (mail or rcpt_options) and not self.does_esmtp:
            self._refuse_options()
        return mail, rcpt_options

    def _verdict(self, sender: str, recipients: Sequence[str], delivery: Delivery) -> _Refused:
        problem = delivery.problem
        if self._client is not None and not self._client.is_connected():
            self.close()
        if problem is None:
            return {}
        if not delivery.recipients:
            self._fail(problem)
        why = (-1, problem.text.encode())
        refused = {address: _errors.stripped(recipient.reply) if recipient.reply.code else why
                   for address, recipient in zip(recipients, delivery.recipients)
                   if recipient.outcome != "accepted"}
        if any(recipient.outcome == "accepted" for recipient in delivery.recipients):
            return refused
        raise _errors.refusal(sender, refused, delivery.recipients, problem)

    def _send_by_hand(self, sender: str, recipients: Sequence[str], octets: bytes,
                      mail_options: Sequence[str], rcpt_options: Sequence[str]) -> _Refused:
        octets = _mended(octets)
        options: List[str] = []
        if self.does_esmtp:
            options = [f"size={len(octets)}"] if self.has_extn("size") else []
            options += mail_options
        code, msg = self.mail(sender, options)
        if code != 250:
            self._abandon(code)
            raise SMTPSenderRefused(code, msg, sender)
        accepted, refused = self._say_recipients(recipients, rcpt_options)
        finals = self._finals(self.data(octets), accepted)
        failed = [(address, reply) for address, reply in finals if reply[0] != 250]
        if len(failed) == len(finals):
            self._abandon(failed[0][1][0])
            raise SMTPDataError(*failed[0][1])
        refused.update(failed)
        return refused

    def _say_recipients(self, recipients: Sequence[str],
                        options: Sequence[str]) -> Tuple[List[str], _Refused]:
        """Those accepted, and the refusals."""
        accepted: List[str] = []
        refused: _Refused = {}
        for recipient in recipients:
            code, msg = self.rcpt(recipient, options)
            if code in (250, 251):
                accepted.append(recipient)
            else:
                refused[recipient] = code, msg
            if code == 421:
                self.close()
                raise SMTPRecipientsRefused(refused)
        if not accepted:
            self._rset()
            raise SMTPRecipientsRefused(refused)
        return accepted, refused

    def _finals(self, reply: _Code, accepted: Sequence[str]) -> List[Tuple[str, _Code]]:
        """The final reply for each recipient."""
        return [(recipient, reply) for recipient in accepted]

    def _abandon(self, code: int) -> None:
        """The connection, if the server has, else only the message."""
        if code == 421:
            self.close()
        else:
            self._rset()

    def send_message(self, msg: email.message.Message, from_addr: Optional[str] = None,
                     to_addrs: Union[None, str, Sequence[str]] = None,
                     mail_options: Sequence[str] = (),
                     rcpt_options: Sequence[str] = ()) -> _Refused:
        """sendmail() for an object of the email package, which says itself whom it is from and to.

        From Sender or else From, to all in To, Cc and Bcc; of a message that was resent from and to
        those of its Resent- fields (ValueError: there are several blocks of them). Bcc and
        Resent-Bcc are not sent.
        """
        self.ehlo_or_helo_if_needed()
        prefix = _prefix_of(msg)
        if from_addr is None:
            sender = msg[prefix + "Sender" if prefix + "Sender" in msg else prefix + "From"]
            from_addr = email.utils.getaddresses([sender])[0][1]
        if to_addrs is None:
            fields = [msg[prefix + name] for name in ("To", "Bcc", "Cc")]
            named = email.utils.getaddresses([field for field in fields if field is not None])
            to_addrs = [address for _, address in named if address or _is_strict()]
        international = not "".join([from_addr, *to_addrs]).isascii()
        if international and not self.has_extn("smtputf8"):
            raise SMTPNotSupportedError(
                "One or more source or delivery addresses require internationalized email support, "
                "but the server does not advertise the required SMTPUTF8 capability")
        if international:
            mail_options = (*mail_options, "SMTPUTF8", "BODY=8BITMIME")
        return self.sendmail(from_addr, to_addrs, _flattened(msg, international), mail_options,
                             rcpt_options)

    def quit(self) -> _Code:
        """QUIT, and closes the connection."""
        reply = self.docmd("quit")
        self._forget()
        self.close()
        return reply


def _is_for_server_to_say(delivery: Delivery) -> bool:
    """Whether the library has sent nothing, for what the standard module leaves to the server: a
    NUL, an address that is none."""
    problem = delivery.problem
    return (problem is not None and problem.code == "input" and
            not any(recipient.reply.code for recipient in delivery.recipients))


def _prefix_of(msg: email.message.Message) -> str:
    """Which fields tell whom a message is from and to (RFC 5322, 3.6.6)."""
    resent: List[Any] = msg.get_all("Resent-Date", [])
    if len(resent) > 1:
        raise ValueError("message has more than one 'Resent-' header block")
    return "Resent-" if resent else ""


def _flattened(msg: email.message.Message, international: bool) -> bytes:
    msg = copy.copy(msg)
    del msg["Bcc"]
    del msg["Resent-Bcc"]
    out = io.BytesIO()
    policy = msg.policy.clone(utf8=True) if international else None
    email.generator.BytesGenerator(out, policy=policy).flatten(msg, linesep=CRLF)
    return out.getvalue()


def _credential(text: str) -> bytes:
    """What is said to prove who one is; the standard module knows ASCII only."""
    return _core.secret_string(text, "ascii" if _is_strict() else "utf-8")


def _resolved_name() -> str:
    """This host's name by the resolver, as the standard module has it."""
    name = socket.getfqdn()
    if "." in name:
        return name
    try:
        return f"[{socket.gethostbyname(socket.gethostname())}]"
    except socket.gaierror:
        return "[127.0.0.1]"


def _own_name() -> str:
    """This host's name, without asking anybody."""
    name = socket.gethostname()
    return name if "." in name else "[127.0.0.1]"


def _context_of(context: Any, keyfile: Optional[str], certfile: Optional[str]) -> Any:
    """The caller's SSLContext; None: the library's TLS will do."""
    for name, value in (("keyfile", keyfile), ("certfile", certfile)):
        if context is not None and value is not None:
            raise ValueError(f"context and {name} arguments are mutually exclusive")
    if keyfile is None and certfile is None:
        return context
    warnings.warn("keyfile and certfile are deprecated, use a custom context instead",
                  DeprecationWarning, 3)
    context = ssl.create_default_context()
    context.load_cert_chain(certfile, keyfile)
    return context


if _have_ssl:
    class SMTP_SSL(SMTP):
        """SMTP under TLS from the first octet, by default on port 465.

        Without a context the library verifies the server's certificate and name; with one TLS is
        Python's, and what is verified is for the context to say.
        """

        default_port = SMTP_SSL_PORT

        _scheme = "smtps"
        _tls_mode = _library.TLS_IMPLICIT

        def __init__(self, host: str = "", port: int = 0, local_hostname: Optional[str] = None,
                     keyfile: Optional[str] = None, certfile: Optional[str] = None,
                     timeout: Any = _DEFAULT_TIMEOUT,
                     source_address: Optional[Tuple[Any, int]] = None, context: Any = None) -> None:
            self.keyfile = keyfile
            self.certfile = certfile
            self._context = _context_of(context, keyfile, certfile)
            super().__init__(host, port, local_hostname, timeout, source_address)

        @property
        def context(self) -> Any:
            """What a subclass makes TLS with: one that verifies, if none was given."""
            if self._context is None:
                self._context = ssl.create_default_context()
            return self._context

        @context.setter
        def context(self, context: Any) -> None:
            self._context = context

        def _get_socket(self, host: str, port: int, timeout: Any) -> Any:
            self._debug("connect:", (host, port))
            sock = super()._get_socket(host, port, timeout)
            if self._context is None and _sockets.is_plain(sock):
                return sock  # the library does the handshake
            try:
                return self.context.wrap_socket(sock, server_hostname=self._host)
            except BaseException:
                sock.close()
                raise

    __all__.append("SMTP_SSL")


class LMTP(SMTP):
    """LMTP (RFC 2033), over TCP, or a Unix socket whose path is given as the host.

    Behind the message the server answers for each recipient: those whom it refuses then are in what
    sendmail() returns.
    """

    ehlo_msg = "lhlo"

    _scheme = "lmtp"
    _accepted = 0               # recipients, of the message that was begun
    _others: Tuple[_Code, ...] = ()  # the final replies behind the first

    def __init__(self, host: str = "", port: int = LMTP_PORT, local_hostname: Optional[str] = None,
                 source_address: Optional[Tuple[Any, int]] = None,
                 timeout: Any = _DEFAULT_TIMEOUT) -> None:
        super().__init__(host, port, local_hostname=local_hostname, source_address=source_address,
                         timeout=timeout)

    def connect(self, host: str = "localhost", port: int = 0,
                source_address: Optional[Tuple[Any, int]] = None) -> _Code:
        """Connects, and gives the greeting."""
        if not host.startswith("/"):
            return super().connect(host, port, source_address=source_address)
        if self.timeout is not None and not self.timeout:
            raise ValueError("Non-blocking socket (timeout=0) is not supported")
        self._is_to(host)
        self.file = None
        self.sock = self._unix_socket(host)
        code, msg = self.getreply()
        self._debug("connect:", msg)
        return code, msg

    def _unix_socket(self, path: str) -> Any:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            if self.timeout is not _DEFAULT_TIMEOUT:
                sock.settimeout(self.timeout)
            sock.connect(path)
        except BaseException:
            self._debug("connect fail:", path)
            sock.close()
            raise
        return sock

    def _may_say_helo(self, code: int) -> bool:
        return _is_strict()  # there is none (RFC 2033, 4.1)

    def mail(self, sender: str, options: Sequence[str] = ()) -> _Code:
        """MAIL FROM."""
        self._accepted = 0
        return super().mail(sender, options)

    def rcpt(self, recip: str, options: Sequence[str] = ()) -> _Code:
        """RCPT TO, for one recipient."""
        code, msg = super().rcpt(recip, options)
        self._accepted += 200 <= code <= 299
        return code, msg

    def data(self, msg: Union[str, bytes]) -> _Code:
        """DATA and the message; gives the final reply for the first recipient, reads them all."""
        first = super().data(msg)
        others, self._accepted = range(1, self._accepted), 0
        self._others = tuple(self.getreply() for _ in others) if first[0] != 421 else ()
        return first

    def _finals(self, reply: _Code, accepted: Sequence[str]) -> List[Tuple[str, _Code]]:
        return list(zip(accepted, (reply, *self._others)))


# ---- python -m posthaste.smtplib -----------------------------------------------------------------

def _main() -> None:
    """Asks for a message, and sends it by this host's server, showing the dialogue."""
    sender = input("From: ").strip()
    recipients = [recipient.strip() for recipient in input("To: ").split(",")]
    print("Enter message, end with ^D:")
    message = sys.stdin.read()
    print(f"Message length is {len(message)}")
    with SMTP("localhost") as server:
        server.set_debuglevel(1)
        server.sendmail(sender, recipients, message)


if __name__ == "__main__":
    _main()
