// Package plan is the serialisable program that an executor runs: operators by
// name with their attributes as data, values with their shapes, buffers,
// carried state, and the place of each output.
//
// A plan has symbolic dimensions ([Dim]) that a run binds to sizes, so one plan
// serves every batch size, sequence length and cache length of a profile. It
// contains no code: an executor looks operators up in its own table and refuses
// unknown ones.
//
// The package imports nothing else from this module, so an executor can be
// written against it and package transport alone.
package plan
