#!/usr/bin/env bash
# A container engine that answers on this machine.
#
#   engine.sh start         start one if none answers: by systemd where that
#                           runs the machine, else dockerd by hand
#   engine.sh stop          end the dockerd that "start" started by hand
#   engine.sh with CMD...   run CMD with an engine; afterwards, on every way
#                           out, end the engine if it was started for CMD
set -euo pipefail
cd "$(dirname "$0")"
. ./progress.sh

pidfile=/run/cronium-dockerd.pid
log=/var/log/cronium-dockerd.log

answers() { timeout 10 docker info >/dev/null 2>&1; }

# Debian keeps dockerd in sbin, which is not in every PATH.
export PATH="$PATH:/usr/sbin:/sbin"

start() {
	if answers; then return; fi
	if [ -S /var/run/docker.sock ] && [ ! -w /var/run/docker.sock ]; then
		fail "A container engine runs here, but $(id -un) may not use it." \
			"Run:  sudo usermod -aG docker $(id -un)   and sign in again."
	fi
	command -v dockerd >/dev/null || fail "No container engine answers and none is installed." \
		"Debian, Ubuntu:  sudo apt-get install docker.io" \
		"Or start the one you have and run this again."
	begun=$(now)
	if [ -d /run/systemd/system ]; then
		step "Starting the container engine (systemctl start docker)"
		as_root systemctl start docker
	else
		step "Starting the container engine by hand: dockerd, log in $log"
		as_root sh -c "setsid --fork dockerd --pidfile $pidfile >>$log 2>&1 </dev/null"
	fi
	for _ in $(seq 150); do
		if answers; then
			say "engine $(docker version --format '{{.Server.Version}}') answers ($(seconds_since "$begun"))"
			return
		fi
		sleep 0.2
	done
	[ ! -f "$log" ] || as_root tail -n 15 "$log" >&2
	fail "The container engine did not answer within 30 s." "Its log is above; the whole of it is $log (or: journalctl -u docker)."
}

stop() {
	if [ ! -f "$pidfile" ]; then return; fi
	pid=$(cat "$pidfile")
	[ "$(cat "/proc/$pid/comm" 2>/dev/null)" = dockerd ] || return 0
	as_root kill "$pid"
	for _ in $(seq 150); do
		[ -d "/proc/$pid" ] || return 0
		sleep 0.2
	done
	fail "dockerd (process $pid) did not end within 30 s." "Its log: $log"
}

with() {
	if answers; then exec "$@"; fi
	start
	trap stop EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM
	"$@"
}

case "${1:-}" in
start) start ;;
stop) stop ;;
with) shift; with "$@" ;;
*) fail "usage: engine.sh start | stop | with COMMAND..." ;;
esac
