#!/usr/bin/env bash
# avx512.sh [PACKAGE] [TEST FLAGS...] runs the tests of one package on an
# emulated processor that has AVX-512. See the README beside it.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
repo=$(cd "$here/../../.." && pwd -P)

model=${AVX512_CPU:-corei7_skylake_x}
limit=${AVX512_TIMEOUT:-3600}
memory=${AVX512_MEMORY:-1024}
debug=${AVX512_DEBUG:-quiet}

say() { printf 'avx512: %s\n' "$*" >&2; }
die() { say "$*"; exit 125; }

usage() {
    sed -n '2,3s/^# //p' "${BASH_SOURCE[0]}"
    exit "$1"
}

# first PATTERN... prints the first file that is there.
first() {
    local f
    for f in "$@"; do
        if [ -r "$f" ]; then
            printf '%s\n' "$f"
            return
        fi
    done
}

# newest PATTERN prints the file with the highest version.
newest() {
    { compgen -G "$1" || true; } | sort -V | tail -n 1
}

package=./internal/kernels
case ${1:-} in
    -h | --help) usage 0 ;;
    -* | '') ;;
    *)
        package=$1
        shift
        ;;
esac

# A test binary knows its flags by their long names.
flags=()
while [ $# -gt 0 ]; do
    case $1 in
        -args | --args)
            shift
            flags+=("$@")
            break
            ;;
        -test.* | --test.*) flags+=("$1") ;;
        --*) flags+=("-test.${1#--}") ;;
        -*) flags+=("-test.${1#-}") ;;
        *) flags+=("$1") ;;
    esac
    shift
done

# What has to be there: programs and files, and the packages that hold them.

missing=()
need() { # PACKAGE PROGRAM
    command -v "$2" >/dev/null || missing+=("$1")
}
command -v go >/dev/null || export PATH="$PATH:/usr/local/go/bin"
command -v go >/dev/null || die "Go is not in the PATH"
need bochs bochs
need xorriso xorriso
bios=$(first /usr/share/bochs/BIOS-bochs-latest)
vgabios=$(first /usr/share/vgabios/vgabios.bin /usr/share/bochs/VGABIOS-lgpl-latest*)
screen=$(first /usr/lib/*/bochs/plugins/libbx_term_gui.so)
isolinux=$(first /usr/lib/ISOLINUX/isolinux.bin)
ldlinux=$(first /usr/lib/syslinux/modules/bios/ldlinux.c32)
[ -n "$bios" ] || missing+=(bochsbios)
[ -n "$vgabios" ] || missing+=(vgabios)
[ -n "$screen" ] || missing+=(bochs-term)
[ -n "$isolinux" ] || missing+=(isolinux)
[ -n "$ldlinux" ] || missing+=(syslinux-common)
if [ "${#missing[@]}" -gt 0 ]; then
    say "missing Debian packages: ${missing[*]}"
    say "apt-get install --no-install-recommends ${missing[*]}"
    exit 125
fi
kernel=${AVX512_KERNEL:-}
[ -n "$kernel" ] || kernel=$(newest '/boot/vmlinuz-*-cloud-amd64')
[ -n "$kernel" ] || kernel=$(newest '/boot/vmlinuz-*-amd64')
if [ -z "$kernel" ]; then
    say "no Linux kernel in /boot. It need not be installed; a package file will do:"
    # shellcheck disable=SC2016
    say '  apt-get download "$(apt-cache depends linux-image-cloud-amd64 | sed -n "s/.*Depends: \(linux-image-\)/\1/p")"'
    say "  AVX512_KERNEL=./linux-image-... bash $0"
    exit 125
fi
[ -r "$kernel" ] || die "cannot read $kernel"
kernel=$(realpath "$kernel")

models=$(bochs --help cpu 2>&1 </dev/null || true)
grep -Fqx -- "$model" <<<"$models" || die "this bochs has no processor $model (see: bochs --help cpu)"

# Everything below happens in a temporary folder.

work=$(mktemp -d "${TMPDIR:-/tmp}/avx512.XXXXXXXX")
emulator=
viewer=
ran=
finish() {
    local status=$?
    trap - EXIT
    # Status 1 is for tests that failed.
    if [ "$status" = 1 ] && [ -z "$ran" ]; then status=125; fi
    if [ -n "$emulator" ]; then kill "$emulator" 2>/dev/null || true; fi
    if [ -n "$viewer" ]; then kill "$viewer" 2>/dev/null || true; fi
    wait 2>/dev/null || true
    if [ -n "${AVX512_KEEP:-}" ]; then say "kept $work"; else rm -rf -- "$work"; fi
    exit "$status"
}
trap finish EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

cd "$repo"
name=$(go list -f '{{.Dir}}' "$package")
[ "$(wc -l <<<"$name")" = 1 ] || die "$package is more than one package"
case $name/ in "$repo"/*) ;; *) die "$package is not in $repo" ;; esac
folder=${name#"$repo"}
folder=${folder#/}

root=$work/root
mkdir -p "$work/iso" "$root/src/$folder"
export CGO_ENABLED=0 GOOS=linux GOARCH=amd64
go build -ldflags='-s -w' -o "$root/init" "$here/guest/main.go"
go test -c -ldflags='-s -w' -o "$root/package.test" "$package"
[ -f "$root/package.test" ] || die "$package has no tests"

# The test finds its files at the places they have in the repository.
files=()
if [ -d "$name/testdata" ]; then files+=("${folder:+$folder/}testdata"); fi
read -r -a extra <<<"${AVX512_FILES:-}"
for f in ${files[@]+"${files[@]}"} ${extra[@]+"${extra[@]}"}; do
    mkdir -p "$root/src/$(dirname "$f")"
    cp -rL "$repo/$f" "$root/src/$(dirname "$f")/"
done

# Go's garbage collector has AVX-512 code of its own, for processors with GFNI
# too, under which the heap breaks in Bochs 2.7. Without BW it does not use it.
# That is for the runtime alone; the tested packages ask CPUID.
variables=(GOMAXPROCS=1 HOME=/tmp TMPDIR=/tmp PATH=/ "GODEBUG=cpu.avx512bw=off${GODEBUG:+,$GODEBUG}")
while IFS= read -r v; do variables+=("$v"); done < <(env | grep -E '^(GENIE_|GOTRACEBACK=)' || true)

printf '%s\0' "/src/$folder" "${variables[@]}" '' /package.test ${flags[@]+"${flags[@]}"} >"$root/job"
GOARCH=$(go env GOHOSTARCH) go run "$here/guest/main.go" pack "$root" "$work/iso/initrd"

case $kernel in
    *.deb)
        mkdir "$work/deb"
        dpkg-deb --fsys-tarfile "$kernel" | tar -x -C "$work/deb" --wildcards './boot/vmlinuz*'
        cp "$work"/deb/boot/vmlinuz* "$work/iso/vmlinuz"
        ;;
    *) cp "$kernel" "$work/iso/vmlinuz" ;;
esac
cp "$isolinux" "$work/iso/isolinux.bin"
cp "$ldlinux" "$work/iso/ldlinux.c32"

# What clearcpuid names is kept from the kernel: with XSAVES, XSAVEC or PKU,
# Bochs 2.7 describes the saved state otherwise than Linux expects, which then
# turns off all of AVX; with FSRM, Linux 6.1 does not boot. The emulator's clock
# is the number of instructions, whatever CPUID says of the frequency. The rest
# spares work that takes most of the time to boot.
ips=50000000
append=(
    initrd=initrd console=ttyS0,115200 "$debug" panic=-1
    clearcpuid=xsaves,xsavec,pku,fsrm "tsc_early_khz=$((ips / 1000))"
    nokaslr mitigations=off audit=0 apparmor=0 random.trust_cpu=on cryptomgr.notests
    initcall_blacklist=load_system_certificate_list,trace_eval_init,init_kprobe_trace,cubictcp_register
)
cat >"$work/iso/isolinux.cfg" <<END
default test
prompt 0
timeout 0
label test
  kernel vmlinuz
  append ${append[*]}
END
xorriso -as mkisofs -quiet -o "$work/boot.iso" -b isolinux.bin -c boot.cat \
    -no-emul-boot -boot-load-size 4 -boot-info-table "$work/iso" 2>"$work/xorriso.log" ||
    { cat "$work/xorriso.log" >&2; exit 125; }

cat >"$work/bochsrc" <<END
plugin_ctrl: serial=1, biosdev=1, unmapped=1, extfpuirq=1, speaker=0, parallel=0, gameport=0
config_interface: textconfig
display_library: term
cpu: model=$model, count=1, ips=$ips, reset_on_triple_fault=0
memory: guest=$memory, host=$memory
romimage: file="$bios"
vgaromimage: file="$vgabios"
ata0: enabled=1, ioaddr1=0x1f0, ioaddr2=0x3f0, irq=14
ata0-master: type=cdrom, path="boot.iso", status=inserted
boot: cdrom
clock: sync=none, time0=1700000000
com1: enabled=1, mode=file, dev="serial"
mouse: enabled=0
log: bochs.log
panic: action=fatal
error: action=ignore
info: action=report
debug: action=ignore
END

# A bochs with a debugger, such as Debian's, waits for a command.
options=(-q -f bochsrc)
if grep -q -e '-rc ' <<<"$(bochs --help 2>&1 </dev/null)"; then
    echo c >"$work/commands"
    options+=(-rc commands)
fi

# show prints what comes after the mark that guest/main.go makes.
show() { sed -u -e 's/\r$//' -e '1,/^@begin$/d' -e '/^@status /Q' -e '/^@/d'; }

say "booting: $package on $model"
began=$SECONDS
: >"$work/serial"
cd "$work"
TERM=vt100 timeout --foreground --signal=KILL --kill-after=2 "$limit" bochs "${options[@]}" </dev/null >screen 2>errors &
emulator=$!
tail -n +1 --pid="$emulator" -f serial 2>/dev/null | show &
viewer=$!
ended=0
wait "$emulator" || ended=$?
emulator=
wait "$viewer" || true
viewer=
took=$((SECONDS - began))

# mark NAME prints the last value that the guest reported.
mark() { tr -d '\r' <serial | sed -n "s/^@$1 //p" | tail -n 1; }

processor=$(mark cpu)
status=$(mark status)
say "processor: ${processor:-unknown}"
if [ -z "$status" ]; then
    if [ "$ended" = 124 ] || [ "$ended" = 137 ]; then
        say "stopped after $limit s (AVX512_TIMEOUT)"
        exit 124
    fi
    say "the machine stopped before the tests ended"
    tail -n 20 serial errors >&2
    grep -v 'CPU0.*|' bochs.log | tail -n 20 >&2 || true
    exit 125
fi
case " $processor " in
    *" avx512f "*) ;;
    *) die "the emulated processor shows no AVX-512" ;;
esac
say "status $status after $took s, booting included"
ran=1
exit "$status"
