package spellings

import (
	"slices"
	"strings"

	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/transport/plan"
)

// defaults are the attributes that a spelling need not write.
var defaults = map[string]plan.Attrs{
	"matmul":           {plan.BoolAttr("trans_a", false), plan.BoolAttr("trans_b", false)},
	"reduce":           {plan.BoolAttr("keep", true)},
	"gelu":             {plan.BoolAttr("tanh", false)},
	"causal_mask":      {plan.Int("window", 0)},
	"cumsum":           {plan.BoolAttr("exclusive", false), plan.BoolAttr("reverse", false)},
	"mod":              {plan.BoolAttr("fmod", false)},
	"rms_norm":         {plan.Float("offset", 0)},
	"rope":             {plan.Int("dims", 0), plan.BoolAttr("interleaved", false)},
	"gather":           {plan.Int("axis", 0)},
	"trilu":            {plan.Int("k", 0), plan.BoolAttr("upper", false)},
	"attention":        {plan.BoolAttr("causal", false), plan.Int("window", 0), plan.Float("softcap", 0), plan.Str("mask", "none"), plan.BoolAttr("start", false)},
	"scatter_nd":       {plan.Str("reduction", "none")},
	"scatter_elements": {plan.Str("reduction", "none")},
}

// operator makes the operator of a call. The kind of an attribute (integer or
// dimension, for instance) is the one that the operator accepts.
func (b *builder) operator(n node) (op.Op, error) {
	var choices [][]plan.Attr
	for _, a := range n.attrs {
		c, err := b.attr(a)
		if err != nil {
			return nil, err
		}
		choices = append(choices, c)
	}
	for _, d := range defaults[n.name] {
		if _, ok := n.attr(d.Key); !ok {
			choices = append(choices, []plan.Attr{d})
		}
	}
	o, err := accepted(n.name, choices, nil)
	if err != nil {
		return nil, n.at.errorf("%w", err)
	}
	return o, nil
}

// accepted is the operator for the first combination of choices that it takes.
func accepted(name string, choices [][]plan.Attr, attrs plan.Attrs) (op.Op, error) {
	if len(choices) == 0 {
		attrs = slices.SortedFunc(slices.Values(attrs), func(a, b plan.Attr) int { return strings.Compare(a.Key, b.Key) })
		return op.New(name, attrs)
	}
	var first error
	for _, c := range choices[0] {
		o, err := accepted(name, choices[1:], append(attrs[:len(attrs):len(attrs)], c))
		if err == nil {
			return o, nil
		}
		if first == nil {
			first = err
		}
	}
	return nil, first
}

// attr is an attribute in each of the kinds that its value can have.
func (b *builder) attr(a attr) ([]plan.Attr, error) {
	v := a.value
	switch {
	case v.kind == text:
		return []plan.Attr{plan.Str(a.key, v.name)}, nil
	case v.kind == name && (v.name == "true" || v.name == "false"):
		return []plan.Attr{plan.BoolAttr(a.key, v.name == "true")}, nil
	case v.kind == list:
		return b.listAttr(a)
	}
	if dt, err := plan.ParseDType(v.name); err == nil && v.kind == name {
		return []plan.Attr{plan.Int(a.key, int(dt)), plan.Str(a.key, dt.String())}, nil
	}
	var out []plan.Attr
	x, err := formula(v, b.numbers)
	if err == nil {
		if x == float64(int(x)) {
			out = append(out, plan.Int(a.key, int(x)))
		}
		out = append(out, plan.Float(a.key, x), plan.Float(a.key, float64(float32(x))))
	}
	if d, dimErr := b.dim(v); dimErr == nil {
		out = append(out, plan.Dims(a.key, d))
	} else if err != nil {
		return nil, dimErr
	}
	return out, nil
}

func (b *builder) listAttr(a attr) ([]plan.Attr, error) {
	s, err := b.shape(a.value.args)
	if err != nil {
		return nil, err
	}
	var out []plan.Attr
	if ints, err := constants(s, a.value.at); err == nil {
		out = append(out, plan.Ints(a.key, ints))
	}
	return append(out, plan.Dims(a.key, s...)), nil
}
