package onnx

import (
	"fmt"
	"slices"

	"github.com/genie-sdk/go/internal/onnxfile"
	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
)

// hashed is the content of a tensor of the file, with its hash.
type hashed struct {
	content onnxfile.Content
	hash    plan.Hash
}

// hashPiece is how much is hashed between two looks at the context.
const hashPiece = 4 << 20

// rawTensor is the leaf of a tensor of the file.
func (im *importer) rawTensor(v *value, spec plan.Spec) (*lazy.Tensor, error) {
	shape, ok := constants(spec.Shape)
	if !ok {
		return nil, fmt.Errorf("%w: tensor %q", ErrMalformed, v.name)
	}
	if v.as.lifted && len(shape) == 3 {
		shape = slices.Insert(shape, 2, 1)
	}
	key := rawKey{v.raw, v.small, v.as}
	if t := im.raws[key]; t != nil {
		return t, nil
	}
	storage, err := stored(v.raw.Type)
	if err != nil {
		return nil, err
	}
	h, err := im.hash(v, storage, shape)
	if err != nil {
		return nil, err
	}
	w := transport.Weight{
		Name: im.leafName(v.name), Storage: storage, Shape: shape, Hash: h.hash, Data: h.content.Data, File: h.content.File,
	}
	if storage == plan.Bool {
		if w, err = truths(w); err != nil {
			return nil, err
		}
	}
	t, err := im.leaf(v, w, spec.DType)
	if err == nil {
		im.raws[key] = t
	}
	return t, err
}

// rawKey is a tensor of the file as a weight or as a constant.
type rawKey struct {
	t     *onnxfile.Tensor
	small bool
	as    layerParameter
}

// hashKey is a tensor of the file, with the shape of filters over two axes or its own.
type hashKey struct {
	t      *onnxfile.Tensor
	lifted bool
}

// truths are booleans as a program has them: 0 and 1, whatever the file says.
func truths(w transport.Weight) (transport.Weight, error) {
	b := make([]byte, len(w.Data))
	if _, err := w.CopyTo(b, 0); err != nil {
		return w, fatalError{err}
	}
	for i, v := range b {
		if v != 0 {
			b[i] = 1
		}
	}
	w.Data, w.File, w.Hash = b, "", transport.HashWeight(w.Storage, w.Shape, b)
	return w, nil
}

// hash reads the content of a tensor of the file and hashes it, once.
func (im *importer) hash(v *value, storage plan.DType, shape []int) (hashed, error) {
	t, key := v.raw, hashKey{v.raw, v.as.lifted}
	if h, ok := im.hashes[key]; ok {
		return h, nil
	}
	c, err := im.file.Content(t)
	if err != nil {
		return hashed{}, fatalError{err}
	}
	w := transport.Weight{Name: t.Name, Storage: storage, Shape: shape, Data: c.Data, File: c.File}
	sum := transport.NewWeightHasher(storage, shape)
	piece := make([]byte, min(hashPiece, len(c.Data)))
	for at := 0; at < len(c.Data); {
		if err := im.ctx.Err(); err != nil {
			return hashed{}, fatalError{err}
		}
		n, err := w.CopyTo(piece, at)
		if err != nil {
			return hashed{}, fatalError{err}
		}
		_, _ = sum.Write(piece[:n])
		at += n
		im.done += int64(n)
		if im.opts.progress != nil {
			im.opts.progress(im.done, max(im.done, im.total()))
		}
	}
	h := hashed{c, sum.Sum()}
	im.hashes[key] = h
	return h, nil
}

// total is the bytes of all initialisers.
func (im *importer) total() int64 {
	var sum int64
	for _, t := range im.file.Model.Graph.Initializers {
		if n, err := t.Elements(); err == nil {
			sum += n * int64(t.Type.Size())
		}
	}
	return sum
}
