# SPDX-License-Identifier: MIT
"""Haraka on loopback ports; node/haraka_interop.js is its plug-in."""
import json
import os
import shutil

import node
from server import LATER, REFUSED_SENDER, USERS, Server, url

PORTS = {"starttls": 3125,      # STARTTLS offered
         "clear": 3126,         # no TLS
         "submission": 3187,    # STARTTLS offered, AUTH demanded
         "smtps": 3165}         # implicit TLS, AUTH demanded

LIMIT = 400 * 1024

CONFIG = {
    "me": "mx.test.example\n",
    "plugins": "tls\nharaka_interop\n",
    "smtp.ini": "listen=%s\nsmtps_port=%d\nnodes=0\n" % (
        ",".join("127.0.0.1:%d" % x for x in PORTS.values()), PORTS["smtps"]),
    # Haraka breaks longer lines in two, stuffed dots counted, and would do so at 992.
    "connection.ini": "[main]\nsmtputf8=true\n[haproxy]\nhosts[]=\n[headers]\nmax_lines=1000\n"
                      "[max]\nbytes=%d\ndata_line_length=1001\n"
                      "[message]\nhelo=welcome\nclose=bye\n[uuid]\n" % LIMIT,
    "tls.ini": "key={key}\ncert={cert}\nno_starttls_ports[]=%d\n" % PORTS["clear"],
    "log.ini": "[main]\nlevel=info\n",
}


class Haraka(Server):
    name = "Haraka"
    line_end = b"\r\n"
    ways = {x: url({"starttls": "smtp", "clear": "smtp"}.get(x, x), port)
            for x, port in PORTS.items()}
    mechanisms = ("PLAIN", "LOGIN", "CRAM-MD5")
    offers = ("PIPELINING", "8BITMIME", "SMTPUTF8", "SIZE")
    trace = ("authentication-results",)
    # It ends a header that has no end.
    changes = {"header fields only": lambda x: x + b"\r\n"}
    limited = {"announced": (url("smtp", PORTS["starttls"]), LIMIT)}
    refusals = {"nobody": ("rcpt", 550), "later": ("rcpt", 450), "sender": ("mail", 550),
                "message": ("body", 550), "message later": ("body", 450)}

    def __init__(self, overlay, folder, certificate, authority):
        super().__init__(overlay, folder, certificate)
        os.symlink(node.FOLDER + "/node_modules", os.path.join(self.folder, "node_modules"))
        for name, content in CONFIG.items():
            self.write("config/" + name, content.format(key=self.key, cert=self.cert))
        self.write("config/interop.json", json.dumps({
            "ports": PORTS, "users": USERS, "mail": self.mail, "later": LATER,
            "refused_sender": REFUSED_SENDER}))
        os.mkdir(os.path.join(self.folder, "plugins"))
        for name in ("haraka_interop.js", "maildir.js"):
            shutil.copy(os.path.join(node.HERE, name), os.path.join(self.folder, "plugins"))
        self.start("node", node.FOLDER + "/node_modules/Haraka/haraka.js",
                   env={**os.environ, "HARAKA": self.folder})
