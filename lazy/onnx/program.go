package onnx

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/genie-sdk/go/internal/onnxfile"
	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/transport"
)

// Program is a captured program that came from an ONNX model. Its inputs and
// outputs have the names that the model gives them. It must be closed when no
// session uses it any more: its weights are views of the model's files.
type Program struct {
	*lazy.Graph

	fixed []string
	file  *onnxfile.File
}

// Output is the output with the given name, nil if there is none.
func (p *Program) Output(name string) *lazy.Tensor {
	for _, o := range p.Outputs() {
		if o.Name == name {
			return o.Tensor
		}
	}
	return nil
}

// Fixed lists the inputs of the model whose content became a constant, because
// [WithShapeValue] gave it and a shape depends on it. They are no inputs of the
// program.
func (p *Program) Fixed() []string { return p.fixed }

// Close unmaps the model's files.
func (p *Program) Close() error { return p.file.Close() }

// Open captures the model at path. Files of external data must be in its folder.
// Errors: [*RefusedError] for what cannot be imported, [ErrMalformed],
// [ErrOption], and those of the file system. ctx ends the hashing of weights.
func Open(ctx context.Context, path string, opts ...Option) (*Program, error) {
	f, err := onnxfile.Open(path)
	if err != nil {
		return nil, err //nolint:wrapcheck // it names the file
	}
	p, err := load(ctx, f, opts)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", path, err), f.Close())
	}
	return p, nil
}

// Read is [Open] for a model in memory, which has no external data. The content of
// its tensors is not copied.
func Read(ctx context.Context, model []byte, opts ...Option) (*Program, error) {
	f, err := onnxfile.Read(model)
	if err != nil {
		return nil, err //nolint:wrapcheck // the file is the caller's
	}
	return load(ctx, f, opts)
}

// guarded is run, for which a panic is an error of this module.
func (im *importer) guarded(ctx context.Context) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%w: import of an ONNX model: panic: %v", transport.ErrInternal, r)
		}
	}()
	return im.run(ctx)
}

// load captures the model of a file. Which inputs shapes depend on is known only
// after a first attempt, so there is one more attempt for each set of them.
func load(ctx context.Context, f *onnxfile.File, opts []Option) (*Program, error) {
	o := newOptions(opts)
	hashes := map[hashKey]hashed{}
	fixed := map[string]bool{}
	for {
		im := newImporter(f, o, hashes, fixed)
		err := im.guarded(ctx)
		if len(im.wanted) > 0 {
			maps.Copy(fixed, im.wanted) // each attempt adds one at least
			continue
		}
		if err != nil {
			return nil, err
		}
		return &Program{Graph: im.g, fixed: slices.Sorted(maps.Keys(fixed)), file: f}, nil
	}
}
