# SPDX-License-Identifier: MIT
"""`posthaste probe --tls-report`, `--capabilities` and `--repeat`: held against what openssl says of the same
certificates, and what the same server offers."""
import datetime
import re
import subprocess

import ca
from harness import equal, test
from peer import Peer, Said
from probe import run, run_json
from sink import Sink


def alone(function):
    """A test that needs none of the servers."""
    function.servers = ()
    return test(function)


def day(days):
    """openssl's date, so many days from now."""
    return (datetime.datetime.utcnow() + datetime.timedelta(days, 3600)).strftime("%Y%m%d%H%M%SZ")


def openssl(*args):
    return subprocess.run(("openssl",) + args, check=True, capture_output=True, text=True).stdout


def report(env, certificate, *args, name="mx.test.example"):
    """The report on a server that shows the certificate, as an object and as people read it."""
    with Peer(context=certificate.context(), keywords=("STARTTLS",)) as peer:
        where = ("-s", "%s:%d" % (name, peer.port), "--connect", "127.0.0.1", "--tls-report") + args
        found = run_json(env, *where)
        text = run(env, *where)
    equal(text.status, found.status, "exit status with and without --json")
    return found.record["tls"], text.stdout, peer.port


@alone
def a_report_says_what_openssl_says(env):
    authority = ca.Authority(env.folder + "/report-ca")
    made = authority.issue("mx", "DNS:mx.test.example,DNS:*.other.example,IP:192.0.2.1", end=day(100))
    tls, text, port = report(env, made, "--ca-file", authority.file)
    own = tls["chain"][0]
    equal(tls["verified"], True, "verified")
    equal(own["names"], ["mx.test.example", "*.other.example", "192.0.2.1"], "names")
    equal(own["sha256"], made.pin(), "SHA-256 of the certificate")
    equal(own["spki_sha256"], made.pin("key"), "SHA-256 of its key")
    equal(own["days_left"], 100, "days left")
    equal(own["key"], "EC prime256v1", "key")
    subject = openssl("x509", "-in", made.cert, "-noout", "-subject", "-nameopt", "RFC2253")
    equal("subject=" + own["subject"], subject.strip(), "subject")
    record = "_%d._tcp.mx.test.example. IN TLSA 3 1 1 %s" % (port, made.pin("key"))
    equal(tls["tlsa_records"], [record], "TLSA records")
    for words in (record, "(100 days left)", "Verified      yes, as mx.test.example", own["sha256"]):
        assert words in text, "%r is not in\n%s" % (words, text)
    equal(tls["warnings"], [], "warnings")
    assert "Warning" not in text, text


@alone
def what_is_wrong_with_a_certificate_is_told(env):
    authority = ca.Authority(env.folder + "/wrong-ca")
    names = "DNS:mx.test.example"
    cases = (
        (authority.issue("soon", names, end=day(13)), "certificate 1 expires in 13 days"),
        (authority.issue("over", names, end=day(-3)), "certificate 1 has expired, 3 days ago"),
        (authority.issue("early", names, start=day(2)), "certificate 1 is not valid yet"),
        (authority.issue("weak", names, key=("rsa:1024",)), "the key of certificate 1 is weak (RSA 1024)"),
        (authority.issue("other", "DNS:www.test.example"), "not verified: "),
        (authority.self_signed("own", names), "not verified: "),
    )
    for certificate, words in cases:
        context = certificate.context
        if "weak" in words:         # OpenSSL of today does not even load it, unless told to

            def context(made=certificate):
                import ssl
                lax = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                lax.set_ciphers("DEFAULT@SECLEVEL=0")
                lax.load_cert_chain(made.cert, made.key)
                return lax
        certificate.context = context
        tls, text, _ = report(env, certificate, "--ca-file", authority.file)
        told = [x["text"] for x in tls["warnings"]] if tls else []
        assert any(x.startswith(words) for x in told), "%r is not in %r" % (words, told)
        assert "Warning: " + words in text, text


@alone
def a_second_connection_shows_whether_sessions_are_resumed(env):
    with Sink(env, listen=("--smtp", "0", "--smtps", "0")) as sink:
        for scheme in ("smtp", "smtps"):
            result = run_json(env, "--server", sink.url(scheme), "--tls-report")
            equal(result.record["tls"]["resumed"], False, "the first connection")
            equal(result.record["tls"]["second_connection"], "resumed", "the second connection")
            stages = [x["stage"] for x in result.record["exchanges"]]
            equal(stages.count("greeting"), 1, "greetings in the record")


@alone
def the_second_connection_is_told_in_a_line(env):
    with Sink(env, listen=("--smtp", "0")) as sink:
        text = run(env, "--server", sink.url("smtp"), "--tls-report").stdout
    again = text.partition("=== Connection closed with remote host.\n")[2]
    assert re.match(r"=== Trying [^\n]* again, to resume the TLS session\.\.\.\n\nTLS of ", again), text


@alone
def times_are_in_microseconds(env):
    with Peer(replies={"MAIL": Said("250 2.1.0 Ok", b"250 2.1", b".0 Ok\r\n")}) as peer:
        text = run(env, "-s", "127.0.0.1:%d" % peer.port, "-q", "mail", "--json").stdout
    times = re.findall(r'"(?:ms|total|mail)":([0-9.]+)', text)
    assert len(times) > 4 and all(re.fullmatch(r"[0-9]+\.[0-9]{3}", x) for x in times), text


@alone
def a_server_without_tls_has_an_empty_report(env):
    with Peer() as peer:
        where = ("-s", "127.0.0.1:%d" % peer.port, "--tls-report")
        equal(run_json(env, *where).record["tls"], None, "tls")
        assert "not under TLS" in run(env, *where).stdout


@alone
def capabilities_stand_side_by_side(env):
    with Sink(env, "--no", "DSN,ETRN") as sink:
        where = ("-s", sink.at["smtp"], "--capabilities")
        text = run(env, *where).stdout
        rows = {x["keyword"]: x for x in run_json(env, *where).record["capabilities"]["keywords"]}
    equal((rows["STARTTLS"]["change"], rows["STARTTLS"]["under_tls"]), ("vanished", None), "STARTTLS")
    equal((rows["REQUIRETLS"]["change"], rows["REQUIRETLS"]["before_tls"]), ("appeared", None), "REQUIRETLS")
    equal(rows["PIPELINING"]["change"], None, "PIPELINING")
    assert "DSN" not in rows, rows
    assert "\n-  STARTTLS " in text and "\n+  REQUIRETLS " in text, text


@alone
def passwords_in_clear_are_warned_about(env):
    with Peer(keywords=("AUTH PLAIN LOGIN",)) as peer:
        text = run(env, "-s", "127.0.0.1:%d" % peer.port, "--capabilities").stdout
    assert "Warning: AUTH is offered in clear, with mechanisms that send the password" in text, text
    assert "Warning: STARTTLS is not offered" in text, text


@alone
def what_a_hostile_server_offers_is_escaped(env):
    with Peer({"EHLO": b"250-x\r\n250-\x1b[2J\xe2\x80\xae evil\r\n250 SIZE \x9b\x07\r\n"}) as peer:
        result = run(env, "-s", "127.0.0.1:%d" % peer.port, "--capabilities")
    assert "\x1b" not in result.stdout and "\u202e" not in result.stdout, ascii(result.stdout)
    assert "\\x1B[2J" in result.stdout, result.stdout


@alone
def repeated_runs_are_told_in_percentiles(env):
    with Sink(env) as sink:
        result = run_json(env, "-s", sink.at["smtp"], "--repeat", "20", "-f", "ann@sender.example",
                          "-t", "bob@test.example", "--quit-after", "rcpt")
        stages = {x["stage"]: x for x in result.record["stages"]}
        for name in ("connect", "greeting", "ehlo", "mail", "rcpt", "total"):
            x = stages[name]
            equal(x["runs"], 20, "runs of " + name)
            order = [x[y] for y in ("min_us", "p50_us", "p90_us", "p99_us", "max_us")]
            equal(order, sorted(order), "order of the percentiles of " + name)
            equal(x["p99_us"], x["max_us"], "p99 of twenty")
        text = run(env, "-s", sink.at["smtp"], "--repeat", "5", "--quit-after", "ehlo").stdout
        equal(text.splitlines()[0].split(),
              ["stage", "(ms)", "runs", "min", "p50", "p90", "p99", "max", "mean"], "headings")
