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

count=0
while read -r pkg target; do
	[[ -n $target ]] || continue
	count=$((count + 1))
	echo "fuzz $pkg $target"
	[[ -n $list_only ]] || go test -run '^$' -fuzz "^$target\$" -fuzztime "$fuzztime" -fuzzminimizetime 10x "$pkg"
done <<<"$targets"
echo "fuzz: $count targets"
