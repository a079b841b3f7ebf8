# SPDX-License-Identifier: MIT
"""Downgrade attacks on direct delivery. Scripted servers stand where the domains' own are, and what
comes over their wires is looked at: where a policy cannot be kept, no envelope and no message leave."""
import contextlib
import os
import tempfile

import direct_dns
from direct_policies import Answer, policy
from direct_world import AT
from harness import equal, in_world, test
from peer import KEYWORDS, LOST, Peer

SECRET = b"Subject: secret\n\nfor your eyes only\n"


@contextlib.contextmanager
def peers(env, *options, certificate="peer"):
    """Servers at the two addresses of the peer domains; each options: arguments of its Peer."""
    with contextlib.ExitStack() as stack:
        found = []
        for host, own in zip((AT.peer1, AT.peer2), options):
            own = dict({"context": env.world.certificates[certificate].context()}, **own)
            found.append(stack.enter_context(Peer(host=host, port=25, **own)))
        yield found


def nothing_left(*servers):
    """Neither sender nor recipient nor message were on a wire, in clear or not."""
    for server in servers:
        server.finish()
        for wire in server.wires:
            for octets in (bytes(wire.clear), bytes(wire.secure)):
                for word in (b"MAIL", b"RCPT", b"DATA", b"BDAT", b"secret", b"bob"):
                    assert word not in octets.upper() and word not in octets, \
                        "%r was sent: %r" % (word, octets)


CLEAR = {"context": None}


def refuse_starttls(env, domain):
    """No STARTTLS, at either server, in each way that a man in the middle has."""
    for name, how in (("stripped", CLEAR),
                      ("masked", dict(CLEAR, keywords=KEYWORDS + ("XXXXXXXX",))),
                      ("refused", {"replies": {"STARTTLS": "502 5.5.1 not implemented"}}),
                      ("not now", {"replies": {"STARTTLS": "454 4.7.0 not now"}}),
                      ("EHLO refused", dict(CLEAR, replies={"EHLO": "502 5.5.1 what?",
                                                            "HELO": "250 peer"}))):
        with peers(env, how, how) as both:
            result = env.direct(to=["bob@" + domain], message=SECRET)
            assert result.status in (75, 78), "%s: exit %d" % (name, result.status)
            equal(result.recipients(), ["deferred"], name)
            nothing_left(*both)
            assert all(x.connections for x in both), "%s: both servers were to be tried" % name


@test
@in_world
def without_starttls_nothing_leaves_under_dane(env):
    refuse_starttls(env, "peer-dane.example")


@test
@in_world
def without_starttls_nothing_leaves_under_mta_sts(env):
    refuse_starttls(env, "peer-sts.unsigned")


@test
@in_world
def without_starttls_nothing_leaves_under_requiretls(env):
    for how in (CLEAR, dict(CLEAR, keywords=KEYWORDS + ("REQUIRETLS",))):
        with peers(env, how, how) as both:
            result = env.direct("--requiretls", to=["bob@peer.example"], message=SECRET)
            assert result.recipients() in (["refused"], ["deferred"]) and result.status in (69, 78)
            nothing_left(*both)


@test
@in_world
def requiretls_wants_a_server_that_is_proved_and_offers_it(env):
    offers = {"keywords": KEYWORDS + ("REQUIRETLS",)}
    with peers(env, offers, offers) as both:
        env.direct("--requiretls", to=["bob@peer-dane.example"], message=SECRET).good()
        both[0].finish()
        assert b"REQUIRETLS" in bytes(both[0].wires[0].secure).split(b"\r\n")[1], both[0].lines
    with peers(env, {}, {}) as both:     # verified, and without the extension
        result = env.direct("--requiretls", to=["bob@peer-dane.example"], message=SECRET)
        equal((result.recipients(), result.record["error"]["enhanced"]), (["refused"], "5.7.30"),
              "outcome, code (RFC 8689 §4.2.1)")
        nothing_left(*both)
    with peers(env, offers, offers) as both:     # offered, and nothing proves that it is the domain's
        result = env.direct("--requiretls", to=["bob@peer.unsigned"], message=SECRET)
        assert result.status != 0 and "accepted" not in result.recipients(), result.recipients()
        nothing_left(*both)
    with peers(env, {}, offers) as both:    # the second offers it
        result = env.direct("--requiretls", to=["bob@peer-dane.example"], message=SECRET).good()
        equal(result.session["host"], "mx2.peer-dane.example", "server")


@test
@in_world
def tls_required_no_goes_where_a_policy_would_not_let_it(env):
    relaxed = b"TLS-Required: No\n" + SECRET
    with peers(env, CLEAR, CLEAR) as both:
        result = env.direct(to=["bob@peer-sts.unsigned"], message=relaxed).good()
        equal(result.session["route"]["relaxed"], True, "route.relaxed")
        equal(len(both[0].bodies), 1, "messages")


@test
@in_world
def another_certificate_than_the_published_one_gets_nothing(env):
    for domain, cause in (("peer-dane.example", "certificate-tlsa"),
                          ("peer-sts.unsigned", "certificate-self-signed")):
        with peers(env, {}, {}, certificate="self") as both:
            result = env.direct(to=["bob@" + domain], message=SECRET)
            result.expect(78, "security", "deferred", cause=cause)
            nothing_left(*both)


@test
@in_world
def a_handshake_that_breaks_off_never_ends_in_clear_under_a_policy(env):
    class Breaks(Peer):
        def handshake(self, connection):
            connection.reset()

    for domain in ("peer-dane.example", "peer-sts.unsigned"):
        with contextlib.ExitStack() as stack:
            both = [stack.enter_context(Breaks(host=x, port=25,
                                               context=env.world.certificates["peer"].context()))
                    for x in (AT.peer1, AT.peer2)]
            result = env.direct(to=["bob@" + domain], message=SECRET)
            assert result.status in (75, 78) and result.recipients() == ["deferred"]
            equal([x["tls"]["result"] for x in result.record["sessions"]], ["validation-failure"] * 2,
                  "tls.result")
            nothing_left(*both)


@test
@in_world
def without_a_policy_tls_that_fails_ends_in_clear(env):
    class Breaks(Peer):
        def handshake(self, connection):
            connection.reset()

    with Breaks(host=AT.peer1, port=25, context=env.world.certificates["peer"].context()) as peer:
        result = env.direct(to=["bob@peer.unsigned"], message=SECRET).good()
        equal(result.session["tls"]["mode"], "none", "tls.mode")
        equal(len(peer.bodies), 1, "messages")


@test
@in_world
def octets_behind_the_220_to_starttls_end_the_session(env):
    injected = {"replies": {"STARTTLS": b"220 go ahead\r\n250 injected\r\n"}}
    with peers(env, injected, injected) as both:
        result = env.direct(to=["bob@peer-dane.example"], message=SECRET)
        equal(result.recipients(), ["deferred"], "outcome")
        nothing_left(*both)


@test
@in_world
def a_server_at_this_very_machine_s_address_must_prove_itself_too(env):
    for domain in ("loopback-dane.example", "loopback-sts.unsigned"):
        for context in (None, env.world.certificates["self"].context()):
            with Peer(host="127.0.0.25", port=25, context=context) as peer:
                env.direct(to=["bob@" + domain], message=SECRET).expect(78, "security", "deferred")
                nothing_left(peer)


@test
@in_world
def names_of_servers_cannot_reach_the_terminal_or_a_command(env):
    for options in ((), ("-v",), ("--dry-run",)):
        message = env.file("message", SECRET)
        result = env.run("send", "--direct", "--trust-anchor", env.world.anchor, "--from",
                         "a@plain.example", "--message", message, *options, "--", "bob@hostile.example")
        assert result.status in (68, 69, 75), result.status
        for octet in ("\x1b", "\r", "\x1a"):
            assert octet not in result.stdout + result.stderr, "%r is printed" % octet
    record = env.direct(to=["bob@hostile.example"]).record
    assert "\x1b" not in str([x["host"] for x in record["sessions"]]), record["sessions"]


def tampered(env, address, tamper=None, ask=None):
    env.world.forwarder(address, tamper, ask)
    return "--dns", address


def drop(*kinds):
    """Takes the answers of these types away, as if there were none."""
    def tamper(message):
        if message.kind in kinds:
            message.sections = [[], [], message.sections[2]]
            message.flags &= ~(0xf | direct_dns.AD)
        return message
    return tamper


@test
@in_world
def a_tlsa_record_that_is_withheld_is_not_taken_for_none(env):
    dns = tampered(env, "127.0.0.61", drop(direct_dns.TLSA))
    with peers(env, {}, {}) as both:
        result = env.direct(*dns, to=["bob@peer-dane.example"], message=SECRET)
        result.deferred(cause="dns-bogus")
        equal([x["tls"]["result"] for x in result.record["sessions"]], ["dnssec-invalid"] * 2, "results")
        nothing_left(*both)


@test
@in_world
def an_mx_record_that_is_forged_is_not_followed(env):
    def forge(message):
        for record in message.answers:
            if record.kind == direct_dns.MX:
                record.data = record.data[:2] + direct_dns.pack_name("mx1.peer.unsigned.")
        return message

    dns = tampered(env, "127.0.0.62", forge)
    with peers(env, {}, {}) as both:
        env.direct(*dns, to=["bob@dane.example"], message=SECRET).deferred(cause="dns-bogus")
        nothing_left(*both)


@test
@in_world
def an_nxdomain_that_is_forged_refuses_nobody(env):
    def forge(message):
        if message.name.startswith("dane."):
            message.sections = [[], [], message.sections[2]]
            message.flags = message.flags & ~0xf | direct_dns.NXDOMAIN
        return message

    dns = tampered(env, "127.0.0.63", forge)
    env.direct(*dns, to=["forged@dane.example"], message=SECRET).deferred(cause="dns-bogus")


@test
@in_world
def a_resolver_that_strips_dnssec_is_said_to(env):
    dns = tampered(env, "127.0.0.64", direct_dns.stripped, direct_dns.no_dnssec)
    result = env.direct(*dns, to=["stripped@dane.example", "stripped@plain.unsigned"]).good()
    equal([x["route"]["dnssec"] for x in result.record["sessions"]], ["off", "off"], "route.dnssec")
    equal({x["tls"]["policy"] for x in result.record["sessions"]}, {"opportunistic"}, "policy")
    result = env.direct(*dns, "-v", to=["stripped2@dane.example"]).good()
    assert "DNSSEC" in result.stderr, "the transcript does not say so: " + result.stderr
    result = env.direct(*dns, "--dane=required", to=["stripped3@dane.example"])
    result.expect(78, "security", "deferred", cause="no-dnssec")
    equal(env.world.received("stripped3@dane.example"), [], "messages")
    # MTA-STS does without DNSSEC
    result = env.direct(*dns, to=["stripped@sts.unsigned"]).good()
    equal((result.session["tls"]["policy"], result.session["tls"]["verified"]), ("mta-sts", True), "STS")


# MTA-STS over time: the zone "changing." is a script's.

class Changing:
    """A domain below changing. with an enforced policy, whose servers are the peers."""

    def __init__(self, env, name):
        self.env, self.domain = env, name + ".changing"
        self.records, self.answers = env.world.scripted.records, env.world.policies.answers
        self.cache = tempfile.mkdtemp(dir=env.folder)
        self.records.update({
            self.domain + ".": [direct_dns.mx(10, "mx1.peer-sts.unsigned."),
                                direct_dns.mx(20, "mx2.peer-sts.unsigned.")],
            "mta-sts.%s." % self.domain: [direct_dns.a(AT.policies)]})
        self.publish("1", "enforce")

    def publish(self, number, mode, *mx):
        self.announce("v=STSv1; id=%s;" % number)
        self.answers[self.domain] = Answer(policy(mode, *(mx or ("*.peer-sts.unsigned",))))

    def announce(self, *texts):
        self.records["_mta-sts.%s." % self.domain] = [direct_dns.txt(x) for x in texts]

    def withdraw(self):
        self.records.pop("_mta-sts.%s." % self.domain)

    def fetched(self):
        return self.env.world.policies.asked.count(("mta-sts." + self.domain, "/.well-known/mta-sts.txt"))

    def send(self, *options):
        return self.env.direct(*options, to=["bob@" + self.domain], message=SECRET, cache=self.cache)

    def learn(self):
        """One message that brings the policy into the cache."""
        with peers(self.env, {}, {}):
            result = self.send().good()
        equal((result.session["tls"]["policy"], result.session["tls"]["verified"]), ("mta-sts", True),
              "the policy is kept")
        return self

    def must_hold(self):
        """The servers are without STARTTLS now: with the policy, nothing leaves."""
        with peers(self.env, CLEAR, CLEAR) as both:
            result = self.send().expect(78, "security", "deferred")
            nothing_left(*both)
        return result


@test
@in_world
def a_policy_that_is_kept_is_not_fetched_again(env):
    domain = Changing(env, "kept").learn()
    before = domain.fetched()
    domain.learn()
    equal((before, domain.fetched()), (1, 1), "fetches")


@test
@in_world
def a_kept_policy_holds_when_its_txt_record_is_gone(env):
    domain = Changing(env, "gone").learn()
    domain.withdraw()
    domain.must_hold()


@test
@in_world
def a_kept_policy_holds_when_its_txt_record_cannot_be_had(env):
    domain = Changing(env, "failing").learn()
    env.world.scripted.failing.add("_mta-sts.%s." % domain.domain)
    domain.must_hold()


@test
@in_world
def a_kept_policy_holds_when_the_new_one_cannot_be_fetched(env):
    domain = Changing(env, "unfetched").learn()
    domain.announce("v=STSv1; id=2;")
    domain.answers[domain.domain] = Answer("gone", 404)
    domain.must_hold()
    domain.answers[domain.domain] = Answer(policy("none"), certificate="self")
    domain.must_hold()


@test
@in_world
def a_kept_policy_holds_when_its_host_cannot_be_reached(env):
    domain = Changing(env, "unreached").learn()
    domain.announce("v=STSv1; id=2;")
    domain.records["mta-sts.%s." % domain.domain] = [direct_dns.a(AT.dead)]
    domain.must_hold()


@test
@in_world
def a_new_id_brings_the_new_policy(env):
    domain = Changing(env, "renewed").learn()
    domain.publish("2", "enforce", "mx.elsewhere.unsigned")
    with peers(env, {}, {}) as both:
        domain.send().deferred(cause="sts-mx")
        nothing_left(*both)
    equal(domain.fetched(), 2, "fetches")


@test
@in_world
def a_new_policy_of_mode_none_ends_the_old_one(env):
    domain = Changing(env, "ended").learn()
    domain.publish("2", "none")
    with peers(env, CLEAR, CLEAR) as both:
        result = domain.send().good()
        equal(result.session["route"]["mode"], "none", "mode")
        equal(len(both[0].bodies), 1, "messages")


@test
@in_world
def without_a_cache_folder_the_policy_is_fetched_each_time_and_holds(env):
    domain = Changing(env, "cacheless")
    with open(os.path.join(domain.cache, "posthaste"), "w"):    # a file where the folder is to be
        pass
    with peers(env, CLEAR, CLEAR) as both:
        domain.send().expect(78, "security", "deferred")
        nothing_left(*both)


# Verdicts at real distance: what the first server says, and whether the second is asked.

def first_says(env, replies, wanted, second=0):
    with peers(env, {"replies": replies}, {}) as both:
        result = env.direct(to=["bob@peer.unsigned"], message=SECRET)
        equal(result.recipients(), [wanted], "outcome of %r" % replies)
        equal(len(both[1].bodies), second, "messages at the second after %r" % replies)
        return result


@test
@in_world
def the_second_server_is_asked_where_the_first_cannot_or_says_later(env):
    for replies in ({"GREETING": "421 4.3.2 busy"}, {"GREETING": "554 5.3.2 no"},
                    {"GREETING": LOST}, {"EHLO": "421 4.3.2 busy"}, {"MAIL": "451 4.3.0 later"},
                    {"RCPT": "450 4.2.1 later"}, {"DATA": "451 4.3.0 later"},
                    {"BODY": "451 4.3.0 later"}, {"MAIL": LOST}, {"DATA": LOST}):
        first_says(env, replies, "accepted", second=1)


@test
@in_world
def a_refusal_for_good_and_a_doubt_stay_with_the_first_server(env):
    for replies, wanted in (({"MAIL": "550 5.7.1 no"}, "refused"), ({"RCPT": "550 5.1.1 who?"}, "refused"),
                            ({"BODY": "554 5.7.1 no"}, "refused"), ({"BODY": LOST}, "in_doubt")):
        first_says(env, replies, wanted)
