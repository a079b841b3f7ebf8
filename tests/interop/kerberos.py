# SPDX-License-Identifier: MIT
"""A Kerberos realm on loopback: its key distribution centre, the key of the service that Dovecot
reads, and a ticket for each user who asks. GSSAPI needs all three."""
import os
import subprocess

from server import USERS

REALM = "TEST.EXAMPLE"
PORT = 8888
PACKAGES = ("dovecot-gssapi", "krb5-kdc", "krb5-admin-server", "krb5-user")

CONFIG = """
[libdefaults]
 default_realm = {realm}
 dns_lookup_kdc = false
 dns_lookup_realm = false
 dns_canonicalize_hostname = false
 rdns = false
 default_rcache_name = none:
[realms]
 {realm} = {{
  kdc = 127.0.0.1:{port}
 }}
"""

KDC = """
[kdcdefaults]
 kdc_listen = 127.0.0.1:{port}
 kdc_tcp_listen = 127.0.0.1:{port}
[realms]
 {realm} = {{
  database_name = {folder}/principal
  key_stash_file = {folder}/stash
 }}
[logging]
 kdc = FILE:{folder}/log
"""


def environment(folder):
    """What finds the realm: of the centre, of Dovecot, and of the command under test."""
    return {"KRB5_CONFIG": os.path.join(folder, "kerberos", "krb5.conf"),
            "KRB5_KDC_PROFILE": os.path.join(folder, "kerberos", "kdc.conf")}


def keytab(folder):
    return os.path.join(folder, "kerberos", "keytab")


class Kerberos:
    def __init__(self, overlay, folder):
        self.overlay, self.folder = overlay, os.path.join(folder, "kerberos")
        self.variables = environment(folder)
        self.environment = {**os.environ, **self.variables}
        os.mkdir(self.folder)
        for name, content in (("krb5.conf", CONFIG), ("kdc.conf", KDC)):
            with open(os.path.join(self.folder, name), "w") as f:
                f.write(content.format(realm=REALM, port=PORT, folder=self.folder))
        self._run("kdb5_util", "create", "-s", "-r", REALM, "-P", "of the test")
        self._admin("addprinc -randkey smtp/localhost")
        self._admin("ktadd -k %s smtp/localhost" % keytab(folder))
        for user in USERS:
            self._admin("addprinc -randkey %s" % user)
            self._admin("ktadd -k %s/%s.keytab %s" % (self.folder, user, user))
        os.chmod(keytab(folder), 0o644)
        self.process = overlay.run("krb5kdc", "-n", env=self.environment,
                                   stderr=subprocess.DEVNULL)

    def ticket(self, user):
        """The name of a cache that holds a fresh ticket of the user's."""
        cache = "FILE:%s/%s.cache" % (self.folder, user)
        self._run("kinit", "-c", cache, "-k", "-t", "%s/%s.keytab" % (self.folder, user), user)
        return cache

    def _admin(self, query):
        self._run("kadmin.local", "-r", REALM, "-q", query)

    def _run(self, *command):
        self.overlay.output(*command, env=self.environment)
