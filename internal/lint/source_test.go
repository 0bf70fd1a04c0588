package lint

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

const maxLines = 400

// longFiles may be longer, each for a reason.
var longFiles = map[string]string{}

// bannedNames say nothing about the content of a file or a package.
var bannedNames = []string{"util", "utils", "common", "helper", "helpers", "misc", "types"}

// quiet are the packages that do not print, log only to a given logger, and
// keep no state of their own.
var quiet = []string{"genie/...", "lazy/...", "semantic/...", "transport/..."}

// source is one parsed Go file.
type source struct {
	path  string // slashes, relative to the root
	file  *ast.File
	lines int
}

func (s source) dir() string     { return filepath.ToSlash(filepath.Dir(s.path)) }
func (s source) test() bool      { return strings.HasSuffix(s.path, "_test.go") }
func (s source) generated() bool { return ast.IsGenerated(s.file) }

var fset = token.NewFileSet()

// sources parses every Go file of the module and of the modules inside it.
var sources = sync.OnceValues(func() ([]source, error) {
	var all []source
	err := walk(func(path string) error {
		if filepath.Ext(path) != ".go" {
			return nil
		}
		text, err := os.ReadFile(filepath.Join(root(), path))
		if err != nil {
			return err
		}
		f, err := parser.ParseFile(fset, path, text, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		all = append(all, source{path: path, file: f, lines: bytes.Count(text, []byte("\n"))})
		return nil
	})
	return all, err
})

// walk visits every file that could be tracked, by its path with slashes.
func walk(visit func(path string) error) error {
	return filepath.WalkDir(root(), func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root(), path)
		if err != nil {
			return err
		}
		name := d.Name()
		switch {
		case d.IsDir() && rel != "." && (name == ".git" || name == ".cache" || name == "venv" || name == "node_modules" || rel == "bin" || rel == "models"):
			return filepath.SkipDir
		case !d.Type().IsRegular():
			return nil
		}
		return visit(filepath.ToSlash(rel))
	})
}

func files(t *testing.T) []source {
	t.Helper()
	all, err := sources()
	require.NoError(t, err)
	require.NotEmpty(t, all)
	return all
}

func TestFileSize(t *testing.T) {
	for _, s := range files(t) {
		_, excused := longFiles[s.path]
		switch {
		case s.generated():
		case s.lines > maxLines && !excused:
			t.Errorf("%s has %d lines, %d are allowed: split it by concept", s.path, s.lines, maxLines)
		case s.lines <= maxLines && excused:
			t.Errorf("%s is short enough: take it off the list of exceptions", s.path)
		}
	}
}

func TestNames(t *testing.T) {
	for _, s := range files(t) {
		base := strings.TrimSuffix(strings.TrimSuffix(filepath.Base(s.path), ".go"), "_test")
		if slices.Contains(bannedNames, base) {
			t.Errorf("%s: the name says nothing", s.path)
		}
		if slices.Contains(bannedNames, strings.TrimSuffix(s.file.Name.Name, "_test")) {
			t.Errorf("%s: package name %s says nothing", s.path, s.file.Name.Name)
		}
	}
}

func TestPackageComments(t *testing.T) {
	type pkg struct{ documented, handwritten bool }
	all := map[string]pkg{}
	for _, s := range files(t) {
		if s.test() {
			continue
		}
		p := all[s.dir()]
		p.handwritten = p.handwritten || !s.generated()
		if s.file.Doc != nil {
			want := "Package " + s.file.Name.Name + " "
			if s.file.Name.Name == "main" {
				want = "Command "
			}
			p.documented = true
			if text := s.file.Doc.Text(); !strings.HasPrefix(text, want) {
				t.Errorf("%s: package comment begins %.30q, want %q", s.path, text, want)
			}
		}
		all[s.dir()] = p
	}
	for dir, p := range all {
		if p.handwritten && !p.documented {
			t.Errorf("%s: no package comment", dir)
		}
	}
}

func TestQuiet(t *testing.T) {
	banned := map[string]*regexp.Regexp{
		"fmt":      regexp.MustCompile(`^Print`),
		"log":      regexp.MustCompile(``),
		"log/slog": regexp.MustCompile(`^(Set)?Default$|^(Debug|Info|Warn|Error|Log)(Context|Attrs)?$`),
		"os":       regexp.MustCompile(`^Std(out|err)$`),
	}
	for _, s := range library(t) {
		imported := map[string]*regexp.Regexp{}
		for _, i := range s.file.Imports {
			path, err := strconv.Unquote(i.Path.Value)
			require.NoError(t, err)
			if re := banned[path]; re != nil {
				name := path[strings.LastIndexByte(path, '/')+1:]
				if i.Name != nil {
					name = i.Name.Name
				}
				imported[name] = re
			}
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.SelectorExpr:
				if x, ok := n.X.(*ast.Ident); ok && imported[x.Name] != nil && imported[x.Name].MatchString(n.Sel.Name) {
					t.Errorf("%s: %s.%s in a library", fset.Position(n.Pos()), x.Name, n.Sel.Name)
				}
			case *ast.CallExpr:
				if x, ok := n.Fun.(*ast.Ident); ok && (x.Name == "print" || x.Name == "println") {
					t.Errorf("%s: %s in a library", fset.Position(n.Pos()), x.Name)
				}
			}
			return true
		})
	}
}

// library is the handwritten, non-test code of the quiet packages.
func library(t *testing.T) []source {
	t.Helper()
	return slices.DeleteFunc(slices.Clone(files(t)), func(s source) bool {
		in := slices.ContainsFunc(quiet, func(q string) bool { return matches(q, s.dir()) })
		return !in || s.test() || s.generated()
	})
}

// TestPaths keeps paths of individual machines out of the tree.
func TestPaths(t *testing.T) {
	home := regexp.MustCompile(`(^|[\s"'=(:` + "`" + `])(/home/|/root/|/Users/|[A-Z]:\\Users\\)[A-Za-z.]`)
	require.NoError(t, walk(func(path string) error {
		info, err := os.Stat(filepath.Join(root(), path))
		if err != nil || info.Size() > 4<<20 {
			return err
		}
		text, err := os.ReadFile(filepath.Join(root(), path))
		if err != nil || bytes.IndexByte(text, 0) >= 0 {
			return err
		}
		if at := home.FindIndex(text); at != nil {
			t.Errorf("%s:%d: an absolute path of a home folder", path, 1+bytes.Count(text[:at[0]], []byte("\n")))
		}
		return nil
	}))
}
