#!/usr/bin/env bash
# Builds the genie command with the CUDA device: stripped, for linux/amd64. It is no
# part of a release, since it is linked against the C library and libcuda.so.1.
#
#   deploy/release/cuda.sh --out DIR [--version V] [--glibc 2.N]
#
# Neither a GPU nor CUDA is needed here: internal/device/cuda/toolchain.sh brings the
# headers and a stub to link against. Where the program runs it needs a driver (of
# CUDA 12 on GPUs of compute capability 9.0, of 12.9 on others), and a C library at
# least as new as the script prints; --glibc fails if that is newer than what the
# target has. A program with a version, which others get, has no paths of this machine
# in it; one without is built in less time.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
version='' out='' glibc=''

usage() {
    echo "usage: cuda.sh --out DIR [--version V] [--glibc 2.N]" >&2
    exit 2
}

while [ $# -gt 0 ]; do
    case $1 in
        --version) version=${2:?} && shift 2 || usage ;;
        --out) out=${2:?} && shift 2 || usage ;;
        --glibc) glibc=${2:?} && shift 2 || usage ;;
        *) usage ;;
    esac
done
[ -n "$out" ] || usage
mkdir -p "$out"
binary=$(cd "$out" && pwd)/genie-cuda

cd "$root"
revision=$(git rev-parse HEAD 2>/dev/null || true)
GOFLAGS='' GOOS=linux GOARCH=amd64 internal/device/cuda/toolchain.sh \
    go build ${version:+-trimpath} -buildvcs=false -tags genie_cuda -o "$binary" \
    -ldflags "-s -w -X main.stampedVersion=$version -X main.stampedRevision=$revision" \
    ./cmd/genie

# What it is linked against: the driver, and nothing else of CUDA.
libraries=$(readelf -d "$binary" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p')
grep -qx 'libcuda\.so\.1' <<<"$libraries" || { echo "cuda: the program is not linked against libcuda.so.1" >&2; exit 1; }
others=$(grep -vxE 'libcuda\.so\.1|libc\.so\.6|libdl\.so\.2|libpthread\.so\.0|libresolv\.so\.2|ld-linux-x86-64\.so\.2' <<<"$libraries" || true)
[ -z "$others" ] || { echo "cuda: the program is linked against" $others >&2; exit 1; }
needs=$(readelf -V "$binary" | grep -oE 'GLIBC_2\.[0-9]+' | sort -Vu | tail -1)
needs=${needs#GLIBC_}
echo "cuda: genie-cuda, $(($(wc -c <"$binary") / 1000000)) MB, needs libcuda.so.1 and glibc $needs"
[ -z "$glibc" ] || [ "$(printf '%s\n' "$needs" "$glibc" | sort -V | tail -1)" = "$glibc" ] ||
    { echo "cuda: that is newer than glibc $glibc" >&2; exit 1; }
