#!/usr/bin/env bash
# Runs the demo, a plant with its broker, registry, agent and cloud in one process, as
# on other processors, emulated by qemu, and checks what it counted: arm64, where
# functions are compiled, the other ones, where they are interpreted.
# usage: demo-arm.sh [arm64|armv7|armv6|riscv64|386]…
set -euo pipefail
cd "$(dirname "$0")/.."

# The agent compiles modules in a process of its own, so the kernel has to know who runs
# programs of another processor. A user name space of our own has a list of its own of
# that (Linux 6.7), and the machine's stays as it is; on older kernels the machine's
# counts, which Debian's qemu-user-static fills where systemd runs.
know() {
	mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc || return
	local name bits number
	while read -r name bits number; do
		printf ':skerry-%s:M::\\x7fELF\\x0%d\\x01\\x01\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x02\\x00\\x%s\\x00::%s:F' \
			"$name" "$bits" "$number" "$(command -v "qemu-$name-static")" >/proc/sys/fs/binfmt_misc/register
	done <<-'LIST'
		aarch64 2 b7
		arm 1 28
		riscv64 2 f3
	LIST
}
if [[ ${1:-} == --inside ]]; then
	shift
	know || true
elif unshare --user --map-root-user --mount true 2>/dev/null; then
	exec unshare --user --map-root-user --mount bash "$0" --inside "$@"
fi

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
(($#)) || set -- arm64 armv7 armv6 riscv64 386
for platform; do
	begun=$SECONDS GOARM='' QEMU_CPU=''
	case $platform in
	arm64 | riscv64 | 386) export GOARCH=$platform ;;
	armv7) export GOARCH=arm GOARM=7 QEMU_CPU=cortex-a7 ;;
	armv6) export GOARCH=arm GOARM=6 QEMU_CPU=arm1176 ;;
	*)
		echo "demo-arm: $platform is not known: arm64, armv7, armv6, riscv64 or 386" >&2
		exit 1
		;;
	esac
	[[ -n $QEMU_CPU ]] || unset QEMU_CPU
	CGO_ENABLED=0 go build -modfile=bin/lean.mod -trimpath -ldflags '-s -w' -o "$dir/skerry" ./cmd/skerry
	out=$(timeout 300 "$dir/skerry" demo --for 5s --rate 50 -o json) || {
		echo "demo-arm: the demo failed on $platform (is qemu-user-static there? bash .ci/deps.sh arm)" >&2
		exit 1
	}
	echo "demo-arm: $platform, $((SECONDS - begun)) s: $out"
	# Each reading is an event of two functions; what goes up arrives, once. A slow machine that
	# interprets is not done with all of them when the demo ends.
	grep -qE '"events":[1-9][0-9]{2,}.*"failures":0,' <<<"$out" || { echo "demo-arm: $platform: too few events, or failures" >&2; exit 1; }
	number() { grep -oE "\"$1\":[0-9]+" <<<"$out" | cut -d: -f2; }
	least=$(number events)
	[[ $platform != arm64 ]] || least=$((2 * least))
	(($(number invocations) >= least)) || { echo "demo-arm: $platform: fewer than $least runs" >&2; exit 1; }
	(($(number followups_delivered) == $(number followups_emitted) && $(number followups_emitted) > 0)) ||
		{ echo "demo-arm: $platform: not all that was to go up did" >&2; exit 1; }
done
