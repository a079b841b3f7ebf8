# SPDX-License-Identifier: MIT
"""chasquid on loopback ports; its delivery agent is a script that writes Maildirs."""
import os

from server import DOMAIN, UNICODE, USERS, Server, files_in, url

SMTP = 2825         # STARTTLS offered; AUTH offered under TLS
SUBMISSION = 2887   # STARTTLS and AUTH demanded
SMTPS = 2865        # implicit TLS, AUTH demanded

LIMIT = 1 << 20     # in whole megabytes

PACKAGES = ("chasquid",)

CONFIG = """
hostname: "mx.test.example"
max_data_size_mb: {limit}
smtp_address: "127.0.0.1:{smtp}"
submission_address: "127.0.0.1:{submission}"
submission_over_tls_address: "127.0.0.1:{smtps}"
mail_delivery_agent_bin: "{folder}/deliver"
mail_delivery_agent_args: "%to_user%"
data_dir: "{folder}/data"
mail_log_path: "<stderr>"
"""

DELIVER = """#!/bin/sh
set -eu
umask 022
cd {mail}
mkdir -p "$1/tmp" "$1/new"
file=$(mktemp "$1/tmp/XXXXXXXXXX")
cat > "$file"
mv "$file" "$1/new/"
"""

# Exit status 20: refused for good; anything else but 0: for now.
JUDGE = """#!/bin/sh
head=$(sed '/^$/q' | tr -d '\\r')
case $head in
*"X-Interop: refuse"*) echo this message is not welcome; exit 20 ;;
*"X-Interop: defer"*) echo not now; exit 75 ;;
esac
"""


class Chasquid(Server):
    name = "chasquid"
    ways = {"starttls": url("smtp", SMTP), "submission": url("submission", SUBMISSION),
            "smtps": url("smtps", SMTPS)}
    mechanisms = ("PLAIN",)
    offers = ("PIPELINING", "8BITMIME", "SMTPUTF8", "SIZE")
    loses_riders = True
    patience = 2        # after the third it says 421
    limited = {"announced": (url("smtp", SMTP), LIMIT)}
    trace = ("received-spf",)
    refusals = {"nobody": ("rcpt", 550), "message": ("body", 554), "message later": ("body", 451),
                # It wants an empty line behind the header.
                "header fields only": ("body", 554), "an empty message": ("body", 554)}

    def __init__(self, overlay, folder, certificate, authority):
        super().__init__(overlay, folder, certificate)
        for name in ("data", "hooks", "domains/" + DOMAIN, "certs/mx.test.example"):
            os.makedirs(os.path.join(self.folder, name))
        for link, file in (("fullchain", self.cert), ("privkey", self.key)):
            os.symlink(file, os.path.join(self.folder, "certs/mx.test.example", link + ".pem"))
        self.write("chasquid.conf", CONFIG.format(
            folder=self.folder, smtp=SMTP, submission=SUBMISSION, smtps=SMTPS, limit=LIMIT >> 20))
        self.write("deliver", DELIVER.format(mail=self.mail), 0o755)
        self.write("hooks/post-data", JUDGE, 0o755)
        for user in (*USERS, UNICODE):
            overlay.output("chasquid-util", "--configdir=" + self.folder, "user-add",
                           "%s@%s" % (user, DOMAIN), "--password=" + USERS.get(user, "unused"))
        self.start("/usr/bin/chasquid", "--config_dir=" + self.folder)

    def login(self, user):
        return "%s@%s" % (user, DOMAIN)

    def queued(self):
        return files_in(os.path.join(self.folder, "data", "queue"))
