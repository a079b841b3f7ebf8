# SPDX-License-Identifier: MIT
"""What a person reads when a provider says no: its own words, Chinese ones too, and what to do."""
import base64

from harness import equal, test
from peer import KEYWORDS, Peer

QQ = "Error: 请使用授权码登录。详情请看: http://service.mail.qq.com/cgi-bin/help?subtype=1&&id=28&&no=1001256"


def talk(env, host, replies, *args, **options):
    """A conversation with the provider's server, which is the peer on this machine."""
    with Peer(replies, keywords=KEYWORDS + ("AUTH PLAIN LOGIN",)) as peer:
        return env.send("submission://%s:%d" % (host, peer.port), "--connect", "127.0.0.1", "--tls=off",
                        *args, **options)


def log_in(env, host, reply, *args):
    password = env.file("password", b"secret\n")
    return talk(env, host, {"AUTH": reply}, "--user", "ann", "--password-file", password, *args) \
        .expect(77, "auth", "deferred", stage="auth", code=int(reply[:3]))


def told(result, *words):
    """The command's hint is the record's, and has these words."""
    hint = result.record["error"]["hint"]
    assert "Hint: " + hint in result.stderr, "the hint is not shown"
    for word in words:
        assert word in hint, "%r lacks %r" % (hint, word)


@test
def qq_refuses_in_gbk_and_the_user_reads_chinese(env):
    octets = QQ.encode("gbk")
    result = log_in(env, "smtp.qq.com", b"535 " + octets + b"\r\n", "-v")
    told(result, "authorization code", "授权码", "设置")
    equal(result.stderr.count(": 535 " + QQ), 1, "its words in the problem")
    equal(result.stderr.count("<** 535 " + QQ), 1, "its words in the transcript")
    recipient = result.record["recipients"][0]
    equal(recipient["text"], QQ, "text")
    equal(base64.b64decode(recipient["text_b64"]), octets, "text_b64")


@test
def qq_and_163_refuse_in_english_and_get_the_same_hint(env):
    result = log_in(env, "smtp.qq.com", "535 Login Fail. Please enter your authorization code to login. "
                    "More information in http://service.mail.qq.com/cgi-bin/help?subtype=1&&id=28")
    told(result, "授权码")
    assert "text_b64" not in result.record["recipients"][0], "text_b64 without need"
    told(log_in(env, "smtp.163.com", "535 Error: authentication failed"), "NetEase", "授权码")
    told(log_in(env, "smtp.163.com", b"550 " + "用户无权登陆".encode("gbk") + b"\r\n"), "switched off")


@test
def other_octets_stay_what_they_are(env):
    for octets, shown in ((b"Bo\xeete pleine", "Bo\\xEEte pleine"),
                          ("邮".encode("gbk"), "\\xD3\\xCA"),
                          ("邮箱 ".encode("gbk") + b"\xee", "\\xD3\\xCA\\xCF\\xE4 \\xEE"),
                          ("邮箱\x1b[2J".encode("gbk"), "邮箱\\x1B[2J")):
        result = talk(env, "mx.test.example", {"RCPT": b"550 5.2.2 " + octets + b"\r\n"})
        result.expect(69, "refused", "refused", stage="rcpt", code=550)
        assert "550 5.2.2 " + shown + "\n" in result.stderr, "not shown as " + shown
        told(result, "full")
        recipient = result.record["recipients"][0]
        equal(base64.b64decode(recipient["text_b64"]), b"5.2.2 " + octets, "text_b64")


@test
def refused_senders_recipients_and_messages_get_a_hint(env):
    for moment, host, reply, word in (
            ("MAIL", "smtp.163.com", "553 Mail from must equal authorized user", "--from"),
            ("MAIL", "smtp.office365.com", "530 5.7.57 Client not authenticated to send mail.", "--user"),
            ("RCPT", "mx.test.example", "554 5.7.1 <bob@test.example>: Relay access denied", "--user"),
            ("RCPT", "mx.test.example", "450 4.2.0 Greylisted for 300 seconds", "greylisting"),
            ("BODY", "email-smtp.eu-west-1.amazonaws.com",
             "554 Message rejected: Email address is not verified.", "SES"),
            ("BODY", "gmail-smtp-in.l.google.com",
             "550-5.7.26 Your email has been blocked because the sender is unauthenticated.\r\n"
             "550 5.7.26 See the page. x - gsmtp", "DKIM")):
        result = talk(env, host, {moment: reply})
        equal(result.record["error"]["code"], int(reply[:3]), "code")
        told(result, word)


@test
def the_opening_gets_a_hint_too(env):
    told(talk(env, "smtp-relay.gmail.com",
              {"EHLO": "421 4.7.0 Try again later, closing connection. (EHLO) v6 - gsmtp"}), "--helo")
    told(talk(env, "mx.test.example", {"GREETING": "554 5.7.1 blocked using zen.spamhaus.org"}), "Spamhaus")
    told(log_in(env, "smtp.gmail.com", "534 5.7.9 Application-specific password required. "
                "https://support.google.com/mail/?p=InvalidSecondFactor"), "apppasswords")
