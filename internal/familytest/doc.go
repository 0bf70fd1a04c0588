// Package familytest contains what the tests of model families share: the
// checkpoints in the tree, each with its family, and the rule that a loader
// uses exactly what it declares of a checkpoint.
package familytest
