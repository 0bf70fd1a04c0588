// Package studies has the benchmarks beside the matrix of workloads and
// baselines: the engine and the reference systems on the same checkpoints, by
// type of weights and layer by layer; concurrent sequences and sessions; the
// time profile of a workload, and the overhead of a decode step above its
// kernels. They are in a separate package, so that
//
//	go test -run '^$' -bench . ./baselines
//
// is the matrix and nothing else.
package studies
