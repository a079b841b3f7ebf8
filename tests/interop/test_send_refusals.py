# SPDX-License-Identifier: MIT
"""What real servers refuse, and what posthaste refuses before it troubles them."""
import os

import postfix
from harness import SENDER, equal, test
from peer import Peer
from servers import (DATA_ONLY, DOVECOT, LMTP, LOCK_STEP, SMALL, SMTP, SMTPS, SUBMISSION,
                     login)
from test_send_ways import MESSAGE

BOB, NOBODY = "bob@test.example", "nobody@test.example"
BIG = b"Subject: big\n\n" + b"0123456789abcde\n" * 25600


def unknown_among_known(env, server, *args, mailbox):
    env.empty_mailboxes()
    result = env.send(server, *args, message=MESSAGE, to=[BOB, NOBODY, "carol@test.example"])
    result.expect(69, "partial", "partial")
    equal(result.recipients(), ["accepted", "refused", "accepted"], "recipients")
    refused = result.record["recipients"][1]
    equal([refused[x] for x in ("stage", "code", "enhanced")], ["rcpt", 550, "5.1.1"], "refusal")
    assert NOBODY in refused["text"], refused["text"]
    assert "550" in result.stderr, "the server's reply is not quoted"
    env.delivered(mailbox, "bob", MESSAGE)
    env.delivered(mailbox, "carol", MESSAGE)


def unknown_alone(env, server, *args):
    env.empty_mailboxes()
    result = env.send(server, *args, message=MESSAGE, to=[NOBODY, "nobody.else@test.example"])
    result.expect(67, "nouser", "refused", stage="rcpt", code=550, enhanced="5.1.1")
    equal(result.recipients(), ["refused", "refused"], "recipients")


@test
def one_unknown_recipient_does_not_stop_the_rest_in_postfix(env):
    for server in (SMTP, DATA_ONLY, LOCK_STEP):
        unknown_among_known(env, server, mailbox=env.postfix)


@test
def one_unknown_recipient_does_not_stop_the_rest_through_dovecot_submission(env):
    unknown_among_known(env, DOVECOT, *login(env), mailbox=env.postfix)


@test
def one_unknown_recipient_does_not_stop_the_rest_by_lmtp(env):
    unknown_among_known(env, LMTP, mailbox=env.dovecot)


@test
def all_recipients_unknown_in_postfix(env):
    for server in (SMTP, DATA_ONLY, LOCK_STEP):
        unknown_alone(env, server)
    equal(env.mailbox(env.postfix, "bob"), [], "mailbox of bob")


@test
def all_recipients_unknown_through_dovecot_submission(env):
    unknown_alone(env, DOVECOT, *login(env))


@test
def all_recipients_unknown_by_lmtp(env):
    unknown_alone(env, LMTP)


@test
def a_server_that_does_not_relay_is_a_refusal(env):
    env.send(SMTP, to=["someone@elsewhere.example"]) \
       .expect(69, "refused", "refused", stage="rcpt", code=554, enhanced="5.7.1")


@test
def a_submission_server_refuses_without_a_user(env):
    env.send(SUBMISSION, "--ca-file", env.ca.file) \
       .expect(69, "refused", "refused", stage="rcpt", code=554)


@test
def a_wrong_password(env):
    wrong = env.file("wrong", b"not the password\n")
    for server in (SUBMISSION, SMTPS,
                   DOVECOT):
        for mechanism in ("PLAIN", "LOGIN"):
            result = env.send(server, "--ca-file", env.ca.file, "--user", "alice",
                              "--password-file", wrong, "--auth", mechanism)
            result.expect(77, "auth", "deferred", stage="auth", code=535, enhanced="5.7.8")
            assert "not the password" not in result.stdout + result.stderr


@test
def a_message_over_the_stated_size_is_not_sent(env):
    env.empty_mailboxes()
    result = env.send(SMALL, message=BIG)
    result.expect(69, "refused", "refused", enhanced="5.3.4", code=(None, 0))
    equal(env.mailbox(env.postfix, "bob"), [], "mailbox")


@test
def a_message_over_the_size_from_a_pipe_is_refused_by_the_server(env):
    env.empty_mailboxes()
    result = env.send(SMALL, message="-", stdin=BIG)
    result.expect(69, "refused", "refused", enhanced="5.3.4", code=(None, 0, 552))
    equal(env.mailbox(env.postfix, "bob"), [], "mailbox")


@test
def a_message_just_within_the_size_is_sent(env):
    env.empty_mailboxes()
    head = b"Subject: fits\r\n\r\n"
    lines = postfix.SMALL_LIMIT // 64 - 16      # room for Received
    message = head + (b"x" * 62 + b"\r\n") * lines
    env.send(SMALL, message=message).good()
    env.delivered(env.postfix, "bob", message)


@test
def a_recipient_beyond_ascii_needs_smtputf8_of_the_server(env):
    result = env.send(DOVECOT, *login(env), to=["почта@test.example"])
    result.expect(69, "refused", "refused", enhanced="5.6.7", code=(None, 0))


@test
def eight_bit_octets_need_8bitmime_of_the_server(env):
    with Peer(keywords=("PIPELINING",)) as peer:
        result = env.send(peer.url(), message="Subject: 8\n\nGrüße\n".encode())
        result.expect(69, "refused", "refused", enhanced="5.6.3", code=(None, 0))
        equal(peer.bodies, [], "messages that reached the server")


# refused before a server is asked

def envelope(env):
    return "--from", SENDER, "--message", env.file("message", MESSAGE)


def refused_at_home(env, status, klass, outcome, *args, **options):
    with Peer() as peer:
        result = env.send(peer.url(), *args, **options)
        result.expect(status, klass, outcome)
        assert not {"MAIL", "RCPT"} & set(peer.verbs()), "the server was troubled: %s" % peer.lines
        return result


@test
def control_characters_in_a_recipient(env):
    for bad in ("bob\r\nRCPT TO:<carol@test.example>\r\n@test.example", "bob\n@test.example",
                "bob\r@test.example", "bob@test.example\n", "bob\t@test.example",
                "bob\x1b[31m@test.example", "bob\x7f@test.example"):
        result = refused_at_home(env, 65, "input", "refused", to=[bad])
        equal(result.record["error"]["stage"], "prepare", "stage")
        assert not {"\x1b", "\r"} & set(result.stderr), "raw control characters were shown"


@test
def control_characters_in_the_sender(env):
    for bad in ("a\r\nRCPT TO:<carol@test.example>\r\n@test.example", "a\n@sender.example",
                "a\x01@sender.example"):
        refused_at_home(env, 65, "input", "refused", sender=bad)


@test
def a_control_character_in_one_recipient_stops_all(env):
    refused_at_home(env, 65, "input", "refused", to=[BOB, "carol\r\n@test.example"])


@test
def addresses_that_are_none(env):
    for bad in ("a" * 65 + "@test.example", "bob@" + "a" * 64 + ".example",
                "bob bob@test.example", "<bob@test.example", "bob@test.example>,<carol@test.example",
                "bob@", "@test.example", ""):
        refused_at_home(env, 65, "input", "refused", to=[bad])


@test
def a_helo_name_with_control_characters(env):
    with Peer() as peer:
        result = env.run("send", "--server", peer.url(), *envelope(env),
                         "--helo", "x\r\nMAIL FROM:<a@b.example>", BOB)
        equal(result.status, 78, "exit status")
        assert not [x for x in peer.lines if x.startswith("MAIL")], peer.lines


@test
def a_message_with_nul(env):
    with Peer() as peer:
        env.send(peer.url(), message=b"Subject: nul\n\na\0b\n").expect(65, "input", "refused")
        equal(peer.bodies, [], "messages that reached the server")


@test
def a_line_of_more_than_998_octets(env):
    for message in (b"Subject: x\n\n" + b"x" * 999 + b"\n",
                    b"Subject: " + b"x" * 2000 + b"\n\nx\n"):
        with Peer() as peer:
            env.send(peer.url(), message=message).expect(65, "input", "refused")
            equal(peer.bodies, [], "messages that reached the server")


@test
def a_bare_line_feed_under_strict(env):
    for message in (b"Subject: x\r\n\r\na\nb\r\n", b"Subject: x\r\n\r\na\rb\r\n"):
        with Peer() as peer:
            env.send(peer.url(), "--line-ends=strict", message=message) \
               .expect(65, "input", "refused")
            equal(peer.bodies, [], "messages that reached the server")


@test
def a_message_without_a_header_block(env):
    refused_at_home(env, 65, "input", "refused", message=b"just text, no header\n")


@test
def a_message_file_that_is_not_there(env):
    refused_at_home(env, 66, "noinput", "deferred", message=os.path.join(env.folder, "absent"))


@test
def a_password_file_that_is_not_there(env):
    result = env.run("send", "--server", SUBMISSION, "--ca-file", env.ca.file, "--user", "alice",
                     "--password-file", os.path.join(env.folder, "absent"), *envelope(env), BOB)
    assert result.status in (66, 78) and "absent" in result.stderr, (result.status, result.stderr)


@test
def no_server_named(env):
    result = env.run("send", *envelope(env), BOB)
    equal(result.status, 78, "exit status")
    assert "--server" in result.stderr and "--direct" in result.stderr, result.stderr


@test
def direct_and_what_speaks_of_one_server(env):
    for option in ("--server=smtp://127.0.0.1", "--connect=127.0.0.1", "--user=alice", "--auth=PLAIN",
                   "--password-file=p", "--proxy=socks5://127.0.0.1", "--pin=" + 64 * "0",
                   "--tls-name=mx.test.example", "--insecure", "--tls=implicit", "--tls=off"):
        result = env.run("send", "--direct", option, *envelope(env), BOB)
        equal(result.status, 64, "exit status with " + option)
        name = option if option.startswith("--tls=") else option.split("=")[0]
        assert "--direct and %s cannot be used together" % name in result.stderr, result.stderr
        assert "Hint:" in result.stderr, result.stderr


@test
def what_only_direct_has(env):
    for option in ("--mx-port=25", "--dane=required", "--mta-sts=off", "--dns=127.0.0.1",
                   "--trust-anchor=key"):
        result = env.run("send", "--server", SMTP, option, *envelope(env), BOB)
        equal(result.status, 64, "exit status with " + option)
        assert "only goes with --direct" in result.stderr, result.stderr


@test
def direct_needs_a_domain(env):
    result = env.run("send", "--direct", *envelope(env), "bob")
    equal(result.status, 65, "exit status")
    assert "has no domain" in result.stderr, result.stderr


@test
def no_sender_named(env):
    result = env.run("send", "--server", SMTP, *envelope(env)[2:], BOB)
    assert result.status in (64, 78) and "--from" in result.stderr, (result.status, result.stderr)


@test
def an_unknown_option(env):
    result = env.run("send", "--sever", "smtp://127.0.0.1")
    equal(result.status, 64, "exit status")
    assert "--server" in result.stderr, "no nearest name: " + result.stderr


@test
def a_password_in_the_url_is_refused_and_not_repeated(env):
    result = env.run("send", "--server", SUBMISSION.replace("//", "//alice:hunter2@"),
                     *envelope(env), BOB)
    assert result.status in (64, 78), result.status
    assert "hunter2" not in result.stdout + result.stderr, "the password was shown"
