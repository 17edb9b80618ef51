#!/usr/bin/env bash
# Fills static/vendor/ with the front-end files that the server embeds, when
# package-lock.json or the list in vendor.mjs has changed since it was filled.
set -euo pipefail
cd "$(dirname "$0")/.."
. setup/progress.sh

stamp=static/vendor/.stamp
wanted=$(cat package-lock.json setup/vendor.mjs | sha256sum)
if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$wanted" ] && [ -d node_modules ]; then exit 0; fi

command -v npm >/dev/null || fail "npm is not installed; it fetches the front-end files." "Debian, Ubuntu:  sudo apt-get install npm"
if grep -q '"resolved"' package-lock.json; then
	fail "package-lock.json holds download addresses." "Keep .npmrc as it is and run:  npm install --package-lock-only"
fi
step "Fetching the front-end files (npm ci)"
begun=$(now)
npm ci --ignore-scripts --no-progress --loglevel=error
node setup/vendor.mjs
printf '%s\n' "$wanted" >"$stamp"
say "static/vendor is complete ($(seconds_since "$begun"))"
