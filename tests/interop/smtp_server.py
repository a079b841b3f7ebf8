# SPDX-License-Identifier: MIT
"""Nodemailer's smtp-server on loopback ports; node/smtp_server.js is the program."""
import json
import os
import shutil

import node
from server import LATER, REFUSED_SENDER, TOKEN, USERS, Server, url

LIMIT = 200 * 1024

PORTS = {"starttls": 3025,      # STARTTLS offered
         "clear": 3026,         # no TLS
         "announced": 3027,     # SIZE with LIMIT
         "unannounced": 3028,   # no SIZE, yet the same limit
         "submission": 3087,    # STARTTLS offered, AUTH demanded
         "smtps": 3065,         # implicit TLS, AUTH demanded
         "lmtp": 3024}          # LMTP, STARTTLS offered


class SmtpServer(Server):
    name = "smtp-server"
    line_end = b"\r\n"
    ways = {"starttls": url("smtp", PORTS["starttls"]), "clear": url("smtp", PORTS["clear"]),
            "submission": url("submission", PORTS["submission"]),
            "smtps": url("smtps", PORTS["smtps"]), "lmtp": url("lmtp", PORTS["lmtp"])}
    mechanisms = ("PLAIN", "LOGIN", "CRAM-MD5", "XOAUTH2")
    offers = ("PIPELINING", "8BITMIME", "SMTPUTF8", "SIZE")
    limited = {x: (url("smtp", PORTS[x]), LIMIT) for x in ("announced", "unannounced")}
    refusals = {"nobody": ("rcpt", 550), "later": ("rcpt", 450), "sender": ("mail", 550),
                "message": ("body", 550), "message later": ("body", 451)}

    def __init__(self, overlay, folder, certificate, authority):
        super().__init__(overlay, folder, certificate)
        os.symlink(node.FOLDER + "/node_modules", os.path.join(self.folder, "node_modules"))
        for name in ("smtp_server.js", "maildir.js"):
            shutil.copy(os.path.join(node.HERE, name), self.folder)
        self.start("node", os.path.join(self.folder, "smtp_server.js"), json.dumps({
            "ports": PORTS, "limit": LIMIT, "users": USERS, "token": TOKEN, "mail": self.mail,
            "cert": self.cert, "key": self.key, "later": LATER, "refused_sender": REFUSED_SENDER}))
