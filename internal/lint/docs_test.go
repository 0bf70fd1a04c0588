package lint

import (
	"bytes"
	"go/ast"
	"go/format"
	"go/parser"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestReadmeProgram holds that the README's program is the example of package
// genie, which is compiled and run.
func TestReadmeProgram(t *testing.T) {
	readme, err := os.ReadFile(filepath.Join(root(), "README.md"))
	require.NoError(t, err)
	block := regexp.MustCompile("(?s)```go\n(package main\n.*?)```").FindSubmatch(readme)
	require.NotNil(t, block, "no Go program in README.md")
	shown, err := format.Source(block[1])
	require.NoError(t, err)
	require.Equal(t, string(shown), string(block[1]), "the program in README.md is not formatted")

	tested, err := os.ReadFile(filepath.Join(root(), "genie", "example_test.go"))
	require.NoError(t, err)
	for in, as := range map[string]string{"Example": "main", "must": "must"} {
		require.Equal(t, body(t, tested, in), body(t, block[1], as), "%s in README.md", as)
	}
}

// body is the text between the braces of a function, but for the comment with
// an example's output.
func body(t *testing.T, text []byte, name string) string {
	t.Helper()
	f, err := parser.ParseFile(fset, name+".go", text, parser.SkipObjectResolution)
	require.NoError(t, err)
	for _, d := range f.Decls {
		if fn, ok := d.(*ast.FuncDecl); ok && fn.Name.Name == name {
			from, to := fset.Position(fn.Body.Lbrace).Offset, fset.Position(fn.Body.Rbrace).Offset
			b, _, _ := strings.Cut(string(text[from:to]), "\t// Output:")
			return b
		}
	}
	t.Fatalf("no function %s", name)
	return ""
}

// TestDocumentLinks holds that every relative link in a document leads somewhere.
func TestDocumentLinks(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)#\s]+)(#[^)\s]*)?\)`)
	require.NoError(t, walk(func(path string) error {
		if filepath.Ext(path) != ".md" {
			return nil
		}
		text, err := os.ReadFile(filepath.Join(root(), path))
		if err != nil {
			return err
		}
		for _, m := range link.FindAllSubmatchIndex(text, -1) {
			target := string(text[m[2]:m[3]])
			if strings.Contains(target, "://") {
				continue
			}
			if _, err := os.Stat(filepath.Join(root(), filepath.Dir(path), target)); err != nil {
				t.Errorf("%s:%d: no %s", path, 1+bytes.Count(text[:m[0]], []byte("\n")), target)
			}
		}
		return nil
	}))
}
