# SPDX-License-Identifier: MIT
"""Sending mail by libposthaste: securely, fast, and with an honest answer about what became of it.

    import posthaste

    record = posthaste.send(message, server="submission://ann@mail.example.org", password=secret)
    record.raise_for_outcome()

`posthaste.smtplib` stands in for the standard library's smtplib.
"""

from typing import TYPE_CHECKING, Any, List

from posthaste import _library as _library  # that it is missing is known at once

if TYPE_CHECKING:
    from posthaste._record import (DeliveryError, Error, ErrorClass, Outcome, Recipient, Record,
                                   Route, SendError, Session, Stage, Tls, UsageError)
    from posthaste._send import Client, Trace, send

__all__ = ["Client", "DeliveryError", "Error", "ErrorClass", "Outcome", "Recipient", "Record",
           "Route", "SendError", "Session", "Stage", "Tls", "Trace", "UsageError", "send"]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """What a program that only wants posthaste.smtplib need not wait for."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from posthaste import _record, _send
    value = getattr(_send, name, None) or getattr(_record, name)
    globals()[name] = value
    return value


def __dir__() -> List[str]:
    return sorted({*globals(), *__all__})
