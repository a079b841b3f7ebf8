#!/bin/sh
# SPDX-License-Identifier: MIT
# Starts `posthaste sink`, sends it a message each way, shows what was said and what arrived, and
# compares the octets. Exit status 0: all as it should be.
# usage: demo.sh POSTHASTE
set -eu

posthaste=$(realpath "$1")
export POSTHASTE_MODULES="${posthaste%/*}" # it is not installed
dir=$(mktemp -d)
sink=
# By its process id, and only if it is ours; the folder is ours too.
trap 'test -z "$sink" || kill "$sink" 2>/dev/null || true; rm -rf "$dir"' EXIT
trap 'exit 130' INT TERM
cd "$dir"

fail() {
	echo "make demo: $*" >&2
	exit 1
}

title() {
	printf '\n== %s\n\n' "$*"
}

# Starts the sink and waits until it listens everywhere.
start_sink() {
	"$posthaste" sink --smtp 0 --smtps 0 --lmtp 0 --user ann --password-file password --ca-out ca.pem \
		--maildir mail --json received --ready-file ready 2>sink.err &
	sink=$!
	tries=0
	until [ -e ready ]; do
		kill -0 "$sink" 2>/dev/null || fail "the sink did not start: $(cat sink.err)"
		tries=$((tries + 1))
		[ "$tries" -lt 200 ] || fail "the sink was not ready within 10 seconds"
		sleep 0.05
	done
}

address() {
	sed -n "s/^$1 //p" ready
}

# send WHAT-IT-IS SERVER OPTION...: one message; the transcript goes to `transcript`, the record to
# `record`, which is one line and is shown in several.
send() {
	title "$1"
	server=$2
	shift 2
	set -- "$@" --from ann@example.org --message letter.eml bob@example.net
	printf '$ posthaste send --server %s \\\n      %s\n' "$server" "$*"
	status=0
	"$posthaste" send --json -v --server "$server" "$@" >record 2>transcript || status=$?
	echo "exit status $status"
	[ "$status" = 0 ] || fail "it should have been 0:
$(cat transcript)"
	grep -q '^{"outcome":"accepted"' record || fail "it should have been accepted: $(cat record)"
	sed 's/,"\(recipients\|sessions\|extensions\|tls\|auth\|timings_ms\|error\)":\([[{]\|null\)/,\n "\1":\2/g' record
}

(umask 077 && echo 'correct horse battery staple' >password)
cat >letter.eml <<'END'
From: Ann <ann@example.org>
To: Bob <bob@example.net>
Subject: Five ways to send
Date: Mon, 23 Nov 2026 12:00:00 +0000
Message-ID: <five.ways@example.org>
MIME-Version: 1.0
Content-Type: text/plain; charset=utf-8

Dear Bob,

. a dot at the beginning of a line,
.
a lone one, and a few octets beyond ASCII: Grüße, 你好.

Ann
END
sed 's/$/\r/' letter.eml >expected

start_sink
smtp=$(address smtp) smtps=$(address smtps) lmtp=$(address lmtp)
echo "$("$posthaste" version) meets a mail server of its own on this machine:"
sed 's/^/  /' ready

account="--ca-file ca.pem --user ann --password-file password"
send "As a mail exchanger gets it: no account, TLS if it is offered" "smtp://$smtp"
# shellcheck disable=SC2086 # words
send "With an account: STARTTLS, then AUTH" "submission://$smtp" $account
mv transcript conversation
# shellcheck disable=SC2086
send "With an account: TLS from the first octet" "smtps://$smtps" $account
send "STARTTLS demanded, found in EHLO, the certificate verified" \
	"smtp://$smtp" --tls=starttls --ca-file ca.pem
send "LMTP, as into a mailbox store" "lmtp://$lmtp"

title "The second conversation, as -v shows it"
cat conversation
secret=$(printf '\000ann\000%s' "$(cat password)" | base64)
if grep -q -e "$(cat password)" -e "$secret" conversation; then
	fail "the password stands in the transcript"
fi

kill -TERM "$sink"
wait "$sink" || fail "the sink ended with status $?: $(cat sink.err)"
sink=
title "What the sink says of each"
sed -n 's/.*"protocol":"\([A-Z]*\)".*"auth_user":\([^,]*\).*"bytes":\([0-9]*\).*/  \1 user \2, \3 octets/p' received
cat sink.err

title "One of them as it was received"
set -- mail/new/*
cat "$1"

title "Result"
[ $# = 5 ] || fail "5 messages were sent and $# arrived"
for file; do
	cmp "$file" expected || fail "what arrived is not what was sent"
done
protocols=$(sed -n 's/.*"protocol":"\([A-Z]*\)".*/\1/p' received | tr '\n' ' ')
[ "$protocols" = "ESMTPS ESMTPSA ESMTPSA ESMTPS LMTPS " ] || fail "the ways were $protocols"
echo "5 messages sent five ways; each arrived once, octet by octet as it was sent."
