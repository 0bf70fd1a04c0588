package main

import (
	"errors"
	"os"

	"github.com/spf13/pflag"

	"github.com/genie-sdk/go/transport"
)

// hashesEnv is the environment variable for the default of --hashes.
const hashesEnv = "GENIE_HASHES"

// hashesFlag adds --hashes.
func hashesFlag(f *pflag.FlagSet, to *string) {
	f.StringVar(to, "hashes", os.Getenv(hashesEnv),
		"where to store weight hashes, so that a model is hashed once: a folder, cache (the user's cache folder, the default), model (beside the model) or off; also "+hashesEnv)
}

// hashedAnew runs run, and once more if stored hashes of the model were found
// to be wrong and have been dropped. Weights go to an executor before anything
// is printed.
func hashedAnew(run func() error) error {
	err := run()
	if _, ok := errors.AsType[*transport.ContentError](err); ok {
		return run()
	}
	return err
}
