package checkpoint

import (
	"cmp"
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/genie-sdk/go/internal/safetensors"
)

// Resolver finds tensors under the names that checkpoints of one family use for
// them, as transformers does on loading (core_model_loading.py,
// rename_source_key), and remembers which were found:
//
//   - with or without the name of the inner model, each tensor on its own:
//     "transformer.wte.weight" and "wte.weight";
//   - the scale and shift of a layer norm in the spelling of the first BERTs:
//     "LayerNorm.gamma" and "LayerNorm.beta";
//   - under the name of another tensor that shared its memory, which
//     safetensors.torch.save_model stores in the file's metadata.
//
// It is not safe for concurrent use.
type Resolver struct {
	m      *Model
	prefix string
	used   map[string]bool
	alias  map[string]string
}

// Resolve returns a resolver of the model's tensors. prefix is the inner
// model's name with a dot, such as "bert.".
func (m *Model) Resolve(prefix string) *Resolver {
	r := &Resolver{m: m, prefix: prefix, used: map[string]bool{}, alias: map[string]string{}}
	for _, f := range m.files {
		for name, kept := range f.Metadata() {
			if _, ok := m.where[kept]; ok {
				r.alias[name] = kept
			}
		}
	}
	return r
}

// Find returns the checkpoint's name for the tensor that a model calls name,
// and false if it has none. Of several names, the first in transformers' order
// counts; the others are unused.
func (r *Resolver) Find(name string) (string, bool) {
	var found []string
	for _, n := range r.spellings(name) {
		if _, ok := r.m.where[n]; ok {
			found = append(found, n)
		}
	}
	if len(found) == 0 {
		for _, n := range r.spellings(name) {
			if kept, ok := r.alias[n]; ok {
				found = append(found, kept)
			}
		}
	}
	if len(found) == 0 {
		return "", false
	}
	for _, n := range found {
		r.used[n] = true
	}
	return slices.MinFunc(found, compareKeys), true
}

// spellings are the names that a checkpoint may have for a tensor.
func (r *Resolver) spellings(name string) []string {
	name = strings.TrimPrefix(name, r.prefix)
	out := []string{r.prefix + name, name}
	for _, old := range [...][2]string{{"LayerNorm.weight", "LayerNorm.gamma"}, {"LayerNorm.bias", "LayerNorm.beta"}} {
		if head, ok := strings.CutSuffix(name, old[0]); ok {
			out = append(out, r.prefix+head+old[1], head+old[1])
		}
	}
	return out
}

// Need is [Model.Need] of the tensor that a model calls name. It also returns
// the checkpoint's name for it.
func (r *Resolver) Need(name string, dtypes []safetensors.DType, shape []int64) (string, safetensors.Tensor, error) {
	found, ok := r.Find(name)
	if !ok {
		found = r.expected(name)
	}
	t, err := r.m.Need(found, dtypes, shape)
	if typed, ok := errors.AsType[*Error](err); ok && errors.Is(err, ErrMissingTensor) {
		if file, ok := r.m.placed[found]; ok {
			typed.Reason += "; " + r.m.indexFile + " places it in " + quote(file)
		}
	}
	return found, t, err
}

// expected is the name that a missing tensor should have: with the inner
// model's name if other tensors have it.
func (r *Resolver) expected(name string) string {
	bare := strings.TrimPrefix(name, r.prefix)
	inner := func(n string) bool { return strings.HasPrefix(n, r.prefix) }
	if r.prefix != "" && slices.ContainsFunc(r.m.names, inner) && bare != name {
		return name
	}
	return bare
}

// Unused returns the names of the tensors that were not used, without the inner
// model's name, in transformers' order.
func (r *Resolver) Unused() []string {
	var out []string
	for _, name := range r.m.names {
		if !r.used[name] {
			out = append(out, strings.TrimPrefix(name, r.prefix))
		}
	}
	slices.SortFunc(out, compareKeys)
	return slices.Compact(out)
}

// WarnUnused logs unused tensors. Those for which layer is true are parts of
// the computation that the configuration lacks, such as an extra layer, and are
// logged as warnings; others, such as heads, are common. harmless are endings
// of the names of buffers in old checkpoints.
func (r *Resolver) WarnUnused(layer func(name string) bool, harmless ...string) {
	var layers, others []string
	for _, name := range r.Unused() {
		switch {
		case slices.ContainsFunc(harmless, func(end string) bool { return strings.HasSuffix(name, end) }):
		case layer(name):
			layers = append(layers, name)
		default:
			others = append(others, name)
		}
	}
	if len(layers) > 0 {
		r.m.log.Warn("config.json knows nothing of some tensors, and nothing uses them", "model", r.m.dir, "tensors", len(layers), "first", layers[0])
	}
	if len(others) > 0 {
		r.m.log.Debug("some tensors are not used", "model", r.m.dir, "tensors", len(others), "first", others[0])
	}
}

// compareKeys orders names as transformers does (dot_natural_key): part by part
// between dots, numbers by their value and before words, and words that end in
// a number by that number.
func compareKeys(a, b string) int {
	return slices.CompareFunc(strings.Split(a, "."), strings.Split(b, "."), comparePart)
}

func comparePart(a, b string) int {
	const decimals = "0123456789"
	word, other := strings.TrimRight(a, decimals), strings.TrimRight(b, decimals)
	if (word == "") != (other == "") {
		return strings.Compare(word, other)
	}
	m, _ := strconv.ParseUint(a[len(word):], 10, 64)
	n, _ := strconv.ParseUint(b[len(other):], 10, 64)
	return cmp.Or(strings.Compare(word, other), cmp.Compare(len(a)-len(word), 0)-cmp.Compare(len(b)-len(other), 0), cmp.Compare(m, n))
}
