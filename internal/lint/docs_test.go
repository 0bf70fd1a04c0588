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
	"unicode"

	"github.com/stretchr/testify/require"
)

// TestReadmeProgram checks that the README's program is the example of package
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

// TestReadmeGeneration checks that the README's lines that generate are those
// of the example of package gpt2, which is compiled and run.
func TestReadmeGeneration(t *testing.T) {
	readme, err := os.ReadFile(filepath.Join(root(), "README.md"))
	require.NoError(t, err)
	block := regexp.MustCompile("(?s)```go\n(model := .*?)```").FindSubmatch(readme)
	require.NotNil(t, block, "no lines that generate in README.md")
	tested, err := os.ReadFile(filepath.Join(root(), "workloads", "gpt2", "example_test.go"))
	require.NoError(t, err)
	lines := strings.ReplaceAll(body(t, tested, "Example"), "\n\t", "\n") // without the function's indent
	require.Contains(t, strings.ReplaceAll(lines, "../../", ""), string(block[1]))
}

// body is the text between the braces of a function, without the comment with
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

// heading is a heading of a document; fenced is a block of code, which has no
// headings.
var (
	heading = regexp.MustCompile(`(?m)^#+ +(.+)$`)
	fenced  = regexp.MustCompile("(?s)```.*?```")
)

// anchors are the link targets of a document's headings, as the repository's
// host generates them.
func anchors(text []byte) map[string]bool {
	out := map[string]bool{}
	for _, m := range heading.FindAllSubmatch(fenced.ReplaceAll(text, nil), -1) {
		words := regexp.MustCompile(`\[([^\]]*)\]\([^)]*\)`).ReplaceAllString(string(m[1]), "$1")
		name := strings.Map(func(r rune) rune {
			switch {
			case r == ' ':
				return '-'
			case r == '-', r == '_', unicode.IsLetter(r), unicode.IsDigit(r):
				return unicode.ToLower(r)
			}
			return -1
		}, strings.TrimSpace(words))
		out[name] = true
	}
	return out
}

// TestDocumentLinks checks that every relative link in a document has a target:
// a file, and a heading of it where the link names one.
func TestDocumentLinks(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)#\s]*)(#[^)\s]*)?\)`)
	toHeadings := 0
	require.NoError(t, walk(func(path string) error {
		if filepath.Ext(path) != ".md" {
			return nil
		}
		text, err := os.ReadFile(filepath.Join(root(), path))
		if err != nil {
			return err
		}
		for _, m := range link.FindAllSubmatchIndex(text, -1) {
			target, anchor := string(text[m[2]:m[3]]), ""
			if m[4] >= 0 {
				anchor = string(text[m[4]+1 : m[5]])
			}
			if strings.Contains(target, "://") {
				continue
			}
			at, there := bytes.Count(text[:m[0]], []byte("\n"))+1, filepath.Join(root(), path)
			if target != "" {
				there = filepath.Join(root(), filepath.Dir(path), target)
			}
			if _, err := os.Stat(there); err != nil {
				t.Errorf("%s:%d: no %s", path, at, target)
				continue
			}
			if anchor == "" || filepath.Ext(there) != ".md" {
				continue
			}
			page, err := os.ReadFile(there)
			if err != nil {
				return err
			}
			if toHeadings++; !anchors(page)[anchor] {
				t.Errorf("%s:%d: %s has no heading #%s", path, at, filepath.Base(there), anchor)
			}
		}
		return nil
	}))
	require.Greater(t, toHeadings, 30)
}
