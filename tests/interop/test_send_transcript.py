# SPDX-License-Identifier: MIT
"""What -v shows, and what is never shown."""
import base64
import re

from harness import equal, test
from peer import Peer
from servers import CLEAR, DOVECOT, SMTP, SMTPS, SUBMISSION, login
from test_send_ways import send


def assert_secret(result, user, password):
    """Neither the password, nor what AUTH PLAIN or LOGIN makes of it, nor a part long enough to
    know it by, is in what the command printed."""
    forms = [password.encode(), base64.b64encode(password.encode()),
             base64.b64encode(b"\0%s\0%s" % (user.encode(), password.encode()))]
    printed = (result.stdout + result.stderr).encode()
    for form in forms:
        assert form not in printed and form.rstrip(b"=")[-8:] not in printed, "a secret was shown"


@test
def v_shows_the_dialogue_with_swaks_marks(env):
    result = send(env, SUBMISSION, "-v", *login(env)).good()
    for line in (r"<-\s+220 ", r"->\s+EHLO ", r"->\s+STARTTLS", r"~>\s+EHLO ", r"<~\s+250[ -]",
                 r"~>\s+AUTH PLAIN", r"<~\s+235 ", r"~>\s+MAIL FROM:<sender@sender\.example>",
                 r"~>\s+RCPT TO:<bob@test\.example>"):
        assert re.search(r"(?m)^\s*" + line, result.stderr), "nothing like " + line


@test
def implicit_tls_is_marked_from_the_greeting_on(env):
    result = send(env, SMTPS, "-v", *login(env)).good()
    assert re.search(r"(?m)^\s*<~\s+220 ", result.stderr), result.stderr
    assert not re.search(r"(?m)^\s*(->|<-)\s", result.stderr), result.stderr


@test
def without_v_a_delivery_says_nothing_on_standard_error(env):
    equal(send(env, SMTP).good().stderr, "", "standard error")


@test
def secrets_are_not_shown_at_any_verbosity(env):
    for server in (SUBMISSION, SMTPS, DOVECOT):
        for user in ("alice", "zoe"):
            for args in (("-v",), ("-vv",), ("-vv", "--auth", "LOGIN")):
                result = send(env, server, *args, *login(env, user)).good()
                assert_secret(result, user, env.users[user])


@test
def secrets_are_not_shown_when_they_are_wrong(env):
    password = env.file("wrong", b"entirely wrong 7Xq9zKw2\n")
    for mechanism in ("PLAIN", "LOGIN"):
        result = env.send(SUBMISSION, "-vv", "--ca-file", env.ca.file, "--user", "alice",
                          "--password-file", password, "--auth", mechanism)
        assert_secret(result.expect(77, "auth", "deferred"), "alice", "entirely wrong 7Xq9zKw2")


@test
def a_server_that_repeats_the_credentials_does_not_get_them_shown(env):
    def echo(connection, line):
        return "535 5.7.8 you said: " + line
    with Peer({"AUTH": echo}, keywords=("AUTH PLAIN",), context=env.certificate.context()) as peer:
        result = env.send(peer.url("submission"), "-vv", *login(env))
        assert_secret(result.expect(77, "auth", "deferred"), "alice", env.users["alice"])


@test
def the_dialogue_of_a_failure_is_shown_up_to_the_failure(env):
    result = env.send(CLEAR, "-v", to=["nobody@test.example"]).expect(67, "nouser", "refused")
    assert re.search(r"(?m)^\s*<(-|\*\*)\s+550 5\.1\.1", result.stderr), result.stderr
