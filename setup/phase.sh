#!/usr/bin/env bash
# phase.sh NAME COMMAND...   runs the command and prints how long it took.
set -euo pipefail
. "$(dirname "$0")/progress.sh"
name=$1
shift
step "$name"
begun=$(now)
if "$@"; then
	say "$name: ok ($(seconds_since "$begun"))"
else
	status=$?
	say "$name: FAILED after $(seconds_since "$begun")"
	exit $status
fi
