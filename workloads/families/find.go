package families

import (
	"fmt"
	"path/filepath"
	"slices"

	"github.com/genie-sdk/go/internal/pyjson"
	"github.com/genie-sdk/go/workloads"
)

// maxConfig bounds a config.json.
const maxConfig = 16 << 20

// TypeOf is the model_type that the config.json of a checkpoint names, "" if it
// names none. The error is the system's, or wraps [workloads.ErrJSONSyntax] or
// [workloads.ErrJSONType].
func TypeOf(dir string) (string, error) {
	path := filepath.Join(dir, "config.json")
	config, err := pyjson.ReadFile(path, maxConfig)
	if err != nil {
		return "", err
	}
	name, r := "", config.Reader()
	if r.String("model_type", &name); r.Err() != nil {
		return "", fmt.Errorf("%s: %w", path, r.Err())
	}
	return name, nil
}

// Of is the family of a model_type, and false if there is none.
func Of(modelType string) (workloads.Family, bool) {
	all := All()
	i := slices.IndexFunc(all, func(f workloads.Family) bool {
		return modelType == f.Name || slices.Contains(f.Types, modelType) || modelType == "" && f.Untyped
	})
	if i < 0 {
		return workloads.Family{}, false
	}
	return all[i], true
}
