# SPDX-License-Identifier: MIT
"""Node.js, and the mail servers that are packages of it, in an overlay of their own: what
node/package-lock.json pins, without running any package's scripts."""
import os
import re
import shutil
import subprocess

from overlay import Unavailable

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "node")
FILES = [os.path.join(HERE, x) for x in ("package.json", "package-lock.json")]
FOLDER = "/opt/interop"
OLDEST = 18


def prepare(overlay):
    """The machine's own node and npm where they will do, else Debian's."""
    if not _usable(overlay):
        overlay.add_packages("nodejs", "npm")
    folder = overlay.root + FOLDER
    os.makedirs(folder)
    for path in FILES:
        shutil.copy(path, folder)
    done = subprocess.run(["chroot", overlay.root, "sh", "-c",
                           "cd %s && npm ci --ignore-scripts --omit=dev --omit=optional --no-audit "
                           "--no-fund --cache=/tmp/npm" % FOLDER],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode != 0:
        lines = [x for x in done.stderr.splitlines() if "error" in x.lower()]
        raise Unavailable("npm cannot install the servers of %s: %s"
                          % (FILES[0], (lines or ["no reason given"])[0]))


def _usable(overlay):
    try:
        version = overlay.output("node", "--version")
        overlay.output("npm", "--version")
    except Unavailable:
        return False
    return int(re.match(r"v(\d+)", version)[1]) >= OLDEST
