package emulator

import (
	"errors"
	"fmt"
)

// statement decodes one instruction.
func (d *decoder) statement(s *statement) error {
	d.k.code = append(d.k.code, instruction{guard: -1, meet: -1, line: s.line, op: s.text()})
	d.in, d.s = &d.k.code[len(d.k.code)-1], s
	if s.guard != "" {
		p, err := d.source(&arg{kind: argName, name: s.guard}, pred)
		if err != nil {
			return err
		}
		d.in.guard, d.in.not = p, s.guardNot
	}
	b, ok := builders[s.op[0]]
	if !ok {
		return errors.New("the instruction is unknown")
	}
	if len(s.args) < b.least || len(s.args) > b.most {
		return fmt.Errorf("it has %d operands", len(s.args))
	}
	if err := b.build(d, s); err != nil {
		return err
	}
	if d.in.exec == nil && d.in.action == compute {
		return errors.New("this form of the instruction is unknown")
	}
	return nil
}

// builder decodes the forms of an instruction.
type builder struct {
	build       func(d *decoder, s *statement) error
	least, most int // operands
}

// builders are the instructions by name.
var builders = allBuilders()

func allBuilders() map[string]builder {
	builders := map[string]builder{
		"bra": {(*decoder).branch, 1, 1}, "ret": {(*decoder).leave, 0, 0}, "exit": {(*decoder).leave, 0, 0}, "trap": {(*decoder).trap, 0, 0},
		"bar": {(*decoder).barrier, 1, 4}, "barrier": {(*decoder).barrier, 1, 4},
		"mov": {(*decoder).mov, 2, 2}, "cvt": {(*decoder).cvt, 2, 3}, "cvta": {(*decoder).cvta, 2, 2},
		"setp": {(*decoder).setp, 3, 4}, "set": {(*decoder).set, 3, 4}, "selp": {(*decoder).selp, 4, 4}, "slct": {(*decoder).slct, 4, 4},
		"testp": {(*decoder).testp, 2, 2}, "isspacep": {(*decoder).isspacep, 2, 2},
		"ld": {(*decoder).load, 2, 2}, "ldu": {(*decoder).load, 2, 2}, "st": {(*decoder).store, 2, 2},
		"atom": {(*decoder).atom, 3, 4}, "red": {(*decoder).red, 2, 2},
		"membar": {(*decoder).fence, 0, 0}, "fence": {(*decoder).fence, 0, 0},
		"prefetch": {(*decoder).nothing, 1, 1}, "prefetchu": {(*decoder).nothing, 1, 1}, "nanosleep": {(*decoder).nothing, 1, 1}, "discard": {(*decoder).nothing, 2, 2},
		"shfl": {(*decoder).shfl, 5, 5}, "vote": {(*decoder).vote, 2, 3}, "activemask": {(*decoder).activemask, 1, 1}, "match": {(*decoder).match, 3, 3},
		"redux": {(*decoder).redux, 3, 3}, "elect": {(*decoder).elect, 2, 2},
		"cp": {(*decoder).cp, 0, 4}, "ldmatrix": {(*decoder).ldmatrix, 2, 2}, "mma": {(*decoder).mma, 4, 4},
	}
	for _, name := range []string{"add", "sub", "mul", "div", "rem", "min", "max", "and", "or", "xor", "shl", "shr", "copysign"} {
		builders[name] = builder{(*decoder).binary, 3, 3}
	}
	for _, name := range []string{"not", "neg", "abs", "cnot", "popc", "clz", "brev", "bfind", "rcp", "sqrt", "rsqrt", "sin", "cos", "lg2", "ex2", "tanh"} {
		builders[name] = builder{(*decoder).unary, 2, 2}
	}
	for _, name := range []string{"mad", "fma", "bfe", "bfi", "prmt", "lop3", "shf", "sad", "dp4a", "addc", "subc", "madc"} {
		builders[name] = builder{(*decoder).ternary, 3, 5}
	}
	return builders
}

func (d *decoder) branch(s *statement) error {
	d.in.action = branch
	for scope := s.scope; scope >= 0; scope = d.f.scopes[scope] {
		if at, ok := d.labels[scoped{s.args[0].name, scope}]; ok {
			d.in.target = at
			return nil
		}
	}
	return fmt.Errorf("there is no label %q", s.args[0].name)
}

func (d *decoder) leave(*statement) error {
	d.in.action = leave
	return nil
}

func (d *decoder) trap(*statement) error {
	d.in.exec = func(w *warp, in *instruction, mask uint32) { w.fail(in, mask, "CUDA_ERROR_LAUNCH_FAILED", "it traps") }
	return nil
}

func (d *decoder) nothing(*statement) error {
	d.in.exec = func(*warp, *instruction, uint32) {}
	return nil
}

// barrier decodes bar.sync a{, b} and bar.warp.sync mask.
func (d *decoder) barrier(s *statement) error {
	if s.has("warp") {
		d.in.action = syncWarp
		at, err := d.source(&s.args[0], b32)
		d.in.a = at
		return err
	}
	if !s.has("sync") {
		return nil // an unknown form
	}
	d.in.action = barrier
	var err error
	if d.in.a, err = d.source(&s.args[0], b32); err != nil {
		return err
	}
	d.in.b = -1
	if len(s.args) > 1 {
		d.in.b, err = d.source(&s.args[1], b32)
	}
	return err
}

// sources decodes operands of kind k from args on into a, b, c.
func (d *decoder) sources(k kind, args ...*arg) error {
	to := []*int32{&d.in.a, &d.in.b, &d.in.c}
	for i, a := range args {
		at, err := d.source(a, k)
		if err != nil {
			return err
		}
		*to[i] = at
	}
	return nil
}

// threeOf decodes a destination and sources that are all of kind k.
func (d *decoder) all(s *statement, k kind) error {
	var err error
	if d.in.d, err = d.result(&s.args[0], k); err != nil {
		return err
	}
	args := make([]*arg, 0, 3)
	for i := 1; i < len(s.args) && i < 4; i++ {
		args = append(args, &s.args[i])
	}
	return d.sources(k, args...)
}
