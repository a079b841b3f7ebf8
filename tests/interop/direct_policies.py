# SPDX-License-Identifier: MIT
"""The web server of the MTA-STS policies (RFC 8461 §3.3): one for all domains, told apart by SNI."""
import http.server
import ssl
import threading
import time

TYPE = "text/plain; charset=utf-8"


def policy(mode="enforce", *mx, max_age=86400, version="STSv1"):
    return "\r\n".join(["version: " + version, "mode: " + mode, *("mx: " + x for x in mx),
                        "max_age: %d" % max_age, ""])


class Answer:
    """What a policy's host says: text by itself, or something that it must not."""

    def __init__(self, text="", status=200, type=TYPE, headers=(), certificate=None, wait=0):
        self.text, self.status, self.type, self.headers = text, status, type, headers
        self.certificate, self.wait = certificate, wait


class Policies:
    """`answers` maps a domain to an Answer, and may be changed; `asked` has (host, path) of what was
    fetched, `tried` the name of each handshake."""

    def __init__(self, address, certificates, answers):
        self.answers, self.asked, self.tried = answers, [], []
        self._contexts = {name: x.context() for name, x in certificates.items()}
        self._context = certificates["policies"].context()
        self._context.sni_callback = self._choose
        policies = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle(self):
                try:
                    super().handle()
                except OSError:     # the client does not like the certificate, or has left
                    pass

            def do_GET(self):
                policies.answer(self)

            def log_message(self, *args):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads, request_queue_size = True, 64

            def get_request(self):
                sock, client = self.socket.accept()
                sock.settimeout(70)
                return policies._context.wrap_socket(
                    sock, server_side=True, do_handshake_on_connect=False), client

        self._server = Server((address, 443), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def _find(self, host):
        return self.answers.get(host.removeprefix("mta-sts.")) if host else None

    def _choose(self, sock, name, context):
        self.tried.append(name)
        found = self._find(name)
        if found is None:
            return ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME
        if found.certificate:
            sock.context = self._contexts[found.certificate]
        return None

    def answer(self, request):
        host = request.headers.get("Host", "").partition(":")[0]
        self.asked.append((host, request.path))
        found = self._find(host)
        if found is None or request.path != "/.well-known/mta-sts.txt":
            found = Answer("no\r\n", 404)
        time.sleep(found.wait)
        body = found.text.encode()
        request.send_response(found.status)
        for name, value in (("Content-Type", found.type), ("Content-Length", str(len(body))),
                            *found.headers):
            request.send_header(name, value)
        request.end_headers()
        request.wfile.write(body)
