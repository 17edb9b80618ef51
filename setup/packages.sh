#!/usr/bin/env bash
# Installs the Debian packages that are missing, or says which they are.
#
#   packages.sh run             what building and running Cronium needs
#   packages.sh test            that, and what the tests need
#   packages.sh install NAME... these
set -euo pipefail
cd "$(dirname "$0")"
. ./progress.sh
export PATH="$PATH:/usr/sbin:/sbin"

go_needed=1.26
missing=()

has() { command -v "$1" >/dev/null; }
need() { # need COMMAND PACKAGE
	has "$1" || missing+=("$2")
}
has_postgresql() {
	has initdb || compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || compgen -G '/usr/pgsql-*/bin/initdb' >/dev/null
}
available() { # the version that apt would install
	apt-cache policy "$1" 2>/dev/null | awk '/Candidate:/ && $2 != "(none)" { sub(/^[0-9]+:/, "", $2); print $2 }'
}
at_least() { [ "$(printf '%s\n' "$1" "$2" | sort -V | head -n 1)" = "$1" ]; }

install() {
	if ! has apt-get; then
		fail "Missing on this machine: $*" "Those are Debian's names; install what they are called here, and run this again."
	fi
	if ! can_be_root; then
		fail "Missing on this machine: $*" "Run as root:  apt-get install --no-install-recommends $*"
	fi
	step "Installing $*"
	begun=$(now)
	as_root apt-get update -qq
	as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "$@" |
		awk '/^Get:|^Setting up/ { if (n++ % 20 == 0) print "    " substr($0, 1, 100); fflush() }'
	say "done ($(seconds_since "$begun"))"
}

check_go() {
	if has go; then
		version=$(cd .. && go env GOVERSION 2>/dev/null | sed 's/^go//') || version=
		[ -n "$version" ] && at_least "$go_needed" "$version" && return
		fail "Go $go_needed is needed, this machine has $(go version | cut -d' ' -f3)." "Get it from https://go.dev/dl/ (the file for linux), unpack it to /usr/local, put /usr/local/go/bin in PATH."
	fi
	# From 1.21 on Go fetches the version that go.mod names by itself.
	packaged=$(available golang-go)
	if [ -n "$packaged" ] && at_least 1.21 "$packaged"; then
		missing+=(golang-go)
		return
	fi
	fail "Go is not installed." "Get Go $go_needed or newer from https://go.dev/dl/ (the file for linux), unpack it to /usr/local, put /usr/local/go/bin in PATH."
}

case "${1:-}" in
install)
	shift
	install "$@"
	exit
	;;
run | test) ;;
*) fail "usage: packages.sh run | test | install NAME..." ;;
esac

check_go
need git git
need npm npm
has_postgresql || missing+=(postgresql)
if ! has docker || { ! has dockerd && ! timeout 10 docker info >/dev/null 2>&1; }; then
	missing+=(docker.io iptables)
	[ -z "$(available docker-cli)" ] || missing+=(docker-cli)
fi
if [ "$1" = test ]; then
	need protoc protobuf-compiler
	has chromium || has chromium-browser || has google-chrome || missing+=(chromium)
fi
if [ ${#missing[@]} -gt 0 ]; then install "${missing[@]}"; fi
