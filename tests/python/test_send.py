#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""posthaste.send(), posthaste.Client and the delivery record, against interop's scripted server.
usage: POSTHASTE_LIBRARY=… test_send.py [WORD]..."""
import atexit
import dataclasses
import datetime
import email.message
import email.mime.text
import email.policy
import gc
import inspect
import io
import os
import pathlib
import signal
import sys
import tempfile
import threading
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "..", "bindings", "python"), HERE,
                os.path.join(HERE, "..", "interop")]

import ca  # noqa: E402
import posthaste  # noqa: E402
import tap  # noqa: E402
from peer import HANG, KEYWORDS, LOST, Peer  # noqa: E402
from posthaste import Client, Outcome, Stage, UsageError  # noqa: E402

EIGHT_BIT = KEYWORDS + ("SMTPUTF8", "DSN", "CHUNKING")
TEXT = b"Subject: x\r\n\r\nA line.\r\n"
WHOM = {"sender": "ann@example.org", "recipients": ["bob@example.net", "cid@example.net"]}


def letter():
    message = email.message.EmailMessage()
    message["From"] = "Ann Lee <ann@example.org>"
    message["To"] = "Bob <bob@example.net>"
    message["Bcc"] = "eve@example.net"
    message["Subject"] = "A letter"
    message.set_content("From here\n.dot\n")
    return message


def sent(message, peer, **more):
    return posthaste.send(message, **{"server": peer.url(), "timeout": 10, **WHOM, **more})


class Messages(unittest.TestCase):
    def test_a_message_goes_to_whom_its_header_names_and_without_bcc(self):
        with Peer() as peer:
            record = posthaste.send(letter(), server=peer.url())
        self.assertTrue(record.accepted)
        self.assertEqual([x for x in peer.lines if x[:4] in ("MAIL", "RCPT")][1:],
                         ["RCPT TO:<bob@example.net>", "RCPT TO:<eve@example.net>"])
        self.assertEqual(record.sender, "ann@example.org")
        self.assertNotIn(b"Bcc", peer.bodies[0].kept)

    def test_lines_that_begin_with_From_and_a_dot_stay_as_they_are(self):
        old = email.mime.text.MIMEText("From here\n.dot\n")
        for message in (letter(), old):
            with Peer() as peer:
                self.assertTrue(sent(message, peer).accepted)
            self.assertTrue(peer.bodies[0].kept.endswith(b"\r\n\r\nFrom here\r\n..dot\r\n"))

    def test_the_message_of_the_caller_is_not_changed(self):
        message = letter()
        before = message.as_bytes()
        with Peer() as peer:
            posthaste.send(message, server=peer.url())
        self.assertEqual(message.as_bytes(), before)

    def test_text_octets_paths_and_files_are_messages(self):
        with tempfile.NamedTemporaryFile() as file:
            file.write(TEXT)
            file.flush()
            pipe, end = os.pipe()
            os.write(end, TEXT)
            os.close(end)
            with os.fdopen(pipe, "rb") as reading, open(file.name, "rb", buffering=0) as raw:
                for message in (TEXT.decode(), TEXT, bytearray(TEXT), memoryview(TEXT),
                                pathlib.Path(file.name), io.BytesIO(TEXT), reading, raw):
                    with self.subTest(type(message)), Peer() as peer:
                        self.assertTrue(sent(message, peer).accepted)
                        self.assertEqual(peer.bodies[0].kept, TEXT)

    def test_a_fifo_is_a_path_too(self):
        with tempfile.TemporaryDirectory() as folder, Peer() as peer:
            path = pathlib.Path(folder, "fifo")
            os.mkfifo(path)
            writer = threading.Thread(target=path.write_bytes, args=(TEXT,))
            writer.start()
            self.assertTrue(sent(path, peer).accepted)
            writer.join()
            self.assertEqual(peer.bodies[0].kept, TEXT)

    def test_a_file_is_read_from_where_it_stands_and_again_from_there(self):
        file = io.BytesIO(b"not this" + TEXT)
        file.seek(8)
        replies = {"RCPT": [None, "452 4.5.3 too many"]}
        with Peer(replies) as peer:
            record = sent(file, peer)
        self.assertTrue(record.accepted)
        self.assertEqual([x.kept for x in peer.bodies], [TEXT, TEXT])

    def test_a_file_that_fails_gives_up_and_its_error_is_raised_with_the_record(self):
        class Bad(io.RawIOBase):
            def readable(self):
                return True

            def readinto(self, buffer):
                raise OSError(5, "the disk is on fire")
        with Peer() as peer, self.assertRaisesRegex(OSError, "on fire"):
            sent(Bad(), peer)

    def test_a_file_that_fails_midway_leaves_a_record(self):
        pieces = [b"Subject: x\r\n\r\n" + b"x" * 70 + b"\r\n"] * 2000 + [ZeroDivisionError()]

        class Bad:
            def read(self, size):
                piece = pieces.pop(0)
                if isinstance(piece, Exception):
                    raise piece
                return piece
        with Peer() as peer, self.assertRaises(ZeroDivisionError) as raised:
            sent(Bad(), peer)
        record = raised.exception.__cause__.record
        self.assertEqual(record.outcome, Outcome.DEFERRED)
        self.assertEqual(peer.bodies, [])

    def test_a_file_open_as_text_is_a_TypeError(self):
        with Peer() as peer, self.assertRaisesRegex(TypeError, "binary"):
            sent(io.StringIO("Subject: x\n\n"), peer)

    def test_what_is_no_message_is_a_TypeError(self):
        for wrong in (None, 7, ["Subject: x"], object()):
            with self.assertRaises(TypeError):
                posthaste.send(wrong, server="smtp://127.0.0.1:1", **WHOM)

    def test_a_path_that_is_not_there_is_FileNotFoundError(self):
        with self.assertRaises(FileNotFoundError):
            posthaste.send(pathlib.Path("/nonexistent"), server="smtp://127.0.0.1:1", **WHOM)

    def test_an_address_that_is_not_ascii_stays_one(self):
        for policy in (email.policy.default, email.policy.SMTP):
            message = email.message.EmailMessage(policy)
            message["From"] = "ann@example.org"
            message["To"] = "Jürgen <jürgen@example.net>"
            message.set_content("x\n")
            with Peer(keywords=EIGHT_BIT) as peer:
                self.assertTrue(posthaste.send(message, server=peer.url()).accepted)
            self.assertIn("RCPT TO:<jürgen@example.net>", peer.lines)
            self.assertIn("SMTPUTF8", next(x for x in peer.lines if x.startswith("MAIL")))
            self.assertIn("jürgen@example.net".encode(), peer.bodies[0].kept)

    def test_a_name_that_is_not_ascii_needs_no_SMTPUTF8(self):
        message = email.mime.text.MIMEText("x\n")
        message["From"] = "ann@example.org"
        message["To"] = "Jürgen <j@example.net>"
        with Peer(keywords=EIGHT_BIT) as peer:
            self.assertTrue(posthaste.send(message, server=peer.url()).accepted)
        self.assertNotIn("SMTPUTF8", next(x for x in peer.lines if x.startswith("MAIL")))
        self.assertTrue(peer.bodies[0].kept.isascii())


class Options(unittest.TestCase):
    def test_what_cannot_be_sent_is_a_UsageError_that_says_why_and_is_a_ValueError(self):
        wrong = {
            "control character": {"sender": "ann@example.org\nRCPT TO:<eve@example.net>"},
            "no recipient": {"recipients": []},
            "address": {"recipients": "bob and cid"},
            "sender": {"sender": None},
            "more than one": {"sender": "ann@example.org, bob@example.net"},
            "scheme": {"server": "http://localhost"},
            "none of starttls": {"tls": "startls"},
            "none of 1.2": {"tls_min": "1.1"},
            "none of never": {"notify": ["always"]},
            "none of normalise": {"line_ends": "crlf"},
            "none of full": {"ret": "headers"},
            "timeout": {"timeout": 0},
            "NUL": {"password": "pass\0word"},
            "user has a NUL": {"user": "ann\0"},
            "ca_file has a NUL": {"ca_file": "ca.pem\0"},
            "cannot read the CA file": {"ca_file": "/nonexistent"},
            "priority": {"priority": 2 ** 32 + 1},
            "deliver_by": {"deliver_by": 2 ** 32 + 60},
            "hold_for": {"hold_for": -(2 ** 64) + 60},
            "ip is": {"ip": 2 ** 32 + 4},
        }
        with Peer() as peer:
            for words, arguments in wrong.items():
                with self.subTest(words), self.assertRaisesRegex(ValueError, words) as raised:
                    sent(TEXT, peer, **arguments)
                self.assertIs(type(raised.exception), UsageError)
                self.assertTrue(raised.exception.error.text)
            self.assertEqual(peer.connections, 0)

    def test_an_unknown_argument_is_a_TypeError(self):
        with self.assertRaises(TypeError):
            posthaste.send(TEXT, server="smtp://127.0.0.1:1", starttls=True)

    def test_recipients_are_written_as_people_write_them(self):
        with Peer() as peer:
            record = sent(TEXT, peer, sender="<>",
                          recipients="Bob <bob@example.net>, cid@example.net")
        self.assertEqual([x.address for x in record.recipients], WHOM["recipients"])
        self.assertEqual(record.sender, "")
        self.assertIn("MAIL FROM:<> SIZE=23", peer.lines)

    def test_reports_are_asked_for(self):
        with Peer(keywords=EIGHT_BIT) as peer:
            sent(TEXT, peer, notify="success,failure", ret="hdrs", envid="QQ 1")
        self.assertTrue([x for x in peer.lines if "NOTIFY=SUCCESS,FAILURE" in x])
        self.assertTrue([x for x in peer.lines if "RET=HDRS ENVID=QQ+201" in x])

    def test_what_the_server_is_asked_to_do_later_and_how_urgently(self):
        until = datetime.datetime(2030, 1, 2, 3, 4, 5, tzinfo=datetime.timezone.utc)
        keywords = KEYWORDS + ("FUTURERELEASE 999999999 2036-01-01T00:00:00Z", "DELIVERBY",
                               "MT-PRIORITY")
        for arguments, word in (({"hold_until": until}, "HOLDUNTIL=2030-01-02T03:04:05Z"),
                                ({"hold_for": 60}, "HOLDFOR=60"),
                                ({"deliver_by": 60}, "BY=60;R"),
                                ({"deliver_by": 60, "by_mode": "notify", "by_trace": True},
                                 "BY=60;NT"),
                                ({"priority": -3}, "MT-PRIORITY=-3")):
            with self.subTest(word), Peer(keywords=keywords) as peer:
                self.assertTrue(sent(TEXT, peer, **arguments).accepted)
                self.assertIn(word, next(x for x in peer.lines if x.startswith("MAIL")).split())

    def test_a_password_may_come_from_a_function_and_is_in_no_transcript(self):
        lines = []
        with Peer(keywords=KEYWORDS + ("AUTH PLAIN",)) as peer:
            record = sent(TEXT, peer, tls="off", user="ann", password=lambda: "pencil",
                          transcript=lambda line: lines.append(str(line)))
        self.assertEqual(record.sessions[0].mechanism, "PLAIN")
        self.assertIn("AUTH PLAIN AGFubgBwZW5jaWw=", peer.lines)
        self.assertNotIn("AGFubgBwZW5jaWw=", "\n".join(lines))
        self.assertIn(" -> MAIL FROM:<ann@example.org> SIZE=23", lines)
        self.assertIn("<-  250 2.0.0 Ok: queued as TEST1", lines)

    def test_a_transcript_is_escaped_as_text_and_raw_as_octets(self):
        lines = []
        with Peer({"MAIL": b"550 \x1b[31mred\xff\r\n"}) as peer:
            sent(TEXT, peer, transcript=lines.append)
        line = next(x for x in lines if x.octets.startswith(b"550"))
        self.assertEqual(str(line), "<** 550 \\x1B[31mred\\xFF")
        self.assertEqual(line.octets, b"550 \x1b[31mred\xff")
        self.assertEqual((line.refused, line.tls, line.direction), (True, False, "<"))
        self.assertGreater(line.seconds, 0)

    def test_send_has_the_arguments_of_the_client_and_of_its_methods(self):
        own = inspect.signature(posthaste.send).parameters
        client = inspect.signature(Client).parameters
        one, many = (inspect.signature(x).parameters for x in (Client.send, Client.submit))
        self.assertEqual(set(own), set(client) | set(one) - {"self"})
        self.assertEqual(list(one.items())[2:], list(many.items())[2:])
        for name, parameter in list(client.items())[1:] + list(one.items())[2:]:
            self.assertEqual(own[name], parameter)


class Security(unittest.TestCase):
    @classmethod
    def make(cls):
        if not hasattr(cls, "authority"):
            folder = tempfile.TemporaryDirectory()
            atexit.register(folder.cleanup)
            cls.authority = ca.Authority(os.path.join(folder.name, "ca"))
            cls.good = cls.authority.issue("good", "IP:127.0.0.1,DNS:localhost")
        return cls.good

    def test_a_certificate_is_verified_by_the_file_or_the_pin_that_is_given(self):
        good = self.make()
        for trust in ({"ca_file": self.authority.file},
                      {"ca_file": pathlib.Path(self.authority.file)},
                      {"pins": good.pin()}, {"pins": ["0" * 64, good.pin("key")]}):
            with self.subTest(trust), Peer(context=good.context(), implicit=True) as peer:
                record = sent(TEXT, peer, server=peer.url("smtps"), **trust)
                self.assertEqual(record.error, None)
                tls = record.sessions[0].tls
                self.assertEqual((tls.mode, tls.verified, tls.peer_name),
                                 ("implicit", True, "127.0.0.1"))

    def test_a_certificate_that_is_not_trusted_ends_in_security(self):
        good = self.make()
        for more in ({}, {"pins": "0" * 64},
                     {"ca_file": self.authority.file, "tls_name": "other.example"}):
            with self.subTest(more), Peer(context=good.context(), implicit=True) as peer:
                record = sent(TEXT, peer, server=peer.url("smtps"), **more)
                self.assertEqual((record.outcome, record.class_), (Outcome.DEFERRED, "security"))
                self.assertEqual(peer.lines, [])

    def test_insecure_is_recorded_as_not_verified(self):
        with Peer(context=self.make().context()) as peer:
            record = sent(TEXT, peer, tls="starttls", insecure=True)
        self.assertTrue(record.accepted)
        self.assertFalse(record.sessions[0].tls.verified)

    def test_a_password_does_not_go_out_in_clear(self):
        with Peer(keywords=KEYWORDS + ("AUTH PLAIN",)) as peer:
            record = sent(TEXT, peer, user="ann", password="pencil")
        self.assertEqual(record.class_, "security")
        self.assertNotIn("AUTH", peer.verbs())


class Records(unittest.TestCase):
    def test_each_recipient_has_an_outcome_of_his_own(self):
        with Peer({"RCPT": [None, "550 5.1.1 no such user here"]}) as peer:
            record = sent(TEXT, peer)
        bob, cid = record.recipients
        self.assertEqual(record.outcome, Outcome.PARTIAL)
        self.assertEqual((bob.outcome, bob.stage, bob.remote_id),
                         (Outcome.ACCEPTED, Stage.BODY, "TEST1"))
        self.assertEqual((cid.outcome, cid.stage, cid.code, cid.enhanced, cid.octets),
                         (Outcome.REFUSED, Stage.RCPT, 550, "5.1.1", b"5.1.1 no such user here"))
        self.assertEqual(record.exit, 69)
        with self.assertRaisesRegex(posthaste.DeliveryError, "partial: .*no such user") as raised:
            record.raise_for_outcome()
        self.assertIs(raised.exception.record, record)

    def test_an_accepted_message_raises_nothing_and_says_how_it_went(self):
        with Peer() as peer:
            record = sent(TEXT, peer)
        self.assertIs(record.raise_for_outcome(), record)
        session = record.sessions[0]
        self.assertEqual((session.host, session.address, session.port),
                         ("127.0.0.1", "127.0.0.1", peer.port))
        self.assertEqual(session.extensions["SIZE"], "1073741824")
        self.assertEqual((record.bytes, record.error, session.error, session.mechanism),
                         (len(TEXT), None, None, None))
        self.assertGreater(session.timings_ms["total"], 0)

    def test_a_lost_final_reply_is_in_doubt(self):
        with Peer({"BODY": LOST}) as peer:
            record = sent(TEXT, peer, no_dup=True)
        self.assertEqual((record.outcome, record.exit), (Outcome.IN_DOUBT, 74))
        self.assertEqual(record.error.cause, "lost")
        self.assertIn("do not send it again", record.error.hint)

    def test_nobody_there_is_deferred_and_no_exception(self):
        record = posthaste.send(TEXT, server="smtp://127.0.0.1:1", **WHOM)
        self.assertEqual((record.outcome, record.error.stage, record.error.cause),
                         (Outcome.DEFERRED, Stage.CONNECT, "unreachable"))

    def test_a_server_that_says_nothing_is_given_up_after_the_timeout(self):
        with Peer({"GREETING": HANG}) as peer:
            record = sent(TEXT, peer, timeout=0.2)
        self.assertEqual((record.outcome, record.error.cause), (Outcome.DEFERRED, "timeout"))

    def test_octets_that_are_no_text_are_kept_beside_it(self):
        with Peer({"BODY": b"550 \xff\xfe no\r\n"}) as peer:
            record = sent(TEXT, peer)
        self.assertEqual(record.recipients[0].octets, b"\xff\xfe no")
        self.assertEqual(record.recipients[0].text, "\\xFF\\xFE no")

    def test_a_record_is_what_its_json_says(self):
        with Peer({"RCPT": [None, "450 4.2.1 later"]},
                  keywords=KEYWORDS + ("SIZE 7", "X-\xff y")) as peer:
            record = sent(TEXT, peer)
        self.assertEqual(posthaste.Record.from_json(record.json), record)
        self.assertEqual(record.sessions[0].extensions["SIZE"], "1073741824")
        self.assertFalse([x for x in record.sessions[0].extensions if "_" in x])

    def test_words_and_members_of_a_newer_library_do_no_harm(self):
        with Peer() as peer:
            json = sent(TEXT, peer).json
        for old, new in (('"outcome":"accepted"', '"outcome":"postponed"'),
                         ('"stage":"body"', '"stage":"trace"'), ('"class":"ok"', '"class":"soft"'),
                         ('"tls":{', '"tls":{"alpn":"smtp",'),
                         ('{"outcome"', '{"new":1,"outcome"')):
            record = posthaste.Record.from_json(json.replace(old, new))
            self.assertEqual(record.sender, "ann@example.org")
        self.assertEqual(Stage("trace").value, "trace")
        self.assertEqual(Stage("body"), Stage.BODY)

    def test_a_record_of_a_direct_delivery_says_how_the_server_was_found(self):
        route = ('"route":{"domain":"b.example","preference":10,"dnssec":"secure","policy":"dane",'
                 '"mode":null,"policy_id":null,"problem":null,"tlsa":["3 1 1 ab"]},"extensions"')
        with Peer() as peer:
            json = sent(TEXT, peer).json
        self.assertIsNone(posthaste.Record.from_json(json).sessions[0].route)
        named = json.replace('"route":null,', "")
        found = posthaste.Record.from_json(named.replace('"extensions"', route, 1))
        self.assertEqual(found.sessions[0].route, posthaste.Route(
            domain="b.example", preference=10, dnssec="secure", policy="dane", mode=None,
            policy_id=None, problem=None, tlsa=("3 1 1 ab",)))

    def test_records_cannot_be_changed(self):
        with Peer() as peer:
            record = sent(TEXT, peer)
        for part in (record, record.recipients[0], record.sessions[0], record.sessions[0].tls):
            with self.assertRaises(dataclasses.FrozenInstanceError):
                part.error = None


class Direct(unittest.TestCase):
    """Without a server. Deliveries are tested in tests/interop."""

    def test_without_a_server_direct_is_spoken_of(self):
        with self.assertRaisesRegex(UsageError, "direct=True"):
            posthaste.send(TEXT, **WHOM)

    def test_what_speaks_of_one_server_does_not_go_with_it(self):
        for more in ({"server": "smtp://127.0.0.1"}, {"user": "ann", "password": "x"},
                     {"proxy": "socks5://127.0.0.1"}, {"connect": "127.0.0.1"},
                     {"tls": "off"}, {"tls": "implicit"}, {"mx_port": 0}, {"mx_port": 65536},
                     {"dane": "maybe"}, {"mta_sts": "on"}):
            with self.subTest(more), self.assertRaises(UsageError):
                posthaste.send(TEXT, direct=True, **WHOM, **more)

    def test_what_only_it_has_does_not_go_with_a_server(self):
        for more in ({"mx_port": 25}, {"dane": "off"}, {"mta_sts": "off"}, {"dns": "127.0.0.1"},
                     {"trust_anchor": "x"}, {"mta_sts_cache": "x"}):
            with self.subTest(more), self.assertRaisesRegex(UsageError, "direct=True"):
                posthaste.send(TEXT, server="smtp://127.0.0.1", **WHOM, **more)


class Many(unittest.TestCase):
    def test_messages_go_over_one_connection(self):
        with Peer() as peer:
            with Client(peer.url(), timeout=10) as client:
                records = [client.send(TEXT, **WHOM) for _ in range(3)]
            peer.finish()
        self.assertTrue(all(x.accepted for x in records))
        self.assertEqual(peer.connections, 1)
        self.assertEqual(peer.verbs()[-1], "QUIT")

    def test_submitted_messages_have_their_records_in_order(self):
        with Peer({"MAIL": [None, "550 5.7.1 not you"]}) as peer, Client(peer.url()) as client:
            for number in range(3):
                client.submit(b"Subject: %d\r\n\r\n" % number, **WHOM)
            self.assertEqual(client.pending, 3)
            records = []
            while client.pending:
                records.append(client.next())
        self.assertEqual([x.outcome for x in records],
                         [Outcome.ACCEPTED, Outcome.REFUSED, Outcome.ACCEPTED])
        self.assertEqual([x.kept for x in peer.bodies],
                         [b"Subject: 0\r\n\r\n", b"Subject: 2\r\n\r\n"])

    def test_a_submitted_message_goes_to_whom_its_header_names(self):
        with Peer() as peer, Client(peer.url()) as client:
            client.submit(letter())
            record = client.next()
        self.assertEqual([x.address for x in record.recipients],
                         ["bob@example.net", "eve@example.net"])
        self.assertNotIn(b"Bcc", peer.bodies[0].kept)
        self.assertTrue(peer.bodies[0].kept.endswith(b"From here\r\n..dot\r\n"))

    def test_a_submitted_message_without_a_sender_is_a_UsageError(self):
        with Client("smtp://127.0.0.1:1") as client:
            for wrong in (b"To: bob@example.net\r\n\r\n", b"From: ann@example.org\r\n\r\n"):
                with self.assertRaises(UsageError):
                    client.submit(wrong)
            self.assertEqual(client.pending, 0)

    def test_next_of_nothing_and_a_closed_client_are_UsageErrors(self):
        client = Client("smtp://127.0.0.1:1")
        with self.assertRaises(UsageError):
            client.next()
        client.close()
        client.close()
        for call in (client.next, lambda: client.send(TEXT, **WHOM)):
            with self.assertRaisesRegex(UsageError, "closed"):
                call()

    def test_records_that_nobody_took_are_told_of(self):
        with Peer() as peer, self.assertRaisesRegex(UsageError, "1 message"), \
                Client(peer.url()) as client:
            client.submit(TEXT, **WHOM)

    def test_a_client_dies_with_its_last_name(self):
        with Peer() as peer:
            client = Client(peer.url())
            client.send(TEXT, **WHOM)
            del client
            gc.collect()
            peer.finish()

    def test_a_failed_constructor_leaves_nothing_behind(self):
        with self.assertRaises(UsageError):
            Client("http://x")
        with self.assertRaisesRegex(UsageError, "no server"):
            Client()


class Interruption(unittest.TestCase):
    def test_what_a_transcript_raises_is_raised_with_the_record(self):
        def fail(line):
            raise ZeroDivisionError
        with Peer() as peer, self.assertRaises(ZeroDivisionError) as raised:
            sent(TEXT, peer, transcript=fail)
        self.assertIsInstance(raised.exception.__cause__.record, posthaste.Record)

    def interrupt(self, moment, seconds=0.3):
        """Ctrl-C while the server says nothing at `moment`."""
        def press(connection, line):
            threading.Timer(seconds, os.kill, (os.getpid(), signal.SIGINT)).start()
            connection.hang()
        with Peer({moment: press}) as peer, self.assertRaises(KeyboardInterrupt) as raised:
            sent(TEXT, peer, timeout=30)
        return raised.exception.__cause__.record

    def test_Ctrl_C_before_the_message_is_out_leaves_it_deferred(self):
        self.assertEqual(self.interrupt("MAIL").outcome, Outcome.DEFERRED)

    def test_Ctrl_C_after_the_message_is_out_leaves_it_in_doubt(self):
        record = self.interrupt("BODY")
        self.assertEqual((record.outcome, record.error.cause), (Outcome.IN_DOUBT, "cancelled"))

    def test_a_signal_that_raises_nothing_interrupts_nothing(self):
        seen = []
        before = signal.signal(signal.SIGUSR1, lambda *_: seen.append(1))
        self.addCleanup(signal.signal, signal.SIGUSR1, before)

        def press(connection, line):
            os.kill(os.getpid(), signal.SIGUSR1)
            return "250 2.1.0 Ok"
        with Peer({"MAIL": press}) as peer:
            self.assertTrue(sent(TEXT, peer).accepted)
        self.assertEqual(seen, [1])

    def test_other_threads_run_while_one_waits(self):
        waiting, go_on = threading.Event(), threading.Event()

        def wait(connection, line):
            waiting.set()
            go_on.wait(10)
            return "250 2.1.0 Ok"
        with Peer({"MAIL": wait}) as peer:
            records = []
            thread = threading.Thread(target=lambda: records.append(sent(TEXT, peer)))
            thread.start()
            self.assertTrue(waiting.wait(10))
            go_on.set()
            thread.join()
        self.assertTrue(records[0].accepted)


if __name__ == "__main__":
    tap.main()
