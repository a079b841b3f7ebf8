# SPDX-License-Identifier: MIT
"""aiosmtpd on loopback ports, in a process of the overlay; its handler writes Maildirs.

This module is both: what the tests start, and, run as a program, the server."""
import os
import sys

LIMIT = 200 * 1024

PORTS = {"starttls": 2925,      # STARTTLS offered
         "clear": 2926,         # no TLS
         "announced": 2927,     # SIZE with LIMIT
         "unannounced": 2928,   # no SIZE, yet the same limit
         "submission": 2987,    # STARTTLS and AUTH demanded
         "smtps": 2965,         # implicit TLS, AUTH demanded
         "lmtp": 2924}          # LMTP, STARTTLS offered

PACKAGES = ("python3-aiosmtpd",)


def serve(folder, users):
    """The program. `users` maps names to passwords."""
    import asyncio
    import ssl
    import types

    from aiosmtpd.lmtp import LMTP
    from aiosmtpd.smtp import SMTP, AuthResult

    from server import LATER, REFUSED_SENDER

    boxes = set(users) | {"почта"}

    class Handler:
        limit = None
        count = 0

        async def handle_MAIL(self, server, session, envelope, address, options):
            if address == REFUSED_SENDER:
                return "550 5.7.1 this sender is not welcome"
            envelope.mail_from = address or "<>"
            return "250 2.1.0 OK"

        async def handle_RCPT(self, server, session, envelope, address, options):
            if address == LATER:
                return "450 4.2.1 come back later"
            if address.split("@")[0] not in boxes:
                return "550 5.1.1 <%s>: no such user here" % address
            envelope.rcpt_tos.append(address)
            return "250 2.1.5 OK"

        async def handle_DATA(self, server, session, envelope):
            content = envelope.original_content
            header = content.split(b"\r\n\r\n")[0].split(b"\r\n")
            if self.limit and len(content) > self.limit:
                reply = "552 5.3.4 too big"
            elif b"X-Interop: refuse" in header:
                reply = "550 5.7.1 this message is not welcome"
            elif b"X-Interop: defer" in header:
                reply = "451 4.7.1 not now"
            else:
                for address in envelope.rcpt_tos:
                    self.keep(address.split("@")[0], content)
                reply = "250 2.0.0 OK: kept"
            # LMTP has a reply for each recipient (RFC 2033 §4.2), which aiosmtpd leaves to us.
            return "\r\n".join([reply] * (len(envelope.rcpt_tos) if isinstance(server, LMTP) else 1))

        def keep(self, user, content):
            Handler.count += 1
            name = os.path.join(folder, "mail", user, "%s", "%06d" % Handler.count)
            for part in ("tmp", "new"):
                os.makedirs(os.path.dirname(name % part), exist_ok=True)
            with open(name % "tmp", "wb") as f:
                f.write(content)
            os.rename(name % "tmp", name % "new")

    class Limited(Handler):
        limit = LIMIT

    def authenticate(server, session, envelope, mechanism, data):
        good = users.get(data.login.decode()) == data.password.decode()
        return AuthResult(success=good, handled=False, auth_data=data)

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(os.path.join(folder, "server.pem"), os.path.join(folder, "server.key"))
    login = {"authenticator": authenticate, "auth_required": True}
    starttls = {"tls_context": context}
    size = {"data_size_limit": 20 << 20}
    kinds = {
        "starttls": (SMTP, Handler(), {**starttls, **size}),
        "clear": (SMTP, Handler(), size),
        "announced": (SMTP, Handler(), {**starttls, "data_size_limit": LIMIT}),
        "unannounced": (SMTP, Limited(), {**starttls, "data_size_limit": None}),
        "submission": (SMTP, Handler(), {**starttls, **login, **size, "require_starttls": True}),
        # Under implicit TLS aiosmtpd does not know that there is TLS.
        "smtps": (SMTP, Handler(), {**login, **size, "auth_require_tls": False}),
        "lmtp": (LMTP, Handler(), {**starttls, **size}),
    }

    async def run():
        loop = asyncio.get_running_loop()
        for name, (kind, handler, options) in kinds.items():
            options = types.MappingProxyType({**options, "enable_SMTPUTF8": True,
                                              "hostname": "mx.test.example", "loop": loop})
            await loop.create_server(
                lambda kind=kind, handler=handler, options=options: kind(handler, **options),
                "127.0.0.1", PORTS[name], ssl=context if name == "smtps" else None)
        await asyncio.Event().wait()

    asyncio.run(run())


if __name__ == "__main__":
    import json
    serve(sys.argv[1], json.loads(sys.argv[2]))
else:
    import json

    from server import USERS, Server, url

    class Aiosmtpd(Server):
        name = "aiosmtpd"
        line_end = b"\r\n"
        ways = {"starttls": url("smtp", PORTS["starttls"]), "clear": url("smtp", PORTS["clear"]),
                "submission": url("submission", PORTS["submission"]),
                "smtps": url("smtps", PORTS["smtps"]), "lmtp": url("lmtp", PORTS["lmtp"])}
        mechanisms = ("PLAIN", "LOGIN")
        offers = ("8BITMIME", "SMTPUTF8", "SIZE")
        limited = {x: (url("smtp", PORTS[x]), LIMIT) for x in ("announced", "unannounced")}
        refusals = {"nobody": ("rcpt", 550), "later": ("rcpt", 450), "sender": ("mail", 550),
                    "message": ("body", 550), "message later": ("body", 451)}

        def __init__(self, overlay, folder, certificate, authority):
            super().__init__(overlay, folder, certificate)
            program = self.write("program/aiosmtpd_server.py", open(__file__).read())
            self.write("program/server.py",
                       open(os.path.join(os.path.dirname(__file__), "server.py")).read())
            self.start("/usr/bin/python3", "-B", program, self.folder, json.dumps(USERS))
