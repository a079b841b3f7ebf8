# SPDX-License-Identifier: MIT
"""What a real server is to the tests: its addresses, what it offers, and its mailboxes."""
import os
import shutil
import time

DOMAIN = "test.example"
USERS = {"alice": "correct horse 7!", "bob": "bob's secret", "carol": "carol+/=secret",
         "zoe": "Tr0ub4dor&3 läuft"}
UNICODE = "почта"       # a mailbox, at servers with SMTPUTF8

TOKEN = "ya29.interop-token"    # of alice, at servers with OAuth

# What every server refuses, each by its own means.
NOBODY = "nobody@test.example"              # a recipient: 550
LATER = "later@test.example"                # a recipient: 450
REFUSED_SENDER = "refused@sender.example"   # MAIL, or the RCPT behind it
DEFERRED_SENDER = "deferred@sender.example" # with DEFER, the message
REFUSE, DEFER = b"X-Interop: refuse\n", b"X-Interop: defer\n"   # a line of the header: the message


def url(scheme, port, host="127.0.0.1"):
    return "%s://%s:%d" % (scheme, host, port)


class Server:
    """`folder` holds configuration and logs, `mail` a Maildir for each user. Whatever differs from
    server to server stands in attributes, and a row of the table that has nothing to go by in them
    is a row that the server does not have."""

    name = None
    account = None      # the system user that it reads its key as
    ways = {}           # clear, starttls, submission, smtps, lmtp: URL
    mechanisms = ()     # at submission and smtps
    offers = ()         # of PIPELINING CHUNKING 8BITMIME SMTPUTF8 DSN SIZE, what EHLO must show
    limited = {}        # announced, unannounced: (URL, octets) of a limit to the message's size
    relays = ()         # the ways whose mail lies in Postfix's mailboxes
    judging = None      # the way that the refusals are of, if not the first
    line_end = b"\n"    # in the mailbox
    trace = ()          # header fields put on top, beside Return-Path, Delivered-To, Received
    loses_riders = False    # announces PIPELINING and loses what comes behind a final dot
    patience = 10       # refusals that it bears on a connection
    envid = ["id=of+ours"]  # what a report makes of that ENVID
    changes = {}        # a row's title: what the server makes of that row's messages
    refusals = {}       # nobody, later, sender, message, message later, or a row's title where that
                        # is the server's way: (stage, code)

    def __init__(self, overlay, folder, certificate):
        self.overlay, self.folder = overlay, os.path.join(folder, type(self).__name__.lower())
        self.mail = os.path.join(self.folder, "mail")
        self.log = os.path.join(self.folder, "log")
        for path in (self.folder, self.mail):
            os.mkdir(path)
            os.chmod(path, 0o755)
        os.chown(self.mail, 8, 8)
        self.cert = shutil.copy(certificate.cert, self.folder)
        self.key = shutil.copy(certificate.key, self.folder)
        os.chmod(self.key, 0o600)
        if self.account:
            overlay.output("chown", self.account, self.key)

    def __str__(self):
        return self.name

    def ports(self):
        return {int(x.rpartition(":")[2])
                for x in (*self.ways.values(), *(y for y, _ in self.limited.values()))}

    def login(self, user):
        """The name that `user` logs in with."""
        return user

    def token(self, user):
        return TOKEN

    def write(self, name, content, mode=0o644):
        path = os.path.join(self.folder, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as f:
            f.write(content)
        os.chmod(path, mode)
        return path

    def start(self, *command, **options):
        """In the overlay, with its output in the log."""
        with open(self.log, "ab") as log:
            self.process = self.overlay.run(*command, stdout=log, stderr=log, **options)

    def logs(self):
        return [self.log]

    def queued(self):
        """The messages accepted and not yet in a mailbox."""
        return []

    def settle(self, seconds=10):
        end = time.monotonic() + seconds
        while self.queued():
            if time.monotonic() > end:
                raise AssertionError("%s did not finish its deliveries; see %s"
                                     % (self.name, self.log))
            time.sleep(0.01)

    def stored(self, user):
        """What lies in a user's mailbox once the server has finished."""
        self.settle()
        found = []
        for folder in ("new", "cur"):
            path = os.path.join(self.mail, user, folder)
            for name in sorted(os.listdir(path)) if os.path.isdir(path) else ():
                with open(os.path.join(path, name), "rb") as f:
                    found.append(f.read())
        return found

    def empty(self):
        self.settle()
        for path, _, names in os.walk(self.mail):
            if os.path.basename(path) in ("new", "cur"):
                for name in names:
                    os.unlink(os.path.join(path, name))


def files_in(*folders):
    return [x for folder in folders for _, _, files in os.walk(folder) for x in files]
