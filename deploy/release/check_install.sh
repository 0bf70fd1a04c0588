#!/usr/bin/env bash
# Checks that other people can install the command and build on the SDK, as the
# working tree would be released: from a module proxy, with nothing of this
# checkout beside them.
#
#   deploy/release/check_install.sh
#
# The proxy is a folder with the module's zip; dependencies come from the
# module cache, so no network is needed once the module has been built. Checked:
# `go install …/cmd/genie@latest` and a demonstration of what it installed, and a
# consumer's build, which must not download a module that only the command needs.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
module=github.com/genie-sdk/go
version=v0.0.1

work=$(mktemp -d)
trap 'chmod -R u+w "$work"; rm -rf "$work"' EXIT
(cd "$root/tools" && go run ./modproxy -dir .. -version "$version" -out "$work/proxy")

cache=$(go env GOMODCACHE)
export GOPROXY="file://$work/proxy,file://$cache/cache/download" GOSUMDB=off GOWORK=off GOFLAGS=-trimpath CGO_ENABLED=0

mkdir "$work/elsewhere"
(cd "$work/elsewhere" && GOMODCACHE="$work/install" GOBIN="$work/bin" go install "$module/cmd/genie@latest")
"$work/bin/genie" version | tee "$work/said"
grep -q "^genie $version," "$work/said" || { echo "install: that is not $version" >&2; exit 1; }
(cd "$work/elsewhere" && "$work/bin/genie" demo >"$work/demo") || { cat "$work/demo"; exit 1; }
echo "install: go install $module/cmd/genie@latest works, and so does what it installs"

# What a consumer downloads.
cp -r "$root/testdata/consumer" "$work/consumer"
cd "$work/consumer"
export GOMODCACHE="$work/consume"
go mod edit -dropreplace "$module" -require "$module@$version"
GOFLAGS='-trimpath -mod=mod' go build -o "$work/bin/consumer" .
"$work/bin/consumer" -executor local:
(cd "$GOMODCACHE/cache/download" && find . -name '*.zip' | sed 's|^\./||; s|/@v/.*||' | sort) >"$work/downloaded"
echo "install: a consumer downloads $(wc -l <"$work/downloaded") modules"
only=$(grep -E '^(github.com/(spf13|prometheus|schollz|gofrs|gomlx)|go\.opentelemetry\.io|golang\.org/x/(perf|term|image)|go\.yaml\.in)/' "$work/downloaded" || true)
[ -z "$only" ] || { echo "install: a consumer downloads what only the command needs:" >&2; echo "$only" >&2; exit 1; }
