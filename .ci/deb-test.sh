#!/usr/bin/env bash
# Installs the package in a Debian of its own, which systemd-nspawn boots with a
# systemd of its own, and lives a device's life in it: installed, given a fleet, an app
# and an event, hung, upgraded, removed and purged. The machine that it runs on is
# not changed, but for the cache of the Debian that debootstrap made. Needs root.
# usage: deb-test.sh [folder with the .deb, made if none is named]
set -euo pipefail
cd "$(dirname "$0")/.."
cache=${XDG_CACHE_HOME:-$HOME/.cache}/skerry-debian
suite=bookworm
base=$cache/$suite-1.tar # a new number when what is in it changes
arch=$(dpkg --print-architecture)

fail() { echo "deb-test: $*" >&2; exit 1; }
step() { echo "== $* ($SECONDS s)"; }
((EUID == 0)) || fail "needs root, for a container: sudo make deb-test"
for program in debootstrap systemd-nspawn lintian; do
	command -v $program >/dev/null || fail "$program is missing: bash .ci/deps.sh packages"
done

work=$(mktemp -d)
root=$work/root
nspawn=
stop() {
	if [[ -n $nspawn ]] && kill -0 "$nspawn" 2>/dev/null; then
		kill -TERM "$nspawn" || true # nspawn ends what runs in it
		wait "$nspawn" || true
	fi
	rm -rf "$work"
	# Its control groups: of that name, wherever they are mounted here.
	[[ -z $nspawn ]] || find /sys/fs/cgroup -depth -type d -path "*/skerry-deb-test.$nspawn*" -exec rmdir {} + 2>/dev/null || true
}
trap stop EXIT

# inside runs a command in the container.
inside() { nsenter -t "$leader" -m -u -i -n -p -C -r -w -- env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8 "$@"; }
# until_true tries a command for a minute.
until_true() { # what, command…
	local what=$1 try
	shift
	for ((try = 0; try < 300; try++)); do
		if "$@" >"$work/try" 2>&1; then return 0; fi
		sleep 0.2
	done
	cat "$work/try" >&2
	inside journalctl -u skerry -n 30 --no-pager >&2 || true
	fail "$what: not within a minute"
}
property() { inside systemctl show skerry --property "$1" --value; }
expect() { # what, got, wanted
	[[ $2 == "$3" ]] || { inside journalctl -u skerry -n 30 --no-pager >&2; fail "$1: $2, want $3"; }
}
status_has() { inside skerry status -o json | tr -d ' \n' | grep -qE -- "$1"; }
status_text() { property StatusText | grep -qF -- "$1"; }

debs=${1:-}
if [[ -z $debs ]]; then
	step "make the package"
	debs=$work/dist
	go run ./internal/dist -version 0.0.1 -only "linux/$(go env GOARCH)" -o "$debs"
fi
deb=$(echo "$debs"/skerry_*_"$arch".deb)
[[ -f $deb ]] || fail "no package for $arch in $debs"

step "lintian"
lintian --allow-root --fail-on error,warning "$deb"

if [[ ! -f $base ]]; then
	step "debootstrap $suite, kept as $base"
	mirror=$(apt-get indextargets --format '$(SITE)' 'Identifier: Packages' | grep -v security | head -1)
	[[ -n $mirror ]] || fail "apt knows no mirror: run apt-get update"
	debootstrap --variant=minbase --include=systemd,systemd-sysv,dbus,adduser,mosquitto-clients "$suite" "$work/new" "$mirror" >"$work/log" 2>&1 || { tail -20 "$work/log" >&2; fail "debootstrap failed"; }
	rm -rf "$work"/new/var/cache/apt/archives/*.deb "$work"/new/var/lib/apt/lists/*
	mkdir -p "$cache"
	tar -C "$work/new" -cf "$base.part" . && mv "$base.part" "$base"
	rm -rf "$work/new"
fi
mkdir "$root"
tar -C "$root" -xpf "$base"
mkdir -p "$root/srv/skerry-test"
cp "$deb" "$root/srv/skerry-test/old.deb"
cp -r examples/overheat "$root/srv/skerry-test/overheat"

step "the next two versions, each with another example configuration"
dpkg-deb -R "$deb" "$work/next"
for name in new newer; do
	sed -i 's/^Version: .*/&+next/' "$work/next/DEBIAN/control"
	echo '# a line that is new' >>"$work/next/etc/skerry/skerry.yaml"
	dpkg-deb --root-owner-group -Zgzip -z1 -b "$work/next" "$root/srv/skerry-test/$name.deb" >/dev/null
done

step "boot"
# A name space of its own: its /run and control groups are no business of this machine's systemd, if it has one.
cat >"$work/boot" <<'SH'
set -e
mount -t tmpfs tmpfs /run
umount -R /sys/fs/cgroup
mount -t cgroup2 cgroup2 /sys/fs/cgroup
group=/sys/fs/cgroup/skerry-deb-test.$$
mkdir "$group"
echo $$ >"$group/cgroup.procs"
export SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1
exec systemd-nspawn --quiet -D "$1" --boot --machine=skerry-deb-test --register=no --keep-unit --private-network --link-journal=no --console=pipe
SH
unshare --mount --propagation private bash "$work/boot" "$root" </dev/null >"$work/console" 2>&1 &
nspawn=$!
leader=
for ((try = 0; try < 150; try++)); do
	leader=$(pgrep -P "$nspawn" -x systemd || true)
	if [[ -n $leader ]] && inside systemctl is-system-running 2>/dev/null | grep -qE 'running|degraded'; then break; fi
	kill -0 "$nspawn" 2>/dev/null || { cat "$work/console" >&2; fail "systemd-nspawn ended"; }
	sleep 0.2
done
files() { inside find / -xdev -path /proc -prune -o -path /sys -prune -o -path /run -prune -o -path /tmp -prune -o -path /var/tmp -prune -o -path /srv -prune -o -path /var/log -prune -o -path '/var/cache/*' -prune -o -path '/var/lib/systemd/*' -prune -o -path /root -prune -o -path '/var/lib/dpkg/*-old' -prune -o -print | sort; }
files >"$work/before"

step "install"
inside dpkg -i /srv/skerry-test/old.deb >"$work/dpkg" 2>&1 || { cat "$work/dpkg" >&2; fail "dpkg -i"; }
expect "is it enabled" "$(inside systemctl is-enabled skerry)" enabled
expect "is it active" "$(inside systemctl is-active skerry)" active
expect "how it is started" "$(property Type)" notify
expect "the configuration's mode" "$(inside stat -c '%U:%G %a' /etc/skerry/skerry.yaml)" "root:skerry 640"
expect "the data's mode" "$(inside stat -c '%U:%G %a' /var/lib/skerry)" "skerry:skerry 750"
until_true "it says that there is no fleet" status_text 'no fleet yet'
inside systemd-analyze verify skerry.service 2>&1 | grep -vE "RestartSteps|RestartMaxDelaySec|'man skerry" | grep skerry.service && fail "systemd-analyze verify" || true
inside systemd-analyze security --no-pager skerry.service | tail -1
inside test -f /usr/share/doc/skerry/examples/alerts.yaml || fail "no examples for monitoring"
inside test -f /usr/share/man/man1/skerry.1.gz -a -f /usr/share/bash-completion/completions/skerry || fail "no man page, or no completion"

step "a fleet, an app, an event"
inside sh -ec 'cd /srv/skerry-test
umask 022
skerry fleet init oci-layout:/srv/skerry-test/fleet >/dev/null
skerry publish overheat/app.yaml --yes >/dev/null
cat skerry.yaml >>/etc/skerry/skerry.yaml
cat >>/etc/skerry/skerry.yaml <<YAML
broker:
  listen: 127.0.0.1:1883
  users: [{name: sensor, password_file: /run/credentials/skerry.service/skerry_sensor.password}]
targets: [{name: alerts, kind: cloudevents, url: "http://127.0.0.1:9/none"}]
YAML
echo secret >/etc/skerry/credentials/sensor.password
chmod 600 /etc/skerry/credentials/sensor.password
systemctl restart skerry'
until_true "the function runs" status_text '1 function,'
publish() { inside mosquitto_pub -h 127.0.0.1 -u sensor -P secret -q 1 -t "$1" -m "$2"; }
inside mosquitto_sub -h 127.0.0.1 -u sensor -P secret -t 'alerts/#' -C 1 -W 20 >"$work/alarm" &
sub=$!
until_true "somebody listens for the alarm" status_has '"kind":"broker","connected":true'
sleep 1 # the subscription
publish sensors/line-1/s1/temperature '{"id":"s1","seq":1,"ts":1,"temperature":95.25}'
wait "$sub" || fail "no alarm was published"
grep -q 95.25 "$work/alarm" || fail "another alarm than that: $(cat "$work/alarm")"
until_true "the follow-up waits for the cloud" status_has '"waiting":1'
publish sensors/line-1/s1/temperature 'this is no reading'
until_true "an event that is none goes to the dead letters" status_has '"dead":1'

step "a hung agent"
before=$(property MainPID)
inside sh -ec 'mkdir -p /run/systemd/system/skerry.service.d
printf "[Service]\nWatchdogSec=2s\nRestartSec=100ms\nLimitCORE=0\n" >/run/systemd/system/skerry.service.d/test.conf
systemctl daemon-reload
systemctl restart skerry'
hung=$(property MainPID)
[[ $hung != "$before" ]] || fail "it did not start again"
inside sh -c "kill -STOP $hung"
until_started() { until_true "$1" eval '[[ $(property ActiveState) == active && $(property MainPID) != '"$2"' ]]'; }
until_started "systemd starts it again" "$hung"
expect "why" "$(inside journalctl -u skerry --no-pager | grep -c 'Watchdog timeout')" 1
until_true "what waits and the dead letter are there" status_has '"waiting":1.*"dead":1|"dead":1.*"waiting":1'
inside rm -r /run/systemd/system/skerry.service.d
inside systemctl daemon-reload

step "upgrade"
before=$(property MainPID)
inside dpkg --force-confdef -i /srv/skerry-test/new.deb </dev/null >"$work/dpkg" 2>&1 || { cat "$work/dpkg" >&2; fail "dpkg -i of the next version"; }
until_started "the new one runs" "$before"
expect "the owner's configuration" "$(inside grep -c 127.0.0.1:9/none /etc/skerry/skerry.yaml)" 1
expect "the new example beside it" "$(inside tail -n 1 /etc/skerry/skerry.yaml.dpkg-dist)" "# a line that is new"
expect "the configuration's mode" "$(inside stat -c '%U:%G %a' /etc/skerry/skerry.yaml)" "root:skerry 640"
until_true "the function runs" status_text '1 function, 1 waiting for the cloud, 1 dead letter'
publish sensors/line-1/s2/temperature '{"id":"s2","seq":1,"ts":1,"temperature":99}'
until_true "another follow-up waits" status_text '2 waiting'

step "remove"
inside dpkg -r skerry >"$work/dpkg" 2>&1 || { cat "$work/dpkg" >&2; fail "dpkg -r"; }
expect "is it running" "$(inside sh -c 'systemctl show skerry --property MainPID --value')" 0
inside test -d /var/lib/skerry/store -a -f /etc/skerry/skerry.yaml || fail "removing took state or configuration"
inside dpkg -i /srv/skerry-test/new.deb </dev/null >"$work/dpkg" 2>&1 || { cat "$work/dpkg" >&2; fail "dpkg -i after removing"; }
until_true "what waited is there again" status_text '2 waiting for the cloud, 1 dead letter'

step "remove, when an upgrade was broken off at dpkg's question"
! inside dpkg -i /srv/skerry-test/newer.deb </dev/null >"$work/dpkg" 2>&1 || fail "dpkg asked nothing about the configuration"
expect "does the old one run on" "$(inside systemctl is-active skerry)" active
inside dpkg -r skerry >"$work/dpkg" 2>&1 || { cat "$work/dpkg" >&2; fail "dpkg -r"; }
expect "is it running" "$(property MainPID)" 0

step "purge"
inside dpkg -P skerry >"$work/dpkg" 2>&1 || { cat "$work/dpkg" >&2; fail "dpkg -P"; }
inside getent passwd skerry && fail "the user is left"
files >"$work/after"
diff "$work/before" "$work/after" || fail "that is left"
echo "deb-test: all passed in $SECONDS s"
