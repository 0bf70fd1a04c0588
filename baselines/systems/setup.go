package systems

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
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
	// Step, if not nil, is told once a second what is under way. It and Said are
	// called by the goroutine of Setup.
	Step func(SetupStep)

	interval time.Duration // between two calls of Step
}

// SetupStep is a part of a setup that is under way.
type SetupStep struct {
	Name    string // "environment" or a group
	Elapsed time.Duration
	// Last is the last line of what the step printed: printable, not longer than
	// 200 characters, "" if it printed nothing.
	Last string
}

// Setup makes the environment of the reference systems and reports whether it changed it.
//
// An environment that was made of the same requirements by the same version of
// Python is left as it is if it has what is asked for. If groups are missing that
// are, because they failed or were left out, only these are installed; if it has
// a group that is to be left out, it is made anew. A group that does not install
// is [Environment.Missing], but for the first one.
//
// Whatever is made is made beside the environment that is there, which works
// until the new one is whole and takes its place. An error, ctx that ends, or the
// end of the process leave it as it was.
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
	if err != nil && w.none() { // what the other setup leaves is not this one's
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

// leftOut is why a group is missing that was not asked for.
const leftOut = "left out by --skip"

// work is what a setup has to do.
type work struct {
	present *Environment // that works, nil if there is none or it does not matter
	add     []Group      // that it lacks
	leave   []string     // that it lacks, and from now on by choice
	exe     string       // to make an environment with; "" if that is not wanted
	version string       // of exe
}

func (w work) none() bool { return w.exe == "" && len(w.add) == 0 && len(w.leave) == 0 }

// chooseWork compares what is there with what is asked for.
func chooseWork(ctx context.Context, o SetupOptions) (work, error) {
	var w work
	if e, err := Find(); err == nil && !o.Rebuild {
		// The Python that it was made with may have been removed or replaced.
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

// do does it, under the lock.
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
	sweep(root) // the one before
	return e, true, nil
}

// make makes what is wanted in a new folder. If that is no more than there is,
// what is returned is what there is.
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
