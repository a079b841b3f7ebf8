# SPDX-License-Identifier: MIT
"""Dovecot on loopback: LMTP (TCP and Unix socket) into Maildirs, a submission service that relays
to Postfix, and the SASL service that Postfix asks."""
import base64
import hashlib
import hmac
import json
import os
import time

import kerberos
from server import DOMAIN, USERS, Server, url

LMTP = 2424         # STARTTLS offered
SUBMISSION = 2588   # STARTTLS, AUTH demanded; relays to Postfix
SUBMISSIONS = 2467  # the same under implicit TLS
RELAY = 2525        # of Postfix

LMTP_LIMIT = 400 * 1024
LIMIT = 1 << 20
PACKAGES = ("dovecot-core", "dovecot-lmtpd", "dovecot-submissiond")
MECHANISMS = ("PLAIN", "LOGIN", "CRAM-MD5", "DIGEST-MD5", "SCRAM-SHA-1", "SCRAM-SHA-256", "XOAUTH2",
              "OAUTHBEARER", "GSSAPI")

CONFIG = """
base_dir = {folder}/base
state_dir = {folder}/state
log_path = {folder}/log
auth_verbose = yes
hostname = mx.test.example
listen = 127.0.0.1
protocols = lmtp submission
ssl = yes
ssl_cert = <{cert}
ssl_key = <{key}
disable_plaintext_auth = yes
auth_mechanisms = {mechanisms}
auth_realms = {domain}
auth_krb5_keytab = {keytab}
auth_gssapi_hostname = "$ALL"
import_environment = $import_environment KRB5_CONFIG
auth_username_format = %Ln
auth_failure_delay = 0
first_valid_uid = 1
mail_location = maildir:{mail}/%n
mail_plugins = quota
plugin {{
  quota = maildir:everybody
  quota_max_mail_size = {lmtp_limit}
}}
passdb {{
  driver = oauth2
  mechanisms = xoauth2 oauthbearer
  args = {folder}/oauth2.conf
}}
passdb {{
  driver = passwd-file
  args = scheme=PLAIN {folder}/passwd
}}
userdb {{
  driver = static
  args = uid=8 gid=8 home={mail}/%n
}}
service auth {{
  unix_listener {folder}/auth {{
    mode = 0666
  }}
}}
service anvil {{
  # no waiting after a wrong password
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
service lmtp {{
  inet_listener lmtp {{
    port = {lmtp}
  }}
  unix_listener {folder}/lmtp {{
    mode = 0666
  }}
}}
service submission-login {{
  inet_listener submission {{
    port = {submission}
  }}
  inet_listener submissions {{
    port = {submissions}
    ssl = yes
  }}
}}
submission_relay_host = 127.0.0.1
submission_relay_port = {relay}
submission_relay_ssl = no
submission_relay_trusted = no
submission_max_mail_size = {limit}
"""


OAUTH2 = """
introspection_mode = local
local_validation_key_dict = fs:posix:prefix={folder}/keys/
username_attribute = sub
"""

SECRET = b"known to the server and to whoever makes its tokens"


def token(user, secret=SECRET):
    """A JSON Web Token (RFC 7519) for `user`, good for an hour."""
    def part(content):
        return base64.urlsafe_b64encode(content).rstrip(b"=")
    now = int(time.time())
    signed = b".".join(part(json.dumps(x).encode()) for x in (
        {"alg": "HS256", "typ": "JWT"}, {"sub": user, "iat": now - 60, "exp": now + 3600}))
    return (signed + b"." + part(hmac.new(secret, signed, hashlib.sha256).digest())).decode()


def socket(folder):
    """Where Postfix asks about logins."""
    return os.path.join(folder, "dovecot", "auth")


class Dovecot(Server):
    name = "Dovecot"
    ways = {"lmtp": url("lmtp", LMTP), "submission": url("submission", SUBMISSION),
            "smtps": url("smtps", SUBMISSIONS)}
    relays = ("submission", "smtps")    # what comes there lies in Postfix's mailboxes
    judging = "submission"
    mechanisms = MECHANISMS
    offers = ("PIPELINING", "CHUNKING", "8BITMIME", "SIZE")
    limited = {"announced": (url("submission", SUBMISSION), LIMIT),
               "unannounced": (url("lmtp", LMTP), LMTP_LIMIT)}
    refusals = {"nobody": ("rcpt", 550), "later": ("rcpt", 450), "sender": ("rcpt", 550),
                "message": ("body", 550), "message later": ("body", 451),
                # A quota is nothing final to it.
                "unannounced": ("body", 451)}

    def __init__(self, overlay, folder, certificate, authority):
        super().__init__(overlay, folder, certificate)
        self.lmtp = os.path.join(self.folder, "lmtp")
        config = self.write("dovecot.conf", CONFIG.format(
            folder=self.folder, mail=self.mail, domain=DOMAIN, cert=self.cert, key=self.key,
            mechanisms=" ".join(MECHANISMS).lower(), lmtp=LMTP, submission=SUBMISSION,
            submissions=SUBMISSIONS, relay=RELAY, limit=LIMIT, lmtp_limit=LMTP_LIMIT,
            keytab=kerberos.keytab(folder)))
        self.write("passwd", "".join("%s:%s\n" % user for user in USERS.items()))
        self.write("oauth2.conf", OAUTH2.format(folder=self.folder))
        self.write("keys/default/HS256/default", base64.b64encode(SECRET).decode())
        self.process = overlay.run("/usr/sbin/dovecot", "-F", "-c", config,
                                   env={**os.environ, **kerberos.environment(folder)})

    def token(self, user):
        return token(user)
