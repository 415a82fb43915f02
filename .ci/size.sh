#!/usr/bin/env bash
# Prints the size of the stripped linux/arm64 binary, and the memory of an agent
# on this machine that has started and has nothing to do.
set -euo pipefail
cd "$(dirname "$0")/.."
GO=${GO:-go} LDFLAGS=${LDFLAGS:--s -w}

dir=$(mktemp -d)
pid=
stop() {
	if [[ -n $pid ]]; then
		kill "$pid" 2>/dev/null || true
		wait "$pid" 2>/dev/null || true
	fi
	rm -rf "$dir"
}
trap stop EXIT

GO="$GO" bash .ci/lean.sh
build() { CGO_ENABLED=0 "$GO" build -modfile=bin/lean.mod -trimpath -ldflags "$LDFLAGS" -o "$1" ./cmd/skerry; }
GOOS=linux GOARCH=arm64 build "$dir/skerry-arm64"
awk -v n="$(stat -c %s "$dir/skerry-arm64")" 'BEGIN {printf "binary, linux/arm64, stripped: %d bytes (%.1f MB)\n", n, n / 1e6}'

build "$dir/skerry"
# The broker takes a free port of the system's; nobody connects.
cat > "$dir/skerry.yaml" <<YAML
device: {id: size}
data: $dir/data
broker: {listen: "127.0.0.1:0", anonymous: true}
YAML
SKERRY_PAGE_LISTEN=127.0.0.1:0 "$dir/skerry" run -c "$dir/skerry.yaml" >"$dir/log" 2>&1 &
pid=$!
for ((try = 0; ; try++)); do
	"$dir/skerry" status -c "$dir/skerry.yaml" >/dev/null 2>&1 && break
	if ! kill -0 "$pid" 2>/dev/null || ((try == 150)); then
		echo "size: the agent did not answer 'skerry status' within 30 s; it said:" >&2
		cat "$dir/log" >&2
		exit 1
	fi
	sleep 0.2
done
sleep 2 # what starting took is given back
awk '/^(VmRSS|RssAnon):/ {kb[$1] = $2}
	END {printf "idle, %s: RSS %.1f MB, of that anonymous (RssAnon) %.1f MB\n", arch, kb["VmRSS:"] * 1.024e-3, kb["RssAnon:"] * 1.024e-3}' \
	arch="$(uname -m)" "/proc/$pid/status"
