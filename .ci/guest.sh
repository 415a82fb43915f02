#!/usr/bin/env bash
# Unpacks a kernel and a busybox of Debian into the user's cache: what the
# emulated machines of internal/powercut start with. Installs nothing.
set -euo pipefail
cache=${XDG_CACHE_HOME:-$HOME/.cache}/skerry-guest

if [[ -x $cache/bin/busybox ]] && compgen -G "$cache/boot/vmlinuz-*" >/dev/null; then
	exit 0
fi
kernel() { apt-cache depends linux-image-cloud-amd64 2>/dev/null | awk '$1 == "Depends:" {print $2; exit}'; }
if [[ -z $(kernel) ]]; then
	echo "guest: Debian's linux-image-cloud-amd64 is not known here: run apt-get update as root; on other systems put" >&2
	echo "guest: boot/vmlinuz-*, lib/modules/*/kernel/*/…/virtio*.ko and failover.ko, and bin/busybox into $cache" >&2
	exit 1
fi

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
echo "guest: download $(kernel) and busybox-static, unpacked into $cache"
apt-get download -q "$(kernel)" busybox-static >log 2>&1 || {
	cat log >&2
	exit 1
}
mkdir out
for package in *.deb; do
	dpkg-deb --fsys-tarfile "$package" | tar -x -C out --wildcards \
		'./boot/vmlinuz-*' '*/virtio*.ko' '*/failover.ko' '*/net_failover.ko' './bin/busybox' 2>/dev/null || true
done
[[ -x out/bin/busybox ]] && compgen -G 'out/boot/vmlinuz-*' >/dev/null || {
	echo "guest: the packages hold no kernel or no busybox: $(echo *.deb)" >&2
	exit 1
}
mkdir -p "$(dirname "$cache")"
rm -rf "$cache"
mv out "$cache"
