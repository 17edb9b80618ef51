#!/usr/bin/env bash
# The image of hosts that tests reach over SSH: the runtime image with sshd,
# sudo and several login shells. Made once for each definition (the folder
# sshhost/) and runtime image.
set -euo pipefail
cd "$(dirname "$0")"
. ./progress.sh

runtime=$(docker image inspect --format '{{.Id}}' cronium-runtime:latest)
digest=$(cat sshhost/* - <<<"$runtime" | sha256sum | cut -c1-12)
image=cronium-sshhost:$digest
if docker image inspect "$image" >/dev/null 2>&1; then
	docker tag "$image" cronium-sshhost:latest
	exit 0
fi

step "Making the image of SSH hosts for tests"
begun=$(now)
container=cronium-sshhost-build-$$
trap 'docker rm -f "$container" >/dev/null 2>&1 || true' EXIT
# The host's network: apt then reaches what this machine reaches.
docker run -i --name "$container" --network host -e DEBIAN_FRONTEND=noninteractive cronium-runtime:latest sh -euc "
	cat >/tmp/prepare.sh
	apt-get update -qq
	apt-get install -qq -y --no-install-recommends $(tr '\n' ' ' <sshhost/packages) >/dev/null
	sh /tmp/prepare.sh
	rm /tmp/prepare.sh" <sshhost/prepare.sh
docker cp -q sshhost/boot.sh "$container:/boot.sh"
docker commit --change 'CMD ["bash", "/boot.sh"]' "$container" "$image" >/dev/null
docker tag "$image" cronium-sshhost:latest
say "$image ($(docker image inspect --format '{{.Size}}' "$image" | awk '{ printf "%.0f MB", $1 / 1e6 }'), $(seconds_since "$begun"))"
