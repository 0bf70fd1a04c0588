package lint

import (
	"bytes"
	"encoding/json"
	"errors"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// lockGraph finds which locks are taken while others are held: in each
// function, in its callees, and in the implementations of this module's
// interfaces that it calls. It does not see calls of function values, and does
// not distinguish objects.
type lockGraph struct {
	fset   *token.FileSet
	names  map[*types.Var]string // of locks
	funcs  map[*types.Func]*lockUse
	ifaces map[*types.Func][]*types.Func // methods of interfaces, and what implements them
	named  []*types.Named
	all    map[*types.Func]map[string]bool // locks taken by a function and its callees
	bare   map[string]string               // by function: the fault of a critical section without a deferred Unlock; empty for none
}

// lockUse is a function's use of locks.
type lockUse struct {
	takes map[string]token.Pos // by itself
	calls map[*types.Func]bool
	held  []heldCall
}

// heldCall is a call, or the taking of a lock, while others are held.
type heldCall struct {
	held []string
	to   *types.Func
	lock string
	pos  token.Pos
}

// loaded is a package of the go command's list with its types.
type loaded struct {
	ImportPath, Export, Dir string
	GoFiles                 []string
}

func newLockGraph(t *testing.T) *lockGraph {
	t.Helper()
	cmd := exec.Command("go", "list", "-export", "-deps", "-json=ImportPath,Export,Dir,GoFiles", "./...")
	cmd.Dir = root()
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	require.NoError(t, err, stderr.String())
	exports, mine := map[string]string{}, []loaded{}
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p loaded
		err := d.Decode(&p)
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		exports[p.ImportPath] = p.Export
		if p.ImportPath == module || strings.HasPrefix(p.ImportPath, module+"/") {
			mine = append(mine, p)
		}
	}
	g := &lockGraph{fset: token.NewFileSet(), names: map[*types.Var]string{}, funcs: map[*types.Func]*lockUse{}, ifaces: map[*types.Func][]*types.Func{}, bare: map[string]string{}}
	known := map[string]*types.Package{}
	gc := importer.ForCompiler(g.fset, "gc", func(path string) (io.ReadCloser, error) { return os.Open(exports[path]) })
	im := importing(func(path string) (*types.Package, error) {
		if p := known[path]; p != nil {
			return p, nil
		}
		return gc.Import(path)
	})
	type checked struct {
		files []*ast.File
		info  *types.Info
	}
	var all []checked
	for _, p := range mine { // dependencies come first
		c := checked{info: &types.Info{
			Defs: map[*ast.Ident]types.Object{}, Uses: map[*ast.Ident]types.Object{}, Types: map[ast.Expr]types.TypeAndValue{},
		}}
		for _, name := range p.GoFiles {
			f, err := parser.ParseFile(g.fset, filepath.Join(p.Dir, name), nil, parser.SkipObjectResolution)
			require.NoError(t, err)
			c.files = append(c.files, f)
		}
		conf := types.Config{Importer: im}
		pkg, err := conf.Check(p.ImportPath, g.fset, c.files, c.info)
		require.NoError(t, err)
		known[p.ImportPath] = pkg
		all = append(all, c)
		g.declare(pkg, c.files, c.info)
	}
	for _, c := range all {
		for _, f := range c.files {
			g.uses(f, c.info)
		}
	}
	return g
}

type importing func(path string) (*types.Package, error)

func (f importing) Import(path string) (*types.Package, error) { return f(path) }

// isLock reports whether a type is a lock.
func isLock(t types.Type) bool {
	s := t.String()
	return s == "sync.Mutex" || s == "sync.RWMutex" || s == "*sync.Mutex" || s == "*sync.RWMutex"
}

// declare names the locks of a package, and lists its types.
func (g *lockGraph) declare(pkg *types.Package, files []*ast.File, info *types.Info) {
	name, _ := below(pkg.Path())
	for _, f := range files {
		for _, d := range f.Decls {
			if fd, ok := d.(*ast.FuncDecl); ok && fd.Body != nil {
				ast.Inspect(fd.Body, func(n ast.Node) bool {
					if id, ok := n.(*ast.Ident); ok {
						if v, ok := info.Defs[id].(*types.Var); ok && isLock(v.Type()) && g.names[v] == "" {
							g.names[v] = name + "." + fd.Name.Name + "." + v.Name()
						}
					}
					return true
				})
			}
		}
	}
	for _, id := range pkg.Scope().Names() {
		o := pkg.Scope().Lookup(id)
		if v, ok := o.(*types.Var); ok && isLock(v.Type()) {
			g.names[v] = name + "." + id
		}
		tn, ok := o.(*types.TypeName)
		if !ok {
			continue
		}
		n, ok := tn.Type().(*types.Named)
		if !ok {
			continue
		}
		g.named = append(g.named, n)
		if s, ok := n.Underlying().(*types.Struct); ok {
			for v := range s.Fields() {
				if isLock(v.Type()) {
					g.names[v] = name + "." + id + "." + v.Name()
				}
			}
		}
	}
}

// hasChan reports whether package.Type.field is a channel.
func (g *lockGraph) hasChan(name string) bool {
	for _, n := range g.named {
		pkg, _ := below(n.Obj().Pkg().Path())
		s, ok := n.Underlying().(*types.Struct)
		if !ok {
			continue
		}
		for v := range s.Fields() {
			if _, ok := v.Type().Underlying().(*types.Chan); ok && pkg+"."+n.Obj().Name()+"."+v.Name() == name {
				return true
			}
		}
	}
	return false
}
