package worker_test

import (
	"go/ast"
	"go/constant"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// between are the packages between two peers, or between clients of one worker.
// Each number in them is a limit, or is excused in excused. Elsewhere the names
// say which numbers are limits.
var between = []string{
	"genie", "internal/access", "internal/admission", "internal/budget", "internal/connlimit", "internal/shared", "internal/weightcache",
	"internal/worker", "internal/worker/admin", "transport", "transport/credentials", "transport/internal/remote",
	"transport/internal/secure", "transport/plan", "transport/rpc", "transport/tcp", "transport/wire", "transport/wire/grpcwire",
	"transport/wire/tlswire",
}

// apart are the folders whose limits do not concern peers: files that a process
// reads for itself, which are refused with the limit's value in the error; code
// that only measures, shapes links or tests; the command's, and the examples'.
var apart = []string{
	"baselines", "cmd", "examples", "internal/checkpoint", "internal/imaging", "internal/lint", "internal/safetensors", "internal/randomweights",
	"workloads/tokenizer", "lazy", "semantic", "tools", "transport/conformance", "transport/link", "workloads",
}

// limitName is the name of a limit, whatever its case.
var limitName = regexp.MustCompile(`(?i)^max|^most[A-Z]|^limit|timeout$|limit$|burst$|max$`)

// number is a constant, or a variable of a package whose value is one.
type number struct {
	expr ast.Expr
	file map[string]string // import name to folder, of where it is
	pkg  string
}

// module is all numbers of the module, by package and name: "wire.MaxControl".
type module struct {
	by    map[string]number
	where map[string]string // package to folder
	tests map[string]bool   // names of tests
}

// load parses the module.
func load(t *testing.T, root string) *module {
	t.Helper()
	m := &module{by: map[string]number{}, where: map[string]string{}, tests: map[string]bool{}}
	require.NoError(t, filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && p != root && (d.Name() == "testdata" || strings.HasPrefix(d.Name(), ".") || d.Name() == "attacks") {
			return filepath.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(p, ".go") || strings.HasSuffix(p, ".pb.go") {
			return nil
		}
		f, err := parser.ParseFile(token.NewFileSet(), p, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		if strings.HasSuffix(p, "_test.go") {
			m.named(f)
			return nil
		}
		folder, err := filepath.Rel(root, filepath.Dir(p))
		if err != nil {
			return err
		}
		m.add(filepath.ToSlash(folder), f)
		return nil
	}))
	return m
}

// named takes the names of a file's tests.
func (m *module) named(f *ast.File) {
	for _, d := range f.Decls {
		if fn, ok := d.(*ast.FuncDecl); ok && (strings.HasPrefix(fn.Name.Name, "Test") || strings.HasPrefix(fn.Name.Name, "Fuzz")) {
			m.tests[fn.Name.Name] = true
		}
	}
}

// add takes the constants of a file, those inside functions too, and the variables
// of its package whose names are limits'.
func (m *module) add(folder string, f *ast.File) {
	imports := map[string]string{}
	for _, i := range f.Imports {
		p, _ := strconv.Unquote(i.Path.Value)
		imports[path.Base(p)] = strings.TrimPrefix(p, "github.com/genie-sdk/go/")
	}
	if slices.ContainsFunc(apart, func(a string) bool { return folder == a || strings.HasPrefix(folder, a+"/") }) {
		return
	}
	pkg := path.Base(folder)
	take := func(g *ast.GenDecl, wanted func(name string) bool) {
		for _, s := range g.Specs {
			v, ok := s.(*ast.ValueSpec)
			if !ok || len(v.Values) != len(v.Names) {
				continue // of an enumeration
			}
			for i, n := range v.Names {
				if n.Name != "_" && wanted(n.Name) && !enumerates(v.Values[i]) {
					m.by[pkg+"."+n.Name], m.where[pkg] = number{v.Values[i], imports, pkg}, folder
				}
			}
		}
	}
	ast.Inspect(f, func(n ast.Node) bool {
		if g, ok := n.(*ast.GenDecl); ok && g.Tok == token.CONST {
			take(g, func(string) bool { return true })
		}
		return true
	})
	for _, d := range f.Decls {
		if g, ok := d.(*ast.GenDecl); ok && g.Tok == token.VAR {
			take(g, limitName.MatchString)
		}
	}
}

// enumerates reports whether an expression counts the lines of its block.
func enumerates(e ast.Expr) (is bool) {
	ast.Inspect(e, func(n ast.Node) bool {
		if id, ok := n.(*ast.Ident); ok && id.Name == "iota" {
			is = true
		}
		return true
	})
	return is
}

// units of the standard library that limits are written in.
var units = map[string]int64{"time.Nanosecond": 1, "time.Microsecond": 1e3, "time.Millisecond": 1e6, "time.Second": 1e9, "time.Minute": 60e9, "time.Hour": 3600e9}

// value is a constant's; ok is false for what is no number.
func (m *module) value(name string) (v constant.Value, ok bool) {
	n, found := m.by[name]
	if !found {
		if u, ok := units[name]; ok {
			return constant.MakeInt64(u), true
		}
		return nil, false
	}
	return m.eval(n, n.expr)
}

func (m *module) eval(n number, e ast.Expr) (constant.Value, bool) {
	switch e := e.(type) {
	case *ast.BasicLit:
		if e.Kind != token.INT && e.Kind != token.FLOAT {
			return nil, false
		}
		return constant.MakeFromLiteral(e.Value, e.Kind, 0), true
	case *ast.ParenExpr:
		return m.eval(n, e.X)
	case *ast.Ident:
		return m.value(n.pkg + "." + e.Name)
	case *ast.SelectorExpr:
		if x, ok := e.X.(*ast.Ident); ok {
			return m.value(path.Base(n.file[x.Name]) + "." + e.Sel.Name)
		}
	case *ast.CallExpr: // a conversion
		if len(e.Args) == 1 {
			return m.eval(n, e.Args[0])
		}
	case *ast.UnaryExpr:
		if x, ok := m.eval(n, e.X); ok {
			return constant.UnaryOp(e.Op, x, 0), true
		}
	case *ast.BinaryExpr:
		x, okX := m.eval(n, e.X)
		y, okY := m.eval(n, e.Y)
		if okX && okY {
			return operate(e.Op, x, y), true
		}
	}
	return nil, false
}

func operate(op token.Token, x, y constant.Value) constant.Value {
	if op == token.SHL || op == token.SHR {
		s, _ := constant.Uint64Val(y)
		return constant.Shift(x, op, uint(s))
	}
	if op == token.QUO && x.Kind() == constant.Int && y.Kind() == constant.Int {
		op = token.QUO_ASSIGN // of integers
	}
	return constant.BinaryOp(x, op, y)
}

// limits are the numbers that have to be on the page, or be excused.
func (m *module) limits() (names []string) {
	for name := range m.by {
		pkg, short, _ := strings.Cut(name, ".")
		folder := m.where[pkg]
		if _, ok := m.value(name); ok && (slices.Contains(between, folder) || limitName.MatchString(short)) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}
