# SPDX-License-Identifier: MIT
"""Every domain of the small Internet, one message to each: what becomes of it, which server was used
by which policy, which were passed over and why; and whether anything arrived."""
from harness import cell, equal, in_world

DANE, STS, CHANCE = "dane", "mta-sts", "opportunistic"


class Passed:
    """A server before the last: its name, and what kept it from being used."""

    def __init__(self, host, cause, result=None):
        self.host, self.cause, self.result = host, cause, result

    def check(self, session):
        equal(session["host"], self.host, "host passed over")
        assert session["error"], "%s is passed over without a reason" % self.host
        equal(session["error"]["cause"], self.cause, "cause of passing %s over" % self.host)
        equal(session["tls"]["result"], self.result, "tls.result of " + self.host)


def check_last(record, domain, **wanted):
    session = record["sessions"][-1]
    members = {"host": session["host"], "address": session["address"],
               "policy": session["tls"]["policy"], "result": session["tls"]["result"],
               "verified": session["tls"]["verified"], "mode": session["route"]["mode"],
               "published": session["route"]["policy"], "dnssec": session["route"]["dnssec"],
               "problem": session["route"]["problem"], "tls": session["tls"]["mode"]}
    for name, value in wanted.items():
        equal(members[name], value, name)


def delivers(sentence, domain, *passed, to=None, options=(), at=None, **wanted):
    """One message arrives, and the record says so. at: whose Postfix must have taken it."""
    def run(env):
        recipient = "%s@%s" % (to or "bob", domain)
        record = env.direct(*options, to=[recipient]).good().record
        equal(len(record["sessions"]), len(passed) + 1, "sessions")
        for want, session in zip(passed, record["sessions"]):
            want.check(session)
        wanted.setdefault("result", "success")
        check_last(record, domain, **wanted)
        stored = env.world.received(recipient)
        equal(len(stored), 1, "messages that arrived for " + recipient)
        if at:
            equal(stored[0].host, at, "the server that took it")
    cell(sentence, in_world(run))


def keeps(sentence, domain, status, klass, outcome, *passed, to=None, options=(), **error):
    """Nothing arrives. passed: all servers, and why not."""
    def run(env):
        recipient = "%s@%s" % (to or "bob", domain)
        result = env.direct(*options, to=[recipient]).expect(status, klass, outcome, **error)
        sessions = result.record["sessions"]
        if passed:
            equal([x["host"] for x in sessions], [x.host for x in passed], "servers")
            for want, session in zip(passed, sessions):
                want.check(session)
        for session in sessions:
            assert not (session["timings_ms"] or {}).get("body"), "a message was begun"
        equal(len(env.world.received(recipient)), 0, "messages that arrived")
    cell(sentence, in_world(run))


def dane(name, sentence, *passed, host=None, **wanted):
    domain = name + ".example"
    wanted.setdefault("dnssec", "secure")
    delivers("%s: %s" % (domain, sentence), domain, *passed, host=host or "mx." + domain, policy=DANE,
             published=DANE, verified=True, tls="starttls", **wanted)


def by_chance(domain, sentence, *passed, host=None, tls="starttls", **wanted):
    wanted.setdefault("published", "none")
    delivers("%s: %s" % (domain, sentence), domain, *passed, host=host or "mx." + domain, policy=CHANCE,
             verified=False, tls=tls, **wanted)


def sts(name, sentence, *passed, host=None, **wanted):
    domain = name + ".unsigned"
    delivers("%s: %s" % (domain, sentence), domain, *passed, host=host or "mx." + domain, policy=STS,
             published=STS, verified=True, mode="enforce", tls="starttls", dnssec="insecure", **wanted)


def fails_security(domain, sentence, cause, *results, host=None, hosts=None, stage="tls", **options):
    hosts = hosts or [host or "mx." + domain]
    keeps("%s: %s, nothing is sent" % (domain, sentence), domain, 78, "security", "deferred",
          *(Passed(x, cause, *results) for x in hosts), cause=cause, stage=stage, **options)


def no_route(domain, sentence, status, klass, outcome, cause, *passed, **error):
    keeps("%s: %s" % (domain, sentence), domain, status, klass, outcome, *passed, cause=cause, **error)


# Name servers that never answer; first, as they take longest
no_route("mute.example", "its name server never answers: later", 75, "deferred", "deferred", "resolver",
         stage="route")
keeps("plain.example by a name server that never answers: later", "plain.example", 75, "deferred",
      "deferred", to="unanswered", options=["--dns", "192.0.2.5"], cause="resolver", stage="route")

# DANE (RFC 7672)
dane("dane", "the key's SHA-256 matches (3 1 1)")
dane("dane-certificate", "the certificate's SHA-256 matches (3 0 1)")
dane("dane-sha512", "the key's SHA-512 matches (3 1 2)")
dane("dane-whole", "the whole key matches (3 1 0)")
dane("dane-old", "DANE-EE ignores dates (§3.1.1)")
dane("dane-ta", "an authority's certificate matches (2 0 1)")
dane("dane-ta-key", "an authority's key matches (2 1 1)")
dane("dane-ta-domain", "the certificate has the domain's name (§3.2.2)")
dane("dane-rollover", "old and new digest, the new one matches")
dane("dane-mixed", "a usable record beside an unusable one")
dane("dane-agile", "the strongest digest alone counts (§5), and matches")
dane("dane-implicit", "no MX record, the domain's own host", host="dane-implicit.example")
dane("dane-six", "an IPv6 address alone")
dane("dane-cname", "the domain is an alias", host="mx.dane.example")
dane("dane-cname-host", "the host is an alias, its end has the records", host="alias.dane-cname-host.example")
dane("dane-cname-base", "the alias itself has the records (§2.2.3)",
     host="alias.dane-cname-base.example")
dane("dane-cname-insecure", "the alias is secure and where it leads is not (§2.2.2)",
     host="alias.dane-cname-insecure.example")
dane("dane-second", "the first server does not match, the second does",
     Passed("mx1.dane-second.example", "certificate-tlsa", "tlsa-invalid"),
     host="mx2.dane-second.example")
dane("dane-bogus-second", "the first's TLSA is bogus, the second is used",
     Passed("mx.dane-bogus.example", "dns-bogus", "dnssec-invalid"), host="mx.dane.example")
dane("dane-and-sts", "DANE comes first, MTA-STS would not let it through (RFC 8461 §2)")
dane("xn--dne-0qa", "an IDN domain's server", host="mx.dane.example")
delivers("dane-mx-signed.unsigned: MX not signed, its host is (§2.2.1)", "dane-mx-signed.unsigned",
         host="mx.dane.example", policy=DANE, dnssec="insecure")
fails_security("dane-mismatch.example", "no record matches", "certificate-tlsa", "tlsa-invalid")
fails_security("dane-mixed-bad.example", "the unusable record would match", "certificate-tlsa", "tlsa-invalid")
fails_security("dane-agile-bad.example", "the weaker digest would match", "certificate-tlsa", "tlsa-invalid")
fails_security("dane-ta-name.example", "under the right authority with another name", "certificate-name",
               "certificate-host-mismatch")
fails_security("dane-ta-old.example", "under the right authority and expired", "certificate-expired",
               "certificate-expired")
fails_security("dane-clear.example", "no STARTTLS", "not-offered", "starttls-not-supported", stage="starttls")
fails_security("dane-unusable-clear.example", "unusable records, no STARTTLS", "not-offered",
               ("starttls-not-supported"), stage="starttls")
fails_security("sts-and-bad-dane.example", "MTA-STS would let it through", "certificate-tlsa",
               "tlsa-invalid")
delivers("dane-unusable.example: unusable records alone: TLS, unverified", "dane-unusable.example",
         policy=DANE, verified=False, tls="starttls", result="tlsa-invalid")
delivers("dane-malformed.example: a digest cut short counts as unusable", "dane-malformed.example",
         policy=DANE, verified=False, tls="starttls", result="tlsa-invalid")
by_chance("dane-nodata.example", "no TLSA record at the name", dnssec="secure")
by_chance("dane-port.example", "TLSA records of another port", dnssec="secure")
by_chance("dane-host-unsigned.example", "the host is not signed: its TLSA is not asked for (§2.2.2)",
          host="mx.dane-host.unsigned", dnssec="secure")
by_chance("unsigned-child.example", "not signed below a signed parent", dnssec="insecure")
no_route("dane-lame.example", "TLSA fails, no other server: later", 75, "deferred", "deferred", "resolver",
         Passed("mx.dane-lame.example", "resolver", "dnssec-invalid"))
no_route("dane-bogus.example", "TLSA is bogus, no other server: later", 75, "deferred", "deferred",
         "dns-bogus", Passed("mx.dane-bogus.example", "dns-bogus", "dnssec-invalid"))

# --dane=
delivers("dane-mismatch.example with --dane=off: goes, unverified", "dane-mismatch.example", to="off",
         options=["--dane=off"], policy=CHANCE, verified=False, published="none")
delivers("dane.example with --dane=required", "dane.example", to="required", options=["--dane=required"],
         policy=DANE, verified=True)
keeps("plain.example with --dane=required: no TLSA records, nothing is sent", "plain.example", 78,
      "security", "deferred", Passed("mx.plain.example", "no-dane", "dane-required"), to="required",
      options=["--dane=required"], cause="no-dane")
keeps("plain.unsigned with --dane=required: not signed, nothing is sent", "plain.unsigned", 78,
      "security", "deferred", to="required", options=["--dane=required"], cause="no-dnssec")
keeps("dane-mx-signed.unsigned with --dane=required: MX not signed, nothing is sent",
      "dane-mx-signed.unsigned", 78, "security", "deferred", to="required",
      options=["--dane=required"], cause="no-dnssec")
keeps("dane-unusable.example with --dane=required: nothing usable, nothing is sent",
      "dane-unusable.example", 78, "security", "deferred", to="required",
      options=["--dane=required"], cause="no-dane")

# --tls=starttls: every server must prove its name
keeps("plain.example with --tls=starttls: self-signed, nothing is sent", "plain.example", 78, "security",
      "deferred", to="verified", options=["--tls=starttls"], stage="tls")
delivers("sts-none.unsigned with --tls=starttls: its name is proved", "sts-none.unsigned", to="verified",
         options=["--tls=starttls"], policy="required", verified=True)

# MTA-STS (RFC 8461)
sts("sts", "enforced, and all is well")
sts("sts-wildcard", "a wildcard stands for one label")
sts("sts-unknown-keys", "unknown keys and bare line feeds are fine")
sts("sts-mx-second", "the first server is not in the policy",
    Passed("mx1.sts-mx-second.unsigned", "sts-mx", "validation-failure"),
    host="mx2.sts-mx-second.unsigned")
fails_security("sts-old.unsigned", "certificate expired", "certificate-expired", "certificate-expired")
fails_security("sts-name.unsigned", "certificate of another name", "certificate-name",
               "certificate-host-mismatch")
fails_security("sts-self.unsigned", "certificate self-signed", "certificate-self-signed",
               "certificate-not-trusted")
fails_security("sts-nostarttls.unsigned", "no STARTTLS", "not-offered", "starttls-not-supported",
               stage="starttls")
no_route("sts-mx.unsigned", "no server is in the policy: later", 75, "deferred", "deferred", "sts-mx",
         Passed("mx.sts-mx.unsigned", "sts-mx", "validation-failure"), stage="route")
delivers("sts-mx.unsigned with --mta-sts=off: goes", "sts-mx.unsigned", to="off",
         options=["--mta-sts=off"], policy=CHANCE, mode=None)
for name, sentence, result, tls in (
        ("sts-testing", "all is well", "success", "starttls"),
        ("sts-testing-bad", "expired, goes all the same", "certificate-expired", "starttls"),
        ("sts-testing-mx", "no server is in it, goes all the same", "validation-failure", "starttls"),
        ("sts-testing-clear", "no STARTTLS, goes all the same", "starttls-not-supported", "none")):
    delivers("%s.unsigned: testing, %s" % (name, sentence), name + ".unsigned", policy=CHANCE,
             published=STS, mode="testing", result=result, tls=tls)
delivers("sts-none.unsigned: mode none is no policy", "sts-none.unsigned", policy=CHANCE, mode="none")
for name, sentence in (("sts-two", "two TXT records are none"), ("sts-bad-record", "the id is none")):
    delivers("%s.unsigned: %s" % (name, sentence), name + ".unsigned", policy=CHANCE, mode=None,
             published="none")
FETCH, WEB, INVALID = "sts-policy-fetch-error", "sts-webpki-invalid", "sts-policy-invalid"
for name, sentence, problem in (
        ("sts-404", "404", FETCH), ("sts-redirect", "redirected", FETCH),
        ("sts-unreachable", "no web server", FETCH), ("sts-type", "text/html", (FETCH, INVALID)),
        ("sts-big", "over 64 KiB", (FETCH, INVALID)), ("sts-syntax", "not a policy", INVALID),
        ("sts-mode", "an unknown mode", INVALID), ("sts-empty", "empty", (FETCH, INVALID)),
        ("sts-cert-name", "the web server has another name", WEB),
        ("sts-cert-old", "the web server's certificate has expired", WEB),
        ("sts-cert-self", "the web server's certificate is its own", WEB)):
    def run(env, domain=name + ".unsigned", problem=problem):
        record = env.direct(to=["bob@" + domain]).good().record
        check_last(record, domain, policy=CHANCE, mode=None, host="mx." + domain)
        got = record["sessions"][-1]["route"]["problem"]
        assert got == problem or got in problem, "problem: got %r, want %r" % (got, problem)
        equal(len(env.world.received("bob@" + domain)), 1, "messages that arrived")
    cell("%s.unsigned: %s: goes without, the record says why" % (name, sentence), in_world(run))

# MX (RFC 5321 §5.1, RFC 7505)
by_chance("plain.example", "no policy: TLS if offered", at="self")
by_chance("clear.unsigned", "no policy, no STARTTLS: in clear", tls="none", result="starttls-not-supported")
delivers("several.example: by preference; the first is dead", "several.example",
         Passed("mx1.several.example", "unreachable"), host="mx2.several.example", at="second")
delivers("implicit.example: no MX, the domain's own address", "implicit.example", host="implicit.example")
delivers("cname.example: the domain is an alias", "cname.example", host="mx.plain.example")
delivers("cname-host.example: the host is an alias", "cname-host.example", host="alias.cname-host.example")
delivers("nowhere-first.example: the first host does not exist", "nowhere-first.example",
         Passed("none.nowhere.example", "no-such-host"), host="mx.plain.example")
delivers("many.example: an answer over TCP", "many.example", host="mx.many.example", at="second")
delivers("dead-first.example: its first address is dead", "dead-first.example",
         host="mx.dead-first.example", address="192.0.2.10")
delivers("six.example: an IPv6 address alone", "six.example", host="mx.six.example",
         address="2001:db8::13", at="second")
delivers("bücher.example: an IDN domain", "xn--bcher-kva.example", host="mx.xn--bcher-kva.example")
delivers("bogus-host-second.example: the first host's address is bogus", "bogus-host-second.example",
         Passed("mx.bogus.example", "dns-bogus", "dnssec-invalid"), host="mx.plain.example")
no_route("null.example", "takes no mail", 68, "nohost", "refused", "null-mx", enhanced="5.1.10")
no_route("nx.example", "does not exist", 68, "nohost", "refused", "no-such-host", enhanced="5.1.2")
delivers("null-and-more.example: a null MX beside another is none", "null-and-more.example",
         host="mx.plain.example")
no_route("nothing.example", "neither MX nor address", 68, "nohost", "refused", "no-such-host")
no_route("cname-nothing.example", "an alias of nothing", 68, "nohost", "refused", "no-such-host")
no_route("implicit-not.example", "MX unusable: the domain's own address is not used", 68, "nohost",
         "refused", "mx-unusable")
no_route("nowhere.example", "its MX does not exist", 68, "nohost", "refused", "mx-unusable")
no_route("noaddress.example", "its MX has no address", 68, "nohost", "refused", "mx-unusable")
no_route("cname-loop.example", "aliases in a circle: later", 75, "deferred", "deferred", "resolver")
no_route("lame.example", "lame delegation: later", 75, "deferred", "deferred", "resolver")
no_route("lame-host.example", "its MX cannot be looked up: later", 75, "deferred", "deferred", "resolver")
no_route("bogus.example", "wrong signatures: later", 75, "deferred", "deferred", "dns-bogus")
no_route("old.example", "expired signatures: later", 75, "deferred", "deferred", "dns-bogus")
no_route("stripped.example", "signatures missing: later", 75, "deferred", "deferred", "dns-bogus")
no_route("bogus-host.example", "its MX's address is bogus: later", 75, "deferred", "deferred", "dns-bogus")
no_route("dead.example", "nobody listens on port 25: later", 75, "deferred", "deferred", "unreachable",
         Passed("mx1.dead.example", "unreachable"), Passed("mx2.dead.example", "unreachable"),
         stage="connect")
no_route("unreachable.example", "no way there: later", 75, "deferred", "deferred", "unreachable",
         stage="connect")
