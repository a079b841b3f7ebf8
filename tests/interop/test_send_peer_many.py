# SPDX-License-Identifier: MIT
"""Several messages on one connection, and a server that misbehaves at one of them: who hears what of
his message, and how often the server took it.

Of the message at which it happens the outcome is known (DESIGN.md, section 4, the rules of
test_send_peer_table.py). Of the others these things hold, however they were cut into flights:

1. accepted: the server took it for exactly that recipient, once.
2. refused or deferred: the server did not take it.
3. in doubt: its octets had gone; the server took it once at most, and it was not sent again.
4. No message is taken twice, but for one thing: behind a RSET not answered 2yz an acceptance does not
   count, and the message is sent again; not if it is marked no_dup.
5. Messages before it keep their outcome. Those that had not gone are sent on a new connection, and so
   is, once, one whose MAIL found the connection closed: the server may have been tired of waiting.
"""
import json
import os
import subprocess
import threading
import time

from harness import PATIENCE, cell, equal
from peer import HANG, Closed, Peer, Said
from test_send_peer_table import MARGIN, SMALL, WAIT, closing, reset

COUNT = 12
WAYS = {"chunked": ("PIPELINING", "CHUNKING"), "chunked lock-step": ("CHUNKING",),
        "pipelined": ("PIPELINING",), "lock-step": ()}
NORMAL = {"MAIL": "250 2.1.0 Ok", "RCPT": "250 2.1.5 Ok", "DATA": "354 go", "RSET": "250 2.0.0 Ok",
          "BODY": "250 2.0.0 Ok"}
EVILS = {
    "4yz": ("451 4.3.0 later", "deferred"), "5yz": ("554 5.7.1 never", "refused"),
    "421": (closing, "deferred"),
    "drop": (lambda *_: drop(), None), "reset": (reset, None), "stall": (HANG, None),
    "words": ("what?", None), "354": ("354 go ahead", None),
    "two codes": (Said("599", b"250-one\r\n550 two\r\n"), None),
    "line too long": (Said("599", b"250 " + b"x" * 12300 + b"\r\n"), None),
    "octet by octet": (None, "accepted"),
}


def drop():
    raise Closed


class Server:
    """What the peer took, and the misbehaviour: at the n-th `verb` of all, once."""

    def __init__(self, verb, number, evil, at_a_time=None):
        self.verb, self.number, self.evil = verb, number, evil
        self.at_a_time = at_a_time      # recipients that a transaction may have
        self.lock = threading.Lock()
        self.seen, self.taken, self.victim = 0, [], None
        self.replies = {x: self.act(x) for x in NORMAL}

    def act(self, verb):
        def step(connection, line):
            if verb in ("MAIL", "RSET"):
                connection.envelope = []
            reply = self.reply(verb, connection, line)
            if callable(reply):
                reply = reply(connection, line)
            if reply is HANG:
                connection.hang()
            if not isinstance(reply, str) or not reply.startswith("2"):
                return reply
            if verb == "RCPT":
                connection.envelope.append(line[len("RCPT TO:<"):].split("@")[0])
            if verb == "BODY":
                text = connection.peer.bodies[-1].kept.decode()
                with self.lock:
                    self.taken += [(x, text) for x in connection.envelope]
            return reply
        return step

    def reply(self, verb, connection, line):
        right = NORMAL[verb]
        if verb == "RCPT" and not connection.mail:
            return "503 5.5.1 MAIL first"
        if verb == "RCPT" and self.at_a_time == len(connection.envelope):
            return "452 4.5.3 too many recipients"
        if verb in ("DATA", "BODY") and not connection.accepted:
            return "554 5.5.1 no valid recipients"
        with self.lock:
            self.seen += verb == self.verb
            if verb != self.verb or self.seen != self.number or self.victim is not None:
                return right
            self.victim = True
        return Said(right) if self.evil is None else self.evil


def run_many(env, url, timeout_ms=0, dup="dup", *login, count=COUNT):
    many = os.path.join(os.path.dirname(env.posthaste), "tests", "interop", "many")
    done = subprocess.run([many, url, str(count), str(timeout_ms), dup, *login], env=env.environ,
                          capture_output=True, text=True, timeout=PATIENCE)
    equal((done.returncode, done.stderr), (0, ""), "exit and standard error of many")
    return [json.loads(x) for x in done.stdout.splitlines()]


def text_of(i):
    return "Subject: message %d\r\n\r\nmessage %d\r\n" % (i, i)


def victims_outcomes(way, verb, name):
    """Of the message at which it happens."""
    named = EVILS[name][1]
    if named:
        return {named}
    if verb == "MAIL" and name in ("drop", "reset") and way != "chunked":
        return {"accepted"}
    handed_over = verb == "BODY" or way == "chunked"
    return {"in_doubt"} if handed_over else {"deferred"}


def try_many(env, way, verb, number, name, dup):
    evil, named = EVILS[name]
    server = Server(verb, number, evil)
    with Peer(server.replies, WAYS[way]) as peer:
        began = time.monotonic()
        records = run_many(env, peer.url(), WAIT * 1000 if name == "stall" else 0, dup)
        seconds = time.monotonic() - began
        peer.finish()
    equal(len(records), COUNT, "records")
    if server.victim is None:
        assert verb == "RSET", "it did not come to pass"     # no RSET was needed so often
    outcomes = [x["recipients"][0]["outcome"] for x in records]
    wrong = list(wrong_of_each(server, records, verb, name, dup))
    if verb != "RSET":
        wrong += wrong_of_victim(outcomes, way, verb, number - 1, name)
    if outcomes[-1] != "accepted" and number < 3:
        wrong.append("the last one was not sent on a new connection")
    assert not wrong, "; ".join(wrong + outcomes) + "\n" + "\n".join(peer.lines)
    most = MARGIN + (WAIT if name == "stall" else 0)
    assert seconds <= most, "it took %.1f s" % seconds


def wrong_of_each(server, records, verb, name, dup):
    for i, record in enumerate(records):
        outcome = record["recipients"][0]["outcome"]
        taken = [text for to, text in server.taken if to == "r%d" % i]
        least, most = outcome == "accepted", outcome in ("accepted", "in_doubt")
        if verb == "RSET" and name in ("4yz", "5yz", "354") and dup == "dup":
            most *= 2
        if not least <= len(taken) <= most:
            yield "message %d: %s, taken %d times" % (i, outcome, len(taken))
        if any(text != text_of(i) for text in taken):
            yield "r%d got the message of another" % i
        if outcome == "in_doubt" and record["exit"] != (74 if dup == "no-dup" else 75):
            yield "in doubt with exit status %d" % record["exit"]


def wrong_of_victim(outcomes, way, verb, victim, name):
    allowed = victims_outcomes(way, verb, name)
    if outcomes[victim] not in allowed:
        yield "message %d: %s, want %s" % (victim, outcomes[victim], " or ".join(allowed))
    if set(outcomes[:victim]) - {"accepted"}:
        yield "those before it"
    behind = {"4yz": {"accepted"}, "5yz": {"accepted"}, "octet by octet": {"accepted"},
              "421": {"accepted", "deferred"}}.get(name, {"accepted", "deferred", "in_doubt"})
    if set(outcomes[victim + 1:]) - behind:
        yield "those behind it"


for way in WAYS:
    for verb in ("MAIL", "RCPT", "DATA", "BODY", "RSET"):
        if verb == "DATA" and "chunked" in way or verb == "RSET" and way != "chunked":
            continue
        for number in (1, 2, 6) if way == "chunked" else (2,):
            for name in EVILS:
                if name == "354" and verb == "DATA":
                    continue
                for dup in ("dup", "no-dup") if way == "chunked" and number == 2 else ("dup",):
                    cell("%d messages, %s, %s of number %d: %s%s" % (
                            COUNT, way, verb, number, name, ", no_dup" if dup == "no-dup" else ""),
                         lambda env, way=way, verb=verb, number=number, name=name, dup=dup:
                         try_many(env, way, verb, number, name, dup))


# ---- one message in several rounds ---------------------------------------------------------------

ROUND = ["r%d@test.example" % i for i in range(3)]


def try_rounds(env, way, limit, verb, number, name):
    """One message to three recipients, one at a time, be it that LIMITS says so or the 452 (RFC 9422,
    RFC 5321 §4.5.3.1.10): the rules are those of three messages."""
    evil, named = EVILS[name]
    server = Server(verb, number, evil, 1)
    keywords = WAYS[way] + (("LIMITS RCPTMAX=1",) if limit else ())
    with Peer(server.replies, keywords) as peer:
        began = time.monotonic()
        result = env.send(peer.url(), *(("--timeout", str(WAIT)) if name == "stall" else ()),
                          message=SMALL, to=ROUND)
        seconds = time.monotonic() - began
        peer.finish()
    assert server.victim, "it did not come to pass"
    wrong = []
    for i, outcome in enumerate(result.recipients()):
        taken = [text for to, text in server.taken if to == "r%d" % i]
        least, most = outcome == "accepted", outcome in ("accepted", "in_doubt")
        if not least <= len(taken) <= most:
            wrong.append("r%d: %s, taken %d times" % (i, outcome, len(taken)))
        if any(text != SMALL.decode() for text in taken):
            wrong.append("r%d got other octets" % i)
    outcomes = result.recipients()
    if named == "accepted" and set(outcomes) != {"accepted"}:
        wrong.append("not accepted by all")
    others = 1 if verb == "MAIL" else 2     # a refused MAIL speaks for all that are left
    if named in ("deferred", "refused") and name != "421" and outcomes.count("accepted") != others:
        wrong.append("the other rounds did not go on, or went on without MAIL")
    if named == "refused" and "refused" not in outcomes or named is None and "refused" in outcomes:
        wrong.append("refused without a refusal, or the other way round")
    if named is None and verb == "BODY" and "in_doubt" not in outcomes:
        wrong.append("nobody in doubt")
    assert not wrong, "; ".join(wrong + outcomes) + "\n" + "\n".join(peer.lines)
    assert seconds <= MARGIN + (WAIT if name == "stall" else 0), "it took %.1f s" % seconds


for way in WAYS:
    for limit in (True, False):
        for verb, number in (("MAIL", 2), ("RCPT", 2), ("DATA", 2), ("BODY", 1), ("BODY", 2),
                             ("BODY", 3)):
            if verb == "DATA" and "chunked" in way or verb == "RCPT" and not limit:
                continue
            for name in EVILS:
                if name == "354" and verb == "DATA":
                    continue
                cell("3 rounds by %s, %s, %s of number %d: %s" % (
                        "LIMITS" if limit else "452", way, verb, number, name),
                     lambda env, way=way, limit=limit, verb=verb, number=number, name=name:
                     try_rounds(env, way, limit, verb, number, name))
