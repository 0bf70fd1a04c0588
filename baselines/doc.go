// Package baselines compares configurations: every workload with every
// baseline, as standard Go benchmarks that benchstat reads.
//
//	GENIE_SCALE=small go test -run '^$' -bench . ./baselines
//
// A case first checks its output against the workload's reference and is timed
// only then. Remote cases use a worker in a process of its own, whose counters
// prove that it did the work while this process did none. A case that cannot
// run says why and is skipped; none falls back to another configuration.
package baselines
