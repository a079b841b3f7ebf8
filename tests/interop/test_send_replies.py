# SPDX-License-Identifier: MIT
"""Every reply at every place, from a scripted server: pipelined and step by step, by DATA and by
BDAT. What the recipient is told, and the exit status, are those of posthaste-send(1)."""
import base64

from harness import equal, test
from peer import KEYWORDS, Closed, Peer
from servers import login

BOB, CAROL, DAVE = ("%s@test.example" % x for x in ("bob", "carol", "dave"))
ALL = {"pipelined": KEYWORDS,
       "step by step": ("8BITMIME", "ENHANCEDSTATUSCODES"),
       "bdat": KEYWORDS + ("CHUNKING",),
       "bdat step by step": ("8BITMIME", "CHUNKING")}
BY_DATA = {x: ALL[x] for x in ("pipelined", "step by step")}
PLACES = (("GREETING", "greeting"), ("EHLO", "hello"), ("MAIL", "mail"), ("RCPT", "rcpt"),
          ("DATA", "data"), ("BODY", "body"))


def kinds(moment):
    return BY_DATA if moment == "DATA" else ALL


def each(env, replies, check, kinds=ALL, to=(BOB,), args=(), **options):
    """Sends once for each kind of server and hands result and peer to check()."""
    for kind, keywords in kinds.items():
        fresh = {k: list(v) if isinstance(v, list) else v for k, v in replies.items()}
        with Peer(fresh, keywords=keywords, **options) as peer:
            try:
                result = env.send(peer.url("lmtp" if peer.lmtp else "smtp"), *args, to=list(to))
                check(result, peer)
            except AssertionError as e:
                raise AssertionError("%s: %s" % (kind, e)) from e


def closing(connection, line):
    connection.send(b"421 4.3.2 going down\r\n")
    raise Closed


def log_in(env, peer):
    return env.send(peer.url("submission"), *login(env))


def fails(env, moment, reply, status, klass, outcome, kinds=ALL, **error):
    def check(result, peer):
        result.expect(status, klass, outcome, **error)
        if "code" in error and outcome != "in_doubt":
            equal(result.record["recipients"][0]["code"], error["code"], "recipient's code")
        assert str(error.get("code", "")) in result.stderr, "the reply is not quoted"
    each(env, {moment: reply}, check, kinds)


@test
def all_is_well(env):
    each(env, {}, lambda result, peer: result.good())


@test
def a_4yz_reply_means_later_wherever_it_comes(env):
    for moment, stage in PLACES:
        fails(env, moment, "451 4.3.0 later", 75, "deferred", "deferred", kinds(moment),
              stage=stage, code=451, enhanced="4.3.0")


@test
def a_5yz_reply_means_never_wherever_it_comes(env):
    for moment, stage in PLACES[2:]:
        fails(env, moment, "554 5.7.1 never", 69, "refused", "refused", kinds(moment),
              stage=stage, code=554, enhanced="5.7.1")


@test
def a_550_without_enhanced_code_at_rcpt_is_a_refusal(env):
    fails(env, "RCPT", "550 no", 69, "refused", "refused", stage="rcpt", code=550, enhanced=None)


@test
def unknown_users_have_three_enhanced_codes(env):
    for code in ("5.1.1", "5.1.3", "5.1.6"):
        fails(env, "RCPT", "550 %s unknown" % code, 67, "nouser", "refused", stage="rcpt",
              enhanced=code)


@test
def no_such_domain_at_rcpt(env):
    for code in ("5.1.2", "5.1.10"):
        fails(env, "RCPT", "550 %s no domain" % code, 68, "nohost", "refused", stage="rcpt",
              enhanced=code)


@test
def a_full_mailbox_is_refused_or_deferred_by_its_code(env):
    fails(env, "RCPT", "552 5.2.2 mailbox full", 69, "refused", "refused", stage="rcpt")
    fails(env, "RCPT", "452 4.2.2 mailbox full", 75, "deferred", "deferred", stage="rcpt")


@test
def a_554_greeting_of_a_named_server(env):
    fails(env, "GREETING", "554 5.3.2 no mail here", 69, "refused", "refused",
          stage="greeting", code=554)


@test
def ehlo_refused_then_helo(env):
    def check(result, peer):
        result.good()
        assert "HELO" in peer.verbs(), peer.lines
    each(env, {"EHLO": "502 5.5.1 what?", "HELO": "250 peer.test.example"}, check, {"old": ()})


@test
def a_421_at_any_place(env):
    for moment, stage in PLACES:
        fails(env, moment, closing, 75, "deferred", "deferred", kinds(moment),
              stage=stage, code=421)


@test
def some_recipients_accepted_some_deferred_some_refused(env):
    def check(result, peer):
        result.expect(69, "partial", "partial")
        equal(result.recipients(), ["accepted", "deferred", "refused"], "recipients")
        equal([x["code"] for x in result.record["recipients"]], [250, 450, 550], "codes")
        equal([x["stage"] for x in result.record["recipients"]], ["body", "rcpt", "rcpt"], "stage")
        equal(len(peer.bodies), 1, "messages")
    each(env, {"RCPT": ["250 2.1.5 Ok", "450 4.2.0 later", "550 5.1.1 unknown"]}, check,
         to=(BOB, CAROL, DAVE))


@test
def some_recipients_accepted_the_others_deferred(env):
    def check(result, peer):
        result.expect(75, "partial", "partial")
        equal(result.recipients(), ["accepted", "deferred"], "recipients")
    each(env, {"RCPT": ["250 2.1.5 Ok", "450 4.2.0 later"]}, check, to=(BOB, CAROL))


@test
def too_many_recipients_are_sent_in_another_transaction_or_deferred(env):
    def check(result, peer):
        outcomes = result.recipients()
        assert outcomes in (["accepted", "accepted"], ["accepted", "deferred"]), outcomes
    each(env, {"RCPT": ["250 2.1.5 Ok", "452 4.5.3 too many", "250 2.1.5 Ok"]}, check,
         to=(BOB, CAROL))


@test
def all_refused_though_data_is_pipelined(env):
    def check(result, peer):
        result.expect(67, "nouser", "refused", stage="rcpt")
        assert all(x.length == 0 for x in peer.bodies), "the message was handed over"
    for replies in ({}, {"DATA": "354 go ahead"}, {"DATA": "354 go ahead", "BODY": "250 2.0.0 Ok"}):
        each(env, dict(replies, RCPT="550 5.1.1 unknown"), check, BY_DATA)


@test
def data_refused_without_a_recipient_stays_the_recipients_refusal(env):
    def check(result, peer):
        result.expect(67, "nouser", "refused", stage="rcpt", code=550)
    each(env, {"RCPT": "550 5.1.1 unknown", "DATA": "503 5.5.1 no recipients"}, check, BY_DATA)


@test
def the_final_reply_speaks_for_all_recipients(env):
    def check(result, peer):
        result.deferred(stage="body", code=451)
        equal(result.recipients(), ["deferred"] * 2, "recipients")
    each(env, {"BODY": "451 4.3.0 disk full"}, check, to=(BOB, CAROL))


@test
def lmtp_recipients_are_answered_one_by_one(env):
    def check(result, peer):
        result.expect(69, "partial", "partial")
        equal(result.recipients(), ["accepted", "deferred", "refused"], "recipients")
        equal([x["code"] for x in result.record["recipients"]], [250, 452, 550], "codes")
    each(env, {"BODY": ["250 2.0.0 Ok", "452 4.2.2 full", "550 5.2.0 no"]}, check,
         to=(BOB, CAROL, DAVE), lmtp=True)


@test
def reply_text_of_many_lines_is_joined(env):
    def check(result, peer):
        recipient = result.good().record["recipients"][0]
        equal(recipient["text"], "2.0.0 one\n2.0.0 two", "text")
    each(env, {"BODY": b"250-2.0.0 one\r\n250 2.0.0 two\r\n"}, check)


@test
def a_reply_that_is_not_utf_8_is_shown_and_kept(env):
    def check(result, peer):
        recipient = result.expect(69, "refused", "refused").record["recipients"][0]
        equal(base64.b64decode(recipient["text_b64"]), b"5.7.1 caf\xe9", "text_b64")
        assert "\\xE9" in result.stderr or "\\xe9" in result.stderr, result.stderr
    each(env, {"RCPT": b"550 5.7.1 caf\xe9\r\n"}, check)


@test
def a_reply_cannot_drive_the_terminal(env):
    def check(result, peer):
        result.expect(69, "refused", "refused")
        for bad in ("\x1b", "\x07", "\x7f", "\x9b", "\u202e"):
            assert bad not in result.stderr, "%r was shown raw" % bad
    each(env, {"RCPT": "550 5.7.1 \x1b[2J\x07\x7f\x9b31m\u202eevil"}, check, args=("-v",))


@test
def authentication_refused_is_not_tried_again(env):
    for mechanisms in ("PLAIN LOGIN", "LOGIN PLAIN", "PLAIN"):
        with Peer({"AUTH": "535 5.7.8 no"}, keywords=("AUTH " + mechanisms,),
                  context=env.certificate.context()) as peer:
            log_in(env, peer).expect(77, "auth", "deferred", stage="auth", code=535)
            equal(peer.verbs().count("AUTH"), 1, "AUTH commands")


@test
def a_mechanism_refused_makes_way_for_the_next(env):
    def login_only(connection, line):
        if line.upper().startswith("AUTH LOGIN"):
            if line.upper() == "AUTH LOGIN":
                connection.send(b"334 VXNlcm5hbWU6\r\n")
                connection.line()
            connection.send(b"334 UGFzc3dvcmQ6\r\n")
            connection.line()
            return "235 2.7.0 yes"
        return "504 5.5.4 not this one"
    with Peer({"AUTH": login_only}, keywords=("AUTH PLAIN LOGIN",),
              context=env.certificate.context()) as peer:
        equal(log_in(env, peer).good().session["auth"]["mechanism"], "LOGIN", "mechanism")


@test
def no_usable_mechanism(env):
    for keywords in (("AUTH GSSAPI NTLM",), ()):
        with Peer(keywords=keywords, context=env.certificate.context()) as peer:
            log_in(env, peer).expect(77, "auth", "deferred", stage="auth")
            assert not {"AUTH", "MAIL"} & set(peer.verbs()), peer.lines


@test
def authentication_deferred(env):
    with Peer({"AUTH": "454 4.7.0 later"}, keywords=("AUTH PLAIN",),
              context=env.certificate.context()) as peer:
        log_in(env, peer).deferred(stage="auth", code=454)


@test
def authentication_demanded_on_a_secure_link(env):
    with Peer({"MAIL": "530 5.7.0 who are you"}, context=env.certificate.context()) as peer:
        env.send(peer.url("submission"), "--ca-file", env.ca.file) \
           .expect(77, "auth", "deferred", stage="mail", code=530)
