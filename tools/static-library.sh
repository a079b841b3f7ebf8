#!/bin/sh
# SPDX-License-Identifier: MIT
# Makes the static library for others: one object, in which only ph_* is global.
# usage: static-library.sh CORE.a OUTPUT.a WORKDIR
set -eu
mkdir -p "$3"
ld -r -o "$3/posthaste.o" --whole-archive "$1"
objcopy --wildcard --keep-global-symbol='ph_[a-z]*' "$3/posthaste.o"
rm -f "$2"
ar rcsD "$2" "$3/posthaste.o"
