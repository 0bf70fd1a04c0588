#!/usr/bin/env bash
# Tests and measures the CUDA device on a machine with a GPU.
#
#   testdata/scripts/gpu.sh build [DIR]     here, without a GPU: programs into DIR
#   OUT=RESULTS testdata/scripts/gpu.sh run [DIR]
#   OUT=RESULTS testdata/scripts/gpu.sh dry-run [DIR]
#
# build needs Go, a C compiler and pip; DIR is bin/gpu unless given, and what it
# holds travels with the checkout to the machine with the GPU. run needs there
# bash, a driver of CUDA 12 or newer, python3 with PyTorch, and no network; nvcc
# and compute-sanitizer are used if they are there. It takes at most GPU_SECONDS
# (470), the most telling steps first; each step has a limit of its own, a step that
# fails does not stop the others, and what each finds is in OUT as it ends:
#
#   facts.txt       the machine, and what was built
#   suites.txt      devicetest and conformance on the device
#   goldens.txt     GPT-2 and BERT against transformers
#   genie.txt       Go benchmark format: Genie in-process and on a worker, probes
#   pytorch.txt     the same of PyTorch on the same GPU: eager, CUDA graphs, probes
#   bits.txt        alone, batched, prefill, step, local, remote
#   sanitizer.txt   compute-sanitizer on a short run
#   summary.txt     steps, and a table of targets and figures
#
# dry-run tests this script: it builds without CUDA and runs every step with tiny
# models on GPU_DRY_DEVICE (cpu, or emulator) in place of a GPU. Every file it
# writes says so. Its figures say nothing of a GPU.
set -uo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd -P)
here=$root/testdata/scripts/gpu
packages=internal/device/cuda/cudatest
# Ubuntu 22.04, Debian 12 and RHEL 9 have this C library or a newer one.
glibc=${GPU_GLIBC:-2.34}

usage() {
	sed -n '2,8s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2
	exit 2
}

# ---- build ----

# newest_glibc BINARY prints the C library that a program needs.
newest_glibc() {
	readelf -V "$1" | grep -oE 'GLIBC_2\.[0-9]+' | sort -Vu | tail -n 1 | sed 's/GLIBC_//'
}

# packed NAME checks a program and compresses it.
packed() {
	local needs others
	needs=$(newest_glibc "$1")
	if [ "$(printf '%s\n' "$needs" "$glibc" | sort -V | tail -n 1)" != "$glibc" ]; then
		echo "gpu.sh: $1 needs glibc $needs, newer than $glibc" >&2
		return 1
	fi
	others=$(readelf -d "$1" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' | tr '\n' ' ')
	echo "$(basename "$1"): $(stat -c %s "$1") bytes, needs glibc $needs, libraries $others"
	readelf -W --dyn-syms "$1" | grep -oE '[a-z_0-9]+@GLIBC_2\.3[0-9]' | sort -u | sed 's/^/  /'
	xz -6 -f -T 2 "$1"
}

build() {
	local dir=$1 tags=genie_cuda,genie_nogrpc,netgo,osusergo size
	mkdir -p "$dir" || return
	rm -f "$dir"/*
	cd "$root" || return
	{
		echo "commit: $(git rev-parse HEAD)$(git diff --quiet HEAD || echo ' with changes')"
		echo "go: $(go env GOVERSION)"
		for program in genie cudatest.test; do
			if [ "$program" = genie ]; then
				internal/device/cuda/toolchain.sh go build -trimpath -buildvcs=false -tags "$tags" -ldflags '-s -w' -o "$dir/genie" ./cmd/genie
			else
				internal/device/cuda/toolchain.sh go test -c -trimpath -tags "$tags" -ldflags '-s -w' -o "$dir/$program" "./$packages"
			fi || return
			packed "$dir/$program" || return
		done
	} | tee "$dir/build.txt"
	[ "${PIPESTATUS[0]}" -eq 0 ] || return
	size=$(git ls-files -z | xargs -0 stat -c %s 2>/dev/null | awk -v s="$(du -sb "$dir" | cut -f 1)" '{ s += $1 } END { print s }')
	echo "the checkout and $dir: $((size >> 20)) MiB"
	if [ "$size" -gt $((64 << 20)) ]; then
		echo "gpu.sh: that is more than 64 MiB" >&2
		return 1
	fi
}

# build_dry builds for a dry run: no CUDA, no GPU.
build_dry() {
	mkdir -p "$1" || return
	rm -f "$1"/*
	cd "$root" || return
	echo "commit: $(git rev-parse HEAD), a dry run without CUDA" >"$1/build.txt"
	go build -o "$1/genie" ./cmd/genie && go test -c -tags genie_cuda_suite -o "$1/cudatest.test" "./$packages" &&
		xz -0 -f "$1/genie" "$1/cudatest.test"
}

# ---- run ----

# say TEXT... writes a line of the summary, and to the terminal.
say() { printf '%s\n' "$*" | tee -a "$OUT/summary.txt"; }

left() { echo $((deadline - SECONDS)); }

# step NAME LIMIT FILE COMMAND... runs a step for at most LIMIT seconds and what is
# left of all, with its output at the end of FILE.
step() {
	local name=$1 limit=$2 file=$OUT/$3 begin=$SECONDS rc word
	shift 3
	if [ "$device" = emulator ]; then limit=$((4 * limit)); fi
	if [ "$limit" -gt "$(left)" ]; then limit=$(left); fi
	if [ "$limit" -lt 3 ]; then
		say "$(printf '%-26s not run: out of time' "$name")"
		return 1
	fi
	# A Go program that is told to quit prints where it is.
	timeout -s QUIT -k 5 "$limit" bash -c '"$@"' gpu.sh "$@" >>"$file" 2>&1
	rc=$?
	case $rc in
		0) word=ok ;;
		124 | 137) word="CUT after $limit s" ;;
		*) word="FAILED ($rc)" ;;
	esac
	say "$(printf '%-26s %-16s %4d s  %s' "$name" "$word" $((SECONDS - begin)) "$(basename "$file")")"
	return $rc
}

# head_of FILE writes what every file of results begins with.
head_of() {
	{
		echo "gpu: $gpu"
		echo "driver: ${driver:-none}"
		sed -n 's/^commit: /commit: /p' "$dir/build.txt"
		if [ -n "$dry" ]; then
			echo "dry-run: $device in place of a GPU, tiny models; no figure here is one of a GPU"
		fi
	} >>"$OUT/$1"
}

facts() {
	date -u
	cat "$dir/build.txt"
	uname -srm
	ldd --version 2>&1 | head -n 1
	nproc
	free -g 2>/dev/null | sed -n 2p
	grep -m 1 'model name' /proc/cpuinfo
	nvidia-smi 2>&1
	nvidia-smi -q -d CLOCK,MEMORY,POWER,PERFORMANCE 2>&1 | head -n 80
	"$nvcc" --version 2>&1 | tail -n 2
	"$python" -c 'import torch; print("torch", torch.__version__, "cuda", torch.version.cuda, "available", torch.cuda.is_available())' 2>&1
	"$bin/genie" version
	"$bin/genie" doctor
}

# weights makes the checkpoints with random weights from their seed.
weights() {
	local model
	for model in gpt2 gpt2-xl; do
		"$bin/genie" models new "$model" --out "$GENIE_MODELS/$model" &&
			"$bin/genie" models new "$model" --dtype bf16 --out "$GENIE_MODELS/$model-bf16" || return
	done
}

# start_worker starts a worker on the device and waits for its address.
start_worker() {
	"$bin/genie" worker --listen tcp://127.0.0.1:0 --device "$device" ${GENIE_MODELS:+--models "$GENIE_MODELS"} >"$work/worker.out" 2>"$work/worker.err" &
	worker=$!
	local _
	for _ in $(seq 600); do
		if GENIE_CUDA_WORKER=$(sed -n 's/^listening //p' "$work/worker.out" | head -n 1) && [ -n "$GENIE_CUDA_WORKER" ]; then
			export GENIE_CUDA_WORKER
			return 0
		fi
		kill -0 "$worker" 2>/dev/null || break
		sleep 0.1
	done
	say "the worker did not start: $(tail -n 1 "$work/worker.err")"
	stop_worker
	return 1
}

stop_worker() {
	if [ -n "${worker:-}" ]; then
		kill "$worker" 2>/dev/null
		wait "$worker" 2>/dev/null
	fi
	worker='' GENIE_CUDA_WORKER=''
	export GENIE_CUDA_WORKER
}

# tests FLAGS... runs the test binary where its test data is.
tests() { (cd "$root/$packages" && exec "$bin/cudatest.test" "$@"); }

# genie_at SCALE BENCHTIME LIMIT measures Genie at a scale.
genie_at() {
	export GENIE_SCALE=$1
	# The emulator is in the tests alone, which then start a worker themselves.
	[ "$device" = emulator ] || start_worker || return
	step "genie, $1" "$3" genie.txt tests -test.run '^$' -test.bench . -test.benchtime "$2" -test.timeout 0
	stop_worker
}

# pytorch_at SCALE NAME LIMIT measures PyTorch at a scale.
pytorch_at() {
	local dtype folder more=()
	for dtype in f32 bf16; do
		folder=${GENIE_MODELS:-$root/testdata/gpt2}/$2
		[ "$dtype" = f32 ] || folder=$folder-bf16
		if [ -n "$dry" ]; then
			folder=$root/testdata/gpt2/basic more=(--device cpu --prefills "64,96" --count 2)
			[ "$dtype" = f32 ] || folder=$root/testdata/gpt2/bf16 more+=(--unverified --new 20)
		fi
		step "pytorch, $1 $dtype" "$3" pytorch.txt "$python" "$here/torch_gpt2.py" --model "$folder" --name "$2" --scale "$1" \
			--dtype "$dtype" --goldens "$root/testdata/llm" ${4:+--forms "$4"} "${more[@]}"
	done
}

# sanitized TOOL runs a short test under compute-sanitizer.
sanitized() {
	cd "$root/$packages" && exec "$sanitize" --tool "$1" --error-exitcode 9 "$bin/cudatest.test" -test.run 'TestGPT2Goldens/basic' -test.v
}

clean() {
	stop_worker
	if [ -n "${making:-}" ]; then kill "$making" 2>/dev/null; fi
	rm -rf "$work"
}

# unpacked FILE prints a compressed file, where xz may not be there.
unpacked() {
	if command -v xz >/dev/null; then
		xz -dc "$1"
	else
		"$python" -c 'import lzma, shutil, sys; shutil.copyfileobj(lzma.open(sys.argv[1]), sys.stdout.buffer)' "$1"
	fi
}

# first COMMAND... prints the first of some commands that is there.
first() {
	local c
	for c in "$@"; do
		if command -v "$c"; then return; fi
	done
	echo "$1"
}

run() {
	local tool most
	dir=$(cd "$1" && pwd -P) || return
	if [ -z "${OUT:-}" ]; then
		echo "gpu.sh: OUT is not set: it names the folder for the results" >&2
		return 2
	fi
	mkdir -p "$OUT" && OUT=$(cd "$OUT" && pwd -P) || return
	most=${GPU_SECONDS:-470}
	deadline=$((SECONDS + most))
	work=$(mktemp -d "${TMPDIR:-/tmp}/gpu.XXXXXX") || return
	trap clean EXIT
	bin=$work/bin worker='' making=''
	python=$(first "${GPU_PYTHON:-python3}")
	nvcc=$(first nvcc /usr/local/cuda/bin/nvcc)
	sanitize=$(first compute-sanitizer /usr/local/cuda/bin/compute-sanitizer)
	mkdir -p "$bin" "$work/cache"
	# Not HOME, where PyTorch may be installed.
	export XDG_CACHE_HOME=$work/cache CUDA_CACHE_PATH=$work/cache/nv TORCHINDUCTOR_CACHE_DIR=$work/cache/inductor TRITON_CACHE_DIR=$work/cache/triton
	export OUT bin root packages dir python nvcc sanitize here
	export -f facts tests sanitized
	if [ -n "$dry" ]; then
		device=${GPU_DRY_DEVICE:-cpu} gpu="none: a dry run on $device" driver='' GENIE_MODELS=''
		scales=(tiny)
	else
		device=cuda:0 scales=(small full)
		gpu=$(nvidia-smi --query-gpu=name --format=csv,noheader 2>/dev/null | head -n 1)
		gpu=${gpu:-unknown}
		driver=$(nvidia-smi --query-gpu=driver_version --format=csv,noheader 2>/dev/null | head -n 1)
		export GENIE_MODELS=$work/models
	fi
	export GENIE_CUDA_DEVICE=$device GENIE_SCALE=tiny GENIE_CUDA_WORKER=''
	rm -f "$OUT"/{facts,suites,goldens,genie,pytorch,bits,sanitizer,summary}.txt
	for tool in facts suites goldens genie pytorch bits sanitizer summary; do head_of "$tool.txt"; done
	for tool in genie cudatest.test; do
		unpacked "$dir/$tool.xz" >"$bin/$tool" && chmod +x "$bin/$tool" || return
	done
	if [ -z "$dry" ]; then
		weights >"$work/weights.out" 2>&1 &
		making=$!
	fi
	step facts 25 facts.txt facts
	step devicetest 70 suites.txt tests -test.run 'TestTarget|TestDevice' -test.v -test.timeout 0
	step conformance 70 suites.txt tests -test.run 'TestConformance' -test.v -test.timeout 0
	step goldens 40 goldens.txt tests -test.run 'Goldens?$|TestBERTLikeCPU' -test.v -test.timeout 0
	if [ -n "$making" ]; then
		wait "$making" || say "the weights were not made: $(tail -n 1 "$work/weights.out")"
		making=''
	fi
	measure
	for tool in "${scales[@]}"; do
		GENIE_SCALE=$tool step "bits, $tool" 60 bits.txt tests -test.run 'TestBits|TestReferences' -test.v -test.timeout 0
	done
	if command -v "$sanitize" >/dev/null; then
		for tool in memcheck racecheck initcheck synccheck; do
			step "sanitizer $tool" 25 sanitizer.txt sanitized "$tool"
		done
	else
		say "$(printf '%-26s not run: there is no compute-sanitizer' sanitizer)"
	fi
	if [ -z "$dry" ]; then pytorch_at small gpt2 60 compile; fi
	say "all: $((SECONDS + most - deadline)) s"
	"$python" "$here/table.py" "$OUT" | tee -a "$OUT/summary.txt"
}

# measure runs Genie and PyTorch beside each other.
measure() {
	if [ -n "$dry" ]; then
		genie_at tiny 3x 60
		pytorch_at tiny gpt2-tiny 60
		step 'pytorch, probes' 60 pytorch.txt "$python" "$here/torch_probes.py" --models gpt2-tiny --rows 64,96 --device cpu --mib 64 --side 512
		return
	fi
	genie_at full 5x 100
	pytorch_at full gpt2-xl 35
	step 'pytorch, probes' 35 pytorch.txt "$python" "$here/torch_probes.py" --models gpt2,gpt2-xl
	genie_at small 10x 40
	pytorch_at small gpt2 25
}

command=${1:-} dir=${2:-$root/bin/gpu} dry=''
case $command in
	build) build "$dir" ;;
	run) run "$dir" ;;
	dry-run)
		dry=yes
		dir=${2:-$root/bin/gpu-dry}
		build_dry "$dir" && run "$dir"
		;;
	*) usage ;;
esac
