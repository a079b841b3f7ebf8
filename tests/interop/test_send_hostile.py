# SPDX-License-Identifier: MIT
"""Servers that vanish, hang, babble or lie. No message may be called delivered without its reply,
and none handed over whole may be called undelivered."""
import socket
import time

from harness import equal, test
from peer import HANG, LOST, Closed, Peer
from test_send_replies import BOB, BY_DATA, CAROL, DAVE, PLACES, each, fails

LARGE = b"Subject: large\r\n\r\n" + (b"x" * 76 + b"\r\n") * 200000


@test
def the_connection_is_lost_after_the_final_dot(env):
    fails(env, "BODY", LOST, 75, "in_doubt", "in_doubt", stage="body", cause="lost")


@test
def no_dup_in_doubt_says_do_not_retry(env):
    def check(result, peer):
        result.expect(74, "in_doubt", "in_doubt", stage="body", cause="lost")
    each(env, {"BODY": LOST}, check, args=("--no-dup",))


@test
def garbage_as_final_reply_leaves_the_message_in_doubt(env):
    for garbage in ("what?", "099 no", "650 no", "250\tx", "25", "\x00250 ok", "2500 ok",
                    "250-one\r\n251 two"):
        fails(env, "BODY", garbage, 75, "in_doubt", "in_doubt", stage="body", cause="garbage")


@test
def half_a_final_reply_leaves_the_message_in_doubt(env):
    def half(connection, line):
        connection.send(b"250 2.0.0 O")
        raise Closed
    fails(env, "BODY", half, 75, "in_doubt", "in_doubt", stage="body", cause="lost")


@test
def a_final_reply_that_does_not_come_in_time_leaves_the_message_in_doubt(env):
    def check(result, peer):
        result.expect(75, "in_doubt", "in_doubt", stage="body", cause="timeout")
    each(env, {"BODY": HANG}, check, args=("--timeout", "1"))


@test
def a_3yz_final_reply_leaves_the_message_in_doubt(env):
    fails(env, "BODY", "354 go ahead", 75, "in_doubt", "in_doubt", stage="body")


@test
def lmtp_recipients_without_a_reply_are_in_doubt(env):
    def check(result, peer):
        result.expect(75, "in_doubt", "in_doubt")
        equal(result.recipients(), ["accepted", "in_doubt", "in_doubt"], "recipients")
    each(env, {"BODY": ["250 2.0.0 Ok", LOST]}, check, to=(BOB, CAROL, DAVE), lmtp=True)


@test
def the_connection_is_lost_before_the_last_octet(env):
    for moment, stage in PLACES[:-1]:
        fails(env, moment, LOST, 75, "deferred", "deferred", BY_DATA, stage=stage, cause="lost")


@test
def the_connection_is_lost_within_the_message(env):
    def midway(connection, line):
        connection.send(b"354 go ahead\r\n")
        connection.receive()
        connection.reset()
    with Peer({"DATA": midway}) as peer:
        env.send(peer.url(), message=LARGE).deferred(stage="body", cause="lost")


@test
def a_refusal_of_every_recipient_decides_though_the_connection_is_lost(env):
    def check(result, peer):
        result.expect(67, "nouser", "refused", stage="rcpt", code=550)
    each(env, {"RCPT": "550 5.1.1 unknown", "DATA": LOST, "BODY": LOST}, check)


@test
def garbage_instead_of_a_greeting(env):
    for garbage in ("SSH-2.0-OpenSSH_9.2", "HTTP/1.1 400 Bad Request", "hello",
                    "\x00\x01\x02\x03", "22", "2200 x"):
        fails(env, "GREETING", garbage, 76, "protocol", "deferred", {"any": ()},
              stage="greeting", cause="garbage")


@test
def garbage_instead_of_a_reply(env):
    for moment, stage in PLACES[1:-1]:
        fails(env, moment, "what?", 76, "protocol", "deferred", BY_DATA,
              stage=stage, cause="garbage")


@test
def a_reply_with_two_codes(env):
    fails(env, "RCPT", b"250-one\r\n550 two\r\n", 76, "protocol", "deferred", BY_DATA, stage="rcpt")


@test
def a_reply_line_without_end(env):
    def endless(connection, line):
        for _ in range(200):
            connection.send(b"250 " + b"x" * 65536)
    fails(env, "EHLO", endless, 76, "protocol", "deferred", {"any": ()},
          stage="hello", cause=("limit", "garbage"))


@test
def a_reply_of_endless_lines(env):
    def endless(connection, line):
        for _ in range(9 << 20 >> 16):
            connection.send(b"250-xxxxxxxxxx\r\n" * 4096)
    fails(env, "EHLO", endless, 76, "protocol", "deferred", {"any": ()},
          stage="hello", cause=("limit", "garbage"))


@test
def a_final_250_before_the_message_is_handed_over(env):
    """The reader stops, answers 250, and reads on when that must have been seen."""
    def early(connection, line):
        connection.send(b"354 go ahead\r\n")
        connection.receive()
        connection.send(b"250 2.0.0 Ok: queued as EARLY\r\n")
        time.sleep(0.3)
        connection.hang()
    with Peer({"DATA": early}) as peer:
        result = env.send(peer.url(), message=LARGE)
        result.expect(76, "protocol", "deferred", stage="body", cause="early-reply")
        equal(result.record["recipients"][0]["remote_id"], None, "remote_id")


@test
def a_final_refusal_before_the_message_is_handed_over(env):
    """A server may have had enough: its 552 counts."""
    def enough(connection, line):
        connection.send(b"354 go ahead\r\n")
        connection.receive()
        connection.send(b"552 5.3.4 too big\r\n")
        connection.hang()
    with Peer({"DATA": enough}, keywords=("PIPELINING",)) as peer:
        env.send(peer.url(), message=LARGE).expect(69, "refused", "refused", stage="body", code=552)


@test
def replies_sent_before_their_commands(env):
    for early in (b"220 peer ESMTP\r\n250 peer\r\n",
                  b"220 peer ESMTP\r\n250 peer\r\n250 Ok\r\n250 Ok\r\n354 go\r\n250 2.0.0 Ok\r\n"):
        with Peer({"GREETING": early}) as peer:
            env.send(peer.url()).expect(76, "protocol", "deferred")


@test
def a_354_to_mail(env):
    fails(env, "MAIL", "354 go ahead", 76, "protocol", "deferred", BY_DATA, stage="mail")


@test
def a_250_to_data(env):
    fails(env, "DATA", "250 2.0.0 Ok", 76, "protocol", "deferred", BY_DATA, stage="data")


@test
def a_silent_server(env):
    for moment, stage in PLACES[:-1]:
        started = time.monotonic()
        with Peer({moment: HANG}, keywords=BY_DATA["step by step"]) as peer:
            env.send(peer.url(), "--timeout", "1").deferred(stage=stage, cause="timeout")
        assert time.monotonic() - started < 10, "took too long"


@test
def a_server_that_dribbles_does_not_prolong_its_time(env):
    def dribble(connection, line):
        for _ in range(100):
            connection.send(b"250-x\r\n")
            time.sleep(0.1)
    started = time.monotonic()
    with Peer({"EHLO": dribble}) as peer:
        env.send(peer.url(), "--timeout", "1") \
           .deferred(stage="hello", cause=("timeout", "too-slow"))
    assert time.monotonic() - started < 6, "dribbling prolonged the wait"


@test
def a_server_that_reads_nothing_of_the_message(env):
    def stop(connection, line):
        connection.send(b"354 go ahead\r\n")
        time.sleep(8)
    with Peer({"DATA": stop}) as peer:
        env.send(peer.url(), "--timeout", "2", message=LARGE).deferred(stage="body")


@test
def nobody_listens(env):
    with socket.create_server(("127.0.0.1", 0)) as s:
        port = s.getsockname()[1]
    for scheme in ("smtp", "submission", "smtps", "lmtp"):
        env.send("%s://127.0.0.1:%d" % (scheme, port)) \
           .deferred(stage="connect", cause="unreachable")


@test
def a_unix_socket_that_is_not_there(env):
    result = env.send("lmtp://" + env.folder + "/no-such-socket")
    equal(result.record["error"]["stage"], "connect", "stage")
    equal(result.status, 75, "exit status")


@test
def a_host_that_does_not_exist(env):
    result = env.send("smtp://no-such-host.invalid")
    assert result.record["class"] in ("nohost", "deferred"), result.record
    equal(result.record["error"]["stage"], "resolve", "stage")


@test
def quit_without_an_answer_does_not_undo_an_acceptance(env):
    for reply in (LOST, HANG, "500 what?", "garbage"):
        started = time.monotonic()
        with Peer({"QUIT": reply}) as peer:
            env.send(peer.url()).good()
        assert time.monotonic() - started < 7, "QUIT was waited for"


@test
def a_message_that_shrinks_while_it_is_sent(env):
    path = env.file("shrinking", LARGE)

    def shrink(connection, line):
        with open(path, "r+b") as f:
            f.truncate(100000)
        return "354 go ahead"
    with Peer({"DATA": shrink}, keywords=("SIZE",)) as peer:
        result = env.send(peer.url(), message=path)
        assert result.status in (66, 71, 75), result.status
        equal(result.record["outcome"], "deferred", "outcome")
        equal(result.record["error"]["cause"], "source", "cause")
        equal(peer.bodies, [], "messages ended with a dot")
