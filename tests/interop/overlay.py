# SPDX-License-Identifier: MIT
"""Mail servers without installing mail servers.

Debian's mail servers conflict as packages and start daemons when installed. Each set of them that
agrees is installed into an overlay of the root file system whose upper folder lies beneath the build
folder, and runs from there with chroot, in namespaces of their own:

  mount  the machine's mounts stay as they were
  pid    whatever was started ends with the first process, however that one ends
  net    only loopback exists: no test can reach a network, and every port is free

The upper folder is kept: a second run only mounts it (read-only). It is made anew when the
machine's own packages or the wanted ones change, since dpkg's database is one file in the overlay.
A file system that cannot carry an upper folder (itself an overlay, for one) is replaced by a tmpfs,
and then nothing is kept.
"""
import concurrent.futures
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
    """The root with `packages` in it, for one process in namespaces: install() while there is a
    network, then open().

    `backports` are those of them that come from Debian's backports; prepare(overlay) runs after the
    packages are there, still with a network, and `files` are what it reads: they belong to the
    stamp."""

    def __init__(self, folder, name, packages=(), backports=(), prepare=None, files=()):
        self.name, self.packages, self.backports = name, tuple(packages), tuple(backports)
        self.prepare, self.files = prepare, files
        self.folder = os.path.join(folder, name)
        self.root = os.path.join(self.folder, "root")
        self.layer = os.path.join(self.folder, "layer")
        self.upper = os.path.join(self.layer, "upper")
        self.work = os.path.join(self.layer, "work")
        self.stamp = os.path.join(self.folder, "installed")
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
        found = hashlib.sha256(" ".join(self.packages + self.backports).encode())
        for path in ("/var/lib/dpkg/status", *self.files):
            with open(path, "rb") as f:
                found.update(f.read())
        return found.hexdigest()

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
        if self.backports:
            self._add_backports()
        if self.packages or self.backports:
            self.add_packages(*self.packages, *self.backports)
        if self.prepare:
            self.prepare(self)

    def add_packages(self, *packages):
        install = ("install", "--yes", "--no-install-recommends") + packages
        done = self._apt(*install)
        if done.returncode != 0:        # package lists absent or out of date
            self._apt("update")
            done = self._apt(*install)
        if done.returncode != 0:
            lines = [x for x in done.stderr.splitlines() if x.startswith("E:")]
            raise Unavailable("apt-get cannot install %s into the overlay: %s"
                              % (" ".join(packages), (lines or ["no reason given"])[0]))

    def _add_backports(self):
        """Debian's backports, from the mirror that this machine's release comes from; nothing but
        the wanted packages may come from there."""
        release = self.output("sh", "-c", ". /etc/os-release; echo $VERSION_CODENAME").strip()
        targets = self.output("apt-get", "indextargets", "--format",
                              "$(ORIGIN) $(CODENAME) $(REPO_URI)").splitlines()
        mirror = [x.split()[2] for x in targets if x.startswith("Debian %s " % release)]
        if not mirror:
            raise Unavailable("no source of Debian %s is known to apt-get" % release)
        backports = release + "-backports"
        listed = os.path.join(self.root, "etc/apt/sources.list.d/interop.list")
        with open(listed, "w") as f:
            f.write("deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] %s %s main\n"
                    % (mirror[0], backports))
        with open(os.path.join(self.root, "etc/apt/preferences.d/interop"), "w") as f:
            for name in self.backports:
                f.write("Package: %s\nPin: release n=%s\nPin-Priority: 990\n\n"
                        % (name, backports))
        self._apt("update", "-o", "Dir::Etc::sourcelist=" + listed[len(self.root):],
                  "-o", "Dir::Etc::sourceparts=-", "-o", "APT::Get::List-Cleanup=0")

    def _apt(self, *args):
        environment = dict(os.environ, DEBIAN_FRONTEND="noninteractive", LC_ALL="C.UTF-8")
        options = ("-q", "-o", "Dpkg::Options::=--force-unsafe-io",
                   "-o", "Dpkg::Options::=--path-exclude=/usr/share/man/*",
                   "-o", "Dpkg::Options::=--path-exclude=/usr/share/doc/*",
                   "-o", "Acquire::Retries=2", "-o", "Acquire::http::Timeout=30")
        return subprocess.run(["chroot", self.root, "apt-get", *options, *args], env=environment,
                              stdin=subprocess.DEVNULL, capture_output=True, text=True)

    def open(self):
        """Mounts the installed root read-only, with `/run` at the same path inside and outside: a
        socket or a mailbox there has one name for servers and tests."""
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

    def writable(self, path, mode="0755"):
        """An empty folder of this run's own at `path`, for servers that insist on it."""
        mount("-t", "tmpfs", "-o", "mode=" + mode, "tmpfs", self.root + path)

    def bind(self, file, path):
        """Shows `file` at `path`, which must be there."""
        mount("--bind", file, self.root + path)

    def run(self, *command, **options):
        """A process in the overlay; the first process of the namespace outlives none of them."""
        return subprocess.Popen(("chroot", self.root) + command, stdin=subprocess.DEVNULL,
                                **options)

    def output(self, *command, **options):
        """What a command in the overlay prints; it must succeed."""
        done = subprocess.run(("chroot", self.root) + command, stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, **options)
        if done.returncode != 0:
            lines = (done.stderr or done.stdout).strip().splitlines()
            raise Unavailable("%s: %s" % (command[0], (lines or ["no reason given"])[-1]))
        return done.stdout


def install_all(overlays):
    """All of them at once: most of it is waiting for the network and the disk."""
    with concurrent.futures.ThreadPoolExecutor(max(1, len(overlays))) as pool:
        for done in [pool.submit(x.install) for x in overlays]:
            done.result()
