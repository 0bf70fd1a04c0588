package main

import (
	"errors"
	"os"

	"github.com/spf13/pflag"

	"github.com/genie-sdk/go/transport"
)

// hashesEnv says where hashes are stored, where no flag does.
const hashesEnv = "GENIE_HASHES"

// hashesFlag adds --hashes.
func hashesFlag(f *pflag.FlagSet, to *string) {
	f.StringVar(to, "hashes", os.Getenv(hashesEnv),
		"where to store weight hashes, so that a model is hashed once: a folder, cache (the user's cache folder, the default), model (beside the model) or off; also "+hashesEnv)
}

// hashedAnew runs what loads a model and uses it, once more where stored hashes
// of the model were found to be wrong: they have been dropped by then. Weights
// go to an executor before there is anything to print.
func hashedAnew(run func() error) error {
	err := run()
	if _, ok := errors.AsType[*transport.ContentError](err); ok {
		return run()
	}
	return err
}
