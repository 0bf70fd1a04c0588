package peer

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// SetupOptions configure [Setup]. The zero value installs everything that is not
// there yet.
type SetupOptions struct {
	Python  string   // interpreter to make the environment with; "" finds one
	Skip    []string // groups to leave out, but not the first of [Groups]
	Rebuild bool     // make a valid environment anew
	// Index is the URL of a further package index, for CPU builds of torch. The
	// one that is configured for pip is always used.
	Index string
	// Said, if not nil, is told of progress, a line at a time.
	Said func(line string)
}

// Setup makes the environment of the peers and reports whether it had to: one
// that was made of the same requirements, with the same groups, is left as it
// is. A group that does not install is [Environment.Missing], but for the first
// one. Cancelling ctx leaves no environment rather than a part of one.
func Setup(ctx context.Context, o SetupOptions) (e *Environment, made bool, err error) {
	for _, g := range o.Skip {
		if i := slices.IndexFunc(Groups(), func(x Group) bool { return x.Name == g }); i < 1 {
			return nil, false, fmt.Errorf("genie: no group %q that may be left out", g)
		}
	}
	if o.Said == nil {
		o.Said = func(string) {}
	}
	dir, err := EnvironmentDir()
	if err != nil {
		return nil, false, err
	}
	if e, err := Find(); err == nil && !o.Rebuild && sameChoice(e, o.Skip) && o.Python == "" {
		if version, err := pythonVersion(ctx, e.Interpreter()); err == nil && version == e.Python {
			return e, false, nil
		}
	}
	exe, version, err := findInterpreter(ctx, o.Python)
	if err != nil {
		return nil, false, err
	}
	if e, err := Find(); err == nil && !o.Rebuild && sameChoice(e, o.Skip) && e.Python == version {
		return e, false, nil
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o750); err != nil {
		return nil, false, err
	}
	unlock, err := lockSetup(dir + ".lock")
	if err != nil {
		return nil, false, err
	}
	defer unlock()
	e = &Environment{Dir: dir, Python: version, Hash: environmentHash(version), Missing: map[string]string{}}
	if err := e.build(ctx, exe, o); err != nil {
		return nil, false, errors.Join(err, os.RemoveAll(dir))
	}
	return e, true, nil
}

// leftOut is why a group is missing that was not asked for.
const leftOut = "left out by --skip"

// sameChoice reports whether the groups left out are those that were then.
func sameChoice(e *Environment, skip []string) bool {
	for _, g := range Groups() {
		if (e.Missing[g.Name] == leftOut) != slices.Contains(skip, g.Name) {
			return false
		}
	}
	return true
}

// lockSetup keeps a second setup out. The file of one that was killed is taken
// over once its process has ended.
func lockSetup(path string) (unlock func(), err error) {
	for range 2 {
		f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
		if err == nil {
			_, err = fmt.Fprintf(f, "%d", os.Getpid())
			return func() { _ = os.Remove(path) }, errors.Join(err, f.Close())
		}
		if !errors.Is(err, fs.ErrExist) {
			return nil, err
		}
		var pid int
		if text, err := os.ReadFile(path); err == nil {
			if _, err := fmt.Sscan(string(text), &pid); err == nil && processAlive(pid) {
				return nil, fmt.Errorf("genie: process %d is setting the environment up", pid)
			}
		}
		_ = os.Remove(path)
	}
	return nil, fmt.Errorf("genie: %s: cannot be taken", path)
}

// build makes the environment. It is valid only with its stamp, which goes first
// and is written last.
func (e *Environment) build(ctx context.Context, exe string, o SetupOptions) error {
	if err := errors.Join(os.Remove(filepath.Join(e.Dir, stampName)), os.RemoveAll(e.Dir)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	o.Said(fmt.Sprintf("Python %s (%s) in %s", e.Python, exe, e.Dir))
	if _, err := runSetup(ctx, nil, exe, "-m", "venv", e.Dir); err != nil {
		return fmt.Errorf("make the environment: %w", err)
	}
	for i, g := range Groups() {
		if slices.Contains(o.Skip, g.Name) {
			e.Missing[g.Name] = leftOut
			continue
		}
		began := time.Now()
		err := e.install(ctx, g, o)
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case err != nil && i == 0:
			return fmt.Errorf("group %s: %w", g.Name, err)
		case err != nil:
			e.Missing[g.Name] = err.Error()
			o.Said(fmt.Sprintf("group %s: does not install; its cells will be unavailable", g.Name))
		default:
			o.Said(fmt.Sprintf("group %s: ready after %s", g.Name, time.Since(began).Round(time.Second)))
		}
	}
	e.Bytes = folderBytes(e.Dir)
	text, err := json.MarshalIndent(e, "", "  ")
	if err != nil {
		return err
	}
	partial := filepath.Join(e.Dir, stampName+".partial")
	if err := os.WriteFile(partial, append(text, '\n'), 0o600); err != nil {
		return err
	}
	return os.Rename(partial, filepath.Join(e.Dir, stampName))
}

// install installs a group and imports it.
func (e *Environment) install(ctx context.Context, g Group, o SetupOptions) error {
	args := []string{"-m", "pip", "install", "--progress-bar", "off", "--no-input", "--disable-pip-version-check"}
	// A group may not exchange what another one has pinned.
	pins := filepath.Join(e.Dir, "requirements.txt")
	if err := os.WriteFile(pins, []byte(requirements), 0o600); err != nil {
		return err
	}
	args = append(args, "--constraint", pins)
	if o.Index != "" {
		args = append(args, "--extra-index-url", o.Index)
	}
	if g.Name == "llama" {
		// pip's cache does not tell builds with other CMAKE_ARGS apart.
		args = append(args, "--no-binary", "llama-cpp-python", "--no-cache-dir")
	}
	c := condenser{said: o.Said}
	if said, err := runSetup(ctx, c.line, e.Interpreter(), append(args, g.Packages...)...); err != nil {
		return fmt.Errorf("%w: %s", err, said)
	}
	if said, err := runSetup(ctx, nil, e.Interpreter(), "-c", "import "+modules(g.Name)); err != nil {
		return fmt.Errorf("import %s: %w: %s", modules(g.Name), err, said)
	}
	return nil
}

// runSetup runs a command to its end, or ends it and what it started with ctx.
// Of its output line gets each line; the last ones come back.
func runSetup(ctx context.Context, line func(string), exe string, args ...string) (said string, err error) {
	cmd := exec.Command(exe, args...) //nolint:noctx // running it is the purpose; its group is ended below
	cmd.Env = append(os.Environ(), "PYTHONUNBUFFERED=1", "PIP_NO_COLOR=1", "PYTHONNOUSERSITE=1",
		"CMAKE_ARGS="+strings.TrimSpace("-DGGML_NATIVE=ON -DGGML_RPC=ON "+os.Getenv("CMAKE_ARGS")))
	detach(cmd)
	r, w, err := os.Pipe()
	if err != nil {
		return "", err
	}
	defer r.Close()
	cmd.Stdout, cmd.Stderr = w, w
	err = cmd.Start()
	_ = w.Close()
	if err != nil {
		return "", err
	}
	release := context.AfterFunc(ctx, func() { killAll(cmd) })
	defer release()
	var kept tail
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		_, _ = kept.Write(append(lines.Bytes(), '\n'))
		if line != nil {
			line(lines.Text())
		}
	}
	err = errors.Join(lines.Err(), cmd.Wait())
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return kept.lines(6), err
}

// folderBytes is what the files of a folder take, as their sizes say.
func folderBytes(dir string) int64 {
	var n int64
	_ = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			if info, err := d.Info(); err == nil {
				n += info.Size()
			}
		}
		return nil
	})
	return n
}
