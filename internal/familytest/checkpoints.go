package familytest

import (
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/workloads"
	"github.com/genie-sdk/go/workloads/families"
)

// Checkpoint is a model in the tree.
type Checkpoint struct {
	Name   string // its folder below the root, such as testdata/gpt2/basic
	Dir    string
	Family workloads.Family
}

// notModels are folders with a config.json that no family's loader reads.
var notModels = []string{
	"testdata/micro", // operators alone
}

// Checkpoints are all that a family loads: every folder with a config.json
// below testdata and below the folders of the families. It fails for one
// without a family, and for a family without any.
func Checkpoints(t *testing.T, root string) []Checkpoint {
	t.Helper()
	var list []Checkpoint
	found := map[string]bool{}
	for _, top := range []string{"testdata", "workloads"} {
		err := filepath.WalkDir(filepath.Join(root, top), func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			dir := filepath.Dir(path)
			name, err := filepath.Rel(root, dir)
			if err != nil {
				return err
			}
			name = filepath.ToSlash(name)
			excluded := slices.ContainsFunc(notModels, func(p string) bool { return strings.HasPrefix(name, p+"/") })
			if d.Name() != "config.json" || excluded || !strings.Contains(name, "testdata/") {
				return nil
			}
			kind, err := families.TypeOf(dir)
			if err != nil {
				return err
			}
			f, ok := families.Of(kind)
			require.True(t, ok, "%s is of model_type %q, which no family takes", name, kind)
			found[f.Name] = true
			list = append(list, Checkpoint{name, dir, f})
			return nil
		})
		require.NoError(t, err)
	}
	for _, f := range families.All() {
		require.True(t, found[f.Name], "%s has no checkpoint in the tree", f.Title)
	}
	return list
}
