#!/usr/bin/env bash
# Runs govulncheck. Where its database cannot be reached it says so and passes:
# that is the network's state, not the code's.
set -uo pipefail
cd "$(dirname "$0")/.."

out=$(timeout 300 go tool govulncheck ./... 2>&1)
status=$?
if [ $status != 0 ] && grep -q 'fetching vulnerabilities' <<<"$out"; then
	echo "    not checked: the vulnerability database cannot be reached from here"
	exit 0
fi
[ $status = 0 ] || printf '%s\n' "$out"
exit $status
