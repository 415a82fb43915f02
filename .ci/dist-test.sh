#!/usr/bin/env bash
# Makes the release for this machine's processor a second time, in another folder and later, and
# compares: archive, package and list of contents have to be the same, byte for byte.
# usage: dist-test.sh       after make dist; COLD=1 also with nothing built before
set -euo pipefail
cd "$(dirname "$0")/.."
arch=$(go env GOHOSTARCH)
version=$(sed -n "s/.*  skerry-\(.*\)-linux-$arch\.tar\.gz$/\1/p" bin/dist/SHA256SUMS)
[[ -n $version ]] || { echo "dist-test: bin/dist has no release for $arch: make dist" >&2; exit 1; }
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
export SOURCE_DATE_EPOCH

dir=$(mktemp -d)
trap 'chmod -R u+w "$dir"; rm -rf "$dir"' EXIT
mkdir "$dir/elsewhere"
git ls-files -co --exclude-standard -z | xargs -0 -r sh -c 'for f; do [ ! -e "$f" ] || printf "%s\0" "$f"; done' _ |
	tar -c --null -T - | tar -x -C "$dir/elsewhere"
[[ -z ${COLD:-} ]] || export GOCACHE=$dir/cache
cd "$dir/elsewhere"
make -s bin/lean.mod
TZ=Asia/Tokyo HOME=${HOME:-/} go run ./internal/dist -version "$version" -only "linux/$arch" ${MAINTAINER:+-maintainer "$MAINTAINER"}
cd - >/dev/null
for file in "$dir/elsewhere/bin/dist"/*; do
	name=${file##*/}
	[[ $name != SHA256SUMS ]] || continue
	cmp "$file" "bin/dist/$name" || { echo "dist-test: $name is another one when it is made elsewhere" >&2; exit 1; }
	echo "dist-test: the same from another folder: $name"
done
(cd bin/dist && sha256sum --quiet -c SHA256SUMS)
