#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Says where the Python package goes that is installed under PREFIX, and the way from there to
LIBDIR. It goes to the folder that this Python looks into, if one of them is under PREFIX, else to
the one by the general rule, which takes a PYTHONPATH. The way is relative, to hold under a DESTDIR.
usage: python-dir.py PREFIX LIBDIR [FOLDER]"""
import os
import site
import sys
import sysconfig


def folder(prefix):
    """lib* only: /usr/local/lib is Python's, too, and not what /usr means."""
    for path in site.getsitepackages():
        if path.startswith((os.path.join(prefix, "lib", ""), os.path.join(prefix, "lib64", ""))):
            return path
    return sysconfig.get_path("purelib", "posix_prefix", {"base": prefix})


def main(prefix, libdir, wanted=None):
    package = os.path.join(wanted or folder(prefix), "posthaste")
    print(os.path.join(prefix, package))
    print(os.path.relpath(os.path.join(prefix, libdir), os.path.join(prefix, package)))


if __name__ == "__main__":
    main(*sys.argv[1:])
