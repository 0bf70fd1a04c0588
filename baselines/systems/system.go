package systems

import (
	"bufio"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"time"
)

// Environment variables that configure reference systems.
const (
	// EnvPython names the interpreter. Without it, the interpreter of the
	// environment that [Setup] made is used.
	EnvPython = "GENIE_PYTHON"
	// EnvCache names the folder for checkpoints in other forms; without it, the
	// folder is genie/reference-systems below the user's cache folder, or
	// genie/peers, its former name, if only that exists.
	EnvCache = "GENIE_REFERENCE_SYSTEMS"
)

// formerCache is the former name of [EnvCache], which is still accepted.
const formerCache = "GENIE_PEER_CACHE"

// EnvTest makes tests run the installed reference systems.
const EnvTest = "GENIE_TEST_REFERENCE_SYSTEMS"

// formerTest is the former name of [EnvTest], which is still accepted.
const formerTest = "GENIE_PEERS"

// Tested reports whether tests should run reference systems: they do where
// [EnvTest] is set.
func Tested() bool { return os.Getenv(EnvTest) != "" || os.Getenv(formerTest) != "" }

// envMark is the same in all processes of a reference system, and in no other.
const envMark = "GENIE_SYSTEM_MARK"

// envThreads passes the number of threads to a program.
const envThreads = "GENIE_SYSTEM_THREADS"

// Options configure a reference system.
type Options struct {
	Python  string // the interpreter; "" is the one that GENIE_PYTHON names, or else the one that [Setup] made
	Threads int    // of each of its libraries; 0 is as many as Go uses here
	Cache   string // folder for converted checkpoints; "" is the default one
}

// System is a running program. Its methods may be called from several
// goroutines; it handles one call at a time.
type System struct {
	program  string
	versions map[string]string
	dir      string // of the Python files
	mark     string // value of envMark
	cmd      *exec.Cmd
	in       *os.File // its standard input
	out      *os.File // its standard output
	from     *bufio.Reader
	said     *tail
	release  func() bool // of the context
	free     func()      // of the environment that it runs in
	ended    chan struct{}

	mu     sync.Mutex // of the pipe
	calls  uint64
	broken error // why no more calls can be made
}

// Start runs a program and waits until it is ready. It ends with ctx, with
// [System.Close], or with this process.
func Start(ctx context.Context, program string, o Options) (*System, error) {
	if o.Cache == "" {
		dir, err := cacheDir()
		if err != nil {
			return nil, err
		}
		o.Cache = dir
	}
	if o.Threads <= 0 {
		o.Threads = runtime.GOMAXPROCS(0)
	}
	p := &System{program: program, said: &tail{}, ended: make(chan struct{}), mark: rand.Text()}
	exe, free, err := holdInterpreter(program, o.Python)
	if err != nil {
		return nil, err
	}
	p.free = free
	if p.dir, err = unpack(program); err != nil {
		p.free()
		return nil, err
	}
	if err := p.start(ctx, exe, o); err != nil {
		p.free()
		return nil, errors.Join(unavailable(err), os.RemoveAll(p.dir))
	}
	if err := p.greet(); err != nil {
		return nil, errors.Join(err, p.Close())
	}
	return p, nil
}

// cacheDir is the folder for converted checkpoints.
func cacheDir() (string, error) {
	if dir := cmp.Or(os.Getenv(EnvCache), os.Getenv(formerCache)); dir != "" {
		return filepath.Abs(dir)
	}
	root, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	dir, former := filepath.Join(root, "genie", "reference-systems"), filepath.Join(root, "genie", "peers")
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		if _, err := os.Stat(former); err == nil {
			return former, nil
		}
	}
	return dir, nil
}

// environment is this process's, with one number of threads for every library
// and no network.
func environment(o Options) []string {
	n := strconv.Itoa(o.Threads)
	env := os.Environ()
	for _, name := range []string{
		envThreads, "OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS",
	} {
		env = append(env, name+"="+n)
	}
	return append(env, EnvCache+"="+o.Cache, "MKL_DYNAMIC=FALSE", "OMP_DYNAMIC=FALSE", "HF_HUB_OFFLINE=1",
		"HF_HUB_DISABLE_PROGRESS_BARS=1", "TOKENIZERS_PARALLELISM=false", "PYTHONNOUSERSITE=1")
}

// start runs the interpreter. The pipes are this package's own files, so that
// waiting for the process waits for nothing else.
func (p *System) start(ctx context.Context, exe string, o Options) error {
	var pipes [3][2]*os.File // of standard input, output, error; reader, writer
	for i := range pipes {
		r, w, err := os.Pipe()
		if err != nil {
			return errors.Join(err, closeAll(pipes[:]...))
		}
		pipes[i] = [2]*os.File{r, w}
	}
	stdin, stdout, stderr := pipes[0][0], pipes[1][1], pipes[2][1]
	errs := pipes[2][0]
	p.in, p.out = pipes[0][1], pipes[1][0]
	p.from = bufio.NewReaderSize(p.out, 1<<16)
	// Not CommandContext, which would kill the interpreter but not the
	// processes it started.
	p.cmd = exec.Command(exe, "-u", "-B", filepath.Join(p.dir, p.program+".py")) //nolint:noctx,gosec // running it is the purpose
	p.cmd.Env = append(environment(o), envMark+"="+p.mark)
	p.cmd.Stdin, p.cmd.Stdout, p.cmd.Stderr = stdin, stdout, stderr
	detach(p.cmd)
	if err := p.cmd.Start(); err != nil {
		return errors.Join(err, closeAll(pipes[:]...))
	}
	for _, f := range []*os.File{stdin, stdout, stderr} {
		_ = f.Close()
	}
	go p.wait(errs)
	p.release = context.AfterFunc(ctx, p.kill)
	return nil
}

func closeAll(pipes ...[2]*os.File) error {
	var errs []error
	for _, p := range pipes {
		for _, f := range p {
			if f != nil {
				errs = append(errs, f.Close())
			}
		}
	}
	return errors.Join(errs...)
}

// wait ends when the process, all that it started, and their output have ended.
func (p *System) wait(errs *os.File) {
	drained := make(chan struct{})
	go func() {
		_, _ = io.Copy(p.said, errs)
		close(drained)
	}()
	_ = p.cmd.Wait() // ProcessState has it
	killAll(p.cmd)
	killMarked(envMark + "=" + p.mark)
	<-drained
	_ = errs.Close()
	p.free()
	close(p.ended)
}

// greet reads the versions. An interpreter that cannot run the program at all
// counts as missing.
func (p *System) greet() error {
	var hello struct {
		Versions map[string]string `json:"versions"`
	}
	a, _, err := readFrame(p.from)
	switch {
	case errors.Is(err, ErrProtocol):
		return p.fault(err)
	case err != nil:
		return unavailable(p.fault(err))
	case a.Error != nil:
		a.Error.Program = p.program
		if a.Error.Unavailable {
			return unavailable(a.Error)
		}
		return a.Error
	}
	if err := json.Unmarshal(a.Result, &hello); err != nil || a.ID != 0 {
		return p.fault(fmt.Errorf("%w: no greeting: %.80q", ErrProtocol, a.Result))
	}
	p.versions = hello.Versions
	return nil
}

// Program is the name of the program.
func (p *System) Program() string { return p.program }

// Versions are those of the interpreter and of the libraries that do the work.
func (p *System) Versions() map[string]string { return maps.Clone(p.versions) }

// PID is the process id of the interpreter.
func (p *System) PID() int { return p.cmd.Process.Pid }

// Call requests an operation. It decodes the result into result, which may be
// nil. A reference system cannot be interrupted: when ctx ends first, the
// process does too.
func (p *System) Call(ctx context.Context, op string, args any, in map[string]Tensor, result any) (map[string]Tensor, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.broken != nil {
		return nil, p.broken
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	var tensors []named
	for _, name := range slices.Sorted(maps.Keys(in)) {
		tensors = append(tensors, named{name, in[name]})
	}
	stop := context.AfterFunc(ctx, p.kill)
	defer stop()
	p.calls++
	a, out, err := p.exchange(request{ID: p.calls, Op: op, Args: args}, tensors)
	switch {
	case err != nil && ctx.Err() != nil:
		p.broken = fmt.Errorf("%s: %s: %w", p.program, op, errors.Join(ErrEnded, ctx.Err()))
		return nil, p.broken
	case err != nil:
		return nil, fmt.Errorf("%s: %w", op, p.fault(err))
	case a.ID != p.calls:
		return nil, p.fault(fmt.Errorf("%w: answer %d to request %d", ErrProtocol, a.ID, p.calls))
	case a.Error != nil:
		a.Error.Program, a.Error.Op = p.program, op
		return nil, a.Error
	case result == nil:
		return out, nil
	}
	if err := json.Unmarshal(a.Result, result); err != nil {
		return nil, fmt.Errorf("%w: result of %s: %w", ErrProtocol, op, err)
	}
	return out, nil
}

// kill ends the process, if it has not ended, and what it started.
func (p *System) kill() {
	select {
	case <-p.ended: // by now the number may belong to another process
	default:
		killAll(p.cmd)
	}
}

func (p *System) exchange(r request, tensors []named) (*answer, map[string]Tensor, error) {
	if err := writeFrame(p.in, r, tensors); err != nil {
		return nil, nil, err
	}
	return readFrame(p.from)
}

// fault makes the reference system unusable with a reason that includes the
// last output of the process.
func (p *System) fault(err error) error {
	const grace = 2 * time.Second
	if !errors.Is(err, ErrProtocol) { // the pipe is broken: the process is about to end
		select {
		case <-p.ended:
		case <-time.After(grace):
		}
	}
	p.kill()
	<-p.ended
	if !errors.Is(err, ErrProtocol) {
		err = fmt.Errorf("%w: %v: %w", ErrEnded, p.cmd.ProcessState, err)
	}
	p.broken = fmt.Errorf("%s: %w", p.program, err)
	if said := p.said.lines(10); said != "" {
		p.broken = fmt.Errorf("%w\n\t%s", p.broken, said)
	}
	return p.broken
}

// Pause stops the process and all that it started until [System.Resume]:
// polling while it waits would slow down other measurements. No call may be in
// progress.
func (p *System) Pause() { signalAll(p.cmd, true) }

// Resume lets them continue.
func (p *System) Resume() { signalAll(p.cmd, false) }

// Close ends the process and what it started, and waits for that: first by
// closing its input, by force after a moment.
func (p *System) Close() error {
	const grace = 3 * time.Second
	p.release()
	_ = p.in.Close()
	force := time.AfterFunc(grace, p.kill)
	<-p.ended
	force.Stop()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.broken == nil {
		p.broken = fmt.Errorf("%s: %w: closed", p.program, ErrEnded)
	}
	_ = p.out.Close()
	return os.RemoveAll(p.dir)
}
