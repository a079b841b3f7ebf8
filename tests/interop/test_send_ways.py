# SPDX-License-Identifier: MIT
"""The four ways of sending, into real servers, each seen in the mailbox and in the record."""
import email
import email.policy

import postfix
from harness import SENDER, equal, test
from servers import (CLEAR, DATA_ONLY, DOVECOT, LMTP, LOCK_STEP, SMTP, SMTPS, SUBMISSION,
                     credentials, login, url)

MESSAGE = b"From: Sender <sender@sender.example>\nTo: bob@test.example\nSubject: ways\n\nHello.\n"


def accepted(env, result, server, tls, auth=None, verified=True, policy="required"):
    """Everything that an accepted message must show; returns its trace headers."""
    result.good()
    record, session = result.record, result.session
    equal(record["from"], SENDER, "from")
    equal(len(record["sessions"]), 1, "sessions")
    for recipient in record["recipients"]:
        equal(recipient["outcome"], "accepted", "recipient's outcome")
        equal([recipient[x] for x in ("session", "stage", "code")], [0, "body", 250], "reply")
        assert recipient["enhanced"].startswith("2."), recipient["enhanced"]
        assert recipient["text"], "no reply text"
    equal(session["error"], None, "session's error")
    assert session["greeting"], "no greeting"
    assert "8BITMIME" in session["extensions"], session["extensions"]
    shown = session["tls"] or {"mode": "none"}
    equal(shown["mode"], tls, "tls.mode")
    if tls != "none":
        assert shown["version"] in ("TLSv1.2", "TLSv1.3") and shown["cipher"], shown
        equal((shown["verified"], shown["policy"]), (verified, policy), "verified, policy")
    equal(session["auth"] and session["auth"]["mechanism"], auth, "auth.mechanism")
    return env.delivered(server, "bob", MESSAGE)


def send(env, server, *args):
    env.empty_mailboxes()
    return env.send(server, *args, message=MESSAGE)


# straight to a server

@test
def smtp_to_loopback_takes_the_tls_it_is_offered_unverified(env):
    result = send(env, SMTP)
    trace = accepted(env, result, env.postfix, "starttls", verified=False, policy="loopback")
    assert "with ESMTPS " in trace, trace


@test
def smtp_to_loopback_without_tls_on_offer_goes_in_clear(env):
    trace = accepted(env, send(env, CLEAR), env.postfix, "none")
    assert "with ESMTP " in trace, trace


@test
def smtp_with_a_ca_file_requires_and_verifies_tls(env):
    result = send(env, SMTP, "--ca-file", env.ca.file)
    trace = accepted(env, result, env.postfix, "starttls")
    equal(result.session["tls"]["peer_name"], "127.0.0.1", "peer_name")
    assert "with ESMTPS " in trace, trace


@test
def smtp_with_tls_off_goes_in_clear_though_tls_is_offered(env):
    trace = accepted(env, send(env, SMTP, "--tls=off"), env.postfix, "none")
    assert "with ESMTP " in trace, trace


@test
def opportunistic_tls_records_that_nothing_was_verified(env):
    result = send(env, SMTP, "--tls=opportunistic")
    accepted(env, result, env.postfix, "starttls", verified=False, policy="opportunistic")


@test
def a_server_without_chunking_gets_data(env):
    result = send(env, DATA_ONLY, "-v")
    accepted(env, result, env.postfix, "starttls", verified=False, policy="loopback")
    assert "DATA" in result.stderr and "BDAT" not in result.stderr, result.stderr


@test
def a_server_without_pipelining_is_served_step_by_step(env):
    result = send(env, LOCK_STEP)
    accepted(env, result, env.postfix, "starttls", verified=False, policy="loopback")


@test
def the_queue_id_of_postfix_is_the_remote_id(env):
    recipient = send(env, SMTP).record["recipients"][0]
    assert "queued as " + recipient["remote_id"] in recipient["text"], recipient


# with AUTH over STARTTLS

@test
def submission_to_postfix_with_auth(env):
    trace = accepted(env, send(env, SUBMISSION, *login(env)), env.postfix,
                     "starttls", auth="PLAIN")
    assert "with ESMTPSA " in trace, trace


@test
def submission_to_postfix_with_auth_login(env):
    result = send(env, SUBMISSION, *login(env), "--auth", "LOGIN")
    assert "with ESMTPSA " in accepted(env, result, env.postfix, "starttls", auth="LOGIN")


@test
def submission_to_postfix_with_a_password_beyond_ascii(env):
    result = send(env, SUBMISSION, *login(env, "zoe"))
    assert "with ESMTPSA " in accepted(env, result, env.postfix, "starttls", auth="PLAIN")


@test
def submission_to_dovecot_with_auth(env):
    trace = accepted(env, send(env, DOVECOT, *login(env)), env.postfix,
                     "starttls", auth="SCRAM-SHA-256")
    assert "with ESMTPSA" in trace, trace


@test
def submission_to_dovecot_with_auth_login(env):
    result = send(env, DOVECOT, *login(env), "--auth", "LOGIN")
    accepted(env, result, env.postfix, "starttls", auth="LOGIN")


@test
def the_user_may_stand_in_the_url(env):
    result = send(env, SUBMISSION.replace("//", "//alice@"), "--ca-file", env.ca.file,
                  *credentials(env)[2:])
    accepted(env, result, env.postfix, "starttls", auth="PLAIN")


@test
def the_password_may_come_from_a_command(env):
    result = send(env, SUBMISSION, "--ca-file", env.ca.file, "--user", "alice",
                  "--password-command", "printf '%s\\n' 'correct horse 7!'")
    accepted(env, result, env.postfix, "starttls", auth="PLAIN")


# over implicit TLS

@test
def smtps_to_postfix_with_auth(env):
    trace = accepted(env, send(env, SMTPS, *login(env)), env.postfix,
                     "implicit", auth="PLAIN")
    assert "with ESMTPSA " in trace, trace


@test
def submissions_is_another_word_for_smtps(env):
    accepted(env, send(env, SMTPS.replace("smtps:", "submissions:"), *login(env)), env.postfix,
             "implicit", auth="PLAIN")


# LMTP

@test
def lmtp_to_a_port_of_dovecot(env):
    result = send(env, LMTP)
    trace = accepted(env, result, env.dovecot, "starttls", verified=False, policy="loopback")
    assert "with LMTPS" in trace, trace


@test
def lmtp_to_a_unix_socket_of_dovecot(env):
    result = send(env, "lmtp://" + env.dovecot.lmtp)
    result.good()
    equal(result.recipients(), ["accepted"], "recipients")
    assert "with LMTP" in env.delivered(env.dovecot, "bob", MESSAGE)


@test
def lmtp_answers_for_each_recipient(env):
    env.empty_mailboxes()
    result = env.send(LMTP, message=MESSAGE,
                      to=["bob@test.example", "carol@test.example"])
    equal(result.good().recipients(), ["accepted", "accepted"], "recipients")
    env.delivered(env.dovecot, "bob", MESSAGE)
    env.delivered(env.dovecot, "carol", MESSAGE)


# names and addresses

@test
def a_host_name_is_resolved_and_verified(env):
    result = send(env, url("submission", postfix.SUBMISSION, "localhost"), *login(env))
    accepted(env, result, env.postfix, "starttls", auth="PLAIN")
    equal(result.session["host"], "localhost", "host")
    equal(result.session["tls"]["peer_name"], "localhost", "peer_name")


@test
def connect_dials_an_address_and_verifies_the_urls_host(env):
    result = send(env, url("submission", postfix.SUBMISSION, "mx.test.example"),
                  "--connect", "127.0.0.1", *login(env))
    accepted(env, result, env.postfix, "starttls", auth="PLAIN")
    equal(result.session["address"], "127.0.0.1", "address")
    equal(result.session["tls"]["peer_name"], "mx.test.example", "peer_name")


@test
def tls_name_is_verified_instead_of_the_host(env):
    result = send(env, SUBMISSION, "--tls-name", "mx.test.example", *login(env))
    accepted(env, result, env.postfix, "starttls", auth="PLAIN")


# envelope

@test
def several_recipients_each_get_the_message(env):
    env.empty_mailboxes()
    to = [x + "@test.example" for x in ("alice", "bob", "carol")]
    equal(env.send(SMTP, message=MESSAGE, to=to).good().recipients(),
          ["accepted"] * 3, "recipients")
    for user in ("alice", "bob", "carol"):
        env.delivered(env.postfix, user, MESSAGE)


@test
def the_null_reverse_path_is_sent(env):
    env.empty_mailboxes()
    env.send(SMTP, message=MESSAGE, sender="<>").good()
    assert "Return-Path: <>" in env.delivered(env.postfix, "bob", MESSAGE)


@test
def helo_sets_the_name_in_ehlo(env):
    result = send(env, SMTP, "--helo", "client.sender.example")
    trace = accepted(env, result, env.postfix, "starttls", verified=False, policy="loopback")
    assert "from client.sender.example" in trace, trace


@test
def a_recipient_beyond_ascii_goes_with_smtputf8(env):
    env.empty_mailboxes()
    address = "почта@test.example"
    env.send(SMTP, message=MESSAGE, to=[address]).good()
    found = env.mailbox(env.postfix, "почта")
    equal(len(found), 1, "messages")
    assert b"with UTF8SMTPS" in found[0], found


@test
def an_ascii_message_does_not_ask_for_smtputf8(env):
    trace = accepted(env, send(env, CLEAR), env.postfix, "none")
    assert "UTF8" not in trace, trace


@test
def recipients_come_from_the_headers_with_t(env):
    env.empty_mailboxes()
    path = env.file("message", MESSAGE)
    result = env.run("send", "-t", "--server", SMTP, "--from", SENDER, "--message", path)
    equal(result.status, 0, "exit status")
    env.delivered(env.postfix, "bob", MESSAGE)


@test
def a_message_is_composed_from_options_and_standard_input(env):
    env.empty_mailboxes()
    result = env.run("send", "--server", SMTP, "--from", SENDER,
                     "-s", "Grüße", "bob@test.example", stdin="Schönen Tag!\n".encode())
    equal(result.status, 0, "exit status")
    found = env.mailbox(env.postfix, "bob")
    equal(len(found), 1, "messages")
    message = email.message_from_bytes(found[0], policy=email.policy.default)
    equal(message["Subject"], "Grüße", "Subject")
    equal(message.get_content().rstrip("\n"), "Schönen Tag!", "text")
    for name in ("From", "To", "Date", "Message-ID", "MIME-Version"):
        equal(len(message.get_all(name, [])), 1, "headers named " + name)
    equal(message.defects, [], "defects")
