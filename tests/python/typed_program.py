# SPDX-License-Identifier: MIT
"""A program that uses all of smtplib, typed. For mypy alone, which must find nothing in it,
whichever smtplib it imports (types.sh exchanges the line). Never run."""
import smtplib
import ssl
from email.message import EmailMessage
from typing import Dict, List, Optional, Sequence, Tuple, Type


class Client(smtplib.SMTP):
    """As programs override it."""

    def __init__(self, host: str) -> None:
        super().__init__(host, 25, "me.example", timeout=10, source_address=("127.0.0.1", 0))
        self.user, self.password = "ann", "pencil"

    def putcmd(self, cmd: str, args: str = "") -> None:
        super().putcmd(cmd.upper(), args)

    def getreply(self) -> Tuple[int, bytes]:
        return super().getreply()

    def rcpt(self, recip: str, options: Sequence[str] = ()) -> Tuple[int, bytes]:
        return super().rcpt(recip, list(options) + ["NOTIFY=NEVER"])


def answer(challenge: Optional[bytes] = None) -> str:
    return "" if challenge is None else challenge.decode()


def by_hand(client: smtplib.SMTP) -> None:
    replies: List[Tuple[int, bytes]] = [
        client.connect("localhost", 0, source_address=("", 0)), client.docmd("NOOP"), client.helo(),
        client.ehlo("me.example"), client.rset(), client.noop(),
        client.mail("a@b.example", ["SIZE=7"]), client.rcpt("b@c.example", ("NOTIFY=NEVER",)),
        client.data(b"x"), client.data("x"), client.data(bytearray(b"x")),
        client.verify("a"), client.vrfy("a"), client.expn("list"),
        client.auth("PLAIN", client.auth_plain), client.auth("LOGIN", client.auth_login,
                                                             initial_response_ok=False),
        client.auth("CRAM-MD5", client.auth_cram_md5), client.login("ann", "pencil"),
        client.starttls(), client.starttls(context=ssl.create_default_context()),
        client.starttls("key.pem", "cert.pem"), client.quit()]
    said: bytes = client.help("RCPT")
    offered: Dict[str, str] = client.esmtp_features
    name: str = client.local_hostname
    port: int = client.default_port
    greeting: Optional[bytes] = client.ehlo_resp or client.helo_resp
    client.set_debuglevel(2)
    client.ehlo_or_helo_if_needed()
    client.does_esmtp = client.has_extn("SIZE")
    if client.sock is not None:
        client.sock.settimeout(3)
    client.local_hostname = "me.example"
    client.close()
    print(replies, said, offered, name, port, greeting)


def whole(client: smtplib.SMTP, message: EmailMessage) -> None:
    refused: Dict[str, Tuple[int, bytes]] = client.sendmail("a@b.example", ["b@c.example"], b"x",
                                                            ["SIZE=7"])
    refused.update(client.sendmail("a@b.example", "b@c.example", "x",
                                   rcpt_options=("NOTIFY=NEVER",)))
    refused.update(client.send_message(message, to_addrs=["b@c.example"], mail_options=()))


def main() -> None:
    kinds: List[Type[smtplib.SMTP]] = [smtplib.SMTP, smtplib.SMTP_SSL, smtplib.LMTP]
    for kind in kinds:
        with kind("localhost") as client:
            by_hand(client)
    with smtplib.SMTP_SSL("localhost", 465, context=ssl.create_default_context(),
                          timeout=3) as secure:
        secure.noop()
    with smtplib.LMTP("/run/lmtp", local_hostname="me.example") as store:
        whole(store, EmailMessage())
    port: int = smtplib.SMTP_PORT + smtplib.SMTP_SSL_PORT + smtplib.LMTP_PORT
    text: str = smtplib.quoteaddr("a") + smtplib.quotedata("x") + smtplib.CRLF
    text += smtplib.bCRLF.decode()
    try:
        whole(Client("localhost"), EmailMessage())
    except smtplib.SMTPSenderRefused as sender_refused:
        text += sender_refused.sender
    except smtplib.SMTPRecipientsRefused as all_refused:
        text += repr(all_refused.recipients["a@b.example"][1])
    except (smtplib.SMTPDataError, smtplib.SMTPConnectError, smtplib.SMTPHeloError,
            smtplib.SMTPAuthenticationError) as refused:
        port += refused.smtp_code
        text += repr(refused.smtp_error)
    except (smtplib.SMTPNotSupportedError, smtplib.SMTPServerDisconnected,
            smtplib.SMTPException) as error:
        text += repr(error.errno)
    client = Client("localhost")
    client.auth("X", answer)
    print(port, text)
