#!/bin/bash
# Process 1 of a container that stands for a host: sets up what a test wants,
# then keeps an sshd running. The environment has
#
#   PASSWORD    of each user
#   AUTHORIZED  public key that each user lets in
#   CONFIG      lines for sshd_config, which win over the others
#   SETUP       a script to run as root first, at each boot
set -u
export PATH="$PATH:/usr/sbin:/sbin"
mkdir -p /run/sshd
{
	printf '%s\n' "$CONFIG"
	cat <<-'END'
		UsePAM no
		UseDNS no
		PasswordAuthentication yes
		KbdInteractiveAuthentication no
		PermitRootLogin yes
		AuthorizedKeysFile /etc/ssh/authorized
		MaxStartups 1000
		PrintMotd no
		Subsystem sftp internal-sftp
	END
} >/etc/ssh/sshd_config
printf '%s\n' "$AUTHORIZED" >/etc/ssh/authorized
for user in root bash dash fish zsh tcsh stranger; do printf '%s:%s\n' "$user" "$PASSWORD"; done | chpasswd
bash -euc "$SETUP" || exit 1
trap 'exit 0' TERM
while :; do
	env -i PATH="$PATH" /usr/sbin/sshd -D -e &
	wait $!
done
