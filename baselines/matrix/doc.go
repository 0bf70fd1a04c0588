// Package matrix runs benchmark cases interleaved and records what they
// measured in the Go benchmark format.
//
// A group is the cases that are compared with each other: those of a workload
// and a link. Its cases run one after the other, once each, as many rounds as
// samples are wanted, and every round begins with another case: a machine that
// drifts (its clock, its neighbours, its caches) drifts under all of them.
// Groups follow each other.
//
// Every line is written when it is known, so that a run that was interrupted
// left a valid file, and [Resume] takes it up where it ended.
package matrix
