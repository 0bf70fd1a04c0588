package checkpoint

import (
	"fmt"

	"github.com/genie-sdk/go/internal/checkpoint"
	"github.com/genie-sdk/go/internal/models"
	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/transport"
)

// Tensors adds the tensors of a checkpoint to a graph. Names are found as
// transformers finds them on loading:
//
//   - with or without the prefix, which is the name of the inner model in the files
//     of models around it: "transformer.wte.weight" and "wte.weight";
//   - scale and shift of a layer norm in the spelling of the first BERTs, "gamma"
//     and "beta";
//   - under the name of another tensor that shared its memory when the file was
//     written.
//
// The first error sticks, as in a graph: a tensor that was not found is nil,
// operators of it carry an error and compute nothing, and [Tensors.Err] says which
// it was. It is not safe for concurrent use.
type Tensors struct {
	files *checkpoint.Model
	names *checkpoint.Resolver
	g     *lazy.Graph
	pre   string
	err   error
}

// Tensors finds tensors of the model for g. prefix is the inner model's name with a
// dot, such as "bert.", or empty.
func (m *Model) Tensors(g *lazy.Graph, prefix string) *Tensors {
	return &Tensors{files: m.files, names: m.files.Resolve(prefix), g: g, pre: prefix}
}

// Weight adds a tensor of the inner model, of type float32, float16 or bfloat16 and
// of exactly this shape. The program calls it name.
func (t *Tensors) Weight(name string, shape ...int) *lazy.Tensor {
	return t.WeightAs(name, t.pre+name, shape...)
}

// WeightAs adds the tensor that its family calls tensor, prefix included. The
// program calls it name.
func (t *Tensors) WeightAs(name, tensor string, shape ...int) *lazy.Tensor {
	w, err := t.Content(name, tensor, shape...)
	if err != nil {
		return nil
	}
	return t.g.AddWeight(w)
}

// Content is what WeightAs adds to the graph: the mapped bytes of a tensor and
// their hash, valid until the model is closed. After an error it returns that
// error.
func (t *Tensors) Content(name, tensor string, shape ...int) (transport.Weight, error) {
	if t.err != nil {
		return transport.Weight{}, t.err
	}
	for _, n := range shape {
		if n < 0 {
			t.err = fmt.Errorf("%w: %q cannot have the shape %v", ErrTensorShape, tensor, shape)
			return transport.Weight{}, t.err
		}
	}
	w, err := models.Weight(t.files, t.names, tensor, name, shape)
	if err != nil {
		t.err = err
	}
	return w, err
}

// Find returns the file's name for the tensor that its family calls tensor, and
// false if the checkpoint has none.
func (t *Tensors) Find(tensor string) (string, bool) { return t.names.Find(tensor) }

// Err is the first error.
func (t *Tensors) Err() error { return t.err }

// Unused are the names of the tensors that were not used, without the prefix.
func (t *Tensors) Unused() []string { return t.names.Unused() }

// WarnUnused logs unused tensors. Those for which layer is true are parts of the
// computation that the configuration lacks, such as an extra layer, and are logged
// as warnings; others, such as heads, are common. harmless are endings of the names
// of buffers, which have no part in it.
func (t *Tensors) WarnUnused(layer func(name string) bool, harmless ...string) {
	t.names.WarnUnused(layer, harmless...)
}
