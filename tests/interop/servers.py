# SPDX-License-Identifier: MIT
"""The real servers of one run, their addresses and their users."""
import os

import ca
import dovecot
import harness
import postfix


def url(scheme, port, host="127.0.0.1"):
    return "%s://%s:%d" % (scheme, host, port)


SMTP = url("smtp", postfix.SMTP)
CLEAR = url("smtp", postfix.CLEAR)
SMALL = url("smtp", postfix.SMALL)
DATA_ONLY = url("smtp", postfix.DATA_ONLY)
LOCK_STEP = url("smtp", postfix.LOCK_STEP)
SUBMISSION = url("submission", postfix.SUBMISSION)
SMTPS = url("smtps", postfix.SMTPS)
DOVECOT = url("submission", dovecot.SUBMISSION)
LMTP = url("lmtp", dovecot.LMTP)

USERS = {"alice": "correct horse 7!", "bob": "bob's secret", "carol": "carol+/=secret",
         "zoe": "Tr0ub4dor&3 läuft"}


def start(env, system):
    """Starts them in the overlay `system`; they end with the namespace."""
    env.ca = ca.Authority(os.path.join(env.folder, "ca"))
    env.certificate = env.ca.issue("server", "DNS:localhost,DNS:mx.test.example,IP:127.0.0.1")
    env.users = USERS
    mail = os.path.join(env.folder, "mail")
    for name in ("", "/postfix", "/dovecot"):
        os.mkdir(mail + name)
        os.chown(mail + name, 8, 8)
    env.dovecot = dovecot.Dovecot(system, os.path.join(env.folder, "dovecot"), mail + "/dovecot",
                                  USERS, env.certificate, postfix.SMTP)
    env.postfix = postfix.Postfix(system, os.path.join(env.folder, "postfix"), mail + "/postfix",
                                  list(USERS) + ["почта"], env.certificate, env.dovecot.auth)
    for port in postfix.SERVICES:
        harness.wait_for_port(port, "Postfix")
    for port in (dovecot.LMTP, dovecot.SUBMISSION):
        harness.wait_for_port(port, "Dovecot")


def credentials(env, user="alice"):
    """The options of a login."""
    return ("--user", user, "--password-file",
            env.file("password", env.users[user].encode() + b"\n"))


def login(env, user="alice"):
    """The options of a login on a link that the test CA verifies."""
    return ("--ca-file", env.ca.file) + credentials(env, user)
