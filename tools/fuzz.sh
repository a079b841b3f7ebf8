#!/bin/sh
# SPDX-License-Identifier: MIT
# Runs each fuzz target for a while. What it has found worth keeping stays in BUILD/corpus; an input that
# fails stays in BUILD/failures. usage: fuzz.sh BUILD SECONDS
set -eu

build=$1 seconds=$2
source=$(realpath "$(dirname "$0")/../fuzz")
failed=0 ran=0
for target in "$build"/fuzz/fuzz_*; do
	[ -x "$target" ] && [ -f "$target" ] || continue
	name=${target##*/fuzz_}
	ran=$((ran + 1))
	mkdir -p "$build/corpus/$name" "$build/failures"
	set -- "$build/corpus/$name"
	[ ! -d "$source/corpus/$name" ] || set -- "$@" "$source/corpus/$name"
	[ ! -f "$source/$name.dict" ] || set -- -dict="$source/$name.dict" "$@"
	echo "== $name, $seconds seconds"
	"$target" -max_total_time="$seconds" -timeout=10 -verbosity=0 \
		-artifact_prefix="$build/failures/$name-" "$@" || failed=$((failed + 1))
done
echo "$ran targets, $failed failed"
[ "$failed" = 0 ] && [ "$ran" != 0 ]
