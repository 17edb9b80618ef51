# Sourced by the other scripts here: what they print, and how they become root.

say()  { printf '    %s\n' "$*"; }
step() { printf '==> %s\n' "$*"; }

# fail WHAT HAPPENED; each further argument is a line that says what to do.
fail() {
	printf '\nerror: %s\n' "$1" >&2
	shift
	for line in "$@"; do printf '       %s\n' "$line" >&2; done
	exit 1
}

# seconds_since START prints how long something took; START is from now().
now() { date +%s.%N; }
seconds_since() { awk -v a="$1" -v b="$(now)" 'BEGIN { printf "%.1f s", b - a }'; }

# as_root COMMAND... runs it as root, or explains which command needs root.
as_root() {
	if [ "$(id -u)" = 0 ]; then "$@"
	elif command -v sudo >/dev/null; then sudo "$@"
	else fail "This step needs root, and sudo is not installed." "Run as root:  $*"
	fi
}

can_be_root() { [ "$(id -u)" = 0 ] || command -v sudo >/dev/null; }
