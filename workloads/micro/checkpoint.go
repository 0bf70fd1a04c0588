package micro

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/genie-sdk/go/internal/checkpoint"
	"github.com/genie-sdk/go/internal/models"
	"github.com/genie-sdk/go/internal/safetensors"
	"github.com/genie-sdk/go/internal/safetensors/atomicfile"
	"github.com/genie-sdk/go/lazy"
)

// modelType marks config.json of a case's checkpoint.
const modelType = "genie-micro"

// config is config.json of a case's checkpoint: with the weights, all that
// another implementation needs to run the case.
type config struct {
	ModelType string  `json:"model_type"`
	Op        string  `json:"op"`
	Dims      []int   `json:"dims"`
	Epsilon   float64 `json:"norm_epsilon,omitempty"`
}

// writeCheckpoint writes the checkpoint of a case: config.json and
// model.safetensors, the latter last, since its presence means that both are
// complete.
func (c Case) writeCheckpoint(ctx context.Context, dir string) error {
	conf := config{ModelType: modelType, Op: c.Op, Dims: c.Dims}
	if c.Op == BatchNorm {
		conf.Epsilon = normEpsilon
	}
	text, err := json.Marshal(conf)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return err
	}
	if err := atomicfile.WriteFile(filepath.Join(dir, "config.json"), append(text, '\n')); err != nil {
		return err
	}
	entries := make([]safetensors.Entry, len(c.weights()))
	for i, l := range c.weights() {
		entries[i] = safetensors.Entry{Name: l.name, DType: safetensors.F32, Shape: make([]int64, len(l.shape))}
		for d, n := range l.shape {
			entries[i].Shape[d] = int64(n)
		}
	}
	w, err := safetensors.Create(filepath.Join(dir, "model.safetensors"), entries, map[string]string{"format": "pt"})
	if err != nil {
		return err
	}
	for _, l := range c.weights() {
		err := context.Cause(ctx)
		if err == nil {
			err = w.Begin(l.name)
		}
		if err == nil {
			_, err = w.Write(l.tensor().Data)
		}
		if err != nil {
			return errors.Join(err, w.Abort())
		}
	}
	return w.Close()
}

// ensureCheckpoint writes the checkpoint of a case unless it exists.
func (c Case) ensureCheckpoint(ctx context.Context, dir string) error {
	_, err := os.Stat(filepath.Join(dir, "model.safetensors"))
	if errors.Is(err, fs.ErrNotExist) {
		return c.writeCheckpoint(ctx, dir)
	}
	return err
}

// loadCheckpoint captures the case with the weights of a checkpoint.
func (c Case) loadCheckpoint(ctx context.Context, dir string) (*program, error) {
	files, err := checkpoint.Open(dir, checkpoint.Options{})
	if err != nil {
		return nil, err
	}
	p := &program{c: c, graph: lazy.NewGraph(c.String()), files: files}
	if err := p.load(ctx, dir); err != nil {
		return nil, errors.Join(err, files.Close())
	}
	return p, nil
}

func (p *program) load(ctx context.Context, dir string) error {
	var conf config
	if err := p.files.Config(&conf); err != nil {
		return err
	}
	if conf.ModelType != modelType || conf.Op != p.c.Op || !slices.Equal(conf.Dims, p.c.Dims) {
		return fmt.Errorf("%w: %s holds %s %v, not %v", ErrCase, dir, conf.Op, conf.Dims, p.c)
	}
	if err := p.files.HashAll(ctx); err != nil {
		return err
	}
	names := p.files.Resolve("")
	return p.c.capture(p.graph, func(l leaf) (*lazy.Tensor, error) {
		w, err := models.Weight(p.files, names, l.name, l.name, l.shape)
		if err != nil {
			return nil, err
		}
		return p.graph.AddWeight(w), nil
	})
}
