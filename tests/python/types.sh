#!/bin/sh
# SPDX-License-Identifier: MIT
# The package under mypy --strict, and posthaste.smtplib against what typeshed says of smtplib: each
# public name and parameter, its kind and default (stubtest), and the types as a typed program sees
# them.
# usage: POSTHASTE_LIBRARY=... types.sh
set -eu

here=$(realpath "$(dirname "$0")")
package=$here/../../bindings/python
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
status=0

# check SENTENCE COMMAND...
check() {
	sentence=$1
	shift
	if "$@" >output 2>&1; then
		echo "ok - $sentence"
	else
		echo "not ok - $sentence"
		sed 's/^/# /' output
		status=1
	fi
}

# Debian's own, whatever else is on the path.
mypy() {
	MYPYPATH=$package /usr/bin/mypy --strict --no-error-summary --cache-dir cache "$@"
}

against_typeshed() {
	mkdir -p stubs/posthaste
	: >stubs/posthaste/__init__.pyi
	/usr/bin/python3 -c 'import mypy; print(mypy.__path__[0])' >where
	cp "$(cat where)/typeshed/stdlib/smtplib.pyi" stubs/posthaste/
	MYPYPATH=stubs PYTHONPATH=$package /usr/bin/stubtest --concise --ignore-missing-stub \
		posthaste.smtplib
}

check "the package is typed for Python 3.9" mypy --python-version 3.9 -p posthaste
check "the package is typed for Python 3.11" mypy --python-version 3.11 -p posthaste
check "names and parameters are those of smtplib" against_typeshed
cp "$here/typed_program.py" standard.py
sed 's/^import smtplib$/import posthaste.smtplib as smtplib/' standard.py >ours.py
check "a typed program is one by the standard smtplib" mypy --python-version 3.11 standard.py
check "a typed program is one by ours" mypy --python-version 3.11 ours.py
exit $status
