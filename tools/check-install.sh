#!/bin/sh
# SPDX-License-Identifier: MIT
# Installs into an empty folder, builds examples/send.c with what lies there, as pkg-config says, against
# the shared and the static library, and lets it send to the installed command's sink. So does a Python
# program by the package that was installed there, by pip, and by the one of the source tree.
# usage: check-install.sh BUILD
set -eu

unset POSTHASTE_LIBRARY POSTHASTE_MODULES PYTHONPATH
build=$(realpath "$1")
root=$(realpath "$(dirname "$0")/..")
source=$root/examples/send.c
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
	modules=$(dirname "$(realpath "$(find root -name posthaste-sasl.so)")")
	package=$(dirname "$(dirname "$(find root -path '*/posthaste/smtplib.py')")")
	for file in "$modules/posthaste-sasl.so" "$modules/posthaste-edit.so" "$lib/libposthaste.so" "$lib/libposthaste.so.0" "$lib/libposthaste.a" \
		"$bin/../include/posthaste.h" "$bin/../include/posthaste/client.h" \
		"$bin/../share/man/man1/posthaste-send.1" "$bin/../share/man/man1/posthaste-probe.1" \
		"$package/posthaste/py.typed"; do
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
	(umask 077; echo pencil >password)
	POSTHASTE_MODULES=$modules "$bin/posthaste" sink --smtp 0 --ready-file ready --maildir mail --quiet \
		--user ann --password-file password --allow-clear-auth >/dev/null 2>sink.err &
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

# As a user does who logs in by a mechanism of the module's; $1: where it is looked for.
logs_in() {
	POSTHASTE_MODULES=$1 "$bin/posthaste" send --server "$server" --tls=off --user ann \
		--password-file password --auth "$2" --from ann@example.org --message message \
		bob@example.net >/dev/null 2>problem
}

# The copies that are tried are found by the variable; this is where they are looked for without it.
looks_where_it_is_installed() {
	grep -qaF "${modules#"$dir/root"}" "$lib/libposthaste.so" &&
		grep -qaF "${modules#"$dir/root"}" "$bin/posthaste"
}

each_logs_in() {
	for mechanism in CRAM-MD5 DIGEST-MD5 SCRAM-SHA-1 SCRAM-SHA-256; do
		logs_in "$modules" "$mechanism" || { cat problem; return 1; }
	done
	rm mail/new/*
}

without_it_says_so() {
	logs_in "$dir/nowhere" CRAM-MD5
	[ $? = 78 ] && grep -q "there is no $dir/nowhere/posthaste-sasl.so" problem
}

of_another_build_is_refused() {
	id=$(sed -n 's/^#define PH__BUILD_ID "\(.*\)"/\1/p' "$build/src/base/build.h")
	mkdir other
	sed "s/$id/$(echo "$id" | tr 0-9a-f 1-9a-f0)/" "$modules/posthaste-sasl.so" >other/posthaste-sasl.so
	logs_in "$dir/other" CRAM-MD5
	[ $? = 78 ] && grep -q "belongs to another build" problem
}

cat >send.py <<'END'
import sys
import posthaste
import posthaste.smtplib as smtplib

server = sys.argv[1]
with open("message", "rb") as file:
    message = file.read()
with smtplib.SMTP(server.partition("//")[2]) as client:
    assert client.sendmail("ann@example.org", "bob@example.net", message) == {}
posthaste.send(message, server=server, tls="off", user="ann", password="pencil",
               mechanisms="SCRAM-SHA-256", sender="ann@example.org",
               recipients="bob@example.net").raise_for_outcome()
END

# python_sends PYTHON [VARIABLE=VALUE]...: by smtplib, and by send() with a mechanism of the module's.
python_sends() {
	python=$1
	shift
	printf 'Subject: x\r\n\r\nA test.\r\n' >message
	env "$@" "$python" -B send.py "$server" && [ "$(cat mail/new/*)" = "$(cat message message)" ] &&
		rm mail/new/*
}

# As pip does it without a network: with Debian's setuptools.
pip_installs() {
	cp -rL "$root/bindings/python" pip &&
		/usr/bin/python3 -m venv --system-site-packages venv &&
		venv/bin/pip install --quiet --no-build-isolation --no-index ./pip &&
		venv/bin/python -c 'import importlib.metadata as m; assert m.version("posthaste") == "'"$(
			sed -n 's/^#define PH_VERSION "\(.*\)"/\1/p' "$root/include/posthaste/version.h")"'"'
}

says_what_is_missing() {
	! POSTHASTE_LIBRARY=$dir/nowhere venv/bin/python -c 'import posthaste' 2>problem &&
		grep -q "ImportError: libposthaste .*nowhere.*POSTHASTE_LIBRARY says" problem
}

# A clone with its build, and no variable but PYTHONPATH.
make_tree() {
	mkdir -p tree/src && cp "$root/src/libposthaste.map" tree/src && cp -r "$root/bindings" tree &&
		ln -s "$build" tree/build
}

check "everything is installed" install_all
check "a program builds against the shared library" build_shared
check "a program builds against the static library" build_static
check "the installed command starts" start_sink
check "the program with the shared library sends" sends shared
check "the program with the static library sends" sends static
check "the module is looked for where it is installed" looks_where_it_is_installed
check "the installed module logs in" each_logs_in
check "a missing module is named" without_it_says_so
check "a module of another build is refused" of_another_build_is_refused
check "the installed Python package sends" python_sends /usr/bin/python3 PYTHONPATH="$package" \
	POSTHASTE_MODULES="$modules"
check "pip installs the Python package" pip_installs
check "without a library it says what to do" says_what_is_missing
check "what pip installed sends" python_sends venv/bin/python POSTHASTE_LIBRARY="$lib/libposthaste.so.0" \
	POSTHASTE_MODULES="$modules"
check "there is a source tree" make_tree
check "the package of a source tree sends" python_sends /usr/bin/python3 PYTHONPATH=tree/bindings/python
