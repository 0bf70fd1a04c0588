//go:build race

package cluster_test

// raced says that the race detector is on.
const raced = true
