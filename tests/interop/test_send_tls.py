# SPDX-License-Identifier: MIT
"""When TLS may be trusted and what is said when it may not: against Postfix where it can show the
case, against scripted servers with certificates of their own where it cannot."""
import ssl
import warnings

import ca
import postfix
from harness import equal, test
from peer import Closed, Peer
from servers import CLEAR, SMTP, SMTPS, SUBMISSION, credentials, login, url
from test_send_ways import MESSAGE, accepted, send

AUTH = ("PIPELINING", "8BITMIME", "AUTH PLAIN LOGIN")


def untrusted(result, cause):
    return result.expect(78, "security", "deferred", stage="tls", cause=cause)


# Postfix

@test
def an_unknown_authority(env):
    other = ca.Authority(env.folder + "/other-ca", "other")
    for server in (SMTP, SUBMISSION, SMTPS):
        untrusted(env.send(server, "--ca-file", other.file), "certificate-untrusted")


@test
def tls_starttls_verifies_against_the_systems_authorities(env):
    untrusted(env.send(SMTP, "--tls=starttls"), "certificate-untrusted")


@test
def submission_to_loopback_is_no_exception_from_verifying(env):
    untrusted(env.send(SUBMISSION), "certificate-untrusted")


@test
def a_wrong_name(env):
    for server in (SMTP, SUBMISSION, SMTPS):
        result = env.send(server.replace("127.0.0.1", "mx.wrong.example"), "--connect", "127.0.0.1",
                          "--ca-file", env.ca.file)
        untrusted(result, "certificate-name")
        assert "mx.wrong.example" in result.record["error"]["text"], result.record["error"]
        assert "mx.test.example" in result.stderr, "the certificate's names are not said"


@test
def a_wrong_tls_name(env):
    result = env.send(SMTP, "--ca-file", env.ca.file, "--tls-name", "mx.wrong.example")
    untrusted(result, "certificate-name")


@test
def insecure_encrypts_without_verifying_and_says_so(env):
    result = send(env, SUBMISSION, "--insecure", *credentials(env))
    result.good()
    equal(result.session["tls"]["verified"], False, "verified")
    assert "verif" in result.stderr.lower(), "not loud: " + result.stderr
    env.delivered(env.postfix, "bob", MESSAGE)


@test
def a_pin_of_the_certificate_or_of_its_key_replaces_chain_and_name(env):
    for what in ("certificate", "key"):
        result = send(env, SUBMISSION.replace("127.0.0.1", "mx.wrong.example"), "--connect",
                      "127.0.0.1", "--pin", env.certificate.pin(what), *credentials(env))
        accepted(env, result, env.postfix, "starttls", auth="PLAIN", policy="pin")


@test
def a_pin_that_does_not_match(env):
    result = env.send(SUBMISSION, "--ca-file", env.ca.file, "--pin", "0" * 64)
    untrusted(result, "certificate-pin")


@test
def starttls_required_and_not_offered(env):
    for args in (("--tls=starttls",), ("--ca-file", env.ca.file), login(env)):
        result = env.send(CLEAR, *args)
        result.expect(78, "security", "deferred", stage="starttls", cause="not-offered")
    result = env.send(url("submission", postfix.CLEAR))
    result.expect(78, "security", "deferred", stage="starttls", cause="not-offered")


# certificates of every kind

def against(env, shown, *args, host="127.0.0.1", implicit=True, context=None):
    """Sends with the test CA to a server that shows the certificate `shown`."""
    with Peer(context=context or shown.context(), implicit=implicit) as peer:
        result = env.send(peer.url("smtps" if implicit else "smtp", host), "--connect", "127.0.0.1",
                          "--ca-file", env.ca.file, *args)
        if result.status != 0:
            assert not {"MAIL", "AUTH"} & set(peer.verbs()), peer.lines
        return result


def both_ways(env, shown, cause, **options):
    for implicit in (True, False):
        untrusted(against(env, shown, implicit=implicit, **options), cause)


@test
def an_expired_certificate(env):
    shown = env.ca.issue("expired", "IP:127.0.0.1", start="20190101000000Z", end="20200101000000Z")
    both_ways(env, shown, "certificate-expired")


@test
def a_certificate_that_is_not_yet_valid(env):
    shown = env.ca.issue("future", "IP:127.0.0.1", start="20480101000000Z")
    both_ways(env, shown, "certificate-not-yet-valid")


@test
def a_self_signed_certificate(env):
    both_ways(env, env.ca.self_signed("self", "IP:127.0.0.1"), "certificate-self-signed")


@test
def a_wildcard_stands_for_one_label(env):
    shown = env.ca.issue("wildcard", "DNS:*.wild.example")
    against(env, shown, host="mx.wild.example").good()
    for host in ("a.mx.wild.example", "wild.example", "mx.tame.example"):
        both_ways(env, shown, "certificate-name", host=host)


@test
def an_address_is_verified_by_an_address_only(env):
    against(env, env.ca.issue("address", "IP:127.0.0.1")).good()
    for names in ("IP:127.0.0.2,DNS:mx.test.example", "DNS:127.0.0.1"):
        both_ways(env, env.ca.issue("other-address", names), "certificate-name")


@test
def an_international_host_name_is_verified_by_its_a_label(env):
    shown = env.ca.issue("idn", "DNS:xn--bcher-kva.example")
    for host in ("bücher.example", "xn--bcher-kva.example"):
        against(env, shown, host=host).good()


@test
def the_host_name_is_sent_as_sni_and_an_address_is_not(env):
    seen = []
    context = env.certificate.context()
    context.sni_callback = lambda sock, name, context: seen.append(name)
    against(env, env.certificate, host="mx.test.example", context=context).good()
    against(env, env.certificate, context=context).good()
    equal(seen, ["mx.test.example", None], "SNI")


@test
def a_server_of_tls_1_0_or_1_1_only(env):
    for version in (ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1):
        context = env.certificate.context()
        context.set_ciphers("ALL:@SECLEVEL=0")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            context.minimum_version = context.maximum_version = version
        for implicit in (True, False):
            result = against(env, env.certificate, context=context, implicit=implicit)
            untrusted(result, "tls-version")


@test
def tls_min_1_3_refuses_1_2(env):
    context = env.certificate.context()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    against(env, env.certificate, context=context).good()
    untrusted(against(env, env.certificate, "--tls-min", "1.3", context=context), "tls-version")


@test
def a_client_certificate_is_shown_on_demand(env):
    shown = env.ca.issue("client", "DNS:client.test.example", usage="clientAuth")
    context = env.certificate.context()
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(env.ca.file)
    context.maximum_version = ssl.TLSVersion.TLSv1_2   # its refusal comes within the handshake
    against(env, env.certificate, "--cert", shown.cert, "--key", shown.key, context=context).good()
    result = against(env, env.certificate, context=context)
    assert result.status in (75, 78), result.status
    equal(result.record["error"]["stage"], "tls", "stage")


# STARTTLS

@test
def ehlo_is_said_again_after_starttls_and_nothing_before_it_is_believed(env):
    hellos = ["250-peer.test.example\r\n250-STARTTLS\r\n250-SIZE 10\r\n250 AUTH PLAIN",
              "250-peer.test.example\r\n250 8BITMIME"]
    with Peer({"EHLO": hellos}, context=env.certificate.context()) as peer:
        env.send(peer.url(), "--ca-file", env.ca.file).good()
        equal(peer.verbs()[:3], ["EHLO", "STARTTLS", "EHLO"], "verbs")


@test
def octets_behind_the_220_to_starttls_end_the_session(env):
    for injected in (b"250-peer\r\n250 AUTH PLAIN\r\n", b"x", b"\r\n", b"220 again\r\n"):
        with Peer({"STARTTLS": b"220 go ahead\r\n" + injected}, keywords=AUTH,
                  context=env.certificate.context()) as peer:
            for args in (("--ca-file", env.ca.file), ("--insecure",), login(env), ()):
                result = env.send(peer.url(), *args)
                result.expect(78, "security", "deferred", cause="injection")
            assert set(peer.verbs()) <= {"EHLO", "STARTTLS", "QUIT"}, peer.lines


@test
def a_server_that_answers_starttls_with_502(env):
    with Peer({"STARTTLS": "502 5.5.1 not implemented"}, context=env.certificate.context()) as peer:
        env.send(peer.url(), "--ca-file", env.ca.file) \
           .expect(78, "security", "deferred", stage="starttls", code=502)


@test
def a_server_that_answers_starttls_with_454(env):
    with Peer({"STARTTLS": "454 4.7.0 not now"}, context=env.certificate.context()) as peer:
        env.send(peer.url(), "--ca-file", env.ca.file).deferred(stage="starttls", code=454)


@test
def a_handshake_that_is_cut_off(env):
    def cut(connection, line):
        connection.send(b"220 go ahead\r\n")
        connection.receive()
        raise Closed
    with Peer({"STARTTLS": cut}, keywords=("STARTTLS",)) as peer:
        env.send(peer.url(), "--ca-file", env.ca.file).deferred(stage="tls")


@test
def opportunistic_tls_tries_once_more_in_clear_after_a_failed_handshake(env):
    def garbage(connection, line):
        connection.send(b"220 go ahead\r\n")
        connection.receive()
        connection.send(b"\x15\x03\x03\x00\x02\x02\x28")        # a fatal alert, handshake_failure
    with Peer({"STARTTLS": garbage}, keywords=("STARTTLS", "8BITMIME")) as peer:
        result = env.send(peer.url(), "--tls=opportunistic", message=MESSAGE).good()
        equal(peer.connections, 2, "connections")
        equal(peer.verbs().count("MAIL"), 1, "transactions")
        equal((result.session["tls"] or {"mode": "none"})["mode"], "none", "tls.mode")


# clear text and TLS mistaken for each other

@test
def a_clear_server_where_tls_is_spoken(env):
    with Peer() as peer:
        result = env.send(peer.url("smtps"), "--ca-file", env.ca.file)
        equal(result.status, 78, "exit status")
        equal(result.record["error"]["cause"], "tls-on-clear-port", "cause")
        assert [x for x in ("smtp://", "submission://", "starttls") if x in result.stderr], \
            "what mends it is not said"


@test
def a_tls_server_where_clear_text_is_spoken(env):
    with Peer(context=env.certificate.context(), implicit=True) as peer:
        result = env.send(peer.url("smtp"), "--timeout", "1")
        result.deferred(stage="greeting", cause="timeout")


@test
def a_tls_alert_where_a_greeting_is_due(env):
    def alert(connection, line):
        connection.send(b"\x15\x03\x01\x00\x02\x02\x46")
        raise Closed
    with Peer({"GREETING": alert}) as peer:
        result = env.send(peer.url("smtp"), "--timeout", "5")
        equal(result.record["error"]["cause"], "clear-on-tls-port", "cause")
        assert result.status in (76, 78), result.status
        assert "smtps" in result.stderr or "implicit" in result.stderr, "what mends it is not said"


@test
def a_silent_server_on_a_tls_port(env):
    with Peer({"CONNECT": lambda connection: connection.hang()}) as peer:
        env.send(peer.url("smtps"), "--ca-file", env.ca.file, "--timeout", "1") \
           .deferred(stage="tls", cause="timeout")


# credentials

@test
def credentials_do_not_cross_a_clear_link_by_default(env):
    with Peer(keywords=AUTH) as peer:
        for args in (("--tls=opportunistic",), ()):
            result = env.send(peer.url(), *args, *credentials(env))
            result.expect(78, "security", "deferred")
        assert not [x for x in peer.lines if x.startswith(("AUTH", "MAIL"))], peer.lines


@test
def credentials_do_not_cross_an_opportunistic_link(env):
    with Peer(keywords=AUTH, context=env.certificate.context()) as peer:
        result = env.send(peer.url(), "--tls=opportunistic", *credentials(env))
        equal(result.status, 78, "exit status")
        assert not [x for x in peer.lines if x.startswith(("AUTH", "MAIL"))], peer.lines


@test
def credentials_may_go_in_clear_to_loopback_with_tls_off(env):
    with Peer(keywords=AUTH) as peer:
        env.send(peer.url(), "--tls=off", *credentials(env)).good()
        equal(peer.verbs().count("AUTH"), 1, "AUTH commands")
