# SPDX-License-Identifier: MIT
"""A certificate authority for one test run, through the openssl command."""
import hashlib
import os
import ssl
import subprocess

CONFIG = """
[ca]
default_ca = test
[test]
database = {folder}/index
serial = {folder}/serial
new_certs_dir = {folder}
default_md = sha256
policy = any
unique_subject = no
copy_extensions = none
[any]
commonName = supplied
[req]
distinguished_name = name
[name]
[authority]
basicConstraints = critical,CA:TRUE
keyUsage = critical,keyCertSign,cRLSign
subjectKeyIdentifier = hash
[server]
basicConstraints = CA:FALSE
extendedKeyUsage = {usage}
subjectAltName = {names}
"""

EC = ("ec", "-pkeyopt", "ec_paramgen_curve:P-256")
RSA = ("rsa:2048",)


class Certificate:
    def __init__(self, folder, name):
        self.cert = os.path.join(folder, name + ".pem")
        self.key = os.path.join(folder, name + ".key")

    def context(self):
        """A server's ssl context that shows this certificate."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.cert, self.key)
        return context

    def der(self, what="certificate"):
        """The certificate or its public key, as pins and TLSA records hash it."""
        if what == "certificate":
            command = ["openssl", "x509", "-in", self.cert, "-outform", "DER"]
        else:
            command = ["openssl", "pkey", "-in", self.key, "-pubout", "-outform", "DER"]
        return subprocess.run(command, check=True, capture_output=True).stdout

    def pin(self, what="certificate"):
        """SHA-256 of the certificate or of its public key, as --pin wants it."""
        return hashlib.sha256(self.der(what)).hexdigest()

    def tlsa(self, usage, selector, matching):
        """The data of a TLSA record of it (RFC 6698 §2.1) in text."""
        der = self.der(("certificate", "key")[selector])
        shown = (der.hex(), hashlib.sha256(der).hexdigest(), hashlib.sha512(der).hexdigest())
        return "%d %d %d %s" % (usage, selector, matching, shown[matching])


class Authority:
    """`file` is the CA's certificate; issue() makes server certificates. Dates are openssl's
    YYYYMMDDHHMMSSZ."""

    def __init__(self, folder, name="ca"):
        os.makedirs(folder)
        self.folder = folder
        self._config = os.path.join(folder, "openssl.cnf")
        for file, content in (("index", ""), ("serial", "1001\n")):
            with open(os.path.join(folder, file), "w") as f:
                f.write(content)
        own = self._self_signed(name, "Test authority " + name, "authority")
        self.file = own.cert
        self.own = own

    def issue(self, name, names, start="20200101000000Z", end="20491231235959Z",
              usage="serverAuth", key=EC):
        made = Certificate(self.folder, name)
        request = os.path.join(self.folder, name + ".csr")
        self._write_config(names, usage)
        self._openssl("req", "-new", *self._new_key(made, key), "-subj", "/CN=" + name, "-out", request)
        self._openssl("ca", "-batch", "-notext", "-config", self._config, "-in", request,
                      "-cert", self.own.cert, "-keyfile", self.own.key, "-extensions", "server",
                      "-startdate", start, "-enddate", end, "-out", made.cert)
        return made

    def self_signed(self, name, names):
        self._write_config(names)
        return self._self_signed(name, name, "server", write=False)

    def _self_signed(self, name, subject, extensions, write=True):
        made = Certificate(self.folder, name)
        if write:
            self._write_config("DNS:unused.invalid")
        self._openssl("req", "-x509", *self._new_key(made), "-subj", "/CN=" + subject,
                      "-days", "3650", "-extensions", extensions, "-out", made.cert)
        return made

    def _new_key(self, made, kind=EC):
        return ("-config", self._config, "-newkey", *kind, "-nodes", "-keyout", made.key)

    def _write_config(self, names, usage="serverAuth"):
        with open(self._config, "w") as f:
            f.write(CONFIG.format(folder=self.folder, names=names, usage=usage))

    def _openssl(self, *args):
        done = subprocess.run(("openssl",) + args, capture_output=True, text=True)
        if done.returncode != 0:
            raise RuntimeError("openssl %s: %s" % (args[0], done.stderr))
