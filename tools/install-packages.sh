#!/bin/sh
# SPDX-License-Identifier: MIT
# Installs what a make target needs from Debian, if it is not there.
# usage: install-packages.sh build|test|bench|lint|fuzz|docs
set -eu

build="gcc libc6-dev binutils meson ninja-build pkg-config libssl-dev libidn2-dev libuv1-dev libgsasl-dev libedit-dev libunbound-dev libevent-dev libcurl4-openssl-dev dns-root-data"
# The Python package: its types, its installation by pip, and CPython's tests of smtplib.
python="python3 python3-venv python3-setuptools python3-wheel mypy python3-typeshed libpython3.11-testsuite"
case $1 in
build) wanted=$build ;;
test)  wanted="$build g++ libcmocka-dev libunistring-dev mount openssl swaks libnet-ssleay-perl $python" ;;
bench) wanted="$build python3 knot" ;;
lint)  wanted="$build g++ python3 mypy python3-typeshed" ;;
fuzz)  wanted="$build clang llvm" ;;
docs)  wanted="mandoc" ;;
*)     echo "usage: $0 build|test|bench|lint|fuzz|docs" >&2; exit 64 ;;
esac

missing=
for package in $wanted; do
	case $(dpkg-query -W -f '${Status}' "$package" 2>&1) in
	"install ok installed") ;;
	*) missing="$missing $package" ;;
	esac
done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" != 0 ]; then
	echo "make $1 needs these packages; as root: apt-get install$missing" >&2
	exit 69
fi
echo "Installing$missing"
export DEBIAN_FRONTEND=noninteractive
# Old package lists may still do where the archive cannot be reached.
apt-get -q update || true
# shellcheck disable=SC2086 # a list of words
apt-get -q install --yes --no-install-recommends $missing
