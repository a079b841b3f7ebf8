# SPDX-License-Identifier: MIT
"""The programs of a tutorial on smtplib, against Postfix, with nothing changed but the import: what they
print and what is delivered is the same."""
import subprocess

import postfix
from harness import check_sanitizers, equal, test
from server import UNICODE, USERS
from smtplib_oracle import ITSELF, PYTHON, child_environment, without_identifiers

COMMANDS = """
import smtplib
import sys

server = smtplib.SMTP(sys.argv[1], int(sys.argv[2]))
print(server.docmd("EHLO", "client.example"))
print(server.docmd("MAIL", "FROM:<sender@sender.example>"))
print(server.docmd("RCPT", "TO:<bob@test.example>"))
print(server.docmd("RCPT", "TO:<nobody@test.example>"))
print(server.docmd("DATA"))
server.send("From: sender@sender.example\\r\\n")
server.send("To: bob@test.example\\r\\nSubject: by hand\\r\\n\\r\\n")
server.send("Hello, Bob.\\r\\n..dot\\r\\n.\\r\\n")
print(server.getreply())
print(server.docmd("QUIT"))
"""

BASE64 = """
import base64
import smtplib
import sys

def encoded(text):
    return base64.b64encode(text.encode()).decode()

server = smtplib.SMTP(sys.argv[1], int(sys.argv[2]))
server.ehlo("client.example")
server.starttls()
server.ehlo("client.example")
print(server.docmd("AUTH", "LOGIN"))
print(server.docmd(encoded("alice")))
print(server.docmd(encoded(sys.argv[3])))
print(server.mail("alice@test.example"))
print(server.rcpt("bob@test.example"))
print(server.data("From: alice@test.example\\nTo: bob@test.example\\nSubject: base64\\n\\n.Hello\\nBob"))
print(server.quit())
"""

IMPLICIT = """
import smtplib
import sys
from email.mime.text import MIMEText

message = MIMEText("Grüße, Bob.\\n")
message["From"] = "Alice <alice@test.example>"
message["To"] = "Bob <bob@test.example>"
message["Subject"] = "über TLS"

with smtplib.SMTP_SSL(sys.argv[1], int(sys.argv[2]), "client.example") as server:
    print(server.login("alice", sys.argv[3]))
    print(server.sendmail("alice@test.example", ["bob@test.example"], message.as_string()))
"""

STARTTLS = """
import smtplib
import ssl
import sys
from email.message import EmailMessage

message = EmailMessage()
message["From"] = "Alice <alice@test.example>"
message["To"] = "Bob <bob@test.example>"
message["Cc"] = "carol@test.example"
message["Bcc"] = "zoe@test.example"
message["Subject"] = "STARTTLS"
message.set_content("Hello.\\n.\\nend\\n")

server = smtplib.SMTP(sys.argv[1], int(sys.argv[2]), "client.example")
try:
    server.ehlo()
    server.starttls(context=ssl.create_default_context())
    server.ehlo()
    print(server.login("alice", sys.argv[3]))
    print(server.send_message(message))
except smtplib.SMTPException as e:
    print(e)
finally:
    print(server.quit())
"""


def outcome(env, program, port, mode):
    """What the program printed, and what lies in the mailboxes then."""
    if mode != "smtplib":
        program = program.replace("import smtplib", "import posthaste.smtplib as smtplib")
    env.empty_mailboxes()
    done = subprocess.run(
        [PYTHON, "-c", program, "localhost", str(port), USERS["alice"]], capture_output=True, text=True,
        timeout=60, env=child_environment(
            env, SSL_CERT_FILE=env.ca.file,
            POSTHASTE_SMTPLIB_COMPAT="1" if mode == "strict" else "0"))
    check_sanitizers(done.stderr)
    equal((done.returncode, done.stderr), (0, ""), mode)
    stored = {x: env.mailbox(env.postfix, x) for x in (*USERS, UNICODE)}
    return (without_identifiers(done.stdout).splitlines(),
            {user: [without_identifiers(m.decode("latin-1")) for m in found]
             for user, found in stored.items()})


def tutorial(title, program, port):
    def run(env):
        printed, stored = outcome(env, program, port, "smtplib")
        assert stored["bob"], "the standard library delivered nothing: %r" % printed
        for mode in ("default", "strict"):
            got = outcome(env, program, port, "smtplib" if ITSELF else mode)
            equal(got[0], printed, "%s: printed" % mode)
            equal(got[1], stored, "%s: delivered" % mode)
    run.__name__ = "smtplib: the tutorial's program: " + title
    test(run)


tutorial("direct commands by docmd", COMMANDS, postfix.SMTP)
tutorial("AUTH LOGIN in base64 by hand", BASE64, postfix.SUBMISSION)
tutorial("SMTP_SSL and login", IMPLICIT, postfix.SMTPS)
tutorial("starttls, then login", STARTTLS, postfix.SUBMISSION)
