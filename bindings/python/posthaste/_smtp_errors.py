# SPDX-License-Identifier: MIT
"""The exceptions of posthaste.smtplib, and which of them a problem becomes."""

from __future__ import annotations

import os
import socket
from typing import Callable, Dict, NamedTuple, Optional, Sequence, Tuple, Type, Union

from posthaste import _hints
from posthaste._client import Problem, Recipient, Reply
from posthaste._sockets import have_ssl

if have_ssl:
    import ssl

Code = Tuple[int, bytes]
Refused = Dict[str, Code]


def stripped(reply: Reply) -> Code:
    """A reply as the module's methods give it."""
    if b"\n" not in reply.text:
        return reply.code, reply.text.strip(b" \t\r\n")
    return reply.code, b"\n".join(line.strip(b" \t\r\n") for line in reply.text.split(b"\n"))


# ---- the tree ------------------------------------------------------------------------------------

class SMTPException(OSError):
    """What all exceptions of this module are."""

    posthaste: Optional[Problem] = None


class SMTPNotSupportedError(SMTPException):
    """The server does not offer what the call needs."""


class SMTPSecurityError(SMTPException):
    """The link is not as secure as what was to cross it demands; nothing did."""


class SMTPServerDisconnected(SMTPException):
    """There is no connection, or not any more."""


class SMTPResponseException(SMTPException):
    """The server answered with an error: smtp_code and smtp_error are its reply."""

    def __init__(self, code: int, msg: Union[bytes, str]) -> None:
        self.smtp_code = code
        self.smtp_error = msg
        self.args = (code, msg)


class SMTPSenderRefused(SMTPResponseException):
    """MAIL was refused, for the address `sender`."""

    def __init__(self, code: int, msg: Union[bytes, str], sender: str) -> None:
        super().__init__(code, msg)
        self.sender = sender
        self.args = (code, msg, sender)


class SMTPRecipientsRefused(SMTPException):
    """Nobody was accepted. `recipients` has the reply for each, as the result of sendmail() has."""

    def __init__(self, recipients: Refused) -> None:
        self.recipients = recipients
        self.args = (recipients,)


class SMTPDataError(SMTPResponseException):
    """DATA or the message was refused."""


class SMTPConnectError(SMTPResponseException):
    """The greeting was a refusal."""


class SMTPHeloError(SMTPResponseException):
    """Neither EHLO nor HELO was accepted."""


class SMTPAuthenticationError(SMTPResponseException):
    """The login was refused."""


for _class in tuple(globals().values()):
    if isinstance(_class, type) and issubclass(_class, OSError):
        _class.__module__ = "posthaste.smtplib"  # where programs know them and pickle finds them


# ---- which of them a problem becomes -------------------------------------------------------------

def _disconnected(problem: Problem) -> Exception:
    """In the words of the standard module, as programs look for them."""
    if problem.cause == "timeout":
        return SMTPServerDisconnected("Connection unexpectedly closed: timed out")
    if problem.errno:
        return SMTPServerDisconnected(f"Connection unexpectedly closed: [Errno {problem.errno}] "
                                      f"{os.strerror(problem.errno)}")
    if problem.cause in ("lost", "reply"):
        return SMTPServerDisconnected("Connection unexpectedly closed")
    return SMTPServerDisconnected(f"Connection unexpectedly closed: {problem.text}")


def _of_tls(problem: Problem) -> Exception:
    if problem.cause == "timeout":
        return socket.timeout(problem.text)
    if problem.cause == "lost" and problem.errno:
        return OSError(problem.errno, problem.text)
    if not have_ssl:
        return SMTPSecurityError(problem.text)
    if not problem.cause.startswith("certificate"):
        return ssl.SSLError(1, problem.text)
    error = ssl.SSLCertVerificationError(1, problem.text)
    error.verify_message = problem.text
    return error


def _with_text(type_: Type[Exception]) -> Callable[[Problem], Exception]:
    return lambda problem: type_(problem.text)


class _Row(NamedTuple):
    code: str   # "" is any
    stage: str
    cause: str
    make: Callable[[Problem], Exception]


# What becomes of a problem that is not just a server's reply. The first row that fits counts.
_EXCEPTIONS = (
    _Row("", "", "memory", _with_text(MemoryError)),
    _Row("", "tls", "", _of_tls),
    _Row("input", "", "", _with_text(ValueError)),
    _Row("usage", "", "argument", _with_text(ValueError)),
    _Row("usage", "", "", _with_text(SMTPException)),
    _Row("auth", "", "not-offered",
         lambda _: SMTPException("No suitable authentication method found.")),
    _Row("", "", "not-offered", _with_text(SMTPNotSupportedError)),
    _Row("security", "", "clear-auth", lambda problem: SMTPSecurityError(
        f"{problem.text} (call starttls() first, or use SMTP_SSL)")),
    _Row("security", "", "", _with_text(SMTPSecurityError)),
    _Row("", "auth", "mechanism", _with_text(SMTPException)),
    _Row("auth", "", "", _with_text(SMTPException)),
    _Row("protocol", "greeting", "garbage",
         lambda problem: SMTPConnectError(-1, problem.text.encode())),
    _Row("protocol", "", "limit", lambda _: SMTPResponseException(500, "Line too long.")),
    _Row("system", "", "", lambda problem: OSError(problem.errno, problem.text)),
    _Row("noinput", "", "", lambda problem: OSError(problem.errno, problem.text)),
    _Row("config", "", "", _with_text(OSError)),
    _Row("", "", "", _disconnected),
)


def of(problem: Problem) -> Exception:
    for row in _EXCEPTIONS:
        if (row.code in ("", problem.code) and row.stage in ("", problem.stage) and
                row.cause in ("", problem.cause)):
            return explained(row.make(problem), problem)
    raise AssertionError("the last row fits all")


def explained(error: Exception, problem: Optional[Problem]) -> Exception:
    """With what the library knows of it; a traceback shows what to do (Python 3.11)."""
    if getattr(error, "posthaste", None) is not None:
        return error
    if problem is not None:
        problem = problem._replace(hint=_hints.for_smtplib(problem.hint))
        if problem.hint and hasattr(error, "add_note"):
            error.add_note(f"Hint: {problem.hint}")
    error.posthaste = problem  # type: ignore[attr-defined]
    return error


def refusal(sender: str, refused: Refused, recipients: Sequence[Recipient],
            problem: Problem) -> Exception:
    """The exception for a message that nobody was accepted of."""
    return explained(_refusal(sender, refused, recipients, problem), problem)


def _refusal(sender: str, refused: Refused, recipients: Sequence[Recipient],
             problem: Problem) -> Exception:
    if (problem.cause == "limit" and problem.stage == "mail" and not problem.reply and
            problem.code != "protocol"):
        text = f"{problem.enhanced} {problem.text}".strip()  # as a server would say it
        return SMTPSenderRefused(552, text.encode(), sender)
    if any(recipient.reply.code == 0 for recipient in recipients):
        return of(problem)
    stages = [recipient.stage for recipient in recipients]
    if "mail" in stages:
        return SMTPSenderRefused(*stripped(recipients[stages.index("mail")].reply), sender)
    for stage in ("data", "body"):
        if stage in stages:
            return SMTPDataError(*stripped(recipients[stages.index(stage)].reply))
    return SMTPRecipientsRefused(refused)
