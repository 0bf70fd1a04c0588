package lint

import (
	"go/ast"
	"go/token"
	"go/types"
	"slices"
	"strings"
)

// uses records each function's use of locks in a file.
func (g *lockGraph) uses(f *ast.File, info *types.Info) {
	for _, d := range f.Decls {
		fd, ok := d.(*ast.FuncDecl)
		if !ok || fd.Body == nil {
			continue
		}
		fn, ok := info.Defs[fd.Name].(*types.Func)
		if !ok {
			continue
		}
		w := &lockWalk{g: g, info: info, name: funcName(fn), use: &lockUse{takes: map[string]token.Pos{}, calls: map[*types.Func]bool{}}}
		w.block(fd.Body.List, nil)
		g.funcs[fn] = w.use
	}
}

// lockWalk visits one function in the order of its statements.
type lockWalk struct {
	g    *lockGraph
	info *types.Info
	name string
	use  *lockUse
}

// funcName is a function as docs/locks.md names it: package.Type.Method.
func funcName(fn *types.Func) string {
	pkg, _ := below(fn.Pkg().Path())
	if recv := fn.Signature().Recv(); recv != nil {
		t := recv.Type()
		if p, ok := t.(*types.Pointer); ok {
			t = p.Elem()
		}
		if n, ok := t.(*types.Named); ok {
			return pkg + "." + n.Obj().Name() + "." + fn.Name()
		}
	}
	return pkg + "." + fn.Name()
}

// block walks statements with locks held, and returns those held after it.
func (w *lockWalk) block(list []ast.Stmt, held []string) []string {
	held = slices.Clone(held)
	for i, s := range list {
		if e, ok := s.(*ast.ExprStmt); ok {
			if lock, verb := w.lockCall(e.X); lock != "" && (verb == "Lock" || verb == "RLock") && !w.deferred(list[i+1:], lock) {
				if why := w.bare(list[i+1:], lock); w.g.bare[w.name] == "" {
					w.g.bare[w.name] = why
				}
			}
		}
		held = w.stmt(s, held)
	}
	return held
}

// deferred reports whether the statement after a Lock defers its Unlock.
func (w *lockWalk) deferred(next []ast.Stmt, lock string) bool {
	if len(next) == 0 {
		return false
	}
	d, ok := next[0].(*ast.DeferStmt)
	if !ok {
		return false
	}
	l, verb := w.lockCall(d.Call)
	return l == lock && (verb == "Unlock" || verb == "RUnlock")
}

// bare explains why a critical section could panic before its Unlock: it
// contains more than assignments, comparisons, maps and similar operations.
func (w *lockWalk) bare(next []ast.Stmt, lock string) (why string) {
	for _, s := range next {
		if e, ok := s.(*ast.ExprStmt); ok {
			if l, verb := w.lockCall(e.X); l == lock && (verb == "Unlock" || verb == "RUnlock") {
				return why
			}
		}
		ast.Inspect(s, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.CallExpr:
				l, _ := w.lockCall(n)
				_, builtin := w.info.Uses[identOf(n.Fun)].(*types.Builtin)
				if l != lock && !builtin && !w.info.Types[n.Fun].IsType() {
					why = "it calls " + types.ExprString(n.Fun)
				}
				return l != lock
			case *ast.IndexExpr:
				if _, ok := w.info.Types[n.X].Type.Underlying().(*types.Map); !ok {
					why = "it indexes " + types.ExprString(n.X)
				}
			case *ast.SliceExpr:
				why = "it slices " + types.ExprString(n.X)
			case *ast.TypeAssertExpr:
				why = "it asserts the type of " + types.ExprString(n.X)
			case *ast.SendStmt:
				why = "it sends on " + types.ExprString(n.Chan)
			case *ast.BinaryExpr:
				if n.Op == token.QUO || n.Op == token.REM {
					why = "it divides"
				}
			}
			return true
		})
	}
	return "no Unlock follows in its block"
}

func identOf(e ast.Expr) *ast.Ident {
	id, _ := ast.Unparen(e).(*ast.Ident)
	return id
}

func (w *lockWalk) stmt(s ast.Stmt, held []string) []string {
	switch s := s.(type) {
	case *ast.ExprStmt:
		if lock, verb := w.lockCall(s.X); lock != "" {
			switch verb {
			case "Lock", "RLock":
				w.note(held, nil, lock, s.Pos())
				w.use.takes[lock] = s.Pos()
				return append(slices.Clone(held), lock)
			case "Unlock", "RUnlock":
				return slices.DeleteFunc(slices.Clone(held), func(h string) bool { return h == lock })
			}
		}
		w.exprs(s.X, held)
	case *ast.DeferStmt:
		if lock, _ := w.lockCall(s.Call); lock == "" {
			w.exprs(s.Call, held)
		}
	case *ast.ReturnStmt: // a function that is returned runs later
		for _, e := range s.Results {
			if _, ok := e.(*ast.FuncLit); ok {
				w.exprs(e, nil)
			} else {
				w.exprs(e, held)
			}
		}
	case *ast.GoStmt: // on a separate goroutine, which holds nothing
		w.exprs(s.Call, nil)
	case *ast.BlockStmt:
		return w.block(s.List, held)
	case *ast.IfStmt:
		if s.Init != nil {
			held = w.stmt(s.Init, held)
		}
		w.exprs(s.Cond, held)
		w.block(s.Body.List, held)
		if s.Else != nil {
			w.stmt(s.Else, held)
		}
	case *ast.ForStmt:
		if s.Init != nil {
			held = w.stmt(s.Init, held)
		}
		w.exprs(s.Cond, held)
		w.block(s.Body.List, held)
	case *ast.RangeStmt:
		w.exprs(s.X, held)
		w.block(s.Body.List, held)
	case *ast.SwitchStmt:
		if s.Init != nil {
			held = w.stmt(s.Init, held)
		}
		w.exprs(s.Tag, held)
		w.clauses(s.Body, held)
	case *ast.TypeSwitchStmt:
		w.clauses(s.Body, held)
	case *ast.SelectStmt:
		w.clauses(s.Body, held)
	case *ast.LabeledStmt:
		return w.stmt(s.Stmt, held)
	default:
		w.exprs(s, held)
	}
	return held
}

func (w *lockWalk) clauses(b *ast.BlockStmt, held []string) {
	for _, c := range b.List {
		switch c := c.(type) {
		case *ast.CaseClause:
			for _, e := range c.List {
				w.exprs(e, held)
			}
			w.block(c.Body, held)
		case *ast.CommClause:
			if c.Comm != nil {
				w.stmt(c.Comm, held)
			}
			w.block(c.Body, held)
		}
	}
}

// later are functions whose argument runs on a separate goroutine, or when
// nothing is held any more.
var later = []string{"AfterFunc", "Go", "Cleanup", "OnceFunc", "OnceValue", "OnceValues", "WithContext"}

// exprs records the calls of an expression. A function literal counts as
// running in place, unless it is for later.
func (w *lockWalk) exprs(n ast.Node, held []string) {
	if n == nil {
		return
	}
	ast.Inspect(n, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncLit:
			w.block(n.Body.List, held)
			return false
		case *ast.CallExpr:
			fn := w.callee(n)
			if fn != nil {
				w.note(held, fn, "", n.Pos())
				if slices.Contains(later, fn.Name()) {
					for _, a := range n.Args {
						w.exprs(a, nil)
					}
					return false
				}
			}
		}
		return true
	})
}

// note records a call, or the taking of a lock, with others held.
func (w *lockWalk) note(held []string, fn *types.Func, lock string, pos token.Pos) {
	if fn != nil {
		w.use.calls[fn] = true
	}
	if len(held) > 0 {
		w.use.held = append(w.use.held, heldCall{slices.Clone(held), fn, lock, pos})
	}
}

// callee is the function of this module that a call calls; nil for another.
func (w *lockWalk) callee(c *ast.CallExpr) *types.Func {
	var id *ast.Ident
	switch f := ast.Unparen(c.Fun).(type) {
	case *ast.Ident:
		id = f
	case *ast.SelectorExpr:
		id = f.Sel
	default:
		return nil
	}
	fn, ok := w.info.Uses[id].(*types.Func)
	if !ok {
		return nil
	}
	return fn.Origin()
}

// lockCall is the lock and the method of a call such as x.mu.Lock().
func (w *lockWalk) lockCall(e ast.Expr) (lock, verb string) {
	c, ok := e.(*ast.CallExpr)
	if !ok {
		return "", ""
	}
	sel, ok := c.Fun.(*ast.SelectorExpr)
	if !ok || !slices.Contains([]string{"Lock", "Unlock", "RLock", "RUnlock"}, sel.Sel.Name) {
		return "", ""
	}
	var v *types.Var
	switch x := sel.X.(type) {
	case *ast.Ident:
		v, _ = w.info.Uses[x].(*types.Var)
	case *ast.SelectorExpr:
		v, _ = w.info.Uses[x.Sel].(*types.Var)
	}
	if v == nil {
		return "", ""
	}
	return w.g.names[v.Origin()], sel.Sel.Name
}

// implementers are the methods that a call of an interface's method may reach.
// For interfaces of other modules, such as io.Closer, there are none, since
// nearly everything would match.
func (g *lockGraph) implementers(fn *types.Func) []*types.Func {
	var out []*types.Func
	recv := fn.Signature().Recv()
	if iface, ok := ifaceOf(recv); ok && fn.Pkg() != nil && strings.HasPrefix(fn.Pkg().Path(), module) {
		for _, n := range g.named {
			p := types.NewPointer(n)
			if types.IsInterface(n) || n.TypeParams() != nil || !types.Implements(p, iface) {
				continue
			}
			if m, _, _ := types.LookupFieldOrMethod(p, true, fn.Pkg(), fn.Name()); m != nil {
				if f, ok := m.(*types.Func); ok {
					out = append(out, f.Origin())
				}
			}
		}
	}
	return out
}

func ifaceOf(recv *types.Var) (*types.Interface, bool) {
	if recv == nil {
		return nil, false
	}
	i, ok := recv.Type().Underlying().(*types.Interface)
	return i, ok
}

// settle computes for each function the locks that it and its callees take.
func (g *lockGraph) settle() {
	for _, u := range g.funcs { // methods of interfaces call what implements them
		for c := range u.calls {
			if g.funcs[c] == nil && g.ifaces[c] == nil {
				g.ifaces[c] = g.implementers(c)
			}
		}
	}
	g.all = map[*types.Func]map[string]bool{}
	add := func(fn *types.Func, locks map[string]bool) (more bool) {
		if g.all[fn] == nil {
			g.all[fn] = map[string]bool{}
		}
		for l := range locks {
			more = more || !g.all[fn][l]
			g.all[fn][l] = true
		}
		return more
	}
	for fn, u := range g.funcs {
		own := map[string]bool{}
		for l := range u.takes {
			own[l] = true
		}
		add(fn, own)
	}
	for more := true; more; {
		more = false
		for fn, u := range g.funcs {
			for c := range u.calls {
				more = add(fn, g.all[c]) || more
			}
		}
		for fn, ms := range g.ifaces {
			for _, m := range ms {
				more = add(fn, g.all[m]) || more
			}
		}
	}
}

// lockEdge is a lock taken while another is held.
type lockEdge struct{ held, taken string }

// edges are all of them, with one place each.
func (g *lockGraph) edges() map[lockEdge]string {
	g.settle()
	out := map[lockEdge]string{}
	for _, u := range g.funcs {
		for _, h := range u.held {
			taken := map[string]bool{h.lock: h.lock != ""}
			if h.to != nil {
				taken = g.all[h.to]
			}
			for l, is := range taken {
				for _, held := range h.held {
					if is {
						what := ""
						if h.to != nil {
							what = " calls " + h.to.Name()
						}
						out[lockEdge{held, l}] = g.fset.Position(h.pos).String() + what
					}
				}
			}
		}
	}
	return out
}
