#!/bin/sh
# The first process of the machine: it mounts the disk, starts the agent, and
# then does what comes over the serial line, one command a line.
export PATH=/bin
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
stty -F /dev/ttyS0 -echo
for m in $(cat /modules/order); do insmod "/modules/$m.ko" || echo "GUEST no module $m"; done
ifconfig lo 127.0.0.1 up
ifconfig eth0 10.0.2.15 up
route add default gw 10.0.2.2
mount -t ext4 -o noatime /dev/vda /data || echo "GUEST no disk"

# start runs the agent; one that ends is started again, as systemd would.
start() {
	touch /tmp/wanted
	keep &
	keeper=$!
}
keep() {
	while [ -e /tmp/wanted ]; do
		echo "GUEST agent starts"
		SKERRY_PAGE_LISTEN=off /skerry run -c /skerry.yaml
		status=$?
		[ -e /tmp/wanted ] && echo "GUEST agent ended with $status" && sleep 1
	done
}
# stop ends it and waits until it is gone.
stop() {
	rm -f /tmp/wanted
	killall skerry
	wait $keeper
	echo "GUEST stopped"
}
off() {
	stop
	umount /data && echo "GUEST off"
	poweroff -f
}

mkdir -p /tmp
for a in $(cat /proc/cmdline); do
	case $a in date=*) date -s "@${a#*=}" ;; esac
done
echo "GUEST up"
start
while read -r line; do eval "$line"; done
