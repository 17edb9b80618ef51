# Runs on the host, by /bin/sh -c, as one line made of these (see command.go):
# no single quotes, backslashes, exclamation marks or comments but whole lines.
# What it needs to know comes as lines on standard input; what it has to say
# goes out as lines that begin with the nonce of the session.
#
# $1 is this text, so that it can be run again as another user.

export LC_ALL=C;
umask 077;
say() { echo "$nonce" "$@"; };
die() { say "$@"; exit 0; };

# The first time: who, and become that user.
if [ "$0" = cronium ]; then
	read -r nonce || exit 90;
	echo; say hello;
	read -r user || exit 90;
	case $user in
		- | "$(id -un)") ;;
		*)
			id -u "$user" >/dev/null 2>&1 || die no-user;
			command -v sudo >/dev/null 2>&1 || die no-sudo;
			say become;
			exec sudo -n -H -u "$user" -- /bin/sh -c "$1" cronium-as "$1" "$nonce" ;;
	esac;
else
	nonce=$2;
	unset XDG_STATE_HOME;
	cd / ;
	say became;
fi;

# What for: the mode, the letters that the directories of this server begin
# with, the version wanted, and how to start the agent.
read -r mode name want target key idle || exit 90;
kernel=$(uname -s);
machine=$(uname -m);
say platform "$kernel" "$machine" "$(uname -r)";
case $machine in
	x86_64 | amd64) arch=amd64 ;;
	aarch64 | arm64) arch=arm64 ;;
	*) arch=$machine ;;
esac;
digest=; size=0;
while read -r a d s; do
	case $a in
		end) break ;;
		"$arch") digest=$d; size=$s ;;
	esac;
done;
[ "$kernel" = Linux ] || die no-linux "$kernel";
uid=$(id -u);

# The directories that may hold it, the best one first.
bases() { for b in "${XDG_STATE_HOME:+$XDG_STATE_HOME/cronium}" "${HOME:+$HOME/.cronium}" "/var/tmp/cronium-$uid"; do [ "$b" ] && "$@" "$b"; done; };
sum() { { sha256sum || shasum -a 256 || openssl dgst -sha256 -r; } 2>/dev/null <"$1" | { read -r h rest; echo "$h"; }; };

short() { echo "${1%"${1#????????????}"}"; };

remove() {
	for d in "$1/$name"-*; do
		[ -d "$d" ] && [ -O "$d" ] || continue;
		bin=$1/agent-${d##*-};
		case "$([ -f "$bin" ] && sum "$bin")" in
			"") rm -rf "$d" ;;
			"${d##*-}"*) err=$("$bin" remove --dir "$d" 2>&1) || die busy "$d: $err" ;;
			*) die busy "$bin: it was changed by somebody" ;;
		esac;
		set -- "$1" "$1"/*-"${d##*-}";
		[ "$#" = 2 ] && rm -f "$bin";
	done;
	rmdir "$1" 2>/dev/null; true;
};
[ "$mode" = remove ] && { bases remove; die removed; };

[ "$want" = - ] || { [ "$want" = "$digest" ] || size=0; digest=$want; };
[ "$digest" ] || die no-arch "$machine";
short=$(short "$digest");
leaf=$name-$short;

# One that an agent has used before is used again.
base=; dir=;
known() { [ -z "$dir" ] && [ -d "$1/$leaf/spool" ] && [ -O "$1/$leaf" ] && { base=$1; dir=$1/$leaf; }; };
bases known;
[ "$dir" ] || [ "$mode" = start ] || die gone;

# Else the first one that works: ours, with room, and not mounted noexec.
why=;
usable() {
	[ "$dir" ] && return;
	if [ -L "$1" ]; then why="$why$1: it is a symbolic link; "; return; fi;
	d=$1/$leaf;
	err=$({ mkdir -p "$d" && chmod 700 "$1" "$d"; } 2>&1) || { why="$why$1: ${err##*: }; "; return; };
	[ -O "$1" ] && [ -O "$d" ] || { why="$why$1: it belongs to another user; "; return; };
	free=$(df -Pk "$d" 2>/dev/null | tail -n 1 | { read -r f b u a rest; echo "$a"; });
	if [ "$free" -lt $((size / 1024 + 16384)) ] 2>/dev/null; then
		why="$why$1: only $((free / 1024)) MiB are free, $((size / 1048576 + 16)) MiB are needed; ";
		rmdir "$d" "$1" 2>/dev/null; return;
	fi;
	err=$({ echo "exit 7" >"$d/try" && chmod 700 "$d/try"; } 2>&1) || { why="$why$1: ${err##*: }; "; return; };
	"$d/try" >/dev/null 2>&1; tried=$?;
	rm -f "$d/try";
	if [ $tried = 7 ]; then base=$1; dir=$d; else why="$why$1: nothing may be executed there (mounted noexec); "; rmdir "$d" "$1" 2>/dev/null; fi;
};
bases usable;
[ "$dir" ] || die no-directory "$why";
say directory "$dir";
say free "$(df -Pk "$dir" 2>/dev/null | tail -n 1 | { read -r f b u a rest; echo "$a"; })";

# The binary, checked each time, one for all that this user runs of it. What came
# of an upload that was cut is kept as a part; whoever goes on with it takes it
# under a name of its own.
bin=$base/agent-$short;
tries=0;
until [ "$(sum "$bin")" = "$digest" ]; do
	[ "$size" -gt 0 ] || die gone;
	[ "$(echo | { sha256sum || shasum -a 256 || openssl dgst -sha256 -r; } 2>/dev/null)" ] || die no-sum;
	tries=$((tries + 1));
	[ $tries -le 3 ] || die corrupt;
	part=$base/part-$short.$nonce;
	have=0;
	mv "$base/part-$short" "$part" 2>/dev/null && have=$(wc -c <"$part");
	have=$((have));
	[ $have -le "$size" ] || { rm -f "$part"; have=0; };
	say need $have;
	err=$({ head -c $((size - have)) >>"$part"; } 2>&1);
	now=$(wc -c <"$part");
	if [ $((now)) -lt "$size" ]; then mv -f "$part" "$base/part-$short"; die no-write "$base: ${err##*: }"; fi;
	if [ "$(sum "$part")" = "$digest" ]; then chmod 700 "$part" && mv -f "$part" "$bin"; else rm -f "$part"; fi;
done;
say start;
exec "$bin" connect --ensure "$dir" --target "$target" --public-key "$key" --idle-exit "$idle" --wait 30s;
