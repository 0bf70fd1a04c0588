#!/usr/bin/env bash
# Runs every fuzz target of the module for a time each, one after the other, and
# prints a table. What a target finds is written into its package's
# testdata/fuzz by go itself, as a test case that `go test` runs from then on.
#
#   testdata/scripts/fuzz_all.sh DURATION [PATTERN]
#   testdata/scripts/fuzz_all.sh 30m                  # every target
#   testdata/scripts/fuzz_all.sh 2m 'worker|FuzzPlan' # those whose package or name matches
#
# FUZZ_PARALLEL is the number of processes of a target (2), FUZZ_LOGS a folder
# for the output of each (a temporary one).
set -u
cd "$(dirname "$0")/../.." || exit 1
duration=${1:?usage: fuzz_all.sh DURATION [PATTERN]}
pattern=${2:-.}
parallel=${FUZZ_PARALLEL:-2}
logs=${FUZZ_LOGS:-$(mktemp -d)}
mkdir -p "$logs"

targets() {
	grep -rl --include='*_test.go' '^func Fuzz' . | while read -r file; do
		sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\)(.*/\1/p' "$file" | sed "s|^|$(dirname "$file") |"
	done | sort
}

format='%-28s %-26s %12s %9s %16s  %s\n'
# shellcheck disable=SC2059
printf "$format" package target execs seconds 'new interesting' result
failed=0
while read -r package name; do
	[[ "$package $name" =~ $pattern ]] || continue
	log="$logs/$(echo "$package/$name" | tr -c 'A-Za-z0-9\n' _).log"
	go test -run '^$' -fuzz "^$name\$" -fuzztime "$duration" -parallel "$parallel" -timeout 0 "$package" >"$log" 2>&1
	status=$?
	# The last line of progress: fuzz: elapsed: 1m0s, execs: 12 (1/sec), new interesting: 3 (total: 9)
	last=$(grep -E '^fuzz: elapsed: .*execs: ' "$log" | tail -n 1)
	execs=$(sed -n 's/.*execs: \([0-9]*\).*/\1/p' <<<"$last")
	new=$(sed -n 's/.*new interesting: \(.*\)/\1/p' <<<"$last")
	elapsed=$(sed -n 's/^fuzz: elapsed: \([^,]*\),.*/\1/p' <<<"$last")
	result=ok
	if [ "$status" -ne 0 ]; then
		failed=1
		result=$(sed -n 's/.*Failing input written to \(.*\)/crasher \1/p' "$log" | head -n 1)
		result=${result:-failed, see $log}
	fi
	# shellcheck disable=SC2059
	printf "$format" "${package#./}" "$name" "${execs:-0}" "${elapsed:-0s}" "${new:-0}" "$result"
done < <(targets)
exit "$failed"
