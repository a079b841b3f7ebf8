# SPDX-License-Identifier: MIT
"""The Python in the first part of docs/smtplib.md runs, as it is printed there, against the sink: what
stands under "With smtplib" on CPython's module too, all of it on ours in both modes. Run as a program, this
file is the child that executes one block."""
import concurrent.futures
import json
import os
import re
import socket
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
PAGE = os.path.join(HERE, "..", "..", "docs", "smtplib.md")
CERTIFICATES, CLEAR = "Certificates are verified", "Passwords stay off links in clear"
KEPT = "What the server said is kept"

# Blocks, by heading and place under it, that are to end with an exception, and in what mode. None: both.
ENDS_WITH = {
    (CERTIFICATES, 0): (None, "SSLCertVerificationError"),
    (CLEAR, 0): (None, "SMTPSecurityError"),
    ("Names and passwords are UTF-8", 1): ("strict", "UnicodeEncodeError"),
    (KEPT, 1): ("strict", "TypeError"),
}


def blocks():
    """(heading, place, whether it is of smtplib as it was, the program)."""
    with open(PAGE, encoding="utf-8") as f:
        page = f.read().partition("\n## In C\n")[0]
    heading, place, before = None, 0, False
    for found in re.finditer(r"^#+ (.*)$|^(With smtplib|Now)|^```python\n((?:.*\n)*?)```$", page, re.M):
        if found[1]:
            heading, place, before = found[1], 0, False
        elif found[2]:
            before = found[2] != "Now"
        else:
            yield heading, place, before, found[3]
            place += 1


# ---- the parent ----------------------------------------------------------------------------------

def run(env, running, mode, heading, place, program):
    from smtplib_oracle import PYTHON, child_environment
    environ = {"POSTHASTE_SMTPLIB_COMPAT": "1" if mode == "strict" else "0"}
    if (heading, place) != (CERTIFICATES, 0):
        environ["SSL_CERT_FILE"] = os.path.join(running.folder, "our-ca.pem")
    it = {"program": program, "mode": mode, "elsewhere": heading == CLEAR,
          "ports": {x: int(running.at[x].rpartition(":")[2]) for x in ("smtp", "smtps")}}
    child = subprocess.run([PYTHON, os.path.abspath(__file__)], cwd=running.folder, timeout=60,
                           input=json.dumps(it).encode(), capture_output=True,
                           env=child_environment(env, **environ))
    return child.stdout.decode(), child.stderr.decode()


def check(env, running, mode, heading, place, program):
    from harness import check_sanitizers
    what = "%s, block %d, %s" % (heading, place, mode)
    out, err = run(env, running, mode, heading, place, program)
    check_sanitizers(err)
    when, raised = ENDS_WITH.get((heading, place), (None, ""))
    if mode == "smtplib" or when not in (None, mode):
        raised = ""
    assert out.endswith("ended: %s\n" % raised), "%s: %s%s" % (what, out, err)
    for line in re.findall(r"# (send: .*)", program):
        assert (line in err) == (mode == "smtplib" or "[hidden]" in line), "%s: %s" % (what, err)
    return out


def the_python_of_the_migration_page_runs(env):
    from harness import TOGETHER, equal
    from sink import Sink
    found = list(blocks())
    assert len(found) > 20 and {(h, p) for h, p, _, _ in found} >= set(ENDS_WITH), found
    users = env.file("users", "ann:secret\njürgen:größe\njuergen:groesse\n".encode())
    ca = os.path.join(env.folder, "our-ca.pem")
    with Sink(env, "--users", users, "--allow-clear-auth", "--auth", "PLAIN,LOGIN", "--ca-out", ca,
              "--cert-name", "mail.example.org", "--rule", "rcpt:/^nobody@/ 550 5.1.1 no such user",
              listen=("--smtp", "0", "--smtps", "0")) as running:
        os.link(ca, os.path.join(running.folder, "our-ca.pem"))
        runs = [(mode, heading, place, program) for heading, place, before, program in found
                for mode in (["smtplib"] if before else []) + ["default", "strict"]]
        with concurrent.futures.ThreadPoolExecutor(TOGETHER) as pool:
            said = dict(zip((x[:3] for x in runs),
                            pool.map(lambda x: check(env, running, *x), runs)))
    equal(said["default", KEPT, 1].splitlines()[:2],
          ["bob@example.net accepted 250 2.0.0 taken None",
           "nobody@example.net refused 550 5.1.1 no such user None"], "the record")


# ---- the child -----------------------------------------------------------------------------------

class Elsewhere(socket.socket):
    """One whose other end could be anywhere."""


def leads_to_sink(ports, elsewhere):
    real = socket.create_connection

    def create_connection(address, timeout=None, source_address=None):
        assert address[0] == "mail.example.org", address
        made = real(("127.0.0.1", ports["smtps" if address[1] == 465 else "smtp"]))
        if elsewhere:
            made = Elsewhere(fileno=made.detach())
        made.settimeout(10)
        return made
    return create_connection


def main():
    it = json.load(sys.stdin)
    socket.create_connection = leads_to_sink(it["ports"], it["elsewhere"])
    names = {"password": "secret", "message": "From: ann@example.org\r\nSubject: x\r\n\r\nhi\r\n",
             "octets": b"From: ann@example.org\nSubject: x\r\n\r\nhi\rho\r\n"}
    exec("import ssl\nimport posthaste\n%s" % ("import smtplib" if it["mode"] == "smtplib" else
                                               "import posthaste.smtplib as smtplib"), names)
    program = it["program"].replace("smtp://mail.example.org", "smtp://127.0.0.1:%d" % it["ports"]["smtp"])
    program = program.replace('@mail.example.org"', '@mail.example.org:%d", connect="127.0.0.1"'
                              % it["ports"]["smtp"])
    if " as s:" not in program and re.search(r"\bs\.", program):
        names["s"] = names["smtplib"].SMTP("mail.example.org", 25)
    ended = ""
    try:
        exec(compile(program, PAGE, "exec"), names)
    except Exception as error:
        ended = type(error).__name__
        print(error, file=sys.stderr)
    if "s" in names:
        names["s"].close()
    print("ended: " + ended)


if __name__ == "__main__":
    main()
else:
    from harness import test
    test(the_python_of_the_migration_page_runs)
