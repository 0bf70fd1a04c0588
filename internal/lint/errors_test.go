package lint

import (
	"go/ast"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// errorHomes lists where a user finds the errors of the packages that a program
// links: an error of a package that one of users links, directly or not, has an
// alias in one of homes.
var errorHomes = []struct {
	users, homes []string
}{
	{[]string{"genie"}, []string{"genie"}},
	{[]string{"workloads/..."}, []string{"genie", "workloads/..."}},
}

// unnamedErrors need no alias, each for a reason.
var unnamedErrors = map[string]string{
	"semantic.ErrCalibration":              "of calibrations, which callers of package semantic alone make",
	"transport/internal/remote.FinalError": "a mark between the packages of the client, which unwraps to the cause",
	"transport/wire.ErrInterrupted":        "a mark between a connection and the client, which goes on",
	"internal/op.ErrHalted":                "the engine gives the context's error in its place",
	"internal/device.LostError":            "an ErrDevice; its words say what happened",
	"internal/device.PanicError":           "an ErrInternal; its stack is for the log",
	"internal/memory.ErrFault":             "an ErrCorrupt of the weight whose file it is",
	"internal/checkpoint.Error":            "it wraps a sentinel that has a name; what it knows is in its text",
	"internal/safetensors.Error":           "it wraps a sentinel that has a name; what it knows is in its text",
	"internal/safetensors.ErrUnsupported":  "of the writer, which this module calls",
	"internal/models.ErrName":              "of a worker's folder of models, which no workload opens",
}

// TestErrorsHaveNames checks that every sentinel and every error type that a
// user may meet can be named outside this module, from one package.
func TestErrorsHaveNames(t *testing.T) {
	defined, alias := errorNames(t)
	require.Greater(t, len(defined), 20, "packages with errors")
	homes := map[string][]string{} // by definition: the packages with an alias of it
	for from, to := range alias {
		for alias[to] != "" {
			to = alias[to]
		}
		homes[to] = append(homes[to], path.Dir(from))
	}
	used := map[string]bool{}
	for _, h := range errorHomes {
		inside := func(pkg string, list []string) bool {
			return slices.ContainsFunc(list, func(p string) bool { return matches(p, pkg) })
		}
		for _, p := range ours(t) {
			if !inside(p.name(), h.users) {
				continue
			}
			for _, dep := range p.Deps {
				pkg, ok := below(dep)
				if !ok || inside(pkg, h.homes) {
					continue
				}
				for _, name := range defined[pkg] {
					id := pkg + "/" + name
					if slices.ContainsFunc(homes[id], func(home string) bool { return inside(home, h.homes) }) {
						continue
					}
					if used[pkg+"."+name] = true; unnamedErrors[pkg+"."+name] == "" {
						t.Errorf("%s.%s, which %s links, has no name in %v", pkg, name, p.name(), h.homes)
					}
				}
			}
		}
	}
	for name := range unnamedErrors {
		if !used[name] {
			t.Errorf("%s is excused for nothing", name)
		}
	}
}

// errorNames lists the sentinels (ErrX) and types (XError) that each package
// defines, and the aliases of other packages' errors: package/name by
// package/name.
func errorNames(t *testing.T) (defined map[string][]string, alias map[string]string) {
	t.Helper()
	defined, alias = map[string][]string{}, map[string]string{}
	for _, s := range files(t) {
		if s.test() || s.generated() {
			continue
		}
		imports := map[string]string{}
		for _, i := range s.file.Imports {
			to, err := strconv.Unquote(i.Path.Value)
			require.NoError(t, err)
			name := path.Base(to)
			if i.Name != nil {
				name = i.Name.Name
			}
			imports[name] = to
		}
		note := func(name string, is ast.Expr) {
			if sel, ok := is.(*ast.SelectorExpr); ok {
				if x, ok := sel.X.(*ast.Ident); ok {
					if to, ours := below(imports[x.Name]); ours {
						alias[s.dir()+"/"+name] = to + "/" + sel.Sel.Name
						return
					}
				}
			}
			defined[s.dir()] = append(defined[s.dir()], name)
		}
		for _, d := range s.file.Decls {
			g, ok := d.(*ast.GenDecl)
			if !ok {
				continue
			}
			for _, spec := range g.Specs {
				switch spec := spec.(type) {
				case *ast.ValueSpec:
					for i, id := range spec.Names {
						if strings.HasPrefix(id.Name, "Err") && i < len(spec.Values) {
							note(id.Name, spec.Values[i])
						}
					}
				case *ast.TypeSpec:
					if name := spec.Name.Name; ast.IsExported(name) && strings.HasSuffix(name, "Error") {
						note(name, spec.Type)
					}
				}
			}
		}
	}
	return defined, alias
}
