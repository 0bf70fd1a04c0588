package lint

import (
	"go/ast"
	"go/parser"
	"go/types"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestExportedWalk checks that the walk sees each way in which a signature can
// name a type, and none that is unreachable. The package hidden stands in for
// an internal one; each piece of code lets a user reach its type or not.
func TestExportedWalk(t *testing.T) {
	check := func(t *testing.T, path, code string, im types.Importer) *types.Package {
		t.Helper()
		f, err := parser.ParseFile(fset, path+".go", code, parser.SkipObjectResolution)
		require.NoError(t, err)
		conf := types.Config{Importer: im}
		pkg, err := conf.Check(path, fset, []*ast.File{f}, nil)
		require.NoError(t, err)
		return pkg
	}
	hidden := check(t, "hidden", "package hidden; type Thing struct{ F Other }; type Other int; func (*Thing) M() Other { return 0 }", nil)
	for _, tt := range []struct {
		name, code string
		want       bool
	}{
		{"parameter", `func F(s hidden.Thing) {}`, true},
		{"result", `func F() (int, *hidden.Thing) { return 0, nil }`, true},
		{"function's function", `func F(f func([]hidden.Thing)) {}`, true},
		{"variadic", `func F(s ...hidden.Thing) {}`, true},
		{"variable", `var V map[string][]hidden.Thing`, true},
		{"channel", `var V chan [2]hidden.Thing`, true},
		{"field", `type T struct{ F *hidden.Thing }`, true},
		{"field of a field", `type T struct{ F struct{ G hidden.Thing } }`, true},
		{"embedded", `type T struct{ hidden.Thing }`, true},
		{"alias", `type T = hidden.Thing`, true},
		{"alias of an alias", `type inner = hidden.Thing; type T = inner`, true},
		{"defined on it", `type T hidden.Thing`, true},
		{"method", `type T struct{}; func (*T) M(hidden.Thing) {}`, true},
		{"interface", `type T interface{ M() hidden.Thing }`, true},
		{"embedded interface", `type inner interface{ M() hidden.Thing }; type T interface{ inner }`, true},
		{"constraint", `type T[P interface{ *hidden.Thing }] struct{ F P }`, true},
		{"constraint of a function", `func F[P interface{ ~int | *hidden.Thing }](p P) {}`, true},
		{"argument", `type G[P any] struct{ F P }; func F(g G[hidden.Thing]) {}`, true},
		{"unexported result", `type inner struct{ F hidden.Thing }; func F() *inner { return nil }`, true},
		{"method of an unexported result", `type inner struct{}; func (inner) M() *hidden.Thing { return nil }; var V inner`, true},
		{"promoted method", `type inner struct{}; func (inner) M(hidden.Thing) {}; type T struct{ inner }`, true},
		{"promoted field", `type inner struct{ F hidden.Thing }; type T struct{ *inner }`, true},
		{"unexported alias, embedded", `type inner = hidden.Thing; type T struct{ inner }`, true},

		{"nothing", `func F(s string) {}; type T struct{ F *T }`, false},
		{"unexported function", `func f(s hidden.Thing) {}`, false},
		{"unexported field", `type T struct{ f hidden.Thing }`, false},
		{"unexported method", `type T struct{}; func (T) m(hidden.Thing) {}`, false},
		{"unexported type", `type t struct{ F hidden.Thing }`, false},
		{"unexported method of an interface", `type T interface{ m(hidden.Thing) }`, false},
		{"body", `func F() { var s hidden.Thing; _ = s }`, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			pkg := check(t, "p", `package p; import "hidden"; var _ hidden.Thing; `+tt.code,
				importing(func(string) (*types.Package, error) { return hidden, nil }))
			w := exportedWalk{seen: map[types.Type]bool{}, bad: func(p *types.Package) bool { return p == hidden }}
			w.pkg(pkg)
			if tt.want {
				require.NotEmpty(t, w.found)
				return
			}
			require.Empty(t, w.found)
		})
	}
}
