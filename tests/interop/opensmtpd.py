# SPDX-License-Identifier: MIT
"""OpenSMTPD (of the backports: the 6.8 in Debian 12 fails TLS under OpenSSL 3) on loopback ports,
delivering into Maildirs beneath its folder. Its queue and its control socket have fixed places, and
so there is one of it; and it wants an RSA key."""
import os

import ca
from server import DOMAIN, LATER, REFUSED_SENDER, USERS, Server, files_in, url

SMTP = 2725         # STARTTLS offered
CLEAR = 2726        # no TLS at all
SUBMISSION = 2787   # STARTTLS and AUTH demanded
SMTPS = 2765        # implicit TLS, AUTH demanded

LIMIT = 400 * 1024
BACKPORTS = ("opensmtpd",)

CONFIG = """
pki own cert "{cert}"
pki own key "{key}"
table accounts file:{folder}/accounts
table credentials file:{folder}/credentials
table known file:{folder}/known
smtp max-message-size {limit}
smtp limit max-mails 1000
filter "judge" proc-exec "{folder}/judge"
listen on 127.0.0.1 port {smtp} tls pki own hostname mx.test.example filter "judge"
listen on 127.0.0.1 port {clear} hostname mx.test.example filter "judge"
listen on 127.0.0.1 port {submission} tls-require pki own auth <credentials> hostname mx.test.example
listen on 127.0.0.1 port {smtps} smtps pki own auth <credentials> hostname mx.test.example
action "deliver" maildir "{mail}/%{{user.username}}" userbase <accounts>
match from any mail-from "{refused_sender}" for any reject
match from any for domain "{domain}" rcpt-to <known> action "deliver"
"""

# A filter speaks lines: smtpd-filters(7).
JUDGE = """#!/usr/bin/python3
import sys
header = {{}}
for line in sys.stdin:
    word = line.rstrip("\\n").split("|")
    if word[:2] == ["config", "ready"]:
        for phase in ("rcpt-to", "data-line", "commit"):
            print("register|filter|smtp-in|" + phase)
        print("register|ready")
    elif word[0] == "filter":
        phase, session, token, rest = word[4], word[5], word[6], "|".join(word[7:])
        if phase == "data-line":
            print("filter-dataline|%s|%s|%s" % (session, token, rest))
            if rest in ("X-Interop: refuse", "X-Interop: defer"):
                header[session] = rest
            sys.stdout.flush()
            continue
        answer = "proceed"
        if phase == "rcpt-to" and "{later}" in rest:
            answer = "reject|451 4.2.1 come back later"
        if phase == "commit":
            found = header.pop(session, "")
            if found.endswith("refuse"):
                answer = "reject|550 5.7.1 this message is not welcome"
            if found.endswith("defer"):
                answer = "reject|451 4.7.1 not now"
        print("filter-result|%s|%s|%s" % (session, token, answer))
    sys.stdout.flush()
"""


class Opensmtpd(Server):
    name = "OpenSMTPD"
    ways = {"starttls": url("smtp", SMTP), "clear": url("smtp", CLEAR),
            "submission": url("submission", SUBMISSION), "smtps": url("smtps", SMTPS)}
    mechanisms = ("PLAIN", "LOGIN")
    offers = ("8BITMIME", "DSN", "SIZE")
    envid = []
    limited = {"announced": (url("smtp", SMTP), LIMIT)}
    refusals = {"nobody": ("rcpt", 550), "later": ("rcpt", 451), "sender": ("rcpt", 550),
                "message": ("body", 550), "message later": ("body", 451)}

    def __init__(self, overlay, folder, certificate, authority):
        super().__init__(overlay, folder, authority.issue(
            "opensmtpd", "DNS:localhost,DNS:mx.test.example,IP:127.0.0.1", key=ca.RSA))
        self.write("judge", JUDGE.format(later=LATER), 0o755)
        self.write("accounts", "".join("%s 8:8:%s/%s\n" % (x, self.mail, x) for x in USERS))
        self.write("known", "".join("%s@%s\n" % (x, DOMAIN) for x in (*USERS, LATER.split("@")[0])))
        self.write("credentials", "".join(
            "%s\t%s\n" % (user, overlay.output("smtpctl", "encrypt", password).strip())
            for user, password in USERS.items()))
        config = self.write("smtpd.conf", CONFIG.format(
            folder=self.folder, mail=self.mail, domain=DOMAIN, cert=self.cert, key=self.key,
            smtp=SMTP, clear=CLEAR, submission=SUBMISSION, smtps=SMTPS, limit=LIMIT,
            refused_sender=REFUSED_SENDER))
        overlay.writable("/var/spool")
        self.spool = os.path.join(overlay.root, "var/spool/smtpd")
        self.start("/usr/sbin/smtpd", "-d", "-f", config)

    def queued(self):
        return files_in(os.path.join(self.spool, "queue"), os.path.join(self.spool, "incoming"))
