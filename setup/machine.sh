#!/usr/bin/env bash
# Makes this machine ready: packages, front-end files, container engine,
# runtime image, for tests the image of SSH hosts. What is there is left alone, so running it again takes a
# moment.
#
#   machine.sh run              to build and run Cronium
#   machine.sh test             to test it as well
#   machine.sh test COMMAND...  and run the command; an engine that had to be
#                               started for it ends with it
set -euo pipefail
cd "$(dirname "$0")"
purpose=$1
shift
./packages.sh "$purpose"
./frontend.sh
if [ $# = 0 ]; then
	./engine.sh start
	./image.sh
	[ "$purpose" != test ] || ./sshhost.sh
	exit
fi
exec ./engine.sh with sh -c './image.sh && ./sshhost.sh && cd .. && exec "$@"' sh "$@"
