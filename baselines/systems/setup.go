package systems

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// SetupOptions configure [Setup]. The zero value installs everything that is
// missing.
type SetupOptions struct {
	Python  string   // interpreter to make the environment with; "" finds one
	Skip    []string // groups to skip, except the first of [Groups]
	Rebuild bool     // rebuild a valid environment
	// Index is the URL of a further package index, for CPU builds of torch.
	// pip's configured index is always used.
	Index string
	// Said, if not nil, is called with progress, a line at a time.
	Said func(line string)
	// Step, if not nil, is called once a second with the current step. The
	// goroutine of Setup calls it and Said.
	Step func(SetupStep)

	interval time.Duration // between two calls of Step
}

// SetupStep is a running part of a setup.
type SetupStep struct {
	Name    string // "environment" or a group
	Elapsed time.Duration
	// Last is the last line that the step printed: printable, at most 200
	// characters, "" if it printed nothing.
	Last string
}

// Setup makes the environment of the reference systems and reports whether it
// changed it.
//
// An environment made from the same requirements by the same version of Python
// stays unchanged if it has what is requested. If groups are missing because
// they failed or were skipped, Setup installs only these. If it has a group
// that is to be skipped, Setup rebuilds it. A group that does not install is
// listed in [Environment.Missing], except for the first one, which is an error.
//
// Setup builds beside the existing environment, which works until the new one
// is complete and replaces it. An error, the end of ctx, or the end of the
// process leaves the existing one unchanged.
func Setup(ctx context.Context, o SetupOptions) (e *Environment, made bool, err error) {
	for _, g := range o.Skip {
		if i := slices.IndexFunc(Groups(), func(x Group) bool { return x.Name == g }); i < 1 {
			return nil, false, fmt.Errorf("genie: no group %q that may be left out", g)
		}
	}
	if o.Said == nil {
		o.Said = func(string) {}
	}
	if o.Step == nil {
		o.Step = func(SetupStep) {}
	}
	if o.interval == 0 {
		o.interval = time.Second
	}
	root, err := cacheDir()
	if err != nil {
		return nil, false, err
	}
	w, err := chooseWork(ctx, o)
	if err != nil || w.none() && len(leftovers(root)) == 0 {
		return w.present, false, err
	}
	if err := os.MkdirAll(root, 0o750); err != nil {
		return nil, false, err
	}
	unlock, err := lockSetup(filepath.Join(root, linkName+".lock"))
	if err != nil && w.none() { // what the other setup leaves behind belongs to it
		return w.present, false, nil
	}
	if err != nil {
		return nil, false, err
	}
	defer unlock()
	if err := recoverLink(root); err != nil {
		return nil, false, err
	}
	sweep(root)
	if w, err = chooseWork(ctx, o); err != nil { // another one may have ended since
		return nil, false, err
	}
	return w.do(ctx, root, o)
}

// leftOut is the reason for a group that was not requested.
const leftOut = "left out by --skip"

// work is what a setup has to do.
type work struct {
	present *Environment // a working one, nil if there is none or it does not matter
	add     []Group      // that it lacks
	leave   []string     // that it lacks, and from now on by choice
	exe     string       // to make an environment with; "" if none is wanted
	version string       // of exe
}

func (w work) none() bool { return w.exe == "" && len(w.add) == 0 && len(w.leave) == 0 }

// chooseWork compares the existing environment with the request.
func chooseWork(ctx context.Context, o SetupOptions) (work, error) {
	var w work
	if e, err := Find(); err == nil && !o.Rebuild {
		// The Python that made it may have been removed or replaced.
		if version, err := pythonVersion(ctx, e.Interpreter()); err == nil && version == e.Python {
			w.present = e
		}
	}
	if w.present == nil || o.Python != "" {
		exe, version, err := findInterpreter(ctx, o.Python)
		if err != nil {
			return work{}, err
		}
		if w.present == nil || w.present.Python != version {
			return work{exe: exe, version: version}, nil
		}
	}
	for _, g := range Groups() {
		why, missing := w.present.Missing[g.Name]
		switch skip := slices.Contains(o.Skip, g.Name); {
		case skip && !missing:
			exe, version, err := findInterpreter(ctx, o.Python)
			return work{exe: exe, version: version}, err
		case skip && why != leftOut:
			w.leave = append(w.leave, g.Name)
		case !skip && missing:
			w.add = append(w.add, g)
		}
	}
	return w, nil
}

// do carries out the work under the lock.
func (w work) do(ctx context.Context, root string, o SetupOptions) (*Environment, bool, error) {
	if w.none() {
		return w.present, false, nil
	}
	if w.exe == "" && len(w.add) == 0 {
		return w.present, false, w.present.relabel(w.leave, nil)
	}
	dir, err := newFolder(root)
	if err != nil {
		return nil, false, err
	}
	e, changed, err := w.make(ctx, dir, o)
	if err == nil && changed {
		err = takePlace(root, dir)
	}
	if err != nil || !changed {
		discard(dir)
		return e, false, err
	}
	sweep(root) // the previous one
	return e, true, nil
}

// make makes the requested environment in a new folder. If that adds nothing to
// the existing one, it returns the existing one.
func (w work) make(ctx context.Context, dir string, o SetupOptions) (e *Environment, changed bool, err error) {
	if w.exe != "" {
		e = &Environment{Dir: dir, Python: w.version, Hash: environmentHash(w.version), Missing: map[string]string{}}
		changed, err = true, e.build(ctx, w.exe, o)
	} else {
		e, changed, err = w.present.extend(ctx, dir, w.add, o)
	}
	switch {
	case err != nil:
		return nil, false, err
	case !changed:
		return w.present, false, w.present.relabel(w.leave, e.Missing)
	}
	for _, g := range w.leave {
		e.Missing[g] = leftOut
	}
	if err := e.stamp(ctx); err != nil {
		return nil, false, err
	}
	return e, true, nil
}
