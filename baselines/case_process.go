package baselines

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"
)

// Process is a case in its own process, so that interleaved cases share neither
// heap, nor caches of this module, nor peak memory.
type Process struct {
	name   Name
	cmd    *exec.Cmd
	in     io.WriteCloser
	out    *bufio.Reader
	opened report
}

// Result is the measurement of a [Process].
type Result struct {
	Runs    int           // operations, see [Samples.Operations]
	Mean    time.Duration // of an operation
	Metrics []Metric
}

// StartProcess runs this executable again and opens a case there. The
// executable must call [RunChild] first if [Child] reports true. The process
// ends with ctx, with Close, or with this process.
func StartProcess(ctx context.Context, name Name) (*Process, error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, err
	}
	p := &Process{name: name, cmd: exec.CommandContext(ctx, exe)}
	p.cmd.Env = append(os.Environ(), EnvChild+"="+childCase)
	p.cmd.Stderr = os.Stderr
	isolate(p.cmd)
	// A case that is told to end closes what it started, and gets time for
	// that.
	p.cmd.Cancel = func() error { return p.in.Close() }
	p.cmd.WaitDelay = 20 * time.Second
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	p.out = bufio.NewReader(out)
	if p.opened, err = p.ask(name); err != nil {
		return nil, errors.Join(err, p.Close())
	}
	return p, nil
}

// Versions are those of other implementations that the case runs, by library.
func (p *Process) Versions() map[string]string { return p.opened.Versions }

// Settings record how another implementation was run where there is a choice.
func (p *Process) Settings() map[string]string { return p.opened.Settings }

// Run runs the case for a while, at least once, each run verified.
func (p *Process) Run(forTime time.Duration) (Result, error) {
	r, err := p.ask(order{For: forTime})
	return Result{r.Runs, r.Mean, r.Metrics}, err
}

func (p *Process) ask(what any) (report, error) {
	line, err := json.Marshal(what)
	if err != nil {
		return report{}, err
	}
	if _, err := p.in.Write(append(line, '\n')); err != nil {
		return report{}, fmt.Errorf("%w: process of %s: %w", errCase, p.name.Baseline, err)
	}
	answer, err := p.out.ReadBytes('\n')
	if err != nil {
		return report{}, fmt.Errorf("%w: process of %s: %w", errCase, p.name.Baseline, err)
	}
	var r report
	switch err := json.Unmarshal(answer, &r); {
	case err != nil:
		return report{}, fmt.Errorf("%w: process of %s: %w", errCase, p.name.Baseline, err)
	case r.Unavailable != "":
		return report{}, &reason{ErrUnavailable, r.Unavailable}
	case r.Error != "":
		return report{}, &reason{errCase, r.Error}
	}
	return r, nil
}

// reason is an error that another process reported, with its original text.
type reason struct {
	cause error
	text  string
}

func (r *reason) Error() string { return r.text }
func (r *reason) Unwrap() error { return r.cause }

// Close ends the process, after it has ended the processes it started, and
// waits.
func (p *Process) Close() error {
	_ = p.in.Close()
	_, _ = io.Copy(io.Discard, p.out)
	if err := p.cmd.Wait(); err != nil && !errors.Is(err, context.Canceled) {
		return fmt.Errorf("%w: process of %s: %w", errCase, p.name.Baseline, err)
	}
	return nil
}
