package lint

import (
	"go/ast"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestNamedTests checks that the tests and benchmarks named in the documents
// exist.
func TestNamedTests(t *testing.T) {
	there := map[string]bool{}
	for _, s := range files(t) {
		if !s.test() {
			continue
		}
		for _, d := range s.file.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil {
				there[fn.Name.Name] = true
			}
		}
	}
	named := 0
	require.NoError(t, walk(func(path string) error {
		if filepath.Ext(path) != ".md" || path == "CHANGELOG.md" {
			return nil // a changelog describes the past
		}
		text, err := os.ReadFile(filepath.Join(root(), path))
		if err != nil {
			return err
		}
		for _, m := range regexp.MustCompile("`((?:Test|Fuzz|Benchmark)[A-Z][A-Za-z0-9_]*)`").FindAllStringSubmatch(string(text), -1) {
			if named++; !there[m[1]] {
				t.Errorf("%s names %s, which is no test", path, m[1])
			}
		}
		return nil
	}))
	require.Greater(t, named, 300)
}
