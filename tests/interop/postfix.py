# SPDX-License-Identifier: MIT
"""Postfix on loopback ports, delivering into Maildirs beneath its folder."""
import os
import textwrap
import time

SMTP = 2525         # STARTTLS offered, CHUNKING offered
CLEAR = 2526        # no TLS at all
SMALL = 2527        # as SMTP, message_size_limit 200 KiB
DATA_ONLY = 2528    # as SMTP, no CHUNKING
LOCK_STEP = 2529    # as SMTP, neither CHUNKING nor PIPELINING
SUBMISSION = 2587   # STARTTLS and AUTH demanded
SMTPS = 2465        # implicit TLS, AUTH demanded

SMALL_LIMIT = 200 * 1024
DOMAIN = "test.example"

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

SERVICES = {
    SMTP: "",
    CLEAR: "-o smtpd_tls_security_level=none",
    SMALL: "-o message_size_limit=%d" % SMALL_LIMIT,
    DATA_ONLY: "-o smtpd_discard_ehlo_keywords=chunking,silent-discard",
    LOCK_STEP: "-o smtpd_discard_ehlo_keywords=chunking,pipelining,silent-discard",
    SUBMISSION: "-o smtpd_tls_security_level=encrypt " + AUTH,
    SMTPS: "-o smtpd_tls_wrappermode=yes " + AUTH,
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


class Postfix:
    def __init__(self, overlay, folder, mail, users, certificate, auth_socket):
        self.folder, self.mail, self.log = folder, mail, os.path.join(folder, "log")
        config = os.path.join(folder, "etc")
        for path in (config, os.path.join(folder, "spool"), os.path.join(folder, "data")):
            os.makedirs(path)
        os.chmod(folder, 0o755)
        overlay.run("chown", "postfix", os.path.join(folder, "data")).wait()
        self._write("etc/main.cf",
                    MAIN.format(folder=folder, mail=mail, domain=DOMAIN, auth=auth_socket,
                                cert=certificate.cert, key=certificate.key))
        ports = "".join("127.0.0.1:%d inet n - n - - smtpd %s\n" % x for x in SERVICES.items())
        self._write("etc/master.cf", ports + textwrap.dedent(MASTER))
        self._write("users", "".join("%s@%s %s/\n" % (user, DOMAIN, user) for user in users))
        self.process = overlay.run("/usr/sbin/postfix", "-c", config, "start-fg")

    def _write(self, name, content):
        with open(os.path.join(self.folder, name), "w") as f:
            f.write(content)

    def settle(self):
        """Waits until no delivery is under way."""
        spool = os.path.join(self.folder, "spool")
        for _ in range(500):
            if not any(files for queue in ("incoming", "active", "maildrop")
                       for _, _, files in os.walk(os.path.join(spool, queue))):
                return
            time.sleep(0.01)
        raise AssertionError("Postfix did not finish its deliveries; see %s" % self.log)
