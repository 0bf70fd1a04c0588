// Package baselines compares configurations: every workload with every
// baseline, as standard Go benchmarks that benchstat reads.
//
//	GENIE_SCALE=small go test -run '^$' -bench . ./baselines
//
// A case verifies its output against the workload's reference before it is
// timed. Remote cases use a worker in a separate process. The worker's counters
// prove that it did the work and that this process did none. A case that cannot
// run reports the reason and is skipped; it never falls back to another
// configuration.
package baselines
