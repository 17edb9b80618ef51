#!/usr/bin/env bash
# Fails if a generated file is not what its source makes of it. The generators'
# own version lines do not count.
set -euo pipefail
cd "$(dirname "$0")/.."

snapshot() {
	git ls-files -z --cached --others --exclude-standard -- '*.pb.go' '*_templ.go' |
		while IFS= read -r -d '' file; do
			[ ! -f "$file" ] || printf '%s  %s\n' "$(grep -v '^// .*protoc' "$file" | sha256sum | cut -d' ' -f1)" "$file"
		done
}

before=$(snapshot)
make --no-print-directory generate
after=$(snapshot)
if [ "$before" != "$after" ]; then
	diff <(printf '%s\n' "$before") <(printf '%s\n' "$after") | sed -n 's/^> [0-9a-f]* */stale: /p' >&2
	echo "error: generated files were not up to date; they are now: commit them" >&2
	exit 1
fi
