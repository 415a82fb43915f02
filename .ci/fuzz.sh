#!/usr/bin/env bash
# Runs every fuzz target of the module for FUZZTIME each.
# usage: fuzz.sh [--list] [package…]     --list only names them
set -euo pipefail
cd "$(dirname "$0")/.."
fuzztime=${FUZZTIME:-10s}
list_only=
if [[ ${1:-} == --list ]]; then
	list_only=yes
	shift
fi

# A package that does not compile must not pass for one without targets.
targets=$(go list -f '{{if or .TestGoFiles .XTestGoFiles}}{{.ImportPath}}{{end}}' "${@:-./...}" |
	while read -r pkg; do
		list=$(go test -list '^Fuzz' "$pkg") || { echo "$list" >&2; exit 1; }
		{ grep '^Fuzz' <<<"$list" || true; } | sed "s|^|$pkg |"
	done)

# Go 1.26 may report its own deadline as a failure when -fuzztime ends
# (golang/go#75804, mended in 1.27). A real failure writes its input or says
# more than that one line; only this one is tried again, once.
fuzz() {
	go test -run '^$' -fuzz "^$2\$" -fuzztime "$fuzztime" -fuzzminimizetime 10x "$1" 2>&1 | tee "$log"
}
ended_late() {
	grep -qx '    context deadline exceeded' "$log" &&
		! grep -qE 'Failing input|panic|testing.go|_test.go:|terminated unexpectedly' "$log"
}
log=$(mktemp)
trap 'rm -f "$log"' EXIT

count=0
while read -r pkg target; do
	[[ -n $target ]] || continue
	count=$((count + 1))
	echo "fuzz $pkg $target"
	[[ -z $list_only ]] || continue
	fuzz "$pkg" "$target" && continue
	ended_late || exit 1
	echo "fuzz $pkg $target: once more, the fuzzer missed its own deadline"
	fuzz "$pkg" "$target" || ended_late || exit 1
done <<<"$targets"
echo "fuzz: $count targets"
