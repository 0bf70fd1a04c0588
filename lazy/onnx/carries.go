package onnx

import (
	"fmt"
	"regexp"

	"github.com/genie-sdk/go/internal/onnxfile"
	"github.com/genie-sdk/go/lazy"
)

// conventions are how exporters name carried pairs: Optimum and transformers
// (past_key_values.0.key, present.0.key), ONNX Runtime GenAI, and torch.onnx's
// examples (past_0, present_0).
var conventions = []struct{ in, out *regexp.Regexp }{
	{regexp.MustCompile(`^past_key_values\.(.+)$`), regexp.MustCompile(`^present(?:_key_values)?\.(.+)$`)},
	{regexp.MustCompile(`^past(_.+|\d+)$`), regexp.MustCompile(`^present(_.+|\d+)$`)},
	{regexp.MustCompile(`^cache(_.+|\d+)_in$`), regexp.MustCompile(`^cache(_.+|\d+)_out$`)},
}

// carries declares the carried pairs of the options and, unless they say otherwise,
// those that the names of inputs and outputs tell of.
func (im *importer) carries(g *onnxfile.Graph) error {
	inputs, outputs := map[string]*lazy.Tensor{}, map[string]*lazy.Tensor{}
	for t, name := range im.inputs {
		inputs[name] = t
	}
	for _, o := range im.g.Outputs() {
		outputs[o.Name] = o.Tensor
	}
	done := map[string]bool{}
	for _, p := range im.opts.carries {
		in, out := inputs[p[0]], outputs[p[1]]
		if in == nil || out == nil || done[p[0]] {
			return fmt.Errorf("%w: carried pair of input %.80q and output %.80q", ErrOption, p[0], p[1])
		}
		done[p[0]] = true
		im.g.Carry(in, out)
	}
	if im.opts.noCarries {
		return nil
	}
	for _, i := range g.Inputs {
		in := inputs[i.Name]
		if in == nil || done[i.Name] {
			continue
		}
		for _, o := range g.Outputs {
			if out := outputs[o.Name]; out != nil && conventional(i.Name, o.Name) && carriable(in, out) {
				im.g.Carry(in, out)
				break
			}
		}
	}
	return nil
}

func conventional(in, out string) bool {
	for _, c := range conventions {
		a, b := c.in.FindStringSubmatch(in), c.out.FindStringSubmatch(out)
		if a != nil && b != nil && a[1] == b[1] {
			return true
		}
	}
	return false
}

// carriable reports whether an output's value can be the input's.
func carriable(in, out *lazy.Tensor) bool {
	if in.DType() != out.DType() || len(in.Shape()) != len(out.Shape()) {
		return false
	}
	for i, d := range in.Shape() {
		a, ok1 := d.Const()
		b, ok2 := out.Dim(i).Const()
		if ok1 && ok2 && a != b {
			return false
		}
	}
	return true
}
