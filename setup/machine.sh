#!/usr/bin/env bash
# Makes this machine ready: packages, front-end files, container engine,
# runtime image. What is there is left alone, so running it again takes a
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
	exec ./image.sh
fi
exec ./engine.sh with sh -c './image.sh && cd .. && exec "$@"' sh "$@"
