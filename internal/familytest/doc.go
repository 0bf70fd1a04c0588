// Package familytest has what the tests of families of models share: the checkpoints
// that are in the tree, each with its family, and the rule that a loader uses what it
// says of a checkpoint and nothing else.
package familytest
