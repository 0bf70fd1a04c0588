package plan

import (
	"fmt"
	"math"
	"slices"
	"unicode/utf8"

	"google.golang.org/protobuf/proto"
)

// Limits of a plan from a peer. They bound memory before anything is allocated
// for the plan's contents.
const (
	MaxValues     = 1 << 16
	MaxSteps      = 1 << 16
	MaxRank       = 8
	MaxOpInputs   = 64
	MaxNameLen    = 256
	MaxConstBytes = 16 << 20
	MaxAttrs      = 32
	MaxAttrList   = 64
	MaxStates     = 1 << 10
	MaxSymbols    = 256 // distinct symbols
)

// Validate checks everything about p that does not need an operator table: ids
// in range, every value written once before it is read, ports, states and
// buffers consistent, limits respected. A valid plan can be encoded, and
// [Decode] restores it. Errors wrap [ErrInvalid].
func (p *Plan) Validate() error {
	if p.Version != Version && p.Version != VersionQuotient {
		return fmt.Errorf("%w: version %d, this build reads versions %d to %d", ErrInvalid, p.Version, Version, VersionQuotient)
	}
	if len(p.Values) > MaxValues || len(p.Steps) > MaxSteps {
		return fmt.Errorf("%w: %d values and %d steps, the limits are %d and %d", ErrInvalid, len(p.Values), len(p.Steps), MaxValues, MaxSteps)
	}
	if !validText(p.Name) || !validText(p.Phase) || !validText(p.Policy) {
		return fmt.Errorf("%w: name, phase or policy is longer than %d bytes or no UTF-8", ErrInvalid, MaxNameLen)
	}
	if len(p.Inputs) > MaxValues || len(p.Outputs) > MaxValues {
		return fmt.Errorf("%w: %d inputs and %d outputs, the limit is %d", ErrInvalid, len(p.Inputs), len(p.Outputs), MaxValues)
	}
	if p.Buffers < 0 || p.Buffers > len(p.Values) {
		return fmt.Errorf("%w: %d buffers for %d values", ErrInvalid, p.Buffers, len(p.Values))
	}
	for i := range p.Values {
		if err := p.checkValue(i); err != nil {
			return err
		}
	}
	if err := p.checkSteps(); err != nil {
		return err
	}
	if n := p.Needs(); n != p.Version {
		return fmt.Errorf("%w: version %d of a plan that needs version %d", ErrInvalid, p.Version, n)
	}
	if err := p.checkSymbols(); err != nil {
		return err
	}
	if err := p.checkPorts(); err != nil {
		return err
	}
	return p.checkSize()
}

// checkSize bounds the encoding. It measures only encodings that may be too
// long.
func (p *Plan) checkSize() error {
	const fields = 128 // bytes of an entry's numbers, hash and lengths, at most
	factors := 0
	entries := len(p.Values) + len(p.Steps) + len(p.Inputs) + len(p.Outputs) + len(p.States)
	most := fields + len(p.Name) + len(p.Phase) + len(p.Policy) + (fields+MaxNameLen)*entries
	for i := range p.Values {
		v := &p.Values[i]
		entries += len(v.Spec.Shape)
		most += len(v.Const) + (maxDimText+8)*len(v.Spec.Shape)
		for _, d := range v.Spec.Shape {
			factors += d.Factors()
		}
	}
	for i := range p.Steps {
		s := &p.Steps[i]
		entries += len(s.In) + len(s.Attrs)
		most += 5*len(s.In) + (fields+2*MaxNameLen)*len(s.Attrs)
		for j := range s.Attrs {
			a := &s.Attrs[j]
			entries += len(a.Ints) + len(a.Dims)
			most += 10*len(a.Ints) + (maxDimText+8)*len(a.Dims)
			for _, d := range a.Dims {
				factors += d.Factors()
			}
		}
	}
	if entries > MaxPlanElements {
		return fmt.Errorf("%w: %d entries in all lists, the limit is %d", ErrInvalid, entries, MaxPlanElements)
	}
	if factors > MaxPlanFactors {
		return fmt.Errorf("%w: dimensions of %d numbers and symbols, the limit is %d", ErrInvalid, factors, MaxPlanFactors)
	}
	if most > MaxPlanBytes {
		if n := proto.Size(p.message()); n > MaxPlanBytes {
			return fmt.Errorf("%w: encoding of %d bytes, the limit is %d", ErrInvalid, n, MaxPlanBytes)
		}
	}
	return nil
}

func (p *Plan) valueErr(i int, format string, args ...any) error {
	name := ""
	if i >= 0 && i < len(p.Values) && p.Values[i].Name != "" {
		name = fmt.Sprintf(" (%.80q)", p.Values[i].Name)
	}
	return fmt.Errorf("%w: value %d%s: %s", ErrInvalid, i, name, fmt.Sprintf(format, args...))
}

func (p *Plan) checkValue(i int) error {
	v := &p.Values[i]
	switch {
	case v.Kind < KindTemp || v.Kind > KindState:
		return p.valueErr(i, "unknown kind %d", v.Kind)
	case !v.Spec.DType.Valid():
		return p.valueErr(i, "unknown dtype %d", v.Spec.DType)
	case v.Spec.DType == F16 || v.Spec.DType == BF16:
		return p.valueErr(i, "%v is a storage format, not a compute type", v.Spec.DType)
	case len(v.Spec.Shape) > MaxRank:
		return p.valueErr(i, "rank %d, the limit is %d", len(v.Spec.Shape), MaxRank)
	case slices.ContainsFunc(v.Spec.Shape, unwritable):
		return p.valueErr(i, "a dimension of %.200s cannot be written: a symbol that is none, or a coefficient, terms or a text beyond the limits", v.Spec.Shape)
	case !validText(v.Name):
		return p.valueErr(i, "name is longer than %d bytes or no UTF-8", MaxNameLen)
	case v.Buffer < NoBuffer || v.Buffer >= p.Buffers:
		return p.valueErr(i, "buffer %d of %d", v.Buffer, p.Buffers)
	case v.Kind != KindTemp && v.Buffer != NoBuffer:
		return p.valueErr(i, "a %v has no scratch buffer", v.Kind)
	}
	switch v.Kind {
	case KindWeight, KindConst:
		n, ok := staticBytes(v)
		if !ok {
			return p.valueErr(i, "a %v needs constant dimensions, has %v", v.Kind, v.Spec.Shape)
		}
		if v.Kind == KindConst && int64(len(v.Const)) != n {
			return p.valueErr(i, "constant of %d bytes for %v", len(v.Const), v.Spec)
		}
		if v.Kind == KindConst && n > MaxConstBytes {
			return p.valueErr(i, "constant of %d bytes, the limit is %d", n, int64(MaxConstBytes))
		}
		if v.Kind == KindWeight && !v.Storage.Valid() {
			return p.valueErr(i, "unknown storage dtype %d", v.Storage)
		}
		if v.Kind == KindWeight && (v.Spec.DType == F32) != (v.Storage == F32 || v.Storage == F16 || v.Storage == BF16) ||
			v.Kind == KindWeight && v.Spec.DType != F32 && v.Spec.DType != v.Storage {
			return p.valueErr(i, "a weight of %v cannot be stored as %v", v.Spec.DType, v.Storage)
		}
	case KindTemp, KindInput, KindState:
	}
	return nil
}

func staticBytes(v *Value) (int64, bool) {
	n := int64(v.Spec.DType.Size())
	for _, d := range v.Spec.Shape {
		c, ok := d.Const()
		if !ok || c < 0 {
			return 0, false
		}
		if n, ok = MulChecked(n, int64(c)); !ok {
			return 0, false
		}
	}
	return n, true
}

func (p *Plan) checkSteps() error {
	defined := make([]bool, len(p.Values))
	for i := range p.Values {
		defined[i] = p.Values[i].Kind != KindTemp
	}
	for i := range p.Steps {
		s := &p.Steps[i]
		bad := func(format string, args ...any) error {
			return fmt.Errorf("%w: step %d (%.80q): %s", ErrInvalid, i, s.Op, fmt.Sprintf(format, args...))
		}
		if err := s.check(); err != nil {
			return bad("%v", err)
		}
		if len(s.In) > MaxOpInputs {
			return bad("%d inputs, the limit is %d", len(s.In), MaxOpInputs)
		}
		for _, in := range s.In {
			if in < 0 || in >= len(p.Values) {
				return bad("input %d of %d values", in, len(p.Values))
			}
			if !defined[in] {
				return bad("reads value %d before it is written", in)
			}
		}
		if s.Out < 0 || s.Out >= len(p.Values) || p.Values[s.Out].Kind != KindTemp {
			return bad("output %d is no temporary value", s.Out)
		}
		if defined[s.Out] {
			return bad("writes value %d a second time", s.Out)
		}
		defined[s.Out] = true
	}
	for i, ok := range defined {
		if !ok {
			return p.valueErr(i, "no step writes it")
		}
	}
	return nil
}

// check finds the faults that a step can have on its own.
func (s *Step) check() error {
	if !validText(s.Op) || s.Op == "" {
		return fmt.Errorf("operator name is empty, longer than %d bytes or no UTF-8", MaxNameLen)
	}
	if s.Device < 0 || s.Device > math.MaxInt32 || s.Branch < 0 || s.Branch > math.MaxInt32 {
		return fmt.Errorf("device %d, branch %d", s.Device, s.Branch)
	}
	if len(s.Attrs) > MaxAttrs {
		return fmt.Errorf("%d attributes, the limit is %d", len(s.Attrs), MaxAttrs)
	}
	for _, a := range s.Attrs {
		switch {
		case !validText(a.Key) || !validText(a.Str):
			return fmt.Errorf("attribute %.80q is longer than %d bytes or no UTF-8", a.Key, MaxNameLen)
		case a.Kind < AttrInt || a.Kind > AttrDims:
			return fmt.Errorf("attribute %q has kind %d", a.Key, a.Kind)
		case len(a.Ints) > MaxAttrList || len(a.Dims) > MaxAttrList:
			return fmt.Errorf("attribute %q is a list above %d", a.Key, MaxAttrList)
		case slices.ContainsFunc(a.Dims, unwritable):
			return fmt.Errorf("attribute %q has a dimension that cannot be written: %.200s", a.Key, Shape(a.Dims))
		}
	}
	return nil
}

func unwritable(d Dim) bool { return !d.writable() }

func validText(s string) bool { return len(s) <= MaxNameLen && utf8.ValidString(s) }

func (p *Plan) checkPorts() error {
	seen := map[string]bool{}
	taken := map[int]bool{}
	port := func(kind, name string, v int) error {
		if name == "" || !validText(name) || seen[kind+name] {
			return fmt.Errorf("%w: %s name %.80q is empty, too long, no UTF-8 or used twice", ErrInvalid, kind, name)
		}
		seen[kind+name] = true
		if v < 0 || v >= len(p.Values) {
			return fmt.Errorf("%w: %s %q is value %d of %d", ErrInvalid, kind, name, v, len(p.Values))
		}
		return nil
	}
	for _, in := range p.Inputs {
		if err := port("input", in.Name, in.Value); err != nil {
			return err
		}
		if p.Values[in.Value].Kind != KindInput || taken[in.Value] {
			return p.valueErr(in.Value, "is no input, or an input twice")
		}
		taken[in.Value] = true
	}
	for _, out := range p.Outputs {
		if err := port("output", out.Name, out.Value); err != nil {
			return err
		}
		if out.Place != Download && out.Place != Retain || int(out.Cause) >= NumCauses {
			return p.valueErr(out.Value, "output %q has an unknown place or cause", out.Name)
		}
	}
	if len(p.States) > MaxStates {
		return fmt.Errorf("%w: %d states, the limit is %d", ErrInvalid, len(p.States), MaxStates)
	}
	for _, s := range p.States {
		if err := port("state", s.Name, s.In); err != nil {
			return err
		}
		if s.Out < 0 || s.Out >= len(p.Values) || s.Mode < StateAppend || s.Mode > StateWrite || s.Axis < 0 || s.Axis > MaxRank {
			return fmt.Errorf("%w: state %q: bad output, mode or axis", ErrInvalid, s.Name)
		}
		in, out := p.Values[s.In].Spec, p.Values[s.Out].Spec
		if p.Values[s.In].Kind != KindState || taken[s.In] || in.DType != out.DType || len(in.Shape) != len(out.Shape) {
			return p.valueErr(s.In, "is no state, a state twice, or unlike its next value")
		}
		if s.Mode == StateAppend && (s.Axis < 0 || s.Axis >= len(in.Shape)) {
			return p.valueErr(s.In, "grows along axis %d of %v", s.Axis, in.Shape)
		}
		taken[s.In] = true
	}
	for i := range p.Values {
		if k := p.Values[i].Kind; (k == KindInput || k == KindState) && !taken[i] {
			return p.valueErr(i, "is an %v without a name", k)
		}
	}
	return nil
}
