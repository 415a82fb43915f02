#!/usr/bin/env bash
# Runs the tests of functions as on ARM, emulated by qemu: 64-bit, where modules
# are compiled, and 32-bit (ARMv7, ARMv6), where they are interpreted. Nothing is
# said about speed: qemu takes ten times as long, and more.
# usage: test-arm.sh [arm64|7|6]…
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

# run architecture package emulator test-flag…
run() {
	local arch=$1 package=$2 emulator=$3
	shift 3
	echo "== $arch $package ($SECONDS s)"
	go test -c -o "$dir/test" "./$package"
	(cd "$package" && timeout -k 10 900 $emulator "$dir/test" -test.timeout 14m "$@")
}

# Left out: Go programs, which are too slow where they are interpreted twice; on
# 32 bits also what takes loading a function for starting it, which there comes
# with the first event.
skip='Neighbour|/go|GoPlugin|GoGuest'
few='Hostile|Remainders|Conformance|Warm|Fresh|Grown|Idle|Fuel|HostCalls|Verdicts|Init|LoadRefuses|AFunction'
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
	if [[ $arch == arm64 ]]; then
		run "$arch" wasm/instrument "$emulator"
		run "$arch" wasm "$emulator" -test.skip "$skip"
	else
		run "$arch" wasm "$emulator" -test.run "$few" -test.skip "$skip|TestConformance/.*/start"
	fi
done
echo "test-arm: all passed in $SECONDS s"
