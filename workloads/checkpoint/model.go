package checkpoint

import (
	"context"
	"log/slog"
	"path/filepath"

	"github.com/genie-sdk/go/internal/checkpoint"
	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
)

// Options configure [Load] and [Open]. The zero value is ready to use.
type Options struct {
	// Progress reports the bytes of weights that have been hashed, which happens
	// once for each checkpoint.
	Progress transport.Progress
	// Hashes selects where to store the hashes of the weights: a folder; "cache",
	// the default, for genie/hashes in the user's cache folder; "model" for
	// genie-hashes.json beside the model; "off" for nowhere.
	Hashes string
	// Logger reports, at warn, what is wrong with a checkpoint that is still
	// usable, such as unused tensors. Nil discards.
	Logger *slog.Logger
}

// Model is an open checkpoint. It is safe for concurrent use until Close.
type Model struct{ files *checkpoint.Model }

// Open opens the model in dir. It reads config.json and checks the header of every
// weights file, but reads no weights.
func Open(dir string, opts Options) (*Model, error) {
	m, err := checkpoint.Open(dir, opts.inner())
	if err != nil {
		return nil, err
	}
	return &Model{m}, nil
}

func (o Options) inner() checkpoint.Options {
	return checkpoint.Options{Progress: o.Progress, Hashes: o.Hashes, Logger: o.Logger}
}

// Load opens the model in dir for a program: parse reads its config.json, the
// weights are hashed, and capture makes the program, which closes the model. If
// there is no program, Load closes the model. ctx ends the hashing.
func Load[C, P any](
	ctx context.Context, dir string, opts Options, parse func(config []byte) (C, error), capture func(*Model, C) (P, error),
) (program P, err error) {
	return checkpoint.Load(ctx, dir, opts.inner(), parse, func(m *checkpoint.Model, c C) (P, error) { return capture(&Model{m}, c) })
}

// Close unmaps the weights. Afterwards a program cannot send them to an executor. A
// second Close does nothing.
func (m *Model) Close() error { return m.files.Close() }

// Dir is the model's directory, absolute and with links resolved.
func (m *Model) Dir() string { return m.files.Dir() }

// ConfigJSON is a copy of config.json.
func (m *Model) ConfigJSON() []byte { return m.files.ConfigJSON() }

// Log is the logger of the options, or one that discards.
func (m *Model) Log() *slog.Logger { return m.files.Log() }

// Names are the names of the tensors in the files, in their order.
func (m *Model) Names() []string { return m.files.Names() }

// HashAll hashes the weights, unless their hashes are stored. [Load] has done so;
// after [Open] it is done when the first weight is added, without a way to end it.
func (m *Model) HashAll(ctx context.Context) error { return m.files.HashAll(ctx) }

// Hash is the hash of the content of the tensor that the files call name.
func (m *Model) Hash(name string) (plan.Hash, error) {
	h, err := m.files.Hash(name)
	return plan.Hash(h), err
}

// NewGraph makes a graph for a program of the model. A worker that has the model,
// by the name of its directory, in its folder of models takes the weights from
// there.
func (m *Model) NewGraph(name string) *lazy.Graph {
	g := lazy.NewGraph(name)
	g.SetModel(filepath.Base(m.files.Dir()))
	return g
}
