# SPDX-License-Identifier: MIT
"""Direct delivery into real Postfix: several domains and policies at once, the order of servers, what
a server refuses, dry runs, ports that never answer, name servers of one's own choice."""
import re
import socket
import time

from direct_world import AT
from direct_zones import SILENT
from harness import equal, in_world, same_message, test

MESSAGE = b"From: a@plain.example\nSubject: =?utf-8?q?gr=C3=BC=C3=9Fe?=\n\nOne\n.two\n..three\n" \
          b"\xc3\xa4 long line: " + b"x" * 900 + b"\n"


@test
@in_world
def three_domains_with_three_policies_get_their_mail_in_one_call(env):
    to = ["bob@dane.example", "bob@sts.unsigned", "bob@plain.unsigned", "zoe@dane.example"]
    to = [x.replace("@", "+three@") for x in to]
    record = env.direct(to=to, message=MESSAGE).good().record
    said = {}
    for recipient in record["recipients"]:
        session = record["sessions"][recipient["session"]]
        tls = session["tls"]
        said[recipient["address"]] = (session["host"], tls["policy"], tls["verified"], tls["result"],
                                      tls["certificate"]["subject"], session["route"]["domain"])
    equal(said, {
        to[0]: ("mx.dane.example", "dane", True, "success", "CN=self", "dane.example"),
        to[1]: ("mx.sts.unsigned", "mta-sts", True, "success", "CN=pkix", "sts.unsigned"),
        to[2]: ("mx.plain.unsigned", "opportunistic", False, "success", "CN=self", "plain.unsigned"),
        to[3]: ("mx.dane.example", "dane", True, "success", "CN=self", "dane.example"),
    }, "server, policy, certificate of each recipient")
    equal(len(record["sessions"]), 3, "sessions: one for each domain")
    tls = record["sessions"][record["recipients"][0]["session"]]["tls"]
    equal(tls["certificate"]["sha256"], env.world.certificates["self"].pin(), "certificate.sha256")
    equal(tls["certificate"]["spki_sha256"], env.world.certificates["self"].pin("key"), "key")
    for recipient in to:
        found = env.world.received(recipient)
        equal(len(found), 1, "messages for " + recipient)
        same_message(found[0].octets, MESSAGE)


@test
@in_world
def equal_preferences_take_turns(env):
    hosts = {env.direct(to=["turn%d@equal.example" % i]).good().session["host"] for i in range(12)}
    equal(hosts, {"mx1.equal.example", "mx2.equal.example"}, "servers used")


@test
@in_world
def what_one_domain_refuses_does_not_touch_the_others(env):
    to = ["refused@dane.example", "good@dane.example", "later@sts.unsigned", "good@plain.unsigned",
          "x@null.example", "x@bogus.example"]
    result = env.direct(to=to)
    equal(result.recipients(), ["refused", "accepted", "deferred", "accepted", "refused", "deferred"],
          "outcomes")
    equal((result.status, result.record["class"], result.record["outcome"]), (69, "partial", "partial"),
          "status, class, outcome")
    equal([x["code"] for x in result.record["recipients"][:4]], [550, 250, 450, 250], "replies")


@test
@in_world
def recipients_of_domains_with_the_same_servers_go_together(env):
    record = env.direct(to=["a@plain.example", "b@cname.example", "c@plain.example"]).good().record
    equal(len({x["session"] for x in record["recipients"]}), 1, "sessions used")


@test
@in_world
def an_address_literal_is_its_own_route(env):
    result = env.direct(to=["bob@[192.0.2.19]", "bob@[IPv6:2001:db8::13]"])
    equal([x["host"] for x in result.record["sessions"]], ["192.0.2.19", "2001:db8::13"], "hosts")
    # Postfix takes the second for a literal of its own, where nobody is known.
    equal(result.recipients(), ["accepted", "refused"], "outcomes")


@test
@in_world
def a_unicode_domain_is_looked_up_by_its_a_label(env):
    result = env.direct(to=["unicode@bücher.example"], message=b"Subject: x\n\nx\n")
    result.good()
    equal(result.session["host"], "mx.xn--bcher-kva.example", "server")


@test
@in_world
def a_sender_whose_domain_takes_no_mail_is_refused_by_us(env):
    result = env.direct(to=["null@plain.example"], sender="a@null.example")
    equal((result.record["outcome"], result.record["error"]["enhanced"]), ("refused", "5.7.27"),
          "outcome, code (RFC 7505 §4.2)")
    equal(env.world.received("null@plain.example"), [], "messages")


@test
@in_world
def a_port_that_never_answers_is_reported_as_what_it_most_likely_is(env):
    with socket.create_server((AT.silent, 25), backlog=0) as full:
        waiting = []
        for _ in range(3):      # a queue that is full drops what comes
            one = socket.socket()
            one.setblocking(False)
            one.connect_ex((AT.silent, 25))
            waiting.append(one)
        result = env.direct("--connect-timeout", "1", to=["bob@silent.example"])
        result.deferred(stage="connect", cause="timeout")
        hint = result.record["error"]["hint"] or ""
        assert "25" in hint and re.search("submission|provider|block", hint), "hint: " + hint
        for one in waiting:
            one.close()
        full.getsockname()


@test
@in_world
def look_ups_can_begin_at_the_root(env):
    record = env.direct("--dns", "recursive", to=["root@dane.example", "root@plain.unsigned"]).good().record
    equal(sorted((x["host"], x["route"]["dnssec"], x["tls"]["policy"]) for x in record["sessions"]),
          [("mx.dane.example", "secure", "dane"), ("mx.plain.unsigned", "insecure", "opportunistic")],
          "sessions")


@test
@in_world
def a_dry_run_shows_every_route_and_sends_nothing(env):
    domains = ("dane.example", "sts.unsigned", "plain.unsigned", "several.example", "null.example",
               "bogus.example", "dane-bogus-second.example", "dane-unusable.example", "sts-mx.unsigned")
    message = env.file("message", b"Subject: x\n\nx\n")
    mark = env.world.mark()
    result = env.run("send", "--direct", "--dry-run", "--trust-anchor", env.world.anchor, "--ca-file",
                     env.world.ca.file, "--from", "a@plain.example", "--message", message, "--",
                     *("dry@" + x for x in domains), environ={"XDG_CACHE_HOME": env.folder})
    for domain in domains:
        assert domain in result.stdout + result.stderr, "%s is not shown" % domain
    for words in ("mx.dane.example", "192.0.2.10", "3 1 1", "enforce", "mx3.several.example"):
        assert words in result.stdout, "%r is not shown" % words
    assert env.world.said_since(mark).count("connect from") == 0, "a server was spoken to"


@test
@in_world
def the_timeout_bounds_look_ups_and_silence_is_not_called_an_answer(env):
    began = time.monotonic()
    result = env.direct("--dns", SILENT, "--timeout", "1", to=["bob@dane.example"])
    took = time.monotonic() - began
    result.deferred(stage="route", cause="resolver")
    assert took < 8, "it took %.1f s" % took
    assert "did not answer in time" in result.record["error"]["text"], result.record["error"]["text"]
    result = env.direct("--dns", AT.dead, to=["bob@dane.example"])
    result.deferred(stage="route", cause="resolver")
    assert "no DNS server answers (asked: %s)" % AT.dead in result.record["error"]["text"], \
        result.record["error"]["text"]


@test
@in_world
def what_to_do_is_said_of_the_domains_server_and_not_of_ones_own(env):
    for to, options, cause in (("bob@dead.example", (), "unreachable"),
                               ("bob@plain.unsigned", ("--tls", "starttls"), "certificate-self-signed"),
                               ("bob@dane.example", ("--requiretls",), "not-offered")):
        result = env.direct(*options, to=[to])
        for error in (result.record["error"], result.record["sessions"][-1]["error"]):
            if error is None:
                continue
            equal(error["cause"], cause, "cause")
            assert error["hint"], "there is no hint for " + to
            for word in ("--pin", "--tls-name", "submission 587", "server that offers"):
                assert word not in error["hint"], "hint: " + error["hint"]
        assert "another may" not in result.stderr, result.stderr
    result = env.direct("--ip", "6", to=["bob@plain.unsigned"])
    result.deferred(stage="route")
    assert "has no IPv6 address" in result.stderr and "--ip" in result.record["error"]["hint"], \
        result.stderr


@test
@in_world
def a_probe_without_a_server_goes_to_the_first_mx_of_the_recipient(env):
    def probe(to, *words):
        return env.run("probe", "--to", to, "--trust-anchor", env.world.anchor, *words)

    result = probe("bob@several.example", "--quit-after", "RCPT")
    assert "Trying mx1.several.example:25" in result.stdout + result.stderr, result.stdout + result.stderr
    result = probe("probed@plain.example", "--from", "a@plain.example")
    equal(result.status, 0, "status of: " + result.stderr)
    equal([x.host for x in env.world.received("probed@plain.example")], ["self"], "messages")
    result = probe("bob@dane.example", "--dns", "recursive", "--quit-after", "EHLO")
    equal(result.status, 0, "status of: " + result.stderr)
    for to, words in (("bob@none-such.example", "none-such.example: there is no such domain"),
                      ("bob@null.example", "null.example: the domain takes no mail"),
                      ("bob@bogus.example", "fail DNSSEC validation")):
        result = probe(to)
        equal(result.status, 2, "status: as swaks has it when there is no connection")
        assert words in result.stderr, result.stderr
    result = env.run("probe", "--to", "bob@plain.example")  # by the anchor of the Internet
    assert "trust anchor" in result.stderr and result.status == 2, result.stderr


@test
@in_world
def the_rows_on_routes_are_found_by_their_cause(env):
    for to, options, cause, words in (
            ("bob@plain.unsigned", ("--dane", "required"), "no-dnssec", "--dns recursive asks"),
            ("bob@plain.example", ("--dane", "required"), "no-dane", "asks for TLSA records"),
            ("bob@null.example", (), "null-mx", "check the spelling"),
            ("bob@bogus.example", (), "dns-bogus", "signatures have run out"),
            ("bob@sts-mx.unsigned", (), "sts-mx", "does not know its MX hosts"),
            ("bob@dane-mismatch.example", (), "certificate-tlsa", "TLSA record was not"),
            ("bob@lame.example", (), "resolver", "own name servers are in trouble")):
        error = env.direct(*options, to=[to]).record["error"]
        equal(error["cause"], cause, "cause for " + to)
        assert words in (error["hint"] or ""), "hint for %s: %s" % (to, error["hint"])
    error = env.direct(to=["bob@plain.example"], sender="a@null.example").record["error"]
    assert "cannot get answers and bounces" in error["hint"], error["hint"]
