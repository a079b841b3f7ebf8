# SPDX-License-Identifier: MIT
"""posttls-finger and posthaste on the same hosts: both must say the same of each."""
import concurrent.futures

import direct_fingers
from direct_fingers import PASSED_OVER, REFUSED, UNVERIFIED, VERIFIED
from harness import equal, in_world, test

# What both must say, so that they do not agree on something wrong.
DANE = {
    "dane.example": VERIFIED, "dane-certificate.example": VERIFIED, "dane-sha512.example": VERIFIED,
    "dane-whole.example": VERIFIED, "dane-old.example": VERIFIED, "dane-ta.example": VERIFIED,
    "dane-ta-key.example": VERIFIED, "dane-ta-domain.example": VERIFIED,
    "dane-rollover.example": VERIFIED, "dane-mixed.example": VERIFIED, "dane-agile.example": VERIFIED,
    "dane-implicit.example": VERIFIED, "dane-six.example": VERIFIED, "dane-cname.example": VERIFIED,
    "dane-cname-host.example": VERIFIED, "dane-cname-base.example": VERIFIED,
    "dane-cname-insecure.example": VERIFIED, "dane-mx-signed.unsigned": VERIFIED,
    "cname-signed.unsigned": VERIFIED, "xn--dne-0qa.example": VERIFIED,
    "dane-second.example": REFUSED, "dane-mismatch.example": REFUSED, "dane-mixed-bad.example": REFUSED,
    "dane-agile-bad.example": REFUSED, "dane-ta-name.example": REFUSED, "dane-ta-old.example": REFUSED,
    "dane-clear.example": REFUSED, "dane-unusable-clear.example": REFUSED,
    "dane-lame.example": PASSED_OVER, "dane-bogus.example": PASSED_OVER,
    "bogus-host.example": PASSED_OVER,
    "dane-unusable.example": UNVERIFIED, "dane-malformed.example": UNVERIFIED,
    "dane-nodata.example": UNVERIFIED, "dane-port.example": UNVERIFIED,
    "dane-host-unsigned.example": UNVERIFIED, "unsigned-child.example": UNVERIFIED,
    "plain.example": UNVERIFIED,
}
NAMES = {
    "sts.unsigned": VERIFIED, "sts-wildcard.unsigned": VERIFIED, "sts-old.unsigned": REFUSED,
    "sts-name.unsigned": REFUSED, "sts-nostarttls.unsigned": REFUSED,
}


@test
@in_world
def posttls_finger_and_posthaste_agree_on_every_host(env):
    def both(row):
        domain, wanted, finger = row
        theirs = finger(env.world, domain)
        record = env.alone().direct(to=["finger@" + domain]).record
        assert record["sessions"], "%s: no session" % domain
        return domain, wanted, theirs, direct_fingers.of_session(record["sessions"][0])

    rows = [(x, y, direct_fingers.of_dane) for x, y in DANE.items()]
    rows += [(x, y, lambda world, domain: direct_fingers.of_name(world, "mx." + domain))
             for x, y in NAMES.items()]
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        found = list(pool.map(both, rows))
    for domain, wanted, theirs, ours in found:
        print("#   %-30s posttls-finger: %-13s posthaste: %s" % (domain, theirs, ours))
    wrong = [x for x in found if len(set(x[1:])) != 1]
    equal(wrong, [], "(domain, expected, posttls-finger, posthaste) that differ")
