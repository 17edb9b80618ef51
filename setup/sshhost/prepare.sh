#!/bin/sh
# Runs inside the new root file system: users with each login shell, and keys.
set -eu
export PATH="$PATH:/usr/sbin:/sbin"
for shell in bash dash fish zsh tcsh; do
	useradd --create-home --shell "$(command -v "$shell")" "$shell"
done
useradd --create-home --shell /bin/bash app
useradd --create-home --shell /bin/bash stranger # with no rights of sudo
echo 'bash ALL=(app) NOPASSWD: ALL' >/etc/sudoers.d/tests
chmod 440 /etc/sudoers.d/tests
rm -f /etc/ssh/ssh_host_* /etc/motd
ssh-keygen -q -t ed25519 -N '' -f /etc/ssh/ssh_host_ed25519_key
ssh-keygen -q -t ecdsa -N '' -f /etc/ssh/ssh_host_ecdsa_key
ssh-keygen -q -t rsa -b 3072 -N '' -f /etc/ssh/ssh_host_rsa_key
mkdir -p /run/sshd
rm -rf /usr/share/doc/* /usr/share/man/* /usr/share/locale/* /usr/share/fish/man /var/lib/apt/lists/* /var/cache/apt/*
