#!/usr/bin/env bash
# Installs the programs that the tests talk to, if they are missing:
# mosquitto (broker), docker-registry (OCI registry), moto (AWS), awscli.
# Says each step. Where it may not install, it prints the commands and fails.
set -euo pipefail

missing_apt=() missing_pip=()
# Debian puts daemons where a user's PATH does not look.
has() { PATH="$PATH:/usr/sbin:/usr/local/sbin" command -v "$1" >/dev/null 2>&1; }

has mosquitto || missing_apt+=(mosquitto)
has mosquitto_pub || missing_apt+=(mosquitto-clients)
has docker-registry || missing_apt+=(docker-registry)
has gcc || missing_apt+=(gcc libc6-dev) # the race detector
has moto_server || missing_pip+=('moto[server]')
has aws || missing_pip+=(awscli)

if ((${#missing_apt[@]} + ${#missing_pip[@]} == 0)); then
	exit 0
fi

as_root=()
if ((EUID != 0)); then
	as_root=(sudo -n)
fi
apt_command="apt-get install -y --no-install-recommends ${missing_apt[*]}"
pip_command="python3 -m pip install ${missing_pip[*]}"

give_up() { # why
	echo "deps: $1" >&2
	echo "deps: install these yourself, then try again:" >&2
	((${#missing_apt[@]} == 0)) || echo "  sudo $apt_command" >&2
	((${#missing_pip[@]} == 0)) || echo "  $pip_command" >&2
	exit 1
}

if ((${#missing_apt[@]} > 0)); then
	has apt-get || give_up "this is no Debian: apt-get is missing"
	if ((EUID != 0)) && ! sudo -n true 2>/dev/null; then
		give_up "may not install packages: you are not root, and sudo asks for a password"
	fi
	echo "deps: apt-get update"
	"${as_root[@]}" apt-get update -qq || give_up "apt-get update failed"
	echo "deps: $apt_command"
	"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
		apt-get install -y -qq --no-install-recommends "${missing_apt[@]}" || give_up "apt-get install failed"
fi

if ((${#missing_pip[@]} > 0)); then
	python3 -m pip --version >/dev/null 2>&1 || give_up "pip is missing: apt-get install python3-pip"
	echo "deps: $pip_command"
	# Debian's own Python refuses pip outside of a virtual environment: then
	# take what is there for the user alone.
	python3 -m pip install -q "${missing_pip[@]}" ||
		python3 -m pip install -q --user --break-system-packages "${missing_pip[@]}" ||
		give_up "pip install failed"
	has moto_server || give_up 'moto_server was installed outside of PATH: add ~/.local/bin to it'
fi

# Debian starts services when it installs them. The tests need none and use
# ports of their own, so what was started is told and left to the owner.
for service in mosquitto docker-registry; do
	if has systemctl && systemctl is-active --quiet "$service" 2>/dev/null; then
		echo "deps: note: the system runs $service.service now; the tests do not use it: sudo systemctl disable --now $service"
	fi
done
