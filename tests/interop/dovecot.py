# SPDX-License-Identifier: MIT
"""Dovecot on loopback: LMTP (TCP and Unix socket) into Maildirs, a submission service that relays
to Postfix, and the SASL service that Postfix asks."""
import os

LMTP = 2424
SUBMISSION = 2588   # STARTTLS, AUTH demanded; relays to Postfix

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
auth_mechanisms = plain login
auth_username_format = %Ln
auth_failure_delay = 0
first_valid_uid = 1
mail_location = maildir:{mail}/%n
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
}}
submission_relay_host = 127.0.0.1
submission_relay_port = {relay}
submission_relay_ssl = no
submission_relay_trusted = no
"""


class Dovecot:
    def __init__(self, overlay, folder, mail, users, certificate, relay):
        """`users` maps names to passwords."""
        self.folder, self.mail, self.log = folder, mail, os.path.join(folder, "log")
        self.auth, self.lmtp = os.path.join(folder, "auth"), os.path.join(folder, "lmtp")
        config = os.path.join(folder, "dovecot.conf")
        os.makedirs(folder)
        os.chmod(folder, 0o755)
        with open(config, "w") as f:
            f.write(CONFIG.format(folder=folder, mail=mail, lmtp=LMTP, submission=SUBMISSION,
                                  relay=relay, cert=certificate.cert, key=certificate.key))
        with open(os.path.join(folder, "passwd"), "w") as f:
            f.write("".join("%s:%s\n" % user for user in users.items()))
        os.chmod(f.name, 0o644)
        self.process = overlay.run("/usr/sbin/dovecot", "-F", "-c", config)
