package systems

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// scratchName is the folder of a setup's temporary files inside the environment
// that it makes: files that a killed pip leaves behind are removed with the
// environment.
const scratchName = "scratch"

// build makes an environment in e.Dir. The stamp makes it valid.
func (e *Environment) build(ctx context.Context, exe string, o SetupOptions) error {
	o.Said(fmt.Sprintf("Python %s (%s) in %s", e.Python, exe, e.Dir))
	if err := e.openScratch(); err != nil {
		return err
	}
	err := o.step("environment", nil, func(out func(string)) error {
		said, err := e.command(ctx, out, exe, "-m", "venv", e.Dir)
		return withSaid(err, said)
	})
	if err != nil {
		return fmt.Errorf("make the environment: %w", err)
	}
	var wanted []Group
	for _, g := range Groups() {
		if slices.Contains(o.Skip, g.Name) {
			e.Missing[g.Name] = leftOut
		} else {
			wanted = append(wanted, g)
		}
	}
	if _, err := e.installAll(ctx, wanted, o); err != nil {
		return err
	}
	return os.RemoveAll(e.scratch())
}

// extend makes a copy of a working environment in dir, adds further groups, and
// reports whether it added any. Everything in the original still works in the
// copy. An error is never that of a group.
func (e *Environment) extend(ctx context.Context, dir string, groups []Group, o SetupOptions) (longer *Environment, added bool, err error) {
	longer = &Environment{Dir: dir, Python: e.Python, Hash: e.Hash, Missing: maps.Clone(e.Missing)}
	o.Said(fmt.Sprintf("Python %s in %s", e.Python, dir))
	err = o.step("copy", nil, func(func(string)) error { return copyEnvironment(ctx, e.Dir, dir) })
	if err != nil {
		return nil, false, fmt.Errorf("copy the environment: %w", err)
	}
	if err := longer.openScratch(); err != nil {
		return nil, false, err
	}
	if added, err = longer.installAll(ctx, groups, o); err != nil || !added {
		return longer, false, err
	}
	for _, g := range Groups() {
		if _, missing := e.Missing[g.Name]; missing {
			continue
		}
		err := o.step(g.Name, nil, func(out func(string)) error { return longer.tryImport(ctx, out, g) })
		if err != nil {
			return nil, false, fmt.Errorf("group %s worked before others came in; rebuild everything with --rebuild: %w", g.Name, err)
		}
	}
	return longer, true, os.RemoveAll(longer.scratch())
}

// installAll installs groups, records those that fail, and reports whether one
// did not. An error is that of the required group, or of ctx.
func (e *Environment) installAll(ctx context.Context, groups []Group, o SetupOptions) (added bool, err error) {
	for _, g := range groups {
		began := time.Now()
		c := condenser{said: o.Said}
		err := o.step(g.Name, c.line, func(out func(string)) error { return e.install(ctx, out, g, o.Index) })
		switch {
		case ctx.Err() != nil:
			return added, context.Cause(ctx)
		case err != nil && g.Name == groupTorch:
			return added, fmt.Errorf("group %s: %w", g.Name, err)
		case err != nil:
			e.Missing[g.Name] = err.Error()
			o.Said(fmt.Sprintf("group %s does not install; its cases will be unavailable", g.Name))
		default:
			added = true
			delete(e.Missing, g.Name)
			o.Said(fmt.Sprintf("group %s: ready after %s", g.Name, time.Since(began).Round(time.Second)))
		}
	}
	return added, nil
}

// install installs a group and imports it.
func (e *Environment) install(ctx context.Context, out func(string), g Group, index string) error {
	args := []string{"-m", "pip", "install", "--progress-bar", "off", "--no-input", "--disable-pip-version-check"}
	// A group may not replace a version that another one has pinned.
	pins := filepath.Join(e.scratch(), "requirements.txt")
	if err := os.WriteFile(pins, []byte(requirements), 0o600); err != nil {
		return err
	}
	args = append(args, "--constraint", pins)
	if index != "" {
		args = append(args, "--extra-index-url", index)
	}
	if g.Name == "llama" {
		// pip's cache does not distinguish builds with other CMAKE_ARGS. pip
		// hides the compiler's output unless it is asked for it.
		args = append(args, "--no-binary", "llama-cpp-python", "--no-cache-dir", "--verbose")
	}
	if said, err := e.command(ctx, out, e.Interpreter(), append(args, g.Packages...)...); err != nil {
		return withSaid(err, said)
	}
	return e.tryImport(ctx, out, g)
}

func (e *Environment) tryImport(ctx context.Context, out func(string), g Group) error {
	said, err := e.command(ctx, out, e.Interpreter(), "-c", "import "+modules(g.Name))
	if err != nil {
		return fmt.Errorf("import %s: %w", modules(g.Name), withSaid(err, said))
	}
	return nil
}

// withSaid adds the last output of a command to the reason for its failure.
func withSaid(err error, said string) error {
	if err == nil || said == "" {
		return err
	}
	return fmt.Errorf("%w: %s", err, said)
}

func (e *Environment) scratch() string { return filepath.Join(e.Dir, scratchName) }

func (e *Environment) openScratch() error { return os.MkdirAll(e.scratch(), 0o750) }

// command runs a command as part of making e.
func (e *Environment) command(ctx context.Context, out func(string), exe string, args ...string) (said string, err error) {
	c := setupCommand{exe: exe, args: args, mark: filepath.Base(e.Dir), scratch: e.scratch()}
	said, err = c.run(ctx, out)
	if ctx.Err() != nil {
		return "", context.Cause(ctx)
	}
	return said, err
}

// relabel changes why groups are missing.
func (e *Environment) relabel(leave []string, why map[string]string) error {
	changed := maps.Clone(e.Missing)
	maps.Copy(changed, why)
	for _, g := range leave {
		changed[g] = leftOut
	}
	if maps.Equal(changed, e.Missing) {
		return nil
	}
	e.Missing = changed
	return e.writeStamp()
}

// stamp makes e valid; it is the last step.
func (e *Environment) stamp(ctx context.Context) error {
	e.Bytes = folderBytes(e.Dir)
	return errors.Join(context.Cause(ctx), e.writeStamp())
}
