# SPDX-License-Identifier: MIT
"""Postfix on loopback ports, delivering into Maildirs beneath its folder."""
import os
import textwrap

import dovecot
from server import (DEFERRED_SENDER, DOMAIN, LATER, REFUSED_SENDER, UNICODE, USERS, Server, files_in,
                    url)

SMTP = 2525         # STARTTLS offered, CHUNKING offered
CLEAR = 2526        # no TLS at all
SMALL = 2527        # as SMTP, message_size_limit 200 KiB
DATA_ONLY = 2528    # as SMTP, no CHUNKING
LOCK_STEP = 2529    # as SMTP, neither CHUNKING nor PIPELINING
UNANNOUNCED = 2530  # as SMALL, no SIZE
PROXY = 2531        # as SMTP, behind a proxy that says first whom it speaks for
XCLIENT = 2532      # as SMTP, XCLIENT and XFORWARD offered
SUBMISSION = 2587   # STARTTLS and AUTH demanded; PLAIN and LOGIN
SMTPS = 2465        # implicit TLS, AUTH demanded; PLAIN and LOGIN
EVERY_AUTH = 2589   # as SUBMISSION, every mechanism
EVERY_AUTHS = 2466  # as SMTPS, every mechanism

SMALL_LIMIT = 200 * 1024
PACKAGES = ("postfix",)

MAIN = """
compatibility_level = 3.6
queue_directory = {folder}/spool
data_directory = {folder}/data
maillog_file = {folder}/log
maillog_file_prefixes = {folder}
myhostname = mx.test.example
mydestination =
mynetworks = 192.0.2.1/32
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
smtpd_peername_lookup = no
smtp_dns_support_level = disabled
default_transport = error:outside mail is not sent
relay_transport = error:outside mail is not sent
alias_maps =
virtual_mailbox_domains = {domain}
virtual_mailbox_base = {mail}
virtual_mailbox_maps = texthash:{folder}/users
virtual_minimum_uid = 1
virtual_uid_maps = static:8
virtual_gid_maps = static:8
local_header_rewrite_clients =
message_size_limit = 20971520
virtual_mailbox_limit = 0
smtpd_error_sleep_time = 0
smtpd_client_connection_count_limit = 0
smtpd_relay_restrictions = permit_sasl_authenticated, reject_unauth_destination
smtpd_sender_restrictions = check_sender_access texthash:{folder}/senders
smtpd_recipient_restrictions = check_recipient_access texthash:{folder}/recipients
smtpd_end_of_data_restrictions = check_sender_access texthash:{folder}/data_senders
header_checks = regexp:{folder}/header_checks
smtpd_tls_cert_file = {cert}
smtpd_tls_key_file = {key}
smtpd_tls_security_level = may
smtpd_tls_received_header = no
smtpd_sasl_type = dovecot
smtpd_sasl_path = {auth}
smtpd_sasl_authenticated_header = yes
"""

AUTH = "-o smtpd_sasl_auth_enable=yes -o smtpd_tls_auth_only=yes " \
       "-o smtpd_client_restrictions=permit_sasl_authenticated,reject"

PASSWORD = "-o smtpd_sasl_mechanism_filter=plain,login "

SERVICES = {
    SMTP: "",
    CLEAR: "-o smtpd_tls_security_level=none",
    SMALL: "-o message_size_limit=%d" % SMALL_LIMIT,
    DATA_ONLY: "-o smtpd_discard_ehlo_keywords=chunking,silent-discard",
    LOCK_STEP: "-o smtpd_discard_ehlo_keywords=chunking,pipelining,silent-discard",
    UNANNOUNCED: "-o message_size_limit=%d "
                 "-o smtpd_discard_ehlo_keywords=size,silent-discard" % SMALL_LIMIT,
    PROXY: "-o smtpd_upstream_proxy_protocol=haproxy",
    XCLIENT: "-o smtpd_authorized_xclient_hosts=127.0.0.1 "
             "-o smtpd_authorized_xforward_hosts=127.0.0.1",
    SUBMISSION: "-o smtpd_tls_security_level=encrypt " + PASSWORD + AUTH,
    SMTPS: "-o smtpd_tls_wrappermode=yes " + PASSWORD + AUTH,
    EVERY_AUTH: "-o smtpd_tls_security_level=encrypt " + AUTH,
    EVERY_AUTHS: "-o smtpd_tls_wrappermode=yes " + AUTH,
}

MASTER = """
postlog   unix-dgram n - n -     1 postlogd
pickup    unix       n - n 60    1 pickup
cleanup   unix       n - n -     0 cleanup
qmgr      unix       n - n 300   1 qmgr
tlsmgr    unix       - - n 1000? 1 tlsmgr
rewrite   unix       - - n -     - trivial-rewrite
bounce    unix       - - n -     0 bounce
defer     unix       - - n -     0 bounce
trace     unix       - - n -     0 bounce
verify    unix       - - n -     1 verify
flush     unix       n - n 1000? 0 flush
proxymap  unix       - - n -     - proxymap
error     unix       - - n -     - error
retry     unix       - - n -     - error
discard   unix       - - n -     - discard
anvil     unix       - - n -     1 anvil
virtual   unix       - n n -     - virtual
"""


class Postfix(Server):
    name = "Postfix"
    ways = {"starttls": url("smtp", SMTP), "clear": url("smtp", CLEAR),
            "data": url("smtp", DATA_ONLY), "submission": url("submission", EVERY_AUTH),
            "smtps": url("smtps", EVERY_AUTHS), "proxy": url("smtp", PROXY),
            "xclient": url("smtp", XCLIENT)}
    mechanisms = dovecot.MECHANISMS
    offers = ("PIPELINING", "CHUNKING", "8BITMIME", "SMTPUTF8", "DSN", "SIZE")
    limited = {"announced": (url("smtp", SMALL), SMALL_LIMIT),
               "unannounced": (url("smtp", UNANNOUNCED), SMALL_LIMIT)}
    refusals = {"nobody": ("rcpt", 550), "later": ("rcpt", 450), "sender": ("rcpt", 550),
                "message": ("body", 550), "message later": ("body", 451)}

    def __init__(self, overlay, folder, certificate, authority):
        super().__init__(overlay, folder, certificate)
        config = os.path.join(self.folder, "etc")
        for path in (config, os.path.join(self.folder, "spool"), os.path.join(self.folder, "data")):
            os.makedirs(path)
        overlay.run("chown", "postfix", os.path.join(self.folder, "data")).wait()
        self.write("etc/main.cf", MAIN.format(
            folder=self.folder, mail=self.mail, domain=DOMAIN, auth=dovecot.socket(folder),
            cert=self.cert, key=self.key))
        ports = "".join("127.0.0.1:%d inet n - n - - smtpd %s\n" % x for x in SERVICES.items())
        self.write("etc/master.cf", ports + textwrap.dedent(MASTER))
        for name, line in (("senders", REFUSED_SENDER + " 550 5.7.1 this sender is not welcome"),
                           ("recipients", LATER + " 450 4.2.1 come back later"),
                           ("data_senders", DEFERRED_SENDER + " 451 4.7.1 not now")):
            self.write(name, line + "\n")
        self.write("header_checks", "/^X-Interop: refuse/ REJECT 5.7.1 this message is not welcome\n")
        self.write("users", "".join("%s@%s %s/\n" % (user, DOMAIN, user)
                                    for user in (*USERS, UNICODE)))
        self.process = overlay.run("/usr/sbin/postfix", "-c", config, "start-fg")

    def queued(self):
        spool = os.path.join(self.folder, "spool")
        return files_in(*(os.path.join(spool, x) for x in ("incoming", "active", "maildrop")))

    def token(self, user):
        return dovecot.token(user)
