#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes base/build.h: where modules are installed, and a build id, the hash of the sources that core
and modules are made of, so that a module of another build is known as such.
usage: build-id.py SOURCE-ROOT MODULE-DIR OUTPUT DEPFILE"""
import hashlib
import json
import os
import sys

NOT_HASHED = {"cli", "sink"}   # programs' own; no module sees them,
BUT_HASHED = "src/cli/line_editor.h"   # but this one


def sources(root):
    for top in ("include", "src"):
        for place, folders, names in os.walk(os.path.join(root, top)):
            folders[:] = sorted(set(folders) - NOT_HASHED)
            yield from (os.path.join(place, x) for x in sorted(names) if x.endswith((".c", ".h")))
    yield os.path.join(root, BUT_HASHED)


def main(root, module_dir, output, depfile):
    digest, seen = hashlib.sha256(), []
    for path in sources(root):
        seen.append(path)
        with open(path, "rb") as f:
            text = f.read()
        digest.update(b"%s %d\n" % (os.path.relpath(path, root).encode(), len(text)) + text)
    with open(output, "w", encoding="utf-8") as f:
        f.write('#define PH__BUILD_ID "%s"\n#define PH__MODULE_DIR %s\n'
                % (digest.hexdigest()[:32], json.dumps(module_dir)))
    with open(depfile, "w", encoding="utf-8") as f:
        f.write("%s: %s\n" % (output, " ".join(x.replace(" ", "\\ ") for x in seen)))


if __name__ == "__main__":
    main(*sys.argv[1:])
