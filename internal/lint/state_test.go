package lint

import (
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"maps"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestNoPackageState checks that package-level variables are constants in all
// but name: only their declaration sets them, and they have no type that exists
// to change.
func TestNoPackageState(t *testing.T) {
	packages := map[string][]*ast.File{}
	for _, s := range library(t) {
		packages[s.dir()] = append(packages[s.dir()], s.file)
	}
	for _, dir := range slices.Sorted(maps.Keys(packages)) {
		for _, pos := range stateful(dir, packages[dir]) {
			t.Errorf("%s: a package-level variable changes here", fset.Position(pos))
		}
	}
}

func TestStateful(t *testing.T) {
	tests := []struct {
		name, code string
		want       int
	}{
		{"table", `var t = map[string]int{"a": 1}; func f() int { return t["a"] }`, 0},
		{"error value", `var err = new(int); func f() *int { return err }`, 0},
		{"shadowed", `var t = 1; func f() { t := 2; t = 3; _ = t }`, 0},
		{"once", `import "sync"; var f = sync.OnceValue(func() int { return 1 })`, 0},
		{"assigned", `var t int; func f() { t = 1 }`, 1},
		{"counted", `var t int; func f() { t++ }`, 1},
		{"element", `var t = map[string]int{}; func f() { t["a"] = 1 }`, 1},
		{"field", `var t struct{ a []int }; func f() { t.a[0] = 1 }`, 1},
		{"through a pointer", `var t *int; func f() { *t = 1 }`, 1},
		{"address", `var t int; func f() *int { return &t }`, 1},
		{"deleted", `var t = map[string]int{}; func f() { delete(t, "a") }`, 1},
		{"ranged over", `var t int; func f() { for t = range 3 {} }`, 1},
		{"lock", `import "sync"; var mu sync.Mutex`, 1},
		{"pool", `import "sync"; var p = sync.Pool{}`, 1},
		{"pointer to a pool", `import "sync"; var p = &sync.Pool{}`, 1},
		{"counter", `import "sync/atomic"; var n atomic.Int64`, 1},
		{"channel", `var c = make(chan int)`, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f, err := parser.ParseFile(fset, tt.name, "package p; "+tt.code, parser.SkipObjectResolution)
			require.NoError(t, err)
			require.Len(t, stateful("p", []*ast.File{f}), tt.want)
		})
	}
}

// stateful finds changes of package-level variables. It resolves names without
// loading imports, so it knows types of other packages by name only.
func stateful(path string, fs []*ast.File) []token.Pos {
	s := stateFinder{info: types.Info{Uses: map[*ast.Ident]types.Object{}}}
	conf := types.Config{Error: func(error) {}, Importer: nameless{}}
	pkg, _ := conf.Check(path, fset, fs, &s.info)
	s.scope = pkg.Scope()
	for _, f := range fs {
		for _, d := range f.Decls {
			if g, ok := d.(*ast.GenDecl); ok && g.Tok == token.VAR {
				s.declared(g)
			}
		}
		ast.Inspect(f, s.visit)
	}
	return s.found
}

type stateFinder struct {
	info  types.Info
	scope *types.Scope
	found []token.Pos
}

// declared finds variables of types that exist to change.
func (s *stateFinder) declared(g *ast.GenDecl) {
	for _, spec := range g.Specs {
		v := spec.(*ast.ValueSpec)
		for _, e := range append([]ast.Expr{v.Type}, v.Values...) {
			if e != nil && changes(e) {
				s.found = append(s.found, v.Pos())
				break
			}
		}
	}
}

// changes reports whether e, a type or an initial value, is a channel or has a
// type of packages sync and sync/atomic.
func changes(e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.UnaryExpr:
		return changes(e.X)
	case *ast.StarExpr:
		return changes(e.X)
	case *ast.CompositeLit:
		return e.Type != nil && changes(e.Type)
	case *ast.CallExpr:
		f, ok := e.Fun.(*ast.Ident)
		return ok && (f.Name == "make" || f.Name == "new") && changes(e.Args[0])
	case *ast.ChanType:
		return true
	case *ast.SelectorExpr:
		x, ok := e.X.(*ast.Ident)
		return ok && (x.Name == "sync" || x.Name == "atomic")
	}
	return false
}

func (s *stateFinder) visit(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.AssignStmt:
		if n.Tok != token.DEFINE {
			s.written(n.Lhs...)
		}
	case *ast.IncDecStmt:
		s.written(n.X)
	case *ast.RangeStmt:
		if n.Tok == token.ASSIGN {
			s.written(n.Key, n.Value)
		}
	case *ast.UnaryExpr:
		if n.Op == token.AND {
			s.written(n.X)
		}
	case *ast.CallExpr:
		f, ok := n.Fun.(*ast.Ident)
		if ok && len(n.Args) > 0 && slices.Contains([]string{"clear", "delete", "copy"}, f.Name) {
			s.written(n.Args[0])
		}
	}
	return true
}

func (s *stateFinder) written(targets ...ast.Expr) {
	for _, e := range targets {
		if id := base(e); id != nil && s.packageLevel(id) {
			s.found = append(s.found, id.Pos())
		}
	}
}

func (s *stateFinder) packageLevel(id *ast.Ident) bool {
	v, ok := s.info.Uses[id].(*types.Var)
	return ok && v.Parent() == s.scope
}

// base is the variable that contains an expression such as v.f[i].
func base(e ast.Expr) *ast.Ident {
	switch e := e.(type) {
	case *ast.Ident:
		return e
	case *ast.SelectorExpr:
		return base(e.X)
	case *ast.IndexExpr:
		return base(e.X)
	case *ast.SliceExpr:
		return base(e.X)
	case *ast.StarExpr:
		return base(e.X)
	case *ast.ParenExpr:
		return base(e.X)
	}
	return nil
}

// nameless is an importer of packages that have a name and no content.
type nameless struct{}

func (nameless) Import(path string) (*types.Package, error) {
	name := path
	for i := len(path) - 1; i >= 0; i-- {
		if path[i] == '/' {
			name = path[i+1:]
			break
		}
	}
	p := types.NewPackage(path, name)
	p.MarkComplete()
	return p, nil
}
