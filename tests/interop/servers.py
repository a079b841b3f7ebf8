# SPDX-License-Identifier: MIT
"""The real servers of one run: where they are installed, which of them run, and how tests log in."""
import os

import aiosmtpd_server
import ca
import chasquid
import dovecot
import exim
import haraka
import harness
import kerberos
import node
import opensmtpd
import overlay
import postfix
import smtp_server
from server import url

SMTP = url("smtp", postfix.SMTP)
CLEAR = url("smtp", postfix.CLEAR)
SMALL = url("smtp", postfix.SMALL)
DATA_ONLY = url("smtp", postfix.DATA_ONLY)
LOCK_STEP = url("smtp", postfix.LOCK_STEP)
SUBMISSION = url("submission", postfix.SUBMISSION)
SMTPS = url("smtps", postfix.SMTPS)
DOVECOT = url("submission", dovecot.SUBMISSION)
LMTP = url("lmtp", dovecot.LMTP)

# In the order of starting: Dovecot is asked about logins by Postfix.
CLASSES = (dovecot.Dovecot, postfix.Postfix, exim.Exim, opensmtpd.Opensmtpd, chasquid.Chasquid,
           aiosmtpd_server.Aiosmtpd, smtp_server.SmtpServer, haraka.Haraka)
POSTFIX_AND_DOVECOT = (dovecot.Dovecot, postfix.Postfix)

# Servers of one overlay agree as packages.
OVERLAYS = {
    "postfix": (POSTFIX_AND_DOVECOT,
                {"packages": postfix.PACKAGES + dovecot.PACKAGES + kerberos.PACKAGES}),
    "exim": ((exim.Exim,), {"packages": exim.PACKAGES}),
    "opensmtpd": ((opensmtpd.Opensmtpd,), {"backports": opensmtpd.BACKPORTS}),
    "others": ((chasquid.Chasquid, aiosmtpd_server.Aiosmtpd),
               {"packages": chasquid.PACKAGES + aiosmtpd_server.PACKAGES}),
    "node": ((smtp_server.SmtpServer, haraka.Haraka),
             {"prepare": node.prepare, "files": node.FILES}),
}


def overlays(folder, classes):
    """An overlay for each group of servers of which one is wanted, by class."""
    found = {}
    for name, (group, contents) in OVERLAYS.items():
        if set(group) & set(classes):
            found.update(dict.fromkeys(group, overlay.Overlay(folder, name, **contents)))
    return found


def start(env, systems, classes):
    """Starts the wanted servers, each in its overlay of `systems`; they end with the namespace."""
    env.ca = ca.Authority(os.path.join(env.folder, "ca"))
    env.certificate = env.ca.issue("server", "DNS:localhost,DNS:mx.test.example,IP:127.0.0.1")
    env.client_certificates = {
        x: env.ca.issue(x, "email:%s@test.example" % x, usage="clientAuth") for x in ("alice", "bob")}
    if dovecot.Dovecot in classes:
        env.kerberos = kerberos.Kerberos(systems[dovecot.Dovecot], env.folder)
    for kind in CLASSES:
        if kind in classes:
            server = kind(systems[kind], env.folder, env.certificate, env.ca)
            env.servers[kind.name] = server
    env.postfix, env.dovecot = env.servers.get("Postfix"), env.servers.get("Dovecot")
    for server in env.servers.values():
        for port in server.ports():
            harness.wait_for_port(port, server)


def credentials(env, user="alice"):
    """The options of a login."""
    return ("--user", user, "--password-file",
            env.file("password", env.users[user].encode() + b"\n"))


def login(env, user="alice"):
    """The options of a login on a link that the test CA verifies."""
    return ("--ca-file", env.ca.file) + credentials(env, user)
