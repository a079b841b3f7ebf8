# SPDX-License-Identifier: MIT
"""Mail servers without installing mail servers.

Debian's mail servers conflict as packages and start daemons when installed. They are installed into
an overlay of the root file system whose upper folder lies beneath the build folder, and run from
there with chroot, in namespaces of their own:

  mount  the machine's mounts stay as they were
  pid    whatever was started ends with the first process, however that one ends
  net    only loopback exists: no test can reach a network, and every port is free

The upper folder is kept: a second run only mounts it (read-only). It is made anew when the
machine's own packages or the wanted ones change, since dpkg's database is one file in the overlay.
A file system that cannot carry an upper folder (itself an overlay, for one) is replaced by a tmpfs,
and then nothing is kept.
"""
import ctypes
import fcntl
import hashlib
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys

PACKAGES = ("postfix", "dovecot-core", "dovecot-lmtpd", "dovecot-submissiond")

CLONE_NEWNS, CLONE_NEWPID, CLONE_NEWNET = 0x00020000, 0x20000000, 0x40000000
PR_SET_PDEATHSIG = 1
SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 1

_libc = ctypes.CDLL(None, use_errno=True)


class Unavailable(Exception):
    """What the tests need is not there; the text is one line for a person."""


def in_namespaces(function):
    """Runs function() as the first process of new mount and pid namespaces; returns its exit
    status. If this process is killed, so is everything that function started."""
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        os._exit(_guarded(lambda: _enter(function)))
    try:
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    except KeyboardInterrupt:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        return 130


def _enter(function):
    _die_with_parent()
    _unshare(CLONE_NEWNS | CLONE_NEWPID)
    pid = os.fork()         # the child is the first process of the pid namespace
    if pid != 0:
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    os._exit(_guarded(lambda: _first_process(function)))


def _first_process(function):
    _die_with_parent()
    mount("--make-rprivate", "/")
    mount("-t", "proc", "proc", "/proc")
    return function()


def isolate_network():
    """Leaves the calling process and its later children with loopback and nothing else."""
    _unshare(CLONE_NEWNET)
    _raise_loopback()


def _unshare(flags):
    if _libc.unshare(flags) != 0:
        raise Unavailable("cannot run the mail servers: unshare: %s (needs root with CAP_SYS_ADMIN)"
                          % os.strerror(ctypes.get_errno()))


def _guarded(function):
    """An exit status for os._exit: a forked child must not return into its parent's code."""
    try:
        status = function()
    except Unavailable as e:
        print("not ok - interop: %s\n0 passed, 1 failed" % e)
        status = 1
    except KeyboardInterrupt:
        status = 130
    except BaseException:
        sys.excepthook(*sys.exc_info())
        status = 1
    sys.stdout.flush()
    sys.stderr.flush()
    return (status or 0) & 0xff


def _die_with_parent():
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def _raise_loopback():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        try:
            got = fcntl.ioctl(s, SIOCGIFFLAGS, struct.pack("16sh", b"lo", 0))
            flags, = struct.unpack("16xh", got)
            fcntl.ioctl(s, SIOCSIFFLAGS, struct.pack("16sh", b"lo", flags | IFF_UP))
        except OSError as e:
            raise Unavailable("cannot raise loopback: %s (needs CAP_NET_ADMIN)" % e.strerror)


def mount(*args):
    done = subprocess.run(("mount",) + args, stderr=subprocess.PIPE, text=True)
    if done.returncode != 0:
        raise Unavailable("mount %s: %s (needs CAP_SYS_ADMIN)"
                          % (args[-1], done.stderr.strip().splitlines()[0]))


class Overlay:
    """The root with PACKAGES in it, for one process in namespaces: install() while there is a
    network, then open()."""

    def __init__(self, folder):
        self.root = os.path.join(folder, "root")
        self.layer = os.path.join(folder, "layer")
        self.upper = os.path.join(self.layer, "upper")
        self.work = os.path.join(self.layer, "work")
        self.stamp = os.path.join(folder, "installed")
        os.makedirs(self.root, exist_ok=True)

    def install(self):
        wanted = self._wanted()
        if self._installed(wanted):
            return
        if os.path.exists(self.stamp):
            os.unlink(self.stamp)
        shutil.rmtree(self.layer, ignore_errors=True)
        self._make_layer()
        try:
            self._mount()
        except Unavailable:
            mount("-t", "tmpfs", "tmpfs", self.layer)
            self._make_layer()
            self._mount()
            wanted = None
        self._fill()
        subprocess.run(["umount", "--recursive", self.root], check=True)
        if wanted is not None:
            with open(self.stamp, "w") as f:
                f.write(wanted)

    def _wanted(self):
        with open("/var/lib/dpkg/status", "rb") as f:
            return hashlib.sha256(f.read() + " ".join(PACKAGES).encode()).hexdigest()

    def _installed(self, wanted):
        try:
            with open(self.stamp) as f:
                return f.read() == wanted and os.path.isdir(self.upper)
        except OSError:
            return False

    def _make_layer(self):
        os.makedirs(self.upper)
        os.makedirs(self.work)

    def _fill(self):
        self._mount_kernel()
        # Nothing may start from a package script, and no question may be asked.
        policy = os.path.join(self.root, "usr/sbin/policy-rc.d")
        with open(policy, "w") as f:
            f.write("#!/bin/sh\nexit 101\n")
        os.chmod(policy, 0o755)
        # In a container it is a mount of its own, which the overlay of / does not show.
        resolver = os.path.join(self.root, "etc/resolv.conf")
        if os.path.lexists(resolver):
            os.unlink(resolver)
        if os.path.exists("/etc/resolv.conf"):
            shutil.copyfile("/etc/resolv.conf", resolver)
        install = ("install", "--yes", "--no-install-recommends") + PACKAGES
        done = self._apt(*install)
        if done.returncode != 0:        # package lists absent or out of date
            self._apt("update")
            done = self._apt(*install)
        if done.returncode != 0:
            lines = [x for x in done.stderr.splitlines() if x.startswith("E:")]
            raise Unavailable("apt-get cannot install %s into the overlay: %s"
                              % (" ".join(PACKAGES), (lines or ["no reason given"])[0]))

    def _apt(self, *args):
        environment = dict(os.environ, DEBIAN_FRONTEND="noninteractive", LC_ALL="C.UTF-8")
        options = ("-q", "-o", "Dpkg::Options::=--force-unsafe-io",
                   "-o", "Dpkg::Options::=--path-exclude=/usr/share/man/*",
                   "-o", "Dpkg::Options::=--path-exclude=/usr/share/doc/*",
                   "-o", "Acquire::Retries=2", "-o", "Acquire::http::Timeout=30")
        return subprocess.run(["chroot", self.root, "apt-get", *options, *args], env=environment,
                              stdin=subprocess.DEVNULL, capture_output=True, text=True)

    def open(self):
        """Mounts the installed root read-only, with `/run` (a tmpfs) at the same path inside and
        outside: a socket or a mailbox there has one name for servers and tests."""
        mount("-t", "tmpfs", "-o", "mode=0755", "tmpfs", "/run")
        self._mount("ro,")
        self._mount_kernel()
        mount("--bind", "/run", self.root + "/run")

    def _mount(self, options=""):
        mount("-t", "overlay", "-o", "%slowerdir=/,upperdir=%s,workdir=%s"
              % (options, self.upper, self.work), "overlay", self.root)

    def _mount_kernel(self):
        mount("--rbind", "/dev", self.root + "/dev")
        mount("--bind", "/proc", self.root + "/proc")
        mount("-t", "tmpfs", "-o", "mode=1777", "tmpfs", self.root + "/tmp")

    def run(self, *command, **options):
        """A process in the overlay; the first process of the namespace outlives none of them."""
        return subprocess.Popen(("chroot", self.root) + command, stdin=subprocess.DEVNULL,
                                **options)
