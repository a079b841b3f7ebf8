# SPDX-License-Identifier: MIT
"""libposthaste as ctypes sees it: the library, found and loaded, and its structs and functions,
declared as include/posthaste/*.h declare them, under the names they have there.

Nothing is decided here. Whoever hands a struct or a callback to the library keeps it alive as long
as the header says; an exception must not leave a callback.
"""

from __future__ import annotations

import ctypes
import importlib
import os
from ctypes import (CFUNCTYPE, POINTER, c_bool, c_char, c_char_p, c_int, c_int32, c_int64,
                    c_size_t, c_ubyte, c_uint, c_uint16, c_uint64, c_void_p)
from typing import Any, Callable, Dict, Iterator

SONAME = "libposthaste.so.0"


# ---- finding the library -------------------------------------------------------------------------

def _candidates() -> Iterator[str]:
    """Names to try, best first. One that the user has set is the only one."""
    named = os.environ.get("POSTHASTE_LIBRARY")
    if named:  # a bare name would be looked for where the system has its libraries
        yield os.path.abspath(named) if os.path.exists(named) else named
        return
    try:  # written by the installation
        yield str(importlib.import_module("posthaste._where").LIBRARY)
    except ImportError:
        pass
    tree = os.path.join(os.path.dirname(os.path.abspath(__file__)), *[os.pardir] * 3)
    if os.path.exists(os.path.join(tree, "src", "libposthaste.map")):
        yield os.path.join(os.path.normpath(tree), "build", SONAME)
    yield SONAME  # wherever the system's loader finds it


def _load() -> ctypes.CDLL:
    tried = []
    for name in _candidates():
        try:
            library = ctypes.CDLL(name)
        except OSError as why:
            tried.append(str(why))
            continue
        # In a build's folder, its modules lie beside it; installed, it knows where they are.
        folder = os.path.dirname(os.path.abspath(name)) if os.sep in name else ""
        if os.path.exists(os.path.join(folder, "posthaste-sasl.so")):
            os.environ.setdefault("POSTHASTE_MODULES", folder)
        return library
    found_none = "libposthaste cannot be loaded (" + "; ".join(tried) + "). "
    if os.environ.get("POSTHASTE_LIBRARY"):
        raise ImportError(found_none + "POSTHASTE_LIBRARY says that it is there: set it to the "
                          "library's file, or leave it out if the library is installed")
    raise ImportError(found_none + "Install it (make install), or set POSTHASTE_LIBRARY to its "
                      "file, such as /usr/local/lib/" + SONAME)


lib = _load()


# ---- structs -------------------------------------------------------------------------------------

class _Sized(ctypes.Structure):
    """A struct that says its own size first, so that the library knows how much of it there is."""

    def __init__(self, **fields: Any) -> None:
        super().__init__(**fields)
        self.size = ctypes.sizeof(self)


class ph_error(_Sized):
    _fields_ = [
        ("size", c_size_t),
        ("code", c_int),
        ("stage", c_int),
        ("cause", c_int),
        ("reply", c_uint16),
        ("enhanced", c_uint16 * 3),
        ("sys", c_int),
        ("text", c_char * 512),
        ("hint", c_char * 320),
    ]


class ph_reply(ctypes.Structure):
    _fields_ = [
        ("code", c_uint16),
        ("enhanced", c_uint16 * 3),
        ("text", c_void_p),  # may hold a NUL: ctypes.string_at(text, len)
        ("len", c_size_t),
    ]


class ph_recipient_outcome(ctypes.Structure):
    _fields_ = [
        ("address", c_char_p),
        ("outcome", c_int),
        ("code", c_int),
        ("stage", c_int),
        ("cause", c_int),
        ("reply", ph_reply),
        ("session", c_uint),
    ]


class ph_credentials(_Sized):
    _fields_ = [
        ("size", c_size_t),
        ("user", c_char_p),
        ("password", c_char_p),
        ("authzid", c_char_p),
        ("token", c_char_p),
        ("mechanisms", c_char_p),
    ]


mechanism_step = CFUNCTYPE(c_int, c_void_p, c_void_p, c_size_t, POINTER(c_void_p),
                           POINTER(c_size_t), POINTER(ph_error))


class ph_mechanism(_Sized):
    _fields_ = [
        ("size", c_size_t),
        ("name", c_char_p),
        ("step", mechanism_step),
        ("user", c_void_p),
    ]


class ph_tlsa(ctypes.Structure):
    _fields_ = [
        ("usage", c_ubyte),
        ("selector", c_ubyte),
        ("matching", c_ubyte),
        ("data", c_void_p),
        ("len", c_size_t),
    ]


class ph_tls_opts(_Sized):
    _fields_ = [
        ("size", c_size_t),
        ("mode", c_int),
        ("min_version", c_int),
        ("insecure", c_bool),
        ("record_only", c_bool),
        ("no_resume", c_bool),
        ("alpn", c_char_p),
        ("server_name", c_char_p),
        ("ca_file", c_char_p),
        ("ca_dir", c_char_p),
        ("cert_file", c_char_p),
        ("key_file", c_char_p),
        ("pins", POINTER(c_char_p)),
        ("pin_count", c_size_t),
        ("tlsa", POINTER(ph_tlsa)),
        ("tlsa_count", c_size_t),
        ("names", POINTER(c_char_p)),
        ("name_count", c_size_t),
    ]


class ph_tls_facts(_Sized):
    _fields_ = [
        ("size", c_size_t),
        ("verified", c_bool),
        ("resumed", c_bool),
        ("version", c_char * 16),
        ("cipher", c_char * 64),
        ("peer_name", c_char * 256),
        ("problem", c_char * 512),
        ("exporter", c_ubyte * 32),
        ("exporter_len", c_size_t),
        ("unique", c_ubyte * 64),
        ("unique_len", c_size_t),
        ("alpn", c_char * 64),
        ("group", c_char * 32),
        ("waived", c_bool),
        ("problem_cause", c_int),
    ]


class ph_certificate(_Sized):
    _fields_ = [
        ("size", c_size_t),
        ("der", c_void_p),
        ("der_len", c_size_t),
        ("subject", c_char * 512),
        ("issuer", c_char * 512),
        ("serial", c_char * 64),
        ("not_before", c_int64),
        ("not_after", c_int64),
        ("names", POINTER(c_char_p)),
        ("name_count", c_size_t),
        ("key", c_char * 64),
        ("signature", c_char * 64),
        ("sha256", c_char * 65),
        ("spki_sha256", c_char * 65),
        ("self_issued", c_bool),
    ]


class iovec(ctypes.Structure):
    _fields_ = [("iov_base", c_void_p), ("iov_len", c_size_t)]


transport_read = CFUNCTYPE(c_int, c_void_p, c_void_p, c_size_t, POINTER(c_size_t),
                           POINTER(ph_error))
transport_write = CFUNCTYPE(c_int, c_void_p, POINTER(iovec), c_size_t, POINTER(c_size_t),
                            POINTER(ph_error))
transport_wait = CFUNCTYPE(c_int, c_void_p, c_bool, c_int, POINTER(ph_error))
transport_start_tls = CFUNCTYPE(c_int, c_void_p, POINTER(ph_tls_facts), POINTER(ph_error))


class ph_transport(_Sized):
    _fields_ = [
        ("size", c_size_t),
        ("user", c_void_p),
        ("read", transport_read),
        ("write", transport_write),
        ("wait", transport_wait),
        ("start_tls", transport_start_tls),
    ]


class ph_trace(ctypes.Structure):
    _fields_ = [
        ("size", c_size_t),
        ("direction", c_char),
        ("tls", c_bool),
        ("refused", c_bool),
        ("since_us", c_uint64),
        ("text", c_void_p),  # ctypes.string_at(text, len)
        ("len", c_size_t),
    ]


transcript_line = CFUNCTYPE(None, c_void_p, POINTER(ph_trace))
is_interrupted = CFUNCTYPE(c_bool, c_void_p)


class ph_direct_opts(_Sized):
    _fields_ = [
        ("size", c_size_t),
        ("mx_port", c_uint16),
        ("dane", c_int),
        ("no_mta_sts", c_bool),
        ("dns", c_char_p),
        ("trust_anchor", c_char_p),
        ("mta_sts_cache", c_char_p),
        ("own_names", POINTER(c_char_p)),
        ("own_name_count", c_size_t),
        ("addresses", c_uint),
    ]


class ph_client_opts(_Sized):
    _fields_ = [
        ("size", c_size_t),
        ("server", c_char_p),
        ("direct", POINTER(ph_direct_opts)),
        ("connect", c_char_p),
        ("tls", POINTER(ph_tls_opts)),
        ("credentials", POINTER(ph_credentials)),
        ("allow_clear_auth", c_bool),
        ("helo", c_char_p),
        ("source_ip", c_char_p),
        ("proxy", c_char_p),
        ("proxy_password", c_char_p),
        ("proxy_header", c_char_p),
        ("family", c_int),
        ("timeout_ms", c_uint64),
        ("connect_timeout_ms", c_uint64),
        ("window", c_uint),
        ("no_pipelining", c_bool),
        ("no_chunking", c_bool),
        ("lenient", c_bool),
        ("transcript", transcript_line),
        ("transcript_user", c_void_p),
        ("show_secrets", c_bool),
        ("interrupted", is_interrupted),
        ("interrupted_user", c_void_p),
        ("memory", c_void_p),
    ]


class ph_envelope(_Sized):
    _fields_ = [
        ("size", c_size_t),
        ("from_", c_char_p),  # `from` in C
        ("recipients", POINTER(c_char_p)),
        ("recipient_count", c_size_t),
        ("line_ends", c_int),
        ("no_dup", c_bool),
        ("mail_parameters", POINTER(c_char_p)),
        ("rcpt_parameters", POINTER(c_char_p)),
        ("notify", c_uint),
        ("dsn_return", c_int),
        ("envid", c_char_p),
        ("recipient_notify", POINTER(c_uint)),
        ("original_recipients", POINTER(c_char_p)),
        ("auth", c_char_p),
        ("require_tls", c_bool),
        ("by_mode", c_int),
        ("by_trace", c_bool),
        ("by_seconds", c_int32),
        ("hold_for", c_uint64),
        ("hold_until", c_int64),
        ("priority", c_int),
    ]


source_read = CFUNCTYPE(c_int, c_void_p, c_void_p, c_size_t, POINTER(c_size_t), POINTER(ph_error))
source_rewind = CFUNCTYPE(c_int, c_void_p)


class ph_source_callbacks(_Sized):
    _fields_ = [
        ("size", c_size_t),
        ("read", source_read),
        ("rewind", source_rewind),
        ("user", c_void_p),
    ]


# ---- functions -----------------------------------------------------------------------------------

_client = c_void_p
_record = c_void_p
_source = c_void_p
_addresses = c_void_p
_error = POINTER(ph_error)
_reply = POINTER(POINTER(ph_reply))
_text = c_char_p

# Those that return at once keep Python's lock: to let another thread have it costs more than they
# do.
_QUICK = frozenset((
    "ph_client_submit", "ph_client_pending", "ph_client_has_extn", "ph_client_extension",
    "ph_client_is_esmtp", "ph_client_set_timeout", "ph_client_set_transcript",
    "ph_client_is_connected", "ph_client_fd", "ph_client_tls_facts", "ph_client_helo_name",
    "ph_record_recipient_count", "ph_record_recipient", "ph_record_free_json",
    "ph_source_new_memory", "ph_source_free", "ph_addresses_parse", "ph_addresses_count",
    "ph_addresses_get", "ph_addresses_free", "free"))

# name: (result, arguments)
_PROTOTYPES: Dict[str, Any] = {
    "ph_version": (_text, []),
    "ph_code_name": (_text, [c_int]),
    "ph_stage_name": (_text, [c_int]),
    "ph_cause_name": (_text, [c_int]),
    "ph_outcome_name": (_text, [c_int]),

    "ph_client_new": (c_int, [POINTER(_client), POINTER(ph_client_opts), _error]),
    "ph_client_free": (None, [_client]),
    "ph_client_sendmail": (c_int, [_client, POINTER(ph_envelope), _source, POINTER(_record),
                                   _error]),
    "ph_client_send_message": (c_int, [_client, _source, POINTER(ph_envelope), POINTER(_record),
                                       _error]),
    "ph_client_submit": (c_int, [_client, POINTER(ph_envelope), _source, c_void_p, _error]),
    "ph_client_next": (c_int, [_client, POINTER(_record), POINTER(c_void_p), _error]),
    "ph_client_cancel": (None, [_client]),
    "ph_client_attach_socket": (c_int, [_client, c_int, c_bool, _reply, _error]),
    "ph_client_attach_transport": (c_int, [_client, POINTER(ph_transport), POINTER(ph_tls_facts),
                                           _reply, _error]),
    "ph_client_lend_tls": (c_int, [_client, POINTER(ph_transport), _error]),
    "ph_client_extension": (c_bool, [_client, c_size_t, POINTER(_text), POINTER(_text)]),
    "ph_client_login": (c_int, [_client, POINTER(ph_credentials), _reply, _error]),
    "ph_client_auth": (c_int, [_client, POINTER(ph_mechanism), _reply, _error]),
    "ph_client_putcmd": (c_int, [_client, _text, _text, _error]),
    "ph_client_getreply": (c_int, [_client, _reply, _error]),
    "ph_client_send": (c_int, [_client, c_void_p, c_size_t, _error]),
    "ph_client_leave": (None, [_client]),
    "ph_client_set_timeout": (None, [_client, c_uint64]),
    "ph_client_set_transcript": (None, [_client, transcript_line, c_void_p]),
    "ph_client_is_connected": (c_bool, [_client]),
    "ph_client_tls_facts": (POINTER(ph_tls_facts), [_client]),
    "ph_client_certificate": (c_bool, [_client, c_size_t, POINTER(ph_certificate)]),
    "ph_client_helo_name": (_text, [_client]),

    "ph_record_recipient_count": (c_size_t, [_record]),
    "ph_record_recipient": (POINTER(ph_recipient_outcome), [_record, c_size_t]),
    "ph_record_json": (c_void_p, [_record]),
    "ph_record_free_json": (None, [_record, c_void_p]),

    "ph_source_new_memory": (c_int, [POINTER(_source), c_void_p, c_size_t, c_void_p]),
    "ph_source_new_file": (c_int, [POINTER(_source), c_int, c_uint64, c_uint64, c_void_p, _error]),
    "ph_source_new_pipe": (c_int, [POINTER(_source), c_int, c_void_p]),
    "ph_source_new_callbacks": (c_int, [POINTER(_source), POINTER(ph_source_callbacks), c_void_p]),
    "ph_source_free": (None, [_source]),

    "free": (None, [c_void_p]),  # the C library's, for what is the caller's to free

    "ph_addresses_parse": (c_int, [POINTER(_addresses), _text, c_void_p, _error]),
    "ph_addresses_from_header": (c_int, [POINTER(_addresses), c_void_p, c_size_t, c_void_p,
                                         _error]),
    "ph_addresses_sender_from_header": (c_int, [POINTER(_addresses), c_void_p, c_size_t, c_void_p,
                                                _error]),
    "ph_header_without_bcc": (c_int, [POINTER(c_void_p), POINTER(c_size_t), POINTER(c_size_t),
                                      c_void_p, c_size_t, c_void_p, _error]),
    "ph_addresses_count": (c_size_t, [_addresses]),
    "ph_addresses_get": (_text, [_addresses, c_size_t]),
    "ph_addresses_free": (None, [_addresses]),
}


def _declare() -> None:
    missing = []
    quick = ctypes.PyDLL(lib._name, handle=lib._handle)
    for name, (result, arguments) in _PROTOTYPES.items():
        try:
            function = getattr(quick if name in _QUICK else lib, name)
        except AttributeError:
            missing.append(name)
            continue
        function.restype = result
        function.argtypes = arguments
        setattr(lib, name, function)
    if "ph_version" in missing:
        raise ImportError(f"{lib._name} is not libposthaste. Set POSTHASTE_LIBRARY to the file of "
                          f"{SONAME}, or leave it out if the library is installed")
    if missing:
        raise ImportError(f"{lib._name} is of another release ({lib.ph_version().decode()}) than "
                          f"this package: it has no {', '.join(missing[:3])}. Install both together")


_declare()


# ---- names of values -----------------------------------------------------------------------------

def _values(name_of: Callable[[int], bytes], step: int = 1) -> Dict[str, int]:
    """The names that the library has for 0, 1, 2 … (or 0, -1, -2 …), and what they stand for."""
    values: Dict[str, int] = {}
    value = 0
    while (name := name_of(value).decode()) != "unknown":
        values[name] = value
        value += step
    return values


CODES = _values(lib.ph_code_name, -1)  # "ok": 0, "usage": -1, …
STAGES = _values(lib.ph_stage_name)
CAUSES = _values(lib.ph_cause_name)
OUTCOMES = _values(lib.ph_outcome_name)
CODE_NAMES = {value: name for name, value in CODES.items()}
STAGE_NAMES = {value: name for name, value in STAGES.items()}
CAUSE_NAMES = {value: name for name, value in CAUSES.items()}
OUTCOME_NAMES = {value: name for name, value in OUTCOMES.items()}

# enum ph_io
IO_OK, IO_AGAIN, IO_EOF, IO_ERROR = range(4)
# enum ph_tls_mode
(TLS_DEFAULT, TLS_STARTTLS, TLS_IMPLICIT, TLS_OPPORTUNISTIC, TLS_OFF, TLS_BY_HAND) = range(6)
# enum ph_line_ends
LINE_ENDS_NORMALISE, LINE_ENDS_STRICT, LINE_ENDS_BINARY = range(3)
