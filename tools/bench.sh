#!/bin/sh
# SPDX-License-Identifier: MIT
# How fast this machine sends to its own sink: messages and octets a second, over loopback, both ends on
# this machine. Medians of three. Then the Python package beside the standard smtplib, and validated
# look-ups beside bare libunbound, in ratios.
# usage: bench.sh BUILD
set -eu

build=$(realpath "$1")
source=$(realpath "$(dirname "$0")/..")
dir=$(mktemp -d)
sink=
trap 'test -z "$sink" || kill "$sink" 2>/dev/null || true; rm -rf "$dir"' EXIT
trap 'exit 130' INT TERM
cd "$dir"

# start OPTION...: a sink that counts
start() {
	rm -f ready
	"$build/posthaste" sink --smtp 0 --smtps 0 --quiet --size 0 --ready-file ready "$@" 2>sink.err &
	sink=$!
	tries=0
	until [ -e ready ]; do
		kill -0 "$sink" 2>/dev/null && [ "$tries" -lt 200 ] || { cat sink.err >&2; exit 1; }
		tries=$((tries + 1))
		sleep 0.05
	done
}

stop() {
	kill -TERM "$sink"
	wait "$sink"
	sink=
}

# a message of $1 octets, CRLF line ends
message() {
	{
		printf 'From: s@example.org\r\nTo: r0@example.org\r\nSubject: bench\r\n\r\n'
		yes 'The quick brown fox jumps over the lazy dog, and then does it again.' | sed 's/$/\r/'
	} 2>/dev/null | head -c "$(($1 - 2))"
	printf '\r\n'
}

# measure WHAT SCHEME TLS CONNECTIONS MESSAGES SIZE [KEY=VALUE...]
measure() {
	what=$1 scheme=$2 tls=$3 connections=$4 messages=$5 size=$6
	shift 6
	port=$(sed -n "s/^$scheme .*://p" ready)
	message "$size" >message
	for _ in 1 2 3; do
		"$build/bench/driver" 127.0.0.1 "$port" "$tls" "$connections" "$messages" "$size" message "$@" |
			tail -n 1
	done >runs || { cat runs >&2; echo "make bench: the driver failed" >&2; exit 1; }
	sed -n 's/.*"ok": *\([0-9]*\).*"wall_s": *\([0-9.]*\).*/\2 \1/p' runs | sort -n | sed -n 2p |
		awk -v what="$what" -v size="$size" -v want="$messages" '
			{ printf "%-44s %9.0f messages/s %8.1f MB/s%s\n", what, $2 / $1, $2 * size / $1 / 1e6,
			  $2 == want ? "" : "  (" $2 " of " want " accepted)" }'
}

start
measure "4 KiB, one connection, BDAT" smtp none 1 20000 4096
measure "4 KiB, one connection, BDAT, window 64" smtp none 1 20000 4096 window=64
measure "4 KiB, one connection, TLS" smtps implicit 1 20000 4096
measure "4 KiB, a connection each, TLS resumed" smtps implicit 1 500 4096 reconnect=1
measure "10 MiB, one connection, BDAT" smtp none 1 40 10485760
stop
start --no CHUNKING
measure "4 KiB, one connection, DATA" smtp none 1 20000 4096
measure "10 MiB, one connection, DATA" smtp none 1 40 10485760
stop
start
port=$(sed -n 's/^smtp .*://p' ready)
PYTHONPATH=$source/bindings/python POSTHASTE_LIBRARY=$build/libposthaste.so.0 \
	PYTHONDONTWRITEBYTECODE= PYTHONPYCACHEPREFIX=$dir/pycache \
	/usr/bin/python3 "$source/bench/python.py" "$port"
stop
[ ! -x "$build/bench/lookup" ] || PATH=$PATH:/usr/sbin /usr/bin/python3 "$source/bench/lookup.py" "$build"
