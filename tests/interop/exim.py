# SPDX-License-Identifier: MIT
"""Exim on loopback ports, delivering into Maildirs beneath its folder. The only server here with
NTLM (its spa driver); DIGEST-MD5 and SCRAM are Cyrus SASL's."""
import os

from server import (DOMAIN, LATER, REFUSED_SENDER, UNICODE, USERS, Server, files_in, url)

SMTP = 2625         # STARTTLS and CHUNKING offered
CLEAR = 2626        # no TLS at all
SMALL = 2627        # as SMTP, message_size_limit 200 KiB
DATA_ONLY = 2628    # as SMTP, no CHUNKING
PROXY = 2629        # as SMTP, behind a proxy that says first whom it speaks for
SUBMISSION = 2687   # STARTTLS and AUTH demanded
SMTPS = 2665        # implicit TLS, AUTH demanded

SMALL_LIMIT = 200 * 1024
PACKAGES = ("exim4-daemon-heavy", "libsasl2-modules", "sasl2-bin")

CONFIG = r"""
primary_hostname = mx.test.example
domainlist local_domains = {domain}
spool_directory = {folder}/spool
log_file_path = {folder}/%slog
log_selector = +all_parents +smtp_protocol_error +smtp_syntax_error +received_recipients
pid_file_path =
exim_user = Debian-exim
exim_group = Debian-exim
never_users =
keep_environment =
local_interfaces = 127.0.0.1
daemon_smtp_ports = {smtp} : {clear} : {small} : {data_only} : {proxy} : {submission} : {smtps}
tls_on_connect_ports = {smtps}
tls_advertise_hosts = ${{if ={{$received_port}}{{{clear}}}{{}}{{*}}}}
tls_certificate = {cert}
tls_privatekey = {key}
tls_verify_certificates = {ca}
tls_try_verify_hosts = *
auth_advertise_hosts = ${{if inlist{{$received_port}}{{{submission}:{smtps}}}\
                         {{${{if def:tls_in_cipher{{*}}{{}}}}}}{{}}}}
chunking_advertise_hosts = ${{if ={{$received_port}}{{{data_only}}}{{}}{{*}}}}
smtputf8_advertise_hosts = *
dsn_advertise_hosts = *
hosts_proxy = ${{if ={{$received_port}}{{{proxy}}}{{*}}{{}}}}
prdr_enable = true
message_size_limit = ${{if ={{$received_port}}{{{small}}}{{{small_limit}}}{{20M}}}}
accept_8bitmime = true
rfc1413_hosts =
host_lookup =
dns_ipv4_lookup =
disable_ipv6 = true
smtp_accept_max = 0
smtp_accept_max_per_connection = 0
smtp_accept_queue_per_connection = 0
smtp_enforce_sync = true
acl_smtp_mail = mail
acl_smtp_rcpt = rcpt
acl_smtp_data = data

begin acl
mail:
  deny    senders = {refused_sender}
          message = 5.7.1 this sender is not welcome
  accept

rcpt:
  deny    condition = ${{if inlist{{$received_port}}{{{submission}:{smtps}}}}}
          !authenticated = *
          message = 5.7.1 authentication required
  defer   recipients = {later}
          message = 4.2.1 come back later
  accept  domains = +local_domains
          local_parts = lsearch;{folder}/users
  deny    domains = +local_domains
          message = 5.1.1 <$local_part@$domain>: no such user here
  deny    message = 5.7.1 relaying denied

data:
  deny    condition = ${{if eq{{$h_X-Interop:}}{{refuse}}}}
          message = 5.7.1 this message is not welcome
  defer   condition = ${{if eq{{$h_X-Interop:}}{{defer}}}}
          message = 4.7.1 not now
  accept

begin routers
local:
  driver = accept
  domains = +local_domains
  local_parts = lsearch;{folder}/users
  transport = maildir

begin transports
maildir:
  driver = appendfile
  maildir_format
  directory = {mail}/$local_part_data
  create_directory
  directory_mode = 0755
  mode = 0644
  user = mail
  group = mail
  delivery_date_add
  envelope_to_add
  return_path_add

begin retry
* * F,1h,1m

begin rewrite

begin authenticators
plain:
  driver = plaintext
  public_name = PLAIN
  server_prompts = :
  server_condition = ${{if eq{{$auth3}}{{${{lookup{{$auth2}}lsearch{{{folder}/passwd}}{{$value}}fail}}}}}}
  server_set_id = $auth2

login:
  driver = plaintext
  public_name = LOGIN
  server_prompts = <| Username: | Password:
  server_condition = ${{if eq{{$auth2}}{{${{lookup{{$auth1}}lsearch{{{folder}/passwd}}{{$value}}fail}}}}}}
  server_set_id = $auth1

cram:
  driver = cram_md5
  public_name = CRAM-MD5
  server_secret = ${{lookup{{$auth1}}lsearch{{{folder}/passwd}}{{$value}}fail}}
  server_set_id = $auth1

ntlm:
  driver = spa
  public_name = NTLM
  server_password = ${{lookup{{$auth1}}lsearch{{{folder}/passwd}}{{$value}}fail}}
  server_set_id = $auth1

digest:
  driver = cyrus_sasl
  public_name = DIGEST-MD5
  server_hostname = localhost
  server_realm = {domain}
  server_set_id = $auth1

scram_sha_1:
  driver = cyrus_sasl
  public_name = SCRAM-SHA-1
  server_hostname = localhost
  server_realm = {domain}
  server_set_id = $auth1

scram_sha_256:
  driver = cyrus_sasl
  public_name = SCRAM-SHA-256
  server_hostname = localhost
  server_realm = {domain}
  server_set_id = $auth1

external:
  driver = external
  public_name = EXTERNAL
  server_advertise_condition = $tls_in_certificate_verified
  server_param2 = ${{certextract{{subj_altname,mail,>:}}{{$tls_in_peercert}}}}
  server_condition = ${{if forany{{$auth2}}{{eq{{$item}}{{$auth1}}}}}}
  server_set_id = $auth1
"""


class Exim(Server):
    name, account = "Exim", "Debian-exim"
    ways = {"starttls": url("smtp", SMTP), "clear": url("smtp", CLEAR),
            "data": url("smtp", DATA_ONLY), "submission": url("submission", SUBMISSION),
            "smtps": url("smtps", SMTPS), "proxy": url("smtp", PROXY)}
    mechanisms = ("PLAIN", "LOGIN", "CRAM-MD5", "DIGEST-MD5", "SCRAM-SHA-1", "SCRAM-SHA-256", "NTLM",
                  "EXTERNAL")
    offers = ("PIPELINING", "CHUNKING", "8BITMIME", "SMTPUTF8", "DSN", "SIZE")
    limited = {"announced": (url("smtp", SMALL), SMALL_LIMIT)}
    trace = ("envelope-to", "delivery-date")
    envid = ["id+3Dof+2Bours"]      # not decoded (RFC 3461 §6.3 wants it to be)
    # It ends a header that has no end.
    changes = {"header fields only": lambda x: x + b"\n"}
    refusals = {"nobody": ("rcpt", 550), "later": ("rcpt", 451), "sender": ("mail", 550),
                "message": ("body", 550), "message later": ("body", 451)}

    def __init__(self, overlay, folder, certificate, authority):
        super().__init__(overlay, folder, certificate)
        os.mkdir(os.path.join(self.folder, "spool"))
        os.chmod(self.folder, 0o777)
        config = self.write("exim.conf", CONFIG.format(
            folder=self.folder, mail=self.mail, domain=DOMAIN, cert=self.cert,
            key=self.key, ca=authority.file, smtp=SMTP, clear=CLEAR, small=SMALL,
            data_only=DATA_ONLY, proxy=PROXY, submission=SUBMISSION, smtps=SMTPS,
            small_limit=SMALL_LIMIT,
            refused_sender=REFUSED_SENDER, later=LATER))
        self.write("users", "".join("%s: %s\n" % (x, x) for x in (*USERS, UNICODE)))
        self.write("passwd", "".join("%s: %s\n" % x for x in USERS.items()))
        overlay.output("chown", "Debian-exim", "-R", os.path.join(self.folder, "spool"))
        for user, password in USERS.items():
            overlay.output("sh", "-c", 'printf %s "$3" | saslpasswd2 -p -c -f "$0" -u "$1" "$2"',
                           os.path.join(self.folder, "sasldb2"), DOMAIN, user, password)
        os.chmod(os.path.join(self.folder, "sasldb2"), 0o644)
        # Only at its own place is a configuration trusted by all of Exim's processes.
        overlay.bind(config, "/var/lib/exim4/config.autogenerated")
        overlay.writable("/usr/lib/sasl2")
        with open(overlay.root + "/usr/lib/sasl2/exim.conf", "w") as f:
            f.write("pwcheck_method: auxprop\nauxprop_plugin: sasldb\nsasldb_path: %s/sasldb2\n"
                    % self.folder)
        self.start("/usr/sbin/exim4", "-bdf", "-q1h")

    def logs(self):
        return [os.path.join(self.folder, x + "log") for x in ("", "main", "reject", "panic")]

    def queued(self):
        return files_in(os.path.join(self.folder, "spool", "input"))
