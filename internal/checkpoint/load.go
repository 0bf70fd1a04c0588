package checkpoint

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
)

// adapterFile is what peft writes beside weights that modify a model.
const adapterFile = "adapter_config.json"

// Load opens the model in dir for a program: parse reads its configuration, the
// weights are hashed, which happens once for each checkpoint, and capture makes
// the program, which closes the model. If there is no program, Load closes the
// model.
func Load[C, P any](
	ctx context.Context, dir string, opts Options, parse func(config []byte) (C, error), capture func(*Model, C) (P, error),
) (program P, err error) {
	m, err := Open(dir, opts)
	if err != nil {
		return program, err
	}
	program, err = load(ctx, m, dir, parse, capture)
	if err != nil {
		_ = m.Close()
		var none P
		return none, err
	}
	return program, nil
}

func load[C, P any](ctx context.Context, m *Model, dir string, parse func([]byte) (C, error), capture func(*Model, C) (P, error)) (none P, err error) {
	c, err := parse(m.ConfigJSON())
	if err != nil {
		return none, fmt.Errorf("%s: %w", filepath.Join(dir, configFile), err)
	}
	if err := m.HashAll(ctx); err != nil {
		return none, err
	}
	if _, err := os.Stat(filepath.Join(m.dir, adapterFile)); err == nil {
		m.log.Warn("an adapter beside the weights is not applied", "file", filepath.Join(m.dir, adapterFile))
	}
	return capture(m, c)
}
