package lint

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/importer"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestExportedTypes checks that a user of a public package can name every type
// in its exported signatures, and that a version of a package is not bound to
// those of other modules: no type is from an internal package, and types of
// other modules occur only in the signatures of packages that exist for them.
func TestExportedTypes(t *testing.T) {
	for _, pkg := range publicPackages(t) {
		name, _ := below(pkg.Path())
		ours := exportedWalk{seen: map[types.Type]bool{}, bad: func(p *types.Package) bool { return internalPath(p.Path()) }}
		ours.pkg(pkg)
		for _, f := range ours.found {
			t.Errorf("%s.%s", name, f)
		}
		theirs := exportedWalk{seen: map[types.Type]bool{}, bad: func(p *types.Package) bool { return foreign(p.Path()) }}
		theirs.pkg(pkg)
		switch allowed := slices.Contains(foreignTypes, name); {
		case allowed && len(theirs.found) == 0:
			t.Errorf("%s names no type of another module: take it off the list", name)
		case !allowed:
			for _, f := range theirs.found {
				t.Errorf("%s.%s", name, f)
			}
		}
	}
}

// foreignTypes are the packages whose signatures name types of other modules.
var foreignTypes = []string{
	"genie/otelgenie",                                                    // OpenTelemetry's
	"lazy/gorgonia",                                                      // Gorgonia's
	"transport/rpc",                                                      // a gRPC handler, for tracers
	"transport/wire", "transport/wire/grpcwire", "transport/wire/wirepb", // protobuf messages, gRPC streams
}

// foreign reports whether a package belongs to another module.
func foreign(path string) bool {
	_, ours := below(path)
	first, _, _ := strings.Cut(path, "/")
	return !ours && strings.Contains(first, ".")
}

// publicPackages are the packages of this module that others can import,
// without commands, from the compiler's export data.
func publicPackages(t *testing.T) []*types.Package {
	t.Helper()
	cmd := exec.Command("go", "list", "-export", "-deps", "-json=ImportPath,Export,Name", "./...")
	cmd.Dir = root()
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	require.NoError(t, err, stderr.String())
	exports, public := map[string]string{}, []string{}
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p struct{ ImportPath, Export, Name string }
		err := d.Decode(&p)
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		exports[p.ImportPath] = p.Export
		if _, ours := below(p.ImportPath); ours && p.Name != "main" && !internalPath(p.ImportPath) {
			public = append(public, p.ImportPath)
		}
	}
	im := importer.ForCompiler(token.NewFileSet(), "gc", func(path string) (io.ReadCloser, error) { return os.Open(exports[path]) })
	all := make([]*types.Package, len(public))
	for i, path := range public {
		all[i], err = im.Import(path)
		require.NoError(t, err)
	}
	require.NotEmpty(t, all)
	return all
}

// internalPath reports whether only this module can import a package.
func internalPath(path string) bool {
	name, ours := below(path)
	return ours && slices.Contains(strings.Split(name, "/"), "internal")
}

// exportedWalk visits everything that a user of a package can reach: exported
// functions, values and types, the exported fields and methods of these,
// including promoted ones, and those of unexported types that an exported
// signature names.
type exportedWalk struct {
	bad   func(*types.Package) bool
	seen  map[types.Type]bool // declared types whose fields and methods have been walked
	found []string
}

func (w *exportedWalk) pkg(p *types.Package) {
	for _, name := range p.Scope().Names() {
		if o := p.Scope().Lookup(name); o.Exported() {
			if tn, ok := o.(*types.TypeName); ok && !tn.IsAlias() {
				w.declared(name, tn.Type())
				continue
			}
			w.typ(name, o.Type())
		}
	}
}

// declared walks the fields and methods of a defined type.
func (w *exportedWalk) declared(at string, t types.Type) {
	if w.seen[t] {
		return
	}
	w.seen[t] = true
	if n, ok := t.(*types.Named); ok {
		for p := range n.TypeParams().TypeParams() {
			w.typ(at+"["+p.Obj().Name()+"]", p.Constraint())
		}
	}
	w.typ(at, t.Underlying())
	w.methods(at, t)
}

// methods walks the exported methods of a type and of a pointer to it.
func (w *exportedWalk) methods(at string, t types.Type) {
	if types.IsInterface(t) {
		return
	}
	for m := range types.NewMethodSet(types.NewPointer(t)).Methods() {
		if m.Obj().Exported() {
			w.typ(at+"."+m.Obj().Name(), m.Obj().Type())
		}
	}
}

func (w *exportedWalk) typ(at string, t types.Type) {
	switch t := t.(type) {
	case *types.Alias:
		if w.named(at, t.Obj(), t.TypeArgs()) {
			return
		}
		w.typ(at, t.Rhs())
	case *types.Named:
		if !w.named(at, t.Obj(), t.TypeArgs()) && !t.Obj().Exported() && t.Obj().Pkg() != nil {
			w.declared(at+"("+t.Obj().Name()+")", t)
		}
	case *types.Struct:
		w.fields(at, t)
	case *types.Interface:
		for m := range t.Methods() {
			if m.Exported() {
				w.typ(at+"."+m.Name(), m.Type())
			}
		}
		for e := range t.EmbeddedTypes() {
			w.typ(at+" embeds", e)
		}
	case *types.Signature:
		for p := range t.TypeParams().TypeParams() {
			w.typ(at+"["+p.Obj().Name()+"]", p.Constraint())
		}
		for v := range t.Params().Variables() {
			w.typ(at, v.Type())
		}
		for v := range t.Results().Variables() {
			w.typ(at, v.Type())
		}
	case *types.Union:
		for term := range t.Terms() {
			w.typ(at, term.Type())
		}
	case *types.Map:
		w.typ(at, t.Key())
		w.typ(at, t.Elem())
	case interface{ Elem() types.Type }: // pointers, slices, arrays, channels
		w.typ(at, t.Elem())
	}
}

// named records a type that must not be named, and walks its arguments.
func (w *exportedWalk) named(at string, o *types.TypeName, args *types.TypeList) bool {
	for a := range args.Types() {
		w.typ(at, a)
	}
	if o.Pkg() == nil || !w.bad(o.Pkg()) {
		return false
	}
	w.found = append(w.found, fmt.Sprintf("%s names %s.%s", at, o.Pkg().Path(), o.Name()))
	return true
}

// fields walks exported fields, and those that an unexported embedded one
// promotes. Promoted methods are in the method set of the struct's type.
func (w *exportedWalk) fields(at string, s *types.Struct) {
	for f := range s.Fields() {
		if f.Exported() {
			w.typ(at+"."+f.Name(), f.Type())
			continue
		}
		if !f.Embedded() {
			continue
		}
		t := types.Unalias(f.Type())
		if p, ok := t.(*types.Pointer); ok {
			t = types.Unalias(p.Elem())
		}
		if inner, ok := t.Underlying().(*types.Struct); ok && !w.seen[t] {
			w.seen[t] = true
			w.fields(at, inner)
		}
	}
}
