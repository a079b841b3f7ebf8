#!/bin/sh
# SPDX-License-Identifier: MIT
# The manual as HTML; an error in its source ends it. usage: docs.sh DIRECTORY
set -eu

out=$1
source=$(dirname "$0")/../man
mkdir -p "$out"
for page in "$source"/*.[1-8]; do
	mandoc -T lint -W error "$page"
	mandoc -T html -O man=%N.%S.html "$page" >"$out/${page##*/}.html"
	echo "$out/${page##*/}.html"
done
