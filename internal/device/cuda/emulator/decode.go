package emulator

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// The windows of generic addresses: what they hold is at an offset in them.
const (
	windowBits   = 60
	paramWindow  = uint64(1) << windowBits
	sharedWindow = uint64(2) << windowBits
	localWindow  = uint64(3) << windowBits
)

// Bounds of what a kernel takes: the memory that a thread's variables need, the
// registers of a warp, and what the analysis of its flow needs.
const (
	maxLocal     = 256 << 10
	maxRegisters = 16 << 20
	maxFlow      = 64 << 20
)

// kernel is a decoded entry function.
type kernel struct {
	name       string
	code       []instruction
	n32, n64   int
	preds      int
	marks      int
	constants  []constant
	specials   []specialSlot
	params     int // bytes
	static     int // bytes of shared memory that the kernel declares
	local      int // bytes of local memory of a thread
	maxThreads int
	fences     bool
	asyncs     bool
}

// constant is a slot that holds one value in all lanes.
type constant struct {
	slot  slot
	value uint64
}

type specialSlot struct {
	slot slot
	name special
}

// symbol is a name in a function: a register or an address.
type symbol struct {
	v    *variable
	base uint64 // the address, of memory
}

// decoder decodes one function.
type decoder struct {
	f       *function
	k       *kernel
	globals map[string]uint64
	module  *module
	symbols map[scoped]symbol
	regs    map[scoped]slot
	consts  map[constant]int32
	special map[special]slot
	labels  map[scoped]int32
	passed  map[scoped]*variable // parameters of calls
	dynamic []string             // names of dynamic shared memory
	in      *instruction
	s       *statement
}

// scoped is a name declared in a scope.
type scoped struct {
	name  string
	scope int32
}

// decode decodes function f of a module.
func decode(m *module, f *function) (*kernel, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f, err := m.inlined(f, 0)
	if err != nil {
		return nil, err
	}
	d := &decoder{
		f: f, module: m, globals: m.globals, k: &kernel{name: f.name},
		symbols: map[scoped]symbol{}, regs: map[scoped]slot{}, consts: map[constant]int32{}, special: map[special]slot{}, labels: map[scoped]int32{}, passed: map[scoped]*variable{},
	}
	if err := d.declare(); err != nil {
		return nil, fmt.Errorf("function %s: %w", f.name, err)
	}
	at := int32(0)
	for i := range f.body {
		if s := &f.body[i]; s.label != "" {
			d.labels[scoped{s.label, s.scope}] = at
		} else {
			at++
		}
	}
	d.k.code = make([]instruction, 0, at+1)
	for i := range f.body {
		s := &f.body[i]
		if s.label != "" {
			continue
		}
		if err := d.statement(s); err != nil {
			return nil, fmt.Errorf("function %s: line %d: %s: %w", f.name, s.line, s.text(), err)
		}
	}
	d.k.code = append(d.k.code, instruction{action: leave, guard: -1, op: "ret", line: f.line})
	if err := d.bounds(); err != nil {
		return nil, fmt.Errorf("function %s: line %d: %w", f.name, f.line, err)
	}
	return d.k, d.flow()
}

// bounds checks how much memory the registers of the kernel take.
func (d *decoder) bounds() error {
	if n := lanes * (4*d.k.n32 + 8*d.k.n64); n > maxRegisters {
		return fmt.Errorf("the registers of a warp take %d bytes, more than %d", n, maxRegisters)
	}
	return nil
}

// declare lays out the memory of the function.
func (d *decoder) declare() error {
	k := d.k
	for i := range d.f.params {
		p := &d.f.params[i]
		at := roundUp(k.params, p.align)
		k.params = at + p.bytes
		d.symbols[scoped{p.name, -1}] = symbol{p, paramWindow + uint64(at)}
	}
	for i := range d.module.vars {
		v := &d.module.vars[i]
		if v.space != "shared" {
			d.symbols[scoped{v.name, -1}] = symbol{v, d.globals[v.name]}
		}
	}
	used := map[string]bool{}
	for i := range d.f.body {
		for _, a := range d.f.body[i].args {
			used[a.name] = true
		}
	}
	for i := range d.module.vars {
		if v := &d.module.vars[i]; v.space == "shared" && used[v.name] {
			d.place(v, -1)
		}
	}
	for i := range d.f.vars {
		v := &d.f.vars[i]
		switch v.space {
		case "shared":
			d.place(v, v.scope)
		case "local", "param":
			if v.same != "" {
				d.passed[scoped{v.name, v.scope}] = v
				continue
			}
			at := roundUp(k.local, v.align)
			k.local = at + v.bytes
			d.symbols[scoped{v.name, v.scope}] = symbol{v, uint64(at)}
		case "reg":
			d.symbols[scoped{v.name, v.scope}] = symbol{v, 0}
		default:
			return fmt.Errorf("line %d: variable %s is in space %s of a function", d.f.line, v.name, v.space)
		}
		if k.local > maxLocal || k.static > maxLocal {
			return fmt.Errorf("line %d: its variables take more than %d bytes", d.f.line, maxLocal)
		}
	}
	if err := d.alias(); err != nil {
		return err
	}
	for _, name := range d.dynamic {
		s := d.symbols[scoped{name, -1}]
		s.base = uint64(roundUp(k.static, 16))
		d.symbols[scoped{name, -1}] = s
	}
	k.maxThreads = 1024
	if n := d.f.maxThreads; n[0] > 0 {
		k.maxThreads = n[0] * max(n[1], 1) * max(n[2], 1)
	}
	return nil
}

// alias gives the parameters of calls the memory of what is passed. The calls of
// a function come before those of the functions that it calls.
func (d *decoder) alias() error {
	for i := len(d.f.vars) - 1; i >= 0; i-- {
		d.resolve(&d.f.vars[i], 0)
	}
	for i := range d.f.vars {
		v := &d.f.vars[i]
		if s, ok := d.symbols[scoped{v.name, v.scope}]; v.same != "" && (!ok || s.v.bytes < v.bytes) {
			return fmt.Errorf("line %d: a call passes %q for parameter %s of %d bytes", d.f.line, v.same, v.name, v.bytes)
		}
	}
	return nil
}

// resolve finds the memory of a parameter of a call.
func (d *decoder) resolve(v *variable, depth int) (symbol, bool) {
	if v.same == "" {
		s, ok := d.symbols[scoped{v.name, v.scope}]
		return s, ok && s.v.space != "reg"
	}
	for scope := v.sameScope; scope >= 0 && depth <= maxCalls; scope = d.f.scopes[scope] {
		if s, ok := d.symbols[scoped{v.same, scope}]; ok {
			d.symbols[scoped{v.name, v.scope}] = s
			return s, s.v.space != "reg"
		}
		if of := d.passed[scoped{v.same, scope}]; of != nil {
			s, ok := d.resolve(of, depth+1)
			if ok {
				d.symbols[scoped{v.name, v.scope}] = s
			}
			return s, ok
		}
	}
	return symbol{}, false
}

// place places a variable in shared memory.
func (d *decoder) place(v *variable, scope int32) {
	if v.bytes == 0 {
		d.dynamic = append(d.dynamic, v.name)
		d.symbols[scoped{v.name, -1}] = symbol{v, 0}
		return
	}
	at := roundUp(d.k.static, v.align)
	d.k.static = at + v.bytes
	d.symbols[scoped{v.name, scope}] = symbol{v, uint64(at)}
}

func roundUp(n, align int) int { return (n + align - 1) / align * align }

// find finds what a name is, from the scope of the statement outward.
func (d *decoder) find(name string) (symbol, int32, bool) {
	for scope := d.s.scope; ; scope = d.f.scopes[scope] {
		if s, ok := d.symbols[scoped{name, scope}]; ok {
			return s, scope, true
		}
		if scope < 0 {
			return symbol{}, 0, false
		}
	}
}

// register finds a register, and gives it a slot at its first use.
func (d *decoder) register(name string) (slot, error) {
	s, scope, ok := d.find(name)
	if !ok || s.v.space != "reg" || s.v.count > 0 {
		stem := strings.TrimRight(name, "0123456789")
		n, err := strconv.Atoi(name[len(stem):])
		if s, scope, ok = d.find(stem); !ok || s.v.space != "reg" || err != nil || n >= s.v.count {
			return slot{}, fmt.Errorf("%q is no register", name)
		}
	}
	key := scoped{name, scope}
	if r, ok := d.regs[key]; ok {
		return r, nil
	}
	r := d.slot(s.v.kind)
	r.mark = int32(d.k.marks)
	d.k.marks++
	d.regs[key] = r
	return r, nil
}

// slot takes a new slot for a value of kind k.
func (d *decoder) slot(k kind) slot {
	s := slot{width: uint8(k.width()), mark: -1}
	count := &d.k.n32
	switch {
	case k == pred:
		s.file, count = filePred, &d.k.preds
	case k.width() == 8:
		s.file, count = file64, &d.k.n64
	}
	s.at = int32(*count)
	*count++
	return s
}

// value is a slot that always holds a value.
func (d *decoder) value(f file, x uint64) slot {
	k := map[file]kind{file32: b32, file64: b64, filePred: pred}[f]
	key := constant{slot{file: f}, x}
	at, ok := d.consts[key]
	s := slot{file: f, width: uint8(k.width()), at: at, mark: -1}
	if !ok {
		s = d.slot(k)
		d.consts[key] = s.at
		d.k.constants = append(d.k.constants, constant{s, x})
	}
	return s
}

func fileOf(k kind) file {
	switch {
	case k == pred:
		return filePred
	case k.width() == 8:
		return file64
	}
	return file32
}

// source is the slot of operand i, as a value of kind k. Registers of another
// file are an error.
func (d *decoder) source(a *arg, k kind) (int32, error) {
	s, err := d.operand(a, k)
	if err == nil && s.file != fileOf(k) {
		err = fmt.Errorf("register %s does not hold %d bytes", a.name, k.width())
	}
	return s.at, err
}

// operand is the slot of an operand: a register of any width, or a constant of
// kind k.
func (d *decoder) operand(a *arg, k kind) (slot, error) {
	switch a.kind {
	case argNumber, argFloat:
		x, err := literal(a, k)
		return d.value(fileOf(k), x), err
	case argName:
		if a.not && k != pred {
			return slot{}, fmt.Errorf("! before %s", a.name)
		}
		if name, ok := specials[a.name]; ok {
			return d.specialSlot(name), nil
		}
		if sym, _, ok := d.find(a.name); ok && sym.v.space != "reg" {
			return d.value(fileOf(k), sym.base+uint64(a.offset)), nil
		}
		r, err := d.register(a.name)
		if err == nil {
			d.in.uses = append(d.in.uses, r)
		}
		return r, err
	default:
		return slot{}, errors.New("an operand is neither a register nor a number")
	}
}

// literal is a number as the bits of kind k.
func literal(a *arg, k kind) (uint64, error) {
	x := a.number
	switch {
	case a.kind == argFloat && a.double != (k.width() == 8):
		return 0, fmt.Errorf("the constant has not %d bytes", k.width())
	case k == pred && x != 0:
		return full, nil
	case k == f32 && a.kind == argNumber || k == f64 && a.kind == argNumber:
		return floatLiteral(x, k), nil
	}
	if n := k.width(); n > 0 && n < 8 {
		x &= 1<<(8*n) - 1
	}
	return x, nil
}

// destination is the slot of a register that the instruction sets.
func (d *decoder) destination(name string) (slot, error) {
	if name == "_" {
		return d.slot(b64), nil
	}
	r, err := d.register(name)
	if err == nil {
		d.in.sets = append(d.in.sets, r)
	}
	return r, err
}

// result is the slot of the destination, which must hold kind k.
func (d *decoder) result(a *arg, k kind) (int32, error) {
	if a.kind == argName && a.name == "_" {
		return d.slot(k).at, nil
	}
	if a.kind != argName {
		return 0, errors.New("the destination is no register")
	}
	s, err := d.destination(a.name)
	if err == nil && s.file != fileOf(k) {
		err = fmt.Errorf("register %s does not hold %d bytes", a.name, k.width())
	}
	return s.at, err
}
