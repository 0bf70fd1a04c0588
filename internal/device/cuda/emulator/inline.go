package emulator

import (
	"errors"
	"fmt"
)

// maxCalls bounds how deep calls are nested; PTX that NVRTC makes of our kernels
// has no recursion.
const maxCalls = 16

// inlined is function f with the functions that it calls in place of the calls.
func (m *module) inlined(f *function, depth int) (*function, error) {
	if err := f.parse(); err != nil {
		return nil, err
	}
	calls := false
	for i := range f.body {
		calls = calls || f.body[i].label == "" && f.body[i].op[0] == "call"
	}
	if !calls {
		return f, nil
	}
	out := *f
	out.scopes = append([]int32{}, f.scopes...)
	out.vars = append([]variable{}, f.vars...)
	out.body = make([]statement, 0, len(f.body))
	for i := range f.body {
		s := &f.body[i]
		if s.label != "" || s.op[0] != "call" {
			out.body = append(out.body, *s)
			continue
		}
		if err := m.inline(&out, s, depth); err != nil {
			return nil, fmt.Errorf("function %s: line %d: call: %w", f.name, s.line, err)
		}
	}
	return &out, nil
}

// inline appends the function that s calls to f.
func (m *module) inline(f *function, s *statement, depth int) error {
	var results, params []arg
	args := s.args
	if len(args) > 0 && args[0].kind == argVector {
		results, args = args[0].parts, args[1:]
	}
	if len(args) == 0 || len(args) > 2 {
		return fmt.Errorf("it has %d operands", len(s.args))
	}
	if len(args) == 2 {
		params = args[1].parts
	}
	callee := m.functions[args[0].name]
	switch {
	case callee == nil || callee.entry:
		return fmt.Errorf("there is no function %q", args[0].name)
	case s.guard != "":
		return errors.New("it has a guard")
	case depth >= maxCalls:
		return fmt.Errorf("calls are nested more than %d deep", maxCalls)
	case len(results) != len(callee.returns) || len(params) != len(callee.params):
		return fmt.Errorf("function %s has %d parameters and %d results", callee.name, len(callee.params), len(callee.returns))
	}
	callee, err := m.inlined(callee, depth+1)
	if err != nil {
		return err
	}
	if len(f.body)+len(callee.body) > maxStatements {
		return fmt.Errorf("with what it calls it has more than %d instructions", maxStatements)
	}
	base := int32(len(f.scopes))
	for _, parent := range callee.scopes {
		if parent >= 0 {
			parent += base
		}
		f.scopes = append(f.scopes, parent)
	}
	for _, v := range callee.vars {
		v.scope += base
		if v.same != "" {
			v.sameScope += base
		}
		f.vars = append(f.vars, v)
	}
	// Its parameters and results are the memory of the call's.
	formal := append(append([]variable{}, callee.returns...), callee.params...)
	for i, a := range append(append([]arg{}, results...), params...) {
		v := formal[i]
		v.space, v.scope, v.same, v.sameScope = "param", base, a.name, s.scope
		f.vars = append(f.vars, v)
	}
	const end = "$end of the call"
	for _, b := range callee.body {
		b.scope += base
		if b.label == "" && b.op[0] == "ret" {
			b.op, b.args = []string{"bra"}, []arg{{kind: argName, name: end}}
		}
		f.body = append(f.body, b)
	}
	f.body = append(f.body, statement{line: s.line, label: end, scope: base})
	return nil
}
