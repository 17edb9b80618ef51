#!/usr/bin/env bash
# A container engine that answers on this machine.
#
#   engine.sh start         start one if none answers: by systemd where that
#                           runs the machine, else dockerd by hand
#   engine.sh stop          end the dockerd that "start" started by hand
#   engine.sh restart       both, for the engine that "start" or systemd started
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

# by_hand tells whether the dockerd that "start" started runs.
by_hand() {
	[ -f "$pidfile" ] && [ "$(cat "/proc/$(cat "$pidfile")/comm" 2>/dev/null)" = dockerd ]
}

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
		by_hand || as_root rm -f "$pidfile" # the number may be another process's now
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
	by_hand || return 0
	pid=$(cat "$pidfile")
	as_root kill "$pid"
	for _ in $(seq 150); do
		[ -d "/proc/$pid" ] || return 0
		sleep 0.2
	done
	fail "dockerd (process $pid) did not end within 30 s." "Its log: $log"
}

restart() {
	if [ -d /run/systemd/system ]; then
		as_root systemctl restart docker
	elif by_hand; then
		stop
	else
		fail "The container engine was started by something else; restart it there."
	fi
	start
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
restart) restart ;;
with) shift; with "$@" ;;
*) fail "usage: engine.sh start | stop | restart | with COMMAND..." ;;
esac
