# SPDX-License-Identifier: MIT
"""A second opinion on the hosts of the world: what Postfix's posttls-finger makes of each."""
import re

# What there is to be said of a host: it has proved itself, it failed to where it must, nobody asks for
# a proof, or it may not even be spoken to.
VERIFIED, REFUSED, UNVERIFIED, PASSED_OVER = "verified", "refused", "not verified", "passed over"


def of_dane(world, domain):
    """Of the first host of a domain, by DANE where there are records (RFC 7672)."""
    return _opinion(world.finger("-c", "-l", "dane", domain), r".*")


def of_name(world, host):
    """Of one host, by the name in its certificate, as an enforced MTA-STS policy demands."""
    return _opinion(world.finger("-c", "-l", "secure", "-F", world.ca.file, "[%s]" % host, host),
                    re.escape(host))


def _opinion(said, host):
    _, text = said
    first = text.find("connection established")
    if "TLSA lookup error" in text or "lookup failed" in text:
        return PASSED_OVER
    if re.search(r"Verified TLS connection established to %s\[" % host, text):
        return VERIFIED
    # TLSA records that a server matches whose MX record is not signed
    if "MX RRset insecure: log verified as trusted" in text and "Trusted TLS" in text:
        return VERIFIED
    if first < 0 or "server certificate verification failed" in text[:first]:
        return REFUSED      # no STARTTLS: it says nothing
    if "Untrusted TLS" in text:
        return UNVERIFIED
    raise AssertionError("posttls-finger: " + text)


def of_session(session):
    """What posthaste made of a host, by its record."""
    tls, error = session["tls"] or {}, session["error"] or {}
    if error.get("stage") == "route":
        return PASSED_OVER
    if tls.get("verified"):
        return VERIFIED
    if error.get("stage") in ("starttls", "tls", "hello"):
        return REFUSED
    return UNVERIFIED
