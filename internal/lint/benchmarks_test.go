package lint

import (
	"go/ast"
	"go/parser"
	"go/token"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestBenchmarks checks in the code what package benchcheck checks in the
// output: a benchmark names its parts by a function and not by hand, does
// something in each iteration, and keeps the time of an operation.
func TestBenchmarks(t *testing.T) {
	seen := 0
	for _, s := range files(t) {
		if !s.test() {
			continue
		}
		for _, d := range s.file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok || f.Body == nil || !takesB(f.Type) {
				continue
			}
			seen++
			for _, fault := range benchmarkFaults(f) {
				t.Errorf("%s: %s", fset.Position(fault.at), fault.what)
			}
		}
	}
	require.Greater(t, seen, 50)
}

type benchmarkFault struct {
	at   token.Pos
	what string
}

// benchmarkFaults are those of one function that measures.
func benchmarkFaults(f *ast.FuncDecl) (faults []benchmarkFault) {
	add := func(n ast.Node, what string) { faults = append(faults, benchmarkFault{n.Pos(), what}) }
	ast.Inspect(f.Body, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.ForStmt:
			if isCall(n.Cond, "Loop") && len(n.Body.List) == 0 {
				add(n, "b.Loop spins over nothing: measure an operation in each iteration")
			}
		case *ast.CallExpr:
			switch {
			case isCall(n, "Run") && len(n.Args) == 2 && isBenchmark(n.Args[1]) && written(n.Args[0]):
				add(n, "a name that is written by hand: use benchname.Of")
			case isCall(n, "ReportMetric") && len(n.Args) == 2 && literal(n.Args[0]) == "0" && literal(n.Args[1]) == `"ns/op"`:
				add(n, "the time of an operation is hidden")
			}
		}
		return true
	})
	if strings.HasPrefix(f.Name.Name, "Benchmark") {
		for _, stmt := range f.Body.List {
			if loop, ok := stmt.(*ast.ForStmt); ok && isCall(loop.Cond, "Loop") {
				add(loop, "no workload and no baseline: run it under benchname.Of")
			}
		}
	}
	return faults
}

// takesB recognises the functions with a *testing.B parameter.
func takesB(f *ast.FuncType) bool {
	for _, p := range f.Params.List {
		star, ok := p.Type.(*ast.StarExpr)
		if !ok {
			continue
		}
		if sel, ok := star.X.(*ast.SelectorExpr); ok && sel.Sel.Name == "B" {
			return true
		}
	}
	return false
}

// isBenchmark recognises a function literal that is a benchmark.
func isBenchmark(e ast.Expr) bool {
	f, ok := e.(*ast.FuncLit)
	return ok && takesB(f.Type)
}

// written recognises a name that is assembled from literals.
func written(e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.BasicLit:
		return true
	case *ast.BinaryExpr:
		return written(e.X) || written(e.Y)
	case *ast.CallExpr:
		return isCall(e, "Sprintf") || isCall(e, "Sprint")
	}
	return false
}

// isCall recognises a call of a method or function of some name.
func isCall(e ast.Expr, name string) bool {
	call, ok := e.(*ast.CallExpr)
	if !ok {
		return false
	}
	sel, ok := call.Fun.(*ast.SelectorExpr)
	return ok && sel.Sel.Name == name
}

func literal(e ast.Expr) string {
	if l, ok := e.(*ast.BasicLit); ok {
		return l.Value
	}
	return ""
}

// TestBenchmarkFaults: each fault is found.
func TestBenchmarkFaults(t *testing.T) {
	for body, want := range map[string]string{
		`for b.Loop() {}`: "spins over nothing",
		`b.Run("of="+x, func(b *testing.B) { for b.Loop() { f() } })`:                 "by hand",
		`b.Run(fmt.Sprintf("of=%s", x), func(b *testing.B) { for b.Loop() { f() } })`: "by hand",
		`b.Run(name(), func(b *testing.B) { b.ReportMetric(0, "ns/op") })`:            "hidden",
		`for b.Loop() { f() }`: "no workload",
		`b.Run(name(), func(b *testing.B) { for b.Loop() { f() } })`: "",
	} {
		file, err := parser.ParseFile(token.NewFileSet(), "x_test.go", "package x\nfunc BenchmarkX(b *testing.B) {\n"+body+"\n}\n", 0)
		require.NoError(t, err)
		var found []string
		for _, f := range benchmarkFaults(file.Decls[0].(*ast.FuncDecl)) {
			found = append(found, f.what)
		}
		if want == "" {
			require.Empty(t, found, body)
		} else {
			require.Contains(t, strings.Join(found, "; "), want, body)
		}
	}
}
