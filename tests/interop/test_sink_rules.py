# SPDX-License-Identifier: MIT
"""`posthaste sink --rule`: what each action puts on the wire, and how `posthaste send` takes it."""
import os
import re
import shlex
import ssl

from harness import equal, test
from sink import Sink

BODY = b"Subject: x\r\n\r\nx\r\n.\r\n"


def rules(env, *given, args=(), **options):
    words = [x for rule in given for x in ("--rule", rule)]
    return Sink(env, *words, *args, **options)


@test
def a_rule_replies_where_its_expression_fits(env):
    with rules(env, "rcpt:/^bob@/ 450 4.2.1 later", "vrfy:/BOB/i 550 5.1.1 \"no\\nnobody\"") as sink:
        wire = sink.connect()
        wire.greet()
        equal(wire.mail(), "450 4.2.1 later", "for bob")
        equal(wire.say("RCPT TO:<carol@test.example>"), "250 2.1.5 ok", "for carol")
        equal(wire.say("VRFY bob"), "550-5.1.1 no\n550 5.1.1 nobody", "two lines")
    assert "posthaste sink: 1 of 1 times: rcpt:/^bob@/ 450 4.2.1 later\n" in sink.stderr, sink.stderr
    assert re.search(r"127\.0\.0\.1:\d+: RCPT bob@test\.example: rule: rcpt", sink.stderr), sink.stderr


@test
def every_stage_of_a_dialogue_takes_a_rule(env):
    for stage, commands in (("connect", []), ("hello", ["EHLO me"]), ("starttls", ["STARTTLS"]),
                            ("auth", ["AUTH PLAIN AGFubgBi"]), ("mail", ["MAIL FROM:<a@b>"]),
                            ("rcpt", ["MAIL FROM:<a@b>", "RCPT TO:<c@d>"]),
                            ("data", ["MAIL FROM:<a@b>", "RCPT TO:<c@d>", "DATA"]),
                            ("bdat", ["MAIL FROM:<a@b>", "RCPT TO:<c@d>", "BDAT 0"]),
                            ("message", ["MAIL FROM:<a@b>", "RCPT TO:<c@d>", "DATA", "."]),
                            ("rset", ["RSET"]), ("noop", ["NOOP"]), ("vrfy", ["VRFY x"]),
                            ("expn", ["EXPN x"]), ("help", ["HELP"]), ("etrn", ["ETRN x.example"]),
                            ("quit", ["QUIT"]), ("command:/^NOOP x$/", ["NOOP x"])):
        users = ("--users", env.file("users", b"ann:b\n"), "--allow-clear-auth")
        with rules(env, stage + " 451 4.3.5 here", args=users) as sink:
            wire = sink.connect()
            last = wire.reply()
            for command in ([] if stage == "hello" else ["EHLO me"] if commands else []) + commands:
                last = wire.say(command)
            equal(last, "451 here" if stage == "connect" and "4.3.5" not in last
                  else "451 4.3.5 here", stage)


@test
def counts_are_of_the_run_the_connection_the_message_or_the_argument(env):
    def replies(rule):
        got = []
        with rules(env, rule) as sink:
            for _ in range(2):
                wire = sink.connect()
                wire.greet()
                for _ in range(2):
                    wire.say("MAIL FROM:<a@b>")
                    got += [wire.say("RCPT TO:<%s>" % x)[:3] for x in ("c@d", "e@f")]
                    wire.say("RSET")
        return " ".join(got)

    equal(replies("rcpt 450 x"), "450 450 450 450 450 450 450 450", "always")
    equal(replies("rcpt 2-3 450 x"), "250 450 450 250 250 250 250 250", "of the run")
    equal(replies("rcpt 3+ per connection 450 x"), "250 250 450 450 250 250 450 450", "a connection")
    equal(replies("rcpt 2 per message 450 x"), "250 450 250 450 250 450 250 450", "a message")
    equal(replies("rcpt 1 per argument 450 x"), "450 450 250 250 250 250 250 250", "an argument")


@test
def the_first_rule_that_fits_is_taken(env):
    with rules(env, "rcpt 1 450 first", "rcpt:/c/ 451 second", "rcpt 452 third") as sink:
        wire = sink.connect()
        wire.greet()
        equal([wire.mail("c@d")] + [wire.say("RCPT TO:<%s>" % x) for x in ("c@d", "e@f")],
              ["450 first", "451 second", "452 third"], "replies")


@test
def a_delay_holds_the_reply_back(env):
    with rules(env, "noop delay 300ms 250 2.0.0 slow", "rset delay 100ms-200ms") as sink:
        wire = sink.connect()
        wire.greet()
        equal(wire.say("NOOP"), "250 2.0.0 slow", "reply")
        assert 0.25 < wire.pieces[0][0] < 5, wire.pieces
        equal(wire.say("RSET"), "250 2.0.0 reset", "reply")
        assert 0.09 < wire.pieces[0][0] < 5, wire.pieces


@test
def a_reply_comes_in_pieces(env):
    with rules(env, "noop drip 3/50ms", "rset cut 5", "vrfy drip 20ms 252 ok") as sink:
        wire = sink.connect()
        wire.greet()
        equal(wire.say("NOOP"), "250 2.0.0 ok", "reply")
        equal([len(x) for _, x in wire.pieces], [3, 3, 3, 3, 2], "pieces")
        assert wire.pieces[-1][0] > 0.18, wire.pieces
        equal(wire.say("RSET"), "250 2.0.0 reset", "reply")
        equal([len(x) for _, x in wire.pieces], [5, 5, 5, 2], "pieces")
        equal(wire.say("VRFY x"), "252 ok", "reply")
        equal([len(x) for _, x in wire.pieces], [1] * 8, "pieces")


@test
def the_order_of_pipelined_replies_holds(env):
    with rules(env, "rcpt drip 5/5ms", "data delay 50ms") as sink:
        wire = sink.connect()
        wire.greet()
        wire.send(b"MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nRCPT TO:<e@f>\r\nDATA\r\n" + BODY + b"QUIT\r\n")
        equal([wire.reply()[:3] for _ in range(6)], ["250", "250", "250", "354", "250", "221"], "codes")
    equal([x["address"] for x in sink.records[0]["recipients"]], ["c@d", "e@f"], "recipients")


@test
def drop_ends_in_place_of_the_reply_or_behind_it(env):
    with rules(env, "noop drop", "rset reset", "vrfy 252 \"bye\" drop", "expn raw \"250 tr\" drop") as sink:
        for command, want in (("NOOP", (b"", "end")), ("RSET", (b"", "reset")),
                              ("VRFY x", (b"252 bye\r\n", "end")), ("EXPN x", (b"250 tr", "end"))):
            wire = sink.connect()
            wire.greet()
            wire.send(command.encode() + b"\r\n")
            equal(wire.rest(), want, command)


@test
def stall_never_answers_and_sees_the_client_go(env):
    with rules(env, "connect:/./ 2 stall", "noop stall") as sink:
        wire = sink.connect()
        wire.greet()
        wire.send(b"NOOP\r\nRSET\r\n")
        assert wire.silent_for(0.4), wire.pieces
        other = sink.connect()
        assert other.silent_for(0.4), other.pieces
        wire.close()
        third = sink.connect()
        equal(third.greet()[:3], "250", "EHLO")


@test
def garbage_raw_long_and_endless_replies(env):
    with rules(env, "noop garbage", "rset raw \"999 what\\r\\n\\x00\\n\"", "vrfy long 3000 252 2.5.0 ok",
               "help long 10 214 a long text", "expn endless") as sink:
        wire = sink.connect()
        wire.greet()
        wire.send(b"NOOP\r\n")
        garbage = wire.line().encode("latin-1")
        assert len(garbage) == 64 and min(garbage) >= 0x80, garbage
        wire.send(b"RSET\r\n")
        equal((wire.line(), wire.line()), ("999 what", "\0"), "raw")
        line = wire.say("VRFY x")
        assert len(line) == 2998 and line.startswith("252 2.5.0 okxxx"), line
        equal(wire.say("HELP"), "214 a long text", "shorter than the reply: as it is")
        wire.send(b"EXPN x\r\n")
        for _ in range(3000):
            assert re.match(r"252-and so on$", wire.line())


@test
def continuation_lines_with_a_wrong_code(env):
    with rules(env, "hello wrong-code 451", "noop wrong-code 451", "rset wrong-code 250 451 no") as sink:
        wire = sink.connect()
        wire.reply()
        lines = wire.say("EHLO me").splitlines()
        equal({x[:4] for x in lines[:-1]}, {"451-"}, "continuation lines")
        equal(lines[-1][:4], "250 ", "the last line")
        equal(wire.say("NOOP"), "451-2.0.0 ok\n250 2.0.0 ok", "one is put in front")
        equal(wire.say("RSET"), "250-no\n451 no", "a refusal that begins well")


@test
def octets_behind_a_reply_and_late_ones(env):
    with rules(env, r'starttls inject "250 injected\r\n"', 'noop late 200ms 421 4.3.2 bye',
               'quit late 100ms "250 after the end"') as sink:
        wire = sink.connect()
        wire.greet()
        wire.send(b"STARTTLS\r\n")
        equal((wire.line(), wire.line()), ("220 2.0.0 go ahead", "250 injected"), "behind the 220")
        equal(len(wire.pieces), 1, "pieces")
        wire = sink.connect()
        wire.greet()
        equal(wire.say("NOOP"), "250 2.0.0 ok", "reply")
        equal(wire.say("RSET"), "250 2.0.0 reset", "between them")
        equal(wire.line(), "421 4.3.2 bye", "late")
        assert wire.pieces[-1][0] > 0.1, wire.pieces
        wire.send(b"QUIT\r\n")
        equal(wire.rest(), (b"221 2.0.0 bye\r\n250 after the end\r\n", "end"), "after QUIT")


@test
def a_message_is_refused_lost_or_answered_early(env):
    with rules(env, "message:/^lost@/ drop", "message:/^no@/ 550 5.7.1 spam",
               "body:/^early@/ 250 2.0.0 taken early", "body:/^soon@/ 550 5.7.1 refused early",
               "body:/^cut@/ at 100000 drop") as sink:
        def begin(sender):
            wire = sink.connect()
            wire.greet()
            for command in ("MAIL FROM:<%s@x>" % sender, "RCPT TO:<a@b>", "DATA"):
                wire.say(command)
            return wire

        wire = begin("lost")
        wire.send(BODY)
        equal(wire.rest(), (b"", "end"), "lost behind the dot")
        wire = begin("no")
        wire.send(BODY)
        equal(wire.reply(), "550 5.7.1 spam", "refused")
        for sender, reply in (("early", "250 2.0.0 taken early"), ("soon", "550 5.7.1 refused early")):
            wire = begin(sender)
            wire.send(b"Subject: x\r\n")
            equal(wire.reply(), reply, "before the message is whole")
            wire.send(b"\r\nx\r\n.\r\nNOOP\r\n")
            equal(wire.reply(), "250 2.0.0 ok", "the final reply is not given again")
        wire = begin("cut")
        wire.send(b"x" * 99999)
        assert wire.silent_for(0.3)
        wire.send(b"x")
        found, how = wire.rest()
        equal(found, b"", "cut in the middle")
    equal([x["from"] for x in sink.records], ["lost@x", "early@x"], "what was stored")
    assert "1 transactions broken off" in sink.stderr, sink.stderr


@test
def a_sink_that_does_not_read_blocks_its_client(env):
    with rules(env, "body stall") as sink:
        wire = sink.connect()
        wire.greet()
        wire.mail()
        wire.say("DATA")
        wire.socket.settimeout(1)
        try:
            for _ in range(1000):
                wire.socket.sendall(b"x" * 65536)
            raise AssertionError("64 MB went out to a server that does not read")
        except TimeoutError:
            pass
        wire.socket.settimeout(10)
        wire.close()


@test
def lmtp_recipients_have_their_own_final_replies(env):
    with rules(env, "message:/^full@/ 452 4.2.2 full", listen=("--lmtp", "0")) as sink:
        wire = sink.connect("lmtp")
        wire.reply()
        wire.say("LHLO me")
        wire.mail("a@x", "full@x", "b@x")
        wire.say("DATA")
        wire.send(BODY)
        equal([wire.reply() for _ in range(3)], ["250 2.0.0 taken", "452 4.2.2 full", "250 2.0.0 taken"],
              "final replies")


@test
def certificates_and_handshakes_go_wrong_on_demand(env):
    ca = env.folder + "/rules-ca.pem"
    want = {"badcert untrusted": "unable to get local issuer certificate",
            "badcert expired": "certificate has expired",
            "badcert wrong-name": "Hostname mismatch", "tls-fail": "HANDSHAKE_FAILURE",
            "garbage": "WRONG_VERSION_NUMBER|record", "drop": "EOF|closed|reset", "reset": "reset",
            "delay 200ms": None}
    for action, problem in want.items():
        with rules(env, "tls " + action, args=("--ca-out", ca), listen=("--smtp", "0", "--smtps", "0")) as sink:
            for scheme in ("smtp", "smtps"):
                wire = sink.connect(scheme)
                if scheme == "smtp":
                    wire.greet()
                    wire.say("STARTTLS")
                try:
                    wire.starttls(ca)
                    got = None
                except (ssl.SSLError, OSError) as e:
                    got = str(e)
                assert got is None if problem is None else got and re.search(problem, got), (action, got)


@test
def a_run_repeats_with_its_seed(env):
    def run(*args):
        with rules(env, "rcpt 50% 450 4.2.1 later", "noop 30% garbage", "vrfy delay 1ms-30ms",
                   args=args) as sink:
            said = b""
            for _ in range(3):
                wire = sink.connect()
                wire.greet()
                wire.send(b"MAIL FROM:<a@b>\r\n" + b"RCPT TO:<c@d>\r\nNOOP\r\nVRFY x\r\n" * 20 + b"QUIT\r\n")
                said += wire.rest()[0]
            return said, sink.at["seed"]

    first, seed = run()
    equal(run("--seed", seed), (first, seed), "the same seed")
    other, _ = run("--seed", str(int(seed) + 1))
    assert other != first, "another seed says the same"
    assert 10 < first.count(b"450") < 50, first.count(b"450")


@test
def wrong_rules_are_shown_with_the_place(env):
    for rule, place, words in (
            ("rctp 450 x", "rctp", "begins with its stage"),
            ("rcpt:/(/ 450 x", "(/", "regular expression is wrong"),
            ("rcpt 45 450 4.2.1 later", None, None), ("rcpt 45 later", "later", "no such action"),
            ("rcpt 650", "", "an action is missing"),
            ("rcpt delay 2x 450 x", "2x", "that is no time"),
            ("tls 450 x", "450", "has no replies"), ("rcpt badcert expired", "badcert", "for `tls`"),
            ('rcpt 450 "later', '"later', "not closed"), ("rcpt 450 \"x\" 451 y", "451", "second reply")):
        if words is None:
            with rules(env, rule):
                continue
        result = env.run("sink", "--smtp", "0", "--rule", rule)
        equal(result.status, 64, rule)
        lines = result.stderr.splitlines()
        assert words in result.stderr.replace("\n           ", " "), result.stderr
        at = next(i for i, line in enumerate(lines) if line.strip() == "^")
        equal(lines[at - 1][lines[at].index("^"):], rule[len(rule) - len(rule.split(place, 1)[1]) - len(place):]
              if place else "", "what stands over the mark")
    path = env.file("rules", b"# a comment\n\nrcpt 450 x\nnoop whatever\n")
    result = env.run("sink", "--smtp", "0", "--rules", path)
    equal(result.status, 64, "exit status")
    assert path + ", line 4: no such action" in result.stderr, result.stderr


@test
def send_meets_the_rules(env):
    """Outcome and exit status of `posthaste send`, one row a fault."""
    for rule, status, klass, outcome in (
            ("connect 421 4.3.2 busy", 75, "deferred", "deferred"),
            ("rcpt 1 per argument 450 4.7.1 greylisted", 75, "deferred", "deferred"),
            ("rcpt 550 5.1.1 no such user", 67, "nouser", "refused"),
            ("rcpt 552 5.2.2 mailbox full", 69, "refused", "refused"),
            ("message drop", 75, "in_doubt", "in_doubt"),
            ("message garbage", 75, "in_doubt", "in_doubt"),
            ("message 250 \"taken\" cut 1", 0, "ok", "accepted"),
            ("hello drip 7/1ms", 0, "ok", "accepted"),
            ("mail wrong-code 451", 76, "protocol", "deferred"),
            ("rcpt long 20000", 76, "protocol", "deferred"),
            ("mail endless", 76, "protocol", "deferred"),
            ("starttls inject \"250 x\\r\\n\"", 78, "security", "deferred"),
            ("tls badcert expired", 78, "security", "deferred"),
            ("tls tls-fail", 78, "security", "deferred"),
            ("quit drop", 0, "ok", "accepted"), ("quit late 10ms 250 x", 0, "ok", "accepted")):
        ca = env.folder + "/rules-ca.pem"
        with rules(env, rule, args=("--ca-out", ca, "--no", "CHUNKING")) as sink:
            result = env.send(sink.url(), "--tls=starttls", "--ca-file", ca, "--timeout", "20s")
            try:
                result.expect(status, klass, outcome)
            except AssertionError as e:
                raise AssertionError("%s: %s" % (rule, e)) from e


@test
def the_rules_of_the_man_page_are_taken(env):
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "man", "posthaste-sink.1")
    with open(path, encoding="utf-8") as f:
        page = f.read()
    examples = [x.replace(r"\(dq", '"').replace(r"\e", "\\") for x in re.findall(r"^\.Dl (--.*)$", page, re.M)]
    assert len(examples) >= 10, examples
    for example in examples:
        with Sink(env, *[x.replace("ca.pem", env.folder + "/ca.pem") for x in shlex.split(example)]) as sink:
            assert sink.at["smtp"], example
