// Package plan is the serialisable program that an executor runs: operators by
// name with their attributes as data, values with their shapes, buffers,
// carried state, and what happens to each output.
//
// A plan holds symbolic dimensions ([Dim]) that a run binds to sizes, so one
// plan serves every batch size, sequence length and cache length of a profile.
// It names no code: an executor looks operators up in its own table and refuses
// what it does not know.
//
// The package depends on nothing else in this module, so that an executor can
// be written against it and package transport alone.
package plan
