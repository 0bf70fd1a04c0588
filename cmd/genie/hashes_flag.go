package main

import (
	"os"

	"github.com/spf13/pflag"
)

// hashesEnv says where hashes are stored, where no flag does.
const hashesEnv = "GENIE_HASHES"

// hashesFlag adds --hashes.
func hashesFlag(f *pflag.FlagSet, to *string) {
	f.StringVar(to, "hashes", os.Getenv(hashesEnv),
		"where hashes of weights are stored, so that a model is hashed once: a folder, cache (the user's cache folder, if it is not said), model (beside the model) or off; or "+hashesEnv)
}
