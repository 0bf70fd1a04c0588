// Package studies has the benchmarks beside the matrix of workloads and
// baselines: the engine and the reference systems on the same checkpoints, by type
// of weights and layer by layer; sequences and sessions at once; where the time of
// a workload goes, and what a decode step costs above its kernels. They are a
// package of their own, so that
//
//	go test -run '^$' -bench . ./baselines
//
// is the matrix and nothing else.
package studies
