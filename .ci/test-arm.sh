#!/usr/bin/env bash
# Runs the tests of functions as on ARM, emulated by qemu: 64-bit, where modules
# are compiled, and 32-bit (ARMv7, ARMv6), where they are interpreted. Nothing is
# said about speed: qemu takes ten times as long, and more.
# usage: test-arm.sh [arm64|7|6]…
#        test-arm.sh short      a few of the agent, the store and functions, on arm64 and 7
set -euo pipefail
cd "$(dirname "$0")/.."

for program in qemu-aarch64-static qemu-arm-static; do
	command -v "$program" >/dev/null || {
		echo "test-arm: $program is missing: apt-get install qemu-user-static" >&2
		exit 1
	}
done

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
export CGO_ENABLED=0 TEST_SLOW=10

# run architecture package emulator test-flag…: prints what passed and its seconds.
run() {
	local arch=$1 package=$2 emulator=$3 begun=$SECONDS
	shift 3
	echo "== $arch $package"
	go test -c -o "$dir/test" "./$package"
	(cd "$package" && timeout -k 10 1200 $emulator "$dir/test" -test.v -test.timeout 19m "$@") >"$dir/log" 2>&1 || {
		grep -v '^ *=== \|^ *--- PASS' "$dir/log" >&2
		echo "test-arm: $package failed on $arch" >&2
		exit 1
	}
	grep '^--- PASS' "$dir/log" | sort -t'(' -k2 -rn | sed -n 1,5p # not head, which would end sort by a signal
	echo "$arch $package: $(grep -c '^ *--- PASS' "$dir/log") passed in $((SECONDS - begun)) s"
}

# Left out everywhere: what measures time; on 32 bits the seeds of FuzzLoad, which
# start for half a minute each; on ARMv6 JavaScript, whose engine ARMv7 has run.
none='Neighbour'
few='Hostile|CompileBombs|Remainders|Conformance|Alarms|Extism|Warm|Fresh|Grown|Idle|Instances|Fuel|HostCalls|Verdicts|Init|Load|Command|AFunction'
short=
if [[ ${1:-} == short ]]; then
	short=yes
	set -- arm64 7
fi
(($#)) || set -- arm64 7 6
for arch; do
	case $arch in
	arm64) export GOARCH=arm64 && emulator='qemu-aarch64-static' ;;
	7) export GOARCH=arm GOARM=7 && emulator='qemu-arm-static -cpu cortex-a7' ;;
	6) export GOARCH=arm GOARM=6 && emulator='qemu-arm-static -cpu arm1176' ;;
	*)
		echo "test-arm: $arch is not known: arm64, 7 or 6" >&2
		exit 1
		;;
	esac
	if [[ -n $short ]]; then
		run "$arch" agent "$emulator" -test.skip 'Many|Model|Against|Forget|Bounded|FieldIs|Fuzz|Kinds'
		run "$arch" internal/store "$emulator" -test.run 'Codec|Pin'
		run "$arch" wasm "$emulator" -test.run 'Remainders|Verdicts|Init|Fuel' -test.skip "$none|javascript"
		continue
	fi
	case $arch in
	arm64)
		run "$arch" wasm/instrument "$emulator"
		run "$arch" wasm "$emulator" -test.skip "$none"
		;;
	7) run "$arch" wasm "$emulator" -test.skip "$none|FuzzLoad" ;;
	6) run "$arch" wasm "$emulator" -test.run "$few" -test.skip "$none|javascript" ;;
	esac
done
echo "test-arm: all passed in $SECONDS s"
