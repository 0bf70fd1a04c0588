package emulator

import (
	"errors"
	"fmt"
	"math"
	"math/bits"
)

// access decodes the address of a memory instruction.
func (d *decoder) access(a *arg) error {
	if a.kind != argAddress {
		return errors.New("the operand is no address")
	}
	m := &access{address: -1, offset: uint64(a.offset)}
	d.in.mem = m
	if d.s.has("global") || d.s.has("const") {
		m.space = global
	}
	for _, op := range d.s.op[1:] {
		switch op {
		case "shared":
			m.space = shared
		case "local":
			m.space = local
		case "param":
			m.space = param
		case "volatile", "relaxed", "acquire", "release":
			m.relaxed = true
		}
	}
	if a.name == "" {
		return nil
	}
	if sym, _, ok := d.find(a.name); ok && sym.v.space != "reg" {
		m.offset += sym.base
		if sym.v.space == "param" && sym.base < paramWindow {
			m.space = local // of a call
		}
		return nil
	}
	r, err := d.register(a.name)
	if err != nil {
		return err
	}
	if r.width < 4 {
		return fmt.Errorf("the address %s has %d bytes", a.name, r.width)
	}
	d.in.uses = append(d.in.uses, r)
	m.address, m.wide = r.at, r.file == file64
	return nil
}

// elements decodes the width of a load or a store, and its registers.
func (d *decoder) elements(s *statement, a *arg) ([]arg, error) {
	m := d.in.mem
	k := s.last()
	if k.width() == 0 {
		return nil, errors.New("it has no type")
	}
	m.element, m.signed = uint64(k.width()), k.signed()
	n := uint64(1)
	parts := []arg{*a}
	for _, v := range []uint64{2, 4, 8} {
		if s.has(fmt.Sprintf("v%d", v)) {
			n, parts = v, a.parts
		}
	}
	m.bytes = n * m.element
	if uint64(len(parts)) != n || m.bytes > 32 {
		return nil, fmt.Errorf("it has %d elements of %d bytes", len(parts), m.element)
	}
	return parts, nil
}

func (d *decoder) load(s *statement) error {
	if err := d.access(&s.args[1]); err != nil {
		return err
	}
	parts, err := d.elements(s, &s.args[0])
	if err != nil {
		return err
	}
	d.in.mem.used = s.used
	for i := range parts {
		r, err := d.destination(parts[i].name)
		if err != nil {
			return err
		}
		if r.file == filePred {
			return fmt.Errorf("%s is a predicate", parts[i].name)
		}
		d.in.vector = append(d.in.vector, r)
	}
	d.in.exec = load
	return nil
}

func (d *decoder) store(s *statement) error {
	if err := d.access(&s.args[0]); err != nil {
		return err
	}
	parts, err := d.elements(s, &s.args[1])
	if err != nil {
		return err
	}
	if d.in.mem.space == param {
		return errors.New("it stores to a parameter of a kernel")
	}
	for i := range parts {
		r, err := d.operand(&parts[i], s.last())
		if err != nil {
			return err
		}
		if r.file == filePred {
			return fmt.Errorf("%s is a predicate", parts[i].name)
		}
		d.in.vector = append(d.in.vector, r)
	}
	d.in.exec = store
	return nil
}

// fence decodes membar and fence: they make what the block wrote visible to
// others.
func (d *decoder) fence(*statement) error {
	d.k.fences = true
	d.in.exec = func(w *warp, _ *instruction, _ uint32) {
		if op := w.b.agent.op; op.fences != nil {
			if i := w.b.agent.id - op.first; i < op.count {
				op.fences[i].Store(uint32(w.b.interval) + 1)
			}
		}
	}
	return nil
}

// combine is an atomic operation: the new value, from the old and the operands.
type combine func(old, b, c uint64) uint64

func (d *decoder) atom(s *statement) error {
	r, err := d.destination(s.args[0].name)
	if err != nil {
		return err
	}
	d.in.vector = append(d.in.vector, r)
	return d.atomic(s, s.args[1:])
}

func (d *decoder) red(s *statement) error {
	d.in.vector = append(d.in.vector, slot{at: -1})
	return d.atomic(s, s.args)
}

func (d *decoder) atomic(s *statement, args []arg) error {
	if err := d.access(&args[0]); err != nil {
		return err
	}
	k := s.last()
	f := combiner(s, k)
	if f == nil {
		return nil // an unknown form
	}
	m := d.in.mem
	m.element = uint64(k.width())
	m.bytes = m.element
	for i := 1; i < len(args); i++ {
		r, err := d.operand(&args[i], k)
		if err != nil {
			return err
		}
		d.in.vector = append(d.in.vector, r)
	}
	d.in.exec = func(w *warp, in *instruction, mask uint32) { update(w, in, mask, f) }
	return nil
}

// update executes an atomic operation, lane after lane.
func update(w *warp, in *instruction, mask uint32, f combine) {
	m := in.mem
	for left := mask; left != 0; left &= left - 1 {
		lane := bits.TrailingZeros32(left) & 31
		r, at := w.memory(in, lane, w.address(m, lane), m)
		if r == nil {
			break
		}
		if p := w.hold(r, at); p != nil && !w.check(in, lane, r, p, at, m, updates, nil) {
			break
		}
		var b, c uint64
		if len(in.vector) > 1 {
			b = w.value(in.vector[1], lane)
		}
		if len(in.vector) > 2 {
			c = w.value(in.vector[2], lane)
		}
		old := r.update(at, m.element, b, c, f)
		if in.vector[0].at >= 0 {
			w.set(in.vector[0], lane, old)
		}
	}
	w.release()
}

// update combines an element with operands, and is its old value. Where no lock
// of a page is held, that of the region makes it atomic.
func (r *region) update(at, n, b, c uint64, f combine) uint64 {
	if len(r.pages) == 0 && !r.private {
		r.mu.Lock()
		defer r.mu.Unlock()
	}
	old := get(r.data[at:], n)
	put(r.data[at:], n, f(old, b, c))
	return old
}

// combiner finds an atomic operation by its modifiers. Sums of floats are not
// among them: their order is not fixed.
func combiner(s *statement, k kind) combine {
	n := k.width()
	if n < 4 {
		return nil
	}
	signed := func(x uint64) int64 {
		if n == 4 {
			return int64(int32(x))
		}
		return int64(x)
	}
	for _, op := range s.op[1:] {
		switch op {
		case "add":
			if !k.float() && k != f16x2 && k != bf16x2 {
				return func(old, b, _ uint64) uint64 { return old + b }
			}
			return nil
		case "cas":
			return func(old, b, c uint64) uint64 {
				if old == b {
					return c
				}
				return old
			}
		case "exch":
			return func(_, b, _ uint64) uint64 { return b }
		case "and":
			return func(old, b, _ uint64) uint64 { return old & b }
		case "or":
			return func(old, b, _ uint64) uint64 { return old | b }
		case "xor":
			return func(old, b, _ uint64) uint64 { return old ^ b }
		case "min":
			if k.signed() {
				return func(old, b, _ uint64) uint64 { return uint64(min(signed(old), signed(b))) }
			}
			return func(old, b, _ uint64) uint64 { return min(old, b) }
		case "max":
			if k.signed() {
				return func(old, b, _ uint64) uint64 { return uint64(max(signed(old), signed(b))) }
			}
			return func(old, b, _ uint64) uint64 { return max(old, b) }
		case "inc":
			return func(old, b, _ uint64) uint64 {
				if old >= b {
					return 0
				}
				return old + 1
			}
		case "dec":
			return func(old, b, _ uint64) uint64 {
				if old == 0 || old > b {
					return b
				}
				return old - 1
			}
		}
	}
	return nil
}

func floatLiteral(x uint64, k kind) uint64 {
	if k == f32 {
		return uint64(math.Float32bits(float32(int64(x))))
	}
	return math.Float64bits(float64(int64(x)))
}

// cvta decodes the conversion of an address between a space and generic.
func (d *decoder) cvta(s *statement) error {
	k := s.last()
	window := uint64(0)
	switch {
	case s.has("shared"):
		window = sharedWindow
	case s.has("local"):
		window = localWindow
	}
	if err := d.all(s, k); err != nil {
		return err
	}
	const within = 1<<windowBits - 1
	switch {
	case k != u64:
		return nil // an unknown form
	case window == 0:
		d.in.exec = unary64(func(a uint64) uint64 { return a })
	case s.has("to"):
		d.in.exec = unary64(func(a uint64) uint64 { return a & within })
	default:
		d.in.exec = unary64(func(a uint64) uint64 { return a | window })
	}
	return nil
}

// isspacep decodes the question whether a generic address is in a space.
func (d *decoder) isspacep(s *statement) error {
	var err error
	if d.in.d, err = d.result(&s.args[0], pred); err != nil {
		return err
	}
	if err = d.sources(u64, &s.args[1]); err != nil {
		return err
	}
	window := uint64(0)
	switch {
	case s.has("shared"):
		window = sharedWindow
	case s.has("local"):
		window = localWindow
	case s.has("param"):
		window = paramWindow
	}
	d.in.exec = func(w *warp, in *instruction, mask uint32) {
		p := uint32(0)
		for i, a := range w.r64[in.a] {
			if a>>windowBits == window>>windowBits {
				p |= 1 << i
			}
		}
		w.preds[in.d] = w.preds[in.d]&^mask | p&mask
	}
	return nil
}
