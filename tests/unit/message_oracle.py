#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Lets Python's email parser read what posthaste writes: subjects, names, addresses and texts must come
back as they went in. Usage: message_oracle.py LIBPOSTHASTE.so [ROUNDS]"""
import ctypes
import email
import email.header
import email.policy
import email.utils
import random
import re
import sys

lib = ctypes.CDLL(sys.argv[1])
P, S, N = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t
lib.ph_message_new.argtypes = [ctypes.POINTER(P), P]
for name in ("set_from", "add_to", "add_cc", "set_subject"):
    getattr(lib, "ph_message_" + name).argtypes = [P, S, P]
lib.ph_message_set_text.argtypes = [P, S, N, P]
lib.ph_message_set_date.argtypes = [P, ctypes.c_int64, ctypes.c_int]
lib.ph_message_set_date.restype = None
lib.ph_message_set_id_seed.argtypes = [P, S, N, P]
lib.ph_message_write.argtypes = [P, ctypes.POINTER(P), ctypes.POINTER(N), P]
for name in ("free", "free_text"):
    getattr(lib, "ph_message_" + name).argtypes = [P] if name == "free" else [P, P]
    getattr(lib, "ph_message_" + name).restype = None

WORDS = ["a", "mail", "of", "Müller", "é", "你好", "😀", "naïve", "x" * 60, "你" * 40, "=?", "?=", "=?utf-8?q?x?=",
         "a_b", "50%", "=", "(c)", "@", "<b>", "it's", "end.", "A, B", "été", "😀😀😀"]


def good(rc):
    if rc != 0:
        raise SystemExit(f"unexpected code {rc}")


def write(sender, to, cc, subject, text, when):
    m, out, n = P(), P(), N()
    good(lib.ph_message_new(ctypes.byref(m), None))
    lib.ph_message_set_date(m, when, 60)
    good(lib.ph_message_set_id_seed(m, b"0123456789abcdef", 16, None))
    good(lib.ph_message_set_from(m, sender.encode(), None))
    for one in to:
        good(lib.ph_message_add_to(m, one.encode(), None))
    for one in cc:
        good(lib.ph_message_add_cc(m, one.encode(), None))
    good(lib.ph_message_set_subject(m, subject.encode(), None))
    raw = text.encode()
    good(lib.ph_message_set_text(m, raw, len(raw), None))
    good(lib.ph_message_write(m, ctypes.byref(out), ctypes.byref(n), None))
    message = ctypes.string_at(out, n.value)
    lib.ph_message_free_text(m, out)
    lib.ph_message_free(m)
    return message


def mailbox(rnd, i):
    name = " ".join(rnd.choices(WORDS, k=rnd.randrange(5)))
    quoted = name.replace("\\", "\\\\").replace('"', '\\"')
    address = f"user{i}@{rnd.choice(['example.org', 'mail.example.com', 'bücher.example'])}"
    ascii_address = address.replace("bücher", "xn--bcher-kva")
    return (f'"{quoted}" <{address}>' if name else address), (name, ascii_address)


def addresses(raw, field):
    """By the older parser; the newer one keeps the space between two encoded-words of a name."""
    value = email.message_from_bytes(raw)[field]
    pairs = email.utils.getaddresses([re.sub(r"\r?\n", "", value)]) if value else []
    return [(str(email.header.make_header(email.header.decode_header(name))), address) for name, address in pairs
            if address]  # an empty group gives one


def check(rnd, number):
    sender, sender_want = mailbox(rnd, 0)
    to = [mailbox(rnd, i) for i in range(1, rnd.randrange(1, 6))]
    cc = [mailbox(rnd, i) for i in range(6, rnd.randrange(6, 9))]
    subject = " ".join(rnd.choices(WORDS, k=rnd.randrange(14)))
    text = "".join(rnd.choice(WORDS + [" ", "\n", "\r\n", "\t", " \n", "\n.\n"]) for _ in range(rnd.randrange(200)))
    when = rnd.randrange(0, 4 * 10**9)
    raw = write(sender, [t[0] for t in to], [c[0] for c in cc], subject, text, when)
    m = email.message_from_bytes(raw, policy=email.policy.default)
    lines = raw.split(b"\r\n")
    want_text = re.sub(r"\r\n|\r", "\n", text)
    if want_text and not want_text.endswith("\n"):
        want_text += "\n"
    got = {
        "7-bit": raw.isascii(), "line ends": b"\r" not in b"".join(lines) and b"\n" not in b"".join(lines),
        "columns": max(map(len, lines)) <= 998, "defects": list(m.defects), "subject": str(m["Subject"] or ""),
        "from": addresses(raw, "From"), "to": addresses(raw, "To"), "cc": addresses(raw, "Cc"),
        "text": m.get_content().replace("\r\n", "\n"), "date": int(m["Date"].datetime.timestamp()),
    }
    want = {
        "7-bit": True, "line ends": True, "columns": True, "defects": [], "subject": subject,
        "from": [sender_want], "to": [t[1] for t in to], "cc": [c[1] for c in cc],
        "text": want_text, "date": when,
    }
    for key in want:
        if got[key] != want[key]:
            raise SystemExit(f"round {number}: {key}\nwant {want[key]!r}\ngot  {got[key]!r}\n{raw.decode()[:2000]}")


rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 500
for i in range(rounds):
    check(random.Random(i), i)
print(f"{rounds} messages read back")
