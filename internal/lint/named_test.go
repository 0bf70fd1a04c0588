package lint

import (
	"go/ast"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestNamedTests holds that the tests that the threat model names are there.
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
	text, err := os.ReadFile(filepath.Join(root(), "docs", "threat-model.md"))
	require.NoError(t, err)
	named := regexp.MustCompile("`((?:Test|Fuzz)[A-Za-z]+)`").FindAllStringSubmatch(string(text), -1)
	require.Greater(t, len(named), 30)
	for _, m := range named {
		if !there[m[1]] {
			t.Errorf("docs/threat-model.md names %s, which is no test", m[1])
		}
	}
}
