# SPDX-License-Identifier: MIT
"""posthaste.smtplib against the standard library's: AUTH by each mechanism, by callables and by hand,
STARTTLS and SMTP_SSL with and without a context. See smtplib_oracle.py."""
import base64
import socket
import ssl

from peer import HANG, KEYWORDS, LOST
from smtplib_oracle import (ANN, BAD, BOB, GOOD, MESSAGE, MISNAMED, NAME, NOWHERE, PASSWORD,
                            PROHIBITED, TRUSTED, UNTRUSTED, USER, USERNAME, Script, by_hand, case,
                            closing, exchange, greeted, judging, lost, not_ascii, offering, own,
                            raised, saying, telling)

# login

@case("login: PLAIN", offering("PLAIN", GOOD))
def _(smtplib, at, say):
    with greeted(smtplib, at) as s:
        say(s.login(USER, PASSWORD), s.user, s.password)
        say(s.sendmail(ANN, BOB, MESSAGE))


@case("login: PLAIN without an initial response", offering("PLAIN", GOOD))
def _(smtplib, at, say):
    with greeted(smtplib, at) as s:
        say(s.login(USER, PASSWORD, initial_response_ok=False))


@case("login: LOGIN", offering("LOGIN", GOOD),
      why="AUTH LOGIN has no initial response: not every server takes one",
      default=dict(wire=telling((0, 1, 1, ["AUTH LOGIN", "dGlt"]))))
def _(smtplib, at, say):
    with greeted(smtplib, at) as s:
        say(s.login(USER, PASSWORD))


@case("login: LOGIN without an initial response", offering("LOGIN", GOOD))
def _(smtplib, at, say):
    with greeted(smtplib, at) as s:
        say(s.login(USER, PASSWORD, initial_response_ok=False))


@case("login: CRAM-MD5", offering("CRAM-MD5", GOOD))
def _(smtplib, at, say):
    with greeted(smtplib, at) as s:
        say(s.login(USER, PASSWORD))


@case("login: the order of mechanisms", offering("LOGIN PLAIN CRAM-MD5", GOOD),
      why="PLAIN before LOGIN, CRAM-MD5 last",
      default=dict(wire=telling((0, 1, 2, ["AUTH PLAIN AHRpbQB0YW5zdGFhZnRhbnN0YWFm"]))))
def _(smtplib, at, say):
    with greeted(smtplib, at) as s:
        say(s.login(USER, PASSWORD))


@case("login: a wrong password, one mechanism", offering("PLAIN", BAD))
def _(smtplib, at, say):
    with greeted(smtplib, at) as s:
        say.of(s.login, USER, "letmein")
        say(s.noop())


@case("login: a wrong password, three mechanisms",
      offering("PLAIN LOGIN CRAM-MD5", BAD, "535 5.7.8 second", "535 5.7.8 third"),
      why="no mechanism is tried behind a refusal: accounts get locked",
      default=dict(said=saying({0: raised("SMTPAuthenticationError", 535, b"5.7.8 not so")}),
                   wire=telling((0, 1, 2, []), (0, 4, 2, []))))
def _(smtplib, at, say):
    with greeted(smtplib, at) as s:
        say.of(s.login, USER, "letmein")
        say(s.noop())


@case("login: the first mechanism is not meant, the second is",
      offering("PLAIN LOGIN", "504 5.5.4 not that one", GOOD),
      why="AUTH LOGIN has no initial response: not every server takes one",
      default=dict(wire=telling((0, 2, 1, ["AUTH LOGIN", "dGlt"]))))
def _(smtplib, at, say):
    with greeted(smtplib, at) as s:
        say.of(s.login, USER, PASSWORD)
        say(s.noop())


@case("login: wrong, then right", offering("PLAIN", BAD, GOOD))
def _(smtplib, at, say):
    with greeted(smtplib, at) as s:
        say.of(s.login, USER, "letmein")
        say.of(s.login, USER, PASSWORD)


@case("login: twice, 503 the second time",
      offering("PLAIN", GOOD, "503 5.5.1 already authenticated"),
      why="503 is success only to the standard module",
      default=dict(said=saying({1: raised(
          "SMTPAuthenticationError", 503, b"5.5.1 already authenticated")})))
def _(smtplib, at, say):
    with greeted(smtplib, at) as s:
        say.of(s.login, USER, PASSWORD)
        say.of(s.login, USER, PASSWORD)


@case("login: 503 the first time", offering("PLAIN", "503 5.5.1 already authenticated"),
      why="503 is success only to the standard module",
      default=dict(said=[raised("SMTPAuthenticationError", 503, b"5.5.1 already authenticated")]))
def _(smtplib, at, say):
    with greeted(smtplib, at) as s:
        say.of(s.login, USER, PASSWORD)


@case("login: 250 for 235", offering("PLAIN", "250 fine"))
def _(smtplib, at, say):
    s = greeted(smtplib, at)
    say.of(s.login, USER, PASSWORD)


@case("login: 454 later", offering("PLAIN LOGIN", "454 4.7.0 later", "454 4.7.0 later still"),
      why="no mechanism is tried behind a refusal: accounts get locked",
      default=dict(said=[raised("SMTPAuthenticationError", 454, b"4.7.0 later")],
                   wire=telling((0, 2, 2, []))))
def _(smtplib, at, say):
    s = greeted(smtplib, at)
    say.of(s.login, USER, PASSWORD)


@case("login: AUTH is not offered")
def _(smtplib, at, say):
    with greeted(smtplib, at) as s:
        say.of(s.login, USER, PASSWORD)
        say(s.noop())


@case("login: no mechanism that we know", offering("X-OTHER KERBEROS_V4"))
def _(smtplib, at, say):
    with greeted(smtplib, at) as s:
        say.of(s.login, USER, PASSWORD)
        say(s.noop())


@case("login: on a server that knows HELO alone",
      Script({"EHLO": "502 what?", "HELO": "250 hello"}))
def _(smtplib, at, say):
    with greeted(smtplib, at) as s:
        say.of(s.login, USER, PASSWORD)


@case("login: the old style alone", Script({"AUTH": judging(GOOD)}, KEYWORDS + ("AUTH=LOGIN",)),
      why="AUTH LOGIN has no initial response: not every server takes one",
      default=dict(wire=telling((0, 1, 1, ["AUTH LOGIN", "dGlt"]))))
def _(smtplib, at, say):
    with greeted(smtplib, at) as s:
        say(s.login(USER, PASSWORD), s.esmtp_features["auth"])


@case("login: mechanisms in lower case", offering("plain login", GOOD),
      why="the case of letters does not matter",
      default=dict(said=[(235, b"2.7.0 welcome")],
                   wire=telling((0, 1, 0, ["AUTH PLAIN AHRpbQB0YW5zdGFhZnRhbnN0YWFm"]))))
def _(smtplib, at, say):
    with greeted(smtplib, at) as s:
        say.of(s.login, USER, PASSWORD)


@case("login: mechanisms that the program chooses", offering("PLAIN LOGIN CRAM-MD5", GOOD),
      why="AUTH LOGIN has no initial response: not every server takes one",
      default=dict(wire=telling((0, 1, 1, ["AUTH LOGIN", "dGlt"]))))
def _(smtplib, at, say):
    with by_hand(smtplib, at) as s:
        s.esmtp_features["auth"] = "LOGIN"
        say(s.login(USER, PASSWORD))


@case("login: mechanisms that the server did not offer", Script({"AUTH": judging(GOOD)}))
def _(smtplib, at, say):
    with by_hand(smtplib, at) as s:
        s.esmtp_features["auth"] = "PLAIN"
        say.of(s.login, USER, PASSWORD)


@case("login: the server closes at AUTH", Script({"AUTH": LOST}, KEYWORDS + ("AUTH PLAIN LOGIN",)))
def _(smtplib, at, say):
    s = greeted(smtplib, at)
    say.of(s.login, USER, PASSWORD)
    say(s.sock)


@case("login: 421 at AUTH",
      Script({"AUTH": closing("421 4.3.2 busy")}, KEYWORDS + ("AUTH PLAIN LOGIN",)),
      why="nothing is written behind a 421",
      default=dict(said=[raised("SMTPAuthenticationError", 421, b"4.3.2 busy")],
                   wire=telling((0, 2, 1, []))),
      strict=dict(wire=telling((0, 2, 1, []))))
def _(smtplib, at, say):
    s = greeted(smtplib, at)
    say.of(s.login, USER, PASSWORD)


@case("login: a challenge that is no base64", offering("CRAM-MD5", ("334 ***", BAD)),
      why="an exchange that breaks off is cancelled (RFC 4954, 4)",
      both=dict(said=[raised("SMTPAuthenticationError", 501, b"5.7.0 cancelled")],
                wire=telling((0, 2, 1, ["*"]))))
def _(smtplib, at, say):
    s = greeted(smtplib, at)
    say.of(s.login, USER, PASSWORD)


@case("login: a user and a password beyond ASCII", offering("PLAIN", GOOD),
      why="credentials are UTF-8 (RFC 4616), and stand in no exception",
      default=dict(said=[(235, b"2.7.0 welcome")],
                   wire=telling((0, 1, 0, ["AUTH PLAIN AHpvw6sAbMOkdWZ0"]))),
      strict=dict(said=[not_ascii(3)]))
def _(smtplib, at, say):
    with greeted(smtplib, at) as s:
        say.of(s.login, "zoë", "läuft")


@case("login: a password beyond ASCII, LOGIN", offering("LOGIN", GOOD),
      why="credentials are UTF-8, and stand in no exception; an exchange that breaks off is cancelled",
      default=dict(said=[(235, b"2.7.0 welcome")],
                   wire=telling((0, 1, 1, ["AUTH LOGIN", "dGlt", "bMOkdWZ0"]))),
      strict=dict(said=[not_ascii(1)], wire=telling((0, 2, 0, ["*"]))))
def _(smtplib, at, say):
    s = greeted(smtplib, at)
    say.of(s.login, USER, "läuft")


@case("login: a password beyond ASCII, CRAM-MD5", offering("CRAM-MD5", GOOD),
      why="credentials are UTF-8, and stand in no exception; an exchange that breaks off is cancelled",
      default=dict(said=[(235, b"2.7.0 welcome")], wire=telling(
          (0, 2, 0, ["dGltIDBlNjJkZDVjYTM4ZWI2MmEyM2E4YTA4MWMxNDc2MThk"]))),
      strict=dict(said=[not_ascii(1)], wire=telling((0, 2, 0, ["*"]))))
def _(smtplib, at, say):
    s = greeted(smtplib, at)
    say.of(s.login, USER, "läuft")


@case("login: an empty password, an empty user", offering("PLAIN", GOOD, GOOD))
def _(smtplib, at, say):
    s = greeted(smtplib, at)
    say.of(s.login, USER, "")
    s = greeted(smtplib, at)
    say.of(s.login, "", PASSWORD)


@case("login: a long password", offering("PLAIN", GOOD),
      why="a response that makes a line too long is sent behind the challenge (RFC 4954, 4)",
      both=dict(wire=lambda wire: [[wire[0][0], "AUTH PLAIN", wire[0][1].split()[2], "QUIT"]]))
def _(smtplib, at, say):
    with greeted(smtplib, at) as s:
        say.of(s.login, USER, "x" * 500)


@case("login: to a server elsewhere, in clear", offering("PLAIN", GOOD, address="198.51.100.7"),
      why="credentials do not cross the network in clear",
      both=dict(wire=telling((0, 1, 2, [])), said=saying(dict.fromkeys((0, 1), raised(
          "SMTPSecurityError", "the connection is not encrypted; credentials would cross it in clear "
          "(call starttls() first, or use SMTP_SSL)")))))
def _(smtplib, at, say):
    s = greeted(smtplib, at)
    say.of(s.login, USER, PASSWORD)
    say.of(s.auth, "PLAIN", lambda challenge=None: "\0tim\0" + PASSWORD)
    say(s.noop(), s.quit())


@case("login: through a socket of the program's own class, in clear", offering("PLAIN", GOOD),
      why="credentials do not cross in clear what may be a tunnel to elsewhere",
      both=dict(wire=telling((0, 1, 1, [])), said=[raised(
          "SMTPSecurityError", "the connection is not encrypted; credentials would cross it in clear "
          "(call starttls() first, or use SMTP_SSL)")]))
def _(smtplib, at, say):
    class Tunnel(socket.socket):
        pass

    class Own(smtplib.SMTP):
        def _get_socket(self, host, port, timeout):
            tunnel = Tunnel()
            tunnel.connect((host, port))
            return tunnel
    with Own(at.host, at.port, NAME) as s:
        say.of(s.login, USER, PASSWORD)


@case("login: over LMTP on a Unix socket", offering("PLAIN", GOOD, lmtp=True, unix=True))
def _(smtplib, at, say):
    with smtplib.LMTP(at.path, local_hostname=NAME) as s:
        say(s.login(USER, PASSWORD), s.sendmail(ANN, BOB, MESSAGE))


# auth with callables

@case("auth: the module's own callables", offering("PLAIN LOGIN CRAM-MD5", GOOD, GOOD, GOOD))
def _(smtplib, at, say):
    with by_hand(smtplib, at) as s:
        s.user, s.password = USER, PASSWORD
        say(s.auth("PLAIN", s.auth_plain))
        say(s.auth("login", s.auth_login))
        say(s.auth("CRAM-MD5", s.auth_cram_md5))
        say(s.auth_plain(), s.auth_plain(b"x"), s.auth_login(), s.auth_login(b"x"), s.auth_cram_md5(),
            s.auth_cram_md5(b"challenge"))


@case("auth: a callable with an initial response", offering("XOAUTH2", (GOOD,)))
def _(smtplib, at, say):
    with by_hand(smtplib, at) as s:
        say(s.auth("XOAUTH2", lambda challenge=None: "user=tim\1auth=Bearer token\1\1"))


@case("auth: a callable without an initial response",
      offering("X-ANY", ("334 Zmlyc3Q=", "334 c2Vjb25k", "334 ", GOOD)))
def _(smtplib, at, say):
    seen = []

    def answer(challenge=None):
        seen.append(challenge)
        return None if challenge is None else "answer %d" % len(seen)
    with by_hand(smtplib, at) as s:
        say(s.auth("X-ANY", answer), seen)


@case("auth: initial_response_ok=False", offering("X-ANY", ("334 ", GOOD)))
def _(smtplib, at, say):
    seen = []

    def answer(challenge=None):
        seen.append(challenge)
        return "response"
    with by_hand(smtplib, at) as s:
        say(s.auth("x-any", answer, initial_response_ok=False), seen)


@case("auth: empty responses", offering("X-ANY", ("334 ", GOOD)),
      why="an empty initial response is = (RFC 4954, 4)",
      both=dict(wire=telling((0, 1, 1, ["AUTH X-ANY ="]))))
def _(smtplib, at, say):
    with by_hand(smtplib, at) as s:
        say.of(s.auth, "X-ANY", lambda challenge=None: "")


@case("auth: refused, and what the callable saw",
      offering("XOAUTH2", ("334 eyJzdGF0dXMiOiI0MDEifQ==", BAD)))
def _(smtplib, at, say):
    seen = []

    def answer(challenge=None):
        seen.append(challenge)
        return "" if challenge else "user=tim\1auth=Bearer old\1\1"
    with by_hand(smtplib, at) as s:
        say.of(s.auth, "XOAUTH2", answer)
        say(seen, s.noop())


@case("auth: more challenges than five", offering("X-ANY", ("334 YQ==",) * 12),
      why="an exchange that breaks off is cancelled (RFC 4954, 4)",
      both=dict(wire=telling((0, 7, 0, ["*"]))))
def _(smtplib, at, say):
    s = by_hand(smtplib, at)
    say.of(s.auth, "X-ANY", lambda challenge=None: "a")


@case("auth: five challenges", offering("X-ANY", ("334 YQ==",) * 5 + (GOOD,)))
def _(smtplib, at, say):
    with by_hand(smtplib, at) as s:
        say.of(s.auth, "X-ANY", lambda challenge=None: None if challenge is None else "a")


@case("auth: the callable raises", offering("X-ANY", ("334 YQ==", BAD)),
      why="an exchange that breaks off is cancelled (RFC 4954, 4)",
      both=dict(wire=telling((0, 2, 0, ["*"]))))
def _(smtplib, at, say):
    def answer(challenge=None):
        if challenge is not None:
            raise KeyError("ours")
    s = by_hand(smtplib, at)
    say.of(s.auth, "X-ANY", answer)
    say(s.sock is not None)


@case("auth: the callable gives None to a challenge", offering("X-ANY", ("334 YQ==", BAD)),
      why="an exchange that breaks off is cancelled (RFC 4954, 4)",
      both=dict(wire=telling((0, 2, 0, ["*"]))))
def _(smtplib, at, say):
    s = by_hand(smtplib, at)
    say.of(s.auth, "X-ANY", lambda challenge=None: None)


@case("auth: the callable gives text beyond ASCII", offering("X-ANY", (GOOD,)),
      why="credentials are UTF-8 (RFC 4616), and stand in no exception",
      default=dict(said=[(235, b"2.7.0 welcome")], wire=telling((0, 1, 0, ["AUTH X-ANY bMOkdWZ0"]))),
      strict=dict(said=[not_ascii(1)]))
def _(smtplib, at, say):
    s = by_hand(smtplib, at)
    say.of(s.auth, "X-ANY", lambda challenge=None: "läuft")


@case("auth: the callable gives octets", offering("X-ANY", (GOOD,)))
def _(smtplib, at, say):
    s = by_hand(smtplib, at)
    say.of(s.auth, "X-ANY", lambda challenge=None: b"octets")


@case("auth: before EHLO, and not offered", Script({"AUTH": [exchange(GOOD), exchange(BAD)]}),
      why="AUTH says EHLO before, where that is needed",
      both=dict(wire=telling((0, 0, 0, ["EHLO " + NAME]))))
def _(smtplib, at, say):
    s = greeted(smtplib, at)
    say.of(s.auth, "X-ANY", lambda challenge=None: "a")
    s.ehlo()
    say.of(s.auth, "X-ANY", lambda challenge=None: "a")


@case("auth: a mechanism with a line end", offering("PLAIN", GOOD),
      why="other words",
      both=dict(said=[raised("ValueError", PROHIBITED + "PLAIN\\r\\nNOOP")]))
def _(smtplib, at, say):
    s = by_hand(smtplib, at)
    say.of(s.auth, "PLAIN\r\nNOOP", lambda challenge=None: "a")


@case("auth: 503 is success", offering("X-ANY", ("503 5.5.1 already",)),
      why="503 is success only to the standard module",
      default=dict(said=[raised("SMTPAuthenticationError", 503, b"5.5.1 already")]))
def _(smtplib, at, say):
    s = by_hand(smtplib, at)
    say.of(s.auth, "X-ANY", lambda challenge=None: "a")


# by hand

@case("AUTH LOGIN by docmd", offering("LOGIN", GOOD))
def _(smtplib, at, say):
    with by_hand(smtplib, at) as s:
        say(s.docmd("AUTH LOGIN"), s.docmd(base64.b64encode(USER.encode()).decode()),
            s.docmd(base64.b64encode(PASSWORD.encode()).decode()))
        say(s.sendmail(ANN, BOB, MESSAGE))


@case("AUTH PLAIN by docmd, in two arguments", offering("PLAIN", GOOD))
def _(smtplib, at, say):
    with by_hand(smtplib, at) as s:
        say(s.docmd("AUTH", "PLAIN " + base64.b64encode(b"\0tim\0" + PASSWORD.encode()).decode()))


@case("AUTH given up by docmd", offering("LOGIN", (USERNAME, "501 5.7.0 cancelled")))
def _(smtplib, at, say):
    with by_hand(smtplib, at) as s:
        say(s.docmd("AUTH", "LOGIN"), s.docmd("*"), s.noop())


# STARTTLS

def shown(s):
    """What the socket says of TLS."""
    certificate = s.sock.getpeercert(binary_form=True)
    return s.sock.version(), s.sock.cipher()[0], len(certificate) > 100, s.sock.getpeername()[0]


@case("starttls: the system trusts the server", Script(tls="starttls"), TRUSTED)
def _(smtplib, at, say):
    s = smtplib.SMTP("localhost", at.port, NAME)
    say(s.ehlo(), s.has_extn("starttls"), s.starttls(), s.ehlo_resp, s.does_esmtp, s.esmtp_features, s.file)
    say(shown(s), s.ehlo(), s.has_extn("starttls"), s.sendmail(ANN, BOB, MESSAGE), s.quit())


@case("starttls: EHLO is said when it was not", Script(tls="starttls"), TRUSTED)
def _(smtplib, at, say):
    with smtplib.SMTP("localhost", at.port, NAME) as s:
        say(s.starttls(), s.sendmail(ANN, BOB, MESSAGE))


@case("starttls: by address", Script(tls="starttls"), TRUSTED)
def _(smtplib, at, say):
    with greeted(smtplib, at) as s:
        say(s.starttls(), s.noop())


@case("starttls: the system does not trust the server", Script(tls="starttls"),
      why="certificates and names are verified",
      both=dict(said=[UNTRUSTED, NOWHERE], wire=telling((0, 2, 2, []))))
def _(smtplib, at, say):
    s = smtplib.SMTP("localhost", at.port, NAME)
    say.of(s.starttls)
    say.of(s.noop)


@case("starttls: another name", Script(tls="starttls", address="127.0.0.2"), TRUSTED,
      why="certificates and names are verified",
      both=dict(said=[MISNAMED]))
def _(smtplib, at, say):
    s = smtplib.SMTP(at.host, at.port, NAME)
    say.of(s.starttls)


@case("starttls: a context that verifies", Script(tls="starttls"))
def _(smtplib, at, say):
    with smtplib.SMTP("localhost", at.port, NAME) as s:
        say(s.starttls(context=own(at)), s.ehlo_resp, shown(s), s.sock.getpeercert()["subjectAltName"])
        say(s.sock.context.verify_mode.name, type(s.sock).__name__)
        say(s.sendmail(ANN, BOB, MESSAGE), s.noop())


@case("starttls: a context that does not verify", Script(tls="starttls"))
def _(smtplib, at, say):
    with greeted(smtplib, at) as s:
        say(s.starttls(context=own(at, verify=False)), shown(s), s.sendmail(ANN, BOB, MESSAGE))


@case("starttls: a context that does not trust the server", Script(tls="starttls"))
def _(smtplib, at, say):
    s = smtplib.SMTP("localhost", at.port, NAME)
    say.of(s.starttls, context=ssl.create_default_context())


@case("starttls: a context, and another name", Script(tls="starttls", address="127.0.0.2"))
def _(smtplib, at, say):
    s = smtplib.SMTP(at.host, at.port, NAME)
    say.of(s.starttls, context=own(at))


@case("starttls: an object made without a host", Script(tls="starttls"),
      why="TLS is for the host that connect() was given",
      both=dict(said=[(220, b"2.0.0 go ahead")]))
def _(smtplib, at, say):
    s = smtplib.SMTP(local_hostname=NAME)
    s.connect("localhost", at.port)
    say.of(s.starttls, context=own(at))


@case("starttls: made without a host, a context that does not verify", Script(tls="starttls"),
      why="TLS is for the host that connect() was given",
      both=dict(said=[(220, b"2.0.0 go ahead")]))
def _(smtplib, at, say):
    s = smtplib.SMTP(local_hostname=NAME)
    s.connect("localhost", at.port)
    say.of(s.starttls, context=own(at, verify=False))


@case("starttls: not offered")
def _(smtplib, at, say):
    with greeted(smtplib, at) as s:
        say.of(s.starttls)
        say.of(s.starttls, context=own(at))
        say(s.noop())


@case("starttls: refused",
      Script({"STARTTLS": ["454 4.7.0 later", "501 5.5.4 no"]}, KEYWORDS + ("STARTTLS",)))
def _(smtplib, at, say):
    with greeted(smtplib, at) as s:
        say.of(s.starttls)
        say.of(s.starttls, context=own(at))
        say(s.does_esmtp, s.noop())


@case("starttls: the server closes", Script({"STARTTLS": LOST}, KEYWORDS + ("STARTTLS",)))
def _(smtplib, at, say):
    s = greeted(smtplib, at)
    say.of(s.starttls, context=own(at))


@case("starttls: the server closes in the handshake",
      Script({"STARTTLS": closing("220 go ahead")}, KEYWORDS + ("STARTTLS",)))
def _(smtplib, at, say):
    s = greeted(smtplib, at)
    try:
        s.starttls(context=own(at))
    except OSError as e:
        say(isinstance(e, OSError))


@case("starttls: twice", Script(tls="starttls"), TRUSTED)
def _(smtplib, at, say):
    with smtplib.SMTP("localhost", at.port, NAME) as s:
        s.starttls()
        say.of(s.starttls)


@case("starttls: a context and a key", Script(tls="starttls"),
      why="a mistake is found before anything is said",
      both=dict(wire=telling((0, 0, 2, []), (1, 0, 2, []))))
def _(smtplib, at, say):
    s = greeted(smtplib, at)
    say.of(s.starttls, keyfile="x", context=own(at))
    s = greeted(smtplib, at)
    say.of(s.starttls, certfile="x", context=own(at))


@case("starttls: then login", offering("PLAIN LOGIN", GOOD, tls="starttls"), TRUSTED)
def _(smtplib, at, say):
    with smtplib.SMTP("localhost", at.port, NAME) as s:
        s.starttls()
        say(s.login(USER, PASSWORD), s.sendmail(ANN, BOB, MESSAGE))


@case("starttls: a context that verifies, then login",
      offering("PLAIN LOGIN", GOOD, tls="starttls"))
def _(smtplib, at, say):
    with smtplib.SMTP("localhost", at.port, NAME) as s:
        s.starttls(context=own(at))
        say(s.login(USER, PASSWORD), s.sendmail(ANN, BOB, MESSAGE))


@case("starttls: a context that does not verify, then login",
      offering("PLAIN LOGIN", GOOD, tls="starttls"))
def _(smtplib, at, say):
    with greeted(smtplib, at) as s:
        s.starttls(context=own(at, verify=False))
        say(s.login(USER, PASSWORD), s.sendmail(ANN, BOB, MESSAGE))


def inject(connection, line):
    connection.send(b"220 go ahead\r\n250 injected\r\n")
    connection.start_tls()


@case("starttls: octets behind the 220", Script({"STARTTLS": inject}, tls="starttls"), TRUSTED,
      why="octets behind the 220 to STARTTLS end the connection",
      both=dict(wire=telling((0, 2, 2, [])), said=[raised(
          "SMTPSecurityError", "the server, or somebody in between, sent 14 octets in clear behind its "
          "220 to STARTTLS: this is how commands are smuggled into TLS"), NOWHERE]))
def _(smtplib, at, say):
    s = smtplib.SMTP("localhost", at.port, NAME)
    say.of(s.starttls, context=own(at))
    say.of(s.noop)


@case("starttls: a 220 that docmd gave is the program's to answer", Script(tls="starttls"))
def _(smtplib, at, say):
    s = by_hand(smtplib, at)
    say(s.docmd("STARTTLS"))
    s.sock = own(at).wrap_socket(s.sock, server_hostname="localhost")
    s.file = None
    say(s.ehlo(), s.sendmail(ANN, BOB, MESSAGE), s.quit())


# SMTP_SSL

@case("SMTP_SSL: the system trusts the server", Script(tls="implicit"), TRUSTED)
def _(smtplib, at, say):
    with smtplib.SMTP_SSL("localhost", at.port, NAME) as s:
        say(shown(s), s.ehlo(), s.sendmail(ANN, BOB, MESSAGE), s._host, s.default_port)


@case("SMTP_SSL: by address", Script(tls="implicit"), TRUSTED)
def _(smtplib, at, say):
    with smtplib.SMTP_SSL(at.host, at.port, NAME) as s:
        say(s.noop())


@case("SMTP_SSL: the system does not trust the server", Script(tls="implicit"),
      why="certificates and names are verified",
      both=dict(said=[], raised=UNTRUSTED, wire=telling((0, 0, 3, []))))
def _(smtplib, at, say):
    with smtplib.SMTP_SSL("localhost", at.port, NAME) as s:
        say(s.noop())


@case("SMTP_SSL: another name", Script(tls="implicit", address="127.0.0.2"), TRUSTED,
      why="certificates and names are verified",
      both=dict(said=[], raised=MISNAMED, wire=telling((0, 0, 3, []))))
def _(smtplib, at, say):
    with smtplib.SMTP_SSL(at.host, at.port, NAME) as s:
        say(s.noop())


@case("SMTP_SSL: a context that verifies", offering("PLAIN", GOOD, tls="implicit"))
def _(smtplib, at, say):
    context = own(at)
    with smtplib.SMTP_SSL("localhost", at.port, NAME, context=context) as s:
        say(shown(s), s.context is context, type(s.sock).__name__, s.login(USER, PASSWORD))
        say(s.sendmail(ANN, BOB, MESSAGE), s.sock.getpeercert()["subjectAltName"])


@case("SMTP_SSL: a context that does not verify", offering("PLAIN", GOOD, tls="implicit"))
def _(smtplib, at, say):
    with smtplib.SMTP_SSL(at.host, at.port, NAME, context=own(at, verify=False)) as s:
        say(shown(s), s.login(USER, PASSWORD), s.sendmail(ANN, BOB, MESSAGE))


@case("SMTP_SSL: a context that does not trust the server", Script(tls="implicit"))
def _(smtplib, at, say):
    say.of(smtplib.SMTP_SSL, "localhost", at.port, NAME, context=ssl.create_default_context())


@case("SMTP_SSL: a context, and another name", Script(tls="implicit", address="127.0.0.2"))
def _(smtplib, at, say):
    say.of(smtplib.SMTP_SSL, at.host, at.port, NAME, context=own(at))


@case("SMTP_SSL: made without a host, then connected", Script(tls="implicit"), TRUSTED,
      why="TLS is for the host that connect() was given",
      both=dict(said=[(220, b"peer.test.example ESMTP")]))
def _(smtplib, at, say):
    s = smtplib.SMTP_SSL(local_hostname=NAME)
    say.of(s.connect, "localhost", at.port)


@case("SMTP_SSL: made without a host, with a context that does not verify", Script(tls="implicit"),
      why="TLS is for the host that connect() was given",
      both=dict(said=[(220, b"peer.test.example ESMTP")]))
def _(smtplib, at, say):
    s = smtplib.SMTP_SSL(local_hostname=NAME, context=own(at, verify=False))
    say.of(s.connect, "localhost", at.port)


@case("SMTP_SSL: a context and a key")
def _(smtplib, at, say):
    say.of(smtplib.SMTP_SSL, at.host, at.port, keyfile="x", context=own(at))
    say.of(smtplib.SMTP_SSL, at.host, at.port, certfile="x", context=own(at))


@case("SMTP_SSL: a server in clear", environ=TRUSTED)
def _(smtplib, at, say):
    try:
        smtplib.SMTP_SSL("localhost", at.port, NAME, context=own(at))
    except ssl.SSLError as e:
        say(e.reason)


@case("SMTP_SSL: a handshake that does not come", Script({"CONNECT": lambda c: c.hang()}))
def _(smtplib, at, say):
    say.of(smtplib.SMTP_SSL, "localhost", at.port, NAME, timeout=1, context=own(at))


@case("SMTP_SSL: a greeting of 554", Script({"GREETING": "554 5.7.1 no"}, tls="implicit"), TRUSTED,
      why="a refused greeting is answered by QUIT (RFC 5321, 3.1), and ends the connection",
      both=dict(wire=[["<TLS>\n", "QUIT"]] * 2))
def _(smtplib, at, say):
    say.of(smtplib.SMTP_SSL, "localhost", at.port, NAME)
    say.of(smtplib.SMTP_SSL, "localhost", at.port, NAME, context=own(at))


@case("SMTP_SSL: the server closes before QUIT",
      Script({"NOOP": closing("421 bye")}, tls="implicit"), TRUSTED,
      why="nothing is written behind a 421",
      both=dict(wire=telling((0, 2, 1, []), (1, 2, 1, []))))
def _(smtplib, at, say):
    for context in (None, own(at)):
        with smtplib.SMTP_SSL("localhost", at.port, NAME, context=context) as s:
            say.of(s.noop)


@case("SMTP_SSL: silence under TLS", Script({"NOOP": HANG}, tls="implicit"), TRUSTED,
      why="other words",
      both=dict(said=saying(dict.fromkeys((0, 2), lost("timed out")))))
def _(smtplib, at, say):
    for context in (None, own(at)):
        s = smtplib.SMTP_SSL("localhost", at.port, NAME, timeout=1, context=context)
        say.of(s.noop)
        say(s.sock)


@case("SMTP_SSL: a mebibyte under TLS", Script(tls="implicit"), TRUSTED)
def _(smtplib, at, say):
    for context in (None, own(at)):
        with smtplib.SMTP_SSL("localhost", at.port, NAME, context=context) as s:
            say(s.sendmail(ANN, BOB, "Subject: long\r\n\r\n" + ("x" * 70 + "\r\n.\r\n") * 13000))
