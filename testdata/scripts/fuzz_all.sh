#!/usr/bin/env bash
# Runs every fuzz target of the module for a time each, and prints a table. What
# a target finds is written into its package's testdata/fuzz by go itself, as a
# test case that `go test` runs from then on.
#
#   testdata/scripts/fuzz_all.sh DURATION [PATTERN]
#   testdata/scripts/fuzz_all.sh 30m                  # every target
#   testdata/scripts/fuzz_all.sh 2m 'worker|FuzzPlan' # those whose package or name matches
#   FUZZ_JOBS=4 testdata/scripts/fuzz_all.sh 30m      # four targets at once
#
# FUZZ_JOBS is the number of targets that run at once (1), FUZZ_PARALLEL the
# number of processes of each (2), FUZZ_MINIMIZE how long an input that found
# something may be made shorter (1s; go's own default of a minute can be all
# that a run does), FUZZ_LOGS a folder for the output of each (a temporary one).
# The table is ordered as the targets are, however many run at once. Its CPU
# seconds are those of a target's processes, building it included.
set -u
cd "$(dirname "$0")/../.." || exit 1
duration=${1:?usage: fuzz_all.sh DURATION [PATTERN]}
pattern=${2:-.}
jobs=${FUZZ_JOBS:-1}
parallel=${FUZZ_PARALLEL:-2}
minimize=${FUZZ_MINIMIZE:-1s}
logs=${FUZZ_LOGS:-$(mktemp -d)}
mkdir -p "$logs"
if ! [[ $jobs =~ ^[1-9][0-9]*$ ]]; then
	echo "fuzz_all.sh: FUZZ_JOBS=$jobs is no number of targets" >&2
	exit 2
fi

targets() {
	grep -rl --include='*_test.go' '^func Fuzz' . | while read -r file; do
		sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\)(.*/\1/p' "$file" | sed "s|^|$(dirname "$file") |"
	done | sort | while read -r target; do
		[[ $target =~ $pattern ]] && echo "$target"
	done
}

format='%-28s %-26s %12s %9s %9s %16s  %s\n'

# run PACKAGE NAME LOG fuzzes one target and leaves its line of the table in
# LOG.row, after a word that says how it ended.
run() {
	local package=$1 name=$2 log=$3 status last execs new elapsed cpu result=ok word=ok TIMEFORMAT='%U %S'
	{ time go test -run '^$' -fuzz "^$name\$" -fuzztime "$duration" -fuzzminimizetime "$minimize" -parallel "$parallel" \
		-timeout 0 "$package" >"$log" 2>&1; } 2>"$log.cpu"
	status=$?
	cpu=$(awk '{ printf "%.1f", $1 + $2 }' "$log.cpu")
	# The last line of progress: fuzz: elapsed: 1m0s, execs: 12 (1/sec), new interesting: 3 (total: 9)
	last=$(grep -E '^fuzz: elapsed: .*execs: ' "$log" | tail -n 1)
	execs=$(sed -n 's/.*execs: \([0-9]*\).*/\1/p' <<<"$last")
	new=$(sed -n 's/.*new interesting: \(.*\)/\1/p' <<<"$last")
	elapsed=$(sed -n 's/^fuzz: elapsed: \([^,]*\),.*/\1/p' <<<"$last")
	if [ "$status" -ne 0 ]; then
		word=failed
		result=$(sed -n 's/.*Failing input written to \(.*\)/crasher \1/p' "$log" | head -n 1)
		result=${result:-failed, see $log}
	fi
	# shellcheck disable=SC2059
	{ echo "$word"; printf "$format" "${package#./}" "$name" "${execs:-0}" "${elapsed:-0s}" "$cpu" "${new:-0}" "$result"; } >"$log.row"
	echo "ended: ${package#./} $name: $result" >&2
}

mapfile -t all < <(targets)
rows=()
for target in "${all[@]}"; do
	read -r package name <<<"$target"
	log="$logs/$(echo "$package/$name" | tr -c 'A-Za-z0-9\n' _).log"
	rows+=("$log.row")
	rm -f "$log.row"
	while [ "$(jobs -rp | wc -l)" -ge "$jobs" ]; do
		wait -n
	done
	run "$package" "$name" "$log" &
done
wait

# shellcheck disable=SC2059
printf "$format" package target execs seconds 'CPU s' 'new interesting' result
failed=0
for row in "${rows[@]}"; do
	{ read -r word; cat; } <"$row"
	[ "$word" = ok ] || failed=1
done
exit "$failed"
