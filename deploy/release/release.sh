#!/usr/bin/env bash
# Builds the release binaries of the genie command: static, stripped, without
# cgo, with the version stamped, and a file of their SHA-256 sums.
#
#   deploy/release/release.sh --out DIR [--version V] [--verify] [OS/ARCH...]
#
# Without --version the commit has to carry a tag v…, and the tree has to be
# unchanged. Without targets all of them are built. --verify builds each once more,
# from a copy of the tree at another path and with an empty build cache, and fails
# if a byte differs: anybody with the same Go release makes the same binaries.
# CHANGELOG.md has to have a section for a version that is not a pre-release.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)

all=(linux/amd64 linux/arm64 darwin/amd64 darwin/arm64 windows/amd64)
version='' out='' verify='' targets=()

usage() {
    echo "usage: release.sh --out DIR [--version V] [--verify] [OS/ARCH...]; targets: ${all[*]}" >&2
    exit 2
}

while [ $# -gt 0 ]; do
    case $1 in
        --version) version=${2:?} && shift 2 || usage ;;
        --out) out=${2:?} && shift 2 || usage ;;
        --verify) verify=1 && shift ;;
        -*) usage ;;
        *)
            [[ " ${all[*]} " == *" $1 "* ]] || usage
            targets+=("$1")
            shift
            ;;
    esac
done
[ -n "$out" ] || usage
[ ${#targets[@]} -gt 0 ] || targets=("${all[@]}")

revision=$(git -C "$root" rev-parse HEAD 2>/dev/null || true)
if [ -z "$version" ]; then
    version=$(git -C "$root" describe --tags --exact-match --match 'v*' HEAD) ||
        { echo "release: the commit has no tag v…; give --version" >&2; exit 1; }
    [ -z "$(git -C "$root" status --porcelain)" ] ||
        { echo "release: the tree has changes that the tag does not have" >&2; exit 1; }
fi
[[ $version =~ ^v[0-9]+\.[0-9]+\.[0-9]+(-[0-9A-Za-z.-]+)?$ ]] ||
    { echo "release: $version is no version vMAJOR.MINOR.PATCH[-PRE]" >&2; exit 1; }
if [[ $version != *-* ]] && ! grep -q "^## \[${version#v}\]" "$root/CHANGELOG.md"; then
    echo "release: CHANGELOG.md has no section for ${version#v}" >&2
    exit 1
fi

# build TREE TARGET FILE: nothing of the environment but the Go release and the
# tree decides a byte.
build() {
    (
        cd "$1"
        env -u GOEXPERIMENT -u GOAMD64 -u GOARM64 GOFLAGS= GOWORK=off CGO_ENABLED=0 GOOS="${2%/*}" GOARCH="${2#*/}" \
            go build -trimpath -buildvcs=false -o "$3" \
            -ldflags "-s -w -buildid= -X main.stampedVersion=$version -X main.stampedRevision=$revision" \
            ./cmd/genie
    )
}

mkdir -p "$out"
out=$(cd "$out" && pwd)
names=()
for target in "${targets[@]}"; do
    name=genie-$version-${target/\//-}
    [[ $target != windows/* ]] || name+=.exe
    build "$root" "$target" "$out/$name"
    echo "release: $name, $(($(wc -c <"$out/$name") / 1000000)) MB"
    names+=("$name")
done
(cd "$out" && sha256sum "${names[@]}" >SHA256SUMS)

if [ -n "$verify" ]; then
    again=$(mktemp -d)
    trap 'rm -rf "$again"' EXIT
    mkdir "$again/tree" "$again/out"
    (cd "$root" && tar -cf - --exclude=.git --exclude=./bin --exclude=./models .) | tar -xf - -C "$again/tree"
    for i in "${!targets[@]}"; do
        GOCACHE="$again/cache" build "$again/tree" "${targets[i]}" "$again/out/${names[i]}"
    done
    (cd "$again/out" && sha256sum --quiet -c "$out/SHA256SUMS") ||
        { echo "release: a second build differs from the first" >&2; exit 1; }
    echo "release: a second build from another folder has the same bytes"
fi
cat "$out/SHA256SUMS"
