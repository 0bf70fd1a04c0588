// Package matrix runs benchmark cases interleaved and records their
// measurements in the Go benchmark format.
//
// A group is the cases that are compared with each other: those of a workload
// and a link. Its cases run sequentially, once each, in as many rounds as
// samples are wanted, and every round begins with another case: drift of the
// machine (its clock, its neighbours, its caches) affects all of them alike.
// Groups run one after another.
//
// Every line is written as soon as it is known, so that an interrupted run
// leaves a valid file, and [Resume] continues it.
package matrix
