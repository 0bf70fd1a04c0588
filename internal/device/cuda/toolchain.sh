#!/usr/bin/env bash
# Runs a command with what building and linking against CUDA needs, on a machine
# that has neither a GPU nor CUDA:
#
#   internal/device/cuda/toolchain.sh go build -tags genie_cuda ./cmd/genie
#
# Without a command it prints the folder. Headers, NVRTC and ptxas come from the
# wheels that toolchain.txt pins, by pip, once; they are kept in
# GENIE_CUDA_TOOLCHAIN, or in a folder of the user's cache. libcuda, which no wheel
# has, is a stub made of the names in cuda.h: each function of it returns
# CUDA_ERROR_STUB_LIBRARY. A program that is linked against it uses the driver's own
# library where it runs. The stub is not on LD_LIBRARY_PATH, where it would hide a
# driver; GENIE_CUDA_STUB is its folder.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
pins=$here/toolchain.txt

[ "$(uname -s)/$(uname -m)" = Linux/x86_64 ] || { echo "cuda: the pinned wheels are for Linux on x86_64" >&2; exit 1; }
key() { cat "$@" | sha256sum | cut -c 1-12; }
dir=${GENIE_CUDA_TOOLCHAIN:-${XDG_CACHE_HOME:-${HOME:?}/.cache}/genie/cuda-$(key "$pins")}

# unpack WHEEL DIR keeps of a wheel what is used, as include/, lib/ and bin/.
unpack() {
    python3 - "$@" <<'PY'
import os, re, sys, zipfile
wheel, out = sys.argv[1:]
keep = re.compile(r'nvidia/\w+/((?:include/.*|lib/lib(?:nvrtc|nvrtc-builtins)\.so\.[\d.]+|bin/ptxas))$')
with zipfile.ZipFile(wheel) as z:
    for info in z.infolist():
        m = keep.match(info.filename)
        if m is None or info.is_dir():
            continue
        path = os.path.join(out, m.group(1))
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, 'wb') as f:
            f.write(z.read(info))
        if m.group(1).startswith('bin/'):
            os.chmod(path, 0o755)
PY
}

# fetch fills dir, all of it or nothing.
fetch() (
    command -v python3 >/dev/null && python3 -m pip --version >/dev/null 2>&1 ||
        { echo "cuda: fetching the wheels needs python3 with pip" >&2; exit 1; }
    mkdir -p "$(dirname "$dir")"
    work=$(mktemp -d "$dir.XXXXXX")
    trap 'rm -rf "$work"' EXIT
    python3 -m pip download --quiet --no-deps --only-binary :all: --require-hashes -r "$pins" -d "$work/wheels" >&2 ||
        { echo "cuda: the wheels of $pins cannot be fetched" >&2; exit 1; }
    mkdir "$work/tree"
    for wheel in "$work"/wheels/*.whl; do unpack "$wheel" "$work/tree"; done
    ln -s libnvrtc.so.12 "$work/tree/lib/libnvrtc.so"
    # Whoever comes first wins; the others are the same.
    mv -T "$work/tree" "$dir" 2>/dev/null || [ -x "$dir/bin/ptxas" ]
)

# make_stub DIR writes a libcuda with every function that cuda.h declares, under the
# names that its macros give them.
make_stub() (
    command -v "${CC:-cc}" >/dev/null || { echo "cuda: there is no C compiler" >&2; exit 1; }
    work=$(mktemp -d "$1.XXXXXX")
    trap 'rm -rf "$work"' EXIT
    for per_thread in '' -DCUDA_API_PER_THREAD_DEFAULT_STREAM; do
        echo '#include <cuda.h>' | "${CC:-cc}" -E -P -I"$dir/include" $per_thread -
    done | tr '\n' ' ' | grep -oE 'CUresult +cu[A-Z][A-Za-z0-9_]* *\(' | grep -oE 'cu[A-Z][A-Za-z0-9_]*' | sort -u |
        sed 's/.*/int &(void) { return 34; } \/\/ CUDA_ERROR_STUB_LIBRARY/' >"$work/stub.c"
    [ "$(wc -l <"$work/stub.c")" -gt 400 ] || { echo "cuda: cuda.h declares too few functions" >&2; exit 1; }
    mkdir "$work/lib"
    "${CC:-cc}" -shared -fPIC -O1 -w -Wl,-soname,libcuda.so.1 -o "$work/lib/libcuda.so.1" "$work/stub.c"
    ln -s libcuda.so.1 "$work/lib/libcuda.so"
    mv -T "$work/lib" "$1" 2>/dev/null || [ -e "$1/libcuda.so" ]
)

[ -x "$dir/bin/ptxas" ] || fetch
stub=$dir/stub-$(key "${BASH_SOURCE[0]}")
[ -e "$stub/libcuda.so" ] || make_stub "$stub"
[ $# -gt 0 ] || { echo "$dir"; exit 0; }

export GENIE_CUDA_TOOLCHAIN=$dir GENIE_CUDA_STUB=$stub CGO_ENABLED=1
export CGO_CFLAGS="-O2 -g -I$dir/include ${CGO_CFLAGS:-}" CGO_LDFLAGS="-O2 -g -L$stub -L$dir/lib ${CGO_LDFLAGS:-}"
export LD_LIBRARY_PATH=$dir/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
exec "$@"
