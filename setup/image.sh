#!/usr/bin/env bash
# The runtime image: what a script finds in its container (Python, Node.js, Bash).
#
#   image.sh          make cronium-runtime:latest unless it is already there
#   image.sh force    make it anew, for newer packages
#
# The image is tagged with the digest of its definition (the folder runtime/) as
# well, so a changed definition makes a new image by itself. It is made from
# a pulled Debian image, or, where nothing can be pulled, by debootstrap.
set -euo pipefail
cd "$(dirname "$0")"
. ./progress.sh
export PATH="$PATH:/usr/sbin:/sbin"

base=${CRONIUM_RUNTIME_BASE:-debian:bookworm-slim}
digest=$(cat runtime/packages runtime/trim.sh | sha256sum | cut -c1-12)
image=cronium-runtime:$digest
packages=$(tr '\n' ' ' <runtime/packages)

if [ "${1:-}" != force ] && docker image inspect "$image" >/dev/null 2>&1; then
	docker tag "$image" cronium-runtime:latest
	exit 0
fi

begun=$(now)
import() {
	docker import --change 'ENV PATH=/usr/local/bin:/usr/bin:/bin LANG=C.UTF-8' \
		--change 'CMD ["bash"]' - "$image" >/dev/null
}

from_pulled() {
	step "Making the runtime image from $base"
	container=cronium-runtime-build-$$
	trap 'docker rm -f "$container" >/dev/null 2>&1 || true' EXIT
	docker run -i --name "$container" -e DEBIAN_FRONTEND=noninteractive "$base" sh -euc "
		apt-get update -qq
		apt-get install -qq --no-install-recommends $packages >/dev/null
		cat >/tmp/trim.sh; sh /tmp/trim.sh; rm /tmp/trim.sh" <runtime/trim.sh
	docker export "$container" | import
}

from_debootstrap() {
	say "$base cannot be pulled"
	command -v debootstrap >/dev/null || ./packages.sh install debootstrap
	step "Making the runtime image with debootstrap (once, about a minute)"
	root=$(as_root mktemp -d /var/tmp/cronium-runtime.XXXXXX)
	trap 'as_root rm -rf --one-file-system "$root"' EXIT
	as_root debootstrap --variant=minbase --include="$(tr ' ' ',' <<<"${packages% }")" bookworm "$root" |
		awk '/^[WE]:/ { print "    " $0 }
			/^I: (Retrieving|Extracting|Unpacking|Configuring)/ && !seen[$2]++ { print "    " tolower($2) " packages" }
			{ fflush() }'
	as_root cp runtime/trim.sh "$root/tmp/trim.sh"
	as_root chroot "$root" sh /tmp/trim.sh
	as_root rm "$root/tmp/trim.sh"
	as_root tar -C "$root" --exclude='./dev/*' -c . | import
}

say "no runtime image yet; trying $base"
if docker image inspect "$base" >/dev/null 2>&1 || timeout 60 docker pull -q "$base" >/dev/null 2>&1
then from_pulled
else from_debootstrap
fi
docker tag "$image" cronium-runtime:latest
say "$image ($(docker image inspect --format '{{.Size}}' "$image" | awk '{ printf "%.0f MB", $1 / 1e6 }'), $(seconds_since "$begun"))"
