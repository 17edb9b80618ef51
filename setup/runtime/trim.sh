#!/bin/sh
# Runs inside the new root file system: leaves out what no script reads, and
# makes sure that the Python library is compiled, so that a script starts fast.
set -eu
rm -rf /usr/share/doc/* /usr/share/man/* /usr/share/info/* /usr/share/locale/* \
	/usr/share/lintian /usr/include/node /var/lib/apt/lists/* /var/cache/apt/* \
	/var/cache/debconf/*-old /var/log/*.log /var/log/apt/*
python3 -m compileall -q -x 'lib2to3/tests|test/' /usr/lib/python3*/
