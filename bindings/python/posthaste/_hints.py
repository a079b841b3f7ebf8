# SPDX-License-Identifier: MIT
"""What to do, in Python's words.

The library's hints name the options of the command. Here they become what a Python program writes:
arguments of posthaste.send(), or calls of smtplib's. A clause about what the interface does not have
is left out.
"""

from __future__ import annotations

import re
from typing import Any, Callable, Dict, List, Tuple, Union

_Words = List[Tuple[str, Union[str, Callable[["re.Match[str]"], str]]]]

_RENAMED = {"auth": "mechanisms", "from": "sender", "oauth-token-file": "token", "pin": "pins",
            "password-file": "password", "password-fd": "password", "password-command": "password",
            "proxy-password-file": "proxy_password", "requiretls": "require_tls"}
_SWITCHES = ("allow-clear-auth", "direct", "insecure", "requiretls")


def _argument(option: "re.Match[str]") -> str:
    name, value = option["name"], option["value"]
    argument = _RENAMED.get(name, name.replace("-", "_"))
    if name in _SWITCHES:
        return f"{argument}=True"
    if value is not None and value.isdigit():
        return f"{argument}={value}"
    return f"{argument}=" if value is None or value in ("FILE", "NAME", "URL") else \
        f'{argument}="{value}"'


# A value stands behind "=", or is a word that does not look like one of the sentence.
_OPTION = (r"--(?P<name>[a-z-]+)(?:(?:=|\s(?=\S*[A-Z./:_]\S|api\b|apikey|resend|recursive|[46]\b))"
           r"(?P<value>[^\s;,()]*[^\s;,.()]))?")

_SEND: _Words = [
    (r"; --direct --dry-run shows [^;]*|: --dry-run says [^;]*", ""),
    (r"--user says who logs in; .*", "user= says who logs in, password= or token= with what"),
    (r"the file of --proxy-password-file", "proxy_password="),
    (r"--auth XOAUTH2 --oauth-token-file FILE", 'mechanisms="XOAUTH2" and token='),
    (r"--key FILE", "and key="),
    (r"in and key=", "in key="),
    (_OPTION, _argument),
]

_SMTPLIB: _Words = [
    (r" \(--server smtp://localhost\)", ""),
    (r"--server submission://HOST with --user", "port 587 with starttls() and login()"),
    (r", or --allow-clear-auth[^;]*", ""),
    (r"--tls=starttls or --tls=implicit", "starttls() or SMTP_SSL"),
    (r"--tls=starttls, or a smtp:// or submission:// URL", "SMTP and starttls()"),
    (r"--tls=implicit, or an smtps:// URL|smtps://\S*, or --tls=implicit|smtps:// or --tls=implicit",
     "SMTP_SSL"),
    (r"submission://\S* \((port )?587\)", "port 587 with starttls()"),
    (r"\(submission://, with --user\)", "(port 587, starttls() and login())"),
    (r"smtps://\S* \((port )?465\)", "SMTP_SSL (port 465)"),
    (r"smtps://([a-z][a-z.]*)", r'SMTP_SSL("\1")'),
    (r"smtps://(HOST)?", "SMTP_SSL"),
    (r"submission://[A-Za-z0-9.-]*", "port 587 with starttls()"),
    (r"--ca-file FILE(, or --pin \S+)?", "context=ssl.create_default_context(cafile=FILE)"),
    (r"say which name it has: --tls-name NAME", "connect to it by the name that it has"),
    (r"say which name it has: --tls-name ([^\s;]+)", r"connect to it by the name that it has, \1"),
    (r"--cert FILE --key FILE", "a context with load_cert_chain(FILE, KEY)"),
    (r"--helo (\S+\.\S+[^\s,;])", r'local_hostname="\1"'),
    (r"--helo\b", "local_hostname="),
    (r"--from\b", "from_addr"),
    (r"give --user and a password", "call login()"),
    (r"log in \(--user\)", "call login()"),
    (r"--user (api\w*|resend|SMTP_\w+)", r'login("\1", …)'),
    (r"--auth XOAUTH2 --oauth-token-file FILE", 'auth("XOAUTH2", …)'),
    (r"--auth names another mechanism", 'esmtp_features["auth"] = "…" chooses another mechanism'),
    (r"--auth ([A-Z0-9-]+)", r'esmtp_features["auth"] = "\1"'),
    (r"--timeout\b", "timeout="),
]


def _said_with(words: _Words, hint: str) -> str:
    for pattern, replacement in words:
        hint = re.sub(pattern, replacement, hint)
    return "; ".join(clause for clause in hint.split("; ") if " --" not in f" {clause}")


def for_send(hint: str) -> str:
    """As arguments of posthaste.send()."""
    return _said_with(_SEND, hint)


def for_smtplib(hint: str) -> str:
    """As a program for smtplib is written."""
    return _said_with(_SMTPLIB, hint)


def in_record(words: Callable[[str], str]) -> Callable[[Dict[str, Any]], Dict[str, Any]]:
    """For json.loads() of a delivery record, as its object_hook."""
    def translate(item: Dict[str, Any]) -> Dict[str, Any]:
        if item.get("hint"):
            item["hint"] = words(item["hint"])
        return item
    return translate
