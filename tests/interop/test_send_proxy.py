# SPDX-License-Identifier: MIT
"""Through SOCKS5 and HTTP proxies."""
import postfix
from harness import equal, test
from peer import Peer
from proxy import Http, Socks
from servers import LMTP, SMTP, SUBMISSION, login, url

MESSAGE = b"Subject: by proxy\n\n.\n..\nline\n"
PASSWORD = "gate:keeper+7"
KINDS = (Socks, Http)


def by(env, proxy, server, *args, **more):
    if proxy.user:
        args += ("--proxy-password-file",
                 env.file("proxy-password", more.pop("password", PASSWORD).encode() + b"\n"))
    return env.send(server, "--proxy", proxy.url(), *args, **more)


@test
def mail_goes_through_both_kinds_of_proxy_with_tls_and_login(env):
    for kind in KINDS:
        with kind("ann", PASSWORD) as proxy:
            env.empty_mailboxes()
            result = by(env, proxy, SUBMISSION, *login(env), message=MESSAGE).good()
            env.delivered(env.postfix, "bob", MESSAGE)
            equal(proxy.targets, ["127.0.0.1:%d" % postfix.SUBMISSION], "targets")
            equal(result.session["address"], None, "address")
            equal(result.session["port"], postfix.SUBMISSION, "port")
            equal(result.session["tls"]["verified"], True, "verified")


@test
def the_proxy_looks_the_name_up_and_the_certificate_must_have_it(env):
    server = url("submission", postfix.SUBMISSION, "MX.test.example")
    for kind in KINDS:
        with kind(names={"mx.test.example": "127.0.0.1"}) as proxy:
            result = by(env, proxy, server, *login(env)).good()
            equal(result.session["tls"]["peer_name"], "mx.test.example", "peer name")
            equal(proxy.targets, ["mx.test.example:%d" % postfix.SUBMISSION], "targets")


@test
def behind_a_proxy_a_loopback_address_is_no_reason_for_trust(env):
    for kind in KINDS:
        with kind() as proxy:
            by(env, proxy, SMTP).expect(78, "security", "deferred", stage="tls")
        with kind() as proxy, Peer(keywords=("AUTH PLAIN",)) as peer:
            by(env, proxy, peer.url(), "--tls=off", *login(env)[2:]) \
                .expect(78, "security", "deferred", stage="auth")
            assert "AUTH" not in peer.verbs(), peer.lines


@test
def a_proxy_that_refuses_the_login_is_told_apart(env):
    for kind in KINDS:
        with kind("ann", PASSWORD) as proxy:
            for args in ((), ("-vv",)):
                result = by(env, proxy, SMTP, *args, password="wrong horse")
                result.expect(77, "auth", "deferred", stage="proxy")
                assert "refuses the user or the password" in result.stderr, result.stderr
                assert "horse" not in result.stdout + result.stderr, "the password is shown"
            proxy.user, wanted = None, proxy.user
            address = proxy.url()
            proxy.user = wanted
            env.send(SMTP, "--proxy", address).expect(77, "auth", "deferred", stage="proxy")


@test
def what_a_proxy_answers_decides_the_class(env):
    for proxy, status, klass in (
            (Socks(answer=b"\5\1"), 75, "deferred"), (Socks(answer=b"\5\2"), 78, "config"),
            (Socks(answer=b"\5\5\0\1\0\0\0\0\0\0"), 75, "deferred"),
            (Socks(answer=b"\5\7"), 78, "config"), (Socks(answer=b""), 75, "deferred"),
            (Socks(answer=b"\5"), 75, "deferred"), (Socks(answer=b"220 hi\r\n"), 76, "protocol"),
            (Http(answer=b"HTTP/1.1 403 No\r\n\r\n"), 78, "config"),
            (Http(answer=b"HTTP/1.1 502 No\r\n\r\n"), 75, "deferred"),
            (Http(answer=b"HTTP/1.1 504 No\r\n\r\n"), 75, "deferred"),
            (Http(answer=b"HTTP/1.1 200 Ok\r\n"), 75, "deferred"), (Http(answer=b""), 75, "deferred"),
            (Http(answer=b"HTTP/1.1 200 Ok\r\n" + b"X: y\r\n" * 100000), 76, "protocol"),
            (Http(answer=b"220 hi\r\n"), 76, "protocol")):
        with proxy:
            env.send(SMTP, "--proxy", proxy.url()).expect(status, klass, "deferred", stage="proxy")


@test
def a_proxy_that_says_nothing_is_given_up(env):
    for kind in KINDS:
        with kind(answer=None) as proxy:
            by(env, proxy, SMTP, "--connect-timeout", "300ms") \
                .deferred(stage="proxy", cause="timeout")


@test
def the_environment_names_no_proxy(env):
    env.environ["POSTHASTE_PROXY"] = env.environ["ALL_PROXY"] = "socks5://127.0.0.1:1"
    try:
        env.send(SMTP).good()
    finally:
        del env.environ["POSTHASTE_PROXY"], env.environ["ALL_PROXY"]


@test
def a_proxy_that_cannot_be_used_is_named_before_anything_is_sent(env):
    for text in ("https://p", "socks4://p", "p", "ftp://p", "socks5://a:geheim@p", "socks5://a@p",
                 "socks5://p:0", "http://"):
        result = env.send(SMTP, "--proxy", text).expect(78, "config", "deferred", stage="prepare")
        assert "geheim" not in result.stderr, "the password is shown"
    with Socks() as proxy:
        by(env, proxy, LMTP.replace("lmtp://", "lmtp:///run/x")) \
            .expect(78, "config", "deferred", stage="prepare")
        equal(proxy.targets, [], "targets")
