#!/bin/sh
# SPDX-License-Identifier: MIT
# Installs into an empty folder, builds examples/send.c with what lies there, as pkg-config says, against
# the shared and the static library, and lets it send to the installed command's sink.
# usage: check-install.sh BUILD
set -eu

build=$(realpath "$1")
source=$(realpath "$(dirname "$0")/../examples/send.c")
dir=$(mktemp -d)
sink=
trap 'test -z "$sink" || kill "$sink" 2>/dev/null || true; rm -rf "$dir"' EXIT
cd "$dir"

# check SENTENCE FUNCTION...: `set -e` does not work in these functions.
check() {
	sentence=$1
	shift
	if "$@" >output 2>&1; then
		echo "ok - $sentence"
	else
		echo "not ok - $sentence"
		sed 's/^/# /' output
		exit 1
	fi
}

install_all() {
	DESTDIR=$dir/root meson install -C "$build" --no-rebuild || return 1
	pc=$(find root -name posthaste.pc)
	lib=$(dirname "$pc")/..
	bin=$(dirname "$(find root -name posthaste -type f -perm -100)")
	for file in "$lib/libposthaste.so" "$lib/libposthaste.so.0" "$lib/libposthaste.a" \
		"$bin/../include/posthaste.h" "$bin/../include/posthaste/client.h" \
		"$bin/../share/man/man1/posthaste-send.1"; do
		[ -e "$file" ] || { echo "not installed: $file"; return 1; }
	done
}

pkgconf() {
	PKG_CONFIG_PATH=$(dirname "$dir/$pc") PKG_CONFIG_SYSROOT_DIR=$dir/root pkg-config "$@" posthaste
}

# shellcheck disable=SC2046 # words
build_shared() {
	cc -Wall -Werror -o shared "$source" $(pkgconf --cflags --libs) &&
		readelf -d shared | grep -q 'NEEDED.*\[libposthaste.so.0\]'
}

# shellcheck disable=SC2046
build_static() {
	cc -static -Wall -Werror -o static "$source" $(pkgconf --static --cflags --libs)
}

start_sink() {
	"$bin/posthaste" sink --smtp 0 --ready-file ready --maildir mail --quiet >/dev/null 2>sink.err &
	sink=$!
	tries=0
	until [ -e ready ]; do
		kill -0 "$sink" 2>/dev/null && [ "$tries" -lt 200 ] || { cat sink.err; return 1; }
		tries=$((tries + 1))
		sleep 0.05
	done
	server=smtp://$(sed -n 's/^smtp //p' ready)
}

sends() {
	printf 'Subject: %s\r\n\r\nA test.\r\n' "$1" >message
	LD_LIBRARY_PATH=$lib "./$1" "$server" ann@example.org bob@example.net <message &&
		[ "$(cat mail/new/*)" = "$(cat message)" ] && rm mail/new/*
}

check "everything is installed" install_all
check "a program builds against the shared library" build_shared
check "a program builds against the static library" build_static
check "the installed command starts" start_sink
check "the program with the shared library sends" sends shared
check "the program with the static library sends" sends static
