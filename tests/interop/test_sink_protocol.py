# SPDX-License-Identifier: MIT
"""What `posthaste sink` offers, honours, limits and records; mechanisms against Python's smtplib and
`posthaste send`."""
import base64
import json
import smtplib
import socket
import struct

from harness import equal, test
from sink import Sink

PASSWORD_MECHANISMS = ("PLAIN", "LOGIN", "SCRAM-SHA-256-PLUS", "SCRAM-SHA-1-PLUS", "SCRAM-SHA-256",
                       "SCRAM-SHA-1", "CRAM-MD5", "DIGEST-MD5")


def users(env):
    return ("--users", env.file("users", b"tim:tanstaaftanstaaf\n"),
            "--token-file", env.file("tokens", b"tim:token-1\n"))


def keywords(reply):
    return {x[4:].partition(" ")[0]: x[4:].partition(" ")[2] for x in reply.splitlines()[1:]}


@test
def only_mechanisms_that_can_work_are_offered(env):
    def offered(*args, tls=True):
        with Sink(env, *args) as sink:
            wire = sink.connect()
            found = keywords(wire.greet())
            if tls:
                equal("AUTH" in found, False, "AUTH in clear")
                wire.say("STARTTLS")
                wire.starttls()
                found = keywords(wire.say("EHLO me"))
            return found.get("AUTH")

    both = " ".join(PASSWORD_MECHANISMS) + " OAUTHBEARER XOAUTH2"
    equal(offered(*users(env)), both, "under TLS")
    equal(offered(*users(env)[:2]), " ".join(PASSWORD_MECHANISMS), "without tokens")
    equal(offered(*users(env)[2:]), "OAUTHBEARER XOAUTH2", "without passwords")
    equal(offered(*users(env), "--auth", "CRAM-MD5,plain"), "PLAIN CRAM-MD5", "limited")
    equal(offered(*users(env), "--allow-clear-auth", tls=False),
          both.replace("SCRAM-SHA-256-PLUS SCRAM-SHA-1-PLUS ", ""), "in clear")
    equal(offered(), None, "without users")


@test
def mechanisms_that_cannot_work_are_refused_at_the_start(env):
    for args, words in (((*users(env), "--auth", "NTLM"), "no such mechanism"),
                        (("--auth", "PLAIN"), "it needs --user and --password-file"),
                        ((*users(env)[:2], "--auth", "XOAUTH2"), "it needs --token-file")):
        result = env.run("sink", "--smtp", "0", *args)
        equal(result.status, 64, words)
        assert words in result.stderr, result.stderr


def login(env, sink, ca, mechanism, secret):
    bearer = mechanism in ("XOAUTH2", "OAUTHBEARER")
    option = ("--oauth-token-file" if bearer else "--password-file", env.file("secret", secret + b"\n"))
    return env.send(sink.url(), "--tls=starttls", "--ca-file", ca, "--user", "tim", "--auth", mechanism,
                    *option)


@test
def send_logs_in_by_every_mechanism(env):
    ca = env.folder + "/sink-ca.pem"
    with Sink(env, *users(env), "--ca-out", ca, "--require-auth") as sink:
        for mechanism in PASSWORD_MECHANISMS:
            login(env, sink, ca, mechanism, b"tanstaaftanstaaf").good()
            login(env, sink, ca, mechanism, b"wrong").expect(77, "auth", "deferred", code=535)
    equal([x["auth_mechanism"] for x in sink.records], list(PASSWORD_MECHANISMS), "mechanisms")
    equal({x["auth_user"] for x in sink.records}, {"tim"}, "user")


@test
def a_bearer_of_a_wrong_token_is_told_why(env):
    with Sink(env, *users(env), "--allow-clear-auth") as sink:
        for mechanism, good, bad, last in (
                ("XOAUTH2", "user=tim\1auth=Bearer token-1\1\1", "user=tim\1auth=Bearer no\1\1", ""),
                ("OAUTHBEARER", "n,a=tim,\1host=h\1port=25\1auth=Bearer token-1\1\1",
                 "n,a=tim,\1auth=Bearer no\1\1", "AQ==")):
            wire = sink.connect()
            wire.greet()
            equal(wire.say("AUTH " + mechanism + " " + base64.b64encode(b"nonsense").decode())[:3], "501",
                  "broken")
            challenge = wire.say("AUTH " + mechanism + " " + base64.b64encode(bad.encode()).decode())
            equal(challenge[:4], "334 ", "a challenge")
            assert "status" in json.loads(base64.b64decode(challenge[4:])), challenge
            equal(wire.say(last), "535 5.7.8 authentication failed", "behind it")
            equal(wire.say("AUTH " + mechanism), "334 ", "without an initial response")
            equal(wire.say(base64.b64encode(good.encode()).decode()), "235 2.7.0 authenticated", "right")


@test
def smtplib_logs_in(env):
    for mechanism in ("CRAM-MD5", "PLAIN", "LOGIN"):
        with Sink(env, *users(env), "--allow-clear-auth", "--auth", mechanism) as sink:
            host, _, port = sink.at["smtp"].rpartition(":")
            with smtplib.SMTP(host, int(port)) as client:
                client.login("tim", "tanstaaftanstaaf")
                client.sendmail("a@b", ["c@d"], "x\r\n")
        equal(sink.records[0]["auth_mechanism"], mechanism, "mechanism")


@test
def an_exchange_can_be_cancelled_and_begun_anew(env):
    with Sink(env, *users(env), "--allow-clear-auth") as sink:
        wire = sink.connect()
        wire.greet()
        equal(wire.say("AUTH CRAM-MD5")[:4], "334 ", "a challenge")
        equal(wire.say("*"), "501 5.7.0 cancelled", "cancelled")
        equal(wire.say("AUTH SCRAM-SHA-256"), "334 ", "the client first")
        first = wire.say(base64.b64encode(b"n,,n=tim,r=abc").decode())
        assert b"s=" in base64.b64decode(first[4:]), first
        equal(wire.say(base64.b64encode(b"c=biws,r=abc,p=AAAA").decode())[:3], "535", "a wrong proof")
        equal(wire.say("AUTH SCRAM-SHA-256-PLUS")[:3], "504", "not offered")


@test
def parameters_are_checked_and_recorded(env):
    with Sink(env, *users(env)) as sink:
        wire = sink.connect()
        found = keywords(wire.greet())
        for name in ("DSN", "DELIVERBY", "FUTURERELEASE", "MT-PRIORITY", "ETRN"):
            assert name in found, name
        for name in ("REQUIRETLS", "LIMITS", "XCLIENT", "XFORWARD"):
            assert name not in found, name
        seconds, until = found["FUTURERELEASE"].split()
        for parameter, code in (
                ("BY=120;R", 250), ("BY=-5;NT", 250), ("BY=0;R", 501), ("BY=1", 501), ("BY=1;X", 501),
                ("BY=9999999999;N", 501), ("HOLDFOR=" + seconds, 250), ("HOLDFOR=0", 501),
                ("HOLDFOR=%d" % (int(seconds) + 1), 501), ("HOLDUNTIL=" + until, 250),
                ("HOLDUNTIL=2026-11-23T12:00:00+01:00", 250), ("HOLDUNTIL=2999-01-01T00:00:00Z", 501),
                ("HOLDUNTIL=2026-11-23", 501), ("HOLDFOR=1 HOLDUNTIL=" + until, 501),
                ("MT-PRIORITY=-9", 250), ("MT-PRIORITY=10", 501), ("MT-PRIORITY=+1", 501),
                ("REQUIRETLS", 555), ("AUTH=<>", 250), ("AUTH=a+2Bb@c", 250), ("AUTH=a+2b@c", 501),
                ("RET=FULL ENVID=x+3Dy", 250), ("RET=ALL", 501), ("NOTIFY=NEVER", 555)):
            equal(wire.say("MAIL FROM:<a@b> " + parameter)[:3], str(code), parameter)
            wire.say("RSET")
            wire = wire if code == 250 else again(sink, wire)
        wire.say("MAIL FROM:<a@b> SIZE=5 RET=HDRS ENVID=x+3Dy AUTH=a+2Bb@c by=60;RT MT-PRIORITY=3 HOLDFOR=5")
        wire.say("RCPT TO:<c@d> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;c+2Bx@d")
        wire.say("DATA")
        wire.send(b".\r\n")
        wire.reply()
    record = sink.records[0]
    equal(record["parameters"], {"SIZE": "5", "RET": "HDRS", "ENVID": "x=y", "AUTH": "a+b@c", "BY": "60;RT",
                                 "MT-PRIORITY": "3", "HOLDFOR": "5"}, "MAIL's")
    equal(record["recipients"], [{"address": "c@d", "parameters": {"NOTIFY": "SUCCESS,DELAY",
                                                                   "ORCPT": "rfc822;c+x@d"}}], "RCPT's")


def again(sink, wire):
    """Another connection: too many errors end one."""
    wire.close()
    wire = sink.connect()
    wire.greet()
    return wire


@test
def what_is_turned_off_is_not_known(env):
    with Sink(env, "--no", "DSN,DELIVERBY,FUTURERELEASE,MT-PRIORITY,ETRN,LIMITS", "--limit", "MAILMAX=5") as sink:
        wire = sink.connect()
        found = keywords(wire.greet())
        for name in ("DSN", "DELIVERBY", "FUTURERELEASE", "MT-PRIORITY", "ETRN", "LIMITS"):
            assert name not in found, name
        for parameter in ("RET=FULL", "BY=1;N", "HOLDFOR=1", "MT-PRIORITY=1"):
            equal(wire.say("MAIL FROM:<a@b> " + parameter)[:9], "555 5.5.4", parameter)
        equal(wire.say("ETRN x.example")[:3], "500", "ETRN")
    with Sink(env) as sink:
        wire = sink.connect()
        wire.greet()
        equal([wire.say("ETRN " + x)[:3] for x in ("x.example", "@x.example", "#q", "@", "a b")],
              ["251", "251", "251", "501", "501"], "ETRN")
        equal("REQUIRETLS" in keywords(wire.say("EHLO me")), False, "REQUIRETLS in clear")
        wire.say("STARTTLS")
        wire.starttls()
        equal("REQUIRETLS" in keywords(wire.say("EHLO me")), True, "REQUIRETLS under TLS")
        equal(wire.say("MAIL FROM:<a@b> REQUIRETLS")[:3], "250", "REQUIRETLS")


@test
def limits_are_announced_and_hold(env):
    with Sink(env, "--limit", "MAILMAX=2", "--limit", "RCPTDOMAINMAX=1", "--max-recipients", "3") as sink:
        wire = sink.connect()
        equal(keywords(wire.greet())["LIMITS"], "MAILMAX=2 RCPTMAX=3 RCPTDOMAINMAX=1", "LIMITS")
        wire.say("MAIL FROM:<a@b>")
        equal([wire.say("RCPT TO:<%s>" % x)[:9] for x in ("a@x", "b@X", "c@y", "d@x", "e@x")],
              ["250 2.1.5", "250 2.1.5", "452 4.5.3", "250 2.1.5", "452 4.5.3"], "recipients")
        wire.say("RSET")
        wire.say("MAIL FROM:<a@b>")
        equal(wire.say("RCPT TO:<c@y>")[:9], "452 4.5.3", "another transaction on the same connection")
        wire.say("RSET")
        equal(wire.say("MAIL FROM:<a@b>")[:9], "452 4.5.3", "MAILMAX")
    result = env.run("sink", "--limit", "RCPTMAX=1")
    equal(result.status, 64, "exit status")
    assert "RCPTMAX is --max-recipients" in result.stderr, result.stderr


@test
def a_proxy_speaks_for_its_client(env):
    with Sink(env, *users(env), "--xclient", "--xforward", "--require-auth", "--allow-clear-auth") as sink:
        wire = sink.connect()
        found = keywords(wire.greet())
        equal(found["XCLIENT"], "NAME ADDR PORT PROTO HELO LOGIN DESTADDR DESTPORT", "XCLIENT")
        equal(wire.say("XCLIENT FOO=1")[:9], "501 5.5.4", "an unknown attribute")
        wire.say("MAIL FROM:<a@b>")
        equal(wire.say("XCLIENT NAME=client+2Btest ADDR=IPV6:2001:db8::1 PORT=1 LOGIN=tim HELO=[UNAVAILABLE]"),
              "220 localhost ESMTP posthaste", "a new greeting")
        equal(wire.say("MAIL FROM:<a@b>")[:3], "503", "all is forgotten")
        wire.say("EHLO other.test")
        equal(wire.say("XFORWARD NAME=spike.test PROTO=SMTP")[:3], "250", "XFORWARD")
        equal(wire.say("XFORWARD SOURCE=here")[:9], "501 5.5.4", "XFORWARD")
        wire.mail()
        wire.say("DATA")
        wire.send(b".\r\n")
        equal(wire.reply()[:3], "250", "LOGIN is as good as AUTH")
    record = sink.records[0]
    equal(record["xclient"], {"NAME": "client+test", "ADDR": "IPV6:2001:db8::1", "PORT": "1", "LOGIN": "tim",
                              "HELO": "[UNAVAILABLE]"}, "XCLIENT")
    equal((record["xforward"], record["helo"], record["auth_user"]),
          ({"NAME": "spike.test", "PROTO": "SMTP"}, "other.test", "tim"), "the rest")


@test
def a_proxy_header_names_the_peer(env):
    v2 = b"\r\n\r\n\0\r\nQUIT\n"
    four = socket.inet_aton("192.0.2.1") + socket.inet_aton("192.0.2.2") + struct.pack("!HH", 4711, 25)
    six = socket.inet_pton(socket.AF_INET6, "2001:db8::1") * 2 + struct.pack("!HH", 4711, 25)
    wants = [(b"PROXY TCP4 192.0.2.1 192.0.2.2 4711 25\r\n", "192.0.2.1:4711"),
             (b"PROXY TCP6 2001:db8::1 2001:db8::2 4711 25\r\n", "[2001:db8::1]:4711"),
             (b"PROXY UNKNOWN\r\n", None), (v2 + b"\x20\x00\x00\x00", None),
             (v2 + b"\x21\x11" + struct.pack("!H", len(four) + 3) + four + b"\x04\0\0", "192.0.2.1:4711"),
             (v2 + b"\x21\x21" + struct.pack("!H", len(six)) + six, "[2001:db8::1]:4711")]
    with Sink(env, "--proxy-protocol", listen=("--smtp", "0", "--smtps", "0")) as sink:
        for header, _ in wants:
            for cut in (len(header), 1):
                for scheme in ("smtp", "smtps"):
                    wire = sink.connect(scheme)
                    for i in range(0, len(header), cut):
                        wire.send(header[i:i + cut])
                    if scheme == "smtps":
                        wire.starttls()
                    equal(wire.greet()[:3], "250", repr(header))
                    wire.mail()
                    wire.say("DATA")
                    wire.send(b".\r\n")
                    wire.reply()
                    wire.close()
        for wrong in (b"EHLO me\r\n", b"PROXY TCP4 192.0.2.1\r\n", b"PROXY TCP4 2001:db8::1 ::1 1 2\r\n",
                      b"PROXY TCP4 1.2.3.4 1.2.3.4 99999 1\r\n", b"PROXY " + b"x" * 200, v2 + b"\x31\x11\0\0",
                      v2 + b"\x21\x11\0\0"):
            wire = sink.connect()
            wire.send(wrong)
            equal(wire.rest()[0], b"", repr(wrong))
    for i, (header, peer) in enumerate(wants):
        for record in sink.records[4 * i:4 * i + 4]:
            assert record["proxied_by"].startswith("127.0.0.1:"), record
            equal(record["peer"], peer or record["proxied_by"], repr(header))


@test
def a_pipe_is_read_once_and_sent_as_often_as_its_recipients_need(env):
    """RCPTMAX parts them into rounds (RFC 9422); what came through a pipe is there for each."""
    text = b"Subject: rounds\n\n" + b"x" * 70 + b"\n" * 4000
    everyone = ["r%d@test.example" % i for i in range(5)]
    with Sink(env, "--max-recipients", "2", "--no", "STARTTLS") as sink:
        result = env.send(sink.url(), message="-", stdin=text, to=everyone).good()
        equal([x["outcome"] for x in result.record["recipients"]], ["accepted"] * 5, "outcomes")
    equal([[x["address"] for x in r["recipients"]] for r in sink.records],
          [everyone[:2], everyone[2:4], everyone[4:]], "rounds")
    equal(len({r["sha256"] for r in sink.records}), 1, "different messages")
