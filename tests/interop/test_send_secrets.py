# SPDX-License-Identifier: MIT
"""Where passwords and tokens come from: files, descriptors, commands, a terminal."""
import os
import pty
import select
import signal

from harness import PATIENCE, SENDER, equal, test
from peer import Peer
from server import USERS
from servers import SUBMISSION

PASSWORD = USERS["alice"].encode()
MESSAGE = b"Subject: secrets\n\nbehind the password\n"


def alice(env, *args, **more):
    return env.send(SUBMISSION, "--ca-file", env.ca.file, "--user", "alice", *args, **more)


@test
def the_message_may_follow_the_password_on_standard_input(env):
    env.empty_mailboxes()
    result = env.run("send", "--server", SUBMISSION, "--from", SENDER, "--ca-file", env.ca.file,
                     "--user", "alice", "--password-fd", "0", "--message", "-", "bob@test.example",
                     stdin=PASSWORD + b"\r\n" + MESSAGE)
    equal((result.status, result.stdout), (0, ""), "status and output")
    env.delivered(env.postfix, "bob", MESSAGE)


@test
def only_the_first_line_of_a_source_counts(env):
    path = env.file("password", PASSWORD + b"\nurl: mail.example.org\n")
    alice(env, "--password-file", path).good()
    alice(env, "--password-command", "cat " + path).good()


@test
def a_password_command_that_fails_is_told_from_one_that_says_nothing(env):
    for command, word in (("exit 3", "exit status 3"), ("kill -9 $$", "signal 9"),
                          ("echo secret; exit 1", "exit status 1"), ("true", "is empty"),
                          ("yes", "command failed"),
                          ("nosuchcommand", "127")):
        result = alice(env, "--password-command", command)
        result.expect(78, "config", "deferred", stage="prepare")
        assert word in result.stderr, result.stderr


@test
def sources_that_cannot_be_read_are_named(env):
    for args in (("--password-file", "/nonexistent"), ("--password-file", env.folder),
                 ("--password-fd", "77"), ("--oauth-token-file", "/nonexistent")):
        alice(env, *args).expect(66, "noinput", "deferred", stage="prepare")
    for content in (b"", b"\n\nsecret\n"):
        alice(env, "--password-file", env.file("password", content)) \
            .expect(78, "config", "deferred", stage="prepare")


@test
def a_token_stands_in_for_a_password_and_is_never_shown(env):
    token = env.file("token", b"ya29.token-of-alice\n")
    with Peer(keywords=("AUTH OAUTHBEARER",), context=env.certificate.context()) as peer:
        result = env.send(peer.url("submission"), "--ca-file", env.ca.file, "--oauth-token-file",
                          token, "-vv").good()
        assert "AUTH" in peer.verbs(), peer.lines
        assert "ya29" not in result.stderr + result.stdout, "the token is shown"


@test
def without_password_and_terminal_nothing_is_sent(env):
    process = env.start("send", "--server", SUBMISSION, "--from", SENDER, "--user", "alice",
                        "--ca-file", env.ca.file, "--body", "x", "bob@test.example",
                        start_new_session=True)
    out, err = process.communicate(timeout=PATIENCE)
    equal((process.returncode, out), (78, b""), "status and output")
    assert b"no terminal to ask" in err and b"--password-file" in err, err


def read_until(terminal, wanted):
    """What the terminal shows up to `wanted`, or to its end."""
    shown = b""
    while wanted is None or wanted not in shown:
        assert select.select([terminal], [], [], PATIENCE)[0], "silence after %r" % shown
        try:
            shown += os.read(terminal, 4096)
        except OSError:     # the other end is closed
            break
    return shown


def at_a_terminal(env, keys):
    """What is shown, and how it ended: an exit status, or a signal as a negative number."""
    child, terminal = pty.fork()
    if child == 0:
        signal.signal(signal.SIGINT, signal.SIG_DFL)    # whoever runs us may ignore it
        os.execve(env.posthaste, [env.posthaste, "send", "--server", SUBMISSION, "--from", SENDER,
                                  "--ca-file", env.ca.file, "--user", "alice", "--body", "x",
                                  "bob@test.example"], env.environ)
    try:
        shown = read_until(terminal, b": ")
        os.write(terminal, keys)
        shown += read_until(terminal, None)
        return shown, os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    except AssertionError:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        raise
    finally:
        os.close(terminal)


@test
def a_terminal_asks_without_echo_and_heeds_ctrl_c(env):
    for keys, status, word in ((PASSWORD + b"\n", 0, b"Accepted"), (b"wrong\n", 77, b"535"),
                               (b"\n", 78, b"no password was entered"),
                               (b"\x04", 78, b"no password was entered"),
                               (b"half\x03", -signal.SIGINT, b"Password of alice")):
        shown, ended = at_a_terminal(env, keys)
        equal(ended, status, "end after %r" % keys)
        assert word in shown, shown
        for secret in (PASSWORD, b"wrong", b"half"):
            assert secret not in shown, "echoed: %r" % shown
