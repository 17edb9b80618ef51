#!/usr/bin/env bash
# Fails if a Go file is not formatted as gofmt does it.
set -euo pipefail
cd "$(dirname "$0")/.."
wrong=$(git ls-files -z --cached --others --exclude-standard '*.go' | xargs -0 -r ls 2>/dev/null | xargs gofmt -l)
[ -z "$wrong" ] || { printf 'not formatted (run gofmt -w):\n%s\n' "$wrong" >&2; exit 1; }
